/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guarantee.c - devices take what they were promised, whatever other threads do meanwhile
 *
 *     guarantee [--ops N] [--seed S]
 *
 * Five guarantees on two areas: of no copies and of some, one that two threads share, two of
 * devices that are never open together. Three threads take and give back their blocks, also before
 * the device is quiet, N / 512 times each. All the time, they and two threads more are the crowd
 * (support/crowd.h) that fills and dirties memory, pins, claims and is admitted for more.
 *
 * No take may fail, and none may cost more than its bound, as counted in the port's hooks and in
 * the movers. Nobody else may write into a block before the device is quiet. At some points all
 * threads stop, and all structures are checked against each other.
 *
 * Three machines: with a mover that reaches low memory only; with one that may refuse, and no index
 * of runs; with processors' caches, and areas in lanes. On each the same is done without
 * guarantees, by ordinary claims: they are refused often, or cost more, and how often is printed
 * beside.
 */
#include "../support/crowd.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROMISED_THREADS 3u
#define PROMISED_HELD 8u
#define PROMISED_QUIET_POINTS 4u
#define CROWD_THREADS 2u
#define CROWD_STEPS 6u /* at most, of a device's thread, before each take */
#define PLANS 5u
#define GROUP_FIRST 3u /* of the plans: from here on they are a group's */

static const struct {
    const char *name;
    uint32_t area;
    struct cma_guarantee_request request;
    uint32_t share[PROMISED_THREADS]; /* blocks that each thread may have at a time */
} plans[PLANS] = {
    {"4 x 16, 0 copies", 0, {.npages = 16, .count = 4, .align_npages = 16}, {4, 0, 0}},
    {"4 x 33, 4 copies", 1, {.npages = 33, .count = 4, .max_moves = 4}, {2, 2, 0}},
    {"1 x 64, 12 copies",
     1,
     {.npages = 64, .count = 1, .max_moves = 12, .boundary_nbytes = 128 << 12},
     {0, 1, 0}},
    {"1 x 48, 16 copies", 0, {.npages = 48, .count = 1, .max_moves = 16}, {0, 0, 1}},
    {"3 x 16, 12 copies", 0, {.npages = 16, .count = 3, .max_moves = 12}, {0, 0, 3}},
};

/* What happened under one plan, in one thread. */
struct tally {
    uint64_t takes, failed, above; /* above: its bound */
    struct machine_work worst;
    uint64_t copied;
};

struct block {
    struct crowd_run run; /* stamp 0: none */
    uint32_t plan;
    bool returning; /* the device is still writing */
};

struct shared;
struct device {
    struct shared *shared;
    uint32_t number;
    pthread_t thread;
    struct crowd crowd;
    struct block blocks[PROMISED_HELD];
    uint32_t held[PLANS];
    struct tally tallies[PLANS];
    uint64_t lent, idle; /* frames of slots that nobody has out, sums over takes */
};

struct shared {
    struct machine machine;
    bool promised; /* with guarantees; or else the control */
    uint64_t ops;
    uint32_t stop;
    struct cma_guarantee guarantees[PLANS];
    struct cma_guarantee_group group;
    struct device devices[PROMISED_THREADS];
    struct crowd crowd[CROWD_THREADS];
};

static uint64_t device_below(struct device *device, uint64_t n)
{
    return (machine_random(&device->crowd.random) >> 8) % n;
}

/* --- taking -------------------------------------------------------------------------------- */

static void device_worst(uint64_t *worst, uint64_t now)
{
    *worst = now > *worst ? now : *worst;
}

/* Pages of the slot that a block of this plan may lie in. */
static uint64_t plan_slot_npages(uint32_t plan)
{
    uint64_t npages = plans[plan].request.npages;

    for (uint32_t i = GROUP_FIRST; plan >= GROUP_FIRST && i < PLANS; i++)
        device_worst(&npages, plans[i].request.npages);
    return npages;
}

static void device_count(struct device *device, uint32_t plan, int error)
{
    const struct cma_guarantee_request *request = &plans[plan].request;
    struct tally *tally = &device->tallies[plan];
    uint64_t flushes = (request->max_moves + CMA_GUARANTEE_BATCH - 1) / CMA_GUARANTEE_BATCH + 1;

    tally->takes++;
    tally->failed += error != 0;
    tally->copied += machine_work.copied;
    tally->above += error == 0 && (machine_work.copied > request->max_moves ||
                                   machine_work.dropped > plan_slot_npages(plan) ||
                                   machine_work.flushes > flushes);
    device_worst(&tally->worst.copied, machine_work.copied);
    device_worst(&tally->worst.dropped, machine_work.dropped);
    device_worst(&tally->worst.flushes, machine_work.flushes);
}

