/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hooks.c - the port: what libcma calls
 *
 * Page tables are arrays: the linear mapping's attributes by page, and the window's entries. A
 * change is in the tables at once and in the TLBs after tlb_flush; until then the page is on a
 * list, an access through it is a violation, speculation through it is not, and an unmapped piece
 * of the window is not given out again.
 */
#include <stdlib.h>
#include <string.h>

#include "private.h"

/* Between fibres, one hook in so many lets another one run. */
#define HOOK_SWITCH_ONE_IN 6

/* Everything that all hooks do first: the rule about locks, costs, and perhaps a switch. */
static void hook_enter(struct sim *sim, enum sim_event event, uint64_t value, uint64_t ns)
{
    if (sim_actor(sim)->locks)
        sim_violate(sim, SIM_LOCK, "hook called with a lock held, event", event);
    sim_trace(sim, event, value);
    sim_advance(sim, ns);
    sim_point(sim, HOOK_SWITCH_ONE_IN);
}

static void hook_remember(struct sim *sim, struct sim_runs *list, uint64_t first, uint64_t npages)
{
    if (list->n == list->room) {
        uint32_t room = list->room ? list->room * 2 : 64;
        void *runs = realloc(list->runs, room * sizeof(*list->runs));
        if (!runs)
            sim_die(sim, "no memory on the host", "list of changed pages");
        list->runs = runs;
        list->room = room;
    }
    list->runs[list->n++] = (struct sim_run){first, npages};
}

static uint64_t hook_npages(const struct sim *sim, uint64_t nbytes)
{
    return nbytes >> sim->page_shift;
}

/* True when [paddr, paddr + nbytes) is whole pages of memory, and one run of offsets. */
static bool hook_range(struct sim *sim, cma_paddr_t paddr, uint64_t nbytes, const char *what,
                       uint64_t *offset)
{
    uint64_t mask = ((uint64_t)1 << sim->page_shift) - 1;

    if (nbytes && !((paddr | nbytes) & mask) && sim_is_memory(sim, paddr, nbytes) &&
        sim_offset_of(sim, paddr, offset))
        return true;
    sim_violate_locked(sim, SIM_BUS, what, paddr);
    return false;
}

/* A run of free pages of port->map's, or UINT64_MAX. */
static uint64_t hook_window_find(struct sim *sim, uint64_t npages)
{
    struct sim_space *space = &sim->maps;
    uint64_t run = 0;

    if (npages > space->npages)
        return UINT64_MAX;
    for (uint64_t i = 0; i < space->npages + npages; i++) {
        uint64_t at = (space->next + i) % space->npages;
        if (at == 0)
            run = 0;
        run = space->ptes[at].state == SIM_PTE_FREE ? run + 1 : 0;
        if (run == npages) {
            space->next = (at + 1) % space->npages;
            return at + 1 - npages;
        }
    }
    return UINT64_MAX;
}

/* May these pages be mapped so? */
static int hook_map_check(const struct sim *sim, uint64_t page, uint64_t npages, enum cma_attr attr)
{
    for (uint64_t i = page; i < page + npages; i++) {
        enum cma_attr linear = sim_linear_attr(sim, i);
        if ((linear != CMA_ATTR_NONE && linear != attr) ||
            (sim->window_count[i] && sim->window_attrs[i] != attr))
            return CMA_EEXIST;
        if (sim->window_count[i] == UINT16_MAX)
            return CMA_ENOMEM;
    }
    return CMA_OK;
}

static void hook_map_write(struct sim *sim, struct sim_pte *ptes, uint64_t page, uint64_t npages,
                           enum cma_attr attr)
{
    for (uint64_t i = 0; i < npages; i++) {
        ptes[i] = (struct sim_pte){page + i, (uint8_t)attr, SIM_PTE_LIVE};
        sim->window_attrs[page + i] = (uint8_t)attr;
        sim->window_count[page + i]++;
    }
}

static int hook_map_pages(struct sim *sim, uint64_t offset, uint64_t npages, enum cma_attr attr,
                          void **vaddr)
{
    uint64_t page = offset >> sim->page_shift;
    int error = hook_map_check(sim, page, npages, attr);

    if (error)
        return error;
    uint64_t at = hook_window_find(sim, npages);
    if (at == UINT64_MAX)
        return CMA_ENOMEM;
    hook_map_write(sim, sim->maps.ptes + at, page, npages, attr);
    *vaddr = (void *)(sim->maps.first + (at << sim->page_shift));
    return CMA_OK;
}

