/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hammer.c - four real threads do everything at once, for the thread sanitizer
 *
 *     hammer [--ops N] [--seed S]
 *
 * N operations a thread: pages come and go, are rewritten, kept, given up, referenced and pinned;
 * buffers are claimed whole and step by step, cancelled, released. Data is checked at each touch,
 * and all of it at the end, when all structures are checked too and each page is given back. With
 * an odd seed there are processors' caches, fewer than threads.
 */
#include "../support/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HAMMER_THREADS 4
#define HAMMER_BUFFERS 6

struct hammer_buffer {
    bool live;
    uint32_t area;
    cma_pfn_t pfn;
    uint64_t npages, stamp;
};

struct hammer {
    struct machine *machine;
    pthread_t thread;
    uint64_t ops, random;
    uint32_t owner;
    struct hammer_buffer buffers[HAMMER_BUFFERS];
    uint64_t claimed, refused, allocs, pins;
};

static uint64_t hammer_below(struct hammer *hammer, uint64_t n)
{
    return machine_random(&hammer->random) % n;
}

static int hammer_claim_steps(struct hammer *hammer, struct cma_area *area,
                              const struct cma_area_request *request, cma_pfn_t *pfn)
{
    struct cma_claim claim;
    int error = cma_claim_start(&claim, area, request);

    if (error != 0)
        return error;
    do {
        if (hammer_below(hammer, 20) == 0) {
            cma_claim_cancel(&claim);
            return CMA_EAGAIN;
        }
        error = cma_claim_step(&claim, 1 + hammer_below(hammer, 64));
    } while (error == 1);
    *pfn = claim.pfn;
    return error;
}

static void hammer_claim(struct hammer *hammer, struct hammer_buffer *buffer)
{
    struct machine *machine = hammer->machine;
    struct cma_area_request request = {
        .npages = 1 + hammer_below(hammer, 48),
        .align_npages = 1u << hammer_below(hammer, 5),
        .owner = hammer->owner,
        .flags = hammer_below(hammer, 4) == 0 ? CMA_CLAIM_NOWAIT : 0,
    };
    struct cma_refusal refusal;
    int error;

    buffer->area = (uint32_t)hammer_below(hammer, machine->nareas);
    if (hammer_below(hammer, 3) == 0)
        error = hammer_claim_steps(hammer, &machine->areas[buffer->area], &request, &buffer->pfn);
    else
        error = cma_area_alloc(&machine->areas[buffer->area], &request, &buffer->pfn, &refusal);
    if (error != 0) {
        MACHINE_REQUIRE(error == CMA_ENOMEM || error == CMA_ENOSPC || error == CMA_EBUSY ||
                            error == CMA_EAGAIN,
                        "a claim: %s", cma_strerror(error));
        hammer->refused++;
        return;
    }
    MACHINE_REQUIRE(buffer->pfn % request.align_npages == 0, "a buffer is not aligned");
    buffer->live = true;
    buffer->npages = request.npages;
    buffer->stamp = machine_random(&hammer->random);
    for (uint64_t i = 0; i < buffer->npages; i++)
        machine_fill(machine, buffer->pfn + i, buffer->stamp + i);
    hammer->claimed++;
}

static void hammer_release(struct hammer *hammer, struct hammer_buffer *buffer)
{
    struct machine *machine = hammer->machine;
    struct cma_area *area = &machine->areas[buffer->area];

    for (uint64_t i = 0; i < buffer->npages; i++)
        MACHINE_REQUIRE(machine_holds(machine, buffer->pfn + i, buffer->stamp + i),
                        "somebody wrote into a buffer");
    MACHINE_REQUIRE(cma_area_release(area, buffer->pfn, buffer->npages, hammer->owner + 1) ==
                        CMA_EPERM,
                    "another owner could release a buffer");
    MACHINE_REQUIRE(cma_area_release(area, buffer->pfn, buffer->npages, hammer->owner) == 0,
                    "release");
    buffer->live = false;
}

