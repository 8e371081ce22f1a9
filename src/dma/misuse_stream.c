/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * misuse_stream.c - the calls of stream.h, looked at
 *
 * What is ended is taken off before the real call, for its addresses may be somebody's right after
 * it. Where the call is wrong, the real one decides: what it refuses is still mapped.
 */
#include "misuse.h"

#include <cma/dma.h>

/* --- single mappings ------------------------------------------------------------------- */

static uint8_t stream_fence(const struct cma_device *device, cma_paddr_t paddr, cma_daddr_t daddr,
                            uint64_t nbytes)
{
    const struct cma_port *port = device->dma->port;
    cma_paddr_t direct;

    if ((device->config.flags & CMA_DEVICE_COHERENT) != 0 || port->clean == NULL) {
        return CMA__MISUSE_FENCE_NONE;
    }
    if (cma_device_from_bus(device, daddr, nbytes, &direct) == 0 && direct == paddr) {
        return CMA__MISUSE_FENCE_LINES;
    }
    return CMA__MISUSE_FENCE_BYTES;
}

/* Keeps a mapping, and tells if it overlaps with another one. */
static void stream_keep(struct cma_misuse *misuse, const struct cma_misuse_entry *entry)
{
    struct cma_misuse_report report = {.kind = CMA_MISUSE_NONE};
    const struct cma_misuse_entry *other;
    uintptr_t state = misuse_lock(misuse);

    other = cma__misuse_overlap(misuse, entry);
    if (other != NULL) {
        report = (struct cma_misuse_report){.kind = CMA_MISUSE_OVERLAP,
                                            .site = entry->made,
                                            .other = other->made,
                                            .device = entry->device->config.name,
                                            .daddr = entry->daddr,
                                            .nbytes = entry->nbytes,
                                            .direction = (enum cma_direction)entry->direction};
    }
    if (cma__misuse_room(misuse, 1)) {
        struct cma_misuse_entry *added = cma__misuse_add(misuse, entry);

        if ((entry->flags & CMA_MAP_SKIP_SYNC) != 0 && entry->sort == CMA__MISUSE_SINGLE) {
            cma__misuse_hand(misuse, added, 0, added->nbytes, true, false);
        }
    }
    misuse_unlock(misuse, state);
    cma__misuse_tell(misuse, &report);
}

static void stream_check_memory(struct cma_misuse *misuse, const struct misuse_call *call)
{
    enum cma_misuse_kind kind = cma__misuse_memory(misuse, call->paddr, call->nbytes);
    struct cma_misuse_report report;

    if (kind != CMA_MISUSE_NONE) {
        cma__misuse_blame(&report, kind, call, NULL);
        report.daddr = call->paddr;
        cma__misuse_tell(misuse, &report);
    }
}

/* What all three kinds of a single map do after the real call. */
static void stream_mapped(struct cma_misuse *misuse, const struct misuse_call *call, int error,
                          const cma_daddr_t *daddr)
{
    struct cma_misuse_entry entry = {.device = call->device,
                                     .paddr = call->paddr,
                                     .nbytes = call->nbytes,
                                     .made = call->site,
                                     .flags = call->flags,
                                     .direction = (uint8_t)call->direction,
                                     .sort = (uint8_t)call->sort,
                                     .lined = true};

    if (daddr == NULL) {
        return;
    }
    if (error != 0) {
        cma__misuse_failed(misuse, call->device, call->site, *daddr, call->nbytes, call->direction);
        return;
    }
    entry.daddr = *daddr;
    entry.fence = stream_fence(call->device, call->paddr, *daddr, call->nbytes);
    stream_keep(misuse, &entry);
}

int cma_misuse_map(struct cma_site site, struct cma_device *device, cma_paddr_t paddr,
                   uint64_t nbytes, enum cma_direction direction, uint32_t flags,
                   cma_daddr_t *daddr, struct cma_refusal *refusal)
{
    struct misuse_call call = {.site = site,
                               .device = device,
                               .paddr = paddr,
                               .nbytes = nbytes,
                               .sort = CMA__MISUSE_SINGLE,
                               .direction = direction,
                               .flags = flags};
    struct cma_misuse *misuse = device->dma->misuse;
    int error;

    if (misuse != NULL) {
        stream_check_memory(misuse, &call);
    }
    error = cma_dma_map(device, paddr, nbytes, direction, flags, daddr, refusal);
    if (misuse != NULL) {
        stream_mapped(misuse, &call, error, daddr);
    }
    return error;
}

