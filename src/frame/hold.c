/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hold.c - from idle to held and back: movers, publish, release, keep, allocations
 *
 * All changes of who holds a frame happen under the span's lock, so that idle bits, counts and
 * records say the same. Short references come and go without the lock: a word is therefore changed
 * by compare-and-swap, and one that a reference was added to meanwhile is judged again.
 */
#include "table.h"

#include "../base/atomic.h"
#include "../base/bitmap.h"
#include "../base/bits.h"
#include "../base/guard.h"
#include "account.h"
#include "runs.h"
#include "slot.h"
#include "word.h"

int cma_mover_register(struct cma_frames *frames, const struct cma_mover *mover)
{
    if (mover == NULL || mover->freeze == NULL || mover->commit == NULL || mover->abort == NULL) {
        return CMA_EINVAL;
    }
    if (frames->nmovers == CMA_MOVERS_MAX) {
        return CMA_ENOMEM;
    }
    frames->movers[frames->nmovers++] = mover;
    return (int)frames->nmovers;
}

int cma__holder_check(const struct cma_frames *frames, const struct cma_span *span,
                      const struct cma_holder *holder)
{
    bool in_area = span != NULL && span->is_area != 0;

    if (holder->kind == CMA_KIND_UNMOVABLE) {
        return holder->mover == 0 && !in_area ? CMA_OK : CMA_EINVAL;
    }
    if ((holder->kind != CMA_KIND_MOVABLE && holder->kind != CMA_KIND_DROPPABLE) ||
        holder->mover == 0 || holder->mover > frames->nmovers) {
        return CMA_EINVAL;
    }
    if (holder->kind == CMA_KIND_DROPPABLE && frames->movers[holder->mover - 1]->discard == NULL) {
        return CMA_EINVAL;
    }
    if (in_area &&
        (span->lend_class == CMA_LEND_NONE ||
         (span->lend_class == CMA_LEND_SLOT && !cma__mover_is_sure(frames, holder->mover)))) {
        return CMA_EINVAL;
    }
    return CMA_OK;
}

/* May this holder let go of the frame now? */
static int hold_may_leave(uint32_t word)
{
    if (!word_is_held(word) || (word & WORD_PINS) != 0) {
        return CMA_EBADF;
    }
    if ((word & WORD_FROZEN) != 0) {
        return CMA_EAGAIN;
    }
    return (word & WORD_REFS) != 0 ? CMA_EBUSY : CMA_OK;
}

/* --- one frame ----------------------------------------------------------------------------- */

static int hold_publish(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                        const struct cma_holder *holder)
{
    const struct cma_block *block = span_block_at(frames, span, pfn);

    if (!bitmap_test(frames->idle, span_bit(frames, span, pfn))) {
        /* Nobody's and not idle: a claim has it, or a slot. */
        return atom_peek(&span_record(frames, span, pfn)->word) != 0 ? CMA_EBADF
               : frames->slots == NULL
                   ? CMA_EAGAIN
                   : frames->slots->ops->publish(frames->slots, span, pfn, holder);
    }
    if (span->is_area != 0 && (block->flags & CMA_BLOCK_LENT) == 0) {
        return CMA_EAGAIN;
    }
    cma__span_hold(frames, span, pfn, 1, holder, false);
    return CMA_OK;
}

int cma_frame_publish(struct cma_frames *frames, cma_pfn_t pfn, const struct cma_holder *holder)
{
    struct cma_span *span = cma__span_of(frames, pfn);
    uintptr_t state;
    int error;

    if (span == NULL) {
        return CMA_ENOENT;
    }
    if (cma__holder_check(frames, span, holder) != CMA_OK) {
        return CMA_EINVAL;
    }
    state = cma__span_lock(frames, span);
    error = hold_publish(frames, span, pfn, holder);
    cma__span_unlock(frames, span, state);
    return error;
}

/* Its holder lets a frame go. An isolated one is a claim's then, or its slot's: true if that lends
 * it again. */
