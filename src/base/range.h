/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * range.h - ranges of addresses, ends inclusive, every step checked against overflow
 *
 * A range is [base, last]. Lengths come from outside as (base, nbytes) and are turned into a `last`
 * once, by range_last, which refuses what passes 2^64; from there on no sum can overflow.
 */
#ifndef CMA_BASE_RANGE_H
#define CMA_BASE_RANGE_H

#include <stdbool.h>
#include <stdint.h>

/* The last address of a range of `nbytes`. False when it is empty or passes 2^64. */
static inline bool range_last(uint64_t base, uint64_t nbytes, uint64_t *last)
{
    if (nbytes == 0 || nbytes - 1 > UINT64_MAX - base) {
        return false;
    }
    *last = base + (nbytes - 1);
    return true;
}

static inline bool range_overlaps(uint64_t a, uint64_t a_last, uint64_t b, uint64_t b_last)
{
    return a <= b_last && b <= a_last;
}

/* True if [b, b_last] lies wholly inside [a, a_last]. */
static inline bool range_contains(uint64_t a, uint64_t a_last, uint64_t b, uint64_t b_last)
{
    return a <= b && b_last <= a_last;
}

static inline bool range_is_power_of_two(uint64_t value)
{
    return value != 0 && (value & (value - 1)) == 0;
}

/* `align` is a power of two in all three. */
static inline bool range_is_aligned(uint64_t value, uint64_t align)
{
    return (value & (align - 1)) == 0;
}

static inline uint64_t range_align_down(uint64_t value, uint64_t align)
{
    return value & ~(align - 1);
}

/* Rounds up; false when the result passes 2^64. */
static inline bool range_align_up(uint64_t value, uint64_t align, uint64_t *result)
{
    if (value > UINT64_MAX - (align - 1)) {
        return false;
    }
    *result = range_align_down(value + (align - 1), align);
    return true;
}

#endif
