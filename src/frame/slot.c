/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slot.c - frames that a device was promised, lent meanwhile
 *
 *      idle bit 0, word 0                 idle bit 0, held, isolated
 *      free in its slot   -- borrow -->   lent: droppable, or kept and booked
 *                         <-- free ----
 *                         <-- moved out --  (by a pin, a reference, or who wants to write)
 *                         <-- discarded, copied --  by who takes the slot's block
 *
 * A slot is a window that a claim has isolated and that was never handed over. So whoever looks for
 * free frames or for windows passes it by as it does any other claim's, and a frame that is freed
 * goes back to the slot by itself. This file adds the way in: single frames, found through the
 * slots, for data that can always leave. Each change of a frame is made under its lane's lock, and
 * looks at the slot's state there; who takes a slot changes the state first and then goes once
 * through these locks (cma__slot_settle), so after that nobody comes in.
 *
 * Booking. Data that must be copied may be in a slot only if there is a frame for it elsewhere: for
 * each such frame one of ordinary memory is promised (zone_promised), under the lock of ordinary
 * memory, BEFORE the frame counts as kept, and the promise is dropped AFTER it does no more. Each
 * of these two steps alone leaves more promised than is needed. Limits of movers are rounded down
 * to whole zones.
 *
 * Which slot a frame lies in is found by a binary search without a lock, for it is asked under all
 * sorts of locks: `turn` is odd while the order is being changed, and who saw it change looks
 * again. Entries are never freed memory, and what was found is looked at again under the lane's
 * lock.
 */
#include "slot.h"

#include "../base/bits.h"
#include "../base/guard.h"
#include "account.h"
#include "runs.h"
#include "word.h"

/* --- promises of ordinary memory ----------------------------------------------------------- */

uint32_t cma__promise_zone(const struct cma_frames *frames, cma_paddr_t paddr_last)
{
    for (uint32_t zone = frames->nzones; zone-- > 0;) {
        if (frames->zones[zone].last <= paddr_last) {
            return zone;
        }
    }
    return frames->nzones;
}

/* Frames promised up to the end of each zone, added up: below 0 for a moment, when a frame was
 * freed while its destination was being taken. */
static int64_t promise_of(const struct cma_frames *frames, uint32_t zone)
{
    return (int32_t)atom_load(&frames->zone_promised[zone]);
}

uint64_t cma__promise_spare(const struct cma_frames *frames, uint32_t zone, uint32_t end)
{
    uint64_t spare = UINT64_MAX;
    int64_t balance = 0;

    for (uint32_t i = 0; i < end; i++) {
        balance += (int64_t)frames->zone_idle[i] - promise_of(frames, i);
        if (i >= zone) {
            spare = bits_min(spare, balance > 0 ? (uint64_t)balance : 0);
        }
    }
    return spare;
}

bool cma__promise_holds(const struct cma_frames *frames)
{
    int64_t balance = 0;

    for (uint32_t i = 0; i < frames->nzones; i++) {
        balance += (int64_t)frames->zone_idle[i] - promise_of(frames, i);
        if (balance < 0) {
            return false;
        }
    }
    return true;
}

bool cma__promise_book(struct cma_frames *frames, uint32_t zone)
{
    uintptr_t state = guard_lock(frames->port, &frames->lock);
    bool booked = cma__promise_spare(frames, zone, frames->nzones) != 0;

    if (booked) {
        (void)atom_add(&frames->zone_promised[zone], 1);
    }
    guard_unlock(frames->port, &frames->lock, state);
    return booked;
}

/* --- which slot ---------------------------------------------------------------------------- */

static bool slot_covers(const struct cma_slot *slot, uint32_t record)
{
    uint32_t number = record - atom_peek(&slot->record);

    return number < atom_peek(&slot->npages) && number >= atom_peek(&slot->gone);
}

static struct cma_slot *slot_search(const struct cma_slots *slots, uint32_t record)
{
    uint32_t low = 0, high = atom_peek(&slots->nsorted);

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (atom_peek(&slots->slots[atom_peek(&slots->slots[middle].sorted)].record) <= record) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low != 0) {
        struct cma_slot *slot = &slots->slots[atom_peek(&slots->slots[low - 1].sorted)];

        if (slot_covers(slot, record)) {
            return slot;
        }
    }
    return NULL;
}

