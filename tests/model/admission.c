/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admission.c - how often is a guarantee admitted that could be, and are refusals honest?
 *
 *     admission [--ops N] [--seed S] [--only I] [--verbose]
 *
 * Random small boards: fragmented by others' buffers, pins, references and pages whose mover
 * refuses, with kept data under limits and little room for it elsewhere, slots of earlier
 * guarantees with data in them, size classes, groups. One guarantee is asked for on each of N / 200
 * boards (N = 200,000: 1,000 boards). Before that, an exhaustive search over all sets of windows
 * decides whether it can be had. It reads the board frame by frame through cma_frame_info, and
 * counts room for each limit. What that refuses is never admitted; what it accepts is, in at least
 * 95 % of the cases. What was admitted can be had: its slots are filled with data, ordinary memory
 * is used up, and all blocks are taken within their bounds. A refusal changes no slot. What it says
 * would be admitted instead is; how often it is the most that the exhaustive search finds is told,
 * and so is what was copied before a refusal. All state of a board is in one struct that holds all
 * it points to, so going back is a copy of it.
 */
#include <cma/guarantee.h>
#include <cma/pages.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHIFT 12
#define PAGE (1ull << SHIFT)
#define FRAMES 512 /* at most */
#define AREA 128   /* at most */
#define MOVERS 5   /* from SURE on: they may refuse */
#define SURE 3
#define BUFFERS 32
#define EARLIER 4
#define SLOTS 24
#define COUNT 4 /* blocks of a request, at most */
#define OWNER 7 /* of all buffers */
#define OPS_A_BOARD 200

struct page {
    bool live, refuses;
    enum cma_kind kind;
    uint32_t mover; /* index into movers, MOVERS: unmovable */
    cma_pfn_t pfn;
};

static struct board {
    uint64_t random;
    struct cma_port port;
    cma_pfn_t base;
    uint32_t npages, area_first, area_npages;
    struct cma_zone zones[2];
    uint32_t nzones;
    struct cma_range memory[2], reserved[2];
    struct cma_map map;
    struct cma_frames frames;
    struct cma_pages pages;
    struct cma_area area;
    struct cma_size_class classes[2];
    uint32_t nclasses;
    struct cma_mover movers[MOVERS];
    struct page page[FRAMES]; /* index: cookie */
    struct cma_guarantees all;
    struct cma_slot slots[SLOTS];
    struct cma_guarantee_group group;
    struct cma_guarantee earlier[EARLIER], asked;
    bool refusers; /* somebody refuses */
    uint32_t copies, discards, flushes;
    uint64_t storage[4096];
} board, seen;

static uint64_t seed = 1, number;
static bool verbose;

static void describe(const struct cma_guarantee_request *r, const struct cma_admission *why)
{
    printf("at seed %llu, board %llu of %u pages from %#llx, area of %u from %#llx, %u classes\n",
           (unsigned long long)seed, (unsigned long long)number, board.npages,
           (unsigned long long)board.base, board.area_npages, (unsigned long long)board.area.pfn,
           board.nclasses);
    if (r != NULL)
        printf("request: %u of %llu pages, %u moves, align %llu, %#llx to %#llx, boundary %#llx, "
               "offset %#llx%s\n",
               r->count, (unsigned long long)r->npages, r->max_moves,
               (unsigned long long)r->align_npages, (unsigned long long)r->paddr_first,
               (unsigned long long)r->paddr_last, (unsigned long long)r->boundary_nbytes,
               (unsigned long long)r->bus_offset, r->group != NULL ? ", in the group" : "");
    if (why != NULL)
        printf("refusal: %s (%s), page %#llx; possible: %u, %llu pages\n",
               cma_strerror(why->refusal.code), cma_reason_name(why->refusal.reason),
               (unsigned long long)why->refusal.pfn, why->possible_count,
               (unsigned long long)why->possible_npages);
}

