/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handover_board.h - a simulated board for tests of who has memory mapped, and how
 *
 * 8 MiB from 0x80000000, with 1 MiB each of default area and a device's own area; the upper 2 MiB
 * have no linear mapping, and an area is there too. The port can be told to leave some pages as
 * they are when attributes change (sections), and counts.
 */
#ifndef TEST_HANDOVER_BOARD_H
#define TEST_HANDOVER_BOARD_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <cma/handover.h>
#include <cma/system.h>

#include "../../ports/sim/sim.h"
#include "../../ports/sim/simdev.h"

#define PAGE 4096u
#define BASE 0x80000000u
#define NPAGES 2048u
#define DEFAULT_FIRST 256u
#define OWN_FIRST 512u
#define LOW_FIRST 1024u /* ordinary memory */
#define HIGH_FIRST 1536u
#define HIGH_AREA_FIRST 1700u
#define AREA_NPAGES 256u
#define NSLOTS 16u
#define AT(page) (BASE + (cma_paddr_t)(page)*PAGE)

struct board {
    struct sim *sim;
    struct cma_port port;
    struct cma_range memory[2], reserved[4];
    struct cma_map map;
    struct cma_zone zones[2];
    struct cma_system system;
    struct cma_window window;
    struct cma_dma *dma;
    void *storage, *window_storage;
    cma_paddr_t section, section_last; /* whose attributes don't change */
    uint32_t nmaps, nwindow_maps;
};

static struct board board;

static void board_set_attr(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr)
{
    for (uint64_t at = 0; at < nbytes; at += PAGE) {
        if (paddr + at < board.section || paddr + at > board.section_last) {
            sim_port(board.sim)->set_attr(ctx, paddr + at, PAGE, attr);
        }
    }
}

static int board_map(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr,
                     void **vaddr)
{
    board.nmaps++;
    return sim_port(board.sim)->map(ctx, paddr, nbytes, attr, vaddr);
}

static void board_window_map(void *ctx, void *vaddr, cma_paddr_t paddr, uint64_t nbytes,
                             enum cma_attr attr)
{
    board.nwindow_maps++;
    sim_port(board.sim)->window_map(ctx, vaddr, paddr, nbytes, attr);
}

static void board_area(const char *name, uint32_t first, uint32_t flags)
{
    struct cma_range range = {.base = AT(first),
                              .nbytes = (uint64_t)AREA_NPAGES * PAGE,
                              .kind = CMA_RANGE_AREA,
                              .flags = flags,
                              .name = name};

    assert_int_equal(cma_map_reserve(&board.map, &range, NULL), 0);
}

static void board_create(uint64_t seed, uint64_t window_npages)
{
    struct sim_memory memory = {BASE, (uint64_t)NPAGES * PAGE};
    struct sim_config config = {.seed = seed,
                                .memory = &memory,
                                .nmemory = 1,
                                .linear_last = AT(HIGH_FIRST) - 1,
                                .cache_nbytes = 65536};
    struct cma_system_config system = {.block_order = 6, .nslots = NSLOTS};
    uint64_t nbytes;

    memset(&board, 0, sizeof(board));
    board.section = 1;
    board.sim = sim_create(&config);
    assert_non_null(board.sim);
    board.port = *sim_port(board.sim);
    board.port.set_attr = board_set_attr;
    board.port.map = board_map;
    board.port.window_map = board_window_map;
    assert_int_equal(cma_map_init(&board.map, board.memory, 2, board.reserved, 4), 0);
    assert_int_equal(cma_map_add_memory(&board.map, memory.base, memory.nbytes, NULL), 0);
    board_area("default", DEFAULT_FIRST, CMA_RANGE_DEFAULT);
    board_area("own", OWN_FIRST, 0);
    board_area("high", HIGH_AREA_FIRST, 0);
    board.zones[0].last = config.linear_last;
    board.zones[1].last = CMA_PADDR_MAX;
    board.zones[1].flags = CMA_ZONE_UNMAPPED;
    system.port = &board.port;
    system.zones = board.zones;
    system.nzones = 2;
    nbytes = cma_system_size(&board.map, &system);
    board.storage = aligned_alloc(64, (nbytes + 63) / 64 * 64);
    assert_int_equal(cma_system_init(&board.system, &board.map, &system, board.storage, nbytes), 0);
    assert_int_equal(board.system.nareas, 3);
    board.dma = &board.system.dma;
    if (window_npages != 0) {
        nbytes = cma_window_size(&board.port, window_npages * PAGE);
        board.window_storage = malloc(nbytes);
        assert_int_equal(cma_window_init(&board.window, board.dma, window_npages * PAGE,
                                         board.window_storage, nbytes),
                         0);
    }
}

static void board_check(void)
{
    struct cma_violation violation;
    cma_paddr_t paddr;

    if (!cma_system_check(&board.system, &violation)) {
        fail_msg("%s", violation.what);
    }
    assert_true(sim_check_aliases(board.sim, &paddr));
}

