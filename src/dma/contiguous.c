/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * contiguous.c - memory in one piece that is not coherent
 *
 * The sources of coherent memory, and its mapping but for one thing: it stays cached. It is zeroed
 * and cleaned, all of it, so it comes as if it had just been mapped for the device; from there on
 * it is synced like a streaming mapping, by its device address, and nobody needs to remember that.
 */
#include "device.h"

#define CONTIGUOUS_NEVER \
    (CMA_COHERENT_NO_MAPPING | CMA_COHERENT_WRITE_COMBINE | CMA_COHERENT_NOSLEEP)

int cma_dma_alloc_contiguous(struct cma_device *device, const struct cma_coherent_request *request,
                             enum cma_direction direction, struct cma_contiguous *contiguous,
                             struct cma_refusal *refusal)
{
    struct cma_coherent made;
    int error;

    if ((uint32_t)direction > CMA_FROM_DEVICE || (request->flags & CONTIGUOUS_NEVER) != 0) {
        return refuse_with(refusal, CMA_EINVAL, CMA_REASON_ARGUMENT);
    }
    error = cma__coherent_request(device, request, CMA__COHERENT_ORDINARY | CMA__COHERENT_CACHED,
                                  &made, refusal);
    if (error != 0) {
        return error;
    }
    contiguous->buffer = made;
    contiguous->direction = direction;
    return 0;
}

int cma_dma_free_contiguous(struct cma_device *device, const struct cma_contiguous *contiguous)
{
    if ((contiguous->buffer.flags & CMA__COHERENT_CACHED) == 0) {
        return CMA_EINVAL;
    }
    return cma__coherent_free(device, &contiguous->buffer);
}
