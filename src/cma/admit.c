/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * admit.c - a guarantee is admitted, or refused with what would be admitted instead
 *
 *     plan     places for all slots are found, before anything is moved for one of them: without
 *              copies, if there are enough such windows, then with ever more copies a window
 *     claim    each place is claimed like any buffer; this is where it may still fail: then all
 *              that was claimed goes back, and another plan is made around what was in the way
 *     open     each buffer becomes a slot: its frames are lent
 *
 * Windows of one length are planned from the lowest up, each as low as it goes: among windows of
 * one length and alignment no other choice finds more of them. So slots lie together at the low end
 * of their area, and what is left is in one piece.
 *
 * Members of a group share: a slot of another member serves, if a block fits into it. It is emptied
 * once, for what it may keep is the least that one of them allows.
 */
#include "../base/atomic.h"
#include "../base/bits.h"
#include "../base/guard.h"
#include "../base/mem.h"
#include "engine.h"
#include "promise.h"

/* Frames in the way that no plan saw, for they looked harmless: movers that refuse. */
#define ADMIT_AVOID 16u

struct admit {
    struct cma_guarantees *all;
    struct cma_guarantee *guarantee;
    struct cma_area *area;
    struct cma_area_request request; /* for one block */
    uint32_t room[CMA_MOVERS_MAX];   /* destinations up to each mover's limit */
    uint32_t kept[CMA_MOVERS_MAX];   /* each mover's frames in the places of a plan */
    uint32_t shared;                 /* slots of the group that serve */
    cma_pfn_t obstacle; /* the last frame in the way that a plan met, or CMA_PFN_NONE */
    bool obstacle_claimed;
    uint32_t navoid;
    cma_pfn_t avoid[ADMIT_AVOID];
    struct cma_refusal refusal;
};

/* --- plan ------------------------------------------------------------------------------ */

/* The highest frame to avoid in a window; CMA_PFN_NONE: none. */
static cma_pfn_t admit_avoided(const struct admit *admit, cma_pfn_t pfn, uint64_t npages)
{
    cma_pfn_t found = CMA_PFN_NONE;

    for (uint32_t i = 0; i < admit->navoid; i++) {
        if (admit->avoid[i] - pfn < npages && (found == CMA_PFN_NONE || admit->avoid[i] > found)) {
            found = admit->avoid[i];
        }
    }
    return found;
}

/* Of slots that others have, it changes at any time. */
static uint32_t admit_state(const struct cma_slot *slot)
{
    return atom_load(&slot->state);
}

/* The next entry that is in no use, from `from` on; nslots: there is none. */
static uint32_t admit_entry(const struct admit *admit, uint32_t from)
{
    const struct cma_slots *slots = &admit->all->slots;

    while (from < slots->nslots && admit_state(&slots->slots[from]) != CMA__SLOT_UNUSED) {
        from++;
    }
    return from;
}

/* What is free for kept data up to each mover's limit; `unlimited`: as if there were plenty. */
static void admit_look_at_room(struct admit *admit, bool unlimited)
{
    const struct cma_frames *frames = admit->area->frames;
    const struct cma_pages_ops *ops = admit->area->ops;

    for (uint32_t i = 0; i < frames->nmovers; i++) {
        cma_paddr_t limit = frames->movers[i]->paddr_last;
        uint64_t room = unlimited ? UINT32_MAX : 0;

        if (!unlimited && i > 0 && limit == frames->movers[i - 1]->paddr_last) {
            room = admit->room[i - 1];
        } else if (!unlimited && ops != NULL) {
            room = ops->room(ops->ctx, limit);
        }
        admit->room[i] = (uint32_t)bits_min(UINT32_MAX, room);
    }
}

/* Adds what a window keeps to what the plan's places keep, if there is room for it: 0. Otherwise by
 * how many frames there is too little. Limits nest: who reaches more can take what is lower. */
