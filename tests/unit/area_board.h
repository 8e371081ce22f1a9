/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * area_board.h - a small board for the tests of src/cma
 *
 * Contents are one number a frame, carried by the copy hook, so that a test sees whether data went
 * the right way. Holders of lent frames are handles of one mover, the store: it knows where each
 * handle's frame is, can be told to refuse, and notes calls that come out of order. Works with real
 * threads: the locks spin, and wait is a condition variable.
 */
#ifndef TEST_AREA_BOARD_H
#define TEST_AREA_BOARD_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cma/area.h>
#include <cma/map.h>
#include <cma/system.h>

#define BOARD_PAGE 4096u
#define BOARD_BASE_PFN 0x40000u
#define BOARD_MAX_HANDLES 8192u
#define BOARD_NO_HANDLE UINT32_MAX

enum handle_state { HANDLE_FREE, HANDLE_HELD, HANDLE_FROZEN };

struct handle {
    cma_pfn_t pfn;
    enum handle_state state;
    bool refuses;
    uint64_t pattern;
};

struct board {
    struct cma_port port;
    struct cma_range memory[4], reserved[8];
    struct cma_map map;
    struct cma_zone zones[3];
    struct cma_system system;
    struct cma_frames *frames;
    struct cma_area *area; /* the first */
    void *storage;
    uint32_t npages;
    uint64_t *content;
    pthread_mutex_t event_lock;
    pthread_cond_t event_changed;
    uint32_t locks;   /* taken so far */
    uint32_t at_lock; /* when so many were taken, before the next: */
    void (*meanwhile)(struct board *board);
    bool jitter; /* threads give way at a quarter of the locks */
    uint32_t jitter_step;

    struct cma_mover mover, low_mover;
    uint32_t mover_number, low_mover_number;
    struct handle handles[BOARD_MAX_HANDLES];
    pthread_mutex_t store_lock;
    uint32_t busy_freeing; /* so many freezes find the handle on its way out */
    uint32_t freezes, commits, aborts, discards, disorder;
};

struct board_config {
    uint32_t npages;      /* of RAM from BOARD_BASE_PFN */
    uint32_t area_first;  /* in frames from the base */
    uint32_t area_npages; /* 0: none */
    uint32_t area2_first, area2_npages;
    uint32_t block_order;
    uint32_t low_npages; /* a zone ends behind these; 0: one zone */
    bool no_wait;
    bool keep_idle;
    bool index; /* areas have one; without, windows are found in order of address */
    uint32_t lanes, nslots;
    const struct cma_size_class *classes; /* of the first area */
    uint32_t nclasses;
};

/* --- hooks ----------------------------------------------------------------------------- */

static uint64_t *board_content(struct board *board, cma_pfn_t pfn)
{
    assert_true(pfn >= BOARD_BASE_PFN && pfn - BOARD_BASE_PFN < board->npages);
    return &board->content[pfn - BOARD_BASE_PFN];
}

static void *board_vaddr(void *ctx, cma_paddr_t paddr)
{
    (void)ctx;
    return (void *)(uintptr_t)(paddr + 0x100000000u);
}

static void board_barrier(void *ctx)
{
    (void)ctx;
}

static void board_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    uint64_t i;

    assert_true(nbytes != 0 && nbytes % BOARD_PAGE == 0);
    for (i = 0; i < nbytes / BOARD_PAGE; i++) {
        *board_content(ctx, to / BOARD_PAGE + i) = *board_content(ctx, from / BOARD_PAGE + i);
    }
}

static void board_zero(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    uint64_t i;

    for (i = 0; i < nbytes / BOARD_PAGE; i++) {
        *board_content(ctx, paddr / BOARD_PAGE + i) = 0;
    }
}