static int device_take_promised(struct device *device, uint32_t plan, cma_pfn_t *pfn)
{
    struct shared *shared = device->shared;
    struct cma_guarantee *guarantee = &shared->guarantees[plan];
    struct cma_guarantee_work work = {0};
    struct cma_guarantee_stats stats;
    struct cma_refusal refusal;
    int error;

    cma_guarantee_stats(guarantee, &stats);
    device->lent += stats.lent_npages;
    device->idle += stats.idle_npages;
    machine_work = (struct machine_work){0};
    error = cma_guarantee_take(guarantee, pfn, &work, &refusal);
    device_count(device, plan, error);
    MACHINE_REQUIRE(error == 0, "a take of %s failed: %s (%s)", plans[plan].name,
                    cma_strerror(error), cma_reason_name(refusal.reason));
    MACHINE_REQUIRE(device->tallies[plan].above == 0,
                    "a take of %s: %u copies, %u drops, %u flushes", plans[plan].name,
                    (unsigned)machine_work.copied, (unsigned)machine_work.dropped,
                    (unsigned)machine_work.flushes);
    MACHINE_REQUIRE(work.copied == machine_work.copied && work.dropped == machine_work.dropped &&
                        work.flushes == machine_work.flushes,
                    "a take says %u copies, %u drops, %u flushes, and made %u, %u, %u", work.copied,
                    work.dropped, work.flushes, (unsigned)machine_work.copied,
                    (unsigned)machine_work.dropped, (unsigned)machine_work.flushes);
    return error;
}

/* The control: the same request, of the area. */
static int device_take_ordinary(struct device *device, uint32_t plan, cma_pfn_t *pfn)
{
    const struct cma_guarantee_request *promised = &plans[plan].request;
    struct cma_area_request request = {.npages = promised->npages,
                                       .align_npages = promised->align_npages,
                                       .boundary_nbytes = promised->boundary_nbytes,
                                       .owner = plan + 1};
    int error;

    machine_work = (struct machine_work){0};
    error = cma_area_alloc(&device->shared->machine.areas[plans[plan].area], &request, pfn, NULL);
    device_count(device, plan, error);
    return error;
}

static void device_require_place(struct device *device, uint32_t plan, cma_pfn_t pfn)
{
    struct machine *machine = &device->shared->machine;
    const struct cma_guarantee_request *request = &plans[plan].request;
    const struct cma_area *area = &machine->areas[plans[plan].area];
    uint64_t pages = request->boundary_nbytes >> machine->port.page_shift;

    MACHINE_REQUIRE(pfn >= area->pfn && pfn - area->pfn <= area->npages - request->npages,
                    "a block lies outside of its area");
    MACHINE_REQUIRE(request->align_npages == 0 || pfn % request->align_npages == 0,
                    "a block is not aligned");
    MACHINE_REQUIRE(pages == 0 || pfn / pages == (pfn + request->npages - 1) / pages,
                    "a block crosses its boundary");
}

/* --- what must be refused ------------------------------------------------------------------ */

static void device_refused_take(struct device *device, uint32_t plan, int code,
                                enum cma_reason reason)
{
    struct cma_refusal refusal;
    cma_pfn_t pfn;
    int error = cma_guarantee_take(&device->shared->guarantees[plan], &pfn, NULL, &refusal);

    MACHINE_REQUIRE(error == code && refusal.reason == reason, "one too many of %s: %s (%s)",
                    plans[plan].name, cma_strerror(error), cma_reason_name(refusal.reason));
}

static bool device_group_other(const struct device *device, uint32_t plan)
{
    for (uint32_t i = GROUP_FIRST; i < PLANS; i++) {
        if (plan >= GROUP_FIRST && i != plan && device->held[i] != 0)
            return true;
    }
    return false;
}

