/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run_linux.c - `cma run --policy linux`: where a device's buffers come from then
 *
 * linux_area.c empties a window; it is taken through a device that sees nothing but this window, so
 * that all that follows (zeroes, caches, attributes, the driver's use) is the same code and the
 * same simulated time as under libcma.
 */
#include "linux_area.h"
#include "run.h"

#include <stdlib.h>

/* One request. */
struct linux_asking {
    struct run_device *device;
    struct run_buffer *buffer;
    bool unreachable;
};

/* The window is empty: makes it the device's. */
static int linux_take(void *ctx, uint64_t first, uint64_t npages)
{
    struct linux_asking *asking = ctx;
    struct run_device *device = asking->device;
    struct run_buffer *buffer = asking->buffer;
    uint32_t shift = device->run->board.page_shift;
    cma_paddr_t paddr = (device->area->linux_policy->policy.first_pfn + first) << shift;
    struct cma_device_config config = device->dma.config;
    struct cma_coherent_request request = {
        .nbytes = buffer->nbytes,
        .flags = CMA_CLAIM_NOWAIT,
    };
    struct cma_refusal refusal;
    cma_daddr_t daddr;

    /* Linux looks at the device's reach when it has the buffer, and gives it back. */
    if (cma_device_to_bus(&device->dma, paddr, npages << shift, config.coherent_mask, &daddr) !=
        0) {
        asking->unreachable = true;
        return 0;
    }
    buffer->window = (struct cma_bus_window){daddr, paddr, npages << shift};
    config.windows = &buffer->window;
    config.nwindows = 1;
    if (cma_device_init(&buffer->dma, device->dma.dma, &config) != 0)
        return LINUX_EBUSY;
    return cma_dma_alloc_coherent(&buffer->dma, &request, &buffer->memory, &refusal) != 0
               ? LINUX_EBUSY
               : 0;
}

/* --- for run_stream.c ----------------------------------------------------------------------- */

void run_linux_boot(struct run *run)
{
    for (uint32_t i = 0; i < run->nareas; i++) {
        struct run_area *area = &run->areas[i];
        uint64_t page = 1ull << run->board.page_shift;

        area->linux_policy = run_calloc(1, sizeof(*area->linux_policy));
        if (linux_area_init(area->linux_policy, run->sim, &run->system.frames, area->area,
                            (area->range->base + (page - 1)) >> run->board.page_shift,
                            run->board.page_shift) != 0)
            run_die("not enough memory");
    }
}

void run_linux_count(struct run *run)
{
    for (uint32_t i = 0; i < run->nareas; i++) {
        const struct linux_area *area = run->areas[i].linux_policy;

        run->result.windows += area->windows;
        run->result.windows_left += area->windows_left;
        run->result.windows_lost += area->windows_lost;
        run->result.wasted_copies += area->wasted_copies;
        if (area->violation != NULL)
            run->result.violation = area->violation;
    }
}

void run_linux_free(struct run *run)
{
    for (uint32_t i = 0; i < run->nareas; i++)
        if (run->areas[i].linux_policy != NULL) {
            linux_area_free(run->areas[i].linux_policy);
            free(run->areas[i].linux_policy);
        }
}

int run_linux_ask(struct run_device *device, struct run_buffer *buffer, struct cma_refusal *refusal)
{
    struct linux_area *area = device->area->linux_policy;
    struct linux_asking asking = {.device = device, .buffer = buffer};
    struct linux_request request = {
        .npages = buffer->npages,
        .order = policy_linux_order(buffer->npages),
        .ctx = &asking,
        .take = linux_take,
    };
    int error = linux_area_alloc(area, &request);

    buffer->linux_page = request.page;
    if (error == 0 && !asking.unreachable)
        return 0;
    *refusal = (struct cma_refusal){
        .code = error == LINUX_ENOMEM ? CMA_ENOMEM : CMA_EBUSY,
        .reason = error == LINUX_ENOMEM              ? CMA_REASON_NO_ROOM
                  : request.obstacle == CMA_PFN_NONE ? CMA_REASON_CLAIMED
                                                     : CMA_REASON_HELD,
        .pfn = request.obstacle,
    };
    if (error == 0) {
        policy_linux_release(&area->policy, request.page, request.npages);
        refusal->code = CMA_ENOMEM;
        refusal->reason = CMA_REASON_UNREACHABLE;
        refusal->pfn = CMA_PFN_NONE;
    }
    return refusal->code;
}

int run_linux_give_back(struct run_device *device, struct run_buffer *buffer)
{
    int error = cma_dma_free_coherent(&buffer->dma, &buffer->memory);

    if (error == 0)
        policy_linux_release(&device->area->linux_policy->policy, buffer->linux_page,
                             buffer->npages);
    return error;
}
