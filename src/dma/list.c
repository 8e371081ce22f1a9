/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * list.c - scatter lists
 *
 *     pieces (memory)     |---A---|-B-|      |---C---|     |----D----|
 *                                               | bounced
 *     segments (device)   |---A-----B-|  |---C---|   |----D--|--|
 *                                                       cut ^ at a boundary
 *
 * Pieces are put to the open segment as long as they continue it for the device; it is closed where
 * it would get too long or cross a boundary. So there are as few as can be. A bounced piece has
 * segments of its own, for it ends by itself: they have its number, and their lengths add up to it.
 *
 * A list is walked twice. First everything is judged and counted, and nothing is touched. Then the
 * pieces are mapped; only taking bounce memory can fail there, or having too many segments because
 * of where it lies, and then what was taken is given back. The caches are cleaned at the end.
 */
#include <cma/bounce.h>

#include "../base/bits.h"
#include "../base/guard.h"
#include "../base/range.h"
#include "device.h"

/* Segments as they are made. */
struct list_maker {
    const struct cma_device *device;
    struct cma_segment *segments;
    uint32_t max;
    uint64_t count;          /* it may be more than max: then the rest is only counted */
    struct cma_segment open; /* the last one */
    bool closed;             /* nothing continues it */
};

static uint64_t list_nbytes_max(const struct cma_device *device)
{
    uint64_t max = device->config.segment_nbytes_max;

    return max != 0 ? max : UINT64_MAX;
}

/* Bytes from daddr to the next boundary. */
static uint64_t list_cell(const struct cma_device *device, cma_daddr_t daddr)
{
    uint64_t boundary = device->config.segment_boundary_nbytes;

    return boundary != 0 ? boundary - (daddr & (boundary - 1)) : UINT64_MAX;
}

/* So many bytes at daddr continue the open segment. */
static uint64_t list_room(const struct list_maker *maker, cma_daddr_t daddr)
{
    uint64_t boundary = maker->device->config.segment_boundary_nbytes;

    if (maker->count == 0 || maker->closed || daddr == 0 ||
        daddr != maker->open.daddr + maker->open.nbytes ||
        (boundary != 0 && (daddr & (boundary - 1)) == 0)) {
        return 0;
    }
    return bits_min(list_nbytes_max(maker->device) - maker->open.nbytes,
                    list_cell(maker->device, daddr));
}

static void list_store(struct list_maker *maker)
{
    if (maker->count <= maker->max) {
        maker->segments[maker->count - 1] = maker->open;
    }
}

/* Segments that will not be stored are counted many at a time, so that the time it takes doesn't
 * depend on lengths. Returns the bytes that this took care of; some are always left. */
static uint64_t list_count(struct list_maker *maker, cma_daddr_t daddr, uint64_t nbytes)
{
    uint64_t boundary = maker->device->config.segment_boundary_nbytes;
    uint64_t max = list_nbytes_max(maker->device);
    uint64_t cell = list_cell(maker->device, daddr);
    uint64_t times, step = max, each = 1;

    if (maker->count < maker->max) {
        return 0;
    }
    if (cell == boundary && nbytes > boundary) {
        step = boundary;
        each = (boundary - 1) / max + 1;
        cell = nbytes;
    }
    times = (bits_min(cell, nbytes) - 1) / step;
    if (times > UINT32_MAX || each > UINT32_MAX) {
        maker->count = UINT32_MAX;
    }
    maker->count = bits_min(maker->count + times * each, UINT32_MAX);
    return times * step;
}

/* Adds a stretch that is in one piece for the device. */
static void list_add(struct list_maker *maker, uint32_t piece, cma_daddr_t daddr, uint64_t nbytes)
{
    uint64_t offset = 0;

    while (offset < nbytes) {
        uint64_t left = nbytes - offset;
        uint64_t room = list_room(maker, daddr + offset);

        if (room == 0) {
            uint64_t counted = list_count(maker, daddr + offset, left);

            offset += counted;
            left -= counted;
            room =
                bits_min(list_nbytes_max(maker->device), list_cell(maker->device, daddr + offset));
            maker->open = (struct cma_segment){.daddr = daddr + offset, .piece = piece};
            maker->open.piece_offset_nbytes = offset;
            maker->closed = false;
            maker->count++;
        }
        maker->open.nbytes += bits_min(room, left);
        offset += bits_min(room, left);
        list_store(maker);
    }
}

