/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exclusive_board.h - the board of the tests of exclusive memory
 *
 * 8 MiB from 0x80000000 with an area of 1 MiB and, behind the first 6 MiB, 1 MiB that is reserved
 * and mapped like the rest; and 256 KiB of on-chip memory at 0xc0000000 that nothing maps. Devices
 * see all of it 0x10000000 lower.
 */
#ifndef TEST_EXCLUSIVE_BOARD_H
#define TEST_EXCLUSIVE_BOARD_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <cma/exclusive.h>
#include <cma/system.h>

#include "../../ports/sim/sim.h"
#include "../../ports/sim/simdev.h"

#define PAGE 4096u
#define BASE 0x80000000u
#define NPAGES 2048u
#define AREA_FIRST 512u
#define AREA_NPAGES 256u
#define STOLEN_FIRST 1536u
#define STOLEN_NPAGES 256u
#define STOLEN (BASE + (uint64_t)STOLEN_FIRST * PAGE)
#define SRAM 0xc0000000u
#define SRAM_NPAGES 64u
#define SHIFT 0x10000000u /* daddr = paddr - SHIFT */

struct bench {
    struct sim *sim;
    struct cma_port port;
    struct cma_range memory[2], reserved[4];
    struct cma_map map;
    struct cma_system system;
    void *storage;
    struct cma_bus_window window;
    struct cma_device device, other;
    struct simdev dev;
    uint32_t words[8192]; /* of regions */
};

static inline void bench_device(struct bench *bench, struct cma_device *device, uint32_t owner,
                                cma_daddr_t mask, uint32_t flags)
{
    struct cma_device_config config = {.name = "dev",
                                       .owner = owner,
                                       .mask = mask,
                                       .coherent_mask = mask,
                                       .windows = &bench->window,
                                       .nwindows = 1,
                                       .flags = flags};

    assert_int_equal(cma_device_init(device, &bench->system.dma, &config), 0);
}

static inline struct bench *bench_create(uint64_t seed, uint32_t flags)
{
    struct bench *bench = calloc(1, sizeof(*bench));
    struct sim_memory memory[] = {{BASE, (uint64_t)NPAGES * PAGE},
                                  {SRAM, (uint64_t)SRAM_NPAGES * PAGE}};
    struct sim_config config = {.seed = seed,
                                .memory = memory,
                                .nmemory = 2,
                                .linear_last = BASE + (uint64_t)NPAGES * PAGE - 1,
                                .cache_nbytes = 65536};
    struct cma_range area = {.base = BASE + (uint64_t)AREA_FIRST * PAGE,
                             .nbytes = (uint64_t)AREA_NPAGES * PAGE,
                             .kind = CMA_RANGE_AREA,
                             .flags = CMA_RANGE_DEFAULT,
                             .name = "area"};
    struct cma_range stolen = {.base = STOLEN,
                               .nbytes = (uint64_t)STOLEN_NPAGES * PAGE,
                               .kind = CMA_RANGE_COHERENT_POOL,
                               .name = "stolen"};
    struct cma_system_config system = {.block_order = 6};
    struct simdev_config dev = {.name = "dev", .snoops = (flags & CMA_DEVICE_COHERENT) != 0};
    uint64_t nbytes;

    assert_non_null(bench);
    bench->sim = sim_create(&config);
    assert_non_null(bench->sim);
    bench->port = *sim_port(bench->sim);
    assert_int_equal(cma_map_init(&bench->map, bench->memory, 2, bench->reserved, 4), 0);
    assert_int_equal(cma_map_add_memory(&bench->map, BASE, memory[0].nbytes, NULL), 0);
    assert_int_equal(cma_map_reserve(&bench->map, &area, NULL), 0);
    assert_int_equal(cma_map_reserve(&bench->map, &stolen, NULL), 0);
    system.port = &bench->port;
    nbytes = cma_system_size(&bench->map, &system);
    bench->storage = aligned_alloc(8, (nbytes + 7) & ~UINT64_C(7));
    assert_int_equal(cma_system_init(&bench->system, &bench->map, &system, bench->storage, nbytes),
                     0);
    bench->window =
        (struct cma_bus_window){.daddr = BASE - SHIFT, .paddr = BASE, .nbytes = 0x60000000};
    bench_device(bench, &bench->device, 7, UINT32_MAX, flags);
    bench_device(bench, &bench->other, 8, UINT32_MAX, flags);
    dev.windows = &bench->window;
    dev.nwindows = 1;
    simdev_init(&bench->dev, bench->sim, &dev);
    return bench;
}

static inline void bench_check(struct bench *bench)
{
    struct cma_violation violation;
    cma_paddr_t paddr;

    if (!cma_system_check(&bench->system, &violation)) {
        fail_msg("%s", violation.what);
    }
    if (!sim_check_aliases(bench->sim, &paddr)) {
        fail_msg("two mappings of %#llx", (unsigned long long)paddr);
    }
}

static inline uint64_t idle_npages(struct bench *bench)
{
    struct cma_area_stats area;
    struct cma_pages_stats pages;

    cma_pages_stats(&bench->system.pages, &pages);
    cma_area_stats(&bench->system.areas[0], &area);
    return pages.zone_idle_npages[0] + area.idle_npages;
}

