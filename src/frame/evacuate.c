/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * evacuate.c - a window is emptied in runs
 *
 * The same steps as in migrate.c, each for many frames at a time, so that a page costs little more
 * than its copy:
 *
 *      gather        held frames of one mover, upwards
 *      destinations  in runs: one call for as many as lie side by side
 *      freeze        the words, then one call of the mover's
 *      publish       all records of a block under one lock
 *      ... until the batch is full ...
 *      flush         one for all, discarded frames too
 *      copy          one call where source and destination both go on without a gap
 *      commit        one call a mover, then the destinations are thawed
 *      leave         all sources of a block under one lock
 *
 * Discards need no batch: what is dropped is the claim's at once, and flushed with the next batch.
 * A frame that can't be frozen at first sight is given to migrate.c alone, which says why. A batch
 * that meets a refusal is undone as a whole.
 *
 * Only areas with an engine come here: a board that counts its bytes does without.
 */
#include "table.h"

#include "../base/atomic.h"
#include "../base/bits.h"
#include "../base/guard.h"
#include "account.h"
#include "runs.h"
#include "slot.h"
#include "word.h"

/* A frame in a batch is 24 bytes of stack. */
#define EVACUATE_BATCH (UINTPTR_MAX > UINT32_MAX ? 32 : 8)

struct evacuate {
    struct cma_frames *frames;
    struct cma_evacuation *evacuation;
    const struct cma_span *lane; /* of the window's first frame */
    cma_pfn_t last;              /* of the window */
    uint32_t count;              /* moves that are frozen on both sides and wait for the flush */
    bool flush;                  /* something was discarded since the last flush */
    struct cma_move moves[EVACUATE_BATCH];
};

/* The record of a source: records of an area's lanes are contiguous, whichever of them is meant. */
static struct cma_frame_record *evacuate_source(const struct evacuate *evacuate, cma_pfn_t pfn)
{
    return span_record(evacuate->frames, evacuate->lane, pfn);
}

static uint32_t evacuate_word(const struct evacuate *evacuate, cma_pfn_t pfn)
{
    return atom_load(&evacuate_source(evacuate, pfn)->word);
}

/* --- books, a block at a time -------------------------------------------------------------- */

/* Which side of a move, and what becomes of it. */
enum evacuate_change { EVACUATE_PUBLISH, EVACUATE_UNPUBLISH, EVACUATE_LEAVE };

static cma_pfn_t evacuate_side(const struct cma_move *move, enum evacuate_change change)
{
    return change == EVACUATE_LEAVE ? move->from : move->to;
}

/* Changes one record; returns the word whose frame comes or goes. */
static uint32_t evacuate_record(struct cma_frame_record *record, const struct cma_move *move,
                                uint32_t publish)
{
    uint32_t word = atom_peek(&record->word);

    atom_poke(&record->cookie, publish != 0 ? move->cookie : 0);
    if (publish != 0) {
        cma__assert(word == 0);
        word = publish;
    } else {
        cma__assert((word & WORD_FROZEN) != 0);
    }
    atom_store(&record->word, publish);
    return word;
}

/* As many moves from the first as lie in one block of a span; the lock is held. */
static uint32_t evacuate_block(const struct evacuate *evacuate, struct cma_span *span,
                               const struct cma_move *moves, uint32_t nmoves,
                               enum evacuate_change change)
{
    struct cma_frames *frames = evacuate->frames;
    uint32_t block = cma__span_block_of(frames, span, evacuate_side(moves, change));
    uint32_t kept = 0, droppable = 0, spare = 0, n = 0;
    bool comes = change == EVACUATE_PUBLISH;

    for (; n < nmoves; n++) {
        cma_pfn_t pfn = evacuate_side(&moves[n], change);
        uint32_t word = 0;

        if (pfn - span->pfn >= span->npages || cma__span_block_of(frames, span, pfn) != block) {
            break;
        }
        if (comes) {
            word = evacuate_word(evacuate, moves[n].from) & (WORD_KIND | WORD_MOVER);
            word |= WORD_HEAD | WORD_FROZEN;
        }
        word = evacuate_record(span_record(frames, span, pfn), &moves[n], word);
        if (comes) {
            runs_changed(frames, span, pfn, 1, true);
        } else if (change == EVACUATE_UNPUBLISH) {
            runs_changed(frames, span, pfn, 1, false);
        }
        kept += word_kind(word) == CMA_KIND_MOVABLE ? 1 : 0;
        droppable += word_kind(word) == CMA_KIND_DROPPABLE ? 1 : 0;
        spare += cma__frame_is_spare(frames, span, word) ? 1 : 0;
    }
    if (comes) {
        (void)atom_sub(&span->passing, n);
        if (span->is_area != 0) {
            block_lend_again(span_block(frames, span, block));
        }
        cma__account_counts(frames, span, block, kept, droppable, spare);
    } else {
        if (change == EVACUATE_UNPUBLISH) {
            (void)atom_add(&span->passing, n);
        }
        cma__account_counts(frames, span, block, 0 - kept, 0 - droppable, 0 - spare);
    }
    return n;
}

