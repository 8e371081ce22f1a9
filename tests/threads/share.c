/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * share.c - many threads on one shared buffer, for the thread sanitizer
 *
 *     share [--ops N] [--seed S]
 *
 * About N calls by each of four threads. In each round they share one buffer, whose handle is on
 * the host's heap: each holds it, attaches a device, maps, transfers, looks with the CPU, and lets
 * go, in an order of its own. `release` frees the handle, so who still looks at it is seen; it must
 * be called once, after the last. What is in the buffer changes hands under a lock, as drivers
 * agree; calls that only turn it over come at any time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cma/share.h>
#include <cma/system.h>

#include "../../ports/sim/sim.h"
#include "../../ports/sim/simdev.h"

#define BASE 0x40000000u
#define THREADS 4u
#define NBYTES 320u
#define CALLS_A_ROUND 24u

struct crowd {
    struct sim *sim;
    struct cma_map map;
    struct cma_system system;
    struct cma_device devices[THREADS];
    struct simdev buses[THREADS];
    cma_paddr_t paddr;
    struct sim_mutex users;
    struct cma_shared *shared; /* of this round */
    uint64_t rounds, released; /* the second: plain, for who releases is alone */
    uint32_t arrived, next;    /* atomic */
};

struct user {
    struct crowd *crowd;
    uint32_t number;
};

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "share: FAILED: %s\n", what);
    exit(1);
}

static void crowd_release(void *ctx, struct cma_shared *shared)
{
    struct crowd *crowd = ctx;

    require(shared == crowd->shared, "another handle");
    memset(shared, 0xdd, sizeof(*shared));
    free(shared);
    crowd->shared = NULL;
    crowd->released++;
}

/* All are here: the last makes the next round's handle, which all hold already. */
static void crowd_meet(struct crowd *crowd, uint64_t round)
{
    struct cma_shared_config config = {
        .paddr = crowd->paddr, .nbytes = NBYTES, .release = crowd_release, .ctx = crowd};

    if (__atomic_add_fetch(&crowd->arrived, 1, __ATOMIC_ACQ_REL) % THREADS == 0) {
        require(crowd->released == round && crowd->shared == NULL, "released once a round");
        crowd->shared = calloc(1, sizeof(*crowd->shared));
        require(cma_shared_init(crowd->shared, &crowd->system.dma, &config) == 0, "init");
        for (uint32_t i = 1; i < THREADS; i++)
            require(cma_shared_hold(crowd->shared) == 0, "hold");
        __atomic_store_n(&crowd->next, (uint32_t)round + 1, __ATOMIC_RELEASE);
    }
    while (__atomic_load_n(&crowd->next, __ATOMIC_ACQUIRE) <= (uint32_t)round)
        sim_yield(crowd->sim);
}

static void user_fill(struct user *user, uint8_t *bytes)
{
    memset(bytes, (int)(sim_random(user->crowd->sim) & 0xff), NBYTES);
}

/* The device writes, the CPU reads. */
static void user_receive(struct user *user, struct cma_attachment *at)
{
    struct crowd *crowd = user->crowd;
    uint8_t sent[NBYTES], got[NBYTES];
    cma_daddr_t daddr;
    int error;

    user_fill(user, sent);
    while ((error = cma_shared_map(at, CMA_FROM_DEVICE, &daddr)) == CMA_EBUSY)
        sim_yield(crowd->sim);
    require(error == 0, "map for writing");
    require(simdev_write(&crowd->buses[user->number], daddr, sent, NBYTES), "device writes");
    require(cma_shared_unmap(at) == 0, "unmap");
    require(cma_shared_cpu_begin(at->shared, CMA_FROM_DEVICE) == 0, "begin");
    sim_read_paddr(crowd->sim, crowd->paddr, got, NBYTES);
    require(cma_shared_cpu_end(at->shared, CMA_FROM_DEVICE) == 0, "end");
    require(memcmp(sent, got, NBYTES) == 0, "the CPU sees what the device wrote");
}

/* The CPU writes, the device reads. */
static void user_send(struct user *user, struct cma_attachment *at)
{
    struct crowd *crowd = user->crowd;
    uint8_t sent[NBYTES], got[NBYTES];
    cma_daddr_t daddr;

    user_fill(user, sent);
    require(cma_shared_cpu_begin(at->shared, CMA_TO_DEVICE) == 0, "begin to write");
    sim_write_paddr(crowd->sim, crowd->paddr, sent, NBYTES);
    require(cma_shared_cpu_end(at->shared, CMA_TO_DEVICE) == 0, "end of writing");
    require(cma_shared_map(at, CMA_TO_DEVICE, &daddr) == 0, "map for reading");
    require(simdev_read(&crowd->buses[user->number], daddr, got, NBYTES), "device reads");
    require(cma_shared_unmap(at) == 0, "unmap");
    require(memcmp(sent, got, NBYTES) == 0, "the device sees what the CPU wrote");
}

