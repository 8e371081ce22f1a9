/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_contiguous.c - contiguous memory that is not coherent: cached, zero for both sides when it
 * comes, and right for each side after a sync, and only then
 *
 * 8 MiB from 0x80000000; 1 MiB of default area, 256 KiB for promises, and the upper 2 MiB without
 * linear mapping, where an area is too.
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

#define PAGE 4096u
#define BASE UINT64_C(0x80000000)
#define NPAGES 2048u
#define AREA_FIRST 256u
#define AREA_NPAGES 256u
#define SLOTS_FIRST 512u
#define SLOTS_NPAGES 64u
#define HIGH_FIRST 1536u
#define HIGH_AREA_FIRST 1600u
#define HIGH_AREA_NPAGES 64u

struct bench {
    struct sim *sim;
    struct cma_port port;
    struct cma_range memory[1], reserved[4];
    struct cma_map map;
    struct cma_zone zones[2];
    struct cma_system system;
    void *storage;
    struct cma_device device, snooping;
    struct simdev eyes, snooping_eyes;
};

static void bench_area(struct bench *bench, const char *name, uint32_t first, uint32_t npages,
                       uint32_t flags)
{
    struct cma_range range = {.base = BASE + (uint64_t)first * PAGE,
                              .nbytes = (uint64_t)npages * PAGE,
                              .kind = CMA_RANGE_AREA,
                              .flags = flags,
                              .name = name};

    assert_int_equal(cma_map_reserve(&bench->map, &range, NULL), 0);
}

static void bench_create(struct bench *bench)
{
    struct sim_memory memory = {BASE, (uint64_t)NPAGES * PAGE};
    struct sim_config config = {.seed = 5,
                                .memory = &memory,
                                .nmemory = 1,
                                .linear_last = BASE + HIGH_FIRST * PAGE - 1,
                                .cache_nbytes = 65536};
    struct cma_system_config system = {.block_order = 6, .nslots = 4, .nzones = 2};
    struct cma_device_config device = {
        .name = "dev", .owner = 11, .mask = UINT64_MAX, .coherent_mask = UINT64_MAX};
    uint64_t nbytes;

    memset(bench, 0, sizeof(*bench));
    bench->sim = sim_create(&config);
    assert_non_null(bench->sim);
    bench->port = *sim_port(bench->sim);
    assert_int_equal(cma_map_init(&bench->map, bench->memory, 1, bench->reserved, 4), 0);
    assert_int_equal(cma_map_add_memory(&bench->map, memory.base, memory.nbytes, NULL), 0);
    bench_area(bench, "default", AREA_FIRST, AREA_NPAGES, CMA_RANGE_DEFAULT);
    bench_area(bench, "slots", SLOTS_FIRST, SLOTS_NPAGES, 0);
    bench_area(bench, "high", HIGH_AREA_FIRST, HIGH_AREA_NPAGES, 0);
    bench->zones[0].last = config.linear_last;
    bench->zones[1].last = CMA_PADDR_MAX;
    bench->zones[1].flags = CMA_ZONE_UNMAPPED;
    system.port = &bench->port;
    system.zones = bench->zones;
    nbytes = cma_system_size(&bench->map, &system);
    bench->storage = aligned_alloc(8, nbytes);
    assert_int_equal(cma_system_init(&bench->system, &bench->map, &system, bench->storage, nbytes),
                     0);
    assert_int_equal(cma_device_init(&bench->device, &bench->system.dma, &device), 0);
    device.owner = 12;
    device.flags = CMA_DEVICE_COHERENT;
    assert_int_equal(cma_device_init(&bench->snooping, &bench->system.dma, &device), 0);
    simdev_init(&bench->eyes, bench->sim, &(struct simdev_config){.name = "dev"});
    simdev_init(&bench->snooping_eyes, bench->sim,
                &(struct simdev_config){.name = "dev", .snoops = true});
}

