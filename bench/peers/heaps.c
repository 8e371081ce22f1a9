/* SPDX-License-Identifier: BSD-2-Clause */
/* heaps.c - malloc libraries: aligned allocation, the memory is not touched */
#include "../peer.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static void *(*jemalloc_alloc)(size_t nbytes, int flags);
static void (*jemalloc_free)(void *memory, int flags);
static void *(*mimalloc_alloc)(size_t nbytes, size_t align);
static void (*mimalloc_free)(void *memory);
static char heap;

static void *heaps_open(const char *const *names)
{
    void *library = NULL;

    for (; *names && !library; names++) {
        library = dlopen(*names, RTLD_NOW | RTLD_LOCAL);
    }
    return library;
}

static void *glibc_create(const struct peer_config *config)
{
    (void)config;
    return &heap;
}

static void *jemalloc_create(const struct peer_config *config)
{
    static const char *const names[] = {"libjemalloc.so.2", "libjemalloc.so", NULL};
    void *library = jemalloc_alloc ? NULL : heaps_open(names);

    (void)config;
    if (library) {
        *(void **)&jemalloc_alloc = dlsym(library, "mallocx");
        *(void **)&jemalloc_free = dlsym(library, "dallocx");
    }
    return jemalloc_alloc ? &heap : NULL;
}

static void *mimalloc_create(const struct peer_config *config)
{
    static const char *const names[] = {"libmimalloc.so.2.0", "libmimalloc.so.2",
                                        "libmimalloc.so.3", "libmimalloc.so", NULL};
    void *library = mimalloc_alloc ? NULL : heaps_open(names);

    (void)config;
    if (library) {
        *(void **)&mimalloc_alloc = dlsym(library, "mi_malloc_aligned");
        *(void **)&mimalloc_free = dlsym(library, "mi_free");
    }
    return mimalloc_alloc ? &heap : NULL;
}

static uint64_t heaps_handle(const void *memory)
{
    return memory ? (uint64_t)(uintptr_t)memory : PEER_FAIL;
}

static uint64_t glibc_alloc(void *self, uint64_t nbytes, uint64_t align)
{
    (void)self;
    return heaps_handle(aligned_alloc(align, (nbytes + align - 1) & ~(align - 1)));
}

static void glibc_release(void *self, uint64_t handle, uint64_t nbytes)
{
    (void)self;
    (void)nbytes;
    free((void *)(uintptr_t)handle);
}

static uint64_t jemalloc_get(void *self, uint64_t nbytes, uint64_t align)
{
    (void)self;
    return heaps_handle(jemalloc_alloc(nbytes, __builtin_ctzll(align)));
}

static void jemalloc_release(void *self, uint64_t handle, uint64_t nbytes)
{
    (void)self;
    (void)nbytes;
    jemalloc_free((void *)(uintptr_t)handle, 0);
}

static uint64_t mimalloc_get(void *self, uint64_t nbytes, uint64_t align)
{
    (void)self;
    return heaps_handle(mimalloc_alloc(nbytes, align));
}

static void mimalloc_release(void *self, uint64_t handle, uint64_t nbytes)
{
    (void)self;
    (void)nbytes;
    mimalloc_free((void *)(uintptr_t)handle);
}

static uint64_t heaps_metadata(void *self)
{
    (void)self;
    return 0;
}

static void heaps_destroy(void *self)
{
    (void)self;
}

#define HEAPS_PEER(title, make, get, put)                                              \
    {                                                                                  \
        .name = title, .flags = PEER_AREA | PEER_PAGES | PEER_HEAP,                    \
        .max_nbytes = UINT64_C(1) << 30, .create = make, .alloc = get, .release = put, \
        .metadata_nbytes = heaps_metadata, .destroy = heaps_destroy,                   \
    }
static const struct peer heaps_peers[] = {
    HEAPS_PEER("glibc", glibc_create, glibc_alloc, glibc_release),
    HEAPS_PEER("jemalloc", jemalloc_create, jemalloc_get, jemalloc_release),
    HEAPS_PEER("mimalloc", mimalloc_create, mimalloc_get, mimalloc_release),
};

const struct peer *peer_get(uint32_t index)
{
    return index < 3 ? &heaps_peers[index] : NULL;
}
