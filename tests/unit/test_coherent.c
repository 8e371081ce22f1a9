/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_coherent.c - coherent memory on simulated boards: seen the same by CPU and device, in reach
 * to the last byte, and given back whole; with controls that show what a missing hook does
 *
 * The board: 8 MiB from 0x80000000. 1 MiB each of default area and a device's own area; the upper
 * 2 MiB have no linear mapping, and an area is there too.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <cma/system.h>

#include "../../ports/sim/sim.h"
#include "../../ports/sim/simdev.h"

#define PAGE 4096u
#define BASE 0x80000000u
#define NPAGES 2048u
#define DEFAULT_FIRST 256u
#define OWN_FIRST 512u
#define HIGH_FIRST 1536u
#define HIGH_AREA_FIRST 1700u
#define AREA_NPAGES 256u

enum mute { MUTE_NONE, MUTE_CLEAN, MUTE_INVALIDATE, MUTE_SET_ATTR, MUTE_FLUSH };

struct bench {
    struct sim *sim;
    struct cma_port port;
    struct cma_range memory[2], reserved[4];
    struct cma_map map;
    struct cma_zone zones[2];
    struct cma_system system;
    void *storage;
};

static void muted_range(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx;
    (void)paddr;
    (void)nbytes;
}

static void muted_attr(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr)
{
    (void)ctx;
    (void)paddr;
    (void)nbytes;
    (void)attr;
}

static void muted_flush(void *ctx)
{
    (void)ctx;
}

static void bench_port(struct bench *bench, enum mute mute)
{
    bench->port = *sim_port(bench->sim);
    switch (mute) {
    case MUTE_CLEAN: bench->port.clean = muted_range; break;
    case MUTE_INVALIDATE: bench->port.invalidate = muted_range; break;
    case MUTE_SET_ATTR:
        bench->port.set_attr = muted_attr;
        bench->port.lookup = NULL;
        break;
    case MUTE_FLUSH: bench->port.tlb_flush = muted_flush; break;
    default: break;
    }
}

static void bench_area(struct bench *bench, const char *name, uint32_t first, uint32_t flags)
{
    struct cma_range range = {.base = BASE + (uint64_t)first * PAGE,
                              .nbytes = (uint64_t)AREA_NPAGES * PAGE,
                              .kind = CMA_RANGE_AREA,
                              .flags = flags,
                              .name = name};

    assert_int_equal(cma_map_reserve(&bench->map, &range, NULL), 0);
}

static void bench_create(struct bench *bench, uint64_t seed, enum mute mute)
{
    struct sim_memory memory = {BASE, (uint64_t)NPAGES * PAGE};
    struct sim_config config = {.seed = seed,
                                .memory = &memory,
                                .nmemory = 1,
                                .linear_last = BASE + (uint64_t)HIGH_FIRST * PAGE - 1,
                                .cache_nbytes = 65536};
    struct cma_system_config system = {.block_order = 6};
    uint64_t nbytes;
    uint32_t i;

    memset(bench, 0, sizeof(*bench));
    bench->sim = sim_create(&config);
    assert_non_null(bench->sim);
    for (i = 0; mute != MUTE_NONE && i < SIM_VIOLATIONS; i++) {
        sim_tolerate(bench->sim, (enum sim_violation)i, true);
    }
    bench_port(bench, mute);
    assert_int_equal(cma_map_init(&bench->map, bench->memory, 2, bench->reserved, 4), 0);
    assert_int_equal(cma_map_add_memory(&bench->map, memory.base, memory.nbytes, NULL), 0);
    bench_area(bench, "default", DEFAULT_FIRST, CMA_RANGE_DEFAULT);
    bench_area(bench, "own", OWN_FIRST, 0);
    bench_area(bench, "high", HIGH_AREA_FIRST, 0);
    bench->zones[0].last = config.linear_last;
    bench->zones[1].last = CMA_PADDR_MAX;
    bench->zones[1].flags = CMA_ZONE_UNMAPPED;
    system.port = &bench->port;
    system.zones = bench->zones;
    system.nzones = 2;
    nbytes = cma_system_size(&bench->map, &system);
    bench->storage = aligned_alloc(8, nbytes);
    assert_int_equal(cma_system_init(&bench->system, &bench->map, &system, bench->storage, nbytes),
                     0);
    assert_int_equal(bench->system.nareas, 3);
}

