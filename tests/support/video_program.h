/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * video_program.h - the program's own memory, as the model's regions say it is (video_model.h)
 *
 * Addresses from USER_BASE up are the program's; a table says what is behind them, as a process's
 * tables do. A region that vanishes is unmapped at once, and its frames are freed as far as nobody
 * has pinned them; what is pinned is buried later (program_bury), when the model says that no
 * buffer has it any more.
 */
#ifndef TEST_VIDEO_PROGRAM_H
#define TEST_VIDEO_PROGRAM_H

#include <cma/system.h>

#include "../../ports/sim/movers.h"
#include "video_model.h"

#define USER_BASE UINT64_C(0x10000000)
#define CROWD 100u /* other pages in the area, which are dropped or move when buffers come */

struct program {
    struct sim *sim;
    struct cma_system *cma;
    struct cma_port port; /* the simulator's, but for lookup */
    int (*lookup)(void *ctx, const void *vaddr, cma_paddr_t *paddr, enum cma_attr *attr);
    struct sim_store *store;
    cma_pfn_t pfn[REGIONS];
    uint32_t object[REGION_NPAGES];
    bool object_gone[REGION_NPAGES];
    uint32_t mapped[REGIONS]; /* atomic */
    uint32_t buried[REGIONS]; /* atomic */
};

static struct program program;

/* The frame behind a page, there or not. */
static cma_pfn_t program_pfn(uint32_t page)
{
    static const uint32_t split[REGION_NPAGES] = {0, 1, 3, 2};
    uint32_t region = page / REGION_STRIDE, index = page % REGION_STRIDE;

    if (region == OBJECTS)
        return sim_store_pfn(program.store, program.object[index]);
    return program.pfn[region] + (region == SPLIT ? split[index] : index);
}

static int program_lookup(void *ctx, const void *vaddr, cma_paddr_t *paddr, enum cma_attr *attr)
{
    uint32_t page = (uint32_t)(((uintptr_t)vaddr - USER_BASE) / PAGE);
    uint32_t region = page / REGION_STRIDE, index = page % REGION_STRIDE;
    cma_pfn_t pfn;

    if ((uintptr_t)vaddr < USER_BASE || (uintptr_t)vaddr >= USER_BASE + REGIONS * REGION_NBYTES)
        return program.lookup(ctx, vaddr, paddr, attr);
    sim_yield(program.sim);
    do {
        if (__atomic_load_n(&program.mapped[region], __ATOMIC_ACQUIRE) == 0 ||
            index == REGION_NPAGES || (region == HOLE && index == 2) ||
            (region == OBJECTS && index % 2 != 0))
            return CMA_ENOENT;
        /* Who looks at a page that was dropped gets it back, as from a page fault. */
        if (region == OBJECTS)
            (void)sim_store_touch(program.store, program.object[index]);
        pfn = program_pfn(page);
    } while (pfn == CMA_PFN_NONE);
    *paddr = pfn << 12 | ((uintptr_t)vaddr & (PAGE - 1));
    *attr = region == UNCACHED && index == 1 ? CMA_ATTR_UNCACHED : CMA_ATTR_CACHED;
    sim_yield(program.sim);
    return 0;
}

/* Frees what can be freed of a region that is gone. */
static bool program_free(uint32_t region)
{
    bool all = true;

    if (region != OBJECTS)
        return cma_pages_free(&program.cma->pages, program.pfn[region], REGION_NPAGES, 7) == 0;
    for (uint32_t i = 0; i < REGION_NPAGES; i += 2) {
        if (!program.object_gone[i])
            program.object_gone[i] = sim_store_remove(program.store, program.object[i]) == 0;
        all = all && program.object_gone[i];
    }
    return all;
}

/* The process goes away, with these regions; any thread. */
static void program_vanish(uint32_t regions)
{
    for (uint32_t i = 0; i < REGIONS; i++) {
        if ((regions >> i & 1) == 0 ||
            __atomic_exchange_n(&program.mapped[i], 0, __ATOMIC_ACQ_REL) == 0)
            continue;
        if (program_free(i))
            __atomic_store_n(&program.buried[i], 1, __ATOMIC_RELEASE);
    }
}

