/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port.h - a port for programs that measure the page allocator alone: nobody touches the memory
 *
 * Locks are real: one locked instruction to take, a store to let go.
 */
#ifndef BENCH_PORT_H
#define BENCH_PORT_H

#include <cma/port.h>

#include <stddef.h>

/* The processor that a thread says it runs on. */
static _Thread_local uint32_t port_cpu;

static uint32_t hook_cpu(void *ctx)
{
    (void)ctx;
    return port_cpu;
}

static void hook_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

static uintptr_t hook_lock(void *ctx, struct cma_lock *lock)
{
    (void)ctx;
    while (__atomic_exchange_n(&lock->word[0], 1, __ATOMIC_ACQUIRE) != 0) {
        while (__atomic_load_n(&lock->word[0], __ATOMIC_RELAXED) != 0)
            hook_relax();
    }
    return 0;
}

static void hook_unlock(void *ctx, struct cma_lock *lock, uintptr_t state)
{
    (void)ctx;
    (void)state;
    __atomic_store_n(&lock->word[0], 0, __ATOMIC_RELEASE);
}

static void *hook_vaddr(void *ctx, cma_paddr_t paddr)
{
    (void)ctx;
    (void)paddr;
    return NULL;
}

static void hook_barrier(void *ctx)
{
    (void)ctx;
}

static void hook_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    (void)ctx;
    (void)to;
    (void)from;
    (void)nbytes;
}

static void hook_zero(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx;
    (void)paddr;
    (void)nbytes;
}

static const struct cma_port bench_port = {
    .page_shift = 12,
    .cache_line_nbytes = 64,
    .vaddr = hook_vaddr,
    .dma_barrier = hook_barrier,
    .copy = hook_copy,
    .zero = hook_zero,
    .lock = hook_lock,
    .unlock = hook_unlock,
    .cpu = hook_cpu,
};

#endif
