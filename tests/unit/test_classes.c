/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_classes.c - size classes: every buffer lies in the part for its size, and nowhere else
 */
#include "area_board.h"

static const struct cma_size_class three[] = {{.npages_max = 4, .npages = 32},
                                              {.npages_max = 16, .npages = 64},
                                              {.npages_max = 64, .npages = 96}};

static const struct board_config plain = {.npages = 1024,
                                          .area_first = 256,
                                          .area_npages = 256,
                                          .block_order = 5,
                                          .classes = three,
                                          .nclasses = 3};

static const struct board_config indexed = {.npages = 1024,
                                            .area_first = 256,
                                            .area_npages = 256,
                                            .block_order = 5,
                                            .index = true,
                                            .classes = three,
                                            .nclasses = 3};

/* Where a buffer of npages may lie, said once more and more simply. */
static void part_of(uint64_t npages, uint64_t area_npages, uint64_t *first, uint64_t *end)
{
    *first = npages <= 4 ? 0 : npages <= 16 ? 32 : npages <= 64 ? 96 : 192;
    *end = npages <= 4 ? 32 : npages <= 16 ? 96 : npages <= 64 ? 192 : area_npages;
}

static bool in_its_part(const struct board *board, cma_pfn_t pfn, uint64_t npages)
{
    uint64_t first, end, at = pfn - board->area->pfn;

    part_of(npages, board->area->npages, &first, &end);
    return at >= first && at + npages <= end;
}

static int init_with(struct board *board, const struct cma_size_class *classes, uint32_t nclasses,
                     const struct cma_area_engine *engine)
{
    struct cma_area_config config = {.name = "again",
                                     .lend_class = CMA_LEND_ORDINARY,
                                     .engine = engine,
                                     .classes = classes,
                                     .nclasses = nclasses};
    struct cma_area area;

    return cma_area_init(&area, board->frames, cma_pages_ops(&board->system.pages),
                         board->area->pfn * BOARD_PAGE, &config);
}

static void test_malformed_classes(void **state)
{
    struct board *board = board_create(&plain);
    struct cma_size_class classes[3];

    (void)state;
    memcpy(classes, three, sizeof(classes));
    assert_int_equal(init_with(board, classes, 3, &cma_area_engine), 0);
    assert_int_equal(init_with(board, classes, 3, NULL), CMA_EINVAL);
    assert_int_equal(init_with(board, classes, 0, NULL), 0);
    assert_int_equal(init_with(board, NULL, 0, NULL), 0);
    assert_int_equal(init_with(board, NULL, 3, &cma_area_engine), CMA_EINVAL);
    classes[1].npages_max = 4;
    assert_int_equal(init_with(board, classes, 3, &cma_area_engine), CMA_EINVAL);
    classes[1].npages_max = 3;
    assert_int_equal(init_with(board, classes, 3, &cma_area_engine), CMA_EINVAL);
    classes[1].npages_max = 65;
    assert_int_equal(init_with(board, classes, 3, &cma_area_engine), CMA_EINVAL);
    classes[1].npages_max = 16;
    classes[0].npages_max = 0;
    assert_int_equal(init_with(board, classes, 3, &cma_area_engine), CMA_EINVAL);
    classes[0].npages_max = 33;
    assert_int_equal(init_with(board, classes, 3, &cma_area_engine), CMA_EINVAL);
    classes[0].npages_max = 4;
    classes[2].npages = 256 - 32 - 64;
    assert_int_equal(init_with(board, classes, 3, &cma_area_engine), 0);
    classes[2].npages++;
    assert_int_equal(init_with(board, classes, 3, &cma_area_engine), CMA_EINVAL);
    classes[2].npages = UINT32_MAX;
    assert_int_equal(init_with(board, classes, 3, &cma_area_engine), CMA_EINVAL);
    classes[1].npages = UINT32_MAX - 32;
    assert_int_equal(init_with(board, classes, 3, &cma_area_engine), CMA_EINVAL);
    board_destroy(board);
}

struct buffer {
    cma_pfn_t pfn;
    uint64_t npages;
};

static uint64_t random_below(uint64_t *random, uint64_t n)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random % n;
}

