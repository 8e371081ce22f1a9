/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream.h - streaming mappings: ordinary memory lent to a device for one transfer (src/dma)
 *
 * The memory stays the caller's and stays cached. A mapping belongs to one side at a time:
 *
 *          map, sync_for_device                        the device's
 *     CPU's -----------------------------------------> (the CPU neither reads nor writes it)
 *         <------------------------------------------
 *          sync_for_cpu, unmap
 *
 * and each of these calls does what the side that takes over needs in order to see the right bytes:
 *
 *                        TO_DEVICE         FROM_DEVICE            BIDIRECTIONAL
 *     map, for_device    clean             clean                  clean
 *     unmap, for_cpu     nothing           invalidate             invalidate
 *
 * FROM_DEVICE cleans at map so that no dirty line is written back over what the device wrote; it is
 * dropped after the transfer and not before, because processors read ahead. Where the device snoops
 * nothing is done but a barrier. Where it can't reach the memory, or must not see what lies beside
 * it, the transfer goes through bounce memory (bounce.h), with the same calls.
 *
 * Nothing is allocated for a mapping: its device address says all. So unmap and sync get the
 * address, length and direction back, as in Linux; a bounced mapping remembers its own and refuses
 * others, a direct one is taken on trust, unless the misuse checker is there (misuse.h).
 *
 * The memory must not move while it is mapped: it is unmovable, claimed or pinned.
 *
 * All calls: any thread, any context, nothing sleeps. Mappings are independent of each other.
 */
#ifndef CMA_STREAM_H
#define CMA_STREAM_H

#include <cma/dma.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Flags of map and unmap; unmap gets those that map got. */
/* No maintenance and no copy: the caller syncs himself, all of it before the device begins and what
 * the CPU wants to see after it. (Bounce memory of a FROM_DEVICE mapping is filled all the same,
 * for nothing else would fill it.) */
#define CMA_MAP_SKIP_SYNC (1u << 0)
#define CMA_MAP_NO_BOUNCE (1u << 1) /* refused rather than bounced */
/* Nobody touches the rest of the first and the last cache line while it is mapped: it is not
 * bounced for their sake. */
#define CMA_MAP_OWN_LINES (1u << 2)
/* Refused if it needs maintenance or bouncing: the device will look at it without being told. */
#define CMA_MAP_COHERENT (1u << 3)

/*
 * Maps [paddr, paddr + nbytes) for a transfer in `direction`. Judged on its last byte.
 *
 * A device that doesn't snoop and writes (not TO_DEVICE) must not share a cache line with other
 * data: a line of which the buffer has only a part is bounced, or refused (CMA_REASON_LINES),
 * unless CMA_MAP_OWN_LINES.
 *
 * Returns 0 and *daddr, or with nothing changed
 *   CMA_EINVAL      nbytes 0, no such direction, an unknown flag; CMA_REASON_LINES without bounce
 *                   memory
 *   CMA_EOVERFLOW   paddr + nbytes passes 2^64
 *   CMA_ERANGE      out of reach and there is no bounce memory (or CMA_MAP_NO_BOUNCE), or it
 *                   can never be mapped: longer than cma_dma_map_nbytes_max, or than the mask
 *   CMA_ENOMEM      bounce memory is full (CMA_REASON_BOUNCE)
 *   CMA_EOPNOTSUPP  CMA_MAP_COHERENT can't be had
 */
CMA_MUST_CHECK int cma_dma_map(struct cma_device *device, cma_paddr_t paddr, uint64_t nbytes,
                               enum cma_direction direction, uint32_t flags, cma_daddr_t *daddr,
                               struct cma_refusal *refusal);

/*
 * The same by CPU address (dma_map_single): the port's tables are asked for each page. Besides:
 * CMA_ENOENT (some page is not mapped), CMA_EBADF (its mapping is not cached memory), CMA_ERANGE
 * (the pages are not physically contiguous: memory from a heap or a stack that isn't),
 * CMA_EOPNOTSUPP (the port can't look).
 */
CMA_MUST_CHECK int cma_dma_map_single(struct cma_device *device, const void *vaddr, uint64_t nbytes,
                                      enum cma_direction direction, uint32_t flags,
                                      cma_daddr_t *daddr, struct cma_refusal *refusal);

/* The same by frame (dma_map_page): [offset, offset + nbytes) of the frames from pfn on. */
CMA_MUST_CHECK int cma_dma_map_page(struct cma_device *device, cma_pfn_t pfn,
                                    uint64_t offset_nbytes, uint64_t nbytes,
                                    enum cma_direction direction, uint32_t flags,
                                    cma_daddr_t *daddr, struct cma_refusal *refusal);

/*
 * Ends a mapping. The device is done with it. Returns 0, CMA_EINVAL (malformed; for a bounced one:
 * not its length or direction, or its inside), CMA_EOVERFLOW (daddr + nbytes passes 2^64),
 * CMA_ENOENT (no bounce slot is live there: unmapped already), CMA_EPERM (another device's),
 * CMA_ERANGE (an address that the device has not). A call that fails changes nothing.
 */
