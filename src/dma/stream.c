/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream.c - streaming mappings of single ranges
 *
 * A mapping is one of two things, and the device's address tells which. Either it is the buffer
 * itself, translated: then nothing is remembered, and the work is cache maintenance. Or it is a run
 * of slots of a bounce pool: then the pool remembers, and the work is a copy besides. Lists
 * (list.c) are made of the same steps.
 *
 * Whether a buffer can be mapped as it is, is judged in this order: what is malformed, what passes
 * 2^64, what is longer than the device's addresses, what it doesn't reach, what the platform's hook
 * or the device's flags want bounced, and cache lines that other data shares. Nothing is touched
 * before all of it is known.
 *
 * Memory that is contiguous for the device but not for the CPU (two windows side by side on the bus
 * only) comes from lists; so what is synced is walked in stretches.
 */
#include <cma/bounce.h>

#include "../base/bits.h"
#include "../base/guard.h"
#include "../base/range.h"
#include "device.h"

#define STREAM_FLAGS (CMA_MAP_SKIP_SYNC | CMA_MAP_NO_BOUNCE | CMA_MAP_OWN_LINES | CMA_MAP_COHERENT)

/* What a device address stands for. */
struct stream_place {
    struct cma_bounce *bounce; /* whose slots; NULL: the buffer itself */
    cma_paddr_t paddr;         /* of the first byte */
    cma_daddr_t daddr, last;
};

static int stream_refuse(const struct cma_device *device, int code, enum cma_reason reason,
                         cma_paddr_t paddr, struct cma_refusal *refusal)
{
    return refuse_at(refusal, code, reason, paddr >> device->dma->port->page_shift);
}

static bool stream_is_direction(enum cma_direction direction)
{
    return direction == CMA_BIDIRECTIONAL || direction == CMA_TO_DEVICE ||
           direction == CMA_FROM_DEVICE;
}

bool cma__stream_is_formed(enum cma_direction direction, uint32_t flags)
{
    return stream_is_direction(direction) && (flags & ~STREAM_FLAGS) == 0;
}

/* --- map ------------------------------------------------------------------------------- */

/* Has the buffer only a part of a cache line that the device's writes go around? */
static bool stream_shares_lines(const struct cma_device *device,
                                const struct cma_stream_request *request)
{
    uint64_t mask = (uint64_t)device->dma->port->cache_line_nbytes - 1;

    return !cma__device_snoops(device) && request->direction != CMA_TO_DEVICE &&
           (request->flags & CMA_MAP_OWN_LINES) == 0 &&
           ((request->paddr | request->nbytes) & mask) != 0;
}

static bool stream_must_bounce(const struct cma_device *device,
                               const struct cma_stream_request *request)
{
    const struct cma_dma *dma = device->dma;

    return (dma->must_bounce != NULL &&
            dma->must_bounce(dma->must_bounce_ctx, device, request->paddr, request->nbytes)) ||
           (device->config.flags & CMA__DEVICE_BOUNCES) != 0;
}

int cma__stream_judge(const struct cma_device *device, const struct cma_stream_request *request,
                      bool *bounced, cma_daddr_t *daddr, struct cma_refusal *refusal)
{
    struct cma_bounce *bounce = cma__device_bounce(device);
    enum cma_reason reason = CMA_REASON_NONE;
    int code = CMA_ERANGE;
    uint64_t nbytes_max;
    cma_paddr_t last;

    if (request->nbytes == 0 || !cma__stream_is_formed(request->direction, request->flags)) {
        return stream_refuse(device, CMA_EINVAL, CMA_REASON_ARGUMENT, request->paddr, refusal);
    }
    if (!range_last(request->paddr, request->nbytes, &last)) {
        return stream_refuse(device, CMA_EOVERFLOW, CMA_REASON_ARGUMENT, request->paddr, refusal);
    }
    if (request->nbytes - 1 > device->config.mask) {
        return stream_refuse(device, code, CMA_REASON_TOO_LARGE, request->paddr, refusal);
    }
    if (cma_device_to_bus(device, request->paddr, request->nbytes, device->config.mask, daddr) !=
        0) {
        reason = CMA_REASON_UNREACHABLE;
    } else if (stream_must_bounce(device, request)) {
        reason = CMA_REASON_BOUNCE;
    } else if (stream_shares_lines(device, request)) {
        reason = CMA_REASON_LINES;
        code = CMA_EINVAL;
    }
    *bounced = reason != CMA_REASON_NONE;
    if ((request->flags & CMA_MAP_COHERENT) != 0 && (*bounced || !cma__device_snoops(device))) {
        return stream_refuse(device, CMA_EOPNOTSUPP, reason, request->paddr, refusal);
    }
    if (!*bounced) {
        return 0;
    }
    if (bounce == NULL || (request->flags & CMA_MAP_NO_BOUNCE) != 0) {
        return stream_refuse(device, code, reason, request->paddr, refusal);
    }
    /* A pool that lies where the device can't look serves it as little as none. */
    nbytes_max = bounce->ops->nbytes_max(bounce, device);
    if (request->nbytes > nbytes_max) {
        reason = nbytes_max == 0 ? CMA_REASON_BOUNCE : CMA_REASON_TOO_LARGE;
        return stream_refuse(device, CMA_ERANGE, reason, request->paddr, refusal);
    }
    return 0;
}

