/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fdt_bus.c - how devices reach memory: dma-ranges through all buses, and the list of devices
 *
 *     device --daddr--> bus B [dma-ranges] --> bus A [dma-ranges] --> memory (paddr)
 *
 * An entry of dma-ranges maps a part of a bus's addresses to its parent's. A bus without it, or
 * with an empty one, passes addresses on as they are. The windows of a bus are its own entries cut
 * and shifted by every bus above, so what a device sees is found once a bus, not once a device. The
 * way up is the parent node, except where a "dma-mem" interconnect names another one; such a way
 * can lead in a circle, so every climb is bounded.
 */
#include "fdt.h"

#include "../base/bus.h"
#include "../base/range.h"

#include "../base/mem.h"

/* Index of the node behind `index` on its way to memory. */
static uint32_t bus_find_way(const struct cma_fdt *fdt, uint32_t index)
{
    const struct cma_fdt_node *node = &fdt->nodes[index];
    const uint8_t *provider;
    uint32_t nbytes, parent;
    uint32_t at = 0;
    int wanted;

    if (!(node->flags & FDT_NODE_DMA_MEM)) {
        return node->parent;
    }
    wanted = fdt_stringlist_search(fdt->dtb, (int)node->offset, "interconnect-names", "dma-mem");
    provider = cma__fdt_property(fdt, node->offset, "interconnects", &nbytes);
    for (int i = 0; provider && nbytes - at >= 4; i++) {
        const uint8_t *cells;
        uint32_t length;

        parent = cma__fdt_by_phandle(fdt, (uint32_t)cma__fdt_cells(provider + at, 1));
        if (parent == CMA_NODE_NONE) {
            break;
        }
        if (i == wanted) {
            return parent;
        }
        cells = cma__fdt_property(fdt, fdt->nodes[parent].offset, "#interconnect-cells", &length);
        length = cells && length == 4 ? (uint32_t)cma__fdt_cells(cells, 1) : 0;
        if (length >= (nbytes - at) / 4) {
            break;
        }
        at += 4 + length * 4;
    }
    return node->parent;
}

/* ---- windows ------------------------------------------------------------------------------- */

/* Cells of an entry of a bus's dma-ranges: child address, parent address, size. */
struct bus_cells {
    uint32_t child, parent, size, entry_nbytes;
    bool readable;
};

static struct bus_cells bus_cells(const struct cma_fdt *fdt, const struct cma_fdt_node *bus)
{
    struct bus_cells cells = {bus->naddress, bus->naddress, bus->nsize, 0, false};

    if (bus->parent != CMA_NODE_NONE) {
        cells.parent = fdt->nodes[bus->parent].naddress;
    }
    cells.entry_nbytes = (cells.child + cells.parent + cells.size) * 4;
    cells.readable = cells.child > 0 && cells.parent > 0 && cells.size > 0;
    return cells;
}

/* Reads one entry of dma-ranges. CMA_PROBLEM_NONE and CMA_PROBLEM_ODD leave a usable window. */
static enum cma_problem_kind bus_read_window(const struct bus_cells *cells, const uint8_t *entry,
                                             struct cma_bus_window *window)
{
    enum cma_problem_kind kind = CMA_PROBLEM_NONE;
    uint64_t reach;

    /* Of three cells the first is PCI's flags; the address is in the other two. */
    window->daddr = cma__fdt_cells(entry, cells->child);
    window->paddr = cma__fdt_cells(entry + (size_t)cells->child * 4, cells->parent);
    window->nbytes =
        cma__fdt_cells(entry + (size_t)(cells->child + cells->parent) * 4, cells->size);
    reach = UINT64_MAX - (window->daddr > window->paddr ? window->daddr : window->paddr);
    if (window->nbytes == 0) {
        return CMA_PROBLEM_ZERO;
    }
    if (window->nbytes == UINT64_MAX && reach == UINT64_MAX) {
        window->nbytes = 0; /* all there is: a mask is the only way to say it */
        return CMA_PROBLEM_NONE;
    }
    if (window->nbytes & 1) {
        kind = CMA_PROBLEM_ODD;
        if (window->nbytes <= reach) {
            window->nbytes++;
        }
    }
    return window->nbytes - 1 > reach ? CMA_PROBLEM_OVERFLOW : kind;
}