int cma_misuse_map_page(struct cma_site site, struct cma_device *device, cma_pfn_t pfn,
                        uint64_t offset_nbytes, uint64_t nbytes, enum cma_direction direction,
                        uint32_t flags, cma_daddr_t *daddr, struct cma_refusal *refusal)
{
    struct misuse_call call = {.site = site,
                               .device = device,
                               .nbytes = nbytes,
                               .sort = CMA__MISUSE_SINGLE,
                               .direction = direction,
                               .flags = flags};
    struct cma_misuse *misuse = device->dma->misuse;
    int error;

    if (misuse != NULL) {
        call.paddr = (pfn << device->dma->port->page_shift) + offset_nbytes;
        stream_check_memory(misuse, &call);
    }
    error = cma_dma_map_page(device, pfn, offset_nbytes, nbytes, direction, flags, daddr, refusal);
    if (misuse != NULL) {
        stream_mapped(misuse, &call, error, daddr);
    }
    return error;
}

int cma_misuse_map_single(struct cma_site site, struct cma_device *device, const void *vaddr,
                          uint64_t nbytes, enum cma_direction direction, uint32_t flags,
                          cma_daddr_t *daddr, struct cma_refusal *refusal)
{
    struct misuse_call call = {.site = site,
                               .device = device,
                               .nbytes = nbytes,
                               .sort = CMA__MISUSE_SINGLE,
                               .direction = direction,
                               .flags = flags};
    const struct cma_port *port = device->dma->port;
    struct cma_misuse *misuse = device->dma->misuse;
    enum cma_attr attr;
    int error;

    if (misuse != NULL && port->lookup != NULL &&
        port->lookup(port->ctx, vaddr, &call.paddr, &attr) == 0) {
        stream_check_memory(misuse, &call);
    }
    error = cma_dma_map_single(device, vaddr, nbytes, direction, flags, daddr, refusal);
    if (misuse != NULL) {
        stream_mapped(misuse, &call, error, daddr);
    }
    return error;
}

/* Judges an end, and ends what is right. Returns false if it is not. */
static bool stream_end(struct cma_misuse *misuse, const struct misuse_call *call, bool anyway)
{
    struct cma_misuse_report report;
    uintptr_t state = misuse_lock(misuse);
    struct cma_misuse_entry *entry = cma__misuse_judge(misuse, call, &report);
    bool right = report.kind == CMA_MISUSE_NONE;

    if (entry != NULL && (right || anyway)) {
        cma__misuse_end(
            misuse, entry, call->site,
            cma__misuse_last_lines(misuse, entry, (call->flags & CMA_MAP_SKIP_SYNC) != 0));
    }
    misuse_unlock(misuse, state);
    if (!anyway) {
        cma__misuse_tell(misuse, &report);
    }
    return right;
}

int cma_misuse_unmap(struct cma_site site, struct cma_device *device, cma_daddr_t daddr,
                     uint64_t nbytes, enum cma_direction direction, uint32_t flags)
{
    struct misuse_call call = {.site = site,
                               .device = device,
                               .daddr = daddr,
                               .nbytes = nbytes,
                               .sort = CMA__MISUSE_SINGLE,
                               .direction = direction,
                               .flags = flags};
    struct cma_misuse *misuse = device->dma->misuse;
    bool right = misuse == NULL || stream_end(misuse, &call, false);
    int error = cma_dma_unmap(device, daddr, nbytes, direction, flags);

    if (!right && error == 0) {
        (void)stream_end(misuse, &call, true);
    }
    return error;
}

static void stream_sync(const struct misuse_call *call, bool to_cpu)
{
    struct cma_misuse *misuse = call->device->dma->misuse;
    struct cma_misuse_report report;
    uintptr_t state;

    if (misuse != NULL) {
        state = misuse_lock(misuse);
        cma__misuse_judge_sync(misuse, call, to_cpu, &report);
        misuse_unlock(misuse, state);
        cma__misuse_tell(misuse, &report);
    }
}

int cma_misuse_sync_for_cpu(struct cma_site site, struct cma_device *device, cma_daddr_t daddr,
                            uint64_t nbytes, enum cma_direction direction)
{
    struct misuse_call call = {
        .site = site, .device = device, .daddr = daddr, .nbytes = nbytes, .direction = direction};

    stream_sync(&call, true);
    return cma_dma_sync_for_cpu(device, daddr, nbytes, direction);
}

int cma_misuse_sync_for_device(struct cma_site site, struct cma_device *device, cma_daddr_t daddr,
                               uint64_t nbytes, enum cma_direction direction)
{
    struct misuse_call call = {
        .site = site, .device = device, .daddr = daddr, .nbytes = nbytes, .direction = direction};

    stream_sync(&call, false);
    return cma_dma_sync_for_device(device, daddr, nbytes, direction);
}

