/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * board.h - a board as both verbs see it: options, device tree, memory map
 *
 * A verb puts BOARD_OPTIONS into its getopt_long table and gives what comes back to board_option;
 * then board_load reads the tree and lays the memory out. Messages go to stderr here, so callers
 * only pass the exit code on.
 */
#ifndef CMA_TOOL_BOARD_H
#define CMA_TOOL_BOARD_H

#include <cma/boot.h>
#include <cma/fdt.h>
#include <cma/frame.h>
#include <cma/map.h>

#include <getopt.h>

#define BOARD_MAX_MEMORY 32
#define EXIT_LOST 1  /* a byte was lost */
#define EXIT_USAGE 2 /* bad usage, or a tree that can't be read */

/* Values of getopt_long; a verb's own begin at BOARD_OPTION_LAST. */
enum board_option {
    BOARD_CMDLINE = 256,
    BOARD_JSON,
    BOARD_ARCH,
    BOARD_MEMORY,
    BOARD_GRANULE,
    BOARD_BUILTIN_CMA,
    BOARD_OPTION_LAST
};

#define BOARD_OPTIONS                                                                             \
    {"cmdline", required_argument, NULL, BOARD_CMDLINE}, {"json", no_argument, NULL, BOARD_JSON}, \
        {"arch", required_argument, NULL, BOARD_ARCH},                                            \
        {"memory", required_argument, NULL, BOARD_MEMORY},                                        \
        {"granule", required_argument, NULL, BOARD_GRANULE},                                      \
    {                                                                                             \
        "builtin-cma", required_argument, NULL, BOARD_BUILTIN_CMA                                 \
    }

/* Help for these options, for a verb's own --help. */
extern const char board_options_help[];

struct board_memory {
    uint64_t nbytes;
    cma_paddr_t base;
    bool has_base;
};

struct board_options {
    const char *file; /* set by the verb */
    const char *cmdline;
    bool json;
    enum cma_arch arch;      /* UNKNOWN: the tree's */
    uint64_t granule_nbytes; /* 0: Linux's */
    uint64_t builtin_nbytes;
    struct board_memory memory[BOARD_MAX_MEMORY]; /* none: the tree's */
    unsigned int nmemory;
};

struct board {
    struct cma_map map;
    struct cma_fdt fdt; /* devices, regions, problems, model */
    struct cma_boot_rules rules;
    struct cma_boot_args args;
    uint32_t page_shift;
    /* private */
    char *dtb;
    size_t dtb_nbytes;
    void *storage;
    struct cma_range *ranges;
    char *path;
    size_t path_nbytes;
};

/* Takes one option. Returns 0, or EXIT_USAGE after a message. */
int board_option(struct board_options *options, int option, const char *value);

/* Reads a number with its suffix that is all of `text`. Returns 0, or -1. */
int board_number(const char *text, uint64_t *value);

/* Loads the board and lays its memory out. Returns 0, or EXIT_USAGE after a message. */
int board_load(struct board *board, const struct board_options *options);

/* Frees what board_load took; after a failed one too. */
void board_free(struct board *board);

/* The path of a node by its offset, "" for CMA_NODE_NONE. Good until the next call. */
const char *board_path(struct board *board, uint32_t node);

/* The region of /reserved-memory that a range of the map comes from, NULL when it is no node's. */
const struct cma_fdt_region *board_region(const struct board *board, uint32_t node);

/* The zones of a machine with this board: where the buses of its devices end, and where a 32-bit
 * kernel's linear mapping does. */
struct board_zones {
    struct cma_zone zones[CMA_ZONES_MAX];
    uint32_t nzones;
    cma_paddr_t linear_last; /* 0: all memory is mapped */
};
void board_zones(const struct board *board, struct board_zones *zones);

/* The quota of a device in pages, 0: none. */
uint32_t board_quota(const struct board *board, const struct cma_fdt_device *device);

/* "64 MiB", "1.5 GiB". */
const char *board_size(uint64_t nbytes, char text[16]);

#endif
