/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_promise.c - coherent memory that devices were promised: admitted, served first, within its
 * bounds, and refused where the machine could not keep it
 *
 * The board: 8 MiB from 0x80000000. 1 MiB each of default area and a device's own area; the upper
 * 2 MiB have no linear mapping, and an area is there too. Ordinary memory is full of pages that can
 * be dropped, and so is what is lent of areas and slots.
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
#define NSLOTS 16u

struct counts {
    uint64_t zero, clean, invalidate, set_attr, flushes, maps; /* pages, calls */
};

/* A page cache whose pages can always be dropped. */
struct cache {
    struct cma_mover mover;
    uint32_t number;
    bool held[NPAGES];
    cma_pfn_t pfn[NPAGES];
    uint32_t ndropped;
    bool letting_go; /* of everything, just now */
};

struct bench {
    struct sim *sim;
    struct cma_port port;
    struct cma_range memory[2], reserved[4];
    struct cma_map map;
    struct cma_zone zones[2];
    struct cma_system system;
    struct cache cache;
    struct counts counts;
    void *storage;
};

static struct bench bench;

/* --- a port that counts ---------------------------------------------------------------- */

static void counted_zero(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    bench.counts.zero += nbytes / PAGE;
    sim_port(bench.sim)->zero(ctx, paddr, nbytes);
}

static void counted_clean(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    bench.counts.clean += nbytes / PAGE;
    sim_port(bench.sim)->clean(ctx, paddr, nbytes);
}

static void counted_invalidate(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    bench.counts.invalidate += nbytes / PAGE;
    sim_port(bench.sim)->invalidate(ctx, paddr, nbytes);
}

static void counted_set_attr(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr)
{
    bench.counts.set_attr += nbytes / PAGE;
    sim_port(bench.sim)->set_attr(ctx, paddr, nbytes, attr);
}

/* As a port that maps by large blocks. */
static void lazy_set_attr(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr)
{
    (void)ctx;
    (void)paddr;
    (void)nbytes;
    (void)attr;
}

static void counted_flush(void *ctx)
{
    bench.counts.flushes++;
    sim_port(bench.sim)->tlb_flush(ctx);
}

static int counted_map(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr,
                       void **vaddr)
{
    bench.counts.maps++;
    return sim_port(bench.sim)->map(ctx, paddr, nbytes, attr, vaddr);
}

static int failing_lookup(void *ctx, const void *vaddr, cma_paddr_t *paddr, enum cma_attr *attr)
{
    (void)ctx;
    (void)vaddr;
    (void)paddr;
    (void)attr;
    return CMA_ENOENT;
}

/* --- the page cache -------------------------------------------------------------------- */

static int cache_freeze(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct cache *cache = ctx;

    return cache->held[cookie] && cache->pfn[cookie] == pfn ? 0 : CMA_ENOENT;
}

static void cache_commit(void *ctx, cma_pfn_t from, cma_pfn_t to, uint32_t cookie)
{
    struct cache *cache = ctx;

    assert_true(cache->pfn[cookie] == from);
    cache->pfn[cookie] = to;
}

static void cache_abort(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    (void)ctx;
    (void)pfn;
    (void)cookie;
}

static int cache_discard(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct cache *cache = ctx;

    if (!cache->held[cookie] || cache->pfn[cookie] != pfn || cache->letting_go) {
        return CMA_ENOENT;
    }
    cache->held[cookie] = false;
    cache->ndropped++;
    return 0;
}

/* Fills memory, areas and slots with pages that have something in them. */
static void cache_fill(void)
{
    struct cache *cache = &bench.cache;
    struct cma_pages_request request = {.npages = 1};
    uint8_t junk[PAGE];

    memset(junk, 0xa5, sizeof(junk));
    request.holder.kind = CMA_KIND_DROPPABLE;
    request.holder.mover = cache->number;
    for (uint32_t i = 0; i < NPAGES; i++) {
        uint32_t before = cache->ndropped;

        request.holder.cookie = i;
        if (cache->held[i]) {
            continue;
        }
        if (cma_pages_alloc(&bench.system.pages, &request, &cache->pfn[i], NULL) != 0) {
            return;
        }
        cache->held[i] = true;
        sim_write_paddr(bench.sim, cache->pfn[i] * PAGE, junk, PAGE);
        if (cache->ndropped != before) {
            return;
        }
    }
}

