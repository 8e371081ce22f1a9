/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gcma_load.c - sixteen compilers, their files, and what else is on such a board
 *
 * Sizes are of the 800 MiB board; a shrunk one has all of them divided. What programs hold stays
 * below the memory that no device was promised, on average by a third, at worst by a little: a
 * compiler that finds nothing to take waits, as it would for a swap that is not there.
 */
#include "gcma_load.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    LOAD_JOBS = 16,
    LOAD_JOB_LEAST = 1000, /* pages of a compiler */
    LOAD_JOB_MOST = 8000,
    LOAD_CHUNK = 64,     /* that it takes before it works a little */
    LOAD_OBJECT = 40,    /* pages of an object file */
    LOAD_STAY = 24000,   /* of programs that stay */
    LOAD_KERNEL = 16000, /* unmovable */
    LOAD_READ = 256,     /* pages that a reader takes at most a millisecond */
    LOAD_READERS = 2,
    LOAD_FLUSHERS = 2,
    LOAD_PINNERS = 4,
    LOAD_REFERRERS = 2,
    LOAD_DIRTY = 16384, /* pages that wait for the flushers */
    LOAD_TRIES = 256    /* cache pages given up for one page of a program */
};

#define LOAD_MS 1000000ull
#define LOAD_KERNEL_OWNER 77u

struct load_list {
    uint32_t *ids;
    uint32_t count, max;
};

struct gcma_load {
    struct gcma_load_config config;
    struct sim_store *cache, *programs;
    struct load_list cached, staying;
    struct load_list jobs[LOAD_JOBS];
    uint32_t next_job;
    uint32_t dirty[LOAD_DIRTY];
    uint32_t dirty_first, dirty_count;
    uint64_t ended;
    bool over;
};

static void *load_calloc(size_t count, size_t nbytes)
{
    void *memory = calloc(count, nbytes);

    if (memory == NULL) {
        fputs("gcma: not enough memory\n", stderr);
        exit(1);
    }
    return memory;
}

static uint32_t load_random(struct gcma_load *load, uint32_t below)
{
    return below != 0 ? (uint32_t)(sim_random(load->config.sim) % below) : 0;
}

static uint32_t load_npages(const struct gcma_load *load, uint32_t npages)
{
    npages = (uint32_t)(npages / load->config.shrink);
    return npages != 0 ? npages : 1;
}

/* --- taking and giving pages ------------------------------------------------------------------ */

static void load_put(struct load_list *list, uint32_t id)
{
    if (list->count == list->max) {
        list->max = list->max != 0 ? 2 * list->max : 1024;
        list->ids = realloc(list->ids, list->max * sizeof(*list->ids));
        if (list->ids == NULL)
            exit(1);
    }
    list->ids[list->count++] = id;
}

static bool load_pick(struct gcma_load *load, const struct load_list *list, uint32_t *id)
{
    if (list->count == 0)
        return false;
    *id = list->ids[load_random(load, list->count)];
    return true;
}

/* One of the list's objects, by chance or the last, is no more. */
static void load_remove(struct load_list *list, struct sim_store *store, uint32_t at)
{
    uint32_t id = list->ids[at];

    list->ids[at] = list->ids[--list->count];
    if (sim_store_remove(store, id) != 0)
        load_put(list, id); /* pinned or referenced */
}

static void load_give_up(struct gcma_load *load)
{
    if (load->cached.count != 0)
        load_remove(&load->cached, load->cache, load_random(load, load->cached.count));
}

/* One more page of the cache. A full cache gives one up first. */
static bool load_read(struct gcma_load *load)
{
    struct cma_refusal refusal;
    uint32_t id;
    int error = sim_store_add(load->cache, &id, &refusal);

    if (error == CMA_ENOSPC) {
        load_give_up(load);
        error = sim_store_add(load->cache, &id, &refusal);
    }
    if (error == 0)
        load_put(&load->cached, id);
    return error == 0;
}

/* One more page of a program: the cache gives up what it has until one is found. */
static bool load_take(struct gcma_load *load, struct load_list *list)
{
    struct cma_refusal refusal;
    uint32_t id;

    for (uint32_t tries = 0; tries < LOAD_TRIES && !load->over; tries++) {
        if (sim_store_add(load->programs, &id, &refusal) == 0) {
            load_put(list, id);
            return true;
        }
        load_give_up(load);
    }
    return false;
}

/* --- fibres ----------------------------------------------------------------------------------- */

