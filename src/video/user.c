/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * user.c - the program's own memory as a device's buffer
 *
 * Each page is looked up, pinned, and looked up again: a pin moves a page out of an area first, and
 * until it is pinned anybody may have moved it, and the frame may be nobody's or a device's by
 * then. What a device has (a buffer of another queue) does not move and can't be pinned, but is
 * looked up again too; a plane is of one kind or of the other, so that unpinning never takes a pin
 * away that is somebody else's.
 *
 * Another device's own memory (mapped as such) is neither pinned nor synced: there is one address
 * for it on the bus, and it is physically one run.
 *
 * Contiguous means contiguous for the device: pages that lie apart in memory may be one run on its
 * bus. So pages are collected to pieces, and the list of pieces has to come out as one segment.
 */
#include "video.h"

#include "../base/bits.h"
#include "../base/range.h"

/* A page that is being moved is looked up so often; its mover takes that long only if it fails. */
#define USER_TRIES 64

/* A plane as it is put together. */
struct user_walk {
    struct cma_video_queue *queue;
    struct cma_video_plane *plane;
    cma_daddr_t next;   /* where the next page has to be for the device */
    bool bounced;       /* ... if it is not bounced anyway */
    enum cma_attr attr; /* of the first page: all have it */
    uint64_t npages;
    struct cma_refusal why;
};

static void user_unpin(struct cma_video_queue *queue, const struct cma_video_plane *plane)
{
    struct cma_frames *frames = queue->config.device->dma->frames;
    uint32_t shift = video_port(queue)->page_shift, i;
    cma_pfn_t pfn;

    for (i = 0; plane->pinned && i < plane->npieces; i++) {
        const struct cma_piece *piece = &plane->pieces[i];
        cma_pfn_t last = (piece->paddr + (piece->nbytes - 1)) >> shift;

        for (pfn = piece->paddr >> shift; pfn <= last; pfn++) {
            (void)cma_frame_unpin(frames, pfn);
        }
    }
}

/* Where is it now? */
static int user_look(struct user_walk *walk, const void *vaddr, cma_paddr_t *paddr)
{
    const struct cma_port *port = video_port(walk->queue);
    enum cma_attr attr = CMA_ATTR_NONE;

    walk->why.reason = CMA_REASON_MAPPING;
    if (port->lookup == NULL) {
        return CMA_EOPNOTSUPP;
    }
    if (port->lookup(port->ctx, vaddr, paddr, &attr) != 0) {
        return CMA_ENOENT;
    }
    walk->why.pfn = *paddr >> port->page_shift;
    walk->why.reason = CMA_REASON_ALIAS;
    if (walk->npages == 0) {
        walk->attr = attr;
    }
    return (attr == CMA_ATTR_CACHED || attr == CMA_ATTR_DEVICE) && attr == walk->attr ? 0
                                                                                      : CMA_EBADF;
}

/* What the device writes is not dropped any more: it counts as written. */
static int user_keep(const struct user_walk *walk, cma_pfn_t pfn)
{
    struct cma_frames *frames = walk->queue->config.device->dma->frames;
    struct cma_frame_info info;

    return walk->queue->config.direction != CMA_TO_DEVICE &&
                   cma_frame_info(frames, pfn, &info) == 0 && info.kind == CMA_KIND_DROPPABLE
               ? cma_frame_keep(frames, pfn)
               : 0;
}

