/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scenario_format.c - how many bytes a picture has
 *
 * Lines have no padding. The names are those of V4L2's formats without the prefix.
 */
#include "scenario.h"

#include <stdio.h>
#include <string.h>

/* Bits for a dot, in each plane, and what width and height must be multiples of. */
static const struct {
    const char *name;
    uint32_t nplanes;
    uint32_t bits[SCENARIO_PLANES_MAX];
    uint32_t width_step, height_step;
} formats[] = {
    {"NV12", 1, {12, 0}, 2, 2},     /* brightness, then colour for each 2 x 2 dots */
    {"NV12M", 2, {8, 4}, 2, 2},     /* the same in two pieces of memory */
    {"NV16", 1, {16, 0}, 2, 1},     /* colour for each two dots */
    {"YUYV", 1, {16, 0}, 2, 1},     /* the same, interleaved */
    {"GREY", 1, {8, 0}, 1, 1},      /* brightness only: infrared cameras */
    {"RGB565", 1, {16, 0}, 1, 1},   /* */
    {"XRGB8888", 1, {32, 0}, 1, 1}, /* displays */
    {"SRGGB8", 1, {8, 0}, 2, 2},    /* as it comes from the sensor */
    {"SRGGB10P", 1, {10, 0}, 4, 2}, /* four dots in five bytes */
};

void scenario_format_names(char *text, size_t nbytes)
{
    size_t length = 0;

    text[0] = '\0';
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]) && length < nbytes; i++)
        length += (size_t)snprintf(text + length, nbytes - length, "%s%s", i != 0 ? ", " : "",
                                   formats[i].name);
}

int scenario_format(struct scenario_format *format, const char *name, uint32_t width,
                    uint32_t height, const char **why)
{
    for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        if (strcmp(formats[i].name, name) != 0)
            continue;
        *why = "width and height must be whole groups of dots that share colour";
        if (width % formats[i].width_step != 0 || height % formats[i].height_step != 0)
            return -1;
        *format = (struct scenario_format){
            .name = formats[i].name,
            .width = width,
            .height = height,
            .nplanes = formats[i].nplanes,
        };
        for (uint32_t k = 0; k < formats[i].nplanes; k++)
            format->plane_nbytes[k] = (uint64_t)width * height * formats[i].bits[k] / 8;
        return 0;
    }
    *why = "no such format";
    return -1;
}
