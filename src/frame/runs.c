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
#include "runs_view.h"

/* A lane of an area is worth having from so many pages on: the largest buffers of devices must fit
 * well into it. */
#define RUNS_LANE_NPAGES 8192u

static uint32_t runs_round(uint32_t words)
{
    return (words + CMA__RUNS_ALIGN - 1) / CMA__RUNS_ALIGN * CMA__RUNS_ALIGN;
}

/* Of the head and the trees; then, of these and the places for long buffers. */
static uint32_t runs_index_words(uint32_t npages, uint32_t nblocks)
{
    uint32_t trees = RUNS_TREE_CLASS + runs_class(npages) + 1;

    return runs_round(RUNS_HEAD + trees * cma__bittree_words(nblocks));
}

static uint32_t runs_words(uint32_t npages, uint32_t nblocks)
{
    uint32_t nbuffers = ((npages - 1) >> CMA__LONG_SHIFT) + 1;
    uint32_t words = nbuffers * (uint32_t)(sizeof(struct cma_buffer) / sizeof(uint32_t));

    return runs_index_words(npages, nblocks) +
           (npages < CMA__LONG_LANE_NPAGES ? 0 : runs_round(words));
}

/* The last frame of the lane of an area that begins at `first`: cut where large alignments are. */
static cma_pfn_t runs_lane_last(const struct cma_frames_config *config, cma_pfn_t first,
                                cma_pfn_t last, uint32_t order, uint32_t lane)
{
    /* An area has fewer than 2^29 frames. */
    uint32_t npages = (uint32_t)(last - first) + 1;
    uint32_t least = config->lane_npages != 0 ? config->lane_npages : RUNS_LANE_NPAGES;
    uint32_t nlanes =
        (uint32_t)bits_min(bits_min(config->lanes, CMA__LANES_MAX), npages / least + lane);
    uint32_t chunk;
    uint64_t align;
    cma_pfn_t next;

    if (lane + 1 >= nlanes) {
        return last;
    }
    chunk = npages / (nlanes - lane);
    align = bits_max(UINT64_C(1) << order, UINT64_C(1) << bits_highest(chunk / 2 + 1));
    next = (first + chunk) & ~(align - 1);
    return next > first && next <= last ? next - 1 : last;
}

/* --- runs ---------------------------------------------------------------------------------- */

/* The first closed frame at or above `at`, or the span's end. */
uint32_t cma__runs_up(const struct runs_view *view, uint32_t at)
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
        at = runs_tail_in_block(view, number, begin, at);
        if (at > begin) {
            return at;
        }
    }
    return 0;
}

/* --- hints --------------------------------------------------------------------------------- */

void cma__runs_name(const struct runs_view *view, uint32_t begin, uint32_t end)
{
    uint32_t class = runs_class_of(view, begin, end);

    cma__bittree_set(runs_tree(view, RUNS_TREE_CLASS + class), view->span->nblocks,
                     runs_block_of(view, begin));
    view->index->nonempty[class / 32] |= UINT32_C(1) << (class % 32);
}

void cma__runs_unname(const struct runs_view *view, uint32_t class, uint32_t number)
{
    uint32_t *tree = runs_tree(view, RUNS_TREE_CLASS + class);

    cma__bittree_clear(tree, view->span->nblocks, number);
    /* A tree's last word is its root. */
    if (tree[view->index->words - 1] == 0) {
        view->index->nonempty[class / 32] &= ~(UINT32_C(1) << (class % 32));
    }
}

/* A run is no more. Its name goes, where no other run can have the same: only one as long as a
 * block can begin in a block. Other names wait for the search that finds them untrue. */
void cma__runs_gone(const struct runs_view *view, uint32_t begin, uint32_t end)
{
    uint32_t class = runs_class_of(view, begin, end);

    if (runs_class_is_long(view, class)) {
        cma__runs_unname(view, class, runs_block_of(view, begin));
    }
}

/* Names all runs that have a frame in this block. */
static void runs_name_block(const struct runs_view *view, uint32_t number)
{
    uint32_t at = runs_block_begin(view, number);
    uint32_t end = runs_block_end(view, number);

    while ((at = runs_next_in_block(view, number, at, end, true)) < end) {
        uint32_t stop = cma__runs_up(view, at);

        cma__runs_name(view, runs_down(view, at), stop);
        at = stop < end ? stop : end;
    }
}

