/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pages.c - the page allocator: which idle frame for whom
 *
 *                   zone 0                 zone 1 ...              areas
 *      |unmovable ->      <- movable|unmovable ->  <- movable|  |lent block| idle ...
 *
 * Free memory is the frame table's idle bits; there is no list to fill, split or merge. A request
 * goes from its highest zone down. Unmovable frames are taken from a zone's low end and movable
 * ones from its high end, so a zone fills from both sides and what can't move stays together.
 *
 *      unmovable     ordinary
 *      movable       ordinary, lent, a block that an area lends for it
 *      droppable     lent, ordinary, a block that an area lends for it
 *      destination   ordinary (floors do not hold it), lent, a droppable frame's place
 *
 * Address limits of movers nest: data with a lower limit can go to fewer frames. So a destination
 * is looked for above the next lower limit first, from all three sources, and only then below it.
 * Taken in any order, destinations then suffice for a window exactly if for each limit there are as
 * many frames below it as data that needs them, which is what a claim asks of room().
 *
 * A floor keeps frames for destinations: floor_npages[z] of all idle frames up to the end of zone
 * z. What is taken in a zone is missing in all sums from this zone up, so each of these is looked
 * at.
 *
 * What slots of guarantees need for their kept data is promised (frame/slot.h): nobody takes these
 * frames, destinations of others included, but who evacuates a slot, together with the promise.
 *
 *      droppable     free frames of slots, first of all
 *      movable       free frames of slots, before areas lend a further block
 */
#include <cma/pages.h>

#include "../base/atomic.h"
#include "../base/bitmap.h"
#include "../base/bits.h"
#include "../base/bittree.h"
#include "../base/guard.h"
#include "../base/range.h"
#include "../frame/account.h"
#include "../frame/slot.h"
#include "../frame/table.h"
#include "cache.h"

#define PAGES_TRIES 1000u

/* A request in frames. */
struct pages_want {
    struct cma_run_want run;
    const struct cma_pages_request *request;
    bool reachable; /* some span has a frame within the limits */
    bool in_reach;  /* some span has enough of them */
    bool floored;   /* a floor was in the way somewhere */
};

/* --- the request --------------------------------------------------------------------------- */

/* Address limits to frames. False when no whole frame lies within. */
static bool pages_limits(const struct cma_frames *frames, cma_paddr_t paddr_first,
                         cma_paddr_t paddr_last, struct cma_run_want *run)
{
    uint32_t shift = frames->port->page_shift;

    if (!cma__frames_last_pfn(frames, paddr_last, &run->last)) {
        return false;
    }
    run->first = paddr_first >> shift;
    if ((run->first << shift) != paddr_first) {
        run->first++;
    }
    return run->first <= run->last;
}

static int pages_check_request(const struct cma_frames *frames,
                               const struct cma_pages_request *request)
{
    uint64_t page = UINT64_C(1) << frames->port->page_shift;
    cma_paddr_t last = request->paddr_last != 0 ? request->paddr_last : CMA_PADDR_MAX;

    if (request->npages == 0 || cma__holder_check(frames, NULL, &request->holder) != CMA_OK) {
        return CMA_EINVAL;
    }
    if (request->holder.kind != CMA_KIND_UNMOVABLE && request->npages != 1) {
        return CMA_EINVAL;
    }
    if ((request->align_npages != 0 && !range_is_power_of_two(request->align_npages)) ||
        request->paddr_first > last) {
        return CMA_EINVAL;
    }
    if (request->boundary_nbytes != 0 &&
        (!range_is_power_of_two(request->boundary_nbytes) || request->boundary_nbytes < page ||
         request->npages > request->boundary_nbytes / page)) {
        return CMA_EINVAL;
    }
    return CMA_OK;
}

/* Returns 0, CMA_EINVAL or CMA_ERANGE. */
static int pages_want_init(const struct cma_pages *pages, const struct cma_pages_request *request,
                           struct pages_want *want)
{
    const struct cma_frames *frames = pages->frames;
    cma_paddr_t last = request->paddr_last != 0 ? request->paddr_last : CMA_PADDR_MAX;
    int error = pages_check_request(frames, request);

