/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guard.h - assertions of checked builds, and a port's optional hooks
 *
 * An assertion states what the code believes, never what a caller must be told: wrong arguments get
 * an error code. -DCMA_CHECKED=1 makes a false one trap; otherwise it is compiled, for its types,
 * and never run, so its condition must have no side effects.
 */
#ifndef CMA_BASE_GUARD_H
#define CMA_BASE_GUARD_H

#include <cma/port.h>

#include "mem.h"

#if defined(CMA_CHECKED) && CMA_CHECKED
#define cma__assert(condition) ((condition) ? (void)0 : __builtin_trap())
#else
#define cma__assert(condition) ((void)sizeof((condition) ? 1 : 0))
#endif

/* Not to be merged into its callers: their stack frames would grow by what only this one needs
 * while others are called, or their code. */
#define CMA__APART __attribute__((noinline))

/* Where a few nanoseconds count: what nearly always is comes next in the code, the rest is jumped
 * to. */
#define CMA__LIKELY(condition) __builtin_expect((condition) ? 1 : 0, 1)
#define CMA__UNLIKELY(condition) __builtin_expect((condition) ? 1 : 0, 0)

static inline uintptr_t guard_lock(const struct cma_port *port, struct cma_lock *lock)
{
    return CMA__LIKELY(port->lock != NULL) ? port->lock(port->ctx, lock) : 0;
}

static inline void guard_unlock(const struct cma_port *port, struct cma_lock *lock, uintptr_t state)
{
    if (CMA__LIKELY(port->unlock != NULL)) {
        port->unlock(port->ctx, lock, state);
    }
}

static inline void guard_tlb_flush(const struct cma_port *port)
{
    if (port->tlb_flush != NULL) {
        port->tlb_flush(port->ctx);
    }
}

/* Zeroes by CPU address, whatever the mapping. */
static inline void guard_zero_vaddr(const struct cma_port *port, void *vaddr, uint64_t nbytes)
{
    if (port->zero_vaddr != NULL) {
        port->zero_vaddr(port->ctx, vaddr, nbytes);
    } else {
        memset(vaddr, 0, (size_t)nbytes);
    }
}

#endif
