/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nosleep.c - the pool for callers that may not sleep, used by threads, for the thread sanitizer
 *
 *     nosleep [--ops N] [--seed S]
 *
 * Three threads take buffers and give them back, and write to them without any atomics: a buffer
 * that two have, or that is zeroed while somebody has it, is a data race. Two others grow the pool
 * when it says that it is low, and give back what is idle, at the same time. Each buffer must come
 * zeroed. Some are put where two threads try to free them at once: exactly one may succeed.
 */
#include "../support/pool_board.h"

#include <cma/nosleep.h>

#include <pthread.h>
#include <sched.h>
#include <string.h>

#define USERS 3u
#define KEEPERS 2u
#define HELD 12u
#define CHUNK (UINT64_C(16) * POOL_BOARD_PAGE)

struct shared {
    struct pool_board board;
    struct cma_nosleep pool;
    uint32_t low, done; /* atomic */
    pthread_mutex_t mutex;
    struct cma_coherent twice; /* nbytes 0: none; with the mutex */
};

struct worker {
    struct shared *shared;
    pthread_t thread;
    uint64_t ops, random;
    uint32_t index, nheld;
    struct cma_coherent held[HELD];
    uint64_t allocs, refused, raced, freed_first, grown, trimmed;
};

static uint64_t worker_below(struct worker *worker, uint64_t n)
{
    uint64_t z = (worker->random += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % n;
}

/* Any context: tells the keepers. */
static void shared_low(void *ctx, uint64_t idle_nbytes)
{
    struct shared *shared = ctx;

    (void)idle_nbytes;
    __atomic_store_n(&shared->low, 1, __ATOMIC_RELEASE);
}

static void worker_get(struct worker *worker)
{
    struct cma_coherent *buffer = &worker->held[worker->nheld];
    struct cma_coherent_request request = {.nbytes = 1 + worker_below(worker, 4 * POOL_BOARD_PAGE),
                                           .flags = CMA_COHERENT_NOSLEEP};
    struct cma_refusal refusal;
    uint8_t *bytes;
    int error = cma_dma_alloc_coherent(&worker->shared->board.device, &request, buffer, &refusal);

    if (error != 0) {
        POOL_REQUIRE(error == CMA_ENOMEM && refusal.reason == CMA_REASON_NOSLEEP, "%s",
                     cma_strerror(error));
        worker->refused++;
        return;
    }
    bytes = buffer->vaddr;
    for (uint64_t i = 0; i < buffer->nbytes; i += 61) {
        POOL_REQUIRE(bytes[i] == 0, "byte %u is not zero", (unsigned)i);
    }
    memset(bytes, 0x11 + (int)worker->index, buffer->nbytes);
    worker->nheld++;
    worker->allocs++;
}

static void worker_put(struct worker *worker)
{
    uint32_t i = (uint32_t)worker_below(worker, worker->nheld);
    const uint8_t *bytes = worker->held[i].vaddr;
    int error;

    for (uint64_t b = 0; b < worker->held[i].nbytes; b += 61) {
        POOL_REQUIRE(bytes[b] == 0x11 + worker->index, "somebody wrote into a buffer");
    }
    error = cma_dma_free_coherent(&worker->shared->board.device, &worker->held[i]);
    POOL_REQUIRE(error == 0, "free: %s", cma_strerror(error));
    worker->held[i] = worker->held[--worker->nheld];
}

/* One buffer is freed by two: by who leaves it here, and by who comes by. */
static void worker_race(struct worker *worker)
{
    struct shared *shared = worker->shared;
    struct cma_coherent mine = {0};
    int error;

    (void)pthread_mutex_lock(&shared->mutex);
    if (shared->twice.nbytes != 0) {
        mine = shared->twice;
        shared->twice.nbytes = 0;
    } else if (worker->nheld != 0) {
        mine = worker->held[--worker->nheld];
        shared->twice = mine;
    }
    (void)pthread_mutex_unlock(&shared->mutex);
    if (mine.nbytes == 0) {
        return;
    }
    error = cma_dma_free_coherent(&shared->board.device, &mine);
    POOL_REQUIRE(error == 0 || error == CMA_EBADF, "%s", cma_strerror(error));
    worker->raced++;
    worker->freed_first += error == 0;
}

static void *user_main(void *arg)
{
    struct worker *worker = arg;

    for (uint64_t op = 0; op < worker->ops; op++) {
        uint64_t dice = worker_below(worker, 100);

        if (worker->nheld == 0 || (dice < 52 && worker->nheld < HELD)) {
            worker_get(worker);
        } else {
            worker_put(worker);
        }
        if (dice == 99) {
            sched_yield();
        }
    }
    while (worker->nheld != 0) {
        worker_put(worker);
    }
    return NULL;
}

static void *keeper_main(void *arg)
{
    struct worker *worker = arg;
    struct shared *shared = worker->shared;

    while (__atomic_load_n(&shared->done, __ATOMIC_ACQUIRE) == 0) {
        uint32_t low = 1;

        if (__atomic_compare_exchange_n(&shared->low, &low, 0, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_RELAXED)) {
            int error = cma_nosleep_grow(&shared->pool, CHUNK, NULL);

            POOL_REQUIRE(error == 0 || error == CMA_ENOMEM || error == CMA_EAGAIN ||
                             error == CMA_EBUSY,
                         "grow: %s", cma_strerror(error));
            worker->grown += error == 0;
        } else if (worker_below(worker, 50) == 0) {
            worker->trimmed += cma_nosleep_trim(&shared->pool, CHUNK / 2) != 0;
        }
        sched_yield();
    }
    return NULL;
}

/* Alone: two threads free the same buffers, and nobody takes any meanwhile. */
static void *racer_main(void *arg)
{
    struct worker *worker = arg;

    for (uint64_t op = 0; op < worker->ops / 10; op++) {
        worker_race(worker);
    }
    return NULL;
}

static void shared_run(struct worker *workers, void *(*main_of)(void *), uint32_t first, uint32_t n)
{
    for (uint32_t i = first; i < first + n; i++) {
        POOL_REQUIRE(pthread_create(&workers[i].thread, NULL, main_of, &workers[i]) == 0,
                     "no thread");
    }
}

static void shared_wait(struct worker *workers, uint32_t first, uint32_t n)
{
    for (uint32_t i = first; i < first + n; i++) {
        (void)pthread_join(workers[i].thread, NULL);
    }
}

/* Frees at once: rounds of a full table, since nobody may take a buffer meanwhile. */
static void shared_race(struct shared *shared, struct worker *workers)
{
    struct cma_nosleep_stats stats;

    for (uint32_t round = 0; round < 50; round++) {
        uint64_t first = 0;

        for (uint32_t i = 0; i < 2; i++) {
            workers[i].freed_first = 0;
            workers[i].ops = 10 * 2 * HELD;
        }
        POOL_REQUIRE(cma_nosleep_grow(&shared->pool, 4 * CHUNK, NULL) == 0, "grow");
        while (workers[0].nheld < HELD) {
            worker_get(&workers[0]);
        }
        shared_run(workers, racer_main, 0, 2);
        shared_wait(workers, 0, 2);
        if (shared->twice.nbytes != 0) {
            worker_race(&workers[1]);
        }
        first = workers[0].freed_first + workers[1].freed_first;
        POOL_REQUIRE(first == HELD, "%u freed, of %u", (unsigned)first, HELD);
        cma_nosleep_stats(&shared->pool, &stats);
        POOL_REQUIRE(stats.used_nbytes == 0, "something is left");
    }
}

int main(int argc, char **argv)
{
    static struct shared shared = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    static struct worker workers[USERS + KEEPERS];
    struct cma_nosleep_config config = {.name = "nosleep",
                                        .owner = 9,
                                        .paddr_last = CMA_PADDR_MAX,
                                        .chunk_nbytes = CHUNK,
                                        .nchunks_max = 6,
                                        .low_nbytes = CHUNK / 2,
                                        .low = shared_low,
                                        .ctx = &shared};
    uint64_t ops = 20000, seed = 1, allocs = 0, refused = 0, grown = 0, trimmed = 0;
    uint64_t nbytes;
    void *storage;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--ops") == 0)
            ops = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 0);
        else
            return 2;
    }
    pool_board_make(&shared.board);
    nbytes = cma_nosleep_size(&shared.board.port, &config);
    storage = malloc(nbytes);
    POOL_REQUIRE(
        cma_nosleep_init(&shared.pool, &shared.board.system.dma, &config, storage, nbytes) == 0,
        "init");
    for (uint32_t i = 0; i < USERS + KEEPERS; i++) {
        workers[i] = (struct worker){
            .shared = &shared, .ops = ops / USERS, .random = seed * 1000 + i, .index = i};
    }
    shared_run(workers, user_main, 0, USERS);
    shared_run(workers, keeper_main, USERS, KEEPERS);
    shared_wait(workers, 0, USERS);
    __atomic_store_n(&shared.done, 1, __ATOMIC_RELEASE);
    shared_wait(workers, USERS, KEEPERS);
    for (uint32_t i = 0; i < USERS + KEEPERS; i++) {
        allocs += workers[i].allocs;
        refused += workers[i].refused;
        grown += workers[i].grown;
        trimmed += workers[i].trimmed;
    }
    shared_race(&shared, workers);
    POOL_REQUIRE(cma_nosleep_check(&shared.pool), "check");
    POOL_REQUIRE(cma_nosleep_destroy(&shared.pool) == 0, "destroy");
    pool_board_end(&shared.board);
    free(storage);
    printf("%u users, %llu operations, seed %llu: %llu buffers, %llu refused, grown %llu times, "
           "trimmed %llu times\n",
           USERS, (unsigned long long)ops, (unsigned long long)seed, (unsigned long long)allocs,
           (unsigned long long)refused, (unsigned long long)grown, (unsigned long long)trimmed);
    POOL_REQUIRE(ops < 10000 || (allocs > ops / 4 && grown > 2), "nothing happened");
    return 0;
}
