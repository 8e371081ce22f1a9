/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gcma_load.h - a kernel is being built: who holds the memory of gcma.c's board meanwhile
 *
 * Compilers come and go, sixteen at a time: each takes pages until it has what it needs, works on
 * them, writes an object file and gives all back. They read sources and headers: a page cache wants
 * more pages than there are, all the time, and gives some up when a compiler finds none. Object
 * files are dirty until two flushers have written them back. A part of memory is the kernel's own
 * and never moves, a part belongs to programs that stay. A few pages are pinned at any time, each
 * for 20 ms, as by direct I/O, and a few are referenced for a fifth of a millisecond.
 */
#ifndef BENCH_GCMA_LOAD_H
#define BENCH_GCMA_LOAD_H

#include "../ports/sim/movers.h"
#include "../ports/sim/sim.h"

#include <cma/system.h>

#include <stdbool.h>

struct gcma_load_config {
    struct sim *sim;
    struct cma_system *system;
    uint64_t seed;
    uint64_t shrink;    /* 800 MiB divided by this */
    bool pins_in_place; /* Linux's: nothing moves for a pin of direct I/O */
};

struct gcma_load;

/* Ends the process when the host has no memory. */
struct gcma_load *gcma_load_create(const struct gcma_load_config *config);
/* Fills memory to the brim; runs the simulation until that is done. */
void gcma_load_fill(struct gcma_load *load);
/* The fibres of the build. They end when gcma_load_stop was called. */
void gcma_load_start(struct gcma_load *load);
void gcma_load_stop(struct gcma_load *load);
/* Compares every byte of every page, and checks the books. Returns what is wrong, or NULL. */
const char *gcma_load_verify(struct gcma_load *load);
/* How many compilers have ended, pages held by programs now, and by the page cache. */
void gcma_load_counts(struct gcma_load *load, uint64_t *jobs, uint64_t *kept, uint64_t *cached);
void gcma_load_free(struct gcma_load *load);

#endif
