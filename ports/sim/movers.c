/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * movers.c - simulated programs that hold memory: object stores
 *
 * The life of an object's page:
 *
 *     UNUSED -> ALLOCATING -> PRESENT -> UNUSED
 *                   ^            |
 *                   +- ABSENT <--+  (dropped; cache only)
 *
 * cma_pages_alloc publishes a frame before it returns, so a claim may want to move it before this
 * file has heard of it. The callback then tells us: it finds ALLOCATING, and the frame becomes the
 * object's there and then; who allocated sees that and forgets the frame number that it was given.
 *
 * Frames of slots that devices were promised (cma/guarantee.h) are lent to stores that never refuse
 * and need no memory. What gets dirty, referenced or pinned there moves out first; where that has
 * nowhere to go, the call answers CMA_ENOMEM, and the program tries again when it likes.
 *
 * While `mutex` is held, calls of libcma that do not sleep are safe: a frame that is being moved
 * answers CMA_EAGAIN, and one that is not can't begin to be without going through freeze, which
 * waits for the mutex. So keep, allow_drop, ref and free never hit a frame that has changed hands.
 * Pin sleeps and calls back: it is done without the mutex, and checked afterwards.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "movers.h"
#include "private.h"

#define MOVERS_RETRY_NS 1000u
#define MOVERS_RETRIES_MAX 1000000u

enum store_state { STORE_UNUSED, STORE_ALLOCATING, STORE_PRESENT, STORE_ABSENT };

struct store_object {
    struct sim_mutex user;  /* held by its program during an operation */
    struct sim_mutex mutex; /* protects the rest; callbacks take it */
    cma_pfn_t pfn;
    uint32_t generation; /* what the page ought to hold */
    uint32_t disk;       /* what the disk holds (cache) */
    uint16_t pins, refs, locks;
    uint8_t state;
    bool dirty, frozen, damaged;
};

struct sim_store {
    struct sim *sim;
    const struct cma_port *port;
    struct cma_frames *frames;
    struct cma_pages *pages;
    struct sim_store_config config;
    struct cma_mover mover;
    uint32_t number;
    uint32_t page_nbytes;
    uint64_t seed;
    struct store_object *objects;
    struct sim_mutex ids_mutex;
    uint32_t *free_ids; /* a stack */
    uint32_t nfree;
    uint32_t event, waiters;        /* atomic */
    uint64_t draws;                 /* atomic: of refusals */
    struct sim_store_counts counts; /* atomic */
};

#define STORE_COUNT(store, what, n) \
    ((void)__atomic_fetch_add(&(store)->counts.what, (uint64_t)(n), __ATOMIC_RELAXED))

/* --- patterns ------------------------------------------------------------------------------ */

static void store_pattern(const struct sim_store *store, uint32_t id, uint32_t generation,
                          uint32_t at, uint64_t *words, uint32_t nbytes)
{
    uint64_t state = store->seed ^ ((uint64_t)id << 32 | generation), base = sim_mix(&state);

    for (uint32_t i = 0; i < nbytes / 8; i++) {
        uint64_t x = base + (at / 8 + i) * 0x9e3779b97f4a7c15u;
        words[i] = x ^ (x >> 29);
    }
}

static uint64_t store_differences(const uint8_t *a, const uint8_t *b, uint32_t nbytes)
{
    uint64_t n = 0;

    if (memcmp(a, b, nbytes) == 0)
        return 0;
    for (uint32_t i = 0; i < nbytes; i++)
        n += a[i] != b[i];
    return n;
}

/* --- callbacks ----------------------------------------------------------------------------- */

static struct store_object *store_callback(struct sim_store *store, uint32_t cookie,
                                           enum sim_cost cost)
{
    if (sim_actor(store->sim)->locks)
        sim_violate(store->sim, SIM_LOCK, "mover called with a lock held, object", cookie);
    sim_spend_ns(store->sim, sim_cost_ns(cost));
    if (cookie < store->config.capacity)
        return &store->objects[cookie];
    sim_violate(store->sim, SIM_PROTOCOL, "no such object", cookie);
    return NULL;
}

