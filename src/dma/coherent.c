/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coherent.c - coherent memory: from where, and how it becomes the device's
 *
 * Whoever had the pages before has written to them through the cache. So, for a device that doesn't
 * snoop: the zeroes are written back and all lines dropped; the mapping stops being cached, in
 * place, or, where the CPU has no mapping, an uncached one is made; the TLB forgets the old one;
 * and what the cache fetched by itself until then is dropped once more. From there on no line of
 * the buffer can enter a cache. On the way back the mapping becomes cached again before anybody
 * else gets the pages.
 *
 * A free is judged by the frame's record, which says who got what at this address, before anything
 * is touched.
 */
#include "../base/atomic.h"
#include "../base/guard.h"
#include "../base/range.h"
#include "device.h"

/* A run of pages and where it came from. */
struct coherent_run {
    cma_pfn_t pfn;
    uint64_t npages;
    enum cma_source source;
    struct cma_guarantee *guarantee; /* of CMA_SOURCE_GUARANTEE */
};

static struct cma_area *coherent_area(const struct cma_device *device, enum cma_source source)
{
    return source == CMA_SOURCE_AREA ? device->config.area : device->dma->default_area;
}

static const struct cma_promise_ops *coherent_promise_ops(const struct cma_device *device)
{
    return device->promises->ops;
}

static int coherent_put(struct cma_device *device, const struct coherent_run *run)
{
    const struct cma_pages_ops *ops = device->dma->ops;

    int error;

    if (run->source == CMA_SOURCE_PAGES) {
        return ops->free(ops->ctx, run->pfn, (uint32_t)run->npages, device->config.owner);
    }
    if (run->source == CMA_SOURCE_GUARANTEE) {
        return coherent_promise_ops(device)->put(run->guarantee, run->pfn);
    }
    error = cma_area_release(coherent_area(device, run->source), run->pfn, run->npages,
                             device->config.owner);
    if (error == 0) {
        (void)atom_sub(&device->area_npages, (uint32_t)run->npages);
    }
    return error;
}

/* The device may have so many more pages of areas: if so, they are counted as its own. */
static bool coherent_charge(struct cma_device *device, uint64_t npages)
{
    uint32_t quota = device->config.quota_npages == 0 ? UINT32_MAX : device->config.quota_npages;
    uint32_t had = atom_load(&device->area_npages);

    do {
        if (npages > quota || had > quota - (uint32_t)npages) {
            return false;
        }
    } while (!atom_swap_if(&device->area_npages, &had, had + (uint32_t)npages));
    return true;
}

/* --- sources --------------------------------------------------------------------------- */

void cma__coherent_refused(int *code, struct cma_refusal *kept, int error,
                           const struct cma_refusal *refusal)
{
    if (error != CMA_ERANGE || *code == CMA_ERANGE) {
        *code = error;
        *kept = *refusal;
    }
}

int cma__coherent_part(const struct cma_device *device, uint32_t index,
                       struct cma_device_part *part)
{
    uint64_t mask = ((uint64_t)1 << device->dma->port->page_shift) - 1;
    int error = cma__device_part(device, device->config.coherent_mask, index, part);

    if (error != 0) {
        return error;
    }
    return (part->bus_offset & mask) != 0 || part->last < mask ? CMA_ERANGE : 0;
}

static int coherent_from_area(struct cma_device *device, struct cma_area *area,
                              const struct cma_coherent_plan *plan, cma_pfn_t *pfn,
                              struct cma_refusal *refusal)
{
    uint32_t shift = device->dma->port->page_shift;
    cma_paddr_t first = area->pfn << shift;
    cma_paddr_t last = first + (((uint64_t)area->npages << shift) - 1);
    struct cma_area_request request = {0};
    struct cma_refusal given = *refusal;
    struct cma_device_part part;
    int code = CMA_ERANGE;
    uint32_t i;
    int error;

    request.npages = plan->npages;
    request.align_npages = plan->align_nbytes >> shift;
    request.boundary_nbytes = plan->boundary_nbytes;
    request.owner = device->config.owner;
    request.flags = plan->flags & ~CMA_COHERENT_UNPROMISED;
    for (i = 0; (error = cma__coherent_part(device, i, &part)) != CMA_ENOENT; i++) {
        if (error != 0 || !range_overlaps(part.first, part.last, first, last)) {
            continue;
        }
        request.paddr_first = part.first;
        request.paddr_last = part.last;
        request.bus_offset = part.bus_offset;
        if (coherent_charge(device, plan->npages)) {
            error = cma_area_alloc(area, &request, pfn, plan->explained ? &given : NULL);
            if (error == 0) {
                return 0;
            }
            (void)atom_sub(&device->area_npages, (uint32_t)plan->npages);
        } else {
            error = CMA_ENOMEM;
            given = (struct cma_refusal){.reason = CMA_REASON_QUOTA, .pfn = CMA_PFN_NONE};
        }
        cma__coherent_refused(&code, refusal, error, &given);
    }
    return code;
}

