/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * quick.c - claims and releases in one step
 *
 * Most requests find a window that nobody has anything in. Then there is nothing to evacuate and
 * nobody to wait for, and choosing, isolating and handing over are one short step under one lock,
 * the lane's. What this step can't answer for certain goes the long way (claim.c): windows with
 * borrowed frames, or across the border of two lanes, waiting, and explaining.
 *
 * Lanes are tried from the processor's own one on. While there is room, processors stay apart; when
 * an area is three quarters full, packing is worth more than that, and each lane is first asked for
 * a place that fits tightly.
 */
#include "../base/atomic.h"
#include "../base/guard.h"
#include "../frame/recent.h"
#include "../frame/slot.h"
#include "claim.h"
#include "engine.h"

/* The short way has no answer: the long way is to be gone. */
#define QUICK_NO 1

/* Windows that a claim tries before it looks at all in order. */
#define QUICK_PICKS 3u

/* Something may be under way that a refusal would have to wait for. */
static bool quick_is_busy(const struct cma_area *area)
{
    uint32_t busy = atom_load(&area->span->emptying);

    for (uint32_t i = 0; i < area->nspans; i++) {
        busy |= atom_load(&area->span[i].passing) | atom_peek(&area->span[i].pinned);
    }
    return busy != 0;
}

/* The lane where this processor begins. */
static uint32_t quick_home(const struct cma_area *area)
{
    const struct cma_port *port = area->frames->port;

    return area->nspans == 1 || port->cpu == NULL ? 0 : port->cpu(port->ctx) % area->nspans;
}

/* Is this lane three quarters full? Only the lane's own count is read: the others' are being
 * written by other processors. */
static bool quick_is_full(const struct cma_area *area, uint32_t lane)
{
    const struct cma_span *span = &area->span[lane];

    /* It is below 0 where buffers were claimed the long way and released the quick one. */
    return (int32_t)atom_peek(&cma__runs_of(area->frames, span)->claimed_npages) >
           (int32_t)(span->npages / 4 * 3);
}

/* Asks the lanes of `ask`, one bit each, and leaves in it those that may have a place. Returns 0,
 * CMA_ENOMEM (none has a run that would do) or CMA_EBUSY. */
static int quick_lanes(const struct cma_area *area, const struct cma_window_want *want,
                       uint32_t owner, uint32_t lane, enum cma_runs_effort effort, uint64_t *ask,
                       cma_pfn_t *pfn)
{
    uint32_t stamp = cma__frames_stamp(area->frames);

    for (uint32_t i = 0; i < area->nspans; i++) {
        uint32_t up = lane + i < area->nspans ? lane + i : lane + i - area->nspans;
        uint32_t number = want->from_top ? area->nspans - 1 - i : up;
        struct cma_span *span = &area->span[number];
        int error = CMA_ENOMEM;

        if ((*ask >> number & 1) == 0) {
            continue;
        }
        if (want->last >= span->pfn && want->first <= span->pfn + (span->npages - 1)) {
            error = cma__runs_claim(area->frames, span, want, owner, stamp, effort, pfn);
        }
        if (error == CMA_OK) {
            return CMA_OK;
        }
        if (error == CMA_ENOMEM) {
            *ask &= ~(UINT64_C(1) << number);
        }
    }
    return *ask != 0 ? CMA_EBUSY : CMA_ENOMEM;
}

/* Anywhere in the area will do. */
static bool quick_is_plain(const struct cma_area *area, const struct cma_area_request *request)
{
    return (request->paddr_first | request->paddr_last | request->boundary_nbytes |
            request->bus_offset | request->flags) == 0 &&
           request->npages - 1 < area->npages &&
           (request->align_npages & (request->align_npages - 1)) == 0;
}

static void quick_count_refused(struct cma_area *area)
{
    const struct cma_port *port = area->frames->port;
    uintptr_t state = guard_lock(port, &area->lock);

    area->stats.refused++;
    guard_unlock(port, &area->lock, state);
}

/* Claims a window in which nobody has anything. Returns 0 and *pfn; CMA_ENOMEM, unless it is to be
 * explained: nothing that is not claimed would do, and nothing is under way; QUICK_NO. */
static int quick_claim(struct cma_area *area, const struct cma_area_request *request, uint32_t lane,
                       bool explained, cma_pfn_t *pfn)
{
    uint64_t ask = UINT64_MAX >> (64 - area->nspans);
    struct cma_window_want want;
    int result = CMA_EBUSY;
    cma_pfn_t any;

    if (request->npages > area->npages || cma__window_want(area, request, &want) != 0) {
        return QUICK_NO;
    }
    if (area->nspans > 1 && !want.from_top && quick_is_full(area, lane)) {
        result = quick_lanes(area, &want, request->owner, lane, CMA__RUNS_TIGHT, &ask, pfn);
        if (result == CMA_EBUSY) {
            result = quick_lanes(area, &want, request->owner, lane, CMA__RUNS_LOOSE, &ask, pfn);
        }
    }
    if (result == CMA_EBUSY) {
        result = quick_lanes(area, &want, request->owner, lane, CMA__RUNS_ANY, &ask, pfn);
    }
    if (result == CMA_OK) {
        return CMA_OK;
    }
    /* Lanes are asked one after the other: what was released meanwhile in one of them, or lies
     * across a border, only the long way sees. */
    if (result == CMA_EBUSY || explained || area->nspans > 1 || quick_is_busy(area) ||
        !cma__window_next(&want, 0, &any)) {
        return QUICK_NO;
    }
    quick_count_refused(area);
    return CMA_ENOMEM;
}

