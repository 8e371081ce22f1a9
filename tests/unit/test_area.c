/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_area.c - the arithmetic of windows against a naive oracle; areas without contention
 */
#include "area_board.h"

#include "../../src/cma/claim.h"

/* --- windows --------------------------------------------------------------------------- */

/* Reads a run frame by frame, with numbers that can't overflow. */
static bool naive_fits(const struct cma_window_want *want, unsigned __int128 pfn)
{
    unsigned __int128 i, cell = 0;

    if ((uint64_t)(pfn + want->phase) % want->align_npages != 0) {
        return false;
    }
    for (i = 0; i < want->npages; i++) {
        uint64_t seen = (uint64_t)(pfn + i + want->phase);

        if (pfn + i < want->first || pfn + i > want->last) {
            return false;
        }
        if (want->boundary_npages != 0 && i > 0 && seen / want->boundary_npages != cell) {
            return false;
        }
        cell = want->boundary_npages == 0 ? 0 : seen / want->boundary_npages;
    }
    return true;
}

static bool naive_next(const struct cma_window_want *want, uint64_t from, uint64_t end,
                       cma_pfn_t *pfn)
{
    unsigned __int128 at;

    for (at = from; at <= end; at++) {
        if (naive_fits(want, at)) {
            *pfn = (cma_pfn_t)at;
            return true;
        }
    }
    return false;
}

/* All wants of a width of 20 frames from `base` on, against the oracle. */
static uint64_t compare_windows(uint64_t base, uint64_t phase_base)
{
    static const uint64_t powers[] = {0, 1, 2, 4, 8, 16};
    struct cma_window_want want;
    uint64_t count = 0;
    uint64_t first, last, from, phase;
    uint32_t a, b;

    for (want.npages = 1; want.npages <= 5; want.npages++) {
        for (a = 1; a < 5; a++) {
            for (b = 0; b < 6; b++) {
                for (phase = 0; phase < 8; phase += 1 + (phase & 1)) {
                    for (first = 0; first < 20; first += 3) {
                        for (last = first; last < 20; last += 2) {
                            for (from = 0; from < 20; from++) {
                                cma_pfn_t found = 0, expected = 0;
                                bool is, should;

                                want.align_npages = powers[a];
                                want.boundary_npages = powers[b];
                                want.phase = phase_base + phase;
                                want.first = base + first;
                                want.last = base + last;
                                is = cma__window_next(&want, base + from, &found);
                                should = naive_next(&want, base + from, base + 19, &expected);
                                assert_int_equal(is, should);
                                assert_true(!is || found == expected);
                                count++;
                            }
                        }
                    }
                }
            }
        }
    }
    return count;
}

static void test_windows_against_oracle(void **state)
{
    (void)state;
    assert_true(compare_windows(0, 0) > 100000);
    (void)compare_windows(1000003, 0);
}

static void test_windows_at_the_ends_of_numbers(void **state)
{
    struct cma_window_want want = {1, 1, 0, 0, 1, 0, false, false};
    cma_pfn_t pfn;

    (void)state;
    (void)compare_windows(UINT64_MAX - 19, 0);
    (void)compare_windows(0, UINT64_MAX - 5);
    (void)compare_windows(1000003, (uint64_t)0 - 1000000);
    assert_false(cma__window_next(&want, 0, &pfn));
    want = (struct cma_window_want){UINT64_MAX, 1, 0, 0, 1, UINT64_MAX, false, false};
    assert_true(cma__window_next(&want, 0, &pfn) && pfn == 1);
    assert_false(cma__window_next(&want, 2, &pfn));
    want.first = 2;
    assert_false(cma__window_next(&want, 0, &pfn));
    want = (struct cma_window_want){1, (uint64_t)1 << 63, 0, 0, 1, UINT64_MAX, false, false};
    assert_true(cma__window_next(&want, 0, &pfn) && pfn == (uint64_t)1 << 63);
    assert_false(cma__window_next(&want, pfn + 1, &pfn));
}

