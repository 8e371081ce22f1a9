/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run_load.c - who holds the memory while nobody streams
 *
 * Three simulated holders: a page cache (droppable), programs' pages behind page tables and a heap
 * of handles (both movable). Programs and handles have a working set of a fixed size; the cache
 * wants more pages than there are, all the time, and gives one up when a program finds none. What
 * stops it is a floor of 100 - fill percent that the page allocator holds back, as a kernel holds
 * back its watermarks. There is demand as long as somebody wants a page and has not got it: with a
 * page cache always, once memory is full. It is the time over which the lent share is taken: of all
 * frames of areas that are not in a device's hands, how many held somebody's data, sampled every
 * simulated millisecond. Frames that are just being evacuated or refilled count as not lent.
 *
 * Two workers rewrite, free and take pages, two flushers write the cache's dirty pages back, and
 * three others hold pages in place for a while: by a short reference, a pin, and a locked handle.
 */
#include "run.h"

#include <stdlib.h>

enum {
    LOAD_CACHE,
    LOAD_PROGRAMS,
    LOAD_HANDLES,
    LOAD_NOBODY,
    LOAD_DIRTY = 4096, /* pages that wait for the flushers */
    LOAD_WORKERS = 2,
    LOAD_FLUSHERS = 2,
    LOAD_TRIES = 64,   /* pages that are looked at for one to reclaim */
    LOAD_GROWTH = 512, /* pages that a worker takes at most a millisecond */
    LOAD_DIRTYING = 1  /* pages of the cache that a worker dirties a millisecond */
};

#define LOAD_TICK_NS 1000000ull
#define LOAD_REST_NS \
    (100 * LOAD_TICK_NS) /* how long the load goes on when the devices have ended */

struct load_store {
    struct sim_store *store;
    uint32_t *ids; /* of its objects */
    uint32_t count;
    uint32_t capacity;
};

struct load {
    struct run *run;
    struct load_store stores[RUN_NSTORES];
    uint32_t dirty[LOAD_DIRTY];
    uint32_t dirty_first, dirty_count;
    bool filling;
    uint64_t kept_limit; /* pages of programs and handles together */
    uint64_t rewrites;   /* a worker's, a millisecond */
    uint64_t removals;   /* the same */
    uint32_t locked;     /* handle that is locked, plus 1 */
    uint64_t rest_ns;    /* when all has ended */
};

static uint64_t load_random(const struct load *load, uint64_t below)
{
    return below != 0 ? sim_random(load->run->sim) % below : 0;
}

static bool load_over(const struct load *load)
{
    const struct run *run = load->run;

    return run->streaming == 0 && sim_now_ns(run->sim) >= run->ends_ns;
}

/* --- taking and giving pages ------------------------------------------------------------------ */

static uint64_t load_kept(const struct load *load)
{
    return sim_store_present(load->stores[LOAD_PROGRAMS].store) +
           sim_store_present(load->stores[LOAD_HANDLES].store);
}

/* Who wants the next page? LOAD_NOBODY when all have what they want. */
static uint32_t load_wants(const struct load *load)
{
    uint64_t droppable = sim_store_present(load->stores[LOAD_CACHE].store);
    uint64_t handles = sim_store_present(load->stores[LOAD_HANDLES].store);
    uint64_t kept = load_kept(load), share = load->run->options.droppable;
    bool wanted = kept < load->kept_limit;

    /* While memory fills, both grow side by side; later programs come first. */
    if (share != 0 && (!wanted || (load->filling && droppable * 100 < (droppable + kept) * share)))
        return LOAD_CACHE;
    if (!wanted)
        return LOAD_NOBODY;
    return handles * 8 < kept ? LOAD_HANDLES : LOAD_PROGRAMS;
}

/* Removes one object of a store, chosen by chance. */
static void load_remove(struct load *load, struct load_store *store)
{
    uint32_t at = (uint32_t)load_random(load, store->count);
    uint32_t id;

    if (store->count == 0)
        return;
    id = store->ids[at];
    store->ids[at] = store->ids[--store->count];
    if (sim_store_remove(store->store, id) != 0)
        store->ids[store->count++] = id;
}

/* The same for a page of the cache that a program could have: not one in a promised slot, which is
 * lent to what can be dropped. A kernel reclaims what serves the request, too. */
