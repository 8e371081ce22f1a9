/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stores.c - the simulator's movers under real threads, for the thread sanitizer
 *
 *     stores [--ops N] [--seed S]
 *
 * N operations a thread on page cache, anonymous pages and handles, while two threads claim parts
 * of the area that lends to them. Every byte is checked at the end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cma/cma.h>

#include "../../ports/sim/movers.h"

#define BASE 0x40000000u
#define AREA_NPAGES 512u
#define STORES 3
#define PAGES_MAX 900u

static const char *const names[STORES] = {"page cache", "anonymous", "handles"};

struct stores {
    struct sim *sim;
    struct cma_system system;
    struct sim_store *stores[STORES];
    uint64_t ops;
    uint32_t churners, claims; /* atomic */
};

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "stores: %s\n", what);
    exit(1);
}

static void stores_churn(void *arg)
{
    struct stores *all = arg;

    for (uint64_t i = 0; i < all->ops; i++) {
        uint64_t random = sim_random(all->sim);
        struct sim_store *store = all->stores[random % STORES];
        uint32_t id = (uint32_t)(random >> 16) % PAGES_MAX, unused;
        switch (random >> 8 & 7) {
        case 0: (void)sim_store_remove(store, id); break;
        case 1:
        case 2: (void)sim_store_add(store, &unused, NULL); break;
        case 3: (void)sim_store_writeback(store, id); break;
        case 4:
            if (sim_store_pin(store, id) == 0)
                require(sim_store_unpin(store, id) == 0, "a pin got lost");
            break;
        case 5: (void)sim_store_verify(store, id); break;
        default: (void)sim_store_rewrite(store, id);
        }
    }
    __atomic_fetch_sub(&all->churners, 1, __ATOMIC_RELEASE);
}

static void stores_claim(void *arg)
{
    struct stores *all = arg;
    struct cma_area *area = &all->system.areas[0];
    uint32_t owner = sim_self(all->sim);

    while (__atomic_load_n(&all->churners, __ATOMIC_ACQUIRE)) {
        struct cma_area_request request = {.npages = 1 + sim_random(all->sim) % 100,
                                           .owner = owner};
        cma_pfn_t pfn;
        if (cma_area_alloc(area, &request, &pfn, NULL) != 0)
            continue;
        sim_port(all->sim)->zero(all->sim, pfn << 12, request.npages << 12);
        require(cma_area_release(area, pfn, request.npages, owner) == 0, "release");
        __atomic_fetch_add(&all->claims, 1, __ATOMIC_RELAXED);
    }
}

static void *stores_init(struct stores *all, struct cma_map *map, uint64_t seed)
{
    static const struct sim_memory memory = {BASE, 8u << 20};
    struct sim_config config = {
        .seed = seed, .memory = &memory, .nmemory = 1, .scheduler = SIM_THREADS};
    struct cma_range area = {
        BASE + (4u << 20), AREA_NPAGES << 12, CMA_RANGE_AREA, CMA_RANGE_DEFAULT, "area", 0};

    all->sim = sim_create(&config);
    require(all->sim != NULL, "no simulation");
    require(cma_map_add_memory(map, memory.base, memory.nbytes, NULL) == 0 &&
                cma_map_reserve(map, &area, NULL) == 0,
            "map");
    struct cma_system_config machine = {.port = sim_port(all->sim), .block_order = 6};
    uint64_t nbytes = cma_system_size(map, &machine);
    void *storage = calloc(1, nbytes);
    require(cma_system_init(&all->system, map, &machine, storage, nbytes) == 0, "system");
    for (int i = 0; i < STORES; i++) {
        struct sim_store_config store = {.type = (enum sim_store_type)i,
                                         .name = names[i],
                                         .capacity = PAGES_MAX,
                                         .seed = (uint64_t)i};
        uint32_t id;
        all->stores[i] =
            sim_store_create(all->sim, &all->system.frames, &all->system.pages, &store);
        for (int n = 0; n < 640; n++)
            require(sim_store_add(all->stores[i], &id, NULL) == 0, "filling");
    }
    return storage;
}

int main(int argc, char **argv)
{
    struct stores all = {.ops = 2000, .churners = 4};
    struct cma_range memory[2], reserved[2];
    struct cma_map map;
    struct cma_violation violation;
    uint64_t seed = 1;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--ops") == 0)
            all.ops = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 0);
    }
    require(cma_map_init(&map, memory, 2, reserved, 2) == 0, "map");
    void *storage = stores_init(&all, &map, seed);
    for (int i = 0; i < 4; i++)
        sim_spawn(all.sim, "churn", stores_churn, &all);
    for (int i = 0; i < 2; i++)
        sim_spawn(all.sim, "claim", stores_claim, &all);
    sim_run(all.sim);

    uint64_t moved = 0, dropped = 0;
    for (int i = 0; i < STORES; i++) {
        struct sim_store_counts counts;
        require(sim_store_verify_all(all.stores[i]), "bytes were lost");
        sim_store_counts(all.stores[i], &counts);
        require(counts.lost_bytes == 0, "bytes were lost");
        moved += counts.moved;
        dropped += counts.dropped;
    }
    require(cma_system_check(&all.system, &violation), "a structure is wrong");
    printf("stores: %u claims, %llu pages moved, %llu dropped, 0 bytes lost\n",
           (unsigned)all.claims, (unsigned long long)moved, (unsigned long long)dropped);
    for (int i = 0; i < STORES; i++)
        sim_store_destroy(all.stores[i]);
    sim_destroy(all.sim);
    free(storage);
    return 0;
}
