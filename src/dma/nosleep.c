/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nosleep.c - a pool of coherent memory for callers that may not sleep
 *
 * The pool has a device of its own, which is no more than a limit and an owner tag. On its behalf
 * chunks are taken and made coherent by the way of all coherent memory. A chunk's record goes
 *
 *     none -> coming (its memory is being taken) -> live -> leaving (... given back) -> none
 *
 * and only live ones are looked into. States change under the lock; what sleeps happens between.
 *
 * A piece stays uncached when it goes from one owner to the next. So it is zeroed by CPU address,
 * after it was taken: then it is nobody else's, and a device that wrote too late has done its harm.
 */
#include <cma/nosleep.h>

#include "../base/guard.h"
#include "../base/range.h"
#include "../base/runmap.h"
#include "device.h"

enum nosleep_state { NOSLEEP_NONE, NOSLEEP_COMING, NOSLEEP_LIVE, NOSLEEP_LEAVING };

/* What was found in a chunk. */
struct nosleep_found {
    struct cma_coherent whole; /* the chunk */
    cma_daddr_t daddr;         /* of the chunk */
    uint32_t first;
};

static uintptr_t nosleep_lock(struct cma_nosleep *pool)
{
    return guard_lock(pool->dma->port, &pool->lock);
}

static void nosleep_unlock(struct cma_nosleep *pool, uintptr_t state)
{
    guard_unlock(pool->dma->port, &pool->lock, state);
}

static uint64_t nosleep_nbytes(const struct cma_nosleep *pool, uint64_t npages)
{
    return npages << pool->dma->port->page_shift;
}

/* --- allocate -------------------------------------------------------------------------- */

/* Does the device reach the last byte of the chunk, by whole pages? */
static bool nosleep_reaches(const struct cma_nosleep *pool, const struct cma_nosleep_chunk *chunk,
                            const struct cma_device *device, cma_daddr_t *daddr)
{
    return cma_device_to_bus(device, chunk->buffer.paddr, chunk->buffer.nbytes,
                             device->config.coherent_mask, daddr) == 0 &&
           range_is_aligned(*daddr, nosleep_nbytes(pool, 1));
}

/* The first page of a run in a chunk that begins at daddr for the device, or CMA__RUNMAP_NONE. */
static uint32_t nosleep_take_run(const struct cma_nosleep *pool, struct cma_nosleep_chunk *chunk,
                                 const struct cma_coherent_plan *plan, cma_daddr_t daddr)
{
    uint32_t shift = pool->dma->port->page_shift;
    uint64_t align = plan->align_nbytes >> shift, boundary = plan->boundary_nbytes >> shift;
    uint64_t larger = align > boundary ? align : boundary;
    uint64_t page = daddr >> shift;

    /* Longer than 2^31 pages: a chunk has one multiple of it at most. */
    if (larger > UINT32_C(1) << 31) {
        uint64_t last = page + (pool->chunk_npages - 1);

        if ((page & (larger - 1)) != 0 && ((page ^ last) & ~(larger - 1)) != 0) {
            return CMA__RUNMAP_NONE;
        }
        if (align > UINT32_C(1) << 31 && (page & (align - 1)) != 0) {
            return CMA__RUNMAP_NONE;
        }
        align = align > UINT32_C(1) << 31 ? UINT32_C(1) << 31 : align;
        boundary = boundary > UINT32_C(1) << 31 ? 0 : boundary;
        larger = UINT32_C(1) << 31;
    }
    return cma__runmap_take(chunk->map, pool->chunk_npages, (uint32_t)plan->npages, (uint32_t)align,
                            (uint32_t)boundary, (uint32_t)(page & (larger - 1)));
}