/* One try to have the page at `vaddr` stay where it is. */
static int user_pin_once(struct user_walk *walk, const void *vaddr, cma_paddr_t *paddr, bool *pins)
{
    struct cma_frames *frames = walk->queue->config.device->dma->frames;
    uint32_t shift = video_port(walk->queue)->page_shift;
    struct cma_frame_info info;
    cma_pfn_t pinned;
    int error = user_look(walk, vaddr, paddr);

    if (error != 0) {
        return error;
    }
    if (cma_frame_info(frames, *paddr >> shift, &info) != 0) {
        info = (struct cma_frame_info){.kind = CMA_KIND_NONE};
    }
    *pins = info.kind == CMA_KIND_UNMOVABLE || info.kind == CMA_KIND_MOVABLE ||
            info.kind == CMA_KIND_DROPPABLE;
    pinned = *paddr >> shift;
    walk->why.reason = CMA_REASON_HELD;
    error = *pins ? cma_frame_pin(frames, pinned, &pinned) : 0;
    if (error != 0) {
        /* It was freed since we looked: so its address is another's. */
        return error == CMA_EBADF || error == CMA_ENOENT ? CMA_EAGAIN : error;
    }
    error = user_look(walk, vaddr, paddr);
    if (error != 0 || *paddr >> shift != pinned) {
        error = CMA_EAGAIN;
    } else {
        /* Until now it may have been anybody's. */
        walk->why.reason = CMA_REASON_HELD;
        error = *pins ? user_keep(walk, pinned) : info.idle ? CMA_EBADF : 0;
    }
    if (error != 0 && *pins) {
        (void)cma_frame_unpin(frames, pinned);
    }
    return error;
}

static int user_pin(struct user_walk *walk, const void *vaddr, cma_paddr_t *paddr, bool *pins)
{
    uint32_t i;
    int error = CMA_EAGAIN;

    for (i = 0; error == CMA_EAGAIN && i < USER_TRIES; i++) {
        error = user_pin_once(walk, vaddr, paddr, pins);
    }
    return error;
}

/* Puts a page to the pieces. False: it does not continue them for the device. */
static bool user_add(struct user_walk *walk, cma_paddr_t paddr, uint64_t nbytes)
{
    struct cma_video_plane *plane = walk->plane;
    struct cma_device *device = walk->queue->config.device;
    struct cma_piece *piece = &plane->pieces[plane->npieces != 0 ? plane->npieces - 1 : 0];
    bool follows = plane->npieces != 0 && paddr == piece->paddr + piece->nbytes;
    cma_daddr_t daddr = 0;

    if (cma_device_to_bus(device, paddr, nbytes, UINT64_MAX, &daddr) != 0) {
        walk->bounced = (walk->queue->config.flags & CMA_VIDEO_BOUNCE_USER) != 0;
        if (!walk->bounced || (plane->npieces != 0 && !follows)) {
            return false;
        }
    } else if (plane->npieces != 0 && (walk->bounced ? !follows : daddr != walk->next)) {
        return false;
    }
    walk->next = daddr + nbytes;
    if (follows) {
        piece->nbytes += nbytes;
        return true;
    }
    if (plane->npieces == CMA_VIDEO_PIECES_MAX) {
        return false;
    }
    plane->pieces[plane->npieces++] = (struct cma_piece){.paddr = paddr, .nbytes = nbytes};
    return true;
}

/* Collects and pins. On failure plane->pieces are what was pinned until then. */
static int user_walk(struct user_walk *walk, const uint8_t *vaddr, uint64_t nbytes)
{
    uint64_t page = (uint64_t)1 << video_port(walk->queue)->page_shift;
    uint64_t offset = 0;

    while (offset < nbytes) {
        uint64_t in_page = page - ((uintptr_t)(vaddr + offset) & (page - 1));
        uint64_t part = bits_min(in_page, nbytes - offset);
        cma_paddr_t paddr;
        bool pins;
        int error = user_pin(walk, vaddr + offset, &paddr, &pins);

        if (error != 0) {
            return error;
        }
        if (offset == 0) {
            walk->plane->pinned = pins;
        }
        if (pins != walk->plane->pinned || !user_add(walk, paddr, part)) {
            if (pins) {
                (void)cma_frame_unpin(walk->queue->config.device->dma->frames,
                                      paddr >> video_port(walk->queue)->page_shift);
            }
            walk->why.reason = CMA_REASON_UNREACHABLE;
            return CMA_ERANGE;
        }
        walk->npages++;
        offset += part;
    }
    return 0;
}

/* How much of one segment the device takes. */
static uint64_t user_segment_npages(const struct user_walk *walk)
{
    const struct cma_device_config *config = &walk->queue->config.device->config;
    uint64_t boundary = config->segment_boundary_nbytes, room = UINT64_MAX;
    cma_daddr_t daddr;

    if (config->segment_nbytes_max != 0) {
        room = config->segment_nbytes_max;
    }
    if (boundary != 0 && cma_device_to_bus(walk->queue->config.device, walk->plane->pieces[0].paddr,
                                           1, UINT64_MAX, &daddr) == 0) {
        room = bits_min(room, boundary - (daddr & (boundary - 1)));
    }
    return bits_min(room >> video_port(walk->queue)->page_shift, walk->npages);
}

