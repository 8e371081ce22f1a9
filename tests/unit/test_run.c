/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_run.c - does `cma run` notice when bytes are lost? The same run with a port that is broken
 * in one place each time has to end with exit code 1, and with a whole one with 0. And does the
 * naive search notice a refusal that was wrong?
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../ports/sim/sim.h"

#include <cma/system.h>

static const struct cma_port *test_port(struct sim *sim);
static int test_system_init(struct cma_system *system, const struct cma_map *map,
                            const struct cma_system_config *config, void *storage, uint64_t nbytes);

/* The machine is booted with our port in place of the simulator's. */
#define sim_port test_port
#define cma_system_init test_system_init
#include "../../tool/run_boot.c"
#undef sim_port
#undef cma_system_init

#include "../../tool/verbs.h"

#define BOARD "examples/boards/omap1-camera.dts"
#define SCENARIO "--scenario=examples/scenarios/camera-full-cache.txt"

enum fault {
    FAULT_NONE,
    FAULT_NO_CLEAN,
    FAULT_NO_MAINTENANCE,
    FAULT_COPY,
    FAULT_HALF_COPY,
    FAULT_NO_ZERO,
    FAULT_NO_FLUSH,
    FAULT_NO_ATTR,
    FAULT_NO_ROOM
};

static enum fault test_fault;
static int test_sound_ports; /* so many times the port is handed out whole: twice a boot */
static uint64_t test_copies;
static struct cma_port test_copy_of_port;
static const struct cma_port *test_whole;

static void test_nothing(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx;
    (void)paddr;
    (void)nbytes;
}

static void test_no_flush(void *ctx)
{
    (void)ctx;
}

static void test_no_attr(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr)
{
    (void)attr;
    test_nothing(ctx, paddr, nbytes);
}

/* Every 16th page is moved without its bytes, or with half of them. */
static void test_bad_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    if (++test_copies % 16 != 0)
        test_whole->copy(ctx, to, from, nbytes);
    else if (test_fault == FAULT_HALF_COPY)
        test_whole->copy(ctx, to, from, nbytes / 2);
}

static const struct cma_port *test_port(struct sim *sim)
{
    test_whole = sim_port(sim);
    test_copy_of_port = *test_whole;
    if (test_sound_ports-- > 0)
        return &test_copy_of_port;
    if (test_fault == FAULT_NO_CLEAN || test_fault == FAULT_NO_MAINTENANCE)
        test_copy_of_port.clean = test_nothing;
    if (test_fault == FAULT_NO_MAINTENANCE)
        test_copy_of_port.invalidate = test_nothing;
    if (test_fault == FAULT_COPY || test_fault == FAULT_HALF_COPY)
        test_copy_of_port.copy = test_bad_copy;
    if (test_fault == FAULT_NO_ZERO)
        test_copy_of_port.zero = test_nothing;
    if (test_fault == FAULT_NO_FLUSH)
        test_copy_of_port.tlb_flush = test_no_flush;
    if (test_fault == FAULT_NO_ATTR) {
        test_copy_of_port.set_attr = test_no_attr;
        test_copy_of_port.lookup = NULL; /* else libcma sees it and refuses */
    }
    return &test_copy_of_port;
}

/* An allocator that says it has no room for what areas have to move. */
static uint64_t test_no_room(void *ctx, cma_paddr_t paddr_last)
{
    (void)ctx;
    (void)paddr_last;
    return 0;
}

static int test_system_init(struct cma_system *system, const struct cma_map *map,
                            const struct cma_system_config *config, void *storage, uint64_t nbytes)
{
    int error = cma_system_init(system, map, config, storage, nbytes);

    if (test_fault == FAULT_NO_ROOM)
        system->pages.ops.room = test_no_room;
    return error;
}

/* One run with its JSON in `test_output`. */
static char test_output[65536];

static int test_run_with(enum fault fault, const char *droppable, const char *option)
{
    char *argv[] = {(char[]){"run"},
                    (char[]){BOARD},
                    (char[]){"--seconds"},
                    (char[]){"1"},
                    (char[]){"--json"},
                    (char[]){"--droppable"},
                    NULL,
                    NULL,
                    NULL};
    char percent[8], last[96];
    FILE *out = tmpfile();
    int kept = dup(STDOUT_FILENO), code;
    size_t nbytes;

    snprintf(percent, sizeof(percent), "%s", droppable);
    snprintf(last, sizeof(last), "%s", option != NULL ? option : "");
    argv[6] = percent;
    argv[7] = option != NULL ? last : NULL;
    test_fault = fault;
    test_copies = 0;
    fflush(stdout);
    assert_non_null(out);
    dup2(fileno(out), STDOUT_FILENO);
    optind = 1;
    code = verb_run(option != NULL ? 8 : 7, argv);
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    rewind(out);
    nbytes = fread(test_output, 1, sizeof(test_output) - 1, out);
    test_output[nbytes] = '\0';
    fclose(out);
    return code;
}

static int test_run(enum fault fault, const char *droppable)
{
    test_sound_ports = 0;
    return test_run_with(fault, droppable, NULL);
}

static void whole_port_loses_nothing(void **state)
{
    (void)state;
    assert_int_equal(test_run(FAULT_NONE, "50"), 0);
    assert_int_equal(test_run(FAULT_NONE, "0"), 0);
    assert_int_equal(test_run(FAULT_NONE, "100"), 0);
}

