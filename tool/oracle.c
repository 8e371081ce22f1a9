/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * oracle.c - the naive scan
 *
 * Each frame of the area gets one of four letters; a window is possible when no frame in it is
 * HELD and the kept ones fit elsewhere. Movers have upper address limits, so the places nest: the
 * data fits if and only if, for each limit, no more pages are bound to stay below it than there are
 * places below it (Hall's condition for nested sets).
 *
 * Places are idle and droppable frames of ordinary memory, and idle lent frames of other areas, but
 * not of areas in which anything is isolated, for those are being emptied too. For each kept frame
 * in a slot (guarantee.h) one of these places is spoken for.
 */
#include "oracle.h"

#include <stdlib.h>

enum letter { HELD, KEPT, DROPPABLE, IDLE };

struct scan {
    const struct oracle_board *board;
    uint8_t *letters; /* of the area's frames */
    uint8_t *movers;
    uint64_t nlimits;
    cma_paddr_t limits[CMA_MOVERS_MAX + 1]; /* ascending */
    uint64_t places[CMA_MOVERS_MAX + 1];    /* frames up to limits[i] that could take data */
    uint64_t promised[CMA_MOVERS_MAX + 1];  /* of these, for data that is in slots now */
};

static enum letter oracle_letter(const struct oracle_board *board,
                                 const struct cma_frame_info *info)
{
    /* What was promised to a device is nobody else's, whoever has data in it. */
    if (info->frozen || info->isolated || info->slot || info->pins != 0 || info->refs != 0)
        return HELD;
    if (info->idle)
        return IDLE;
    if (info->kind != CMA_KIND_MOVABLE && info->kind != CMA_KIND_DROPPABLE)
        return HELD;
    if (board->stays != NULL && board->stays(board->ctx, info->mover, info->cookie))
        return HELD;
    return info->kind == CMA_KIND_MOVABLE ? KEPT : DROPPABLE;
}

static void oracle_sort_limits(struct scan *scan)
{
    scan->nlimits = 0;
    for (uint32_t mover = 1; mover <= CMA_MOVERS_MAX; mover++) {
        cma_paddr_t last = scan->board->mover_last[mover];
        uint64_t at = 0;

        if (last == 0)
            continue;
        while (at < scan->nlimits && scan->limits[at] < last)
            at++;
        if (at < scan->nlimits && scan->limits[at] == last)
            continue;
        for (uint64_t i = scan->nlimits; i > at; i--)
            scan->limits[i] = scan->limits[i - 1];
        scan->limits[at] = last;
        scan->nlimits++;
    }
}

/* Who has kept data in a slot will need a place. */
static void oracle_count_promise(struct scan *scan, const struct cma_frame_info *info)
{
    for (uint64_t i = 0; info->kind == CMA_KIND_MOVABLE && i < scan->nlimits; i++)
        scan->promised[i] += scan->board->mover_last[info->mover] <= scan->limits[i];
}

/* Counts the places in one piece of memory, but not in the area that was asked. */
static void oracle_count_piece(struct scan *scan, const struct cma_range *piece, bool asked)
{
    const struct oracle_board *board = scan->board;
    uint64_t counts[CMA_MOVERS_MAX + 1] = {0};
    bool emptied = asked; /* of the area that is asked, only what was promised counts */
    bool is_area = piece->kind == CMA_RANGE_AREA;
    cma_pfn_t first = piece->base >> board->page_shift;
    cma_pfn_t last = (piece->base + (piece->nbytes - 1)) >> board->page_shift;

    for (cma_pfn_t pfn = first; pfn <= last; pfn++) {
        cma_paddr_t top = (pfn << board->page_shift) + ((1ull << board->page_shift) - 1);
        struct cma_frame_info info;
        enum letter letter;

        if (cma_frame_info(board->frames, pfn, &info) != 0)
            continue;
        if (info.slot) {
            oracle_count_promise(scan, &info);
            continue;
        }
        emptied = emptied || (is_area && info.isolated);
        letter = oracle_letter(board, &info);
        if (letter != IDLE && (is_area || letter != DROPPABLE))
            continue;
        if (is_area && !info.lent)
            continue;
        for (uint64_t i = 0; i < scan->nlimits; i++)
            counts[i] += top <= scan->limits[i];
    }
    for (uint64_t i = 0; i < scan->nlimits && !emptied; i++)
        scan->places[i] += counts[i];
}

static void oracle_count_places(struct scan *scan, const struct oracle_question *question)
{
    cma_paddr_t asked_paddr = question->area_pfn << scan->board->page_shift;
    struct cma_map_cursor cursor = {0};
    struct cma_range piece;

    while (cma_map_next(scan->board->map, &cursor, &piece)) {
        bool asked = asked_paddr >= piece.base && asked_paddr - piece.base < piece.nbytes;

        if (piece.kind == CMA_RANGE_MEMORY || piece.kind == CMA_RANGE_AREA)
            oracle_count_piece(scan, &piece, asked);
    }
}

/* Does the kept data of the window fit elsewhere? */
static bool oracle_fits(const struct scan *scan, uint64_t at, uint64_t npages, uint64_t *kept)
{
    uint64_t bound[CMA_MOVERS_MAX + 1] = {0};

    *kept = 0;
    for (uint64_t i = at; i < at + npages; i++) {
        if (scan->letters[i] != KEPT)
            continue;
        (*kept)++;
        for (uint64_t k = 0; k < scan->nlimits; k++)
            bound[k] += scan->board->mover_last[scan->movers[i]] <= scan->limits[k];
    }
    for (uint64_t k = 0; k < scan->nlimits; k++)
        if (bound[k] + scan->promised[k] > scan->places[k])
            return false;
    return true;
}

static void oracle_try_all(const struct scan *scan, const struct oracle_question *question,
                           struct oracle_answer *answer)
{
    uint32_t shift = scan->board->page_shift;
    uint64_t align = question->align_npages != 0 ? question->align_npages : 1;

    for (uint64_t at = 0; at + question->npages <= question->area_npages; at++) {
        cma_pfn_t pfn = question->area_pfn + at;
        cma_pfn_t last = pfn + question->npages - 1;
        bool open = true;

        if (pfn % align != 0 || (pfn << shift) < question->paddr_first ||
            (last << shift) + ((1ull << shift) - 1) > question->paddr_last)
            continue;
        answer->places++;
        for (uint64_t i = at; i < at + question->npages && open; i++)
            open = scan->letters[i] != HELD;
        if (!open)
            continue;
        answer->open++;
        if (oracle_fits(scan, at, question->npages, &answer->kept)) {
            answer->possible = true;
            answer->pfn = pfn;
            return;
        }
    }
}

int oracle_ask(const struct oracle_board *board, const struct oracle_question *question,
               struct oracle_answer *answer)
{
    struct scan scan = {.board = board};

    *answer = (struct oracle_answer){.pfn = CMA_PFN_NONE};
    if (question->npages == 0 || question->npages > question->area_npages)
        return 0;
    scan.letters = calloc(question->area_npages, 1);
    scan.movers = calloc(question->area_npages, 1);
    if (scan.letters == NULL || scan.movers == NULL) {
        free(scan.letters);
        free(scan.movers);
        return -1;
    }
    for (uint64_t i = 0; i < question->area_npages; i++) {
        struct cma_frame_info info;

        scan.letters[i] = HELD;
        if (cma_frame_info(board->frames, question->area_pfn + i, &info) != 0)
            continue;
        scan.letters[i] = (uint8_t)oracle_letter(board, &info);
        scan.movers[i] = (uint8_t)(info.mover <= CMA_MOVERS_MAX ? info.mover : 0);
    }
    oracle_sort_limits(&scan);
    oracle_count_places(&scan, question);
    oracle_try_all(&scan, question, answer);
    free(scan.letters);
    free(scan.movers);
    return 0;
}
