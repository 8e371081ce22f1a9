/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * promise.c - what a device is promised of coherent memory
 *
 * A promise is a guarantee (src/cma), said in the device's words: its alignment and boundary become
 * those of physical memory with the part's offset, its mask the limits. What could fail when a
 * block is taken is tried out when it is admitted: all blocks are taken once, and each becomes the
 * device's and ordinary memory again. After that, an allocation zeroes, cleans, changes attributes
 * in place and flushes, all of which cannot fail.
 */
#include "../base/guard.h"
#include "../base/range.h"
#include "../cma/promise.h"
#include "device.h"

/* Would any block of the promise do? */
static bool promise_serves(const struct cma_device *device,
                           const struct cma_device_promise *promise,
                           const struct cma_coherent_plan *plan)
{
    const struct cma_guarantee_request *has = &promise->guarantee.request;
    uint32_t shift = device->dma->port->page_shift;
    uint64_t align_nbytes = has->align_npages << shift;

    if (plan->npages > has->npages || plan->align_nbytes > align_nbytes) {
        return false;
    }
    /* What is no longer than its alignment crosses no multiple of it, nor of anything larger. */
    return plan->boundary_nbytes == 0 || plan->npages <= has->align_npages ||
           (has->boundary_nbytes != 0 && has->boundary_nbytes <= plan->boundary_nbytes);
}

static int promise_take(struct cma_device *device, const struct cma_coherent_plan *plan,
                        struct cma_guarantee **guarantee, cma_pfn_t *pfn,
                        struct cma_refusal *refusal)
{
    struct cma_device_promise *promise;
    struct cma_refusal given;
    int code = CMA_ERANGE;
    int error;

    for (promise = device->promises; promise != NULL; promise = promise->next) {
        if ((plan->promise != NULL && plan->promise != promise) ||
            !promise_serves(device, promise, plan)) {
            continue;
        }
        error = cma_guarantee_take(&promise->guarantee, pfn, NULL, &given);
        if (error == 0) {
            *guarantee = &promise->guarantee;
            return 0;
        }
        cma__coherent_refused(&code, refusal, error, &given);
        if (error == CMA_EAGAIN) {
            break;
        }
    }
    return code;
}

static struct cma_guarantee *promise_find(struct cma_device *device, cma_pfn_t pfn)
{
    struct cma_device_promise *promise = device->promises;
    cma_pfn_t found;

    while (promise != NULL &&
           (!cma__guarantee_block(&promise->guarantee, pfn, &found) || found != pfn)) {
        promise = promise->next;
    }
    return promise == NULL ? NULL : &promise->guarantee;
}

static int promise_put(struct cma_guarantee *guarantee, cma_pfn_t pfn)
{
    return cma_guarantee_release(guarantee, pfn, true);
}

static const struct cma_promise_ops promise_ops = {
    .take = promise_take,
    .find = promise_find,
    .put = promise_put,
};

/* --- admit ----------------------------------------------------------------------------- */

static int promise_refuse(struct cma_admission *why, int code, enum cma_reason reason)
{
    if (why != NULL) {
        why->refusal.code = code;
        why->refusal.reason = reason;
        why->refusal.pfn = CMA_PFN_NONE;
    }
    return code;
}

/* Takes all blocks, tries each out, and gives them back. */
static int promise_try(const struct cma_device *device, struct cma_device_promise *promise,
                       struct cma_refusal *refusal)
{
    struct cma_guarantee *guarantee = &promise->guarantee;
    uint32_t count = guarantee->request.count;
    cma_pfn_t pfn = 0, next = 0;
    int error = 0;

    for (uint32_t i = 0; i < count && error == 0; i++) {
        error = cma_guarantee_take(guarantee, &pfn, NULL, refusal);
        if (error == 0) {
            error = cma__handover_try(device, pfn, guarantee->request.npages,
                                      promise->reserved != 0, refusal);
        }
    }
    while (cma__guarantee_block(guarantee, next, &pfn)) {
        int put = promise_put(guarantee, pfn);

        cma__assert(put == 0);
        (void)put;
        next = pfn + guarantee->request.npages;
    }
    cma__guarantee_forget(guarantee);
    return error;
}

/* Admits it for one part of what the device reaches. */
static int promise_admit_part(const struct cma_device *device, struct cma_guarantees *guarantees,
                              struct cma_device_promise *promise, struct cma_area *area,
                              const struct cma_guarantee_request *request,
                              struct cma_admission *why)
{
    int error = cma_guarantee_admit(guarantees, &promise->guarantee, area, request, why);
    int revoked;

    if (error != 0) {
        return error;
    }
    error = promise_try(device, promise, &why->refusal);
    if (error != 0) {
        why->possible_count = 0;
        why->possible_npages = 0;
        revoked = cma_guarantee_revoke(&promise->guarantee);
        cma__assert(revoked == 0);
        (void)revoked;
    }
    return error;
}

