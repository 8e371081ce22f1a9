/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * map.h - the memory map: what memory there is and who has reserved it (src/boot/map.c)
 *
 * A map is two sorted, disjoint sets of ranges in memory of the caller's: `memory` (what RAM there
 * is) and `reserved` (who has a part of it, or of memory outside RAM such as SRAM pools). The free
 * memory is the first minus the second. It is filled by board code, by the device tree (fdt.h) or
 * by both, ranges can be stolen from it before anything is mapped, and then the frame table is
 * built from it (frame.h). A map is built by one thread at boot; nothing here sleeps or locks.
 * Adding validates first: a call that fails leaves the map as it was.
 */
#ifndef CMA_MAP_H
#define CMA_MAP_H

#include <cma/types.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cma_range_kind {
    CMA_RANGE_MEMORY = 0,      /* RAM nobody has reserved */
    CMA_RANGE_AREA,            /* contiguous memory for devices, lent while idle */
    CMA_RANGE_COHERENT_POOL,   /* a device's (or all devices') own, never lent */
    CMA_RANGE_RESTRICTED_POOL, /* bounce memory of devices that may reach nothing else */
    CMA_RANGE_NO_MAP,          /* the CPU must not even map it */
    CMA_RANGE_RESERVED         /* mapped, but not for us: firmware, frame buffers, images */
};

/* "memory", "area", "coherent-pool", "restricted-pool", "no-map", "reserved". Never NULL. */
const char *cma_range_kind_name(enum cma_range_kind kind);

#define CMA_RANGE_DEFAULT (1u << 0) /* the default area, or the pool for all devices */
#define CMA_RANGE_DYNAMIC (1u << 1) /* was placed by libcma, not by the board */
#define CMA_RANGE_STOLEN (1u << 2)  /* left the map by cma_map_steal */
#define CMA_RANGE_UNMAPPED \
    (1u << 3) /* the CPU has no mapping of it (no-map) although it is a pool */

struct cma_range {
    cma_paddr_t base;
    uint64_t nbytes; /* at least 1; base + nbytes - 1 does not overflow */
    enum cma_range_kind kind;
    uint32_t flags;   /* CMA_RANGE_* */
    const char *name; /* never NULL once in a map; lives as long as the map */
    uint32_t id;      /* the caller's: the device-tree reader stores its node's offset */
};

struct cma_map {
    /* private; read with the functions below */
    struct cma_range *memory;
    struct cma_range *reserved;
    uint32_t nmemory, max_memory;
    uint32_t nreserved, max_reserved;
};

/*
 * Starts an empty map over the caller's storage, which must live as long as the map.
 * Returns 0 or CMA_EINVAL (a NULL array, a count of 0).
 */
CMA_MUST_CHECK int cma_map_init(struct cma_map *map, struct cma_range *memory, uint32_t max_memory,
                                struct cma_range *reserved, uint32_t max_reserved);

/*
 * Adds RAM. Touching ranges are merged. Returns 0, CMA_EINVAL (nbytes 0), CMA_EOVERFLOW (passes
 * 2^64, or would make one range of all 2^64 bytes), CMA_EEXIST (overlaps memory that is there, or
 * a reserved range that was stolen or would be half in, half out: *conflict, when not NULL, is the
 * lowest such range), CMA_ENOMEM (the array is full).
 */
CMA_MUST_CHECK int cma_map_add_memory(struct cma_map *map, cma_paddr_t base, uint64_t nbytes,
                                      struct cma_range *conflict);

/*
 * Reserves a range for `range->kind` (any but MEMORY). Areas must lie wholly in memory; the other
 * kinds may lie outside of it (SRAM), but not half in, half out. Returns 0, CMA_EINVAL (nbytes 0,
 * another kind, no name), CMA_EOVERFLOW, CMA_ERANGE (an area outside memory, or a range partly
 * outside), CMA_EEXIST (overlaps a reserved range: *conflict, when not NULL, is the lowest such),
 * CMA_ENOMEM (the array is full).
 */
CMA_MUST_CHECK int cma_map_reserve(struct cma_map *map, const struct cma_range *range,
                                   struct cma_range *conflict);

/* How a range lies to the map's memory. */
enum cma_map_place { CMA_PLACE_OUTSIDE = 0, CMA_PLACE_PARTLY, CMA_PLACE_INSIDE };
enum cma_map_place cma_map_place(const struct cma_map *map, cma_paddr_t base, cma_paddr_t last);

/* Takes the reserved range that starts at `base` out again. What was stolen stays stolen: its
 * memory does not come back. Returns 0 or CMA_ENOENT. */
CMA_MUST_CHECK int cma_map_unreserve(struct cma_map *map, cma_paddr_t base);

/*
 * Finds free memory for `nbytes` at a multiple of `align` (power of two, 0 or 1: any) whose bytes
 * all lie in [first, last]; the highest such place, or the lowest with `bottom_up`. The map is not
 * changed. Returns 0 and *base, CMA_EINVAL, CMA_ENOMEM (no place).
 */
CMA_MUST_CHECK int cma_map_find(const struct cma_map *map, uint64_t nbytes, uint64_t align,
                                cma_paddr_t first, cma_paddr_t last, bool bottom_up,
                                cma_paddr_t *base);

/*
 * Steals free memory before anything is mapped: it leaves the map's memory for good, so no linear
 * mapping will ever cover it, and is entered as reserved with CMA_RANGE_STOLEN and `name` (not
 * NULL). The highest place is taken. Arguments and returns as cma_map_find; CMA_ENOMEM also when
 * an array is full.
 */
CMA_MUST_CHECK int cma_map_steal(struct cma_map *map, uint64_t nbytes, uint64_t align,
                                 cma_paddr_t first, cma_paddr_t last, const char *name,
                                 cma_paddr_t *base);

/* Where a walk is: start with {first address, false}. (An address alone can't say "past 2^64".) */
struct cma_map_cursor {
    cma_paddr_t at;
    bool end;
};

/*
 * The pieces of memory in address order, free and reserved alike, each of one kind (`kind` is
 * CMA_RANGE_MEMORY for free pieces, which have the name "memory"); reserved ranges outside memory
 * come at their place too, all of them whole. A walk that starts inside a free piece gets the rest
 * of it. The map may change between two steps. Returns false when there are no more.
 */
bool cma_map_next(const struct cma_map *map, struct cma_map_cursor *cursor,
                  struct cma_range *piece);

/* The RAM ranges and the reserved ranges as stored, by index in address order; NULL past the end.
 */
const struct cma_range *cma_map_memory(const struct cma_map *map, uint32_t index);
const struct cma_range *cma_map_reserved(const struct cma_map *map, uint32_t index);

/* Bytes of memory that nobody reserved. */
uint64_t cma_map_free_nbytes(const struct cma_map *map);

/* True if the invariants hold: sorted, disjoint, no overflow, areas inside memory. */
bool cma_map_check(const struct cma_map *map);

#ifdef __cplusplus
}
#endif
#endif
