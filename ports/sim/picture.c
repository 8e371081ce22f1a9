/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * picture.c - pixel formats: test pictures in them, made smaller, and as colours
 *
 * A format is a row of a table: one or two fields of rows, in one plane or two, and for each the
 * samples of a group of pixels as letters. All else follows from the row, and from the way in which
 * a group's samples are packed into bytes. A sample has 10 bits here; formats that have fewer
 * store the high ones.
 *
 * A source's tape is one whole picture; picture n is the tape rolled up by n rows (or pairs of
 * rows, where two rows share colour), with head and number drawn on it. So the pictures that follow
 * each other in one buffer differ in each row.
 */
#include "picture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PICTURE_LINE 64u
#define PICTURE_BARS 8u
#define PICTURE_DIGITS 6u
#define PICTURE_CELLS (PICTURE_DIGITS * 4 + 1)
#define PICTURE_GROUP_MAX 4u
#define PICTURE_FIELDS_MAX 2u

struct picture_start {
    char magic[4];
    uint32_t number;
    uint64_t time_ns;
};

/* --- formats ------------------------------------------------------------------------------- */

enum picture_pack {
    PICTURE_PACK_BYTES, /* one each */
    PICTURE_PACK_565,   /* three in 5, 6 and 5 bits of two bytes */
    PICTURE_PACK_10P    /* four in five bytes */
};

/* Rows of one kind. Letters: Y U V, R G B, and X for what is no colour. */
struct picture_field {
    uint8_t plane;
    uint8_t width, height; /* pixels of a group, and rows of pixels for a row of these */
    const char *samples;   /* of a group; NULL: there is no such field */
    const char *odd;       /* of groups in rows 1, 3, 5...; NULL: the same */
};

struct picture_layout {
    const char *name, *also;
    enum picture_pack pack;
    uint8_t width_step, height_step;
    struct picture_field fields[PICTURE_FIELDS_MAX];
};

static const struct picture_layout picture_layouts[PICTURE_PIXELS] = {
    [PICTURE_GREY] = {"GREY", NULL, PICTURE_PACK_BYTES, 1, 1, {{0, 1, 1, "Y", NULL}}},
    [PICTURE_YUYV] = {"YUYV", NULL, PICTURE_PACK_BYTES, 2, 1, {{0, 2, 1, "YUYV", NULL}}},
    [PICTURE_NV12] =
        {"NV12", NULL, PICTURE_PACK_BYTES, 2, 2, {{0, 1, 1, "Y", NULL}, {0, 2, 2, "UV", NULL}}},
    [PICTURE_NV12M] =
        {"NV12M", NULL, PICTURE_PACK_BYTES, 2, 2, {{0, 1, 1, "Y", NULL}, {1, 2, 2, "UV", NULL}}},
    [PICTURE_NV16] =
        {"NV16", NULL, PICTURE_PACK_BYTES, 2, 1, {{0, 1, 1, "Y", NULL}, {0, 2, 1, "UV", NULL}}},
    [PICTURE_RGB565] = {"RGB565", NULL, PICTURE_PACK_565, 1, 1, {{0, 1, 1, "RGB", NULL}}},
    [PICTURE_RGB24] = {"RGB24", NULL, PICTURE_PACK_BYTES, 1, 1, {{0, 1, 1, "RGB", NULL}}},
    [PICTURE_XBGR32] = {"XBGR32", "XRGB8888", PICTURE_PACK_BYTES, 1, 1, {{0, 1, 1, "BGRX", NULL}}},
    [PICTURE_SRGGB8] = {"SRGGB8", NULL, PICTURE_PACK_BYTES, 2, 2, {{0, 2, 1, "RG", "GB"}}},
    [PICTURE_SRGGB10P] = {"SRGGB10P", NULL, PICTURE_PACK_10P, 4, 2, {{0, 4, 1, "RGRG", "GBGB"}}},
};

const char *picture_pixel_name(enum picture_pixel pixel)
{
    return (unsigned)pixel < PICTURE_PIXELS ? picture_layouts[pixel].name : "?";
}

