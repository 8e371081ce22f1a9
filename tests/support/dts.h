/* SPDX-License-Identifier: BSD-2-Clause */
/* dts.h - device-tree sources in tests: text in, a blob of exactly its own size out */
#ifndef CMA_TESTS_DTS_H
#define CMA_TESTS_DTS_H

#include <stddef.h>

/* Compiles the source with dtc, without its warnings. The blob is malloc'ed; NULL when dtc refuses
 * (-f is given, so only syntax stops it). */
void *dts_compile(const char *source, size_t *nbytes);

#endif
