/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_sim.c - the simulator is an adversary: for each thing that it must notice there is a pair,
 * the right sequence that reads right bytes and the wrong one that does not
 */
#include "sim_board.h"

#include "../../ports/sim/simdev.h"

static void fill(uint8_t *bytes, size_t nbytes, uint8_t salt)
{
    for (size_t i = 0; i < nbytes; i++)
        bytes[i] = (uint8_t)(i * 7 + (i >> 8) + salt);
}

/* --- memory -------------------------------------------------------------------------------- */

static void test_config_is_checked(void **state)
{
    struct sim_memory overlap[] = {{BASE, MIB}, {BASE + MIB - PAGE, MIB}};
    struct sim_memory odd[] = {{BASE + 1, MIB}};
    struct sim_memory last[] = {{0 - (uint64_t)MIB, MIB}};
    struct sim_config bad[] = {
        {.memory = NULL, .nmemory = 0},
        {.memory = overlap, .nmemory = 2},
        {.memory = odd, .nmemory = 1},
        {.memory = banks, .nmemory = 2, .page_shift = 7},
        {.memory = banks, .nmemory = 2, .cache_nbytes = 5000},
        {.memory = banks, .nmemory = 2, .linear_last = 0x12345},
    };
    FILE *kept = stderr;
    (void)state;

    stderr = fopen("/dev/null", "w");
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_null(sim_create(&bad[i]));
    fclose(stderr);
    stderr = kept;

    /* The last page of the address space is memory like any other. */
    struct sim_config config = {.memory = last, .nmemory = 1};
    struct sim *sim = sim_create(&config);
    uint8_t byte = 7, back = 0;
    assert_non_null(sim);
    sim_write_paddr(sim, UINT64_MAX, &byte, 1);
    sim_read_paddr(sim, UINT64_MAX, &back, 1);
    assert_int_equal(back, 7);
    assert_true(sim_is_memory(sim, last[0].base, MIB));
    assert_false(sim_is_memory(sim, last[0].base - 1, 2));
    sim_destroy(sim);
}

static void test_port_is_complete(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct sim *sim = board_with((struct sim_config){.coherent = i & 1, .no_mmu = i & 2});
        const struct cma_port *port = sim_port(sim);
        assert_int_equal(cma_port_check(port), 0);
        assert_int_equal(port->clean == NULL, i & 1);
        assert_int_equal(port->map == NULL, !!(i & 2));
        assert_int_equal(port->set_attr == NULL, i != 0);
        sim_destroy(sim);
    }
}

static void test_addresses_differ(void **state)
{
    struct sim *sim = board(1);
    const struct cma_port *port = sim_port(sim);
    cma_paddr_t paddr;
    enum cma_attr attr;
    (void)state;

    for (uint64_t at = 0; at < 64 * MIB; at += MIB + PAGE) {
        void *vaddr = port->vaddr(port->ctx, BASE + at);
        assert_true(vaddr && (uintptr_t)vaddr != BASE + at);
        assert_int_equal(port->lookup(port->ctx, (char *)vaddr + 5, &paddr, &attr), 0);
        assert_int_equal(paddr, BASE + at + 5);
        assert_int_equal(attr, CMA_ATTR_CACHED);
    }
    assert_null(port->vaddr(port->ctx, BASE - 1));
    assert_null(port->vaddr(port->ctx, BASE + 64 * MIB));
    assert_int_equal(port->lookup(port->ctx, &attr, &paddr, &attr), CMA_ENOENT);
    sim_destroy(sim);
}

static void touch_vaddr(void)
{
    struct sim *sim = board(1);
    *(volatile uint8_t *)sim_port(sim)->vaddr(sim, BASE) = 1;
}

static void read_nothing(void)
{
    struct sim *sim = board(1);
    uint8_t byte;
    sim_read(sim, &byte, &byte, 1);
}

static void test_stray_accesses_end_the_process(void **state)
{
    (void)state;
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_int_equal(in_child(touch_vaddr), -SIGSEGV);
#else
    assert_int_not_equal(in_child(touch_vaddr), 0); /* the sanitizer's own report */
#endif
    assert_int_equal(in_child(read_nothing), -SIGABRT);
}