static void load_reclaim(struct load *load)
{
    struct load_store *store = &load->stores[LOAD_CACHE];

    for (uint32_t tries = 0; load->run->promises.nadmitted != 0 && tries < LOAD_TRIES; tries++) {
        uint32_t at = (uint32_t)load_random(load, store->count);
        struct cma_frame_info info;
        uint32_t id;

        if (store->count == 0)
            return;
        id = store->ids[at];
        if (cma_frame_info(&load->run->system.frames, sim_store_pfn(store->store, id), &info) !=
                0 ||
            info.slot || at >= store->count || store->ids[at] != id) /* gone meanwhile */
            continue;
        store->ids[at] = store->ids[--store->count];
        if (sim_store_remove(store->store, id) != 0)
            store->ids[store->count++] = id;
        return;
    }
    if (load->run->promises.nadmitted == 0)
        load_remove(load, store);
}

/* One more page. False when it was refused. */
static bool load_add(struct load *load, uint32_t kind)
{
    struct load_store *store = &load->stores[kind];
    struct cma_refusal refusal;
    uint32_t id = 0;
    int error;

    if (store->count == store->capacity)
        load_remove(load, store);
    error = sim_store_add(store->store, &id, &refusal);
    if (error == 0)
        store->ids[store->count++] = id;
    return error == 0;
}

static void load_grow(struct load *load)
{
    struct run *run = load->run;

    run->demand = true;
    for (uint32_t i = 0; i < LOAD_GROWTH; i++) {
        uint32_t kind = load_wants(load);

        if (kind == LOAD_NOBODY) {
            run->demand = false;
            return;
        }
        if (load_add(load, kind))
            continue;
        if (kind == LOAD_CACHE)
            return;
        load_reclaim(load);
        if (load_add(load, kind))
            continue;
        /* Slots have no place for it; for the cache they may have. */
        if (run->promises.nadmitted == 0 || load->run->options.droppable == 0 ||
            !load_add(load, LOAD_CACHE))
            return;
    }
}

/* --- the fibres ----------------------------------------------------------------------------- */

static void load_flush_one(struct load *load)
{
    uint32_t id;

    if (load->dirty_count == 0)
        return;
    id = load->dirty[load->dirty_first];
    load->dirty_first = (load->dirty_first + 1) % LOAD_DIRTY;
    load->dirty_count--;
    sim_store_writeback(load->stores[LOAD_CACHE].store, id);
}

static void load_flusher(void *arg)
{
    struct load *load = arg;

    while (!load_over(load)) {
        if (load->dirty_count == 0)
            sim_sleep_ns(load->run->sim, LOAD_TICK_NS);
        load_flush_one(load);
    }
}

static void load_rewrite(struct load *load, uint32_t kind)
{
    struct load_store *store = &load->stores[kind];
    uint32_t id;

    if (store->count == 0)
        return;
    id = store->ids[load_random(load, store->count)];
    if (sim_store_rewrite(store->store, id) != 0 || kind != LOAD_CACHE)
        return;
    while (load->dirty_count == LOAD_DIRTY)
        load_flush_one(load);
    load->dirty[(load->dirty_first + load->dirty_count++) % LOAD_DIRTY] = id;
}

static void load_worker(void *arg)
{
    struct load *load = arg;

    while (!load_over(load)) {
        for (uint64_t i = 0; i < load->rewrites; i++)
            load_rewrite(load, load_random(load, 8) == 0 ? LOAD_HANDLES : LOAD_PROGRAMS);
        for (uint64_t i = 0; i < LOAD_DIRTYING; i++)
            load_rewrite(load, LOAD_CACHE);
        for (uint64_t i = 0; i < load->removals; i++)
            load_remove(load, &load->stores[load_random(load, RUN_NSTORES)]);
        load_grow(load);
        sim_sleep_ns(load->run->sim, LOAD_TICK_NS);
    }
}

/* A short reference, a fifth of a millisecond long: a claim has to wait for it or go elsewhere. */
static void load_referrer(void *arg)
{
    struct load *load = arg;

    while (!load_over(load)) {
        struct load_store *store = &load->stores[load_random(load, RUN_NSTORES)];
        uint32_t id = store->count != 0 ? store->ids[load_random(load, store->count)] : 0;
        bool taken = store->count != 0 && sim_store_ref(store->store, id) == 0;

        sim_sleep_ns(load->run->sim, LOAD_TICK_NS / 5);
        if (taken)
            sim_store_unref(store->store, id);
        sim_sleep_ns(load->run->sim, LOAD_TICK_NS);
    }
}

