/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * map.c - the memory map: two sorted, disjoint arrays of ranges, in the caller's storage
 *
 *     memory    [=================]      [=========================]
 *     reserved       [==]    [==]              [=====]                  [==]   (SRAM, outside)
 *     pieces    [free|  |free|  ]       [ free|     | free         ]    [  ]
 *
 * `memory` is merged where ranges touch, so "wholly in memory" is a question about one range.
 * `reserved` is never merged: each range has an owner. A board has tens of ranges, so they are
 * found by bisection and kept in order by moving the tail; there is nothing cleverer to gain.
 */
#include <cma/map.h>

#include "../base/guard.h"
#include "../base/range.h"
#include "map.h"

#include "../base/mem.h"

const char *cma_range_kind_name(enum cma_range_kind kind)
{
    static const char *const names[] = {"memory",          "area",   "coherent-pool",
                                        "restricted-pool", "no-map", "reserved"};

    return (unsigned int)kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "unknown";
}

/* A range in a map never overflows: it was checked when it was added. */
static CMA__APART cma_paddr_t map_last(const struct cma_range *range)
{
    return range->base + (range->nbytes - 1);
}

/* Index of the first range that ends at `at` or behind it. */
static uint32_t map_bisect(const struct cma_range *ranges, uint32_t count, cma_paddr_t at)
{
    uint32_t low = 0;
    uint32_t high = count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (map_last(&ranges[middle]) < at) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void map_insert(struct cma_range *ranges, uint32_t *count, uint32_t index,
                       const struct cma_range *range)
{
    memmove(&ranges[index + 1], &ranges[index], (*count - index) * sizeof(*ranges));
    ranges[index] = *range;
    (*count)++;
}

static void map_remove(struct cma_range *ranges, uint32_t *count, uint32_t index)
{
    (*count)--;
    memmove(&ranges[index], &ranges[index + 1], (*count - index) * sizeof(*ranges));
}

int cma_map_init(struct cma_map *map, struct cma_range *memory, uint32_t max_memory,
                 struct cma_range *reserved, uint32_t max_reserved)
{
    if (!map || !memory || !reserved || max_memory == 0 || max_reserved == 0) {
        return CMA_EINVAL;
    }
    map->memory = memory;
    map->reserved = reserved;
    map->nmemory = 0;
    map->nreserved = 0;
    map->max_memory = max_memory;
    map->max_reserved = max_reserved;
    return 0;
}

/* The first reserved range that new memory, merged to [first, last], would cut or unsteal. */
static const struct cma_range *map_cut_by(const struct cma_map *map, cma_paddr_t base,
                                          cma_paddr_t end, cma_paddr_t first, cma_paddr_t last)
{
    uint32_t index = map_bisect(map->reserved, map->nreserved, base);

    for (; index < map->nreserved && map->reserved[index].base <= end; index++) {
        const struct cma_range *range = &map->reserved[index];

        if ((range->flags & CMA_RANGE_STOLEN) ||
            !range_contains(first, last, range->base, map_last(range))) {
            return range;
        }
    }
    return NULL;
}

int cma_map_add_memory(struct cma_map *map, cma_paddr_t base, uint64_t nbytes,
                       struct cma_range *conflict)
{
    struct cma_range range = {base, nbytes, CMA_RANGE_MEMORY, 0, "memory", UINT32_MAX};
    struct cma_range *ranges = map->memory;
    const struct cma_range *cut = NULL;
    cma_paddr_t last, merged_first, merged_last;
    uint32_t index;
    bool joins_before, joins_after;

    if (nbytes == 0) {
        return CMA_EINVAL;
    }
    if (!range_last(base, nbytes, &last)) {
        return CMA_EOVERFLOW;
    }
    index = map_bisect(ranges, map->nmemory, base);
    joins_before = index > 0 && map_last(&ranges[index - 1]) + 1 == base;
    joins_after = index < map->nmemory && last + 1 == ranges[index].base;
    merged_first = joins_before ? ranges[index - 1].base : base;
    merged_last = joins_after ? map_last(&ranges[index]) : last;
    if (index < map->nmemory && ranges[index].base <= last) {
        cut = &ranges[index];
    } else {
        cut = map_cut_by(map, base, last, merged_first, merged_last);
    }
    if (cut) {
        if (conflict) {
            *conflict = *cut;
        }
        return CMA_EEXIST;
    }
    if (merged_last - merged_first == UINT64_MAX) {
        return CMA_EOVERFLOW; /* all 2^64 bytes as one range: nbytes can't say it */
    }
    if (!joins_before && !joins_after && map->nmemory == map->max_memory) {
        return CMA_ENOMEM;
    }
    if (joins_after) {
        map_remove(ranges, &map->nmemory, index);
    }
    if (joins_before) {
        map_remove(ranges, &map->nmemory, --index);
    }
    range.base = merged_first;
    range.nbytes = merged_last - merged_first + 1;
    map_insert(ranges, &map->nmemory, index, &range);
    return 0;
}

enum cma_map_place cma_map_place(const struct cma_map *map, cma_paddr_t base, cma_paddr_t last)
{
    uint32_t index = map_bisect(map->memory, map->nmemory, base);

    if (index == map->nmemory || map->memory[index].base > last) {
        return CMA_PLACE_OUTSIDE;
    }
    return range_contains(map->memory[index].base, map_last(&map->memory[index]), base, last)
               ? CMA_PLACE_INSIDE
               : CMA_PLACE_PARTLY;
}

int cma_map_reserve(struct cma_map *map, const struct cma_range *range, struct cma_range *conflict)
{
    enum cma_map_place place;
    cma_paddr_t last;
    uint32_t index;

    if (range->nbytes == 0 || !range->name || range->kind == CMA_RANGE_MEMORY ||
        (unsigned int)range->kind > CMA_RANGE_RESERVED) {
        return CMA_EINVAL;
    }
    if (!range_last(range->base, range->nbytes, &last)) {
        return CMA_EOVERFLOW;
    }
    place = cma_map_place(map, range->base, last);
    if (place == CMA_PLACE_PARTLY ||
        (place == CMA_PLACE_OUTSIDE && range->kind == CMA_RANGE_AREA)) {
        return CMA_ERANGE;
    }
    index = map_bisect(map->reserved, map->nreserved, range->base);
    if (index < map->nreserved && map->reserved[index].base <= last) {
        if (conflict) {
            *conflict = map->reserved[index];
        }
        return CMA_EEXIST;
    }
    if (map->nreserved == map->max_reserved) {
        return CMA_ENOMEM;
    }
    map_insert(map->reserved, &map->nreserved, index, range);
    return 0;
}

int cma_map_unreserve(struct cma_map *map, cma_paddr_t base)
{
    uint32_t index = map_bisect(map->reserved, map->nreserved, base);

    if (index == map->nreserved || map->reserved[index].base != base) {
        return CMA_ENOENT;
    }
    map_remove(map->reserved, &map->nreserved, index);
    return 0;
}

void cma__map_drop(struct cma_map *map, const char *name)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < map->nreserved; i++) {
        if (map->reserved[i].name != name) {
            map->reserved[kept++] = map->reserved[i];
        }
    }
    map->nreserved = kept;
}

