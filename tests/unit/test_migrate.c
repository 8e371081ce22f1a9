/* SPDX-License-Identifier: BSD-2-Clause */
/* test_migrate.c - windows emptied, restored and claimed; pins and reclaim; every refusal on the
 * way */
#include "plain_port.h"

/* All of it is run three times: frame by frame, in runs, and in runs with movers that are asked for
 * many frames in one call. */
static int (*evacuate)(struct cma_frames *frames, cma_pfn_t pfn, uint32_t npages,
                       struct cma_evacuation *evacuation);

static const struct plain_area areas[] = {{64, 96}, {192, 64}};

static struct plain *board(void)
{
    struct plain *plain = plain_create(320, areas, 2);

    plain_lend_all(plain, plain_area_span(plain, 0));
    plain_lend_all(plain, plain_area_span(plain, 1));
    return plain;
}

static uint64_t live(const struct plain *plain)
{
    uint64_t count = 0;

    for (uint32_t i = 1; i < plain->next_cookie; i++) {
        count += plain->handles[i].state == PLAIN_HELD ? 1 : 0;
    }
    return count;
}

static void let_go(struct plain *plain, uint32_t cookie)
{
    struct plain_handle *handle = &plain->handles[cookie];
    cma_pfn_t pfn = handle->pfn;

    handle->state = PLAIN_GONE;
    handle->pfn = PLAIN_NONE;
    assert_int_equal(cma_pages_free(&plain->pages, pfn, 1, cookie), 0);
}

/* --- evacuation ---------------------------------------------------------------------------- */

/* Claim, release: counts after each step, data carried, the same addresses idle again. */
static void test_claim_step_by_step(void **state)
{
    struct plain *plain = board();
    struct cma_frames *frames = &plain->frames;
    struct cma_span *span = plain_area_span(plain, 0);
    struct cma_evacuation evacuation = {0};
    struct cma_window_cost cost;
    cma_pfn_t pfn = span->pfn + 8, obstacle;
    uint64_t idle = plain_idle(plain);

    (void)state;
    for (uint32_t i = 0; i < 50; i += 2) {
        (void)plain_publish(plain, i % 4 == 0 ? CMA_KIND_MOVABLE : CMA_KIND_DROPPABLE, 1, pfn + i);
    }
    cma__window_cost(frames, span, pfn, 50, &cost);
    assert_int_equal(cost.kept, 13);
    assert_int_equal(cost.droppable, 12);
    assert_int_equal(cost.idle, 25);
    assert_int_equal(cost.obstacle, CMA_PFN_NONE);
    assert_int_equal(cost.kept_paddr_last, CMA_PADDR_MAX);

    assert_int_equal(plain_isolate(plain, span, pfn, 50, &obstacle), 0);
    plain_check_busy(plain, true);
    assert_int_equal(plain->freezes + plain->discards, 0);
    assert_true(plain_info(plain, pfn).isolated);
    assert_false(plain_info(plain, pfn + 1).idle);
    assert_true(plain_info(plain, pfn + 50).idle);

    plain->flushes = 0;
    assert_int_equal(evacuate(frames, pfn, 50, &evacuation), 0);
    assert_int_equal(evacuation.copied, 13);
    assert_int_equal(evacuation.dropped, 12);
    assert_int_equal(plain->copies, 13);
    assert_int_equal(plain->commits, 13);
    assert_int_equal(plain->discards, 12);
    assert_int_equal(plain->flushes, 1);
    assert_int_equal(plain_idle(plain), idle - 13);
    assert_int_equal(live(plain), 13);
    plain_check_busy(plain, true);

    cma__window_claim(frames, span, pfn, 50, 1234);
    plain_check(plain);
    assert_int_equal(plain_info(plain, pfn).kind, CMA_KIND_CLAIMED);
    assert_int_equal(plain_info(plain, pfn).npages, 50);
    assert_int_equal(plain_info(plain, pfn).cookie, 1234);
    assert_int_equal(plain_info(plain, pfn + 1).kind, CMA_KIND_NONE);
    assert_false(plain_info(plain, pfn + 49).idle);

    assert_int_equal(cma__window_release(frames, span, pfn + 1, 49, 1234), CMA_EBADF);
    assert_int_equal(cma__window_release(frames, span, pfn, 49, 1234), CMA_EINVAL);
    assert_int_equal(cma__window_release(frames, span, pfn, 51, 1234), CMA_EINVAL);
    assert_int_equal(cma__window_release(frames, span, pfn, 50, 1235), CMA_EPERM);
    assert_int_equal(cma__window_release(frames, span, pfn - 1, 50, 1234), CMA_EBADF);
    assert_int_equal(cma__window_release(frames, span, pfn, 50, 1234), 0);
    assert_int_equal(cma__window_release(frames, span, pfn, 50, 1234), CMA_EBADF);
    plain_check(plain);
    for (uint32_t i = 0; i < span->npages; i++) {
        assert_true(plain_info(plain, span->pfn + i).idle);
    }
    plain_destroy(plain);
}

