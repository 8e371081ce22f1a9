/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * refusals.c - does the change that a refusal names let the request succeed, and is it the
 * smallest?
 *
 *     refusals [--ops N] [--seed S] [--only I] [--verbose]
 *
 * Random small boards, filled with buffers, pages of several movers, pins, references, pages whose
 * mover refuses, slots of guarantees, claims that are paused, and with little room or much.
 * Requests are made of them until one is refused in 200 of N operations (N = 200,000: 1,000
 * refusals). Then the board is as the refusal has seen it. From there, and each time from there
 * again, the same request is refused again; with the change that was named, made for real, it
 * succeeds; where the change is a number, it is refused with one unit less; where another change
 * was named, no frame in place is all that stands in the way; where it is a buffer, no shorter one
 * would do; where none was named, neither a request for one page, nor one without alignment or
 * limit, nor the release of any one buffer does. All state of a board is in one struct that holds
 * all it points to, so going back is a copy of it.
 */
#include <cma/guarantee.h>
#include <cma/pages.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHIFT 12
#define PAGE (1ull << SHIFT)
#define FRAMES 1024 /* at most */
#define MOVERS 5
#define BUFFERS 128
#define OWNER 7 /* of all of them */
#define OPS_A_REFUSAL 200

struct page {
    bool live, refuses;
    enum cma_kind kind;
    uint32_t mover; /* index into movers, MOVERS: unmovable */
    uint32_t pins, refs;
    cma_pfn_t pfn;
};

struct buffer {
    cma_pfn_t pfn;
    uint32_t npages; /* 0: none */
};

static struct board {
    uint64_t random;
    struct cma_port port;
    cma_pfn_t base;
    uint32_t npages, area_first[2], area_npages[2], nareas;
    struct cma_zone zones[2];
    struct cma_range memory[2], reserved[4];
    struct cma_map map;
    struct cma_frames frames;
    struct cma_pages pages;
    struct cma_area areas[2];
    struct cma_size_class classes[2][3];
    struct cma_mover movers[MOVERS];
    struct cma_claim paused;
    struct cma_guarantees all;
    struct cma_slot slots[8];
    struct cma_guarantee guarantees[2];
    struct page page[FRAMES]; /* index: cookie */
    struct buffer buffers[BUFFERS];
    uint64_t storage[8192];
} board, seen;

static uint64_t seed = 1, number;
static bool verbose;
static uint64_t trials, wasted;

static void fail(const char *what, const struct cma_area_request *r, const struct cma_refusal *why)
{
    printf("DIFFERENCE: %s\nat seed %llu, refusal %llu, board of %u pages from %#llx\n", what,
           (unsigned long long)seed, (unsigned long long)number, board.npages,
           (unsigned long long)board.base);
    for (uint32_t i = 0; i < board.nareas; i++)
        printf("area %u: %u pages from %#llx\n", i, board.area_npages[i],
               (unsigned long long)board.areas[i].pfn);
    if (r != NULL)
        printf("request: %llu pages, align %llu, %#llx to %#llx, boundary %#llx, offset %#llx\n",
               (unsigned long long)r->npages, (unsigned long long)r->align_npages,
               (unsigned long long)r->paddr_first, (unsigned long long)r->paddr_last,
               (unsigned long long)r->boundary_nbytes, (unsigned long long)r->bus_offset);
    if (why != NULL)
        printf("refusal: %s (%s), page %#llx; change %d: %llu (%#llx), up to %#llx\n",
               cma_strerror(why->code), cma_reason_name(why->reason), (unsigned long long)why->pfn,
               why->change, (unsigned long long)why->change_value,
               (unsigned long long)why->change_value, (unsigned long long)why->change_paddr_last);
    fflush(stdout);
    exit(1);
}

static void require(bool holds, const char *what)
{
    if (!holds)
        fail(what, NULL, NULL);
}

static uint64_t below(uint64_t n)
{
    uint64_t x = board.random += 0x9e3779b97f4a7c15u;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    x ^= x >> 31;
    return n == 0 ? 0 : x % n;
}