static struct cma_slot *slots_find(const struct cma_slots *slots, uint32_t record)
{
    struct cma_slot *slot;
    uint32_t turn;

    do {
        turn = atom_load_ordered(&slots->turn);
        slot = slot_search(slots, record);
    } while ((turn & 1) != 0 || atom_load_ordered(&slots->turn) != turn);
    return slot;
}

/* The span of an area where a slot begins, and its first frame: by its record, which may be read
 * while the entry is given to somebody else. */
static const struct cma_span *slot_place(const struct cma_frames *frames,
                                         const struct cma_slot *slot, cma_pfn_t *first)
{
    uint32_t record = atom_peek(&slot->record);
    const struct cma_span *span = cma__span_of_record(frames, record);

    *first = span->pfn + (record - span->record);
    return span;
}

/* Enters a slot into the order, or takes it out. */
static void slots_sort(struct cma_slots *slots, const struct cma_slot *slot, bool there)
{
    const struct cma_port *port = slots->frames->port;
    uintptr_t state = guard_lock(port, &slots->lock);
    uint32_t n = slots->nsorted;
    uint32_t number = (uint32_t)(slot - slots->slots);
    struct cma_slot *order = slots->slots;
    uint32_t at = 0;

    while (at < n && order[order[at].sorted].record < slot->record) {
        at++;
    }
    (void)atom_add(&slots->turn, 1);
    if (there) {
        for (uint32_t i = n; i > at; i--) {
            atom_poke(&order[i].sorted, order[i - 1].sorted);
        }
        atom_poke(&order[at].sorted, number);
    } else {
        cma__assert(at < n && order[at].sorted == number);
        for (uint32_t i = at; i + 1 < n; i++) {
            atom_poke(&order[i].sorted, order[i + 1].sorted);
        }
    }
    atom_store(&slots->nsorted, there ? n + 1 : n - 1);
    (void)atom_add(&slots->turn, 1);
    guard_unlock(port, &slots->lock, state);
}

/* --- borrow and let go --------------------------------------------------------------------- */

/* The zone that data of this mover is booked in. */
static uint32_t slot_zone(const struct cma_frames *frames, uint32_t mover)
{
    return cma__promise_zone(frames, frames->movers[mover - 1]->paddr_last);
}

/* One more frame of the slot may be kept data of this mover. */
static bool slot_book(struct cma_slots *slots, struct cma_slot *slot, uint32_t mover)
{
    struct cma_frames *frames = slots->frames;
    uint32_t zone = slot_zone(frames, mover);

    if (frames->areas_only || zone == frames->nzones) {
        return false;
    }
    if (atom_add(&slot->kept, 1) < atom_peek(&slot->max_moves) && cma__promise_book(frames, zone)) {
        return true;
    }
    (void)atom_sub(&slot->kept, 1);
    return false;
}

static void slot_unbook(struct cma_slots *slots, struct cma_slot *slot, uint32_t mover)
{
    (void)atom_sub(&slot->kept, 1);
    promise_drop(slots->frames, slot_zone(slots->frames, mover), 1);
}

/* Is the slot of this frame still the one that was found, and do its frames come and go? Locked. */
static bool slot_is_lent(const struct cma_slot *slot, uint32_t record)
{
    return atom_load(&slot->state) == CMA__SLOT_LENT && slot_covers(slot, record);
}

/* The free frame of a slot that lends becomes the holder's. Locked. */
static int slot_enter(struct cma_slots *slots, struct cma_slot *slot, struct cma_span *span,
                      cma_pfn_t pfn, const struct cma_holder *holder)
{
    struct cma_frames *frames = slots->frames;
    const struct cma_frame_record *record = span_record(frames, span, pfn);

    if (!slot_is_lent(slot, (uint32_t)(record - frames->records))) {
        return CMA_EAGAIN;
    }
    if (atom_peek(&record->word) != 0) {
        return CMA_EBADF;
    }
    (void)atom_add(&slot->lent, 1);
    cma__frame_enter(frames, span, pfn, word_of(holder) | WORD_HEAD | WORD_ISOLATED,
                     holder->cookie);
    return CMA_OK;
}

