/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * linux_area.h - an area of libcma whose buffers are placed as Linux 7.3 would (policy_linux.h)
 *
 * For `cma run --policy linux` and bench/gcma.c. A window is emptied piece by piece: each piece is
 * claimed at its place, with CMA_CLAIM_NOWAIT, so that what lies in it is really dropped or copied
 * before it is known whether the rest can be had. When a page of the window does not leave, the
 * pieces are released again and what moved stays moved. When all have left, the pieces are released
 * and the window is the caller's to take, at once.
 *
 * What costs Linux time and is not in the table of costs is left out, in Linux's favour: draining
 * the per-processor lists and disabling their caches for each window, isolating page blocks. A page
 * that does not move costs ten times an unmapping and mapping again in each try, which is also the
 * time in which a short reference may end.
 */
#ifndef CMA_TOOL_LINUX_AREA_H
#define CMA_TOOL_LINUX_AREA_H

#include "../ports/sim/sim.h"
#include "policy_linux.h"

#include <cma/area.h>

struct linux_area {
    struct policy_linux policy;
    struct sim *sim;
    struct cma_frames *frames;
    struct cma_area *area;
    uint32_t page_shift;
    bool busy; /* the mutex that Linux holds while it empties a window */
    uint64_t windows, windows_left;
    uint64_t windows_lost;  /* of those left: empty, and somebody got in at the end */
    uint64_t wasted_copies; /* of windows left */
    const char *violation;  /* what can't be; NULL: all is well */
};

struct linux_request {
    uint64_t npages;
    uint32_t order; /* of its alignment */
    void *ctx;
    /* The window is empty: takes it with one claim. Returns 0, or LINUX_EBUSY. */
    int (*take)(void *ctx, uint64_t first, uint64_t npages);
    /* The answer: where, or what stood in the way; CMA_PFN_NONE: nothing but buffers. */
    uint64_t page;
    cma_pfn_t obstacle;
};

/* Returns 0, or -1 when the host has no memory. */
int linux_area_init(struct linux_area *area, struct sim *sim, struct cma_frames *frames,
                    struct cma_area *memory, cma_pfn_t pfn, uint32_t page_shift);
void linux_area_free(struct linux_area *area);

/* Returns as policy_linux_alloc. */
int linux_area_alloc(struct linux_area *area, struct linux_request *request);

#endif
