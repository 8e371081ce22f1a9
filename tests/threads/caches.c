/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * caches.c - single pages through processors' caches by four real threads, for the thread sanitizer
 *
 *     caches [--ops N] [--seed S]
 *
 * Fewer caches than threads, and threads change among them in the middle of a call. Pages come and
 * go one at a time and in runs, memory is nearly full, so refills, spills and drains run into each
 * other; now and then somebody raises a floor, looks at everything's count, or takes a short
 * reference to whatever page there is. Each page that a thread has it writes to without any
 * atomics: a page that two have, or that changes hands too early, is a data race. At the end every
 * page must have come back, once.
 */
#include "../support/machine.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CACHES_THREADS 4
#define CACHES_NPAGES 420u
#define CACHES_HELD 200

struct caches_run {
    cma_pfn_t pfn;
    uint64_t stamp;
    uint32_t npages, cookie;
    bool movable;
};

struct caches {
    struct machine *machine;
    pthread_t thread;
    uint64_t ops, random;
    uint32_t owner, nheld;
    cma_pfn_t *hot; /* atomic: a page that somebody is about to free */
    struct caches_run held[CACHES_HELD];
    uint64_t allocs, refused;
};

static uint64_t caches_below(struct caches *caches, uint64_t n)
{
    return machine_random(&caches->random) % n;
}

static void caches_get(struct caches *caches)
{
    struct machine *machine = caches->machine;
    struct caches_run *run = &caches->held[caches->nheld];
    struct cma_pages_request request = {
        .npages = caches_below(caches, 40) == 0 ? 2 + caches_below(caches, 9) : 1,
        .holder = {CMA_KIND_UNMOVABLE, 0, caches->owner},
    };
    struct cma_refusal refusal;
    int error;

    run->movable = request.npages == 1 && caches_below(caches, 3) == 0;
    if (run->movable) {
        request.holder = (struct cma_holder){CMA_KIND_MOVABLE, machine->numbers[0], caches->owner};
        request.flags = caches_below(caches, 3) == 0 ? CMA_PAGES_REF : 0;
    }
    error = cma_pages_alloc(&machine->pages, &request, &run->pfn, &refusal);
    if (error != 0) {
        MACHINE_REQUIRE(error == CMA_ENOMEM || error == CMA_ENOSPC, "alloc: %s",
                        cma_strerror(error));
        caches->refused++;
        return;
    }
    run->npages = (uint32_t)request.npages;
    run->stamp = machine_random(&caches->random);
    for (uint32_t i = 0; i < run->npages; i++)
        machine_fill(machine, run->pfn + i, run->stamp + i);
    if ((request.flags & CMA_PAGES_REF) != 0) {
        MACHINE_REQUIRE(cma_pages_free(&machine->pages, run->pfn, run->npages, caches->owner) ==
                            CMA_EBUSY,
                        "a referenced page could be freed");
        MACHINE_REQUIRE(cma_frame_unref(&machine->table, run->pfn) == 0, "unref");
    }
    caches->nheld++;
    caches->allocs++;
}

static void caches_put(struct caches *caches)
{
    struct machine *machine = caches->machine;
    struct caches_run *run = &caches->held[caches_below(caches, caches->nheld)];
    int error;

    for (uint32_t i = 0; i < run->npages; i++)
        MACHINE_REQUIRE(machine_holds(machine, run->pfn + i, run->stamp + i),
                        "somebody wrote into a page");
    error = cma_pages_free(&machine->pages, run->pfn, run->npages, caches->owner + 1);
    MACHINE_REQUIRE(error == CMA_EPERM, "another owner: %s", cma_strerror(error));
    error = cma_pages_free(&machine->pages, run->pfn, run->npages + 1, caches->owner);
    MACHINE_REQUIRE(error == CMA_EINVAL, "another length: %s", cma_strerror(error));
    __atomic_store_n(caches->hot, run->pfn, __ATOMIC_RELAXED);
    while ((error = cma_pages_free(&machine->pages, run->pfn, run->npages, caches->owner)) != 0) {
        /* Another thread's reference. */
        MACHINE_REQUIRE(error == CMA_EBUSY, "free: %s", cma_strerror(error));
        sched_yield();
    }
    *run = caches->held[--caches->nheld];
}