static void missing_maintenance_is_noticed(void **state)
{
    (void)state;
    assert_int_equal(test_run(FAULT_NO_MAINTENANCE, "50"), EXIT_LOST);
    assert_int_equal(test_run(FAULT_NO_CLEAN, "50"), EXIT_LOST);
}

static void bad_mappings_are_noticed(void **state)
{
    (void)state;
    assert_int_equal(test_run(FAULT_NO_FLUSH, "50"), EXIT_LOST);
    assert_int_equal(test_run(FAULT_NO_ATTR, "50"), EXIT_LOST);
}

static void bad_copies_are_noticed(void **state)
{
    (void)state;
    assert_int_equal(test_run(FAULT_COPY, "0"), EXIT_LOST);
    assert_true(test_copies >= 16);
    assert_int_equal(test_run(FAULT_HALF_COPY, "0"), EXIT_LOST);
}

static void dirty_buffers_are_noticed(void **state)
{
    (void)state;
    assert_int_equal(test_run(FAULT_NO_ZERO, "50"), EXIT_LOST);
}

static void wrong_refusals_are_noticed(void **state)
{
    (void)state;
    assert_int_equal(test_run(FAULT_NONE, "0"), 0);
    assert_non_null(strstr(test_output, "\"failed\": 0,"));
    assert_int_equal(test_run(FAULT_NO_ROOM, "0"), 0);
    assert_null(strstr(test_output, "\"failed\": 0,"));
    assert_non_null(strstr(test_output, "\"oracle_disagreements\": "));
    assert_null(strstr(test_output, "\"oracle_disagreements\": 0,"));
}

/* Both runs of --compare count: libcma moves the pages in both. */
static void lost_bytes_are_noticed_under_both_policies(void **state)
{
    (void)state;
    test_sound_ports = 0;
    assert_int_equal(test_run_with(FAULT_NONE, "20", "--compare"), 0);
    assert_non_null(strstr(test_output, "\"linux_to_libcma\""));
    for (int sound = 0; sound <= 4; sound += 2) {
        test_sound_ports = sound;
        assert_int_equal(test_run_with(FAULT_COPY, "20", "--compare"), sound < 4 ? EXIT_LOST : 0);
    }
    test_sound_ports = 0;
    assert_int_equal(test_run_with(FAULT_NO_MAINTENANCE, "20", "--policy=linux"), EXIT_LOST);
}

/* The frames of a scenario's camera, on the same board, are compared as well. */
static void scenarios_notice_it_too(void **state)
{
    static const struct {
        enum fault fault;
        const char *droppable;
    } faults[] = {{FAULT_NO_MAINTENANCE, "50"}, {FAULT_NO_CLEAN, "50"}, {FAULT_NO_ZERO, "50"}};
    (void)state;

    test_sound_ports = 0;
    assert_int_equal(test_run_with(FAULT_NONE, "50", SCENARIO), 0);
    assert_non_null(strstr(test_output, "\"stale_bytes\": 0\n"));
    assert_non_null(strstr(test_output, "\"dropped\": 0,"));
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        assert_int_equal(test_run_with(faults[i].fault, faults[i].droppable, SCENARIO), EXIT_LOST);
    }
}

static void test_run_text(enum fault fault, const char *text, int code, bool stale)
{
    char path[64], option[96];
    FILE *file;
    int got;

    snprintf(path, sizeof(path), "/tmp/test_run.%ld", (long)getpid());
    file = fopen(path, "wx");
    assert_non_null(file);
    fprintf(file, "board " BOARD "\n%s", text);
    fclose(file);
    snprintf(option, sizeof(option), "--scenario=%s", path);
    got = test_run_with(fault, "50", option);
    unlink(path);
    assert_int_equal(got, code);
    assert_int_equal(strstr(test_output, "\"stale_bytes\": 0\n") == NULL, stale);
}

/* A display reads what the CPU drew: where that stays in the cache, it shows. Before long other
 * work drives it out of the cache, so pictures are shown soon here. */
static void displays_notice_it_too(void **state)
{
    static const char panel[] = "display panel\nnode /soc/camera@fffb6800\nformat GREY 320x240\n"
                                "buffers 2\nrate 100\nopen at 0s\n";
    (void)state;

    test_run_text(FAULT_NONE, panel, 0, false);
    test_run_text(FAULT_NO_ATTR, panel, EXIT_LOST, true);
}

/* In each format the right bytes are right, and others are not. */
static void all_formats_notice_it(void **state)
{
    char text[200];
    (void)state;

    for (int i = 0; i < PICTURE_PIXELS; i++) {
        snprintf(text, sizeof(text),
                 "camera one\nnode /soc/camera@fffb6800\nformat %s 200x150\nopen at 0s\n",
                 picture_pixel_name((enum picture_pixel)i));
        test_run_text(FAULT_NONE, text, 0, false);
        test_run_text(FAULT_NO_ATTR, text, EXIT_LOST, true);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_port_loses_nothing),
        cmocka_unit_test(missing_maintenance_is_noticed),
        cmocka_unit_test(bad_mappings_are_noticed),
        cmocka_unit_test(bad_copies_are_noticed),
        cmocka_unit_test(dirty_buffers_are_noticed),
        cmocka_unit_test(wrong_refusals_are_noticed),
        cmocka_unit_test(lost_bytes_are_noticed_under_both_policies),
        cmocka_unit_test(scenarios_notice_it_too),
        cmocka_unit_test(displays_notice_it_too),
        cmocka_unit_test(all_formats_notice_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
