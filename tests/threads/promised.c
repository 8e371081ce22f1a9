/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * promised.c - coherent buffers that devices were promised, through the DMA calls
 *
 *     promised [--ops N] [--seed S]
 *
 * N / 128 allocations, by two threads, of four devices: one that does not snoop the CPU's caches,
 * one that does, with an offset on its bus, an alignment and a boundary, and two that are never
 * open together. The same threads and two more are the crowd (support/crowd.h).
 *
 * Each allocation must succeed, from what the device was promised and not from elsewhere, must be
 * zero to its end, and may not cost more than its bound in any of the five counts, which the port's
 * hooks and the movers count for the thread that allocates: copies, discards, pages zeroed and
 * cleaned, pages whose attributes are changed, flushes of the TLB. A quarter as many without
 * promises: they are refused often, and how often is printed beside.
 */
#include "../support/crowd.h"

#include <cma/dma.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHIFT 12
#define PAGE (UINT64_C(1) << SHIFT)
#define DEVICES 4u
#define PROMISES 2u /* of a device, at most */
#define BUFFERS 5u  /* of a promise, at most */
#define THREADS 2u
#define CROWD_THREADS 2u
#define CROWD_STEPS 4u
#define GROUP_FIRST 2u                  /* of the devices: from here on they are a group's */
#define GROUP_NPAGES 64u                /* of its longest block, which all its slots may have */
#define BUS_OFFSET UINT64_C(0x30004000) /* daddr = paddr - this, of the second device */
#define FLUSHES_MORE 1u                 /* for the attributes that were changed */

static const struct {
    const char *name;
    uint32_t thread, area, flags;
    struct cma_promise_request promises[PROMISES];
} plans[DEVICES] = {
    {"plain",
     0,
     0,
     CMA_DEVICE_AREA_ONLY,
     {{.nbytes = 8 * PAGE, .count = 5, .max_moves = 2}, {.nbytes = 20 * PAGE, .count = 2}}},
    {"snooping",
     1,
     1,
     CMA_DEVICE_AREA_ONLY | CMA_DEVICE_COHERENT,
     {{.nbytes = 16 * PAGE - 7,
       .count = 3,
       .align_nbytes = 16 * PAGE,
       .boundary_nbytes = 256 * PAGE}}},
    {"camera",
     1,
     1,
     CMA_DEVICE_AREA_ONLY,
     {{.nbytes = GROUP_NPAGES * PAGE, .count = 1, .max_moves = 8}}},
    {"encoder", 1, 1, CMA_DEVICE_AREA_ONLY, {{.nbytes = 32 * PAGE, .count = 2, .max_moves = 6}}},
};

struct buffer {
    struct cma_coherent coherent;
    struct crowd_run run; /* stamp 0: none */
};

struct dma {
    struct machine machine;
    struct cma_dma layer;
    struct cma_bus_window window;
    struct cma_guarantee_group group;
    struct cma_device devices[DEVICES];
    struct cma_device_promise promises[DEVICES][PROMISES];
    struct buffer buffers[DEVICES][PROMISES][BUFFERS];
    struct crowd crowd[THREADS + CROWD_THREADS];
    pthread_t threads[THREADS];
    bool promised; /* or else the control */
    uint64_t ops;  /* allocations, each thread's */
    uint32_t stop;
};

struct user {
    struct dma *dma;
    uint32_t number;
    uint64_t allocs, refused;
    struct machine_work worst;
};

static uint64_t user_below(struct user *user, uint64_t n)
{
    return (machine_random(&user->dma->crowd[user->number].random) >> 8) % n;
}

/* --- one allocation ------------------------------------------------------------------------ */

static void user_worst(uint64_t *worst, uint64_t now)
{
    *worst = now > *worst ? now : *worst;
}

