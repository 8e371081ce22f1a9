/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_guarantee.c - what holds once a guarantee is admitted: src/frame/slot.c, src/cma/guarantee.c
 *
 * Taking and giving back, and who may be in a slot meanwhile. The gate is in test_promised.c,
 * admission in test_admit.c.
 */
#include "promise_board.h"

#include "../../src/frame/account.h"
#include "../../src/frame/word.h"

/* --- taking --------------------------------------------------------------------------------- */

static void test_take_costs_what_was_said(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct plain *plain = p->plain;
    struct cma_guarantee g;
    struct cma_guarantee_work work;
    struct cma_guarantee_stats stats;
    struct cma_refusal refusal = {0};
    uint32_t kept[7], dropped;
    cma_pfn_t slot, pfn;

    (void)state;
    promise_admit(p, &g, 32, 1, 7);
    slot = promise_slot(p, 0).pfn;
    dropped = promise_fill_slot(p, slot, 20);
    for (uint32_t i = 0; i < 7; i++) {
        kept[i] = promise_put(p, CMA_KIND_MOVABLE, plain->sure.number, slot + 20 + i);
    }
    promise_check(p);
    stats = promise_stats(&g);
    assert_int_equal(stats.count, 1);
    assert_int_equal(stats.npages, 32);
    assert_int_equal(stats.idle_npages, 32);
    assert_int_equal(stats.lent_npages, 27);
    assert_int_equal(stats.kept_npages, 7);
    assert_int_equal(stats.live, 0);

    pfn = promise_take_work(p, &g, &work);
    assert_true(pfn == slot);
    assert_int_equal(work.copied, 7);
    assert_int_equal(work.dropped, 20);
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(plain->handles[dropped + i].state, PLAIN_GONE);
    }
    for (uint32_t i = 0; i < 7; i++) {
        assert_true(promise_is_ordinary(p, plain->handles[kept[i]].pfn));
    }
    stats = promise_stats(&g);
    assert_int_equal(stats.live, 1);
    assert_int_equal(stats.live_worst, 1);
    assert_int_equal(stats.taken, 1);
    assert_int_equal(stats.copied_worst, 7);
    assert_int_equal(stats.dropped_worst, 20);
    assert_int_equal(stats.flushes_worst, work.flushes);
    assert_int_equal(stats.idle_npages, 0);
    assert_int_equal(stats.lent_npages, 0);
    assert_int_equal(stats.kept_npages, 0);

    /* All that was promised is out. */
    assert_int_equal(cma_guarantee_take(&g, &pfn, NULL, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.code, CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_PROMISED);
    assert_int_equal(cma_guarantee_take(&g, &pfn, NULL, NULL), CMA_ENOMEM);
    assert_true(pfn == slot);

    /* Given back it is lent again; an empty one costs nothing. The worst is what was worst. */
    promise_release(p, &g, slot);
    pfn = promise_take_work(p, &g, &work);
    assert_int_equal(work.copied + work.dropped, 0);
    promise_release(p, &g, pfn);
    (void)promise_fill_slot(p, slot, 32);
    (void)promise_take(p, &g);
    stats = promise_stats(&g);
    assert_int_equal(stats.taken, 3);
    assert_int_equal(stats.live_worst, 1);
    assert_int_equal(stats.copied_worst, 7);
    assert_int_equal(stats.dropped_worst, 32);
    promise_release(p, &g, slot);
    promise_destroy(p);
}

static void test_all_blocks_at_once(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct cma_guarantee g;
    struct cma_slot_info info;
    cma_pfn_t pfn[4];

    (void)state;
    promise_admit(p, &g, 20, 4, 20);
    for (uint32_t i = 0; i < 4; i++) {
        info = promise_slot(p, i);
        assert_int_equal(info.npages, 20);
        assert_int_equal(info.owner, 9);
        assert_false(info.out);
        for (uint32_t j = 0; j < 20; j++) {
            (void)promise_put(p, (i + j) % 3 == 0 ? CMA_KIND_MOVABLE : CMA_KIND_DROPPABLE,
                              p->plain->sure.number, info.pfn + j);
        }
        info = promise_slot(p, i);
        assert_int_equal(info.lent_npages, 20);
        assert_in_range(info.kept_npages, 6, 7);
    }
    assert_int_equal(cma_guarantees_slot(&p->all, 4, &info), CMA_ENOENT);
    for (uint32_t i = 0; i < 4; i++) {
        pfn[i] = promise_take(p, &g);
        for (uint32_t j = 0; j < i; j++) {
            assert_true(pfn[i] >= pfn[j] + 20 || pfn[j] >= pfn[i] + 20);
        }
    }
    assert_int_equal(promise_stats(&g).live_worst, 4);
    for (uint32_t i = 0; i < 4; i++) {
        assert_true(promise_slot(p, i).out);
        assert_false(promise_slot(p, i).returning);
    }
    /* Any of them, in any order. */
    promise_release(p, &g, pfn[2]);
    promise_release(p, &g, pfn[0]);
    assert_int_equal(promise_stats(&g).live, 2);
    assert_int_equal(promise_stats(&g).idle_npages, 40);
    pfn[0] = promise_take(p, &g);
    promise_release(p, &g, pfn[3]);
    promise_release(p, &g, pfn[0]);
    promise_release(p, &g, pfn[1]);
    assert_int_equal(promise_stats(&g).live_worst, 4);
    promise_destroy(p);
}

