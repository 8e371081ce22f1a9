/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guarantee.c - devices take what they were promised on hostile boards (tests/support/hostile.h)
 *
 *     guarantee [--ops N] [--seed S] [--boards B] [--real R] [--board I]
 *
 * N takes under guarantees in all, on B boards of 256 to 4,096 frames and R of 32 MiB to 1 GiB,
 * which get a fiftieth of them. Not one may fail, and none may cost more than its bound in any of
 * the five counts. Then the same load without guarantees, where the same devices ask their areas
 * for the same blocks on the same boards: there takes fail. Both lines are printed.
 *
 * "Not by idling" is asserted too, on each board and over all: whenever a droppable request without
 * limits was refused, at least 95 % of the slot frames that are in no device's hands are lent. Each
 * such moment counts with the number of these frames. The second figure looks at the end of each
 * step between two takes in which there was such a refusal, however much was released, freed or
 * moved out since: that is how much is lent while nobody fills what was just emptied.
 *
 * A failure names the board and how to see it again.
 */
#include "../support/hostile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct options {
    uint64_t ops, seed, boards, real, board;
};

static void usage(void)
{
    fprintf(stderr, "usage: guarantee [--ops N] [--seed S] [--boards B] [--real R] [--board I]\n");
    exit(2);
}

static struct options parse(int argc, char **argv)
{
    struct options options = {100000, 1, UINT64_MAX, UINT64_MAX, UINT64_MAX};

    for (int i = 1; i < argc; i++) {
        uint64_t *number = strcmp(argv[i], "--ops") == 0      ? &options.ops
                           : strcmp(argv[i], "--seed") == 0   ? &options.seed
                           : strcmp(argv[i], "--boards") == 0 ? &options.boards
                           : strcmp(argv[i], "--real") == 0   ? &options.real
                           : strcmp(argv[i], "--board") == 0  ? &options.board
                                                              : NULL;
        char *end = NULL;

        if (number == NULL || i + 1 == argc)
            usage();
        *number = strtoull(argv[++i], &end, 0);
        if (*end != '\0')
            usage();
    }
    if (options.boards == UINT64_MAX)
        options.boards = options.ops / 2000 > 1000 ? 1000 : options.ops / 2000 + 1;
    if (options.real == UINT64_MAX)
        options.real = options.boards / 10;
    return options;
}

/* What was admitted on a board, so that the run without guarantees asks for the same. */
struct plan {
    bool admitted[HOSTILE_DEVICES_MAX];
    struct cma_guarantee_request requests[HOSTILE_DEVICES_MAX];
};

static void plan_use(struct hostile *board, const struct plan *plan)
{
    for (uint32_t i = 0; i < board->ndevices; i++) {
        const struct cma_guarantee_request *request = &plan->requests[i];

        board->devices[i].admitted = plan->admitted[i];
        board->devices[i].request.npages = request->npages;
        board->devices[i].request.count = request->count;
    }
}

static void plan_make(struct hostile *board, struct plan *plan)
{
    for (uint32_t i = 0; i < board->ndevices; i++) {
        plan->admitted[i] = board->devices[i].admitted;
        plan->requests[i] = board->devices[i].request;
    }
}

/* Half of the boards have their devices admitted at boot, the others when memory is full. */
static void board_start(struct hostile *board, struct plan *plan)
{
    bool late = hostile_chance(board, 50);

    if (late)
        hostile_fill(board);
    for (uint32_t tries = 0; board->guarded && !hostile_devices_admit(board); tries++) {
        HOSTILE_REQUIRE(board, tries < 40, "nothing is admitted on an empty board");
        hostile_relax(board);
        for (uint32_t i = 0; i < board->ndevices && tries > 0; i++) {
            board->devices[i].request.npages = (board->devices[i].request.npages + 1) / 2;
            board->devices[i].request.count = 1;
        }
    }
    if (board->guarded)
        plan_make(board, plan);
    else
        plan_use(board, plan);
    if (!late)
        hostile_fill(board);
}

static void run_board(struct hostile *board, struct plan *plan)
{
    uint64_t idle = board->sums->idle_now, lent = board->sums->lent_now;

    hostile_board_make(board);
    hostile_check(board);
    board_start(board, plan);
    hostile_check(board);
    for (board->step = 0; board->step < board->steps; board->step++) {
        hostile_devices_step(board);
        if (board->step % board->every == 0)
            hostile_check(board);
    }
    hostile_check(board);
    hostile_devices_end(board);
    hostile_relax(board);
    hostile_check(board);
    idle = board->sums->idle_now - idle;
    lent = board->sums->lent_now - lent;
    HOSTILE_REQUIRE(
        board, lent * 100 >= idle * 95,
        "of %llu idle slot frames, %llu were lent while droppable requests were refused",
        (unsigned long long)idle, (unsigned long long)lent);
    hostile_board_end(board);
}

static double percent(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 100.0 : 100.0 * (double)part / (double)whole;
}

