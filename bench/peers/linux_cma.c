/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * linux_cma.c - Linux's unmodified mm/cma.c as a peer, compiled in the shim
 *
 * The plug-in that comes of it holds GPL-2.0 code: for this benchmark only, nothing links to it.
 */
#include "../peer.h"

#include <linux/list.h>
#include <linux/bitmap.h>
#include <linux/cma.h>
#include "cma.h"
#include "memory.h"

#define BASE_PFN 0x100000ul /* at 4 GiB */

extern struct cma cma_areas[];
extern int (*shim_initcall_cma_init_reserved_areas)(void);
unsigned long totalcma_pages;

struct self {
    struct cma *cma;
    uint64_t npages;
    void *pages;
};

static void *linux_create(const struct peer_config *config)
{
    struct self *self = calloc(1, sizeof(*self));

    /* One area at a time. */
    memset(cma_areas, 0, sizeof(struct cma));
    cma_area_count = 0;
    self->npages = config->area_nbytes >> PAGE_SHIFT;
    shim_touch = config->touch;
    shim_world = config->world;
    shim_base_pfn = BASE_PFN;
    if (config->touch) {
        self->pages = memory_get(self->npages * sizeof(struct page));
        shim_memmap = (struct page *)self->pages - BASE_PFN;
    } else {
        shim_memmap = (struct page *)0xea0000000000ul; /* never touched */
    }
    if (cma_init_reserved_mem(BASE_PFN << PAGE_SHIFT, config->area_nbytes, 0, "bench",
                              &self->cma)) {
        free(self);
        return NULL;
    }
    shim_initcall_cma_init_reserved_areas();
    return self;
}

static uint64_t linux_alloc(void *argument, uint64_t nbytes, uint64_t align_nbytes)
{
    struct self *self = argument;
    unsigned int order = align_nbytes <= PAGE_SIZE ? 0 : ilog2(align_nbytes) - PAGE_SHIFT;
    struct page *page = cma_alloc(self->cma, (nbytes + PAGE_SIZE - 1) >> PAGE_SHIFT, order, true);

    return page ? (page_to_pfn(page) - BASE_PFN) << PAGE_SHIFT : PEER_FAIL;
}

static void linux_release(void *argument, uint64_t handle, uint64_t nbytes)
{
    struct self *self = argument;

    cma_release(self->cma, pfn_to_page(BASE_PFN + (handle >> PAGE_SHIFT)),
                (nbytes + PAGE_SIZE - 1) >> PAGE_SHIFT);
}

/* Its own; the 64 bytes of struct page a page come on top. */
static uint64_t linux_metadata(void *argument)
{
    struct self *self = argument;

    return BITS_TO_LONGS(self->npages) * 8 + sizeof(struct cma);
}

static void linux_destroy(void *argument)
{
    struct self *self = argument;

#if LINUX_VERSION < 700
    free(self->cma->bitmap);
#else
    free(self->cma->ranges[0].bitmap);
#endif
    if (self->pages) {
        memory_put(self->pages, self->npages * sizeof(struct page));
    }
    free(self);
}

static const struct peer linux_peer = {
    .name = LINUX_NAME,
    .flags = PEER_AREA | PEER_WORLD | PEER_SPLIT | PEER_TOUCH,
    .create = linux_create,
    .alloc = linux_alloc,
    .release = linux_release,
    .metadata_nbytes = linux_metadata,
    .destroy = linux_destroy,
};

const struct peer *peer_get(uint32_t index)
{
    return index == 0 ? &linux_peer : NULL;
}
