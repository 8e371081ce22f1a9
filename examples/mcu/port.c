/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port.c - the port of a machine without MMU: an MPU, one processor, interrupts
 *
 * The area is one MPU region that is normal memory and not cached, from reset on: what is lent to
 * the heap is a little slower there, and no attribute ever changes, so set_attr is NULL. A
 * Cortex-M7 with caches would do the same; clean and invalidate would be NULL there too, as long
 * as devices touch nothing but the area.
 */
#include "mcu.h"

#define MPU_TYPE (*(volatile uint32_t *)0xe000ed90u)
#define MPU_CTRL (*(volatile uint32_t *)0xe000ed94u)
#define MPU_RNR (*(volatile uint32_t *)0xe000ed98u)
#define MPU_RBAR (*(volatile uint32_t *)0xe000ed9cu)
#define MPU_RASR (*(volatile uint32_t *)0xe000eda0u)

#define RASR_NO_EXECUTE (1u << 28)
#define RASR_READ_WRITE (3u << 24)
#define RASR_READ_ONLY (6u << 24)
#define RASR_CACHED (1u << 19 | 1u << 17 | 1u << 16) /* write back, write allocate */
#define RASR_UNCACHED (1u << 19 | 1u << 18)          /* normal, not cached, shared */
#define RASR_MEMORY_TYPE (7u << 19 | 1u << 17 | 1u << 16)
#define RASR_SIZE(log2) (((log2)-1u) << 1)
#define RASR_ENABLE 1u

extern uint32_t stack_guard[];

static void mpu_region(uint32_t number, uintptr_t base, uint32_t log2, uint32_t attributes)
{
    MPU_RNR = number;
    MPU_RBAR = (uint32_t)base;
    MPU_RASR = attributes | RASR_SIZE(log2) | RASR_ENABLE;
}

/* Where regions overlap, the highest one holds. Outside of all, nothing is reachable. */
void mcu_mpu_init(void)
{
    mpu_region(0, 0, 15, RASR_READ_ONLY | RASR_CACHED);
    mpu_region(1, 0x20000000, 14, RASR_READ_WRITE | RASR_CACHED | RASR_NO_EXECUTE);
    mpu_region(2, MCU_AREA, 14, RASR_READ_WRITE | RASR_UNCACHED | RASR_NO_EXECUTE);
    mpu_region(3, (uintptr_t)stack_guard, 8, RASR_NO_EXECUTE);
    __asm__ volatile("dsb");
    MPU_CTRL = 1;
    __asm__ volatile("dsb\n isb" ::: "memory");
}

static void *port_vaddr(void *ctx, cma_paddr_t paddr)
{
    (void)ctx;
    return (void *)(uintptr_t)paddr;
}

/* What the MPU itself says. */
static int port_lookup(void *ctx, const void *vaddr, cma_paddr_t *paddr, enum cma_attr *attr)
{
    uint32_t address = (uint32_t)(uintptr_t)vaddr;

    (void)ctx;
    for (uint32_t i = MPU_TYPE >> 8 & 0xff; i-- > 0;) {
        uint32_t rasr, mask;

        MPU_RNR = i;
        rasr = MPU_RASR;
        mask = ~0u << ((rasr >> 1 & 31u) + 1u);
        if ((rasr & RASR_ENABLE) == 0 || ((address ^ MPU_RBAR) & mask) != 0)
            continue;
        if ((rasr & (7u << 24)) == 0)
            return CMA_ENOENT;
        *paddr = address;
        *attr = (rasr & RASR_MEMORY_TYPE) == RASR_CACHED ? CMA_ATTR_CACHED : CMA_ATTR_UNCACHED;
        return 0;
    }
    return CMA_ENOENT;
}

static void port_barrier(void *ctx)
{
    (void)ctx;
    __asm__ volatile("dsb" ::: "memory");
}

static void port_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    (void)ctx;
    __builtin_memcpy((void *)(uintptr_t)to, (const void *)(uintptr_t)from, (size_t)nbytes);
}

static void port_zero(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx;
    __builtin_memset((void *)(uintptr_t)paddr, 0, (size_t)nbytes);
}

/* No lock: one thread, and the interrupt's handler calls nothing of libcma. */
const struct cma_port mcu_port = {
    .page_shift = MCU_PAGE_SHIFT,
    .cache_line_nbytes = 32,
    .vaddr = port_vaddr,
    .lookup = port_lookup,
    .dma_barrier = port_barrier,
    .copy = port_copy,
    .zero = port_zero,
};