/* Can requests be served in one step now? Windows that other claims have booked, and not isolated
 * yet, are seen the long way only. */
static CMA__INLINE bool quick_is_on(const struct cma_area *area)
{
    return CMA__LIKELY(area->frames->runs != NULL) && CMA__LIKELY(atom_load(&area->active) != 0) &&
           CMA__LIKELY(atom_load(&area->span->emptying) == 0) &&
           CMA__LIKELY(area->ops == NULL || area->ops->take_back == NULL);
}

static CMA__APART int quick_search(struct cma_area *area, const struct cma_area_request *request,
                                   uint32_t lane, cma_pfn_t *pfn, struct cma_refusal *refusal)
{
    int result = quick_claim(area, request, lane, refusal != NULL, pfn);

    return result != QUICK_NO ? result : cma__area_alloc_by_claim(area, request, pfn, refusal);
}

int cma__quick_alloc(struct cma_area *area, const struct cma_area_request *request, cma_pfn_t *pfn,
                     struct cma_refusal *refusal)
{
    uint32_t lane;

    if (CMA__UNLIKELY(!quick_is_on(area))) {
        return cma__area_alloc_by_claim(area, request, pfn, refusal);
    }
    lane = quick_home(area);
    if (CMA__LIKELY(quick_is_plain(area, request)) &&
        runs_refill(area->frames, &area->span[lane], (uint32_t)request->npages,
                    request->align_npages | (request->align_npages == 0), request->owner, pfn)) {
        return CMA_OK;
    }
    return quick_search(area, request, lane, pfn, refusal);
}

/* How a release ends: where it found no buffer by the records, a long one is asked for here. */
static CMA__APART int quick_refuse(const struct cma_area *area, cma_pfn_t pfn, uint64_t npages,
                                   uint32_t owner, int error)
{
    struct cma_buffer buffer;

    if (error != CMA_EBADF || !cma__frames_buffer(area->frames, area->span, pfn, 0, &buffer)) {
        return error;
    }
    return buffer.npages != npages ? CMA_EINVAL : buffer.owner != owner ? CMA_EPERM : error;
}

int cma__quick_release(struct cma_area *area, cma_pfn_t pfn, uint64_t npages, uint32_t owner)
{
    struct cma_span *span = cma__span_from(area->span, pfn);
    int error;

    if (CMA__UNLIKELY(span->runs == 0) ||
        CMA__UNLIKELY(npages > span->npages - (pfn - span->pfn)) ||
        CMA__UNLIKELY(area->frames->slots != NULL &&
                      cma__slot_find(area->frames, area->span, pfn) != NULL)) {
        error = cma__area_release_any(area, pfn, npages, owner);
        return quick_refuse(area, pfn, npages, owner, error);
    }
    error = runs_release(area->frames, span, pfn, (uint32_t)npages, owner);
    if (CMA__UNLIKELY(error != CMA_OK)) {
        return quick_refuse(area, pfn, npages, owner, error);
    }
    /* A claim counts itself before it looks at frames under the lock that was just held: either it
     * saw these, or it is seen here. */
    if (CMA__UNLIKELY(atom_load(&area->span->emptying) != 0)) {
        cma__area_changed(area);
    }
    if (area->ops != NULL) {
        cma__area_lend_again(area, pfn, npages);
    }
    return CMA_OK;
}

/* The best window of all lanes, as last seen, without the frame `avoid`. */
static bool quick_choose(const struct cma_area *area, const struct cma_window_want *want,
                         cma_pfn_t avoid, cma_pfn_t *pfn)
{
    int64_t best = INT64_MAX;

    for (uint32_t i = 0; i < area->nspans && area->frames->runs != NULL; i++) {
        struct cma_span *span = &area->span[i];
        cma_pfn_t found;
        int64_t price;

        if (want->last >= span->pfn && want->first <= span->pfn + (span->npages - 1) &&
            cma__runs_choose(area->frames, span, want, avoid, &found, &price) && price < best) {
            best = price;
            *pfn = found;
        }
    }
    return best != INT64_MAX;
}

void cma__quick_count(struct cma_area *area, struct cma_area_stats *stats)
{
    /* An area has fewer than 2^29 frames. */
    uint32_t claimed = (uint32_t)stats->claimed_npages;

    for (uint32_t i = 0; i < area->nspans && area->frames->runs != NULL; i++) {
        const struct cma_runs *lane = cma__runs_of(area->frames, &area->span[i]);
        uintptr_t state = cma__span_lock(area->frames, &area->span[i]);

        stats->claims += lane->claims;
        stats->released += lane->released;
        stats->skipped_npages += lane->skipped_npages;
        claimed += lane->claimed_npages;
        cma__span_unlock(area->frames, &area->span[i], state);
    }
    stats->claimed_npages = claimed;
}

bool cma__quick_pick(struct cma_claim *claim, const struct cma_window_want *want, cma_pfn_t *pfn)
{
    if (claim->picks < QUICK_PICKS) {
        /* The cursor is behind what stood in the way of the last one. */
        cma_pfn_t avoid = claim->picks == 0 ? CMA_PFN_NONE : claim->cursor - 1;

        claim->picks++;
        if (quick_choose(claim->area, want, avoid, pfn)) {
            return true;
        }
        claim->picks = QUICK_PICKS;
    }
    if (claim->picks == QUICK_PICKS) {
        /* These were not to be had, and say nothing about those below them. */
        claim->picks++;
        claim->cursor = 0;
    }
    return false;
}
