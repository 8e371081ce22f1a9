/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * draw_map.c - looks at each page of a machine, and keeps what a picture of it needs
 *
 * Only cma_frame_info is asked, which takes no lock: of a machine at work each page is a moment's
 * truth. Pages are counted one by one, so the counts of the legend are exact whatever a cell
 * stands for.
 */
#include "draw.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAP_ROWS_MAX 128u
#define MAP_COLUMNS_MAX 128u
#define MAP_COLUMNS_MIN 16u
#define MAP_PARTS_MAX 100000u

/* What a page is, and what its buffer. */
struct map_look {
    const struct draw_source *source;
    struct draw_map *map;
    cma_pfn_t claimed_end;       /* of the buffer that the last pages were in */
    uint64_t counts[DRAW_KINDS]; /* of the cell */
    int64_t carry[DRAW_KINDS];   /* pages that no cell has shown yet */
    uint64_t area_pages;         /* of the cell */
};

/* Text of a device tree may hold anything, and a font only what prints. */
static void map_text(char *to, size_t nbytes, const char *from)
{
    size_t i;

    for (i = 0; from[i] != '\0' && i + 1 < nbytes; i++)
        to[i] = from[i] >= 0x20 && from[i] < 0x7f ? from[i] : '?';
    to[i] = '\0';
}

/* The next of the ranges of RAM, whole pages only. */
static bool map_ram(const struct draw_source *source, uint32_t index, cma_pfn_t *first,
                    cma_pfn_t *end)
{
    const struct cma_range *range = cma_map_memory(source->map, index);
    uint64_t page = 1ull << source->page_shift;

    if (range == NULL)
        return false;
    *first = (range->base >> source->page_shift) + ((range->base & (page - 1)) != 0);
    *end = ((range->base + (range->nbytes - 1)) >> source->page_shift) +
           (((range->base + range->nbytes) & (page - 1)) == 0);
    if (*end < *first)
        *end = *first;
    return true;
}

/* How many rows all of it takes with cells and rows of this size. */
static uint64_t map_rows(const struct draw_source *source, uint64_t row_npages)
{
    cma_pfn_t first, end;
    uint64_t rows = 0;

    for (uint32_t i = 0; map_ram(source, i, &first, &end); i++)
        if (first != end)
            rows += (end - 1) / row_npages - first / row_npages + 1;
    return rows;
}

/* Large enough cells for one sheet; for little memory, fewer and larger ones. */
static int map_lay_out(struct draw_map *map, const struct draw_source *source)
{
    uint64_t rows;
    cma_pfn_t first, end;
    uint32_t nranges = 0;

    map->ncolumns = MAP_COLUMNS_MAX;
    map->cell_npages = 1;
    while (map->ncolumns > MAP_COLUMNS_MIN && map_rows(source, map->ncolumns) < map->ncolumns / 4)
        map->ncolumns /= 2;
    /* Each range takes one row at least, however long rows are. */
    while (map_rows(source, map->cell_npages * map->ncolumns) > MAP_ROWS_MAX &&
           map->cell_npages < 1ull << 32)
        map->cell_npages *= 2;
    while (map_ram(source, nranges, &first, &end))
        nranges++;
    map->bands = calloc(nranges + 1, sizeof(*map->bands));
    if (map->bands == NULL)
        return -1;
    for (uint32_t i = 0; i < nranges; i++) {
        uint64_t row_npages = map->cell_npages * map->ncolumns;

        map_ram(source, i, &first, &end);
        if (first == end)
            continue;
        rows = (end - 1) / row_npages - first / row_npages + 1;
        map->bands[map->nbands++] = (struct draw_band){
            .first = first,
            .end = end,
            .pfn = first / row_npages * row_npages,
            .row = map->nrows,
            .nrows = rows <= MAP_ROWS_MAX - map->nrows ? (uint32_t)rows : 0,
        };
        map->nrows += map->bands[map->nbands - 1].nrows;
    }
    map->cells = malloc((size_t)map->nrows * map->ncolumns + 1);
    if (map->cells == NULL)
        return -1;
    memset(map->cells, DRAW_CELL_EMPTY, (size_t)map->nrows * map->ncolumns);
    return 0;
}