static void test_untouched_memory_costs_nothing(void **state)
{
#if defined(__SANITIZE_THREAD__)
    const uint64_t nbytes = (uint64_t)1 << 36; /* what the thread sanitizer has room for */
#else
    const uint64_t nbytes = (uint64_t)1 << 40;
#endif
    struct sim_memory terabyte[] = {{0x8000000000u, nbytes}};
    struct sim_config config = {.memory = terabyte, .nmemory = 1};
    struct rusage before, after;
    uint8_t bytes[64] = {1, 2, 3}, back[64];
    (void)state;

    getrusage(RUSAGE_SELF, &before);
    struct sim *sim = sim_create(&config);
    assert_non_null(sim);
    for (uint64_t at = 0; at < nbytes; at += nbytes / 64) {
        sim_write_paddr(sim, terabyte[0].base + at, bytes, sizeof(bytes));
        sim_read_paddr(sim, terabyte[0].base + at, back, sizeof(back));
        assert_memory_equal(bytes, back, sizeof(bytes));
    }
    getrusage(RUSAGE_SELF, &after);
    assert_in_range(after.ru_maxrss - before.ru_maxrss, 0, 8 * 1024);
    sim_destroy(sim);
}

/* --- cache --------------------------------------------------------------------------------- */

static void test_bytes_come_back(void **state)
{
    struct sim *sim = board(3);
    uint8_t *model = calloc(1, MIB), piece[9000], back[9000];
    uint64_t random = 5;
    (void)state;

    sim_port(sim)->zero(sim, BASE, MIB);
    for (int i = 0; i < 4000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        uint64_t at = (random >> 20) % (MIB - sizeof(piece)), n = (random >> 44) % sizeof(piece);
        if (random & 1024) {
            fill(piece, n, (uint8_t)i);
            memcpy(model + at, piece, n);
            sim_write(sim, sim_port(sim)->vaddr(sim, BASE + at), piece, n);
        } else {
            sim_read_paddr(sim, BASE + at, back, n);
            assert_memory_equal(back, model + at, n);
        }
        if (i % 512 == 0)
            sim_evict(sim, 64);
    }
    struct sim_stats stats;
    sim_stats(sim, &stats);
    assert_true(stats.cache_hits && stats.cache_misses && stats.evictions && stats.prefetches);

    /* What memory itself holds is something else until it is cleaned. */
    uint8_t *now = malloc(MIB);
    sim_write_paddr(sim, BASE + 100, "dirty", 5);
    memcpy(model + 100, "dirty", 5);
    sim_peek(sim, BASE, now, MIB);
    assert_memory_not_equal(now, model, MIB);
    sim_port(sim)->clean(sim, BASE, MIB);
    sim_peek(sim, BASE, now, MIB);
    assert_memory_equal(now, model, MIB);
    free(now);
    free(model);
    sim_destroy(sim);
}

#define BUFFER (16 * 1024u)

/* The CPU writes, the device reads. */
static bool device_sees_it(struct sim *sim, bool clean, bool snoops)
{
    uint8_t bytes[BUFFER], seen[BUFFER];

    fill(bytes, sizeof(bytes), 1);
    sim_write_paddr(sim, BASE, bytes, sizeof(bytes));
    if (clean)
        sim_port(sim)->clean(sim, BASE, sizeof(bytes));
    sim_dev_read(sim, BASE, seen, sizeof(seen), snoops);
    return memcmp(bytes, seen, sizeof(bytes)) == 0;
}

static void test_missing_clean_reads_stale_bytes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim *sim = board(seed);
        assert_false(device_sees_it(sim, false, false));
        sim_destroy(sim);
        sim = board(seed);
        assert_true(device_sees_it(sim, true, false));
        sim_destroy(sim);
        sim = board(seed);
        assert_true(device_sees_it(sim, false, true));
        sim_destroy(sim);
        sim = board_with((struct sim_config){.seed = seed, .coherent = true});
        assert_true(device_sees_it(sim, false, false));
        sim_destroy(sim);
    }
}

/* The device writes, the CPU reads. `before`, `after`: invalidates; `read_first`: the CPU has the
 * old bytes in its cache. */
