/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_movers_slots.c - simulated programs with data in what a device was promised
 *
 * 64 frames of ordinary memory, an area of 32 behind them, of which the first 16 are two slots of
 * a guarantee, of 8 pages each.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <cma/system.h>

#include "../../ports/sim/movers.h"

#define FIRST 0x100u
#define ORDINARY 64u
#define AREA (FIRST + ORDINARY)
#define AREA_NPAGES 32u
#define BLOCK 8u
#define SLOTS 16u /* pages of both */

struct world {
    struct sim *sim;
    struct cma_range memory[1], reserved[1];
    struct cma_map map;
    struct cma_system system;
    void *storage;
    struct cma_guarantee guarantee;
    struct sim_store *cache, *programs;
    uint32_t ids[ORDINARY + AREA_NPAGES];
};

static struct sim_store *world_store(struct world *world, enum sim_store_type type, bool in_place)
{
    struct sim_store_config config = {
        .type = type, .name = "test", .capacity = 200, .pins_in_place = in_place};

    return sim_store_create(world->sim, &world->system.frames, &world->system.pages, &config);
}

static struct world *world_open(uint32_t max_moves, bool in_place)
{
    struct world *world = calloc(1, sizeof(*world));
    const struct sim_memory memory = {FIRST << 12, (ORDINARY + AREA_NPAGES) << 12};
    const struct sim_config sim = {.seed = 1, .memory = &memory, .nmemory = 1};
    const struct cma_range area = {.base = AREA << 12,
                                   .nbytes = AREA_NPAGES << 12,
                                   .kind = CMA_RANGE_AREA,
                                   .flags = CMA_RANGE_DEFAULT,
                                   .name = "area"};
    const struct cma_guarantee_request request = {
        .npages = BLOCK, .count = 2, .max_moves = max_moves, .owner = 9};
    struct cma_system_config config = {.nslots = 2};
    uint64_t nbytes;

    assert_non_null(world);
    world->sim = sim_create(&sim);
    assert_non_null(world->sim);
    assert_int_equal(cma_map_init(&world->map, world->memory, 1, world->reserved, 1), 0);
    assert_int_equal(cma_map_add_memory(&world->map, memory.base, memory.nbytes, NULL), 0);
    assert_int_equal(cma_map_reserve(&world->map, &area, NULL), 0);
    config.port = sim_port(world->sim);
    nbytes = cma_system_size(&world->map, &config);
    world->storage = calloc(1, nbytes);
    assert_int_equal(cma_system_init(&world->system, &world->map, &config, world->storage, nbytes),
                     0);
    assert_int_equal(cma_guarantee_admit(&world->system.guarantees, &world->guarantee,
                                         world->system.default_area, &request, NULL),
                     0);
    world->cache = world_store(world, SIM_STORE_CACHE, in_place);
    world->programs = world_store(world, SIM_STORE_ANON, in_place);
    return world;
}

static bool world_in_slot(struct world *world, cma_pfn_t pfn)
{
    struct cma_frame_info info;

    return pfn != CMA_PFN_NONE && cma_frame_info(&world->system.frames, pfn, &info) == 0 &&
           info.slot;
}

static uint32_t world_fill(struct world *world, struct sim_store *store, uint32_t most)
{
    uint32_t count = 0;

    while (count < most && sim_store_add(store, &world->ids[count], NULL) == 0)
        count++;
    return count;
}

/* An object of the store that lies in a slot. */
static uint32_t world_lent(struct world *world, struct sim_store *store)
{
    for (uint32_t id = 0; id < 200; id++)
        if (world_in_slot(world, sim_store_pfn(store, id)))
            return id;
    fail_msg("nobody has anything in a slot");
    return 0;
}

static uint64_t world_moved_out(struct sim_store *store)
{
    struct sim_store_counts counts;

    sim_store_counts(store, &counts);
    return counts.moved_out;
}

/* Both blocks can be had, no byte is wrong, and the books are right. */
static void world_close(struct world *world, uint32_t max_moves)
{
    struct cma_guarantee_work work;
    struct cma_violation violation;
    cma_pfn_t pfn[2];

    assert_true(cma_system_check(&world->system, &violation));
    for (int i = 0; i < 2; i++) {
        assert_int_equal(cma_guarantee_take(&world->guarantee, &pfn[i], &work, NULL), 0);
        assert_in_range(work.copied, 0, max_moves);
        assert_in_range(work.dropped, 0, BLOCK);
    }
    assert_true(sim_store_verify_all(world->cache));
    assert_true(sim_store_verify_all(world->programs));
    for (int i = 0; i < 2; i++)
        assert_int_equal(cma_guarantee_release(&world->guarantee, pfn[i], true), 0);
    assert_true(cma_system_check(&world->system, &violation));
    sim_store_destroy(world->cache);
    sim_store_destroy(world->programs);
    sim_destroy(world->sim);
    free(world->storage);
    free(world);
}

