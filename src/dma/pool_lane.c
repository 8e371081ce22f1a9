/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool_lane.c - items handed out and taken back by who is alone with a lane
 *
 *     IDLE (stack) -- refill --> IDLE (slots) -- plain store --> HELD by the lane
 *                  <-- spill --               <-- plain store --
 *
 * One call at a time uses a lane, by the caller's promise. So its slots are exact, unlike those of
 * processors' caches, and the words of its items, idle or handed out, are written by it alone:
 * plain loads and stores are enough, there is no locked instruction at all. That stays so because
 * the word of an item that is out names its lane, and only through that one is it taken back: every
 * other call sees the name and refuses, without writing. Which is why second frees need no swap to
 * be noticed, even at the same instant: one of the two is not the lane's, or comes after the other.
 *
 * An idle item's word says the same on the stack and in a lane, so refill and spill move numbers
 * only, a batch with the lock taken once. Slots are the stack's continuation: the lowest go first.
 */
#include "pool.h"

#include "../base/mem.h"

#define LANE_BATCH (CMA_DMA_POOL_LANE_SLOTS / 2)

static uint32_t lane_count(const struct cma_dma_pool_lane *lane)
{
    return (uint32_t)(lane->top - lane->slot);
}

/* Gives the n lowest to the stack. */
static void lane_spill(struct cma_dma_pool_lane *lane, uint32_t n)
{
    struct cma_dma_pool *pool = lane->pool;
    uintptr_t state = guard_lock(pool->port, &pool->lock);

    cma__assert(n <= lane_count(lane));
    cma__assert(pool->nstack + n <= pool->nchunks * pool->chunk_nitems);
    for (uint32_t i = 0; i < n; i++) {
        pool->stack[pool->nstack + i] = (uint32_t)lane->slot[i];
    }
    pool->nstack += n;
    guard_unlock(pool->port, &pool->lock, state);
    lane->top -= n;
    lane->drawn -= n;
    memmove(lane->slot, &lane->slot[n], lane_count(lane) * sizeof(lane->slot[0]));
}

/* Takes some off the stack, as there are; the lane is empty. */
static void lane_refill(struct cma_dma_pool_lane *lane)
{
    struct cma_dma_pool *pool = lane->pool;
    uintptr_t state = guard_lock(pool->port, &pool->lock);
    uint32_t n = pool_allowance(pool, LANE_BATCH) + (pool->nstack != 0 ? 1 : 0);

    pool->nstack -= n;
    for (uint32_t i = 0; i < n; i++) {
        lane->slot[i] = pool->stack[pool->nstack + i];
    }
    pool_note_most(pool);
    guard_unlock(pool->port, &pool->lock, state);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t word = atom_peek(&lane->states[lane->slot[i]]);

        lane->slot[i] |= (uint64_t)pool_issue(word, lane->tag) << 32;
    }
    lane->top = &lane->slot[n];
    lane->drawn += n;
}

/* Gets an item into an empty lane, or an error. */
static int lane_get(struct cma_dma_pool_lane *lane, uint32_t flags, struct cma_refusal *refusal)
{
    struct cma_dma_pool *pool = lane->pool;

    for (;;) {
        uint32_t number;
        int error;

        lane_refill(lane);
        if (lane->top != lane->slot) {
            return 0;
        }
        number = cma__pool_scrape(pool, lane->tag);
        if (number != POOL_NONE) {
            *lane->top++ = (uint64_t)atom_peek(&lane->states[number]) << 32 | number;
            lane->drawn++;
            return 0;
        }
        error = cma__pool_more(pool, flags, refusal);
        if (error != 0) {
            return error;
        }
    }
}

int cma__dma_pool_lane_alloc(struct cma_dma_pool_lane *lane, uint32_t flags, uint64_t *token,
                             struct cma_refusal *refusal)
{
    if ((flags & ~(CMA_DMA_POOL_ZERO | CMA_DMA_POOL_GROW)) != 0) {
        return refuse_with(refusal, CMA_EINVAL, CMA_REASON_ARGUMENT);
    }
    if (lane->top == lane->slot) {
        int error = lane_get(lane, flags, refusal);

        if (error != 0) {
            return error;
        }
    }
    *token = *--lane->top;
    atom_store(&lane->states[(uint32_t)*token], (uint32_t)(*token >> 32));
    if (((flags & CMA_DMA_POOL_ZERO) | lane->pool->dressed) != 0) {
        struct cma_dma_item item;

        cma_dma_pool_lane_item(lane, *token, &item);
        cma__pool_dress(lane->pool, &item, flags);
    }
    return 0;
}

/* The limit as it is when nobody has asked for what the lane holds. */
static uint64_t *lane_limit(struct cma_dma_pool_lane *lane)
{
    return lane->pool->dressed != 0 ? lane->slot : &lane->slot[CMA_DMA_POOL_LANE_SLOTS];
}