static void bench_destroy(struct bench *bench)
{
    struct cma_violation violation;
    struct cma_area_stats stats;
    cma_paddr_t paddr;

    if (!cma_system_check(&bench->system, &violation)) {
        fail_msg("%s", violation.what);
    }
    assert_true(sim_check_aliases(bench->sim, &paddr));
    for (uint32_t i = 0; i < bench->system.nareas; i++) {
        cma_area_stats(&bench->system.areas[i], &stats);
        assert_int_equal(stats.claimed_npages, 0);
    }
    sim_destroy(bench->sim);
    free(bench->storage);
}

static struct cma_contiguous get(struct cma_device *device, uint64_t nbytes,
                                 enum cma_direction direction)
{
    struct cma_coherent_request request = {.nbytes = nbytes};
    struct cma_contiguous contiguous;
    struct cma_refusal refusal = {0};
    int error = cma_dma_alloc_contiguous(device, &request, direction, &contiguous, &refusal);

    if (error != 0) {
        fail_msg("%s (%s)", cma_strerror(error), cma_reason_name(refusal.reason));
    }
    assert_int_equal(contiguous.direction, direction);
    assert_int_equal(contiguous.buffer.nbytes, nbytes);
    return contiguous;
}

static uint64_t differ(const uint8_t *bytes, uint64_t nbytes, uint8_t byte)
{
    uint64_t count = 0;

    for (uint64_t i = 0; i < nbytes; i++) {
        count += bytes[i] != byte;
    }
    return count;
}

/* How many bytes the device, or the CPU, sees that are not `byte`. */
static uint64_t device_differs(struct simdev *eyes, const struct cma_contiguous *contiguous,
                               uint64_t nbytes, uint8_t byte)
{
    uint8_t bytes[8 * PAGE];

    assert_true(simdev_read(eyes, contiguous->buffer.daddr, bytes, nbytes));
    return differ(bytes, nbytes, byte);
}

static uint64_t cpu_differs(struct bench *bench, const struct cma_contiguous *contiguous,
                            uint64_t nbytes, uint8_t byte)
{
    uint8_t bytes[8 * PAGE];

    sim_read(bench->sim, contiguous->buffer.vaddr, bytes, nbytes);
    return differ(bytes, nbytes, byte);
}

/* Both know where each byte comes from. */
static void cpu_writes(struct bench *bench, const struct cma_contiguous *contiguous,
                       uint64_t nbytes, uint8_t byte)
{
    uint8_t bytes[8 * PAGE];

    memset(bytes, byte, nbytes);
    sim_write(bench->sim, contiguous->buffer.vaddr, bytes, nbytes);
}

static void device_writes(struct simdev *eyes, const struct cma_contiguous *contiguous,
                          uint64_t nbytes, uint8_t byte)
{
    uint8_t bytes[8 * PAGE];

    memset(bytes, byte, nbytes);
    assert_true(simdev_write(eyes, contiguous->buffer.daddr, bytes, nbytes));
}

/* --- what it is -------------------------------------------------------------------------- */

/* It comes as if just mapped: the device sees zeroes to the end of the last page, at once (H1, H2),
 * whatever lay there in caches; and it is cached. */
static void test_comes_zeroed_and_cleaned(void **state)
{
    struct bench bench;
    struct cma_contiguous contiguous;
    enum cma_attr attr;
    cma_paddr_t paddr;

    (void)state;
    bench_create(&bench);
    for (uint32_t i = 0; i < 60; i++) {
        contiguous = get(&bench.device, 3 * PAGE + 1 + i, (enum cma_direction)(i % 3));
        assert_int_equal(bench.port.lookup(bench.sim, contiguous.buffer.vaddr, &paddr, &attr), 0);
        assert_int_equal(attr, CMA_ATTR_CACHED);
        assert_int_equal(paddr, contiguous.buffer.paddr);
        assert_int_equal(device_differs(&bench.eyes, &contiguous, 4 * PAGE, 0), 0);
        assert_int_equal(cma_dma_sync_for_cpu(&bench.device, contiguous.buffer.daddr, 3 * PAGE,
                                              contiguous.direction),
                         0);
        assert_int_equal(cpu_differs(&bench, &contiguous, 4 * PAGE, 0), 0);
        cpu_writes(&bench, &contiguous, 2 * PAGE, 0x77);
        device_writes(&bench.eyes, &contiguous, PAGE, 0x78);
        assert_int_equal(cma_dma_free_contiguous(&bench.device, &contiguous), 0);
    }
    bench_destroy(&bench);
}

