/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * handover.c - mapped memory becomes a device's, and ordinary again; what mappings there are
 *
 * Whoever had the pages before has written to them through the cache. So, for a device that doesn't
 * snoop: what is dirty is written back and all lines dropped; the mapping stops being cached, in
 * place, or goes away, or, where the CPU has none, an uncached one is made; the TLB forgets the old
 * one; and what the cache fetched by itself until then is dropped once more. From there on no line
 * of the memory can enter a cache. On the way back the mapping becomes cached again before anybody
 * else gets the pages. This file is the only one that has the sequence.
 *
 * A second mapping is noticed in three ways: libcma makes none itself where there is a linear one;
 * mappings of others are in the list of those that were told; and the port's lookup is asked about
 * the linear one after each change, for a port may be unable to change what it maps by large
 * blocks.
 */
#include <cma/handover.h>

#include "../base/guard.h"
#include "../base/range.h"
#include "device.h"

/* What becomes of the mapping: in cma_coherent.mapped. */
enum handover_kind {
    HANDOVER_LINEAR,  /* vaddr is the linear address */
    HANDOVER_MAPPED,  /* by port->map */
    HANDOVER_WINDOW,  /* in the consistent window */
    HANDOVER_HIDDEN,  /* there was a linear mapping, and it was taken away; vaddr NULL */
    HANDOVER_NOTHING, /* nothing was changed; vaddr NULL */
};

#define HANDOVER_FLAGS (CMA_COHERENT_NO_MAPPING | CMA_COHERENT_WRITE_COMBINE | CMA__COHERENT_CACHED)

/* --- what mappings there are ----------------------------------------------------------- */

static uint64_t handover_page(const struct cma_port *port)
{
    return (uint64_t)1 << port->page_shift;
}

/* The linear address of a run, or NULL if an end of it has none, or they do not belong together. */
static uint8_t *handover_linear(const struct cma_port *port, cma_paddr_t paddr, uint64_t nbytes)
{
    uint64_t tail = nbytes - handover_page(port);
    uint8_t *first = port->vaddr(port->ctx, paddr);
    uint8_t *last = port->vaddr(port->ctx, paddr + tail);

    if (first == NULL || last == NULL || (uint64_t)((uintptr_t)last - (uintptr_t)first) != tail) {
        return NULL;
    }
    return first;
}

/* Does the machine say that this page is at paddr with this attribute (NONE: that nothing is
 * there)? A port that can't look is believed. */
static bool handover_shows(const struct cma_port *port, const void *vaddr, cma_paddr_t paddr,
                           enum cma_attr attr)
{
    enum cma_attr seen;
    cma_paddr_t at;
    int error;

    if (port->lookup == NULL) {
        return true;
    }
    error = port->lookup(port->ctx, vaddr, &at, &seen);
    return attr == CMA_ATTR_NONE ? error != 0 : error == 0 && at == paddr && seen == attr;
}

/* The first page of a mapped run that does not look so, every `step` bytes and the last one; nbytes
 * when all do. */
static uint64_t handover_differs(const struct cma_port *port, const uint8_t *vaddr,
                                 cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr,
                                 uint64_t step)
{
    uint64_t tail = nbytes - handover_page(port);
    uint64_t at = 0;

    while (handover_shows(port, vaddr + at, paddr + at, attr)) {
        if (at == tail) {
            return nbytes;
        }
        at = step < tail - at ? at + step : tail;
    }
    return at;
}

/* Is each page of the run in the linear mapping, in one piece (`linear` is its address), or none of
 * them (`linear` is NULL)? */
static bool handover_uniform(const struct cma_port *port, cma_paddr_t paddr, uint64_t nbytes,
                             const uint8_t *linear)
{
    for (uint64_t at = 0; at < nbytes; at += handover_page(port)) {
        if (port->vaddr(port->ctx, paddr + at) != (linear == NULL ? NULL : linear + at)) {
            return false;
        }
    }
    return true;
}

static int handover_conflict(struct cma_conflict *conflict, int error, cma_paddr_t paddr,
                             const void *vaddr, enum cma_attr attr, const char *what)
{
    if (conflict != NULL) {
        *conflict =
            (struct cma_conflict){.paddr = paddr, .vaddr = vaddr, .attr = attr, .what = what};
    }
    return error;
}

