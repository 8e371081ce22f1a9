/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * find.c - a run of idle frames
 *
 * Idle bits of a span are in the order of its frames, and blocks are no borders, so two free
 * neighbours are one run without anybody merging them. A search goes from the low end or the high
 * end: the bit tree names the next block that has something to give, the block's bits name the
 * frame; the run that would begin (or end) there is then read from its far end, and a frame in the
 * way moves the search behind it at once. A single frame costs the tree's few levels; a run costs
 * at most a look at each word of idle bits in between.
 */
#include "table.h"

#include "../base/atomic.h"
#include "../base/bitmap.h"
#include "../base/bits.h"
#include "../base/bittree.h"
#include "account.h"
#include "word.h"

/* The lowest frame >= at that may be handed out; false when there is none up to `last`. */
static bool find_next_idle(const struct cma_frames *frames, const struct cma_span *span,
                           cma_pfn_t at, cma_pfn_t last, cma_pfn_t *found)
{
    while (at <= last) {
        uint32_t number = cma__bittree_next(frames->available + span->tree, span->nblocks,
                                            cma__span_block_of(frames, span, at));
        cma_pfn_t first;
        uint32_t npages, bit, base;

        if (number == CMA__BIT_NONE) {
            return false;
        }
        cma__span_block_range(frames, span, number, &first, &npages);
        at = bits_max(at, first);
        base = span_bit(frames, span, first);
        bit = cma__bitmap_lowest(frames->idle, base + (uint32_t)(at - first), base + npages - 1,
                                 true);
        if (bit != CMA__BIT_NONE) {
            *found = first + (bit - base);
            return *found <= last;
        }
        at = first + npages;
    }
    return false;
}

/* The highest frame <= at; false when there is none down to `first_wanted`. */
static bool find_prev_idle(const struct cma_frames *frames, const struct cma_span *span,
                           cma_pfn_t at, cma_pfn_t first_wanted, cma_pfn_t *found)
{
    for (;;) {
        uint32_t number = cma__bittree_prev(frames->available + span->tree, span->nblocks,
                                            cma__span_block_of(frames, span, at));
        cma_pfn_t first;
        uint32_t npages, bit, base;

        if (number == CMA__BIT_NONE) {
            return false;
        }
        cma__span_block_range(frames, span, number, &first, &npages);
        at = bits_min(at, first + (npages - 1));
        base = span_bit(frames, span, first);
        bit = cma__bitmap_highest(frames->idle, base, base + (uint32_t)(at - first), true);
        if (bit != CMA__BIT_NONE) {
            *found = first + (bit - base);
            return *found >= first_wanted;
        }
        if (first <= first_wanted) {
            return false;
        }
        at = first - 1;
    }
}

/* The lowest place >= at for the run, by alignment and boundary; false when it passes `last`. */
static bool find_place_up(const struct cma_run_want *want, cma_pfn_t at, cma_pfn_t last,
                          cma_pfn_t *place)
{
    uint64_t align = want->align_npages;
    uint64_t boundary = want->boundary_npages;

    /* Frame numbers have 52 bits at most: no sum with a power of two passes 2^64. */
    at = (at + (align - 1)) & ~(align - 1);
    if (boundary != 0 && (at & (boundary - 1)) + want->npages > boundary) {
        /* A multiple of the larger of two powers of two is one of the smaller. */
        uint64_t step = bits_max(align, boundary);

        at = (at | (step - 1)) + 1;
    }
    *place = at;
    return at <= last && want->npages - 1 <= last - at;
}

/* The highest place of a run that ends at or below `at`; false when it begins below `first`. */
static bool find_place_down(const struct cma_run_want *want, cma_pfn_t at, cma_pfn_t first,
                            cma_pfn_t *place)
{
    uint64_t align = want->align_npages;
    uint64_t boundary = want->boundary_npages;

    if (at < first || want->npages - 1 > at - first) {
        return false;
    }
    at = (at - (want->npages - 1)) & ~(align - 1);
    if (boundary != 0 && (at & (boundary - 1)) + want->npages > boundary) {
        cma_pfn_t end = (at & ~(boundary - 1)) + boundary - 1;

        if (want->npages - 1 > end) {
            return false;
        }
        at = (end - (want->npages - 1)) & ~(align - 1);
    }
    *place = at;
    return at >= first;
}

static bool find_from_bottom(const struct cma_frames *frames, const struct cma_span *span,
                             const struct cma_run_want *want, cma_pfn_t first, cma_pfn_t last,
                             cma_pfn_t *found)
{
    cma_pfn_t at = first, place;

    while (find_next_idle(frames, span, at, last, &at) && find_place_up(want, at, last, &place)) {
        uint32_t bit = span_bit(frames, span, place);
        uint32_t wrong;

        if (want->npages == 1 && place != at) {
            at = place;
            continue;
        }
        wrong = cma__bitmap_highest(frames->idle, bit, bit + (uint32_t)(want->npages - 1), false);
        if (wrong == CMA__BIT_NONE) {
            *found = place;
            return true;
        }
        at = place + (wrong - bit) + 1;
    }
    return false;
}

