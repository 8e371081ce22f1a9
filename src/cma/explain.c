/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain.c - why a request was refused, and the smallest change that would have let it succeed
 *
 * The area is cut at its obstacles: frames held in place, buffers, what others are taking. Between
 * two of them lies a stretch in which any window would do that the request allows, if the kept
 * frames of the window find room elsewhere. So one walk over obstacles answers what a stretch would
 * do for: a shorter request, a lesser alignment, a higher limit, or the request as it is with more
 * room. And the stretch that two neighbours make, were the one obstacle between them gone, tells
 * whether a frame or a buffer is all that is in the way. Nothing is counted frame by frame, but for
 * kept frames, and these only where they outnumber the room for them.
 *
 * What is smallest? What costs fewest pages, seen by those who have to do without them:
 *   FRAME    nobody loses a page; who holds one in place lets it go. The frame that the refusal
 *            names, if that one will do, else the lowest.
 *   ALIGN    nobody loses a page; the request asks for less than it did. The largest that will do.
 *   ROOM, RELEASE, NPAGES   whichever takes the fewest pages from somebody: those that others free
 *            elsewhere, the length of the buffer, those that the request is cut by. In this order
 *            where they are equal.
 *   LIMIT    when there is nothing else: how far a device reaches is seldom anybody's choice. But
 *            before NPAGES where no window lies in reach at all.
 * Only one change is named, and only one that is enough by itself; where two things at once stand
 * in the way of each window there is NONE of the first kinds, but nearly always a shorter request.
 *
 * What is promised: with the change, and all else as it was seen, the same request succeeds; and
 * where the change is a number, one unit less does not do: a page more than NPAGES, the next larger
 * alignment, a limit one page lower, one frame less that is freed. For that the walk judges frames,
 * room and windows as claims do. What it can't see without asking is whether a mover will refuse,
 * so the movers that may are asked about the frames of the window that it is about to promise
 * (frozen, and let go at once); if one says no, or one had refused the claim already, all of them
 * are asked.
 */
#include "../base/atomic.h"
#include "../base/bits.h"
#include "../base/guard.h"
#include "../frame/look.h"
#include "../frame/slot.h"
#include "claim.h"
#include "engine.h"

/* A change that would do, and the window that the request would then get. */
struct explain_change {
    uint64_t value;
    cma_pfn_t pfn; /* CMA_PFN_NONE: this change is of no use */
};

struct explain {
    struct cma_area *area;
    const struct cma_area_request *request;
    struct cma_window_want want;
    cma_pfn_t wide_first, wide_last; /* the same without the request's upper limit */
    cma_pfn_t named;                 /* the frame that the refusal names */
    uint32_t owner;                  /* of the buffer around it */
    bool ask;                        /* movers that may refuse */
    bool tight;                      /* kept frames can outnumber the room for them */
    bool served;                     /* there is a window by now */
    uint8_t order[CMA_MOVERS_MAX];   /* movers by their limits, the lowest first */
    uint32_t room[CMA_MOVERS_MAX];   /* up to these limits, in the same order */
    uint32_t kept[CMA_MOVERS_MAX];   /* by mover, in the frames that were counted last: */
    cma_pfn_t counted;
    uint32_t counted_npages;
    struct explain_change changes[CMA_CHANGE_COUNT];
    cma_paddr_t room_last;   /* of CMA_CHANGE_ROOM */
    uint32_t release_npages; /* the length of CMA_CHANGE_RELEASE's buffer */
};

/* A window, and how many frames of room with addresses up to `limit` it lacks. */
struct explain_window {
    cma_pfn_t pfn;
    uint32_t excess;
    cma_paddr_t limit;
};

/* --- room ------------------------------------------------------------------------------ */

static cma_paddr_t explain_limit(const struct explain *explain, uint32_t i)
{
    return explain->area->frames->movers[explain->order[i]]->paddr_last;
}

