/* SPDX-License-Identifier: BSD-2-Clause */
/* test_pages.c - the page allocator: where requests go, what holds them back, against naive
 * scans */
#include "plain_port.h"

/* Three zones, the last one not mapped; an area in the middle zone and one in the highest. */
static const struct cma_zone zones[] = {
    {.last = 0x1000000 + 100 * PLAIN_PAGE - 1},
    {.last = 0x1000000 + 300 * PLAIN_PAGE - 1},
    {.last = CMA_PADDR_MAX, .flags = CMA_ZONE_UNMAPPED},
};
static const struct plain_area areas[] = {{200, 64}, {350, 50}};

static struct plain *zoned(void)
{
    struct cma_frames_config config = {.zones = zones, .nzones = 3, .block_order = 5};

    return plain_create_with(0x1000, 450, areas, 2, &config);
}

static struct cma_pages_request unmovable(uint64_t npages)
{
    return (struct cma_pages_request){.npages = npages,
                                      .holder = {.kind = CMA_KIND_UNMOVABLE, .cookie = 5}};
}

static struct cma_pages_request single(enum cma_kind kind)
{
    return (struct cma_pages_request){.npages = 1,
                                      .holder = {.kind = kind, .mover = 1, .cookie = 5}};
}

/* The frame that the request gets, behind the board's first one; or the error. */
static int64_t get(struct plain *plain, struct cma_pages_request request)
{
    struct cma_refusal refusal = {.code = 1};
    cma_pfn_t pfn;
    int error = cma_pages_alloc(&plain->pages, &request, &pfn, &refusal);

    assert_int_equal(refusal.code, error == 0 ? 1 : error);
    return error == 0 ? (int64_t)(pfn - plain->base) : error;
}

static enum cma_reason reason_of(struct plain *plain, struct cma_pages_request request, int code)
{
    struct cma_refusal refusal = {.code = 1};
    void *before = plain_snapshot(plain);
    cma_pfn_t pfn = 77;

    assert_int_equal(cma_pages_alloc(&plain->pages, &request, &pfn, NULL), code);
    assert_int_equal(cma_pages_alloc(&plain->pages, &request, &pfn, &refusal), code);
    assert_int_equal(refusal.code, code);
    assert_int_equal(pfn, 77);
    assert_int_equal(refusal.pfn, CMA_PFN_NONE);
    plain_assert_unchanged(plain, before);
    return refusal.reason;
}

/* --- where it goes ------------------------------------------------------------------------- */

static void test_zones_from_the_top(void **state)
{
    struct plain *plain = zoned();
    struct cma_pages_request request = unmovable(1);

    (void)state;
    /* Unmovable from the low end of the highest zone, movable from its high end. */
    assert_int_equal(get(plain, unmovable(1)), 300);
    assert_int_equal(get(plain, unmovable(3)), 301);
    assert_int_equal(get(plain, single(CMA_KIND_MOVABLE)), 449);
    assert_int_equal(get(plain, single(CMA_KIND_DROPPABLE)), 448);
    /* What must be mapped stays out of the highest zone. */
    request.flags = CMA_PAGES_LINEAR;
    assert_int_equal(get(plain, request), 100);
    /* Limits: the highest zone that still reaches. The last byte counts. */
    request = unmovable(1);
    request.paddr_last = zones[0].last;
    assert_int_equal(get(plain, request), 0);
    request.paddr_last = zones[0].last + 2 * PLAIN_PAGE;
    assert_int_equal(get(plain, request), 101);
    request.paddr_last--;
    assert_int_equal(get(plain, request), 1);
    request.paddr_last = (plain->base + 3) * PLAIN_PAGE - 1;
    assert_int_equal(get(plain, request), 2);
    request.paddr_last--;
    assert_int_equal(get(plain, request), CMA_ENOMEM);
    /* From below: both ends. */
    request = single(CMA_KIND_MOVABLE);
    request.paddr_first = (plain->base + 10) * PLAIN_PAGE + 1;
    request.paddr_last = (plain->base + 12) * PLAIN_PAGE - 1;
    request.flags = CMA_PAGES_NO_LENT;
    assert_int_equal(get(plain, request), 11);
    assert_int_equal(get(plain, request), CMA_ENOMEM);
    plain_check(plain);
    plain_destroy(plain);
}

/* A run never crosses the end of a zone, and goes to the next zone when the higher is too short. */
static void test_runs_stay_in_a_zone(void **state)
{
    struct plain *plain = zoned();

    (void)state;
    assert_int_equal(get(plain, unmovable(50)), 300);
    assert_int_equal(get(plain, unmovable(50)), 400);
    assert_int_equal(get(plain, unmovable(50)), 100);
    assert_int_equal(get(plain, unmovable(50)), 150);
    assert_int_equal(get(plain, unmovable(50)), 0);
    assert_int_equal(get(plain, unmovable(50)), 50);
    assert_int_equal(get(plain, unmovable(36)), 264);
    assert_int_equal(get(plain, unmovable(1)), CMA_ENOMEM);
    assert_int_equal(plain_idle(plain), 0);
    plain_check(plain);
    plain_destroy(plain);
}

