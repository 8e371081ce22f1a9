/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guarantee.c - blocks that were promised: taken, given back, checked
 *
 *          admit                 take                        release            quiet
 *     ----------------> LENT ----------> TAKING --> TAKEN -----------> RETURNING ----> LENT
 *     <----------------  |                 |                                            |
 *          revoke        frames come       emptied: discarded, at most                  frames come
 *                        and go            max_moves copied                             and go
 *
 * Why taking a block can't fail: the slot is there, for states change under one lock and a
 * guarantee has no more blocks out than it has slots. Nobody comes into a slot whose state is not
 * LENT, so it gets emptier with each look. What is in it is held by movers that never refuse: a
 * droppable frame is discarded, a kept one has a free frame booked for it, which nobody else takes.
 * A frame that somebody else is just moving out, or freeing, is waited for: its mover lets go in
 * bounded time.
 */
#include "../base/atomic.h"
#include "../base/bits.h"
#include "../base/guard.h"
#include "../base/refuse.h"
#include "../frame/account.h"
#include "engine.h"
#include "promise.h"

/* How often a frame that its mover has just got, or just lets go, is looked at again. */
#define GUARANTEE_STALLS 100000000u
#define GUARANTEE_STALLS_NOWAIT 1000u

int cma_guarantees_init(struct cma_guarantees *guarantees, struct cma_frames *frames,
                        struct cma_slot *slots, uint32_t nslots)
{
    if (guarantees == NULL || frames == NULL || slots == NULL || nslots == 0 ||
        nslots > CMA_SLOTS_MAX || frames->slots != NULL) {
        return CMA_EINVAL;
    }
    for (uint32_t i = 0; i < nslots; i++) {
        slots[i] = (struct cma_slot){.state = CMA__SLOT_UNUSED};
    }
    *guarantees = (struct cma_guarantees){
        .slots = {.ops = &cma__slots_ops, .frames = frames, .slots = slots, .nslots = nslots},
    };
    frames->slots = &guarantees->slots;
    return CMA_OK;
}

int cma__promise_enter(struct cma_guarantees *all)
{
    struct cma_frames *frames = all->slots.frames;

    for (;;) {
        uint32_t event = cma_frames_event(frames);
        uintptr_t state = promise_lock(all);
        bool mine = all->slots.busy == 0;

        if (mine) {
            all->slots.busy = 1;
        }
        promise_unlock(all, state);
        if (mine || cma_frames_wait(frames, event) != 0) {
            return mine ? CMA_OK : CMA_EAGAIN;
        }
    }
}

void cma__promise_exit(struct cma_guarantees *all)
{
    uintptr_t state = promise_lock(all);

    all->slots.busy = 0;
    promise_unlock(all, state);
    cma__frames_signal(all->slots.frames);
}

void cma__promise_count(struct cma_area *area, uint64_t slot_npages, uint64_t claimed_npages)
{
    uintptr_t state = guard_lock(area->frames->port, &area->lock);

    area->stats.slot_npages += slot_npages;
    area->stats.claimed_npages += claimed_npages;
    guard_unlock(area->frames->port, &area->lock, state);
}

bool cma__promise_fits(const struct cma_guarantee *guarantee, const struct cma_slot *slot,
                       cma_pfn_t *pfn)
{
    const struct cma_guarantee_request *request = &guarantee->request;
    struct cma_area_request area = promise_block(request);
    struct cma_window_want want;

    if (slot->first != guarantee &&
        (request->group == NULL || slot->first->request.group != request->group)) {
        return false;
    }
    if (cma__window_want(guarantee->area, &area, &want) != 0) {
        return false;
    }
    want.first = bits_max(want.first, slot->pfn);
    want.last = bits_min(want.last, slot->pfn + (slot->npages - 1));
    return cma__window_next(&want, 0, pfn);
}

/* --- a slot and its frames ------------------------------------------------------------- */

void cma__promise_lend(struct cma_guarantees *all, struct cma_slot *slot)
{
    const struct cma_pages_ops *ops = all->slots.frames->ops;
    uintptr_t state = promise_lock(all);

    atom_store(&slot->state, CMA__SLOT_LENT);
    promise_unlock(all, state);
    /* One that can't take them leaves them where they are. */
    if (ops != NULL && ops->lend != NULL && slot->span->lend_class != CMA_LEND_NONE) {
        (void)ops->lend(ops->ctx, slot->pfn, slot->npages, CMA_LEND_SLOT);
    }
    cma__frames_signal(all->slots.frames);
}