/* A pin of 20 milliseconds, as direct I/O takes it: libcma moves what lies in an area out of it
 * first. Linux does so only for pins that are said to last, so under its policy the page stays. */
static void load_pinner(void *arg)
{
    struct load *load = arg;

    while (!load_over(load)) {
        struct load_store *store = &load->stores[load_random(load, LOAD_HANDLES)];
        uint32_t id = store->count != 0 ? store->ids[load_random(load, store->count)] : 0;
        bool taken = store->count != 0 && sim_store_pin(store->store, id) == 0;

        sim_sleep_ns(load->run->sim, 20 * LOAD_TICK_NS);
        if (taken)
            sim_store_unpin(store->store, id);
    }
}

/* A program that works on what a handle stands for: it does not move meanwhile. */
static void load_locker(void *arg)
{
    struct load *load = arg;
    struct load_store *store = &load->stores[LOAD_HANDLES];

    while (!load_over(load)) {
        uint32_t id = store->count != 0 ? store->ids[load_random(load, store->count)] : 0;
        bool taken;

        load->locked = id + 1;
        taken = store->count != 0 && sim_store_lock(store->store, id) == 0;
        sim_sleep_ns(load->run->sim, LOAD_TICK_NS / 5);
        if (taken)
            sim_store_unlock(store->store, id);
        load->locked = 0;
        sim_sleep_ns(load->run->sim, 2 * LOAD_TICK_NS);
    }
}

static void load_sample(struct run *run)
{
    if (!run->demand)
        return;
    run->result.demand_us += LOAD_TICK_NS / 1000;
    for (uint32_t i = 0; i < run->nareas; i++) {
        struct cma_area_stats stats;

        cma_area_stats(run->areas[i].area, &stats);
        run->areas[i].idle_frame_us +=
            (stats.npages - stats.claimed_npages) * (LOAD_TICK_NS / 1000);
        run->areas[i].lent_frame_us +=
            (stats.kept_npages + stats.droppable_npages) * (LOAD_TICK_NS / 1000);
    }
    run_promise_sample(run);
}

static void load_sampler(void *arg)
{
    struct load *load = arg;
    struct run *run = load->run;

    while (sim_now_ns(run->sim) < run->ends_ns) {
        sim_sleep_ns(run->sim, LOAD_TICK_NS);
        run->result.load_us += LOAD_TICK_NS / 1000;
        load_sample(run);
        progress_at(&run->progress, sim_now_ns(run->sim) - run->began_ns,
                    run->ends_ns - run->began_ns);
    }
    while (run->streaming != 0)
        sim_sleep_ns(run->sim, LOAD_TICK_NS);
}

/* What the devices gave back last is lent again, so that the last picture shows it. */
static void load_rest(void *arg)
{
    struct load *load = arg;

    while (!load_over(load))
        sim_sleep_ns(load->run->sim, LOAD_TICK_NS);
    for (uint32_t i = 0; i < LOAD_REST_NS / LOAD_TICK_NS; i++) {
        load_grow(load);
        sim_sleep_ns(load->run->sim, LOAD_TICK_NS);
    }
}

/* --- filling ---------------------------------------------------------------------------------- */

static void load_filler(void *arg)
{
    struct load *load = arg;
    struct run *run = load->run;
    uint64_t want = run->result.pages_all * run->options.fill / 100;
    uint64_t have = 0;

    load->filling = true;
    for (;;) {
        uint32_t kind = load_wants(load);

        if (kind == LOAD_NOBODY || !load_add(load, kind))
            break;
        if ((++have & 0xff) == 0)
            progress_at(&run->progress, have, want);
    }
    load->filling = false;
    load_grow(load);
}

static uint64_t load_all_pages(struct run *run)
{
    struct cma_pages_stats stats;
    uint64_t npages = 0;

    cma_pages_stats(&run->system.pages, &stats);
    for (uint32_t i = 0; i < run->zones.nzones; i++)
        npages += stats.zone_idle_npages[i];
    for (uint32_t i = 0; i < run->nareas; i++) {
        struct cma_area_stats area;

        cma_area_stats(run->areas[i].area, &area);
        npages += area.npages;
    }
    return npages;
}