/* Is the memory mapped otherwise by somebody who told of it? With the lock held. */
static int handover_told_locked(const struct cma_dma *dma, cma_paddr_t paddr, uint64_t nbytes,
                                enum cma_attr attr, struct cma_conflict *conflict)
{
    const struct cma_mapping *told = dma->mappings;
    cma_paddr_t last = paddr + (nbytes - 1);

    while (told != NULL &&
           (told->attr == attr ||
            !range_overlaps(told->paddr, told->paddr + (told->nbytes - 1), paddr, last))) {
        told = told->next;
    }
    if (told == NULL) {
        return 0;
    }
    paddr = told->paddr > paddr ? told->paddr : paddr;
    return handover_conflict(conflict, CMA_EEXIST, paddr,
                             (const uint8_t *)told->vaddr + (paddr - told->paddr), told->attr,
                             told->what);
}

static int handover_told(struct cma_dma *dma, cma_paddr_t paddr, uint64_t nbytes,
                         enum cma_attr attr, struct cma_conflict *conflict)
{
    uintptr_t state = guard_lock(dma->port, &dma->lock);
    int error = handover_told_locked(dma, paddr, nbytes, attr, conflict);

    guard_unlock(dma->port, &dma->lock, state);
    return error;
}

/* Is the linear mapping another one? */
static int handover_look(const struct cma_dma *dma, cma_paddr_t paddr, uint64_t nbytes,
                         enum cma_attr attr, struct cma_conflict *conflict)
{
    const struct cma_port *port = dma->port;

    for (uint64_t at = 0; port->lookup != NULL && at < nbytes; at += handover_page(port)) {
        void *vaddr = port->vaddr(port->ctx, paddr + at);
        enum cma_attr seen;
        cma_paddr_t there;

        if (vaddr != NULL && port->lookup(port->ctx, vaddr, &there, &seen) == 0 && seen != attr) {
            return handover_conflict(conflict, CMA_EEXIST, paddr + at, vaddr, seen,
                                     "linear mapping");
        }
    }
    return 0;
}

/* --- telling and asking ---------------------------------------------------------------- */

static int handover_check(const struct cma_dma *dma, cma_paddr_t paddr, uint64_t nbytes)
{
    cma_paddr_t last;

    if (nbytes == 0 || !range_is_aligned(paddr | nbytes, handover_page(dma->port))) {
        return CMA_EINVAL;
    }
    return range_last(paddr, nbytes, &last) ? 0 : CMA_EOVERFLOW;
}

int cma_handover_look(struct cma_dma *dma, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr,
                      struct cma_conflict *conflict)
{
    int error = handover_check(dma, paddr, nbytes);

    if (error == 0) {
        error = handover_told(dma, paddr, nbytes, attr, conflict);
    }
    return error != 0 ? error : handover_look(dma, paddr, nbytes, attr, conflict);
}

/* Frames that were promised become a device's by means that can't fail, and how frames without a
 * linear mapping are mapped for the device that has them is nowhere to be seen. */
static int handover_ours(const struct cma_dma *dma, const struct cma_mapping *mapping,
                         struct cma_conflict *conflict)
{
    const struct cma_port *port = dma->port;
    struct cma_frame_info info;

    for (uint64_t at = 0; at < mapping->nbytes; at += handover_page(port)) {
        cma_paddr_t paddr = mapping->paddr + at;

        if (cma_frame_info(dma->frames, paddr >> port->page_shift, &info) == 0 &&
            (info.slot || (!info.idle && info.kind == CMA_KIND_CLAIMED &&
                           port->vaddr(port->ctx, paddr) == NULL))) {
            return handover_conflict(conflict, CMA_EEXIST, paddr, NULL, CMA_ATTR_NONE,
                                     info.slot ? "promised to a device" : "a device's buffer");
        }
    }
    return 0;
}

int cma_handover_tell(struct cma_dma *dma, struct cma_mapping *mapping,
                      struct cma_conflict *conflict)
{
    int error = handover_check(dma, mapping->paddr, mapping->nbytes);
    const struct cma_mapping *told;
    uintptr_t state;

