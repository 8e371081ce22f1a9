/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port.h - everything libcma needs from the machine: one const struct of hooks
 *
 * Fill one `struct cma_port` and pass its address wherever a port is asked for; libcma keeps the
 * pointer and never writes through it. docs/PORTING.md leads through the hooks in order. A hook may
 * be NULL only where its comment says so. No hook is called with a libcma lock held, except unlock,
 * cpu and time_ns.
 *
 * "Cannot fail" means: the hook has no return value, and the port has made sure beforehand (tables
 * built at init) that it can do its work.
 */
#ifndef CMA_PORT_H
#define CMA_PORT_H

#include <cma/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How the CPU sees a range. Two mappings of one frame with different attributes never exist. */
enum cma_attr {
    CMA_ATTR_NONE = 0,     /* not mapped */
    CMA_ATTR_CACHED,       /* normal memory, write-back: what a kernel's own memory has */
    CMA_ATTR_UNCACHED,     /* normal memory, not cached: coherent buffers of non-coherent devices */
    CMA_ATTR_WRITECOMBINE, /* not cached, writes may be merged */
    CMA_ATTR_DEVICE        /* strongly ordered, for memory that is a device's own */
};

/* A lock. The caller owns the bytes, zero is unlocked, and the port alone gives them meaning. */
struct cma_lock {
    uintptr_t word[2];
};

struct cma_port {
    void *ctx;                  /* passed to every hook */
    uint32_t page_shift;        /* 8 (256 bytes) to 16 (64 KiB); with an MMU that of its tables,
                                 * without one what a board of its size can afford */
    uint32_t cache_line_nbytes; /* largest line of any cache between CPU and devices; power of 2 */

    /*
     * Makes [paddr, paddr + nbytes) reachable for the CPU with `attr` and stores the address.
     * For memory that has no mapping yet (not linearly mapped, no-map pools). Both arguments are
     * page multiples. Returns 0, CMA_ENOMEM (no address space or tables), CMA_EEXIST (mapped with
     * other attributes already; nothing was mapped). May sleep. NULL: all memory is always mapped
     * (no MMU), and `vaddr` does what is needed.
     */
    int (*map)(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr, void **vaddr);

    /* Undoes map. Cannot fail. The TLB is flushed by a later tlb_flush. NULL when map is NULL. */
    void (*unmap)(void *ctx, void *vaddr, uint64_t nbytes);

    /*
     * A consistent window (window.h): window_make reserves nbytes of CPU addresses and builds their
     * page tables, at boot; 0 and *vaddr, or CMA_ENOMEM. window_map maps pages at an address in it,
     * window_unmap takes them away; neither can fail, nor sleeps, for the tables are there; the TLB
     * is flushed by a later tlb_flush. All three NULL: no window; else none is.
     */
    int (*window_make)(void *ctx, uint64_t nbytes, void **vaddr);
    void (*window_map)(void *ctx, void *vaddr, cma_paddr_t paddr, uint64_t nbytes,
                       enum cma_attr attr);
    void (*window_unmap)(void *ctx, void *vaddr, uint64_t nbytes);

    /*
     * The CPU's address of memory that is mapped linearly (or by identity), NULL when `paddr` has
     * no such mapping (highmem). Any context.
     */
    void *(*vaddr)(void *ctx, cma_paddr_t paddr);

    /*
     * Changes the attributes of the linear mapping of [paddr, paddr + nbytes) in place: no second
     * mapping comes to be. Cannot fail for memory of areas: a port maps that by pages from the
     * start. Other memory may be mapped so that it can't be changed (by large blocks): then the
     * call changes nothing, and the port has a lookup hook, by which libcma notices and refuses
     * the request (CMA_EOPNOTSUPP). Cache maintenance around it is libcma's business, the TLB is
     * flushed by a later tlb_flush. NULL: the machine's devices are all cache-coherent, or it has
     * no caches.
     */
    void (*set_attr)(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr);

    /*
     * Looks a CPU address up in the live tables. Returns 0 and fills both results, or CMA_ENOENT
     * when nothing is mapped there. Any context. NULL: callers' claims about mappings go unchecked.
     */
    int (*lookup)(void *ctx, const void *vaddr, cma_paddr_t *paddr, enum cma_attr *attr);

    /*
     * Cache maintenance to the point where devices see memory. clean: dirty lines are written back.
     * invalidate: lines are dropped; a line that is only partly inside is cleaned first.
     * The memory may have no linear mapping, or be mapped uncached. Cannot fail. Both NULL: all
     * devices are cache-coherent, or there are no caches.
     */
    void (*clean)(void *ctx, cma_paddr_t paddr, uint64_t nbytes);
    void (*invalidate)(void *ctx, cma_paddr_t paddr, uint64_t nbytes);

    /* Orders the CPU's accesses before against those after, as devices see them. Never NULL. */
    void (*dma_barrier)(void *ctx);

    /* Makes every earlier unmap and set_attr, and every freeze of a mover, take effect on all
     * processors. One call ends a batch. Cannot fail. May wait for other processors, so it is
     * never called with interrupts off by libcma. NULL: no MMU. */
    void (*tlb_flush)(void *ctx);

    /* Copies or zeroes memory by physical address, through whatever mapping the port likes, as a
     * cached CPU access; memory without linear mapping too. The ranges do not overlap. Cannot fail.
     * Never NULL. */
    void (*copy)(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes);
    void (*zero)(void *ctx, cma_paddr_t paddr, uint64_t nbytes);

    /*
     * Zeroes memory by CPU address, through the mapping that is there and as that is (uncached,
     * write-combining, a device's own): coherent memory that goes to its next owner while it stays
     * coherent, where a cached access by physical address would be a second mapping. Any context,
     * any address and length. Cannot fail. NULL: a vaddr is a pointer, and the core calls memset.
     */
    void (*zero_vaddr)(void *ctx, void *vaddr, uint64_t nbytes);

    /*
     * A spinning lock, safe against interrupts: lock returns whatever unlock needs to restore
     * (interrupt state). Locks of libcma do not nest. Both NULL: one thread, no interrupt
     * handlers that call libcma.
     */
    uintptr_t (*lock)(void *ctx, struct cma_lock *lock);
    void (*unlock)(void *ctx, struct cma_lock *lock, uintptr_t state);

    /*
     * wait sleeps until *event differs from `seen`; it may return early, callers look again.
     * wake wakes all waiters after *event was changed; it doesn't sleep, and may be called with
     * interrupts off. No lock is held. Both NULL: nothing can change while a call waits, so calls
     * that would wait return CMA_EAGAIN instead.
     */
    void (*wait)(void *ctx, const uint32_t *event, uint32_t seen);
    void (*wake)(void *ctx, const uint32_t *event);

    /* Number of the processor that runs, 0 up. NULL: always 0. */
    uint32_t (*cpu)(void *ctx);

    /* Monotonic time. NULL: always 0; ages and statistics then read 0. */
    uint64_t (*time_ns)(void *ctx);
};

/* Checks that a port is complete and that its sizes are in range. Returns 0 or CMA_EINVAL.
 * Context: any. */
CMA_MUST_CHECK int cma_port_check(const struct cma_port *port);

#ifdef __cplusplus
}
#endif
#endif
