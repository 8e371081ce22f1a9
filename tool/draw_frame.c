/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * draw_frame.c - frames as devices write them -> RGB -> PNG; and where pictures are put
 */
#include "draw.h"
#include "draw_cairo.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FRAME_DOTS_MAX 32767u /* each way: cairo's own limit */

static const char *const frame_names[DRAW_FORMATS] = {"GREY", "YUYV", "NV12", "RGB24"};

int draw_format(const char *name, enum draw_format *format)
{
    if (strcmp(name, "NV12-ONE") == 0)
        name = "NV12";
    for (int i = 0; i < DRAW_FORMATS; i++)
        if (strcmp(name, frame_names[i]) == 0) {
            *format = (enum draw_format)i;
            return 0;
        }
    return -1;
}

static uint32_t frame_byte(int32_t value)
{
    return value < 0 ? 0 : value > 255 ? 255 : (uint32_t)value;
}

/* BT.601: brightness 16 to 235, colour 16 to 240; coefficients times 256. */
static uint32_t frame_yuv(int32_t y, int32_t u, int32_t v)
{
    int32_t c = 298 * (y - 16) + 128, d = u - 128, e = v - 128;

    /* Divided, not shifted: a shift of a negative number is the compiler's own affair. */
    return frame_byte((c + 409 * e) / 256) << 16 | frame_byte((c - 100 * d - 208 * e) / 256) << 8 |
           frame_byte((c + 516 * d) / 256);
}

/* Are `nlines` lines of `nbytes`, `stride` apart, all there? */
static bool frame_fits(uint64_t have, uint64_t stride, uint64_t nlines, uint64_t nbytes)
{
    return stride >= nbytes && have >= nbytes && (have - nbytes) / stride >= nlines - 1;
}

static uint64_t frame_line_nbytes(const struct draw_frame *frame)
{
    uint64_t even = frame->width + (frame->width & 1);

    return frame->format == DRAW_GREY    ? frame->width
           : frame->format == DRAW_YUYV  ? 2 * even
           : frame->format == DRAW_RGB24 ? 3ull * frame->width
                                         : even;
}

/* The frame with its stride and planes filled in. */
static int frame_resolve(const struct draw_frame *frame, struct draw_frame *whole)
{
    uint64_t line, luma, chroma_lines = frame->height / 2 + (frame->height & 1);

    *whole = *frame;
    if (frame->width == 0 || frame->height == 0 || frame->width > FRAME_DOTS_MAX ||
        frame->height > FRAME_DOTS_MAX || (unsigned)frame->format >= DRAW_FORMATS ||
        frame->plane[0] == NULL)
        return -1;
    line = frame_line_nbytes(frame);
    if (whole->stride == 0)
        whole->stride = (uint32_t)line;
    if (!frame_fits(frame->nbytes[0], whole->stride, frame->height, line))
        return -1;
    if (frame->format != DRAW_NV12)
        return 0;
    if (frame->plane[1] == NULL) {
        luma = (uint64_t)whole->stride * frame->height;
        if (frame->nbytes[0] < luma)
            return -1;
        whole->plane[1] = frame->plane[0] + luma;
        whole->nbytes[1] = frame->nbytes[0] - luma;
    }
    return frame_fits(whole->nbytes[1], whole->stride, chroma_lines, line) ? 0 : -1;
}

static uint32_t frame_dot(const struct draw_frame *frame, uint32_t x, uint32_t y)
{
    const uint8_t *line = frame->plane[0] + (size_t)y * frame->stride, *at;

    switch (frame->format) {
    case DRAW_GREY: return line[x] * 0x010101u;
    case DRAW_YUYV: at = line + 4 * (size_t)(x / 2); return frame_yuv(at[x % 2 * 2], at[1], at[3]);
    case DRAW_NV12:
        at = frame->plane[1] + (size_t)(y / 2) * frame->stride + x / 2 * 2;
        return frame_yuv(line[x], at[0], at[1]);
    default: at = line + 3 * (size_t)x; return (uint32_t)at[0] << 16 | at[1] << 8 | at[2];
    }
}

int draw_frame_rgb(const struct draw_frame *frame, uint32_t *rgb)
{
    struct draw_frame whole;

    if (frame_resolve(frame, &whole) != 0)
        return -1;
    for (uint32_t y = 0; y < whole.height; y++)
        for (uint32_t x = 0; x < whole.width; x++)
            *rgb++ = frame_dot(&whole, x, y);
    return 0;
}

int draw_frame_png(const struct draw_frame *frame, const char *path)
{
    cairo_surface_t *surface;
    struct draw_frame whole;
    int error;

    if (frame_resolve(frame, &whole) != 0) {
        fprintf(stderr, "cma: %s: this is no whole frame\n", path);
        return -1;
    }
    surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)whole.width, (int)whole.height);
    if (cairo_surface_status(surface) == CAIRO_STATUS_SUCCESS) {
        unsigned char *data = cairo_image_surface_get_data(surface);
        int stride = cairo_image_surface_get_stride(surface);

        for (uint32_t y = 0; y < whole.height; y++)
            for (uint32_t x = 0; x < whole.width; x++) {
                uint32_t dot = frame_dot(&whole, x, y);

                memcpy(data + (size_t)y * (size_t)stride + 4 * (size_t)x, &dot, sizeof(dot));
            }
        cairo_surface_mark_dirty(surface);
    }
    error = draw_write_png(surface, path);
    cairo_surface_destroy(surface);
    return error;
}

int draw_directory(const char *path)
{
    struct stat status;
    int error = 0;

    if (mkdir(path, 0777) != 0) {
        error = errno;
        if (error == EEXIST && stat(path, &status) == 0)
            error = S_ISDIR(status.st_mode) ? 0 : ENOTDIR;
    }
    if (error == 0 && access(path, W_OK | X_OK) != 0)
        error = errno;
    if (error != 0)
        fprintf(stderr, "cma: --out %s: can't write there: %s\n", path, strerror(error));
    return error != 0 ? -1 : 0;
}