static bool chance(uint32_t per_mille)
{
    return below(1000) < per_mille;
}

/* 1 to last, small ones as likely as large ones. */
static uint64_t spread(uint64_t last)
{
    uint64_t value = last >> below(8);

    return 1 + below(value == 0 ? 1 : value);
}

/* --- the machine and its movers ------------------------------------------------------------- */

static void *port_vaddr(void *ctx, cma_paddr_t paddr)
{
    (void)ctx;
    (void)paddr;
    return NULL;
}

static void port_barrier(void *ctx)
{
    (void)ctx;
}

static void port_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    (void)ctx;
    require(nbytes % PAGE == 0 && (to >= from + nbytes || from >= to + nbytes),
            "a copy of a part of a page, or to where it comes from");
}

static void port_zero(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx;
    (void)paddr;
    (void)nbytes;
}

static struct page *page_of(cma_pfn_t pfn, uint32_t cookie)
{
    require(cookie < FRAMES && board.page[cookie].live && board.page[cookie].pfn == pfn,
            "a mover is asked about a page that it does not have");
    return &board.page[cookie];
}

static int mover_freeze(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    (void)ctx;
    return page_of(pfn, cookie)->refuses ? CMA_EBUSY : 0;
}

static void mover_commit(void *ctx, cma_pfn_t from, cma_pfn_t to, uint32_t cookie)
{
    const struct cma_mover *mover = &board.movers[page_of(from, cookie)->mover];

    (void)ctx;
    require((to << SHIFT) + (PAGE - 1) <= mover->paddr_last, "a page is moved above its limit");
    page_of(from, cookie)->pfn = to;
}

static void mover_abort(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    (void)ctx;
    (void)page_of(pfn, cookie);
}

static int mover_discard(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct page *page = page_of(pfn, cookie);

    (void)ctx;
    require(page->kind == CMA_KIND_DROPPABLE && page->refs == 0 && page->pins == 0,
            "a page is dropped that must stay");
    if (page->refuses)
        return CMA_EBUSY;
    page->live = false;
    return 0;
}

/* --- a board -------------------------------------------------------------------------------- */

static void make_map(void)
{
    uint32_t at = (uint32_t)below(board.npages / 4);

    require(cma_map_init(&board.map, board.memory, 2, board.reserved, 4) == 0 &&
                cma_map_add_memory(&board.map, board.base << SHIFT, board.npages * PAGE, NULL) == 0,
            "the map");
    board.nareas = 1 + (uint32_t)below(2);
    for (uint32_t i = 0; i < board.nareas; i++) {
        struct cma_range range = {.kind = CMA_RANGE_AREA, .name = "area"};
        uint32_t npages = 8 + (uint32_t)below(board.npages / 2 / board.nareas - 8);

        board.area_first[i] = at;
        board.area_npages[i] = npages;
        range.base = (board.base + at) << SHIFT;
        range.nbytes = npages * PAGE;
        require(cma_map_reserve(&board.map, &range, NULL) == 0, "an area in the map");
        at += npages + 1 + (uint32_t)below(board.npages / 8);
    }
}

static void make_movers(void)
{
    for (uint32_t i = 0; i < MOVERS; i++) {
        struct cma_mover *mover = &board.movers[i];
        cma_pfn_t last = board.base + below(board.npages);

        *mover = (struct cma_mover){
            .name = "mover",
            .paddr_last = i == 0 || chance(300) ? CMA_PADDR_MAX : (last << SHIFT) + below(PAGE),
            .flags = i >= 3 ? CMA_MOVER_MAY_REFUSE : 0,
            .freeze = mover_freeze,
            .commit = mover_commit,
            .abort = mover_abort,
            .discard = mover_discard,
        };
        require(cma_mover_register(&board.frames, mover) == (int)i + 1, "a mover's number");
    }
}

