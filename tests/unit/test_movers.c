/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_movers.c - simulated programs hold memory while claims take it from under them: no byte is
 * lost, and when a step of the protocol is left out, bytes are
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cma/cma.h>

#include "../../ports/sim/movers.h"
#include "../../ports/sim/sim.h"

#define PAGE 4096u
#define MIB ((uint64_t)1 << 20)
#define BASE 0x40000000u
#define HIGH 0x80000000u
#define AREA (BASE + 4 * MIB)
#define AREA_NPAGES 512u
#define ORDINARY_NPAGES 2560u

#define STORES 5

/* 8 MiB, 2 of them an area, and 4 MiB that are not linearly mapped. */
static const struct sim_memory banks[] = {{BASE, 8 * MIB}, {HIGH, 4 * MIB}};
static const struct cma_zone zones[] = {{HIGH - 1, 0}, {CMA_PADDR_MAX, CMA_ZONE_UNMAPPED}};

struct world {
    struct sim *sim;
    struct cma_port port; /* with hooks that a control can take out */
    struct cma_map map;
    struct cma_range memory[4], reserved[4];
    struct cma_system system;
    void *storage;
    struct sim_store *stores[STORES];
    uint32_t claims, refused, rounds, live_churners;
};

enum control { NONE, NO_FLUSH, NO_COPY, TORN_COPY };

static void no_flush(void *ctx)
{
    (void)ctx;
}

static void no_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    (void)ctx, (void)to, (void)from, (void)nbytes;
}

static void torn_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    struct sim *sim = ctx;
    sim_port(sim)->copy(ctx, to, from, nbytes - 64);
}

