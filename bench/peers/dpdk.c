/* SPDX-License-Identifier: BSD-2-Clause */
/* dpdk.c - DPDK's rte_malloc, memzones and cached mempools, without huge pages and without shared
 * state */
#include "../peer.h"

#include <pthread.h>
#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_mempool.h>
#include <rte_memzone.h>
#include <stdio.h>

static bool started;
static __thread bool registered;

static void *dpdk_create(const struct peer_config *config)
{
    static char *words[] = {"bench",    "--no-huge",      "--no-shconf",   "-m", "1024",
                            "--no-pci", "--no-telemetry", "--log-level=1", NULL};

    (void)config;
    started = started || rte_eal_init(8, words) >= 0;
    return started ? &started : NULL;
}

static pthread_key_t leave_key;
static pthread_once_t leave_once = PTHREAD_ONCE_INIT;

/* A thread gives its number back when it ends: there are 128, and without one there is no cache. */
static void dpdk_leave(void *pointer)
{
    (void)pointer;
    rte_thread_unregister();
}

static void dpdk_make_key(void)
{
    (void)pthread_key_create(&leave_key, dpdk_leave);
}

static void dpdk_enter(void)
{
    if (!registered) {
        registered = true;
        if (rte_lcore_id() == LCORE_ID_ANY && rte_thread_register() == 0) {
            (void)pthread_once(&leave_once, dpdk_make_key);
            (void)pthread_setspecific(leave_key, &registered);
        }
    }
}

static uint64_t dpdk_alloc(void *self, uint64_t nbytes, uint64_t align)
{
    void *memory;

    (void)self;
    dpdk_enter();
    memory = rte_malloc(NULL, nbytes, (unsigned int)align);
    return memory ? (uint64_t)(uintptr_t)memory : PEER_FAIL;
}

static void dpdk_release(void *self, uint64_t handle, uint64_t nbytes)
{
    (void)self;
    (void)nbytes;
    rte_free((void *)(uintptr_t)handle);
}

static uint64_t memzone_alloc(void *self, uint64_t nbytes, uint64_t align)
{
    static unsigned long next;
    const struct rte_memzone *zone;
    char name[32];

    (void)self;
    dpdk_enter();
    snprintf(name, sizeof(name), "z%lx", __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED));
    zone = rte_memzone_reserve_aligned(name, nbytes, SOCKET_ID_ANY, 0, (unsigned int)align);
    return zone ? (uint64_t)(uintptr_t)zone : PEER_FAIL;
}

static void memzone_release(void *self, uint64_t handle, uint64_t nbytes)
{
    (void)self;
    (void)nbytes;
    rte_memzone_free((const struct rte_memzone *)(uintptr_t)handle);
}

static void *mempool_create(const struct peer_config *config)
{
    static unsigned int next;
    char name[32];

    if (!dpdk_create(config)) {
        return NULL;
    }
    snprintf(name, sizeof(name), "p%u", next++);
    return rte_mempool_create(name, config->nitems + 2048, (unsigned int)config->item_nbytes, 256,
                              0, NULL, NULL, NULL, NULL, SOCKET_ID_ANY, 0);
}

static bool mempool_get(void *self, struct peer_item *item)
{
    dpdk_enter();
    return rte_mempool_get(self, &item->vaddr) == 0;
}

static void mempool_put(void *self, const struct peer_item *item)
{
    rte_mempool_put(self, item->vaddr);
}

static void mempool_destroy(void *self)
{
    rte_mempool_free(self);
}

static uint64_t dpdk_metadata(void *self)
{
    (void)self;
    return 0;
}

static void dpdk_destroy(void *self)
{
    (void)self;
}

static const struct peer dpdk_peers[] = {
    {.name = "rte_malloc",
     .flags = PEER_AREA | PEER_HEAP,
     .max_nbytes = UINT64_C(1) << 30,
     .create = dpdk_create,
     .alloc = dpdk_alloc,
     .release = dpdk_release,
     .metadata_nbytes = dpdk_metadata,
     .destroy = dpdk_destroy},
    {.name = "rte_memzone",
     .flags = PEER_AREA | PEER_HEAP,
     .max_nbytes = UINT64_C(1) << 30,
     .create = dpdk_create,
     .alloc = memzone_alloc,
     .release = memzone_release,
     .metadata_nbytes = dpdk_metadata,
     .destroy = dpdk_destroy},
    {.name = "rte_mempool",
     .flags = PEER_POOL,
     .create = mempool_create,
     .get = mempool_get,
     .put = mempool_put,
     .destroy = mempool_destroy},
};

const struct peer *peer_get(uint32_t index)
{
    return index < 3 ? &dpdk_peers[index] : NULL;
}
