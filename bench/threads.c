/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * threads.c - two threads on one area
 *
 * Each thread has its own buffers and its own random numbers, and is bound to a processor of its
 * own. A measurement is so many steps of each thread, timed by the thread itself; who is done first
 * goes on, untimed, until the other one is done too, so that no step is measured alone.
 *   one    one thread, half of the target
 *   shared two threads, each half of the target, one area
 *   apart  the same two threads with the same requests, each on an area of its own of that size
 * They are alternated, and the ratios are medians over the rounds.
 */
#include "bench.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

struct worker {
    struct load load;
    int processor;
    uint64_t steps;
    double rate; /* steps a second */
    atomic_int *ready, *running;
    int nworkers;
};

static void *worker_run(void *argument)
{
    struct worker *worker = argument;
    struct batches batches;

    clock_use_processor(worker->processor);
    load_fill(&worker->load);
    for (uint64_t i = 0; i < worker->steps / 10; i++) {
        load_step(&worker->load);
    }
    worker->load.fails = 0;
    atomic_fetch_add(worker->ready, 1);
    while (atomic_load(worker->ready) < worker->nworkers) {
        sched_yield();
    }
    batches_begin(&batches, worker->steps);
    for (uint64_t i = 0; i < worker->steps; i++) {
        load_step(&worker->load);
        batches_step(&batches);
    }
    worker->rate = 1 / batches_seconds(&batches);
    atomic_fetch_sub(worker->running, 1);
    while (atomic_load(worker->running) > 0) {
        load_step(&worker->load);
    }
    load_release_all(&worker->load);
    return NULL;
}

struct threads_cell {
    const struct peer *peer;
    uint64_t mib, steps;
    uint32_t occupancy;
    enum mix mix;
};

/* Steps a second of all threads; -1 when an area can't be had. */
static double threads_measure(const struct threads_cell *cell, int nworkers, int nareas,
                              uint64_t *fails)
{
    struct peer_config config = {.area_nbytes = cell->mib << 20,
                                 .nthreads = (uint32_t)(nworkers / nareas)};
    atomic_int ready = 0, running = nworkers;
    struct worker workers[2];
    pthread_t threads[2];
    void *areas[2] = {NULL, NULL};
    double rate = 0;

    for (int i = 0; i < nareas; i++) {
        areas[i] = cell->peer->create(&config);
        if (!areas[i]) {
            return -1;
        }
    }
    for (int i = 0; i < nworkers; i++) {
        struct worker *worker = &workers[i];

        *worker = (struct worker){
            .load = {.peer = cell->peer,
                     .self = areas[i % nareas],
                     .mix = cell->mix,
                     .random = {99 + (uint64_t)i},
                     .area_npages = cell->mib << 8,
                     .target_npages = (cell->mib << 8) * cell->occupancy / 200},
            .processor = i,
            .steps = cell->steps,
            .ready = &ready,
            .running = &running,
            .nworkers = nworkers,
        };
        live_init(&worker->load.live, worker->load.area_npages + 16);
        if (pthread_create(&threads[i], NULL, worker_run, worker)) {
            bench_die("no thread", "pthread_create");
        }
    }
    for (int i = 0; i < nworkers; i++) {
        pthread_join(threads[i], NULL);
        rate += workers[i].rate;
        *fails += workers[i].load.fails;
        live_free(&workers[i].load.live);
    }
    for (int i = 0; i < nareas; i++) {
        cell->peer->destroy(areas[i]);
    }
    return rate;
}

#define ROUNDS_MAX 64

static void threads_cell(const struct threads_cell *cell, uint32_t rounds)
{
    double one[ROUNDS_MAX], shared[ROUNDS_MAX], apart[ROUNDS_MAX];
    double to_one[ROUNDS_MAX], to_apart[ROUNDS_MAX];
    bool many = (cell->peer->flags & PEER_MANY) != 0;
    uint64_t fails = 0, other_fails = 0;
    double apart_ratio;

    for (uint32_t i = 0; i < rounds; i++) {
        one[i] = threads_measure(cell, 1, 1, &other_fails);
        shared[i] = threads_measure(cell, 2, 1, &fails);
        if (one[i] < 0 || shared[i] < 0) {
            return;
        }
        to_one[i] = shared[i] / one[i];
        apart[i] = many ? threads_measure(cell, 2, 2, &other_fails) : 0;
        to_apart[i] = many ? shared[i] / apart[i] : 0;
    }
    /* Sorted by that: the ends are the lowest and the highest round. */
    apart_ratio = bench_median(to_apart, rounds);
    output_begin("threads", cell->peer, 0);
    output_count("mib", cell->mib);
    output_text("mix", mix_names[cell->mix]);
    output_count("occupancy", cell->occupancy);
    output_count("rounds", rounds);
    output_count("n", cell->steps);
    output_number("one", bench_median(one, rounds));
    output_number("shared", bench_median(shared, rounds));
    output_number("shared_to_one", bench_median(to_one, rounds));
    if (many) {
        output_number("apart", bench_median(apart, rounds));
        output_number("shared_to_apart_low", to_apart[0]);
        output_number("shared_to_apart", apart_ratio);
        output_number("shared_to_apart_high", to_apart[rounds - 1]);
    }
    output_count("fails", fails);
    output_end();
}

int threads_cells(const struct options *options)
{
    uint32_t rounds = options->repetitions < ROUNDS_MAX ? options->repetitions : ROUNDS_MAX;

    for (uint64_t a = 0; a < options->nmib; a++) {
        for (uint32_t m = 0; m < MIX_COUNT; m++) {
            for (uint32_t p = 0; options->mixes[m] && p < options->npeers; p++) {
                const struct peer *peer = options->peers[p];

                for (uint32_t o = 0;
                     area_wanted(options, peer, options->mib[a]) && o < options->noccupancies;
                     o++) {
                    struct threads_cell cell = {
                        .peer = peer,
                        .mib = options->mib[a],
                        .mix = (enum mix)m,
                        .occupancy = options->occupancy[o],
                        .steps = options->steps ? options->steps : 50000,
                    };
                    threads_cell(&cell, rounds);
                }
            }
        }
    }
    return 0;
}
