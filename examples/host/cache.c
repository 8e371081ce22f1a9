/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cache.c - objects and the mover that carries or drops them
 *
 * Who finds an object frozen waits for the table's event with no lock held, and looks again.
 */
#include "cache.h"

#include <string.h>

static void cache_pattern(const struct cache *cache, uint32_t id, uint32_t generation,
                          uint64_t *words, uint64_t nbytes)
{
    (void)cache;
    for (uint64_t i = 0; i < nbytes / 8; i++)
        words[i] = ((uint64_t)id << 40 ^ (uint64_t)generation << 20 ^ i) * 0x9e3779b97f4a7c15u;
}

static uint64_t cache_page(const struct cache *cache)
{
    return UINT64_C(1) << cache->glue->port->page_shift;
}

static void cache_store(struct cache *cache, uint32_t id)
{
    uint64_t words[512], nbytes = cache_page(cache);
    cma_paddr_t paddr = cache->objects[id].pfn << cache->glue->port->page_shift;

    cache_pattern(cache, id, cache->objects[id].generation, words, nbytes);
    sim_write_paddr(cache->sim, paddr, words, nbytes);
}

static bool cache_load(struct cache *cache, uint32_t id)
{
    uint64_t is[512], must[512], nbytes = cache_page(cache);
    cma_paddr_t paddr = cache->objects[id].pfn << cache->glue->port->page_shift;

    sim_read_paddr(cache->sim, paddr, is, nbytes);
    cache_pattern(cache, id, cache->objects[id].generation, must, nbytes);
    return memcmp(is, must, nbytes) == 0;
}

/* Locks an object that is not being moved. */
static struct cache_object *cache_lock(struct cache *cache, uint32_t id)
{
    struct cache_object *object = &cache->objects[id];

    for (;;) {
        uint32_t seen = cma_frames_event(cache->glue->frames);

        pthread_mutex_lock(&object->lock);
        if (!object->frozen)
            return object;
        pthread_mutex_unlock(&object->lock);
        (void)cma_frames_wait(cache->glue->frames, seen);
    }
}

/* --- the mover ---------------------------------------------------------------------------------
 */

static bool cache_has(const struct cache_object *object, cma_pfn_t pfn)
{
    return object->state >= CACHE_CLEAN && object->pfn == pfn;
}

static int cache_freeze(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct cache *cache = ctx;
    struct cache_object *object = &cache->objects[cookie];
    int error = CMA_ENOENT;

    if (sim_fault_now(cache->sim, SIM_FAULT_FREEZE)) {
        __atomic_fetch_add(&cache->refused_by_fault, 1, __ATOMIC_RELAXED);
        return CMA_EBUSY;
    }
    pthread_mutex_lock(&object->lock);
    if (cache_has(object, pfn)) {
        object->frozen = true;
        error = 0;
    }
    pthread_mutex_unlock(&object->lock);
    return error;
}

static void cache_thaw(struct cache_object *object, cma_pfn_t pfn)
{
    pthread_mutex_lock(&object->lock);
    object->pfn = pfn;
    object->frozen = false;
    pthread_mutex_unlock(&object->lock);
}

static void cache_commit(void *ctx, cma_pfn_t from, cma_pfn_t to, uint32_t cookie)
{
    struct cache *cache = ctx;

    glue_gone(cache->glue, from);
    cache_thaw(&cache->objects[cookie], to);
    __atomic_fetch_add(&cache->moved, 1, __ATOMIC_RELAXED);
}

static void cache_abort(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct cache *cache = ctx;

    cache_thaw(&cache->objects[cookie], pfn);
}

static int cache_discard(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct cache *cache = ctx;
    struct cache_object *object = &cache->objects[cookie];
    int error = CMA_ENOENT;

    pthread_mutex_lock(&object->lock);
    if (cache_has(object, pfn) && object->state == CACHE_DIRTY) {
        error = CMA_EBUSY;
    } else if (cache_has(object, pfn)) {
        object->state = CACHE_EMPTY;
        glue_gone(cache->glue, pfn);
        __atomic_fetch_add(&cache->dropped, 1, __ATOMIC_RELAXED);
        error = 0;
    }
    pthread_mutex_unlock(&object->lock);
    return error;
}

