/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_bounce_area.c - bounce pools out of an area and out of a reserved range, on a simulated
 * board with caches: a device with 24 address lines, that does not snoop, transfers to memory
 * beyond them
 *
 * The board: 32 MiB from 4 MiB on. 1 MiB of area at 8 MiB; a range that is reserved at 12 MiB.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <cma/cma.h>

#include "../../ports/sim/sim.h"

#define PAGE 4096u
#define MIB (UINT64_C(1) << 20)
#define BASE (4 * MIB)
#define AREA (8 * MIB)
#define RESERVED (12 * MIB)
#define FAR (30 * MIB)
#define MASK UINT64_C(0xffffff)

struct board {
    struct sim *sim;
    struct cma_range memory[2], reserved[4];
    struct cma_map map;
    struct cma_zone zones[1];
    struct cma_system system;
    void *storage, *slots;
    uint64_t slots_nbytes;
};

static void board_create(struct board *board, uint64_t seed)
{
    struct sim_memory memory = {BASE, 32 * MIB};
    struct sim_config config = {
        .seed = seed, .memory = &memory, .nmemory = 1, .cache_nbytes = 65536};
    struct cma_range area = {.base = AREA,
                             .nbytes = MIB,
                             .kind = CMA_RANGE_AREA,
                             .flags = CMA_RANGE_DEFAULT,
                             .name = "area"};
    struct cma_range pool = {
        .base = RESERVED, .nbytes = MIB, .kind = CMA_RANGE_RESTRICTED_POOL, .name = "restricted"};
    struct cma_system_config system = {.block_order = 6};
    uint64_t nbytes;

    memset(board, 0, sizeof(*board));
    board->sim = sim_create(&config);
    assert_non_null(board->sim);
    assert_int_equal(cma_map_init(&board->map, board->memory, 2, board->reserved, 4), 0);
    assert_int_equal(cma_map_add_memory(&board->map, memory.base, memory.nbytes, NULL), 0);
    assert_int_equal(cma_map_reserve(&board->map, &area, NULL), 0);
    assert_int_equal(cma_map_reserve(&board->map, &pool, NULL), 0);
    board->zones[0].last = CMA_PADDR_MAX;
    system.port = sim_port(board->sim);
    system.zones = board->zones;
    system.nzones = 1;
    nbytes = cma_system_size(&board->map, &system);
    board->storage = malloc(nbytes);
    assert_int_equal(cma_system_init(&board->system, &board->map, &system, board->storage, nbytes),
                     0);
    board->slots_nbytes = 1 << 20;
    board->slots = malloc(board->slots_nbytes);
}

static void board_destroy(struct board *board)
{
    sim_destroy(board->sim);
    free(board->storage);
    free(board->slots);
}

static int board_pool(struct board *board, struct cma_bounce *bounce,
                      const struct cma_bounce_config *config, struct cma_refusal *refusal)
{
    return cma_bounce_init(bounce, &board->system.dma, config, board->slots, board->slots_nbytes,
                           refusal);
}

/* Frames of the area that somebody has. */
static uint64_t board_claimed(struct board *board)
{
    struct cma_area_stats stats;

    cma_area_stats(board->system.default_area, &stats);
    return stats.claimed_npages;
}

/* Data goes out and comes back through the pool, whatever the cache does meanwhile. */
static void transfer(struct board *board, struct cma_device *device, uint64_t step)
{
    struct sim *sim = board->sim;
    enum cma_direction direction = (enum cma_direction)(step % 3);
    uint64_t nbytes = 1 + step * 397 % 9000;
    cma_paddr_t paddr = FAR + step * 97 % 5000;
    uint8_t out[9001], seen[9001];
    cma_daddr_t daddr;

    for (uint64_t i = 0; i < nbytes; i++) {
        out[i] = (uint8_t)(step + i * 3);
    }
    sim_write_paddr(sim, paddr, out, nbytes);
    assert_int_equal(cma_dma_map(device, paddr, nbytes, direction, 0, &daddr, NULL), 0);
    assert_true(daddr + nbytes - 1 <= MASK);
    sim_evict(sim, 50);
    sim_dev_read(sim, daddr, seen, nbytes, false);
    assert_memory_equal(seen, out, nbytes);
    if (direction != CMA_TO_DEVICE) {
        /* Half of it, at the end. */
        for (uint64_t i = nbytes / 2; i < nbytes; i++) {
            out[i] = (uint8_t)(out[i] ^ 0x5a);
        }
        sim_dev_write(sim, daddr + nbytes / 2, out + nbytes / 2, nbytes - nbytes / 2, false);
    }
    sim_evict(sim, 50);
    assert_int_equal(cma_dma_unmap(device, daddr, nbytes, direction, 0), 0);
    sim_read_paddr(sim, paddr, seen, nbytes);
    assert_memory_equal(seen, out, nbytes);
    /* Memory itself: nothing stays where the device can look. */
    sim_peek(sim, daddr, seen, nbytes);
    for (uint64_t i = 0; i < nbytes; i++) {
        assert_int_equal(seen[i], 0);
    }
}

