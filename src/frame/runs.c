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

/* The alignment that most devices ask, in pages. */
#define RUNS_UNIT 256u

/* A lane of an area is worth having from so many pages on: the largest buffers of devices must fit
 * well into it. */
#define RUNS_LANE_NPAGES 8192u

/* Candidates that a search compares, and untrue or unfit ones that it puts up with, before it
 * takes a longer class. */
#define RUNS_FITS 8u
#define RUNS_FITS_PRICED 16u
#define RUNS_MISFITS 16u

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

static uint32_t runs_words(uint32_t npages, uint32_t nblocks)
{
    uint32_t trees = RUNS_TREE_CLASS + runs_class(npages) + 1;
    uint32_t words = RUNS_HEAD + trees * cma__bittree_words(nblocks);

    return (words + CMA__RUNS_ALIGN - 1) / CMA__RUNS_ALIGN * CMA__RUNS_ALIGN;
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
static uint32_t runs_next_in_block(const struct runs_view *view, uint32_t number, uint32_t at,
                                   uint32_t end, bool open)
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
static uint32_t runs_tail_in_block(const struct runs_view *view, uint32_t number, uint32_t begin,
                                   uint32_t end)
{
    if (!runs_block_borrowed(view, number)) {
        return runs_bit_down(view->frames->idle, view->base + begin, view->base + end) - view->base;
    }
    while (end > begin && runs_is_open(view, end - 1)) {
        end--;
    }
    return end;
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
        at = runs_tail_in_block(view, number, begin, at);
        if (at > begin) {
            return at;
        }
    }
    return 0;
}

/* --- hints --------------------------------------------------------------------------------- */

/*
 * By what length a run is named: its own, or from twice RUNS_UNIT up what it has from the first
 * multiple of RUNS_UNIT on. Most devices ask for that alignment, and to them the rest is no use. It
 * is never more than RUNS_UNIT - 1 less, and never less than RUNS_UNIT + 1.
 */
static uint32_t runs_key(const struct runs_view *view, uint32_t begin, uint32_t end)
{
    uint32_t odd = (begin + (uint32_t)view->span->pfn) & (RUNS_UNIT - 1);

    return end - begin < 2 * RUNS_UNIT || odd == 0 ? end - begin : end - begin - (RUNS_UNIT - odd);
}

static uint32_t runs_class_of(const struct runs_view *view, uint32_t begin, uint32_t end)
{
    return runs_class(runs_key(view, begin, end));
}

/* The lowest class in which a run for this request can be. */
static uint32_t runs_class_wanted(const struct cma_window_want *want)
{
    uint32_t npages = (uint32_t)want->npages;

    if (npages <= RUNS_UNIT + 1 ||
        (want->align_npages >= RUNS_UNIT && want->phase % RUNS_UNIT == 0)) {
        return runs_class(npages);
    }
    return runs_class(npages < 2 * RUNS_UNIT ? RUNS_UNIT + 1 : npages - (RUNS_UNIT - 1));
}