static void hammer_operation(struct hammer *hammer)
{
    struct machine *machine = hammer->machine;
    uint32_t index = (uint32_t)hammer_below(hammer, machine->nobjects);
    uint64_t stamp = machine_random(&hammer->random), kind = hammer_below(hammer, 100);
    struct hammer_buffer *buffer = &hammer->buffers[hammer_below(hammer, HAMMER_BUFFERS)];

    if (kind < 30)
        hammer->allocs += machine_object_alloc(
            machine, index, kind % 2 ? CMA_KIND_MOVABLE : CMA_KIND_DROPPABLE, stamp);
    else if (kind < 42)
        (void)machine_object_free(machine, index);
    else if (kind < 65)
        (void)machine_object_rewrite(machine, index, stamp);
    else if (kind < 75)
        (void)machine_object_keep(machine, index, kind % 3 == 0);
    else if (kind < 85)
        (void)machine_object_ref(machine, index);
    else if (kind < 90)
        hammer->pins += machine_object_pin(machine, index);
    else if (buffer->live)
        hammer_release(hammer, buffer);
    else
        hammer_claim(hammer, buffer);
}

static void *hammer_run(void *arg)
{
    struct hammer *hammer = arg;

    for (uint64_t i = 0; i < hammer->ops; i++)
        hammer_operation(hammer);
    return NULL;
}

static void hammer_end(struct machine *machine, struct hammer *hammers)
{
    struct cma_area_stats stats;

    machine_check(machine);
    for (uint32_t i = 0; i < HAMMER_THREADS; i++) {
        for (uint32_t j = 0; j < HAMMER_BUFFERS; j++) {
            if (hammers[i].buffers[j].live)
                hammer_release(&hammers[i], &hammers[i].buffers[j]);
        }
    }
    machine_check(machine);
    for (uint32_t i = 0; i < machine->nobjects; i++) {
        if (machine->objects[i].live)
            MACHINE_REQUIRE(machine_object_free(machine, i), "page %u can't be freed", i);
    }
    machine_check(machine);
    (void)cma_pages_drain(&machine->pages);
    machine_check(machine);
    for (uint32_t i = 0; i < machine->npages; i++) {
        struct cma_frame_info info;

        MACHINE_REQUIRE(cma_frame_info(&machine->table, machine->base + i, &info) == 0 && info.idle,
                        "page %u was lost", i);
    }
    for (uint32_t i = 0; i < machine->nareas; i++) {
        cma_area_stats(&machine->areas[i], &stats);
        MACHINE_REQUIRE(stats.idle_npages == stats.npages && stats.claims == stats.released,
                        "area %u does not count right", i);
    }
}

static uint64_t hammer_number(const char *text)
{
    char *end;
    uint64_t number = strtoull(text, &end, 0);

    if (*end != '\0')
        exit(2);
    return number;
}

int main(int argc, char **argv)
{
    static struct machine_config config = {
        .npages = 1200,
        .areas = {{100, 301}, {700, 211}, {1000, 64}},
        .nareas = 3,
        .nobjects = 1150,
        .refusal_percent = 10,
    };
    static struct machine machine;
    static struct hammer hammers[HAMMER_THREADS];
    uint64_t ops = 20000, seed = 1, claimed = 0, refused = 0, allocs = 0, pins = 0;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--ops") == 0)
            ops = hammer_number(argv[i + 1]);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = hammer_number(argv[i + 1]);
        else
            return 2;
    }
    config.ncaches = seed % 2 != 0 ? 2 : 0;
    machine_make(&machine, &config);
    for (uint32_t i = 0; i < HAMMER_THREADS; i++) {
        hammers[i] = (struct hammer){
            .machine = &machine, .ops = ops, .random = seed * 1000 + i, .owner = 10 * (i + 1)};
        if (pthread_create(&hammers[i].thread, NULL, hammer_run, &hammers[i]) != 0)
            return 2;
    }
    for (uint32_t i = 0; i < HAMMER_THREADS; i++) {
        pthread_join(hammers[i].thread, NULL);
        claimed += hammers[i].claimed;
        refused += hammers[i].refused;
        allocs += hammers[i].allocs;
        pins += hammers[i].pins;
    }
    hammer_end(&machine, hammers);
    printf("%u threads, %llu operations each, seed %llu: no difference\n"
           "  %llu allocations, %llu claims (%llu refused), %llu pins; %u pages moved, %u dropped, "
           "%u refusals of movers\n",
           HAMMER_THREADS, (unsigned long long)ops, (unsigned long long)seed,
           (unsigned long long)allocs, (unsigned long long)claimed, (unsigned long long)refused,
           (unsigned long long)pins, machine.moved, machine.dropped, machine.refused);
    MACHINE_REQUIRE(ops < 1000 || (machine.moved > 0 && machine.dropped > 0 && claimed > 0),
                    "nothing happened");
    machine_end(&machine);
    return 0;
}