int cma_dma_unmap(struct cma_device *device, cma_daddr_t daddr, uint64_t nbytes,
                  enum cma_direction direction, uint32_t flags);

/*
 * Hands [daddr, daddr + nbytes), a mapping or a part of one, to the CPU or back to the device.
 * `direction` is that of the mapping. Where the CPU is to see only a part, only that part need be
 * synced; cache lines at its ends are synced whole. Returns as cma_dma_unmap; a part that passes
 * the end of a bounced mapping is CMA_EINVAL. for_device never overwrites what the device wrote:
 * with FROM_DEVICE nothing is copied to bounce memory.
 */
int cma_dma_sync_for_cpu(struct cma_device *device, cma_daddr_t daddr, uint64_t nbytes,
                         enum cma_direction direction);
int cma_dma_sync_for_device(struct cma_device *device, cma_daddr_t daddr, uint64_t nbytes,
                            enum cma_direction direction);

/* --- scatter lists --------------------------------------------------------------------- */

/* A piece of memory of a list, and a piece of what the device gets. */
struct cma_piece {
    cma_paddr_t paddr;
    uint64_t nbytes; /* 1 up */
};
struct cma_segment {
    cma_daddr_t daddr;
    uint64_t nbytes;
    /* private: where in the list it begins */
    uint32_t piece;
    uint64_t piece_offset_nbytes;
};

/*
 * Maps a list of pieces to as few segments as the device allows: pieces that continue each other
 * for the device are merged, and segments are cut where they would be longer than the device's
 * segment_nbytes_max or cross its segment_boundary_nbytes. (Linux cuts nothing here: there a piece
 * that is too long is a warning of its checker.) Each piece is judged by itself, as by cma_dma_map;
 * what is bounced is not merged with its neighbours. All or nothing.
 *
 * Returns 0 and *nsegments, or as cma_dma_map, or CMA_ENOSPC (more than nsegments_max segments;
 * *nsegments is how many it would take, or, where some are bounced, the most that it can take),
 * CMA_EINVAL (npieces 0). After a refusal `segments` holds nothing of use.
 */
CMA_MUST_CHECK int cma_dma_map_list(struct cma_device *device, const struct cma_piece *pieces,
                                    uint32_t npieces, enum cma_direction direction, uint32_t flags,
                                    struct cma_segment *segments, uint32_t nsegments_max,
                                    uint32_t *nsegments, struct cma_refusal *refusal);
/* Ends it, or hands it over; all segments as they were filled. Returns as cma_dma_unmap, and
 * CMA_EINVAL when there are none; what could be ended is, and the first error is told. A part of a
 * list may be synced by itself. */
int cma_dma_unmap_list(struct cma_device *device, const struct cma_segment *segments,
                       uint32_t nsegments, enum cma_direction direction, uint32_t flags);
int cma_dma_sync_list_for_cpu(struct cma_device *device, const struct cma_segment *segments,
                              uint32_t nsegments, enum cma_direction direction);
int cma_dma_sync_list_for_device(struct cma_device *device, const struct cma_segment *segments,
                                 uint32_t nsegments, enum cma_direction direction);

/* --- resources and questions ----------------------------------------------------------- */

/*
 * Another device's registers or memory, for peer transfers: translated and judged, nothing else (no
 * maintenance, never bounced). Returns 0, CMA_EINVAL, CMA_EOVERFLOW, CMA_ERANGE (out of reach; any
 * for a device with CMA_DEVICE_RESTRICTED), and CMA_EEXIST when some of it is memory that the frame
 * table knows: that is mapped with cma_dma_map.
 */
CMA_MUST_CHECK int cma_dma_map_resource(struct cma_device *device, cma_paddr_t paddr,
                                        uint64_t nbytes, enum cma_direction direction,
                                        cma_daddr_t *daddr);
int cma_dma_unmap_resource(struct cma_device *device, cma_daddr_t daddr, uint64_t nbytes,
                           enum cma_direction direction);

/* The longest single mapping: UINT64_MAX, or what bounce memory serves at most if all of the
 * device's mappings go through it (0: there is none that it reaches). */
uint64_t cma_dma_map_nbytes_max(const struct cma_device *device);
/* Would mappings of this device need syncs at all? False: it snoops, and nothing of it is bounced
 * (it reaches everything, or there is no bounce memory and what it doesn't reach is refused), so a
 * driver may leave them out on its fast path. */
bool cma_dma_needs_sync(const struct cma_device *device);
/* Is there memory in the frame table that the device can't reach under its streaming mask? */
bool cma_dma_is_limited(const struct cma_device *device);
/* The lowest mask (all ones) with which it would reach as much of the table's memory as its buses
 * allow (dma_get_required_mask). */
cma_daddr_t cma_dma_required_mask(const struct cma_device *device);
/* What two buffers of one device must not share: the port's cache line, 1 where it snoops. */
uint32_t cma_dma_align_nbytes(const struct cma_device *device);

#ifdef __cplusplus
}
#endif
#endif
