/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.c - libcma's DMA pools as a peer: `libcma-pool` with a lane a thread, `libcma-pool-cpu` with
 * a cache a processor, and `libcma-pool-plain` with neither
 *
 * The device snoops and sees physical addresses; chunks of 256 KiB come from an area that is as
 * large as the pool. Everything is taken ahead, as a driver would. What is handed to the driver is
 * a struct cma_dma_item as it is, or from lanes a token, in the place of the address that others
 * hand out.
 */
#define _GNU_SOURCE
#include "../peer.h"

#include "memory.h"
#include "port.h"

#include <cma/cma.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define POOL_PADDR (UINT64_C(1) << 32)
#define POOL_CHUNK (UINT64_C(256) << 10)
#define POOL_CACHES 64u
#define POOL_LANES 8u

_Static_assert(sizeof(struct peer_item) == sizeof(struct cma_dma_item), "an item is an item");

struct self {
    struct cma_port port;
    struct cma_range memory[2], reserved[2];
    struct cma_map map;
    struct cma_zone zone;
    struct cma_system system;
    struct cma_device device;
    struct cma_dma_pool pool;
    uint8_t *bytes;
    uint64_t nbytes, storage_nbytes, tables_nbytes;
    void *storage, *tables;
    struct cma_dma_pool_cache *caches;
    struct cma_dma_pool_lane lanes[POOL_LANES]; /* by thread; the first is nobody's */
};

/* Threads are numbered as they come; a number is free again when its thread ends. */
static uint32_t lane_numbers;
static __thread __attribute__((tls_model("initial-exec"))) uint64_t lane_offset; /* 0: not yet */
static pthread_key_t lane_key;
static pthread_once_t lane_once = PTHREAD_ONCE_INIT;

static void lane_leave(void *number)
{
    (void)__atomic_and_fetch(&lane_numbers, ~(1u << (uintptr_t)number), __ATOMIC_ACQ_REL);
}

static void lane_make_key(void)
{
    (void)pthread_key_create(&lane_key, lane_leave);
}

static inline struct cma_dma_pool_lane *lane_mine(struct self *self)
{
    struct cma_dma_pool_lane *lane =
        (struct cma_dma_pool_lane *)(void *)((char *)self->lanes + lane_offset);

    __asm__("" : "+r"(lane)); /* not computed anew for each of its fields */
    return lane;
}

