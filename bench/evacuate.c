/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * evacuate.c - a window full of movable pages is emptied, against memcpy alone
 *
 * All pages of a 64 MiB area are movable, and one request takes all of it. Then memcpy copies the
 * same pages to the same places in the same order, 4 KiB at a time. Both memories are in use
 * before, and the rounds alternate.
 */
#include "bench.h"

#include <string.h>

#define EVACUATE_MIB 64
#define EVACUATE_ROUNDS_MAX 99

static double evacuate_memcpy(const struct peer_world *world)
{
    double start = clock_seconds();

    for (uint64_t i = 0; i < world->nlog; i++) {
        memcpy(world->out + ((uint64_t)world->log[i].to << PEER_PAGE_SHIFT),
               world->memory + ((uint64_t)world->log[i].from << PEER_PAGE_SHIFT), PEER_PAGE_NBYTES);
        /* One copy at a time, whatever the compiler knows about loops of them. */
        __asm__ volatile("" ::: "memory");
    }
    return clock_seconds() - start;
}

static void evacuate_cell(const struct peer *peer, uint32_t rounds)
{
    uint64_t npages = EVACUATE_MIB << 8;
    struct peer_world *world = world_create(npages);
    struct peer_config config = {.area_nbytes = EVACUATE_MIB << 20, .nthreads = 1, .world = world};
    void *self = peer->create(&config);
    double ratios[EVACUATE_ROUNDS_MAX], own[EVACUATE_ROUNDS_MAX], plain[EVACUATE_ROUNDS_MAX];
    uint64_t refused = 0;

    if (!self) {
        bench_die("no area", peer->name);
    }
    world_attach(world, self, peer);
    world->log = bench_memory(npages * sizeof(*world->log));
    for (uint32_t i = 0; i < rounds; i++) {
        uint64_t handle;
        double start;

        world_refill(world, 100, 64);
        world->nlog = 0;
        start = clock_seconds();
        handle = peer->alloc(self, EVACUATE_MIB << 20, UINT64_C(1) << 20);
        own[i] = (clock_seconds() - start) * 1e9 / (double)npages;
        refused += handle == PEER_FAIL || world->nlog != npages;
        if (handle != PEER_FAIL) {
            peer->release(self, handle, EVACUATE_MIB << 20);
        }
        plain[i] = evacuate_memcpy(world) * 1e9 / (double)npages;
        ratios[i] = plain[i] / own[i];
    }
    output_begin("evacuate", peer, 0);
    output_count("mib", EVACUATE_MIB);
    output_count("rounds", rounds);
    output_count("incomplete", refused);
    output_number("ns_a_page", bench_median(own, rounds));
    output_number("memcpy_ns_a_page", bench_median(plain, rounds));
    output_number("rate_to_memcpy", bench_median(ratios, rounds));
    output_number("rate_to_memcpy_low", ratios[0]);
    output_number("rate_to_memcpy_high", ratios[rounds - 1]);
    output_end();
    bench_memory_free(world->log, npages * sizeof(*world->log));
    peer->destroy(self);
    world_destroy(world);
}

int evacuate_cells(const struct options *options)
{
    uint32_t rounds = options->repetitions;

    rounds = rounds < EVACUATE_ROUNDS_MAX ? rounds : EVACUATE_ROUNDS_MAX;
    for (uint32_t p = 0; p < options->npeers; p++) {
        if (options->peers[p]->flags & PEER_WORLD) {
            evacuate_cell(options->peers[p], rounds);
        }
    }
    return 0;
}
