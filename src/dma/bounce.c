/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bounce.c - pools of memory that devices reach, for the data of those that don't reach it
 *
 * A pool is one run of slots. Which are free is base/runmap.h's business; what a run of slots is
 * for stands in the record of its first slot, so an address inside a mapping is led back to it by
 * the map. A mapping lies in its run like this:
 *
 *     base                 bounced                                base + run
 *     | padding (< a unit) | nbytes, as long as the buffer | padding (< a unit) |
 *
 * A unit is a slot, or for a device that is not trusted a page: runs of such devices begin and end
 * with one, so that nobody else is where its bus lets it look. The padding in front is as long as
 * the address bits that the device needs ask for, and only what of them is smaller than a unit; the
 * others are asked of the map, by alignment, so that they cost nothing.
 *
 * Free slots are zero, for the CPU and behind its caches. So what was copied in is all that a
 * device finds; and who ends a mapping zeroes it before the map hears of it. Nothing is copied or
 * zeroed with the lock held: a run in the map is its mapper's, and of two calls that end one
 * mapping, one finds it ended.
 */
#include <cma/bounce.h>

#include "../base/atomic.h"
#include "../base/bits.h"
#include "../base/guard.h"
#include "../base/range.h"
#include "../base/runmap.h"
#include "device.h"

#define BOUNCE_SLOT_NBYTES 2048u
#define BOUNCE_SLOT_NBYTES_MIN 64u

enum { BOUNCE_FREE = 0, BOUNCE_MAPPED, BOUNCE_COHERENT, BOUNCE_ENDING };

/* Of a run's first slot. */
struct cma_bounce_slot {
    cma_paddr_t paddr; /* of the buffer; of itself, if coherent */
    const struct cma_device *device;
    uint16_t before, behind; /* padding */
    uint8_t direction, state;
};

/* A run that was found, and what its record says. */
struct bounce_run {
    uint32_t first, n;
    cma_paddr_t bounced;
    uint64_t nbytes;
    struct cma_bounce_slot slot;
};

/* A run that is wanted. */
struct bounce_want {
    uint32_t n, align, bias;
    uint32_t before;
    uint64_t nbytes;
};

/* --- the pool ------------------------------------------------------------------------------ */

static uint32_t bounce_slot_nbytes(const struct cma_port *port,
                                   const struct cma_bounce_config *config)
{
    uint32_t page = UINT32_C(1) << port->page_shift;

    return config->slot_nbytes != 0 ? config->slot_nbytes
                                    : (uint32_t)bits_min(page, BOUNCE_SLOT_NBYTES);
}

/* How many slots a pool has; 0: malformed. */
static uint32_t bounce_nslots(const struct cma_port *port, const struct cma_bounce_config *config)
{
    uint64_t page = UINT64_C(1) << port->page_shift;
    uint32_t slot = bounce_slot_nbytes(port, config);

    if (config->nbytes == 0 || !range_is_aligned(config->nbytes, page) ||
        !range_is_power_of_two(slot) || slot < BOUNCE_SLOT_NBYTES_MIN || slot > page ||
        slot < port->cache_line_nbytes || config->nbytes / slot > INT32_MAX ||
        (config->area == NULL && !range_is_aligned(config->paddr, page))) {
        return 0;
    }
    return (uint32_t)(config->nbytes / slot);
}

uint64_t cma_bounce_size(const struct cma_port *port, const struct cma_bounce_config *config)
{
    uint32_t nslots = bounce_nslots(port, config);
    uint64_t map = nslots != 0 ? cma__runmap_words(nslots) * sizeof(uint32_t) : 0;

    return nslots * (uint64_t)sizeof(struct cma_bounce_slot) + ((map + 7) & ~UINT64_C(7));
}

/* Memory that is said to be the pool's own must be nobody else's. */
static int bounce_judge_memory(const struct cma_frames *frames, const struct cma_bounce *bounce,
                               struct cma_refusal *refusal)
{
    uint32_t shift = frames->port->page_shift;
    cma_pfn_t pfn = bounce->paddr >> shift;
    struct cma_frame_info info;

