/* SPDX-License-Identifier: BSD-2-Clause */
/* test_runmap.c - runs of units against a naive map: no run that is free is refused, and the one
 * that is taken is a close fit */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "../../src/base/runmap.h"

#define NUNITS_MAX 8200u

/* The naive map: in whose run a unit is, 1 up by where that begins; 0: free. */
struct naive {
    uint32_t *map;
    uint32_t nunits;
    uint32_t run[NUNITS_MAX];
};

static uint64_t naive_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static struct naive *naive_create(uint32_t nunits)
{
    struct naive *naive = calloc(1, sizeof(*naive));

    assert_non_null(naive);
    assert_true(nunits <= NUNITS_MAX);
    /* Exactly as much as asked for, so that the sanitizer sees a word too far. */
    naive->map = malloc(cma__runmap_words(nunits) * sizeof(uint32_t));
    assert_non_null(naive->map);
    naive->nunits = nunits;
    cma__runmap_init(naive->map, nunits);
    return naive;
}

static void naive_destroy(struct naive *naive)
{
    free(naive->map);
    free(naive);
}

static uint32_t naive_free_at(const struct naive *naive, uint32_t first)
{
    uint32_t length = 0;

    while (first + length < naive->nunits && naive->run[first + length] == 0) {
        length++;
    }
    return length;
}

static bool naive_fits(uint64_t at, uint32_t n, uint32_t align, uint32_t boundary, uint32_t bias)
{
    at += bias;
    return at % align == 0 && (boundary == 0 || at / boundary == (at + n - 1) / boundary);
}

/* The length of the shortest free run in which something fits; 0: there is none. */
static uint32_t naive_closest(const struct naive *naive, uint32_t n, uint32_t align,
                              uint32_t boundary, uint32_t bias)
{
    uint32_t best = 0;

    for (uint32_t i = 0; i < naive->nunits;) {
        uint32_t length = naive_free_at(naive, i);

        for (uint32_t j = i; j + n <= i + length; j++) {
            if (naive_fits(j, n, align, boundary, bias) && (best == 0 || length < best)) {
                best = length;
            }
        }
        i += length + 1;
    }
    return best;
}

/* Takes, and compares with what the naive map says. `close`: few runs are free, so that the fit is
 * the closest, up to the width of a bin of lengths. */
static uint32_t naive_take(struct naive *naive, uint32_t n, uint32_t align, uint32_t boundary,
                           uint32_t bias, bool close)
{
    uint32_t best = naive_closest(naive, n, align, boundary, bias);
    uint32_t first = cma__runmap_take(naive->map, naive->nunits, n, align, boundary, bias);
    uint32_t low = first, length;

    if (best == 0) {
        assert_int_equal(first, CMA__RUNMAP_NONE);
        return first;
    }
    assert_true(first < naive->nunits && n <= naive->nunits - first);
    assert_true(naive_free_at(naive, first) >= n);
    assert_true(naive_fits(first, n, align, boundary, bias));
    while (low > 0 && naive->run[low - 1] == 0) {
        low--;
    }
    length = naive_free_at(naive, low);
    assert_true(!close || length * 4 < best * 5 || length == best);
    for (uint32_t i = first; i < first + n; i++) {
        naive->run[i] = first + 1;
    }
    return first;
}

static uint32_t naive_length(const struct naive *naive, uint32_t first)
{
    uint32_t length = 0;

    while (first + length < naive->nunits && naive->run[first + length] == first + 1) {
        length++;
    }
    return length;
}

static void naive_put(struct naive *naive, uint32_t first)
{
    uint32_t length = naive_length(naive, first);

    assert_int_equal(cma__runmap_length(naive->map, naive->nunits, first), length);
    cma__runmap_put(naive->map, naive->nunits, first);
    memset(&naive->run[first], 0, length * sizeof(uint32_t));
}

