/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * driver_board.h - a simulated machine with four devices and somebody who looks at their drivers
 *
 * 16 MiB from 0x80000000. At the end 1 MiB of a bounce pool's, before it a default area of 2 MiB.
 * The devices: `nic` reaches everything and doesn't snoop; `cam` snoops; `dma` has segments of 4
 * KiB that cross no 64 KiB, and sees memory at another address; `old` is below a line that nothing
 * but the bounce pool is below.
 */
#ifndef SUPPORT_DRIVER_BOARD_H
#define SUPPORT_DRIVER_BOARD_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cma/bounce.h>
#include <cma/system.h>

#include "../../ports/sim/driver.h"

#define PAGE 4096u
#define BASE UINT64_C(0x80000000)
#define NPAGES 4096u
#define POOL_NPAGES 256u
#define AREA_NPAGES 512u
#define AREA_FIRST 3584u
#define FAR UINT64_C(0x10000000) /* where `dma` sees the machine's memory */

/* A device: what the driver knows, and the machine that does it. */
struct dev {
    struct cma_device cma;
    struct simdev sim;
};

/* Ordinary memory of a driver's. */
struct mem {
    uint8_t *vaddr;
    cma_paddr_t paddr;
    uint32_t npages;
};

struct board {
    struct sim *sim;
    struct cma_range memory[2], reserved[4];
    struct cma_map map;
    struct cma_system system;
    struct cma_bounce bounce;
    struct cma_misuse misuse;
    struct cma_mover mover;
    uint32_t mover_number;
    struct cma_misuse_report first; /* report */
    struct dev nic, cam, dma, old;
    void *storage, *pool_storage, *misuse_storage;
    bool loud;  /* reports are printed */
    bool quiet; /* they are counted only: several threads */
};

static struct board board;

#define board_need(condition) ((condition) ? (void)0 : board_fail(__LINE__))

static inline void board_fail(int line)
{
    fprintf(stderr, "driver_board.h:%d: FAILED\n", line);
    abort();
}

static inline void board_report(void *ctx, const struct cma_misuse_report *report)
{
    char text[256];

    (void)ctx;
    if (board.quiet)
        return;
    if (board.first.kind == CMA_MISUSE_NONE)
        board.first = *report;
    cma_misuse_sentence(report, text, sizeof(text));
    if (board.loud)
        fprintf(stderr, "%s\n", text);
}

/* A stack lies in the first 16 pages of memory. */
static inline bool board_forbidden(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx;
    (void)nbytes;
    return paddr >= BASE && paddr < BASE + 16 * PAGE;
}

static inline void board_reserve(const char *name, enum cma_range_kind kind, uint32_t flags,
                                 uint32_t first, uint32_t npages)
{
    struct cma_range range = {.base = BASE + (uint64_t)first * PAGE,
                              .nbytes = (uint64_t)npages * PAGE,
                              .kind = kind,
                              .flags = flags,
                              .name = name};

    board_need(cma_map_reserve(&board.map, &range, NULL) == 0);
}

static inline void board_device(struct dev *dev, uint32_t owner,
                                const struct cma_device_config *config)
{
    struct cma_device_config own = *config;
    struct simdev_config sim = {.name = config->name,
                                .windows = config->windows,
                                .nwindows = config->nwindows,
                                .daddr_last = config->mask == UINT64_MAX ? 0 : config->mask,
                                .snoops = (config->flags & CMA_DEVICE_COHERENT) != 0,
                                .tag = &dev->cma};

    own.owner = owner;
    board_need(cma_device_init(&dev->cma, &board.system.dma, &own) == 0);
    simdev_init(&dev->sim, board.sim, &sim);
}

static inline void board_devices(void)
{
    static const struct cma_bus_window far = {.daddr = FAR, .paddr = BASE, .nbytes = NPAGES * PAGE};
    /* The pool is at address 0 of the old one's bus. */
    static const struct cma_bus_window low = {
        .daddr = 0, .paddr = BASE + (NPAGES - POOL_NPAGES) * PAGE, .nbytes = POOL_NPAGES * PAGE};
    struct cma_device_config config = {
        .name = "nic", .mask = UINT64_MAX, .coherent_mask = UINT64_MAX};

    board_device(&board.nic, 11, &config);
    config.name = "cam";
    config.flags = CMA_DEVICE_COHERENT;
    board_device(&board.cam, 12, &config);
    config.name = "dma";
    config.flags = 0;
    config.windows = &far;
    config.nwindows = 1;
    config.segment_nbytes_max = PAGE;
    config.segment_boundary_nbytes = 65536;
    board_device(&board.dma, 13, &config);
    config = (struct cma_device_config){.name = "old",
                                        .mask = POOL_NPAGES * PAGE - 1,
                                        .windows = &low,
                                        .nwindows = 1,
                                        .bounce = &board.bounce};
    board_device(&board.old, 14, &config);
}

static inline void board_bounce(void)
{
    struct cma_bounce_config config = {.name = "bounce",
                                       .nbytes = POOL_NPAGES * PAGE,
                                       .owner = 7,
                                       .paddr = BASE + (NPAGES - POOL_NPAGES) * PAGE};
    uint64_t nbytes = cma_bounce_size(sim_port(board.sim), &config);

    board.pool_storage = aligned_alloc(64, (nbytes + 63) / 64 * 64);
    board_need(board.pool_storage != NULL);
    board_need(cma_bounce_init(&board.bounce, &board.system.dma, &config, board.pool_storage,
                               nbytes, NULL) == 0);
    cma_bounce_use(&board.system.dma, &board.bounce);
}

