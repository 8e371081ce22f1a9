/* SPDX-License-Identifier: BSD-2-Clause */
/* progress.h - a bar on a terminal: one line on stderr, nothing at all when that is no terminal */
#ifndef CMA_TOOL_PROGRESS_H
#define CMA_TOOL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct progress {
    bool on;            /* stderr is a terminal */
    const char *what;   /* "filling memory" */
    unsigned per_mille; /* as drawn last */
};

void progress_start(struct progress *progress, const char *what);
/* Redraws when something would change on the screen. */
void progress_at(struct progress *progress, uint64_t done, uint64_t all);
/* Wipes the line, so that what is printed next stands where the bar was. */
void progress_end(struct progress *progress);

#endif