bool picture_pixel_parse(const char *name, enum picture_pixel *pixel)
{
    for (unsigned i = 0; i < PICTURE_PIXELS; i++) {
        const char *also = picture_layouts[i].also;

        if (strcmp(name, picture_layouts[i].name) == 0 ||
            (also != NULL && strcmp(name, also) == 0)) {
            *pixel = (enum picture_pixel)i;
            return true;
        }
    }
    return false;
}

void picture_steps(enum picture_pixel pixel, uint32_t *width, uint32_t *height)
{
    *width = picture_layouts[pixel].width_step;
    *height = picture_layouts[pixel].height_step;
}

static uint32_t picture_group_nbytes(enum picture_pack pack, const struct picture_field *field)
{
    switch (pack) {
    case PICTURE_PACK_565: return 2;
    case PICTURE_PACK_10P: return 5;
    default: return (uint32_t)strlen(field->samples);
    }
}

/* A field of a picture, and where it is. */
struct picture_part {
    const struct picture_field *field;
    enum picture_pack pack;
    uint32_t group_nbytes, ngroups, nrows, stride;
    uint64_t offset_nbytes; /* in its plane */
};

static bool picture_part(const struct picture_format *format, uint32_t i, struct picture_part *part)
{
    const struct picture_layout *layout = &picture_layouts[format->pixel];
    const struct picture_field *field = &layout->fields[i < PICTURE_FIELDS_MAX ? i : 0];

    if (i >= PICTURE_FIELDS_MAX || field->samples == NULL)
        return false;
    part->field = field;
    part->pack = layout->pack;
    part->group_nbytes = picture_group_nbytes(layout->pack, field);
    part->ngroups = format->width / field->width;
    part->nrows = format->height / field->height;
    part->stride = picture_stride(format);
    part->offset_nbytes = i != 0 && field->plane == 0 ? (uint64_t)format->height * part->stride : 0;
    return true;
}

static const char *picture_samples(const struct picture_field *field, uint32_t row)
{
    return row % 2 != 0 && field->odd != NULL ? field->odd : field->samples;
}

uint32_t picture_row_nbytes(const struct picture_format *format)
{
    const struct picture_layout *layout = &picture_layouts[format->pixel];

    /* No field has longer rows than the first. */
    return format->width / layout->fields[0].width *
           picture_group_nbytes(layout->pack, &layout->fields[0]);
}

bool picture_format_is_valid(const struct picture_format *format)
{
    const struct picture_layout *layout;

    if ((unsigned)format->pixel >= PICTURE_PIXELS || format->width == 0 || format->height == 0 ||
        format->width > 65536 || format->height > 65536)
        return false;
    layout = &picture_layouts[format->pixel];
    if (format->width % layout->width_step != 0 || format->height % layout->height_step != 0)
        return false;
    return format->stride_nbytes == 0 || (format->stride_nbytes >= picture_row_nbytes(format) &&
                                          format->stride_nbytes <= 1u << 20);
}

uint32_t picture_nplanes(const struct picture_format *format)
{
    return picture_layouts[format->pixel].fields[1].plane + 1u;
}

uint32_t picture_stride(const struct picture_format *format)
{
    if (format->stride_nbytes)
        return format->stride_nbytes;
    return (picture_row_nbytes(format) + PICTURE_LINE - 1) / PICTURE_LINE * PICTURE_LINE;
}