static bool lend_next(void *ctx, enum cma_kind kind)
{
    struct plain *plain = ctx;

    (void)kind;
    assert_false(plain->locked);
    for (uint32_t a = 0; a < 2; a++) {
        struct cma_span *span = plain_area_span(plain, a);

        for (uint32_t i = 0; i < span->nblocks; i++) {
            struct cma_block *block = &plain->frames.blocks[span->block + i];

            if ((block->flags & CMA_BLOCK_LENT) == 0 && block->idle != 0) {
                cma__block_lend(&plain->frames, span, i, true);
                return true;
            }
        }
    }
    return false;
}

static uint64_t lent_idle(struct plain *plain)
{
    struct cma_pages_stats stats;

    cma_pages_stats(&plain->pages, &stats);
    return stats.lent_idle_npages;
}

/* Droppable data to lent blocks first, movable last, and areas lend only when nothing is left. */
static void test_lending_order(void **state)
{
    struct plain *plain = zoned();
    struct cma_lender lender = {.ctx = plain, .lend = lend_next};
    struct cma_pages_request movable = single(CMA_KIND_MOVABLE);
    struct cma_pages_request droppable = single(CMA_KIND_DROPPABLE);
    int64_t at;

    (void)state;
    cma_pages_add_lender(&plain->pages, &lender);
    assert_int_equal(get(plain, droppable), 449);
    assert_int_equal(get(plain, movable), 448);
    assert_int_equal(lent_idle(plain), 0);
    cma__block_lend(&plain->frames, plain_area_span(plain, 0), 1, true);
    assert_int_equal(lent_idle(plain), 32);
    assert_int_equal(get(plain, movable), 447);
    at = get(plain, droppable);
    assert_true(at >= 200 && at < 264);
    assert_int_equal(lent_idle(plain), 31);
    droppable.flags = CMA_PAGES_NO_LENT;
    assert_int_equal(get(plain, droppable), 446);
    while (plain_idle(plain) != 0) {
        assert_true(get(plain, unmovable(1)) >= 0);
    }
    /* Lent blocks are no help for what can't move. */
    assert_int_equal(reason_of(plain, unmovable(1), CMA_ENOMEM), CMA_REASON_NO_MEMORY);
    movable.flags = CMA_PAGES_NO_LENT;
    assert_int_equal(reason_of(plain, movable, CMA_ENOMEM), CMA_REASON_NO_MEMORY);
    movable.flags = CMA_PAGES_NO_LEND;
    for (uint32_t i = 0; i < 31; i++) {
        assert_true(get(plain, movable) >= 200);
    }
    assert_int_equal(reason_of(plain, movable, CMA_ENOMEM), CMA_REASON_NO_MEMORY);
    movable.flags = 0;
    droppable.flags = 0;
    for (uint32_t i = 0; i < 50 + 32; i++) {
        at = get(plain, i % 2 == 0 ? movable : droppable);
        assert_true((at >= 200 && at < 264) || (at >= 350 && at < 400));
        plain_check_busy(plain, false);
    }
    assert_int_equal(reason_of(plain, movable, CMA_ENOMEM), CMA_REASON_NO_MEMORY);
    assert_int_equal(reason_of(plain, droppable, CMA_ENOMEM), CMA_REASON_NO_MEMORY);
    plain_destroy(plain);
}

/* Who can't be in an area is not even asked for: nothing is lent in vain. */
static void test_lending_only_in_reach(void **state)
{
    struct plain *plain = zoned();
    struct cma_lender lender = {.ctx = plain, .lend = lend_next};
    struct cma_pages_request low = single(CMA_KIND_MOVABLE);
    struct cma_pages_request picky = single(CMA_KIND_MOVABLE);

    (void)state;
    cma_pages_add_lender(&plain->pages, &lender);
    while (plain_idle(plain) != 0) {
        assert_true(get(plain, unmovable(1)) >= 0);
    }
    low.paddr_last = zones[0].last;
    assert_int_equal(reason_of(plain, low, CMA_ENOMEM), CMA_REASON_NO_MEMORY);
    picky.holder.mover = plain->picky.number;
    plain_area_span(plain, 0)->lend_class = CMA_LEND_SLOT;
    plain_area_span(plain, 1)->lend_class = CMA_LEND_NONE;
    assert_int_equal(reason_of(plain, picky, CMA_ENOMEM), CMA_REASON_NO_MEMORY);
    assert_int_equal(lent_idle(plain), 0);
    assert_true(get(plain, single(CMA_KIND_MOVABLE)) >= 200);
    plain_destroy(plain);
}

