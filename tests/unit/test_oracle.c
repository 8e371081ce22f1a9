/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_oracle.c - the naive search of `cma run` against boards whose answer is known by hand
 *
 * 64 frames of ordinary memory at pfn 0x100, an area of 32 frames behind them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include <cma/system.h>

#include "../../ports/sim/movers.h"
#include "../../tool/oracle.h"

#define FIRST 0x100u
#define ORDINARY 64u
#define AREA (FIRST + ORDINARY)
#define AREA_NPAGES 32u

struct test_board {
    struct sim *sim;
    struct cma_range memory[1], reserved[1];
    struct cma_map map;
    struct cma_system system;
    void *storage;
    struct sim_store *cache, *programs;
    struct oracle_board oracle;
    uint32_t ids[ORDINARY + AREA_NPAGES];
};

static void test_store(struct test_board *board, struct sim_store **store, enum sim_store_type type)
{
    struct sim_store_config config = {.type = type, .name = "test", .capacity = 200};

    *store = sim_store_create(board->sim, &board->system.frames, &board->system.pages, &config);
    board->oracle.mover_last[sim_store_mover(*store)] = CMA_PADDR_MAX;
}

static int test_open(void **state)
{
    struct test_board *board = calloc(1, sizeof(*board));
    const struct sim_memory memory = {FIRST << 12, (ORDINARY + AREA_NPAGES) << 12};
    const struct sim_config sim = {.seed = 1, .memory = &memory, .nmemory = 1};
    const struct cma_range area = {.base = AREA << 12,
                                   .nbytes = AREA_NPAGES << 12,
                                   .kind = CMA_RANGE_AREA,
                                   .flags = CMA_RANGE_DEFAULT,
                                   .name = "area"};
    struct cma_system_config config = {.nslots = 2};
    uint64_t nbytes;

    assert_non_null(board);
    *state = board;
    board->sim = sim_create(&sim);
    assert_non_null(board->sim);
    assert_int_equal(cma_map_init(&board->map, board->memory, 1, board->reserved, 1), 0);
    assert_int_equal(cma_map_add_memory(&board->map, memory.base, memory.nbytes, NULL), 0);
    assert_int_equal(cma_map_reserve(&board->map, &area, NULL), 0);
    config.port = sim_port(board->sim);
    nbytes = cma_system_size(&board->map, &config);
    board->storage = calloc(1, nbytes);
    assert_int_equal(cma_system_init(&board->system, &board->map, &config, board->storage, nbytes),
                     0);
    board->oracle = (struct oracle_board){
        .frames = &board->system.frames, .map = &board->map, .page_shift = 12};
    test_store(board, &board->cache, SIM_STORE_CACHE);
    test_store(board, &board->programs, SIM_STORE_ANON);
    return 0;
}

static int test_close(void **state)
{
    struct test_board *board = *state;

    sim_store_destroy(board->cache);
    sim_store_destroy(board->programs);
    sim_destroy(board->sim);
    free(board->storage);
    free(board);
    return 0;
}

static struct oracle_answer test_ask_within(struct test_board *board, uint64_t npages,
                                            uint64_t align, cma_paddr_t first, cma_paddr_t last)
{
    const struct oracle_question question = {.area_pfn = AREA,
                                             .area_npages = AREA_NPAGES,
                                             .npages = npages,
                                             .align_npages = align,
                                             .paddr_first = first,
                                             .paddr_last = last};
    struct oracle_answer answer;

    assert_int_equal(oracle_ask(&board->oracle, &question, &answer), 0);
    return answer;
}

static struct oracle_answer test_ask(struct test_board *board, uint64_t npages)
{
    return test_ask_within(board, npages, 1, 0, CMA_PADDR_MAX);
}

static cma_pfn_t test_claim(struct test_board *board, uint64_t npages)
{
    const struct cma_area_request request = {.npages = npages, .owner = 7};
    cma_pfn_t pfn = CMA_PFN_NONE;

    assert_int_equal(cma_area_alloc(board->system.default_area, &request, &pfn, NULL), 0);
    return pfn;
}

/* Fills with objects of a store until no more go in. */
static uint32_t test_fill(struct test_board *board, struct sim_store *store, uint32_t most)
{
    uint32_t count = 0;

    while (count < most && sim_store_add(store, &board->ids[count], NULL) == 0)
        count++;
    return count;
}

