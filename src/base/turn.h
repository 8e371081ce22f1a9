/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * turn.h - calls that take turns
 *
 * A turn is a lock that is held across cache maintenance, allocations and calls of others, so it
 * sleeps and does not spin. Where the port can't wait, who meets another is told so.
 */
#ifndef CMA_BASE_TURN_H
#define CMA_BASE_TURN_H

#include <cma/port.h>

#include "atomic.h"

/* `turn` is 0 while nobody has it. Returns 0 or CMA_EAGAIN. */
static inline int turn_enter(const struct cma_port *port, uint32_t *turn)
{
    uint32_t free = 0;

    while (!atom_swap_if(turn, &free, 1)) {
        if (port->wait == NULL) {
            return CMA_EAGAIN;
        }
        port->wait(port->ctx, turn, 1);
        free = 0;
    }
    return 0;
}

/* Returns `error`, for the caller to return. */
static inline int turn_leave(const struct cma_port *port, uint32_t *turn, int error)
{
    atom_store(turn, 0);
    if (port->wake != NULL) {
        port->wake(port->ctx, turn);
    }
    return error;
}

#endif