static const struct board_config small = {
    .npages = 1024, .area_first = 256, .area_npages = 256, .block_order = 5};

/* Limits in bytes become frames whose bytes all lie inside. */
static void test_want_cuts_to_whole_pages(void **state)
{
    struct board *board = board_create(&small);
    cma_paddr_t base = area_pfn(board, 0) * BOARD_PAGE;
    struct cma_area_request request = {.npages = 1};
    struct cma_window_want want;

    (void)state;
    request.paddr_first = base + 1;
    request.paddr_last = base + 3 * BOARD_PAGE - 1;
    assert_int_equal(cma__window_want(board->area, &request, &want), 0);
    assert_true(want.first == area_pfn(board, 1) && want.last == area_pfn(board, 2));
    request.paddr_first = base;
    request.paddr_last = base + 3 * BOARD_PAGE - 2;
    assert_int_equal(cma__window_want(board->area, &request, &want), 0);
    assert_true(want.first == area_pfn(board, 0) && want.last == area_pfn(board, 1));
    request.paddr_last = CMA_PADDR_MAX;
    assert_int_equal(cma__window_want(board->area, &request, &want), 0);
    assert_true(want.last == area_pfn(board, 255));
    request.paddr_first = CMA_PADDR_MAX;
    assert_int_equal(cma__window_want(board->area, &request, &want), 0);
    assert_true(want.first > want.last);
    request.paddr_first = 0;
    request.paddr_last = BOARD_PAGE - 2;
    assert_int_equal(cma__window_want(board->area, &request, &want), 0);
    assert_true(want.first > want.last);
    board_destroy(board);
}

static void test_malformed_requests(void **state)
{
    struct board *board = board_create(&small);
    static const struct cma_area_request good = {.npages = 4, .owner = 9};
    struct cma_area_request request[12];
    struct cma_refusal refusal;
    cma_pfn_t pfn;
    uint32_t i;

    (void)state;
    for (i = 0; i < 12; i++) {
        request[i] = good;
    }
    request[0].npages = 0;
    request[1].align_npages = 3;
    request[2].align_npages = UINT64_MAX;
    request[3].boundary_nbytes = 3 * BOARD_PAGE;
    request[4].boundary_nbytes = BOARD_PAGE / 2;
    request[5].boundary_nbytes = 2 * BOARD_PAGE;
    request[6].paddr_first = 2;
    request[6].paddr_last = 1;
    request[7].flags = 8;
    request[8].bus_offset = 1;
    request[9].boundary_nbytes = 1;
    request[10].bus_offset = UINT64_MAX;
    request[11].npages = UINT64_MAX;
    request[11].boundary_nbytes = (uint64_t)1 << 63;
    for (i = 0; i < 12; i++) {
        assert_int_equal(cma_area_alloc(board->area, &request[i], &pfn, &refusal), CMA_EINVAL);
        assert_int_equal(refusal.reason, CMA_REASON_ARGUMENT);
        assert_int_equal(refusal.code, CMA_EINVAL);
        board_check(board);
    }
    board_destroy(board);
}

/* --- areas ----------------------------------------------------------------------------- */