/* Anybody's page, or nobody's. While it is referenced it stays what it is. */
static void caches_refer(struct caches *caches)
{
    struct machine *machine = caches->machine;
    cma_pfn_t pfn = machine->base + caches_below(caches, CACHES_NPAGES);

    for (uint32_t i = 0; i < 8; i++) {
        int error = cma_frame_ref(&machine->table, pfn);

        MACHINE_REQUIRE(error == 0 || error == CMA_EBADF || error == CMA_EAGAIN, "ref: %s",
                        cma_strerror(error));
        if (error == 0) {
            if (caches_below(caches, 16) == 0)
                sched_yield();
            error = cma_frame_unref(&machine->table, pfn);
            MACHINE_REQUIRE(error == 0, "a reference got lost: %s", cma_strerror(error));
        }
        pfn = __atomic_load_n(caches->hot, __ATOMIC_RELAXED);
    }
}

/* What looks at all caches while they are in use. */
static void caches_look(struct caches *caches)
{
    struct machine *machine = caches->machine;
    const struct cma_pages_ops *ops = cma_pages_ops(&machine->pages);
    struct cma_pages_stats stats;

    switch (caches_below(caches, 5)) {
    case 0: (void)cma_pages_drain(&machine->pages); break;
    case 1: (void)ops->floor(ops->ctx, CMA_PADDR_MAX, caches_below(caches, 60)); break;
    case 2:
        MACHINE_REQUIRE(ops->room(ops->ctx, CMA_PADDR_MAX) <= CACHES_NPAGES, "too much room");
        break;
    case 3: {
        struct cma_destination want = {.paddr_last = CMA_PADDR_MAX, .npages = 5};
        cma_pfn_t pfn;
        int taken = ops->destination(ops->ctx, &want, &pfn);

        if (taken > 0)
            ops->destination_put(ops->ctx, pfn, (uint32_t)taken);
        break;
    }
    default:
        cma_pages_stats(&machine->pages, &stats);
        MACHINE_REQUIRE(stats.cached_npages <= 2 * 2 * CMA_PAGES_CACHE_SLOTS, "too many in caches");
    }
}

static void *caches_work(void *arg)
{
    struct caches *caches = arg;
    uint32_t wanted = 0;

    for (uint64_t i = 0; i < caches->ops; i++) {
        if (i % 512 == 0)
            wanted = (uint32_t)caches_below(caches, CACHES_HELD);
        if (caches_below(caches, 200) == 0)
            caches_look(caches);
        else if (caches_below(caches, 3) == 0)
            caches_refer(caches);
        else if (caches->nheld < CACHES_HELD &&
                 (caches->nheld == 0 ||
                  caches_below(caches, 100) < (caches->nheld < wanted ? 70 : 30)))
            caches_get(caches);
        else
            caches_put(caches);
    }
    return NULL;
}

/* Room is what it would be without caches, up to every limit; and it can be had. */
static void caches_room(struct machine *machine)
{
    static cma_pfn_t taken[CACHES_NPAGES];
    static uint64_t room[CACHES_NPAGES];
    const struct cma_pages_ops *ops = cma_pages_ops(&machine->pages);
    struct cma_pages_request request = {.npages = 1, .holder = {CMA_KIND_UNMOVABLE, 0, 1}};
    struct cma_destination want = {.paddr_last = CMA_PADDR_MAX, .npages = 1};
    struct cma_refusal refusal;
    cma_pfn_t pfn;
    uint32_t count = 0;

    for (int drained = 0; drained < 2; drained++) {
        for (uint32_t i = 0; i < CACHES_NPAGES; i++) {
            cma_paddr_t last = ((machine->base + i + 1) << machine->port.page_shift) - 1;
            uint64_t now = ops->room(ops->ctx, last);

            MACHINE_REQUIRE(drained == 0 || now == room[i], "room up to page %u", i);
            room[i] = now;
        }
        (void)cma_pages_drain(&machine->pages);
    }
    MACHINE_REQUIRE(cma_pages_alloc(&machine->pages, &request, &pfn, &refusal) == 0 &&
                        cma_pages_free(&machine->pages, pfn, 1, 1) == 0,
                    "no page");
    while (ops->destination(ops->ctx, &want, &taken[count]) == 1)
        count++;
    MACHINE_REQUIRE(count == room[CACHES_NPAGES - 1], "%u destinations", count);
    while (count-- != 0)
        ops->destination_put(ops->ctx, taken[count], 1);
}

