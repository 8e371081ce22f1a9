/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * place.c - which of the places in a lane a buffer gets, and taking it
 *
 * A search reads runs from the index, class by class, and judges two places in each, its lowest and
 * its highest one: what is taken from the end of a run leaves the rest in one piece. Places are
 * judged by what they spoil. Where data must be moved out first, copies are added to that; a place
 * that nobody has anything in is taken at once, under the lock that it was found with.
 */
#include "recent.h"

/* Candidates that a search compares, and untrue or unfit ones that it puts up with, before it
 * takes a longer class. */
#define PLACE_FITS 8u
#define PLACE_FITS_PRICED 16u
#define PLACE_MISFITS 16u
#define PLACE_MISFITS_SMALL 32u
/* Pages of a lane up to which looks are cheap, and places few enough to be worth more of them. */
#define PLACE_SMALL_LANE (1u << 19)

/* The lowest class in which a run for this request can be. */
static uint32_t place_class_wanted(const struct cma_window_want *want)
{
    uint32_t npages = (uint32_t)want->npages;

    if (npages <= RUNS_UNIT + 1 ||
        (want->align_npages >= RUNS_UNIT && want->phase % RUNS_UNIT == 0)) {
        return runs_class(npages);
    }
    return runs_class(npages < 2 * RUNS_UNIT ? RUNS_UNIT + 1 : npages - (RUNS_UNIT - 1));
}

/* --- search -------------------------------------------------------------------------------- */

/*
 * What a window spoils: V(run) - V(left below) - V(left above), and what it leaves unused besides.
 * V grows faster than length, so that long runs stay whole; lengths count in units of the alignment
 * that most devices ask. Found by trial: on areas that are 90 % full it packs better than best fit.
 */
#define PLACE_VALUES 24u
#define PLACE_VALUE_SLOPE 78u /* of one unit more, behind the table */
#define PLACE_COARSE 2u
#define PLACE_SMALL (1u << 11) /* one request in 32, of 2^16 */
/* So many copies are worth one of these values: 112 for the only unit of a run. More copies a value
 * pack better, fewer copy less. */
#define PLACE_COPIES_A_VALUE 6u

