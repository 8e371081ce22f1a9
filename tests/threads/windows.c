/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * windows.c - claims side by side never hear "no" while there is room
 *
 *     windows [--ops N] [--seed S]
 *
 * N / 16 claims and releases a thread, each after a few operations on pages, with the area in one
 * lane, and as many with two.
 *
 * An area of exactly as many windows as four threads want together: each thread may hold four of
 * sixteen. Whatever the others do at that moment, a window is free or will be handed over or given
 * up, so each claim must succeed. The area is lent all the time, references come and go.
 */
#include "../support/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WINDOWS_THREADS 4
#define WINDOWS_HELD 4
#define WINDOWS_NPAGES 32
#define WINDOWS_MAY_KEEP 600 /* every second object below it: 300 pages at most */

struct windows {
    struct machine *machine;
    pthread_t thread;
    uint64_t ops, random;
    uint32_t owner;
    uint64_t claimed;
};

static void windows_churn(struct windows *windows)
{
    struct machine *machine = windows->machine;

    for (uint32_t i = 0; i < 8; i++) {
        uint64_t random = machine_random(&windows->random);
        uint32_t index = (uint32_t)(random >> 8) % (machine->nobjects / 2) * 2;
        bool may_keep = index < WINDOWS_MAY_KEEP;

        if (random % 4 != 0)
            (void)machine_object_alloc(
                machine, index, random % 4 == 1 && may_keep ? CMA_KIND_MOVABLE : CMA_KIND_DROPPABLE,
                random >> 2);
        if (random % 16 == 0)
            (void)machine_object_free(machine, index);
        (void)machine_object_ref(machine, index);
        if (may_keep)
            (void)machine_object_rewrite(machine, index, random);
    }
}

static void *windows_run(void *arg)
{
    struct windows *windows = arg;
    struct machine *machine = windows->machine;
    cma_pfn_t held[WINDOWS_HELD];
    uint32_t count = 0;

    for (uint64_t i = 0; i < windows->ops; i++) {
        struct cma_area_request request = {
            .npages = WINDOWS_NPAGES, .align_npages = WINDOWS_NPAGES, .owner = windows->owner};
        struct cma_refusal refusal;
        int error;

        windows_churn(windows);
        if (count == WINDOWS_HELD || (count > 0 && machine_random(&windows->random) % 3 == 0)) {
            error =
                cma_area_release(&machine->areas[0], held[--count], WINDOWS_NPAGES, windows->owner);
            MACHINE_REQUIRE(error == 0, "release: %s", cma_strerror(error));
            continue;
        }
        error = cma_area_alloc(&machine->areas[0], &request, &held[count], &refusal);
        MACHINE_REQUIRE(error == 0, "a claim is refused although a window is free: %s (%s)",
                        cma_strerror(error), cma_reason_name(refusal.reason));
        for (uint32_t j = 0; j < WINDOWS_NPAGES; j++)
            machine_fill(machine, held[count] + j, j);
        windows->claimed++;
        count++;
    }
    while (count > 0) {
        int error =
            cma_area_release(&machine->areas[0], held[--count], WINDOWS_NPAGES, windows->owner);

        MACHINE_REQUIRE(error == 0, "release: %s", cma_strerror(error));
    }
    return NULL;
}

static uint64_t windows_number(const char *text)
{
    char *end;
    uint64_t number = strtoull(text, &end, 0);

    if (*end != '\0')
        exit(2);
    return number;
}

/* All threads at once. Returns the claims that they made. */
static uint64_t windows_try(uint64_t ops, uint64_t seed, uint32_t lanes)
{
    /* The area begins at a multiple of 32 pages (the machine begins at 7 of 32). Outside of it are
     * 560 pages: fewer than all objects want, so the area is lent, and many more than there can be
     * pages that must be kept, so a lack of room is never the reason. */
    struct machine_config config = {
        .npages = 560 + WINDOWS_THREADS * WINDOWS_HELD * WINDOWS_NPAGES,
        .areas = {{25, WINDOWS_THREADS * WINDOWS_HELD * WINDOWS_NPAGES}},
        .nareas = 1,
        .nobjects = 1600,
        .refusal_percent = 0,
        .lanes = lanes,
        .lane_npages = 128,
    };
    static struct machine machine;
    static struct windows threads[WINDOWS_THREADS];
    uint64_t claimed = 0;

    machine_make(&machine, &config);
    for (uint32_t i = 0; i < WINDOWS_THREADS; i++) {
        threads[i] = (struct windows){
            .machine = &machine, .ops = ops, .random = seed * 1000 + i, .owner = i + 1};
        if (pthread_create(&threads[i].thread, NULL, windows_run, &threads[i]) != 0)
            exit(2);
    }
    for (uint32_t i = 0; i < WINDOWS_THREADS; i++) {
        pthread_join(threads[i].thread, NULL);
        claimed += threads[i].claimed;
    }
    machine_check(&machine);
    printf("lanes %u: %llu claims side by side, none refused; %u pages moved, %u dropped\n", lanes,
           (unsigned long long)claimed, machine.moved, machine.dropped);
    machine_end(&machine);
    return claimed;
}

int main(int argc, char **argv)
{
    uint64_t ops = 40000, seed = 1, claimed = 0;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--ops") == 0)
            ops = windows_number(argv[i + 1]);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = windows_number(argv[i + 1]);
        else
            return 2;
    }
    for (uint32_t lanes = 1; lanes <= 2; lanes++)
        claimed += windows_try(ops / 16, seed, lanes);
    return claimed > 0 ? 0 : 1;
}
