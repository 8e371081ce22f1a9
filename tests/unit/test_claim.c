/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_claim.c - claims: what they move, where they go when somebody is in the way, side by side
 */
#include "area_board.h"

static const struct board_config small = {
    .npages = 1024, .area_first = 256, .area_npages = 256, .block_order = 5};

/* Who has each frame of the board, to see that a failing call changed nothing. */
struct snapshot {
    struct cma_frame_info info[8192];
    cma_pfn_t where[BOARD_MAX_HANDLES];
};

static void snapshot_take(const struct board *board, struct snapshot *snapshot)
{
    uint32_t i;

    memset(snapshot, 0, sizeof(*snapshot));
    for (i = 0; i < board->npages; i++) {
        assert_int_equal(cma_frame_info(board->frames, BOARD_BASE_PFN + i, &snapshot->info[i]), 0);
    }
    for (i = 0; i < BOARD_MAX_HANDLES; i++) {
        snapshot->where[i] = board->handles[i].pfn;
    }
}

static void snapshot_compare(const struct board *board, const struct snapshot *before)
{
    struct snapshot *after = malloc(sizeof(*after));
    uint32_t i;

    assert_non_null(after);
    snapshot_take(board, after);
    for (i = 0; i < board->npages; i++) {
        const struct cma_frame_info *a = &before->info[i], *b = &after->info[i];

        assert_int_equal(a->kind, b->kind);
        assert_int_equal(a->idle, b->idle);
        assert_int_equal(a->isolated, b->isolated);
        assert_int_equal(a->frozen, b->frozen);
        assert_int_equal(a->lent, b->lent);
        assert_int_equal(a->cookie, b->cookie);
        assert_int_equal(a->npages, b->npages);
    }
    assert_memory_equal(before->where, after->where, sizeof(before->where));
    free(after);
}

/* --- one claim ------------------------------------------------------------------------- */

static void test_evacuates_and_drops(void **state)
{
    struct board *board = board_create(&small);
    struct cma_area_request request = {.npages = 100, .owner = 1};
    struct cma_area_stats stats;
    cma_pfn_t pfn;
    uint32_t i;

    (void)state;
    area_lend_all(board);
    for (i = 0; i < 256; i++) {
        store_put(board, area_pfn(board, i), i % 3 == 0 ? CMA_KIND_MOVABLE : CMA_KIND_DROPPABLE, i);
    }
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, NULL), 0);
    assert_true(pfn == area_pfn(board, 0));
    board_check(board);
    assert_int_equal(board->commits, 34);
    assert_int_equal(board->discards, 66);
    for (i = 0; i < 256; i++) {
        bool in_area = board->handles[i].pfn >= area_pfn(board, 0) &&
                       board->handles[i].pfn <= area_pfn(board, 255);

        assert_true(i >= 100     ? in_area
                    : i % 3 != 0 ? board->handles[i].state == HANDLE_FREE
                                 : !in_area);
    }
    cma_area_stats(board->area, &stats);
    assert_int_equal(stats.copied_npages, 34);
    assert_int_equal(stats.dropped_npages, 66);
    assert_int_equal(stats.wasted_copies, 0);
    assert_int_equal(stats.kept_npages, 86 - 34);
    assert_int_equal(stats.droppable_npages, 170 - 66);
    assert_int_equal(cma_area_release(board->area, pfn, 100, 1), 0);
    board_destroy(board);
}