int cma__stream_bounce(const struct cma_device *device, const struct cma_stream_request *request,
                       cma_daddr_t *daddr, struct cma_refusal *refusal)
{
    struct cma_bounce *bounce = cma__device_bounce(device);
    struct cma_refusal why = {.reason = CMA_REASON_BOUNCE, .pfn = CMA_PFN_NONE};
    cma_paddr_t bounced;
    int error = bounce->ops->map(bounce, device, request->paddr, request->nbytes,
                                 request->direction, request->flags, &bounced, &why);

    if (error != 0) {
        if (refusal != NULL) {
            *refusal = why;
            refusal->code = error;
        }
        return error;
    }
    if (cma_device_to_bus(device, bounced, request->nbytes, device->config.mask, daddr) != 0) {
        bounce->ops->unmap(bounce, bounced);
        return stream_refuse(device, CMA_ERANGE, CMA_REASON_BOUNCE, bounced, refusal);
    }
    return 0;
}

/* Cleans the memory behind device addresses that are known to be the device's, or drops it from the
 * cache. */
static void stream_maintain(const struct cma_device *device, cma_daddr_t daddr, cma_daddr_t last,
                            bool drop)
{
    const struct cma_port *port = device->dma->port;
    uint64_t nbytes;
    cma_paddr_t paddr;

    while (cma__device_stretch(device, daddr, last, &paddr, &nbytes) == 0) {
        if (drop) {
            port->invalidate(port->ctx, paddr, nbytes);
        } else {
            port->clean(port->ctx, paddr, nbytes);
        }
        if (last - daddr < nbytes) {
            break;
        }
        daddr += nbytes;
    }
}

void cma__stream_clean(const struct cma_device *device, cma_daddr_t daddr, uint64_t nbytes)
{
    if (!cma__device_snoops(device)) {
        stream_maintain(device, daddr, daddr + (nbytes - 1), false);
    }
}

int cma_dma_map(struct cma_device *device, cma_paddr_t paddr, uint64_t nbytes,
                enum cma_direction direction, uint32_t flags, cma_daddr_t *daddr,
                struct cma_refusal *refusal)
{
    const struct cma_port *port = device->dma->port;
    struct cma_stream_request request = {paddr, nbytes, direction, flags};
    cma_daddr_t mapped = 0;
    bool bounced;
    int error = cma__stream_judge(device, &request, &bounced, &mapped, refusal);

    if (error == 0 && bounced) {
        error = cma__stream_bounce(device, &request, &mapped, refusal);
    }
    if (error != 0) {
        return error;
    }
    if ((flags & CMA_MAP_SKIP_SYNC) == 0) {
        cma__stream_clean(device, mapped, nbytes);
        port->dma_barrier(port->ctx);
    }
    *daddr = mapped;
    return 0;
}

/* The physical address of a page's CPU address, if it is cached memory. */
static int stream_look(const struct cma_port *port, uintptr_t page, cma_paddr_t *paddr)
{
    enum cma_attr attr;
    int error = port->lookup(port->ctx, (const void *)page, paddr, &attr);

    if (error == 0 && attr != CMA_ATTR_CACHED) {
        error = CMA_EBADF;
    }
    return error;
}

/* Where all of [vaddr, last] is. */
static int stream_find_paddr(const struct cma_port *port, uintptr_t vaddr, uintptr_t last,
                             cma_paddr_t *paddr)
{
    uintptr_t mask = ((uintptr_t)1 << port->page_shift) - 1;
    uintptr_t page = vaddr & ~mask;
    cma_paddr_t first, next;
    int error = stream_look(port, page, &first);

    *paddr = first + (vaddr & mask);
    for (uintptr_t at = page; error == 0 && (last & ~mask) - at != 0;) {
        at += mask + 1;
        error = stream_look(port, at, &next);
        if (error == 0 && next != first + (at - page)) {
            error = CMA_ERANGE;
        }
    }
    return error;
}

