/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * runs.c - where in an area windows could be, without looking at all of it
 *
 * Runs (runs.h) are sorted into classes by length, four an octave, and each class has a bit tree
 * over the lane's blocks: "a run of this class may begin in this block". A search begins in the
 * class of its request, takes the next block from the class's tree, reads the runs that begin there
 * from the idle bits, and goes on to longer classes until a run fits. So it costs a few looks at
 * blocks, however large the area is.
 *
 * The trees are hints on one side only: a run that is there is always named, but a name may be of
 * the past; a search that finds one untrue takes it out. What changes runs must be noted, as
 * cheaply as can be: a released buffer goes into a short list, everything else marks its block, and
 * the next search, before it begins, names what is around each of them. So a release does not
 * search for neighbours, and a buffer of the length that was just released gets that place without
 * any search: streams of equal buffers take each other's places for ever and tear no holes.
 *
 * A second tree names the blocks that may not be wholly open. Long runs are followed through it,
 * from one such block to the next.
 */
#include "runs.h"

#include "../base/atomic.h"
#include "../base/bitmap.h"
#include "../base/bits.h"
#include "../base/bittree.h"
#include "../base/guard.h"
#include "account.h"
#include "word.h"

#define RUNS_TREE_BROKEN 0u /* blocks that may have a closed frame */
#define RUNS_TREE_GROWN 1u  /* blocks in which runs have changed and were not named yet */
#define RUNS_TREE_CLASS 2u  /* the first of the trees of classes */
#define RUNS_CLASSES_MAX 128u

/* Candidates that a search compares, and untrue or unfit ones that it puts up with, before it
 * takes a longer class. */
#define RUNS_FITS 8u
#define RUNS_MISFITS 16u

/* Words of struct cma_runs. */
#define RUNS_HEAD ((uint32_t)((sizeof(struct cma_runs) + 63) / 64 * CMA__RUNS_ALIGN))

/* A lane as the functions below see it: frames are counted from the span's first one. */
struct runs_view {
    struct cma_frames *frames;
    struct cma_span *span;
    struct cma_runs *index;
    uint32_t base;    /* idle bit of the first frame */
    uint32_t skipped; /* frames of the first block in front of it */
};

static struct runs_view runs_view(const struct cma_frames *frames, const struct cma_span *span)
{
    return (struct runs_view){
        .frames = (struct cma_frames *)(uintptr_t)frames,
        .span = (struct cma_span *)(uintptr_t)span,
        .index = cma__runs_of(frames, span),
        .base = span_bit(frames, span, span->pfn),
        .skipped = span_skipped(frames, span),
    };
}

static uint32_t *runs_tree(const struct runs_view *view, uint32_t tree)
{
    return view->frames->runs + view->span->runs + RUNS_HEAD + tree * view->index->words;
}

static uint32_t runs_class(uint32_t npages)
{
    uint32_t octave = bits_highest(npages);

    /* 1, 2, 3 are classes of their own; from 4 up each octave has four. */
    return npages < 4 ? npages - 1 : (octave - 2) * 4 + ((npages >> (octave - 2)) & 3) + 3;
}

uint32_t cma__runs_words(uint32_t npages, uint32_t nblocks)
{
    uint32_t trees = RUNS_TREE_CLASS + runs_class(npages) + 1;
    uint32_t words = RUNS_HEAD + trees * cma__bittree_words(nblocks);

    return (words + CMA__RUNS_ALIGN - 1) / CMA__RUNS_ALIGN * CMA__RUNS_ALIGN;
}

uint32_t *cma__runs_align(uint32_t *words)
{
    uint32_t odd = (uint32_t)((uintptr_t)words / sizeof(uint32_t)) % CMA__RUNS_ALIGN;

    /* The first index begins CMA__RUNS_ALIGN words behind what is returned. */
    return words - odd;
}

/* --- blocks of a lane ---------------------------------------------------------------------- */

static uint32_t runs_block_of(const struct runs_view *view, uint32_t at)
{
    return (view->skipped + at) >> view->frames->block_order;
}