static void bench_check(struct bench *bench)
{
    struct cma_violation violation;
    cma_paddr_t paddr;

    if (!cma_system_check(&bench->system, &violation)) {
        fail_msg("%s", violation.what);
    }
    assert_true(sim_check_aliases(bench->sim, &paddr));
}

/* Everything is given back, too. */
static void bench_destroy(struct bench *bench)
{
    struct cma_area_stats stats;
    uint32_t i;

    bench_check(bench);
    for (i = 0; i < 3; i++) {
        cma_area_stats(&bench->system.areas[i], &stats);
        assert_int_equal(stats.claimed_npages, 0);
    }
    sim_destroy(bench->sim);
    free(bench->storage);
}

static uint64_t idle_npages(struct bench *bench)
{
    struct cma_area_stats area;
    struct cma_pages_stats pages;
    uint64_t idle = 0;
    uint32_t i;

    cma_pages_stats(&bench->system.pages, &pages);
    for (i = 0; i < 2; i++) {
        idle += pages.zone_idle_npages[i];
    }
    for (i = 0; i < 3; i++) {
        cma_area_stats(&bench->system.areas[i], &area);
        idle += area.idle_npages;
    }
    return idle;
}

static void make_device(struct bench *bench, struct cma_device *device, uint32_t owner,
                        cma_daddr_t mask, struct cma_area *area, uint32_t flags)
{
    struct cma_device_config config = {.name = "dev", .owner = owner, .mask = mask};

    config.coherent_mask = mask;
    config.area = area;
    config.flags = flags;
    assert_int_equal(cma_device_init(device, &bench->system.dma, &config), 0);
}

/* --- seen the same --------------------------------------------------------------------- */

static void dirty_memory(struct bench *bench, uint32_t first, uint32_t npages)
{
    uint8_t junk[PAGE];
    uint32_t i;

    memset(junk, 0xa5, sizeof(junk));
    for (i = 0; i < npages; i++) {
        sim_write_paddr(bench->sim, BASE + (uint64_t)(first + i) * PAGE, junk, PAGE);
    }
}

static uint64_t count_wrong(const uint8_t *bytes, uint64_t nbytes, uint8_t expected)
{
    uint64_t i, wrong = 0;

    for (i = 0; i < nbytes; i++) {
        wrong += bytes[i] != expected;
    }
    return wrong;
}

/* One buffer's life, with a cache that has the worst intentions. Returns wrong bytes. */
static uint64_t live(struct bench *bench, struct cma_device *device, struct simdev *dev,
                     uint64_t nbytes, bool evict)
{
    struct cma_coherent_request request = {.nbytes = nbytes};
    uint64_t whole = (nbytes + PAGE - 1) / PAGE * PAGE;
    uint8_t *bytes = malloc(whole);
    struct cma_coherent buffer;
    uint64_t wrong = 0;
    uint8_t round;

    assert_int_equal(cma_dma_alloc_coherent(device, &request, &buffer, NULL), 0);
    wrong += !simdev_read(dev, buffer.daddr, bytes, whole);
    wrong += count_wrong(bytes, whole, 0);
    sim_read(bench->sim, buffer.vaddr, bytes, whole);
    wrong += count_wrong(bytes, whole, 0);
    for (round = 1; round < 4; round++) {
        memset(bytes, round, whole);
        sim_write(bench->sim, buffer.vaddr, bytes, whole);
        bench->port.dma_barrier(bench->port.ctx);
        wrong += !simdev_read(dev, buffer.daddr, bytes, whole);
        wrong += count_wrong(bytes, whole, round);
        memset(bytes, 0x80 | round, whole);
        wrong += !simdev_write(dev, buffer.daddr, bytes, whole);
        /* What is dirty comes out over the device's bytes; without it, what is stale stays. */
        sim_evict(bench->sim, evict ? UINT64_MAX : 0);
        sim_read(bench->sim, buffer.vaddr, bytes, whole);
        wrong += count_wrong(bytes, whole, 0x80 | round);
    }
    assert_int_equal(cma_dma_free_coherent(device, &buffer), 0);
    /* Whoever gets the pages next reads them cached: no line from before may be there. */
    sim_read_paddr(bench->sim, buffer.paddr, bytes, whole);
    wrong += count_wrong(bytes, whole, 0x80 | (round - 1));
    if (buffer.mapped == 0) {
        /* By the CPU's address, too, no translation from before is used. */
        sim_read(bench->sim, buffer.vaddr, bytes, whole);
        wrong += count_wrong(bytes, whole, 0x80 | (round - 1));
    }
    free(bytes);
    return wrong;
}