void cma__promise_unlend(struct cma_guarantees *all, struct cma_slot *slot)
{
    const struct cma_pages_ops *ops = all->slots.frames->ops;

    cma__slot_settle(&all->slots, slot);
    if (ops != NULL && ops->take_back != NULL) {
        ops->take_back(ops->ctx, slot->pfn, slot->npages);
    }
}

/* Waits as long as somebody else moves the frame. Who has just got a frame, or just lets it go, is
 * not waited for: he says nothing when he is done. */
static void guarantee_wait(struct cma_frames *frames, cma_pfn_t pfn)
{
    struct cma_frame_info info;
    uint32_t event;

    do {
        event = cma_frames_event(frames);
    } while (cma_frame_info(frames, pfn, &info) == 0 && info.frozen &&
             cma_frames_wait(frames, event) == 0);
}

int cma__promise_empty(struct cma_guarantees *all, struct cma_slot *slot,
                       struct cma_guarantee_work *work)
{
    struct cma_frames *frames = all->slots.frames;
    struct cma_evacuation evacuation = {.obstacle = CMA_PFN_NONE,
                                        .destination = CMA_DESTINATION_PROMISED};
    uint32_t stalls = frames->port->wait != NULL ? GUARANTEE_STALLS : GUARANTEE_STALLS_NOWAIT;
    int error;

    do {
        error = cma__window_evacuate_runs(frames, slot->pfn, slot->npages, &evacuation);
        if (error == CMA_EAGAIN) {
            guarantee_wait(frames, evacuation.obstacle);
        }
    } while (error == CMA_EAGAIN && --stalls != 0);
    if (evacuation.flush) {
        guard_tlb_flush(frames->port);
        evacuation.flushes++;
    }
    (void)atom_sub(&slot->lent, evacuation.copied + evacuation.dropped);
    (void)atom_sub(&slot->kept, evacuation.copied);
    work->copied += evacuation.copied;
    work->dropped += evacuation.dropped;
    work->flushes += evacuation.flushes;
    return error;
}

/* --- take ------------------------------------------------------------------------------ */

/* The slot that is least work. The lock is held. */
static struct cma_slot *guarantee_choose(const struct cma_guarantee *guarantee, cma_pfn_t *pfn)
{
    const struct cma_slots *slots = &guarantee->all->slots;
    struct cma_slot *best = NULL;
    uint64_t best_price = UINT64_MAX;

    for (uint32_t i = 0; i < slots->nsorted; i++) {
        struct cma_slot *slot = &slots->slots[slots->slots[i].sorted];
        uint64_t price = (uint64_t)atom_peek(&slot->kept) << 32 | atom_peek(&slot->lent);
        cma_pfn_t at;

        if (slot->state == CMA__SLOT_LENT && price < best_price &&
            cma__promise_fits(guarantee, slot, &at)) {
            best = slot;
            best_price = price;
            *pfn = at;
        }
    }
    return best;
}

/* Books a slot. Returns 0 or as cma_guarantee_take. */
static int guarantee_book(struct cma_guarantee *guarantee, struct cma_slot **slot,
                          enum cma_reason *reason)
{
    struct cma_guarantee_group *group = guarantee->request.group;
    uintptr_t state = promise_lock(guarantee->all);
    int error = CMA_OK;
    cma_pfn_t pfn = 0;

    if (guarantee->live == guarantee->request.count) {
        *reason = CMA_REASON_PROMISED;
        error = CMA_ENOMEM;
    } else if (group != NULL && group->open != NULL && group->open != guarantee) {
        *reason = CMA_REASON_GROUP;
        error = CMA_EBUSY;
    } else {
        *slot = guarantee_choose(guarantee, &pfn);
        /* None: an admission to the group is just emptying it. */
        cma__assert(*slot != NULL || guarantee->all->slots.busy != 0);
        *reason = CMA_REASON_CLAIMED;
        error = *slot == NULL ? CMA_EAGAIN : CMA_OK;
    }
    if (error == CMA_OK) {
        atom_store(&(*slot)->state, CMA__SLOT_TAKING);
        (*slot)->taker = guarantee;
        (*slot)->block_pfn = pfn;
        guarantee->live++;
        guarantee->live_worst = (uint32_t)bits_max(guarantee->live_worst, guarantee->live);
        if (group != NULL) {
            group->open = guarantee;
        }
    }
    promise_unlock(guarantee->all, state);
    return error;
}

