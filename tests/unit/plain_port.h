/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plain_port.h - a small board for the tests of src/frame and src/buddy
 *
 * One thread, no simulator: contents are one number a frame, carried by the copy hook. The port
 * counts what is called and fails the test when a hook or a mover is called with a lock held, when
 * locks nest, or when a copy comes before the flush that makes a freeze hold. The mover keeps
 * handles; what it answers can be scripted call by call.
 */
#ifndef TEST_PLAIN_PORT_H
#define TEST_PLAIN_PORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <cma/pages.h>

#include "../../src/frame/table.h"

#define PLAIN_SHIFT 12
#define PLAIN_PAGE (UINT64_C(1) << PLAIN_SHIFT)
#define PLAIN_HANDLES 4096
#define PLAIN_NONE CMA_PFN_NONE

enum plain_handle_state { PLAIN_GONE, PLAIN_HELD, PLAIN_FROZEN };

struct plain_handle {
    enum plain_handle_state state;
    cma_pfn_t pfn;
    uint64_t content;
};

struct plain;
struct plain_mover {
    struct plain *plain;
    struct cma_mover mover;
    uint32_t number;
};

struct plain {
    struct cma_port port;
    struct cma_map map;
    struct cma_range memory[8], reserved[16];
    struct cma_frames frames;
    struct cma_pages pages;
    void *storage;
    cma_pfn_t base;
    uint64_t npages;
    uint64_t *content;

    bool locked;
    bool must_flush; /* something was frozen or discarded since the last flush */
    uint32_t locks, flushes, copies, copy_calls, freezes, commits, aborts, discards, waits, wakes,
        many;
    uint32_t fail_freeze, fail_discard; /* the nth call from now answers fail_with */
    int fail_with;
    void (*during)(struct plain *plain, cma_pfn_t pfn,
                   uint32_t cookie); /* inside freeze, discard */
    void (*on_wait)(struct plain *plain);

    /* sure: never refuses; picky: may refuse; stiff: can't discard, reaches half of the memory */
    struct plain_mover sure, picky, stiff;
    struct plain_handle handles[PLAIN_HANDLES];
    uint32_t next_cookie;
};

/* --- hooks --------------------------------------------------------------------------------- */

static void *plain_vaddr(void *ctx, cma_paddr_t paddr)
{
    (void)ctx;
    (void)paddr;
    return NULL;
}

static void plain_barrier(void *ctx)
{
    (void)ctx;
}

static void plain_flush(void *ctx)
{
    struct plain *plain = ctx;

    assert_false(plain->locked);
    plain->must_flush = false;
    plain->flushes++;
}

static uint64_t *plain_content(struct plain *plain, cma_pfn_t pfn)
{
    assert_true(pfn >= plain->base && pfn - plain->base < plain->npages);
    return &plain->content[pfn - plain->base];
}

static void plain_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    struct plain *plain = ctx;

    assert_false(plain->locked);
    assert_false(plain->must_flush);
    assert_true(nbytes != 0);
    assert_int_equal((to | from | nbytes) % PLAIN_PAGE, 0);
    for (uint64_t i = 0; i < nbytes >> PLAIN_SHIFT; i++) {
        *plain_content(plain, (to >> PLAIN_SHIFT) + i) =
            *plain_content(plain, (from >> PLAIN_SHIFT) + i);
        plain->copies++;
    }
    plain->copy_calls++;
}

static void plain_zero(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    struct plain *plain = ctx;

    for (uint64_t i = 0; i < nbytes / PLAIN_PAGE; i++) {
        *plain_content(plain, (paddr >> PLAIN_SHIFT) + i) = 0;
    }
}

static uintptr_t plain_lock(void *ctx, struct cma_lock *lock)
{
    struct plain *plain = ctx;

    assert_false(plain->locked);
    assert_int_equal(lock->word[0], 0);
    plain->locked = true;
    lock->word[0] = 1;
    plain->locks++;
    return 77;
}

static void plain_unlock(void *ctx, struct cma_lock *lock, uintptr_t state)
{
    struct plain *plain = ctx;

    assert_true(plain->locked);
    assert_int_equal(lock->word[0], 1);
    assert_int_equal(state, 77);
    lock->word[0] = 0;
    plain->locked = false;
}

static void plain_wait(void *ctx, const uint32_t *event, uint32_t seen)
{
    struct plain *plain = ctx;

    assert_false(plain->locked);
    plain->waits++;
    /* One thread: what changes the event is played by the test. */
    assert_int_equal(*event, seen);
    assert_non_null(plain->on_wait);
    plain->on_wait(plain);
}

static void plain_wake(void *ctx, const uint32_t *event)
{
    struct plain *plain = ctx;

    (void)event;
    assert_false(plain->locked);
    plain->wakes++;
}

/* --- the mover ----------------------------------------------------------------------------- */

