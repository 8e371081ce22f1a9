/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bus.h - windows of buses behind each other
 */
#ifndef CMA_BASE_BUS_H
#define CMA_BASE_BUS_H

#include <cma/types.h>

/* Of a window: what is added to its first byte's address to get its last byte's. nbytes 0 stands
 * for all 2^64. */
static inline uint64_t bus_window_last(const struct cma_bus_window *window)
{
    return window->nbytes - 1;
}

/* The part of `inner` (which ends in the addresses of the bus that `outer` looks out of) that gets
 * through `outer`; false when there is none. Whole address spaces need no special case. */
static inline bool bus_cut(const struct cma_bus_window *inner, const struct cma_bus_window *outer,
                           struct cma_bus_window *cut)
{
    uint64_t inner_last = inner->paddr + bus_window_last(inner);
    uint64_t outer_last = outer->daddr + bus_window_last(outer);
    uint64_t first = inner->paddr > outer->daddr ? inner->paddr : outer->daddr;
    uint64_t last = inner_last < outer_last ? inner_last : outer_last;

    if (first > last) {
        return false;
    }
    cut->daddr = inner->daddr + (first - inner->paddr);
    cut->paddr = outer->paddr + (first - outer->daddr);
    cut->nbytes = last - first + 1;
    return true;
}

#endif
