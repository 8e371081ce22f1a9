/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dma.h - a device's view of memory, and coherent memory for it (src/dma)
 *
 * A device reaches memory through buses. Each bus may shift addresses and show only a part of
 * memory (dma-ranges), and the device itself has so many address lines (its mask). A `struct
 * cma_device` holds the sum: windows from paddr to daddr, and a highest daddr. Whether a buffer can
 * be reached is judged on its last byte.
 *
 * Coherent memory is seen the same by CPU and device without any sync. Where the device does not
 * snoop the CPU's caches, the memory is taken through a checked sequence:
 *     zeroed (cached) -> cleaned and invalidated -> attributes changed in place, or mapped uncached
 *     -> TLB flushed -> invalidated once more (what was prefetched meanwhile) -> the device's
 * and back again at free, so that no second mapping with other attributes ever exists.
 *
 * Where a coherent allocation comes from, in this order:
 *     - memory of the device's own (exclusive.h), which ends the search unless it says otherwise;
 *     - of a device with CMA_DEVICE_RESTRICTED: its bounce pool, and nothing else;
 *     - for a caller that may not sleep: the pool for such (nosleep.h), and nothing else;
 *     - what the device was promised (cma_device_admit), the smallest blocks that serve it first;
 *     - the device's area;
 *     - where it has none (or with CMA_DEVICE_TRY_DEFAULT, when its own refuses): the default area;
 *     - unless CMA_DEVICE_AREA_ONLY: the page allocator, within reach.
 * Each source is asked only for what the device can reach, so nothing is taken and given back; what
 * code of others gives (a host's page allocator, a back-end) is looked at all the same.
 * A device with an area of its own falls to the last like the others; Linux does so too.
 * Alignment and boundary are those of the device's address. Where a bus shifts addresses by an
 * offset that is no multiple of them, areas search with the offset (cma_area_request.bus_offset),
 * and the page allocator is not asked, for it knows physical addresses only. Where the offset is
 * not even a multiple of the page size, there is no coherent memory (CMA_ERANGE), only streaming.
 */
#ifndef CMA_DMA_H
#define CMA_DMA_H

#include <cma/guarantee.h>
#include <cma/pages.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CMA_DEVICE_COHERENT (1u << 0)    /* snoops the CPU's caches: no maintenance is needed */
#define CMA_DEVICE_AREA_ONLY (1u << 1)   /* never memory from outside its areas */
#define CMA_DEVICE_TRY_DEFAULT (1u << 2) /* when its own area refuses: the default area too */
#define CMA_DEVICE_BOUNCE_ALWAYS                                                              \
    (1u << 3)                          /* all its streaming mappings go through bounce memory \
                                        */
#define CMA_DEVICE_UNTRUSTED (1u << 4) /* that too, and nobody else is in its granules */
#define CMA_DEVICE_RESTRICTED                                            \
    (1u << 5) /* and it is given no other memory: streaming and coherent \
               * memory are its bounce pool's, or refused */

/* Who writes. The numbers are Linux's. */
enum cma_direction {
    CMA_BIDIRECTIONAL = 0,
    CMA_TO_DEVICE = 1,  /* the CPU writes, the device reads */
    CMA_FROM_DEVICE = 2 /* the device writes, the CPU reads */
};

struct cma_bounce;    /* bounce.h */
struct cma_exclusive; /* exclusive.h */
struct cma_mapping;   /* handover.h */
struct cma_window;    /* handover.h */
struct cma_nosleep;   /* nosleep.h */
struct cma_misuse;    /* misuse.h */
struct cma_device;
struct cma_backend_ops; /* private: src/dma/device.h */

/* The DMA layer of one machine. */
struct cma_dma {
    /* private */
    struct cma_frames *frames;
    const struct cma_port *port;
    const struct cma_pages_ops *ops; /* may be NULL: areas only */
    struct cma_area *default_area;   /* may be NULL */
    struct cma_bounce *bounce;       /* of devices without one of their own; may be NULL */
    struct cma_exclusive *exclusive; /* of devices without one of their own; may be NULL */
    struct cma_exclusive *regions;   /* all exclusive memory of the machine */
    struct cma_nosleep *nosleep;     /* may be NULL */
    struct cma_window *window;       /* may be NULL */
    struct cma_misuse *misuse;       /* may be NULL */
    struct cma_mapping *mappings;    /* told of by others */
    struct cma_lock lock;            /* of `mappings` and `regions` */
    bool (*must_bounce)(void *ctx, const struct cma_device *device, cma_paddr_t paddr,
                        uint64_t nbytes);
    void *must_bounce_ctx;
};

/* Starts the layer; `default_area` and `ops` may be NULL. Returns 0 or CMA_EINVAL (an argument is
 * NULL that may not be). One thread, at boot. */
CMA_MUST_CHECK int cma_dma_init(struct cma_dma *dma, struct cma_frames *frames,
                                const struct cma_pages_ops *ops, struct cma_area *default_area);

/* The platform's word on what a device can't take although its windows and mask say so (a bridge
 * that fails above some line, a device that must not burst across it): true, and the mapping is
 * bounced. Any context. NULL: no such device. One thread, at boot. */
void cma_dma_set_must_bounce(struct cma_dma *dma,
                             bool (*must_bounce)(void *ctx, const struct cma_device *device,
                                                 cma_paddr_t paddr, uint64_t nbytes),
                             void *ctx);

struct cma_device_config {
    const char *name;          /* lives as long as the device */
    uint32_t owner;            /* tag of its memory: unique in the machine, not 0 */
    cma_daddr_t mask;          /* the highest daddr it can put out, any value; for streaming */
    cma_daddr_t coherent_mask; /* the same for coherent memory; 0: no coherent memory at all */
    const struct cma_bus_window *windows; /* NULL: daddr = paddr everywhere; lives as long */
    uint32_t nwindows;
    struct cma_area *area; /* its own; NULL: none */
    uint32_t flags;        /* CMA_DEVICE_* */
    /* Pages of areas in its hands at most, blocks of its guarantees not counted, so that it can't
     * drain an area that others share; 0: no limit. */
    uint32_t quota_npages;
    uint64_t segment_nbytes_max;      /* of one segment of a list; 0: no limit (Linux: 64 KiB) */
    uint64_t segment_boundary_nbytes; /* that no segment crosses; power of two; 0: none */
    uint64_t min_align_nbytes; /* power of two; the device needs the bits of a buffer's address
                                * below it to be kept when it is bounced; 0: none */
    struct cma_bounce *bounce; /* its own bounce pool, which it never leaves; NULL: that of all */
};

struct cma_device {
    /* private */
    struct cma_dma *dma;
    struct cma_device_config config;
    uint32_t live_npages;                /* atomic: coherent memory in its hands */
    uint32_t area_npages;                /* atomic: of these, from areas, guarantees left out */
    struct cma_device_promise *promises; /* smallest blocks first */
    struct cma_exclusive *exclusive;     /* as declared */
};

/*
 * Makes a device. Returns 0, CMA_EINVAL (owner 0, an empty or wrapping window, windows that overlap
 * in paddr or daddr, an unknown flag, a segment boundary or min_align_nbytes that is no power of
 * two, RESTRICTED without a bounce pool of its own), CMA_ERANGE (it reaches no address at all,
 * under neither mask). One thread at a time a device.
 */
CMA_MUST_CHECK int cma_device_init(struct cma_device *device, struct cma_dma *dma,
                                   const struct cma_device_config *config);

/*
 * What a device behind another one inherits (a bus, a bridge): the windows of `config`, which lead
 * to the parent's bus, are led on through the parent's to memory; both masks are cut to what the
 * parent carries; segment limits are the stricter ones, min_align_nbytes the larger; it is coherent
 * only if both are; it is bounced, not trusted or restricted if one of them is, and uses the
 * parent's bounce pool where it has none of its own.
 *
 * `windows` is the caller's storage for the result (nwindows_max; neither the old windows of
 * `config` nor the parent's), and `config` points to it then. Returns 0, CMA_EINVAL (windows that
 * are malformed), CMA_ENOSPC (more windows than that), CMA_ERANGE (nothing can be reached); nothing
 * is changed then. Sleeps: no.
 */
CMA_MUST_CHECK int cma_device_inherit(struct cma_device_config *config,
                                      const struct cma_device *parent,
                                      struct cma_bus_window *windows, uint32_t nwindows_max);

/*
 * Translates [paddr, paddr + nbytes) for the device: 0 and *daddr, or CMA_ERANGE (some byte lies in
 * no window, in two windows that do not continue each other, or above `mask`), CMA_EINVAL (nbytes
 * 0), CMA_EOVERFLOW (paddr + nbytes passes 2^64). And the reverse, whatever the masks. Sleeps: no.
 */
CMA_MUST_CHECK int cma_device_to_bus(const struct cma_device *device, cma_paddr_t paddr,
                                     uint64_t nbytes, cma_daddr_t mask, cma_daddr_t *daddr);
CMA_MUST_CHECK int cma_device_from_bus(const struct cma_device *device, cma_daddr_t daddr,
                                       uint64_t nbytes, cma_paddr_t *paddr);

/*
 * The parts of physical memory that the device reaches under `mask`, by index in address order:
 * 0 with *first and *last (inclusive), or CMA_ENOENT past the end. Windows that continue each other
 * on both sides are one part, so a buffer inside a part is in one piece for the device. Sleeps: no.
 */
CMA_MUST_CHECK int cma_device_reach(const struct cma_device *device, cma_daddr_t mask,
                                    uint32_t index, cma_paddr_t *first, cma_paddr_t *last);

/*
 * Coherent memory that a device is promised (guarantee.h): `count` buffers of up to nbytes, always
 * there. Alignment and boundary are those of the device's address.
 */
struct cma_promise_request {
    uint64_t nbytes; /* of one buffer, 1 up */
    uint32_t count;
    uint32_t max_moves;    /* pages that may be copied for one buffer; 0: none */
    uint64_t align_nbytes; /* as in struct cma_coherent_request */
    uint64_t boundary_nbytes;
    struct cma_guarantee_group *group; /* devices that are never open together; NULL: none */
};
struct cma_promise_ops; /* private: src/dma/device.h */
struct cma_device_promise {
    /* private */
    struct cma_device_promise *next;
    const struct cma_promise_ops *ops;
    struct cma_guarantee guarantee;
    uint32_t reserved; /* of the consistent window (handover.h): its idle runs */
};
/*
 * Admits it, on the device's area or else the default area, for addresses under its coherent mask
 * in one of the parts that it reaches. From then on cma_dma_alloc_coherent serves requests of the
 * device that such a block fits (no longer, no more aligned, a boundary that it does not cross),
 * and can't fail for them while fewer than `count` are out. What could fail is tried out here: each
 * block becomes the device's once, and ordinary memory again. Such a request takes a whole block,
 * whatever its length, and costs as much as guarantee.h says of the block, with one TLB flush more
 * where the device does not snoop.
 *
 * `promise` is the caller's and lives until it is revoked. Returns 0 or as cma_guarantee_admit, or
 *   CMA_EINVAL       coherent_mask 0, too
 *   CMA_EOVERFLOW    nbytes near 2^64
 *   CMA_ENOENT       there is no area
 *   CMA_EBUSY        another member of the group is open: its blocks can't be tried out
 *                    (CMA_REASON_GROUP)
 *   CMA_ENOMEM       memory without CPU address is mapped in the consistent window (handover.h),
 *                    whose addresses are reserved here: it has too few (CMA_REASON_WINDOW)
 *   CMA_EEXIST       somebody told of a mapping of it (CMA_REASON_ALIAS)
 *   CMA_EOPNOTSUPP   the memory has no CPU address, and there is no window, or its attributes can't
 *                    be changed in place, and the device does not snoop (CMA_REASON_MAPPING)
 * Where several parts were refused, *why tells of the last one that a block fits into, and the most
 * that one of them would have admitted. One thread at a time a device, and no allocation of it
 * meanwhile. May sleep.
 */
CMA_MUST_CHECK int cma_device_admit(struct cma_device *device, struct cma_guarantees *guarantees,
                                    struct cma_device_promise *promise,
                                    const struct cma_promise_request *request,
                                    struct cma_admission *why);
/* Ends it. Returns 0, or CMA_EBUSY (buffers of it are out), CMA_EBADF (not the device's) or
 * CMA_EAGAIN (an admission is in progress and the port can't wait); nothing has changed then. The
 * same context. */
CMA_MUST_CHECK int cma_device_revoke(struct cma_device *device, struct cma_device_promise *promise);

/* Where coherent memory came from. */
enum cma_source {
    CMA_SOURCE_NONE = 0,
    CMA_SOURCE_AREA, /* the device's own */
    CMA_SOURCE_DEFAULT_AREA,
    CMA_SOURCE_PAGES,
    CMA_SOURCE_GUARANTEE,
    CMA_SOURCE_EXCLUSIVE, /* a region of the device's own, or the machine's default one */
    CMA_SOURCE_NOSLEEP,   /* the pool for callers that may not sleep */
    CMA_SOURCE_BOUNCE     /* a restricted device's bounce pool */
};

struct cma_coherent_request {
    uint64_t nbytes;          /* 1 up; whole pages are taken */
    uint64_t align_nbytes;    /* power of two, of daddr; 0: a page. Only as large as asked */
    uint64_t boundary_nbytes; /* of daddr; power of two; 0: none */
    uint32_t flags;           /* CMA_CLAIM_NOWAIT, CMA_CLAIM_LONG, CMA_CLAIM_SHORT (area.h), or: */
    /* Of what the device was promised, this only; NULL: any. */
    const struct cma_device_promise *promise;
};
/* Not from what was promised: for buffers that were not counted when that was admitted. (Beside
 * CMA_CLAIM_*, which say nothing to promised blocks: these are there at once, but for movers that
 * are just letting go of a page.) */
#define CMA_COHERENT_UNPROMISED (1u << 16)
/* The CPU will not look at it: vaddr is NULL, and the linear mapping is taken away, if there is one
 * and the device doesn't snoop. */
#define CMA_COHERENT_NO_MAPPING (1u << 17)
/* Writes of the CPU may be merged; for frame buffers. Where the device snoops it says nothing. */
#define CMA_COHERENT_WRITE_COMBINE (1u << 18)
/* The caller may not sleep, nor wait for other processors (interrupt handlers). */
#define CMA_COHERENT_NOSLEEP (1u << 19)
/* Not zeroed: who overwrites all of it at once, and is no less trusted than who had it before. */
#define CMA_COHERENT_NO_ZERO (1u << 20)

/* A coherent buffer. The caller keeps it until it is freed. */
struct cma_coherent {
    void *vaddr;       /* for the CPU; page aligned */
    cma_daddr_t daddr; /* for the device */
    cma_paddr_t paddr;
    uint64_t nbytes; /* as asked; the rest of the last page is zero too */
    enum cma_source source;
    uint32_t mapped; /* private: by whom vaddr was mapped */
    uint32_t flags;  /* private: what decides about its mapping */
};

/*
 * Coherent memory for a device, zeroed to the end of its last page. Returns 0 and fills *buffer, or
 * CMA_EINVAL (malformed: a boundary shorter than the buffer; coherent_mask 0), CMA_EOVERFLOW
 * (nbytes near 2^64), CMA_ERANGE (no memory of any source is in reach), CMA_ENOMEM, CMA_ENOSPC,
 * CMA_EBUSY, CMA_EAGAIN (as cma_area_alloc; CMA_ENOMEM with CMA_REASON_QUOTA: the device has as
 * much of the areas as it may; with CMA_REASON_WINDOW: the consistent window is full; with
 * CMA_REASON_NOSLEEP, _BOUNCE, _EXCLUSIVE: what alone may be asked has none), CMA_EEXIST (the
 * memory is mapped otherwise by somebody who told of it: CMA_REASON_ALIAS with the frame),
 * CMA_EOPNOTSUPP (the port can't map this memory, or can't change its attributes for a device that
 * does not snoop, and then with CMA_REASON_ALIAS the first frame whose mapping stayed cached), or
 * what port->map returned. The refusal is that of the last source that was in reach; but where a
 * promised block is there and the port can't wait for a mover, the answer is CMA_EAGAIN at once.
 * *buffer is untouched then. May sleep.
 */
CMA_MUST_CHECK int cma_dma_alloc_coherent(struct cma_device *device,
                                          const struct cma_coherent_request *request,
                                          struct cma_coherent *buffer, struct cma_refusal *refusal);

/*
 * Gives it back: `buffer` as it was filled, by the device that got it. Returns 0, CMA_EPERM
 * (another device's), CMA_EINVAL (other size, or larger than the promised block; another source; or
 * daddr, paddr and vaddr do not belong together),
 * CMA_EBADF (nothing is allocated there: double free, or an address inside a buffer); a call that
 * fails changes nothing. Memory that the frame table does not track (a host's own) is judged by the
 * host. The device is quiet by then: it will not touch the buffer any more. May sleep.
 */
CMA_MUST_CHECK int cma_dma_free_coherent(struct cma_device *device,
                                         const struct cma_coherent *buffer);

/*
 * What the mapping of a part of a buffer into a client (a process) must look like: which memory,
 * from *paddr on, with which attributes, so that no second mapping differs from the first. Offset
 * and length are whole pages inside the buffer's. The tables are the system's own business. Returns
 * 0, CMA_EINVAL (not whole pages, nbytes 0, or the port shows other memory at the buffer's vaddr),
 * CMA_ERANGE (passes the buffer's end), CMA_EOPNOTSUPP (the device does not snoop and the port
 * can't look a mapping up). For cma_contiguous, its `buffer`. Sleeps: no.
 */
CMA_MUST_CHECK int cma_dma_view(const struct cma_device *device, const struct cma_coherent *buffer,
                                uint64_t offset_nbytes, uint64_t nbytes, cma_paddr_t *paddr,
                                enum cma_attr *attr);

/*
 * Memory that is contiguous and NOT coherent: cached, in one piece for the device, zeroed, and
 * synced by hand (stream.h: cma_dma_sync_for_cpu and _for_device, by its daddr). It is the device's
 * when it comes, as if just mapped. For pictures that the CPU works on: uncached memory is five
 * times slower to read. The same sources but for exclusive memory and the pool of those who may not
 * sleep; flags NO_MAPPING and WRITE_COMBINE are refused, NOSLEEP too. Errors as above; free as
 * above, and the device is done with it. May sleep.
 */
struct cma_contiguous {
    struct cma_coherent buffer;
    enum cma_direction direction;
};
CMA_MUST_CHECK int cma_dma_alloc_contiguous(struct cma_device *device,
                                            const struct cma_coherent_request *request,
                                            enum cma_direction direction,
                                            struct cma_contiguous *contiguous,
                                            struct cma_refusal *refusal);
CMA_MUST_CHECK int cma_dma_free_contiguous(struct cma_device *device,
                                           const struct cma_contiguous *contiguous);

#ifdef __cplusplus
}
#endif
#endif