static void test_init_and_activate(void **state)
{
    struct board *board = board_create(&small);
    struct cma_area_config config = {.name = "x", .lend_class = CMA_LEND_ORDINARY};
    struct cma_area_request request = {.npages = 1};
    cma_paddr_t base = area_pfn(board, 0) * BOARD_PAGE;
    const struct cma_pages_ops *ops = cma_pages_ops(&board->system.pages);
    struct cma_refusal refusal;
    struct cma_area area;
    cma_pfn_t pfn;

    (void)state;
    assert_int_equal(cma_area_init(&area, board->frames, ops, base + 1, &config), CMA_ENOENT);
    assert_int_equal(cma_area_init(&area, board->frames, ops, base - BOARD_PAGE, &config),
                     CMA_ENOENT);
    assert_int_equal(cma_area_init(&area, board->frames, ops, 0, &config), CMA_ENOENT);
    assert_int_equal(cma_area_init(&area, board->frames, ops, CMA_PADDR_MAX, &config), CMA_ENOENT);
    config.lend_class = (enum cma_lend_class)3;
    assert_int_equal(cma_area_init(&area, board->frames, ops, base, &config), CMA_EINVAL);
    config.lend_class = CMA_LEND_ORDINARY;
    config.name = NULL;
    assert_int_equal(cma_area_init(&area, board->frames, ops, base, &config), CMA_EINVAL);
    config.name = "x";
    assert_int_equal(cma_area_init(&area, board->frames, ops, base - 1, &config), 0);
    assert_int_equal(cma_area_alloc(&area, &request, &pfn, &refusal), CMA_EBADF);
    assert_int_equal(refusal.reason, CMA_REASON_INACTIVE);
    assert_false(cma_area_lend(&area, CMA_KIND_MOVABLE));
    assert_int_equal(cma_area_activate(&area), 0);
    assert_int_equal(cma_area_activate(&area), CMA_EBADF);
    assert_int_equal(cma_area_alloc(&area, &request, &pfn, NULL), 0);
    assert_int_equal(cma_area_release(&area, pfn, 1, 0), 0);
    board_destroy(board);
}

static void test_alloc_and_release(void **state)
{
    struct board *board = board_create(&small);
    struct cma_area_request request = {.npages = 10, .owner = 5};
    struct cma_area_stats stats;
    cma_pfn_t a, b;

    (void)state;
    assert_int_equal(cma_area_alloc(board->area, &request, &a, NULL), 0);
    assert_int_equal(cma_area_alloc(board->area, &request, &b, NULL), 0);
    assert_true(a == area_pfn(board, 0) && b == area_pfn(board, 10));
    cma_area_stats(board->area, &stats);
    assert_int_equal(stats.claimed_npages, 20);
    assert_int_equal(stats.idle_npages, 236);
    assert_int_equal(stats.claims, 2);
    assert_int_equal(cma_area_release(board->area, a, 9, 5), CMA_EINVAL);
    assert_int_equal(cma_area_release(board->area, a, 11, 5), CMA_EINVAL);
    assert_int_equal(cma_area_release(board->area, a, UINT64_MAX, 5), CMA_EINVAL);
    assert_int_equal(cma_area_release(board->area, a, 10, 6), CMA_EPERM);
    assert_int_equal(cma_area_release(board->area, a + 1, 9, 5), CMA_EBADF);
    assert_int_equal(cma_area_release(board->area, area_pfn(board, 256), 10, 5), CMA_ENOENT);
    assert_int_equal(cma_area_release(board->area, area_pfn(board, 0) - 1, 10, 5), CMA_ENOENT);
    assert_int_equal(cma_area_release(board->area, UINT64_MAX, 10, 5), CMA_ENOENT);
    board_check(board);
    assert_int_equal(cma_area_release(board->area, a, 10, 5), 0);
    assert_int_equal(cma_area_release(board->area, a, 10, 5), CMA_EBADF);
    assert_int_equal(cma_area_release(board->area, b, 10, 5), 0);
    cma_area_stats(board->area, &stats);
    assert_int_equal(stats.claimed_npages, 0);
    assert_int_equal(stats.idle_npages, 256);
    assert_int_equal(stats.released, 2);
    board_destroy(board);
}

