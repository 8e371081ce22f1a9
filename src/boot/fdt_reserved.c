/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fdt_reserved.c - /reserved-memory, /memreserve/ and the default area, placed as Linux places them
 *
 * Order decides who gets what, so it is Linux's:
 *     1. nodes with a place of their own (reg), in the tree's order
 *     2. /memreserve/
 *     3. nodes that only have a size: each in the highest free place of its alloc-ranges
 *     4. the default area, of cma= or built in, if no node is it
 * A refused node's memory is free in the end, but not before step 3 is over: Linux still holds it
 * then. An area that crosses a zone is even held until the zones exist, which is after step 4. Held
 * memory is in the map under a name of its own and dropped when its time has come.
 *
 * Where Linux goes on into harm we do not follow: of two nodes that overlap, the first keeps the
 * memory, and what a firmware's node has beside it stays reserved; an area, a restricted pool or a
 * mapped pool outside memory is refused; a range half outside is cut.
 */
#include "fdt.h"

#include "../base/range.h"
#include "map.h"

#include "../base/mem.h"

/* Private marks of a region that was refused: until when its memory is held. */
#define RESERVED_HELD (1u << 30)
#define RESERVED_HELD_ZONE (1u << 31)

/* The addresses of these names mark held memory. */
static const char reserved_held_name[] = "(held while others are placed)";
static const char reserved_zone_name[] = "(held until zones exist)";

/* What is needed at every step. */
struct reserved {
    struct cma_fdt *fdt;
    const struct cma_boot_rules *rules;
    const struct cma_boot_args *args;
    struct cma_map *map;
    const char *default_area; /* names of the nodes that are it; NULL: none yet */
    const char *default_pool;
};

static bool reserved_has(const struct reserved *res, const struct cma_fdt_region *region,
                         const char *name)
{
    uint32_t nbytes;

    return cma__fdt_property(res->fdt, region->node, name, &nbytes) != NULL;
}

static bool reserved_is(const struct reserved *res, const struct cma_fdt_region *region,
                        const char *compatible)
{
    return fdt_stringlist_search(res->fdt->dtb, (int)region->node, "compatible", compatible) >= 0;
}

/* Reports a problem of the region, with its place as the range. */
static struct cma_problem *reserved_report(struct reserved *res,
                                           const struct cma_fdt_region *region,
                                           const char *property, enum cma_problem_kind kind,
                                           struct cma_problem *spare)
{
    struct cma_problem *problem = cma__fdt_problem(res->fdt, spare, region->node, property, kind);

    problem->base = region->base;
    problem->nbytes = region->nbytes;
    return problem;
}

/* The same, and the region is refused. */
static struct cma_problem *reserved_refuse(struct reserved *res, struct cma_fdt_region *region,
                                           const char *property, enum cma_problem_kind kind,
                                           struct cma_problem *spare)
{
    region->state = CMA_FDT_REFUSED;
    return reserved_report(res, region, property, kind, spare);
}

/* ---- what a node is ------------------------------------------------------------------------ */

static void reserved_classify(const struct reserved *res, struct cma_fdt_region *region)
{
    bool no_map = reserved_has(res, region, "no-map");

    if (reserved_is(res, region, "shared-dma-pool")) {
        region->kind =
            reserved_has(res, region, "reusable") ? CMA_RANGE_AREA : CMA_RANGE_COHERENT_POOL;
        if (region->kind == CMA_RANGE_COHERENT_POOL && no_map) {
            region->flags |= CMA_RANGE_UNMAPPED;
        }
    } else if (reserved_is(res, region, "restricted-dma-pool")) {
        region->kind = CMA_RANGE_RESTRICTED_POOL;
    } else {
        region->kind = no_map ? CMA_RANGE_NO_MAP : CMA_RANGE_RESERVED;
    }
    if (!reserved_has(res, region, "reg")) {
        region->flags |= CMA_RANGE_DYNAMIC;
    }
}

