/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bounce_board.h - memory behind a cache that does nothing by itself
 *
 * What the CPU writes stays in the cache until it is cleaned; what a device writes is not seen
 * until the line is dropped. So every clean or invalidate that is missing shows, in each run. A
 * pool lies in the middle of memory; the frame table knows nothing, so all of it is reserved.
 */
#ifndef TEST_BOUNCE_BOARD_H
#define TEST_BOUNCE_BOARD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <cma/bounce.h>

#include "../../src/dma/device.h"

#define LINE 32u
#define RAM UINT64_C(0x80000000)

enum bounce_line { LINE_ABSENT = 0, LINE_CLEAN, LINE_DIRTY };

struct bounce_board {
    struct cma_port port;
    struct cma_frames frames;
    struct cma_dma dma;
    struct cma_bounce pool;
    void *storage;
    uint64_t nbytes;      /* of memory, from RAM on */
    uint8_t *ram, *cache; /* what devices see; what the CPU sees, where a line is present */
    uint8_t *lines;       /* enum bounce_line */
    bool locked;
    uint64_t copied, zeroed;
    void (*during)(struct bounce_board *board); /* inside copy and zero */
};

static uint64_t board_at(struct bounce_board *board, cma_paddr_t paddr, uint64_t nbytes)
{
    assert_true(paddr >= RAM && paddr - RAM < board->nbytes);
    assert_true(nbytes <= board->nbytes - (paddr - RAM));
    return paddr - RAM;
}

/* One byte of the CPU's: its line is brought in. */
static uint8_t *board_cpu(struct bounce_board *board, uint64_t at, bool write)
{
    uint64_t line = at / LINE;

    if (board->lines[line] == LINE_ABSENT) {
        memcpy(board->cache + line * LINE, board->ram + line * LINE, LINE);
        board->lines[line] = LINE_CLEAN;
    }
    if (write) {
        board->lines[line] = LINE_DIRTY;
    }
    return board->cache + at;
}

static void board_cpu_write(struct bounce_board *board, cma_paddr_t paddr, const uint8_t *from,
                            uint64_t nbytes)
{
    uint64_t at = board_at(board, paddr, nbytes);

    for (uint64_t i = 0; i < nbytes; i++) {
        *board_cpu(board, at + i, true) = from[i];
    }
}

static void board_cpu_read(struct bounce_board *board, cma_paddr_t paddr, uint8_t *to,
                           uint64_t nbytes)
{
    uint64_t at = board_at(board, paddr, nbytes);

    for (uint64_t i = 0; i < nbytes; i++) {
        to[i] = *board_cpu(board, at + i, false);
    }
}

static void board_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    struct bounce_board *board = ctx;
    uint64_t at = board_at(board, from, nbytes);

    assert_false(board->locked);
    assert_true(nbytes != 0);
    for (uint64_t i = 0; i < nbytes; i++) {
        uint8_t byte = *board_cpu(board, at + i, false);

        board_cpu_write(board, to + i, &byte, 1);
    }
    board->copied += nbytes;
    if (board->during != NULL) {
        board->during(board);
    }
}

static void board_zero(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    struct bounce_board *board = ctx;
    const uint8_t zero = 0;

    assert_false(board->locked);
    for (uint64_t i = 0; i < nbytes; i++) {
        board_cpu_write(board, paddr + i, &zero, 1);
    }
    board->zeroed += nbytes;
    if (board->during != NULL) {
        board->during(board);
    }
}

static void board_clean_line(struct bounce_board *board, uint64_t line)
{
    if (board->lines[line] == LINE_DIRTY) {
        memcpy(board->ram + line * LINE, board->cache + line * LINE, LINE);
        board->lines[line] = LINE_CLEAN;
    }
}

static void board_clean(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    struct bounce_board *board = ctx;
    uint64_t at = board_at(board, paddr, nbytes);

    assert_false(board->locked);
    for (uint64_t line = at / LINE; line <= (at + nbytes - 1) / LINE; line++) {
        board_clean_line(board, line);
    }
}

static void board_invalidate(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    struct bounce_board *board = ctx;
    uint64_t at = board_at(board, paddr, nbytes);

    assert_false(board->locked);
    for (uint64_t line = at / LINE; line <= (at + nbytes - 1) / LINE; line++) {
        if (line * LINE < at || line * LINE + LINE > at + nbytes) {
            board_clean_line(board, line);
        }
        board->lines[line] = LINE_ABSENT;
    }
}

