/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * runs_view.h - a lane of an area and its index, as runs.c and place.c see it
 */
#ifndef CMA_FRAME_RUNS_VIEW_H
#define CMA_FRAME_RUNS_VIEW_H

#include "../base/atomic.h"
#include "../base/bitmap.h"
#include "../base/bits.h"
#include "../base/bittree.h"
#include "../base/guard.h"
#include "account.h"
#include "runs.h"
#include "word.h"

#define RUNS_TREE_BROKEN 0u /* blocks that may have a closed frame */
#define RUNS_TREE_GROWN 1u  /* blocks in which runs have changed and were not named yet */
#define RUNS_TREE_CLASS 2u  /* the first of the trees of classes */
#define RUNS_CLASSES_MAX 128u

/* The alignment that most devices ask, in pages. */
#define RUNS_UNIT 256u

/* Words of struct cma_runs. */
#define RUNS_HEAD ((uint32_t)((sizeof(struct cma_runs) + 127) / 128 * CMA__RUNS_ALIGN))

/* A lane as the functions below see it: frames are counted from the span's first one. */
struct runs_view {
    struct cma_frames *frames;
    struct cma_span *span;
    struct cma_runs *index;
    uint32_t base;    /* idle bit of the first frame */
    uint32_t skipped; /* frames of the first block in front of it */
};

static inline struct runs_view runs_view(const struct cma_frames *frames,
                                         const struct cma_span *span)
{
    return (struct runs_view){
        .frames = (struct cma_frames *)(uintptr_t)frames,
        .span = (struct cma_span *)(uintptr_t)span,
        .index = cma__runs_of(frames, span),
        .base = span_bit(frames, span, span->pfn),
        .skipped = span_skipped(frames, span),
    };
}

/* cma__span_lock, of a lane that has an index. */
static CMA__INLINE uintptr_t runs_lock(const struct runs_view *view)
{
    return guard_lock(view->frames->port, &view->index->lock);
}

static CMA__INLINE void runs_unlock(const struct runs_view *view, uintptr_t state)
{
    guard_unlock(view->frames->port, &view->index->lock, state);
}

static inline uint32_t *runs_tree(const struct runs_view *view, uint32_t tree)
{
    return view->frames->runs + view->span->runs + RUNS_HEAD + tree * view->index->words;
}

/* Where a long buffer that begins at `at` is written down. The lane has such places. */
static inline struct cma_buffer *runs_buffer(const struct runs_view *view, uint32_t at)
{
    uint32_t *first = view->frames->runs + view->span->runs + view->index->buffers;

    return (struct cma_buffer *)(void *)first + (at >> CMA__LONG_SHIFT);
}

/* Of a length: 1 to 8 are classes of their own, from there up each octave has four, which end at
 * quarters of it. So runs of whole units are the longest of their classes, and serve all requests
 * of these. */
static inline uint32_t runs_class(uint32_t npages)
{
    uint32_t octave = bits_highest((npages - 1) | 4);

    return npages <= 4 ? npages - 1 : (octave - 2) * 4 + (((npages - 1) >> (octave - 2)) & 3) + 4;
}

/* Is a block in one of the trees? */
static inline bool runs_has(const struct runs_view *view, uint32_t tree, uint32_t number)
{
    return (runs_tree(view, tree)[number / 32] >> (number % 32) & 1) != 0;
}

static inline uint32_t runs_block_of(const struct runs_view *view, uint32_t at)
{
    return (view->skipped + at) >> view->frames->block_order;
}

static inline uint32_t runs_block_begin(const struct runs_view *view, uint32_t number)
{
    return number == 0 ? 0 : (number << view->frames->block_order) - view->skipped;
}

static inline uint32_t runs_block_end(const struct runs_view *view, uint32_t number)
{
    uint32_t end = ((number + 1) << view->frames->block_order) - view->skipped;

    return end < view->span->npages ? end : view->span->npages;
}

static inline bool runs_block_borrowed(const struct runs_view *view, uint32_t number)
{
    return block_is_borrowed(span_block(view->frames, view->span, number));
}

static inline bool runs_is_open(const struct runs_view *view, uint32_t at)
{
    uint32_t word;

    if (bitmap_test(view->frames->idle, view->base + at)) {
        return true;
    }
    word = atom_peek(&view->frames->records[view->span->record + at].word);
    return word_is_lendable(word) && (word & (WORD_PINS | WORD_ISOLATED)) == 0;
}

