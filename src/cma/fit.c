/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fit.c - which runs of frames would serve a request
 *
 * Everything is counted in pages and with inclusive ends, so that no sum can pass 2^64 unseen: a
 * run fits below `last` if `npages - 1 <= last - pfn`, and that is how it is written.
 *
 * Alignment and boundary are wanted of the device's address, and the search goes over physical
 * ones. The two differ by a constant, the phase. It is added modulo 2^64 before low bits are looked
 * at; that is sound because alignment and boundary are powers of two and divide 2^64.
 */
#include "../base/range.h"
#include "claim.h"

/* How far `pfn` is from the next multiple of `power`, seen by the device. */
static uint64_t fit_gap(const struct cma_window_want *want, cma_pfn_t pfn, uint64_t power)
{
    return (0 - (pfn + want->phase)) & (power - 1);
}

/* Moves `pfn` up by `gap`. Returns false when no window begins there or above. */
static bool fit_advance(const struct cma_window_want *want, cma_pfn_t *pfn, uint64_t gap)
{
    if (*pfn > want->last || gap > want->last - *pfn) {
        return false;
    }
    *pfn += gap;
    return want->npages - 1 <= want->last - *pfn;
}

bool cma__window_next(const struct cma_window_want *want, cma_pfn_t from, cma_pfn_t *pfn)
{
    cma_pfn_t at = from > want->first ? from : want->first;
    uint64_t boundary = want->boundary_npages;

    if (boundary != 0 && want->npages > boundary) {
        return false;
    }
    if (!fit_advance(want, &at, 0) ||
        !fit_advance(want, &at, fit_gap(want, at, want->align_npages))) {
        return false;
    }
    if (boundary != 0) {
        uint64_t used = (at + want->phase) & (boundary - 1);

        /* Crosses: on to the boundary. It is aligned, or alignment is coarser than the boundary,
         * and then an aligned run begins on a boundary and can't get here. */
        if (want->npages > boundary - used && !fit_advance(want, &at, boundary - used)) {
            return false;
        }
    }
    *pfn = at;
    return true;
}

int cma__window_want(const struct cma_area *area, const struct cma_area_request *request,
                     struct cma_window_want *want)
{
    uint32_t shift = area->frames->port->page_shift;
    uint32_t mask = (UINT32_C(1) << shift) - 1;
    cma_paddr_t last = request->paddr_last == 0 ? CMA_PADDR_MAX : request->paddr_last;
    uint64_t boundary = request->boundary_nbytes;
    cma_pfn_t first_pfn, after_pfn;

    if (request->npages == 0 || request->paddr_first > last ||
        (request->flags & ~CMA_CLAIM_NOWAIT) != 0 || (request->bus_offset & mask) != 0) {
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
    want->first = area->span->pfn > first_pfn ? area->span->pfn : first_pfn;
    want->last = area->span->pfn + area->span->npages - 1;
    if (after_pfn == 0) {
        want->first = 1;
        want->last = 0;
    } else if (after_pfn - 1 < want->last) {
        want->last = after_pfn - 1;
    }
    return 0;
}
