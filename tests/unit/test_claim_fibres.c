/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_claim_fibres.c - claims beside each other and beside live data, in the simulator
 *
 * Fibres switch at hooks, by seed: each seed is another interleaving, and the same seed the same
 * one. Claimants want exactly as many windows as the area has, while programs write to pages that
 * the area has lent; all data that cannot be dropped fits outside, so every claim must succeed. The
 * area begins at an odd frame, and the claims are aligned to it through a bus offset, so that each
 * window has parts of three blocks and windows share blocks.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <cma/system.h>

#include "../../ports/sim/movers.h"
#include "../../ports/sim/sim.h"

#define PAGE 4096u
#define BASE_PFN 0x80000u
#define AREA_FIRST 137u
#define WINDOW 64u
#define NWINDOWS 8u
#define NPAGES (AREA_FIRST + WINDOW * NWINDOWS + 113u)
#define NCLAIMANTS 4u
#define ROUNDS 6u
#define ANON 150u   /* never droppable */
#define CACHED 300u /* droppable while clean */
#define DIRTY 40u   /* so many of them are written to: with ANON, less than fits outside */

struct machine {
    struct sim *sim;
    struct cma_range memory[2], reserved[2];
    struct cma_map map;
    struct cma_system system;
    void *storage;
    struct sim_store *anon, *cache;
    uint32_t ids[ANON + CACHED];
    uint32_t claimants_left, writers;
    uint32_t refused;
    struct cma_refusal refusal;
    uint64_t wrong_bytes;
    uint32_t stepwise; /* claimants step in budgets of so many pages; 0: cma_area_alloc */
};

static void machine_create(struct machine *machine, uint64_t seed)
{
    struct sim_memory memory = {(uint64_t)BASE_PFN * PAGE, (uint64_t)NPAGES * PAGE};
    struct sim_config config = {.seed = seed, .memory = &memory, .nmemory = 1};
    struct cma_range range = {.base = (uint64_t)(BASE_PFN + AREA_FIRST) * PAGE,
                              .nbytes = (uint64_t)WINDOW * NWINDOWS * PAGE,
                              .kind = CMA_RANGE_AREA,
                              .flags = CMA_RANGE_DEFAULT,
                              .name = "area"};
    struct cma_system_config system = {.block_order = 5};
    struct sim_store_config store = {.type = SIM_STORE_ANON, .name = "anon", .capacity = ANON};
    uint64_t nbytes;
    uint32_t i;

    memset(machine, 0, sizeof(*machine));
    machine->sim = sim_create(&config);
    assert_non_null(machine->sim);
    assert_int_equal(cma_map_init(&machine->map, machine->memory, 2, machine->reserved, 2), 0);
    assert_int_equal(cma_map_add_memory(&machine->map, memory.base, memory.nbytes, NULL), 0);
    assert_int_equal(cma_map_reserve(&machine->map, &range, NULL), 0);
    system.port = sim_port(machine->sim);
    nbytes = cma_system_size(&machine->map, &system);
    machine->storage = aligned_alloc(8, nbytes);
    assert_int_equal(
        cma_system_init(&machine->system, &machine->map, &system, machine->storage, nbytes), 0);
    machine->anon =
        sim_store_create(machine->sim, &machine->system.frames, &machine->system.pages, &store);
    store.type = SIM_STORE_CACHE;
    store.name = "cache";
    store.capacity = CACHED;
    machine->cache =
        sim_store_create(machine->sim, &machine->system.frames, &machine->system.pages, &store);
    /* The cache first: it fills what is outside, and the others are left with the area. */
    for (i = ANON + CACHED; i-- > 0;) {
        assert_int_equal(
            sim_store_add(i < ANON ? machine->anon : machine->cache, &machine->ids[i], NULL), 0);
    }
}

static void machine_destroy(struct machine *machine)
{
    struct cma_violation violation;

    if (!cma_system_check(&machine->system, &violation)) {
        fail_msg("%s", violation.what);
    }
    assert_true(sim_store_verify_all(machine->anon));
    assert_true(sim_store_verify_all(machine->cache));
    sim_store_destroy(machine->anon);
    sim_store_destroy(machine->cache);
    sim_destroy(machine->sim);
    free(machine->storage);
}

/* --- fibres ---------------------------------------------------------------------------- */