static int hook_map(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr, void **vaddr)
{
    struct sim *sim = ctx;
    uint64_t offset, npages = hook_npages(sim, nbytes);
    int result = CMA_ENOMEM;

    hook_enter(sim, SIM_EVENT_MAP, paddr,
               sim_cost_ns(SIM_COST_MAP_CALL) + npages * sim_cost_ns(SIM_COST_MAP_PAGE));
    if (sim_fault_now(sim, SIM_FAULT_MAP))
        return CMA_ENOMEM;
    sim_enter(sim);
    sim->stats.maps++;
    if (hook_range(sim, paddr, nbytes, "map", &offset))
        result = hook_map_pages(sim, offset, npages, attr, vaddr);
    sim_leave(sim);
    return result;
}

/* Takes mappings of a space away. Its pages are numbered from `first` on in the list of stale ones.
 */
static void hook_unmap_pages(struct sim *sim, struct sim_space *space, uint64_t first,
                             const void *vaddr, uint64_t nbytes)
{
    uint64_t at = ((uintptr_t)vaddr - space->first) >> sim->page_shift;
    uint64_t npages = hook_npages(sim, nbytes);

    hook_enter(sim, SIM_EVENT_UNMAP, at,
               sim_cost_ns(SIM_COST_MAP_CALL) + npages * sim_cost_ns(SIM_COST_MAP_PAGE));
    sim_enter(sim);
    sim->stats.unmaps++;
    for (uint64_t i = at; i < at + npages; i++) {
        if (i >= space->npages || space->ptes[i].state != SIM_PTE_LIVE) {
            sim_violate_locked(sim, SIM_UNMAPPED, "unmap of CPU address", (uintptr_t)vaddr);
            continue;
        }
        space->ptes[i].state = SIM_PTE_STALE;
        hook_remember(sim, &sim->stale_window, first + i, 1);
    }
    sim_leave(sim);
}

static void hook_unmap(void *ctx, void *vaddr, uint64_t nbytes)
{
    struct sim *sim = ctx;

    hook_unmap_pages(sim, &sim->maps, 0, vaddr, nbytes);
}

/* --- the consistent window: one a board ------------------------------------------------------ */

static int hook_window_make(void *ctx, uint64_t nbytes, void **vaddr)
{
    struct sim *sim = ctx;

    if (sim->consistent.npages || !hook_npages(sim, nbytes) ||
        !sim_space_init(sim, &sim->consistent, hook_npages(sim, nbytes)))
        return CMA_ENOMEM;
    *vaddr = (void *)sim->consistent.first;
    return CMA_OK;
}

static void hook_window_map(void *ctx, void *vaddr, cma_paddr_t paddr, uint64_t nbytes,
                            enum cma_attr attr)
{
    struct sim *sim = ctx;
    struct sim_space *space = &sim->consistent;
    uint64_t at = ((uintptr_t)vaddr - space->first) >> sim->page_shift;
    uint64_t offset, npages = hook_npages(sim, nbytes);

    hook_enter(sim, SIM_EVENT_MAP, paddr, npages * sim_cost_ns(SIM_COST_MAP_PAGE));
    sim_enter(sim);
    sim->stats.maps++;
    if (at >= space->npages || npages > space->npages - at) {
        sim_violate_locked(sim, SIM_UNMAPPED, "window_map at CPU address", (uintptr_t)vaddr);
    } else if (hook_range(sim, paddr, nbytes, "window_map", &offset)) {
        uint64_t page = offset >> sim->page_shift;
        for (uint64_t i = at; i < at + npages; i++)
            if (space->ptes[i].state != SIM_PTE_FREE)
                sim_violate_locked(sim, SIM_STALE_TLB, "window_map over CPU address",
                                   space->first + (i << sim->page_shift));
        if (hook_map_check(sim, page, npages, attr))
            sim_violate_locked(sim, SIM_ALIAS, "window_map of frame", paddr >> sim->page_shift);
        hook_map_write(sim, space->ptes + at, page, npages, attr);
    }
    sim_leave(sim);
}

static void hook_window_unmap(void *ctx, void *vaddr, uint64_t nbytes)
{
    struct sim *sim = ctx;

    hook_unmap_pages(sim, &sim->consistent, sim->maps.npages, vaddr, nbytes);
}