/* Why a token can't be freed, if so. */
static int lane_judge(const struct cma_dma_pool_lane *lane, uint64_t token)
{
    uint32_t number = (uint32_t)token, word = (uint32_t)(token >> 32), there;

    if (number >= lane->nnumbers) {
        return CMA_ENOENT;
    }
    there = atom_load(&lane->states[number]);
    if (pool_state(there) == POOL_NOTHING) {
        return CMA_ENOENT;
    }
    if (pool_state(there) != POOL_HELD || there != word) {
        return CMA_EBADF;
    }
    return (word ^ lane->tag) % POOL_STAMP != 0 ? CMA_EPERM : 0;
}

/* What is not as it should be, or there are bytes to fill, or numbers to give back. */
int cma__dma_pool_lane_free(struct cma_dma_pool_lane *lane, uint64_t token)
{
    struct cma_dma_pool *pool = lane->pool;
    int error = lane_judge(lane, token);
    struct cma_dma_item item;

    if (error != 0) {
        return error;
    }
    cma_dma_pool_lane_item(lane, token, &item);
    if (pool->dressed != 0) {
        cma__pool_undress(pool, &item);
    }
    if (lane_count(lane) == CMA_DMA_POOL_LANE_SLOTS) {
        lane_spill(lane, LANE_BATCH);
    }
    atom_store(&lane->states[item.number], item.stamp / POOL_STAMP * POOL_STAMP + POOL_IDLE);
    *lane->top++ = token + ((uint64_t)POOL_STAMP << 32);
    if (__atomic_load_n(&lane->limit, __ATOMIC_RELAXED) == NULL) {
        __atomic_store_n(&lane->limit, lane_limit(lane), __ATOMIC_RELAXED);
        lane_spill(lane, lane_count(lane));
    }
    return 0;
}

void cma__pool_ask_lanes(struct cma_dma_pool *pool)
{
    uintptr_t state = guard_lock(pool->port, &pool->lock);

    for (struct cma_dma_pool_lane *lane = pool->lanes; lane != NULL; lane = lane->next) {
        __atomic_store_n(&lane->limit, NULL, __ATOMIC_RELAXED);
    }
    guard_unlock(pool->port, &pool->lock, state);
}

int cma_dma_pool_lane_init(struct cma_dma_pool_lane *lane, struct cma_dma_pool *pool)
{
    uintptr_t state;
    uint32_t name = 1;

    if ((uintptr_t)lane % _Alignof(struct cma_dma_pool_lane) != 0) {
        return CMA_EINVAL;
    }
    lane->pool = pool;
    lane->states = pool->states;
    lane->rows = pool->rows;
    lane->row_shift = pool->row_shift;
    lane->stride_nbytes = pool->stride_nbytes;
    lane->nnumbers = pool->nnumbers;
    lane->top = lane->slot;
    lane->limit = lane_limit(lane);
    lane->floor = pool->dressed != 0 ? &lane->slot[CMA_DMA_POOL_LANE_SLOTS] : lane->slot;
    lane->drawn = 0;
    state = guard_lock(pool->port, &pool->lock);
    while (name <= CMA_DMA_POOL_LANES && (pool->names[name / 32] >> name % 32 & 1) != 0) {
        name++;
    }
    if (name <= CMA_DMA_POOL_LANES) {
        pool->names[name / 32] |= UINT32_C(1) << name % 32;
        pool->nlanes++;
        lane->tag = name * POOL_LANE | POOL_HELD;
        lane->next = pool->lanes;
        pool->lanes = lane;
    }
    guard_unlock(pool->port, &pool->lock, state);
    return name <= CMA_DMA_POOL_LANES ? 0 : CMA_ENOSPC;
}

uint32_t cma_dma_pool_lane_drain(struct cma_dma_pool_lane *lane)
{
    uint32_t n = lane_count(lane);

    lane_spill(lane, n);
    return n;
}

int cma_dma_pool_lane_end(struct cma_dma_pool_lane *lane)
{
    struct cma_dma_pool *pool = lane->pool;
    uint32_t name = lane->tag % POOL_STAMP / POOL_LANE;
    struct cma_dma_pool_lane **link = &pool->lanes;
    uintptr_t state;

    if (lane->drawn != lane_count(lane)) {
        return CMA_EBUSY;
    }
    (void)cma_dma_pool_lane_drain(lane);
    state = guard_lock(pool->port, &pool->lock);
    while (*link != lane) {
        link = &(*link)->next;
    }
    *link = lane->next;
    pool->names[name / 32] &= ~(UINT32_C(1) << name % 32);
    pool->nlanes--;
    guard_unlock(pool->port, &pool->lock, state);
    return 0;
}
