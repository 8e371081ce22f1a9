/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scenario_format.c - how many bytes a picture has: the formats of picture.h, without a gap behind
 * rows
 */
#include "scenario.h"

#include <stdio.h>
#include <string.h>

void scenario_format_names(char *text, size_t nbytes)
{
    size_t length = 0;

    text[0] = '\0';
    for (int i = 0; i < PICTURE_PIXELS && length < nbytes; i++)
        length += (size_t)snprintf(text + length, nbytes - length, "%s%s", i != 0 ? ", " : "",
                                   picture_pixel_name((enum picture_pixel)i));
}

int scenario_format(struct scenario_format *format, const char *name, uint32_t width,
                    uint32_t height, const char **why)
{
    struct picture_format *picture = &format->picture;

    *format = (struct scenario_format){.picture = {.width = width, .height = height}};
    *why = "no such format";
    if (!picture_pixel_parse(name, &picture->pixel))
        return -1;
    picture->stride_nbytes = picture_row_nbytes(picture);
    *why = "width and height must be whole groups of dots that share bytes or colour";
    if (!picture_format_is_valid(picture))
        return -1;
    format->name = picture_pixel_name(picture->pixel);
    format->nplanes = picture_nplanes(picture);
    for (uint32_t i = 0; i < format->nplanes; i++)
        format->plane_nbytes[i] = picture_nbytes(picture, i);
    return 0;
}