static uint32_t runs_block_begin(const struct runs_view *view, uint32_t number)
{
    return number == 0 ? 0 : (number << view->frames->block_order) - view->skipped;
}

static uint32_t runs_block_end(const struct runs_view *view, uint32_t number)
{
    uint32_t end = ((number + 1) << view->frames->block_order) - view->skipped;

    return end < view->span->npages ? end : view->span->npages;
}

static bool runs_block_borrowed(const struct runs_view *view, uint32_t number)
{
    const struct cma_block *block = span_block(view->frames, view->span, number);

    return (block->kept | block->droppable) != 0;
}

static bool runs_is_open(const struct runs_view *view, uint32_t at)
{
    uint32_t word;

    if (bitmap_test(view->frames->idle, view->base + at)) {
        return true;
    }
    word = atom_peek(&view->frames->records[view->span->record + at].word);
    return word_is_lendable(word) && (word & (WORD_PINS | WORD_ISOLATED)) == 0;
}

/* The first closed (open) frame in [at, end) of one block; `end` if there is none. */
static uint32_t runs_next_in_block(const struct runs_view *view, uint32_t number, uint32_t at,
                                   uint32_t end, bool open)
{
    if (!runs_block_borrowed(view, number)) {
        uint32_t bit =
            cma__bitmap_lowest(view->frames->idle, view->base + at, view->base + end - 1, open);

        return bit == CMA__BIT_NONE ? end : bit - view->base;
    }
    while (at < end && runs_is_open(view, at) != open) {
        at++;
    }
    return at;
}

/* The first closed frame at or above `at`, or the span's end. */
static uint32_t runs_up(const struct runs_view *view, uint32_t at)
{
    while (at < view->span->npages) {
        uint32_t number = runs_block_of(view, at);
        bool from_start = at == runs_block_begin(view, number);
        uint32_t end;

        if (from_start) {
            uint32_t next =
                cma__bittree_next(runs_tree(view, RUNS_TREE_BROKEN), view->span->nblocks, number);

            if (next == CMA__BIT_NONE) {
                return view->span->npages;
            }
            number = next;
            at = runs_block_begin(view, number);
        }
        end = runs_block_end(view, number);
        at = runs_next_in_block(view, number, at, end, false);
        if (at < end) {
            return at;
        }
        if (from_start) {
            cma__bittree_clear(runs_tree(view, RUNS_TREE_BROKEN), view->span->nblocks, number);
        }
    }
    return at;
}

/* The first frame of the run that the open frame `at` is in. */
static uint32_t runs_down(const struct runs_view *view, uint32_t at)
{
    while (at != 0) {
        uint32_t number = runs_block_of(view, at - 1);
        uint32_t begin = runs_block_begin(view, number);

        if (at == runs_block_end(view, number)) {
            uint32_t broken =
                cma__bittree_prev(runs_tree(view, RUNS_TREE_BROKEN), view->span->nblocks, number);

            if (broken == CMA__BIT_NONE) {
                return 0;
            }
            if (broken != number) {
                at = runs_block_end(view, broken);
                continue;
            }
        }
        if (!runs_block_borrowed(view, number)) {
            uint32_t bit = cma__bitmap_highest(view->frames->idle, view->base + begin,
                                               view->base + at - 1, false);

            if (bit != CMA__BIT_NONE) {
                return bit - view->base + 1;
            }
            at = begin;
            continue;
        }
        while (at > begin && runs_is_open(view, at - 1)) {
            at--;
        }
        if (at > begin) {
            return at;
        }
    }
    return 0;
}

/* --- hints --------------------------------------------------------------------------------- */

static void runs_name(const struct runs_view *view, uint32_t begin, uint32_t end)
{
    uint32_t class = runs_class(end - begin);

    cma__bittree_set(runs_tree(view, RUNS_TREE_CLASS + class), view->span->nblocks,
                     runs_block_of(view, begin));
    view->index->nonempty[class / 32] |= UINT32_C(1) << (class % 32);
}

