/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.c - the engine of areas that have one
 */
#include "engine.h"

const struct cma_area_engine cma_area_engine = {
    .alloc = cma__quick_alloc,
    .pick = cma__quick_pick,
    .count = cma__quick_count,
    .release = cma__quick_release,
    .classes = cma__classes_begin,
    .part = cma__classes_part,
    .explain = cma__area_explain,
    .evacuate = cma__window_evacuate_runs,
};