/* Is all memory mapped as it was at the start? */
static inline void bench_check_mappings(struct bench *bench)
{
    for (uint64_t i = 0; i < NPAGES; i++) {
        void *vaddr = bench->port.vaddr(bench->sim, BASE + i * PAGE);
        cma_paddr_t paddr;
        enum cma_attr attr;

        assert_non_null(vaddr);
        assert_int_equal(bench->port.lookup(bench->sim, vaddr, &paddr, &attr), 0);
        assert_int_equal(attr, CMA_ATTR_CACHED);
    }
    assert_null(bench->port.vaddr(bench->sim, SRAM));
}

static inline void bench_destroy(struct bench *bench)
{
    bench_check(bench);
    bench_check_mappings(bench);
    assert_null(bench->system.dma.regions);
    assert_null(bench->system.dma.mappings);
    sim_destroy(bench->sim);
    free(bench->storage);
    free(bench);
}

/* Somebody's data everywhere, in caches too. */
static inline void bench_dirty(struct bench *bench, cma_paddr_t paddr, uint32_t npages)
{
    uint8_t junk[PAGE];

    memset(junk, 0xa5, sizeof(junk));
    for (uint32_t i = 0; i < npages; i++) {
        sim_write_paddr(bench->sim, paddr + (uint64_t)i * PAGE, junk, PAGE);
    }
}

static inline struct cma_exclusive_config region_config(enum cma_exclusive_form form,
                                                        uint64_t npages)
{
    return (struct cma_exclusive_config){
        .name = "region",
        .form = form,
        .nbytes = npages * PAGE,
        .paddr = form == CMA_EXCLUSIVE_STOLEN     ? STOLEN
                 : form == CMA_EXCLUSIVE_RESERVED ? 0
                                                  : SRAM,
    };
}

static inline int region_try(struct bench *bench, struct cma_exclusive *region,
                             const struct cma_exclusive_config *config,
                             struct cma_conflict *conflict, struct cma_refusal *refusal)
{
    int error = cma_exclusive_declare(region, &bench->device, config, bench->words,
                                      sizeof(bench->words), conflict, refusal);

    bench_check(bench);
    return error;
}

static inline void region_declare(struct bench *bench, struct cma_exclusive *region,
                                  const struct cma_exclusive_config *config)
{
    assert_int_equal(region_try(bench, region, config, NULL, NULL), 0);
}

static inline void region_release(struct bench *bench, struct cma_exclusive *region)
{
    assert_int_equal(cma_exclusive_release(region), 0);
    bench_check(bench);
}

static inline int buffer_try(struct cma_device *device, uint64_t nbytes,
                             struct cma_coherent *buffer, struct cma_refusal *refusal)
{
    struct cma_coherent_request request = {.nbytes = nbytes};

    return cma_dma_alloc_coherent(device, &request, buffer, refusal);
}

static inline struct cma_coherent buffer_get(struct cma_device *device, uint64_t nbytes)
{
    struct cma_coherent buffer;

    assert_int_equal(buffer_try(device, nbytes, &buffer, NULL), 0);
    assert_int_equal(buffer.source, CMA_SOURCE_EXCLUSIVE);
    assert_int_equal(buffer.nbytes, nbytes);
    return buffer;
}

static inline void buffer_free(struct cma_device *device, const struct cma_coherent *buffer)
{
    assert_int_equal(cma_dma_free_coherent(device, buffer), 0);
}

/* Zero to its last byte, then each side sees what the other wrote. */
static inline void buffer_use(struct bench *bench, const struct cma_coherent *buffer, uint8_t salt)
{
    uint8_t bytes[PAGE], seen[PAGE];
    uint64_t nbytes = (buffer->nbytes + PAGE - 1) / PAGE * PAGE;

    for (uint64_t at = 0; at < nbytes; at += PAGE) {
        sim_read(bench->sim, (uint8_t *)buffer->vaddr + at, seen, PAGE);
        for (uint32_t i = 0; i < PAGE; i++) {
            assert_int_equal(seen[i], 0);
        }
        assert_true(simdev_read(&bench->dev, buffer->daddr + at, seen, PAGE));
        for (uint32_t i = 0; i < PAGE; i++) {
            assert_int_equal(seen[i], 0);
        }
        memset(bytes, (int)(salt + at / PAGE), PAGE);
        sim_write(bench->sim, (uint8_t *)buffer->vaddr + at, bytes, PAGE);
        bench->port.dma_barrier(bench->sim);
        assert_true(simdev_read(&bench->dev, buffer->daddr + at, seen, PAGE));
        assert_memory_equal(seen, bytes, PAGE);
        memset(bytes, (int)(salt + at / PAGE + 1), PAGE);
        assert_true(simdev_write(&bench->dev, buffer->daddr + at, bytes, PAGE));
        sim_read(bench->sim, (uint8_t *)buffer->vaddr + at, seen, PAGE);
        assert_memory_equal(seen, bytes, PAGE);
    }
}

#endif
