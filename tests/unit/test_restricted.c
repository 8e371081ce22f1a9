/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_restricted.c - coherent memory of devices that have nothing but their bounce pool
 *
 * 4 MiB from 0x80000000: a default area of 1 MiB that nobody here may get anything of, and 32 pages
 * that are reserved for one device and mapped cached, as a restricted-dma-pool is.
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
#define NPAGES 1024u
#define AREA_FIRST 256u
#define AREA_NPAGES 256u
#define POOL (BASE + 640 * PAGE)
#define POOL_NPAGES 32u
#define OFFSET (UINT64_C(0x50000000) + 3 * PAGE) /* paddr less daddr */
#define DATA (BASE + 700 * PAGE)

struct bench {
    struct sim *sim;
    struct cma_port port;
    struct cma_range memory[1], reserved[2];
    struct cma_map map;
    struct cma_zone zone;
    struct cma_system system;
    void *storage, *pool_storage;
    struct cma_bus_window window;
    struct cma_bounce pool;
    struct cma_device device, other;
    struct simdev eyes;
    uint64_t idle_npages;
};

static uint64_t bench_idle(struct bench *bench)
{
    struct cma_area_stats area;
    struct cma_pages_stats pages;

    cma_pages_stats(&bench->system.pages, &pages);
    cma_area_stats(&bench->system.areas[0], &area);
    assert_int_equal(area.claimed_npages, 0);
    return pages.zone_idle_npages[0] + area.idle_npages;
}

static void bench_create(struct bench *bench, uint32_t flags, uint64_t offset)
{
    struct sim_memory memory = {BASE, (uint64_t)NPAGES * PAGE};
    struct sim_config config = {.seed = 9, .memory = &memory, .nmemory = 1, .cache_nbytes = 65536};
    struct cma_range area = {.base = BASE + AREA_FIRST * PAGE,
                             .nbytes = AREA_NPAGES * PAGE,
                             .kind = CMA_RANGE_AREA,
                             .flags = CMA_RANGE_DEFAULT,
                             .name = "default"};
    struct cma_range pool = {.base = POOL,
                             .nbytes = POOL_NPAGES * PAGE,
                             .kind = CMA_RANGE_COHERENT_POOL,
                             .name = "restricted"};
    struct cma_system_config system = {.block_order = 6, .nzones = 1};
    struct cma_bounce_config bounce = {
        .name = "restricted", .nbytes = POOL_NPAGES * PAGE, .owner = 50, .paddr = POOL};
    struct cma_device_config device = {.name = "dev",
                                       .owner = 51,
                                       .mask = UINT32_MAX,
                                       .coherent_mask = UINT32_MAX,
                                       .nwindows = 1,
                                       .flags = flags | CMA_DEVICE_RESTRICTED,
                                       .bounce = &bench->pool};
    uint64_t nbytes;

    memset(bench, 0, sizeof(*bench));
    bench->sim = sim_create(&config);
    assert_non_null(bench->sim);
    bench->port = *sim_port(bench->sim);
    assert_int_equal(cma_map_init(&bench->map, bench->memory, 1, bench->reserved, 2), 0);
    assert_int_equal(cma_map_add_memory(&bench->map, memory.base, memory.nbytes, NULL), 0);
    assert_int_equal(cma_map_reserve(&bench->map, &area, NULL), 0);
    assert_int_equal(cma_map_reserve(&bench->map, &pool, NULL), 0);
    bench->zone.last = CMA_PADDR_MAX;
    system.port = &bench->port;
    system.zones = &bench->zone;
    nbytes = cma_system_size(&bench->map, &system);
    bench->storage = aligned_alloc(8, nbytes);
    assert_int_equal(cma_system_init(&bench->system, &bench->map, &system, bench->storage, nbytes),
                     0);
    nbytes = cma_bounce_size(&bench->port, &bounce);
    bench->pool_storage = aligned_alloc(8, nbytes);
    assert_int_equal(cma_bounce_init(&bench->pool, &bench->system.dma, &bounce, bench->pool_storage,
                                     nbytes, NULL),
                     0);
    bench->window =
        (struct cma_bus_window){.daddr = BASE - offset, .paddr = BASE, .nbytes = NPAGES * PAGE};
    device.windows = &bench->window;
    assert_int_equal(cma_device_init(&bench->device, &bench->system.dma, &device), 0);
    device.owner = 52;
    assert_int_equal(cma_device_init(&bench->other, &bench->system.dma, &device), 0);
    simdev_init(&bench->eyes, bench->sim,
                &(struct simdev_config){.name = "dev",
                                        .windows = &bench->window,
                                        .nwindows = 1,
                                        .snoops = (flags & CMA_DEVICE_COHERENT) != 0});
    bench->idle_npages = bench_idle(bench);
}

