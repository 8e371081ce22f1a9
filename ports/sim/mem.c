/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mem.c - physical memory, and the ways to it: processors by CPU or physical address, devices
 *
 * An access goes in chunks of up to a kilobyte that lie in one page; inside a chunk nothing else
 * happens, between chunks other fibres and threads may come in. Which attributes a CPU address has
 * is looked up for each chunk: in the page tables and in a TLB that lags behind them until it is
 * flushed.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* memfd_create */
#endif
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "private.h"

/* Between fibres, one access in so many lets another one run. */
#define MEM_SWITCH_ONE_IN 16
/* A program's access is held up that often. */
#define MEM_DELAY_ONE_IN 64

static uint64_t mem_npages(const struct sim *sim)
{
    return sim->nbytes >> sim->page_shift;
}

static bool mem_banks_init(struct sim *sim)
{
    uint64_t page = (uint64_t)1 << sim->page_shift, at = 0;

    sim->banks = calloc(sim->config.nmemory, sizeof(*sim->banks));
    if (!sim->banks)
        return false;
    for (uint32_t i = 0; i < sim->config.nmemory; i++) {
        const struct sim_memory *memory = &sim->config.memory[i];
        struct sim_bank *bank = &sim->banks[i];
        if (i && bank[-1].last + 1 != memory->base)
            at += page;
        bank->base = memory->base;
        bank->last = memory->base + (memory->nbytes - 1);
        bank->offset = at;
        if (memory->nbytes > (uint64_t)1 << 46 || at > (uint64_t)1 << 46)
            return false;
        at += memory->nbytes;
    }
    sim->nbanks = sim->config.nmemory;
    sim->nbytes = at;
    return true;
}

bool sim_space_init(struct sim *sim, struct sim_space *space, uint64_t npages)
{
    space->first = (uintptr_t)sim_reserve(npages << sim->page_shift, PROT_NONE);
    space->ptes = sim_reserve(npages * sizeof(*space->ptes), PROT_READ | PROT_WRITE);
    space->npages = npages;
    return space->first && space->ptes;
}

static void mem_space_exit(struct sim *sim, struct sim_space *space)
{
    sim_unreserve((void *)space->first, space->npages << sim->page_shift);
    sim_unreserve(space->ptes, space->npages * sizeof(*space->ptes));
}

struct sim_pte *sim_pte_of(const struct sim *sim, uintptr_t vaddr)
{
    const struct sim_space *space = &sim->maps;

    if (vaddr - space->first >= space->npages << sim->page_shift)
        space = &sim->consistent;
    if (vaddr - space->first >= space->npages << sim->page_shift)
        return NULL;
    return &space->ptes[(vaddr - space->first) >> sim->page_shift];
}

bool sim_mem_init(struct sim *sim)
{
    if (!mem_banks_init(sim))
        return false;
    sim->fd = memfd_create("board", MFD_CLOEXEC);
    if (sim->fd < 0 || ftruncate(sim->fd, (off_t)sim->nbytes) != 0)
        return false;
    void *memory =
        mmap(NULL, sim->nbytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, sim->fd, 0);
    if (memory == MAP_FAILED)
        return false;
    sim->memory = memory;

    sim->linear = (uintptr_t)sim_reserve(sim->nbytes, PROT_NONE);
    sim->attrs = sim_reserve(mem_npages(sim), PROT_READ | PROT_WRITE);
    sim->tlb = sim_reserve(mem_npages(sim), PROT_READ | PROT_WRITE);
    sim->window_attrs = sim_reserve(mem_npages(sim), PROT_READ | PROT_WRITE);
    sim->window_count = sim_reserve(mem_npages(sim) * 2, PROT_READ | PROT_WRITE);
    return sim->linear && sim->attrs && sim->tlb && sim->window_attrs && sim->window_count &&
           sim_space_init(sim, &sim->maps, sim->maps.npages);
}

