/* SPDX-License-Identifier: BSD-2-Clause */
/* map.h - what the files of src/boot know of the map; private */
#ifndef CMA_BOOT_MAP_H
#define CMA_BOOT_MAP_H

#include <cma/map.h>

/* Takes out all reserved ranges whose name is this very string. */
void cma__map_drop(struct cma_map *map, const char *name);

#endif