static int claim_window(struct machine *machine, uint32_t owner, cma_pfn_t *pfn)
{
    struct cma_area *area = machine->system.default_area;
    struct cma_area_request request = {.npages = WINDOW, .align_npages = WINDOW, .owner = owner};
    uint64_t from = area->span->pfn * PAGE;
    struct cma_claim claim;
    int error;

    request.bus_offset = 0 - from;
    if (machine->stepwise == 0) {
        return cma_area_alloc(area, &request, pfn, &machine->refusal);
    }
    /* Stepped claims hear "again" while others are paused: it says just that. */
    do {
        error = cma_claim_start(&claim, area, &request);
        while (error == 0 && claim.state != CMA_CLAIM_DONE) {
            error = cma_claim_step(&claim, machine->stepwise);
            sim_yield(machine->sim);
            error = error == 1 ? 0 : error;
        }
        *pfn = claim.pfn;
    } while (error == CMA_EAGAIN);
    machine->refusal = claim.refusal;
    return error;
}

static void fill_window(struct machine *machine, cma_pfn_t pfn, uint8_t byte)
{
    uint8_t bytes[256];
    uint32_t i;

    memset(bytes, byte, sizeof(bytes));
    for (i = 0; i < WINDOW; i++) {
        sim_write_paddr(machine->sim, (pfn + i) * PAGE + 512, bytes, sizeof(bytes));
    }
}

static void verify_window(struct machine *machine, cma_pfn_t pfn, uint8_t byte)
{
    uint8_t bytes[256];
    uint32_t i, j;

    for (i = 0; i < WINDOW; i++) {
        sim_read_paddr(machine->sim, (pfn + i) * PAGE + 512, bytes, sizeof(bytes));
        for (j = 0; j < sizeof(bytes); j++) {
            machine->wrong_bytes += bytes[j] != byte;
        }
    }
}

static void claimant(void *arg)
{
    struct machine *machine = arg;
    uint32_t owner = sim_self(machine->sim);
    uint32_t round, i;

    for (round = 0; round < ROUNDS; round++) {
        cma_pfn_t pfn[NWINDOWS / NCLAIMANTS];

        for (i = 0; i < NWINDOWS / NCLAIMANTS; i++) {
            if (claim_window(machine, owner, &pfn[i]) != 0) {
                machine->refused++;
                pfn[i] = CMA_PFN_NONE;
                continue;
            }
            fill_window(machine, pfn[i], (uint8_t)(owner * 16 + i));
        }
        sim_sleep_ns(machine->sim, sim_random(machine->sim) % 200000);
        for (i = 0; i < NWINDOWS / NCLAIMANTS; i++) {
            if (pfn[i] == CMA_PFN_NONE) {
                continue;
            }
            verify_window(machine, pfn[i], (uint8_t)(owner * 16 + i));
            if (cma_area_release(machine->system.default_area, pfn[i], WINDOW, owner) != 0) {
                machine->refused += 100;
            }
        }
        /* Demand: what was dropped for the windows is wanted again, and the area lends. */
        for (i = 0; i < 40; i++) {
            (void)sim_store_touch(machine->cache,
                                  machine->ids[ANON + sim_random(machine->sim) % CACHED]);
        }
    }
    machine->claimants_left--;
}

/* The first writer changes anonymous pages and takes them away and brings them back, the second
 * dirties some cached pages and reads all: they come back from disk, into the area when it lends.
 */
static void writer(void *arg)
{
    struct machine *machine = arg;
    bool anon = machine->writers++ % 2 == 0;

    while (machine->claimants_left != 0) {
        uint64_t random = sim_random(machine->sim);
        uint32_t i = (uint32_t)random % (anon ? ANON : CACHED) + (anon ? 0 : ANON);
        uint32_t dirty = ANON + (uint32_t)random % DIRTY;
        struct sim_store *store = anon ? machine->anon : machine->cache;

        switch (random >> 32 & 3) {
        case 0:
            if (!anon) {
                (void)sim_store_rewrite(store, machine->ids[dirty]);
            } else if (sim_store_rewrite(store, machine->ids[i]) == 0 &&
                       sim_store_remove(store, machine->ids[i]) == 0) {
                /* Refused now and then: memory is full. */
                (void)sim_store_add(store, &machine->ids[i], NULL);
            }
            break;
        case 1: (void)sim_store_verify(store, machine->ids[i]); break;
        case 2: (void)sim_store_touch(store, machine->ids[i]); break;
        default: (void)sim_store_writeback(store, machine->ids[anon ? i : dirty]); break;
        }
    }
}

