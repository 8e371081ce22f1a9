/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * claim.h - what the files of this folder share
 */
#ifndef CMA_CMA_CLAIM_H
#define CMA_CMA_CLAIM_H

#include <cma/area.h>

#include "../frame/fit.h"

/* --- request.c ------------------------------------------------------------------------- */

/* Checks a request and says it in pages, cut to the area. Returns 0 or CMA_EINVAL. */
int cma__window_want(const struct cma_area *area, const struct cma_area_request *request,
                     struct cma_window_want *want);

/* --- claim.c --------------------------------------------------------------------------- */

/* Is `pfn` in the window of a claim in progress? The area's lock is held, or
 * other threads are quiet. */
bool cma__claim_covers(const struct cma_area *area, cma_pfn_t pfn);

/* --- area.c ---------------------------------------------------------------------------- */

/* Frames in devices' hands, as last seen. */
uint64_t cma__area_claimed(const struct cma_area *area);
/* Frames were released: claims that wait look again. */
void cma__area_changed(struct cma_area *area);

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
