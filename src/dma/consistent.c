/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * consistent.c - the consistent window: CPU addresses for memory that has no linear mapping
 *
 * The page tables are made at boot, so what can run out is addresses. They are handed out in runs
 * of exact length. What guarantees need is set aside when they are admitted: as many runs as there
 * are blocks, each as long as a block, so that no shortage and no splitting up can touch them. A
 * share is a list of its idle runs, linked by numbers in a word a page; the caller has its head, 0
 * when all are in use.
 */
#include <cma/handover.h>

#include "../base/guard.h"
#include "../base/range.h"
#include "../base/runmap.h"
#include "device.h"

#define CONSISTENT_LAST UINT32_MAX /* in `next`: idle, and the last of its share; 0: not idle */

static uint8_t *consistent_vaddr(const struct cma_window *window, uint32_t page)
{
    return window->vaddr + ((uintptr_t)page << window->port->page_shift);
}

static uint32_t consistent_page(const struct cma_window *window, const void *vaddr)
{
    return (uint32_t)(((uintptr_t)vaddr - (uintptr_t)window->vaddr) >> window->port->page_shift);
}

/* A share's idle run; with the lock held. */
static uint32_t consistent_pop(struct cma_window *window, uint32_t *reserved)
{
    uint32_t page = *reserved - 1;

    *reserved = window->next[page] == CONSISTENT_LAST ? 0 : window->next[page];
    window->next[page] = 0;
    return page;
}

static void consistent_push(struct cma_window *window, uint32_t page, uint32_t *reserved)
{
    window->next[page] = *reserved == 0 ? CONSISTENT_LAST : *reserved;
    *reserved = page + 1;
}

static void *consistent_take(struct cma_window *window, uint64_t npages, uint32_t *reserved)
{
    uintptr_t state = guard_lock(window->port, &window->lock);
    uint32_t page = CMA__RUNMAP_NONE;

    if (reserved != NULL && *reserved != 0) {
        page = consistent_pop(window, reserved);
    } else if (npages <= window->npages) {
        page = cma__runmap_take(window->map, window->npages, (uint32_t)npages, 1, 0, 0);
    }
    if (page != CMA__RUNMAP_NONE) {
        window->used_npages += (uint32_t)npages;
        if (window->used_npages > window->most_used_npages) {
            window->most_used_npages = window->used_npages;
        }
    }
    guard_unlock(window->port, &window->lock, state);
    return page != CMA__RUNMAP_NONE ? consistent_vaddr(window, page) : NULL;
}

static void consistent_put(struct cma_window *window, void *vaddr, uint32_t *reserved)
{
    uint32_t page = consistent_page(window, vaddr);
    uintptr_t state = guard_lock(window->port, &window->lock);

    window->used_npages -= cma__runmap_length(window->map, window->npages, page);
    if (reserved != NULL) {
        consistent_push(window, page, reserved);
    } else {
        cma__runmap_put(window->map, window->npages, page);
    }
    guard_unlock(window->port, &window->lock, state);
}

static bool consistent_holds(struct cma_window *window, const void *vaddr, uint64_t npages)
{
    uintptr_t at = (uintptr_t)vaddr - (uintptr_t)window->vaddr;
    uintptr_t mask = ((uintptr_t)1 << window->port->page_shift) - 1;
    uint32_t page = consistent_page(window, vaddr);
    uintptr_t state;
    bool holds;

    if ((at & mask) != 0 || at >> window->port->page_shift >= window->npages) {
        return false;
    }
    state = guard_lock(window->port, &window->lock);
    holds =
        cma__runmap_length(window->map, window->npages, page) == npages && window->next[page] == 0;
    guard_unlock(window->port, &window->lock, state);
    return holds;
}

static void consistent_unreserve(struct cma_window *window, uint32_t *reserved)
{
    while (*reserved != 0) {
        uintptr_t state = guard_lock(window->port, &window->lock);
        uint32_t page = consistent_pop(window, reserved);

        window->reserved_npages -= cma__runmap_length(window->map, window->npages, page);
        cma__runmap_put(window->map, window->npages, page);
        guard_unlock(window->port, &window->lock, state);
    }
}

static int consistent_reserve(struct cma_window *window, uint32_t count, uint64_t npages,
                              uint32_t *reserved)
{
    uint32_t page = npages <= window->npages ? 0 : CMA__RUNMAP_NONE;

    *reserved = 0;
    for (uint32_t i = 0; i < count && page != CMA__RUNMAP_NONE; i++) {
        uintptr_t state = guard_lock(window->port, &window->lock);

        page = cma__runmap_take(window->map, window->npages, (uint32_t)npages, 1, 0, 0);
        if (page != CMA__RUNMAP_NONE) {
            consistent_push(window, page, reserved);
            window->reserved_npages += (uint32_t)npages;
        }
        guard_unlock(window->port, &window->lock, state);
    }
    if (page == CMA__RUNMAP_NONE) {
        consistent_unreserve(window, reserved);
        return CMA_ENOMEM;
    }
    return 0;
}

static const struct cma_window_ops consistent_ops = {
    .take = consistent_take,
    .put = consistent_put,
    .holds = consistent_holds,
    .reserve = consistent_reserve,
    .unreserve = consistent_unreserve,
};

/* --- the board's ----------------------------------------------------------------------- */

uint64_t cma_window_size(const struct cma_port *port, uint64_t window_nbytes)
{
    uint64_t npages = window_nbytes >> port->page_shift;

    if (npages == 0 || npages > INT32_MAX || npages << port->page_shift != window_nbytes ||
        window_nbytes > UINTPTR_MAX) {
        return 0;
    }
    return (cma__runmap_words((uint32_t)npages) + npages) * sizeof(uint32_t);
}

int cma_window_init(struct cma_window *window, struct cma_dma *dma, uint64_t window_nbytes,
                    void *storage, uint64_t nbytes)
{
    const struct cma_port *port = dma->port;
    uint64_t needed = cma_window_size(port, window_nbytes);
    uint32_t npages = (uint32_t)(window_nbytes >> port->page_shift);
    void *vaddr;
    int error;

    if (needed == 0 || storage == NULL || !range_is_aligned((uintptr_t)storage, 4)) {
        return CMA_EINVAL;
    }
    if (dma->window != NULL) {
        return CMA_EEXIST;
    }
    if (port->window_make == NULL) {
        return CMA_EOPNOTSUPP;
    }
    error = nbytes < needed ? CMA_ENOMEM : port->window_make(port->ctx, window_nbytes, &vaddr);
    if (error != 0) {
        return error;
    }
    *window = (struct cma_window){
        .ops = &consistent_ops, .port = port, .vaddr = vaddr, .npages = npages, .map = storage};
    window->next = window->map + cma__runmap_words(npages);
    cma__runmap_init(window->map, npages);
    for (uint32_t i = 0; i < npages; i++) {
        window->next[i] = 0;
    }
    dma->window = window;
    return 0;
}

void cma_window_stats(struct cma_window *window, struct cma_window_stats *stats)
{
    uint32_t shift = window->port->page_shift;
    uintptr_t state = guard_lock(window->port, &window->lock);

    stats->nbytes = (uint64_t)window->npages << shift;
    stats->used_nbytes = (uint64_t)window->used_npages << shift;
    stats->most_used_nbytes = (uint64_t)window->most_used_npages << shift;
    stats->reserved_nbytes = (uint64_t)window->reserved_npages << shift;
    stats->free_run_nbytes = (uint64_t)cma__runmap_longest(window->map, window->npages) << shift;
    guard_unlock(window->port, &window->lock, state);
}