static uint64_t live_in_area(uint64_t seed, enum mute mute, uint32_t index, uint32_t first)
{
    struct simdev_config config = {.name = "dev", .daddr_last = UINT64_MAX};
    struct cma_device device;
    struct simdev dev;
    struct bench bench;
    uint64_t wrong = 0;
    uint32_t i;

    bench_create(&bench, seed, mute);
    simdev_init(&dev, bench.sim, &config);
    make_device(&bench, &device, 5, UINT64_MAX, &bench.system.areas[index], CMA_DEVICE_AREA_ONLY);
    for (i = 0; i < 3; i++) {
        dirty_memory(&bench, first, 40);
        wrong += live(&bench, &device, &dev, 20 * PAGE + 100, seed % 2 != 0);
    }
    for (i = 0; i < SIM_VIOLATIONS; i++) {
        wrong += sim_violations(bench.sim, (enum sim_violation)i);
    }
    if (mute == MUTE_NONE) {
        /* Ordinary memory again: cached, and nothing of it is lost. */
        dirty_memory(&bench, first, 40);
        bench_destroy(&bench);
    } else {
        sim_destroy(bench.sim);
        free(bench.storage);
    }
    return wrong;
}

static void test_seen_the_same(void **state)
{
    uint64_t seed;

    (void)state;
    for (seed = 1; seed <= 20; seed++) {
        assert_int_equal(live_in_area(seed, MUTE_NONE, 1, OWN_FIRST), 0);
        assert_int_equal(live_in_area(seed, MUTE_NONE, 2, HIGH_AREA_FIRST), 0);
    }
}

/* Each hook is needed: without it some seed shows wrong bytes or a violation. */
static void test_each_hook_is_needed(void **state)
{
    static const enum mute mutes[] = {MUTE_CLEAN, MUTE_INVALIDATE, MUTE_SET_ATTR, MUTE_FLUSH};
    uint32_t i;

    (void)state;
    for (i = 0; i < 4; i++) {
        uint64_t seed, wrong = 0;

        for (seed = 1; seed <= 5; seed++) {
            wrong += live_in_area(seed, mutes[i], 1, OWN_FIRST);
        }
        assert_true(wrong > 0);
    }
}

static uint32_t invalidates;
static struct bench *muted_bench;

static void invalidate_first_only(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    if (invalidates++ % 2 == 0) {
        sim_port(muted_bench->sim)->invalidate(ctx, paddr, nbytes);
    }
}

/* The second invalidate, after the flush: what was fetched while the mapping was still cached. */
static void test_second_invalidate_is_needed(void **state)
{
    struct simdev_config config = {.name = "dev", .daddr_last = UINT64_MAX};
    uint64_t seed, wrong = 0;

    (void)state;
    for (seed = 1; seed <= 10; seed++) {
        struct cma_device device;
        struct simdev dev;
        struct bench bench;
        uint8_t bytes[PAGE];
        struct cma_coherent_request request = {.nbytes = 20 * PAGE};
        struct cma_coherent buffer;
        uint32_t i;

        bench_create(&bench, seed, MUTE_NONE);
        muted_bench = &bench;
        invalidates = 0;
        bench.port.invalidate = invalidate_first_only;
        simdev_init(&dev, bench.sim, &config);
        make_device(&bench, &device, 5, UINT64_MAX, &bench.system.areas[1], 0);
        assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, NULL), 0);
        memset(bytes, 0x11, sizeof(bytes));
        for (i = 0; i < 20; i++) {
            assert_true(simdev_write(&dev, buffer.daddr + i * PAGE, bytes, PAGE));
        }
        /* The buffer goes back and is used cached: stale lines would be read now. */
        assert_int_equal(cma_dma_free_coherent(&device, &buffer), 0);
        for (i = 0; i < 20; i++) {
            sim_read_paddr(bench.sim, buffer.paddr + i * PAGE, bytes, PAGE);
            wrong += count_wrong(bytes, PAGE, 0x11);
        }
        bench_destroy(&bench);
    }
    assert_true(wrong > 0);
}

