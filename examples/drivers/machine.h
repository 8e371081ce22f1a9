/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * machine.h - a simulated machine with one of the devices, and memory whose every byte is known
 */
#ifndef DRIVE_MACHINE_H
#define DRIVE_MACHINE_H

#include "drive.h"
#include "drivers.h"
#include "simulated.h"

#include <cma/bounce.h>
#include <cma/misuse.h>
#include <cma/system.h>

#define RUNS 24u
#define RUN_NBYTES (128u << 10)

/* A piece of the system's memory, and what must be in it. */
struct drive_run {
    cma_paddr_t paddr;
    uint8_t *shadow;
    /* What a device has of it: one range at a time, none when it is of no bytes. The first run's
     * buffers for arriving packets are the device's all the time. */
    uint32_t busy_offset, busy_nbytes;
};

struct drive {
    const struct drive_style *style;
    struct drive_result *result;
    struct sim *sim;
    struct cma_port port;
    struct cma_range memory[1], reserved[2];
    struct cma_map map;
    struct cma_zone zones[3];
    struct cma_system system;
    struct cma_bounce bounce;
    struct cma_misuse misuse;
    struct cma_bus_window windows[2];
    struct cma_device device;
    struct simulated simulated;
    void *storage, *bounce_storage, *misuse_storage, *driver_storage;
    uint8_t *store;
    struct drive_run runs[RUNS];
    uint64_t random;
};

/* Returns 0, or -1 after a message. */
int machine_make(struct drive *drive, const struct drive_options *options);
/* Compares all memory, looks at all structures, and frees everything. */
void machine_end(struct drive *drive);

/* A number below `limit`. */
uint32_t machine_random(struct drive *drive, uint32_t limit);
void machine_random_bytes(struct drive *drive, uint8_t *bytes, uint32_t nbytes);
/* The CPU writes random bytes there. */
void machine_fill(struct drive *drive, struct drive_run *run, uint32_t offset, uint32_t nbytes);
/* The CPU reads there and a little around it; what differs from the shadow is counted as wrong. */
void machine_check(struct drive *drive, const struct drive_run *run, uint32_t offset,
                   uint32_t nbytes);
/* Counts bytes that differ. */
void machine_compare(struct drive *drive, const uint8_t *got, const uint8_t *wanted,
                     uint32_t nbytes);

#endif