static void bench_destroy(struct bench *bench)
{
    struct cma_violation violation;
    cma_paddr_t paddr, at;
    enum cma_attr attr;

    assert_true(cma_bounce_check(&bench->pool));
    assert_int_equal(cma_bounce_destroy(&bench->pool), 0);
    if (!cma_system_check(&bench->system, &violation)) {
        fail_msg("%s", violation.what);
    }
    assert_true(sim_check_aliases(bench->sim, &paddr));
    assert_int_equal(bench_idle(bench), bench->idle_npages);
    for (uint64_t i = 0; i < POOL_NPAGES; i++) {
        void *vaddr = bench->port.vaddr(bench->sim, POOL + i * PAGE);

        assert_int_equal(bench->port.lookup(bench->sim, vaddr, &at, &attr), 0);
        assert_int_equal(attr, CMA_ATTR_CACHED);
    }
    sim_destroy(bench->sim);
    free(bench->pool_storage);
    free(bench->storage);
}

static int ask(struct cma_device *device, uint64_t nbytes, uint32_t flags,
               struct cma_coherent *buffer, struct cma_refusal *refusal)
{
    struct cma_coherent_request request = {.nbytes = nbytes, .flags = flags};

    return cma_dma_alloc_coherent(device, &request, buffer, refusal);
}

static struct cma_coherent get(struct bench *bench, uint64_t nbytes)
{
    struct cma_coherent buffer;
    struct cma_refusal refusal = {0};
    int error = ask(&bench->device, nbytes, 0, &buffer, &refusal);

    if (error != 0) {
        fail_msg("%s (%s)", cma_strerror(error), cma_reason_name(refusal.reason));
    }
    assert_int_equal(buffer.source, CMA_SOURCE_BOUNCE);
    assert_true(buffer.paddr >= POOL && buffer.paddr + nbytes <= POOL + POOL_NPAGES * PAGE);
    return buffer;
}

static uint64_t differ(const uint8_t *bytes, uint64_t nbytes, uint8_t byte)
{
    uint64_t count = 0;

    for (uint64_t i = 0; i < nbytes; i++) {
        count += bytes[i] != byte;
    }
    return count;
}

/* Both see zeroes, then each what the other writes, without a word between them. */
static void use(struct bench *bench, const struct cma_coherent *buffer, uint64_t whole)
{
    uint8_t bytes[8 * PAGE];

    sim_read(bench->sim, buffer->vaddr, bytes, whole);
    assert_int_equal(differ(bytes, whole, 0), 0);
    assert_true(simdev_read(&bench->eyes, buffer->daddr, bytes, whole));
    assert_int_equal(differ(bytes, whole, 0), 0);
    memset(bytes, 0x61, whole);
    sim_write(bench->sim, buffer->vaddr, bytes, whole);
    memset(bytes, 0, whole);
    assert_true(simdev_read(&bench->eyes, buffer->daddr, bytes, whole));
    assert_int_equal(differ(bytes, whole, 0x61), 0);
    memset(bytes, 0x62, whole);
    assert_true(simdev_write(&bench->eyes, buffer->daddr, bytes, whole));
    memset(bytes, 0, whole);
    sim_read(bench->sim, buffer->vaddr, bytes, whole);
    assert_int_equal(differ(bytes, whole, 0x62), 0);
}

/* --- what it gets ------------------------------------------------------------------------ */