static void world_init_with(struct world *world, struct sim_config config, enum control control)
{
    struct cma_range area = {AREA, AREA_NPAGES * PAGE, CMA_RANGE_AREA, CMA_RANGE_DEFAULT, "area",
                             0};

    memset(world, 0, sizeof(*world));
    config.memory = banks;
    config.nmemory = 2;
    config.linear_last = HIGH - 1;
    world->sim = sim_create(&config);
    assert_non_null(world->sim);
    world->port = *sim_port(world->sim);
    if (control == NO_FLUSH)
        world->port.tlb_flush = no_flush;
    if (control == NO_COPY)
        world->port.copy = no_copy;
    if (control == TORN_COPY)
        world->port.copy = torn_copy;

    assert_int_equal(cma_map_init(&world->map, world->memory, 4, world->reserved, 4), 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(cma_map_add_memory(&world->map, banks[i].base, banks[i].nbytes, NULL), 0);
    assert_int_equal(cma_map_reserve(&world->map, &area, NULL), 0);

    struct cma_system_config machine = {
        .port = &world->port, .zones = zones, .nzones = 2, .block_order = 6};
    uint64_t nbytes = cma_system_size(&world->map, &machine);
    assert_true(nbytes > 0);
    world->storage = calloc(1, nbytes);
    assert_int_equal(cma_system_init(&world->system, &world->map, &machine, world->storage, nbytes),
                     0);
}

static void world_init(struct world *world, uint64_t seed, enum control control)
{
    world_init_with(world, (struct sim_config){.seed = seed}, control);
}

static struct sim_store *world_store(struct world *world, struct sim_store_config config)
{
    if (!config.name)
        config.name = "store";
    if (!config.capacity)
        config.capacity = 4096;
    struct sim_store *store =
        sim_store_create(world->sim, &world->system.frames, &world->system.pages, &config);
    for (int i = 0; i < STORES; i++) {
        if (!world->stores[i]) {
            world->stores[i] = store;
            break;
        }
    }
    return store;
}

/* The table and the store say the same of each frame. */
struct agree {
    struct world *world;
    struct sim_store *store;
    bool cache;
};

static bool agree_one(void *arg, const struct sim_store_object *object)
{
    struct agree *agree = arg;
    struct cma_frame_info info;

    if (object->pfn == CMA_PFN_NONE)
        return true;
    assert_int_equal(cma_frame_info(&agree->world->system.frames, object->pfn, &info), 0);
    assert_int_equal(info.kind,
                     agree->cache && !object->dirty ? CMA_KIND_DROPPABLE : CMA_KIND_MOVABLE);
    assert_int_equal(info.mover, sim_store_mover(agree->store));
    assert_int_equal(info.cookie, object->id);
    assert_int_equal(info.pins, object->pins);
    assert_int_equal(info.refs, object->refs);
    assert_int_equal(info.frozen, object->frozen);
    return true;
}

static void world_check(struct world *world)
{
    struct cma_violation violation = {NULL, 0};
    cma_paddr_t paddr;

    for (int i = 0; i < STORES && world->stores[i]; i++) {
        struct agree agree = {
            world, world->stores[i],
            world->system.frames.movers[sim_store_mover(world->stores[i]) - 1]->discard != NULL};
        sim_store_walk(world->stores[i], agree_one, &agree);
    }

    if (!cma_system_check(&world->system, &violation))
        fail_msg("%s, frame 0x%llx", violation.what, (unsigned long long)violation.pfn);
    assert_true(sim_check_aliases(world->sim, &paddr));
}

static void world_exit(struct world *world)
{
    for (int i = 0; i < STORES; i++)
        sim_store_destroy(world->stores[i]);
    free(world->storage);
    sim_destroy(world->sim);
}

static uint64_t world_lost(struct world *world)
{
    uint64_t lost = 0;

    for (int i = 0; i < STORES && world->stores[i]; i++) {
        struct sim_store_counts counts;
        sim_store_verify_all(world->stores[i]);
        sim_store_counts(world->stores[i], &counts);
        lost += counts.lost_bytes;
    }
    return lost;
}

static uint32_t store_fill(struct sim_store *store, uint32_t n)
{
    uint32_t id, done = 0;

    while (done < n && sim_store_add(store, &id, NULL) == 0)
        done++;
    return done;
}

/* --- one store, nobody else ---------------------------------------------------------------- */

static void test_objects_come_and_go(void **state)
{
    (void)state;
    for (int type = SIM_STORE_CACHE; type <= SIM_STORE_SLOW; type++) {
        struct world world;
        struct sim_store_counts counts;
        world_init(&world, 7, NONE);
        struct sim_store *store = world_store(
            &world, (struct sim_store_config){.type = (enum sim_store_type)type, .capacity = 64});
        uint32_t id;

        assert_int_equal(store_fill(store, 65), 64);
        assert_int_equal(sim_store_add(store, &id, NULL), CMA_ENOSPC);
        for (id = 0; id < 64; id++) {
            assert_int_equal(sim_store_rewrite(store, id), 0);
            assert_true(sim_store_verify(store, id));
        }
        for (id = 0; id < 64; id += 2)
            assert_int_equal(sim_store_writeback(store, id), 0);
        world_check(&world);
        sim_store_counts(store, &counts);
        assert_int_equal(counts.live, 64);
        assert_int_equal(counts.rewritten, 64);
        assert_int_equal(counts.dirty, type == SIM_STORE_CACHE ? 32 : 0);
        assert_int_equal(counts.written_back, type == SIM_STORE_CACHE ? 32 : 0);
        for (id = 0; id < 64; id++)
            assert_int_equal(sim_store_remove(store, id), 0);
        assert_int_equal(sim_store_remove(store, 3), CMA_ENOENT);
        assert_int_equal(sim_store_rewrite(store, 64), CMA_ENOENT);
        sim_store_counts(store, &counts);
        assert_int_equal(counts.live, 0);
        assert_int_equal(counts.lost_bytes, 0);
        world_check(&world);
        world_exit(&world);
    }
}

static bool first_pfn(void *arg, const struct sim_store_object *object)
{
    *(cma_pfn_t *)arg = object->pfn;
    return false;
}

static void test_wrong_bytes_are_counted_once(void **state)
{
    (void)state;
    for (int type = SIM_STORE_CACHE; type <= SIM_STORE_HANDLES; type++) {
        struct world world;
        struct sim_store_counts counts;
        cma_pfn_t pfn = 0;
        uint8_t byte;
        world_init(&world, 7, NONE);
        struct sim_store *store =
            world_store(&world, (struct sim_store_config){.type = (enum sim_store_type)type});

        assert_int_equal(store_fill(store, 3), 3);
        sim_store_walk(store, first_pfn, &pfn);
        for (uint32_t at = 5; at < PAGE; at += 1000) { /* five of them */
            sim_read_paddr(world.sim, pfn * PAGE + at, &byte, 1);
            byte ^= 1;
            sim_write_paddr(world.sim, pfn * PAGE + at, &byte, 1);
        }
        assert_false(sim_store_verify(store, 0));
        assert_false(sim_store_verify(store, 0));
        assert_true(sim_store_verify(store, 1));
        assert_false(sim_store_verify_all(store));
        sim_store_counts(store, &counts);
        assert_int_equal(counts.lost_bytes, 5);
        assert_int_equal(sim_store_rewrite(store, 0), 0);
        assert_true(sim_store_verify_all(store));
        world_exit(&world);
    }
}

/* The whole area is claimed: all that was lent moves or is dropped. */
static int claim_all(struct world *world, struct cma_refusal *refusal)
{
    struct cma_area_request request = {.npages = AREA_NPAGES, .owner = 9};
    cma_pfn_t pfn;
    int result = cma_area_alloc(&world->system.areas[0], &request, &pfn, refusal);

    if (result == 0)
        assert_int_equal(cma_area_release(&world->system.areas[0], pfn, AREA_NPAGES, 9), 0);
    return result;
}

static void test_dropped_pages_come_back(void **state)
{
    struct world world;
    struct sim_store_counts before, after;
    (void)state;

    world_init(&world, 1, NONE);
    struct sim_store *store =
        world_store(&world, (struct sim_store_config){.type = SIM_STORE_CACHE});
    uint32_t n = store_fill(store, 4096);
    assert_true(n > 2900);
    for (uint32_t id = n - 100; id < n; id++) /* the area is lent last */
        assert_int_equal(sim_store_rewrite(store, id), 0);
    sim_store_counts(store, &before);
    assert_int_equal(before.dirty, 100);
    assert_int_equal(before.absent, 0);
    assert_int_equal(claim_all(&world, NULL), 0);
    sim_store_counts(store, &after);
    assert_true(after.absent >= 400);
    assert_int_equal(after.absent, after.dropped);
    assert_int_equal(after.dirty, 100); /* dirty ones were moved */
    assert_true(after.moved > 0);
    assert_true(sim_store_verify_all(store));
    for (uint32_t id = 0; id < 4096; id++)
        (void)sim_store_touch(store, id);
    sim_store_counts(store, &after);
    assert_true(after.refilled > 0);
    assert_true(after.absent < before.live - 2900);
    assert_true(sim_store_verify_all(store));
    assert_int_equal(world_lost(&world), 0);
    world_check(&world);
    world_exit(&world);
}

static void test_refusals(void **state)
{
    struct world world;
    struct sim_store_counts counts;
    struct cma_refusal refusal;
    (void)state;

    /* Locked handles refuse, and are fine again when unlocked. */
    world_init(&world, 1, NONE);
    struct sim_store *store =
        world_store(&world, (struct sim_store_config){.type = SIM_STORE_HANDLES});
    assert_true(store_fill(store, 2700) == 2700);
    for (uint32_t id = 0; id < 600; id++) /* room for what is in the area */
        assert_int_equal(sim_store_remove(store, id), 0);
    for (uint32_t id = 600; id < 2700; id++)
        assert_int_equal(sim_store_lock(store, id), 0);
    assert_int_equal(claim_all(&world, &refusal), CMA_EBUSY);
    assert_int_equal(refusal.reason, CMA_REASON_MOVER);
    assert_int_equal(refusal.mover, sim_store_mover(store));
    assert_int_equal(sim_store_remove(store, 600), CMA_EBUSY);
    for (uint32_t id = 600; id < 2700; id++)
        assert_int_equal(sim_store_unlock(store, id), 0);
    assert_int_equal(sim_store_unlock(store, 600), CMA_EBADF);
    assert_int_equal(claim_all(&world, &refusal), 0);

    /* The nth freeze fails when a test says so. */
    assert_true(store_fill(store, 600) == 600);
    for (uint32_t id = 1000; id < 1500; id++)
        assert_int_equal(sim_store_remove(store, id), 0);
    sim_fail(world.sim, SIM_FAULT_FREEZE, 1, true);
    int result = claim_all(&world, &refusal);
    sim_store_counts(store, &counts);
    assert_true(result == CMA_EBUSY && counts.refused > 0);
    sim_fail(world.sim, SIM_FAULT_FREEZE, 0, false);
    assert_int_equal(claim_all(&world, &refusal), 0);
    assert_int_equal(world_lost(&world), 0);
    world_check(&world);
    world_exit(&world);

    world_init(&world, 1, NONE);
    store = world_store(&world, (struct sim_store_config){.type = SIM_STORE_REFUSING});
    assert_true(store_fill(store, 2700) == 2700);
    for (uint32_t id = 0; id < 600; id++)
        assert_int_equal(sim_store_remove(store, id), 0);
    assert_int_equal(claim_all(&world, &refusal), CMA_EBUSY);
    sim_store_counts(store, &counts);
    assert_true(counts.refused > 0 && counts.moved == 0);
    world_check(&world);
    world_exit(&world);
}

/* What a libcma that has gone wrong would do. */
static void test_callbacks_out_of_order(void **state)
{
    struct world world;
    struct sim_store_counts counts;
    cma_pfn_t pfn = 0;
    (void)state;

    world_init(&world, 1, NONE);
    struct sim_store *store =
        world_store(&world, (struct sim_store_config){.type = SIM_STORE_CACHE});
    const struct cma_mover *mover = world.system.frames.movers[sim_store_mover(store) - 1];
    assert_int_equal(store_fill(store, 2), 2);
    sim_store_walk(store, first_pfn, &pfn);
    sim_tolerate(world.sim, SIM_PROTOCOL, true);

    assert_int_equal(mover->freeze(mover->ctx, pfn + 1000, 0), CMA_ENOENT);
    assert_int_equal(mover->freeze(mover->ctx, pfn, 5), CMA_ENOENT);
    assert_int_equal(sim_violations(world.sim, SIM_PROTOCOL), 0);
    assert_int_equal(mover->freeze(mover->ctx, pfn, 0), 0);
    assert_int_equal(mover->freeze(mover->ctx, pfn, 0), CMA_ENOENT);
    assert_int_equal(sim_violations(world.sim, SIM_PROTOCOL), 1);
    assert_int_equal(mover->discard(mover->ctx, pfn, 0), CMA_EBUSY);
    assert_int_equal(sim_violations(world.sim, SIM_PROTOCOL), 2);
    mover->abort(mover->ctx, pfn, 0);
    assert_int_equal(sim_violations(world.sim, SIM_PROTOCOL), 2);
    mover->commit(mover->ctx, pfn, pfn, 0);
    assert_int_equal(sim_violations(world.sim, SIM_PROTOCOL), 3);

    assert_int_equal(sim_store_rewrite(store, 0), 0);
    assert_int_equal(mover->discard(mover->ctx, pfn, 0), CMA_EBUSY); /* dirty */
    assert_int_equal(sim_store_writeback(store, 0), 0);
    assert_int_equal(mover->discard(mover->ctx, pfn, 0), 0);
    assert_int_equal(mover->discard(mover->ctx, pfn, 0), CMA_ENOENT);
    sim_store_counts(store, &counts);
    assert_int_equal(counts.absent, 1);
    assert_int_equal(counts.lost_bytes, 0);
    world_exit(&world);
}

static void test_slow_freeze_takes_time(void **state)
{
    struct world world;
    struct sim_store_counts counts;
    (void)state;

    world_init(&world, 1, NONE);
    struct sim_store *store =
        world_store(&world, (struct sim_store_config){.type = SIM_STORE_SLOW, .slow_ns = 50000});
    assert_true(store_fill(store, 2700) == 2700);
    for (uint32_t id = 0; id < 600; id++)
        assert_int_equal(sim_store_remove(store, id), 0);
    uint64_t start = sim_now_ns(world.sim);
    assert_int_equal(claim_all(&world, NULL), 0);
    sim_store_counts(store, &counts);
    assert_true(counts.moved > 0);
    assert_true(sim_now_ns(world.sim) - start >= counts.moved * 50000);
    assert_int_equal(world_lost(&world), 0);
    world_exit(&world);
}

static void test_pins_and_references(void **state)
{
    (void)state;
    for (int type = SIM_STORE_CACHE; type <= SIM_STORE_HANDLES; type++) {
        struct world world;
        struct cma_refusal refusal;
        world_init(&world, 1, NONE);
        struct sim_store *store =
            world_store(&world, (struct sim_store_config){.type = (enum sim_store_type)type});
        assert_true(store_fill(store, 2500) == 2500);
        for (uint32_t id = 0; id < 300; id++)
            assert_int_equal(sim_store_pin(store, id), 0);
        world_check(&world); /* nothing pinned is in the area */
        assert_int_equal(sim_store_remove(store, 0), CMA_EBUSY);
        if (type == SIM_STORE_CACHE)
            assert_int_equal(sim_store_rewrite(store, 0), 0);
        assert_int_equal(claim_all(&world, &refusal), 0);
        assert_int_equal(world_lost(&world), 0);
        for (uint32_t id = 0; id < 300; id++)
            assert_int_equal(sim_store_unpin(store, id), 0);
        assert_int_equal(sim_store_unpin(store, 0), CMA_EBADF);
        assert_int_equal(sim_store_ref(store, 7), 0);
        assert_int_equal(sim_store_remove(store, 7), CMA_EBUSY);
        assert_int_equal(sim_store_unref(store, 7), 0);
        assert_int_equal(sim_store_unref(store, 7), CMA_EBADF);
        world_check(&world);
        world_exit(&world);
    }
}

/* --- everything at once -------------------------------------------------------------------- */

static uint64_t draw(struct world *world, uint64_t below)
{
    return sim_random(world->sim) % below;
}

/* 0, or what a program that runs beside claims must expect. */
static void expect(int result)
{
    if (result == CMA_OK || result == CMA_ENOENT || result == CMA_ENOMEM || result == CMA_ENOSPC ||
        result == CMA_EBUSY || result == CMA_EBADF)
        return;
    fprintf(stderr, "test_movers: unexpected %d, %s\n", result, cma_strerror(result));
    abort();
}

static void must(int result)
{
    if (result == CMA_OK)
        return;
    fprintf(stderr, "test_movers: what was pinned is not, %s\n", cma_strerror(result));
    abort();
}

static void churn(void *arg)
{
    struct world *world = arg;
    struct cma_refusal refusal;

    for (uint32_t i = 0; i < world->rounds; i++) {
        uint32_t kind = (uint32_t)draw(world, STORES), unused;
        struct sim_store *store = world->stores[kind];
        uint32_t id = (uint32_t)draw(world, kind < 3 ? 150 + 350 * kind : 75);
        switch (draw(world, 12)) {
        case 0: expect(sim_store_remove(store, id)); break;
        case 1:
        case 2: expect(sim_store_add(store, &unused, &refusal)); break;
        case 3: expect(sim_store_writeback(store, id)); break;
        case 4: expect(sim_store_touch(store, id)); break;
        case 5:
            if (sim_store_pin(store, id) == 0) {
                sim_sleep_ns(world->sim, draw(world, 20000));
                must(sim_store_unpin(store, id));
            }
            break;
        case 6:
            if (sim_store_ref(store, id) == 0) {
                sim_sleep_ns(world->sim, draw(world, 5000));
                must(sim_store_unref(store, id));
            }
            break;
        case 7: (void)sim_store_verify(store, id); break;
        default: expect(sim_store_rewrite(store, id));
        }
    }
    __atomic_fetch_sub(&world->live_churners, 1, __ATOMIC_RELAXED);
}

static void claim(void *arg)
{
    struct world *world = arg;
    struct cma_area *area = &world->system.areas[0];
    uint32_t owner = 100 + sim_self(world->sim);

    while (__atomic_load_n(&world->live_churners, __ATOMIC_RELAXED)) {
        struct cma_area_request request = {.npages = 1 + draw(world, 100),
                                           .align_npages = (uint64_t)1 << draw(world, 4),
                                           .owner = owner};
        struct cma_refusal refusal;
        cma_pfn_t pfn;
        uint32_t word;
        int result = cma_area_alloc(area, &request, &pfn, &refusal);
        __atomic_fetch_add(result == 0 ? &world->claims : &world->refused, 1, __ATOMIC_RELAXED);
        if (result == 0) {
            /* A device's buffer: whoever else writes here is seen. */
            for (uint64_t i = 0; i < request.npages; i++)
                sim_write_paddr(world->sim, (pfn + i) * PAGE, &owner, sizeof(owner));
            sim_sleep_ns(world->sim, 20000);
            for (uint64_t i = 0; i < request.npages; i++) {
                sim_read_paddr(world->sim, (pfn + i) * PAGE, &word, sizeof(word));
                if (word != owner)
                    abort();
            }
            if (cma_area_release(area, pfn, request.npages, owner) != 0)
                abort();
        }
        sim_sleep_ns(world->sim, 10000);
    }
}

static void world_stores(struct world *world)
{
    world_store(world,
                (struct sim_store_config){
                    .type = SIM_STORE_CACHE, .name = "page cache", .capacity = 170, .seed = 1});
    world_store(world,
                (struct sim_store_config){
                    .type = SIM_STORE_ANON, .name = "anonymous", .capacity = 1520, .seed = 2});
    world_store(world, (struct sim_store_config){.type = SIM_STORE_HANDLES,
                                                 .name = "handles",
                                                 .capacity = 580,
                                                 .paddr_last = HIGH - 1,
                                                 .seed = 3});
    world_store(world, (struct sim_store_config){.type = SIM_STORE_REFUSING,
                                                 .name = "refusing",
                                                 .capacity = 75,
                                                 .refuse_n = 1,
                                                 .refuse_m = 4,
                                                 .seed = 4});
    world_store(
        world,
        (struct sim_store_config){
            .type = SIM_STORE_SLOW, .name = "slow", .capacity = 75, .slow_ns = 5000, .seed = 5});
}

struct outcome {
    uint64_t lost, hash, moved, dropped, waited, retried;
    uint32_t claims;
};

static struct outcome play_with(struct sim_config config, uint32_t rounds, enum control control)
{
    static const uint32_t first[STORES] = {150, 1500, 560, 70, 70};
    struct cma_pages_request filler = {.npages = 600, .holder = {.kind = CMA_KIND_UNMOVABLE}};
    cma_pfn_t filler_pfn;
    struct world world;
    struct outcome outcome = {0};

    world_init_with(&world, config, control);
    world_stores(&world);
    world.rounds = rounds;
    world.live_churners = 4;
    /* Ordinary memory is full, so that data which can only be moved is in the area too. */
    assert_int_equal(cma_pages_alloc(&world.system.pages, &filler, &filler_pfn, NULL), 0);
    for (int i = STORES - 1; i >= 0; i--)
        assert_int_equal(store_fill(world.stores[i], first[i]), first[i]);
    for (uint32_t i = 0; i < 4; i++)
        sim_spawn(world.sim, "churn", churn, &world);
    for (uint32_t i = 0; i < 2; i++)
        sim_spawn(world.sim, "claim", claim, &world);
    sim_run(world.sim);
    outcome.lost = world_lost(&world);
    outcome.hash = sim_trace_hash(world.sim);
    outcome.claims = world.claims;
    for (int i = 0; i < STORES; i++) {
        struct sim_store_counts counts;
        sim_store_counts(world.stores[i], &counts);
        outcome.moved += counts.moved;
        outcome.dropped += counts.dropped;
        outcome.waited += counts.waited;
        outcome.retried += counts.retried;
    }
    world_check(&world);
    world_exit(&world);
    return outcome;
}

static struct outcome play(uint64_t seed, enum control control)
{
    return play_with((struct sim_config){.seed = seed}, 1500, control);
}

/* --- pages that shuttle between the area and ordinary memory, writers on their heels -------- */

#define SHUTTLE_NPAGES 300u

static void shuttle_write(void *arg)
{
    struct world *world = arg;

    while (__atomic_load_n(&world->rounds, __ATOMIC_RELAXED)) {
        uint32_t id = (uint32_t)draw(world, SHUTTLE_NPAGES);
        expect(sim_store_rewrite(world->stores[0], id));
        if (draw(world, 4) == 0)
            (void)sim_store_verify(world->stores[0], (id + 1) % SHUTTLE_NPAGES);
    }
}

static void shuttle_drive(void *arg)
{
    struct world *world = arg;

    while (__atomic_load_n(&world->rounds, __ATOMIC_RELAXED)) {
        /* Room in ordinary memory; the area's pages must go there. */
        for (uint32_t id = 0; id < SHUTTLE_NPAGES; id++)
            expect(sim_store_remove(world->stores[1], id));
        expect(claim_all(world, NULL));
        /* Ordinary memory full; new pages go to the area. */
        for (uint32_t id = 0; id < SHUTTLE_NPAGES; id++)
            expect(sim_store_remove(world->stores[0], id));
        (void)store_fill(world->stores[1], SHUTTLE_NPAGES);
        (void)store_fill(world->stores[0], SHUTTLE_NPAGES);
        __atomic_fetch_sub(&world->rounds, 1, __ATOMIC_RELAXED);
    }
}

static struct sim_store_counts shuttle(struct sim_config config, enum sim_store_type type,
                                       enum control control)
{
    struct cma_pages_request filler = {.npages = 1, .holder = {.kind = CMA_KIND_UNMOVABLE}};
    struct world world;
    struct sim_store_counts counts;
    cma_pfn_t pfn;

    world_init_with(&world, config, control);
    world_store(&world, (struct sim_store_config){.type = type, .capacity = SHUTTLE_NPAGES});
    world_store(&world, (struct sim_store_config){.type = SIM_STORE_ANON,
                                                  .capacity = SHUTTLE_NPAGES,
                                                  .pages_flags = CMA_PAGES_NO_LENT,
                                                  .seed = 9});
    for (uint32_t i = 0; i < ORDINARY_NPAGES - SHUTTLE_NPAGES - 10; i++)
        assert_int_equal(cma_pages_alloc(&world.system.pages, &filler, &pfn, NULL), 0);
    assert_int_equal(store_fill(world.stores[1], SHUTTLE_NPAGES), SHUTTLE_NPAGES);
    assert_int_equal(store_fill(world.stores[0], SHUTTLE_NPAGES), SHUTTLE_NPAGES);
    /* A flush that is left out is noticed only by who is writing just then. */
    world.rounds = control == NO_FLUSH ? 16 : 4;
    for (int i = 0; i < 3; i++)
        sim_spawn(world.sim, "write", shuttle_write, &world);
    sim_spawn(world.sim, "drive", shuttle_drive, &world);
    sim_run(world.sim);
    uint64_t lost = world_lost(&world);
    sim_store_counts(world.stores[0], &counts);
    if (control == NONE)
        assert_int_equal(lost, 0);
    world_check(&world);
    world_exit(&world);
    return counts;
}

#define SEEDS 12
#define FEW_SEEDS 4

static void test_writers_follow_moving_pages(void **state)
{
    static const enum sim_store_type types[] = {SIM_STORE_ANON, SIM_STORE_HANDLES, SIM_STORE_CACHE};
    (void)state;

    for (int i = 0; i < 3; i++) {
        struct sim_store_counts sum = {0};
        for (uint64_t seed = 1; seed <= FEW_SEEDS; seed++) {
            struct sim_store_counts counts =
                shuttle((struct sim_config){.seed = seed}, types[i], NONE);
            sum.moved += counts.moved;
            sum.waited += counts.waited;
            sum.rewritten += counts.rewritten;
        }
        printf("type %d: %llu moved, %llu rewritten, %llu waited\n", (int)types[i],
               (unsigned long long)sum.moved, (unsigned long long)sum.rewritten,
               (unsigned long long)sum.waited);
        assert_true(sum.moved > 30 * FEW_SEEDS);
        assert_true(sum.waited > 0);
    }
}

static void test_no_byte_is_lost(void **state)
{
    struct outcome sum = {0};
    (void)state;

    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct outcome outcome = play(seed, NONE);
        assert_int_equal(outcome.lost, 0);
        sum.moved += outcome.moved;
        sum.dropped += outcome.dropped;
        sum.waited += outcome.waited;
        sum.claims += outcome.claims;
        sum.retried += outcome.retried;
    }
    printf("%u claims, %llu moved, %llu dropped, %llu waited, %llu retried\n", sum.claims,
           (unsigned long long)sum.moved, (unsigned long long)sum.dropped,
           (unsigned long long)sum.waited, (unsigned long long)sum.retried);
    /* All of it happened. */
    assert_true(sum.claims > 20 * SEEDS);
    assert_true(sum.moved > 50 * SEEDS);
    assert_true(sum.dropped > 50 * SEEDS);
}

