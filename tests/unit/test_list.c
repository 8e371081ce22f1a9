/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_list.c - scatter lists: merged, cut, bounced in the middle, all or nothing
 */
#include "stream_board.h"

#include <stdlib.h>

#define ALL UINT64_MAX
#define MAX 32

static struct cma_segment segments[MAX];
static uint32_t nsegments;

static void device_with(struct cma_device *device, cma_daddr_t mask, uint64_t nbytes_max,
                        uint64_t boundary, uint32_t flags)
{
    struct cma_device_config config = board_config(mask, flags);

    config.segment_nbytes_max = nbytes_max;
    config.segment_boundary_nbytes = boundary;
    assert_int_equal(cma_device_init(device, &board.dma, &config), 0);
}

static int map(struct cma_device *device, const struct cma_piece *pieces, uint32_t npieces,
               uint32_t max, enum cma_direction direction, uint32_t flags)
{
    struct cma_refusal refusal = {0};
    int error;

    memset(segments, 0xee, sizeof(segments));
    nsegments = 0xeeee;
    error = cma_dma_map_list(device, pieces, npieces, direction, flags, segments, max, &nsegments,
                             &refusal);
    assert_int_equal(refusal.code, error);
    return error;
}

static void expect(uint32_t index, cma_daddr_t daddr, uint64_t nbytes, uint32_t piece,
                   uint64_t offset)
{
    assert_true(index < nsegments);
    assert_true(segments[index].daddr == daddr && segments[index].nbytes == nbytes);
    assert_int_equal(segments[index].piece, piece);
    assert_true(segments[index].piece_offset_nbytes == offset);
}

static void test_merge(void **state)
{
    static const struct cma_piece pieces[] = {{RAM, 0x1000},
                                              {RAM + 0x1000, 0x1000},
                                              {RAM + 0x2000, 0x40},
                                              {RAM + 0x4000, 0x1000},
                                              {RAM + 0x3000, 0x1000}};
    struct cma_device device;

    (void)state;
    board_create(false);
    device_with(&device, ALL, 0, 0, 0);
    assert_int_equal(map(&device, pieces, 5, MAX, CMA_FROM_DEVICE, 0), 0);
    assert_int_equal(nsegments, 3);
    expect(0, RAM, 0x2040, 0, 0);
    expect(1, RAM + 0x4000, 0x1000, 3, 0);
    expect(2, RAM + 0x3000, 0x1000, 4, 0);
    assert_log("clean 80000000+2040\nclean 80004000+1000\nclean 80003000+1000\nbarrier\n");
    assert_int_equal(cma_dma_sync_list_for_cpu(&device, segments, 3, CMA_FROM_DEVICE), 0);
    assert_log("barrier\ndrop 80000000+2040\nbarrier\ndrop 80004000+1000\n"
               "barrier\ndrop 80003000+1000\n");
    assert_int_equal(cma_dma_sync_list_for_device(&device, segments, 3, CMA_FROM_DEVICE), 0);
    assert_log("clean 80000000+2040\nbarrier\nclean 80004000+1000\nbarrier\n"
               "clean 80003000+1000\nbarrier\n");
    assert_int_equal(cma_dma_unmap_list(&device, segments, 3, CMA_FROM_DEVICE, CMA_MAP_SKIP_SYNC),
                     0);
    assert_log("");
    /* The last byte of all, and then the first: no continuation. */
    static const struct cma_piece around[] = {{ALL - 0xfff, 0x1000}, {0, 0x1000}};
    assert_int_equal(map(&device, around, 2, MAX, CMA_TO_DEVICE, 0), 0);
    assert_int_equal(nsegments, 2);
    /* Halves of everything, less a byte. */
    static const struct cma_piece halves[] = {{0, UINT64_C(1) << 63},
                                              {UINT64_C(1) << 63, UINT64_C(1) << 63}};
    assert_int_equal(map(&device, halves, 2, MAX, CMA_TO_DEVICE, CMA_MAP_SKIP_SYNC), 0);
    assert_int_equal(nsegments, 2);
    expect(0, 0, ALL, 0, 0);
    expect(1, ALL, 1, 1, (UINT64_C(1) << 63) - 1);
}