static void pinner(void *arg)
{
    struct machine *machine = arg;

    while (machine->claimants_left != 0) {
        uint32_t i = (uint32_t)(sim_random(machine->sim) % ANON);

        if (sim_store_pin(machine->anon, machine->ids[i]) == 0) {
            sim_sleep_ns(machine->sim, 3000);
            (void)sim_store_unpin(machine->anon, machine->ids[i]);
        }
        if (sim_store_ref(machine->anon, machine->ids[i]) == 0) {
            sim_sleep_ns(machine->sim, 3000);
            (void)sim_store_unref(machine->anon, machine->ids[i]);
        }
    }
}

/* Over all seeds, so that it is seen that there was work. */
static uint64_t copied, dropped;

static uint64_t run_seed(uint64_t seed, uint32_t stepwise)
{
    struct machine machine;
    struct cma_area_stats stats;
    uint64_t hash;
    uint32_t i;

    machine_create(&machine, seed);
    machine.stepwise = stepwise;
    machine.claimants_left = NCLAIMANTS;
    for (i = 0; i < NCLAIMANTS; i++) {
        sim_spawn(machine.sim, "claimant", claimant, &machine);
    }
    sim_spawn(machine.sim, "anonymous", writer, &machine);
    sim_spawn(machine.sim, "cache", writer, &machine);
    sim_spawn(machine.sim, "pinner", pinner, &machine);
    sim_run(machine.sim);
    if (machine.refused != 0) {
        fail_msg("seed %llu: %u refused, the last: %s (%d)", (unsigned long long)seed,
                 machine.refused, cma_reason_name(machine.refusal.reason), machine.refusal.code);
    }
    assert_int_equal(machine.wrong_bytes, 0);
    cma_area_stats(machine.system.default_area, &stats);
    assert_int_equal(stats.claims, NWINDOWS * ROUNDS);
    copied += stats.copied_npages;
    dropped += stats.dropped_npages;
    hash = sim_trace_hash(machine.sim);
    machine_destroy(&machine);
    return hash;
}

static void test_every_claim_gets_its_window(void **state)
{
    uint64_t seed;

    (void)state;
    for (seed = 1; seed <= 40; seed++) {
        (void)run_seed(seed, 0);
    }
    assert_true(copied > 40 * 100);
    assert_true(dropped > 40 * 40);
}

static void test_stepped_claims(void **state)
{
    uint64_t seed;

    (void)state;
    for (seed = 1; seed <= 15; seed++) {
        (void)run_seed(seed, (uint32_t)(seed % 20) + 1);
    }
}

static void test_same_seed_same_run(void **state)
{
    uint64_t hash = run_seed(7, 0);

    (void)state;
    assert_true(hash == run_seed(7, 0));
    assert_true(hash != run_seed(8, 0));
}

/* --- waiting for a claim that is at work ----------------------------------------------- */

enum ending { ENDS_WELL, ENDS_PAUSED, ENDS_REFUSED };

/* A small board whose area is one claim long, with data in it whose mover takes a millisecond. */
struct duel {
    struct sim *sim;
    struct cma_range memory[2], reserved[2];
    struct cma_map map;
    struct cma_system system;
    void *storage;
    enum ending ending;
    uint64_t first_ended_ns, second_ended_ns;
    int first, second;
};

static void duel_first(void *arg)
{
    struct duel *duel = arg;
    struct cma_area_request request = {.npages = 64, .owner = 1};
    struct cma_claim claim;

    assert_int_equal(cma_claim_start(&claim, duel->system.default_area, &request), 0);
    duel->first = cma_claim_step(&claim, duel->ending == ENDS_PAUSED ? 1 + 64 + 63 : UINT64_MAX);
    duel->first_ended_ns = sim_now_ns(duel->sim);
    if (duel->ending == ENDS_PAUSED) {
        sim_sleep_ns(duel->sim, 5000000);
        cma_claim_cancel(&claim);
    } else if (duel->first == 0) {
        sim_sleep_ns(duel->sim, 5000000);
        duel->first = cma_area_release(duel->system.default_area, claim.pfn, 64, 1);
    }
}