/* Should this callback refuse? */
static bool store_refuses(struct sim_store *store, enum sim_fault fault)
{
    const struct sim_store_config *config = &store->config;

    if (!(store->mover.flags & CMA_MOVER_MAY_REFUSE))
        return false;
    bool refuses = sim_fault_now(store->sim, fault);
    if (config->type == SIM_STORE_REFUSING) {
        uint64_t draw = store->seed + __atomic_fetch_add(&store->draws, 1, __ATOMIC_RELAXED);
        refuses = refuses || config->refuse_m == 0 ||
                  (uint32_t)(sim_mix(&draw) >> 32) % config->refuse_m < config->refuse_n;
    }
    if (refuses)
        STORE_COUNT(store, refused, 1);
    return refuses;
}

static int store_freeze(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct sim_store *store = ctx;
    struct store_object *object = store_callback(store, cookie, SIM_COST_FREEZE_PAGE);
    int result = CMA_OK;

    if (!object)
        return CMA_ENOENT;
    if (store->config.type == SIM_STORE_SLOW)
        sim_sleep_ns(store->sim, store->config.slow_ns);
    if (store_refuses(store, SIM_FAULT_FREEZE))
        return CMA_EBUSY;
    sim_lock(store->sim, &object->mutex);
    if (object->state == STORE_ALLOCATING) {
        object->pfn = pfn;
        object->state = STORE_PRESENT;
    }
    if (object->state != STORE_PRESENT || object->pfn != pfn) {
        result = CMA_ENOENT;
    } else if (object->frozen) {
        sim_violate(store->sim, SIM_PROTOCOL, "frozen twice, frame", pfn);
        result = CMA_ENOENT;
    } else if (object->locks) {
        STORE_COUNT(store, refused, 1);
        result = CMA_EBUSY;
    } else {
        object->frozen = true;
        STORE_COUNT(store, frozen, 1);
    }
    sim_unlock(store->sim, &object->mutex);
    /* Without an MMU there is no flush that stops a writer: the mover does it itself. */
    if (result == CMA_OK && !store->port->tlb_flush) {
        sim_enter(store->sim);
        store->sim->tlb_generation++;
        sim_leave(store->sim);
    }
    return result;
}

static void store_thaw(struct sim_store *store, cma_pfn_t from, cma_pfn_t to, uint32_t cookie)
{
    struct store_object *object = store_callback(store, cookie, SIM_COST_COMMIT_PAGE);

    if (!object)
        return;
    sim_lock(store->sim, &object->mutex);
    if (!object->frozen || object->pfn != from)
        sim_violate(store->sim, SIM_PROTOCOL, "commit or abort without freeze, frame", from);
    else
        object->pfn = to;
    object->frozen = false;
    __atomic_fetch_add(&store->event, 1, __ATOMIC_RELEASE);
    sim_unlock(store->sim, &object->mutex);
    if (__atomic_load_n(&store->waiters, __ATOMIC_ACQUIRE) && store->port->wake)
        store->port->wake(store->port->ctx, &store->event);
}

static void store_commit(void *ctx, cma_pfn_t from, cma_pfn_t to, uint32_t cookie)
{
    struct sim_store *store = ctx;

    if (to << store->port->page_shift > store->mover.paddr_last)
        sim_violate(store->sim, SIM_PROTOCOL, "moved out of the mover's reach, to frame", to);
    STORE_COUNT(store, moved, 1);
    store_thaw(store, from, to, cookie);
}

static void store_abort(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct sim_store *store = ctx;

    STORE_COUNT(store, aborted, 1);
    store_thaw(store, pfn, pfn, cookie);
}

