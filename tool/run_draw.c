/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run_draw.c - `cma run --out DIR`: which pictures, under which names
 *
 * A run is looked at while it goes on, from inside its fibres, and drawn when it is over: looking
 * takes no lock and costs no simulated time, so a run with pictures is the same run. What is kept
 * meanwhile is small: a byte a square, and the bytes of the frames that are wanted.
 */
#include "draw.h"
#include "json.h"
#include "run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUN_DRAW_NAME 64

struct run_drawing {
    struct run_drawing *next;
    char name[RUN_DRAW_NAME]; /* of the file, without directory and ending */
    bool is_map;
    struct draw_map map;
    struct draw_frame frame;
    uint8_t *planes[2];
};

struct run_draw {
    struct run_drawing *first, **last;
    uint32_t streaming, most; /* devices that have all their buffers: now, and at most */
};

static struct run_drawing *run_drawing(struct run *run, const char *name)
{
    struct run_drawing *drawing;
    char whole[RUN_DRAW_NAME];

    if (run->draw == NULL) {
        run->draw = run_calloc(1, sizeof(*run->draw));
        run->draw->last = &run->draw->first;
    }
    snprintf(whole, sizeof(whole), "%s%s",
             !run->options.compare              ? ""
             : run->options.policy == RUN_LINUX ? "linux-"
                                                : "libcma-",
             name);
    /* A name may be a device's, out of a file: no path may come of it. */
    for (char *at = whole; *at != '\0'; at++)
        if (*at <= ' ' || *at > '~' || *at == '/' || (*at == '.' && at == whole))
            *at = '-';
    for (drawing = run->draw->first; drawing != NULL; drawing = drawing->next)
        if (strcmp(drawing->name, whole) == 0)
            break;
    if (drawing == NULL) {
        drawing = run_calloc(1, sizeof(*drawing));
        memcpy(drawing->name, whole, sizeof(whole));
        *run->draw->last = drawing;
        run->draw->last = &drawing->next;
    }
    draw_map_free(&drawing->map);
    free(drawing->planes[0]);
    free(drawing->planes[1]);
    drawing->planes[0] = drawing->planes[1] = NULL;
    return drawing;
}

/* A scenario's name, or the last part of the path in the tree, without its address. */
static const char *run_draw_owner(void *ctx, uint32_t owner)
{
    struct run *run = ctx;
    static char name[64];

    for (uint32_t i = 0; i < run->ndevices; i++) {
        const char *path = run->devices[i].path, *slash = strrchr(path, '/');

        if (run->devices[i].dma.config.owner != owner)
            continue;
        if (run->devices[i].scenario != NULL)
            return run->devices[i].scenario->name;
        snprintf(name, sizeof(name), "%s", slash != NULL ? slash + 1 : path);
        name[strcspn(name, "@")] = '\0';
        return name[0] != '\0' ? name : "camera";
    }
    return NULL;
}

static struct run_drawing *run_draw_take(struct run *run, const char *name, const char *title)
{
    struct draw_source source = {
        .frames = &run->system.frames,
        .map = &run->board.map,
        .page_shift = run->board.page_shift,
        .owner_name = run_draw_owner,
        .ctx = run,
    };
    struct run_drawing *drawing;
    char subtitle[DRAW_TEXT];
    uint64_t us = sim_now_ns(run->sim) > run->began_ns && run->began_ns != 0
                      ? (sim_now_ns(run->sim) - run->began_ns) / 1000
                      : 0;

    snprintf(
        subtitle, sizeof(subtitle), "%.120s, after %" PRIu64 ".%03" PRIu64 " simulated seconds%s",
        run->board.fdt.model[0] != '\0' ? run->board.fdt.model : "(no model name)", us / 1000000,
        us / 1000 % 1000, run->options.policy == RUN_LINUX ? ", under Linux's policy" : "");
    drawing = run_drawing(run, name);
    drawing->is_map = true;
    if (draw_map_take(&drawing->map, &source, title, subtitle) != 0)
        run_die("not enough memory");
    return drawing;
}

void run_draw_map(struct run *run, const char *name, const char *title)
{
    if (run->options.out != NULL)
        (void)run_draw_take(run, name, title);
}

/* Says who streams, and from whom the buffers were taken since the first map. */
static void run_draw_tell(struct run *run, struct draw_map *map)
{
    const struct run_drawing *drawing = run->draw->first;
    const char *name = "a device";

    for (uint32_t i = 0; i < map->nparts; i++)
        if (map->parts[i].kind == DRAW_PART_BUFFER)
            name = map->parts[i].name;
    if (map->ndevices > 1)
        snprintf(map->title, sizeof(map->title),
                 "While %" PRIu32 " devices stream: their buffers are in their hands",
                 map->ndevices);
    else
        snprintf(map->title, sizeof(map->title), "While %s streams: its buffers are in its hands",
                 name);
    if (drawing->is_map)
        draw_map_compare(map, &drawing->map);
}

