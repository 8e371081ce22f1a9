/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * picture.c - test pictures, made smaller, and as colours
 *
 * A source's tape is one whole picture; picture n is the tape rolled up by n rows (luma of NV12: 2
 * n, so that chroma stays with it), with head and number drawn on it. So the pictures that follow
 * each other in one buffer differ in each row.
 */
#include "picture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PICTURE_LINE 64u
#define PICTURE_BARS 8u
#define PICTURE_STEP 1u
#define PICTURE_DIGITS 6u

struct picture_start {
    char magic[4];
    uint32_t number;
    uint64_t time_ns;
};

static const char *const picture_names[PICTURE_PIXELS] = {"GREY", "YUYV", "NV12", "NV12-ONE",
                                                          "RGB24"};

const char *picture_pixel_name(enum picture_pixel pixel)
{
    return (unsigned)pixel < PICTURE_PIXELS ? picture_names[pixel] : "?";
}

bool picture_pixel_parse(const char *name, enum picture_pixel *pixel)
{
    for (unsigned i = 0; i < PICTURE_PIXELS; i++) {
        if (strcmp(name, picture_names[i]) == 0) {
            *pixel = (enum picture_pixel)i;
            return true;
        }
    }
    return false;
}

static bool picture_is_nv12(const struct picture_format *format)
{
    return format->pixel == PICTURE_NV12 || format->pixel == PICTURE_NV12_ONE;
}

/* Bytes of the pixels of a row, of all kinds of rows that there are. */
static uint64_t picture_row_nbytes(const struct picture_format *format)
{
    static const uint8_t nbytes[PICTURE_PIXELS] = {1, 2, 1, 1, 3};

    return (uint64_t)format->width * nbytes[format->pixel];
}

bool picture_format_is_valid(const struct picture_format *format)
{
    if ((unsigned)format->pixel >= PICTURE_PIXELS || format->width == 0 || format->height == 0 ||
        format->width > 65536 || format->height > 65536)
        return false;
    if ((format->pixel == PICTURE_YUYV || picture_is_nv12(format)) && format->width % 2)
        return false;
    if (picture_is_nv12(format) && format->height % 2)
        return false;
    return format->stride_nbytes == 0 || (format->stride_nbytes >= picture_row_nbytes(format) &&
                                          format->stride_nbytes <= 1u << 20);
}

uint32_t picture_nplanes(const struct picture_format *format)
{
    return format->pixel == PICTURE_NV12 ? 2 : 1;
}

uint32_t picture_stride(const struct picture_format *format)
{
    uint64_t row = picture_row_nbytes(format);

    if (format->stride_nbytes)
        return format->stride_nbytes;
    return (uint32_t)((row + PICTURE_LINE - 1) / PICTURE_LINE * PICTURE_LINE);
}

uint32_t picture_rows(const struct picture_format *format, uint32_t plane)
{
    if (format->pixel == PICTURE_NV12_ONE)
        return format->height + format->height / 2;
    return plane ? format->height / 2 : format->height;
}

uint64_t picture_nbytes(const struct picture_format *format, uint32_t plane)
{
    return (uint64_t)picture_rows(format, plane) * picture_stride(format);
}

uint64_t picture_total_nbytes(const struct picture_format *format)
{
    uint64_t nbytes = 0;

    for (uint32_t i = 0; i < picture_nplanes(format); i++)
        nbytes += picture_nbytes(format, i);
    return nbytes;
}

/* --- the tape ------------------------------------------------------------------------------ */

