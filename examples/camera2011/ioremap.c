/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ioremap.c - the boards of 2010: RAM is put aside and mapped a second time
 *
 * The memory is mapped cached like all RAM, and declared as if it were a device's own: then it is
 * mapped once more, uncached. Processors from ARMv6 on may do anything then.
 */
#include "camera.h"

/* --- the board --- */
static int ioremap_plan(struct camera *camera, struct cma_map *map)
{
    struct cma_range range = {
        .nbytes = CAMERA_NBYTES, .kind = CMA_RANGE_RESERVED, .name = "camera"};
    int error = cma_map_find(map, range.nbytes, 4096, 0, CMA_PADDR_MAX, false, &range.base);

    camera->kept = range.base;
    return error != 0 ? error : cma_map_reserve(map, &range, NULL);
}

static int ioremap_board(struct camera *camera)
{
    struct cma_exclusive_config config = {.name = "camera",
                                          .form = CMA_EXCLUSIVE_DEVICE,
                                          .paddr = camera->kept,
                                          .nbytes = CAMERA_NBYTES};

    return cma_exclusive_declare(&camera->region, &camera->device, &config, camera->region_storage,
                                 sizeof(camera->region_storage), &camera->conflict,
                                 &camera->refusal);
}
/* --- the driver --- */
/* --- end --- */

const struct way way_ioremap = {.name = "2010: mapped twice",
                                .file = "ioremap.c",
                                .plan = ioremap_plan,
                                .board = ioremap_board};