/* Destinations get their records or lose them again (they are nobody's before and after), or
 * sources are left to the claim. Over a host's allocator destinations have no records. */
static void evacuate_books(const struct evacuate *evacuate, const struct cma_move *moves,
                           uint32_t nmoves, enum evacuate_change change)
{
    struct cma_frames *frames = evacuate->frames;
    uint32_t i = 0;

    while (i < nmoves) {
        struct cma_span *span = cma__span_of(frames, evacuate_side(&moves[i], change));
        uintptr_t state;

        if (span == NULL) {
            i++;
            continue;
        }
        state = cma__span_lock(frames, span);
        i += evacuate_block(evacuate, span, moves + i, nmoves - i, change);
        cma__span_unlock(frames, span, state);
    }
}

/* --- destinations -------------------------------------------------------------------------- */

/* Destinations for the first moves, in the order in which they come. Returns how many. */
static uint32_t evacuate_destinations(struct cma_frames *frames, struct cma_move *moves,
                                      uint32_t nmoves, const struct cma_mover *mover,
                                      uint32_t flags)
{
    const struct cma_pages_ops *ops = frames->ops;
    uint32_t count = 0;

    while (ops != NULL && count < nmoves) {
        struct cma_destination want = {.paddr_last = mover->paddr_last,
                                       .from = moves[count].from,
                                       .npages = nmoves - count,
                                       .flags = flags};
        cma_pfn_t to;
        int n = ops->destination(ops->ctx, &want, &to);

        if (n <= 0) {
            break;
        }
        cma__assert((uint32_t)n <= want.npages);
        while (n-- > 0) {
            moves[count++].to = to++;
        }
    }
    return count;
}

/* How many moves from the first have sources (with `both`) and destinations side by side. */
static uint32_t evacuate_run(const struct cma_move *moves, uint32_t nmoves, bool both)
{
    uint32_t n = 1;

    while (n < nmoves && moves[n].to == moves[0].to + n &&
           (!both || moves[n].from == moves[0].from + n)) {
        n++;
    }
    return n;
}

static void evacuate_put(struct cma_frames *frames, const struct cma_move *moves, uint32_t nmoves)
{
    for (uint32_t i = 0, n; i < nmoves; i += n) {
        n = evacuate_run(moves + i, nmoves - i, false);
        frames->ops->destination_put(frames->ops->ctx, moves[i].to, n);
    }
}

/* --- freeze and discard -------------------------------------------------------------------- */

/* Freezes the word of a source, and notes its cookie as it is then. */
static int evacuate_hold(const struct evacuate *evacuate, struct cma_move *move, enum cma_kind kind)
{
    struct cma_frame_record *record = evacuate_source(evacuate, move->from);
    uint32_t word;
    int error = cma__frame_freeze(record, true, &word);

    if (error == CMA_OK && kind == CMA_KIND_DROPPABLE && word_kind(word) != kind) {
        cma__frame_thaw(record);
        cma__frames_signal(evacuate->frames);
        error = CMA_EBADF;
    }
    if (error == CMA_OK) {
        move->cookie = atom_peek(&record->cookie);
    }
    return error;
}

static void evacuate_thaw(const struct evacuate *evacuate, const struct cma_move *moves,
                          uint32_t nmoves)
{
    for (uint32_t i = 0; i < nmoves; i++) {
        cma__frame_thaw(evacuate_source(evacuate, moves[i].from));
    }
    if (nmoves != 0) {
        cma__frames_signal(evacuate->frames);
    }
}

/* One call of the mover's for all, or one for each. */
static uint32_t evacuate_ask(const struct cma_mover *mover, const struct cma_move *moves,
                             uint32_t nmoves, bool discard, int *error)
{
    uint32_t i = 0;

    if (discard ? mover->discard_many != NULL : mover->freeze_many != NULL) {
        return discard ? mover->discard_many(mover->ctx, moves, nmoves, error)
                       : mover->freeze_many(mover->ctx, moves, nmoves, error);
    }
    for (; i < nmoves; i++) {
        *error = discard ? mover->discard(mover->ctx, moves[i].from, moves[i].cookie)
                         : mover->freeze(mover->ctx, moves[i].from, moves[i].cookie);
        if (*error != CMA_OK) {
            break;
        }
    }
    return i;
}