static bool cpu_sees_it(struct sim *sim, bool read_first, bool before, bool after, bool snoops)
{
    const struct cma_port *port = sim_port(sim);
    uint8_t bytes[BUFFER], seen[BUFFER];

    port->zero(port->ctx, BASE, sizeof(bytes));
    port->clean(port->ctx, BASE, sizeof(bytes));
    sim_evict(sim, UINT64_MAX);
    if (read_first)
        sim_read_paddr(sim, BASE, seen, sizeof(seen));
    if (before)
        port->invalidate(port->ctx, BASE, sizeof(bytes));
    fill(bytes, sizeof(bytes), 2);
    sim_dev_write(sim, BASE, bytes, sizeof(bytes), snoops);
    if (after)
        port->invalidate(port->ctx, BASE, sizeof(bytes));
    sim_read_paddr(sim, BASE, seen, sizeof(seen));
    return memcmp(bytes, seen, sizeof(bytes)) == 0;
}

static void test_missing_invalidate_reads_stale_bytes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim *sim = board(seed);
        assert_true(cpu_sees_it(sim, true, true, true, false));
        assert_true(cpu_sees_it(sim, true, false, true, false));
        assert_true(cpu_sees_it(sim, true, false, false, true));
        assert_false(cpu_sees_it(sim, true, false, false, false));
        /* Invalidated, but too early: the processor read ahead while the device wrote. */
        assert_false(cpu_sees_it(sim, true, true, false, false));
        assert_false(cpu_sees_it(sim, false, false, false, false));
        sim_destroy(sim);
    }
}

/* Memory goes to a device uncached. `clean`: cache maintenance before, `again`: after the flush. */
static bool handover_is_right(uint64_t seed, bool clean, bool again)
{
    struct sim *sim = board(seed);
    const struct cma_port *port = sim_port(sim);
    uint8_t bytes[BUFFER], seen[BUFFER];
    void *vaddr = port->vaddr(port->ctx, BASE);

    fill(bytes, sizeof(bytes), 9);
    sim_write_paddr(sim, BASE, bytes, sizeof(bytes)); /* dirty lines of the last owner */
    if (clean) {
        port->clean(port->ctx, BASE, BUFFER);
        port->invalidate(port->ctx, BASE, BUFFER);
    }
    port->set_attr(port->ctx, BASE, BUFFER, CMA_ATTR_UNCACHED);
    port->tlb_flush(port->ctx);
    if (again)
        port->invalidate(port->ctx, BASE, BUFFER);

    fill(bytes, sizeof(bytes), 3);
    sim_dev_write(sim, BASE, bytes, sizeof(bytes), false);
    sim_evict(sim, UINT64_MAX); /* what was dirty overwrites it */
    sim_read(sim, vaddr, seen, sizeof(seen));
    bool right = memcmp(bytes, seen, sizeof(bytes)) == 0;

    /* Cached again: no line of the time before may be there. Nothing is evicted in between. */
    fill(bytes, sizeof(bytes), 4);
    sim_dev_write(sim, BASE, bytes, sizeof(bytes), false);
    port->set_attr(port->ctx, BASE, BUFFER, CMA_ATTR_CACHED);
    port->tlb_flush(port->ctx);
    sim_read(sim, vaddr, seen, sizeof(seen));
    right = right && memcmp(bytes, seen, sizeof(bytes)) == 0;
    sim_destroy(sim);
    return right;
}

static void test_dirty_lines_overwrite_after_handover(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        assert_true(handover_is_right(seed, true, true));
        assert_false(handover_is_right(seed, false, false));
    }
}