bool cma_map_next(const struct cma_map *map, struct cma_map_cursor *cursor, struct cma_range *piece)
{
    uint32_t m = map_bisect(map->memory, map->nmemory, cursor->at);
    uint32_t r = map_bisect(map->reserved, map->nreserved, cursor->at);
    cma_paddr_t first, last;

    if (cursor->end || (m == map->nmemory && r == map->nreserved)) {
        return false;
    }
    first = m == map->nmemory ? 0 : map->memory[m].base;
    first = first < cursor->at ? cursor->at : first;
    if (m == map->nmemory || (r < map->nreserved && map->reserved[r].base <= first)) {
        *piece = map->reserved[r];
        last = map_last(piece);
    } else {
        last = map_last(&map->memory[m]);
        if (r < map->nreserved && map->reserved[r].base <= last) {
            last = map->reserved[r].base - 1;
        }
        piece->base = first;
        piece->nbytes = last - first + 1;
        piece->kind = CMA_RANGE_MEMORY;
        piece->flags = 0;
        piece->name = "memory";
        piece->id = UINT32_MAX;
    }
    cursor->end = last == CMA_PADDR_MAX;
    cursor->at = last + 1;
    return true;
}

/* The highest or lowest place in one free piece; false when there is none. */
static bool map_fit(cma_paddr_t first, cma_paddr_t last, uint64_t nbytes, uint64_t align,
                    bool bottom_up, cma_paddr_t *base)
{
    uint64_t low;

    if (!range_align_up(first, align, &low) || low > last || nbytes - 1 > last - low) {
        return false;
    }
    *base = bottom_up ? low : range_align_down(last - (nbytes - 1), align);
    return true;
}