/* Calls that must fail and change nothing, while a block is out. */
static void device_wrong(struct device *device, const struct block *block)
{
    struct shared *shared = device->shared;
    struct cma_guarantee *guarantee = &shared->guarantees[block->plan];
    const struct crowd_run *run = &block->run;

    MACHINE_REQUIRE(cma_guarantee_revoke(guarantee) == CMA_EBUSY, "revoked while a block is out");
    MACHINE_REQUIRE(cma_guarantee_release(guarantee, run->pfn + 1, true) == CMA_EBADF,
                    "an address inside of a block could be released");
    MACHINE_REQUIRE(cma_area_release(guarantee->area, run->pfn, run->npages,
                                     plans[block->plan].request.owner) != 0,
                    "a block could be released as a buffer");
    if (block->returning)
        MACHINE_REQUIRE(cma_guarantee_release(guarantee, run->pfn, true) == CMA_EBADF,
                        "released twice");
    else
        MACHINE_REQUIRE(cma_guarantee_quiet(guarantee, run->pfn) == CMA_EBADF,
                        "quiet before it was released");
}

/* --- one step of a device ------------------------------------------------------------------ */

static void device_give(struct device *device, struct block *block)
{
    struct shared *shared = device->shared;
    struct cma_guarantee *guarantee = &shared->guarantees[block->plan];
    struct crowd_run *run = &block->run;
    int error;

    crowd_require(&shared->machine, run, block->returning ? "a block not yet quiet" : "a block");
    if (!shared->promised) {
        error = cma_area_release(&shared->machine.areas[plans[block->plan].area], run->pfn,
                                 run->npages, block->plan + 1);
    } else if (block->returning) {
        error = cma_guarantee_quiet(guarantee, run->pfn);
    } else if (device_below(device, 3) == 0) {
        error = cma_guarantee_release(guarantee, run->pfn, false);
        MACHINE_REQUIRE(error == 0, "release: %s", cma_strerror(error));
        /* The device hasn't heard of it yet, and writes on. */
        block->returning = true;
        run->stamp += 2;
        crowd_fill(&shared->machine, run);
        return;
    } else {
        error = cma_guarantee_release(guarantee, run->pfn, true);
    }
    MACHINE_REQUIRE(error == 0, "release: %s", cma_strerror(error));
    device->held[block->plan]--;
    block->returning = false;
    run->stamp = 0;
}

static void device_get(struct device *device, struct block *block, uint32_t plan)
{
    struct shared *shared = device->shared;
    struct crowd_run *run = &block->run;
    int error = shared->promised ? device_take_promised(device, plan, &run->pfn)
                                 : device_take_ordinary(device, plan, &run->pfn);

    if (error != 0)
        return;
    device_require_place(device, plan, run->pfn);
    run->npages = (uint32_t)plans[plan].request.npages;
    run->stamp = machine_random(&device->crowd.random) | 1;
    crowd_fill(&shared->machine, run);
    block->plan = plan;
    device->held[plan]++;
}

/* Returns true if it took a block. */
static bool device_step(struct device *device)
{
    struct block *block = &device->blocks[device_below(device, PROMISED_HELD)];
    uint32_t plan = (uint32_t)device_below(device, PLANS);

    if (block->run.stamp != 0) {
        if (device->shared->promised && device_below(device, 8) == 0)
            device_wrong(device, block);
        device_give(device, block);
        return false;
    }
    if (device_group_other(device, plan)) {
        if (device->shared->promised && device->number == 2)
            device_refused_take(device, plan, CMA_EBUSY, CMA_REASON_GROUP);
        return false;
    }
    if (device->held[plan] >= plans[plan].share[device->number]) {
        if (device->shared->promised && device->held[plan] == plans[plan].request.count)
            device_refused_take(device, plan, CMA_ENOMEM, CMA_REASON_PROMISED);
        return false;
    }
    device_get(device, block, plan);
    return true;
}

static void *device_run(void *arg)
{
    struct device *device = arg;
    uint64_t takes = 0;

    while (takes < device->shared->ops) {
        for (uint64_t i = device_below(device, CROWD_STEPS + 1); i > 0; i--)
            crowd_step(&device->crowd);
        takes += device_step(device);
    }
    return NULL;
}

/* --- a run --------------------------------------------------------------------------------- */