static bool find_from_top(const struct cma_frames *frames, const struct cma_span *span,
                          const struct cma_run_want *want, cma_pfn_t first, cma_pfn_t last,
                          cma_pfn_t *found)
{
    cma_pfn_t at = last, place;

    while (find_prev_idle(frames, span, at, first, &at) &&
           find_place_down(want, at, first, &place)) {
        uint32_t bit = span_bit(frames, span, place);
        uint32_t wrong;

        if (want->npages == 1 && place != at) {
            at = place;
            continue;
        }
        wrong = cma__bitmap_lowest(frames->idle, bit, bit + (uint32_t)(want->npages - 1), false);
        if (wrong == CMA__BIT_NONE) {
            *found = place;
            return true;
        }
        if (place + (wrong - bit) <= first) {
            return false;
        }
        at = place + (wrong - bit) - 1;
    }
    return false;
}

bool cma__span_find_idle(const struct cma_frames *frames, const struct cma_span *span,
                         const struct cma_run_want *want, cma_pfn_t *pfn)
{
    struct cma_run_want exact = *want;
    cma_pfn_t first = bits_max(want->first, span->pfn);
    cma_pfn_t last = bits_min(want->last, span_last(span));

    if (exact.align_npages == 0) {
        exact.align_npages = 1;
    }
    /* Areas lend by blocks, and what is behind a lent block may not be: single frames only. */
    if (first > last || want->npages == 0 || want->npages - 1 > last - first ||
        (span->is_area != 0 && want->npages != 1) ||
        (want->boundary_npages != 0 && want->npages > want->boundary_npages)) {
        return false;
    }
    return want->from_top ? find_from_top(frames, span, &exact, first, last, pfn)
                          : find_from_bottom(frames, span, &exact, first, last, pfn);
}

/* --- counts -------------------------------------------------------------------------------- */

uint32_t cma__span_idle_run(const struct cma_frames *frames, const struct cma_span *span,
                            cma_pfn_t *pfn, cma_pfn_t last)
{
    uint32_t bit = span_bit(frames, span, *pfn);
    uint32_t end = span_bit(frames, span, last);
    uint32_t first = cma__bitmap_lowest(frames->idle, bit, end, true);
    uint32_t after;

    if (first == CMA__BIT_NONE) {
        *pfn = last + 1;
        return 0;
    }
    *pfn += first - bit;
    after = cma__bitmap_lowest(frames->idle, first, end, false);
    return (after == CMA__BIT_NONE ? end + 1 : after) - first;
}

/* The part of a block up to `last`; false when there is none. */
static bool find_part(const struct cma_frames *frames, const struct cma_span *span, uint32_t number,
                      cma_pfn_t last, cma_pfn_t *first, uint32_t *npages)
{
    cma__span_block_range(frames, span, number, first, npages);
    if (*first > last) {
        return false;
    }
    /* In this form, for `last - *first + 1` is 0 when all pages from 0 up are meant. */
    *npages = (uint32_t)bits_min(*npages - 1, last - *first) + 1;
    return true;
}

uint64_t cma__span_count_available(const struct cma_frames *frames, const struct cma_span *span,
                                   cma_pfn_t last)
{
    const uint32_t *tree = frames->available + span->tree;
    uint32_t number = cma__bittree_next(tree, span->nblocks, 0);
    uint64_t count = 0;
    cma_pfn_t first;
    uint32_t npages;

    while (number != CMA__BIT_NONE && find_part(frames, span, number, last, &first, &npages)) {
        uint32_t bit = span_bit(frames, span, first);

        count += cma__bitmap_count(frames->idle, bit, bit + (npages - 1));
        number = number + 1 < span->nblocks ? cma__bittree_next(tree, span->nblocks, number + 1)
                                            : CMA__BIT_NONE;
    }
    return count;
}

uint64_t cma__span_count_spare(const struct cma_frames *frames, const struct cma_span *span,
                               cma_pfn_t last, uint64_t *idle)
{
    uint64_t count = 0;
    cma_pfn_t first;
    uint32_t npages;

    for (uint32_t number = 0; number < span->nblocks; number++) {
        uint32_t bit;

        if (!find_part(frames, span, number, last, &first, &npages)) {
            break;
        }
        bit = span_bit(frames, span, first);
        *idle += cma__bitmap_count(frames->idle, bit, bit + (npages - 1));
        if (atom_peek16(&span_block(frames, span, number)->droppable) == 0) {
            continue;
        }
        for (uint32_t i = 0; i < npages; i++) {
            uint32_t word = atom_load(&span_record(frames, span, first + i)->word);

            count += cma__frame_is_spare(frames, span, word) ? 1 : 0;
        }
    }
    return count;
}