/* Returns what was above its bound, or NULL. */
static const char *user_above(struct user *user, uint32_t device, uint32_t promise, uint64_t npages)
{
    const struct cma_promise_request *request = &plans[device].promises[promise];
    bool snoops = (plans[device].flags & CMA_DEVICE_COHERENT) != 0;
    uint64_t batches = (request->max_moves + CMA_GUARANTEE_BATCH - 1) / CMA_GUARANTEE_BATCH;
    uint64_t most = (request->nbytes + PAGE - 1) >> SHIFT;
    const struct machine_work *work = &machine_work;

    user_worst(&user->worst.copied, work->copied);
    user_worst(&user->worst.dropped, work->dropped);
    user_worst(&user->worst.flushes, work->flushes);
    user_worst(&user->worst.zeroed, work->zeroed);
    user_worst(&user->worst.cleaned, work->cleaned);
    user_worst(&user->worst.invalidated, work->invalidated);
    user_worst(&user->worst.attributes, work->attributes);
    user_worst(&user->worst.attr_calls, work->attr_calls);
    if (work->copied > request->max_moves)
        return "copies";
    if (work->dropped > (device < GROUP_FIRST ? most : GROUP_NPAGES))
        return "drops";
    if (work->flushes > batches + 1 + (snoops ? 0 : FLUSHES_MORE))
        return "flushes";
    if (work->zeroed < npages || work->zeroed > most)
        return "zeroed";
    if (snoops)
        return work->cleaned + work->attributes + work->invalidated == 0 ? NULL : "snooping";
    if (work->cleaned != work->zeroed || work->invalidated != 2 * work->zeroed)
        return "cleaned";
    return work->attributes == work->zeroed && work->attr_calls == 1 ? NULL : "attributes";
}

static void user_require(struct user *user, uint32_t device, uint32_t promise,
                         const struct buffer *buffer)
{
    const struct cma_promise_request *request = &plans[device].promises[promise];
    const struct cma_coherent *coherent = &buffer->coherent;
    uint64_t last = coherent->daddr + buffer->run.npages * PAGE - 1;
    const char *above;

    for (uint32_t i = 0; i < buffer->run.npages; i++) {
        static const uint64_t zeroes[MACHINE_WORDS];
        cma_pfn_t pfn = buffer->run.pfn + i;
        struct machine *machine = &user->dma->machine;

        MACHINE_REQUIRE(memcmp(machine->memory[pfn - machine->base], zeroes, sizeof zeroes) == 0,
                        "page %u of a buffer of %s is not zero", i, plans[device].name);
    }
    MACHINE_REQUIRE(coherent->daddr == coherent->paddr - (device == 1 ? BUS_OFFSET : 0),
                    "an address on the bus is wrong");
    if (!user->dma->promised)
        return;
    above = user_above(user, device, promise, buffer->run.npages);
    MACHINE_REQUIRE(above == NULL, "an allocation of %s is above its bound: %s", plans[device].name,
                    above);
    MACHINE_REQUIRE(coherent->source == CMA_SOURCE_GUARANTEE,
                    "a buffer of %s is not from what was promised", plans[device].name);
    MACHINE_REQUIRE(request->align_nbytes == 0 || coherent->daddr % request->align_nbytes == 0,
                    "a buffer of %s is not aligned", plans[device].name);
    MACHINE_REQUIRE(request->boundary_nbytes == 0 || coherent->daddr / request->boundary_nbytes ==
                                                         last / request->boundary_nbytes,
                    "a buffer of %s crosses its boundary", plans[device].name);
}

static void user_alloc(struct user *user, uint32_t device, uint32_t promise, struct buffer *buffer)
{
    const struct cma_promise_request *promised = &plans[device].promises[promise];
    /* What is too large for the smaller promise goes to the larger one. */
    uint64_t least = promise == 0 ? 1 : plans[device].promises[promise - 1].nbytes + 1;
    struct cma_coherent_request request = {.nbytes = promised->nbytes,
                                           .align_nbytes = promised->align_nbytes,
                                           .boundary_nbytes = promised->boundary_nbytes};
    struct cma_refusal refusal;
    int error;

    if (user_below(user, 3) == 0)
        request.nbytes = least + user_below(user, promised->nbytes - least + 1);
    machine_work = (struct machine_work){0};
    error = cma_dma_alloc_coherent(&user->dma->devices[device], &request, &buffer->coherent,
                                   user->dma->promised ? &refusal : NULL);
    user->allocs++;
    user->refused += error != 0;
    MACHINE_REQUIRE(error == 0 || !user->dma->promised, "%llu bytes for %s: %s (%s)",
                    (unsigned long long)request.nbytes, plans[device].name, cma_strerror(error),
                    cma_reason_name(refusal.reason));
    if (error != 0)
        return;
    MACHINE_REQUIRE(buffer->coherent.nbytes == request.nbytes, "a buffer of another size");
    buffer->run.pfn = buffer->coherent.paddr >> SHIFT;
    buffer->run.npages = (uint32_t)((request.nbytes + PAGE - 1) >> SHIFT);
    user_require(user, device, promise, buffer);
    buffer->run.stamp = machine_random(&user->dma->crowd[user->number].random) | 1;
    crowd_fill(&user->dma->machine, &buffer->run);
}

