/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * narrow.c - a driver that hands its device one buffer at a time
 *
 * The device may have 24 address lines, sit behind a bus that moves addresses, or see only a window
 * of memory: cma_dma_map gives an address that it can use, of the buffer or of a copy in bounce
 * memory, and cma_dma_unmap makes the buffer hold what the device wrote.
 */
#include "drivers.h"

int narrow_transfer(struct narrow *narrow, cma_paddr_t paddr, uint32_t nbytes,
                    enum cma_direction direction, uint32_t block, uint32_t *moved)
{
    const struct driver_io *io = narrow->io;
    cma_daddr_t daddr;
    int error;

    error = cma_dma_map(narrow->device, paddr, nbytes, direction, 0, &daddr, NULL);
    if (error != 0) {
        return error;
    }
    io->write(io->ctx, REG_ADDRESS, daddr);
    io->write(io->ctx, REG_LENGTH, nbytes);
    io->write(io->ctx, REG_BLOCK, block);
    io->write(io->ctx, REG_START, direction == CMA_TO_DEVICE ? START_STORE : START_LOAD);
    io->wait(io->ctx);
    *moved = (uint32_t)io->read(io->ctx, REG_MOVED);
    /* Whether it went well or not: the buffer is the CPU's again. */
    error = cma_dma_unmap(narrow->device, daddr, nbytes, direction, 0);
    if (error == 0 && io->read(io->ctx, REG_ERROR) != 0) {
        error = CMA_EAGAIN;
    }
    return error;
}
