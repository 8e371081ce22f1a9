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
#include <cma/pool.h>

#include "../base/atomic.h"
#include "../base/bits.h"
#include "../base/guard.h"
#include "../base/mem.h"
#include "../base/range.h"

#define POOL_BATCH ((CMA_DMA_POOL_CACHE_SLOTS + 1) / 2)
#define POOL_WINDOW 64u /* numbers that are looked at with the lock held once */
#define POOL_SEARCH 1024u
#define POOL_NUMBERS_MAX (UINT32_C(1) << 31)
#define POOL_NONE UINT32_MAX

/* What a word says; the stamp is above. */
enum {
    POOL_NOTHING = 0, /* there is no such item */
    POOL_STACKED,     /* its number is on the stack, once */
    POOL_LOOSE,       /* idle, and its number in a cache, if not lost */
    POOL_HELD,
    POOL_BUSY, /* between two of these, in the hands of one call */
    POOL_STATES = 7,
    POOL_STAMP = 8
};

struct cma_dma_pool_row {
    uint8_t *vaddr;
    cma_daddr_t daddr;
};

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

/* --- numbers and addresses ----------------------------------------------------------------- */

static CMA__INLINE void pool_fill(const struct cma_dma_pool *pool, uint32_t number, uint32_t word,
                                  struct cma_dma_item *item)
{
    const struct cma_dma_pool_row *row = &pool->rows[number >> pool->row_shift];
    uint32_t place = number & ((UINT32_C(1) << pool->row_shift) - 1);
    uint32_t offset = place * pool->stride_nbytes;

    item->vaddr = row->vaddr + offset;
    item->daddr = row->daddr + offset;
    item->number = number;
    item->stamp = word / POOL_STAMP;
}

/* The item number of a chunk's nth item, 0 up. */
static uint32_t pool_number(const struct cma_dma_pool *pool, uint32_t chunk, uint32_t n)
{
    uint32_t row = chunk * pool->chunk_nrows + n / pool->row_nitems;

    return (row << pool->row_shift) + n % pool->row_nitems;
}

/* How many of the chunks in `order` begin at or below daddr. Locked. */
static uint32_t pool_rank(const struct cma_dma_pool *pool, cma_daddr_t daddr)
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

/* Puts a number on the stack that is the caller's alone. Locked. */
static void pool_push(struct cma_dma_pool *pool, uint32_t number)
{
    uint32_t *word = &pool->states[number];

    cma__assert(pool->nstack < pool->nchunks * pool->chunk_nitems);
    atom_store(word, pool_word(atom_peek(word), POOL_STACKED));
    pool->stack[pool->nstack++] = number;
}

/* The same for a loose one, if it still is. Locked. */
static bool pool_push_loose(struct cma_dma_pool *pool, uint32_t number)
{
    uint32_t word = atom_peek(&pool->states[number]);

    if (pool_state(word) != POOL_LOOSE ||
        !atom_swap_if(&pool->states[number], &word, pool_word(word, POOL_BUSY))) {
        return false;
    }
    pool_push(pool, number);
    return true;
}

static CMA__INLINE struct cma_dma_pool_cache *pool_cache(const struct cma_dma_pool *pool)
{
    uint32_t cpu = pool->port->cpu != NULL ? pool->port->cpu(pool->port->ctx) : 0;

    if (cpu >= pool->ncaches) {
        cpu %= pool->ncaches;
    }
    return &pool->caches[cpu];
}

/* How many items go into a cache beside the one that is wanted: where few are left, they are not
 * hoarded. Locked. */
static uint32_t pool_allowance(const struct cma_dma_pool *pool)
{
    return (uint32_t)bits_min(POOL_BATCH - 1, pool->nstack / 4 / pool->ncaches);
}

/* Takes one item off the stack, and some more into the cache. Returns its number, POOL_NONE: there
 * is none. */
