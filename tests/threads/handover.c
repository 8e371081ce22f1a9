/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handover.c - many threads whose memory becomes devices', for the thread sanitizer
 *
 *     handover [--ops N] [--seed S]
 *
 * About N calls and accesses by four threads. Each has a device, and buffers with every kind of
 * mapping: linear and re-attributed, taken out of the linear mapping, in the consistent window. The
 * window is too small for all, but the first device has a share of it that was promised. Each tells
 * of mappings of its own meanwhile, takes memory that libcma does not allocate, and asks about
 * others'. What is wrong: a byte of a buffer, a refusal that should not be, two attributes on one
 * frame.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cma/handover.h>
#include <cma/system.h>

#include "../../ports/sim/sim.h"
#include "../../ports/sim/simdev.h"

#define BASE 0x40000000u
#define PAGE 4096u
#define THREADS 4u
#define HELD 3u
#define LINEAR_NPAGES 1024u
#define NPAGES 1536u
#define AREA_NPAGES 256u
#define OWN_NPAGES 4u /* that each thread takes by itself */

struct crowd {
    struct sim *sim;
    struct cma_map map;
    struct cma_system system;
    struct cma_window window;
    struct cma_device_promise promise;
    cma_paddr_t own;
    uint64_t rounds;
};

struct user {
    struct crowd *crowd;
    uint32_t number;
    struct cma_device low, high;
    struct simdev bus;
    struct cma_coherent held[HELD];
    struct cma_device *of[HELD];
    uint32_t nheld;
    uint64_t nserved, nrefused;
};

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "handover: FAILED: %s\n", what);
    exit(1);
}

static bool all_are(const uint8_t *bytes, uint64_t nbytes, uint8_t value)
{
    for (uint64_t i = 0; i < nbytes; i++)
        if (bytes[i] != value)
            return false;
    return true;
}

/* One page of it, somewhere. */
static void user_touch(struct user *user, const struct cma_coherent *buffer, bool fresh)
{
    struct sim *sim = user->crowd->sim;
    uint64_t npages = (buffer->nbytes + PAGE - 1) / PAGE;
    uint64_t at = sim_random(sim) % npages * PAGE;
    uint8_t bytes[PAGE], value = (uint8_t)(1 + user->number * 50 + sim_random(sim) % 50);

    if (fresh) {
        require(simdev_read(&user->bus, buffer->daddr + at, bytes, PAGE), "device reads");
        require(all_are(bytes, PAGE, 0), "a new buffer is zero");
    }
    memset(bytes, value, PAGE);
    require(simdev_write(&user->bus, buffer->daddr + at, bytes, PAGE), "device writes");
    if (buffer->vaddr == NULL)
        return;
    sim_read(sim, (uint8_t *)buffer->vaddr + at, bytes, PAGE);
    require(all_are(bytes, PAGE, value), "the CPU sees what the device wrote");
    memset(bytes, value ^ 0xff, PAGE);
    sim_write(sim, (uint8_t *)buffer->vaddr + at, bytes, PAGE);
    sim_port(sim)->dma_barrier(sim_port(sim)->ctx);
    require(simdev_read(&user->bus, buffer->daddr + at, bytes, PAGE), "device reads");
    require(all_are(bytes, PAGE, value ^ 0xff), "the device sees what the CPU wrote");
}

static void user_allocate(struct user *user)
{
    static const uint32_t flags[] = {0, 0, CMA_COHERENT_WRITE_COMBINE, CMA_COHERENT_NO_MAPPING};
    uint64_t random = sim_random(user->crowd->sim);
    struct cma_coherent_request request = {.nbytes = 1 + random % (4 * PAGE),
                                           .flags = flags[(random >> 32) % 4]};
    struct cma_device *device = (random >> 40 & 1) != 0 ? &user->low : &user->high;
    struct cma_coherent *buffer = &user->held[user->nheld];
    struct cma_refusal refusal;

    if (cma_dma_alloc_coherent(device, &request, buffer, &refusal) != 0) {
        require(refusal.reason == CMA_REASON_WINDOW && device == &user->high, "a refusal");
        require(user->number != 0, "what was promised is refused");
        user->nrefused++;
        return;
    }
    user_touch(user, buffer, true);
    user->of[user->nheld++] = device;
    user->nserved++;
}