/* Counts the kept frames of [pfn, pfn + npages), from what was counted before where that helps. */
static void explain_count(struct explain *explain, cma_pfn_t pfn, uint32_t npages)
{
    const struct cma_area *area = explain->area;
    cma_pfn_t before = explain->counted;
    cma_pfn_t before_end = before + explain->counted_npages;
    cma_pfn_t end = pfn + npages;
    uint32_t i;

    if (pfn < before || pfn >= before_end || end < before_end) {
        for (i = 0; i < area->frames->nmovers; i++) {
            explain->kept[i] = 0;
        }
        cma__look_kept(area->frames, area->span, pfn, npages, explain->kept, true);
    } else {
        cma__look_kept(area->frames, area->span, before, (uint32_t)(pfn - before), explain->kept,
                       false);
        cma__look_kept(area->frames, area->span, before_end, (uint32_t)(end - before_end),
                       explain->kept, true);
    }
    explain->counted = pfn;
    explain->counted_npages = npages;
}

/* What the frames that were counted last lack. Limits are upper bounds, so they nest: frames up to
 * the lowest that is short help all of them. */
static void explain_excess(const struct explain *explain, struct explain_window *window)
{
    uint32_t need = 0;
    uint32_t i;

    window->excess = 0;
    for (i = 0; i < explain->area->frames->nmovers; i++) {
        need += explain->kept[explain->order[i]];
        if (need > explain->room[i]) {
            if (window->excess == 0) {
                window->limit = explain_limit(explain, i);
            }
            if (need - explain->room[i] > window->excess) {
                window->excess = need - explain->room[i];
            }
        }
    }
}

/* How much room there is, and whether all kept frames of the area would fit into it. */
static CMA__APART void explain_room(struct explain *explain)
{
    const struct cma_frames *frames = explain->area->frames;
    const struct cma_pages_ops *ops = explain->area->ops;
    struct explain_window all;
    uint32_t i, j;

    for (i = 0; i < frames->nmovers; i++) {
        for (j = i; j > 0 && explain_limit(explain, j - 1) > frames->movers[i]->paddr_last; j--) {
            explain->order[j] = explain->order[j - 1];
        }
        explain->order[j] = (uint8_t)i;
    }
    explain_count(explain, explain->area->pfn, explain->area->npages);
    for (i = 0; i < frames->nmovers; i++) {
        if (i > 0 && explain_limit(explain, i) == explain_limit(explain, i - 1)) {
            explain->room[i] = explain->room[i - 1];
        } else if (ops != NULL) {
            explain->room[i] =
                (uint32_t)bits_min(ops->room(ops->ctx, explain_limit(explain, i)), UINT32_MAX);
        }
    }
    explain_excess(explain, &all);
    explain->tight = all.excess != 0;
}

/* --- stretches without obstacles ------------------------------------------------------- */

/* The window in [first, end) that lacks the least room, of these the lowest. False: none fits. */
static bool explain_fit(struct explain *explain, const struct cma_window_want *want,
                        cma_pfn_t first, cma_pfn_t end, struct explain_window *best)
{
    struct cma_window_want part = *want;
    struct explain_window window;
    bool found;

    part.first = bits_max(part.first, first);
    part.last = bits_min(part.last, end - 1);
    found = first < end && cma__window_next(&part, 0, &window.pfn);
    if (found && !explain->tight) {
        best->pfn = window.pfn;
        best->excess = 0;
        return true;
    }
    if (!found) {
        return false;
    }
    best->excess = UINT32_MAX;
    do {
        explain_count(explain, window.pfn, (uint32_t)want->npages);
        explain_excess(explain, &window);
        if (window.excess < best->excess) {
            *best = window;
        }
        /* Each step takes at most one kept frame out. */
    } while (best->excess != 0 &&
             cma__window_next(&part, window.pfn + 1 + (window.excess - best->excess), &window.pfn));
    return true;
}