    for (uint64_t i = 0; i < bounce->config.nbytes >> shift; i++) {
        if (cma_frame_info(frames, pfn + i, &info) == 0 && info.kind != CMA_KIND_RESERVED) {
            return refuse_at(refusal, CMA_EEXIST, CMA_REASON_HELD, pfn + i);
        }
    }
    return 0;
}

static int bounce_take_memory(struct cma_bounce *bounce, struct cma_refusal *refusal)
{
    const struct cma_bounce_config *config = &bounce->config;
    const struct cma_port *port = bounce->dma->port;
    struct cma_area_request request = {.npages = config->nbytes >> port->page_shift,
                                       .paddr_last = config->paddr_last,
                                       .owner = config->owner,
                                       .flags = CMA_CLAIM_LONG};
    cma_paddr_t last;
    cma_pfn_t pfn;
    int error;

    if (config->area != NULL) {
        error = cma_area_alloc(config->area, &request, &pfn, refusal);
        bounce->paddr = error == 0 ? pfn << port->page_shift : 0;
        return error;
    }
    bounce->paddr = config->paddr;
    if (!range_last(config->paddr, config->nbytes, &last)) {
        return refuse_with(refusal, CMA_EOVERFLOW, CMA_REASON_ARGUMENT);
    }
    return bounce_judge_memory(bounce->dma->frames, bounce, refusal);
}

/* Zero for whoever looks, the CPU or a device that does not ask its caches. */
static void bounce_zero(const struct cma_port *port, cma_paddr_t paddr, uint64_t nbytes)
{
    port->zero(port->ctx, paddr, nbytes);
    if (port->clean != NULL) {
        port->clean(port->ctx, paddr, nbytes);
    }
}

static const struct cma_bounce_ops bounce_ops;

int cma_bounce_init(struct cma_bounce *bounce, struct cma_dma *dma,
                    const struct cma_bounce_config *config, void *storage, uint64_t nbytes,
                    struct cma_refusal *refusal)
{
    const struct cma_port *port;
    struct cma_bounce made = {.ops = &bounce_ops, .dma = dma};
    int error;

    if (bounce == NULL || dma == NULL || config == NULL || storage == NULL ||
        (uintptr_t)storage % 8 != 0 || bounce_nslots(dma->port, config) == 0) {
        return refuse_with(refusal, CMA_EINVAL, CMA_REASON_ARGUMENT);
    }
    port = dma->port;
    if (nbytes < cma_bounce_size(port, config)) {
        return refuse_with(refusal, CMA_ENOMEM, CMA_REASON_ARGUMENT);
    }
    made.config = *config;
    error = bounce_take_memory(&made, refusal);
    if (error != 0) {
        return error;
    }
    made.nslots = bounce_nslots(port, config);
    made.slot_shift = bits_highest(bounce_slot_nbytes(port, config));
    made.slots = storage;
    made.map = (uint32_t *)(void *)&made.slots[made.nslots];
    for (uint32_t i = 0; i < made.nslots; i++) {
        made.slots[i] = (struct cma_bounce_slot){.state = BOUNCE_FREE};
    }
    cma__runmap_init(made.map, made.nslots);
    bounce_zero(port, made.paddr, config->nbytes);
    *bounce = made;
    return 0;
}

void cma_bounce_use(struct cma_dma *dma, struct cma_bounce *bounce)
{
    dma->bounce = bounce;
}

int cma_bounce_destroy(struct cma_bounce *bounce)
{
    const struct cma_port *port = bounce->dma->port;
    const struct cma_bounce_config *config = &bounce->config;

    if (bounce->used != 0) {
        return CMA_EBUSY;
    }
    if (bounce->dma->bounce == bounce) {
        bounce->dma->bounce = NULL;
    }
    return config->area == NULL
               ? 0
               : cma_area_release(config->area, bounce->paddr >> port->page_shift,
                                  config->nbytes >> port->page_shift, config->owner);
}

/* --- runs ---------------------------------------------------------------------------------- */

static bool bounce_holds(const struct cma_bounce *bounce, cma_paddr_t bounced)
{
    return bounced >= bounce->paddr && bounced - bounce->paddr < bounce->config.nbytes;
}