static inline void board_misuse(uint32_t nentries, uint32_t nlines, uint32_t flags)
{
    struct cma_misuse_config config = {.report = board_report,
                                       .forbidden = board_forbidden,
                                       .nentries = nentries,
                                       .nlines = nlines,
                                       .flags = flags};
    uint64_t nbytes = cma_misuse_size(&config);

    board.misuse_storage = aligned_alloc(64, (nbytes + 63) / 64 * 64);
    board_need(board.misuse_storage != NULL);
    board_need(cma_misuse_init(&board.misuse, &board.system.dma, &config, board.misuse_storage,
                               nbytes) == 0);
    driver_watch(board.sim, &board.misuse);
}

/* A mover whose pages stay where they are, as it happens. */
static inline int stiff_freeze(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    (void)ctx;
    (void)pfn;
    (void)cookie;
    return CMA_EBUSY;
}

static inline void stiff_commit(void *ctx, cma_pfn_t from, cma_pfn_t to, uint32_t cookie)
{
    (void)ctx;
    (void)from;
    (void)to;
    (void)cookie;
}

static inline void stiff_abort(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    (void)ctx;
    (void)pfn;
    (void)cookie;
}

static inline void board_create_on(enum sim_scheduler scheduler, uint32_t nentries, uint32_t nlines,
                                   uint32_t flags)
{
    struct sim_memory memory = {BASE, (uint64_t)NPAGES * PAGE};
    struct sim_config config = {
        .scheduler = scheduler, .seed = 1, .memory = &memory, .nmemory = 1, .cache_nbytes = 65536};
    struct cma_system_config system = {.block_order = 6};
    uint64_t nbytes;

    memset(&board, 0, sizeof(board));
    board.sim = sim_create(&config);
    board_need(board.sim != NULL);
    board_need(cma_map_init(&board.map, board.memory, 2, board.reserved, 4) == 0);
    board_need(cma_map_add_memory(&board.map, memory.base, memory.nbytes, NULL) == 0);
    board_reserve("default", CMA_RANGE_AREA, CMA_RANGE_DEFAULT, AREA_FIRST - AREA_NPAGES,
                  AREA_NPAGES);
    board_reserve("pool", CMA_RANGE_RESERVED, 0, NPAGES - POOL_NPAGES, POOL_NPAGES);
    system.port = sim_port(board.sim);
    nbytes = cma_system_size(&board.map, &system);
    board.storage = aligned_alloc(64, (nbytes + 63) / 64 * 64);
    board_need(cma_system_init(&board.system, &board.map, &system, board.storage, nbytes) == 0);
    board_bounce();
    board_devices();
    board.mover = (struct cma_mover){.name = "stiff",
                                     .flags = CMA_MOVER_MAY_REFUSE,
                                     .paddr_last = CMA_PADDR_MAX,
                                     .freeze = stiff_freeze,
                                     .commit = stiff_commit,
                                     .abort = stiff_abort};
    board.mover_number = (uint32_t)cma_mover_register(&board.system.frames, &board.mover);
    board_misuse(nentries, nlines, flags);
}

static inline void board_create(uint32_t nentries, uint32_t nlines, uint32_t flags)
{
    board_create_on(SIM_FIBRES, nentries, nlines, flags);
}

static inline void board_destroy(void)
{
    cma_misuse_exit(&board.misuse);
    sim_destroy(board.sim);
    free(board.storage);
    free(board.pool_storage);
    free(board.misuse_storage);
}

/* --- what drivers have ------------------------------------------------------------------ */

static inline struct mem mem_get_as(uint32_t npages, enum cma_kind kind, uint32_t mover)
{
    struct cma_pages_request request = {.npages = npages,
                                        .flags = CMA_PAGES_NO_LEND,
                                        .paddr_first = BASE + 16 * PAGE,
                                        .holder = {.kind = kind, .mover = mover, .cookie = 99}};
    struct mem mem = {.npages = npages};
    cma_pfn_t pfn;

    board_need(cma_pages_alloc(&board.system.pages, &request, &pfn, NULL) == 0);
    mem.paddr = pfn * PAGE;
    mem.vaddr = sim_port(board.sim)->vaddr(board.sim, mem.paddr);
    return mem;
}

static inline struct mem mem_get(uint32_t npages)
{
    return mem_get_as(npages, CMA_KIND_UNMOVABLE, 0);
}

static inline void mem_put(const struct mem *mem)
{
    board_need(cma_pages_free(&board.system.pages, mem->paddr / PAGE, mem->npages, 99) == 0);
}

/* The device reads or writes, up to 16 KiB. */
static inline void dev_read(struct dev *dev, cma_daddr_t daddr, uint64_t nbytes)
{
    static uint8_t bytes[4 * PAGE];

    (void)simdev_read(&dev->sim, daddr, bytes, nbytes);
}

static inline void dev_write(struct dev *dev, cma_daddr_t daddr, uint64_t nbytes)
{
    static uint8_t bytes[4 * PAGE];

    memset(bytes, 0xd5, nbytes);
    (void)simdev_write(&dev->sim, daddr, bytes, nbytes);
}

#endif