static void test_refusals_without_holders(void **state)
{
    struct board *board = board_create(&small);
    struct cma_area_request request = {.npages = 257};
    struct cma_refusal refusal;
    struct cma_area_stats stats;
    cma_pfn_t pfn, kept;

    (void)state;
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_TOO_LARGE);
    request.npages = UINT64_MAX;
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, &refusal), CMA_ENOMEM);
    request.npages = 256;
    request.paddr_last = area_pfn(board, 255) * BOARD_PAGE;
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, &refusal), CMA_ERANGE);
    assert_int_equal(refusal.reason, CMA_REASON_UNREACHABLE);
    request.paddr_last = 0;
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, NULL), 0);
    request.npages = 1;
    request.owner = 1;
    assert_int_equal(cma_area_alloc(board->area, &request, &kept, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_CLAIMED);
    assert_int_equal(refusal.free_run_npages, 0);
    assert_int_equal(cma_area_release(board->area, pfn, 256, 0), 0);
    request.npages = 100;
    request.owner = 77;
    request.align_npages = 128;
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, NULL), 0);
    assert_int_equal(cma_area_alloc(board->area, &request, &kept, NULL), 0);
    assert_int_equal(cma_area_release(board->area, pfn, 100, 77), 0);
    request.npages = 129;
    request.align_npages = 0;
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_CLAIMED);
    assert_int_equal(refusal.owner, 77);
    assert_int_equal(refusal.free_run_npages, 128);
    assert_int_equal(refusal.possible_run_npages, 128);
    assert_int_equal(cma_area_release(board->area, kept, 100, 77), 0);
    cma_area_stats(board->area, &stats);
    assert_int_equal(stats.refused, 5);
    board_destroy(board);
}

/* Alignment and boundary follow the device's address where the bus shifts it. */
static void test_bus_offset(void **state)
{
    struct board *board = board_create(&small);
    struct cma_area_request request = {.npages = 3, .align_npages = 8};
    cma_paddr_t daddr;
    cma_pfn_t pfn;
    uint64_t i;

    (void)state;
    for (i = 0; i < 20; i++) {
        request.bus_offset = (0 - i * 5) * BOARD_PAGE;
        assert_int_equal(cma_area_alloc(board->area, &request, &pfn, NULL), 0);
        daddr = pfn * BOARD_PAGE + request.bus_offset;
        assert_true(daddr % (8 * BOARD_PAGE) == 0);
        assert_int_equal(cma_area_release(board->area, pfn, 3, 0), 0);
    }
    request.align_npages = 1;
    request.boundary_nbytes = 4 * BOARD_PAGE;
    for (i = 0; i < 20; i++) {
        request.bus_offset = i * BOARD_PAGE;
        request.paddr_first = area_pfn(board, i) * BOARD_PAGE;
        assert_int_equal(cma_area_alloc(board->area, &request, &pfn, NULL), 0);
        daddr = pfn * BOARD_PAGE + request.bus_offset;
        assert_true(daddr / (4 * BOARD_PAGE) == (daddr + 3 * BOARD_PAGE - 1) / (4 * BOARD_PAGE));
        assert_true(pfn <= area_pfn(board, i) + 2);
        assert_int_equal(cma_area_release(board->area, pfn, 3, 0), 0);
    }
    board_destroy(board);
}

/* --- lending --------------------------------------------------------------------------- */

