/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool_board.h - a board whose CPU addresses are real, and a device that snoops, for tests of pools
 *
 * 32 MiB, all of it an area; the device sees it through a window with an offset, so that paddr,
 * daddr and vaddr are three different numbers. As many processors as threads say they run on.
 */
#ifndef POOL_BOARD_H
#define POOL_BOARD_H

#include <cma/cma.h>

#include <stdio.h>
#include <stdlib.h>

#define POOL_BOARD_BASE UINT64_C(0x80000000)
#define POOL_BOARD_OFFSET UINT64_C(0x40000000) /* paddr less daddr */
#define POOL_BOARD_NPAGES 8192u
#define POOL_BOARD_PAGE 4096u

struct pool_board {
    struct cma_port port;
    struct cma_range memory[2], reserved[2];
    struct cma_map map;
    struct cma_zone zone;
    struct cma_system system;
    struct cma_bus_window window;
    struct cma_device device;
    uint8_t *bytes;
    void *storage;
    void (*on_cpu)(void); /* called by the cpu hook; NULL: nothing */
};

/* On which processor this thread says that it runs. */
extern _Thread_local uint32_t pool_board_cpu;

void pool_board_make(struct pool_board *board);
void pool_board_end(struct pool_board *board);
/* Pages of the area that the device has. */
uint64_t pool_board_claimed(struct pool_board *board);

/* A pool on the board, with ncpus caches (0: none), and its storage, to be freed by the caller. */
void *pool_board_pool(struct pool_board *board, struct cma_dma_pool *pool,
                      const struct cma_dma_pool_config *config, uint32_t ncpus);

#define POOL_REQUIRE(condition, ...)                                        \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, __VA_ARGS__);                                   \
            fputc('\n', stderr);                                            \
            abort();                                                        \
        }                                                                   \
    } while (0)

#endif
