/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * steal.c - memory stolen from the map before anything is mapped, and declared
 *
 * No allocator and no linear mapping ever has it, so there is nothing to take apart; the port maps
 * it when it is declared.
 */
#include "camera.h"

/* --- the board --- */
static int steal_plan(struct camera *camera, struct cma_map *map)
{
    return cma_map_steal(map, CAMERA_NBYTES, 4096, 0, CMA_PADDR_MAX, "camera", &camera->kept);
}

static int steal_board(struct camera *camera)
{
    struct cma_exclusive_config config = {.name = "camera",
                                          .form = CMA_EXCLUSIVE_STOLEN,
                                          .paddr = camera->kept,
                                          .nbytes = CAMERA_NBYTES};

    return cma_exclusive_declare(&camera->region, &camera->device, &config, camera->region_storage,
                                 sizeof(camera->region_storage), &camera->conflict,
                                 &camera->refusal);
}
/* --- the driver --- */
/* --- end --- */

const struct way way_steal = {.name = "4. unmapped and declared",
                              .file = "steal.c",
                              .plan = steal_plan,
                              .board = steal_board};
