/* SPDX-License-Identifier: BSD-2-Clause */
/* test_pages_cache.c - processors' caches: what goes through them, what never does, what they give
 * back before anybody is refused */
#include "plain_port.h"

#define SLOTS CMA_PAGES_CACHE_SLOTS
#define BATCH (SLOTS / 2)
#define NCPUS 2

/* Two zones, an area in the higher one, which is mapped. The stiff mover reaches frames up to 500
 * of 1,000. */
static const struct cma_zone zones[] = {{.last = 0x1000000 + 200 * PLAIN_PAGE - 1},
                                        {.last = CMA_PADDR_MAX}};
static const struct plain_area areas[] = {{600, 100}};

static struct cma_pages_cache caches[NCPUS];
static uint32_t cpu;
static void (*during_cpu)(struct plain *plain);

static uint32_t port_cpu(void *ctx)
{
    struct plain *plain = ctx;
    void (*during)(struct plain *) = during_cpu;

    assert_false(plain->locked);
    during_cpu = NULL;
    if (during != NULL) {
        during(plain);
    }
    return cpu;
}

static struct plain *bare(void)
{
    struct cma_frames_config config = {.zones = zones, .nzones = 2, .block_order = 5};
    struct plain *plain = plain_create_with(0x1000, 1000, areas, 1, &config);

    plain->port.cpu = port_cpu;
    cpu = 0;
    return plain;
}

static struct plain *cached(void)
{
    struct plain *plain = bare();

    memset(caches, 0xa5, sizeof(caches));
    assert_int_equal(cma_pages_add_caches(&plain->pages, caches, NCPUS), 0);
    return plain;
}

static struct cma_pages_request unmovable(uint64_t npages)
{
    return (struct cma_pages_request){.npages = npages,
                                      .holder = {.kind = CMA_KIND_UNMOVABLE, .cookie = 5}};
}

/* The frame behind the board's first one, or the error. */
static int64_t get(struct plain *plain, struct cma_pages_request request)
{
    struct cma_refusal refusal = {.code = 1};
    cma_pfn_t pfn;
    int error = cma_pages_alloc(&plain->pages, &request, &pfn, &refusal);

    assert_int_equal(refusal.code, error == 0 ? 1 : error);
    return error == 0 ? (int64_t)(pfn - plain->base) : error;
}

static int put(struct plain *plain, int64_t frame)
{
    return cma_pages_free(&plain->pages, plain->base + (cma_pfn_t)frame, 1, 5);
}

static uint64_t in_caches(struct plain *plain)
{
    struct cma_pages_stats stats;

    cma_pages_stats(&plain->pages, &stats);
    return stats.cached_npages;
}

static uint64_t idle_in(struct plain *plain, uint32_t zone)
{
    struct cma_pages_stats stats;

    cma_pages_stats(&plain->pages, &stats);
    return stats.zone_idle_npages[zone];
}

/* --- what goes through --------------------------------------------------------------------- */

static void test_adding(void **state)
{
    struct plain *plain = bare();
    struct cma_pages_cache *odd = (struct cma_pages_cache *)((uintptr_t)caches + 8);

    (void)state;
    assert_int_equal(sizeof(struct cma_pages_cache), 512);
    assert_int_equal(cma_pages_drain(&plain->pages), 0);
    assert_int_equal(cma_pages_add_caches(NULL, caches, 1), CMA_EINVAL);
    assert_int_equal(cma_pages_add_caches(&plain->pages, NULL, 1), CMA_EINVAL);
    assert_int_equal(cma_pages_add_caches(&plain->pages, caches, 0), CMA_EINVAL);
    assert_int_equal(cma_pages_add_caches(&plain->pages, odd, 1), CMA_EINVAL);
    assert_int_equal(cma_pages_add_caches(&plain->pages, caches, NCPUS), 0);
    assert_int_equal(cma_pages_add_caches(&plain->pages, caches, NCPUS), CMA_EINVAL);
    plain_check(plain);
    plain_destroy(plain);
}