/* --- resources ------------------------------------------------------------------------- */

int cma_misuse_map_resource(struct cma_site site, struct cma_device *device, cma_paddr_t paddr,
                            uint64_t nbytes, enum cma_direction direction, cma_daddr_t *daddr)
{
    struct cma_misuse_entry entry = {.device = device,
                                     .paddr = paddr,
                                     .nbytes = nbytes,
                                     .made = site,
                                     .direction = (uint8_t)direction,
                                     .sort = CMA__MISUSE_RESOURCE};
    struct cma_misuse *misuse = device->dma->misuse;
    int error = cma_dma_map_resource(device, paddr, nbytes, direction, daddr);

    if (misuse != NULL && daddr != NULL) {
        entry.daddr = *daddr;
        if (error == 0) {
            stream_keep(misuse, &entry);
        } else {
            cma__misuse_failed(misuse, device, site, *daddr, nbytes, direction);
        }
    }
    return error;
}

int cma_misuse_unmap_resource(struct cma_site site, struct cma_device *device, cma_daddr_t daddr,
                              uint64_t nbytes, enum cma_direction direction)
{
    struct misuse_call call = {.site = site,
                               .device = device,
                               .daddr = daddr,
                               .nbytes = nbytes,
                               .sort = CMA__MISUSE_RESOURCE,
                               .direction = direction};
    struct cma_misuse *misuse = device->dma->misuse;
    bool right = misuse == NULL || stream_end(misuse, &call, false);
    int error = cma_dma_unmap_resource(device, daddr, nbytes, direction);

    if (!right && error == 0) {
        (void)stream_end(misuse, &call, true);
    }
    return error;
}

/* --- lists ----------------------------------------------------------------------------- */

/* Goes through the parts of a list: what lies in one piece and in one segment. */
struct stream_parts {
    const struct cma_piece *pieces;
    const struct cma_segment *segments;
    uint32_t npieces, nsegments;
    uint32_t segment, piece;
    uint64_t done_nbytes;   /* of the segment */
    uint64_t offset_nbytes; /* in the piece */
};

/* Fills addresses, length and segment of the next part; false: that was all. */
static bool stream_next_part(struct stream_parts *parts, struct cma_misuse_entry *part)
{
    const struct cma_segment *segment;
    uint64_t in_piece, in_segment;

    if (parts->segment == parts->nsegments) {
        return false;
    }
    segment = &parts->segments[parts->segment];
    if (parts->done_nbytes == 0) {
        parts->piece = segment->piece;
        parts->offset_nbytes = segment->piece_offset_nbytes;
    }
    if (parts->piece >= parts->npieces) {
        return false;
    }
    in_piece = parts->pieces[parts->piece].nbytes - parts->offset_nbytes;
    in_segment = segment->nbytes - parts->done_nbytes;
    part->paddr = parts->pieces[parts->piece].paddr + parts->offset_nbytes;
    part->daddr = segment->daddr + parts->done_nbytes;
    part->nbytes = in_piece < in_segment ? in_piece : in_segment;
    part->segment = parts->segment;
    if (in_segment > in_piece) {
        parts->done_nbytes += in_piece;
        parts->piece++;
        parts->offset_nbytes = 0;
    } else {
        parts->done_nbytes = 0;
        parts->segment++;
    }
    return part->nbytes != 0;
}

/* The first part of a list's head is told apart by its segments' number. Locked. */
static void stream_add_parts(struct cma_misuse *misuse, struct stream_parts parts,
                             struct cma_misuse_entry *part)
{
    struct cma_misuse_entry *head = NULL, *before = NULL, *added;

    while (stream_next_part(&parts, part)) {
        part->fence = stream_fence(part->device, part->paddr, part->daddr, part->nbytes);
        added = cma__misuse_add(misuse, part);
        if ((part->flags & CMA_MAP_SKIP_SYNC) != 0) {
            cma__misuse_hand(misuse, added, 0, added->nbytes, true, false);
        }
        if (head == NULL) {
            head = added;
            head->nsegments = parts.nsegments;
        } else {
            added->head = head->head;
            before->part = (uint32_t)(added - misuse->entries);
        }
        before = added;
    }
}

