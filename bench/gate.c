/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gate.c - what guarantees in force cost the page allocator (guarantee.h: the gate)
 *
 *     gate [-r ROUNDS] [-n PAIRS] [--json]
 *
 * Two boards that differ in one thing: the area of one is promised to a device, six blocks of 8
 * MiB, of which up to 64 pages each may have to be copied. On both, half of the area is lent to
 * droppable data, and 192 of these frames were written to since: here booked frames of slots, there
 * movable data in an area. Two zones, so that there are two sums to be held against each other; a
 * third of memory is in use, in single pages.
 *
 * A pair is an allocation and a free, of one page through the processor's cache, of one page
 * without caches, or of a run; `live` frees one of 1,024 at random and allocates another. Rounds of
 * the two boards alternate, each first every other time. Reported is the median of the ratios of
 * neighbours: on a machine that others use too, nanoseconds alone say little.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cma/guarantee.h>
#include <cma/system.h>

#include "bench.h"
#include "port.h"

enum {
    GATE_LIVE = 1024,
    GATE_ROUNDS_MAX = 999,
    GATE_BLOCKS = 6,
    GATE_BLOCK_NPAGES = 2048,
    GATE_MOVES = 64,
    GATE_KEPT = 192,
    GATE_OWNER = 7,
    GATE_MEMORY_MIB = 512,
    GATE_AREA_MIB = 64
};
#define GATE_BASE (UINT64_C(1) << 30)

struct gate_board {
    struct cma_range ranges[2];
    struct cma_map map;
    struct cma_system system;
    struct cma_pages_cache caches[1];
    struct cma_guarantee promised;
    uint32_t mover;
};

static void gate_require(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "gate: %s\n", what != NULL ? what : "wrong");
        exit(1);
    }
}

/* --- a mover that is never called: nothing is claimed here ------------------------------------ */

static int gate_freeze(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    (void)ctx;
    (void)pfn;
    (void)cookie;
    return 0;
}

static void gate_commit(void *ctx, cma_pfn_t from, cma_pfn_t to, uint32_t cookie)
{
    (void)ctx;
    (void)from;
    (void)to;
    (void)cookie;
}

static void gate_abort(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    (void)ctx;
    (void)pfn;
    (void)cookie;
}

static const struct cma_mover gate_mover = {
    .name = "gate",
    .paddr_last = CMA_PADDR_MAX,
    .freeze = gate_freeze,
    .commit = gate_commit,
    .abort = gate_abort,
    .discard = gate_freeze,
};

/* --- the boards ------------------------------------------------------------------------------- */

/* The lower half of memory is a zone of its own. */
static const struct cma_zone gate_zones[] = {
    {.last = GATE_BASE + ((uint64_t)GATE_MEMORY_MIB << 19) - 1},
    {.last = CMA_PADDR_MAX},
};

static void gate_system(struct gate_board *board, bool promised)
{
    const struct cma_system_config config = {.port = &bench_port,
                                             .zones = gate_zones,
                                             .nzones = 2,
                                             .nslots = promised ? GATE_BLOCKS : 0};
    const struct cma_range area = {
        .base = GATE_BASE + ((uint64_t)GATE_MEMORY_MIB << 20),
        .nbytes = (uint64_t)GATE_AREA_MIB << 20,
        .kind = CMA_RANGE_AREA,
        .flags = CMA_RANGE_DEFAULT,
        .name = "area",
    };
    uint64_t nbytes;
    int mover;

    gate_require(cma_map_init(&board->map, &board->ranges[0], 1, &board->ranges[1], 1) == 0 &&
                     cma_map_add_memory(&board->map, GATE_BASE,
                                        (uint64_t)(GATE_MEMORY_MIB + GATE_AREA_MIB) << 20,
                                        NULL) == 0 &&
                     cma_map_reserve(&board->map, &area, NULL) == 0,
                 "no map");
    nbytes = cma_system_size(&board->map, &config);
    gate_require(nbytes != 0 && cma_system_init(&board->system, &board->map, &config,
                                                bench_memory(nbytes), nbytes) == 0,
                 "no board");
    mover = cma_mover_register(&board->system.frames, &gate_mover);
    gate_require(mover > 0, "no mover");
    board->mover = (uint32_t)mover;
}

static void gate_promise(struct gate_board *board)
{
    const struct cma_guarantee_request request = {
        .npages = GATE_BLOCK_NPAGES,
        .count = GATE_BLOCKS,
        .max_moves = GATE_MOVES,
        .owner = 1,
    };

    gate_require(cma_guarantee_admit(&board->system.guarantees, &board->promised,
                                     board->system.default_area, &request, NULL) == 0,
                 "not admitted");
}

static cma_pfn_t gate_alloc(struct gate_board *board, enum cma_kind kind, uint32_t flags)
{
    const struct cma_pages_request request = {
        .npages = 1,
        .holder = {.kind = kind, .mover = board->mover, .cookie = GATE_OWNER},
        .flags = flags,
    };
    cma_pfn_t pfn = CMA_PFN_NONE;

    gate_require(cma_pages_alloc(&board->system.pages, &request, &pfn, NULL) == 0,
                 "memory is full");
    return pfn;
}

