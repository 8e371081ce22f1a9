/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * device.h - what src/dma knows of a device besides dma.h
 */
#ifndef CMA_DMA_DEVICE_H
#define CMA_DMA_DEVICE_H

#include <cma/dma.h>

/* A stretch of physical memory that a device sees in one piece. */
struct cma_device_part {
    cma_paddr_t first, last; /* inclusive */
    uint64_t bus_offset;     /* daddr = paddr + bus_offset, modulo 2^64 */
};

/* As cma_device_reach, with the offset. */
int cma__device_part(const struct cma_device *device, cma_daddr_t mask, uint32_t index,
                     struct cma_device_part *part);

#endif