int cma_dma_map_single(struct cma_device *device, const void *vaddr, uint64_t nbytes,
                       enum cma_direction direction, uint32_t flags, cma_daddr_t *daddr,
                       struct cma_refusal *refusal)
{
    const struct cma_port *port = device->dma->port;
    uintptr_t first = (uintptr_t)vaddr;
    cma_paddr_t paddr = 0;
    int error = 0;

    if (nbytes == 0 || !cma__stream_is_formed(direction, flags)) {
        error = CMA_EINVAL;
    } else if (nbytes - 1 > UINTPTR_MAX - first) {
        error = CMA_EOVERFLOW;
    } else if (port->lookup == NULL) {
        error = CMA_EOPNOTSUPP;
    } else {
        error = stream_find_paddr(port, first, first + (uintptr_t)(nbytes - 1), &paddr);
    }
    if (error != 0) {
        error = stream_refuse(device, error, CMA_REASON_ARGUMENT, 0, refusal);
        if (refusal != NULL) {
            refusal->pfn = CMA_PFN_NONE;
        }
        return error;
    }
    return cma_dma_map(device, paddr, nbytes, direction, flags, daddr, refusal);
}

int cma_dma_map_page(struct cma_device *device, cma_pfn_t pfn, uint64_t offset_nbytes,
                     uint64_t nbytes, enum cma_direction direction, uint32_t flags,
                     cma_daddr_t *daddr, struct cma_refusal *refusal)
{
    uint32_t shift = device->dma->port->page_shift;
    cma_paddr_t paddr = pfn << shift;

    if (pfn > UINT64_MAX >> shift || offset_nbytes > UINT64_MAX - paddr) {
        return stream_refuse(device, CMA_EOVERFLOW, CMA_REASON_ARGUMENT, paddr, refusal);
    }
    return cma_dma_map(device, paddr + offset_nbytes, nbytes, direction, flags, daddr, refusal);
}

/* --- unmap and sync -------------------------------------------------------------------- */

static bool stream_is_held(const struct cma_bounce *bounce, cma_paddr_t paddr, uint64_t nbytes)
{
    return bounce != NULL &&
           (bounce->ops->holds(bounce, paddr) || bounce->ops->holds(bounce, paddr + (nbytes - 1)));
}

/* Is all of it memory that the device reaches, and not another's bounce memory? */
static int stream_judge_direct(const struct cma_device *device, const struct stream_place *place)
{
    cma_daddr_t at = place->daddr;
    cma_paddr_t paddr;
    uint64_t nbytes;
    int error;

    for (;;) {
        error = cma__device_stretch(device, at, place->last, &paddr, &nbytes);
        if (error != 0) {
            return error;
        }
        if (stream_is_held(cma__device_bounce(device), paddr, nbytes)) {
            return CMA_EINVAL;
        }
        if (stream_is_held(device->dma->bounce, paddr, nbytes)) {
            return CMA_EPERM;
        }
        if (place->last - at < nbytes) {
            return 0;
        }
        at += nbytes;
    }
}

/* Finds out what [daddr, daddr + nbytes) is, a mapping (`whole`) or a part of one. */
static int stream_find(const struct cma_device *device, cma_daddr_t daddr, uint64_t nbytes,
                       enum cma_direction direction, bool whole, struct stream_place *place)
{
    const struct cma_device_config *config = &device->config;
    struct cma_bounce *bounce = cma__device_bounce(device);
    uint64_t found;
    int error;

    if (nbytes == 0 || !stream_is_direction(direction)) {
        return CMA_EINVAL;
    }
    if (!range_last(daddr, nbytes, &place->last)) {
        return CMA_EOVERFLOW;
    }
    /* Contiguous memory (dma.h) is synced by these calls too, and reached under the other mask. */
    if (place->last > bits_max(config->mask, config->coherent_mask)) {
        return CMA_ERANGE;
    }
    place->daddr = daddr;
    place->bounce = NULL;
    error = cma__device_stretch(device, daddr, place->last, &place->paddr, &found);
    if (error != 0) {
        return error;
    }
    if (bounce == NULL || !bounce->ops->holds(bounce, place->paddr)) {
        return stream_judge_direct(device, place);
    }
    place->bounce = bounce;
    return found < nbytes
               ? CMA_EINVAL
               : bounce->ops->judge(bounce, device, place->paddr, nbytes, direction, whole);
}

