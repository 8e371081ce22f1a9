/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crowd.c - see crowd.h
 */
#include "crowd.h"

#include <stdlib.h>
#include <string.h>

static uint64_t crowd_below(struct crowd *crowd, uint64_t n)
{
    return (machine_random(&crowd->random) >> 8) % n;
}

void crowd_fill(struct machine *machine, const struct crowd_run *run)
{
    for (uint32_t i = 0; i < run->npages; i++)
        machine_fill(machine, run->pfn + i, run->stamp + i * UINT64_C(100));
}

void crowd_require(struct machine *machine, const struct crowd_run *run, const char *whose)
{
    for (uint32_t i = 0; i < run->npages; i++)
        MACHINE_REQUIRE(machine_holds(machine, run->pfn + i, run->stamp + i * UINT64_C(100)),
                        "somebody wrote into %s, page %u of %u", whose, i, run->npages);
}

static void crowd_have(struct crowd *crowd, struct crowd_run *run)
{
    run->stamp = machine_random(&crowd->random) | 1;
    crowd_fill(crowd->machine, run);
}

/* --- ordinary claims ----------------------------------------------------------------------- */

static bool crowd_may_refuse(int error)
{
    return error == CMA_ENOMEM || error == CMA_ENOSPC || error == CMA_EBUSY || error == CMA_EAGAIN;
}

/* A claim that others have time to see, and that may be given up. */
static int crowd_claim_steps(struct crowd *crowd, struct cma_area *area,
                             const struct cma_area_request *request, cma_pfn_t *pfn)
{
    struct cma_claim claim;
    int error = cma_claim_start(&claim, area, request);

    if (error != 0)
        return error;
    do {
        if (crowd_below(crowd, 20) == 0) {
            cma_claim_cancel(&claim);
            return CMA_EAGAIN;
        }
        error = cma_claim_step(&claim, 1 + crowd_below(crowd, 24));
    } while (error == 1);
    *pfn = claim.pfn;
    return error;
}

static void crowd_claim(struct crowd *crowd)
{
    struct machine *machine = crowd->machine;
    struct crowd_run *run = &crowd->buffers[crowd_below(crowd, CROWD_BUFFERS)];
    struct cma_area_request request = {
        .npages = 1 + crowd_below(crowd, 24),
        .align_npages = UINT64_C(1) << crowd_below(crowd, 4),
        .owner = crowd->owner,
        .flags = crowd_below(crowd, 2) == 0 ? CMA_CLAIM_NOWAIT : 0,
    };
    struct cma_refusal refusal;
    int error;

    if (run->stamp != 0) {
        struct cma_area *area = &machine->areas[run->area];

        crowd_require(machine, run, "a buffer");
        run->stamp = 0;
        error = cma_area_release(area, run->pfn, run->npages, crowd->owner);
        MACHINE_REQUIRE(error == 0, "release: %s", cma_strerror(error));
        return;
    }
    run->area = (uint32_t)crowd_below(crowd, machine->nareas);
    run->npages = (uint32_t)request.npages;
    if (crowd_below(crowd, 4) == 0)
        error = crowd_claim_steps(crowd, &machine->areas[run->area], &request, &run->pfn);
    else
        error = cma_area_alloc(&machine->areas[run->area], &request, &run->pfn, &refusal);
    MACHINE_REQUIRE(error == 0 || crowd_may_refuse(error), "a claim: %s", cma_strerror(error));
    crowd->claims += error == 0;
    crowd->refused += error != 0;
    if (error == 0)
        crowd_have(crowd, run);
}

/* --- unmovable pages ----------------------------------------------------------------------- */

static void crowd_unmovable(struct crowd *crowd)
{
    struct machine *machine = crowd->machine;
    struct crowd_run *run = &crowd->runs[crowd_below(crowd, CROWD_RUNS)];
    struct cma_pages_request request = {
        .npages = crowd_below(crowd, 2) == 0 ? 1 : 1 + crowd_below(crowd, 10),
        .holder = {CMA_KIND_UNMOVABLE, 0, crowd->owner},
    };
    struct cma_refusal refusal;
    int error;

    if (run->stamp != 0) {
        crowd_require(machine, run, "unmovable pages");
        run->stamp = 0;
        error = cma_pages_free(&machine->pages, run->pfn, run->npages, crowd->owner);
        MACHINE_REQUIRE(error == 0, "free of unmovable pages: %s", cma_strerror(error));
        return;
    }
    run->npages = (uint32_t)request.npages;
    error = cma_pages_alloc(&machine->pages, &request, &run->pfn, &refusal);
    MACHINE_REQUIRE(error == 0 || error == CMA_ENOMEM || error == CMA_ENOSPC, "alloc: %s",
                    cma_strerror(error));
    if (error == 0) {
        crowd_have(crowd, run);
        crowd->unmovable++;
    }
}

