/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.c - one DMA pool used by four real threads, for the thread sanitizer
 *
 *     pool [--ops N] [--seed S]
 *
 * Fewer caches than threads, and threads change among them in the middle of a call; in a second
 * round there are none. Each item that a thread has it writes to without any atomics: an item that
 * two have, or that changes hands too early, is a data race. The pool is nearly dry, so refills,
 * spills, scrapes and drains run into each other, and lanes are asked for what they hold; growing
 * and looking go on meanwhile. Some items are put on a board where two threads try to free them at
 * the same time: exactly one may succeed. At the end every item must be there, once.
 */
#include "../support/lane_item.h"
#include "../support/pool_board.h"

#include <pthread.h>
#include <sched.h>
#include <string.h>

#define POOL_THREADS 4
#define POOL_HELD 200
#define POOL_NITEMS 512u
#define POOL_NBYTES 64

struct pool_shared {
    struct cma_dma_pool pool;
    pthread_barrier_t pair[POOL_THREADS / 2];
    struct cma_dma_item twice[POOL_THREADS / 2];
    uint32_t freed[POOL_THREADS / 2]; /* atomic */
};

struct pool_worker {
    struct pool_shared *shared;
    pthread_t thread;
    uint64_t ops, random;
    uint32_t index, nheld;
    struct cma_dma_pool_lane lane;
    struct cma_dma_item held[POOL_HELD];
    bool own[POOL_HELD]; /* of the lane */
    uint64_t stamps[POOL_HELD];
    uint64_t allocs, refused, raced;
};

