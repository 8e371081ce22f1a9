/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * draw.h - pictures: a map of physical memory, and frames that a device captured
 *
 *     draw_map.c    looks at a machine and keeps what it saw (no drawing, no locks, no hooks: a run
 *                   that is drawn is the same run, bit for bit)
 *     draw_paint.c  puts what was seen on paper: PNG and SVG, through cairo
 *     draw_frame.c  bytes of a frame -> PNG, with the colours of picture.h
 *     run_draw.c    `cma run --out DIR`: when, under which names (run.h)
 *
 * The map. One cell stands for one page, or for 2, 4, 8... of them so that the whole machine fits
 * on one sheet. Where its pages are of several kinds it has the colour of one of them, so that over
 * a few cells the shares are right. Addresses grow to the right and then downwards, as one reads,
 * and each row begins at a round address: a buffer is a bar, and an area a block of rows. Rows of
 * areas are higher than the others, which are seen through the wrong end of the glass. Areas are
 * framed and in full colour, the rest of memory is pale, so that what was lent to whom is seen at
 * first glance. Colours are close to Okabe and Ito's set, which people with any sort of colour
 * blindness tell apart, and differ in brightness too, so that a sheet printed in grey can be read.
 */
#ifndef CMA_TOOL_DRAW_H
#define CMA_TOOL_DRAW_H

#include "../ports/sim/picture.h"

#include <cma/frame.h>
#include <cma/map.h>

#include <stdbool.h>
#include <stdint.h>

/* What a page is to somebody who looks at the map. */
enum draw_kind {
    DRAW_BUFFER,    /* in a device's hands */
    DRAW_DROPPABLE, /* page cache: may be dropped */
    DRAW_KEPT,      /* programs' data: has to be carried elsewhere */
    DRAW_FREE,
    DRAW_UNMOVABLE, /* stays where it is */
    DRAW_PASSING,   /* nobody's for a moment: being claimed, moved, or in a processor's cache */
    DRAW_RESERVED,  /* the board's: firmware, pools, what is not mapped */
    DRAW_KINDS
};

enum { DRAW_TEXT = 256 };

/* A machine to look at. */
struct draw_source {
    const struct cma_frames *frames;
    const struct cma_map *map;
    uint32_t page_shift;
    /* Who has a buffer with this tag; NULL: not known. May be NULL. */
    const char *(*owner_name)(void *ctx, uint32_t owner);
    void *ctx;
};

/* RAM without holes. Its first row begins at a multiple of a row's length. */
struct draw_band {
    cma_pfn_t first, end; /* its pages */
    cma_pfn_t pfn;        /* of its first row */
    uint32_t row, nrows;  /* 0 rows: counted, and not drawn, for the sheet was full */
};

enum draw_part_kind { DRAW_PART_AREA, DRAW_PART_SLOT, DRAW_PART_BUFFER, DRAW_PART_OTHER };

/* A run of pages that is framed, numbered or named. */
struct draw_part {
    enum draw_part_kind kind;
    cma_pfn_t pfn;
    uint64_t npages;
    uint32_t number;            /* of a buffer: 1 up for each device */
    uint32_t owner;             /* of a buffer */
    uint32_t device;            /* of a buffer: whose first buffer came first has 0 */
    uint64_t pages[DRAW_KINDS]; /* of an area */
    uint64_t slot_pages;        /* of an area: promised, in a device's hands or not */
    char name[64];              /* printing characters only */
};

struct draw_map {
    char title[DRAW_TEXT], subtitle[DRAW_TEXT];
    uint32_t page_shift;
    uint64_t cell_npages; /* a power of two */
    uint32_t ncolumns, nrows;
    uint8_t *cells; /* DRAW_CELL_*, row by row */
    struct draw_band *bands;
    uint32_t nbands;
    struct draw_part *parts;
    uint32_t nparts, max_parts;
    uint32_t ndevices;             /* that have buffers */
    uint64_t pages[2][DRAW_KINDS]; /* elsewhere; in areas */
    uint64_t slot_pages;
    uint8_t *area_kinds; /* enum draw_kind of each page of the areas, as they come */
    uint64_t narea_kinds, max_area_kinds;
    /* Where buffers are now: what there was before. */
    bool compared;
    uint64_t taken[DRAW_KINDS];
};
#define DRAW_CELL_KIND 0x0fu /* enum draw_kind */
#define DRAW_CELL_AREA 0x40u
#define DRAW_CELL_EMPTY 0x80u /* no memory there */

/* Looks at the machine. Title and subtitle may hold anything. Returns 0, or -1: no memory. */
int draw_map_take(struct draw_map *map, const struct draw_source *source, const char *title,
                  const char *subtitle);
void draw_map_free(struct draw_map *map);

/* Whose pages the devices took since `before`, a map of the same board: the sentence says so. */
void draw_map_compare(struct draw_map *map, const struct draw_map *before);

/* The cell in which a page lies, by row and column; false: it is not on the sheet. */
bool draw_map_cell(const struct draw_map *map, cma_pfn_t pfn, uint32_t *row, uint32_t *column);

/* What the picture says in words: one line of the legend, and the sentence below the title. */
void draw_legend(const struct draw_map *map, enum draw_kind kind, char text[DRAW_TEXT]);
void draw_sentence(const struct draw_map *map, char text[DRAW_TEXT]);
/* "2.65 MiB", "12 KiB" */
void draw_size(const struct draw_map *map, uint64_t npages, char text[32]);

/* Colours as 0xrrggbb; those of the world outside of areas are paler. */
uint32_t draw_colour(enum draw_kind kind, bool in_area);
/* Where the middle of a cell is in the PNG. */
void draw_map_place(const struct draw_map *map, uint32_t row, uint32_t column, double *x,
                    double *y);

/* Writes the map. Returns 0, or -1 with a message on stderr. */
int draw_map_png(const struct draw_map *map, const char *path);
int draw_map_svg(const struct draw_map *map, const char *path);
/* When nothing more is drawn: lets go of the fonts. */
void draw_end(void);

/* A captured frame. */
struct draw_frame {
    struct picture_format format;
    const uint8_t *plane[PICTURE_PLANES_MAX];
    uint64_t nbytes[PICTURE_PLANES_MAX];
};

/* width * height times 0xrrggbb, as picture_rgb() has them. Returns 0, or -1 when the format is not
 * valid, the planes are too short for it, or a size is more than 32,767. */
int draw_frame_rgb(const struct draw_frame *frame, uint32_t *rgb);
/* Writes the frame. Returns 0, or -1 with a message on stderr. */
int draw_frame_png(const struct draw_frame *frame, const char *path);

/* Makes the directory if need be. Returns 0, or -1 with a message: it can't be written. */
int draw_directory(const char *path);

#endif
