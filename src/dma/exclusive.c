/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * exclusive.c - memory that is one device's own, in the four forms of exclusive.h
 *
 * A region is entered first (no two regions of a machine share a page, whoever they are for), then
 * mapped, and at last the device's. What is wrong with it is found out in this order:
 *
 *     malformed -> out of the device's reach -> somebody else's memory -> mapped otherwise
 *
 * and each step is undone when a later one fails. Mappings are told to the handover, so that no
 * other one with other attributes can come to be while the region lasts.
 *
 * What the caller of MAPPED says is held against the port's tables page by page, not at the ends: a
 * mapping that was pieced together is the very thing that a caller may be wrong about, it is done
 * once, at boot, and costs less than the zeroing of the memory.
 *
 * Allocation is a run of pages from a runmap under the region's lock, and zeroing behind it. Beside
 * the map stand the owners, one tag at the page where a buffer begins: for the default region is
 * many devices', and one must not free what is another's. The single pages that came back last stay
 * taken in the map, without an owner, for the next who want one; a request that finds no run has
 * them put back and looks again.
 */
#include <cma/exclusive.h>

#include "../base/guard.h"
#include "../base/range.h"
#include "../base/runmap.h"
#include "device.h"

#define EXCLUSIVE_FLAGS (CMA_EXCLUSIVE_FALL_BACK | CMA_EXCLUSIVE_NO_ZERO)
#define EXCLUSIVE_NPAGES_MAX INT32_MAX
/* Alignments and boundaries are handed on in 32 bits. */
#define EXCLUSIVE_UNIT_MAX (UINT64_C(1) << 30)

static uint64_t exclusive_nbytes(const struct cma_exclusive *region, uint64_t npages)
{
    return npages << region->dma->port->page_shift;
}

static cma_paddr_t exclusive_last(const struct cma_exclusive *region)
{
    return region->paddr + (exclusive_nbytes(region, region->npages) - 1);
}

/* --- buffers --------------------------------------------------------------------------- */

/* The region as the device sees it: 0 and *daddr, or CMA_ENOENT (it is not for this device). */
static int exclusive_view(const struct cma_exclusive *region, const struct cma_device *device,
                          cma_daddr_t *daddr)
{
    uint64_t page = exclusive_nbytes(region, 1);

    if ((region->config.attr == CMA_ATTR_CACHED && !cma__device_snoops(device)) ||
        cma_device_to_bus(device, region->paddr, exclusive_nbytes(region, region->npages),
                          device->config.coherent_mask, daddr) != 0 ||
        !range_is_aligned(*daddr, page)) {
        return CMA_ENOENT;
    }
    return 0;
}

/* Single pages that wait for the next one are free like all others. With the lock held. */
static void exclusive_drain(struct cma_exclusive *region)
{
    while (region->nidle > 0) {
        cma__runmap_put(region->map, region->npages, region->idle[--region->nidle]);
    }
}

/* A run of pages for the plan, or CMA__RUNMAP_NONE. `daddr` is where the region begins. */
static uint32_t exclusive_run(struct cma_exclusive *region, const struct cma_device *device,
                              const struct cma_coherent_plan *plan, cma_daddr_t daddr)
{
    const struct cma_port *port = region->dma->port;
    uint64_t align = plan->align_nbytes >> port->page_shift;
    uint64_t boundary = plan->boundary_nbytes >> port->page_shift;
    uint32_t npages, page, bias;
    uintptr_t state;

    /* Who crosses no multiple of a smaller power of two crosses none of a larger one. */
    boundary = boundary > EXCLUSIVE_UNIT_MAX ? EXCLUSIVE_UNIT_MAX : boundary;
    if (plan->npages > region->npages || align > EXCLUSIVE_UNIT_MAX ||
        (boundary != 0 && plan->npages > boundary)) {
        return CMA__RUNMAP_NONE;
    }
    npages = (uint32_t)plan->npages;
    bias = (uint32_t)((daddr >> port->page_shift) & (EXCLUSIVE_UNIT_MAX - 1));
    state = guard_lock(port, &region->lock);
    if (npages == 1 && align == 1 && region->nidle > 0) {
        page = region->idle[--region->nidle];
    } else {
        page = cma__runmap_take(region->map, region->npages, npages, (uint32_t)align,
                                (uint32_t)boundary, bias);
    }
    if (page == CMA__RUNMAP_NONE && region->nidle > 0) {
        exclusive_drain(region);
        page = cma__runmap_take(region->map, region->npages, npages, (uint32_t)align,
                                (uint32_t)boundary, bias);
    }
    if (page != CMA__RUNMAP_NONE) {
        region->owners[page] = device->config.owner;
        region->used_npages += npages;
        if (region->most_used_npages < region->used_npages) {
            region->most_used_npages = region->used_npages;
        }
    }
    guard_unlock(port, &region->lock, state);
    return page;
}

