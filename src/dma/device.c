/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * device.c - what a device reaches
 *
 * A window says: nbytes from paddr on appear at daddr. `part` below is a stretch of physical memory
 * that the device sees in one piece: a window, cut where its daddr passes the mask, with the
 * windows that continue it on both sides. There are few windows, so they are searched, not sorted.
 *
 * Ends are inclusive. A window with nbytes 0 is all of the address space; it is unpacked into its
 * last address once, in device_window, and nothing else looks at nbytes.
 */
#include <cma/dma.h>

#include "../base/bits.h"
#include "../base/bus.h"
#include "../base/range.h"
#include "device.h"

#define DEVICE_FLAGS                                                       \
    (CMA_DEVICE_COHERENT | CMA_DEVICE_AREA_ONLY | CMA_DEVICE_TRY_DEFAULT | \
     CMA_DEVICE_BOUNCE_ALWAYS | CMA_DEVICE_UNTRUSTED | CMA_DEVICE_RESTRICTED)

/* A window with inclusive ends. */
struct device_window {
    cma_paddr_t paddr, paddr_last;
    cma_daddr_t daddr, daddr_last;
};

static uint32_t device_nwindows(const struct cma_device_config *config)
{
    return config->windows == NULL ? 1 : config->nwindows;
}

/* Window `index`; false when it is malformed. */
static bool device_window(const struct cma_device_config *config, uint32_t index,
                          struct device_window *window)
{
    const struct cma_bus_window *from;

    window->paddr = 0;
    window->daddr = 0;
    window->paddr_last = CMA_PADDR_MAX;
    window->daddr_last = CMA_PADDR_MAX;
    if (config->windows == NULL) {
        return true;
    }
    from = &config->windows[index];
    if (from->nbytes == 0) {
        return from->paddr == 0 && from->daddr == 0;
    }
    window->paddr = from->paddr;
    window->daddr = from->daddr;
    return range_last(from->paddr, from->nbytes, &window->paddr_last) &&
           range_last(from->daddr, from->nbytes, &window->daddr_last);
}

/* The same, cut at the mask; false when nothing is left. */
static bool device_window_below(const struct cma_device_config *config, uint32_t index,
                                cma_daddr_t mask, struct device_window *window)
{
    if (!device_window(config, index, window) || window->daddr > mask) {
        return false;
    }
    if (window->daddr_last > mask) {
        window->paddr_last -= window->daddr_last - mask;
        window->daddr_last = mask;
    }
    return true;
}

static int device_check_windows(const struct cma_device_config *config)
{
    struct device_window a, b;
    uint32_t i, j;

    for (i = 0; i < device_nwindows(config); i++) {
        if (!device_window(config, i, &a)) {
            return CMA_EINVAL;
        }
        for (j = 0; j < i; j++) {
            (void)device_window(config, j, &b);
            if (range_overlaps(a.paddr, a.paddr_last, b.paddr, b.paddr_last) ||
                range_overlaps(a.daddr, a.daddr_last, b.daddr, b.daddr_last)) {
                return CMA_EINVAL;
            }
        }
    }
    return 0;
}

/* What a config says besides its windows. */
static bool device_check_config(const struct cma_device_config *config)
{
    uint64_t boundary = config->segment_boundary_nbytes;
    uint64_t align = config->min_align_nbytes;

    return config->owner != 0 && (config->flags & ~DEVICE_FLAGS) == 0 &&
           (config->windows != NULL || config->nwindows == 0) &&
           (boundary == 0 || range_is_power_of_two(boundary)) &&
           (align == 0 || range_is_power_of_two(align)) &&
           ((config->flags & CMA_DEVICE_RESTRICTED) == 0 || config->bounce != NULL);
}

int cma_device_init(struct cma_device *device, struct cma_dma *dma,
                    const struct cma_device_config *config)
{
    cma_daddr_t mask;
    cma_paddr_t first, last;
    int error;

    if (device == NULL || dma == NULL || config == NULL || !device_check_config(config)) {
        return CMA_EINVAL;
    }
    error = device_check_windows(config);
    if (error != 0) {
        return error;
    }
    mask = config->mask > config->coherent_mask ? config->mask : config->coherent_mask;
    *device = (struct cma_device){.dma = dma, .config = *config};
    if (mask == 0 || cma_device_reach(device, mask, 0, &first, &last) != 0) {
        *device = (struct cma_device){0};
        return CMA_ERANGE;
    }
    return 0;
}

/* --- inheritance ----------------------------------------------------------------------- */

/* A config's windows as buses have them, those of a parent cut where its addresses end. */
static bool device_bus_window(const struct cma_device_config *config, cma_daddr_t mask,
                              uint32_t index, struct cma_bus_window *bus)
{
    struct device_window window;

    if (!device_window_below(config, index, mask, &window)) {
        return false;
    }
    bus->daddr = window.daddr;
    bus->paddr = window.paddr;
    bus->nbytes = window.daddr_last - window.daddr + 1;
    return true;
}