static void print_result(const char *name, const struct hostile_result *r)
{
    const struct hostile_tally *w = &r->worst;

    printf(
        "  %-8s %llu of %llu takes failed (%.2f %%), %llu above a bound\n"
        "           worst: %llu copies, %u discards, %u flushes, %llu pages zeroed, %llu cleaned,"
        " %llu attributes\n"
        "           mean of those that got their block: %.1f pages, %.3f copies, %.1f discards,"
        " %.3f flushes\n",
        name, (unsigned long long)r->failed, (unsigned long long)r->takes,
        percent(r->failed, r->takes), (unsigned long long)r->above, (unsigned long long)w->copied,
        w->discards, w->flushes, (unsigned long long)w->zeroed, (unsigned long long)w->cleaned,
        (unsigned long long)w->attributes,
        (double)r->pages / (double)(r->takes - r->failed + (r->takes == r->failed)),
        (double)r->copied / (double)(r->takes - r->failed + (r->takes == r->failed)),
        (double)r->discarded / (double)(r->takes - r->failed + (r->takes == r->failed)),
        (double)r->flushes / (double)(r->takes - r->failed + (r->takes == r->failed)));
    if (r->failed > 0)
        printf("           failed: %llu claimed by others, %llu no room, %llu held in place, %llu"
               " refused by movers, %llu else\n",
               (unsigned long long)r->failed_claimed, (unsigned long long)r->failed_room,
               (unsigned long long)r->failed_held, (unsigned long long)r->failed_mover,
               (unsigned long long)r->failed_other);
}

static void print_sums(const struct options *options, const struct hostile_sums *s)
{
    printf("%llu takes on %llu small and %llu real boards, seed %llu\n",
           (unsigned long long)s->with.takes, (unsigned long long)options->boards,
           (unsigned long long)options->real, (unsigned long long)options->seed);
    print_result("with:", &s->with);
    print_result("without:", &s->without);
    printf("  lent: %.2f %% of idle slot frames when a droppable request is refused (%llu times),"
           " %.2f %% at the ends of steps\n",
           percent(s->lent_now, s->idle_now), (unsigned long long)s->samples,
           percent(s->lent_step, s->idle_step));
    printf("  admitted %llu, refused %llu; %llu of %llu times what was said to be possible was;"
           " revoked %llu\n"
           "  %llu takes through the DMA layer, %llu takes too many refused, %llu kept frames in"
           " slots at most, %llu checks\n",
           (unsigned long long)s->admitted, (unsigned long long)s->refused,
           (unsigned long long)s->possible_given, (unsigned long long)s->possible_asked,
           (unsigned long long)s->revoked, (unsigned long long)s->through_dma,
           (unsigned long long)s->right_refusals, (unsigned long long)s->kept_max,
           (unsigned long long)s->checks);
    printf(
        "  users, both: %llu allocations (%llu refused), %llu keeps (%llu moved out), %llu pins,"
        " %llu references,\n"
        "  %llu claims (%llu refused), %llu steps of claims, %llu pages moved, %llu dropped, %llu"
        " inside callbacks\n",
        (unsigned long long)s->allocs, (unsigned long long)s->alloc_refusals,
        (unsigned long long)s->keeps, (unsigned long long)s->keeps_out, (unsigned long long)s->pins,
        (unsigned long long)s->refs, (unsigned long long)s->claims,
        (unsigned long long)s->claim_refusals, (unsigned long long)s->steps,
        (unsigned long long)s->moves, (unsigned long long)s->drops, (unsigned long long)s->nested);
}

static void run(struct hostile *board, const struct options *options, const char *command,
                uint64_t number, struct hostile_sums *sums)
{
    bool real = number >= options->boards;
    uint64_t boards = real ? options->real : options->boards;
    uint64_t ops = options->real == 0 ? options->ops
                   : real             ? options->ops / 50
                                      : options->ops - options->ops / 50;
    uint64_t index = real ? number - options->boards : number;
    struct plan plan;

    for (uint32_t guarded = 2; guarded-- > 0;) {
        memset(board, 0, sizeof *board);
        board->seed = options->seed;
        board->number = number;
        board->steps = ops / boards + (index < ops % boards);
        board->real = real;
        board->guarded = guarded != 0;
        board->command = command;
        board->sums = sums;
        board->result = guarded ? &sums->with : &sums->without;
        run_board(board, &plan);
    }
    sums->boards++;
}

int main(int argc, char **argv)
{
    struct options options = parse(argc, argv);
    struct hostile *board = calloc(1, sizeof *board);
    struct hostile_sums *sums = calloc(1, sizeof *sums);
    char command[200];

    if (board == NULL || sums == NULL)
        return 2;
    snprintf(command, sizeof command, "%s --ops %llu --seed %llu --boards %llu --real %llu",
             argv[0], (unsigned long long)options.ops, (unsigned long long)options.seed,
             (unsigned long long)options.boards, (unsigned long long)options.real);
    for (uint64_t number = 0; number < options.boards + options.real; number++) {
        if (options.board == UINT64_MAX || options.board == number)
            run(board, &options, command, number, sums);
    }
    print_sums(&options, sums);
    free(board);
    free(sums);
    return 0;
}