void sim_mem_exit(struct sim *sim)
{
    if (sim->memory)
        munmap(sim->memory, sim->nbytes);
    if (sim->fd >= 0)
        close(sim->fd);
    sim_unreserve((void *)sim->linear, sim->nbytes);
    mem_space_exit(sim, &sim->maps);
    mem_space_exit(sim, &sim->consistent);
    sim_unreserve(sim->attrs, mem_npages(sim));
    sim_unreserve(sim->tlb, mem_npages(sim));
    sim_unreserve(sim->window_attrs, mem_npages(sim));
    sim_unreserve(sim->window_count, mem_npages(sim) * 2);
    free(sim->banks);
}

static const struct sim_bank *mem_bank_of(const struct sim *sim, cma_paddr_t paddr)
{
    uint32_t low = 0, high = sim->nbanks;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (paddr > sim->banks[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == sim->nbanks || paddr < sim->banks[low].base)
        return NULL;
    return &sim->banks[low];
}

bool sim_offset_of(const struct sim *sim, cma_paddr_t paddr, uint64_t *offset)
{
    const struct sim_bank *bank = mem_bank_of(sim, paddr);

    if (!bank)
        return false;
    *offset = bank->offset + (paddr - bank->base);
    return true;
}

static const struct sim_bank *mem_bank_at(const struct sim *sim, uint64_t offset)
{
    uint32_t low = 0, high = sim->nbanks;

    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (offset >= sim->banks[middle].offset)
            low = middle;
        else
            high = middle;
    }
    const struct sim_bank *bank = &sim->banks[low];
    if (offset - bank->offset > bank->last - bank->base)
        return NULL;
    return bank;
}

cma_paddr_t sim_paddr_of(const struct sim *sim, uint64_t offset)
{
    const struct sim_bank *bank = mem_bank_at(sim, offset);

    return bank ? bank->base + (offset - bank->offset) : CMA_PADDR_MAX;
}

bool sim_page_exists(const struct sim *sim, uint64_t page)
{
    return page < mem_npages(sim) && mem_bank_at(sim, page << sim->page_shift);
}

bool sim_is_memory(const struct sim *sim, cma_paddr_t paddr, uint64_t nbytes)
{
    const struct sim_bank *bank;

    while (nbytes && (bank = mem_bank_of(sim, paddr)) != NULL) {
        if (nbytes - 1 <= bank->last - paddr)
            return true;
        nbytes -= bank->last - paddr + 1;
        paddr = bank->last + 1;
    }
    return nbytes == 0;
}

static enum cma_attr mem_first_attr(const struct sim *sim, uint64_t page)
{
    const struct sim_bank *bank = mem_bank_at(sim, page << sim->page_shift);

    if (!bank)
        return CMA_ATTR_NONE;
    return bank->base + ((page << sim->page_shift) - bank->offset) <= sim->linear_last
               ? CMA_ATTR_CACHED
               : CMA_ATTR_NONE;
}

enum cma_attr sim_linear_attr(const struct sim *sim, uint64_t page)
{
    return sim->attrs[page] ? (enum cma_attr)(sim->attrs[page] - 1) : mem_first_attr(sim, page);
}

enum cma_attr sim_linear_tlb(const struct sim *sim, uint64_t page)
{
    return sim->tlb[page] ? (enum cma_attr)(sim->tlb[page] - 1) : mem_first_attr(sim, page);
}

bool sim_page_cached(const struct sim *sim, uint64_t page)
{
    if (!sim_page_exists(sim, page))
        return false;
    return sim_linear_attr(sim, page) == CMA_ATTR_CACHED ||
           sim_linear_tlb(sim, page) == CMA_ATTR_CACHED ||
           (sim->window_count[page] && sim->window_attrs[page] == CMA_ATTR_CACHED);
}

static void mem_direct(struct sim *sim, enum sim_op op, uint64_t offset, void *bytes,
                       uint64_t nbytes)
{
    if (op == SIM_OP_READ)
        memcpy(bytes, sim->memory + offset, nbytes);
    else
        memcpy(sim->memory + offset, bytes, nbytes);
}

