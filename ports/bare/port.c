/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port.c - the hooks: what libcma calls
 *
 * Memory without linear mapping is reached through one borrowed page, with interrupts off, so that
 * copy, zero and cache maintenance work on all memory. QEMU has no caches: the log says what was
 * done and to how many lines, and a test compares it with what the architecture asks for.
 */
#include "bare.h"

#include <string.h>

struct bare_log bare_log;

const char *bare_op_name(enum bare_op op)
{
    static const char *const names[] = {"map",     "unmap", "set_attr", "clean", "invalidate",
                                        "barrier", "flush", "copy",     "zero"};

    return names[op];
}

void bare_log_begin(void)
{
    bare_log.count = 0;
    bare_log.lost = false;
}

static void port_log(enum bare_op op, cma_paddr_t paddr, uint64_t nbytes, uint64_t done)
{
    uintptr_t state = irq_save();

    if (bare_log.count < BARE_LOG_MAX)
        bare_log.entries[bare_log.count++] =
            (struct bare_entry){.op = op, .paddr = paddr, .nbytes = nbytes, .done = done};
    else
        bare_log.lost = true;
    irq_restore(state);
}

static struct bare_entry *port_logged(void)
{
    return &bare_log.entries[bare_log.count - 1];
}

static int port_map(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr, void **vaddr)
{
    int error = mmu_map(paddr, nbytes, attr, vaddr);

    (void)ctx;
    if (error == CMA_OK) {
        port_log(BARE_OP_MAP, paddr, nbytes, nbytes / BARE_PAGE);
        port_logged()->attr = attr;
    }
    return error;
}

static void port_unmap(void *ctx, void *vaddr, uint64_t nbytes)
{
    (void)ctx;
    mmu_unmap(vaddr, nbytes);
    port_log(BARE_OP_UNMAP, (uintptr_t)vaddr, nbytes, nbytes / BARE_PAGE);
}

static int port_window_make(void *ctx, uint64_t nbytes, void **vaddr)
{
    (void)ctx;
    return mmu_window_make(nbytes, vaddr);
}

static void port_window_map(void *ctx, void *vaddr, cma_paddr_t paddr, uint64_t nbytes,
                            enum cma_attr attr)
{
    (void)ctx;
    mmu_window_map(vaddr, paddr, nbytes, attr);
    port_log(BARE_OP_MAP, paddr, nbytes, nbytes / BARE_PAGE);
    port_logged()->attr = attr;
}

static void port_window_unmap(void *ctx, void *vaddr, uint64_t nbytes)
{
    (void)ctx;
    mmu_window_unmap(vaddr, nbytes);
    port_log(BARE_OP_UNMAP, (uintptr_t)vaddr, nbytes, nbytes / BARE_PAGE);
}

static void *port_vaddr(void *ctx, cma_paddr_t paddr)
{
    (void)ctx;
    return mmu_is_linear(paddr) ? (void *)(uintptr_t)paddr : NULL;
}

static void port_set_attr(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr)
{
    uint64_t flushed = mmu_counts.page_flushes;

    (void)ctx;
    mmu_set_attr(paddr, nbytes, attr);
    port_log(BARE_OP_SET_ATTR, paddr, nbytes, mmu_counts.page_flushes - flushed);
    port_logged()->attr = attr;
}

static int port_lookup(void *ctx, const void *vaddr, cma_paddr_t *paddr, enum cma_attr *attr)
{
    (void)ctx;
    return mmu_lookup(vaddr, paddr, attr);
}

/* Work on memory by physical address: each page, or each run of linear memory, in turn. */
enum port_work { PORT_CLEAN, PORT_INVALIDATE, PORT_ZERO };

static uint64_t port_lines(enum port_work work, uintptr_t first, uintptr_t end)
{
    uint64_t lines = 0;

    for (uintptr_t at = first & ~(uintptr_t)(BARE_LINE - 1); at < end; at += BARE_LINE, lines++) {
        if (work == PORT_CLEAN)
            __asm__ volatile("dc cvac, %0" ::"r"(at) : "memory");
        else if (at < first || end - at < BARE_LINE)
            __asm__ volatile("dc civac, %0" ::"r"(at) : "memory");
        else
            __asm__ volatile("dc ivac, %0" ::"r"(at) : "memory");
    }
    return lines;
}

static uint64_t port_do(enum port_work work, void *vaddr, uint64_t nbytes)
{
    if (work != PORT_ZERO)
        return port_lines(work, (uintptr_t)vaddr, (uintptr_t)vaddr + nbytes);
    memset(vaddr, 0, nbytes);
    return 0;
}

static uint64_t port_page_share(cma_paddr_t paddr, uint64_t nbytes)
{
    uint64_t share = BARE_PAGE - (paddr & (BARE_PAGE - 1));

    return share < nbytes ? share : nbytes;
}