static int slots_publish(struct cma_slots *slots, struct cma_span *span, cma_pfn_t pfn,
                         const struct cma_holder *holder)
{
    struct cma_slot *slot = cma__slot_find(slots->frames, span, pfn);

    if (slot == NULL) {
        return CMA_EAGAIN;
    }
    return cma__mover_is_sure(slots->frames, holder->mover) && holder->kind == CMA_KIND_DROPPABLE
               ? slot_enter(slots, slot, span, pfn, holder)
               : CMA_EINVAL;
}

/* As slot_enter; kept data is booked first. No lock held. */
static int slot_lend(struct cma_slots *slots, struct cma_slot *slot, cma_pfn_t pfn,
                     const struct cma_holder *holder)
{
    struct cma_frames *frames = slots->frames;
    struct cma_span *span = cma__span_of(frames, pfn);
    bool kept = holder->kind == CMA_KIND_MOVABLE;
    uintptr_t state;
    int error;

    if (kept && !slot_book(slots, slot, holder->mover)) {
        return CMA_ENOMEM;
    }
    state = cma__span_lock(frames, span);
    error = slot_enter(slots, slot, span, pfn, holder);
    cma__span_unlock(frames, span, state);
    if (error != CMA_OK && kept) {
        slot_unbook(slots, slot, holder->mover);
    }
    return error;
}

/* A free frame of the slot from number `from` on, before `end`; `end`: there is none. */
static uint32_t slot_look(const struct cma_slots *slots, const struct cma_slot *slot, uint32_t from,
                          uint32_t end)
{
    const struct cma_frame_record *records = &slots->frames->records[atom_peek(&slot->record)];

    while (from < end && atom_peek(&records[from].word) != 0) {
        from++;
    }
    return from;
}

/* Any free frame of the slot in [first, last]. */
static bool slot_borrow(struct cma_slots *slots, struct cma_slot *slot,
                        const struct cma_run_want *want, const struct cma_holder *holder,
                        cma_pfn_t *pfn)
{
    uint32_t npages = atom_peek(&slot->npages);
    uint32_t low, high, at;
    cma_pfn_t first;

    if (slot_place(slots->frames, slot, &first)->lend_class == CMA_LEND_NONE ||
        want->first > first + (npages - 1) || want->last < first) {
        return false;
    }
    low = want->first > first ? (uint32_t)(want->first - first) : 0;
    high = (uint32_t)bits_min(npages - 1, want->last - first) + 1;
    at = (uint32_t)bits_max(atom_peek(&slot->hint), low);
    /* Twice: what was freed while somebody else set the hint lies before it. */
    for (uint32_t round = 0; round < 2; round++) {
        for (at = slot_look(slots, slot, at, high); at < high;
             at = slot_look(slots, slot, at + 1, high)) {
            int error = slot_lend(slots, slot, first + at, holder);

            if (error == CMA_OK) {
                atom_poke(&slot->hint, at + 1);
                *pfn = first + at;
                return true;
            }
            if (error != CMA_EBADF) {
                return false;
            }
        }
        at = low;
    }
    return false;
}

static int slots_borrow(struct cma_slots *slots, const struct cma_run_want *want,
                        const struct cma_holder *holder, cma_pfn_t *pfn)
{
    uint32_t n = atom_load(&slots->nsorted);
    uint32_t at = atom_peek(&slots->next);

    if (!cma__mover_is_sure(slots->frames, holder->mover)) {
        return CMA_ENOMEM;
    }
    for (uint32_t i = 0; i < n; i++, at++) {
        struct cma_slot *slot;

        at = at < n ? at : 0;
        slot = &slots->slots[atom_peek(&slots->slots[at].sorted)];
        if (atom_load(&slot->state) == CMA__SLOT_LENT &&
            atom_peek(&slot->lent) < atom_peek(&slot->npages) &&
            (holder->kind != CMA_KIND_MOVABLE ||
             atom_peek(&slot->kept) < atom_peek(&slot->max_moves)) &&
            slot_borrow(slots, slot, want, holder, pfn)) {
            atom_poke(&slots->next, at);
            return CMA_OK;
        }
    }
    return CMA_ENOMEM;
}

