/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_port.c - tests/port on the simulator: each of its tests is a case here; and each is shown a
 * port with one broken hook, which it must see
 */
#include "sim_board.h"

#include "../port/suite.c"

#define UNMAPPED (HIGH + 16 * MIB)
#define WINDOW 48u

/* --- the harness -------------------------------------------------------------------------------
 */

struct bench {
    struct sim *sim;
    struct cma_port port;
    struct port_harness harness;
    void *alias;
};

static void bench_read(void *ctx, const void *vaddr, void *to, uint64_t nbytes)
{
    sim_read(((struct bench *)ctx)->sim, vaddr, to, nbytes);
}

static void bench_write(void *ctx, void *vaddr, const void *from, uint64_t nbytes)
{
    sim_write(((struct bench *)ctx)->sim, vaddr, from, nbytes);
}

static void bench_device_read(void *ctx, cma_paddr_t paddr, void *to, uint64_t nbytes)
{
    struct bench *bench = ctx;
    sim_dev_read(bench->sim, paddr, to, nbytes, !bench->port.clean);
}

static void bench_device_write(void *ctx, cma_paddr_t paddr, const void *from, uint64_t nbytes)
{
    struct bench *bench = ctx;
    sim_dev_write(bench->sim, paddr, from, nbytes, !bench->port.clean);
}

static void bench_evict(void *ctx)
{
    sim_evict(((struct bench *)ctx)->sim, UINT64_MAX);
}

static bool bench_no_alias(void *ctx)
{
    return sim_check_aliases(((struct bench *)ctx)->sim, NULL);
}

/* The real port's hooks: what is under test may be broken. */
static void bench_make_alias(void *ctx, bool made)
{
    struct bench *bench = ctx;
    const struct cma_port *port = sim_port(bench->sim);
    cma_paddr_t paddr = bench->harness.memory;

    if (made) {
        assert_int_equal(port->map(port->ctx, paddr, PAGE, CMA_ATTR_CACHED, &bench->alias), 0);
        port->set_attr(port->ctx, paddr, PAGE, CMA_ATTR_UNCACHED);
    } else {
        port->set_attr(port->ctx, paddr, PAGE, CMA_ATTR_CACHED);
        port->unmap(port->ctx, bench->alias, PAGE);
    }
    port->tlb_flush(port->ctx);
}

static void bench_run_two(void *ctx, void (*a)(void *arg), void (*b)(void *arg), void *arg)
{
    struct bench *bench = ctx;

    sim_spawn(bench->sim, "a", a, arg);
    sim_spawn(bench->sim, "b", b, arg);
    sim_run(bench->sim);
}

static void bench_pass_time(void *ctx)
{
    sim_spend_ns(((struct bench *)ctx)->sim, 3000);
}

static struct bench *bench_create(struct sim_config config, bool tolerant)
{
    struct bench *bench = test_calloc(1, sizeof(*bench));

    config.linear_last = config.no_mmu ? 0 : UNMAPPED - 1;
    config.map_window_npages = WINDOW;
    bench->sim = board_with(config);
    bench->port = *sim_port(bench->sim);
    for (int i = 0; tolerant && i < SIM_VIOLATIONS; i++)
        sim_tolerate(bench->sim, (enum sim_violation)i, true);
    bench->harness = (struct port_harness){
        .port = &bench->port,
        .ctx = bench,
        .memory = BASE + MIB,
        .other = BASE + 2 * MIB,
        .unmapped = config.no_mmu ? 0 : UNMAPPED,
        .window_npages = WINDOW,
        .read = bench_read,
        .write = bench_write,
        .device_read = bench_device_read,
        .device_write = bench_device_write,
        .evict = bench_evict,
        .no_alias = bench_no_alias,
        .make_alias = config.no_mmu || config.coherent ? NULL : bench_make_alias,
        .run_two = bench_run_two,
        .pass_time = bench_pass_time,
    };
    return bench;
}

static void bench_destroy(struct bench *bench)
{
    sim_destroy(bench->sim);
    test_free(bench);
}

