/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_buffers.c - what is written of buffers: in records, and of long ones beside the index
 *
 * Lanes as short as may have places for long buffers, one page shorter, and several times as long.
 * `make check` runs this in a release build too, where these lanes have half a gigabyte.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../support/machine.h"

#include <string.h>

#include "../../src/frame/runs_view.h"

#define LONG CMA__LONG_NPAGES
#define BUFFERS 8u

static const uint32_t lengths[BUFFERS] = {1, 2, LONG - 1, LONG, LONG + 1, 2 * LONG, 1, LONG};

static struct {
    struct machine machine;
    struct cma_area *area;
    cma_pfn_t pfn[BUFFERS];
    uint32_t seen;
    uint64_t now_ns;
} board;

static uint64_t board_time(void *ctx)
{
    (void)ctx;
    return board.now_ns;
}

static void board_open(uint32_t npages)
{
    struct machine_config config = {
        .npages = npages + 64,
        .areas = {{0, npages}},
        .nareas = 1,
        .nobjects = 2,
        .block_order = 9,
    };

    memset(&board, 0, sizeof board);
    machine_make(&board.machine, &config);
    board.machine.port.time_ns = board_time;
    board.area = &board.machine.areas[0];
}

static const char *board_wrong(void)
{
    struct cma_violation violation = {NULL, 0};

    return cma_frames_check(&board.machine.table, false, &violation) &&
                   cma_area_check(board.area, &violation)
               ? NULL
               : violation.what;
}

static void board_close(void)
{
    assert_null(board_wrong());
    machine_end(&board.machine);
}

/* An owner a buffer, and ten milliseconds between two. */
static void board_fill(void)
{
    for (uint32_t i = 0; i < BUFFERS; i++) {
        struct cma_area_request request = {.npages = lengths[i], .owner = 100 + i};

        assert_int_equal(cma_area_alloc(board.area, &request, &board.pfn[i], NULL), 0);
        board.now_ns += 10 * 1000 * 1000;
    }
}

static const uint32_t lanes[] = {CMA__LONG_LANE_NPAGES - 1, CMA__LONG_LANE_NPAGES,
                                 3 * CMA__LONG_LANE_NPAGES + 5};

static void a_buffer_is_known_where_it_begins(void **state)
{
    struct cma_frame_info info;

    (void)state;
    for (uint32_t l = 0; l < 3; l++) {
        board_open(lanes[l]);
        board_fill();
        for (uint32_t i = 0; i < BUFFERS; i++) {
            const struct cma_span *span = board.area->span;
            bool elsewhere = lengths[i] >= LONG && lanes[l] >= CMA__LONG_LANE_NPAGES;
            uint32_t word = span_record(&board.machine.table, span, board.pfn[i])->word;

            assert_int_equal(word == 0, elsewhere);
            assert_int_equal(cma_frame_info(&board.machine.table, board.pfn[i], &info), 0);
            assert_int_equal(info.kind, CMA_KIND_CLAIMED);
            assert_int_equal(info.npages, lengths[i]);
            assert_int_equal(info.cookie, 100 + i);
            for (uint32_t j = 1; j < lengths[i]; j++) {
                assert_int_equal(cma_frame_info(&board.machine.table, board.pfn[i] + j, &info), 0);
                assert_int_equal(info.kind, CMA_KIND_NONE);
                assert_false(info.idle);
            }
        }
        board_close();
    }
}

static bool board_visit(void *ctx, const struct cma_area_holder *holder)
{
    (void)ctx;
    for (uint32_t i = 0; i < BUFFERS; i++) {
        if (holder->pfn == board.pfn[i]) {
            uint64_t age_ns = (BUFFERS - i) * UINT64_C(10) * 1000 * 1000;
            uint64_t grain_ns = lengths[i] == 1 ? 8 << 20 : 1 << 20;

            assert_int_equal(holder->kind, CMA_KIND_CLAIMED);
            assert_int_equal(holder->npages, lengths[i]);
            assert_int_equal(holder->owner, 100 + i);
            assert_in_range(holder->age_ns + grain_ns, age_ns, age_ns + 2 * grain_ns);
            board.seen++;
            return true;
        }
    }
    assert_int_equal(holder->kind, CMA_KIND_NONE);
    return true;
}

static void a_walk_tells_length_owner_and_age(void **state)
{
    (void)state;
    for (uint32_t l = 0; l < 3; l++) {
        board_open(lanes[l]);
        board_fill();
        cma_area_walk(board.area, board_visit, NULL);
        assert_int_equal(board.seen, BUFFERS);
        board_close();
    }
}