struct place_search {
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
static int64_t place_value(uint32_t units)
{
    static const uint16_t values[PLACE_VALUES] = {0,   16,  42,  74,  111,  152,  197,  244,
                                                  294, 347, 402, 459, 519,  580,  644,  709,
                                                  776, 845, 915, 987, 1061, 1136, 1212, 1290};

    return units < PLACE_VALUES ? values[units]
                                : values[PLACE_VALUES - 1] +
                                      (int64_t)(units - (PLACE_VALUES - 1)) * PLACE_VALUE_SLOPE;
}

/* Where nobody asks for less than PLACE_COARSE units, a rest of fewer or one more is lost, and
 * worse than none, and all others are worth their length. */
static int64_t place_value_coarse(uint32_t units)
{
    return units == 0 ? 0 : units <= PLACE_COARSE ? -48 : 16 * ((int64_t)units - PLACE_COARSE - 1);
}

/* Does nobody ask for less than PLACE_COARSE units, of late? */
static bool place_is_coarse(const struct runs_view *view)
{
    return view->index->small < PLACE_SMALL;
}

/* The value of frames [begin, end) of the lane. */
static int64_t place_value_of(const struct runs_view *view, uint32_t begin, uint32_t end)
{
    uint32_t odd = (uint32_t)view->span->pfn & (RUNS_UNIT - 1);
    uint32_t first = (begin + odd + RUNS_UNIT - 1) / RUNS_UNIT;
    uint32_t last = (end + odd) / RUNS_UNIT;
    uint32_t units = last > first ? last - first : 0;

    return place_is_coarse(view) ? place_value_coarse(units) : place_value(units);
}

/* Keeps the share of small requests, of the last hundred or so. */
static void place_asked(const struct runs_view *view, uint32_t npages)
{
    uint32_t share = npages < PLACE_COARSE * RUNS_UNIT ? 1u << 16 : 0;

    view->index->small += (share >> 6) - (view->index->small >> 6);
}

/* About how many copies it takes to empty a window; eight discards are one. From the counts of
 * blocks alone: the parts of a block are taken to be alike. */
static uint64_t place_copies(const struct runs_view *view, uint32_t at, uint32_t npages)
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

/* What a place spoils, the less the better. */
static int64_t place_score(const struct runs_view *view, const struct place_search *search,
                           uint32_t begin, uint32_t end, uint32_t at)
{
    uint32_t left = end - begin - search->npages;
    int64_t lost;

    if (search->want->from_top) {
        return (int64_t)view->span->npages - at;
    }
    lost = place_value_of(view, begin, end) - place_value_of(view, begin, at) -
           place_value_of(view, at + search->npages, end);
    if (search->priced) {
        /* Where copies count, what is left of a run counts for less. */
        return (lost + left / 54) * PLACE_COPIES_A_VALUE +
               (int64_t)place_copies(view, at, search->npages);
    }
    return lost + (place_is_coarse(view) ? left / 1024 : left / 8);
}

/* Looks at one place in a run. */
static void place_judge(const struct runs_view *view, struct place_search *search, uint32_t begin,
                        uint32_t end, uint32_t at)
{
    int64_t score;

    if (search->priced && search->avoid - at < search->npages) {
        return;
    }
    score = place_score(view, search, begin, end, at);
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
static bool place_places_within(const struct runs_view *view, const struct place_search *search,
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

static bool place_places(const struct runs_view *view, const struct place_search *search,
                         uint32_t begin, uint32_t end, uint32_t *low, uint32_t *high)
{
    uint32_t mask = (uint32_t)search->want->align_npages - 1;
    uint32_t odd = (uint32_t)(view->span->pfn + search->want->phase);

    if (end - begin < search->npages) {
        return false;
    }
    if (!search->plain) {
        return place_places_within(view, search, begin, end, low, high);
    }
    *low = ((begin + odd + mask) & ~mask) - odd;
    *high = ((end - search->npages + odd) & ~mask) - odd;
    return *low <= end - search->npages;
}

/* Looks at one run. */
static void place_consider(const struct runs_view *view, struct place_search *search,
                           uint32_t begin, uint32_t end)
{
    uint32_t low, high;

    if (!place_places(view, search, begin, end, &low, &high)) {
        search->misfits++;
        return;
    }
    search->fits++;
    if (!search->want->from_top) {
        place_judge(view, search, begin, end, low);
    }
    if ((high != low && !search->want->from_bottom) || search->want->from_top) {
        place_judge(view, search, begin, end, high);
    }
}

/* The window fills its run: no other can be better. Where nobody asks for small runs, all rests of
 * less than a unit are alike. */
static bool place_is_exact(const struct runs_view *view, const struct place_search *search)
{
    if (!search->found || search->priced || search->want->from_top) {
        return false;
    }
    return place_is_coarse(view)
               ? runs_key(view, search->begin, search->end) - search->npages < RUNS_UNIT
               : search->end - search->begin == search->npages;
}

/* The last run of a block, if it begins there and has this class. */
static bool place_visit_last(const struct runs_view *view, struct place_search *search,
                             uint32_t class, uint32_t number)
{
    uint32_t begin = runs_block_begin(view, number);
    uint32_t end = runs_block_end(view, number);
    uint32_t at = runs_tail_in_block(view, number, begin, end);
    uint32_t stop;

    if (at == end || (at == begin && at != 0 && runs_is_open(view, at - 1))) {
        return false;
    }
    stop = cma__runs_up(view, end);
    if (runs_class_of(view, at, stop) != class) {
        return false;
    }
    place_consider(view, search, at, stop);
    return true;
}

/* All runs of a block that begin there and have this class. */
static bool place_visit_all(const struct runs_view *view, struct place_search *search,
                            uint32_t class, uint32_t number)
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
            stop = cma__runs_up(view, end);
        }
        if (runs_class_of(view, at, stop) == class) {
            named = true;
            place_consider(view, search, at, stop);
            if (place_is_exact(view, search)) {
                break;
            }
        }
        at = stop;
    }
    return named;
}