static uint32_t admit_add(struct admit *admit, cma_pfn_t pfn, uint32_t npages)
{
    const struct cma_frames *frames = admit->area->frames;
    uint32_t kept[CMA_MOVERS_MAX], excess = 0;

    (void)memcpy(kept, admit->kept, sizeof(kept));
    cma__window_movers(frames, admit->area->span, pfn, npages, kept);
    for (uint32_t a = 0; a < frames->nmovers; a++) {
        uint32_t need = 0;

        for (uint32_t b = 0; b < frames->nmovers; b++) {
            need += frames->movers[b]->paddr_last <= frames->movers[a]->paddr_last ? kept[b] : 0;
        }
        excess = (uint32_t)bits_max(excess, need > admit->room[a] ? need - admit->room[a] : 0);
    }
    if (excess == 0) {
        (void)memcpy(admit->kept, kept, sizeof(kept));
    }
    return excess;
}

/*
 * Windows from the lowest up with at most `kept` frames to copy each, and all of them no more than
 * there is room for. Returns how many, at most `count`. With `note` they are written into entries,
 * as planned slots.
 */
static uint32_t admit_walk(struct admit *admit, const struct cma_window_want *want, uint32_t count,
                           uint32_t kept, bool note)
{
    struct cma_slot *slots = admit->all->slots.slots;
    struct cma_frames *frames = admit->area->frames;
    uint32_t npages = (uint32_t)want->npages;
    uint32_t found = 0, entry = 0;
    cma_pfn_t cursor = 0, pfn;

    (void)memset(admit->kept, 0, sizeof(admit->kept));
    while (found < count && cma__window_next(want, cursor, &pfn)) {
        struct cma_window_cost cost;
        cma_pfn_t avoid = admit_avoided(admit, pfn, npages);
        uint32_t excess;

        if (avoid != CMA_PFN_NONE) {
            cursor = avoid + 1;
            continue;
        }
        cma__window_cost(frames, admit->area->span, pfn, npages, &cost);
        if (cost.obstacle != CMA_PFN_NONE) {
            admit->obstacle = cost.obstacle;
            admit->obstacle_claimed = cost.obstacle_claimed;
            cursor = cost.obstacle + 1;
            continue;
        }
        excess = cost.kept > kept ? cost.kept - kept : 0;
        if (excess == 0 && cost.kept != 0) {
            excess = admit_add(admit, pfn, npages);
        }
        if (excess != 0) {
            /* Each step leaves at most one kept frame behind. */
            cursor = pfn + excess;
            continue;
        }
        if (note) {
            entry = admit_entry(admit, entry);
            if (entry == admit->all->slots.nslots) {
                break;
            }
            slots[entry].pfn = pfn;
            slots[entry].span = admit->area->span;
            slots[entry].first = admit->guarantee;
            atom_poke(&slots[entry].npages, npages);
            atom_store(&slots[entry].state, CMA__SLOT_PLANNED);
        }
        found++;
        cursor = pfn + npages;
    }
    return found;
}

/* What was planned and not claimed is forgotten. */
static void admit_forget(struct admit *admit)
{
    struct cma_slots *slots = &admit->all->slots;

    for (uint32_t i = 0; i < slots->nslots; i++) {
        if (admit_state(&slots->slots[i]) == CMA__SLOT_PLANNED) {
            atom_store(&slots->slots[i].state, CMA__SLOT_UNUSED);
        }
    }
}

/* Entries that are in no use. */
static uint32_t admit_spare(const struct admit *admit)
{
    uint32_t spare = 0;

    for (uint32_t i = admit_entry(admit, 0); i < admit->all->slots.nslots;
         i = admit_entry(admit, i + 1)) {
        spare++;
    }
    return spare;
}

/* The request for one block of this length; false: it is malformed. */
static bool admit_want(const struct admit *admit, uint64_t npages, struct cma_window_want *want)
{
    struct cma_area_request request = admit->request;

    request.npages = npages;
    return cma__window_want(admit->area, &request, want) == 0;
}