static int exclusive_take(struct cma_exclusive *region, const struct cma_device *device,
                          const struct cma_coherent_plan *plan, struct cma_coherent *buffer)
{
    const struct cma_port *port = region->dma->port;
    cma_daddr_t daddr;
    uint8_t *vaddr;
    uint64_t at;
    uint32_t page;
    int error = exclusive_view(region, device, &daddr);

    if (error != 0) {
        return error;
    }
    page = exclusive_run(region, device, plan, daddr);
    if (page == CMA__RUNMAP_NONE) {
        return CMA_ENOMEM;
    }
    at = exclusive_nbytes(region, page);
    vaddr = region->vaddr + (uintptr_t)at;
    if ((plan->flags & CMA_COHERENT_NO_ZERO) == 0 &&
        (region->config.flags & CMA_EXCLUSIVE_NO_ZERO) == 0) {
        guard_zero_vaddr(port, vaddr, exclusive_nbytes(region, plan->npages));
        port->dma_barrier(port->ctx);
    }
    *buffer = (struct cma_coherent){
        .vaddr = (plan->flags & CMA_COHERENT_NO_MAPPING) != 0 ? NULL : vaddr,
        .daddr = daddr + at,
        .paddr = region->paddr + at,
        .nbytes = buffer->nbytes,
        .source = CMA_SOURCE_EXCLUSIVE,
        .flags = plan->flags & CMA_COHERENT_NO_MAPPING,
    };
    return 0;
}

static int exclusive_alloc(struct cma_device *device, const struct cma_coherent_plan *plan,
                           struct cma_coherent *buffer, struct cma_refusal *refusal)
{
    struct cma_exclusive *region =
        device->exclusive != NULL ? device->exclusive : device->dma->exclusive;
    struct cma_refusal why = {
        .code = CMA_ENOMEM, .reason = CMA_REASON_TOO_LARGE, .pfn = CMA_PFN_NONE};
    bool ends = false;

    for (; region != NULL; region = region->next) {
        int error = exclusive_take(region, device, plan, buffer);
        uint64_t longest;
        uintptr_t state;

        if (error == 0) {
            return 0;
        }
        if (error == CMA_ENOENT) {
            continue;
        }
        ends = ends || (region->config.flags & CMA_EXCLUSIVE_FALL_BACK) == 0;
        state = guard_lock(region->dma->port, &region->lock);
        longest = cma__runmap_longest(region->map, region->npages);
        guard_unlock(region->dma->port, &region->lock, state);
        if (plan->npages <= region->npages) {
            why.reason = CMA_REASON_EXCLUSIVE;
        }
        if (why.free_run_npages < longest) {
            why.free_run_npages = longest;
        }
    }
    if (!ends) {
        return CMA_ENOENT;
    }
    why.possible_run_npages = why.free_run_npages;
    if (refusal != NULL) {
        *refusal = why;
    }
    return CMA_ENOMEM;
}

/* The region that the buffer is in, of those that the device may have it from. */
static struct cma_exclusive *exclusive_of(const struct cma_device *device,
                                          const struct cma_coherent *buffer)
{
    struct cma_exclusive *region = device->exclusive;

    while (region != NULL &&
           !range_contains(region->paddr, exclusive_last(region), buffer->paddr, buffer->paddr)) {
        region = region->next;
    }
    if (region == NULL && device->dma->exclusive != NULL &&
        range_contains(device->dma->exclusive->paddr, exclusive_last(device->dma->exclusive),
                       buffer->paddr, buffer->paddr)) {
        region = device->dma->exclusive;
    }
    return region;
}

