/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mapped.c - the third proposal: who declares memory says where the CPU has it
 *
 * dma_declare_coherent_memory(dev, virt_addr, device_addr, size, flags): nothing is mapped inside.
 * Here the board has its block from an ordinary allocation at boot, as the Amstrad Delta had; it
 * could as well be a part of on-chip memory that one large mapping covers.
 */
#include "camera.h"

/* --- the board --- */
static int mapped_board(struct camera *camera)
{
    struct cma_coherent_request request = {.nbytes = CAMERA_NBYTES};
    struct cma_exclusive_config config = {
        .name = "camera", .form = CMA_EXCLUSIVE_MAPPED, .nbytes = CAMERA_NBYTES};
    int error = cma_dma_alloc_coherent(&camera->device, &request, &camera->boot, &camera->refusal);

    if (error != 0) {
        return error;
    }
    config.paddr = camera->boot.paddr;
    config.vaddr = camera->boot.vaddr;
    return cma_exclusive_declare(&camera->region, &camera->device, &config, camera->region_storage,
                                 sizeof(camera->region_storage), &camera->conflict,
                                 &camera->refusal);
}
/* --- the driver --- */
/* --- end --- */

const struct way way_mapped = {
    .name = "3. mapped by the board", .file = "mapped.c", .board = mapped_board};