static int store_discard(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct sim_store *store = ctx;
    struct store_object *object = store_callback(store, cookie, SIM_COST_DISCARD_PAGE);
    int result = CMA_OK;

    if (!object)
        return CMA_ENOENT;
    if (store_refuses(store, SIM_FAULT_DISCARD))
        return CMA_EBUSY;
    sim_lock(store->sim, &object->mutex);
    if (object->state == STORE_ALLOCATING) {
        object->state = STORE_ABSENT;
    } else if (object->state != STORE_PRESENT || object->pfn != pfn) {
        result = CMA_ENOENT;
    } else if (object->frozen) {
        sim_violate(store->sim, SIM_PROTOCOL, "discarded while frozen, frame", pfn);
        result = CMA_EBUSY;
    } else if (object->dirty) {
        STORE_COUNT(store, refused, 1);
        result = CMA_EBUSY;
    } else {
        if (object->pins || object->refs)
            sim_violate(store->sim, SIM_PROTOCOL, "discarded while pinned, frame", pfn);
        if (object->generation != object->disk)
            STORE_COUNT(store, lost_bytes, store->page_nbytes);
        object->state = STORE_ABSENT;
        object->pfn = CMA_PFN_NONE;
        STORE_COUNT(store, present, -1);
    }
    if (result == CMA_OK)
        STORE_COUNT(store, dropped, 1);
    sim_unlock(store->sim, &object->mutex);
    return result;
}

/* --- looking an object up ------------------------------------------------------------------ */

static struct store_object *store_enter(struct sim_store *store, uint32_t id)
{
    struct store_object *object;

    if (id >= store->config.capacity)
        return NULL;
    object = &store->objects[id];
    sim_lock(store->sim, &object->user);
    sim_lock(store->sim, &object->mutex);
    bool used = object->state != STORE_UNUSED;
    sim_unlock(store->sim, &object->mutex);
    if (used)
        return object;
    sim_unlock(store->sim, &object->user);
    return NULL;
}

static int store_leave(struct sim_store *store, struct store_object *object, int result)
{
    sim_unlock(store->sim, &object->user);
    return result;
}

/* Takes the mutex of an object that is not frozen, waiting until it is not. */
static void store_lock_thawed(struct sim_store *store, struct store_object *object)
{
    sim_lock(store->sim, &object->mutex);
    while (object->frozen) {
        uint32_t seen = __atomic_load_n(&store->event, __ATOMIC_ACQUIRE);
        __atomic_fetch_add(&store->waiters, 1, __ATOMIC_ACQ_REL);
        sim_unlock(store->sim, &object->mutex);
        STORE_COUNT(store, waited, 1);
        store->port->wait(store->port->ctx, &store->event, seen);
        __atomic_fetch_sub(&store->waiters, 1, __ATOMIC_ACQ_REL);
        sim_lock(store->sim, &object->mutex);
    }
}

/* libcma said CMA_EAGAIN: the frame is about to be moved, and freeze has not been called yet. */
static void store_pause(struct sim_store *store, uint32_t *retries)
{
    STORE_COUNT(store, retried, 1);
    if (++*retries == MOVERS_RETRIES_MAX)
        sim_die(store->sim, "a frame answers CMA_EAGAIN for ever", store->config.name);
    sim_sleep_ns(store->sim, MOVERS_RETRY_NS);
}

/* A frame leaves its promised slot. Without the object's mutex, so it may be somebody else's by
 * now; that does no harm. Returns 0 (look again), or CMA_ENOMEM: all that is free is promised. */
static int store_move_out(struct sim_store *store, cma_pfn_t pfn, uint32_t *retries)
{
    cma_pfn_t to = CMA_PFN_NONE;
    int result = cma_frame_move_out(store->frames, pfn, &to);

    if (result == CMA_OK) {
        STORE_COUNT(store, moved_out, 1);
        return CMA_OK;
    }
    if (result == CMA_ENOMEM)
        return result;
    store_pause(store, retries);
    return CMA_OK;
}

static cma_paddr_t store_paddr(const struct sim_store *store, cma_pfn_t pfn)
{
    return pfn << store->port->page_shift;
}

/* --- reading and writing a page ------------------------------------------------------------ */

/* One piece of a page that is stable: by the page lock, or by the lock count of a handle. */
static uint64_t store_piece(struct sim_store *store, enum sim_op op, uint32_t id,
                            const struct store_object *object, cma_pfn_t pfn, uint32_t at)
{
    uint64_t words[SIM_CHUNK / 8], seen[SIM_CHUNK / 8];
    cma_paddr_t paddr = store_paddr(store, pfn) + at;

    store_pattern(store, id, object->generation, at, words, SIM_CHUNK);
    if (op == SIM_OP_WRITE) {
        sim_write_paddr(store->sim, paddr, words, SIM_CHUNK);
        return 0;
    }
    sim_read_paddr(store->sim, paddr, seen, SIM_CHUNK);
    return store_differences((uint8_t *)words, (uint8_t *)seen, SIM_CHUNK);
}