static bool plain_fails(struct plain *plain, uint32_t *nth)
{
    (void)plain;
    return *nth != 0 && --*nth == 0;
}

static struct plain_handle *plain_handle(struct plain *plain, uint32_t cookie)
{
    assert_true(cookie < PLAIN_HANDLES);
    return &plain->handles[cookie];
}

static int plain_freeze(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct plain *plain = ((struct plain_mover *)ctx)->plain;
    struct plain_handle *handle = plain_handle(plain, cookie);

    assert_false(plain->locked);
    plain->freezes++;
    if (plain->during != NULL) {
        plain->during(plain, pfn, cookie);
    }
    if (plain_fails(plain, &plain->fail_freeze)) {
        return plain->fail_with;
    }
    assert_int_equal(handle->state, PLAIN_HELD);
    assert_int_equal(handle->pfn, pfn);
    handle->state = PLAIN_FROZEN;
    plain->must_flush = true;
    return 0;
}

static void plain_commit(void *ctx, cma_pfn_t from, cma_pfn_t to, uint32_t cookie)
{
    struct plain *plain = ((struct plain_mover *)ctx)->plain;
    struct plain_handle *handle = plain_handle(plain, cookie);

    assert_false(plain->locked);
    assert_int_equal(handle->state, PLAIN_FROZEN);
    assert_int_equal(handle->pfn, from);
    assert_int_equal(*plain_content(plain, to), handle->content);
    handle->state = PLAIN_HELD;
    handle->pfn = to;
    *plain_content(plain, from) = 0xdead;
    plain->commits++;
}

static void plain_abort(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct plain *plain = ((struct plain_mover *)ctx)->plain;
    struct plain_handle *handle = plain_handle(plain, cookie);

    assert_false(plain->locked);
    assert_int_equal(handle->state, PLAIN_FROZEN);
    assert_int_equal(handle->pfn, pfn);
    handle->state = PLAIN_HELD;
    plain->aborts++;
}

static int plain_discard(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct plain *plain = ((struct plain_mover *)ctx)->plain;
    struct plain_handle *handle = plain_handle(plain, cookie);

    assert_false(plain->locked);
    plain->discards++;
    if (plain->during != NULL) {
        plain->during(plain, pfn, cookie);
    }
    if (plain_fails(plain, &plain->fail_discard)) {
        return plain->fail_with;
    }
    assert_int_equal(handle->state, PLAIN_HELD);
    assert_int_equal(handle->pfn, pfn);
    handle->state = PLAIN_GONE;
    handle->pfn = PLAIN_NONE;
    *plain_content(plain, pfn) = 0xdead;
    plain->must_flush = true;
    return 0;
}

/* Set before a board is made: its movers are asked for many frames in one call. */
static bool plain_many;

static uint32_t plain_freeze_many(void *ctx, const struct cma_move *moves, uint32_t nmoves,
                                  int *error)
{
    struct plain *plain = ((struct plain_mover *)ctx)->plain;

    assert_true(nmoves >= 1 && nmoves <= 64);
    plain->many++;
    for (uint32_t i = 0; i < nmoves; i++) {
        int answer = plain_freeze(ctx, moves[i].from, moves[i].cookie);

        if (answer != 0) {
            *error = answer;
            return i;
        }
    }
    return nmoves;
}

static void plain_commit_many(void *ctx, const struct cma_move *moves, uint32_t nmoves)
{
    assert_true(nmoves >= 1 && nmoves <= 64);
    for (uint32_t i = 0; i < nmoves; i++) {
        assert_true(i == 0 || moves[i].from > moves[i - 1].from);
        plain_commit(ctx, moves[i].from, moves[i].to, moves[i].cookie);
    }
}

static uint32_t plain_discard_many(void *ctx, const struct cma_move *moves, uint32_t nmoves,
                                   int *error)
{
    assert_true(nmoves >= 1 && nmoves <= 64);
    for (uint32_t i = 0; i < nmoves; i++) {
        int answer = plain_discard(ctx, moves[i].from, moves[i].cookie);

        if (answer != 0) {
            *error = answer;
            return i;
        }
    }
    return nmoves;
}

static void plain_mover_init(struct plain *plain, struct plain_mover *mover, const char *name,
                             uint32_t flags, cma_paddr_t paddr_last, bool discards)
{
    mover->plain = plain;
    mover->mover = (struct cma_mover){
        .name = name,
        .ctx = mover,
        .paddr_last = paddr_last,
        .flags = flags,
        .freeze = plain_freeze,
        .commit = plain_commit,
        .abort = plain_abort,
        .discard = discards ? plain_discard : NULL,
        .freeze_many = plain_many ? plain_freeze_many : NULL,
        .commit_many = plain_many ? plain_commit_many : NULL,
        .discard_many = plain_many && discards ? plain_discard_many : NULL,
    };
}

