/* SPDX-License-Identifier: BSD-2-Clause */
/* pairs.h - page allocate and free against mimalloc: one table */
#ifndef BENCH_PAIRS_H
#define BENCH_PAIRS_H

#include <stdint.h>
#include <stdio.h>

/* Medians over so many alternating rounds (up to 99) of npairs pairs each. */
void bench_pairs(FILE *out, uint32_t rounds, uint32_t npairs);

#endif
