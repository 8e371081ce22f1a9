/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.c - items of one size, cut from chunks of coherent memory
 *
 *     NONE -- grow --> STACKED -- refill --> LOOSE -- one swap --> HELD
 *                      (stack) <-- spill --  (slots) <-- one swap --
 *
 * Each number has a word: what the item is in, and a stamp that grows when it is handed out. A word
 * is changed by compare-and-swap, or, while it says STACKED or BUSY, by the one thread that has the
 * lock or has made it BUSY. So a free is right exactly if its swap from "held, with this stamp"
 * succeeds; nothing else has to be found out, and of two frees of one item one fails.
 *
 * A processor's cache is a stack of hints. Who finds a number in it has nothing before the swap of
 * that number's word from LOOSE to HELD: only the word is locked, slots and their count are plain
 * stores, one locked instruction for each call instead of two. Where two threads or an interrupt
 * meet in one cache, a number may then stand in two slots, which costs a swap that fails, or in
 * none: then its item is LOOSE and nobody looks for it, until a refusal or a drain does, by looking
 * at words. What the stack holds is exact: the numbers whose words say STACKED, each once.
 *
 * Addresses are arithmetic: a number is a row and a place in it. A row is a whole chunk; where
 * items of this length would cross boundaries, it is what lies between two of them.
 */
#include "pool.h"

#include "../base/mem.h"

#define POOL_BATCH ((CMA_DMA_POOL_CACHE_SLOTS + 1) / 2)
#define POOL_SEARCH 1024u

/* --- numbers and addresses ----------------------------------------------------------------- */

/* The number of the item that daddr lies in; POOL_NONE: in a chunk, but in no item. False: it is in
 * no chunk. */
static bool pool_locate(struct cma_dma_pool *pool, cma_daddr_t daddr, uint32_t *number)
{
    uintptr_t state = guard_lock(pool->port, &pool->lock);
    uint32_t rank = pool_rank(pool, daddr);
    uint32_t chunk = rank != 0 ? pool->order[rank - 1] : 0;
    uint64_t offset = rank != 0 ? daddr - pool->chunks[chunk].buffer.daddr : UINT64_MAX;
    uint32_t row, place, into;

    guard_unlock(pool->port, &pool->lock, state);
    if (offset >= pool->request.nbytes) {
        return false;
    }
    row = (uint32_t)offset / pool->row_nbytes;
    into = (uint32_t)offset % pool->row_nbytes;
    place = into / pool->stride_nbytes;
    *number = ((chunk * pool->chunk_nrows + row) << pool->row_shift) + place;
    if (into % pool->stride_nbytes >= pool->config.item_nbytes || row >= pool->chunk_nrows ||
        place >= (row == pool->chunk_nrows - 1 ? pool->last_nitems : pool->row_nitems)) {
        *number = POOL_NONE;
    }
    return true;
}

/* --- the stack ----------------------------------------------------------------------------- */

static CMA__INLINE struct cma_dma_pool_cache *pool_cache(const struct cma_dma_pool *pool)
{
    uint32_t cpu = pool->port->cpu != NULL ? pool->port->cpu(pool->port->ctx) : 0;

    if (cpu >= pool->ncaches) {
        cpu %= pool->ncaches;
    }
    return &pool->caches[cpu];
}

/* Takes one item off the stack, and some more into the cache. Returns its number, POOL_NONE: there
 * is none. */
static CMA__APART uint32_t pool_refill(struct cma_dma_pool *pool, struct cma_dma_pool_cache *cache)
{
    uintptr_t state = guard_lock(pool->port, &pool->lock);
    uint32_t number = POOL_NONE;

    if (pool->nstack != 0) {
        number = pool->stack[--pool->nstack];
        atom_store(&pool->states[number], pool_issue(atom_peek(&pool->states[number]), POOL_HELD));
    }
    if (cache != NULL) {
        uint32_t top = atom_peek(&cache->top);
        uint32_t more =
            (uint32_t)bits_min(pool_allowance(pool, POOL_BATCH), CMA_DMA_POOL_CACHE_SLOTS - top);

        pool->nstack -= more;
        for (uint32_t i = 0; i < more; i++) {
            uint32_t next = pool->stack[pool->nstack + i];

            atom_store(&pool->states[next], pool_word(atom_peek(&pool->states[next]), POOL_LOOSE));
            atom_poke(&cache->slot[top + i], next);
        }
        atom_poke(&cache->top, top + more);
    }
    pool_note_most(pool);
    guard_unlock(pool->port, &pool->lock, state);
    return number;
}

