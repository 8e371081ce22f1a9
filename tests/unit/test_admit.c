/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_admit.c - admitting, sharing and ending guarantees: src/cma/admit.c
 *
 * A refusal is followed by what it says would be admitted instead. How often admission finds what
 * an exhaustive search finds is tests/model/admission.c.
 */
#include "promise_board.h"

/* --- the table ------------------------------------------------------------------------------ */

static void test_init(void **state)
{
    struct promise_config config = promise_small;
    struct promise *p;
    struct cma_guarantee g;
    struct cma_guarantee_request request = promise_request(1, 1, 0);
    struct cma_admission why = {{0}, 7, 7};
    struct cma_violation violation;
    struct cma_slot_info info;

    (void)state;
    config.nslots = UINT32_MAX;
    p = promise_create(&config);
    assert_int_equal(cma_guarantees_init(NULL, p->frames, p->slots, 4), CMA_EINVAL);
    assert_int_equal(cma_guarantees_init(&p->all, NULL, p->slots, 4), CMA_EINVAL);
    assert_int_equal(cma_guarantees_init(&p->all, p->frames, NULL, 4), CMA_EINVAL);
    assert_int_equal(cma_guarantees_init(&p->all, p->frames, p->slots, 0), CMA_EINVAL);
    assert_int_equal(cma_guarantees_init(&p->all, p->frames, p->slots, CMA_SLOTS_MAX + 1),
                     CMA_EINVAL);
    assert_null(p->frames->slots);
    assert_int_equal(cma_guarantee_admit(&p->all, &g, &p->areas[0], &request, &why), CMA_EBADF);
    assert_int_equal(why.refusal.code, CMA_EBADF);
    assert_int_equal(cma_guarantees_init(&p->all, p->frames, p->slots, 4), 0);
    assert_int_equal(cma_guarantees_init(&p->all, p->frames, p->slots, 4), CMA_EINVAL);
    assert_true(cma_guarantees_check(&p->all, &violation));
    assert_int_equal(cma_guarantees_slot(&p->all, 0, &info), CMA_ENOENT);
    promise_admit(p, &g, 1, 1, 0);
    promise_destroy(p);
}

/* --- refusals ------------------------------------------------------------------------------- */

/* A refusal that changes no slot. */
static struct cma_admission refused(struct promise *p, const struct cma_guarantee_request *request,
                                    int code)
{
    struct cma_guarantee g;
    struct cma_admission why = {{.reason = CMA_REASON_COUNT}, 77, 77};
    struct cma_slot_info before[PROMISE_SLOTS], after[PROMISE_SLOTS];
    uint32_t nbefore = 0, nafter = 0;

    memset(before, 0, sizeof before);
    memset(after, 0, sizeof after);
    while (cma_guarantees_slot(&p->all, nbefore, &before[nbefore]) == 0) {
        nbefore++;
    }
    memset(&g, 0x5a, sizeof g);
    assert_int_equal(promise_try(p, &g, request, &why), code);
    while (cma_guarantees_slot(&p->all, nafter, &after[nafter]) == 0) {
        nafter++;
    }
    assert_int_equal(nbefore, nafter);
    assert_memory_equal(before, after, sizeof before);
    assert_int_equal(why.refusal.code, code);
    assert_true(why.refusal.reason != CMA_REASON_NONE && why.refusal.reason < CMA_REASON_COUNT);
    assert_true(why.possible_count < request->count || request->count == 0);
    assert_true(why.possible_npages < request->npages || request->npages == 0);
    assert_int_equal(promise_try(p, &g, request, NULL), code);
    return why;
}

/* And what it says would have been admitted is, and not a bit more. */
static void instead(struct promise *p, struct cma_guarantee_request request,
                    const struct cma_admission *why)
{
    struct cma_guarantee_request other = request;
    struct cma_guarantee g;

    other.count = why->possible_count;
    if (other.count != 0) {
        assert_int_equal(promise_try(p, &g, &other, NULL), 0);
        assert_int_equal(cma_guarantee_revoke(&g), 0);
        promise_check(p);
    }
    other.count++;
    assert_int_not_equal(promise_try(p, &g, &other, NULL), 0);
    other = request;
    other.npages = why->possible_npages;
    if (other.npages != 0) {
        assert_int_equal(promise_try(p, &g, &other, NULL), 0);
        assert_int_equal(cma_guarantee_revoke(&g), 0);
        promise_check(p);
    }
    other.npages++;
    assert_int_not_equal(promise_try(p, &g, &other, NULL), 0);
}