/* A window that lacks nothing becomes the answer for this change. */
static bool explain_try(struct explain *explain, enum cma_change change, uint64_t value,
                        const struct cma_window_want *want, cma_pfn_t first, cma_pfn_t end)
{
    struct explain_window window;

    if (!explain_fit(explain, want, first, end, &window) || window.excess != 0) {
        return false;
    }
    explain->changes[change] = (struct explain_change){.value = value, .pfn = window.pfn};
    return true;
}

/* The request as it is: perhaps all that it lacks is room. */
static void explain_as_is(struct explain *explain, cma_pfn_t first, cma_pfn_t end)
{
    struct explain_change *change = &explain->changes[CMA_CHANGE_ROOM];
    struct explain_window window;

    if (!explain_fit(explain, &explain->want, first, end, &window)) {
        return;
    }
    if (window.excess == 0) {
        explain->served = true;
    } else if (change->pfn == CMA_PFN_NONE || window.excess < change->value) {
        *change = (struct explain_change){.value = window.excess, .pfn = window.pfn};
        explain->room_last = window.limit;
    }
}

/* The longest request of low to high pages that would fit, if any does. All of these are for one
 * part of the area. */
static bool explain_longest(struct explain *explain, uint64_t low, uint64_t high, cma_pfn_t first,
                            cma_pfn_t end)
{
    struct cma_area_request request = *explain->request;
    struct cma_window_want want;
    bool found = false;

    request.npages = high;
    (void)cma__window_want(explain->area, &request, &want);
    high = bits_min(high, end - first);
    /* What fits is a window of fewer pages, too. */
    while (low <= high) {
        want.npages = low + (high - low) / 2;
        if (explain_try(explain, CMA_CHANGE_NPAGES, want.npages, &want, first, end)) {
            found = true;
            low = want.npages + 1;
        } else {
            high = want.npages - 1;
        }
    }
    return found;
}

/* The longest request that would fit, if it is longer than what other stretches had. */
static void explain_shorter(struct explain *explain, cma_pfn_t first, cma_pfn_t end)
{
    const struct explain_change *change = &explain->changes[CMA_CHANGE_NPAGES];
    uint64_t longer = change->pfn == CMA_PFN_NONE ? 1 : change->value + 1;
    uint64_t high = explain->want.npages - 1;

    /* Shorter ones of the same size class, then of each smaller one. */
    while (high >= longer) {
        uint64_t low = bits_max(longer, cma__classes_least(explain->area, high));

        if (explain_longest(explain, low, high, first, end)) {
            return;
        }
        high = low - 1;
    }
}

static void explain_stretch(struct explain *explain, cma_pfn_t first, cma_pfn_t end)
{
    struct cma_window_want want = explain->want;
    const struct explain_change *align = &explain->changes[CMA_CHANGE_ALIGN];

    explain_as_is(explain, first, end);
    for (want.align_npages /= 2;
         want.align_npages != 0 && (align->pfn == CMA_PFN_NONE || want.align_npages > align->value);
         want.align_npages /= 2) {
        (void)explain_try(explain, CMA_CHANGE_ALIGN, want.align_npages, &want, first, end);
    }
    want = explain->want;
    if (explain->wide_last != want.last && explain->changes[CMA_CHANGE_LIMIT].pfn == CMA_PFN_NONE) {
        /* The lowest window that begins high enough: the walk goes upwards. */
        want.first = explain->wide_first;
        want.last = explain->wide_last;
        (void)explain_try(explain, CMA_CHANGE_LIMIT, 0, &want, first, end);
    }
    explain_shorter(explain, first, end);
}

