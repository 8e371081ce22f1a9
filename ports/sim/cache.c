/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cache.c - a finite write-back cache that is as unhelpful as a real one may be
 *
 * Physically indexed, four ways, lines of 64 bytes, write-allocate. Which line leaves is random
 * (seeded), lines nobody asked for are read ahead from pages that are mapped cached at that moment,
 * and lines leave without need. What is not modelled: several levels, several processors' caches
 * (they are coherent with each other on every machine that libcma runs on), write buffers.
 */
#include <string.h>
#include <sys/mman.h>

#include "private.h"

/* One miss in so many reads the next line ahead. */
#define CACHE_PREFETCH_ONE_IN 16

bool sim_cache_init(struct sim *sim)
{
    struct sim_cache *cache = &sim->cache;
    uint64_t nbytes = sim->config.cache_nbytes ? sim->config.cache_nbytes : 256 * 1024;

    cache->random = sim->config.seed ^ 0x6361636865u;
    if (sim->config.coherent)
        return true;
    cache->nlines = (uint32_t)(nbytes / SIM_LINE);
    cache->set_mask = cache->nlines / SIM_WAYS - 1;
    cache->tags = sim_reserve(cache->nlines * sizeof(*cache->tags), PROT_READ | PROT_WRITE);
    cache->data = sim_reserve(nbytes, PROT_READ | PROT_WRITE);
    return cache->tags && cache->data;
}

void sim_cache_exit(struct sim *sim)
{
    struct sim_cache *cache = &sim->cache;

    sim_unreserve(cache->tags, cache->nlines * sizeof(*cache->tags));
    sim_unreserve(cache->data, (uint64_t)cache->nlines * SIM_LINE);
}

/* Its place in the cache, or UINT32_MAX. */
static uint32_t cache_find(const struct sim_cache *cache, uint64_t line)
{
    uint32_t first = ((uint32_t)line & cache->set_mask) * SIM_WAYS;

    for (uint32_t slot = first; slot < first + SIM_WAYS; slot++)
        if (cache->tags[slot] >> 1 == line + 1)
            return slot;
    return UINT32_MAX;
}

static uint8_t *cache_data(const struct sim_cache *cache, uint32_t slot)
{
    return cache->data + (size_t)slot * SIM_LINE;
}

static void cache_write_back(struct sim *sim, uint32_t slot)
{
    struct sim_cache *cache = &sim->cache;
    uint64_t line = (cache->tags[slot] >> 1) - 1;

    memcpy(sim->memory + line * SIM_LINE, cache_data(cache, slot), SIM_LINE);
    cache->tags[slot] &= ~(uint64_t)1;
}

/* Makes room for a line that is not there; its bytes are not filled in. */
static uint32_t cache_take(struct sim *sim, uint64_t line)
{
    struct sim_cache *cache = &sim->cache;
    uint32_t slot = ((uint32_t)line & cache->set_mask) * SIM_WAYS;

    slot += (uint32_t)(sim_mix(&cache->random) >> 32) % SIM_WAYS;
    if (cache->tags[slot]) {
        if (cache->tags[slot] & 1)
            cache_write_back(sim, slot);
        sim->stats.evictions++;
    }
    cache->tags[slot] = (line + 1) << 1;
    return slot;
}

static void cache_fill(struct sim *sim, uint32_t slot, uint64_t line)
{
    memcpy(cache_data(&sim->cache, slot), sim->memory + line * SIM_LINE, SIM_LINE);
}

static void cache_prefetch(struct sim *sim, uint64_t line)
{
    if (line >= sim->nbytes / SIM_LINE || cache_find(&sim->cache, line) != UINT32_MAX ||
        !sim_page_cached(sim, line * SIM_LINE >> sim->page_shift))
        return;
    cache_fill(sim, cache_take(sim, line), line);
    sim->stats.prefetches++;
}

