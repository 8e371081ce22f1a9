/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * board.c - the second proposal: board code reserves memory and assigns it in one call
 *
 * At boot, when there is enough in one piece; the driver may be loaded whenever it likes, and does
 * not know.
 */
#include "camera.h"

/* --- the board --- */
static int board_board(struct camera *camera)
{
    struct cma_exclusive_config config = {
        .name = "camera", .form = CMA_EXCLUSIVE_RESERVED, .nbytes = CAMERA_NBYTES};

    return cma_exclusive_declare(&camera->region, &camera->device, &config, camera->region_storage,
                                 sizeof(camera->region_storage), &camera->conflict,
                                 &camera->refusal);
}
/* --- the driver --- */
/* --- end --- */

const struct way way_board = {
    .name = "2. reserved by the board", .file = "board.c", .board = board_board};