static void cache_empty(void)
{
    for (uint32_t i = 0; i < NPAGES; i++) {
        if (bench.cache.held[i]) {
            assert_int_equal(cma_pages_free(&bench.system.pages, bench.cache.pfn[i], 1, i), 0);
            bench.cache.held[i] = false;
        }
    }
}

/* --- the board ------------------------------------------------------------------------- */

static void bench_area(const char *name, uint32_t first, uint32_t flags)
{
    struct cma_range range = {.base = BASE + (uint64_t)first * PAGE,
                              .nbytes = (uint64_t)AREA_NPAGES * PAGE,
                              .kind = CMA_RANGE_AREA,
                              .flags = flags,
                              .name = name};

    assert_int_equal(cma_map_reserve(&bench.map, &range, NULL), 0);
}

static void bench_port(void)
{
    bench.port = *sim_port(bench.sim);
    bench.port.zero = counted_zero;
    bench.port.clean = counted_clean;
    bench.port.invalidate = counted_invalidate;
    bench.port.set_attr = counted_set_attr;
    bench.port.tlb_flush = counted_flush;
    bench.port.map = counted_map;
}

static void bench_create(uint64_t seed, uint32_t nslots)
{
    struct sim_memory memory = {BASE, (uint64_t)NPAGES * PAGE};
    struct sim_config config = {.seed = seed,
                                .memory = &memory,
                                .nmemory = 1,
                                .linear_last = BASE + (uint64_t)HIGH_FIRST * PAGE - 1,
                                .cache_nbytes = 65536};
    struct cma_system_config system = {.block_order = 6, .nslots = nslots};
    uint64_t nbytes;

    memset(&bench, 0, sizeof(bench));
    bench.sim = sim_create(&config);
    assert_non_null(bench.sim);
    bench_port();
    assert_int_equal(cma_map_init(&bench.map, bench.memory, 2, bench.reserved, 4), 0);
    assert_int_equal(cma_map_add_memory(&bench.map, memory.base, memory.nbytes, NULL), 0);
    bench_area("default", DEFAULT_FIRST, CMA_RANGE_DEFAULT);
    bench_area("own", OWN_FIRST, 0);
    bench_area("high", HIGH_AREA_FIRST, 0);
    bench.zones[0].last = config.linear_last;
    bench.zones[1].last = CMA_PADDR_MAX;
    bench.zones[1].flags = CMA_ZONE_UNMAPPED;
    system.port = &bench.port;
    system.zones = bench.zones;
    system.nzones = 2;
    nbytes = cma_system_size(&bench.map, &system);
    bench.storage = aligned_alloc(8, nbytes);
    assert_int_equal(cma_system_init(&bench.system, &bench.map, &system, bench.storage, nbytes - 1),
                     CMA_ENOMEM);
    assert_int_equal(cma_system_init(&bench.system, &bench.map, &system, bench.storage, nbytes), 0);
    bench.cache.mover = (struct cma_mover){.name = "cache",
                                           .ctx = &bench.cache,
                                           .paddr_last = CMA_PADDR_MAX,
                                           .freeze = cache_freeze,
                                           .commit = cache_commit,
                                           .abort = cache_abort,
                                           .discard = cache_discard};
    bench.cache.number = (uint32_t)cma_mover_register(&bench.system.frames, &bench.cache.mover);
}

static void bench_check(void)
{
    struct cma_violation violation;
    cma_paddr_t paddr;

    if (!cma_system_check(&bench.system, &violation)) {
        fail_msg("%s at %llx", violation.what, (unsigned long long)violation.pfn);
    }
    assert_true(sim_check_aliases(bench.sim, &paddr));
}

/* Everything is given back, too. */
static void bench_destroy(void)
{
    struct cma_area_stats stats;

    cache_empty();
    bench_check();
    for (uint32_t i = 0; i < 3; i++) {
        cma_area_stats(&bench.system.areas[i], &stats);
        assert_int_equal(stats.claimed_npages, 0);
        assert_int_equal(stats.slot_npages, 0);
        assert_int_equal(stats.idle_npages, AREA_NPAGES);
    }
    sim_destroy(bench.sim);
    free(bench.storage);
}

