/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_rule.c - lines of the rule behind guarantees that no other test would miss, each where its
 * absence alone shows (tests/mutants/guarantees.py takes them out one at a time)
 */
#include "promise_board.h"

/* What areas ask to stay free comes on top of what is promised. */
static void test_floors_on_top(void **state)
{
    struct promise *p = promise_create(&promise_small);
    const struct cma_pages_ops *ops = cma_pages_ops(&p->plain->pages);
    struct cma_refusal refusal = {0};
    struct cma_guarantee g;
    cma_pfn_t slot;

    (void)state;
    promise_admit(p, &g, 16, 1, 16);
    slot = promise_slot(p, 0).pfn;
    (void)promise_fill_slot(p, slot, 16);
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(cma_frame_keep(p->frames, slot + i), 0);
    }
    promise_use_up(p, 0, 512, 11);
    assert_int_equal(ops->floor(ops->ctx, CMA_PADDR_MAX, 3), 0);
    /* 11 idle, 6 of them promised, 3 that stay free. */
    assert_int_equal(promise_exhaust(p, 0, &refusal), 2);
    assert_int_equal(refusal.reason, CMA_REASON_FLOOR);
    assert_int_equal(promise_idle(p, 0, 512), 9);
    /* The floor alone holds nobody back who may be kept: it is not promised. */
    assert_int_equal(cma_frame_keep(p->frames, slot + 6), 0);
    (void)promise_take(p, &g);
    assert_int_equal(promise_idle(p, 0, 512), 2);
    promise_release(p, &g, slot);
    promise_destroy(p);
}

/* Single frames are lent: who needs one that is aligned gets it elsewhere, or not at all. */
static void test_aligned_requests(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct cma_pages_request request = {.npages = 1, .align_npages = 16};
    struct cma_guarantee g;
    cma_pfn_t slot, pfn;

    (void)state;
    promise_admit(p, &g, 40, 1, 0);
    slot = promise_slot(p, 0).pfn;
    (void)promise_put(p, CMA_KIND_DROPPABLE, p->plain->sure.number, slot + (16 - slot % 16) % 16);
    for (uint32_t i = 0; i < 40; i++) {
        uint32_t cookie = plain_cookie(p->plain);

        request.holder = (struct cma_holder){CMA_KIND_DROPPABLE, p->plain->sure.number, cookie};
        if (cma_pages_alloc(&p->plain->pages, &request, &pfn, NULL) != 0) {
            break;
        }
        assert_int_equal(pfn % 16, 0);
        plain_adopt(p->plain, cookie, pfn);
    }
    promise_check(p);
    promise_destroy(p);
}

/* Data leaves for the highest zone that its mover accepts: low frames are for who needs them. */
static void test_highest_zone_first(void **state)
{
    const struct promise_config config = {
        .npages = 512, .areas = {{.first = 100, .npages = 128}}, .nareas = 1, .low_npages = 256};
    struct promise *p = promise_create(&config);
    struct plain *plain = p->plain;
    struct cma_guarantee g;
    uint32_t sure[4], stiff[4];
    cma_pfn_t slot, block, to;

    (void)state;
    promise_admit(p, &g, 16, 1, 8);
    slot = promise_slot(p, 0).pfn;
    promise_use_up(p, 0, 256, 6);
    promise_use_up(p, 256, 512, 5);
    for (uint32_t i = 0; i < 4; i++) {
        sure[i] = promise_put(p, CMA_KIND_MOVABLE, plain->sure.number, slot + 2 * i);
        stiff[i] = promise_put(p, CMA_KIND_MOVABLE, plain->stiff.number, slot + 2 * i + 1);
    }
    (void)promise_put(p, CMA_KIND_DROPPABLE, plain->sure.number, slot + 8);
    /* Six low frames, four of them promised, and five high ones. */
    assert_int_equal(cma_frame_move_out(p->frames, slot + 8, &to), 0);
    assert_true(to >= plain->base + 256);
    promise_check(p);
    assert_int_equal(cma_frame_move_out(p->frames, slot, &to), 0);
    assert_true(to >= plain->base + 256);
    promise_check(p);
    block = promise_take(p, &g);
    assert_true(block == slot);
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(plain->handles[sure[i]].pfn >= plain->base + 256);
        assert_true(plain->handles[stiff[i]].pfn < plain->base + 256);
    }
    promise_release(p, &g, slot);
    promise_destroy(p);
}

static struct {
    struct cma_guarantee *g;
    int result;
    uint32_t dropped, flushes;
} nested;

static void take_while_frozen(struct plain *plain, cma_pfn_t pfn, uint32_t cookie)
{
    uint32_t discards = plain->discards, flushes = plain->flushes;
    cma_pfn_t block;

    (void)pfn;
    (void)cookie;
    plain->during = NULL;
    nested.result = cma_guarantee_take(nested.g, &block, NULL, NULL);
    nested.dropped = plain->discards - discards;
    nested.flushes = plain->flushes - flushes;
}

/* Who gives up, for he can't wait, has flushed what he dropped: the frames are lent again. */
static void test_flush_on_giving_up(void **state)
{
    struct promise_config config = promise_small;
    struct cma_guarantee g;
    struct promise *p;
    cma_pfn_t slot, to;

    (void)state;
    config.no_wait = true;
    p = promise_create(&config);
    promise_admit(p, &g, 16, 1, 4);
    slot = promise_slot(p, 0).pfn;
    (void)promise_fill_slot(p, slot, 16);
    nested.g = &g;
    p->plain->during = take_while_frozen;
    assert_int_equal(cma_frame_move_out(p->frames, slot + 3, &to), 0);
    assert_int_equal(nested.result, CMA_EAGAIN);
    assert_true(nested.dropped >= 3);
    assert_int_equal(nested.flushes, 1);
    promise_check(p);
    assert_true(promise_take(p, &g) == slot);
    promise_release(p, &g, slot);
    promise_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floors_on_top),
        cmocka_unit_test(test_aligned_requests),
        cmocka_unit_test(test_highest_zone_first),
        cmocka_unit_test(test_flush_on_giving_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