static void runs_unname(const struct runs_view *view, uint32_t class, uint32_t number)
{
    uint32_t *tree = runs_tree(view, RUNS_TREE_CLASS + class);

    cma__bittree_clear(tree, view->span->nblocks, number);
    /* A tree's last word is its root. */
    if (tree[view->index->words - 1] == 0) {
        view->index->nonempty[class / 32] &= ~(UINT32_C(1) << (class % 32));
    }
}

/* Names all runs that have a frame in this block. */
static void runs_name_block(const struct runs_view *view, uint32_t number)
{
    uint32_t at = runs_block_begin(view, number);
    uint32_t end = runs_block_end(view, number);

    while ((at = runs_next_in_block(view, number, at, end, true)) < end) {
        uint32_t stop = runs_up(view, at);

        runs_name(view, runs_down(view, at), stop);
        at = stop < end ? stop : end;
    }
}

static void runs_mark_grown(const struct runs_view *view, uint32_t at, uint32_t npages)
{
    uint32_t last = runs_block_of(view, at + (npages - 1));

    for (uint32_t number = runs_block_of(view, at); number <= last; number++) {
        cma__bittree_set(runs_tree(view, RUNS_TREE_GROWN), view->span->nblocks, number);
    }
}

/* The list of released buffers becomes marks. */
static void runs_forget_recent(const struct runs_view *view)
{
    struct cma_runs *index = view->index;

    while (index->nrecent != 0) {
        index->nrecent--;
        runs_mark_grown(view, index->recent[index->nrecent][0], index->recent[index->nrecent][1]);
    }
}

/* Before a search: every run has its name. */
static void runs_catch_up(const struct runs_view *view)
{
    struct cma_runs *index = view->index;
    uint32_t *grown = runs_tree(view, RUNS_TREE_GROWN);
    uint32_t number;

    for (; index->nrecent != 0; index->nrecent--) {
        uint32_t at = index->recent[index->nrecent - 1][0];

        runs_name(view, runs_down(view, at), runs_up(view, at));
    }
    while ((number = cma__bittree_next(grown, view->span->nblocks, 0)) != CMA__BIT_NONE) {
        cma__bittree_clear(grown, view->span->nblocks, number);
        runs_name_block(view, number);
    }
}

void cma__runs_init(const struct cma_frames *frames, const struct cma_span *span)
{
    struct runs_view view;

    if (span->runs == 0) {
        return;
    }
    view = runs_view(frames, span);
    view.index->words = cma__bittree_words(span->nblocks);
    runs_name(&view, 0, span->npages);
}

void cma__runs_grown(const struct cma_frames *frames, const struct cma_span *span, cma_pfn_t pfn,
                     uint32_t npages)
{
    struct runs_view view;

    if (span->runs != 0) {
        view = runs_view(frames, span);
        runs_mark_grown(&view, (uint32_t)(pfn - span->pfn), npages);
    }
}

void cma__runs_shrunk(const struct cma_frames *frames, const struct cma_span *span, cma_pfn_t pfn,
                      uint32_t npages)
{
    uint32_t at = (uint32_t)(pfn - span->pfn);
    struct runs_view view;
    uint32_t number;

    if (span->runs == 0) {
        return;
    }
    view = runs_view(frames, span);
    runs_forget_recent(&view);
    for (number = runs_block_of(&view, at); number <= runs_block_of(&view, at + (npages - 1));
         number++) {
        cma__bittree_set(runs_tree(&view, RUNS_TREE_BROKEN), span->nblocks, number);
    }
    /* What is left on either side is a shorter run, in a class of its own. */
    if (at != 0) {
        runs_mark_grown(&view, at - 1, 1);
    }
    if (at + npages < span->npages) {
        runs_mark_grown(&view, at + npages, 1);
    }
}

/* --- search -------------------------------------------------------------------------------- */