/* From the highest part down: low memory is for those who reach nothing else. */
static int coherent_from_pages(const struct cma_device *device,
                               const struct cma_coherent_plan *plan, cma_pfn_t *pfn,
                               struct cma_refusal *refusal)
{
    const struct cma_pages_ops *ops = device->dma->ops;
    uint32_t shift = device->dma->port->page_shift;
    uint64_t low_bits = plan->align_nbytes - 1;
    struct cma_pages_request request = {0};
    struct cma_refusal given = *refusal;
    struct cma_device_part part;
    int code = CMA_ERANGE;
    uint32_t i = 0;
    int error;

    if (plan->boundary_nbytes > plan->align_nbytes) {
        low_bits = plan->boundary_nbytes - 1;
    }
    request.npages = plan->npages;
    request.align_npages = plan->align_nbytes >> shift;
    request.boundary_nbytes = plan->boundary_nbytes;
    request.holder.kind = CMA_KIND_UNMOVABLE;
    request.holder.cookie = device->config.owner;
    request.flags = CMA_PAGES_NO_LENT;
    request.flags |= device->dma->port->map == NULL ? CMA_PAGES_LINEAR : 0;
    while (cma__device_part(device, device->config.coherent_mask, i, &part) == 0) {
        i++;
    }
    while (i-- > 0) {
        if (cma__coherent_part(device, i, &part) != 0 || (part.bus_offset & low_bits) != 0) {
            continue;
        }
        request.paddr_first = part.first;
        request.paddr_last = part.last;
        error = ops->alloc(ops->ctx, &request, pfn, &given);
        if (error == 0) {
            return 0;
        }
        cma__coherent_refused(&code, refusal, error, &given);
    }
    return code;
}

/* Asks the sources in order. */
static int coherent_take(struct cma_device *device, const struct cma_coherent_plan *plan,
                         struct coherent_run *run, struct cma_refusal *refusal)
{
    const struct cma_dma *dma = device->dma;
    struct cma_area *own = device->config.area;
    uint32_t flags = device->config.flags;
    struct cma_refusal given = *refusal;
    int code = CMA_ERANGE;
    int error;

    if (device->promises != NULL && (plan->flags & CMA_COHERENT_UNPROMISED) == 0) {
        run->source = CMA_SOURCE_GUARANTEE;
        error =
            coherent_promise_ops(device)->take(device, plan, &run->guarantee, &run->pfn, &given);
        if (error == 0) {
            run->npages = run->guarantee->request.npages;
            return 0;
        }
        cma__coherent_refused(&code, refusal, error, &given);
        if (error == CMA_EAGAIN) {
            return error;
        }
    }
    run->npages = plan->npages;
    run->source = CMA_SOURCE_AREA;
    if (own != NULL) {
        error = coherent_from_area(device, own, plan, &run->pfn, &given);
        if (error == 0) {
            return 0;
        }
        cma__coherent_refused(&code, refusal, error, &given);
    }
    run->source = CMA_SOURCE_DEFAULT_AREA;
    if (dma->default_area != NULL && dma->default_area != own &&
        (own == NULL || (flags & CMA_DEVICE_TRY_DEFAULT) != 0)) {
        error = coherent_from_area(device, dma->default_area, plan, &run->pfn, &given);
        if (error == 0) {
            return 0;
        }
        cma__coherent_refused(&code, refusal, error, &given);
    }
    run->source = CMA_SOURCE_PAGES;
    if (dma->ops != NULL && dma->ops->alloc != NULL && (flags & CMA_DEVICE_AREA_ONLY) == 0 &&
        plan->npages <= UINT32_MAX) {
        error = coherent_from_pages(device, plan, &run->pfn, &given);
        if (error == 0) {
            return 0;
        }
        cma__coherent_refused(&code, refusal, error, &given);
    }
    return code;
}

/* --- mapping --------------------------------------------------------------------------- */

static bool coherent_snoops(const struct cma_device *device)
{
    /* A port without cache maintenance has no caches, or devices that all snoop. */
    return (device->config.flags & CMA_DEVICE_COHERENT) != 0 || device->dma->port->clean == NULL;
}

