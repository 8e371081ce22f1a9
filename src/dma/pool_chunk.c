/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool_chunk.c - making a pool, giving it chunks of a device's memory, and taking them away again
 *
 * Addresses are arithmetic: a number is a row and a place in it. A row is a whole chunk; where
 * items of this length would cross boundaries, it is what lies between two of them.
 */
#include "pool.h"

#include "../base/mem.h"
#include "../base/range.h"

#define POOL_NUMBERS_MAX (UINT32_C(1) << 31)

/* --- looking at all numbers
 * ----------------------------------------------------------------------------- */

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
    uint32_t idle = 0;
    uintptr_t state;

    *stats = (struct cma_dma_pool_stats){0};
    for (uint32_t i = 0; i < pool->nnumbers; i++) {
        uint32_t is = pool_state(atom_peek(&pool->states[i]));

        stats->live += is == POOL_HELD ? 1 : 0;
        stats->cached += is == POOL_LOOSE ? 1 : 0;
        idle += is == POOL_IDLE ? 1 : 0;
    }
    state = guard_lock(pool->port, &lockable->lock);
    stats->nitems = pool->nitems;
    stats->most_out = pool->most_out;
    stats->cached += idle > pool->nstack ? idle - pool->nstack : 0; /* in lanes */
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
        uint32_t first = (chunk * pool->chunk_nrows + i) << pool->row_shift;
        uint64_t ahead = (uint64_t)first * pool->stride_nbytes - (uint64_t)i * pool->row_nbytes;

        rows[i].vaddr = (uintptr_t)buffer->vaddr - (uintptr_t)ahead;
        rows[i].daddr = buffer->daddr - ahead;
    }
    memmove(&pool->order[rank + 1], &pool->order[rank],
            (size_t)(pool->norder - rank) * sizeof(pool->order[0]));
    pool->order[rank] = chunk;
    pool->norder++;
    guard_unlock(pool->port, &pool->lock, state);
}

/* The memory of a chunk, as the pool's config says, and its bytes as free ones are. */
static int pool_get_chunk(struct cma_dma_pool *pool, struct cma_coherent *buffer,
                          struct cma_refusal *refusal)
{
    const struct cma_port *port = pool->port;
    struct cma_contiguous contiguous;
    int error;

    if ((pool->config.flags & CMA_DMA_POOL_CACHED) == 0) {
        error = cma_dma_alloc_coherent(pool->device, &pool->request, buffer, refusal);
    } else {
        error = cma_dma_alloc_contiguous(pool->device, &pool->request, pool->config.direction,
                                         &contiguous, refusal);
        if (error == 0) {
            *buffer = contiguous.buffer;
        }
    }
    if (error == 0 && (pool->dressed & POOL_POISONED) != 0) {
        cma__pool_paint(pool, buffer->vaddr, CMA_DMA_POOL_POISON_FREE, buffer->nbytes);
        if ((pool->dressed & POOL_CLEANED) != 0) {
            port->clean(port->ctx, buffer->paddr, buffer->nbytes);
        }
    }
    return error;
}

static int pool_put_chunk(struct cma_dma_pool *pool, const struct cma_coherent *buffer)
{
    struct cma_contiguous contiguous = {*buffer, pool->config.direction};

    return (pool->config.flags & CMA_DMA_POOL_CACHED) != 0
               ? cma_dma_free_contiguous(pool->device, &contiguous)
               : cma_dma_free_coherent(pool->device, buffer);
}

int cma__pool_add_chunk(struct cma_dma_pool *pool, struct cma_refusal *refusal)
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
        return others ? refuse_with(refusal, CMA_EAGAIN, CMA_REASON_NO_MEMORY)
                      : refuse_with(refusal, CMA_ENOMEM, CMA_REASON_TOO_LARGE);
    }
    error = pool_get_chunk(pool, &chunk->buffer, refusal);
    if (error == 0) {
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
            return refuse_with(refusal, CMA_ENOMEM, CMA_REASON_TOO_LARGE);
        }
        error = cma__pool_add_chunk(pool, refusal);
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

    if (pool == NULL || pool->states == NULL) {
        return 0;
    }
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
        error = pool_put_chunk(pool, &chunk->buffer);
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

/* Can there be such a pool, but for its size? */
static bool pool_is_formed(const struct cma_dma_pool_config *config)
{
    uint64_t item = config->item_nbytes, boundary = config->boundary_nbytes;

    if (item == 0 || config->nitems_max == 0 ||
        (config->align_nbytes != 0 && !range_is_power_of_two(config->align_nbytes)) ||
        (config->chunk_nbytes != 0 && config->chunk_nbytes < item) ||
        (boundary != 0 && (!range_is_power_of_two(boundary) || boundary < item))) {
        return false;
    }
    return (config->flags & ~(CMA_DMA_POOL_POISON | CMA_DMA_POOL_CACHED)) == 0 &&
           ((config->flags & CMA_DMA_POOL_CACHED) == 0 ||
            (uint32_t)config->direction <= CMA_FROM_DEVICE);
}

/* What is done to bytes and lines in each call; items that are cleaned are whole lines. */
static bool pool_clothe(struct cma_dma_pool *pool, const struct cma_device *device)
{
    struct cma_dma_pool_config *config = &pool->config;
    uint64_t line = device->dma->port->cache_line_nbytes;

    pool->dressed = (config->flags & CMA_DMA_POOL_POISON) != 0 ? POOL_POISONED : 0;
    if ((config->flags & CMA_DMA_POOL_CACHED) == 0 || cma__device_snoops(device)) {
        return true;
    }
    pool->dressed |= POOL_CLEANED;
    config->align_nbytes = bits_max(config->align_nbytes, line);
    return range_align_up(config->item_nbytes, line, &config->item_nbytes);
}

/* Fills all of `pool` that follows from the config. */
static int pool_shape(struct cma_dma_pool *pool, const struct cma_device *device,
                      const struct cma_dma_pool_config *config)
{
    uint64_t page = UINT64_C(1) << device->dma->port->page_shift;
    uint64_t align, chunk, stride, nrows;

    *pool = (struct cma_dma_pool){.port = device->dma->port, .config = *config};
    if (!pool_is_formed(config)) {
        return CMA_EINVAL;
    }
    if (!pool_clothe(pool, device)) {
        return CMA_EOVERFLOW;
    }
    if (!pool_is_formed(&pool->config)) { /* the item is longer by now */
        return CMA_EINVAL;
    }
    config = &pool->config;
    align = config->align_nbytes != 0 ? config->align_nbytes : 1;
    chunk = config->chunk_nbytes != 0 ? config->chunk_nbytes : config->item_nbytes;
    if (!range_align_up(chunk, page, &chunk) || chunk >= POOL_NUMBERS_MAX ||
        !range_align_up(config->item_nbytes, align, &stride) || stride > POOL_NUMBERS_MAX) {
        return CMA_EOVERFLOW;
    }
    pool->stride_nbytes = (uint32_t)stride;
    pool_divide(pool, align, config->boundary_nbytes, (uint32_t)chunk);
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
    for (uint32_t i = 0; i < pool->nnumbers; i++) {
        /* Neighbours' stamps are far apart: who mistakes a number has the wrong stamp, too. */
        pool->states[i] =
            pool_word(i * UINT32_C(2654435769) / POOL_STAMP * POOL_STAMP, POOL_NOTHING);
    }
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
