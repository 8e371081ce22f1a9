/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lanes.c - claims and releases by several processors in one area that has two lanes
 *
 *     lanes [--ops N] [--seed S]
 *
 * Two threads claim and release buffers of all sizes; a third does too, and at times prepares
 * claims ahead, with budgets, and cancels some: meanwhile nobody claims in one step. A fourth
 * borrows frames of the area, writes them, refers to them and pins them in place. So claims in one
 * step, claims that move data out and releases meet each other in every order. Each frame's owner
 * is kept in a table that has no lock: two owners of one frame are seen at once, and so is a buffer
 * that somebody writes into. At the end all of it must be there, in one piece.
 */
#include "../support/machine.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LANES_NPAGES 900u
#define LANES_HELD 24u
#define LANES_OBJECTS 160u

struct lanes_buffer {
    cma_pfn_t pfn;
    uint32_t npages;
};

struct lanes {
    struct machine *machine;
    pthread_t thread;
    uint64_t ops, random;
    uint32_t owner;
    uint32_t (*owners)[LANES_NPAGES]; /* atomic: who has each frame */
    struct lanes_buffer held[LANES_HELD];
    uint32_t nheld;
    uint64_t claims, refused, cancelled;
};

static uint32_t lanes_below(struct lanes *lanes, uint32_t bound)
{
    return (uint32_t)(machine_random(&lanes->random) >> 16) % bound;
}

static void lanes_own(struct lanes *lanes, const struct lanes_buffer *buffer, uint32_t from,
                      uint32_t to)
{
    struct machine *machine = lanes->machine;

    for (uint32_t i = 0; i < buffer->npages; i++) {
        uint64_t at = buffer->pfn + i - machine->base;
        uint32_t seen;

        MACHINE_REQUIRE(at < LANES_NPAGES, "a buffer lies outside of the area");
        if (to == 0)
            MACHINE_REQUIRE(machine_holds(machine, buffer->pfn + i, lanes->owner + i),
                            "somebody wrote into a buffer");
        seen = __atomic_exchange_n(&(*lanes->owners)[at], to, __ATOMIC_RELAXED);
        MACHINE_REQUIRE(seen == from, "frame %u is %u's, not %u's", (unsigned)at, seen, from);
        if (to != 0)
            machine_fill(machine, buffer->pfn + i, lanes->owner + i);
    }
}

static void lanes_have(struct lanes *lanes, cma_pfn_t pfn, uint64_t npages)
{
    struct lanes_buffer *buffer = &lanes->held[lanes->nheld++];

    *buffer = (struct lanes_buffer){pfn, (uint32_t)npages};
    lanes_own(lanes, buffer, 0, lanes->owner);
    lanes->claims++;
}

static struct cma_area_request lanes_wish(struct lanes *lanes)
{
    static const uint32_t sizes[] = {1, 1, 2, 5, 8, 17, 32, 33, 64, 100};
    static const uint32_t lives[] = {0, 0, 0, CMA_CLAIM_LONG, CMA_CLAIM_SHORT};

    return (struct cma_area_request){
        .npages = sizes[lanes_below(lanes, 10)],
        .align_npages = lanes_below(lanes, 3) == 0 ? 1u << lanes_below(lanes, 7) : 0,
        .owner = lanes->owner,
        .flags = lives[lanes_below(lanes, 5)] | (lanes_below(lanes, 4) == 0 ? CMA_CLAIM_NOWAIT : 0),
    };
}

static void lanes_refused(struct lanes *lanes, int error)
{
    MACHINE_REQUIRE(error == CMA_ENOMEM || error == CMA_EAGAIN || error == CMA_ENOSPC ||
                        error == CMA_EBUSY,
                    "claim: %s", cma_strerror(error));
    lanes->refused++;
}

static void lanes_claim(struct lanes *lanes)
{
    struct cma_area_request request = lanes_wish(lanes);
    struct cma_refusal refusal;
    cma_pfn_t pfn;
    int error = cma_area_alloc(&lanes->machine->areas[0], &request, &pfn,
                               lanes_below(lanes, 8) == 0 ? &refusal : NULL);

    if (error == 0)
        lanes_have(lanes, pfn, request.npages);
    else
        lanes_refused(lanes, error);
}

/* A claim in small steps, with pauses in which the others go on. */
static void lanes_prepare(struct lanes *lanes)
{
    struct cma_area_request request = lanes_wish(lanes);
    struct cma_claim claim;
    int error = cma_claim_start(&claim, &lanes->machine->areas[0], &request);

    while (error >= 0 && claim.state != CMA_CLAIM_DONE) {
        if (lanes_below(lanes, 60) == 0) {
            cma_claim_cancel(&claim);
            lanes->cancelled++;
            return;
        }
        if (lanes_below(lanes, 4) == 0)
            sched_yield();
        error = cma_claim_step(&claim, 1 + lanes_below(lanes, 24));
    }
    if (error == 0)
        lanes_have(lanes, claim.pfn, request.npages);
    else
        lanes_refused(lanes, error);
}