/* A page behind a page table entry: goes on with the translation that it has until a flush. */
static uint64_t store_through_entry(struct sim_store *store, enum sim_op op, uint32_t id,
                                    struct store_object *object)
{
    uint64_t words[SIM_CHUNK / 8], seen[SIM_CHUNK / 8], generation = 0, wrong = 0;
    cma_pfn_t pfn = CMA_PFN_NONE;

    for (uint32_t at = 0; at < store->page_nbytes; at += SIM_CHUNK) {
        bool done = false;
        store_pattern(store, id, object->generation, at, words, SIM_CHUNK);
        while (!done) {
            if (pfn == CMA_PFN_NONE) {
                /* In this order: an entry that goes away after it was read is noticed. */
                generation = sim_tlb_generation(store->sim);
                store_lock_thawed(store, object);
                pfn = object->pfn;
                sim_unlock(store->sim, &object->mutex);
            }
            cma_paddr_t paddr = store_paddr(store, pfn) + at;
            done = op == SIM_OP_WRITE
                       ? sim_user_write(store->sim, generation, paddr, words, SIM_CHUNK)
                       : sim_user_read(store->sim, generation, paddr, seen, SIM_CHUNK);
            if (!done)
                pfn = CMA_PFN_NONE;
        }
        if (op == SIM_OP_READ)
            wrong += store_differences((uint8_t *)words, (uint8_t *)seen, SIM_CHUNK);
    }
    return wrong;
}

/* A handle is locked as long as somebody uses its address. */
static uint64_t store_through_handle(struct sim_store *store, enum sim_op op, uint32_t id,
                                     struct store_object *object)
{
    uint64_t wrong = 0;

    store_lock_thawed(store, object);
    object->locks++;
    cma_pfn_t pfn = object->pfn;
    sim_unlock(store->sim, &object->mutex);
    for (uint32_t at = 0; at < store->page_nbytes; at += SIM_CHUNK)
        wrong += store_piece(store, op, id, object, pfn, at);
    sim_lock(store->sim, &object->mutex);
    object->locks--;
    sim_unlock(store->sim, &object->mutex);
    return wrong;
}

/* The page of a cache, with its mutex (the page lock) held. */
static uint64_t store_locked_page(struct sim_store *store, enum sim_op op, uint32_t id,
                                  struct store_object *object)
{
    uint64_t wrong = 0;

    for (uint32_t at = 0; at < store->page_nbytes; at += SIM_CHUNK)
        wrong += store_piece(store, op, id, object, object->pfn, at);
    return wrong;
}

static uint64_t store_page(struct sim_store *store, enum sim_op op, uint32_t id,
                           struct store_object *object)
{
    uint64_t wrong = 0;

    switch (store->config.type) {
    case SIM_STORE_CACHE:
        store_lock_thawed(store, object);
        if (object->state == STORE_PRESENT)
            wrong = store_locked_page(store, op, id, object);
        sim_unlock(store->sim, &object->mutex);
        return wrong;
    case SIM_STORE_HANDLES: return store_through_handle(store, op, id, object);
    default: return store_through_entry(store, op, id, object);
    }
}

/* Counts what is wrong, once. */
static bool store_judge(struct sim_store *store, struct store_object *object, uint64_t wrong)
{
    if (wrong && !object->damaged) {
        object->damaged = true;
        STORE_COUNT(store, lost_bytes, wrong);
    }
    return wrong == 0;
}

/* --- operations ---------------------------------------------------------------------------- */

