/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * extents.c - a yardstick: free extents in a sorted array, aligned best fit by a scan over them
 *
 * Written for this harness, naive on purpose: what a simple extent allocator costs and packs.
 */
#include "../peer.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

struct extent {
    uint32_t first, npages;
};
struct extents {
    struct extent *array;
    uint64_t n, room, npages;
    int lock;
};

static void *extents_create(const struct peer_config *config)
{
    struct extents *self = calloc(1, sizeof(*self));

    self->npages = config->area_nbytes >> PEER_PAGE_SHIFT;
    self->room = 1024;
    self->array = malloc(self->room * sizeof(*self->array));
    self->array[0] = (struct extent){0, (uint32_t)self->npages};
    self->n = 1;
    return self;
}

static inline void extents_lock(struct extents *self)
{
    while (__atomic_exchange_n(&self->lock, 1, __ATOMIC_ACQUIRE)) {
        for (int i = 0; i < 2000 && __atomic_load_n(&self->lock, __ATOMIC_RELAXED); i++) {
            peer_pause();
        }
        if (__atomic_load_n(&self->lock, __ATOMIC_RELAXED)) {
            sched_yield();
        }
    }
}

static inline void extents_unlock(struct extents *self)
{
    __atomic_store_n(&self->lock, 0, __ATOMIC_RELEASE);
}

static void extents_insert(struct extents *self, uint64_t at, struct extent extent)
{
    if (self->n == self->room) {
        self->room *= 2;
        self->array = realloc(self->array, self->room * sizeof(*self->array));
    }
    memmove(self->array + at + 1, self->array + at, (self->n - at) * sizeof(extent));
    self->array[at] = extent;
    self->n++;
}

static void extents_remove(struct extents *self, uint64_t at)
{
    memmove(self->array + at, self->array + at + 1, (self->n - at - 1) * sizeof(*self->array));
    self->n--;
}

/* The extent that an aligned run leaves least of; UINT64_MAX: none. */
static uint64_t extents_find(const struct extents *self, uint32_t npages, uint32_t align,
                             uint32_t *first)
{
    uint64_t best = UINT64_MAX;
    uint32_t least = UINT32_MAX;

    for (uint64_t i = 0; i < self->n; i++) {
        struct extent extent = self->array[i];
        uint32_t at = (extent.first + align - 1) & ~(align - 1);

        if (extent.npages < npages || at - extent.first + npages > extent.npages ||
            extent.npages - npages >= least) {
            continue;
        }
        least = extent.npages - npages;
        best = i;
        *first = at;
        if (least == 0) {
            break;
        }
    }
    return best;
}

static uint64_t extents_alloc(void *argument, uint64_t nbytes, uint64_t align_nbytes)
{
    struct extents *self = argument;
    uint32_t npages = (uint32_t)(nbytes >> PEER_PAGE_SHIFT), first = 0, before, behind;
    uint64_t at;

    extents_lock(self);
    at = extents_find(self, npages, (uint32_t)(align_nbytes >> PEER_PAGE_SHIFT), &first);
    if (at == UINT64_MAX) {
        extents_unlock(self);
        return PEER_FAIL;
    }
    before = first - self->array[at].first;
    behind = self->array[at].npages - before - npages;
    if (before && behind) {
        self->array[at].npages = before;
        extents_insert(self, at + 1, (struct extent){first + npages, behind});
    } else if (before) {
        self->array[at].npages = before;
    } else if (behind) {
        self->array[at] = (struct extent){first + npages, behind};
    } else {
        extents_remove(self, at);
    }
    extents_unlock(self);
    return (uint64_t)first << PEER_PAGE_SHIFT;
}

static void extents_release(void *argument, uint64_t handle, uint64_t nbytes)
{
    struct extents *self = argument;
    uint32_t first = (uint32_t)(handle >> PEER_PAGE_SHIFT);
    uint32_t npages = (uint32_t)(nbytes >> PEER_PAGE_SHIFT);
    uint64_t low = 0, high;
    bool joins_before, joins_behind;

    extents_lock(self);
    for (high = self->n; low < high;) {
        uint64_t middle = (low + high) / 2;

        if (self->array[middle].first < first) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    joins_before = low > 0 && self->array[low - 1].first + self->array[low - 1].npages == first;
    joins_behind = low < self->n && first + npages == self->array[low].first;
    if (joins_before && joins_behind) {
        self->array[low - 1].npages += npages + self->array[low].npages;
        extents_remove(self, low);
    } else if (joins_before) {
        self->array[low - 1].npages += npages;
    } else if (joins_behind) {
        self->array[low].first = first;
        self->array[low].npages += npages;
    } else {
        extents_insert(self, low, (struct extent){first, npages});
    }
    extents_unlock(self);
}

static uint64_t extents_metadata(void *argument)
{
    return ((struct extents *)argument)->room * sizeof(struct extent);
}

static void extents_destroy(void *argument)
{
    free(((struct extents *)argument)->array);
    free(argument);
}

static const struct peer extents_peer = {
    .name = "best-fit",
    .flags = PEER_AREA | PEER_SPLIT | PEER_MANY,
    .create = extents_create,
    .alloc = extents_alloc,
    .release = extents_release,
    .metadata_nbytes = extents_metadata,
    .destroy = extents_destroy,
};

const struct peer *peer_get(uint32_t index)
{
    return index == 0 ? &extents_peer : NULL;
}
