/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * device.h - what src/dma knows of a device besides dma.h
 */
#ifndef CMA_DMA_DEVICE_H
#define CMA_DMA_DEVICE_H

#include <cma/handover.h>

#include "../base/refuse.h"

/* A stretch of physical memory that a device sees in one piece. */
struct cma_device_part {
    cma_paddr_t first, last; /* inclusive */
    uint64_t bus_offset;     /* daddr = paddr + bus_offset, modulo 2^64 */
};

/* As cma_device_reach, with the offset. */
int cma__device_part(const struct cma_device *device, cma_daddr_t mask, uint32_t index,
                     struct cma_device_part *part);

/* All streaming mappings of such a device are bounced. */
#define CMA__DEVICE_BOUNCES \
    (CMA_DEVICE_BOUNCE_ALWAYS | CMA_DEVICE_UNTRUSTED | CMA_DEVICE_RESTRICTED)

/* The longest stretch of memory from daddr on, up to `last`, that is in one piece for the CPU too:
 * 0, *paddr and *nbytes, or CMA_ERANGE. Whatever the masks; daddr <= last, and not all of 2^64. */
int cma__device_stretch(const struct cma_device *device, cma_daddr_t daddr, cma_daddr_t last,
                        cma_paddr_t *paddr, uint64_t *nbytes);

/* Does it see the CPU's caches? A port without cache maintenance has no caches, or devices that all
 * snoop. */
static inline bool cma__device_snoops(const struct cma_device *device)
{
    return (device->config.flags & CMA_DEVICE_COHERENT) != 0 || device->dma->port->clean == NULL;
}

/* The bounce pool that serves it; NULL: none. A device with a pool of its own never leaves it. */
static inline struct cma_bounce *cma__device_bounce(const struct cma_device *device)
{
    return device->config.bounce != NULL ? device->config.bounce : device->dma->bounce;
}

/* Whole pages that hold nbytes, which is 1 up. */
static inline uint64_t device_npages(const struct cma_device *device, uint64_t nbytes)
{
    return ((nbytes - 1) >> device->dma->port->page_shift) + 1;
}

/* --- coherent.c ------------------------------------------------------------------------ */

/* How the layer itself asks, in the flags of a plan. Not from exclusive memory, for that is just
 * being made of it. */
#define CMA__COHERENT_ORDINARY (1u << 31)
/* And: it stays cached, cleaned for the device once (contiguous.c). */
#define CMA__COHERENT_CACHED (1u << 30)

/* A request in whole pages. */
struct cma_coherent_plan {
    uint64_t npages, align_nbytes, boundary_nbytes;
    uint32_t flags;
    const struct cma_device_promise *promise; /* that one only; NULL: any */
    bool explained; /* somebody will read the refusal, which takes an area a while to write */
};

/* Returns 0, or CMA_EINVAL or CMA_EOVERFLOW as cma_dma_alloc_coherent. */
int cma__coherent_plan(const struct cma_device *device, const struct cma_coherent_request *request,
                       struct cma_coherent_plan *plan);

/* Part `index` of what the device reaches with coherent memory, as far as it can hold whole pages.
 * Returns 0, CMA_ENOENT (there are no more), or CMA_ERANGE (not this one). */
int cma__coherent_part(const struct cma_device *device, uint32_t index,
                       struct cma_device_part *part);

/* A finished buffer of buffer->nbytes from an area, the page allocator or a promise: taken, and
 * made the device's. And back, if it is one. As cma_dma_alloc_coherent and _free_coherent, which
 * ask back-ends first. */
int cma__coherent_make(struct cma_device *device, const struct cma_coherent_plan *plan,
                       struct cma_coherent *buffer, struct cma_refusal *refusal);
int cma__coherent_unmake(struct cma_device *device, const struct cma_coherent *buffer);

/* As cma_dma_alloc_coherent, with CMA__COHERENT_* besides, which callers of that can't ask for; and
 * free as cma_dma_free_coherent does it. */
int cma__coherent_request(struct cma_device *device, const struct cma_coherent_request *request,
                          uint32_t how, struct cma_coherent *buffer, struct cma_refusal *refusal);
int cma__coherent_free(struct cma_device *device, const struct cma_coherent *buffer);

/* Keeps the refusal of whoever could have served the request. */
void cma__coherent_refused(int *code, struct cma_refusal *kept, int error,
                           const struct cma_refusal *refusal);