static void empty_area_has_room(void **state)
{
    struct oracle_answer answer = test_ask(*state, AREA_NPAGES);

    assert_true(answer.possible);
    assert_int_equal(answer.pfn, AREA);
    assert_int_equal(answer.places, 1);
    assert_false(test_ask(*state, AREA_NPAGES + 1).possible);
    assert_false(test_ask(*state, 0).possible);
}

static void claimed_frames_are_held(void **state)
{
    struct test_board *board = *state;
    cma_pfn_t first = test_claim(board, 10);

    assert_int_equal(first, AREA);
    assert_int_equal(test_ask(board, 22).pfn, AREA + 10);
    assert_false(test_ask(board, 23).possible);
    assert_int_equal(test_ask(board, 23).open, 0);
    assert_int_equal(cma_area_release(board->system.default_area, first, 10, 7), 0);
    assert_true(test_ask(board, 23).possible);
}

static void limits_and_alignment_bind(void **state)
{
    cma_paddr_t base = AREA << 12;

    assert_int_equal(test_ask_within(*state, 4, 1, base + 1, CMA_PADDR_MAX).pfn, AREA + 1);
    assert_int_equal(test_ask_within(*state, 4, 8, base + 1, CMA_PADDR_MAX).pfn, AREA + 8);
    assert_true(test_ask_within(*state, 4, 1, 0, base + (4 << 12) - 1).possible);
    assert_false(test_ask_within(*state, 4, 1, 0, base + (4 << 12) - 2).possible);
    assert_false(test_ask_within(*state, 4, 1, 0, base - 1).possible);
}

static void kept_data_needs_a_place(void **state)
{
    struct test_board *board = *state;
    struct oracle_answer answer;

    assert_int_equal(test_fill(board, board->programs, 200), ORDINARY + AREA_NPAGES);
    answer = test_ask(board, 4);
    assert_false(answer.possible);
    assert_int_equal(answer.open, AREA_NPAGES - 3);
    for (uint32_t i = 0; i < 3; i++) /* the first ones lie in ordinary memory */
        assert_int_equal(sim_store_remove(board->programs, board->ids[i]), 0);
    assert_false(test_ask(board, 4).possible);
    assert_int_equal(sim_store_remove(board->programs, board->ids[3]), 0);
    answer = test_ask(board, 4);
    assert_true(answer.possible);
    assert_int_equal(answer.kept, 4);
}

static void droppable_data_makes_room(void **state)
{
    struct test_board *board = *state;

    /* 96 frames: 60 of programs, then cache: 4 in ordinary memory and all of the area. */
    assert_int_equal(test_fill(board, board->programs, 60), 60);
    assert_int_equal(test_fill(board, board->cache, 200), 36);
    assert_true(test_ask(board, AREA_NPAGES).possible);
    assert_int_equal(test_ask(board, AREA_NPAGES).kept, 0);
}

static void places_respect_the_mover(void **state)
{
    struct test_board *board = *state;

    assert_int_equal(test_fill(board, board->programs, 200), ORDINARY + AREA_NPAGES);
    assert_int_equal(sim_store_remove(board->programs, board->ids[0]), 0);
    assert_true(test_ask(board, 1).possible);
    board->oracle.mover_last[sim_store_mover(board->programs)] = (FIRST << 12) - 1;
    assert_false(test_ask(board, 1).possible);
}

static bool test_find_in_area(void *arg, const struct sim_store_object *object)
{
    uint32_t *id = arg;

    if (object->pfn != AREA + 16)
        return true;
    *id = object->id;
    return false;
}

static bool test_stays(void *ctx, uint32_t mover, uint32_t cookie)
{
    const uint32_t *id = ctx;

    return mover != 0 && cookie == *id;
}

static void references_and_locks_hold(void **state)
{
    struct test_board *board = *state;
    uint32_t id = UINT32_MAX;

    assert_int_equal(test_fill(board, board->cache, 200), ORDINARY + AREA_NPAGES);
    sim_store_walk(board->cache, test_find_in_area, &id);
    assert_int_not_equal(id, UINT32_MAX);
    assert_int_equal(sim_store_ref(board->cache, id), 0);
    assert_int_equal(test_ask(board, 16).pfn, AREA);
    assert_false(test_ask(board, 17).possible);
    assert_int_equal(sim_store_unref(board->cache, id), 0);
    assert_true(test_ask(board, 17).possible);
    board->oracle.stays = test_stays;
    board->oracle.ctx = &id;
    assert_false(test_ask(board, 17).possible);
}