/* Properties that exclude each other, whatever the place. True if the region may be made. */
static bool reserved_allowed(struct reserved *res, struct cma_fdt_region *region)
{
    static const char *const never[] = {"no-map", "reusable", "linux,cma-default",
                                        "linux,dma-default"};
    struct cma_problem spare;
    const char *property = NULL;
    enum cma_problem_kind kind = CMA_PROBLEM_NONE;

    if (region->kind == CMA_RANGE_AREA) {
        if (res->args->cma_given && reserved_has(res, region, "linux,cma-default")) {
            property = "linux,cma-default";
            kind = CMA_PROBLEM_BYPASSED;
        } else if (reserved_has(res, region, "no-map")) {
            property = "no-map";
            kind = CMA_PROBLEM_NO_MAP;
        }
    } else if (region->kind == CMA_RANGE_COHERENT_POOL) {
        if (res->rules->pool_needs_no_map && !(region->flags & CMA_RANGE_UNMAPPED)) {
            property = "no-map";
            kind = CMA_PROBLEM_NEEDS_NO_MAP;
        }
    } else if (region->kind == CMA_RANGE_RESTRICTED_POOL) {
        for (size_t i = 0; i < sizeof(never) / sizeof(never[0]) && !property; i++) {
            if (reserved_has(res, region, never[i])) {
                property = never[i];
                kind = CMA_PROBLEM_RESTRICTED;
            }
        }
    }
    if (property) {
        reserved_refuse(res, region, property, kind, &spare);
    }
    return property == NULL;
}

/* What an area's place must be. True if it is that. */
static bool reserved_area_fits(struct reserved *res, struct cma_fdt_region *region)
{
    bool dynamic = (region->flags & CMA_RANGE_DYNAMIC) != 0;
    cma_paddr_t last = region->base + (region->nbytes - 1);
    struct cma_problem spare;

    if (region->kind != CMA_RANGE_AREA) {
        return true;
    }
    if (!range_is_aligned(region->base | region->nbytes, res->rules->granule_nbytes)) {
        reserved_refuse(res, region, dynamic ? "size" : "reg", CMA_PROBLEM_GRANULE, &spare)->value =
            res->rules->granule_nbytes;
        region->flags |= RESERVED_HELD;
        return false;
    }
    for (int i = 0; i < CMA_ZONE_LIMITS; i++) {
        cma_paddr_t end = res->rules->zone_last[i];

        if (region->base <= end && last > end) {
            reserved_refuse(res, region, dynamic ? "size" : "reg", CMA_PROBLEM_ZONES, &spare)
                ->value = end;
            region->flags |= RESERVED_HELD_ZONE;
            if (!res->default_area && reserved_has(res, region, "linux,cma-default")) {
                res->default_area = cma__fdt_name(res->fdt, region->node);
            }
            return false;
        }
    }
    return true;
}

/* Where the default of the region's sort is remembered; NULL where it does not ask to be it. */
static const char **reserved_default_place(struct reserved *res,
                                           const struct cma_fdt_region *region)
{
    if (region->kind == CMA_RANGE_AREA) {
        return reserved_has(res, region, "linux,cma-default") ? &res->default_area : NULL;
    }
    if (region->kind == CMA_RANGE_COHERENT_POOL) {
        return reserved_has(res, region, "linux,dma-default") ? &res->default_pool : NULL;
    }
    return NULL;
}

/* The first default stays: which one would, differs between kernels. */
static void reserved_set_default(struct reserved *res, struct cma_fdt_region *region)
{
    const char **taken = reserved_default_place(res, region);
    struct cma_problem spare;

    if (taken && *taken) {
        reserved_report(res, region,
                        region->kind == CMA_RANGE_AREA ? "linux,cma-default" : "linux,dma-default",
                        CMA_PROBLEM_SECOND, &spare)
            ->other = *taken;
    } else if (taken) {
        *taken = cma__fdt_name(res->fdt, region->node);
        region->flags |= CMA_RANGE_DEFAULT;
    }
}

/* ---- putting ranges into the map ----------------------------------------------------------- */

static struct cma_range reserved_range(const struct reserved *res,
                                       const struct cma_fdt_region *region)
{
    struct cma_range range = {region->base,
                              region->nbytes,
                              region->kind,
                              region->flags & ~(RESERVED_HELD | RESERVED_HELD_ZONE),
                              cma__fdt_name(res->fdt, region->node),
                              region->node};

    return range;
}

