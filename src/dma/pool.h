/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.h - what the files of DMA pools share: numbers, their words, their addresses
 *
 * The theory is at the top of pool.c (items of everybody) and pool_lane.c (items of lanes);
 * pool_chunk.c makes pools, and gives them memory.
 */
#ifndef CMA_DMA_POOL_PRIVATE_H
#define CMA_DMA_POOL_PRIVATE_H

#include <cma/pool.h>

#include "../base/atomic.h"
#include "../base/bits.h"
#include "../base/guard.h"
#include "device.h"

#define POOL_WINDOW 64u /* numbers that are looked at with the lock held once */
#define POOL_NONE UINT32_MAX

/* What a word says: this, the lane that handed it out (0: none), and the stamp. */
enum {
    POOL_NOTHING = 0, /* there is no such item */
    POOL_IDLE,        /* its number is on the stack or in a lane, once */
    POOL_LOOSE,       /* idle, and its number in a cache, if not lost */
    POOL_HELD,
    POOL_BUSY, /* between two of these, in the hands of one call */
    POOL_STATES = 7,
    POOL_LANE = 8,
    POOL_LANES = 127 * POOL_LANE,
    POOL_STAMP = CMA__DMA_POOL_STAMP
};

/* pool->dressed */
enum { POOL_POISONED = 1, POOL_CLEANED = 2 };
_Static_assert(POOL_IDLE == CMA__DMA_POOL_IDLE, "as lanes write it");
_Static_assert(CMA_DMA_POOL_LANES *POOL_LANE == POOL_LANES, "a lane's name fits");

enum pool_use { POOL_UNUSED, POOL_COMING, POOL_USED, POOL_GOING };

struct cma_dma_pool_chunk {
    struct cma_coherent buffer;
    uint32_t use; /* enum pool_use; under the lock */
};

static CMA__INLINE uint32_t pool_word(uint32_t word, uint32_t state)
{
    return (word & ~(uint32_t)POOL_STATES) | state;
}

static CMA__INLINE uint32_t pool_state(uint32_t word)
{
    return word & POOL_STATES;
}

/* What the word of an item says from now on, when it is handed out; tag: by whom. */
static CMA__INLINE uint32_t pool_issue(uint32_t word, uint32_t tag)
{
    return ((word | (POOL_STAMP - 1)) + 1) | tag;
}

/* --- numbers and addresses ----------------------------------------------------------------- */

static CMA__INLINE void pool_fill(const struct cma_dma_pool *pool, uint32_t number, uint32_t word,
                                  struct cma_dma_item *item)
{
    cma__dma_pool_place(&pool->rows[number >> pool->row_shift], pool->stride_nbytes, number, item);
    item->stamp = word;
}

/* Are the item's addresses those of its number? */
static CMA__INLINE bool pool_is_there(const struct cma_dma_pool *pool,
                                      const struct cma_dma_item *item)
{
    struct cma_dma_item there;

    pool_fill(pool, item->number, item->stamp, &there);
    return item->vaddr == there.vaddr && item->daddr == there.daddr;
}

/* The item number of a chunk's nth item, 0 up. */
static inline uint32_t pool_number(const struct cma_dma_pool *pool, uint32_t chunk, uint32_t n)
{
    uint32_t row = chunk * pool->chunk_nrows + n / pool->row_nitems;

    return (row << pool->row_shift) + n % pool->row_nitems;
}

/* How many of the chunks in `order` begin at or below daddr. Locked. */
static inline uint32_t pool_rank(const struct cma_dma_pool *pool, cma_daddr_t daddr)
{
    uint32_t low = 0, high = pool->norder;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (pool->chunks[pool->order[middle]].buffer.daddr <= daddr) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Puts a number on the stack that is the caller's alone. Locked. */
static inline void pool_push(struct cma_dma_pool *pool, uint32_t number)
{
    uint32_t *word = &pool->states[number];

    cma__assert(pool->nstack < pool->nchunks * pool->chunk_nitems);
    atom_store(word, pool_word(atom_peek(word), POOL_IDLE));
    pool->stack[pool->nstack++] = number;
}

/* The same for a loose one, if it still is. Locked. */
static inline bool pool_push_loose(struct cma_dma_pool *pool, uint32_t number)
{
    uint32_t word = atom_peek(&pool->states[number]);

    if (pool_state(word) != POOL_LOOSE ||
        !atom_swap_if(&pool->states[number], &word, pool_word(word, POOL_BUSY))) {
        return false;
    }
    pool_push(pool, number);
    return true;
}

/* How many items but one may be taken from the stack at once, `most` with that one: where few are
 * left, they are not hoarded. Locked. */
static inline uint32_t pool_allowance(const struct cma_dma_pool *pool, uint32_t most)
{
    return (uint32_t)bits_min(most - 1, pool->nstack / 4 / (pool->ncaches + pool->nlanes));
}

/* Locked. */
static inline void pool_note_most(struct cma_dma_pool *pool)
{
    if (pool->nitems - pool->nstack > pool->most_out) {
        pool->most_out = pool->nitems - pool->nstack;
    }
}

/* What is in processors' caches, or in none by mistake: an item's number, handed out as `tag` says,
 * or POOL_NONE. */
uint32_t cma__pool_scrape(struct cma_dma_pool *pool, uint32_t tag);
/* There is no item: another chunk, if the flags of an allocation say so, or a refusal. */
int cma__pool_more(struct cma_dma_pool *pool, uint32_t flags, struct cma_refusal *refusal);
/* Why an item can't be freed. */
int cma__pool_judge(struct cma_dma_pool *pool, const struct cma_dma_item *item);
/* What is done to an item's bytes before it is handed out, and after it came back. */
void cma__pool_dress(struct cma_dma_pool *pool, const struct cma_dma_item *item, uint32_t flags);
void cma__pool_undress(struct cma_dma_pool *pool, const struct cma_dma_item *item);
/* Has all lanes give up what they hold idle, when their next free comes. */
void cma__pool_ask_lanes(struct cma_dma_pool *pool);
/* Fills memory of a chunk with the pattern of what is free. */
void cma__pool_paint(const struct cma_dma_pool *pool, void *vaddr, uint8_t byte, uint64_t nbytes);
int cma__pool_add_chunk(struct cma_dma_pool *pool, struct cma_refusal *refusal);

#endif