static void shared_admit(struct shared *shared)
{
    for (uint32_t i = 0; i < PLANS; i++) {
        struct cma_guarantee_request request = plans[i].request;
        struct cma_admission why;
        int error;

        request.owner = i + 1;
        request.group = i >= GROUP_FIRST ? &shared->group : NULL;
        error = cma_guarantee_admit(&shared->machine.guarantees, &shared->guarantees[i],
                                    &shared->machine.areas[plans[i].area], &request, &why);
        MACHINE_REQUIRE(error == 0, "%s is not admitted: %s (%s)", plans[i].name,
                        cma_strerror(error), cma_reason_name(why.refusal.reason));
    }
}

static void shared_start(struct shared *shared, const struct machine_config *config, uint64_t ops,
                         uint64_t seed)
{
    memset(shared, 0, sizeof *shared);
    shared->promised = config->nslots != 0;
    shared->ops = ops;
    machine_make(&shared->machine, config);
    if (shared->promised)
        shared_admit(shared);
    for (uint32_t i = 0; i < PROMISED_THREADS + CROWD_THREADS; i++) {
        struct crowd *crowd =
            i < PROMISED_THREADS ? &shared->devices[i].crowd : &shared->crowd[i - PROMISED_THREADS];

        *crowd = (struct crowd){.machine = &shared->machine,
                                .owner = 1000 + i,
                                .random = seed * 1000 + i,
                                .stop = &shared->stop};
        if (i % 2 == 0) {
            crowd->group = &shared->group;
            crowd->group_area = &shared->machine.areas[plans[GROUP_FIRST].area];
        }
    }
    for (uint32_t i = 0; i < PROMISED_THREADS; i++) {
        shared->devices[i].shared = shared;
        shared->devices[i].number = i;
    }
}

/* All threads at once, until each device has taken its share of blocks. */
static void shared_go(struct shared *shared)
{
    shared->stop = 0;
    for (uint32_t i = 0; i < CROWD_THREADS; i++)
        crowd_start(&shared->crowd[i]);
    for (uint32_t i = 0; i < PROMISED_THREADS; i++) {
        if (pthread_create(&shared->devices[i].thread, NULL, device_run, &shared->devices[i]) != 0)
            exit(2);
    }
    for (uint32_t i = 0; i < PROMISED_THREADS; i++)
        pthread_join(shared->devices[i].thread, NULL);
    __atomic_store_n(&shared->stop, 1, __ATOMIC_RELEASE);
    for (uint32_t i = 0; i < CROWD_THREADS; i++)
        crowd_join(&shared->crowd[i]);
    machine_check(&shared->machine);
}

static void shared_end(struct shared *shared)
{
    for (uint32_t i = 0; i < PROMISED_THREADS; i++) {
        struct device *device = &shared->devices[i];

        for (uint32_t j = 0; j < PROMISED_HELD; j++) {
            while (device->blocks[j].run.stamp != 0)
                device_give(device, &device->blocks[j]);
        }
        crowd_leave(&device->crowd);
    }
    for (uint32_t i = 0; i < CROWD_THREADS; i++)
        crowd_leave(&shared->crowd[i]);
    machine_check(&shared->machine);
    for (uint32_t i = 0; shared->promised && i < PLANS; i++) {
        int error = cma_guarantee_revoke(&shared->guarantees[i]);

        MACHINE_REQUIRE(error == 0, "revoke of %s: %s", plans[i].name, cma_strerror(error));
    }
    crowd_end(&shared->machine);
    machine_end(&shared->machine);
}

static struct tally shared_tally(const struct shared *shared, uint32_t plan)
{
    struct tally sum = {0};

    for (uint32_t i = 0; i < PROMISED_THREADS; i++) {
        const struct tally *tally = &shared->devices[i].tallies[plan];

        sum.takes += tally->takes;
        sum.failed += tally->failed;
        sum.above += tally->above;
        sum.copied += tally->copied;
        device_worst(&sum.worst.copied, tally->worst.copied);
        device_worst(&sum.worst.dropped, tally->worst.dropped);
        device_worst(&sum.worst.flushes, tally->worst.flushes);
    }
    return sum;
}

static void shared_print(const struct shared *shared, struct tally *all)
{
    for (uint32_t i = 0; i < PLANS; i++) {
        struct tally tally = shared_tally(shared, i);

        printf("    %-17s %8llu taken, %llu refused, %llu above the bound; worst %llu copies, "
               "%llu drops, %llu flushes\n",
               plans[i].name, (unsigned long long)(tally.takes - tally.failed),
               (unsigned long long)tally.failed, (unsigned long long)tally.above,
               (unsigned long long)tally.worst.copied, (unsigned long long)tally.worst.dropped,
               (unsigned long long)tally.worst.flushes);
        all->takes += tally.takes;
        all->failed += tally.failed;
        all->above += tally.above;
        all->copied += tally.copied;
    }
}