/* A bounced piece makes so many segments at most, wherever its slots are. */
static uint64_t list_bounced_most(const struct cma_device *device, uint64_t nbytes)
{
    uint64_t boundary = device->config.segment_boundary_nbytes;
    uint64_t cells = 1;

    if (boundary != 0 && nbytes > 1) {
        cells += (nbytes - 2) / boundary + 1;
    }
    return cells + (nbytes - cells) / list_nbytes_max(device);
}

static struct cma_stream_request list_request(const struct cma_piece *piece,
                                              enum cma_direction direction, uint32_t flags)
{
    return (struct cma_stream_request){piece->paddr, piece->nbytes, direction, flags};
}

/* Judges all pieces and counts: *count segments at most, exactly so if none is bounced. */
static int list_judge(struct list_maker *maker, const struct cma_piece *pieces, uint32_t npieces,
                      enum cma_direction direction, uint32_t flags, bool *bounces,
                      struct cma_refusal *refusal)
{
    cma_daddr_t daddr = 0;
    bool bounced;

    *bounces = false;
    for (uint32_t i = 0; i < npieces; i++) {
        struct cma_stream_request request = list_request(&pieces[i], direction, flags);
        int error = cma__stream_judge(maker->device, &request, &bounced, &daddr, refusal);

        if (error != 0) {
            return error;
        }
        if (bounced) {
            maker->count += list_bounced_most(maker->device, pieces[i].nbytes);
            maker->closed = true;
            *bounces = true;
        } else {
            list_add(maker, i, daddr, pieces[i].nbytes);
        }
        maker->count = bits_min(maker->count, UINT32_MAX);
    }
    return 0;
}

/* Gives the bounce memory of the segments back: a mapping begins where a piece does. */
static void list_undo(const struct cma_device *device, const struct cma_segment *segments,
                      uint64_t nsegments)
{
    struct cma_bounce *bounce = cma__device_bounce(device);
    cma_paddr_t paddr;

    for (uint64_t i = 0; bounce != NULL && i < nsegments; i++) {
        if (segments[i].piece_offset_nbytes == 0 &&
            cma_device_from_bus(device, segments[i].daddr, 1, &paddr) == 0 &&
            bounce->ops->holds(bounce, paddr)) {
            bounce->ops->unmap(bounce, paddr);
        }
    }
}

/* Maps them. CMA_ENOSPC: more than there is room for. */
static int list_map(struct list_maker *maker, const struct cma_piece *pieces, uint32_t npieces,
                    enum cma_direction direction, uint32_t flags, struct cma_refusal *refusal)
{
    const struct cma_device *device = maker->device;
    cma_daddr_t daddr = 0;
    bool bounced = false;
    int error = 0;

    for (uint32_t i = 0; i < npieces; i++) {
        struct cma_stream_request request = list_request(&pieces[i], direction, flags);

        error = cma__stream_judge(device, &request, &bounced, &daddr, refusal);
        if (error == 0 && bounced) {
            error = cma__stream_bounce(device, &request, &daddr, refusal);
            maker->closed = true;
        }
        if (error != 0) {
            break;
        }
        /* A bounced piece of which not even the first segment has a place would be forgotten. */
        if (bounced && maker->count >= maker->max) {
            struct cma_segment forgotten = {.daddr = daddr};

            list_undo(device, &forgotten, 1);
            error = CMA_ENOSPC;
            break;
        }
        list_add(maker, i, daddr, pieces[i].nbytes);
        maker->closed = maker->closed || bounced;
        if (maker->count > maker->max) {
            error = CMA_ENOSPC;
            break;
        }
    }
    if (error != 0) {
        list_undo(device, maker->segments, bits_min(maker->count, maker->max));
    }
    return error;
}

