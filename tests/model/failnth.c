/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * failnth.c - each call of a hook that may fail is made to fail, one by one
 *
 *     failnth [--ops N] [--seed S]
 *
 * For each script and each kind of fault: the first call of that hook fails, then the second, and
 * so on until the script runs without meeting a fault; and all that again with every later call
 * failing too. After a call that failed, everything is as before it: a pin that was refused has
 * moved nothing; a claim that was refused has put everything back, though what had moved stays
 * moved and what was dropped stays dropped. Then the fault is taken away, and the same call must
 * succeed. All that once more with processors' caches: a page in one of them is as good as idle.
 */
#include "../support/machine.h"

#include <cma/dma.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAILNTH_PAGES 256
#define FAILNTH_OBJECTS 256

/* Odd objects belong to the mover that may refuse. */
struct failnth_script {
    const char *name;
    void (*prepare)(struct machine *machine);
    int (*call)(struct machine *machine); /* may be called again after a failure */
    bool exact;                           /* a failed call has not even moved anything */
    bool lends;
};

struct failnth_snapshot {
    struct cma_frame_info frames[FAILNTH_PAGES];
    uint64_t idle, npages_idle_area;
    uint32_t live;
};

static const struct machine_config failnth_config = {
    .npages = FAILNTH_PAGES,
    .areas = {{64, 64}, {160, 40}},
    .nareas = 2,
    .nobjects = FAILNTH_OBJECTS,
    .refusal_percent = 0,
};

/* Holds frames of an area with objects: lends them all first. */
static void failnth_fill_area(struct machine *machine, uint32_t area, uint32_t count,
                              enum cma_kind kind, bool refusing)
{
    const struct cma_span *span = machine->areas[area].span;
    uint32_t made = 0;

    while (cma_area_lend(&machine->areas[area], kind))
        ;
    for (uint32_t i = refusing; i < machine->nobjects && made < count; i += 2) {
        struct cma_pages_request request = {
            .npages = 1,
            .holder = {kind, machine->numbers[i % 2], i + 1},
            .paddr_first = span->pfn << machine->port.page_shift,
            .paddr_last = ((span->pfn + span->npages) << machine->port.page_shift) - 1,
        };
        struct machine_object *object = &machine->objects[i];
        struct cma_refusal refusal;

        if (object->live)
            continue;
        MACHINE_REQUIRE(cma_pages_alloc(&machine->pages, &request, &object->pfn, &refusal) == 0,
                        "an area's page");
        object->live = true;
        object->kind = kind;
        object->stamp = i * 1000u;
        machine_fill(machine, object->pfn, object->stamp);
        made++;
    }
    MACHINE_REQUIRE(made == count, "%u objects of %u", made, count);
}

/* Fills ordinary memory with droppable pages of the refusing mover, but for `left` pages. */
static void failnth_fill_ordinary(struct machine *machine, uint32_t left)
{
    for (uint32_t i = 1; i < machine->nobjects; i += 2) {
        struct cma_pages_stats stats;
        struct cma_pages_request request = {
            .npages = 1,
            .holder = {CMA_KIND_DROPPABLE, machine->numbers[1], i + 1},
            .flags = CMA_PAGES_NO_LENT,
        };
        struct machine_object *object = &machine->objects[i];
        struct cma_refusal refusal;

        cma_pages_stats(&machine->pages, &stats);
        if (stats.zone_idle_npages[0] + stats.cached_npages <= left)
            return;
        if (object->live || cma_pages_alloc(&machine->pages, &request, &object->pfn, &refusal) != 0)
            continue;
        object->live = true;
        object->kind = CMA_KIND_DROPPABLE;
        object->stamp = i * 1000u;
        machine_fill(machine, object->pfn, object->stamp);
    }
}

static void failnth_drain_ordinary(struct machine *machine, uint32_t left)
{
    struct cma_pages_stats stats;
    struct cma_refusal refusal;
    cma_pfn_t pfn;

    cma_pages_stats(&machine->pages, &stats);
    while (stats.zone_idle_npages[0] + stats.cached_npages > left) {
        struct cma_pages_request request = {.npages = 1, .holder = {CMA_KIND_UNMOVABLE, 0, 7}};

        MACHINE_REQUIRE(cma_pages_alloc(&machine->pages, &request, &pfn, &refusal) == 0, "drain");
        cma_pages_stats(&machine->pages, &stats);
    }
}

