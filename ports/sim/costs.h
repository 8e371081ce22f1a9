/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * costs.h - what each thing that a simulated board does costs, in simulated nanoseconds
 *
 * One table, in costs.c, where each figure has its source. A page is 4 KiB here; larger pages cost
 * in proportion.
 */
#ifndef SIM_COSTS_H
#define SIM_COSTS_H

#include <stdint.h>
#include <stdio.h>

enum sim_cost {
    SIM_COST_COPY_PAGE,
    SIM_COST_ZERO_PAGE,
    SIM_COST_TLB_FLUSH,
    SIM_COST_ATTR_PAGE,
    SIM_COST_MAP_CALL,
    SIM_COST_MAP_PAGE,
    SIM_COST_CLEAN_LINE,
    SIM_COST_INVALIDATE_LINE,
    SIM_COST_BARRIER,
    SIM_COST_LOCK,
    SIM_COST_FREEZE_PAGE,
    SIM_COST_COMMIT_PAGE,
    SIM_COST_DISCARD_PAGE,
    SIM_COST_LINE_HIT,
    SIM_COST_LINE_MISS,
    SIM_COST_UNCACHED_READ_LINE,
    SIM_COST_UNCACHED_WRITE_LINE,
    SIM_COST_COMBINED_WRITE_LINE,
    SIM_COST_CONTEXT_SWITCH,
    SIM_COST_WAKE,
    SIM_COST_DISK_READ_PAGE,
    SIM_COST_DISK_WRITE_PAGE,
    SIM_COST_COUNT
};

/* Simulated nanoseconds of one unit (a page of 4 KiB, a line of 64 bytes, a call). */
uint64_t sim_cost_ns(enum sim_cost cost);
/* "copy a page of 4 KiB", and where the figure is from. Never NULL. */
const char *sim_cost_name(enum sim_cost cost);
const char *sim_cost_source(enum sim_cost cost);
/* The whole table as text, one line each: for docs. */
void sim_costs_print(FILE *to);

#endif