uint64_t sim_access(struct sim *sim, enum sim_op op, enum cma_attr attr, uint64_t offset,
                    void *bytes, uint32_t nbytes)
{
    uint64_t lines = (offset + nbytes - 1) / SIM_LINE - offset / SIM_LINE + 1;

    if (attr == CMA_ATTR_CACHED && !sim->config.coherent)
        return sim_cache_access(sim, op, offset, bytes, nbytes);
    mem_direct(sim, op, offset, bytes, nbytes);
    if (attr == CMA_ATTR_CACHED)
        return lines * sim_cost_ns(SIM_COST_LINE_MISS);
    if (op == SIM_OP_READ)
        return lines * sim_cost_ns(SIM_COST_UNCACHED_READ_LINE);
    return lines * sim_cost_ns(attr == CMA_ATTR_WRITECOMBINE ? SIM_COST_COMBINED_WRITE_LINE
                                                             : SIM_COST_UNCACHED_WRITE_LINE);
}

/* Which memory a CPU address means at this moment, and how; false: none. */
static bool mem_translate(struct sim *sim, uintptr_t vaddr, uint64_t *offset, enum cma_attr *attr)
{
    if (vaddr - sim->linear < sim->nbytes) {
        uint64_t page = (vaddr - sim->linear) >> sim->page_shift;
        enum cma_attr table = sim_linear_attr(sim, page), stale = sim_linear_tlb(sim, page);
        *offset = vaddr - sim->linear;
        *attr = table;
        if (table != stale) {
            sim_violate_locked(sim, SIM_STALE_TLB, "linear mapping of", sim_paddr_of(sim, *offset));
            if (sim_mix(&sim->cache.random) & 1)
                *attr = stale;
        }
        return *attr != CMA_ATTR_NONE;
    }
    const struct sim_pte *pte = sim_pte_of(sim, vaddr);
    if (pte) {
        *offset = (pte->page << sim->page_shift) | (vaddr & (((uint64_t)1 << sim->page_shift) - 1));
        *attr = (enum cma_attr)pte->attr;
        if (pte->state == SIM_PTE_STALE)
            sim_violate_locked(sim, SIM_STALE_TLB, "unmapped", sim_paddr_of(sim, *offset));
        return pte->state != SIM_PTE_FREE;
    }
    return false;
}

bool sim_mem_look(const struct sim *sim, uintptr_t vaddr, uint64_t *offset)
{
    uint64_t page = (uint64_t)1 << sim->page_shift;

    if (vaddr - sim->linear < sim->nbytes) {
        *offset = vaddr - sim->linear;
        return sim_linear_attr(sim, *offset >> sim->page_shift) != CMA_ATTR_NONE;
    }
    const struct sim_pte *pte = sim_pte_of(sim, vaddr);
    if (pte) {
        *offset = (pte->page << sim->page_shift) | (vaddr & (page - 1));
        return pte->state == SIM_PTE_LIVE;
    }
    return false;
}

static uint32_t mem_chunk(uint64_t address, uint64_t nbytes)
{
    uint64_t room = SIM_CHUNK - (address & (SIM_CHUNK - 1));

    return (uint32_t)(nbytes < room ? nbytes : room);
}

static void mem_access_vaddr(struct sim *sim, enum sim_op op, uintptr_t vaddr, uint8_t *bytes,
                             uint64_t nbytes)
{
    while (nbytes) {
        uint32_t n = mem_chunk(vaddr, nbytes);
        uint64_t offset = 0, ns = 0;
        enum cma_attr attr = CMA_ATTR_NONE;

        sim_point(sim, MEM_SWITCH_ONE_IN);
        sim_enter(sim);
        if (mem_translate(sim, vaddr, &offset, &attr)) {
            ns = sim_access(sim, op, attr, offset, bytes, n);
        } else {
            sim_violate_locked(sim, SIM_UNMAPPED, "CPU address", vaddr);
            if (op == SIM_OP_READ)
                memset(bytes, 0xee, n);
        }
        sim_leave(sim);
        sim_advance(sim, ns);
        sim_trace(sim, op == SIM_OP_READ ? SIM_EVENT_READ : SIM_EVENT_WRITE, offset);
        vaddr += n;
        bytes += n;
        nbytes -= n;
    }
}