    if (error != 0) {
        return error;
    }
    if (mapping->attr == CMA_ATTR_NONE || mapping->what == NULL) {
        return CMA_EINVAL;
    }
    if (handover_differs(dma->port, mapping->vaddr, mapping->paddr, mapping->nbytes, mapping->attr,
                         handover_page(dma->port)) != mapping->nbytes) {
        return CMA_EBADF;
    }
    error = handover_look(dma, mapping->paddr, mapping->nbytes, mapping->attr, conflict);
    error = error != 0 ? error : handover_ours(dma, mapping, conflict);
    if (error != 0) {
        return error;
    }
    state = guard_lock(dma->port, &dma->lock);
    for (told = dma->mappings; told != NULL && told != mapping; told = told->next) {
    }
    error = told != NULL ? CMA_EINVAL
                         : handover_told_locked(dma, mapping->paddr, mapping->nbytes, mapping->attr,
                                                conflict);
    if (error == 0) {
        mapping->next = dma->mappings;
        dma->mappings = mapping;
    }
    guard_unlock(dma->port, &dma->lock, state);
    return error;
}

int cma_handover_forget(struct cma_dma *dma, struct cma_mapping *mapping)
{
    uintptr_t state = guard_lock(dma->port, &dma->lock);
    struct cma_mapping **link = &dma->mappings;
    bool found;

    while (*link != NULL && *link != mapping) {
        link = &(*link)->next;
    }
    found = *link != NULL;
    if (found) {
        *link = mapping->next;
    }
    guard_unlock(dma->port, &dma->lock, state);
    return found ? 0 : CMA_ENOENT;
}

/* --- the sequence ---------------------------------------------------------------------- */

/* No cache has a line of it; dirty ones are in memory. */
static void handover_clean(const struct cma_port *port, cma_paddr_t paddr, uint64_t nbytes)
{
    if (port->clean != NULL) {
        port->clean(port->ctx, paddr, nbytes);
        port->invalidate(port->ctx, paddr, nbytes);
    }
}

/* The mapping was changed: the old one is forgotten, and what was read ahead through it. */
static void handover_settle(const struct cma_port *port, cma_paddr_t paddr, uint64_t nbytes)
{
    guard_tlb_flush(port);
    if (port->clean != NULL) {
        port->invalidate(port->ctx, paddr, nbytes);
    }
    port->dma_barrier(port->ctx);
}

/* The linear mapping is cached again. */
static void handover_set_cached(const struct cma_port *port, cma_paddr_t paddr, uint64_t nbytes)
{
    port->dma_barrier(port->ctx);
    port->set_attr(port->ctx, paddr, nbytes, CMA_ATTR_CACHED);
    guard_tlb_flush(port);
}

/* The linear mapping gets other attributes; a page every `step` bytes is looked at, 0: none. Where
 * one was not changed, all become cached again: returns which, or nbytes. */
static uint64_t handover_change(const struct cma_port *port, const uint8_t *vaddr,
                                cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr,
                                uint64_t step)
{
    uint64_t at = nbytes;

    handover_clean(port, paddr, nbytes);
    port->set_attr(port->ctx, paddr, nbytes, attr);
    handover_settle(port, paddr, nbytes);
    if (step != 0 && handover_differs(port, vaddr, paddr, nbytes, attr, step) != nbytes) {
        at = handover_differs(port, vaddr, paddr, nbytes, attr, handover_page(port));
        handover_set_cached(port, paddr, nbytes);
    }
    return at;
}