static struct machine_object *failnth_first(struct machine *machine)
{
    for (uint32_t i = 1; i < machine->nobjects; i += 2) {
        if (machine->objects[i].live)
            return &machine->objects[i];
    }
    machine_fail("no object is left");
}

static int failnth_pin(struct machine *machine)
{
    struct machine_object *object = failnth_first(machine);
    cma_pfn_t pinned = CMA_PFN_NONE;
    int error = cma_frame_pin(&machine->table, object->pfn, &pinned);

    if (error == 0) {
        MACHINE_REQUIRE(pinned == object->pfn, "the pin is not where the data is");
        MACHINE_REQUIRE(cma_frame_unpin(&machine->table, pinned) == 0, "unpin");
    }
    return error;
}

static int failnth_claim(struct machine *machine, uint64_t npages)
{
    struct cma_area_request request = {.npages = npages, .owner = 9};
    struct cma_refusal refusal = {0};
    cma_pfn_t pfn = CMA_PFN_NONE;
    int error = cma_area_alloc(&machine->areas[0], &request, &pfn, &refusal);

    if (error == 0) {
        for (uint64_t i = 0; i < npages; i++)
            machine_fill(machine, pfn + i, 1);
        MACHINE_REQUIRE(cma_area_release(&machine->areas[0], pfn, npages, 9) == 0, "release");
    } else {
        MACHINE_REQUIRE(refusal.code == error && refusal.reason != CMA_REASON_NONE &&
                            pfn == CMA_PFN_NONE,
                        "a refusal without reason");
    }
    return error;
}

static int failnth_claim_part(struct machine *machine)
{
    return failnth_claim(machine, 20);
}

static int failnth_claim_most(struct machine *machine)
{
    return failnth_claim(machine, 50);
}

static int failnth_claim_whole(struct machine *machine)
{
    return failnth_claim(machine, 64);
}

static int failnth_claim_steps(struct machine *machine)
{
    struct cma_area_request request = {.npages = 60, .owner = 9};
    struct cma_claim claim;
    int error = cma_claim_start(&claim, &machine->areas[0], &request);

    while (error == 0 && claim.state != CMA_CLAIM_DONE) {
        error = cma_claim_step(&claim, 3);
        if (error == 1)
            error = 0;
    }
    if (error == 0)
        MACHINE_REQUIRE(cma_area_release(&machine->areas[0], claim.pfn, 60, 9) == 0, "release");
    return error;
}

static int failnth_claim_cancel(struct machine *machine)
{
    struct cma_area_request request = {.npages = 40, .owner = 9};
    struct cma_claim claim;
    int error = cma_claim_start(&claim, &machine->areas[0], &request);

    for (uint32_t i = 0; i < 12 && error == 0 && claim.state != CMA_CLAIM_DONE; i++) {
        error = cma_claim_step(&claim, 4);
        if (error == 1)
            error = 0;
    }
    if (error == 0 && claim.state == CMA_CLAIM_DONE)
        return cma_area_release(&machine->areas[0], claim.pfn, 40, 9);
    cma_claim_cancel(&claim);
    return error;
}

static int failnth_lend(struct machine *machine)
{
    return cma_area_lend(&machine->areas[0], CMA_KIND_MOVABLE) ? 0 : CMA_ENOMEM;
}

/* A device's coherent memory, from area 0 or from the page allocator. */
static int failnth_coherent(struct machine *machine, struct cma_area *area)
{
    struct cma_dma dma;
    struct cma_device device;
    struct cma_device_config config = {
        .name = "device",
        .owner = 9,
        .mask = UINT64_MAX,
        .coherent_mask = UINT64_MAX,
        .area = area,
        .flags = CMA_DEVICE_COHERENT | (area != NULL ? CMA_DEVICE_AREA_ONLY : 0),
    };
    struct cma_coherent_request request = {.nbytes = 40 * 4096 - 5};
    struct cma_coherent buffer = {.vaddr = &config};
    struct cma_refusal refusal = {0};
    int error;

    MACHINE_REQUIRE(cma_dma_init(&dma, &machine->table, &machine->ops, NULL) == 0 &&
                        cma_device_init(&device, &dma, &config) == 0,
                    "a device");
    error = cma_dma_alloc_coherent(&device, &request, &buffer, &refusal);
    if (error == 0) {
        MACHINE_REQUIRE(cma_dma_free_coherent(&device, &buffer) == 0, "free");
    } else {
        MACHINE_REQUIRE(refusal.code == error && refusal.reason != CMA_REASON_NONE &&
                            buffer.vaddr == &config,
                        "a refusal without reason");
    }
    MACHINE_REQUIRE(machine->mapped == 0, "a mapping is left over");
    return error;
}