/* Reserves what is free of the range's memory. Returns 0 or CMA_ENOMEM. */
static int reserved_rest(struct reserved *res, const struct cma_range *range)
{
    struct cma_map_cursor cursor = {range->base, false};
    cma_paddr_t last = range->base + (range->nbytes - 1);
    struct cma_range piece;
    int error = 0;

    while (!error && cma_map_next(res->map, &cursor, &piece) && piece.base <= last) {
        struct cma_range part = *range;
        cma_paddr_t end = piece.base + (piece.nbytes - 1);

        if (piece.kind == CMA_RANGE_MEMORY) {
            part.base = piece.base;
            part.nbytes = (end < last ? end : last) - piece.base + 1;
            error = cma_map_reserve(res->map, &part, NULL);
        }
    }
    return error;
}

/* The same for a region that can't have all of its range: what it has left is not for anybody. */
static int reserved_keep_rest(struct reserved *res, struct cma_fdt_region *region)
{
    struct cma_range range = reserved_range(res, region);

    range.kind = reserved_has(res, region, "no-map") ? CMA_RANGE_NO_MAP : CMA_RANGE_RESERVED;
    range.flags = 0;
    return reserved_rest(res, &range);
}

/* The region that a range of the map belongs to, NULL when it is no node's. */
static struct cma_fdt_region *reserved_of(struct reserved *res, const struct cma_range *range)
{
    uint32_t index = cma__fdt_index(res->fdt, range->id);

    if (index == CMA_NODE_NONE || !res->fdt->nodes[index].region) {
        return NULL;
    }
    return &res->fdt->regions[res->fdt->nodes[index].region - 1];
}

/* The first range that would not give way to an area at [base, last]; NULL when all of them are
 * no-map nodes inside it. Asked before any of them is taken out, for an area that is refused in the
 * end must not have freed what firmware keeps. */
static const struct cma_range *reserved_obstacle(struct reserved *res, cma_paddr_t base,
                                                 cma_paddr_t last)
{
    const struct cma_range *range;

    for (uint32_t i = 0; (range = cma_map_reserved(res->map, i)) != NULL; i++) {
        cma_paddr_t range_end = range->base + (range->nbytes - 1);
        bool no_map = range->kind == CMA_RANGE_NO_MAP || (range->flags & CMA_RANGE_UNMAPPED);

        if (range_overlaps(base, last, range->base, range_end) &&
            !(no_map && range_contains(base, last, range->base, range_end) &&
              reserved_of(res, range))) {
            return range;
        }
    }
    return NULL;
}

/* Two want the same memory. True if `taken` gave way and the region may try again. */
static bool reserved_settle(struct reserved *res, struct cma_fdt_region *region,
                            const struct cma_range *taken)
{
    cma_paddr_t last = region->base + (region->nbytes - 1);
    cma_paddr_t taken_last = taken->base + (taken->nbytes - 1);
    bool area = region->kind == CMA_RANGE_AREA;
    const struct cma_range *obstacle = area ? reserved_obstacle(res, region->base, last) : taken;
    struct cma_fdt_region *other;
    struct cma_problem spare;

    if (!obstacle) {
        other = reserved_of(res, taken);
        reserved_refuse(res, other, "reg", CMA_PROBLEM_IN_AREA, &spare)->other =
            cma__fdt_name(res->fdt, region->node);
        if (other->flags & CMA_RANGE_DEFAULT) {
            other->flags &= ~CMA_RANGE_DEFAULT; /* only a pool can be both no-map and a default */
            res->default_pool = NULL;
        }
        return cma_map_unreserve(res->map, taken->base) == 0;
    }
    if (reserved_has(res, region, "no-map") && taken->kind == CMA_RANGE_AREA &&
        range_contains(taken->base, taken_last, region->base, last)) {
        reserved_refuse(res, region, "reg", CMA_PROBLEM_IN_AREA, &spare)->other = taken->name;
        return false;
    }
    reserved_refuse(res, region, "reg", CMA_PROBLEM_OVERLAP, &spare)->other = obstacle->name;
    if (area) {
        region->flags |= RESERVED_HELD;
    }
    return false;
}