int cma_handover_take(struct cma_dma *dma, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr,
                      bool snoops, void **vaddr, struct cma_conflict *conflict)
{
    const struct cma_port *port = dma->port;
    bool changes = !snoops || attr == CMA_ATTR_NONE;
    int error = handover_check(dma, paddr, nbytes);
    uint8_t *linear;
    uint64_t at;

    if (error != 0) {
        return error;
    }
    if (attr != CMA_ATTR_UNCACHED && attr != CMA_ATTR_WRITECOMBINE && attr != CMA_ATTR_NONE) {
        return CMA_EINVAL;
    }
    error = handover_told(dma, paddr, nbytes, changes ? attr : CMA_ATTR_CACHED, conflict);
    error = error != 0 ? error : handover_look(dma, paddr, nbytes, CMA_ATTR_CACHED, conflict);
    if (error != 0) {
        return error;
    }
    linear = handover_linear(port, paddr, nbytes);
    if (!handover_uniform(port, paddr, nbytes, linear) ||
        (changes && linear != NULL && port->set_attr == NULL)) {
        return handover_conflict(conflict, CMA_EOPNOTSUPP, paddr, linear, CMA_ATTR_CACHED,
                                 "linear mapping");
    }
    if (linear == NULL) {
        handover_clean(port, paddr, nbytes);
        port->dma_barrier(port->ctx);
    } else if (changes) {
        at = handover_change(port, linear, paddr, nbytes, attr, handover_page(port));
        if (at != nbytes) {
            return handover_conflict(conflict, CMA_EOPNOTSUPP, paddr + at, linear + at,
                                     CMA_ATTR_CACHED, "linear mapping");
        }
    }
    *vaddr = linear;
    return 0;
}

int cma_handover_return(struct cma_dma *dma, cma_paddr_t paddr, uint64_t nbytes, void *vaddr)
{
    const struct cma_port *port = dma->port;
    int error = handover_check(dma, paddr, nbytes);

    if (error == 0 && vaddr != NULL && port->set_attr != NULL) {
        handover_set_cached(port, paddr, nbytes);
    }
    return error;
}

/* --- for a device ---------------------------------------------------------------------- */

/* Does it stay cached? */
static bool handover_stays(const struct cma_device *device, uint32_t flags)
{
    return cma__device_snoops(device) || (flags & CMA__COHERENT_CACHED) != 0;
}

/* How the CPU has it while it is the device's. */
static enum cma_attr handover_attr(const struct cma_device *device, uint32_t flags)
{
    if (handover_stays(device, flags)) {
        return CMA_ATTR_CACHED;
    }
    if ((flags & CMA_COHERENT_NO_MAPPING) != 0) {
        return CMA_ATTR_NONE;
    }
    return (flags & CMA_COHERENT_WRITE_COMBINE) != 0 ? CMA_ATTR_WRITECOMBINE : CMA_ATTR_UNCACHED;
}

/* What is to become of the mapping. Returns 0 or a refusal. */
static int handover_choose(const struct cma_device *device, cma_paddr_t paddr, uint64_t nbytes,
                           uint32_t flags, const uint8_t *linear, enum handover_kind *kind)
{
    const struct cma_port *port = device->dma->port;
    bool opaque = (flags & CMA_COHERENT_NO_MAPPING) != 0;

    if (linear != NULL) {
        if (handover_stays(device, flags)) {
            *kind = opaque ? HANDOVER_NOTHING : HANDOVER_LINEAR;
            return 0;
        }
        *kind = opaque ? HANDOVER_HIDDEN : HANDOVER_LINEAR;
        return port->set_attr != NULL ? 0 : CMA_EOPNOTSUPP;
    }
    *kind = HANDOVER_NOTHING;
    if (!handover_uniform(port, paddr, nbytes, NULL)) {
        return CMA_EOPNOTSUPP;
    }
    if (!opaque) {
        *kind = device->dma->window != NULL ? HANDOVER_WINDOW : HANDOVER_MAPPED;
        return *kind == HANDOVER_WINDOW || port->map != NULL ? 0 : CMA_EOPNOTSUPP;
    }
    return 0;
}

/* Makes the mapping that was chosen, of memory that is clean. */
static int handover_map(const struct cma_device *device, const struct cma_coherent *buffer,
                        uint64_t nbytes, enum cma_attr attr, void **vaddr)
{
    const struct cma_port *port = device->dma->port;
    int error = 0;

    if (buffer->mapped == HANDOVER_WINDOW) {
        port->window_map(port->ctx, *vaddr, buffer->paddr, nbytes, attr);
    } else if (buffer->mapped == HANDOVER_MAPPED) {
        error = port->map(port->ctx, buffer->paddr, nbytes, attr, vaddr);
    }
    if (error == 0 && attr != CMA_ATTR_CACHED) {
        handover_settle(port, buffer->paddr, nbytes);
    }
    return error;
}