/* Under the lock. Returns 0, CMA_ENOMEM (it has nothing now) or CMA_ERANGE (nor will it). */
static int nosleep_take(struct cma_nosleep *pool, const struct cma_device *device,
                        const struct cma_coherent_plan *plan, struct nosleep_found *found)
{
    bool reached = pool->npages == 0;
    uint32_t i;

    for (i = 0; i < pool->config.nchunks_max; i++) {
        struct cma_nosleep_chunk *chunk = &pool->chunks[i];

        if (chunk->state != NOSLEEP_LIVE || !nosleep_reaches(pool, chunk, device, &found->daddr)) {
            continue;
        }
        reached = true;
        if (plan->npages > pool->chunk_npages - chunk->used_npages) {
            continue;
        }
        found->first = nosleep_take_run(pool, chunk, plan, found->daddr);
        if (found->first != CMA__RUNMAP_NONE) {
            found->whole = chunk->buffer;
            chunk->owners[found->first] = device->config.owner;
            chunk->used_npages += (uint32_t)plan->npages;
            pool->used_npages += (uint32_t)plan->npages;
            if (pool->used_npages > pool->most_used_npages) {
                pool->most_used_npages = pool->used_npages;
            }
            return 0;
        }
    }
    pool->nrefused += reached ? 1 : 0;
    return reached ? CMA_ENOMEM : CMA_ERANGE;
}

/* The same with the lock, and the word to who grows it. */
static int nosleep_ask(struct cma_nosleep *pool, const struct cma_device *device,
                       const struct cma_coherent_plan *plan, struct nosleep_found *found)
{
    uintptr_t state = nosleep_lock(pool);
    int error = nosleep_take(pool, device, plan, found);
    uint64_t idle_nbytes = nosleep_nbytes(pool, pool->npages - pool->used_npages);
    bool low = error != CMA_ERANGE && !pool->warned && idle_nbytes < pool->config.low_nbytes;
    void (*report)(void *ctx, uint64_t idle_nbytes) = low ? pool->config.low : NULL;

    pool->warned = pool->warned || low;
    nosleep_unlock(pool, state);
    if (report != NULL) {
        report(pool->config.ctx, idle_nbytes);
    }
    return error;
}

static int nosleep_alloc(struct cma_device *device, const struct cma_coherent_plan *plan,
                         struct cma_coherent *buffer, struct cma_refusal *refusal)
{
    const struct cma_port *port = device->dma->port;
    struct nosleep_found found = {{0}, 0, 0};
    bool fits = false;
    int code = CMA_ERANGE;
    struct cma_nosleep *pool;
    uint64_t offset;

    if ((plan->flags & CMA_COHERENT_NO_MAPPING) != 0) {
        return refuse_with(refusal, CMA_EINVAL, CMA_REASON_ARGUMENT);
    }
    for (pool = device->dma->nosleep; pool != NULL; pool = pool->next) {
        bool fits_here = plan->npages <= pool->chunk_npages;
        int error = fits_here ? nosleep_ask(pool, device, plan, &found) : CMA_ENOMEM;

        if (error == 0) {
            break;
        }
        fits = fits || (fits_here && error == CMA_ENOMEM);
        code = error == CMA_ENOMEM ? error : code;
    }
    if (pool == NULL) {
        return refuse_with(refusal, code,
                           code == CMA_ERANGE ? CMA_REASON_UNREACHABLE
                           : fits             ? CMA_REASON_NOSLEEP
                                              : CMA_REASON_TOO_LARGE);
    }
    offset = nosleep_nbytes(pool, found.first);
    buffer->vaddr = (uint8_t *)found.whole.vaddr + offset;
    buffer->daddr = found.daddr + offset;
    buffer->paddr = found.whole.paddr + offset;
    buffer->source = CMA_SOURCE_NOSLEEP;
    buffer->mapped = found.whole.mapped;
    buffer->flags = plan->flags;
    if ((plan->flags & CMA_COHERENT_NO_ZERO) == 0) {
        guard_zero_vaddr(port, buffer->vaddr, nosleep_nbytes(pool, plan->npages));
        port->dma_barrier(port->ctx);
    }
    return 0;
}