/* The slot lends its frames again. */
static void guarantee_put(struct cma_guarantee *guarantee, struct cma_slot *slot)
{
    struct cma_guarantee_group *group = guarantee->request.group;
    uintptr_t state = promise_lock(guarantee->all);

    slot->taker = NULL;
    promise_unlock(guarantee->all, state);
    cma__promise_lend(guarantee->all, slot);
    state = promise_lock(guarantee->all);
    /* Last of all: with one block less out, another can be taken, and this is the one. */
    guarantee->live--;
    if (group != NULL && guarantee->live == 0) {
        group->open = NULL;
    }
    promise_unlock(guarantee->all, state);
}

static void guarantee_note(struct cma_guarantee *guarantee, struct cma_slot *slot,
                           const struct cma_guarantee_work *work)
{
    uintptr_t state = promise_lock(guarantee->all);

    guarantee->taken++;
    guarantee->copied_worst = (uint32_t)bits_max(guarantee->copied_worst, work->copied);
    guarantee->dropped_worst = (uint32_t)bits_max(guarantee->dropped_worst, work->dropped);
    guarantee->flushes_worst = (uint32_t)bits_max(guarantee->flushes_worst, work->flushes);
    atom_store(&slot->state, CMA__SLOT_TAKEN);
    promise_unlock(guarantee->all, state);
}

int cma_guarantee_take(struct cma_guarantee *guarantee, cma_pfn_t *pfn,
                       struct cma_guarantee_work *work, struct cma_refusal *refusal)
{
    struct cma_guarantee_work done = {0};
    enum cma_reason reason = CMA_REASON_NONE;
    struct cma_frames *frames;
    struct cma_slot *slot;
    struct cma_area *area;
    uint32_t event;
    int error;

    if (guarantee->all == NULL) {
        return refuse_with(refusal, CMA_EBADF, CMA_REASON_ARGUMENT);
    }
    frames = guarantee->all->slots.frames;
    do {
        event = cma_frames_event(frames);
        error = guarantee_book(guarantee, &slot, &reason);
    } while (error == CMA_EAGAIN && cma_frames_wait(frames, event) == 0);
    if (error != CMA_OK) {
        return refuse_with(refusal, error, reason);
    }
    cma__promise_unlend(guarantee->all, slot);
    error = cma__promise_empty(guarantee->all, slot, &done);
    if (error != CMA_OK) {
        guarantee_put(guarantee, slot);
        return refuse_with(refusal, error, CMA_REASON_MOVER);
    }
    area = guarantee->area;
    cma__window_claim(area->frames, area->span, slot->block_pfn,
                      (uint32_t)guarantee->request.npages, guarantee->request.owner);
    cma__promise_count(area, 0, guarantee->request.npages);
    *pfn = slot->block_pfn;
    guarantee_note(guarantee, slot, &done);
    if (work != NULL) {
        *work = done;
    }
    return CMA_OK;
}

/* --- give back ------------------------------------------------------------------------- */

/* The slot whose block begins at `pfn` and is the guarantee's, in this state, which it changes to
 * another one; NULL: there is none. */
static struct cma_slot *guarantee_change(struct cma_guarantee *guarantee, cma_pfn_t pfn,
                                         enum cma_slot_state from, enum cma_slot_state to)
{
    const struct cma_slots *slots = &guarantee->all->slots;
    struct cma_slot *found = NULL;
    uintptr_t state = promise_lock(guarantee->all);

    for (uint32_t i = 0; i < slots->nsorted && found == NULL; i++) {
        struct cma_slot *slot = &slots->slots[slots->slots[i].sorted];

        if (slot->state == from && slot->taker == guarantee && slot->block_pfn == pfn) {
            atom_store(&slot->state, to);
            found = slot;
        }
    }
    promise_unlock(guarantee->all, state);
    return found;
}

int cma_guarantee_release(struct cma_guarantee *guarantee, cma_pfn_t pfn, bool quiet)
{
    if (guarantee->all == NULL ||
        guarantee_change(guarantee, pfn, CMA__SLOT_TAKEN, CMA__SLOT_RETURNING) == NULL) {
        return CMA_EBADF;
    }
    return quiet ? cma_guarantee_quiet(guarantee, pfn) : CMA_OK;
}

int cma_guarantee_quiet(struct cma_guarantee *guarantee, cma_pfn_t pfn)
{
    struct cma_slot *slot;

    if (guarantee->all == NULL) {
        return CMA_EBADF;
    }
    /* TAKING, for nobody else does anything with it then. */
    slot = guarantee_change(guarantee, pfn, CMA__SLOT_RETURNING, CMA__SLOT_TAKING);
    if (slot == NULL) {
        return CMA_EBADF;
    }
    cma__slot_retake(&guarantee->all->slots, slot);
    cma__promise_count(guarantee->area, 0, 0 - guarantee->request.npages);
    guarantee_put(guarantee, slot);
    return CMA_OK;
}