static void test_malformed(void **state)
{
    struct promise *p = promise_create(&promise_small);
    const struct cma_guarantee_request good = promise_request(16, 2, 1);
    struct cma_guarantee_request bad;
    struct cma_guarantee g;
    cma_pfn_t pfn;

    (void)state;
    bad = good;
    bad.npages = 0;
    (void)refused(p, &bad, CMA_EINVAL);
    bad = good;
    bad.count = 0;
    (void)refused(p, &bad, CMA_EINVAL);
    bad = good;
    bad.align_npages = 3;
    (void)refused(p, &bad, CMA_EINVAL);
    bad = good;
    bad.boundary_nbytes = 3 * PLAIN_PAGE;
    (void)refused(p, &bad, CMA_EINVAL);
    bad.boundary_nbytes = 8 * PLAIN_PAGE;
    (void)refused(p, &bad, CMA_EINVAL);
    bad = good;
    bad.paddr_first = PLAIN_PAGE;
    bad.paddr_last = PLAIN_PAGE - 1;
    (void)refused(p, &bad, CMA_EINVAL);
    bad = good;
    bad.bus_offset = 1;
    (void)refused(p, &bad, CMA_EINVAL);
    p->areas[0].active = 0;
    assert_int_equal(refused(p, &good, CMA_EBADF).refusal.reason, CMA_REASON_INACTIVE);
    p->areas[0].active = 1;
    bad = good;
    bad.paddr_last = p->plain->base * PLAIN_PAGE;
    assert_int_equal(refused(p, &bad, CMA_ERANGE).refusal.reason, CMA_REASON_UNREACHABLE);
    bad = good;
    bad.align_npages = 1u << 20;
    (void)refused(p, &bad, CMA_ERANGE);
    /* Nothing that was not admitted can be used. */
    memset(&g, 0, sizeof g);
    assert_int_equal(cma_guarantee_take(&g, &pfn, NULL, NULL), CMA_EBADF);
    assert_int_equal(cma_guarantee_release(&g, p->areas[0].pfn, true), CMA_EBADF);
    assert_int_equal(cma_guarantee_quiet(&g, p->areas[0].pfn), CMA_EBADF);
    assert_int_equal(cma_guarantee_revoke(&g), CMA_EBADF);
    promise_destroy(p);
}

static void test_too_much(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct cma_guarantee_request request = promise_request(129, 1, 0);
    struct cma_admission why;
    struct cma_guarantee g;

    (void)state;
    why = refused(p, &request, CMA_ENOMEM);
    assert_int_equal(why.refusal.reason, CMA_REASON_TOO_LARGE);
    assert_int_equal(why.possible_count, 0);
    assert_int_equal(why.possible_npages, 128);
    instead(p, request, &why);
    request = promise_request(30, 5, 0);
    why = refused(p, &request, CMA_ENOMEM);
    assert_int_equal(why.possible_count, 4);
    assert_int_equal(why.possible_npages, 25);
    instead(p, request, &why);
    request = promise_request(UINT64_MAX, 1, 0);
    (void)refused(p, &request, CMA_ENOMEM);
    request = promise_request(1, UINT32_MAX, 0);
    why = refused(p, &request, CMA_ENOMEM);
    assert_int_equal(why.possible_count, PROMISE_SLOTS);
    /* The other slots are in the way. */
    promise_admit(p, &g, 100, 1, 0);
    request = promise_request(29, 1, 0);
    why = refused(p, &request, CMA_ENOMEM);
    assert_int_equal(why.refusal.reason, CMA_REASON_PROMISED);
    assert_int_equal(why.possible_npages, 28);
    instead(p, request, &why);
    promise_destroy(p);
}

static void test_alignment_and_boundary(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct cma_guarantee_request request = promise_request(20, 2, 4);
    struct cma_admission why = {{0}, 0, 0};
    struct cma_guarantee g;
    cma_pfn_t a, b;

    (void)state;
    /* The area is [0x10c8, 0x1148): multiples of 64 are 0x1100 and 0x1140. */
    request.align_npages = 64;
    why = refused(p, &request, CMA_ENOMEM);
    assert_int_equal(why.possible_count, 1);
    assert_int_equal(why.possible_npages, 8);
    instead(p, request, &why);
    request.bus_offset = 32 * PLAIN_PAGE; /* 0x10e0, 0x1120 */
    assert_int_equal(promise_try(p, &g, &request, &why), 0);
    a = promise_take(p, &g);
    b = promise_take(p, &g);
    assert_int_equal(a ^ b, 0x10e0 ^ 0x1120);
    promise_release(p, &g, a);
    promise_release(p, &g, b);
    assert_int_equal(cma_guarantee_revoke(&g), 0);
    /* Blocks of 20 cross no multiple of 32 pages: one in each whole one, and 24 behind 0x10c8. */
    request = promise_request(20, 5, 0);
    request.boundary_nbytes = 32 * PLAIN_PAGE;
    why = refused(p, &request, CMA_ENOMEM);
    assert_int_equal(why.possible_count, 4);
    instead(p, request, &why);
    request.count = 4;
    assert_int_equal(promise_try(p, &g, &request, NULL), 0);
    for (uint32_t i = 0; i < 4; i++) {
        a = promise_take(p, &g);
        assert_int_equal(a / 32, (a + 19) / 32);
    }
    promise_destroy(p);
}