static void a_wrong_release_is_told_why(void **state)
{
    (void)state;
    for (uint32_t l = 0; l < 3; l++) {
        board_open(lanes[l]);
        board_fill();
        for (uint32_t i = 0; i < BUFFERS; i++) {
            cma_pfn_t pfn = board.pfn[i];
            uint32_t owner = 100 + i;

            for (uint32_t npages = 1; npages <= lanes[l]; npages = npages * 2 + 1) {
                if (npages != lengths[i]) {
                    assert_int_equal(cma_area_release(board.area, pfn, npages, owner), CMA_EINVAL);
                }
            }
            assert_int_equal(cma_area_release(board.area, pfn, lengths[i] + 1, owner), CMA_EINVAL);
            assert_int_equal(cma_area_release(board.area, pfn, lanes[l], owner), CMA_EINVAL);
            assert_int_equal(cma_area_release(board.area, pfn, lengths[i], owner + 1), CMA_EPERM);
            if (lengths[i] > 1) {
                assert_int_equal(cma_area_release(board.area, pfn + 1, lengths[i] - 1, owner),
                                 CMA_EBADF);
                assert_int_equal(cma_area_release(board.area, pfn + 1, lengths[i], owner),
                                 CMA_EBADF);
            }
            assert_null(board_wrong());
            assert_int_equal(cma_area_release(board.area, pfn, lengths[i], owner), 0);
            assert_int_equal(cma_area_release(board.area, pfn, lengths[i], owner), CMA_EBADF);
            assert_null(board_wrong());
        }
        board_close();
    }
}

/* What a claim takes frame by frame has its record, whatever its length. */
static void a_claim_in_steps_is_released_as_any(void **state)
{
    struct cma_area_request request = {.npages = 3 * LONG, .owner = 7};
    struct cma_frame_info info;
    struct cma_claim claim;
    cma_pfn_t pfn;

    (void)state;
    board_open(lanes[1]);
    for (uint32_t turn = 0; turn < 3; turn++) {
        assert_int_equal(cma_claim_start(&claim, board.area, &request), 0);
        assert_int_equal(cma_claim_step(&claim, UINT64_MAX), 0);
        pfn = claim.pfn;
        assert_int_equal(cma_frame_info(&board.machine.table, pfn, &info), 0);
        assert_int_equal(info.npages, 3 * LONG);
        assert_null(board_wrong());
        assert_int_equal(cma_area_release(board.area, pfn, 3 * LONG, 8), CMA_EPERM);
        assert_int_equal(cma_area_release(board.area, pfn, LONG, 7), CMA_EINVAL);
        assert_int_equal(cma_area_release(board.area, pfn, 3 * LONG, 7), 0);
        assert_int_equal(cma_area_alloc(board.area, &request, &pfn, NULL), 0);
        assert_int_equal(cma_area_release(board.area, pfn, 3 * LONG, 7), 0);
    }
    board_close();
}

/* A long buffer in the way is named. */
static void a_long_buffer_in_the_way_is_named(void **state)
{
    struct cma_area_request request = {.npages = LONG, .owner = 7};
    struct cma_refusal refusal;
    cma_pfn_t first, other;

    (void)state;
    board_open(lanes[1]);
    assert_int_equal(cma_area_alloc(board.area, &request, &first, NULL), 0);
    request.paddr_first = (first + 1) << 12;
    request.paddr_last = ((first + LONG + 1) << 12) - 1;
    request.owner = 8;
    assert_int_equal(cma_area_alloc(board.area, &request, &other, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_CLAIMED);
    assert_int_equal(refusal.owner, 7);
    assert_int_equal(cma_area_release(board.area, first, LONG, 7), 0);
    board_close();
}

/* The check finds what is written of a buffer that is not there, or of one that is longer. */
static void a_wrong_note_is_found(void **state)
{
    struct cma_span *span;
    struct runs_view view;
    struct cma_buffer *buffer, kept;

    (void)state;
    board_open(lanes[1]);
    board_fill();
    span = board.area->span;
    view = runs_view(&board.machine.table, span);
    buffer = runs_buffer(&view, (uint32_t)(board.pfn[3] - span->pfn));
    kept = *buffer;
    assert_int_equal(kept.npages, LONG);

    buffer->npages = lanes[1] + 1;
    assert_string_equal(board_wrong(), "a buffer is longer than its area");
    buffer->npages = 0;
    assert_string_equal(board_wrong(), "a frame is lost: neither idle nor anybody's");
    *buffer = kept;
    buffer = runs_buffer(&view, lanes[1] - LONG);
    *buffer = (struct cma_buffer){.npages = LONG, .at = lanes[1] - LONG};
    assert_string_equal(board_wrong(), "an idle frame has a holder");
    buffer->npages = 0;
    buffer = runs_buffer(&view, (uint32_t)(board.pfn[5] - span->pfn) + LONG);
    kept = *buffer;
    *buffer =
        (struct cma_buffer){.npages = LONG, .at = (uint32_t)(board.pfn[5] - span->pfn) + LONG};
    assert_string_equal(board_wrong(), "a frame inside a buffer has a holder");
    *buffer = kept;
    board_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_is_known_where_it_begins),
        cmocka_unit_test(a_walk_tells_length_owner_and_age),
        cmocka_unit_test(a_wrong_release_is_told_why),
        cmocka_unit_test(a_claim_in_steps_is_released_as_any),
        cmocka_unit_test(a_long_buffer_in_the_way_is_named),
        cmocka_unit_test(a_wrong_note_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