/* Zeroes the run and makes `made`, whose `mapped` was chosen. */
static int handover_make(const struct cma_device *device, struct cma_coherent *made,
                         uint64_t nbytes, uint32_t flags, bool promised,
                         struct cma_refusal *refusal)
{
    const struct cma_port *port = device->dma->port;
    enum cma_attr attr = handover_attr(device, flags);
    /* An area's memory is mapped alike from end to end, and of what was promised, each page was
     * looked at when it was admitted. */
    bool alike = made->source != CMA_SOURCE_PAGES && made->source != CMA_SOURCE_BOUNCE;
    uint64_t step = alike ? nbytes : handover_page(port);
    uint64_t at;
    int error;

    if ((flags & CMA_COHERENT_NO_ZERO) == 0) {
        port->zero(port->ctx, made->paddr, nbytes);
    }
    if (attr != CMA_ATTR_CACHED &&
        (made->mapped == HANDOVER_LINEAR || made->mapped == HANDOVER_HIDDEN)) {
        at = handover_change(port, made->vaddr, made->paddr, nbytes, attr, promised ? 0 : step);
        if (at != nbytes) {
            return refuse_at(refusal, CMA_EOPNOTSUPP, CMA_REASON_ALIAS,
                             (made->paddr + at) >> port->page_shift);
        }
        return 0;
    }
    if (attr != CMA_ATTR_CACHED) {
        handover_clean(port, made->paddr, nbytes);
    } else if (!cma__device_snoops(device)) {
        port->clean(port->ctx, made->paddr, nbytes);
    }
    error = handover_map(device, made, nbytes, attr, &made->vaddr);
    if (error != 0) {
        return refuse_at(refusal, error,
                         error == CMA_EEXIST ? CMA_REASON_ALIAS : CMA_REASON_MAPPING,
                         made->paddr >> port->page_shift);
    }
    port->dma_barrier(port->ctx);
    return 0;
}

int cma__handover_prepare(const struct cma_device *device, struct cma_coherent *buffer,
                          uint64_t nbytes, uint32_t flags, uint32_t *reserved,
                          struct cma_refusal *refusal)
{
    const struct cma_port *port = device->dma->port;
    struct cma_window *window = device->dma->window;
    struct cma_coherent made = *buffer;
    struct cma_conflict conflict;
    cma_pfn_t pfn = made.paddr >> port->page_shift;
    enum handover_kind kind;
    int error;

    made.vaddr = handover_linear(port, made.paddr, nbytes);
    error = handover_choose(device, made.paddr, nbytes, flags, made.vaddr, &kind);
    if (error != 0) {
        return refuse_at(refusal, error, CMA_REASON_MAPPING, pfn);
    }
    if (reserved == NULL && handover_told(device->dma, made.paddr, nbytes,
                                          handover_attr(device, flags), &conflict) != 0) {
        return refuse_at(refusal, CMA_EEXIST, CMA_REASON_ALIAS, conflict.paddr >> port->page_shift);
    }
    if (kind == HANDOVER_WINDOW) {
        made.vaddr = device_window_ops(window)->take(window, nbytes >> port->page_shift, reserved);
        if (made.vaddr == NULL) {
            return refuse_at(refusal, CMA_ENOMEM, CMA_REASON_WINDOW, pfn);
        }
    }
    made.mapped = kind;
    made.flags = flags & HANDOVER_FLAGS;
    error = handover_make(device, &made, nbytes, flags, reserved != NULL, refusal);
    if (error != 0) {
        return error;
    }
    made.vaddr = (flags & CMA_COHERENT_NO_MAPPING) != 0 ? NULL : made.vaddr;
    *buffer = made;
    return 0;
}