/* --- guarantees of its own ----------------------------------------------------------------- */

static void crowd_admit(struct crowd *crowd)
{
    struct machine *machine = crowd->machine;
    struct cma_area *area = &machine->areas[crowd_below(crowd, machine->nareas)];
    struct cma_admission why;
    int error;

    crowd->wish = (struct cma_guarantee_request){
        .npages = 1 + crowd_below(crowd, 20),
        .count = 1 + (uint32_t)crowd_below(crowd, CROWD_BLOCKS),
        .max_moves = (uint32_t)crowd_below(crowd, 4),
        .align_npages = UINT64_C(1) << crowd_below(crowd, 4),
        .owner = crowd->owner,
    };
    crowd->guest = crowd->group != NULL && area == crowd->group_area && crowd_below(crowd, 2) == 0;
    if (crowd->guest) {
        /* What slots may keep is lowered while others take them. */
        crowd->wish.max_moves = (uint32_t)crowd_below(crowd, 16);
        crowd->wish.group = crowd->group;
    }
    error = cma_guarantee_admit(&machine->guarantees, &crowd->guarantee, area, &crowd->wish, &why);
    crowd->admitted = error == 0;
    crowd->admissions += error == 0;
    crowd->admissions_refused += error != 0;
    MACHINE_REQUIRE(error == 0 || crowd_may_refuse(error), "an admission: %s", cma_strerror(error));
    MACHINE_REQUIRE(error == 0 || why.refusal.code == error, "an admission's refusal has no code");
}

static void crowd_revoke(struct crowd *crowd)
{
    bool out = false;
    int error;

    for (uint32_t i = 0; i < CROWD_BLOCKS; i++)
        out = out || crowd->blocks[i].stamp != 0;
    error = cma_guarantee_revoke(&crowd->guarantee);
    MACHINE_REQUIRE(error == (out ? CMA_EBUSY : 0), "revoke: %s", cma_strerror(error));
    crowd->admitted = out;
}

static void crowd_take(struct crowd *crowd, struct crowd_run *run, bool may_take)
{
    struct machine *machine = crowd->machine;
    struct cma_guarantee_work work;
    struct cma_refusal refusal;
    int error;

    if (run->stamp != 0) {
        crowd_require(machine, run, "a block");
        run->stamp = 0;
        error = cma_guarantee_release(&crowd->guarantee, run->pfn, true);
        MACHINE_REQUIRE(error == 0, "release of a block: %s", cma_strerror(error));
    } else if (may_take) {
        error = cma_guarantee_take(&crowd->guarantee, &run->pfn, &work, &refusal);
        MACHINE_REQUIRE(error == 0, "a take of a late guarantee failed: %s (%s)",
                        cma_strerror(error), cma_reason_name(refusal.reason));
        MACHINE_REQUIRE(work.copied <= crowd->wish.max_moves && work.dropped <= crowd->wish.npages,
                        "a take of a late guarantee: %u copies, %u drops", work.copied,
                        work.dropped);
        run->npages = (uint32_t)crowd->wish.npages;
        crowd_have(crowd, run);
        crowd->takes++;
    }
}

static void crowd_guarantee(struct crowd *crowd)
{
    uint32_t index = (uint32_t)crowd_below(crowd, CROWD_BLOCKS);

    if (!crowd->admitted)
        crowd_admit(crowd);
    else if (crowd_below(crowd, 8) == 0)
        crowd_revoke(crowd);
    else
        crowd_take(crowd, &crowd->blocks[index], !crowd->guest && index < crowd->wish.count);
}

/* --- storms -------------------------------------------------------------------------------- */

/* Memory is filled, preferably with what can be dropped, or much is made dirty at once. */
static void crowd_storm(struct crowd *crowd, uint32_t index)
{
    struct machine *machine = crowd->machine;
    bool fill = crowd_below(crowd, 4) != 0;

    for (uint32_t i = 0; i < CROWD_STORM; i++) {
        uint64_t stamp = machine_random(&crowd->random);

        index = index + 1 < machine->nobjects ? index + 1 : 0;
        if (fill) /* an even stamp: without a reference */
            crowd->allocs += machine_object_alloc(machine, index, CMA_KIND_DROPPABLE, stamp << 1);
        else
            crowd->rewrites += machine_object_rewrite(machine, index, stamp);
    }
}

