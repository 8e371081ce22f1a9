/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * costs.c - the table of simulated costs, with sources
 *
 * The board that is meant is of the Cortex-A class: four in-order or small out-of-order cores at
 * about 1.5 GHz with LPDDR. No figure was measured on such a board: those marked "measured" were
 * taken on a server host under Linux 6.18, whose memory is two to three times as fast, and scaled;
 * the others are estimates. Use them to compare, not to promise microseconds.
 */
#include "costs.h"

struct sim_cost_row {
    uint32_t ns;
    const char *name;
    const char *source;
};

static const struct sim_cost_row costs_table[SIM_COST_COUNT] = {
    [SIM_COST_COPY_PAGE] = {1000, "copy a page of 4 KiB",
                            "measured 380 on a server host (memcpy, warm), times 2.6"},
    [SIM_COST_ZERO_PAGE] = {450, "zero a page of 4 KiB", "estimate: writes only, half of a copy"},
    [SIM_COST_TLB_FLUSH] = {1500, "flush the TLBs of all processors",
                            "estimate; an mprotect pair with two flushes measured 7,300 with its "
                            "system calls"},
    [SIM_COST_ATTR_PAGE] = {95, "change the attributes of one page",
                            "measured: mprotect pair over 2 MiB is 190 a page"},
    [SIM_COST_MAP_CALL] = {800, "make or undo a mapping, a call",
                           "estimate; MAP_FIXED measured 9,700 with its system call"},
    [SIM_COST_MAP_PAGE] = {95, "make or undo a mapping, a page", "as for a change of attributes"},
    [SIM_COST_CLEAN_LINE] = {20, "clean a cache line by address",
                             "estimate: 64 bytes written back at 3.2 GB/s"},
    [SIM_COST_INVALIDATE_LINE] = {10, "invalidate a cache line by address", "estimate"},
    [SIM_COST_BARRIER] = {30, "barrier between processor and devices", "estimate"},
    [SIM_COST_LOCK] = {20, "take and leave a lock nobody else wants",
                       "estimate: two atomic operations and an interrupt mask"},
    [SIM_COST_FREEZE_PAGE] = {400, "freeze a page (find and unmap its entry)",
                              "estimate; Linux's whole evacuation was published as 2,700 a page"},
    [SIM_COST_COMMIT_PAGE] = {300, "map a page at its new place", "estimate, as for freeze"},
    [SIM_COST_DISCARD_PAGE] = {700, "forget a clean page",
                               "estimate; GCMA published 1,000 a page with its allocator"},
    [SIM_COST_LINE_HIT] = {2, "read or write a line that is in the cache", "estimate: 3 cycles"},
    [SIM_COST_LINE_MISS] = {25, "read or write a line that is not in the cache",
                            "estimate: 64 bytes in sequence at 2.5 GB/s"},
    [SIM_COST_UNCACHED_READ_LINE] = {130, "read a line from uncached memory",
                                     "published: u-dma-buf reads uncached 5.3 times as slowly"},
    [SIM_COST_UNCACHED_WRITE_LINE] = {300, "write a line to uncached memory",
                                      "published: u-dma-buf writes uncached 12.7 times as slowly"},
    [SIM_COST_COMBINED_WRITE_LINE] = {22, "write a line to write-combining memory",
                                      "published: u-dma-buf writes combined at 0.86 of cached"},
    [SIM_COST_CONTEXT_SWITCH] = {2000, "sleep and be run again", "estimate"},
    [SIM_COST_WAKE] = {500, "wake those who wait", "estimate"},
    [SIM_COST_DISK_READ_PAGE] = {150000, "read a page from storage",
                                 "estimate: 4 KiB at random from eMMC"},
    [SIM_COST_DISK_WRITE_PAGE] = {200000, "write a page to storage", "estimate, as for reading"},
};

uint64_t sim_cost_ns(enum sim_cost cost)
{
    return costs_table[cost].ns;
}

const char *sim_cost_name(enum sim_cost cost)
{
    return costs_table[cost].name;
}

const char *sim_cost_source(enum sim_cost cost)
{
    return costs_table[cost].source;
}

void sim_costs_print(FILE *to)
{
    for (int i = 0; i < SIM_COST_COUNT; i++)
        fprintf(to, "%8u ns  %-48s %s\n", (unsigned)costs_table[i].ns, costs_table[i].name,
                costs_table[i].source);
}
