/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * view.c - how others have to map a buffer
 *
 * A client's mapping is a second one of the same frames, so its attributes must be those of the
 * first. What these are the port's tables say; where the CPU has none (CMA_COHERENT_NO_MAPPING),
 * the flags of the request do. Lengths are compared by subtraction: offset + nbytes may pass 2^64.
 */
#include <cma/dma.h>

#include "../base/range.h"
#include "device.h"

static enum cma_attr view_by_flags(const struct cma_device *device, uint32_t flags)
{
    if (cma__device_snoops(device)) {
        return CMA_ATTR_CACHED;
    }
    return (flags & CMA_COHERENT_WRITE_COMBINE) != 0 ? CMA_ATTR_WRITECOMBINE : CMA_ATTR_UNCACHED;
}

/* By the machine's tables, page `offset_nbytes` of the buffer. */
static int view_by_tables(const struct cma_device *device, const struct cma_coherent *buffer,
                          uint64_t offset_nbytes, enum cma_attr *attr)
{
    const struct cma_port *port = device->dma->port;
    const uint8_t *vaddr = (const uint8_t *)buffer->vaddr + offset_nbytes;
    cma_paddr_t there;

    if (port->lookup == NULL) {
        return CMA_EOPNOTSUPP;
    }
    return port->lookup(port->ctx, vaddr, &there, attr) == 0 &&
                   there == buffer->paddr + offset_nbytes
               ? 0
               : CMA_EINVAL;
}

int cma_dma_view(const struct cma_device *device, const struct cma_coherent *buffer,
                 uint64_t offset_nbytes, uint64_t nbytes, cma_paddr_t *paddr, enum cma_attr *attr)
{
    const struct cma_port *port = device->dma->port;
    uint64_t page = (uint64_t)1 << port->page_shift, whole;
    enum cma_attr seen;
    int error = 0;

    if (nbytes == 0 || !range_is_aligned(offset_nbytes | nbytes | buffer->paddr, page) ||
        !range_align_up(buffer->nbytes, page, &whole)) {
        return CMA_EINVAL;
    }
    if (offset_nbytes >= whole || nbytes > whole - offset_nbytes) {
        return CMA_ERANGE;
    }
    seen = view_by_flags(device, buffer->flags);
    if (buffer->vaddr != NULL && (port->lookup != NULL || !cma__device_snoops(device))) {
        error = view_by_tables(device, buffer, offset_nbytes, &seen);
    }
    if (error == 0) {
        *paddr = buffer->paddr + offset_nbytes;
        *attr = seen;
    }
    return error;
}