/* One flush for 32 frames, two for 33. */
static void test_one_flush_a_batch(void **state)
{
    (void)state;
    for (uint32_t n = 31; n <= 65; n += 1) {
        struct plain *plain = board();
        struct cma_span *span = plain_area_span(plain, 0);
        struct cma_evacuation evacuation = {0};
        cma_pfn_t obstacle;

        for (uint32_t i = 0; i < n; i++) {
            (void)plain_publish(plain, CMA_KIND_MOVABLE, 1, span->pfn + i);
        }
        assert_int_equal(plain_isolate(plain, span, span->pfn, 70, &obstacle), 0);
        assert_int_equal(evacuate(&plain->frames, span->pfn, 70, &evacuation), 0);
        assert_int_equal(plain->flushes, (n + 31) / 32);
        assert_int_equal(evacuation.copied, n);
        cma__window_restore(&plain->frames, span, span->pfn, 70);
        plain_check(plain);
        plain_destroy(plain);
    }
}

/* Frames that were only dropped are flushed, too, before the claim can have them. */
static void test_drops_are_flushed(void **state)
{
    struct plain *plain = board();
    struct cma_span *span = plain_area_span(plain, 0);
    struct cma_evacuation evacuation = {0};
    cma_pfn_t obstacle;

    (void)state;
    for (uint32_t i = 0; i < 20; i++) {
        (void)plain_publish(plain, CMA_KIND_DROPPABLE, 1, span->pfn + i);
    }
    assert_int_equal(plain_isolate(plain, span, span->pfn, 20, &obstacle), 0);
    assert_int_equal(evacuate(&plain->frames, span->pfn, 10, &evacuation), 0);
    assert_int_equal(evacuation.dropped, 10);
    assert_false(plain->must_flush);
    assert_int_equal(plain->flushes, 1);
    /* Also when the call ends badly: the frames before go back and may be had by anybody. */
    assert_int_equal(cma_frame_keep(&plain->frames, span->pfn + 15), 0);
    plain->fail_freeze = 1;
    assert_int_equal(evacuate(&plain->frames, span->pfn + 10, 10, &evacuation), CMA_EBUSY);
    assert_int_equal(evacuation.dropped, 15);
    assert_false(plain->must_flush);
    cma__window_restore(&plain->frames, span, span->pfn, 20);
    plain_check(plain);
    plain_destroy(plain);
}

/* What nobody borrowed costs nothing: not a lock more than a block's, not a record touched. */
static void test_unborrowed_window_is_free(void **state)
{
    struct plain *plain = board();
    struct cma_span *span = plain_area_span(plain, 0);
    struct cma_frame_record *records = &plain->frames.records[span->record];
    struct cma_evacuation evacuation = {0};
    struct cma_window_cost cost;
    cma_pfn_t obstacle;

    (void)state;
    cma__window_cost(&plain->frames, span, span->pfn, 96, &cost);
    assert_int_equal(cost.idle, 96);
    /* A record that is looked at would be seen as a holder. */
    for (uint32_t i = 0; i < 96; i++) {
        records[i].word = 0xffffffffu;
    }
    plain->locks = 0;
    assert_int_equal(plain_isolate(plain, span, span->pfn, 96, &obstacle), 0);
    assert_int_equal(evacuate(&plain->frames, span->pfn, 96, &evacuation), 0);
    assert_int_equal(plain->locks, 3);
    for (uint32_t i = 0; i < 96; i++) {
        records[i].word = 0;
    }
    cma__window_claim(&plain->frames, span, span->pfn, 96, 1);
    assert_int_equal(plain->flushes + plain->freezes + plain->copies, 0);
    assert_int_equal(cma__window_release(&plain->frames, span, span->pfn, 96, 1), 0);
    plain_check(plain);
    plain_destroy(plain);
}

/*
 * Each call of freeze and discard fails in turn, with each answer: nothing is lost, nothing dropped
 * twice, what was put back is as it was, and with the fault gone the claim goes through.
 */
static void fail_nth(enum cma_kind kind, int with, bool freeze, uint32_t nth)
{
    struct plain *plain = board();
    struct cma_frames *frames = &plain->frames;
    struct cma_span *span = plain_area_span(plain, 0);
    struct cma_evacuation evacuation = {0};
    uint64_t idle = plain_idle(plain), before;
    cma_pfn_t obstacle;
    int error;

    for (uint32_t i = 0; i < 40; i++) {
        (void)plain_publish(plain, i % 3 == 0 ? CMA_KIND_MOVABLE : kind, 1, span->pfn + i);
    }
    assert_int_equal(plain_isolate(plain, span, span->pfn, 48, &obstacle), 0);
    plain->fail_with = with;
    *(freeze ? &plain->fail_freeze : &plain->fail_discard) = nth;
    error = evacuate(frames, span->pfn, 48, &evacuation);
    assert_false(plain->locked);
    plain_check_busy(plain, true);
    assert_int_equal(plain->freezes - (freeze ? 1 : 0), plain->commits + plain->aborts);
    assert_int_equal(evacuation.copied, plain->commits);
    assert_int_equal(plain_idle(plain), idle - plain->commits);
    if (!freeze && with == CMA_EBUSY) {
        /* What would not be dropped was carried. */
        assert_int_equal(error, 0);
    } else {
        assert_int_equal(error, with == CMA_ENOENT ? CMA_EAGAIN : with);
        assert_true(plain_info(plain, evacuation.obstacle).isolated);
        assert_false(plain_info(plain, evacuation.obstacle).frozen);
        for (cma_pfn_t at = span->pfn; error == CMA_EAGAIN && at < evacuation.obstacle; at++) {
            assert_int_equal(plain_info(plain, at).kind, CMA_KIND_NONE);
        }
    }
    if (error == CMA_EBUSY) {
        uint32_t event = cma_frames_event(frames);

        /* The claim gives up: all in the window is as before, but for what was dropped or moved. */
        assert_int_equal(plain->commits % 32, 0);
        cma__window_restore(frames, span, span->pfn, 48);
        assert_int_not_equal(cma_frames_event(frames), event);
        plain_check(plain);
        before = live(plain);
        assert_int_equal(before, 40 - evacuation.dropped);
        assert_int_equal(plain_isolate(plain, span, span->pfn, 48, &obstacle), 0);
    }
    plain->fail_freeze = plain->fail_discard = 0;
    assert_int_equal(evacuate(frames, span->pfn, 48, &evacuation), 0);
    assert_int_equal(evacuation.copied + evacuation.dropped, 40);
    assert_int_equal(live(plain), evacuation.copied);
    cma__window_claim(frames, span, span->pfn, 48, 1);
    plain_check(plain);
    assert_int_equal(plain_idle(plain), idle - evacuation.copied);
    plain_destroy(plain);
}

