/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * simulated.h - the devices of hardware.h, on the simulator
 *
 * A device works while its driver waits for it, burst by burst; between bursts `meanwhile` is
 * called, where the rest of the machine goes on. What it can't do is done to it as by real
 * hardware, silently: a segment that is too long loses the upper bits of its length, one that
 * crosses the boundary begins again below it, an address that is too high loses bits (simdev.h).
 */
#ifndef SIMULATED_H
#define SIMULATED_H

#include "hardware.h"

#include "../../ports/sim/simdev.h"

#define SIMULATED_STORE (512u << 10) /* bytes that it stores */
#define SIMULATED_PACKETS 16u        /* that it holds between sending and receiving */

struct simulated_packet {
    uint32_t nbytes;
    uint8_t bytes[2048];
};

struct simulated {
    struct simdev bus;
    struct driver_io io;
    uint64_t registers[REG_COUNT];
    uint64_t segment_nbytes_max, segment_boundary_nbytes; /* powers of two; 0: none */
    uint8_t *store;
    uint32_t load_nbytes_max; /* it stops after so many bytes of a load; 0: it does not */
    uint64_t loads;
    /* Packets come back as they were sent, each byte inverted but the first. */
    struct simulated_packet packets[SIMULATED_PACKETS];
    uint32_t npackets, next_send, next_fill;
    cma_daddr_t commands[COMMANDS_MAX], finished[COMMANDS_MAX];
    uint32_t ncommands, nfinished;
    bool started;
    uint64_t random;
    void (*meanwhile)(void *ctx);
    void *ctx;
};

/* `store` is zeroed memory of the caller's, SIMULATED_STORE bytes. */
void simulated_init(struct simulated *device, struct sim *sim, const struct simdev_config *bus,
                    uint8_t *store, uint64_t seed);

#endif