static void refuses(struct plain *plain, cma_pfn_t pfn, uint32_t cookie)
{
    (void)pfn;
    (void)cookie;
    plain->fail_freeze = 1;
}

/* What is in the way: buffers, frames held in place, data that has no place, movers. */
static void test_in_the_way(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct plain *plain = p->plain;
    struct cma_guarantee_request request = promise_request(64, 2, 0);
    struct cma_area_request claim = {.npages = 10, .owner = 3};
    struct cma_admission why;
    struct cma_guarantee g;
    cma_pfn_t area = p->areas[0].pfn, pfn;
    uint32_t cookie;

    (void)state;
    claim.paddr_first = (area + 60) * PLAIN_PAGE;
    claim.paddr_last = (area + 70) * PLAIN_PAGE - 1;
    assert_int_equal(cma_area_alloc(&p->areas[0], &claim, &pfn, NULL), 0);
    why = refused(p, &request, CMA_ENOMEM);
    assert_int_equal(why.refusal.reason, CMA_REASON_CLAIMED);
    assert_int_equal(why.possible_count, 0);
    assert_int_equal(why.possible_npages, 58);
    instead(p, request, &why);
    assert_int_equal(cma_area_release(&p->areas[0], pfn, 10, 3), 0);

    while (cma_area_lend(&p->areas[0], CMA_KIND_MOVABLE)) {
    }
    (void)promise_put(p, CMA_KIND_DROPPABLE, plain->sure.number, area + 50);
    assert_int_equal(cma_frame_pin_in_place(p->frames, area + 50), 0);
    why = refused(p, &request, CMA_ENOSPC);
    assert_int_equal(why.refusal.reason, CMA_REASON_HELD);
    assert_int_equal(why.possible_count, 1);
    assert_int_equal(why.possible_npages, 50);
    instead(p, request, &why);
    assert_int_equal(cma_frame_unpin(p->frames, area + 50), 0);

    /* Kept data, and room for less of it. */
    while (cma_area_lend(&p->areas[0], CMA_KIND_MOVABLE)) {
    }
    for (uint32_t i = 0; i < 128; i += 4) {
        if (plain_info(plain, area + i).idle) {
            (void)promise_put(p, CMA_KIND_MOVABLE, plain->sure.number, area + i);
        }
    }
    promise_use_up(p, 0, 512, 20);
    why = refused(p, &request, CMA_ENOMEM);
    assert_int_equal(why.refusal.reason, CMA_REASON_NO_ROOM);
    assert_int_equal(why.possible_count, 1);
    assert_true(why.possible_npages >= 32);
    request.count = 1;
    assert_int_equal(promise_try(p, &g, &request, NULL), 0);
    assert_int_equal(promise_idle(p, 0, 512), 4);
    assert_int_equal(cma_guarantee_revoke(&g), 0);
    promise_check(p);
    promise_destroy(p);

    /* Somebody who refuses, as often as it is asked. */
    p = promise_create(&promise_small);
    while (cma_area_lend(&p->areas[0], CMA_KIND_MOVABLE)) {
    }
    area = p->areas[0].pfn;
    cookie = promise_put(p, CMA_KIND_MOVABLE, p->plain->picky.number, area + 64);
    request = promise_request(100, 1, 0);
    p->plain->during = refuses;
    assert_int_equal(promise_try(p, &g, &request, &why), CMA_EBUSY);
    assert_int_equal(why.refusal.reason, CMA_REASON_MOVER);
    assert_true(why.refusal.pfn == area + 64);
    p->plain->during = NULL;
    p->plain->fail_freeze = 0;
    /* Once it does not: it moves. */
    assert_int_equal(promise_try(p, &g, &request, &why), 0);
    assert_true(promise_is_ordinary(p, p->plain->handles[cookie].pfn));
    promise_destroy(p);
}

static void test_storage(void **state)
{
    struct promise_config config = promise_small;
    struct cma_guarantee_request request = promise_request(8, 4, 0);
    struct cma_guarantee g, h;
    struct cma_admission why;
    struct promise *p;

    (void)state;
    config.nslots = 5;
    p = promise_create(&config);
    promise_admit(p, &g, 8, 2, 0);
    why = refused(p, &request, CMA_ENOMEM);
    assert_int_equal(why.refusal.reason, CMA_REASON_NO_MEMORY);
    assert_int_equal(why.possible_count, 3);
    assert_int_equal(why.possible_npages, 0);
    promise_admit(p, &h, 8, 3, 0);
    /* What is revoked can be used again. */
    assert_int_equal(cma_guarantee_revoke(&g), 0);
    promise_check(p);
    promise_admit(p, &g, 10, 2, 0);
    promise_destroy(p);
}