static void make_device(struct cma_device *device, uint32_t owner, struct cma_area *area,
                        uint32_t flags)
{
    struct cma_device_config config = {.name = "dev",
                                       .owner = owner,
                                       .mask = UINT64_MAX,
                                       .coherent_mask = UINT64_MAX,
                                       .area = area,
                                       .flags = flags};

    assert_int_equal(cma_device_init(device, &bench.system.dma, &config), 0);
}

static int admit(struct cma_device *device, struct cma_device_promise *promise, uint64_t npages,
                 uint32_t count, struct cma_admission *why)
{
    struct cma_promise_request request = {.nbytes = npages * PAGE, .count = count};

    return cma_device_admit(device, &bench.system.guarantees, promise, &request, why);
}

static uint64_t count_wrong(const uint8_t *bytes, uint64_t nbytes, uint8_t expected)
{
    uint64_t wrong = 0;

    for (uint64_t i = 0; i < nbytes; i++) {
        wrong += bytes[i] != expected;
    }
    return wrong;
}

/* --- served ---------------------------------------------------------------------------- */

/* One promised buffer, seen the same by CPU and device, while the rest of memory is used. */
static void live(struct cma_device *device, struct simdev *dev, uint64_t nbytes)
{
    struct cma_coherent_request request = {.nbytes = nbytes};
    uint64_t whole = (nbytes + PAGE - 1) / PAGE * PAGE;
    uint8_t *bytes = malloc(whole);
    struct cma_coherent buffer;

    cache_fill();
    assert_int_equal(cma_dma_alloc_coherent(device, &request, &buffer, NULL), 0);
    assert_int_equal(buffer.source, CMA_SOURCE_GUARANTEE);
    assert_int_equal(buffer.mapped, 0);
    assert_int_equal(buffer.nbytes, nbytes);
    assert_true(simdev_read(dev, buffer.daddr, bytes, whole));
    assert_int_equal(count_wrong(bytes, whole, 0), 0);
    sim_read(bench.sim, buffer.vaddr, bytes, whole);
    assert_int_equal(count_wrong(bytes, whole, 0), 0);
    for (uint8_t round = 1; round < 4; round++) {
        memset(bytes, round, whole);
        sim_write(bench.sim, buffer.vaddr, bytes, whole);
        bench.port.dma_barrier(bench.port.ctx);
        assert_true(simdev_read(dev, buffer.daddr, bytes, whole));
        assert_int_equal(count_wrong(bytes, whole, round), 0);
        memset(bytes, 0x80 | round, whole);
        assert_true(simdev_write(dev, buffer.daddr, bytes, whole));
        sim_evict(bench.sim, UINT64_MAX);
        sim_read(bench.sim, buffer.vaddr, bytes, whole);
        assert_int_equal(count_wrong(bytes, whole, 0x80 | round), 0);
    }
    bench_check();
    assert_int_equal(cma_dma_free_coherent(device, &buffer), 0);
    sim_read_paddr(bench.sim, buffer.paddr, bytes, whole);
    assert_int_equal(count_wrong(bytes, whole, 0x83), 0);
    free(bytes);
}

static void test_seen_the_same(void **state)
{
    struct simdev_config config = {.name = "dev", .daddr_last = UINT64_MAX};

    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        uint32_t flags = seed % 3 == 0 ? CMA_DEVICE_COHERENT : 0;
        struct cma_device_promise promise;
        struct cma_device device;
        struct simdev dev;

        bench_create(seed, NSLOTS);
        config.snoops = flags != 0;
        simdev_init(&dev, bench.sim, &config);
        make_device(&device, 5, &bench.system.areas[1], flags);
        assert_int_equal(admit(&device, &promise, 20, 2, NULL), 0);
        for (uint32_t i = 0; i < 4; i++) {
            live(&device, &dev, (20 - i) * PAGE - i * 100);
        }
        assert_true(bench.cache.ndropped > 0);
        assert_int_equal(cma_device_revoke(&device, &promise), 0);
        bench_destroy();
    }
}