/* How many windows of this length there are, of `count`, by the cheapest plan that has them all. */
static uint32_t admit_count(struct admit *admit, uint64_t npages, uint32_t count, bool note)
{
    struct cma_window_want want;
    uint32_t most = 0, kept = 0, found;

    if (npages > admit->area->npages || !admit_want(admit, npages, &want)) {
        return 0;
    }
    for (;;) {
        found = admit_walk(admit, &want, count, kept, false);
        if (found == count || kept >= npages) {
            break;
        }
        kept = (uint32_t)bits_min(npages, kept == 0 ? npages / 64 + 1 : (uint64_t)kept * 4);
        most = (uint32_t)bits_max(most, found);
    }
    if (found == count && note) {
        found = admit_walk(admit, &want, count, kept, true);
    }
    return (uint32_t)bits_max(most, found);
}

/* --- refuse ---------------------------------------------------------------------------- */

/* The longest block of low to high pages of which there are so many; 0: none. */
static uint64_t admit_longest(struct admit *admit, uint64_t low, uint64_t high, uint32_t count)
{
    uint64_t found = 0;

    while (low <= high) {
        uint64_t middle = low + (high - low) / 2;

        if (admit_count(admit, middle, count, false) == count) {
            found = middle;
            low = middle + 1;
        } else {
            high = middle - 1;
        }
    }
    return found;
}

/* What would be admitted: fewer blocks of this size, or as many smaller ones. */
static void admit_instead(struct admit *admit, struct cma_admission *why)
{
    const struct cma_guarantee_request *request = &admit->guarantee->request;
    uint32_t spare = admit_spare(admit), count = request->count - admit->shared;
    uint64_t high = bits_min(request->npages - 1, admit->area->npages);

    admit_look_at_room(admit, false);
    why->possible_count = admit->shared + admit_count(admit, request->npages,
                                                      (uint32_t)bits_min(count, spare), false);
    /* Of the same size class, then of each smaller one, which shares no slots with this one. */
    while (high != 0 && why->possible_npages == 0) {
        uint64_t low = cma__classes_least(admit->area, high);

        if (low != cma__classes_least(admit->area, request->npages)) {
            count = request->count;
        }
        why->possible_npages = count <= spare ? admit_longest(admit, low, high, count) : 0;
        high = low - 1;
    }
}

static int admit_refuse(struct cma_admission *why, int code, enum cma_reason reason)
{
    if (why != NULL) {
        *why = (struct cma_admission){
            .refusal = {.code = code, .reason = reason, .pfn = CMA_PFN_NONE}};
    }
    return code;
}

/* --- claim ----------------------------------------------------------------------------- */

static int admit_claim(struct admit *admit, struct cma_slot *slot)
{
    const struct cma_guarantee_request *request = &admit->guarantee->request;
    uint32_t shift = admit->area->frames->port->page_shift;
    struct cma_area_request area = {
        .npages = slot->npages,
        .paddr_first = slot->pfn << shift,
        .paddr_last = ((slot->pfn + (slot->npages - 1)) << shift) + ((UINT64_C(1) << shift) - 1),
        .owner = request->owner,
    };
    cma_pfn_t pfn;

    return cma_area_alloc(admit->area, &area, &pfn, &admit->refusal);
}

/* What was claimed goes back. */
static void admit_unclaim(struct admit *admit)
{
    struct cma_slots *slots = &admit->all->slots;

    for (uint32_t i = 0; i < slots->nslots; i++) {
        struct cma_slot *slot = &slots->slots[i];

        if (admit_state(slot) == CMA__SLOT_CLAIMED) {
            int put = cma_area_release(admit->area, slot->pfn, slot->npages,
                                       admit->guarantee->request.owner);

            cma__assert(put == 0);
            (void)put;
            atom_store(&slot->state, CMA__SLOT_UNUSED);
        }
    }
}

/* Claims all planned places, or none. Returns 0 or as cma_area_alloc. */
static int admit_claim_all(struct admit *admit)
{
    struct cma_slots *slots = &admit->all->slots;
    int error = CMA_OK;

    for (uint32_t i = 0; i < slots->nslots && error == CMA_OK; i++) {
        if (admit_state(&slots->slots[i]) == CMA__SLOT_PLANNED) {
            error = admit_claim(admit, &slots->slots[i]);
            if (error == CMA_OK) {
                atom_store(&slots->slots[i].state, CMA__SLOT_CLAIMED);
            }
        }
    }
    if (error != CMA_OK) {
        admit_unclaim(admit);
    }
    return error;
}

