/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim.h - a board inside a Linux process: the first port, and an adversary
 *
 * Physical memory is a memfd of the board's real size; untouched pages cost nothing. Physical, bus
 * and CPU addresses are all different numbers, so that a mix-up fails. "CPU addresses" (vaddr) that
 * the port hands out are numbers in a range that is not mapped in the process: simulated code reaches
 * memory only through sim_read and sim_write, which go through the page's attributes and the cache
 * model. A missing clean or invalidate therefore reads stale bytes, as on a real board.
 *
 * What is simulated, and what is not: docs/DESIGN.md, "The simulator".
 *
 * Time: each fibre is a processor of its own with its own clock; hooks and accesses advance it by the
 * costs of one table (costs.c, with sources); the scheduler runs the fibre whose clock is lowest.
 * With SIM_THREADS real threads run instead, in real time order, and time_ns adds costs up only.
 */
#ifndef SIM_H
#define SIM_H

#include <cma/frame.h>
#include <cma/port.h>
#include <cma/types.h>

enum sim_scheduler { SIM_FIBRES, SIM_THREADS };

struct sim_memory {
    cma_paddr_t base;
    uint64_t nbytes;
};

struct sim_config {
    uint64_t seed;
    const struct sim_memory *memory; /* ascending, page aligned */
    uint32_t nmemory;
    uint32_t page_shift;      /* 0: 12 */
    cma_paddr_t linear_last;  /* memory above has no linear mapping (highmem); 0: all has */
    bool coherent;            /* no cache model: every access goes to memory */
    bool no_mmu;              /* no map, set_attr, tlb_flush, lookup hooks */
    uint32_t cache_nbytes;    /* of the cache model; 0: 256 KiB */
    enum sim_scheduler scheduler;
    uint64_t map_window_npages; /* address space for port->map; 0: 65,536 pages */
};

/* Returns NULL after a message on stderr when the host has not enough address space. */
struct sim *sim_create(const struct sim_config *config);
void sim_destroy(struct sim *sim);
const struct cma_port *sim_port(struct sim *sim);

/* CPU accesses by CPU address: through attributes and cache. Touching an unmapped address, or one
 * whose mapping was removed and flushed, ends the process with a message (a simulated fault). */
void sim_read(struct sim *sim, const void *vaddr, void *to, uint64_t nbytes);
void sim_write(struct sim *sim, void *vaddr, const void *from, uint64_t nbytes);
/* The same by physical address through the linear (or a temporary) cached mapping, as the kernel of
 * the simulated machine would: what movers use. */
void sim_read_paddr(struct sim *sim, cma_paddr_t paddr, void *to, uint64_t nbytes);
void sim_write_paddr(struct sim *sim, cma_paddr_t paddr, const void *from, uint64_t nbytes);
/* Accesses of a device by physical address, after its buses: past the cache unless it snoops. */
void sim_dev_read(struct sim *sim, cma_paddr_t paddr, void *to, uint64_t nbytes, bool snoops);
void sim_dev_write(struct sim *sim, cma_paddr_t paddr, const void *from, uint64_t nbytes,
                   bool snoops);
/* What memory itself holds (no cache), for checks. */
void sim_peek(struct sim *sim, cma_paddr_t paddr, void *to, uint64_t nbytes);

/* Fibres (or threads). A fibre may switch at every hook, access, yield and sleep. */
void sim_spawn(struct sim *sim, const char *name, void (*run)(void *arg), void *arg);
/* Runs until all have returned. Deadlock (all wait) ends the process with a message. */
void sim_run(struct sim *sim);
void sim_yield(struct sim *sim);
void sim_sleep_ns(struct sim *sim, uint64_t ns);
uint64_t sim_now_ns(struct sim *sim); /* of the fibre that runs; outside of fibres: the latest */
uint32_t sim_self(struct sim *sim);   /* number of the fibre or thread that runs */
uint64_t sim_random(struct sim *sim); /* the simulation's own generator; seeded */

/* Hooks whose contract allows failing can be made to fail. */
enum sim_fault { SIM_FAULT_MAP, SIM_FAULT_LEND, SIM_FAULT_FREEZE, SIM_FAULT_DISCARD, SIM_FAULT_COUNT };
/* The `nth` call from now (1: the next) fails, and with `sticky` all later ones; 0: none. */
void sim_fail(struct sim *sim, enum sim_fault fault, uint64_t nth, bool sticky);
/* For simulated movers and hosts: should this call fail? Counts the call. */
bool sim_fault_now(struct sim *sim, enum sim_fault fault);

/* How often each hook ran, and what it cost. */
struct sim_stats {
    uint64_t maps, unmaps, set_attr_pages, clean_lines, invalidate_lines, barriers, tlb_flushes;
    uint64_t copied_pages, zeroed_pages, locks, waits, wakes;
    uint64_t cache_hits, cache_misses, evictions, prefetches;
    uint64_t switches;
};
void sim_stats(struct sim *sim, struct sim_stats *stats);

/*
 * The page tables as a walker sees them: true if no frame has two mappings whose attributes differ.
 * *paddr: the first that has.
 */
bool sim_check_aliases(struct sim *sim, cma_paddr_t *paddr);

#endif