static void fail(const char *what, const struct cma_guarantee_request *r,
                 const struct cma_admission *why)
{
    printf("DIFFERENCE: %s\n", what);
    describe(r, why);
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

static void port_flush(void *ctx)
{
    (void)ctx;
    board.flushes++;
}

static void port_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    (void)ctx;
    require(nbytes % PAGE == 0 && (to >= from + nbytes || from >= to + nbytes),
            "a copy of a part of a page, or to where it comes from");
    board.copies += (uint32_t)(nbytes / PAGE);
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
    require(page->kind == CMA_KIND_DROPPABLE, "a page is dropped that must stay");
    if (page->refuses)
        return CMA_EBUSY;
    page->live = false;
    board.discards++;
    return 0;
}

/* --- a board -------------------------------------------------------------------------------- */

static void check(void)
{
    struct cma_violation violation = {NULL, 0};

    if (!cma_frames_check(&board.frames, false, &violation) ||
        !cma_area_check(&board.area, &violation) || !cma_guarantees_check(&board.all, &violation)) {
        printf("%s, frame %#llx\n", violation.what, (unsigned long long)violation.pfn);
        fail("a check", NULL, NULL);
    }
}

static void make_movers(void)
{
    for (uint32_t i = 0; i < MOVERS; i++) {
        struct cma_mover *mover = &board.movers[i];
        cma_pfn_t last = board.base + below(board.npages);

        *mover = (struct cma_mover){
            .name = "mover",
            .paddr_last = (last << SHIFT) + below(PAGE),
            .flags = i >= SURE ? CMA_MOVER_MAY_REFUSE : 0,
            .freeze = mover_freeze,
            .commit = mover_commit,
            .abort = mover_abort,
            .discard = mover_discard,
        };
        if (i == 0 || chance(300))
            mover->paddr_last = CMA_PADDR_MAX;
        else if (board.nzones == 2 && chance(600))
            mover->paddr_last = board.zones[0].last;
        require(cma_mover_register(&board.frames, mover) == (int)i + 1, "a mover's number");
    }
}

static void make_table(void)
{
    struct cma_range range = {.kind = CMA_RANGE_AREA, .name = "area"};
    struct cma_frames_config config = {
        .port = &board.port,
        .block_order = 5 + (uint32_t)below(3),
        .index = below(3) == 0 ? NULL : &cma_frames_index,
        .lanes = (uint32_t)below(3),
        .lane_npages = 32,
    };
    struct cma_area_config area = {.name = "area",
                                   .lend_class = CMA_LEND_ORDINARY,
                                   .engine = chance(750) ? &cma_area_engine : NULL};
    cma_pfn_t cut = board.base + 1 + below(board.npages);

    require(cma_map_init(&board.map, board.memory, 2, board.reserved, 2) == 0 &&
                cma_map_add_memory(&board.map, board.base << SHIFT, board.npages * PAGE, NULL) == 0,
            "the map");
    range.base = (board.base + board.area_first) << SHIFT;
    range.nbytes = board.area_npages * PAGE;
    require(cma_map_reserve(&board.map, &range, NULL) == 0, "an area in the map");
    board.zones[0].last = (cut << SHIFT) - 1;
    board.zones[1].last = CMA_PADDR_MAX;
    board.nzones = chance(500) ? 2 : 0;
    config.zones = board.nzones == 2 ? board.zones : NULL;
    config.nzones = board.nzones;
    require(cma_frames_size(&board.map, &config) <= sizeof board.storage &&
                cma_frames_init(&board.frames, &board.map, &config, board.storage,
                                sizeof board.storage) == 0 &&
                cma_pages_init(&board.pages, &board.frames) == 0,
            "the table");
    make_movers();
    if (area.engine != NULL && chance(150) && board.area_npages >= 48) {
        board.nclasses = 2;
        board.classes[0] = (struct cma_size_class){4, 8 + (uint32_t)below(9)};
        board.classes[1] = (struct cma_size_class){10, 12 + (uint32_t)below(9)};
        area.classes = board.classes;
        area.nclasses = 2;
    }
    require(cma_area_init(&board.area, &board.frames, cma_pages_ops(&board.pages), range.base,
                          &area) == 0 &&
                cma_area_activate(&board.area) == 0 &&
                cma_guarantees_init(&board.all, &board.frames, board.slots, SLOTS) == 0,
            "an area and guarantees");
}

