/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pools.c - items of one size handed out and taken back, by one thread and by two
 *
 *   pair       hand out, take back, again
 *   all        8,192 are handed out, then all taken back in order (Linux's dmapool_test)
 *   live256    so many are live; a random one goes and another one comes
 *   live65536  the same
 * Two threads, each with so many, on one pool (`shared`) and on pools of their own (`apart`). No
 * look at the clock in between: nanoseconds a call, the mean of the threads; `ns` by the wall, the
 * median batch, `cpu_ns` of the threads' own time, all of it: where others want the processors too,
 * two threads may hardly run at once, but what they cost each other when they do is in that. The
 * driver's own table has 24 bytes an item for everybody, and is not the only thing that misses the
 * cache.
 */
#include "bench.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define POOLS_ALL 8192u
#define POOLS_LIVE_MAX 65536u

static const struct pools_pattern {
    const char *name;
    uint32_t live; /* 0: none */
    uint32_t run;  /* handed out, and then taken back */
} pools_patterns[] = {
    {"pair", 0, 1}, {"all", 0, POOLS_ALL}, {"live256", 256, 0}, {"live65536", POOLS_LIVE_MAX, 0}};
#define POOLS_PATTERNS (sizeof(pools_patterns) / sizeof(pools_patterns[0]))

struct pools_worker {
    const struct peer *peer;
    const struct pools_pattern *pattern;
    void *self;
    int processor, nworkers;
    uint64_t steps, fails;
    atomic_int *ready, *running;
    struct peer_item *items;
    double ns, cpu_ns;
};

/* Of this thread. */
static double pools_cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static inline void pools_get(struct pools_worker *worker, struct peer_item *item)
{
    if (!worker->peer->get(worker->self, item)) {
        item->vaddr = NULL;
        worker->fails++;
    }
}

static inline void pools_put(struct pools_worker *worker, const struct peer_item *item)
{
    if (item->vaddr) {
        worker->peer->put(worker->self, item);
    }
}

/* One item handed out and one taken back; in runs, so many times as the run has items. */
static inline void pools_step(struct pools_worker *worker, struct random *random)
{
    if (worker->pattern->live) {
        struct peer_item *item = &worker->items[random_below(random, worker->pattern->live)];

        pools_put(worker, item);
        pools_get(worker, item);
        return;
    }
    for (uint32_t i = 0; i < worker->pattern->run; i++) {
        pools_get(worker, &worker->items[i]);
    }
    for (uint32_t i = 0; i < worker->pattern->run; i++) {
        pools_put(worker, &worker->items[i]);
    }
}

static void *pools_run(void *argument)
{
    struct pools_worker *worker = argument;
    struct random random = {7 + (uint64_t)worker->processor};
    uint32_t run = worker->pattern->live ? 1 : worker->pattern->run;
    uint64_t steps = worker->steps / run < 200 ? 200 : worker->steps / run;
    struct batches batches;

    clock_use_processor(worker->processor);
    for (uint32_t i = 0; i < worker->pattern->live; i++) {
        pools_get(worker, &worker->items[i]);
    }
    for (uint64_t i = 0; i < steps / 2; i++) {
        pools_step(worker, &random);
    }
    atomic_fetch_add(worker->ready, 1);
    while (atomic_load(worker->ready) < worker->nworkers) {
        sched_yield();
    }
    worker->cpu_ns = -pools_cpu_ns();
    batches_begin(&batches, steps);
    for (uint64_t i = 0; i < steps; i++) {
        pools_step(worker, &random);
        batches_step(&batches);
    }
    worker->cpu_ns = (worker->cpu_ns + pools_cpu_ns()) / (double)steps / 2 / run;
    worker->ns = batches_seconds(&batches) * 1e9 / 2 / run;
    atomic_fetch_sub(worker->running, 1);
    while (atomic_load(worker->running) > 0) {
        pools_step(worker, &random);
    }
    for (uint32_t i = 0; i < worker->pattern->live; i++) {
        pools_put(worker, &worker->items[i]);
    }
    return NULL;
}

static void pools_cell(const struct peer *peer, uint64_t nbytes,
                       const struct pools_pattern *pattern, const char *threads,
                       const struct options *options, int repetition)
{
    struct peer_config config = {.item_nbytes = nbytes};
    int nworkers = strcmp(threads, "one") ? 2 : 1;
    atomic_int ready = 0, running = nworkers;
    struct pools_worker workers[2];
    pthread_t ids[2];
    uint64_t fails = 0;
    double ns = 0, cpu_ns = 0;

    config.nthreads = strcmp(threads, "shared") ? 1 : 2;
    config.nitems = config.nthreads * (POOLS_LIVE_MAX + 1024);
    for (int i = 0; i < nworkers; i++) {
        workers[i] = (struct pools_worker){
            .peer = peer,
            .pattern = pattern,
            .self = i && !strcmp(threads, "shared") ? workers[0].self : peer->create(&config),
            .processor = i,
            .nworkers = nworkers,
            .steps = options->steps ? options->steps : 1000000,
            .ready = &ready,
            .running = &running,
            .items = bench_memory(POOLS_LIVE_MAX * sizeof(struct peer_item)),
        };
        if (!workers[i].self) {
            bench_die("no pool", peer->name);
        }
    }
    for (int i = 0; i < nworkers; i++) {
        if (pthread_create(&ids[i], NULL, pools_run, &workers[i])) {
            bench_die("no thread", "pthread_create");
        }
    }
    for (int i = 0; i < nworkers; i++) {
        pthread_join(ids[i], NULL);
        ns += workers[i].ns / nworkers;
        cpu_ns += workers[i].cpu_ns / nworkers;
        fails += workers[i].fails;
        bench_memory_free(workers[i].items, POOLS_LIVE_MAX * sizeof(struct peer_item));
    }
    output_begin("pools", peer, repetition);
    output_count("nbytes", nbytes);
    output_text("pattern", pattern->name);
    output_text("threads", threads);
    output_number("ns", ns);
    output_number("cpu_ns", cpu_ns);
    output_count("fails", fails);
    output_end();
    for (int i = 0; i < nworkers; i++) {
        if (!i || workers[i].self != workers[0].self) {
            peer->destroy(workers[i].self);
        }
    }
}

int pools_cells(const struct options *options)
{
    static const uint64_t sizes[] = {64, 256, 1024};
    static const char *const threads[] = {"one", "shared", "apart"};

    for (uint32_t cell = 0; cell < options->repetitions * 3 * POOLS_PATTERNS * 3; cell++) {
        for (uint32_t p = 0; p < options->npeers; p++) {
            if (options->peers[p]->flags & PEER_POOL) {
                pools_cell(options->peers[p], sizes[cell / POOLS_PATTERNS / 3 % 3],
                           &pools_patterns[cell / 3 % POOLS_PATTERNS], threads[cell % 3], options,
                           (int)(options->first_repetition + cell / POOLS_PATTERNS / 9));
            }
        }
    }
    return 0;
}
