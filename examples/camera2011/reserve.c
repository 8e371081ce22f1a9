/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reserve.c - the first proposal: the driver reserves ordinary memory for its device
 *
 * dma_reserve_coherent_memory(dev, size, flags), called when the driver probes; given back when it
 * goes. The board does nothing and need not know the camera.
 */
#include "camera.h"

/* --- the board --- */
/* --- the driver --- */
static int reserve_probe(struct camera *camera)
{
    struct cma_exclusive_config config = {
        .name = "camera", .form = CMA_EXCLUSIVE_RESERVED, .nbytes = CAMERA_NBYTES};

    return cma_exclusive_declare(&camera->region, &camera->device, &config, camera->region_storage,
                                 sizeof(camera->region_storage), &camera->conflict,
                                 &camera->refusal);
}

static int reserve_remove(struct camera *camera)
{
    return cma_exclusive_release(&camera->region);
}
/* --- end --- */

const struct way way_reserve = {.name = "1. reserved by the driver",
                                .file = "reserve.c",
                                .probe = reserve_probe,
                                .remove = reserve_remove};