/* Finds places and claims them. Returns 0 or an error; admit->refusal tells why. */
static int admit_place(struct admit *admit, uint32_t count)
{
    struct cma_area *area = admit->area;
    uint32_t rounds = 0;
    int error = CMA_OK, more = 1;

    if (count > admit_spare(admit)) {
        admit->refusal.reason = CMA_REASON_NO_MEMORY;
        return CMA_ENOMEM;
    }
    while (more == 1 && rounds++ < CMA_CLAIM_ROUNDS) {
        uint32_t event = cma_frames_event(area->frames);
        uint32_t generation = cma__claims_seen(area);

        admit_look_at_room(admit, false);
        if (admit_count(admit, admit->request.npages, count, true) != count) {
            /* A good plan can be short of places when it is written down: somebody took them. */
            admit_forget(admit);
            more = cma__claims_wait(area, event, generation);
            continue;
        }
        error = admit_claim_all(admit);
        admit_forget(admit);
        if (error == CMA_OK || admit->refusal.pfn == CMA_PFN_NONE || admit->navoid == ADMIT_AVOID) {
            return error;
        }
        /* Not seen by the plan, or in the way only since: around it. */
        admit->avoid[admit->navoid++] = admit->refusal.pfn;
    }
    if (error == CMA_OK && more != 0) {
        admit->refusal.reason = CMA_REASON_CLAIMED;
        return CMA_EAGAIN;
    }
    return error != CMA_OK ? error : CMA_ENOMEM;
}

/* What is claimed by others, or promised to them, is in the way. */
static enum cma_reason admit_claimed(const struct admit *admit, cma_pfn_t pfn)
{
    struct cma_frame_info info;

    return cma_frame_info(admit->area->frames, pfn, &info) == 0 && info.slot ? CMA_REASON_PROMISED
                                                                             : CMA_REASON_CLAIMED;
}

/* Why no plan was found: what the area says of one block, or, if one could be had, of all. */
static int admit_explain(struct admit *admit, uint32_t count)
{
    const struct cma_guarantee_request *request = &admit->guarantee->request;
    struct cma_area_request area = admit->request;
    cma_pfn_t pfn;
    int error;

    admit->obstacle = CMA_PFN_NONE;
    if (admit_count(admit, request->npages, 1, false) == 0) {
        area.flags |= CMA_CLAIM_NOWAIT;
        error = cma_area_alloc(admit->area, &area, &pfn, &admit->refusal);
        if (error != CMA_OK && admit->refusal.reason == CMA_REASON_CLAIMED) {
            admit->refusal.reason = admit_claimed(admit, admit->refusal.pfn);
        }
        if (error != CMA_OK) {
            return error;
        }
        error = cma_area_release(admit->area, pfn, request->npages, request->owner);
        cma__assert(error == CMA_OK);
    }
    admit->refusal.pfn = admit->obstacle;
    admit_look_at_room(admit, true);
    if (admit_count(admit, request->npages, count, false) == count) {
        admit->refusal.reason = CMA_REASON_NO_ROOM;
    } else if (admit->obstacle == CMA_PFN_NONE) {
        admit->refusal.reason = CMA_REASON_TOO_LARGE;
    } else if (!admit->obstacle_claimed) {
        admit->refusal.reason = CMA_REASON_HELD;
        return CMA_ENOSPC;
    } else {
        admit->refusal.reason = admit_claimed(admit, admit->obstacle);
    }
    return CMA_ENOMEM;
}

/* --- groups ---------------------------------------------------------------------------- */

/* Is the slot the guarantee's, or its group's? */
static bool admit_is_own(const struct cma_guarantee *guarantee, const struct cma_slot *slot)
{
    struct cma_guarantee_group *group = guarantee->request.group;

    return slot->first == guarantee || (group != NULL && slot->first->request.group == group);
}

