/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * glue.h - what the author of hostalloc writes to have areas: libcma over an allocator that stays
 */
#ifndef GLUE_H
#define GLUE_H

#include <cma/area.h>
#include <cma/pages.h> /* struct cma_pages_request; nothing of src/buddy is linked */

#include "hostalloc.h"

struct glue {
    pthread_mutex_t lock;
    struct host *host;
    const struct cma_port *port;
    struct cma_frames *frames;
    struct cma_area *areas;
    uint32_t nareas;
    struct cma_pages_ops ops; /* for cma_area_init and cma_dma_init */
};

/* `frames` was made with areas_only; the areas may be begun later. */
void glue_init(struct glue *glue, struct host *host, const struct cma_port *port,
               struct cma_frames *frames, struct cma_area *areas, uint32_t nareas);

/* A page up to paddr_last for a mover, lent or the host's own: 0 and *pfn, or CMA_ENOMEM. */
int glue_get(struct glue *glue, const struct cma_holder *holder, cma_paddr_t paddr_last,
             cma_pfn_t *pfn);
/* Gives it back: 0, or CMA_EAGAIN, CMA_EBUSY, CMA_EBADF as cma_frame_release. */
int glue_put(struct glue *glue, cma_pfn_t pfn);
/* For movers, in commit (the page `from`) and discard: they have this page no more. */
void glue_gone(struct glue *glue, cma_pfn_t pfn);

#endif