struct runs_search {
    const struct cma_window_want *want;
    uint32_t at;         /* the best window so far */
    uint32_t begin, end; /* the run that it is in */
    uint32_t left;       /* frames of the run that it leaves */
    uint32_t fits, misfits;
    bool found;
    bool occupied; /* a run would do, but somebody has something in it */
};

/* Is a window empty: are all of its frames idle? */
static bool runs_is_idle(const struct runs_view *view, uint32_t at, uint32_t npages)
{
    return cma__bitmap_lowest(view->frames->idle, view->base + at, view->base + at + (npages - 1),
                              false) == CMA__BIT_NONE;
}

/* Looks at one run. */
static void runs_consider(const struct runs_view *view, struct runs_search *search, uint32_t begin,
                          uint32_t end)
{
    struct cma_window_want part = *search->want;
    cma_pfn_t pfn = view->span->pfn;
    uint32_t left = end - begin - (uint32_t)part.npages;
    uint32_t at;

    part.first = bits_max(part.first, pfn + begin);
    part.last = bits_min(part.last, pfn + (end - 1));
    if (end - begin < part.npages || !cma__window_next(&part, part.first, &pfn)) {
        search->misfits++;
        return;
    }
    search->fits++;
    if (search->found && left >= search->left) {
        return;
    }
    at = (uint32_t)(pfn - view->span->pfn);
    if (!runs_is_idle(view, at, (uint32_t)part.npages)) {
        search->occupied = true;
        return;
    }
    search->found = true;
    search->at = at;
    search->begin = begin;
    search->end = end;
    search->left = left;
}

/* Looks at the runs of one class that begin in a block. */
static void runs_visit(const struct runs_view *view, struct runs_search *search, uint32_t class,
                       uint32_t number)
{
    uint32_t at = runs_block_begin(view, number);
    uint32_t end = runs_block_end(view, number);
    bool named = false;

    if (at != 0 && runs_is_open(view, at - 1)) {
        at = runs_next_in_block(view, number, at, end, false);
    }
    while (at < end && (at = runs_next_in_block(view, number, at, end, true)) < end) {
        uint32_t stop = runs_next_in_block(view, number, at, end, false);

        if (stop == end) {
            stop = runs_up(view, at);
        }
        if (runs_class(stop - at) == class) {
            named = true;
            runs_consider(view, search, at, stop);
            if (search->found && search->left == 0) {
                return;
            }
        }
        at = stop;
    }
    if (!named) {
        search->misfits++;
        runs_unname(view, class, number);
    }
}

/* Looks through one class. `limit`: not at all of it. */
static void runs_search_class(const struct runs_view *view, struct runs_search *search,
                              uint32_t class, bool limit)
{
    const uint32_t *tree = runs_tree(view, RUNS_TREE_CLASS + class);
    uint32_t nblocks = view->span->nblocks;
    uint32_t number = cma__bittree_next(tree, nblocks, 0);

    search->fits = search->misfits = 0;
    while (number != CMA__BIT_NONE) {
        runs_visit(view, search, class, number);
        if ((search->found && (search->left == 0 || search->fits >= RUNS_FITS)) ||
            (limit && search->misfits >= RUNS_MISFITS) || number + 1 == nblocks) {
            return;
        }
        number = cma__bittree_next(tree, nblocks, number + 1);
    }
}

/* The next class, from `class` up, that may have members; RUNS_CLASSES_MAX: there is none. */
static uint32_t runs_next_class(const struct runs_view *view, uint32_t class)
{
    while (class < RUNS_CLASSES_MAX) {
        uint32_t word = view->index->nonempty[class / 32] & (UINT32_MAX << (class % 32));

        if (word != 0) {
            return class / 32 * 32 + bits_lowest(word);
        }
        class = (class / 32 + 1) * 32;
    }
    return RUNS_CLASSES_MAX;
}

static void runs_search(const struct runs_view *view, struct runs_search *search,
                        enum cma_runs_effort effort)
{
    uint32_t own = runs_class((uint32_t)search->want->npages);
    uint32_t class;