/* Requests of all sizes and kinds, over an area that is lent and used: buffers come and go. */
static void come_and_go(const struct board_config *config, uint64_t random)
{
    struct board *board = board_create(config);
    struct buffer buffers[32] = {{0, 0}};
    uint32_t served[4] = {0};
    uint32_t i, cookie = 0;

    for (i = 0; i < 4000; i++) {
        struct buffer *buffer = &buffers[random_below(&random, 32)];
        struct cma_area_request request = {.owner = 3};
        struct cma_claim claim;

        if (i % 512 == 0) {
            while (cookie < 700 && store_add(board, CMA_KIND_DROPPABLE, cookie)) {
                cookie++;
            }
        }
        if (buffer->npages != 0) {
            assert_int_equal(cma_area_release(board->area, buffer->pfn, buffer->npages, 3), 0);
            buffer->npages = 0;
            continue;
        }
        request.npages = 1 + random_below(&random, UINT64_C(1) << random_below(&random, 7));
        request.align_npages = UINT64_C(1) << random_below(&random, 3);
        request.flags = random_below(&random, 4) == 0 ? CMA_CLAIM_LONG : 0;
        if (random_below(&random, 2) == 0) {
            if (cma_area_alloc(board->area, &request, &buffer->pfn, NULL) != 0) {
                continue;
            }
        } else {
            int error = cma_claim_start(&claim, board->area, &request);

            while (error == 0 && claim.state != CMA_CLAIM_DONE) {
                error = cma_claim_step(&claim, 8);
                error = error == 1 ? 0 : error;
            }
            if (error != 0) {
                continue;
            }
            buffer->pfn = claim.pfn;
        }
        buffer->npages = request.npages;
        served[request.npages <= 4 ? 0 : request.npages <= 16 ? 1 : request.npages <= 64 ? 2 : 3]++;
        assert_true(in_its_part(board, buffer->pfn, buffer->npages));
    }
    for (i = 0; i < 3; i++) {
        assert_true(served[i] > 100);
    }
    for (i = 0; i < 32; i++) {
        if (buffers[i].npages != 0) {
            assert_int_equal(cma_area_release(board->area, buffers[i].pfn, buffers[i].npages, 3),
                             0);
        }
    }
    board_destroy(board);
}

static void test_each_in_its_part(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 5; seed++) {
        come_and_go(&plain, seed);
        come_and_go(&indexed, seed);
    }
}

/* An area in two lanes, whose border is inside of a part. */
static void test_lanes(void **state)
{
    static const struct cma_size_class classes[] = {{64, 8000}, {1024, 12000}};
    struct board_config config = {.npages = 40000,
                                  .area_first = 64,
                                  .area_npages = 32768,
                                  .index = true,
                                  .lanes = 2,
                                  .classes = classes,
                                  .nclasses = 2};
    struct board *board = board_create(&config);
    struct cma_area_request request = {.npages = 1000, .owner = 1};
    cma_pfn_t pfn[10], other;

    (void)state;
    assert_int_equal(board->system.nareas, 1);
    assert_int_equal(board->area->nspans, 2);
    for (uint32_t i = 0; i < 10; i++) {
        assert_int_equal(cma_area_alloc(board->area, &request, &pfn[i], NULL), 0);
        assert_true(pfn[i] >= area_pfn(board, 8000) && pfn[i] + 1000 <= area_pfn(board, 20000));
    }
    request.npages = 12768;
    assert_int_equal(cma_area_alloc(board->area, &request, &other, NULL), 0);
    assert_true(other == area_pfn(board, 20000));
    assert_int_equal(cma_area_release(board->area, other, 12768, 1), 0);
    for (uint32_t i = 0; i < 10; i++) {
        assert_int_equal(cma_area_release(board->area, pfn[i], 1000, 1), 0);
    }
    board_destroy(board);
}