static bool gate_in_area(cma_pfn_t pfn)
{
    return pfn >= (GATE_BASE >> 12) + ((uint64_t)GATE_MEMORY_MIB << 8);
}

/* Half of the area is lent, and some of that was written to. */
static void gate_lend(struct gate_board *board)
{
    uint32_t npages = GATE_AREA_MIB << 7, kept = 0;

    /* All of it that is no slot; who is given frames of it is decided as always. */
    while (cma_area_lend(board->system.default_area, CMA_KIND_DROPPABLE))
        ;
    for (uint32_t i = 0; i < npages; i++) {
        cma_pfn_t pfn = gate_alloc(board, CMA_KIND_DROPPABLE, 0);

        if (kept < GATE_KEPT && i % 20 == 0 && gate_in_area(pfn))
            kept += cma_frame_keep(&board->system.frames, pfn) == 0;
    }
    gate_require(kept == GATE_KEPT, "no data to be copied in the area");
}

/* A third of memory in single pages, with holes between them. */
static void gate_fill(struct gate_board *board)
{
    uint32_t npages = (GATE_MEMORY_MIB << 8) / 3 * 2;
    struct random random = {5};
    cma_pfn_t *pfns = malloc(npages * sizeof(*pfns));

    gate_require(pfns != NULL, "no memory");
    for (uint32_t i = 0; i < npages; i++)
        pfns[i] = gate_alloc(board, i % 2 != 0 ? CMA_KIND_MOVABLE : CMA_KIND_DROPPABLE,
                             CMA_PAGES_NO_LENT);
    for (uint32_t i = 0, free = 0; i < npages; i++) {
        if (i % 256 == 0)
            free = (uint32_t)random_below(&random, 2);
        if (free != 0)
            gate_require(cma_pages_free(&board->system.pages, pfns[i], 1, GATE_OWNER) == 0,
                         "not freed");
    }
    free(pfns);
}

static struct gate_board *gate_board(bool cached, bool promised)
{
    struct gate_board *board = bench_memory(sizeof(*board));

    memset(board, 0, sizeof(*board));
    gate_system(board, promised);
    if (promised)
        gate_promise(board);
    if (cached)
        gate_require(cma_pages_add_caches(&board->system.pages, board->caches, 1) == 0,
                     "no caches");
    gate_fill(board);
    gate_lend(board);
    return board;
}

static void gate_end(struct gate_board *board, bool promised)
{
    struct cma_violation violation = {NULL, 0};
    struct cma_guarantee_stats stats;

    gate_require(cma_system_check(&board->system, &violation), violation.what);
    if (!promised)
        return;
    cma_guarantee_stats(&board->promised, &stats);
    gate_require(stats.kept_npages >= GATE_KEPT / 2, "too little was booked meanwhile");
}

/* --- what is measured ------------------------------------------------------------------------- */

static const struct gate_cell {
    const char *name;
    struct cma_pages_request request;
    bool cached, live;
} gate_cells[] = {
#define GATE_CELL(text, pages, what, pages_flags, has_caches)                                   \
    {text ", pair",                                                                             \
     {.npages = (pages), .holder = {.kind = (what)}, .flags = (pages_flags)},                   \
     has_caches,                                                                                \
     false},                                                                                    \
    {                                                                                           \
        text ", live", {.npages = (pages), .holder = {.kind = (what)}, .flags = (pages_flags)}, \
            has_caches, true                                                                    \
    }
    GATE_CELL("unmovable page, cache", 1, CMA_KIND_UNMOVABLE, 0, true),
    GATE_CELL("movable page, cache", 1, CMA_KIND_MOVABLE, CMA_PAGES_NO_LENT, true),
    GATE_CELL("unmovable page", 1, CMA_KIND_UNMOVABLE, 0, false),
    GATE_CELL("movable page", 1, CMA_KIND_MOVABLE, CMA_PAGES_NO_LENT, false),
    GATE_CELL("droppable page", 1, CMA_KIND_DROPPABLE, CMA_PAGES_NO_LENT, false),
    GATE_CELL("droppable page, lent", 1, CMA_KIND_DROPPABLE, 0, false),
    GATE_CELL("run of 16 pages", 16, CMA_KIND_UNMOVABLE, 0, false),
    GATE_CELL("run of 64 pages", 64, CMA_KIND_UNMOVABLE, 0, false),
};
#define GATE_CELLS (sizeof(gate_cells) / sizeof(gate_cells[0]))

struct gate_work {
    struct gate_board *board;
    struct cma_pages_request request;
    bool live;
    cma_pfn_t pfns[GATE_LIVE];
    struct random random;
};

static inline cma_pfn_t gate_get(struct gate_work *work)
{
    cma_pfn_t pfn;

    gate_require(cma_pages_alloc(&work->board->system.pages, &work->request, &pfn, NULL) == 0,
                 "refused");
    return pfn;
}

