/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * machine.c - see machine.h
 *
 * A mover keeps its handle's frame under the handle's lock, as frame.h asks. A writer writes under
 * that lock and not while the handle is frozen.
 */
#include "machine.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MACHINE_SHIFT 12
#define MACHINE_VADDR 0x10000000u /* of the page at 0: CPU addresses are other numbers */
#define MACHINE_YIELD 5u
#define MACHINE_TRIES 4u /* of a holder whose page must leave its slot first */

_Thread_local struct machine_work machine_work;

void machine_fail(const char *format, ...)
{
    va_list arguments;

    printf("FAILED: ");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    fflush(stdout);
    abort();
}

uint64_t machine_random(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15u;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

static uint64_t *machine_page(struct machine *machine, cma_pfn_t pfn)
{
    MACHINE_REQUIRE(pfn >= machine->base && pfn - machine->base < machine->npages,
                    "page %#llx is no memory", (unsigned long long)pfn);
    return machine->memory[pfn - machine->base];
}

void machine_fill(struct machine *machine, cma_pfn_t pfn, uint64_t stamp)
{
    uint64_t *page = machine_page(machine, pfn);

    for (uint32_t i = 0; i < MACHINE_WORDS; i++)
        page[i] = stamp + i;
}

bool machine_holds(struct machine *machine, cma_pfn_t pfn, uint64_t stamp)
{
    const uint64_t *page = machine_page(machine, pfn);

    for (uint32_t i = 0; i < MACHINE_WORDS; i++) {
        if (page[i] != stamp + i)
            return false;
    }
    return true;
}

/* Should this call fail? */
static bool machine_fault(struct machine *machine, enum machine_fault fault)
{
    uint64_t *nth = &machine->fault_nth[fault];

    if (*nth == 0)
        return false;
    if (*nth > 1) {
        (*nth)--;
        return false;
    }
    if (!machine->fault_sticky)
        *nth = 0;
    machine->faults++;
    return true;
}

/* --- the port ------------------------------------------------------------------------------ */

static uintptr_t machine_lock(void *ctx, struct cma_lock *lock)
{
    (void)ctx;
    while (__atomic_exchange_n(&lock->word[0], 1, __ATOMIC_ACQUIRE) != 0)
        sched_yield();
    return 0;
}

static void machine_unlock(void *ctx, struct cma_lock *lock, uintptr_t state)
{
    (void)ctx;
    (void)state;
    __atomic_store_n(&lock->word[0], 0, __ATOMIC_RELEASE);
}

static void machine_wait(void *ctx, const uint32_t *event, uint32_t seen)
{
    struct machine *machine = ctx;
    struct timespec until;

    pthread_mutex_lock(&machine->wait_lock);
    while (__atomic_load_n(event, __ATOMIC_ACQUIRE) == seen) {
        int error;

        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += 20;
        error = pthread_cond_timedwait(&machine->wait_changed, &machine->wait_lock, &until);
        MACHINE_REQUIRE(error != ETIMEDOUT, "nobody woke a waiter for 20 seconds");
    }
    pthread_mutex_unlock(&machine->wait_lock);
}

static void machine_wake(void *ctx, const uint32_t *event)
{
    struct machine *machine = ctx;

    (void)event;
    pthread_mutex_lock(&machine->wait_lock);
    pthread_cond_broadcast(&machine->wait_changed);
    pthread_mutex_unlock(&machine->wait_lock);
}

static void machine_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    MACHINE_REQUIRE(nbytes != 0 && nbytes % (1u << MACHINE_SHIFT) == 0, "a copy of %llu bytes",
                    (unsigned long long)nbytes);
    machine_work.copied += nbytes >> MACHINE_SHIFT;
    for (uint64_t done = 0; done < nbytes; done += 1u << MACHINE_SHIFT) {
        uint64_t *target = machine_page(ctx, (to + done) >> MACHINE_SHIFT);
        const uint64_t *source = machine_page(ctx, (from + done) >> MACHINE_SHIFT);

        for (uint32_t i = 0; i < MACHINE_WORDS; i++)
            target[i] = source[i];
    }
}

