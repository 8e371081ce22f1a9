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

/* The same; where all idle bits lie in one word, without a call. */
static CMA__INLINE void runs_account(const struct runs_view *view, uint32_t at, uint32_t npages,
                                     bool idle)
{
    uint32_t number = runs_block_of(view, at), bit = view->base + at;
    struct cma_block *block = span_block(view->frames, view->span, number);
    uint32_t *word = &view->frames->idle[bit / 32];

    /* What was released since the last search is in a block that was not whole, and is not yet
     * taken for one. */
    cma__assert(runs_has(view, RUNS_TREE_BROKEN, number));
    if (bit % 32 + npages > 32 || (block->flags & CMA_BLOCK_LENT) != 0) {
        cma__runs_account(view->frames, view->span, at, npages, idle);
        return;
    }
    atom_poke(word, atom_peek(word) ^ bits_mask(bit % 32, bit % 32 + npages - 1));
    atom_poke16(&block->idle, (uint16_t)(block->idle + (idle ? npages : 0 - npages)));
}

static CMA__INLINE void runs_hand_over(const struct runs_view *view, uint32_t at, uint32_t npages,
                                       uint32_t owner, uint32_t stamp)
{
    window_write(&view->frames->records[view->span->record + at], npages, owner, stamp);
    view->index->claims++;
    atom_poke(&view->index->claimed_npages, view->index->claimed_npages + npages);
}

/* A buffer leaves the list of those released. In which order they are does not matter. */
static inline void runs_unlist(struct cma_runs *index, uint32_t i)
{
    uint32_t last = index->nrecent - 1;

    atom_poke(&index->nrecent, last);
    atom_poke(&index->recent[i][0], index->recent[last][0]);
    atom_poke(&index->recent[i][1], index->recent[last][1]);
}

/* Claims the place of a buffer of this length that was released since the last search, if it has
 * the alignment and nobody has anything in it. */
static CMA__INLINE bool runs_refill(struct cma_frames *frames, struct cma_span *span,
                                    uint32_t npages, uint64_t align_npages, uint32_t owner,
                                    uint32_t stamp, cma_pfn_t *pfn)
{
    struct runs_view view = runs_view(frames, span);
    struct cma_runs *index = view.index;
    uint32_t i = atom_peek(&index->nrecent);
    uintptr_t state;
    uint32_t at;
    bool found;

    /* Looked at first without the lock: most requests have no luck. */
    do {
        if (i-- == 0) {
            return false;
        }
        at = atom_peek(&index->recent[i][0]);
    } while (atom_peek(&index->recent[i][1]) != npages ||
             ((span->pfn + at) & (align_npages - 1)) != 0);
    state = runs_lock(&view);
    found = i < index->nrecent && index->recent[i][0] == at && index->recent[i][1] == npages &&
            runs_is_idle(&view, at, npages);
    if (found) {
        runs_unlist(index, i);
        runs_account(&view, at, npages, false);
        runs_hand_over(&view, at, npages, owner, stamp);
        *pfn = span->pfn + at;
    }
    runs_unlock(&view, state);
    return found;
}

/* Releases a buffer that lies wholly in the lane. Returns 0, CMA_EBADF, CMA_EINVAL, CMA_EPERM as
 * cma__window_release. */
static CMA__INLINE int runs_release(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                                    uint32_t npages, uint32_t owner)
{
    struct runs_view view = runs_view(frames, span);
    uint32_t at = (uint32_t)(pfn - span->pfn);
    struct cma_frame_record *record = &frames->records[span->record + at];
    struct cma_runs *index = view.index;
    uintptr_t state = runs_lock(&view);
    int error = window_check(record, npages, owner);

    if (error == CMA_OK) {
        atom_store(&record->word, 0);
        runs_account(&view, at, npages, true);
        if (index->nrecent == CMA__RUNS_RECENT) {
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