/* --- all of it ----------------------------------------------------------------------------- */

void crowd_step(struct crowd *crowd)
{
    struct machine *machine = crowd->machine;
    uint32_t index = (uint32_t)crowd_below(crowd, machine->nobjects);
    uint64_t stamp = machine_random(&crowd->random), kind = crowd_below(crowd, 1000);

    crowd->steps++;
    if (kind < 350)
        crowd->allocs += machine_object_alloc(machine, index, CMA_KIND_DROPPABLE, stamp);
    else if (kind < 500)
        crowd->allocs += machine_object_alloc(machine, index, CMA_KIND_MOVABLE, stamp);
    else if (kind < 550)
        (void)machine_object_free(machine, index);
    else if (kind < 720)
        crowd->rewrites += machine_object_rewrite(machine, index, stamp);
    else if (kind < 800)
        (void)machine_object_keep(machine, index, kind % 4 != 0);
    else if (kind < 840)
        (void)machine_object_ref(machine, index);
    else if (kind < 870)
        crowd->pins += machine_object_pin(machine, index);
    else if (kind < 930)
        crowd_unmovable(crowd);
    else if (kind < 931)
        (void)cma_pages_drain(&machine->pages);
    else if (kind < 950)
        crowd_storm(crowd, index);
    else if (kind < 970 || machine->slots == NULL)
        crowd_claim(crowd);
    else
        crowd_guarantee(crowd);
}

static void *crowd_thread(void *arg)
{
    struct crowd *crowd = arg;

    while (__atomic_load_n(crowd->stop, __ATOMIC_ACQUIRE) == 0)
        crowd_step(crowd);
    return NULL;
}

void crowd_start(struct crowd *crowd)
{
    if (pthread_create(&crowd->thread, NULL, crowd_thread, crowd) != 0)
        exit(2);
}

void crowd_join(struct crowd *crowd)
{
    pthread_join(crowd->thread, NULL);
}

void crowd_leave(struct crowd *crowd)
{
    struct machine *machine = crowd->machine;

    for (uint32_t i = 0; i < CROWD_BUFFERS; i++) {
        const struct crowd_run *run = &crowd->buffers[i];

        if (run->stamp == 0)
            continue;
        crowd_require(machine, run, "a buffer");
        MACHINE_REQUIRE(
            cma_area_release(&machine->areas[run->area], run->pfn, run->npages, crowd->owner) == 0,
            "a buffer can't be released");
    }
    for (uint32_t i = 0; i < CROWD_RUNS; i++) {
        const struct crowd_run *run = &crowd->runs[i];

        if (run->stamp == 0)
            continue;
        crowd_require(machine, run, "unmovable pages");
        MACHINE_REQUIRE(cma_pages_free(&machine->pages, run->pfn, run->npages, crowd->owner) == 0,
                        "unmovable pages can't be freed");
    }
    for (uint32_t i = 0; i < CROWD_BLOCKS; i++)
        crowd_take(crowd, &crowd->blocks[i], false);
    if (crowd->admitted)
        crowd_revoke(crowd);
    memset(crowd->buffers, 0, sizeof crowd->buffers);
    memset(crowd->runs, 0, sizeof crowd->runs);
}

void crowd_end(struct machine *machine)
{
    struct cma_area_stats stats;

    machine_check(machine);
    for (uint32_t i = 0; i < machine->nobjects; i++) {
        if (machine->objects[i].live)
            MACHINE_REQUIRE(machine_object_free(machine, i), "page %u can't be freed", i);
    }
    (void)cma_pages_drain(&machine->pages);
    machine_check(machine);
    for (uint32_t i = 0; i < machine->npages; i++) {
        struct cma_frame_info info;

        MACHINE_REQUIRE(cma_frame_info(&machine->table, machine->base + i, &info) == 0 && info.idle,
                        "page %u was lost", i);
    }
    for (uint32_t i = 0; i < machine->nareas; i++) {
        cma_area_stats(&machine->areas[i], &stats);
        MACHINE_REQUIRE(stats.idle_npages == stats.npages && stats.slot_npages == 0,
                        "area %u does not count right", i);
    }
}

uint64_t crowd_number(const char *text)
{
    char *end;
    uint64_t number = strtoull(text, &end, 0);

    if (*end != '\0')
        exit(2);
    return number;
}