/* The data of a mover with a limit of its own stays below it, whatever the request says. */
static void test_movers_limit(void **state)
{
    struct plain *plain = zoned();
    struct cma_pages_request request = single(CMA_KIND_MOVABLE);

    (void)state;
    request.holder.mover = plain->stiff.number; /* reaches half of the board: 225 frames */
    assert_int_equal(get(plain, request), 199);
    request.paddr_first = (plain->base + 225) * PLAIN_PAGE;
    assert_int_equal(reason_of(plain, request, CMA_ERANGE), CMA_REASON_UNREACHABLE);
    request.paddr_first -= PLAIN_PAGE;
    /* That frame is in the area, which nobody lends. */
    assert_int_equal(reason_of(plain, request, CMA_ENOMEM), CMA_REASON_NO_MEMORY);
    plain_destroy(plain);
}

/* --- malformed, too large, out of reach ---------------------------------------------------- */

static void test_malformed(void **state)
{
    struct plain *plain = zoned();
    const struct cma_pages_request bad[] = {
        {.npages = 0, .holder = {.kind = CMA_KIND_UNMOVABLE}},
        {.npages = 1, .holder = {.kind = CMA_KIND_NONE}},
        {.npages = 1, .holder = {.kind = CMA_KIND_CLAIMED}},
        {.npages = 1, .holder = {.kind = CMA_KIND_MOVABLE}},
        {.npages = 1, .holder = {.kind = CMA_KIND_UNMOVABLE, .mover = 1}},
        {.npages = 2, .holder = {.kind = CMA_KIND_MOVABLE, .mover = 1}},
        {.npages = 2, .holder = {.kind = CMA_KIND_DROPPABLE, .mover = 1}},
        {.npages = 1, .align_npages = 3, .holder = {.kind = CMA_KIND_UNMOVABLE}},
        {.npages = 1, .align_npages = UINT64_MAX, .holder = {.kind = CMA_KIND_UNMOVABLE}},
        {.npages = 1, .paddr_first = 2, .paddr_last = 1, .holder = {.kind = CMA_KIND_UNMOVABLE}},
        {.npages = 1, .boundary_nbytes = 2048, .holder = {.kind = CMA_KIND_UNMOVABLE}},
        {.npages = 1, .boundary_nbytes = 12288, .holder = {.kind = CMA_KIND_UNMOVABLE}},
        {.npages = 3, .boundary_nbytes = 8192, .holder = {.kind = CMA_KIND_UNMOVABLE}},
        {.npages = UINT64_MAX,
         .boundary_nbytes = UINT64_C(1) << 63,
         .holder = {.kind = CMA_KIND_UNMOVABLE}},
    };

    (void)state;
    for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(reason_of(plain, bad[i], CMA_EINVAL), CMA_REASON_ARGUMENT);
    }
    plain_check(plain);
    plain_destroy(plain);
}

/* Sizes, alignments and limits up to the end of 64 bits do nothing but refuse. */
static void test_near_2_to_64(void **state)
{
    static const uint64_t sizes[] = {451,
                                     UINT64_C(1) << 31,
                                     UINT64_C(1) << 32,
                                     (UINT64_C(1) << 32) + 1,
                                     UINT64_C(1) << 52,
                                     UINT64_C(1) << 63,
                                     UINT64_MAX - 1,
                                     UINT64_MAX};
    struct plain *plain = zoned();
    struct cma_pages_request request = unmovable(1);

    (void)state;
    for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        assert_int_equal(reason_of(plain, unmovable(sizes[i]), CMA_ENOMEM), CMA_REASON_TOO_LARGE);
        assert_int_equal(cma_pages_free(&plain->pages, plain->base, sizes[i], 5), CMA_EBADF);
    }
    for (uint32_t shift = 13; shift < 64; shift++) {
        request.align_npages = UINT64_C(1) << shift;
        assert_int_equal(reason_of(plain, request, CMA_ENOMEM), CMA_REASON_NO_MEMORY);
        request.npages = 2;
        assert_int_equal(reason_of(plain, request, CMA_ENOSPC), CMA_REASON_HELD);
        request.npages = 1;
    }
    request = unmovable(1);
    request.paddr_first = UINT64_MAX;
    assert_int_equal(reason_of(plain, request, CMA_ERANGE), CMA_REASON_UNREACHABLE);
    request.paddr_first = UINT64_MAX - PLAIN_PAGE + 1;
    request.paddr_last = UINT64_MAX;
    assert_int_equal(reason_of(plain, request, CMA_ERANGE), CMA_REASON_UNREACHABLE);
    request.paddr_first = 0;
    request.paddr_last = 1;
    assert_int_equal(reason_of(plain, request, CMA_ERANGE), CMA_REASON_UNREACHABLE);
    request.paddr_last = plain->base * PLAIN_PAGE - 1;
    assert_int_equal(reason_of(plain, request, CMA_ERANGE), CMA_REASON_UNREACHABLE);
    plain_destroy(plain);
}

