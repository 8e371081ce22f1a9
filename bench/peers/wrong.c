/* SPDX-License-Identifier: BSD-2-Clause */
/* wrong.c - peers that are wrong, each in its own way: `bench check` (of the last one, `bench
 * packing`) has to say so */
#include "../peer.h"

#include <stdlib.h>

struct wrong {
    uint64_t nbytes, next;
};

static void *wrong_create(const struct peer_config *config)
{
    struct wrong *self = calloc(1, sizeof(*self));

    self->nbytes = config->area_nbytes;
    return self;
}

/* The same buffer for all. */
static uint64_t wrong_overlap(void *self, uint64_t nbytes, uint64_t align)
{
    (void)self;
    (void)nbytes;
    (void)align;
    return 0;
}

/* The last buffer sticks out. */
static uint64_t wrong_outside(void *argument, uint64_t nbytes, uint64_t align)
{
    struct wrong *self = argument;
    uint64_t at = (self->next + align - 1) & ~(align - 1);

    if (at > self->nbytes) {
        return PEER_FAIL;
    }
    self->next = at + nbytes;
    return at;
}

/* One behind the other, however aligned, and never again. */
static uint64_t wrong_align(void *argument, uint64_t nbytes, uint64_t align)
{
    struct wrong *self = argument;
    uint64_t at = self->next;

    (void)align;
    if (at + nbytes > self->nbytes) {
        return PEER_FAIL;
    }
    self->next += nbytes;
    return at;
}

/* Right, but what is released is lost. */
static uint64_t wrong_lost(void *argument, uint64_t nbytes, uint64_t align)
{
    struct wrong *self = argument;
    uint64_t at = (self->next + align - 1) & ~(align - 1);

    if (at > self->nbytes || nbytes > self->nbytes - at) {
        return PEER_FAIL;
    }
    self->next = at + nbytes;
    return at;
}

/* Refuses everything, with an area that is free. */
static uint64_t wrong_refuse(void *self, uint64_t nbytes, uint64_t align)
{
    (void)self;
    (void)nbytes;
    (void)align;
    return PEER_FAIL;
}

static void wrong_release(void *self, uint64_t handle, uint64_t nbytes)
{
    (void)self;
    (void)handle;
    (void)nbytes;
}

static uint64_t wrong_metadata(void *self)
{
    (void)self;
    return 0;
}

#define WRONG_PEER(title, get)                                                        \
    {                                                                                 \
        .name = title, .flags = PEER_AREA, .create = wrong_create, .alloc = get,      \
        .release = wrong_release, .metadata_nbytes = wrong_metadata, .destroy = free, \
    }
static const struct peer wrong_peers[] = {
    WRONG_PEER("overlap", wrong_overlap), WRONG_PEER("outside", wrong_outside),
    WRONG_PEER("align", wrong_align),     WRONG_PEER("lost", wrong_lost),
    WRONG_PEER("refuse", wrong_refuse),
};

const struct peer *peer_get(uint32_t index)
{
    return index < 5 ? &wrong_peers[index] : NULL;
}
