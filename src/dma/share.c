/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * share.c - one buffer that several devices use
 *
 * Two things are kept apart: who keeps the buffer alive, and whose turn it is. `holders` is one
 * atomic word of two counts, so that the last one is one, whoever goes at the same time; a call is
 * done with the struct before it lets go, so nothing looks at it after `release`. All else changes
 * in turns: a turn is a lock that is held across cache maintenance, so it sleeps and does not spin.
 *
 * Maintenance is of the buffer, not of a device: three devices that don't snoop need one pass. It
 * is done when the buffer changes sides, and sides are these: devices that have it mapped, and CPU
 * accesses that were begun. Until a map no device sees it, so what the CPU has written may stay in
 * the cache; map cleans it. While the CPU has it for writing, an unmap drops nothing: the access
 * has begun with that, and what is in the cache since then is what the CPU itself has written.
 */
#include <cma/share.h>

#include "../base/atomic.h"
#include "../base/guard.h"
#include "../base/range.h"
#include "../base/turn.h"
#include "device.h"

/* In `holders`. */
#define SHARE_HOLDER 1u
#define SHARE_ATTACHED 0x10000u
#define SHARE_MOST 0xffffu

/* --- who keeps it alive ------------------------------------------------------------------ */

/* One more of `unit`, unless there is nobody. */
static int share_grab(struct cma_shared *shared, uint32_t unit)
{
    uint32_t had = atom_load(&shared->holders);

    do {
        if (had == 0) {
            return CMA_EBADF;
        }
        if ((had / unit & SHARE_MOST) == SHARE_MOST) {
            return CMA_EOVERFLOW;
        }
    } while (!atom_swap_if(&shared->holders, &had, had + unit));
    return 0;
}

/* One less, and the last of all releases. */
static int share_drop(struct cma_shared *shared, uint32_t unit)
{
    void (*release)(void *ctx, struct cma_shared *shared) = shared->config.release;
    void *ctx = shared->config.ctx;
    uint32_t had = atom_load(&shared->holders);

    do {
        if ((had / unit & SHARE_MOST) == 0) {
            return CMA_EBADF;
        }
    } while (!atom_swap_if(&shared->holders, &had, had - unit));
    if (had == unit && release != NULL) {
        release(ctx, shared);
    }
    return 0;
}

int cma_shared_init(struct cma_shared *shared, struct cma_dma *dma,
                    const struct cma_shared_config *config)
{
    cma_paddr_t last;

    if (shared == NULL || dma == NULL || config == NULL || config->nbytes == 0 ||
        (!config->coherent && !range_is_aligned(config->paddr, dma->port->cache_line_nbytes))) {
        return CMA_EINVAL;
    }
    if (!range_last(config->paddr, config->nbytes, &last)) {
        return CMA_EOVERFLOW;
    }
    *shared = (struct cma_shared){.dma = dma, .config = *config, .holders = SHARE_HOLDER};
    return 0;
}

int cma_shared_hold(struct cma_shared *shared)
{
    return share_grab(shared, SHARE_HOLDER);
}

int cma_shared_put(struct cma_shared *shared)
{
    return share_drop(shared, SHARE_HOLDER);
}

uint32_t cma__shared_count(const struct cma_shared *shared)
{
    uint32_t holders = atom_load(&shared->holders);

    return (holders & SHARE_MOST) + holders / SHARE_ATTACHED;
}

/* --- whose turn it is -------------------------------------------------------------------- */

static int share_enter(struct cma_shared *shared)
{
    return turn_enter(shared->dma->port, &shared->turn);
}

static int share_leave(struct cma_shared *shared, int error)
{
    return turn_leave(shared->dma->port, &shared->turn, error);
}

/* --- attach ------------------------------------------------------------------------------ */

static struct cma_attachment **share_find(struct cma_shared *shared,
                                          const struct cma_attachment *attachment)
{
    struct cma_attachment **link = &shared->attachments;

    while (*link != NULL && *link != attachment) {
        link = &(*link)->next;
    }
    return link;
}