/* Asks for the data of frames of one mover, which are all frozen then, or not the mover's any more.
 * Returns how many from the first; fewer than nmoves: *error says why the next was not. */
static uint32_t evacuate_freeze(const struct evacuate *evacuate, const struct cma_mover *mover,
                                struct cma_move *moves, uint32_t nmoves, bool discard, int *error)
{
    bool many = discard ? mover->discard_many != NULL : mover->freeze_many != NULL;
    enum cma_kind kind = discard ? CMA_KIND_DROPPABLE : CMA_KIND_NONE;
    uint32_t step = many ? nmoves : 1;
    uint32_t count = 0;

    *error = CMA_OK;
    while (count < nmoves && *error == CMA_OK) {
        uint32_t held = 0, asked = 0;
        int refused = CMA_EBUSY;

        while (held < step && *error == CMA_OK) {
            *error = evacuate_hold(evacuate, &moves[count + held], kind);
            held += *error == CMA_OK ? 1 : 0;
        }
        if (held != 0) {
            asked = evacuate_ask(mover, moves + count, held, discard, &refused);
        }
        evacuate_thaw(evacuate, moves + count + asked, held - asked);
        *error = asked < held ? refused : *error;
        count += asked;
    }
    return count;
}

static int evacuate_discard(struct evacuate *evacuate, const struct cma_mover *mover,
                            struct cma_move *moves, uint32_t nmoves, uint32_t *done)
{
    struct cma_frames *frames = evacuate->frames;
    int error;

    *done = evacuate_freeze(evacuate, mover, moves, nmoves, true, &error);
    if (*done != 0) {
        evacuate_books(evacuate, moves, *done, EVACUATE_LEAVE);
        evacuate->evacuation->dropped += *done;
        evacuate->flush = true;
        cma__frames_signal(frames);
    }
    return error;
}

/* The same for kept frames of a slot, whose destinations are there: frozen before these are taken
 * (slot.c says why). */
static int evacuate_begin_booked(struct evacuate *evacuate, const struct cma_mover *mover,
                                 uint32_t nmoves)
{
    struct cma_frames *frames = evacuate->frames;
    struct cma_move *moves = &evacuate->moves[evacuate->count];
    uint32_t held = 0, found = 0, asked = 0;
    int error = CMA_OK, refused = CMA_EAGAIN;

    while (held < nmoves && error == CMA_OK) {
        error = evacuate_hold(evacuate, &moves[held], CMA_KIND_NONE);
        held += error == CMA_OK ? 1 : 0;
    }
    if (held != 0) {
        found = evacuate_destinations(frames, moves, held, mover, CMA_DESTINATION_PROMISED);
    }
    if (found != 0) {
        asked = evacuate_ask(mover, moves, found, false, &refused);
    }
    evacuate_books(evacuate, moves, asked, EVACUATE_PUBLISH);
    evacuate_put(frames, moves + asked, found - asked);
    evacuate_thaw(evacuate, moves + asked, held - asked);
    evacuate->count += asked;
    return asked < held ? refused : error;
}

/* From free destinations to both sides frozen, for as many as there are destinations. */
static int evacuate_begin(struct evacuate *evacuate, const struct cma_mover *mover, uint32_t nmoves,
                          bool kept)
{
    struct cma_frames *frames = evacuate->frames;
    struct cma_move *moves = &evacuate->moves[evacuate->count];
    uint32_t found, frozen;
    int error;

    if (kept && evacuate->evacuation->destination != 0) {
        return evacuate_begin_booked(evacuate, mover, nmoves);
    }
    found = evacuate_destinations(frames, moves, nmoves, mover, 0);
    if (found == 0) {
        return CMA_ENOMEM;
    }
    frozen = evacuate_freeze(evacuate, mover, moves, found, false, &error);
    evacuate_books(evacuate, moves, frozen, EVACUATE_PUBLISH);
    evacuate_put(frames, moves + frozen, found - frozen);
    evacuate->count += frozen;
    return error;
}

/* --- a batch ------------------------------------------------------------------------------- */