/* --- the board ----------------------------------------------------------------------------- */

struct plain_area {
    uint64_t first, npages; /* frames behind the board's first one */
};

static void plain_port_init(struct plain *plain)
{
    plain->port = (struct cma_port){
        .ctx = plain,
        .page_shift = PLAIN_SHIFT,
        .cache_line_nbytes = 64,
        .vaddr = plain_vaddr,
        .dma_barrier = plain_barrier,
        .tlb_flush = plain_flush,
        .copy = plain_copy,
        .zero = plain_zero,
        .lock = plain_lock,
        .unlock = plain_unlock,
        .wait = plain_wait,
        .wake = plain_wake,
    };
}

static struct cma_span *plain_area_span(struct plain *plain, uint32_t index)
{
    for (uint32_t i = 0; i < plain->frames.nspans; i++) {
        if (plain->frames.spans[i].is_area != 0 && index-- == 0) {
            return &plain->frames.spans[i];
        }
    }
    fail_msg("no such area");
    return NULL;
}

static struct plain *plain_create_with(cma_pfn_t base, uint64_t npages,
                                       const struct plain_area *areas, uint32_t nareas,
                                       const struct cma_frames_config *how)
{
    struct plain *plain = calloc(1, sizeof(*plain));
    struct cma_frames_config config = *how;
    uint64_t nbytes;

    assert_non_null(plain);
    plain_port_init(plain);
    plain->base = base;
    plain->npages = npages;
    plain->content = calloc(npages, sizeof(uint64_t));
    plain->fail_with = CMA_EBUSY;
    plain->next_cookie = 1;
    assert_int_equal(cma_map_init(&plain->map, plain->memory, 8, plain->reserved, 16), 0);
    assert_int_equal(cma_map_add_memory(&plain->map, base * PLAIN_PAGE, npages * PLAIN_PAGE, NULL),
                     0);
    for (uint32_t i = 0; i < nareas; i++) {
        struct cma_range range = {.base = (base + areas[i].first) * PLAIN_PAGE,
                                  .nbytes = areas[i].npages * PLAIN_PAGE,
                                  .kind = CMA_RANGE_AREA,
                                  .name = "area"};

        assert_int_equal(cma_map_reserve(&plain->map, &range, NULL), 0);
    }
    config.port = &plain->port;
    nbytes = cma_frames_size(&plain->map, &config);
    assert_true(nbytes != 0);
    /* Exactly as much as asked for, so that the sanitizer sees a byte too far. */
    plain->storage = malloc(nbytes);
    assert_int_equal(cma_frames_init(&plain->frames, &plain->map, &config, plain->storage, nbytes),
                     0);
    if (!config.areas_only) {
        assert_int_equal(cma_pages_init(&plain->pages, &plain->frames), 0);
    }
    plain_mover_init(plain, &plain->sure, "sure", 0, CMA_PADDR_MAX, true);
    plain_mover_init(plain, &plain->picky, "picky", CMA_MOVER_MAY_REFUSE, CMA_PADDR_MAX, true);
    plain_mover_init(plain, &plain->stiff, "stiff", 0, (base + npages / 2) * PLAIN_PAGE - 1, false);
    plain->sure.number = (uint32_t)cma_mover_register(&plain->frames, &plain->sure.mover);
    plain->picky.number = (uint32_t)cma_mover_register(&plain->frames, &plain->picky.mover);
    plain->stiff.number = (uint32_t)cma_mover_register(&plain->frames, &plain->stiff.mover);
    assert_int_equal(plain->sure.number, 1);
    for (uint32_t i = 0; i < nareas; i++) {
        plain_area_span(plain, i)->lend_class = CMA_LEND_ORDINARY;
    }
    return plain;
}

static struct plain *plain_create(uint64_t npages, const struct plain_area *areas, uint32_t nareas)
{
    struct cma_frames_config config = {.block_order = 5};

    return plain_create_with(0x1000, npages, areas, nareas, &config);
}

static void plain_destroy(struct plain *plain)
{
    free(plain->storage);
    free(plain->content);
    free(plain);
}

/* --- what tests do ------------------------------------------------------------------------- */

static void plain_check_busy(struct plain *plain, bool busy)
{
    struct cma_violation violation;

    if (!cma_frames_check(&plain->frames, busy, &violation)) {
        fail_msg("%s, at frame %#llx", violation.what, (unsigned long long)violation.pfn);
    }
    assert_null(violation.what);
    assert_false(plain->locked);
}

