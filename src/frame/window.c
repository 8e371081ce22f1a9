/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * window.c - a claim's view of an area: cost, isolate, restore, hand over, release
 *
 * All of it goes block by block, each under the span's lock for one block's time. The block's
 * counts come first: where nobody has borrowed, a block is a few words of idle bits, and no record
 * of it is read or written. An idle frame is isolated by being taken (its idle bit goes), a held
 * one by a mark in its word; so a claim that gives up finds out from idle bits and words alone what
 * to put back.
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

/* How many of npages frames from `pfn` on lie in the block of `pfn`. */
static uint32_t window_part(const struct cma_frames *frames, cma_pfn_t pfn, uint32_t npages)
{
    uint32_t left = cma__block_left(frames, pfn);

    return left < npages ? left : npages;
}

/* --- what it costs ------------------------------------------------------------------------- */

/* Frames that nobody's data is in: idle, or taken. The taken run that ends the search is followed
 * upwards to its end in the block: no window may begin in it. */
static void window_cost_empty(const struct cma_frames *frames, const struct cma_span *span,
                              cma_pfn_t pfn, uint32_t npages, struct cma_window_cost *cost)
{
    uint32_t base = span_bit(frames, span, span->pfn);
    uint32_t bit = base + (uint32_t)(pfn - span->pfn);
    uint32_t taken = cma__bitmap_highest(frames->idle, bit, bit + (npages - 1), false);
    uint32_t last = bit | span_block_mask(frames);
    uint32_t end;

    if (taken == CMA__BIT_NONE) {
        cost->idle += npages;
        return;
    }
    if (last - base >= span->npages) {
        last = base + (span->npages - 1);
    }
    end = cma__bitmap_lowest(frames->idle, taken, last, true);
    if (end == CMA__BIT_NONE) {
        end = last + 1;
    }
    cost->obstacle = span->pfn + (end - 1 - base);
    cost->obstacle_claimed = true;
    cost->obstacle_passes = atom_load(&span->passing) != 0;
}

/* One frame that is not idle. */
static void window_cost_frame(const struct cma_frames *frames, const struct cma_span *span,
                              cma_pfn_t pfn, struct cma_window_cost *cost)
{
    uint32_t word = atom_load(&span_record(frames, span, pfn)->word);
    bool held = word_is_held(word);

    if (word_is_lendable(word) &&
        (word & (WORD_FROZEN | WORD_ISOLATED | WORD_PINS | WORD_REFS)) == 0) {
        if (word_kind(word) == CMA_KIND_DROPPABLE) {
            cost->droppable++;
        } else {
            cost->kept++;
            cost->kept_paddr_last =
                bits_min(cost->kept_paddr_last, frame_mover(frames, word)->paddr_last);
        }
        return;
    }
    cost->obstacle = pfn;
    cost->obstacle_claimed = !held || (word & WORD_ISOLATED) != 0;
    cost->obstacle_passes =
        held ? (word & WORD_PINS) == 0 && (word & (WORD_FROZEN | WORD_ISOLATED | WORD_REFS)) != 0
             : atom_load(&span->passing) != 0;
}

static void window_cost_part(const struct cma_frames *frames, const struct cma_span *span,
                             cma_pfn_t pfn, uint32_t npages, struct cma_window_cost *cost)
{
    uint32_t bit = span_bit(frames, span, pfn);

    if (!block_is_borrowed(span_block_at(frames, span, pfn))) {
        window_cost_empty(frames, span, pfn, npages, cost);
        return;
    }
    for (uint32_t i = npages; i-- > 0 && cost->obstacle == CMA_PFN_NONE;) {
        if (bitmap_test(frames->idle, bit + i)) {
            cost->idle++;
        } else {
            window_cost_frame(frames, span, pfn + i, cost);
        }
    }
}

void cma__window_cost(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                      uint32_t npages, struct cma_window_cost *cost)
{
    *cost = (struct cma_window_cost){.kept_paddr_last = CMA_PADDR_MAX, .obstacle = CMA_PFN_NONE};
    /* From the top: the highest obstacle saves looking at all windows below it. */
    while (npages != 0 && cost->obstacle == CMA_PFN_NONE) {
        uint32_t part = (((uint32_t)pfn + (npages - 1)) & span_block_mask(frames)) + 1;
        struct cma_span *lane;
        uintptr_t state;

        part = part < npages ? part : npages;
        npages -= part;
        lane = cma__span_from(span, pfn + npages);
        state = cma__span_lock(frames, lane);
        window_cost_part(frames, lane, pfn + npages, part, cost);
        cma__span_unlock(frames, lane, state);
    }
    if (cost->obstacle_claimed && frames->slots != NULL) {
        frames->slots->ops->pass(frames->slots, span, cost);
    }
}

