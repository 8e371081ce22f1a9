/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * claim.c - the resumable claim: choose, isolate, evacuate, hand over; or put everything back
 *
 * A claim asks its area's engine for windows, and then looks for the lowest that would do, from a
 * cursor upwards, without a lock: what cma__window_cost says is a hint. Then it *books* the window
 * under the area's lock, and a window that overlaps a booked one can't be booked. So two claims
 * never isolate parts of each other's windows, and where windows of one size fill an area exactly,
 * claims side by side fill it exactly: who meets another's window goes on behind its end, not
 * somewhere inside of it.
 *
 * What stands in the way is noted while the search goes on. At the end of a search that found
 * nothing, things that will end by themselves (another claim that is at work, a short reference, a
 * move) are worth waiting for; then the search begins again from the start. Nothing that a claim
 * holds is kept while it waits for others: a claim that waits has no window, so claims never wait
 * in a circle. A claim that is paused between two steps is not waited for, since its owner may be
 * the one who would wait.
 *
 * `flags`, `pfn` and `next` of a claim are read by other claims under the area's lock; all other
 * fields are its own.
 */
#include "../base/atomic.h"
#include "../base/bitmap.h"
#include "../base/guard.h"
#include "../frame/account.h"
#include "claim.h"
#include "engine.h"

/* Bits 3 and 4 are those of claim.h. */
#define CLAIM_LISTED (1u << 0)  /* in area->claims */
#define CLAIM_BOOKED (1u << 1)  /* has a window */
#define CLAIM_RUNNING (1u << 2) /* inside a step */

/* Sorts of what stands in the way, the one to name first comes first. */
enum claim_sort { CLAIM_SORT_MOVER, CLAIM_SORT_ROOM, CLAIM_SORT_HELD, CLAIM_SORT_CLAIMED };

#define CLAIM_SAW(sort) (1u << (sort))
#define CLAIM_SAW_RUNNING (1u << 8)  /* a claim that is at work */
#define CLAIM_SAW_PAUSED (1u << 9)   /* a claim between two steps */
#define CLAIM_SAW_PASSING (1u << 10) /* a short reference, or a move that somebody makes */
#define CLAIM_SAW_CHANGE (1u << 11)  /* what stood in the way was gone at the second look */

#define CLAIM_MORE 1
#define CLAIM_EXHAUSTED 2 /* from claim_choose: no window is left above the cursor */

/* No claim is longer than its area's span, so lengths in it are 32 bits. */
static uint32_t claim_npages(const struct cma_claim *claim)
{
    return (uint32_t)claim->request.npages;
}

static cma_pfn_t claim_last(const struct cma_claim *claim)
{
    return claim->pfn + (claim->request.npages - 1);
}

/* Frames are noted by their number in the area. */
static uint32_t claim_frame(const struct cma_claim *claim, cma_pfn_t pfn)
{
    return (uint32_t)(pfn - claim->area->pfn);
}

static cma_pfn_t claim_pfn(const struct cma_claim *claim, uint32_t frame)
{
    return claim->area->pfn + frame;
}

static CMA__APART void claim_saw(struct cma_claim *claim, enum claim_sort sort, cma_pfn_t pfn)
{
    claim->seen |= CLAIM_SAW(sort);
    claim->seen_frame[sort] = claim_frame(claim, pfn);
}

/* Destinations that any data could go to, as far as 32 bits count. */
static uint32_t claim_room(const struct cma_claim *claim)
{
    const struct cma_pages_ops *ops = claim->area->ops;
    uint64_t room = ops == NULL ? 0 : ops->room(ops->ctx, CMA_PADDR_MAX);

    return room < UINT32_MAX ? (uint32_t)room : UINT32_MAX;
}

