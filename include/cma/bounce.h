/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bounce.h - memory that devices reach, for data that they don't (src/dma)
 *
 * A bounce pool is a contiguous run below some limit, cut into slots. A mapping that the device
 * can't reach gets a run of slots; the data is copied in when the device takes over and out when
 * the CPU does. Stream.h's calls do that by themselves; nobody else calls this one's insides.
 *
 *     who is bounced: what is out of reach; cache lines shared with other data; what the platform's
 *     hook says (`must_bounce` in struct cma_dma); all of a device with CMA_DEVICE_BOUNCE_ALWAYS or
 *     CMA_DEVICE_UNTRUSTED.
 *
 * No byte of an earlier owner is ever seen: slots are filled from the buffer when they are mapped,
 * whatever the direction, so that a device that writes less than it said leaves the rest as it was;
 * padding before, between and behind is zero; and slots are zeroed when they are unmapped. For a
 * device that is not trusted runs begin and end at whole granules, that no other mapping is in.
 *
 * A request may be as long as the pool (Linux: 256 KiB). The low bits of the buffer's address that
 * the device needs (min_align_nbytes) are kept, at no loss of length. A search takes as long when
 * the pool is nearly full as when it is empty: it is a walk down a tree.
 */
#ifndef CMA_BOUNCE_H
#define CMA_BOUNCE_H

#include <cma/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cma_bounce_config {
    const char *name;      /* lives as long as the pool */
    uint64_t nbytes;       /* a multiple of the page size */
    uint32_t slot_nbytes;  /* power of two, from 64 and a cache line to the page size; 0: 2048, or
                            * the page */
    uint32_t owner;        /* tag of its memory */
    struct cma_area *area; /* to take it from: claimed for good; NULL: `paddr` says where */
    cma_paddr_t paddr;     /* without area: memory that is the pool's own, mapped cached (a reserved
                            * range, restricted-dma-pool) */
    cma_paddr_t paddr_last; /* with area: no byte above */
};

struct cma_bounce_slot; /* private: src/dma/bounce.c */
struct cma_bounce_ops;  /* private: src/dma/device.h */

struct cma_bounce {
    /* private */
    const struct cma_bounce_ops *ops;
    struct cma_dma *dma;
    struct cma_bounce_config config;
    cma_paddr_t paddr;
    uint32_t nslots, slot_shift;
    struct cma_bounce_slot *slots;
    uint32_t *map; /* base/runmap.h */
    struct cma_lock lock;
    uint32_t used, most_used;                          /* slots */
    uint32_t nmaps, nrefused, ncopies_in, ncopies_out; /* atomic, wrap */
};

struct cma_bounce_stats {
    uint64_t nbytes, used_nbytes, most_used_nbytes;    /* the last: high-water mark */
    uint64_t free_run_nbytes;                          /* the longest mapping that would fit now */
    uint32_t nmaps, nrefused, ncopies_in, ncopies_out; /* since the start; wrap at 2^32 */
};

/* Bytes of storage (aligned to 8) for a pool; 0 when the config is malformed. About 24 a slot. */
uint64_t cma_bounce_size(const struct cma_port *port, const struct cma_bounce_config *config);

/*
 * Makes a pool. Returns 0, CMA_EINVAL (config malformed, storage not aligned), CMA_EOVERFLOW,
 * CMA_ENOMEM (nbytes is less than cma_bounce_size), CMA_EEXIST (without area: the frame table holds
 * this memory for others), or as cma_area_alloc. May sleep. A device uses it by its config
 * (`bounce`), all others by cma_bounce_use.
 */
CMA_MUST_CHECK int cma_bounce_init(struct cma_bounce *bounce, struct cma_dma *dma,
                                   const struct cma_bounce_config *config, void *storage,
                                   uint64_t nbytes, struct cma_refusal *refusal);
/* The pool of all devices that have none of their own; NULL: none. One thread, before devices map.
 * A device that does not see all of a pool, in one piece, under its mask, has none. */
void cma_bounce_use(struct cma_dma *dma, struct cma_bounce *bounce);
/* Gives the memory back. 0, or CMA_EBUSY (mappings are live). One thread. */
CMA_MUST_CHECK int cma_bounce_destroy(struct cma_bounce *bounce);
void cma_bounce_stats(struct cma_bounce *bounce, struct cma_bounce_stats *stats);
/* Lists live mappings: the first at or after slot *slot; sets *slot to go on. 0 or CMA_ENOENT. */
struct cma_bounce_mapping {
    cma_paddr_t paddr;        /* of the buffer */
    cma_paddr_t bounce_paddr; /* of its copy */
    uint64_t nbytes;
    enum cma_direction direction;
    uint32_t owner; /* of the device */
};
CMA_MUST_CHECK int cma_bounce_next(struct cma_bounce *bounce, uint32_t *slot,
                                   struct cma_bounce_mapping *mapping);
/* Does all of it hold together (no call under way)? */
bool cma_bounce_check(struct cma_bounce *bounce);

#ifdef __cplusplus
}
#endif
#endif
