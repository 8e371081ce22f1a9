/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * movers.h - simulated programs that hold memory: object stores
 *
 * An object is one page with a pattern that is made from (store, object, generation), so that every
 * byte can be checked. All stores have the same functions; they differ in how a page is held while
 * libcma moves it:
 *
 *   page cache     clean pages can be dropped and come back from a simulated disk; before a page
 * gets dirty its frame is kept, after it was written back it may be dropped again. A page lock is
 * held by who writes and by who moves. anonymous      a page table entry for each page. Writers go
 * through a translation that they have read before, until a TLB flush takes it away; freeze removes
 * the entry, and who finds it removed waits. Forget the flush, and writes are lost. handles a heap
 * of handles with lock counts: a locked handle refuses to move refusing       anonymous pages that
 * refuse to move, always or refuse_n times of refuse_m slow           anonymous pages whose freeze
 * takes slow_ns
 *
 * Works with fibres and with threads. Each object has two locks: one that its program holds during
 * a whole operation, allocations included, and that callbacks never take; and one that callbacks
 * take for a moment. Calls that get CMA_EAGAIN from libcma look the object up again and retry.
 */
#ifndef SIM_MOVERS_H
#define SIM_MOVERS_H

#include <cma/pages.h>

#include "sim.h"

enum sim_store_type {
    SIM_STORE_CACHE,
    SIM_STORE_ANON,
    SIM_STORE_HANDLES,
    SIM_STORE_REFUSING,
    SIM_STORE_SLOW
};

struct sim_store_config {
    enum sim_store_type type;
    const char *name;
    uint32_t capacity;      /* objects */
    cma_paddr_t paddr_last; /* data may lie up to here; 0: anywhere */
    uint64_t seed;          /* different patterns for stores of one simulation */
    uint32_t pages_flags;   /* CMA_PAGES_* of its requests */
    bool may_refuse;        /* SIM_FAULT_FREEZE and _DISCARD apply (handles, refusing: always so) */
    bool needs_memory;      /* declares CMA_MOVER_NEEDS_MEMORY */
    bool pins_in_place;     /* pins with cma_frame_pin_in_place: nothing moves for a pin */
    uint32_t refuse_n, refuse_m; /* refusing; both 0: always */
    uint64_t slow_ns;            /* slow; 0: 1 ms */
};

struct sim_store;

/*
 * Makes a store and registers its mover. Ends the process when the host has no memory or the table
 * no place for another mover. The store must live as long as `frames` is in use.
 */
struct sim_store *sim_store_create(struct sim *sim, struct cma_frames *frames,
                                   struct cma_pages *pages, const struct sim_store_config *config);
void sim_store_destroy(struct sim_store *store);         /* frees host memory only, no frames */
uint32_t sim_store_mover(const struct sim_store *store); /* its number */

/*
 * Objects. `id` names one until it is removed, and may be used again then. All return 0 or one of:
 *   CMA_ENOENT   no such object, or (pin, ref) its page was dropped
 *   others       what libcma said: cma_pages_alloc, cma_frame_pin, cma_frame_ref; CMA_ENOMEM also
 *                where a page in a promised slot has to leave it (for a write, a pin or a
 *                reference) and there is nowhere to go: all is as it was, try again later
 * May sleep.
 */
/* Allocates a page and writes its first pattern. CMA_ENOSPC: the store is full. */
int sim_store_add(struct sim_store *store, uint32_t *id, struct cma_refusal *refusal);
/* Writes the next pattern over the old one; a dropped page comes back first. */
int sim_store_rewrite(struct sim_store *store, uint32_t id);
/* A dropped page comes back from disk, others stay as they are. */
int sim_store_touch(struct sim_store *store, uint32_t id);
/* Checks every byte; true if all are right or the page was dropped (the disk has it). Wrong bytes
 * are counted as lost, once. */
bool sim_store_verify(struct sim_store *store, uint32_t id);
/* Checks and frees. CMA_EBUSY: pinned, referenced or locked. */
int sim_store_remove(struct sim_store *store, uint32_t id);
/* A dirty page of a cache goes to disk and may be dropped. Others: nothing happens. */
int sim_store_writeback(struct sim_store *store, uint32_t id);
int sim_store_pin(struct sim_store *store, uint32_t id);
int sim_store_unpin(struct sim_store *store, uint32_t id);
int sim_store_ref(struct sim_store *store, uint32_t id);
int sim_store_unref(struct sim_store *store, uint32_t id);
/* Handles: a locked handle does not move (and its mover refuses). Counts. */
int sim_store_lock(struct sim_store *store, uint32_t id);
int sim_store_unlock(struct sim_store *store, uint32_t id);

/* All objects, in order of id. Returns false when a byte of one was wrong. */
bool sim_store_verify_all(struct sim_store *store);

struct sim_store_object {
    uint32_t id;
    cma_pfn_t pfn; /* CMA_PFN_NONE when dropped */
    bool dirty, frozen;
    uint32_t generation, pins, refs, locks;
};
/* Calls `visit` for each object until it returns false. Others must be quiet. */
void sim_store_walk(struct sim_store *store,
                    bool (*visit)(void *arg, const struct sim_store_object *object), void *arg);

struct sim_store_counts {
    uint64_t live;    /* objects, dropped ones included */
    uint64_t present; /* of them with a page */
    uint64_t absent;  /* of them dropped now */
    uint64_t dirty;   /* of them dirty (page cache) */
    uint64_t added, removed, rewritten, written_back, refilled;
    uint64_t frozen, moved, aborted, dropped; /* callbacks that did it */
    uint64_t refused;                         /* callbacks that answered CMA_EBUSY */
    uint64_t moved_out; /* frames of slots, to get dirty, referenced or pinned */
    uint64_t waited;    /* times that a user found its page frozen and waited */
    uint64_t retried;   /* CMA_EAGAIN met */
    uint64_t lost_bytes;
};
void sim_store_counts(struct sim_store *store, struct sim_store_counts *counts);
/* The objects that have a page, without looking at each. */
uint64_t sim_store_present(const struct sim_store *store);
/* The frame of one of the objects, CMA_PFN_NONE when it has none: a look, it may change at once. */
cma_pfn_t sim_store_pfn(struct sim_store *store, uint32_t id);

#endif