/* The last frame of the address space can be had, and no run wraps behind it. */
static void test_top_of_memory(void **state)
{
    const cma_pfn_t top = UINT64_MAX >> PLAIN_SHIFT;
    struct cma_frames_config config = {.block_order = 5};
    struct plain *plain = plain_create_with(top - 99, 100, NULL, 0, &config);
    struct cma_pages_request request = unmovable(33);

    (void)state;
    request.boundary_nbytes = 64 * PLAIN_PAGE;
    assert_int_equal(get(plain, request), 0);
    assert_int_equal(get(plain, request), 36);
    /* 3 and 31 are left: enough, but not in one piece. */
    assert_int_equal(reason_of(plain, request, CMA_ENOSPC), CMA_REASON_HELD);
    request.npages = 31;
    request.align_npages = UINT64_C(1) << 63;
    assert_int_equal(reason_of(plain, request, CMA_ENOSPC), CMA_REASON_HELD);
    request.align_npages = 0;
    assert_int_equal(get(plain, request), 69);
    assert_int_equal(plain_idle(plain), 3);
    assert_int_equal(get(plain, single(CMA_KIND_MOVABLE)), 35);
    plain_check(plain);
    plain_destroy(plain);
}

/* --- against a naive scan ------------------------------------------------------------------ */

/* The first (last) place where the run fits, looking at every frame. */
static int64_t naive_place(struct plain *plain, const struct cma_pages_request *request)
{
    uint64_t align = request->align_npages != 0 ? request->align_npages : 1;
    uint64_t boundary = request->boundary_nbytes / PLAIN_PAGE;
    cma_paddr_t limit = request->paddr_last != 0 ? request->paddr_last : CMA_PADDR_MAX;
    bool top = request->holder.kind != CMA_KIND_UNMOVABLE;
    int64_t found = -1;

    for (uint64_t i = 0; i + request->npages <= plain->npages; i++) {
        cma_pfn_t pfn = plain->base + i;
        bool fits = pfn % align == 0 && pfn * PLAIN_PAGE >= request->paddr_first &&
                    (pfn + request->npages) * PLAIN_PAGE - 1 <= limit &&
                    (boundary == 0 || pfn / boundary == (pfn + request->npages - 1) / boundary);

        for (uint64_t n = 0; fits && n < request->npages; n++) {
            fits = plain_info(plain, pfn + n).idle;
        }
        if (fits && (top || found < 0)) {
            found = (int64_t)i;
        }
    }
    return found;
}

static void random_request(struct plain *plain, struct cma_pages_request *request)
{
    *request = unmovable(1 + (uint64_t)rand() % (rand() % 4 == 0 ? 40 : 5));
    if (rand() % 2 == 0) {
        *request = single(rand() % 2 == 0 ? CMA_KIND_MOVABLE : CMA_KIND_DROPPABLE);
    }
    if (rand() % 3 == 0) {
        request->align_npages = UINT64_C(1) << rand() % 8;
    }
    if (rand() % 3 == 0) {
        request->boundary_nbytes = PLAIN_PAGE << rand() % 8;
        while (request->boundary_nbytes / PLAIN_PAGE < request->npages) {
            request->boundary_nbytes *= 2;
        }
    }
    if (rand() % 3 == 0) {
        request->paddr_first =
            (plain->base + (uint64_t)rand() % 100) * PLAIN_PAGE + (uint64_t)(rand() % 3);
    }
    if (rand() % 3 == 0) {
        request->paddr_last =
            (plain->base + 100 + (uint64_t)rand() % 100) * PLAIN_PAGE - 2 + (uint64_t)(rand() % 3);
    }
}

static void test_against_naive_scan(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 20; seed++) {
        struct cma_frames_config config = {.block_order = 5 + seed % 3};
        struct plain *plain = plain_create_with(0x1000 + seed * 7, 200, NULL, 0, &config);
        struct cma_pages_request held[64];
        cma_pfn_t places[64];
        uint32_t nheld = 0;

        srand(seed);
        for (uint32_t step = 0; step < 1500; step++) {
            struct cma_pages_request request;
            int64_t place, got;

            if (nheld == 64 || (nheld != 0 && rand() % 3 == 0)) {
                uint32_t i = (uint32_t)rand() % nheld;

                assert_int_equal(cma_pages_free(&plain->pages, places[i], held[i].npages, 5), 0);
                held[i] = held[--nheld];
                places[i] = places[nheld];
                continue;
            }
            random_request(plain, &request);
            place = naive_place(plain, &request);
            got = get(plain, request);
            if (place >= 0) {
                assert_int_equal(got, place);
                held[nheld] = request;
                places[nheld++] = plain->base + (uint64_t)got;
            } else {
                assert_true(got == CMA_ENOMEM || got == CMA_ENOSPC || got == CMA_ERANGE);
            }
            plain_check_busy(plain, false);
        }
        plain_destroy(plain);
    }
}

