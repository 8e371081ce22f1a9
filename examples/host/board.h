/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * board.h - the host system of the example: simulated memory, hostalloc over it, areas, one cache
 */
#ifndef BOARD_H
#define BOARD_H

#include "cache.h"

#include <cma/dma.h>
#include <cma/map.h>

#define BOARD_BASE UINT64_C(0x40000000)

struct board_config {
    uint32_t page_shift; /* 0: 12 */
    uint64_t npages, low_npages;
    uint64_t area_first, area_npages; /* in pages from the start */
    uint32_t block_order, nobjects;
    bool low;    /* the cache reaches zone low only */
    bool simple; /* the area has no engine */
    bool threads;
    uint64_t seed;
};

struct board {
    struct sim *sim;
    struct host host;
    struct host_page *pages;
    struct cma_range memory[2], reserved[2];
    struct cma_map map;
    struct cma_frames frames;
    void *storage;
    struct cma_area area;
    struct glue glue;
    struct cache cache;
    struct cache_object *objects;
    uint64_t first; /* page number of the first page */
};

/* Ends the process when it can't be made. */
void board_make(struct board *board, const struct board_config *config);
void board_end(struct board *board);
/*
 * What holds when nothing is under way: the host's lists are sound, the table and the area are, and
 * of the area's pages the host has free exactly those that are idle and lent. Returns NULL or what
 * is wrong.
 */
const char *board_check(struct board *board);

#endif
