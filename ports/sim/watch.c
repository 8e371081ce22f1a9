/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * watch.c - somebody is told who touches what
 */
#include "private.h"

void sim_watch(struct sim *sim, const struct sim_watch *watch)
{
    sim->watch = watch ? *watch : (struct sim_watch){NULL, NULL, NULL};
}

void sim_at(struct sim *sim, const char *file, uint32_t line)
{
    struct sim_actor *self = sim_actor(sim);

    self->file = file;
    self->line = line;
}

/* How much of [vaddr, vaddr + nbytes) is contiguous memory, and where: 0 where nothing is mapped.
 */
static uint64_t watch_run(struct sim *sim, uintptr_t vaddr, uint64_t nbytes, cma_paddr_t *paddr)
{
    uint64_t page = (uint64_t)1 << sim->page_shift, run = 0, offset;

    sim_enter(sim);
    while (run < nbytes && sim_mem_look(sim, vaddr + run, &offset)) {
        cma_paddr_t at = sim_paddr_of(sim, offset);
        if (run == 0)
            *paddr = at;
        else if (at != *paddr + run)
            break;
        uint64_t room = page - (offset & (page - 1));
        run += nbytes - run < room ? nbytes - run : room;
    }
    sim_leave(sim);
    return run;
}

void sim_tell_cpu(struct sim *sim, uintptr_t vaddr, uint64_t nbytes, bool write)
{
    const struct sim_actor *self = sim_actor(sim);
    uint64_t page = (uint64_t)1 << sim->page_shift;
    cma_paddr_t paddr = 0;

    while (nbytes) {
        uint64_t n = watch_run(sim, vaddr, nbytes, &paddr);
        if (n)
            sim->watch.cpu(sim->watch.ctx, paddr, n, write, self->file, self->line);
        else
            n = page - (vaddr & (page - 1)); /* not mapped: the access itself will say so */
        n = n < nbytes ? n : nbytes;
        vaddr += n;
        nbytes -= n;
    }
}

void sim_tell_device(struct sim *sim, void *tag, cma_daddr_t daddr, uint64_t nbytes, bool write,
                     const char *file, uint32_t line)
{
    if (sim->watch.device)
        sim->watch.device(sim->watch.ctx, tag, daddr, nbytes, write, file, line);
}