static void test_snooping_device_needs_nothing(void **state)
{
    struct simdev_config config = {.name = "dev", .daddr_last = UINT64_MAX, .snoops = true};
    struct cma_device device;
    struct sim_stats stats;
    struct simdev dev;
    struct bench bench;

    (void)state;
    bench_create(&bench, 3, MUTE_NONE);
    simdev_init(&dev, bench.sim, &config);
    make_device(&bench, &device, 5, UINT64_MAX, &bench.system.areas[1], CMA_DEVICE_COHERENT);
    dirty_memory(&bench, OWN_FIRST, 40);
    assert_int_equal(live(&bench, &device, &dev, 30 * PAGE, true), 0);
    sim_stats(bench.sim, &stats);
    assert_int_equal(stats.clean_lines, 0);
    assert_int_equal(stats.invalidate_lines, 0);
    assert_int_equal(stats.set_attr_pages, 0);
    bench_destroy(&bench);
}

/* --- sources --------------------------------------------------------------------------- */

static enum cma_source source_of(struct cma_device *device, uint64_t npages,
                                 struct cma_coherent *buffer)
{
    struct cma_coherent_request request = {.nbytes = npages * PAGE};

    if (cma_dma_alloc_coherent(device, &request, buffer, NULL) != 0) {
        return CMA_SOURCE_NONE;
    }
    return buffer->source;
}

static void test_sources_in_order(void **state)
{
    struct cma_coherent buffers[8];
    struct cma_device plain, own, own_only, own_or_default;
    struct bench bench;
    struct cma_area *area;
    uint64_t idle;

    (void)state;
    bench_create(&bench, 1, MUTE_NONE);
    idle = idle_npages(&bench);
    area = &bench.system.areas[1];
    make_device(&bench, &plain, 1, UINT64_MAX, NULL, 0);
    make_device(&bench, &own, 2, UINT64_MAX, area, 0);
    make_device(&bench, &own_only, 3, UINT64_MAX, area, CMA_DEVICE_AREA_ONLY);
    make_device(&bench, &own_or_default, 4, UINT64_MAX, area,
                CMA_DEVICE_AREA_ONLY | CMA_DEVICE_TRY_DEFAULT);
    assert_int_equal(source_of(&own, 200, &buffers[0]), CMA_SOURCE_AREA);
    assert_int_equal(source_of(&own, 100, &buffers[1]), CMA_SOURCE_PAGES);
    assert_int_equal(source_of(&own_only, 100, &buffers[2]), CMA_SOURCE_NONE);
    assert_int_equal(source_of(&own_or_default, 100, &buffers[2]), CMA_SOURCE_DEFAULT_AREA);
    assert_int_equal(source_of(&plain, 100, &buffers[3]), CMA_SOURCE_DEFAULT_AREA);
    assert_int_equal(source_of(&plain, 100, &buffers[4]), CMA_SOURCE_PAGES);
    bench_check(&bench);
    assert_int_equal(cma_dma_free_coherent(&own, &buffers[0]), 0);
    assert_int_equal(cma_dma_free_coherent(&own, &buffers[1]), 0);
    assert_int_equal(cma_dma_free_coherent(&own_or_default, &buffers[2]), 0);
    assert_int_equal(cma_dma_free_coherent(&plain, &buffers[3]), 0);
    assert_int_equal(cma_dma_free_coherent(&plain, &buffers[4]), 0);
    assert_int_equal(idle_npages(&bench), idle);
    assert_int_equal(own.live_npages, 0);
    bench_destroy(&bench);
}

/* --- reach ----------------------------------------------------------------------------- */

