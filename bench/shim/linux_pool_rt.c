/* SPDX-License-Identifier: BSD-2-Clause */
/* linux_pool_rt.c - coherent memory for dmapool */
#include "../peers/memory.h"

#define SHIM_CHUNK (UINT64_C(64) << 20)

static spinlock_t shim_lock;
static char *shim_next, *shim_end;
static void *shim_pages;

void *shim_coherent(size_t nbytes, dma_addr_t *daddr)
{
    void *memory = NULL;

    spin_lock(&shim_lock);
    if (nbytes == PAGE_SIZE && shim_pages) {
        memory = shim_pages;
        shim_pages = *(void **)memory;
    } else {
        if ((size_t)(shim_end - shim_next) < nbytes) {
            shim_next = memory_get(SHIM_CHUNK);
            shim_end = shim_next + SHIM_CHUNK;
        }
        memory = shim_next;
        shim_next += PAGE_ALIGN(nbytes);
    }
    *daddr = (dma_addr_t)(uintptr_t)memory;
    spin_unlock(&shim_lock);
    return memory;
}

void shim_coherent_free(void *vaddr, size_t nbytes)
{
    if (nbytes == PAGE_SIZE) {
        spin_lock(&shim_lock);
        *(void **)vaddr = shim_pages;
        shim_pages = vaddr;
        spin_unlock(&shim_lock);
    }
}
