/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_guarantee_host.c - guarantees over a host's page allocator, hooks that fail, and at random
 *
 * The table covers the area only, so slots hold droppable data only, and a host hears through its
 * lend and take_back which frames it may hand out: CMA_LEND_SLOT for those of slots.
 */
#include "promise_board.h"

/* --- a host --------------------------------------------------------------------------------- */

/* What a host has in its lists: a frame of the area under which class, or nothing. */
static struct host {
    struct promise *p;
    enum cma_lend_class listed[512];
    bool given[512];
    uint32_t lend_in;        /* the nth call fails */
    uint32_t destination_in; /* the nth call fails, and all after it */
} host;

static uint64_t host_index(cma_pfn_t pfn)
{
    assert_true(pfn >= 0x1000 && pfn - 0x1000 < 512);
    return pfn - 0x1000;
}

static int host_lend(void *ctx, cma_pfn_t pfn, uint32_t npages, enum cma_lend_class lend_class)
{
    (void)ctx;
    assert_true(lend_class == CMA_LEND_ORDINARY || lend_class == CMA_LEND_SLOT);
    if (host.lend_in != 0 && --host.lend_in == 0) {
        return CMA_ENOMEM;
    }
    for (uint32_t i = 0; i < npages; i++) {
        host.listed[host_index(pfn + i)] = lend_class;
    }
    return 0;
}

static void host_take_back(void *ctx, cma_pfn_t pfn, uint32_t npages)
{
    (void)ctx;
    for (uint32_t i = 0; i < npages; i++) {
        host.listed[host_index(pfn + i)] = CMA_LEND_NONE;
    }
}

static int host_destination(void *ctx, const struct cma_destination *want, cma_pfn_t *pfn)
{
    (void)ctx;
    assert_int_equal(want->flags & CMA_DESTINATION_PROMISED, 0);
    if (host.destination_in == 1) {
        return CMA_ENOMEM;
    }
    host.destination_in -= host.destination_in != 0;
    for (uint32_t i = 0; i < 512; i++) {
        if ((i < 200 || i >= 328) && !host.given[i] &&
            ((0x1000 + i + 1) << PLAIN_SHIFT) - 1 <= want->paddr_last) {
            host.given[i] = true;
            *pfn = 0x1000 + i;
            return 1;
        }
    }
    return CMA_ENOMEM;
}

static void host_destination_put(void *ctx, cma_pfn_t pfn, uint32_t npages)
{
    (void)ctx;
    for (uint32_t i = 0; i < npages; i++) {
        assert_true(host.given[host_index(pfn + i)]);
        host.given[host_index(pfn + i)] = false;
    }
}

static uint64_t host_room(void *ctx, cma_paddr_t paddr_last)
{
    uint64_t room = 0;

    (void)ctx;
    for (uint32_t i = 0; i < 512; i++) {
        room += (i < 200 || i >= 328) && !host.given[i] &&
                ((0x1000 + i + 1) << PLAIN_SHIFT) - 1 <= paddr_last;
    }
    return room;
}

static const struct cma_pages_ops host_ops = {
    .lend = host_lend,
    .take_back = host_take_back,
    .destination = host_destination,
    .destination_put = host_destination_put,
    .room = host_room,
};

static struct promise *host_create(void)
{
    struct promise_config config = promise_small;

    memset(&host, 0, sizeof host);
    config.host = &host_ops;
    host.p = promise_create(&config);
    return host.p;
}

/* Frames of [pfn, pfn + npages) that the host may hand out, all under this class. */
static uint32_t host_listed(cma_pfn_t pfn, uint32_t npages, enum cma_lend_class lend_class)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < npages; i++) {
        count += host.listed[host_index(pfn + i)] == lend_class;
    }
    return count;
}

/* Take, then publish. */
static int host_put(enum cma_kind kind, uint32_t mover, cma_pfn_t pfn, uint32_t *cookie)
{
    struct plain *plain = host.p->plain;
    struct cma_holder holder = {kind, mover, *cookie = plain_cookie(plain)};
    enum cma_lend_class listed = host.listed[host_index(pfn)];
    int error;

    host.listed[host_index(pfn)] = CMA_LEND_NONE;
    error = cma_frame_publish(host.p->frames, pfn, &holder);
    if (error == 0) {
        plain_adopt(plain, holder.cookie, pfn);
    } else if (error != CMA_EAGAIN) {
        host.listed[host_index(pfn)] = listed;
    }
    return error;
}