/* A pair takes no lock; what is freed last is given out first, to each processor its own. */
static void test_pairs(void **state)
{
    struct plain *plain = cached();
    int64_t first = get(plain, unmovable(1)), second;
    struct cma_pages_stats stats;
    uint32_t locks;

    (void)state;
    assert_in_range(first, 200, 200 + BATCH - 1);
    assert_int_equal(in_caches(plain), BATCH - 1);
    assert_int_equal(idle_in(plain, 1), 700 - BATCH);
    assert_int_equal(idle_in(plain, 0), 200);
    plain_check(plain);
    locks = plain->locks;
    for (int i = 0; i < 100; i++) {
        assert_int_equal(put(plain, first), 0);
        assert_int_equal(get(plain, unmovable(1)), first);
    }
    assert_int_equal(plain->locks, locks);
    cpu = 1;
    second = get(plain, unmovable(1));
    assert_in_range(second, 200 + BATCH, 200 + 2 * BATCH - 1);
    /* It goes to the processor that frees it. A number that is too high is somebody's too. */
    assert_int_equal(put(plain, first), 0);
    cpu = 3;
    assert_int_equal(get(plain, unmovable(1)), first);
    cma_pages_stats(&plain->pages, &stats);
    assert_int_equal(stats.requests, 103);
    assert_int_equal(stats.refused, 0);
    plain_check(plain);
    assert_int_equal(cma_pages_drain(&plain->pages), 2 * BATCH - 2);
    assert_int_equal(in_caches(plain), 0);
    assert_int_equal(idle_in(plain, 1), 700 - 2);
    plain_check(plain);
    plain_destroy(plain);
}

/* Unmovable frames from the low end, movable ones from the high end, whatever is freed. */
static void test_two_ends(void **state)
{
    struct plain *plain = cached();
    int64_t low[3 * SLOTS];
    uint32_t high[3 * SLOTS];

    (void)state;
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 3 * SLOTS; i++) {
            cpu = i % 2;
            low[i] = get(plain, unmovable(1));
            assert_in_range(low[i], 200, 200 + 3 * SLOTS + 2 * SLOTS);
            assert_int_equal(plain_alloc(plain, CMA_KIND_MOVABLE, plain->sure.number, 0, &high[i]),
                             0);
            assert_in_range(plain->handles[high[i]].pfn - plain->base, 999 - 5 * SLOTS, 999);
        }
        plain_check(plain);
        for (uint32_t i = 0; i < 3 * SLOTS; i++) {
            uint32_t from = (i * 7) % (3 * SLOTS);
            struct plain_handle *handle = &plain->handles[high[from]];

            cpu = i % 2;
            assert_int_equal(put(plain, low[from]), 0);
            handle->state = PLAIN_GONE;
            assert_int_equal(cma_pages_free(&plain->pages, handle->pfn, 1, high[from]), 0);
        }
        plain_check(plain);
        /* A full cache has given half of itself back. */
        assert_in_range(in_caches(plain), 4 * BATCH, 4 * SLOTS);
    }
    assert_int_equal(idle_in(plain, 1) + cma_pages_drain(&plain->pages), 700);
    plain_check(plain);
    plain_destroy(plain);
}

