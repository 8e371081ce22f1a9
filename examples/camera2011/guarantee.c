/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guarantee.c - an area of exactly three pictures, and a promise on it
 *
 * The board says how much (a device tree would say it without code); the driver asks for the
 * promise when it is loaded. While the camera is off, the memory holds others' data.
 */
#include "camera.h"

/* --- the board --- */
static int guarantee_plan(struct camera *camera, struct cma_map *map)
{
    struct cma_range range = {.nbytes = CAMERA_NBYTES, .kind = CMA_RANGE_AREA, .name = "camera"};
    int error = cma_map_find(map, range.nbytes, 4096, 0, CMA_PADDR_MAX, false, &range.base);

    camera->kept = range.base;
    return error != 0 ? error : cma_map_reserve(map, &range, NULL);
}
/* --- the driver --- */
static int guarantee_probe(struct camera *camera)
{
    struct cma_promise_request request = {.nbytes = CAMERA_FRAME_NBYTES, .count = CAMERA_FRAMES};
    struct cma_admission why;

    return cma_device_admit(&camera->device, &camera->system->guarantees, &camera->promise,
                            &request, &why);
}

static int guarantee_remove(struct camera *camera)
{
    return cma_device_revoke(&camera->device, &camera->promise);
}
/* --- end --- */

const struct way way_guarantee = {.name = "5. area with a guarantee",
                                  .file = "guarantee.c",
                                  .plan = guarantee_plan,
                                  .probe = guarantee_probe,
                                  .remove = guarantee_remove};