static void claim_saw_no_room(struct cma_claim *claim, cma_pfn_t pfn)
{
    uint32_t room = claim_room(claim);

    if ((claim->seen & CLAIM_SAW(CLAIM_SORT_ROOM)) == 0 || room < claim->seen_room) {
        claim->seen_room = room;
    }
    claim_saw(claim, CLAIM_SORT_ROOM, pfn);
}

static void claim_saw_passing(struct cma_claim *claim, cma_pfn_t pfn)
{
    claim->seen |= CLAIM_SAW_PASSING;
    claim->passing_frame = claim_frame(claim, pfn);
}

/* Another claim's window is in the way. The lock is held. */
static void claim_saw_claim(struct cma_claim *claim, const struct cma_claim *other)
{
    bool running = (other->flags & CLAIM_RUNNING) != 0;

    claim->seen |= running ? CLAIM_SAW_RUNNING : CLAIM_SAW_PAUSED;
    claim_saw(claim, CLAIM_SORT_CLAIMED, other->pfn);
    claim->cursor = claim_last(other) + 1;
}

/* The claim other than `self` whose window shares a frame with [first, last]. The lock is held. */
static const struct cma_claim *claim_booked(const struct cma_area *area,
                                            const struct cma_claim *self, cma_pfn_t first,
                                            cma_pfn_t last)
{
    const struct cma_claim *other;

    for (other = area->claims; other != NULL; other = other->next) {
        if (other != self && (other->flags & CLAIM_BOOKED) != 0 && other->pfn <= last &&
            claim_last(other) >= first) {
            return other;
        }
    }
    return NULL;
}

bool cma__claim_covers(const struct cma_area *area, cma_pfn_t pfn)
{
    return claim_booked(area, NULL, pfn, pfn) != NULL;
}

bool cma__claim_booked_next(struct cma_area *area, cma_pfn_t from, cma_pfn_t *first,
                            cma_pfn_t *last)
{
    uintptr_t state = guard_lock(area->frames->port, &area->lock);
    const struct cma_claim *other;
    bool found = false;

    for (other = area->claims; other != NULL; other = other->next) {
        if ((other->flags & CLAIM_BOOKED) != 0 && claim_last(other) >= from &&
            (!found || other->pfn < *first)) {
            *first = other->pfn;
            *last = claim_last(other);
            found = true;
        }
    }
    guard_unlock(area->frames->port, &area->lock, state);
    return found;
}

static uintptr_t claim_lock(struct cma_claim *claim)
{
    return guard_lock(claim->area->frames->port, &claim->area->lock);
}

static void claim_unlock(struct cma_claim *claim, uintptr_t state)
{
    guard_unlock(claim->area->frames->port, &claim->area->lock, state);
}

/* --- begin and end --------------------------------------------------------------------- */

static void claim_search(struct cma_claim *claim)
{
    uintptr_t state;

    /* The event first: what ends between the two is then seen as an event, not missed. */
    claim->seen_event = cma_frames_event(claim->area->frames);
    state = claim_lock(claim);
    claim->seen_generation = claim->area->generation;
    claim_unlock(claim, state);
    claim->seen = 0;
    claim->cursor = 0;
}

static void claim_begin(struct cma_claim *claim)
{
    struct cma_area *area = claim->area;
    uintptr_t state = claim_lock(claim);

    claim->next = area->claims;
    area->claims = claim;
    claim->flags |= CLAIM_LISTED;
    atom_add(&area->span->emptying, 1);
    claim_unlock(claim, state);
    claim->state = CMA_CLAIM_CHOOSE;
    claim_search(claim);
}

/* The claim leaves its area's list. The lock is held. */
static void claim_unlist(struct cma_claim *claim)
{
    struct cma_area *area = claim->area;
    struct cma_claim **link = &area->claims;

    while (*link != claim) {
        link = &(*link)->next;
    }
    *link = claim->next;
    claim->flags = 0;
    area->generation++;
    atom_sub(&area->span->emptying, 1);
}