static void test_size_classes(void **state)
{
    static const struct cma_size_class classes[] = {{4, 32}, {16, 48}};
    struct promise_config config = promise_small;
    struct cma_guarantee_request request = promise_request(4, 9, 0);
    struct cma_guarantee small, middle, large;
    struct cma_admission why;
    struct promise *p;
    cma_pfn_t area;

    (void)state;
    config.classes = classes;
    config.nclasses = 2;
    p = promise_create(&config);
    area = p->areas[0].pfn;
    why = refused(p, &request, CMA_ENOMEM);
    assert_int_equal(why.possible_count, 8);
    instead(p, request, &why);
    promise_admit(p, &small, 4, 8, 0);
    promise_admit(p, &middle, 16, 3, 0);
    promise_admit(p, &large, 17, 2, 0);
    for (uint32_t i = 0; i < 13; i++) {
        struct cma_slot_info info = promise_slot(p, i);

        if (info.npages == 4) {
            assert_true(info.pfn + 4 <= area + 32);
        } else if (info.npages == 16) {
            assert_true(info.pfn >= area + 32 && info.pfn + 16 <= area + 80);
        } else {
            assert_true(info.pfn >= area + 80);
        }
    }
    promise_destroy(p);
}

/* --- what admission does -------------------------------------------------------------------- */

static void test_empties_its_windows(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct plain *plain = p->plain;
    struct cma_guarantee g;
    struct cma_area_stats stats;
    cma_pfn_t area = p->areas[0].pfn;
    uint32_t copied = 0;

    (void)state;
    while (cma_area_lend(&p->areas[0], CMA_KIND_MOVABLE)) {
    }
    for (uint32_t i = 0; i < 128; i++) {
        (void)promise_put(p, i % 3 == 0 ? CMA_KIND_MOVABLE : CMA_KIND_DROPPABLE,
                          i % 2 == 0 ? plain->sure.number : plain->picky.number, area + i);
    }
    promise_admit(p, &g, 30, 4, 0);
    for (uint32_t i = 0; i < 4; i++) {
        struct cma_slot_info info = promise_slot(p, i);

        assert_int_equal(info.lent_npages, 0);
        for (uint32_t j = 0; j < 30; j++) {
            struct cma_frame_info frame = plain_info(plain, info.pfn + j);

            assert_true(frame.slot && !frame.idle && frame.kind == CMA_KIND_NONE);
            copied += (info.pfn - area + j) % 3 == 0;
        }
    }
    assert_int_equal(plain->copies, copied);
    stats = promise_area_stats(p);
    assert_int_equal(stats.npages, 128);
    assert_int_equal(stats.slot_npages, 120);
    assert_int_equal(stats.claimed_npages, 0);
    assert_int_equal(stats.kept_npages + stats.droppable_npages, 8);
    /* Slots are the same in anybody's hands. */
    (void)promise_take(p, &g);
    (void)promise_fill_slot(
        p, promise_slot(p, 3).out ? promise_slot(p, 2).pfn : promise_slot(p, 3).pfn, 30);
    stats = promise_area_stats(p);
    assert_int_equal(stats.slot_npages, 120);
    assert_int_equal(stats.claimed_npages, 30);
    promise_destroy(p);
}

/* It goes around who refuses, though no plan can see that. */
static void refuses_at(struct plain *plain, cma_pfn_t pfn, uint32_t cookie)
{
    (void)pfn;
    if (cookie <= 3) {
        plain->fail_freeze = 1;
    }
}

static void test_goes_around(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct cma_guarantee_request request = promise_request(20, 4, 0);
    struct cma_guarantee g;
    cma_pfn_t area = p->areas[0].pfn;

    (void)state;
    while (cma_area_lend(&p->areas[0], CMA_KIND_MOVABLE)) {
    }
    for (uint32_t i = 0; i < 128; i++) {
        if (i == 5 || i == 30 || i == 70) {
            (void)promise_put(p, CMA_KIND_MOVABLE, p->plain->picky.number, area + i);
        }
    }
    for (uint32_t i = 0; i < 128; i += 2) {
        if (plain_info(p->plain, area + i).idle) {
            (void)promise_put(p, CMA_KIND_MOVABLE, p->plain->sure.number, area + i);
        }
    }
    p->plain->during = refuses_at;
    assert_int_equal(promise_try(p, &g, &request, NULL), 0);
    for (uint32_t i = 0; i < 4; i++) {
        cma_pfn_t pfn = promise_slot(p, i).pfn - area;

        assert_true((pfn > 5 || pfn + 19 < 5) && (pfn > 30 || pfn + 19 < 30) &&
                    (pfn > 70 || pfn + 19 < 70));
    }
    p->plain->during = NULL;
    p->plain->fail_freeze = 0;
    promise_destroy(p);
}