static void naive_compare(const struct naive *naive)
{
    uint32_t told = cma__runmap_longest(naive->map, naive->nunits);
    uint32_t longest = 0, next = CMA__RUNMAP_NONE;

    assert_true(cma__runmap_check(naive->map, naive->nunits));
    for (uint32_t i = naive->nunits; i-- > 0;) {
        bool begins = naive->run[i] == i + 1;

        next = begins ? i : next;
        assert_int_equal(cma__runmap_begin(naive->map, naive->nunits, i), naive->run[i] - 1);
        assert_int_equal(cma__runmap_length(naive->map, naive->nunits, i),
                         begins ? naive_length(naive, i) : 0);
        assert_int_equal(cma__runmap_next(naive->map, naive->nunits, i), next);
    }
    for (uint32_t i = 0; i < naive->nunits; i++) {
        uint32_t length = naive_free_at(naive, i);

        longest = length > longest ? length : longest;
        i += length;
    }
    assert_int_equal(told, longest);
    assert_int_equal(cma__runmap_begin(naive->map, naive->nunits, naive->nunits), CMA__RUNMAP_NONE);
    assert_int_equal(cma__runmap_next(naive->map, naive->nunits, naive->nunits), CMA__RUNMAP_NONE);
    assert_int_equal(cma__runmap_length(naive->map, naive->nunits, naive->nunits), 0);
}

/* All that is asked of a map in one state; it is in that state again afterwards. */
static void naive_ask_all(struct naive *naive, uint32_t n_max)
{
    for (uint32_t n = 1; n <= n_max; n++) {
        for (uint32_t align = 1; align <= 8; align *= 2) {
            for (uint32_t boundary = 0; boundary <= 16;
                 boundary = boundary == 0 ? 1 : boundary * 2) {
                uint32_t span = align > boundary ? align : boundary;

                for (uint32_t bias = 0; bias < span && (boundary == 0 || n <= boundary);
                     bias += 1 + span / 16) {
                    uint32_t first = naive_take(naive, n, align, boundary, bias, true);

                    if (first != CMA__RUNMAP_NONE) {
                        naive_put(naive, first);
                    }
                }
            }
        }
    }
    assert_true(cma__runmap_check(naive->map, naive->nunits));
}

/* Every pattern of nbits units from `at` on, all others being in use. */
static void all_patterns(uint32_t nunits, uint32_t at, uint32_t nbits)
{
    for (uint32_t pattern = 0; pattern < UINT32_C(1) << nbits; pattern++) {
        struct naive *naive = naive_create(nunits);

        while (naive_take(naive, 1, 1, 0, 0, true) != CMA__RUNMAP_NONE) {
        }
        for (uint32_t i = 0; i < nbits; i++) {
            if ((pattern >> i & 1) != 0) {
                naive_put(naive, at + i);
            }
        }
        naive_compare(naive);
        naive_ask_all(naive, nbits + 1);
        naive_destroy(naive);
    }
}

static void test_all_small_maps(void **state)
{
    (void)state;
    for (uint32_t nunits = 1; nunits <= 8; nunits++) {
        all_patterns(nunits, 0, nunits);
    }
}

static void test_all_patterns_across_leaves(void **state)
{
    (void)state;
    all_patterns(70, 28, 8); /* two leaves */
    all_patterns(70, 62, 8); /* the last leaf, which has no pair */
    all_patterns(32, 24, 8); /* the end of the only one */
    all_patterns(96, 60, 8); /* the middle of the tree */
}

/* Free runs of whole leaves and parts, in every order. */
static void test_long_runs(void **state)
{
    (void)state;
    for (uint32_t left = 0; left <= 70; left++) {
        for (uint32_t right = 0; right <= 70; right += 1 + right % 3) {
            struct naive *naive = naive_create(200);
            uint32_t a = 0, b = 0, n = left > right ? left : right;

            (void)naive_take(naive, 10, 1, 0, 0, true);
            a = left != 0 ? naive_take(naive, left, 1, 0, 0, true) : 0;
            (void)naive_take(naive, 3, 1, 0, 0, true);
            b = right != 0 ? naive_take(naive, right, 1, 0, 0, true) : 0;
            (void)naive_take(naive, 200 - 13 - left - right, 1, 0, 0, true);
            naive_compare(naive);
            if (left != 0) {
                naive_put(naive, a);
            }
            if (right != 0) {
                naive_put(naive, b);
            }
            naive_compare(naive);
            for (uint32_t want = 1; want <= n + 1; want++) {
                uint32_t first = naive_take(naive, want, 1, 0, 0, true);

                if (first != CMA__RUNMAP_NONE) {
                    naive_put(naive, first);
                }
            }
            naive_destroy(naive);
        }
    }
}

