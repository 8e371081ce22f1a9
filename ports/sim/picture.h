/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * picture.h - pixel formats, and test pictures of simulated sensors: each byte can be computed
 * again
 *
 * Noisy colour bars that roll upwards from picture to picture, with the picture's number drawn on
 * them. The noise makes each cache line differ from those of other pictures, so that a stale line
 * shows; the first bytes say number and time. Row 0 of plane 0 begins with struct picture_head, as
 * far as it has room.
 *
 * The bytes of a format are those that V4L2's documentation has for the format of that name.
 */
#ifndef SIM_PICTURE_H
#define SIM_PICTURE_H

#include <stdbool.h>
#include <stdint.h>

#define PICTURE_PLANES_MAX 2
#define PICTURE_HEAD_NBYTES 16u

enum picture_pixel {
    PICTURE_GREY = 0, /* 1 byte: infrared cameras */
    PICTURE_YUYV,     /* 2 bytes; a pair of pixels is Y U Y V */
    PICTURE_NV12,     /* Y, and behind all of them U V for each 2 x 2 pixels */
    PICTURE_NV12M,    /* the same in 2 planes */
    PICTURE_NV16,     /* Y, and behind all of them U V for each 2 pixels of a row */
    PICTURE_RGB565,   /* 2 bytes, the lower one first: RRRRRGGG GGGBBBBB */
    PICTURE_RGB24,    /* R G B */
    PICTURE_XBGR32,   /* B G R and a byte that is no colour: displays, which call it XRGB8888 */
    PICTURE_SRGGB8,   /* as a sensor has it: rows of R G and rows of G B, 1 byte each */
    PICTURE_SRGGB10P, /* the same with 10 bits: the high 8 of four pixels, then their low 2 */
    PICTURE_PIXELS
};

struct picture_format {
    enum picture_pixel pixel;
    uint32_t width, height; /* multiples of picture_steps() */
    uint32_t stride_nbytes; /* from row to row; 0: as few whole cache lines of 64 bytes as do */
};

/* V4L2's name without the prefix, "GREY"; and back, also from DRM's "XRGB8888": false if there is
 * no such. */
const char *picture_pixel_name(enum picture_pixel pixel);
bool picture_pixel_parse(const char *name, enum picture_pixel *pixel);
/* What width and height have to be multiples of: groups of pixels that share bytes or colour. */
void picture_steps(enum picture_pixel pixel, uint32_t *width, uint32_t *height);
/* The bytes of a row without a gap behind it. */
uint32_t picture_row_nbytes(const struct picture_format *format);
/* False: no width or height, no multiple of the step, a stride shorter than a row. */
bool picture_format_is_valid(const struct picture_format *format);
uint32_t picture_nplanes(const struct picture_format *format);
uint32_t picture_stride(const struct picture_format *format);
uint32_t picture_rows(const struct picture_format *format, uint32_t plane);
uint64_t picture_nbytes(const struct picture_format *format, uint32_t plane); /* rows * stride */
uint64_t picture_total_nbytes(const struct picture_format *format);           /* of all planes */

/* What one sensor sends. */
struct picture_source {
    /* private */
    struct picture_format format;
    uint8_t *tape[PICTURE_PLANES_MAX];
};

void picture_source_init(struct picture_source *source, const struct picture_format *format,
                         uint64_t seed);
void picture_source_free(struct picture_source *source);
/* One plane of picture `number`, sent at time_ns: picture_nbytes() bytes. */
void picture_draw(const struct picture_source *source, uint32_t number, uint64_t time_ns,
                  uint32_t plane, uint8_t *to);
/* What the head of a picture says; false if it is not one. */
bool picture_head(const uint8_t *bytes, uint64_t nbytes, uint32_t *number, uint64_t *time_ns);

/*
 * `from` made smaller: every shrink-th group of every shrink-th row (of sensors' formats, of every
 * shrink-th pair of rows); `to` has the format of picture_shrunk(), without a gap behind rows if
 * `from` says that it has none. The rest of each row is 0. shrink 1: a copy.
 */
struct picture_format picture_shrunk(const struct picture_format *from, uint32_t shrink);
void picture_shrink(const struct picture_format *from, uint32_t shrink, uint32_t plane,
                    const uint8_t *bytes, uint8_t *to);

/*
 * The colour of a pixel as 0xrrggbb, from the planes of a picture. Y, U and V as BT.601 has them,
 * 16 to 235 and 240, but of GREY 0 to 255; of a sensor's formats, colours that a pixel lacks are
 * the mean of the nearest that have them.
 */
uint32_t picture_rgb(const struct picture_format *format, const uint8_t *const plane[], uint32_t x,
                     uint32_t y);

#endif