/* True if the region must lie in memory to be of use. */
static bool reserved_needs_memory(const struct cma_fdt_region *region)
{
    return region->kind == CMA_RANGE_AREA || region->kind == CMA_RANGE_RESTRICTED_POOL ||
           (region->kind == CMA_RANGE_COHERENT_POOL && !(region->flags & CMA_RANGE_UNMAPPED));
}

/* Puts a region with a place into the map, or what can be kept of it. */
static int reserved_place(struct reserved *res, struct cma_fdt_region *region)
{
    cma_paddr_t last = region->base + (region->nbytes - 1);
    enum cma_map_place place = cma_map_place(res->map, region->base, last);
    const char **standing = reserved_default_place(res, region);
    struct cma_range taken = {0};
    struct cma_problem spare;
    int error;

    if (place != CMA_PLACE_INSIDE && reserved_needs_memory(region)) {
        reserved_refuse(res, region, "reg",
                        place == CMA_PLACE_OUTSIDE ? CMA_PROBLEM_OUTSIDE : CMA_PROBLEM_PARTLY,
                        &spare);
        region->flags |= RESERVED_HELD;
        return 0;
    }
    if (place == CMA_PLACE_PARTLY) {
        reserved_report(res, region, "reg", CMA_PROBLEM_PARTLY, &spare);
        region->state = CMA_FDT_MADE;
        return reserved_keep_rest(res, region);
    }
    do {
        struct cma_range range = reserved_range(res, region);

        /* The map keeps a copy: it must be told now what the region becomes once it is made. */
        range.flags |= standing && !*standing ? CMA_RANGE_DEFAULT : 0;
        error = cma_map_reserve(res->map, &range, &taken);
    } while (error == CMA_EEXIST && reserved_settle(res, region, &taken));
    if (error == CMA_EEXIST) {
        return region->flags & RESERVED_HELD ? 0 : reserved_keep_rest(res, region);
    }
    region->state = CMA_FDT_MADE;
    return error;
}

/* ---- nodes with a place -------------------------------------------------------------------- */

/* Reads an entry of reg. False when it is none. */
static bool reserved_read_entry(struct reserved *res, struct cma_fdt_region *region,
                                const uint8_t *entry)
{
    const struct cma_fdt_node *root = &res->fdt->nodes[0];
    struct cma_problem spare;
    uint64_t last;

    region->base = cma__fdt_cells(entry, root->naddress);
    region->nbytes = cma__fdt_cells(entry + (size_t)root->naddress * 4, root->nsize);
    if (!range_last(region->base, region->nbytes, &last)) {
        reserved_refuse(res, region, "reg",
                        region->nbytes == 0 ? CMA_PROBLEM_ZERO : CMA_PROBLEM_OVERFLOW, &spare);
        return false;
    }
    return true;
}

/* A node with reg. Its first entry is what the node is; the others are only kept from use. */
static int reserved_fixed(struct reserved *res, struct cma_fdt_region *region)
{
    const struct cma_fdt_node *root = &res->fdt->nodes[0];
    uint32_t entry_nbytes = (uint32_t)(root->naddress + root->nsize) * 4;
    uint32_t nbytes;
    const uint8_t *reg = cma__fdt_property(res->fdt, region->node, "reg", &nbytes);
    struct cma_problem spare;
    int error = 0;

    if (nbytes == 0 || nbytes % entry_nbytes != 0) {
        reserved_refuse(res, region, "reg", CMA_PROBLEM_LENGTH, &spare)->value = nbytes;
        return 0;
    }
    if (reserved_read_entry(res, region, reg)) {
        if (!reserved_allowed(res, region)) {
            region->flags |= RESERVED_HELD;
        } else if (reserved_area_fits(res, region)) {
            error = reserved_place(res, region);
            if (region->state == CMA_FDT_MADE) {
                reserved_set_default(res, region);
            }
        }
    }
    for (uint32_t at = entry_nbytes; at < nbytes && !error; at += entry_nbytes) {
        struct cma_fdt_region more = *region;

        more.kind = reserved_has(res, region, "no-map") ? CMA_RANGE_NO_MAP : CMA_RANGE_RESERVED;
        more.flags = 0;
        if (reserved_read_entry(res, &more, reg + at)) {
            error = reserved_place(res, &more);
        }
    }
    return error;
}