static uint64_t worker_random(struct pool_worker *worker)
{
    uint64_t z = (worker->random += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t worker_below(struct pool_worker *worker, uint64_t n)
{
    return worker_random(worker) % n;
}

static bool worker_get(struct pool_worker *worker)
{
    struct cma_dma_item *item = &worker->held[worker->nheld];
    uint64_t stamp = worker_random(worker);
    int error;

    worker->own[worker->nheld] = worker_below(worker, 2) == 0;
    error = worker->own[worker->nheld] ? lane_item_alloc(&worker->lane, 0, item, NULL)
                                       : cma_dma_pool_alloc(&worker->shared->pool, 0, item, NULL);
    POOL_REQUIRE(error == 0 || error == CMA_ENOMEM, "alloc: %s", cma_strerror(error));
    if (error != 0) {
        worker->refused++;
        return false;
    }
    for (uint32_t i = 0; i < POOL_NBYTES / 8; i++) {
        ((uint64_t *)item->vaddr)[i] = stamp + i;
    }
    worker->stamps[worker->nheld++] = stamp;
    worker->allocs++;
    return true;
}

static void worker_look(struct pool_worker *worker, uint32_t n)
{
    for (uint32_t i = 0; i < POOL_NBYTES / 8; i++) {
        POOL_REQUIRE(((uint64_t *)worker->held[n].vaddr)[i] == worker->stamps[n] + i,
                     "somebody wrote into an item");
    }
}

static int worker_free(struct pool_worker *worker, const struct cma_dma_item *item, bool own)
{
    return own ? lane_item_free(&worker->lane, item)
               : cma_dma_pool_free(&worker->shared->pool, item);
}

static void worker_put(struct pool_worker *worker, uint32_t n)
{
    struct cma_dma_item item = worker->held[n];
    bool own = worker->own[n];
    int error;

    worker_look(worker, n);
    worker->held[n] = worker->held[--worker->nheld];
    worker->stamps[n] = worker->stamps[worker->nheld];
    worker->own[n] = worker->own[worker->nheld];
    error = worker_free(worker, &item, own);
    POOL_REQUIRE(error == 0, "free: %s", cma_strerror(error));
    if (worker_below(worker, 4) == 0) {
        /* By now it may be anybody's, with another stamp. */
        error = worker_free(worker, &item, worker_below(worker, 2) == 0);
        POOL_REQUIRE(error == CMA_EBADF, "a second free: %s", cma_strerror(error));
    }
}

/* Two threads free one item at the same time. */
static void worker_race(struct pool_worker *worker)
{
    struct pool_shared *shared = worker->shared;
    uint32_t pair = worker->index / 2;
    struct cma_dma_item *item = &shared->twice[pair];
    bool own = false;
    int error;

    /* Who waits keeps nothing idle from those that go on. */
    (void)cma_dma_pool_lane_drain(&worker->lane);
    if (worker->index % 2 == 0) {
        while (worker->nheld == 0 && !worker_get(worker)) {
            sched_yield();
        }
        worker_look(worker, --worker->nheld);
        *item = worker->held[worker->nheld];
        own = worker->own[worker->nheld];
        (void)cma_dma_pool_lane_drain(&worker->lane);
        shared->freed[pair] = 0;
    }
    (void)pthread_barrier_wait(&shared->pair[pair]);
    error = worker_free(worker, item, own);
    POOL_REQUIRE(error == 0 || error == CMA_EBADF || error == CMA_EPERM, "freed at once: %s",
                 cma_strerror(error));
    (void)__atomic_add_fetch(&shared->freed[pair], error == 0, __ATOMIC_RELAXED);
    (void)pthread_barrier_wait(&shared->pair[pair]);
    POOL_REQUIRE(__atomic_load_n(&shared->freed[pair], __ATOMIC_RELAXED) == 1, "freed %u times",
                 shared->freed[pair]);
    (void)pthread_barrier_wait(&shared->pair[pair]);
    worker->raced++;
}

/* What looks at everything while it is in use. */
static void worker_visit(struct pool_worker *worker)
{
    struct cma_dma_pool *pool = &worker->shared->pool;
    struct cma_dma_pool_stats stats;
    struct cma_dma_item item;
    uint32_t number = (uint32_t)worker_below(worker, POOL_NITEMS);
    int error;

    switch (worker_below(worker, 5)) {
    case 0: (void)cma_dma_pool_drain(pool); break;
    case 1:
        error = cma_dma_pool_grow(pool, (uint32_t)worker_below(worker, POOL_NITEMS + 1), NULL);
        POOL_REQUIRE(error == 0 || error == CMA_EAGAIN, "grow: %s", cma_strerror(error));
        break;
    case 2:
        cma_dma_pool_stats(pool, &stats);
        POOL_REQUIRE(stats.live <= POOL_NITEMS && stats.most_out <= POOL_NITEMS, "too many");
        break;
    case 3:
        error = cma_dma_pool_next(pool, &number, &item);
        POOL_REQUIRE(error == 0 || error == CMA_ENOENT, "next: %s", cma_strerror(error));
        break;
    default:
        if (worker->nheld != 0) {
            error = cma_dma_pool_find(pool, worker->held[0].daddr + 5, &item);
            POOL_REQUIRE(error == 0 && item.number == worker->held[0].number, "find: %s",
                         cma_strerror(error));
        }
    }
}

static void *worker_main(void *arg)
{
    struct pool_worker *worker = arg;
    uint32_t wanted = 0;

    for (uint64_t i = 0; i < worker->ops; i++) {
        pool_board_cpu = (uint32_t)worker_below(worker, 3);
        if (i % 256 == 0)
            wanted = (uint32_t)worker_below(worker, POOL_HELD);
        if (i % 512 == 511)
            worker_race(worker);
        else if (worker_below(worker, 300) == 0)
            worker_visit(worker);
        else if (worker->nheld < POOL_HELD &&
                 (worker->nheld == 0 ||
                  worker_below(worker, 100) < (worker->nheld < wanted ? 70u : 30u)))
            (void)worker_get(worker);
        else
            worker_put(worker, (uint32_t)worker_below(worker, worker->nheld));
    }
    while (worker->nheld != 0) {
        worker_put(worker, 0);
    }
    (void)cma_dma_pool_lane_drain(&worker->lane);
    return NULL;
}

/* Every item can be had, once. */
static void pool_end(struct pool_board *board, struct cma_dma_pool *pool)
{
    static struct cma_dma_item items[POOL_NITEMS + 1];
    struct cma_dma_pool_stats stats;
    uint32_t n = 0;

    cma_dma_pool_stats(pool, &stats);
    POOL_REQUIRE(stats.live == 0, "%u are live", stats.live);
    POOL_REQUIRE(cma_dma_pool_grow(pool, POOL_NITEMS, NULL) == 0, "grow");
    (void)cma_dma_pool_drain(pool);
    while (cma_dma_pool_alloc(pool, 0, &items[n], NULL) == 0) {
        n++;
        POOL_REQUIRE(n <= POOL_NITEMS, "one too many");
    }
    POOL_REQUIRE(n == POOL_NITEMS, "%u items", n);
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t k = 0; k < i; k++) {
            POOL_REQUIRE(items[i].vaddr != items[k].vaddr, "twice");
        }
    }
    while (n-- != 0) {
        POOL_REQUIRE(cma_dma_pool_free(pool, &items[n]) == 0, "free");
    }
    POOL_REQUIRE(cma_dma_pool_destroy(pool) == 0, "destroy");
    POOL_REQUIRE(pool_board_claimed(board) == 0, "kept");
}

