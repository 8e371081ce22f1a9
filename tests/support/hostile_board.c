/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostile_board.c - random boards, small ones and ones of real size
 *
 * Memory in one piece or with reserved ranges in it, one to three areas anywhere, zones that end
 * anywhere, frame numbers from 0 up or with the last byte at 2^64 - 1, areas with and without
 * index, engine and lanes, processors' caches or none.
 */
#include "hostile.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t hostile_random(struct hostile *board)
{
    uint64_t x = board->random += 0x9e3779b97f4a7c15u;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t hostile_below(struct hostile *board, uint64_t n)
{
    return hostile_random(board) % n;
}

bool hostile_chance(struct hostile *board, uint32_t percent)
{
    return percent != 0 && hostile_below(board, 100) < percent;
}

/* first to last, each power of two as likely as the next. */
uint64_t hostile_log_uniform(struct hostile *board, uint64_t first, uint64_t last)
{
    uint32_t low = 0, high = 0;
    uint64_t value;

    if (first >= last)
        return first;
    while (first >> (low + 1) != 0)
        low++;
    while (last >> (high + 1) != 0)
        high++;
    value = 1ull << (low + hostile_below(board, high - low + 1));
    value += hostile_below(board, value);
    return value < first ? first : value > last ? last : value;
}

cma_paddr_t hostile_paddr(const struct hostile *board, uint32_t frame)
{
    return hostile_pfn(board, frame) << board->port.page_shift;
}

cma_paddr_t hostile_paddr_last(const struct hostile *board, uint32_t frame)
{
    return hostile_paddr(board, frame) + ((1ull << board->port.page_shift) - 1);
}

uint32_t hostile_frame(struct hostile *board, cma_pfn_t pfn)
{
    HOSTILE_REQUIRE(board, pfn >= board->base && pfn - board->base < board->nframes,
                    "page %#llx is no memory", (unsigned long long)pfn);
    return (uint32_t)(pfn - board->base);
}

void hostile_fail(struct hostile *board, const char *format, ...)
{
    uint64_t first = board->nnotes > HOSTILE_NOTES ? board->nnotes - HOSTILE_NOTES : 0;
    va_list arguments;

    fflush(stdout);
    for (uint64_t i = first; i < board->nnotes; i++) {
        const struct hostile_note *note = &board->notes[i % HOSTILE_NOTES];

        fprintf(stderr, "  %s %#llx %#llx: %lld\n", note->what, (unsigned long long)note->a,
                (unsigned long long)note->b, (long long)note->result);
    }
    fprintf(stderr, "guarantee: board %llu (%u frames%s, %s guarantees), take %llu: ",
            (unsigned long long)board->number, board->nframes,
            board->table.areas_only ? ", areas only" : "", board->guarded ? "with" : "without",
            (unsigned long long)board->step);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fprintf(stderr, "\nagain: %s --board %llu\n", board->command,
            (unsigned long long)board->number);
    exit(1);
}

/* --- a board ------------------------------------------------------------------------------- */

static void *hostile_new(struct hostile *board, uint64_t n, uint64_t nbytes)
{
    void *memory = calloc(n, nbytes);

    HOSTILE_REQUIRE(board, memory != NULL, "no memory for the board");
    return memory;
}

/* Areas lie between pieces of ordinary memory of random lengths, some of them none. */
static void board_places(struct hostile *board)
{
    uint32_t n = board->nframes, frame = 0, rest;
    uint32_t area_npages = (uint32_t)((uint64_t)n * (20 + hostile_below(board, 56)) / 100);

    board->nareas = 1 + (uint32_t)hostile_below(board, HOSTILE_AREAS_MAX);
    rest = n - area_npages;
    memset(board->places, 1, n);
    for (uint32_t i = 0; i < board->nareas; i++) {
        struct hostile_area *area = &board->areas[i];
        uint32_t gap = hostile_chance(board, 20) ? 0 : (uint32_t)hostile_below(board, rest + 1);
        uint32_t part = board->nareas - i;

        /* Two areas side by side would be no trouble, but are one too many for the map's names. */
        gap = gap == 0 && i > 0 && rest > 0 ? 1 : gap;
        area->npages =
            part == 1 ? area_npages
                      : area_npages / part + (uint32_t)hostile_below(board, area_npages / part / 2);
        area->first = frame + gap;
        memset(board->places + area->first, 2 + (int)i, area->npages);
        frame = area->first + area->npages;
        area_npages -= area->npages;
        rest -= gap;
    }
    /* Somebody has reserved a piece of the ordinary memory. */
    for (uint32_t tries = (uint32_t)hostile_below(board, 4); tries > 0; tries--) {
        uint32_t first = (uint32_t)hostile_below(board, n);

        for (uint32_t i = first; i < n && i < first + n / 64 + 1 && board->places[i] == 1; i++)
            board->places[i] = 0;
    }
}

static void board_reserve(struct hostile *board, enum cma_range_kind kind, uint32_t first,
                          uint32_t npages)
{
    struct cma_range range = {hostile_paddr(board, first),
                              (uint64_t)npages << board->port.page_shift,
                              kind,
                              0,
                              "range",
                              0};
    int error = cma_map_reserve(&board->map, &range, NULL);

    HOSTILE_REQUIRE(board, error == 0, "cma_map_reserve: %s", cma_strerror(error));
}

static void board_map(struct hostile *board)
{
    int error = cma_map_init(&board->map, board->map_memory, 8, board->map_reserved, 16);

    HOSTILE_REQUIRE(board, error == 0, "cma_map_init: %s", cma_strerror(error));
    error = cma_map_add_memory(&board->map, hostile_paddr(board, 0),
                               (uint64_t)board->nframes << board->port.page_shift, NULL);
    HOSTILE_REQUIRE(board, error == 0, "cma_map_add_memory: %s", cma_strerror(error));
    for (uint32_t i = 0; i < board->nareas; i++)
        board_reserve(board, CMA_RANGE_AREA, board->areas[i].first, board->areas[i].npages);
    for (uint32_t first = 0, last; first < board->nframes; first = last) {
        last = first + 1;
        if (board->places[first] != 0)
            continue;
        while (last < board->nframes && board->places[last] == 0)
            last++;
        board_reserve(board, CMA_RANGE_RESERVED, first, last - first);
    }
}

static void board_zones(struct hostile *board)
{
    uint32_t wanted = hostile_chance(board, 40) ? 0 : (uint32_t)hostile_below(board, 4);
    uint32_t frame = 0;

    for (uint32_t i = 0; i < wanted; i++) {
        frame += 1 + (uint32_t)hostile_below(board, board->nframes / 2);
        if (frame >= board->nframes)
            break;
        board->zones[board->nzones++] = (struct cma_zone){hostile_paddr_last(board, frame - 1), 0};
    }
    board->zones[board->nzones++] = (struct cma_zone){CMA_PADDR_MAX, 0};
}

static void board_table(struct hostile *board)
{
    struct cma_frames_config config = {
        .port = &board->port,
        .zones = board->zones,
        .nzones = board->nzones,
        .block_order = hostile_chance(board, 20) ? 0 : 5 + (uint32_t)hostile_below(board, 5),
        .index = hostile_chance(board, 40) ? NULL : &cma_frames_index,
        .lanes = (uint32_t)hostile_below(board, 4),
        .lane_npages = 32 + (uint32_t)hostile_below(board, 64),
    };
    uint64_t nbytes = cma_frames_size(&board->map, &config);
    int error;

    HOSTILE_REQUIRE(board, nbytes > 0, "cma_frames_size says 0");
    board->storage = hostile_new(board, 1, nbytes);
    error = cma_frames_init(&board->table, &board->map, &config, board->storage, nbytes);
    HOSTILE_REQUIRE(board, error == 0, "cma_frames_init: %s", cma_strerror(error));
    error = cma_pages_init(&board->pages, &board->table);
    HOSTILE_REQUIRE(board, error == 0, "cma_pages_init: %s", cma_strerror(error));
    if (hostile_chance(board, 50)) {
        uint32_t n = 1 + (uint32_t)hostile_below(board, 3);

        board->caches = aligned_alloc(64, n * sizeof *board->caches);
        HOSTILE_REQUIRE(board, board->caches != NULL, "no memory for caches");
        error = cma_pages_add_caches(&board->pages, board->caches, n);
        HOSTILE_REQUIRE(board, error == 0, "cma_pages_add_caches: %s", cma_strerror(error));
    }
    hostile_ops_make(board);
    if (hostile_chance(board, 20)) {
        uint32_t zone = (uint32_t)hostile_below(board, board->nzones);

        /* More than is there is refused, and nothing else. */
        (void)board->ops.floor(board->ops.ctx, board->zones[zone].last,
                               hostile_below(board, board->nframes / 16 + 1));
    }
}

static void board_areas(struct hostile *board)
{
    for (uint32_t i = 0; i < board->nareas; i++) {
        struct hostile_area *area = &board->areas[i];
        struct cma_area_config config = {
            .name = "area",
            .lend_class = hostile_chance(board, 85)   ? CMA_LEND_ORDINARY
                          : hostile_chance(board, 50) ? CMA_LEND_SLOT
                                                      : CMA_LEND_NONE,
            .engine = hostile_chance(board, 60) ? &cma_area_engine : NULL,
        };
        int error = cma_area_init(&area->area, &board->table, &board->ops,
                                  hostile_paddr(board, area->first), &config);

        HOSTILE_REQUIRE(board, error == 0, "cma_area_init: %s", cma_strerror(error));
        error = cma_area_activate(&area->area);
        HOSTILE_REQUIRE(board, error == 0, "cma_area_activate: %s", cma_strerror(error));
        area->lender = (struct cma_lender){NULL, &area->area, cma_area_lend};
        cma_pages_add_lender(&board->pages, &area->lender);
    }
}

static void board_items(struct hostile *board)
{
    uint32_t n = board->nitems = board->nframes + 64;

    board->items = hostile_new(board, n, sizeof *board->items);
    board->owners = hostile_new(board, board->nframes, sizeof *board->owners);
    for (uint32_t i = 0; i < HOSTILE_LISTS; i++)
        board->lists[i] = hostile_new(board, n, sizeof *board->lists[i]);
    for (uint32_t i = 0; i < n; i++)
        board->items[i].at = i + 1 < n ? i + 1 : HOSTILE_NONE;
    board->free_item = 0;
}

/* What its users like best. */
static void board_character(struct hostile *board)
{
    for (uint32_t i = 0; i < 16; i++) {
        board->weights[i] = hostile_chance(board, 15)   ? 0
                            : hostile_chance(board, 15) ? 40
                                                        : 1 + (uint32_t)hostile_below(board, 12);
        board->weight += board->weights[i];
    }
    /* There is one thread: nobody can wait for the one that it runs inside of. */
    board->nested_percent = board->port.wait != NULL || hostile_chance(board, 20)
                                ? 0
                                : 1 + (uint32_t)hostile_below(board, 8);
    /* Who is told of room that is not there looks again up to a thousand times. */
    board->failing_percent =
        hostile_chance(board, board->real ? 95 : 70) ? 0 : 1 + (uint32_t)hostile_below(board, 50);
    if (board->nested_percent != 0 && board->port.lock != NULL && hostile_chance(board, 60))
        board->lock_percent = 1 + (uint32_t)hostile_below(board, 4);
    /* Who can't wait for a mover that is just letting go is told so: not on these boards. */
    if (board->port.wait != NULL && hostile_chance(board, 50))
        board->shy_percent = 1 + (uint32_t)hostile_below(board, 20);
    board->refusal_percent = 5 + (uint32_t)hostile_below(board, 60);
    board->out_percent = 10 + (uint32_t)hostile_below(board, 80);
    board->every = board->real                ? 1000
                   : hostile_chance(board, 3) ? 1
                   : board->nframes < 1024    ? 100
                                              : 400;
    board->burst = board->real ? 128 + (uint32_t)hostile_below(board, 512)
                               : 8 + (uint32_t)hostile_below(board, board->nframes / 16);
}

/* Everything is made anew but what the caller has set before: seed, number, real, guarded, ... */
void hostile_board_make(struct hostile *board)
{
    board->random = board->seed * 0x2545f4914f6cdd1du + board->number * 0x9e3779b97f4a7c15u +
                    (board->real ? 0x51ed270b35ull : 0);
    board->checking = true;
    hostile_port_make(board);
    /* 32 MiB to 1 GiB of 4 KiB pages. */
    board->nframes = (uint32_t)(board->real ? hostile_log_uniform(board, 8192, 262144)
                                            : 256 + hostile_below(board, 4096 - 256 + 1));
    switch (hostile_below(board, 5)) {
    case 0: board->base = 0; break;
    case 1: board->base = (UINT64_MAX >> board->port.page_shift) - board->nframes + 1; break;
    default: board->base = 0x80000 + hostile_below(board, 2000); break;
    }
    board->places = hostile_new(board, board->nframes, 1);
    board_places(board);
    board_character(board);
    board_map(board);
    board_zones(board);
    board_items(board);
    board_table(board);
    hostile_movers_make(board);
    board_areas(board);
    if (cma_dma_init(&board->dma, &board->table, &board->ops, NULL) != 0 ||
        cma_guarantees_init(&board->guarantees, &board->table, board->slots, HOSTILE_SLOTS_MAX) !=
            0)
        hostile_fail(board, "cma_dma_init, cma_guarantees_init");
    hostile_devices_make(board);
    board->checking = false;
}

void hostile_board_end(struct hostile *board)
{
    free(board->storage);
    free(board->caches);
    free(board->places);
    free(board->items);
    free(board->owners);
    for (uint32_t i = 0; i < HOSTILE_LISTS; i++)
        free(board->lists[i]);
}