static uint64_t picture_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint8_t picture_byte(int value, uint64_t noise)
{
    value += (int)(noise & 15) - 8;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* White, yellow, cyan, green, magenta, red, blue, dark: as R, G, B and as Y, U, V. */
static const uint8_t picture_rgb[PICTURE_BARS][3] = {
    {224, 224, 224}, {224, 224, 24}, {24, 224, 224}, {24, 224, 24},
    {224, 24, 224},  {224, 24, 24},  {24, 24, 224},  {40, 40, 40}};
static const uint8_t picture_yuv[PICTURE_BARS][3] = {
    {224, 128, 128}, {201, 28, 144}, {164, 151, 28}, {141, 52, 44},
    {107, 204, 212}, {84, 104, 228}, {47, 227, 112}, {40, 128, 128}};

static int picture_bar_value(const struct picture_format *format, uint32_t row, uint32_t at)
{
    uint32_t x, channel, bar;
    /* Every so many rows the bars step aside, so that one sees them roll. */
    uint32_t y = row < format->height ? row : (row - format->height) * 2;
    uint32_t shift = y * 8 / format->height % 2;

    switch (format->pixel) {
    case PICTURE_RGB24:
        x = at / 3;
        channel = at % 3;
        break;
    case PICTURE_YUYV:
        x = at / 2;
        channel = at % 2 ? 1 + at / 2 % 2 : 0;
        break;
    default:
        x = at;
        channel = row < format->height ? 0 : 1 + at % 2;
        break;
    }
    bar = (uint32_t)((uint64_t)x * PICTURE_BARS / format->width + shift) % PICTURE_BARS;
    return format->pixel == PICTURE_RGB24 ? picture_rgb[bar][channel] : picture_yuv[bar][channel];
}

void picture_source_init(struct picture_source *source, const struct picture_format *format,
                         uint64_t seed)
{
    uint64_t state = seed * 2 + 1;

    memset(source, 0, sizeof(*source));
    source->format = *format;
    for (uint32_t plane = 0; plane < picture_nplanes(format); plane++) {
        uint32_t stride = picture_stride(format), rows = picture_rows(format, plane);
        uint8_t *to = malloc((size_t)stride * rows);

        if (to == NULL)
            abort();
        source->tape[plane] = to;
        for (uint32_t row = 0; row < rows; row++) {
            uint32_t colour_row = plane ? row + format->height : row;
            uint64_t noise = 0;

            for (uint32_t at = 0; at < stride; at++, noise >>= 4) {
                if (at % 16 == 0)
                    noise = picture_random(&state);
                to[(size_t)row * stride + at] =
                    at < picture_row_nbytes(format)
                        ? picture_byte(picture_bar_value(format, colour_row, at), noise)
                        : (uint8_t)noise;
            }
        }
    }
}

void picture_source_free(struct picture_source *source)
{
    for (uint32_t i = 0; i < PICTURE_PLANES_MAX; i++)
        free(source->tape[i]);
    memset(source, 0, sizeof(*source));
}

/* --- one picture --------------------------------------------------------------------------- */

/* Rows [first, first + nrows) of `to` are the tape's, rolled by `steps`. */
static void picture_roll(const uint8_t *tape, uint8_t *to, uint32_t stride, uint32_t nrows,
                         uint64_t steps)
{
    uint32_t by = (uint32_t)(steps % nrows);

    memcpy(to, tape + (size_t)by * stride, (size_t)(nrows - by) * stride);
    memcpy(to + (size_t)(nrows - by) * stride, tape, (size_t)by * stride);
}

static void picture_put(const struct picture_format *format, uint8_t *row, uint32_t x,
                        uint8_t value)
{
    if (format->pixel == PICTURE_RGB24)
        memset(row + 3 * (size_t)x, value, 3);
    else
        row[format->pixel == PICTURE_YUYV ? 2 * (size_t)x : x] = value;
}

/* The number in white on black, 3 x 5 dots a digit, where there is room. */
static void picture_number(const struct picture_format *format, uint32_t number, uint8_t *to)
{
    static const uint16_t digits[10] = {0x7b6f, 0x2c97, 0x73e7, 0x73cf, 0x5bc9,
                                        0x79cf, 0x79ef, 0x7249, 0x7bef, 0x7bcf};
    uint32_t dot = format->width / 64, stride = picture_stride(format);
    uint32_t left = 2 * dot, top = 2 * dot, wide = PICTURE_DIGITS * 4 + 1, high = 7;

    if (dot == 0 || top + high * dot > format->height)
        return;
    for (uint32_t y = 0; y < high * dot; y++) {
        uint8_t *row = to + (size_t)(top + y) * stride;
        uint32_t line = y / dot;

        for (uint32_t x = 0; x < wide * dot; x++) {
            uint32_t column = x / dot, place = column / 4, power = 1;
            bool lit = false;

            for (uint32_t i = place + 1; i < PICTURE_DIGITS; i++)
                power *= 10;
            if (column % 4 && line >= 1 && line <= 5)
                lit = digits[number / power % 10] >> (14 - ((line - 1) * 3 + column % 4 - 1)) & 1;
            picture_put(format, row, left + x, lit ? 255 : 0);
        }
    }
}

void picture_draw(const struct picture_source *source, uint32_t number, uint64_t time_ns,
                  uint32_t plane, uint8_t *to)
{
    const struct picture_format *format = &source->format;
    uint32_t stride = picture_stride(format), rows = picture_rows(format, plane);
    struct picture_start start = {{'S', 'I', 'M', 'V'}, number, time_ns};

    if (format->pixel == PICTURE_NV12_ONE) {
        size_t luma = (size_t)format->height * stride;

        picture_roll(source->tape[0], to, stride, format->height,
                     (uint64_t)number * PICTURE_STEP * 2);
        picture_roll(source->tape[0] + luma, to + luma, stride, format->height / 2,
                     (uint64_t)number * PICTURE_STEP);
    } else {
        uint32_t step = picture_is_nv12(format) && plane == 0 ? 2 * PICTURE_STEP : PICTURE_STEP;

        picture_roll(source->tape[plane], to, stride, rows, (uint64_t)number * step);
    }
    if (plane == 0) {
        picture_number(format, number, to);
        memcpy(to, &start, stride < sizeof(start) ? stride : sizeof(start));
    }
}

bool picture_head(const uint8_t *bytes, uint64_t nbytes, uint32_t *number, uint64_t *time_ns)
{
    struct picture_start start;

    if (nbytes < sizeof(start))
        return false;
    memcpy(&start, bytes, sizeof(start));
    *number = start.number;
    *time_ns = start.time_ns;
    return memcmp(start.magic, "SIMV", 4) == 0;
}

/* --- smaller, and in colours --------------------------------------------------------------- */

struct picture_format picture_shrunk(const struct picture_format *from, uint32_t shrink)
{
    struct picture_format to = *from;
    bool pairs = from->pixel == PICTURE_YUYV || picture_is_nv12(from);

    to.width = pairs ? from->width / 2 / shrink * 2 : from->width / shrink;
    to.height = picture_is_nv12(from) ? from->height / 2 / shrink * 2 : from->height / shrink;
    to.stride_nbytes = shrink == 1 ? from->stride_nbytes : 0;
    return to;
}

/* Rows of `group`-byte groups. */
static void picture_shrink_rows(const uint8_t *from, uint32_t from_stride, uint32_t shrink,
                                uint32_t group, uint8_t *to, uint32_t to_stride, uint32_t nrows,
                                uint32_t ngroups)
{
    for (uint32_t row = 0; row < nrows; row++) {
        const uint8_t *in = from + (size_t)row * shrink * from_stride;
        uint8_t *out = to + (size_t)row * to_stride;

        memset(out, 0, to_stride);
        for (uint32_t i = 0; i < ngroups; i++)
            memcpy(out + (size_t)i * group, in + (size_t)i * shrink * group, group);
    }
}

void picture_shrink(const struct picture_format *from, uint32_t shrink, uint32_t plane,
                    const uint8_t *bytes, uint8_t *to)
{
    struct picture_format small = picture_shrunk(from, shrink);
    uint32_t in = picture_stride(from), out = picture_stride(&small);
    uint32_t width = small.width, height = small.height;

    if (shrink == 1) {
        memcpy(to, bytes, picture_nbytes(from, plane));
    } else if (picture_is_nv12(from) && plane == 1) {
        picture_shrink_rows(bytes, in, shrink, 2, to, out, height / 2, width / 2);
    } else if (from->pixel == PICTURE_YUYV) {
        picture_shrink_rows(bytes, in, shrink, 4, to, out, height, width / 2);
    } else {
        picture_shrink_rows(bytes, in, shrink, from->pixel == PICTURE_RGB24 ? 3 : 1, to, out,
                            height, width);
        if (from->pixel == PICTURE_NV12_ONE)
            picture_shrink_rows(bytes + (size_t)from->height * in, in, shrink, 2,
                                to + (size_t)height * out, out, height / 2, width / 2);
    }
}

static uint8_t picture_clip(int value)
{
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

static void picture_colour(int y, int u, int v, uint8_t *rgb)
{
    rgb[0] = picture_clip(y + (v - 128) * 1402 / 1000);
    rgb[1] = picture_clip(y - (u - 128) * 344 / 1000 - (v - 128) * 714 / 1000);
    rgb[2] = picture_clip(y + (u - 128) * 1772 / 1000);
}

void picture_to_rgb(const struct picture_format *format, const uint8_t *const plane[], uint8_t *rgb)
{
    uint32_t stride = picture_stride(format);
    const uint8_t *uv = NULL;

    if (picture_is_nv12(format))
        uv = format->pixel == PICTURE_NV12 ? plane[1] : plane[0] + (size_t)format->height * stride;
    for (uint32_t y = 0; y < format->height; y++) {
        const uint8_t *row = plane[0] + (size_t)y * stride;

        for (uint32_t x = 0; x < format->width; x++, rgb += 3) {
            const uint8_t *pair = row + (size_t)(x / 2) * 4;

            if (format->pixel == PICTURE_RGB24)
                memcpy(rgb, row + 3 * (size_t)x, 3);
            else if (format->pixel == PICTURE_YUYV)
                picture_colour(pair[x % 2 * 2], pair[1], pair[3], rgb);
            else if (uv != NULL)
                picture_colour(row[x], uv[(size_t)(y / 2) * stride + x / 2 * 2],
                               uv[(size_t)(y / 2) * stride + x / 2 * 2 + 1], rgb);
            else
                memset(rgb, row[x], 3);
        }
    }
}