/* Gives the window up: what was isolated is as it was, except that what moved has moved. */
static void claim_leave(struct cma_claim *claim)
{
    struct cma_area *area = claim->area;
    uintptr_t state;

    cma__window_restore(area->frames, area->span, claim->pfn, claim->isolated);
    cma__area_lend_again(area, claim->pfn, claim->isolated);
    state = claim_lock(claim);
    claim->flags &= ~CLAIM_BOOKED;
    area->generation++;
    /* That was we: nobody else's doing that would be worth another search. */
    claim->seen_generation++;
    area->stats.windows_left++;
    area->stats.wasted_copies += claim->window_copied;
    claim_unlock(claim, state);
    claim->isolated = 0;
    claim->evacuated = 0;
    claim->window_copied = 0;
    claim->pfn = CMA_PFN_NONE;
    claim->state = CMA_CLAIM_CHOOSE;
    cma__frames_signal(area->frames);
}

static int claim_refuse(struct cma_claim *claim, int code, enum cma_reason reason, cma_pfn_t pfn)
{
    struct cma_area *area = claim->area;
    bool early = (claim->flags & CLAIM_LISTED) == 0;
    uintptr_t state;

    claim->refusal.code = code;
    claim->refusal.reason = reason;
    claim->refusal.pfn = pfn;
    if (pfn != CMA_PFN_NONE) {
        const struct cma_frame_record *record = span_record(area->frames, area->span, pfn);
        uint32_t word = atom_load(&record->word);

        if (word_is_lendable(word)) {
            claim->refusal.mover = word_mover(word);
            claim->refusal.owner = atom_peek(&record->cookie);
        }
    }
    if (area->engine != NULL && reason != CMA_REASON_INACTIVE &&
        (claim->flags & CMA__CLAIM_UNEXPLAINED) == 0) {
        bool may_sleep = !early || (claim->flags & CMA__CLAIM_AT_ONCE) != 0;

        if (early) {
            /* What an area with claims lends is no room for them. */
            claim_begin(claim);
        }
        area->engine->explain(area, &claim->request, may_sleep, &claim->refusal);
    }
    state = claim_lock(claim);
    if ((claim->flags & CLAIM_LISTED) != 0) {
        claim_unlist(claim);
    }
    area->stats.refused++;
    claim_unlock(claim, state);
    claim->state = CMA_CLAIM_REFUSED;
    cma__frames_signal(area->frames);
    return code;
}

static void claim_prepare(struct cma_claim *claim, struct cma_area *area,
                          const struct cma_area_request *request, uint32_t flags)
{
    *claim = (struct cma_claim){
        .area = area,
        .request = *request,
        .pfn = CMA_PFN_NONE,
        .refusal = {.pfn = CMA_PFN_NONE},
        .flags = flags,
    };
}

int cma_claim_start(struct cma_claim *claim, struct cma_area *area,
                    const struct cma_area_request *request)
{
    return cma__claim_start(claim, area, request, 0);
}

int cma__claim_start(struct cma_claim *claim, struct cma_area *area,
                     const struct cma_area_request *request, uint32_t flags)
{
    struct cma_window_want want;
    cma_pfn_t pfn;
    int error;

    claim_prepare(claim, area, request, flags);
    error = cma__window_want(area, request, &want);
    if (error == CMA_EINVAL) {
        claim->state = CMA_CLAIM_REFUSED;
        claim->refusal.code = error;
        claim->refusal.reason = CMA_REASON_ARGUMENT;
        return error;
    }
    if (atom_load(&area->active) == 0) {
        return claim_refuse(claim, CMA_EBADF, CMA_REASON_INACTIVE, CMA_PFN_NONE);
    }
    if (error != 0 || request->npages > area->npages || request->npages > CMA__CLAIM_NPAGES_MAX) {
        return claim_refuse(claim, CMA_ENOMEM, CMA_REASON_TOO_LARGE, CMA_PFN_NONE);
    }
    if (!cma__window_next(&want, 0, &pfn)) {
        return claim_refuse(claim, CMA_ERANGE, CMA_REASON_UNREACHABLE, CMA_PFN_NONE);
    }
    claim_begin(claim);
    return 0;
}