/* Do the addresses belong together? `at` is where in the region it begins. */
static bool exclusive_judge(const struct cma_exclusive *region, const struct cma_device *device,
                            const struct cma_coherent *buffer, uint64_t at)
{
    cma_daddr_t daddr;

    return buffer->source == CMA_SOURCE_EXCLUSIVE && exclusive_view(region, device, &daddr) == 0 &&
           buffer->daddr == daddr + at &&
           buffer->vaddr == ((buffer->flags & CMA_COHERENT_NO_MAPPING) != 0
                                 ? NULL
                                 : region->vaddr + (uintptr_t)at);
}

static int exclusive_free(struct cma_device *device, const struct cma_coherent *buffer)
{
    struct cma_exclusive *region = exclusive_of(device, buffer);
    const struct cma_port *port = device->dma->port;
    uint64_t mask = ((uint64_t)1 << port->page_shift) - 1;
    uint64_t at, npages;
    uint32_t page, length;
    uintptr_t state;
    bool fits;
    int error = 0;

    if (region == NULL) {
        return CMA_EPERM;
    }
    at = buffer->paddr - region->paddr;
    if ((at & mask) != 0 || buffer->nbytes == 0) {
        return CMA_EINVAL;
    }
    fits = exclusive_judge(region, device, buffer, at);
    npages = device_npages(device, buffer->nbytes);
    page = (uint32_t)(at >> port->page_shift);
    state = guard_lock(port, &region->lock);
    length = cma__runmap_length(region->map, region->npages, page);
    if (length == 0 || region->owners[page] == 0) {
        error = CMA_EBADF;
    } else if (region->owners[page] != device->config.owner) {
        error = CMA_EPERM;
    } else if (length != npages || !fits) {
        error = CMA_EINVAL;
    } else {
        region->owners[page] = 0;
        region->used_npages -= length;
        if (length == 1 && region->nidle < CMA__EXCLUSIVE_IDLE) {
            region->idle[region->nidle++] = page;
        } else {
            cma__runmap_put(region->map, region->npages, page);
        }
    }
    guard_unlock(port, &region->lock, state);
    return error;
}

static const struct cma_backend_ops exclusive_ops = {.alloc = exclusive_alloc,
                                                     .free = exclusive_free};

/* --- what is wrong with a region --------------------------------------------------------- */

uint64_t cma_exclusive_size(uint64_t npages)
{
    if (npages == 0 || npages > EXCLUSIVE_NPAGES_MAX) {
        return 0;
    }
    return (cma__runmap_words((uint32_t)npages) + npages) * sizeof(uint32_t);
}

/* The attribute that the memory is to have. False: not for such a device. */
static bool exclusive_attr(const struct cma_exclusive_config *config, bool snoops,
                           enum cma_attr *attr)
{
    bool ram = config->form == CMA_EXCLUSIVE_RESERVED || config->form == CMA_EXCLUSIVE_STOLEN;

    *attr = config->attr;
    if (*attr == CMA_ATTR_NONE) {
        *attr = snoops ? CMA_ATTR_CACHED : CMA_ATTR_UNCACHED;
    }
    if (*attr < CMA_ATTR_CACHED || *attr > CMA_ATTR_DEVICE ||
        (*attr == CMA_ATTR_CACHED && !snoops) || (ram && *attr == CMA_ATTR_DEVICE)) {
        return false;
    }
    if (ram && snoops) {
        *attr = CMA_ATTR_CACHED; /* as all coherent memory of such devices */
    }
    return true;
}