/* Syncs make each side see what the other wrote, and without them it does not: so it is not
 * coherent, and the syncs are real. */
static void test_synced_by_hand(void **state)
{
    struct bench bench;
    struct cma_contiguous contiguous;
    uint64_t stale_device = 0, stale_cpu = 0;

    (void)state;
    bench_create(&bench);
    for (uint32_t i = 0; i < 20; i++) {
        struct cma_device *device = &bench.device;
        cma_daddr_t daddr;

        contiguous = get(device, 4 * PAGE, CMA_BIDIRECTIONAL);
        daddr = contiguous.buffer.daddr;
        assert_int_equal(cma_dma_sync_for_cpu(device, daddr, 4 * PAGE, CMA_BIDIRECTIONAL), 0);
        cpu_writes(&bench, &contiguous, 4 * PAGE, 0x31);
        stale_device += device_differs(&bench.eyes, &contiguous, 4 * PAGE, 0x31);
        assert_int_equal(cma_dma_sync_for_device(device, daddr, 4 * PAGE, CMA_BIDIRECTIONAL), 0);
        assert_int_equal(device_differs(&bench.eyes, &contiguous, 4 * PAGE, 0x31), 0);
        device_writes(&bench.eyes, &contiguous, 4 * PAGE, 0x32);
        stale_cpu += cpu_differs(&bench, &contiguous, 4 * PAGE, 0x32);
        assert_int_equal(cma_dma_sync_for_cpu(device, daddr, 4 * PAGE, CMA_BIDIRECTIONAL), 0);
        assert_int_equal(cpu_differs(&bench, &contiguous, 4 * PAGE, 0x32), 0);
        assert_int_equal(cma_dma_free_contiguous(device, &contiguous), 0);
    }
    assert_true(stale_device > 1000);
    assert_true(stale_cpu > 1000);
    bench_destroy(&bench);
}

static void test_snooping_device(void **state)
{
    struct bench bench;
    struct cma_contiguous contiguous;

    (void)state;
    bench_create(&bench);
    contiguous = get(&bench.snooping, 2 * PAGE, CMA_BIDIRECTIONAL);
    assert_int_equal(device_differs(&bench.snooping_eyes, &contiguous, 2 * PAGE, 0), 0);
    cpu_writes(&bench, &contiguous, 2 * PAGE, 0x31);
    assert_int_equal(device_differs(&bench.snooping_eyes, &contiguous, 2 * PAGE, 0x31), 0);
    assert_int_equal(cma_dma_free_contiguous(&bench.snooping, &contiguous), 0);
    bench_destroy(&bench);
}

/* --- sources ----------------------------------------------------------------------------- */

/* A promised block is the device's as a whole: what lies behind the length that was asked for is
 * zero in memory, too, where the device can look. */
