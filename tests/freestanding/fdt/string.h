/* SPDX-License-Identifier: BSD-2-Clause */
/* string.h - what libfdt.h wants from a C library, for targets that have none */
#ifndef SHIM_STRING_H
#define SHIM_STRING_H

#include <stddef.h>

void *memchr(const void *memory, int byte, size_t nbytes);
int memcmp(const void *a, const void *b, size_t nbytes);
void *memcpy(void *to, const void *from, size_t nbytes);
void *memmove(void *to, const void *from, size_t nbytes);
void *memset(void *memory, int byte, size_t nbytes);
char *strchr(const char *string, int c);
size_t strlen(const char *string);
size_t strnlen(const char *string, size_t nbytes);
char *strrchr(const char *string, int c);

#endif
