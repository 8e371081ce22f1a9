/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cache.h - a holder of movable data on the host: objects of one page, and their mover
 *
 * Each object is a page with a pattern of its own. A clean object can be dropped and is made again
 * when it is looked at; a dirty one has to be carried. An object's mutex is held for moments only,
 * by who uses the object and by the mover's callbacks, never across an allocation.
 */
#ifndef CACHE_H
#define CACHE_H

#include "glue.h"

#include "../../ports/sim/sim.h"

enum cache_state { CACHE_EMPTY, CACHE_ADDING, CACHE_CLEAN, CACHE_DIRTY };

struct cache_object {
    pthread_mutex_t lock;
    enum cache_state state;
    bool frozen;
    cma_pfn_t pfn;
    uint32_t generation;
};

struct cache {
    struct sim *sim;
    struct glue *glue;
    struct cma_mover mover;
    uint32_t number; /* the mover's */
    uint32_t nobjects;
    struct cache_object *objects;
    uint32_t moved, dropped, refused_by_fault; /* atomic */
};

/* Registers the mover; its pages lie up to paddr_last. Returns 0 or as cma_mover_register. */
int cache_init(struct cache *cache, struct sim *sim, struct glue *glue, cma_paddr_t paddr_last,
               struct cache_object *objects, uint32_t nobjects);
/* Gets a page for object `id` and writes its pattern. 0 (also when it has one), CMA_ENOMEM, or
 * CMA_EAGAIN (another thread is doing that). */
int cache_add(struct cache *cache, uint32_t id, bool dirty);
/* Checks and frees. 0, also when there was nothing. False in *good: bytes were wrong. */
int cache_remove(struct cache *cache, uint32_t id, bool *good);
/* Writes the next pattern: the object is dirty then. */
int cache_write(struct cache *cache, uint32_t id);
/* Are all bytes of the object right? An object without page is. */
bool cache_verify(struct cache *cache, uint32_t id);

#endif