static void stream_keep_list(struct cma_misuse *misuse, const struct stream_parts *list,
                             const struct misuse_call *call)
{
    struct cma_misuse_entry part = {.device = call->device,
                                    .made = call->site,
                                    .flags = call->flags,
                                    .direction = (uint8_t)call->direction,
                                    .sort = CMA__MISUSE_LIST,
                                    .lined = true};
    struct cma_misuse_report report = {.kind = CMA_MISUSE_NONE};
    const struct cma_misuse_entry *other;
    struct stream_parts parts = *list;
    uint32_t nparts = 0;
    uintptr_t state = misuse_lock(misuse);

    while (stream_next_part(&parts, &part)) {
        nparts++;
        part.fence = stream_fence(part.device, part.paddr, part.daddr, part.nbytes);
        other = cma__misuse_overlap(misuse, &part);
        if (other != NULL && report.kind == CMA_MISUSE_NONE) {
            cma__misuse_blame(&report, CMA_MISUSE_OVERLAP, call, other);
            report.daddr = part.daddr;
            report.nbytes = part.nbytes;
        }
    }
    if (cma__misuse_room(misuse, nparts)) {
        stream_add_parts(misuse, *list, &part);
    }
    misuse_unlock(misuse, state);
    cma__misuse_tell(misuse, &report);
}

int cma_misuse_map_list(struct cma_site site, struct cma_device *device,
                        const struct cma_piece *pieces, uint32_t npieces,
                        enum cma_direction direction, uint32_t flags, struct cma_segment *segments,
                        uint32_t nsegments_max, uint32_t *nsegments, struct cma_refusal *refusal)
{
    struct misuse_call call = {.site = site,
                               .device = device,
                               .sort = CMA__MISUSE_LIST,
                               .direction = direction,
                               .flags = flags};
    struct stream_parts parts = {.pieces = pieces, .segments = segments, .npieces = npieces};
    struct cma_misuse *misuse = device->dma->misuse;
    uint32_t i;
    int error;

    for (i = 0; misuse != NULL && i < npieces; i++) {
        call.paddr = pieces[i].paddr;
        call.nbytes = pieces[i].nbytes;
        stream_check_memory(misuse, &call);
    }
    error = cma_dma_map_list(device, pieces, npieces, direction, flags, segments, nsegments_max,
                             nsegments, refusal);
    if (misuse != NULL && error == 0) {
        parts.nsegments = *nsegments;
        stream_keep_list(misuse, &parts, &call);
    } else if (misuse != NULL && npieces != 0 && nsegments_max != 0) {
        cma__misuse_failed(misuse, device, site, segments[0].daddr, pieces[0].nbytes, direction);
    }
    return error;
}

/* The list that begins with this segment, by its first part; NULL: none. */
static struct cma_misuse_entry *stream_find_list(struct cma_misuse *misuse,
                                                 const struct misuse_call *call)
{
    struct cma_misuse_entry *entry, *found = NULL;
    struct misuse_walk walk;

    cma__misuse_walk(&walk, misuse, true, call->daddr, call->daddr);
    while ((entry = cma__misuse_next(&walk)) != NULL) {
        if (entry->state == CMA__MISUSE_LIVE && entry->sort == CMA__MISUSE_LIST &&
            entry->device == call->device && entry->daddr == call->daddr && entry->nsegments != 0 &&
            (found == NULL || entry->direction == (uint8_t)call->direction)) {
            found = entry;
        }
    }
    return found;
}

/* Are these the segments that the list was mapped to? */
static bool stream_is_list(struct cma_misuse *misuse, const struct cma_misuse_entry *head,
                           const struct cma_segment *segments, uint32_t nsegments)
{
    const struct cma_misuse_entry *part = head;
    uint64_t nbytes;
    uint32_t i;

    if (head->nsegments != nsegments) {
        return false;
    }
    for (i = 0; i < nsegments; i++) {
        if (part == NULL || part->daddr != segments[i].daddr) {
            return false;
        }
        for (nbytes = 0; part != NULL && part->segment == i;) {
            nbytes += part->nbytes;
            part = part->part == CMA__MISUSE_NONE ? NULL : &misuse->entries[part->part];
        }
        if (nbytes != segments[i].nbytes) {
            return false;
        }
    }
    return part == NULL;
}

/* Judges what a call for lists means, and returns the list; NULL: none. Locked. */
static struct cma_misuse_entry *stream_judge_list(struct cma_misuse *misuse,
                                                  const struct misuse_call *call,
                                                  const struct cma_segment *segments,
                                                  uint32_t nsegments, bool flags,
                                                  struct cma_misuse_report *report)
{
    struct cma_misuse_entry *head = stream_find_list(misuse, call);