/* The address under which the device has all of it, as one piece. */
static int share_reach(const struct cma_shared *shared, const struct cma_device *device,
                       cma_daddr_t *daddr, enum cma_reason *reason)
{
    const struct cma_shared_config *config = &shared->config;
    const struct cma_dma *dma = shared->dma;
    uint32_t bounced = config->coherent ? CMA_DEVICE_RESTRICTED : CMA__DEVICE_BOUNCES;
    cma_daddr_t mask = config->coherent ? device->config.coherent_mask : device->config.mask;

    if (cma_device_to_bus(device, config->paddr, config->nbytes, mask, daddr) != 0) {
        *reason = CMA_REASON_UNREACHABLE;
        return CMA_ERANGE;
    }
    if ((device->config.flags & bounced) != 0 ||
        (dma->must_bounce != NULL &&
         dma->must_bounce(dma->must_bounce_ctx, device, config->paddr, config->nbytes))) {
        *reason = CMA_REASON_BOUNCE;
        return CMA_ERANGE;
    }
    return 0;
}

/* Puts it on the list; the caller has grabbed the buffer for it. */
static int share_link(struct cma_shared *shared, struct cma_attachment *attachment,
                      const struct cma_attachment *made)
{
    int error = share_enter(shared);

    if (error != 0) {
        return error;
    }
    if (*share_find(shared, attachment) != NULL) {
        return share_leave(shared, CMA_EEXIST);
    }
    *attachment = *made;
    attachment->next = shared->attachments;
    shared->attachments = attachment;
    return share_leave(shared, 0);
}

int cma_shared_attach(struct cma_shared *shared, struct cma_attachment *attachment,
                      struct cma_device *device, struct cma_refusal *refusal)
{
    struct cma_attachment made = {.shared = shared, .device = device};
    enum cma_reason reason = CMA_REASON_ARGUMENT;
    int error = CMA_EINVAL;

    if (device->dma == shared->dma) {
        error = share_reach(shared, device, &made.daddr, &reason);
    }
    if (error == 0) {
        error = share_grab(shared, SHARE_ATTACHED);
    }
    if (error == 0) {
        error = share_link(shared, attachment, &made);
        if (error != 0) {
            (void)share_drop(shared, SHARE_ATTACHED);
        }
    }
    return error != 0 ? refuse_with(refusal, error, reason) : 0;
}

int cma_shared_detach(struct cma_attachment *attachment)
{
    struct cma_shared *shared = attachment->shared;
    struct cma_attachment **link;
    int error;

    if (shared == NULL) {
        return CMA_ENOENT;
    }
    error = share_enter(shared);
    if (error != 0) {
        return error;
    }
    link = share_find(shared, attachment);
    if (*link == NULL) {
        return share_leave(shared, CMA_ENOENT);
    }
    if (attachment->mapped != 0) {
        return share_leave(shared, CMA_EBUSY);
    }
    *link = attachment->next;
    *attachment = (struct cma_attachment){0};
    (void)share_leave(shared, 0);
    return share_drop(shared, SHARE_ATTACHED);
}

/* --- sides ------------------------------------------------------------------------------- */

/* Does this device see memory past the caches? Then the cache has to be told. */
static bool share_is_blind(const struct cma_shared *shared, const struct cma_device *device)
{
    return !shared->config.coherent && !cma__device_snoops(device);
}

/* The buffer is the devices' now: what the CPU has written is in memory. */
static void share_clean(const struct cma_shared *shared, bool blind)
{
    const struct cma_port *port = shared->dma->port;

    if (blind) {
        port->clean(port->ctx, shared->config.paddr, shared->config.nbytes);
    }
    port->dma_barrier(port->ctx);
}

/* The buffer is the CPU's now: what devices have written past the cache is not hidden by it. A
 * device that snoops may have left its bytes in the cache; these are written back first. */
static void share_drop_lines(const struct cma_shared *shared, bool blind, bool snooped)
{
    const struct cma_port *port = shared->dma->port;

    port->dma_barrier(port->ctx);
    if (blind && snooped) {
        port->clean(port->ctx, shared->config.paddr, shared->config.nbytes);
    }
    if (blind) {
        port->invalidate(port->ctx, shared->config.paddr, shared->config.nbytes);
    }
}

/* Who has it mapped. */
struct share_sides {
    bool blind;        /* a device that sees memory past the caches */
    bool blind_writes; /* such a one, for writing */
    bool snoop_writes;
};