/* The stretch [first, end) would be there if the obstacle in it were gone. */
static void explain_without(struct explain *explain, const struct cma_obstacle *obstacle,
                            cma_pfn_t first, cma_pfn_t end)
{
    const struct explain_change *frame = &explain->changes[CMA_CHANGE_FRAME];
    uint32_t npages = (uint32_t)(obstacle->last - obstacle->first) + 1;

    if (obstacle->sort == CMA__OBSTACLE_FRAME &&
        (frame->pfn == CMA_PFN_NONE || obstacle->first == explain->named)) {
        (void)explain_try(explain, CMA_CHANGE_FRAME, obstacle->first, &explain->want, first, end);
    }
    if (obstacle->sort == CMA__OBSTACLE_BUFFER &&
        (explain->changes[CMA_CHANGE_RELEASE].pfn == CMA_PFN_NONE ||
         npages < explain->release_npages) &&
        explain_try(explain, CMA_CHANGE_RELEASE, obstacle->first, &explain->want, first, end)) {
        explain->release_npages = npages;
    }
}

/* --- the walk -------------------------------------------------------------------------- */

/* The lowest obstacle in [from, last], the windows of other claims among them. */
static bool explain_next(const struct explain *explain, cma_pfn_t from, cma_pfn_t last,
                         struct cma_obstacle *obstacle)
{
    struct cma_area *area = explain->area;
    bool found = cma__look_obstacle(area->frames, area->span, from, last, explain->ask, obstacle);
    cma_pfn_t booked, booked_last;

    if (cma__claim_booked_next(area, from, &booked, &booked_last) && booked <= last &&
        (!found || booked <= obstacle->first)) {
        obstacle->sort = CMA__OBSTACLE_OTHER;
        obstacle->first = bits_max(booked, from);
        obstacle->last = bits_min(booked_last, last);
        found = true;
    }
    return found;
}

static CMA__APART void explain_walk(struct explain *explain)
{
    cma_pfn_t first = explain->area->pfn;
    cma_pfn_t last = first + (explain->area->npages - 1);
    cma_pfn_t below = first; /* where the stretch below `obstacle` began */
    struct cma_obstacle obstacle = {0}, next;
    bool behind = false; /* there is an obstacle just below `first` */
    bool found;
    uint32_t i;

    for (i = 0; i < CMA_CHANGE_COUNT; i++) {
        explain->changes[i].pfn = CMA_PFN_NONE;
    }
    explain->served = false;
    do {
        cma_pfn_t end = last + 1;

        found = first <= last && explain_next(explain, first, last, &next);
        if (found) {
            end = next.first;
        }
        if (first < end) {
            explain_stretch(explain, first, end);
        }
        if (behind) {
            explain_without(explain, &obstacle, below, end);
        }
        if (found) {
            if (explain->named >= next.first && explain->named <= next.last &&
                next.sort == CMA__OBSTACLE_BUFFER) {
                explain->owner = next.owner;
            }
            below = first;
            first = next.last + 1;
            obstacle = next;
            behind = true;
        }
    } while (found);
}

/* --- the answer ------------------------------------------------------------------------ */

/* Pages that somebody has to do without. */
static uint64_t explain_price(const struct explain *explain, enum cma_change change)
{
    switch (change) {
    case CMA_CHANGE_FRAME:
    case CMA_CHANGE_ALIGN: return 0;
    case CMA_CHANGE_ROOM: return explain->changes[change].value;
    case CMA_CHANGE_RELEASE: return explain->release_npages;
    case CMA_CHANGE_NPAGES: return explain->want.npages - explain->changes[change].value;
    default: return UINT64_MAX;
    }
}

static enum cma_change explain_choose(const struct explain *explain, enum cma_reason reason)
{
    static const enum cma_change order[] = {CMA_CHANGE_FRAME,  CMA_CHANGE_ALIGN,
                                            CMA_CHANGE_ROOM,   CMA_CHANGE_RELEASE,
                                            CMA_CHANGE_NPAGES, CMA_CHANGE_LIMIT};
    enum cma_change best = CMA_CHANGE_NONE;
    uint32_t i;

