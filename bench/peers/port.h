/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port.h - what the ports of libcma's plug-ins have in common
 *
 * A lock is one compare-and-swap, let go by a store; who waits long for it lets others run, for
 * there may be more threads than processors. The leave_ hooks are for cells that leave bytes alone.
 */
#ifndef BENCH_PEERS_PORT_H
#define BENCH_PEERS_PORT_H

#include "../peer.h"

#include <cma/port.h>

#include <sched.h>

static inline uintptr_t port_lock(void *ctx, struct cma_lock *lock)
{
    int *word = (int *)&lock->word[0];
    int free = 0;

    (void)ctx;
    while (
        !__atomic_compare_exchange_n(word, &free, 1, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
        for (int i = 0; i < 2000 && __atomic_load_n(word, __ATOMIC_RELAXED); i++) {
            peer_pause();
        }
        if (__atomic_load_n(word, __ATOMIC_RELAXED)) {
            sched_yield();
        }
        free = 0;
    }
    return 0;
}

static inline void port_unlock(void *ctx, struct cma_lock *lock, uintptr_t state)
{
    (void)ctx;
    (void)state;
    __atomic_store_n((int *)&lock->word[0], 0, __ATOMIC_RELEASE);
}

static inline uint32_t port_cpu(void *ctx)
{
    (void)ctx;
    return (uint32_t)sched_getcpu();
}

static inline void port_barrier(void *ctx)
{
    (void)ctx;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

static inline void port_leave_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    (void)ctx;
    (void)to;
    (void)from;
    (void)nbytes;
}

static inline void port_leave_zero(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx;
    (void)paddr;
    (void)nbytes;
}

#endif