static CMA__INLINE bool hold_left(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                                  uint32_t word)
{
    struct cma_slots *slots = frames->slots;

    return slots != NULL && (word & WORD_ISOLATED) != 0 && slots->ops->left(slots, span, pfn, word);
}

static int hold_release(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                        bool *isolated)
{
    struct cma_frame_record *record = span_record(frames, span, pfn);
    uint32_t word = atom_load(&record->word);
    const struct cma_block *block = span_block_at(frames, span, pfn);
    bool lent = span->is_area == 0 || (block->flags & CMA_BLOCK_LENT) != 0;
    int error;

    do {
        error = hold_may_leave(word);
        if (error == CMA_OK && ((word & WORD_HEAD) == 0 || frame_goes_on(frames, span, pfn))) {
            error = CMA_EBADF;
        }
        if (error != CMA_OK) {
            return error;
        }
        /* Frozen by us, nobody adds a reference any more. */
    } while (!atom_swap_if(&record->word, &word, word | WORD_FROZEN));
    lent = hold_left(frames, span, pfn, word) || (lent && (word & WORD_ISOLATED) == 0);
    *isolated = cma__frame_leave(frames, span, pfn, false);
    return lent ? 1 : 0;
}

int cma_frame_release(struct cma_frames *frames, cma_pfn_t pfn)
{
    struct cma_span *span = cma__span_of(frames, pfn);
    bool isolated = false;
    uintptr_t state;
    int result;

    if (span == NULL) {
        return CMA_ENOENT;
    }
    state = cma__span_lock(frames, span);
    result = hold_release(frames, span, pfn, &isolated);
    cma__span_unlock(frames, span, state);
    if (isolated) {
        cma__frames_signal(frames);
    }
    return result;
}

static int hold_set_kind(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                         enum cma_kind kind)
{
    struct cma_frame_record *record = span_record(frames, span, pfn);
    uint32_t word = atom_load(&record->word);
    uint32_t after;

    do {
        if (!word_is_lendable(word)) {
            return CMA_EBADF;
        }
        if ((word & WORD_FROZEN) != 0) {
            return CMA_EAGAIN;
        }
        if (kind == CMA_KIND_DROPPABLE && frame_mover(frames, word)->discard == NULL) {
            return CMA_EINVAL;
        }
        after = (word & ~WORD_KIND) | (uint32_t)kind;
    } while (!atom_swap_if(&record->word, &word, after));
    if (word_kind(word) != kind) {
        cma__account_change(frames, span, pfn, word, after);
    }
    return CMA_OK;
}

static int hold_set_kind_locked(struct cma_frames *frames, cma_pfn_t pfn, enum cma_kind kind)
{
    struct cma_span *span = cma__span_of(frames, pfn);
    struct cma_slots *slots = frames->slots;
    int error = CMA__SLOT_NONE;
    uintptr_t state;

    if (span == NULL) {
        return CMA_ENOENT;
    }
    if (slots != NULL) {
        error = slots->ops->set_kind(slots, span, pfn, kind);
    }
    if (error == CMA__SLOT_NONE) {
        state = cma__span_lock(frames, span);
        error = hold_set_kind(frames, span, pfn, kind);
        cma__span_unlock(frames, span, state);
    }
    return error;
}

int cma_frame_keep(struct cma_frames *frames, cma_pfn_t pfn)
{
    return hold_set_kind_locked(frames, pfn, CMA_KIND_MOVABLE);
}

int cma_frame_allow_drop(struct cma_frames *frames, cma_pfn_t pfn)
{
    return hold_set_kind_locked(frames, pfn, CMA_KIND_DROPPABLE);
}

/* --- allocations: for src/buddy ------------------------------------------------------------ */

