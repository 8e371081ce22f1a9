/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bittree.h - a set of small numbers that finds its next member in a few steps
 *
 * Level 0 is a bitmap of nbits; each bit of the level above says whether a word below has any bit
 * set, up to a level of one word. 2^20 members take 4 levels and 3 % more room than the bitmap.
 * One lock protects a tree, for readers too. An empty tree is all zeroes.
 */
#ifndef CMA_BASE_BITTREE_H
#define CMA_BASE_BITTREE_H

#include <stdbool.h>
#include <stdint.h>

#define CMA__BITTREE_LEVELS_MAX 7 /* 32^7 > 2^32 */

/* Words that a tree over nbits (at least 1) needs, all levels together. */
uint32_t cma__bittree_words(uint32_t nbits);

void cma__bittree_set(uint32_t *tree, uint32_t nbits, uint32_t bit);
void cma__bittree_clear(uint32_t *tree, uint32_t nbits, uint32_t bit);

/* The lowest member >= bit, the highest member <= bit; CMA__BIT_NONE (bitmap.h): there is none.
 * bit < nbits. */
uint32_t cma__bittree_next(const uint32_t *tree, uint32_t nbits, uint32_t bit);
uint32_t cma__bittree_prev(const uint32_t *tree, uint32_t nbits, uint32_t bit);

/* True if every upper level says the truth about the one below, and no bit is behind the end. */
bool cma__bittree_check(const uint32_t *tree, uint32_t nbits);

#endif
