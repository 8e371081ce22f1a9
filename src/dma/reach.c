/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reach.c - questions that a driver asks once: how long, how aligned, with which mask, with syncs?
 *
 * Memory is what the frame table knows. It is compared with the parts that the device sees.
 */
#include <cma/bounce.h>

#include "../base/bits.h"
#include "../base/range.h"
#include "device.h"

uint64_t cma_dma_map_nbytes_max(const struct cma_device *device)
{
    struct cma_bounce *bounce = cma__device_bounce(device);

    if ((device->config.flags & CMA__DEVICE_BOUNCES) == 0) {
        return UINT64_MAX;
    }
    return bounce != NULL ? bounce->ops->nbytes_max(bounce, device) : 0;
}

/* Bytes of a span, inclusive. */
static void reach_span(const struct cma_frames *frames, uint32_t index, cma_paddr_t *first,
                       cma_paddr_t *last)
{
    const struct cma_span *span = &frames->spans[index];
    uint32_t shift = frames->port->page_shift;

    *first = span->pfn << shift;
    *last = *first + (((uint64_t)span->npages << shift) - 1);
}

bool cma_dma_is_limited(const struct cma_device *device)
{
    const struct cma_frames *frames = device->dma->frames;
    cma_paddr_t first, last;

    for (uint32_t i = 0; i < frames->nspans; i++) {
        struct cma_device_part part;

        reach_span(frames, i, &first, &last);
        /* Parts come in address order. */
        for (uint32_t j = 0; first <= last; j++) {
            if (cma__device_part(device, device->config.mask, j, &part) != 0) {
                return true;
            }
            if (part.last >= last && part.first <= first) {
                break;
            }
            if (part.first <= first && part.last >= first) {
                first = part.last + 1;
            }
        }
    }
    return false;
}

bool cma_dma_needs_sync(const struct cma_device *device)
{
    if (!cma__device_snoops(device)) {
        return true;
    }
    return cma__device_bounce(device) != NULL &&
           ((device->config.flags & CMA__DEVICE_BOUNCES) != 0 || device->dma->must_bounce != NULL ||
            cma_dma_is_limited(device));
}

cma_daddr_t cma_dma_required_mask(const struct cma_device *device)
{
    const struct cma_frames *frames = device->dma->frames;
    struct cma_device_part part;
    cma_paddr_t first, last;
    cma_daddr_t mask = 0;

    for (uint32_t i = 0; i < frames->nspans; i++) {
        reach_span(frames, i, &first, &last);
        for (uint32_t j = 0; cma__device_part(device, UINT64_MAX, j, &part) == 0; j++) {
            if (range_overlaps(part.first, part.last, first, last)) {
                mask |= bits_min(part.last, last) + part.bus_offset;
            }
        }
    }
    for (uint32_t shift = 1; shift < 64; shift *= 2) {
        mask |= mask >> shift;
    }
    return mask;
}

uint32_t cma_dma_align_nbytes(const struct cma_device *device)
{
    return cma__device_snoops(device) ? 1 : device->dma->port->cache_line_nbytes;
}
