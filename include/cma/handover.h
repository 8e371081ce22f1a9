/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handover.h - memory that the CPU has mapped becomes one device's own, and ordinary again
 * (src/dma)
 *
 * The rule: no frame ever has two mappings with different attributes. What mappings there are,
 * three tell: libcma made them; it was told of them (cma_handover_tell); the port's lookup shows
 * them. The sequence for a device that doesn't snoop:
 *
 *     cached -> cleaned and invalidated -> unmapped, or re-attributed in place -> TLB flushed
 *            -> invalidated once more (what was read ahead meanwhile) -> the device's -> back
 *
 * All back-ends of coherent memory go through it. This header has what others need: telling of
 * mappings of one's own, asking, the sequence itself for memory that libcma does not allocate, and
 * the consistent window.
 */
#ifndef CMA_HANDOVER_H
#define CMA_HANDOVER_H

#include <cma/dma.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A mapping that somebody made. The caller's, until it is forgotten. */
struct cma_mapping {
    cma_paddr_t paddr;
    uint64_t nbytes; /* page multiples, both */
    const void *vaddr;
    enum cma_attr attr;
    const char *what; /* who made it, for messages ("peripherals, board.c:120"); lives as long */
    struct cma_mapping *next; /* private */
};

/* The place of a mapping that stands in the way. */
struct cma_conflict {
    cma_paddr_t paddr; /* the first page of it that is in the range */
    const void *vaddr;
    enum cma_attr attr;
    const char *what; /* "linear mapping" where the port's lookup showed it; never NULL */
};

/*
 * Tells of a mapping. Returns 0, CMA_EINVAL (not whole pages, attr NONE, what NULL), CMA_EOVERFLOW,
 * CMA_EEXIST (memory of it is mapped with another attribute, or is or may become a device's by
 * libcma: *conflict says where; NULL: not wanted), CMA_EBADF (the port's lookup shows something
 * else at vaddr). A step a page; nothing sleeps. Forget: 0 or CMA_ENOENT.
 */
CMA_MUST_CHECK int cma_handover_tell(struct cma_dma *dma, struct cma_mapping *mapping,
                                     struct cma_conflict *conflict);
int cma_handover_forget(struct cma_dma *dma, struct cma_mapping *mapping);

/*
 * May [paddr, paddr + nbytes) be mapped with `attr`? 0, or CMA_EEXIST with *conflict: a mapping
 * that was told of, or a linear mapping (that of the port), has other attributes. CMA_EINVAL,
 * CMA_EOVERFLOW. Sleeps: no.
 */
CMA_MUST_CHECK int cma_handover_look(struct cma_dma *dma, cma_paddr_t paddr, uint64_t nbytes,
                                     enum cma_attr attr, struct cma_conflict *conflict);

/*
 * Takes ordinary memory, mapped cached, for a device: after it the linear mapping has `attr`
 * (UNCACHED, WRITECOMBINE, or NONE: unmapped, for who maps it elsewhere), and no cache has a line
 * of it. The contents stay. *vaddr: its linear address (with NONE: nothing is there until it is
 * returned), NULL where it has none; then there is nothing to return.
 * Back: it is cached again; *vaddr as it was given. `snoops`: the device looks into caches, so
 * nothing changes but for NONE.
 *
 * Returns 0, CMA_EINVAL, CMA_EOVERFLOW, CMA_EEXIST with *conflict (told of otherwise, or not mapped
 * cached: somebody has taken it), CMA_EOPNOTSUPP with *conflict (the port can't change the linear
 * mapping of this page; or some pages have one and some don't). May sleep (tlb_flush). A call that
 * fails changes nothing. Back: 0, CMA_EINVAL, CMA_EOVERFLOW; may sleep.
 */
CMA_MUST_CHECK int cma_handover_take(struct cma_dma *dma, cma_paddr_t paddr, uint64_t nbytes,
                                     enum cma_attr attr, bool snoops, void **vaddr,
                                     struct cma_conflict *conflict);
CMA_MUST_CHECK int cma_handover_return(struct cma_dma *dma, cma_paddr_t paddr, uint64_t nbytes,
                                       void *vaddr);

struct cma_window_ops; /* private: src/dma/device.h */

/* --- the consistent window --------------------------------------------------------------- */

/*
 * A range of CPU addresses of the board's choice (CONSISTENT_DMA_SIZE), whose page tables are made
 * at boot, for memory that has no linear mapping: mapping in it can't fail but for want of
 * addresses, and that is a refusal of its own (CMA_REASON_WINDOW). Where memory has a linear
 * mapping whose attributes can't be changed, the window would be a second one, and is refused as
 * that. A guarantee whose blocks need the window reserves its share of addresses when it is
 * admitted.
 */
struct cma_window {
    /* private */
    const struct cma_window_ops *ops;
    const struct cma_port *port;
    uint8_t *vaddr;
    uint32_t npages;
    uint32_t reserved_npages, used_npages, most_used_npages;
    uint32_t *map;  /* base/runmap.h; reserved runs are taken */
    uint32_t *next; /* by page: the next idle run of the same share, + 1 */
    struct cma_lock lock;
};
struct cma_window_stats {
    uint64_t nbytes, used_nbytes, most_used_nbytes, reserved_nbytes, free_run_nbytes;
};
/* Bytes of storage (aligned to 4) for a window of so many bytes; 0: malformed. */
uint64_t cma_window_size(const struct cma_port *port, uint64_t window_nbytes);
/* Makes the window and gives it to `dma`, which has none yet. Returns 0, CMA_EINVAL, CMA_ENOMEM
 * (storage or the port's tables), CMA_EOPNOTSUPP (the port has no hooks), CMA_EEXIST. At boot. */
CMA_MUST_CHECK int cma_window_init(struct cma_window *window, struct cma_dma *dma,
                                   uint64_t window_nbytes, void *storage, uint64_t nbytes);
void cma_window_stats(struct cma_window *window, struct cma_window_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