    if (error != CMA_OK) {
        return error;
    }
    *want = (struct pages_want){.request = request};
    if (request->holder.mover != 0) {
        last = bits_min(last, frames->movers[request->holder.mover - 1]->paddr_last);
    }
    want->run.npages = request->npages;
    want->run.align_npages = request->align_npages != 0 ? request->align_npages : 1;
    want->run.boundary_npages = request->boundary_nbytes >> frames->port->page_shift;
    want->run.from_top = request->holder.kind != CMA_KIND_UNMOVABLE;
    return pages_limits(frames, request->paddr_first, last, &want->run) ? CMA_OK : CMA_ERANGE;
}

/* May the request have frames of this span at all, and has the span any in reach? */
static bool pages_span_suits(const struct cma_frames *frames, struct cma_span *span,
                             struct pages_want *want)
{
    const struct cma_pages_request *request = want->request;
    cma_pfn_t first = bits_max(want->run.first, span->pfn);
    cma_pfn_t last = bits_min(want->run.last, span->pfn + (span->npages - 1));

    if (first > last || ((request->flags & CMA_PAGES_LINEAR) != 0 &&
                         (frames->zones[span->zone].flags & CMA_ZONE_UNMAPPED) != 0)) {
        return false;
    }
    if (span->is_area != 0 && ((request->flags & CMA_PAGES_NO_LENT) != 0 ||
                               cma__holder_check(frames, span, &request->holder) != CMA_OK)) {
        return false;
    }
    want->reachable = true;
    want->in_reach |= last - first >= want->run.npages - 1;
    return true;
}

/* --- where it goes ------------------------------------------------------------------------- */

/* What caches held is idle now; false when they held nothing. */
static bool pages_drained(struct cma_pages *pages)
{
    return pages->cache_ops != NULL && pages->cache_ops->drain(pages) != 0;
}

/* Idle frames from the lowest zone to the end of `zone`. Locked. */
static uint64_t pages_idle_up_to(const struct cma_frames *frames, uint32_t zone)
{
    uint64_t npages = 0;

    for (uint32_t i = 0; i <= zone; i++) {
        npages += frames->zone_idle[i];
    }
    return npages;
}

/* Does every floor hold, on top of what is promised, when npages of this zone are gone? Locked. */
static CMA__APART bool pages_promises_hold(const struct cma_pages *pages, uint32_t zone,
                                           uint64_t npages)
{
    const struct cma_frames *frames = pages->frames;

    for (uint32_t i = zone; i < frames->nzones; i++) {
        uint64_t spare = cma__promise_spare(frames, i, frames->nzones);

        if (spare < npages || spare - npages < pages->floor_npages[i]) {
            return false;
        }
    }
    return true;
}

/* Does every floor hold when npages of this zone are gone? Locked. */
static bool pages_floor_holds(const struct cma_pages *pages, uint32_t zone, uint64_t npages)
{
    const struct cma_frames *frames = pages->frames;

    for (uint32_t i = zone; i < frames->nzones; i++) {
        uint64_t idle = pages_idle_up_to(frames, i);

        if (idle < npages || idle - npages < pages->floor_npages[i]) {
            return false;
        }
    }
    return frames->slots == NULL || pages_promises_hold(pages, zone, npages);
}

/* What lies in caches, and what is freed into them, is to bring a floor up again first. Locked. */
static void pages_judge_floors(struct cma_pages *pages)
{
    if (pages->cache_ops != NULL) {
        atom_poke(&pages->cache_shut, pages_floor_holds(pages, pages->cache_zone, 0) ? 0 : 1);
    }
}

static void pages_hold(struct cma_pages *pages, struct cma_span *span,
                       const struct pages_want *want, cma_pfn_t pfn)
{
    cma__span_hold(pages->frames, span, pfn, want->run.npages, &want->request->holder,
                   (want->request->flags & CMA_PAGES_REF) != 0);
}