/* Of several slots the one that is least work is taken. */
static void test_take_the_cheapest(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct cma_guarantee g;
    cma_pfn_t slot[3];

    (void)state;
    promise_admit(p, &g, 16, 3, 16);
    for (uint32_t i = 0; i < 3; i++) {
        slot[i] = promise_slot(p, i).pfn;
    }
    (void)promise_put(p, CMA_KIND_MOVABLE, p->plain->sure.number, slot[0]);
    (void)promise_fill_slot(p, slot[1], 16);
    (void)promise_fill_slot(p, slot[2], 3);
    assert_true(promise_take(p, &g) == slot[2]);
    assert_true(promise_take(p, &g) == slot[1]);
    assert_true(promise_take(p, &g) == slot[0]);
    promise_destroy(p);
}

/* The least idle memory that it takes: as much as the kept frames in the slot. */
static void test_take_needs_no_more_than_is_booked(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct cma_guarantee g;
    struct cma_guarantee_work work;
    cma_pfn_t slot;

    (void)state;
    promise_admit(p, &g, 16, 1, 12);
    slot = promise_slot(p, 0).pfn;
    for (uint32_t i = 0; i < 12; i++) {
        (void)promise_put(p, CMA_KIND_MOVABLE, p->plain->sure.number, slot + i);
    }
    promise_use_up(p, 0, 512, 12);
    promise_check(p);
    assert_true(promise_take_work(p, &g, &work) == slot);
    assert_int_equal(work.copied, 12);
    assert_int_equal(promise_idle(p, 0, 512), 0);
    promise_release(p, &g, slot);
    /* Nothing is left to book: no kept page gets in, droppable ones do. */
    {
        uint32_t cookie;

        assert_int_equal(
            promise_borrow(p, CMA_KIND_MOVABLE, p->plain->sure.number, 0, slot, &cookie),
            CMA_ENOMEM);
    }
    (void)promise_fill_slot(p, slot, 16);
    promise_destroy(p);
}

/* --- giving back ---------------------------------------------------------------------------- */

static void test_release_until_quiet(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct cma_guarantee g, other;
    struct cma_slot_info info;
    uint32_t cookie;
    cma_pfn_t pfn, next;

    (void)state;
    promise_admit(p, &g, 16, 2, 0);
    promise_admit(p, &other, 16, 1, 0);
    pfn = promise_take(p, &g);
    assert_int_equal(cma_guarantee_quiet(&g, pfn), CMA_EBADF);
    assert_int_equal(cma_guarantee_release(&g, pfn, false), 0);
    promise_check(p);
    info = promise_slot(p, 0);
    assert_true(info.out || promise_slot(p, 1).out);
    assert_true(info.returning || promise_slot(p, 1).returning);
    assert_int_equal(promise_stats(&g).live, 1);
    assert_int_equal(promise_stats(&g).idle_npages, 16);
    /* The device may still write: lent to nobody, still its buffer, and given back only once. */
    assert_int_equal(promise_borrow(p, CMA_KIND_DROPPABLE, p->plain->sure.number, 0, pfn, &cookie),
                     CMA_ENOMEM);
    assert_int_equal(plain_info(p->plain, pfn).kind, CMA_KIND_CLAIMED);
    assert_int_equal(cma_guarantee_release(&g, pfn, false), CMA_EBADF);
    assert_int_equal(cma_guarantee_release(&g, pfn, true), CMA_EBADF);
    assert_int_equal(cma_guarantee_revoke(&g), CMA_EBUSY);
    next = promise_take(p, &g);
    assert_true(next != pfn);
    assert_int_equal(cma_guarantee_take(&g, &next, NULL, NULL), CMA_ENOMEM);
    assert_int_equal(cma_guarantee_quiet(&g, next), CMA_EBADF);
    assert_int_equal(cma_guarantee_quiet(&other, pfn), CMA_EBADF);
    assert_int_equal(cma_guarantee_quiet(&g, pfn), 0);
    promise_check(p);
    assert_int_equal(cma_guarantee_quiet(&g, pfn), CMA_EBADF);
    (void)promise_fill_slot(p, pfn, 16);
    assert_int_equal(promise_stats(&g).live, 1);
    promise_release(p, &g, next);
    promise_destroy(p);
}

