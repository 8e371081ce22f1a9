/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bitmap.h - one bit a frame, in 32-bit words
 *
 * Writers hold a lock. Readers may look without it: each word is read whole and what they learn is
 * a hint. Ranges of bits are inclusive.
 */
#ifndef CMA_BASE_BITMAP_H
#define CMA_BASE_BITMAP_H

#include <stdbool.h>
#include <stdint.h>

#include "atomic.h"

#define CMA__BIT_NONE UINT32_MAX

static inline bool bitmap_test(const uint32_t *bitmap, uint32_t bit)
{
    return ((atom_peek(&bitmap[bit / 32]) >> (bit % 32)) & 1u) != 0;
}

void cma__bitmap_set(uint32_t *bitmap, uint32_t first, uint32_t last);
void cma__bitmap_clear(uint32_t *bitmap, uint32_t first, uint32_t last);
/* How many bits are set. */
uint32_t cma__bitmap_count(const uint32_t *bitmap, uint32_t first, uint32_t last);

/* The lowest (highest) bit of first to last that is `set` or not set; CMA__BIT_NONE: there is
 * none. */
uint32_t cma__bitmap_lowest(const uint32_t *bitmap, uint32_t first, uint32_t last, bool set);
uint32_t cma__bitmap_highest(const uint32_t *bitmap, uint32_t first, uint32_t last, bool set);

#endif
