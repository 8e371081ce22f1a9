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
#include "fit.h"

#include "../base/bits.h"

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

/* Moves `pfn` down by `gap`. Returns false when no window begins there or below. */
static bool fit_retreat(const struct cma_window_want *want, cma_pfn_t *pfn, uint64_t gap)
{
    if (*pfn < want->first || gap > *pfn - want->first) {
        return false;
    }
    *pfn -= gap;
    return true;
}

bool cma__window_prev(const struct cma_window_want *want, cma_pfn_t *pfn)
{
    uint64_t boundary = want->boundary_npages;
    cma_pfn_t at = want->last - (want->npages - 1);

    if (want->npages - 1 > want->last || (boundary != 0 && want->npages > boundary) ||
        !fit_retreat(want, &at, 0) ||
        !fit_retreat(want, &at, (at + want->phase) & (want->align_npages - 1))) {
        return false;
    }
    if (boundary != 0) {
        uint64_t used = (at + want->phase) & (boundary - 1);

        /* Crosses: the window is to end at the boundary, or at the next place below that is
         * aligned; the larger of the two powers of two is a multiple of the other. */
        if (want->npages > boundary - used &&
            (!fit_retreat(want, &at, want->npages - (boundary - used)) ||
             !fit_retreat(want, &at, (at + want->phase) & (want->align_npages - 1)))) {
            return false;
        }
    }
    *pfn = at;
    return true;
}