static void user_free(struct user *user)
{
    struct cma_coherent *buffer = &user->held[--user->nheld];

    user_touch(user, buffer, false);
    require(cma_dma_free_coherent(user->of[user->nheld], buffer) == 0, "free");
}

/* Memory of the thread's own goes there and back, and mappings of it are told of. */
static void user_hand_over(struct user *user)
{
    struct crowd *crowd = user->crowd;
    struct cma_dma *dma = &crowd->system.dma;
    cma_paddr_t paddr = crowd->own + (uint64_t)user->number * OWN_NPAGES * PAGE;
    struct cma_mapping told = {
        .paddr = paddr, .nbytes = OWN_NPAGES * PAGE, .attr = CMA_ATTR_CACHED, .what = "mine"};
    struct cma_conflict conflict;
    void *vaddr;

    told.vaddr = sim_port(crowd->sim)->vaddr(crowd->sim, paddr);
    require(cma_handover_tell(dma, &told, NULL) == 0, "tell");
    require(cma_handover_take(dma, paddr, told.nbytes, CMA_ATTR_UNCACHED, false, &vaddr,
                              &conflict) == CMA_EEXIST &&
                strcmp(conflict.what, "mine") == 0,
            "what was told of is taken");
    require(cma_handover_forget(dma, &told) == 0, "forget");
    require(cma_handover_take(dma, paddr, told.nbytes, CMA_ATTR_UNCACHED, false, &vaddr, NULL) == 0,
            "take");
    require(cma_handover_tell(dma, &told, NULL) == CMA_EBADF, "told of what is not so");
    require(cma_handover_look(dma, paddr, told.nbytes, CMA_ATTR_CACHED, NULL) == CMA_EEXIST,
            "look");
    require(cma_handover_return(dma, paddr, told.nbytes, vaddr) == 0, "return");
}

static void user_run(void *arg)
{
    struct user *user = arg;
    struct crowd *crowd = user->crowd;
    struct cma_window_stats stats;

    for (uint64_t round = 0; round < crowd->rounds; round++) {
        uint64_t random = sim_random(crowd->sim) % 16;

        if (random == 0)
            user_hand_over(user);
        else if (random == 1)
            cma_window_stats(&crowd->window, &stats);
        else if (user->nheld == HELD || (user->nheld != 0 && random < 9))
            user_free(user);
        else
            user_allocate(user);
    }
    while (user->nheld != 0)
        user_free(user);
}