/* One page of budget at a time is the same claim. */
static void test_steps_and_budgets(void **state)
{
    struct board *board = board_create(&small);
    struct cma_area_request request = {.npages = 100, .owner = 1};
    struct cma_claim claim;
    uint32_t i, steps = 0;
    int result;

    (void)state;
    area_lend_all(board);
    for (i = 0; i < 256; i += 2) {
        store_put(board, area_pfn(board, i), CMA_KIND_MOVABLE, i);
    }
    assert_int_equal(cma_claim_start(&claim, board->area, &request), 0);
    assert_int_equal(cma_claim_step(&claim, 0), 1);
    assert_int_equal(claim.state, CMA_CLAIM_CHOOSE);
    while ((result = cma_claim_step(&claim, 1)) == 1) {
        struct cma_violation violation;

        steps++;
        assert_true(steps < 1000);
        if (!cma_area_check(board->area, &violation)) {
            fail_msg("%s", violation.what);
        }
        if (!cma_frames_check(board->frames, true, &violation)) {
            fail_msg("%s", violation.what);
        }
    }
    assert_int_equal(result, 0);
    assert_true(steps > 100);
    assert_int_equal(claim.copied_npages, 50);
    assert_int_equal(cma_claim_step(&claim, 1), CMA_EBADF);
    cma_claim_cancel(&claim);
    assert_int_equal(cma_area_release(board->area, claim.pfn, 100, 1), 0);
    board_destroy(board);
}

/* Cancelled after any number of steps, a claim leaves nothing behind but moved data. */
static void test_cancel_anywhere(void **state)
{
    struct cma_area_request request = {.npages = 100, .owner = 1};
    bool ended = false;
    uint32_t stop;

    (void)state;
    for (stop = 0; !ended; stop++) {
        struct board *board = board_create(&small);
        struct snapshot *before = malloc(sizeof(*before));
        struct cma_claim claim;
        uint32_t i;
        int result = 1;

        area_lend_all(board);
        for (i = 0; i < 256; i += 2) {
            store_put(board, area_pfn(board, i), CMA_KIND_MOVABLE, i);
        }
        snapshot_take(board, before);
        assert_int_equal(cma_claim_start(&claim, board->area, &request), 0);
        for (i = 0; i < stop && result == 1; i++) {
            result = cma_claim_step(&claim, 3);
        }
        ended = result == 0;
        cma_claim_cancel(&claim);
        if (ended) {
            assert_int_equal(cma_area_release(board->area, claim.pfn, 100, 1), 0);
        } else if (claim.copied_npages == 0) {
            snapshot_compare(board, before);
        }
        free(before);
        board_destroy(board);
    }
    assert_true(stop > 30);
}

static void test_refusing_mover_sends_on(void **state)
{
    struct board *board = board_create(&small);
    struct cma_area_request request = {.npages = 64};
    struct cma_refusal refusal;
    struct cma_area_stats stats;
    cma_pfn_t pfn;
    uint32_t i;

    (void)state;
    area_lend_all(board);
    for (i = 0; i < 256; i++) {
        store_put(board, area_pfn(board, i), CMA_KIND_MOVABLE, i);
    }
    board->handles[40].refuses = true;
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, NULL), 0);
    assert_true(pfn == area_pfn(board, 41));
    cma_area_stats(board->area, &stats);
    assert_int_equal(stats.windows_left, 1);
    assert_int_equal(stats.wasted_copies, 32);
    assert_int_equal(stats.copied_npages, 32 + 64);
    board_check(board);
    for (i = 50; i < 256; i += 50) {
        board->handles[i].refuses = true;
    }
    assert_int_equal(cma_area_release(board->area, pfn, 64, 0), 0);
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, NULL), 0);
    assert_true(pfn == area_pfn(board, 41));
    assert_int_equal(cma_area_release(board->area, pfn, 64, 0), 0);
    request.npages = 120;
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, &refusal), CMA_EBUSY);
    assert_int_equal(refusal.reason, CMA_REASON_MOVER);
    assert_int_equal(refusal.mover, board->mover_number);
    assert_true(refusal.pfn == area_pfn(board, refusal.owner));
    assert_true(board->handles[refusal.owner].refuses);
    assert_true(refusal.possible_run_npages >= 120);
    board_destroy(board);
}

/* Droppable data that its mover will not drop or move. */
static void test_refused_drop(void **state)
{
    struct board *board = board_create(&small);
    struct snapshot *before = malloc(sizeof(*before));
    struct cma_area_request request = {.npages = 256};
    struct cma_refusal refusal;
    cma_pfn_t pfn;

    (void)state;
    area_lend_all(board);
    store_put(board, area_pfn(board, 0), CMA_KIND_DROPPABLE, 0);
    board->handles[0].refuses = true;
    snapshot_take(board, before);
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, &refusal), CMA_EBUSY);
    assert_true(refusal.pfn == area_pfn(board, 0));
    snapshot_compare(board, before);
    free(before);
    board_destroy(board);
}

