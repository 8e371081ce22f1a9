/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * migrate.c - frames change their place
 *
 *      holder's frame `from`                        destination `to`
 *      ---------------------                        ----------------
 *                                            taken (nobody's, not idle)
 *      frozen (word: no pins, no references)
 *      mover->freeze: no writer any more
 *                                            record written, frozen
 *      ----------- one TLB flush for the batch: now the freeze holds on every processor
 *            `------------- port->copy -------------^
 *            mover->commit: the handle names `to`
 *                                            thawed: its holder goes on
 *      nobody's: the claim's, or idle
 *
 * Every step before the flush can be undone (unpublish, abort, thaw, put back), none after it can
 * fail. `from` always has its record until the mover has committed, so at each moment exactly one
 * frame is the handle's, and a frame is dropped in one place only: cma__frame_leave.
 *
 * A destination is taken before its source is frozen: getting one may take long, being frozen must
 * not. (One that is booked for its source is there: slot.c.) A batch that meets a refusal is undone
 * as a whole, for the claim will give the window up and every copy would be for nothing.
 */
#include "table.h"

#include "../base/atomic.h"
#include "../base/bits.h"
#include "../base/bittree.h"
#include "../base/bitmap.h"
#include "../base/guard.h"
#include "account.h"
#include "runs.h"
#include "slot.h"
#include "word.h"

/* A frame in a batch is 12 bytes of stack. Where there is little of that, there are few processors
 * that a flush has to wait for, or no TLB at all. The price: a mover that refuses is met after more
 * copies, since a batch that is finished stays where it went. */
#define MIGRATE_BATCH (UINTPTR_MAX > UINT32_MAX ? 32 : 5)

/* Frames that are frozen on both sides and wait for the flush. */
struct migrate_batch {
    cma_pfn_t to[MIGRATE_BATCH];
    uint32_t from[MIGRATE_BATCH]; /* frames behind the window's first one */
    uint32_t count;
    bool flush; /* something was discarded since the last flush */
};

/* --- the frozen bit ------------------------------------------------------------------------ */

/* What stands in the way of freezing a frame with this word; CMA_OK: nothing. */
static int migrate_may_freeze(uint32_t word, bool isolated)
{
    if (word_kind(word) == CMA_KIND_NONE) {
        return CMA_ENOENT;
    }
    if (!word_is_lendable(word)) {
        return CMA_EBADF;
    }
    if ((word & WORD_FROZEN) != 0) {
        return CMA_EAGAIN;
    }
    if ((word & (WORD_PINS | WORD_REFS)) != 0 || ((word & WORD_ISOLATED) != 0) != isolated) {
        return CMA_EBUSY;
    }
    return CMA_OK;
}

int cma__frame_freeze(struct cma_frame_record *record, bool isolated, uint32_t *word)
{
    int error;

    *word = atom_load(&record->word);
    do {
        error = migrate_may_freeze(*word, isolated);
    } while (error == CMA_OK && !atom_swap_if(&record->word, word, *word | WORD_FROZEN));
    return error;
}

void cma__frame_thaw(struct cma_frame_record *record)
{
    cma__assert((atom_peek(&record->word) & WORD_FROZEN) != 0);
    (void)atom_and(&record->word, ~WORD_FROZEN);
}

/* --- one frame ----------------------------------------------------------------------------- */

/* Inline: it stands in the deepest chain of calls. */
static CMA__INLINE void migrate_leave(struct cma_frames *frames, struct cma_span *span,
                                      cma_pfn_t pfn, bool take)
{
    uintptr_t state;

    span = cma__span_from(span, pfn);
    state = cma__span_lock(frames, span);
    (void)cma__frame_leave(frames, span, pfn, take);
    cma__span_unlock(frames, span, state);
}

/* The same for those that are not deep down: nobody's afterwards. */
static CMA__APART void migrate_take(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn)
{
    migrate_leave(frames, span, pfn, true);
}

/* Writes the destination's record; over a host's allocator there is none. */
void cma__migrate_publish(struct cma_frames *frames, cma_pfn_t to, uint32_t word, uint32_t cookie)
{
    struct cma_span *span = cma__span_of(frames, to);
    uintptr_t state;

    if (span == NULL) {
        return;
    }
    state = cma__span_lock(frames, span);
    (void)atom_sub(&span->passing, 1);
    cma__frame_enter(frames, span, to, word, cookie);
    runs_changed(frames, span, to, 1, true);
    cma__span_unlock(frames, span, state);
}

static void migrate_unpublish(struct cma_frames *frames, cma_pfn_t to)
{
    struct cma_span *span = cma__span_of(frames, to);

    if (span != NULL) {
        migrate_take(frames, span, to);
        atom_poke(&span_record(frames, span, to)->cookie, 0);
    }
    frames->ops->destination_put(frames->ops->ctx, to, 1);
}

/*
 * From the free destination to both sides frozen. Returns 0 and *to, or CMA_ENOMEM, CMA_EBUSY,
 * CMA_EAGAIN, CMA_ENOENT, CMA_EBADF as seen by the freeze (or by the mover): all is as before then.
 */
int cma__migrate_begin(struct cma_frames *frames, struct cma_span *span, cma_pfn_t from,
                       uint32_t what, cma_pfn_t *to)
{
    struct cma_frame_record *record = span_record(frames, span, from);
    uint32_t word = atom_load(&record->word), before = word;
    struct cma_destination want = {.from = from, .npages = 1};
    bool isolated = (what & CMA__MIGRATE_ISOLATED) != 0;
    const struct cma_mover *mover;
    uint32_t cookie;
    int error = migrate_may_freeze(word, isolated);

    /* Looked at before a destination is taken too: that can cost somebody's droppable data. */
    if (error != CMA_OK) {
        return error;
    }
    mover = frame_mover(frames, word);
    want.paddr_last = mover->paddr_last;
    want.flags = what & CMA_DESTINATION_PINNED;
    if (frames->ops == NULL || frames->ops->destination(frames->ops->ctx, &want, to) < 1) {
        return CMA_ENOMEM;
    }
    error = cma__frame_freeze(record, isolated, &word);
    if (error == CMA_OK) {
        cookie = atom_peek(&record->cookie);
        /* If it went to somebody else meanwhile, it has another limit; if it was kept or made
         * droppable, a slot's frame is booked, or not. */
        error = ((word ^ before) & (WORD_MOVER | WORD_KIND)) != 0
                    ? CMA_EAGAIN
                    : mover->freeze(mover->ctx, from, cookie);
        if (error == CMA_OK) {
            word = (word & (WORD_KIND | WORD_MOVER)) | WORD_HEAD | WORD_FROZEN;
            cma__migrate_publish(
                frames, *to, word | ((what & CMA_DESTINATION_PINNED) != 0 ? WORD_PIN : 0), cookie);
            return CMA_OK;
        }
        cma__frame_thaw(record);
        cma__frames_signal(frames);
    }
    frames->ops->destination_put(frames->ops->ctx, *to, 1);
    return error;
}

static void migrate_undo(struct cma_frames *frames, struct cma_span *span, cma_pfn_t from,
                         cma_pfn_t to)
{
    struct cma_frame_record *record = span_record(frames, span, from);
    const struct cma_mover *mover = frame_mover(frames, atom_peek(&record->word));

    migrate_unpublish(frames, to);
    mover->abort(mover->ctx, from, atom_peek(&record->cookie));
    cma__frame_thaw(record);
}

/* After the flush: copy, commit, and the old frame is nobody's. */
void cma__migrate_finish(struct cma_frames *frames, struct cma_span *span, cma_pfn_t from,
                         cma_pfn_t to)
{
    const struct cma_port *port = frames->port;
    struct cma_frame_record *record = span_record(frames, span, from);
    const struct cma_mover *mover = frame_mover(frames, atom_peek(&record->word));
    struct cma_span *span_to = cma__span_of(frames, to);

    port->copy(port->ctx, to << port->page_shift, from << port->page_shift,
               UINT64_C(1) << port->page_shift);
    mover->commit(mover->ctx, from, to, atom_peek(&record->cookie));
    if (span_to != NULL) {
        cma__frame_thaw(span_record(frames, span_to, to));
    }
    migrate_leave(frames, span, from, false);
}

/*
 * Discards a frame. Returns 0 (it is empty now, but not flushed), or CMA_EBUSY, CMA_EAGAIN,
 * CMA_ENOENT, CMA_EBADF (it is not droppable any more).
 */
static int migrate_discard(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                           bool isolated)
{
    struct cma_frame_record *record = span_record(frames, span, pfn);
    const struct cma_mover *mover;
    uint32_t word;
    int error = cma__frame_freeze(record, isolated, &word);

    if (error != CMA_OK) {
        return error;
    }
    error = CMA_EBADF;
    if (word_kind(word) == CMA_KIND_DROPPABLE) {
        mover = frame_mover(frames, word);
        error = mover->discard(mover->ctx, pfn, atom_peek(&record->cookie));
    }
    if (error == CMA_OK) {
        migrate_take(frames, span, pfn);
    } else {
        cma__frame_thaw(record);
    }
    cma__frames_signal(frames);
    return error;
}

/* --- a window ------------------------------------------------------------------------------ */

static void migrate_batch_finish(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                                 struct migrate_batch *batch, struct cma_evacuation *evacuation)
{
    if (batch->count != 0 || batch->flush) {
        guard_tlb_flush(frames->port);
        evacuation->flushes++;
    }
    for (uint32_t i = 0; i < batch->count; i++) {
        cma__migrate_finish(frames, span, pfn + batch->from[i], batch->to[i]);
    }
    evacuation->copied += batch->count;
    if (batch->count != 0) {
        cma__frames_signal(frames);
    }
    batch->count = 0;
    batch->flush = false;
}

static void migrate_batch_undo(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                               struct migrate_batch *batch)
{
    if (batch->flush) {
        guard_tlb_flush(frames->port);
    }
    for (uint32_t i = 0; i < batch->count; i++) {
        migrate_undo(frames, span, pfn + batch->from[i], batch->to[i]);
    }
    if (batch->count != 0) {
        cma__frames_signal(frames);
    }
    batch->count = 0;
}

/* Empties one isolated frame, or has it wait in the batch. CMA_ENOENT: it is empty. */
static int migrate_one(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                       uint32_t offset, struct migrate_batch *batch,
                       struct cma_evacuation *evacuation)
{
    const struct cma_frame_record *record = span_record(frames, span, pfn + offset);
    enum cma_kind kind = word_kind(atom_load(&record->word));
    int error = CMA_EBUSY;

    if (kind == CMA_KIND_NONE) {
        return CMA_OK;
    }
    if (kind == CMA_KIND_DROPPABLE) {
        error = migrate_discard(frames, span, pfn + offset, true);
        if (error == CMA_OK) {
            evacuation->dropped++;
            batch->flush = true;
        }
    }
    if (kind == CMA_KIND_MOVABLE || error == CMA_EBUSY || error == CMA_EBADF) {
        /* One that its mover would not drop may still be carried elsewhere. */
        error = cma__migrate_begin(frames, span, pfn + offset, CMA__MIGRATE_ISOLATED,
                                   &batch->to[batch->count]);
        if (error == CMA_OK) {
            batch->from[batch->count++] = offset;
        }
    }
    if (error == CMA_ENOENT) {
        /* Its holder is just giving it back, or has done so. */
        return word_kind(atom_load(&record->word)) == CMA_KIND_NONE ? CMA_OK : CMA_EAGAIN;
    }
    return error == CMA_EBADF ? CMA_EAGAIN : error;
}

int cma__window_evacuate(struct cma_frames *frames, cma_pfn_t pfn, uint32_t npages,
                         struct cma_evacuation *evacuation)
{
    struct cma_span *span = cma__span_of(frames, pfn);
    struct migrate_batch batch;
    uint32_t offset = 0;
    int error = CMA_OK;

    batch.count = 0;
    batch.flush = false;
    evacuation->obstacle = CMA_PFN_NONE;
    while (offset < npages) {
        cma_pfn_t at = pfn + offset;
        const struct cma_block *block = span_block_at(frames, span, at);

        if (!block_is_borrowed(block)) {
            /* Nobody has anything in this block. */
            offset = (uint32_t)((at | span_block_mask(frames)) + 1 - pfn);
            continue;
        }
        error = migrate_one(frames, span, pfn, offset, &batch, evacuation);
        if (error != CMA_OK) {
            evacuation->obstacle = at;
            break;
        }
        if (batch.count == MIGRATE_BATCH) {
            migrate_batch_finish(frames, span, pfn, &batch, evacuation);
        }
        offset++;
    }
    if (error == CMA_OK || error == CMA_EAGAIN) {
        migrate_batch_finish(frames, span, pfn, &batch, evacuation);
    } else {
        migrate_batch_undo(frames, span, pfn, &batch);
    }
    return error;
}

/* --- for pins and for destinations --------------------------------------------------------- */

/* The frame that a pin has emptied is idle in its area: a host that keeps lists has to hear of it,
 * as nobody releases or claims it. */
static void migrate_offer(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn)
{
    const struct cma_pages_ops *ops = frames->ops;

    if (ops->lend != NULL && bitmap_test(frames->idle, span_bit(frames, span, pfn)) &&
        (atom_peek16(&span_block_at(frames, span, pfn)->flags) & CMA_BLOCK_LENT) != 0) {
        /* One that can't take it leaves it idle. */
        (void)ops->lend(ops->ctx, pfn, 1, (enum cma_lend_class)span->lend_class);
    }
}

int cma__frame_move_pinned(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                           cma_pfn_t *pinned)
{
    struct cma_slots *slots = frames->slots;
    int error = CMA__SLOT_NONE;
    cma_pfn_t to;

    if (slots != NULL) {
        error = slots->ops->move_out(slots, span, pfn, CMA_DESTINATION_PINNED, pinned);
    }
    if (error == CMA__SLOT_NONE) {
        error = cma__migrate_begin(frames, span, pfn, CMA_DESTINATION_PINNED, &to);
        if (error == CMA_OK) {
            guard_tlb_flush(frames->port);
            cma__migrate_finish(frames, span, pfn, to);
            migrate_offer(frames, span, pfn);
            cma__frames_signal(frames);
            *pinned = to;
        }
    }
    if (error == CMA_ENOENT) {
        /* Never held, or its mover is just letting it go. */
        return span_unheld(frames, span, pfn);
    }
    return error;
}

/* The highest droppable frame in [wanted, last] that nothing holds in place. Locked. */
static bool migrate_find_droppable(const struct cma_frames *frames, const struct cma_span *span,
                                   cma_pfn_t wanted, cma_pfn_t last, cma_pfn_t *pfn)
{
    uint32_t number = cma__span_block_of(frames, span, last);

    for (;;) {
        cma_pfn_t first;
        uint32_t npages;

        number = cma__bittree_prev(frames->reclaim + span->tree, span->nblocks, number);
        if (number == CMA__BIT_NONE) {
            return false;
        }
        cma__span_block_range(frames, span, number, &first, &npages);
        for (cma_pfn_t at = bits_min(last, first + (npages - 1)) + 1;
             at-- > bits_max(first, wanted);) {
            uint32_t word = atom_load(&span_record(frames, span, at)->word);

            if (word_kind(word) == CMA_KIND_DROPPABLE &&
                (word & (WORD_FROZEN | WORD_PINS | WORD_REFS)) == 0) {
                *pfn = at;
                return true;
            }
        }
        if (first <= wanted || number-- == 0) {
            return false;
        }
    }
}

/* Goes on below a frame that was just discarded, as long as there are neighbours to discard. */
static uint32_t migrate_reclaim_below(struct cma_frames *frames, struct cma_span *span,
                                      cma_pfn_t first, uint32_t npages, cma_pfn_t *pfn)
{
    uint32_t n = 0;

    while (*pfn > first && n != npages &&
           word_kind(atom_load(&span_record(frames, span, *pfn - 1)->word)) == CMA_KIND_DROPPABLE &&
           migrate_discard(frames, span, *pfn - 1, false) == CMA_OK) {
        (*pfn)--;
        n++;
    }
    return n;
}

static int migrate_reclaim_span(struct cma_frames *frames, struct cma_span *span, cma_pfn_t first,
                                cma_pfn_t last, uint32_t npages, cma_pfn_t *pfn)
{
    for (;;) {
        uintptr_t state = cma__span_lock(frames, span);
        bool found = migrate_find_droppable(frames, span, first, last, pfn);

        cma__span_unlock(frames, span, state);
        if (!found) {
            return CMA_ENOMEM;
        }
        if (migrate_discard(frames, span, *pfn, false) == CMA_OK) {
            uint32_t more = migrate_reclaim_below(frames, span, first, npages - 1, pfn);

            guard_tlb_flush(frames->port);
            return (int)more + 1;
        }
        /* Each frame is asked once: downwards only. */
        if (*pfn == first) {
            return CMA_ENOMEM;
        }
        last = *pfn - 1;
    }
}

int cma__frames_reclaim(struct cma_frames *frames, cma_pfn_t first, cma_pfn_t last, uint32_t npages,
                        cma_pfn_t *pfn)
{
    for (uint32_t i = frames->nspans; i-- > 0;) {
        struct cma_span *span = &frames->spans[i];

        if (span->is_area == 0 && span->pfn <= last && span_last(span) >= first) {
            int n = migrate_reclaim_span(frames, span, bits_max(first, span->pfn),
                                         bits_min(last, span_last(span)), npages, pfn);

            if (n > 0) {
                return n;
            }
        }
    }
    return CMA_ENOMEM;
}
