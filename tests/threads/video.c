/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * video.c - tests/model/video.c with real threads, for the sanitizer
 */
#define VIDEO_SCHEDULER SIM_THREADS
#include "../model/video.c"
