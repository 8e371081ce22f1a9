/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * recent.h - buffers released a moment ago, and taken again
 *
 * A stream releases a buffer and asks for one as long: it gets the same place, without a search.
 * These few functions are what most requests and releases of a device come to, so they are inlined
 * into those who call them (src/cma/quick.c), and written for a lane that nobody waits for.
 */
#ifndef CMA_FRAME_RECENT_H
#define CMA_FRAME_RECENT_H

#include "runs_view.h"

/* Is a window empty: are all of its frames idle? */
static inline bool runs_is_idle(const struct runs_view *view, uint32_t at, uint32_t npages)
{
    uint32_t end = view->base + at + npages;

    return runs_bit_up(view->frames->idle, view->base + at, end, UINT32_MAX) == end;
}

/* Idle bits and counts of a window, block by block. */
void cma__runs_account(struct cma_frames *frames, struct cma_span *span, uint32_t at,
                       uint32_t npages, bool idle);

/* The same for a window whose idle bits lie in one word of a block that was not lent; false: it is
 * another one. */
static CMA__INLINE bool runs_account_word(const struct runs_view *view, uint32_t at,
                                          uint32_t npages, bool idle)
{
    uint32_t bit = view->base + at, part, *word = &view->frames->idle[bit / 32];
    struct cma_block *block = span_block(view->frames, view->span, runs_block_of(view, at));

    if (CMA__UNLIKELY(bit % 32 + npages > 32) ||
        CMA__UNLIKELY((block->flags & CMA_BLOCK_LENT) != 0)) {
        return false;
    }
    part = (UINT32_MAX >> (32 - npages)) << (bit % 32);
    /* What was released since the last search lies in blocks that nobody has taken for whole; and
     * who takes something there that was not lent empties the list. */
    cma__assert(runs_has(view, RUNS_TREE_BROKEN, runs_block_of(view, at)));
    cma__assert(((atom_peek(word) ^ (idle ? UINT32_MAX : 0)) & part) == part);
    atom_poke(word, atom_peek(word) ^ part);
    atom_poke16(&block->idle, (uint16_t)(block->idle + (idle ? npages : 0 - npages)));
    return true;
}

/* A place that was released since the last search is taken. False: somebody has something in it. */
static CMA__INLINE bool runs_take(const struct runs_view *view, uint32_t at, uint32_t npages)
{
    if (CMA__LIKELY(runs_account_word(view, at, npages, false))) {
        return true;
    }
    if (!runs_is_idle(view, at, npages)) {
        return false;
    }
    cma__runs_account(view->frames, view->span, at, npages, false);
    return true;
}

static CMA__INLINE void runs_put(const struct runs_view *view, uint32_t at, uint32_t npages)
{
    if (!CMA__LIKELY(runs_account_word(view, at, npages, true))) {
        cma__runs_account(view->frames, view->span, at, npages, true);
    }
}

/* Is a buffer of this length written down beside the index? */
static CMA__INLINE bool runs_is_long(const struct runs_view *view, uint32_t npages)
{
    return CMA__UNLIKELY(npages >= CMA__LONG_NPAGES) && view->index->buffers != 0;
}

static CMA__INLINE void runs_hand_over(const struct runs_view *view, uint32_t at, uint32_t npages,
                                       uint32_t owner, uint32_t stamp)
{
    if (runs_is_long(view, npages)) {
        struct cma_buffer *buffer = runs_buffer(view, at);

        cma__assert(buffer->npages == 0);
        atom_poke(&buffer->at, at);
        atom_poke(&buffer->owner, owner);
        atom_poke(&buffer->stamp, stamp);
        atom_store(&buffer->npages, npages);
    } else {
        window_write(&view->frames->records[view->span->record + at], npages, owner, stamp);
    }
    view->index->claims++;
    atom_poke(&view->index->claimed_npages, view->index->claimed_npages + npages);
}

/* A buffer leaves the list of those released. In which order they are does not matter. */
static inline void runs_unlist(struct cma_runs *index, uint32_t i)
{
    uint32_t last = index->nrecent - 1;

    atom_poke(&index->nrecent, last);
    if (CMA__UNLIKELY(i != last)) {
        atom_poke(&index->recent[i][0], index->recent[last][0]);
        atom_poke(&index->recent[i][1], index->recent[last][1]);
    }
}

/* Claims the place of a buffer of this length that was released since the last search, if it has
 * the alignment and nobody has anything in it. */
static CMA__INLINE bool runs_refill(struct cma_frames *frames, struct cma_span *span,
                                    uint32_t npages, uint64_t align_npages, uint32_t owner,
                                    cma_pfn_t *pfn)
{
    struct runs_view view = runs_view(frames, span);
    struct cma_runs *index = view.index;
    uint32_t i = atom_peek(&index->nrecent);
    uint32_t at, stamp;
    uintptr_t state;
    bool found;

    /* Looked at first without the lock: most requests have no luck. */
    do {
        if (i-- == 0) {
            return false;
        }
        at = atom_peek(&index->recent[i][0]);
    } while (atom_peek(&index->recent[i][1]) != npages ||
             ((span->pfn + at) & (align_npages - 1)) != 0);
    stamp = cma__frames_stamp(frames);
    state = runs_lock(&view);
    found = CMA__LIKELY(i < index->nrecent) && CMA__LIKELY(index->recent[i][0] == at) &&
            CMA__LIKELY(index->recent[i][1] == npages) && runs_take(&view, at, npages);
    if (CMA__LIKELY(found)) {
        runs_unlist(index, i);
        runs_hand_over(&view, at, npages, owner, stamp);
        *pfn = span->pfn + at;
    }
    runs_unlock(&view, state);
    return found;
}

/* The word that says that a buffer is there, if there is one of this length and owner; or the
 * error. */
static CMA__INLINE uint32_t *runs_check_buffer(const struct runs_view *view, uint32_t at,
                                               uint32_t npages, uint32_t owner, int *error)
{
    struct cma_frame_record *record = &view->frames->records[view->span->record + at];

    if (runs_is_long(view, npages)) {
        struct cma_buffer *buffer = runs_buffer(view, at);

        if (CMA__LIKELY(buffer->npages == npages && buffer->at == at && buffer->owner == owner)) {
            *error = CMA_OK;
            return &buffer->npages;
        }
    }
    *error = window_check(record, npages, owner);
    return &record->word;
}

/* Releases a buffer that lies wholly in the lane. Returns 0, CMA_EBADF, CMA_EINVAL, CMA_EPERM as
 * cma__window_release, but CMA_EBADF for all that is wrong with a long buffer. */
static CMA__INLINE int runs_release(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                                    uint32_t npages, uint32_t owner)
{
    struct runs_view view = runs_view(frames, span);
    uint32_t at = (uint32_t)(pfn - span->pfn);
    struct cma_runs *index = view.index;
    uintptr_t state = runs_lock(&view);
    int error;
    uint32_t *word = runs_check_buffer(&view, at, npages, owner, &error);

    if (CMA__LIKELY(error == CMA_OK)) {
        atom_store(word, 0);
        runs_put(&view, at, npages);
        if (CMA__UNLIKELY(index->nrecent == CMA__RUNS_RECENT)) {
            cma__runs_forget_recent(frames, span);
        }
        atom_poke(&index->recent[index->nrecent][0], at);
        atom_poke(&index->recent[index->nrecent][1], npages);
        atom_poke(&index->nrecent, index->nrecent + 1);
        index->full_npages = 0;
        index->released++;
        atom_poke(&index->claimed_npages, index->claimed_npages - npages);
    }
    runs_unlock(&view, state);
    return error;
}

#endif
