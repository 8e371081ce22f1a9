/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_run_promise.c - does `cma run` notice when a promise is not kept? The same run with a DMA
 * layer that refuses a promised block once, and with guarantees that say they cost too much, has to
 * end with exit code 1, and with whole ones with 0.
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

#include <cma/system.h>

static int test_alloc(struct cma_device *device, const struct cma_coherent_request *request,
                      struct cma_coherent *buffer, struct cma_refusal *refusal);
static void test_bounds(const struct cma_guarantee *guarantee, struct cma_guarantee_stats *stats);

#define cma_dma_alloc_coherent test_alloc
#include "../../tool/run_stream.c"
#undef cma_dma_alloc_coherent
#define cma_guarantee_stats(guarantee, stats) test_bounds(guarantee, stats)
#include "../../tool/run_promise.c"
#undef cma_guarantee_stats

#include "../../tool/verbs.h"

enum fault { FAULT_NONE, FAULT_REFUSE, FAULT_COPIES, FAULT_DROPS, FAULT_FLUSHES };

static enum fault test_fault;
static int test_calls;
static char test_output[65536];

static int test_alloc(struct cma_device *device, const struct cma_coherent_request *request,
                      struct cma_coherent *buffer, struct cma_refusal *refusal)
{
    if (test_fault == FAULT_REFUSE && ++test_calls == 10) {
        *refusal = (struct cma_refusal){
            .code = CMA_ENOMEM, .reason = CMA_REASON_MAPPING, .pfn = CMA_PFN_NONE};
        return CMA_ENOMEM;
    }
    return cma_dma_alloc_coherent(device, request, buffer, refusal);
}

/* The bounds of the board below: 1 copy, 192 pages dropped, 2 flushes. */
static void test_bounds(const struct cma_guarantee *guarantee, struct cma_guarantee_stats *stats)
{
    cma_guarantee_stats(guarantee, stats);
    stats->copied_worst = test_fault == FAULT_COPIES ? 2 : 1;
    stats->dropped_worst = test_fault == FAULT_DROPS ? 193 : 192;
    stats->flushes_worst = test_fault == FAULT_FLUSHES ? 3 : 2;
}

/* A telephone whose camera is promised 4 blocks of 768 KiB with 1 copy. */
static void test_write_board(const char *path)
{
    static const char board[] =
        "/dts-v1/; / { #address-cells = <1>; #size-cells = <1>;"
        "cpus { cpu@0 { device_type = \"cpu\"; compatible = \"arm,arm925\"; }; };"
        "memory { device_type = \"memory\"; reg = <0x10000000 0x1000000>; };"
        "reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges;"
        "a: a { compatible = \"shared-dma-pool\"; reusable; reg = <0x10800000 0x400000>; }; };"
        "camera { memory-region = <&a>; libcma,guarantee-blocks = <4>;"
        "libcma,guarantee-size = <0xc0000>; libcma,guarantee-max-moves = <1>; }; };";
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(board, 1, sizeof(board) - 1, file), sizeof(board) - 1);
    assert_int_equal(fclose(file), 0);
}

static int test_run(enum fault fault)
{
    char path[64], *argv[] = {(char[]){"run"},    path, (char[]){"--seconds"}, (char[]){"1"},
                              (char[]){"--json"}, NULL};
    FILE *out = tmpfile();
    int kept = dup(STDOUT_FILENO), code;
    size_t nbytes;

    snprintf(path, sizeof(path), P_tmpdir "/cma-promise-%d.dts", (int)getpid());
    test_write_board(path);
    test_fault = fault;
    test_calls = 0;
    fflush(stdout);
    assert_non_null(out);
    dup2(fileno(out), STDOUT_FILENO);
    optind = 1;
    code = verb_run(5, argv);
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    unlink(path);
    rewind(out);
    nbytes = fread(test_output, 1, sizeof(test_output) - 1, out);
    test_output[nbytes] = '\0';
    fclose(out);
    return code;
}

static void what_is_kept_is_well(void **state)
{
    (void)state;
    assert_int_equal(test_run(FAULT_NONE), 0);
    assert_non_null(strstr(test_output, "\"broken_promises\": 0,"));
    assert_non_null(strstr(test_output, "\"violation\": \"\","));
    assert_non_null(strstr(test_output, "\"buffers\": 4,"));
    assert_non_null(strstr(test_output, "\"flushes_most\": 2"));
}

static void refusals_are_noticed(void **state)
{
    (void)state;
    assert_int_equal(test_run(FAULT_REFUSE), EXIT_LOST);
    assert_non_null(strstr(test_output, "\"broken_promises\": 1,"));
    assert_non_null(strstr(test_output, "\"violation\": \"a promised block was refused\""));
}

static void costs_are_noticed(void **state)
{
    (void)state;
    for (enum fault fault = FAULT_COPIES; fault <= FAULT_FLUSHES; fault++) {
        assert_int_equal(test_run(fault), EXIT_LOST);
        assert_non_null(strstr(test_output, "a promised block cost more than was promised"));
        assert_non_null(strstr(test_output, "\"broken_promises\": 0,"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_kept_is_well),
        cmocka_unit_test(refusals_are_noticed),
        cmocka_unit_test(costs_are_noticed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
