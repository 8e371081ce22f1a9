/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coherent.c - libcma's exclusive memory of one device as a peer, by its public calls
 *
 * The device snoops, has the region by the caller's mapping, and asks for memory that is not
 * zeroed: it is not there. Alignment is a page, as a driver asks who wants none: Linux's call has
 * none.
 */
#define _GNU_SOURCE
#include "../peer.h"

#include "memory.h"
#include "port.h"

#include <cma/cma.h>

#include <stdlib.h>
#include <string.h>

#define REGION_PADDR (UINT64_C(1) << 32)
#define RAM_NBYTES (UINT64_C(16) << 20)

struct self {
    struct cma_port port;
    struct cma_range memory[2], reserved[2];
    struct cma_map map;
    struct cma_system system;
    struct cma_device device;
    struct cma_exclusive region;
    uint64_t nbytes, storage_nbytes, region_nbytes;
    void *storage, *tables;
};

static void *port_vaddr(void *ctx, cma_paddr_t paddr)
{
    (void)ctx;
    return (void *)(uintptr_t)paddr;
}

static bool coherent_system(struct self *self)
{
    struct cma_system_config config = {.port = &self->port, .block_order = 9};
    struct cma_device_config device = {.name = "dev",
                                       .owner = 1,
                                       .mask = UINT64_MAX,
                                       .coherent_mask = UINT64_MAX,
                                       .flags = CMA_DEVICE_COHERENT};

    self->port = (struct cma_port){.ctx = self,
                                   .page_shift = PEER_PAGE_SHIFT,
                                   .cache_line_nbytes = 64,
                                   .vaddr = port_vaddr,
                                   .dma_barrier = port_barrier,
                                   .copy = port_leave_copy,
                                   .zero = port_leave_zero,
                                   .lock = port_lock,
                                   .unlock = port_unlock};
    if (cma_map_init(&self->map, self->memory, 2, self->reserved, 2) ||
        cma_map_add_memory(&self->map, RAM_NBYTES, RAM_NBYTES, NULL)) {
        return false;
    }
    self->storage_nbytes = cma_system_size(&self->map, &config);
    self->storage = memory_get(self->storage_nbytes);
    return self->storage &&
           !cma_system_init(&self->system, &self->map, &config, self->storage,
                            self->storage_nbytes) &&
           !cma_device_init(&self->device, &self->system.dma, &device);
}

static void *coherent_create(const struct peer_config *config)
{
    struct self *self = calloc(1, sizeof(*self));
    struct cma_exclusive_config region = {.name = "bench",
                                          .form = CMA_EXCLUSIVE_MAPPED,
                                          .nbytes = config->area_nbytes,
                                          .paddr = REGION_PADDR,
                                          .vaddr = (void *)(uintptr_t)REGION_PADDR};

    self->nbytes = config->area_nbytes;
    self->region_nbytes = cma_exclusive_size(self->nbytes >> PEER_PAGE_SHIFT);
    self->tables = memory_get(self->region_nbytes);
    if (!self->tables || !coherent_system(self) ||
        cma_exclusive_declare(&self->region, &self->device, &region, self->tables,
                              self->region_nbytes, NULL, NULL)) {
        return NULL;
    }
    return self;
}

static uint64_t coherent_alloc(void *argument, uint64_t nbytes, uint64_t align_nbytes)
{
    struct self *self = argument;
    struct cma_coherent_request request = {
        .nbytes = nbytes, .align_nbytes = align_nbytes, .flags = CMA_COHERENT_NO_ZERO};
    struct cma_coherent buffer;

    return cma_dma_alloc_coherent(&self->device, &request, &buffer, NULL)
               ? PEER_FAIL
               : buffer.paddr - REGION_PADDR;
}

static void coherent_release(void *argument, uint64_t handle, uint64_t nbytes)
{
    struct self *self = argument;
    /* As the driver has kept it. */
    struct cma_coherent buffer = {.vaddr = (void *)(uintptr_t)(REGION_PADDR + handle),
                                  .daddr = REGION_PADDR + handle,
                                  .paddr = REGION_PADDR + handle,
                                  .nbytes = nbytes,
                                  .source = CMA_SOURCE_EXCLUSIVE};

    if (cma_dma_free_coherent(&self->device, &buffer)) {
        abort();
    }
}

static uint64_t coherent_used(void *self)
{
    struct cma_exclusive_stats stats;

    cma_exclusive_stats(&((struct self *)self)->region, &stats);
    return stats.used_nbytes;
}

static uint64_t coherent_metadata(void *self)
{
    return ((struct self *)self)->region_nbytes;
}

static void coherent_destroy(void *pointer)
{
    struct self *self = pointer;

    memory_put(self->storage, self->storage_nbytes);
    memory_put(self->tables, self->region_nbytes);
    free(self);
}

static const struct peer coherent_peer = {.name = "libcma-exclusive",
                                          .flags = PEER_COHERENT,
                                          .create = coherent_create,
                                          .alloc = coherent_alloc,
                                          .release = coherent_release,
                                          .metadata_nbytes = coherent_metadata,
                                          .used_nbytes = coherent_used,
                                          .destroy = coherent_destroy};

const struct peer *peer_get(uint32_t index)
{
    return index ? NULL : &coherent_peer;
}