/* ---- /memreserve/ -------------------------------------------------------------------------- */

/* An area or a mapped pool that has some of it goes on, as in Linux, but it is worth a word. */
static void reserved_warn(struct reserved *res, cma_paddr_t base, cma_paddr_t last)
{
    struct cma_map_cursor cursor = {base, false};
    struct cma_range piece;

    while (cma_map_next(res->map, &cursor, &piece) && piece.base <= last) {
        cma_paddr_t end = piece.base + (piece.nbytes - 1);
        struct cma_problem spare, *problem;

        if (piece.kind != CMA_RANGE_AREA && piece.kind != CMA_RANGE_RESTRICTED_POOL) {
            continue;
        }
        problem = cma__fdt_problem(res->fdt, &spare, piece.id, "reg", CMA_PROBLEM_MEMRESERVE);
        problem->base = piece.base > base ? piece.base : base;
        problem->nbytes = (end < last ? end : last) - problem->base + 1;
    }
}

static int reserved_memreserve(struct reserved *res)
{
    int count = fdt_num_mem_rsv(res->fdt->dtb);
    int error = 0;

    for (int i = 0; i < count && !error; i++) {
        struct cma_range range = {0, 0, CMA_RANGE_RESERVED, 0, "/memreserve/", CMA_NODE_NONE};
        struct cma_problem spare, *problem;
        uint64_t base, nbytes;
        cma_paddr_t last;

        if (fdt_get_mem_rsv(res->fdt->dtb, i, &base, &nbytes) != 0 || nbytes == 0) {
            continue;
        }
        if (!range_last(base, nbytes, &last)) {
            problem = cma__fdt_problem(res->fdt, &spare, CMA_NODE_NONE, "/memreserve/",
                                       CMA_PROBLEM_OVERFLOW);
            problem->base = base;
            problem->nbytes = nbytes;
            continue;
        }
        range.base = base;
        range.nbytes = nbytes;
        reserved_warn(res, base, last);
        error = reserved_rest(res, &range);
    }
    return error;
}

/* ---- nodes that only have a size ----------------------------------------------------------- */

/* Reads size and alignment. False when the node is refused. */
static bool reserved_read_size(struct reserved *res, struct cma_fdt_region *region)
{
    const struct cma_fdt_node *root = &res->fdt->nodes[0];
    struct cma_problem spare;
    uint32_t nbytes;
    const void *bytes = cma__fdt_property(res->fdt, region->node, "size", &nbytes);

    if (nbytes != root->nsize * 4u) {
        reserved_refuse(res, region, "size", CMA_PROBLEM_LENGTH, &spare)->value = nbytes;
        return false;
    }
    region->nbytes = cma__fdt_cells(bytes, root->nsize);
    if (region->nbytes == 0) {
        reserved_refuse(res, region, "size", CMA_PROBLEM_ZERO, &spare);
        return false;
    }
    bytes = cma__fdt_property(res->fdt, region->node, "alignment", &nbytes);
    if (bytes) {
        if (nbytes != root->naddress * 4u) {
            reserved_refuse(res, region, "alignment", CMA_PROBLEM_LENGTH, &spare)->value = nbytes;
            return false;
        }
        region->align_nbytes = cma__fdt_cells(bytes, root->naddress);
    }
    if (region->align_nbytes == 0) {
        region->align_nbytes = res->rules->align_nbytes;
    }
    if (!range_is_power_of_two(region->align_nbytes)) {
        reserved_refuse(res, region, "alignment", CMA_PROBLEM_ALIGNMENT, &spare)->value =
            region->align_nbytes;
        return false;
    }
    if (region->kind == CMA_RANGE_AREA && region->align_nbytes < res->rules->granule_nbytes) {
        region->align_nbytes = res->rules->granule_nbytes;
    }
    return true;
}

/* The highest place in one window; never the first page of all. */
static bool reserved_find_in(const struct reserved *res, struct cma_fdt_region *region,
                             cma_paddr_t first, cma_paddr_t last)
{
    if (first < res->rules->page_nbytes) {
        first = res->rules->page_nbytes;
    }
    return first <= last && cma_map_find(res->map, region->nbytes, region->align_nbytes, first,
                                         last, false, &region->base) == 0;
}

