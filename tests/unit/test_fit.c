/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_fit.c - the arithmetic of windows, against a loop over all places
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../src/frame/fit.h"

#define FIT_SPACE 24u /* places that the loop looks at */

/* May a window begin at `origin + at`? Counted with numbers that can't pass 2^64: `at` and limits
 * are offsets from origin, and what a multiple is depends on low bits alone. */
static bool fit_would(const struct cma_window_want *want, uint64_t origin, uint32_t first,
                      uint32_t last, uint32_t at)
{
    uint64_t seen = origin + at + want->phase;

    if (first > last || at < first || at > last || want->npages > last - at + 1 ||
        seen % want->align_npages != 0) {
        return false;
    }
    if (want->boundary_npages != 0) {
        for (uint32_t i = 1; i < want->npages; i++) {
            if ((seen + i) % want->boundary_npages == 0) {
                return false;
            }
        }
    }
    return true;
}

/* Compares both directions for one want, from all places to begin at. */
static void fit_compare(struct cma_window_want *want, uint64_t origin, uint32_t first,
                        uint32_t last)
{
    uint32_t highest = UINT32_MAX;
    cma_pfn_t pfn = 77;

    want->first = origin + first;
    want->last = origin + last;
    for (uint32_t at = 0; at < FIT_SPACE; at++) {
        highest = fit_would(want, origin, first, last, at) ? at : highest;
    }
    for (uint32_t from = 0; from < FIT_SPACE; from++) {
        uint32_t lowest = from;
        bool found;

        while (lowest < FIT_SPACE && !fit_would(want, origin, first, last, lowest)) {
            lowest++;
        }
        pfn = 77;
        found = cma__window_next(want, origin + from, &pfn);
        if (found != (lowest < FIT_SPACE) || pfn != (found ? origin + lowest : 77)) {
            fail_msg("next: npages %u align %u boundary %u phase %#llx [%u, %u] from %u",
                     (unsigned)want->npages, (unsigned)want->align_npages,
                     (unsigned)want->boundary_npages, (unsigned long long)want->phase, first, last,
                     from);
        }
    }
    pfn = 77;
    if (cma__window_prev(want, &pfn) != (highest != UINT32_MAX) ||
        pfn != (highest != UINT32_MAX ? origin + highest : 77)) {
        fail_msg("prev: npages %u align %u boundary %u phase %#llx [%u, %u]",
                 (unsigned)want->npages, (unsigned)want->align_npages,
                 (unsigned)want->boundary_npages, (unsigned long long)want->phase, first, last);
    }
}

static void fit_all(uint64_t origin, uint32_t step)
{
    struct cma_window_want want = {0};

    for (want.npages = 1; want.npages <= 9; want.npages++) {
        for (want.align_npages = 1; want.align_npages <= 16; want.align_npages *= 2) {
            for (uint64_t boundary = 0; boundary <= 16; boundary = boundary * 2 + (boundary == 0)) {
                want.boundary_npages = boundary;
                for (uint32_t bounds = 0; bounds < FIT_SPACE * FIT_SPACE; bounds += step) {
                    for (uint32_t phase = 0; phase < 16; phase += 1 + step / 2) {
                        /* The phase is a number modulo 2^64, often a negative one. */
                        want.phase = phase % 2 == 0 ? phase : 0 - (uint64_t)phase;
                        fit_compare(&want, origin, bounds / FIT_SPACE, bounds % FIT_SPACE);
                    }
                }
            }
        }
    }
}

static void all_small_wants(void **state)
{
    (void)state;
    fit_all(0, 1);
}

static void the_top_of_addresses(void **state)
{
    (void)state;
    /* The highest page number of 64-bit addresses, of 4 KiB pages and of pages of one byte; and
     * numbers whose sum with a length passes 2^64. */
    fit_all((UINT64_C(1) << 52) - FIT_SPACE, 5);
    fit_all((UINT64_C(1) << 52) - 3, 5);
    fit_all(UINT64_MAX - (FIT_SPACE - 1), 5);
    fit_all((UINT64_C(1) << 32) - 11, 5);
}

static void long_windows(void **state)
{
    struct cma_window_want want = {.npages = UINT64_MAX, .align_npages = 1, .last = UINT64_MAX - 1};
    cma_pfn_t pfn = 77;

    (void)state;
    assert_true(cma__window_next(&want, 0, &pfn));
    assert_int_equal(pfn, 0);
    assert_true(cma__window_prev(&want, &pfn));
    assert_int_equal(pfn, 0);
    want.last--;
    assert_false(cma__window_next(&want, 0, &pfn));
    assert_false(cma__window_prev(&want, &pfn));
    want = (struct cma_window_want){
        .npages = UINT64_C(1) << 63, .align_npages = UINT64_C(1) << 63, .last = UINT64_MAX};
    assert_true(cma__window_prev(&want, &pfn));
    assert_true(pfn == UINT64_C(1) << 63);
    assert_true(cma__window_next(&want, 1, &pfn));
    assert_true(pfn == UINT64_C(1) << 63);
    want.boundary_npages = UINT64_C(1) << 62;
    assert_false(cma__window_prev(&want, &pfn));
    assert_false(cma__window_next(&want, 0, &pfn));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_small_wants),
        cmocka_unit_test(the_top_of_addresses),
        cmocka_unit_test(long_windows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