/* --- free ------------------------------------------------------------------------------ */

/* The live chunk that a page lies in, under the lock; NULL: none. */
static struct cma_nosleep_chunk *nosleep_chunk(struct cma_nosleep *pool, cma_paddr_t paddr)
{
    uint32_t i;

    for (i = 0; i < pool->config.nchunks_max; i++) {
        struct cma_nosleep_chunk *chunk = &pool->chunks[i];

        if (chunk->state == NOSLEEP_LIVE && paddr >= chunk->buffer.paddr &&
            paddr - chunk->buffer.paddr < chunk->buffer.nbytes) {
            return chunk;
        }
    }
    return NULL;
}

/* Is it a buffer of the chunk, the device's, of this length? Returns as cma_dma_free_coherent. */
static int nosleep_judge(const struct cma_nosleep *pool, const struct cma_nosleep_chunk *chunk,
                         const struct cma_device *device, const struct cma_coherent *buffer,
                         uint32_t first, uint64_t npages)
{
    uint32_t length = cma__runmap_length(chunk->map, pool->chunk_npages, first);
    cma_daddr_t daddr;

    if (length == 0) {
        return CMA_EBADF;
    }
    if (chunk->owners[first] != device->config.owner) {
        return CMA_EPERM;
    }
    if (npages != length || !nosleep_reaches(pool, chunk, device, &daddr) ||
        buffer->daddr != daddr + nosleep_nbytes(pool, first) ||
        buffer->vaddr != (uint8_t *)chunk->buffer.vaddr + nosleep_nbytes(pool, first)) {
        return CMA_EINVAL;
    }
    return 0;
}

static int nosleep_free(struct cma_device *device, const struct cma_coherent *buffer)
{
    uint32_t shift = device->dma->port->page_shift;
    uint64_t page = (uint64_t)1 << shift;
    uint64_t npages = device_npages(device, buffer->nbytes);
    int error = CMA_EBADF;
    struct cma_nosleep *pool;

    if (buffer->nbytes == 0 || !range_is_aligned(buffer->paddr, page)) {
        return CMA_EINVAL;
    }
    for (pool = device->dma->nosleep; pool != NULL; pool = pool->next) {
        uintptr_t state = nosleep_lock(pool);
        struct cma_nosleep_chunk *chunk = nosleep_chunk(pool, buffer->paddr);

        if (chunk != NULL) {
            uint32_t first = (uint32_t)((buffer->paddr - chunk->buffer.paddr) >> shift);

            error = nosleep_judge(pool, chunk, device, buffer, first, npages);
            if (error == 0) {
                cma__runmap_put(chunk->map, pool->chunk_npages, first);
                chunk->used_npages -= (uint32_t)npages;
                pool->used_npages -= (uint32_t)npages;
            }
        }
        nosleep_unlock(pool, state);
        if (chunk != NULL) {
            break;
        }
    }
    return error;
}

static const struct cma_backend_ops nosleep_ops = {.alloc = nosleep_alloc, .free = nosleep_free};

/* --- grow and trim --------------------------------------------------------------------- */

/* A record for another chunk, when fewer than idle_nbytes are idle: 0 and NULL (it isn't needed),
 * 0 and the chunk, CMA_EAGAIN or CMA_ENOMEM as cma_nosleep_grow. */
static int nosleep_begin(struct cma_nosleep *pool, uint64_t idle_nbytes,
                         struct cma_nosleep_chunk **begun)
{
    uintptr_t state = nosleep_lock(pool);
    bool passing = false;
    int error = 0;
    uint32_t i;