/* Spans of one zone, from the end where this kind of request begins. The lock is held. */
static bool pages_try_zone(struct cma_pages *pages, struct pages_want *want, uint32_t zone,
                           cma_pfn_t *pfn)
{
    struct cma_frames *frames = pages->frames;
    bool floored =
        frames->zone_idle[zone] != 0 && !pages_floor_holds(pages, zone, want->run.npages);

    for (uint32_t i = 0; i < frames->nspans; i++) {
        struct cma_span *span = &frames->spans[want->run.from_top ? frames->nspans - 1 - i : i];

        if (span->is_area != 0 || span->zone != zone || !pages_span_suits(frames, span, want)) {
            continue;
        }
        if (floored) {
            want->floored = true;
            continue;
        }
        if (cma__span_find_idle(frames, span, &want->run, pfn)) {
            pages_hold(pages, span, want, *pfn);
            return true;
        }
    }
    return false;
}

static bool pages_try_zones(struct cma_pages *pages, struct pages_want *want, cma_pfn_t *pfn)
{
    struct cma_frames *frames = pages->frames;
    uintptr_t state = guard_lock(frames->port, &frames->lock);
    bool found = false;

    for (uint32_t zone = frames->nzones; zone-- > 0 && !found;) {
        found = pages_try_zone(pages, want, zone, pfn);
    }
    pages_judge_floors(pages);
    guard_unlock(frames->port, &frames->lock, state);
    return found;
}

/* Nothing is refused, and no lent block taken, for what lies in a cache. */
static bool pages_try_ordinary(struct cma_pages *pages, struct pages_want *want, cma_pfn_t *pfn)
{
    return pages_try_zones(pages, want, pfn) ||
           (pages_drained(pages) && pages_try_zones(pages, want, pfn));
}

static bool pages_try_lent(struct cma_pages *pages, struct pages_want *want, cma_pfn_t *pfn)
{
    struct cma_frames *frames = pages->frames;

    for (uint32_t i = frames->nspans; i-- > 0;) {
        struct cma_span *span = &frames->spans[i];
        uintptr_t state;
        bool found;

        if (span->is_area == 0 || !pages_span_suits(frames, span, want)) {
            continue;
        }
        state = cma__span_lock(frames, span);
        found = cma__span_find_idle(frames, span, &want->run, pfn);
        if (found) {
            pages_hold(pages, span, want, *pfn);
        }
        cma__span_unlock(frames, span, state);
        if (found) {
            return true;
        }
    }
    return false;
}

/* Slots of guarantees, to whom they may be lent. */
static bool pages_try_slots(struct cma_pages *pages, struct pages_want *want, cma_pfn_t *pfn)
{
    struct cma_slots *slots = pages->frames->slots;
    const struct cma_pages_request *request = want->request;

    return slots != NULL && (request->flags & (CMA_PAGES_NO_LENT | CMA_PAGES_REF)) == 0 &&
           request->align_npages <= 1 &&
           slots->ops->borrow(slots, &want->run, &request->holder, pfn) == CMA_OK;
}

/* Could any area's frame be for this request? */
static bool pages_areas_suit(const struct cma_frames *frames, struct pages_want *want)
{
    for (uint32_t i = 0; i < frames->nspans; i++) {
        if (frames->spans[i].is_area != 0 && pages_span_suits(frames, &frames->spans[i], want)) {
            return true;
        }
    }
    return false;
}

/* Has areas lend further blocks until one of them has a frame for the request. */
static bool pages_try_lenders(struct cma_pages *pages, struct pages_want *want, cma_pfn_t *pfn)
{
    const struct cma_pages_request *request = want->request;

    if ((request->flags & CMA_PAGES_NO_LEND) != 0 || !pages_areas_suit(pages->frames, want)) {
        return false;
    }
    for (struct cma_lender *lender = pages->lenders; lender != NULL; lender = lender->next) {
        /* Others may be quicker than we, and what was lent may be out of our reach: an area has at
         * most so many blocks to give. */
        for (uint32_t i = 0; i < pages->frames->nblocks; i++) {
            if (!lender->lend(lender->ctx, request->holder.kind)) {
                break;
            }
            if (pages_try_lent(pages, want, pfn)) {
                return true;
            }
        }
    }
    return false;
}