/* Windows that cost fewer copies come first. */
static void test_copies_little(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct cma_guarantee g, h;
    cma_pfn_t area = p->areas[0].pfn;

    (void)state;
    while (cma_area_lend(&p->areas[0], CMA_KIND_MOVABLE)) {
    }
    for (uint32_t i = 0; i < 128; i++) {
        if (i < 40 ? i % 2 == 0 : i >= 80 && i % 16 == 0) {
            (void)promise_put(p, CMA_KIND_MOVABLE, p->plain->sure.number, area + i);
        }
    }
    promise_admit(p, &g, 20, 2, 0);
    assert_int_equal(p->plain->copies, 0);
    promise_admit(p, &h, 20, 2, 0);
    assert_true(p->plain->copies > 0 && p->plain->copies <= 4);
    promise_destroy(p);
}

struct seen {
    uint64_t slot_npages, next, claimed;
    bool bad;
};

static bool see(void *ctx, const struct cma_area_holder *holder)
{
    struct seen *seen = ctx;

    seen->bad = seen->bad || holder->pfn != seen->next || holder->npages == 0;
    seen->next = holder->pfn + holder->npages;
    seen->slot_npages += holder->slot ? holder->npages : 0;
    seen->claimed += holder->kind == CMA_KIND_CLAIMED ? holder->npages : 0;
    seen->bad = seen->bad || holder->in_progress || (holder->slot && holder->lent);
    return true;
}

static void test_walk_shows_slots(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct cma_guarantee g;
    struct seen seen = {.next = p->areas[0].pfn};
    cma_pfn_t slot;

    (void)state;
    promise_admit(p, &g, 16, 3, 0);
    slot = promise_slot(p, 1).pfn;
    (void)promise_fill_slot(p, slot + 2, 9);
    cma_area_walk(&p->areas[0], see, &seen);
    assert_false(seen.bad);
    assert_int_equal(seen.next, p->areas[0].pfn + 128);
    assert_int_equal(seen.slot_npages, 48);
    assert_int_equal(seen.claimed, 0);
    (void)promise_take(p, &g);
    seen = (struct seen){.next = p->areas[0].pfn};
    cma_area_walk(&p->areas[0], see, &seen);
    assert_int_equal(seen.claimed, 16);
    assert_int_equal(seen.next, p->areas[0].pfn + 128);
    promise_destroy(p);
}

/* An ordinary claim beside slots hears a plain no, soon. */
static void test_claims_beside_slots(void **state)
{
    (void)state;
    for (uint32_t how = 0; how < 4; how++) {
        struct promise_config config = promise_small;
        struct cma_area_request request = {.npages = 40, .owner = 3};
        struct cma_refusal refusal = {0};
        struct cma_guarantee g, h;
        struct promise *p;
        uint32_t locks;
        cma_pfn_t pfn;

        config.no_engine = how % 2 != 0;
        config.no_index = how >= 2;
        p = promise_create(&config);
        promise_admit(p, &g, 50, 1, 0);
        promise_admit(p, &h, 39, 1, 0);
        (void)promise_take(p, &h);
        locks = p->plain->locks;
        assert_int_equal(cma_area_alloc(&p->areas[0], &request, &pfn, &refusal), CMA_ENOMEM);
        assert_int_equal(refusal.reason,
                         config.no_engine ? CMA_REASON_CLAIMED : CMA_REASON_PROMISED);
        assert_true(p->plain->locks - locks < 1000);
        /* And where it can't sleep, the same. */
        request.flags = CMA_CLAIM_NOWAIT;
        assert_int_equal(cma_area_alloc(&p->areas[0], &request, &pfn, &refusal), CMA_ENOMEM);
        assert_int_equal(cma_area_alloc(&p->areas[0], &request, &pfn, NULL), CMA_ENOMEM);
        request.npages = 39;
        assert_int_equal(cma_area_alloc(&p->areas[0], &request, &pfn, &refusal), 0);
        promise_check(p);
        /* Buffers and slots together. */
        request.npages = 1;
        assert_int_equal(cma_area_alloc(&p->areas[0], &request, &pfn, &refusal), CMA_ENOMEM);
        assert_true(refusal.reason == CMA_REASON_CLAIMED || refusal.reason == CMA_REASON_PROMISED);
        promise_destroy(p);
    }
}

static void test_claims_in_progress(void **state)
{
    struct promise_config config = promise_small;
    struct cma_area_request claim_request = {.npages = 60, .owner = 3};
    struct cma_guarantee_request request = promise_request(64, 2, 0);
    struct cma_claim claim;
    struct cma_guarantee g;
    struct promise *p;

    (void)state;
    config.no_wait = true;
    p = promise_create(&config);
    assert_int_equal(cma_claim_start(&claim, &p->areas[0], &claim_request), 0);
    while (claim.state != CMA_CLAIM_EVACUATE) {
        assert_int_equal(cma_claim_step(&claim, 8), 1);
    }
    assert_int_equal(cma_guarantee_admit(&p->all, &g, &p->areas[0], &request, NULL), CMA_EAGAIN);
    promise_check_busy(p, true);
    request = promise_request(30, 2, 0);
    assert_int_equal(cma_guarantee_admit(&p->all, &g, &p->areas[0], &request, NULL), 0);
    promise_check_busy(p, true);
    assert_int_equal(cma_claim_step(&claim, UINT64_MAX), 0);
    promise_check(p);
    assert_true(promise_slot(p, 0).pfn >= claim.pfn + 60 ||
                promise_slot(p, 0).pfn + 30 <= claim.pfn);
    promise_destroy(p);
}