/* Every time, while nothing else is to be had; never with a hook that can fail. */
static void test_within_bounds(void **state)
{
    struct cma_coherent_request request = {.nbytes = 16 * PAGE};
    struct cma_device_promise promise;
    struct cma_guarantee_stats stats;
    struct cma_coherent buffers[3];
    struct cma_device device;

    (void)state;
    bench_create(1, NSLOTS);
    make_device(&device, 5, &bench.system.areas[1], CMA_DEVICE_AREA_ONLY);
    assert_int_equal(admit(&device, &promise, 16, 3, NULL), 0);
    cma_guarantee_stats(&promise.guarantee, &stats);
    assert_int_equal(stats.taken, 0);
    assert_int_equal(stats.live_worst, 0);
    sim_fail(bench.sim, SIM_FAULT_MAP, 1, true);
    for (uint32_t round = 0; round < 20; round++) {
        bench.port.lookup = failing_lookup;
        for (uint32_t i = 0; i < 3; i++) {
            struct counts before;

            cache_fill();
            before = bench.counts;
            assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffers[i], NULL), 0);
            assert_int_equal(buffers[i].source, CMA_SOURCE_GUARANTEE);
            assert_int_equal(bench.counts.zero - before.zero, 16);
            assert_int_equal(bench.counts.clean - before.clean, 16);
            assert_int_equal(bench.counts.invalidate - before.invalidate, 32);
            assert_int_equal(bench.counts.set_attr - before.set_attr, 16);
            /* One for what was dropped, one for the attributes. */
            assert_true(bench.counts.flushes - before.flushes <= 2);
        }
        bench.port.lookup = sim_port(bench.sim)->lookup;
        assert_int_equal(device.live_npages, 48);
        assert_int_equal(device.area_npages, 0);
        for (uint32_t i = 0; i < 3; i++) {
            assert_int_equal(cma_dma_free_coherent(&device, &buffers[(round + i) % 3]), 0);
        }
        assert_int_equal(device.live_npages, 0);
        bench_check();
    }
    cma_guarantee_stats(&promise.guarantee, &stats);
    assert_int_equal(stats.taken, 60);
    assert_int_equal(stats.live_worst, 3);
    assert_int_equal(stats.copied_worst, 0);
    assert_in_range(stats.dropped_worst, 1, 16);
    assert_int_equal(bench.counts.maps, 0);
    assert_int_equal(cma_device_revoke(&device, &promise), 0);
    bench_destroy();
}

static enum cma_source source_of(struct cma_device *device, struct cma_coherent_request request,
                                 struct cma_coherent *buffer)
{
    if (cma_dma_alloc_coherent(device, &request, buffer, NULL) != 0) {
        return CMA_SOURCE_NONE;
    }
    return buffer->source;
}

/* The smallest that serves is taken first; then larger ones, and then what is not promised. */
static void test_which_block(void **state)
{
    struct cma_device_promise large, small, middle;
    struct cma_coherent buffers[8];
    struct cma_device device;
    struct cma_coherent_request request = {.nbytes = 3 * PAGE};
    struct cma_guarantee_stats stats;
    uint32_t n = 0;

    (void)state;
    bench_create(1, NSLOTS);
    make_device(&device, 5, &bench.system.areas[1], 0);
    assert_int_equal(admit(&device, &large, 32, 1, NULL), 0);
    assert_int_equal(admit(&device, &small, 4, 2, NULL), 0);
    assert_int_equal(admit(&device, &middle, 8, 1, NULL), 0);
    assert_ptr_equal(device.promises, &small);
    assert_ptr_equal(device.promises->next, &middle);
    assert_ptr_equal(device.promises->next->next, &large);
    request.flags = CMA_COHERENT_UNPROMISED;
    assert_int_equal(source_of(&device, request, &buffers[n++]), CMA_SOURCE_AREA);
    request.flags = CMA_COHERENT_UNPROMISED | CMA_CLAIM_LONG;
    assert_int_equal(source_of(&device, request, &buffers[n++]), CMA_SOURCE_AREA);
    request.flags = CMA_CLAIM_NOWAIT;
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(source_of(&device, request, &buffers[n++]), CMA_SOURCE_GUARANTEE);
        assert_int_equal(device.live_npages - 6, i == 0 ? 4 : i == 1 ? 8 : i == 2 ? 16 : 48);
    }
    cma_guarantee_stats(&small.guarantee, &stats);
    assert_int_equal(stats.live, 2);
    assert_int_equal(source_of(&device, request, &buffers[n++]), CMA_SOURCE_AREA);
    assert_int_equal(cma_device_revoke(&device, &small), CMA_EBUSY);
    bench_check();
    while (n-- > 0) {
        assert_int_equal(cma_dma_free_coherent(&device, &buffers[n]), 0);
    }
    assert_int_equal(device.live_npages, 0);
    /* Out of the middle of the list. */
    assert_int_equal(cma_device_revoke(&device, &middle), 0);
    assert_int_equal(cma_device_revoke(&device, &middle), CMA_EBADF);
    assert_int_equal(cma_device_revoke(&device, &small), 0);
    assert_int_equal(cma_device_revoke(&device, &large), 0);
    assert_null(device.promises);
    assert_int_equal(source_of(&device, request, &buffers[0]), CMA_SOURCE_AREA);
    assert_int_equal(cma_dma_free_coherent(&device, &buffers[0]), 0);
    bench_destroy();
}