static void lane_enter(void)
{
    uint32_t old = __atomic_load_n(&lane_numbers, __ATOMIC_ACQUIRE), number;

    do {
        for (number = 1; old >> number & 1; number++) {
        }
    } while (!__atomic_compare_exchange_n(&lane_numbers, &old, old | 1u << number, false,
                                          __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
    if (number >= POOL_LANES) {
        abort();
    }
    (void)pthread_once(&lane_once, lane_make_key);
    (void)pthread_setspecific(lane_key, (void *)(uintptr_t)number);
    lane_offset = number * sizeof(struct cma_dma_pool_lane);
}

static void *port_vaddr(void *ctx, cma_paddr_t paddr)
{
    return ((struct self *)ctx)->bytes + (paddr - POOL_PADDR);
}

static void port_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    memcpy(port_vaddr(ctx, to), port_vaddr(ctx, from), nbytes);
}

static void port_zero(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    memset(port_vaddr(ctx, paddr), 0, nbytes);
}

static bool pool_system(struct self *self)
{
    struct cma_range range = {.base = POOL_PADDR,
                              .nbytes = self->nbytes,
                              .kind = CMA_RANGE_AREA,
                              .flags = CMA_RANGE_DEFAULT,
                              .name = "pool"};
    struct cma_system_config config = {
        .port = &self->port, .zones = &self->zone, .nzones = 1, .block_order = 9};
    struct cma_device_config device = {
        .name = "dev", .owner = 1, .mask = UINT64_MAX, .coherent_mask = UINT64_MAX};

    self->port = (struct cma_port){.ctx = self,
                                   .page_shift = PEER_PAGE_SHIFT,
                                   .cache_line_nbytes = 64,
                                   .vaddr = port_vaddr,
                                   .dma_barrier = port_barrier,
                                   .copy = port_copy,
                                   .zero = port_zero,
                                   .lock = port_lock,
                                   .unlock = port_unlock,
                                   .cpu = port_cpu};
    self->zone.last = CMA_PADDR_MAX;
    if (cma_map_init(&self->map, self->memory, 2, self->reserved, 2) ||
        cma_map_add_memory(&self->map, range.base, range.nbytes, NULL) ||
        cma_map_reserve(&self->map, &range, NULL)) {
        return false;
    }
    self->storage_nbytes = cma_system_size(&self->map, &config);
    self->storage = memory_get(self->storage_nbytes);
    return self->storage &&
           !cma_system_init(&self->system, &self->map, &config, self->storage,
                            self->storage_nbytes) &&
           !cma_device_init(&self->device, &self->system.dma, &device);
}

static void *pool_create(const struct peer_config *config, bool caches)
{
    struct self *self = aligned_alloc(64, (sizeof(*self) + 63) / 64 * 64);
    struct cma_dma_pool_config pool = {.name = "bench",
                                       .item_nbytes = config->item_nbytes,
                                       .align_nbytes = config->item_nbytes,
                                       .chunk_nbytes = POOL_CHUNK,
                                       .nitems_max = config->nitems};
    uint64_t nchunks = (config->nitems * config->item_nbytes + POOL_CHUNK - 1) / POOL_CHUNK;

    memset(self, 0, sizeof(*self));
    self->nbytes = memory_size(nchunks * POOL_CHUNK);
    self->bytes = memory_get(self->nbytes);
    if (!self->bytes || !pool_system(self)) {
        return NULL;
    }
    self->tables_nbytes = cma_dma_pool_size(&self->device, &pool);
    self->tables = memory_get(self->tables_nbytes);
    self->caches = aligned_alloc(64, POOL_CACHES * sizeof(*self->caches));
    if (cma_dma_pool_init(&self->pool, &self->device, &pool, self->tables, self->tables_nbytes) ||
        (caches && cma_dma_pool_add_caches(&self->pool, self->caches, POOL_CACHES)) ||
        cma_dma_pool_grow(&self->pool, config->nitems, NULL)) {
        return NULL;
    }
    return self;
}

static void *pool_create_lanes(const struct peer_config *config)
{
    struct self *self = pool_create(config, false);

    for (uint32_t i = 1; self && i < POOL_LANES; i++) {
        if (cma_dma_pool_lane_init(&self->lanes[i], &self->pool)) {
            return NULL;
        }
    }
    return self;
}

static void *pool_create_cached(const struct peer_config *config)
{
    return pool_create(config, true);
}

static void *pool_create_plain(const struct peer_config *config)
{
    return pool_create(config, false);
}

static bool pool_get(void *self, struct peer_item *item)
{
    return cma_dma_pool_alloc(&((struct self *)self)->pool, 0, (struct cma_dma_item *)item, NULL) ==
           0;
}

static void pool_put(void *self, const struct peer_item *item)
{
    if (cma_dma_pool_free(&((struct self *)self)->pool, (const struct cma_dma_item *)item)) {
        abort();
    }
}

/* What a driver's hot loop keeps apart: no item at hand, or a thread that comes for the first time.
 */
static __attribute__((noinline)) bool pool_get_slowly(void *self, struct peer_item *item)
{
    uint64_t token;

    if (lane_offset == 0) {
        lane_enter();
    }
    if (cma_dma_pool_lane_alloc(lane_mine(self), 0, &token, NULL)) {
        return false;
    }
    item->vaddr = (void *)(uintptr_t)token;
    return true;
}

/* Both addresses are computed, as a driver does that uses an item; it keeps the token. */
static bool pool_get_lane(void *self, struct peer_item *item)
{
    struct cma_dma_pool_lane *lane = lane_mine(self);
    struct cma_dma_item place;
    uint64_t token;

    if (lane_offset == 0 || !cma_dma_pool_lane_ready(lane) ||
        cma_dma_pool_lane_alloc(lane, 0, &token, NULL)) {
        return pool_get_slowly(self, item);
    }
    cma_dma_pool_lane_item(lane, token, &place);
    __asm__ volatile("" : : "r"(place.vaddr), "r"(place.daddr));
    item->vaddr = (void *)(uintptr_t)token;
    return true;
}

static void pool_put_lane(void *self, const struct peer_item *item)
{
    if (cma_dma_pool_lane_free(lane_mine(self), (uintptr_t)item->vaddr)) {
        abort();
    }
}

static void pool_destroy(void *pointer)
{
    struct self *self = pointer;

    for (uint32_t i = 0; i < POOL_LANES; i++) {
        if (self->lanes[i].top && cma_dma_pool_lane_end(&self->lanes[i])) {
            abort();
        }
    }

    if (cma_dma_pool_destroy(&self->pool)) {
        abort();
    }
    memory_put(self->bytes, self->nbytes);
    memory_put(self->storage, self->storage_nbytes);
    memory_put(self->tables, self->tables_nbytes);
    free(self->caches);
    free(self);
}

static const struct peer pool_peers[] = {
    {.name = "libcma-pool",
     .flags = PEER_POOL,
     .create = pool_create_lanes,
     .get = pool_get_lane,
     .put = pool_put_lane,
     .destroy = pool_destroy},
    {.name = "libcma-pool-cpu",
     .flags = PEER_POOL,
     .create = pool_create_cached,
     .get = pool_get,
     .put = pool_put,
     .destroy = pool_destroy},
    {.name = "libcma-pool-plain",
     .flags = PEER_POOL,
     .create = pool_create_plain,
     .get = pool_get,
     .put = pool_put,
     .destroy = pool_destroy},
};

const struct peer *peer_get(uint32_t index)
{
    return index < 3 ? &pool_peers[index] : NULL;
}