/* --- the end -------------------------------------------------------------------------------- */

static void test_revoke(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct plain *plain = p->plain;
    struct cma_area_request claim = {.npages = 128, .owner = 3};
    struct cma_guarantee g;
    cma_pfn_t slot[2], pfn;
    uint32_t cookie[4];

    (void)state;
    promise_admit(p, &g, 16, 2, 8);
    slot[0] = promise_slot(p, 0).pfn;
    slot[1] = promise_slot(p, 1).pfn;
    pfn = promise_take(p, &g);
    assert_int_equal(cma_guarantee_revoke(&g), CMA_EBUSY);
    promise_check(p);
    assert_int_equal(promise_stats(&g).live, 1);
    promise_release(p, &g, pfn);
    cookie[0] = promise_put(p, CMA_KIND_DROPPABLE, plain->sure.number, slot[0] + 3);
    cookie[1] = promise_put(p, CMA_KIND_MOVABLE, plain->sure.number, slot[0] + 4);
    cookie[2] = promise_put(p, CMA_KIND_MOVABLE, plain->sure.number, slot[1]);
    cookie[3] = promise_put(p, CMA_KIND_DROPPABLE, plain->sure.number, slot[1] + 15);
    assert_int_equal(cma_guarantee_revoke(&g), 0);
    promise_check(p);
    /* Who was there still is, and ordinary. */
    for (uint32_t i = 0; i < 4; i++) {
        struct cma_frame_info info = plain_info(plain, plain->handles[cookie[i]].pfn);

        assert_true(plain->handles[cookie[i]].pfn ==
                    (i < 2 ? slot[0] + 3 + i : slot[1] + 15 * (i - 2)));
        assert_true(!info.slot && !info.isolated && info.in_area);
        assert_int_equal(info.kind, i % 3 == 0 ? CMA_KIND_DROPPABLE : CMA_KIND_MOVABLE);
    }
    assert_true(plain_info(plain, slot[0]).idle);
    assert_int_equal(promise_area_stats(p).slot_npages, 0);
    assert_int_equal(promise_area_stats(p).kept_npages, 2);
    assert_int_equal(promise_area_stats(p).droppable_npages, 2);
    assert_int_equal(p->frames->zone_promised[0], 0);
    assert_int_equal(cma_frame_ref(p->frames, slot[0] + 3), 0);
    assert_int_equal(cma_frame_unref(p->frames, slot[0] + 3), 0);
    assert_int_equal(cma_guarantee_revoke(&g), CMA_EBADF);
    assert_int_equal(cma_guarantee_take(&g, &pfn, NULL, NULL), CMA_EBADF);
    assert_int_equal(cma_guarantee_release(&g, slot[0], true), CMA_EBADF);
    /* Nothing is promised: all ordinary memory can be had, and all of the area. */
    assert_int_equal(cma_area_alloc(&p->areas[0], &claim, &pfn, NULL), 0);
    assert_int_equal(plain->copies, 2);
    promise_check(p);
    assert_int_equal(promise_exhaust(p, 0, NULL), 384 - 2);
    assert_int_equal(cma_area_release(&p->areas[0], pfn, 128, 3), 0);
    /* And promised once more. */
    promise_admit(p, &g, 128, 1, 0);
    (void)promise_take(p, &g);
    promise_destroy(p);
}

/* --- groups --------------------------------------------------------------------------------- */

