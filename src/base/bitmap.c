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

/* Bits of one word. */
static CMA__INLINE void bitmap_put(uint32_t *word, uint32_t part, uint32_t value)
{
    uint32_t before = atom_peek(word);

    atom_poke(word, before ^ ((before ^ value) & part));
}

/* Whole words in between are written, not changed: runs of devices are hundreds of bits long. */
static void bitmap_fill(uint32_t *bitmap, uint32_t first, uint32_t last, uint32_t value)
{
    uint32_t *word = &bitmap[first / 32], *end = &bitmap[last / 32];
    uint32_t part = UINT32_MAX << (first % 32);

    if (word != end) {
        bitmap_put(word, part, value);
        while (++word != end) {
            atom_poke(word, value);
        }
        part = UINT32_MAX;
    }
    bitmap_put(word, part & (UINT32_MAX >> (31 - last % 32)), value);
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