static void machine_zero(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    machine_work.zeroed += nbytes >> MACHINE_SHIFT;
    for (uint64_t done = 0; done < nbytes; done += 1u << MACHINE_SHIFT)
        memset(machine_page(ctx, (paddr + done) >> MACHINE_SHIFT), 0,
               MACHINE_WORDS * sizeof(uint64_t));
}

/* Nothing is mapped linearly: the CPU's addresses of buffers come from here. */
static int machine_map(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr,
                       void **vaddr)
{
    struct machine *machine = ctx;

    (void)nbytes;
    (void)attr;
    if (machine_fault(machine, MACHINE_FAULT_MAP))
        return CMA_ENOMEM;
    machine->mapped++;
    *vaddr = (void *)(uintptr_t)(MACHINE_VADDR + paddr);
    return 0;
}

static void machine_unmap(void *ctx, void *vaddr, uint64_t nbytes)
{
    struct machine *machine = ctx;

    (void)vaddr;
    (void)nbytes;
    MACHINE_REQUIRE(machine->mapped > 0, "unmap of what is not mapped");
    machine->mapped--;
}

static void *machine_vaddr(void *ctx, cma_paddr_t paddr)
{
    (void)ctx;
    (void)paddr;
    return NULL;
}

/* With `linear`: an address is only a number here, too, and caches are counted only. */
static void *machine_linear(void *ctx, cma_paddr_t paddr)
{
    (void)ctx;
    return (void *)(uintptr_t)(MACHINE_VADDR + paddr);
}

static void machine_set_attr(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr)
{
    (void)ctx;
    (void)paddr;
    (void)attr;
    machine_work.attr_calls++;
    machine_work.attributes += nbytes >> MACHINE_SHIFT;
}

static void machine_clean(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx;
    (void)paddr;
    machine_work.cleaned += nbytes >> MACHINE_SHIFT;
}

static void machine_invalidate(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx;
    (void)paddr;
    machine_work.invalidated += nbytes >> MACHINE_SHIFT;
}

/* Waits for other processors, so others have a turn here now and then. */
static void machine_flush(void *ctx)
{
    static _Thread_local uint32_t calls;

    (void)ctx;
    machine_work.flushes++;
    if (++calls % MACHINE_YIELD == 0)
        sched_yield();
}

static void machine_barrier(void *ctx)
{
    (void)ctx;
}

/* --- the movers ---------------------------------------------------------------------------- */

static struct machine_object *machine_of(struct machine *machine, uint32_t cookie)
{
    MACHINE_REQUIRE(cookie >= 1 && cookie <= machine->nobjects, "a callback with cookie %u",
                    cookie);
    return &machine->objects[cookie - 1];
}

/* Refusals depend on the place, so that a claim that goes elsewhere succeeds. */
static bool machine_refuses(struct machine *machine, cma_pfn_t pfn, uint32_t cookie)
{
    uint64_t state = pfn * 2654435761u + cookie;

    if ((cookie - 1) % 2 == 0 || machine_random(&state) % 100 >= machine->refusal_percent)
        return false;
    __atomic_fetch_add(&machine->refused, 1, __ATOMIC_RELAXED);
    return true;
}

static int machine_freeze(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct machine *machine = ctx;
    struct machine_object *object = machine_of(machine, cookie);
    int result = 0;

    pthread_mutex_lock(&object->lock);
    if (!object->live || object->pfn != pfn) {
        MACHINE_REQUIRE(object->allocating, "freeze of %u, which its mover does not hold", cookie);
        result = CMA_ENOENT;
    } else {
        MACHINE_REQUIRE(!object->frozen, "freeze of %u, which is frozen", cookie);
        if (machine_refuses(machine, pfn, cookie) ||
            ((cookie - 1) % 2 != 0 && machine_fault(machine, MACHINE_FAULT_FREEZE)))
            result = CMA_EBUSY;
        else
            object->frozen = true;
    }
    pthread_mutex_unlock(&object->lock);
    return result;
}

