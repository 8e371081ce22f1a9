/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * account.h - the table's books: what the files of this folder share among themselves
 *
 * Each frame's state is written in up to four places: idle bit, record, block counts, zone counts.
 * Only these functions write the last two (and evacuate.c, for a block's frames at a time), so that
 * they can't part. All are called with the span's lock held.
 */
#ifndef CMA_FRAME_ACCOUNT_H
#define CMA_FRAME_ACCOUNT_H

#include "../base/atomic.h"
#include "../base/guard.h"
#include "table.h"
#include "word.h"

static inline cma_pfn_t span_last(const struct cma_span *span)
{
    return span->pfn + (span->npages - 1);
}

/* Frames of a block, less one. Arithmetic inside a span is of 32 bits wherever it can be: half of
 * the code on processors that have no more. */
static inline uint32_t span_block_mask(const struct cma_frames *frames)
{
    return (UINT32_C(1) << frames->block_order) - 1;
}

/* Frames of the span's first block that lie before the span. */
static inline uint32_t span_skipped(const struct cma_frames *frames, const struct cma_span *span)
{
    return (uint32_t)span->pfn & span_block_mask(frames);
}

static inline struct cma_frame_record *span_record(const struct cma_frames *frames,
                                                   const struct cma_span *span, cma_pfn_t pfn)
{
    return &frames->records[span->record + (uint32_t)(pfn - span->pfn)];
}

/* The answer about a frame that its mover does not know: it is just letting go of it, or nobody
 * ever had it. */
static inline int span_unheld(const struct cma_frames *frames, const struct cma_span *span,
                              cma_pfn_t pfn)
{
    return word_is_held(atom_load(&span_record(frames, span, pfn)->word)) ? CMA_EAGAIN : CMA_EBADF;
}

static inline struct cma_block *span_block(const struct cma_frames *frames,
                                           const struct cma_span *span, uint32_t block)
{
    return &frames->blocks[span->block + block];
}

/* The number of the idle bit of a frame: blocks begin at multiples of their size. */
static inline uint32_t span_bit(const struct cma_frames *frames, const struct cma_span *span,
                                cma_pfn_t pfn)
{
    return (span->block << frames->block_order) + span_skipped(frames, span) +
           (uint32_t)(pfn - span->pfn);
}

/* The block that a frame lies in. */
static inline struct cma_block *span_block_at(const struct cma_frames *frames,
                                              const struct cma_span *span, cma_pfn_t pfn)
{
    return &frames->blocks[span_bit(frames, span, pfn) >> frames->block_order];
}

/* Has somebody data in the block? In an area: has somebody borrowed from it? */
static inline bool block_is_borrowed(const struct cma_block *block)
{
    return atom_peek16(&block->kept) != 0 || atom_peek16(&block->droppable) != 0;
}

/* A destination may come into a block of an area that was given back meanwhile: it is lent again.
 */
static inline void block_lend_again(struct cma_block *block)
{
    atom_poke16(&block->flags, (uint16_t)(block->flags | CMA_BLOCK_LENT));
}

/* The mover of a movable or droppable frame with this word. */
static inline const struct cma_mover *frame_mover(const struct cma_frames *frames, uint32_t word)
{
    return frames->movers[word_mover(word) - 1];
}

/* Is there a frame behind `pfn` that belongs to an allocation which began before it? As last seen,
 * and for good where the allocation of `pfn` can't go away. */
static inline bool frame_goes_on(const struct cma_frames *frames, const struct cma_span *span,
                                 cma_pfn_t pfn)
{
    uint32_t word;

    if (pfn == span_last(span)) {
        return false;
    }
    word = atom_peek(&span_record(frames, span, pfn + 1)->word);
    return word_is_held(word) && (word & WORD_HEAD) == 0;
}

/* The records at the head of a buffer are written, or compared: CMA_OK, CMA_EBADF, CMA_EINVAL,
 * CMA_EPERM as cma__window_release. Locked. */
static CMA__INLINE void window_write(struct cma_frame_record *record, uint32_t npages,
                                     uint32_t owner, uint32_t stamp)
{
    cma__assert(npages != 0 && npages <= CMA__CLAIM_NPAGES_MAX);
    cma__assert(atom_peek(&record->word) == 0);
    atom_poke(&record->cookie, owner);
    if (npages > 1) {
        atom_poke(&record[1].cookie, stamp);
    }
    atom_store(&record->word, word_of_buffer(npages, stamp));
}

static CMA__INLINE int window_check(const struct cma_frame_record *record, uint64_t npages,
                                    uint32_t owner)
{
    uint32_t word = atom_peek(&record->word);

    if (CMA__UNLIKELY(word_kind(word) != CMA_KIND_CLAIMED)) {
        return CMA_EBADF;
    }
    if (CMA__UNLIKELY(word_npages(word) != npages)) {
        return CMA_EINVAL;
    }
    return CMA__LIKELY(atom_peek(&record->cookie) == owner) ? CMA_OK : CMA_EPERM;
}

/* Can the mover's word be relied on: it neither refuses nor needs memory to let go? */
bool cma__mover_is_sure(const struct cma_frames *frames, uint32_t mover);

/* A frame with this word is one that a destination can be made of: droppable, in ordinary memory,
 * not pinned, of a sure mover. */
bool cma__frame_is_spare(const struct cma_frames *frames, const struct cma_span *span,
                         uint32_t word);

/* The block's bits in the trees follow its counts. */
void cma__account_refresh(struct cma_frames *frames, struct cma_span *span, uint32_t number);
/* Idle bits of a run, of any length inside the span, with all counts and trees. */
void cma__account_idle(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                       uint32_t npages, bool idle);
/* A held frame with this word is there from now on, or not any more. */
void cma__account_held(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                       uint32_t word, bool there);
/* The same for several frames of a block, by how many they change its counts and the zone's (modulo
 * 2^32): movable, droppable ones, and those that a destination can be made of. */
void cma__account_counts(struct cma_frames *frames, struct cma_span *span, uint32_t number,
                         uint32_t kept, uint32_t droppable, uint32_t spare);
/* A held frame's word has changed: kind or pins. */
void cma__account_change(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                         uint32_t before, uint32_t after);

/* The block's bits in the trees follow its counts, which were changed. */
void cma__account_refresh(struct cma_frames *frames, struct cma_span *span, uint32_t number);

/* A block of an area is lent or not. */
void cma__account_lent(struct cma_frames *frames, struct cma_span *span, uint32_t block, bool lent);

/* The record of a frame that is nobody's is written: it is held from now on. */
void cma__frame_enter(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                      uint32_t word, uint32_t cookie);
/*
 * A held frame loses its holder. An isolated one is the claim's then; another one is idle again, or
 * nobody's for a moment with `take`. Returns true if it was isolated.
 */
bool cma__frame_leave(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn, bool take);

/*
 * Freezes a frame that its mover may be asked about: movable or droppable, without pins and
 * references, isolated exactly if `isolated`. Returns 0 and the word before; CMA_ENOENT (nobody
 * holds it), CMA_EAGAIN (frozen), CMA_EBUSY (pins, references, or the other claim state),
 * CMA_EBADF.
 */
int cma__frame_freeze(struct cma_frame_record *record, bool isolated, uint32_t *word);
void cma__frame_thaw(struct cma_frame_record *record);

/*
 * From the free destination to both sides frozen, and, after a flush, the rest, which can't fail.
 * `what` is CMA_DESTINATION_PINNED or 0, and the next. Returns 0 and *to, or CMA_ENOMEM, CMA_EBUSY,
 * CMA_EAGAIN, CMA_ENOENT, CMA_EBADF as seen by the freeze (or by the mover): all is as before then.
 */
#define CMA__MIGRATE_ISOLATED (1u << 31)
int cma__migrate_begin(struct cma_frames *frames, struct cma_span *span, cma_pfn_t from,
                       uint32_t what, cma_pfn_t *to);
void cma__migrate_finish(struct cma_frames *frames, struct cma_span *span, cma_pfn_t from,
                         cma_pfn_t to);
/* Writes the destination's record; over a host's allocator there is none. */
void cma__migrate_publish(struct cma_frames *frames, cma_pfn_t to, uint32_t word, uint32_t cookie);

/* Moves a frame out of its area and pins it at its new place. */
int cma__frame_move_pinned(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                           cma_pfn_t *pinned);

#endif
