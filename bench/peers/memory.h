/* SPDX-License-Identifier: BSD-2-Clause */
/* memory.h - memory for a plug-in's tables: populated, in huge pages, as a kernel's own would be */
#ifndef BENCH_PEERS_MEMORY_H
#define BENCH_PEERS_MEMORY_H

#include <stdint.h>
#include <sys/mman.h>

static inline uint64_t memory_size(uint64_t nbytes)
{
    uint64_t huge = UINT64_C(2) << 20;

    return (nbytes + huge - 1) & ~(huge - 1);
}

static inline void *memory_get(uint64_t nbytes)
{
    uint64_t size = memory_size(nbytes), huge = UINT64_C(2) << 20, before;
    uint8_t *memory =
        mmap(0, size + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED) {
        return 0;
    }
    /* Huge pages begin at multiples of their size. */
    before = -(uint64_t)(uintptr_t)memory & (huge - 1);
    if (before != 0) {
        munmap(memory, before);
    }
    if (before != huge) {
        munmap(memory + before + size, huge - before);
    }
    memory += before;
    (void)madvise(memory, size, MADV_HUGEPAGE);
    for (uint64_t at = 0; at < size; at += 4096) {
        ((volatile uint8_t *)memory)[at] = 0;
    }
    return memory;
}

static inline void memory_put(void *memory, uint64_t nbytes)
{
    munmap(memory, memory_size(nbytes));
}

#endif
