/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * promise_board.h - the board of plain_port.h with areas and guarantees on top
 *
 * Each thing that a test does is followed, where it matters, by promise_check: the table, the
 * areas, the guarantees and every handle's contents.
 */
#ifndef TEST_PROMISE_BOARD_H
#define TEST_PROMISE_BOARD_H

#include "plain_port.h"

#include <cma/guarantee.h>

#define PROMISE_SLOTS 24
#define PROMISE_AREAS 2

struct promise_config {
    uint64_t npages; /* of RAM */
    struct plain_area areas[PROMISE_AREAS];
    uint32_t nareas;
    uint32_t low_npages; /* a zone ends behind these; 0: one zone */
    uint32_t nslots;     /* 0: PROMISE_SLOTS; UINT32_MAX: no guarantees */
    bool no_engine, no_index, no_wait;
    uint32_t lanes, lane_npages;
    enum cma_lend_class lend_class; /* NONE: ORDINARY */
    const struct cma_size_class *classes;
    uint32_t nclasses;
    const struct cma_pages_ops *host; /* the table covers areas only */
};

struct promise {
    struct plain *plain;
    struct cma_frames *frames;
    struct cma_zone zones[2];
    struct cma_area areas[PROMISE_AREAS];
    uint32_t nareas;
    struct cma_lender lenders[PROMISE_AREAS];
    struct cma_guarantees all;
    struct cma_slot slots[PROMISE_SLOTS];
    struct cma_pages_cache *caches;
    /* needy: allocates in its callbacks */
    struct plain_mover needy;
};

/* 512 pages; an area of 128 in the middle. */
static const struct promise_config promise_small = {
    .npages = 512, .areas = {{.first = 200, .npages = 128}}, .nareas = 1};

/* --- the board ------------------------------------------------------------------------------ */

static struct promise *promise_create(const struct promise_config *config)
{
    struct promise *p = calloc(1, sizeof(*p));
    struct cma_frames_config frames = {
        .block_order = 5,
        .areas_only = config->host != NULL,
        .index = config->no_index ? NULL : &cma_frames_index,
        .lanes = config->lanes,
        .lane_npages = config->lane_npages,
    };
    const cma_pfn_t base = 0x1000;

    assert_non_null(p);
    if (config->low_npages != 0) {
        p->zones[0].last = (base + config->low_npages) * PLAIN_PAGE - 1;
        p->zones[1].last = CMA_PADDR_MAX;
        frames.zones = p->zones;
        frames.nzones = 2;
    }
    p->plain = plain_create_with(base, config->npages, config->areas, config->nareas, &frames);
    p->frames = &p->plain->frames;
    if (config->host != NULL) {
        cma_frames_set_ops(p->frames, config->host);
    }
    plain_mover_init(p->plain, &p->needy, "needy", CMA_MOVER_NEEDS_MEMORY, CMA_PADDR_MAX, true);
    p->needy.number = (uint32_t)cma_mover_register(p->frames, &p->needy.mover);
    p->nareas = config->nareas;
    for (uint32_t i = 0; i < config->nareas; i++) {
        struct cma_area_config area = {
            .name = "area",
            .lend_class =
                config->lend_class == CMA_LEND_NONE ? CMA_LEND_ORDINARY : config->lend_class,
            .engine = config->no_engine ? NULL : &cma_area_engine,
            .classes = config->classes,
            .nclasses = config->nclasses,
        };

        assert_int_equal(
            cma_area_init(&p->areas[i], p->frames,
                          config->host != NULL ? config->host : cma_pages_ops(&p->plain->pages),
                          (base + config->areas[i].first) * PLAIN_PAGE, &area),
            0);
        assert_int_equal(cma_area_activate(&p->areas[i]), 0);
        p->lenders[i] = (struct cma_lender){.ctx = &p->areas[i], .lend = cma_area_lend};
        if (config->host == NULL) {
            cma_pages_add_lender(&p->plain->pages, &p->lenders[i]);
        }
    }
    if (config->nslots != UINT32_MAX) {
        assert_int_equal(cma_guarantees_init(&p->all, p->frames, p->slots,
                                             config->nslots == 0 ? PROMISE_SLOTS : config->nslots),
                         0);
    }
    if (config->no_wait) {
        p->plain->port.wait = NULL;
        p->plain->port.wake = NULL;
    }
    return p;
}

/* Everything holds; `busy`: in the middle of something. */
static inline void promise_check_busy(struct promise *p, bool busy)
{
    struct cma_violation violation = {NULL, 0};

    if (busy) {
        plain_check_busy(p->plain, true);
    } else {
        plain_check(p->plain);
    }
    for (uint32_t i = 0; i < p->nareas; i++) {
        if (!cma_area_check(&p->areas[i], &violation)) {
            fail_msg("%s, at frame %#llx", violation.what, (unsigned long long)violation.pfn);
        }
    }
    if (p->frames->slots != NULL && !cma_guarantees_check(&p->all, &violation)) {
        fail_msg("%s, at frame %#llx", violation.what, (unsigned long long)violation.pfn);
    }
}