/* Up to three size classes, sometimes all of the area. */
static void make_classes(uint32_t index, struct cma_area_config *config)
{
    struct cma_size_class *classes = board.classes[index];
    uint32_t left = board.area_npages[index], smaller = 0;

    if (chance(700))
        return;
    config->classes = classes;
    while (config->nclasses < 3 && left > smaller && chance(700)) {
        struct cma_size_class *part = &classes[config->nclasses++];

        part->npages_max = smaller + (uint32_t)spread(left - smaller);
        part->npages = part->npages_max + (uint32_t)below(left - part->npages_max + 1);
        smaller = part->npages_max;
        left -= part->npages;
    }
}

static void make_table(void)
{
    struct cma_frames_config config = {
        .port = &board.port,
        .block_order = 5 + (uint32_t)below(4),
        .index = below(3) == 0 ? NULL : &cma_frames_index,
        .lanes = (uint32_t)below(3),
    };
    cma_pfn_t cut = board.base + 1 + below(board.npages);

    board.zones[0].last = (cut << SHIFT) - 1;
    board.zones[1].last = CMA_PADDR_MAX;
    if (chance(500)) {
        config.zones = board.zones;
        config.nzones = 2;
    }
    require(cma_frames_size(&board.map, &config) <= sizeof board.storage &&
                cma_frames_init(&board.frames, &board.map, &config, board.storage,
                                sizeof board.storage) == 0 &&
                cma_pages_init(&board.pages, &board.frames) == 0,
            "the table");
    make_movers();
    for (uint32_t i = 0; i < board.nareas; i++) {
        struct cma_area_config area = {
            .name = "area", .lend_class = CMA_LEND_ORDINARY, .engine = &cma_area_engine};

        make_classes(i, &area);
        require(cma_area_init(&board.areas[i], &board.frames, cma_pages_ops(&board.pages),
                              (board.base + board.area_first[i]) << SHIFT, &area) == 0 &&
                    cma_area_activate(&board.areas[i]) == 0,
                "an area");
    }
}

/* Somebody gets the frame, if it is to be had. */
static void make_page(cma_pfn_t pfn, bool in_area, uint32_t pins, uint32_t refs, uint32_t refusals)
{
    uint32_t cookie = (uint32_t)(pfn - board.base);
    struct page *page = &board.page[cookie];
    struct cma_holder holder = {.cookie = cookie};

    page->mover = (uint32_t)below(in_area ? MOVERS : MOVERS + 6);
    /* Droppable pages that nobody vouches for are no room until somebody tries: not outside. */
    page->kind =
        chance(300) && (in_area || page->mover < 3) ? CMA_KIND_DROPPABLE : CMA_KIND_MOVABLE;
    if (page->mover >= MOVERS) {
        page->mover = MOVERS;
        page->kind = CMA_KIND_UNMOVABLE;
    }
    holder.kind = page->kind;
    holder.mover = page->mover == MOVERS ? 0 : page->mover + 1;
    if (in_area) {
        page->live = cma_frame_publish(&board.frames, pfn, &holder) == 0;
    } else {
        /* Not what slots are promised. */
        struct cma_pages_request request = {.npages = 1,
                                            .holder = holder,
                                            .paddr_first = pfn << SHIFT,
                                            .paddr_last = (pfn << SHIFT) + (PAGE - 1)};
        cma_pfn_t got;

        page->live = cma_pages_alloc(&board.pages, &request, &got, NULL) == 0;
    }
    page->pfn = pfn;
    if (!page->live || page->mover == MOVERS)
        return;
    if (page->kind == CMA_KIND_DROPPABLE && chance(300) && cma_frame_keep(&board.frames, pfn) == 0)
        page->kind = CMA_KIND_MOVABLE;
    page->refuses = page->mover >= 3 && chance(refusals);
    if (in_area && chance(pins) && cma_frame_pin_in_place(&board.frames, pfn) == 0)
        page->pins = 1;
    if (in_area && chance(refs) && cma_frame_ref(&board.frames, pfn) == 0)
        page->refs = 1;
}

static void keep_buffer(cma_pfn_t pfn, uint32_t npages)
{
    for (uint32_t i = 0; i < BUFFERS; i++) {
        if (board.buffers[i].npages == 0) {
            board.buffers[i] = (struct buffer){pfn, npages};
            return;
        }
    }
    fail("too many buffers", NULL, NULL);
}

