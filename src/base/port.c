/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port.c - is a port complete?
 *
 * Hooks come in pairs; half a pair is a port that will call NULL one day, so it is refused at boot.
 */
#include <cma/port.h>

#include "range.h"

int cma_port_check(const struct cma_port *port)
{
    if (port == NULL || port->page_shift < 8 || port->page_shift > 16) {
        return CMA_EINVAL;
    }
    if (!range_is_power_of_two(port->cache_line_nbytes) ||
        port->cache_line_nbytes > (UINT32_C(1) << port->page_shift)) {
        return CMA_EINVAL;
    }
    if (port->vaddr == NULL || port->dma_barrier == NULL || port->copy == NULL ||
        port->zero == NULL) {
        return CMA_EINVAL;
    }
    if ((port->map == NULL) != (port->unmap == NULL) ||
        (port->clean == NULL) != (port->invalidate == NULL) ||
        (port->lock == NULL) != (port->unlock == NULL) ||
        (port->wait == NULL) != (port->wake == NULL) ||
        (port->window_make == NULL) != (port->window_map == NULL) ||
        (port->window_make == NULL) != (port->window_unmap == NULL)) {
        return CMA_EINVAL;
    }
    return CMA_OK;
}