static void user_free(struct dma *dma, uint32_t device, struct buffer *buffer)
{
    struct cma_coherent wrong = buffer->coherent;
    int error;

    crowd_require(&dma->machine, &buffer->run, "a coherent buffer");
    wrong.paddr += PAGE;
    error = cma_dma_free_coherent(&dma->devices[device], &wrong);
    MACHINE_REQUIRE(error != 0, "an address inside of a buffer could be freed");
    error = cma_dma_free_coherent(&dma->devices[device], &buffer->coherent);
    MACHINE_REQUIRE(error == 0, "free: %s", cma_strerror(error));
    buffer->run.stamp = 0;
}

/* --- threads ------------------------------------------------------------------------------- */

static bool user_open(const struct dma *dma, uint32_t device)
{
    for (uint32_t i = 0; i < BUFFERS; i++) {
        if (dma->buffers[device][0][i].run.stamp != 0)
            return true;
    }
    return false;
}

static void *user_run(void *arg)
{
    struct user *user = arg;
    struct dma *dma = user->dma;

    while (user->allocs < dma->ops) {
        uint32_t device = (uint32_t)user_below(user, DEVICES);
        uint32_t promise = (uint32_t)user_below(user, PROMISES);
        uint32_t index = (uint32_t)user_below(user, BUFFERS);
        struct buffer *buffer = &dma->buffers[device][promise][index];
        for (uint64_t i = user_below(user, CROWD_STEPS + 1); i > 0; i--)
            crowd_step(&dma->crowd[user->number]);
        if (plans[device].thread != user->number ||
            index >= plans[device].promises[promise].count ||
            (device >= GROUP_FIRST && user_open(dma, GROUP_FIRST + (device + 1) % 2)))
            continue;
        if (buffer->run.stamp == 0)
            user_alloc(user, device, promise, buffer);
        else
            user_free(dma, device, buffer);
    }
    return NULL;
}

/* --- a run --------------------------------------------------------------------------------- */

static void dma_device(struct dma *dma, uint32_t index)
{
    struct cma_device_config config = {.name = plans[index].name,
                                       .owner = index + 1,
                                       .mask = UINT32_MAX,
                                       .coherent_mask = UINT32_MAX,
                                       .area = &dma->machine.areas[plans[index].area],
                                       .flags = plans[index].flags};
    int error;

    if (index == 1) {
        config.windows = &dma->window;
        config.nwindows = 1;
    }
    error = cma_device_init(&dma->devices[index], &dma->layer, &config);
    MACHINE_REQUIRE(error == 0, "device %u: %s", index, cma_strerror(error));
    for (uint32_t i = 0; dma->promised && i < PROMISES; i++) {
        struct cma_promise_request request = plans[index].promises[i];
        struct cma_admission why;

        if (request.count == 0)
            continue;
        request.group = index >= GROUP_FIRST ? &dma->group : NULL;
        error = cma_device_admit(&dma->devices[index], &dma->machine.guarantees,
                                 &dma->promises[index][i], &request, &why);
        MACHINE_REQUIRE(error == 0, "promise %u of %s is not admitted: %s (%s)", i,
                        plans[index].name, cma_strerror(error),
                        cma_reason_name(why.refusal.reason));
    }
}