static void test_group_shares_slots(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct cma_guarantee_group group = {.open = NULL};
    struct cma_guarantee_request request = promise_request(40, 2, 12);
    struct cma_guarantee large, small, last;
    struct cma_refusal refusal = {0};
    cma_pfn_t pfn, other;

    (void)state;
    request.group = &group;
    assert_int_equal(promise_try(p, &large, &request, NULL), 0);
    /* Fits into these slots, at an alignment of its own and with fewer moves. */
    request = promise_request(9, 2, 3);
    request.align_npages = 16;
    request.owner = 12;
    request.group = &group;
    assert_int_equal(promise_try(p, &small, &request, NULL), 0);
    assert_int_equal(promise_area_stats(p).slot_npages, 80);
    assert_int_equal(promise_stats(&small).npages, 80);
    assert_int_equal(promise_stats(&small).count, 2);
    /* The least of those who share it: no more than 3 kept frames in one slot. */
    pfn = promise_slot(p, 0).pfn;
    for (uint32_t i = 0; i < 3; i++) {
        (void)promise_put(p, CMA_KIND_MOVABLE, p->plain->sure.number, pfn + i);
    }
    (void)promise_fill_slot(p, pfn + 3, 37);
    assert_int_equal(cma_frame_keep(p->frames, pfn + 3), CMA_EBUSY);
    promise_check(p);

    pfn = promise_take(p, &small);
    assert_int_equal(cma_guarantee_take(&large, &other, NULL, &refusal), CMA_EBUSY);
    assert_int_equal(refusal.reason, CMA_REASON_GROUP);
    other = promise_take(p, &small);
    promise_release(p, &small, pfn);
    assert_int_equal(cma_guarantee_take(&large, &pfn, NULL, NULL), CMA_EBUSY);
    /* Open until its device is quiet. */
    assert_int_equal(cma_guarantee_release(&small, other, false), 0);
    assert_int_equal(cma_guarantee_take(&large, &pfn, NULL, NULL), CMA_EBUSY);
    assert_int_equal(cma_guarantee_quiet(&small, other), 0);
    promise_check(p);
    pfn = promise_take(p, &large);
    other = promise_take(p, &large);
    assert_int_equal(cma_guarantee_take(&small, &pfn, NULL, &refusal), CMA_EBUSY);
    assert_int_equal(cma_guarantee_revoke(&large), CMA_EBUSY);
    /* Somebody who is not of the group gets slots of his own. */
    promise_admit(p, &last, 16, 1, 0);
    assert_int_equal(promise_area_stats(p).slot_npages, 96);
    (void)promise_take(p, &last);
    promise_release(p, &large, pfn);
    promise_release(p, &large, other);
    /* Slots stay until the last one who shares them has gone. */
    assert_int_equal(cma_guarantee_revoke(&large), 0);
    promise_check(p);
    assert_int_equal(promise_area_stats(p).slot_npages, 96);
    pfn = promise_take(p, &small);
    other = promise_take(p, &small);
    promise_release(p, &small, pfn);
    promise_release(p, &small, other);
    assert_int_equal(cma_guarantee_revoke(&small), 0);
    promise_check(p);
    assert_int_equal(promise_area_stats(p).slot_npages, 16);
    assert_int_equal(group.nmembers, 0);
    promise_destroy(p);
}

static void test_group_with_kept_data_in_it(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct cma_guarantee_group group = {.open = NULL};
    struct cma_guarantee_request request = promise_request(32, 1, 10);
    struct cma_guarantee a, b, c;
    struct cma_guarantee_work work;
    cma_pfn_t slot, other;

    (void)state;
    request.group = &group;
    assert_int_equal(promise_try(p, &a, &request, NULL), 0);
    slot = promise_slot(p, 0).pfn;
    for (uint32_t i = 0; i < 10; i++) {
        (void)promise_put(p, CMA_KIND_MOVABLE, p->plain->sure.number, slot + i);
    }
    request.max_moves = 2;
    assert_int_equal(promise_try(p, &b, &request, NULL), 0);
    (void)promise_fill_slot(p, slot, 32);
    assert_int_equal(cma_frame_keep(p->frames, slot), 0);
    assert_int_equal(cma_frame_keep(p->frames, slot + 1), 0);
    assert_int_equal(cma_frame_keep(p->frames, slot + 2), CMA_EBUSY);
    /* One who allows more changes nothing for the others. */
    request.max_moves = 5;
    request.count = 2;
    assert_int_equal(promise_try(p, &c, &request, NULL), 0);
    assert_int_equal(cma_frame_keep(p->frames, slot + 2), CMA_EBUSY);
    other = promise_slot(p, promise_slot(p, 0).pfn == slot ? 1 : 0).pfn;
    (void)promise_fill_slot(p, other, 3);
    assert_int_equal(cma_frame_keep(p->frames, other), 0);
    assert_int_equal(cma_frame_keep(p->frames, other + 1), 0);
    assert_int_equal(cma_frame_keep(p->frames, other + 2), CMA_EBUSY);
    promise_release(p, &c, promise_take(p, &c));
    (void)promise_take_work(p, &b, &work);
    assert_true(work.copied <= 2);
    promise_destroy(p);
}

