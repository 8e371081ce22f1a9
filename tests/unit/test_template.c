/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_template.c - ports/template: compiles for all, works for nobody, and says what to write
 *
 * Where tests/port is there: each of its tests fails on the template, and one hook of the template
 * in a port that is right otherwise is found, with that hook's sentence.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../ports/sim/sim.h"
#include "../../ports/template/port.c"

static const char *said;
static const char *only; /* when not NULL: sentences of this hook */

void port_write_me(const char *sentence)
{
    if (said == NULL && (only == NULL || strncmp(sentence, only, strlen(only)) == 0))
        said = sentence;
}

/* The sentence begins with the hook's name and a colon, and says something. */
static void check_sentence(const char *hook)
{
    size_t length = strlen(hook);

    assert_non_null(said);
    if (strncmp(said, hook, length) != 0 || said[length] != ':' || strlen(said) < length + 30)
        fail_msg("%s says: %s", hook, said);
    said = NULL;
}

#define CALL(hook, ...) (said = NULL, (void)template_port.hook(NULL, ##__VA_ARGS__), #hook)

static void test_hooks_say_what_to_write(void **state)
{
    struct cma_lock lock = {{0, 0}};
    cma_paddr_t paddr;
    enum cma_attr attr;
    void *vaddr;

    (void)state;
    check_sentence(CALL(vaddr, 0));
    check_sentence(CALL(copy, 0, 0, 0));
    check_sentence(CALL(zero, 0, 0));
    check_sentence(CALL(zero_vaddr, NULL, 0));
    check_sentence(CALL(dma_barrier));
    check_sentence(CALL(lock, &lock));
    check_sentence(CALL(unlock, &lock, 0));
    check_sentence(CALL(wait, NULL, 0));
    check_sentence(CALL(wake, NULL));
    check_sentence(CALL(clean, 0, 0));
    check_sentence(CALL(invalidate, 0, 0));
    check_sentence(CALL(lookup, NULL, &paddr, &attr));
    check_sentence(CALL(set_attr, 0, 0, CMA_ATTR_CACHED));
    check_sentence(CALL(tlb_flush));
    check_sentence(CALL(map, 0, 0, CMA_ATTR_CACHED, &vaddr));
    check_sentence(CALL(unmap, NULL, 0));
    check_sentence(CALL(window_make, 0, &vaddr));
    check_sentence(CALL(window_map, NULL, 0, 0, CMA_ATTR_UNCACHED));
    check_sentence(CALL(window_unmap, NULL, 0));
    check_sentence(CALL(time_ns));
    check_sentence(CALL(cpu));
}

/* No hook is left out, and as it stands it is refused at boot. */
static void test_every_hook_is_there(void **state)
{
    const void *const *hooks = (const void *const *)&template_port.map;
    size_t count =
        (sizeof(struct cma_port) - offsetof(struct cma_port, map)) / sizeof(void (*)(void));
    struct cma_port port = template_port;

    (void)state;
    assert_int_equal(count, 21);
    for (size_t i = 0; i < count; i++)
        assert_non_null(hooks[i]);
    assert_int_equal(cma_port_check(&template_port), CMA_EINVAL);
    port.page_shift = 12;
    assert_int_equal(cma_port_check(&port), CMA_EINVAL);
    port.cache_line_nbytes = 64;
    assert_int_equal(cma_port_check(&port), CMA_OK);
}

#if __has_include("../port/suite.c")
#include "../port/suite.c"

#define BASE UINT64_C(0x40000000)
#define MIB (UINT64_C(1) << 20)

static struct sim *board(void)
{
    static const struct sim_memory memory = {BASE, 64 * MIB};

    return sim_create(&(struct sim_config){
        .memory = &memory, .nmemory = 1, .linear_last = BASE + 32 * MIB - 1, .cache_nbytes = 4096});
}

static void harness_read(void *ctx, const void *vaddr, void *to, uint64_t nbytes)
{
    sim_read(ctx, vaddr, to, nbytes);
}

static void harness_write(void *ctx, void *vaddr, const void *from, uint64_t nbytes)
{
    sim_write(ctx, vaddr, from, nbytes);
}

static void harness_device_read(void *ctx, cma_paddr_t paddr, void *to, uint64_t nbytes)
{
    sim_dev_read(ctx, paddr, to, nbytes, false);
}

