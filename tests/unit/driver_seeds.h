/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * driver_seeds.h - how drivers with one bug each are run
 *
 * Each driver of test_misuse_*.c is run twice, as it is right and with its bug (`wrong`). Right,
 * there must be no report. Wrong, there must be one, of the kind that the table says, at the line
 * that BUG marks, and where MADE marks a line, with that as the other place.
 */
#ifndef TEST_DRIVER_SEEDS_H
#define TEST_DRIVER_SEEDS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../support/driver_board.h"

/* The file of the drivers. */
static const char *seeds_file;
static uint32_t bug_line, made_line, bug_lines;

#define BUG(statement)                                \
    do {                                              \
        bug_line = wrong ? __LINE__ : 0, bug_lines++; \
        statement;                                    \
    } while (0)
#define MADE(statement)       \
    do {                      \
        made_line = __LINE__; \
        statement;            \
    } while (0)

#define NIC (&board.nic.cma)
#define CAM (&board.cam.cma)
#define DMA (&board.dma.cma)
#define OLD (&board.old.cma)
#define TO CMA_TO_DEVICE
#define FROM CMA_FROM_DEVICE
#define BIDI CMA_BIDIRECTIONAL

/* What a call answers that must work, and what a wrong one answers. */
static inline void must(int error)
{
    assert_int_equal(error, 0);
}

static inline void whatever(int error)
{
    (void)error;
}

static uint8_t bytes[4 * PAGE];
#define READ(at, nbytes) drv_read(board.sim, at, bytes, nbytes)
#define WRITE(at, nbytes) drv_write(board.sim, at, bytes, nbytes)

struct seed {
    const char *name;
    void (*drive)(bool wrong);
    enum cma_misuse_kind kind;
};

#define SEED(drive, kind)                \
    {                                    \
#drive, drive, CMA_MISUSE_##kind \
    }

static void run_seed(const struct seed *seed, bool wrong)
{
    board_create(64, 4096, 0);
    board.loud = !wrong;
    bug_line = made_line = bug_lines = 0;
    seed->drive(wrong);
}

static void test_seed(void **state)
{
    const struct seed *seed = *state;
    const struct cma_misuse_report *first = &board.first;

    run_seed(seed, false);
    assert_int_equal(cma_misuse_count(&board.misuse, CMA_MISUSE_NONE), 0);
    board_destroy();

    run_seed(seed, true);
    assert_string_equal(cma_misuse_name(first->kind), cma_misuse_name(seed->kind));
    assert_int_equal(cma_misuse_count(&board.misuse, CMA_MISUSE_NONE), 1);
    assert_int_equal(cma_misuse_count(&board.misuse, seed->kind), 1);
    assert_string_equal(first->site.file, seeds_file);
    assert_int_equal(first->site.line, bug_line);
    if (made_line != 0) {
        assert_string_equal(first->other.file, seeds_file);
        assert_int_equal(first->other.line, made_line);
    }
    assert_int_equal(cma_misuse_unseen(&board.misuse), 0);
    board_destroy();
}

/* Every driver a case of its own. */
static int run_seeds(const struct seed *seeds, size_t nseeds, const char *file)
{
    struct CMUnitTest tests[64];

    seeds_file = file;
    if (nseeds > 64)
        return 1;
    for (size_t i = 0; i < nseeds; i++)
        tests[i] = (struct CMUnitTest){.name = seeds[i].name,
                                       .test_func = test_seed,
                                       .initial_state = (void *)(uintptr_t)&seeds[i]};
    return _cmocka_run_group_tests("drivers", tests, nseeds, NULL, NULL);
}

#endif