static void seen_the_same(uint32_t flags)
{
    struct bench bench;
    struct cma_coherent buffers[3];
    cma_paddr_t paddr;
    enum cma_attr attr;

    bench_create(&bench, flags, OFFSET);
    for (uint32_t i = 0; i < 20; i++) {
        for (uint32_t k = 0; k < 3; k++) {
            buffers[k] = get(&bench, (2 * k + 1) * PAGE + i);
            assert_int_equal(buffers[k].daddr, buffers[k].paddr - OFFSET);
            assert_int_equal(bench.port.lookup(bench.sim, buffers[k].vaddr, &paddr, &attr), 0);
            assert_int_equal(paddr, buffers[k].paddr);
            assert_int_equal(attr, flags != 0 ? CMA_ATTR_CACHED : CMA_ATTR_UNCACHED);
            use(&bench, &buffers[k], (2 * k + 1 + (i != 0)) * PAGE);
        }
        for (uint32_t k = 0; k < 3; k++) {
            assert_int_equal(cma_dma_free_coherent(&bench.device, &buffers[(k + i) % 3]), 0);
            /* H5: it was not quiet yet. The next one sees nothing of it. */
            sim_dev_write(bench.sim, buffers[(k + i) % 3].paddr + i, "late", 4, false);
        }
        assert_true(cma_bounce_check(&bench.pool));
    }
    bench_destroy(&bench);
}

static void test_seen_the_same(void **state)
{
    (void)state;
    seen_the_same(0);
    seen_the_same(CMA_DEVICE_COHERENT);
}