static void *crowd_init(struct crowd *crowd, uint64_t seed)
{
    static const struct sim_memory memory = {BASE, NPAGES * PAGE};
    static struct cma_range ranges[2], reserved[4];
    struct sim_config config = {.seed = seed,
                                .memory = &memory,
                                .nmemory = 1,
                                .linear_last = BASE + LINEAR_NPAGES * PAGE - 1,
                                .scheduler = SIM_THREADS};
    struct cma_range low = {.base = BASE + 256 * PAGE,
                            .nbytes = AREA_NPAGES * PAGE,
                            .kind = CMA_RANGE_AREA,
                            .name = "low"};
    struct cma_range high = {.base = BASE + 1152 * PAGE,
                             .nbytes = AREA_NPAGES * PAGE,
                             .kind = CMA_RANGE_AREA,
                             .name = "high"};
    struct cma_range own = {.base = BASE + 768 * PAGE,
                            .nbytes = THREADS * OWN_NPAGES * PAGE,
                            .kind = CMA_RANGE_RESERVED,
                            .name = "own"};
    struct cma_system_config machine = {.block_order = 6, .nslots = 16};
    static uint32_t window[256];
    uint64_t nbytes;
    void *storage;

    crowd->own = own.base;
    crowd->sim = sim_create(&config);
    require(crowd->sim != NULL, "no simulation");
    machine.port = sim_port(crowd->sim);
    require(cma_map_init(&crowd->map, ranges, 2, reserved, 4) == 0 &&
                cma_map_add_memory(&crowd->map, memory.base, memory.nbytes, NULL) == 0 &&
                cma_map_reserve(&crowd->map, &low, NULL) == 0 &&
                cma_map_reserve(&crowd->map, &high, NULL) == 0 &&
                cma_map_reserve(&crowd->map, &own, NULL) == 0,
            "map");
    nbytes = cma_system_size(&crowd->map, &machine);
    storage = aligned_alloc(64, (nbytes + 63) / 64 * 64);
    require(cma_system_init(&crowd->system, &crowd->map, &machine, storage, nbytes) == 0, "system");
    require(cma_window_size(machine.port, 24 * PAGE) <= sizeof(window) &&
                cma_window_init(&crowd->window, &crowd->system.dma, 24 * PAGE, window,
                                sizeof(window)) == 0,
            "window");
    return storage;
}

static void user_init(struct user *user, struct crowd *crowd, uint32_t number)
{
    struct simdev_config bus = {.name = "dev", .daddr_last = UINT64_MAX};
    struct cma_device_config config = {.name = "dev",
                                       .owner = 10 + number,
                                       .mask = UINT64_MAX,
                                       .coherent_mask = UINT64_MAX,
                                       .flags = CMA_DEVICE_AREA_ONLY};

    user->crowd = crowd;
    user->number = number;
    config.area = &crowd->system.areas[0];
    require(cma_device_init(&user->low, &crowd->system.dma, &config) == 0, "device");
    config.area = &crowd->system.areas[1];
    config.owner += THREADS;
    require(cma_device_init(&user->high, &crowd->system.dma, &config) == 0, "device");
    simdev_init(&user->bus, crowd->sim, &bus);
}

int main(int argc, char **argv)
{
    static struct crowd crowd;
    static struct user users[THREADS];
    struct cma_promise_request promised = {.nbytes = 4 * PAGE, .count = HELD};
    uint64_t ops = 20000, seed = 1, served = 0, refused = 0;
    struct cma_violation violation;
    cma_paddr_t paddr;
    void *storage;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--ops") == 0)
            ops = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 0);
    }
    /* A round is a call or two and some accesses. */
    crowd.rounds = ops / THREADS / 4 + 1;
    storage = crowd_init(&crowd, seed);
    for (uint32_t i = 0; i < THREADS; i++)
        user_init(&users[i], &crowd, i);
    require(cma_device_admit(&users[0].high, &crowd.system.guarantees, &crowd.promise, &promised,
                             NULL) == 0,
            "admission");
    for (uint32_t i = 0; i < THREADS; i++)
        sim_spawn(crowd.sim, "user", user_run, &users[i]);
    sim_run(crowd.sim);
    for (uint32_t i = 0; i < THREADS; i++) {
        served += users[i].nserved;
        refused += users[i].nrefused;
        require(users[i].low.live_npages == 0 && users[i].high.live_npages == 0, "pages are out");
    }
    require(cma_device_revoke(&users[0].high, &crowd.promise) == 0, "revoke");
    require(crowd.window.used_npages == 0 && crowd.window.reserved_npages == 0, "addresses");
    require(sim_check_aliases(crowd.sim, &paddr), "two attributes on one frame");
    require(cma_system_check(&crowd.system, &violation), "check");
    printf("handover: %llu buffers, %llu refused for want of addresses\n",
           (unsigned long long)served, (unsigned long long)refused);
    sim_destroy(crowd.sim);
    free(storage);
    return 0;
}