/* --- the simulator is a port -------------------------------------------------------------------
 */

static void test_suite(void **state)
{
    uint32_t index = *(const uint32_t *)*state;

    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct bench *bench = bench_create((struct sim_config){.seed = seed}, false);
        struct port_result result = port_suite_run(&bench->harness, index);
        if (result.verdict == PORT_FAIL)
            fail_msg("seed %d: %s", (int)seed, result.why);
        bench_destroy(bench);
        if (result.verdict == PORT_SKIPPED) {
            /* Known, and only this one: a simulated processor has no interrupt mask. */
            assert_string_equal(port_suite_name(index), "lock and interrupts");
            return;
        }
    }
}

/* Ports without some of the hooks: nothing fails, and what is skipped is what must be. */
static void test_suite_of_small_ports(void **state)
{
    static const struct {
        bool coherent, no_mmu;
        uint32_t skipped;
    } ports[] = {{true, false, 10}, {false, true, 14}, {true, true, 17}};
    (void)state;

    for (size_t i = 0; i < COUNT(ports); i++) {
        struct bench *bench = bench_create(
            (struct sim_config){.coherent = ports[i].coherent, .no_mmu = ports[i].no_mmu}, false);
        uint32_t skipped = 0;
        for (uint32_t index = 0; index < port_suite_count(); index++) {
            struct port_result result = port_suite_run(&bench->harness, index);
            if (result.verdict == PORT_FAIL)
                fail_msg("port %d, %s: %s", (int)i, port_suite_name(index), result.why);
            skipped += result.verdict == PORT_SKIPPED;
        }
        assert_int_equal(skipped, ports[i].skipped);
        bench_destroy(bench);
    }
}

/* --- broken ports ------------------------------------------------------------------------------
 */

static const struct cma_port *real(void *ctx)
{
    return sim_port(ctx);
}

static void *broken_vaddr(void *ctx, cma_paddr_t paddr)
{
    return real(ctx)->vaddr(ctx, BASE + MIB + paddr % PAGE);
}

static void *broken_vaddr_none(void *ctx, cma_paddr_t paddr)
{
    (void)ctx;
    (void)paddr;
    return NULL;
}

static void broken_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    real(ctx)->copy(ctx, to, from, nbytes - 1);
}

static void broken_copy_high(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    if (to < UNMAPPED)
        real(ctx)->copy(ctx, to, from, nbytes);
}

static void broken_zero(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    real(ctx)->zero(ctx, paddr, nbytes + 1);
}

static void broken_zero_vaddr(void *ctx, void *vaddr, uint64_t nbytes)
{
    real(ctx)->zero_vaddr(ctx, vaddr, nbytes + 1);
}

static void broken_zero_vaddr_less(void *ctx, void *vaddr, uint64_t nbytes)
{
    real(ctx)->zero_vaddr(ctx, vaddr, nbytes & ~(uint64_t)7);
}

static uintptr_t broken_lock(void *ctx, struct cma_lock *lock)
{
    (void)ctx;
    (void)lock;
    return 0;
}

static void broken_unlock(void *ctx, struct cma_lock *lock, uintptr_t state)
{
    (void)ctx;
    (void)lock;
    (void)state;
}

static bool never_off(void *ctx)
{
    (void)ctx;
    return false;
}

static void broken_wait(void *ctx, const uint32_t *event, uint32_t seen)
{
    (void)ctx;
    (void)seen;
    *(uint32_t *)(uintptr_t)event = 0;
}

static void broken_wake(void *ctx, const uint32_t *event)
{
    (void)ctx;
    (void)event;
}

static void broken_range(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx;
    (void)paddr;
    (void)nbytes;
}

static void broken_invalidate_lines(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    cma_paddr_t first = paddr & ~(cma_paddr_t)63, end = (paddr + nbytes + 63) & ~(cma_paddr_t)63;

    real(ctx)->invalidate(ctx, first, end - first);
}

static int broken_lookup(void *ctx, const void *vaddr, cma_paddr_t *paddr, enum cma_attr *attr)
{
    int error = real(ctx)->lookup(ctx, vaddr, paddr, attr);

    *attr = CMA_ATTR_UNCACHED;
    return error;
}

