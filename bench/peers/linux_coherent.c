/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * linux_coherent.c - Linux's unmodified kernel/dma/coherent.c as a peer, behind the shim
 *
 * The plug-in that comes of it holds GPL-2.0 code: for this benchmark only, nothing links to it.
 */
int dma_declare_coherent_memory(struct device *, phys_addr_t, dma_addr_t, size_t);
void dma_release_coherent_memory(struct device *);
int dma_alloc_from_dev_coherent(struct device *, ssize_t, dma_addr_t *, void **);
int dma_release_from_dev_coherent(struct device *, int, void *);

#define BASE ((char *)0x100000000ul) /* at 4 GiB, paddr, daddr and vaddr alike */

struct self {
    struct device device;
    uint64_t nbytes, used_nbytes;
};

static void *coherent_create(const struct peer_config *config)
{
    struct self *self = calloc(1, sizeof(*self));

    self->nbytes = config->area_nbytes;
    if (dma_declare_coherent_memory(&self->device, (phys_addr_t)BASE, (dma_addr_t)BASE,
                                    self->nbytes)) {
        free(self);
        return NULL;
    }
    return self;
}

static uint64_t coherent_alloc(void *argument, uint64_t nbytes, uint64_t align_nbytes)
{
    struct self *self = argument;
    dma_addr_t daddr;
    void *vaddr = NULL;

    (void)align_nbytes; /* there is no such argument */
    if (!dma_alloc_from_dev_coherent(&self->device, nbytes, &daddr, &vaddr) || !vaddr) {
        return PEER_FAIL;
    }
    self->used_nbytes += PAGE_SIZE << get_order(nbytes);
    return daddr - (dma_addr_t)BASE;
}

static void coherent_release(void *argument, uint64_t handle, uint64_t nbytes)
{
    struct self *self = argument;

    dma_release_from_dev_coherent(&self->device, get_order(nbytes), BASE + handle);
    self->used_nbytes -= PAGE_SIZE << get_order(nbytes);
}

/* What it has set aside: get_order is its own. */
static uint64_t coherent_used(void *self)
{
    return ((struct self *)self)->used_nbytes;
}

static uint64_t coherent_metadata(void *self)
{
    return BITS_TO_LONGS(((struct self *)self)->nbytes >> PAGE_SHIFT) * sizeof(long);
}

static void coherent_destroy(void *self)
{
    dma_release_coherent_memory(&((struct self *)self)->device);
    free(self);
}

static const struct peer coherent_peer = {.name = LINUX_NAME,
                                          .flags = PEER_COHERENT | PEER_SPLIT,
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