static void test_lend_from_the_top(void **state)
{
    struct board *board = board_create(&small);
    struct cma_area_request request = {.npages = 64};
    struct cma_area_stats stats;
    struct cma_frame_info info;
    cma_pfn_t pfn;

    (void)state;
    assert_false(cma_area_lend(board->area, CMA_KIND_UNMOVABLE));
    assert_true(cma_area_lend(board->area, CMA_KIND_DROPPABLE));
    assert_int_equal(cma_frame_info(board->frames, area_pfn(board, 255), &info), 0);
    assert_true(info.lent && info.idle);
    assert_int_equal(cma_frame_info(board->frames, area_pfn(board, 223), &info), 0);
    assert_false(info.lent);
    area_lend_all(board);
    cma_area_stats(board->area, &stats);
    assert_int_equal(stats.lent_blocks, 8);
    assert_int_equal(stats.nblocks, 8);
    assert_false(cma_area_lend(board->area, CMA_KIND_DROPPABLE));
    /* A claim takes whole blocks out of what is lent. */
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, NULL), 0);
    cma_area_stats(board->area, &stats);
    assert_int_equal(stats.lent_blocks, 6);
    assert_false(cma_area_lend(board->area, CMA_KIND_DROPPABLE));
    assert_int_equal(cma_area_release(board->area, pfn, 64, 0), 0);
    assert_true(cma_area_lend(board->area, CMA_KIND_DROPPABLE));
    assert_true(cma_area_lend(board->area, CMA_KIND_DROPPABLE));
    assert_false(cma_area_lend(board->area, CMA_KIND_DROPPABLE));
    /* Blocks that it takes a part of stay lent. */
    request.paddr_first = area_pfn(board, 8) * BOARD_PAGE;
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, NULL), 0);
    cma_area_stats(board->area, &stats);
    assert_int_equal(stats.lent_blocks, 7);
    assert_int_equal(cma_area_release(board->area, pfn, 64, 0), 0);
    board_destroy(board);
}

static void test_carve_out_lends_nothing(void **state)
{
    struct board_config config = small;
    struct board *board;

    (void)state;
    config.keep_idle = true;
    board = board_create(&config);
    assert_false(cma_area_lend(board->area, CMA_KIND_DROPPABLE));
    board_destroy(board);
}

/* The page allocator asks areas when it runs short, and not before. */
static void test_lending_is_on_demand(void **state)
{
    struct board *board = board_create(&small);
    struct cma_area_stats stats;
    uint32_t i, count = 0;

    (void)state;
    cma_area_stats(board->area, &stats);
    assert_int_equal(stats.lent_blocks, 0);
    while (count < BOARD_MAX_HANDLES && store_add(board, CMA_KIND_MOVABLE, count)) {
        count++;
    }
    assert_int_equal(count, 1024);
    cma_area_stats(board->area, &stats);
    assert_int_equal(stats.kept_npages, 256);
    for (i = 0; i < count; i++) {
        store_remove(board, i);
    }
    cma_area_stats(board->area, &stats);
    assert_int_equal(stats.idle_npages, 256);
    assert_int_equal(stats.lent_blocks, 0);
    board_destroy(board);
}

/* --- looking --------------------------------------------------------------------------- */

struct seen {
    struct cma_area_holder holders[32];
    uint32_t count, stop_at;
};

static bool note_holder(void *ctx, const struct cma_area_holder *holder)
{
    struct seen *seen = ctx;

    assert_true(seen->count < 32);
    seen->holders[seen->count++] = *holder;
    return seen->count != seen->stop_at;
}

static void test_walk(void **state)
{
    struct board *board = board_create(&small);
    struct cma_area_request request = {.npages = 20, .owner = 3};
    struct seen seen = {.count = 0};
    const struct cma_area_holder *h = seen.holders;
    struct cma_claim claim;
    uint64_t sum = 0;
    cma_pfn_t pfn;
    uint32_t i;

    (void)state;
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, NULL), 0);
    area_lend_all(board);
    store_put(board, area_pfn(board, 200), CMA_KIND_MOVABLE, 11);
    store_put(board, area_pfn(board, 201), CMA_KIND_MOVABLE, 12);
    store_put(board, area_pfn(board, 202), CMA_KIND_DROPPABLE, 13);
    request.npages = 30;
    assert_int_equal(cma_claim_start(&claim, board->area, &request), 0);
    assert_int_equal(cma_claim_step(&claim, 1), 1);
    assert_int_equal(cma_claim_step(&claim, 10), 1);
    cma_area_walk(board->area, note_holder, &seen);
    for (i = 0; i < seen.count; i++) {
        assert_true(h[i].pfn == area_pfn(board, sum));
        sum += h[i].npages;
    }
    assert_int_equal(sum, 256);
    assert_int_equal(h[0].kind, CMA_KIND_CLAIMED);
    assert_int_equal(h[0].npages, 20);
    assert_int_equal(h[0].owner, 3);
    assert_true(h[1].in_progress && h[1].kind == CMA_KIND_NONE);
    assert_true(h[2].kind == CMA_KIND_NONE && !h[2].in_progress && h[2].lent);
    assert_true(h[3].kind == CMA_KIND_MOVABLE && h[3].npages == 2 && h[3].owner == 11);
    assert_int_equal(h[3].mover, board->mover_number);
    assert_true(h[4].kind == CMA_KIND_DROPPABLE && h[4].npages == 1 && h[4].owner == 13);
    assert_int_equal(seen.count, 6);
    cma_claim_cancel(&claim);
    seen.count = 0;
    seen.stop_at = 2;
    cma_area_walk(board->area, note_holder, &seen);
    assert_int_equal(seen.count, 2);
    assert_int_equal(cma_area_release(board->area, pfn, 20, 3), 0);
    board_destroy(board);
}

