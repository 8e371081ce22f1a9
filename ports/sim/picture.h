/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * picture.h - test pictures of simulated sensors: each byte can be computed again
 *
 * Noisy colour bars that roll upwards from picture to picture, with the picture's number drawn on
 * them. The noise makes each cache line differ from those of other pictures, so that a stale line
 * shows; the first bytes say number and time. Row 0 of plane 0 begins with struct picture_head, as
 * far as it has room.
 */
#ifndef SIM_PICTURE_H
#define SIM_PICTURE_H

#include <stdbool.h>
#include <stdint.h>

#define PICTURE_PLANES_MAX 2
#define PICTURE_HEAD_NBYTES 16u

enum picture_pixel {
    PICTURE_GREY = 0, /* 1 byte */
    PICTURE_YUYV,     /* 2 bytes; a pair of pixels is Y U Y V */
    PICTURE_NV12,     /* 2 planes: Y, and for each 2 x 2 pixels U V */
    PICTURE_NV12_ONE, /* the same in one plane: U V behind Y */
    PICTURE_RGB24,    /* 3 bytes */
    PICTURE_PIXELS
};

struct picture_format {
    enum picture_pixel pixel;
    uint32_t width, height; /* of YUYV the width, of NV12 both are even */
    uint32_t stride_nbytes; /* from row to row; 0: as few whole cache lines of 64 bytes as do */
};

/* "GREY", "YUYV", "NV12", "NV12-ONE", "RGB24"; and back: false if there is no such. */
const char *picture_pixel_name(enum picture_pixel pixel);
bool picture_pixel_parse(const char *name, enum picture_pixel *pixel);
/* False: no width or height, odd where it must be even, a stride shorter than a row. */
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
 * `from` made smaller: every shrink-th pixel (pair, of YUYV) of every shrink-th row; `to` has the
 * format of picture_shrunk(). The rest of each row is 0. shrink 1: a copy.
 */
struct picture_format picture_shrunk(const struct picture_format *from, uint32_t shrink);
void picture_shrink(const struct picture_format *from, uint32_t shrink, uint32_t plane,
                    const uint8_t *bytes, uint8_t *to);

/* `n` pixels a row of RGB from the planes of a picture, top down: 3 * width * height bytes. */
void picture_to_rgb(const struct picture_format *format, const uint8_t *const plane[],
                    uint8_t *rgb);

#endif