/* A port that can't wait for a mover: the promise is not broken, and nothing else is taken. */
static void test_try_again(void **state)
{
    struct cma_coherent_request request = {.nbytes = 16 * PAGE};
    struct cma_device_promise promise;
    struct cma_coherent buffer;
    struct cma_refusal refusal;
    struct cma_device device;

    (void)state;
    bench_create(1, NSLOTS);
    bench.port.wait = NULL;
    bench.port.wake = NULL;
    make_device(&device, 5, &bench.system.areas[1], 0);
    assert_int_equal(admit(&device, &promise, 16, 1, NULL), 0);
    cache_fill();
    bench.cache.letting_go = true;
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, &refusal), CMA_EAGAIN);
    assert_int_equal(refusal.code, CMA_EAGAIN);
    assert_int_equal(device.live_npages, 0);
    bench_check();
    bench.cache.letting_go = false;
    assert_int_equal(source_of(&device, request, &buffer), CMA_SOURCE_GUARANTEE);
    assert_int_equal(cma_dma_free_coherent(&device, &buffer), 0);
    assert_int_equal(cma_device_revoke(&device, &promise), 0);
    bench_destroy();
}

/* What a block does not fit is not served from it: alignment and boundary, too. */
static void test_what_a_block_serves(void **state)
{
    static const struct {
        uint64_t npages, align, boundary;
        bool serves;
    } cases[] = {
        {6, 0, 0, true}, {7, 0, 0, false}, {6, 4, 0, true},  {6, 8, 0, false},
        {6, 0, 8, true}, {6, 0, 16, true}, {6, 0, 32, true}, {4, 0, 4, true},
        {4, 4, 4, true}, {5, 0, 8, true},  {1, 0, 1, true},  {3, 0, 4, true},
    };
    struct cma_promise_request request = {
        .nbytes = 6 * PAGE, .count = 1, .align_nbytes = 4 * PAGE, .boundary_nbytes = 16 * PAGE};
    struct cma_device_promise promise;
    struct cma_coherent buffer;
    struct cma_device device;

    (void)state;
    bench_create(1, NSLOTS);
    make_device(&device, 5, &bench.system.areas[1], 0);
    assert_int_equal(cma_device_admit(&device, &bench.system.guarantees, &promise, &request, NULL),
                     0);
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cma_coherent_request asked = {.nbytes = cases[i].npages * PAGE,
                                             .align_nbytes = cases[i].align * PAGE,
                                             .boundary_nbytes = cases[i].boundary * PAGE};
        bool narrow = cases[i].boundary == 8 && cases[i].npages > 4;
        enum cma_source source = source_of(&device, asked, &buffer);

        /* A block that may cross a multiple of 8 pages is not for who may not. */
        assert_int_equal(source,
                         cases[i].serves && !narrow ? CMA_SOURCE_GUARANTEE : CMA_SOURCE_AREA);
        assert_true(asked.align_nbytes == 0 || buffer.daddr % asked.align_nbytes == 0);
        assert_true(asked.boundary_nbytes == 0 ||
                    buffer.daddr / asked.boundary_nbytes ==
                        (buffer.daddr + asked.nbytes - 1) / asked.boundary_nbytes);
        assert_int_equal(cma_dma_free_coherent(&device, &buffer), 0);
    }
    assert_int_equal(cma_device_revoke(&device, &promise), 0);
    bench_destroy();
}

/* --- reach ----------------------------------------------------------------------------- */