/* Between the first invalidate and the flush a processor may read ahead. */
static void test_lines_come_back_before_the_flush(void **state)
{
    (void)state;
    for (int again = 0; again < 2; again++) {
        int stale = 0;
        for (uint64_t seed = 1; seed <= 20; seed++) {
            struct sim *sim = board(seed);
            const struct cma_port *port = sim_port(sim);
            uint8_t bytes[BUFFER], seen[BUFFER];
            port->invalidate(port->ctx, BASE, BUFFER);
            port->set_attr(port->ctx, BASE, BUFFER, CMA_ATTR_UNCACHED);
            port->tlb_flush(port->ctx);
            if (again)
                port->invalidate(port->ctx, BASE, BUFFER);
            fill(bytes, sizeof(bytes), 3);
            sim_dev_write(sim, BASE, bytes, sizeof(bytes), false);
            port->set_attr(port->ctx, BASE, BUFFER, CMA_ATTR_CACHED);
            port->tlb_flush(port->ctx);
            sim_read_paddr(sim, BASE, seen, sizeof(seen));
            stale += memcmp(bytes, seen, sizeof(bytes)) != 0;
            sim_destroy(sim);
        }
        if (again)
            assert_int_equal(stale, 0);
        else
            assert_in_range(stale, 18, 20);
    }
}

static void test_partial_invalidate_keeps_neighbours(void **state)
{
    struct sim *sim = board(1);
    uint8_t bytes[256], seen[256];
    (void)state;

    fill(bytes, sizeof(bytes), 1);
    sim_write_paddr(sim, BASE, bytes, sizeof(bytes));
    sim_port(sim)->invalidate(sim, BASE + 10, 200);
    sim_read_paddr(sim, BASE, seen, sizeof(seen));
    assert_memory_equal(seen, bytes, 64);
    assert_memory_equal(seen + 192, bytes + 192, 64);
    assert_memory_not_equal(seen + 64, bytes + 64, 128);
    /* The very first line, one byte of it. */
    sim_write_paddr(sim, BASE, bytes, 64);
    sim_port(sim)->invalidate(sim, BASE, 1);
    sim_read_paddr(sim, BASE, seen, 64);
    assert_memory_equal(seen, bytes, 64);
    sim_destroy(sim);
}

static void test_filling_is_fast(void **state)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    uint64_t nbytes = 64 * MIB;
#else
    uint64_t nbytes = 512 * MIB;
#endif
    struct sim_memory memory[] = {{BASE, nbytes}};
    struct sim_config config = {.memory = memory, .nmemory = 1};
    struct sim *sim = sim_create(&config);
    static uint8_t page[PAGE];
    struct timespec start, end;
    (void)state;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
    for (uint64_t at = 0; at < nbytes; at += PAGE)
        sim_write_paddr(sim, BASE + at, page, PAGE);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
    double seconds =
        (double)(end.tv_sec - start.tv_sec) + (double)(end.tv_nsec - start.tv_nsec) / 1e9;
    printf("filled at %.0f MB a second of CPU time\n", (double)nbytes / seconds / 1e6);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true((double)nbytes / seconds > 200e6); /* 500 and more on an idle machine */
#endif
    sim_destroy(sim);
}

/* --- page tables --------------------------------------------------------------------------- */

static void test_missing_flush_is_noticed(void **state)
{
    struct sim *sim = board(1);
    const struct cma_port *port = sim_port(sim);
    uint8_t byte = 0;
    void *vaddr = port->vaddr(port->ctx, BASE), *mapped;
    (void)state;

    sim_tolerate(sim, SIM_STALE_TLB, true);
    port->set_attr(port->ctx, BASE, PAGE, CMA_ATTR_UNCACHED);
    sim_read(sim, vaddr, &byte, 1);
    assert_int_equal(sim_violations(sim, SIM_STALE_TLB), 1);
    sim_read(sim, (char *)vaddr + PAGE, &byte, 1); /* a page that was not changed */
    assert_int_equal(sim_violations(sim, SIM_STALE_TLB), 1);
    port->tlb_flush(port->ctx);
    sim_read(sim, vaddr, &byte, 1);
    assert_int_equal(sim_violations(sim, SIM_STALE_TLB), 1);
    /* There and back without a flush is as if nothing had happened. */
    port->set_attr(port->ctx, BASE, PAGE, CMA_ATTR_CACHED);
    port->set_attr(port->ctx, BASE, PAGE, CMA_ATTR_UNCACHED);
    sim_read(sim, vaddr, &byte, 1);
    assert_int_equal(sim_violations(sim, SIM_STALE_TLB), 1);
    port->tlb_flush(port->ctx);

    assert_int_equal(port->map(port->ctx, HIGH, PAGE, CMA_ATTR_CACHED, &mapped), 0);
    sim_read(sim, mapped, &byte, 1);
    port->unmap(port->ctx, mapped, PAGE);
    sim_read(sim, mapped, &byte, 1);
    assert_int_equal(sim_violations(sim, SIM_STALE_TLB), 2);
    port->tlb_flush(port->ctx);
    sim_tolerate(sim, SIM_UNMAPPED, true);
    sim_read(sim, mapped, &byte, 1);
    assert_int_equal(byte, 0xee);
    assert_int_equal(sim_violations(sim, SIM_STALE_TLB), 2);
    assert_int_equal(sim_violations(sim, SIM_UNMAPPED), 1);
    sim_destroy(sim);
}