static int host_release(uint32_t cookie)
{
    struct plain *plain = host.p->plain;
    cma_pfn_t pfn = plain->handles[cookie].pfn;
    int result = cma_frame_release(host.p->frames, pfn);

    if (result >= 0) {
        plain->handles[cookie].state = PLAIN_GONE;
    }
    if (result == 1) {
        host.listed[host_index(pfn)] =
            plain_info(plain, pfn).slot ? CMA_LEND_SLOT : CMA_LEND_ORDINARY;
    }
    return result;
}

static void test_host_hears_of_slots(void **state)
{
    struct promise *p = host_create();
    struct plain *plain = p->plain;
    struct cma_guarantee g;
    struct cma_guarantee_work work;
    cma_pfn_t slot, pfn;
    uint32_t cookie;

    (void)state;
    promise_admit(p, &g, 16, 2, 8);
    for (uint32_t i = 0; i < 2; i++) {
        slot = promise_slot(p, i).pfn;
        assert_int_equal(host_listed(slot, 16, CMA_LEND_SLOT), 16);
    }
    assert_int_equal(host_listed(0x1000, 512, CMA_LEND_SLOT), 32);
    /* Droppable data only, of sure movers only. */
    assert_int_equal(host_put(CMA_KIND_MOVABLE, plain->sure.number, slot, &cookie), CMA_EINVAL);
    assert_int_equal(host_put(CMA_KIND_DROPPABLE, plain->picky.number, slot, &cookie), CMA_EINVAL);
    for (uint32_t i = 0; i < 12; i++) {
        assert_int_equal(host_put(CMA_KIND_DROPPABLE, plain->sure.number, slot + i, &cookie), 0);
    }
    assert_int_equal(cma_frame_keep(p->frames, slot), CMA_EBUSY);
    /* What has to be kept moves to the host's memory. */
    cookie = plain_info(plain, slot).cookie;
    assert_int_equal(cma_frame_move_out(p->frames, slot, &pfn), 0);
    assert_true(plain->handles[cookie].pfn == pfn && host.given[host_index(pfn)]);
    plain->handles[cookie].state = PLAIN_GONE;
    assert_int_equal(host_listed(slot, 16, CMA_LEND_SLOT), 5);
    promise_check(p);
    cookie = plain_info(plain, slot + 1).cookie;
    assert_int_equal(cma_frame_pin(p->frames, slot + 1, &pfn), 0);
    plain->handles[cookie].state = PLAIN_GONE;
    cookie = plain_info(plain, slot + 2).cookie;
    assert_int_equal(host_release(cookie), 1);
    promise_check(p);
    /* Both blocks are taken: nothing of them is in the host's lists. */
    (void)promise_take_work(p, &g, &work);
    pfn = promise_take_work(p, &g, &work);
    assert_int_equal(host_listed(0x1000, 512, CMA_LEND_SLOT), 0);
    assert_int_equal(work.copied, 0);
    assert_int_equal(promise_stats(&g).dropped_worst, 9);
    assert_int_equal(promise_stats(&g).copied_worst, 0);
    assert_int_equal(cma_guarantee_release(&g, pfn, false), 0);
    assert_int_equal(host_listed(0x1000, 512, CMA_LEND_SLOT), 0);
    assert_int_equal(cma_guarantee_quiet(&g, pfn), 0);
    assert_int_equal(host_listed(pfn, 16, CMA_LEND_SLOT), 16);
    promise_destroy(p);
}

/* The host has taken a frame out of its lists; before it publishes it, the block is taken. */
static void test_host_take_then_publish(void **state)
{
    struct promise *p = host_create();
    struct cma_holder holder = {CMA_KIND_DROPPABLE, 1, 4000};
    struct cma_guarantee g;
    cma_pfn_t slot;
    uint32_t cookie;

    (void)state;
    promise_admit(p, &g, 16, 1, 0);
    slot = promise_slot(p, 0).pfn;
    host.listed[host_index(slot + 4)] = CMA_LEND_NONE;
    assert_true(promise_take(p, &g) == slot);
    assert_int_equal(cma_frame_publish(p->frames, slot + 4, &holder), CMA_EAGAIN);
    assert_int_equal(plain_info(p->plain, slot).kind, CMA_KIND_CLAIMED);
    promise_check(p);
    assert_int_equal(cma_guarantee_release(&g, slot, false), 0);
    assert_int_equal(cma_frame_publish(p->frames, slot + 4, &holder), CMA_EAGAIN);
    assert_int_equal(cma_guarantee_quiet(&g, slot), 0);
    assert_int_equal(host_put(CMA_KIND_DROPPABLE, 1, slot + 4, &cookie), 0);
    promise_check(p);
    promise_destroy(p);
}

