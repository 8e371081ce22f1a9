/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scenario.h - what a file for `cma run --scenario` says (docs/SCENARIO.md)
 *
 * A scenario is text: a board, what the rest of its memory does, and devices with their formats and
 * the times at which they are opened and closed. It is read whole or not at all: the first thing
 * that is wrong is named with its line and with what was expected there.
 */
#ifndef CMA_TOOL_SCENARIO_H
#define CMA_TOOL_SCENARIO_H

#include "../ports/sim/picture.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    SCENARIO_DEVICES_MAX = 16,
    SCENARIO_OPENS_MAX = 16,                  /* of one device */
    SCENARIO_BUFFERS_MAX = 32,                /* of one device */
    SCENARIO_PLANES_MAX = PICTURE_PLANES_MAX, /* of one buffer */
    SCENARIO_DOTS_MAX = 16384,                /* each way */
    SCENARIO_RATE_MAX = 1000,                 /* a second */
    SCENARIO_MOVES_MAX = 65536,               /* page copies for one promised block */
    SCENARIO_PINS_MAX = 100,
    SCENARIO_SECONDS_MAX = 100000,
    SCENARIO_TITLE_NBYTES = 128,
    SCENARIO_TEXT_NBYTES = 256, /* of a path or command line */
    SCENARIO_NAME_NBYTES = 32,
    SCENARIO_FILE_NBYTES = 65536,
    SCENARIO_ERROR_NBYTES = 320
};

enum scenario_kind {
    SCENARIO_CAMERA,  /* writes frames in real time: one that finds no buffer is dropped */
    SCENARIO_DECODER, /* the same, at the pace of its program */
    SCENARIO_DISPLAY, /* reads frames that the CPU drew */
    SCENARIO_SCALER,  /* reads frames of another device and writes its own */
    SCENARIO_KINDS
};

/* Open at begin_us for length_us; then again and again, each period_us. */
struct scenario_open {
    uint64_t begin_us;
    uint64_t length_us; /* UINT64_MAX: to the end */
    uint64_t period_us; /* 0: once */
};

struct scenario_format {
    const char *name; /* V4L2's, "NV12"; NULL: none was said */
    struct picture_format picture;
    uint32_t nplanes; /* pieces of memory of one buffer */
    uint64_t plane_nbytes[SCENARIO_PLANES_MAX];
};

struct scenario_device {
    enum scenario_kind kind;
    char name[SCENARIO_NAME_NBYTES];
    char node[SCENARIO_TEXT_NBYTES]; /* path in the board's tree; "": it has none */
    struct scenario_format format;
    uint32_t nbuffers;
    uint32_t rate; /* frames a second */
    bool promise;  /* its buffers are guaranteed, with so many copies at most for one */
    uint32_t max_moves;
    char group[SCENARIO_NAME_NBYTES]; /* of devices that are never open together; "": none */
    bool reads;                       /* the frames of another device, and is open when that is */
    bool opened;     /* it has lines that open it, not only those of whom it reads */
    uint32_t source; /* then: that one's number */
    struct scenario_open opens[SCENARIO_OPENS_MAX];
    uint32_t nopens;
    uint32_t line; /* where it begins */
    uint32_t node_line;
    /* private */
    uint32_t said; /* bit for each word that was said */
    uint32_t source_line, group_line;
    char source_name[SCENARIO_NAME_NBYTES];
};

struct scenario {
    char title[SCENARIO_TITLE_NBYTES];
    char board[SCENARIO_TEXT_NBYTES];
    char cmdline[SCENARIO_TEXT_NBYTES];
    bool has_cmdline, has_fill, has_droppable, has_pins, has_seed;
    uint64_t memory_nbytes; /* 0: the board's */
    bool granule_page;      /* areas come in steps of a page */
    uint64_t seconds;       /* 0: not said */
    uint64_t fill, droppable, pins, seed;
    struct scenario_device devices[SCENARIO_DEVICES_MAX];
    uint32_t ndevices;
    uint32_t board_line;
    uint32_t said; /* private */
};

struct scenario_error {
    uint32_t line; /* 1 up; 0: the file as a whole */
    char text[SCENARIO_ERROR_NBYTES];
};

/* Reads nbytes of text, any bytes. Returns 0, or -1 with *error; *scenario is then of no use. */
int scenario_parse(struct scenario *scenario, const char *text, size_t nbytes,
                   struct scenario_error *error);

/* The words of the format, for messages and help. */
const char *scenario_kind_name(enum scenario_kind kind);

/* Bytes of each plane. Returns 0, or -1: no such format, or not of that size (*why says so). */
int scenario_format(struct scenario_format *format, const char *name, uint32_t width,
                    uint32_t height, const char **why);

/* The names of all formats, separated by ", ". */
void scenario_format_names(char *text, size_t nbytes);

/* Is the device to be open at the time, and if so, from when until when (the end: UINT64_MAX)? Else
 * when is it next (UINT64_MAX: never again) in *from_us. */
bool scenario_is_open(const struct scenario_device *device, uint64_t at_us, uint64_t *from_us,
                      uint64_t *until_us);

#endif