/* Somebody gets the frame, if it is to be had. */
static void make_page(cma_pfn_t pfn, bool in_area, uint32_t pins, uint32_t refs, uint32_t refusals)
{
    uint32_t cookie = (uint32_t)(pfn - board.base);
    struct page *page = &board.page[cookie];
    struct cma_pages_request request = {.npages = 1,
                                        .paddr_first = pfn << SHIFT,
                                        .paddr_last = (pfn << SHIFT) + PAGE - 1,
                                        .flags = CMA_PAGES_NO_LEND};
    cma_pfn_t got;

    page->mover = (uint32_t)below(in_area ? MOVERS : MOVERS + 6);
    /* Droppable pages that nobody vouches for are no room until somebody tries: not outside. */
    page->kind =
        chance(300) && (in_area || page->mover < SURE) ? CMA_KIND_DROPPABLE : CMA_KIND_MOVABLE;
    if (page->mover >= MOVERS) {
        page->mover = MOVERS;
        page->kind = CMA_KIND_UNMOVABLE;
    }
    request.holder.cookie = cookie;
    request.holder.kind = page->kind;
    request.holder.mover = page->mover == MOVERS ? 0 : page->mover + 1;
    page->live = cma_pages_alloc(&board.pages, &request, &got, NULL) == 0;
    page->pfn = pfn;
    if (!page->live || page->mover == MOVERS)
        return;
    require(got == pfn, "a page elsewhere");
    page->refuses = page->mover >= SURE && chance(refusals);
    board.refusers = board.refusers || page->refuses;
    if (in_area && chance(pins))
        require(cma_frame_pin_in_place(&board.frames, pfn) == 0, "a pin");
    else if (in_area && chance(refs))
        require(cma_frame_ref(&board.frames, pfn) == 0, "a reference");
}

static void make_buffers(void)
{
    uint32_t wanted = chance(500) ? 0 : (uint32_t)below(BUFFERS);

    for (uint32_t i = 0; i < wanted; i++) {
        struct cma_area_request request = {.npages = 1 + below(1 + board.area_npages / 8),
                                           .owner = OWNER};
        cma_pfn_t pfn;

        request.paddr_first = (board.area.pfn + below(board.area_npages)) << SHIFT;
        if (cma_area_alloc(&board.area, &request, &pfn, NULL) == 0 && chance(600))
            require(cma_area_release(&board.area, pfn, request.npages, OWNER) == 0, "release");
    }
}

static void make_pages(void)
{
    static const uint32_t densities[] = {0, 200, 600, 900, 1000};
    static const uint32_t rates[] = {0, 4, 10, 20, 60};
    uint32_t outside = chance(250) ? (uint32_t)below(1000) : 900 + (uint32_t)below(101);
    uint32_t inside = densities[below(5)], pins = rates[below(5)], refs = rates[below(2)];
    uint32_t refusals = chance(200) ? 5 + (uint32_t)below(60) : 0;

    while (inside != 0 && cma_area_lend(&board.area, CMA_KIND_MOVABLE)) {
    }
    for (uint32_t i = 0; i < board.npages; i++) {
        struct cma_frame_info info;

        if (cma_frame_info(&board.frames, board.base + i, &info) != 0)
            continue;
        if (info.slot && info.kind == CMA_KIND_NONE && chance(700))
            make_page(board.base + i, true, 0, 0, 0);
        else if (info.idle && chance(info.in_area ? inside : outside))
            make_page(board.base + i, info.in_area, info.in_area ? pins : 0,
                      info.in_area ? refs : 0, info.in_area ? refusals : 0);
    }
}