/* H6: when the pool is full that is a refusal, and never ordinary memory, whatever there is. */
static void test_h6_never_other_memory(void **state)
{
    struct bench bench;
    struct cma_coherent buffers[POOL_NPAGES], buffer;
    struct cma_refusal refusal;

    (void)state;
    bench_create(&bench, 0, OFFSET);
    for (uint32_t i = 0; i < POOL_NPAGES; i++) {
        buffers[i] = get(&bench, PAGE);
        assert_int_equal(bench_idle(&bench), bench.idle_npages);
    }
    assert_int_equal(ask(&bench.device, 1, 0, &buffer, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_BOUNCE);
    assert_int_equal(ask(&bench.other, 1, CMA_COHERENT_UNPROMISED, &buffer, &refusal), CMA_ENOMEM);
    assert_int_equal(ask(&bench.device, POOL_NPAGES * PAGE + 1, 0, &buffer, &refusal), CMA_ERANGE);
    assert_int_equal(refusal.reason, CMA_REASON_TOO_LARGE);
    assert_int_equal(cma_dma_free_coherent(&bench.device, &buffers[7]), 0);
    buffers[7] = get(&bench, PAGE);
    for (uint32_t i = 0; i < POOL_NPAGES; i++) {
        assert_int_equal(cma_dma_free_coherent(&bench.device, &buffers[i]), 0);
    }
    buffer = get(&bench, POOL_NPAGES * PAGE);
    assert_int_equal(cma_dma_free_coherent(&bench.device, &buffer), 0);
    bench_destroy(&bench);
}

/* Whoever may not sleep is not served by changing attributes, nor from a pool of ordinary memory.
 */
static void test_h6_not_sleeping(void **state)
{
    struct bench bench;
    struct cma_nosleep_config config = {.name = "pool",
                                        .owner = 77,
                                        .paddr_last = CMA_PADDR_MAX,
                                        .chunk_nbytes = 8 * PAGE,
                                        .nchunks_max = 1};
    uint32_t words[1024];
    struct cma_nosleep pool;
    struct cma_coherent buffer;
    struct cma_refusal refusal;

    (void)state;
    bench_create(&bench, 0, OFFSET);
    assert_int_equal(cma_nosleep_init(&pool, &bench.system.dma, &config, words, sizeof(words)), 0);
    assert_int_equal(cma_nosleep_grow(&pool, PAGE, NULL), 0);
    assert_int_equal(ask(&bench.device, PAGE, CMA_COHERENT_NOSLEEP, &buffer, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_NOSLEEP);
    assert_int_equal(cma_nosleep_destroy(&pool), 0);
    bench_destroy(&bench);
    bench_create(&bench, CMA_DEVICE_COHERENT, OFFSET);
    assert_int_equal(ask(&bench.device, PAGE, CMA_COHERENT_NOSLEEP, &buffer, &refusal), 0);
    assert_int_equal(buffer.source, CMA_SOURCE_BOUNCE);
    assert_int_equal(cma_dma_free_coherent(&bench.device, &buffer), 0);
    bench_destroy(&bench);
}

static void test_places(void **state)
{
    struct bench bench;
    struct cma_coherent_request request = {.nbytes = 3 * PAGE, .align_nbytes = 8 * PAGE};
    struct cma_coherent buffers[4], buffer;
    struct cma_refusal refusal;
    uint32_t n = 0;

    (void)state;
    bench_create(&bench, 0, OFFSET);
    while (n < 4 && cma_dma_alloc_coherent(&bench.device, &request, &buffers[n], NULL) == 0) {
        assert_int_equal(buffers[n].daddr % (8 * PAGE), 0);
        n++;
    }
    assert_true(n >= 3);
    while (n != 0) {
        assert_int_equal(cma_dma_free_coherent(&bench.device, &buffers[--n]), 0);
    }
    request = (struct cma_coherent_request){.nbytes = 3 * PAGE, .boundary_nbytes = 4 * PAGE};
    while (n < 4 && cma_dma_alloc_coherent(&bench.device, &request, &buffers[n], NULL) == 0) {
        assert_int_equal(buffers[n].daddr / (4 * PAGE),
                         (buffers[n].daddr + 3 * PAGE - 1) / (4 * PAGE));
        n++;
    }
    assert_int_equal(n, 4);
    while (n != 0) {
        assert_int_equal(cma_dma_free_coherent(&bench.device, &buffers[--n]), 0);
    }
    bench_destroy(&bench);
    /* A bus that shifts by half a page: no coherent memory by whole pages. */
    bench_create(&bench, 0, OFFSET + PAGE / 2);
    assert_int_equal(ask(&bench.device, PAGE, 0, &buffer, &refusal), CMA_ERANGE);
    assert_int_equal(refusal.reason, CMA_REASON_UNREACHABLE);
    bench_destroy(&bench);
}

/* Opaque, write-combining, and cached with syncs: all of them from the pool. */
static void test_kinds(void **state)
{
    struct bench bench;
    struct cma_coherent_request request = {.nbytes = 2 * PAGE};
    struct cma_contiguous contiguous;
    struct cma_coherent buffer;
    uint8_t bytes[2 * PAGE];
    cma_paddr_t paddr;
    enum cma_attr attr;

    (void)state;
    bench_create(&bench, 0, OFFSET);
    assert_int_equal(ask(&bench.device, PAGE, CMA_COHERENT_WRITE_COMBINE, &buffer, NULL), 0);
    assert_int_equal(bench.port.lookup(bench.sim, buffer.vaddr, &paddr, &attr), 0);
    assert_int_equal(attr, CMA_ATTR_WRITECOMBINE);
    assert_int_equal(cma_dma_free_coherent(&bench.device, &buffer), 0);
    assert_int_equal(ask(&bench.device, PAGE, CMA_COHERENT_NO_MAPPING, &buffer, NULL), 0);
    assert_null(buffer.vaddr);
    assert_null(bench.port.vaddr(bench.sim, buffer.paddr));
    assert_int_equal(cma_dma_free_coherent(&bench.device, &buffer), 0);
    assert_int_equal(
        cma_dma_alloc_contiguous(&bench.device, &request, CMA_BIDIRECTIONAL, &contiguous, NULL), 0);
    assert_int_equal(contiguous.buffer.source, CMA_SOURCE_BOUNCE);
    assert_int_equal(bench.port.lookup(bench.sim, contiguous.buffer.vaddr, &paddr, &attr), 0);
    assert_int_equal(attr, CMA_ATTR_CACHED);
    assert_true(simdev_read(&bench.eyes, contiguous.buffer.daddr, bytes, 2 * PAGE));
    assert_int_equal(differ(bytes, 2 * PAGE, 0), 0);
    assert_int_equal(cma_dma_free_coherent(&bench.device, &contiguous.buffer), CMA_EINVAL);
    sim_write(bench.sim, contiguous.buffer.vaddr, "dirty", 5);
    assert_int_equal(cma_dma_free_contiguous(&bench.device, &contiguous), 0);
    buffer = get(&bench, 2 * PAGE);
    use(&bench, &buffer, 2 * PAGE);
    assert_int_equal(cma_dma_free_coherent(&bench.device, &buffer), 0);
    bench_destroy(&bench);
}

/* --- frees ------------------------------------------------------------------------------- */

/* Case 39, case 45, H7: a mapping is no coherent memory and the other way round; wrong length,
 * device, place: refused, and nothing has changed. */
static void test_wrong_frees(void **state)
{
    struct bench bench;
    struct cma_coherent buffer, wrong;
    struct cma_bounce_stats stats;
    cma_daddr_t daddr;

    (void)state;
    bench_create(&bench, 0, OFFSET);
    buffer = get(&bench, 3 * PAGE);
#define WRONG(field, value, code)                                           \
    wrong = buffer;                                                         \
    wrong.field = (value);                                                  \
    assert_int_equal(cma_dma_free_coherent(&bench.device, &wrong), (code)); \
    cma_bounce_stats(&bench.pool, &stats);                                  \
    assert_int_equal(stats.used_nbytes, 3 * PAGE)
    WRONG(nbytes, 2 * PAGE, CMA_EINVAL);
    WRONG(nbytes, 0, CMA_EINVAL);
    WRONG(nbytes, UINT64_MAX, CMA_EINVAL);
    WRONG(daddr, buffer.daddr + PAGE, CMA_EINVAL);
    WRONG(vaddr, (uint8_t *)buffer.vaddr + PAGE, CMA_EINVAL);
    WRONG(vaddr, NULL, CMA_EINVAL);
    WRONG(paddr, buffer.paddr + PAGE, CMA_EBADF);
    WRONG(paddr, buffer.paddr + 1, CMA_EINVAL);
    WRONG(paddr, BASE, CMA_EBADF);
    WRONG(source, CMA_SOURCE_DEFAULT_AREA, CMA_EINVAL);
#undef WRONG
    assert_int_equal(cma_dma_free_coherent(&bench.other, &buffer), CMA_EPERM);
    assert_int_not_equal(cma_dma_unmap(&bench.device, buffer.daddr, 3 * PAGE, CMA_BIDIRECTIONAL, 0),
                         0);
    assert_int_equal(cma_dma_free_coherent(&bench.device, &buffer), 0);
    assert_int_equal(cma_dma_free_coherent(&bench.device, &buffer), CMA_EBADF);
    assert_int_equal(cma_dma_map(&bench.device, DATA, PAGE, CMA_BIDIRECTIONAL, 0, &daddr, NULL), 0);
    wrong = buffer;
    wrong.nbytes = PAGE;
    wrong.daddr = daddr;
    wrong.paddr = daddr + OFFSET;
    wrong.vaddr = bench.port.vaddr(bench.sim, wrong.paddr);
    assert_int_equal(cma_dma_free_coherent(&bench.device, &wrong), CMA_EBADF);
    assert_int_equal(cma_dma_unmap(&bench.device, daddr, PAGE, CMA_BIDIRECTIONAL, 0), 0);
    bench_destroy(&bench);
}

static void attr_nothing(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr)
{
    (void)ctx;
    (void)paddr;
    (void)nbytes;
    (void)attr;
}

/* Every third page can't be changed. */
static void attr_of_some(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr)
{
    for (uint64_t at = 0; at < nbytes; at += PAGE) {
        if ((paddr + at) / PAGE % 3 != (POOL / PAGE + 1) % 3) {
            sim_port(ctx)->set_attr(ctx, paddr + at, PAGE, attr);
        }
    }
}

/* A pool that the port maps by large blocks: refused, and the pages are the pool's again. */
static void test_attributes_cannot_change(void **state)
{
    struct bench bench;
    struct cma_coherent buffer;
    struct cma_refusal refusal;

    (void)state;
    bench_create(&bench, 0, OFFSET);
    bench.port.set_attr = attr_nothing;
    assert_int_equal(ask(&bench.device, PAGE, 0, &buffer, &refusal), CMA_EOPNOTSUPP);
    assert_true(refusal.reason == CMA_REASON_ALIAS || refusal.reason == CMA_REASON_MAPPING);
    /* In part: between pages that can. */
    bench.port.set_attr = attr_of_some;
    assert_int_equal(ask(&bench.device, 3 * PAGE, 0, &buffer, &refusal), CMA_EOPNOTSUPP);
    bench_destroy(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seen_the_same),
        cmocka_unit_test(test_h6_never_other_memory),
        cmocka_unit_test(test_h6_not_sleeping),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_kinds),
        cmocka_unit_test(test_wrong_frees),
        cmocka_unit_test(test_attributes_cannot_change),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
