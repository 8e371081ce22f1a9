/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mem.h - the four functions that the core wants from outside
 *
 * A freestanding compiler has no <string.h>, yet expects the program to bring these four, and calls
 * them itself. Declared here as the C library declares them, so that both may be seen at once.
 */
#ifndef CMA_BASE_MEM_H
#define CMA_BASE_MEM_H

#include <stddef.h>

int memcmp(const void *a, const void *b, size_t nbytes);
void *memcpy(void *to, const void *from, size_t nbytes);
void *memmove(void *to, const void *from, size_t nbytes);
void *memset(void *memory, int byte, size_t nbytes);

#endif