static void make_request(struct cma_guarantee_request *request, uint64_t most)
{
    *request = (struct cma_guarantee_request){.count = 1 + (uint32_t)below(COUNT), .owner = 3};
    request->npages = 1 + below(most * 3 / 4 / request->count);
    request->max_moves = chance(300) ? 0 : (uint32_t)below(request->npages + 2);
    if (chance(250))
        request->align_npages = 1ull << below(6);
    if (chance(100))
        request->paddr_first = (board.area.pfn + below(board.area_npages / 2)) << SHIFT;
    if (chance(150))
        request->paddr_last =
            ((board.area.pfn + below(board.area_npages)) << SHIFT) + below(2 * PAGE) + 1;
    if (request->paddr_last < request->paddr_first)
        request->paddr_last = 0;
    if (chance(150)) {
        request->boundary_nbytes = PAGE;
        while (request->boundary_nbytes < request->npages * PAGE)
            request->boundary_nbytes *= 2;
        request->boundary_nbytes <<= below(2);
    }
    if (chance(100))
        request->bus_offset = below(1u << 20) * PAGE;
    if (chance(350))
        request->group = &board.group;
}

static void make_board(void)
{
    uint64_t random = board.random;
    uint32_t wanted;

    memset(&board, 0, sizeof board);
    board.random = random;
    board.port = (struct cma_port){
        .page_shift = SHIFT,
        .cache_line_nbytes = 64,
        .vaddr = port_vaddr,
        .dma_barrier = port_barrier,
        .tlb_flush = port_flush,
        .copy = port_copy,
        .zero = port_zero,
    };
    board.npages = 64 + (uint32_t)below(FRAMES - 64);
    board.base = chance(200) ? 0 : 0x40000 + below(5000);
    board.area_npages =
        16 + (uint32_t)below((board.npages / 2 < AREA ? board.npages / 2 : AREA) - 15);
    board.area_first = 1 + (uint32_t)below(board.npages - board.area_npages - 1);
    make_table();
    make_buffers();
    wanted = (uint32_t)below(EARLIER + 1);
    for (uint32_t i = 0; i < wanted; i++) {
        struct cma_guarantee_request request;

        make_request(&request, board.area_npages / 3);
        if (cma_guarantee_admit(&board.all, &board.earlier[i], &board.area, &request, NULL) != 0)
            memset(&board.earlier[i], 0, sizeof board.earlier[i]);
    }
    make_pages();
    check();
}

/* --- the exhaustive search ------------------------------------------------------------------ */

/* A board as it looks, frame by frame. */
static struct look {
    struct cma_frame_info info[FRAMES];
    bool tracked[FRAMES];
    bool blocked[AREA];     /* no window can have this frame of the area */
    cma_paddr_t kept[AREA]; /* the limit of what is kept there; 0: nothing is */
    cma_paddr_t limits[MOVERS + 2];
    uint32_t nlimits;
    int64_t room[MOVERS + 2]; /* for data with each limit */
    struct cma_slot_info own[SLOTS];
    uint32_t nown; /* slots of the group */
} look;

static cma_paddr_t paddr_end(uint32_t frame)
{
    return ((board.base + frame) << SHIFT) + (PAGE - 1);
}

/* Data with this limit, kept in a slot, is promised memory up to here. */
static cma_paddr_t promised_end(cma_paddr_t limit)
{
    return board.nzones == 2 && limit < CMA_PADDR_MAX ? board.zones[0].last : CMA_PADDR_MAX;
}

static void look_limit(cma_paddr_t limit)
{
    for (uint32_t i = 0; i < look.nlimits; i++) {
        if (look.limits[i] == limit)
            return;
    }
    look.limits[look.nlimits++] = limit;
}

/* Frames up to each limit that data can move to: idle ones and droppable ones of ordinary memory,
 * but for what is promised up to there, or to the end of the zone of the limit. */