/* All others go the long way, and what they free is idle at once. */
static void test_the_long_way(void **state)
{
    struct plain *plain = cached();
    struct cma_pages_request request;
    uint64_t before;
    uint32_t cookie;

    (void)state;
    (void)get(plain, unmovable(1));
    before = in_caches(plain);
    for (int i = 0; i < 6; i++) {
        int64_t frame;

        request = unmovable(1);
        switch (i) {
        case 0: request.npages = 2; break;
        case 1: request.align_npages = 2; break;
        case 2: request.boundary_nbytes = PLAIN_PAGE; break;
        case 3: request.paddr_first = 1; break;
        case 4: request.paddr_last = (plain->base + 999) * PLAIN_PAGE; break;
        default: request.paddr_last = (plain->base + 150) * PLAIN_PAGE; break;
        }
        frame = get(plain, request);
        assert_true(frame >= 0);
        assert_int_equal(in_caches(plain), before);
        assert_int_equal(
            cma_pages_free(&plain->pages, plain->base + (cma_pfn_t)frame, request.npages, 5), 0);
        /* One page of the caches' zone is as good as any. */
        assert_int_equal(in_caches(plain), before + (i >= 1 && i <= 4 ? 1 : 0));
        (void)cma_pages_drain(&plain->pages);
        before = 0;
    }
    /* Limits that reach everything are none, a NO_LENT page is not lent anyway. */
    request = unmovable(1);
    request.paddr_last = (plain->base + 1000) * PLAIN_PAGE - 1;
    request.align_npages = 1;
    request.flags = CMA_PAGES_LINEAR | CMA_PAGES_NO_LENT;
    assert_true(get(plain, request) >= 200);
    assert_int_equal(in_caches(plain), BATCH - 1);
    /* A mover that does not reach all of them; droppable data, which is counted under the lock. */
    assert_int_equal(plain_alloc(plain, CMA_KIND_MOVABLE, plain->stiff.number, 0, &cookie), 0);
    assert_true(plain->handles[cookie].pfn - plain->base < 500);
    assert_int_equal(plain_alloc(plain, CMA_KIND_DROPPABLE, plain->sure.number, 0, &cookie), 0);
    assert_int_equal(in_caches(plain), BATCH - 1);
    assert_int_equal(plain->frames.zone_droppable[1], 1);
    plain->handles[cookie].state = PLAIN_GONE;
    assert_int_equal(cma_pages_free(&plain->pages, plain->handles[cookie].pfn, 1, cookie), 0);
    assert_int_equal(in_caches(plain), BATCH - 1);
    assert_int_equal(plain->frames.zone_droppable[1], 0);
    /* Malformed is malformed. */
    request = unmovable(0);
    assert_int_equal(get(plain, request), CMA_EINVAL);
    request = unmovable(1);
    request.holder.mover = 1;
    assert_int_equal(get(plain, request), CMA_EINVAL);
    request.holder = (struct cma_holder){CMA_KIND_MOVABLE, 0, 5};
    assert_int_equal(get(plain, request), CMA_EINVAL);
    request.holder.mover = plain->frames.nmovers + 1;
    assert_int_equal(get(plain, request), CMA_EINVAL);
    plain_check(plain);
    plain_destroy(plain);
}

/* --- what a free is told ------------------------------------------------------------------- */

static void test_free_checks_all(void **state)
{
    struct plain *plain = cached();
    int64_t frame = get(plain, unmovable(1)), run = get(plain, unmovable(3));
    cma_pfn_t pfn = plain->base + (cma_pfn_t)frame, head = plain->base + (cma_pfn_t)run;
    struct cma_frame_info info;
    cma_pfn_t pinned;

    (void)state;
    assert_int_equal(cma_pages_free(&plain->pages, pfn, 1, 6), CMA_EPERM);
    assert_int_equal(cma_pages_free(&plain->pages, pfn, 2, 5), CMA_EINVAL);
    assert_int_equal(cma_pages_free(&plain->pages, pfn, 0, 5), CMA_EINVAL);
    assert_int_equal(cma_pages_free(&plain->pages, head, 1, 5), CMA_EINVAL);
    assert_int_equal(cma_pages_free(&plain->pages, head + 1, 1, 5), CMA_EINVAL);
    assert_int_equal(cma_pages_free(&plain->pages, plain->base - 1, 1, 5), CMA_ENOENT);
    assert_int_equal(cma_pages_free(&plain->pages, plain->base + 650, 1, 5), CMA_EBADF);
    assert_int_equal(cma_frame_pin(&plain->frames, pfn, &pinned), 0);
    assert_int_equal(put(plain, frame), CMA_EBADF);
    assert_int_equal(cma_frame_unpin(&plain->frames, pfn), 0);
    assert_int_equal(cma_frame_ref(&plain->frames, pfn), 0);
    assert_int_equal(put(plain, frame), CMA_EBUSY);
    assert_int_equal(cma_frame_unref(&plain->frames, pfn), 0);
    plain_check(plain);
    assert_int_equal(put(plain, frame), 0);
    /* Cached, it is nobody's: every call says so. */
    assert_int_equal(cma_frame_info(&plain->frames, pfn, &info), 0);
    assert_false(info.idle);
    assert_int_equal(info.kind, CMA_KIND_NONE);
    assert_int_equal(put(plain, frame), CMA_EBADF);
    assert_int_equal(cma_pages_free(&plain->pages, pfn, 3, 5), CMA_EBADF);
    assert_int_equal(cma_frame_release(&plain->frames, pfn), CMA_EBADF);
    assert_int_equal(cma_frame_pin(&plain->frames, pfn, &pinned), CMA_EBADF);
    assert_int_equal(cma_frame_ref(&plain->frames, pfn), CMA_EBADF);
    assert_int_equal(cma_frame_unref(&plain->frames, pfn), CMA_EBADF);
    assert_int_equal(cma_frame_keep(&plain->frames, pfn), CMA_EBADF);
    assert_int_equal(cma_pages_free(&plain->pages, head, 3, 5), 0);
    plain_check(plain);
    plain_destroy(plain);
}

