/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_sched.c - the simulator's fibres and threads: seeds, clocks, waiting, locks, deadlock
 */
#include "sim_board.h"

struct play {
    struct sim *sim;
    struct cma_lock lock;
    struct sim_mutex mutex;
    uint32_t event;
    uint64_t counter;
    char order[256];
    uint32_t n;
    bool locked;
    uint64_t ended_ns;
};

static void play_count(void *arg)
{
    struct play *play = arg;
    const struct cma_port *port = sim_port(play->sim);
    uint64_t value;

    for (int i = 0; i < 300; i++) {
        cma_paddr_t own = BASE + sim_self(play->sim) * PAGE;
        port->copy(port->ctx, own, BASE + 10 * MIB, PAGE);
        if (play->locked) {
            uintptr_t irq = port->lock(port->ctx, &play->lock);
            play->counter++;
            port->unlock(port->ctx, &play->lock, irq);
            sim_lock(play->sim, &play->mutex);
        }
        sim_read_paddr(play->sim, BASE, &value, sizeof(value));
        value++;
        sim_spend_ns(play->sim, sim_random(play->sim) % 500);
        sim_write_paddr(play->sim, BASE, &value, sizeof(value));
        if (play->locked)
            sim_unlock(play->sim, &play->mutex);
    }
    play->order[play->n++] = (char)('0' + sim_self(play->sim));
}

static uint64_t play_run(uint64_t seed, bool locked, uint64_t *hash)
{
    struct sim *sim = board(seed);
    struct play play = {.sim = sim, .locked = locked};
    uint64_t value = 0;

    sim_port(sim)->zero(sim, BASE, PAGE);
    for (int i = 0; i < 4; i++)
        sim_spawn(sim, "count", play_count, &play);
    sim_run(sim);
    assert_int_equal(play.n, 4);
    assert_int_equal(sim_self(sim), 0);
    sim_read_paddr(sim, BASE, &value, sizeof(value));
    *hash = sim_trace_hash(sim);
    if (locked)
        assert_int_equal(play.counter, 1200);
    sim_destroy(sim);
    return value;
}

static void test_same_seed_same_run(void **state)
{
    uint64_t first, second, other, lost = 0;
    (void)state;

    for (uint64_t seed = 1; seed <= 10; seed++) {
        uint64_t a = play_run(seed, false, &first), b = play_run(seed, false, &second);
        assert_int_equal(a, b);
        assert_int_equal(first, second);
        play_run(seed + 1000, false, &other);
        assert_int_not_equal(first, other);
        lost += 1200 - a;
        /* With the lock no count is lost: the control is that without it some are. */
        assert_int_equal(play_run(seed, true, &first), 1200);
    }
    assert_true(lost > 100);
}

static void play_copy(void *arg)
{
    struct play *play = arg;

    for (int i = 0; i < 40; i++)
        sim_port(play->sim)->copy(play->sim, BASE, BASE + MIB, PAGE);
    play->order[play->n++] = (char)('0' + sim_self(play->sim));
}

/* Nothing here draws a number but the scheduler. */
static void test_the_seed_orders_fibres(void **state)
{
    char first[8] = "";
    int differ = 0;
    (void)state;

    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim *sim = board_with((struct sim_config){.seed = seed / 2, .coherent = true});
        struct play play = {.sim = sim};
        for (int i = 0; i < 5; i++)
            sim_spawn(sim, "copy", play_copy, &play);
        sim_run(sim);
        if (seed % 2 == 0) {
            differ += strcmp(play.order, first) != 0; /* from the seed before */
            memcpy(first, play.order, 6);
        } else if (seed > 1) {
            assert_string_equal(play.order, first); /* the same seed once more */
        }
        sim_destroy(sim);
    }
    assert_true(differ > 5);
}

static void play_sleep(void *arg)
{
    struct play *play = arg;

    sim_sleep_ns(play->sim, 1000000 - sim_self(play->sim) * 100000);
    play->order[play->n++] = (char)('0' + sim_self(play->sim));
    if (sim_now_ns(play->sim) > play->ended_ns)
        play->ended_ns = sim_now_ns(play->sim);
}

static void test_clocks(void **state)
{
    struct sim *sim = board(1);
    struct play play = {.sim = sim};
    (void)state;

    for (int i = 0; i < 5; i++)
        sim_spawn(sim, "sleeper", play_sleep, &play);
    sim_run(sim);
    assert_string_equal(play.order, "54321");
    assert_int_equal(sim_now_ns(sim), play.ended_ns);
    /* Five slept side by side, not one after the other. */
    assert_in_range(sim_now_ns(sim), 900000, 910000);
    sim_destroy(sim);
}

static void play_waiter(void *arg)
{
    struct play *play = arg;
    const struct cma_port *port = sim_port(play->sim);

    while (__atomic_load_n(&play->event, __ATOMIC_ACQUIRE) == 0)
        port->wait(port->ctx, &play->event, 0);
    __atomic_fetch_add(&play->counter, 1, __ATOMIC_RELAXED);
}

static void play_waker(void *arg)
{
    struct play *play = arg;
    const struct cma_port *port = sim_port(play->sim);

    sim_sleep_ns(play->sim, 30000);
    __atomic_store_n(&play->event, 1, __ATOMIC_RELEASE);
    port->wake(port->ctx, &play->event);
}

static void play_spawner(void *arg)
{
    struct play *play = arg;

    for (int i = 0; i < 3; i++)
        sim_spawn(play->sim, "waiter", play_waiter, play);
    sim_spawn(play->sim, "waker", play_waker, play);
}

