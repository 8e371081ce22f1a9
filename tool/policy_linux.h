/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policy_linux.h - where Linux 7.3 places the buffers of an area, and what it moves for them
 *
 * An engine of its own, with a bitmap of its own, that knows nothing of libcma: whoever uses it
 * says in a struct of callbacks what the memory under the area looks like. `cma run --policy linux`
 * puts it on top of a simulated board, tests/peers on top of the same memory as Linux's own cma.c.
 *
 * Written from observed behaviour:
 *   - first fit: the lowest aligned run of clear bits, looked for from bit 0 at each request, not
 *     begun when fewer bits are clear than are wanted;
 *   - the bits are set, then the run is emptied, in batches of up to 32 pages that somebody has. A
 *     batch is tried five times; what moved stays moved;
 *   - a page that does not leave costs the window: its bits are cleared, and the search goes on one
 *     alignment step behind the beginning of the window, up to the end, once;
 *   - want of memory to move to ends the request at once.
 */
#ifndef CMA_TOOL_POLICY_LINUX_H
#define CMA_TOOL_POLICY_LINUX_H

#include <stdbool.h>
#include <stdint.h>

enum {
    LINUX_ENOMEM = -12,
    LINUX_EBUSY = -16,
    LINUX_BATCH = 32,    /* pages isolated and moved together */
    LINUX_TRIES = 5,     /* for a batch */
    LINUX_ORDER_MAX = 8, /* the alignment that dma_alloc_coherent asks for at most: 2^8 pages */
    LINUX_PASSES = 10    /* over the pages of a batch that would not move, in one try */
};

/* The memory under an area; pages are numbered from its first one. One struct for each request. */
struct linux_memory {
    void *ctx;
    /* A window is chosen: nobody gets a page of it from now on. */
    void (*begin)(void *ctx, uint64_t first, uint64_t npages);
    /* Has somebody got this page? */
    bool (*used)(void *ctx, uint64_t page);
    /* Empties what can be emptied of these pages. Returns how many did not leave, or LINUX_ENOMEM.
     */
    int64_t (*migrate)(void *ctx, uint64_t first, uint64_t npages);
    /* error 0: the window is empty, take it; returns 0, or LINUX_EBUSY when that is not so after
     * all. Otherwise it is given up; what is returned is not looked at. */
    int (*end)(void *ctx, uint64_t first, uint64_t npages, int error);
};

struct policy_linux {
    uint64_t *bits;     /* 1: a buffer's, or being emptied for one */
    uint64_t first_pfn; /* alignment is judged on frame numbers */
    uint64_t npages, available;
    uint64_t windows, windows_left; /* chosen; of these, given up */
};

/* Returns 0, or -1 when the host has no memory. */
int policy_linux_init(struct policy_linux *policy, uint64_t first_pfn, uint64_t npages);
void policy_linux_free(struct policy_linux *policy);

/* The smallest order with 2^order >= npages, but LINUX_ORDER_MAX at most. */
uint32_t policy_linux_order(uint64_t npages);

/*
 * A run of `npages` aligned to 2^order pages: 0 and its first page, or what Linux's log would say:
 * LINUX_EBUSY (also where no window was left to try) or LINUX_ENOMEM. Requests of one area may
 * overlap in time as far as the callbacks let them.
 */
int policy_linux_alloc(struct policy_linux *policy, const struct linux_memory *memory,
                       uint64_t npages, uint32_t order, uint64_t *page);

/* The buffer's pages are free again already. */
void policy_linux_release(struct policy_linux *policy, uint64_t page, uint64_t npages);

#endif