/* --- room ------------------------------------------------------------------------------ */

/* Takes ordinary memory until `left` frames are free. */
static void fill_ordinary(struct board *board, uint32_t left, uint32_t cookie)
{
    struct cma_pages_request request = {.npages = 1, .flags = CMA_PAGES_NO_LENT};
    struct cma_pages_stats stats;
    cma_pfn_t pfn;

    request.holder.kind = CMA_KIND_UNMOVABLE;
    request.holder.cookie = cookie;
    for (;;) {
        cma_pages_stats(&board->system.pages, &stats);
        if (stats.zone_idle_npages[0] + stats.zone_idle_npages[1] <= left) {
            return;
        }
        assert_int_equal(cma_pages_alloc(&board->system.pages, &request, &pfn, NULL), 0);
    }
}

static void test_no_room_is_no_copy(void **state)
{
    struct board *board = board_create(&small);
    struct snapshot *before = malloc(sizeof(*before));
    struct cma_area_request request = {.npages = 100};
    struct cma_refusal refusal;
    cma_pfn_t pfn;
    uint32_t i;

    (void)state;
    area_lend_all(board);
    for (i = 0; i < 256; i++) {
        store_put(board, area_pfn(board, i), CMA_KIND_MOVABLE, i);
    }
    fill_ordinary(board, 99, 7);
    snapshot_take(board, before);
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_NO_ROOM);
    snapshot_compare(board, before);
    assert_int_equal(board->commits, 0);
    /* Why not? For that the mover was asked about the window that 99 pages would get. */
    assert_int_equal(board->freezes, board->aborts);
    assert_int_equal(refusal.change, CMA_CHANGE_ROOM);
    assert_int_equal(refusal.change_value, 1);
    i = board->freezes;
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, NULL), CMA_ENOMEM);
    assert_int_equal(board->freezes, i);
    request.npages = 99;
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, NULL), 0);
    assert_int_equal(board->commits, 99);
    free(before);
    assert_int_equal(cma_area_release(board->area, pfn, 99, 0), 0);
    board_destroy(board);
}

/* The search goes on to the first window with few enough kept frames. */
static void test_room_for_a_later_window(void **state)
{
    struct board *board = board_create(&small);
    struct cma_area_request request = {.npages = 50};
    cma_pfn_t pfn;
    uint32_t i;

    (void)state;
    area_lend_all(board);
    for (i = 0; i < 100; i++) {
        store_put(board, area_pfn(board, i), CMA_KIND_MOVABLE, i);
    }
    fill_ordinary(board, 10, 7);
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, NULL), 0);
    assert_true(pfn == area_pfn(board, 90));
    assert_int_equal(board->commits, 10);
    assert_int_equal(cma_area_release(board->area, pfn, 50, 0), 0);
    board_destroy(board);
}

/* Each mover's limit counts for its own frames only: two low ones fit low, twenty others high. */
static void test_room_by_limit(void **state)
{
    struct board_config config = small;
    struct board *board;
    struct cma_area_request request = {.npages = 22};
    struct cma_refusal refusal;
    cma_pfn_t pfn;
    uint32_t i;

    (void)state;
    config.low_npages = 128;
    board = board_create(&config);
    area_lend_all(board);
    for (i = 0; i < 256; i++) {
        bool low = i % 11 == 0;

        store_put_by(board, area_pfn(board, i), CMA_KIND_MOVABLE, i,
                     low ? board->low_mover_number : board->mover_number);
    }
    fill_ordinary(board, 127, 7);
    /* Unmovable memory is taken from the highest zone down: 127 are left below. */
    for (i = 0; i < 125; i++) {
        struct cma_pages_request more = {.npages = 1, .flags = CMA_PAGES_NO_LENT};

        more.holder.kind = CMA_KIND_UNMOVABLE;
        assert_int_equal(cma_pages_alloc(&board->system.pages, &more, &pfn, NULL), 0);
    }
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_NO_ROOM);
    /* Room above for the other twenty: free frames of the higher zone. */
    for (i = 0; i < 20; i++) {
        assert_int_equal(cma_pages_free(&board->system.pages, BOARD_BASE_PFN + 600 + i, 1, 7), 0);
    }
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, &refusal), 0);
    for (i = 0; i < 22; i += 11) {
        assert_true(board->handles[i].pfn < BOARD_BASE_PFN + 128);
    }
    assert_int_equal(board->commits, 22);
    assert_int_equal(cma_area_release(board->area, pfn, 22, 0), 0);
    board_destroy(board);
}

