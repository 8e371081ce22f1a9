/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * oracle.h - could a request that an area refused have been served? A second, naive opinion
 *
 * The oracle knows nothing of windows, blocks and claims: it asks cma_frame_info about every frame
 * of the board, one after the other, and tries every place of the area. What it finds possible and
 * the area refused is a disagreement, and a bug of one of the two.
 */
#ifndef CMA_TOOL_ORACLE_H
#define CMA_TOOL_ORACLE_H

#include <cma/frame.h>
#include <cma/map.h>

/* What was refused. */
struct oracle_question {
    cma_pfn_t area_pfn; /* the area that was asked */
    uint64_t area_npages;
    uint64_t npages, align_npages;
    cma_paddr_t paddr_first, paddr_last; /* what the device reaches */
};

/* The board, and what the frame table can't tell. */
struct oracle_board {
    const struct cma_frames *frames;
    const struct cma_map *map;
    uint32_t page_shift;
    cma_paddr_t mover_last[CMA_MOVERS_MAX + 1]; /* by mover number: how high its data may lie */
    /* True if the mover would not let this frame go now (a locked handle). May be NULL. */
    bool (*stays)(void *ctx, uint32_t mover, uint32_t cookie);
    void *ctx;
};

struct oracle_answer {
    bool possible; /* a window is there that nothing holds in place, and its data fits elsewhere */
    cma_pfn_t pfn; /* that window */
    uint64_t kept; /* pages to carry out of it */
    uint64_t places; /* windows looked at */
    uint64_t open;   /* of these, windows that nothing holds in place */
};

/* Fills *answer. Returns 0, or -1 when the host has no memory for the question. */
int oracle_ask(const struct oracle_board *board, const struct oracle_question *question,
               struct oracle_answer *answer);

#endif
