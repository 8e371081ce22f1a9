/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port.c - every hook, none written yet
 *
 * The contracts are in <cma/port.h>. Hooks that your machine does not need are NULL; the table in
 * docs/PORTING.md says which those are.
 */
#include "template.h"

/* --- 1. page_shift and cache_line_nbytes: at the end of this file ------------------------------
 */

/* --- 2. memory by address ----------------------------------------------------------------------
 */

static void *template_vaddr(void *ctx, cma_paddr_t paddr)
{
    (void)ctx, (void)paddr;
    port_write_me(
        "vaddr: return where your linear (or identity) mapping has this physical address, "
        "NULL where it has none");
    return NULL;
}

static void template_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    (void)ctx, (void)to, (void)from, (void)nbytes;
    port_write_me(
        "copy: copy nbytes from one physical address to another through a cached mapping; "
        "map a page for the moment where there is none");
}

static void template_zero(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx, (void)paddr, (void)nbytes;
    port_write_me("zero: write zeros to nbytes at this physical address, as copy would");
}

static void template_zero_vaddr(void *ctx, void *vaddr, uint64_t nbytes)
{
    (void)ctx, (void)vaddr, (void)nbytes;
    port_write_me("zero_vaddr: write zeros to nbytes at this CPU address, whatever its mapping's "
                  "attributes are; NULL where memset does that");
}

/* --- 3. order ----------------------------------------------------------------------------------
 */

static void template_dma_barrier(void *ctx)
{
    (void)ctx;
    port_write_me(
        "dma_barrier: order the CPU's accesses before against those after, as devices see "
        "them (dsb on ARM, fence iorw, iorw on RISC-V)");
}

/* --- 4. locks; both NULL with one thread and no interrupt handler that calls libcma ------------
 */

static uintptr_t template_lock(void *ctx, struct cma_lock *lock)
{
    (void)ctx, (void)lock;
    port_write_me("lock: mask interrupts on this processor, then spin until the lock is yours; "
                  "return the interrupt state from before");
    return 0;
}

static void template_unlock(void *ctx, struct cma_lock *lock, uintptr_t state)
{
    (void)ctx, (void)lock, (void)state;
    port_write_me("unlock: let the lock go, then restore the interrupt state that lock returned");
}

/* --- 5. waiting; both NULL where calls never sleep ---------------------------------------------
 */

static void template_wait(void *ctx, const uint32_t *event, uint32_t seen)
{
    (void)ctx, (void)event, (void)seen;
    port_write_me("wait: sleep until *event differs from seen; compare once more under the lock "
                  "that wake takes, so that no wake-up is lost");
}

static void template_wake(void *ctx, const uint32_t *event)
{
    (void)ctx, (void)event;
    port_write_me("wake: wake all that sleep in wait on this address; do not sleep");
}

/* --- 6. caches; both NULL where all devices snoop, or there are no caches ----------------------
 */

static void template_clean(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx, (void)paddr, (void)nbytes;
    port_write_me("clean: write the dirty lines of this range back to where devices see them "
                  "(dc cvac on AArch64)");
}

static void template_invalidate(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx, (void)paddr, (void)nbytes;
    port_write_me("invalidate: drop the lines of this range; a line only partly inside is cleaned "
                  "first (dc ivac and dc civac on AArch64)");
}

/* --- 7. attributes -----------------------------------------------------------------------------
 */

static int template_lookup(void *ctx, const void *vaddr, cma_paddr_t *paddr, enum cma_attr *attr)
{
    (void)ctx, (void)vaddr, (void)paddr, (void)attr;
    port_write_me("lookup: read the live page tables (or the MPU): the physical address and the "
                  "attributes behind a CPU address, CMA_ENOENT where nothing is mapped");
    return CMA_EOPNOTSUPP;
}

static void template_set_attr(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr)
{
    (void)ctx, (void)paddr, (void)nbytes, (void)attr;
    port_write_me("set_attr: change the attributes of the linear mapping of these pages in place "
                  "(on ARM through an invalid entry); map areas by pages from the start, for this "
                  "can't fail");
}

static void template_tlb_flush(void *ctx)
{
    (void)ctx;
    port_write_me("tlb_flush: make every earlier unmap, set_attr and removed entry hold on all "
                  "processors before you return");
}

/* --- 8. mapping; both NULL where all memory is always mapped -----------------------------------
 */

static int template_map(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr,
                        void **vaddr)
{
    (void)ctx, (void)paddr, (void)nbytes, (void)attr, (void)vaddr;
    port_write_me("map: make these pages reachable with these attributes and store the address; "
                  "CMA_EEXIST where they are mapped with others, CMA_ENOMEM without room");
    return CMA_EOPNOTSUPP;
}

static void template_unmap(void *ctx, void *vaddr, uint64_t nbytes)
{
    (void)ctx, (void)vaddr, (void)nbytes;
    port_write_me("unmap: undo map; the address is free again after the next tlb_flush");
}

/* A consistent window; all three NULL where there is none. */
static int template_window_make(void *ctx, uint64_t nbytes, void **vaddr)
{
    (void)ctx, (void)nbytes, (void)vaddr;
    port_write_me("window_make: at boot, reserve so many bytes of CPU addresses and build all of "
                  "their page tables, so that window_map can't fail");
    return CMA_EOPNOTSUPP;
}

static void template_window_map(void *ctx, void *vaddr, cma_paddr_t paddr, uint64_t nbytes,
                                enum cma_attr attr)
{
    (void)ctx, (void)vaddr, (void)paddr, (void)nbytes, (void)attr;
    port_write_me("window_map: write these pages with these attributes into the window's tables, "
                  "which are there; do not sleep");
}

static void template_window_unmap(void *ctx, void *vaddr, uint64_t nbytes)
{
    (void)ctx, (void)vaddr, (void)nbytes;
    port_write_me("window_unmap: take these pages out of the window's tables again; the TLB is "
                  "flushed later");
}

/* --- 9. numbers; each may be NULL --------------------------------------------------------------
 */

static uint64_t template_time_ns(void *ctx)
{
    (void)ctx;
    port_write_me("time_ns: return monotonic time in nanoseconds");
    return 0;
}

static uint32_t template_cpu(void *ctx)
{
    (void)ctx;
    port_write_me("cpu: return the number of the processor that runs this, 0 up");
    return UINT32_MAX;
}

const struct cma_port template_port = {
    .page_shift = 0,        /* write: 12 for pages of 4 KiB; 8 to 16 */
    .cache_line_nbytes = 0, /* write: the largest line of any cache between CPU and devices */
    .vaddr = template_vaddr,
    .copy = template_copy,
    .zero = template_zero,
    .zero_vaddr = template_zero_vaddr,
    .dma_barrier = template_dma_barrier,
    .lock = template_lock,
    .unlock = template_unlock,
    .wait = template_wait,
    .wake = template_wake,
    .clean = template_clean,
    .invalidate = template_invalidate,
    .lookup = template_lookup,
    .set_attr = template_set_attr,
    .tlb_flush = template_tlb_flush,
    .map = template_map,
    .unmap = template_unmap,
    .window_make = template_window_make,
    .window_map = template_window_map,
    .window_unmap = template_window_unmap,
    .time_ns = template_time_ns,
    .cpu = template_cpu,
};