/* --- looking at it --------------------------------------------------------------------- */

void cma_guarantee_stats(const struct cma_guarantee *guarantee, struct cma_guarantee_stats *stats)
{
    const struct cma_slots *slots;
    uintptr_t state;
    cma_pfn_t pfn;

    *stats = (struct cma_guarantee_stats){0};
    if (guarantee->all == NULL) {
        return;
    }
    slots = &guarantee->all->slots;
    state = promise_lock(guarantee->all);
    stats->count = guarantee->request.count;
    stats->live = guarantee->live;
    stats->live_worst = guarantee->live_worst;
    stats->taken = guarantee->taken;
    stats->copied_worst = guarantee->copied_worst;
    stats->dropped_worst = guarantee->dropped_worst;
    stats->flushes_worst = guarantee->flushes_worst;
    for (uint32_t i = 0; i < slots->nsorted; i++) {
        const struct cma_slot *slot = &slots->slots[slots->slots[i].sorted];

        if (!cma__promise_fits(guarantee, slot, &pfn)) {
            continue;
        }
        stats->npages += slot->npages;
        if (slot->state == CMA__SLOT_LENT) {
            stats->idle_npages += slot->npages;
            stats->lent_npages += atom_peek(&slot->lent);
            stats->kept_npages += atom_peek(&slot->kept);
        }
    }
    promise_unlock(guarantee->all, state);
}

int cma_guarantees_slot(struct cma_guarantees *guarantees, uint32_t index,
                        struct cma_slot_info *info)
{
    const struct cma_slots *slots = &guarantees->slots;
    uintptr_t state = promise_lock(guarantees);
    int error = index < slots->nsorted ? CMA_OK : CMA_ENOENT;

    if (error == CMA_OK) {
        const struct cma_slot *slot = &slots->slots[slots->slots[index].sorted];

        *info = (struct cma_slot_info){
            .pfn = slot->pfn,
            .npages = slot->npages,
            .owner = (slot->taker != NULL ? slot->taker : slot->first)->request.owner,
            .out = slot->state == CMA__SLOT_TAKEN || slot->state == CMA__SLOT_RETURNING,
            .returning = slot->state == CMA__SLOT_RETURNING,
            .lent_npages = atom_peek(&slot->lent),
            .kept_npages = atom_peek(&slot->kept),
        };
    }
    promise_unlock(guarantees, state);
    return error;
}

bool cma__guarantee_block(const struct cma_guarantee *guarantee, cma_pfn_t from, cma_pfn_t *pfn)
{
    const struct cma_slots *slots = &guarantee->all->slots;
    uintptr_t state = promise_lock(guarantee->all);
    bool found = false;

    for (uint32_t i = 0; i < slots->nsorted && !found; i++) {
        const struct cma_slot *slot = &slots->slots[slots->slots[i].sorted];

        found =
            slot->taker == guarantee && slot->state == CMA__SLOT_TAKEN && slot->block_pfn >= from;
        *pfn = slot->block_pfn;
    }
    promise_unlock(guarantee->all, state);
    return found;
}

void cma__guarantee_forget(struct cma_guarantee *guarantee)
{
    uintptr_t state = promise_lock(guarantee->all);

    guarantee->live_worst = guarantee->live;
    guarantee->taken = 0;
    guarantee->copied_worst = 0;
    guarantee->dropped_worst = 0;
    guarantee->flushes_worst = 0;
    promise_unlock(guarantee->all, state);
}

/* --- check ----------------------------------------------------------------------------- */

static bool guarantee_wrong(struct cma_violation *violation, const char *what, cma_pfn_t pfn)
{
    *violation = (struct cma_violation){.what = what, .pfn = pfn};
    return false;
}

