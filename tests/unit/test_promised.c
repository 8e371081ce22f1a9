/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_promised.c - what of ordinary memory is promised to data in slots: bookings and the gate
 *
 * K(z) <= F(z) for every limit z, seen from outside: whoever wants the last idle frames is refused,
 * and whoever wants to get dirty in a slot has to leave it first.
 */
#include "promise_board.h"

/* --- getting dirty -------------------------------------------------------------------------- */

static void test_keep_up_to_max_moves(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct cma_guarantee g;
    struct cma_guarantee_work work;
    cma_pfn_t slot, to;
    uint32_t first;

    (void)state;
    promise_admit(p, &g, 16, 1, 3);
    slot = promise_slot(p, 0).pfn;
    first = promise_fill_slot(p, slot, 16);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(cma_frame_keep(p->frames, slot + i), 0);
        assert_int_equal(cma_frame_keep(p->frames, slot + i), 0);
        assert_int_equal(promise_stats(&g).kept_npages, i + 1);
    }
    assert_int_equal(cma_frame_keep(p->frames, slot + 3), CMA_EBUSY);
    assert_int_equal(plain_info(p->plain, slot + 3).kind, CMA_KIND_DROPPABLE);
    promise_check(p);
    /* It has to leave, and can then get dirty. */
    assert_int_equal(cma_frame_move_out(p->frames, slot + 3, &to), 0);
    assert_int_equal(cma_frame_keep(p->frames, to), 0);
    assert_int_equal(plain_info(p->plain, to).kind, CMA_KIND_MOVABLE);
    /* One that is clean again, one that leaves and one that is freed make room for others. */
    assert_int_equal(cma_frame_allow_drop(p->frames, slot), 0);
    assert_int_equal(cma_frame_allow_drop(p->frames, slot), 0);
    assert_int_equal(promise_stats(&g).kept_npages, 2);
    promise_check(p);
    assert_int_equal(cma_frame_keep(p->frames, slot + 4), 0);
    assert_int_equal(cma_frame_keep(p->frames, slot), CMA_EBUSY);
    assert_int_equal(promise_free(p, first + 1), 0);
    promise_check(p);
    assert_int_equal(cma_frame_keep(p->frames, slot), 0);
    assert_int_equal(cma_frame_keep(p->frames, slot + 5), CMA_EBUSY);
    assert_int_equal(cma_frame_move_out(p->frames, slot + 2, &to), 0);
    assert_int_equal(plain_info(p->plain, to).kind, CMA_KIND_MOVABLE);
    assert_int_equal(cma_frame_keep(p->frames, slot + 5), 0);
    assert_int_equal(cma_frame_keep(p->frames, slot + 6), CMA_EBUSY);
    promise_check(p);
    assert_true(promise_take_work(p, &g, &work) == slot);
    assert_int_equal(work.copied, 3);
    assert_int_equal(work.dropped, 10);
    promise_release(p, &g, slot);
    /* Nothing is booked any more. */
    assert_int_equal(promise_stats(&g).kept_npages, 0);
    assert_int_equal(p->frames->zone_promised[0], 0);
    promise_destroy(p);
}

static void test_no_moves_at_all(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct cma_guarantee g;
    struct cma_guarantee_work work;
    cma_pfn_t slot, to;
    uint32_t cookie;

    (void)state;
    promise_admit(p, &g, 16, 1, 0);
    slot = promise_slot(p, 0).pfn;
    assert_int_equal(promise_borrow(p, CMA_KIND_MOVABLE, p->plain->sure.number, 0, slot, &cookie),
                     CMA_ENOMEM);
    (void)promise_fill_slot(p, slot, 16);
    for (uint32_t i = 0; i < 16; i++) {
        assert_int_equal(cma_frame_keep(p->frames, slot + i), CMA_EBUSY);
    }
    promise_check(p);
    assert_int_equal(cma_frame_move_out(p->frames, slot + 9, &to), 0);
    assert_int_equal(cma_frame_keep(p->frames, to), 0);
    assert_true(promise_take_work(p, &g, &work) == slot);
    assert_int_equal(work.copied, 0);
    assert_int_equal(work.dropped, 15);
    assert_int_equal(work.flushes, 1);
    promise_release(p, &g, slot);
    promise_destroy(p);
}

/* --- the gate ------------------------------------------------------------------------------- */