static void test_odd_masks(void **state)
{
    struct cma_device device;
    struct cma_coherent buffer;
    struct cma_coherent_request request = {.nbytes = 8 * PAGE};
    struct cma_refusal refusal;
    struct cma_area_stats stats;
    struct bench bench;
    cma_daddr_t mask = BASE + (uint64_t)(DEFAULT_FIRST + 8) * PAGE;

    (void)state;
    bench_create(&bench, 1, MUTE_NONE);
    /* 9 bytes short: the default area's first 7 pages are in reach, and the memory below. */
    make_device(&bench, &device, 1, mask - 9, NULL, 0);
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, NULL), 0);
    assert_int_equal(buffer.source, CMA_SOURCE_PAGES);
    assert_true(buffer.daddr + buffer.nbytes - 1 <= mask - 9);
    assert_int_equal(cma_dma_free_coherent(&device, &buffer), 0);
    request.nbytes = 7 * PAGE;
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, NULL), 0);
    assert_int_equal(buffer.source, CMA_SOURCE_DEFAULT_AREA);
    assert_int_equal(cma_dma_free_coherent(&device, &buffer), 0);
    make_device(&bench, &device, 1, mask - 1, NULL, CMA_DEVICE_AREA_ONLY);
    request.nbytes = 8 * PAGE;
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, NULL), 0);
    assert_int_equal(cma_dma_free_coherent(&device, &buffer), 0);
    /* Out of reach wholly: said so, and no area hears of it. */
    make_device(&bench, &device, 1, BASE - 1, NULL, 0);
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, &refusal), CMA_ERANGE);
    assert_int_equal(refusal.reason, CMA_REASON_UNREACHABLE);
    cma_area_stats(&bench.system.areas[0], &stats);
    assert_int_equal(stats.refused, 1);
    bench_destroy(&bench);
}

/* A bus that shifts by an odd number of pages: the device's address is aligned all the same. */
static void test_bus_offsets(void **state)
{
    struct cma_bus_window windows[2] = {{0x3000, BASE, (uint64_t)NPAGES * PAGE}, {0, 0, 0}};
    struct simdev_config dev_config = {.name = "dev", .windows = windows, .nwindows = 1};
    struct cma_device_config config = {
        .name = "dev", .owner = 9, .mask = 0xffffffffu, .coherent_mask = 0xffffffffu};
    struct cma_coherent_request request = {.nbytes = 3 * PAGE, .align_nbytes = 16 * PAGE};
    struct cma_coherent buffer;
    struct cma_device device;
    struct simdev dev;
    struct bench bench;

    (void)state;
    bench_create(&bench, 1, MUTE_NONE);
    dev_config.daddr_last = 0xffffffffu;
    simdev_init(&dev, bench.sim, &dev_config);
    config.windows = windows;
    config.nwindows = 1;
    assert_int_equal(cma_device_init(&device, &bench.system.dma, &config), 0);
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, NULL), 0);
    assert_true(buffer.daddr % (16 * PAGE) == 0);
    assert_true(buffer.daddr == buffer.paddr - BASE + 0x3000);
    assert_int_equal(buffer.source, CMA_SOURCE_DEFAULT_AREA);
    assert_int_equal(cma_dma_free_coherent(&device, &buffer), 0);
    request.align_nbytes = 0;
    request.boundary_nbytes = 4 * PAGE;
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, NULL), 0);
    assert_true(buffer.daddr / (4 * PAGE) == (buffer.daddr + 3 * PAGE - 1) / (4 * PAGE));
    assert_int_equal(cma_dma_free_coherent(&device, &buffer), 0);
    request.boundary_nbytes = 0;
    assert_int_equal(live(&bench, &device, &dev, 5 * PAGE, true), 0);
    /* An offset inside a page: no coherent memory, for a page can't be a page there. */
    windows[0].daddr = 0x3010;
    assert_int_equal(cma_device_init(&device, &bench.system.dma, &config), 0);
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, NULL), CMA_ERANGE);
    /* Two windows: a buffer lies in one of them. */
    windows[0] = (struct cma_bus_window){0x100000, BASE + (DEFAULT_FIRST + 10) * PAGE, 5 * PAGE};
    windows[1] = (struct cma_bus_window){0x900000, BASE + (DEFAULT_FIRST + 15) * PAGE, 30 * PAGE};
    config.nwindows = 2;
    config.flags = CMA_DEVICE_AREA_ONLY;
    assert_int_equal(cma_device_init(&device, &bench.system.dma, &config), 0);
    request.nbytes = 6 * PAGE;
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, NULL), 0);
    assert_true(buffer.daddr == 0x900000);
    assert_int_equal(cma_dma_free_coherent(&device, &buffer), 0);
    bench_destroy(&bench);
}

