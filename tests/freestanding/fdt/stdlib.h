/* SPDX-License-Identifier: BSD-2-Clause */
/* stdlib.h - what libfdt.h wants from a C library, for targets that have none */
#ifndef SHIM_STDLIB_H
#define SHIM_STDLIB_H

#include <stddef.h>

unsigned long strtoul(const char *string, char **end, int base);

#endif