static void *hook_vaddr(void *ctx, cma_paddr_t paddr)
{
    struct sim *sim = ctx;
    uint64_t offset;
    void *vaddr = NULL;

    sim_enter(sim);
    if (sim_offset_of(sim, paddr, &offset) &&
        sim_linear_attr(sim, offset >> sim->page_shift) != CMA_ATTR_NONE)
        vaddr = (void *)(sim->linear + offset);
    sim_leave(sim);
    return vaddr;
}

static void hook_set_attr(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr)
{
    struct sim *sim = ctx;
    uint64_t offset = 0, npages = hook_npages(sim, nbytes);

    hook_enter(sim, SIM_EVENT_ATTR, paddr, npages * sim_cost_ns(SIM_COST_ATTR_PAGE));
    sim_enter(sim);
    sim->stats.set_attr_pages += npages;
    if (hook_range(sim, paddr, nbytes, "set_attr", &offset)) {
        uint64_t page = offset >> sim->page_shift;
        for (uint64_t i = page; i < page + npages; i++) {
            enum cma_attr stale = sim_linear_tlb(sim, i);
            if (sim_paddr_of(sim, i << sim->page_shift) > sim->linear_last)
                sim_violate_locked(sim, SIM_UNMAPPED, "set_attr of frame",
                                   sim_paddr_of(sim, i << sim->page_shift) >> sim->page_shift);
            sim->attrs[i] = (uint8_t)(attr + 1);
            sim->tlb[i] = (uint8_t)(stale + 1);
        }
        hook_remember(sim, &sim->stale_linear, page, npages);
        if (!sim->config.coherent)
            sim_cache_speculate(sim, offset, nbytes, 2);
    }
    sim_leave(sim);
}

static int hook_lookup(void *ctx, const void *vaddr, cma_paddr_t *paddr, enum cma_attr *attr)
{
    struct sim *sim = ctx;
    uintptr_t address = (uintptr_t)vaddr;
    uint64_t mask = ((uint64_t)1 << sim->page_shift) - 1;
    int result = CMA_ENOENT;

    sim_enter(sim);
    if (address - sim->linear < sim->nbytes) {
        uint64_t offset = address - sim->linear;
        *attr = sim_linear_attr(sim, offset >> sim->page_shift);
        *paddr = sim_paddr_of(sim, offset);
        result = *attr == CMA_ATTR_NONE ? CMA_ENOENT : CMA_OK;
    } else {
        const struct sim_pte *pte = sim_pte_of(sim, address);
        if (pte && pte->state == SIM_PTE_LIVE) {
            *attr = (enum cma_attr)pte->attr;
            *paddr = sim_paddr_of(sim, pte->page << sim->page_shift) + (address & mask);
            result = CMA_OK;
        }
    }
    sim_leave(sim);
    return result;
}

static uint64_t hook_lines(cma_paddr_t paddr, uint64_t nbytes)
{
    return nbytes ? (paddr + (nbytes - 1)) / SIM_LINE - paddr / SIM_LINE + 1 : 0;
}

static void hook_clean(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    struct sim *sim = ctx;
    uint64_t offset, lines = hook_lines(paddr, nbytes);

    hook_enter(sim, SIM_EVENT_CLEAN, paddr, lines * sim_cost_ns(SIM_COST_CLEAN_LINE));
    if (!nbytes)
        return;
    sim_enter(sim);
    sim->stats.clean_lines += lines;
    if (!sim_is_memory(sim, paddr, nbytes) || !sim_offset_of(sim, paddr, &offset))
        sim_violate_locked(sim, SIM_BUS, "clean", paddr);
    else
        sim_cache_clean(sim, offset, nbytes);
    sim_leave(sim);
}

/* Right after an invalidate a processor may read lines ahead again, as long as the page is mapped
 * cached: who goes on to hand the memory over invalidates once more after the mapping is gone. */
static void hook_invalidate(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    struct sim *sim = ctx;
    uint64_t offset, lines = hook_lines(paddr, nbytes);

    hook_enter(sim, SIM_EVENT_INVALIDATE, paddr, lines * sim_cost_ns(SIM_COST_INVALIDATE_LINE));
    if (!nbytes)
        return;
    sim_enter(sim);
    sim->stats.invalidate_lines += lines;
    if (!sim_is_memory(sim, paddr, nbytes) || !sim_offset_of(sim, paddr, &offset)) {
        sim_violate_locked(sim, SIM_BUS, "invalidate", paddr);
    } else {
        sim_cache_invalidate(sim, offset, nbytes);
        sim_cache_speculate(sim, offset, nbytes, 2);
    }
    sim_leave(sim);
}