static void board_barrier(void *ctx)
{
    (void)ctx;
}

static uintptr_t board_lock(void *ctx, struct cma_lock *lock)
{
    struct bounce_board *board = ctx;

    assert_false(board->locked);
    (void)lock;
    board->locked = true;
    return 5;
}

static void board_unlock(void *ctx, struct cma_lock *lock, uintptr_t state)
{
    struct bounce_board *board = ctx;

    (void)lock;
    assert_true(board->locked);
    assert_int_equal(state, 5);
    board->locked = false;
}

/* Memory full of rubbish, and a pool in it that begins so many bytes behind RAM. */
static void board_create(struct bounce_board *board, uint32_t page_shift, uint64_t nbytes,
                         uint64_t pool_at, uint64_t pool_nbytes, uint32_t slot_nbytes)
{
    struct cma_bounce_config config = {.name = "pool",
                                       .nbytes = pool_nbytes,
                                       .slot_nbytes = slot_nbytes,
                                       .owner = 7,
                                       .paddr = RAM + pool_at};
    uint64_t storage_nbytes;

    memset(board, 0, sizeof(*board));
    board->nbytes = nbytes;
    board->ram = malloc(nbytes);
    board->cache = malloc(nbytes);
    board->lines = calloc(1, nbytes / LINE + 1);
    memset(board->ram, 0xdb, nbytes);
    board->port = (struct cma_port){.ctx = board,
                                    .page_shift = page_shift,
                                    .cache_line_nbytes = LINE,
                                    .clean = board_clean,
                                    .invalidate = board_invalidate,
                                    .dma_barrier = board_barrier,
                                    .copy = board_copy,
                                    .zero = board_zero,
                                    .lock = board_lock,
                                    .unlock = board_unlock};
    board->frames.port = &board->port;
    assert_int_equal(cma_dma_init(&board->dma, &board->frames, NULL, NULL), 0);
    storage_nbytes = cma_bounce_size(&board->port, &config);
    assert_true(storage_nbytes != 0);
    /* Exactly as much as asked for, so that the sanitizer sees a byte too far. */
    board->storage = malloc(storage_nbytes);
    assert_int_equal(
        cma_bounce_init(&board->pool, &board->dma, &config, board->storage, storage_nbytes, NULL),
        0);
    cma_bounce_use(&board->dma, &board->pool);
}

static void board_destroy(struct bounce_board *board)
{
    assert_true(cma_bounce_check(&board->pool));
    assert_int_equal(cma_bounce_destroy(&board->pool), 0);
    assert_null(board->dma.bounce);
    free(board->storage);
    free(board->ram);
    free(board->cache);
    free(board->lines);
}

static void board_device(struct bounce_board *board, struct cma_device *device, uint32_t owner,
                         uint32_t flags, uint64_t min_align_nbytes,
                         const struct cma_bus_window *window)
{
    struct cma_device_config config = {.name = "device",
                                       .owner = owner,
                                       .mask = UINT64_MAX,
                                       .coherent_mask = UINT64_MAX,
                                       .flags = flags,
                                       .min_align_nbytes = min_align_nbytes,
                                       .windows = window,
                                       .nwindows = window != NULL};

    assert_int_equal(cma_device_init(device, &board->dma, &config), 0);
}

/* Where a device that is not bounced by translation finds its copy. */
static uint8_t *board_device_at(struct bounce_board *board, const struct cma_device *device,
                                cma_daddr_t daddr, uint64_t nbytes)
{
    cma_paddr_t paddr;

    assert_int_equal(cma_device_from_bus(device, daddr, nbytes, &paddr), 0);
    assert_true(paddr >= board->pool.paddr);
    assert_true(paddr - board->pool.paddr < board->pool.config.nbytes);
    return board->ram + board_at(board, paddr, nbytes);
}

/* Is the pool zero, for devices and for the CPU? */
static bool board_pool_is_zero(struct bounce_board *board)
{
    uint64_t at = board->pool.paddr - RAM;

    for (uint64_t i = at; i < at + board->pool.config.nbytes; i++) {
        if (board->ram[i] != 0 || *board_cpu(board, i, false) != 0) {
            return false;
        }
    }
    return true;
}

static uint64_t board_used(struct bounce_board *board)
{
    struct cma_bounce_stats stats;

    cma_bounce_stats(&board->pool, &stats);
    return stats.used_nbytes;
}

#endif