uint32_t picture_rows(const struct picture_format *format, uint32_t plane)
{
    struct picture_part part;
    uint32_t nrows = 0;

    for (uint32_t i = 0; picture_part(format, i, &part); i++)
        nrows += part.field->plane == plane ? part.nrows : 0;
    return nrows;
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

/* --- groups of samples --------------------------------------------------------------------- */

static void picture_unpack(const struct picture_part *part, const uint8_t *bytes, uint16_t *samples)
{
    uint32_t word;

    switch (part->pack) {
    case PICTURE_PACK_565:
        word = bytes[0] | (uint32_t)bytes[1] << 8;
        samples[0] = (uint16_t)((word >> 11) * 33);
        samples[1] = (uint16_t)((word >> 5 & 63) << 4 | (word >> 7 & 15));
        samples[2] = (uint16_t)((word & 31) * 33);
        break;
    case PICTURE_PACK_10P:
        for (uint32_t i = 0; i < 4; i++)
            samples[i] = (uint16_t)(bytes[i] << 2 | (bytes[4] >> 2 * i & 3));
        break;
    default:
        for (uint32_t i = 0; i < part->group_nbytes; i++)
            samples[i] = (uint16_t)(bytes[i] << 2 | bytes[i] >> 6);
        break;
    }
}

static void picture_pack(const struct picture_part *part, const uint16_t *samples, uint8_t *bytes)
{
    uint32_t word;

    switch (part->pack) {
    case PICTURE_PACK_565:
        word = (uint32_t)(samples[0] >> 5 << 11 | samples[1] >> 4 << 5 | samples[2] >> 5);
        bytes[0] = (uint8_t)word;
        bytes[1] = (uint8_t)(word >> 8);
        break;
    case PICTURE_PACK_10P:
        bytes[4] = 0;
        for (uint32_t i = 0; i < 4; i++) {
            bytes[i] = (uint8_t)(samples[i] >> 2);
            bytes[4] = (uint8_t)(bytes[4] | (samples[i] & 3) << 2 * i);
        }
        break;
    default:
        for (uint32_t i = 0; i < part->group_nbytes; i++)
            bytes[i] = (uint8_t)(samples[i] >> 2);
        break;
    }
}

/* Which pixel of a group has the i-th of n samples. */
static uint32_t picture_pixel_of(const struct picture_field *field, uint32_t i, uint32_t n)
{
    return i * field->width / n;
}

/* --- the tape ------------------------------------------------------------------------------ */

static uint64_t picture_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* White, yellow, cyan, green, magenta, red, blue, dark. */
static int picture_bar_value(uint32_t bar, char letter)
{
    static const uint8_t colours[PICTURE_BARS][3] = {
        {224, 224, 224}, {224, 224, 24}, {24, 224, 224}, {24, 224, 24},
        {224, 24, 224},  {224, 24, 24},  {24, 24, 224},  {40, 40, 40}};
    int r = colours[bar][0], g = colours[bar][1], b = colours[bar][2];

    switch (letter) {
    case 'R': return r;
    case 'G': return g;
    case 'B': return b;
    case 'U': return 128 + (112 * b - 38 * r - 74 * g) / 256;
    case 'V': return 128 + (112 * r - 94 * g - 18 * b) / 256;
    default: return 16 + (66 * r + 129 * g + 25 * b + 128) / 256;
    }
}

static uint16_t picture_bar_sample(const struct picture_format *format, char letter, uint32_t x,
                                   uint32_t y, uint64_t noise)
{
    /* Every so many rows the bars step aside, so that one sees them roll. */
    uint32_t shift = (uint32_t)((uint64_t)y * 8 / format->height) % 2;
    uint32_t bar = ((uint32_t)((uint64_t)x * PICTURE_BARS / format->width) + shift) % PICTURE_BARS;
    int value = 4 * picture_bar_value(bar, letter) + (int)(noise & 63) - 32;

    if (letter == 'X')
        return (uint16_t)(noise & 1023);
    return (uint16_t)(value < 0 ? 0 : value > 1023 ? 1023 : value);
}

static void picture_tape_row(const struct picture_format *format, const struct picture_part *part,
                             uint32_t row, uint64_t *state, uint8_t *to)
{
    const struct picture_field *field = part->field;
    const char *letters = picture_samples(field, row);
    uint32_t n = (uint32_t)strlen(letters), filled = part->ngroups * part->group_nbytes;
    uint16_t samples[PICTURE_GROUP_MAX];

    for (uint32_t group = 0; group < part->ngroups; group++) {
        uint64_t noise = picture_random(state);

        for (uint32_t i = 0; i < n; i++, noise >>= 10)
            samples[i] = picture_bar_sample(format, letters[i],
                                            group * field->width + picture_pixel_of(field, i, n),
                                            row * field->height, noise);
        picture_pack(part, samples, to + (size_t)group * part->group_nbytes);
    }
    for (uint32_t at = filled; at < part->stride; at++)
        to[at] = (uint8_t)picture_random(state);
}

void picture_source_init(struct picture_source *source, const struct picture_format *format,
                         uint64_t seed)
{
    uint64_t state = seed * 2 + 1;
    struct picture_part part;

    memset(source, 0, sizeof(*source));
    source->format = *format;
    for (uint32_t plane = 0; plane < picture_nplanes(format); plane++) {
        source->tape[plane] = malloc(picture_nbytes(format, plane));
        if (source->tape[plane] == NULL)
            abort();
    }
    for (uint32_t i = 0; picture_part(format, i, &part); i++) {
        uint8_t *to = source->tape[part.field->plane] + part.offset_nbytes;

        for (uint32_t row = 0; row < part.nrows; row++, to += part.stride)
            picture_tape_row(format, &part, row, &state, to);
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

/* Pixels of a row where the number is, in white on black. */
static void picture_number_row(const struct picture_part *part, uint8_t *row, uint32_t left,
                               uint32_t dot, const bool lit[PICTURE_CELLS])
{
    const struct picture_field *field = part->field;
    uint32_t n = (uint32_t)strlen(field->samples), end = left + PICTURE_CELLS * dot;
    uint16_t samples[PICTURE_GROUP_MAX];

    for (uint32_t x = left / field->width * field->width; x < end; x += field->width) {
        uint8_t *group = row + (size_t)(x / field->width) * part->group_nbytes;

        picture_unpack(part, group, samples);
        for (uint32_t i = 0; i < n; i++) {
            uint32_t at = x + picture_pixel_of(field, i, n);

            if (at >= left && at < end && strchr("UVX", field->samples[i]) == NULL)
                samples[i] = lit[(at - left) / dot] ? 1023 : 0;
        }
        picture_pack(part, samples, group);
    }
}

/* 3 x 5 dots a digit, where there is room. */
static void picture_number(const struct picture_format *format, uint32_t number, uint8_t *to)
{
    static const uint16_t digits[10] = {0x7b6f, 0x2c97, 0x73e7, 0x73cf, 0x5bc9,
                                        0x79cf, 0x79ef, 0x7249, 0x7bef, 0x7bcf};
    uint32_t dot = format->width / 64, left = 2 * dot, top = 2 * dot, high = 7;
    struct picture_part part;

    if (dot == 0 || top + high * dot > format->height || !picture_part(format, 0, &part))
        return;
    for (uint32_t line = 0; line < high; line++) {
        bool lit[PICTURE_CELLS] = {false};
        uint32_t rest = number;

        for (uint32_t place = PICTURE_DIGITS; line >= 1 && line <= 5 && place-- > 0; rest /= 10)
            for (uint32_t i = 0; i < 3; i++)
                lit[place * 4 + 1 + i] = digits[rest % 10] >> (14 - (line - 1) * 3 - i) & 1;
        for (uint32_t y = top + line * dot; y < top + (line + 1) * dot; y++)
            picture_number_row(&part, to + (size_t)y * part.stride, left, dot, lit);
    }
}

void picture_draw(const struct picture_source *source, uint32_t number, uint64_t time_ns,
                  uint32_t plane, uint8_t *to)
{
    const struct picture_format *format = &source->format;
    struct picture_start start = {{'S', 'I', 'M', 'V'}, number, time_ns};
    struct picture_part part;

    for (uint32_t i = 0; picture_part(format, i, &part); i++) {
        uint32_t step = picture_layouts[format->pixel].height_step / part.field->height;

        if (part.field->plane == plane)
            picture_roll(source->tape[plane] + part.offset_nbytes, to + part.offset_nbytes,
                         part.stride, part.nrows, (uint64_t)number * step);
    }
    if (plane == 0) {
        picture_number(format, number, to);
        memcpy(to, &start,
               picture_stride(format) < sizeof(start) ? picture_stride(format) : sizeof(start));
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
    const struct picture_layout *layout = &picture_layouts[from->pixel];
    struct picture_format to = *from;

    to.width = from->width / layout->width_step / shrink * layout->width_step;
    to.height = from->height / layout->height_step / shrink * layout->height_step;
    if (from->stride_nbytes == picture_row_nbytes(from))
        to.stride_nbytes = picture_row_nbytes(&to);
    else if (shrink != 1)
        to.stride_nbytes = 0;
    return to;
}

void picture_shrink(const struct picture_format *from, uint32_t shrink, uint32_t plane,
                    const uint8_t *bytes, uint8_t *to)
{
    struct picture_format small = picture_shrunk(from, shrink);
    struct picture_part in, out;

    if (shrink == 1) {
        memcpy(to, bytes, picture_nbytes(from, plane));
        return;
    }
    for (uint32_t i = 0; picture_part(from, i, &in) && picture_part(&small, i, &out); i++) {
        uint32_t pair = in.field->odd != NULL ? 2 : 1, nbytes = in.group_nbytes;

        for (uint32_t row = 0; in.field->plane == plane && row < out.nrows; row++) {
            uint64_t of = (uint64_t)(row / pair * shrink * pair + row % pair) * in.stride;
            const uint8_t *source = bytes + in.offset_nbytes + of;
            uint8_t *line = to + out.offset_nbytes + (size_t)row * out.stride;

            memset(line, 0, out.stride);
            for (uint32_t group = 0; group < out.ngroups; group++)
                memcpy(line + (size_t)group * nbytes, source + (size_t)group * shrink * nbytes,
                       nbytes);
        }
    }
}

/* Samples by letter. */
struct picture_colour {
    uint32_t sum[26], n[26]; /* from A on */
};

/* What belongs to a pixel is added: its own samples, and the colour that it shares. */
static void picture_add(const struct picture_format *format, const uint8_t *const plane[],
                        uint32_t x, uint32_t y, struct picture_colour *colour)
{
    uint16_t samples[PICTURE_GROUP_MAX];
    struct picture_part part;

    for (uint32_t i = 0; picture_part(format, i, &part); i++) {
        const struct picture_field *field = part.field;
        const char *letters = picture_samples(field, y / field->height);
        uint32_t n = (uint32_t)strlen(letters);

        picture_unpack(&part,
                       plane[field->plane] + part.offset_nbytes +
                           (uint64_t)(y / field->height) * part.stride +
                           (uint64_t)(x / field->width) * part.group_nbytes,
                       samples);
        for (uint32_t j = 0; j < n; j++) {
            if (picture_pixel_of(field, j, n) == x % field->width || letters[j] == 'U' ||
                letters[j] == 'V') {
                colour->sum[letters[j] - 'A'] += samples[j];
                colour->n[letters[j] - 'A']++;
            }
        }
    }
}

static int picture_mean(const struct picture_colour *colour, char letter)
{
    uint32_t n = colour->n[letter - 'A'];

    return n != 0 ? (int)(colour->sum[letter - 'A'] / n / 4) : 0;
}

static uint32_t picture_clip(int value)
{
    return value < 0 ? 0 : value > 255 ? 255 : (uint32_t)value;
}

/* Coefficients times 256. Divided, not shifted: a shift of a negative number is the compiler's own
 * affair. */
static uint32_t picture_yuv(int y, int u, int v)
{
    int c = 298 * (y - 16) + 128, d = u - 128, e = v - 128;

    return picture_clip((c + 409 * e) / 256) << 16 |
           picture_clip((c - 100 * d - 208 * e) / 256) << 8 | picture_clip((c + 516 * d) / 256);
}

uint32_t picture_rgb(const struct picture_format *format, const uint8_t *const plane[], uint32_t x,
                     uint32_t y)
{
    const struct picture_field *field = &picture_layouts[format->pixel].fields[0];
    struct picture_colour own = {{0}, {0}}, near = {{0}, {0}};
    static const char letters[] = "RGB";
    uint32_t rgb = 0;

    picture_add(format, plane, x, y, &own);
    if (own.n['Y' - 'A'] != 0 && own.n['U' - 'A'] != 0)
        return picture_yuv(picture_mean(&own, 'Y'), picture_mean(&own, 'U'),
                           picture_mean(&own, 'V'));
    if (own.n['Y' - 'A'] != 0)
        return (uint32_t)picture_mean(&own, 'Y') * 0x010101u;
    for (uint32_t i = 0; field->odd != NULL && i < 9; i++) {
        uint32_t nx = x + i % 3 - 1, ny = y + i / 3 - 1; /* left of 0 is beyond any width */

        if (nx < format->width && ny < format->height)
            picture_add(format, plane, nx, ny, &near);
    }
    for (uint32_t i = 0; i < 3; i++)
        rgb = rgb << 8 |
              (uint32_t)picture_mean(own.n[letters[i] - 'A'] != 0 ? &own : &near, letters[i]);
    return rgb;
}
