/* SPDX-License-Identifier: BSD-2-Clause */
/* problem.h - how the files of src/boot report a problem */
#ifndef CMA_BOOT_PROBLEM_H
#define CMA_BOOT_PROBLEM_H

#include <cma/boot.h>

/* Adds a problem and returns it for the caller to fill its numbers; where the list is full (or
 * NULL) it is counted as lost and the returned record is `spare`. */
struct cma_problem *cma__problem_add(struct cma_problems *problems, struct cma_problem *spare,
                                     uint32_t node, const char *property,
                                     enum cma_problem_kind kind);

#endif