static void look_room(void)
{
    for (uint32_t k = 0; k < look.nlimits; k++) {
        cma_paddr_t limit = look.limits[k];

        look.room[k] = 0;
        for (uint32_t i = 0; i < board.npages; i++) {
            const struct cma_frame_info *info = &look.info[i];

            if (!look.tracked[i])
                continue;
            if (!info->in_area && paddr_end(i) <= limit)
                look.room[k] +=
                    info->idle || (info->kind == CMA_KIND_DROPPABLE && info->mover <= SURE &&
                                   info->pins == 0 && info->refs == 0);
            if (info->slot && info->kind == CMA_KIND_MOVABLE)
                look.room[k] -= promised_end(board.movers[info->mover - 1].paddr_last) <= limit;
        }
    }
}

static void look_area(void)
{
    for (uint32_t i = 0; i < board.area_npages; i++) {
        uint32_t frame = board.area_first + i;
        const struct cma_frame_info *info = &look.info[frame];
        const struct page *page = &board.page[info->cookie % FRAMES];
        bool held = info->kind == CMA_KIND_MOVABLE || info->kind == CMA_KIND_DROPPABLE;

        look.blocked[i] = look.blocked[i] || info->slot || info->pins != 0 || info->refs != 0 ||
                          (!info->idle && !held) || (held && page->refuses);
        look.kept[i] = info->kind == CMA_KIND_MOVABLE && !look.blocked[i]
                           ? board.movers[info->mover - 1].paddr_last
                           : 0;
        for (uint32_t j = 1; info->kind == CMA_KIND_CLAIMED && j < info->npages; j++)
            look.blocked[i + j] = true;
    }
}

static void look_at_board(void)
{
    memset(&look, 0, sizeof look);
    for (uint32_t i = 0; i < board.npages; i++)
        look.tracked[i] = cma_frame_info(&board.frames, board.base + i, &look.info[i]) == 0;
    for (uint32_t i = 0; i < MOVERS; i++)
        look_limit(board.movers[i].paddr_last);
    if (board.nzones == 2)
        look_limit(board.zones[0].last);
    look_limit(CMA_PADDR_MAX);
    look_room();
    look_area();
}

/* The part of the area that requests of this length may use. */
static void part_of(uint64_t npages, uint32_t *first, uint32_t *end)
{
    *first = 0;
    *end = board.area_npages;
    for (uint32_t i = 0; i < board.nclasses; i++) {
        if (npages <= board.classes[i].npages_max) {
            *end = *first + board.classes[i].npages;
            return;
        }
        *first += board.classes[i].npages;
    }
}

/* Does a block fit the request here (a page of the area)? */
static bool suits(const struct cma_guarantee_request *request, uint64_t at)
{
    uint64_t pfn = board.area.pfn + at, npages = request->npages;
    uint64_t bus = (pfn << SHIFT) + request->bus_offset;
    uint64_t last = bus + npages * PAGE - 1;
    uint32_t first, end;

    part_of(npages, &first, &end);
    return at >= first && at + npages <= end && pfn << SHIFT >= request->paddr_first &&
           (request->paddr_last == 0 || ((pfn + npages) << SHIFT) - 1 <= request->paddr_last) &&
           (request->align_npages == 0 || (bus >> SHIFT) % request->align_npages == 0) &&
           (request->boundary_nbytes == 0 ||
            bus / request->boundary_nbytes == last / request->boundary_nbytes);
}

/* Adds (or takes away) what the window keeps; false: that is more than there is room for. */
static bool add_window(int64_t *used, uint32_t at, uint64_t npages, int64_t by)
{
    bool fits = true;

    for (uint32_t k = 0; k < look.nlimits; k++) {
        for (uint64_t i = at; i < at + npages; i++)
            used[k] += look.kept[i] != 0 && look.kept[i] <= look.limits[k] ? by : 0;
        fits = fits && used[k] <= look.room[k];
    }
    return fits;
}

/* All sets of `count` windows at or above `from`, until one fits. */
static bool search(const struct cma_guarantee_request *request, const bool *window, uint32_t count,
                   uint32_t from, int64_t *used)
{
    if (count == 0)
        return true;
    for (uint32_t at = from; at + count * request->npages <= board.area_npages; at++) {
        bool found;

        if (!window[at])
            continue;
        found = add_window(used, at, request->npages, 1) &&
                search(request, window, count - 1, at + (uint32_t)request->npages, used);
        (void)add_window(used, at, request->npages, -1);
        if (found)
            return true;
    }
    return false;
}