/* A frame that its holder lets go while the block is being taken is not the host's any more. */
static uint32_t during_slot_cookie;
static int during_result;

static void during_take(struct plain *plain, cma_pfn_t pfn, uint32_t cookie)
{
    (void)pfn;
    (void)cookie;
    plain->during = NULL;
    during_result = host_release(during_slot_cookie);
}

static void test_host_release_while_taking(void **state)
{
    struct promise *p = host_create();
    struct cma_guarantee g;
    cma_pfn_t slot;
    uint32_t cookie;

    (void)state;
    promise_admit(p, &g, 16, 1, 0);
    slot = promise_slot(p, 0).pfn;
    for (uint32_t i = 0; i < 16; i++) {
        assert_int_equal(host_put(CMA_KIND_DROPPABLE, 1, slot + i, &cookie), 0);
    }
    during_slot_cookie = cookie;
    during_result = -1;
    p->plain->during = during_take;
    assert_true(promise_take(p, &g) == slot);
    assert_int_equal(during_result, 0);
    assert_int_equal(host_listed(slot, 16, CMA_LEND_NONE), 16);
    promise_release(p, &g, slot);
    assert_int_equal(host_listed(slot, 16, CMA_LEND_SLOT), 16);
    /* Revoked, they are ordinary frames; whoever was lent one keeps it. */
    assert_int_equal(host_put(CMA_KIND_DROPPABLE, 1, slot + 3, &cookie), 0);
    assert_int_equal(cma_guarantee_revoke(&g), 0);
    promise_check(p);
    assert_int_equal(host_listed(0x1000, 512, CMA_LEND_SLOT), 0);
    assert_int_equal(cma_frame_keep(p->frames, slot + 3), 0);
    assert_in_range(host_release(cookie), 0, 1);
    promise_destroy(p);
}

/* A host that can't take a slot's frames in: it is promised all the same. */
static void test_host_lend_fails(void **state)
{
    (void)state;
    for (uint32_t nth = 1; nth <= 4; nth++) {
        struct promise *p = host_create();
        struct cma_guarantee g;
        cma_pfn_t pfn;

        host.lend_in = nth;
        promise_admit(p, &g, 16, 2, 0);
        pfn = promise_take(p, &g);
        promise_release(p, &g, pfn);
        pfn = promise_take(p, &g);
        promise_release(p, &g, pfn);
        pfn = promise_take(p, &g);
        (void)promise_take(p, &g);
        assert_int_equal(host_listed(0x1000, 512, CMA_LEND_SLOT), 0);
        promise_release(p, &g, pfn);
        assert_int_equal(host_listed(pfn, 16, CMA_LEND_SLOT), 16);
        promise_destroy(p);
    }
}

static void test_host_nth_destination_fails(void **state)
{
    uint32_t nth, failures = 0;

    (void)state;
    for (nth = 1; nth < 20; nth++) {
        struct promise *p = host_create();
        struct cma_guarantee_request request = promise_request(64, 2, 0);
        struct cma_admission why;
        struct cma_guarantee g;
        cma_pfn_t to;
        int error;

        while (cma_area_lend(&p->areas[0], CMA_KIND_MOVABLE)) {
        }
        for (uint32_t i = 0; i < 128; i += 8) {
            uint32_t cookie;

            assert_int_equal(host_put(CMA_KIND_MOVABLE, 1, p->areas[0].pfn + i, &cookie), 0);
        }
        /* Handles that have left the table are not looked for in it. */
        host.destination_in = nth;
        error = cma_guarantee_admit(&p->all, &g, &p->areas[0], &request, &why);
        for (uint32_t i = 1; i < p->plain->next_cookie; i++) {
            struct plain_handle *handle = &p->plain->handles[i];

            assert_int_equal(handle->state, PLAIN_HELD);
            assert_int_equal(*plain_content(p->plain, handle->pfn), handle->content);
            if (host.given[host_index(handle->pfn)]) {
                handle->state = PLAIN_GONE;
            }
        }
        promise_check(p);
        if (error != 0) {
            struct cma_slot_info info;

            failures++;
            host.destination_in = 0;
            assert_int_equal(error, CMA_ENOMEM);
            assert_int_equal(why.refusal.reason, CMA_REASON_NO_ROOM);
            assert_int_equal(cma_guarantees_slot(&p->all, 0, &info), CMA_ENOENT);
            assert_int_equal(cma_guarantee_admit(&p->all, &g, &p->areas[0], &request, &why), 0);
            for (uint32_t i = 1; i < p->plain->next_cookie; i++) {
                if (host.given[host_index(p->plain->handles[i].pfn)]) {
                    p->plain->handles[i].state = PLAIN_GONE;
                }
            }
        }
        {
            cma_pfn_t slot = promise_slot(p, 0).pfn;
            uint32_t cookie;

            assert_int_equal(host_put(CMA_KIND_DROPPABLE, 1, slot, &cookie), 0);
            host.destination_in = 1;
            assert_int_equal(cma_frame_move_out(p->frames, slot, &to), CMA_ENOMEM);
            promise_check(p);
            assert_int_equal(host_release(cookie), 1);
            (void)promise_take(p, &g);
        }
        promise_destroy(p);
    }
    /* Each of the 16 pages that are in the way, once. */
    assert_int_equal(failures, 16);
}