void sim_read(struct sim *sim, const void *vaddr, void *to, uint64_t nbytes)
{
    if (sim->watch.cpu)
        sim_tell_cpu(sim, (uintptr_t)vaddr, nbytes, false);
    mem_access_vaddr(sim, SIM_OP_READ, (uintptr_t)vaddr, to, nbytes);
}

void sim_write(struct sim *sim, void *vaddr, const void *from, uint64_t nbytes)
{
    if (sim->watch.cpu)
        sim_tell_cpu(sim, (uintptr_t)vaddr, nbytes, true);
    mem_access_vaddr(sim, SIM_OP_WRITE, (uintptr_t)vaddr, (uint8_t *)(uintptr_t)from, nbytes);
}

/* One chunk by physical address; with `big` held. Returns what it costs. */
static uint64_t mem_cached_chunk(struct sim *sim, enum sim_op op, cma_paddr_t paddr, uint8_t *bytes,
                                 uint32_t n)
{
    uint64_t offset;

    if (!sim_offset_of(sim, paddr, &offset)) {
        sim_violate_locked(sim, SIM_BUS, "physical address", paddr);
        if (op == SIM_OP_READ)
            memset(bytes, 0xff, n);
        return 0;
    }
    uint64_t page = offset >> sim->page_shift;
    enum cma_attr attr = sim_linear_attr(sim, page);
    if ((attr != CMA_ATTR_NONE && attr != CMA_ATTR_CACHED) ||
        (sim->window_count[page] && sim->window_attrs[page] != CMA_ATTR_CACHED))
        sim_violate_locked(sim, SIM_ALIAS, "frame", paddr >> sim->page_shift);
    return sim_access(sim, op, CMA_ATTR_CACHED, offset, bytes, n);
}

void sim_cached_access(struct sim *sim, enum sim_op op, cma_paddr_t paddr, void *bytes,
                       uint64_t nbytes, bool timed)
{
    uint8_t *at = bytes;

    while (nbytes) {
        uint32_t n = mem_chunk(paddr, nbytes);
        sim_point(sim, MEM_SWITCH_ONE_IN);
        sim_enter(sim);
        uint64_t ns = mem_cached_chunk(sim, op, paddr, at, n);
        sim_leave(sim);
        if (timed)
            sim_advance(sim, ns);
        sim_trace(sim, op == SIM_OP_READ ? SIM_EVENT_READ : SIM_EVENT_WRITE, paddr);
        paddr += n;
        at += n;
        nbytes -= n;
    }
}

void sim_read_paddr(struct sim *sim, cma_paddr_t paddr, void *to, uint64_t nbytes)
{
    sim_cached_access(sim, SIM_OP_READ, paddr, to, nbytes, true);
}

void sim_write_paddr(struct sim *sim, cma_paddr_t paddr, const void *from, uint64_t nbytes)
{
    sim_cached_access(sim, SIM_OP_WRITE, paddr, (void *)(uintptr_t)from, nbytes, true);
}

uint64_t sim_tlb_generation(struct sim *sim)
{
    sim_enter(sim);
    uint64_t generation = sim->tlb_generation;
    sim_leave(sim);
    return generation;
}

static bool mem_user_access(struct sim *sim, enum sim_op op, uint64_t generation, cma_paddr_t paddr,
                            void *bytes, uint64_t nbytes)
{
    uint64_t ns = 0;

    /* Between a translation and its use a processor may be interrupted, for much longer than it
     * takes others to freeze and copy the page: only the flush saves them. */
    if (!sim->threads && sim_mix(&sim->cache.random) % MEM_DELAY_ONE_IN == 0)
        sim_delay(sim);
    sim_point(sim, MEM_SWITCH_ONE_IN);
    sim_enter(sim);
    bool valid = generation == sim->tlb_generation;
    if (valid)
        ns = mem_cached_chunk(sim, op, paddr, bytes, (uint32_t)nbytes);
    sim_leave(sim);
    sim_advance(sim, ns);
    sim_trace(sim, op == SIM_OP_READ ? SIM_EVENT_READ : SIM_EVENT_WRITE, paddr);
    return valid;
}

