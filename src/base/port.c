/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * port.c - is a port complete?
 *
 * Hooks come in pairs; half a pair is a port that will call NULL one day, so it is refused at boot.
 */
#include <cma/port.h>

#include "guard.h"
#include "range.h"

/* Is one hook of a pair there, and the other not? */
static CMA__APART bool port_is_half(uintptr_t one, uintptr_t other)
{
    return (one == 0) != (other == 0);
}

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
    if (port_is_half((uintptr_t)port->map, (uintptr_t)port->unmap) ||
        port_is_half((uintptr_t)port->clean, (uintptr_t)port->invalidate) ||
        port_is_half((uintptr_t)port->lock, (uintptr_t)port->unlock) ||
        port_is_half((uintptr_t)port->wait, (uintptr_t)port->wake) ||
        port_is_half((uintptr_t)port->window_make, (uintptr_t)port->window_map) ||
        port_is_half((uintptr_t)port->window_make, (uintptr_t)port->window_unmap)) {
        return CMA_EINVAL;
    }
    return CMA_OK;
}