/* --- choose ---------------------------------------------------------------------------- */

/* Goes on behind a frame that can't leave. */
static void claim_pass(struct cma_claim *claim, const struct cma_window_cost *cost)
{
    const struct cma_claim *other;
    uintptr_t state;

    claim->cursor = cost->obstacle + 1;
    state = claim_lock(claim);
    other = claim_booked(claim->area, claim, cost->obstacle, cost->obstacle);
    if (other != NULL) {
        claim_saw_claim(claim, other);
    }
    claim_unlock(claim, state);
    if (other == NULL) {
        if (cost->obstacle_passes) {
            claim_saw_passing(claim, cost->obstacle);
        }
        claim_saw(claim, cost->obstacle_claimed ? CLAIM_SORT_CLAIMED : CLAIM_SORT_HELD,
                  cost->obstacle);
    }
}

/* By how many the window's kept frames exceed the room for them, each mover's limit heeded. Limits
 * are upper bounds, so they nest: the frames that must go below one of them include those that must
 * go below a lower one. */
static CMA__APART uint32_t claim_excess_by_limit(const struct cma_claim *claim, cma_pfn_t pfn)
{
    const struct cma_frames *frames = claim->area->frames;
    const struct cma_pages_ops *ops = claim->area->ops;
    uint32_t kept[CMA_MOVERS_MAX] = {0};
    uint32_t excess = 0;
    uint32_t a, b;

    cma__window_movers(frames, claim->area->span, pfn, claim_npages(claim), kept);
    for (a = 0; a < frames->nmovers; a++) {
        cma_paddr_t limit = frames->movers[a]->paddr_last;
        uint32_t need = 0;
        uint64_t room;

        if (kept[a] == 0) {
            continue;
        }
        for (b = 0; b < frames->nmovers; b++) {
            need += frames->movers[b]->paddr_last <= limit ? kept[b] : 0;
        }
        room = ops->room(ops->ctx, limit);
        if (need > room && need - room > excess) {
            excess = need - (uint32_t)room;
        }
    }
    return excess;
}

/* 0: the window's kept frames fit elsewhere. Otherwise no window that begins fewer than so many
 * frames higher is better off, because each step takes at most one kept frame out. */
static uint32_t claim_excess(const struct cma_claim *claim, cma_pfn_t pfn,
                             const struct cma_window_cost *cost)
{
    const struct cma_pages_ops *ops = claim->area->ops;
    uint32_t room;

    if (cost->kept == 0) {
        return 0;
    }
    room = claim_room(claim);
    if (room < cost->kept) {
        return cost->kept - room;
    }
    if (cost->kept_paddr_last == CMA_PADDR_MAX ||
        ops->room(ops->ctx, cost->kept_paddr_last) >= cost->kept) {
        return 0;
    }
    return claim_excess_by_limit(claim, pfn);
}

/* Makes the window the claim's own, unless another claim was faster. */
static bool claim_book(struct cma_claim *claim, cma_pfn_t pfn)
{
    const struct cma_claim *other;
    uintptr_t state = claim_lock(claim);

    other = claim_booked(claim->area, claim, pfn, pfn + (claim->request.npages - 1));
    if (other == NULL) {
        claim->pfn = pfn;
        claim->flags |= CLAIM_BOOKED;
    } else {
        claim_saw_claim(claim, other);
    }
    claim_unlock(claim, state);
    return other == NULL;
}

/* Has another claim ended since the search began? */
static bool claim_others_ended(struct cma_claim *claim)
{
    uintptr_t state = claim_lock(claim);
    bool ended = claim->area->generation != claim->seen_generation;

    claim_unlock(claim, state);
    return ended;
}