/* Puts an item that is the caller's alone onto the stack, and with a cache, half of what that
 * holds. */
static CMA__APART void pool_spill(struct cma_dma_pool *pool, struct cma_dma_pool_cache *cache,
                                  uint32_t number)
{
    uintptr_t state = guard_lock(pool->port, &pool->lock);

    if (cache != NULL) {
        for (uint32_t i = CMA_DMA_POOL_CACHE_SLOTS; i-- > CMA_DMA_POOL_CACHE_SLOTS - POOL_BATCH;) {
            (void)pool_push_loose(pool, atom_peek(&cache->slot[i]));
        }
        atom_poke(&cache->top, CMA_DMA_POOL_CACHE_SLOTS - POOL_BATCH);
    }
    pool_push(pool, number);
    guard_unlock(pool->port, &pool->lock, state);
}

/* --- handing out --------------------------------------------------------------------------- */

/* Makes a loose item the caller's, if it still is loose. */
static CMA__INLINE bool pool_win(struct cma_dma_pool *pool, uint32_t number, uint32_t tag)
{
    uint32_t word = atom_peek(&pool->states[number]);

    return pool_state(word) == POOL_LOOSE &&
           atom_swap_if(&pool->states[number], &word, pool_issue(word, tag));
}

static CMA__INLINE uint32_t pool_pop(struct cma_dma_pool *pool, struct cma_dma_pool_cache *cache,
                                     uint32_t tag)
{
    for (uint32_t top = atom_peek(&cache->top); top-- > 0;) {
        uint32_t number = atom_peek(&cache->slot[top]);

        atom_poke(&cache->top, top);
        if (pool_win(pool, number, tag)) {
            return number;
        }
    }
    return POOL_NONE;
}

uint32_t cma__pool_scrape(struct cma_dma_pool *pool, uint32_t tag)
{
    uint32_t n = (uint32_t)bits_min(POOL_SEARCH, pool->nnumbers);
    uint32_t at;

    for (uint32_t i = 0; i < pool->ncaches; i++) {
        uint32_t number = pool_pop(pool, &pool->caches[i], tag);

        if (number != POOL_NONE) {
            return number;
        }
    }
    if (pool->ncaches == 0) {
        return POOL_NONE;
    }
    at = atom_peek(&pool->scanned);
    for (uint32_t i = 0; i < n; i++) {
        at = at < pool->nnumbers ? at : 0;
        if (pool_win(pool, at, tag)) {
            atom_poke(&pool->scanned, at);
            return at;
        }
        at++;
    }
    atom_poke(&pool->scanned, at);
    return POOL_NONE;
}

static CMA__APART uint32_t pool_take_slowly(struct cma_dma_pool *pool,
                                            struct cma_dma_pool_cache *cache)
{
    uint32_t number = pool_refill(pool, cache);

    return number != POOL_NONE ? number : cma__pool_scrape(pool, POOL_HELD);
}

void cma__pool_paint(const struct cma_dma_pool *pool, void *vaddr, uint8_t byte, uint64_t nbytes)
{
    const struct cma_dma_pool_bytes *bytes = pool->config.bytes;

    if (bytes != NULL) {
        bytes->fill(bytes->ctx, vaddr, byte, nbytes);
    } else {
        memset(vaddr, byte, (size_t)nbytes);
    }
}

static bool pool_is_painted(const struct cma_dma_pool *pool, const uint8_t *vaddr, uint8_t byte,
                            uint64_t nbytes)
{
    const struct cma_dma_pool_bytes *bytes = pool->config.bytes;

    if (bytes != NULL) {
        return bytes->is_filled(bytes->ctx, vaddr, byte, nbytes);
    }
    for (uint64_t i = 0; i < nbytes; i++) {
        if (vaddr[i] != byte) {
            return false;
        }
    }
    return true;
}