static bool pages_try(struct cma_pages *pages, struct pages_want *want, cma_pfn_t *pfn)
{
    switch (want->request->holder.kind) {
    case CMA_KIND_UNMOVABLE: return pages_try_ordinary(pages, want, pfn);
    case CMA_KIND_MOVABLE:
        return pages_try_ordinary(pages, want, pfn) || pages_try_lent(pages, want, pfn) ||
               pages_try_slots(pages, want, pfn) || pages_try_lenders(pages, want, pfn);
    default:
        return pages_try_slots(pages, want, pfn) || pages_try_lent(pages, want, pfn) ||
               pages_try_ordinary(pages, want, pfn) || pages_try_lenders(pages, want, pfn);
    }
}

/* --- refusals ------------------------------------------------------------------------------ */

/*
 * On failure only: idle frames in reach, and the longest run of them. Walks idle bits span by span
 * without the lock, as last seen.
 */
static uint64_t pages_survey(const struct cma_frames *frames, struct pages_want *want,
                             uint64_t *longest)
{
    uint64_t idle = 0;

    *longest = 0;
    for (uint32_t i = 0; i < frames->nspans; i++) {
        struct cma_span *span = &frames->spans[i];
        cma_pfn_t at = bits_max(want->run.first, span->pfn);
        cma_pfn_t last = bits_min(want->run.last, span->pfn + (span->npages - 1));

        if (span->is_area != 0 || !pages_span_suits(frames, span, want)) {
            continue;
        }
        while (at <= last) {
            uint32_t run = cma__span_idle_run(frames, span, &at, last);

            idle += run;
            *longest = bits_max(*longest, run);
            at += run;
        }
    }
    return idle;
}

/* Counts a request that ended, well or not. */
static void pages_count(struct cma_pages *pages, const struct cma_pages_request *request,
                        bool found)
{
    struct cma_frames *frames = pages->frames;
    uintptr_t state = guard_lock(frames->port, &frames->lock);

    pages->stats.requests++;
    pages->stats.refused += found ? 0 : 1;
    pages->stats.demand += !found && request->holder.kind != CMA_KIND_UNMOVABLE ? 1 : 0;
    guard_unlock(frames->port, &frames->lock, state);
}

static int pages_refuse(struct cma_refusal *refusal, int code, enum cma_reason reason,
                        uint64_t longest)
{
    if (refusal != NULL) {
        *refusal = (struct cma_refusal){
            .code = code,
            .reason = reason,
            .pfn = CMA_PFN_NONE,
            .free_run_npages = longest,
            .possible_run_npages = longest,
        };
    }
    return code;
}

static int pages_explain(struct cma_pages *pages, struct pages_want *want,
                         struct cma_refusal *refusal)
{
    uint64_t longest;

    if (!want->reachable) {
        return pages_refuse(refusal, CMA_ERANGE, CMA_REASON_UNREACHABLE, 0);
    }
    if (!want->in_reach) {
        return pages_refuse(refusal, CMA_ENOMEM, CMA_REASON_TOO_LARGE, 0);
    }
    if (want->run.npages == 1) {
        return pages_refuse(refusal, CMA_ENOMEM,
                            want->floored ? CMA_REASON_FLOOR : CMA_REASON_NO_MEMORY, 0);
    }
    if (pages_survey(pages->frames, want, &longest) < want->run.npages) {
        return pages_refuse(refusal, CMA_ENOMEM, CMA_REASON_NO_MEMORY, longest);
    }
    if (want->floored) {
        return pages_refuse(refusal, CMA_ENOMEM, CMA_REASON_FLOOR, longest);
    }
    return pages_refuse(refusal, CMA_ENOSPC, CMA_REASON_HELD, longest);
}

/* --- the public interface ------------------------------------------------------------------ */

