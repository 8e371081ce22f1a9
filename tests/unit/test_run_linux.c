/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_run_linux.c - what `cma run --policy linux` does to a board while it empties windows
 *
 * The policy's callbacks are watched during whole runs: one window at a time in an area; what is
 * idle in a window is taken first; nothing of an empty window is anybody's; and of a window that
 * was given up nothing is kept.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../../tool/policy_linux.h"

static int test_policy_alloc(struct policy_linux *policy, const struct linux_memory *memory,
                             uint64_t npages, uint32_t order, uint64_t *page);

#define policy_linux_alloc test_policy_alloc
#include "../../tool/linux_area.c"
#undef policy_linux_alloc

#include "../../tool/verbs.h"

#define BOARD "examples/boards/omap1-camera.dts"

static struct {
    uint64_t windows, given_up, crowded; /* crowded: begun while another was in progress */
    uint64_t idle, taken;                /* pages of windows: idle after begin; taken by begin */
    uint64_t left, kept;                 /* used when all was said to be empty; not released */
    uint32_t active;
} test_seen;

/* The request's own callbacks, and its ctx. */
struct test_watch {
    const struct linux_memory *memory;
};

static struct linux_attempt *test_attempt(void *ctx)
{
    return ((struct test_watch *)ctx)->memory->ctx;
}

static struct cma_frame_info test_info(void *ctx, uint64_t page)
{
    struct linux_attempt *attempt = test_attempt(ctx);
    struct cma_frame_info info;

    assert_int_equal(cma_frame_info(attempt->area->frames, linux_pfn(attempt, page), &info), 0);
    return info;
}

static void test_begin(void *ctx, uint64_t first, uint64_t npages)
{
    const struct linux_memory *memory = ((struct test_watch *)ctx)->memory;

    memory->begin(memory->ctx, first, npages);
    test_seen.windows++;
    test_seen.crowded += test_seen.active++ != 0;
    for (uint64_t page = first; page < first + npages; page++) {
        test_seen.idle += test_info(ctx, page).idle;
        test_seen.taken += test_attempt(ctx)->mine[page - first];
    }
}

static bool test_used(void *ctx, uint64_t page)
{
    const struct linux_memory *memory = ((struct test_watch *)ctx)->memory;

    return memory->used(memory->ctx, page);
}

static int64_t test_migrate(void *ctx, uint64_t first, uint64_t npages)
{
    const struct linux_memory *memory = ((struct test_watch *)ctx)->memory;

    return memory->migrate(memory->ctx, first, npages);
}

static int test_end(void *ctx, uint64_t first, uint64_t npages, int error)
{
    const struct linux_memory *memory = ((struct test_watch *)ctx)->memory;
    uint64_t window = test_attempt(ctx)->window;

    assert_int_equal(window, first);
    for (uint64_t page = first; page < first + npages && error == 0; page++)
        test_seen.left += test_used(ctx, page);
    test_seen.active--;
    error = memory->end(memory->ctx, first, npages, error);
    test_seen.given_up += error != 0;
    for (uint64_t page = first; page < first + npages && error != 0; page++) {
        struct cma_frame_info info = test_info(ctx, page);

        test_seen.kept += info.kind == CMA_KIND_CLAIMED && info.cookie == LINUX_OWNER;
    }
    return error;
}

static int test_policy_alloc(struct policy_linux *policy, const struct linux_memory *memory,
                             uint64_t npages, uint32_t order, uint64_t *page)
{
    struct test_watch watch = {memory};
    const struct linux_memory watched = {&watch, test_begin, test_used, test_migrate, test_end};

    return policy_linux_alloc(policy, &watched, npages, order, page);
}

/* A run with its output thrown away. */
static int test_run(const char *board, const char *droppable)
{
    const char *words[] = {"run",    board,    "--policy", "linux",       "--seconds", "3",
                           "--pins", "40",     "--seed",   "5",           "--json",    "--granule",
                           "page",   "--fill", "90",       "--droppable", droppable};
    char copies[17][64], *argv[18] = {NULL};
    FILE *nowhere = tmpfile();
    int kept = dup(STDOUT_FILENO), code;

    assert_non_null(nowhere);
    for (int i = 0; i < 17; i++) {
        snprintf(copies[i], sizeof(copies[i]), "%s", words[i]);
        argv[i] = copies[i];
    }
    memset(&test_seen, 0, sizeof(test_seen));
    fflush(stdout);
    dup2(fileno(nowhere), STDOUT_FILENO);
    optind = 1;
    code = verb_run(17, argv);
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    fclose(nowhere);
    return code;
}

static void windows_are_emptied_as_linux_does(void **state)
{
    (void)state;
    assert_int_equal(test_run(BOARD, "20"), 0);
    assert_true(test_seen.windows > 50);
    assert_true(test_seen.given_up > 10);
    assert_true(test_seen.given_up < test_seen.windows);
    assert_int_equal(test_seen.left, 0);
    assert_int_equal(test_seen.kept, 0);
    assert_int_equal(test_seen.active, 0);
    /* What became idle during begin itself is seen here; what was idle before is not. */
    assert_true(test_seen.taken > 0);
    assert_true(test_seen.idle * 10 <= test_seen.taken);
}

/* BOARD with three cameras on its area. */
static void test_write_shared(const char *path)
{
    FILE *from = fopen(BOARD, "r"), *to = fopen(path, "w");
    char line[256];

    assert_non_null(from);
    assert_non_null(to);
    while (fgets(line, sizeof(line), from) != NULL) {
        if (strstr(line, "camera@fffb6800 {") != NULL)
            for (char name = 'a'; name <= 'h'; name++)
                fprintf(to,
                        "%c@fffb%c000 { compatible = \"x\"; reg = <0xfffb%c000 0x100>;"
                        " memory-region = <&camera_area>; };\n",
                        name, name - 'a' + '1', name - 'a' + '1');
        fputs(line, to);
    }
    fclose(from);
    fclose(to);
}

static void one_window_of_an_area_at_a_time(void **state)
{
    char path[64];

    (void)state;
    snprintf(path, sizeof(path), "/tmp/test_run_linux.%d.dts", (int)getpid());
    test_write_shared(path);
    assert_int_equal(test_run(path, "20"), 0);
    unlink(path);
    assert_true(test_seen.windows > 50);
    assert_int_equal(test_seen.crowded, 0);
    assert_int_equal(test_seen.active, 0);
    assert_int_equal(test_seen.kept, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_are_emptied_as_linux_does),
        cmocka_unit_test(one_window_of_an_area_at_a_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
