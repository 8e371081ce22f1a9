/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_pool_sim.c - pools on the simulator: coherent items of a device that does not snoop, and
 * cached ones with explicit syncs; what the CPU sees, what the device sees, whose line is dirty
 *
 * 4 MiB from 0x80000000, of which 2 are an area; a small cache that is emptied when a test wants it
 * to be. A CPU address can't be used here but through the simulator, so what the pool does to bytes
 * goes through hooks.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <cma/cma.h>

#include "../../ports/sim/sim.h"
#include "../../ports/sim/simdev.h"
#include "../support/lane_item.h"

#define PAGE 4096u
#define BASE UINT64_C(0x80000000)
#define NPAGES 1024u
#define NBYTES 96u /* of an item */

static struct sim *sim;
static struct cma_port port;
static struct cma_system whole;
static struct cma_device device;
static struct simdev eyes;
static struct cma_dma_pool pool;
static struct cma_dma_pool_lane lane;
static void *storage, *tables;

/* --- bytes of items -------------------------------------------------------------------- */

static void cpu_fill(void *ctx, void *vaddr, uint8_t byte, uint64_t nbytes)
{
    for (uint64_t i = 0; i < nbytes; i++) {
        sim_write(ctx, (uint8_t *)vaddr + i, &byte, 1);
    }
}

static bool cpu_is_filled(void *ctx, const void *vaddr, uint8_t byte, uint64_t nbytes)
{
    uint8_t there;

    for (uint64_t i = 0; i < nbytes; i++) {
        sim_read(ctx, (const uint8_t *)vaddr + i, &there, 1);
        if (there != byte) {
            return false;
        }
    }
    return true;
}

static bool cpu_sees(const struct cma_dma_item *item, uint8_t byte)
{
    return cpu_is_filled(sim, item->vaddr, byte, NBYTES);
}

static bool device_sees(const struct cma_dma_item *item, uint8_t byte)
{
    uint8_t bytes[NBYTES];

    assert_true(simdev_read(&eyes, item->daddr, bytes, NBYTES));
    for (uint32_t i = 0; i < NBYTES; i++) {
        if (bytes[i] != byte) {
            return false;
        }
    }
    return true;
}

static void device_fill(const struct cma_dma_item *item, uint8_t byte)
{
    uint8_t bytes[NBYTES];

    memset(bytes, byte, NBYTES);
    assert_true(simdev_write(&eyes, item->daddr, bytes, NBYTES));
}

/* --- the board ------------------------------------------------------------------------- */

static struct cma_dma_pool_bytes bytes = {.fill = cpu_fill, .is_filled = cpu_is_filled};

static void make(bool snoops, const struct cma_dma_pool_config *wanted)
{
    static struct cma_range memory[1], reserved[2];
    static struct cma_map map;
    static struct cma_zone zone;
    struct sim_memory bank = {BASE, (uint64_t)NPAGES * PAGE};
    struct sim_config config = {.seed = 3, .memory = &bank, .nmemory = 1, .cache_nbytes = 65536};
    struct cma_system_config system = {.block_order = 6, .nslots = 4, .nzones = 1, .zones = &zone};
    struct cma_range area = {.base = BASE + PAGE * (NPAGES / 2),
                             .nbytes = (uint64_t)PAGE * (NPAGES / 2),
                             .kind = CMA_RANGE_AREA,
                             .flags = CMA_RANGE_DEFAULT,
                             .name = "pools"};
    struct cma_device_config dev = {.name = "dev",
                                    .owner = 3,
                                    .mask = UINT64_MAX,
                                    .coherent_mask = UINT64_MAX,
                                    .flags = snoops ? CMA_DEVICE_COHERENT : 0};
    struct cma_dma_pool_config pools = *wanted;
    uint64_t nbytes;

    sim = sim_create(&config);
    assert_non_null(sim);
    port = *sim_port(sim);
    zone = (struct cma_zone){.last = CMA_PADDR_MAX};
    assert_int_equal(cma_map_init(&map, memory, 1, reserved, 2), 0);
    assert_int_equal(cma_map_add_memory(&map, bank.base, bank.nbytes, NULL), 0);
    assert_int_equal(cma_map_reserve(&map, &area, NULL), 0);
    system.port = &port;
    nbytes = cma_system_size(&map, &system);
    storage = aligned_alloc(8, (nbytes + 7) / 8 * 8);
    assert_int_equal(cma_system_init(&whole, &map, &system, storage, nbytes), 0);
    assert_int_equal(cma_device_init(&device, &whole.dma, &dev), 0);
    simdev_init(&eyes, sim, &(struct simdev_config){.name = "dev", .snoops = snoops});
    bytes.ctx = sim;
    pools.bytes = &bytes;
    nbytes = cma_dma_pool_size(&device, &pools);
    tables = aligned_alloc(8, (nbytes + 7) / 8 * 8);
    assert_int_equal(cma_dma_pool_init(&pool, &device, &pools, tables, nbytes), 0);
    assert_int_equal(cma_dma_pool_lane_init(&lane, &pool), 0);
}