static void test_reference_from_the_start(void **state)
{
    struct plain *plain = cached();
    struct cma_pages_request request = {
        .npages = 1,
        .holder = {CMA_KIND_MOVABLE, plain->sure.number, 5},
        .flags = CMA_PAGES_REF,
    };
    int64_t frame = get(plain, request);
    cma_pfn_t pfn = plain->base + (cma_pfn_t)frame;
    struct cma_frame_info info;

    (void)state;
    assert_int_equal(cma_frame_info(&plain->frames, pfn, &info), 0);
    assert_int_equal(info.refs, 1);
    assert_int_equal(info.mover, plain->sure.number);
    assert_int_equal(put(plain, frame), CMA_EBUSY);
    assert_int_equal(cma_frame_unref(&plain->frames, pfn), 0);
    assert_int_equal(put(plain, frame), 0);
    plain_destroy(plain);
}

/* --- nothing is refused for what lies in a cache ------------------------------------------- */

/* Everything but what is in the other processor's cache. */
static void fill(struct plain *plain, int64_t *keep, uint32_t nkeep)
{
    struct cma_pages_request low = unmovable(1), above = unmovable(1);

    /* Out of the stiff mover's reach, for destinations there come last. */
    above.paddr_first = (plain->base + 700) * PLAIN_PAGE;
    for (uint32_t i = 0; i < nkeep; i++) {
        keep[i] = get(plain, above);
    }
    low.paddr_last = zones[0].last;
    (void)cma_pages_drain(&plain->pages);
    while (get(plain, unmovable(1)) >= 0) {
    }
    assert_int_equal(in_caches(plain), 0);
    cpu = 1;
    for (uint32_t i = 0; i < nkeep; i++) {
        assert_int_equal(put(plain, keep[i]), 0);
    }
    cpu = 0;
    assert_int_equal(in_caches(plain), nkeep);
    assert_int_equal(idle_in(plain, 0) + idle_in(plain, 1), 0);
    assert_int_equal(get(plain, low), CMA_ENOMEM);
    /* That was in vain and has emptied the caches: fill them again. */
    assert_int_equal(in_caches(plain), 0);
    assert_int_equal(idle_in(plain, 1), nkeep);
    for (uint32_t i = 0; i < nkeep; i++) {
        int64_t frame = get(plain, unmovable(1));

        assert_in_range(frame, 200, 999);
    }
    cpu = 1;
    for (uint32_t i = 0; i < nkeep; i++) {
        assert_int_equal(put(plain, keep[i]), 0);
    }
    cpu = 0;
    assert_int_equal(in_caches(plain), nkeep);
}

static void test_drained_before_a_refusal(void **state)
{
    struct plain *plain;
    int64_t keep[10];
    uint32_t cookie;

    (void)state;
    /* A page, a run that consists of cached ones, a page in lent memory that is not needed. */
    plain = cached();
    fill(plain, keep, 10);
    assert_in_range(get(plain, unmovable(1)), 700, 709);
    plain_check(plain);
    plain_destroy(plain);

    plain = cached();
    fill(plain, keep, 10);
    assert_int_equal(get(plain, unmovable(11)), CMA_ENOMEM);
    plain_destroy(plain);
    plain = cached();
    fill(plain, keep, 10);
    assert_int_equal(get(plain, unmovable(5)), keep[0]);
    plain_check(plain);
    plain_destroy(plain);

    plain = cached();
    fill(plain, keep, 10);
    plain_lend_all(plain, plain_area_span(plain, 0));
    assert_int_equal(plain_alloc(plain, CMA_KIND_MOVABLE, plain->sure.number, 0, &cookie), 0);
    assert_false(plain->handles[cookie].pfn - plain->base - 600 < 100);
    plain_check(plain);
    plain_destroy(plain);
}

