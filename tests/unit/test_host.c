/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_host.c - src/cma over a page allocator that is not ours: examples/host
 *
 * Each test has its own board. After every random operation the host's lists, the table and the
 * area are checked against each other (board_check), and at the end every byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "../../examples/host/board.h"

static uint64_t seed = 1;

static const struct board_config small = {.npages = 512,
                                          .low_npages = 96,
                                          .area_first = 203,
                                          .area_npages = 150,
                                          .block_order = 5,
                                          .nobjects = 600};

static void sound(struct board *board)
{
    const char *wrong = board_check(board);

    if (wrong)
        fail_msg("seed %llu: %s", (unsigned long long)seed, wrong);
}

static void every_byte(struct board *board)
{
    for (uint32_t id = 0; id < board->cache.nobjects; id++)
        assert_true(cache_verify(&board->cache, id));
}

/* Fills the host and the area; one object in `dirty_one_in` must be kept. Returns how many. */
static uint32_t fill(struct board *board, uint32_t count, uint32_t dirty_one_in)
{
    uint32_t id;

    for (id = 0; id < count; id++) {
        if (cache_add(&board->cache, id, dirty_one_in && id % dirty_one_in == 0) != 0)
            break;
    }
    sound(board);
    return id;
}

static uint64_t random_below(uint64_t *random, uint64_t limit)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (*random >> 33) % limit;
}

/* --- one thing at a time ------------------------------------------------------------------- */

static void test_lends_when_the_host_runs_short(void **state)
{
    struct board board;
    struct cma_area_stats stats;
    uint32_t live;

    (void)state;
    board_make(&board, &small);
    live = fill(&board, 512 - 150, 4);
    assert_int_equal(live, 512 - 150);
    cma_area_stats(&board.area, &stats);
    assert_int_equal(stats.lent_blocks, 0);
    /* The host's own pages are gone: one more page, one block more. */
    assert_int_equal(cache_add(&board.cache, live, false), 0);
    cma_area_stats(&board.area, &stats);
    assert_int_equal(stats.lent_blocks, 1);
    live = 0;
    for (uint32_t id = 0; id < 600; id++)
        live += cache_add(&board.cache, id, false) == 0;
    assert_int_equal(live, 512);
    sound(&board);
    every_byte(&board);
    board_end(&board);
}

static void test_claim_moves_and_drops(void **state)
{
    struct cma_area_request request = {.npages = 60, .owner = 7};
    struct board board;
    cma_pfn_t pfn;
    bool good = true;

    (void)state;
    board_make(&board, &small);
    fill(&board, 600, 4);
    for (uint32_t id = 0; id < 60; id++)
        assert_int_equal(cache_remove(&board.cache, id, &good), 0);
    assert_int_equal(cma_area_alloc(&board.area, &request, &pfn, NULL), 0);
    assert_true(board.cache.moved > 0 && board.cache.dropped > 0);
    assert_true(board.cache.moved + board.cache.dropped <= 60);
    sound(&board);
    for (uint64_t i = 0; i < 60; i++)
        assert_int_equal(host_state(&board.host, pfn + i), HOST_ABSENT);
    assert_int_equal(cma_area_release(&board.area, pfn, 60, 7), 0);
    sound(&board);
    every_byte(&board);
    assert_true(good);
    board_end(&board);
}

/* A claim that comes between take and publish gets the page; the host takes another one. */
static void test_claim_between_take_and_publish(void **state)
{
    struct cma_area_request request = {.npages = 150, .owner = 7};
    struct board board;
    struct cma_holder holder = {CMA_KIND_DROPPABLE, 1, 0};
    cma_pfn_t pfn, taken;

    (void)state;
    board_make(&board, &small);
    assert_int_equal(fill(&board, 512 - 150, 0), 512 - 150);
    assert_true(cma_area_lend(&board.area, CMA_KIND_DROPPABLE));
    taken = host_alloc(&board.host, 0, HOST_MOVABLE, HOST_NONE, 0);
    assert_true(taken != HOST_NONE);
    assert_int_equal(cma_area_alloc(&board.area, &request, &pfn, NULL), 0);
    assert_true(taken >= pfn && taken - pfn < 150);
    assert_int_equal(cma_frame_publish(&board.frames, taken, &holder), CMA_EAGAIN);
    host_forget(&board.host, taken);
    assert_int_equal(cma_area_release(&board.area, pfn, 150, 7), 0);
    assert_true(cma_area_lend(&board.area, CMA_KIND_DROPPABLE));
    sound(&board);
    /* A claim that has come and gone leaves the page to who took it, and it is offered once. */
    taken = host_alloc(&board.host, 0, HOST_MOVABLE, HOST_NONE, 0);
    assert_int_equal(cma_area_alloc(&board.area, &request, &pfn, NULL), 0);
    assert_int_equal(cma_area_release(&board.area, pfn, 150, 7), 0);
    while (cma_area_lend(&board.area, CMA_KIND_DROPPABLE)) {
    }
    assert_int_equal(cma_frame_publish(&board.frames, taken, &holder), 0);
    assert_int_equal(glue_put(&board.glue, taken), 0);
    sound(&board);
    /* Through the glue alone: no page is lost, all 150 can be had. */
    for (uint32_t i = 0; i < 150; i++)
        assert_int_equal(cache_add(&board.cache, 400 + i, false), 0);
    assert_int_equal(cache_add(&board.cache, 599, false), CMA_ENOMEM);
    sound(&board);
    board_end(&board);
}