/* The page allocator knows physical addresses only: it is asked where they will do. */
static void test_bus_offsets_and_pages(void **state)
{
    static const struct cma_bus_window shifted[] = {{0x3000, BASE, (uint64_t)NPAGES * PAGE}};
    static const struct cma_bus_window byte[] = {{0, 0, 1}};
    static const struct cma_bus_window own[] = {
        {0, BASE + OWN_FIRST * PAGE, (uint64_t)AREA_NPAGES * PAGE}};
    struct cma_device_config config = {
        .name = "dev", .owner = 9, .mask = 0xffffffffu, .coherent_mask = 0xffffffffu};
    struct cma_coherent_request request = {.nbytes = 3 * PAGE, .align_nbytes = 16 * PAGE};
    struct cma_coherent buffer;
    struct cma_refusal refusal;
    struct cma_device device;
    struct bench bench;

    (void)state;
    bench_create(&bench, 1, MUTE_NONE);
    bench.system.dma.default_area = NULL;
    config.windows = shifted;
    config.nwindows = 1;
    assert_int_equal(cma_device_init(&device, &bench.system.dma, &config), 0);
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, NULL), CMA_ERANGE);
    request.align_nbytes = 0;
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, NULL), 0);
    assert_int_equal(buffer.source, CMA_SOURCE_PAGES);
    assert_true(buffer.daddr == buffer.paddr - BASE + 0x3000);
    assert_int_equal(cma_dma_free_coherent(&device, &buffer), 0);
    /* A window of less than a page, at address 0: no limit of 0 is passed on as "no limit". */
    config.windows = byte;
    assert_int_equal(cma_device_init(&device, &bench.system.dma, &config), 0);
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, NULL), CMA_ERANGE);
    /* The refusal is that of the source that was in reach. */
    config.windows = own;
    config.area = &bench.system.areas[1];
    assert_int_equal(cma_device_init(&device, &bench.system.dma, &config), 0);
    request.nbytes = (AREA_NPAGES + 1) * PAGE;
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_TOO_LARGE);
    bench_destroy(&bench);
}

static void test_sizes_near_the_end_of_numbers(void **state)
{
    struct cma_device device;
    struct cma_coherent buffer;
    struct cma_refusal refusal;
    struct bench bench;
    struct {
        struct cma_coherent_request request;
        int error;
    } cases[] = {
        {{.nbytes = 0}, CMA_EINVAL},
        {{.nbytes = UINT64_MAX}, CMA_EOVERFLOW},
        {{.nbytes = UINT64_MAX - PAGE + 2}, CMA_EOVERFLOW},
        {{.nbytes = UINT64_MAX - PAGE + 1}, CMA_ENOMEM},
        {{.nbytes = (uint64_t)1 << 63}, CMA_ENOMEM},
        {{.nbytes = (uint64_t)1 << 32}, CMA_ENOMEM},
        {{.nbytes = PAGE, .align_nbytes = 3}, CMA_EINVAL},
        {{.nbytes = PAGE, .align_nbytes = (uint64_t)1 << 63}, CMA_ERANGE},
        {{.nbytes = PAGE + 1, .boundary_nbytes = PAGE}, CMA_EINVAL},
        {{.nbytes = PAGE, .boundary_nbytes = 3 * PAGE}, CMA_EINVAL},
        {{.nbytes = 129, .boundary_nbytes = 128}, CMA_EINVAL},
        {{.nbytes = PAGE, .flags = 8}, CMA_EINVAL},
        {{.nbytes = 100, .boundary_nbytes = 128}, 0},
        {{.nbytes = 1, .align_nbytes = 1}, 0},
    };
    uint64_t idle;
    uint32_t i;

    (void)state;
    bench_create(&bench, 1, MUTE_NONE);
    make_device(&bench, &device, 1, UINT64_MAX, &bench.system.areas[1], CMA_DEVICE_TRY_DEFAULT);
    idle = idle_npages(&bench);
    for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int error = cma_dma_alloc_coherent(&device, &cases[i].request, &buffer, &refusal);

        if (cases[i].error == CMA_ERANGE) {
            assert_true(error == CMA_ERANGE || error == CMA_ENOMEM);
        } else {
            assert_int_equal(error, cases[i].error);
        }
        if (error == 0) {
            assert_int_equal(cma_dma_free_coherent(&device, &buffer), 0);
        } else {
            assert_int_equal(refusal.code, error);
        }
        assert_int_equal(idle_npages(&bench), idle);
    }
    make_device(&bench, &device, 1, 0xffffffffu, NULL, 0);
    device.config.coherent_mask = 0;
    assert_int_equal(cma_dma_alloc_coherent(&device, &cases[13].request, &buffer, NULL),
                     CMA_EINVAL);
    bench_destroy(&bench);
}