static void the_cache_borrows_every_page_of_slots(void **state)
{
    struct world *world = world_open(0, false);
    uint32_t lent = 0;

    (void)state;
    assert_int_equal(world_fill(world, world->cache, 200), ORDINARY + AREA_NPAGES);
    for (uint32_t i = 0; i < ORDINARY + AREA_NPAGES; i++)
        lent += world_in_slot(world, sim_store_pfn(world->cache, world->ids[i]));
    assert_int_equal(lent, SLOTS);
    world_close(world, 0);
}

static void programs_borrow_nothing_without_a_place_for_it(void **state)
{
    struct world *world = world_open(3, false);
    uint32_t lent = 0, count;

    (void)state;
    count = world_fill(world, world->programs, 200);
    for (uint32_t i = 0; i < count; i++)
        lent += world_in_slot(world, sim_store_pfn(world->programs, world->ids[i]));
    assert_int_equal(count, ORDINARY + AREA_NPAGES - SLOTS);
    assert_int_equal(lent, 0);
    world_close(world, 3);
}

static void what_gets_dirty_moves_out(void **state)
{
    struct world *world = world_open(0, false);
    uint32_t id;

    (void)state;
    world_fill(world, world->cache, 200);
    id = world_lent(world, world->cache);
    assert_int_equal(sim_store_rewrite(world->cache, id), 0);
    assert_false(world_in_slot(world, sim_store_pfn(world->cache, id)));
    assert_int_equal(world_moved_out(world->cache), 1);
    assert_true(sim_store_verify(world->cache, id));
    /* what is not in a slot stays */
    assert_int_equal(sim_store_rewrite(world->cache, id), 0);
    assert_int_equal(world_moved_out(world->cache), 1);
    world_close(world, 0);
}

static void it_stays_where_it_may_be_copied(void **state)
{
    struct world *world = world_open(1, false);
    uint32_t id;

    (void)state;
    world_fill(world, world->cache, 200);
    /* a free page, that the promise to the writer can be kept with */
    for (uint32_t i = 0; i < ORDINARY + AREA_NPAGES; i++)
        if (sim_store_pfn(world->cache, world->ids[i]) < AREA) {
            assert_int_equal(sim_store_remove(world->cache, world->ids[i]), 0);
            break;
        }
    id = world_lent(world, world->cache);
    assert_int_equal(sim_store_rewrite(world->cache, id), 0);
    assert_true(world_in_slot(world, sim_store_pfn(world->cache, id)));
    assert_int_equal(world_moved_out(world->cache), 0);
    assert_int_equal(sim_store_writeback(world->cache, id), 0);
    assert_int_equal(sim_store_rewrite(world->cache, id), 0);
    world_close(world, 1);
}

static void writers_wait_where_nothing_else_is_free(void **state)
{
    struct world *world = world_open(0, false);
    uint32_t id, program;
    cma_pfn_t pfn;

    (void)state;
    assert_int_equal(world_fill(world, world->programs, 200), ORDINARY + AREA_NPAGES - SLOTS);
    program = world->ids[0];
    assert_int_equal(world_fill(world, world->cache, 200), SLOTS);
    id = world_lent(world, world->cache);
    pfn = sim_store_pfn(world->cache, id);
    assert_int_equal(sim_store_rewrite(world->cache, id), CMA_ENOMEM);
    assert_int_equal(sim_store_ref(world->cache, id), CMA_ENOMEM);
    assert_int_equal(sim_store_pin(world->cache, id), CMA_ENOMEM);
    assert_int_equal(sim_store_pfn(world->cache, id), pfn);
    assert_true(sim_store_verify(world->cache, id));
    assert_int_equal(world_moved_out(world->cache), 0);
    assert_int_equal(sim_store_remove(world->programs, program), 0);
    assert_int_equal(sim_store_rewrite(world->cache, id), 0);
    assert_int_equal(world_moved_out(world->cache), 1);
    world_close(world, 0);
}

static void references_and_pins_move_out(void **state)
{
    (void)state;
    for (int in_place = 0; in_place < 2; in_place++) {
        struct world *world = world_open(2, in_place != 0);
        uint32_t id;

        world_fill(world, world->cache, 200);
        id = world_lent(world, world->cache);
        assert_int_equal(sim_store_ref(world->cache, id), 0);
        assert_false(world_in_slot(world, sim_store_pfn(world->cache, id)));
        assert_int_equal(sim_store_unref(world->cache, id), 0);
        id = world_lent(world, world->cache);
        assert_int_equal(sim_store_pin(world->cache, id), 0);
        assert_false(world_in_slot(world, sim_store_pfn(world->cache, id)));
        assert_int_equal(world_moved_out(world->cache), 1 + (uint64_t)in_place);
        world_close(world, 2);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cache_borrows_every_page_of_slots),
        cmocka_unit_test(programs_borrow_nothing_without_a_place_for_it),
        cmocka_unit_test(what_gets_dirty_moves_out),
        cmocka_unit_test(it_stays_where_it_may_be_copied),
        cmocka_unit_test(writers_wait_where_nothing_else_is_free),
        cmocka_unit_test(references_and_pins_move_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