static void test_fail_the_nth(void **state)
{
    static const int answers[] = {CMA_EBUSY, CMA_ENOENT};

    (void)state;
    for (uint32_t a = 0; a < 2; a++) {
        for (uint32_t nth = 1; nth <= 40; nth++) {
            fail_nth(CMA_KIND_MOVABLE, answers[a], true, nth);
            if (nth <= 14) {
                fail_nth(CMA_KIND_DROPPABLE, answers[a], true, nth);
            }
            if (nth <= 26) {
                fail_nth(CMA_KIND_DROPPABLE, answers[a], false, nth);
            }
        }
    }
}

/* Destinations run out at the nth frame: the batch is undone, all of them are back. */
static void test_no_destination(void **state)
{
    (void)state;
    for (uint32_t room = 0; room < 40; room++) {
        struct plain *plain = board();
        struct cma_span *span = plain_area_span(plain, 0);
        struct cma_span *other = plain_area_span(plain, 1);
        struct cma_evacuation evacuation = {0};
        uint32_t cookie;
        cma_pfn_t obstacle;

        for (uint32_t i = 0; i < 40; i++) {
            (void)plain_publish(plain, CMA_KIND_MOVABLE, 1, span->pfn + i);
        }
        other->emptying = 1;
        while (plain_idle(plain) > room) {
            assert_int_equal(plain_alloc(plain, CMA_KIND_UNMOVABLE, 0, 0, &cookie), 0);
        }
        assert_int_equal(plain_isolate(plain, span, span->pfn, 40, &obstacle), 0);
        span->emptying = 1;
        assert_int_equal(evacuate(&plain->frames, span->pfn, 40, &evacuation), CMA_ENOMEM);
        assert_int_equal(evacuation.obstacle, span->pfn + room);
        assert_int_equal(evacuation.copied, room / 32 * 32);
        assert_int_equal(plain->aborts, room % 32);
        assert_int_equal(plain_idle(plain), room % 32);
        cma__window_restore(&plain->frames, span, span->pfn, 40);
        span->emptying = other->emptying = 0;
        plain_check(plain);
        /* Not being emptied, the other area has room enough. */
        assert_int_equal(plain_isolate(plain, span, span->pfn, 40, &obstacle), 0);
        span->emptying = 1;
        assert_int_equal(evacuate(&plain->frames, span->pfn, 40, &evacuation), 0);
        span->emptying = 0;
        cma__window_restore(&plain->frames, span, span->pfn, 40);
        plain_check(plain);
        assert_int_equal(plain_idle(plain), 0);
        plain_destroy(plain);
    }
}

/* --- holders that are quicker -------------------------------------------------------------- */

/* The holder frees an isolated frame: it is the claim's, idle for nobody. */
static void test_free_while_isolated(void **state)
{
    struct plain *plain = board();
    struct cma_span *span = plain_area_span(plain, 0);
    struct cma_evacuation evacuation = {0};
    uint32_t a, b, event;
    cma_pfn_t obstacle;

    (void)state;
    a = plain_publish(plain, CMA_KIND_MOVABLE, 1, span->pfn);
    b = plain_publish(plain, CMA_KIND_DROPPABLE, 1, span->pfn + 1);
    assert_int_equal(plain_isolate(plain, span, span->pfn, 8, &obstacle), 0);
    event = cma_frames_event(&plain->frames);
    let_go(plain, a);
    assert_int_not_equal(cma_frames_event(&plain->frames), event);
    assert_false(plain_info(plain, span->pfn).idle);
    event = cma_frames_event(&plain->frames);
    plain->handles[b].state = PLAIN_GONE;
    assert_int_equal(cma_frame_release(&plain->frames, span->pfn + 1), 0);
    assert_int_not_equal(cma_frames_event(&plain->frames), event);
    plain_check_busy(plain, true);
    assert_int_equal(evacuate(&plain->frames, span->pfn, 8, &evacuation), 0);
    assert_int_equal(evacuation.copied + evacuation.dropped, 0);
    cma__window_claim(&plain->frames, span, span->pfn, 8, 1);
    plain_check(plain);
    plain_destroy(plain);
}

