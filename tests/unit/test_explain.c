/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_explain.c - what a refusal tells, and how old buffers are
 *
 * Cases made by hand, one for each kind of change and for what is preferred when several would do.
 * That the named change does, and less does not, is tests/model/refusals.c's, on random boards.
 */
#include "area_board.h"
#include "sim_board.h"

static const struct board_config small = {
    .npages = 1024,
    .area_first = 256,
    .area_npages = 256,
    .block_order = 5,
};

static struct cma_refusal refuse(struct board *board, struct cma_area_request request, int code)
{
    struct cma_refusal refusal = {0};
    cma_pfn_t pfn;

    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, &refusal), code);
    assert_int_equal(refusal.code, code);
    return refusal;
}

static cma_pfn_t claim_at(struct board *board, uint64_t index, uint64_t npages, uint32_t owner)
{
    struct cma_area_request request = {.npages = npages, .owner = owner};
    cma_pfn_t pfn = CMA_PFN_NONE;

    request.paddr_first = area_pfn(board, index) * BOARD_PAGE;
    request.paddr_last = area_pfn(board, index + npages) * BOARD_PAGE - 1;
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, NULL), 0);
    assert_true(pfn == area_pfn(board, index));
    return pfn;
}

/* --- the changes ----------------------------------------------------------------------- */

static void test_buffers_in_the_way(void **state)
{
    struct board *board = board_create(&small);
    struct cma_refusal refusal;

    (void)state;
    /* Free: 0 to 59, 100 to 109, 120 to 199, 201 to 255. */
    claim_at(board, 60, 40, 5);
    claim_at(board, 110, 10, 6);
    claim_at(board, 200, 1, 7);
    refusal = refuse(board, (struct cma_area_request){.npages = 82}, CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_CLAIMED);
    assert_int_equal(refusal.free_run_npages, 80);
    assert_int_equal(refusal.possible_run_npages, 80);
    /* One page released is less than two given up. */
    assert_int_equal(refusal.change, CMA_CHANGE_RELEASE);
    assert_true(refusal.change_value == area_pfn(board, 200));
    refusal = refuse(board, (struct cma_area_request){.npages = 81}, CMA_ENOMEM);
    assert_int_equal(refusal.change, CMA_CHANGE_RELEASE);
    refusal = refuse(board, (struct cma_area_request){.npages = 137}, CMA_ENOMEM);
    assert_int_equal(refusal.change, CMA_CHANGE_NPAGES);
    assert_int_equal(refusal.change_value, 80);
    refusal = refuse(board, (struct cma_area_request){.npages = 1000}, CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_TOO_LARGE);
    assert_int_equal(refusal.change, CMA_CHANGE_NPAGES);
    assert_int_equal(refusal.change_value, 80);
    /* Alignment costs nobody a page. BOARD_BASE_PFN + 256 + 128 is a multiple of 128. */
    refusal =
        refuse(board, (struct cma_area_request){.npages = 73, .align_npages = 128}, CMA_ENOMEM);
    assert_int_equal(refusal.change, CMA_CHANGE_ALIGN);
    assert_int_equal(refusal.change_value, 8);
    assert_true(refusal.pfn == area_pfn(board, 200));
    assert_int_equal(refusal.owner, 7);
    board_destroy(board);
}

static void test_out_of_reach(void **state)
{
    struct board *board = board_create(&small);
    struct cma_area_request request = {.npages = 20};
    struct cma_refusal refusal;

    (void)state;
    request.paddr_last = area_pfn(board, 10) * BOARD_PAGE;
    claim_at(board, 5, 9, 1);
    refusal = refuse(board, request, CMA_ERANGE);
    assert_int_equal(refusal.reason, CMA_REASON_UNREACHABLE);
    assert_int_equal(refusal.change, CMA_CHANGE_LIMIT);
    assert_true(refusal.change_value == area_pfn(board, 34) * BOARD_PAGE - 1);
    request.paddr_last = 1;
    refusal = refuse(board, request, CMA_ERANGE);
    assert_int_equal(refusal.change, CMA_CHANGE_LIMIT);
    assert_true(refusal.change_value == area_pfn(board, 34) * BOARD_PAGE - 1);
    /* Above the area there is nothing, whatever is changed. */
    request.paddr_first = area_pfn(board, 256) * BOARD_PAGE;
    request.paddr_last = 0;
    refusal = refuse(board, request, CMA_ERANGE);
    assert_int_equal(refusal.change, CMA_CHANGE_NONE);
    assert_int_equal(refusal.change_value, 0);
    board_destroy(board);
}