/* Is some frame of the area nobody's for a moment? */
static bool claim_has_passing(const struct cma_claim *claim)
{
    const struct cma_area *area = claim->area;
    uint32_t passing = 0;
    uint32_t i;

    for (i = 0; i < area->nspans; i++) {
        passing |= atom_load(&area->span[i].passing);
    }
    return passing != 0;
}

uint32_t cma__claims_seen(struct cma_area *area)
{
    uintptr_t state = guard_lock(area->frames->port, &area->lock);
    uint32_t generation = area->generation;

    guard_unlock(area->frames->port, &area->lock, state);
    return generation;
}

int cma__claims_wait(struct cma_area *area, uint32_t event, uint32_t generation)
{
    for (;;) {
        uintptr_t state = guard_lock(area->frames->port, &area->lock);
        bool ended = area->generation != generation;
        bool running = false, paused = false;
        const struct cma_claim *other;
        uint32_t passing = 0, i;

        for (other = area->claims; other != NULL; other = other->next) {
            if ((other->flags & CLAIM_BOOKED) != 0) {
                running = running || (other->flags & CLAIM_RUNNING) != 0;
                paused = paused || (other->flags & CLAIM_RUNNING) == 0;
            }
        }
        guard_unlock(area->frames->port, &area->lock, state);
        for (i = 0; i < area->nspans; i++) {
            passing |= atom_load(&area->span[i].passing);
        }
        if (ended || (!running && passing == 0)) {
            return ended ? 1 : paused ? CMA_EAGAIN : 0;
        }
        if (cma_frames_wait(area->frames, event) != 0) {
            return CMA_EAGAIN;
        }
        if (!running) {
            return 1;
        }
        event = cma_frames_event(area->frames);
    }
}

/* Does a frame that the search met still go by itself: a short reference, a move, a claim? */
static bool claim_passes(const struct cma_claim *claim, cma_pfn_t pfn)
{
    const struct cma_frames *frames = claim->area->frames;
    const struct cma_span *span = claim->area->span;
    uint32_t word = atom_load(&span_record(frames, span, pfn)->word);

    if (word_is_held(word)) {
        return (word & (WORD_REFS | WORD_FROZEN)) != 0;
    }
    return word_kind(word) == CMA_KIND_NONE &&
           !bitmap_test(frames->idle, span_bit(frames, span, pfn)) && claim_has_passing(claim);
}

/* Waits for one. A window that was tried and left in the same search has made events of its own, so
 * the frame is looked at again: only if it is free by now, or something else has ended, is there no
 * need to sleep. */
static bool claim_wait_passing(struct cma_claim *claim)
{
    struct cma_frames *frames = claim->area->frames;
    uint32_t event = cma_frames_event(frames);

    return claim_others_ended(claim) ||
           !claim_passes(claim, claim_pfn(claim, claim->passing_frame)) ||
           cma_frames_wait(frames, event) == 0;
}

/* Waits until something has ended that the search met. Returns false where that is impossible. */
static bool claim_wait(struct cma_claim *claim)
{
    struct cma_frames *frames = claim->area->frames;

    if ((claim->request.flags & CMA_CLAIM_NOWAIT) != 0) {
        return false;
    }
    if ((claim->seen & CLAIM_SAW_PASSING) != 0) {
        return claim_wait_passing(claim);
    }
    /* Where only claims stood in the way, other events are not worth a search. */
    while (!claim_others_ended(claim)) {
        if (cma_frames_wait(frames, claim->seen_event) != 0) {
            return false;
        }
        claim->seen_event = cma_frames_event(frames);
    }
    return true;
}

/* What may have changed since it was seen, or will change by itself: is the search worth another
 * round, with or without a wait? */
