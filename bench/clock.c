/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * clock.c - time stamps around single calls, and memory that does not fault
 *
 * On x86-64 a sample is two reads of the time stamp counter with fences that keep the measured
 * call between them; the mean cost of an empty pair is taken off each sample. A call that is as
 * short as the pair itself is better judged by the untimed loops. Elsewhere: clock_gettime.
 */
#include "bench.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

double clock_tick_ns = 1;
double clock_overhead_nticks;
uint64_t clock_grain_nticks = 1;

double clock_seconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

#if !defined(__x86_64__)
uint64_t clock_begin(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t clock_end(void)
{
    return clock_begin();
}
#endif

#define CLOCK_PAIRS 100000

void clock_calibrate(void)
{
    double start = clock_seconds(), now = start;
    uint64_t first = clock_begin(), last = first, sum = 0, least = UINT64_MAX;
    uint32_t n = 0;

    while (now - start < 0.1) {
        now = clock_seconds();
        last = clock_end();
    }
    clock_tick_ns = (now - start) * 1e9 / (double)(last - first);
    clock_grain_nticks = UINT64_MAX;
    for (uint32_t i = 0; i < CLOCK_PAIRS; i++) {
        uint64_t begin = clock_begin();
        uint64_t nticks = clock_end() - begin;

        least = nticks < least ? nticks : least;
        /* Without those that an interrupt fell into. */
        if (nticks < 10 * least) {
            sum += nticks;
            n++;
        }
        /* Hypervisors let the counter go up in strides. */
        if (nticks > least && nticks - least < clock_grain_nticks) {
            clock_grain_nticks = nticks - least;
        }
    }
    clock_overhead_nticks = (double)sum / n;
}

void clock_use_processor(int processor)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)(processor < 0 ? sched_getcpu() : processor), &set);
    (void)sched_setaffinity(0, sizeof(set), &set);
}

/* --- memory -------------------------------------------------------------------------------- */

#define HUGE_NBYTES (UINT64_C(2) << 20)

void bench_die(const char *what, const char *detail)
{
    fprintf(stderr, "bench: %s: %s\n", what, detail);
    exit(2);
}

static uint64_t memory_round(uint64_t nbytes)
{
    return (nbytes + HUGE_NBYTES - 1) & ~(HUGE_NBYTES - 1);
}

void *bench_memory(uint64_t nbytes)
{
    uint64_t size = memory_round(nbytes);
    uint8_t *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (memory == MAP_FAILED) {
        bench_die("no memory", "mmap");
    }
    (void)madvise(memory, size, MADV_HUGEPAGE);
    for (uint64_t at = 0; at < size; at += PEER_PAGE_NBYTES) {
        ((volatile uint8_t *)memory)[at] = 0;
    }
    return memory;
}

void bench_memory_free(void *memory, uint64_t nbytes)
{
    munmap(memory, memory_round(nbytes));
}