int cma_map_find(const struct cma_map *map, uint64_t nbytes, uint64_t align, cma_paddr_t first,
                 cma_paddr_t last, bool bottom_up, cma_paddr_t *base)
{
    struct cma_map_cursor cursor = {first, false};
    struct cma_range piece;
    bool found = false;

    align = align == 0 ? 1 : align;
    if (nbytes == 0 || first > last || !range_is_power_of_two(align)) {
        return CMA_EINVAL;
    }
    while (cma_map_next(map, &cursor, &piece) && piece.base <= last) {
        cma_paddr_t end = map_last(&piece) < last ? map_last(&piece) : last;

        if (piece.kind == CMA_RANGE_MEMORY &&
            map_fit(piece.base, end, nbytes, align, bottom_up, base)) {
            found = true;
            if (bottom_up) {
                break;
            }
        }
    }
    return found ? 0 : CMA_ENOMEM;
}

int cma_map_steal(struct cma_map *map, uint64_t nbytes, uint64_t align, cma_paddr_t first,
                  cma_paddr_t last, const char *name, cma_paddr_t *base)
{
    struct cma_range stolen = {0, nbytes, CMA_RANGE_RESERVED, CMA_RANGE_STOLEN, name, UINT32_MAX};
    struct cma_range *memory;
    cma_paddr_t end;
    uint32_t index;
    int error;

    if (!name) {
        return CMA_EINVAL;
    }
    error = cma_map_find(map, nbytes, align, first, last, false, &stolen.base);
    if (error) {
        return error;
    }
    index = map_bisect(map->memory, map->nmemory, stolen.base);
    memory = &map->memory[index];
    end = map_last(memory);
    if (map->nreserved == map->max_reserved ||
        (memory->base < stolen.base && map_last(&stolen) < end &&
         map->nmemory == map->max_memory)) {
        return CMA_ENOMEM;
    }
    if (memory->base == stolen.base && end == map_last(&stolen)) {
        map_remove(map->memory, &map->nmemory, index);
    } else if (memory->base == stolen.base) {
        memory->base += nbytes;
        memory->nbytes -= nbytes;
    } else {
        memory->nbytes = stolen.base - memory->base;
        if (map_last(&stolen) < end) {
            struct cma_range rest = *memory;

            rest.base = stolen.base + nbytes;
            rest.nbytes = end - rest.base + 1;
            map_insert(map->memory, &map->nmemory, index + 1, &rest);
        }
    }
    map_insert(map->reserved, &map->nreserved,
               map_bisect(map->reserved, map->nreserved, stolen.base), &stolen);
    *base = stolen.base;
    return 0;
}

const struct cma_range *cma_map_memory(const struct cma_map *map, uint32_t index)
{
    return index < map->nmemory ? &map->memory[index] : NULL;
}

const struct cma_range *cma_map_reserved(const struct cma_map *map, uint32_t index)
{
    return index < map->nreserved ? &map->reserved[index] : NULL;
}

uint64_t cma_map_free_nbytes(const struct cma_map *map)
{
    struct cma_map_cursor cursor = {0, false};
    struct cma_range piece;
    uint64_t sum = 0;

    while (cma_map_next(map, &cursor, &piece)) {
        if (piece.kind == CMA_RANGE_MEMORY) {
            sum += piece.nbytes;
        }
    }
    return sum;
}

/* Sorted, disjoint, none empty or too long; `gap` is 1 where touching ranges must be merged. */
static bool map_check_order(const struct cma_range *ranges, uint32_t count, uint64_t gap)
{
    cma_paddr_t last, before = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (!ranges[i].name || !range_last(ranges[i].base, ranges[i].nbytes, &last)) {
            return false;
        }
        if (i > 0 && (ranges[i].base <= before || ranges[i].base - before <= gap)) {
            return false;
        }
        before = last;
    }
    return true;
}

bool cma_map_check(const struct cma_map *map)
{
    if (map->nmemory > map->max_memory || map->nreserved > map->max_reserved ||
        !map_check_order(map->memory, map->nmemory, 1) ||
        !map_check_order(map->reserved, map->nreserved, 0)) {
        return false;
    }
    for (uint32_t i = 0; i < map->nreserved; i++) {
        const struct cma_range *range = &map->reserved[i];
        enum cma_map_place place = cma_map_place(map, range->base, map_last(range));

        if (place == CMA_PLACE_PARTLY ||
            (range->kind == CMA_RANGE_AREA && place != CMA_PLACE_INSIDE) ||
            ((range->flags & CMA_RANGE_STOLEN) && place != CMA_PLACE_OUTSIDE)) {
            return false;
        }
    }
    return true;
}
