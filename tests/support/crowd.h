/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * crowd.h - the other users of a small machine, who do what a device with a guarantee must not feel
 *
 * They fill all memory, preferably with what can be dropped, and then make it dirty; they pin and
 * reference pages, take unmovable memory, claim buffers without a guarantee, and are admitted for
 * guarantees of their own, which they use and give up. Each may be a thread; what one has is its
 * own, pages with data are everybody's.
 */
#ifndef CROWD_H
#define CROWD_H

#include "machine.h"

#define CROWD_BUFFERS 4u /* of ordinary claims */
#define CROWD_RUNS 32u   /* of unmovable pages */
#define CROWD_STORM 100u /* pages that are filled, or made dirty, in a row */
#define CROWD_BLOCKS 2u  /* of its own guarantee */

struct crowd_run {
    uint32_t area, npages;
    cma_pfn_t pfn;
    uint64_t stamp; /* 0: none */
};

struct crowd {
    struct machine *machine;
    uint32_t owner;                    /* tag of its buffers: all below 1000 are devices' */
    uint64_t random;                   /* also the seed */
    struct cma_guarantee_group *group; /* of others, in which it may be a member; or NULL */
    const struct cma_area *group_area; /* whose slots that has */
    const uint32_t *stop;              /* atomic: a thread ends when it is not 0 */
    pthread_t thread;
    struct crowd_run buffers[CROWD_BUFFERS], runs[CROWD_RUNS], blocks[CROWD_BLOCKS];
    struct cma_guarantee guarantee;
    struct cma_guarantee_request wish;
    bool admitted, guest; /* guest: a member of `group`, where it takes nothing */
    uint64_t steps, allocs, rewrites, pins, claims, refused, unmovable;
    uint64_t admissions, admissions_refused, takes;
};

/* One operation at random. */
void crowd_step(struct crowd *crowd);
/* The same in a thread until *stop, and its end. */
void crowd_start(struct crowd *crowd);
void crowd_join(struct crowd *crowd);
/* Gives everything back, its guarantee too; not the pages with data. */
void crowd_leave(struct crowd *crowd);

/* Fills each page of a run with a pattern of its own, or requires that it is still there. */
void crowd_fill(struct machine *machine, const struct crowd_run *run);
void crowd_require(struct machine *machine, const struct crowd_run *run, const char *whose);

/* When all users have left: frees all pages with data, and requires that every frame is idle. */
void crowd_end(struct machine *machine);

/* For a program's arguments: a number, or the program ends. */
uint64_t crowd_number(const char *text);

#endif