    *begun = NULL;
    if (nosleep_nbytes(pool, pool->npages - pool->used_npages) < idle_nbytes) {
        for (i = 0; i < pool->config.nchunks_max; i++) {
            uint32_t is = pool->chunks[i].state;

            passing = passing || is == NOSLEEP_COMING || is == NOSLEEP_LEAVING;
            if (is == NOSLEEP_NONE) {
                *begun = &pool->chunks[i];
                (*begun)->state = NOSLEEP_COMING;
                break;
            }
        }
        if (*begun == NULL) {
            error = passing ? CMA_EAGAIN : CMA_ENOMEM;
        }
    }
    nosleep_unlock(pool, state);
    return error;
}

/* Takes its memory. */
static int nosleep_fill(struct cma_nosleep *pool, struct cma_nosleep_chunk *chunk,
                        struct cma_refusal *refusal)
{
    struct cma_coherent_request request = {.nbytes = pool->config.chunk_nbytes,
                                           .flags = CMA_CLAIM_LONG};
    struct cma_refusal why = {.reason = CMA_REASON_UNREACHABLE, .pfn = CMA_PFN_NONE};
    struct cma_coherent made = {.nbytes = request.nbytes};
    struct cma_coherent_plan plan;
    int error = cma__coherent_plan(&pool->device, &request, &plan);
    uintptr_t state;

    cma__assert(error == 0);
    plan.explained = refusal != NULL;
    if (error == 0) {
        error = cma__coherent_make(&pool->device, &plan, &made, &why);
    }
    if (error == 0) {
        cma__runmap_init(chunk->map, pool->chunk_npages);
        chunk->buffer = made;
        chunk->used_npages = 0;
    } else if (refusal != NULL) {
        *refusal = why;
        refusal->code = error;
    }
    state = nosleep_lock(pool);
    chunk->state = error == 0 ? NOSLEEP_LIVE : NOSLEEP_NONE;
    pool->npages += error == 0 ? pool->chunk_npages : 0;
    nosleep_unlock(pool, state);
    return error;
}

int cma_nosleep_grow(struct cma_nosleep *pool, uint64_t idle_nbytes, struct cma_refusal *refusal)
{
    struct cma_nosleep_chunk *chunk;
    uintptr_t state;
    int error;

    do {
        error = nosleep_begin(pool, idle_nbytes, &chunk);
        if (error != 0) {
            (void)refuse_with(refusal, error,
                              error == CMA_ENOMEM ? CMA_REASON_TOO_LARGE : CMA_REASON_NONE);
        } else if (chunk != NULL) {
            error = nosleep_fill(pool, chunk, refusal);
        }
    } while (error == 0 && chunk != NULL);
    /* Whoever finds it low from here on has to say so again: nobody is growing it any more. */
    state = nosleep_lock(pool);
    pool->warned = false;
    nosleep_unlock(pool, state);
    return error;
}

/* Takes one idle chunk out, the last first, for requests take the first. NULL: none may go. */
static struct cma_nosleep_chunk *nosleep_leave(struct cma_nosleep *pool, uint64_t idle_nbytes)
{
    uintptr_t state = nosleep_lock(pool);
    uint32_t idle = pool->npages - pool->used_npages;
    struct cma_nosleep_chunk *chunk = NULL;
    uint32_t i = pool->config.nchunks_max;

    while (i-- > 0 && chunk == NULL) {
        if (pool->chunks[i].state == NOSLEEP_LIVE && pool->chunks[i].used_npages == 0 &&
            nosleep_nbytes(pool, idle - pool->chunk_npages) >= idle_nbytes) {
            chunk = &pool->chunks[i];
            chunk->state = NOSLEEP_LEAVING;
            pool->npages -= pool->chunk_npages;
        }
    }
    nosleep_unlock(pool, state);
    return chunk;
}

