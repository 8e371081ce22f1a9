/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pin.c - what stops a frame from moving, and who waits for it to end
 *
 * A pin is counted under the lock: a pinned droppable frame is none that a destination can be made
 * of, and the zone's count says so. A short reference is one compare-and-swap. Neither is given on
 * a frame that is frozen or that a claim has marked: from the mark on a claim's frames can only get
 * free of references, so what it saw before its first copy stays true.
 *
 * Waiting: one event word for the whole table. Who lets a frame go changes it after the frame's
 * state, who waits reads it before; so a change between look and wait is never slept over.
 */
#include "table.h"

#include "../base/atomic.h"
#include "account.h"
#include "runs.h"
#include "slot.h"
#include "word.h"

void cma__frames_signal(struct cma_frames *frames)
{
    const struct cma_port *port = frames->port;

    (void)atom_add(&frames->event, 1);
    if (atom_load_ordered(&frames->waiters) != 0 && port->wake != NULL) {
        port->wake(port->ctx, &frames->event);
    }
}

uint32_t cma_frames_event(const struct cma_frames *frames)
{
    return atom_load_ordered(&frames->event);
}

int cma_frames_wait(struct cma_frames *frames, uint32_t seen)
{
    const struct cma_port *port = frames->port;

    if (port->wait == NULL) {
        return cma_frames_event(frames) != seen ? CMA_OK : CMA_EAGAIN;
    }
    (void)atom_add(&frames->waiters, 1);
    while (cma_frames_event(frames) == seen) {
        port->wait(port->ctx, &frames->event, seen);
    }
    (void)atom_sub(&frames->waiters, 1);
    return CMA_OK;
}

/* One pin more, or less. */
static int pin_change(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn, bool more)
{
    struct cma_frame_record *record = span_record(frames, span, pfn);
    uint32_t word = atom_load(&record->word);
    uint32_t after;

    do {
        if (!word_is_held(word) || (!more && (word & WORD_PINS) == 0)) {
            return CMA_EBADF;
        }
        if (more && (word & (WORD_FROZEN | WORD_ISOLATED)) != 0) {
            return CMA_EAGAIN;
        }
        if (more && (word & WORD_PINS) == WORD_PINS) {
            return CMA_EOVERFLOW;
        }
        after = more ? word + WORD_PIN : word - WORD_PIN;
    } while (!atom_swap_if(&record->word, &word, after));
    if ((word & WORD_PINS) == 0 || (after & WORD_PINS) == 0) {
        if (span->is_area != 0) {
            atom_poke(&span->pinned, more ? span->pinned + 1 : span->pinned - 1);
            runs_changed(frames, span, pfn, 1, !more);
        }
        cma__account_change(frames, span, pfn, word, after);
    }
    return CMA_OK;
}

static int pin_change_locked(struct cma_frames *frames, cma_pfn_t pfn, bool more)
{
    struct cma_span *span = cma__span_of(frames, pfn);
    uintptr_t state;
    int error;

    if (span == NULL) {
        return CMA_ENOENT;
    }
    if (more && span->is_area != 0 &&
        (span->lend_class == CMA_LEND_SLOT || cma__slot_find(frames, span, pfn) != NULL)) {
        return CMA_EPERM;
    }
    state = cma__span_lock(frames, span);
    error = pin_change(frames, span, pfn, more);
    cma__span_unlock(frames, span, state);
    return error;
}

int cma_frame_pin_in_place(struct cma_frames *frames, cma_pfn_t pfn)
{
    return pin_change_locked(frames, pfn, true);
}

int cma_frame_unpin(struct cma_frames *frames, cma_pfn_t pfn)
{
    return pin_change_locked(frames, pfn, false);
}

int cma_frame_pin(struct cma_frames *frames, cma_pfn_t pfn, cma_pfn_t *pinned)
{
    struct cma_span *span = cma__span_of(frames, pfn);
    int error;

    if (span != NULL && span->is_area != 0) {
        return cma__frame_move_pinned(frames, span, pfn, pinned);
    }
    error = cma_frame_pin_in_place(frames, pfn);
    if (error == CMA_OK) {
        *pinned = pfn;
    }
    return error;
}

/* One short reference more, or less. */
static int ref_change(struct cma_frames *frames, cma_pfn_t pfn, bool more)
{
    const struct cma_span *span = cma__span_of(frames, pfn);
    struct cma_frame_record *record;
    uint32_t word, after;

    if (span == NULL) {
        return CMA_ENOENT;
    }
    record = span_record(frames, span, pfn);
    word = atom_load(&record->word);
    do {
        if (!word_is_held(word) || (!more && (word & WORD_REFS) == 0)) {
            return CMA_EBADF;
        }
        after = word - WORD_REF;
        if (more) {
            if (span->is_area != 0 &&
                (span->lend_class == CMA_LEND_SLOT ||
                 ((word & WORD_FROZEN) == 0 && cma__slot_find(frames, span, pfn) != NULL))) {
                return CMA_EBUSY;
            }
            if ((word & (WORD_FROZEN | WORD_ISOLATED)) != 0) {
                return CMA_EAGAIN;
            }
            if ((word & WORD_REFS) == WORD_REFS) {
                return CMA_EOVERFLOW;
            }
            after = word + WORD_REF;
        }
    } while (!atom_swap_if(&record->word, &word, after));
    if ((after & WORD_REFS) == 0) {
        cma__frames_signal(frames);
    }
    return CMA_OK;
}

int cma_frame_ref(struct cma_frames *frames, cma_pfn_t pfn)
{
    return ref_change(frames, pfn, true);
}

int cma_frame_unref(struct cma_frames *frames, cma_pfn_t pfn)
{
    return ref_change(frames, pfn, false);
}