static void test_release_of_what_is_not_out(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct cma_guarantee g, other;
    struct cma_area_request claim = {.npages = 16, .owner = 9};
    cma_pfn_t pfn, theirs, claimed;

    (void)state;
    promise_admit(p, &g, 16, 1, 0);
    promise_admit(p, &other, 16, 1, 0);
    theirs = promise_take(p, &other);
    assert_int_equal(cma_guarantee_release(&g, promise_slot(p, 0).pfn, true), CMA_EBADF);
    assert_int_equal(cma_guarantee_release(&g, promise_slot(p, 1).pfn, true), CMA_EBADF);
    pfn = promise_take(p, &g);
    assert_int_equal(cma_area_alloc(&p->areas[0], &claim, &claimed, NULL), 0);
    assert_int_equal(cma_guarantee_release(&g, theirs, true), CMA_EBADF);
    assert_int_equal(cma_guarantee_release(&g, pfn + 1, true), CMA_EBADF);
    assert_int_equal(cma_guarantee_release(&g, pfn - 1, true), CMA_EBADF);
    assert_int_equal(cma_guarantee_release(&g, claimed, true), CMA_EBADF);
    assert_int_equal(cma_guarantee_release(&g, 0, true), CMA_EBADF);
    assert_int_equal(cma_guarantee_release(&g, CMA_PFN_NONE, false), CMA_EBADF);
    assert_int_equal(cma_guarantee_release(&g, p->plain->base, true), CMA_EBADF);
    /* And a block is nobody else's to give back. */
    assert_int_equal(cma_area_release(&p->areas[0], pfn, 16, 9), CMA_EPERM);
    assert_int_equal(cma_area_release(&p->areas[0], pfn, 16, 8), CMA_EPERM);
    assert_int_not_equal(cma_pages_free(&p->plain->pages, pfn, 16, 9), 0);
    assert_int_not_equal(cma_pages_free(&p->plain->pages, pfn, 1, 9), 0);
    promise_check(p);
    assert_int_equal(promise_stats(&g).live, 1);
    promise_release(p, &g, pfn);
    assert_int_equal(cma_guarantee_release(&g, pfn, true), CMA_EBADF);
    promise_release(p, &other, theirs);
    /* Nor a slot that nobody has taken. */
    assert_int_not_equal(cma_area_release(&p->areas[0], pfn, 16, 9), 0);
    assert_int_equal(cma_area_release(&p->areas[0], claimed, 16, 9), 0);
    promise_destroy(p);
}

/* --- who may be in a slot ------------------------------------------------------------------- */

static void test_lent_to_sure_movers_only(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct plain *plain = p->plain;
    struct cma_guarantee g;
    struct cma_holder holder = {.kind = CMA_KIND_DROPPABLE, .cookie = 4000};
    struct cma_pages_request request = {.npages = 1};
    uint32_t cookie;
    cma_pfn_t slot, pfn;

    (void)state;
    promise_admit(p, &g, 16, 1, 16);
    slot = promise_slot(p, 0).pfn;
    assert_int_equal(promise_borrow(p, CMA_KIND_DROPPABLE, plain->picky.number, 0, slot, &cookie),
                     CMA_ENOMEM);
    assert_int_equal(promise_borrow(p, CMA_KIND_MOVABLE, plain->picky.number, 0, slot, &cookie),
                     CMA_ENOMEM);
    assert_int_equal(promise_borrow(p, CMA_KIND_DROPPABLE, p->needy.number, 0, slot, &cookie),
                     CMA_ENOMEM);
    assert_int_equal(promise_borrow(p, CMA_KIND_UNMOVABLE, 0, 0, slot, &cookie), CMA_ERANGE);
    assert_int_equal(
        promise_borrow(p, CMA_KIND_DROPPABLE, plain->sure.number, CMA_PAGES_REF, slot, &cookie),
        CMA_ENOMEM);
    assert_int_equal(
        promise_borrow(p, CMA_KIND_DROPPABLE, plain->sure.number, CMA_PAGES_NO_LENT, slot, &cookie),
        CMA_ERANGE);
    holder.mover = plain->picky.number;
    assert_int_equal(cma_frame_publish(p->frames, slot, &holder), CMA_EINVAL);
    holder.mover = p->needy.number;
    assert_int_equal(cma_frame_publish(p->frames, slot, &holder), CMA_EINVAL);
    holder = (struct cma_holder){.kind = CMA_KIND_UNMOVABLE};
    assert_int_equal(cma_frame_publish(p->frames, slot, &holder), CMA_EINVAL);
    holder = (struct cma_holder){.kind = CMA_KIND_DROPPABLE, .mover = plain->stiff.number};
    assert_int_equal(cma_frame_publish(p->frames, slot, &holder), CMA_EINVAL);
    promise_check(p);
    assert_int_equal(promise_stats(&g).lent_npages, 0);

    /* A sure one's data goes there by itself where there is nothing else. */
    (void)plain_publish(plain, CMA_KIND_DROPPABLE, plain->sure.number, slot + 3);
    assert_int_equal(cma_frame_publish(p->frames, slot + 3,
                                       &(struct cma_holder){.kind = CMA_KIND_DROPPABLE,
                                                            .mover = plain->sure.number,
                                                            .cookie = 4000}),
                     CMA_EBADF);
    promise_check(p);
    promise_use_up(p, 0, 512, 0);
    for (uint32_t i = 0; i < 127; i++) {
        assert_int_equal(plain_alloc(plain, CMA_KIND_DROPPABLE, plain->sure.number, 0, &cookie), 0);
    }
    assert_int_equal(promise_stats(&g).lent_npages, 16);
    assert_int_equal(plain_alloc(plain, CMA_KIND_DROPPABLE, plain->sure.number, 0, &cookie),
                     CMA_ENOMEM);
    promise_check(p);
    /* What leaves a slot is lent to the next one. */
    cookie = plain_info(plain, slot + 5).cookie;
    assert_int_equal(promise_free(p, cookie), 0);
    assert_int_equal(promise_stats(&g).lent_npages, 15);
    promise_check(p);
    request.holder = (struct cma_holder){CMA_KIND_DROPPABLE, plain->picky.number, 4001};
    assert_int_equal(cma_pages_alloc(&plain->pages, &request, &pfn, NULL), CMA_ENOMEM);
    assert_int_equal(plain_alloc(plain, CMA_KIND_DROPPABLE, plain->sure.number, 0, &cookie), 0);
    assert_true(plain->handles[cookie].pfn == slot + 5);
    (void)promise_take(p, &g);
    /* Out of the device's sight it is nobody's. */
    holder = (struct cma_holder){CMA_KIND_DROPPABLE, plain->sure.number, 4000};
    assert_int_not_equal(cma_frame_publish(p->frames, slot + 5, &holder), 0);
    assert_int_equal(plain_alloc(plain, CMA_KIND_DROPPABLE, plain->sure.number, 0, &cookie),
                     CMA_ENOMEM);
    promise_destroy(p);
}