/* Windows side by side on the bus only: one segment, synced where the memory is. */
static void test_merge_for_the_device(void **state)
{
    static const struct cma_bus_window windows[] = {{0x10000, RAM + 0x8000, 0x1000},
                                                    {0x11000, RAM, 0x1000}};
    static const struct cma_piece pieces[] = {{RAM + 0x8800, 0x800}, {RAM, 0x800}};
    struct cma_device_config config = board_config(ALL, 0);
    struct cma_device device;

    (void)state;
    board_create(false);
    config.windows = windows;
    config.nwindows = 2;
    assert_int_equal(cma_device_init(&device, &board.dma, &config), 0);
    assert_int_equal(map(&device, pieces, 2, 1, CMA_BIDIRECTIONAL, 0), 0);
    assert_int_equal(nsegments, 1);
    expect(0, 0x10800, 0x1000, 0, 0);
    assert_log("clean 80008800+800\nclean 80000000+800\nbarrier\n");
    assert_int_equal(cma_dma_unmap_list(&device, segments, 1, CMA_BIDIRECTIONAL, 0), 0);
    assert_log("barrier\ndrop 80008800+800\ndrop 80000000+800\n");
}

static void test_cut(void **state)
{
    static const struct cma_piece pieces[] = {{RAM + 0x800, 0x1800}, {RAM + 0x2000, 0x2800}};
    struct cma_device device;

    (void)state;
    board_create(false);
    device_with(&device, ALL, 0, 0x2000, 0);
    assert_int_equal(map(&device, pieces, 2, MAX, CMA_TO_DEVICE, 0), 0);
    assert_int_equal(nsegments, 3);
    expect(0, RAM + 0x800, 0x1800, 0, 0);
    expect(1, RAM + 0x2000, 0x2000, 1, 0);
    expect(2, RAM + 0x4000, 0x800, 1, 0x2000);
    device_with(&device, ALL, 0x1000, 0, 0);
    assert_int_equal(map(&device, pieces, 2, MAX, CMA_TO_DEVICE, 0), 0);
    assert_int_equal(nsegments, 4);
    expect(1, RAM + 0x1800, 0x1000, 0, 0x1000);
    expect(3, RAM + 0x3800, 0x1000, 1, 0x1800);
    device_with(&device, ALL, 0x1001, 0x2000, 0);
    assert_int_equal(map(&device, pieces, 2, MAX, CMA_TO_DEVICE, 0), 0);
    assert_int_equal(nsegments, 5);
    expect(1, RAM + 0x1801, 0x7ff, 0, 0x1001);
    expect(2, RAM + 0x2000, 0x1001, 1, 0);
    expect(3, RAM + 0x3001, 0xfff, 1, 0x1001);
    expect(4, RAM + 0x4000, 0x800, 1, 0x2000);
    board.log[0] = '\0';
    /* Too many: nothing is done, and how many it would take is said, however many. */
    assert_int_equal(map(&device, pieces, 2, 4, CMA_TO_DEVICE, 0), CMA_ENOSPC);
    assert_int_equal(nsegments, 5);
    assert_int_equal(map(&device, pieces, 2, 0, CMA_TO_DEVICE, 0), CMA_ENOSPC);
    assert_int_equal(nsegments, 5);
    static const struct cma_piece huge[] = {{0x800, UINT64_C(1) << 62}};
    device_with(&device, ALL, 0x1001, UINT64_C(1) << 36, 0);
    assert_int_equal(map(&device, huge, 1, 4, CMA_TO_DEVICE, 0), CMA_ENOSPC);
    assert_true(nsegments == UINT32_MAX);
    device_with(&device, ALL, UINT64_C(1) << 35, UINT64_C(1) << 36, 0);
    assert_int_equal(map(&device, huge, 1, 4, CMA_TO_DEVICE, 0), CMA_ENOSPC);
    assert_int_equal(nsegments, (1u << 27) + 1);
    device_with(&device, ALL, 1, 1, 0);
    assert_int_equal(map(&device, huge, 1, 4, CMA_TO_DEVICE, 0), CMA_ENOSPC);
    assert_true(nsegments == UINT32_MAX);
    assert_log("");
}

