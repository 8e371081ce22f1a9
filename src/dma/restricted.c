/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * restricted.c - coherent memory of devices that are given nothing but their bounce pool
 *
 * Such a device is kept in its pool by something that the CPU sets up once (a firewall on the bus),
 * so there is no second choice: what the pool doesn't have is refused (H6). The pool's memory is
 * mapped cached, so whole pages of it go through the handover in place, and come back the same way.
 * That flushes TLBs; who may not sleep is served only where the device snoops.
 */
#include <cma/bounce.h>

#include "../base/guard.h"
#include "../base/range.h"
#include "device.h"

/* Fills where a run of the pool is, for the device, by whole pages. Returns 0 or CMA_ERANGE. */
static int restricted_place(const struct cma_device *device, cma_paddr_t paddr, uint64_t nbytes,
                            struct cma_coherent *buffer)
{
    uint64_t page = (uint64_t)1 << device->dma->port->page_shift;

    buffer->paddr = paddr;
    return cma_device_to_bus(device, paddr, nbytes, device->config.coherent_mask, &buffer->daddr) ==
                       0 &&
                   range_is_aligned(paddr | buffer->daddr, page)
               ? 0
               : CMA_ERANGE;
}

static int restricted_alloc(struct cma_device *device, const struct cma_coherent_plan *plan,
                            struct cma_coherent *buffer, struct cma_refusal *refusal)
{
    struct cma_bounce *bounce = device->config.bounce;
    uint64_t nbytes = plan->npages << device->dma->port->page_shift;
    struct cma_coherent made = {.nbytes = buffer->nbytes, .source = CMA_SOURCE_BOUNCE};
    cma_paddr_t paddr;
    int error;

    if ((plan->flags & CMA_COHERENT_NOSLEEP) != 0 && !cma__device_snoops(device)) {
        refusal->reason = CMA_REASON_NOSLEEP;
        return CMA_ENOMEM;
    }
    error = cma__bounce_take_pages(bounce, device, plan->npages, plan->align_nbytes,
                                   plan->boundary_nbytes, &paddr, refusal);
    if (error != 0) {
        return error;
    }
    refusal->reason = CMA_REASON_UNREACHABLE;
    error = restricted_place(device, paddr, nbytes, &made);
    if (error == 0) {
        error = cma__handover_prepare(device, &made, nbytes, plan->flags, NULL, refusal);
    }
    if (error != 0) {
        cma__bounce_put_pages(bounce, paddr);
        return error;
    }
    *buffer = made;
    return 0;
}

static int restricted_free(struct cma_device *device, const struct cma_coherent *buffer)
{
    struct cma_bounce *bounce = device->config.bounce;
    uint32_t shift = device->dma->port->page_shift;
    uint64_t npages = device_npages(device, buffer->nbytes);
    struct cma_coherent place;
    int error;

    if (buffer->nbytes == 0 || !range_is_aligned(buffer->paddr, (uint64_t)1 << shift)) {
        return CMA_EINVAL;
    }
    error = cma__bounce_judge_pages(bounce, device, buffer->paddr, npages, false);
    if (error != 0) {
        return error;
    }
    if (restricted_place(device, buffer->paddr, npages << shift, &place) != 0 ||
        place.daddr != buffer->daddr || !cma__handover_judge(device, buffer, npages << shift)) {
        return CMA_EINVAL;
    }
    /* Of two that free it at once, one hears that it is gone. */
    error = cma__bounce_judge_pages(bounce, device, buffer->paddr, npages, true);
    if (error != 0) {
        return error;
    }
    cma__handover_unprepare(device, buffer, npages << shift, NULL);
    cma__bounce_put_pages(bounce, buffer->paddr);
    return 0;
}

const struct cma_backend_ops cma__restricted_ops = {
    .alloc = restricted_alloc,
    .free = restricted_free,
};