    if (explain->served) {
        return CMA_CHANGE_NONE;
    }
    if (reason == CMA_REASON_UNREACHABLE &&
        explain->changes[CMA_CHANGE_ALIGN].pfn == CMA_PFN_NONE &&
        explain->changes[CMA_CHANGE_LIMIT].pfn != CMA_PFN_NONE) {
        return CMA_CHANGE_LIMIT;
    }
    for (i = 0; i < sizeof order / sizeof order[0]; i++) {
        if (explain->changes[order[i]].pfn != CMA_PFN_NONE &&
            (best == CMA_CHANGE_NONE ||
             explain_price(explain, order[i]) < explain_price(explain, best))) {
            best = order[i];
        }
    }
    return best;
}

/* Would movers that may refuse let the window go that this change is about? */
static bool explain_asked(const struct explain *explain, enum cma_change change)
{
    const struct cma_area *area = explain->area;
    const struct explain_change *answer = &explain->changes[change];
    uint64_t npages = change == CMA_CHANGE_NPAGES ? answer->value : explain->want.npages;

    return cma__look_may_leave(area->frames, area->span, answer->pfn, npages);
}

/* In the part of the area that is for requests of this size. */
static void explain_runs(struct explain *explain, struct cma_refusal *refusal)
{
    const struct cma_area *area = explain->area;
    struct cma_area_request all = *explain->request;
    struct cma_window_want part;
    struct cma_obstacle obstacle;
    cma_pfn_t pfn, last;
    uint64_t run;

    explain->ask = false;
    all.paddr_first = 0;
    all.paddr_last = 0;
    (void)cma__window_want(area, &all, &part);
    last = part.last;
    for (pfn = part.first; pfn <= last; pfn += run) {
        run = cma__span_idle_run(area->frames, area->span, &pfn, last);
        refusal->free_run_npages = bits_max(refusal->free_run_npages, run);
    }
    for (pfn = part.first; pfn <= last; pfn = obstacle.last + 1) {
        if (!explain_next(explain, pfn, last, &obstacle)) {
            obstacle.first = last + 1;
            obstacle.last = last;
        }
        refusal->possible_run_npages = bits_max(refusal->possible_run_npages, obstacle.first - pfn);
    }
}

void cma__area_explain(struct cma_area *area, const struct cma_area_request *request,
                       bool may_sleep, struct cma_refusal *refusal)
{
    struct cma_area_request wide = *request;
    uint32_t shift = area->frames->port->page_shift;
    struct explain explain = {.area = area, .request = request, .named = refusal->pfn};
    struct cma_window_want want;
    enum cma_change change;

    wide.paddr_last = 0;
    (void)cma__window_want(area, &wide, &want);
    explain.wide_first = want.first;
    explain.wide_last = want.last;
    (void)cma__window_want(area, request, &explain.want);
    explain_runs(&explain, refusal);
    explain_room(&explain);
    explain.ask = may_sleep && refusal->reason == CMA_REASON_MOVER;
    for (;;) {
        explain_walk(&explain);
        change = explain_choose(&explain, refusal->reason);
        if (explain.ask || !may_sleep) {
            break;
        }
        /* With nothing in the way of a request that was refused, it can only be a mover. */
        if (!explain.served && (change == CMA_CHANGE_NONE || explain_asked(&explain, change))) {
            break;
        }
        explain.ask = true;
    }
    if (refusal->reason == CMA_REASON_CLAIMED) {
        bool promised = refusal->pfn != CMA_PFN_NONE &&
                        cma__slot_find(area->frames, area->span, refusal->pfn) != NULL;

        refusal->reason = promised ? CMA_REASON_PROMISED : refusal->reason;
        refusal->owner = promised ? 0 : explain.owner;
    }
    refusal->change = change;
    refusal->change_value = explain.changes[change].value;
    if (change == CMA_CHANGE_NONE) {
        refusal->change_value = 0;
    } else if (change == CMA_CHANGE_ROOM) {
        refusal->change_paddr_last = explain.room_last;
    } else if (change == CMA_CHANGE_LIMIT) {
        refusal->change_value = ((explain.changes[change].pfn + request->npages) << shift) - 1;
    }
}