static void broken_set_attr(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr)
{
    (void)nbytes;
    real(ctx)->set_attr(ctx, paddr, PAGE, attr);
}

static void broken_set_attr_none(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr)
{
    (void)attr;
    broken_range(ctx, paddr, nbytes);
}

static void broken_flush(void *ctx)
{
    (void)ctx;
}

static int broken_map(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr,
                      void **vaddr)
{
    return real(ctx)->map(ctx, paddr < UNMAPPED ? paddr : UNMAPPED + 4 * PAGE, nbytes, attr, vaddr);
}

static int broken_map_always(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr,
                             void **vaddr)
{
    int error = real(ctx)->map(ctx, paddr, nbytes, attr, vaddr);

    return error == CMA_EEXIST ? CMA_OK : error;
}

static void broken_window_map(void *ctx, void *vaddr, cma_paddr_t paddr, uint64_t nbytes,
                              enum cma_attr attr)
{
    real(ctx)->window_map(ctx, vaddr, paddr + 4 * PAGE, nbytes, attr);
}

static void broken_window_map_more(void *ctx, void *vaddr, cma_paddr_t paddr, uint64_t nbytes,
                                   enum cma_attr attr)
{
    real(ctx)->window_map(ctx, vaddr, paddr, nbytes + PAGE, attr);
}

static void broken_window_unmap(void *ctx, void *vaddr, uint64_t nbytes)
{
    (void)ctx;
    (void)vaddr;
    (void)nbytes;
}

static uint64_t broken_time(void *ctx)
{
    return UINT64_MAX - real(ctx)->time_ns(ctx);
}

static uint32_t broken_cpu(void *ctx)
{
    return (uint32_t)sim_random(ctx);
}

static bool blind(void *ctx)
{
    (void)ctx;
    return true;
}

static void break_sizes(struct bench *b)
{
    b->port.cache_line_nbytes = 48;
}
static void break_vaddr(struct bench *b)
{
    b->port.vaddr = broken_vaddr;
}
static void break_copy(struct bench *b)
{
    b->port.copy = broken_copy;
}
static void break_copy_high(struct bench *b)
{
    b->port.copy = broken_copy_high;
}
static void break_zero(struct bench *b)
{
    b->port.zero = broken_zero;
}
static void break_zero_vaddr(struct bench *b)
{
    b->port.zero_vaddr = broken_zero_vaddr;
}
static void break_zero_vaddr_less(struct bench *b)
{
    b->port.zero_vaddr = broken_zero_vaddr_less;
}
static void break_wait(struct bench *b)
{
    b->port.wait = broken_wait;
}
static void break_clean(struct bench *b)
{
    b->port.clean = broken_range;
}
static void break_invalidate(struct bench *b)
{
    b->port.invalidate = broken_range;
}
static void break_lines(struct bench *b)
{
    b->port.invalidate = broken_invalidate_lines;
}
static void break_lookup(struct bench *b)
{
    b->port.lookup = broken_lookup;
}
static void break_attr(struct bench *b)
{
    b->port.set_attr = broken_set_attr;
}
static void break_attr_none(struct bench *b)
{
    b->port.set_attr = broken_set_attr_none;
}
static void break_flush(struct bench *b)
{
    b->port.tlb_flush = broken_flush;
}
static void break_map(struct bench *b)
{
    b->port.map = broken_map;
}
static void break_map_always(struct bench *b)
{
    b->port.map = broken_map_always;
}
static void break_window_map(struct bench *b)
{
    b->port.window_map = broken_window_map;
}
static void break_window_map_more(struct bench *b)
{
    b->port.window_map = broken_window_map_more;
}
static void break_window_unmap(struct bench *b)
{
    b->port.window_unmap = broken_window_unmap;
}
static void break_walker(struct bench *b)
{
    b->harness.no_alias = blind;
}
static void break_time(struct bench *b)
{
    b->port.time_ns = broken_time;
}
static void break_cpu(struct bench *b)
{
    b->port.cpu = broken_cpu;
}
static void break_missing(struct bench *b)
{
    b->port.zero = NULL;
}
static void break_vaddr_none(struct bench *b)
{
    b->port.vaddr = broken_vaddr_none;
}