/* Inside its freeze the mover finds that the handle was freed; the holder's call got EAGAIN and
 * comes again afterwards, as a thread of its own would. */
static void test_freeing_and_freezing_cross(void **state)
{
    struct plain *plain = board();
    struct cma_span *span = plain_area_span(plain, 0);
    struct cma_evacuation evacuation = {0};
    uint32_t cookie, event;
    cma_pfn_t obstacle;

    (void)state;
    cookie = plain_publish(plain, CMA_KIND_MOVABLE, 1, span->pfn);
    assert_int_equal(plain_isolate(plain, span, span->pfn, 8, &obstacle), 0);
    plain->fail_freeze = 1;
    plain->fail_with = CMA_ENOENT;
    event = cma_frames_event(&plain->frames);
    assert_int_equal(evacuate(&plain->frames, span->pfn, 8, &evacuation), CMA_EAGAIN);
    assert_int_equal(evacuation.obstacle, span->pfn);
    /* Thawed: whoever waits is told, and the holder's call goes through. */
    assert_int_not_equal(cma_frames_event(&plain->frames), event);
    let_go(plain, cookie);
    assert_int_equal(evacuate(&plain->frames, span->pfn, 8, &evacuation), 0);
    cma__window_claim(&plain->frames, span, span->pfn, 8, 1);
    plain_check(plain);
    plain_destroy(plain);
}

/* A frame that gets dirty while it is isolated is moved, not dropped. */
static void test_keep_while_isolated(void **state)
{
    struct plain *plain = board();
    struct cma_span *span = plain_area_span(plain, 0);
    struct cma_evacuation evacuation = {0};
    cma_pfn_t obstacle;

    (void)state;
    (void)plain_publish(plain, CMA_KIND_DROPPABLE, 1, span->pfn);
    assert_int_equal(plain_isolate(plain, span, span->pfn, 8, &obstacle), 0);
    assert_int_equal(cma_frame_keep(&plain->frames, span->pfn), 0);
    assert_int_equal(evacuate(&plain->frames, span->pfn, 8, &evacuation), 0);
    assert_int_equal(evacuation.copied, 1);
    assert_int_equal(evacuation.dropped, 0);
    cma__window_restore(&plain->frames, span, span->pfn, 8);
    plain_check(plain);
    plain_destroy(plain);
}

/* What gets dirty between a look at it and its freeze is not dropped: the next one while a frame is
 * being discarded, */
static struct {
    cma_pfn_t pfn;
    uint32_t after;
    int result;
} dirty;

static void keep_next(struct plain *plain, cma_pfn_t pfn, uint32_t cookie)
{
    (void)pfn;
    (void)cookie;
    plain->during = NULL;
    dirty.result = cma_frame_keep(&plain->frames, dirty.pfn);
}

static void test_kept_before_its_freeze(void **state)
{
    struct plain *plain = board();
    struct cma_span *span = plain_area_span(plain, 0);
    struct cma_evacuation evacuation = {0};
    cma_pfn_t obstacle;
    int error;

    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        (void)plain_publish(plain, CMA_KIND_DROPPABLE, 1, span->pfn + i);
    }
    assert_int_equal(plain_isolate(plain, span, span->pfn, 8, &obstacle), 0);
    dirty.pfn = span->pfn + 1;
    plain->during = keep_next;
    error = evacuate(&plain->frames, span->pfn, 8, &evacuation);
    assert_true(error == 0 || error == CMA_EAGAIN);
    while (error == CMA_EAGAIN) {
        error = evacuate(&plain->frames, span->pfn, 8, &evacuation);
    }
    assert_int_equal(error, 0);
    /* Asked for together, they are all frozen already. */
    assert_int_equal(dirty.result, plain_many && evacuate != cma__window_evacuate ? CMA_EAGAIN : 0);
    assert_int_equal(evacuation.copied, dirty.result == 0 ? 1 : 0);
    assert_int_equal(evacuation.dropped, dirty.result == 0 ? 2 : 3);
    cma__window_restore(&plain->frames, span, span->pfn, 8);
    plain_check(plain);
    plain_destroy(plain);
}

/* and one that was found to make room, after any of the steps. */
static void unlock_and_keep(void *ctx, struct cma_lock *lock, uintptr_t state)
{
    plain_unlock(ctx, lock, state);
    if (dirty.after != 0 && --dirty.after == 0) {
        dirty.result = cma_frame_keep(&((struct plain *)ctx)->frames, dirty.pfn);
    }
}

static void test_kept_before_it_is_reclaimed(void **state)
{
    (void)state;
    for (uint32_t after = 1; after < 6; after++) {
        struct plain *plain = board();
        uint32_t cookie = plain_publish(plain, CMA_KIND_DROPPABLE, 1, plain->base + 10);
        cma_pfn_t pfn;

        (void)plain_publish(plain, CMA_KIND_DROPPABLE, 1, plain->base);
        dirty.pfn = plain->base + 10;
        dirty.after = after;
        dirty.result = CMA_EAGAIN;
        plain->port.unlock = unlock_and_keep;
        assert_int_equal(cma__frames_reclaim(&plain->frames, 0, CMA_PFN_NONE, 1, &pfn), 1);
        assert_true((plain->handles[cookie].state == PLAIN_HELD) == (dirty.result == 0));
        plain_destroy(plain);
    }
}

