/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_nosleep.c - the pool for callers that may not sleep, on a simulated board
 *
 * 8 MiB from 0x80000000: 1 MiB of default area in the middle, a low area of 256 KiB at the bottom.
 * "In an interrupt" no hook may be called that waits for anybody.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <cma/cma.h>
#include <cma/nosleep.h>

#include "../../ports/sim/sim.h"
#include "../../ports/sim/simdev.h"

#define PAGE 4096u
#define BASE UINT64_C(0x80000000)
#define NPAGES 2048u
#define LOW_FIRST 16u
#define LOW_NPAGES 64u
#define AREA_FIRST 1024u
#define AREA_NPAGES 256u
#define LOW_LAST (BASE + 128 * PAGE - 1)

struct bench {
    struct sim *sim;
    struct cma_port port;
    struct cma_range memory[1], reserved[2];
    struct cma_map map;
    struct cma_zone zone;
    struct cma_system system;
    void *storage;
    struct cma_device plain, low, snooping, shifted;
    struct cma_bus_window window;
    struct cma_nosleep pools[3];
    void *pool_storage[3];
    uint32_t lows;
    uint64_t low_nbytes;
    bool in_interrupt;
    void (*on_flush)(struct bench *bench);
};

/* Hooks have the simulation as their context; one board at a time is tested. */
static struct bench *the_bench;

static void watched_flush(void *ctx)
{
    assert_false(the_bench->in_interrupt);
    if (the_bench->on_flush != NULL) {
        the_bench->on_flush(the_bench);
    }
    sim_port(ctx)->tlb_flush(ctx);
}

static void watched_wait(void *ctx, const uint32_t *event, uint32_t seen)
{
    assert_false(the_bench->in_interrupt);
    sim_port(ctx)->wait(ctx, event, seen);
}

static void watched_set_attr(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr)
{
    assert_false(the_bench->in_interrupt);
    sim_port(ctx)->set_attr(ctx, paddr, nbytes, attr);
}

static int watched_map(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr,
                       void **vaddr)
{
    assert_false(the_bench->in_interrupt);
    return sim_port(ctx)->map(ctx, paddr, nbytes, attr, vaddr);
}

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

static void bench_device(struct bench *bench, struct cma_device *device, uint32_t owner,
                         cma_daddr_t mask, uint32_t flags)
{
    struct cma_device_config config = {
        .name = "dev", .owner = owner, .mask = mask, .coherent_mask = mask, .flags = flags};

    assert_int_equal(cma_device_init(device, &bench->system.dma, &config), 0);
}

static void bench_create(struct bench *bench)
{
    struct sim_memory memory = {BASE, (uint64_t)NPAGES * PAGE};
    struct sim_config config = {.seed = 3, .memory = &memory, .nmemory = 1, .cache_nbytes = 65536};
    struct cma_system_config system = {.block_order = 6};
    struct cma_device_config shifted = {.name = "shifted",
                                        .owner = 24,
                                        .mask = UINT64_MAX,
                                        .coherent_mask = UINT64_MAX,
                                        .nwindows = 1};
    uint64_t nbytes;

    memset(bench, 0, sizeof(*bench));
    the_bench = bench;
    bench->sim = sim_create(&config);
    assert_non_null(bench->sim);
    bench->port = *sim_port(bench->sim);
    bench->port.tlb_flush = watched_flush;
    bench->port.wait = watched_wait;
    bench->port.set_attr = watched_set_attr;
    bench->port.map = watched_map;
    assert_int_equal(cma_map_init(&bench->map, bench->memory, 1, bench->reserved, 2), 0);
    assert_int_equal(cma_map_add_memory(&bench->map, memory.base, memory.nbytes, NULL), 0);
    bench_area(bench, "low", LOW_FIRST, LOW_NPAGES, 0);
    bench_area(bench, "default", AREA_FIRST, AREA_NPAGES, CMA_RANGE_DEFAULT);
    bench->zone.last = CMA_PADDR_MAX;
    system.port = &bench->port;
    system.zones = &bench->zone;
    system.nzones = 1;
    nbytes = cma_system_size(&bench->map, &system);
    bench->storage = aligned_alloc(8, nbytes);
    assert_int_equal(cma_system_init(&bench->system, &bench->map, &system, bench->storage, nbytes),
                     0);
    bench_device(bench, &bench->plain, 21, UINT64_MAX, 0);
    bench_device(bench, &bench->low, 22, LOW_LAST, 0);
    bench_device(bench, &bench->snooping, 23, UINT64_MAX, CMA_DEVICE_COHERENT);
    bench->window = (struct cma_bus_window){
        .daddr = 5 * PAGE, .paddr = BASE, .nbytes = (uint64_t)NPAGES * PAGE};
    shifted.windows = &bench->window;
    assert_int_equal(cma_device_init(&bench->shifted, &bench->system.dma, &shifted), 0);
}

static void bench_low(void *ctx, uint64_t idle_nbytes)
{
    struct bench *bench = ctx;

    bench->lows++;
    bench->low_nbytes = idle_nbytes;
    /* No lock is held: the simulator would end the process otherwise. */
    bench->port.dma_barrier(bench->port.ctx);
}

