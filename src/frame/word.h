/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * word.h - the 32-bit word of a frame's record
 *
 *      31        22 21        12 11     6   5        4      3    2    0
 *     | references |    pins    | mover |isolated|frozen|head|  kind |   held frames
 *     |                       npages                         |claimed|   first frame of a buffer
 *     |                        stamp                         | page  |   a buffer of one frame
 *     |                          0                  |head| 0 |  none |   in a processor's cache
 *     |                          0                           |  none |   all others
 *
 * Who may change what:
 *   kind, isolated, pins   with the span's lock held, by compare-and-swap all the same
 *   references             anybody, by compare-and-swap, on held frames neither frozen nor isolated
 *   frozen                 set by compare-and-swap where there are neither pins nor references (and
 *                          isolated is what the mover of it expects); cleared by who set it
 * So a frozen frame's word belongs to who froze it, and a word of kind none or claimed to who has
 * the lock; that of a cached frame to who has emptied the slot that named it. `head` marks the
 * first frame of an allocation. Frames that caches hand out or let go change without the lock:
 * nothing is counted for these.
 *
 * A buffer's stamp is the time when it was handed over, in units of 2^20 ns modulo 2^32. It lies in
 * the cookie of the second frame's record; where there is none, in the word, less its lowest bits.
 * Of a long buffer that was claimed in one step nothing stands in records: struct cma_buffer.
 */
#ifndef CMA_FRAME_WORD_H
#define CMA_FRAME_WORD_H

#include <cma/frame.h>

#define WORD_KIND 7u
#define WORD_HEAD (1u << 3)
#define WORD_FROZEN (1u << 4)
#define WORD_ISOLATED (1u << 5)
#define WORD_MOVER_SHIFT 6
#define WORD_MOVER (63u << WORD_MOVER_SHIFT)
#define WORD_PIN (1u << 12)
#define WORD_PINS (1023u << 12)
#define WORD_REF (1u << 22)
#define WORD_REFS (1023u << 22)
#define WORD_NPAGES_SHIFT 3
/* A claimed buffer of one frame: a kind of its own inside, CMA_KIND_CLAIMED to everybody. */
#define WORD_KIND_PAGE 6u
/* Neither idle nor anybody's: it belongs to the slot of a cache that names it, or to who has just
 * taken it from there, with or without a lock. */
#define WORD_CACHED WORD_HEAD

_Static_assert(CMA_MOVERS_MAX <= 63, "a mover's number fits into its field");

static inline enum cma_kind word_kind(uint32_t word)
{
    uint32_t kind = word & WORD_KIND;

    return kind == WORD_KIND_PAGE ? CMA_KIND_CLAIMED : (enum cma_kind)kind;
}

/* Somebody's data, that can be asked to move or not: not free, not claimed. */
static inline bool word_is_held(uint32_t word)
{
    enum cma_kind kind = word_kind(word);

    return kind >= CMA_KIND_UNMOVABLE && kind <= CMA_KIND_DROPPABLE;
}

static inline bool word_is_lendable(uint32_t word)
{
    enum cma_kind kind = word_kind(word);

    return kind == CMA_KIND_MOVABLE || kind == CMA_KIND_DROPPABLE;
}

static inline uint32_t word_mover(uint32_t word)
{
    return (word & WORD_MOVER) >> WORD_MOVER_SHIFT;
}

static inline uint32_t word_of(const struct cma_holder *holder)
{
    return (uint32_t)holder->kind | holder->mover << WORD_MOVER_SHIFT;
}

/* Of the first frame of a buffer. */
static inline uint32_t word_npages(uint32_t word)
{
    return (word & WORD_KIND) == WORD_KIND_PAGE ? 1 : word >> WORD_NPAGES_SHIFT;
}

static inline uint32_t word_of_buffer(uint32_t npages, uint32_t stamp)
{
    return npages == 1 ? WORD_KIND_PAGE | (stamp & ~WORD_KIND)
                       : (uint32_t)CMA_KIND_CLAIMED | npages << WORD_NPAGES_SHIFT;
}

#endif
