/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * drive.h - the drivers of drivers.h at work on simulated boards, with every byte compared
 *
 * A style is a driver, a device, and the board that makes things hard for both. A transfer carries
 * random data from random places of memory to the device, or back, while the CPU writes to what
 * lies beside the buffers, and the cache does as it likes.
 */
#ifndef DRIVE_H
#define DRIVE_H

#include <cma/types.h>

struct drive_area {
    cma_paddr_t base;
    uint64_t nbytes;
};

enum drive_driver { DRIVE_NARROW, DRIVE_LIST, DRIVE_RING, DRIVE_QUEUE };

struct drive_style {
    const char *name;
    const char *summary;
    const char *about;    /* the same in a word or two */
    const char *left_out; /* what is left out with options.broken */
    enum drive_driver driver;
    /* The board: also a device tree, examples/boards/BOARD.dts. */
    const char *board;
    uint64_t memory_nbytes;  /* from 0 up */
    cma_paddr_t linear_last; /* memory above is highmem; 0: there is none */
    struct drive_area low, default_area;
    /* The device. */
    cma_daddr_t mask;
    struct cma_bus_window windows[2]; /* of no bytes: not there. None: daddr = paddr */
    bool snoops;
    uint64_t segment_nbytes_max, segment_boundary_nbytes;
};

/* By index; NULL past the end. */
const struct drive_style *drive_style(uint32_t index);

struct drive_options {
    uint64_t transfers; /* at least */
    uint64_t seed;
    bool broken; /* leave out what the style is about: wrong bytes must be seen */
};

struct drive_result {
    uint64_t transfers, nbytes;
    uint64_t bounced;      /* mappings that went through bounce memory */
    uint64_t segments;     /* of lists */
    uint64_t failed;       /* transfers that were refused, or that the device called failed */
    uint64_t wrong;        /* bytes that were not what they had to be, anywhere */
    uint64_t misuses;      /* reports of the misuse checker (cma/misuse.h) */
    char misuse[256];      /* the first of them */
    uint64_t faults;       /* accesses of the device that led nowhere, or elsewhere */
    const char *violation; /* what does not hold in the end; NULL: all does */
};

/* Returns 0, or -1 after a message on stderr: the machine could not be made. */
int drive_run(const struct drive_style *style, const struct drive_options *options,
              struct drive_result *result);

/* Did all go well? */
bool drive_is_good(const struct drive_result *result);

#endif
