/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bounce.c - one bounce pool used by four real threads, for the thread sanitizer
 *
 *     bounce [--ops N] [--seed S]
 *
 * Each thread maps, syncs and unmaps through a device of its own. The copies are plain memory,
 * written without any atomics: slots that two mappings have, or that change hands before they are
 * zero, are a data race, or bytes of somebody else. Now and then a mapping is put on a board where
 * two threads try to end it at the same time: exactly one may succeed. At the end the pool must be
 * empty and zero.
 */
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cma/bounce.h>

#define THREADS 4
#define HELD 12
#define POOL_NBYTES (UINT64_C(96) << 10)
#define BUFFER_NBYTES (UINT64_C(24) << 10) /* of a held mapping */
#define RAM UINT64_C(0x40000000)

#define REQUIRE(condition)                                                 \
    do {                                                                   \
        if (!(condition)) {                                                \
            fprintf(stderr, "FAILED line %d: %s\n", __LINE__, #condition); \
            exit(1);                                                       \
        }                                                                  \
    } while (0)

struct held {
    cma_paddr_t paddr;
    cma_daddr_t daddr;
    uint64_t nbytes;
    enum cma_direction direction;
    uint8_t seed;
};

struct shared {
    struct cma_port port;
    struct cma_frames frames;
    struct cma_dma dma;
    struct cma_bounce pool;
    uint8_t *ram;
    pthread_barrier_t pair[THREADS / 2];
    struct cma_device *device[THREADS / 2]; /* of what is ended twice */
    struct held twice[THREADS / 2];
    uint64_t ended[THREADS / 2]; /* of all races up to now; atomic */
};

struct worker {
    struct shared *shared;
    pthread_t thread;
    uint32_t index, nheld;
    uint64_t ops, random, maps, refused, races, raced; /* raced: races that it won */
    struct cma_device device;
    struct held held[HELD];
    bool busy[HELD]; /* is its buffer in use? */
    uint32_t slot[HELD];
};

static uint64_t below(struct worker *worker, uint64_t n)
{
    uint64_t z = (worker->random += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % n;
}

static uint8_t *at(struct shared *shared, cma_paddr_t paddr)
{
    return shared->ram + (paddr - RAM);
}

static void port_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    memcpy(at(ctx, to), at(ctx, from), nbytes);
}

static void port_zero(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    memset(at(ctx, paddr), 0, nbytes);
}

static void port_barrier(void *ctx)
{
    (void)ctx;
}

static uintptr_t port_lock(void *ctx, struct cma_lock *lock)
{
    (void)ctx;
    while (__atomic_exchange_n(&lock->word[0], 1, __ATOMIC_ACQUIRE) != 0) {
        sched_yield();
    }
    return 0;
}

static void port_unlock(void *ctx, struct cma_lock *lock, uintptr_t state)
{
    (void)ctx;
    (void)state;
    __atomic_store_n(&lock->word[0], 0, __ATOMIC_RELEASE);
}

/* The device finds the buffer's bytes, and writes others if it may. */
static void use(struct worker *worker, struct held *held)
{
    uint8_t *copy = at(worker->shared, held->daddr);

    for (uint64_t i = 0; i < held->nbytes; i += 1 + held->nbytes / 64) {
        REQUIRE(copy[i] == (uint8_t)(held->seed + i));
    }
    if (held->direction != CMA_TO_DEVICE) {
        held->seed++;
        for (uint64_t i = 0; i < held->nbytes; i++) {
            copy[i] = (uint8_t)(held->seed + i);
        }
    }
}

static void worker_map(struct worker *worker)
{
    struct held *held = &worker->held[worker->nheld];
    uint32_t slot = 0;
    uint8_t *buffer;
    int error;

    while (worker->busy[slot]) {
        slot++;
    }
    held->nbytes = 1 + below(worker, below(worker, 8) == 0 ? BUFFER_NBYTES - 1024 : 3000);
    held->paddr =
        RAM + POOL_NBYTES + (worker->index * HELD + slot) * BUFFER_NBYTES + below(worker, 1000);
    held->direction = (enum cma_direction)below(worker, 3);
    held->seed = (uint8_t)below(worker, 256);
    buffer = at(worker->shared, held->paddr);
    for (uint64_t i = 0; i < held->nbytes; i++) {
        buffer[i] = (uint8_t)(held->seed + i);
    }
    error = cma_dma_map(&worker->device, held->paddr, held->nbytes, held->direction, 0,
                        &held->daddr, NULL);
    REQUIRE(error == 0 || error == CMA_ENOMEM);
    if (error != 0) {
        worker->refused++;
        return;
    }
    worker->maps++;
    worker->busy[slot] = true;
    worker->slot[worker->nheld++] = slot;
    use(worker, held);
}

static void check_back(struct worker *worker, const struct held *held)
{
    const uint8_t *buffer = at(worker->shared, held->paddr);

    for (uint64_t i = 0; i < held->nbytes; i += 1 + held->nbytes / 64) {
        REQUIRE(buffer[i] == (uint8_t)(held->seed + i));
    }
}

static void worker_unmap(struct worker *worker, uint32_t i)
{
    struct held *held = &worker->held[i];

    REQUIRE(cma_dma_unmap(&worker->device, held->daddr, held->nbytes, held->direction, 0) == 0);
    check_back(worker, held);
    worker->busy[worker->slot[i]] = false;
    worker->nheld--;
    worker->held[i] = worker->held[worker->nheld];
    worker->slot[i] = worker->slot[worker->nheld];
}

/* Both threads of a pair end a mapping of the first one, if it has any: one of them does. */
static void worker_race(struct worker *worker)
{
    struct shared *shared = worker->shared;
    uint32_t pair = worker->index / 2;
    bool mine = worker->index % 2 == 0;
    struct cma_device *device;
    struct held held;

    if (mine) {
        if (worker->nheld == 0) {
            worker_map(worker);
        }
        shared->device[pair] = NULL;
        if (worker->nheld != 0) {
            shared->device[pair] = &worker->device;
            shared->twice[pair] = worker->held[worker->nheld - 1];
        }
    }
    pthread_barrier_wait(&shared->pair[pair]);
    device = shared->device[pair];
    held = shared->twice[pair];
    if (device != NULL && cma_dma_unmap(device, held.daddr, held.nbytes, held.direction, 0) == 0) {
        __atomic_fetch_add(&shared->ended[pair], 1, __ATOMIC_SEQ_CST);
        worker->raced++;
    }
    pthread_barrier_wait(&shared->pair[pair]);
    worker->races += device != NULL;
    REQUIRE(__atomic_load_n(&shared->ended[pair], __ATOMIC_SEQ_CST) == worker->races);
    if (mine && device != NULL) {
        check_back(worker, &held);
        worker->busy[worker->slot[--worker->nheld]] = false;
    }
}

static void *worker_run(void *argument)
{
    struct worker *worker = argument;

    for (uint64_t op = 0; op < worker->ops; op++) {
        struct cma_bounce_stats stats;
        struct cma_bounce_mapping mapping;
        uint32_t slot = 0;

        if (op % 256 == 255) {
            worker_race(worker);
        } else if (worker->nheld != 0 && below(worker, HELD) < worker->nheld) {
            uint32_t i = (uint32_t)below(worker, worker->nheld);
            struct held *held = &worker->held[i];

            if (below(worker, 2) == 0) {
                uint64_t from = below(worker, held->nbytes);

                REQUIRE(cma_dma_sync_for_cpu(&worker->device, held->daddr + from,
                                             held->nbytes - from, held->direction) == 0);
                REQUIRE(cma_dma_sync_for_device(&worker->device, held->daddr + from,
                                                held->nbytes - from, held->direction) == 0);
            }
            worker_unmap(worker, i);
        } else if (worker->nheld < HELD) {
            worker_map(worker);
        }
        if (op % 100 == 0) {
            cma_bounce_stats(&worker->shared->pool, &stats);
            REQUIRE(stats.used_nbytes <= stats.most_used_nbytes);
            while (cma_bounce_next(&worker->shared->pool, &slot, &mapping) == 0) {
                REQUIRE(mapping.owner >= 1 && mapping.owner <= THREADS);
            }
        }
    }
    while (worker->nheld != 0) {
        worker_unmap(worker, 0);
    }
    return NULL;
}

static void make(struct shared *shared)
{
    struct cma_bounce_config config = {
        .name = "pool", .nbytes = POOL_NBYTES, .slot_nbytes = 512, .owner = 9, .paddr = RAM};
    uint64_t nbytes;

    shared->port = (struct cma_port){.ctx = shared,
                                     .page_shift = 12,
                                     .cache_line_nbytes = 64,
                                     .dma_barrier = port_barrier,
                                     .copy = port_copy,
                                     .zero = port_zero,
                                     .lock = port_lock,
                                     .unlock = port_unlock};
    shared->frames.port = &shared->port;
    shared->ram = calloc(1, POOL_NBYTES + THREADS * HELD * BUFFER_NBYTES);
    REQUIRE(cma_dma_init(&shared->dma, &shared->frames, NULL, NULL) == 0);
    nbytes = cma_bounce_size(&shared->port, &config);
    REQUIRE(cma_bounce_init(&shared->pool, &shared->dma, &config, malloc(nbytes), nbytes, NULL) ==
            0);
    cma_bounce_use(&shared->dma, &shared->pool);
}

int main(int argc, char **argv)
{
    static struct shared shared;
    static struct worker workers[THREADS];
    uint64_t ops = 20000, seed = 1, maps = 0, refused = 0, races = 0, raced = 0;
    struct cma_bounce_stats stats;

    for (int i = 1; i + 1 < argc; i += 2) {
        ops = strcmp(argv[i], "--ops") == 0 ? strtoull(argv[i + 1], NULL, 0) / 8 : ops;
        seed = strcmp(argv[i], "--seed") == 0 ? strtoull(argv[i + 1], NULL, 0) : seed;
    }
    make(&shared);
    for (uint32_t i = 0; i < THREADS; i++) {
        struct worker *worker = &workers[i];
        struct cma_device_config config = {.name = "device",
                                           .owner = i + 1,
                                           .mask = UINT64_MAX,
                                           .min_align_nbytes = i == 1 ? 4096 : 0,
                                           .flags = i % 2 == 0 ? CMA_DEVICE_BOUNCE_ALWAYS
                                                               : CMA_DEVICE_UNTRUSTED};

        *worker = (struct worker){.shared = &shared, .index = i, .ops = ops, .random = seed + i};
        REQUIRE(cma_device_init(&worker->device, &shared.dma, &config) == 0);
    }
    for (uint32_t i = 0; i < THREADS / 2; i++) {
        pthread_barrier_init(&shared.pair[i], NULL, 2);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        REQUIRE(pthread_create(&workers[i].thread, NULL, worker_run, &workers[i]) == 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        maps += workers[i].maps;
        refused += workers[i].refused;
        races += i % 2 == 0 ? workers[i].races : 0;
        raced += workers[i].raced;
    }
    cma_bounce_stats(&shared.pool, &stats);
    REQUIRE(cma_bounce_check(&shared.pool) && stats.used_nbytes == 0);
    REQUIRE(raced == races && races * 2 >= ops / 256 * (THREADS / 2)); /* few pools were full */
    for (uint64_t i = 0; i < POOL_NBYTES; i++) {
        REQUIRE(shared.ram[i] == 0);
    }
    REQUIRE(cma_bounce_destroy(&shared.pool) == 0);
    printf("bounce: %" PRIu64 " mappings, %" PRIu64 " refused, %" PRIu64
           " ended by two threads at once, seed %" PRIu64 "\n",
           maps, refused, raced, seed);
    return 0;
}