static void end(void)
{
    struct cma_violation violation;
    struct cma_area_stats stats;
    cma_paddr_t paddr;

    assert_int_equal(cma_dma_pool_lane_end(&lane), 0);
    assert_int_equal(cma_dma_pool_destroy(&pool), 0);
    if (!cma_system_check(&whole, &violation)) {
        fail_msg("%s", violation.what);
    }
    assert_true(sim_check_aliases(sim, &paddr));
    cma_area_stats(&whole.areas[0], &stats);
    assert_int_equal(stats.claimed_npages, 0);
    sim_destroy(sim);
    free(storage);
    free(tables);
}

static struct cma_dma_item get(bool laned, uint32_t flags)
{
    struct cma_dma_item item = {0};

    flags |= CMA_DMA_POOL_GROW;
    assert_int_equal(laned ? lane_item_alloc(&lane, flags, &item, NULL)
                           : cma_dma_pool_alloc(&pool, flags, &item, NULL),
                     0);
    return item;
}

static void put(bool laned, const struct cma_dma_item *item)
{
    assert_int_equal(laned ? lane_item_free(&lane, item) : cma_dma_pool_free(&pool, item), 0);
}

static uint32_t damaged(void)
{
    struct cma_dma_pool_stats stats;

    cma_dma_pool_stats(&pool, &stats);
    return stats.damaged;
}

/* --- coherent -------------------------------------------------------------------------- */

/* The device sees at once what the pool does to bytes, and what it writes itself is not lost: so
 * they are touched through the mapping that is there, past the caches. */
static void test_coherent(void **state)
{
    static const struct cma_dma_pool_config config = {.item_nbytes = NBYTES, .nitems_max = 42};
    struct cma_dma_pool_stats stats;
    struct cma_dma_item item;

    (void)state;
    for (uint32_t snoops = 0; snoops < 2; snoops++) {
        make(snoops, &config);
        for (uint32_t i = 0; i < 20; i++) {
            item = get(i % 2, i % 2 != 0 ? CMA_DMA_POOL_ZERO : 0);
            if (i < 2 || i % 2 != 0) {
                assert_true(cpu_sees(&item, 0) && device_sees(&item, 0));
            }
            device_fill(&item, 0x31);
            assert_true(cpu_sees(&item, 0x31));
            cpu_fill(sim, item.vaddr, 0x32, NBYTES);
            assert_true(device_sees(&item, 0x32));
            put(i % 2, &item);
            sim_evict(sim, 2000);
        }
        cma_dma_pool_stats(&pool, &stats);
        assert_int_equal(stats.nitems, PAGE / NBYTES); /* no lines to keep apart */
        end();
    }
}