/* Mixed lengths at some occupancy, with and without alignment, as random takes and puts. */
static void random_map(uint32_t nunits, uint32_t n_max, uint32_t percent, uint64_t seed,
                       uint32_t steps)
{
    struct naive *naive = naive_create(nunits);
    uint32_t *live = malloc(nunits * sizeof(*live));
    uint32_t nlive = 0, used = 0;

    for (uint32_t step = 0; step < steps; step++) {
        uint32_t n = 1 + (uint32_t)naive_random(&seed) % n_max;
        uint32_t align = UINT32_C(1) << naive_random(&seed) % 6;
        uint32_t boundary = n <= 64 && naive_random(&seed) % 3 == 0 ? 64 : 0;
        uint32_t bias = (uint32_t)naive_random(&seed) % 64, first;

        align = naive_random(&seed) % 2 == 0 ? 1 : align;
        while (nlive != 0 && used + n > nunits / 100 * percent) {
            uint32_t i = (uint32_t)naive_random(&seed) % nlive;

            used -= naive_length(naive, live[i]);
            naive_put(naive, live[i]);
            live[i] = live[--nlive];
        }
        first = naive_take(naive, n, align, boundary, bias, false);
        if (first != CMA__RUNMAP_NONE) {
            live[nlive++] = first;
            used += n;
        }
        if (step % 64 == 0) {
            naive_compare(naive);
        }
    }
    while (nlive != 0) {
        naive_put(naive, live[--nlive]);
    }
    naive_compare(naive);
    assert_int_equal(cma__runmap_longest(naive->map, nunits), nunits);
    free(live);
    naive_destroy(naive);
}

static void test_random(void **state)
{
    (void)state;
    random_map(1000, 8, 95, 1, 6000);
    random_map(1024, 128, 90, 2, 6000);
    random_map(3333, 40, 98, 3, 3000);
    random_map(8192, 3, 99, 4, 3000);
    random_map(8193, 2000, 80, 5, 3000);
}

/* A map in which only these runs are free: `many` of one length, a unit between them, then others;
 * with their beginnings in `at`. */
static struct naive *free_runs(uint32_t many, uint32_t length, const uint32_t *others,
                               uint32_t nothers, uint32_t *at)
{
    struct naive *naive = naive_create(4000);

    for (uint32_t i = 0; i < many + nothers; i++) {
        at[i] = naive_take(naive, i < many ? length : others[i - many], 1, 0, 0, true);
        (void)naive_take(naive, 1, 1, 0, 0, true);
    }
    while (naive_take(naive, 1, 1, 0, 0, true) != CMA__RUNMAP_NONE) {
    }
    for (uint32_t i = 0; i < many + nothers; i++) {
        naive_put(naive, at[i]);
    }
    return naive;
}

/* Many runs are nearly long enough, or not aligned: the one that does is found all the same, and
 * it is the closest when it must do. */
static void test_many_in_vain(void **state)
{
    uint32_t at[64];
    struct naive *naive = free_runs(40, 8, (const uint32_t[]){9}, 1, at);

    (void)state;
    assert_int_equal(naive_take(naive, 9, 1, 0, 0, true), at[40]);
    assert_int_equal(naive_take(naive, 9, 1, 0, 0, true), CMA__RUNMAP_NONE);
    naive_destroy(naive);

    naive = free_runs(40, 8, (const uint32_t[]){100, 12, 500}, 3, at);
    assert_int_equal(naive_take(naive, 9, 1, 0, 0, true), at[41]);
    assert_int_equal(naive_take(naive, 9, 1, 0, 0, true), at[40]);
    naive_destroy(naive);

    /* Runs of 7 begin at 0, 8, 16 ... and, behind one of 1, at 322. */
    naive = free_runs(40, 7, (const uint32_t[]){1, 7}, 2, at);
    assert_int_equal(naive_take(naive, 7, 4, 0, 2, true), at[41]);
    assert_int_equal(naive_take(naive, 7, 4, 0, 2, true), CMA__RUNMAP_NONE);
    assert_int_equal(naive_take(naive, 7, 8, 0, 0, true), at[0]);
    naive_destroy(naive);
    naive = free_runs(40, 7, (const uint32_t[]){1, 10, 700}, 3, at);
    assert_int_equal(naive_take(naive, 7, 4, 0, 1, true), at[41] + 1);
    naive_destroy(naive);
}