static int exclusive_check(const struct cma_dma *dma, const struct cma_exclusive_config *config,
                           bool snoops, enum cma_attr *attr)
{
    uint64_t page = (uint64_t)1 << dma->port->page_shift;
    bool reserved = config->form == CMA_EXCLUSIVE_RESERVED;
    bool mapped = config->form == CMA_EXCLUSIVE_MAPPED;
    cma_paddr_t last;

    if (config->form < CMA_EXCLUSIVE_DEVICE || config->form > CMA_EXCLUSIVE_STOLEN ||
        config->nbytes == 0 || !range_is_aligned(config->nbytes, page) ||
        !range_is_aligned(config->paddr, page) || (config->flags & ~EXCLUSIVE_FLAGS) != 0 ||
        mapped != (config->vaddr != NULL) || config->name == NULL ||
        !exclusive_attr(config, snoops, attr)) {
        return CMA_EINVAL;
    }
    if (reserved ? config->paddr != 0 || (config->flags & CMA_EXCLUSIVE_NO_ZERO) != 0
                 : config->align_nbytes != 0) {
        return CMA_EINVAL;
    }
    if (mapped && !range_is_aligned((uintptr_t)config->vaddr, page)) {
        return CMA_EINVAL;
    }
    /* A processor that reaches more than it can address sees it in pieces only. */
    if (!range_last(config->paddr, config->nbytes, &last) ||
        config->nbytes - 1 > UINTPTR_MAX - (uintptr_t)config->vaddr ||
        config->nbytes >> dma->port->page_shift > EXCLUSIVE_NPAGES_MAX) {
        return CMA_EOVERFLOW;
    }
    return 0;
}

static int exclusive_conflict(struct cma_conflict *conflict, cma_paddr_t paddr, const void *vaddr,
                              enum cma_attr attr, const char *what)
{
    if (conflict != NULL) {
        *conflict = (struct cma_conflict){paddr, vaddr, attr, what};
    }
    return CMA_EEXIST;
}

/* May somebody else be given memory of it? A caller's own (MAPPED) may be in the table, if it is
 * held there and stays where it is. */
static bool exclusive_is_others(const struct cma_exclusive *region, struct cma_conflict *conflict)
{
    const struct cma_frames *frames = region->dma->frames;
    const struct cma_port *port = region->dma->port;
    cma_pfn_t pfn = region->paddr >> port->page_shift;
    uint32_t i;

    for (i = 0; i < region->npages; i++) {
        struct cma_frame_info info;

        if (cma_frame_info(frames, pfn + i, &info) == 0 &&
            (region->config.form != CMA_EXCLUSIVE_MAPPED || info.idle || info.lent ||
             info.kind == CMA_KIND_MOVABLE || info.kind == CMA_KIND_DROPPABLE)) {
            cma_paddr_t paddr = (pfn + i) << port->page_shift;
            void *vaddr = port->vaddr(port->ctx, paddr);

            (void)exclusive_conflict(conflict, paddr, vaddr,
                                     vaddr != NULL ? CMA_ATTR_CACHED : CMA_ATTR_NONE,
                                     "memory of the frame table");
            return true;
        }
    }
    return false;
}

/* Is it declared already? */
static bool exclusive_is_known(const struct cma_exclusive *region, struct cma_dma *dma)
{
    uintptr_t state = guard_lock(dma->port, &dma->lock);
    const struct cma_exclusive *known = dma->regions;

    while (known != NULL && known != region) {
        known = known->next_region;
    }
    guard_unlock(dma->port, &dma->lock, state);
    return known != NULL;
}

/* Enters it among the regions of the machine; CMA_EEXIST: one of them has memory of it. */
static int exclusive_enter(struct cma_exclusive *region, struct cma_conflict *conflict)
{
    const struct cma_port *port = region->dma->port;
    uintptr_t state = guard_lock(port, &region->dma->lock);
    struct cma_exclusive *other = region->dma->regions;

    while (other != NULL && !range_overlaps(region->paddr, exclusive_last(region), other->paddr,
                                            exclusive_last(other))) {
        other = other->next_region;
    }
    if (other == NULL) {
        region->next_region = region->dma->regions;
        region->dma->regions = region;
    }
    guard_unlock(port, &region->dma->lock, state);
    return other == NULL
               ? 0
               : exclusive_conflict(conflict,
                                    region->paddr > other->paddr ? region->paddr : other->paddr,
                                    other->vaddr, other->config.attr, other->config.name);
}

static void exclusive_leave(struct cma_exclusive *region)
{
    const struct cma_port *port = region->dma->port;
    uintptr_t state = guard_lock(port, &region->dma->lock);
    struct cma_exclusive **link = &region->dma->regions;

    while (*link != NULL && *link != region) {
        link = &(*link)->next_region;
    }
    if (*link != NULL) {
        *link = region->next_region;
    }
    guard_unlock(port, &region->dma->lock, state);
}