bool draw_map_cell(const struct draw_map *map, cma_pfn_t pfn, uint32_t *row, uint32_t *column)
{
    for (uint32_t i = 0; i < map->nbands; i++) {
        const struct draw_band *band = &map->bands[i];
        uint64_t cell = pfn >= band->pfn ? (pfn - band->pfn) / map->cell_npages : UINT64_MAX;

        if (cell < (uint64_t)band->nrows * map->ncolumns) {
            *row = band->row + (uint32_t)(cell / map->ncolumns);
            *column = (uint32_t)(cell % map->ncolumns);
            return true;
        }
    }
    return false;
}

/* NULL: no memory, or so many of them that nobody could tell them apart. */
static struct draw_part *map_add_part(struct draw_map *map, enum draw_part_kind kind, cma_pfn_t pfn,
                                      uint64_t npages, const char *name)
{
    struct draw_part *part;

    if (map->nparts == map->max_parts) {
        uint32_t max = map->max_parts != 0 ? 2 * map->max_parts : 64;

        part = max <= MAP_PARTS_MAX ? realloc(map->parts, max * sizeof(*part)) : NULL;
        if (part == NULL)
            return NULL;
        map->parts = part;
        map->max_parts = max;
    }
    part = &map->parts[map->nparts++];
    *part = (struct draw_part){.kind = kind, .pfn = pfn, .npages = npages};
    map_text(part->name, sizeof(part->name), name);
    return part;
}

/* Areas, and what else the board has reserved in RAM, by the map's names. */
static int map_add_ranges(struct draw_map *map, const struct draw_source *source)
{
    const struct cma_range *range;
    uint64_t page = 1ull << source->page_shift;

    for (uint32_t i = 0; (range = cma_map_reserved(source->map, i)) != NULL; i++) {
        cma_pfn_t first = range->base >> source->page_shift;
        cma_paddr_t last = range->base + (range->nbytes - 1);
        cma_pfn_t end = (last >> source->page_shift) + 1;
        bool area = range->kind == CMA_RANGE_AREA;

        if (cma_map_place(source->map, range->base, last) != CMA_PLACE_INSIDE)
            continue;
        if (area) {
            first += (range->base & (page - 1)) != 0;
            end -= (last & (page - 1)) != page - 1;
        }
        if (end > first && map_add_part(map, area ? DRAW_PART_AREA : DRAW_PART_OTHER, first,
                                        end - first, range->name) == NULL)
            return -1;
        map->max_area_kinds += area && end > first ? end - first : 0;
    }
    map->area_kinds = malloc(map->max_area_kinds + 1);
    return map->area_kinds != NULL ? 0 : -1;
}

static struct draw_part *map_area_of(struct draw_map *map, cma_pfn_t pfn)
{
    for (uint32_t i = 0; i < map->nparts; i++)
        if (map->parts[i].kind == DRAW_PART_AREA && pfn >= map->parts[i].pfn &&
            pfn - map->parts[i].pfn < map->parts[i].npages)
            return &map->parts[i];
    return NULL;
}

static void map_buffer(struct map_look *look, cma_pfn_t pfn, const struct cma_frame_info *info)
{
    const struct draw_source *source = look->source;
    struct draw_map *map = look->map;
    const char *name =
        source->owner_name != NULL ? source->owner_name(source->ctx, info->cookie) : NULL;
    uint32_t number = 1, device = map->ndevices;
    struct draw_part *part;
    char text[32];

    snprintf(text, sizeof(text), "device %" PRIu32, info->cookie);
    look->claimed_end = pfn + info->npages;
    for (uint32_t i = 0; i < map->nparts; i++)
        if (map->parts[i].kind == DRAW_PART_BUFFER && map->parts[i].owner == info->cookie) {
            device = map->parts[i].device;
            number++;
        }
    part = map_add_part(map, DRAW_PART_BUFFER, pfn, info->npages, name != NULL ? name : text);
    if (part == NULL)
        return;
    part->owner = info->cookie;
    part->number = number;
    part->device = device;
    map->ndevices += device == map->ndevices;
}

static enum draw_kind map_kind(struct map_look *look, cma_pfn_t pfn, struct cma_frame_info *info)
{
    if (cma_frame_info(look->source->frames, pfn, info) != 0) {
        *info = (struct cma_frame_info){0};
        return DRAW_RESERVED;
    }
    if (info->idle)
        return DRAW_FREE;
    switch (info->kind) {
    case CMA_KIND_CLAIMED: map_buffer(look, pfn, info); return DRAW_BUFFER;
    case CMA_KIND_MOVABLE: return DRAW_KEPT;
    case CMA_KIND_DROPPABLE: return DRAW_DROPPABLE;
    case CMA_KIND_UNMOVABLE: return DRAW_UNMOVABLE;
    case CMA_KIND_RESERVED: return DRAW_RESERVED;
    case CMA_KIND_NONE: break;
    }
    if (pfn < look->claimed_end)
        return DRAW_BUFFER;
    return info->slot ? DRAW_FREE : DRAW_PASSING;
}