static void harness_device_write(void *ctx, cma_paddr_t paddr, const void *from, uint64_t nbytes)
{
    sim_dev_write(ctx, paddr, from, nbytes, false);
}

static void harness_evict(void *ctx)
{
    sim_evict(ctx, UINT64_MAX);
}

static void harness_run_two(void *ctx, void (*a)(void *arg), void (*b)(void *arg), void *arg)
{
    sim_spawn(ctx, "a", a, arg);
    sim_spawn(ctx, "b", b, arg);
    sim_run(ctx);
}

static void harness_pass_time(void *ctx)
{
    sim_sleep_ns(ctx, 1000);
}

static struct port_harness harness(struct sim *sim, const struct cma_port *port)
{
    for (int i = 0; i < SIM_VIOLATIONS; i++)
        sim_tolerate(sim, (enum sim_violation)i, true);
    return (struct port_harness){.port = port,
                                 .ctx = sim,
                                 .memory = BASE + 4 * MIB,
                                 .unmapped = BASE + 48 * MIB,
                                 .read = harness_read,
                                 .write = harness_write,
                                 .device_read = harness_device_read,
                                 .device_write = harness_device_write,
                                 .evict = harness_evict,
                                 .run_two = harness_run_two,
                                 .pass_time = harness_pass_time};
}

static void test_suite_refuses_the_template(void **state)
{
    struct sim *sim = board();
    struct port_harness h = harness(sim, &template_port);

    (void)state;
    for (uint32_t i = 0; i < port_suite_count(); i++) {
        struct port_result result = port_suite_run(&h, i);

        if (result.verdict != PORT_FAIL || strlen(result.why) < 20)
            fail_msg("%s does not fail on the template, or says nothing", port_suite_name(i));
    }
    sim_destroy(sim);
}

/* All but dma_barrier: the simulator reorders nothing, so it can't miss one. unlock goes with lock.
 */
static const struct {
    const char *name;
    size_t offset;
} replaced[] = {
#define HOOK(hook)                             \
    {                                          \
#hook, offsetof(struct cma_port, hook) \
    }
    HOOK(vaddr), HOOK(copy),       HOOK(zero),    HOOK(zero_vaddr), HOOK(lock),  HOOK(wait),
    HOOK(wake),  HOOK(clean),      HOOK(lookup),  HOOK(map),        HOOK(unmap), HOOK(set_attr),
    HOOK(cpu),   HOOK(invalidate), HOOK(time_ns), HOOK(tlb_flush),
#undef HOOK
};

/* Does a test of the suite fail on this port? Ends the process: a broken port may hang or abort. */
static void try_port(const struct cma_port *broken)
{
    uint32_t failed = 0;

    alarm(3);
    for (uint32_t i = 0; i < port_suite_count() && !failed; i++) {
        struct sim *sim = board();
        struct cma_port port = *sim_port(sim);
        struct port_harness h;

        for (size_t j = 0; j < COUNT(replaced); j++) {
            void *const *hook = (void *const *)((const char *)broken + replaced[j].offset);

            if (*hook != NULL)
                memcpy((char *)&port + replaced[j].offset, hook, sizeof(*hook));
        }
        h = harness(sim, &port);
        failed = port_suite_run(&h, i).verdict == PORT_FAIL;
        sim_destroy(sim);
    }
    _exit(failed && said != NULL ? 1 : 0);
}

static void test_suite_finds_each_hook(void **state)
{
    (void)state;
    for (size_t j = 0; j < COUNT(replaced); j++) {
        struct cma_port broken = {0};
        int status = 0;
        pid_t child = fork();

        if (child == 0) {
            freopen("/dev/null", "w", stderr);
            memcpy((char *)&broken + replaced[j].offset,
                   (const char *)&template_port + replaced[j].offset, sizeof(void *));
            only = replaced[j].name;
            try_port(&broken);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        /* Hanging or aborting (a deadlock that the simulator reports) is being found, too. */
        if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            fail_msg("the suite does not miss %s", replaced[j].name);
    }
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hooks_say_what_to_write),
        cmocka_unit_test(test_every_hook_is_there),
#if __has_include("../port/suite.c")
        cmocka_unit_test(test_suite_refuses_the_template),
        cmocka_unit_test(test_suite_finds_each_hook),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