static CMA__APART uint32_t pool_refill(struct cma_dma_pool *pool, struct cma_dma_pool_cache *cache)
{
    uintptr_t state = guard_lock(pool->port, &pool->lock);
    uint32_t number = POOL_NONE;

    if (pool->nstack != 0) {
        number = pool->stack[--pool->nstack];
        atom_store(&pool->states[number],
                   pool_word(atom_peek(&pool->states[number]) + POOL_STAMP, POOL_HELD));
    }
    if (cache != NULL) {
        uint32_t top = atom_peek(&cache->top);
        uint32_t more = (uint32_t)bits_min(pool_allowance(pool), CMA_DMA_POOL_CACHE_SLOTS - top);

        pool->nstack -= more;
        for (uint32_t i = 0; i < more; i++) {
            uint32_t next = pool->stack[pool->nstack + i];

            atom_store(&pool->states[next], pool_word(atom_peek(&pool->states[next]), POOL_LOOSE));
            atom_poke(&cache->slot[top + i], next);
        }
        atom_poke(&cache->top, top + more);
    }
    if (pool->nitems - pool->nstack > pool->most_out) {
        pool->most_out = pool->nitems - pool->nstack;
    }
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
static CMA__INLINE bool pool_win(struct cma_dma_pool *pool, uint32_t number)
{
    uint32_t word = atom_peek(&pool->states[number]);

    return pool_state(word) == POOL_LOOSE &&
           atom_swap_if(&pool->states[number], &word, pool_word(word + POOL_STAMP, POOL_HELD));
}

static CMA__INLINE uint32_t pool_pop(struct cma_dma_pool *pool, struct cma_dma_pool_cache *cache)
{
    for (uint32_t top = atom_peek(&cache->top); top-- > 0;) {
        uint32_t number = atom_peek(&cache->slot[top]);

        atom_poke(&cache->top, top);
        if (pool_win(pool, number)) {
            return number;
        }
    }
    return POOL_NONE;
}

/* Where nothing is left: what other processors' caches hold, and what is in no cache. */
static uint32_t pool_scrape(struct cma_dma_pool *pool)
{
    uint32_t n = (uint32_t)bits_min(POOL_SEARCH, pool->nnumbers);
    uint32_t at;

    for (uint32_t i = 0; i < pool->ncaches; i++) {
        uint32_t number = pool_pop(pool, &pool->caches[i]);

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
        if (pool_win(pool, at)) {
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

    return number != POOL_NONE ? number : pool_scrape(pool);
}

static int pool_refuse(struct cma_refusal *refusal, int code, enum cma_reason reason)
{
    if (refusal != NULL) {
        *refusal = (struct cma_refusal){.code = code, .reason = reason, .pfn = CMA_PFN_NONE};
    }
    return code;
}

static bool pool_is_filled(const uint8_t *bytes, uint64_t nbytes, uint8_t byte)
{
    for (uint64_t i = 0; i < nbytes; i++) {
        if (bytes[i] != byte) {
            return false;
        }
    }
    return true;
}

/* What is done to an item's bytes before it is handed out. */
static CMA__APART void pool_dress(struct cma_dma_pool *pool, const struct cma_dma_item *item,
                                  uint32_t flags)
{
    uint64_t nbytes = pool->config.item_nbytes;

    if ((pool->config.flags & CMA_DMA_POOL_POISON) != 0) {
        if (!pool_is_filled(item->vaddr, nbytes, CMA_DMA_POOL_POISON_FREE)) {
            (void)atom_add(&pool->damaged, 1);
        }
        memset(item->vaddr, CMA_DMA_POOL_POISON_NEW, (size_t)nbytes);
    }
    if ((flags & CMA_DMA_POOL_ZERO) != 0) {
        memset(item->vaddr, 0, (size_t)nbytes);
    }
}

static int pool_add_chunk(struct cma_dma_pool *pool, struct cma_refusal *refusal);

/* Grows chunk by chunk until there is an item. */
static CMA__APART uint32_t pool_take_or_grow(struct cma_dma_pool *pool,
                                             struct cma_dma_pool_cache *cache, uint32_t flags,
                                             struct cma_refusal *refusal, int *error)
{
    uint32_t number = pool_take_slowly(pool, cache);

    while (number == POOL_NONE) {
        *error = (flags & CMA_DMA_POOL_GROW) != 0
                     ? pool_add_chunk(pool, refusal)
                     : pool_refuse(refusal, CMA_ENOMEM, CMA_REASON_NO_MEMORY);
        if (*error != 0) {
            (void)atom_add(&pool->refused, 1);
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
        return pool_refuse(refusal, CMA_EINVAL, CMA_REASON_ARGUMENT);
    }
    if (cache != NULL) {
        number = pool_pop(pool, cache);
    }
    if (number == POOL_NONE) {
        int error = 0;

        number = pool_take_or_grow(pool, cache, flags, refusal, &error);
        if (number == POOL_NONE) {
            return error;
        }
    }
    pool_fill(pool, number, atom_peek(&pool->states[number]), item);
    if (((flags & CMA_DMA_POOL_ZERO) | (pool->config.flags & CMA_DMA_POOL_POISON)) != 0) {
        pool_dress(pool, item, flags);
    }
    return 0;
}

/* --- taking back --------------------------------------------------------------------------- */

/* Why an item can't be freed. */
static CMA__APART int pool_judge(struct cma_dma_pool *pool, const struct cma_dma_item *item)
{
    struct cma_dma_item there;
    uint32_t number;

    if (!pool_locate(pool, item->daddr, &number)) {
        return CMA_ENOENT;
    }
    if (number == POOL_NONE || number != item->number) {
        return CMA_EINVAL;
    }
    pool_fill(pool, number, 0, &there);
    return item->daddr == there.daddr && item->vaddr == there.vaddr ? CMA_EBADF : CMA_EINVAL;
}

/* The long way: there are bytes to fill, or no room in the cache. */
static CMA__APART int pool_free_slowly(struct cma_dma_pool *pool, struct cma_dma_pool_cache *cache,
                                       const struct cma_dma_item *item, uint32_t word)
{
    uint32_t *state = &pool->states[item->number];

    if (!atom_swap_if(state, &word, pool_word(word, POOL_BUSY))) {
        return CMA_EBADF;
    }
    if ((pool->config.flags & CMA_DMA_POOL_POISON) != 0) {
        memset(item->vaddr, CMA_DMA_POOL_POISON_FREE, (size_t)pool->config.item_nbytes);
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
    uint32_t word = item->stamp * POOL_STAMP | POOL_HELD;
    struct cma_dma_pool_cache *cache = NULL;
    struct cma_dma_item there;
    uint32_t top = CMA_DMA_POOL_CACHE_SLOTS;

    if (item->number >= pool->nnumbers || atom_load(&pool->states[item->number]) != word) {
        return pool_judge(pool, item);
    }
    pool_fill(pool, item->number, word, &there);
    if (item->vaddr != there.vaddr || item->daddr != there.daddr) {
        return pool_judge(pool, item);
    }
    if (pool->ncaches != 0) {
        cache = pool_cache(pool);
        top = atom_peek(&cache->top);
    }
    if (top >= CMA_DMA_POOL_CACHE_SLOTS || (pool->config.flags & CMA_DMA_POOL_POISON) != 0) {
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

/* --- all of it ----------------------------------------------------------------------------- */

/* Puts the loose ones among these numbers onto the stack. */
static uint32_t pool_drain_window(struct cma_dma_pool *pool, uint32_t first, uint32_t last)
{
    uint32_t found = 0;
    uintptr_t state;

    while (pool_state(atom_peek(&pool->states[first])) != POOL_LOOSE) {
        if (first == last) {
            return 0;
        }
        first++;
    }
    state = guard_lock(pool->port, &pool->lock);
    for (uint32_t number = first; number <= last; number++) {
        found += pool_push_loose(pool, number) ? 1 : 0;
    }
    guard_unlock(pool->port, &pool->lock, state);
    return found;
}

uint32_t cma_dma_pool_drain(struct cma_dma_pool *pool)
{
    uint32_t found = 0;

    if (pool->ncaches == 0) {
        return 0;
    }
    for (uint32_t i = 0; i < pool->ncaches; i++) {
        atom_poke(&pool->caches[i].top, 0);
    }
    for (uint32_t first = 0; first < pool->nnumbers; first += POOL_WINDOW) {
        uint32_t last = (uint32_t)bits_min(pool->nnumbers - first, POOL_WINDOW) + first - 1;

        found += pool_drain_window(pool, first, last);
    }
    return found;
}

void cma_dma_pool_stats(const struct cma_dma_pool *pool, struct cma_dma_pool_stats *stats)
{
    struct cma_dma_pool *lockable = (struct cma_dma_pool *)(uintptr_t)pool;
    uintptr_t state;

    *stats = (struct cma_dma_pool_stats){0};
    for (uint32_t i = 0; i < pool->nnumbers; i++) {
        uint32_t is = pool_state(atom_peek(&pool->states[i]));

        stats->live += is == POOL_HELD ? 1 : 0;
        stats->cached += is == POOL_LOOSE ? 1 : 0;
    }
    state = guard_lock(pool->port, &lockable->lock);
    stats->nitems = pool->nitems;
    stats->most_out = pool->most_out;
    guard_unlock(pool->port, &lockable->lock, state);
    stats->refused = atom_peek(&pool->refused);
    stats->damaged = atom_peek(&pool->damaged);
}

/* The number of the first chunk that is used so; nchunks: there is none. Locked. */
static uint32_t pool_chunk_in(const struct cma_dma_pool *pool, enum pool_use use)
{
    uint32_t i = 0;

    while (i < pool->nchunks && pool->chunks[i].use != (uint32_t)use) {
        i++;
    }
    return i;
}

/* What is known of a chunk's addresses, before any item of it can be handed out. */
static void pool_enter_chunk(struct cma_dma_pool *pool, uint32_t chunk)
{
    const struct cma_coherent *buffer = &pool->chunks[chunk].buffer;
    struct cma_dma_pool_row *rows = &pool->rows[chunk * pool->chunk_nrows];
    uintptr_t state = guard_lock(pool->port, &pool->lock);
    uint32_t rank = pool_rank(pool, buffer->daddr);

    for (uint32_t i = 0; i < pool->chunk_nrows; i++) {
        rows[i].vaddr = (uint8_t *)buffer->vaddr + i * pool->row_nbytes;
        rows[i].daddr = buffer->daddr + i * pool->row_nbytes;
    }
    memmove(&pool->order[rank + 1], &pool->order[rank],
            (size_t)(pool->norder - rank) * sizeof(pool->order[0]));
    pool->order[rank] = chunk;
    pool->norder++;
    guard_unlock(pool->port, &pool->lock, state);
}

static int pool_add_chunk(struct cma_dma_pool *pool, struct cma_refusal *refusal)
{
    uintptr_t state = guard_lock(pool->port, &pool->lock);
    uint32_t index = pool_chunk_in(pool, POOL_UNUSED);
    bool full = index == pool->nchunks;
    bool others = full && pool_chunk_in(pool, POOL_COMING) != pool->nchunks;
    struct cma_dma_pool_chunk *chunk = &pool->chunks[index];
    int error;

    if (!full) {
        chunk->use = POOL_COMING;
    }
    guard_unlock(pool->port, &pool->lock, state);
    if (full) {
        return others ? pool_refuse(refusal, CMA_EAGAIN, CMA_REASON_NO_MEMORY)
                      : pool_refuse(refusal, CMA_ENOMEM, CMA_REASON_TOO_LARGE);
    }
    error = cma_dma_alloc_coherent(pool->device, &pool->request, &chunk->buffer, refusal);
    if (error == 0) {
        if ((pool->config.flags & CMA_DMA_POOL_POISON) != 0) {
            memset(chunk->buffer.vaddr, CMA_DMA_POOL_POISON_FREE, (size_t)pool->request.nbytes);
        }
        pool_enter_chunk(pool, index);
    }
    /* The lowest are handed out first. A few at a time: nobody waits long for the lock. */
    for (uint32_t left = error == 0 ? pool->chunk_nitems : 0; left != 0;) {
        uint32_t end = left - (uint32_t)bits_min(left, POOL_WINDOW);

        state = guard_lock(pool->port, &pool->lock);
        pool->nitems += left - end;
        while (left != end) {
            pool_push(pool, pool_number(pool, index, --left));
        }
        guard_unlock(pool->port, &pool->lock, state);
    }
    state = guard_lock(pool->port, &pool->lock);
    chunk->use = error == 0 ? POOL_USED : POOL_UNUSED;
    guard_unlock(pool->port, &pool->lock, state);
    return error;
}

int cma_dma_pool_grow(struct cma_dma_pool *pool, uint32_t nitems, struct cma_refusal *refusal)
{
    for (;;) {
        uintptr_t state = guard_lock(pool->port, &pool->lock);
        bool enough = pool->nitems >= nitems;
        int error;

        guard_unlock(pool->port, &pool->lock, state);
        if (enough) {
            return 0;
        }
        if (nitems > pool->nchunks * pool->chunk_nitems) {
            return pool_refuse(refusal, CMA_ENOMEM, CMA_REASON_TOO_LARGE);
        }
        error = pool_add_chunk(pool, refusal);
        if (error != 0) {
            return error;
        }
    }
}

/* Closes the pool, if nobody has an item. */
static bool pool_close(struct cma_dma_pool *pool)
{
    uintptr_t state = guard_lock(pool->port, &pool->lock);
    bool idle = pool->nstack == pool->nitems && pool_chunk_in(pool, POOL_COMING) == pool->nchunks;

    for (uint32_t i = 0; idle && i < pool->nchunks; i++) {
        if (pool->chunks[i].use == POOL_USED) {
            pool->chunks[i].use = POOL_GOING;
        }
    }
    if (idle) {
        pool->nstack = 0;
        pool->nitems = 0;
        pool->norder = 0;
    }
    guard_unlock(pool->port, &pool->lock, state);
    return idle;
}

int cma_dma_pool_destroy(struct cma_dma_pool *pool)
{
    int code = 0;

    (void)cma_dma_pool_drain(pool);
    if (!pool_close(pool)) {
        return CMA_EBUSY;
    }
    for (uint32_t i = 0; i < pool->nchunks; i++) {
        struct cma_dma_pool_chunk *chunk = &pool->chunks[i];
        uintptr_t state;
        int error;

        if (chunk->use != POOL_GOING) {
            continue;
        }
        for (uint32_t n = 0; n < pool->chunk_nitems; n++) {
            uint32_t *word = &pool->states[pool_number(pool, i, n)];

            atom_store(word, pool_word(atom_peek(word), POOL_NOTHING));
        }
        error = cma_dma_free_coherent(pool->device, &chunk->buffer);
        if (error != 0) {
            code = code != 0 ? code : error;
            continue;
        }
        state = guard_lock(pool->port, &pool->lock);
        chunk->use = POOL_UNUSED;
        guard_unlock(pool->port, &pool->lock, state);
    }
    return code;
}

/* --- making one ---------------------------------------------------------------------------- */

/* How a chunk is asked for and divided into rows; what the config says has been checked. The chunk
 * is under 2 GiB, and so is all that is no longer. */
static void pool_divide(struct cma_dma_pool *pool, uint64_t align, uint64_t boundary,
                        uint32_t chunk_nbytes)
{
    uint32_t item_nbytes = (uint32_t)pool->config.item_nbytes, rest;

    pool->row_nbytes = chunk_nbytes;
    pool->request = (struct cma_coherent_request){
        .nbytes = chunk_nbytes, .align_nbytes = align, .flags = pool->config.coherent_flags};
    if (boundary != 0 && range_is_power_of_two(pool->stride_nbytes)) {
        /* Items that begin at multiples of their length, a power of two, cross nothing longer. */
        pool->request.align_nbytes = bits_max(align, pool->stride_nbytes);
    } else if (boundary >= chunk_nbytes) {
        pool->request.boundary_nbytes = boundary;
    } else if (boundary != 0) {
        pool->request.align_nbytes = bits_max(align, boundary);
        pool->row_nbytes = (uint32_t)boundary;
    }
    /* The last item needs room for itself only, not for the gap behind it. */
    pool->row_nitems = (pool->row_nbytes - item_nbytes) / pool->stride_nbytes + 1;
    pool->chunk_nrows = chunk_nbytes / pool->row_nbytes;
    pool->last_nitems = pool->row_nitems;
    rest = chunk_nbytes % pool->row_nbytes;
    pool->chunk_nitems = pool->chunk_nrows * pool->row_nitems;
    if (rest >= item_nbytes) {
        pool->chunk_nrows++;
        pool->last_nitems = (rest - item_nbytes) / pool->stride_nbytes + 1;
        pool->chunk_nitems += pool->last_nitems;
    }
    while (pool->row_nitems > UINT32_C(1) << pool->row_shift) {
        pool->row_shift++;
    }
}

/* Fills all of `pool` that follows from the config. */
static int pool_shape(struct cma_dma_pool *pool, const struct cma_device *device,
                      const struct cma_dma_pool_config *config)
{
    uint64_t page = UINT64_C(1) << device->dma->port->page_shift;
    uint64_t item = config->item_nbytes;
    uint64_t align = config->align_nbytes != 0 ? config->align_nbytes : 1;
    uint64_t boundary = config->boundary_nbytes;
    uint64_t chunk = config->chunk_nbytes != 0 ? config->chunk_nbytes : item;
    uint64_t stride, nrows;

    *pool = (struct cma_dma_pool){.port = device->dma->port, .config = *config};
    if (item == 0 || chunk < item || !range_is_power_of_two(align) || config->nitems_max == 0 ||
        (boundary != 0 && (!range_is_power_of_two(boundary) || boundary < item)) ||
        (config->flags & ~CMA_DMA_POOL_POISON) != 0) {
        return CMA_EINVAL;
    }
    if (!range_align_up(chunk, page, &chunk) || chunk >= POOL_NUMBERS_MAX ||
        !range_align_up(item, align, &stride) || stride > POOL_NUMBERS_MAX) {
        return CMA_EOVERFLOW;
    }
    pool->stride_nbytes = (uint32_t)stride;
    pool_divide(pool, align, boundary, (uint32_t)chunk);
    pool->nchunks = (config->nitems_max - 1) / pool->chunk_nitems + 1;
    nrows = (uint64_t)pool->nchunks * pool->chunk_nrows;
    if (nrows > POOL_NUMBERS_MAX >> pool->row_shift) {
        return CMA_EOVERFLOW;
    }
    pool->nnumbers = (uint32_t)(nrows << pool->row_shift);
    return 0;
}

/* Gives each table its place behind `storage`; returns the end. 64 bits, also for pointers of 32.
 */
static uint64_t pool_place(struct cma_dma_pool *pool, uint64_t base)
{
    uint64_t nrows = (uint64_t)pool->nchunks * pool->chunk_nrows;
    uint64_t nstack = (uint64_t)pool->nchunks * pool->chunk_nitems;
    uint64_t chunks = base + nrows * sizeof(struct cma_dma_pool_row);
    uint64_t order, stack, states;

    (void)range_align_up(chunks, 8, &chunks);
    order = chunks + (uint64_t)pool->nchunks * sizeof(struct cma_dma_pool_chunk);
    stack = order + (uint64_t)pool->nchunks * sizeof(uint32_t);
    states = stack + nstack * sizeof(uint32_t);
    pool->rows = (struct cma_dma_pool_row *)(uintptr_t)base;
    pool->chunks = (struct cma_dma_pool_chunk *)(uintptr_t)chunks;
    pool->order = (uint32_t *)(uintptr_t)order;
    pool->stack = (uint32_t *)(uintptr_t)stack;
    pool->states = (uint32_t *)(uintptr_t)states;
    return states + (uint64_t)pool->nnumbers * sizeof(uint32_t);
}

uint64_t cma_dma_pool_size(const struct cma_device *device,
                           const struct cma_dma_pool_config *config)
{
    struct cma_dma_pool pool;

    return pool_shape(&pool, device, config) == 0 ? pool_place(&pool, 0) : 0;
}

int cma_dma_pool_init(struct cma_dma_pool *pool, struct cma_device *device,
                      const struct cma_dma_pool_config *config, void *storage, uint64_t nbytes)
{
    int error = pool_shape(pool, device, config);
    uint64_t needed;

    if (error != 0) {
        return error;
    }
    needed = pool_place(pool, 0);
    if (storage == NULL || (uintptr_t)storage % 8 != 0) {
        return CMA_EINVAL;
    }
    if (nbytes < needed) {
        return CMA_ENOMEM;
    }
    (void)pool_place(pool, (uintptr_t)storage);
    memset(storage, 0, (size_t)needed);
    pool->device = device;
    return 0;
}

void cma_dma_pool_chunk(const struct cma_dma_pool *pool, struct cma_coherent_request *request)
{
    *request = pool->request;
}

int cma_dma_pool_add_caches(struct cma_dma_pool *pool, struct cma_dma_pool_cache *caches,
                            uint32_t ncpus)
{
    if (caches == NULL || ncpus == 0 || pool->caches != NULL ||
        (uintptr_t)caches % _Alignof(struct cma_dma_pool_cache) != 0) {
        return CMA_EINVAL;
    }
    for (uint32_t i = 0; i < ncpus; i++) {
        caches[i] = (struct cma_dma_pool_cache){0};
    }
    pool->caches = caches;
    pool->ncaches = ncpus;
    return 0;
}