static uintptr_t board_lock(void *ctx, struct cma_lock *lock)
{
    struct board *board = ctx;

    if (board->meanwhile != NULL && board->locks++ == board->at_lock) {
        void (*meanwhile)(struct board *) = board->meanwhile;

        /* What another processor does between two locked steps of this one. */
        board->meanwhile = NULL;
        meanwhile(board);
    }
    if (board->jitter &&
        (__atomic_add_fetch(&board->jitter_step, 1, __ATOMIC_RELAXED) * 0x9e3779b9u) >> 30 == 0) {
        sched_yield();
    }
    while (__atomic_exchange_n(&lock->word[0], 1, __ATOMIC_ACQUIRE) != 0) {
        sched_yield();
    }
    return 7;
}

static void board_unlock(void *ctx, struct cma_lock *lock, uintptr_t state)
{
    (void)ctx;
    assert_int_equal(state, 7);
    __atomic_store_n(&lock->word[0], 0, __ATOMIC_RELEASE);
}

static void board_wait(void *ctx, const uint32_t *event, uint32_t seen)
{
    struct board *board = ctx;

    pthread_mutex_lock(&board->event_lock);
    while (__atomic_load_n(event, __ATOMIC_SEQ_CST) == seen) {
        pthread_cond_wait(&board->event_changed, &board->event_lock);
    }
    pthread_mutex_unlock(&board->event_lock);
}

static void board_wake(void *ctx, const uint32_t *event)
{
    struct board *board = ctx;

    (void)event;
    pthread_mutex_lock(&board->event_lock);
    pthread_cond_broadcast(&board->event_changed);
    pthread_mutex_unlock(&board->event_lock);
}

/* --- the store: a mover ---------------------------------------------------------------- */

static int store_freeze(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct board *board = ctx;
    struct handle *handle = &board->handles[cookie];
    int result = 0;

    pthread_mutex_lock(&board->store_lock);
    board->freezes++;
    if (board->busy_freeing > 0) {
        board->busy_freeing--;
        result = CMA_ENOENT;
    } else if (handle->state != HANDLE_HELD || handle->pfn != pfn) {
        result = CMA_ENOENT;
    } else if (handle->refuses) {
        result = CMA_EBUSY;
    } else {
        handle->state = HANDLE_FROZEN;
    }
    pthread_mutex_unlock(&board->store_lock);
    return result;
}

static void store_commit(void *ctx, cma_pfn_t from, cma_pfn_t to, uint32_t cookie)
{
    struct board *board = ctx;
    struct handle *handle = &board->handles[cookie];

    pthread_mutex_lock(&board->store_lock);
    board->commits++;
    board->disorder += handle->state != HANDLE_FROZEN || handle->pfn != from;
    handle->pfn = to;
    handle->state = HANDLE_HELD;
    pthread_mutex_unlock(&board->store_lock);
}

static void store_abort(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct board *board = ctx;
    struct handle *handle = &board->handles[cookie];

    pthread_mutex_lock(&board->store_lock);
    board->aborts++;
    board->disorder += handle->state != HANDLE_FROZEN || handle->pfn != pfn;
    handle->state = HANDLE_HELD;
    pthread_mutex_unlock(&board->store_lock);
}

static int store_discard(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct board *board = ctx;
    struct handle *handle = &board->handles[cookie];
    int result = 0;

    pthread_mutex_lock(&board->store_lock);
    if (handle->state != HANDLE_HELD || handle->pfn != pfn) {
        result = CMA_ENOENT;
    } else if (handle->refuses) {
        result = CMA_EBUSY;
    } else {
        handle->state = HANDLE_FREE;
        board->discards++;
    }
    pthread_mutex_unlock(&board->store_lock);
    return result;
}

static uint64_t store_pattern(uint32_t cookie)
{
    return (cookie + 1) * 0x9e3779b97f4a7c15u;
}

/* Puts data at an idle frame of a lent block (or of ordinary memory). */
static void store_put_by(struct board *board, cma_pfn_t pfn, enum cma_kind kind, uint32_t cookie,
                         uint32_t mover)
{
    struct cma_holder holder = {kind, mover, cookie};

    assert_int_equal(board->handles[cookie].state, HANDLE_FREE);
    board->handles[cookie].pfn = pfn;
    board->handles[cookie].state = HANDLE_HELD;
    board->handles[cookie].refuses = false;
    *board_content(board, pfn) = store_pattern(cookie);
    assert_int_equal(cma_frame_publish(board->frames, pfn, &holder), 0);
}