/* Commits moves of one mover; their destinations go on. */
static void evacuate_commit(const struct evacuate *evacuate, const struct cma_mover *mover,
                            const struct cma_move *moves, uint32_t nmoves)
{
    const struct cma_frames *frames = evacuate->frames;
    const struct cma_span *span = NULL;

    if (mover->commit_many != NULL) {
        mover->commit_many(mover->ctx, moves, nmoves);
    } else {
        mover->commit(mover->ctx, moves->from, moves->to, moves->cookie);
    }
    for (uint32_t i = 0; i < nmoves; i++) {
        if (span == NULL || moves[i].to - span->pfn >= span->npages) {
            span = cma__span_of(frames, moves[i].to);
        }
        if (span != NULL) {
            cma__frame_thaw(span_record(frames, span, moves[i].to));
        }
    }
}

/* How many moves from the first are committed in one call of this mover. */
static uint32_t evacuate_together(const struct evacuate *evacuate, const struct cma_mover *mover,
                                  const struct cma_move *moves, uint32_t nmoves)
{
    uint32_t n = 1;

    while (mover->commit_many != NULL && n < nmoves &&
           frame_mover(evacuate->frames, evacuate_word(evacuate, moves[n].from)) == mover) {
        n++;
    }
    return n;
}

static void evacuate_finish(struct evacuate *evacuate)
{
    struct cma_frames *frames = evacuate->frames;
    const struct cma_port *port = frames->port;
    const struct cma_move *moves = evacuate->moves;
    uint32_t count = evacuate->count;

    if (count != 0 || evacuate->flush) {
        guard_tlb_flush(port);
        evacuate->evacuation->flushes++;
    }
    evacuate->count = 0;
    evacuate->flush = false;
    if (count == 0) {
        return;
    }
    for (uint32_t i = 0, n; i < count; i += n) {
        n = evacuate_run(moves + i, count - i, true);
        port->copy(port->ctx, moves[i].to << port->page_shift, moves[i].from << port->page_shift,
                   (uint64_t)n << port->page_shift);
    }
    for (uint32_t i = 0, n; i < count; i += n) {
        uint32_t word = evacuate_word(evacuate, moves[i].from);
        const struct cma_mover *mover = frame_mover(frames, word);

        n = evacuate_together(evacuate, mover, moves + i, count - i);
        evacuate_commit(evacuate, mover, moves + i, n);
    }
    evacuate_books(evacuate, moves, count, EVACUATE_LEAVE);
    evacuate->evacuation->copied += count;
    cma__frames_signal(frames);
}

/* Destinations that were booked for what a slot keeps say so again. */
static void evacuate_mark(const struct evacuate *evacuate)
{
    const struct cma_frames *frames = evacuate->frames;

    for (uint32_t i = 0; i < evacuate->count; i++) {
        cma_pfn_t to = evacuate->moves[i].to;
        uint32_t word = evacuate_word(evacuate, evacuate->moves[i].from);

        if (word_kind(word) == CMA_KIND_MOVABLE) {
            uint32_t zone = cma__promise_zone(frames, frame_mover(frames, word)->paddr_last);

            atom_poke(&span_record(frames, cma__span_of(frames, to), to)->cookie,
                      CMA__PROMISE_MARK(zone));
        }
    }
}

static void evacuate_undo(struct evacuate *evacuate)
{
    struct cma_frames *frames = evacuate->frames;
    const struct cma_move *moves = evacuate->moves;

    if (evacuate->evacuation->destination != 0) {
        evacuate->evacuation->flush = evacuate->flush;
    } else if (evacuate->flush) {
        guard_tlb_flush(frames->port);
    }
    evacuate_books(evacuate, moves, evacuate->count, EVACUATE_UNPUBLISH);
    if (evacuate->evacuation->destination != 0) {
        evacuate_mark(evacuate);
    }
    evacuate_put(frames, moves, evacuate->count);
    for (uint32_t i = 0; i < evacuate->count; i++) {
        uint32_t word = evacuate_word(evacuate, moves[i].from);
        const struct cma_mover *mover = frame_mover(frames, word);

        mover->abort(mover->ctx, moves[i].from, moves[i].cookie);
    }
    evacuate_thaw(evacuate, moves, evacuate->count);
}

/* --- a window ------------------------------------------------------------------------------ */

/*
 * Held frames of one mover and one kind from *pfn up, as many as the batch has room for. Returns
 * how many, and *word of the first of them. *pfn is then the first frame that was not looked at;
 * with 0, one that nothing can be said about here, or behind the window's end.
 */
