/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim_board.h - a small simulated board, and children that are meant to die, for the simulator's
 * tests
 */
#ifndef SIM_BOARD_H
#define SIM_BOARD_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "../../ports/sim/costs.h"
#include "../../ports/sim/sim.h"

#define PAGE 4096u
#define MIB ((uint64_t)1 << 20)
#define BASE 0x40000000u
#define HIGH 0x100000000u

static const struct sim_memory banks[] = {{BASE, 64 * MIB}, {HIGH, 32 * MIB}};

static inline struct sim *board_with(struct sim_config config)
{
    config.memory = banks;
    config.nmemory = 2;
    struct sim *sim = sim_create(&config);
    assert_non_null(sim);
    return sim;
}

static inline struct sim *board(uint64_t seed)
{
    return board_with((struct sim_config){.seed = seed});
}

/* Runs `body` in a child; returns its exit status or, negative, the signal that ended it. */
static inline int in_child(void (*body)(void))
{
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct rlimit no_core = {0, 0};
        setrlimit(RLIMIT_CORE, &no_core);
        signal(SIGABRT, SIG_DFL);
        signal(SIGSEGV, SIG_DFL); /* cmocka catches it */
        if (!freopen("/dev/null", "w", stderr))
            _exit(9);
        body();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

#endif