/* --- objects -----------------------------------------------------------------------------------
 */

int cache_init(struct cache *cache, struct sim *sim, struct glue *glue, cma_paddr_t paddr_last,
               struct cache_object *objects, uint32_t nobjects)
{
    int number;

    *cache = (struct cache){
        .sim = sim,
        .glue = glue,
        .mover =
            {
                .name = "cache",
                .ctx = cache,
                .paddr_last = paddr_last,
                .flags = CMA_MOVER_MAY_REFUSE,
                .freeze = cache_freeze,
                .commit = cache_commit,
                .abort = cache_abort,
                .discard = cache_discard,
            },
        .nobjects = nobjects,
        .objects = objects,
    };
    for (uint32_t i = 0; i < nobjects; i++) {
        objects[i] = (struct cache_object){.state = CACHE_EMPTY};
        pthread_mutex_init(&objects[i].lock, NULL);
    }
    number = cma_mover_register(glue->frames, &cache->mover);
    if (number < 0)
        return number;
    cache->number = (uint32_t)number;
    return 0;
}

int cache_add(struct cache *cache, uint32_t id, bool dirty)
{
    struct cache_object *object = cache_lock(cache, id);
    struct cma_holder holder = {dirty ? CMA_KIND_MOVABLE : CMA_KIND_DROPPABLE, cache->number, id};
    enum cache_state before = object->state;
    cma_pfn_t pfn = CMA_PFN_NONE;
    int error;

    if (before == CACHE_EMPTY)
        object->state = CACHE_ADDING;
    pthread_mutex_unlock(&object->lock);
    if (before != CACHE_EMPTY)
        return before == CACHE_ADDING ? CMA_EAGAIN : 0;

    error = glue_get(cache->glue, &holder, cache->mover.paddr_last, &pfn);
    pthread_mutex_lock(&object->lock);
    object->state = CACHE_EMPTY;
    if (error == 0) {
        object->state = dirty ? CACHE_DIRTY : CACHE_CLEAN;
        object->pfn = pfn;
        cache_store(cache, id);
    }
    pthread_mutex_unlock(&object->lock);
    return error;
}

int cache_remove(struct cache *cache, uint32_t id, bool *good)
{
    for (;;) {
        struct cache_object *object = cache_lock(cache, id);
        uint32_t seen = cma_frames_event(cache->glue->frames);
        int error = 0;

        if (object->state >= CACHE_CLEAN) {
            *good = *good && cache_load(cache, id);
            error = glue_put(cache->glue, object->pfn);
            if (error == 0)
                object->state = CACHE_EMPTY;
        }
        pthread_mutex_unlock(&object->lock);
        if (error != CMA_EAGAIN)
            return error;
        (void)cma_frames_wait(cache->glue->frames, seen);
    }
}

int cache_write(struct cache *cache, uint32_t id)
{
    for (;;) {
        struct cache_object *object = cache_lock(cache, id);
        uint32_t seen = cma_frames_event(cache->glue->frames);
        int error = 0;

        if (object->state >= CACHE_CLEAN) {
            error = cma_frame_keep(cache->glue->frames, object->pfn);
            if (error == CMA_ENOENT)
                error = 0; /* the host's own page: libcma need not know */
            if (error == 0) {
                object->state = CACHE_DIRTY;
                object->generation++;
                cache_store(cache, id);
            }
        }
        pthread_mutex_unlock(&object->lock);
        if (error != CMA_EAGAIN)
            return error;
        (void)cma_frames_wait(cache->glue->frames, seen);
    }
}

bool cache_verify(struct cache *cache, uint32_t id)
{
    struct cache_object *object = cache_lock(cache, id);
    bool good = object->state < CACHE_CLEAN || cache_load(cache, id);

    pthread_mutex_unlock(&object->lock);
    return good;
}
