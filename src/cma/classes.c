/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * classes.c - parts of an area that are for requests of one size
 *
 * Parts lie one behind the other from the area's low end. A part is where windows are looked for,
 * like the address limits of a request, and nothing else: blocks are lent, emptied and counted
 * without regard to parts. What holds them together is that each window of n pages is looked for in
 * the part for n pages, so a buffer that is released leaves a place for its like.
 */
#include "../base/bits.h"
#include "engine.h"

bool cma__classes_begin(struct cma_area *area, const struct cma_area_config *config)
{
    const struct cma_span *end = area->frames->spans + area->frames->nspans;
    const struct cma_span *span = area->span;
    uint32_t npages = 0, smaller = 0;

    if (config->classes == NULL) {
        return false;
    }
    do {
        npages += span->npages;
        span++;
    } while (span < end && span->lane != 0);
    for (uint32_t i = 0; i < config->nclasses; i++) {
        const struct cma_size_class *part = &config->classes[i];

        if (part->npages_max <= smaller || part->npages < part->npages_max ||
            part->npages > npages) {
            return false;
        }
        smaller = part->npages_max;
        npages -= part->npages;
    }
    area->nclasses = config->nclasses;
    area->classes = config->classes;
    return true;
}

uint64_t cma__classes_least(const struct cma_area *area, uint64_t npages)
{
    uint32_t i = area->nclasses;

    while (i != 0 && area->classes[i - 1].npages_max >= npages) {
        i--;
    }
    return i == 0 ? 1 : area->classes[i - 1].npages_max + UINT64_C(1);
}

int cma__classes_part(const struct cma_area *area, struct cma_window_want *want)
{
    uint32_t npages = area->npages;
    cma_pfn_t first = area->pfn;

    for (uint32_t i = 0; i < area->nclasses; i++) {
        const struct cma_size_class *part = &area->classes[i];

        if (want->npages <= part->npages_max) {
            npages = part->npages;
            break;
        }
        first += part->npages;
        npages -= part->npages;
    }
    want->first = bits_max(want->first, first);
    want->last = bits_min(want->last, first + npages - 1);
    return want->npages <= npages ? 0 : CMA_ENOMEM;
}