/* A pin moves a page out of the area, and the page that it leaves is the host's to give again. */
static void test_pin_leaves_the_page_to_the_host(void **state)
{
    struct board board;
    bool good = true;
    cma_pfn_t from, pinned;
    uint32_t id;

    (void)state;
    board_make(&board, &small);
    fill(&board, 600, 0);
    for (id = 0; board.objects[id].pfn < board.first + 203 ||
                 board.objects[id].pfn >= board.first + 203 + 150;)
        id++;
    from = board.objects[id].pfn;
    assert_int_equal(cma_frame_pin(&board.frames, from, &pinned), CMA_ENOMEM);
    assert_int_equal(cache_remove(&board.cache, 0, &good), 0);
    assert_int_equal(cma_frame_pin(&board.frames, from, &pinned), 0);
    assert_true(board.objects[id].pfn == pinned);
    assert_int_equal(host_state(&board.host, pinned), HOST_USED);
    assert_int_not_equal(host_state(&board.host, from), HOST_ABSENT);
    sound(&board);
    assert_int_equal(cache_add(&board.cache, 0, false), 0);
    assert_true(board.objects[0].pfn == from);
    sound(&board);
    every_byte(&board);
    board_end(&board);
}

static void test_floors(void **state)
{
    const struct board_config config = {.npages = 512,
                                        .low_npages = 96,
                                        .area_first = 203,
                                        .area_npages = 150,
                                        .block_order = 5,
                                        .nobjects = 600,
                                        .low = true};
    struct cma_area_request request = {.npages = 30, .owner = 7};
    struct board board;
    struct cma_refusal refusal;
    cma_paddr_t low = BOARD_BASE + (96 << 12) - 1;
    cma_pfn_t pfn, pages[20];
    struct cma_destination want = {.paddr_last = low, .npages = 1};

    (void)state;
    board_make(&board, &small);
    assert_int_equal(board.glue.ops.floor(&board.glue, low, 20), 0);
    assert_int_equal(board.glue.ops.floor(&board.glue, CMA_PADDR_MAX, 50), 0);
    assert_int_equal(board.glue.ops.floor(&board.glue, low, 97), CMA_ENOMEM);
    assert_int_equal(board.glue.ops.floor(&board.glue, low - 1, 1), CMA_EINVAL);
    /* 50 of the 362 pages stay, and the area's 150 can be had. */
    assert_int_equal(fill(&board, 600, 3), 512 - 50);
    assert_int_equal(board.glue.ops.room(&board.glue, CMA_PADDR_MAX), 50);
    assert_true(board.glue.ops.room(&board.glue, low) >= 20);
    /* They are there for what has to leave the area, and for nobody else. */
    assert_int_equal(cma_area_alloc(&board.area, &request, &pfn, &refusal), 0);
    assert_int_equal(board.cache.moved, 50 - board.glue.ops.room(&board.glue, CMA_PADDR_MAX));
    assert_true(board.cache.moved > 0);
    sound(&board);
    every_byte(&board);
    board_end(&board);

    /* What must stay low can't use the room above: the claim is refused for want of room, with the
     * area untouched. */
    board_make(&board, &config);
    assert_int_equal(board.glue.ops.floor(&board.glue, low, 20), 0);
    assert_int_equal(fill(&board, 600, 1), 76);
    for (uint32_t i = 0; i < 20; i++)
        assert_int_equal(board.glue.ops.destination(&board.glue, &want, &pages[i]), 1);
    assert_int_equal(board.glue.ops.destination(&board.glue, &want, &pfn), CMA_ENOMEM);
    for (uint32_t i = 0; i < 20; i++)
        board.glue.ops.destination_put(&board.glue, pages[i], 1);
    assert_int_equal(board.glue.ops.room(&board.glue, low), 20);
    sound(&board);
    board_end(&board);
}