/* --- freeing ------------------------------------------------------------------------------- */

static void test_free_checks_all(void **state)
{
    struct plain *plain = zoned();
    cma_pfn_t pfn = plain->base + 300, pinned;
    void *before;

    (void)state;
    assert_int_equal(get(plain, unmovable(4)), 300);
    assert_int_equal(get(plain, unmovable(4)), 304);
    before = plain_snapshot(plain);
    assert_int_equal(cma_pages_free(&plain->pages, pfn, 3, 5), CMA_EINVAL);
    assert_int_equal(cma_pages_free(&plain->pages, pfn, 5, 5), CMA_EINVAL);
    assert_int_equal(cma_pages_free(&plain->pages, pfn, 8, 5), CMA_EINVAL);
    assert_int_equal(cma_pages_free(&plain->pages, pfn, 0, 5), CMA_EINVAL);
    assert_int_equal(cma_pages_free(&plain->pages, pfn, UINT64_MAX, 5), CMA_EINVAL);
    assert_int_equal(cma_pages_free(&plain->pages, pfn, (UINT64_C(1) << 32) + 4, 5), CMA_EINVAL);
    assert_int_equal(cma_pages_free(&plain->pages, pfn + 1, 3, 5), CMA_EINVAL);
    assert_int_equal(cma_pages_free(&plain->pages, pfn, 4, 6), CMA_EPERM);
    assert_int_equal(cma_pages_free(&plain->pages, pfn + 8, 1, 5), CMA_EBADF);
    assert_int_equal(cma_pages_free(&plain->pages, plain->base - 1, 1, 5), CMA_ENOENT);
    assert_int_equal(cma_pages_free(&plain->pages, plain->base + 201, 1, 5), CMA_EBADF);
    plain_assert_unchanged(plain, before);
    /* A pin or a reference on any frame of it. */
    assert_int_equal(cma_frame_pin(&plain->frames, pfn + 3, &pinned), 0);
    assert_int_equal(cma_pages_free(&plain->pages, pfn, 4, 5), CMA_EBADF);
    assert_int_equal(cma_frame_unpin(&plain->frames, pfn + 3), 0);
    assert_int_equal(cma_frame_ref(&plain->frames, pfn + 2), 0);
    assert_int_equal(cma_pages_free(&plain->pages, pfn, 4, 5), CMA_EBUSY);
    assert_int_equal(cma_frame_unref(&plain->frames, pfn + 2), 0);
    plain_check(plain);
    assert_int_equal(cma_pages_free(&plain->pages, pfn, 4, 5), 0);
    assert_int_equal(cma_pages_free(&plain->pages, pfn, 4, 5), CMA_EBADF);
    assert_int_equal(cma_pages_free(&plain->pages, pfn + 4, 4, 5), 0);
    plain_check(plain);
    /* Two free neighbours are one run. */
    assert_int_equal(get(plain, unmovable(50)), 300);
    plain_destroy(plain);
}

static void test_ref_from_the_start(void **state)
{
    struct plain *plain = zoned();
    uint32_t cookie;
    cma_pfn_t pfn;

    (void)state;
    assert_int_equal(plain_alloc(plain, CMA_KIND_MOVABLE, 1, CMA_PAGES_REF, &cookie), 0);
    pfn = plain->handles[cookie].pfn;
    assert_int_equal(plain_info(plain, pfn).refs, 1);
    assert_int_equal(cma_pages_free(&plain->pages, pfn, 1, cookie), CMA_EBUSY);
    assert_int_equal(cma_frame_unref(&plain->frames, pfn), 0);
    assert_int_equal(cma_pages_free(&plain->pages, pfn, 1, cookie), 0);
    plain_destroy(plain);
}

/* --- floors -------------------------------------------------------------------------------- */

