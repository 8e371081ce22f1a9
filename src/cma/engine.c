/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.c - the engine of areas that have one
 */
#include "engine.h"

const struct cma_area_engine cma_area_engine = {
    .explain = cma__area_explain,
};
