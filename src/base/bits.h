/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bits.h - bit arithmetic on words, without a library
 *
 * The builtins below are single instructions, or a few, on every processor that libcma is built
 * for; popcount is written out because it would be a call on most of them.
 */
#ifndef CMA_BASE_BITS_H
#define CMA_BASE_BITS_H

#include <stdbool.h>
#include <stdint.h>

/* Number of the lowest and of the highest bit that is set; `word` is not 0. */
static inline uint32_t bits_lowest(uint32_t word)
{
    return (uint32_t)__builtin_ctz(word);
}

static inline uint32_t bits_highest(uint32_t word)
{
    return 31u - (uint32_t)__builtin_clz(word);
}

static inline uint32_t bits_count(uint32_t word)
{
    word -= (word >> 1) & 0x55555555u;
    word = (word & 0x33333333u) + ((word >> 2) & 0x33333333u);
    word = (word + (word >> 4)) & 0x0f0f0f0fu;
    return (word * 0x01010101u) >> 24;
}

/* Bits first to last of a word, 0 <= first <= last <= 31. */
static inline uint32_t bits_mask(uint32_t first, uint32_t last)
{
    return (UINT32_MAX << first) & (UINT32_MAX >> (31u - last));
}

static inline uint64_t bits_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static inline uint64_t bits_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

#endif