/* Floors are over all frames up to a limit: what is taken below counts for all limits above. */
static void test_floors(void **state)
{
    struct plain *plain = zoned();
    const struct cma_pages_ops *ops = cma_pages_ops(&plain->pages);
    struct cma_pages_request low = unmovable(1), linear = unmovable(1);
    struct cma_destination want = {.paddr_last = CMA_PADDR_MAX, .npages = 1};
    cma_pfn_t pfn;

    (void)state;
    low.paddr_last = zones[0].last;
    linear.flags = CMA_PAGES_LINEAR;
    assert_int_equal(ops->floor(ops->ctx, zones[0].last - 1, 1), CMA_EINVAL);
    assert_int_equal(ops->floor(ops->ctx, zones[0].last, 101), CMA_ENOMEM);
    assert_int_equal(ops->floor(ops->ctx, zones[0].last, 100), 0);
    /* Zone 0 is all floor: not one frame of it, but all of the others. */
    assert_int_equal(reason_of(plain, low, CMA_ENOMEM), CMA_REASON_FLOOR);
    assert_int_equal(ops->floor(ops->ctx, zones[0].last, 98), 0);
    assert_int_equal(get(plain, low), 0);
    low.npages = 2;
    assert_int_equal(reason_of(plain, low, CMA_ENOMEM), CMA_REASON_FLOOR);
    low.npages = 1;
    assert_int_equal(get(plain, low), 1);
    assert_int_equal(reason_of(plain, low, CMA_ENOMEM), CMA_REASON_FLOOR);
    /* 98 in zone 0, 136 in zone 1: 230 of these stay. */
    assert_int_equal(ops->floor(ops->ctx, zones[1].last, 235), CMA_ENOMEM);
    assert_int_equal(ops->floor(ops->ctx, zones[1].last, 230), 0);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(get(plain, linear), 100 + i);
    }
    assert_int_equal(reason_of(plain, linear, CMA_ENOMEM), CMA_REASON_FLOOR);
    assert_int_equal(ops->floor(ops->ctx, zones[0].last, 0), 0);
    assert_int_equal(reason_of(plain, low, CMA_ENOMEM), CMA_REASON_FLOOR);
    /* All of them are what a movable request may not have, and a destination may. */
    assert_int_equal(ops->floor(ops->ctx, CMA_PADDR_MAX, 330), 0);
    assert_int_equal(get(plain, single(CMA_KIND_MOVABLE)), CMA_ENOMEM);
    assert_int_equal(reason_of(plain, single(CMA_KIND_MOVABLE), CMA_ENOMEM), CMA_REASON_FLOOR);
    assert_int_equal(ops->destination(ops->ctx, &want, &pfn), 1);
    assert_int_equal(pfn - plain->base, 449);
    want.paddr_last = zones[0].last;
    ops->destination_put(ops->ctx, pfn, 1);
    assert_int_equal(ops->destination(ops->ctx, &want, &pfn), 1);
    assert_int_equal(pfn - plain->base, 99);
    ops->destination_put(ops->ctx, pfn, 1);
    /* A floor can always be lowered, even when less than it is free. */
    assert_int_equal(ops->floor(ops->ctx, CMA_PADDR_MAX, 0), 0);
    assert_int_equal(get(plain, single(CMA_KIND_MOVABLE)), 449);
    plain_check(plain);
    plain_destroy(plain);
}

/* --- destinations and room ----------------------------------------------------------------- */

/* room() is what destination() delivers, run by run, at every limit: idle frames of one block that
 * lie side by side. */
static void room_is_exact(struct plain *plain, cma_paddr_t limit)
{
    const struct cma_pages_ops *ops = cma_pages_ops(&plain->pages);
    struct cma_destination want = {.paddr_last = limit, .npages = 1};
    cma_pfn_t taken[512];
    uint32_t length[512];
    uint64_t room = ops->room(ops->ctx, limit), n = 0, npages = 0;
    int got;

    for (;;) {
        want.npages = 1 + (uint32_t)rand() % 12;
        got = ops->destination(ops->ctx, &want, &taken[n]);
        if (got <= 0) {
            break;
        }
        assert_true((uint32_t)got <= want.npages && n < 511);
        assert_true((taken[n] + (uint32_t)got) * PLAIN_PAGE - 1 <= limit);
        length[n++] = (uint32_t)got;
        npages += (uint32_t)got;
        assert_int_equal(ops->room(ops->ctx, limit), room - npages);
    }
    assert_int_equal(npages, room);
    plain_check_busy(plain, true);
    while (n-- > 0) {
        ops->destination_put(ops->ctx, taken[n], length[n]);
    }
    plain_check(plain);
}

/* Unused destinations that lie side by side come back together, of whichever zones they are. */
static void test_destinations_put_across_zones(void **state)
{
    struct plain *plain = zoned();
    const struct cma_pages_ops *ops = cma_pages_ops(&plain->pages);
    struct cma_destination want = {.paddr_last = zones[0].last + PLAIN_PAGE, .npages = 1};
    cma_pfn_t high, low;

    (void)state;
    assert_int_equal(ops->destination(ops->ctx, &want, &high), 1);
    want.paddr_last = zones[0].last;
    assert_int_equal(ops->destination(ops->ctx, &want, &low), 1);
    assert_int_equal(high, low + 1);
    ops->destination_put(ops->ctx, low, 2);
    plain_check(plain);
    plain_destroy(plain);
}

