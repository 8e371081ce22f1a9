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

/* Of several slots the one that is least work is taken: nobody's data is moved without need. */
static void test_least_work_first(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct cma_guarantee_work work;
    struct cma_guarantee g;
    cma_pfn_t slots[3];

    (void)state;
    promise_admit(p, &g, 16, 3, 4);
    for (uint32_t i = 0; i < 3; i++) {
        slots[i] = promise_slot(p, i).pfn;
    }
    for (uint32_t i = 0; i < 3; i++) {
        (void)promise_put(p, CMA_KIND_MOVABLE, p->plain->sure.number, slots[0] + i);
    }
    (void)promise_put(p, CMA_KIND_MOVABLE, p->plain->sure.number, slots[1]);
    (void)promise_fill_slot(p, slots[2], 9);
    assert_true(promise_take_work(p, &g, &work) == slots[2]);
    assert_int_equal(work.dropped, 9);
    assert_true(promise_take_work(p, &g, &work) == slots[1]);
    assert_int_equal(work.copied, 1);
    assert_true(promise_take_work(p, &g, &work) == slots[0]);
    assert_int_equal(work.copied, 3);
    for (uint32_t i = 0; i < 3; i++) {
        promise_release(p, &g, slots[i]);
    }
    promise_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_floors_on_top),
        cmocka_unit_test(test_aligned_requests),
        cmocka_unit_test(test_least_work_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