/* Slots of the group that serve the new member: at most its count. */
static uint32_t admit_shared(const struct admit *admit)
{
    const struct cma_slots *slots = &admit->all->slots;
    uint32_t count = admit->guarantee->request.count, shared = 0;
    cma_pfn_t pfn;

    for (uint32_t i = 0; i < slots->nsorted && shared < count; i++) {
        shared += cma__promise_fits(admit->guarantee, &slots->slots[slots->slots[i].sorted], &pfn);
    }
    return shared;
}

/* A slot that is lent is made nobody's to borrow from; false: a device has it. */
static bool admit_stop_lending(struct cma_guarantees *all, struct cma_slot *slot)
{
    uintptr_t state = promise_lock(all);
    bool lent = slot->state == CMA__SLOT_LENT;

    if (lent) {
        atom_store(&slot->state, CMA__SLOT_TAKING);
    }
    promise_unlock(all, state);
    if (lent) {
        cma__promise_unlend(all, slot);
    }
    return lent;
}

static void admit_set_max_moves(struct cma_slots *slots, const struct cma_guarantee *member,
                                uint32_t max_moves)
{
    for (uint32_t i = 0; i < slots->nsorted; i++) {
        struct cma_slot *slot = &slots->slots[slots->slots[i].sorted];

        if (admit_is_own(member, slot)) {
            atom_poke(&slot->max_moves, max_moves);
        }
    }
}

/* A member allows fewer copies than those before it: what the group's slots keep now goes. Returns
 * 0, or CMA_EAGAIN: a frame is just being moved, and the port can't wait; as many may be kept as
 * before then. */
static int admit_lower(struct admit *admit)
{
    const struct cma_guarantee_request *request = &admit->guarantee->request;
    struct cma_slots *slots = &admit->all->slots;
    int error = CMA_OK;

    if (request->group == NULL || request->group->nmembers == 0 ||
        request->group->max_moves <= request->max_moves) {
        return CMA_OK;
    }
    admit_set_max_moves(slots, admit->guarantee, request->max_moves);
    for (uint32_t i = 0; i < slots->nsorted && error == CMA_OK; i++) {
        struct cma_slot *slot = &slots->slots[slots->slots[i].sorted];
        struct cma_guarantee_work work = {0};

        if (admit_is_own(admit->guarantee, slot) && admit_stop_lending(admit->all, slot)) {
            error = cma__promise_empty(admit->all, slot, &work);
            cma__promise_lend(admit->all, slot);
        }
    }
    if (error != CMA_OK) {
        admit_set_max_moves(slots, admit->guarantee, request->group->max_moves);
    }
    return error;
}

/* As of now nothing moves into the area to make room elsewhere: what it lends is none. */
static void admit_begin(struct admit *admit)
{
    uintptr_t state = guard_lock(admit->area->frames->port, &admit->area->lock);

    (void)atom_add(&admit->area->span->emptying, 1);
    guard_unlock(admit->area->frames->port, &admit->area->lock, state);
}

static void admit_end(struct admit *admit)
{
    uintptr_t state = guard_lock(admit->area->frames->port, &admit->area->lock);

    (void)atom_sub(&admit->area->span->emptying, 1);
    guard_unlock(admit->area->frames->port, &admit->area->lock, state);
}

/* --- open ------------------------------------------------------------------------------ */

/* Claimed places become slots, and the guarantee is in force. */
static void admit_open(struct admit *admit)
{
    struct cma_guarantee *guarantee = admit->guarantee;
    struct cma_guarantee_group *group = guarantee->request.group;
    struct cma_slots *slots = &admit->all->slots;
    uint32_t max_moves = guarantee->request.max_moves;

    if (group != NULL) {
        if (group->nmembers != 0) {
            max_moves = (uint32_t)bits_min(max_moves, group->max_moves);
        }
        group->max_moves = max_moves;
        group->area = admit->area;
        group->nmembers++;
    }
    for (uint32_t i = 0; i < slots->nslots; i++) {
        struct cma_slot *slot = &slots->slots[i];

        if (admit_state(slot) == CMA__SLOT_CLAIMED) {
            atom_poke(&slot->max_moves, max_moves);
            cma__slot_open(slots, slot, guarantee->request.owner);
            cma__promise_count(admit->area, slot->npages, 0 - (uint64_t)slot->npages);
            cma__promise_lend(admit->all, slot);
        }
    }
    guarantee->next = admit->all->first;
    admit->all->first = guarantee;
    guarantee->all = admit->all;
}

