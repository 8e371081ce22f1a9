/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * windows.c - yardsticks for areas with movable and pinned pages
 *
 * Written for this harness: one pass over all page states a request, then the world copies.
 *   pinaware-first  the first window without a pin: Linux's order without its wasted copies
 *   cheapest        the window that costs the fewest copies
 *   cheapest-near   the cheapest that touches something in use; anywhere else only if there is none
 */
#include "../peer.h"

#include <stdlib.h>
#include <string.h>

enum policy { POLICY_FIRST, POLICY_CHEAPEST, POLICY_NEAR };
#define COST_FAR (1u << 24)

struct windows {
    enum policy policy;
    struct peer_world *world;
    uint64_t npages, hint;
    uint32_t *movable, *blocked; /* by unit of the alignment */
};

static void *windows_create(const struct peer_config *config, enum policy policy)
{
    struct windows *self = calloc(1, sizeof(*self));

    self->policy = policy;
    self->world = config->world;
    self->npages = config->area_nbytes >> PEER_PAGE_SHIFT;
    self->movable = malloc((self->npages + 1) * sizeof(*self->movable));
    self->blocked = malloc((self->npages + 1) * sizeof(*self->blocked));
    return self;
}

static void *windows_create_first(const struct peer_config *config)
{
    return windows_create(config, POLICY_FIRST);
}

static void *windows_create_cheapest(const struct peer_config *config)
{
    return windows_create(config, POLICY_CHEAPEST);
}

static void *windows_create_near(const struct peer_config *config)
{
    return windows_create(config, POLICY_NEAR);
}

static void windows_count(const uint8_t *state, uint64_t npages, uint32_t *movable,
                          uint32_t *blocked)
{
    uint32_t nmovable = 0, nblocked = 0;

    for (uint64_t i = 0; i < npages; i++) {
        nmovable += state[i] == PAGE_MOVABLE;
        nblocked += state[i] >= PAGE_PINNED;
    }
    *movable = nmovable;
    *blocked = nblocked;
}

static uint64_t windows_find_page(struct windows *self)
{
    const uint8_t *state = self->world->state;
    const uint8_t *page = memchr(state + self->hint, PAGE_FREE, self->npages - self->hint);
    uint64_t index;

    page = page ? page : memchr(state, PAGE_FREE, self->npages);
    page = page ? page : memchr(state, PAGE_MOVABLE, self->npages);
    if (!page) {
        return PEER_FAIL;
    }
    index = (uint64_t)(page - state);
    self->hint = index + 1 < self->npages ? index + 1 : 0;
    return index;
}

/* The window of `whole` units and `rest` pages that begins at `unit`; its whole units are free of
 * pins and cost `cost`. UINT32_MAX: a pin is in the rest. */
static uint32_t windows_cost(const struct windows *self, uint64_t unit, uint64_t whole,
                             uint64_t rest, uint64_t align, uint32_t cost)
{
    uint64_t nunits = self->npages / align, next = unit + whole;
    uint32_t movable = 0, blocked = 0;
    bool near;

    if (rest) {
        windows_count(self->world->state + next * align, rest, &movable, &blocked);
    }
    if (blocked) {
        return UINT32_MAX;
    }
    near = unit == 0 || self->blocked[unit - 1] || next + (rest != 0) >= nunits ||
           self->blocked[next + (rest != 0)] || (rest && self->blocked[next]);
    return cost + movable + (self->policy == POLICY_NEAR && !near ? COST_FAR : 0);
}

static uint64_t windows_find(struct windows *self, uint64_t npages, uint64_t align)
{
    uint64_t nunits = self->npages / align, whole = npages / align, rest = npages % align;
    uint64_t best = PEER_FAIL;
    uint32_t movable = 0, blocked = 0, least = UINT32_MAX;

    for (uint64_t unit = 0; unit < nunits; unit++) {
        windows_count(self->world->state + unit * align, align, &self->movable[unit],
                      &self->blocked[unit]);
        blocked += unit < whole ? self->blocked[unit] : 0;
        movable += unit < whole ? self->movable[unit] : 0;
    }
    for (uint64_t unit = 0; unit + whole + (rest != 0) <= nunits; unit++) {
        uint32_t cost = UINT32_MAX;

        if (!blocked && (self->policy == POLICY_FIRST || movable < least)) {
            cost = windows_cost(self, unit, whole, rest, align, movable);
        }
        if (cost < least) {
            least = cost;
            best = unit * align;
            if (!cost || self->policy == POLICY_FIRST) {
                break;
            }
        }
        if (whole && unit + whole < nunits) {
            blocked += self->blocked[unit + whole] - self->blocked[unit];
            movable += self->movable[unit + whole] - self->movable[unit];
        }
    }
    return best;
}

static uint64_t windows_alloc(void *argument, uint64_t nbytes, uint64_t align_nbytes)
{
    struct windows *self = argument;
    uint64_t npages = nbytes >> PEER_PAGE_SHIFT;
    uint64_t index = npages == 1 ? windows_find_page(self)
                                 : windows_find(self, npages, align_nbytes >> PEER_PAGE_SHIFT);

    if (index == PEER_FAIL || self->world->acquire(self->world, index, npages)) {
        return PEER_FAIL;
    }
    return index << PEER_PAGE_SHIFT;
}

static void windows_release(void *argument, uint64_t handle, uint64_t nbytes)
{
    struct windows *self = argument;

    self->world->release(self->world, handle >> PEER_PAGE_SHIFT, nbytes >> PEER_PAGE_SHIFT);
}

static uint64_t windows_metadata(void *argument)
{
    (void)argument;
    return 0;
}

static void windows_destroy(void *argument)
{
    struct windows *self = argument;

    free(self->movable);
    free(self->blocked);
    free(self);
}

#define WINDOWS_PEER(title, make)                                                   \
    {                                                                               \
        .name = title, .flags = PEER_WORLD, .create = make, .alloc = windows_alloc, \
        .release = windows_release, .metadata_nbytes = windows_metadata,            \
        .destroy = windows_destroy,                                                 \
    }
static const struct peer windows_peers[] = {
    WINDOWS_PEER("pinaware-first", windows_create_first),
    WINDOWS_PEER("cheapest", windows_create_cheapest),
    WINDOWS_PEER("cheapest-near", windows_create_near),
};

const struct peer *peer_get(uint32_t index)
{
    return index < 3 ? &windows_peers[index] : NULL;
}
