/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serial.c - an example: the DMA part of a driver for a serial port
 *
 * Both functions are right as long as the last argument is false. docs/DRIVERS.md shows what the
 * misuse checker says when it is true.
 */
#include "serial.h"

#include <string.h>

/* --- the port, as the hardware is ------------------------------------------------------------ */

static void port_send(struct serial_port *port, cma_daddr_t daddr, uint32_t nbytes)
{
    memset(port->sent, 0, sizeof(port->sent));
    (void)simdev_read(&port->bus, daddr, port->sent, nbytes);
}

static uint32_t port_receive(struct serial_port *port, cma_daddr_t daddr, uint32_t nbytes)
{
    uint32_t length = (uint32_t)strlen(port->line);

    length = length < nbytes ? length : nbytes;
    (void)simdev_write(&port->bus, daddr, port->line, length);
    return length;
}

/* --- the driver ------------------------------------------------------------------------------ */

uint32_t serial_send(struct serial *serial, const char *text, bool late)
{
    uint32_t nbytes = (uint32_t)strlen(text);
    cma_daddr_t daddr;

    drv_write(serial->sim, serial->vaddr, text, nbytes);
    if (cma_dma_map(serial->device, serial->paddr, nbytes, CMA_TO_DEVICE, 0, &daddr, NULL) != 0) {
        return 0;
    }
    if (late) {
        drv_write(serial->sim, serial->vaddr, "J", 1); /* the cache has it, memory doesn't */
    }
    drv_start(&serial->port->bus);
    port_send(serial->port, daddr, nbytes);
    (void)cma_dma_unmap(serial->device, daddr, nbytes, CMA_TO_DEVICE, 0);
    return nbytes;
}

uint32_t serial_receive(struct serial *serial, char *text, uint32_t nbytes, bool early)
{
    cma_daddr_t daddr;
    uint32_t length;

    if (cma_dma_map(serial->device, serial->paddr, 64, CMA_FROM_DEVICE, 0, &daddr, NULL) != 0) {
        return 0;
    }
    drv_start(&serial->port->bus);
    length = port_receive(serial->port, daddr, nbytes);
    if (early) {
        drv_read(serial->sim, serial->vaddr, text, length); /* perhaps what the cache had before */
    }
    (void)cma_dma_unmap(serial->device, daddr, 64, CMA_FROM_DEVICE, 0);
    if (!early) {
        drv_read(serial->sim, serial->vaddr, text, length);
    }
    return length;
}
