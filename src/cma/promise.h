/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * promise.h - what admit.c and guarantee.c share
 */
#ifndef CMA_CMA_PROMISE_H
#define CMA_CMA_PROMISE_H

#include <cma/guarantee.h>

#include "../base/guard.h"

#include "../frame/slot.h"
#include "claim.h"

static inline uintptr_t promise_lock(struct cma_guarantees *all)
{
    return guard_lock(all->slots.frames->port, &all->slots.lock);
}

static inline void promise_unlock(struct cma_guarantees *all, uintptr_t state)
{
    guard_unlock(all->slots.frames->port, &all->slots.lock, state);
}

/* What one block of it asks an area for. */
static inline struct cma_area_request promise_block(const struct cma_guarantee_request *request)
{
    return (struct cma_area_request){
        .npages = request->npages,
        .align_npages = request->align_npages,
        .paddr_first = request->paddr_first,
        .paddr_last = request->paddr_last,
        .boundary_nbytes = request->boundary_nbytes,
        .bus_offset = request->bus_offset,
        .owner = request->owner,
    };
}

/* Admissions and revocations go one after the other. Returns 0 or CMA_EAGAIN. May sleep. */
int cma__promise_enter(struct cma_guarantees *all);
void cma__promise_exit(struct cma_guarantees *all);

/* Changes the area's counts: frames of slots, frames in devices' hands. */
void cma__promise_count(struct cma_area *area, uint64_t slot_npages, uint64_t claimed_npages);

/* May the guarantee have this slot's block, and where in it? */
bool cma__promise_fits(const struct cma_guarantee *guarantee, const struct cma_slot *slot,
                       cma_pfn_t *pfn);

/*
 * Empties a slot whose state is TAKING: nobody has anything in it afterwards. Returns 0, or
 * CMA_EAGAIN (a mover is just letting go of a frame, and the port can't wait), CMA_EBUSY,
 * CMA_ENOMEM (a mover broke its word). Adds to *work. May sleep.
 */
int cma__promise_empty(struct cma_guarantees *all, struct cma_slot *slot,
                       struct cma_guarantee_work *work);

/* Opens a slot for frames to come and go (in a host's lists, too). Its state is not LENT. */
void cma__promise_lend(struct cma_guarantees *all, struct cma_slot *slot);
/* Nobody borrows any more: the state of a slot that was LENT is TAKING already. */
void cma__promise_unlend(struct cma_guarantees *all, struct cma_slot *slot);

/* The lowest block of the guarantee that is out and begins at `from` or above; false: there is
 * none. Sleeps: no. */
bool cma__guarantee_block(const struct cma_guarantee *guarantee, cma_pfn_t from, cma_pfn_t *pfn);
/* Blocks that were taken so far are not counted: they were taken on trial. Sleeps: no. */
void cma__guarantee_forget(struct cma_guarantee *guarantee);

#endif