static void test_drained_for_destinations(void **state)
{
    struct plain *plain = cached();
    const struct cma_pages_ops *ops = cma_pages_ops(&plain->pages);
    struct cma_destination want = {.paddr_last = CMA_PADDR_MAX, .npages = 1};
    int64_t keep[10];
    cma_pfn_t pfn;

    (void)state;
    fill(plain, keep, 10);
    /* Before a lent block, and before droppable data is discarded. */
    plain_lend_all(plain, plain_area_span(plain, 0));
    assert_int_equal(ops->room(ops->ctx, CMA_PADDR_MAX), 110);
    assert_int_equal(ops->room(ops->ctx, (plain->base + 705) * PLAIN_PAGE - 1), 105);
    assert_int_equal(ops->room(ops->ctx, (plain->base + 600) * PLAIN_PAGE - 1), 0);
    assert_int_equal(ops->room(ops->ctx, zones[0].last), 0);
    for (uint32_t i = 0; i < 10; i++) {
        assert_int_equal(ops->destination(ops->ctx, &want, &pfn), 1);
        assert_in_range(pfn - plain->base, 700, 709);
        assert_int_equal(ops->room(ops->ctx, CMA_PADDR_MAX), 109 - i);
    }
    assert_int_equal(ops->destination(ops->ctx, &want, &pfn), 1);
    assert_in_range(pfn - plain->base, 600, 699);
    plain_check_busy(plain, true);
    plain_destroy(plain);
}

static void test_destination_drops_nothing(void **state)
{
    struct plain *plain = cached();
    const struct cma_pages_ops *ops = cma_pages_ops(&plain->pages);
    struct cma_destination want = {
        .paddr_last = CMA_PADDR_MAX, .npages = 1, .flags = CMA_DESTINATION_PINNED};
    struct cma_pages_stats stats;
    int64_t keep[10];
    uint32_t cookie;
    cma_pfn_t pfn;

    (void)state;
    assert_int_equal(plain_alloc(plain, CMA_KIND_DROPPABLE, plain->sure.number, 0, &cookie), 0);
    fill(plain, keep, 10);
    assert_int_equal(ops->room(ops->ctx, CMA_PADDR_MAX), 11);
    for (uint32_t i = 0; i < 11; i++) {
        cma_pages_stats(&plain->pages, &stats);
        assert_int_equal(stats.reclaimed, 0);
        assert_int_equal(ops->destination(ops->ctx, &want, &pfn), 1);
    }
    cma_pages_stats(&plain->pages, &stats);
    assert_int_equal(stats.reclaimed, 1);
    plain_check_busy(plain, true);
    plain_destroy(plain);
}

/* --- floors -------------------------------------------------------------------------------- */

static void test_floors(void **state)
{
    struct plain *plain = cached();
    const struct cma_pages_ops *ops = cma_pages_ops(&plain->pages);
    struct cma_destination want = {.paddr_last = CMA_PADDR_MAX, .npages = 1};
    cma_pfn_t taken[20];
    uint32_t count = 0;

    (void)state;
    /* What is in caches does not count for a floor, so it is given back for one. */
    (void)get(plain, unmovable(1));
    assert_int_equal(ops->floor(ops->ctx, CMA_PADDR_MAX, 899), 0);
    assert_int_equal(in_caches(plain), 0);
    assert_int_equal(ops->floor(ops->ctx, CMA_PADDR_MAX, 900), CMA_ENOMEM);
    assert_int_equal(get(plain, unmovable(1)), CMA_ENOMEM);
    assert_int_equal(ops->floor(ops->ctx, CMA_PADDR_MAX, 600), 0);
    /* A refill leaves the floor alone: so does everybody. */
    while (get(plain, unmovable(1)) >= 0) {
        assert_true(idle_in(plain, 0) + idle_in(plain, 1) >= 600);
        count++;
    }
    assert_int_equal(count, 299);
    plain_check(plain);
    /* Destinations go below it. From then on, what is freed is for the floor. */
    assert_int_equal(put(plain, 200), 0);
    assert_int_equal(in_caches(plain), 1);
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(ops->destination(ops->ctx, &want, &taken[i]), 1);
    }
    assert_int_equal(get(plain, unmovable(1)), CMA_ENOMEM);
    assert_int_equal(in_caches(plain), 0);
    assert_int_equal(put(plain, 201), 0);
    assert_int_equal(in_caches(plain), 0);
    assert_int_equal(get(plain, unmovable(1)), CMA_ENOMEM);
    for (uint32_t i = 0; i < 20; i++) {
        ops->destination_put(ops->ctx, taken[i], 1);
    }
    /* It holds again, with two to spare: caches are open again. */
    assert_true(get(plain, unmovable(1)) >= 0);
    assert_int_equal(put(plain, 202), 0);
    assert_int_equal(in_caches(plain), 1);
    plain_check(plain);
    plain_destroy(plain);
}