/* Appends a window to the bus that is being read (the last of all), unless it overlaps one. */
static void bus_add_window(struct cma_fdt *fdt, struct cma_fdt_bus *bus,
                           const struct cma_bus_window *window)
{
    uint32_t offset = fdt->nodes[bus->node].offset;
    struct cma_problem spare, *problem;

    for (uint32_t i = bus->first_window; i < bus->first_window + bus->nwindows; i++) {
        const struct cma_bus_window *other = &fdt->windows[i];

        if (other->daddr == window->daddr && other->paddr == window->paddr &&
            other->nbytes == window->nbytes) {
            return; /* PCI says the same for each of its kinds of space */
        }
        if (range_overlaps(other->daddr, other->daddr + bus_window_last(other), window->daddr,
                           window->daddr + bus_window_last(window)) ||
            range_overlaps(other->paddr, other->paddr + bus_window_last(other), window->paddr,
                           window->paddr + bus_window_last(window))) {
            problem = cma__fdt_problem(fdt, &spare, offset, "dma-ranges", CMA_PROBLEM_CLASH);
            problem->base = window->paddr;
            problem->nbytes = window->nbytes;
            return;
        }
    }
    if (bus->nwindows == CMA_FDT_MAX_WINDOWS || fdt->nwindows == fdt->max_windows) {
        cma__fdt_problem(fdt, &spare, offset, "dma-ranges", CMA_PROBLEM_TOO_MANY)->value =
            bus->nwindows;
        return;
    }
    fdt->windows[fdt->nwindows++] = *window;
    bus->nwindows++;
}

/* Cuts the bus's windows by those of one bus above: the new ones are made behind the old ones,
 * then take their place. */
static void bus_pass(struct cma_fdt *fdt, struct cma_fdt_bus *bus, const uint8_t *ranges,
                     uint32_t nbytes, uint32_t above)
{
    struct cma_fdt_node *node = &fdt->nodes[above];
    struct bus_cells cells = bus_cells(fdt, node);
    uint32_t old_first = bus->first_window;
    uint32_t old_count = bus->nwindows;

    bus->first_window += old_count;
    bus->nwindows = 0;
    for (uint32_t i = old_first; i < old_first + old_count; i++) {
        for (uint32_t at = 0; nbytes - at >= cells.entry_nbytes; at += cells.entry_nbytes) {
            struct cma_bus_window outer, cut;
            enum cma_problem_kind kind = bus_read_window(&cells, ranges + at, &outer);

            if ((kind == CMA_PROBLEM_NONE || kind == CMA_PROBLEM_ODD) &&
                bus_cut(&fdt->windows[i], &outer, &cut)) {
                bus_add_window(fdt, bus, &cut);
            }
        }
    }
    memmove(&fdt->windows[old_first], &fdt->windows[bus->first_window],
            bus->nwindows * sizeof(*fdt->windows));
    bus->first_window = old_first;
    fdt->nwindows = old_first + bus->nwindows;
}

/* The bus's own entries. */
static void bus_read(struct cma_fdt *fdt, struct cma_fdt_bus *bus)
{
    const struct cma_fdt_node *node = &fdt->nodes[bus->node];
    struct bus_cells cells = bus_cells(fdt, node);
    struct cma_problem spare, *problem;
    uint32_t nbytes;
    const uint8_t *ranges = cma__fdt_property(fdt, node->offset, "dma-ranges", &nbytes);

    if (!cells.readable || nbytes % cells.entry_nbytes != 0) {
        cma__fdt_problem(fdt, &spare, node->offset, "dma-ranges", CMA_PROBLEM_LENGTH)->value =
            nbytes;
    }
    for (uint32_t at = 0; cells.readable && nbytes - at >= cells.entry_nbytes;
         at += cells.entry_nbytes) {
        struct cma_bus_window window;
        enum cma_problem_kind kind = bus_read_window(&cells, ranges + at, &window);

        if (kind != CMA_PROBLEM_NONE) {
            problem = cma__fdt_problem(fdt, &spare, node->offset, "dma-ranges", kind);
            problem->base = window.paddr;
            problem->nbytes = window.nbytes - (kind == CMA_PROBLEM_ODD);
        }
        if (kind == CMA_PROBLEM_NONE || kind == CMA_PROBLEM_ODD) {
            bus_add_window(fdt, bus, &window);
        }
    }
}