/* Where the device sees the pool, all of it in one piece: daddr - paddr. CMA_ERANGE: it doesn't. */
static int bounce_offset(const struct cma_bounce *bounce, const struct cma_device *device,
                         cma_daddr_t mask, uint64_t *offset)
{
    cma_daddr_t daddr = 0;
    int error = cma_device_to_bus(device, bounce->paddr, bounce->config.nbytes, mask, &daddr);

    *offset = daddr - bounce->paddr;
    return error;
}

static uint64_t bounce_nbytes_max(const struct cma_bounce *bounce, const struct cma_device *device)
{
    uint64_t offset;

    return bounce_offset(bounce, device, device->config.mask, &offset) == 0 ? bounce->config.nbytes
                                                                            : 0;
}

/* What a device asks of a run for nbytes of a buffer at paddr. False: no run can do. */
static bool bounce_want(const struct cma_bounce *bounce, const struct cma_device *device,
                        uint64_t offset, cma_paddr_t paddr, uint64_t nbytes,
                        struct bounce_want *want)
{
    uint64_t slot = UINT64_C(1) << bounce->slot_shift, unit = slot;
    uint64_t kept = bits_max(device->config.min_align_nbytes, 1), bits, align, length = 0;

    if ((device->config.flags & CMA_DEVICE_UNTRUSTED) != 0) {
        unit = UINT64_C(1) << bounce->dma->port->page_shift;
    }
    /* The device's address gets the low bits of the buffer's: `bits` are those of the copy. */
    bits = (paddr - offset) & (kept - 1);
    align = bits_max(kept, unit) >> bounce->slot_shift;
    want->before = (uint32_t)(bits & (unit - 1));
    if (nbytes > bounce->config.nbytes - want->before || align > UINT32_C(1) << 31) {
        return false;
    }
    (void)range_align_up(want->before + nbytes, unit, &length);
    want->n = (uint32_t)(length >> bounce->slot_shift);
    want->align = (uint32_t)align;
    want->bias =
        (uint32_t)(((bounce->paddr - (bits - want->before)) >> bounce->slot_shift) & (align - 1));
    want->nbytes = nbytes;
    return true;
}

/* Takes a run and writes down whose it is. Returns 0 and its address, or CMA_ENOMEM. */
static int bounce_take(struct cma_bounce *bounce, const struct bounce_want *want, uint32_t boundary,
                       const struct cma_bounce_slot *slot, cma_paddr_t *bounced,
                       struct cma_refusal *refusal)
{
    const struct cma_port *port = bounce->dma->port;
    uintptr_t state = guard_lock(port, &bounce->lock);
    uint32_t first =
        cma__runmap_take(bounce->map, bounce->nslots, want->n, want->align, boundary, want->bias);
    uint64_t longest = 0;

    if (first != CMA__RUNMAP_NONE) {
        struct cma_bounce_slot *record = &bounce->slots[first];

        *bounced = bounce->paddr + ((uint64_t)first << bounce->slot_shift) + want->before;
        *record = *slot;
        record->before = (uint16_t)want->before;
        record->behind =
            (uint16_t)(((uint64_t)want->n << bounce->slot_shift) - want->before - want->nbytes);
        bounce->used += want->n;
        bounce->most_used = (uint32_t)bits_max(bounce->used, bounce->most_used);
    } else if (refusal != NULL) {
        longest = cma__runmap_longest(bounce->map, bounce->nslots);
    }
    guard_unlock(port, &bounce->lock, state);
    if (first != CMA__RUNMAP_NONE) {
        return 0;
    }
    (void)refuse_with(refusal, CMA_ENOMEM, CMA_REASON_BOUNCE);
    if (refusal != NULL) {
        refusal->free_run_npages = (longest << bounce->slot_shift) >> port->page_shift;
        refusal->possible_run_npages = refusal->free_run_npages;
    }
    return CMA_ENOMEM;
}

/* The run that begins with slot `first`. Locked. */
static void bounce_fill_run(const struct cma_bounce *bounce, uint32_t first, struct bounce_run *run)
{
    cma_paddr_t base = bounce->paddr + ((uint64_t)first << bounce->slot_shift);

    run->first = first;
    run->n = cma__runmap_length(bounce->map, bounce->nslots, first);
    run->slot = bounce->slots[first];
    run->bounced = base + run->slot.before;
    run->nbytes = ((uint64_t)run->n << bounce->slot_shift) - run->slot.before - run->slot.behind;
}