static uint32_t evacuate_gather(struct evacuate *evacuate, cma_pfn_t *pfn, uint32_t *word)
{
    const struct cma_frames *frames = evacuate->frames;
    struct cma_move *moves = &evacuate->moves[evacuate->count];
    uint32_t room = EVACUATE_BATCH - evacuate->count;
    cma_pfn_t at = *pfn;
    uint32_t n = 0;

    while (at <= evacuate->last && n < room) {
        const struct cma_span *span = cma__span_of(frames, at);
        const struct cma_block *block = span_block_at(frames, span, at);
        cma_pfn_t block_last = bits_min(span_last(span), at | span_block_mask(frames));
        cma_pfn_t block_end = bits_min(evacuate->last, block_last) + 1;

        if (!block_is_borrowed(block)) {
            /* Nobody has anything in this block. */
            at = block_end;
            continue;
        }
        for (; at < block_end && n < room; at++) {
            uint32_t now = atom_load(&span_record(frames, span, at)->word);

            if (word_kind(now) == CMA_KIND_NONE) {
                continue;
            }
            if (!word_is_lendable(now) ||
                (now & (WORD_FROZEN | WORD_ISOLATED | WORD_PINS | WORD_REFS)) != WORD_ISOLATED ||
                (n != 0 && ((now ^ *word) & (WORD_KIND | WORD_MOVER)) != 0)) {
                *pfn = at;
                return n;
            }
            *word = now;
            moves[n++].from = at;
        }
    }
    *pfn = at;
    return n;
}

/* Empties the frames gathered, or has them wait in the batch. Returns 0 or an error, and *pfn: the
 * first frame that is neither. */
static int evacuate_group(struct evacuate *evacuate, uint32_t nmoves, uint32_t word, cma_pfn_t *pfn)
{
    const struct cma_mover *mover = frame_mover(evacuate->frames, word);
    struct cma_move *moves = &evacuate->moves[evacuate->count];
    uint32_t before = evacuate->count, done;
    int error;

    if (word_kind(word) == CMA_KIND_DROPPABLE) {
        error = evacuate_discard(evacuate, mover, moves, nmoves, &done);
        if ((error != CMA_EBUSY && error != CMA_EBADF) || evacuate->evacuation->destination != 0) {
            *pfn = error != CMA_OK ? moves[done].from : *pfn;
            return error;
        }
        /* One that its mover would not drop may still be carried elsewhere; not out of a slot, for
         * nothing is booked for it, and its mover has broken its word. */
        moves[0].from = moves[done].from;
        *pfn = done + 1 < nmoves ? moves[done + 1].from : *pfn;
        nmoves = 1;
    }
    error = evacuate_begin(evacuate, mover, nmoves, word_kind(word) == CMA_KIND_MOVABLE);
    done = evacuate->count - before;
    if (done < nmoves) {
        *pfn = moves[done].from;
    }
    return error;
}

int cma__window_evacuate_runs(struct cma_frames *frames, cma_pfn_t pfn, uint32_t npages,
                              struct cma_evacuation *evacuation)
{
    struct evacuate evacuate;
    int error = CMA_OK;

    evacuate.frames = frames;
    evacuate.lane = cma__span_of(frames, pfn);
    evacuate.evacuation = evacuation;
    evacuate.last = pfn + (npages - 1);
    evacuate.count = 0;
    evacuate.flush = evacuation->flush;
    evacuation->flush = false;
    evacuation->obstacle = CMA_PFN_NONE;
    while (pfn <= evacuate.last && error == CMA_OK) {
        uint32_t word = 0;
        uint32_t nmoves = evacuate_gather(&evacuate, &pfn, &word);

        if (nmoves != 0) {
            error = evacuate_group(&evacuate, nmoves, word, &pfn);
            if (error == CMA_ENOENT || error == CMA_EBADF) {
                /* Its holder is just giving it back, or has done so. */
                bool gone = word_kind(evacuate_word(&evacuate, pfn)) == CMA_KIND_NONE;

                error = error == CMA_ENOENT && gone ? CMA_OK : CMA_EAGAIN;
            }
        } else if (pfn <= evacuate.last && evacuation->destination == 0) {
            error = cma__window_evacuate(frames, pfn, 1, evacuation);
            pfn += error == CMA_OK ? 1 : 0;
        } else if (pfn <= evacuate.last) {
            /* Frozen, for nothing else holds a frame of a slot. */
            error = CMA_EAGAIN;
        }
        if (error == CMA_OK && evacuate.count == EVACUATE_BATCH) {
            evacuate_finish(&evacuate);
        }
    }
    if (error != CMA_OK) {
        evacuation->obstacle = pfn;
    }
    if (error == CMA_OK || (error == CMA_EAGAIN && evacuation->destination == 0)) {
        evacuate_finish(&evacuate);
    } else {
        evacuate_undo(&evacuate);
    }
    return error;
}