    /* Quickly first: in a class above its own a request fits almost always. */
    for (uint32_t limit = 2; limit-- > 0 && !search->found;) {
        for (class = runs_next_class(view, own); class < RUNS_CLASSES_MAX && !search->found;
             class = runs_next_class(view, class + 1)) {
            if (effort == CMA__RUNS_TIGHT && class > own + 1) {
                return;
            }
            runs_search_class(view, search, class, limit != 0);
        }
    }
}

/* A buffer that was released since the last search and has this very length. */
static bool runs_refill(const struct runs_view *view, struct runs_search *search)
{
    const struct cma_window_want *want = search->want;
    const struct cma_runs *index = view->index;

    for (uint32_t i = index->nrecent; i-- > 0;) {
        cma_pfn_t pfn = view->span->pfn + index->recent[i][0];
        cma_pfn_t place;

        if (index->recent[i][1] == want->npages && pfn >= want->first &&
            cma__window_next(want, pfn, &place) && place == pfn &&
            runs_is_idle(view, index->recent[i][0], (uint32_t)want->npages)) {
            search->at = search->begin = index->recent[i][0];
            search->end = search->at + index->recent[i][1];
            search->left = 0;
            /* Out of the list, in which order does not matter. */
            view->index->nrecent--;
            view->index->recent[i][0] = index->recent[index->nrecent][0];
            view->index->recent[i][1] = index->recent[index->nrecent][1];
            search->found = true;
            return true;
        }
    }
    return false;
}

/* --- claims and releases ------------------------------------------------------------------- */

/* Idle bits and counts of a window, block by block. */
static void runs_account(const struct runs_view *view, uint32_t at, uint32_t npages, bool idle)
{
    uint32_t end = at + npages;

    if (idle) {
        cma__bitmap_set(view->frames->idle, view->base + at, view->base + end - 1);
    } else {
        cma__bitmap_clear(view->frames->idle, view->base + at, view->base + end - 1);
    }
    while (at < end) {
        uint32_t number = runs_block_of(view, at);
        uint32_t block_end = runs_block_end(view, number);
        struct cma_block *block = span_block(view->frames, view->span, number);
        bool whole = at == runs_block_begin(view, number) && end >= block_end;
        uint32_t part = (end < block_end ? end : block_end) - at;

        atom_poke16(&block->idle, (uint16_t)(block->idle + (idle ? part : 0 - part)));
        if (!idle) {
            cma__bittree_set(runs_tree(view, RUNS_TREE_BROKEN), view->span->nblocks, number);
        }
        if ((block->flags & CMA_BLOCK_LENT) != 0) {
            if (whole && !idle) {
                atom_poke16(&block->flags, (uint16_t)(block->flags & ~CMA_BLOCK_LENT));
            }
            cma__account_refresh(view->frames, view->span, number);
        }
        at += part;
    }
}

static void runs_take(const struct runs_view *view, const struct runs_search *search,
                      uint32_t owner, uint32_t stamp)
{
    uint32_t npages = (uint32_t)search->want->npages;
    uint32_t end = search->at + npages;

    runs_account(view, search->at, npages, false);
    if (search->at > search->begin) {
        runs_name(view, search->begin, search->at);
    }
    if (end < search->end) {
        runs_name(view, end, search->end);
    }
    cma__window_write(&view->frames->records[view->span->record + search->at], npages, owner,
                      stamp);
    view->index->claims++;
    view->index->claimed_npages += npages;
    view->index->skipped_npages += search->at - search->begin;
}

int cma__runs_claim(struct cma_frames *frames, struct cma_span *span,
                    const struct cma_window_want *want, uint32_t owner, uint32_t stamp,
                    enum cma_runs_effort effort, cma_pfn_t *pfn)
{
    struct runs_view view = runs_view(frames, span);
    struct runs_search search = {.want = want};
    uintptr_t state;