static void test_promise(struct test_board *board, struct cma_guarantee *guarantee, uint32_t moves)
{
    const struct cma_guarantee_request request = {
        .npages = 8, .count = 2, .max_moves = moves, .owner = 9};

    assert_int_equal(cma_guarantee_admit(&board->system.guarantees, guarantee,
                                         board->system.default_area, &request, NULL),
                     0);
}

static void slots_are_nobody_elses(void **state)
{
    struct test_board *board = *state;
    struct cma_guarantee guarantee;
    cma_pfn_t pfn;

    test_promise(board, &guarantee, 0);
    assert_int_equal(test_ask(board, 16).pfn, AREA + 16);
    assert_false(test_ask(board, 17).possible);
    /* lent, and in a device's hands */
    assert_int_equal(test_fill(board, board->cache, 200), ORDINARY + AREA_NPAGES);
    assert_int_equal(test_ask(board, 16).pfn, AREA + 16);
    assert_false(test_ask(board, 17).possible);
    assert_int_equal(cma_guarantee_take(&guarantee, &pfn, NULL, NULL), 0);
    assert_false(test_ask(board, 17).possible);
}

/* Of the first four calls, each makes another page of a slot dirty: two of each. */
static int test_dirty_one(struct test_board *board, uint32_t call)
{
    static const cma_pfn_t pfns[] = {AREA, AREA + 1, AREA + 8, AREA + 9};

    for (uint32_t id = 0; call < 4 && id < 200; id++)
        if (sim_store_pfn(board->cache, id) == pfns[call])
            return sim_store_rewrite(board->cache, id) != 0 ||
                   sim_store_pfn(board->cache, id) != pfns[call];
    return call < 4;
}

static void kept_data_in_slots_has_its_place(void **state)
{
    struct test_board *board = *state;
    const struct cma_area_request request = {.npages = 1, .owner = 7};
    struct cma_guarantee guarantee;
    uint32_t count, ordinary = 0;
    cma_pfn_t pfn;

    /* All memory is the cache's, and dirty; two pages of each slot are, when four others go. */
    test_promise(board, &guarantee, 2);
    count = test_fill(board, board->cache, 200);
    assert_int_equal(count, ORDINARY + AREA_NPAGES);
    for (uint32_t i = 0; i < count; i++) {
        pfn = sim_store_pfn(board->cache, board->ids[i]);
        if (pfn < AREA || pfn >= AREA + 16)
            assert_int_equal(sim_store_rewrite(board->cache, board->ids[i]), 0);
    }
    for (uint32_t i = 0; i < count && ordinary < 5; i++)
        if (sim_store_pfn(board->cache, board->ids[i]) < AREA) {
            assert_int_equal(sim_store_remove(board->cache, board->ids[i]), 0);
            assert_int_equal(test_dirty_one(board, ordinary++), 0);
        }
    /* Five are free; four of them are for the slots' pages. */
    assert_true(test_ask(board, 1).possible);
    assert_false(test_ask(board, 2).possible);
    assert_int_equal(test_ask(board, 2).open, AREA_NPAGES - 16 - 1);
    assert_int_equal(cma_area_alloc(board->system.default_area, &request, &pfn, NULL), 0);
    assert_false(test_ask(board, 1).possible);
    assert_int_equal(cma_area_alloc(board->system.default_area, &request, &pfn, NULL), CMA_ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(empty_area_has_room, test_open, test_close),
        cmocka_unit_test_setup_teardown(claimed_frames_are_held, test_open, test_close),
        cmocka_unit_test_setup_teardown(limits_and_alignment_bind, test_open, test_close),
        cmocka_unit_test_setup_teardown(kept_data_needs_a_place, test_open, test_close),
        cmocka_unit_test_setup_teardown(droppable_data_makes_room, test_open, test_close),
        cmocka_unit_test_setup_teardown(places_respect_the_mover, test_open, test_close),
        cmocka_unit_test_setup_teardown(references_and_locks_hold, test_open, test_close),
        cmocka_unit_test_setup_teardown(slots_are_nobody_elses, test_open, test_close),
        cmocka_unit_test_setup_teardown(kept_data_in_slots_has_its_place, test_open, test_close),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
