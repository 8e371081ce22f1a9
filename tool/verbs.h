/* SPDX-License-Identifier: BSD-2-Clause */
/* verbs.h - one function for each word behind `cma`; argv[0] is the verb, the result is the exit
 * code */
#ifndef CMA_TOOL_VERBS_H
#define CMA_TOOL_VERBS_H

int verb_layout(int argc, char **argv);
int verb_run(int argc, char **argv);
int verb_drive(int argc, char **argv);

#endif
