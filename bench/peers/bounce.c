/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bounce.c - libcma's bounce pools as a peer: cma_dma_map and cma_dma_unmap, judging included, of a
 * device that snoops and for which everything is bounced
 *
 * Without data (config->touch) neither copies nor zeroes anything.
 */
#define _GNU_SOURCE
#include "../peer.h"

#include "memory.h"
#include "port.h"

#include <cma/cma.h>

#include <stdlib.h>
#include <string.h>

#define BOUNCE_PADDR (UINT64_C(1) << 32)
#define BOUNCE_BUFFER_NBYTES (UINT64_C(2) << 20)

struct self {
    struct cma_port port;
    struct cma_range memory[2], reserved[2];
    struct cma_map map;
    struct cma_zone zone;
    struct cma_system system;
    struct cma_device device;
    struct cma_bounce bounce;
    uint8_t *bytes;
    uint64_t nbytes, storage_nbytes, slots_nbytes;
    void *storage, *slots;
};

static void *port_vaddr(void *ctx, cma_paddr_t paddr)
{
    return ((struct self *)ctx)->bytes + (paddr - BOUNCE_PADDR);
}

static void port_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    memcpy(port_vaddr(ctx, to), port_vaddr(ctx, from), nbytes);
}

static void port_zero(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    memset(port_vaddr(ctx, paddr), 0, nbytes);
}

static bool bounce_system(struct self *self, uint64_t pool_nbytes)
{
    struct cma_range range = {.base = BOUNCE_PADDR,
                              .nbytes = pool_nbytes,
                              .kind = CMA_RANGE_AREA,
                              .flags = CMA_RANGE_DEFAULT,
                              .name = "bounce"};
    struct cma_system_config config = {
        .port = &self->port, .zones = &self->zone, .nzones = 1, .block_order = 9};

    self->zone.last = CMA_PADDR_MAX;
    if (cma_map_init(&self->map, self->memory, 2, self->reserved, 2) ||
        cma_map_add_memory(&self->map, range.base, self->nbytes, NULL) ||
        cma_map_reserve(&self->map, &range, NULL)) {
        return false;
    }
    self->storage_nbytes = cma_system_size(&self->map, &config);
    self->storage = memory_get(self->storage_nbytes);
    return self->storage && !cma_system_init(&self->system, &self->map, &config, self->storage,
                                             self->storage_nbytes);
}

static void *bounce_create(const struct peer_config *config)
{
    struct self *self = calloc(1, sizeof(*self));
    struct cma_device_config device = {.name = "dev",
                                       .owner = 1,
                                       .mask = UINT64_MAX,
                                       .flags = CMA_DEVICE_COHERENT | CMA_DEVICE_BOUNCE_ALWAYS};
    struct cma_bounce_config bounce = {.name = "bench", .nbytes = config->area_nbytes, .owner = 2};

    self->port = (struct cma_port){.ctx = self,
                                   .page_shift = PEER_PAGE_SHIFT,
                                   .cache_line_nbytes = 64,
                                   .vaddr = port_vaddr,
                                   .dma_barrier = port_barrier,
                                   .copy = config->touch ? port_copy : port_leave_copy,
                                   .zero = config->touch ? port_zero : port_leave_zero,
                                   .lock = port_lock,
                                   .unlock = port_unlock};
    self->nbytes = memory_size(config->area_nbytes + BOUNCE_BUFFER_NBYTES);
    self->bytes = memory_get(self->nbytes);
    if (!self->bytes || !bounce_system(self, config->area_nbytes)) {
        return NULL;
    }
    bounce.area = self->system.default_area;
    self->slots_nbytes = cma_bounce_size(&self->port, &bounce);
    self->slots = memory_get(self->slots_nbytes);
    if (!self->slots || cma_bounce_init(&self->bounce, &self->system.dma, &bounce, self->slots,
                                        self->slots_nbytes, NULL)) {
        return NULL;
    }
    cma_bounce_use(&self->system.dma, &self->bounce);
    return cma_device_init(&self->device, &self->system.dma, &device) ? NULL : self;
}

static uint64_t bounce_map(void *pointer, uint64_t nbytes, uint64_t align_nbytes)
{
    struct self *self = pointer;
    cma_daddr_t daddr;

    (void)align_nbytes;
    return cma_dma_map(&self->device, BOUNCE_PADDR + self->nbytes - BOUNCE_BUFFER_NBYTES, nbytes,
                       CMA_TO_DEVICE, 0, &daddr, NULL)
               ? PEER_FAIL
               : daddr;
}

static void bounce_unmap(void *pointer, uint64_t handle, uint64_t nbytes)
{
    if (cma_dma_unmap(&((struct self *)pointer)->device, handle, nbytes, CMA_TO_DEVICE, 0)) {
        abort();
    }
}

static uint64_t bounce_metadata(void *pointer)
{
    return ((struct self *)pointer)->slots_nbytes;
}

static void bounce_destroy(void *pointer)
{
    struct self *self = pointer;

    if (!cma_bounce_check(&self->bounce) || cma_bounce_destroy(&self->bounce)) {
        abort();
    }
    memory_put(self->bytes, self->nbytes);
    memory_put(self->storage, self->storage_nbytes);
    memory_put(self->slots, self->slots_nbytes);
    free(self);
}

static const struct peer bounce_peer = {.name = "libcma-bounce",
                                        .flags = PEER_BOUNCE,
                                        .create = bounce_create,
                                        .alloc = bounce_map,
                                        .release = bounce_unmap,
                                        .metadata_nbytes = bounce_metadata,
                                        .destroy = bounce_destroy};

const struct peer *peer_get(uint32_t index)
{
    return index ? NULL : &bounce_peer;
}