/* --- at random ------------------------------------------------------------------------------ */

#define RANDOM_GUARANTEES 5

static struct {
    struct promise *p;
    uint64_t state;
    struct cma_guarantee g[RANDOM_GUARANTEES];
    struct cma_guarantee_group group;
    cma_pfn_t out[RANDOM_GUARANTEES][3];
    bool returning[RANDOM_GUARANTEES][3];
    uint32_t taken, copied, kept, moved_out, refused;
} at_random;

static uint32_t random_below(uint32_t limit)
{
    at_random.state = at_random.state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(at_random.state >> 33) % limit;
}

/* Is another member of its group open? */
static bool random_shut(uint32_t index)
{
    for (uint32_t i = 0; i < RANDOM_GUARANTEES; i++) {
        if (i != index && at_random.g[i].request.group != NULL &&
            at_random.g[index].request.group != NULL && promise_stats(&at_random.g[i]).live != 0) {
            return true;
        }
    }
    return false;
}

static void random_device(void)
{
    uint32_t i = random_below(RANDOM_GUARANTEES), j = random_below(3);
    struct cma_guarantee *g = &at_random.g[i];
    cma_pfn_t *pfn = &at_random.out[i][j];

    if (j >= g->request.count) {
        return;
    }
    if (*pfn == 0 && random_shut(i)) {
        cma_pfn_t none;

        assert_int_equal(cma_guarantee_take(g, &none, NULL, NULL), CMA_EBUSY);
    } else if (*pfn == 0) {
        struct cma_guarantee_work work;

        *pfn = promise_take_work(at_random.p, g, &work);
        at_random.taken++;
        at_random.copied += work.copied;
        at_random.returning[i][j] = false;
    } else if (at_random.returning[i][j]) {
        assert_int_equal(cma_guarantee_quiet(g, *pfn), 0);
        *pfn = 0;
    } else if (random_below(2) == 0) {
        assert_int_equal(cma_guarantee_release(g, *pfn, false), 0);
        at_random.returning[i][j] = true;
    } else {
        assert_int_equal(cma_guarantee_release(g, *pfn, true), 0);
        *pfn = 0;
    }
}

/* A handle gets dirty, and leaves its slot for it if it has to. */
static void random_write(struct plain_handle *handle)
{
    struct cma_frames *frames = at_random.p->frames;
    int error = cma_frame_keep(frames, handle->pfn);
    cma_pfn_t to;

    if (error == CMA_EBUSY) {
        error = cma_frame_move_out(frames, handle->pfn, &to);
        assert_true(error == 0 || error == CMA_ENOMEM);
        at_random.moved_out += error == 0;
        at_random.refused += error != 0;
        error = error == 0 ? cma_frame_keep(frames, handle->pfn) : 0;
    }
    assert_int_equal(error, 0);
    at_random.kept++;
}