/* Data of an area that is being emptied never moves into it, nor into another that is. */
static void test_never_into_an_emptied_area(void **state)
{
    struct board_config config = small;
    struct board *board;
    struct cma_area *other;
    struct cma_area_request request = {.npages = 10};
    struct cma_refusal refusal;
    struct cma_claim paused;
    cma_pfn_t pfn;
    uint32_t i;

    (void)state;
    config.area2_first = 600;
    config.area2_npages = 64;
    board = board_create(&config);
    other = &board->system.areas[1];
    area_lend_all(board);
    while (cma_area_lend(other, CMA_KIND_MOVABLE)) {
    }
    for (i = 0; i < 20; i++) {
        store_put(board, area_pfn(board, i), CMA_KIND_MOVABLE, i);
    }
    for (; i < 256; i++) {
        store_put(board, area_pfn(board, i), CMA_KIND_MOVABLE, i);
    }
    fill_ordinary(board, 0, 7);
    assert_int_equal(cma_claim_start(&paused, other, &request), 0);
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_NO_ROOM);
    cma_claim_cancel(&paused);
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, &refusal), 0);
    for (i = 0; i < 10; i++) {
        assert_true(board->handles[i].pfn >= other->span->pfn &&
                    board->handles[i].pfn < other->span->pfn + 64);
    }
    assert_int_equal(cma_area_release(board->area, pfn, 10, 0), 0);
    board_destroy(board);
}

/* --- others in the way ----------------------------------------------------------------- */

/* A mover that is just freeing the frame is asked again, and the window stays the same. */
static void test_mover_is_asked_again(void **state)
{
    struct board *board = board_create(&small);
    struct cma_area_request request = {.npages = 64};
    cma_pfn_t pfn;
    uint32_t i;

    (void)state;
    area_lend_all(board);
    for (i = 0; i < 64; i++) {
        store_put(board, area_pfn(board, i), CMA_KIND_MOVABLE, i);
    }
    board->busy_freeing = 5;
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, NULL), 0);
    assert_true(pfn == area_pfn(board, 0));
    assert_int_equal(board->area->stats.windows_left, 0);
    assert_int_equal(board->commits, 64);
    assert_int_equal(cma_area_release(board->area, pfn, 64, 0), 0);
    board_destroy(board);
}

static void release_low_window(struct board *board)
{
    assert_int_equal(cma_area_release(board->area, area_pfn(board, 0), 128, 1), 0);
}

static void unref_frame(struct board *board)
{
    cma_frame_unref(board->frames, area_pfn(board, 200));
}

/* Takes a reference, if there is something to refer to, and drops it `span` locks later. */
static uint32_t reference_span;

static void ref_for_a_while(struct board *board)
{
    if (cma_frame_ref(board->frames, area_pfn(board, 200)) == 0) {
        board->at_lock += reference_span;
        board->meanwhile = unref_frame;
    }
}