static bool claim_overtaken(struct cma_claim *claim)
{
    struct cma_area *area = claim->area;
    struct cma_window_want want;
    const struct cma_claim *other;
    uintptr_t state;
    bool changed;

    (void)cma__window_want(area, &claim->request, &want);
    /* Data was dropped for a window that was given up later: its place is room for another. */
    changed =
        (claim->seen & CLAIM_SAW(CLAIM_SORT_ROOM)) != 0 && claim_room(claim) > claim->seen_room;
    state = claim_lock(claim);
    /* A buffer was released, or another claim ended, and no look was taken at that place since. */
    changed = changed || ((claim->seen & CLAIM_SAW(CLAIM_SORT_CLAIMED)) != 0 &&
                          area->generation != claim->seen_generation);
    for (other = area->claims; other != NULL; other = other->next) {
        if (other != claim && (other->flags & CLAIM_BOOKED) != 0 && other->pfn <= want.last &&
            claim_last(other) >= want.first) {
            bool running = (other->flags & CLAIM_RUNNING) != 0;

            claim->seen |= running ? CLAIM_SAW_RUNNING : CLAIM_SAW_PAUSED;
        }
    }
    claim_unlock(claim, state);
    return changed || (claim->seen & CLAIM_SAW_CHANGE) != 0;
}

/* Nothing was found: looks again, at once or after a wait, or says why not. */
static CMA__APART int claim_exhausted(struct cma_claim *claim)
{
    static const int codes[] = {CMA_EBUSY, CMA_ENOMEM, CMA_ENOSPC, CMA_ENOMEM};
    static const enum cma_reason reasons[] = {CMA_REASON_MOVER, CMA_REASON_NO_ROOM, CMA_REASON_HELD,
                                              CMA_REASON_CLAIMED};
    bool overtaken = claim_overtaken(claim);
    uint32_t limit = CMA_CLAIM_ROUNDS;
    uint32_t sort = CLAIM_SORT_MOVER;
    int code;

    while (sort < CLAIM_SORT_CLAIMED && (claim->seen & CLAIM_SAW(sort)) == 0) {
        sort++;
    }
    code = codes[sort];
    if (sort == CLAIM_SORT_MOVER || (claim->request.flags & CMA_CLAIM_NOWAIT) != 0) {
        limit = CMA_CLAIM_ROUNDS_REFUSED;
    }
    if (overtaken || (claim->seen & (CLAIM_SAW_RUNNING | CLAIM_SAW_PASSING)) != 0) {
        if (claim->rounds < limit && (overtaken || claim_wait(claim))) {
            claim->rounds++;
            claim_search(claim);
            return CLAIM_MORE;
        }
        code = CMA_EAGAIN;
    } else if ((claim->seen & CLAIM_SAW_PAUSED) != 0) {
        code = CMA_EAGAIN;
    }
    return claim_refuse(claim, code, reasons[sort], claim_pfn(claim, claim->seen_frame[sort]));
}

/* The place to look at next: the engine's as long as it has some, then all in order. False: there
 * is none. */
static bool claim_next(struct cma_claim *claim, const struct cma_window_want *want, cma_pfn_t *pfn)
{
    const struct cma_area_engine *engine = claim->area->engine;

    return (engine != NULL && engine->pick(claim, want, pfn)) ||
           cma__window_next(want, claim->cursor, pfn);
}

static CMA__APART int claim_choose(struct cma_claim *claim, uint64_t *budget)
{
    const struct cma_area *area = claim->area;
    struct cma_window_want want;
    struct cma_window_cost cost;
    cma_pfn_t pfn;
    uint32_t excess;

    (void)cma__window_want(area, &claim->request, &want);
    while (*budget > 0) {
        if (!claim_next(claim, &want, &pfn)) {
            return CLAIM_EXHAUSTED;
        }
        (*budget)--;
        cma__window_cost(area->frames, area->span, pfn, claim_npages(claim), &cost);
        if (cost.obstacle != CMA_PFN_NONE) {
            claim_pass(claim, &cost);
            continue;
        }
        excess = claim_excess(claim, pfn, &cost);
        if (excess != 0) {
            claim_saw_no_room(claim, pfn);
            claim->cursor = pfn + excess;
            continue;
        }
        if (claim_book(claim, pfn)) {
            claim->stalls = 0;
            claim->state = CMA_CLAIM_ISOLATE;
            break;
        }
    }
    return CLAIM_MORE;
}