/* Takes the bus's windows through all buses above it. */
static void bus_climb(struct cma_fdt *fdt, struct cma_fdt_bus *bus)
{
    uint32_t offset = fdt->nodes[bus->node].offset;
    uint32_t above = fdt->nodes[bus->node].way;
    struct cma_bus_window first = fdt->windows[bus->first_window];
    struct cma_problem spare, *problem;
    uint32_t steps = 0;

    for (; above != CMA_NODE_NONE; above = fdt->nodes[above].way) {
        uint32_t nbytes;
        const uint8_t *ranges;

        if (++steps > CMA_FDT_MAX_DEPTH) {
            cma__fdt_problem(fdt, &spare, offset, "interconnects", CMA_PROBLEM_CIRCULAR);
            return;
        }
        ranges = cma__fdt_property(fdt, fdt->nodes[above].offset, "dma-ranges", &nbytes);
        if (ranges && nbytes > 0 && bus_cells(fdt, &fdt->nodes[above]).readable) {
            bus_pass(fdt, bus, ranges, nbytes, above);
        }
    }
    if (bus->nwindows == 0) {
        problem = cma__fdt_problem(fdt, &spare, offset, "dma-ranges", CMA_PROBLEM_NO_WAY);
        problem->base = first.paddr;
        problem->nbytes = first.nbytes;
    }
}

/* Highest CPU address in the bus's windows. */
static cma_paddr_t bus_last(const struct cma_fdt *fdt, const struct cma_fdt_bus *bus)
{
    cma_paddr_t highest = 0;

    for (uint32_t i = bus->first_window; i < bus->first_window + bus->nwindows; i++) {
        cma_paddr_t last = fdt->windows[i].paddr + bus_window_last(&fdt->windows[i]);

        highest = last > highest ? last : highest;
    }
    return highest;
}

void cma__fdt_read_buses(struct cma_fdt *fdt)
{
    fdt->dma_last = CMA_PADDR_MAX;
    for (uint32_t i = 0; i < fdt->nnodes; i++) {
        fdt->nodes[i].way = bus_find_way(fdt, i);
    }
    for (uint32_t i = 0; i < fdt->nnodes; i++) {
        struct cma_fdt_bus *bus = &fdt->buses[fdt->nbuses];

        if (!(fdt->nodes[i].flags & FDT_NODE_DMA_RANGES)) {
            continue;
        }
        bus->node = i;
        bus->first_window = fdt->nwindows;
        bus->nwindows = 0;
        bus_read(fdt, bus);
        if (bus->nwindows == 0) {
            continue; /* nothing in it can be read: as if it was not there, with its problems */
        }
        bus_climb(fdt, bus);
        bus->last = bus_last(fdt, bus);
        fdt->nodes[i].bus = ++fdt->nbuses;
        if ((fdt->nodes[i].flags & FDT_NODE_ENABLED) && bus->nwindows > 0 &&
            bus->last < fdt->dma_last) {
            fdt->dma_last = bus->last;
        }
    }
}

void cma_fdt_limits(const struct cma_fdt *fdt, struct cma_boot_rules *rules)
{
    uint64_t mask = fdt->dma_last;

    if (fdt->dma_last < rules->dma_last) {
        rules->dma_last = fdt->dma_last;
    }
    /* arm64 makes a zone of what all buses reach, its end rounded up to a power of two. */
    if (rules->arch == CMA_ARCH_ARM64 && mask < rules->zone_last[CMA_ZONE_LIMITS - 1]) {
        for (unsigned int shift = 1; shift < 64; shift *= 2) {
            mask |= mask >> shift;
        }
        rules->zone_last[0] = mask;
    }
}

/* ---- devices ------------------------------------------------------------------------------- */

/* The bus whose windows count for the device, or NULL: no bus limits or shifts. */
static const struct cma_fdt_bus *bus_of_device(struct cma_fdt *fdt, uint32_t index)
{
    uint32_t above = fdt->nodes[index].way;
    struct cma_problem spare;

    for (uint32_t steps = 0; above != CMA_NODE_NONE; above = fdt->nodes[above].way) {
        if (fdt->nodes[above].bus) {
            return &fdt->buses[fdt->nodes[above].bus - 1];
        }
        if (++steps > CMA_FDT_MAX_DEPTH) {
            cma__fdt_problem(fdt, &spare, fdt->nodes[index].offset, "interconnects",
                             CMA_PROBLEM_CIRCULAR);
            return NULL;
        }
    }
    return NULL;
}