/* --- what stands in a window --------------------------------------------------------------- */

static void expect_obstacle(struct plain *plain, struct cma_span *span, uint64_t first,
                            uint64_t npages, uint64_t at, bool claimed, bool passes)
{
    struct cma_window_cost cost;

    cma__window_cost(&plain->frames, span, span->pfn + first, npages, &cost);
    assert_int_equal(cost.obstacle, span->pfn + at);
    assert_int_equal(cost.obstacle_claimed, claimed);
    assert_int_equal(cost.obstacle_passes, passes);
}

static void test_obstacles(void **state)
{
    struct plain *plain = board();
    struct cma_frames *frames = &plain->frames;
    struct cma_span *span = plain_area_span(plain, 0);
    struct cma_span *other = plain_area_span(plain, 1);
    struct cma_destination want = {.paddr_last = CMA_PADDR_MAX, .npages = 1};
    cma_pfn_t obstacle, taken;
    void *before;
    uint32_t cookie;

    (void)state;
    (void)plain_publish(plain, CMA_KIND_MOVABLE, 1, span->pfn + 1);
    (void)plain_publish(plain, CMA_KIND_MOVABLE, 1, span->pfn + 4);
    (void)plain_publish(plain, CMA_KIND_DROPPABLE, 1, span->pfn + 5);
    assert_int_equal(cma_frame_ref(frames, span->pfn + 4), 0);
    expect_obstacle(plain, span, 0, 8, 4, false, true);
    /* All or nothing, and the marks below the obstacle are gone again. */
    before = plain_snapshot(plain);
    assert_int_equal(cma__window_isolate(frames, span, span->pfn, 8, &obstacle), CMA_EBUSY);
    assert_int_equal(obstacle, span->pfn + 4);
    plain_assert_unchanged(plain, before);
    plain_check(plain);
    assert_int_equal(cma_frame_unref(frames, span->pfn + 4), 0);

    /* Another claim in progress: its marks and its idle frames. */
    assert_int_equal(cma__window_isolate(frames, span, span->pfn + 4, 4, &obstacle), 0);
    expect_obstacle(plain, span, 0, 6, 5, true, true);
    expect_obstacle(plain, span, 0, 8, 7, true, false);
    before = plain_snapshot(plain);
    assert_int_equal(cma__window_isolate(frames, span, span->pfn, 6, &obstacle), CMA_EBUSY);
    assert_int_equal(obstacle, span->pfn + 4);
    plain_assert_unchanged(plain, before);
    cma__window_restore(frames, span, span->pfn + 4, 4);
    plain_check(plain);

    /* A buffer: in a block with borrowers its frames are seen one by one, without them at once, and
     * to its end even where that lies behind the window. */
    assert_int_equal(plain_isolate(plain, span, span->pfn + 8, 60, &obstacle), 0);
    cma__window_claim(frames, span, span->pfn + 8, 60, 1);
    expect_obstacle(plain, span, 0, 20, 19, true, false);
    expect_obstacle(plain, span, 30, 10, 63, true, false);
    expect_obstacle(plain, span, 60, 6, 67, true, false);
    assert_int_equal(cma__window_release(frames, span, span->pfn + 8, 60, 1), 0);

    /* A frame that is on its way to somebody passes. */
    while (plain_alloc(plain, CMA_KIND_UNMOVABLE, 0, 0, &cookie) == 0) {
    }
    span->emptying = 1;
    assert_int_equal(plain->pages.ops.destination(&plain->pages, &want, &taken), 1);
    span->emptying = 0;
    assert_ptr_equal(cma__span_of(frames, taken), other);
    expect_obstacle(plain, other, taken - other->pfn, 1, taken - other->pfn, true, true);
    assert_int_equal(cma__window_isolate(frames, other, taken, 1, &obstacle), CMA_EBUSY);
    plain->pages.ops.destination_put(&plain->pages, taken, 1);
    assert_int_equal(cma__window_isolate(frames, other, taken, 1, &obstacle), 0);
    cma__window_restore(frames, other, taken, 1);
    plain_check(plain);
    plain_destroy(plain);
}