/* --- isolate, evacuate, hand over ------------------------------------------------------ */

/* Somebody got into the way after the choice. What it was may be gone again. */
static void claim_obstructed(struct cma_claim *claim, cma_pfn_t obstacle)
{
    struct cma_window_cost cost;

    cma__window_cost(claim->area->frames, claim->area->span, obstacle, 1, &cost);
    if (cost.obstacle != CMA_PFN_NONE) {
        claim_pass(claim, &cost);
        return;
    }
    claim->seen |= CLAIM_SAW_CHANGE;
    claim_saw(claim, CLAIM_SORT_HELD, obstacle);
    claim->cursor = obstacle + 1;
}

static CMA__APART int claim_isolate(struct cma_claim *claim, uint64_t *budget)
{
    struct cma_area *area = claim->area;
    const struct cma_pages_ops *ops = area->ops;

    while (*budget > 0 && claim->isolated < claim_npages(claim)) {
        cma_pfn_t at = claim->pfn + claim->isolated;
        uint32_t left = claim_npages(claim) - claim->isolated;
        uint32_t npages = cma__block_left(area->frames, at);
        cma_pfn_t obstacle;

        if (npages > left) {
            npages = left;
        }
        if (cma__window_isolate(area->frames, area->span, at, npages, &obstacle) != 0) {
            claim_leave(claim);
            claim_obstructed(claim, obstacle);
            return CLAIM_MORE;
        }
        claim->isolated += npages;
        if (ops != NULL && ops->take_back != NULL) {
            ops->take_back(ops->ctx, at, npages);
        }
        *budget -= npages < *budget ? npages : *budget;
    }
    if (claim->isolated == claim->request.npages) {
        claim->state = CMA_CLAIM_EVACUATE;
    }
    return CLAIM_MORE;
}

static int claim_hand_over(struct cma_claim *claim)
{
    struct cma_area *area = claim->area;
    uint32_t npages = claim_npages(claim);
    uintptr_t state;

    cma__window_claim(area->frames, area->span, claim->pfn, npages, claim->request.owner);
    cma__area_unlend(area, claim->pfn, npages);
    state = claim_lock(claim);
    claim_unlist(claim);
    area->stats.claimed_npages += npages;
    area->stats.claims++;
    claim_unlock(claim, state);
    claim->state = CMA_CLAIM_DONE;
    cma__frames_signal(area->frames);
    return 0;
}

/* Somebody else moves `obstacle` right now. Returns false if waiting for that is over. */
static bool claim_stall(struct cma_claim *claim, uint32_t event)
{
    if ((claim->request.flags & CMA_CLAIM_NOWAIT) != 0 || claim->stalls >= CMA_CLAIM_ROUNDS) {
        return false;
    }
    claim->stalls++;
    return cma_frames_wait(claim->area->frames, event) == 0;
}

/* The window can't be emptied because of `obstacle`: on to the next. */
static void claim_give_up(struct cma_claim *claim, int error, cma_pfn_t obstacle)
{
    cma_pfn_t next = obstacle + 1;

    if (error == CMA_ENOMEM) {
        /* Others took the room meanwhile; a window that keeps fewer frames may still do. */
        next = claim->pfn + 1;
        claim_saw_no_room(claim, obstacle);
    } else if (error == CMA_EAGAIN) {
        claim_saw_passing(claim, obstacle);
        claim_saw(claim, CLAIM_SORT_HELD, obstacle);
    } else {
        claim_saw(claim, CLAIM_SORT_MOVER, obstacle);
    }
    claim_leave(claim);
    claim->cursor = next;
}

