/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * runmap.h - equal units, handed out in runs of exact length
 *
 * For slots of a bounce pool, pages of a region or of a window of addresses. Two bits a unit (in
 * use; begins a run) and a tree above them that knows, for each 32 units and each pair of such
 * groups, the free units at both ends, the longest free run and which lengths there are: so a run
 * is found in O(log n) steps however full it is, by close fit, at low addresses first. With an
 * alignment or a boundary it is as quick while there is a free run in which one surely lies; when
 * only others are left they are tried one by one, and none is overlooked. Lengths are remembered: a
 * put names where a run begins. One unit costs 1.5 bytes.
 *
 * One lock, the caller's, protects a map, for readers too. Storage is 32-bit words, the caller's.
 */
#ifndef CMA_BASE_RUNMAP_H
#define CMA_BASE_RUNMAP_H

#include <stdbool.h>
#include <stdint.h>

#define CMA__RUNMAP_NONE UINT32_MAX

/* Words that a map of nunits (1 to 2^31 - 1) needs. */
uint64_t cma__runmap_words(uint32_t nunits);
/* All free. */
void cma__runmap_init(uint32_t *map, uint32_t nunits);

/*
 * Takes n units (1 up) in one run and returns the first, or CMA__RUNMAP_NONE. (first + bias) is a
 * multiple of `align` (power of two), and the run crosses no multiple of `boundary` (power of two,
 * at least n; 0: none) in units + bias. `bias` is where unit 0 lies in units of the address that
 * counts, modulo the larger of both.
 */
uint32_t cma__runmap_take(uint32_t *map, uint32_t nunits, uint32_t n, uint32_t align,
                          uint32_t boundary, uint32_t bias);
/* How long the run that begins at `first` is; 0: none begins there. */
uint32_t cma__runmap_length(const uint32_t *map, uint32_t nunits, uint32_t first);
/* Gives it back; it begins there. */
void cma__runmap_put(uint32_t *map, uint32_t nunits, uint32_t first);
/* Where the run that `unit` is in begins; NONE: it is free. */
uint32_t cma__runmap_begin(const uint32_t *map, uint32_t nunits, uint32_t unit);
/* The first run that begins at or after `from`; NONE: there is none. */
uint32_t cma__runmap_next(const uint32_t *map, uint32_t nunits, uint32_t from);
/* The longest free run. */
uint32_t cma__runmap_longest(uint32_t *map, uint32_t nunits);
/* Does the tree say the truth? */
bool cma__runmap_check(uint32_t *map, uint32_t nunits);

#endif