/* --- failing and freeing --------------------------------------------------------------- */

static void test_failing_map_gives_back(void **state)
{
    struct cma_coherent buffer = {.nbytes = 77};
    struct cma_coherent_request request = {.nbytes = 10 * PAGE};
    struct cma_device device;
    struct cma_refusal refusal;
    struct bench bench;
    uint64_t idle;

    (void)state;
    bench_create(&bench, 1, MUTE_NONE);
    make_device(&bench, &device, 1, UINT64_MAX, &bench.system.areas[2], CMA_DEVICE_AREA_ONLY);
    idle = idle_npages(&bench);
    sim_fail(bench.sim, SIM_FAULT_MAP, 1, false);
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_MAPPING);
    assert_int_equal(buffer.nbytes, 77);
    assert_int_equal(idle_npages(&bench), idle);
    assert_int_equal(device.live_npages, 0);
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, &refusal), 0);
    assert_int_equal(buffer.mapped, 1);
    bench_check(&bench);
    assert_int_equal(cma_dma_free_coherent(&device, &buffer), 0);
    assert_int_equal(idle_npages(&bench), idle);
    bench_destroy(&bench);
}

/* A port that can't change attributes: refused for who doesn't snoop, not for who does. */
static void test_port_without_attributes(void **state)
{
    struct cma_coherent_request request = {.nbytes = 10 * PAGE};
    struct cma_coherent buffer;
    struct cma_refusal refusal;
    struct cma_device device;
    struct bench bench;
    uint64_t idle;

    (void)state;
    bench_create(&bench, 1, MUTE_NONE);
    idle = idle_npages(&bench);
    bench.port.set_attr = NULL;
    make_device(&bench, &device, 1, UINT64_MAX, &bench.system.areas[1], 0);
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, &refusal), CMA_EOPNOTSUPP);
    assert_int_equal(refusal.reason, CMA_REASON_MAPPING);
    assert_int_equal(idle_npages(&bench), idle);
    /* One that says it can and doesn't is found out by the lookup. */
    bench.port.set_attr = muted_attr;
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, NULL), CMA_EOPNOTSUPP);
    assert_int_equal(idle_npages(&bench), idle);
    bench.port.set_attr = NULL;
    make_device(&bench, &device, 1, UINT64_MAX, &bench.system.areas[1], CMA_DEVICE_COHERENT);
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, NULL), 0);
    assert_int_equal(cma_dma_free_coherent(&device, &buffer), 0);
    /* Memory without a mapping, and a port that can't make one. */
    bench.port.map = NULL;
    bench.port.unmap = NULL;
    make_device(&bench, &device, 1, UINT64_MAX, &bench.system.areas[2], CMA_DEVICE_AREA_ONLY);
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, NULL), CMA_EOPNOTSUPP);
    assert_int_equal(idle_npages(&bench), idle);
    bench_destroy(&bench);
}

/* Wrong frees of one buffer, from each source. */
static void check_wrong_frees(struct bench *bench, struct cma_device *device,
                              struct cma_device *other)
{
    struct cma_coherent_request request = {.nbytes = 4 * PAGE};
    struct cma_coherent good, bad;
    uint64_t idle = idle_npages(bench);
    uint8_t byte = 0x5a, back = 0;
    uint32_t i;