void cma__span_hold(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                    uint64_t npages, const struct cma_holder *holder, bool referenced)
{
    uint32_t word = word_of(holder) | (referenced ? WORD_REF : 0);

    cma__assert(npages == 1 || holder->kind == CMA_KIND_UNMOVABLE);
    cma__account_idle(frames, span, pfn, (uint32_t)npages, false);
    /* Its first frame comes last: a free that needs no lock sees all of the run or nothing. */
    for (uint64_t i = npages; i-- > 1;) {
        cma__frame_enter(frames, span, pfn + i, word, holder->cookie);
    }
    cma__frame_enter(frames, span, pfn, word | WORD_HEAD, holder->cookie);
}

void cma__span_take(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                    uint32_t npages)
{
    cma__account_idle(frames, span, pfn, npages, false);
    runs_changed(frames, span, pfn, npages, false);
    (void)atom_add(&span->passing, npages);
}

void cma__span_put(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn, uint32_t npages)
{
    cma__assert(atom_peek(&span_record(frames, span, pfn)->word) == 0);
    (void)atom_sub(&span->passing, npages);
    cma__account_idle(frames, span, pfn, npages, true);
    runs_changed(frames, span, pfn, npages, true);
}

uint32_t cma__span_idle_below(const struct cma_frames *frames, const struct cma_span *span,
                              cma_pfn_t first, cma_pfn_t pfn, uint32_t npages)
{
    cma_pfn_t low = bits_max(bits_max(first, span->pfn), pfn & ~(cma_pfn_t)span_block_mask(frames));
    uint32_t below = (uint32_t)bits_min(pfn - low, npages - 1);
    uint32_t bit = span_bit(frames, span, pfn);
    uint32_t wrong = cma__bitmap_highest(frames->idle, bit - below, bit, false);

    return wrong == CMA__BIT_NONE ? below + 1 : bit - wrong;
}

/* Is this exactly one allocation of this owner's, that may go? Words as of now. */
static int hold_check_run(const struct cma_frames *frames, const struct cma_span *span,
                          cma_pfn_t pfn, uint64_t npages, uint32_t owner)
{
    const struct cma_frame_record *record = span_record(frames, span, pfn);
    uint32_t word = atom_load(&record->word);
    int error;

    if (!word_is_held(word)) {
        return CMA_EBADF;
    }
    if (npages == 0 || npages - 1 > span_last(span) - pfn || (word & WORD_HEAD) == 0) {
        return CMA_EINVAL;
    }
    if (atom_peek(&record->cookie) != owner) {
        return CMA_EPERM;
    }
    for (uint64_t i = 1; i < npages; i++) {
        word = atom_load(&record[i].word);
        if (!word_is_held(word) || (word & WORD_HEAD) != 0) {
            return CMA_EINVAL;
        }
    }
    if (frame_goes_on(frames, span, pfn + (npages - 1))) {
        return CMA_EINVAL;
    }
    for (uint64_t i = 0; i < npages; i++) {
        error = hold_may_leave(atom_load(&record[i].word));
        if (error != CMA_OK) {
            return error;
        }
    }
    return CMA_OK;
}

int cma__span_free(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn, uint64_t npages,
                   uint32_t owner)
{
    struct cma_frame_record *record = span_record(frames, span, pfn);
    bool isolated = false;
    int error = hold_check_run(frames, span, pfn, npages, owner);

    if (error != CMA_OK) {
        return error;
    }
    /* Frozen, the frames take no references any more; one that got one meanwhile stops it all. */
    for (uint64_t i = 0; i < npages; i++) {
        uint32_t word = atom_load(&record[i].word);

        do {
            error = hold_may_leave(word);
        } while (error == CMA_OK && !atom_swap_if(&record[i].word, &word, word | WORD_FROZEN));
        if (error != CMA_OK) {
            while (i-- > 0) {
                cma__frame_thaw(&record[i]);
            }
            return error;
        }
    }
    for (uint64_t i = 0; i < npages; i++) {
        (void)hold_left(frames, span, pfn + i, atom_peek(&record[i].word));
        isolated |= cma__frame_leave(frames, span, pfn + i, false);
    }
    return isolated ? 1 : CMA_OK;
}