/* The run that an address is in; false: it is free. Locked. */
static bool bounce_find(const struct cma_bounce *bounce, cma_paddr_t bounced,
                        struct bounce_run *run)
{
    uint32_t slot, first = CMA__RUNMAP_NONE;

    if (bounce_holds(bounce, bounced)) {
        slot = (uint32_t)((bounced - bounce->paddr) >> bounce->slot_shift);
        first = cma__runmap_begin(bounce->map, bounce->nslots, slot);
    }
    if (first != CMA__RUNMAP_NONE) {
        bounce_fill_run(bounce, first, run);
    }
    return first != CMA__RUNMAP_NONE;
}

/* Gives a run back that is ending: zeroed first. */
static void bounce_put(struct cma_bounce *bounce, const struct bounce_run *run)
{
    const struct cma_port *port = bounce->dma->port;
    uintptr_t state;

    bounce_zero(port, bounce->paddr + ((uint64_t)run->first << bounce->slot_shift),
                (uint64_t)run->n << bounce->slot_shift);
    state = guard_lock(port, &bounce->lock);
    bounce->slots[run->first] = (struct cma_bounce_slot){.state = BOUNCE_FREE};
    cma__runmap_put(bounce->map, bounce->nslots, run->first);
    bounce->used -= run->n;
    guard_unlock(port, &bounce->lock, state);
}

/* --- mappings ------------------------------------------------------------------------------ */

static int bounce_map(struct cma_bounce *bounce, const struct cma_device *device, cma_paddr_t paddr,
                      uint64_t nbytes, enum cma_direction direction, uint32_t flags,
                      cma_paddr_t *bounced, struct cma_refusal *refusal)
{
    const struct cma_port *port = bounce->dma->port;
    struct cma_bounce_slot slot = {
        .paddr = paddr, .device = device, .direction = (uint8_t)direction, .state = BOUNCE_MAPPED};
    struct bounce_want want;
    uint64_t offset;
    int error;

    if (bounce_offset(bounce, device, device->config.mask, &offset) != 0) {
        error = refuse_with(refusal, CMA_ERANGE, CMA_REASON_BOUNCE);
    } else if (!bounce_want(bounce, device, offset, paddr, nbytes, &want)) {
        error = refuse_with(refusal, CMA_ERANGE, CMA_REASON_TOO_LARGE);
    } else {
        error = bounce_take(bounce, &want, 0, &slot, bounced, refusal);
    }
    if (error != 0) {
        (void)atom_add(&bounce->nrefused, 1);
        return error;
    }
    (void)atom_add(&bounce->nmaps, 1);
    /* FROM_DEVICE too: the device may write less than it said, and all is copied back. */
    if (direction == CMA_FROM_DEVICE || (flags & CMA_MAP_SKIP_SYNC) == 0) {
        port->copy(port->ctx, *bounced, paddr, nbytes);
        (void)atom_add(&bounce->ncopies_in, 1);
    }
    return 0;
}

static int bounce_judge_run(const struct bounce_run *run, const struct cma_device *device,
                            cma_paddr_t bounced, uint64_t nbytes, enum cma_direction direction,
                            bool whole)
{
    uint64_t into = bounced - run->bounced;

    if (run->slot.state == BOUNCE_ENDING) {
        return CMA_ENOENT;
    }
    if (run->slot.device != device) {
        return CMA_EPERM;
    }
    /* Contiguous memory of a restricted device is synced by its address too, but never unmapped. */
    if (run->slot.state == BOUNCE_COHERENT
            ? whole
            : run->slot.state != BOUNCE_MAPPED || run->slot.direction != (uint8_t)direction) {
        return CMA_EINVAL;
    }
    /* An address in the padding is far behind the end, or before the beginning and wraps. */
    if (into >= run->nbytes || nbytes > run->nbytes - into || (whole && nbytes != run->nbytes)) {
        return CMA_EINVAL;
    }
    return 0;
}