static void hook_dma_barrier(void *ctx)
{
    struct sim *sim = ctx;

    hook_enter(sim, SIM_EVENT_BARRIER, 0, sim_cost_ns(SIM_COST_BARRIER));
    sim_enter(sim);
    sim->stats.barriers++;
    if (!sim->config.coherent)
        sim_cache_evict(sim, 4);
    sim_leave(sim);
}

static void hook_tlb_flush(void *ctx)
{
    struct sim *sim = ctx;

    hook_enter(sim, SIM_EVENT_FLUSH, 0, sim_cost_ns(SIM_COST_TLB_FLUSH));
    sim_enter(sim);
    sim->stats.tlb_flushes++;
    sim->tlb_generation++;
    for (uint32_t i = 0; i < sim->stale_linear.n; i++) {
        struct sim_run run = sim->stale_linear.runs[i];
        memcpy(sim->tlb + run.first, sim->attrs + run.first, run.npages);
    }
    for (uint32_t i = 0; i < sim->stale_window.n; i++) {
        uint64_t at = sim->stale_window.runs[i].first, npages = sim->maps.npages;
        struct sim_pte *pte =
            at < npages ? &sim->maps.ptes[at] : &sim->consistent.ptes[at - npages];
        pte->state = SIM_PTE_FREE;
        sim->window_count[pte->page]--;
    }
    sim->stale_linear.n = 0;
    sim->stale_window.n = 0;
    sim_leave(sim);
}

static uint64_t hook_share_ns(enum sim_cost cost, uint64_t nbytes)
{
    return nbytes * sim_cost_ns(cost) / 4096;
}

static void hook_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    struct sim *sim = ctx;
    uint8_t bytes[SIM_CHUNK];
    uint64_t npages = (nbytes + ((uint64_t)1 << sim->page_shift) - 1) >> sim->page_shift;

    hook_enter(sim, SIM_EVENT_COPY, from, hook_share_ns(SIM_COST_COPY_PAGE, nbytes));
    sim_enter(sim);
    sim->stats.copied_pages += npages;
    sim_leave(sim);
    sim_actor(sim)->copied_pages += npages;
    while (nbytes) {
        uint64_t n = nbytes < SIM_CHUNK ? nbytes : SIM_CHUNK;
        sim_cached_access(sim, SIM_OP_READ, from, bytes, n, false);
        sim_cached_access(sim, SIM_OP_WRITE, to, bytes, n, false);
        to += n;
        from += n;
        nbytes -= n;
    }
}

static void hook_zero(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    struct sim *sim = ctx;
    uint8_t bytes[SIM_CHUNK] = {0};

    hook_enter(sim, SIM_EVENT_ZERO, paddr, hook_share_ns(SIM_COST_ZERO_PAGE, nbytes));
    sim_enter(sim);
    sim->stats.zeroed_pages += (nbytes + ((uint64_t)1 << sim->page_shift) - 1) >> sim->page_shift;
    sim_leave(sim);
    while (nbytes) {
        uint64_t n = nbytes < SIM_CHUNK ? nbytes : SIM_CHUNK;
        sim_cached_access(sim, SIM_OP_WRITE, paddr, bytes, n, false);
        paddr += n;
        nbytes -= n;
    }
}

/* As simulated code writes: through the attributes of the mapping that is there. */
static void hook_zero_vaddr(void *ctx, void *vaddr, uint64_t nbytes)
{
    struct sim *sim = ctx;
    static const uint8_t zeroes[SIM_CHUNK];
    uint8_t *at = vaddr;

    hook_enter(sim, SIM_EVENT_ZERO, nbytes, 0);
    while (nbytes) {
        uint64_t n = nbytes < SIM_CHUNK ? nbytes : SIM_CHUNK;
        sim_write(sim, at, zeroes, n);
        at += n;
        nbytes -= n;
    }
}