/* Gets a page for an object without one. On failure its state is what it was. */
static int store_populate(struct sim_store *store, uint32_t id, struct store_object *object,
                          struct cma_refusal *refusal)
{
    struct cma_pages_request request = {
        .npages = 1,
        .holder = {.kind = store->config.type == SIM_STORE_CACHE ? CMA_KIND_DROPPABLE
                                                                 : CMA_KIND_MOVABLE,
                   .mover = store->number,
                   .cookie = id},
        .paddr_last = store->config.paddr_last,
        .flags = store->config.pages_flags,
    };
    cma_pfn_t pfn = CMA_PFN_NONE;

    sim_lock(store->sim, &object->mutex);
    uint8_t before = object->state;
    object->state = STORE_ALLOCATING;
    object->dirty = false;
    object->pfn = CMA_PFN_NONE;
    object->generation = object->disk; /* what it begins with */
    sim_unlock(store->sim, &object->mutex);
    int result = cma_pages_alloc(store->pages, &request, &pfn, refusal);
    sim_lock(store->sim, &object->mutex);
    if (result != CMA_OK) {
        object->state = before;
    } else if (object->state == STORE_ALLOCATING) {
        object->state = STORE_PRESENT;
        object->pfn = pfn;
        STORE_COUNT(store, present, 1);
    }
    sim_unlock(store->sim, &object->mutex);
    return result;
}

static void store_put_id(struct sim_store *store, uint32_t id)
{
    sim_lock(store->sim, &store->ids_mutex);
    store->free_ids[store->nfree++] = id;
    sim_unlock(store->sim, &store->ids_mutex);
}

int sim_store_add(struct sim_store *store, uint32_t *id, struct cma_refusal *refusal)
{
    sim_lock(store->sim, &store->ids_mutex);
    uint32_t new_id = store->nfree ? store->free_ids[--store->nfree] : UINT32_MAX;
    sim_unlock(store->sim, &store->ids_mutex);
    if (new_id == UINT32_MAX)
        return CMA_ENOSPC;

    struct store_object *object = &store->objects[new_id];
    sim_lock(store->sim, &object->user);
    object->generation++; /* never a pattern that this page may still hold from before */
    object->disk = object->generation;
    object->damaged = false;
    int result = store_populate(store, new_id, object, refusal);
    if (result != CMA_OK) {
        store_put_id(store, new_id);
        return store_leave(store, object, result);
    }
    store_page(store, SIM_OP_WRITE, new_id, object);
    STORE_COUNT(store, added, 1);
    STORE_COUNT(store, live, 1);
    *id = new_id;
    return store_leave(store, object, CMA_OK);
}

/* A dropped page comes back, clean. */
static int store_refill(struct sim_store *store, uint32_t id, struct store_object *object)
{
    sim_lock(store->sim, &object->mutex);
    bool absent = object->state == STORE_ABSENT;
    sim_unlock(store->sim, &object->mutex);
    if (!absent)
        return CMA_OK;
    int result = store_populate(store, id, object, NULL);
    if (result != CMA_OK)
        return result;
    sim_sleep_ns(store->sim, sim_cost_ns(SIM_COST_DISK_READ_PAGE));
    store_page(store, SIM_OP_WRITE, id, object);
    STORE_COUNT(store, refilled, 1);
    return CMA_OK;
}

int sim_store_touch(struct sim_store *store, uint32_t id)
{
    struct store_object *object = store_enter(store, id);

    if (!object)
        return CMA_ENOENT;
    return store_leave(store, object, store_refill(store, id, object));
}

/* Write-back cache: the frame is kept before the first byte changes, both under the page lock. */
static int store_rewrite_cached(struct sim_store *store, uint32_t id, struct store_object *object)
{
    uint32_t retries = 0;

    for (;;) {
        int result = store_refill(store, id, object);
        if (result != CMA_OK)
            return result;
        store_lock_thawed(store, object);
        if (object->state == STORE_PRESENT) {
            result = object->dirty ? CMA_OK : cma_frame_keep(store->frames, object->pfn);
            if (result == CMA_OK) {
                object->dirty = true;
                object->generation++;
                store_locked_page(store, SIM_OP_WRITE, id, object);
                sim_unlock(store->sim, &object->mutex);
                return CMA_OK;
            }
        }
        cma_pfn_t pfn = object->pfn;
        sim_unlock(store->sim, &object->mutex);
        if (result == CMA_EBUSY)
            result = store_move_out(store, pfn, &retries);
        else if (result == CMA_OK || result == CMA_EAGAIN)
            store_pause(store, &retries);
        if (result != CMA_OK && result != CMA_EAGAIN)
            return result;
    }
}