static uint32_t user_map_flags(const struct cma_video_queue *queue)
{
    /* Synced by itself (memory.c): that way hints for map and unmap may differ. */
    return CMA_MAP_SKIP_SYNC |
           ((queue->config.flags & CMA_VIDEO_BOUNCE_USER) != 0 ? 0 : CMA_MAP_NO_BOUNCE);
}

static int user_judge(const struct cma_video_queue *queue, const void *vaddr, uint64_t nbytes,
                      enum cma_reason *reason)
{
    uint64_t line = cma_dma_align_nbytes(queue->config.device), last;

    *reason = CMA_REASON_ARGUMENT;
    if (vaddr == NULL || !range_last((uintptr_t)vaddr, nbytes, &last) || last > UINTPTR_MAX) {
        return CMA_EINVAL;
    }
    *reason = CMA_REASON_LINES;
    return (queue->config.flags & CMA_VIDEO_BOUNCE_USER) != 0 ||
                   range_is_aligned((uintptr_t)vaddr | nbytes, line)
               ? 0
               : CMA_EINVAL;
}

/* The pieces are collected. */
static int user_map(struct user_walk *walk, uint64_t nbytes)
{
    struct cma_video_plane *plane = walk->plane;
    struct cma_device *device = walk->queue->config.device;
    enum cma_direction direction = walk->queue->config.direction;
    uint64_t npages = walk->npages;
    uint32_t nsegments;
    int error;

    plane->resource = walk->attr == CMA_ATTR_DEVICE;
    plane->segment = (struct cma_segment){.nbytes = nbytes};
    if (plane->resource) {
        walk->why.reason = CMA_REASON_UNREACHABLE;
        error = plane->npieces == 1 ? cma_dma_map_resource(device, plane->pieces[0].paddr, nbytes,
                                                           direction, &plane->segment.daddr)
                                    : CMA_ERANGE;
    } else {
        error = cma_dma_map_list(device, plane->pieces, plane->npieces, direction,
                                 user_map_flags(walk->queue), &plane->segment, 1, &nsegments,
                                 &walk->why);
    }
    if (error == CMA_ENOSPC) {
        error = CMA_ERANGE;
        walk->why.reason = CMA_REASON_UNREACHABLE;
        npages = user_segment_npages(walk);
    }
    walk->why.possible_run_npages = npages;
    return error;
}

int cma__user_map(struct cma_video_queue *queue, struct cma_video_plane *plane, const void *vaddr,
                  uint64_t nbytes, struct cma_refusal *refusal)
{
    struct user_walk walk = {.queue = queue, .plane = plane, .why = {.pfn = CMA_PFN_NONE}};
    enum cma_reason reason;
    int error = user_judge(queue, vaddr, nbytes, &reason);

    if (error != 0) {
        return refuse_with(refusal, error, reason);
    }
    plane->npieces = 0;
    error = user_walk(&walk, vaddr, nbytes);
    walk.why.possible_run_npages = walk.npages;
    if (error == 0) {
        error = user_map(&walk, nbytes);
    }
    if (error != 0) {
        user_unpin(queue, plane);
        plane->npieces = 0;
        walk.why.code = error;
        if (refusal != NULL) {
            *refusal = walk.why;
        }
        return error;
    }
    plane->vaddr = vaddr;
    plane->given_nbytes = nbytes;
    plane->daddr = plane->segment.daddr;
    return 0;
}

void cma__user_unmap(struct cma_video_queue *queue, struct cma_video_plane *plane)
{
    struct cma_device *device = queue->config.device;
    enum cma_direction direction = queue->config.direction;

    if (plane->resource) {
        (void)cma_dma_unmap_resource(device, plane->segment.daddr, plane->segment.nbytes,
                                     direction);
    } else {
        (void)cma_dma_unmap_list(device, &plane->segment, 1, direction, user_map_flags(queue));
    }
    user_unpin(queue, plane);
    plane->npieces = 0;
}