static void dma_make(struct dma *dma, bool promised, uint64_t seed)
{
    struct machine_config config = {
        .npages = 1300,
        .areas = {{121, 256}, {700, 400}},
        .nareas = 2,
        .nobjects = 1400,
        .limited_npages = 600,
        .zone_npages = 600,
        .ncaches = 2,
        .nslots = promised ? 64 : 0,
        .linear = true,
    };
    int error;

    memset(dma, 0, sizeof *dma);
    dma->promised = promised;
    machine_make(&dma->machine, &config);
    dma->window = (struct cma_bus_window){.daddr = (dma->machine.base << SHIFT) - BUS_OFFSET,
                                          .paddr = dma->machine.base << SHIFT,
                                          .nbytes = (uint64_t)config.npages << SHIFT};
    error = cma_dma_init(&dma->layer, &dma->machine.table, &dma->machine.ops, NULL);
    MACHINE_REQUIRE(error == 0, "cma_dma_init: %s", cma_strerror(error));
    for (uint32_t i = 0; i < DEVICES; i++)
        dma_device(dma, i);
    for (uint32_t i = 0; i < THREADS + CROWD_THREADS; i++)
        dma->crowd[i] = (struct crowd){.machine = &dma->machine,
                                       .owner = 1000 + i,
                                       .random = seed * 1000 + i,
                                       .stop = &dma->stop};
}

static void dma_end(struct dma *dma)
{
    machine_check(&dma->machine);
    for (uint32_t i = 0; i < THREADS + CROWD_THREADS; i++)
        crowd_leave(&dma->crowd[i]);
    for (uint32_t device = 0; device < DEVICES; device++) {
        for (uint32_t i = 0; i < PROMISES * BUFFERS; i++) {
            struct buffer *buffer = &dma->buffers[device][i / BUFFERS][i % BUFFERS];

            if (buffer->run.stamp != 0)
                user_free(dma, device, buffer);
        }
        for (uint32_t i = 0; dma->promised && i < PROMISES; i++) {
            if (plans[device].promises[i].count != 0)
                MACHINE_REQUIRE(
                    cma_device_revoke(&dma->devices[device], &dma->promises[device][i]) == 0,
                    "a promise of %s can't be revoked", plans[device].name);
        }
    }
    crowd_end(&dma->machine);
    machine_end(&dma->machine);
}

/* Returns how many of *allocs allocations failed. */
static uint64_t dma_run(bool promised, uint64_t ops, uint64_t seed, uint64_t *allocs)
{
    static struct dma dma;
    struct user users[THREADS];
    uint64_t refused = 0;

    dma_make(&dma, promised, seed);
    dma.ops = ops;
    *allocs = 0;
    for (uint32_t i = 0; i < CROWD_THREADS; i++)
        crowd_start(&dma.crowd[THREADS + i]);
    for (uint32_t i = 0; i < THREADS; i++) {
        users[i] = (struct user){.dma = &dma, .number = i};
        if (pthread_create(&dma.threads[i], NULL, user_run, &users[i]) != 0)
            exit(2);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(dma.threads[i], NULL);
        *allocs += users[i].allocs;
        refused += users[i].refused;
    }
    __atomic_store_n(&dma.stop, 1, __ATOMIC_RELEASE);
    for (uint32_t i = 0; i < CROWD_THREADS; i++)
        crowd_join(&dma.crowd[THREADS + i]);
    for (uint32_t i = 0; promised && i < THREADS; i++) {
        const struct machine_work *worst = &users[i].worst;

        printf("  thread %u: %llu allocations, worst %llu copies, %llu drops, %llu flushes, pages "
               "%llu zeroed, %llu cleaned, %llu invalidated, %llu attributes\n",
               i, (unsigned long long)users[i].allocs, (unsigned long long)worst->copied,
               (unsigned long long)worst->dropped, (unsigned long long)worst->flushes,
               (unsigned long long)worst->zeroed, (unsigned long long)worst->cleaned,
               (unsigned long long)worst->invalidated, (unsigned long long)worst->attributes);
    }
    dma_end(&dma);
    return refused;
}

int main(int argc, char **argv)
{
    uint64_t ops = 64000, seed = 1, with, without, refused, failed;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--ops") == 0)
            ops = crowd_number(argv[i + 1]);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = crowd_number(argv[i + 1]);
        else
            return 2;
    }
    failed = dma_run(true, ops / 128 / THREADS + 1, seed, &with);
    refused = dma_run(false, ops / 512 / THREADS + 1, seed, &without);
    printf("promised: %llu of %llu coherent allocations failed; without promises %llu of %llu\n",
           (unsigned long long)failed, (unsigned long long)with, (unsigned long long)refused,
           (unsigned long long)without);
    MACHINE_REQUIRE(ops < 10000 || refused * 50 > without,
                    "the control is hardly refused: the crowd does too little");
    return 0;
}