/* --- mapping ----------------------------------------------------------------------------- */

/* Does the CPU have each page of it at vaddr, with its attribute? */
static int exclusive_look(const struct cma_exclusive *region, uint8_t *vaddr,
                          struct cma_conflict *conflict)
{
    const struct cma_port *port = region->dma->port;
    uint32_t i;

    for (i = 0; port->lookup != NULL && i < region->npages; i++) {
        uint64_t at = exclusive_nbytes(region, i);
        cma_paddr_t paddr;
        enum cma_attr attr;

        if (port->lookup(port->ctx, vaddr + (uintptr_t)at, &paddr, &attr) != 0 ||
            paddr != region->paddr + at) {
            return CMA_EBADF;
        }
        if (attr != region->config.attr) {
            return exclusive_conflict(conflict, paddr, vaddr + (uintptr_t)at, attr,
                                      "the mapping that was given");
        }
    }
    return 0;
}

/* By the port; where it maps nothing, the memory is where it always is. */
static int exclusive_port_map(struct cma_exclusive *region, struct cma_conflict *conflict)
{
    const struct cma_port *port = region->dma->port;
    uint64_t nbytes = exclusive_nbytes(region, region->npages);
    void *vaddr = NULL;
    uint8_t *last;
    int error;

    if (port->map != NULL) {
        error = port->map(port->ctx, region->paddr, nbytes, region->config.attr, &vaddr);
        if (error == CMA_EEXIST) {
            return exclusive_conflict(conflict, region->paddr, NULL, CMA_ATTR_NONE,
                                      "a mapping that the port has");
        }
        if (error == 0) {
            region->mapped = true;
            region->vaddr = vaddr;
        }
        return error;
    }
    region->vaddr = port->vaddr(port->ctx, region->paddr);
    last = port->vaddr(port->ctx, exclusive_last(region));
    if (region->vaddr == NULL || last == NULL ||
        (uintptr_t)last - (uintptr_t)region->vaddr != (uintptr_t)(nbytes - 1)) {
        return CMA_EOPNOTSUPP;
    }
    error = exclusive_look(region, region->vaddr, conflict);
    return error == CMA_EEXIST ? error : error != 0 ? CMA_EOPNOTSUPP : 0;
}

/* Stolen memory is ordinary memory again. */
static void exclusive_return(struct cma_exclusive *region)
{
    int error = cma_handover_return(region->dma, region->paddr,
                                    exclusive_nbytes(region, region->npages), region->linear);

    cma__assert(error == 0);
    (void)error;
}

static int exclusive_map_stolen(struct cma_exclusive *region, bool snoops,
                                struct cma_conflict *conflict)
{
    uint64_t nbytes = exclusive_nbytes(region, region->npages);
    enum cma_attr attr = snoops ? CMA_ATTR_UNCACHED : region->config.attr; /* snoops: no change */
    int error = cma_handover_take(region->dma, region->paddr, nbytes, attr, snoops, &region->linear,
                                  conflict);

    /* What can't change its attributes where it is may still be unmapped, and mapped elsewhere. */
    if (error == CMA_EOPNOTSUPP && region->dma->port->map != NULL) {
        attr = CMA_ATTR_NONE;
        error = cma_handover_take(region->dma, region->paddr, nbytes, attr, snoops, &region->linear,
                                  conflict);
    }
    if (error != 0) {
        return error;
    }
    region->vaddr = region->linear;
    if (region->linear == NULL || attr == CMA_ATTR_NONE) {
        error = exclusive_port_map(region, conflict);
    }
    if (error != 0) {
        exclusive_return(region);
    }
    return error;
}

static int exclusive_map(struct cma_exclusive *region, bool snoops, struct cma_conflict *conflict)
{
    int error = 0;

    switch (region->config.form) {
    case CMA_EXCLUSIVE_STOLEN: return exclusive_map_stolen(region, snoops, conflict);
    case CMA_EXCLUSIVE_MAPPED:
        region->vaddr = region->config.vaddr;
        error = exclusive_look(region, region->vaddr, conflict);
        break;
    default: break;
    }
    if (error == 0) {
        error =
            cma_handover_look(region->dma, region->paddr, exclusive_nbytes(region, region->npages),
                              region->config.attr, conflict);
    }
    if (error == 0 && region->config.form == CMA_EXCLUSIVE_DEVICE) {
        error = exclusive_port_map(region, conflict);
    }
    return error;
}