static void test_of_a_promise(void **state)
{
    struct bench bench;
    struct cma_device_config config = {
        .name = "promised", .owner = 13, .mask = UINT64_MAX, .coherent_mask = UINT64_MAX};
    struct cma_promise_request request = {.nbytes = 8 * PAGE, .count = 1};
    struct cma_device_promise promise;
    struct cma_contiguous contiguous;
    struct cma_device device;

    (void)state;
    bench_create(&bench);
    config.area = cma_system_area(&bench.system, BASE + SLOTS_FIRST * PAGE);
    assert_int_equal(cma_device_init(&device, &bench.system.dma, &config), 0);
    assert_int_equal(cma_device_admit(&device, &bench.system.guarantees, &promise, &request, NULL),
                     0);
    for (uint32_t i = 0; i < 30; i++) {
        contiguous = get(&device, PAGE, CMA_BIDIRECTIONAL);
        assert_int_equal(contiguous.buffer.source, CMA_SOURCE_GUARANTEE);
        assert_int_equal(device_differs(&bench.eyes, &contiguous, 8 * PAGE, 0), 0);
        device_writes(&bench.eyes, &contiguous, 8 * PAGE, 0x51);
        sim_write_paddr(bench.sim, contiguous.buffer.paddr + 4 * PAGE, "dirty", 5);
        assert_int_equal(cma_dma_free_contiguous(&device, &contiguous), 0);
    }
    assert_int_equal(cma_device_revoke(&device, &promise), 0);
    bench_destroy(&bench);
}

/* Memory without linear mapping is mapped cached, and unmapped again. */
static void test_without_linear_mapping(void **state)
{
    struct bench bench;
    struct cma_device_config config = {.name = "high",
                                       .owner = 14,
                                       .mask = UINT64_MAX,
                                       .coherent_mask = UINT64_MAX,
                                       .flags = CMA_DEVICE_AREA_ONLY};
    struct cma_contiguous contiguous;
    struct sim_stats before, after;
    struct cma_device device;

    (void)state;
    bench_create(&bench);
    config.area = cma_system_area(&bench.system, BASE + HIGH_AREA_FIRST * PAGE);
    assert_int_equal(cma_device_init(&device, &bench.system.dma, &config), 0);
    for (uint32_t i = 0; i < 10; i++) {
        cma_daddr_t daddr;

        sim_stats(bench.sim, &before);
        contiguous = get(&device, 2 * PAGE, CMA_BIDIRECTIONAL);
        sim_stats(bench.sim, &after);
        assert_int_equal(after.maps - before.maps, 1);
        assert_int_equal(after.set_attr_pages - before.set_attr_pages, 0);
        daddr = contiguous.buffer.daddr;
        assert_int_equal(device_differs(&bench.eyes, &contiguous, 2 * PAGE, 0), 0);
        assert_int_equal(cma_dma_sync_for_cpu(&device, daddr, 2 * PAGE, CMA_BIDIRECTIONAL), 0);
        assert_int_equal(cpu_differs(&bench, &contiguous, 2 * PAGE, 0), 0);
        cpu_writes(&bench, &contiguous, 2 * PAGE, 0x41);
        assert_int_equal(cma_dma_sync_for_device(&device, daddr, 2 * PAGE, CMA_BIDIRECTIONAL), 0);
        assert_int_equal(device_differs(&bench.eyes, &contiguous, 2 * PAGE, 0x41), 0);
        assert_int_equal(cma_dma_free_contiguous(&device, &contiguous), 0);
        sim_stats(bench.sim, &after);
        assert_int_equal(after.unmaps - before.unmaps, 1);
    }
    /* The same memory, coherent: no cached mapping is left behind. */
    {
        struct cma_coherent_request request = {.nbytes = 2 * PAGE};
        struct cma_coherent buffer;

        assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, NULL), 0);
        assert_int_equal(cma_dma_free_coherent(&device, &buffer), 0);
    }
    bench_destroy(&bench);
}

/* --- refusals and frees ------------------------------------------------------------------ */