/* The first idle bit (or, with `flip`, the first that is not) in [at, end), or `end`. Like
 * cma__bitmap_lowest, but inlined into loops that spend their time here. */
static inline uint32_t runs_bit_up(const uint32_t *bits, uint32_t at, uint32_t end, uint32_t flip)
{
    uint32_t i = at / 32;
    uint32_t word = (atom_peek(&bits[i]) ^ flip) & (UINT32_MAX << (at % 32));

    while (word == 0) {
        if (++i * 32 >= end) {
            return end;
        }
        word = atom_peek(&bits[i]) ^ flip;
    }
    at = i * 32 + bits_lowest(word);
    return at < end ? at : end;
}

/* The end of the last bit that is not idle in [begin, end): all from there on are. Or `begin`. */
static inline uint32_t runs_bit_down(const uint32_t *bits, uint32_t begin, uint32_t end)
{
    uint32_t i = (end - 1) / 32;
    uint32_t word = ~atom_peek(&bits[i]) & (UINT32_MAX >> (31 - (end - 1) % 32));

    while (word == 0) {
        if (i-- * 32 <= begin) {
            return begin;
        }
        word = ~atom_peek(&bits[i]);
    }
    end = i * 32 + bits_highest(word) + 1;
    return end > begin ? end : begin;
}

/* The first closed (open) frame in [at, end) of one block; `end` if there is none. */
static inline uint32_t runs_next_in_block(const struct runs_view *view, uint32_t number,
                                          uint32_t at, uint32_t end, bool open)
{
    if (!runs_block_borrowed(view, number)) {
        return runs_bit_up(view->frames->idle, view->base + at, view->base + end,
                           open ? 0 : UINT32_MAX) -
               view->base;
    }
    while (at < end && runs_is_open(view, at) != open) {
        at++;
    }
    return at;
}

/* Where the row of open frames that ends at `end` begins in its block; `end`: there is none. */
static inline uint32_t runs_tail_in_block(const struct runs_view *view, uint32_t number,
                                          uint32_t begin, uint32_t end)
{
    if (!runs_block_borrowed(view, number)) {
        return runs_bit_down(view->frames->idle, view->base + begin, view->base + end) - view->base;
    }
    while (end > begin && runs_is_open(view, end - 1)) {
        end--;
    }
    return end;
}

/*
 * By what length a run is named: its own, or from twice RUNS_UNIT up what it has from the first
 * multiple of RUNS_UNIT on. Most devices ask for that alignment, and to them the rest is no use. It
 * is never more than RUNS_UNIT - 1 less, and never less than RUNS_UNIT + 1.
 */
static inline uint32_t runs_key(const struct runs_view *view, uint32_t begin, uint32_t end)
{
    uint32_t odd = (begin + (uint32_t)view->span->pfn) & (RUNS_UNIT - 1);

    return end - begin < 2 * RUNS_UNIT || odd == 0 ? end - begin : end - begin - (RUNS_UNIT - odd);
}

static inline uint32_t runs_class_of(const struct runs_view *view, uint32_t begin, uint32_t end)
{
    return runs_class(runs_key(view, begin, end));
}

/* Are all runs of this class longer than a block? Then at most one of them begins in a block. */
static inline bool runs_class_is_long(const struct runs_view *view, uint32_t class)
{
    return class > runs_class(UINT32_C(1) << view->frames->block_order);
}

/* --- runs.c -------------------------------------------------------------------------------- */

/* The first closed frame at or above `at`, or the span's end. */
uint32_t cma__runs_up(const struct runs_view *view, uint32_t at);
/* A run gets its name, and loses it: what is left of it, if anything, gets one of its own. */
void cma__runs_name(const struct runs_view *view, uint32_t begin, uint32_t end);
void cma__runs_gone(const struct runs_view *view, uint32_t begin, uint32_t end);
/* A name was found untrue. */
void cma__runs_unname(const struct runs_view *view, uint32_t class, uint32_t number);
/* Before a search: every run has its name. */
void cma__runs_catch_up(const struct runs_view *view);
/* The list of released buffers becomes marks. */
void cma__runs_forget_recent(const struct cma_frames *frames, const struct cma_span *span);

#endif