static void make_buffers(uint32_t index)
{
    struct cma_area *area = &board.areas[index];
    uint32_t wanted = chance(500) ? 0 : (uint32_t)below(30);

    for (uint32_t i = 0; i < wanted; i++) {
        struct cma_area_request request = {.npages = spread(area->npages / 2), .owner = OWNER};
        cma_pfn_t pfn;

        request.paddr_first = (area->pfn + below(area->npages)) << SHIFT;
        if (cma_area_alloc(area, &request, &pfn, NULL) == 0) {
            if (chance(600))
                keep_buffer(pfn, (uint32_t)request.npages);
            else
                require(cma_area_release(area, pfn, request.npages, OWNER) == 0, "release");
        }
    }
}

/* Runs of the first area that devices were promised. */
static void make_slots(void)
{
    uint32_t wanted = chance(700) ? 0 : 1 + (uint32_t)below(2);

    require(cma_guarantees_init(&board.all, &board.frames, board.slots, 8) == 0, "guarantees");
    for (uint32_t i = 0; i < wanted; i++) {
        struct cma_guarantee_request request = {.npages = spread(board.area_npages[0] / 4),
                                                .count = 1 + (uint32_t)below(3),
                                                .max_moves = (uint32_t)below(10),
                                                .align_npages = 1ull << below(4),
                                                .owner = OWNER + 1};
        cma_pfn_t pfn;

        if (cma_guarantee_admit(&board.all, &board.guarantees[i], &board.areas[0], &request,
                                NULL) == 0 &&
            chance(400))
            require(cma_guarantee_take(&board.guarantees[i], &pfn, NULL, NULL) == 0, "a block");
    }
}

static void make_pages(void)
{
    static const uint32_t densities[] = {0, 200, 600, 900, 1000};
    static const uint32_t rates[] = {0, 4, 10, 20, 100};
    uint32_t outside = chance(250) ? (uint32_t)below(1000) : 920 + (uint32_t)below(81);

    for (uint32_t i = 0; i < board.nareas; i++) {
        uint32_t inside = densities[below(5)], pins = rates[below(5)], refs = rates[below(2)];
        uint32_t refusals = chance(400) ? 5 + (uint32_t)below(60) : 0;

        while (inside != 0 && cma_area_lend(&board.areas[i], CMA_KIND_MOVABLE)) {
        }
        for (uint32_t j = 0; j < board.area_npages[i]; j++) {
            if (chance(inside))
                make_page(board.areas[i].pfn + j, true, pins, refs, refusals);
        }
    }
    for (uint32_t i = 0; i < board.npages; i++) {
        struct cma_frame_info info;

        if (cma_frame_info(&board.frames, board.base + i, &info) == 0 && !info.in_area &&
            chance(outside))
            make_page(board.base + i, false, 0, 0, 0);
    }
}

static void make_request(struct cma_area_request *request)
{
    const struct cma_area *area = &board.areas[0];

    *request = (struct cma_area_request){.npages = spread(area->npages), .owner = OWNER};
    if (chance(20))
        request->npages += area->npages;
    if (chance(250))
        request->align_npages = 1ull << below(8);
    if (chance(150))
        request->paddr_first = (area->pfn + below(area->npages / 2)) << SHIFT;
    if (chance(200))
        request->paddr_last = ((area->pfn + below(area->npages)) << SHIFT) + below(2 * PAGE) + 1;
    if (request->paddr_last < request->paddr_first)
        request->paddr_first = 0;
    if (chance(150)) {
        request->boundary_nbytes = PAGE;
        while (request->boundary_nbytes < request->npages * PAGE)
            request->boundary_nbytes *= 2;
        request->boundary_nbytes <<= below(2);
    }
    if (chance(100))
        request->bus_offset = below(1u << 20) * PAGE;
    if (chance(200))
        request->flags = CMA_CLAIM_NOWAIT;
}