/* The low window comes back at each point of a search that has nothing else. */
static void test_released_while_searching(void **state)
{
    uint32_t at, found = 0, locks = 0;

    (void)state;
    for (at = 0; at <= locks; at++) {
        struct board *board = board_create(&small);
        struct cma_area_request request = {.npages = 128, .owner = 1};
        cma_pfn_t low, high, pfn;
        int error;

        assert_int_equal(cma_area_alloc(board->area, &request, &low, NULL), 0);
        assert_int_equal(cma_area_alloc(board->area, &request, &high, NULL), 0);
        board->locks = 0;
        board->at_lock = at;
        board->meanwhile = release_low_window;
        error = cma_area_alloc(board->area, &request, &pfn, NULL);
        locks = board->meanwhile == NULL ? at + 1 : 0;
        if (error == 0) {
            assert_int_equal(found, at);
            found++;
            assert_true(pfn == low);
            assert_int_equal(cma_area_release(board->area, pfn, 128, 1), 0);
        } else {
            assert_int_equal(error, CMA_ENOMEM);
            if (board->meanwhile != NULL) {
                board->meanwhile = NULL;
                release_low_window(board);
            }
        }
        assert_int_equal(cma_area_release(board->area, high, 128, 1), 0);
        board_destroy(board);
    }
    /* Locks of a search that fails: to begin 3, then 2 for each window's cost and its claims, the
     * last look, and the end. Only after the last look may it be missed. */
    assert_true(found >= 7);
    assert_true(at - found <= 3);
}

/* A reference that comes and goes at each point of a claim: never the end of it, at most a reason
 * to try again where waiting is impossible. */
static void test_referenced_while_claiming(void **state)
{
    uint32_t at, again = 0, well = 0;

    (void)state;
    for (at = 0; at < 40 * 4; at++) {
        struct board_config config = small;
        struct board *board;
        struct cma_area_request request = {.npages = 256, .owner = 1};
        cma_pfn_t pfn;
        int error;

        config.no_wait = true;
        board = board_create(&config);
        area_lend_all(board);
        store_put(board, area_pfn(board, 200), CMA_KIND_MOVABLE, 3);
        board->locks = 0;
        board->at_lock = at / 4;
        reference_span = at % 4 + 1;
        board->meanwhile = ref_for_a_while;
        error = cma_area_alloc(board->area, &request, &pfn, NULL);
        if (error == 0) {
            well++;
            assert_int_equal(cma_area_release(board->area, pfn, 256, 1), 0);
        } else {
            again++;
            assert_int_equal(error, CMA_EAGAIN);
        }
        if (board->meanwhile == unref_frame) {
            unref_frame(board);
        }
        board->meanwhile = NULL;
        board_destroy(board);
    }
    assert_true(again > 0 && well > 100);
}

/* From its choice on a window is spoken for, before anything of it is isolated. */
static void test_windows_are_booked(void **state)
{
    struct board *board = board_create(&small);
    struct cma_area_request request = {.npages = 100, .owner = 2};
    struct cma_claim a, b;

    (void)state;
    assert_int_equal(cma_claim_start(&a, board->area, &request), 0);
    assert_int_equal(cma_claim_start(&b, board->area, &request), 0);
    assert_int_equal(cma_claim_step(&a, 1), 1);
    assert_true(a.state == CMA_CLAIM_ISOLATE && a.pfn == area_pfn(board, 0));
    while (b.state == CMA_CLAIM_CHOOSE) {
        assert_int_equal(cma_claim_step(&b, 1), 1);
    }
    assert_true(b.pfn == area_pfn(board, 100));
    cma_claim_cancel(&a);
    cma_claim_cancel(&b);
    board_destroy(board);
}

static void test_paused_claim_is_avoided(void **state)
{
    struct board *board = board_create(&small);
    struct cma_area_request request = {.npages = 100, .owner = 2};
    struct cma_refusal refusal;
    struct cma_claim paused;
    cma_pfn_t pfn;

    (void)state;
    assert_int_equal(cma_claim_start(&paused, board->area, &request), 0);
    assert_int_equal(cma_claim_step(&paused, 1), 1);
    assert_int_equal(cma_claim_step(&paused, 40), 1);
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, NULL), 0);
    assert_true(pfn == area_pfn(board, 100));
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, &refusal), CMA_EAGAIN);
    assert_int_equal(cma_area_release(board->area, area_pfn(board, 100), 100, 2), 0);
    assert_int_equal(cma_claim_step(&paused, UINT64_MAX), 0);
    assert_true(paused.pfn == area_pfn(board, 0));
    assert_int_equal(cma_area_release(board->area, paused.pfn, 100, 2), 0);
    board_destroy(board);
}