static struct cma_nosleep_config bench_config(struct bench *bench)
{
    return (struct cma_nosleep_config){.name = "pool",
                                       .owner = 77,
                                       .paddr_last = CMA_PADDR_MAX,
                                       .chunk_nbytes = 16 * PAGE,
                                       .nchunks_max = 4,
                                       .low_nbytes = 4 * PAGE,
                                       .low = bench_low,
                                       .ctx = bench};
}

static struct cma_nosleep *bench_pool(struct bench *bench, uint32_t index,
                                      const struct cma_nosleep_config *config)
{
    struct cma_nosleep *pool = &bench->pools[index];
    uint64_t nbytes = cma_nosleep_size(&bench->port, config);

    assert_true(nbytes != 0);
    /* No more than asked for, so that the sanitizer sees a byte too far. */
    bench->pool_storage[index] = malloc(nbytes);
    memset(bench->pool_storage[index], 0xa5, nbytes);
    assert_int_equal(
        cma_nosleep_init(pool, &bench->system.dma, config, bench->pool_storage[index], nbytes), 0);
    return pool;
}

static void bench_check(struct bench *bench)
{
    struct cma_violation violation;
    cma_paddr_t paddr;

    if (!cma_system_check(&bench->system, &violation)) {
        fail_msg("%s", violation.what);
    }
    assert_true(sim_check_aliases(bench->sim, &paddr));
    for (struct cma_nosleep *pool = bench->system.dma.nosleep; pool != NULL; pool = pool->next) {
        assert_true(cma_nosleep_check(pool));
    }
}

/* Everything went back, too. */
static void bench_destroy(struct bench *bench)
{
    struct cma_area_stats stats;

    bench->on_flush = NULL;
    while (bench->system.dma.nosleep != NULL) {
        assert_int_equal(cma_nosleep_destroy(bench->system.dma.nosleep), 0);
    }
    bench_check(bench);
    for (uint32_t i = 0; i < bench->system.nareas; i++) {
        cma_area_stats(&bench->system.areas[i], &stats);
        assert_int_equal(stats.claimed_npages, 0);
    }
    for (uint32_t i = 0; i < 3; i++) {
        free(bench->pool_storage[i]);
    }
    sim_destroy(bench->sim);
    free(bench->storage);
}

/* As an interrupt handler asks. */
static int ask(struct bench *bench, struct cma_device *device,
               const struct cma_coherent_request *request, struct cma_coherent *buffer,
               struct cma_refusal *refusal)
{
    struct cma_coherent_request mine = *request;
    int error;

    mine.flags |= CMA_COHERENT_NOSLEEP;
    bench->in_interrupt = true;
    error = cma_dma_alloc_coherent(device, &mine, buffer, refusal);
    bench->in_interrupt = false;
    if (error == 0) {
        assert_int_equal(buffer->source, CMA_SOURCE_NOSLEEP);
        assert_int_equal(buffer->nbytes, request->nbytes);
    }
    return error;
}

static struct cma_coherent get(struct bench *bench, struct cma_device *device, uint64_t nbytes)
{
    struct cma_coherent_request request = {.nbytes = nbytes};
    struct cma_coherent buffer = {0};
    struct cma_refusal refusal = {0};
    int error = ask(bench, device, &request, &buffer, &refusal);

    if (error != 0) {
        fail_msg("%s (%s)", cma_strerror(error), cma_reason_name(refusal.reason));
    }
    return buffer;
}

static int give(struct bench *bench, struct cma_device *device, const struct cma_coherent *buffer)
{
    int error;

    bench->in_interrupt = true;
    error = cma_dma_free_coherent(device, buffer);
    bench->in_interrupt = false;
    return error;
}

static void assert_refused(struct bench *bench, struct cma_device *device, uint64_t nbytes,
                           int code, enum cma_reason reason)
{
    struct cma_coherent_request request = {.nbytes = nbytes};
    struct cma_coherent buffer, untouched;
    struct cma_refusal refusal = {0};

    memset(&buffer, 0x5a, sizeof(buffer));
    untouched = buffer;
    assert_int_equal(ask(bench, device, &request, &buffer, &refusal), code);
    assert_int_equal(refusal.code, code);
    assert_int_equal(refusal.reason, reason);
    assert_memory_equal(&buffer, &untouched, sizeof(buffer));
    bench_check(bench);
}

static struct cma_nosleep_stats stats_of(struct cma_nosleep *pool)
{
    struct cma_nosleep_stats stats;

    cma_nosleep_stats(pool, &stats);
    return stats;
}

/* --- what is malformed ------------------------------------------------------------------ */