/* The cost of random windows against a loop over frames. */
static void test_cost_naively(void **state)
{
    struct plain *plain = board();
    struct cma_span *span = plain_area_span(plain, 0);
    cma_pfn_t obstacle;

    (void)state;
    srand(4);
    assert_int_equal(plain_isolate(plain, span, span->pfn + 60, 2, &obstacle), 0);
    cma__window_claim(&plain->frames, span, span->pfn + 60, 2, 1);
    for (uint32_t i = 0; i < 96; i++) {
        if (plain_info(plain, span->pfn + i).idle && rand() % 8 == 0) {
            (void)plain_publish(plain, rand() % 2 == 0 ? CMA_KIND_MOVABLE : CMA_KIND_DROPPABLE,
                                rand() % 4 == 0 ? 2 : 1, span->pfn + i);
            if (rand() % 4 == 0) {
                assert_int_equal(cma_frame_ref(&plain->frames, span->pfn + i), 0);
            }
        }
    }
    for (uint32_t first = 0; first < 96; first++) {
        for (uint32_t n = 1; n <= 96 - first; n++) {
            uint64_t idle = 0, kept = 0, droppable = 0;
            cma_pfn_t last_obstacle = CMA_PFN_NONE;
            struct cma_window_cost cost;

            for (uint32_t i = first; i < first + n; i++) {
                struct cma_frame_info info = plain_info(plain, span->pfn + i);

                idle += info.idle ? 1 : 0;
                kept += info.kind == CMA_KIND_MOVABLE && info.refs == 0 ? 1 : 0;
                droppable += info.kind == CMA_KIND_DROPPABLE && info.refs == 0 ? 1 : 0;
                if (!info.idle && (info.refs != 0 || info.kind == CMA_KIND_NONE ||
                                   info.kind == CMA_KIND_CLAIMED)) {
                    last_obstacle = span->pfn + i;
                }
            }
            cma__window_cost(&plain->frames, span, span->pfn + first, n, &cost);
            if (last_obstacle == CMA_PFN_NONE) {
                assert_int_equal(cost.obstacle, CMA_PFN_NONE);
                assert_int_equal(cost.idle, idle);
                assert_int_equal(cost.kept, kept);
                assert_int_equal(cost.droppable, droppable);
            } else {
                assert_true(cost.obstacle >= last_obstacle && cost.obstacle != CMA_PFN_NONE);
            }
        }
    }
    plain_destroy(plain);
}

/* What is taken up to the area's end stands in the way up to there, and no further: the block is
 * cut.
 */
static void test_cost_at_the_end(void **state)
{
    const struct plain_area ends[] = {{50, 85}};
    struct plain *plain = plain_create(320, ends, 1);
    struct cma_span *span = plain_area_span(plain, 0);
    struct cma_window_cost cost;
    cma_pfn_t obstacle;

    (void)state;
    assert_int_equal(plain_isolate(plain, span, span->pfn + 75, 10, &obstacle), 0);
    cma__window_claim(&plain->frames, span, span->pfn + 75, 10, 1);
    cma__window_cost(&plain->frames, span, span->pfn + 70, 12, &cost);
    assert_int_equal(cost.obstacle, span->pfn + 84);
    assert_true(cost.obstacle_claimed);
    plain_destroy(plain);
}

/* The lowest limit among the movers of kept frames; droppable ones need no place. */
static void test_cost_knows_limits(void **state)
{
    struct plain *plain = board();
    struct cma_span *span = plain_area_span(plain, 0);
    struct cma_window_cost cost;

    (void)state;
    (void)plain_publish(plain, CMA_KIND_MOVABLE, plain->sure.number, span->pfn);
    (void)plain_publish(plain, CMA_KIND_MOVABLE, plain->stiff.number, span->pfn + 40);
    plain->picky.mover.paddr_last = 1;
    (void)plain_publish(plain, CMA_KIND_DROPPABLE, plain->picky.number, span->pfn + 50);
    cma__window_cost(&plain->frames, span, span->pfn, 40, &cost);
    assert_int_equal(cost.kept_paddr_last, CMA_PADDR_MAX);
    cma__window_cost(&plain->frames, span, span->pfn, 41, &cost);
    assert_int_equal(cost.kept_paddr_last, plain->stiff.mover.paddr_last);
    cma__window_cost(&plain->frames, span, span->pfn, 96, &cost);
    assert_int_equal(cost.kept_paddr_last, plain->stiff.mover.paddr_last);
    plain_destroy(plain);
}

/* --- pins ---------------------------------------------------------------------------------- */

static void test_pin_moves_out(void **state)
{
    struct plain *plain = board();
    struct cma_frames *frames = &plain->frames;
    struct cma_span *span = plain_area_span(plain, 0);
    uint32_t kinds[] = {CMA_KIND_MOVABLE, CMA_KIND_DROPPABLE};

    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        cma_pfn_t pinned;
        uint64_t idle;
        uint32_t event, cookie;

        /* It came back with its last frame. */
        plain_lend_all(plain, span);
        cookie = plain_publish(plain, (enum cma_kind)kinds[i], 1, span->pfn + 3);
        idle = plain_idle(plain);
        event = cma_frames_event(frames);
        plain->flushes = 0;
        assert_int_equal(cma_frame_pin(frames, span->pfn + 3, &pinned), 0);
        assert_int_equal(plain->handles[cookie].pfn, pinned);
        assert_int_equal(cma__span_of(frames, pinned)->is_area, 0);
        assert_int_equal(plain_info(plain, pinned).pins, 1);
        assert_int_equal(plain_info(plain, pinned).kind, kinds[i]);
        assert_true(plain_info(plain, span->pfn + 3).idle);
        assert_int_equal(plain_idle(plain), idle - 1);
        assert_int_equal(plain->flushes, 1);
        assert_int_not_equal(cma_frames_event(frames), event);
        /* Pinned, it is none that a destination can be made of. */
        assert_int_equal(frames->zone_droppable[0], 0);
        plain_check(plain);
        assert_int_equal(cma_frame_unpin(frames, pinned), 0);
        assert_int_equal(frames->zone_droppable[0], i);
        let_go(plain, cookie);
        plain_check(plain);
    }
    plain_destroy(plain);
}