int sim_store_rewrite(struct sim_store *store, uint32_t id)
{
    struct store_object *object = store_enter(store, id);
    int result = CMA_OK;

    if (!object)
        return CMA_ENOENT;
    if (store->config.type == SIM_STORE_CACHE) {
        result = store_rewrite_cached(store, id, object);
    } else {
        object->generation++;
        store_page(store, SIM_OP_WRITE, id, object);
    }
    if (result == CMA_OK) {
        object->damaged = false;
        STORE_COUNT(store, rewritten, 1);
    }
    return store_leave(store, object, result);
}

bool sim_store_verify(struct sim_store *store, uint32_t id)
{
    struct store_object *object = store_enter(store, id);

    if (!object)
        return true;
    bool right = store_judge(store, object, store_page(store, SIM_OP_READ, id, object));
    store_leave(store, object, 0);
    return right;
}

int sim_store_remove(struct sim_store *store, uint32_t id)
{
    struct store_object *object = store_enter(store, id);
    uint32_t retries = 0;
    int result;

    if (!object)
        return CMA_ENOENT;
    /* Only `user` changes these three, but a compiler reads them in one go with their neighbours,
     * which callbacks write. */
    sim_lock(store->sim, &object->mutex);
    bool busy = object->pins || object->refs || object->locks;
    sim_unlock(store->sim, &object->mutex);
    if (busy)
        return store_leave(store, object, CMA_EBUSY);
    store_judge(store, object, store_page(store, SIM_OP_READ, id, object));
    for (;;) {
        store_lock_thawed(store, object);
        result = CMA_OK;
        if (object->state == STORE_PRESENT)
            result = cma_pages_free(store->pages, object->pfn, 1, id);
        if (result == CMA_OK) {
            if (object->state == STORE_PRESENT)
                STORE_COUNT(store, present, -1);
            object->state = STORE_UNUSED;
            object->pfn = CMA_PFN_NONE;
            object->dirty = false;
        }
        sim_unlock(store->sim, &object->mutex);
        if (result != CMA_EAGAIN)
            break;
        store_pause(store, &retries);
    }
    if (result == CMA_OK) {
        STORE_COUNT(store, removed, 1);
        STORE_COUNT(store, live, -1);
        store_put_id(store, id);
    }
    return store_leave(store, object, result);
}

int sim_store_writeback(struct sim_store *store, uint32_t id)
{
    struct store_object *object = store_enter(store, id);
    uint32_t retries = 0;
    int result = CMA_OK;

    if (!object)
        return CMA_ENOENT;
    while (store->config.type == SIM_STORE_CACHE) {
        store_lock_thawed(store, object);
        bool dirty = object->state == STORE_PRESENT && object->dirty;
        if (dirty) {
            store_judge(store, object, store_locked_page(store, SIM_OP_READ, id, object));
            object->disk = object->generation;
            object->dirty = false;
            result = cma_frame_allow_drop(store->frames, object->pfn);
            object->dirty = result != CMA_OK;
        }
        sim_unlock(store->sim, &object->mutex);
        if (dirty && result == CMA_EAGAIN) {
            store_pause(store, &retries);
            continue;
        }
        if (dirty && result == CMA_OK) {
            STORE_COUNT(store, written_back, 1);
            sim_sleep_ns(store->sim, sim_cost_ns(SIM_COST_DISK_WRITE_PAGE));
        }
        break;
    }
    return store_leave(store, object, result);
}