/* An area with an engine is emptied in runs. */
static inline int claim_evacuate_part(struct cma_area *area, cma_pfn_t pfn, uint32_t npages,
                                      struct cma_evacuation *evacuation)
{
    return area->engine != NULL ? area->engine->evacuate(area->frames, pfn, npages, evacuation)
                                : cma__window_evacuate(area->frames, pfn, npages, evacuation);
}

static CMA__APART int claim_evacuate(struct cma_claim *claim, uint64_t *budget)
{
    struct cma_area *area = claim->area;
    struct cma_evacuation evacuation = {.obstacle = CMA_PFN_NONE};
    uint32_t npages = claim_npages(claim) - claim->evacuated;
    uint32_t event = cma_frames_event(area->frames);
    uintptr_t state;
    int error;

    npages = npages < *budget ? npages : (uint32_t)*budget;
    error = claim_evacuate_part(area, claim->pfn + claim->evacuated, npages, &evacuation);
    *budget -= npages;
    claim->copied_npages += evacuation.copied;
    claim->dropped_npages += evacuation.dropped;
    claim->window_copied += evacuation.copied;
    state = claim_lock(claim);
    area->stats.copied_npages += evacuation.copied;
    area->stats.dropped_npages += evacuation.dropped;
    claim_unlock(claim, state);
    if (error == 0) {
        claim->evacuated += npages;
        return claim->evacuated == claim->request.npages ? claim_hand_over(claim) : CLAIM_MORE;
    }
    claim->evacuated = (uint32_t)(evacuation.obstacle - claim->pfn);
    if (error != CMA_EAGAIN || !claim_stall(claim, event)) {
        claim_give_up(claim, error, evacuation.obstacle);
    }
    return CLAIM_MORE;
}

/* --- steps ----------------------------------------------------------------------------- */

static void claim_run(struct cma_claim *claim, bool running)
{
    uintptr_t state = claim_lock(claim);

    if (running) {
        claim->flags |= CLAIM_RUNNING;
    } else {
        /* Who waits for this claim must not wait for its owner to come back. */
        claim->flags &= ~CLAIM_RUNNING;
        claim->area->generation++;
    }
    claim_unlock(claim, state);
    if (!running) {
        cma__frames_signal(claim->area->frames);
    }
}

static bool claim_in_progress(const struct cma_claim *claim)
{
    return claim->state == CMA_CLAIM_CHOOSE || claim->state == CMA_CLAIM_ISOLATE ||
           claim->state == CMA_CLAIM_EVACUATE;
}

int cma_claim_step(struct cma_claim *claim, uint64_t budget_npages)
{
    uint64_t budget = budget_npages;
    int result = CLAIM_MORE;

    if (!claim_in_progress(claim)) {
        return CMA_EBADF;
    }
    claim_run(claim, true);
    while (result == CLAIM_MORE && budget > 0) {
        if (budget_npages == UINT64_MAX) {
            budget = budget_npages;
        }
        switch (claim->state) {
        case CMA_CLAIM_CHOOSE:
            result = claim_choose(claim, &budget);
            if (result == CLAIM_EXHAUSTED) {
                result = claim_exhausted(claim);
            }
            break;
        case CMA_CLAIM_ISOLATE: result = claim_isolate(claim, &budget); break;
        default: result = claim_evacuate(claim, &budget); break;
        }
    }
    if (result == CLAIM_MORE) {
        claim_run(claim, false);
    }
    return result;
}

void cma_claim_cancel(struct cma_claim *claim)
{
    uintptr_t state;

    if (!claim_in_progress(claim)) {
        return;
    }
    if (claim->state != CMA_CLAIM_CHOOSE) {
        claim_leave(claim);
    }
    state = claim_lock(claim);
    claim_unlist(claim);
    claim_unlock(claim, state);
    claim->state = CMA_CLAIM_CANCELLED;
    cma__frames_signal(claim->area->frames);
}
