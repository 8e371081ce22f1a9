/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * claim.h - what the files of this folder share
 */
#ifndef CMA_CMA_CLAIM_H
#define CMA_CMA_CLAIM_H

#include <cma/area.h>

#include "../frame/fit.h"

/* --- request.c ------------------------------------------------------------------------- */

/* Checks a request and says it in pages, cut to the part of the area that is for its size. Returns
 * 0, CMA_EINVAL, or CMA_ENOMEM (larger than that part; *want is filled all the same). */
int cma__window_want(const struct cma_area *area, const struct cma_area_request *request,
                     struct cma_window_want *want);

/* --- claim.c --------------------------------------------------------------------------- */

/* Is `pfn` in the window of a claim in progress? The area's lock is held, or
 * other threads are quiet. */
bool cma__claim_covers(const struct cma_area *area, cma_pfn_t pfn);

/* The lowest window of a claim in progress that ends at or above `from`; false: there is none. */
bool cma__claim_booked_next(struct cma_area *area, cma_pfn_t from, cma_pfn_t *first,
                            cma_pfn_t *last);

/*
 * Who found no window, having read the event and area->generation (cma__claims_seen) before: 1
 * (some claim has ended since, or something that passes: look again), 0 (nothing is in progress:
 * what was found is the truth), or CMA_EAGAIN (a claim is, and is paused or can't be waited for).
 * May sleep.
 */
int cma__claims_wait(struct cma_area *area, uint32_t event, uint32_t generation);
uint32_t cma__claims_seen(struct cma_area *area);

/* As cma_claim_start. Flags: */
#define CMA__CLAIM_UNEXPLAINED (1u << 3) /* nobody will read the refusal */
#define CMA__CLAIM_AT_ONCE (1u << 4)     /* may sleep */
int cma__claim_start(struct cma_claim *claim, struct cma_area *area,
                     const struct cma_area_request *request, uint32_t flags);

/* --- area.c ---------------------------------------------------------------------------- */

/* cma_area_alloc, by a claim from beginning to end. */
int cma__area_alloc_by_claim(struct cma_area *area, const struct cma_area_request *request,
                             cma_pfn_t *pfn, struct cma_refusal *refusal);
/* cma_area_release of a frame of the area, in whatever lanes the buffer lies. */
int cma__area_release_any(struct cma_area *area, cma_pfn_t pfn, uint64_t npages, uint32_t owner);

/* Frames were released: claims that wait look again. */
void cma__area_changed(struct cma_area *area);

/* A host's lists: idle frames of lent blocks in [pfn, pfn + npages) go to it again. Nothing to do
 * where the allocator looks at the table itself. */
void cma__area_lend_again(struct cma_area *area, cma_pfn_t pfn, uint64_t npages);

/* Blocks that lie wholly in a claimed window are lent no more. */
void cma__area_unlend(struct cma_area *area, cma_pfn_t pfn, uint64_t npages);

#endif