static bool can_be_had(const struct cma_guarantee_request *request)
{
    int64_t used[MOVERS + 2] = {0};
    bool window[AREA] = {false};
    uint32_t shared = 0, spare = SLOTS;
    struct cma_slot_info info;

    for (uint32_t i = 0; request->group != NULL && i < look.nown; i++) {
        for (uint64_t at = look.own[i].pfn;
             at + request->npages <= look.own[i].pfn + look.own[i].npages; at++) {
            if (suits(request, at - board.area.pfn)) {
                shared++;
                break;
            }
        }
    }
    for (uint32_t at = 0; at + request->npages <= board.area_npages; at++) {
        window[at] = suits(request, at);
        for (uint64_t i = at; i < at + request->npages; i++)
            window[at] = window[at] && !look.blocked[i];
    }
    for (uint32_t i = 0; cma_guarantees_slot(&board.all, i, &info) == 0; i++)
        spare--;
    if (shared >= request->count)
        return true;
    return request->count - shared <= spare &&
           search(request, window, request->count - shared, 0, used);
}

/* Slots of the group: those of its members that were admitted before. */
static void look_at_group(void)
{
    struct cma_slot_info info;

    for (uint32_t i = 0; cma_guarantees_slot(&board.all, i, &info) == 0; i++) {
        for (uint32_t j = 0; j < SLOTS; j++) {
            const struct cma_slot *slot = &board.slots[j];

            if (slot->npages != 0 && slot->pfn == info.pfn && slot->first != NULL &&
                slot->first->request.group != NULL) {
                look.own[look.nown++] = info;
                break;
            }
        }
    }
}

/* The board, a letter a page. Ordinary memory: i idle, d droppable, # held. The area: . idle,
 * x blocked, d droppable, a digit: kept by that mover; behind these, slots: + free, D, K. */
static void show(void)
{
    printf("zones end at %#llx; movers' limits:", (unsigned long long)board.zones[0].last);
    for (uint32_t i = 0; i < MOVERS; i++)
        printf(" %#llx", (unsigned long long)board.movers[i].paddr_last);
    for (uint32_t i = 0; i < board.npages; i++) {
        const struct cma_frame_info *info = &look.info[i];
        char letter = info->kind == CMA_KIND_DROPPABLE ? 'd' : info->idle ? 'i' : '#';

        if (info->in_area) {
            letter = info->idle                           ? '.'
                     : look.blocked[i - board.area_first] ? 'x'
                     : info->kind == CMA_KIND_DROPPABLE   ? 'd'
                                                          : (char)('0' + info->mover);
        }
        if (info->slot)
            letter = info->kind == CMA_KIND_DROPPABLE ? 'D'
                     : info->kind == CMA_KIND_MOVABLE ? 'K'
                                                      : '+';
        printf("%s%c", i % 64 == 0 ? "\n" : "", look.tracked[i] ? letter : ' ');
    }
    printf("\n");
}

/* --- judging -------------------------------------------------------------------------------- */

struct result {
    uint64_t wanted, boards, can, did, tight, tight_did, refused;
    uint64_t most_count, most_npages, honest, order, wasted;
    uint64_t shared, blocks;
    uint64_t of[CMA_REASON_COUNT];
};