static int admit_check(const struct cma_guarantees *all, const struct cma_area *area,
                       const struct cma_guarantee_request *request,
                       const struct cma_area_request *block, enum cma_reason *reason)
{
    struct cma_window_want want;
    int error = cma__window_want(area, block, &want);
    cma_pfn_t pfn;

    *reason = CMA_REASON_ARGUMENT;
    if (request->count == 0 || error == CMA_EINVAL) {
        return CMA_EINVAL;
    }
    if (area->frames != all->slots.frames || area->frames->slots != &all->slots) {
        return CMA_EBADF;
    }
    if (atom_load(&area->active) == 0) {
        *reason = CMA_REASON_INACTIVE;
        return CMA_EBADF;
    }
    if (error != CMA_OK || block->npages > area->npages || block->npages > CMA__CLAIM_NPAGES_MAX) {
        *reason = CMA_REASON_TOO_LARGE;
        return CMA_ENOMEM;
    }
    *reason = CMA_REASON_UNREACHABLE;
    return cma__window_next(&want, 0, &pfn) ? CMA_OK : CMA_ERANGE;
}

static int admit_all(struct admit *admit, struct cma_admission *why)
{
    const struct cma_guarantee_request *request = &admit->guarantee->request;
    uint32_t count;
    int error;

    admit->shared = admit_shared(admit);
    count = request->count - admit->shared;
    error = admit_place(admit, count);
    if (error == CMA_OK) {
        error = admit_lower(admit);
        if (error == CMA_OK) {
            admit_open(admit);
            return CMA_OK;
        }
        admit_unclaim(admit);
        admit->refusal.reason = CMA_REASON_MOVER;
    }
    if (admit->refusal.reason == CMA_REASON_NONE) {
        error = admit_explain(admit, count);
    }
    (void)admit_refuse(why, error, admit->refusal.reason);
    if (why != NULL) {
        admit->refusal.code = error;
        why->refusal = admit->refusal;
        admit_instead(admit, why);
    }
    return error;
}

int cma_guarantee_admit(struct cma_guarantees *guarantees, struct cma_guarantee *guarantee,
                        struct cma_area *area, const struct cma_guarantee_request *request,
                        struct cma_admission *why)
{
    struct admit admit = {
        .all = guarantees,
        .guarantee = guarantee,
        .area = area,
        .request = promise_block(request),
        .obstacle = CMA_PFN_NONE,
        .refusal = {.pfn = CMA_PFN_NONE},
    };
    enum cma_reason reason;
    int error = admit_check(guarantees, area, request, &admit.request, &reason);

    if (error != CMA_OK) {
        (void)admit_refuse(why, error, reason);
    }
    if (error == CMA_EINVAL || error == CMA_EBADF) {
        return error;
    }
    if (cma__promise_enter(guarantees) != CMA_OK) {
        return admit_refuse(why, CMA_EAGAIN, CMA_REASON_CLAIMED);
    }
    if (request->group != NULL && request->group->nmembers != 0 && request->group->area != area) {
        cma__promise_exit(guarantees);
        return admit_refuse(why, CMA_EINVAL, CMA_REASON_ARGUMENT);
    }
    *guarantee = (struct cma_guarantee){.area = area, .request = *request};
    guarantee->request.max_moves = (uint32_t)bits_min(request->max_moves, request->npages);
    admit_begin(&admit);
    if (error == CMA_OK) {
        error = admit_all(&admit, why);
    } else if (why != NULL) {
        admit_instead(&admit, why);
    }
    admit_end(&admit);
    if (error != CMA_OK) {
        *guarantee = (struct cma_guarantee){.area = NULL};
    }
    cma__promise_exit(guarantees);
    return error;
}

/* --- revoke ---------------------------------------------------------------------------- */