/* Keeps the refusal of a part that could have served, and the most that one of them could. */
static void promise_refused(int *code, struct cma_admission *kept, int error,
                            const struct cma_admission *given)
{
    cma__coherent_refused(code, &kept->refusal, error, &given->refusal);
    if (given->possible_count > kept->possible_count) {
        kept->possible_count = given->possible_count;
    }
    if (given->possible_npages > kept->possible_npages) {
        kept->possible_npages = given->possible_npages;
    }
}

/* Sets addresses of the window aside, where some of the area has no linear mapping. Without a
 * window its blocks are refused when they are tried out. */
static int promise_reserve(const struct cma_device *device, const struct cma_area *area,
                           struct cma_device_promise *promise, uint64_t npages, uint32_t count)
{
    const struct cma_port *port = device->dma->port;
    struct cma_window *window = device->dma->window;
    cma_pfn_t last = area->pfn + (area->npages - 1);

    promise->reserved = 0;
    if (window == NULL || (port->vaddr(port->ctx, area->pfn << port->page_shift) != NULL &&
                           port->vaddr(port->ctx, last << port->page_shift) != NULL)) {
        return 0;
    }
    return device_window_ops(window)->reserve(window, count, npages, &promise->reserved);
}

static void promise_unreserve(const struct cma_device *device, struct cma_device_promise *promise)
{
    struct cma_window *window = device->dma->window;

    if (promise->reserved != 0) {
        device_window_ops(window)->unreserve(window, &promise->reserved);
    }
}

/* In each part of what the device reaches, until one admits it. */
static int promise_admit(const struct cma_device *device, struct cma_guarantees *guarantees,
                         struct cma_device_promise *promise, struct cma_area *area,
                         struct cma_guarantee_request *request, struct cma_admission *why)
{
    uint32_t shift = device->dma->port->page_shift;
    cma_paddr_t first = area->pfn << shift;
    cma_paddr_t last = first + (((uint64_t)area->npages << shift) - 1);
    struct cma_admission kept = {
        .refusal = {.reason = CMA_REASON_UNREACHABLE, .pfn = CMA_PFN_NONE}};
    struct cma_device_part part;
    int code = CMA_ERANGE;
    int error;

    for (uint32_t i = 0; (error = cma__coherent_part(device, i, &part)) != CMA_ENOENT; i++) {
        struct cma_admission given = {.refusal = {.pfn = CMA_PFN_NONE}};

        if (error != 0 || !range_overlaps(part.first, part.last, first, last)) {
            continue;
        }
        request->paddr_first = part.first;
        request->paddr_last = part.last;
        request->bus_offset = part.bus_offset;
        error = promise_admit_part(device, guarantees, promise, area, request, &given);
        if (error == 0) {
            return 0;
        }
        promise_refused(&code, &kept, error, &given);
    }
    if (why != NULL) {
        kept.refusal.code = code;
        *why = kept;
    }
    return code;
}

int cma_device_admit(struct cma_device *device, struct cma_guarantees *guarantees,
                     struct cma_device_promise *promise, const struct cma_promise_request *request,
                     struct cma_admission *why)
{
    struct cma_area *area = device->config.area;
    struct cma_coherent_request block = {.nbytes = request->nbytes,
                                         .align_nbytes = request->align_nbytes,
                                         .boundary_nbytes = request->boundary_nbytes};
    struct cma_guarantee_request guarantee = {.count = request->count,
                                              .max_moves = request->max_moves,
                                              .owner = device->config.owner,
                                              .group = request->group};
    struct cma_device_promise **link = &device->promises;
    struct cma_coherent_plan plan;
    int error = cma__coherent_plan(device, &block, &plan);

    if (error != 0 || request->count == 0) {
        return promise_refuse(why, error != 0 ? error : CMA_EINVAL, CMA_REASON_ARGUMENT);
    }
    area = area != NULL ? area : device->dma->default_area;
    if (area == NULL) {
        return promise_refuse(why, CMA_ENOENT, CMA_REASON_ARGUMENT);
    }
    guarantee.npages = plan.npages;
    guarantee.align_npages = plan.align_nbytes >> device->dma->port->page_shift;
    guarantee.boundary_nbytes = plan.boundary_nbytes;
    if (promise_reserve(device, area, promise, plan.npages, request->count) != 0) {
        return promise_refuse(why, CMA_ENOMEM, CMA_REASON_WINDOW);
    }
    error = promise_admit(device, guarantees, promise, area, &guarantee, why);
    if (error != 0) {
        promise_unreserve(device, promise);
        return error;
    }
    while (*link != NULL && (*link)->guarantee.request.npages <= plan.npages) {
        link = &(*link)->next;
    }
    promise->ops = &promise_ops;
    promise->next = *link;
    *link = promise;
    return 0;
}

int cma_device_revoke(struct cma_device *device, struct cma_device_promise *promise)
{
    struct cma_device_promise **link = &device->promises;
    int error;

    while (*link != NULL && *link != promise) {
        link = &(*link)->next;
    }
    if (*link == NULL) {
        return CMA_EBADF;
    }
    error = cma_guarantee_revoke(&promise->guarantee);
    if (error == 0) {
        *link = promise->next;
        promise_unreserve(device, promise);
    }
    return error;
}