static void exclusive_unmap(struct cma_exclusive *region)
{
    const struct cma_port *port = region->dma->port;
    uint64_t nbytes = exclusive_nbytes(region, region->npages);

    if (region->mapped) {
        port->dma_barrier(port->ctx);
        port->unmap(port->ctx, region->vaddr, nbytes);
        guard_tlb_flush(port);
        region->mapped = false;
    }
    if (region->config.form == CMA_EXCLUSIVE_STOLEN) {
        exclusive_return(region);
    }
}

/* --- declare and release ------------------------------------------------------------------- */

/* Ordinary memory that the device takes for itself, beside what it has. */
static int exclusive_reserve(struct cma_exclusive *region, struct cma_refusal *refusal,
                             struct cma_conflict *conflict)
{
    struct cma_coherent_request request = {
        .nbytes = region->config.nbytes,
        .align_nbytes = region->config.align_nbytes,
        .flags = CMA_COHERENT_UNPROMISED,
    };
    int error;

    if (region->config.attr == CMA_ATTR_WRITECOMBINE) {
        request.flags |= CMA_COHERENT_WRITE_COMBINE;
    }
    error = cma__coherent_request(region->device, &request, CMA__COHERENT_ORDINARY,
                                  &region->reserved, refusal);
    if (error != 0) {
        return error;
    }
    region->paddr = region->reserved.paddr;
    region->vaddr = region->reserved.vaddr;
    error = exclusive_enter(region, conflict);
    if (error != 0) {
        int back = cma_dma_free_coherent(region->device, &region->reserved);

        cma__assert(back == 0);
        (void)back;
    }
    return error;
}

/* Memory that nobody else may have and the mapping of it: everything but the device's own list. */
static int exclusive_open(struct cma_exclusive *region, bool snoops, struct cma_conflict *conflict)
{
    int error;

    if (exclusive_is_others(region, conflict)) {
        return CMA_EEXIST;
    }
    error = exclusive_enter(region, conflict);
    if (error != 0) {
        return error;
    }
    error = exclusive_map(region, snoops, conflict);
    if (error == 0) {
        region->mapping = (struct cma_mapping){.paddr = region->paddr,
                                               .nbytes = exclusive_nbytes(region, region->npages),
                                               .vaddr = region->vaddr,
                                               .attr = region->config.attr,
                                               .what = region->config.name};
        error = cma_handover_tell(region->dma, &region->mapping, conflict);
        if (error != 0) {
            exclusive_unmap(region);
        }
    }
    if (error != 0) {
        exclusive_leave(region);
    }
    return error;
}

/* Fills a region in that is not declared yet. */
static int exclusive_begin(struct cma_exclusive *region, struct cma_dma *dma,
                           const struct cma_exclusive_config *config, bool snoops, void *storage,
                           uint64_t nbytes)
{
    enum cma_attr attr;
    uint64_t npages;
    int error = exclusive_check(dma, config, snoops, &attr);

    if (error != 0) {
        return error;
    }
    if (storage == NULL || !range_is_aligned((uintptr_t)storage, sizeof(uint32_t)) ||
        exclusive_is_known(region, dma)) {
        return CMA_EINVAL;
    }
    npages = config->nbytes >> dma->port->page_shift;
    if (nbytes < cma_exclusive_size(npages)) {
        return CMA_ENOMEM;
    }
    *region = (struct cma_exclusive){.ops = &exclusive_ops, .dma = dma, .config = *config};
    region->config.attr = attr;
    region->paddr = config->paddr;
    region->npages = (uint32_t)npages;
    region->map = storage;
    region->owners = region->map + cma__runmap_words(region->npages);
    cma__runmap_init(region->map, region->npages);
    return 0;
}

int cma_exclusive_declare(struct cma_exclusive *region, struct cma_device *device,
                          const struct cma_exclusive_config *config, void *storage, uint64_t nbytes,
                          struct cma_conflict *conflict, struct cma_refusal *refusal)
{
    struct cma_exclusive **link = &device->exclusive;
    bool snoops = cma__device_snoops(device);
    cma_daddr_t daddr;
    int error = exclusive_begin(region, device->dma, config, snoops, storage, nbytes);

