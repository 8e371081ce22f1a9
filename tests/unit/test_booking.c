/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_booking.c - kept data in slots and the frames that are booked for it, while others interfere
 *
 * What other processors may do between two locked steps of an operation is done at each of its
 * locks in turn (board.meanwhile). Ordinary memory is full but for one frame, so a booking that is
 * lost, or counted twice, is noticed at once.
 */
#include "area_board.h"

#include <time.h>

#include <cma/guarantee.h>

#define SLOT_NPAGES 8u
#define FILL 7u /* owner of what fills ordinary memory */

/* The handles: A and C have data in the first slot, B in the second. */
enum { A = 1, B, C };

struct stage {
    struct board *board;
    struct cma_mover sure, low;
    uint32_t sure_number, low_number;
    struct cma_guarantee promised[2];
    cma_pfn_t slot[2];
    bool happened;
    bool b_is_low;   /* B's data must lie in the lowest zone */
    int kept, taken; /* what the calls in between returned */
    struct cma_guarantee_work work;
};

static struct stage stage;

/* --- the stage ------------------------------------------------------------------------- */

static uint32_t stage_mover(const struct board *board, struct cma_mover *mover,
                            const struct cma_mover *like)
{
    *mover = *like;
    mover->flags = 0;
    return (uint32_t)cma_mover_register(board->frames, mover);
}

/* Takes ordinary memory up to the last frame. */
static void stage_fill(uint32_t leave)
{
    struct cma_pages_request request = {
        .npages = 1, .holder = {CMA_KIND_UNMOVABLE, 0, FILL}, .flags = CMA_PAGES_NO_LENT};
    cma_pfn_t pfn, last[2] = {0, 0};
    uint32_t n = 0;

    while (cma_pages_alloc(&stage.board->system.pages, &request, &pfn, NULL) == 0) {
        last[n++ % 2] = pfn;
    }
    assert_true(n > leave && leave <= 2);
    while (leave-- > 0) {
        pfn = last[--n % 2];
        assert_int_equal(cma_pages_free(&stage.board->system.pages, pfn, 1, FILL), 0);
    }
}

static void stage_put(uint32_t cookie, cma_pfn_t pfn, uint32_t mover)
{
    store_put_by(stage.board, pfn, CMA_KIND_DROPPABLE, cookie, mover);
}

static void stage_make(const struct board_config *config, bool b_is_low, uint32_t leave)
{
    struct cma_guarantee_request request = {
        .npages = SLOT_NPAGES, .count = 1, .max_moves = 1, .owner = 5};

    memset(&stage, 0, sizeof(stage));
    stage.board = board_create(config);
    stage.b_is_low = b_is_low;
    stage.sure_number = stage_mover(stage.board, &stage.sure, &stage.board->mover);
    stage.low_number = stage_mover(stage.board, &stage.low, &stage.board->low_mover);
    for (uint32_t i = 0; i < 2; i++) {
        struct cma_slot_info info;

        assert_int_equal(cma_guarantee_admit(&stage.board->system.guarantees, &stage.promised[i],
                                             stage.board->area, &request, NULL),
                         0);
        assert_int_equal(cma_guarantees_slot(&stage.board->system.guarantees, i, &info), 0);
        stage.slot[i] = info.pfn;
    }
    stage_fill(leave);
    stage_put(A, stage.slot[0], stage.sure_number);
    stage_put(B, stage.slot[1], b_is_low ? stage.low_number : stage.sure_number);
    stage_put(C, stage.slot[0] + 1, stage.sure_number);
    assert_int_equal(cma_frame_keep(stage.board->frames, stage.slot[0]), 0);
}

static void stage_end(void)
{
    board_destroy(stage.board);
}

/* A frees its frame, unless it is being moved. */
static void stage_free(uint32_t cookie)
{
    struct handle *handle = &stage.board->handles[cookie];

    if (handle->state == HANDLE_HELD &&
        cma_frame_release(stage.board->frames, handle->pfn) != CMA_EAGAIN) {
        handle->state = HANDLE_FREE;
    }
}

static void stage_take(uint32_t number)
{
    cma_pfn_t pfn;

    stage.taken = cma_guarantee_take(&stage.promised[number], &pfn, &stage.work, NULL);
    if (stage.taken == 0) {
        assert_int_equal(cma_guarantee_release(&stage.promised[number], pfn, true), 0);
    }
}

/* --- a frame is freed while it is being evacuated -------------------------------------- */

/* A frees, B's data gets dirty if it may, and the second device wants its block at once. */
static void free_meanwhile(struct board *board)
{
    stage.happened = true;
    stage_free(A);
    stage.kept = cma_frame_keep(board->frames, stage.slot[1]);
    stage_take(1);
}

static void free_at_each_lock(const struct board_config *config, bool b_is_low)
{
    uint32_t at = 0;

    for (stage.happened = true; stage.happened; at++) {
        struct cma_guarantee_work work;
        cma_pfn_t pfn;

        stage_make(config, b_is_low, 1);
        stage.board->locks = 0;
        stage.board->at_lock = at;
        stage.board->meanwhile = free_meanwhile;
        assert_int_equal(cma_guarantee_take(&stage.promised[0], &pfn, &work, NULL), 0);
        stage.board->meanwhile = NULL;
        assert_int_equal(stage.taken, 0);
        assert_true(work.copied <= 1 && stage.work.copied <= 1);
        assert_int_equal(cma_guarantee_release(&stage.promised[0], pfn, true), 0);
        stage_end();
    }
    assert_true(at > 8);
}