/* The whole table holds, and every handle has its frame and its contents. */
static void plain_check(struct plain *plain)
{
    plain_check_busy(plain, false);
    for (uint32_t i = 1; i < plain->next_cookie; i++) {
        struct plain_handle *handle = &plain->handles[i];
        struct cma_frame_info info;

        assert_int_not_equal(handle->state, PLAIN_FROZEN);
        if (handle->state == PLAIN_HELD) {
            assert_int_equal(cma_frame_info(&plain->frames, handle->pfn, &info), 0);
            assert_true(info.kind >= CMA_KIND_UNMOVABLE && info.kind <= CMA_KIND_DROPPABLE);
            assert_int_equal(info.cookie, i);
            assert_int_equal(*plain_content(plain, handle->pfn), handle->content);
        }
    }
}

static uint32_t plain_cookie(struct plain *plain)
{
    assert_true(plain->next_cookie < PLAIN_HANDLES);
    return plain->next_cookie++;
}

/* A handle for a frame that was just got. */
static void plain_adopt(struct plain *plain, uint32_t cookie, cma_pfn_t pfn)
{
    struct plain_handle *handle = plain_handle(plain, cookie);

    handle->state = PLAIN_HELD;
    handle->pfn = pfn;
    handle->content = 0x100000000u + cookie;
    *plain_content(plain, pfn) = handle->content;
}

static int plain_alloc(struct plain *plain, enum cma_kind kind, uint32_t mover, uint32_t flags,
                       uint32_t *cookie)
{
    struct cma_pages_request request = {.npages = 1, .flags = flags};
    cma_pfn_t pfn;
    int error;

    *cookie = plain_cookie(plain);
    request.holder = (struct cma_holder){.kind = kind, .mover = mover, .cookie = *cookie};
    error = cma_pages_alloc(&plain->pages, &request, &pfn, NULL);
    if (error == 0) {
        plain_adopt(plain, *cookie, pfn);
    }
    return error;
}

/* A handle with exactly this frame, which must be idle (and, in an area, lent). */
static uint32_t plain_publish(struct plain *plain, enum cma_kind kind, uint32_t mover,
                              cma_pfn_t pfn)
{
    uint32_t cookie = plain_cookie(plain);
    struct cma_holder holder = {.kind = kind, .mover = mover, .cookie = cookie};

    assert_int_equal(cma_frame_publish(&plain->frames, pfn, &holder), 0);
    plain_adopt(plain, cookie, pfn);
    return cookie;
}

static void plain_lend_all(struct plain *plain, struct cma_span *span)
{
    for (uint32_t i = 0; i < span->nblocks; i++) {
        cma__block_lend(&plain->frames, span, i, true);
    }
}

/* Isolates a window block by block; restores what was isolated when it can't. */
static int plain_isolate(struct plain *plain, struct cma_span *span, cma_pfn_t pfn, uint64_t npages,
                         cma_pfn_t *obstacle)
{
    uint64_t done = 0;

    while (done < npages) {
        uint32_t block = cma__span_block_of(&plain->frames, span, pfn + done);
        cma_pfn_t first;
        uint32_t count;
        int error;

        cma__span_block_range(&plain->frames, span, block, &first, &count);
        count = (uint32_t)(first + count - (pfn + done));
        if (count > npages - done) {
            count = (uint32_t)(npages - done);
        }
        error = cma__window_isolate(&plain->frames, span, pfn + done, count, obstacle);
        if (error != 0) {
            if (done != 0) {
                cma__window_restore(&plain->frames, span, pfn, done);
            }
            return error;
        }
        done += count;
    }
    return 0;
}

static struct cma_frame_info plain_info(struct plain *plain, cma_pfn_t pfn)
{
    struct cma_frame_info info;

    assert_int_equal(cma_frame_info(&plain->frames, pfn, &info), 0);
    return info;
}

static uint64_t plain_idle(struct plain *plain)
{
    struct cma_pages_stats stats;
    uint64_t idle = 0;

    cma_pages_stats(&plain->pages, &stats);
    for (uint32_t i = 0; i < CMA_ZONES_MAX; i++) {
        idle += stats.zone_idle_npages[i];
    }
    return idle;
}

/* A copy of all the table's storage, to see that a call changed nothing. */
static void *plain_snapshot(struct plain *plain)
{
    void *copy = malloc(plain->frames.nbytes);

    assert_non_null(copy);
    memcpy(copy, plain->storage, plain->frames.nbytes);
    return copy;
}

static void plain_assert_unchanged(struct plain *plain, void *snapshot)
{
    assert_memory_equal(plain->storage, snapshot, plain->frames.nbytes);
    free(snapshot);
}

/* Not every test uses everything. */
static inline void plain_unused(void)
{
    (void)plain_create;
    (void)plain_destroy;
    (void)plain_check;
    (void)plain_alloc;
    (void)plain_publish;
    (void)plain_lend_all;
    (void)plain_isolate;
    (void)plain_info;
    (void)plain_idle;
    (void)plain_snapshot;
    (void)plain_assert_unchanged;
}

#endif