    if (error != 0) {
        return error;
    }
    region->device = device;
    if (config->form == CMA_EXCLUSIVE_RESERVED) {
        error = exclusive_reserve(region, refusal, conflict);
    } else if (exclusive_view(region, device, &daddr) != 0) {
        error = CMA_ERANGE;
    } else {
        error = exclusive_open(region, snoops, conflict);
    }
    if (error != 0) {
        region->dma = NULL;
        return error;
    }
    while (*link != NULL) {
        link = &(*link)->next;
    }
    *link = region;
    return 0;
}

int cma_exclusive_declare_default(struct cma_exclusive *region, struct cma_dma *dma,
                                  const struct cma_exclusive_config *config, bool snoops,
                                  void *storage, uint64_t nbytes, struct cma_conflict *conflict)
{
    int error;

    if (config->form == CMA_EXCLUSIVE_RESERVED) {
        return CMA_EINVAL;
    }
    snoops = snoops || dma->port->clean == NULL;
    error = exclusive_begin(region, dma, config, snoops, storage, nbytes);
    if (error != 0) {
        return error;
    }
    error = dma->exclusive == NULL
                ? exclusive_open(region, snoops, conflict)
                : exclusive_conflict(conflict, dma->exclusive->paddr, dma->exclusive->vaddr,
                                     dma->exclusive->config.attr, "the default region");
    if (error != 0) {
        region->dma = NULL;
        return error;
    }
    dma->exclusive = region;
    return 0;
}

int cma_exclusive_release(struct cma_exclusive *region)
{
    struct cma_exclusive **link;
    int error = 0;

    if (region->dma == NULL) {
        return CMA_ENOENT;
    }
    link = region->device != NULL ? &region->device->exclusive : &region->dma->exclusive;
    while (*link != NULL && *link != region) {
        link = &(*link)->next;
    }
    if (*link == NULL) {
        return CMA_ENOENT;
    }
    if (region->used_npages != 0) {
        return CMA_EBUSY;
    }
    *link = region->next;
    exclusive_leave(region);
    if (region->config.form == CMA_EXCLUSIVE_RESERVED) {
        error = cma_dma_free_coherent(region->device, &region->reserved);
        cma__assert(error == 0);
    } else {
        error = cma_handover_forget(region->dma, &region->mapping);
        cma__assert(error == 0);
        exclusive_unmap(region);
    }
    region->dma = NULL;
    return error;
}

/* --- what others may know ------------------------------------------------------------------ */

void cma_exclusive_stats(struct cma_exclusive *region, struct cma_exclusive_stats *stats)
{
    const struct cma_port *port = region->dma->port;
    uintptr_t state = guard_lock(port, &region->lock);

    exclusive_drain(region);
    stats->nbytes = exclusive_nbytes(region, region->npages);
    stats->used_nbytes = exclusive_nbytes(region, region->used_npages);
    stats->most_used_nbytes = exclusive_nbytes(region, region->most_used_npages);
    stats->free_run_nbytes =
        exclusive_nbytes(region, cma__runmap_longest(region->map, region->npages));
    guard_unlock(port, &region->lock, state);
}

int cma_exclusive_next(struct cma_exclusive *region, uint32_t *page, cma_paddr_t *paddr,
                       uint64_t *nbytes)
{
    const struct cma_port *port = region->dma->port;
    uintptr_t state;
    uint32_t first;

    if (*page >= region->npages) {
        return CMA_ENOENT;
    }
    state = guard_lock(port, &region->lock);
    exclusive_drain(region);
    first = cma__runmap_next(region->map, region->npages, *page);
    if (first != CMA__RUNMAP_NONE) {
        uint32_t npages = cma__runmap_length(region->map, region->npages, first);

        *page = first + npages;
        *paddr = region->paddr + exclusive_nbytes(region, first);
        *nbytes = exclusive_nbytes(region, npages);
    }
    guard_unlock(port, &region->lock, state);
    return first != CMA__RUNMAP_NONE ? 0 : CMA_ENOENT;
}