static uint64_t port_work(enum port_work work, cma_paddr_t paddr, uint64_t nbytes)
{
    uint64_t done = 0;

    while (nbytes) {
        uint64_t share = port_page_share(paddr, nbytes);
        if (mmu_is_linear(paddr)) {
            done += port_do(work, (void *)(uintptr_t)paddr, share);
        } else {
            uintptr_t state = irq_save();
            done += port_do(work, mmu_borrow(paddr), share);
            mmu_give_back();
            irq_restore(state);
        }
        paddr += share;
        nbytes -= share;
    }
    __asm__ volatile("dsb sy" ::: "memory");
    return done;
}

static void port_clean(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx;
    port_log(BARE_OP_CLEAN, paddr, nbytes, port_work(PORT_CLEAN, paddr, nbytes));
}

static void port_invalidate(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx;
    port_log(BARE_OP_INVALIDATE, paddr, nbytes, port_work(PORT_INVALIDATE, paddr, nbytes));
}

static void port_dma_barrier(void *ctx)
{
    (void)ctx;
    __asm__ volatile("dsb sy" ::: "memory");
    port_log(BARE_OP_BARRIER, 0, 0, 0);
}

static void port_tlb_flush(void *ctx)
{
    (void)ctx;
    mmu_tlb_flush();
    port_log(BARE_OP_FLUSH, 0, 0, 0);
}

/* One piece that lies in one page on both sides. */
static void port_copy_piece(cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    uint8_t bounce[256];
    bool to_linear = mmu_is_linear(to), from_linear = mmu_is_linear(from);
    uintptr_t state;

    if (to_linear && from_linear) {
        memcpy((void *)(uintptr_t)to, (const void *)(uintptr_t)from, nbytes);
        return;
    }
    /* One page can be borrowed at a time. */
    for (uint64_t at = 0; at < nbytes; at += sizeof(bounce)) {
        uint64_t n = nbytes - at < sizeof(bounce) ? nbytes - at : sizeof(bounce);
        state = irq_save();
        memcpy(bounce, from_linear ? (void *)(uintptr_t)(from + at) : mmu_borrow(from + at), n);
        if (!from_linear)
            mmu_give_back();
        memcpy(to_linear ? (void *)(uintptr_t)(to + at) : mmu_borrow(to + at), bounce, n);
        if (!to_linear)
            mmu_give_back();
        irq_restore(state);
    }
}

static void port_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    (void)ctx;
    port_log(BARE_OP_COPY, from, nbytes, 0);
    port_logged()->to = to;
    while (nbytes) {
        uint64_t share = port_page_share(to, port_page_share(from, nbytes));
        port_copy_piece(to, from, share);
        to += share;
        from += share;
        nbytes -= share;
    }
}

static void port_zero(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx;
    port_log(BARE_OP_ZERO, paddr, nbytes, port_work(PORT_ZERO, paddr, nbytes));
}

/* With interrupts off a processor that is alone never finds a lock taken. */
static uintptr_t port_lock(void *ctx, struct cma_lock *lock)
{
    uintptr_t state = irq_save();

    (void)ctx;
    if (__atomic_exchange_n(&lock->word[0], 1, __ATOMIC_ACQUIRE))
        bare_die("lock taken twice", (uintptr_t)lock);
    return state;
}

static void port_unlock(void *ctx, struct cma_lock *lock, uintptr_t state)
{
    (void)ctx;
    __atomic_store_n(&lock->word[0], 0, __ATOMIC_RELEASE);
    irq_restore(state);
}

static void port_wait(void *ctx, const uint32_t *event, uint32_t seen)
{
    (void)ctx;
    thread_wait(event, seen);
}

static void port_wake(void *ctx, const uint32_t *event)
{
    (void)ctx;
    thread_wake(event);
}

static uint32_t port_cpu(void *ctx)
{
    uint64_t affinity;

    (void)ctx;
    __asm__ volatile("mrs %0, mpidr_el1" : "=r"(affinity));
    return affinity & 0xff;
}

static uint64_t port_time_ns(void *ctx)
{
    (void)ctx;
    return thread_time_ns();
}

const struct cma_port bare_port = {
    .page_shift = 12,
    .cache_line_nbytes = BARE_LINE,
    .map = port_map,
    .unmap = port_unmap,
    .window_make = port_window_make,
    .window_map = port_window_map,
    .window_unmap = port_window_unmap,
    .vaddr = port_vaddr,
    .set_attr = port_set_attr,
    .lookup = port_lookup,
    .clean = port_clean,
    .invalidate = port_invalidate,
    .dma_barrier = port_dma_barrier,
    .tlb_flush = port_tlb_flush,
    .copy = port_copy,
    .zero = port_zero,
    .lock = port_lock,
    .unlock = port_unlock,
    .wait = port_wait,
    .wake = port_wake,
    .cpu = port_cpu,
    .time_ns = port_time_ns,
};