/* Fills the slots, uses memory up, and takes all blocks. */
static void use(const struct cma_guarantee_request *request, struct result *result)
{
    struct cma_pages_request unmovable = {.npages = 1, .holder = {CMA_KIND_UNMOVABLE, 0, 1}};
    struct cma_slot_info info;
    cma_pfn_t pfn;

    for (uint32_t i = 0; cma_guarantees_slot(&board.all, i, &info) == 0; i++) {
        for (uint32_t j = 0; j < info.npages; j++) {
            uint32_t cookie = (uint32_t)(info.pfn + j - board.base);
            struct page *page = &board.page[cookie];
            struct cma_holder holder = {chance(300) ? CMA_KIND_MOVABLE : CMA_KIND_DROPPABLE,
                                        1 + (uint32_t)below(SURE), cookie};

            if (page->live)
                continue; /* this handle has moved */
            *page =
                (struct page){.kind = holder.kind, .mover = holder.mover - 1, .pfn = info.pfn + j};
            page->live = cma_frame_publish(&board.frames, info.pfn + j, &holder) == 0;
            if (page->live && chance(300) && cma_frame_keep(&board.frames, page->pfn) == 0)
                page->kind = CMA_KIND_MOVABLE;
        }
    }
    while (cma_pages_alloc(&board.pages, &unmovable, &pfn, NULL) == 0) {
    }
    check();
    for (uint32_t i = 0; i < request->count; i++) {
        uint32_t copies = board.copies, discards = board.discards, flushes = board.flushes;
        struct cma_guarantee_work work;

        if (cma_guarantee_take(&board.asked, &pfn, &work, NULL) != 0)
            fail("a block that was promised can't be had", request, NULL);
        copies = board.copies - copies;
        discards = board.discards - discards;
        flushes = board.flushes - flushes;
        if (copies > request->max_moves || discards > request->npages ||
            flushes > (copies + CMA_GUARANTEE_BATCH - 1) / CMA_GUARANTEE_BATCH + 1)
            if (request->group == NULL)
                fail("a block costs more than was said", request, NULL);
        if (!suits(request, pfn - board.area.pfn))
            fail("a block is not as it was asked for", request, NULL);
        result->blocks++;
    }
    check();
}

static int admit(const struct cma_guarantee_request *request, struct cma_admission *why)
{
    int error;

    memset(&board.asked, 0, sizeof board.asked);
    error = cma_guarantee_admit(&board.all, &board.asked, &board.area, request, why);
    check();
    return error;
}

/*
 * `other` is what a refusal says would be admitted. Where kept data of several limits needs the
 * last frame of all and slots are promised idle ones, it can depend on the order of its moves
 * whether it finds it: data that may go anywhere takes idle memory first, and what is left is
 * promised, when data that must stay low could have had it. That is counted.
 */
static void judge_possible(const struct cma_guarantee_request *request,
                           const struct cma_admission *why,
                           const struct cma_guarantee_request *other, struct result *result)
{
    struct cma_admission again = {{0}, 0, 0};

    if (other->count == 0 || other->npages == 0)
        return;
    if (admit(other, &again) != 0) {
        if (again.refusal.reason == CMA_REASON_NO_ROOM &&
            board.frames.zone_promised[0] + board.frames.zone_promised[1] != 0) {
            result->order++;
        } else {
            describe(other, &again);
            fail("what is said to be possible is not", request, why);
        }
    }
    memcpy(&board, &seen, sizeof board);
}

/* What a refusal says would be admitted is; and is it the most that there is? */
static void judge_refusal(const struct cma_guarantee_request *request,
                          const struct cma_admission *why, struct result *result)
{
    struct cma_guarantee_request other = *request;
    uint32_t best = request->count - 1;

    if (!board.refusers &&
        (why->possible_count >= request->count || why->possible_npages >= request->npages))
        fail("as much is possible as was asked for, and refused", request, why);
    memcpy(&seen, &board, sizeof board);
    look_at_board();
    look_at_group();
    for (other.count = best; other.count != 0 && !can_be_had(&other);)
        other.count--;
    best = other.count;
    result->most_count += why->possible_count >= best;
    other = *request;
    for (other.npages = request->npages - 1; other.npages != 0 && !can_be_had(&other);)
        other.npages--;
    result->most_npages += why->possible_npages >= other.npages;
    other = *request;
    if (board.refusers)
        return; /* Whoever refuses is not asked. */
    result->honest++;
    other.count = why->possible_count;
    judge_possible(request, why, &other, result);
    other = *request;
    other.npages = why->possible_npages;
    judge_possible(request, why, &other, result);
}

