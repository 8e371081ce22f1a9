/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * draw_frame.c - frames as devices write them -> PNG; and where pictures are put
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

/* Are `nlines` lines of `nbytes`, `stride` apart, all there? */
static bool frame_fits(uint64_t have, uint64_t stride, uint64_t nlines, uint64_t nbytes)
{
    return stride >= nbytes && have >= nbytes && (have - nbytes) / stride >= nlines - 1;
}

/* Are all planes long enough for the format? The last row needs no gap behind it. */
static bool frame_is_whole(const struct draw_frame *frame)
{
    const struct picture_format *format = &frame->format;

    if (!picture_format_is_valid(format) || format->width > FRAME_DOTS_MAX ||
        format->height > FRAME_DOTS_MAX)
        return false;
    for (uint32_t i = 0; i < picture_nplanes(format); i++)
        if (frame->plane[i] == NULL ||
            !frame_fits(frame->nbytes[i], picture_stride(format), picture_rows(format, i),
                        picture_row_nbytes(format)))
            return false;
    return true;
}

int draw_frame_rgb(const struct draw_frame *frame, uint32_t *rgb)
{
    if (!frame_is_whole(frame))
        return -1;
    for (uint32_t y = 0; y < frame->format.height; y++)
        for (uint32_t x = 0; x < frame->format.width; x++)
            *rgb++ = picture_rgb(&frame->format, frame->plane, x, y);
    return 0;
}

int draw_frame_png(const struct draw_frame *frame, const char *path)
{
    uint32_t width = frame->format.width, height = frame->format.height;
    cairo_surface_t *surface;
    int error;

    if (!frame_is_whole(frame)) {
        fprintf(stderr, "cma: %s: this is no whole frame\n", path);
        return -1;
    }
    surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)width, (int)height);
    if (cairo_surface_status(surface) == CAIRO_STATUS_SUCCESS) {
        unsigned char *data = cairo_image_surface_get_data(surface);
        int stride = cairo_image_surface_get_stride(surface);

        for (uint32_t y = 0; y < height; y++)
            for (uint32_t x = 0; x < width; x++) {
                uint32_t dot = picture_rgb(&frame->format, frame->plane, x, y);

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