int cma__pages_alloc(struct cma_pages *pages, const struct cma_pages_request *request,
                     cma_pfn_t *pfn, struct cma_refusal *refusal)
{
    struct pages_want want;
    int error = pages_want_init(pages, request, &want);
    bool found;

    if (error == CMA_EINVAL) {
        return pages_refuse(refusal, error, CMA_REASON_ARGUMENT, 0);
    }
    if (error == CMA_ERANGE) {
        pages_count(pages, request, false);
        return pages_refuse(refusal, error, CMA_REASON_UNREACHABLE, 0);
    }
    found = pages_try(pages, &want, pfn);
    pages_count(pages, request, found);
    return found ? CMA_OK : pages_explain(pages, &want, refusal);
}

int cma_pages_alloc(struct cma_pages *pages, const struct cma_pages_request *request,
                    cma_pfn_t *pfn, struct cma_refusal *refusal)
{
    return pages->cache_ops != NULL ? pages->cache_ops->alloc(pages, request, pfn, refusal)
                                    : cma__pages_alloc(pages, request, pfn, refusal);
}

int cma__pages_free(struct cma_pages *pages, cma_pfn_t pfn, uint64_t npages, uint32_t owner)
{
    struct cma_frames *frames = pages->frames;
    struct cma_span *span = cma__span_of(frames, pfn);
    uintptr_t state;
    int result;

    if (span == NULL) {
        return CMA_ENOENT;
    }
    state = cma__span_lock(frames, span);
    result = cma__span_free(frames, span, pfn, npages, owner);
    cma__span_unlock(frames, span, state);
    if (result == 1) {
        cma__frames_signal(frames);
        result = CMA_OK;
    }
    return result;
}

int cma_pages_free(struct cma_pages *pages, cma_pfn_t pfn, uint64_t npages, uint32_t owner)
{
    return pages->cache_ops != NULL ? pages->cache_ops->free(pages, pfn, npages, owner)
                                    : cma__pages_free(pages, pfn, npages, owner);
}

void cma_pages_add_lender(struct cma_pages *pages, struct cma_lender *lender)
{
    struct cma_lender **link = &pages->lenders;

    while (*link != NULL) {
        link = &(*link)->next;
    }
    lender->next = NULL;
    *link = lender;
}

/* Idle frames of lent blocks in reach, of spans that claims leave alone with `quiet`. */
static uint64_t pages_lent_idle(const struct cma_pages *pages, cma_pfn_t last, bool quiet)
{
    struct cma_frames *frames = pages->frames;
    uint64_t npages = 0;

    for (uint32_t i = 0; i < frames->nspans; i++) {
        struct cma_span *span = &frames->spans[i];
        uintptr_t state;

        if (span->is_area == 0 || span->pfn > last ||
            (quiet && (cma__span_is_emptied(span) || span->lend_class != CMA_LEND_ORDINARY))) {
            continue;
        }
        state = cma__span_lock(frames, span);
        npages += cma__span_count_available(frames, span, last);
        cma__span_unlock(frames, span, state);
    }
    return npages;
}

void cma_pages_stats(struct cma_pages *pages, struct cma_pages_stats *stats)
{
    struct cma_frames *frames = pages->frames;
    uint64_t lent = pages_lent_idle(pages, CMA_PFN_NONE, false);
    uintptr_t state = guard_lock(frames->port, &frames->lock);

    *stats = pages->stats;
    for (uint32_t i = 0; i < frames->nzones; i++) {
        stats->zone_idle_npages[i] = frames->zone_idle[i];
    }
    guard_unlock(frames->port, &frames->lock, state);
    stats->lent_idle_npages = lent;
    if (pages->cache_ops != NULL) {
        stats->requests += pages->cache_ops->served(pages);
        stats->cached_npages = pages->cache_ops->count(pages, CMA_PFN_NONE);
    }
}

/* --- what areas and devices ask for -------------------------------------------------------- */

/* Frames of this zone that these destinations may take. What is booked gives its promise back, so
 * it only may not take from below what others need there; there is some above it then, that came
 * after the look. Locked. */
