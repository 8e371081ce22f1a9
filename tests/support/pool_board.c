/* SPDX-License-Identifier: BSD-2-Clause */
/* pool_board.c - see pool_board.h */
#include "pool_board.h"

#include <sched.h>
#include <string.h>

_Thread_local uint32_t pool_board_cpu;

static void *board_vaddr(void *ctx, cma_paddr_t paddr)
{
    struct pool_board *board = ctx;

    return board->bytes + (paddr - POOL_BOARD_BASE);
}

static void board_barrier(void *ctx)
{
    (void)ctx;
    /* The thread sanitizer has no fences; nothing here is ordered by one. */
}

static void board_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    memcpy(board_vaddr(ctx, to), board_vaddr(ctx, from), nbytes);
}

static void board_zero(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    memset(board_vaddr(ctx, paddr), 0, nbytes);
}

static uintptr_t board_lock(void *ctx, struct cma_lock *lock)
{
    (void)ctx;
    while (__atomic_exchange_n(&lock->word[0], 1, __ATOMIC_ACQUIRE) != 0) {
        sched_yield();
    }
    return 7;
}

static void board_unlock(void *ctx, struct cma_lock *lock, uintptr_t state)
{
    (void)ctx;
    POOL_REQUIRE(state == 7 && __atomic_load_n(&lock->word[0], __ATOMIC_RELAXED) == 1,
                 "a lock is let go that nobody has");
    __atomic_store_n(&lock->word[0], 0, __ATOMIC_RELEASE);
}

static uint32_t board_cpu(void *ctx)
{
    struct pool_board *board = ctx;

    if (board->on_cpu != NULL) {
        board->on_cpu();
    }
    return pool_board_cpu;
}

void pool_board_make(struct pool_board *board)
{
    struct cma_range range = {.base = POOL_BOARD_BASE,
                              .nbytes = (uint64_t)POOL_BOARD_NPAGES * POOL_BOARD_PAGE,
                              .kind = CMA_RANGE_AREA,
                              .flags = CMA_RANGE_DEFAULT,
                              .name = "pools"};
    struct cma_system_config config = {.zones = &board->zone, .nzones = 1, .block_order = 6};
    struct cma_device_config device = {
        .name = "dev", .owner = 5, .mask = UINT32_MAX, .coherent_mask = UINT32_MAX};
    uint64_t nbytes;

    memset(board, 0, sizeof(*board));
    board->port = (struct cma_port){.ctx = board,
                                    .page_shift = 12,
                                    .cache_line_nbytes = 64,
                                    .vaddr = board_vaddr,
                                    .dma_barrier = board_barrier,
                                    .copy = board_copy,
                                    .zero = board_zero,
                                    .lock = board_lock,
                                    .unlock = board_unlock,
                                    .cpu = board_cpu};
    board->bytes = aligned_alloc(POOL_BOARD_PAGE, range.nbytes);
    POOL_REQUIRE(board->bytes != NULL, "no memory");
    POOL_REQUIRE(cma_map_init(&board->map, board->memory, 2, board->reserved, 2) == 0, "map");
    POOL_REQUIRE(cma_map_add_memory(&board->map, range.base, range.nbytes, NULL) == 0, "memory");
    POOL_REQUIRE(cma_map_reserve(&board->map, &range, NULL) == 0, "area");
    board->zone.last = CMA_PADDR_MAX;
    config.port = &board->port;
    nbytes = cma_system_size(&board->map, &config);
    board->storage = aligned_alloc(64, (nbytes + 63) / 64 * 64);
    POOL_REQUIRE(cma_system_init(&board->system, &board->map, &config, board->storage, nbytes) == 0,
                 "system");
    board->window = (struct cma_bus_window){
        .daddr = range.base - POOL_BOARD_OFFSET, .paddr = range.base, .nbytes = range.nbytes};
    device.windows = &board->window;
    device.nwindows = 1;
    POOL_REQUIRE(cma_device_init(&board->device, &board->system.dma, &device) == 0, "device");
}

uint64_t pool_board_claimed(struct pool_board *board)
{
    struct cma_area_stats stats;

    cma_area_stats(&board->system.areas[0], &stats);
    return stats.claimed_npages;
}

void pool_board_end(struct pool_board *board)
{
    struct cma_violation violation;

    POOL_REQUIRE(cma_system_check(&board->system, &violation), "%s", violation.what);
    POOL_REQUIRE(pool_board_claimed(board) == 0, "pages were not given back");
    free(board->storage);
    free(board->bytes);
}

void *pool_board_pool(struct pool_board *board, struct cma_dma_pool *pool,
                      const struct cma_dma_pool_config *config, uint32_t ncpus)
{
    uint64_t nbytes = cma_dma_pool_size(&board->device, config);
    uint64_t caches = (uint64_t)ncpus * sizeof(struct cma_dma_pool_cache);
    uint8_t *storage = aligned_alloc(64, (nbytes + caches + 127) / 64 * 64);

    POOL_REQUIRE(nbytes != 0 && storage != NULL, "malformed");
    /* The caches first, for their alignment. */
    POOL_REQUIRE(cma_dma_pool_init(pool, &board->device, config, storage + caches, nbytes) == 0,
                 "init");
    if (ncpus != 0) {
        POOL_REQUIRE(
            cma_dma_pool_add_caches(pool, (struct cma_dma_pool_cache *)(void *)storage, ncpus) == 0,
            "caches");
    }
    return storage;
}