void cma__window_movers(const struct cma_frames *frames, const struct cma_span *span, cma_pfn_t pfn,
                        uint32_t npages, uint32_t *kept)
{
    const struct cma_frame_record *record = span_record(frames, span, pfn);
    const struct cma_frame_record *end = record + npages;

    for (; record < end; record++) {
        uint32_t word = atom_load(&record->word);

        if (word_kind(word) == CMA_KIND_MOVABLE) {
            kept[word_mover(word) - 1]++;
        }
    }
}

/* --- isolate and restore ------------------------------------------------------------------- */

/* Marks one held frame for the claim; false when it can't leave. */
static bool window_mark(struct cma_frame_record *record)
{
    uint32_t word = atom_load(&record->word);

    do {
        if (!word_is_lendable(word) ||
            (word & (WORD_FROZEN | WORD_ISOLATED | WORD_PINS | WORD_REFS)) != 0) {
            return false;
        }
    } while (!atom_swap_if(&record->word, &word, word | WORD_ISOLATED));
    return true;
}

/* All idle frames of a part of a block are taken, or all frames that nobody has are idle again. */
static void window_set_idle(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                            uint32_t npages, bool idle)
{
    uint32_t base = span_bit(frames, span, pfn);
    uint32_t i = 0;

    while (i < npages) {
        uint32_t run = 0;

        while (i + run < npages &&
               atom_peek(&span_record(frames, span, pfn + i + run)->word) == 0 &&
               bitmap_test(frames->idle, base + i + run) != idle) {
            run++;
        }
        if (run != 0) {
            cma__account_idle(frames, span, pfn + i, run, idle);
        }
        i += run + 1;
    }
}

/* Where nobody has borrowed, idle bits tell all. */
static int window_isolate_empty(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                                uint32_t npages, cma_pfn_t *obstacle)
{
    uint32_t base = span_bit(frames, span, pfn);
    uint32_t taken = cma__bitmap_lowest(frames->idle, base, base + (npages - 1), false);

    if (taken != CMA__BIT_NONE) {
        *obstacle = pfn + (taken - base);
        return CMA_EBUSY;
    }
    cma__account_idle(frames, span, pfn, npages, false);
    return CMA_OK;
}

static int window_isolate_part(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                               uint32_t npages, cma_pfn_t *obstacle)
{
    uint32_t base = span_bit(frames, span, pfn);

    if (!block_is_borrowed(span_block_at(frames, span, pfn))) {
        return window_isolate_empty(frames, span, pfn, npages, obstacle);
    }
    for (uint32_t i = 0; i < npages; i++) {
        if (bitmap_test(frames->idle, base + i) ||
            window_mark(span_record(frames, span, pfn + i))) {
            continue;
        }
        *obstacle = pfn + i;
        /* What is held below was marked by us: nobody else marks here while we have the lock. */
        while (i-- > 0) {
            if (!bitmap_test(frames->idle, base + i)) {
                (void)atom_and(&span_record(frames, span, pfn + i)->word, ~WORD_ISOLATED);
            }
        }
        return CMA_EBUSY;
    }
    window_set_idle(frames, span, pfn, npages, false);
    return CMA_OK;
}

int cma__window_isolate(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                        uint32_t npages, cma_pfn_t *obstacle)
{
    uintptr_t state;
    int error;

    span = cma__span_from(span, pfn);
    state = cma__span_lock(frames, span);
    cma__assert(npages == window_part(frames, pfn, npages));
    error = window_isolate_part(frames, span, pfn, npages, obstacle);
    if (error == CMA_OK) {
        runs_changed(frames, span, pfn, npages, false);
    }
    cma__span_unlock(frames, span, state);
    return error;
}

static void window_restore_part(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                                uint32_t npages)
{
    if (!block_is_borrowed(span_block_at(frames, span, pfn))) {
        cma__account_idle(frames, span, pfn, npages, true);
        return;
    }
    for (uint32_t i = 0; i < npages; i++) {
        struct cma_frame_record *record = span_record(frames, span, pfn + i);

        if (word_is_held(atom_peek(&record->word))) {
            cma__assert((atom_peek(&record->word) & WORD_ISOLATED) != 0);
            (void)atom_and(&record->word, ~WORD_ISOLATED);
        }
    }
    window_set_idle(frames, span, pfn, npages, true);
}

