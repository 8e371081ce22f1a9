/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * host.c - examples/host under real threads, for the thread sanitizer
 *
 *     host [--ops N] [--seed S]
 *
 * N operations a thread on the cache of a host that is nearly full, while two threads claim parts
 * of the area that lends to it, and a third one pins pages out of it. At the end every byte is
 * checked, and every list against every other.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../examples/host/board.h"

#define OBJECTS 1400u

struct host_run {
    struct board board;
    uint64_t ops;
    uint32_t churners, claims, pins; /* atomic */
};

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "host: %s\n", what);
    exit(1);
}

static void host_churn(void *arg)
{
    struct host_run *run = arg;
    struct cache *cache = &run->board.cache;
    bool good = true;

    for (uint64_t i = 0; i < run->ops && good; i++) {
        uint64_t random = sim_random(run->board.sim);
        uint32_t id = (uint32_t)(random >> 16) % OBJECTS;
        int error = 0;

        switch (random >> 8 & 7) {
        case 0:
        case 1: error = cache_remove(cache, id, &good); break;
        case 2: good = cache_verify(cache, id); break;
        case 3: error = random >> 11 & 1 ? cache_write(cache, id) : 0; break;
        default: (void)cache_add(cache, id, (random >> 11 & 3) == 0);
        }
        require(error == 0, "remove or write");
    }
    require(good, "bytes were lost");
    __atomic_fetch_sub(&run->churners, 1, __ATOMIC_RELEASE);
}

static void host_claim(void *arg)
{
    struct host_run *run = arg;
    uint32_t owner = sim_self(run->board.sim);

    while (__atomic_load_n(&run->churners, __ATOMIC_ACQUIRE)) {
        struct cma_area_request request = {.npages = 1 + sim_random(run->board.sim) % 100,
                                           .owner = owner};
        cma_pfn_t pfn;

        if (cma_area_alloc(&run->board.area, &request, &pfn, NULL) != 0)
            continue;
        sim_port(run->board.sim)->zero(run->board.sim, pfn << 12, request.npages << 12);
        require(cma_area_release(&run->board.area, pfn, request.npages, owner) == 0, "release");
        __atomic_fetch_add(&run->claims, 1, __ATOMIC_RELAXED);
    }
}

/* The pinned page is the host's, and the host does not count pins here: nothing to undo. */
static void host_pin(void *arg)
{
    struct host_run *run = arg;

    while (__atomic_load_n(&run->churners, __ATOMIC_ACQUIRE)) {
        cma_pfn_t pfn = run->board.first + sim_random(run->board.sim) % run->board.host.npages;
        cma_pfn_t pinned;

        if (cma_frame_pin(&run->board.frames, pfn, &pinned) == 0)
            __atomic_fetch_add(&run->pins, 1, __ATOMIC_RELAXED);
        sim_yield(run->board.sim);
    }
}

int main(int argc, char **argv)
{
    static struct host_run run = {.ops = 2000, .churners = 3};
    struct board_config config = {.npages = 1200,
                                  .low_npages = 200,
                                  .area_first = 300,
                                  .area_npages = 512,
                                  .block_order = 6,
                                  .nobjects = OBJECTS,
                                  .threads = true,
                                  .seed = 1};
    const char *wrong;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--ops") == 0)
            run.ops = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--seed") == 0)
            config.seed = strtoull(argv[i + 1], NULL, 0);
    }
    board_make(&run.board, &config);
    require(run.board.glue.ops.floor(&run.board.glue, CMA_PADDR_MAX, 40) == 0, "floor");
    for (uint32_t id = 0; id < OBJECTS; id++)
        (void)cache_add(&run.board.cache, id, id % 4 == 0);
    for (uint32_t i = 0, churners = run.churners; i < churners; i++)
        sim_spawn(run.board.sim, "churn", host_churn, &run);
    for (int i = 0; i < 2; i++)
        sim_spawn(run.board.sim, "claim", host_claim, &run);
    sim_spawn(run.board.sim, "pin", host_pin, &run);
    sim_run(run.board.sim);

    for (uint32_t id = 0; id < OBJECTS; id++)
        require(cache_verify(&run.board.cache, id), "bytes were lost");
    wrong = board_check(&run.board);
    require(wrong == NULL, wrong);
    require(run.claims > 0 && run.board.cache.moved > 0 && run.board.cache.dropped > 0,
            "nothing happened");
    printf("host: %u claims, %u pages moved (%u for pins), %u dropped, 0 bytes lost\n", run.claims,
           run.board.cache.moved, run.pins, run.board.cache.dropped);
    board_end(&run.board);
    return 0;
}