static void test_room_is_exact(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 30; seed++) {
        struct plain *plain = zoned();
        cma_paddr_t limits[] = {CMA_PADDR_MAX,
                                zones[1].last,
                                zones[0].last,
                                (plain->base + 170) * PLAIN_PAGE + 5,
                                plain->base * PLAIN_PAGE,
                                0};
        uint32_t cookie;

        srand(seed);
        plain_lend_all(plain, plain_area_span(plain, 0));
        if (seed % 2 == 0) {
            plain_lend_all(plain, plain_area_span(plain, 1));
            plain_area_span(plain, 1)->lend_class =
                seed % 3 == 0 ? CMA_LEND_SLOT : CMA_LEND_ORDINARY;
        }
        for (uint32_t i = 0; i < 420; i++) {
            cma_pfn_t pinned;
            int error = plain_alloc(plain, rand() % 2 == 0 ? CMA_KIND_MOVABLE : CMA_KIND_DROPPABLE,
                                    1, rand() % 2 == 0 ? CMA_PAGES_NO_LENT : 0, &cookie);

            if (error == 0 && rand() % 4 == 0) {
                assert_int_equal(
                    cma_frame_pin(&plain->frames, plain->handles[cookie].pfn, &pinned) | CMA_ENOMEM,
                    CMA_ENOMEM);
            } else if (error == 0 && rand() % 4 == 0) {
                assert_int_equal(cma_frame_keep(&plain->frames, plain->handles[cookie].pfn), 0);
            }
        }
        for (uint32_t i = 1; i < plain->next_cookie; i++) {
            if (rand() % 8 == 0 && plain->handles[i].state == PLAIN_HELD &&
                cma_pages_free(&plain->pages, plain->handles[i].pfn, 1, i) == 0) {
                plain->handles[i].state = PLAIN_GONE;
            }
        }
        if (seed % 5 == 0) {
            plain_area_span(plain, 0)->emptying = 1;
        }
        /* From the narrow limits up: droppable frames that are taken are gone for the next one. */
        for (uint32_t i = sizeof(limits) / sizeof(limits[0]); i-- > 0;) {
            uint32_t emptying = plain_area_span(plain, 0)->emptying;
            struct cma_violation violation;

            plain_area_span(plain, 0)->emptying = 0;
            assert_true(cma_frames_check(&plain->frames, false, &violation));
            plain_area_span(plain, 0)->emptying = emptying;
            if (emptying != 0) {
                const struct cma_pages_ops *ops = cma_pages_ops(&plain->pages);
                struct cma_destination want = {.paddr_last = limits[i], .npages = 1};
                uint64_t room = ops->room(ops->ctx, limits[i]);
                cma_pfn_t pfn;

                assert_int_equal(ops->destination(ops->ctx, &want, &pfn),
                                 room != 0 ? 1 : CMA_ENOMEM);
                if (room != 0) {
                    assert_ptr_not_equal(cma__span_of(&plain->frames, pfn),
                                         plain_area_span(plain, 0));
                    ops->destination_put(ops->ctx, pfn, 1);
                }
                continue;
            }
            room_is_exact(plain, limits[i]);
        }
        plain_destroy(plain);
    }
}

/* Frames of movers that may refuse are no promise, but they are tried. */
static void test_unsure_movers_are_no_room(void **state)
{
    struct plain *plain = zoned();
    const struct cma_pages_ops *ops = cma_pages_ops(&plain->pages);
    struct cma_destination want = {.paddr_last = CMA_PADDR_MAX, .npages = 1};
    struct cma_pages_stats stats;
    uint32_t cookie;
    cma_pfn_t pfn;

    (void)state;
    assert_int_equal(plain_alloc(plain, CMA_KIND_DROPPABLE, plain->picky.number, 0, &cookie), 0);
    while (plain_alloc(plain, CMA_KIND_UNMOVABLE, 0, 0, &cookie) == 0) {
    }
    assert_int_equal(ops->room(ops->ctx, CMA_PADDR_MAX), 0);
    plain->fail_discard = 1;
    assert_int_equal(ops->destination(ops->ctx, &want, &pfn), CMA_ENOMEM);
    assert_int_equal(ops->destination(ops->ctx, &want, &pfn), 1);
    cma_pages_stats(&plain->pages, &stats);
    assert_int_equal(stats.reclaimed, 1);
    ops->destination_put(ops->ctx, pfn, 1);
    plain_check(plain);
    plain_destroy(plain);
}

/* A pin's destination is outside of all areas. */
static void test_pinned_destination(void **state)
{
    struct plain *plain = zoned();
    const struct cma_pages_ops *ops = cma_pages_ops(&plain->pages);
    struct cma_destination want = {
        .paddr_last = CMA_PADDR_MAX, .flags = CMA_DESTINATION_PINNED, .npages = 1};
    uint32_t cookie;
    cma_pfn_t pfn;

    (void)state;
    plain_lend_all(plain, plain_area_span(plain, 0));
    while (plain_alloc(plain, CMA_KIND_UNMOVABLE, 0, 0, &cookie) == 0) {
    }
    assert_int_equal(ops->destination(ops->ctx, &want, &pfn), CMA_ENOMEM);
    want.flags = 0;
    assert_int_equal(ops->destination(ops->ctx, &want, &pfn), 1);
    assert_int_equal(cma__span_of(&plain->frames, pfn)->is_area, 1);
    ops->destination_put(ops->ctx, pfn, 1);
    plain_destroy(plain);
}