/* --- back-ends that are asked by pointer ---------------------------------------------------
 * Exclusive memory, the pool for callers that may not sleep, restricted bounce pools. Behind
 * pointers, so that machines without them do not carry the code. */

struct cma_backend_ops {
    /* A finished buffer, mapped and zeroed: 0 and *buffer; CMA_ENOENT (it has nothing for this
     * device: ask others), else a refusal that ends the search, with *refusal. Sleeps: no, but for
     * that of restricted devices, where plan->flags doesn't forbid it. */
    int (*alloc)(struct cma_device *device, const struct cma_coherent_plan *plan,
                 struct cma_coherent *buffer, struct cma_refusal *refusal);
    /* Judges the buffer and gives it back. Returns as cma_dma_free_coherent. Sleeps as alloc. */
    int (*free)(struct cma_device *device, const struct cma_coherent *buffer);
};

/* What stream.c asks of a bounce pool. All addresses are physical; `bounced` is that of the copy.
 */
struct cma_bounce_ops {
    /* 0 and *bounced, or a refusal as cma_dma_map. Copies in whatever the direction, unless
     * CMA_MAP_SKIP_SYNC: then FROM_DEVICE only, for no sync would do it later. Cache maintenance is
     * the caller's. */
    int (*map)(struct cma_bounce *bounce, const struct cma_device *device, cma_paddr_t paddr,
               uint64_t nbytes, enum cma_direction direction, uint32_t flags, cma_paddr_t *bounced,
               struct cma_refusal *refusal);
    /* Is that memory of the pool? */
    bool (*holds)(const struct cma_bounce *bounce, cma_paddr_t bounced);
    /* Is there a mapping of this device that [bounced, nbytes) is all of (`whole`) or a part of?
     * Returns 0 or as cma_dma_unmap. After `whole` and 0 it is ending: nobody else finds it any
     * more, and the caller ends it by unmap. */
    int (*judge)(struct cma_bounce *bounce, const struct cma_device *device, cma_paddr_t bounced,
                 uint64_t nbytes, enum cma_direction direction, bool whole);
    /* Copies a part of a mapping that was judged: out to the buffer (to_cpu), or in. */
    void (*copy)(struct cma_bounce *bounce, cma_paddr_t bounced, uint64_t nbytes, bool to_cpu);
    /* Ends a mapping that was judged, or was just made: zeroes its slots. */
    void (*unmap)(struct cma_bounce *bounce, cma_paddr_t bounced);
    uint64_t (*nbytes_max)(const struct cma_bounce *bounce, const struct cma_device *device);
    const struct cma_backend_ops *coherent; /* of restricted devices */
};

/* --- bounce.c -------------------------------------------------------------------------- */

/* Whole pages of a pool for coherent memory of a restricted device. They are zero, for the CPU and
 * behind its caches. Alignment (0: a page) and boundary (0: none) are those of the device's address
 * under its coherent mask. Returns 0 and *paddr, or CMA_ENOMEM, CMA_ERANGE with CMA_REASON_BOUNCE
 * (out of reach) or CMA_REASON_TOO_LARGE. Sleeps: no. */
int cma__bounce_take_pages(struct cma_bounce *bounce, const struct cma_device *device,
                           uint64_t npages, uint64_t align_nbytes, uint64_t boundary_nbytes,
                           cma_paddr_t *paddr, struct cma_refusal *refusal);
/* Does this device have such a run? 0, CMA_EBADF (nothing coherent begins there), CMA_EPERM
 * (another device's), CMA_EINVAL (other length). `ends`: and of all who ask so, one hears 0, who
 * gives it back by put_pages. */
int cma__bounce_judge_pages(struct cma_bounce *bounce, const struct cma_device *device,
                            cma_paddr_t paddr, uint64_t npages, bool ends);
/* Zeroes a run that was judged, as cached memory, and gives it back. */
void cma__bounce_put_pages(struct cma_bounce *bounce, cma_paddr_t paddr);

/* --- restricted.c ---------------------------------------------------------------------- */

/* Coherent memory of restricted devices, of such pages. Allocating and freeing may sleep where the
 * device doesn't snoop. */
extern const struct cma_backend_ops cma__restricted_ops;

/* --- stream.c -------------------------------------------------------------------------- */

struct cma_stream_request {
    cma_paddr_t paddr;
    uint64_t nbytes;
    enum cma_direction direction;
    uint32_t flags;
};

