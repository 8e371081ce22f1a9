/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * board.c - how a kernel with an allocator of its own brings libcma up
 *
 * The table covers areas only; everything else is the host's from the start, and libcma never
 * looks at it.
 */
#include "board.h"

#include <stdio.h>
#include <stdlib.h>

static void board_require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "board: %s\n", what);
    exit(1);
}

void board_make(struct board *board, const struct board_config *config)
{
    uint32_t shift = config->page_shift ? config->page_shift : 12;
    struct sim_memory memory = {BOARD_BASE, config->npages << shift};
    struct cma_range area = {BOARD_BASE + (config->area_first << shift),
                             config->area_npages << shift,
                             CMA_RANGE_AREA,
                             CMA_RANGE_DEFAULT,
                             "camera",
                             0};
    struct cma_frames_config frames = {.block_order = config->block_order, .areas_only = true};
    struct cma_area_config lent = {.name = "camera",
                                   .lend_class = CMA_LEND_ORDINARY,
                                   .engine = config->simple ? NULL : &cma_area_engine};
    uint64_t area_end = config->area_first + config->area_npages, nbytes;
    cma_paddr_t limit = CMA_PADDR_MAX;

    board->first = BOARD_BASE >> shift;
    board->sim = sim_create(&(struct sim_config){
        .seed = config->seed,
        .memory = &memory,
        .nmemory = 1,
        .page_shift = shift,
        .scheduler = config->threads ? SIM_THREADS : SIM_FIBRES,
    });
    board->pages = calloc(config->npages, sizeof(*board->pages));
    board->objects = calloc(config->nobjects, sizeof(*board->objects));
    board_require(board->sim && board->pages && board->objects, "no memory");

    /* What the host does at boot: all memory but the area is its own. */
    host_init(&board->host, board->first, config->npages, board->first + config->low_npages,
              board->pages);
    host_plug(&board->host, board->first, config->area_first, false);
    host_plug(&board->host, board->first + area_end, config->npages - area_end, false);

    /* What libcma is told: where the areas are. */
    frames.port = sim_port(board->sim);
    board_require(cma_map_init(&board->map, board->memory, 2, board->reserved, 2) == 0 &&
                      cma_map_add_memory(&board->map, memory.base, memory.nbytes, NULL) == 0 &&
                      cma_map_reserve(&board->map, &area, NULL) == 0,
                  "map");
    nbytes = cma_frames_size(&board->map, &frames);
    board->storage = calloc(1, nbytes);
    board_require(board->storage && cma_frames_init(&board->frames, &board->map, &frames,
                                                    board->storage, nbytes) == 0,
                  "table");
    glue_init(&board->glue, &board->host, frames.port, &board->frames, &board->area, 1);
    board_require(cma_area_init(&board->area, &board->frames, &board->glue.ops, area.base, &lent) ==
                          0 &&
                      cma_area_activate(&board->area) == 0,
                  "area");
    if (config->low)
        limit = BOARD_BASE + (config->low_npages << shift) - 1;
    board_require(cache_init(&board->cache, board->sim, &board->glue, limit, board->objects,
                             config->nobjects) == 0,
                  "cache");
}

void board_end(struct board *board)
{
    sim_destroy(board->sim);
    free(board->pages);
    free(board->objects);
    free(board->storage);
}

const char *board_check(struct board *board)
{
    struct cma_violation violation;
    struct cma_frame_info info;

    if (!host_check(&board->host))
        return "the host's lists are wrong";
    if (!cma_frames_check(&board->frames, false, &violation) ||
        !cma_area_check(&board->area, &violation))
        return violation.what;
    for (uint64_t i = 0; i < board->host.npages; i++) {
        uint64_t pfn = board->first + i;
        enum host_state state = host_state(&board->host, pfn);

        if (cma_frame_info(&board->frames, pfn, &info) != 0)
            continue;
        if ((state == HOST_FREE || state == HOST_FREE_TAIL) != (info.idle && info.lent))
            return "the host's lists and what is lent differ";
        if ((state == HOST_USED) !=
            (info.kind == CMA_KIND_MOVABLE || info.kind == CMA_KIND_DROPPABLE))
            return "the host has pages in use that nobody holds, or the other way round";
    }
    for (uint32_t i = 0; i < board->cache.nobjects; i++) {
        const struct cache_object *object = &board->objects[i];

        if (object->state >= CACHE_CLEAN && host_state(&board->host, object->pfn) != HOST_USED)
            return "an object has a page that the host does not know to be in use";
    }
    return NULL;
}