static void test_wait_and_wake(void **state)
{
    (void)state;
    for (int threads = 0; threads < 2; threads++) {
        for (uint64_t seed = 1; seed <= 20; seed++) {
            struct sim *sim = board_with(
                (struct sim_config){.seed = seed, .scheduler = threads ? SIM_THREADS : SIM_FIBRES});
            struct play play = {.sim = sim};
            sim_spawn(sim, "spawner", play_spawner, &play);
            sim_run(sim);
            assert_int_equal(play.counter, 3);
            sim_destroy(sim);
        }
    }
}

static void dead_fibres(void)
{
    struct sim *sim = board(1);
    struct play play = {.sim = sim};
    sim_spawn(sim, "waiter", play_waiter, &play);
    sim_spawn(sim, "waiter", play_waiter, &play);
    sim_run(sim);
}

static void dead_threads(void)
{
    struct sim *sim = board_with((struct sim_config){.scheduler = SIM_THREADS});
    struct play play = {.sim = sim};
    sim_spawn(sim, "waiter", play_waiter, &play);
    sim_spawn(sim, "sleeper", play_sleep, &play);
    sim_run(sim);
}

static void dead_spinner(void)
{
    struct sim *sim = board(1);
    struct cma_lock lock = {{0, 0}};
    lock.word[0] = 17;
    sim_port(sim)->lock(sim, &lock);
}

static void test_deadlock_is_noticed(void **state)
{
    (void)state;
    assert_int_equal(in_child(dead_fibres), -SIGABRT);
    assert_int_equal(in_child(dead_threads), -SIGABRT);
    assert_int_equal(in_child(dead_spinner), -SIGABRT);
}

static void test_lock_rules(void **state)
{
    struct sim *sim = board(1);
    const struct cma_port *port = sim_port(sim);
    struct cma_lock a = {{0, 0}}, b = {{0, 0}};
    (void)state;

    sim_tolerate(sim, SIM_LOCK, true);
    uintptr_t irq = port->lock(port->ctx, &a);
    assert_int_equal(sim_violations(sim, SIM_LOCK), 0);
    (void)port->cpu(port->ctx);
    (void)port->time_ns(port->ctx);
    assert_int_equal(sim_violations(sim, SIM_LOCK), 0);
    port->dma_barrier(port->ctx);
    assert_int_equal(sim_violations(sim, SIM_LOCK), 1);
    port->unlock(port->ctx, &b, port->lock(port->ctx, &b));
    assert_int_equal(sim_violations(sim, SIM_LOCK), 2);
    port->unlock(port->ctx, &a, irq);
    port->dma_barrier(port->ctx);
    assert_int_equal(sim_violations(sim, SIM_LOCK), 2);
    port->unlock(port->ctx, &a, irq);
    assert_int_equal(sim_violations(sim, SIM_LOCK), 3);
    sim_destroy(sim);
}

static void play_thread(void *arg)
{
    struct play *play = arg;
    const struct cma_port *port = sim_port(play->sim);
    uint64_t value, own = sim_self(play->sim);
    void *mapped;

    for (uint64_t i = 0; i < 200; i++) {
        uintptr_t irq = port->lock(port->ctx, &play->lock);
        play->counter++;
        port->unlock(port->ctx, &play->lock, irq);

        sim_lock(play->sim, &play->mutex);
        sim_read_paddr(play->sim, BASE, &value, sizeof(value));
        value++;
        sim_write_paddr(play->sim, BASE, &value, sizeof(value));
        sim_unlock(play->sim, &play->mutex);

        /* Own memory, by every way there is. */
        value = own << 32 | i;
        sim_write_paddr(play->sim, BASE + own * PAGE, &value, sizeof(value));
        if (port->map(port->ctx, BASE + own * PAGE, PAGE, CMA_ATTR_CACHED, &mapped) == 0) {
            value = 0;
            sim_read(play->sim, mapped, &value, sizeof(value));
            if (value != (own << 32 | i))
                abort();
            port->unmap(port->ctx, mapped, PAGE);
            port->tlb_flush(port->ctx);
        }
        port->copy(port->ctx, BASE + MIB + own * PAGE, BASE + own * PAGE, PAGE);
        port->clean(port->ctx, BASE + MIB + own * PAGE, PAGE);
        sim_dev_read(play->sim, BASE + MIB + own * PAGE, &value, sizeof(value), false);
        if (value != (own << 32 | i))
            abort();
        (void)sim_now_ns(play->sim);
        (void)sim_random(play->sim);
    }
}

static void test_threads(void **state)
{
    struct sim *sim = board_with((struct sim_config){.scheduler = SIM_THREADS});
    struct play play = {.sim = sim};
    uint64_t value;
    (void)state;

    sim_port(sim)->zero(sim, BASE, PAGE);
    for (int i = 0; i < 4; i++)
        sim_spawn(sim, "thread", play_thread, &play);
    sim_run(sim);
    assert_int_equal(play.counter, 800);
    sim_read_paddr(sim, BASE, &value, sizeof(value));
    assert_int_equal(value, 800);
    assert_true(sim_now_ns(sim) > 800 * sim_cost_ns(SIM_COST_COPY_PAGE));
    sim_destroy(sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_run),
        cmocka_unit_test(test_the_seed_orders_fibres),
        cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_wait_and_wake),
        cmocka_unit_test(test_deadlock_is_noticed),
        cmocka_unit_test(test_lock_rules),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