static cma_paddr_t pool_paddr(const struct cma_dma_pool *pool, const struct cma_dma_item *item)
{
    uint32_t chunk = (item->number >> pool->row_shift) / pool->chunk_nrows;
    const struct cma_coherent *buffer = &pool->chunks[chunk].buffer;

    return buffer->paddr + (item->daddr - buffer->daddr);
}

void cma__pool_dress(struct cma_dma_pool *pool, const struct cma_dma_item *item, uint32_t flags)
{
    const struct cma_port *port = pool->port;
    uint64_t nbytes = pool->config.item_nbytes;
    bool cleaned = (pool->dressed & POOL_CLEANED) != 0;
    bool poisoned = (pool->dressed & POOL_POISONED) != 0;

    if (poisoned) {
        if (cleaned) {
            /* What the device wrote meanwhile is to be seen. */
            port->invalidate(port->ctx, pool_paddr(pool, item), nbytes);
        }
        if (!pool_is_painted(pool, item->vaddr, CMA_DMA_POOL_POISON_FREE, nbytes)) {
            (void)atom_add(&pool->damaged, 1);
        }
    }
    if ((flags & CMA_DMA_POOL_ZERO) != 0) {
        guard_zero_vaddr(port, item->vaddr, nbytes);
    } else if (poisoned) {
        cma__pool_paint(pool, item->vaddr, CMA_DMA_POOL_POISON_NEW, nbytes);
    }
    if (cleaned && (poisoned || (flags & CMA_DMA_POOL_ZERO) != 0)) {
        port->clean(port->ctx, pool_paddr(pool, item), nbytes);
    }
}

void cma__pool_undress(struct cma_dma_pool *pool, const struct cma_dma_item *item)
{
    const struct cma_port *port = pool->port;

    if ((pool->dressed & POOL_POISONED) != 0) {
        cma__pool_paint(pool, item->vaddr, CMA_DMA_POOL_POISON_FREE, pool->config.item_nbytes);
    }
    if ((pool->dressed & POOL_CLEANED) != 0) {
        /* A dirty line would be written over what the device writes for the next owner. */
        port->clean(port->ctx, pool_paddr(pool, item), pool->config.item_nbytes);
    }
}

int cma__pool_more(struct cma_dma_pool *pool, uint32_t flags, struct cma_refusal *refusal)
{
    int error = (flags & CMA_DMA_POOL_GROW) != 0
                    ? cma__pool_add_chunk(pool, refusal)
                    : refuse_with(refusal, CMA_ENOMEM, CMA_REASON_NO_MEMORY);

    if (error != 0) {
        (void)atom_add(&pool->refused, 1);
        cma__pool_ask_lanes(pool);
    }
    return error;
}

/* Grows chunk by chunk until there is an item. */
static CMA__APART uint32_t pool_take_or_grow(struct cma_dma_pool *pool,
                                             struct cma_dma_pool_cache *cache, uint32_t flags,
                                             struct cma_refusal *refusal, int *error)
{
    uint32_t number = pool_take_slowly(pool, cache);

    while (number == POOL_NONE) {
        *error = cma__pool_more(pool, flags, refusal);
        if (*error != 0) {
            break;
        }
        number = pool_take_slowly(pool, cache);
    }
    return number;
}

int cma_dma_pool_alloc(struct cma_dma_pool *pool, uint32_t flags, struct cma_dma_item *item,
                       struct cma_refusal *refusal)
{
    struct cma_dma_pool_cache *cache = pool->ncaches != 0 ? pool_cache(pool) : NULL;
    uint32_t number = POOL_NONE;