static void random_user(void)
{
    struct promise *p = at_random.p;
    struct plain *plain = p->plain;
    uint32_t cookie = 1 + random_below(600), what = random_below(8);
    struct plain_handle *handle = &plain->handles[cookie];
    const struct plain_mover *movers[] = {&plain->sure, &plain->picky, &plain->stiff, &p->needy};
    cma_pfn_t pinned;

    if (handle->state == PLAIN_GONE) {
        struct cma_pages_request request = {.npages = 1};
        cma_pfn_t pfn;

        request.holder = (struct cma_holder){
            what < 5 ? CMA_KIND_DROPPABLE : CMA_KIND_MOVABLE,
            movers[what < 5 && random_below(3) != 0 ? 0 : random_below(4)]->number, cookie};
        if (cma_pages_alloc(&plain->pages, &request, &pfn, NULL) == 0) {
            plain_adopt(plain, cookie, pfn);
        }
    } else if (what == 0) {
        assert_int_equal(promise_free(p, cookie), 0);
    } else if (what < 4) {
        random_write(handle);
    } else if (what < 6) {
        int error = cma_frame_allow_drop(p->frames, handle->pfn);

        assert_true(error == 0 || error == CMA_EINVAL);
    } else if (what == 6 && cma_frame_pin(p->frames, handle->pfn, &pinned) == 0) {
        assert_int_equal(cma_frame_unpin(p->frames, pinned), 0);
    } else if (cma_frame_ref(p->frames, handle->pfn) == 0) {
        assert_false(plain_info(plain, handle->pfn).slot);
        assert_int_equal(cma_frame_unref(p->frames, handle->pfn), 0);
    }
}

static void random_others(void)
{
    struct promise *p = at_random.p;
    struct cma_area_request request = {.npages = 1 + random_below(30), .owner = 3};
    static cma_pfn_t held;
    static uint32_t nheld;
    cma_pfn_t pfn;

    if (cma_area_alloc(&p->areas[0], &request, &pfn, NULL) == 0) {
        assert_int_equal(cma_area_release(&p->areas[0], pfn, request.npages, 3), 0);
    }
    /* Unmovable memory, all that there is, and some of it back. */
    if (nheld == 0 && random_below(4) == 0) {
        nheld = promise_exhaust(p, 0, NULL);
    } else if (nheld != 0) {
        struct cma_frame_info info;

        held = p->plain->base + random_below(512);
        if (cma_frame_info(p->frames, held, &info) == 0 && info.kind == CMA_KIND_UNMOVABLE) {
            assert_int_equal(cma_pages_free(&p->plain->pages, held, 1, 1), 0);
            nheld--;
        }
    }
    (void)cma_pages_drain(&p->plain->pages);
}

static void random_run(const struct promise_config *config, uint64_t seed, bool caches, bool many)
{
    struct cma_guarantee_request request;
    struct promise *p;

    memset(&at_random, 0, sizeof at_random);
    at_random.state = seed;
    plain_many = many;
    p = at_random.p = promise_create(config);
    p->plain->on_wait = NULL;
    if (caches) {
        p->caches = aligned_alloc(64, sizeof(*p->caches));
        assert_int_equal(cma_pages_add_caches(&p->plain->pages, p->caches, 1), 0);
    }
    p->plain->next_cookie = 601;
    for (uint32_t i = 0; i < RANDOM_GUARANTEES; i++) {
        request = promise_request(i < 2 ? 12 : 5 + i, i < 2 ? 2 : 1 + i % 2, i * 3);
        request.align_npages = i == 1 ? 4 : 0;
        request.group = i >= 3 ? &at_random.group : NULL;
        assert_int_equal(promise_try(p, &at_random.g[i], &request, NULL), 0);
    }
    for (uint32_t step = 0; step < 3000; step++) {
        uint32_t what = random_below(100);

        if (what < 20) {
            random_device();
        } else if (what < 97) {
            random_user();
        } else {
            random_others();
        }
        if (step % 16 == 0) {
            promise_check(p);
        }
    }
    assert_true(at_random.taken > 50);
    assert_true(at_random.copied > 0);
    assert_true(at_random.moved_out > 0);
    promise_destroy(p);
    plain_many = false;
}

static void test_random_boards(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 12; i++) {
        struct promise_config config = promise_small;

        config.no_engine = (i & 1) != 0;
        config.no_index = (i & 2) != 0;
        config.low_npages = (i & 4) != 0 ? 256 : 0;
        config.lanes = i >= 8 ? 2 : 0;
        config.lane_npages = i >= 8 ? 64 : 0;
        random_run(&config, i + 1, i % 3 == 0, i % 5 == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host_hears_of_slots),
        cmocka_unit_test(test_host_take_then_publish),
        cmocka_unit_test(test_host_release_while_taking),
        cmocka_unit_test(test_host_lend_fails),
        cmocka_unit_test(test_host_nth_destination_fails),
        cmocka_unit_test(test_random_boards),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