static void test_frames_of_slots(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct plain *plain = p->plain;
    struct cma_guarantee g;
    struct cma_frame_info info;
    uint32_t cookie, refused;
    cma_pfn_t slot, to;

    (void)state;
    promise_admit(p, &g, 16, 1, 2);
    slot = promise_slot(p, 0).pfn;
    info = plain_info(plain, slot);
    assert_true(info.slot && info.in_area && !info.isolated && !info.frozen);
    assert_int_equal(info.kind, CMA_KIND_NONE);
    cookie = promise_put(p, CMA_KIND_DROPPABLE, plain->sure.number, slot + 1);
    info = plain_info(plain, slot + 1);
    assert_true(info.slot && info.in_area && !info.isolated && !info.frozen && !info.idle);
    assert_int_equal(info.kind, CMA_KIND_DROPPABLE);
    assert_int_equal(info.mover, plain->sure.number);
    assert_int_equal(info.cookie, cookie);
    assert_false(plain_info(plain, plain->base).slot);
    /* A neighbour that is in the area, and no slot. */
    assert_false(plain_info(plain, slot == plain->base + 200 ? slot + 16 : slot - 1).slot);

    /* No short references, and no pins in place. */
    assert_int_equal(cma_frame_ref(p->frames, slot + 1), CMA_EBUSY);
    assert_int_equal(cma_frame_pin_in_place(p->frames, slot + 1), CMA_EPERM);
    assert_int_equal(cma_frame_ref(p->frames, slot), CMA_EBADF);
    assert_int_equal(cma_frame_pin_in_place(p->frames, slot), CMA_EPERM);
    assert_int_equal(cma_frame_pin(p->frames, slot, &to), CMA_EBADF);
    assert_int_equal(cma_frame_move_out(p->frames, slot, &to), CMA_EBADF);
    assert_int_equal(cma_frame_release(p->frames, slot), CMA_EBADF);
    assert_int_equal(cma_frame_keep(p->frames, slot), CMA_EBADF);
    assert_int_equal(cma_frame_allow_drop(p->frames, slot), CMA_EBADF);
    assert_int_equal(cma_frame_unpin(p->frames, slot + 1), CMA_EBADF);
    assert_int_equal(cma_frame_move_out(p->frames, 5, &to), CMA_ENOENT);
    promise_check(p);

    /* Pins and references are to be had outside. */
    assert_int_equal(cma_frame_move_out(p->frames, slot + 1, &to), 0);
    assert_true(promise_is_ordinary(p, to) && plain->handles[cookie].pfn == to);
    assert_int_equal(plain_info(plain, to).kind, CMA_KIND_DROPPABLE);
    assert_int_equal(plain->copies, 1);
    assert_int_equal(promise_stats(&g).lent_npages, 0);
    promise_check(p);
    assert_int_equal(cma_frame_ref(p->frames, to), 0);
    assert_int_equal(cma_frame_unref(p->frames, to), 0);
    /* What lies in no slot stays. */
    slot = to;
    assert_int_equal(cma_frame_move_out(p->frames, slot, &to), 0);
    assert_true(to == slot);
    assert_int_equal(plain->copies, 1);

    slot = promise_slot(p, 0).pfn;
    cookie = promise_put(p, CMA_KIND_MOVABLE, plain->sure.number, slot + 1);
    assert_int_equal(promise_stats(&g).kept_npages, 1);
    assert_int_equal(cma_frame_pin(p->frames, slot + 1, &to), 0);
    assert_true(promise_is_ordinary(p, to) && plain->handles[cookie].pfn == to);
    assert_int_equal(plain_info(plain, to).pins, 1);
    assert_int_equal(promise_stats(&g).kept_npages, 0);
    promise_check(p);
    assert_int_equal(cma_frame_unpin(p->frames, to), 0);
    /* Both frames that they left are lent again. */
    (void)promise_fill_slot(p, slot, 16);
    assert_int_equal(promise_borrow(p, CMA_KIND_DROPPABLE, plain->sure.number, 0, slot, &refused),
                     CMA_ENOMEM);
    /* A handle lets its frame go by cma_frame_release, too. */
    cookie = plain_info(plain, slot + 7).cookie;
    assert_int_equal(cma_frame_release(p->frames, slot + 7), 1);
    plain->handles[cookie].state = PLAIN_GONE;
    assert_int_equal(promise_stats(&g).lent_npages, 15);
    promise_destroy(p);
}