bool cma__stream_is_formed(enum cma_direction direction, uint32_t flags);
/* Can it be mapped: as it is (*daddr), or bounced? Touches nothing. Returns 0 or as cma_dma_map. */
int cma__stream_judge(const struct cma_device *device, const struct cma_stream_request *request,
                      bool *bounced, cma_daddr_t *daddr, struct cma_refusal *refusal);
/* Takes bounce memory for what was judged so. Cleans nothing. */
int cma__stream_bounce(const struct cma_device *device, const struct cma_stream_request *request,
                       cma_daddr_t *daddr, struct cma_refusal *refusal);
/* Writes back what the device is about to see at [daddr, daddr + nbytes), which is mapped. */
void cma__stream_clean(const struct cma_device *device, cma_daddr_t daddr, uint64_t nbytes);

/* --- handover.c ------------------------------------------------------------------------ */

/* Makes a run, that nobody has data in, the device's: zeroed, and mapped as `flags` (those of the
 * request) say; where a mapping is missing, in the window or by port->map. Fills vaddr, mapped and
 * flags of *buffer, which has paddr and source. `reserved`: the block was promised, so nothing can
 * fail, and the addresses are from that share of the window; else NULL. Returns 0 or, with
 * *refusal, CMA_EOPNOTSUPP, CMA_EEXIST, CMA_ENOMEM, or what port->map says. May sleep. */
int cma__handover_prepare(const struct cma_device *device, struct cma_coherent *buffer,
                          uint64_t nbytes, uint32_t flags, uint32_t *reserved,
                          struct cma_refusal *refusal);
/* Is it mapped as *buffer says? */
bool cma__handover_judge(const struct cma_device *device, const struct cma_coherent *buffer,
                         uint64_t nbytes);
/* Ordinary memory again. */
void cma__handover_unprepare(const struct cma_device *device, const struct cma_coherent *buffer,
                             uint64_t nbytes, uint32_t *reserved);
/* Can this run, which nobody has data in, become the device's by means that can't fail? It is tried
 * out, and looked at page by page. `reserved`: addresses of the window are set aside. Returns 0 or,
 * with *refusal, CMA_EOPNOTSUPP or CMA_EEXIST. */
int cma__handover_try(const struct cma_device *device, cma_pfn_t pfn, uint64_t npages,
                      bool reserved, struct cma_refusal *refusal);

/* What handover.c and promise.c ask of the consistent window. */
struct cma_window_ops {
    /* So many pages of addresses, NULL: there are none. `reserved`: of this share, which has some.
     */
    void *(*take)(struct cma_window *window, uint64_t npages, uint32_t *reserved);
    /* Given back; unmapped and flushed before. */
    void (*put)(struct cma_window *window, void *vaddr, uint32_t *reserved);
    /* Do so many pages that were taken begin there? */
    bool (*holds)(struct cma_window *window, const void *vaddr, uint64_t npages);
    /* Sets a share of `count` runs aside: 0 or CMA_ENOMEM. And gives it back. */
    int (*reserve)(struct cma_window *window, uint32_t count, uint64_t npages, uint32_t *reserved);
    void (*unreserve)(struct cma_window *window, uint32_t *reserved);
};

static inline const struct cma_window_ops *device_window_ops(const struct cma_window *window)
{
    return window->ops;
}

/* --- share.c --------------------------------------------------------------------------- */

struct cma_shared;
/* Holders and attached devices. While it is 1 and the caller is the holder, nobody else can come to
 * it but through him. */
uint32_t cma__shared_count(const struct cma_shared *shared);

/* --- promise.c ------------------------------------------------------------------------- */

/* Behind pointers, so that devices without promises do not carry the code. */
struct cma_promise_ops {
    /* A block that serves: 0, *guarantee and *pfn; CMA_EAGAIN (there is one, but it can't be waited
     * for); else a refusal, for others to be asked. May sleep. */
    int (*take)(struct cma_device *device, const struct cma_coherent_plan *plan,
                struct cma_guarantee **guarantee, cma_pfn_t *pfn, struct cma_refusal *refusal);
    /* Whose block of a device's guarantees begins there; NULL: nobody's. Sleeps: no. */
    struct cma_guarantee *(*find)(struct cma_device *device, cma_pfn_t pfn);
    /* Gives it back. Returns 0 or CMA_EBADF. Sleeps: no. */
    int (*put)(struct cma_guarantee *guarantee, cma_pfn_t pfn);
};

#endif