static void make_board(void)
{
    uint64_t random = board.random;
    struct cma_area_request request;

    memset(&board, 0, sizeof board);
    board.random = random;
    board.port = (struct cma_port){
        .page_shift = SHIFT,
        .cache_line_nbytes = 64,
        .vaddr = port_vaddr,
        .dma_barrier = port_barrier,
        .copy = port_copy,
        .zero = port_zero,
    };
    board.npages = 128 + (uint32_t)below(FRAMES - 128);
    board.base = chance(200) ? 0 : 0x40000 + below(5000);
    make_map();
    make_table();
    for (uint32_t i = 0; i < board.nareas; i++)
        make_buffers(i);
    make_slots();
    make_pages();
    if (chance(150)) {
        int more;

        /* Up to the end of its isolation at least: what is only booked, a quick claim may take. */
        make_request(&request);
        more = cma_claim_start(&board.paused, &board.areas[0], &request) == 0;
        while (more == 1 && board.paused.state != CMA_CLAIM_EVACUATE)
            more = cma_claim_step(&board.paused, 1 + below(20));
        if (board.paused.state == CMA_CLAIM_DONE)
            keep_buffer(board.paused.pfn, (uint32_t)request.npages);
    }
}

/* Refusals. */
struct count {
    uint64_t wanted, no_such_room, room_wasted;
    uint64_t of[CMA_REASON_COUNT][CMA_CHANGE_COUNT];
};

/* --- trials --------------------------------------------------------------------------------- */

static void check(void)
{
    struct cma_violation violation;

    require(cma_frames_check(&board.frames, true, &violation), "cma_frames_check");
    require(cma_area_check(&board.areas[0], &violation), "cma_area_check");
}

/* The request, of the board as it is now; then all is again as the refusal has seen it. */
static bool served(const struct cma_area_request *request)
{
    struct cma_refusal why;
    cma_pfn_t pfn;
    int error = cma_area_alloc(&board.areas[0], request, &pfn, chance(500) ? &why : NULL);

    check();
    trials++;
    wasted = board.areas[0].stats.wasted_copies - seen.areas[0].stats.wasted_copies;
    memcpy(&board, &seen, sizeof board);
    return error == 0;
}

/* Lets the frame go, as far as its holder can. False: there is nothing in place. */
static bool let_go(cma_pfn_t pfn)
{
    struct cma_frame_info info;
    struct page *page;

    require(cma_frame_info(&board.frames, pfn, &info) == 0, "a frame that is not tracked");
    if (info.kind != CMA_KIND_MOVABLE && info.kind != CMA_KIND_DROPPABLE)
        return false;
    page = page_of(pfn, info.cookie);
    if (page->pins == 0 && page->refs == 0 && !page->refuses)
        return false;
    for (; page->pins > 0; page->pins--)
        require(cma_frame_unpin(&board.frames, pfn) == 0, "unpin");
    for (; page->refs > 0; page->refs--)
        require(cma_frame_unref(&board.frames, pfn) == 0, "unref");
    page->refuses = false;
    return true;
}

static bool release(const struct buffer *buffer)
{
    return buffer->npages != 0 &&
           cma_area_release(&board.areas[0], buffer->pfn, buffer->npages, OWNER) == 0;
}

/* Frees so many pages of ordinary memory up to an address that were no room; the highest ones, or
 * the lowest. False: there are not so many. */
static bool make_room(uint64_t npages, cma_paddr_t paddr_last, bool highest)
{
    for (uint32_t i = 0; i < board.npages && npages > 0; i++) {
        uint32_t at = highest ? board.npages - 1 - i : i;
        cma_pfn_t pfn = board.base + at;
        struct cma_frame_info info;

        if ((pfn << SHIFT) + (PAGE - 1) > paddr_last ||
            cma_frame_info(&board.frames, pfn, &info) != 0 || info.in_area || info.idle ||
            info.kind == CMA_KIND_DROPPABLE)
            continue;
        require(cma_frame_release(&board.frames, pfn) == 1, "freeing a page");
        board.page[info.cookie].live = false;
        npages--;
    }
    return npages == 0;
}