static void load_flush_one(struct gcma_load *load)
{
    uint32_t id;

    if (load->dirty_count == 0)
        return;
    id = load->dirty[load->dirty_first];
    load->dirty_first = (load->dirty_first + 1) % LOAD_DIRTY;
    load->dirty_count--;
    sim_store_writeback(load->cache, id);
}

static void load_flusher(void *arg)
{
    struct gcma_load *load = arg;

    while (!load->over) {
        if (load->dirty_count == 0)
            sim_sleep_ns(load->config.sim, LOAD_MS);
        load_flush_one(load);
    }
}

/* An object file: pages of the cache, dirty at once. */
static void load_write_object(struct gcma_load *load)
{
    for (uint32_t i = load_npages(load, LOAD_OBJECT); i > 0 && !load->over; i--) {
        uint32_t id;

        if (!load_read(load))
            load_give_up(load);
        if (!load_pick(load, &load->cached, &id) || sim_store_rewrite(load->cache, id) != 0)
            continue;
        while (load->dirty_count == LOAD_DIRTY)
            load_flush_one(load);
        load->dirty[(load->dirty_first + load->dirty_count++) % LOAD_DIRTY] = id;
    }
}

static void load_compile(struct gcma_load *load, struct load_list *list)
{
    uint32_t most = load_npages(load, LOAD_JOB_MOST - LOAD_JOB_LEAST);
    uint32_t want = load_npages(load, LOAD_JOB_LEAST) + load_random(load, most);
    uint32_t chunk = load_npages(load, LOAD_CHUNK), id;

    while (list->count < want && !load->over) {
        for (uint32_t i = 0; i < chunk && list->count < want; i++)
            if (!load_take(load, list))
                break;
        for (uint32_t i = 0; i < chunk; i += 8)
            if (load_pick(load, list, &id))
                sim_store_rewrite(load->programs, id);
        for (uint32_t i = 0; i < chunk; i += 16)
            if (load_pick(load, &load->cached, &id))
                sim_store_touch(load->cache, id);
        sim_sleep_ns(load->config.sim, 2 * LOAD_MS);
    }
    for (uint32_t ms = load_random(load, 60); ms > 0 && !load->over; ms--) {
        if (load_pick(load, list, &id))
            sim_store_rewrite(load->programs, id);
        sim_sleep_ns(load->config.sim, LOAD_MS);
    }
    load_write_object(load);
    for (uint32_t tries = 2 * want; list->count != 0 && tries > 0 && !load->over; tries--)
        load_remove(list, load->programs, load_random(load, list->count));
    load->ended++;
}

static void load_job(void *arg)
{
    struct gcma_load *load = arg;
    struct load_list *list = &load->jobs[load->next_job++];

    sim_sleep_ns(load->config.sim, load_random(load, 40) * LOAD_MS);
    while (!load->over)
        load_compile(load, list);
}

/* Sources and headers: there is always one more to read. */
static void load_reader(void *arg)
{
    struct gcma_load *load = arg;

    while (!load->over) {
        uint32_t npages = load_npages(load, LOAD_READ);

        while (npages > 0 && load_read(load))
            npages--;
        sim_sleep_ns(load->config.sim, LOAD_MS);
    }
}

/* A page of a compiler, a program that stays, or the cache. */
static struct sim_store *load_any(struct gcma_load *load, uint32_t *id)
{
    uint32_t which = load_random(load, LOAD_JOBS + 8);

    if (which < LOAD_JOBS)
        return load_pick(load, &load->jobs[which], id) ? load->programs : NULL;
    if (which < LOAD_JOBS + 4)
        return load_pick(load, &load->staying, id) ? load->programs : NULL;
    return load_pick(load, &load->cached, id) ? load->cache : NULL;
}

static void load_pinner(void *arg)
{
    struct gcma_load *load = arg;

    while (!load->over) {
        uint32_t id = 0;
        struct sim_store *store = load_any(load, &id);
        bool taken = store != NULL && sim_store_pin(store, id) == 0;

        sim_sleep_ns(load->config.sim, 20 * LOAD_MS);
        if (taken)
            sim_store_unpin(store, id);
    }
}

static void load_referrer(void *arg)
{
    struct gcma_load *load = arg;

    while (!load->over) {
        uint32_t id = 0;
        struct sim_store *store = load_any(load, &id);
        bool taken = store != NULL && sim_store_ref(store, id) == 0;

        sim_sleep_ns(load->config.sim, LOAD_MS / 5);
        if (taken)
            sim_store_unref(store, id);
        sim_sleep_ns(load->config.sim, LOAD_MS);
    }
}

