/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serial.h - an example: the DMA part of a driver for a serial port, and the port it is tried on
 */
#ifndef EXAMPLE_SERIAL_H
#define EXAMPLE_SERIAL_H

#include "../../ports/sim/driver.h"

/* The machine that does it: sends what is at an address, and puts there what comes in. */
struct serial_port {
    struct simdev bus;
    const char *line; /* what the other end of the wire says */
    char sent[64];
};

/* The driver. */
struct serial {
    struct sim *sim;
    struct serial_port *port;
    struct cma_device *device;
    uint8_t *vaddr; /* a page of its own */
    cma_paddr_t paddr;
};

/* Sends a string; returns how many bytes. `late`: the driver has a bug. */
uint32_t serial_send(struct serial *serial, const char *text, bool late);
/* Receives up to nbytes into text. `early`: the driver has a bug. */
uint32_t serial_receive(struct serial *serial, char *text, uint32_t nbytes, bool early);

#endif