/* Alignment is that of the device's address, in the window in which there is room. */
static void test_parts_of_reach(void **state)
{
    struct cma_bus_window windows[3] = {
        {0x3000, BASE, 100 * PAGE},
        {0x10003000, BASE + (OWN_FIRST + 10) * PAGE, 8 * PAGE},
        {0x20005000, BASE + (OWN_FIRST + 50) * PAGE, 100 * PAGE},
    };
    struct cma_device_config config = {.name = "dev",
                                       .owner = 9,
                                       .mask = 0xffffffffu,
                                       .coherent_mask = 0xffffffffu,
                                       .windows = windows,
                                       .nwindows = 3,
                                       .area = NULL};
    struct cma_promise_request request = {
        .nbytes = 10 * PAGE, .count = 3, .align_nbytes = 16 * PAGE};
    struct cma_coherent_request asked = {.nbytes = 10 * PAGE, .align_nbytes = 16 * PAGE};
    struct cma_coherent buffers[3];
    struct cma_device_promise promise;
    struct cma_admission why;
    struct cma_device device;

    (void)state;
    bench_create(1, NSLOTS);
    config.area = &bench.system.areas[1];
    assert_int_equal(cma_device_init(&device, &bench.system.dma, &config), 0);
    assert_int_equal(cma_device_admit(&device, &bench.system.guarantees, &promise, &request, &why),
                     0);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(source_of(&device, asked, &buffers[i]), CMA_SOURCE_GUARANTEE);
        assert_true(buffers[i].daddr % (16 * PAGE) == 0);
        assert_true(buffers[i].daddr - 0x20005000 ==
                    buffers[i].paddr - (BASE + (OWN_FIRST + 50) * PAGE));
    }
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(cma_dma_free_coherent(&device, &buffers[i]), 0);
    }
    assert_int_equal(cma_device_revoke(&device, &promise), 0);
    /* What is said of a refusal is what the part with most room would admit. */
    request.count = 30;
    assert_int_equal(cma_device_admit(&device, &bench.system.guarantees, &promise, &request, &why),
                     CMA_ENOMEM);
    assert_int_equal(why.refusal.code, CMA_ENOMEM);
    assert_in_range(why.possible_count, 5, 6);
    /* Reaches no page of its area. */
    config.nwindows = 1;
    assert_int_equal(cma_device_init(&device, &bench.system.dma, &config), 0);
    assert_int_equal(cma_device_admit(&device, &bench.system.guarantees, &promise, &request, &why),
                     CMA_ERANGE);
    assert_int_equal(why.refusal.reason, CMA_REASON_UNREACHABLE);
    assert_null(device.promises);
    bench_destroy();
}

/* --- refused --------------------------------------------------------------------------- */

static void test_malformed(void **state)
{
    struct cma_device_promise promise;
    struct cma_device device, other;
    struct cma_admission why;
    struct {
        struct cma_promise_request request;
        int error;
    } cases[] = {
        {{.nbytes = 0, .count = 1}, CMA_EINVAL},
        {{.nbytes = PAGE, .count = 0}, CMA_EINVAL},
        {{.nbytes = UINT64_MAX, .count = 1}, CMA_EOVERFLOW},
        {{.nbytes = UINT64_MAX - PAGE + 1, .count = 1}, CMA_ENOMEM},
        {{.nbytes = PAGE, .count = 1, .align_nbytes = 3}, CMA_EINVAL},
        {{.nbytes = 2 * PAGE, .count = 1, .boundary_nbytes = PAGE}, CMA_EINVAL},
        {{.nbytes = PAGE, .count = UINT32_MAX}, CMA_ENOMEM},
    };

    (void)state;
    bench_create(1, NSLOTS);
    make_device(&device, 1, &bench.system.areas[1], 0);
    make_device(&other, 2, &bench.system.areas[1], 0);
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int error =
            cma_device_admit(&device, &bench.system.guarantees, &promise, &cases[i].request, &why);

        assert_int_equal(error, cases[i].error);
        assert_int_equal(why.refusal.code, error);
        assert_int_equal(
            cma_device_admit(&device, &bench.system.guarantees, &promise, &cases[i].request, NULL),
            error);
        bench_check();
    }
    assert_int_equal(cma_device_revoke(&device, &promise), CMA_EBADF);
    assert_int_equal(admit(&device, &promise, 4, 1, &why), 0);
    assert_int_equal(cma_device_revoke(&other, &promise), CMA_EBADF);
    assert_int_equal(cma_device_revoke(&device, &promise), 0);
    /* No area at all; and then the default one. */
    bench.system.dma.default_area = NULL;
    make_device(&device, 1, NULL, 0);
    assert_int_equal(admit(&device, &promise, 4, 1, &why), CMA_ENOENT);
    bench.system.dma.default_area = &bench.system.areas[0];
    assert_int_equal(admit(&device, &promise, 4, 1, &why), 0);
    assert_ptr_equal(promise.guarantee.area, &bench.system.areas[0]);
    assert_int_equal(cma_device_revoke(&device, &promise), 0);
    bench_destroy();
    /* A machine without storage for slots. */
    bench_create(1, 0);
    make_device(&device, 1, &bench.system.areas[1], 0);
    assert_int_equal(admit(&device, &promise, 4, 1, &why), CMA_EBADF);
    bench_destroy();
}

