/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bitmap.c - ranges of bits, a word at a time
 *
 * All functions are one loop over words, the first and the last of which are cut by a mask.
 */
#include "bitmap.h"

#include "bits.h"

/* The part of first..last that lies in word `index`. */
static uint32_t bitmap_part(uint32_t index, uint32_t first, uint32_t last)
{
    uint32_t low = index == first / 32 ? first % 32 : 0;
    uint32_t high = index == last / 32 ? last % 32 : 31;

    return bits_mask(low, high);
}

/* Whole words in between are written, not changed: runs of devices are hundreds of bits long. */
static void bitmap_fill(uint32_t *bitmap, uint32_t first, uint32_t last, uint32_t value)
{
    uint32_t i = first / 32;
    uint32_t part = bitmap_part(i, first, last);

    atom_poke(&bitmap[i], (atom_peek(&bitmap[i]) & ~part) | (value & part));
    if (i == last / 32) {
        return;
    }
    for (i++; i < last / 32; i++) {
        atom_poke(&bitmap[i], value);
    }
    part = bitmap_part(i, first, last);
    atom_poke(&bitmap[i], (atom_peek(&bitmap[i]) & ~part) | (value & part));
}

void cma__bitmap_set(uint32_t *bitmap, uint32_t first, uint32_t last)
{
    bitmap_fill(bitmap, first, last, UINT32_MAX);
}

void cma__bitmap_clear(uint32_t *bitmap, uint32_t first, uint32_t last)
{
    bitmap_fill(bitmap, first, last, 0);
}

uint32_t cma__bitmap_count(const uint32_t *bitmap, uint32_t first, uint32_t last)
{
    uint32_t count = 0;

    for (uint32_t i = first / 32; i <= last / 32; i++) {
        count += bits_count(atom_peek(&bitmap[i]) & bitmap_part(i, first, last));
    }
    return count;
}

uint32_t cma__bitmap_lowest(const uint32_t *bitmap, uint32_t first, uint32_t last, bool set)
{
    uint32_t flip = set ? 0 : UINT32_MAX;

    for (uint32_t i = first / 32; i <= last / 32; i++) {
        uint32_t word = (atom_peek(&bitmap[i]) ^ flip) & bitmap_part(i, first, last);

        if (word != 0) {
            return i * 32 + bits_lowest(word);
        }
    }
    return CMA__BIT_NONE;
}

uint32_t cma__bitmap_highest(const uint32_t *bitmap, uint32_t first, uint32_t last, bool set)
{
    uint32_t flip = set ? 0 : UINT32_MAX;

    for (uint32_t i = last / 32 + 1; i-- > first / 32;) {
        uint32_t word = (atom_peek(&bitmap[i]) ^ flip) & bitmap_part(i, first, last);

        if (word != 0) {
            return i * 32 + bits_highest(word);
        }
    }
    return CMA__BIT_NONE;
}