/* Who has filled his part is refused, and takes nothing from the others. */
static void full_part(const struct board_config *config)
{
    struct board *board = board_create(config);
    struct cma_area_request request = {.npages = 4, .owner = 1};
    struct cma_refusal refusal;
    cma_pfn_t pfn[8], large, other;
    uint32_t i;

    for (i = 0; i < 8; i++) {
        assert_int_equal(cma_area_alloc(board->area, &request, &pfn[i], NULL), 0);
    }
    assert_int_equal(cma_area_alloc(board->area, &request, &other, NULL), CMA_ENOMEM);
    assert_int_equal(cma_area_alloc(board->area, &request, &other, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_CLAIMED);
    assert_int_equal(refusal.owner, 1);
    assert_int_equal(refusal.free_run_npages, 0);
    assert_int_equal(refusal.possible_run_npages, 0);
    assert_int_equal(refusal.change, CMA_CHANGE_RELEASE);
    /* All of the others' parts is there. */
    request.npages = 64;
    assert_int_equal(cma_area_alloc(board->area, &request, &large, NULL), 0);
    assert_true(large >= area_pfn(board, 96) && large <= area_pfn(board, 128));
    assert_int_equal(cma_area_release(board->area, large, 64, 1), 0);
    request.npages = 65;
    assert_int_equal(cma_area_alloc(board->area, &request, &other, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_TOO_LARGE);
    assert_int_equal(refusal.free_run_npages, 64);
    assert_int_equal(refusal.change, CMA_CHANGE_NPAGES);
    assert_int_equal(refusal.change_value, 64);
    /* What is released last is had again at once, by its like only. */
    assert_int_equal(cma_area_release(board->area, pfn[3], 4, 1), 0);
    request.npages = 5;
    assert_int_equal(cma_area_alloc(board->area, &request, &large, NULL), 0);
    assert_true(large >= area_pfn(board, 32));
    request.npages = 4;
    assert_int_equal(cma_area_alloc(board->area, &request, &other, NULL), 0);
    assert_true(other == pfn[3]);
    assert_int_equal(cma_area_release(board->area, large, 5, 1), 0);
    for (i = 0; i < 8; i++) {
        assert_int_equal(cma_area_release(board->area, pfn[i], 4, 1), 0);
    }
    board_destroy(board);
}

static void test_full_part(void **state)
{
    (void)state;
    full_part(&plain);
    full_part(&indexed);
}

/* A shorter request may be one for another part: the longest that would do is named. */
static void test_shorter_in_another_part(void **state)
{
    struct board *board = board_create(&indexed);
    struct cma_area_request request = {.npages = 16, .owner = 1};
    struct cma_refusal refusal;
    cma_pfn_t pfn[4], other;

    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(cma_area_alloc(board->area, &request, &pfn[i], NULL), 0);
    }
    request.npages = 6;
    assert_int_equal(cma_area_alloc(board->area, &request, &other, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.change, CMA_CHANGE_NPAGES);
    assert_int_equal(refusal.change_value, 4);
    assert_int_equal(cma_area_release(board->area, pfn[1], 16, 1), 0);
    request.npages = 16;
    request.align_npages = 32;
    assert_int_equal(cma_area_alloc(board->area, &request, &other, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.change, CMA_CHANGE_ALIGN);
    assert_int_equal(refusal.change_value, 16);
    for (uint32_t i = 0; i < 4; i++) {
        if (i != 1) {
            assert_int_equal(cma_area_release(board->area, pfn[i], 16, 1), 0);
        }
    }
    board_destroy(board);
}

/* A device that reaches the area, but not its part of it. */
static void test_part_out_of_reach(void **state)
{
    struct board *board = board_create(&indexed);
    struct cma_area_request request = {.npages = 10, .owner = 1};
    struct cma_refusal refusal;
    cma_pfn_t pfn;

    (void)state;
    request.paddr_last = area_pfn(board, 40) * BOARD_PAGE - 1;
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, NULL), CMA_ERANGE);
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, &refusal), CMA_ERANGE);
    assert_int_equal(refusal.reason, CMA_REASON_UNREACHABLE);
    assert_int_equal(refusal.change, CMA_CHANGE_LIMIT);
    assert_true(refusal.change_value == area_pfn(board, 42) * BOARD_PAGE - 1);
    request.paddr_last = 0;
    request.paddr_first = area_pfn(board, 90) * BOARD_PAGE;
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, NULL), CMA_ERANGE);
    request.paddr_first = area_pfn(board, 86) * BOARD_PAGE;
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, NULL), 0);
    assert_true(pfn == area_pfn(board, 86));
    assert_int_equal(cma_area_release(board->area, pfn, 10, 1), 0);
    board_destroy(board);
}

/* A claim paused in another part is not in the way of anybody here. */
static void test_claims_in_other_parts(void **state)
{
    struct board *board = board_create(&plain);
    struct cma_area_request large = {.npages = 60, .owner = 1};
    struct cma_area_request small = {.npages = 4, .owner = 1};
    struct cma_claim claim;
    cma_pfn_t pfn[8], other;

    (void)state;
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(cma_area_alloc(board->area, &small, &pfn[i], NULL), 0);
    }
    assert_int_equal(cma_claim_start(&claim, board->area, &large), 0);
    assert_int_equal(cma_claim_step(&claim, 2), 1);
    assert_int_equal(cma_area_alloc(board->area, &small, &other, NULL), CMA_ENOMEM);
    cma_claim_cancel(&claim);
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(cma_area_release(board->area, pfn[i], 4, 1), 0);
    }
    board_destroy(board);
}