/* Is one unit less of the change refused? True too where there is none. */
static bool less_is_refused(const struct cma_area_request *request, const struct cma_refusal *why)
{
    struct cma_area_request less = *request;

    switch (why->change) {
    case CMA_CHANGE_NPAGES: less.npages = why->change_value + 1; break;
    case CMA_CHANGE_ALIGN: less.align_npages = why->change_value * 2; break;
    case CMA_CHANGE_LIMIT:
        less.paddr_last = why->change_value - PAGE;
        if (less.paddr_last < less.paddr_first || less.paddr_last > why->change_value)
            return true;
        break;
    case CMA_CHANGE_ROOM:
        if (why->change_value == 0 ||
            !make_room(why->change_value - 1, why->change_paddr_last, false))
            fail("room of nothing", request, why);
        break;
    default: return true;
    }
    return !served(&less);
}

/* The change, made. 1: it does; 0: it does not; -1: it can't be tried on this board. */
static int change_does(const struct cma_area_request *request, const struct cma_refusal *why)
{
    struct cma_area_request changed = *request;

    switch (why->change) {
    case CMA_CHANGE_FRAME:
        if (!let_go(why->change_value))
            fail("the frame is not held in place", request, why);
        break;
    case CMA_CHANGE_ROOM:
        if (!make_room(why->change_value, why->change_paddr_last, true)) {
            memcpy(&board, &seen, sizeof board);
            return -1;
        }
        break;
    case CMA_CHANGE_ALIGN: changed.align_npages = why->change_value; break;
    case CMA_CHANGE_LIMIT: changed.paddr_last = why->change_value; break;
    case CMA_CHANGE_NPAGES: changed.npages = why->change_value; break;
    case CMA_CHANGE_RELEASE:
        for (uint32_t i = 0; i < BUFFERS; i++) {
            if (board.buffers[i].npages != 0 && board.buffers[i].pfn == why->change_value &&
                release(&board.buffers[i]))
                return served(&changed);
        }
        fail("no buffer begins there", request, why);
        break;
    default: break;
    }
    return served(&changed);
}

/* Would something have done that counts as smaller? */
static void judge_smallest(const struct cma_area_request *request, const struct cma_refusal *why)
{
    struct cma_area_request other = *request;
    uint32_t longest = 0;

    for (uint32_t i = 0; i < board.area_npages[0] && why->change != CMA_CHANGE_FRAME; i++) {
        if (let_go(board.areas[0].pfn + i) && served(request))
            fail("a frame in place was all that stood in the way", request, why);
    }
    if (why->change == CMA_CHANGE_NONE) {
        longest = UINT32_MAX;
        other.npages = 1;
        if (served(&other))
            fail("a page could have been had", request, why);
        other = *request;
        other.align_npages = 0;
        if (served(&other))
            fail("it was the alignment", request, why);
        other = *request;
        other.paddr_last = 0;
        if (served(&other))
            fail("it was the limit", request, why);
    }
    for (uint32_t i = 0; i < BUFFERS && why->change == CMA_CHANGE_RELEASE; i++) {
        if (board.buffers[i].pfn == why->change_value)
            longest = board.buffers[i].npages;
    }
    for (uint32_t i = 0; i < BUFFERS; i++) {
        if (board.buffers[i].npages < longest && release(&board.buffers[i]) && served(request))
            fail("a shorter buffer was all that stood in the way", request, why);
    }
}

/* Returns false for a refusal that does not count. */
static bool judge(const struct cma_area_request *request, const struct cma_refusal *why,
                  struct count *count)
{
    int does;