/* The linear address of a run, or NULL if some page of it has none. */
static void *coherent_linear(const struct cma_port *port, cma_paddr_t paddr, uint64_t nbytes)
{
    uint64_t tail = nbytes - ((uint64_t)1 << port->page_shift);
    uint8_t *first = port->vaddr(port->ctx, paddr);
    uint8_t *last = port->vaddr(port->ctx, paddr + tail);

    if (first == NULL || last == NULL || (uint64_t)((uintptr_t)last - (uintptr_t)first) != tail) {
        return NULL;
    }
    return first;
}

/* Does the machine say that [vaddr, vaddr + nbytes) is at paddr with this attribute? The ends are
 * looked at; a port that can't look is believed. */
static bool coherent_verify(const struct cma_port *port, void *vaddr, cma_paddr_t paddr,
                            uint64_t nbytes, enum cma_attr attr)
{
    uint64_t tail = nbytes - ((uint64_t)1 << port->page_shift);
    cma_paddr_t first, last;
    enum cma_attr first_attr, last_attr;

    if (port->lookup == NULL) {
        return true;
    }
    return port->lookup(port->ctx, vaddr, &first, &first_attr) == 0 &&
           port->lookup(port->ctx, (uint8_t *)vaddr + tail, &last, &last_attr) == 0 &&
           first == paddr && last == paddr + tail && first_attr == attr && last_attr == attr;
}

/* The linear mapping is cached again. */
static void coherent_set_cached(const struct cma_port *port, cma_paddr_t paddr, uint64_t nbytes)
{
    port->dma_barrier(port->ctx);
    port->set_attr(port->ctx, paddr, nbytes, CMA_ATTR_CACHED);
    guard_tlb_flush(port);
}

/* Zeroes the run and makes it the device's. Fills vaddr and mapped. */
static int coherent_prepare(const struct cma_device *device, cma_paddr_t paddr, uint64_t nbytes,
                            struct cma_coherent *buffer)
{
    const struct cma_port *port = device->dma->port;
    bool snoops = coherent_snoops(device);
    void *vaddr = coherent_linear(port, paddr, nbytes);
    bool promised = buffer->source == CMA_SOURCE_GUARANTEE;
    bool linear = vaddr != NULL;
    int error;

    if (linear ? !snoops && port->set_attr == NULL : promised || port->map == NULL) {
        return CMA_EOPNOTSUPP;
    }
    port->zero(port->ctx, paddr, nbytes);
    if (!snoops) {
        port->clean(port->ctx, paddr, nbytes);
        port->invalidate(port->ctx, paddr, nbytes);
    }
    if (!linear) {
        error = port->map(port->ctx, paddr, nbytes, snoops ? CMA_ATTR_CACHED : CMA_ATTR_UNCACHED,
                          &vaddr);
        if (error != 0) {
            return error;
        }
    } else if (!snoops) {
        port->set_attr(port->ctx, paddr, nbytes, CMA_ATTR_UNCACHED);
    }
    if (!snoops) {
        guard_tlb_flush(port);
        port->invalidate(port->ctx, paddr, nbytes);
    }
    /* Of what was promised, each page was looked at when it was admitted. */
    if (linear && !snoops && !promised &&
        !coherent_verify(port, vaddr, paddr, nbytes, CMA_ATTR_UNCACHED)) {
        coherent_set_cached(port, paddr, nbytes);
        return CMA_EOPNOTSUPP;
    }
    port->dma_barrier(port->ctx);
    buffer->vaddr = vaddr;
    buffer->mapped = !linear;
    return 0;
}

/* The run is ordinary memory again. */
static void coherent_unprepare(const struct cma_device *device, const struct cma_coherent *buffer,
                               uint64_t nbytes)
{
    const struct cma_port *port = device->dma->port;

    if (buffer->mapped != 0) {
        port->dma_barrier(port->ctx);
        port->unmap(port->ctx, buffer->vaddr, nbytes);
        guard_tlb_flush(port);
    } else if (!coherent_snoops(device)) {
        coherent_set_cached(port, buffer->paddr, nbytes);
    }
}

/* Is each page of the run in the linear mapping, and mapped so? */
static bool coherent_look(const struct cma_port *port, cma_paddr_t paddr, uint64_t npages,
                          enum cma_attr attr)
{
    uint64_t page = (uint64_t)1 << port->page_shift;
    uint8_t *first = port->vaddr(port->ctx, paddr);