/* Whatever others do meanwhile. */
static void user_turn_over(struct user *user, struct cma_attachment *at)
{
    uint64_t random = sim_random(user->crowd->sim);
    cma_daddr_t daddr;
    int error;

    if ((random & 1) != 0) {
        error = cma_shared_map(at, CMA_TO_DEVICE, &daddr);
        require(error == 0 || error == CMA_EBUSY, "map");
        if (error == 0)
            require(cma_shared_detach(at) == CMA_EBUSY && cma_shared_unmap(at) == 0, "unmap");
    } else {
        require(cma_shared_cpu_begin(at->shared, CMA_FROM_DEVICE) == 0 &&
                    cma_shared_cpu_end(at->shared, CMA_FROM_DEVICE) == 0,
                "look");
    }
}

static void user_round(struct user *user, uint64_t random)
{
    struct crowd *crowd = user->crowd;
    struct cma_attachment at;

    require(cma_shared_attach(crowd->shared, &at, &crowd->devices[user->number], NULL) == 0,
            "attach");
    if ((random & 1) != 0)
        require(cma_shared_put(at.shared) == 0, "put first");
    for (uint32_t i = 0; i < 3; i++) {
        if ((random >> (8 + i) & 1) != 0) {
            user_turn_over(user, &at);
            continue;
        }
        sim_lock(crowd->sim, &crowd->users);
        if ((random >> (16 + i) & 1) != 0)
            user_send(user, &at);
        else
            user_receive(user, &at);
        sim_unlock(crowd->sim, &crowd->users);
    }
    if ((random & 2) != 0)
        require(cma_shared_hold(at.shared) == 0 && cma_shared_put(at.shared) == 0, "hold");
    struct cma_shared *shared = at.shared;
    require(cma_shared_detach(&at) == 0, "detach");
    if ((random & 1) == 0)
        require(cma_shared_put(shared) == 0, "put last");
}

static void user_run(void *arg)
{
    struct user *user = arg;

    for (uint64_t round = 0; round < user->crowd->rounds; round++) {
        crowd_meet(user->crowd, round);
        user_round(user, sim_random(user->crowd->sim));
    }
}

static void *crowd_init(struct crowd *crowd, uint64_t seed)
{
    static const struct sim_memory memory = {BASE, 4u << 20};
    static struct cma_range ranges[2], reserved[2];
    struct sim_config config = {
        .seed = seed, .memory = &memory, .nmemory = 1, .scheduler = SIM_THREADS};
    struct cma_pages_request request = {.npages = 1, .holder = {CMA_KIND_UNMOVABLE, 0, 9}};
    struct cma_system_config machine = {.block_order = 6};
    void *storage;
    uint64_t nbytes;
    cma_pfn_t pfn;

    crowd->sim = sim_create(&config);
    require(crowd->sim != NULL, "no simulation");
    machine.port = sim_port(crowd->sim);
    require(cma_map_init(&crowd->map, ranges, 2, reserved, 2) == 0 &&
                cma_map_add_memory(&crowd->map, memory.base, memory.nbytes, NULL) == 0,
            "map");
    nbytes = cma_system_size(&crowd->map, &machine);
    storage = calloc(1, nbytes);
    require(cma_system_init(&crowd->system, &crowd->map, &machine, storage, nbytes) == 0, "system");
    require(cma_pages_alloc(&crowd->system.pages, &request, &pfn, NULL) == 0, "page");
    crowd->paddr = pfn << 12;
    for (uint32_t i = 0; i < THREADS; i++) {
        struct cma_device_config device = {.name = "device",
                                           .owner = i + 1,
                                           .mask = UINT64_MAX,
                                           .flags = i == 3 ? CMA_DEVICE_COHERENT : 0};
        struct simdev_config hardware = {.name = "device", .snoops = i == 3};

        require(cma_device_init(&crowd->devices[i], &crowd->system.dma, &device) == 0, "device");
        simdev_init(&crowd->buses[i], crowd->sim, &hardware);
    }
    return storage;
}

int main(int argc, char **argv)
{
    struct crowd crowd = {.rounds = 100};
    struct user users[THREADS];
    uint64_t seed = 1;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--ops") == 0 && i + 1 < argc)
            crowd.rounds = strtoull(argv[++i], NULL, 0) / CALLS_A_ROUND + 1;
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 0);
        else
            return fprintf(stderr, "usage: share [--ops N] [--seed S]\n"), 2;
    }
    void *storage = crowd_init(&crowd, seed);
    for (uint32_t i = 0; i < THREADS; i++) {
        users[i] = (struct user){&crowd, i};
        sim_spawn(crowd.sim, "user", user_run, &users[i]);
    }
    sim_run(crowd.sim);
    require(crowd.released == crowd.rounds && crowd.shared == NULL, "released once a round");
    printf("share: %llu buffers, each shared by %u threads and devices and released once\n",
           (unsigned long long)crowd.rounds, THREADS);
    sim_destroy(crowd.sim);
    free(storage);
    return 0;
}