static void runs_name(const struct runs_view *view, uint32_t begin, uint32_t end)
{
    uint32_t class = runs_class_of(view, begin, end);

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

/* A run is no more. Its name goes, where no other run can have the same: only one as long as a
 * block can begin in a block. Other names wait for the search that finds them untrue. */
static void runs_gone(const struct runs_view *view, uint32_t begin, uint32_t end)
{
    if (runs_key(view, begin, end) >= UINT32_C(1) << view->frames->block_order) {
        runs_unname(view, runs_class_of(view, begin, end), runs_block_of(view, begin));
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

    view->index->full_npages = 0;
    for (uint32_t number = runs_block_of(view, at); number <= last; number++) {
        cma__bittree_set(runs_tree(view, RUNS_TREE_GROWN), view->span->nblocks, number);
    }
}

/* The list of released buffers becomes marks. */
static void runs_forget_recent(const struct runs_view *view)
{
    struct cma_runs *index = view->index;

    while (index->nrecent != 0) {
        atom_poke(&index->nrecent, index->nrecent - 1);
        runs_mark_grown(view, index->recent[index->nrecent][0], index->recent[index->nrecent][1]);
    }
}

/* Before a search: every run has its name. */
static void runs_catch_up(const struct runs_view *view)
{
    struct cma_runs *index = view->index;
    uint32_t *grown = runs_tree(view, RUNS_TREE_GROWN);
    uint32_t number;

    for (; index->nrecent != 0; atom_poke(&index->nrecent, index->nrecent - 1)) {
        uint32_t at = index->recent[index->nrecent - 1][0];
        uint32_t after = at + index->recent[index->nrecent - 1][1];
        uint32_t begin = runs_down(view, at);
        uint32_t end = runs_up(view, after);

        if (begin < at) {
            runs_gone(view, begin, at);
        }
        if (after < end) {
            runs_gone(view, after, end);
        }
        runs_name(view, begin, end);
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
    runs_name(&view, 0, span->npages);
}

static void runs_shrunk(const struct runs_view *view, uint32_t at, uint32_t npages)
{
    uint32_t last = runs_block_of(view, at + (npages - 1));

    runs_forget_recent(view);
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

/* --- search -------------------------------------------------------------------------------- */

/*
 * What a window spoils: V(run) - V(left below) - V(left above), and what it leaves unused besides.
 * V grows faster than length, so that long runs stay whole; lengths count in units of the alignment
 * that most devices ask. Found by trial: on areas that are 90 % full it packs better than best fit.
 */
#define RUNS_VALUES 24u
#define RUNS_VALUE_SLOPE 78u /* of one unit more, behind the table */
#define RUNS_COARSE 2u
#define RUNS_SMALL (1u << 11) /* one request in 32, of 2^16 */
/* So many copies are worth one of these values: 112 for the only unit of a run. More copies a value
 * pack better, fewer copy less. */
#define RUNS_COPIES_A_VALUE 6u

struct runs_search {
    const struct cma_window_want *want;
    uint32_t npages;
    uint64_t avoid;      /* priced: a frame that must not be in it */
    bool plain;          /* anywhere in the lane */
    bool priced;         /* what somebody has in it may be moved out, at a price */
    uint32_t at;         /* the best window so far */
    uint32_t begin, end; /* the run that it is in */
    int64_t score;       /* what it spoils */
    uint32_t fits, misfits;
    bool found;
    bool occupied; /* a run would do, but somebody has something in it */
    bool cut;      /* a class was left before its end */
};

/* 16 * units ^ 1.4 */
static int64_t runs_value(uint32_t units)
{
    static const uint16_t values[RUNS_VALUES] = {0,   16,  42,  74,  111,  152,  197,  244,
                                                 294, 347, 402, 459, 519,  580,  644,  709,
                                                 776, 845, 915, 987, 1061, 1136, 1212, 1290};

    return units < RUNS_VALUES
               ? values[units]
               : values[RUNS_VALUES - 1] + (int64_t)(units - (RUNS_VALUES - 1)) * RUNS_VALUE_SLOPE;
}

/* Where nobody asks for less than RUNS_COARSE units, a rest of fewer or one more is lost, and worse
 * than none, and all others are worth their length. */
static int64_t runs_value_coarse(uint32_t units)
{
    return units == 0 ? 0 : units <= RUNS_COARSE ? -48 : 16 * ((int64_t)units - RUNS_COARSE - 1);
}

/* The value of frames [begin, end) of the lane. */
static int64_t runs_value_of(const struct runs_view *view, uint32_t begin, uint32_t end)
{
    uint32_t odd = (uint32_t)view->span->pfn & (RUNS_UNIT - 1);
    uint32_t first = (begin + odd + RUNS_UNIT - 1) / RUNS_UNIT;
    uint32_t last = (end + odd) / RUNS_UNIT;
    uint32_t units = last > first ? last - first : 0;

    return view->index->small < RUNS_SMALL ? runs_value_coarse(units) : runs_value(units);
}

/* Keeps the share of small requests, of the last hundred or so. */
static void runs_asked(const struct runs_view *view, uint32_t npages)
{
    uint32_t share = npages < RUNS_COARSE * RUNS_UNIT ? 1u << 16 : 0;

    view->index->small += (share >> 6) - (view->index->small >> 6);
}

/* Is a window empty: are all of its frames idle? */
static bool runs_is_idle(const struct runs_view *view, uint32_t at, uint32_t npages)
{
    uint32_t end = view->base + at + npages;

    return runs_bit_up(view->frames->idle, view->base + at, end, UINT32_MAX) == end;
}

/* About how many copies it takes to empty a window; eight discards are one. From the counts of
 * blocks alone: the parts of a block are taken to be alike. */
static uint64_t runs_copies(const struct runs_view *view, uint32_t at, uint32_t npages)
{
    uint32_t end = at + npages;
    uint64_t eighths = 0;

    while (at < end) {
        uint32_t number = runs_block_of(view, at);
        uint32_t block_end = runs_block_end(view, number);
        const struct cma_block *block = span_block(view->frames, view->span, number);
        uint32_t part = (end < block_end ? end : block_end) - at;
        uint32_t held = 8u * block->kept + block->droppable;

        eighths += held * part / (block_end - runs_block_begin(view, number));
        at += part;
    }
    return eighths / 8;
}

/* Looks at one place in a run. */
static void runs_judge(const struct runs_view *view, struct runs_search *search, uint32_t begin,
                       uint32_t end, uint32_t at)
{
    uint32_t left = end - begin - search->npages;
    int64_t score = runs_value_of(view, begin, end) - runs_value_of(view, begin, at) -
                    runs_value_of(view, at + search->npages, end);

    if (search->priced && search->avoid - at < search->npages) {
        return;
    }
    if (search->want->from_top) {
        score = (int64_t)view->span->npages - at;
    } else if (search->priced) {
        /* Where copies count, what is left of a run counts for less. */
        score = (score + left / 54) * RUNS_COPIES_A_VALUE +
                (int64_t)runs_copies(view, at, search->npages);
    } else {
        score += view->index->small < RUNS_SMALL ? left / 1024 : left / 8;
    }
    if (search->found && score >= search->score) {
        return;
    }
    if (!search->priced && !runs_is_idle(view, at, search->npages)) {
        search->occupied = true;
        return;
    }
    search->found = true;
    search->at = at;
    search->begin = begin;
    search->end = end;
    search->score = score;
}

/* The lowest and the highest place for the window in a run, the limits of the request heeded. */
static bool runs_places_within(const struct runs_view *view, const struct runs_search *search,
                               uint32_t begin, uint32_t end, uint32_t *low, uint32_t *high)
{
    struct cma_window_want part = *search->want;
    cma_pfn_t base = view->span->pfn;
    cma_pfn_t pfn;

    part.first = bits_max(part.first, base + begin);
    part.last = bits_min(part.last, base + (end - 1));
    if (part.first > part.last || !cma__window_next(&part, part.first, &pfn)) {
        return false;
    }
    *low = (uint32_t)(pfn - base);
    (void)cma__window_prev(&part, &pfn);
    *high = (uint32_t)(pfn - base);
    return true;
}

static bool runs_places(const struct runs_view *view, const struct runs_search *search,
                        uint32_t begin, uint32_t end, uint32_t *low, uint32_t *high)
{
    uint32_t mask = (uint32_t)search->want->align_npages - 1;
    uint32_t odd = (uint32_t)(view->span->pfn + search->want->phase);

    if (end - begin < search->npages) {
        return false;
    }
    if (!search->plain) {
        return runs_places_within(view, search, begin, end, low, high);
    }
    *low = ((begin + odd + mask) & ~mask) - odd;
    *high = ((end - search->npages + odd) & ~mask) - odd;
    return *low <= end - search->npages;
}

/* Looks at one run. */
static void runs_consider(const struct runs_view *view, struct runs_search *search, uint32_t begin,
                          uint32_t end)
{
    uint32_t low, high;

    if (!runs_places(view, search, begin, end, &low, &high)) {
        search->misfits++;
        return;
    }
    search->fits++;
    if (!search->want->from_top) {
        runs_judge(view, search, begin, end, low);
    }
    if ((high != low && !search->want->from_bottom) || search->want->from_top) {
        runs_judge(view, search, begin, end, high);
    }
}

/* The window fills its run, or nearly: no other can be much better. */
static bool runs_is_exact(const struct runs_search *search)
{
    return search->found && !search->priced && !search->want->from_top &&
           search->end - search->begin - search->npages <= search->npages / 16;
}

/* The last run of a block, if it begins there and has this class. */
static bool runs_visit_last(const struct runs_view *view, struct runs_search *search,
                            uint32_t class, uint32_t number)
{
    uint32_t begin = runs_block_begin(view, number);
    uint32_t end = runs_block_end(view, number);
    uint32_t at = runs_tail_in_block(view, number, begin, end);
    uint32_t stop;

    if (at == end || (at == begin && at != 0 && runs_is_open(view, at - 1))) {
        return false;
    }
    stop = runs_up(view, end);
    if (runs_class_of(view, at, stop) != class) {
        return false;
    }
    runs_consider(view, search, at, stop);
    return true;
}

/* All runs of a block that begin there and have this class. */
static bool runs_visit_all(const struct runs_view *view, struct runs_search *search, uint32_t class,
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
            stop = runs_up(view, end);
        }
        if (runs_class_of(view, at, stop) == class) {
            named = true;
            runs_consider(view, search, at, stop);
            if (runs_is_exact(search)) {
                break;
            }
        }
        at = stop;
    }
    return named;
}

/* Looks at the runs of one class that begin in a block. Only the last can be as long as a block. */
static void runs_visit(const struct runs_view *view, struct runs_search *search, uint32_t class,
                       uint32_t number)
{
    bool named = class >= runs_class(1u << view->frames->block_order)
                     ? runs_visit_last(view, search, class, number)
                     : runs_visit_all(view, search, class, number);

    if (!named) {
        search->misfits++;
        runs_unname(view, class, number);
    }
}

/* Enough was compared, or nothing better can come. */
static bool runs_enough(const struct runs_search *search)
{
    return !search->want->from_top &&
           (runs_is_exact(search) ||
            (search->found && search->fits >= (search->priced ? RUNS_FITS_PRICED : RUNS_FITS)));
}

/* The next block of a class's tree, upwards or downwards; CMA__BIT_NONE: there is none. `number` is
 * the last one, CMA__BIT_NONE at the beginning. */
static uint32_t runs_next_block(const struct runs_view *view, const struct runs_search *search,
                                uint32_t class, uint32_t number)
{
    const uint32_t *tree = runs_tree(view, RUNS_TREE_CLASS + class);
    uint32_t nblocks = view->span->nblocks;

    if (search->want->from_top) {
        number = number == CMA__BIT_NONE ? nblocks : number;
        return number == 0 ? CMA__BIT_NONE : cma__bittree_prev(tree, nblocks, number - 1);
    }
    number = number == CMA__BIT_NONE ? 0 : number + 1;
    return number == nblocks ? CMA__BIT_NONE : cma__bittree_next(tree, nblocks, number);
}

/* Looks through one class. `limit`: not at all of it. */
static void runs_search_class(const struct runs_view *view, struct runs_search *search,
                              uint32_t class, bool limit)
{
    uint32_t number = runs_next_block(view, search, class, CMA__BIT_NONE);
    uint32_t fits = search->fits;

    search->misfits = 0;
    while (number != CMA__BIT_NONE) {
        runs_visit(view, search, class, number);
        if (runs_enough(search) || (search->want->from_top && search->fits != fits)) {
            return;
        }
        if (limit && search->misfits >= RUNS_MISFITS) {
            search->cut = true;
            return;
        }
        number = runs_next_block(view, search, class, number);
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

/* Quickly first: in a class above its own a request fits almost always. Then, if that found
 * nothing and left something out, everything. */
static void runs_search(const struct runs_view *view, struct runs_search *search,
                        enum cma_runs_effort effort)
{
    uint32_t own = runs_class_wanted(search->want);
    bool limit = true;

    for (;;) {
        uint32_t class = runs_next_class(view, effort == CMA__RUNS_LOOSE ? own + 2 : own);

        while (class < RUNS_CLASSES_MAX && !runs_enough(search)) {
            if (effort == CMA__RUNS_TIGHT && class > own + 1) {
                search->cut = true;
                return;
            }
            runs_search_class(view, search, class, limit);
            class = runs_next_class(view, class + 1);
        }
        if (!limit || search->found || !search->cut || effort != CMA__RUNS_ANY) {
            return;
        }
        limit = false;
        search->cut = false;
    }
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
        } else if (whole) {
            cma__bittree_clear(runs_tree(view, RUNS_TREE_BROKEN), view->span->nblocks, number);
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

static void runs_hand_over(const struct runs_view *view, uint32_t at, uint32_t npages,
                           uint32_t owner, uint32_t stamp)
{
    cma__window_write(&view->frames->records[view->span->record + at], npages, owner, stamp);
    view->index->claims++;
    atom_poke(&view->index->claimed_npages, view->index->claimed_npages + npages);
}

/* A buffer leaves the list of those released. In which order they are does not matter. */
static void runs_unlist(struct cma_runs *index, uint32_t i)
{
    uint32_t last = index->nrecent - 1;

    atom_poke(&index->nrecent, last);
    atom_poke(&index->recent[i][0], index->recent[last][0]);
    atom_poke(&index->recent[i][1], index->recent[last][1]);
}

bool cma__runs_refill(struct cma_frames *frames, struct cma_span *span, uint32_t npages,
                      uint64_t align_npages, uint32_t owner, uint32_t stamp, cma_pfn_t *pfn)
{
    struct runs_view view = runs_view(frames, span);
    struct cma_runs *index = view.index;
    uint32_t i = atom_peek(&index->nrecent);
    uintptr_t state;
    uint32_t at = 0;

    /* Looked at first without the lock: most requests have no luck. */
    while (i != 0 && atom_peek(&index->recent[i - 1][1]) != npages) {
        i--;
    }
    if (i == 0) {
        return false;
    }
    state = cma__span_lock(frames, span);
    for (i = index->nrecent; i != 0; i--) {
        at = index->recent[i - 1][0];
        if (index->recent[i - 1][1] == npages && ((span->pfn + at) & (align_npages - 1)) == 0 &&
            runs_is_idle(&view, at, npages)) {
            break;
        }
    }
    if (i != 0) {
        runs_unlist(index, i - 1);
        runs_account(&view, at, npages, false);
        runs_hand_over(&view, at, npages, owner, stamp);
        *pfn = span->pfn + at;
    }
    cma__span_unlock(frames, span, state);
    return i != 0;
}

static void runs_take(const struct runs_view *view, const struct runs_search *search,
                      uint32_t owner, uint32_t stamp)
{
    uint32_t npages = search->npages;
    uint32_t end = search->at + npages;

    runs_gone(view, search->begin, search->end);
    runs_account(view, search->at, npages, false);
    if (search->at > search->begin) {
        runs_name(view, search->begin, search->at);
    }
    if (end < search->end) {
        runs_name(view, end, search->end);
    }
    view->index->skipped_npages += search->at - search->begin;
    runs_hand_over(view, search->at, npages, owner, stamp);
}

static struct runs_search runs_begin(const struct cma_span *span,
                                     const struct cma_window_want *want)
{
    return (struct runs_search){
        .want = want,
        .npages = (uint32_t)want->npages,
        .plain = want->boundary_npages == 0 && want->first <= span->pfn &&
                 want->last >= span->pfn + (span->npages - 1),
    };
}

/* What is remembered of the last search that found no run at all, until a run grows. */
static bool runs_is_full(const struct runs_view *view, const struct runs_search *search)
{
    const struct cma_runs *index = view->index;

    return search->plain && index->full_npages != 0 && search->npages >= index->full_npages &&
           search->want->align_npages >= index->full_align_npages;
}

int cma__runs_claim(struct cma_frames *frames, struct cma_span *span,
                    const struct cma_window_want *want, uint32_t owner, uint32_t stamp,
                    enum cma_runs_effort effort, cma_pfn_t *pfn)
{
    struct runs_view view = runs_view(frames, span);
    struct runs_search search = runs_begin(span, want);
    uintptr_t state;
    bool none;

    if (want->npages > span->npages || want->align_npages > UINT32_MAX) {
        return want->npages > span->npages ? CMA_ENOMEM : CMA_EBUSY;
    }
    state = cma__span_lock(frames, span);
    runs_asked(&view, search.npages);
    none = runs_is_full(&view, &search);
    if (!none) {
        runs_catch_up(&view);
        runs_search(&view, &search, effort);
        none = !search.found && !search.cut && !search.occupied && effort != CMA__RUNS_LOOSE;
    }
    if (search.found) {
        runs_take(&view, &search, owner, stamp);
        *pfn = span->pfn + search.at;
    } else if (none && search.plain) {
        view.index->full_npages = search.npages;
        view.index->full_align_npages = (uint32_t)want->align_npages;
    }
    cma__span_unlock(frames, span, state);
    if (search.found) {
        return CMA_OK;
    }
    return none ? CMA_ENOMEM : CMA_EBUSY;
}

bool cma__runs_choose(struct cma_frames *frames, struct cma_span *span,
                      const struct cma_window_want *want, cma_pfn_t avoid, cma_pfn_t *pfn,
                      int64_t *price)
{
    struct runs_view view = runs_view(frames, span);
    struct runs_search search = runs_begin(span, want);
    uintptr_t state;

    if (want->npages > span->npages || want->align_npages > UINT32_MAX) {
        return false;
    }
    search.priced = true;
    search.avoid = avoid - span->pfn;
    state = cma__span_lock(frames, span);
    runs_catch_up(&view);
    runs_search(&view, &search, CMA__RUNS_ANY);
    cma__span_unlock(frames, span, state);
    *pfn = span->pfn + search.at;
    *price = search.score;
    return search.found;
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
        atom_poke(&index->recent[index->nrecent][0], at);
        atom_poke(&index->recent[index->nrecent][1], npages);
        atom_poke(&index->nrecent, index->nrecent + 1);
        index->full_npages = 0;
        index->released++;
        atom_poke(&index->claimed_npages, index->claimed_npages - npages);
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
    .check = runs_check,
};