static int failnth_coherent_area(struct machine *machine)
{
    return failnth_coherent(machine, &machine->areas[0]);
}

static int failnth_coherent_pages(struct machine *machine)
{
    return failnth_coherent(machine, NULL);
}

static void failnth_movable(struct machine *machine)
{
    failnth_fill_area(machine, 0, 30, CMA_KIND_MOVABLE, true);
}

static void failnth_all_movable(struct machine *machine)
{
    failnth_fill_area(machine, 0, 64, CMA_KIND_MOVABLE, true);
}

static void failnth_droppable(struct machine *machine)
{
    failnth_fill_area(machine, 0, 64, CMA_KIND_DROPPABLE, true);
}

static void failnth_mixed(struct machine *machine)
{
    failnth_fill_area(machine, 0, 20, CMA_KIND_MOVABLE, true);
    failnth_fill_area(machine, 0, 20, CMA_KIND_DROPPABLE, true);
    failnth_fill_area(machine, 0, 10, CMA_KIND_MOVABLE, false);
    failnth_fill_area(machine, 0, 10, CMA_KIND_DROPPABLE, false);
}

/* Room only in the other area and where droppable pages of the refusing mover are. */
static void failnth_tight(struct machine *machine)
{
    failnth_fill_area(machine, 0, 20, CMA_KIND_MOVABLE, false);
    failnth_drain_ordinary(machine, 50);
    failnth_fill_ordinary(machine, 25);
    while (cma_area_lend(&machine->areas[1], CMA_KIND_MOVABLE))
        ;
}

/* One page of ordinary memory is free, the others are droppable. */
static void failnth_tight_pin(struct machine *machine)
{
    failnth_fill_area(machine, 0, 20, CMA_KIND_MOVABLE, true);
    failnth_drain_ordinary(machine, 30);
    failnth_fill_ordinary(machine, 1);
}

static void failnth_nothing(struct machine *machine)
{
    (void)machine;
}

static const struct failnth_script failnth_scripts[] = {
    {"pin a movable page", failnth_movable, failnth_pin, true, false},
    {"pin a droppable page", failnth_droppable, failnth_pin, true, false},
    {"pin where room is short", failnth_tight_pin, failnth_pin, true, false},
    {"claim most of an area", failnth_movable, failnth_claim_most, false, false},
    {"claim a part of movable pages, area full", failnth_all_movable, failnth_claim_part, false,
     false},
    {"claim all of movable pages", failnth_all_movable, failnth_claim_whole, false, false},
    {"claim all of droppable pages", failnth_droppable, failnth_claim_whole, false, false},
    {"claim all of mixed pages", failnth_mixed, failnth_claim_whole, false, false},
    {"claim mixed pages step by step", failnth_mixed, failnth_claim_steps, false, false},
    {"claim mixed pages and cancel", failnth_mixed, failnth_claim_cancel, false, false},
    {"claim where room is short", failnth_tight, failnth_claim_whole, false, false},
    {"claim where room is short, step by step", failnth_tight, failnth_claim_steps, false, false},
    {"coherent memory from a lent area", failnth_mixed, failnth_coherent_area, false, false},
    {"coherent memory from pages", failnth_nothing, failnth_coherent_pages, true, false},
    {"lend to a host", failnth_nothing, failnth_lend, true, true},
};

static void failnth_snap(struct machine *machine, struct failnth_snapshot *snapshot)
{
    memset(snapshot, 0, sizeof *snapshot);
    for (uint32_t i = 0; i < FAILNTH_PAGES; i++) {
        if (cma_frame_info(&machine->table, machine->base + i, &snapshot->frames[i]) != 0)
            machine_fail("page %u is not tracked", i);
        snapshot->frames[i].idle |= machine->pages.ncaches != 0 && !snapshot->frames[i].in_area &&
                                    snapshot->frames[i].kind == CMA_KIND_NONE;
        snapshot->idle += snapshot->frames[i].idle;
    }
    for (uint32_t i = 0; i < machine->nobjects; i++)
        snapshot->live += machine->objects[i].live;
}