/* Destinations go below a floor: what is in caches is then for the floor. */
static void caches_break_floor(struct machine *machine)
{
    const struct cma_pages_ops *ops = cma_pages_ops(&machine->pages);
    struct cma_pages_request request = {.npages = 1, .holder = {CMA_KIND_UNMOVABLE, 0, 1}};
    struct cma_destination want = {.paddr_last = CMA_PADDR_MAX, .npages = 1};
    cma_pfn_t pfn, taken[CMA_PAGES_CACHE_SLOTS + 1];
    struct cma_pages_stats stats;
    struct cma_refusal refusal;
    uint32_t count = 0;

    MACHINE_REQUIRE(cma_pages_alloc(&machine->pages, &request, &pfn, &refusal) == 0, "alloc");
    cma_pages_stats(&machine->pages, &stats);
    MACHINE_REQUIRE(stats.cached_npages != 0 && stats.cached_npages <= CMA_PAGES_CACHE_SLOTS &&
                        ops->floor(ops->ctx, CMA_PADDR_MAX, stats.zone_idle_npages[0]) == 0,
                    "no floor");
    for (; count <= stats.cached_npages; count++)
        MACHINE_REQUIRE(ops->destination(ops->ctx, &want, &taken[count]) == 1, "no destination");
    MACHINE_REQUIRE(cma_pages_alloc(&machine->pages, &request, &taken[count], &refusal) ==
                            CMA_ENOMEM &&
                        refusal.reason == CMA_REASON_FLOOR,
                    "a page below the floor");
    while (count-- != 0)
        ops->destination_put(ops->ctx, taken[count], 1);
    MACHINE_REQUIRE(cma_pages_free(&machine->pages, pfn, 1, 1) == 0 &&
                        ops->floor(ops->ctx, CMA_PADDR_MAX, 0) == 0,
                    "free");
}

static void caches_end(struct machine *machine, struct caches *all)
{
    const struct cma_pages_ops *ops = cma_pages_ops(&machine->pages);
    struct cma_pages_stats stats;
    uint64_t cached;

    machine_check(machine);
    for (uint32_t i = 0; i < CACHES_THREADS; i++) {
        while (all[i].nheld != 0)
            caches_put(&all[i]);
    }
    machine_check(machine);
    MACHINE_REQUIRE(ops->floor(ops->ctx, CMA_PADDR_MAX, 0) == 0, "no floor");
    cma_pages_stats(&machine->pages, &stats);
    cached = stats.cached_npages;
    MACHINE_REQUIRE(stats.zone_idle_npages[0] + cached == CACHES_NPAGES &&
                        ops->room(ops->ctx, CMA_PADDR_MAX) == CACHES_NPAGES,
                    "%u pages are idle and %u in caches", (uint32_t)stats.zone_idle_npages[0],
                    (uint32_t)cached);
    MACHINE_REQUIRE(cma_pages_drain(&machine->pages) == cached, "a drain missed something");
    caches_break_floor(machine);
    caches_room(machine);
    (void)cma_pages_drain(&machine->pages);
    machine_check(machine);
    for (uint32_t i = 0; i < CACHES_NPAGES; i++) {
        struct cma_frame_info info;

        MACHINE_REQUIRE(cma_frame_info(&machine->table, machine->base + i, &info) == 0 && info.idle,
                        "page %u was lost", i);
    }
}

int main(int argc, char **argv)
{
    static const struct machine_config config = {
        .npages = CACHES_NPAGES, .nobjects = 1, .ncaches = 2};
    static struct machine machine;
    static struct caches all[CACHES_THREADS];
    static cma_pfn_t hot;
    uint64_t ops = 20000, seed = 1, allocs = 0, refused = 0;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--ops") == 0)
            ops = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 0);
        else
            return 2;
    }
    machine_make(&machine, &config);
    hot = machine.base;
    for (uint32_t i = 0; i < CACHES_THREADS; i++) {
        all[i] = (struct caches){.machine = &machine,
                                 .ops = ops,
                                 .random = seed * 1000 + i,
                                 .owner = 10 * (i + 1),
                                 .hot = &hot};
        if (pthread_create(&all[i].thread, NULL, caches_work, &all[i]) != 0)
            return 2;
    }
    for (uint32_t i = 0; i < CACHES_THREADS; i++) {
        pthread_join(all[i].thread, NULL);
        allocs += all[i].allocs;
        refused += all[i].refused;
    }
    caches_end(&machine, all);
    printf(
        "%u threads, %llu operations each, seed %llu: %llu allocations, %llu refused, every page "
        "came back\n",
        CACHES_THREADS, (unsigned long long)ops, (unsigned long long)seed,
        (unsigned long long)allocs, (unsigned long long)refused);
    MACHINE_REQUIRE(ops < 5000 || (allocs > ops && refused > 0), "nothing happened");
    machine_end(&machine);
    return 0;
}