static void test_poison(void **state)
{
    struct cma_dma_pool_config config = {
        .item_nbytes = NBYTES, .nitems_max = 42, .flags = CMA_DMA_POOL_POISON};
    struct cma_dma_item item;

    (void)state;
    for (uint32_t kind = 0; kind < 4; kind++) {
        config.flags = CMA_DMA_POOL_POISON | (kind >= 2 ? CMA_DMA_POOL_CACHED : 0);
        make(kind % 2, &config);
        for (uint32_t i = 0; i < 20; i++) {
            item = get(i % 2, 0);
            assert_int_equal(damaged(), i);
            assert_true(device_sees(&item, CMA_DMA_POOL_POISON_NEW));
            put(i % 2, &item);
            assert_true(device_sees(&item, CMA_DMA_POOL_POISON_FREE));
            (void)cma_dma_pool_lane_drain(&lane);
            /* The device still writes there, one byte: the last. */
            assert_true(simdev_write(&eyes, item.daddr + NBYTES - 1, "x", 1));
            item = get(i % 2, CMA_DMA_POOL_ZERO);
            assert_int_equal(damaged(), i + 1);
            assert_true(device_sees(&item, 0));
            put(i % 2, &item);
            (void)cma_dma_pool_lane_drain(&lane);
        }
        end();
    }
}

/* --- cached ---------------------------------------------------------------------------- */

static const enum cma_direction directions[] = {CMA_BIDIRECTIONAL, CMA_TO_DEVICE, CMA_FROM_DEVICE};

/* Items come as if just mapped: each side sees what the other wrote after a sync. No two are in one
 * line where that matters, and a sync of one loses nothing of its neighbours. */
static void test_cached(void **state)
{
    struct cma_dma_pool_config config = {.item_nbytes = NBYTES,
                                         .chunk_nbytes = 2 * PAGE,
                                         .nitems_max = 60,
                                         .flags = CMA_DMA_POOL_CACHED};
    struct cma_dma_item items[40];
    enum cma_attr attr;
    cma_paddr_t paddr;

    (void)state;
    for (uint32_t kind = 0; kind < 6; kind++) {
        enum cma_direction direction = config.direction = directions[kind % 3];
        bool snoops = kind >= 3;

        make(snoops, &config);
        for (uint32_t i = 0; i < 40; i++) {
            items[i] = get(i % 2, i < 20 ? CMA_DMA_POOL_ZERO : 0);
            assert_true(device_sees(&items[i], 0));
            assert_true(snoops || items[i].daddr % port.cache_line_nbytes == 0);
            assert_int_equal(port.lookup(sim, items[i].vaddr, &paddr, &attr), 0);
            assert_int_equal(attr, CMA_ATTR_CACHED);
            assert_true(paddr == items[i].daddr);
        }
        for (uint32_t i = 0; i < 40; i++) {
            assert_int_equal(cma_dma_sync_for_cpu(&device, items[i].daddr, NBYTES, direction), 0);
            assert_true(cpu_sees(&items[i], 0));
            cpu_fill(sim, items[i].vaddr, (uint8_t)(0x40 + i), NBYTES);
            if (direction != CMA_FROM_DEVICE) {
                assert_int_equal(
                    cma_dma_sync_for_device(&device, items[i].daddr, NBYTES, direction), 0);
                assert_true(device_sees(&items[i], (uint8_t)(0x40 + i)));
            } else {
                assert_int_equal(
                    cma_dma_sync_for_device(&device, items[i].daddr, NBYTES, direction), 0);
                device_fill(&items[i], (uint8_t)(0x40 + i));
            }
        }
        for (uint32_t i = 0; i < 40; i++) {
            assert_int_equal(cma_dma_sync_for_cpu(&device, items[i].daddr, NBYTES, direction), 0);
            assert_true(cpu_sees(&items[i], (uint8_t)(0x40 + i)));
            put(i % 2, &items[i]);
        }
        end();
    }
}