static void test_user_access_ends_with_the_flush(void **state)
{
    struct sim *sim = board(1);
    uint64_t generation = sim_tlb_generation(sim);
    uint8_t byte = 5, back = 0;
    (void)state;

    assert_true(sim_user_write(sim, generation, BASE, &byte, 1));
    sim_port(sim)->tlb_flush(sim);
    byte = 6;
    assert_false(sim_user_write(sim, generation, BASE, &byte, 1));
    assert_false(sim_user_read(sim, generation, BASE, &back, 1));
    assert_true(sim_user_read(sim, sim_tlb_generation(sim), BASE, &back, 1));
    assert_int_equal(back, 5);
    sim_destroy(sim);
}

static void test_aliases(void **state)
{
    struct sim *sim = board_with((struct sim_config){.linear_last = BASE + 64 * MIB - 1});
    const struct cma_port *port = sim_port(sim);
    void *a, *b;
    cma_paddr_t paddr = 0;
    uint8_t byte = 1;
    (void)state;

    assert_null(port->vaddr(port->ctx, HIGH));
    /* Linear memory: only with the linear mapping's attributes. */
    assert_int_equal(port->map(port->ctx, BASE, PAGE, CMA_ATTR_UNCACHED, &a), CMA_EEXIST);
    assert_int_equal(port->map(port->ctx, BASE, 2 * PAGE, CMA_ATTR_CACHED, &a), 0);
    assert_true(sim_check_aliases(sim, &paddr));
    port->set_attr(port->ctx, BASE + PAGE, PAGE, CMA_ATTR_WRITECOMBINE);
    assert_false(sim_check_aliases(sim, &paddr));
    assert_int_equal(paddr, BASE + PAGE);
    port->unmap(port->ctx, a, 2 * PAGE);
    assert_true(sim_check_aliases(sim, &paddr));
    port->tlb_flush(port->ctx);

    /* High memory: whoever maps first decides, until it is unmapped AND flushed. */
    assert_int_equal(port->map(port->ctx, HIGH, 4 * PAGE, CMA_ATTR_UNCACHED, &a), 0);
    assert_int_equal(port->map(port->ctx, HIGH + PAGE, PAGE, CMA_ATTR_UNCACHED, &b), 0);
    assert_int_equal(port->map(port->ctx, HIGH + 3 * PAGE, 2 * PAGE, CMA_ATTR_CACHED, &b),
                     CMA_EEXIST);
    sim_tolerate(sim, SIM_ALIAS, true);
    sim_write_paddr(sim, HIGH, &byte, 1);
    assert_int_equal(sim_violations(sim, SIM_ALIAS), 1);
    port->unmap(port->ctx, a, 4 * PAGE);
    assert_int_equal(port->map(port->ctx, HIGH, PAGE, CMA_ATTR_CACHED, &a), CMA_EEXIST);
    port->tlb_flush(port->ctx);
    assert_int_equal(port->map(port->ctx, HIGH, PAGE, CMA_ATTR_CACHED, &a), 0);
    assert_int_equal(port->map(port->ctx, HIGH + PAGE, PAGE, CMA_ATTR_CACHED, &a), CMA_EEXIST);
    sim_write_paddr(sim, HIGH, &byte, 1);
    assert_int_equal(sim_violations(sim, SIM_ALIAS), 1);

    /* A linear mapping that was taken away is none. */
    port->set_attr(port->ctx, BASE, MIB, CMA_ATTR_NONE);
    port->tlb_flush(port->ctx);
    assert_null(port->vaddr(port->ctx, BASE));
    assert_int_equal(port->map(port->ctx, BASE, MIB, CMA_ATTR_UNCACHED, &a), 0);
    assert_true(sim_check_aliases(sim, &paddr));
    sim_destroy(sim);
}

