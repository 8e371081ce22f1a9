/* SPDX-License-Identifier: BSD-2-Clause */
/* lane_item.h - lanes used as pools are, for tests that do the same with both */
#ifndef SUPPORT_LANE_ITEM_H
#define SUPPORT_LANE_ITEM_H

#include <cma/pool.h>

static inline int lane_item_alloc(struct cma_dma_pool_lane *lane, uint32_t flags,
                                  struct cma_dma_item *item, struct cma_refusal *refusal)
{
    uint64_t token;
    int error = cma_dma_pool_lane_alloc(lane, flags, &token, refusal);

    if (error == 0) {
        cma_dma_pool_lane_item(lane, token, item);
    }
    return error;
}

static inline int lane_item_free(struct cma_dma_pool_lane *lane, const struct cma_dma_item *item)
{
    return cma_dma_pool_lane_free(lane, cma_dma_pool_token(item));
}

#endif
