/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim.c - makes a simulation and takes it apart; violations and counts
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "private.h"

uint64_t sim_mix(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

void *sim_reserve(uint64_t nbytes, int prot)
{
    void *at = mmap(NULL, nbytes, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

void sim_unreserve(void *from, uint64_t nbytes)
{
    if (from)
        munmap(from, nbytes);
}

void sim_enter(struct sim *sim)
{
    if (sim->threads)
        pthread_mutex_lock(&sim->big);
}

void sim_leave(struct sim *sim)
{
    if (sim->threads)
        pthread_mutex_unlock(&sim->big);
}

void sim_die(struct sim *sim, const char *what, const char *more)
{
    struct sim_actor *self = sim_actor(sim);

    fflush(stdout);
    fprintf(stderr, "sim: %s%s%s [%s %u, seed %llu, at %llu ns]\n", what, *more ? ": " : "", more,
            self->name, (unsigned)self->number, (unsigned long long)sim->config.seed,
            (unsigned long long)self->clock_ns);
    abort();
}

static const char *const violation_names[SIM_VIOLATIONS] = {
    [SIM_UNMAPPED] = "access to an address that is not mapped",
    [SIM_STALE_TLB] = "access through a mapping that was changed and not flushed",
    [SIM_ALIAS] = "cached access to a frame that is mapped otherwise",
    [SIM_LOCK] = "wrong use of a lock",
    [SIM_BUS] = "no memory at this address",
    [SIM_PROTOCOL] = "mover called out of order",
};

void sim_violate_locked(struct sim *sim, enum sim_violation violation, const char *what,
                        uint64_t value)
{
    char more[160];

    sim->violated[violation]++;
    if (sim->tolerated[violation])
        return;
    snprintf(more, sizeof(more), "%s, 0x%llx", what, (unsigned long long)value);
    sim_die(sim, violation_names[violation], more);
}

void sim_violate(struct sim *sim, enum sim_violation violation, const char *what, uint64_t value)
{
    sim_enter(sim);
    sim_violate_locked(sim, violation, what, value);
    sim_leave(sim);
}

void sim_tolerate(struct sim *sim, enum sim_violation violation, bool tolerated)
{
    sim_enter(sim);
    sim->tolerated[violation] = tolerated;
    sim_leave(sim);
}

uint64_t sim_violations(struct sim *sim, enum sim_violation violation)
{
    sim_enter(sim);
    uint64_t n = sim->violated[violation];
    sim_leave(sim);
    return n;
}

void sim_stats(struct sim *sim, struct sim_stats *stats)
{
    sim_enter(sim);
    *stats = sim->stats;
    sim_leave(sim);
}

static const char *config_fault(const struct sim_config *config, uint32_t page_shift)
{
    uint64_t mask = ((uint64_t)1 << page_shift) - 1;

    if (page_shift < 8 || page_shift > 16)
        return "page_shift is not 8 to 16";
    if (!config->memory || config->nmemory == 0)
        return "no memory";
    if (config->cache_nbytes & (config->cache_nbytes - 1) ||
        (config->cache_nbytes && config->cache_nbytes < 4096))
        return "cache_nbytes is not a power of two from 4 KiB";
    if (config->linear_last && (config->linear_last + 1) & mask)
        return "linear_last is not the end of a page";
    for (uint32_t i = 0; i < config->nmemory; i++) {
        const struct sim_memory *memory = &config->memory[i];
        if (memory->nbytes == 0 || ((memory->base | memory->nbytes) & mask))
            return "memory is empty or not in whole pages";
        if (memory->nbytes - 1 > CMA_PADDR_MAX - memory->base)
            return "memory passes 2^64";
        if (i && memory->base - 1 < memory[-1].base + (memory[-1].nbytes - 1))
            return "memory is not ascending";
    }
    return NULL;
}

struct sim *sim_create(const struct sim_config *config)
{
    uint32_t page_shift = config->page_shift ? config->page_shift : 12;
    const char *fault = config_fault(config, page_shift);
    struct sim *sim = fault ? NULL : calloc(1, sizeof(*sim));

    if (!sim) {
        fprintf(stderr, "sim: %s\n", fault ? fault : "no memory on the host");
        return NULL;
    }
    sim->config = *config;
    sim->page_shift = page_shift;
    sim->threads = config->scheduler == SIM_THREADS;
    sim->linear_last = config->linear_last && !config->no_mmu ? config->linear_last : CMA_PADDR_MAX;
    sim->maps.npages = config->map_window_npages ? config->map_window_npages : 65536;
    sim->fd = -1;
    pthread_mutex_init(&sim->big, NULL);
    pthread_mutex_init(&sim->sched_lock, NULL);
    pthread_cond_init(&sim->changed, NULL);
    bool made = sim_sched_init(sim) && sim_mem_init(sim) && sim_cache_init(sim);
    sim->config.memory = NULL; /* the caller's */
    if (!made) {
        fprintf(stderr, "sim: the host has not enough address space for this board\n");
        sim_destroy(sim);
        return NULL;
    }
    sim_hooks_init(sim);
    return sim;
}

void sim_destroy(struct sim *sim)
{
    if (!sim)
        return;
    sim_sched_exit(sim);
    sim_cache_exit(sim);
    sim_mem_exit(sim);
    free(sim->stale_linear.runs);
    free(sim->stale_window.runs);
    pthread_cond_destroy(&sim->changed);
    pthread_mutex_destroy(&sim->sched_lock);
    pthread_mutex_destroy(&sim->big);
    free(sim);
}

const struct cma_port *sim_port(struct sim *sim)
{
    return &sim->port;
}