/* Pieces in the middle are bounced; each has segments of its own, and ends by itself. */
static void test_bounced(void **state)
{
    static const struct cma_piece pieces[] = {{RAM, 0x1000},
                                              {RAM + 0x1000, 0x1008}, /* ends inside a line */
                                              {RAM + 0x2040, 0x1000},
                                              {RAM + 0x3040, 0x20}};
    struct cma_device device;

    (void)state;
    board_create(true);
    device_with(&device, ALL, 0x800, 0, 0);
    assert_int_equal(map(&device, pieces, 4, MAX, CMA_FROM_DEVICE, 0), 0);
    assert_int_equal(nsegments, 8);
    expect(0, RAM, 0x800, 0, 0);
    expect(1, RAM + 0x800, 0x800, 0, 0x800);
    expect(2, POOL, 0x800, 1, 0);
    expect(3, POOL + 0x800, 0x800, 1, 0x800);
    expect(4, POOL + 0x1000, 8, 1, 0x1000);
    expect(5, RAM + 0x2040, 0x800, 2, 0);
    expect(7, POOL + 0x2000, 0x20, 3, 0);
    assert_int_equal(board.nlive, 2);
    board.log[0] = '\0';
    assert_int_equal(cma_dma_sync_list_for_device(&device, segments, 8, CMA_FROM_DEVICE), 0);
    assert_null(strstr(board.log, "in "));
    assert_int_equal(cma_dma_sync_list_for_cpu(&device, &segments[3], 1, CMA_FROM_DEVICE), 0);
    board.log[0] = '\0';
    /* A part of a bounced piece doesn't end. */
    assert_int_equal(cma_dma_unmap_list(&device, &segments[3], 1, CMA_FROM_DEVICE, 0), CMA_EINVAL);
    assert_int_equal(cma_dma_unmap_list(&device, segments, 3, CMA_FROM_DEVICE, CMA_MAP_SKIP_SYNC),
                     CMA_EINVAL);
    assert_int_equal(board.nlive, 2);
    assert_int_equal(cma_dma_unmap_list(&device, segments, 8, CMA_FROM_DEVICE, 0), 0);
    assert_int_equal(board.nlive, 0);
    assert_non_null(strstr(board.log, "drop 100000+1008\nout 100000+1008\nfree 100000+1008\n"));
    assert_non_null(strstr(board.log, "drop 102000+20\nout 102000+20\nfree 102000+20\n"));
    /* What could be ended is; the first error is told. */
    assert_int_equal(map(&device, pieces, 4, MAX, CMA_FROM_DEVICE, 0), 0);
    segments[4].nbytes++;
    assert_int_equal(cma_dma_unmap_list(&device, segments, 8, CMA_FROM_DEVICE, 0), CMA_EINVAL);
    assert_int_equal(board.nlive, 1);
    segments[4].nbytes--;
    assert_int_equal(cma_dma_unmap_list(&device, segments, 8, CMA_FROM_DEVICE, 0), CMA_ENOENT);
    assert_int_equal(board.nlive, 0);
    assert_int_equal(cma_dma_unmap_list(&device, segments, 0, CMA_FROM_DEVICE, 0), CMA_EINVAL);
    assert_int_equal(cma_dma_sync_list_for_cpu(&device, segments, 0, CMA_FROM_DEVICE), CMA_EINVAL);
    assert_int_equal(cma_dma_sync_list_for_device(&device, segments, 0, CMA_FROM_DEVICE),
                     CMA_EINVAL);
}

/* A bounced piece is not merged with what lies behind it in memory, nor with the next bounced. */
static void test_bounced_do_not_merge(void **state)
{
    static const struct cma_piece pieces[] = {{RAM, 0x1000}, {RAM + 0x1000, 0x1000}};
    struct cma_device device;

    (void)state;
    board_create(true);
    device_with(&device, 0xffffff, 0, 0, 0);
    assert_int_equal(map(&device, pieces, 2, MAX, CMA_TO_DEVICE, 0), 0);
    assert_int_equal(nsegments, 2);
    expect(0, POOL, 0x1000, 0, 0);
    expect(1, POOL + 0x1000, 0x1000, 1, 0);
    assert_int_equal(cma_dma_unmap_list(&device, segments, 2, CMA_TO_DEVICE, 0), 0);
    assert_int_equal(board.nlive, 0);
}

/* Nor with memory that lies right before the pool, or right behind it. */
static void test_bounced_beside_the_pool(void **state)
{
    static const struct cma_piece below[] = {{POOL - 0x1000, 0x1000}, {RAM + 8, 0x1000}};
    static const struct cma_piece above[] = {{RAM + 8, 0x1000}, {POOL + POOL_NBYTES, 0x1000}};
    struct cma_device device;

    (void)state;
    board_create(true);
    device_with(&device, ALL, 0, 0, 0);
    assert_int_equal(map(&device, below, 2, MAX, CMA_FROM_DEVICE, 0), 0);
    assert_int_equal(nsegments, 2);
    expect(1, POOL, 0x1000, 1, 0);
    assert_int_equal(cma_dma_unmap_list(&device, segments, 2, CMA_FROM_DEVICE, 0), 0);
    board.next = POOL_NBYTES - 0x1000;
    assert_int_equal(map(&device, above, 2, MAX, CMA_FROM_DEVICE, 0), 0);
    assert_int_equal(nsegments, 2);
    expect(0, POOL + POOL_NBYTES - 0x1000, 0x1000, 0, 0);
    assert_int_equal(cma_dma_unmap_list(&device, segments, 2, CMA_FROM_DEVICE, 0), 0);
    assert_int_equal(board.nlive, 0);
}