int cma_dma_map_list(struct cma_device *device, const struct cma_piece *pieces, uint32_t npieces,
                     enum cma_direction direction, uint32_t flags, struct cma_segment *segments,
                     uint32_t nsegments_max, uint32_t *nsegments, struct cma_refusal *refusal)
{
    const struct cma_port *port = device->dma->port;
    struct list_maker counter = {.device = device};
    struct list_maker maker = {.device = device, .segments = segments, .max = nsegments_max};
    bool bounces;
    int error;

    if (npieces == 0 || !cma__stream_is_formed(direction, flags)) {
        return refuse_with(refusal, CMA_EINVAL, CMA_REASON_ARGUMENT);
    }
    error = list_judge(&counter, pieces, npieces, direction, flags, &bounces, refusal);
    if (error != 0) {
        return error;
    }
    error = CMA_ENOSPC;
    if (bounces || counter.count <= nsegments_max) {
        error = list_map(&maker, pieces, npieces, direction, flags, refusal);
    }
    if (error == CMA_ENOSPC) {
        *nsegments = (uint32_t)counter.count;
        return refuse_with(refusal, CMA_ENOSPC, CMA_REASON_TOO_LARGE);
    }
    if (error != 0) {
        return error;
    }
    if ((flags & CMA_MAP_SKIP_SYNC) == 0) {
        for (uint64_t i = 0; i < maker.count; i++) {
            cma__stream_clean(device, segments[i].daddr, segments[i].nbytes);
        }
        port->dma_barrier(port->ctx);
    }
    *nsegments = (uint32_t)maker.count;
    return 0;
}

/* Is the segment in bounce memory? */
static bool list_is_bounced(const struct cma_device *device, const struct cma_segment *segment)
{
    struct cma_bounce *bounce = cma__device_bounce(device);
    cma_paddr_t paddr;

    return bounce != NULL && cma_device_from_bus(device, segment->daddr, 1, &paddr) == 0 &&
           bounce->ops->holds(bounce, paddr);
}

int cma_dma_unmap_list(struct cma_device *device, const struct cma_segment *segments,
                       uint32_t nsegments, enum cma_direction direction, uint32_t flags)
{
    int result = nsegments == 0 ? CMA_EINVAL : 0;
    uint32_t i = 0;

    while (i < nsegments) {
        const struct cma_segment *first = &segments[i++];
        uint64_t nbytes = first->nbytes;
        int error;

        /* The segments of one bounced piece are one mapping. */
        if (list_is_bounced(device, first)) {
            while (i < nsegments && segments[i].piece == first->piece &&
                   segments[i].daddr == first->daddr + nbytes) {
                nbytes += segments[i++].nbytes;
            }
        }
        error = cma_dma_unmap(device, first->daddr, nbytes, direction, flags);
        result = result == 0 ? error : result;
    }
    return result;
}

int cma_dma_sync_list_for_cpu(struct cma_device *device, const struct cma_segment *segments,
                              uint32_t nsegments, enum cma_direction direction)
{
    int result = nsegments == 0 ? CMA_EINVAL : 0;

    for (uint32_t i = 0; i < nsegments; i++) {
        int error = cma_dma_sync_for_cpu(device, segments[i].daddr, segments[i].nbytes, direction);

        result = result == 0 ? error : result;
    }
    return result;
}

int cma_dma_sync_list_for_device(struct cma_device *device, const struct cma_segment *segments,
                                 uint32_t nsegments, enum cma_direction direction)
{
    int result = nsegments == 0 ? CMA_EINVAL : 0;

    for (uint32_t i = 0; i < nsegments; i++) {
        int error =
            cma_dma_sync_for_device(device, segments[i].daddr, segments[i].nbytes, direction);

        result = result == 0 ? error : result;
    }
    return result;
}