static void test_window_runs_full(void **state)
{
    struct sim *sim = board_with((struct sim_config){.map_window_npages = 8});
    const struct cma_port *port = sim_port(sim);
    void *a, *b, *c;
    (void)state;

    assert_int_equal(port->map(port->ctx, HIGH, 9 * PAGE, CMA_ATTR_CACHED, &a), CMA_ENOMEM);
    assert_int_equal(port->map(port->ctx, HIGH, 5 * PAGE, CMA_ATTR_CACHED, &a), 0);
    assert_int_equal(port->map(port->ctx, HIGH, 3 * PAGE, CMA_ATTR_CACHED, &b), 0);
    assert_int_equal(port->map(port->ctx, HIGH, PAGE, CMA_ATTR_CACHED, &c), CMA_ENOMEM);
    port->unmap(port->ctx, a, 5 * PAGE);
    /* Not given out again before the flush. */
    assert_int_equal(port->map(port->ctx, HIGH, PAGE, CMA_ATTR_CACHED, &c), CMA_ENOMEM);
    port->tlb_flush(port->ctx);
    assert_int_equal(port->map(port->ctx, HIGH, 5 * PAGE, CMA_ATTR_CACHED, &c), 0);
    assert_ptr_equal(a, c);
    sim_destroy(sim);
}

static void test_nth_call_fails(void **state)
{
    struct sim *sim = board(1);
    const struct cma_port *port = sim_port(sim);
    void *a;
    (void)state;

    sim_fail(sim, SIM_FAULT_MAP, 2, false);
    assert_int_equal(port->map(port->ctx, HIGH, PAGE, CMA_ATTR_CACHED, &a), 0);
    assert_int_equal(port->map(port->ctx, HIGH, PAGE, CMA_ATTR_CACHED, &a), CMA_ENOMEM);
    assert_int_equal(port->map(port->ctx, HIGH, PAGE, CMA_ATTR_CACHED, &a), 0);
    sim_fail(sim, SIM_FAULT_MAP, 1, true);
    for (int i = 0; i < 3; i++)
        assert_int_equal(port->map(port->ctx, HIGH, PAGE, CMA_ATTR_CACHED, &a), CMA_ENOMEM);
    sim_fail(sim, SIM_FAULT_MAP, 0, false);
    assert_int_equal(port->map(port->ctx, HIGH, PAGE, CMA_ATTR_CACHED, &a), 0);
    assert_int_equal(sim_fault_calls(sim, SIM_FAULT_MAP), 7);
    assert_false(sim_fault_now(sim, SIM_FAULT_FREEZE));
    sim_fail(sim, SIM_FAULT_FREEZE, 1, false);
    assert_true(sim_fault_now(sim, SIM_FAULT_FREEZE));
    assert_false(sim_fault_now(sim, SIM_FAULT_FREEZE));
    sim_destroy(sim);
}

/* --- costs and devices --------------------------------------------------------------------- */

static void test_costs(void **state)
{
    struct sim *sim = board(1);
    const struct cma_port *port = sim_port(sim);
    struct sim_stats stats;
    (void)state;

    for (int i = 0; i < SIM_COST_COUNT; i++) {
        assert_true(sim_cost_ns((enum sim_cost)i) > 0);
        assert_non_null(sim_cost_name((enum sim_cost)i));
        assert_non_null(sim_cost_source((enum sim_cost)i));
    }
    uint64_t start = sim_now_ns(sim);
    port->copy(port->ctx, BASE, BASE + MIB, 3 * PAGE);
    assert_int_equal(sim_now_ns(sim) - start, 3 * sim_cost_ns(SIM_COST_COPY_PAGE));
    port->zero(port->ctx, BASE, 2 * PAGE);
    port->clean(port->ctx, BASE + 1, 64);
    port->invalidate(port->ctx, BASE, 128);
    sim_stats(sim, &stats);
    assert_int_equal(stats.copied_pages, 3);
    assert_int_equal(stats.zeroed_pages, 2);
    assert_int_equal(stats.clean_lines, 2);
    assert_int_equal(stats.invalidate_lines, 2);
    sim_destroy(sim);
}