static void shared_print_crowd(const struct shared *shared)
{
    struct crowd sum = {0};
    uint64_t lent = 0, idle = 0;

    for (uint32_t i = 0; i < PROMISED_THREADS + CROWD_THREADS; i++) {
        const struct crowd *crowd =
            i < PROMISED_THREADS ? &shared->devices[i].crowd : &shared->crowd[i - PROMISED_THREADS];

        sum.steps += crowd->steps;
        sum.rewrites += crowd->rewrites;
        sum.pins += crowd->pins;
        sum.claims += crowd->claims;
        sum.refused += crowd->refused;
        sum.unmovable += crowd->unmovable;
        sum.admissions += crowd->admissions;
        sum.admissions_refused += crowd->admissions_refused;
        sum.takes += crowd->takes;
    }
    for (uint32_t i = 0; i < PROMISED_THREADS; i++) {
        lent += shared->devices[i].lent;
        idle += shared->devices[i].idle;
    }
    printf("    the crowd: %llu steps, %llu rewrites, %llu pins, %llu claims (%llu refused), %llu "
           "unmovable runs, %u waits of writers\n",
           (unsigned long long)sum.steps, (unsigned long long)sum.rewrites,
           (unsigned long long)sum.pins, (unsigned long long)sum.claims,
           (unsigned long long)sum.refused, (unsigned long long)sum.unmovable,
           shared->machine.stuck);
    if (shared->promised)
        printf("    and %llu late guarantees (%llu not admitted) of which %llu blocks were taken; "
               "lent of idle slots: %.1f %%\n",
               (unsigned long long)sum.admissions, (unsigned long long)sum.admissions_refused,
               (unsigned long long)sum.takes, idle != 0 ? 100.0 * (double)lent / (double)idle : 0);
}

static void guarantee_run(const struct machine_config *config, uint64_t ops, uint64_t seed,
                          struct tally *all)
{
    static struct shared shared;

    shared_start(&shared, config, ops / PROMISED_QUIET_POINTS + 1, seed);
    for (uint32_t i = 0; i < PROMISED_QUIET_POINTS; i++)
        shared_go(&shared);
    printf("  %s:\n", shared.promised ? "with guarantees" : "without");
    shared_print(&shared, all);
    shared_print_crowd(&shared);
    shared_end(&shared);
}

static struct machine_config guarantee_machine(uint32_t index)
{
    struct machine_config config = {
        .npages = 1400,
        .areas = {{121, 288}, {700, 400}},
        .nareas = 2,
        .nobjects = 1500,
        .nslots = 64,
        .zone_npages = 600,
        .limited_npages = index == 1 ? 0 : 600,
        .refusal_percent = index == 1 ? 25 : 0,
        .no_index = index == 1,
        .lends = index == 1,
        .ncaches = index == 2 ? 2 : 0,
        .lanes = index == 2 ? 2 : 1,
        .lane_npages = 64,
    };

    return config;
}

int main(int argc, char **argv)
{
    uint64_t ops = 64000, seed = 1;
    struct tally with = {0}, without = {0};

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--ops") == 0)
            ops = crowd_number(argv[i + 1]);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = crowd_number(argv[i + 1]);
        else
            return 2;
    }
    for (uint32_t i = 0; i < 3; i++) {
        struct machine_config config = guarantee_machine(i);

        printf("machine %u:\n", i);
        guarantee_run(&config, ops / 512, seed + i, &with);
        config.nslots = 0;
        guarantee_run(&config, ops / 2048, seed + i, &without);
    }
    printf("guarantee: with 0 of %llu takes failed, 0 above the bound, %.3f copies a take; without "
           "%llu of %llu failed, %llu of the others were above it\n",
           (unsigned long long)with.takes, (double)with.copied / (double)with.takes,
           (unsigned long long)without.failed, (unsigned long long)without.takes,
           (unsigned long long)without.above);
    MACHINE_REQUIRE(with.failed == 0 && with.above == 0, "a guarantee was broken");
    MACHINE_REQUIRE(ops < 10000 || without.failed * 50 > without.takes,
                    "the control is hardly refused: the crowd does too little");
    return 0;
}