static uint64_t pages_spare_for(const struct cma_frames *frames, uint32_t zone,
                                const struct cma_destination *want)
{
    uint32_t end = frames->nzones;

    if ((want->flags & CMA_DESTINATION_PROMISED) != 0) {
        end = cma__promise_zone(frames, want->paddr_last);
    }
    return cma__promise_spare(frames, zone, end);
}

/* Destinations of booked data are taken together with the promise, and say so in case they are put
 * back; others say that they are none. Locked, or the frames are the caller's. */
static CMA__APART void pages_mark(struct cma_frames *frames, const struct cma_span *span,
                                  cma_pfn_t pfn, uint32_t npages,
                                  const struct cma_destination *want)
{
    uint32_t zone = cma__promise_zone(frames, want->paddr_last);
    bool promised = (want->flags & CMA_DESTINATION_PROMISED) != 0;

    if (promised) {
        promise_drop(frames, zone, npages);
    }
    for (uint32_t i = 0; i < npages; i++) {
        atom_poke(&span_record(frames, span, pfn + i)->cookie,
                  promised ? CMA__PROMISE_MARK(zone) : 0);
    }
}

/* Those that come back unused are booked again. Locked. */
static CMA__APART void pages_unmark(struct cma_frames *frames, const struct cma_span *span,
                                    cma_pfn_t pfn, uint32_t npages)
{
    for (uint32_t i = 0; i < npages; i++) {
        uint32_t mark = atom_peek(&span_record(frames, span, pfn + i)->cookie);

        if (mark != 0) {
            (void)atom_add(&frames->zone_promised[mark - CMA__PROMISE_MARK(0)], 1);
        }
    }
}

/* A run of idle frames of one block, at most want->npages, as high as there is one: it ends where
 * single frames would be taken first. Returns its length, 0: there is none. */
static uint32_t pages_take(struct cma_pages *pages, struct cma_span *span, cma_pfn_t first,
                           cma_pfn_t last, const struct cma_destination *want, cma_pfn_t *pfn)
{
    struct cma_frames *frames = pages->frames;
    struct cma_run_want run = {
        .npages = 1, .align_npages = 1, .first = first, .last = last, .from_top = true};
    uint64_t npages = want->npages;
    uintptr_t state = cma__span_lock(frames, span);
    uint32_t taken = 0;

    if (span->is_area == 0 && frames->slots != NULL) {
        npages = bits_min(npages, pages_spare_for(frames, span->zone, want));
    }
    /* A claim counts itself before it isolates, so with the lock held this is the truth. */
    if (npages != 0 && (span->is_area == 0 || !cma__span_is_emptied(span)) &&
        cma__span_find_idle(frames, span, &run, pfn)) {
        taken = cma__span_idle_below(frames, span, first, *pfn, (uint32_t)npages);
        *pfn -= taken - 1;
        if (span->is_area == 0 && frames->slots != NULL) {
            pages_mark(frames, span, *pfn, taken, want);
        }
        cma__span_take(frames, span, *pfn, taken);
        if (span->is_area == 0) {
            pages_judge_floors(pages);
        }
    }
    cma__span_unlock(frames, span, state);
    return taken;
}

static uint32_t pages_take_ordinary(struct cma_pages *pages, cma_pfn_t first, cma_pfn_t last,
                                    const struct cma_destination *want, cma_pfn_t *pfn)
{
    struct cma_frames *frames = pages->frames;
    uint32_t taken = 0;

    /* Spans are in address order: from the top is from the highest zone. */
    for (uint32_t i = frames->nspans; i-- > 0 && taken == 0;) {
        if (frames->spans[i].is_area == 0) {
            taken = pages_take(pages, &frames->spans[i], first, last, want, pfn);
        }
    }
    return taken;
}

/* The highest limit of a mover below `limit`; false when there is none. */
static bool pages_lower_limit(const struct cma_frames *frames, cma_paddr_t limit,
                              cma_paddr_t *lower)
{
    bool found = false;

    for (uint32_t i = 0; i < frames->nmovers; i++) {
        cma_paddr_t other = frames->movers[i]->paddr_last;

        if (other < limit && (!found || other > *lower)) {
            *lower = other;
            found = true;
        }
    }
    return found;
}