/* Whoever had an item last left lines dirty: they are not written over what the device writes for
 * the next one. And ZERO is seen by the device at once. */
static void test_freed_dirty(void **state)
{
    struct cma_dma_pool_config config = {
        .item_nbytes = NBYTES, .nitems_max = 42, .flags = CMA_DMA_POOL_CACHED};
    struct cma_dma_item item;

    (void)state;
    for (uint32_t kind = 0; kind < 6; kind++) {
        config.direction = directions[kind % 3];
        make(kind >= 3, &config);
        for (uint32_t i = 0; i < 20; i++) {
            item = get(i % 2, 0);
            assert_int_equal(cma_dma_sync_for_cpu(&device, item.daddr, NBYTES, config.direction),
                             0);
            cpu_fill(sim, item.vaddr, 0x55, NBYTES); /* and is freed as it is */
            put(i % 2, &item);
            item = get(i % 2, i % 3 == 0 ? CMA_DMA_POOL_ZERO : 0);
            assert_true(device_sees(&item, i % 3 == 0 ? 0 : 0x55));
            if (config.direction != CMA_TO_DEVICE) {
                device_fill(&item, 0x66);
                sim_evict(sim, 2000);
                assert_int_equal(
                    cma_dma_sync_for_cpu(&device, item.daddr, NBYTES, config.direction), 0);
                assert_true(cpu_sees(&item, 0x66));
            }
            put(i % 2, &item);
        }
        end();
    }
}

/* What items of whole lines make of a config; and what contiguous memory can't be. */
static void test_cached_shapes(void **state)
{
    struct cma_dma_pool_config config = {.item_nbytes = 24,
                                         .align_nbytes = 8,
                                         .boundary_nbytes = 4096,
                                         .nitems_max = 64,
                                         .flags = CMA_DMA_POOL_CACHED};
    struct cma_dma_pool_config bad;
    struct cma_dma_pool other;
    struct cma_dma_item item;
    struct cma_dma_pool_stats stats;
    static uint64_t some[512];

    (void)state;
    make(false, &config);
    (void)get(false, 0);
    cma_dma_pool_stats(&pool, &stats);
    assert_int_equal(stats.nitems, PAGE / port.cache_line_nbytes);
    for (uint32_t number = 0; cma_dma_pool_next(&pool, &number, &item) == 0;) {
        put(false, &item);
    }
    bad = config;
    bad.boundary_nbytes = 32; /* less than a line is, and so an item */
    assert_int_equal(cma_dma_pool_init(&other, &device, &bad, some, sizeof(some)), CMA_EINVAL);
    bad = config;
    bad.direction = (enum cma_direction)3;
    assert_int_equal(cma_dma_pool_init(&other, &device, &bad, some, sizeof(some)), CMA_EINVAL);
    bad.flags = 0; /* it says nothing there */
    assert_int_equal(cma_dma_pool_init(&other, &device, &bad, some, sizeof(some)), 0);
    bad = config;
    bad.item_nbytes = UINT64_MAX - 8;
    bad.boundary_nbytes = 0;
    assert_int_equal(cma_dma_pool_init(&other, &device, &bad, some, sizeof(some)), CMA_EOVERFLOW);
    bad = config;
    bad.coherent_flags = CMA_COHERENT_WRITE_COMBINE;
    assert_int_equal(cma_dma_pool_init(&other, &device, &bad, some, sizeof(some)), 0);
    assert_int_equal(cma_dma_pool_grow(&other, 1, NULL), CMA_EINVAL);
    end();
    make(true, &config);
    item = get(true, 0);
    cma_dma_pool_stats(&pool, &stats);
    assert_int_equal(stats.nitems, PAGE / 24);
    put(true, &item);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_coherent),      cmocka_unit_test(test_poison),
        cmocka_unit_test(test_cached),        cmocka_unit_test(test_freed_dirty),
        cmocka_unit_test(test_cached_shapes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
