/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exclusive.c - threads of two devices share the region of all devices: no page is two's, each free
 * is its owner's, and the books come out even
 *
 *     exclusive [--ops N] [--seed S]
 *
 * The region's memory is this process's own, so that zeroing is real. Each buffer is filled with
 * its thread's number and looked at before it goes back. Meanwhile another thread asks for figures
 * and lists buffers.
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cma/exclusive.h>

#define PAGE 4096u
#define NPAGES 96u
#define THREADS 4u
#define LIVE 12u

#define REQUIRE(condition)                                                  \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
            abort();                                                        \
        }                                                                   \
    } while (0)

static uint8_t *memory;
static struct cma_dma dma;
static struct cma_device devices[2];
static struct cma_exclusive region;
static uint64_t ops = 20000, seed = 1;
static atomic_uint running = THREADS;
static atomic_ullong handed, refused;

static uintptr_t hook_lock(void *ctx, struct cma_lock *lock)
{
    (void)ctx;
    while (__atomic_exchange_n(&lock->word[0], 1, __ATOMIC_ACQUIRE) != 0) {
        sched_yield();
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

static void buffer_end(struct cma_device *device, const struct cma_coherent *buffer, uint8_t mark)
{
    const uint8_t *bytes = buffer->vaddr;

    for (uint64_t i = 0; i < buffer->nbytes; i += 512) {
        REQUIRE(bytes[i] == mark);
    }
    REQUIRE(cma_dma_free_coherent(&devices[device == devices], buffer) == CMA_EPERM);
    REQUIRE(cma_dma_free_coherent(device, buffer) == 0);
}

static void *worker(void *arg)
{
    uint32_t number = (uint32_t)(uintptr_t)arg;
    struct cma_device *device = &devices[number % 2];
    struct cma_coherent live[LIVE];
    uint64_t random = seed + number;
    uint32_t n = 0;

    for (uint64_t i = 0; i < ops / THREADS; i++) {
        struct cma_coherent_request request = {.nbytes = PAGE};

        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        if (n == LIVE || (n != 0 && (random >> 40) % 2 != 0)) {
            uint32_t at = (uint32_t)(random >> 33) % n;

            buffer_end(device, &live[at], (uint8_t)(number + 1));
            live[at] = live[--n];
            continue;
        }
        request.nbytes = PAGE * (1 + ((random >> 50) % 4 == 0 ? (random >> 53) % 9 : 0));
        if (cma_dma_alloc_coherent(device, &request, &live[n], NULL) != 0) {
            atomic_fetch_add(&refused, 1);
            continue;
        }
        for (uint64_t at = 0; at < request.nbytes; at++) {
            REQUIRE(((uint8_t *)live[n].vaddr)[at] == 0);
        }
        memset(live[n].vaddr, (int)number + 1, request.nbytes);
        n++;
        atomic_fetch_add(&handed, 1);
    }
    while (n > 0) {
        buffer_end(device, &live[--n], (uint8_t)(number + 1));
    }
    atomic_fetch_sub(&running, 1);
    return NULL;
}

/* Whoever looks sees nothing that can't be. */
static void look(void)
{
    struct cma_exclusive_stats stats;
    uint64_t nbytes, end = 0;
    uint32_t page = 0;
    cma_paddr_t paddr;

    cma_exclusive_stats(&region, &stats);
    REQUIRE(stats.used_nbytes <= stats.most_used_nbytes);
    REQUIRE(stats.used_nbytes + stats.free_run_nbytes <= stats.nbytes);
    while (cma_exclusive_next(&region, &page, &paddr, &nbytes) == 0) {
        REQUIRE(paddr - region.paddr >= end && nbytes != 0);
        end = paddr - region.paddr + nbytes;
        REQUIRE(end <= NPAGES * PAGE && page == end / PAGE);
    }
}

int main(int argc, char **argv)
{
    static struct cma_port port = {.page_shift = 12,
                                   .cache_line_nbytes = 64,
                                   .vaddr = hook_vaddr,
                                   .dma_barrier = hook_barrier,
                                   .copy = hook_copy,
                                   .zero = hook_zero,
                                   .lock = hook_lock,
                                   .unlock = hook_unlock};
    static struct cma_frames frames = {.port = &port};
    struct cma_exclusive_config config = {
        .name = "shared", .form = CMA_EXCLUSIVE_MAPPED, .nbytes = NPAGES * PAGE};
    struct cma_exclusive_stats stats;
    uint64_t nbytes = cma_exclusive_size(NPAGES);
    void *storage = malloc(nbytes);
    pthread_t threads[THREADS];

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--ops") == 0) {
            ops = strtoull(argv[i + 1], NULL, 0);
        } else if (strcmp(argv[i], "--seed") == 0) {
            seed = strtoull(argv[i + 1], NULL, 0);
        } else {
            return 2;
        }
    }
    memory = aligned_alloc(PAGE, NPAGES * PAGE);
    config.vaddr = memory;
    config.paddr = UINT64_C(0x100000000);
    REQUIRE(cma_dma_init(&dma, &frames, NULL, NULL) == 0);
    for (uint32_t i = 0; i < 2; i++) {
        struct cma_device_config device = {
            .name = "dev", .owner = i + 1, .mask = UINT64_MAX, .coherent_mask = UINT64_MAX};

        REQUIRE(cma_device_init(&devices[i], &dma, &device) == 0);
    }
    REQUIRE(cma_exclusive_declare_default(&region, &dma, &config, true, storage, nbytes, NULL) ==
            0);
    for (uint32_t i = 0; i < THREADS; i++) {
        REQUIRE(pthread_create(&threads[i], NULL, worker, (void *)(uintptr_t)i) == 0);
    }
    while (atomic_load(&running) != 0) {
        look();
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    cma_exclusive_stats(&region, &stats);
    REQUIRE(stats.used_nbytes == 0 && stats.free_run_nbytes == stats.nbytes);
    REQUIRE(atomic_load(&handed) != 0);
    REQUIRE(cma_exclusive_release(&region) == 0);
    printf("%llu buffers, %llu refused\n", (unsigned long long)atomic_load(&handed),
           (unsigned long long)atomic_load(&refused));
    free(storage);
    free(memory);
    return 0;
}