int cma_fdt_alloc_range(const struct cma_fdt *fdt, const struct cma_fdt_region *region,
                        uint32_t index, cma_paddr_t *base, uint64_t *nbytes)
{
    const struct cma_fdt_node *root = &fdt->nodes[0];
    uint32_t entry_nbytes = (uint32_t)(root->naddress + root->nsize) * 4;
    uint32_t length;
    const uint8_t *ranges = cma__fdt_property(fdt, region->node, "alloc-ranges", &length);

    if (!ranges || entry_nbytes == 0 || index >= length / entry_nbytes) {
        return CMA_ENOENT;
    }
    ranges += (size_t)index * entry_nbytes;
    *base = cma__fdt_cells(ranges, root->naddress);
    *nbytes = cma__fdt_cells(ranges + (size_t)root->naddress * 4, root->nsize);
    return 0;
}

/* Finds the region's place. False when there is none. */
static bool reserved_find(struct reserved *res, struct cma_fdt_region *region)
{
    const struct cma_fdt_node *root = &res->fdt->nodes[0];
    uint32_t entry_nbytes = (uint32_t)(root->naddress + root->nsize) * 4;
    struct cma_problem spare, *problem;
    uint32_t length;
    bool limited = cma__fdt_property(res->fdt, region->node, "alloc-ranges", &length) != NULL;
    cma_paddr_t first, last;
    uint64_t nbytes;

    if (limited && length % entry_nbytes != 0) {
        reserved_refuse(res, region, "alloc-ranges", CMA_PROBLEM_LENGTH, &spare)->value = length;
        return false;
    }
    for (uint32_t i = 0; limited && cma_fdt_alloc_range(res->fdt, region, i, &first, &nbytes) == 0;
         i++) {
        if (nbytes != 0 && !range_last(first, nbytes, &last)) {
            problem = reserved_report(res, region, "alloc-ranges", CMA_PROBLEM_OVERFLOW, &spare);
            problem->base = first;
            problem->nbytes = nbytes;
        } else if (nbytes != 0 && reserved_find_in(res, region, first, last)) {
            return true;
        }
    }
    if (!limited && reserved_find_in(res, region, 0, CMA_PADDR_MAX)) {
        return true;
    }
    reserved_refuse(res, region, limited ? "alloc-ranges" : "size", CMA_PROBLEM_NO_ROOM, &spare)
        ->value = region->align_nbytes;
    return false;
}

static int reserved_dynamic(struct reserved *res, struct cma_fdt_region *region)
{
    struct cma_range range;
    int error;

    if (!reserved_read_size(res, region) || !reserved_allowed(res, region) ||
        !reserved_find(res, region)) {
        return 0;
    }
    if (!reserved_area_fits(res, region)) {
        range = reserved_range(res, region);
        range.kind = CMA_RANGE_RESERVED;
        range.name = reserved_zone_name;
        return region->flags & RESERVED_HELD_ZONE ? reserved_rest(res, &range) : 0;
    }
    reserved_set_default(res, region);
    range = reserved_range(res, region);
    error = cma_map_reserve(res->map, &range, NULL);
    region->state = CMA_FDT_MADE;
    return error;
}

/* ---- all of it ----------------------------------------------------------------------------- */

/* True if /reserved-memory itself can be read. Linux takes it whole or not at all. */
static bool reserved_readable(struct reserved *res)
{
    const struct cma_fdt_node *root = &res->fdt->nodes[0];
    const struct cma_fdt_node *node = &res->fdt->nodes[res->fdt->reserved_memory];
    static const char *const names[2] = {"#address-cells", "#size-cells"};
    const uint8_t wanted[2] = {root->naddress, root->nsize};
    struct cma_problem spare;
    uint32_t nbytes;
    bool readable = true;

    for (int i = 0; i < 2; i++) {
        const void *bytes = cma__fdt_property(res->fdt, node->offset, names[i], &nbytes);
        uint64_t value = bytes && nbytes == 4 ? cma__fdt_cells(bytes, 1) : UINT64_MAX;

        if (value != wanted[i]) {
            cma__fdt_problem(res->fdt, &spare, node->offset, names[i], CMA_PROBLEM_ROOT_CELLS)
                ->value = value;
            readable = false;
        } else if (value == 0) {
            cma__fdt_problem(res->fdt, &spare, 0, names[i], CMA_PROBLEM_CELLS);
            readable = false;
        }
    }
    if (!cma__fdt_property(res->fdt, node->offset, "ranges", &nbytes)) {
        cma__fdt_problem(res->fdt, &spare, node->offset, "ranges", CMA_PROBLEM_NO_RANGES);
        readable = false;
    }
    return readable;
}

