/* SPDX-License-Identifier: BSD-2-Clause */
/* camera.c - the camera is switched on and off: the same for all ways */
#include "camera.h"

static int camera_free(struct camera *camera, uint32_t nframes)
{
    int error = 0;

    while (nframes-- > 0 && error == 0) {
        error = cma_dma_free_coherent(&camera->device, &camera->frames[nframes]);
    }
    return error;
}

int camera_open(struct camera *camera)
{
    struct cma_coherent_request request = {.nbytes = CAMERA_FRAME_NBYTES};

    for (uint32_t i = 0; i < CAMERA_FRAMES; i++) {
        int error =
            cma_dma_alloc_coherent(&camera->device, &request, &camera->frames[i], &camera->refusal);

        if (error != 0) {
            return camera_free(camera, i) == 0 ? error : CMA_EBADF;
        }
    }
    return 0;
}

int camera_close(struct camera *camera)
{
    return camera_free(camera, CAMERA_FRAMES);
}