static uint32_t nslots(void)
{
    struct cma_slot_info info;
    uint32_t n = 0;

    while (cma_guarantees_slot(&board.all, n, &info) == 0)
        n++;
    return n;
}

static void judge(struct result *result)
{
    struct cma_guarantee_request request, more;
    struct cma_admission why = {{0}, 0, 0};
    uint32_t before, copies;
    bool can, tight;
    int error;

    make_board();
    make_request(&request, board.area_npages);
    look_at_board();
    look_at_group();
    can = can_be_had(&request);
    more = request;
    more.count++;
    tight = can && !can_be_had(&more);
    before = nslots();
    copies = board.copies;
    error = admit(&request, &why);
    if (verbose) {
        printf("%s, %s by search; ", error == 0 ? "admitted" : "refused",
               can ? "possible" : "impossible");
        show();
        describe(&request, error == 0 ? NULL : &why);
    }
    if (error == 0 && !can)
        fail("admitted, though it can't be had", &request, NULL);
    result->boards++;
    result->can += can;
    result->tight += tight;
    if (error == 0) {
        result->did++;
        result->tight_did += tight;
        result->shared += request.group != NULL && nslots() < before + request.count;
        use(&request, result);
        return;
    }
    if (why.refusal.code != error || nslots() != before)
        fail("a refusal is not told, or leaves slots", &request, &why);
    result->refused++;
    result->of[why.refusal.reason]++;
    result->wasted += board.copies - copies;
    judge_refusal(&request, &why, result);
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 100 : 100.0 * (double)part / (double)whole;
}

static int report(const struct result *r)
{
    printf("%llu boards, seed %llu: %llu possible by exhaustive search, %llu of these admitted: "
           "%.2f %%\n",
           (unsigned long long)r->boards, (unsigned long long)seed, (unsigned long long)r->can,
           (unsigned long long)r->did, percent(r->did, r->can));
    printf("where not one block more was possible: %llu, admitted %.2f %%; %llu shared slots\n",
           (unsigned long long)r->tight, percent(r->tight_did, r->tight),
           (unsigned long long)r->shared);
    printf("%llu blocks taken, none above its bound\n", (unsigned long long)r->blocks);
    printf("%llu refused, %llu pages copied before that; possible count is the most in %.1f %%, "
           "possible pages in %.1f %%; both admitted in all of %llu but %llu\n",
           (unsigned long long)r->refused, (unsigned long long)r->wasted,
           percent(r->most_count, r->refused), percent(r->most_npages, r->refused),
           (unsigned long long)r->honest, (unsigned long long)r->order);
    require(r->order * 200 <= r->boards, "what is possible depends on the order too often");
    for (uint32_t reason = 0; reason < CMA_REASON_COUNT; reason++) {
        if (r->of[reason] != 0)
            printf("  %6llu %s\n", (unsigned long long)r->of[reason],
                   cma_reason_name((enum cma_reason)reason));
    }
    if (r->did * 100 < r->can * 95) {
        printf("DIFFERENCE: fewer than 95 %%\n");
        return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static struct result result = {.wanted = 1000};
    uint64_t only = UINT64_MAX;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0)
            verbose = true;
        else if (strcmp(argv[i], "--ops") == 0 && i + 1 < argc)
            result.wanted = strtoull(argv[++i], NULL, 0) / OPS_A_BOARD;
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 0);
        else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
            only = strtoull(argv[++i], NULL, 0);
        else
            return fprintf(stderr, "usage: admission [--ops N] [--seed S] [--only I]\n"), 2;
    }
    for (number = only == UINT64_MAX ? 0 : only; result.boards < result.wanted; number++) {
        /* Each board from a seed of its own, so that one alone can be seen again. */
        board.random = seed * 0x2545f4914f6cdd1du + number * 0x9e3779b97f4a7c15u;
        judge(&result);
        if (number == only)
            return 0;
    }
    return report(&result);
}