static void test_check_sees_what_is_wrong(void **state)
{
    struct board *board = board_create(&small);
    struct cma_area_request request = {.npages = 20, .owner = 3};
    struct cma_violation violation;
    struct cma_claim claim;

    (void)state;
    assert_int_equal(cma_claim_start(&claim, board->area, &request), 0);
    assert_int_equal(cma_claim_step(&claim, 1), 1);
    assert_int_equal(cma_claim_step(&claim, 1), 1);
    assert_true(cma_area_check(board->area, &violation));
    board->area->span->emptying++;
    assert_false(cma_area_check(board->area, &violation));
    board->area->span->emptying--;
    claim.evacuated = claim.isolated + 1;
    assert_false(cma_area_check(board->area, &violation));
    claim.evacuated = 0;
    claim.flags = 0;
    assert_false(cma_area_check(board->area, &violation));
    claim.flags = 3;
    board->area->stats.claimed_npages++;
    assert_false(cma_area_check(board->area, &violation));
    board->area->stats.claimed_npages--;
    assert_true(cma_area_check(board->area, &violation));
    cma_claim_cancel(&claim);
    board_destroy(board);
}

/* --- the whole machine ----------------------------------------------------------------- */

static void test_system(void **state)
{
    struct board_config config = small;
    struct board *board;
    struct cma_system_config bad = {.flags = 4};

    (void)state;
    config.area2_first = 700;
    config.area2_npages = 33;
    board = board_create(&config);
    assert_int_equal(board->system.nareas, 2);
    assert_ptr_equal(board->system.default_area, &board->system.areas[0]);
    assert_string_equal(board->system.areas[1].name, "area2");
    assert_ptr_equal(cma_system_area(&board->system, (BOARD_BASE_PFN + 732) * (uint64_t)BOARD_PAGE),
                     &board->system.areas[1]);
    assert_null(cma_system_area(&board->system, (BOARD_BASE_PFN + 733) * (uint64_t)BOARD_PAGE));
    assert_true(cma_system_size(&board->map, &bad) == 0);
    bad.flags = 0;
    assert_true(cma_system_size(&board->map, &bad) == 0);
    board_destroy(board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_windows_against_oracle),
        cmocka_unit_test(test_windows_at_the_ends_of_numbers),
        cmocka_unit_test(test_want_cuts_to_whole_pages),
        cmocka_unit_test(test_malformed_requests),
        cmocka_unit_test(test_init_and_activate),
        cmocka_unit_test(test_alloc_and_release),
        cmocka_unit_test(test_refusals_without_holders),
        cmocka_unit_test(test_bus_offset),
        cmocka_unit_test(test_lend_from_the_top),
        cmocka_unit_test(test_carve_out_lends_nothing),
        cmocka_unit_test(test_lending_is_on_demand),
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_check_sees_what_is_wrong),
        cmocka_unit_test(test_system),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