/* One frame less is lent. */
static void slot_return(const struct cma_slots *slots, struct cma_slot *slot, cma_pfn_t pfn)
{
    (void)atom_sub(&slot->lent, 1);
    /* The next one to borrow takes this one, and needn't look for it. */
    atom_poke(&slot->hint, slot_number(slot, cma__span_of(slots->frames, pfn), pfn));
}

static bool slots_left(struct cma_slots *slots, struct cma_span *span, cma_pfn_t pfn, uint32_t word)
{
    struct cma_slot *slot = cma__slot_find(slots->frames, span, pfn);

    if (slot == NULL) {
        return false;
    }
    if (word_kind(word) == CMA_KIND_MOVABLE) {
        slot_unbook(slots, slot, word_mover(word));
    }
    slot_return(slots, slot, pfn);
    return atom_load(&slot->state) == CMA__SLOT_LENT;
}

/* --- what a holder does with its frame ----------------------------------------------------- */

/* Changes the kind of a frame whose word is that of `before`. Returns 0, or CMA_EAGAIN: it is being
 * moved, taken, or has changed. */
static int slot_change_kind(struct cma_slots *slots, const struct cma_slot *slot, cma_pfn_t pfn,
                            uint32_t before, enum cma_kind kind)
{
    struct cma_frames *frames = slots->frames;
    struct cma_span *span = cma__span_of(frames, pfn);
    struct cma_frame_record *record = span_record(frames, span, pfn);
    uint32_t after = (before & ~WORD_KIND) | (uint32_t)kind;
    uintptr_t state = cma__span_lock(frames, span);
    bool done = slot_is_lent(slot, (uint32_t)(record - frames->records)) &&
                atom_swap_if(&record->word, &before, after);

    if (done) {
        cma__account_change(frames, span, pfn, before, after);
    }
    cma__span_unlock(frames, span, state);
    return done ? CMA_OK : CMA_EAGAIN;
}

static int slots_set_kind(struct cma_slots *slots, struct cma_span *span, cma_pfn_t pfn,
                          enum cma_kind kind)
{
    const struct cma_frames *frames = slots->frames;
    struct cma_slot *slot = cma__slot_find(frames, span, pfn);
    uint32_t word = atom_load(&span_record(frames, span, pfn)->word);
    bool keep = kind == CMA_KIND_MOVABLE;
    int error;

    if (slot == NULL) {
        return CMA__SLOT_NONE;
    }
    if (!word_is_lendable(word)) {
        return CMA_EBADF;
    }
    if ((word & WORD_FROZEN) != 0) {
        return CMA_EAGAIN;
    }
    if (word_kind(word) == kind) {
        return CMA_OK;
    }
    if (!keep && frame_mover(frames, word)->discard == NULL) {
        return CMA_EINVAL;
    }
    if (keep && !slot_book(slots, slot, word_mover(word))) {
        return CMA_EBUSY;
    }
    error = slot_change_kind(slots, slot, pfn, word, kind);
    if (keep ? error != CMA_OK : error == CMA_OK) {
        slot_unbook(slots, slot, word_mover(word));
    }
    return error;
}

/*
 * cma__migrate_begin for a frame that is booked. Frozen first: if the destination came first, the
 * holder could let go of the frame meanwhile, and with it of a booking that is in our hand already;
 * somebody else would be booked for what we have, and his device would find nothing until we put it
 * back.
 */
static int slot_begin(struct cma_frames *frames, struct cma_span *span, cma_pfn_t from,
                      const struct cma_slot *slot, uint32_t what, cma_pfn_t *to)
{
    struct cma_frame_record *record = span_record(frames, span, from);
    struct cma_destination want = {
        .from = from, .flags = CMA_DESTINATION_PROMISED | what, .npages = 1};
    const struct cma_mover *mover;
    uint32_t word, cookie;
    int error = cma__frame_freeze(record, true, &word);

    if (error != CMA_OK) {
        return error;
    }
    mover = frame_mover(frames, word);
    want.paddr_last = mover->paddr_last;
    error = CMA_EAGAIN;
    if (word_kind(word) == CMA_KIND_MOVABLE && cma__slot_find(frames, span, from) == slot &&
        frames->ops->destination(frames->ops->ctx, &want, to) == 1) {
        cookie = atom_peek(&record->cookie);
        error = mover->freeze(mover->ctx, from, cookie);
        if (error == CMA_OK) {
            word = (word & (WORD_KIND | WORD_MOVER)) | WORD_HEAD | WORD_FROZEN;
            word |= (what & CMA_DESTINATION_PINNED) != 0 ? WORD_PIN : 0;
            cma__migrate_publish(frames, *to, word, cookie);
            return CMA_OK;
        }
        frames->ops->destination_put(frames->ops->ctx, *to, 1);
    }
    cma__frame_thaw(record);
    cma__frames_signal(frames);
    return error;
}

