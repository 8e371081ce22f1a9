/* SPDX-License-Identifier: BSD-2-Clause */
/* layout_promise.h - the part of `cma layout` that tells what was promised */
#ifndef CMA_TOOL_LAYOUT_PROMISE_H
#define CMA_TOOL_LAYOUT_PROMISE_H

#include "json.h"
#include "promise.h"

/* A machine with the board's map and no memory, on which guarantees are admitted. */
struct layout_machine {
    struct promises promises;
    struct cma_port port;
    struct board_zones zones;
    struct cma_system system;
    void *storage;
    struct cma_device *devices; /* as in the tree */
    const char *unjudged;       /* why nothing was admitted; NULL: all was judged */
};

/* Judges what the board promises. Returns 0, or EXIT_USAGE after a message. */
int layout_judge(struct layout_machine *machine, struct board *board);
void layout_forget(struct layout_machine *machine);

/* Both print nothing but an empty list for a board that promises nothing. */
void layout_text_promises(const struct layout_machine *machine);
void layout_json_promises(struct json *json, const struct layout_machine *machine);

/* Text out of a tree may hold anything: only what prints goes to a terminal. Good until the next
 * call. (layout.c) */
const char *layout_clean(const char *text);

#endif