/* Gives chunks back until none may go, or one can't. */
static int nosleep_shrink(struct cma_nosleep *pool, uint64_t idle_nbytes, uint64_t *given_nbytes)
{
    struct cma_nosleep_chunk *chunk;
    uintptr_t state;
    int error = 0;

    *given_nbytes = 0;
    while (error == 0 && (chunk = nosleep_leave(pool, idle_nbytes)) != NULL) {
        error = cma__coherent_unmake(&pool->device, &chunk->buffer);
        *given_nbytes += error == 0 ? pool->config.chunk_nbytes : 0;
        state = nosleep_lock(pool);
        chunk->state = error == 0 ? NOSLEEP_NONE : NOSLEEP_LIVE;
        pool->npages += error == 0 ? 0 : pool->chunk_npages;
        nosleep_unlock(pool, state);
    }
    return error;
}

uint64_t cma_nosleep_trim(struct cma_nosleep *pool, uint64_t idle_nbytes)
{
    uint64_t given_nbytes;

    (void)nosleep_shrink(pool, idle_nbytes, &given_nbytes);
    return given_nbytes;
}

/* --- begin and end --------------------------------------------------------------------- */

static uint64_t nosleep_chunk_words(uint32_t npages)
{
    return cma__runmap_words(npages) + npages;
}

uint64_t cma_nosleep_size(const struct cma_port *port, const struct cma_nosleep_config *config)
{
    uint64_t npages;

    if (port == NULL || config == NULL || config->owner == 0 || config->paddr_last == 0 ||
        config->nchunks_max == 0 || config->nchunks_max > CMA_NOSLEEP_CHUNKS_MAX ||
        config->chunk_nbytes == 0 ||
        !range_is_aligned(config->chunk_nbytes, (uint64_t)1 << port->page_shift)) {
        return 0;
    }
    /* All pages of a pool are counted in 32 bits. */
    npages = config->chunk_nbytes >> port->page_shift;
    if (npages > (UINT32_MAX >> 1) / config->nchunks_max) {
        return 0;
    }
    return config->nchunks_max * nosleep_chunk_words((uint32_t)npages) * sizeof(uint32_t);
}

int cma_nosleep_init(struct cma_nosleep *pool, struct cma_dma *dma,
                     const struct cma_nosleep_config *config, void *storage, uint64_t nbytes)
{
    struct cma_device_config device = {0};
    struct cma_nosleep **link;
    uint32_t *words = storage;
    uint64_t size;
    uint32_t i;

    if (pool == NULL || dma == NULL || storage == NULL ||
        (uintptr_t)storage % sizeof(uint32_t) != 0) {
        return CMA_EINVAL;
    }
    size = cma_nosleep_size(dma->port, config);
    if (size == 0) {
        return CMA_EINVAL;
    }
    if (nbytes < size) {
        return CMA_ENOMEM;
    }
    *pool = (struct cma_nosleep){.ops = &nosleep_ops, .dma = dma, .config = *config};
    pool->chunk_npages = (uint32_t)(config->chunk_nbytes >> dma->port->page_shift);
    device.name = config->name;
    device.owner = config->owner;
    device.mask = config->paddr_last;
    device.coherent_mask = config->paddr_last;
    device.area = config->area;
    if (cma_device_init(&pool->device, dma, &device) != 0) {
        return CMA_EINVAL;
    }
    for (i = 0; i < config->nchunks_max; i++) {
        pool->chunks[i].owners = words;
        pool->chunks[i].map = words + pool->chunk_npages;
        words += nosleep_chunk_words(pool->chunk_npages);
    }
    for (link = &dma->nosleep; *link != NULL; link = &(*link)->next) {
    }
    *link = pool;
    return 0;
}