/* Leads the windows of `config` on through those of its parent that lie below `mask`. Returns how
 * many there are; stores up to max of them. */
static uint32_t device_compose(const struct cma_device_config *config,
                               const struct cma_device_config *parent, cma_daddr_t mask,
                               struct cma_bus_window *windows, uint32_t max)
{
    struct cma_bus_window inner, outer, cut;
    uint32_t count = 0;

    for (uint32_t i = 0; i < device_nwindows(config); i++) {
        for (uint32_t j = 0; j < device_nwindows(parent); j++) {
            if (device_bus_window(config, CMA_PADDR_MAX, i, &inner) &&
                device_bus_window(parent, mask, j, &outer) && bus_cut(&inner, &outer, &cut)) {
                if (count < max) {
                    windows[count] = cut;
                }
                count++;
            }
        }
    }
    return count;
}

/* The highest address up to `mask` up to which nothing leads above the parent's mask. False: there
 * is none. */
static bool device_cut_mask(const struct cma_device_config *config, cma_daddr_t parent_mask,
                            cma_daddr_t *mask)
{
    struct cma_bus_window inner, cut;
    struct cma_bus_window above = {parent_mask + 1, 0, ~parent_mask};

    for (uint32_t i = 0; parent_mask != CMA_PADDR_MAX && i < device_nwindows(config); i++) {
        if (device_bus_window(config, CMA_PADDR_MAX, i, &inner) && bus_cut(&inner, &above, &cut) &&
            cut.daddr <= *mask) {
            if (cut.daddr == 0) {
                return false;
            }
            *mask = cut.daddr - 1;
        }
    }
    return true;
}