/* A slot of 16 with so many kept frames, and as many idle ones in ordinary memory. */
static cma_pfn_t gate_at_its_end(struct promise *p, struct cma_guarantee *g, uint32_t kept)
{
    cma_pfn_t slot;

    promise_admit(p, g, 16, 1, 16);
    slot = promise_slot(p, 0).pfn;
    (void)promise_fill_slot(p, slot, 16);
    for (uint32_t i = 0; i < kept; i++) {
        assert_int_equal(cma_frame_keep(p->frames, slot + i), 0);
    }
    promise_use_up(p, 0, 512, kept);
    promise_check(p);
    return slot;
}

static void test_gate_before_allocations(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct plain *plain = p->plain;
    struct cma_guarantee g;
    struct cma_refusal refusal = {0};
    struct cma_pages_request request = {
        .npages = 1, .holder = {CMA_KIND_UNMOVABLE, 0, 5}, .flags = CMA_PAGES_NO_LENT};
    cma_pfn_t slot, pfn;
    uint32_t cookie;

    (void)state;
    slot = gate_at_its_end(p, &g, 6);
    assert_int_equal(cma_pages_alloc(&plain->pages, &request, &pfn, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_FLOOR);
    request.npages = 2;
    assert_int_equal(cma_pages_alloc(&plain->pages, &request, &pfn, &refusal), CMA_ENOMEM);
    request.npages = 1;
    request.holder = (struct cma_holder){CMA_KIND_MOVABLE, plain->sure.number, 4000};
    assert_int_equal(cma_pages_alloc(&plain->pages, &request, &pfn, &refusal), CMA_ENOMEM);
    request.holder.kind = CMA_KIND_DROPPABLE;
    assert_int_equal(cma_pages_alloc(&plain->pages, &request, &pfn, &refusal), CMA_ENOMEM);
    assert_int_equal(promise_idle(p, 0, 512), 6);
    promise_check(p);
    /* One more idle frame than promised: it can be had, by one. */
    promise_give(p, 100);
    assert_int_equal(cma_pages_alloc(&plain->pages, &request, &pfn, &refusal), 0);
    cookie = 4000;
    plain->next_cookie = 4001;
    plain_adopt(plain, cookie, pfn);
    assert_int_equal(promise_exhaust(p, 0, &refusal), 0);
    /* A kept frame that is clean again: one less is promised. */
    assert_int_equal(cma_frame_allow_drop(p->frames, slot), 0);
    assert_int_equal(promise_exhaust(p, 0, &refusal), 1);
    assert_int_equal(promise_idle(p, 0, 512), 5);
    promise_check(p);
    /* Runs are held to it like single pages. */
    promise_give(p, 20);
    promise_give(p, 21);
    request = (struct cma_pages_request){.npages = 3, .holder = {CMA_KIND_UNMOVABLE, 0, 5}};
    assert_int_equal(cma_pages_alloc(&plain->pages, &request, &pfn, &refusal), CMA_ENOMEM);
    request.npages = 2;
    assert_int_equal(cma_pages_alloc(&plain->pages, &request, &pfn, &refusal), 0);
    promise_check(p);
    (void)promise_take(p, &g);
    assert_int_equal(promise_idle(p, 0, 512), 0);
    promise_destroy(p);
}

static void test_gate_before_dirtying(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct cma_guarantee g;
    cma_pfn_t slot, to;
    uint32_t cookie;

    (void)state;
    slot = gate_at_its_end(p, &g, 6);
    assert_int_equal(cma_frame_keep(p->frames, slot + 6), CMA_EBUSY);
    /* Nowhere to move to: the writer waits. */
    assert_int_equal(cma_frame_move_out(p->frames, slot + 6, &to), CMA_ENOMEM);
    assert_int_equal(cma_frame_pin(p->frames, slot + 6, &to), CMA_ENOMEM);
    promise_check(p);
    assert_int_equal(promise_free(p, plain_info(p->plain, slot + 9).cookie), 0);
    assert_int_equal(
        promise_borrow(p, CMA_KIND_MOVABLE, p->plain->sure.number, 0, slot + 9, &cookie),
        CMA_ENOMEM);
    assert_int_equal(promise_idle(p, 0, 512), 6);
    /* Memory that comes free lets one of them go on. */
    promise_give(p, 7);
    assert_int_equal(cma_frame_keep(p->frames, slot + 6), 0);
    assert_int_equal(cma_frame_keep(p->frames, slot + 7), CMA_EBUSY);
    assert_int_equal(promise_exhaust(p, 0, NULL), 0);
    promise_check(p);
    promise_give(p, 8);
    assert_int_equal(cma_frame_move_out(p->frames, slot + 7, &to), 0);
    assert_int_equal(cma_frame_keep(p->frames, to), 0);
    assert_int_equal(cma_frame_move_out(p->frames, slot + 8, &to), CMA_ENOMEM);
    promise_check(p);
    /* What is kept has its place, and may go there at any time: one less is promised then. */
    assert_int_equal(cma_frame_pin(p->frames, slot, &to), 0);
    assert_int_equal(cma_frame_unpin(p->frames, to), 0);
    assert_int_equal(cma_frame_move_out(p->frames, slot + 1, &to), 0);
    assert_int_equal(promise_stats(&g).kept_npages, 5);
    assert_int_equal(promise_idle(p, 0, 512), 5);
    promise_check(p);
    (void)promise_take(p, &g);
    promise_destroy(p);
}

/* Droppable data of ordinary memory makes room for what has to leave a slot. */
static void test_move_out_discards(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct plain *plain = p->plain;
    struct cma_guarantee g;
    struct cma_holder holder = {CMA_KIND_DROPPABLE, plain->sure.number, 0};
    struct cma_pages_request request = {.npages = 1, .flags = CMA_PAGES_NO_LENT};
    cma_pfn_t slot, to, pfn;

    (void)state;
    slot = gate_at_its_end(p, &g, 6);
    promise_give(p, 30);
    holder.cookie = plain_cookie(plain);
    request.holder = holder;
    assert_int_equal(cma_pages_alloc(&plain->pages, &request, &pfn, NULL), 0);
    plain_adopt(plain, holder.cookie, pfn);
    assert_int_equal(promise_idle(p, 0, 512), 6);
    assert_int_equal(cma_frame_move_out(p->frames, slot + 6, &to), 0);
    assert_true(to == pfn);
    assert_int_equal(plain->handles[holder.cookie].state, PLAIN_GONE);
    assert_int_equal(promise_idle(p, 0, 512), 6);
    promise_check(p);
    (void)promise_take(p, &g);
    promise_destroy(p);
}

static void test_gate_before_ordinary_claims(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct plain *plain = p->plain;
    struct cma_guarantee g;
    struct cma_area_request request = {.npages = 100, .owner = 3};
    struct cma_refusal refusal = {0};
    cma_pfn_t slot, pfn, own[2];
    uint32_t found = 0, copies, locks;

    (void)state;
    slot = gate_at_its_end(p, &g, 6);
    /* Two kept pages in the rest of the area, in the way of any window of 100 pages. */
    for (uint32_t i = 40; i < 80; i += 20) {
        own[found] = plain->base + 200 + i;
        assert_true(own[found] < slot || own[found] >= slot + 16);
        found++;
    }
    while (cma_area_lend(&p->areas[0], CMA_KIND_MOVABLE)) {
    }
    (void)promise_put(p, CMA_KIND_MOVABLE, plain->sure.number, own[0]);
    (void)promise_put(p, CMA_KIND_MOVABLE, plain->sure.number, own[1]);
    promise_check(p);
    copies = plain->copies;
    locks = plain->locks;
    assert_int_equal(cma_area_alloc(&p->areas[0], &request, &pfn, &refusal), CMA_ENOMEM);
    assert_true(refusal.reason == CMA_REASON_NO_ROOM || refusal.reason == CMA_REASON_PROMISED);
    assert_int_equal(plain->copies, copies);
    assert_true(plain->locks - locks < 2000);
    promise_check(p);
    promise_give(p, 50);
    assert_int_equal(cma_area_alloc(&p->areas[0], &request, &pfn, &refusal), CMA_ENOMEM);
    assert_int_equal(plain->copies, copies);
    promise_give(p, 51);
    assert_int_equal(cma_area_alloc(&p->areas[0], &request, &pfn, &refusal), 0);
    assert_int_equal(plain->copies, copies + 2);
    assert_int_equal(promise_idle(p, 0, 512), 6);
    promise_check(p);
    (void)promise_take(p, &g);
    assert_int_equal(cma_area_release(&p->areas[0], pfn, 100, 3), 0);
    promise_destroy(p);
}

static void test_gate_before_caches(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct plain *plain = p->plain;
    struct cma_guarantee g;
    struct cma_guarantee_work work;
    struct cma_refusal refusal = {0};
    struct cma_pages_request request = {.npages = 1, .holder = {CMA_KIND_UNMOVABLE, 0, 1}};
    cma_pfn_t slot, pfn, first = CMA_PFN_NONE;
    uint32_t got;

    (void)state;
    p->caches = aligned_alloc(64, 2 * sizeof(*p->caches));
    assert_int_equal(cma_pages_add_caches(&plain->pages, p->caches, 2), 0);
    promise_admit(p, &g, 40, 1, 40);
    slot = promise_slot(p, 0).pfn;
    (void)promise_fill_slot(p, slot, 40);
    for (uint32_t i = 0; i < 40; i++) {
        assert_int_equal(cma_frame_keep(p->frames, slot + i), 0);
    }
    /* 384 ordinary frames, 40 of them promised. */
    for (got = 0; cma_pages_alloc(&plain->pages, &request, &pfn, &refusal) == 0; got++) {
        first = pfn;
        promise_check(p);
        assert_true(promise_idle(p, 0, 512) >= 40);
    }
    assert_int_equal(got, 384 - 40);
    assert_int_equal(promise_idle(p, 0, 512), 40);
    /* A page that comes back goes to a cache, which is not where a slot's data can go. */
    assert_int_equal(cma_pages_free(&plain->pages, first, 1, 1), 0);
    promise_check(p);
    assert_int_equal(cma_pages_alloc(&plain->pages, &request, &pfn, &refusal), 0);
    (void)promise_take_work(p, &g, &work);
    assert_int_equal(work.copied, 40);
    assert_int_equal(cma_pages_alloc(&plain->pages, &request, &pfn, &refusal), CMA_ENOMEM);
    promise_release(p, &g, slot);
    /* What caches hold is no reason to refuse: it can be had for a slot's data. */
    assert_int_equal(cma_pages_free(&plain->pages, first, 1, 1), 0);
    (void)promise_put(p, CMA_KIND_DROPPABLE, plain->sure.number, slot);
    assert_int_equal(cma_frame_move_out(p->frames, slot, &pfn), 0);
    promise_destroy(p);
}

/* --- limits --------------------------------------------------------------------------------- */

/* The low half is a zone of its own; `stiff` reaches just that one. */
static const struct promise_config two_zones = {
    .npages = 512, .areas = {{.first = 100, .npages = 128}}, .nareas = 1, .low_npages = 256};

static void test_limits(void **state)
{
    struct promise *p = promise_create(&two_zones);
    struct plain *plain = p->plain;
    struct cma_guarantee g;
    struct cma_guarantee_work work;
    cma_paddr_t low = p->zones[0].last;
    uint32_t cookie, held[4];
    cma_pfn_t slot;

    (void)state;
    promise_admit(p, &g, 16, 1, 16);
    slot = promise_slot(p, 0).pfn;
    promise_use_up(p, 0, 256, 3);
    /* Data that must stay low: as much as there is idle memory there. */
    for (uint32_t i = 0; i < 3; i++) {
        held[i] = promise_put(p, CMA_KIND_MOVABLE, plain->stiff.number, slot + i);
    }
    assert_int_equal(promise_borrow(p, CMA_KIND_MOVABLE, plain->stiff.number, 0, slot + 3, &cookie),
                     CMA_ENOMEM);
    promise_check(p);
    /* Others may use the memory above, though not the one below. */
    (void)promise_put(p, CMA_KIND_MOVABLE, plain->sure.number, slot + 3);
    (void)promise_fill_slot(p, slot + 4, 12);
    assert_int_equal(cma_frame_keep(p->frames, slot + 4), 0);
    assert_int_equal(promise_exhaust(p, low, NULL), 0);
    assert_int_equal(promise_exhaust(p, 0, NULL), 256 - 2);
    assert_int_equal(promise_idle(p, 0, 256), 3);
    assert_int_equal(promise_idle(p, 256, 512), 2);
    promise_check(p);
    /* Three low ones promised, two of any sort: none above may go, and none below more. */
    assert_int_equal(cma_frame_keep(p->frames, slot + 5), CMA_EBUSY);
    promise_give(p, 10);
    assert_int_equal(cma_frame_keep(p->frames, slot + 5), 0);
    assert_int_equal(cma_frame_keep(p->frames, slot + 6), CMA_EBUSY);
    /* That one is promised now, wherever it lies. */
    assert_int_equal(promise_exhaust(p, low, NULL), 0);
    promise_check(p);
    assert_true(promise_take_work(p, &g, &work) == slot);
    assert_int_equal(work.copied, 6);
    for (uint32_t i = 0; i < 3; i++) {
        assert_true(plain->handles[held[i]].pfn < plain->base + 256);
    }
    promise_release(p, &g, slot);
    promise_destroy(p);
}

/* Room below a limit that cuts a zone: idle frames of the zones below it are not all there are, and
 * what is promised there does not count for what can be dropped. */
static void test_room_below_a_limit(void **state)
{
    struct promise *p = promise_create(&two_zones);
    struct plain *plain = p->plain;
    const struct cma_pages_ops *ops = cma_pages_ops(&plain->pages);
    cma_paddr_t cut = (plain->base + 400) * PLAIN_PAGE - 1;
    struct cma_guarantee g;
    cma_pfn_t slot;

    (void)state;
    promise_admit(p, &g, 16, 1, 16);
    slot = promise_slot(p, 0).pfn;
    promise_use_up(p, 0, 256, 5);
    promise_use_up(p, 256, 512, 20); /* the lowest */
    assert_int_equal(ops->room(ops->ctx, p->zones[0].last), 5);
    assert_int_equal(ops->room(ops->ctx, cut), 25);
    assert_int_equal(ops->room(ops->ctx, CMA_PADDR_MAX), 25);
    for (uint32_t i = 0; i < 3; i++) {
        (void)promise_put(p, CMA_KIND_MOVABLE, plain->stiff.number, slot + i);
    }
    assert_int_equal(ops->room(ops->ctx, p->zones[0].last), 2);
    assert_int_equal(ops->room(ops->ctx, cut), 22);
    for (uint32_t i = 0; i < 10; i++) {
        (void)promise_put(p, CMA_KIND_MOVABLE, plain->sure.number, slot + 3 + i);
    }
    assert_int_equal(ops->room(ops->ctx, p->zones[0].last), 2);
    assert_int_equal(ops->room(ops->ctx, cut), 12);
    assert_int_equal(ops->room(ops->ctx, CMA_PADDR_MAX), 12);
    for (uint32_t i = 0; i < 4; i++) {
        (void)promise_put(p, CMA_KIND_DROPPABLE, plain->sure.number, plain->base + 256 + i);
    }
    assert_int_equal(ops->room(ops->ctx, cut), 12);
    promise_use_up(p, 256, 512, 8);
    assert_int_equal(ops->room(ops->ctx, p->zones[0].last), 0);
    assert_int_equal(ops->room(ops->ctx, cut), 4);
    assert_int_equal(ops->room(ops->ctx, CMA_PADDR_MAX), 4);
    promise_destroy(p);
}

/* Somebody who needs less than a whole zone is never kept in a slot: nothing could be booked. */
static void test_limit_below_all_zones(void **state)
{
    struct promise *p = promise_create(&two_zones);
    struct plain *plain = p->plain;
    static struct plain_mover short_sighted;
    struct cma_guarantee g;
    uint32_t cookie;
    cma_pfn_t slot;

    (void)state;
    plain_mover_init(plain, &short_sighted, "short-sighted", 0,
                     (plain->base + 240) * PLAIN_PAGE - 1, true);
    short_sighted.number = (uint32_t)cma_mover_register(p->frames, &short_sighted.mover);
    promise_admit(p, &g, 16, 1, 16);
    slot = promise_slot(p, 0).pfn;
    assert_int_equal(promise_borrow(p, CMA_KIND_MOVABLE, short_sighted.number, 0, slot, &cookie),
                     CMA_ENOMEM);
    promise_check(p);
    assert_int_equal(p->frames->zone_promised[0] + p->frames->zone_promised[1], 0);
    promise_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keep_up_to_max_moves),
        cmocka_unit_test(test_no_moves_at_all),
        cmocka_unit_test(test_gate_before_allocations),
        cmocka_unit_test(test_gate_before_dirtying),
        cmocka_unit_test(test_move_out_discards),
        cmocka_unit_test(test_gate_before_ordinary_claims),
        cmocka_unit_test(test_gate_before_caches),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_room_below_a_limit),
        cmocka_unit_test(test_limit_below_all_zones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
