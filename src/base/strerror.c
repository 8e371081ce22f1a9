/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * strerror.c - errors and reasons in words
 *
 * Apart from the code that returns them, so that a linker leaves the strings out of a system that
 * never prints one.
 */
#include <cma/types.h>

const char *cma_strerror(int error)
{
    switch (error) {
    case CMA_OK: return "success";
    case CMA_EAGAIN: return "the frame is just being moved or claimed; try again";
    case CMA_EBUSY: return "a mover refused, or a reference holds the frame for now";
    case CMA_ENOMEM: return "no free memory is left";
    case CMA_ENOSPC: return "enough is free, but not in one piece";
    case CMA_ERANGE: return "outside what the device, mover or request can reach";
    case CMA_EPERM: return "not the owner";
    case CMA_ENOENT: return "nothing of that name or address is known";
    case CMA_EEXIST: return "it is there already, or overlaps what is there";
    case CMA_EINVAL: return "an argument is malformed";
    case CMA_EOVERFLOW: return "the end passes 2^64, or a count does not fit";
    case CMA_EBADF: return "the frame or block is not in the state that the call needs";
    case CMA_EOPNOTSUPP: return "the port has no hook for it";
    default: return "unknown error";
    }
}

enum cma_error_class cma_error_class(int error)
{
    switch (error) {
    case CMA_OK: return CMA_CLASS_OK;
    case CMA_EAGAIN:
    case CMA_EBUSY: return CMA_CLASS_TRY_AGAIN;
    case CMA_ENOMEM:
    case CMA_ENOSPC:
    case CMA_ERANGE: return CMA_CLASS_WILL_NOT_FIT;
    default: return CMA_CLASS_BUG;
    }
}

const char *cma_reason_name(enum cma_reason reason)
{
    switch (reason) {
    case CMA_REASON_NONE: return "none";
    case CMA_REASON_ARGUMENT: return "malformed";
    case CMA_REASON_TOO_LARGE: return "too large";
    case CMA_REASON_UNREACHABLE: return "out of reach";
    case CMA_REASON_CLAIMED: return "claimed by others";
    case CMA_REASON_HELD: return "held in place";
    case CMA_REASON_MOVER: return "mover refused";
    case CMA_REASON_NO_ROOM: return "no room for kept pages";
    case CMA_REASON_NO_MEMORY: return "no free memory";
    case CMA_REASON_FLOOR: return "held back by a floor";
    case CMA_REASON_MAPPING: return "mapping failed";
    case CMA_REASON_BUDGET: return "budget used up";
    case CMA_REASON_INACTIVE: return "area not active";
    case CMA_REASON_PROMISED: return "promised to others";
    case CMA_REASON_GROUP: return "another of the group is open";
    case CMA_REASON_QUOTA: return "quota used up";
    case CMA_REASON_EXCLUSIVE: return "the device's own memory is full";
    case CMA_REASON_WINDOW: return "consistent window used up";
    case CMA_REASON_NOSLEEP: return "pool for callers that may not sleep is dry";
    case CMA_REASON_BOUNCE: return "no bounce memory";
    case CMA_REASON_ALIAS: return "mapped with other attributes";
    case CMA_REASON_LINES: return "cache lines shared with other data";
    case CMA_REASON_COUNT: break;
    }
    return "unknown reason";
}

uint32_t cma_version(void)
{
    return CMA_VERSION;
}
