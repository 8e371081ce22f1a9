/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exclusive.h - memory that is one device's own (src/dma)
 *
 * dma_declare_coherent_memory in every form that was ever proposed for it (docs/2011.md). They
 * differ in who has the memory and who maps it:
 *
 *   form          memory                          mapping
 *   DEVICE        behind a bus address, no RAM    the port maps it, with the attribute asked for
 *   MAPPED        the caller's, mapped already    the caller gives the CPU address; nothing is
 *                                                 mapped; the port's lookup checks what he says
 *   RESERVED      taken from an area or from      through the handover: re-attributed in place
 *                 pages when it is declared
 *   STOLEN        a reserved range of the map     through the handover: unmapped or re-attributed
 *                 that no allocator has           (it has no linear mapping: the port maps it)
 *
 * What a device has of its own is asked first, in the order in which it was declared. A region is
 * either all that the device may use (the default: when it is full, that is a refusal), or, with
 * FALL_BACK, asked before the other sources. Lengths are exact to the page: Linux rounds up to
 * powers of two. A region that some device can't reach to its last byte is refused to it.
 */
#ifndef CMA_EXCLUSIVE_H
#define CMA_EXCLUSIVE_H

#include <cma/handover.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cma_exclusive_form {
    CMA_EXCLUSIVE_DEVICE = 1,
    CMA_EXCLUSIVE_MAPPED,
    CMA_EXCLUSIVE_RESERVED,
    CMA_EXCLUSIVE_STOLEN
};

#define CMA__EXCLUSIVE_IDLE 16

#define CMA_EXCLUSIVE_FALL_BACK (1u << 0) /* when it is full, other sources are asked */
#define CMA_EXCLUSIVE_NO_ZERO (1u << 1)   /* contents are kept (logs); never for RESERVED */

struct cma_exclusive_config {
    const char *name; /* lives as long as the region */
    enum cma_exclusive_form form;
    uint64_t nbytes;    /* a multiple of the page size */
    cma_paddr_t paddr;  /* DEVICE, MAPPED, STOLEN; page aligned */
    void *vaddr;        /* MAPPED: where the CPU has it */
    enum cma_attr attr; /* DEVICE, MAPPED, RESERVED, STOLEN: how the CPU has or shall have it; NONE:
                         * UNCACHED, or for a device that snoops CACHED */
    uint64_t align_nbytes; /* RESERVED: of the device's address */
    uint32_t flags;        /* CMA_EXCLUSIVE_* */
};

struct cma_exclusive {
    /* private */
    const struct cma_backend_ops *ops;
    struct cma_exclusive *next;        /* of the device */
    struct cma_exclusive *next_region; /* of the machine */
    struct cma_device *device;         /* NULL: all devices' (cma_exclusive_declare_default) */
    struct cma_dma *dma;
    struct cma_exclusive_config config;
    cma_paddr_t paddr;
    uint8_t *vaddr;
    void *linear; /* STOLEN: to be given back */
    uint32_t npages;
    uint32_t used_npages, most_used_npages;
    struct cma_coherent reserved;       /* RESERVED: what was taken */
    bool mapped;                        /* by port->map */
    struct cma_mapping mapping;         /* what others are told of */
    uint32_t *map;                      /* base/runmap.h */
    uint32_t *owners;                   /* by page, where a buffer begins: its device's tag */
    uint32_t idle[CMA__EXCLUSIVE_IDLE]; /* single pages that came back last: nobody's */
    uint32_t nidle;
    struct cma_lock lock;
};

struct cma_exclusive_stats {
    uint64_t nbytes, used_nbytes, most_used_nbytes, free_run_nbytes;
};

/* Bytes of storage, aligned to 4, for a region of so many pages, about 5 a page; 0: none, or too
 * many (2^31). */
uint64_t cma_exclusive_size(uint64_t npages);

/*
 * Declares it as the device's, behind those that it has. Returns 0 or, with nothing changed,
 *   CMA_EINVAL      malformed; MAPPED without vaddr, or others with one; declared already; an
 *                   attribute that is not for this device (CACHED for one that doesn't snoop) or
 *                   not for RAM (DEVICE; where the device snoops, RAM is CACHED whatever is said)
 *   CMA_EOVERFLOW   paddr + nbytes passes 2^64
 *   CMA_ENOMEM      storage is less than cma_exclusive_size; or as cma_dma_alloc_coherent
 *   CMA_ERANGE      the device doesn't reach all of it under its coherent mask (Linux only warns,
 *                   and memory gets overwritten)
 *   CMA_EEXIST      *conflict says with what: it is mapped with other attributes; a page of it is
 *                   in another region; DEVICE, STOLEN: the frame table has frames of it, so others
 *                   may be given them; MAPPED: it has, and they are free or can move
 *   CMA_EBADF       MAPPED: the port's lookup shows other memory at vaddr, or nothing
 *   CMA_EOPNOTSUPP  the port can't map or re-attribute it
 * and for RESERVED as cma_dma_alloc_coherent, with *refusal. One thread at a time a device, and no
 * allocation of it meanwhile. May sleep.
 */
CMA_MUST_CHECK int cma_exclusive_declare(struct cma_exclusive *region, struct cma_device *device,
                                         const struct cma_exclusive_config *config, void *storage,
                                         uint64_t nbytes, struct cma_conflict *conflict,
                                         struct cma_refusal *refusal);

/* The same for all devices that have no region of their own and reach it (linux,dma-default): asked
 * for each of them with FALL_BACK or not as the config says. DEVICE, MAPPED and STOLEN only.
 * `snoops`: all devices of the machine do. CMA_EEXIST: there is one already. */
CMA_MUST_CHECK int cma_exclusive_declare_default(struct cma_exclusive *region, struct cma_dma *dma,
                                                 const struct cma_exclusive_config *config,
                                                 bool snoops, void *storage, uint64_t nbytes,
                                                 struct cma_conflict *conflict);

/* Ends it: RESERVED memory goes back to where it came from, others are unmapped or left as they
 * were found. 0, CMA_EBUSY (buffers of it are out), CMA_ENOENT (not declared). May sleep. */
CMA_MUST_CHECK int cma_exclusive_release(struct cma_exclusive *region);

void cma_exclusive_stats(struct cma_exclusive *region, struct cma_exclusive_stats *stats);
/* Lists buffers: the first at or after page *page of the region; sets *page to go on. 0 or
 * CMA_ENOENT. */
CMA_MUST_CHECK int cma_exclusive_next(struct cma_exclusive *region, uint32_t *page,
                                      cma_paddr_t *paddr, uint64_t *nbytes);

#ifdef __cplusplus
}
#endif
#endif
