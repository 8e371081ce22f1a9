/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * streaming.c - tests/model/streaming.c with real threads, for the sanitizer
 */
#define STREAMING_SCHEDULER SIM_THREADS
#include "../model/streaming.c"