static int slots_move_out(struct cma_slots *slots, struct cma_span *span, cma_pfn_t pfn,
                          uint32_t flags, cma_pfn_t *to)
{
    struct cma_frames *frames = slots->frames;
    struct cma_slot *slot = cma__slot_find(frames, span, pfn);
    const struct cma_pages_ops *ops = frames->ops;
    cma_pfn_t moved;
    uint32_t word;
    bool booked;
    int error;

    if (slot == NULL) {
        return CMA__SLOT_NONE;
    }
    word = atom_load(&span_record(frames, span, pfn)->word);
    booked = word_kind(word) == CMA_KIND_MOVABLE;
    error = booked ? slot_begin(frames, span, pfn, slot, flags, &moved)
                   : cma__migrate_begin(frames, span, pfn, flags | CMA__MIGRATE_ISOLATED, &moved);
    if (error != CMA_OK) {
        return error;
    }
    /* As long as the frame is frozen, its slot is one: looked at again, and counted, before that
     * ends. What was booked for the frame went with its destination, if that was for it. */
    word = atom_load(&span_record(frames, span, pfn)->word);
    slot = cma__slot_find(frames, span, pfn);
    if (slot != NULL) {
        if (booked) {
            (void)atom_sub(&slot->kept, 1);
        } else if (word_kind(word) == CMA_KIND_MOVABLE) {
            slot_unbook(slots, slot, word_mover(word));
        }
        slot_return(slots, slot, pfn);
    }
    guard_tlb_flush(frames->port);
    cma__migrate_finish(frames, span, pfn, moved);
    /* A host that keeps lists has to hear of the frame, as nobody releases it; who takes the slot
     * takes it back afterwards. */
    if (ops->lend != NULL && slot != NULL && atom_load(&slot->state) == CMA__SLOT_LENT) {
        (void)ops->lend(ops->ctx, pfn, 1, CMA_LEND_SLOT);
    }
    cma__frames_signal(frames);
    *to = moved;
    return CMA_OK;
}

int cma_frame_move_out(struct cma_frames *frames, cma_pfn_t pfn, cma_pfn_t *to)
{
    struct cma_span *span = cma__span_of(frames, pfn);
    int error = CMA__SLOT_NONE;

    if (span == NULL) {
        return CMA_ENOENT;
    }
    if (frames->slots != NULL) {
        error = frames->slots->ops->move_out(frames->slots, span, pfn, 0, to);
    }
    if (error == CMA__SLOT_NONE) {
        *to = pfn;
        return CMA_OK;
    }
    if (error == CMA_ENOENT) {
        return span_unheld(frames, span, pfn);
    }
    /* Not isolated any more, perhaps referenced: the slot was given up meanwhile. */
    return error == CMA_EBUSY ? CMA_EAGAIN : error;
}

/* --- for src/cma --------------------------------------------------------------------------- */

/* The lane of the slot's frame `pfn`, and how many of npages frames lie in one block of it. */
static struct cma_span *slot_part(const struct cma_frames *frames, const struct cma_slot *slot,
                                  cma_pfn_t pfn, uint32_t npages, uint32_t *part)
{
    struct cma_span *lane = cma__span_from(slot->span, pfn);

    *part = (uint32_t)bits_min(cma__block_left(frames, pfn), npages);
    *part = (uint32_t)bits_min(*part, lane->npages - (pfn - lane->pfn));
    return lane;
}