static uint64_t device_stricter(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

int cma_device_inherit(struct cma_device_config *config, const struct cma_device *parent,
                       struct cma_bus_window *windows, uint32_t nwindows_max)
{
    const uint32_t handed_on = CMA__DEVICE_BOUNCES;
    const struct cma_device_config *above = &parent->config;
    cma_daddr_t carried = bits_max(above->mask, above->coherent_mask);
    struct cma_device_config made = *config;

    if (!device_check_config(above) || (config->windows == NULL && config->nwindows != 0) ||
        device_check_windows(config) != 0) {
        return CMA_EINVAL;
    }
    made.nwindows = device_compose(config, above, carried, windows, 0);
    if (made.nwindows == 0 || !device_cut_mask(config, above->mask, &made.mask)) {
        return CMA_ERANGE;
    }
    if (made.nwindows > nwindows_max) {
        return CMA_ENOSPC;
    }
    if (above->coherent_mask == 0 ||
        !device_cut_mask(config, above->coherent_mask, &made.coherent_mask)) {
        made.coherent_mask = 0;
    }
    (void)device_compose(config, above, carried, windows, nwindows_max);
    made.windows = windows;
    made.segment_nbytes_max =
        device_stricter(config->segment_nbytes_max, above->segment_nbytes_max);
    made.segment_boundary_nbytes =
        device_stricter(config->segment_boundary_nbytes, above->segment_boundary_nbytes);
    made.min_align_nbytes = bits_max(config->min_align_nbytes, above->min_align_nbytes);
    made.flags &= above->flags | ~CMA_DEVICE_COHERENT;
    made.flags |= above->flags & handed_on;
    if (made.bounce == NULL) {
        made.bounce = above->bounce;
    }
    *config = made;
    return 0;
}

/* --- translation ----------------------------------------------------------------------- */

int cma_device_to_bus(const struct cma_device *device, cma_paddr_t paddr, uint64_t nbytes,
                      cma_daddr_t mask, cma_daddr_t *daddr)
{
    const struct cma_device_config *config = &device->config;
    struct device_window window;
    cma_paddr_t last, at = paddr;
    cma_daddr_t first = 0, next = 0;
    uint32_t i = 0;

    if (nbytes == 0) {
        return CMA_EINVAL;
    }
    if (!range_last(paddr, nbytes, &last)) {
        return CMA_EOVERFLOW;
    }
    /* Each window that holds `at` carries it on; then the search begins again from the first. */
    while (i < device_nwindows(config)) {
        if (!device_window_below(config, i, mask, &window) ||
            !range_contains(window.paddr, window.paddr_last, at, at)) {
            i++;
            continue;
        }
        if (at == paddr) {
            first = window.daddr + (at - window.paddr);
        } else if (window.daddr != next) {
            return CMA_ERANGE;
        }
        if (last <= window.paddr_last) {
            *daddr = first;
            return 0;
        }
        at = window.paddr_last + 1;
        next = window.daddr_last + 1;
        i = 0;
    }
    return CMA_ERANGE;
}

int cma_device_from_bus(const struct cma_device *device, cma_daddr_t daddr, uint64_t nbytes,
                        cma_paddr_t *paddr)
{
    const struct cma_device_config *config = &device->config;
    struct device_window window;
    cma_daddr_t last, at = daddr;
    cma_paddr_t first = 0, next = 0;
    uint32_t i = 0;

    if (nbytes == 0) {
        return CMA_EINVAL;
    }
    if (!range_last(daddr, nbytes, &last)) {
        return CMA_EOVERFLOW;
    }
    while (i < device_nwindows(config)) {
        if (!device_window(config, i, &window) ||
            !range_contains(window.daddr, window.daddr_last, at, at)) {
            i++;
            continue;
        }
        if (at == daddr) {
            first = window.paddr + (at - window.daddr);
        } else if (window.paddr != next) {
            return CMA_ERANGE;
        }
        if (last <= window.daddr_last) {
            *paddr = first;
            return 0;
        }
        at = window.daddr_last + 1;
        next = window.paddr_last + 1;
        i = 0;
    }
    return CMA_ERANGE;
}

int cma__device_stretch(const struct cma_device *device, cma_daddr_t daddr, cma_daddr_t last,
                        cma_paddr_t *paddr, uint64_t *nbytes)
{
    const struct cma_device_config *config = &device->config;
    struct device_window window;
    cma_daddr_t at = daddr;
    uint32_t i = 0;

    while (i < device_nwindows(config)) {
        if (!device_window(config, i, &window) ||
            !range_contains(window.daddr, window.daddr_last, at, at) ||
            (at != daddr && window.paddr != *paddr + (at - daddr))) {
            i++;
            continue;
        }
        if (at == daddr) {
            *paddr = window.paddr + (at - window.daddr);
        }
        if (last <= window.daddr_last || window.paddr_last == CMA_PADDR_MAX) {
            *nbytes = bits_min(last, window.daddr_last) - daddr + 1;
            return 0;
        }
        at = window.daddr_last + 1;
        i = 0;
    }
    *nbytes = at - daddr;
    return at == daddr ? CMA_ERANGE : 0;
}

/* The window that begins exactly behind `part`, on both sides. */
static bool device_continues(const struct cma_device_config *config, cma_daddr_t mask,
                             const struct device_window *part, struct device_window *next)
{
    uint32_t i;

    if (part->paddr_last == CMA_PADDR_MAX || part->daddr_last >= mask) {
        return false;
    }
    for (i = 0; i < device_nwindows(config); i++) {
        if (device_window_below(config, i, mask, next) && next->paddr == part->paddr_last + 1 &&
            next->daddr == part->daddr_last + 1) {
            return true;
        }
    }
    return false;
}

/* The part with the lowest paddr at or above `from`. A part never begins inside another. */
static bool device_part_from(const struct cma_device_config *config, cma_daddr_t mask,
                             cma_paddr_t from, struct device_window *part)
{
    struct device_window window;
    bool found = false;
    uint32_t i;

    for (i = 0; i < device_nwindows(config); i++) {
        if (device_window_below(config, i, mask, &window) && window.paddr >= from &&
            (!found || window.paddr < part->paddr)) {
            *part = window;
            found = true;
        }
    }
    while (found && device_continues(config, mask, part, &window)) {
        part->paddr_last = window.paddr_last;
        part->daddr_last = window.daddr_last;
    }
    return found;
}

int cma__device_part(const struct cma_device *device, cma_daddr_t mask, uint32_t index,
                     struct cma_device_part *part)
{
    const struct cma_device_config *config = &device->config;
    struct device_window found;
    cma_paddr_t from = 0;

    while (device_part_from(config, mask, from, &found)) {
        if (index == 0) {
            part->first = found.paddr;
            part->last = found.paddr_last;
            part->bus_offset = found.daddr - found.paddr;
            return 0;
        }
        if (found.paddr_last == CMA_PADDR_MAX) {
            break;
        }
        from = found.paddr_last + 1;
        index--;
    }
    return CMA_ENOENT;
}

int cma_device_reach(const struct cma_device *device, cma_daddr_t mask, uint32_t index,
                     cma_paddr_t *first, cma_paddr_t *last)
{
    struct cma_device_part part;
    int error = cma__device_part(device, mask, index, &part);

    if (error == 0) {
        *first = part.first;
        *last = part.last;
    }
    return error;
}

int cma_dma_init(struct cma_dma *dma, struct cma_frames *frames, const struct cma_pages_ops *ops,
                 struct cma_area *default_area)
{
    if (dma == NULL || frames == NULL || frames->port == NULL) {
        return CMA_EINVAL;
    }
    *dma = (struct cma_dma){0};
    dma->frames = frames;
    dma->port = frames->port;
    dma->ops = ops;
    dma->default_area = default_area;
    return 0;
}

void cma_dma_set_must_bounce(struct cma_dma *dma,
                             bool (*must_bounce)(void *ctx, const struct cma_device *device,
                                                 cma_paddr_t paddr, uint64_t nbytes),
                             void *ctx)
{
    dma->must_bounce = must_bounce;
    dma->must_bounce_ctx = ctx;
}
