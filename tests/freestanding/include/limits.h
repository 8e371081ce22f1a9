/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limits.h - the few limits that libfdt.h and the core use. A compiler that was built for a target
 * without a C library brings this file itself; those of a hosted system ask the C library for it.
 */
#ifndef SHIM_LIMITS_H
#define SHIM_LIMITS_H

#define CHAR_BIT __CHAR_BIT__
#define INT_MAX __INT_MAX__
#define INT_MIN (-INT_MAX - 1)
#define UINT_MAX (INT_MAX * 2U + 1U)
#define LONG_MAX __LONG_MAX__

#endif