/* Memory that could not become the device's when it is taken is not promised. */
static void test_mapping_is_judged_first(void **state)
{
    struct cma_device_promise promise;
    struct cma_admission why;
    struct cma_device plain, snooping, high;

    (void)state;
    bench_create(1, NSLOTS);
    cache_fill();
    make_device(&plain, 1, &bench.system.areas[1], 0);
    make_device(&snooping, 2, &bench.system.areas[1], CMA_DEVICE_COHERENT);
    make_device(&high, 3, &bench.system.areas[2], CMA_DEVICE_COHERENT);
    bench.port.set_attr = NULL;
    assert_int_equal(admit(&plain, &promise, 4, 3, &why), CMA_EOPNOTSUPP);
    assert_int_equal(why.refusal.code, CMA_EOPNOTSUPP);
    assert_int_equal(why.refusal.reason, CMA_REASON_MAPPING);
    assert_int_equal(why.possible_count, 0);
    assert_null(plain.promises);
    bench_check();
    bench.port.set_attr = lazy_set_attr;
    assert_int_equal(admit(&plain, &promise, 4, 3, &why), CMA_EOPNOTSUPP);
    bench_check();
    assert_int_equal(admit(&snooping, &promise, 4, 3, &why), 0);
    assert_int_equal(cma_device_revoke(&snooping, &promise), 0);
    bench.port.set_attr = counted_set_attr;
    assert_int_equal(admit(&plain, &promise, 4, 3, &why), 0);
    assert_int_equal(cma_device_revoke(&plain, &promise), 0);
    /* Would have to be mapped. */
    assert_int_equal(admit(&high, &promise, 4, 3, &why), CMA_EOPNOTSUPP);
    assert_int_equal(why.refusal.reason, CMA_REASON_MAPPING);
    bench_check();
    assert_int_equal(bench.counts.maps, 0);
    bench_destroy();
}

/* --- groups ---------------------------------------------------------------------------- */

static void test_group(void **state)
{
    struct cma_guarantee_group group = {0};
    struct cma_promise_request request = {.nbytes = 30 * PAGE, .count = 4, .group = &group};
    struct cma_coherent_request asked = {.nbytes = 30 * PAGE};
    struct cma_device_promise front, back, third;
    struct cma_device first, second;
    struct cma_coherent buffer, other;
    struct cma_area_stats stats;
    struct cma_refusal refusal;
    struct cma_admission why;

    (void)state;
    bench_create(1, NSLOTS);
    make_device(&first, 1, &bench.system.areas[1], CMA_DEVICE_AREA_ONLY);
    make_device(&second, 2, &bench.system.areas[1], CMA_DEVICE_AREA_ONLY);
    assert_int_equal(cma_device_admit(&first, &bench.system.guarantees, &front, &request, &why), 0);
    request.nbytes = 20 * PAGE;
    assert_int_equal(cma_device_admit(&second, &bench.system.guarantees, &back, &request, &why), 0);
    cma_area_stats(&bench.system.areas[1], &stats);
    assert_int_equal(stats.slot_npages, 120);
    cache_fill();
    assert_int_equal(source_of(&first, asked, &buffer), CMA_SOURCE_GUARANTEE);
    asked.nbytes = 20 * PAGE;
    /* The other one gets nothing of what they share; whether there is more is another question. */
    assert_int_equal(source_of(&second, asked, &other), CMA_SOURCE_AREA);
    assert_int_equal(cma_dma_free_coherent(&second, &other), 0);
    asked.nbytes = 150 * PAGE;
    assert_int_equal(cma_dma_alloc_coherent(&second, &asked, &other, &refusal), CMA_ENOMEM);
    /* A member that comes while another is open can't be tried out. */
    assert_int_equal(cma_device_admit(&second, &bench.system.guarantees, &third, &request, &why),
                     CMA_EBUSY);
    assert_int_equal(why.refusal.reason, CMA_REASON_GROUP);
    bench_check();
    /* The first one's promise is the first one's. */
    other = buffer;
    assert_int_equal(cma_dma_free_coherent(&second, &other), CMA_EPERM);
    assert_int_equal(cma_dma_free_coherent(&first, &buffer), 0);
    asked.nbytes = 20 * PAGE;
    assert_int_equal(source_of(&second, asked, &other), CMA_SOURCE_GUARANTEE);
    assert_int_equal(cma_dma_free_coherent(&second, &other), 0);
    assert_int_equal(cma_device_revoke(&first, &front), 0);
    assert_int_equal(cma_device_revoke(&second, &back), 0);
    bench_destroy();
}

