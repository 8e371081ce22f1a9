/* SPDX-License-Identifier: BSD-2-Clause */
/* test_evacuate.c - what a run of frames costs; test_migrate.c has what must hold with and without
 * runs */
#include "plain_port.h"

static const struct plain_area areas[] = {{64, 96}, {192, 64}};

static struct plain *board(void)
{
    struct plain *plain = plain_create(320, areas, 2);

    plain_lend_all(plain, plain_area_span(plain, 0));
    plain_lend_all(plain, plain_area_span(plain, 1));
    return plain;
}

/* What a run costs besides its pages: a lock each for its destinations, their records and the
 * sources' records, one copy, and one call of a mover that can be asked for many. */
static void test_a_run_is_one_of_each(void **state)
{
    struct plain *plain = board();
    struct cma_span *span = plain_area_span(plain, 0);
    struct cma_evacuation evacuation = {0};
    cma_pfn_t obstacle;

    (void)state;
    for (uint32_t i = 0; i < 64; i++) {
        (void)plain_publish(plain, CMA_KIND_MOVABLE, 1, span->pfn + i);
    }
    assert_int_equal(plain_isolate(plain, span, span->pfn, 64, &obstacle), 0);
    plain->locks = 0;
    assert_int_equal(cma__window_evacuate_runs(&plain->frames, span->pfn, 64, &evacuation), 0);
    assert_int_equal(evacuation.copied, 64);
    assert_int_equal(plain->flushes, 2);
    assert_int_equal(plain->locks, 2 * 3);
    assert_int_equal(plain->copy_calls, 2);
    assert_int_equal(plain->many, plain_many ? 2 : 0);
    /* The highest frames, in the order of the sources. */
    for (uint32_t i = 0; i < 64; i++) {
        assert_int_equal(plain->handles[i + 1].pfn, plain->base + 256 + (i ^ 32));
    }
    cma__window_claim(&plain->frames, span, span->pfn, 64, 1);
    plain_check(plain);
    plain_destroy(plain);
}

/* Dropped frames in runs: one lock and one call a batch, one flush for all. */
static void test_drops_in_runs(void **state)
{
    struct plain *plain = board();
    struct cma_span *span = plain_area_span(plain, 0);
    struct cma_evacuation evacuation = {0};
    cma_pfn_t obstacle;

    (void)state;
    for (uint32_t i = 0; i < 64; i++) {
        (void)plain_publish(plain, CMA_KIND_DROPPABLE, 1, span->pfn + i);
    }
    assert_int_equal(plain_isolate(plain, span, span->pfn, 64, &obstacle), 0);
    plain->locks = 0;
    assert_int_equal(cma__window_evacuate_runs(&plain->frames, span->pfn, 64, &evacuation), 0);
    assert_int_equal(evacuation.dropped, 64);
    assert_int_equal(plain->flushes, 1);
    assert_int_equal(plain->locks, 2);
    cma__window_claim(&plain->frames, span, span->pfn, 64, 1);
    plain_check(plain);
    plain_destroy(plain);
}

/* Movers, kinds and limits by turns: all of it shares a batch, and the limits hold. */
static void test_movers_by_turns(void **state)
{
    struct plain *plain = board();
    struct cma_span *span = plain_area_span(plain, 0);
    struct cma_evacuation evacuation = {0};
    uint32_t numbers[] = {plain->sure.number, plain->picky.number, plain->stiff.number};
    cma_pfn_t obstacle;

    (void)state;
    for (uint32_t i = 0; i < 36; i++) {
        bool drop = i % 4 == 3 && numbers[i % 3] != plain->stiff.number;

        (void)plain_publish(plain, drop ? CMA_KIND_DROPPABLE : CMA_KIND_MOVABLE, numbers[i % 3],
                            span->pfn + i + i / 5);
    }
    assert_int_equal(plain_isolate(plain, span, span->pfn, 50, &obstacle), 0);
    assert_int_equal(cma__window_evacuate_runs(&plain->frames, span->pfn, 50, &evacuation), 0);
    assert_int_equal(evacuation.copied, 30);
    assert_int_equal(evacuation.dropped, 6);
    assert_int_equal(plain->flushes, 1);
    for (uint32_t i = 2; i < 36; i += 3) {
        assert_true((plain->handles[i + 1].pfn + 1) * PLAIN_PAGE - 1 <=
                    plain->stiff.mover.paddr_last);
    }
    cma__window_claim(&plain->frames, span, span->pfn, 50, 1);
    plain_check(plain);
    plain_destroy(plain);
}

/* A run of droppable frames makes a run of destinations, with one flush; never more than wanted,
 * and it ends at a frame that is held in place, refused, kept or not there. */