static inline void promise_check(struct promise *p)
{
    promise_check_busy(p, false);
}

static inline void promise_destroy(struct promise *p)
{
    promise_check(p);
    free(p->caches);
    plain_destroy(p->plain);
    free(p);
}

/* --- guarantees ----------------------------------------------------------------------------- */

static inline struct cma_guarantee_request promise_request(uint64_t npages, uint32_t count,
                                                           uint32_t max_moves)
{
    return (struct cma_guarantee_request){
        .npages = npages, .count = count, .max_moves = max_moves, .owner = 9};
}

static inline int promise_try(struct promise *p, struct cma_guarantee *guarantee,
                              const struct cma_guarantee_request *request,
                              struct cma_admission *why)
{
    int error = cma_guarantee_admit(&p->all, guarantee, &p->areas[0], request, why);

    promise_check(p);
    return error;
}

static inline void promise_admit(struct promise *p, struct cma_guarantee *guarantee,
                                 uint64_t npages, uint32_t count, uint32_t max_moves)
{
    struct cma_guarantee_request request = promise_request(npages, count, max_moves);
    struct cma_admission why = {{0}, 0, 0};
    int error = promise_try(p, guarantee, &request, &why);

    if (error != 0) {
        fail_msg("not admitted: %s (%s), possible %u, %llu", cma_strerror(error),
                 cma_reason_name(why.refusal.reason), why.possible_count,
                 (unsigned long long)why.possible_npages);
    }
}

static inline struct cma_slot_info promise_slot(struct promise *p, uint32_t index)
{
    struct cma_slot_info info;

    assert_int_equal(cma_guarantees_slot(&p->all, index, &info), 0);
    return info;
}

static inline struct cma_guarantee_stats promise_stats(const struct cma_guarantee *guarantee)
{
    struct cma_guarantee_stats stats;

    cma_guarantee_stats(guarantee, &stats);
    return stats;
}

static inline struct cma_area_stats promise_area_stats(struct promise *p)
{
    struct cma_area_stats stats;

    cma_area_stats(&p->areas[0], &stats);
    return stats;
}

/* Takes a block, which must work, within its bounds, and with the work told as it was done. */
static inline cma_pfn_t promise_take_work(struct promise *p, struct cma_guarantee *guarantee,
                                          struct cma_guarantee_work *work)
{
    struct plain *plain = p->plain;
    uint32_t copies = plain->copies, discards = plain->discards, flushes = plain->flushes;
    const struct cma_guarantee_request *request = &guarantee->request;
    struct cma_refusal refusal = {0};
    cma_pfn_t pfn = CMA_PFN_NONE;
    int error = cma_guarantee_take(guarantee, &pfn, work, &refusal);
    struct cma_frame_info info;

    if (error != 0) {
        fail_msg("not taken: %s (%s)", cma_strerror(error), cma_reason_name(refusal.reason));
    }
    assert_int_equal(work->copied, plain->copies - copies);
    assert_int_equal(work->dropped, plain->discards - discards);
    assert_int_equal(work->flushes, plain->flushes - flushes);
    assert_true(work->copied <= request->max_moves);
    assert_true(request->group != NULL || work->dropped <= request->npages);
    assert_true(work->flushes <=
                (work->copied + CMA_GUARANTEE_BATCH - 1) / CMA_GUARANTEE_BATCH + 1);
    info = plain_info(plain, pfn);
    assert_int_equal(info.kind, CMA_KIND_CLAIMED);
    assert_int_equal(info.npages, request->npages);
    assert_int_equal(info.cookie, request->owner);
    assert_true(request->align_npages == 0 ||
                (pfn + (request->bus_offset >> PLAIN_SHIFT)) % request->align_npages == 0);
    assert_true(pfn << PLAIN_SHIFT >= request->paddr_first);
    assert_true(request->paddr_last == 0 ||
                ((pfn + request->npages) << PLAIN_SHIFT) - 1 <= request->paddr_last);
    promise_check(p);
    return pfn;
}

static inline cma_pfn_t promise_take(struct promise *p, struct cma_guarantee *guarantee)
{
    struct cma_guarantee_work work;

    return promise_take_work(p, guarantee, &work);
}

static inline void promise_release(struct promise *p, struct cma_guarantee *guarantee,
                                   cma_pfn_t pfn)
{
    assert_int_equal(cma_guarantee_release(guarantee, pfn, true), 0);
    promise_check(p);
}

