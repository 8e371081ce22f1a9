/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fdt_board.h - a board out of a few lines of device tree, for tests of the reader
 *
 * Each tree is a small source that dtc compiles. Unless a test says otherwise the board has 1 GiB
 * of RAM at 1 GiB and two cells each for addresses and sizes, and the rules are arm64's. There is
 * one board at a time; fdt_board_forget is the teardown of every test.
 */
#ifndef CMA_TESTS_FDT_BOARD_H
#define CMA_TESTS_FDT_BOARD_H

#include <cma/fdt.h>

#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define RAM 0x40000000ull
#define TOP 0x80000000ull
#define MAX_RANGES 4096

#define POOL "compatible = \"shared-dma-pool\"; "
#define AREA POOL "reusable; "
#define DEFAULT "linux,cma-default; "
#define BUS "#address-cells = <1>; #size-cells = <1>; ranges; "

/* How the next board is read; forgetting sets it back. */
extern enum cma_arch arch;
extern const char *cmdline;
extern uint64_t builtin;

/* The board of the test that runs. */
extern void *dtb;
extern struct cma_fdt fdt;
extern struct cma_map map;
extern struct cma_boot_rules rules;
extern struct cma_range ranges[2][MAX_RANGES];

int fdt_board_forget(void **state);

/* A whole source; a board with these regions and more in its root; with these regions only. */
void load_source(const char *source);
void load_with(const char *regions, const char *more);
void load(const char *regions);

const char *name_of(uint32_t node);

/* Range `index` of the map, in address order; how many there are. */
void expect_range(uint32_t index, const char *name, enum cma_range_kind kind, uint64_t base,
                  uint64_t nbytes, uint32_t flags);
void expect_ranges(uint32_t count);

/* Problem `index`, in the order in which they were found; how many there are. */
void expect_problem(uint32_t index, const char *name, const char *property,
                    enum cma_problem_kind kind);
void expect_problems(uint32_t count);

/* The first region is refused: the only problem, and nothing in the map; all memory is free. */
void expect_refused(const char *name, const char *property, enum cma_problem_kind kind);

#endif