uint64_t sim_cache_access(struct sim *sim, enum sim_op op, uint64_t offset, void *bytes,
                          uint32_t nbytes)
{
    struct sim_cache *cache = &sim->cache;
    uint8_t *at = bytes;
    uint64_t hits = 0, misses = 0;
    bool ahead = false;

    while (nbytes) {
        uint64_t line = offset / SIM_LINE;
        uint32_t in = (uint32_t)(offset % SIM_LINE), n = SIM_LINE - in;
        n = n < nbytes ? n : nbytes;
        uint32_t slot = cache_find(cache, line);
        if (slot != UINT32_MAX) {
            hits++;
        } else {
            misses++;
            slot = cache_take(sim, line);
            if (op == SIM_OP_READ || n < SIM_LINE)
                cache_fill(sim, slot, line);
            if (cache->random % CACHE_PREFETCH_ONE_IN == 0)
                ahead = true;
        }
        if (op == SIM_OP_READ) {
            memcpy(at, cache_data(cache, slot) + in, n);
        } else {
            memcpy(cache_data(cache, slot) + in, at, n);
            cache->tags[slot] |= 1;
        }
        offset += n;
        at += n;
        nbytes -= n;
    }
    if (ahead)
        cache_prefetch(sim, (offset + SIM_LINE - 1) / SIM_LINE);
    sim->stats.cache_hits += hits;
    sim->stats.cache_misses += misses;
    return hits * sim_cost_ns(SIM_COST_LINE_HIT) + misses * sim_cost_ns(SIM_COST_LINE_MISS);
}

static void cache_drop(struct sim_cache *cache, uint32_t slot)
{
    cache->tags[slot] = 0;
}

/* Lines [first, last] are written back when dirty, if `clean`, and dropped, if `drop`. */
static void cache_maintain(struct sim *sim, uint64_t first, uint64_t last, bool clean, bool drop)
{
    struct sim_cache *cache = &sim->cache;

    if (last - first >= cache->nlines) {
        for (uint32_t slot = 0; slot < cache->nlines; slot++) {
            uint64_t line = (cache->tags[slot] >> 1) - 1;
            if (!cache->tags[slot] || line < first || line > last)
                continue;
            if (clean && cache->tags[slot] & 1)
                cache_write_back(sim, slot);
            if (drop)
                cache_drop(cache, slot);
        }
        return;
    }
    for (uint64_t line = first; line <= last; line++) {
        uint32_t slot = cache_find(cache, line);
        if (slot == UINT32_MAX)
            continue;
        if (clean && cache->tags[slot] & 1)
            cache_write_back(sim, slot);
        if (drop)
            cache_drop(cache, slot);
    }
}

void sim_cache_clean(struct sim *sim, uint64_t offset, uint64_t nbytes)
{
    cache_maintain(sim, offset / SIM_LINE, (offset + nbytes - 1) / SIM_LINE, true, false);
}

void sim_cache_invalidate(struct sim *sim, uint64_t offset, uint64_t nbytes)
{
    uint64_t first = offset / SIM_LINE, last = (offset + nbytes - 1) / SIM_LINE;

    if (offset % SIM_LINE) {
        cache_maintain(sim, first, first, true, true);
        first++;
    }
    if (first <= last && (offset + nbytes) % SIM_LINE) {
        cache_maintain(sim, last, last, true, true);
        if (last == 0)
            return;
        last--;
    }
    if (first <= last)
        cache_maintain(sim, first, last, false, true);
}

void sim_cache_evict(struct sim *sim, uint64_t nlines)
{
    struct sim_cache *cache = &sim->cache;
    bool all = nlines == UINT64_MAX;

    for (uint64_t i = 0; i < (all ? cache->nlines : nlines); i++) {
        uint32_t slot =
            all ? (uint32_t)i : (uint32_t)(sim_mix(&cache->random) >> 32) & (cache->nlines - 1);
        if (!cache->tags[slot])
            continue;
        if (cache->tags[slot] & 1)
            cache_write_back(sim, slot);
        cache_drop(cache, slot);
        sim->stats.evictions++;
    }
}

void sim_cache_speculate(struct sim *sim, uint64_t offset, uint64_t nbytes, uint32_t n)
{
    uint64_t first = offset / SIM_LINE, lines = (offset + nbytes - 1) / SIM_LINE - first + 1;

    for (uint32_t i = 0; i < n; i++)
        cache_prefetch(sim, first + sim_mix(&sim->cache.random) % lines);
}
