/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * draw_paint.c - a map of memory on paper: grid, frames, names at the right, legend below
 */
#include "draw.h"
#include "draw_cairo.h"

#include <cairo/cairo-svg.h>
#include <errno.h>
#include <fontconfig/fontconfig.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define PAINT_LEFT 118.0 /* addresses */
#define PAINT_TOP 96.0   /* title */
#define PAINT_GRID 768.0 /* width of the grid */
#define PAINT_RIGHT 330.0
#define PAINT_CELL_MAX 24.0
#define PAINT_LINE 17.0
#define PAINT_TALL 18.0 /* rows of areas, as long as they leave room */
#define PAINT_HEIGHT 960.0
#define PAINT_ROWS_MAX 128
#define PAINT_NOTES_MAX 10

#define PAINT_INK 0x222222u
#define PAINT_FAINT 0x767676u
#define PAINT_SLOT 0x00694cu

struct paint {
    cairo_t *cairo;
    const struct draw_map *map;
    double cell;                     /* width; height of most rows */
    double tops[PAINT_ROWS_MAX + 1]; /* of rows, and the last one's bottom */
    double notes_bottom;             /* where the names at the right end */
};

static const struct {
    uint32_t vivid, pale;
    const char *words;
} paint_kinds[DRAW_KINDS] = {
    [DRAW_BUFFER] = {0x5e1146, 0x5e1146,
                     "a device's buffer, or a plane of one: numbered, in one piece"},
    [DRAW_DROPPABLE] = {0x56b4e9, 0xc4e3f7, "page cache: dropped when a device asks, disk has it"},
    [DRAW_KEPT] = {0xd55e00, 0xefb58d, "programs' data: carried elsewhere when a device asks"},
    [DRAW_FREE] = {0xffffff, 0xffffff, "free: nobody's"},
    [DRAW_UNMOVABLE] = {0x555555, 0x999999, "stays where it is until its owner frees it"},
    [DRAW_PASSING] = {0xf0e442, 0xfbf8c8, "changing hands at this moment"},
    [DRAW_RESERVED] = {0xb4b4b4, 0xb4b4b4, "the board's own: firmware, pools; never lent"},
};

uint32_t draw_colour(enum draw_kind kind, bool in_area)
{
    return in_area ? paint_kinds[kind].vivid : paint_kinds[kind].pale;
}

/* --- words --------------------------------------------------------------------------------------
 */

void draw_size(const struct draw_map *map, uint64_t npages, char text[32])
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
    double size = ldexp((double)npages, (int)map->page_shift - 10);
    int unit = 0;

    for (; size >= 1024 && unit < 3; unit++)
        size /= 1024;
    if (npages == 0)
        snprintf(text, 32, "none");
    else
        snprintf(text, 32, size == floor(size) ? "%.0f %s" : "%.2f %s", size, units[unit]);
}

void draw_legend(const struct draw_map *map, enum draw_kind kind, char text[DRAW_TEXT])
{
    uint64_t inside = map->pages[true][kind], outside = map->pages[false][kind];

    snprintf(text, DRAW_TEXT, "%" PRIu64 " pages in areas, %" PRIu64 " elsewhere: %s", inside,
             outside, paint_kinds[kind].words);
}

static uint64_t paint_sum(const uint64_t pages[DRAW_KINDS])
{
    uint64_t sum = 0;

    for (int kind = 0; kind < DRAW_KINDS; kind++)
        sum += pages[kind];
    return sum;
}

void draw_sentence(const struct draw_map *map, char text[DRAW_TEXT])
{
    const uint64_t *pages = map->pages[true];
    uint64_t all = paint_sum(pages);
    char kept[32], taken[32], lent[32], empty[32], cache[32], programs[32], from[60] = "";

    draw_size(map, all, kept);
    draw_size(map, pages[DRAW_BUFFER], taken);
    draw_size(map, pages[DRAW_DROPPABLE] + pages[DRAW_KEPT], lent);
    draw_size(map, map->taken[DRAW_DROPPABLE], cache);
    draw_size(map, map->taken[DRAW_KEPT], programs);
    if (map->compared && pages[DRAW_BUFFER] != 0)
        snprintf(from, sizeof(from), " (before: page cache %.12s, programs %.12s)", cache,
                 programs);
    draw_size(map, all - pages[DRAW_BUFFER] - pages[DRAW_DROPPABLE] - pages[DRAW_KEPT], empty);
    snprintf(
        text, DRAW_TEXT,
        "%.20s are kept for devices (framed). In devices' hands: %.20s%s; lent to others' data: "
        "%.20s; empty: %.20s.",
        kept, taken, from, lent, empty);
}