/* Refused without a trace: by the mover, by a reference, for want of memory outside of all
 * areas. */
static void test_pin_refused(void **state)
{
    struct plain *plain = board();
    struct cma_frames *frames = &plain->frames;
    struct cma_span *span = plain_area_span(plain, 0);
    cma_pfn_t pfn = span->pfn + 3, pinned = 77;
    uint32_t other;
    void *before;

    (void)state;
    (void)plain_publish(plain, CMA_KIND_MOVABLE, plain->picky.number, pfn);
    before = plain_snapshot(plain);
    plain->fail_freeze = 1;
    assert_int_equal(cma_frame_pin(frames, pfn, &pinned), CMA_EBUSY);
    plain->fail_freeze = 1;
    plain->fail_with = CMA_ENOENT;
    assert_int_equal(cma_frame_pin(frames, pfn, &pinned), CMA_EAGAIN);
    plain_assert_unchanged(plain, before);
    assert_int_equal(plain->commits + plain->aborts + plain->copies, 0);
    assert_int_equal(cma_frame_ref(frames, pfn), 0);
    before = plain_snapshot(plain);
    assert_int_equal(cma_frame_pin(frames, pfn, &pinned), CMA_EBUSY);
    plain_assert_unchanged(plain, before);
    assert_int_equal(cma_frame_unref(frames, pfn), 0);
    while (plain_alloc(plain, CMA_KIND_UNMOVABLE, 0, 0, &other) == 0) {
    }
    before = plain_snapshot(plain);
    assert_int_equal(cma_frame_pin(frames, pfn, &pinned), CMA_ENOMEM);
    plain_assert_unchanged(plain, before);
    assert_int_equal(pinned, 77);
    /* The mover's own limit counts, too: there is memory, but too high for it. */
    plain_destroy(plain);
    plain = board();
    (void)plain_publish(plain, CMA_KIND_MOVABLE, plain->stiff.number, pfn);
    while (plain_idle(plain) > 64) {
        assert_int_equal(plain_alloc(plain, CMA_KIND_UNMOVABLE, 0, 0, &other), 0);
    }
    assert_int_equal(cma_frame_pin(&plain->frames, pfn, &pinned), CMA_ENOMEM);
    plain_check(plain);
    plain_destroy(plain);
}

/* --- reclaim ------------------------------------------------------------------------------- */

static void test_reclaim(void **state)
{
    struct plain *plain = board();
    struct cma_frames *frames = &plain->frames;
    cma_pfn_t base = plain->base, pfn;
    uint32_t cookies[6];

    (void)state;
    for (uint32_t i = 0; i < 6; i++) {
        cookies[i] = plain_publish(plain, CMA_KIND_DROPPABLE, 1, base + 10 * i);
    }
    (void)plain_publish(plain, CMA_KIND_DROPPABLE, 1, plain_area_span(plain, 0)->pfn);
    assert_int_equal(cma_frame_pin(frames, base + 50, &pfn), 0);
    assert_int_equal(cma_frame_ref(frames, base + 40), 0);
    /* The highest that nothing holds in place; one whose mover refuses is passed over. */
    plain->fail_discard = 1;
    assert_int_equal(cma__frames_reclaim(frames, 0, CMA_PFN_NONE, 1, &pfn), 1);
    assert_int_equal(pfn, base + 20);
    assert_int_equal(plain->handles[cookies[3]].state, PLAIN_HELD);
    assert_int_equal(plain->handles[cookies[2]].state, PLAIN_GONE);
    assert_false(plain->must_flush);
    assert_false(plain_info(plain, pfn).idle);
    plain_check_busy(plain, true);
    plain->pages.ops.destination_put(&plain->pages, pfn, 1);
    plain_check(plain);
    /* Limits are inclusive on both sides. */
    assert_int_equal(cma__frames_reclaim(frames, base + 1, base + 9, 1, &pfn), CMA_ENOMEM);
    assert_int_equal(cma__frames_reclaim(frames, base + 11, base + 29, 1, &pfn), CMA_ENOMEM);
    assert_int_equal(cma__frames_reclaim(frames, base + 10, base + 10, 1, &pfn), 1);
    plain->pages.ops.destination_put(&plain->pages, pfn, 1);
    assert_int_equal(cma__frames_reclaim(frames, 0, CMA_PFN_NONE, 1, &pfn), 1);
    assert_int_equal(pfn, base + 30);
    plain->pages.ops.destination_put(&plain->pages, pfn, 1);
    assert_int_equal(cma__frames_reclaim(frames, 0, base, 1, &pfn), 1);
    assert_int_equal(pfn, base);
    plain->pages.ops.destination_put(&plain->pages, pfn, 1);
    assert_int_equal(cma__frames_reclaim(frames, 0, CMA_PFN_NONE, 1, &pfn), CMA_ENOMEM);
    plain_check(plain);
    plain_destroy(plain);
}

/* --- everything at random ------------------------------------------------------------------ */

struct random_window {
    cma_pfn_t pfn;
    uint32_t npages;
    bool claimed;
};