int cma_nosleep_destroy(struct cma_nosleep *pool)
{
    struct cma_nosleep **link = &pool->dma->nosleep;
    uintptr_t state = nosleep_lock(pool);
    bool busy = pool->used_npages != 0;
    uint64_t given_nbytes;
    uint32_t i;
    int error;

    for (i = 0; i < pool->config.nchunks_max; i++) {
        uint32_t is = pool->chunks[i].state;

        busy = busy || is == NOSLEEP_COMING || is == NOSLEEP_LEAVING;
    }
    nosleep_unlock(pool, state);
    if (busy) {
        return CMA_EBUSY;
    }
    error = nosleep_shrink(pool, 0, &given_nbytes);
    if (error != 0) {
        return error;
    }
    while (*link != NULL && *link != pool) {
        link = &(*link)->next;
    }
    if (*link == pool) {
        *link = pool->next;
    }
    return 0;
}

/* --- questions ------------------------------------------------------------------------- */

void cma_nosleep_stats(struct cma_nosleep *pool, struct cma_nosleep_stats *stats)
{
    uintptr_t state = nosleep_lock(pool);
    uint32_t longest = 0;
    uint32_t i;

    for (i = 0; i < pool->config.nchunks_max; i++) {
        if (pool->chunks[i].state == NOSLEEP_LIVE) {
            uint32_t run = cma__runmap_longest(pool->chunks[i].map, pool->chunk_npages);

            longest = run > longest ? run : longest;
        }
    }
    *stats = (struct cma_nosleep_stats){
        .nbytes = nosleep_nbytes(pool, pool->npages),
        .used_nbytes = nosleep_nbytes(pool, pool->used_npages),
        .most_used_nbytes = nosleep_nbytes(pool, pool->most_used_npages),
        .free_run_nbytes = nosleep_nbytes(pool, longest),
        .nrefused = pool->nrefused,
    };
    nosleep_unlock(pool, state);
}

int cma_nosleep_next(struct cma_nosleep *pool, uint64_t *page, cma_paddr_t *paddr, uint64_t *nbytes,
                     uint32_t *owner)
{
    uintptr_t state = nosleep_lock(pool);
    uint64_t i = *page / pool->chunk_npages;
    uint32_t from = (uint32_t)(*page % pool->chunk_npages);
    int error = CMA_ENOENT;

    for (; i < pool->config.nchunks_max && error != 0; i++, from = 0) {
        const struct cma_nosleep_chunk *chunk = &pool->chunks[i];
        uint32_t first = CMA__RUNMAP_NONE;

        if (chunk->state == NOSLEEP_LIVE) {
            first = cma__runmap_next(chunk->map, pool->chunk_npages, from);
        }
        if (first != CMA__RUNMAP_NONE) {
            uint32_t length = cma__runmap_length(chunk->map, pool->chunk_npages, first);

            *page = i * pool->chunk_npages + first + length;
            *paddr = chunk->buffer.paddr + nosleep_nbytes(pool, first);
            *nbytes = nosleep_nbytes(pool, length);
            *owner = chunk->owners[first];
            error = 0;
        }
    }
    nosleep_unlock(pool, state);
    return error;
}

bool cma_nosleep_check(struct cma_nosleep *pool)
{
    uint32_t npages = 0, used_npages = 0;
    bool good = true;
    uint32_t i;

    for (i = 0; i < pool->config.nchunks_max && good; i++) {
        const struct cma_nosleep_chunk *chunk = &pool->chunks[i];
        uint32_t used = 0, first = 0;

        if (chunk->state != NOSLEEP_LIVE) {
            continue;
        }
        good = cma__runmap_check(chunk->map, pool->chunk_npages);
        while (first < pool->chunk_npages &&
               (first = cma__runmap_next(chunk->map, pool->chunk_npages, first)) !=
                   CMA__RUNMAP_NONE) {
            uint32_t length = cma__runmap_length(chunk->map, pool->chunk_npages, first);

            good = good && length != 0 && chunk->owners[first] != 0;
            used += length;
            first += length != 0 ? length : 1;
        }
        good = good && used == chunk->used_npages;
        npages += pool->chunk_npages;
        used_npages += used;
    }
    return good && npages == pool->npages && used_npages == pool->used_npages &&
           pool->most_used_npages >= used_npages;
}