static int bounce_judge(struct cma_bounce *bounce, const struct cma_device *device,
                        cma_paddr_t bounced, uint64_t nbytes, enum cma_direction direction,
                        bool whole)
{
    const struct cma_port *port = bounce->dma->port;
    uintptr_t state = guard_lock(port, &bounce->lock);
    struct bounce_run run;
    int error = CMA_ENOENT;

    if (bounce_find(bounce, bounced, &run)) {
        error = bounce_judge_run(&run, device, bounced, nbytes, direction, whole);
        /* From here on it is the caller's to end, and nobody else's. */
        if (error == 0 && whole) {
            bounce->slots[run.first].state = BOUNCE_ENDING;
        }
    }
    guard_unlock(port, &bounce->lock, state);
    return error;
}

static void bounce_copy(struct cma_bounce *bounce, cma_paddr_t bounced, uint64_t nbytes,
                        bool to_cpu)
{
    const struct cma_port *port = bounce->dma->port;
    uintptr_t state = guard_lock(port, &bounce->lock);
    struct bounce_run run;
    bool found = bounce_find(bounce, bounced, &run);
    cma_paddr_t paddr;

    guard_unlock(port, &bounce->lock, state);
    cma__assert(found && bounced >= run.bounced && bounced - run.bounced < run.nbytes &&
                nbytes <= run.nbytes - (bounced - run.bounced));
    if (!found || run.slot.state == BOUNCE_COHERENT) {
        return;
    }
    paddr = run.slot.paddr + (bounced - run.bounced);
    if (to_cpu) {
        port->copy(port->ctx, paddr, bounced, nbytes);
        (void)atom_add(&bounce->ncopies_out, 1);
    } else {
        port->copy(port->ctx, bounced, paddr, nbytes);
        (void)atom_add(&bounce->ncopies_in, 1);
    }
}

static void bounce_unmap(struct cma_bounce *bounce, cma_paddr_t bounced)
{
    const struct cma_port *port = bounce->dma->port;
    uintptr_t state = guard_lock(port, &bounce->lock);
    struct bounce_run run;
    bool found = bounce_find(bounce, bounced, &run);

    if (found) {
        bounce->slots[run.first].state = BOUNCE_ENDING;
    }
    guard_unlock(port, &bounce->lock, state);
    cma__assert(found);
    if (found) {
        bounce_put(bounce, &run);
    }
}

static const struct cma_bounce_ops bounce_ops = {
    .map = bounce_map,
    .holds = bounce_holds,
    .judge = bounce_judge,
    .copy = bounce_copy,
    .unmap = bounce_unmap,
    .nbytes_max = bounce_nbytes_max,
    .coherent = &cma__restricted_ops,
};

/* --- whole pages, for coherent memory ------------------------------------------------------ */

int cma__bounce_take_pages(struct cma_bounce *bounce, const struct cma_device *device,
                           uint64_t npages, uint64_t align_nbytes, uint64_t boundary_nbytes,
                           cma_paddr_t *paddr, struct cma_refusal *refusal)
{
    uint32_t shift = bounce->dma->port->page_shift;
    struct cma_bounce_slot slot = {.device = device, .state = BOUNCE_COHERENT};
    uint64_t align = bits_max(align_nbytes, UINT64_C(1) << shift) >> bounce->slot_shift;
    uint64_t boundary = boundary_nbytes >> bounce->slot_shift, offset;
    struct bounce_want want;

    if (bounce_offset(bounce, device, device->config.coherent_mask, &offset) != 0) {
        return refuse_with(refusal, CMA_ERANGE, CMA_REASON_BOUNCE);
    }
    /* What is longer than the pool is crossed by no run, and what is as aligned begins none. */
    if (npages > bounce->config.nbytes >> shift || align > UINT32_C(1) << 31) {
        return refuse_with(refusal, CMA_ERANGE, CMA_REASON_TOO_LARGE);
    }
    boundary = boundary > UINT32_C(1) << 31 ? UINT32_C(1) << 31 : boundary;
    want.n = (uint32_t)(npages << shift >> bounce->slot_shift);
    want.align = (uint32_t)align;
    want.bias = (uint32_t)((bounce->paddr + offset) >> bounce->slot_shift);
    want.bias &= (uint32_t)(bits_max(align, boundary) - 1);
    want.before = 0;
    want.nbytes = npages << shift;
    return bounce_take(bounce, &want, (uint32_t)boundary, &slot, paddr, refusal);
}

