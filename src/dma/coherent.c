/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * coherent.c - coherent memory: from where, and back to there
 *
 * Sources are asked in the order that dma.h names. Areas, the page allocator and promises give runs
 * of ordinary memory, which handover.c makes the device's; what is behind pointers (exclusive
 * memory, the pool for callers that may not sleep, a restricted device's bounce pool) gives
 * finished buffers. Each is told what the device reaches before it is asked; what comes from code
 * of others, a host's page allocator or a back-end, is looked at all the same.
 *
 * A free is judged by the frame's record, which says who got what at this address, before anything
 * is touched.
 */
#include <cma/bounce.h>
#include <cma/exclusive.h>
#include <cma/nosleep.h>

#include "../base/atomic.h"
#include "../base/guard.h"
#include "../base/range.h"
#include "device.h"

#define COHERENT_CLAIM_FLAGS (CMA_CLAIM_NOWAIT | CMA_CLAIM_LONG | CMA_CLAIM_SHORT)
#define COHERENT_FLAGS                                                          \
    (COHERENT_CLAIM_FLAGS | CMA_COHERENT_UNPROMISED | CMA_COHERENT_NO_MAPPING | \
     CMA_COHERENT_WRITE_COMBINE | CMA_COHERENT_NOSLEEP | CMA_COHERENT_NO_ZERO)

/* A run of pages and where it came from: an area, the page allocator or a promise. */
struct coherent_run {
    cma_pfn_t pfn;
    uint64_t npages;
    cma_daddr_t daddr; /* as the device sees it, under its coherent mask */
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

/* Gives it back. Returns 0, or what a host's page allocator says. */
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
    request.flags = plan->flags & COHERENT_CLAIM_FLAGS;
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

/* A promised block. */
static int coherent_from_promise(struct cma_device *device, const struct cma_coherent_plan *plan,
                                 struct coherent_run *run, struct cma_refusal *refusal)
{
    int error =
        coherent_promise_ops(device)->take(device, plan, &run->guarantee, &run->pfn, refusal);

    if (error == 0) {
        run->npages = run->guarantee->request.npages;
    }
    return error;
}

/* Is that source asked at all, for this device and request? */
static bool coherent_asks(const struct cma_device *device, enum cma_source source,
                          const struct cma_coherent_plan *plan)
{
    const struct cma_dma *dma = device->dma;
    struct cma_area *own = device->config.area;
    uint32_t flags = device->config.flags;

    switch (source) {
    case CMA_SOURCE_GUARANTEE:
        return device->promises != NULL && (plan->flags & CMA_COHERENT_UNPROMISED) == 0;
    case CMA_SOURCE_AREA: return own != NULL;
    case CMA_SOURCE_DEFAULT_AREA:
        return dma->default_area != NULL && dma->default_area != own &&
               (own == NULL || (flags & CMA_DEVICE_TRY_DEFAULT) != 0);
    default:
        return dma->ops != NULL && dma->ops->alloc != NULL && (flags & CMA_DEVICE_AREA_ONLY) == 0 &&
               plan->npages <= UINT32_MAX;
    }
}

/* Where does the device see the run? Areas were told what it reaches; a host's allocator may have
 * forgotten. */
static int coherent_recheck(struct cma_device *device, struct coherent_run *run,
                            struct cma_refusal *refusal)
{
    uint32_t shift = device->dma->port->page_shift;
    int put;

    if (cma_device_to_bus(device, run->pfn << shift, run->npages << shift,
                          device->config.coherent_mask, &run->daddr) == 0) {
        return 0;
    }
    cma__assert(run->source == CMA_SOURCE_PAGES);
    put = coherent_put(device, run);
    cma__assert(put == 0);
    (void)put;
    *refusal = (struct cma_refusal){.reason = CMA_REASON_UNREACHABLE, .pfn = run->pfn};
    return CMA_ERANGE;
}

/* Asks the sources in their order, for what the device reaches. The run is neither zeroed nor the
 * device's yet. Returns 0 or as cma_dma_alloc_coherent, with *refusal. May sleep. */
static int coherent_take(struct cma_device *device, const struct cma_coherent_plan *plan,
                         struct coherent_run *run, struct cma_refusal *refusal)
{
    static const uint8_t order[] = {CMA_SOURCE_GUARANTEE, CMA_SOURCE_AREA, CMA_SOURCE_DEFAULT_AREA,
                                    CMA_SOURCE_PAGES};
    struct cma_refusal given = *refusal;
    int code = CMA_ERANGE;
    int error;

