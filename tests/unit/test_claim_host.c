/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_claim_host.c - areas over a host's own page allocator: its lists follow what areas do
 */
#include "area_board.h"

static const struct board_config small = {
    .npages = 1024, .area_first = 256, .area_npages = 256, .block_order = 5};

/* A host that keeps lists: which frames it was lent, and which destinations it gave. */
struct host {
    struct board *board;
    bool listed[1024];
    uint32_t lends, take_backs, given;
    bool lend_fails, destination_fails;
    cma_pfn_t next;
};

static int host_lend(void *ctx, cma_pfn_t pfn, uint32_t npages, enum cma_lend_class lend_class)
{
    struct host *host = ctx;
    uint32_t i;

    assert_int_equal(lend_class, CMA_LEND_ORDINARY);
    host->lends++;
    if (host->lend_fails) {
        return CMA_ENOMEM;
    }
    for (i = 0; i < npages; i++) {
        assert_false(host->listed[pfn + i - BOARD_BASE_PFN]);
        host->listed[pfn + i - BOARD_BASE_PFN] = true;
    }
    return 0;
}

static void host_take_back(void *ctx, cma_pfn_t pfn, uint32_t npages)
{
    struct host *host = ctx;
    uint32_t i;

    host->take_backs++;
    for (i = 0; i < npages; i++) {
        host->listed[pfn + i - BOARD_BASE_PFN] = false;
    }
}

static int host_destination(void *ctx, const struct cma_destination *want, cma_pfn_t *pfn)
{
    struct host *host = ctx;

    assert_true(want->from >= area_pfn(host->board, 0));
    if (host->destination_fails) {
        return CMA_ENOMEM;
    }
    host->given++;
    *pfn = host->next++;
    return 1;
}

static void host_destination_put(void *ctx, cma_pfn_t pfn, uint32_t npages)
{
    struct host *host = ctx;

    (void)pfn;
    host->given -= npages;
}

static uint64_t host_room(void *ctx, cma_paddr_t paddr_last)
{
    (void)ctx;
    (void)paddr_last;
    return 100;
}

static void host_take(struct host *host, uint32_t index, enum cma_kind kind, uint32_t cookie)
{
    cma_pfn_t pfn = area_pfn(host->board, index);

    assert_true(host->listed[pfn - BOARD_BASE_PFN]);
    host->listed[pfn - BOARD_BASE_PFN] = false;
    store_put(host->board, pfn, kind, cookie);
}

static uint32_t host_count(const struct host *host)
{
    uint32_t i, count = 0;

    for (i = 0; i < 1024; i++) {
        count += host->listed[i];
    }
    return count;
}

static void test_host_lists_follow(void **state)
{
    struct board *board = board_create(&small);
    struct host host = {.board = board, .next = BOARD_BASE_PFN + 900};
    struct cma_pages_ops ops = {.ctx = &host,
                                .lend = host_lend,
                                .take_back = host_take_back,
                                .destination = host_destination,
                                .destination_put = host_destination_put,
                                .room = host_room};
    struct cma_frames_config config = {.port = &board->port, .block_order = 5, .areas_only = true};
    struct cma_area_config area_config = {.name = "hosted", .lend_class = CMA_LEND_ORDINARY};
    struct cma_area_request request = {.npages = 40};
    uint64_t nbytes = cma_frames_size(&board->map, &config);
    struct cma_frames *system_frames = board->frames;
    struct cma_area *system_area = board->area;
    void *storage = aligned_alloc(8, nbytes);
    struct cma_frames frames;
    struct cma_area area;
    struct cma_refusal refusal;
    cma_pfn_t pfn;

    (void)state;
    assert_int_equal(cma_frames_init(&frames, &board->map, &config, storage, nbytes), 0);
    cma_frames_set_ops(&frames, &ops);
    assert_int_equal(cma_mover_register(&frames, &board->mover), (int)board->mover_number);
    assert_int_equal(
        cma_area_init(&area, &frames, &ops, area_pfn(board, 0) * BOARD_PAGE, &area_config), 0);
    assert_int_equal(cma_area_activate(&area), 0);
    board->frames = &frames;
    board->area = &area;
    host.lend_fails = true;
    assert_false(cma_area_lend(&area, CMA_KIND_DROPPABLE));
    host.lend_fails = false;
    area_lend_all(board);
    assert_int_equal(host_count(&host), 256);
    host_take(&host, 5, CMA_KIND_MOVABLE, 0);
    /* Room that others took meanwhile. */
    host.destination_fails = true;
    request.npages = 256;
    assert_int_equal(cma_area_alloc(&area, &request, &pfn, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_NO_ROOM);
    assert_true(refusal.pfn == area_pfn(board, 5));
    host.destination_fails = false;
    host_take(&host, 60, CMA_KIND_DROPPABLE, 1);
    request.npages = 40;
    /* The block [0, 32) is claimed wholly, [32, 40) is part of a lent one. */
    assert_int_equal(cma_area_alloc(&area, &request, &pfn, NULL), 0);
    assert_true(pfn == area_pfn(board, 0));
    assert_int_equal(host.given, 1);
    assert_true(board->handles[0].pfn == BOARD_BASE_PFN + 900);
    assert_int_equal(host_count(&host), 256 - 40 - 1);
    /* Released, the part of the lent block goes to the host again; the other block when asked for.
     */
    assert_int_equal(cma_area_release(&area, pfn, 40, 0), 0);
    assert_int_equal(host_count(&host), 256 - 32 - 1);
    assert_true(cma_area_lend(&area, CMA_KIND_DROPPABLE));
    assert_int_equal(host_count(&host), 255);
    /* A claim that gives up leaves the host what it had. */
    board->handles[1].refuses = true;
    request.npages = 240;
    assert_int_equal(cma_area_alloc(&area, &request, &pfn, &refusal), CMA_EBUSY);
    assert_int_equal(host_count(&host), 255);
    assert_int_equal(host.given, 1);
    board->handles[1].refuses = false;
    board->frames = system_frames;
    board->area = system_area;
    board_destroy(board);
    free(storage);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_host_lists_follow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