static void test_refusals(void **state)
{
    static const uint32_t never[] = {CMA_COHERENT_NO_MAPPING,
                                     CMA_COHERENT_WRITE_COMBINE,
                                     CMA_COHERENT_NOSLEEP,
                                     1u << 29,
                                     1u << 30,
                                     1u << 31};
    struct bench bench;
    struct cma_coherent_request request = {.nbytes = PAGE};
    struct cma_contiguous contiguous, untouched;
    struct cma_refusal refusal;

    (void)state;
    bench_create(&bench);
    memset(&contiguous, 0x5a, sizeof(contiguous));
    untouched = contiguous;
    for (uint32_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        request.flags = never[i];
        assert_int_equal(
            cma_dma_alloc_contiguous(&bench.device, &request, CMA_TO_DEVICE, &contiguous, &refusal),
            CMA_EINVAL);
        assert_int_equal(refusal.reason, CMA_REASON_ARGUMENT);
    }
    request.flags = 0;
    assert_int_equal(
        cma_dma_alloc_contiguous(&bench.device, &request, (enum cma_direction)3, &contiguous, NULL),
        CMA_EINVAL);
    request.nbytes = 0;
    assert_int_equal(
        cma_dma_alloc_contiguous(&bench.device, &request, CMA_TO_DEVICE, &contiguous, NULL),
        CMA_EINVAL);
    request.nbytes = UINT64_MAX;
    assert_int_equal(
        cma_dma_alloc_contiguous(&bench.device, &request, CMA_TO_DEVICE, &contiguous, &refusal),
        CMA_EOVERFLOW);
    request.nbytes = NPAGES * PAGE;
    assert_int_not_equal(
        cma_dma_alloc_contiguous(&bench.device, &request, CMA_TO_DEVICE, &contiguous, &refusal), 0);
    assert_int_not_equal(refusal.code, 0);
    assert_memory_equal(&contiguous, &untouched, sizeof(contiguous));
    bench_destroy(&bench);
}

/* Wrong frees, and frees by the other call: refused, nothing changed (case 45, H7). */
static void test_wrong_frees(void **state)
{
    struct bench bench;
    struct cma_coherent_request request = {.nbytes = 2 * PAGE};
    struct cma_contiguous contiguous, wrong;
    struct cma_coherent buffer;

    (void)state;
    bench_create(&bench);
    contiguous = get(&bench.device, 2 * PAGE, CMA_BIDIRECTIONAL);
    assert_int_equal(cma_dma_free_coherent(&bench.device, &contiguous.buffer), CMA_EINVAL);
    buffer = contiguous.buffer;
    buffer.flags = 0; /* tampered with: the mapping tells */
    assert_int_equal(cma_dma_free_coherent(&bench.device, &buffer), CMA_EINVAL);
    wrong = contiguous;
    wrong.buffer.nbytes = PAGE;
    assert_int_equal(cma_dma_free_contiguous(&bench.device, &wrong), CMA_EINVAL);
    wrong = contiguous;
    wrong.buffer.daddr += PAGE;
    assert_int_equal(cma_dma_free_contiguous(&bench.device, &wrong), CMA_EINVAL);
    wrong = contiguous;
    wrong.buffer.vaddr = (uint8_t *)wrong.buffer.vaddr + PAGE;
    assert_int_equal(cma_dma_free_contiguous(&bench.device, &wrong), CMA_EINVAL);
    assert_int_equal(cma_dma_free_contiguous(&bench.snooping, &contiguous), CMA_EPERM);
    assert_int_equal(cma_dma_free_contiguous(&bench.device, &contiguous), 0);
    assert_int_equal(cma_dma_free_contiguous(&bench.device, &contiguous), CMA_EBADF);
    assert_int_equal(cma_dma_alloc_coherent(&bench.device, &request, &buffer, NULL), 0);
    wrong.buffer = buffer;
    assert_int_equal(cma_dma_free_contiguous(&bench.device, &wrong), CMA_EINVAL);
    assert_int_equal(cma_dma_free_coherent(&bench.device, &buffer), 0);
    bench_destroy(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comes_zeroed_and_cleaned),
        cmocka_unit_test(test_synced_by_hand),
        cmocka_unit_test(test_snooping_device),
        cmocka_unit_test(test_of_a_promise),
        cmocka_unit_test(test_without_linear_mapping),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_wrong_frees),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
