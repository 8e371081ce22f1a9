/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * promise.h - what a board promises its devices, admitted on a machine
 *
 * Both verbs use it: `cma run` on the machine that it simulates, `cma layout` on one that has the
 * board's memory map and no memory. At boot memory is empty, so what is admitted is the same.
 *     promises_read     what the tree says, and room for it
 *     promises_config   into the config of the system: slots, size classes
 *     promises_admit    one after the other, in the reader's order
 */
#ifndef CMA_TOOL_PROMISE_H
#define CMA_TOOL_PROMISE_H

#include "board.h"
#include "sentence.h"

#include <cma/system.h>

struct promise {
    const struct cma_fdt_guarantee *said;
    struct cma_device *device; /* NULL: there is none that could have it */
    struct cma_device_promise promise;
    struct cma_admission why; /* when it was refused */
    int error;                /* 0: admitted */
    uint64_t block_npages;
    cma_pfn_t *slots; /* those that came with it, in address order */
    uint32_t nslots;
    uint32_t nshared; /* blocks that lie in the slots of others of its group */
};

struct promises {
    struct board *board;
    struct promise *list; /* in the order of admission */
    uint32_t count;
    uint32_t nadmitted;
    struct cma_guarantee_group *groups;
    struct cma_size_class *classes; /* of all regions */
    uint32_t *first_class;          /* by region */
};

/* Returns 0, or -1: this machine has no memory. */
int promises_read(struct promises *promises, struct board *board);
void promises_free(struct promises *promises);

/* The part of the config that the board decides. */
void promises_config(struct promises *promises, struct cma_system_config *config);

/* Admits all of them. `device` says who a device of the tree (its index) is; it may be NULL.
 * Returns 0, or -1: this machine has no memory. */
int promises_admit(struct promises *promises, struct cma_system *system,
                   struct cma_device *(*device)(void *ctx, uint32_t index), void *ctx);

/* Cuts the question to the part of the area that a request of this length may lie in. */
struct oracle_question;
void promises_part(const struct promises *promises, const struct cma_range *range,
                   struct oracle_question *question);

/* "6 blocks of 3 MiB, 0 copies": what was promised. */
void promise_text(const struct promise *promise, char *text, size_t nbytes);
/* To the byte: "3040 KiB". */
const char *promise_size(uint64_t nbytes, char text[32]);
/* Why not, and what would have been admitted, as a sentence. */
void promise_sentence(const struct promises *promises, const struct promise *promise,
                      char text[SENTENCE_NBYTES]);

/* The name of the area that it is on. */
const char *promise_area(const struct promises *promises, const struct promise *promise);

#endif