    report->kind = CMA_MISUSE_NONE;
    if (head == NULL) {
        head = cma__misuse_judge(misuse, call, report);
        if (head != NULL && head->sort == CMA__MISUSE_LIST) {
            cma__misuse_blame(report, CMA_MISUSE_COUNT_OF_LIST, call, head);
        }
        return NULL;
    }
    if (!stream_is_list(misuse, head, segments, nsegments)) {
        cma__misuse_blame(report, CMA_MISUSE_COUNT_OF_LIST, call, head);
    } else if (flags && head->direction != (uint8_t)call->direction) {
        cma__misuse_blame(report, CMA_MISUSE_DIRECTION, call, head);
    } else if (flags && ((head->flags ^ call->flags) & ~CMA_MAP_SKIP_SYNC) != 0) {
        cma__misuse_blame(report, CMA_MISUSE_FLAGS, call, head);
    }
    return head;
}

static bool stream_end_list(struct cma_misuse *misuse, const struct misuse_call *call,
                            const struct cma_segment *segments, uint32_t nsegments, bool anyway)
{
    struct cma_misuse_report report;
    uintptr_t state = misuse_lock(misuse);
    struct cma_misuse_entry *part =
        stream_judge_list(misuse, call, segments, nsegments, true, &report);
    bool right = report.kind == CMA_MISUSE_NONE;
    bool skip = (call->flags & CMA_MAP_SKIP_SYNC) != 0;
    uint32_t next;

    while (part != NULL && (right || anyway)) {
        next = part->part;
        if (part->state == CMA__MISUSE_LIVE) {
            cma__misuse_end(misuse, part, call->site, cma__misuse_last_lines(misuse, part, skip));
        }
        part = next == CMA__MISUSE_NONE ? NULL : &misuse->entries[next];
    }
    misuse_unlock(misuse, state);
    if (!anyway) {
        cma__misuse_tell(misuse, &report);
    }
    return right;
}

int cma_misuse_unmap_list(struct cma_site site, struct cma_device *device,
                          const struct cma_segment *segments, uint32_t nsegments,
                          enum cma_direction direction, uint32_t flags)
{
    struct misuse_call call = {.site = site,
                               .device = device,
                               .sort = CMA__MISUSE_LIST,
                               .direction = direction,
                               .flags = flags};
    struct cma_misuse *misuse = nsegments == 0 ? NULL : device->dma->misuse;
    bool right = true;
    int error;

    if (misuse != NULL) {
        call.daddr = segments[0].daddr;
        call.nbytes = segments[0].nbytes;
        right = stream_end_list(misuse, &call, segments, nsegments, false);
    }
    error = cma_dma_unmap_list(device, segments, nsegments, direction, flags);
    if (!right && error == 0) {
        (void)stream_end_list(misuse, &call, segments, nsegments, true);
    }
    return error;
}

/* One report a call: of the list, or else of the first segment that is wrong. */
static void stream_sync_list(struct misuse_call *call, const struct cma_segment *segments,
                             uint32_t nsegments, bool to_cpu)
{
    struct cma_misuse *misuse = nsegments == 0 ? NULL : call->device->dma->misuse;
    struct cma_misuse_report report, more;
    uintptr_t state;
    uint32_t i;

    if (misuse == NULL) {
        return;
    }
    call->daddr = segments[0].daddr;
    call->nbytes = segments[0].nbytes;
    state = misuse_lock(misuse);
    (void)stream_judge_list(misuse, call, segments, nsegments, false, &report);
    for (i = 0; i < nsegments; i++) {
        call->daddr = segments[i].daddr;
        call->nbytes = segments[i].nbytes;
        cma__misuse_judge_sync(misuse, call, to_cpu, &more);
        if (report.kind == CMA_MISUSE_NONE) {
            report = more;
        }
    }
    misuse_unlock(misuse, state);
    cma__misuse_tell(misuse, &report);
}

int cma_misuse_sync_list_for_cpu(struct cma_site site, struct cma_device *device,
                                 const struct cma_segment *segments, uint32_t nsegments,
                                 enum cma_direction direction)
{
    struct misuse_call call = {
        .site = site, .device = device, .sort = CMA__MISUSE_LIST, .direction = direction};

    stream_sync_list(&call, segments, nsegments, true);
    return cma_dma_sync_list_for_cpu(device, segments, nsegments, direction);
}

int cma_misuse_sync_list_for_device(struct cma_site site, struct cma_device *device,
                                    const struct cma_segment *segments, uint32_t nsegments,
                                    enum cma_direction direction)
{
    struct misuse_call call = {
        .site = site, .device = device, .sort = CMA__MISUSE_LIST, .direction = direction};

    stream_sync_list(&call, segments, nsegments, false);
    return cma_dma_sync_list_for_device(device, segments, nsegments, direction);
}
