/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model.c - random operations on random boards against the naive model (tests/support/model.h)
 *
 *     model [--ops N] [--seed S] [--boards B] [--board I] [--verbose]
 *
 * N operations in all, spread over B boards (default: one for each 2,000), everything compared
 * after each one. A difference ends the run with exit code 1 and names seed, board and step; to see
 * it again, give the same --ops, --boards and --seed, and --board for that board alone.
 */
#include "../support/model.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct options {
    uint64_t ops, seed, boards, board;
    bool verbose;
};

static void usage(void)
{
    fprintf(stderr, "usage: model [--ops N] [--seed S] [--boards B] [--board I] [--verbose]\n");
    exit(2);
}

static struct options parse(int argc, char **argv)
{
    struct options options = {20000, 1, 0, UINT64_MAX, false};

    for (int i = 1; i < argc; i++) {
        uint64_t *number = strcmp(argv[i], "--ops") == 0      ? &options.ops
                           : strcmp(argv[i], "--seed") == 0   ? &options.seed
                           : strcmp(argv[i], "--boards") == 0 ? &options.boards
                           : strcmp(argv[i], "--board") == 0  ? &options.board
                                                              : NULL;
        char *end = NULL;

        if (strcmp(argv[i], "--verbose") == 0) {
            options.verbose = true;
            continue;
        }
        if (number == NULL || i + 1 == argc)
            usage();
        *number = strtoull(argv[++i], &end, 0);
        if (*end != '\0')
            usage();
    }
    if (options.boards == 0)
        options.boards = options.ops / 2000 + 1;
    return options;
}

static void run_board(struct model *model, uint64_t ops)
{
    model_board_make(model);
    model_check(model);
    model_fill(model);
    model_check(model);
    for (model->step = 0; model->step < ops; model->step++) {
        model_operation(model);
        model_check(model);
    }
    model_settle(model);
    model_check(model);
    model_board_end(model);
}

int main(int argc, char **argv)
{
    struct options options = parse(argc, argv);
    struct model *model = calloc(1, sizeof *model);
    uint64_t each = options.ops / options.boards;

    if (model == NULL)
        return 2;
    model->seed = options.seed;
    model->verbose = options.verbose;
    for (uint64_t board = 0; board < options.boards; board++) {
        if (options.board != UINT64_MAX && options.board != board)
            continue;
        model->board = board;
        run_board(model, each + (board < options.ops % options.boards));
        if (isatty(1) && board % 50 == 0) {
            printf("\r%llu of %llu boards", (unsigned long long)board,
                   (unsigned long long)options.boards);
            fflush(stdout);
        }
    }
    printf(
        "%s%llu operations on %llu boards, seed %llu: no difference\n"
        "  %llu allocations (%llu refused), %llu claims (%llu refused), %llu refusals judged\n"
        "  %llu pages moved (%llu for pins), %llu dropped, %llu served by caches, %llu operations "
        "inside hooks, "
        "%llu waits\n",
        isatty(1) ? "\r" : "", (unsigned long long)model->sums.ops,
        (unsigned long long)options.boards, (unsigned long long)options.seed,
        (unsigned long long)model->sums.allocs, (unsigned long long)model->sums.refusals,
        (unsigned long long)model->sums.claimed, (unsigned long long)model->sums.claim_refusals,
        (unsigned long long)model->sums.justified, (unsigned long long)model->sums.moves,
        (unsigned long long)model->sums.pins_moved, (unsigned long long)model->sums.drops,
        (unsigned long long)(model->sums.cached), (unsigned long long)model->sums.nested,
        (unsigned long long)model->sums.slept);
    free(model);
    return 0;
}