static void test_malformed(void **state)
{
    struct bench bench;
    struct cma_nosleep_config good, bad[9];
    struct cma_nosleep pool;
    uint32_t words[4096];
    uint64_t size;

    (void)state;
    bench_create(&bench);
    good = bench_config(&bench);
    size = cma_nosleep_size(&bench.port, &good);
    assert_in_range(size, 4 * 16 * 4, sizeof(words));
    for (uint32_t i = 0; i < 9; i++) {
        bad[i] = good;
    }
    bad[0].owner = 0;
    bad[1].paddr_last = 0;
    bad[2].chunk_nbytes = 0;
    bad[3].chunk_nbytes = PAGE + 1;
    bad[4].nchunks_max = 0;
    bad[5].nchunks_max = CMA_NOSLEEP_CHUNKS_MAX + 1;
    bad[6].chunk_nbytes = UINT64_C(1) << 43; /* 2^31 pages */
    bad[7].chunk_nbytes = UINT64_C(1) << 62;
    bad[8].chunk_nbytes = UINT64_C(1) << 42; /* four of these are too many */
    for (uint32_t i = 0; i < 9; i++) {
        assert_int_equal(cma_nosleep_size(&bench.port, &bad[i]), 0);
        assert_int_equal(cma_nosleep_init(&pool, &bench.system.dma, &bad[i], words, sizeof(words)),
                         CMA_EINVAL);
    }
    bad[8].nchunks_max = 1;
    assert_true(cma_nosleep_size(&bench.port, &bad[8]) > UINT64_C(1) << 32);
    assert_int_equal(cma_nosleep_size(NULL, &good), 0);
    assert_int_equal(cma_nosleep_size(&bench.port, NULL), 0);
    assert_int_equal(cma_nosleep_init(&pool, &bench.system.dma, &good, words, size - 1),
                     CMA_ENOMEM);
    assert_int_equal(cma_nosleep_init(&pool, &bench.system.dma, &good, NULL, size), CMA_EINVAL);
    assert_int_equal(cma_nosleep_init(&pool, &bench.system.dma, &good, (uint8_t *)words + 2, size),
                     CMA_EINVAL);
    assert_int_equal(cma_nosleep_init(NULL, &bench.system.dma, &good, words, size), CMA_EINVAL);
    assert_int_equal(cma_nosleep_init(&pool, NULL, &good, words, size), CMA_EINVAL);
    assert_null(bench.system.dma.nosleep);
    /* Nothing was made, so there is nothing for who may not sleep. */
    assert_refused(&bench, &bench.plain, 1, CMA_ENOMEM, CMA_REASON_NOSLEEP);
    bench_destroy(&bench);
}

/* --- case 38 ----------------------------------------------------------------------------- */

/* Case 38: Linux chose a pool by what zone a device probably needs, and handed out memory that the
 * device could not reach. Here what a device doesn't reach is never taken. */
static void test_case_38_pool_outside_the_mask(void **state)
{
    struct bench bench;
    struct cma_nosleep_config config;
    struct cma_coherent buffer, other;

    (void)state;
    bench_create(&bench);
    config = bench_config(&bench);
    config.nchunks_max = 1;
    /* The first pool has memory above the low device's limit, though its own has none. */
    assert_int_equal(cma_nosleep_grow(bench_pool(&bench, 0, &config), PAGE, NULL), 0);
    assert_refused(&bench, &bench.low, PAGE, CMA_ERANGE, CMA_REASON_UNREACHABLE);
    assert_int_equal(stats_of(&bench.pools[0]).nrefused, 0);
    config.area = cma_system_area(&bench.system, BASE + LOW_FIRST * PAGE);
    config.paddr_last = LOW_LAST;
    assert_int_equal(cma_nosleep_grow(bench_pool(&bench, 1, &config), PAGE, NULL), 0);
    for (uint32_t i = 0; i < 16; i++) {
        buffer = get(&bench, &bench.low, PAGE);
        assert_true(buffer.daddr + (PAGE - 1) <= LOW_LAST);
    }
    assert_int_equal(stats_of(&bench.pools[0]).used_nbytes, 0);
    /* It is dry for this device, whatever the other pool has. */
    assert_refused(&bench, &bench.low, PAGE, CMA_ENOMEM, CMA_REASON_NOSLEEP);
    /* Who reaches both gets the first, and then the next. */
    other = get(&bench, &bench.plain, 16 * PAGE);
    assert_true(other.paddr > LOW_LAST);
    assert_int_equal(give(&bench, &bench.low, &buffer), 0);
    buffer = get(&bench, &bench.plain, PAGE);
    assert_true(buffer.paddr <= LOW_LAST);
    assert_refused(&bench, &bench.plain, PAGE, CMA_ENOMEM, CMA_REASON_NOSLEEP);
    assert_int_equal(stats_of(&bench.pools[0]).nrefused, 2);
    /* All but one. */
    assert_int_equal(give(&bench, &bench.plain, &buffer), 0);
    assert_int_equal(give(&bench, &bench.plain, &other), 0);
    assert_int_equal(cma_nosleep_destroy(&bench.pools[1]), CMA_EBUSY);
    for (uint64_t page = 0; cma_nosleep_next(&bench.pools[1], &page, &buffer.paddr, &buffer.nbytes,
                                             &(uint32_t){0}) == 0;) {
        buffer.daddr = buffer.paddr;
        buffer.vaddr = bench.port.vaddr(bench.port.ctx, buffer.paddr);
        buffer.source = CMA_SOURCE_NOSLEEP;
        assert_int_equal(give(&bench, &bench.low, &buffer), 0);
    }
    bench_destroy(&bench);
}