static void machine_commit(void *ctx, cma_pfn_t from, cma_pfn_t to, uint32_t cookie)
{
    struct machine *machine = ctx;
    struct machine_object *object = machine_of(machine, cookie);

    pthread_mutex_lock(&object->lock);
    MACHINE_REQUIRE(object->live && object->frozen && object->pfn == from,
                    "commit of %u without freeze", cookie);
    MACHINE_REQUIRE(machine_holds(machine, to, object->stamp), "commit of %u before its data",
                    cookie);
    object->frozen = false;
    object->pfn = to;
    pthread_mutex_unlock(&object->lock);
    __atomic_fetch_add(&machine->moved, 1, __ATOMIC_RELAXED);
}

static void machine_abort(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct machine *machine = ctx;
    struct machine_object *object = machine_of(machine, cookie);

    pthread_mutex_lock(&object->lock);
    MACHINE_REQUIRE(object->live && object->frozen && object->pfn == pfn,
                    "abort of %u without freeze", cookie);
    object->frozen = false;
    pthread_mutex_unlock(&object->lock);
}

static int machine_discard(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct machine *machine = ctx;
    struct machine_object *object = machine_of(machine, cookie);
    int result = 0;

    pthread_mutex_lock(&object->lock);
    if (!object->live || object->pfn != pfn) {
        MACHINE_REQUIRE(object->allocating, "discard of %u, which its mover does not hold", cookie);
        result = CMA_ENOENT;
    } else if (machine_refuses(machine, pfn, cookie) ||
               ((cookie - 1) % 2 != 0 && machine_fault(machine, MACHINE_FAULT_DISCARD))) {
        result = CMA_EBUSY;
    } else {
        MACHINE_REQUIRE(object->kind == CMA_KIND_DROPPABLE && !object->frozen,
                        "discard of %u, which is kept", cookie);
        MACHINE_REQUIRE(machine_holds(machine, pfn, object->stamp), "the data of %u is wrong",
                        cookie);
        object->live = false;
        machine_work.dropped++;
        __atomic_fetch_add(&machine->dropped, 1, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&object->lock);
    return result;
}

/* --- holders ------------------------------------------------------------------------------- */

bool machine_object_alloc(struct machine *machine, uint32_t index, enum cma_kind kind,
                          uint64_t stamp)
{
    struct machine_object *object = &machine->objects[index];
    struct cma_pages_request request = {
        .npages = 1,
        .holder = {kind, machine->numbers[index % 2], index + 1},
        .flags = stamp % 2 ? CMA_PAGES_REF : 0,
    };
    struct cma_refusal refusal;
    cma_pfn_t pfn;
    int error;

    pthread_mutex_lock(&object->lock);
    if (object->live || object->allocating) {
        pthread_mutex_unlock(&object->lock);
        return false;
    }
    object->allocating = true;
    pthread_mutex_unlock(&object->lock);
    error = cma_pages_alloc(&machine->pages, &request, &pfn, &refusal);
    pthread_mutex_lock(&object->lock);
    object->allocating = false;
    if (error == 0) {
        object->live = true;
        object->frozen = false;
        object->kind = kind;
        object->pfn = pfn;
        object->stamp = stamp;
        machine_fill(machine, pfn, stamp);
        if ((request.flags & CMA_PAGES_REF) != 0)
            MACHINE_REQUIRE(cma_frame_unref(&machine->table, pfn) == 0,
                            "the reference of a new page is gone");
    } else {
        MACHINE_REQUIRE(error == CMA_ENOMEM, "alloc: %s", cma_strerror(error));
    }
    pthread_mutex_unlock(&object->lock);
    return error == 0;
}

bool machine_object_free(struct machine *machine, uint32_t index)
{
    struct machine_object *object = &machine->objects[index];
    int error = CMA_EAGAIN;

    pthread_mutex_lock(&object->lock);
    if (object->live && !object->frozen) {
        MACHINE_REQUIRE(machine_holds(machine, object->pfn, object->stamp),
                        "the data of %u is wrong", index + 1);
        error = cma_pages_free(&machine->pages, object->pfn, 1, index + 1);
        /* CMA_EBADF: somebody's pin, whose holder will see that it missed. */
        MACHINE_REQUIRE(error == 0 || error == CMA_EAGAIN || error == CMA_EBUSY ||
                            error == CMA_EBADF,
                        "free of %u: %s", index + 1, cma_strerror(error));
        if (error == 0)
            object->live = false;
    }
    pthread_mutex_unlock(&object->lock);
    return error == 0;
}

/*
 * The object's page must be where it can be kept or referenced. Without the object's lock, so the
 * page may be somebody else's by then: he doesn't mind either. Returns false if it has nowhere to
 * go: the writer would wait.
 */
static bool machine_object_leave(struct machine *machine, cma_pfn_t pfn)
{
    cma_pfn_t to = CMA_PFN_NONE;
    int error = cma_frame_move_out(&machine->table, pfn, &to);

    MACHINE_REQUIRE(error == 0 || error == CMA_EAGAIN || error == CMA_ENOMEM || error == CMA_EBADF,
                    "move_out: %s", cma_strerror(error));
    MACHINE_REQUIRE(error != 0 || to != CMA_PFN_NONE, "move_out does not say where to");
    if (error == CMA_ENOMEM)
        __atomic_fetch_add(&machine->stuck, 1, __ATOMIC_RELAXED);
    return error != CMA_ENOMEM;
}

/* One try, with the object's lock held. */
static int machine_rewrite(struct machine *machine, struct machine_object *object, uint64_t stamp)
{
    int error = 0;

    MACHINE_REQUIRE(machine_holds(machine, object->pfn, object->stamp), "the data of %u is wrong",
                    (unsigned)(object - machine->objects) + 1);
    /* Droppable data exists elsewhere too, as it is: a write makes it dirty. */
    if (object->kind == CMA_KIND_DROPPABLE)
        error = cma_frame_keep(&machine->table, object->pfn);
    if (error == 0) {
        object->kind = CMA_KIND_MOVABLE;
        object->stamp = stamp;
        machine_fill(machine, object->pfn, stamp);
    }
    return error;
}

static int machine_keep(struct machine *machine, struct machine_object *object, bool keep)
{
    int error = keep ? cma_frame_keep(&machine->table, object->pfn)
                     : cma_frame_allow_drop(&machine->table, object->pfn);

    MACHINE_REQUIRE(error == 0 || error == CMA_EAGAIN || (error == CMA_EBUSY && keep),
                    "keep of %u: %s", (unsigned)(object - machine->objects) + 1,
                    cma_strerror(error));
    if (error == 0)
        object->kind = keep ? CMA_KIND_MOVABLE : CMA_KIND_DROPPABLE;
    return error;
}

enum machine_change { MACHINE_REWRITE, MACHINE_KEEP, MACHINE_DROP };

static bool machine_object_change(struct machine *machine, uint32_t index,
                                  enum machine_change change, uint64_t stamp)
{
    struct machine_object *object = &machine->objects[index];

    for (uint32_t i = 0; i < MACHINE_TRIES; i++) {
        cma_pfn_t pfn = 0;
        int error = CMA_EAGAIN;

        pthread_mutex_lock(&object->lock);
        if (object->live && !object->frozen) {
            pfn = object->pfn;
            error = change == MACHINE_REWRITE
                        ? machine_rewrite(machine, object, stamp)
                        : machine_keep(machine, object, change == MACHINE_KEEP);
        }
        pthread_mutex_unlock(&object->lock);
        if (error != CMA_EBUSY || !machine_object_leave(machine, pfn))
            return error == 0;
    }
    return false;
}

bool machine_object_rewrite(struct machine *machine, uint32_t index, uint64_t stamp)
{
    return machine_object_change(machine, index, MACHINE_REWRITE, stamp);
}

bool machine_object_keep(struct machine *machine, uint32_t index, bool keep)
{
    return machine_object_change(machine, index, keep ? MACHINE_KEEP : MACHINE_DROP, 0);
}

/* A short reference: the page is read without the lock, where a copy of it may run at most. */
bool machine_object_ref(struct machine *machine, uint32_t index)
{
    struct machine_object *object = &machine->objects[index];
    cma_pfn_t pfn = 0;
    int error = CMA_EBUSY;

    for (uint32_t i = 0; i < MACHINE_TRIES && error == CMA_EBUSY; i++) {
        pthread_mutex_lock(&object->lock);
        error = CMA_EAGAIN;
        if (object->live && !object->frozen) {
            pfn = object->pfn;
            error = cma_frame_ref(&machine->table, pfn);
            MACHINE_REQUIRE(error == 0 || error == CMA_EAGAIN || error == CMA_EBUSY,
                            "reference to %u: %s", index + 1, cma_strerror(error));
        }
        pthread_mutex_unlock(&object->lock);
        if (error == CMA_EBUSY && !machine_object_leave(machine, pfn))
            return false;
    }
    if (error != 0)
        return false;
    sched_yield();
    pthread_mutex_lock(&object->lock);
    MACHINE_REQUIRE(object->live && object->pfn == pfn && !object->frozen,
                    "%u was taken away under a reference", index + 1);
    MACHINE_REQUIRE(machine_holds(machine, pfn, object->stamp), "the data of %u is wrong",
                    index + 1);
    error = cma_frame_unref(&machine->table, pfn);
    MACHINE_REQUIRE(error == 0, "the reference to %u: %s", index + 1, cma_strerror(error));
    pthread_mutex_unlock(&object->lock);
    return true;
}

/* A pin may sleep, so the handle's lock is not held: whether the right page was hit is seen after.
 */
bool machine_object_pin(struct machine *machine, uint32_t index)
{
    struct machine_object *object = &machine->objects[index];
    cma_pfn_t pfn, pinned = CMA_PFN_NONE;
    bool live, hit;
    int error;

    pthread_mutex_lock(&object->lock);
    live = object->live;
    pfn = object->pfn;
    pthread_mutex_unlock(&object->lock);
    if (!live)
        return false;
    error = cma_frame_pin(&machine->table, pfn, &pinned);
    if (error != 0) {
        MACHINE_REQUIRE(error == CMA_EAGAIN || error == CMA_EBUSY || error == CMA_EBADF ||
                            error == CMA_ENOMEM,
                        "pin of %u: %s", index + 1, cma_strerror(error));
        return false;
    }
    for (uint32_t i = 0; i < machine->nareas; i++) {
        const struct cma_span *span = machine->areas[i].span;

        MACHINE_REQUIRE(pinned < span->pfn || pinned - span->pfn >= span->npages,
                        "page %#llx is pinned in an area", (unsigned long long)pinned);
    }
    sched_yield();
    pthread_mutex_lock(&object->lock);
    hit = object->live && object->pfn == pinned;
    if (hit)
        MACHINE_REQUIRE(!object->frozen && machine_holds(machine, pinned, object->stamp),
                        "%u is moved or wrong under a pin", index + 1);
    pthread_mutex_unlock(&object->lock);
    error = cma_frame_unpin(&machine->table, pinned);
    MACHINE_REQUIRE(error == 0, "unpin of %u: %s", index + 1, cma_strerror(error));
    return hit;
}

/* The same for many frames, each object being locked for itself. */
static uint32_t machine_many(int (*one)(void *ctx, cma_pfn_t pfn, uint32_t cookie), void *ctx,
                             const struct cma_move *moves, uint32_t nmoves, int *error)
{
    for (uint32_t i = 0; i < nmoves; i++) {
        int answer = one(ctx, moves[i].from, moves[i].cookie);

        if (answer != 0) {
            *error = answer;
            return i;
        }
    }
    return nmoves;
}

static uint32_t machine_freeze_many(void *ctx, const struct cma_move *moves, uint32_t nmoves,
                                    int *error)
{
    return machine_many(machine_freeze, ctx, moves, nmoves, error);
}

static uint32_t machine_discard_many(void *ctx, const struct cma_move *moves, uint32_t nmoves,
                                     int *error)
{
    return machine_many(machine_discard, ctx, moves, nmoves, error);
}

static void machine_commit_many(void *ctx, const struct cma_move *moves, uint32_t nmoves)
{
    for (uint32_t i = 0; i < nmoves; i++)
        machine_commit(ctx, moves[i].from, moves[i].to, moves[i].cookie);
}

/* --- begin and end ------------------------------------------------------------------------- */

/* The operations of `pages`, but fallible. */
static int machine_destination(void *ctx, const struct cma_destination *want, cma_pfn_t *pfn)
{
    struct machine *machine = ctx;
    const struct cma_pages_ops *ops = cma_pages_ops(&machine->pages);

    if (machine_fault(machine, MACHINE_FAULT_DESTINATION))
        return CMA_ENOMEM;
    return ops->destination(ops->ctx, want, pfn);
}

static void machine_destination_put(void *ctx, cma_pfn_t pfn, uint32_t npages)
{
    const struct cma_pages_ops *ops = cma_pages_ops(&((struct machine *)ctx)->pages);

    ops->destination_put(ops->ctx, pfn, npages);
}

static uint64_t machine_room(void *ctx, cma_paddr_t paddr_last)
{
    const struct cma_pages_ops *ops = cma_pages_ops(&((struct machine *)ctx)->pages);

    return ops->room(ops->ctx, paddr_last);
}

static int machine_lend(void *ctx, cma_pfn_t pfn, uint32_t npages, enum cma_lend_class lend_class)
{
    (void)pfn;
    (void)npages;
    (void)lend_class;
    return machine_fault(ctx, MACHINE_FAULT_LEND) ? CMA_ENOMEM : 0;
}

static int machine_ops_alloc(void *ctx, const struct cma_pages_request *request, cma_pfn_t *pfn,
                             struct cma_refusal *refusal)
{
    return cma_pages_alloc(&((struct machine *)ctx)->pages, request, pfn, refusal);
}

static int machine_ops_free(void *ctx, cma_pfn_t pfn, uint32_t npages, uint32_t owner)
{
    return cma_pages_free(&((struct machine *)ctx)->pages, pfn, npages, owner);
}

static uint64_t machine_cached(void *ctx)
{
    const struct cma_pages_ops *ops = cma_pages_ops(&((struct machine *)ctx)->pages);

    return ops->cached != NULL ? ops->cached(ops->ctx) : 0;
}

static void machine_ops(struct machine *machine, const struct machine_config *config)
{
    machine->ops = (struct cma_pages_ops){
        .ctx = machine,
        .lend = config->lends ? machine_lend : NULL,
        .destination = machine_destination,
        .destination_put = machine_destination_put,
        .room = machine_room,
        .alloc = machine_ops_alloc,
        .free = machine_ops_free,
        .cached = machine_cached,
    };
    cma_frames_set_ops(&machine->table, &machine->ops);
}

/* A thread is on one processor for a while, then on another: also between a call's two questions.
 */
static uint32_t machine_cpu(void *ctx)
{
    static _Thread_local uint32_t asked;

    (void)ctx;
    return asked++ / 61 + (uint32_t)((uintptr_t)&asked >> 12);
}

static void machine_port(struct machine *machine, bool linear)
{
    machine->port = (struct cma_port){
        .ctx = machine,
        .page_shift = MACHINE_SHIFT,
        .cache_line_nbytes = 64,
        .map = machine_map,
        .unmap = machine_unmap,
        .vaddr = linear ? machine_linear : machine_vaddr,
        .set_attr = linear ? machine_set_attr : NULL,
        .clean = linear ? machine_clean : NULL,
        .invalidate = linear ? machine_invalidate : NULL,
        .dma_barrier = machine_barrier,
        .tlb_flush = machine_flush,
        .copy = machine_copy,
        .zero = machine_zero,
        .lock = machine_lock,
        .unlock = machine_unlock,
        .wait = machine_wait,
        .wake = machine_wake,
        .cpu = machine_cpu,
    };
}

static void machine_make_map(struct machine *machine, const struct machine_config *config)
{
    int error = cma_map_init(&machine->map, machine->map_memory, 2, machine->map_reserved, 8);

    if (error == 0)
        error = cma_map_add_memory(&machine->map, machine->base << MACHINE_SHIFT,
                                   (uint64_t)machine->npages << MACHINE_SHIFT, NULL);
    for (uint32_t i = 0; i < config->nareas && error == 0; i++) {
        struct cma_range range = {(machine->base + config->areas[i].first) << MACHINE_SHIFT,
                                  (uint64_t)config->areas[i].npages << MACHINE_SHIFT,
                                  CMA_RANGE_AREA,
                                  0,
                                  "area",
                                  i};

        error = cma_map_reserve(&machine->map, &range, NULL);
    }
    MACHINE_REQUIRE(error == 0, "the map: %s", cma_strerror(error));
}

static void machine_areas(struct machine *machine, const struct machine_config *config)
{
    machine->nareas = config->nareas;
    for (uint32_t i = 0; i < config->nareas; i++) {
        struct cma_area_config area = {.name = "area",
                                       .lend_class = CMA_LEND_ORDINARY,
                                       .engine = i % 2 == 0 ? &cma_area_engine : NULL};
        int error = cma_area_init(&machine->areas[i], &machine->table, &machine->ops,
                                  (machine->base + config->areas[i].first) << MACHINE_SHIFT, &area);

        if (error == 0)
            error = cma_area_activate(&machine->areas[i]);
        MACHINE_REQUIRE(error == 0, "area %u: %s", i, cma_strerror(error));
        machine->lenders[i] = (struct cma_lender){NULL, &machine->areas[i], cma_area_lend};
        cma_pages_add_lender(&machine->pages, &machine->lenders[i]);
    }
}

void machine_make(struct machine *machine, const struct machine_config *config)
{
    struct cma_frames_config frames = {
        .port = &machine->port,
        .block_order = config->block_order != 0 ? config->block_order : 6,
        .index = config->no_index ? NULL : &cma_frames_index,
        .lanes = config->lanes,
        .lane_npages = config->lane_npages,
    };
    uint64_t nbytes;
    int error;

    memset(machine, 0, sizeof *machine);
    machine->base = 0x40000 + 7;
    machine->npages = config->npages;
    machine->nobjects = config->nobjects;
    machine->refusal_percent = config->refusal_percent;
    machine->memory = calloc(config->npages, sizeof *machine->memory);
    machine->objects = calloc(config->nobjects, sizeof *machine->objects);
    MACHINE_REQUIRE(machine->memory != NULL && machine->objects != NULL, "no memory");
    for (uint32_t i = 0; i < config->nobjects; i++)
        pthread_mutex_init(&machine->objects[i].lock, NULL);
    pthread_mutex_init(&machine->wait_lock, NULL);
    pthread_cond_init(&machine->wait_changed, NULL);
    machine_port(machine, config->linear);
    machine_make_map(machine, config);
    if (config->zone_npages != 0) {
        machine->zones[0].last = ((machine->base + config->zone_npages) << MACHINE_SHIFT) - 1;
        machine->zones[1].last = CMA_PADDR_MAX;
        frames.zones = machine->zones;
        frames.nzones = 2;
    }
    nbytes = cma_frames_size(&machine->map, &frames);
    machine->storage = malloc(nbytes);
    MACHINE_REQUIRE(nbytes != 0 && machine->storage != NULL, "no memory");
    error = cma_frames_init(&machine->table, &machine->map, &frames, machine->storage, nbytes);
    MACHINE_REQUIRE(error == 0, "cma_frames_init: %s", cma_strerror(error));
    if (config->nslots != 0) {
        machine->slots = calloc(config->nslots, sizeof *machine->slots);
        error = cma_guarantees_init(&machine->guarantees, &machine->table, machine->slots,
                                    config->nslots);
        MACHINE_REQUIRE(error == 0, "cma_guarantees_init: %s", cma_strerror(error));
    }
    error = cma_pages_init(&machine->pages, &machine->table);
    MACHINE_REQUIRE(error == 0, "cma_pages_init: %s", cma_strerror(error));
    if (config->ncaches != 0) {
        error = cma_pages_add_caches(&machine->pages, machine->caches, config->ncaches);
        MACHINE_REQUIRE(error == 0, "cma_pages_add_caches: %s", cma_strerror(error));
    }
    machine_ops(machine, config);
    for (uint32_t i = 0; i < 2; i++) {
        int number;

        machine->movers[i] = (struct cma_mover){
            .name = i == 0 ? "sure" : "refusing",
            .ctx = machine,
            .paddr_last = CMA_PADDR_MAX,
            .flags = i == 0 || config->limited_npages != 0 ? 0 : CMA_MOVER_MAY_REFUSE,
            .freeze = machine_freeze,
            .commit = machine_commit,
            .abort = machine_abort,
            .discard = machine_discard,
            .freeze_many = i == 0 ? machine_freeze_many : NULL,
            .commit_many = i == 0 ? machine_commit_many : NULL,
            .discard_many = i == 0 ? machine_discard_many : NULL,
        };
        if (i == 1 && config->limited_npages != 0)
            machine->movers[i].paddr_last =
                ((machine->base + config->limited_npages) << MACHINE_SHIFT) - 1;
        number = cma_mover_register(&machine->table, &machine->movers[i]);
        MACHINE_REQUIRE(number > 0, "cma_mover_register: %d", number);
        machine->numbers[i] = (uint32_t)number;
    }
    machine_areas(machine, config);
}

void machine_check(struct machine *machine)
{
    struct cma_violation violation = {NULL, 0};

    MACHINE_REQUIRE(cma_frames_check(&machine->table, false, &violation), "%s, page %#llx",
                    violation.what, (unsigned long long)violation.pfn);
    for (uint32_t i = 0; i < machine->nareas; i++)
        MACHINE_REQUIRE(cma_area_check(&machine->areas[i], &violation), "area %u: %s, page %#llx",
                        i, violation.what, (unsigned long long)violation.pfn);
    MACHINE_REQUIRE(machine->slots == NULL ||
                        cma_guarantees_check(&machine->guarantees, &violation),
                    "%s, page %#llx", violation.what, (unsigned long long)violation.pfn);
    for (uint32_t i = 0; i < machine->nobjects; i++) {
        const struct machine_object *object = &machine->objects[i];
        struct cma_frame_info info;

        if (!object->live)
            continue;
        MACHINE_REQUIRE(machine_holds(machine, object->pfn, object->stamp),
                        "the data of %u is wrong", i + 1);
        MACHINE_REQUIRE(cma_frame_info(&machine->table, object->pfn, &info) == 0 &&
                            info.kind == object->kind && info.cookie == i + 1 && info.pins == 0 &&
                            info.refs == 0 && !info.frozen && !info.isolated,
                        "the record of %u is wrong", i + 1);
    }
}

void machine_end(struct machine *machine)
{
    for (uint32_t i = 0; i < machine->nobjects; i++)
        pthread_mutex_destroy(&machine->objects[i].lock);
    pthread_mutex_destroy(&machine->wait_lock);
    pthread_cond_destroy(&machine->wait_changed);
    free(machine->objects);
    free(machine->memory);
    free(machine->slots);
    free(machine->storage);
}