/* --- others --------------------------------------------------------------------------------- */

/* Asks the page allocator for exactly this frame. */
static inline int promise_borrow(struct promise *p, enum cma_kind kind, uint32_t mover,
                                 uint32_t flags, cma_pfn_t pfn, uint32_t *cookie)
{
    struct cma_pages_request request = {.npages = 1, .flags = flags | CMA_PAGES_NO_LEND};
    cma_pfn_t got;
    int error;

    *cookie = plain_cookie(p->plain);
    request.holder = (struct cma_holder){.kind = kind, .mover = mover, .cookie = *cookie};
    request.paddr_first = pfn << PLAIN_SHIFT;
    request.paddr_last = ((pfn + 1) << PLAIN_SHIFT) - 1;
    error = cma_pages_alloc(&p->plain->pages, &request, &got, NULL);
    if (error == 0) {
        assert_int_equal(got, pfn);
        plain_adopt(p->plain, *cookie, got);
    }
    return error;
}

/* The same, and it must work: returns the handle. */
static inline uint32_t promise_put(struct promise *p, enum cma_kind kind, uint32_t mover,
                                   cma_pfn_t pfn)
{
    uint32_t cookie;
    int error = promise_borrow(p, kind, mover, 0, pfn, &cookie);

    if (error != 0) {
        fail_msg("not lent frame %#llx: %s", (unsigned long long)pfn, cma_strerror(error));
    }
    return cookie;
}

/* Fills frames of a slot with droppable data. Returns the first of npages handles in a row. */
static inline uint32_t promise_fill_slot(struct promise *p, cma_pfn_t pfn, uint64_t npages)
{
    uint32_t first = p->plain->next_cookie;

    for (uint64_t i = 0; i < npages; i++) {
        (void)promise_put(p, CMA_KIND_DROPPABLE, p->plain->sure.number, pfn + i);
    }
    return first;
}

/* Lets a handle's frame go. */
static inline int promise_free(struct promise *p, uint32_t cookie)
{
    struct plain_handle *handle = plain_handle(p->plain, cookie);
    int error = cma_pages_free(&p->plain->pages, handle->pfn, 1, cookie);

    if (error == 0) {
        handle->state = PLAIN_GONE;
    }
    return error;
}

static inline bool promise_is_ordinary(struct promise *p, cma_pfn_t pfn)
{
    struct cma_frame_info info;

    return cma_frame_info(p->frames, pfn, &info) == 0 && !info.in_area;
}

/* Idle frames of ordinary memory in [base + first, base + last), by looking. */
static inline uint32_t promise_idle(struct promise *p, uint64_t first, uint64_t last)
{
    uint32_t idle = 0;

    for (uint64_t i = first; i < last; i++) {
        cma_pfn_t pfn = p->plain->base + i;

        idle += promise_is_ordinary(p, pfn) && plain_info(p->plain, pfn).idle;
    }
    return idle;
}

/* Unmovable data takes ordinary memory in [base + first, base + last) until `left` frames of it
 * are idle, from the top: those that stay are the lowest. */
static inline void promise_use_up(struct promise *p, uint64_t first, uint64_t last, uint32_t left)
{
    struct cma_pages_request request = {.npages = 1,
                                        .holder = {.kind = CMA_KIND_UNMOVABLE, .cookie = 1}};
    uint32_t idle = promise_idle(p, first, last);

    for (uint64_t i = last; i-- > first && idle > left;) {
        cma_pfn_t pfn = p->plain->base + i, got;

        if (promise_is_ordinary(p, pfn) && plain_info(p->plain, pfn).idle) {
            request.paddr_first = pfn << PLAIN_SHIFT;
            request.paddr_last = ((pfn + 1) << PLAIN_SHIFT) - 1;
            assert_int_equal(cma_pages_alloc(&p->plain->pages, &request, &got, NULL), 0);
            idle--;
        }
    }
    assert_int_equal(idle, left);
}

/* Gives one of these frames back. */
static inline void promise_give(struct promise *p, uint64_t index)
{
    assert_int_equal(cma_pages_free(&p->plain->pages, p->plain->base + index, 1, 1), 0);
}

/* As many unmovable pages as can be had, anywhere below paddr_last (0: no limit). */
static inline uint32_t promise_exhaust(struct promise *p, cma_paddr_t paddr_last,
                                       struct cma_refusal *refusal)
{
    struct cma_pages_request request = {
        .npages = 1, .holder = {.kind = CMA_KIND_UNMOVABLE, .cookie = 1}, .paddr_last = paddr_last};
    uint32_t got = 0;
    cma_pfn_t pfn;

    while (cma_pages_alloc(&p->plain->pages, &request, &pfn, refusal) == 0) {
        got++;
    }
    return got;
}

#endif