static void test_frame_in_place(void **state)
{
    struct board *board = board_create(&small);
    struct cma_area_request request = {.npages = 200, .align_npages = 4};
    struct cma_refusal refusal;
    uint32_t i;

    (void)state;
    area_lend_all(board);
    for (i = 0; i < 256; i += 2) {
        store_put(board, area_pfn(board, i), CMA_KIND_MOVABLE, i);
    }
    /* Alone, the upper one leaves 150 pages; without it there are 256 - 60. */
    assert_int_equal(cma_frame_pin_in_place(board->frames, area_pfn(board, 50)), 0);
    assert_int_equal(cma_frame_pin_in_place(board->frames, area_pfn(board, 150)), 0);
    refusal = refuse(board, request, CMA_ENOSPC);
    assert_int_equal(refusal.reason, CMA_REASON_HELD);
    assert_int_equal(refusal.change, CMA_CHANGE_FRAME);
    assert_true(refusal.change_value == area_pfn(board, 150));
    assert_int_equal(refusal.possible_run_npages, 105);
    assert_int_equal(refusal.free_run_npages, 1);
    /* Two of them: no one frame will do. */
    request.npages = 206;
    refusal = refuse(board, request, CMA_ENOSPC);
    assert_int_equal(refusal.change, CMA_CHANGE_NPAGES);
    assert_int_equal(refusal.change_value, 104);
    assert_int_equal(cma_frame_unpin(board->frames, area_pfn(board, 150)), 0);
    refusal = refuse(board, request, CMA_ENOSPC);
    assert_int_equal(refusal.change, CMA_CHANGE_FRAME);
    assert_true(refusal.change_value == area_pfn(board, 50));
    assert_int_equal(cma_frame_unpin(board->frames, area_pfn(board, 50)), 0);
    board_destroy(board);
}

/* Leaves so many frames idle below the end of the low zone, and none above. */
static void fill_memory(struct board *board, uint64_t low, uint32_t low_npages)
{
    struct cma_holder holder = {CMA_KIND_UNMOVABLE, 0, 1};
    uint32_t i;

    for (i = 0; i < board->npages; i++) {
        struct cma_frame_info info;

        if (cma_frame_info(board->frames, BOARD_BASE_PFN + i, &info) == 0 && !info.in_area &&
            (i >= low_npages || i >= low)) {
            assert_int_equal(cma_frame_publish(board->frames, BOARD_BASE_PFN + i, &holder), 0);
        }
    }
}

static void test_room(void **state)
{
    struct board_config config = small;
    struct cma_refusal refusal;
    struct board *board;
    uint32_t i;

    (void)state;
    config.low_npages = 128;
    board = board_create(&config);
    area_lend_all(board);
    for (i = 0; i < 256; i++) {
        store_put_by(board, area_pfn(board, i), CMA_KIND_MOVABLE, i,
                     i % 8 == 0 ? board->low_mover_number : board->mover_number);
    }
    fill_memory(board, 20, config.low_npages);
    refusal = refuse(board, (struct cma_area_request){.npages = 23}, CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_NO_ROOM);
    assert_int_equal(refusal.change, CMA_CHANGE_ROOM);
    assert_int_equal(refusal.change_value, 3);
    assert_true(refusal.change_paddr_last == CMA_PADDR_MAX);
    for (i = 0; i < 20; i++) {
        struct cma_holder holder = {CMA_KIND_UNMOVABLE, 0, 1};

        assert_int_equal(cma_frame_publish(board->frames, BOARD_BASE_PFN + i, &holder), 0);
    }
    for (i = 600; i < 630; i++) {
        assert_int_equal(cma_frame_release(board->frames, BOARD_BASE_PFN + i), 1);
    }
    /* Above there is enough, but every eighth page must stay low. */
    refusal = refuse(board, (struct cma_area_request){.npages = 23}, CMA_ENOMEM);
    assert_int_equal(refusal.change, CMA_CHANGE_ROOM);
    assert_int_equal(refusal.change_value, 2);
    assert_true(refusal.change_paddr_last == board->zones[0].last);
    board_destroy(board);
}

