/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pages.c - one page allocated and freed, by one thread and by two
 *
 *   pair  allocate, free, again
 *   live  8,192 pages a thread are in use; a random one is freed and another one allocated
 * No look at the clock in between: nanoseconds a pair, the mean of the threads.
 */
#include "bench.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#define PAGES_LIVE 8192u

struct page_worker {
    const struct peer *peer;
    void *self;
    bool pair;
    int processor, nworkers;
    uint64_t steps, fails;
    atomic_int *ready, *running;
    double ns;
};

static inline void page_step(struct page_worker *worker, struct random *random, uint64_t *live)
{
    const struct peer *peer = worker->peer;
    uint64_t *slot = &live[0];

    if (!worker->pair) {
        slot = &live[random_below(random, PAGES_LIVE)];
        if (*slot != PEER_FAIL) {
            peer->release(worker->self, *slot, PEER_PAGE_NBYTES);
        }
    }
    *slot = peer->alloc(worker->self, PEER_PAGE_NBYTES, PEER_PAGE_NBYTES);
    if (*slot == PEER_FAIL) {
        worker->fails++;
    } else if (worker->pair) {
        peer->release(worker->self, *slot, PEER_PAGE_NBYTES);
    }
}

static void *page_run(void *argument)
{
    struct page_worker *worker = argument;
    struct random random = {7 + (uint64_t)worker->processor};
    uint64_t live[PAGES_LIVE];
    struct batches batches;

    clock_use_processor(worker->processor);
    for (uint32_t i = 0; i < PAGES_LIVE; i++) {
        live[i] = PEER_FAIL;
    }
    for (uint32_t i = 0; !worker->pair && i < PAGES_LIVE; i++) {
        live[i] = worker->peer->alloc(worker->self, PEER_PAGE_NBYTES, PEER_PAGE_NBYTES);
    }
    for (uint64_t i = 0; i < worker->steps / 4; i++) {
        page_step(worker, &random, live);
    }
    atomic_fetch_add(worker->ready, 1);
    while (atomic_load(worker->ready) < worker->nworkers) {
        sched_yield();
    }
    batches_begin(&batches, worker->steps);
    for (uint64_t i = 0; i < worker->steps; i++) {
        page_step(worker, &random, live);
        batches_step(&batches);
    }
    worker->ns = batches_seconds(&batches) * 1e9;
    atomic_fetch_sub(worker->running, 1);
    while (atomic_load(worker->running) > 0) {
        page_step(worker, &random, live);
    }
    for (uint32_t i = 0; !worker->pair && i < PAGES_LIVE; i++) {
        if (live[i] != PEER_FAIL) {
            worker->peer->release(worker->self, live[i], PEER_PAGE_NBYTES);
        }
    }
    return NULL;
}

static void pages_cell(const struct peer *peer, bool pair, int nworkers,
                       const struct options *options, int repetition)
{
    struct peer_config config = {.nthreads = (uint32_t)nworkers};
    atomic_int ready = 0, running = nworkers;
    void *self = peer->create(&config);
    struct page_worker workers[2];
    pthread_t threads[2];
    uint64_t fails = 0;
    double ns = 0;

    if (!self) {
        return;
    }
    for (int i = 0; i < nworkers; i++) {
        workers[i] = (struct page_worker){
            .peer = peer,
            .self = self,
            .pair = pair,
            .processor = i,
            .nworkers = nworkers,
            .steps = options->steps ? options->steps : 1000000,
            .ready = &ready,
            .running = &running,
        };
        if (pthread_create(&threads[i], NULL, page_run, &workers[i])) {
            bench_die("no thread", "pthread_create");
        }
    }
    for (int i = 0; i < nworkers; i++) {
        pthread_join(threads[i], NULL);
        ns += workers[i].ns / nworkers;
        fails += workers[i].fails;
    }
    output_begin("pages", peer, repetition);
    output_text("pattern", pair ? "pair" : "live");
    output_count("threads", (uint64_t)nworkers);
    output_count("n", workers[0].steps);
    output_number("ns", ns);
    output_count("fails", fails);
    output_end();
    peer->destroy(self);
}

int pages_cells(const struct options *options)
{
    for (uint32_t rep = 0; rep < options->repetitions; rep++) {
        for (int nworkers = 1; nworkers <= 2; nworkers++) {
            for (int pair = 1; pair >= 0; pair--) {
                for (uint32_t p = 0; p < options->npeers; p++) {
                    if (options->peers[p]->flags & PEER_PAGES) {
                        pages_cell(options->peers[p], pair, nworkers, options,
                                   (int)(options->first_repetition + rep));
                    }
                }
            }
        }
    }
    return 0;
}