static void admit_close(struct cma_guarantees *all, struct cma_area *area, struct cma_slot *slot)
{
    bool lent = admit_stop_lending(all, slot);

    cma__assert(lent);
    (void)lent;
    cma__slot_close(&all->slots, slot);
    cma__promise_count(area, 0 - (uint64_t)slot->npages, 0);
    atom_store(&slot->state, CMA__SLOT_UNUSED);
    cma__area_changed(area);
    cma__area_lend_again(area, slot->pfn, slot->npages);
}

/* Another member of the group, to whom slots go; NULL: it was the last. */
static struct cma_guarantee *admit_heir(const struct cma_guarantee *guarantee)
{
    struct cma_guarantee *other = guarantee->all->first;

    while (other != NULL && (other == guarantee || guarantee->request.group == NULL ||
                             other->request.group != guarantee->request.group)) {
        other = other->next;
    }
    return other;
}

/* Those who stay in a group may allow more copies than who left it. */
static void admit_raise(struct cma_guarantees *all, const struct cma_guarantee *heir)
{
    struct cma_guarantee_group *group = heir->request.group;
    uint32_t max_moves = UINT32_MAX;

    for (const struct cma_guarantee *one = all->first; one != NULL; one = one->next) {
        if (one->request.group == group) {
            max_moves = (uint32_t)bits_min(max_moves, one->request.max_moves);
        }
    }
    group->max_moves = max_moves;
    admit_set_max_moves(&all->slots, heir, max_moves);
}

/* Is nobody moving a frame out of its slots, or can he be waited for? */
static bool admit_may_close(const struct cma_guarantee *guarantee)
{
    const struct cma_slots *slots = &guarantee->all->slots;
    struct cma_frame_info info;

    for (uint32_t i = 0; slots->frames->port->wait == NULL && i < slots->nsorted; i++) {
        const struct cma_slot *slot = &slots->slots[slots->slots[i].sorted];

        for (uint32_t j = 0; admit_is_own(guarantee, slot) && j < slot->npages; j++) {
            if (cma_frame_info(slots->frames, slot->pfn + j, &info) == 0 && info.frozen) {
                return false;
            }
        }
    }
    return true;
}

/* No more blocks of it are taken. Returns 0, or CMA_EBUSY: some are out. */
static int admit_retire(struct cma_guarantee *guarantee)
{
    struct cma_guarantees *all = guarantee->all;
    uintptr_t state = promise_lock(all);
    struct cma_guarantee **link = &all->first;
    int error = guarantee->live == 0 ? CMA_OK : CMA_EBUSY;

    if (error == CMA_OK) {
        while (*link != guarantee) {
            link = &(*link)->next;
        }
        *link = guarantee->next;
    }
    promise_unlock(all, state);
    return error;
}

int cma_guarantee_revoke(struct cma_guarantee *guarantee)
{
    struct cma_guarantees *all = guarantee->all;
    struct cma_guarantee *heir;
    struct cma_slots *slots;
    uintptr_t state;
    int error;

    if (all == NULL) {
        return CMA_EBADF;
    }
    error = cma__promise_enter(all);
    if (error == CMA_OK) {
        error = admit_may_close(guarantee) ? admit_retire(guarantee) : CMA_EAGAIN;
        if (error != CMA_OK) {
            cma__promise_exit(all);
        }
    }
    if (error != CMA_OK) {
        return error;
    }
    heir = admit_heir(guarantee);
    slots = &all->slots;
    for (uint32_t i = 0; i < slots->nslots; i++) {
        struct cma_slot *slot = &slots->slots[i];

        if (admit_state(slot) == CMA__SLOT_UNUSED || !admit_is_own(guarantee, slot)) {
            continue;
        }
        if (heir == NULL) {
            admit_close(all, guarantee->area, slot);
        } else if (slot->first == guarantee) {
            state = promise_lock(all);
            slot->first = heir;
            promise_unlock(all, state);
        }
    }
    if (guarantee->request.group != NULL) {
        guarantee->request.group->nmembers--;
    }
    if (heir != NULL) {
        admit_raise(all, heir);
    }
    *guarantee = (struct cma_guarantee){.area = NULL};
    cma__promise_exit(all);
    return CMA_OK;
}
