/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * look.c - what stands in the way of windows
 *
 * It must judge a frame as window.c does when a claim searches and isolates, or an explanation
 * would promise what no claim gets. Besides, it tells apart what can be named: a frame, a buffer.
 * The idle bits come first here too: what nobody has is passed over by words, a buffer in one step.
 */
#include "look.h"

#include "../base/atomic.h"
#include "../base/bitmap.h"
#include "../base/bits.h"
#include "account.h"
#include "slot.h"
#include "word.h"

/* Is there a mover who may say no to this frame? */
static bool look_is_doubtful(const struct cma_frames *frames, uint32_t word)
{
    return word_is_lendable(word) &&
           (word & (WORD_FROZEN | WORD_ISOLATED | WORD_PINS | WORD_REFS)) == 0 &&
           (frame_mover(frames, word)->flags & CMA_MOVER_MAY_REFUSE) != 0;
}

/* Judges a frame that is not idle. False: it is not in the way. */
static bool look_judge(const struct cma_frames *frames, const struct cma_span *span, cma_pfn_t pfn,
                       struct cma_obstacle *obstacle)
{
    uint32_t word = atom_load(&span_record(frames, span, pfn)->word);
    const struct cma_slot *slot;
    struct cma_buffer buffer;

    *obstacle = (struct cma_obstacle){.first = pfn, .last = pfn, .sort = CMA__OBSTACLE_OTHER};
    slot = cma__slot_find(frames, span, pfn);
    if (slot != NULL) {
        /* Whoever has it gives it back to its slot. */
        obstacle->last += atom_peek(&slot->npages) - 1 - slot_number(slot, span, pfn);
        return true;
    }
    if (cma__frames_buffer(frames, span, pfn, word, &buffer)) {
        obstacle->sort = CMA__OBSTACLE_BUFFER;
        obstacle->last = pfn + (buffer.npages - 1);
        obstacle->owner = buffer.owner;
        return true;
    }
    if (!word_is_lendable(word) || (word & WORD_ISOLATED) != 0) {
        return true;
    }
    obstacle->sort = CMA__OBSTACLE_FRAME;
    return (word & (WORD_FROZEN | WORD_PINS | WORD_REFS)) != 0;
}

/* The lowest frame in [from, last], all of one block, that is in the way, or, with `ask`, that its
 * mover has to be asked about (*asked). Locked. */
static bool look_part(const struct cma_frames *frames, const struct cma_span *span, cma_pfn_t from,
                      cma_pfn_t last, bool ask, struct cma_obstacle *obstacle, bool *asked)
{
    uint32_t base = span_bit(frames, span, from);
    uint32_t end = base + (uint32_t)(last - from);
    uint32_t bit = base;

    while (bit <= end &&
           (bit = cma__bitmap_lowest(frames->idle, bit, end, false)) != CMA__BIT_NONE) {
        cma_pfn_t pfn = from + (bit - base);

        if (look_judge(frames, span, pfn, obstacle)) {
            *asked = false;
            return true;
        }
        if (ask && look_is_doubtful(frames, atom_load(&span_record(frames, span, pfn)->word))) {
            *asked = true;
            return true;
        }
        bit++;
    }
    return false;
}

/* Would its mover let this frame go now? */
static bool look_ask(struct cma_frames *frames, const struct cma_span *span, cma_pfn_t pfn)
{
    struct cma_frame_record *record = span_record(frames, span, pfn);
    const struct cma_mover *mover;
    uint32_t word;
    int error;

    if (!look_is_doubtful(frames, atom_load(&record->word)) ||
        cma__frame_freeze(record, false, &word) != CMA_OK) {
        return true;
    }
    mover = frame_mover(frames, word);
    error = mover->freeze(mover->ctx, pfn, atom_peek(&record->cookie));
    if (error == CMA_OK) {
        mover->abort(mover->ctx, pfn, atom_peek(&record->cookie));
    }
    cma__frame_thaw(record);
    cma__frames_signal(frames);
    return error != CMA_EBUSY;
}

bool cma__look_obstacle(struct cma_frames *frames, struct cma_span *span, cma_pfn_t from,
                        cma_pfn_t last, bool ask, struct cma_obstacle *obstacle)
{
    while (from <= last) {
        cma_pfn_t part_last = bits_min(last, from | span_block_mask(frames));
        struct cma_span *lane = cma__span_of(frames, from);
        uintptr_t state = cma__span_lock(frames, lane);
        bool asked = false;
        bool found = look_part(frames, span, from, part_last, ask, obstacle, &asked);

        cma__span_unlock(frames, lane, state);
        if (found && (!asked || !look_ask(frames, span, obstacle->first))) {
            obstacle->last = bits_min(obstacle->last, last);
            return true;
        }
        from = found ? obstacle->first + 1 : part_last + 1;
    }
    return false;
}

bool cma__look_may_leave(struct cma_frames *frames, const struct cma_span *span, cma_pfn_t pfn,
                         uint64_t npages)
{
    cma_pfn_t end = pfn + npages;

    while (pfn < end) {
        cma_pfn_t part_end = bits_min(end - 1, pfn | span_block_mask(frames)) + 1;
        const struct cma_block *block = span_block_at(frames, span, pfn);

        if (!block_is_borrowed(block)) {
            pfn = part_end;
        }
        for (; pfn < part_end; pfn++) {
            if (!look_ask(frames, span, pfn)) {
                return false;
            }
        }
    }
    return true;
}

void cma__look_kept(const struct cma_frames *frames, const struct cma_span *span, cma_pfn_t pfn,
                    uint32_t npages, uint32_t *kept, bool there)
{
    cma_pfn_t end = pfn + npages;

    while (pfn < end) {
        cma_pfn_t part_end = bits_min(end - 1, pfn | span_block_mask(frames)) + 1;
        const struct cma_block *block = span_block_at(frames, span, pfn);

        if (atom_peek16(&block->kept) == 0) {
            pfn = part_end;
        }
        for (; pfn < part_end; pfn++) {
            uint32_t word = atom_load(&span_record(frames, span, pfn)->word);

            if (word_kind(word) == CMA_KIND_MOVABLE) {
                uint32_t *count = &kept[word_mover(word) - 1];

                *count += there ? 1 : *count == 0 ? 0 : UINT32_MAX;
            }
        }
    }
}