bool sim_user_write(struct sim *sim, uint64_t generation, cma_paddr_t paddr, const void *from,
                    uint64_t nbytes)
{
    return mem_user_access(sim, SIM_OP_WRITE, generation, paddr, (void *)(uintptr_t)from, nbytes);
}

bool sim_user_read(struct sim *sim, uint64_t generation, cma_paddr_t paddr, void *to,
                   uint64_t nbytes)
{
    return mem_user_access(sim, SIM_OP_READ, generation, paddr, to, nbytes);
}

/*
 * A device that does not snoop sees memory only. Processors speculate while it works: they read
 * lines of the range into the cache before and after, and dirty lines leave it, so that a driver's
 * missing invalidate or clean shows.
 */
static void mem_dev_access(struct sim *sim, enum sim_op op, cma_paddr_t paddr, uint8_t *bytes,
                           uint64_t nbytes, bool snoops)
{
    while (nbytes) {
        uint32_t n = mem_chunk(paddr, nbytes);
        uint64_t offset;

        sim_point(sim, MEM_SWITCH_ONE_IN);
        sim_enter(sim);
        if (!sim_offset_of(sim, paddr, &offset)) {
            sim_violate_locked(sim, SIM_BUS, "device reaches for", paddr);
            if (op == SIM_OP_READ)
                memset(bytes, 0xff, n);
        } else if (sim->config.coherent) {
            mem_direct(sim, op, offset, bytes, n);
        } else if (snoops) {
            if (op == SIM_OP_READ)
                sim_cache_clean(sim, offset, n);
            else
                sim_cache_invalidate(sim, offset, n);
            mem_direct(sim, op, offset, bytes, n);
            if (op == SIM_OP_WRITE)
                sim_cache_speculate(sim, offset, n, 1);
        } else {
            sim_cache_speculate(sim, offset, n, 1);
            mem_direct(sim, op, offset, bytes, n);
            sim_cache_speculate(sim, offset, n, 1);
            sim_cache_evict(sim, 1);
        }
        sim_leave(sim);
        sim_trace(sim, op == SIM_OP_READ ? SIM_EVENT_DEV_READ : SIM_EVENT_DEV_WRITE, paddr);
        paddr += n;
        bytes += n;
        nbytes -= n;
    }
}

void sim_dev_read(struct sim *sim, cma_paddr_t paddr, void *to, uint64_t nbytes, bool snoops)
{
    mem_dev_access(sim, SIM_OP_READ, paddr, to, nbytes, snoops);
}

void sim_dev_write(struct sim *sim, cma_paddr_t paddr, const void *from, uint64_t nbytes,
                   bool snoops)
{
    mem_dev_access(sim, SIM_OP_WRITE, paddr, (uint8_t *)(uintptr_t)from, nbytes, snoops);
}

void sim_peek(struct sim *sim, cma_paddr_t paddr, void *to, uint64_t nbytes)
{
    uint8_t *bytes = to;

    while (nbytes) {
        uint32_t n = mem_chunk(paddr, nbytes);
        uint64_t offset;
        sim_enter(sim);
        if (sim_offset_of(sim, paddr, &offset))
            memcpy(bytes, sim->memory + offset, n);
        else
            memset(bytes, 0xff, n);
        sim_leave(sim);
        paddr += n;
        bytes += n;
        nbytes -= n;
    }
}

void sim_evict(struct sim *sim, uint64_t nlines)
{
    sim_enter(sim);
    if (!sim->config.coherent)
        sim_cache_evict(sim, nlines);
    sim_leave(sim);
}