/* --- who is asked ---------------------------------------------------------------------- */

static void test_movers_are_asked(void **state)
{
    struct board *board = board_create(&small);
    struct cma_area_request request = {.npages = 100};
    struct cma_refusal refusal;
    struct cma_claim claim;
    uint32_t i;

    (void)state;
    area_lend_all(board);
    for (i = 0; i < 256; i++) {
        store_put(board, area_pfn(board, i), CMA_KIND_MOVABLE, i);
    }
    board->handles[90].refuses = true;
    board->handles[180].refuses = true;
    refusal = refuse(board, request, CMA_EBUSY);
    assert_int_equal(refusal.reason, CMA_REASON_MOVER);
    assert_int_equal(refusal.change, CMA_CHANGE_FRAME);
    /* The refusal's own frame is as good as the other. */
    assert_true(refusal.change_value == refusal.pfn);
    store_verify(board);

    /* Too many pages: 90 would do, and for that a window was asked about. */
    request.npages = 300;
    board->freezes = 0;
    refusal = refuse(board, request, CMA_ENOMEM);
    assert_int_equal(refusal.change, CMA_CHANGE_NPAGES);
    assert_int_equal(refusal.change_value, 90);
    assert_true(board->freezes > 0);
    /* Nobody is asked where nobody wants to know, or where nothing may sleep. */
    board->freezes = 0;
    assert_int_equal(cma_area_alloc(board->area, &request, &claim.pfn, NULL), CMA_ENOMEM);
    assert_int_equal(cma_claim_start(&claim, board->area, &request), CMA_ENOMEM);
    assert_int_equal(claim.refusal.change, CMA_CHANGE_NPAGES);
    assert_int_equal(board->freezes, 0);
    board_destroy(board);
}

/* A device's refusal is its area's. */
static void test_devices_are_told(void **state)
{
    struct board *board = board_create(&small);
    struct cma_device_config config = {.name = "camera", .owner = 3, .mask = UINT32_MAX};
    struct cma_coherent_request request = {.nbytes = 300 * BOARD_PAGE};
    struct cma_refusal refusal = {0};
    struct cma_coherent buffer;
    struct cma_device device;
    uint32_t i;

    (void)state;
    config.coherent_mask = UINT32_MAX;
    config.flags = CMA_DEVICE_AREA_ONLY;
    config.area = board->area;
    assert_int_equal(cma_device_init(&device, &board->system.dma, &config), 0);
    area_lend_all(board);
    for (i = 0; i < 256; i++) {
        store_put(board, area_pfn(board, i), CMA_KIND_MOVABLE, i);
    }
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, NULL), CMA_ENOMEM);
    assert_int_equal(board->freezes, 0);
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.change, CMA_CHANGE_NPAGES);
    assert_int_equal(refusal.change_value, 256);
    assert_int_equal(board->freezes, 256);
    store_verify(board);
    board_destroy(board);
}

static void test_claims_in_progress(void **state)
{
    struct board_config config = small;
    struct cma_area_request request = {.npages = 100};
    struct cma_refusal refusal;
    struct cma_claim claim;
    struct board *board;

    (void)state;
    config.no_wait = true;
    board = board_create(&config);
    assert_int_equal(cma_claim_start(&claim, board->area, &request), 0);
    assert_int_equal(cma_claim_step(&claim, 1), 1);
    assert_int_equal(claim.state, CMA_CLAIM_ISOLATE);
    /* What it has only chosen is in the way, too; nobody can be told to release it. */
    request.npages = 200;
    refusal = refuse(board, request, CMA_EAGAIN);
    assert_int_equal(refusal.change, CMA_CHANGE_NPAGES);
    assert_int_equal(refusal.change_value, 156);
    assert_int_equal(refusal.possible_run_npages, 156);
    cma_claim_cancel(&claim);
    board_destroy(board);
}

static void test_without_engine(void **state)
{
    struct board *board = board_create(&small);
    struct cma_refusal refusal;

    (void)state;
    board->area->engine = NULL;
    claim_at(board, 100, 100, 5);
    refusal = refuse(board, (struct cma_area_request){.npages = 101}, CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_CLAIMED);
    assert_int_equal(refusal.change, CMA_CHANGE_NONE);
    assert_int_equal(refusal.free_run_npages, 0);
    assert_int_equal(refusal.possible_run_npages, 0);
    board_destroy(board);
}