    for (uint64_t i = 0; i < npages; i++) {
        uint8_t *vaddr = port->vaddr(port->ctx, paddr + i * page);

        if (vaddr == NULL || (uintptr_t)vaddr - (uintptr_t)first != (uintptr_t)(i * page) ||
            !coherent_verify(port, vaddr, paddr + i * page, page, attr)) {
            return false;
        }
    }
    return true;
}

int cma__coherent_try(const struct cma_device *device, cma_pfn_t pfn, uint64_t npages)
{
    const struct cma_port *port = device->dma->port;
    cma_paddr_t paddr = pfn << port->page_shift;
    uint64_t nbytes = npages << port->page_shift;
    bool fits = coherent_look(port, paddr, npages, CMA_ATTR_CACHED);

    if (fits && !coherent_snoops(device)) {
        if (port->set_attr == NULL) {
            return CMA_EOPNOTSUPP;
        }
        port->clean(port->ctx, paddr, nbytes);
        port->invalidate(port->ctx, paddr, nbytes);
        port->set_attr(port->ctx, paddr, nbytes, CMA_ATTR_UNCACHED);
        guard_tlb_flush(port);
        port->invalidate(port->ctx, paddr, nbytes);
        fits = coherent_look(port, paddr, npages, CMA_ATTR_UNCACHED);
        coherent_set_cached(port, paddr, nbytes);
    }
    return fits ? 0 : CMA_EOPNOTSUPP;
}

/* --- allocate -------------------------------------------------------------------------- */

/* Bytes to whole pages, without passing 2^64. */
static int coherent_npages(const struct cma_device *device, uint64_t nbytes, uint64_t *npages)
{
    uint32_t shift = device->dma->port->page_shift;
    uint64_t mask = ((uint64_t)1 << shift) - 1;

    if (nbytes == 0) {
        return CMA_EINVAL;
    }
    if (nbytes > UINT64_MAX - mask) {
        return CMA_EOVERFLOW;
    }
    *npages = (nbytes + mask) >> shift;
    return 0;
}

int cma__coherent_plan(const struct cma_device *device, const struct cma_coherent_request *request,
                       struct cma_coherent_plan *plan)
{
    uint64_t page = (uint64_t)1 << device->dma->port->page_shift;
    uint64_t boundary = request->boundary_nbytes;
    uint64_t align = request->align_nbytes;
    int error = coherent_npages(device, request->nbytes, &plan->npages);

    if (error != 0) {
        return error;
    }
    if (device->config.coherent_mask == 0 ||
        (request->flags &
         ~(CMA_CLAIM_NOWAIT | CMA_CLAIM_LONG | CMA_CLAIM_SHORT | CMA_COHERENT_UNPROMISED)) != 0 ||
        (align != 0 && !range_is_power_of_two(align)) ||
        (boundary != 0 && (!range_is_power_of_two(boundary) || boundary < request->nbytes))) {
        return CMA_EINVAL;
    }
    plan->align_nbytes = align < page ? page : align;
    /* What begins on a page and is no longer than the boundary doesn't cross one below a page. */
    plan->boundary_nbytes = boundary < page ? 0 : boundary;
    plan->flags = request->flags;
    return 0;
}

static int coherent_refuse(struct cma_refusal *refusal, int code, enum cma_reason reason,
                           const struct cma_refusal *why)
{
    if (refusal != NULL) {
        *refusal = *why;
        refusal->code = code;
        if (reason != CMA_REASON_NONE) {
            refusal->reason = reason;
        }
    }
    return code;
}

int cma_dma_alloc_coherent(struct cma_device *device, const struct cma_coherent_request *request,
                           struct cma_coherent *buffer, struct cma_refusal *refusal)
{
    uint32_t shift = device->dma->port->page_shift;
    struct cma_refusal why = {.reason = CMA_REASON_UNREACHABLE, .pfn = CMA_PFN_NONE};
    struct cma_coherent made = {0};
    struct cma_coherent_plan plan;
    struct coherent_run run;
    int error = cma__coherent_plan(device, request, &plan);

    if (error != 0) {
        return coherent_refuse(refusal, error, CMA_REASON_ARGUMENT, &why);
    }
    plan.explained = refusal != NULL;
    error = coherent_take(device, &plan, &run, &why);
    if (error != 0) {
        return coherent_refuse(refusal, error, CMA_REASON_NONE, &why);
    }
    made.paddr = run.pfn << shift;
    made.nbytes = request->nbytes;
    made.source = run.source;
    error = cma_device_to_bus(device, made.paddr, run.npages << shift, device->config.coherent_mask,
                              &made.daddr);
    cma__assert(error == 0);
    if (error == 0) {
        error = coherent_prepare(device, made.paddr, run.npages << shift, &made);
    }
    if (error != 0) {
        int put = coherent_put(device, &run);

        cma__assert(put == 0);
        (void)put;
        why.pfn = run.pfn;
        return coherent_refuse(refusal, error, CMA_REASON_MAPPING, &why);
    }
    (void)atom_add(&device->live_npages, (uint32_t)run.npages);
    *buffer = made;
    return 0;
}