static void test_reference_without_waiting(void **state)
{
    struct board_config config = small;
    struct cma_area_request request = {.npages = 256};
    struct cma_refusal refusal;
    struct board *board;
    cma_pfn_t pfn;
    uint32_t round;

    (void)state;
    for (round = 0; round < 2; round++) {
        config.no_wait = round == 0;
        request.flags = round == 0 ? 0 : CMA_CLAIM_NOWAIT;
        board = board_create(&config);
        area_lend_all(board);
        store_put(board, area_pfn(board, 9), CMA_KIND_MOVABLE, 0);
        assert_int_equal(cma_frame_ref(board->frames, area_pfn(board, 9)), 0);
        assert_int_equal(cma_area_alloc(board->area, &request, &pfn, &refusal), CMA_EAGAIN);
        assert_int_equal(refusal.reason, CMA_REASON_HELD);
        assert_true(refusal.pfn == area_pfn(board, 9));
        assert_int_equal(board->freezes, 0);
        assert_int_equal(refusal.possible_run_npages, 246);
        request.npages = 246;
        assert_int_equal(cma_area_alloc(board->area, &request, &pfn, &refusal), 0);
        assert_true(pfn == area_pfn(board, 10));
        assert_int_equal(cma_area_release(board->area, pfn, 246, 0), 0);
        request.npages = 256;
        cma_frame_unref(board->frames, area_pfn(board, 9));
        assert_int_equal(cma_area_alloc(board->area, &request, &pfn, &refusal), 0);
        assert_int_equal(cma_area_release(board->area, pfn, 256, 0), 0);
        board_destroy(board);
    }
}

struct unref_later {
    struct board *board;
    cma_pfn_t pfn;
};

static void *unref_later(void *arg)
{
    struct unref_later *later = arg;
    struct timespec nap = {0, 20000000};

    nanosleep(&nap, NULL);
    cma_frame_unref(later->board->frames, later->pfn);
    return NULL;
}

static void test_reference_is_waited_for(void **state)
{
    struct board *board = board_create(&small);
    struct unref_later later = {board, area_pfn(board, 9)};
    struct cma_area_request request = {.npages = 256};
    pthread_t thread;
    cma_pfn_t pfn;

    (void)state;
    area_lend_all(board);
    store_put(board, later.pfn, CMA_KIND_MOVABLE, 0);
    assert_int_equal(cma_frame_ref(board->frames, later.pfn), 0);
    pthread_create(&thread, NULL, unref_later, &later);
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, NULL), 0);
    pthread_join(thread, NULL);
    assert_int_equal(cma_area_release(board->area, pfn, 256, 0), 0);
    board_destroy(board);
}

/* --- side by side ---------------------------------------------------------------------- */

enum { NTHREADS = 8, ROUNDS = 150 };

struct crowd {
    struct board *board;
    pthread_barrier_t barrier;
    uint64_t npages;
    uint32_t refused;
    bool churn;
};

struct member {
    struct crowd *crowd;
    uint32_t number;
    pthread_t thread;
};