int sim_store_pin(struct sim_store *store, uint32_t id)
{
    struct store_object *object = store_enter(store, id);
    uint32_t retries = 0;

    if (!object)
        return CMA_ENOENT;
    for (;;) {
        store_lock_thawed(store, object);
        cma_pfn_t pfn = object->pfn, pinned = CMA_PFN_NONE;
        bool present = object->state == STORE_PRESENT;
        sim_unlock(store->sim, &object->mutex);
        if (!present)
            return store_leave(store, object, CMA_ENOENT);
        int result;
        if (store->config.pins_in_place) {
            pinned = pfn;
            result = cma_frame_pin_in_place(store->frames, pfn);
        } else {
            result = cma_frame_pin(store->frames, pfn, &pinned);
        }
        sim_lock(store->sim, &object->mutex);
        bool same =
            object->state == STORE_PRESENT && object->pfn == (result == CMA_OK ? pinned : pfn);
        if (same && result == CMA_OK)
            object->pins++;
        sim_unlock(store->sim, &object->mutex);
        /* It may not stay where it is, not even for who pins in place. */
        if (same && result == CMA_EPERM) {
            result = store_move_out(store, pfn, &retries);
            if (result == CMA_OK)
                continue;
        }
        if (same && result != CMA_EAGAIN)
            return store_leave(store, object, result);
        /* The frame went to somebody else before the pin: it is theirs that is pinned. */
        if (result == CMA_OK && cma_frame_unpin(store->frames, pinned) != CMA_OK)
            sim_die(store->sim, "a frame that was pinned is not", store->config.name);
        store_pause(store, &retries);
    }
}

int sim_store_unpin(struct sim_store *store, uint32_t id)
{
    struct store_object *object = store_enter(store, id);
    int result = CMA_EBADF;

    if (!object)
        return CMA_ENOENT;
    sim_lock(store->sim, &object->mutex);
    if (object->pins)
        result = cma_frame_unpin(store->frames, object->pfn);
    if (result == CMA_OK)
        object->pins--;
    sim_unlock(store->sim, &object->mutex);
    return store_leave(store, object, result);
}

int sim_store_ref(struct sim_store *store, uint32_t id)
{
    struct store_object *object = store_enter(store, id);
    uint32_t retries = 0;
    int result;

    if (!object)
        return CMA_ENOENT;
    for (;;) {
        store_lock_thawed(store, object);
        result = CMA_ENOENT;
        if (object->state == STORE_PRESENT)
            result = cma_frame_ref(store->frames, object->pfn);
        if (result == CMA_OK)
            object->refs++;
        cma_pfn_t pfn = object->pfn;
        sim_unlock(store->sim, &object->mutex);
        if (result == CMA_EBUSY)
            result = store_move_out(store, pfn, &retries);
        else if (result == CMA_EAGAIN)
            store_pause(store, &retries);
        else
            return store_leave(store, object, result);
        if (result != CMA_OK && result != CMA_EAGAIN)
            return store_leave(store, object, result);
    }
}

int sim_store_unref(struct sim_store *store, uint32_t id)
{
    struct store_object *object = store_enter(store, id);
    int result = CMA_EBADF;

    if (!object)
        return CMA_ENOENT;
    sim_lock(store->sim, &object->mutex);
    if (object->refs)
        result = cma_frame_unref(store->frames, object->pfn);
    if (result == CMA_OK)
        object->refs--;
    sim_unlock(store->sim, &object->mutex);
    return store_leave(store, object, result);
}

int sim_store_lock(struct sim_store *store, uint32_t id)
{
    struct store_object *object = store_enter(store, id);

    if (!object)
        return CMA_ENOENT;
    store_lock_thawed(store, object);
    object->locks++;
    sim_unlock(store->sim, &object->mutex);
    return store_leave(store, object, CMA_OK);
}

int sim_store_unlock(struct sim_store *store, uint32_t id)
{
    struct store_object *object = store_enter(store, id);
    int result = CMA_EBADF;

    if (!object)
        return CMA_ENOENT;
    sim_lock(store->sim, &object->mutex);
    if (object->locks) {
        object->locks--;
        result = CMA_OK;
    }
    sim_unlock(store->sim, &object->mutex);
    return store_leave(store, object, result);
}

/* --- the store ----------------------------------------------------------------------------- */

bool sim_store_verify_all(struct sim_store *store)
{
    bool right = true;

    for (uint32_t id = 0; id < store->config.capacity; id++)
        right = sim_store_verify(store, id) && right;
    return right;
}