void cma__slot_open(struct cma_slots *slots, struct cma_slot *slot, uint32_t owner)
{
    struct cma_frames *frames = slots->frames;

    atom_poke(&slot->record, slot->span->record + (uint32_t)(slot->pfn - slot->span->pfn));
    atom_poke(&slot->hint, 0);
    atom_poke(&slot->gone, 0);
    slot->block_pfn = slot->pfn;
    cma__assert(window_check(&frames->records[slot->record], slot->npages, owner) == CMA_OK);
    (void)owner;
    slots_sort(slots, slot, true);
    cma__slot_retake(slots, slot);
}

void cma__slot_retake(struct cma_slots *slots, const struct cma_slot *slot)
{
    struct cma_frames *frames = slots->frames;
    struct cma_span *lane = cma__span_from(slot->span, slot->block_pfn);
    uintptr_t state = cma__span_lock(frames, lane);
    struct cma_frame_record *record = span_record(frames, lane, slot->block_pfn);

    cma__assert(word_kind(atom_peek(&record->word)) == CMA_KIND_CLAIMED);
    atom_store(&record->word, 0);
    cma__span_unlock(frames, lane, state);
}

/* Frames of one block become the area's own, up to one that somebody is just moving out, who has
 * its booking. Returns how many. Locked. */
static uint32_t slot_close_part(struct cma_slots *slots, struct cma_span *lane, cma_pfn_t pfn,
                                uint32_t npages)
{
    struct cma_frames *frames = slots->frames;
    uint32_t done = 0;

    for (; done < npages; done++) {
        struct cma_frame_record *record = span_record(frames, lane, pfn + done);
        uint32_t word = atom_load(&record->word);

        if (!word_is_held(word)) {
            cma__account_idle(frames, lane, pfn + done, 1, true);
            continue;
        }
        if ((word & WORD_FROZEN) != 0 ||
            !atom_swap_if(&record->word, &word, word & ~WORD_ISOLATED)) {
            break;
        }
        (void)slots_left(slots, lane, pfn + done, word);
    }
    if (done != 0) {
        runs_changed(frames, lane, pfn, done, true);
    }
    return done;
}

void cma__slot_close(struct cma_slots *slots, struct cma_slot *slot)
{
    struct cma_frames *frames = slots->frames;
    cma_pfn_t pfn = slot->pfn;
    uint32_t left = slot->npages;

    while (left != 0) {
        uint32_t event = cma_frames_event(frames);
        uint32_t part, done;
        struct cma_span *lane = slot_part(frames, slot, pfn, left, &part);
        uintptr_t state = cma__span_lock(frames, lane);

        done = slot_close_part(slots, lane, pfn, part);
        left -= done;
        pfn += done;
        /* Before somebody can claim them. */
        atom_store(&slot->gone, slot->npages - left);
        cma__span_unlock(frames, lane, state);
        if (done < part) {
            (void)cma_frames_wait(frames, event);
        }
    }
    slots_sort(slots, slot, false);
    cma__frames_signal(frames);
}

void cma__slot_settle(struct cma_slots *slots, const struct cma_slot *slot)
{
    cma_pfn_t last = slot->pfn + (slot->npages - 1);
    struct cma_span *lane = cma__span_from(slot->span, slot->pfn);
    uintptr_t state;

    for (; lane->pfn <= last && lane < slots->frames->spans + slots->frames->nspans; lane++) {
        state = cma__span_lock(slots->frames, lane);
        cma__span_unlock(slots->frames, lane, state);
    }
}

static void slots_pass(const struct cma_slots *slots, const struct cma_span *span,
                       struct cma_window_cost *cost)
{
    const struct cma_slot *slot = cma__slot_find(slots->frames, span, cost->obstacle);

    if (slot != NULL) {
        cost->obstacle += atom_peek(&slot->npages) - 1 - slot_number(slot, span, cost->obstacle);
        cost->obstacle_claimed = true;
        cost->obstacle_passes = false;
    }
}

const struct cma_slots_ops cma__slots_ops = {
    .find = slots_find,
    .publish = slots_publish,
    .borrow = slots_borrow,
    .set_kind = slots_set_kind,
    .left = slots_left,
    .move_out = slots_move_out,
    .pass = slots_pass,
};