/* --- wrong frees ----------------------------------------------------------------------- */

static void test_wrong_frees(void **state)
{
    struct cma_coherent_request request = {.nbytes = 4 * PAGE};
    struct cma_device_promise promise, none;
    struct cma_device device, other;
    struct cma_coherent good, area, bad;

    (void)state;
    bench_create(1, NSLOTS);
    make_device(&device, 1, &bench.system.areas[1], 0);
    make_device(&other, 2, &bench.system.areas[1], 0);
    assert_int_equal(admit(&device, &promise, 6, 2, NULL), 0);
    assert_int_equal(admit(&other, &none, 6, 1, NULL), 0);
    assert_int_equal(source_of(&device, request, &good), CMA_SOURCE_GUARANTEE);
    request.flags = CMA_COHERENT_UNPROMISED;
    assert_int_equal(source_of(&device, request, &area), CMA_SOURCE_AREA);
    assert_int_equal(cma_dma_free_coherent(&other, &good), CMA_EPERM);
    for (uint32_t i = 0; i < 12; i++) {
        int expected = CMA_EINVAL;

        bad = good;
        switch (i) {
        case 0: bad.nbytes = 7 * PAGE; break;
        case 1: bad.nbytes = 0; break;
        case 2: bad.nbytes = UINT64_MAX; break;
        case 3: bad.daddr += PAGE; break;
        case 4: bad.vaddr = (uint8_t *)bad.vaddr + PAGE; break;
        case 5: bad.source = CMA_SOURCE_NONE; break;
        case 6: bad.source = CMA_SOURCE_AREA; break;
        case 7:
            bad.source = CMA_SOURCE_AREA;
            bad.nbytes = 6 * PAGE;
            break;
        case 8: bad.source = CMA_SOURCE_DEFAULT_AREA; break;
        case 9: bad.mapped = 1; break;
        case 10:
            bad = area;
            bad.source = CMA_SOURCE_GUARANTEE;
            break;
        default:
            bad.paddr += PAGE;
            bad.daddr += PAGE;
            bad.vaddr = (uint8_t *)bad.vaddr + PAGE;
            bad.nbytes -= PAGE;
            expected = CMA_EBADF;
        }
        assert_int_equal(cma_dma_free_coherent(&device, &bad), expected);
        bench_check();
    }
    bad = area;
    bad.source = CMA_SOURCE_DEFAULT_AREA;
    assert_int_equal(cma_dma_free_coherent(&device, &bad), CMA_EINVAL);
    /* Not the area's to take back. */
    assert_int_equal(
        cma_area_release(&bench.system.areas[1], good.paddr / PAGE, 6, device.config.owner),
        CMA_EPERM);
    assert_int_equal(cma_dma_free_coherent(&device, &good), 0);
    assert_int_equal(cma_dma_free_coherent(&device, &good), CMA_EBADF);
    assert_int_equal(cma_dma_free_coherent(&device, &area), 0);
    assert_int_equal(cma_device_revoke(&device, &promise), 0);
    assert_int_equal(cma_device_revoke(&other, &none), 0);
    bench_destroy();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seen_the_same),
        cmocka_unit_test(test_within_bounds),
        cmocka_unit_test(test_which_block),
        cmocka_unit_test(test_try_again),
        cmocka_unit_test(test_what_a_block_serves),
        cmocka_unit_test(test_parts_of_reach),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_mapping_is_judged_first),
        cmocka_unit_test(test_group),
        cmocka_unit_test(test_wrong_frees),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