/* --- beside others -------------------------------------------------------------------------- */

/* A slot may lie across the lanes of its area; frames of each are borrowed, kept and let go. */
static void test_across_lanes(void **state)
{
    struct promise_config config = promise_small;
    struct cma_area_request claim = {.npages = 128, .owner = 3};
    struct cma_guarantee g;
    struct cma_guarantee_work work;
    struct promise *p;
    uint32_t first;
    cma_pfn_t pfn;

    (void)state;
    config.lanes = 2;
    config.lane_npages = 64;
    p = promise_create(&config);
    assert_int_equal(p->areas[0].nspans, 2);
    promise_admit(p, &g, 128, 1, 20);
    first = promise_fill_slot(p, p->areas[0].pfn, 128);
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(cma_frame_keep(p->frames, p->areas[0].pfn + 54 + i), 0);
    }
    assert_int_equal(promise_free(p, first), 0);
    assert_int_equal(promise_free(p, first + 127), 0);
    (void)promise_take_work(p, &g, &work);
    assert_int_equal(work.copied, 20);
    assert_int_equal(work.dropped, 106);
    promise_release(p, &g, p->areas[0].pfn);
    first = promise_fill_slot(p, p->areas[0].pfn + 60, 8);
    assert_int_equal(cma_frame_keep(p->frames, p->areas[0].pfn + 64), 0);
    assert_int_equal(cma_guarantee_revoke(&g), 0);
    promise_check(p);
    assert_int_equal(cma_area_alloc(&p->areas[0], &claim, &pfn, NULL), 0);
    assert_int_equal(p->plain->handles[first + 4].state, PLAIN_HELD);
    promise_destroy(p);
}