/* A record for each child; the children of children are nobody's. */
static void reserved_list(struct reserved *res)
{
    struct cma_fdt *fdt = res->fdt;

    fdt->nregions = 0;
    for (uint32_t i = fdt->reserved_memory + 1; i < fdt->nnodes && fdt->nodes[i].depth > 1; i++) {
        struct cma_fdt_region *region = &fdt->regions[fdt->nregions];

        if (fdt->nodes[i].depth != 2) {
            continue;
        }
        memset(region, 0, sizeof(*region));
        region->node = fdt->nodes[i].offset;
        reserved_classify(res, region);
        fdt->nodes[i].region = ++fdt->nregions;
    }
}

/* Holds what refused regions with a place had, as far as nobody else has it. */
static int reserved_hold(struct reserved *res)
{
    int error = 0;

    for (uint32_t i = 0; i < res->fdt->nregions && !error; i++) {
        const struct cma_fdt_region *region = &res->fdt->regions[i];
        struct cma_range range = reserved_range(res, region);

        if (region->state == CMA_FDT_REFUSED &&
            (region->flags & (RESERVED_HELD | RESERVED_HELD_ZONE))) {
            range.kind = CMA_RANGE_RESERVED;
            range.name = region->flags & RESERVED_HELD ? reserved_held_name : reserved_zone_name;
            error = reserved_rest(res, &range);
        }
    }
    return error;
}

/* One pass over the enabled nodes: those with a place, or those without. */
static int reserved_pass(struct reserved *res, bool dynamic)
{
    struct cma_fdt *fdt = res->fdt;
    uint32_t i = fdt->reserved_memory + 1;
    int error = 0;

    for (; i < fdt->nnodes && fdt->nodes[i].depth > 1 && !error; i++) {
        struct cma_fdt_region *region;

        if (!fdt->nodes[i].region || !(fdt->nodes[i].flags & FDT_NODE_OKAY)) {
            continue;
        }
        region = &fdt->regions[fdt->nodes[i].region - 1];
        if (!dynamic && !(region->flags & CMA_RANGE_DYNAMIC)) {
            error = reserved_fixed(res, region);
        } else if (dynamic && (region->flags & CMA_RANGE_DYNAMIC) &&
                   reserved_has(res, region, "size")) {
            error = reserved_dynamic(res, region);
        }
    }
    return error;
}

int cma_fdt_reserve(struct cma_fdt *fdt, const struct cma_boot_rules *rules,
                    const struct cma_boot_args *args, uint64_t builtin_nbytes, struct cma_map *map)
{
    struct reserved res = {fdt, rules, args, map, NULL, NULL};
    bool readable = false;
    int error = 0;

    if (fdt->reserved_memory != CMA_NODE_NONE) {
        reserved_list(&res);
        readable = reserved_readable(&res);
    }
    if (readable) {
        error = reserved_pass(&res, false);
    }
    if (!error) {
        error = reserved_memreserve(&res);
    }
    if (!error) {
        error = reserved_hold(&res);
    }
    if (!error && readable) {
        error = reserved_pass(&res, true);
    }
    cma__map_drop(map, reserved_held_name);
    memset(&fdt->default_area, 0, sizeof(fdt->default_area));
    if (!error && !res.default_area) {
        error = cma_boot_default_area(map, rules, args, builtin_nbytes, &fdt->problems,
                                      &fdt->default_area);
    }
    cma__map_drop(map, reserved_zone_name);
    for (uint32_t i = 0; i < fdt->nregions; i++) {
        fdt->regions[i].flags &= ~(RESERVED_HELD | RESERVED_HELD_ZONE);
    }
    return error;
}