/* Data without a limit leaves the low frames to data that can go nowhere else, as long as there is
 * anything above: idle, lent or droppable. */
static void test_low_destinations_last(void **state)
{
    struct plain *plain = zoned();
    const struct cma_pages_ops *ops = cma_pages_ops(&plain->pages);
    struct cma_destination want = {.paddr_last = CMA_PADDR_MAX, .npages = 1};
    uint32_t cookie;
    cma_pfn_t pfn;

    (void)state;
    /* The stiff mover reaches frames up to 224. All above is full, one page of it droppable. */
    for (uint32_t i = 264; i < 450; i++) {
        if (i < 350 || i >= 400) {
            (void)plain_publish(plain, i == 300 ? CMA_KIND_DROPPABLE : CMA_KIND_MOVABLE, 1,
                                plain->base + i);
        }
    }
    cma__block_lend(&plain->frames, plain_area_span(plain, 1), 1, true);
    for (cookie = 0; cookie < 32 + 1; cookie++) {
        assert_int_equal(ops->destination(ops->ctx, &want, &pfn), 1);
        assert_true(pfn - plain->base >= (cookie < 32 ? 350 : 300));
        assert_true(pfn - plain->base < 400);
    }
    assert_int_equal(pfn - plain->base, 300);
    assert_int_equal(ops->destination(ops->ctx, &want, &pfn), 1);
    assert_int_equal(pfn - plain->base, 199);
    plain_destroy(plain);
}

static void test_stats_and_ops(void **state)
{
    struct plain *plain = zoned();
    const struct cma_pages_ops *ops = cma_pages_ops(&plain->pages);
    struct cma_pages_request request = unmovable(4), movable = single(CMA_KIND_MOVABLE);
    struct cma_pages_stats stats;
    struct cma_refusal refusal;
    cma_pfn_t pfn;

    (void)state;
    assert_int_equal(ops->alloc(ops->ctx, &request, &pfn, &refusal), 0);
    assert_int_equal(pfn - plain->base, 300);
    cma_pages_stats(&plain->pages, &stats);
    assert_int_equal(stats.zone_idle_npages[0], 100);
    assert_int_equal(stats.zone_idle_npages[1], 136);
    assert_int_equal(stats.zone_idle_npages[2], 96);
    assert_int_equal(stats.requests, 1);
    assert_int_equal(stats.refused + stats.demand, 0);
    assert_int_equal(ops->free(ops->ctx, pfn, 4, 5), 0);
    assert_int_equal(get(plain, unmovable(137)), CMA_ENOMEM);
    movable.paddr_last = plain->base * PLAIN_PAGE;
    assert_int_equal(get(plain, movable), CMA_ERANGE);
    cma_pages_stats(&plain->pages, &stats);
    assert_int_equal(stats.requests, 3);
    assert_int_equal(stats.refused, 2);
    assert_int_equal(stats.demand, 1);
    /* The longest run that a refusal for fragments saw. */
    for (uint32_t i = 0; i < 450; i += 10) {
        if (plain_info(plain, plain->base + i).idle &&
            !plain_info(plain, plain->base + i).in_area) {
            (void)plain_publish(plain, CMA_KIND_MOVABLE, 1, plain->base + i);
        }
    }
    request = unmovable(10);
    assert_int_equal(cma_pages_alloc(&plain->pages, &request, &pfn, &refusal), CMA_ENOSPC);
    assert_int_equal(refusal.reason, CMA_REASON_HELD);
    assert_int_equal(refusal.free_run_npages, 9);
    plain_destroy(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zones_from_the_top),
        cmocka_unit_test(test_runs_stay_in_a_zone),
        cmocka_unit_test(test_lending_order),
        cmocka_unit_test(test_lending_only_in_reach),
        cmocka_unit_test(test_movers_limit),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_near_2_to_64),
        cmocka_unit_test(test_top_of_memory),
        cmocka_unit_test(test_against_naive_scan),
        cmocka_unit_test(test_free_checks_all),
        cmocka_unit_test(test_ref_from_the_start),
        cmocka_unit_test(test_floors),
        cmocka_unit_test(test_destinations_put_across_zones),
        cmocka_unit_test(test_room_is_exact),
        cmocka_unit_test(test_unsure_movers_are_no_room),
        cmocka_unit_test(test_pinned_destination),
        cmocka_unit_test(test_low_destinations_last),
        cmocka_unit_test(test_stats_and_ops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