/* Destinations in [first, last]: how many, or CMA_ENOMEM. */
static int pages_destination_within(struct cma_pages *pages, cma_pfn_t first, cma_pfn_t last,
                                    const struct cma_destination *want, cma_pfn_t *pfn)
{
    struct cma_frames *frames = pages->frames;
    /* Of a promise the whole of it is in ordinary memory. */
    bool ordinary = want->flags != 0;
    uint32_t taken = pages_take_ordinary(pages, first, last, want, pfn);
    int reclaimed;
    uintptr_t state;

    if (taken == 0 && pages_drained(pages)) {
        taken = pages_take_ordinary(pages, first, last, want, pfn);
    }
    for (uint32_t i = frames->nspans; i-- > 0 && taken == 0 && !ordinary;) {
        struct cma_span *span = &frames->spans[i];

        if (span->is_area != 0 && span->lend_class == CMA_LEND_ORDINARY) {
            taken = pages_take(pages, span, first, last, want, pfn);
        }
    }
    if (taken != 0 || (want->flags & CMA_DESTINATION_PROMISED) != 0) {
        return taken != 0 ? (int)taken : CMA_ENOMEM;
    }
    reclaimed = cma__frames_reclaim(frames, first, last, want->npages, pfn);
    if (reclaimed > 0) {
        if (frames->slots != NULL) {
            pages_mark(frames, cma__span_of(frames, *pfn), *pfn, (uint32_t)reclaimed, want);
        }
        state = guard_lock(frames->port, &frames->lock);
        pages->stats.reclaimed += (uint32_t)reclaimed;
        guard_unlock(frames->port, &frames->lock, state);
    }
    return reclaimed;
}

static int pages_destination_once(struct cma_pages *pages, const struct cma_destination *want,
                                  cma_pfn_t *pfn)
{
    const struct cma_frames *frames = pages->frames;
    cma_paddr_t limit = want->paddr_last;
    cma_pfn_t last, lower_last;
    bool lower;

    do {
        cma_pfn_t first = 0;
        int taken = CMA_ENOMEM;

        if (!cma__frames_last_pfn(frames, limit, &last)) {
            return CMA_ENOMEM;
        }
        lower = pages_lower_limit(frames, limit, &limit);
        if (lower && cma__frames_last_pfn(frames, limit, &lower_last)) {
            first = lower_last + 1;
        }
        if (first <= last) {
            taken = pages_destination_within(pages, first, last, want, pfn);
        }
        if (taken > 0) {
            return taken;
        }
    } while (lower);
    return CMA_ENOMEM;
}

static int pages_destination(void *ctx, const struct cma_destination *want, cma_pfn_t *pfn)
{
    struct cma_pages *pages = ctx;
    uint32_t tries = (want->flags & CMA_DESTINATION_PROMISED) != 0 ? PAGES_TRIES : 1;
    int taken = CMA_ENOMEM;

    /* What is promised is there, if not where it was looked for while others took and freed. */
    while (tries-- != 0 && taken < 0) {
        taken = pages_destination_once(pages, want, pfn);
    }
    return taken;
}

static void pages_destination_put(void *ctx, cma_pfn_t pfn, uint32_t npages)
{
    struct cma_pages *pages = ctx;
    struct cma_frames *frames = pages->frames;

    /* What lies side by side can be of two zones. */
    for (uint32_t part; npages != 0; npages -= part, pfn += part) {
        struct cma_span *span = cma__span_of(frames, pfn);
        uintptr_t state = cma__span_lock(frames, span);

        part = (uint32_t)bits_min(npages, span_last(span) - pfn + 1);
        cma__span_put(frames, span, pfn, part);
        if (span->is_area == 0 && frames->slots != NULL) {
            pages_unmark(frames, span, pfn, part);
        }
        cma__span_unlock(frames, span, state);
    }
    cma__frames_signal(frames);
}

/* Droppable and, added to *idle, idle frames up to `last` of the ordinary spans from zone `cut` up,
 * block by block. */