static void test_check(void **state)
{
    struct board_config config = indexed;
    struct cma_area_request request = {.npages = 40, .owner = 1};
    struct cma_violation violation;
    struct board *board;
    cma_pfn_t pfn;

    (void)state;
    config.nclasses = 0;
    board = board_create(&config);
    assert_int_equal(cma_area_alloc(board->area, &request, &pfn, NULL), 0);
    assert_true(cma_area_check(board->area, &violation));
    board->area->classes = three;
    board->area->nclasses = 3;
    assert_false(cma_area_check(board->area, &violation));
    assert_true(violation.pfn == pfn);
    board->area->classes = NULL;
    board->area->nclasses = 0;
    assert_int_equal(cma_area_release(board->area, pfn, 40, 1), 0);
    board_destroy(board);
}

/* --- guarantees ------------------------------------------------------------------------ */

static int admit(struct board *board, struct cma_guarantee *guarantee,
                 struct cma_guarantee_group *group, uint64_t npages, uint32_t count,
                 struct cma_admission *why)
{
    struct cma_guarantee_request request = {
        .npages = npages, .count = count, .owner = 4, .group = group};

    return cma_guarantee_admit(&board->system.guarantees, guarantee, board->area, &request, why);
}

static void test_slots(void **state)
{
    struct board_config config = indexed;
    struct cma_guarantee small, large, none;
    struct cma_guarantee_group group = {0};
    struct cma_admission why;
    struct cma_slot_info info;
    struct cma_area_stats stats;
    struct board *board;
    cma_pfn_t pfn;

    (void)state;
    config.nslots = 32;
    board = board_create(&config);
    assert_int_equal(admit(board, &large, &group, 30, 3, &why), 0);
    assert_int_equal(admit(board, &small, &group, 10, 5, &why), 0);
    /* Of two classes, they share nothing. */
    cma_area_stats(board->area, &stats);
    assert_int_equal(stats.slot_npages, 140);
    for (uint32_t i = 0; cma_guarantees_slot(&board->system.guarantees, i, &info) == 0; i++) {
        assert_true(in_its_part(board, info.pfn, info.npages));
    }
    assert_int_equal(cma_guarantee_take(&small, &pfn, NULL, NULL), 0);
    assert_true(in_its_part(board, pfn, 10));
    board_check(board);
    assert_int_equal(cma_guarantee_release(&small, pfn, true), 0);
    /* 14 pages of the middle part are left, and 6 of the next one; all of the lowest. */
    assert_int_equal(admit(board, &none, NULL, 12, 2, &why), CMA_ENOMEM);
    assert_int_equal(why.possible_count, 1);
    assert_int_equal(why.possible_npages, 7);
    assert_int_equal(admit(board, &none, NULL, 7, 2, &why), 0);
    assert_int_equal(cma_guarantee_revoke(&none), 0);
    /* Three of this size would be too many; of a smaller class, there are as many. */
    assert_int_equal(admit(board, &none, NULL, 12, 4, &why), CMA_ENOMEM);
    assert_int_equal(why.possible_npages, 4);
    assert_int_equal(admit(board, &none, NULL, 4, 4, &why), 0);
    assert_int_equal(cma_guarantee_revoke(&none), 0);
    /* A member's smaller block of another class finds no slots to share. */
    assert_int_equal(admit(board, &none, &group, 12, 10, &why), CMA_ENOMEM);
    assert_int_equal(why.possible_count, 1);
    assert_int_equal(why.possible_npages, 3);
    /* The five that this one would share are of no use to it either. */
    assert_int_equal(admit(board, &none, &group, 10, 10, &why), CMA_ENOMEM);
    assert_int_equal(why.possible_count, 6);
    assert_int_equal(why.possible_npages, 3);
    assert_int_equal(admit(board, &none, &group, 4, 10, &why), CMA_ENOMEM);
    assert_int_equal(why.possible_npages, 3);
    assert_int_equal(admit(board, &none, &group, 3, 10, &why), 0);
    assert_int_equal(cma_guarantee_revoke(&none), 0);
    /* Larger than all classes, and nothing is left for such. */
    assert_int_equal(admit(board, &none, NULL, 100, 1, &why), CMA_ENOMEM);
    assert_int_equal(why.refusal.reason, CMA_REASON_TOO_LARGE);
    assert_int_equal(cma_guarantee_revoke(&small), 0);
    assert_int_equal(cma_guarantee_revoke(&large), 0);
    board_destroy(board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_malformed_classes),
        cmocka_unit_test(test_each_in_its_part),
        cmocka_unit_test(test_lanes),
        cmocka_unit_test(test_full_part),
        cmocka_unit_test(test_shorter_in_another_part),
        cmocka_unit_test(test_part_out_of_reach),
        cmocka_unit_test(test_claims_in_other_parts),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_slots),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