static void test_reclaim_a_run(void **state)
{
    struct plain *plain = board();
    struct cma_frames *frames = &plain->frames;
    cma_pfn_t base = plain->base, pfn;

    (void)state;
    for (uint32_t i = 10; i < 40; i++) {
        (void)plain_publish(plain, i == 20 ? CMA_KIND_MOVABLE : CMA_KIND_DROPPABLE, 1, base + i);
    }
    plain->flushes = 0;
    assert_int_equal(cma__frames_reclaim(frames, 0, CMA_PFN_NONE, 6, &pfn), 6);
    assert_int_equal(pfn, base + 34);
    assert_int_equal(plain->flushes, 1);
    plain_check_busy(plain, true);
    plain->pages.ops.destination_put(&plain->pages, pfn, 6);
    assert_int_equal(cma_frame_ref(frames, base + 30), 0);
    assert_int_equal(cma__frames_reclaim(frames, 0, CMA_PFN_NONE, 6, &pfn), 3);
    plain->pages.ops.destination_put(&plain->pages, pfn, 3);
    plain->fail_discard = 3;
    assert_int_equal(cma__frames_reclaim(frames, 0, base + 29, 6, &pfn), 2);
    assert_int_equal(pfn, base + 28);
    plain->pages.ops.destination_put(&plain->pages, pfn, 2);
    assert_int_equal(cma__frames_reclaim(frames, base + 26, base + 29, 6, &pfn), 2);
    plain->pages.ops.destination_put(&plain->pages, pfn, 2);
    assert_int_equal(cma__frames_reclaim(frames, 0, base + 29, 60, &pfn), 5);
    assert_int_equal(pfn, base + 21);
    plain->pages.ops.destination_put(&plain->pages, pfn, 5);
    assert_int_equal(cma__frames_reclaim(frames, 0, base + 29, 60, &pfn), 10);
    plain->pages.ops.destination_put(&plain->pages, pfn, 10);
    assert_int_equal(plain->handles[11].state, PLAIN_HELD);
    assert_int_equal(cma_frame_unref(frames, base + 30), 0);
    plain_check(plain);
    plain_destroy(plain);
}

static int kept;

static void keep_the_next(struct plain *plain, cma_pfn_t pfn, uint32_t cookie)
{
    (void)cookie;
    if (plain->discards == 4) {
        kept = cma_frame_keep(&plain->frames, pfn + 1);
        plain->during = NULL;
    }
}

/* While its neighbour is discarded a frame gets dirty: it is carried, not dropped. In one call for
 * many it is frozen by then, and its holder has to come again. */
static void test_next_frame_is_kept(void **state)
{
    struct plain *plain = board();
    struct cma_span *span = plain_area_span(plain, 0);
    struct cma_evacuation evacuation = {0};
    cma_pfn_t obstacle;

    (void)state;
    for (uint32_t i = 0; i < 10; i++) {
        (void)plain_publish(plain, CMA_KIND_DROPPABLE, 1, span->pfn + i);
    }
    assert_int_equal(plain_isolate(plain, span, span->pfn, 10, &obstacle), 0);
    plain->during = keep_the_next;
    assert_int_equal(cma__window_evacuate_runs(&plain->frames, span->pfn, 10, &evacuation), 0);
    assert_int_equal(kept, plain_many ? CMA_EAGAIN : 0);
    assert_int_equal(evacuation.dropped, plain_many ? 10 : 9);
    assert_int_equal(evacuation.copied, plain_many ? 0 : 1);
    assert_int_equal(plain->handles[5].state, plain_many ? PLAIN_GONE : PLAIN_HELD);
    cma__window_claim(&plain->frames, span, span->pfn, 10, 1);
    plain_check(plain);
    plain_destroy(plain);
}

/* Destinations of two zones can be neighbours: unused, each goes back to its own. */
static void test_unused_neighbours_of_two_zones(void **state)
{
    static const struct plain_area low = {0, 32};
    const struct cma_zone zones[] = {{(0x1000 + 160) * PLAIN_PAGE - 1, 0}, {CMA_PADDR_MAX, 0}};
    struct cma_frames_config config = {.zones = zones, .nzones = 2, .block_order = 6};
    struct plain *plain = plain_create_with(0x1000, 320, &low, 1, &config);
    struct cma_span *span = plain_area_span(plain, 0);
    struct cma_evacuation evacuation = {0};
    cma_pfn_t obstacle;

    (void)state;
    plain_lend_all(plain, span);
    for (uint32_t i = 32; i < 320; i++) {
        if (i != 159 && i != 160) {
            (void)plain_publish(plain, CMA_KIND_MOVABLE, 1, plain->base + i);
        }
    }
    (void)plain_publish(plain, CMA_KIND_MOVABLE, plain->stiff.number, span->pfn);
    (void)plain_publish(plain, CMA_KIND_MOVABLE, plain->sure.number, span->pfn + 1);
    (void)plain_publish(plain, CMA_KIND_MOVABLE, plain->picky.number, span->pfn + 2);
    assert_int_equal(plain_isolate(plain, span, span->pfn, 3, &obstacle), 0);
    span->emptying = 1;
    assert_int_equal(cma__window_evacuate_runs(&plain->frames, span->pfn, 3, &evacuation),
                     CMA_ENOMEM);
    span->emptying = 0;
    cma__window_restore(&plain->frames, span, span->pfn, 3);
    plain_check(plain);
    plain_destroy(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_run_is_one_of_each),
        cmocka_unit_test(test_drops_in_runs),
        cmocka_unit_test(test_movers_by_turns),
        cmocka_unit_test(test_reclaim_a_run),
        cmocka_unit_test(test_next_frame_is_kept),
        cmocka_unit_test(test_unused_neighbours_of_two_zones),
    };
    int failed = cmocka_run_group_tests_name("evacuate: a call a frame", tests, NULL, NULL);

    plain_many = true;
    return failed + cmocka_run_group_tests_name("evacuate: a call a batch", tests, NULL, NULL);
}
