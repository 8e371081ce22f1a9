/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fit.h - the arithmetic of windows, in pages, with inclusive ends
 */
#ifndef CMA_FRAME_FIT_H
#define CMA_FRAME_FIT_H

#include <cma/types.h>

/* Which runs of frames would do. */
struct cma_window_want {
    uint64_t npages;          /* 1 up */
    uint64_t align_npages;    /* power of two, 1 up */
    uint64_t boundary_npages; /* power of two; 0: none */
    uint64_t phase;           /* alignment and boundary are those of pfn + phase (modulo 2^64) */
    cma_pfn_t first, last;    /* all frames lie in [first, last]; first > last: nothing does */
    bool from_top;            /* the highest that would do, where an index helps to find it */
    bool from_bottom;         /* the lowest place of a run, where an index finds the run */
};

/* The lowest window that begins at or above `from`. Returns false when there is none. */
bool cma__window_next(const struct cma_window_want *want, cma_pfn_t from, cma_pfn_t *pfn);
/* The highest window. Returns false when there is none. */
bool cma__window_prev(const struct cma_window_want *want, cma_pfn_t *pfn);

#endif
