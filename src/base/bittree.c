/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bittree.c - a bitmap with summaries of itself above
 *
 * A search climbs until a word has a bit on the wanted side, then falls down again along lowest
 * (highest) bits: at most two words a level. Where the levels begin follows from nbits alone and is
 * worked out on the way up.
 */
#include "bittree.h"

#include "bitmap.h"
#include "bits.h"

static uint32_t bittree_level_words(uint32_t nbits)
{
    return (nbits - 1) / 32 + 1;
}

uint32_t cma__bittree_words(uint32_t nbits)
{
    uint32_t words = 0;

    for (;;) {
        nbits = bittree_level_words(nbits);
        words += nbits;
        if (nbits == 1) {
            return words;
        }
    }
}

void cma__bittree_set(uint32_t *tree, uint32_t nbits, uint32_t bit)
{
    for (;;) {
        uint32_t words = bittree_level_words(nbits);
        uint32_t before = tree[bit / 32];

        tree[bit / 32] = before | (UINT32_C(1) << (bit % 32));
        /* A word that had a member is in the summaries already. */
        if (before != 0 || words == 1) {
            return;
        }
        tree += words;
        nbits = words;
        bit /= 32;
    }
}

void cma__bittree_clear(uint32_t *tree, uint32_t nbits, uint32_t bit)
{
    for (;;) {
        uint32_t words = bittree_level_words(nbits);
        uint32_t before = tree[bit / 32];
        uint32_t after = before & ~(UINT32_C(1) << (bit % 32));

        tree[bit / 32] = after;
        if (after != 0 || before == 0 || words == 1) {
            return;
        }
        tree += words;
        nbits = words;
        bit /= 32;
    }
}

/* Searches from `bit` upwards or downwards. */
static uint32_t bittree_search(const uint32_t *tree, uint32_t nbits, uint32_t bit, bool up)
{
    const uint32_t *level[CMA__BITTREE_LEVELS_MAX];
    uint32_t depth = 0;
    uint32_t word;

    for (;;) {
        uint32_t words = bittree_level_words(nbits);

        level[depth] = tree;
        word = tree[bit / 32] & (up ? UINT32_MAX << (bit % 32) : UINT32_MAX >> (31 - bit % 32));
        if (word != 0) {
            break;
        }
        /* Nothing on this side in this word: go on with the next word, one level up. */
        bit /= 32;
        if (words == 1 || (up ? bit + 1 >= words : bit == 0)) {
            return CMA__BIT_NONE;
        }
        bit = up ? bit + 1 : bit - 1;
        tree += words;
        nbits = words;
        depth++;
    }
    bit = bit / 32 * 32 + (up ? bits_lowest(word) : bits_highest(word));
    while (depth-- > 0) {
        word = level[depth][bit];
        bit = bit * 32 + (up ? bits_lowest(word) : bits_highest(word));
    }
    return bit;
}

uint32_t cma__bittree_next(const uint32_t *tree, uint32_t nbits, uint32_t bit)
{
    return bittree_search(tree, nbits, bit, true);
}

uint32_t cma__bittree_prev(const uint32_t *tree, uint32_t nbits, uint32_t bit)
{
    return bittree_search(tree, nbits, bit, false);
}

bool cma__bittree_check(const uint32_t *tree, uint32_t nbits)
{
    for (;;) {
        uint32_t words = bittree_level_words(nbits);

        if (nbits % 32 != 0 && tree[words - 1] >> (nbits % 32) != 0) {
            return false;
        }
        if (words == 1) {
            return true;
        }
        for (uint32_t i = 0; i < words; i++) {
            if (((tree[words + i / 32] >> (i % 32)) & 1u) != (tree[i] != 0 ? 1u : 0u)) {
                return false;
            }
        }
        tree += words;
        nbits = words;
    }
}