static void duel_second(void *arg)
{
    struct duel *duel = arg;
    struct cma_area_request request = {.npages = 2, .owner = 2};
    cma_pfn_t pfn = 0;

    /* The first is in its mover's hands by now. */
    sim_sleep_ns(duel->sim, 600000);
    duel->second = cma_area_alloc(duel->system.default_area, &request, &pfn, NULL);
    duel->second_ended_ns = sim_now_ns(duel->sim);
    if (duel->second == 0 && cma_area_release(duel->system.default_area, pfn, 2, 2) != 0) {
        duel->second = 1;
    }
}

static void duel_run(struct duel *duel, enum ending ending)
{
    struct sim_memory memory = {(uint64_t)BASE_PFN * PAGE, 256 * PAGE};
    struct sim_config config = {.seed = 1, .memory = &memory, .nmemory = 1};
    struct cma_range range = {.base = (uint64_t)(BASE_PFN + 100) * PAGE,
                              .nbytes = 64 * PAGE,
                              .kind = CMA_RANGE_AREA,
                              .flags = CMA_RANGE_DEFAULT,
                              .name = "area"};
    struct sim_store_config slow = {.type = SIM_STORE_SLOW, .name = "slow", .capacity = 300};
    struct sim_store_config refusing = {.type = SIM_STORE_REFUSING, .name = "no", .capacity = 4};
    struct cma_system_config system = {.block_order = 5};
    struct sim_store *stores[2];
    uint32_t id, i;
    uint64_t nbytes;

    memset(duel, 0, sizeof(*duel));
    duel->ending = ending;
    duel->sim = sim_create(&config);
    assert_int_equal(cma_map_init(&duel->map, duel->memory, 2, duel->reserved, 2), 0);
    assert_int_equal(cma_map_add_memory(&duel->map, memory.base, memory.nbytes, NULL), 0);
    assert_int_equal(cma_map_reserve(&duel->map, &range, NULL), 0);
    system.port = sim_port(duel->sim);
    nbytes = cma_system_size(&duel->map, &system);
    duel->storage = aligned_alloc(8, nbytes);
    assert_int_equal(cma_system_init(&duel->system, &duel->map, &system, duel->storage, nbytes), 0);
    stores[0] = sim_store_create(duel->sim, &duel->system.frames, &duel->system.pages, &slow);
    stores[1] = sim_store_create(duel->sim, &duel->system.frames, &duel->system.pages, &refusing);
    /* All of the memory outside, the highest page of the area, and room made outside for that one.
     */
    for (i = 0; i < 193; i++) {
        struct sim_store *store = ending == ENDS_REFUSED && i == 192 ? stores[1] : stores[0];

        assert_int_equal(sim_store_add(store, &id, NULL), 0);
    }
    assert_int_equal(sim_store_remove(stores[0], 0), 0);
    assert_int_equal(sim_store_remove(stores[0], 1), 0);
    if (ending == ENDS_PAUSED) {
        /* The last but one too, so that a budget can end between the two. */
        assert_int_equal(sim_store_add(stores[0], &id, NULL), 0);
        assert_int_equal(sim_store_add(stores[0], &id, NULL), 0);
        assert_int_equal(sim_store_add(stores[0], &id, NULL), 0);
        assert_int_equal(sim_store_remove(stores[0], 2), 0);
        assert_int_equal(sim_store_remove(stores[0], 3), 0);
    }
    if (ending == ENDS_REFUSED) {
        /* One more that is slow, above or below the one that refuses. */
        for (i = 0; i < 4; i++) {
            assert_int_equal(sim_store_add(stores[0], &id, NULL), 0);
        }
        assert_int_equal(sim_store_remove(stores[0], 2), 0);
        assert_int_equal(sim_store_remove(stores[0], 3), 0);
        assert_int_equal(sim_store_remove(stores[0], 4), 0);
    }
    sim_spawn(duel->sim, "first", duel_first, duel);
    sim_spawn(duel->sim, "second", duel_second, duel);
    sim_run(duel->sim);
    assert_true(sim_store_verify_all(stores[0]));
    sim_store_destroy(stores[0]);
    sim_store_destroy(stores[1]);
    sim_destroy(duel->sim);
    free(duel->storage);
}