    for (uint32_t i = 0; i < sizeof(order); i++) {
        run->source = (enum cma_source)order[i];
        run->npages = plan->npages;
        if (!coherent_asks(device, run->source, plan)) {
            continue;
        }
        switch (run->source) {
        case CMA_SOURCE_GUARANTEE: error = coherent_from_promise(device, plan, run, &given); break;
        case CMA_SOURCE_PAGES: error = coherent_from_pages(device, plan, &run->pfn, &given); break;
        default:
            error = coherent_from_area(device, coherent_area(device, run->source), plan, &run->pfn,
                                       &given);
        }
        if (error == 0) {
            error = coherent_recheck(device, run, &given);
        }
        if (error == 0) {
            return 0;
        }
        cma__coherent_refused(&code, refusal, error, &given);
        if (run->source == CMA_SOURCE_GUARANTEE && error == CMA_EAGAIN) {
            return error;
        }
    }
    return code;
}

/* --- allocate -------------------------------------------------------------------------- */

/* Bytes to whole pages, without passing 2^64. */
static int coherent_npages(const struct cma_device *device, uint64_t nbytes, uint64_t *npages)
{
    uint64_t mask = ((uint64_t)1 << device->dma->port->page_shift) - 1;

    if (nbytes == 0) {
        return CMA_EINVAL;
    }
    if (nbytes > UINT64_MAX - mask) {
        return CMA_EOVERFLOW;
    }
    *npages = device_npages(device, nbytes);
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
    if (device->config.coherent_mask == 0 || (request->flags & ~COHERENT_FLAGS) != 0 ||
        (align != 0 && !range_is_power_of_two(align)) ||
        (boundary != 0 && (!range_is_power_of_two(boundary) || boundary < request->nbytes))) {
        return CMA_EINVAL;
    }
    plan->align_nbytes = align < page ? page : align;
    /* What begins on a page and is no longer than the boundary doesn't cross one below a page. */
    plan->boundary_nbytes = boundary < page ? 0 : boundary;
    plan->flags = request->flags;
    plan->promise = request->promise;
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

/* Of a block that was promised, the promise's share of the window; else NULL. */
static uint32_t *coherent_share(const struct coherent_run *run)
{
    if (run->source != CMA_SOURCE_GUARANTEE) {
        return NULL;
    }
    return &((struct cma_device_promise *)(void *)((uint8_t *)run->guarantee -
                                                   offsetof(struct cma_device_promise, guarantee)))
                ->reserved;
}

int cma__coherent_make(struct cma_device *device, const struct cma_coherent_plan *plan,
                       struct cma_coherent *buffer, struct cma_refusal *refusal)
{
    uint32_t shift = device->dma->port->page_shift;
    struct cma_coherent made = {.nbytes = buffer->nbytes};
    struct coherent_run run;
    int error = coherent_take(device, plan, &run, refusal);
    int put;

    if (error != 0) {
        return error;
    }
    made.paddr = run.pfn << shift;
    made.daddr = run.daddr;
    made.source = run.source;
    error = cma__handover_prepare(device, &made, run.npages << shift, plan->flags,
                                  coherent_share(&run), refusal);
    if (error != 0) {
        put = coherent_put(device, &run);
        cma__assert(put == 0);
        (void)put;
        return error;
    }
    (void)atom_add(&device->live_npages, (uint32_t)run.npages);
    *buffer = made;
    return 0;
}

/* --- back-ends ------------------------------------------------------------------------- */

/* Whose finished buffers the device's are, by source; NULL: nobody's. A region of all devices is
 * for those that have none, and never for one that is restricted. */
static const struct cma_backend_ops *coherent_backend(const struct cma_device *device,
                                                      enum cma_source source)
{
    const struct cma_dma *dma = device->dma;
    bool restricted = (device->config.flags & CMA_DEVICE_RESTRICTED) != 0;

    if (source == CMA_SOURCE_EXCLUSIVE) {
        if (device->exclusive != NULL) {
            return device->exclusive->ops;
        }
        return dma->exclusive != NULL && !restricted ? dma->exclusive->ops : NULL;
    }
    if (source == CMA_SOURCE_BOUNCE) {
        return restricted ? device->config.bounce->ops->coherent : NULL;
    }
    return source == CMA_SOURCE_NOSLEEP && dma->nosleep != NULL ? dma->nosleep->ops : NULL;
}

/* Asks a back-end. What it gives is looked at: Linux's pool for callers that may not sleep gave
 * devices what they don't reach. */
static int coherent_ask(struct cma_device *device, enum cma_source source,
                        const struct cma_coherent_plan *plan, struct cma_coherent *buffer,
                        struct cma_refusal *refusal)
{
    const struct cma_backend_ops *backend = coherent_backend(device, source);
    uint64_t whole = plan->npages << device->dma->port->page_shift;
    struct cma_coherent made = {.nbytes = buffer->nbytes};
    cma_daddr_t daddr;
    int error = backend != NULL ? backend->alloc(device, plan, &made, refusal) : CMA_ENOENT;

    if (error != 0) {
        return error;
    }
    if (made.source != source || (made.daddr & (plan->align_nbytes - 1)) != 0 ||
        cma_device_to_bus(device, made.paddr, whole, device->config.coherent_mask, &daddr) != 0 ||
        daddr != made.daddr) {
        error = backend->free(device, &made);
        cma__assert(error == 0);
        *refusal = (struct cma_refusal){.reason = CMA_REASON_UNREACHABLE, .pfn = CMA_PFN_NONE};
        return CMA_ERANGE;
    }
    (void)atom_add(&device->live_npages, (uint32_t)plan->npages);
    *buffer = made;
    return 0;
}

/* The sources in order; CMA_ENOENT becomes a refusal where nobody else may be asked. */
static int coherent_alloc(struct cma_device *device, const struct cma_coherent_plan *plan,
                          struct cma_coherent *buffer, struct cma_refusal *refusal)
{
    int error = (plan->flags & CMA__COHERENT_ORDINARY) != 0
                    ? CMA_ENOENT
                    : coherent_ask(device, CMA_SOURCE_EXCLUSIVE, plan, buffer, refusal);

    if (error != CMA_ENOENT) {
        return error;
    }
    if ((device->config.flags & CMA_DEVICE_RESTRICTED) != 0) {
        error = coherent_ask(device, CMA_SOURCE_BOUNCE, plan, buffer, refusal);
        refusal->reason = error == CMA_ENOENT ? CMA_REASON_BOUNCE : refusal->reason;
        return error == CMA_ENOENT ? CMA_ENOMEM : error;
    }
    if ((plan->flags & CMA_COHERENT_NOSLEEP) != 0) {
        error = coherent_ask(device, CMA_SOURCE_NOSLEEP, plan, buffer, refusal);
        refusal->reason = error == CMA_ENOENT ? CMA_REASON_NOSLEEP : refusal->reason;
        return error == CMA_ENOENT ? CMA_ENOMEM : error;
    }
    return cma__coherent_make(device, plan, buffer, refusal);
}

int cma__coherent_request(struct cma_device *device, const struct cma_coherent_request *request,
                          uint32_t how, struct cma_coherent *buffer, struct cma_refusal *refusal)
{
    struct cma_refusal why = {.reason = CMA_REASON_UNREACHABLE, .pfn = CMA_PFN_NONE};
    struct cma_coherent made = {.nbytes = request->nbytes};
    struct cma_coherent_plan plan;
    int error = cma__coherent_plan(device, request, &plan);

    if (error != 0) {
        return coherent_refuse(refusal, error, CMA_REASON_ARGUMENT, &why);
    }
    plan.flags |= how;
    plan.explained = refusal != NULL;
    error = coherent_alloc(device, &plan, &made, &why);
    if (error != 0) {
        return coherent_refuse(refusal, error, CMA_REASON_NONE, &why);
    }
    *buffer = made;
    return 0;
}

int cma_dma_alloc_coherent(struct cma_device *device, const struct cma_coherent_request *request,
                           struct cma_coherent *buffer, struct cma_refusal *refusal)
{
    return cma__coherent_request(device, request, 0, buffer, refusal);
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

/* Does this device have such a buffer there, from that source, of that length? How it is mapped is
 * not looked at. Fills *run. Returns 0 or as cma_dma_free_coherent. Sleeps: no. */
static int coherent_judge(struct cma_device *device, const struct cma_coherent *buffer,
                          struct coherent_run *run)
{
    uint32_t shift = device->dma->port->page_shift;
    int error = coherent_npages(device, buffer->nbytes, &run->npages);
    cma_daddr_t daddr;
    cma_paddr_t last;

    if (error != 0 || !range_is_aligned(buffer->paddr, (uint64_t)1 << shift) ||
        !range_last(buffer->paddr, run->npages << shift, &last)) {
        return CMA_EINVAL;
    }
    run->pfn = buffer->paddr >> shift;
    run->source = buffer->source;
    run->guarantee = NULL;
    error = coherent_judge_record(device, run);
    if (error != 0) {
        return error;
    }
    if (cma_device_to_bus(device, buffer->paddr, run->npages << shift, UINT64_MAX, &daddr) != 0 ||
        daddr != buffer->daddr) {
        return CMA_EINVAL;
    }
    return 0;
}

int cma__coherent_unmake(struct cma_device *device, const struct cma_coherent *buffer)
{
    uint32_t shift = device->dma->port->page_shift;
    struct coherent_run run;
    int error = coherent_judge(device, buffer, &run);

    if (error != 0) {
        return error;
    }
    if (!cma__handover_judge(device, buffer, run.npages << shift)) {
        return CMA_EINVAL;
    }
    cma__handover_unprepare(device, buffer, run.npages << shift, coherent_share(&run));
    error = coherent_put(device, &run);
    cma__assert(error == 0 || run.source == CMA_SOURCE_PAGES);
    if (error == 0) {
        (void)atom_sub(&device->live_npages, (uint32_t)run.npages);
    }
    return error;
}

/* Is it inside exclusive memory? That may be an area's too, or unknown to the frame table, so the
 * record does not tell. */
static bool coherent_is_exclusive(struct cma_dma *dma, cma_paddr_t paddr)
{
    uintptr_t state = guard_lock(dma->port, &dma->lock);
    const struct cma_exclusive *region = dma->regions;

    while (region != NULL && paddr - region->paddr >= (uint64_t)region->npages
                                                          << dma->port->page_shift) {
        region = region->next_region;
    }
    guard_unlock(dma->port, &dma->lock, state);
    return region != NULL;
}

int cma__coherent_free(struct cma_device *device, const struct cma_coherent *buffer)
{
    const struct cma_backend_ops *backend = coherent_backend(device, buffer->source);
    uint64_t npages;
    int error = coherent_npages(device, buffer->nbytes, &npages);

    if (error != 0) {
        return CMA_EINVAL;
    }
    if (backend != NULL) {
        error = backend->free(device, buffer);
        if (error == 0) {
            (void)atom_sub(&device->live_npages, (uint32_t)npages);
        }
        return error;
    }
    if ((device->config.flags & CMA_DEVICE_RESTRICTED) != 0 ||
        coherent_is_exclusive(device->dma, buffer->paddr)) {
        return CMA_EINVAL;
    }
    return cma__coherent_unmake(device, buffer);
}

int cma_dma_free_coherent(struct cma_device *device, const struct cma_coherent *buffer)
{
    /* What is cached was not allocated here. */
    return (buffer->flags & CMA__COHERENT_CACHED) != 0 ? CMA_EINVAL
                                                       : cma__coherent_free(device, buffer);
}