static uint64_t pages_cut_room(const struct cma_frames *frames, uint32_t cut, cma_pfn_t last,
                               uint64_t *idle)
{
    uint64_t npages = 0;

    for (uint32_t i = 0; i < frames->nspans; i++) {
        const struct cma_span *span = &frames->spans[i];

        if (span->is_area == 0 && span->zone >= cut && span->pfn <= last) {
            npages += cma__span_count_spare(frames, span, last, idle);
        }
    }
    return npages;
}

/*
 * Zones that end within the limit are read from their counts; the one that the limit cuts is
 * counted block by block. What is promised up to the end of a zone from there up is nobody's, so
 * it is taken off what is idle; what can be dropped is there besides.
 */
static uint64_t pages_room(void *ctx, cma_paddr_t paddr_last)
{
    struct cma_pages *pages = ctx;
    struct cma_frames *frames = pages->frames;
    uint64_t npages = 0, idle = 0, spare = UINT64_MAX;
    uint32_t cut = 0;
    uintptr_t state;
    cma_pfn_t last;

    if (!cma__frames_last_pfn(frames, paddr_last, &last)) {
        return 0;
    }
    state = guard_lock(frames->port, &frames->lock);
    if (pages->cache_ops != NULL) {
        npages = pages->cache_ops->count(pages, last);
    }
    while (cut < frames->nzones && frames->zones[cut].last <= paddr_last) {
        npages += frames->zone_droppable[cut];
        idle += frames->zone_idle[cut];
        cut++;
    }
    if (frames->slots != NULL) {
        idle = cut != 0 ? bits_min(idle, cma__promise_spare(frames, cut - 1, frames->nzones)) : 0;
        spare = cma__promise_spare(frames, cut, frames->nzones);
    }
    guard_unlock(frames->port, &frames->lock, state);
    npages += pages_cut_room(frames, cut, last, &idle);
    return npages + bits_min(idle, spare) + pages_lent_idle(pages, last, true);
}

static int pages_floor(void *ctx, cma_paddr_t paddr_last, uint64_t npages)
{
    struct cma_pages *pages = ctx;
    struct cma_frames *frames = pages->frames;
    uint32_t zone = 0;
    bool enough, again;
    uintptr_t state;

    while (zone < frames->nzones && frames->zones[zone].last != paddr_last) {
        zone++;
    }
    if (zone == frames->nzones) {
        return CMA_EINVAL;
    }
    again = true;
    do {
        state = guard_lock(frames->port, &frames->lock);
        enough = npages <= pages->floor_npages[zone] || pages_idle_up_to(frames, zone) >= npages;
        if (enough) {
            pages->floor_npages[zone] = npages;
            pages_judge_floors(pages);
        }
        guard_unlock(frames->port, &frames->lock, state);
        again = !enough && again && pages_drained(pages);
    } while (again);
    return enough ? CMA_OK : CMA_ENOMEM;
}

static int pages_ops_alloc(void *ctx, const struct cma_pages_request *request, cma_pfn_t *pfn,
                           struct cma_refusal *refusal)
{
    return cma_pages_alloc(ctx, request, pfn, refusal);
}

static int pages_ops_free(void *ctx, cma_pfn_t pfn, uint32_t npages, uint32_t owner)
{
    return cma_pages_free(ctx, pfn, npages, owner);
}

int cma_pages_init(struct cma_pages *pages, struct cma_frames *frames)
{
    if (pages == NULL || frames == NULL || frames->areas_only) {
        return CMA_EINVAL;
    }
    *pages = (struct cma_pages){
        .frames = frames,
        .ops =
            {
                .ctx = pages,
                .destination = pages_destination,
                .destination_put = pages_destination_put,
                .room = pages_room,
                .floor = pages_floor,
                .alloc = pages_ops_alloc,
                .free = pages_ops_free,
            },
    };
    cma_frames_set_ops(frames, &pages->ops);
    return CMA_OK;
}

const struct cma_pages_ops *cma_pages_ops(const struct cma_pages *pages)
{
    return &pages->ops;
}