/* Case 38, the second half: a pool for a zone that has no memory at all. It stays empty, says so,
 * and is in nobody's way. */
static void test_case_38_pool_of_an_empty_zone(void **state)
{
    struct bench bench;
    struct cma_nosleep_config config;
    struct cma_refusal refusal = {0};
    struct cma_coherent buffer;

    (void)state;
    bench_create(&bench);
    config = bench_config(&bench);
    config.paddr_last = 0xffffff;
    assert_int_equal(cma_nosleep_grow(bench_pool(&bench, 0, &config), PAGE, &refusal), CMA_ERANGE);
    assert_int_equal(refusal.reason, CMA_REASON_UNREACHABLE);
    assert_refused(&bench, &bench.plain, PAGE, CMA_ENOMEM, CMA_REASON_NOSLEEP);
    assert_int_equal(bench.lows, 1);
    config.paddr_last = CMA_PADDR_MAX;
    assert_int_equal(cma_nosleep_grow(bench_pool(&bench, 1, &config), PAGE, NULL), 0);
    buffer = get(&bench, &bench.plain, PAGE);
    assert_int_equal(give(&bench, &bench.plain, &buffer), 0);
    assert_int_equal(stats_of(&bench.pools[0]).nbytes, 0);
    assert_int_equal(cma_nosleep_trim(&bench.pools[0], 0), 0);
    bench_destroy(&bench);
}

/* Case 38: a device that reaches the first page of a chunk and not the last gets nothing of it. */
static void test_case_38_last_byte(void **state)
{
    struct bench bench;
    struct cma_nosleep_config config;
    struct cma_device device;
    struct cma_coherent buffer;

    (void)state;
    bench_create(&bench);
    config = bench_config(&bench);
    assert_int_equal(cma_nosleep_grow(bench_pool(&bench, 0, &config), PAGE, NULL), 0);
    buffer = get(&bench, &bench.plain, 16 * PAGE);
    assert_int_equal(give(&bench, &bench.plain, &buffer), 0);
    bench_device(&bench, &device, 31, buffer.paddr + 16 * PAGE - 2, 0);
    assert_refused(&bench, &device, PAGE, CMA_ERANGE, CMA_REASON_UNREACHABLE);
    bench_device(&bench, &device, 31, buffer.paddr + 16 * PAGE - 1, 0);
    buffer = get(&bench, &device, 16 * PAGE);
    assert_int_equal(give(&bench, &device, &buffer), 0);
    bench_destroy(&bench);
}

/* --- bytes ------------------------------------------------------------------------------- */

static uint64_t foreign(struct bench *bench, const struct cma_coherent *buffer, uint64_t whole)
{
    uint8_t bytes[16 * PAGE];
    uint64_t count = 0;

    sim_read(bench->sim, buffer->vaddr, bytes, whole);
    for (uint64_t i = 0; i < whole; i++) {
        count += bytes[i] != 0;
    }
    sim_dev_read(bench->sim, buffer->paddr, bytes, whole, false);
    for (uint64_t i = 0; i < whole; i++) {
        count += bytes[i] != 0;
    }
    return count;
}

static void vaddr_nothing(void *ctx, void *vaddr, uint64_t nbytes)
{
    (void)ctx;
    (void)vaddr;
    (void)nbytes;
}

/* H1: zero to the end of the last page for CPU and device, however often it was handed on, and H5:
 * what a device writes behind its free is gone when the next one gets it. `zeroes`: with the hook
 * that zeroes; without, this test must see bytes. */
static void test_h1_handed_on(void **state)
{
    struct bench bench;
    struct cma_nosleep_config config;
    struct cma_coherent buffer;
    uint8_t bytes[4 * PAGE];
    uint64_t seen[2] = {0, 0};

    (void)state;
    memset(bytes, 0xee, sizeof(bytes));
    for (uint32_t zeroes = 0; zeroes < 2; zeroes++) {
        bench_create(&bench);
        if (zeroes == 0) {
            bench.port.zero_vaddr = vaddr_nothing;
        }
        config = bench_config(&bench);
        assert_int_equal(cma_nosleep_grow(bench_pool(&bench, 0, &config), 20 * PAGE, NULL), 0);
        for (uint32_t i = 0; i < 100; i++) {
            struct cma_device *device = i % 3 == 0 ? &bench.snooping : &bench.plain;

            buffer = get(&bench, device, 3 * PAGE + 1 + i);
            seen[zeroes] += foreign(&bench, &buffer, 4 * PAGE);
            sim_write(bench.sim, buffer.vaddr, bytes, 2 * PAGE);
            sim_dev_write(bench.sim, buffer.paddr + 2 * PAGE, bytes, 2 * PAGE, i % 3 == 0);
            assert_int_equal(give(&bench, device, &buffer), 0);
            sim_dev_write(bench.sim, buffer.paddr + i, bytes, 1, false);
        }
        bench_destroy(&bench);
    }
    assert_true(seen[0] > 1000);
    assert_int_equal(seen[1], 0);
}