static void test_device(void **state)
{
    struct sim *sim = board(1);
    struct cma_bus_window windows[] = {{0x0, BASE, 32 * MIB}, {0x80000000u, HIGH, 16 * MIB}};
    struct simdev_config config = {.name = "camera", .windows = windows, .nwindows = 2};
    struct simdev dev;
    uint8_t bytes[3 * PAGE], seen[3 * PAGE];
    (void)state;

    fill(bytes, sizeof(bytes), 1);
    simdev_init(&dev, sim, &config);
    assert_true(simdev_write(&dev, 0x1000, bytes, sizeof(bytes)));
    sim_peek(sim, BASE + 0x1000, seen, sizeof(seen));
    assert_memory_equal(bytes, seen, sizeof(bytes));
    assert_true(simdev_read(&dev, 0x1000, seen, sizeof(seen)));
    assert_memory_equal(bytes, seen, sizeof(bytes));
    assert_true(simdev_write(&dev, 0x80000000u + 16 * MIB - PAGE, bytes, PAGE));
    sim_peek(sim, HIGH + 16 * MIB - PAGE, seen, PAGE);
    assert_memory_equal(bytes, seen, PAGE);
    /* Across a window's end: the bus knows nothing there. */
    assert_false(simdev_write(&dev, 32 * MIB - PAGE, bytes, 2 * PAGE));
    assert_false(simdev_read(&dev, 0x80000000u + 16 * MIB, seen, 1));
    assert_int_equal(seen[0], 0xff);
    assert_int_equal(dev.stats.bus_errors, 2);

    /* Too high for the device: the upper bits get lost, and memory of others is hit. */
    config.daddr_last = 0x00ffffff;
    simdev_init(&dev, sim, &config);
    fill(bytes, sizeof(bytes), 2);
    assert_false(simdev_write(&dev, 0x01000000u + 0x5000, bytes, PAGE));
    sim_peek(sim, BASE + 0x5000, seen, PAGE);
    assert_memory_equal(bytes, seen, PAGE);
    assert_int_equal(dev.stats.truncated, 1);
    assert_true(simdev_write(&dev, 0x01000000u - PAGE, bytes, PAGE));
    assert_int_equal(dev.stats.truncated, 1);

    /* The same, but the bus refuses; and the last byte counts. */
    config.refuses = true;
    config.daddr_last = 0x2fff7;
    simdev_init(&dev, sim, &config);
    fill(bytes, sizeof(bytes), 3);
    assert_true(simdev_write(&dev, 0x2f000, bytes, 0xff8));
    assert_false(simdev_write(&dev, 0x2f000, bytes, 0xff9));
    assert_int_equal(dev.stats.refused, 1);
    assert_int_equal(dev.stats.bytes_written, 0xff8);
    sim_destroy(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_config_is_checked),
        cmocka_unit_test(test_port_is_complete),
        cmocka_unit_test(test_addresses_differ),
        cmocka_unit_test(test_stray_accesses_end_the_process),
        cmocka_unit_test(test_untouched_memory_costs_nothing),
        cmocka_unit_test(test_bytes_come_back),
        cmocka_unit_test(test_missing_clean_reads_stale_bytes),
        cmocka_unit_test(test_missing_invalidate_reads_stale_bytes),
        cmocka_unit_test(test_dirty_lines_overwrite_after_handover),
        cmocka_unit_test(test_lines_come_back_before_the_flush),
        cmocka_unit_test(test_partial_invalidate_keeps_neighbours),
        cmocka_unit_test(test_filling_is_fast),
        cmocka_unit_test(test_missing_flush_is_noticed),
        cmocka_unit_test(test_user_access_ends_with_the_flush),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_window_runs_full),
        cmocka_unit_test(test_nth_call_fails),
        cmocka_unit_test(test_costs),
        cmocka_unit_test(test_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