/* --- for gcma.c ------------------------------------------------------------------------------- */

static void load_filler(void *arg)
{
    struct gcma_load *load = arg;
    uint32_t staying = load_npages(load, LOAD_STAY);

    while (load->staying.count < staying && load_take(load, &load->staying))
        ;
    while (load_read(load))
        ;
}

static void load_kernel(struct gcma_load *load)
{
    struct cma_pages_request request = {
        .npages = 1,
        .holder = {.kind = CMA_KIND_UNMOVABLE, .cookie = LOAD_KERNEL_OWNER},
    };
    cma_pfn_t pfn;

    for (uint32_t i = load_npages(load, LOAD_KERNEL); i > 0; i--)
        if (cma_pages_alloc(&load->config.system->pages, &request, &pfn, NULL) != 0)
            exit(1);
}

/* What a kernel keeps for itself: a fiftieth. */
static void load_floor(struct gcma_load *load)
{
    const struct cma_pages_ops *ops = cma_pages_ops(&load->config.system->pages);
    struct cma_pages_stats stats;

    cma_pages_stats(&load->config.system->pages, &stats);
    if (ops->floor(ops->ctx, CMA_PADDR_MAX, stats.zone_idle_npages[0] / 50) != 0)
        exit(1);
}

static struct sim_store *load_store(struct gcma_load *load, enum sim_store_type type,
                                    const char *name, uint32_t capacity)
{
    const struct sim_store_config config = {
        .type = type,
        .name = name,
        .capacity = capacity,
        .seed = load->config.seed + (uint64_t)type,
        .pins_in_place = load->config.pins_in_place,
    };

    return sim_store_create(load->config.sim, &load->config.system->frames,
                            &load->config.system->pages, &config);
}

struct gcma_load *gcma_load_create(const struct gcma_load_config *config)
{
    struct gcma_load *load = load_calloc(1, sizeof(*load));

    load->config = *config;
    load->cache =
        load_store(load, SIM_STORE_CACHE, "page cache", load_npages(load, 250000) + LOAD_CHUNK);
    load->programs =
        load_store(load, SIM_STORE_ANON, "programs",
                   load_npages(load, LOAD_STAY + LOAD_JOBS * LOAD_JOB_MOST) + LOAD_JOBS + 64);
    return load;
}

void gcma_load_fill(struct gcma_load *load)
{
    load_kernel(load);
    load_floor(load);
    sim_spawn(load->config.sim, "filler", load_filler, load);
    sim_run(load->config.sim);
}

void gcma_load_start(struct gcma_load *load)
{
    static const struct {
        const char *name;
        void (*run)(void *arg);
        uint32_t count;
    } fibres[] = {
        {"compiler", load_job, LOAD_JOBS},           {"reader", load_reader, LOAD_READERS},
        {"flusher", load_flusher, LOAD_FLUSHERS},    {"pinner", load_pinner, LOAD_PINNERS},
        {"referrer", load_referrer, LOAD_REFERRERS},
    };

    for (size_t i = 0; i < sizeof(fibres) / sizeof(fibres[0]); i++)
        for (uint32_t n = 0; n < fibres[i].count; n++)
            sim_spawn(load->config.sim, fibres[i].name, fibres[i].run, load);
}

void gcma_load_stop(struct gcma_load *load)
{
    load->over = true;
}

const char *gcma_load_verify(struct gcma_load *load)
{
    struct cma_violation violation = {NULL, 0};
    cma_paddr_t paddr;

    if (!sim_store_verify_all(load->cache) || !sim_store_verify_all(load->programs))
        return "bytes were lost";
    if (!cma_system_check(load->config.system, &violation))
        return violation.what;
    return sim_check_aliases(load->config.sim, &paddr) ? NULL : "a page is mapped twice";
}

void gcma_load_counts(struct gcma_load *load, uint64_t *jobs, uint64_t *kept, uint64_t *cached)
{
    *jobs = load->ended;
    *kept = sim_store_present(load->programs);
    *cached = sim_store_present(load->cache);
}

void gcma_load_free(struct gcma_load *load)
{
    sim_store_destroy(load->cache);
    sim_store_destroy(load->programs);
    free(load->cached.ids);
    free(load->staying.ids);
    for (uint32_t i = 0; i < LOAD_JOBS; i++)
        free(load->jobs[i].ids);
    free(load);
}
