/* SPDX-License-Identifier: BSD-2-Clause */
/* linux_bounce.c - Linux's unmodified kernel/dma/swiotlb.c as a peer, behind the shim */
#include <linux/swiotlb.h>

/* Those of swiotlb.c are the functions below. */
#undef memcpy
#undef memset

#define BUFFER_NBYTES (UINT64_C(1) << 20)

static bool bounce_data;

void *bounce_memcpy(void *to, const void *from, size_t nbytes)
{
    return bounce_data ? memcpy(to, from, nbytes) : to;
}

void *bounce_memset(void *memory, int byte, size_t nbytes)
{
    return memset(memory, byte, nbytes);
}

int bounce_processor(void)
{
    return 0;
}

struct self {
    struct device device;
    void *buffer;
    int ready;
};

/* There is one default pool a process: it stays. */
static void *bounce_create(const struct peer_config *config)
{
    static struct self self;

    bounce_data = config->touch;
    if (!self.ready) {
        if (swiotlb_init_late(config->area_nbytes, 0, NULL)) {
            return NULL;
        }
        swiotlb_dev_init(&self.device);
        self.buffer = aligned_alloc(PAGE_SIZE, BUFFER_NBYTES);
        memset(self.buffer, 1, BUFFER_NBYTES);
        self.ready = 1;
    }
    return &self;
}

static uint64_t bounce_map(void *pointer, uint64_t nbytes, uint64_t align_nbytes)
{
    struct self *self = pointer;
    unsigned long attrs = DMA_ATTR_NO_WARN;
    phys_addr_t paddr = swiotlb_tbl_map_single(&self->device, (phys_addr_t)self->buffer, nbytes, 0,
                                               DMA_TO_DEVICE, &attrs);

    (void)align_nbytes;
    return paddr == (phys_addr_t)DMA_MAPPING_ERROR ? PEER_FAIL : paddr;
}

static void bounce_unmap(void *pointer, uint64_t handle, uint64_t nbytes)
{
    swiotlb_tbl_unmap_single(&((struct self *)pointer)->device, handle, nbytes, DMA_TO_DEVICE, 0);
}

static void bounce_destroy(void *self)
{
    (void)self;
}

static const struct peer bounce_peer = {.name = LINUX_NAME,
                                        .flags = PEER_BOUNCE,
                                        .create = bounce_create,
                                        .alloc = bounce_map,
                                        .release = bounce_unmap,
                                        .destroy = bounce_destroy};

const struct peer *peer_get(uint32_t index)
{
    return index ? NULL : &bounce_peer;
}