static const struct board_config plain = {.npages = 512,
                                          .area_first = 256,
                                          .area_npages = 128,
                                          .block_order = 5,
                                          .nslots = 4,
                                          .no_wait = true};

/* One frame is left, of the low zone: B may have only what A doesn't need. */
static const struct board_config zones = {.npages = 512,
                                          .area_first = 256,
                                          .area_npages = 128,
                                          .block_order = 5,
                                          .low_npages = 64,
                                          .nslots = 4,
                                          .no_wait = true};

static void test_freed_while_evacuated(void **state)
{
    struct board_config engine = plain;

    (void)state;
    engine.index = true;
    free_at_each_lock(&plain, false);
    free_at_each_lock(&engine, false);
}

static void test_freed_while_evacuated_in_zones(void **state)
{
    struct board_config engine = zones;

    (void)state;
    engine.index = true;
    free_at_each_lock(&zones, true);
    free_at_each_lock(&zones, false);
    free_at_each_lock(&engine, true);
    free_at_each_lock(&engine, false);
}

/* --- a frame is moved out -------------------------------------------------------------- */

/* C's data gets dirty if it may, and the device wants its block at once. */
static void take_meanwhile(struct board *board)
{
    stage.happened = true;
    stage.kept = cma_frame_keep(board->frames, stage.slot[0] + 1);
    stage_take(0);
}

/* Two frames are idle, but only one copy is allowed. */
static void test_taken_while_moved_out(void **state)
{
    uint32_t at = 0;

    (void)state;
    for (stage.happened = true; stage.happened; at++) {
        cma_pfn_t to;
        int moved;

        stage_make(&plain, false, 2);
        stage.board->locks = 0;
        stage.board->at_lock = at;
        stage.board->meanwhile = take_meanwhile;
        moved = cma_frame_move_out(stage.board->frames, stage.slot[0], &to);
        stage.board->meanwhile = NULL;
        assert_true(moved == 0 || moved == CMA_EAGAIN || moved == CMA_EBUSY || moved == CMA_EBADF);
        /* The port can't wait, so who moves out may be in the way; but nothing else. */
        assert_true(stage.taken == 0 || stage.taken == CMA_EAGAIN);
        assert_true(stage.work.copied <= 1);
        stage_end();
    }
    assert_true(at > 2);
}

/* --- the guarantee is revoked meanwhile ------------------------------------------------ */

static atomic_int committing;

static void *revoke_thread(void *arg)
{
    (void)arg;
    while (atomic_load(&committing) == 0) {
        sched_yield();
    }
    return (void *)(intptr_t)cma_guarantee_revoke(&stage.promised[0]);
}

/* A mover's commit that lasts until the revocation has had time to come along. */
static void slow_commit(void *ctx, cma_pfn_t from, cma_pfn_t to, uint32_t cookie)
{
    const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};

    atomic_store(&committing, 1);
    (void)nanosleep(&pause, NULL);
    store_commit(ctx, from, to, cookie);
}

static void revoke_while_moved_out(bool kept)
{
    struct cma_guarantee_request request = {
        .npages = SLOT_NPAGES, .count = 1, .max_moves = 1, .owner = 6};
    struct board_config config = plain;
    cma_pfn_t from, to;
    pthread_t thread;
    void *revoked;

    config.no_wait = false;
    stage_make(&config, false, 2);
    from = stage.slot[0] + (kept ? 0 : 1);
    atomic_store(&committing, 0);
    stage.sure.commit = slow_commit;
    assert_int_equal(pthread_create(&thread, NULL, revoke_thread, NULL), 0);
    assert_int_equal(cma_frame_move_out(stage.board->frames, from, &to), 0);
    assert_int_equal(pthread_join(thread, &revoked), 0);
    assert_int_equal((int)(intptr_t)revoked, 0);
    board_check(stage.board);
    /* The slot can be used again, with counts of its own. */
    assert_int_equal(cma_guarantee_admit(&stage.board->system.guarantees, &stage.promised[0],
                                         stage.board->area, &request, NULL),
                     0);
    stage_end();
}

static void test_revoked_while_moved_out(void **state)
{
    (void)state;
    revoke_while_moved_out(true);
    revoke_while_moved_out(false);
}

/* --- a mover breaks its word ----------------------------------------------------------- */

/* It was not to refuse: the device hears of it, but nothing is copied that was not to be. */
static void test_refused(void **state)
{
    struct cma_guarantee_work work;
    struct cma_refusal refusal;
    cma_pfn_t pfn;

    (void)state;
    for (uint32_t cookie = A; cookie <= C; cookie += C - A) {
        stage_make(&plain, false, 2);
        stage.board->handles[cookie].refuses = true;
        assert_int_equal(cma_guarantee_take(&stage.promised[0], &pfn, &work, &refusal), CMA_EBUSY);
        assert_int_equal(refusal.reason, CMA_REASON_MOVER);
        board_check(stage.board);
        stage.board->handles[cookie].refuses = false;
        assert_int_equal(cma_guarantee_take(&stage.promised[0], &pfn, &work, &refusal), 0);
        assert_true(work.copied <= 1);
        assert_int_equal(cma_guarantee_release(&stage.promised[0], pfn, true), 0);
        stage_end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_freed_while_evacuated),
        cmocka_unit_test(test_freed_while_evacuated_in_zones),
        cmocka_unit_test(test_taken_while_moved_out),
        cmocka_unit_test(test_revoked_while_moved_out),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