/* --- ages ------------------------------------------------------------------------------ */

struct ages {
    uint64_t age_ns[4];
    uint32_t count;
};

static bool note_age(void *ctx, const struct cma_area_holder *holder)
{
    struct ages *ages = ctx;

    if (holder->kind == CMA_KIND_CLAIMED) {
        assert_true(ages->count < 4);
        ages->age_ns[ages->count++] = holder->age_ns;
    } else {
        assert_true(holder->age_ns == 0);
    }
    return true;
}

static void ages_are(struct cma_area *area, uint64_t first_ns, uint64_t second_ns)
{
    struct ages ages = {{0}, 0};

    cma_area_walk(area, note_age, &ages);
    assert_int_equal(ages.count, 2);
    /* To 1 ms; a page to 8 ms. */
    assert_in_range(ages.age_ns[0] + ((uint64_t)1 << 20), first_ns, first_ns + ((uint64_t)2 << 20));
    assert_in_range(ages.age_ns[1] + ((uint64_t)8 << 20), second_ns,
                    second_ns + ((uint64_t)16 << 20));
}

/* The long way (no index) and the short one. */
static void test_ages(void **state)
{
    uint32_t lanes;

    (void)state;
    for (lanes = 0; lanes < 2; lanes++) {
        struct sim *sim = board(1);
        const struct cma_port *port = sim_port(sim);
        struct cma_frames_config config = {.port = port,
                                           .index = lanes == 0 ? NULL : &cma_frames_index};
        struct cma_area_config area_config = {
            .name = "area", .lend_class = CMA_LEND_ORDINARY, .engine = &cma_area_engine};
        struct cma_area_request request = {.npages = 2};
        struct cma_range memory[1], reserved[1];
        struct cma_range range = {
            .base = BASE, .nbytes = 8 * MIB, .kind = CMA_RANGE_AREA, .name = "area"};
        struct cma_frames frames;
        struct cma_area area;
        struct cma_map map;
        cma_pfn_t two, one;
        uint64_t nbytes, began_ns;
        void *storage;

        assert_int_equal(cma_map_init(&map, memory, 1, reserved, 1), 0);
        assert_int_equal(cma_map_add_memory(&map, BASE, 16 * MIB, NULL), 0);
        assert_int_equal(cma_map_reserve(&map, &range, NULL), 0);
        nbytes = cma_frames_size(&map, &config);
        storage = aligned_alloc(64, nbytes / 64 * 64 + 64);
        assert_non_null(storage);
        assert_int_equal(cma_frames_init(&frames, &map, &config, storage, nbytes), 0);
        assert_int_equal(cma_area_init(&area, &frames, NULL, BASE, &area_config), 0);
        assert_int_equal(cma_area_activate(&area), 0);

        sim_spend_ns(sim, 3600 * UINT64_C(1000000000));
        assert_int_equal(cma_area_alloc(&area, &request, &two, NULL), 0);
        began_ns = sim_now_ns(sim);
        sim_spend_ns(sim, 5 * UINT64_C(1000000000));
        request.npages = 1;
        assert_int_equal(cma_area_alloc(&area, &request, &one, NULL), 0);
        ages_are(&area, sim_now_ns(sim) - began_ns, 0);
        sim_spend_ns(sim, 40 * 86400 * UINT64_C(1000000000));
        ages_are(&area, sim_now_ns(sim) - began_ns,
                 sim_now_ns(sim) - began_ns - 5 * UINT64_C(1000000000));
        assert_int_equal(cma_area_release(&area, one, 1, 0), 0);
        assert_int_equal(cma_area_release(&area, two, 1, 0), CMA_EINVAL);
        assert_int_equal(cma_area_release(&area, two, 2, 0), 0);
        free(storage);
        sim_destroy(sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buffers_in_the_way),
        cmocka_unit_test(test_out_of_reach),
        cmocka_unit_test(test_frame_in_place),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_movers_are_asked),
        cmocka_unit_test(test_devices_are_told),
        cmocka_unit_test(test_claims_in_progress),
        cmocka_unit_test(test_without_engine),
        cmocka_unit_test(test_ages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