/* --- paper --------------------------------------------------------------------------------------
 */

static void paint_source(struct paint *paint, uint32_t colour)
{
    cairo_set_source_rgb(paint->cairo, (colour >> 16 & 255) / 255.0, (colour >> 8 & 255) / 255.0,
                         (colour & 255) / 255.0);
}

static void paint_font(struct paint *paint, double size, bool bold)
{
    cairo_select_font_face(paint->cairo, "DejaVu Sans", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(paint->cairo, size);
}

/* `right`: the text ends at x. Cut off with dots where it would be wider than `width`. */
static void paint_text(struct paint *paint, double x, double y, double width, bool right,
                       const char *text)
{
    cairo_text_extents_t extents;
    char cut[DRAW_TEXT + 4];
    size_t length = strlen(text);

    if (length > DRAW_TEXT - 1)
        length = DRAW_TEXT - 1;
    memcpy(cut, text, length);
    cut[length] = '\0';
    cairo_text_extents(paint->cairo, cut, &extents);
    while (extents.x_advance > width && length > 1) {
        memcpy(cut + --length, "...", 4);
        cairo_text_extents(paint->cairo, cut, &extents);
    }
    cairo_move_to(paint->cairo, right ? x - extents.x_advance : x, y);
    cairo_show_text(paint->cairo, cut);
}

static double paint_x(const struct paint *paint, uint32_t column)
{
    return PAINT_LEFT + column * paint->cell;
}

static double paint_y(const struct paint *paint, uint32_t row)
{
    return paint->tops[row];
}

/* Is a part of an area in this row? */
static bool paint_is_tall(const struct draw_map *map, uint32_t row)
{
    for (uint32_t column = 0; column < map->ncolumns; column++)
        if ((map->cells[(size_t)row * map->ncolumns + column] &
             (DRAW_CELL_AREA | DRAW_CELL_EMPTY)) == DRAW_CELL_AREA)
            return true;
    return false;
}

static struct paint paint_begin(const struct draw_map *map)
{
    struct paint paint = {.map = map, .cell = PAINT_GRID / map->ncolumns};
    double tall = PAINT_TALL, left = PAINT_HEIGHT, top = PAINT_TOP;
    uint32_t ntall = 0;

    for (uint32_t row = 0; row < map->nrows; row++)
        ntall += paint_is_tall(map, row);
    if (paint.cell > PAINT_CELL_MAX)
        paint.cell = PAINT_CELL_MAX;
    left -= (map->nrows - ntall) * paint.cell;
    if (ntall != 0 && left / ntall < tall)
        tall = floor(left / ntall);
    if (tall < paint.cell)
        tall = paint.cell;
    for (uint32_t row = 0; row < map->nrows; row++) {
        paint.tops[row] = top;
        top += paint_is_tall(map, row) ? tall : paint.cell;
    }
    paint.tops[map->nrows] = top;
    return paint;
}

void draw_map_place(const struct draw_map *map, uint32_t row, uint32_t column, double *x, double *y)
{
    struct paint paint = paint_begin(map);

    *x = PAINT_LEFT + (column + 0.5) * paint.cell;
    *y = (paint.tops[row] + paint.tops[row + 1]) / 2;
}

/* The outline of a run of pages: rows are lines of text, so it may begin and end inside one.
 * Returns false when it is not on the sheet. */
static bool paint_outline(struct paint *paint, cma_pfn_t pfn, uint64_t npages, double inset)
{
    cairo_t *cairo = paint->cairo;
    uint32_t row, column, last_row, last_column;
    double left, right, top, bottom, all_left, all_right;

    if (!draw_map_cell(paint->map, pfn, &row, &column) ||
        !draw_map_cell(paint->map, pfn + (npages - 1), &last_row, &last_column))
        return false;
    left = paint_x(paint, column) + inset;
    right = paint_x(paint, last_column + 1) - inset;
    top = paint_y(paint, row) + inset;
    bottom = paint_y(paint, last_row + 1) - inset;
    all_left = paint_x(paint, 0) + inset;
    all_right = paint_x(paint, paint->map->ncolumns) - inset;
    if (row == last_row || (column == 0 && last_column + 1 == paint->map->ncolumns)) {
        cairo_rectangle(cairo, left, top, right - left, bottom - top);
        return true;
    }
    if (last_row == row + 1 && last_column < column) {
        cairo_rectangle(cairo, left, top, all_right - left, paint_y(paint, row + 1) - top - inset);
        top = paint_y(paint, last_row) + inset;
        cairo_rectangle(cairo, all_left, top, right - all_left, bottom - top);
        return true;
    }
    cairo_move_to(cairo, left, top);
    cairo_line_to(cairo, all_right, top);
    cairo_line_to(cairo, all_right, paint_y(paint, last_row) - inset);
    cairo_line_to(cairo, right, paint_y(paint, last_row) - inset);
    cairo_line_to(cairo, right, bottom);
    cairo_line_to(cairo, all_left, bottom);
    cairo_line_to(cairo, all_left, paint_y(paint, row + 1) + inset);
    cairo_line_to(cairo, left, paint_y(paint, row + 1) + inset);
    cairo_close_path(cairo);
    return true;
}

/* --- the grid -----------------------------------------------------------------------------------
 */

/* All cells of one colour are one path: runs of equal cells are one rectangle. */
static void paint_cells(struct paint *paint, uint8_t what)
{
    const struct draw_map *map = paint->map;

    for (uint32_t row = 0; row < map->nrows; row++)
        for (uint32_t column = 0, end; column < map->ncolumns; column = end) {
            const uint8_t *cells = map->cells + (size_t)row * map->ncolumns;

            for (end = column + 1; end < map->ncolumns && cells[end] == cells[column]; end++)
                ;
            if (cells[column] == what)
                cairo_rectangle(paint->cairo, paint_x(paint, column), paint_y(paint, row),
                                (end - column) * paint->cell,
                                paint_y(paint, row + 1) - paint_y(paint, row));
        }
    cairo_fill(paint->cairo);
}

/* Pale lines between pages, so that they can be counted. */
static void paint_lines(struct paint *paint)
{
    const struct draw_map *map = paint->map;

    cairo_set_source_rgba(paint->cairo, 1, 1, 1, 0.45);
    cairo_set_line_width(paint->cairo, 0.6);
    for (uint32_t row = 0; row <= map->nrows; row++) {
        cairo_move_to(paint->cairo, paint_x(paint, 0), paint_y(paint, row));
        cairo_line_to(paint->cairo, paint_x(paint, map->ncolumns), paint_y(paint, row));
    }
    for (uint32_t column = 0; column <= map->ncolumns; column++) {
        cairo_move_to(paint->cairo, paint_x(paint, column), paint_y(paint, 0));
        cairo_line_to(paint->cairo, paint_x(paint, column), paint_y(paint, map->nrows));
    }
    cairo_stroke(paint->cairo);
}

/* Each band is framed thinly; addresses at its first row and at every eighth. */
static void paint_bands(struct paint *paint)
{
    const struct draw_map *map = paint->map;
    uint32_t step = 1;
    double free_from = 0;

    while (step * paint->cell < 2.5 * PAINT_LINE)
        step *= 2;
    for (uint32_t i = 0; i < map->nbands; i++) {
        const struct draw_band *band = &map->bands[i];

        if (band->nrows == 0)
            continue;
        paint_source(paint, PAINT_FAINT);
        cairo_set_line_width(paint->cairo, 0.8);
        paint_outline(paint, band->first, band->end - band->first, 0);
        cairo_stroke(paint->cairo);
        paint_font(paint, 11, false);
        for (uint32_t row = 0; row < band->nrows; row += step) {
            double y = paint_y(paint, band->row + row) + 9;
            char text[32];

            if (y - 11 < free_from)
                continue;
            free_from = y;
            snprintf(text, sizeof(text), "0x%08" PRIx64,
                     (band->pfn + row * map->cell_npages * map->ncolumns) << map->page_shift);
            paint_text(paint, PAINT_LEFT - 10, y, PAINT_LEFT - 14, true, text);
        }
    }
}

/* Where a run of pages is on the sheet, roughly in the middle of its longest row. */
static bool paint_middle(const struct paint *paint, const struct draw_part *part, double *x,
                         double *y, double *width)
{
    uint32_t row, column, last_row, last_column, ncolumns = paint->map->ncolumns;

    if (!draw_map_cell(paint->map, part->pfn, &row, &column) ||
        !draw_map_cell(paint->map, part->pfn + (part->npages - 1), &last_row, &last_column))
        return false;
    if (last_row > row + 1) {
        row += 1 + (last_row - row - 1) / 2;
        column = 0;
        last_column = ncolumns - 1;
    } else if (last_row == row + 1 && ncolumns - column >= last_column + 1) {
        last_column = ncolumns - 1;
    } else if (last_row == row + 1) {
        row = last_row;
        column = 0;
    }
    *width = (last_column + 1 - column) * paint->cell;
    *x = paint_x(paint, column) + *width / 2;
    *y = (paint_y(paint, row) + paint_y(paint, row + 1)) / 2;
    return true;
}

/* Devices have letters where there are several: "A", "B", ... */
static const char *paint_letter(const struct draw_map *map, const struct draw_part *part)
{
    static const char letters[] = "A\0B\0C\0D\0E\0F\0G\0H\0I\0J\0K\0L\0M\0N\0O\0P";

    return map->ndevices < 2 || part->device >= sizeof(letters) / 2 ? ""
                                                                    : letters + 2 * part->device;
}

static void paint_buffer(struct paint *paint, const struct draw_part *part)
{
    if (!paint_outline(paint, part->pfn, part->npages, 0.6))
        return;
    paint_source(paint, 0xffffff);
    cairo_set_line_width(paint->cairo, 1.2);
    cairo_stroke(paint->cairo);
}

/* In the middle of [left, right) of a row, if there is room. */
static void paint_label(struct paint *paint, uint32_t row, double left, double right,
                        const char *text)
{
    cairo_text_extents_t extents;
    double x = (left + right) / 2, y = (paint_y(paint, row) + paint_y(paint, row + 1)) / 2;
    double size = 12;

    paint_font(paint, size, true);
    cairo_text_extents(paint->cairo, text, &extents);
    if (extents.x_advance + 4 > right - left)
        return;
    /* On its own ground, for rows may be lower than a figure. */
    paint_source(paint, draw_colour(DRAW_BUFFER, true));
    cairo_rectangle(paint->cairo, x - extents.x_advance / 2 - 2, y - size / 2 - 0.5,
                    extents.x_advance + 4, size + 1);
    cairo_fill(paint->cairo);
    paint_source(paint, 0xffffff);
    cairo_move_to(paint->cairo, x - extents.width / 2 - extents.x_bearing,
                  y - extents.height / 2 - extents.y_bearing);
    cairo_show_text(paint->cairo, text);
}

/* Each row of a buffer has its number, with dots where it goes on in another: the end of a row is
 * no gap in memory. Of more rows than three it is enough to number the first, a middle one and the
 * last. */
static void paint_number_buffer(struct paint *paint, const struct draw_part *part)
{
    uint32_t ncolumns = paint->map->ncolumns, row, column, last_row, last_column, first;
    char text[32];

    if (!draw_map_cell(paint->map, part->pfn, &first, &column) ||
        !draw_map_cell(paint->map, part->pfn + (part->npages - 1), &last_row, &last_column))
        return;
    for (row = first; row <= last_row; row++) {
        if (row != first && row != last_row && row != first + (last_row - first) / 2)
            continue;
        snprintf(text, sizeof(text), "%s%s%" PRIu32 "%s", row != first ? "..." : "",
                 paint_letter(paint->map, part), part->number, row != last_row ? "..." : "");
        paint_label(paint, row, paint_x(paint, row == first ? column : 0),
                    paint_x(paint, row == last_row ? last_column + 1 : ncolumns), text);
    }
}

/* Areas have black frames, slots dashed green ones. */
static void paint_frame_style(struct paint *paint, bool slot)
{
    paint_source(paint, slot ? PAINT_SLOT : 0x000000);
    cairo_set_line_width(paint->cairo, slot ? 2 : 2.5);
    if (slot)
        cairo_set_dash(paint->cairo, (const double[]){6, 3}, 2, 0);
}

static void paint_frame_stroke(struct paint *paint)
{
    cairo_stroke(paint->cairo);
    cairo_set_dash(paint->cairo, NULL, 0, 0);
}

static void paint_grid(struct paint *paint)
{
    const struct draw_map *map = paint->map;

    for (int kind = 0; kind < DRAW_KINDS; kind++)
        for (unsigned area = 0; area <= DRAW_CELL_AREA; area += DRAW_CELL_AREA) {
            paint_source(paint, draw_colour((enum draw_kind)kind, area != 0));
            paint_cells(paint, (uint8_t)((unsigned)kind | area));
        }
    paint_lines(paint);
    paint_bands(paint);
    for (uint32_t i = 0; i < map->nparts; i++)
        if (map->parts[i].kind == DRAW_PART_BUFFER)
            paint_buffer(paint, &map->parts[i]);
    for (uint32_t i = 0; i < map->nparts; i++) {
        bool slot = map->parts[i].kind == DRAW_PART_SLOT;

        if (!slot && map->parts[i].kind != DRAW_PART_AREA)
            continue;
        paint_frame_style(paint, slot);
        paint_outline(paint, map->parts[i].pfn, map->parts[i].npages, slot ? 2 : -1);
        paint_frame_stroke(paint);
    }
    for (uint32_t i = 0; i < map->nparts; i++)
        if (map->parts[i].kind == DRAW_PART_BUFFER)
            paint_number_buffer(paint, &map->parts[i]);
}

/* --- names at the right -------------------------------------------------------------------------
 */

static double paint_note_x(void)
{
    return PAINT_LEFT + PAINT_GRID + 34;
}

static void paint_swatch(struct paint *paint, double x, double y, uint32_t colour)
{
    paint_source(paint, colour);
    cairo_rectangle(paint->cairo, x, y - 10, 12, 12);
    cairo_fill_preserve(paint->cairo);
    paint_source(paint, PAINT_FAINT);
    cairo_set_line_width(paint->cairo, 0.8);
    cairo_stroke(paint->cairo);
}

static void paint_note_line(struct paint *paint, uint32_t colour, const char *text)
{
    paint_swatch(paint, paint_note_x(), paint->notes_bottom, colour);
    paint_source(paint, PAINT_INK);
    paint_font(paint, 12, false);
    paint_text(paint, paint_note_x() + 18, paint->notes_bottom, PAINT_RIGHT - 52, false, text);
    paint->notes_bottom += PAINT_LINE;
}

/* A line for each device that has buffers here. */
static void paint_note_devices(struct paint *paint, const struct draw_part *area)
{
    const struct draw_map *map = paint->map;

    for (uint32_t i = 0; i < map->nparts; i++) {
        const struct draw_part *first = &map->parts[i];
        uint64_t npages = 0;
        uint32_t count = 0;
        bool seen = false;
        char text[DRAW_TEXT], size[32];

        if (first->kind != DRAW_PART_BUFFER || first->pfn - area->pfn >= area->npages)
            continue;
        for (uint32_t k = 0; k < map->nparts; k++) {
            const struct draw_part *part = &map->parts[k];

            if (part->kind != DRAW_PART_BUFFER || part->owner != first->owner ||
                part->pfn - area->pfn >= area->npages)
                continue;
            seen = seen || k < i;
            npages += part->npages;
            count++;
        }
        if (seen)
            continue;
        draw_size(map, npages, size);
        snprintf(text, sizeof(text), "%s%s%s: %" PRIu32 " buffer%s, %s", paint_letter(map, first),
                 paint_letter(map, first)[0] != '\0' ? "  " : "", first->name, count,
                 count != 1 ? "s" : "", size);
        paint_note_line(paint, draw_colour(DRAW_BUFFER, true), text);
    }
}

static void paint_note_pages(struct paint *paint, enum draw_kind kind, uint64_t npages,
                             const char *words)
{
    char text[DRAW_TEXT], size[32];

    if (npages == 0)
        return;
    draw_size(paint->map, npages, size);
    snprintf(text, sizeof(text), "%s: %s", words, size);
    paint_note_line(paint, draw_colour(kind, true), text);
}

/* From the part to its name: a leader with one bend. */
static double paint_leader(struct paint *paint, const struct draw_part *part, uint32_t colour)
{
    double x, y, width, note = paint->notes_bottom;

    if (!paint_middle(paint, part, &x, &y, &width))
        return -1;
    if (note < y + 4)
        note = y + 4;
    paint_source(paint, colour);
    cairo_set_line_width(paint->cairo, 1);
    cairo_move_to(paint->cairo, x + width / 2 + 1, y);
    cairo_line_to(paint->cairo, PAINT_LEFT + PAINT_GRID + 10, y);
    cairo_line_to(paint->cairo, paint_note_x() - 6, note - 4);
    cairo_stroke(paint->cairo);
    paint->notes_bottom = note;
    return note;
}

static void paint_note_area(struct paint *paint, const struct draw_part *area)
{
    char text[DRAW_TEXT], size[32];

    if (paint_leader(paint, area, 0x000000) < 0)
        return;
    paint_source(paint, PAINT_INK);
    paint_font(paint, 13, true);
    draw_size(paint->map, area->npages, size);
    snprintf(text, sizeof(text), "%s, %s", area->name, size);
    paint_text(paint, paint_note_x(), paint->notes_bottom, PAINT_RIGHT - 34, false, text);
    paint->notes_bottom += PAINT_LINE;
    snprintf(text, sizeof(text), "0x%08" PRIx64 " to 0x%08" PRIx64,
             area->pfn << paint->map->page_shift,
             ((area->pfn + area->npages) << paint->map->page_shift) - 1);
    paint_source(paint, PAINT_FAINT);
    paint_font(paint, 11, false);
    paint_text(paint, paint_note_x(), paint->notes_bottom, PAINT_RIGHT - 34, false, text);
    paint->notes_bottom += PAINT_LINE;
    paint_note_devices(paint, area);
    paint_note_pages(paint, DRAW_DROPPABLE, area->pages[DRAW_DROPPABLE], "lent to the page cache");
    paint_note_pages(paint, DRAW_KEPT, area->pages[DRAW_KEPT], "lent to programs");
    paint_note_pages(paint, DRAW_FREE, area->pages[DRAW_FREE], "empty");
    paint_note_pages(paint, DRAW_PASSING, area->pages[DRAW_PASSING], "changing hands");
    if (area->slot_pages != 0) {
        draw_size(paint->map, area->slot_pages, size);
        snprintf(text, sizeof(text), "%s of it promised to devices", size);
        paint_source(paint, PAINT_SLOT);
        paint_font(paint, 12, false);
        paint_text(paint, paint_note_x(), paint->notes_bottom, PAINT_RIGHT - 34, false, text);
        paint->notes_bottom += PAINT_LINE;
    }
    paint->notes_bottom += PAINT_LINE / 2;
}

static void paint_note_other(struct paint *paint, const struct draw_part *part)
{
    char text[DRAW_TEXT], size[32];

    if (paint_leader(paint, part, PAINT_FAINT) < 0)
        return;
    draw_size(paint->map, part->npages, size);
    snprintf(text, sizeof(text), "%s, %s", part->name, size);
    paint_source(paint, PAINT_FAINT);
    paint_font(paint, 12, false);
    paint_text(paint, paint_note_x(), paint->notes_bottom, PAINT_RIGHT - 34, false, text);
    paint->notes_bottom += PAINT_LINE;
}

/* In order of address, as the map has them. */
static void paint_notes(struct paint *paint)
{
    const struct draw_map *map = paint->map;
    uint32_t others = 0;

    paint->notes_bottom = PAINT_TOP + 12;
    for (uint32_t i = 0; i < map->nparts; i++)
        others += map->parts[i].kind == DRAW_PART_OTHER;
    for (uint32_t i = 0; i < map->nparts; i++) {
        if (map->parts[i].kind == DRAW_PART_AREA)
            paint_note_area(paint, &map->parts[i]);
        else if (map->parts[i].kind == DRAW_PART_OTHER && others <= PAINT_NOTES_MAX)
            paint_note_other(paint, &map->parts[i]);
    }
}

/* --- title and legend ---------------------------------------------------------------------------
 */

static void paint_title(struct paint *paint)
{
    const struct draw_map *map = paint->map;
    double width = PAINT_LEFT + PAINT_GRID + PAINT_RIGHT - 40;
    char text[DRAW_TEXT], size[32];

    paint_source(paint, PAINT_INK);
    paint_font(paint, 21, true);
    paint_text(paint, 20, 32, width, false, map->title);
    paint_font(paint, 14, false);
    draw_sentence(map, text);
    paint_text(paint, 20, 56, width, false, text);
    paint_source(paint, PAINT_FAINT);
    paint_font(paint, 12, false);
    draw_size(map, map->cell_npages, size);
    snprintf(
        text, sizeof(text),
        "%.130s. A cell is %s%s; addresses go on from row to row; rows of areas are drawn higher.",
        map->subtitle, map->cell_npages == 1 ? "a page of " : "", size);
    paint_text(paint, 20, 76, width, false, text);
}

static void paint_number(struct paint *paint, double x, double y, const char *text)
{
    paint_text(paint, x, y, 120, true, text);
}

static void paint_legend_row(struct paint *paint, enum draw_kind kind, double y)
{
    const struct draw_map *map = paint->map;
    char text[32];

    paint_swatch(paint, PAINT_LEFT, y, draw_colour(kind, true));
    if (draw_colour(kind, false) != draw_colour(kind, true))
        paint_swatch(paint, PAINT_LEFT + 16, y, draw_colour(kind, false));
    paint_source(paint, PAINT_INK);
    paint_font(paint, 12, false);
    paint_text(paint, PAINT_LEFT + 38, y, 380, false, paint_kinds[kind].words);
    snprintf(text, sizeof(text), "%" PRIu64, map->pages[true][kind]);
    paint_number(paint, PAINT_LEFT + 510, y, text);
    snprintf(text, sizeof(text), "%" PRIu64, map->pages[false][kind]);
    paint_number(paint, PAINT_LEFT + 610, y, text);
    draw_size(map, map->pages[true][kind] + map->pages[false][kind], text);
    paint_number(paint, PAINT_LEFT + 720, y, text);
}

static void paint_legend_frame(struct paint *paint, bool slot, double y, const char *words,
                               uint64_t npages)
{
    char text[32];

    paint_frame_style(paint, slot);
    cairo_rectangle(paint->cairo, PAINT_LEFT + 1, y - 10, 26, 12);
    paint_frame_stroke(paint);
    paint_source(paint, PAINT_INK);
    paint_text(paint, PAINT_LEFT + 38, y, 380, false, words);
    snprintf(text, sizeof(text), "%" PRIu64, npages);
    paint_number(paint, PAINT_LEFT + 510, y, text);
    draw_size(paint->map, npages, text);
    paint_number(paint, PAINT_LEFT + 720, y, text);
}

static void paint_legend(struct paint *paint, double y)
{
    paint_source(paint, PAINT_INK);
    paint_font(paint, 12, true);
    paint_text(paint, PAINT_LEFT, y, 400, false, "Who has the page (pale: outside of areas)");
    paint_number(paint, PAINT_LEFT + 510, y, "pages in areas");
    paint_number(paint, PAINT_LEFT + 610, y, "elsewhere");
    paint_number(paint, PAINT_LEFT + 720, y, "together");
    for (int kind = 0; kind < DRAW_KINDS; kind++)
        paint_legend_row(paint, (enum draw_kind)kind, y + (kind + 1) * 20);
    paint_legend_frame(paint, false, y + (DRAW_KINDS + 1) * 20,
                       "area: kept for devices, lent until they ask",
                       paint_sum(paint->map->pages[true]));
    paint_legend_frame(paint, true, y + (DRAW_KINDS + 2) * 20,
                       "of it promised: slots that no device is ever refused",
                       paint->map->slot_pages);
}

/* How far the names at the right go is known when they have been written: once for nothing. */
static void paint_size(const struct draw_map *map, double *width, double *height)
{
    cairo_surface_t *nowhere = cairo_image_surface_create(CAIRO_FORMAT_A8, 1, 1);
    struct paint paint = paint_begin(map);

    paint.cairo = cairo_create(nowhere);
    paint_notes(&paint);
    cairo_destroy(paint.cairo);
    cairo_surface_destroy(nowhere);
    *width = PAINT_LEFT + PAINT_GRID + PAINT_RIGHT;
    *height = paint.tops[map->nrows];
    if (*height < paint.notes_bottom)
        *height = paint.notes_bottom;
    *height = ceil(*height) + 20 * (DRAW_KINDS + 3) + 34;
}

static void paint_all(cairo_surface_t *surface, const struct draw_map *map, double height)
{
    struct paint paint = paint_begin(map);

    paint.cairo = cairo_create(surface);
    paint_source(&paint, 0xffffff);
    cairo_paint(paint.cairo);
    paint_title(&paint);
    paint_grid(&paint);
    paint_notes(&paint);
    paint_legend(&paint, height - 20 * (DRAW_KINDS + 3) + 8);
    cairo_destroy(paint.cairo);
}

/* --- files --------------------------------------------------------------------------------------
 */

static cairo_status_t paint_write(void *file, const unsigned char *bytes, unsigned int nbytes)
{
    return fwrite(bytes, 1, nbytes, file) == nbytes ? CAIRO_STATUS_SUCCESS
                                                    : CAIRO_STATUS_WRITE_ERROR;
}

static FILE *paint_open(const char *path)
{
    FILE *file = fopen(path, "wb");

    if (file == NULL)
        fprintf(stderr, "cma: can't write %s: %s\n", path, strerror(errno));
    return file;
}

/* The file is closed, well or not. */
static int paint_close(FILE *file, const char *path, cairo_status_t status)
{
    int error = errno;

    if (fclose(file) != 0 && status == CAIRO_STATUS_SUCCESS) {
        error = errno;
        status = CAIRO_STATUS_WRITE_ERROR;
    }
    if (status == CAIRO_STATUS_SUCCESS)
        return 0;
    fprintf(stderr, "cma: can't write %s: %s\n", path,
            status == CAIRO_STATUS_WRITE_ERROR ? strerror(error) : cairo_status_to_string(status));
    return -1;
}

int draw_write_png(cairo_surface_t *surface, const char *path)
{
    FILE *file = paint_open(path);

    return file == NULL
               ? -1
               : paint_close(file, path,
                             cairo_surface_write_to_png_stream(surface, paint_write, file));
}

int draw_map_png(const struct draw_map *map, const char *path)
{
    cairo_surface_t *surface;
    double width, height;
    int error;

    paint_size(map, &width, &height);
    surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)width, (int)height);
    paint_all(surface, map, height);
    error = draw_write_png(surface, path);
    cairo_surface_destroy(surface);
    return error;
}

int draw_map_svg(const struct draw_map *map, const char *path)
{
    FILE *file = paint_open(path);
    cairo_surface_t *surface;
    cairo_status_t status;
    double width, height;

    if (file == NULL)
        return -1;
    paint_size(map, &width, &height);
    surface = cairo_svg_surface_create_for_stream(paint_write, file, width, height);
    paint_all(surface, map, height);
    cairo_surface_finish(surface);
    status = cairo_surface_status(surface);
    cairo_surface_destroy(surface);
    return paint_close(file, path, status);
}

void draw_end(void)
{
    cairo_debug_reset_static_data();
    FcFini();
}