    if (want->npages > span->npages) {
        return CMA_ENOMEM;
    }
    state = cma__span_lock(frames, span);
    if (!runs_refill(&view, &search)) {
        runs_catch_up(&view);
        runs_search(&view, &search, effort);
    }
    if (search.found) {
        runs_take(&view, &search, owner, stamp);
        *pfn = span->pfn + search.at;
    }
    cma__span_unlock(frames, span, state);
    if (search.found) {
        return CMA_OK;
    }
    return effort == CMA__RUNS_TIGHT || search.occupied ? CMA_EBUSY : CMA_ENOMEM;
}

int cma__runs_release(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                      uint32_t npages, uint32_t owner)
{
    struct runs_view view = runs_view(frames, span);
    uint32_t at = (uint32_t)(pfn - span->pfn);
    struct cma_frame_record *record = &frames->records[span->record + at];
    struct cma_runs *index = view.index;
    uintptr_t state = cma__span_lock(frames, span);
    int error = cma__window_check(record, npages, owner);

    if (error == CMA_OK) {
        atom_store(&record->word, 0);
        runs_account(&view, at, npages, true);
        if (index->nrecent == CMA__RUNS_RECENT) {
            runs_forget_recent(&view);
        }
        index->recent[index->nrecent][0] = at;
        index->recent[index->nrecent][1] = npages;
        index->nrecent++;
        index->released++;
        index->claimed_npages -= npages;
    }
    cma__span_unlock(frames, span, state);
    return error;
}

uint32_t cma__runs_tail(struct cma_frames *frames, struct cma_span *span)
{
    struct runs_view view = runs_view(frames, span);
    uintptr_t state = cma__span_lock(frames, span);
    uint32_t last = span->npages - 1;
    uint32_t length = runs_is_open(&view, last) ? span->npages - runs_down(&view, last) : 0;

    cma__span_unlock(frames, span, state);
    return length;
}

uint32_t cma__runs_front(struct cma_frames *frames, struct cma_span *span)
{
    struct runs_view view = runs_view(frames, span);
    uintptr_t state = cma__span_lock(frames, span);
    uint32_t length = runs_up(&view, 0);

    cma__span_unlock(frames, span, state);
    return length;
}

/* --- check --------------------------------------------------------------------------------- */

static bool runs_has(const struct runs_view *view, uint32_t tree, uint32_t number)
{
    return cma__bittree_next(runs_tree(view, tree), view->span->nblocks, number) == number;
}

/* Is this run named, or will it be before the next search? */
static bool runs_check_run(const struct runs_view *view, uint32_t begin, uint32_t end)
{
    uint32_t class = runs_class(end - begin);
    const struct cma_runs *index = view->index;

    if (runs_has(view, RUNS_TREE_CLASS + class, runs_block_of(view, begin)) &&
        (index->nonempty[class / 32] >> (class % 32) & 1u) != 0) {
        return true;
    }
    for (uint32_t i = 0; i < index->nrecent; i++) {
        if (index->recent[i][0] >= begin && index->recent[i][0] < end) {
            return true;
        }
    }
    for (uint32_t number = runs_block_of(view, begin); number <= runs_block_of(view, end - 1);
         number++) {
        if (runs_has(view, RUNS_TREE_GROWN, number)) {
            return true;
        }
    }
    return false;
}

bool cma__runs_check(const struct cma_frames *frames, const struct cma_span *span)
{
    struct runs_view view = runs_view(frames, span);
    uint32_t begin = 0;

    for (uint32_t at = 0; at <= span->npages; at++) {
        if (at < span->npages && runs_is_open(&view, at)) {
            continue;
        }
        if ((at > begin && !runs_check_run(&view, begin, at)) ||
            (at < span->npages && !runs_has(&view, RUNS_TREE_BROKEN, runs_block_of(&view, at)))) {
            return false;
        }
        begin = at + 1;
    }
    for (uint32_t tree = 0; tree < RUNS_TREE_CLASS + runs_class(span->npages) + 1; tree++) {
        if (!cma__bittree_check(runs_tree(&view, tree), span->nblocks)) {
            return false;
        }
    }
    return true;
}