/* As many claims as there are windows, all at once, again and again: each must get one. */
static void *crowd_claims(void *arg)
{
    struct member *member = arg;
    struct crowd *crowd = member->crowd;
    struct cma_area_request request = {.npages = crowd->npages, .owner = member->number};
    struct cma_refusal refusal;
    uint32_t round;

    for (round = 0; round < ROUNDS; round++) {
        cma_pfn_t pfn;
        int error;

        pthread_barrier_wait(&crowd->barrier);
        error = cma_area_alloc(crowd->board->area, &request, &pfn, &refusal);
        if (error != 0) {
            __atomic_add_fetch(&crowd->refused, 1, __ATOMIC_RELAXED);
        }
        pthread_barrier_wait(&crowd->barrier);
        if (error == 0 &&
            cma_area_release(crowd->board->area, pfn, crowd->npages, member->number) != 0) {
            __atomic_add_fetch(&crowd->refused, 1000, __ATOMIC_RELAXED);
        }
        if (crowd->churn) {
            uint32_t i;

            /* Each member's data comes and goes: droppable, so that it lands in the area, and half
             * of it gets dirty there. */
            pthread_barrier_wait(&crowd->barrier);
            if (member->number == 0) {
                area_lend_all(crowd->board);
            }
            pthread_barrier_wait(&crowd->barrier);
            for (i = 0; i < 60; i++) {
                uint32_t cookie = member->number * 100 + i;

                if (crowd->board->handles[cookie].state == HANDLE_FREE) {
                    assert_true(store_add(crowd->board, CMA_KIND_DROPPABLE, cookie));
                    if (i % 2 == 0) {
                        assert_int_equal(
                            cma_frame_keep(crowd->board->frames, crowd->board->handles[cookie].pfn),
                            0);
                    }
                } else if ((i + round) % 5 == 0) {
                    store_remove(crowd->board, cookie);
                }
            }
        }
    }
    return NULL;
}

static void crowd_run(const struct board_config *config, uint64_t npages, bool churn)
{
    struct crowd crowd = {.npages = npages, .churn = churn};
    struct cma_area_stats stats;
    struct member members[NTHREADS];
    uint32_t i;

    crowd.board = board_create(config);
    crowd.board->jitter = true;
    pthread_barrier_init(&crowd.barrier, NULL, NTHREADS);
    for (i = 0; i < NTHREADS; i++) {
        members[i].crowd = &crowd;
        members[i].number = i;
        pthread_create(&members[i].thread, NULL, crowd_claims, &members[i]);
    }
    for (i = 0; i < NTHREADS; i++) {
        pthread_join(members[i].thread, NULL);
    }
    assert_int_equal(crowd.refused, 0);
    cma_area_stats(crowd.board->area, &stats);
    assert_int_equal(stats.claims, NTHREADS * ROUNDS);
    if (churn) {
        assert_true(stats.copied_npages > 1000);
        assert_true(stats.dropped_npages > 1000);
    }
    pthread_barrier_destroy(&crowd.barrier);
    board_destroy(crowd.board);
}

static void test_as_many_claims_as_windows(void **state)
{
    /* Windows that are no whole blocks, in an area that they fill exactly. */
    struct board_config config = {
        .npages = 1024, .area_first = 301, .area_npages = 8 * 37, .block_order = 5};

    (void)state;
    crowd_run(&small, 32, false);
    crowd_run(&config, 37, false);
    config.index = true;
    crowd_run(&config, 37, false);
}

static void test_as_many_claims_as_windows_with_data(void **state)
{
    struct board_config config = {
        .npages = 2048, .area_first = 301, .area_npages = 8 * 37, .block_order = 5};

    (void)state;
    crowd_run(&config, 37, true);
    config.index = true;
    crowd_run(&config, 37, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_evacuates_and_drops),
        cmocka_unit_test(test_steps_and_budgets),
        cmocka_unit_test(test_cancel_anywhere),
        cmocka_unit_test(test_refusing_mover_sends_on),
        cmocka_unit_test(test_refused_drop),
        cmocka_unit_test(test_no_room_is_no_copy),
        cmocka_unit_test(test_room_for_a_later_window),
        cmocka_unit_test(test_room_by_limit),
        cmocka_unit_test(test_never_into_an_emptied_area),
        cmocka_unit_test(test_mover_is_asked_again),
        cmocka_unit_test(test_released_while_searching),
        cmocka_unit_test(test_referenced_while_claiming),
        cmocka_unit_test(test_windows_are_booked),
        cmocka_unit_test(test_paused_claim_is_avoided),
        cmocka_unit_test(test_reference_without_waiting),
        cmocka_unit_test(test_reference_is_waited_for),
        cmocka_unit_test(test_as_many_claims_as_windows),
        cmocka_unit_test(test_as_many_claims_as_windows_with_data),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