    assert_int_equal(cma_dma_alloc_coherent(device, &request, &good, NULL), 0);
    assert_int_equal(cma_dma_free_coherent(other, &good), CMA_EPERM);
    for (i = 0; i < 10; i++) {
        int expected = CMA_EINVAL;

        bad = good;
        switch (i) {
        case 0: bad.nbytes = 3 * PAGE; break;
        case 1: bad.nbytes = 5 * PAGE; break;
        case 2: bad.nbytes = 0; break;
        case 3: bad.nbytes = UINT64_MAX; break;
        case 4: bad.daddr += PAGE; break;
        case 5: bad.vaddr = (uint8_t *)bad.vaddr + PAGE; break;
        case 6: bad.vaddr = NULL; break;
        case 7: bad.source = CMA_SOURCE_NONE; break;
        case 8: bad.mapped ^= 1; break;
        default:
            bad.paddr += PAGE;
            bad.daddr += PAGE;
            bad.vaddr = (uint8_t *)bad.vaddr + PAGE;
            bad.nbytes -= PAGE;
            expected = CMA_EBADF;
        }
        if (i == 9 && good.source == CMA_SOURCE_PAGES) {
            /* Inside an allocation of frames that each know their owner. */
            assert_true(cma_dma_free_coherent(device, &bad) != 0);
        } else {
            assert_int_equal(cma_dma_free_coherent(device, &bad), expected);
        }
    }
    bad = good;
    bad.paddr += 1;
    assert_int_equal(cma_dma_free_coherent(device, &bad), CMA_EINVAL);
    /* After all that it is still the device's, and usable. */
    sim_write(bench->sim, good.vaddr, &byte, 1);
    sim_dev_read(bench->sim, good.paddr, &back, 1, false);
    assert_int_equal(back, byte);
    assert_int_equal(cma_dma_free_coherent(device, &good), 0);
    assert_int_equal(cma_dma_free_coherent(device, &good), CMA_EBADF);
    assert_int_equal(idle_npages(bench), idle);
    bench_check(bench);
}

static void test_wrong_frees(void **state)
{
    struct cma_device device, other;
    struct cma_area *areas[3];
    struct bench bench;
    uint32_t i;

    (void)state;
    bench_create(&bench, 1, MUTE_NONE);
    areas[0] = &bench.system.areas[1];
    areas[1] = &bench.system.areas[2];
    areas[2] = NULL;
    for (i = 0; i < 3; i++) {
        make_device(&bench, &device, 1, UINT64_MAX, areas[i], 0);
        make_device(&bench, &other, 2, UINT64_MAX, areas[i], 0);
        check_wrong_frees(&bench, &device, &other);
    }
    /* No area at all: the page allocator's. */
    bench.system.dma.default_area = NULL;
    make_device(&bench, &device, 1, UINT64_MAX, NULL, 0);
    make_device(&bench, &other, 2, UINT64_MAX, NULL, 0);
    check_wrong_frees(&bench, &device, &other);
    /* A port that can't look up: the linear address is known all the same. */
    bench.port.lookup = NULL;
    make_device(&bench, &device, 1, UINT64_MAX, areas[0], 0);
    make_device(&bench, &other, 2, UINT64_MAX, areas[0], 0);
    check_wrong_frees(&bench, &device, &other);
    bench_destroy(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seen_the_same),
        cmocka_unit_test(test_each_hook_is_needed),
        cmocka_unit_test(test_second_invalidate_is_needed),
        cmocka_unit_test(test_snooping_device_needs_nothing),
        cmocka_unit_test(test_sources_in_order),
        cmocka_unit_test(test_odd_masks),
        cmocka_unit_test(test_bus_offsets),
        cmocka_unit_test(test_bus_offsets_and_pages),
        cmocka_unit_test(test_sizes_near_the_end_of_numbers),
        cmocka_unit_test(test_failing_map_gives_back),
        cmocka_unit_test(test_port_without_attributes),
        cmocka_unit_test(test_wrong_frees),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