int cma__bounce_judge_pages(struct cma_bounce *bounce, const struct cma_device *device,
                            cma_paddr_t paddr, uint64_t npages, bool ends)
{
    const struct cma_port *port = bounce->dma->port;
    uintptr_t state = guard_lock(port, &bounce->lock);
    struct bounce_run run;
    int error = CMA_EBADF;

    if (bounce_find(bounce, paddr, &run) && run.slot.state == BOUNCE_COHERENT &&
        run.bounced == paddr) {
        error = run.slot.device != device                  ? CMA_EPERM
                : run.nbytes != npages << port->page_shift ? CMA_EINVAL
                                                           : 0;
        if (error == 0 && ends) {
            bounce->slots[run.first].state = BOUNCE_ENDING;
        }
    }
    guard_unlock(port, &bounce->lock, state);
    return error;
}

void cma__bounce_put_pages(struct cma_bounce *bounce, cma_paddr_t paddr)
{
    bounce_unmap(bounce, paddr);
}

/* --- for others ---------------------------------------------------------------------------- */

void cma_bounce_stats(struct cma_bounce *bounce, struct cma_bounce_stats *stats)
{
    const struct cma_port *port = bounce->dma->port;
    uintptr_t state = guard_lock(port, &bounce->lock);

    stats->nbytes = bounce->config.nbytes;
    stats->used_nbytes = (uint64_t)bounce->used << bounce->slot_shift;
    stats->most_used_nbytes = (uint64_t)bounce->most_used << bounce->slot_shift;
    stats->free_run_nbytes = (uint64_t)cma__runmap_longest(bounce->map, bounce->nslots)
                             << bounce->slot_shift;
    guard_unlock(port, &bounce->lock, state);
    stats->nmaps = atom_peek(&bounce->nmaps);
    stats->nrefused = atom_peek(&bounce->nrefused);
    stats->ncopies_in = atom_peek(&bounce->ncopies_in);
    stats->ncopies_out = atom_peek(&bounce->ncopies_out);
}

int cma_bounce_next(struct cma_bounce *bounce, uint32_t *slot, struct cma_bounce_mapping *mapping)
{
    const struct cma_port *port = bounce->dma->port;
    uintptr_t state = guard_lock(port, &bounce->lock);
    uint32_t first = cma__runmap_next(bounce->map, bounce->nslots, *slot);
    struct bounce_run run;

    if (first != CMA__RUNMAP_NONE) {
        bounce_fill_run(bounce, first, &run);
        mapping->paddr = run.slot.state == BOUNCE_COHERENT ? run.bounced : run.slot.paddr;
        mapping->bounce_paddr = run.bounced;
        mapping->nbytes = run.nbytes;
        mapping->direction = (enum cma_direction)run.slot.direction;
        mapping->owner = run.slot.device->config.owner;
        *slot = first + run.n;
    }
    guard_unlock(port, &bounce->lock, state);
    return first != CMA__RUNMAP_NONE ? 0 : CMA_ENOENT;
}

bool cma_bounce_check(struct cma_bounce *bounce)
{
    uint32_t used = 0, next = 0;
    struct bounce_run run;

    if (!cma__runmap_check(bounce->map, bounce->nslots)) {
        return false;
    }
    for (uint32_t i = 0; i < bounce->nslots; i++) {
        bool begins = cma__runmap_length(bounce->map, bounce->nslots, i) != 0;

        if (begins != (bounce->slots[i].state != BOUNCE_FREE)) {
            return false;
        }
        if (begins) {
            bounce_fill_run(bounce, i, &run);
            if (i < next || run.slot.device == NULL || run.nbytes == 0 ||
                run.nbytes > (uint64_t)run.n << bounce->slot_shift) {
                return false;
            }
            used += run.n;
            next = i + run.n;
        }
    }
    return used == bounce->used && bounce->used <= bounce->most_used &&
           bounce->most_used <= bounce->nslots;
}