static void runs_mark_grown(const struct runs_view *view, uint32_t at, uint32_t npages)
{
    uint32_t last = runs_block_of(view, at + (npages - 1));

    view->index->full_npages = 0;
    for (uint32_t number = runs_block_of(view, at); number <= last; number++) {
        cma__bittree_set(runs_tree(view, RUNS_TREE_GROWN), view->span->nblocks, number);
    }
}

/* The list of released buffers becomes marks. */
CMA__APART void cma__runs_forget_recent(const struct cma_frames *frames,
                                        const struct cma_span *span)
{
    struct runs_view view = runs_view(frames, span);
    struct cma_runs *index = view.index;

    while (index->nrecent != 0) {
        atom_poke(&index->nrecent, index->nrecent - 1);
        runs_mark_grown(&view, index->recent[index->nrecent][0], index->recent[index->nrecent][1]);
    }
}

/* Before a search: every run has its name. */
void cma__runs_catch_up(const struct runs_view *view)
{
    struct cma_runs *index = view->index;
    uint32_t *grown = runs_tree(view, RUNS_TREE_GROWN);
    uint32_t number;

    for (; index->nrecent != 0; atom_poke(&index->nrecent, index->nrecent - 1)) {
        uint32_t at = index->recent[index->nrecent - 1][0];
        uint32_t after = at + index->recent[index->nrecent - 1][1];
        uint32_t begin = runs_down(view, at);
        uint32_t end = cma__runs_up(view, after);

        if (begin < at) {
            cma__runs_gone(view, begin, at);
        }
        if (after < end) {
            cma__runs_gone(view, after, end);
        }
        cma__runs_name(view, begin, end);
    }
    while ((number = cma__bittree_next(grown, view->span->nblocks, 0)) != CMA__BIT_NONE) {
        cma__bittree_clear(grown, view->span->nblocks, number);
        runs_name_block(view, number);
    }
}

static void runs_init(const struct cma_frames *frames, const struct cma_span *span)
{
    struct runs_view view = runs_view(frames, span);

    view.index->words = cma__bittree_words(span->nblocks);
    if (span->npages >= CMA__LONG_LANE_NPAGES) {
        view.index->buffers = runs_index_words(span->npages, span->nblocks);
    }
    cma__runs_name(&view, 0, span->npages);
}

static void runs_shrunk(const struct runs_view *view, uint32_t at, uint32_t npages)
{
    uint32_t last = runs_block_of(view, at + (npages - 1));

    cma__runs_forget_recent(view->frames, view->span);
    for (uint32_t number = runs_block_of(view, at); number <= last; number++) {
        cma__bittree_set(runs_tree(view, RUNS_TREE_BROKEN), view->span->nblocks, number);
    }
    /* What is left on either side is a shorter run, in a class of its own. */
    if (at != 0) {
        runs_mark_grown(view, at - 1, 1);
    }
    if (at + npages < view->span->npages) {
        runs_mark_grown(view, at + npages, 1);
    }
}

static void runs_note(const struct cma_frames *frames, const struct cma_span *span, cma_pfn_t pfn,
                      uint32_t npages, bool open)
{
    struct runs_view view = runs_view(frames, span);

    if (open) {
        runs_mark_grown(&view, (uint32_t)(pfn - span->pfn), npages);
    } else {
        runs_shrunk(&view, (uint32_t)(pfn - span->pfn), npages);
    }
}

static bool runs_find_buffer(const struct cma_frames *frames, const struct cma_span *span,
                             cma_pfn_t pfn, struct cma_buffer *buffer)
{
    struct runs_view view = runs_view(frames, span);
    uint32_t at = (uint32_t)(pfn - span->pfn);
    const struct cma_buffer *there;

    if (view.index->buffers == 0) {
        return false;
    }
    there = runs_buffer(&view, at);
    buffer->npages = atom_load(&there->npages);
    buffer->at = atom_peek(&there->at);
    buffer->owner = atom_peek(&there->owner);
    buffer->stamp = atom_peek(&there->stamp);
    return buffer->npages != 0 && buffer->at == at;
}

/* --- check --------------------------------------------------------------------------------- */

/* Is this run named, or will it be before the next search? */
static bool runs_check_run(const struct runs_view *view, uint32_t begin, uint32_t end)
{
    uint32_t class = runs_class_of(view, begin, end);
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

static bool runs_check(const struct cma_frames *frames, const struct cma_span *span)
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

const struct cma_frames_index cma_frames_index = {
    .lane_last = runs_lane_last,
    .words = runs_words,
    .init = runs_init,
    .changed = runs_note,
    .buffer = runs_find_buffer,
    .check = runs_check,
};