static void test_other_boards(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        assert_int_equal(
            play_with((struct sim_config){.seed = seed, .coherent = true}, 800, NONE).lost, 0);
        assert_int_equal(
            play_with((struct sim_config){.seed = seed, .no_mmu = true}, 800, NONE).lost, 0);
        assert_int_equal(
            play_with((struct sim_config){.seed = seed, .delay_one_in = 50}, 800, NONE).lost, 0);
    }
}

static void test_same_seed_same_run(void **state)
{
    struct outcome a = play(5, NONE), b = play(5, NONE), c = play(6, NONE);
    (void)state;

    assert_int_equal(a.hash, b.hash);
    assert_int_equal(a.moved, b.moved);
    assert_int_equal(a.claims, b.claims);
    assert_int_not_equal(a.hash, c.hash);
}

/* Each leaves one step out; the stores notice it. */
static void test_controls_lose_bytes(void **state)
{
    (void)state;
    for (int control = NO_FLUSH; control <= TORN_COPY; control++) {
        uint32_t noticed = 0;
        for (uint64_t seed = 1; seed <= SEEDS; seed++)
            noticed +=
                shuttle((struct sim_config){.seed = seed}, SIM_STORE_ANON, (enum control)control)
                    .lost_bytes > 0;
        printf("control %d: noticed with %u of %u seeds\n", control, noticed, SEEDS);
        assert_true(noticed > SEEDS / 2);
    }
}

static void test_threads(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 2; seed++) {
        struct outcome outcome =
            play_with((struct sim_config){.seed = seed, .scheduler = SIM_THREADS}, 400, NONE);
        assert_int_equal(outcome.lost, 0);
        assert_true(outcome.moved > 0 && outcome.claims > 0);
        struct sim_config config = {.seed = seed, .scheduler = SIM_THREADS};
        assert_true(shuttle(config, SIM_STORE_ANON, NONE).moved > 0);
        assert_true(shuttle(config, SIM_STORE_HANDLES, NONE).moved > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_objects_come_and_go),
        cmocka_unit_test(test_wrong_bytes_are_counted_once),
        cmocka_unit_test(test_dropped_pages_come_back),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_callbacks_out_of_order),
        cmocka_unit_test(test_slow_freeze_takes_time),
        cmocka_unit_test(test_pins_and_references),
        cmocka_unit_test(test_writers_follow_moving_pages),
        cmocka_unit_test(test_no_byte_is_lost),
        cmocka_unit_test(test_other_boards),
        cmocka_unit_test(test_same_seed_same_run),
        cmocka_unit_test(test_controls_lose_bytes),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