static inline void gate_put(struct gate_work *work, cma_pfn_t pfn)
{
    gate_require(
        cma_pages_free(&work->board->system.pages, pfn, work->request.npages, GATE_OWNER) == 0,
        "not freed");
}

/* Of runs fewer live, so that they fit. */
static uint32_t gate_live(const struct gate_work *work)
{
    return !work->live ? 0 : work->request.npages == 1 ? GATE_LIVE : GATE_LIVE / 4;
}

static void gate_begin(struct gate_work *work, struct gate_board *board,
                       const struct gate_cell *cell)
{
    *work = (struct gate_work){
        .board = board, .request = cell->request, .live = cell->live, .random = {11}};
    work->request.holder.cookie = GATE_OWNER;
    if (work->request.holder.kind != CMA_KIND_UNMOVABLE)
        work->request.holder.mover = board->mover;
    for (uint32_t i = 0; i < gate_live(work); i++)
        work->pfns[i] = gate_get(work);
}

static void gate_finish(struct gate_work *work)
{
    for (uint32_t i = 0; i < gate_live(work); i++)
        gate_put(work, work->pfns[i]);
}

/* Nanoseconds a pair. */
static double gate_run(struct gate_work *work, uint64_t npairs)
{
    uint32_t nlive = gate_live(work);
    struct batches batches;

    batches_begin(&batches, npairs);
    for (uint64_t i = 0; i < npairs; i++) {
        if (nlive == 0) {
            gate_put(work, gate_get(work));
        } else {
            uint64_t at = random_below(&work->random, nlive);

            gate_put(work, work->pfns[at]);
            work->pfns[at] = gate_get(work);
        }
        batches_step(&batches);
    }
    return batches_seconds(&batches) * 1e9;
}

static void gate_cell(struct gate_board *boards[2], const struct gate_cell *cell, uint32_t rounds,
                      uint64_t npairs, bool json)
{
    static double ns[2][GATE_ROUNDS_MAX], ratios[GATE_ROUNDS_MAX];
    static struct gate_work works[2];
    double ratio, without, with;

    for (uint32_t who = 0; who < 2; who++) {
        gate_begin(&works[who], boards[who], cell);
        (void)gate_run(&works[who], npairs); /* warm */
    }
    for (uint32_t round = 0; round < rounds; round++) {
        for (uint32_t turn = 0; turn < 2; turn++) {
            uint32_t who = (turn + round) % 2;

            ns[who][round] = gate_run(&works[who], npairs);
        }
        ratios[round] = ns[1][round] / ns[0][round];
    }
    for (uint32_t who = 0; who < 2; who++)
        gate_finish(&works[who]);
    ratio = bench_median(ratios, rounds); /* sorts */
    without = bench_median(ns[0], rounds);
    with = bench_median(ns[1], rounds);
    if (json)
        printf("{\"kind\":\"gate\",\"rep\":0,\"cell\":\"%s\",\"n\":%u,\"without_ns\":%.2f,"
               "\"with_ns\":%.2f,\"ratio\":%.3f,\"low\":%.3f,\"high\":%.3f}\n",
               cell->name, rounds, without, with, ratio, ratios[rounds / 4],
               ratios[rounds - 1 - rounds / 4]);
    else
        printf("%-28s %9.1f %9.1f %8.3f   (%.3f to %.3f)\n", cell->name, without, with, ratio,
               ratios[rounds / 4], ratios[rounds - 1 - rounds / 4]);
    fflush(stdout);
}

static uint64_t gate_number(const char *word, uint64_t most)
{
    uint64_t value = word != NULL ? strtoull(word, NULL, 0) : 0;

    gate_require(value != 0 && value <= most, "usage: gate [-r ROUNDS] [-n PAIRS] [--json]");
    return value;
}

int main(int argc, char **argv)
{
    struct gate_board *boards[2][2];
    uint32_t rounds = 41;
    uint64_t npairs = 100000;
    bool json = false;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "-r") == 0)
            rounds = (uint32_t)gate_number(argv[++i], GATE_ROUNDS_MAX);
        else if (strcmp(argv[i], "-n") == 0)
            npairs = gate_number(argv[++i], UINT32_MAX);
        else
            (void)gate_number(NULL, 0);
    }
    clock_use_processor(-1);
    for (int cached = 0; cached < 2; cached++)
        for (int promised = 0; promised < 2; promised++)
            boards[cached][promised] = gate_board(cached != 0, promised != 0);
    if (!json)
        printf("an allocation and a free                without      with    ratio   (middle half "
               "of %u rounds)\n",
               rounds);
    for (size_t i = 0; i < GATE_CELLS; i++)
        gate_cell(boards[gate_cells[i].cached], &gate_cells[i], rounds, npairs, json);
    for (int cached = 0; cached < 2; cached++)
        for (int promised = 0; promised < 2; promised++)
            gate_end(boards[cached][promised], promised != 0);
    return 0;
}