/* Counts the frames of a slot, and what is booked for them by zone. */
static bool guarantee_check_frames(const struct cma_frames *frames, const struct cma_slot *slot,
                                   uint32_t *promised, struct cma_violation *violation)
{
    uint32_t lent = 0, kept = 0;
    struct cma_frame_info info;

    for (uint32_t i = 0; i < slot->npages; i++) {
        if (cma_frame_info(frames, slot->pfn + i, &info) != 0 || !info.slot || info.idle ||
            info.pins != 0 || info.refs != 0) {
            return guarantee_wrong(violation, "a frame of a slot is none of its own",
                                   slot->pfn + i);
        }
        if (info.kind != CMA_KIND_MOVABLE && info.kind != CMA_KIND_DROPPABLE) {
            continue;
        }
        if (!cma__mover_is_sure(frames, info.mover)) {
            return guarantee_wrong(violation, "a slot is lent to a mover that may refuse",
                                   slot->pfn + i);
        }
        lent++;
        if (info.kind == CMA_KIND_MOVABLE) {
            kept++;
            promised[cma__promise_zone(frames, frames->movers[info.mover - 1]->paddr_last)]++;
        }
    }
    if (lent != slot->lent || kept != slot->kept) {
        return guarantee_wrong(violation, "a slot miscounts its lent or kept frames", slot->pfn);
    }
    if (kept > slot->max_moves) {
        return guarantee_wrong(violation, "a slot keeps more than its max_moves", slot->pfn);
    }
    if (slot->state != CMA__SLOT_LENT && lent != 0) {
        return guarantee_wrong(violation, "somebody's data is in a device's block", slot->pfn);
    }
    return true;
}

static bool guarantee_check_slots(const struct cma_slots *slots, uint32_t *promised,
                                  struct cma_violation *violation)
{
    uint32_t used = 0;

    for (uint32_t i = 0; i < slots->nslots; i++) {
        used += slots->slots[i].state != CMA__SLOT_UNUSED ? 1 : 0;
    }
    if (used != slots->nsorted) {
        return guarantee_wrong(violation, "slots are miscounted", CMA_PFN_NONE);
    }
    for (uint32_t i = 0; i < used; i++) {
        const struct cma_slot *slot = &slots->slots[slots->slots[i].sorted];
        const struct cma_slot *next =
            i + 1 < used ? &slots->slots[slots->slots[i + 1].sorted] : NULL;

        if (next != NULL && next->record - slot->record < slot->npages) {
            return guarantee_wrong(violation, "two slots have a frame in common", next->pfn);
        }
        if ((slot->state == CMA__SLOT_LENT) != (slot->taker == NULL)) {
            return guarantee_wrong(violation, "a slot's state and its taker differ", slot->pfn);
        }
        if (!guarantee_check_frames(slots->frames, slot, promised, violation)) {
            return false;
        }
    }
    return true;
}

/* Has the guarantee a slot for each block? */
static bool guarantee_check_one(const struct cma_guarantee *guarantee,
                                struct cma_violation *violation)
{
    const struct cma_guarantee_group *group = guarantee->request.group;
    const struct cma_slots *slots = &guarantee->all->slots;
    uint32_t live = 0, fit = 0;
    cma_pfn_t pfn;

    for (uint32_t i = 0; i < slots->nsorted; i++) {
        const struct cma_slot *slot = &slots->slots[slots->slots[i].sorted];

        live += slot->taker == guarantee ? 1 : 0;
        fit += cma__promise_fits(guarantee, slot, &pfn) ? 1 : 0;
    }
    if (live != guarantee->live || live > guarantee->request.count ||
        fit < guarantee->request.count) {
        return guarantee_wrong(violation, "a guarantee has fewer slots than blocks, or miscounts",
                               CMA_PFN_NONE);
    }
    if (group != NULL && live != 0 && group->open != guarantee) {
        return guarantee_wrong(violation, "two members of a group are open", CMA_PFN_NONE);
    }
    return true;
}

bool cma_guarantees_check(const struct cma_guarantees *guarantees, struct cma_violation *violation)
{
    const struct cma_frames *frames = guarantees->slots.frames;
    uint32_t promised[CMA_ZONES_MAX + 1] = {0};

    if (!guarantee_check_slots(&guarantees->slots, promised, violation)) {
        return false;
    }
    for (const struct cma_guarantee *one = guarantees->first; one != NULL; one = one->next) {
        if (!guarantee_check_one(one, violation)) {
            return false;
        }
    }
    for (uint32_t zone = 0; zone < frames->nzones; zone++) {
        if (promised[zone] != atom_load(&frames->zone_promised[zone])) {
            return guarantee_wrong(violation, "what is promised is not what slots keep",
                                   CMA_PFN_NONE);
        }
    }
    if (promised[frames->nzones] != 0 || !cma__promise_holds(frames)) {
        return guarantee_wrong(violation, "kept frames of slots have nowhere to go", CMA_PFN_NONE);
    }
    *violation = (struct cma_violation){.what = NULL, .pfn = CMA_PFN_NONE};
    return true;
}