/* --- free ------------------------------------------------------------------------------ */

/* Can the run be from there at all? */
static bool coherent_judge_source(const struct cma_device *device, const struct coherent_run *run)
{
    const struct cma_pages_ops *ops = device->dma->ops;
    const struct cma_area *area;

    switch (run->source) {
    case CMA_SOURCE_AREA:
    case CMA_SOURCE_DEFAULT_AREA:
        area = coherent_area(device, run->source);
        return area != NULL && run->pfn - area->pfn < area->npages;
    case CMA_SOURCE_PAGES: return ops != NULL && ops->free != NULL;
    case CMA_SOURCE_GUARANTEE: return device->promises != NULL;
    default: return false;
    }
}

/* Is there a buffer of this device, of this length, at this frame? A promised block is the device's
 * as a whole, however much of it was asked for. */
static int coherent_judge_record(struct cma_device *device, struct coherent_run *run)
{
    bool promised = run->source == CMA_SOURCE_GUARANTEE;
    enum cma_kind kind = run->source == CMA_SOURCE_PAGES ? CMA_KIND_UNMOVABLE : CMA_KIND_CLAIMED;
    struct cma_frame_info info;

    if (!coherent_judge_source(device, run)) {
        return CMA_EINVAL;
    }
    if (cma_frame_info(device->dma->frames, run->pfn, &info) != 0) {
        return run->source == CMA_SOURCE_PAGES ? 0 : CMA_EBADF;
    }
    if (info.idle || info.kind != kind || info.npages == 0) {
        return CMA_EBADF;
    }
    if (info.cookie != device->config.owner) {
        return CMA_EPERM;
    }
    if (info.slot != promised ||
        (promised ? run->npages > info.npages : run->npages != info.npages)) {
        return CMA_EINVAL;
    }
    run->npages = info.npages;
    if (promised) {
        run->guarantee = coherent_promise_ops(device)->find(device, run->pfn);
        return run->guarantee != NULL ? 0 : CMA_EBADF;
    }
    return 0;
}

/* Do the addresses of the buffer belong together? */
static bool coherent_judge_addresses(const struct cma_device *device,
                                     const struct cma_coherent *buffer, uint64_t nbytes)
{
    const struct cma_port *port = device->dma->port;
    void *linear = coherent_linear(port, buffer->paddr, nbytes);
    enum cma_attr attr = coherent_snoops(device) ? CMA_ATTR_CACHED : CMA_ATTR_UNCACHED;
    cma_daddr_t daddr;

    if (cma_device_to_bus(device, buffer->paddr, nbytes, UINT64_MAX, &daddr) != 0 ||
        daddr != buffer->daddr || buffer->vaddr == NULL) {
        return false;
    }
    if (linear != NULL ? buffer->mapped != 0 || buffer->vaddr != linear : buffer->mapped == 0) {
        return false;
    }
    return coherent_verify(port, buffer->vaddr, buffer->paddr, nbytes, attr);
}

int cma_dma_free_coherent(struct cma_device *device, const struct cma_coherent *buffer)
{
    uint32_t shift = device->dma->port->page_shift;
    struct coherent_run run;
    cma_paddr_t last;
    int error;

    error = coherent_npages(device, buffer->nbytes, &run.npages);
    if (error != 0 || !range_is_aligned(buffer->paddr, (uint64_t)1 << shift) ||
        !range_last(buffer->paddr, run.npages << shift, &last)) {
        return CMA_EINVAL;
    }
    run.pfn = buffer->paddr >> shift;
    run.source = buffer->source;
    error = coherent_judge_record(device, &run);
    if (error != 0) {
        return error;
    }
    if (!coherent_judge_addresses(device, buffer, run.npages << shift)) {
        return CMA_EINVAL;
    }
    coherent_unprepare(device, buffer, run.npages << shift);
    error = coherent_put(device, &run);
    cma__assert(error == 0 || run.source == CMA_SOURCE_PAGES);
    if (error == 0) {
        (void)atom_sub(&device->live_npages, (uint32_t)run.npages);
    }
    return error;
}