/* Frames that are nobody's, all of them with `empty`, are idle again, and no frame is isolated. */
static void window_put_back(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                            uint32_t npages, bool empty)
{
    while (npages != 0) {
        uint32_t part = window_part(frames, pfn, npages);
        uintptr_t state;

        span = cma__span_from(span, pfn);
        state = cma__span_lock(frames, span);
        if (empty) {
            cma__account_idle(frames, span, pfn, part, true);
        } else {
            window_restore_part(frames, span, pfn, part);
        }
        runs_changed(frames, span, pfn, part, true);
        cma__span_unlock(frames, span, state);
        pfn += part;
        npages -= part;
    }
}

void cma__window_restore(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                         uint32_t npages)
{
    window_put_back(frames, span, pfn, npages, false);
    cma__frames_signal(frames);
}

/* --- buffers ------------------------------------------------------------------------------- */

#define WINDOW_STAMP_SHIFT 20 /* about a millisecond; 32 bits of it are 52 days */

uint32_t cma__frames_stamp(const struct cma_frames *frames)
{
    const struct cma_port *port = frames->port;

    return port->time_ns == NULL ? 0 : (uint32_t)(port->time_ns(port->ctx) >> WINDOW_STAMP_SHIFT);
}

bool cma__frames_buffer(const struct cma_frames *frames, const struct cma_span *span, cma_pfn_t pfn,
                        uint32_t word, struct cma_buffer *buffer)
{
    const struct cma_frame_record *record = span_record(frames, span, pfn);

    if (word == 0) {
        span = cma__span_from((struct cma_span *)(uintptr_t)span, pfn);
        return span->runs != 0 && frames->index->buffer(frames, span, pfn, buffer);
    }
    if (word_kind(word) != CMA_KIND_CLAIMED) {
        return false;
    }
    buffer->npages = word_npages(word);
    buffer->owner = atom_peek(&record->cookie);
    buffer->stamp = buffer->npages == 1 ? word & ~WORD_KIND : atom_peek(&record[1].cookie);
    return true;
}

uint64_t cma__window_age_ns(const struct cma_frames *frames, const struct cma_span *span,
                            cma_pfn_t pfn)
{
    uint32_t word = atom_load(&span_record(frames, span, pfn)->word);
    uint32_t now = cma__frames_stamp(frames);
    struct cma_buffer buffer;

    if (frames->port->time_ns == NULL || !cma__frames_buffer(frames, span, pfn, word, &buffer)) {
        return 0;
    }
    /* As coarse as what was kept, or a page would be older than it is. */
    now = buffer.npages == 1 ? now & ~WORD_KIND : now;
    return (uint64_t)(now - buffer.stamp) << WINDOW_STAMP_SHIFT;
}

void cma__window_claim(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                       uint32_t npages, uint32_t owner)
{
    struct cma_frame_record *record = span_record(frames, span, pfn);
    uint32_t stamp = cma__frames_stamp(frames);
    uintptr_t state;

    span = cma__span_from(span, pfn);
    state = cma__span_lock(frames, span);
    window_write(record, npages, owner, stamp);
    cma__span_unlock(frames, span, state);
}

/* Frames from this span up to `last` begin (1) or cease (UINT32_MAX) to be nobody's. */
static void window_pass(struct cma_span *span, cma_pfn_t last, uint32_t one)
{
    const struct cma_span *end = cma__span_from(span, last) + 1;

    while (span < end) {
        (void)atom_add(&(span++)->passing, one);
    }
}

int cma__window_release(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                        uint64_t npages, uint32_t owner)
{
    struct cma_frame_record *record = span_record(frames, span, pfn);
    cma_pfn_t last = pfn + (npages - 1);
    uintptr_t state;
    int error;

    span = cma__span_from(span, pfn);
    state = cma__span_lock(frames, span);
    error = window_check(record, npages, owner);
    if (error == CMA_OK) {
        /* The buffer is no more; until all of its blocks are idle, who sees one of them waits. */
        atom_store(&record->word, 0);
        window_pass(span, last, 1);
    }
    cma__span_unlock(frames, span, state);
    if (error != CMA_OK) {
        return error;
    }
    window_put_back(frames, span, pfn, (uint32_t)npages, true);
    window_pass(span, last, UINT32_MAX);
    cma__frames_signal(frames);
    return CMA_OK;
}

bool cma__block_lend(struct cma_frames *frames, struct cma_span *span, uint32_t block, bool lent)
{
    uintptr_t state;
    bool changes;

    for (; block >= span->nblocks; span++) {
        block -= span->nblocks;
    }
    state = cma__span_lock(frames, span);
    changes = ((span_block(frames, span, block)->flags & CMA_BLOCK_LENT) != 0) != lent;
    if (changes) {
        cma__account_lent(frames, span, block, lent);
    }
    cma__span_unlock(frames, span, state);
    return changes;
}