/* Without the hook a vaddr is a pointer. */
static void test_zero_without_hook(void **state)
{
    struct bench bench;
    struct cma_nosleep_config config;
    struct cma_coherent_request request = {.nbytes = PAGE, .flags = CMA_COHERENT_NO_ZERO};
    struct cma_coherent buffer;
    uint8_t byte = 0;

    (void)state;
    bench_create(&bench);
    config = bench_config(&bench);
    assert_int_equal(cma_nosleep_grow(bench_pool(&bench, 0, &config), PAGE, NULL), 0);
    /* Who doesn't want it zeroed gets what was there. */
    assert_int_equal(ask(&bench, &bench.plain, &request, &buffer, NULL), 0);
    assert_int_equal(foreign(&bench, &buffer, PAGE), 0);
    sim_write(bench.sim, buffer.vaddr, "x", 1);
    assert_int_equal(give(&bench, &bench.plain, &buffer), 0);
    assert_int_equal(ask(&bench, &bench.plain, &request, &buffer, NULL), 0);
    sim_read(bench.sim, buffer.vaddr, &byte, 1);
    assert_int_equal(byte, 'x');
    assert_int_equal(give(&bench, &bench.plain, &buffer), 0);
    bench_destroy(&bench);
}

/* --- lengths and places ------------------------------------------------------------------ */

static void test_exact_lengths(void **state)
{
    struct bench bench;
    struct cma_nosleep_config config;
    struct cma_coherent buffers[5];

    (void)state;
    bench_create(&bench);
    config = bench_config(&bench);
    config.nchunks_max = 1;
    assert_int_equal(cma_nosleep_grow(bench_pool(&bench, 0, &config), 16 * PAGE, NULL), 0);
    /* Powers of two would have room for three of these. */
    for (uint32_t i = 0; i < 5; i++) {
        buffers[i] = get(&bench, &bench.plain, 2 * PAGE + 1);
    }
    (void)get(&bench, &bench.plain, 1);
    assert_int_equal(stats_of(&bench.pools[0]).used_nbytes, 16 * PAGE);
    assert_int_equal(stats_of(&bench.pools[0]).free_run_nbytes, 0);
    assert_refused(&bench, &bench.plain, 1, CMA_ENOMEM, CMA_REASON_NOSLEEP);
    assert_refused(&bench, &bench.plain, 16 * PAGE + 1, CMA_ENOMEM, CMA_REASON_TOO_LARGE);
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(give(&bench, &bench.plain, &buffers[i]), 0);
    }
    assert_int_equal(stats_of(&bench.pools[0]).used_nbytes, PAGE);
    assert_int_equal(stats_of(&bench.pools[0]).most_used_nbytes, 16 * PAGE);
    assert_int_equal(stats_of(&bench.pools[0]).free_run_nbytes, 15 * PAGE);
    buffers[1] = get(&bench, &bench.plain, 1);
    assert_int_equal(give(&bench, &bench.plain, &buffers[1]), 0);
    assert_int_equal(stats_of(&bench.pools[0]).most_used_nbytes, 16 * PAGE);
    buffers[0].paddr = 0;
    for (uint64_t page = 0; cma_nosleep_next(&bench.pools[0], &page, &buffers[0].paddr,
                                             &buffers[0].nbytes, &(uint32_t){0}) == 0;) {
        assert_int_equal(buffers[0].nbytes, PAGE);
    }
    buffers[0].daddr = buffers[0].paddr;
    buffers[0].vaddr = bench.port.vaddr(bench.port.ctx, buffers[0].paddr);
    assert_int_equal(give(&bench, &bench.plain, &buffers[0]), 0);
    bench_destroy(&bench);
}

