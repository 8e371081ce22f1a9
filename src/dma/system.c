/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * system.c - a whole machine in one call
 *
 * The storage holds the frame table's part first, then slots, the areas, and their lenders. An area
 * range is one span of the table, or several in a row, its lanes; the first of them is where the
 * area begins.
 */
#include <cma/system.h>

#include "../frame/table.h"

static void system_frames_config(const struct cma_system_config *config,
                                 struct cma_frames_config *frames)
{
    *frames = (struct cma_frames_config){
        .port = config->port,
        .zones = config->zones,
        .nzones = config->nzones,
        .block_order = config->block_order,
        .index = (config->flags & CMA_SYSTEM_NO_INDEX) != 0 ? NULL : &cma_frames_index,
        .lanes = config->lanes,
    };
}

static uint64_t system_max_areas(const struct cma_map *map)
{
    const struct cma_range *range;
    uint64_t count = 0;
    uint32_t i;

    for (i = 0; (range = cma_map_reserved(map, i)) != NULL; i++) {
        count += range->kind == CMA_RANGE_AREA;
    }
    return count;
}

static uint64_t system_frames_nbytes(const struct cma_map *map,
                                     const struct cma_system_config *config)
{
    struct cma_frames_config frames;

    system_frames_config(config, &frames);
    return (cma_frames_size(map, &frames) + 7) & ~(uint64_t)7;
}

uint64_t cma_system_size(const struct cma_map *map, const struct cma_system_config *config)
{
    uint64_t frames_nbytes;

    if (map == NULL || config == NULL || config->nslots > CMA_SLOTS_MAX ||
        (config->flags & ~(CMA_SYSTEM_KEEP_IDLE | CMA_SYSTEM_NO_INDEX)) != 0) {
        return 0;
    }
    frames_nbytes = system_frames_nbytes(map, config);
    if (frames_nbytes == 0) {
        return 0;
    }
    return frames_nbytes + config->nslots * (uint64_t)sizeof(struct cma_slot) +
           system_max_areas(map) * (sizeof(struct cma_area) + sizeof(struct cma_lender));
}

/* The area range of the map that `paddr` lies in. */
static const struct cma_range *system_range(const struct cma_map *map, cma_paddr_t paddr)
{
    const struct cma_range *range;
    uint32_t i;

    for (i = 0; (range = cma_map_reserved(map, i)) != NULL; i++) {
        if (range->kind == CMA_RANGE_AREA && paddr >= range->base &&
            paddr - range->base < range->nbytes) {
            return range;
        }
    }
    return NULL;
}

/* Makes one area of a span, active and lending. */
static int system_add_area(struct cma_system *system, const struct cma_map *map, uint32_t number,
                           const struct cma_system_config *wanted)
{
    const struct cma_span *span = &system->frames.spans[number];
    cma_paddr_t base = span->pfn << system->frames.port->page_shift;
    const struct cma_range *range = system_range(map, base);
    struct cma_area *area = &system->areas[system->nareas];
    struct cma_lender *lender = &system->lenders[system->nareas];
    struct cma_area_config config = {.engine = &cma_area_engine, .lend_class = CMA_LEND_ORDINARY};
    uint64_t npages = span->npages;
    int error;

    if (range == NULL) {
        return CMA_EINVAL;
    }
    while (++number < system->frames.nspans && span[1].lane != 0) {
        span++;
        npages += span->npages;
    }
    config.name = range->name;
    if ((wanted->flags & CMA_SYSTEM_KEEP_IDLE) != 0) {
        config.lend_class = CMA_LEND_NONE;
    }
    if (wanted->configure != NULL) {
        wanted->configure(wanted->configure_ctx, range, npages, &config);
    }
    error = cma_area_init(area, &system->frames, cma_pages_ops(&system->pages), base, &config);
    if (error == 0) {
        error = cma_area_activate(area);
    }
    if (error != 0) {
        return error;
    }
    lender->ctx = area;
    lender->lend = cma_area_lend;
    cma_pages_add_lender(&system->pages, lender);
    if ((range->flags & CMA_RANGE_DEFAULT) != 0 && system->default_area == NULL) {
        system->default_area = area;
    }
    system->nareas++;
    return 0;
}

int cma_system_init(struct cma_system *system, const struct cma_map *map,
                    const struct cma_system_config *config, void *storage, uint64_t nbytes)
{
    uint64_t size = cma_system_size(map, config);
    struct cma_frames_config frames_config;
    uint64_t frames_nbytes, max_areas;
    struct cma_slot *slots;
    uint32_t i;
    int error;

    if (system == NULL || size == 0) {
        return CMA_EINVAL;
    }
    if (storage == NULL || nbytes < size) {
        return CMA_ENOMEM;
    }
    *system = (struct cma_system){0};
    system_frames_config(config, &frames_config);
    frames_nbytes = system_frames_nbytes(map, config);
    max_areas = system_max_areas(map);
    error = cma_frames_init(&system->frames, map, &frames_config, storage, frames_nbytes);
    if (error == 0) {
        error = cma_pages_init(&system->pages, &system->frames);
    }
    slots = (struct cma_slot *)(void *)((uint8_t *)storage + frames_nbytes);
    if (error == 0 && config->nslots != 0) {
        error = cma_guarantees_init(&system->guarantees, &system->frames, slots, config->nslots);
    }
    system->areas = (struct cma_area *)(void *)(slots + config->nslots);
    system->lenders = (struct cma_lender *)(system->areas + max_areas);
    for (i = 0; i < system->frames.nspans && error == 0; i++) {
        const struct cma_span *span = &system->frames.spans[i];

        if (span->is_area != 0 && span->lane == 0) {
            error =
                system->nareas < max_areas ? system_add_area(system, map, i, config) : CMA_EINVAL;
        }
    }
    if (error == 0) {
        error = cma_dma_init(&system->dma, &system->frames, cma_pages_ops(&system->pages),
                             system->default_area);
    }
    return error;
}

struct cma_area *cma_system_area(const struct cma_system *system, cma_paddr_t paddr)
{
    cma_pfn_t pfn = paddr >> system->frames.port->page_shift;
    uint32_t i;

    for (i = 0; i < system->nareas; i++) {
        struct cma_area *area = &system->areas[i];

        if (pfn >= area->pfn && pfn - area->pfn < area->npages) {
            return area;
        }
    }
    return NULL;
}

bool cma_system_check(struct cma_system *system, struct cma_violation *violation)
{
    uint32_t i;

    if (!cma_frames_check(&system->frames, false, violation)) {
        return false;
    }
    for (i = 0; i < system->nareas; i++) {
        if (!cma_area_check(&system->areas[i], violation)) {
            return false;
        }
    }
    /* Slots that the caller has brought along are his to check. */
    return system->frames.slots != &system->guarantees.slots ||
           cma_guarantees_check(&system->guarantees, violation);
}