/* The nearest word on it on the way to memory counts. */
static bool bus_coherent(const struct cma_fdt *fdt, uint32_t index, bool otherwise)
{
    for (uint32_t steps = 0; index != CMA_NODE_NONE && steps <= CMA_FDT_MAX_DEPTH; steps++) {
        if (fdt->nodes[index].flags & FDT_NODE_COHERENT) {
            return true;
        }
        if (fdt->nodes[index].flags & FDT_NODE_NONCOHERENT) {
            return false;
        }
        index = fdt->nodes[index].way;
    }
    return otherwise;
}

/* Reads memory-region, and says which of its regions the device will not get. */
static void bus_read_regions(struct cma_fdt *fdt, struct cma_fdt_device *device)
{
    uint32_t nbytes;
    const uint8_t *list = cma__fdt_property(fdt, device->node, "memory-region", &nbytes);
    struct cma_problem spare, *problem;

    device->regions = &fdt->refs[fdt->nrefs];
    if (list && (nbytes % 4 != 0 || nbytes == 0)) {
        cma__fdt_problem(fdt, &spare, device->node, "memory-region", CMA_PROBLEM_LENGTH)->value =
            nbytes;
    }
    for (uint32_t at = 0; list && nbytes - at >= 4; at += 4) {
        uint32_t phandle = (uint32_t)cma__fdt_cells(list + at, 1);
        uint32_t index = cma__fdt_by_phandle(fdt, phandle);
        enum cma_problem_kind kind = CMA_PROBLEM_NONE;

        if (phandle == 0) {
            continue; /* a gap that is meant */
        }
        if (index == CMA_NODE_NONE) {
            kind = CMA_PROBLEM_PHANDLE;
        } else if (fdt->nodes[index].region == 0) {
            kind = CMA_PROBLEM_NOT_REGION;
        } else if (fdt->regions[fdt->nodes[index].region - 1].state != CMA_FDT_MADE) {
            kind = CMA_PROBLEM_NOT_MADE;
        }
        if (kind != CMA_PROBLEM_NONE) {
            problem = cma__fdt_problem(fdt, &spare, device->node, "memory-region", kind);
            problem->value = phandle;
            problem->other =
                index == CMA_NODE_NONE ? NULL : cma__fdt_name(fdt, fdt->nodes[index].offset);
        }
        if (index != CMA_NODE_NONE) {
            fdt->refs[fdt->nrefs++] = fdt->nodes[index].offset;
            device->nregions++;
        }
    }
}

void cma_fdt_devices(struct cma_fdt *fdt, const struct cma_boot_rules *rules)
{
    fdt->ndevices = 0;
    fdt->nrefs = 0;
    for (uint32_t i = 1; i < fdt->nnodes; i++) {
        struct cma_fdt_device *device = &fdt->devices[fdt->ndevices];
        const struct cma_fdt_node *node = &fdt->nodes[i];
        const struct cma_fdt_bus *bus = NULL;
        uint32_t nbytes;
        bool asks = cma__fdt_property(fdt, node->offset, "memory-region", &nbytes) != NULL ||
                    ((node->flags & FDT_NODE_OURS) != 0 && i != fdt->reserved_memory);

        if (!(node->flags & FDT_NODE_ENABLED) || node->region) {
            continue;
        }
        if (asks || ((node->flags & FDT_NODE_MAPPED) &&
                     (cma__fdt_property(fdt, node->offset, "compatible", &nbytes) ||
                      cma__fdt_property(fdt, node->offset, "reg", &nbytes)))) {
            bus = bus_of_device(fdt, i);
        }
        if (bus && bus->nwindows == 1 && fdt->windows[bus->first_window].nbytes == 0) {
            bus = NULL; /* dma-ranges of everything, unshifted */
        }
        if (!asks && !bus) {
            continue;
        }
        memset(device, 0, sizeof(*device));
        device->node = node->offset;
        device->coherent = bus_coherent(fdt, i, rules->coherent);
        device->dma_last = CMA_PADDR_MAX;
        if (bus) {
            device->windows = &fdt->windows[bus->first_window];
            device->nwindows = bus->nwindows;
            device->dma_last = bus->last;
            device->limited = true;
        }
        bus_read_regions(fdt, device);
        fdt->ndevices++;
    }
}