static void test_all_or_nothing(void **state)
{
    struct cma_piece pieces[] = {{RAM, 0x1000},
                                 {RAM + 0x1008, 0x1000},
                                 {RAM + 0x3000, 0x1000},
                                 {RAM + 0x5008, 0x1000},
                                 {RAM + 0x7008, 0x100}};
    struct cma_device device;

    (void)state;
    /* The pool is full at the third bounced piece. */
    board_create(true);
    device_with(&device, ALL, 0x600, 0, 0);
    board.full_after = 2;
    assert_int_equal(map(&device, pieces, 5, MAX, CMA_BIDIRECTIONAL, 0), CMA_ENOMEM);
    assert_int_equal(nsegments, 0xeeee);
    assert_int_equal(board.nlive, 0);
    assert_null(strstr(board.log, "out"));
    assert_null(strstr(board.log, "clean"));
    /* Too few segments, wherever the last one falls. */
    for (uint32_t max = 0; max < 13; max++) {
        board_create(true);
        assert_int_equal(map(&device, pieces, 5, max, CMA_BIDIRECTIONAL, 0), CMA_ENOSPC);
        assert_int_equal(nsegments, 13);
        assert_int_equal(board.nlive, 0);
        assert_null(strstr(board.log, "out"));
    }
    assert_int_equal(map(&device, pieces, 5, 13, CMA_BIDIRECTIONAL, 0), 0);
    assert_int_equal(nsegments, 13);
    /* One that can't be mapped at all: nothing is even bounced. */
    board_create(true);
    pieces[4].nbytes = 0;
    assert_int_equal(map(&device, pieces, 5, MAX, CMA_BIDIRECTIONAL, 0), CMA_EINVAL);
    pieces[4].nbytes = POOL_NBYTES + 1;
    assert_int_equal(map(&device, pieces, 5, MAX, CMA_BIDIRECTIONAL, 0), CMA_ERANGE);
    pieces[4].paddr = ALL;
    assert_int_equal(map(&device, pieces, 5, MAX, CMA_BIDIRECTIONAL, 0), CMA_EOVERFLOW);
    assert_int_equal(map(&device, pieces, 4, MAX, CMA_BIDIRECTIONAL, CMA_MAP_NO_BOUNCE),
                     CMA_EINVAL);
    assert_int_equal(map(&device, pieces, 1, MAX, CMA_BIDIRECTIONAL, CMA_MAP_COHERENT),
                     CMA_EOPNOTSUPP);
    assert_int_equal(map(&device, pieces, 0, MAX, CMA_BIDIRECTIONAL, 0), CMA_EINVAL);
    assert_int_equal(map(&device, pieces, 4, MAX, (enum cma_direction)5, 0), CMA_EINVAL);
    assert_int_equal(map(&device, pieces, 4, MAX, CMA_BIDIRECTIONAL, 1u << 30), CMA_EINVAL);
    assert_log("");
}

/* Where bounced pieces are cut depends on where their slots are. */
static void test_bounced_at_boundaries(void **state)
{
    static const struct cma_piece pieces[] = {{RAM, 0x1800}, {RAM, 0x1800}, {RAM, 0x1000}};
    struct cma_device device;

    (void)state;
    board_create(true);
    device_with(&device, 0xffffff, 0, 0x2000, 0);
    assert_int_equal(map(&device, pieces, 3, MAX, CMA_TO_DEVICE, 0), 0);
    assert_int_equal(nsegments, 3);
    assert_int_equal(cma_dma_unmap_list(&device, segments, 3, CMA_TO_DEVICE, 0), 0);
    board.next = 0x1000;
    assert_int_equal(map(&device, pieces, 3, MAX, CMA_TO_DEVICE, 0), 0);
    assert_int_equal(nsegments, 5);
    expect(0, POOL + 0x1000, 0x1000, 0, 0);
    expect(1, POOL + 0x2000, 0x800, 0, 0x1000);
    assert_int_equal(cma_dma_unmap_list(&device, segments, 5, CMA_TO_DEVICE, 0), 0);
    /* So the count of what it would take is that of the worst case: 2 for each, as 4 KiB can cross
     * a boundary too. */
    board.next = 0x1000;
    assert_int_equal(map(&device, pieces, 3, 4, CMA_TO_DEVICE, 0), CMA_ENOSPC);
    assert_int_equal(nsegments, 6);
    assert_int_equal(board.nlive, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge),
        cmocka_unit_test(test_merge_for_the_device),
        cmocka_unit_test(test_cut),
        cmocka_unit_test(test_bounced),
        cmocka_unit_test(test_bounced_do_not_merge),
        cmocka_unit_test(test_bounced_beside_the_pool),
        cmocka_unit_test(test_all_or_nothing),
        cmocka_unit_test(test_bounced_at_boundaries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