static inline void store_put(struct board *board, cma_pfn_t pfn, enum cma_kind kind,
                             uint32_t cookie)
{
    store_put_by(board, pfn, kind, cookie, board->mover_number);
}

/* Allocates a frame for a handle, wherever the allocator likes. */
static inline bool store_add(struct board *board, enum cma_kind kind, uint32_t cookie)
{
    struct cma_pages_request request = {.npages = 1, .flags = CMA_PAGES_REF};
    cma_pfn_t pfn;

    request.holder.kind = kind;
    request.holder.mover = board->mover_number;
    request.holder.cookie = cookie;
    if (cma_pages_alloc(&board->system.pages, &request, &pfn, NULL) != 0) {
        return false;
    }
    pthread_mutex_lock(&board->store_lock);
    *board_content(board, pfn) = store_pattern(cookie);
    board->handles[cookie].pfn = pfn;
    board->handles[cookie].refuses = false;
    board->handles[cookie].state = HANDLE_HELD;
    pthread_mutex_unlock(&board->store_lock);
    assert_int_equal(cma_frame_unref(board->frames, pfn), 0);
    return true;
}

/* Frees a handle's frame, if it still has one. */
static inline void store_remove(struct board *board, uint32_t cookie)
{
    struct handle *handle = &board->handles[cookie];
    int result = CMA_EAGAIN;

    while (result == CMA_EAGAIN || result == CMA_EBUSY) {
        pthread_mutex_lock(&board->store_lock);
        result = 0;
        if (handle->state == HANDLE_FROZEN) {
            result = CMA_EAGAIN;
        } else if (handle->state == HANDLE_HELD) {
            result = cma_pages_free(&board->system.pages, handle->pfn, 1, cookie);
            if (result == 0) {
                handle->state = HANDLE_FREE;
            }
        }
        pthread_mutex_unlock(&board->store_lock);
        sched_yield();
    }
    assert_int_equal(result, 0);
}

/* All held handles have their data, and calls came in order. */
static inline void store_verify(struct board *board)
{
    uint32_t i;

    for (i = 0; i < BOARD_MAX_HANDLES; i++) {
        assert_int_not_equal(board->handles[i].state, HANDLE_FROZEN);
        if (board->handles[i].state == HANDLE_HELD) {
            assert_true(*board_content(board, board->handles[i].pfn) == store_pattern(i));
        }
    }
    assert_int_equal(board->disorder, 0);
}

/* --- the board ------------------------------------------------------------------------- */

static void board_add_area(struct board *board, const char *name, uint32_t first, uint32_t npages,
                           uint32_t flags)
{
    struct cma_range range = {.kind = CMA_RANGE_AREA, .name = name, .flags = flags};

    if (npages != 0) {
        range.base = (uint64_t)(BOARD_BASE_PFN + first) * BOARD_PAGE;
        range.nbytes = (uint64_t)npages * BOARD_PAGE;
        assert_int_equal(cma_map_reserve(&board->map, &range, NULL), 0);
    }
}

static void board_movers(struct board *board, const struct board_config *config)
{
    board->mover.name = "store";
    board->mover.ctx = board;
    board->mover.paddr_last = CMA_PADDR_MAX;
    board->mover.flags = CMA_MOVER_MAY_REFUSE;
    board->mover.freeze = store_freeze;
    board->mover.commit = store_commit;
    board->mover.abort = store_abort;
    board->mover.discard = store_discard;
    board->mover_number = (uint32_t)cma_mover_register(board->frames, &board->mover);
    board->low_mover = board->mover;
    board->low_mover.name = "low store";
    if (config->low_npages != 0) {
        board->low_mover.paddr_last = board->zones[0].last;
    }
    board->low_mover_number = (uint32_t)cma_mover_register(board->frames, &board->low_mover);
}