static void test_group_grows(void **state)
{
    struct promise_config config = promise_small;
    struct cma_guarantee_group group = {.open = NULL};
    struct cma_guarantee_request request = promise_request(10, 3, 0);
    struct cma_guarantee small, large, far;
    cma_pfn_t pfn[3];
    struct promise *p;

    (void)state;
    config.areas[0] = (struct plain_area){100, 64};
    config.areas[1] = (struct plain_area){300, 64};
    config.nareas = 2;
    p = promise_create(&config);
    request.group = &group;
    assert_int_equal(promise_try(p, &small, &request, NULL), 0);
    /* Larger than these slots: slots of its own. */
    request.npages = 15;
    request.count = 2;
    assert_int_equal(promise_try(p, &large, &request, NULL), 0);
    assert_int_equal(promise_area_stats(p).slot_npages, 60);
    for (uint32_t i = 0; i < 3; i++) {
        pfn[i] = promise_take(p, &small);
    }
    assert_int_equal(cma_guarantee_take(&large, &pfn[0], NULL, NULL), CMA_EBUSY);
    for (uint32_t i = 0; i < 3; i++) {
        promise_release(p, &small, pfn[i]);
    }
    (void)promise_take(p, &large);
    (void)promise_take(p, &large);
    /* One group, one area. */
    assert_int_equal(cma_guarantee_admit(&p->all, &far, &p->areas[1], &request, NULL), CMA_EINVAL);
    request.group = NULL;
    assert_int_equal(cma_guarantee_admit(&p->all, &far, &p->areas[1], &request, NULL), 0);
    promise_destroy(p);
}

/* More blocks than the others have slots: the rest are new. */
static void test_group_in_part(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct cma_guarantee_group group = {.open = NULL};
    struct cma_guarantee_request request = promise_request(16, 2, 0);
    struct cma_guarantee a, b;

    (void)state;
    request.group = &group;
    assert_int_equal(promise_try(p, &a, &request, NULL), 0);
    request.count = 5;
    assert_int_equal(promise_try(p, &b, &request, NULL), 0);
    assert_int_equal(promise_area_stats(p).slot_npages, 80);
    for (uint32_t i = 0; i < 5; i++) {
        (void)promise_take(p, &b);
    }
    assert_int_equal(cma_guarantee_revoke(&a), 0);
    promise_check(p);
    assert_int_equal(promise_area_stats(p).slot_npages, 80);
    promise_destroy(p);
}

/* --- the check ------------------------------------------------------------------------------ */

static bool sound(struct promise *p)
{
    struct cma_violation violation = {NULL, 0};
    bool holds = cma_guarantees_check(&p->all, &violation);

    assert_true(holds || violation.what != NULL);
    return holds;
}

static void test_check_finds(void **state)
{
    struct promise *p = promise_create(&promise_small);
    struct cma_guarantee g, h;
    struct cma_slot *slot = NULL;
    uint32_t *words[8], n = 0;
    cma_pfn_t pfn;

    (void)state;
    promise_admit(p, &g, 16, 2, 4);
    promise_admit(p, &h, 16, 1, 0);
    pfn = promise_slot(p, 0).pfn;
    (void)promise_fill_slot(p, pfn, 8);
    (void)promise_put(p, CMA_KIND_MOVABLE, p->plain->sure.number, pfn + 8);
    for (uint32_t i = 0; i < PROMISE_SLOTS; i++) {
        if (p->slots[i].npages != 0 && p->slots[i].pfn == pfn) {
            slot = &p->slots[i];
        }
    }
    assert_non_null(slot);
    words[n++] = &slot->lent;
    words[n++] = &slot->kept;
    words[n++] = &p->frames->zone_promised[0];
    words[n++] = &slot->npages;
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t by = 0; by < 2; by++) {
            uint32_t before = *words[i];

            *words[i] = by == 0 ? before + 1 : before - 1;
            assert_false(sound(p));
            *words[i] = before;
            assert_true(sound(p));
        }
    }
    /* More kept frames than allowed; more than there is room for. */
    slot->max_moves = 0;
    assert_false(sound(p));
    slot->max_moves = 4;
    promise_use_up(p, 0, 512, 1);
    p->frames->zone_idle[0]--;
    assert_false(sound(p));
    p->frames->zone_idle[0]++;
    assert_true(sound(p));
    /* Two slots in one place; a place that is nobody's. */
    slot->pfn += 16;
    assert_false(sound(p));
    slot->pfn = pfn;
    /* A device that is said to have what it has not. */
    g.live++;
    assert_false(sound(p));
    g.live--;
    assert_true(sound(p));
    promise_destroy(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_alignment_and_boundary),
        cmocka_unit_test(test_in_the_way),
        cmocka_unit_test(test_storage),
        cmocka_unit_test(test_size_classes),
        cmocka_unit_test(test_empties_its_windows),
        cmocka_unit_test(test_goes_around),
        cmocka_unit_test(test_copies_little),
        cmocka_unit_test(test_walk_shows_slots),
        cmocka_unit_test(test_claims_beside_slots),
        cmocka_unit_test(test_claims_in_progress),
        cmocka_unit_test(test_revoke),
        cmocka_unit_test(test_group_shares_slots),
        cmocka_unit_test(test_group_with_kept_data_in_it),
        cmocka_unit_test(test_group_grows),
        cmocka_unit_test(test_group_in_part),
        cmocka_unit_test(test_check_finds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