static void test_waits_for_a_claim_at_work(void **state)
{
    struct duel duel;

    (void)state;
    /* It ends well: then, and not before, there is nothing left. */
    duel_run(&duel, ENDS_WELL);
    assert_int_equal(duel.first, 0);
    assert_int_equal(duel.second, CMA_ENOMEM);
    assert_true(duel.second_ended_ns >= duel.first_ended_ns);
    assert_true(duel.first_ended_ns > 1000000);
    /* It pauses: nobody waits for its owner to come back. */
    duel_run(&duel, ENDS_PAUSED);
    assert_int_equal(duel.first, 1);
    assert_true(duel.first_ended_ns > 1000000);
    assert_true(duel.second_ended_ns >= duel.first_ended_ns);
    assert_int_equal(duel.second, CMA_EAGAIN);
    assert_true(duel.second_ended_ns < duel.first_ended_ns + 1000000);
    /* It is refused: what it had isolated is there for the other. */
    duel_run(&duel, ENDS_REFUSED);
    assert_int_equal(duel.first, CMA_EBUSY);
    assert_int_equal(duel.second, 0);
    /* Not before it was put back; the first may still be asking movers what to say. */
    assert_true(duel.second_ended_ns > 1000000);
}

/* --- the search is overtaken ----------------------------------------------------------- */

/* More claimants than windows, but each takes a permit first and gives it back after its release:
 * so whoever has a permit must find a window, however the search and the releases interleave. */
struct permits {
    struct duel board;
    uint32_t free, refused;
    int code;
};

static void permitted(void *arg)
{
    struct permits *permits = arg;
    struct cma_area_request request = {.npages = 8, .align_npages = 8, .owner = 3};
    uint32_t round;

    request.bus_offset = 0 - permits->board.system.default_area->span->pfn * PAGE;
    for (round = 0; round < 30; round++) {
        cma_pfn_t pfn;
        int error;

        while (permits->free == 0) {
            sim_yield(permits->board.sim);
        }
        permits->free--;
        error = cma_area_alloc(permits->board.system.default_area, &request, &pfn, NULL);
        if (error != 0) {
            permits->refused++;
            permits->code = error;
        } else {
            sim_yield(permits->board.sim);
            error = cma_area_release(permits->board.system.default_area, pfn, 8, 3);
            permits->refused += error != 0;
        }
        permits->free++;
    }
}

static void test_search_is_overtaken(void **state)
{
    uint64_t seed;

    (void)state;
    for (seed = 1; seed <= 60; seed++) {
        struct sim_memory memory = {(uint64_t)BASE_PFN * PAGE, 64 * PAGE};
        struct sim_config config = {.seed = seed, .memory = &memory, .nmemory = 1};
        struct cma_range range = {.base = (uint64_t)(BASE_PFN + 11) * PAGE,
                                  .nbytes = 4 * 8 * PAGE,
                                  .kind = CMA_RANGE_AREA,
                                  .flags = CMA_RANGE_DEFAULT,
                                  .name = "area"};
        struct cma_system_config system = {.block_order = 5};
        struct permits permits = {.free = 4};
        struct duel *board = &permits.board;
        struct cma_violation violation;
        uint64_t nbytes;
        uint32_t i;

        board->sim = sim_create(&config);
        assert_int_equal(cma_map_init(&board->map, board->memory, 2, board->reserved, 2), 0);
        assert_int_equal(cma_map_add_memory(&board->map, memory.base, memory.nbytes, NULL), 0);
        assert_int_equal(cma_map_reserve(&board->map, &range, NULL), 0);
        system.port = sim_port(board->sim);
        nbytes = cma_system_size(&board->map, &system);
        board->storage = aligned_alloc(8, nbytes);
        assert_int_equal(
            cma_system_init(&board->system, &board->map, &system, board->storage, nbytes), 0);
        for (i = 0; i < 6; i++) {
            sim_spawn(board->sim, "permitted", permitted, &permits);
        }
        sim_run(board->sim);
        if (permits.refused != 0) {
            fail_msg("seed %llu: %u refused, the last with %d", (unsigned long long)seed,
                     permits.refused, permits.code);
        }
        assert_true(cma_system_check(&board->system, &violation));
        sim_destroy(board->sim);
        free(board->storage);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_claim_gets_its_window),
        cmocka_unit_test(test_stepped_claims),
        cmocka_unit_test(test_same_seed_same_run),
        cmocka_unit_test(test_waits_for_a_claim_at_work),
        cmocka_unit_test(test_search_is_overtaken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
