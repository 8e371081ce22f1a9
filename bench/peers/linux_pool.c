/* SPDX-License-Identifier: BSD-2-Clause */
/* linux_pool.c - Linux's unmodified mm/dmapool.c as a peer, behind the shim */
struct dma_pool;
#if LINUX_VERSION < 700
struct dma_pool *dma_pool_create(const char *, struct device *, size_t, size_t, size_t);
#define pool_new(device, nbytes, align) dma_pool_create("b", device, nbytes, align, 0)
#else
struct dma_pool *dma_pool_create_node(const char *, struct device *, size_t, size_t, size_t, int);
#define pool_new(device, nbytes, align) dma_pool_create_node("b", device, nbytes, align, 0, -1)
#endif
void dma_pool_destroy(struct dma_pool *);
void *dma_pool_alloc(struct dma_pool *, gfp_t, dma_addr_t *);
void dma_pool_free(struct dma_pool *, void *, dma_addr_t);

struct self {
    struct device device;
    struct dma_pool *pool;
};

/* All memory is taken ahead: Linux has no call for that, so it is used once. */
static void *pool_create(const struct peer_config *config)
{
    struct self *self = calloc(1, sizeof(*self));
    struct peer_item *items = calloc(config->nitems, sizeof(*items));

    INIT_LIST_HEAD(&self->device.dma_pools);
    self->pool = pool_new(&self->device, config->item_nbytes, config->item_nbytes);
    for (uint32_t i = 0; i < config->nitems; i++) {
        items[i].vaddr = dma_pool_alloc(self->pool, GFP_KERNEL, &items[i].daddr);
    }
    for (uint32_t i = config->nitems; i-- > 0;) {
        dma_pool_free(self->pool, items[i].vaddr, items[i].daddr);
    }
    free(items);
    return self;
}

static bool pool_get(void *self, struct peer_item *item)
{
    item->vaddr = dma_pool_alloc(((struct self *)self)->pool, GFP_KERNEL, &item->daddr);
    return item->vaddr;
}

static void pool_put(void *self, const struct peer_item *item)
{
    dma_pool_free(((struct self *)self)->pool, item->vaddr, item->daddr);
}

static void pool_destroy(void *self)
{
    dma_pool_destroy(((struct self *)self)->pool);
    free(self);
}

static const struct peer pool_peer = {.name = LINUX_NAME,
                                      .flags = PEER_POOL,
                                      .create = pool_create,
                                      .get = pool_get,
                                      .put = pool_put,
                                      .destroy = pool_destroy};

const struct peer *peer_get(uint32_t index)
{
    return index ? NULL : &pool_peer;
}