void sim_store_walk(struct sim_store *store,
                    bool (*visit)(void *arg, const struct sim_store_object *object), void *arg)
{
    for (uint32_t id = 0; id < store->config.capacity; id++) {
        struct store_object *object = &store->objects[id];
        sim_lock(store->sim, &object->mutex);
        struct sim_store_object seen = {
            id,           object->pfn,  object->dirty, object->frozen, object->generation,
            object->pins, object->refs, object->locks};
        bool used = object->state == STORE_PRESENT || object->state == STORE_ABSENT;
        sim_unlock(store->sim, &object->mutex);
        if (used && !visit(arg, &seen))
            return;
    }
}

struct store_tally {
    uint64_t absent, dirty;
};

static bool store_tally_one(void *arg, const struct sim_store_object *object)
{
    struct store_tally *tally = arg;

    tally->absent += object->pfn == CMA_PFN_NONE;
    tally->dirty += object->dirty;
    return true;
}

void sim_store_counts(struct sim_store *store, struct sim_store_counts *counts)
{
    const uint64_t *from = (const uint64_t *)&store->counts;
    uint64_t *to = (uint64_t *)counts;
    struct store_tally tally = {0, 0};

    for (size_t i = 0; i < sizeof(*counts) / sizeof(*to); i++)
        to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
    sim_store_walk(store, store_tally_one, &tally);
    counts->absent = tally.absent;
    counts->dirty = tally.dirty;
}

uint64_t sim_store_present(const struct sim_store *store)
{
    return __atomic_load_n(&store->counts.present, __ATOMIC_RELAXED);
}

cma_pfn_t sim_store_pfn(struct sim_store *store, uint32_t id)
{
    struct store_object *object = &store->objects[id];

    sim_lock(store->sim, &object->mutex);
    cma_pfn_t pfn = object->state == STORE_PRESENT ? object->pfn : CMA_PFN_NONE;
    sim_unlock(store->sim, &object->mutex);
    return pfn;
}

uint32_t sim_store_mover(const struct sim_store *store)
{
    return store->number;
}

struct sim_store *sim_store_create(struct sim *sim, struct cma_frames *frames,
                                   struct cma_pages *pages, const struct sim_store_config *config)
{
    struct sim_store *store = calloc(1, sizeof(*store));
    bool refuses = config->may_refuse || config->type == SIM_STORE_HANDLES ||
                   config->type == SIM_STORE_REFUSING;

    if (store) {
        store->objects = calloc(config->capacity, sizeof(*store->objects));
        store->free_ids = calloc(config->capacity, sizeof(*store->free_ids));
    }
    if (!store || !store->objects || !store->free_ids)
        sim_die(sim, "no memory on the host", config->name);
    store->sim = sim;
    store->port = sim_port(sim);
    store->frames = frames;
    store->pages = pages;
    store->config = *config;
    if (!store->config.slow_ns)
        store->config.slow_ns = 1000000;
    store->page_nbytes = 1u << store->port->page_shift;
    store->seed = config->seed;
    store->seed = sim_mix(&store->seed);
    for (uint32_t i = 0; i < config->capacity; i++) {
        store->free_ids[i] = config->capacity - 1 - i;
        store->objects[i].pfn = CMA_PFN_NONE;
    }
    store->nfree = config->capacity;
    store->mover = (struct cma_mover){
        .name = config->name,
        .ctx = store,
        .paddr_last = config->paddr_last ? config->paddr_last : CMA_PADDR_MAX,
        .flags = (refuses ? CMA_MOVER_MAY_REFUSE : 0) |
                 (config->needs_memory ? CMA_MOVER_NEEDS_MEMORY : 0),
        .freeze = store_freeze,
        .commit = store_commit,
        .abort = store_abort,
        .discard = config->type == SIM_STORE_CACHE ? store_discard : NULL,
    };
    int number = cma_mover_register(frames, &store->mover);
    if (number <= 0)
        sim_die(sim, "no place for another mover", config->name);
    store->number = (uint32_t)number;
    return store;
}

void sim_store_destroy(struct sim_store *store)
{
    if (!store)
        return;
    free(store->objects);
    free(store->free_ids);
    free(store);
}