static void pool_round(uint64_t ops, uint64_t seed, uint32_t ncpus)
{
    static const struct cma_dma_pool_config config = {
        .item_nbytes = POOL_NBYTES, .align_nbytes = POOL_NBYTES, .nitems_max = POOL_NITEMS};
    static struct pool_worker workers[POOL_THREADS];
    static struct pool_shared shared;
    static struct pool_board board;
    uint64_t allocs = 0, refused = 0, raced = 0;
    void *storage;

    pool_board_make(&board);
    storage = pool_board_pool(&board, &shared.pool, &config, ncpus);
    /* Who waits for an item to race with waits for those that go on, and not all of these wait. */
    POOL_REQUIRE(cma_dma_pool_grow(&shared.pool, 2 * POOL_HELD + 1, NULL) == 0, "grow");
    for (uint32_t i = 0; i < POOL_THREADS / 2; i++) {
        (void)pthread_barrier_init(&shared.pair[i], NULL, 2);
    }
    for (uint32_t i = 0; i < POOL_THREADS; i++) {
        workers[i] = (struct pool_worker){
            .shared = &shared, .ops = ops, .random = seed * 1000 + i, .index = i};
        POOL_REQUIRE(cma_dma_pool_lane_init(&workers[i].lane, &shared.pool) == 0, "lane");
        POOL_REQUIRE(pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]) == 0,
                     "no thread");
    }
    for (uint32_t i = 0; i < POOL_THREADS; i++) {
        pthread_join(workers[i].thread, NULL);
        POOL_REQUIRE(cma_dma_pool_lane_end(&workers[i].lane) == 0, "end of a lane");
        allocs += workers[i].allocs;
        refused += workers[i].refused;
        raced += workers[i].raced;
    }
    pool_end(&board, &shared.pool);
    for (uint32_t i = 0; i < POOL_THREADS / 2; i++) {
        (void)pthread_barrier_destroy(&shared.pair[i]);
    }
    free(storage);
    pool_board_end(&board);
    printf("%u threads, %u caches, %llu operations each, seed %llu: %llu allocations, %llu "
           "refused, %llu frees at once\n",
           POOL_THREADS, ncpus, (unsigned long long)ops, (unsigned long long)seed,
           (unsigned long long)allocs, (unsigned long long)refused, (unsigned long long)raced / 2);
    POOL_REQUIRE(ops < 5000 || (allocs > ops && refused > 0 && raced > 0), "nothing happened");
}

int main(int argc, char **argv)
{
    uint64_t ops = 20000, seed = 1;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--ops") == 0)
            ops = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 0);
        else
            return 2;
    }
    pool_round(ops, seed, 2);
    pool_round(ops, seed, 0);
    return 0;
}