/* Everything is given back, and all that is mapped linearly is cached. */
static void board_destroy(void)
{
    struct cma_window_stats window;
    struct cma_area_stats stats;

    board_check();
    for (uint32_t i = 0; i < 3; i++) {
        cma_area_stats(&board.system.areas[i], &stats);
        assert_int_equal(stats.claimed_npages, 0);
    }
    for (uint32_t i = 0; i < HIGH_FIRST; i++) {
        enum cma_attr attr;
        cma_paddr_t paddr;

        assert_int_equal(
            board.port.lookup(board.sim, board.port.vaddr(board.sim, AT(i)), &paddr, &attr), 0);
        assert_int_equal(attr, CMA_ATTR_CACHED);
    }
    if (board.window_storage != NULL) {
        cma_window_stats(&board.window, &window);
        assert_int_equal(window.used_nbytes, 0);
        assert_int_equal(window.reserved_nbytes, 0);
        assert_int_equal(window.free_run_nbytes, window.nbytes);
    }
    sim_destroy(board.sim);
    free(board.storage);
    free(board.window_storage);
}

static uint64_t idle_npages(void)
{
    struct cma_area_stats area;
    struct cma_pages_stats pages;
    uint64_t idle = 0;

    cma_pages_stats(&board.system.pages, &pages);
    idle = pages.zone_idle_npages[0] + pages.zone_idle_npages[1];
    for (uint32_t i = 0; i < 3; i++) {
        cma_area_stats(&board.system.areas[i], &area);
        idle += area.idle_npages;
    }
    return idle;
}

static void make_device(struct cma_device *device, uint32_t owner, cma_daddr_t mask,
                        struct cma_area *area, uint32_t flags)
{
    struct cma_device_config config = {.name = "dev",
                                       .owner = owner,
                                       .mask = mask,
                                       .coherent_mask = mask,
                                       .area = area,
                                       .flags = flags};

    assert_int_equal(cma_device_init(device, board.dma, &config), 0);
}

/* Somebody's secrets, through the cache. */
static void dirty(cma_paddr_t paddr, uint64_t npages, uint8_t byte)
{
    uint8_t junk[PAGE];

    memset(junk, byte, sizeof(junk));
    for (uint64_t i = 0; i < npages; i++) {
        sim_write_paddr(board.sim, paddr + i * PAGE, junk, PAGE);
    }
}

static uint64_t count_wrong(const uint8_t *bytes, uint64_t nbytes, uint8_t expected)
{
    uint64_t wrong = 0;

    for (uint64_t i = 0; i < nbytes; i++) {
        wrong += bytes[i] != expected;
    }
    return wrong;
}

static uint64_t whole_pages(uint64_t nbytes)
{
    return (nbytes + PAGE - 1) / PAGE * PAGE;
}

/* A buffer as it comes, seen by CPU and device, to the end of its last page. */
static uint64_t wrong_when_new(const struct cma_coherent *buffer, struct simdev *dev,
                               uint8_t expected)
{
    uint64_t whole = whole_pages(buffer->nbytes), wrong = 0;
    uint8_t *bytes = malloc(whole);

    wrong += !simdev_read(dev, buffer->daddr, bytes, whole);
    wrong += count_wrong(bytes, whole, expected);
    if (buffer->vaddr != NULL) {
        sim_read(board.sim, buffer->vaddr, bytes, whole);
        wrong += count_wrong(bytes, whole, expected);
    }
    free(bytes);
    return wrong;
}

/* CPU and device write in turn, with a cache that has the worst intentions. */
static uint64_t wrong_in_use(const struct cma_coherent *buffer, struct simdev *dev, bool evict)
{
    uint64_t whole = whole_pages(buffer->nbytes), wrong = 0;
    uint8_t *bytes = malloc(whole);

    for (uint8_t round = 1; round < 4; round++) {
        memset(bytes, round, whole);
        if (buffer->vaddr != NULL) {
            sim_write(board.sim, buffer->vaddr, bytes, whole);
            board.port.dma_barrier(board.port.ctx);
            wrong += !simdev_read(dev, buffer->daddr, bytes, whole);
            wrong += count_wrong(bytes, whole, round);
        }
        memset(bytes, 0x80 | round, whole);
        wrong += !simdev_write(dev, buffer->daddr, bytes, whole);
        /* What is dirty comes out over the device's bytes; without it, what is stale stays. */
        sim_evict(board.sim, evict ? UINT64_MAX : 0);
        if (buffer->vaddr != NULL) {
            sim_read(board.sim, buffer->vaddr, bytes, whole);
        } else {
            wrong += !simdev_read(dev, buffer->daddr, bytes, whole);
        }
        wrong += count_wrong(bytes, whole, 0x80 | round);
    }
    free(bytes);
    return wrong;
}

/* Whoever gets the pages next reads them cached: what the device wrote last is there, and by the
 * linear address no translation from before is used. */
static uint64_t wrong_after(const struct cma_coherent *buffer)
{
    uint64_t whole = whole_pages(buffer->nbytes), wrong;
    void *linear = board.port.vaddr(board.sim, buffer->paddr);
    uint8_t *bytes = malloc(whole);

    sim_read_paddr(board.sim, buffer->paddr, bytes, whole);
    wrong = count_wrong(bytes, whole, 0x83);
    if (linear != NULL) {
        sim_read(board.sim, linear, bytes, whole);
        wrong += count_wrong(bytes, whole, 0x83);
    }
    free(bytes);
    return wrong;
}

static enum cma_attr attr_at(const void *vaddr)
{
    enum cma_attr attr;
    cma_paddr_t paddr;

    return board.port.lookup(board.sim, vaddr, &paddr, &attr) == 0 ? attr : CMA_ATTR_NONE;
}

#endif