/* Slots side by side become one part: they were promised together as far as the eye is concerned.
 */
static void map_slot(struct map_look *look, cma_pfn_t pfn)
{
    struct draw_map *map = look->map;

    map->slot_pages++;
    for (uint32_t i = map->nparts; i-- > 0;)
        if (map->parts[i].kind == DRAW_PART_SLOT) {
            if (map->parts[i].pfn + map->parts[i].npages != pfn)
                break;
            map->parts[i].npages++;
            return;
        }
    map_add_part(map, DRAW_PART_SLOT, pfn, 1, "promised");
}

static void map_page(struct map_look *look, cma_pfn_t pfn)
{
    struct cma_frame_info info;
    enum draw_kind kind = map_kind(look, pfn, &info);
    struct draw_part *area = info.in_area ? map_area_of(look->map, pfn) : NULL;

    look->map->pages[info.in_area][kind]++;
    look->counts[kind]++;
    look->area_pages += info.in_area;
    if (area != NULL) {
        area->pages[kind]++;
        area->slot_pages += info.slot;
        if (look->map->narea_kinds < look->map->max_area_kinds)
            look->map->area_kinds[look->map->narea_kinds++] = (uint8_t)kind;
    }
    if (info.slot)
        map_slot(look, pfn);
}

/*
 * The colour of a cell whose pages differ. Whoever has most of each would win all of them: where
 * cache and programs lie mixed, one of the two would not be seen at all. So those who lose are
 * remembered, and win a cell in which they are when it is their turn: shares look as they are.
 */
static enum draw_kind map_choose(struct map_look *look, uint64_t npages)
{
    enum draw_kind most = DRAW_KINDS;

    for (int kind = 0; kind < DRAW_KINDS; kind++) {
        if (look->counts[kind] == 0)
            continue;
        look->carry[kind] += (int64_t)look->counts[kind];
        if (most == DRAW_KINDS || look->carry[kind] > look->carry[most])
            most = (enum draw_kind)kind;
    }
    look->carry[most] -= (int64_t)npages;
    return most;
}

static void map_band(struct map_look *look, const struct draw_band *band)
{
    struct draw_map *map = look->map;
    cma_pfn_t pfn = band->first;

    look->claimed_end = 0;
    memset(look->carry, 0, sizeof(look->carry));
    while (pfn < band->end) {
        uint64_t cell = (pfn - band->pfn) / map->cell_npages, npages = 0;
        enum draw_kind most;

        memset(look->counts, 0, sizeof(look->counts));
        look->area_pages = 0;
        for (; pfn < band->end && (pfn - band->pfn) / map->cell_npages == cell; pfn++, npages++)
            map_page(look, pfn);
        most = map_choose(look, npages);
        if (band->nrows != 0)
            map->cells[band->row * map->ncolumns + cell] =
                (uint8_t)(most | (2 * look->area_pages >= npages ? DRAW_CELL_AREA : 0));
    }
}

int draw_map_take(struct draw_map *map, const struct draw_source *source, const char *title,
                  const char *subtitle)
{
    struct map_look look = {.source = source, .map = map};

    *map = (struct draw_map){.page_shift = source->page_shift};
    map_text(map->title, sizeof(map->title), title);
    map_text(map->subtitle, sizeof(map->subtitle), subtitle);
    if (map_lay_out(map, source) != 0 || map_add_ranges(map, source) != 0) {
        draw_map_free(map);
        return -1;
    }
    for (uint32_t i = 0; i < map->nbands; i++)
        map_band(&look, &map->bands[i]);
    return 0;
}

void draw_map_compare(struct draw_map *map, const struct draw_map *before)
{
    map->compared = before->narea_kinds == map->narea_kinds;
    memset(map->taken, 0, sizeof(map->taken));
    for (uint64_t i = 0; map->compared && i < map->narea_kinds; i++)
        if (map->area_kinds[i] == DRAW_BUFFER)
            map->taken[before->area_kinds[i]]++;
}

void draw_map_free(struct draw_map *map)
{
    free(map->area_kinds);
    free(map->cells);
    free(map->bands);
    free(map->parts);
    *map = (struct draw_map){0};
}