bool cma__handover_judge(const struct cma_device *device, const struct cma_coherent *buffer,
                         uint64_t nbytes)
{
    const struct cma_port *port = device->dma->port;
    struct cma_window *window = device->dma->window;
    enum cma_attr attr = handover_attr(device, buffer->flags);
    const uint8_t *linear = handover_linear(port, buffer->paddr, nbytes);
    bool opaque = (buffer->flags & CMA_COHERENT_NO_MAPPING) != 0;
    bool windowed =
        window != NULL && buffer->vaddr != NULL &&
        device_window_ops(window)->holds(window, buffer->vaddr, nbytes >> port->page_shift);

    if ((buffer->flags & ~HANDOVER_FLAGS) != 0 || opaque != (buffer->vaddr == NULL)) {
        return false;
    }
    switch (buffer->mapped) {
    case HANDOVER_LINEAR:
        if (opaque || linear == NULL || buffer->vaddr != linear) {
            return false;
        }
        break;
    case HANDOVER_MAPPED:
        if (opaque || linear != NULL || windowed) {
            return false;
        }
        break;
    case HANDOVER_WINDOW:
        if (!windowed) {
            return false;
        }
        break;
    case HANDOVER_HIDDEN:
        return opaque && attr == CMA_ATTR_NONE &&
               (linear == NULL ||
                handover_differs(port, linear, buffer->paddr, nbytes, attr, nbytes) == nbytes);
    case HANDOVER_NOTHING: return opaque && (attr == CMA_ATTR_CACHED || linear == NULL);
    default: return false;
    }
    return handover_differs(port, buffer->vaddr, buffer->paddr, nbytes, attr, nbytes) == nbytes;
}

void cma__handover_unprepare(const struct cma_device *device, const struct cma_coherent *buffer,
                             uint64_t nbytes, uint32_t *reserved)
{
    const struct cma_port *port = device->dma->port;
    struct cma_window *window = device->dma->window;

    switch (buffer->mapped) {
    case HANDOVER_MAPPED:
        port->dma_barrier(port->ctx);
        port->unmap(port->ctx, buffer->vaddr, nbytes);
        guard_tlb_flush(port);
        break;
    case HANDOVER_WINDOW:
        port->dma_barrier(port->ctx);
        port->window_unmap(port->ctx, buffer->vaddr, nbytes);
        /* Before the addresses are somebody else's. */
        guard_tlb_flush(port);
        device_window_ops(window)->put(window, buffer->vaddr, reserved);
        break;
    case HANDOVER_NOTHING: break;
    default:
        if (!handover_stays(device, buffer->flags)) {
            handover_set_cached(port, buffer->paddr, nbytes);
        }
    }
}

int cma__handover_try(const struct cma_device *device, cma_pfn_t pfn, uint64_t npages,
                      bool reserved, struct cma_refusal *refusal)
{
    const struct cma_port *port = device->dma->port;
    bool snoops = cma__device_snoops(device);
    cma_paddr_t paddr = pfn << port->page_shift;
    uint64_t nbytes = npages << port->page_shift;
    uint64_t page = handover_page(port);
    const uint8_t *linear = handover_linear(port, paddr, nbytes);
    struct cma_conflict conflict;
    uint64_t at = nbytes;

    if (!handover_uniform(port, paddr, nbytes, linear) ||
        (linear == NULL ? !reserved : !snoops && port->set_attr == NULL)) {
        return refuse_at(refusal, CMA_EOPNOTSUPP, CMA_REASON_MAPPING, pfn);
    }
    if (handover_told(device->dma, paddr, nbytes, snoops ? CMA_ATTR_CACHED : CMA_ATTR_NONE,
                      &conflict) != 0) {
        return refuse_at(refusal, CMA_EEXIST, CMA_REASON_ALIAS, conflict.paddr >> port->page_shift);
    }
    if (linear != NULL) {
        at = handover_differs(port, linear, paddr, nbytes, CMA_ATTR_CACHED, page);
    }
    if (linear != NULL && at == nbytes && !snoops) {
        at = handover_change(port, linear, paddr, nbytes, CMA_ATTR_UNCACHED, page);
        if (at == nbytes) {
            handover_set_cached(port, paddr, nbytes);
        }
    }
    if (at != nbytes) {
        return refuse_at(refusal, CMA_EOPNOTSUPP, CMA_REASON_MAPPING,
                         (paddr + at) >> port->page_shift);
    }
    return 0;
}