/* Devices without an area get the host's pages, by the host's rules. */
static void test_pages_for_devices(void **state)
{
    struct cma_pages_request request = {
        .npages = 3, .align_npages = 4, .holder = {.kind = CMA_KIND_UNMOVABLE, .cookie = 9}};
    const struct cma_pages_ops *ops;
    struct board board;
    struct cma_refusal refusal;
    cma_pfn_t pfn;

    (void)state;
    board_make(&board, &small);
    ops = &board.glue.ops;
    assert_int_equal(ops->alloc(ops->ctx, &request, &pfn, &refusal), 0);
    assert_int_equal(pfn % 4, 0);
    assert_true(pfn < board.first + 203 || pfn >= board.first + 353);
    assert_int_equal(ops->free(ops->ctx, pfn, 3, 8), CMA_EBADF);
    assert_int_equal(ops->free(ops->ctx, pfn, 5, 9), CMA_EBADF);
    assert_int_equal(ops->free(ops->ctx, pfn, 3, 9), 0);
    assert_int_equal(ops->free(ops->ctx, pfn, 3, 9), CMA_EBADF);
    request.paddr_last = BOARD_BASE + (96 << 12) - 1;
    assert_int_equal(ops->alloc(ops->ctx, &request, &pfn, &refusal), 0);
    assert_true(pfn + 3 <= board.first + 96);
    assert_int_equal(ops->free(ops->ctx, pfn, 3, 9), 0);
    request.npages = 200;
    assert_int_equal(ops->alloc(ops->ctx, &request, &pfn, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_NO_MEMORY);
    sound(&board);
    board_end(&board);
}

/* --- each call fails once ------------------------------------------------------------------ */

/* Wrapped operations whose nth call fails. */
static struct {
    struct cma_pages_ops real;
    uint32_t lend_in, destination_in;
} failing;

static int failing_lend(void *ctx, cma_pfn_t pfn, uint32_t npages, enum cma_lend_class lend_class)
{
    if (failing.lend_in && --failing.lend_in == 0)
        return CMA_ENOMEM;
    return failing.real.lend(ctx, pfn, npages, lend_class);
}

static int failing_destination(void *ctx, const struct cma_destination *want, cma_pfn_t *pfn)
{
    if (failing.destination_in && --failing.destination_in == 0)
        return CMA_ENOMEM;
    return failing.real.destination(ctx, want, pfn);
}

static void test_nth_lend_fails(void **state)
{
    (void)state;
    for (uint32_t nth = 1; nth <= 5; nth++) {
        struct board board;
        uint32_t live;

        board_make(&board, &small);
        failing.real = board.glue.ops;
        failing.lend_in = nth;
        board.glue.ops.lend = failing_lend;
        live = fill(&board, 512 - 150, 3);
        assert_int_equal(live, 512 - 150);
        /* One request hears no, the next one is served: nothing is lost by a failure. */
        for (uint32_t id = live, failures = 0; id < 512; id++) {
            int error = cache_add(&board.cache, id, false);

            if (error != 0) {
                assert_int_equal(error, CMA_ENOMEM);
                assert_int_equal(++failures, 1);
                sound(&board);
                assert_int_equal(cache_add(&board.cache, id, false), 0);
            }
        }
        assert_int_equal(failing.lend_in, 0);
        sound(&board);
        board_end(&board);
    }
}

/* Every destination of a claim fails once: the window is given up with all bytes and lists whole,
 * and the claim is served elsewhere or says why not. */
static void test_nth_destination_fails(void **state)
{
    uint32_t nth = 1;

    (void)state;
    for (;; nth++) {
        struct cma_area_request request = {.npages = 40, .owner = 7};
        struct cma_refusal refusal;
        struct board board;
        bool good = true;
        cma_pfn_t pfn;
        int error;

        board_make(&board, &small);
        fill(&board, 600, 2);
        for (uint32_t id = 0; id < 100; id++)
            assert_int_equal(cache_remove(&board.cache, id, &good), 0);
        failing.real = board.glue.ops;
        failing.destination_in = nth;
        board.glue.ops.destination = failing_destination;
        error = cma_area_alloc(&board.area, &request, &pfn, &refusal);
        sound(&board);
        every_byte(&board);
        assert_true(error == 0 || error == CMA_ENOMEM);
        if (error == 0)
            assert_int_equal(cma_area_release(&board.area, pfn, 40, 7), 0);
        sound(&board);
        board_end(&board);
        if (failing.destination_in != 0)
            break;
    }
    failing.destination_in = 0;
    assert_true(nth > 10);
}

/* --- at random ----------------------------------------------------------------------------- */

#define CLAIMS 3

struct random_run {
    struct board board;
    struct cma_claim claims[CLAIMS];
    bool under_way[CLAIMS], held[CLAIMS];
    uint64_t devices, moved;
    uint64_t random;
    bool good;
};

static void random_claim(struct random_run *run)
{
    uint64_t i = random_below(&run->random, CLAIMS);
    struct cma_claim *claim = &run->claims[i];
    struct cma_area_request request = {.npages = 1 + random_below(&run->random, 40),
                                       .owner = 1 + (uint32_t)i};
    int result;

    if (run->held[i]) {
        assert_int_equal(
            cma_area_release(&run->board.area, claim->pfn, claim->request.npages, 1 + (uint32_t)i),
            0);
        run->held[i] = false;
        return;
    }
    if (!run->under_way[i]) {
        if (cma_claim_start(claim, &run->board.area, &request) == 0)
            run->under_way[i] = true;
        return;
    }
    if (random_below(&run->random, 10) == 0) {
        cma_claim_cancel(claim);
        run->under_way[i] = false;
        return;
    }
    result = cma_claim_step(claim, 1 + random_below(&run->random, 30));
    run->under_way[i] = result == 1;
    run->held[i] = result == 0;
    run->devices += result == 0;
}

static void random_operation(struct random_run *run)
{
    struct board *board = &run->board;
    uint32_t id = (uint32_t)random_below(&run->random, board->cache.nobjects);

    switch (random_below(&run->random, 8)) {
    case 0:
    case 1:
    case 2: (void)cache_add(&board->cache, id, random_below(&run->random, 3) == 0); break;
    case 3: assert_int_equal(cache_remove(&board->cache, id, &run->good), 0); break;
    case 4: assert_int_equal(cache_write(&board->cache, id), 0); break;
    case 5: run->good = run->good && cache_verify(&board->cache, id); break;
    default: random_claim(run);
    }
}

static void random_settle(struct random_run *run)
{
    for (int i = 0; i < CLAIMS; i++) {
        if (run->under_way[i])
            cma_claim_cancel(&run->claims[i]);
        if (run->held[i])
            assert_int_equal(cma_area_release(&run->board.area, run->claims[i].pfn,
                                              run->claims[i].request.npages, 1 + (uint32_t)i),
                             0);
    }
}

static uint32_t moved_by_engine;

/* An engine finds windows in which nobody has anything, as long as there are any: it moves less. */
static void random_board(uint32_t page_shift, uint32_t block_order, bool simple)
{
    struct board_config config = small;
    struct random_run run = {.good = true, .random = seed};

    config.page_shift = page_shift;
    config.block_order = block_order;
    config.simple = simple;
    config.seed = seed;
    board_make(&run.board, &config);
    for (uint32_t i = 0; i < 4000; i++) {
        bool quiet = true;

        random_operation(&run);
        for (int claim = 0; claim < CLAIMS; claim++)
            quiet = quiet && !run.under_way[claim];
        if (quiet)
            sound(&run.board);
        assert_true(run.good);
    }
    random_settle(&run);
    sound(&run.board);
    every_byte(&run.board);
    assert_true(run.devices > 20);
    assert_true(!simple || (run.board.cache.moved > 20 && run.board.cache.dropped > 20));
    moved_by_engine += simple ? 0 : run.board.cache.moved;
    board_end(&run.board);
}

static void test_random(void **state)
{
    (void)state;
    random_board(12, 5, false);
    random_board(12, 7, true);
    random_board(8, 6, true); /* pages as a microcontroller has them */
    seed += 1000;
    random_board(9, 5, false);
    random_board(12, 6, false);
    assert_true(moved_by_engine > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lends_when_the_host_runs_short),
        cmocka_unit_test(test_claim_moves_and_drops),
        cmocka_unit_test(test_claim_between_take_and_publish),
        cmocka_unit_test(test_pin_leaves_the_page_to_the_host),
        cmocka_unit_test(test_floors),
        cmocka_unit_test(test_pages_for_devices),
        cmocka_unit_test(test_nth_lend_fails),
        cmocka_unit_test(test_nth_destination_fails),
        cmocka_unit_test(test_random),
    };

    if (argc > 2 && argv[1][2] == 's')
        seed = strtoull(argv[2], NULL, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
