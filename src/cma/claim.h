/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * claim.h - what area.c, claim.c and fit.c share
 */
#ifndef CMA_CMA_CLAIM_H
#define CMA_CMA_CLAIM_H

#include <cma/area.h>

/* --- fit.c: the arithmetic of windows, in pages, with inclusive ends ------------------- */

/* Which runs of frames would do. */
struct cma_window_want {
    uint64_t npages;          /* 1 up */
    uint64_t align_npages;    /* power of two, 1 up */
    uint64_t boundary_npages; /* power of two; 0: none */
    uint64_t phase;           /* alignment and boundary are those of pfn + phase (modulo 2^64) */
    cma_pfn_t first, last;    /* all frames lie in [first, last]; first > last: nothing does */
};

/* The lowest window that begins at or above `from`. Returns false when there is none. */
bool cma__window_next(const struct cma_window_want *want, cma_pfn_t from, cma_pfn_t *pfn);

/* Checks a request and says it in pages, cut to the area. Returns 0 or CMA_EINVAL. */
int cma__window_want(const struct cma_area *area, const struct cma_area_request *request,
                     struct cma_window_want *want);

/* --- claim.c --------------------------------------------------------------------------- */

/* Is `pfn` in the window of a claim in progress? The span's lock is held. */
bool cma__claim_covers(const struct cma_area *area, cma_pfn_t pfn);

/* --- area.c ---------------------------------------------------------------------------- */

/* The longest runs of an area. */
struct cma_area_runs {
    uint64_t free_npages, possible_npages;
    cma_pfn_t wanted;      /* in: whose owner is asked for, or CMA_PFN_NONE */
    uint32_t wanted_owner; /* out: the owner of the claimed buffer around it, else 0 */
};
/* Walks the area frame by frame. */
void cma__area_runs(struct cma_area *area, struct cma_area_runs *runs);

/* A host's lists: idle frames of lent blocks in [pfn, pfn + npages) go to it again. Nothing to do
 * where the allocator looks at the table itself. */
void cma__area_lend_again(struct cma_area *area, cma_pfn_t pfn, uint64_t npages);

/* Blocks that lie wholly in a claimed window are lent no more. */
void cma__area_unlend(struct cma_area *area, cma_pfn_t pfn, uint64_t npages);

#endif
