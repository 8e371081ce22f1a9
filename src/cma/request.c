/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * request.c - a request for a window, checked and said in pages
 */
#include "../base/range.h"
#include "claim.h"

int cma__window_want(const struct cma_area *area, const struct cma_area_request *request,
                     struct cma_window_want *want)
{
    uint32_t shift = area->frames->port->page_shift;
    uint32_t mask = (UINT32_C(1) << shift) - 1;
    cma_paddr_t last = request->paddr_last == 0 ? CMA_PADDR_MAX : request->paddr_last;
    uint64_t boundary = request->boundary_nbytes;
    uint32_t lives = CMA_CLAIM_LONG | CMA_CLAIM_SHORT;
    cma_pfn_t first_pfn, after_pfn;

    if (request->npages == 0 || request->paddr_first > last ||
        (request->flags & ~(CMA_CLAIM_NOWAIT | lives)) != 0 || (request->flags & lives) == lives ||
        (request->bus_offset & mask) != 0) {
        return CMA_EINVAL;
    }
    if (request->align_npages != 0 && !range_is_power_of_two(request->align_npages)) {
        return CMA_EINVAL;
    }
    if (boundary != 0 &&
        (!range_is_power_of_two(boundary) || boundary >> shift < request->npages)) {
        return CMA_EINVAL;
    }
    /* Whole pages inside [paddr_first, last]; 2^64 >> shift still fits. */
    first_pfn = (request->paddr_first >> shift) + ((request->paddr_first & mask) != 0);
    after_pfn = (last >> shift) + ((last & mask) == mask);

    want->npages = request->npages;
    want->align_npages = request->align_npages == 0 ? 1 : request->align_npages;
    want->boundary_npages = boundary >> shift;
    want->phase = request->bus_offset >> shift;
    want->from_top = (request->flags & CMA_CLAIM_LONG) != 0;
    want->from_bottom = (request->flags & CMA_CLAIM_SHORT) != 0;
    want->first = area->pfn > first_pfn ? area->pfn : first_pfn;
    want->last = area->pfn + area->npages - 1;
    if (after_pfn == 0) {
        want->first = 1;
        want->last = 0;
    } else if (after_pfn - 1 < want->last) {
        want->last = after_pfn - 1;
    }
    return 0;
}
