/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cmocka.h - as much of cmocka as unit tests here use, for 32-bit programs, for which Debian has
 * no cmocka beside the 64-bit one
 *
 * A test that fails ends the program.
 */
#ifndef TEST_PLAIN_CMOCKA_H
#define TEST_PLAIN_CMOCKA_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define fail_msg(...)                          \
    do {                                       \
        printf("%s:%d: ", __FILE__, __LINE__); \
        printf(__VA_ARGS__);                   \
        printf("\n");                          \
        exit(1);                               \
    } while (0)
#define fail() fail_msg("failed")
#define assert_true(condition)               \
    do {                                     \
        if (!(condition)) {                  \
            fail_msg("not: %s", #condition); \
        }                                    \
    } while (0)
#define assert_false(condition) assert_true(!(condition))
#define assert_int_equal(a, b)                                            \
    do {                                                                  \
        long long plain_a = (long long)(a), plain_b = (long long)(b);     \
        if (plain_a != plain_b) {                                         \
            fail_msg("%s is %lld, %s is %lld", #a, plain_a, #b, plain_b); \
        }                                                                 \
    } while (0)
#define assert_int_not_equal(a, b) assert_true((a) != (b))
#define assert_in_range(a, low, high) assert_true((a) >= (low) && (a) <= (high))
#define assert_null(a) assert_true((a) == NULL)
#define assert_non_null(a) assert_true((a) != NULL)
#define assert_ptr_equal(a, b) assert_true((const void *)(a) == (const void *)(b))
#define assert_string_equal(a, b) assert_true(strcmp(a, b) == 0)
#define assert_memory_equal(a, b, n) assert_true(memcmp(a, b, n) == 0)
#define assert_memory_not_equal(a, b, n) assert_true(memcmp(a, b, n) != 0)
#define print_message printf
#define test_calloc calloc
#define test_malloc malloc
#define test_free free

struct CMUnitTest {
    const char *name;
    void (*run)(void **state);
};

#define cmocka_unit_test(run) \
    {                         \
#run, run             \
    }

static inline int plain_run(const struct CMUnitTest *tests, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        void *state = NULL;

        printf("%s\n", tests[i].name);
        fflush(stdout);
        tests[i].run(&state);
    }
    printf("%u tests passed\n", (unsigned)count);
    return 0;
}

#define cmocka_run_group_tests(tests, setup, teardown) \
    plain_run(tests, sizeof(tests) / sizeof((tests)[0]))

#endif