    check();
    memcpy(&seen, &board, sizeof board);
    if (verbose)
        printf("%llu: %s, change %d: %#llx\n", (unsigned long long)number,
               cma_reason_name(why->reason), why->change, (unsigned long long)why->change_value);
    if (why->change >= CMA_CHANGE_COUNT)
        fail("no such change", request, why);
    if (served(request))
        fail("refused once, and then not", request, why);
    if (why->change != CMA_CHANGE_NONE) {
        does = change_does(request, why);
        if (does < 0) {
            count->no_such_room++;
            return false;
        }
        if (does == 0 && wasted != 0) {
            /* A mover refused in a window that was tried before, after so many copies: they have
             * taken the room that there was. Nobody can know that without having tried. */
            count->room_wasted++;
            return false;
        }
        if (does == 0)
            fail("the change does not do", request, why);
        if (!less_is_refused(request, why))
            fail("less would have done", request, why);
    }
    judge_smallest(request, why);
    return true;
}

/* --- the run -------------------------------------------------------------------------------- */

static void report(const struct count *count)
{
    static const char *const names[] = {"none",  "frame",  "room",   "align",
                                        "limit", "npages", "release"};
    uint64_t sums[CMA_CHANGE_COUNT] = {0};

    printf("%-28s", "refused for");
    for (uint32_t i = 0; i < CMA_CHANGE_COUNT; i++)
        printf("%8s", names[i]);
    for (uint32_t reason = 0; reason < CMA_REASON_COUNT; reason++) {
        uint64_t sum = 0;

        for (uint32_t i = 0; i < CMA_CHANGE_COUNT; i++)
            sum += count->of[reason][i];
        if (sum == 0)
            continue;
        printf("\n%-28s", cma_reason_name((enum cma_reason)reason));
        for (uint32_t i = 0; i < CMA_CHANGE_COUNT; i++) {
            printf("%8llu", (unsigned long long)count->of[reason][i]);
            sums[i] += count->of[reason][i];
        }
    }
    printf("\n%-28s", "all");
    for (uint32_t i = 0; i < CMA_CHANGE_COUNT; i++)
        printf("%8llu", (unsigned long long)sums[i]);
    printf(
        "\nnot counted: %llu asked for room that the board can't make, in %llu copies for windows "
        "that a mover then refused took the room\n",
        (unsigned long long)count->no_such_room, (unsigned long long)count->room_wasted);
    printf("%llu refusals, seed %llu: each change does, and less does not (%llu trials)\n",
           (unsigned long long)count->wanted, (unsigned long long)seed, (unsigned long long)trials);
    require(count->room_wasted * 200 <= count->wanted, "room is wasted too often");
    for (uint32_t i = 0; i < CMA_CHANGE_COUNT && count->wanted >= 1000; i++)
        require(i == CMA_CHANGE_NONE || sums[i] * 50 >= count->wanted, "a change hardly occurs");
}

/* A board and a request that it refuses. */
static void find_refusal(struct cma_area_request *request, struct cma_refusal *why)
{
    uint32_t tries = 0;
    cma_pfn_t pfn;

    for (;;) {
        if (tries++ % 30 == 0)
            make_board();
        make_request(request);
        if (cma_area_alloc(&board.areas[0], request, &pfn, why) != 0)
            return;
        require(cma_area_release(&board.areas[0], pfn, request->npages, OWNER) == 0, "release");
    }
}

int main(int argc, char **argv)
{
    static struct count count = {.wanted = 1000};
    uint64_t only = UINT64_MAX, done = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0)
            verbose = true;
        else if (strcmp(argv[i], "--ops") == 0 && i + 1 < argc)
            count.wanted = strtoull(argv[++i], NULL, 0) / OPS_A_REFUSAL;
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 0);
        else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
            only = strtoull(argv[++i], NULL, 0);
        else
            return fprintf(stderr, "usage: refusals [--ops N] [--seed S] [--only I]\n"), 2;
    }
    for (number = only == UINT64_MAX ? 0 : only; done < count.wanted; number++) {
        struct cma_refusal why = {0};
        struct cma_area_request request;

        /* Each refusal from a seed of its own, so that one alone can be seen again. */
        board.random = seed * 0x2545f4914f6cdd1du + number * 0x9e3779b97f4a7c15u;
        find_refusal(&request, &why);
        if (judge(&request, &why, &count)) {
            count.of[why.reason][why.change]++;
            done++;
        }
        if (number == only)
            return 0;
    }
    report(&count);
    return 0;
}