static void break_lock(struct bench *b)
{
    b->port.lock = broken_lock;
    b->port.unlock = broken_unlock;
}

static void break_mask(struct bench *b)
{
    b->harness.interrupts_off = never_off;
}

static const struct {
    const char *test;
    void (*break_it)(struct bench *bench);
} breaks[] = {
    {"sizes", break_sizes},
    {"vaddr", break_vaddr},
    {"vaddr", break_vaddr_none},
    {"copy", break_copy},
    {"copy", break_vaddr_none},
    {"zero", break_zero},
    {"zero", break_missing},
    {"zero_vaddr", break_zero_vaddr},
    {"zero_vaddr", break_zero_vaddr_less},
    {"copy and zero without linear mapping", break_copy_high},
    {"dma_barrier", break_attr_none},
    {"lock and unlock", break_lock},
    {"lock and interrupts", break_mask},
    {"wait", break_wait},
    {"clean", break_clean},
    {"invalidate", break_invalidate},
    {"invalidate a part of a line", break_lines},
    {"lookup", break_lookup},
    {"set_attr and lookup", break_attr},
    {"set_attr and lookup", break_attr_none},
    {"set_attr outside areas", break_attr},
    {"set_attr and tlb_flush", break_flush},
    {"set_attr and tlb_flush", break_attr_none},
    {"handover", break_clean},
    {"handover", break_invalidate},
    {"handover", break_attr_none},
    {"map and unmap", break_map},
    {"map and other attributes", break_map_always},
    {"unmap and tlb_flush", break_map},
    {"map and its address space", break_flush},
    {"window", break_window_map},
    {"window", break_window_map_more},
    {"window", break_window_unmap},
    {"no alias", break_walker},
    {"time_ns", break_time},
    {"cpu", break_cpu},
};

static void test_broken_ports(void **state)
{
    (void)state;
    for (uint32_t index = 0; index < port_suite_count(); index++) {
        bool broken = false;
        for (size_t i = 0; i < COUNT(breaks); i++) {
            if (strcmp(breaks[i].test, port_suite_name(index)) != 0)
                continue;
            uint32_t seen = 0;
            for (uint64_t seed = 1; seed <= 5; seed++) {
                struct bench *bench = bench_create((struct sim_config){.seed = seed}, true);
                breaks[i].break_it(bench);
                seen += port_suite_run(&bench->harness, index).verdict == PORT_FAIL;
                bench_destroy(bench);
            }
            if (!seen)
                fail_msg("%s: break %d was not seen", breaks[i].test, (int)i);
            broken = true;
        }
        /* A wake that is lost leaves all asleep: the simulator ends the process for that. */
        if (!broken)
            assert_string_equal(port_suite_name(index), "wait and wake");
    }
}

static uint32_t test_index(const char *name)
{
    uint32_t index = 0;

    while (strcmp(port_suite_name(index), name) != 0)
        index++;
    return index;
}

static void lose_a_wake(void)
{
    struct bench *bench = bench_create((struct sim_config){.seed = 1}, true);

    bench->port.wake = broken_wake;
    port_suite_run(&bench->harness, test_index("wait and wake"));
}

static void test_lost_wake(void **state)
{
    (void)state;
    assert_int_equal(in_child(lose_a_wake), -SIGABRT);
}

int main(void)
{
    static uint32_t indexes[64];
    static struct CMUnitTest tests[COUNT(indexes)];
    uint32_t n = port_suite_count();

    for (uint32_t i = 0; i < n; i++) {
        indexes[i] = i;
        tests[i] = (struct CMUnitTest){port_suite_name(i), test_suite, NULL, NULL, &indexes[i]};
    }
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_suite_of_small_ports);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_broken_ports);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_lost_wake);
    return _cmocka_run_group_tests("port", tests, n, NULL, NULL);
}
