/* SPDX-License-Identifier: BSD-2-Clause */
/* draw_cairo.h - what the files that draw share */
#ifndef CMA_TOOL_DRAW_CAIRO_H
#define CMA_TOOL_DRAW_CAIRO_H

#include <cairo/cairo.h>

/* Writes a surface as PNG. Returns 0, or -1 with a message on stderr. */
int draw_write_png(cairo_surface_t *surface, const char *path);

#endif