/* Alignment and boundary are those of the device's address, which a bus has shifted. */
static void test_alignment_of_daddr(void **state)
{
    struct bench bench;
    struct cma_nosleep_config config;
    struct cma_coherent_request request = {.nbytes = 3 * PAGE, .align_nbytes = 4 * PAGE};
    struct cma_coherent buffers[4], buffer;
    struct cma_refusal refusal;
    uint32_t n = 0;

    (void)state;
    bench_create(&bench);
    config = bench_config(&bench);
    config.nchunks_max = 1;
    assert_int_equal(cma_nosleep_grow(bench_pool(&bench, 0, &config), 16 * PAGE, NULL), 0);
    while (n < 4 && ask(&bench, &bench.shifted, &request, &buffers[n], NULL) == 0) {
        assert_int_equal(buffers[n].daddr % (4 * PAGE), 0);
        assert_int_equal(buffers[n].daddr, buffers[n].paddr - BASE + 5 * PAGE);
        n++;
    }
    assert_int_equal(n, 3);
    while (n != 0) {
        assert_int_equal(give(&bench, &bench.shifted, &buffers[--n]), 0);
    }
    request = (struct cma_coherent_request){.nbytes = 3 * PAGE, .boundary_nbytes = 4 * PAGE};
    while (n < 4 && ask(&bench, &bench.shifted, &request, &buffers[n], NULL) == 0) {
        assert_int_equal(buffers[n].daddr / (4 * PAGE),
                         (buffers[n].daddr + 3 * PAGE - 1) / (4 * PAGE));
        n++;
    }
    assert_true(n >= 3);
    while (n != 0) {
        assert_int_equal(give(&bench, &bench.shifted, &buffers[--n]), 0);
    }
    /* More than any address has: only daddr 0 would do. */
    request = (struct cma_coherent_request){.nbytes = PAGE, .align_nbytes = UINT64_C(1) << 63};
    assert_int_equal(ask(&bench, &bench.shifted, &request, &buffer, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_NOSLEEP);
    request = (struct cma_coherent_request){.nbytes = PAGE, .boundary_nbytes = UINT64_C(1) << 63};
    assert_int_equal(ask(&bench, &bench.shifted, &request, &buffer, &refusal), 0);
    assert_int_equal(give(&bench, &bench.shifted, &buffer), 0);
    bench_destroy(&bench);
}

/* Alignments and boundaries that no 32 bits of pages hold, of a chunk at 2^43 for its device. */
static void test_far_alignment(void **state)
{
    struct bench bench;
    struct cma_nosleep_config config;
    struct cma_coherent_request request = {.nbytes = PAGE};
    struct cma_device_config far = {
        .name = "far", .owner = 41, .mask = UINT64_MAX, .coherent_mask = UINT64_MAX, .nwindows = 1};
    struct cma_bus_window window = {.nbytes = 16 * PAGE};
    struct cma_device device;
    struct cma_coherent buffer;

    (void)state;
    bench_create(&bench);
    config = bench_config(&bench);
    assert_int_equal(cma_nosleep_grow(bench_pool(&bench, 0, &config), PAGE, NULL), 0);
    buffer = get(&bench, &bench.plain, 16 * PAGE);
    assert_int_equal(give(&bench, &bench.plain, &buffer), 0);
    window.paddr = buffer.paddr;
    window.daddr = UINT64_C(1) << 43;
    far.windows = &window;
    assert_int_equal(cma_device_init(&device, &bench.system.dma, &far), 0);
    request.align_nbytes = UINT64_C(1) << 44;
    assert_int_equal(ask(&bench, &device, &request, &buffer, NULL), CMA_ENOMEM);
    request.align_nbytes = UINT64_C(1) << 43;
    for (uint32_t i = 0; i < 2; i++) {
        request.boundary_nbytes = i * (UINT64_C(1) << 43);
        assert_int_equal(ask(&bench, &device, &request, &buffer, NULL), 0);
        assert_int_equal(buffer.daddr, UINT64_C(1) << 43);
        assert_int_equal(give(&bench, &device, &buffer), 0);
    }
    bench_destroy(&bench);
    /* Across a multiple of 2^44. */
    bench_create(&bench);
    assert_int_equal(cma_nosleep_grow(bench_pool(&bench, 0, &config), PAGE, NULL), 0);
    window.daddr = (UINT64_C(1) << 44) - 8 * PAGE;
    assert_int_equal(cma_device_init(&device, &bench.system.dma, &far), 0);
    request = (struct cma_coherent_request){.nbytes = 9 * PAGE};
    assert_int_equal(ask(&bench, &device, &request, &buffer, NULL), 0);
    assert_int_equal(give(&bench, &device, &buffer), 0);
    request.boundary_nbytes = UINT64_C(1) << 44;
    assert_int_equal(ask(&bench, &device, &request, &buffer, NULL), CMA_ENOMEM);
    bench_destroy(&bench);
}

/* --- frees ------------------------------------------------------------------------------- */

/* Wrong length, wrong device, inside, twice, addresses that do not belong together: refused, and
 * nothing has changed (case 45, H7). */
static void test_wrong_frees(void **state)
{
    struct bench bench;
    struct cma_nosleep_config config;
    struct cma_coherent buffer, wrong;

    (void)state;
    bench_create(&bench);
    config = bench_config(&bench);
    assert_int_equal(cma_nosleep_grow(bench_pool(&bench, 0, &config), PAGE, NULL), 0);
    buffer = get(&bench, &bench.plain, 3 * PAGE);
#define WRONG(field, value, code)                                 \
    wrong = buffer;                                               \
    wrong.field = (value);                                        \
    assert_int_equal(give(&bench, &bench.plain, &wrong), (code)); \
    assert_int_equal(stats_of(&bench.pools[0]).used_nbytes, 3 * PAGE)
    WRONG(nbytes, 2 * PAGE, CMA_EINVAL);
    WRONG(nbytes, 4 * PAGE, CMA_EINVAL);
    WRONG(nbytes, 0, CMA_EINVAL);
    WRONG(nbytes, UINT64_MAX, CMA_EINVAL);
    WRONG(daddr, buffer.daddr + PAGE, CMA_EINVAL);
    WRONG(vaddr, (uint8_t *)buffer.vaddr + 1, CMA_EINVAL);
    WRONG(vaddr, NULL, CMA_EINVAL);
    WRONG(paddr, buffer.paddr + 1, CMA_EINVAL);
    WRONG(paddr, buffer.paddr + PAGE, CMA_EBADF);
    WRONG(paddr, buffer.paddr + 3 * PAGE, CMA_EBADF);
    WRONG(paddr, BASE, CMA_EBADF);
    WRONG(source, CMA_SOURCE_DEFAULT_AREA, CMA_EPERM);
#undef WRONG
    assert_int_equal(give(&bench, &bench.low, &buffer), CMA_EPERM);
    assert_int_equal(give(&bench, &bench.snooping, &buffer), CMA_EPERM);
    assert_int_equal(give(&bench, &bench.plain, &buffer), 0);
    assert_int_equal(give(&bench, &bench.plain, &buffer), CMA_EBADF);
    /* Somebody else's by now. */
    wrong = get(&bench, &bench.snooping, 3 * PAGE);
    assert_int_equal(wrong.paddr, buffer.paddr);
    assert_int_equal(give(&bench, &bench.plain, &buffer), CMA_EPERM);
    assert_int_equal(give(&bench, &bench.snooping, &wrong), 0);
    bench_destroy(&bench);
}

static void test_what_it_does_not_serve(void **state)
{
    struct bench bench;
    struct cma_nosleep_config config;
    struct cma_coherent_request request = {.nbytes = PAGE, .flags = CMA_COHERENT_NO_MAPPING};
    struct cma_coherent buffer;
    struct cma_refusal refusal;

    (void)state;
    bench_create(&bench);
    config = bench_config(&bench);
    assert_int_equal(cma_nosleep_grow(bench_pool(&bench, 0, &config), PAGE, NULL), 0);
    assert_int_equal(ask(&bench, &bench.plain, &request, &buffer, &refusal), CMA_EINVAL);
    request.flags = CMA_COHERENT_WRITE_COMBINE;
    assert_int_equal(ask(&bench, &bench.plain, &request, &buffer, &refusal), 0);
    assert_int_equal(give(&bench, &bench.plain, &buffer), 0);
    bench_destroy(&bench);
}

/* --- growing ----------------------------------------------------------------------------- */

/* `low` comes once, before the pool is dry, and again only when somebody has grown it. */
static void test_low(void **state)
{
    struct bench bench;
    struct cma_nosleep_config config;
    struct cma_coherent first, second;

    (void)state;
    bench_create(&bench);
    config = bench_config(&bench);
    assert_int_equal(cma_nosleep_grow(bench_pool(&bench, 0, &config), 16 * PAGE, NULL), 0);
    first = get(&bench, &bench.plain, 12 * PAGE);
    assert_int_equal(bench.lows, 0);
    second = get(&bench, &bench.plain, PAGE);
    assert_int_equal(bench.lows, 1);
    assert_int_equal(bench.low_nbytes, 3 * PAGE);
    assert_int_equal(give(&bench, &bench.plain, &second), 0);
    second = get(&bench, &bench.plain, PAGE);
    assert_int_equal(bench.lows, 1);
    assert_int_equal(cma_nosleep_grow(&bench.pools[0], 8 * PAGE, NULL), 0);
    assert_int_equal(stats_of(&bench.pools[0]).nbytes, 32 * PAGE);
    assert_int_equal(give(&bench, &bench.plain, &first), 0);
    first = get(&bench, &bench.plain, 14 * PAGE);
    assert_int_equal(bench.lows, 1);
    assert_int_equal(give(&bench, &bench.plain, &second), 0);
    second = get(&bench, &bench.plain, 16 * PAGE);
    assert_int_equal(bench.lows, 2);
    /* A refusal tells too, after somebody has tried to grow it. */
    assert_refused(&bench, &bench.plain, 3 * PAGE, CMA_ENOMEM, CMA_REASON_NOSLEEP);
    assert_int_equal(bench.lows, 2);
    assert_int_equal(cma_nosleep_grow(&bench.pools[0], 0, NULL), 0);
    assert_refused(&bench, &bench.plain, 3 * PAGE, CMA_ENOMEM, CMA_REASON_NOSLEEP);
    assert_int_equal(bench.lows, 3);
    assert_int_equal(give(&bench, &bench.plain, &first), 0);
    assert_int_equal(give(&bench, &bench.plain, &second), 0);
    bench_destroy(&bench);
}

static void test_grow_and_trim(void **state)
{
    struct bench bench;
    struct cma_nosleep_config config;
    struct cma_refusal refusal = {0};
    struct cma_nosleep *pool;
    struct cma_coherent buffer;

    (void)state;
    bench_create(&bench);
    config = bench_config(&bench);
    pool = bench_pool(&bench, 0, &config);
    assert_int_equal(cma_nosleep_grow(pool, 0, NULL), 0);
    assert_int_equal(stats_of(pool).nbytes, 0);
    assert_int_equal(cma_nosleep_grow(pool, 64 * PAGE + 1, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_TOO_LARGE);
    assert_int_equal(stats_of(pool).nbytes, 64 * PAGE);
    assert_int_equal(cma_nosleep_trim(pool, 48 * PAGE + 1), 0);
    assert_int_equal(cma_nosleep_trim(pool, 33 * PAGE), 16 * PAGE);
    buffer = get(&bench, &bench.plain, PAGE);
    /* 47 idle: one chunk that is idle may go and leave 31. */
    assert_int_equal(cma_nosleep_trim(pool, 31 * PAGE), 16 * PAGE);
    assert_int_equal(cma_nosleep_trim(pool, 0), 16 * PAGE);
    assert_int_equal(stats_of(pool).nbytes, 16 * PAGE);
    bench_check(&bench);
    assert_int_equal(cma_nosleep_destroy(pool), CMA_EBUSY);
    assert_int_equal(give(&bench, &bench.plain, &buffer), 0);
    assert_int_equal(cma_nosleep_trim(pool, 0), 16 * PAGE);
    assert_int_equal(give(&bench, &bench.plain, &buffer), CMA_EBADF);
    assert_int_equal(cma_nosleep_grow(pool, PAGE, NULL), 0);
    bench_destroy(&bench);
}

/* An interrupt in the middle of growing and trimming: no lock is held, and the pool serves. */
static struct cma_coherent held;

static void interrupt(struct bench *bench)
{
    struct cma_coherent_request request = {.nbytes = 2 * PAGE};

    if (held.nbytes != 0) {
        assert_int_equal(give(bench, &bench->plain, &held), 0);
        held.nbytes = 0;
    } else if (ask(bench, &bench->plain, &request, &held, NULL) != 0) {
        held.nbytes = 0;
    }
    /* Nobody else may end it, nor take the records of chunks that are on their way. */
    assert_int_equal(cma_nosleep_destroy(&bench->pools[0]), CMA_EBUSY);
}

static void test_interrupts_while_growing(void **state)
{
    struct bench bench;
    struct cma_nosleep_config config;

    (void)state;
    bench_create(&bench);
    config = bench_config(&bench);
    memset(&held, 0, sizeof(held));
    (void)bench_pool(&bench, 0, &config);
    bench.on_flush = interrupt;
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(cma_nosleep_grow(&bench.pools[0], (16 + i % 30) * PAGE, NULL), 0);
        (void)cma_nosleep_trim(&bench.pools[0], i % 7 * PAGE);
    }
    bench.on_flush = NULL;
    if (held.nbytes != 0) {
        assert_int_equal(give(&bench, &bench.plain, &held), 0);
    }
    assert_true(stats_of(&bench.pools[0]).most_used_nbytes == 2 * PAGE);
    bench_destroy(&bench);
}

/* Somebody grows while another one does: no record is left for him. */
static int second_grow;

static void grow_too(struct bench *bench)
{
    bench->on_flush = NULL;
    second_grow = cma_nosleep_grow(&bench->pools[0], 64 * PAGE, NULL);
}

static void test_two_that_grow(void **state)
{
    struct bench bench;
    struct cma_nosleep_config config;

    (void)state;
    bench_create(&bench);
    config = bench_config(&bench);
    (void)bench_pool(&bench, 0, &config);
    bench.on_flush = grow_too;
    assert_int_equal(cma_nosleep_grow(&bench.pools[0], PAGE, NULL), 0);
    assert_int_equal(second_grow, CMA_EAGAIN);
    assert_int_equal(stats_of(&bench.pools[0]).nbytes, 64 * PAGE);
    bench_destroy(&bench);
}

/* The source refuses: its word comes through, and what was taken before stays. */
static void test_source_refuses(void **state)
{
    struct bench bench;
    struct cma_nosleep_config config;
    struct cma_refusal refusal = {0};

    (void)state;
    bench_create(&bench);
    config = bench_config(&bench);
    config.chunk_nbytes = 100 * PAGE;
    config.area = cma_system_area(&bench.system, BASE + LOW_FIRST * PAGE);
    config.paddr_last = LOW_LAST;
    assert_int_equal(cma_nosleep_grow(bench_pool(&bench, 0, &config), PAGE, &refusal), CMA_ENOMEM);
    assert_int_not_equal(refusal.reason, CMA_REASON_NONE);
    config.chunk_nbytes = 40 * PAGE;
    assert_int_equal(cma_nosleep_grow(bench_pool(&bench, 1, &config), 120 * PAGE, &refusal),
                     CMA_ENOMEM);
    assert_in_range(stats_of(&bench.pools[1]).nbytes, 40 * PAGE, 80 * PAGE);
    bench_destroy(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_case_38_pool_outside_the_mask),
        cmocka_unit_test(test_case_38_pool_of_an_empty_zone),
        cmocka_unit_test(test_case_38_last_byte),
        cmocka_unit_test(test_h1_handed_on),
        cmocka_unit_test(test_zero_without_hook),
        cmocka_unit_test(test_exact_lengths),
        cmocka_unit_test(test_alignment_of_daddr),
        cmocka_unit_test(test_far_alignment),
        cmocka_unit_test(test_wrong_frees),
        cmocka_unit_test(test_what_it_does_not_serve),
        cmocka_unit_test(test_low),
        cmocka_unit_test(test_grow_and_trim),
        cmocka_unit_test(test_interrupts_while_growing),
        cmocka_unit_test(test_two_that_grow),
        cmocka_unit_test(test_source_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