/* Looks at the runs of one class that begin in a block. Only the last can be as long as a block. */
static void place_visit(const struct runs_view *view, struct place_search *search, uint32_t class,
                        uint32_t number)
{
    bool named = runs_class_is_long(view, class) ? place_visit_last(view, search, class, number)
                                                 : place_visit_all(view, search, class, number);

    if (!named) {
        search->misfits++;
        cma__runs_unname(view, class, number);
    }
}

/* Enough was compared, or nothing better can come. Where somebody has something in all of these
 * places, he has in others too: they are for the long way. */
static bool place_enough(const struct runs_view *view, const struct place_search *search)
{
    return !search->want->from_top &&
           (place_is_exact(view, search) ||
            search->fits >= (search->priced ? PLACE_FITS_PRICED : PLACE_FITS));
}

/* The next block of a class's tree, upwards or downwards; CMA__BIT_NONE: there is none. `number` is
 * the last one, CMA__BIT_NONE at the beginning. */
static uint32_t place_next_block(const struct runs_view *view, const struct place_search *search,
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
static void place_search_class(const struct runs_view *view, struct place_search *search,
                               uint32_t class, bool limit)
{
    uint32_t number = place_next_block(view, search, class, CMA__BIT_NONE);
    uint32_t fits = search->fits;
    uint32_t misfits = view->span->npages <= PLACE_SMALL_LANE ? PLACE_MISFITS_SMALL : PLACE_MISFITS;

    search->misfits = 0;
    while (number != CMA__BIT_NONE) {
        place_visit(view, search, class, number);
        if (place_enough(view, search) || (search->want->from_top && search->fits != fits)) {
            return;
        }
        if (limit && search->misfits >= misfits) {
            search->cut = true;
            return;
        }
        number = place_next_block(view, search, class, number);
    }
}

/* The next class, from `class` up, that may have members; RUNS_CLASSES_MAX: there is none. */
static uint32_t place_next_class(const struct runs_view *view, uint32_t class)
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
static void place_search(const struct runs_view *view, struct place_search *search,
                         enum cma_runs_effort effort)
{
    uint32_t own = place_class_wanted(search->want);
    bool limit = true;

    for (;;) {
        uint32_t class = place_next_class(view, effort == CMA__RUNS_LOOSE ? own + 2 : own);

        while (class < RUNS_CLASSES_MAX && !place_enough(view, search)) {
            if (effort == CMA__RUNS_TIGHT && class > own + 1) {
                search->cut = true;
                return;
            }
            place_search_class(view, search, class, limit);
            /* Longer runs have more to lose; where rests of a unit or two are lost, not always. */
            if (search->found && !search->priced && !search->want->from_top &&
                !place_is_coarse(view)) {
                return;
            }
            class = place_next_class(view, class + 1);
        }
        if (!limit || search->found || !search->cut || effort != CMA__RUNS_ANY) {
            return;
        }
        limit = false;
        search->cut = false;
    }
}

/* --- claims and releases ------------------------------------------------------------------- */

/* Counts of a block of which frames [at, end) of the lane change hands. */
static void place_account_block(const struct runs_view *view, uint32_t number, uint32_t at,
                                uint32_t end, bool idle)
{
    struct cma_block *block = span_block(view->frames, view->span, number);
    uint32_t begin = runs_block_begin(view, number), block_end = runs_block_end(view, number);
    uint32_t part = (end < block_end ? end : block_end) - (at > begin ? at : begin);

    atom_poke16(&block->idle, (uint16_t)(block->idle + (idle ? part : 0 - part)));
    if (!idle) {
        cma__bittree_set(runs_tree(view, RUNS_TREE_BROKEN), view->span->nblocks, number);
    }
    if ((block->flags & CMA_BLOCK_LENT) != 0) {
        /* What is claimed as a whole is not lent any more. */
        if (!idle && at <= begin && end >= block_end) {
            atom_poke16(&block->flags, (uint16_t)(block->flags & ~CMA_BLOCK_LENT));
        }
        cma__account_refresh(view->frames, view->span, number);
    }
}

CMA__APART void cma__runs_account(struct cma_frames *frames, struct cma_span *span, uint32_t at,
                                  uint32_t npages, bool idle)
{
    struct runs_view view = runs_view(frames, span);
    uint32_t end = at + npages, last = runs_block_of(&view, end - 1);

    if (idle) {
        cma__bitmap_set(frames->idle, view.base + at, view.base + end - 1);
    } else {
        cma__bitmap_clear(frames->idle, view.base + at, view.base + end - 1);
    }
    for (uint32_t number = runs_block_of(&view, at); number <= last; number++) {
        place_account_block(&view, number, at, end, idle);
    }
}

static void place_take(const struct runs_view *view, const struct place_search *search,
                       uint32_t owner, uint32_t stamp)
{
    uint32_t npages = search->npages;
    uint32_t end = search->at + npages;

    cma__runs_gone(view, search->begin, search->end);
    cma__runs_account(view->frames, view->span, search->at, npages, false);
    if (search->at > search->begin) {
        cma__runs_name(view, search->begin, search->at);
    }
    if (end < search->end) {
        cma__runs_name(view, end, search->end);
    }
    /* On the other side lies what is left of the run. */
    view->index->skipped_npages += bits_min(search->at - search->begin, search->end - end);
    runs_hand_over(view, search->at, npages, owner, stamp);
}

static struct place_search place_begin(const struct cma_span *span,
                                       const struct cma_window_want *want)
{
    return (struct place_search){
        .want = want,
        .npages = (uint32_t)want->npages,
        .plain = want->boundary_npages == 0 && want->first <= span->pfn &&
                 want->last >= span->pfn + (span->npages - 1),
    };
}

/* Does what a search finds hold for all requests that ask for as much, or more? Not where limits or
 * an offset of addresses leave other places than alignment alone. */
static bool place_is_telling(const struct place_search *search)
{
    return search->plain && (search->want->phase & (search->want->align_npages - 1)) == 0;
}

/* What is remembered of the last search that found no run at all, until a run grows. */
static bool place_is_full(const struct runs_view *view, const struct place_search *search)
{
    const struct cma_runs *index = view->index;

    return place_is_telling(search) && index->full_npages != 0 &&
           search->npages >= index->full_npages &&
           search->want->align_npages >= index->full_align_npages;
}

int cma__runs_claim(struct cma_frames *frames, struct cma_span *span,
                    const struct cma_window_want *want, uint32_t owner, uint32_t stamp,
                    enum cma_runs_effort effort, cma_pfn_t *pfn)
{
    struct runs_view view = runs_view(frames, span);
    struct place_search search = place_begin(span, want);
    uintptr_t state;
    bool none;

    if (want->npages > span->npages || want->align_npages > UINT32_MAX) {
        return want->npages > span->npages ? CMA_ENOMEM : CMA_EBUSY;
    }
    state = runs_lock(&view);
    place_asked(&view, search.npages);
    none = place_is_full(&view, &search);
    if (!none) {
        cma__runs_catch_up(&view);
        place_search(&view, &search, effort);
        none = !search.found && !search.cut && !search.occupied && effort != CMA__RUNS_LOOSE;
        if (none && place_is_telling(&search)) {
            view.index->full_npages = search.npages;
            view.index->full_align_npages = (uint32_t)want->align_npages;
        }
    }
    if (search.found) {
        place_take(&view, &search, owner, stamp);
        *pfn = span->pfn + search.at;
    }
    runs_unlock(&view, state);
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
    struct place_search search = place_begin(span, want);
    uintptr_t state;

    if (want->npages > span->npages || want->align_npages > UINT32_MAX) {
        return false;
    }
    search.priced = true;
    search.avoid = avoid - span->pfn;
    state = runs_lock(&view);
    cma__runs_catch_up(&view);
    place_search(&view, &search, CMA__RUNS_ANY);
    runs_unlock(&view, state);
    *pfn = span->pfn + search.at;
    *price = search.score;
    return search.found;
}