static void test_out_of_an_area(void **state)
{
    struct board board;
    struct cma_bounce bounce;
    struct cma_bounce_config config = {.name = "low", .nbytes = MIB / 2, .owner = 7};
    struct cma_device device;
    struct cma_device_config narrow = {.name = "narrow", .owner = 3, .mask = MASK};
    struct cma_refusal refusal = {0};
    cma_daddr_t daddr;
    uint64_t before;

    (void)state;
    board_create(&board, 5);
    before = board_claimed(&board);
    config.area = board.system.default_area;
    config.paddr_last = AREA + MIB / 4;
    assert_true(board_pool(&board, &bounce, &config, &refusal) < 0);
    assert_int_equal(refusal.reason, CMA_REASON_UNREACHABLE);
    assert_int_equal(board_claimed(&board), before);
    config.paddr_last = MASK;
    assert_int_equal(board_pool(&board, &bounce, &config, NULL), 0);
    assert_int_equal(board_claimed(&board), before + MIB / 2 / PAGE);

    assert_int_equal(cma_device_init(&device, &board.system.dma, &narrow), 0);
    assert_int_equal(cma_dma_map(&device, FAR, 100, CMA_TO_DEVICE, 0, &daddr, &refusal),
                     CMA_ERANGE);
    cma_bounce_use(&board.system.dma, &bounce);
    for (uint64_t step = 0; step < 300; step++) {
        transfer(&board, &device, step);
    }
    assert_int_equal(cma_dma_map(&device, FAR, 100, CMA_TO_DEVICE, 0, &daddr, NULL), 0);
    assert_int_equal(cma_bounce_destroy(&bounce), CMA_EBUSY);
    assert_int_equal(cma_dma_unmap(&device, daddr, 100, CMA_TO_DEVICE, 0), 0);
    assert_int_equal(cma_bounce_destroy(&bounce), 0);
    assert_int_equal(board_claimed(&board), before);
    assert_int_equal(cma_dma_map(&device, FAR, 100, CMA_TO_DEVICE, 0, &daddr, NULL), CMA_ERANGE);
    board_destroy(&board);
}

/* H6: memory that the table has for others is no pool, not a page of it; a reserved range is. */
static void test_out_of_a_range(void **state)
{
    struct board board;
    struct cma_bounce bounce;
    struct cma_bounce_config config = {
        .name = "restricted", .nbytes = MIB, .owner = 7, .paddr = RESERVED - PAGE};
    struct cma_device device;
    struct cma_device_config restricted = {.name = "restricted",
                                           .owner = 3,
                                           .mask = MASK,
                                           .flags = CMA_DEVICE_RESTRICTED,
                                           .bounce = &bounce};
    struct cma_refusal refusal = {0};

    (void)state;
    board_create(&board, 6);
    assert_int_equal(board_pool(&board, &bounce, &config, &refusal), CMA_EEXIST);
    assert_int_equal(refusal.pfn, RESERVED / PAGE - 1);
    config.paddr = RESERVED + PAGE;
    assert_int_equal(board_pool(&board, &bounce, &config, &refusal), CMA_EEXIST);
    assert_int_equal(refusal.pfn, (RESERVED + MIB) / PAGE);
    config.paddr = AREA;
    assert_int_equal(board_pool(&board, &bounce, &config, &refusal), CMA_EEXIST);
    config.paddr = RESERVED;
    assert_int_equal(board_pool(&board, &bounce, &config, &refusal), 0);
    assert_int_equal(cma_device_init(&device, &board.system.dma, &restricted), 0);
    for (uint64_t step = 0; step < 100; step++) {
        transfer(&board, &device, step);
    }
    assert_int_equal(cma_bounce_destroy(&bounce), 0);
    board_destroy(&board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_out_of_an_area),
        cmocka_unit_test(test_out_of_a_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