/* Another one comes, with new pages. False: there are none. */
static bool program_appear(uint32_t region)
{
    struct cma_pages_request request = {.npages = REGION_NPAGES,
                                        .holder = {.kind = CMA_KIND_UNMOVABLE, .cookie = 7}};
    struct cma_area_request claim = {.npages = REGION_NPAGES, .owner = 9};
    int error = 0;

    if (region == CLAIMED) {
        error = cma_area_alloc(program.cma->default_area, &claim, &program.pfn[region], NULL);
    } else if (region != OBJECTS) {
        error = cma_pages_alloc(&program.cma->pages, &request, &program.pfn[region], NULL);
    }
    for (uint32_t i = 0; region == OBJECTS && error == 0 && i < REGION_NPAGES; i += 2) {
        error = sim_store_add(program.store, &program.object[i], NULL);
        program.object_gone[i] = false;
    }
    program.buried[region] = 0;
    __atomic_store_n(&program.mapped[region], 1, __ATOMIC_RELEASE);
    return error == 0;
}

/* Before cma_system_init: the port that knows the program's addresses. */
static const struct cma_port *program_port(struct sim *sim)
{
    program.sim = sim;
    program.port = *sim_port(sim);
    program.lookup = program.port.lookup;
    program.port.lookup = program_lookup;
    return &program.port;
}

static bool program_init(struct cma_system *cma)
{
    struct sim_store_config config = {
        .type = SIM_STORE_CACHE, .name = "cache", .capacity = CROWD + REGION_NPAGES, .seed = 3};
    bool fine = true;
    uint32_t id;

    program.cma = cma;
    program.store = sim_store_create(program.sim, &cma->frames, &cma->pages, &config);
    for (uint32_t i = 0; i < REGIONS; i++)
        fine = fine && program_appear(i);
    for (uint32_t i = 0; i < CROWD; i++)
        fine = fine && sim_store_add(program.store, &id, NULL) == 0;
    return fine;
}

/* While nobody calls: what was dropped comes back, what was clean gets dirty, or the reverse. */
static void program_live(uint32_t random)
{
    uint32_t id = random % (CROWD + REGION_NPAGES);

    if (random >> 16 & 1)
        (void)sim_store_rewrite(program.store, id);
    else
        (void)sim_store_writeback(program.store, id);
}

/* How often buffers have a page, as the model says. */
static uint32_t program_count(const struct model *m, uint32_t page)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < QUEUES * ROOM * PLANES; i++) {
        const struct model_queue *queue = &m->queues[i / PLANES / ROOM];
        const struct model_buffer *buffer = &queue->buffers[i / PLANES % ROOM];
        const struct given *given = &buffer->plane[i % PLANES].given;

        n += buffer->prepared && queue->memory == CMA_VIDEO_USER && i % PLANES < buffer->nplanes &&
             given->at / PAGE <= page && page <= (given->at + given->nbytes - 1) / PAGE;
    }
    return n;
}

/* While nobody calls: each page of the program is pinned as often as buffers have it, also if it is
 * gone; and what nobody has any more can be freed. */
static bool program_check(const struct model *m)
{
    for (uint32_t region = 0; region < REGIONS; region++) {
        uint32_t step = region == OBJECTS ? 2 : 1, left = 0;

        for (uint32_t i = 0; i < REGION_NPAGES; i += step) {
            uint32_t page = region * REGION_STRIDE + i, n = program_count(m, page);
            struct cma_frame_info info;

            if (program.buried[region] || (region == OBJECTS && program.object_gone[i])) {
                if (n != 0)
                    return false;
                continue;
            }
            left += n;
            if (region == OBJECTS && n == 0 && program_pfn(page) == CMA_PFN_NONE)
                continue;
            if (cma_frame_info(&program.cma->frames, program_pfn(page), &info) != 0 || info.idle ||
                info.pins != (is_pinned(page * PAGE) ? n : 0))
                return false;
        }
        if (!program.mapped[region] && !program.buried[region] && left == 0) {
            program.buried[region] = program_free(region);
            if (!program.buried[region])
                return false;
        }
    }
    return true;
}

/* While nobody calls. */
static bool program_return(struct model *m, uint32_t region)
{
    if ((m->gone >> region & 1) == 0 || !program.buried[region])
        return true;
    m->gone &= ~(1u << region);
    return program_appear(region);
}

#endif