static void board_configure(void *ctx, const struct cma_range *range, uint64_t npages,
                            struct cma_area_config *area)
{
    const struct board_config *config = ctx;

    assert_int_equal(range->nbytes, npages * BOARD_PAGE);
    if (strcmp(range->name, "area") == 0) {
        area->classes = config->classes;
        area->nclasses = config->nclasses;
    }
}

static struct board *board_create(const struct board_config *config)
{
    struct board *board = calloc(1, sizeof(*board));
    struct cma_system_config system = {.block_order = config->block_order,
                                       .lanes = config->lanes,
                                       .nslots = config->nslots,
                                       .configure = board_configure,
                                       .configure_ctx = (void *)(uintptr_t)config};
    uint64_t nbytes;

    assert_non_null(board);
    board->npages = config->npages;
    board->content = calloc(config->npages, sizeof(uint64_t));
    pthread_mutex_init(&board->event_lock, NULL);
    pthread_mutex_init(&board->store_lock, NULL);
    pthread_cond_init(&board->event_changed, NULL);
    board->port = (struct cma_port){
        .ctx = board,
        .page_shift = 12,
        .cache_line_nbytes = 64,
        .vaddr = board_vaddr,
        .dma_barrier = board_barrier,
        .copy = board_copy,
        .zero = board_zero,
        .lock = board_lock,
        .unlock = board_unlock,
        .wait = config->no_wait ? NULL : board_wait,
        .wake = config->no_wait ? NULL : board_wake,
    };
    assert_int_equal(cma_map_init(&board->map, board->memory, 4, board->reserved, 8), 0);
    assert_int_equal(cma_map_add_memory(&board->map, (uint64_t)BOARD_BASE_PFN * BOARD_PAGE,
                                        (uint64_t)config->npages * BOARD_PAGE, NULL),
                     0);
    board_add_area(board, "area", config->area_first, config->area_npages, CMA_RANGE_DEFAULT);
    board_add_area(board, "area2", config->area2_first, config->area2_npages, 0);
    system.port = &board->port;
    system.flags =
        (config->keep_idle ? CMA_SYSTEM_KEEP_IDLE : 0) | (config->index ? 0 : CMA_SYSTEM_NO_INDEX);
    if (config->low_npages != 0) {
        board->zones[0].last = (uint64_t)(BOARD_BASE_PFN + config->low_npages) * BOARD_PAGE - 1;
        board->zones[1].last = CMA_PADDR_MAX;
        system.zones = board->zones;
        system.nzones = 2;
    }
    nbytes = cma_system_size(&board->map, &system);
    assert_true(nbytes > 0);
    board->storage = aligned_alloc(8, nbytes);
    assert_int_equal(
        cma_system_init(&board->system, &board->map, &system, board->storage, nbytes - 1),
        CMA_ENOMEM);
    assert_int_equal(cma_system_init(&board->system, &board->map, &system, board->storage, nbytes),
                     0);
    board->frames = &board->system.frames;
    board->area = board->system.nareas == 0 ? NULL : &board->system.areas[0];
    board_movers(board, config);
    return board;
}

static void board_check(struct board *board)
{
    struct cma_violation violation = {NULL, 0};

    if (!cma_system_check(&board->system, &violation)) {
        fail_msg("%s at frame %llu", violation.what,
                 (unsigned long long)(violation.pfn - BOARD_BASE_PFN));
    }
    store_verify(board);
}

static void board_destroy(struct board *board)
{
    board_check(board);
    pthread_mutex_destroy(&board->event_lock);
    pthread_mutex_destroy(&board->store_lock);
    pthread_cond_destroy(&board->event_changed);
    free(board->content);
    free(board->storage);
    free(board);
}

/* Frame `index` of the first area. */
static inline cma_pfn_t area_pfn(const struct board *board, uint64_t index)
{
    return board->area->span->pfn + index;
}

/* Lends all of the area. */
static inline void area_lend_all(struct board *board)
{
    while (cma_area_lend(board->area, CMA_KIND_MOVABLE)) {
    }
}

#endif