static void share_look(const struct cma_shared *shared, struct share_sides *sides)
{
    const struct cma_attachment *attachment;

    *sides = (struct share_sides){0};
    for (attachment = shared->attachments; attachment != NULL; attachment = attachment->next) {
        bool blind = share_is_blind(shared, attachment->device);
        bool writes = attachment->mapped != 0 && attachment->mapped != 1 + CMA_TO_DEVICE;

        sides->blind = sides->blind || (blind && attachment->mapped != 0);
        sides->blind_writes = sides->blind_writes || (blind && writes);
        sides->snoop_writes = sides->snoop_writes || (!blind && writes);
    }
}

static bool share_is_direction(enum cma_direction direction)
{
    return direction == CMA_BIDIRECTIONAL || direction == CMA_TO_DEVICE ||
           direction == CMA_FROM_DEVICE;
}

int cma_shared_map(struct cma_attachment *attachment, enum cma_direction direction,
                   cma_daddr_t *daddr)
{
    struct cma_shared *shared = attachment->shared;
    int error;

    if (!share_is_direction(direction)) {
        return CMA_EINVAL;
    }
    error = shared != NULL ? share_enter(shared) : CMA_ENOENT;
    if (error != 0) {
        return error;
    }
    if (attachment->mapped != 0) {
        return share_leave(shared, CMA_EEXIST);
    }
    if (shared->cpu_writers != 0 || (shared->cpu_readers != 0 && direction != CMA_TO_DEVICE)) {
        return share_leave(shared, CMA_EBUSY);
    }
    share_clean(shared, share_is_blind(shared, attachment->device));
    attachment->mapped = 1 + (uint32_t)direction;
    *daddr = attachment->daddr;
    return share_leave(shared, 0);
}

int cma_shared_unmap(struct cma_attachment *attachment)
{
    struct cma_shared *shared = attachment->shared;
    struct share_sides sides;
    bool blind, writes;
    int error = shared != NULL ? share_enter(shared) : CMA_ENOENT;

    if (error != 0) {
        return error;
    }
    if (attachment->mapped == 0) {
        return share_leave(shared, CMA_EBADF);
    }
    blind = share_is_blind(shared, attachment->device);
    writes = attachment->mapped != 1 + CMA_TO_DEVICE;
    attachment->mapped = 0;
    share_look(shared, &sides);
    if (!blind && writes) {
        /* What it left in the cache goes to memory before anybody drops it from there. */
        share_clean(shared, sides.blind);
    } else if (shared->cpu_writers == 0) {
        share_drop_lines(shared, blind && writes, sides.snoop_writes);
    }
    return share_leave(shared, 0);
}

int cma_shared_cpu_begin(struct cma_shared *shared, enum cma_direction direction)
{
    struct share_sides sides;
    int error;

    if (!share_is_direction(direction)) {
        return CMA_EINVAL;
    }
    error = share_enter(shared);
    if (error != 0) {
        return error;
    }
    /* Only the first: later ones would drop what the others have written. */
    if (shared->cpu_readers == 0 && shared->cpu_writers == 0) {
        share_look(shared, &sides);
        share_drop_lines(shared, sides.blind_writes, sides.snoop_writes);
    }
    shared->cpu_readers += direction != CMA_TO_DEVICE;
    shared->cpu_writers += direction != CMA_FROM_DEVICE;
    return share_leave(shared, 0);
}

int cma_shared_cpu_end(struct cma_shared *shared, enum cma_direction direction)
{
    bool reads = direction != CMA_TO_DEVICE, writes = direction != CMA_FROM_DEVICE;
    struct share_sides sides;
    int error;

    if (!share_is_direction(direction)) {
        return CMA_EINVAL;
    }
    error = share_enter(shared);
    if (error != 0) {
        return error;
    }
    if ((reads && shared->cpu_readers == 0) || (writes && shared->cpu_writers == 0)) {
        return share_leave(shared, CMA_EBADF);
    }
    shared->cpu_readers -= reads;
    shared->cpu_writers -= writes;
    /* Readers leave no dirty line behind. The last writer cleans, and the device may go on as soon
     * as he is done, readers or not. */
    if (writes && shared->cpu_writers == 0) {
        share_look(shared, &sides);
        share_clean(shared, sides.blind);
    }
    return share_leave(shared, 0);
}