void run_draw_streaming(struct run *run, bool begins)
{
    struct run_draw *draw = run->draw;

    if (draw == NULL)
        return;
    draw->streaming = begins ? draw->streaming + 1 : draw->streaming - 1;
    if (!begins || draw->streaming <= draw->most)
        return;
    draw->most = draw->streaming;
    run_draw_tell(run, &run_draw_take(run, "map-2-streaming", "")->map);
}

void run_draw_frame(struct run *run, const char *name, const struct draw_frame *frame)
{
    struct run_drawing *drawing;

    if (run->options.out == NULL)
        return;
    drawing = run_drawing(run, name);
    drawing->is_map = false;
    drawing->frame = *frame;
    for (int i = 0; i < 2; i++) {
        if (frame->plane[i] == NULL || frame->nbytes[i] == 0)
            continue;
        drawing->planes[i] = run_calloc(1, frame->nbytes[i]);
        memcpy(drawing->planes[i], frame->plane[i], frame->nbytes[i]);
        drawing->frame.plane[i] = drawing->planes[i];
    }
}

/* Is there a picture of this name? */
static bool run_draw_has(const struct run *run, const char *name)
{
    const struct run_drawing *drawing = run->draw != NULL ? run->draw->first : NULL;
    size_t length = strlen(name);

    for (; drawing != NULL; drawing = drawing->next) {
        size_t nbytes = strlen(drawing->name);

        if (nbytes >= length && strcmp(drawing->name + (nbytes - length), name) == 0)
            return true;
    }
    return false;
}

void run_draw_captured(struct run *run, const char *device, const struct picture_format *format,
                       const uint8_t *const planes[])
{
    struct draw_frame frame = {.format = *format};
    char first[48], middle[48], last[48];
    uint64_t half_ns = run->began_ns + (run->ends_ns - run->began_ns) / 2;

    if (run->options.out == NULL)
        return;
    for (uint32_t i = 0; i < picture_nplanes(format); i++) {
        frame.plane[i] = planes[i];
        frame.nbytes[i] = picture_nbytes(format, i);
    }
    snprintf(first, sizeof(first), "frame-%.24s-1-first", device);
    snprintf(middle, sizeof(middle), "frame-%.24s-2-middle", device);
    snprintf(last, sizeof(last), "frame-%.24s-3-last", device);
    if (!run_draw_has(run, first))
        run_draw_frame(run, first, &frame);
    else if (!run_draw_has(run, middle) && sim_now_ns(run->sim) >= half_ns)
        run_draw_frame(run, middle, &frame);
    else
        run_draw_frame(run, last, &frame);
}

int run_draw_write(struct run *run)
{
    struct run_drawing *drawing = run->draw != NULL ? run->draw->first : NULL;
    int error = 0;

    for (; drawing != NULL && error == 0; drawing = drawing->next) {
        size_t nbytes = strlen(run->options.out) + RUN_DRAW_NAME + 8;
        char *path = run_calloc(1, nbytes);

        snprintf(path, nbytes, "%s/%s.png", run->options.out, drawing->name);
        error = drawing->is_map ? draw_map_png(&drawing->map, path)
                                : draw_frame_png(&drawing->frame, path);
        snprintf(path, nbytes, "%s/%s.svg", run->options.out, drawing->name);
        if (error == 0 && drawing->is_map)
            error = draw_map_svg(&drawing->map, path);
        free(path);
    }
    draw_end();
    return error != 0 ? EXIT_USAGE : 0;
}

void run_draw_free(struct run *run)
{
    while (run->draw != NULL && run->draw->first != NULL) {
        struct run_drawing *drawing = run->draw->first;

        run->draw->first = drawing->next;
        draw_map_free(&drawing->map);
        free(drawing->planes[0]);
        free(drawing->planes[1]);
        free(drawing);
    }
    free(run->draw);
    run->draw = NULL;
}

void report_text_drawings(const struct run *run)
{
    const struct run_drawing *drawing = run->draw != NULL ? run->draw->first : NULL;

    if (drawing != NULL)
        puts("pictures");
    for (; drawing != NULL; drawing = drawing->next) {
        fputs("    ", stdout);
        report_name(run->options.out);
        printf("/%s.png%s\n", drawing->name, drawing->is_map ? " (and .svg)" : "");
    }
}

void report_json_drawings(struct json *json, const struct run *run)
{
    const struct run_drawing *drawing = run->draw != NULL ? run->draw->first : NULL;

    if (drawing == NULL)
        return;
    json_open(json, "files", '[');
    for (; drawing != NULL; drawing = drawing->next) {
        char name[RUN_DRAW_NAME + 8];

        snprintf(name, sizeof(name), "%s.png", drawing->name);
        json_string(json, NULL, name);
        snprintf(name, sizeof(name), "%s.svg", drawing->name);
        if (drawing->is_map)
            json_string(json, NULL, name);
    }
    json_close(json, ']');
}