static bool failnth_same(const struct cma_frame_info *a, const struct cma_frame_info *b)
{
    return a->kind == b->kind && a->idle == b->idle && a->frozen == b->frozen &&
           a->isolated == b->isolated && a->lent == b->lent && a->mover == b->mover &&
           a->cookie == b->cookie && a->pins == b->pins && a->refs == b->refs &&
           a->npages == b->npages;
}

static void failnth_compare(struct machine *machine, const struct failnth_script *script,
                            uint64_t nth, const struct failnth_snapshot *before, uint32_t dropped)
{
    static struct failnth_snapshot after;

    machine_check(machine);
    failnth_snap(machine, &after);
    MACHINE_REQUIRE(after.idle == before->idle + dropped && after.live + dropped == before->live,
                    "%s, fault %llu: %llu idle pages, there were %llu and %u were dropped",
                    script->name, (unsigned long long)nth, (unsigned long long)after.idle,
                    (unsigned long long)before->idle, dropped);
    for (uint32_t i = 0; i < FAILNTH_PAGES && script->exact && dropped == 0; i++)
        MACHINE_REQUIRE(failnth_same(&before->frames[i], &after.frames[i]),
                        "%s, fault %llu: page %u is not as it was", script->name,
                        (unsigned long long)nth, i);
}

/* Returns whether the script met the fault. */
static bool failnth_run(const struct failnth_script *script, uint32_t ncaches,
                        enum machine_fault fault, uint64_t nth, bool sticky, uint64_t *failed)
{
    static struct machine machine;
    static struct failnth_snapshot before;
    struct machine_config config = failnth_config;
    uint32_t dropped, moved;
    bool met;
    int error;

    config.lends = script->lends;
    config.ncaches = ncaches;
    machine_make(&machine, &config);
    script->prepare(&machine);
    machine_check(&machine);
    failnth_snap(&machine, &before);
    machine.fault_nth[fault] = nth;
    machine.fault_sticky = sticky;
    dropped = machine.dropped;
    moved = machine.moved;
    error = script->call(&machine);
    met = machine.faults > 0;
    if (error != 0) {
        MACHINE_REQUIRE(met, "%s fails without a fault: %s", script->name, cma_strerror(error));
        MACHINE_REQUIRE(!script->exact || machine.moved == moved, "%s, fault %llu: it moved pages",
                        script->name, (unsigned long long)nth);
        failnth_compare(&machine, script, nth, &before, machine.dropped - dropped);
        (*failed)++;
        machine.fault_nth[fault] = 0;
        error = script->call(&machine);
        MACHINE_REQUIRE(error == 0, "%s, after fault %llu: %s", script->name,
                        (unsigned long long)nth, cma_strerror(error));
    }
    machine_check(&machine);
    machine_end(&machine);
    return met;
}

int main(void)
{
    uint32_t nscripts = sizeof failnth_scripts / sizeof failnth_scripts[0];
    uint64_t points = 0, failed = 0;

    for (uint32_t i = 0; i < nscripts; i++) {
        uint64_t here = points, failed_here = failed;

        for (uint32_t kind = 0; kind < MACHINE_FAULT_COUNT * 4; kind++) {
            enum machine_fault fault = (enum machine_fault)(kind / 4);
            uint64_t nth = 1;

            while (
                failnth_run(&failnth_scripts[i], kind & 2, fault, nth, (kind & 1) != 0, &failed)) {
                nth++;
                points++;
                MACHINE_REQUIRE(nth < 10000, "%s does not end", failnth_scripts[i].name);
            }
        }
        printf("  %-42s %5llu faults, %llu of these calls failed\n", failnth_scripts[i].name,
               (unsigned long long)(points - here), (unsigned long long)(failed - failed_here));
        MACHINE_REQUIRE(points > here, "no fault point in this script");
    }
    printf("%u scripts, %llu faults: each failed call left everything as it was\n", nscripts,
           (unsigned long long)points);
    return 0;
}