static void load_set_floor(struct run *run)
{
    const struct cma_pages_ops *ops = cma_pages_ops(&run->system.pages);
    uint64_t floor = run->result.pages_all * (100 - run->options.fill) / 100;
    struct cma_pages_stats stats;
    uint64_t idle = 0;

    cma_pages_stats(&run->system.pages, &stats);
    for (uint32_t i = 0; i < run->zones.nzones; i++)
        idle += stats.zone_idle_npages[i];
    if (floor > idle)
        floor = idle;
    /* Less than is free now, so it can't be refused. */
    if (floor != 0 && ops->floor(ops->ctx, CMA_PADDR_MAX, floor) != 0)
        run->result.violation = "the page allocator refused a floor that holds";
}

/* How many objects a store can come to hold. */
static uint32_t load_capacity(const struct load *load, uint32_t kind)
{
    const struct run *run = load->run;
    uint64_t npages = load->kept_limit;

    if (kind == LOAD_HANDLES)
        npages /= 8;
    if (kind == LOAD_CACHE) {
        npages = run->result.pages_all * run->options.fill / 100;
        for (uint32_t i = 0; i < run->nareas; i++)
            npages += run->areas[i].range->nbytes >> run->board.page_shift;
        npages += npages / 4; /* those whose page was dropped count too */
    }
    return (uint32_t)npages + 64; /* run_boot saw that it fits */
}

static void load_open_store(struct load *load, uint32_t kind)
{
    static const struct sim_store_config configs[RUN_NSTORES] = {
        [LOAD_CACHE] = {.type = SIM_STORE_CACHE, .name = "page cache"},
        [LOAD_PROGRAMS] = {.type = SIM_STORE_ANON, .name = "programs"},
        [LOAD_HANDLES] = {.type = SIM_STORE_HANDLES, .name = "handles"},
    };
    struct run *run = load->run;
    struct load_store *store = &load->stores[kind];
    struct sim_store_config config = configs[kind];
    uint32_t mover;

    store->capacity = load_capacity(load, kind);
    store->ids = run_calloc(store->capacity, sizeof(*store->ids));
    config.capacity = store->capacity;
    config.seed = run->options.seed + kind;
    config.pins_in_place = run->options.policy == RUN_LINUX;
    store->store = sim_store_create(run->sim, &run->system.frames, &run->system.pages, &config);
    run->stores[kind] = store->store;
    mover = sim_store_mover(store->store);
    run->oracle.mover_last[mover] = CMA_PADDR_MAX;
}

static bool load_stays(void *ctx, uint32_t mover, uint32_t cookie)
{
    const struct load *load = ctx;

    if (mover != sim_store_mover(load->stores[LOAD_HANDLES].store))
        return false;
    return load->run->handles_stay || load->locked == cookie + 1;
}

void run_fill(struct run *run)
{
    struct load *load = run_calloc(1, sizeof(*load));

    run->load = load;
    load->run = run;
    run->result.pages_all = load_all_pages(run);
    load->kept_limit =
        run->result.pages_all * run->options.fill / 100 * (100 - run->options.droppable) / 100;
    for (uint32_t kind = 0; kind < RUN_NSTORES; kind++)
        load_open_store(load, kind);
    run->oracle.stays = load_stays;
    run->oracle.ctx = load;
    load_set_floor(run);
    progress_start(&run->progress, "filling memory");
    sim_spawn(run->sim, "filler", load_filler, load);
    sim_run(run->sim);
    progress_end(&run->progress);
    run->result.pages_droppable = sim_store_present(load->stores[LOAD_CACHE].store);
    for (uint32_t kind = 0; kind < RUN_NSTORES; kind++)
        run->result.pages_live += sim_store_present(load->stores[kind].store);
}