/* What the CPU needs in order to see what the device wrote. */
static void stream_to_cpu(const struct cma_device *device, const struct stream_place *place,
                          enum cma_direction direction)
{
    const struct cma_port *port = device->dma->port;

    port->dma_barrier(port->ctx);
    if (direction == CMA_TO_DEVICE) {
        return;
    }
    if (!cma__device_snoops(device)) {
        stream_maintain(device, place->daddr, place->last, true);
    }
    if (place->bounce != NULL) {
        place->bounce->ops->copy(place->bounce, place->paddr, place->last - place->daddr + 1, true);
    }
}

int cma_dma_unmap(struct cma_device *device, cma_daddr_t daddr, uint64_t nbytes,
                  enum cma_direction direction, uint32_t flags)
{
    struct cma_bounce *bounce;
    struct stream_place place;
    int error = CMA_EINVAL;

    if (cma__stream_is_formed(direction, flags)) {
        error = stream_find(device, daddr, nbytes, direction, true, &place);
    }
    if (error != 0) {
        return error;
    }
    if ((flags & CMA_MAP_SKIP_SYNC) == 0) {
        stream_to_cpu(device, &place, direction);
    }
    bounce = place.bounce;
    if (bounce != NULL) {
        bounce->ops->unmap(bounce, place.paddr);
    }
    return 0;
}

int cma_dma_sync_for_cpu(struct cma_device *device, cma_daddr_t daddr, uint64_t nbytes,
                         enum cma_direction direction)
{
    struct stream_place place;
    int error = stream_find(device, daddr, nbytes, direction, false, &place);

    if (error == 0) {
        stream_to_cpu(device, &place, direction);
    }
    return error;
}

int cma_dma_sync_for_device(struct cma_device *device, cma_daddr_t daddr, uint64_t nbytes,
                            enum cma_direction direction)
{
    const struct cma_port *port = device->dma->port;
    struct cma_bounce *bounce;
    struct stream_place place;
    int error = stream_find(device, daddr, nbytes, direction, false, &place);

    if (error != 0) {
        return error;
    }
    /* FROM_DEVICE: what the device has written already must not be written over. */
    bounce = place.bounce;
    if (bounce != NULL && direction != CMA_FROM_DEVICE) {
        bounce->ops->copy(bounce, place.paddr, nbytes, false);
    }
    cma__stream_clean(device, daddr, nbytes);
    port->dma_barrier(port->ctx);
    return 0;
}

/* --- resources ------------------------------------------------------------------------- */

static bool stream_is_known(const struct cma_frames *frames, cma_paddr_t paddr, cma_paddr_t last)
{
    uint32_t shift = frames->port->page_shift;

    for (uint32_t i = 0; i < frames->nspans; i++) {
        const struct cma_span *span = &frames->spans[i];

        if (range_overlaps(span->pfn, span->pfn + (span->npages - 1), paddr >> shift,
                           last >> shift)) {
            return true;
        }
    }
    return false;
}

int cma_dma_map_resource(struct cma_device *device, cma_paddr_t paddr, uint64_t nbytes,
                         enum cma_direction direction, cma_daddr_t *daddr)
{
    cma_daddr_t mapped;
    cma_paddr_t last;
    int error;

    if (nbytes == 0 || !stream_is_direction(direction)) {
        return CMA_EINVAL;
    }
    if (!range_last(paddr, nbytes, &last)) {
        return CMA_EOVERFLOW;
    }
    if (stream_is_known(device->dma->frames, paddr, last)) {
        return CMA_EEXIST;
    }
    if ((device->config.flags & CMA_DEVICE_RESTRICTED) != 0) {
        return CMA_ERANGE;
    }
    error = cma_device_to_bus(device, paddr, nbytes, device->config.mask, &mapped);
    if (error == 0) {
        *daddr = mapped;
    }
    return error;
}

int cma_dma_unmap_resource(struct cma_device *device, cma_daddr_t daddr, uint64_t nbytes,
                           enum cma_direction direction)
{
    cma_daddr_t last;
    cma_paddr_t paddr;
    int error = nbytes == 0 || !stream_is_direction(direction) ? CMA_EINVAL : 0;

    if (error == 0 && !range_last(daddr, nbytes, &last)) {
        error = CMA_EOVERFLOW;
    }
    if (error == 0 && last > device->config.mask) {
        error = CMA_ERANGE;
    }
    return error != 0 ? error : cma_device_from_bus(device, daddr, nbytes, &paddr);
}