    if ((flags & ~(CMA_DMA_POOL_ZERO | CMA_DMA_POOL_GROW)) != 0) {
        return refuse_with(refusal, CMA_EINVAL, CMA_REASON_ARGUMENT);
    }
    if (cache != NULL) {
        number = pool_pop(pool, cache, POOL_HELD);
    }
    if (number == POOL_NONE) {
        int error = 0;

        number = pool_take_or_grow(pool, cache, flags, refusal, &error);
        if (number == POOL_NONE) {
            return error;
        }
    }
    pool_fill(pool, number, atom_peek(&pool->states[number]), item);
    if (((flags & CMA_DMA_POOL_ZERO) | pool->dressed) != 0) {
        cma__pool_dress(pool, item, flags);
    }
    return 0;
}

/* --- taking back --------------------------------------------------------------------------- */

CMA__APART int cma__pool_judge(struct cma_dma_pool *pool, const struct cma_dma_item *item)
{
    uint32_t number, word;

    if (!pool_locate(pool, item->daddr, &number)) {
        return CMA_ENOENT;
    }
    if (number == POOL_NONE || number != item->number || !pool_is_there(pool, item)) {
        return CMA_EINVAL;
    }
    word = atom_load(&pool->states[number]);
    return pool_state(word) == POOL_HELD && item->stamp == word ? CMA_EPERM : CMA_EBADF;
}

/* The long way: there are bytes to fill, or no room in the cache. */
static CMA__APART int pool_free_slowly(struct cma_dma_pool *pool, struct cma_dma_pool_cache *cache,
                                       const struct cma_dma_item *item, uint32_t word)
{
    uint32_t *state = &pool->states[item->number];

    if (!atom_swap_if(state, &word, pool_word(word, POOL_BUSY))) {
        return CMA_EBADF;
    }
    if (pool->dressed != 0) {
        cma__pool_undress(pool, item);
    }
    if (cache != NULL) {
        uint32_t top = atom_peek(&cache->top);

        if (top < CMA_DMA_POOL_CACHE_SLOTS) {
            atom_store(state, pool_word(word, POOL_LOOSE));
            atom_poke(&cache->slot[top], item->number);
            atom_poke(&cache->top, top + 1);
            return 0;
        }
    }
    pool_spill(pool, cache, item->number);
    return 0;
}

int cma_dma_pool_free(struct cma_dma_pool *pool, const struct cma_dma_item *item)
{
    uint32_t word = item->stamp;
    struct cma_dma_pool_cache *cache = NULL;
    uint32_t top = CMA_DMA_POOL_CACHE_SLOTS;

    if (item->number >= pool->nnumbers || word % POOL_STAMP != POOL_HELD ||
        atom_load(&pool->states[item->number]) != word || !pool_is_there(pool, item)) {
        return cma__pool_judge(pool, item);
    }
    if (pool->ncaches != 0) {
        cache = pool_cache(pool);
        top = atom_peek(&cache->top);
    }
    if (top >= CMA_DMA_POOL_CACHE_SLOTS || pool->dressed != 0) {
        return pool_free_slowly(pool, cache, item, word);
    }
    if (!atom_swap_if(&pool->states[item->number], &word, pool_word(word, POOL_LOOSE))) {
        return CMA_EBADF;
    }
    atom_poke(&cache->slot[top], item->number);
    atom_poke(&cache->top, top + 1);
    return 0;
}

int cma_dma_pool_find(struct cma_dma_pool *pool, cma_daddr_t daddr, struct cma_dma_item *item)
{
    uint32_t number, word;

    if (!pool_locate(pool, daddr, &number) || number == POOL_NONE) {
        return CMA_ENOENT;
    }
    word = atom_load(&pool->states[number]);
    if (pool_state(word) != POOL_HELD) {
        return CMA_EBADF;
    }
    pool_fill(pool, number, word, item);
    return 0;
}

int cma_dma_pool_next(const struct cma_dma_pool *pool, uint32_t *number, struct cma_dma_item *item)
{
    for (uint32_t i = *number; i < pool->nnumbers; i++) {
        uint32_t word = atom_load(&pool->states[i]);

        if (pool_state(word) == POOL_HELD) {
            pool_fill(pool, i, word, item);
            *number = i + 1;
            return 0;
        }
    }
    *number = pool->nnumbers;
    return CMA_ENOENT;
}