static void random_step(struct plain *plain, struct random_window *windows, uint32_t nwindows)
{
    struct cma_frames *frames = &plain->frames;
    struct cma_span *span = plain_area_span(plain, (uint32_t)rand() % 2);
    uint32_t cookie = 1 + (uint32_t)rand() % (plain->next_cookie + 1);
    struct plain_handle *handle = &plain->handles[cookie % PLAIN_HANDLES];
    struct random_window *window = &windows[(uint32_t)rand() % nwindows];
    struct cma_evacuation evacuation = {0};
    cma_pfn_t pfn, obstacle;
    int error;

    switch (rand() % 10) {
    case 0:
    case 1:
        if (plain->next_cookie < PLAIN_HANDLES) {
            (void)plain_alloc(plain, CMA_KIND_MOVABLE, 1 + (uint32_t)rand() % 3, 0, &cookie);
        }
        break;
    case 2:
    case 3:
        if (plain->next_cookie < PLAIN_HANDLES) {
            (void)plain_alloc(plain, CMA_KIND_DROPPABLE, 1 + (uint32_t)rand() % 2, 0, &cookie);
        }
        break;
    case 4:
        if (handle->state == PLAIN_HELD) {
            error = cma_pages_free(&plain->pages, handle->pfn, 1, cookie);
            if (error == 0) {
                handle->state = PLAIN_GONE;
            } else {
                assert_int_equal(error, CMA_EBADF); /* pinned */
            }
        }
        break;
    case 5:
        if (handle->state == PLAIN_HELD) {
            error = cma_frame_pin(frames, handle->pfn, &pfn);
            assert_true(error == 0 || error == CMA_EBUSY || error == CMA_ENOMEM);
            assert_true(error != 0 || pfn == handle->pfn);
        }
        break;
    case 6:
        if (handle->state == PLAIN_HELD) {
            (void)cma_frame_unpin(frames, handle->pfn);
            (void)(rand() % 2 == 0 ? cma_frame_keep(frames, handle->pfn)
                                   : cma_frame_allow_drop(frames, handle->pfn));
        }
        break;
    case 7:
        plain_lend_all(plain, span);
        if (rand() % 4 == 0) {
            plain->fail_freeze = (uint32_t)rand() % 6;
            plain->fail_discard = (uint32_t)rand() % 6;
        }
        break;
    default:
        if (window->claimed) {
            span = cma__span_of(frames, window->pfn);
            assert_int_equal(cma__window_release(frames, span, window->pfn, window->npages, 5), 0);
            window->claimed = false;
            break;
        }
        window->npages = 1 + (uint32_t)rand() % 40;
        window->pfn = span->pfn + (uint32_t)rand() % (span->npages - window->npages + 1);
        span->emptying = 1;
        if (plain_isolate(plain, span, window->pfn, window->npages, &obstacle) == 0) {
            error = evacuate(frames, window->pfn, window->npages, &evacuation);
            if (error == 0) {
                cma__window_claim(frames, span, window->pfn, window->npages, 5);
                window->claimed = true;
            } else {
                cma__window_restore(frames, span, window->pfn, window->npages);
            }
        }
        span->emptying = 0;
        break;
    }
}

static void test_at_random(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 12; seed++) {
        struct plain *plain = board();
        struct random_window windows[8] = {{0}};

        srand(seed);
        for (uint32_t i = 0; i < 3000; i++) {
            random_step(plain, windows, 8);
            plain_check(plain);
            for (uint32_t w = 0; w < 8; w++) {
                if (windows[w].claimed) {
                    assert_int_equal(plain_info(plain, windows[w].pfn).npages, windows[w].npages);
                }
            }
        }
        plain_destroy(plain);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claim_step_by_step),
        cmocka_unit_test(test_one_flush_a_batch),
        cmocka_unit_test(test_drops_are_flushed),
        cmocka_unit_test(test_unborrowed_window_is_free),
        cmocka_unit_test(test_fail_the_nth),
        cmocka_unit_test(test_no_destination),
        cmocka_unit_test(test_free_while_isolated),
        cmocka_unit_test(test_freeing_and_freezing_cross),
        cmocka_unit_test(test_keep_while_isolated),
        cmocka_unit_test(test_kept_before_its_freeze),
        cmocka_unit_test(test_kept_before_it_is_reclaimed),
        cmocka_unit_test(test_obstacles),
        cmocka_unit_test(test_cost_naively),
        cmocka_unit_test(test_cost_at_the_end),
        cmocka_unit_test(test_cost_knows_limits),
        cmocka_unit_test(test_pin_moves_out),
        cmocka_unit_test(test_pin_refused),
        cmocka_unit_test(test_reclaim),
        cmocka_unit_test(test_at_random),
    };

    int failed = 0;

    evacuate = cma__window_evacuate;
    failed += cmocka_run_group_tests_name("migrate: page by page", tests, NULL, NULL);
    evacuate = cma__window_evacuate_runs;
    failed += cmocka_run_group_tests_name("migrate: in runs", tests, NULL, NULL);
    plain_many = true;
    failed += cmocka_run_group_tests_name("migrate: in runs, asked for many", tests, NULL, NULL);
    return failed;
}