/* Where little is left nobody hoards. */
static void test_no_hoard(void **state)
{
    struct plain *plain = cached();

    (void)state;
    for (uint32_t i = 0; i < 676; i++) {
        struct cma_pages_request request = unmovable(1);

        request.align_npages = 1;
        request.paddr_first = (plain->base + 200) * PLAIN_PAGE;
        assert_true(get(plain, request) >= 0);
    }
    assert_int_equal(idle_in(plain, 1), 24);
    (void)get(plain, unmovable(1));
    assert_int_equal(in_caches(plain), 24 / 4 / NCPUS);
    plain_check(plain);
    plain_destroy(plain);
}

/* --- in the middle of a call --------------------------------------------------------------- */

static int64_t interrupted;

static void free_and_take(struct plain *plain)
{
    /* On the same processor, and on the other. */
    for (cpu = 1; cpu < 2; cpu--) {
        int64_t frame = get(plain, unmovable(1));

        assert_true(frame >= 0 && frame != interrupted);
        assert_int_equal(put(plain, frame), 0);
    }
    (void)cma_pages_drain(&plain->pages);
    cpu = 1;
}

/* An interrupt handler does the same, and the thread goes on elsewhere. */
static void test_interrupted(void **state)
{
    struct plain *plain = cached();
    int64_t frame = get(plain, unmovable(1));

    (void)state;
    for (int i = 0; i < 20; i++) {
        interrupted = frame;
        during_cpu = free_and_take;
        assert_int_equal(put(plain, frame), 0);
        assert_int_equal(in_caches(plain), 1);
        plain_check(plain);
        interrupted = -1;
        during_cpu = free_and_take;
        frame = get(plain, unmovable(1));
        assert_true(frame >= 0);
        plain_check(plain);
        cpu = 0;
    }
    plain_destroy(plain);
}

static void test_check_counts(void **state)
{
    struct plain *plain = cached();
    struct cma_violation violation;
    struct cma_pages_stack *stack = &caches[0].stacks[0];
    uint32_t name;

    (void)state;
    (void)get(plain, unmovable(1));
    assert_true(cma_frames_check(&plain->frames, false, &violation));
    name = stack->slot[2];
    stack->slot[2] = 0;
    assert_false(cma_frames_check(&plain->frames, false, &violation));
    assert_non_null(strstr(violation.what, "no cache"));
    stack->slot[2] = name;
    stack->slot[SLOTS - 1] = name;
    assert_false(cma_frames_check(&plain->frames, false, &violation));
    stack->slot[SLOTS - 1] = 0;
    plain_check(plain);
    plain_destroy(plain);
}

/* The count of requests is moved on before 32 bits are full. */
static void test_tally(void **state)
{
    struct plain *plain = cached();
    struct cma_pages_stats stats;
    int64_t frame = get(plain, unmovable(1));

    (void)state;
    caches[0].stacks[0].served = (UINT32_C(1) << 31) - 2;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(put(plain, frame), 0);
        frame = get(plain, unmovable(1));
    }
    cma_pages_stats(&plain->pages, &stats);
    assert_int_equal(stats.requests, (UINT64_C(1) << 31) - 2 + 5);
    assert_int_equal(caches[0].stacks[0].served, 3);
    plain_destroy(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adding),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_two_ends),
        cmocka_unit_test(test_the_long_way),
        cmocka_unit_test(test_free_checks_all),
        cmocka_unit_test(test_reference_from_the_start),
        cmocka_unit_test(test_drained_before_a_refusal),
        cmocka_unit_test(test_drained_for_destinations),
        cmocka_unit_test(test_destination_drops_nothing),
        cmocka_unit_test(test_floors),
        cmocka_unit_test(test_no_hoard),
        cmocka_unit_test(test_interrupted),
        cmocka_unit_test(test_check_counts),
        cmocka_unit_test(test_tally),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