static void lanes_release(struct lanes *lanes)
{
    uint32_t i = lanes_below(lanes, lanes->nheld);
    struct lanes_buffer *buffer = &lanes->held[i];
    struct cma_area *area = &lanes->machine->areas[0];
    int error = cma_area_release(area, buffer->pfn, buffer->npages, lanes->owner + 1);

    MACHINE_REQUIRE(error == CMA_EPERM, "release by another owner: %s", cma_strerror(error));
    lanes_own(lanes, buffer, lanes->owner, 0);
    error = cma_area_release(area, buffer->pfn, buffer->npages, lanes->owner);
    MACHINE_REQUIRE(error == 0, "release: %s", cma_strerror(error));
    *buffer = lanes->held[--lanes->nheld];
}

/* In place: claims must see it and go elsewhere. */
static void lanes_pin(struct lanes *lanes, uint32_t index)
{
    struct machine_object *object = &lanes->machine->objects[index];
    struct cma_frames *table = &lanes->machine->table;
    bool pinned;

    pthread_mutex_lock(&object->lock);
    pinned = object->live && !object->frozen && cma_frame_pin_in_place(table, object->pfn) == 0;
    pthread_mutex_unlock(&object->lock);
    if (!pinned)
        return;
    sched_yield();
    pthread_mutex_lock(&object->lock);
    MACHINE_REQUIRE(object->live && !object->frozen &&
                        machine_holds(lanes->machine, object->pfn, object->stamp),
                    "a pinned frame was moved");
    MACHINE_REQUIRE(cma_frame_unpin(table, object->pfn) == 0, "the pin is gone");
    pthread_mutex_unlock(&object->lock);
}

static void lanes_hold(struct lanes *lanes)
{
    struct machine *machine = lanes->machine;
    uint64_t random = machine_random(&lanes->random);
    uint32_t index = lanes_below(lanes, LANES_OBJECTS);

    switch (random % 8) {
    case 0:
    case 1:
    case 2:
        (void)machine_object_alloc(machine, index,
                                   random & 64 ? CMA_KIND_MOVABLE : CMA_KIND_DROPPABLE, random);
        break;
    case 3:
    case 4: (void)machine_object_free(machine, index); break;
    case 5: (void)machine_object_rewrite(machine, index, random); break;
    case 6: (void)machine_object_ref(machine, index); break;
    default: lanes_pin(lanes, index); break;
    }
}

static void *lanes_run(void *arg)
{
    struct lanes *lanes = arg;

    for (uint64_t i = 0; i < lanes->ops; i++) {
        if (lanes->owner == 400)
            lanes_hold(lanes);
        else if (lanes->nheld == LANES_HELD ||
                 (lanes->nheld > 0 && lanes_below(lanes, 20) < lanes->nheld))
            lanes_release(lanes);
        else if (lanes->owner == 300 && i / 512 % 4 == 0)
            lanes_prepare(lanes);
        else
            lanes_claim(lanes);
    }
    while (lanes->nheld > 0)
        lanes_release(lanes);
    return NULL;
}

static uint64_t lanes_number(const char *text)
{
    char *end;
    uint64_t number = strtoull(text, &end, 0);

    if (*end != '\0')
        exit(2);
    return number;
}

/* The whole area can be had again. */
static void lanes_end(struct machine *machine)
{
    struct cma_area_request request = {.npages = LANES_NPAGES, .owner = 1};
    struct cma_refusal refusal;
    cma_pfn_t pfn;
    int error;

    machine_check(machine);
    for (uint32_t i = 0; i < LANES_OBJECTS; i++)
        (void)machine_object_free(machine, i);
    error = cma_area_alloc(&machine->areas[0], &request, &pfn, &refusal);
    MACHINE_REQUIRE(error == 0, "the whole area: %s", cma_strerror(error));
    error = cma_area_release(&machine->areas[0], pfn, LANES_NPAGES, 1);
    MACHINE_REQUIRE(error == 0, "release: %s", cma_strerror(error));
    machine_check(machine);
    machine_end(machine);
}

int main(int argc, char **argv)
{
    /* Objects are more than there is room outside. */
    static const struct machine_config config = {
        .npages = LANES_NPAGES + LANES_OBJECTS / 2,
        .areas = {{0, LANES_NPAGES}},
        .nareas = 1,
        .nobjects = LANES_OBJECTS,
        .lanes = 2,
        .lane_npages = 300,
        .block_order = 5,
    };
    static struct machine machine;
    static uint32_t owners[LANES_NPAGES];
    static struct lanes threads[4];
    uint64_t ops = 40000, seed = 1, claims = 0, refused = 0;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--ops") == 0)
            ops = lanes_number(argv[i + 1]);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = lanes_number(argv[i + 1]);
        else
            return 2;
    }
    machine_make(&machine, &config);
    while (cma_area_lend(&machine.areas[0], CMA_KIND_MOVABLE)) {
    }
    for (uint32_t i = 0; i < 4; i++) {
        threads[i] = (struct lanes){.machine = &machine,
                                    .ops = ops / 4,
                                    .random = seed * 1000 + i,
                                    .owner = 100 * (i + 1),
                                    .owners = &owners};
        if (pthread_create(&threads[i].thread, NULL, lanes_run, &threads[i]) != 0)
            return 2;
    }
    for (uint32_t i = 0; i < 4; i++) {
        pthread_join(threads[i].thread, NULL);
        claims += threads[i].claims;
        refused += threads[i].refused;
    }
    printf("%llu claims in two lanes, %llu refused, %llu cancelled; %u pages moved, %u dropped\n",
           (unsigned long long)claims, (unsigned long long)refused,
           (unsigned long long)threads[2].cancelled, machine.moved, machine.dropped);
    lanes_end(&machine);
    return 0;
}
