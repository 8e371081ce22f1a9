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

static int contiguous_refuse(struct cma_refusal *refusal, int code, const struct cma_refusal *why)
{
    if (refusal != NULL) {
        *refusal = *why;
        refusal->code = code;
    }
    return code;
}

int cma_dma_alloc_contiguous(struct cma_device *device, const struct cma_coherent_request *request,
                             enum cma_direction direction, struct cma_contiguous *contiguous,
                             struct cma_refusal *refusal)
{
    struct cma_refusal why = {.reason = CMA_REASON_ARGUMENT, .pfn = CMA_PFN_NONE};
    struct cma_coherent made = {.nbytes = request->nbytes};
    struct cma_coherent_plan plan;
    int error = cma__coherent_plan(device, request, &plan);

    if (error == 0 && ((uint32_t)direction > CMA_FROM_DEVICE ||
                       (request->flags & (CONTIGUOUS_NEVER | CMA__COHERENT_ORDINARY)) != 0)) {
        error = CMA_EINVAL;
    }
    if (error != 0) {
        return contiguous_refuse(refusal, error, &why);
    }
    plan.flags |= CMA__COHERENT_ORDINARY | CMA__COHERENT_CACHED;
    plan.explained = refusal != NULL;
    why.reason = CMA_REASON_UNREACHABLE;
    error = cma__coherent_alloc(device, &plan, &made, &why);
    if (error != 0) {
        return contiguous_refuse(refusal, error, &why);
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