void run_load(struct run *run)
{
    struct load *load = run->load;
    uint64_t ticks = run->options.seconds * (1000000000ull / LOAD_TICK_NS);

    /* Half of all pages are written anew in the course of the run, within reason. */
    load->rewrites = run->result.pages_live / (2 * LOAD_WORKERS * ticks + 1);
    if (load->rewrites < 4)
        load->rewrites = 4;
    if (load->rewrites > 24)
        load->rewrites = 24;
    load->removals = 1 + load->rewrites / 8;
    run->began_ns = sim_now_ns(run->sim);
    run->ends_ns = run->began_ns + run->options.seconds * 1000000000ull;
    for (uint32_t i = 0; i < LOAD_WORKERS; i++)
        sim_spawn(run->sim, "worker", load_worker, load);
    for (uint32_t i = 0; i < LOAD_FLUSHERS; i++)
        sim_spawn(run->sim, "flusher", load_flusher, load);
    sim_spawn(run->sim, "referrer", load_referrer, load);
    for (uint64_t i = 0; i < run->options.pins; i++)
        sim_spawn(run->sim, "pinner", load_pinner, load);
    sim_spawn(run->sim, "locker", load_locker, load);
    for (uint32_t i = 0; i < run->ndevices; i++) {
        if (run->devices[i].format == NULL)
            continue;
        run->streaming++;
        sim_spawn(run->sim, "device",
                  run->options.scenario != NULL ? run_scenario_stream : run_stream,
                  &run->devices[i]);
    }
    sim_spawn(run->sim, "sampler", load_sampler, load);
    sim_spawn(run->sim, "rest", load_rest, load);
    progress_start(&run->progress, "devices at work");
    sim_run(run->sim);
    progress_end(&run->progress);
}

/* The books, and what the simulator saw. */
static void load_check(struct run *run)
{
    struct cma_violation violation = {NULL, 0};
    cma_paddr_t paddr;

    if (!cma_system_check(&run->system, &violation))
        run->result.violation = violation.what;
    if (!sim_check_aliases(run->sim, &paddr))
        run->result.violation = "a page is mapped twice, with different attributes";
    if (sim_violations(run->sim, SIM_UNMAPPED) != 0)
        run->result.violation = "memory was used that was not mapped";
    if (sim_violations(run->sim, SIM_STALE_TLB) != 0)
        run->result.violation = "memory was used through a mapping that was gone";
    if (sim_violations(run->sim, SIM_ALIAS) != 0)
        run->result.violation = "a device's memory was used through the cache";
    if (sim_violations(run->sim, SIM_BUS) != 0)
        run->result.violation = "a device reached for an address without memory";
}

static void load_count_wasted(struct run *run)
{
    for (uint32_t i = 0; i < run->nareas; i++) {
        struct cma_area_stats stats;

        cma_area_stats(run->areas[i].area, &stats);
        run->result.wasted_copies += stats.wasted_copies;
    }
}

void run_verify(struct run *run)
{
    struct load *load = run->load;
    uint64_t all = 0, done = 0;

    progress_start(&run->progress, "checking every byte");
    for (uint32_t kind = 0; kind < RUN_NSTORES; kind++)
        all += load->stores[kind].count;
    for (uint32_t kind = 0; kind < RUN_NSTORES; kind++) {
        struct load_store *store = &load->stores[kind];
        struct sim_store_counts counts;

        for (uint32_t i = 0; i < store->count; i++) {
            sim_store_verify(store->store, store->ids[i]);
            if ((++done & 0xff) == 0)
                progress_at(&run->progress, done, all);
        }
        sim_store_counts(store->store, &counts);
        run->result.bytes_lost += counts.lost_bytes;
        run->result.pages_checked += counts.present;
        if (counts.live != store->count)
            run->result.violation = "a page of a program is gone";
    }
    for (uint32_t i = 0; i < run->ndevices; i++)
        run->result.bytes_lost += run->devices[i].bytes_wrong;
    if (run->options.policy == RUN_LIBCMA)
        load_count_wasted(run);
    else
        run_linux_count(run);
    load_check(run);
    if (run->options.policy == RUN_LIBCMA)
        run_promise_judge(run);
    run->result.trace = sim_trace_hash(run->sim);
    progress_end(&run->progress);
}

void run_load_free(struct run *run)
{
    for (uint32_t kind = 0; run->load != NULL && kind < RUN_NSTORES; kind++) {
        sim_store_destroy(run->load->stores[kind].store);
        free(run->load->stores[kind].ids);
    }
    free(run->load);
}