/* Long runs are not cut while shorter ones would do: a map that is nine tenths full of short ones
 * still has room for long ones. */
static void test_stays_in_one_piece(void **state)
{
    const uint32_t nunits = 32768;
    uint32_t *map = malloc(cma__runmap_words(nunits) * sizeof(uint32_t));
    uint32_t *live = malloc(nunits * sizeof(*live)), nlive = 0, used = 0;
    uint64_t seed = 7;

    (void)state;
    cma__runmap_init(map, nunits);
    for (uint32_t step = 0; step < 100000; step++) {
        uint32_t sort = (uint32_t)naive_random(&seed) % 100, first;
        uint32_t n = sort < 40 ? 1 : sort < 70 ? 2 : sort < 85 ? 8 : 32;

        while (used + n > nunits / 10 * 9) {
            uint32_t i = (uint32_t)naive_random(&seed) % nlive;

            used -= cma__runmap_length(map, nunits, live[i]);
            cma__runmap_put(map, nunits, live[i]);
            live[i] = live[--nlive];
        }
        first = cma__runmap_take(map, nunits, n, 1, 0, 0);
        assert_int_not_equal(first, CMA__RUNMAP_NONE);
        live[nlive++] = first;
        used += n;
        assert_true(cma__runmap_longest(map, nunits) >= 128);
    }
    assert_true(cma__runmap_check(map, nunits));
    free(live);
    free(map);
}

/* A map whose tree lies is found out. */
static void test_check_finds(void **state)
{
    const uint32_t nunits = 300;
    uint64_t nwords = cma__runmap_words(nunits);
    uint32_t *map = malloc(nwords * sizeof(uint32_t));
    uint32_t found = 0, seen = 0;

    (void)state;
    cma__runmap_init(map, nunits);
    for (uint32_t n = 1; n < 20; n++) {
        assert_int_not_equal(cma__runmap_take(map, nunits, n, 1, 0, 0), CMA__RUNMAP_NONE);
    }
    for (uint64_t word = 0; word < nwords; word++) {
        for (uint32_t bit = 0; bit < 32; bit++) {
            map[word] ^= UINT32_C(1) << bit;
            found += !cma__runmap_check(map, nunits);
            seen++;
            map[word] ^= UINT32_C(1) << bit;
            assert_true(cma__runmap_check(map, nunits));
        }
    }
    /* What passes: another beginning inside of a run, and nodes that nobody asks. */
    assert_true(found > seen / 2);
    free(map);
}

/* The room it takes, at both ends. */
static void test_words(void **state)
{
    (void)state;
    assert_int_equal(cma__runmap_words(1), cma__runmap_words(32));
    assert_true(cma__runmap_words(33) > cma__runmap_words(32));
    assert_true(cma__runmap_words(32768) * 4 <= 32768 * 3 / 2 + 4);
    assert_true(cma__runmap_words(UINT32_C(0x7fffffff)) >= (UINT64_C(1) << 27));
    assert_true(cma__runmap_words(UINT32_C(0x7fffffff)) < (UINT64_C(1) << 31));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_small_maps), cmocka_unit_test(test_all_patterns_across_leaves),
        cmocka_unit_test(test_long_runs),      cmocka_unit_test(test_random),
        cmocka_unit_test(test_many_in_vain),   cmocka_unit_test(test_stays_in_one_piece),
        cmocka_unit_test(test_check_finds),    cmocka_unit_test(test_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