static uintptr_t hook_lock(void *ctx, struct cma_lock *lock)
{
    struct sim *sim = ctx;
    struct sim_actor *self;
    uintptr_t free_word = 0;

    hook_enter(sim, SIM_EVENT_LOCK, 0, sim_cost_ns(SIM_COST_LOCK));
    self = sim_actor(sim);
    if (__atomic_load_n(&lock->word[0], __ATOMIC_RELAXED) == self->number + 1u)
        sim_violate(sim, SIM_LOCK, "taken twice by", self->number);
    while (!__atomic_compare_exchange_n(&lock->word[0], &free_word, self->number + 1u, false,
                                        __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) {
        sim_spin(sim, (uint32_t)free_word - 1);
        free_word = 0;
    }
    self->locks++;
    sim_enter(sim);
    sim->stats.locks++;
    sim_leave(sim);
    return self->number + 1u;
}

static void hook_unlock(void *ctx, struct cma_lock *lock, uintptr_t state)
{
    struct sim *sim = ctx;
    struct sim_actor *self = sim_actor(sim);

    if (__atomic_load_n(&lock->word[0], __ATOMIC_RELAXED) != self->number + 1u ||
        state != self->number + 1u)
        sim_violate(sim, SIM_LOCK, "left by one who does not hold it", self->number);
    else
        self->locks--;
    __atomic_store_n(&lock->word[0], 0, __ATOMIC_RELEASE);
    sim_trace(sim, SIM_EVENT_UNLOCK, 0);
    sim_point(sim, HOOK_SWITCH_ONE_IN);
}

static void hook_wait(void *ctx, const uint32_t *event, uint32_t seen)
{
    struct sim *sim = ctx;

    hook_enter(sim, SIM_EVENT_WAIT, seen, 0);
    sim_enter(sim);
    sim->stats.waits++;
    if (!sim->config.coherent)
        sim_cache_evict(sim, 4);
    sim_leave(sim);
    sim_wait_event(sim, event, seen);
}

static void hook_wake(void *ctx, const uint32_t *event)
{
    struct sim *sim = ctx;

    hook_enter(sim, SIM_EVENT_WAKE, 0, sim_cost_ns(SIM_COST_WAKE));
    sim_enter(sim);
    sim->stats.wakes++;
    sim_leave(sim);
    sim_wake_event(sim, event);
}

static uint32_t hook_cpu(void *ctx)
{
    return sim_self(ctx);
}

static uint64_t hook_time_ns(void *ctx)
{
    return sim_now_ns(ctx);
}

void sim_hooks_init(struct sim *sim)
{
    bool mmu = !sim->config.no_mmu, cache = !sim->config.coherent;

    sim->port = (struct cma_port){
        .ctx = sim,
        .page_shift = sim->page_shift,
        .cache_line_nbytes = SIM_LINE,
        .map = mmu ? hook_map : NULL,
        .unmap = mmu ? hook_unmap : NULL,
        .window_make = mmu ? hook_window_make : NULL,
        .window_map = mmu ? hook_window_map : NULL,
        .window_unmap = mmu ? hook_window_unmap : NULL,
        .vaddr = hook_vaddr,
        .set_attr = mmu && cache ? hook_set_attr : NULL,
        .lookup = mmu ? hook_lookup : NULL,
        .clean = cache ? hook_clean : NULL,
        .invalidate = cache ? hook_invalidate : NULL,
        .dma_barrier = hook_dma_barrier,
        .tlb_flush = mmu ? hook_tlb_flush : NULL,
        .copy = hook_copy,
        .zero = hook_zero,
        .zero_vaddr = hook_zero_vaddr,
        .lock = hook_lock,
        .unlock = hook_unlock,
        .wait = hook_wait,
        .wake = hook_wake,
        .cpu = hook_cpu,
        .time_ns = hook_time_ns,
    };
}

static bool hook_check_space(const struct sim *sim, const struct sim_space *space,
                             cma_paddr_t *paddr)
{
    for (uint64_t i = 0; i < space->npages; i++) {
        const struct sim_pte *pte = &space->ptes[i];
        if (pte->state != SIM_PTE_LIVE)
            continue;
        enum cma_attr linear = sim_linear_attr(sim, pte->page);
        if ((linear != CMA_ATTR_NONE && linear != (enum cma_attr)pte->attr) ||
            pte->attr != sim->window_attrs[pte->page]) {
            if (paddr)
                *paddr = sim_paddr_of(sim, pte->page << sim->page_shift);
            return false;
        }
    }
    return true;
}

bool sim_check_aliases(struct sim *sim, cma_paddr_t *paddr)
{
    sim_enter(sim);
    bool right =
        hook_check_space(sim, &sim->maps, paddr) && hook_check_space(sim, &sim->consistent, paddr);
    sim_leave(sim);
    return right;
}