/* What an ordinary claim beside slots is told would do, does; a block is nobody's to release. */
static void test_explained_beside_slots(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct cma_area_request request = {.npages = 60, .owner = 3};
    struct cma_area_request beside = {.npages = 20, .owner = 4};
    struct cma_refusal refusal = {0};
    struct cma_guarantee g;
    cma_pfn_t pfn, buffer;

    (void)state;
    promise_admit(p, &g, 70, 1, 0);
    (void)promise_take(p, &g);
    assert_int_equal(cma_area_alloc(&p->areas[0], &request, &pfn, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_PROMISED);
    assert_int_equal(refusal.change, CMA_CHANGE_NPAGES);
    assert_int_equal(refusal.change_value, 58);
    assert_int_equal(refusal.possible_run_npages, 58);
    assert_int_equal(refusal.free_run_npages, 58);
    /* A buffer beside it is, and is named if that would do. */
    assert_int_equal(cma_area_alloc(&p->areas[0], &beside, &buffer, NULL), 0);
    request.npages = 50;
    assert_int_equal(cma_area_alloc(&p->areas[0], &request, &pfn, &refusal), CMA_ENOMEM);
    assert_true(refusal.change == CMA_CHANGE_NPAGES || refusal.change == CMA_CHANGE_RELEASE);
    if (refusal.change == CMA_CHANGE_RELEASE) {
        assert_true(refusal.change_value == buffer);
    } else {
        assert_int_equal(refusal.change_value, 38);
    }
    promise_destroy(p);
}

/* --- in the middle of something ------------------------------------------------------------- */

static struct {
    struct promise *p;
    struct cma_guarantee *g;
    const struct cma_guarantee_request *request;
    cma_pfn_t slot;
    uint32_t calls;
    uint32_t *word; /* of a frame */
    int result[6];
} meanwhile;

/* While a frame of the slot is discarded or moved for a block that is being taken. */
static void meanwhile_taking(struct plain *plain, cma_pfn_t pfn, uint32_t cookie)
{
    struct promise *p = meanwhile.p;
    struct cma_holder holder = {CMA_KIND_DROPPABLE, plain->sure.number, 4000};
    cma_pfn_t to;

    (void)cookie;
    plain->during = NULL;
    meanwhile.calls++;
    meanwhile.result[0] = cma_frame_publish(p->frames, meanwhile.slot + 15, &holder);
    meanwhile.result[1] = cma_frame_keep(p->frames, pfn);
    meanwhile.result[2] = cma_frame_move_out(p->frames, pfn, &to);
    meanwhile.result[3] = cma_frame_release(p->frames, pfn);
    /* Another one, whose turn has not come yet. */
    meanwhile.result[4] = cma_frame_keep(p->frames, meanwhile.slot + 9);
    meanwhile.result[5] = promise_free(p, plain_info(plain, meanwhile.slot + 8).cookie);
}

static void test_calls_while_taking(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct cma_guarantee g;
    struct cma_guarantee_work work;
    cma_pfn_t slot;

    (void)state;
    promise_admit(p, &g, 16, 1, 1);
    slot = promise_slot(p, 0).pfn;
    (void)promise_fill_slot(p, slot, 15);
    memset(&meanwhile, 0, sizeof meanwhile);
    meanwhile.p = p;
    meanwhile.slot = slot;
    p->plain->during = meanwhile_taking;
    assert_true(promise_take_work(p, &g, &work) == slot);
    assert_int_equal(meanwhile.calls, 1);
    assert_int_equal(meanwhile.result[0], CMA_EAGAIN);
    assert_int_equal(meanwhile.result[1], CMA_EAGAIN);
    assert_int_equal(meanwhile.result[2], CMA_EAGAIN);
    assert_int_equal(meanwhile.result[3], CMA_EAGAIN);
    assert_int_equal(meanwhile.result[4], CMA_EAGAIN);
    assert_int_equal(meanwhile.result[5], 0);
    assert_int_equal(work.copied + work.dropped, 14);
    assert_int_equal(work.copied, 0);
    promise_release(p, &g, slot);
    promise_destroy(p);
}

/* A move that somebody else makes is in the way of a take that can't wait. */
static void meanwhile_moving(struct plain *plain, cma_pfn_t pfn, uint32_t cookie)
{
    cma_pfn_t taken;

    (void)pfn;
    (void)cookie;
    plain->during = NULL;
    meanwhile.calls++;
    meanwhile.result[0] = cma_guarantee_take(meanwhile.g, &taken, NULL, NULL);
    meanwhile.result[1] = cma_guarantee_revoke(meanwhile.g);
}

static void test_take_during_a_move(void **state)
{
    struct promise_config config = promise_small;
    struct promise *p;
    struct cma_guarantee g;
    cma_pfn_t slot, to;
    uint32_t cookie;

    (void)state;
    config.no_wait = true;
    p = promise_create(&config);
    promise_admit(p, &g, 16, 1, 4);
    slot = promise_slot(p, 0).pfn;
    cookie = promise_fill_slot(p, slot, 16);
    memset(&meanwhile, 0, sizeof meanwhile);
    meanwhile.g = &g;
    p->plain->during = meanwhile_moving;
    assert_int_equal(cma_frame_move_out(p->frames, slot + 3, &to), 0);
    assert_int_equal(meanwhile.calls, 1);
    assert_int_equal(meanwhile.result[0], CMA_EAGAIN);
    assert_true(p->plain->handles[cookie + 3].pfn == to);
    promise_check(p);
    if (meanwhile.result[1] != 0) {
        /* Nothing is lost by it: once more is enough. */
        assert_true(promise_take(p, &g) == slot);
        promise_release(p, &g, slot);
    }
    promise_destroy(p);
}

/* While a frame of a slot is being moved out of it. */
static void meanwhile_moved(struct plain *plain, cma_pfn_t pfn, uint32_t cookie)
{
    (void)pfn;
    (void)cookie;
    plain->during = NULL;
    meanwhile.calls++;
    meanwhile.result[1] = cma_guarantee_revoke(meanwhile.g);
}

/* A guarantee ends when nobody is moving anything out of its slots. */
static void test_revoke_during_a_move(void **state)
{
    struct promise_config config = promise_small;

    (void)state;
    config.no_wait = true;
    for (uint32_t kept = 0; kept < 2; kept++) {
        struct promise *p = promise_create(&config);
        struct cma_guarantee g;
        cma_pfn_t slot, to;

        promise_admit(p, &g, 16, 2, 4);
        slot = promise_slot(p, 0).pfn;
        (void)promise_put(p, kept == 0 ? CMA_KIND_DROPPABLE : CMA_KIND_MOVABLE,
                          p->plain->sure.number, slot + 3);
        memset(&meanwhile, 0, sizeof meanwhile);
        meanwhile.g = &g;
        p->plain->during = meanwhile_moved;
        assert_int_equal(cma_frame_move_out(p->frames, slot + 3, &to), 0);
        assert_int_equal(meanwhile.calls, 1);
        assert_int_equal(meanwhile.result[1], CMA_EAGAIN);
        promise_check(p);
        assert_int_equal(promise_stats(&g).npages, 32);
        (void)promise_fill_slot(p, slot, 16);
        promise_release(p, &g, promise_take(p, &g));
        assert_int_equal(cma_guarantee_revoke(&g), 0);
        promise_check(p);
        promise_admit(p, &g, 16, 2, 4);
        promise_release(p, &g, promise_take(p, &g));
        promise_destroy(p);
    }
}

/* While a slot is emptied for a new member, who allows fewer copies. */
static void meanwhile_admitted(struct plain *plain, cma_pfn_t pfn, uint32_t cookie)
{
    cma_pfn_t block;

    (void)pfn;
    (void)cookie;
    plain->during = NULL;
    meanwhile.calls++;
    meanwhile.result[0] = cma_guarantee_take(meanwhile.g, &block, NULL, NULL);
    meanwhile.result[1] = cma_guarantee_revoke(meanwhile.g);
}

static void test_take_during_an_admission(void **state)
{
    struct promise_config config = promise_small;
    struct cma_guarantee_group group = {.open = NULL};
    struct cma_guarantee_request request = promise_request(32, 1, 10);
    struct cma_guarantee a, b;
    struct promise *p;
    cma_pfn_t slot;

    (void)state;
    config.no_wait = true;
    p = promise_create(&config);
    request.group = &group;
    assert_int_equal(promise_try(p, &a, &request, NULL), 0);
    slot = promise_slot(p, 0).pfn;
    for (uint32_t i = 0; i < 10; i++) {
        (void)promise_put(p, CMA_KIND_MOVABLE, p->plain->sure.number, slot + i);
    }
    memset(&meanwhile, 0, sizeof meanwhile);
    meanwhile.g = &a;
    p->plain->during = meanwhile_admitted;
    request.max_moves = 2;
    assert_int_equal(promise_try(p, &b, &request, NULL), 0);
    assert_int_equal(meanwhile.calls, 1);
    assert_int_equal(meanwhile.result[0], CMA_EAGAIN);
    assert_int_equal(meanwhile.result[1], CMA_EAGAIN);
    promise_release(p, &a, promise_take(p, &a));
    promise_release(p, &b, promise_take(p, &b));
    promise_destroy(p);
}

/* A slot of the group can't be emptied for a new member, for somebody moves a frame of it. */
static void meanwhile_not_emptied(struct plain *plain, cma_pfn_t pfn, uint32_t cookie)
{
    struct cma_admission why;

    (void)pfn;
    (void)cookie;
    plain->during = NULL;
    meanwhile.calls++;
    meanwhile.result[0] = cma_guarantee_admit(&meanwhile.p->all, meanwhile.g,
                                              &meanwhile.p->areas[0], meanwhile.request, &why);
    meanwhile.result[1] = why.refusal.code;
}

static void test_group_not_emptied(void **state)
{
    struct promise_config config = promise_small;
    struct cma_guarantee_group group = {.open = NULL};
    struct cma_guarantee_request request = promise_request(32, 1, 10);
    struct cma_guarantee a, b;
    struct cma_guarantee_work work;
    struct promise *p;
    cma_pfn_t slot, to;

    (void)state;
    config.no_wait = true;
    p = promise_create(&config);
    request.group = &group;
    assert_int_equal(promise_try(p, &a, &request, NULL), 0);
    slot = promise_slot(p, 0).pfn;
    for (uint32_t i = 0; i < 10; i++) {
        (void)promise_put(p, CMA_KIND_MOVABLE, p->plain->sure.number, slot + i);
    }
    request.max_moves = 2;
    request.count = 2;
    memset(&meanwhile, 0, sizeof meanwhile);
    meanwhile.p = p;
    meanwhile.g = &b;
    meanwhile.request = &request;
    p->plain->during = meanwhile_not_emptied;
    assert_int_equal(cma_frame_move_out(p->frames, slot + 4, &to), 0);
    promise_check(p);
    assert_int_equal(meanwhile.calls, 1);
    assert_int_equal(meanwhile.result[0], CMA_EAGAIN);
    assert_int_equal(meanwhile.result[1], CMA_EAGAIN);
    assert_int_equal(promise_area_stats(p).slot_npages, 32);
    assert_int_equal(group.nmembers, 1);
    /* As many may be kept as before. */
    for (uint64_t i = promise_stats(&a).kept_npages; i < 10; i++) {
        (void)promise_put(p, CMA_KIND_MOVABLE, p->plain->sure.number, slot + 10 + i);
    }
    assert_int_equal(promise_stats(&a).kept_npages, 10);
    assert_int_equal(promise_try(p, &b, &request, NULL), 0);
    assert_int_equal(promise_stats(&a).kept_npages, 0);
    (void)promise_take_work(p, &b, &work);
    promise_destroy(p);
}

static void wait_signals(struct plain *plain)
{
    cma__frames_signal(&plain->frames);
}

/* A mover that is just letting go is asked again; without wait, who takes is. */
static void test_movers_letting_go(void **state)
{
    (void)state;
    for (uint32_t wait = 0; wait < 2; wait++) {
        for (uint32_t nth = 1; nth <= 16; nth++) {
            struct promise_config config = promise_small;
            struct promise *p;
            struct cma_guarantee g;
            cma_pfn_t slot, pfn;
            int error = CMA_EAGAIN;

            config.no_wait = wait == 0;
            p = promise_create(&config);
            p->plain->on_wait = wait_signals;
            promise_admit(p, &g, 16, 1, 8);
            slot = promise_slot(p, 0).pfn;
            (void)promise_fill_slot(p, slot, 16);
            for (uint32_t i = 0; i < 8; i++) {
                assert_int_equal(cma_frame_keep(p->frames, slot + 2 * i), 0);
            }
            p->plain->fail_with = CMA_ENOENT;
            *(nth <= 8 ? &p->plain->fail_freeze : &p->plain->fail_discard) =
                nth <= 8 ? nth : nth - 8;
            for (uint32_t tries = 0; tries < 3 && error == CMA_EAGAIN; tries++) {
                error = cma_guarantee_take(&g, &pfn, NULL, NULL);
                promise_check(p);
                assert_true(wait == 0 || error == 0);
            }
            assert_int_equal(error, 0);
            assert_true(pfn == slot);
            assert_int_equal(p->plain->copies, 8);
            promise_destroy(p);
        }
    }
}

/* Who allows few copies leaves the group: the others' slots may keep as much as before. */
static void test_group_allows_more_again(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct cma_guarantee_group group = {.open = NULL};
    struct cma_guarantee_request request = promise_request(32, 1, 10);
    struct cma_guarantee a, b, c;
    cma_pfn_t slot;

    (void)state;
    request.group = &group;
    assert_int_equal(promise_try(p, &a, &request, NULL), 0);
    request.max_moves = 2;
    assert_int_equal(promise_try(p, &b, &request, NULL), 0);
    request.max_moves = 6;
    assert_int_equal(promise_try(p, &c, &request, NULL), 0);
    assert_int_equal(cma_guarantee_revoke(&b), 0);
    slot = promise_slot(p, 0).pfn;
    for (uint32_t i = 0; i < 6; i++) {
        (void)promise_put(p, CMA_KIND_MOVABLE, p->plain->sure.number, slot + i);
    }
    assert_int_equal(promise_stats(&a).kept_npages, 6);
    assert_int_equal(cma_guarantee_revoke(&c), 0);
    for (uint32_t i = 6; i < 10; i++) {
        (void)promise_put(p, CMA_KIND_MOVABLE, p->plain->sure.number, slot + i);
    }
    assert_int_equal(promise_stats(&a).kept_npages, 10);
    promise_release(p, &a, promise_take(p, &a));
    promise_destroy(p);
}

/* While a frame that leaves is waited for, those before it are anybody's. */
static void claim_what_is_gone(struct plain *plain)
{
    uint64_t first = meanwhile.slot << PLAIN_SHIFT;
    struct cma_area *area = &meanwhile.p->areas[0];
    struct cma_area_request request = {
        .npages = 4, .paddr_first = first, .paddr_last = first + (4 << PLAIN_SHIFT) - 1};
    cma_pfn_t pfn = CMA_PFN_NONE;

    meanwhile.calls++;
    meanwhile.result[0] = cma_area_alloc(area, &request, &pfn, NULL);
    meanwhile.result[1] = cma_area_release(area, pfn, 4, 0);
    (void)__atomic_and_fetch(meanwhile.word, ~WORD_FROZEN, __ATOMIC_SEQ_CST);
    wait_signals(plain);
}

static void test_slot_ends_bit_by_bit(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct cma_guarantee g;
    uint32_t cookie;

    (void)state;
    promise_admit(p, &g, 16, 1, 1);
    memset(&meanwhile, 0, sizeof meanwhile);
    meanwhile.p = p;
    meanwhile.slot = promise_slot(p, 0).pfn;
    cookie = promise_put(p, CMA_KIND_MOVABLE, p->plain->sure.number, meanwhile.slot + 8);
    meanwhile.word = &span_record(p->frames, p->areas[0].span, meanwhile.slot + 8)->word;
    *meanwhile.word |= WORD_FROZEN;
    p->plain->on_wait = claim_what_is_gone;
    assert_int_equal(cma_guarantee_revoke(&g), 0);
    assert_int_equal(meanwhile.calls, 1);
    assert_int_equal(meanwhile.result[0], 0);
    assert_int_equal(meanwhile.result[1], 0);
    promise_check(p);
    assert_int_equal(promise_free(p, cookie), 0);
    promise_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take_costs_what_was_said),
        cmocka_unit_test(test_all_blocks_at_once),
        cmocka_unit_test(test_take_the_cheapest),
        cmocka_unit_test(test_take_needs_no_more_than_is_booked),
        cmocka_unit_test(test_release_until_quiet),
        cmocka_unit_test(test_release_of_what_is_not_out),
        cmocka_unit_test(test_lent_to_sure_movers_only),
        cmocka_unit_test(test_frames_of_slots),
        cmocka_unit_test(test_across_lanes),
        cmocka_unit_test(test_explained_beside_slots),
        cmocka_unit_test(test_calls_while_taking),
        cmocka_unit_test(test_take_during_a_move),
        cmocka_unit_test(test_revoke_during_a_move),
        cmocka_unit_test(test_take_during_an_admission),
        cmocka_unit_test(test_group_not_emptied),
        cmocka_unit_test(test_group_allows_more_again),
        cmocka_unit_test(test_slot_ends_bit_by_bit),
        cmocka_unit_test(test_movers_letting_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
