/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sim.h - a board inside a Linux process: the first port, and an adversary
 *
 * Physical memory is a memfd of the board's real size; untouched pages cost nothing. Physical, bus
 * and CPU addresses are all different numbers, so that a mix-up fails. "CPU addresses" (vaddr) that
 * the port hands out are numbers in a range that can't be touched in the process: simulated code
 * reaches memory only through sim_read and sim_write, which go through the page's attributes and
 * the cache model. A missing clean or invalidate therefore reads stale bytes, as on a real board.
 *
 * What is simulated, and what is not: docs/DESIGN.md, "The simulator".
 *
 * Time: each fibre is a processor of its own with its own clock; hooks and accesses advance it by
 * the costs of one table (costs.c, with sources). The scheduler runs, of the fibres whose clocks
 * are lowest (within 2 microseconds), one that the seed chooses; the same seed is the same run, bit
 * for bit. With SIM_THREADS real threads run instead, in real time order, and one clock adds all
 * costs.
 *
 * Only the thread that made a simulation, and the fibres or threads that sim_spawn makes, may use
 * it; the former not while sim_run runs.
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
    uint32_t page_shift;     /* 8 to 16; 0: 12 */
    cma_paddr_t linear_last; /* memory above has no linear mapping (highmem); 0: all has */
    bool coherent;           /* no cache model: every access goes to memory */
    bool no_mmu;             /* no map, window, set_attr, tlb_flush, lookup hooks */
    uint32_t cache_nbytes;   /* of the cache model, power of two from 4 KiB; 0: 256 KiB */
    enum sim_scheduler scheduler;
    uint32_t delay_one_in;      /* one in so many hooks and accesses of a fibre is held up by up to
                                 * 100 us, as by an interrupt: rougher orders, no true latencies;
                                 * 0: only accesses of user programs (sim_user_*), one in 64 */
    uint64_t map_window_npages; /* address space for port->map; 0: 65,536 pages */
};

/* Returns NULL after a message on stderr when the config is malformed, or the host has not enough
 * address space. */
struct sim *sim_create(const struct sim_config *config);
void sim_destroy(struct sim *sim);
/*
 * The hooks. A test that wants to see a hook missing copies the struct and replaces the pointer.
 * Linear mappings exist for all memory up to linear_last; port->set_attr with CMA_ATTR_NONE takes
 * one away (no-map ranges).
 */
const struct cma_port *sim_port(struct sim *sim);

/* CPU accesses by CPU address: through attributes and cache. */
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
/* True if all of it is memory of the board. */
bool sim_is_memory(const struct sim *sim, cma_paddr_t paddr, uint64_t nbytes);
/* What memory itself holds (no cache), for checks. */
void sim_peek(struct sim *sim, cma_paddr_t paddr, void *to, uint64_t nbytes);
/* `nlines` lines that the seed chooses leave the cache, dirty ones to memory, as other work on the
 * machine makes them; UINT64_MAX: all. (Some leave by themselves now and then.) */
void sim_evict(struct sim *sim, uint64_t nlines);

/*
 * A processor that goes on with an address translation which it read before: writes or reads nbytes
 * (at most 1,024, inside one page) if no TLB flush has happened since `generation` was read, and
 * returns false otherwise: translate again. Read the generation, then the page table.
 */
uint64_t sim_tlb_generation(struct sim *sim);
bool sim_user_write(struct sim *sim, uint64_t generation, cma_paddr_t paddr, const void *from,
                    uint64_t nbytes);
bool sim_user_read(struct sim *sim, uint64_t generation, cma_paddr_t paddr, void *to,
                   uint64_t nbytes);

/*
 * Violations: what no correct program does. Each ends the process (abort) with a message, unless it
 * is tolerated; then it is counted and the access goes the way a real board might take it.
 */
enum sim_violation {
    SIM_UNMAPPED,  /* access to an address without mapping (reads 0xee, writes nowhere) */
    SIM_STALE_TLB, /* access through a mapping that was changed or removed, and not flushed yet */
    SIM_ALIAS,     /* cached access by physical address to a frame mapped with other attributes */
    SIM_LOCK,      /* a hook called with a lock of libcma held, or a lock taken twice */
    SIM_BUS,       /* a device or hook reached for what is no memory (reads 0xff) */
    SIM_PROTOCOL,  /* a mover was called out of order */
    SIM_VIOLATIONS
};
void sim_tolerate(struct sim *sim, enum sim_violation violation, bool tolerated);
uint64_t sim_violations(struct sim *sim, enum sim_violation violation);
/* For simulated movers and devices: reports one. */
void sim_violate(struct sim *sim, enum sim_violation violation, const char *what, uint64_t value);

/* Fibres (or threads). A fibre may switch at every hook, access, yield and sleep. At most 255 live
 * at a time; a fibre's stack is 256 KiB. */
void sim_spawn(struct sim *sim, const char *name, void (*run)(void *arg), void *arg);
/* Runs until all have returned. Deadlock (all wait) ends the process with a message. */
void sim_run(struct sim *sim);
void sim_yield(struct sim *sim);
void sim_sleep_ns(struct sim *sim, uint64_t ns);
/* Work that the table of costs does not know: the clock advances, others may run. */
void sim_spend_ns(struct sim *sim, uint64_t ns);
uint64_t sim_now_ns(struct sim *sim); /* of the fibre that runs; outside of fibres: the latest */
uint32_t sim_self(struct sim *sim); /* number of the fibre or thread that runs, 1 up; 0: outside */
/* Pages that the running fibre's own calls have copied (port->copy), since it was spawned. */
uint64_t sim_self_copied_pages(struct sim *sim);
uint64_t sim_random(struct sim *sim); /* the running fibre's own generator, seeded */
/* A hash over all that has happened (hooks, accesses, switches, clocks): equal for equal seeds and
 * programs, whatever the compiler. With threads it has no meaning. */
uint64_t sim_trace_hash(struct sim *sim);

/*
 * A lock of the simulated machine's own, for movers: may be held across calls of libcma that do not
 * sleep. A fibre that finds it taken lets others run. Zero is unlocked.
 */
struct sim_mutex {
    uint32_t holder; /* private */
};
void sim_lock(struct sim *sim, struct sim_mutex *mutex);
void sim_unlock(struct sim *sim, struct sim_mutex *mutex);

/* Hooks whose contract allows failing can be made to fail. */
enum sim_fault {
    SIM_FAULT_MAP,     /* port->map: CMA_ENOMEM */
    SIM_FAULT_LEND,    /* for hosts that lend */
    SIM_FAULT_FREEZE,  /* movers that may refuse: CMA_EBUSY */
    SIM_FAULT_DISCARD, /* as above */
    SIM_FAULT_COUNT
};
/* The `nth` call from now (1: the next) fails, and with `sticky` all later ones; 0: none. */
void sim_fail(struct sim *sim, enum sim_fault fault, uint64_t nth, bool sticky);
/* For simulated movers and hosts: should this call fail? Counts the call. */
bool sim_fault_now(struct sim *sim, enum sim_fault fault);
/* Calls since the start, failed ones included: so that a loop can fail each of them once. */
uint64_t sim_fault_calls(struct sim *sim, enum sim_fault fault);

/*
 * Somebody who is told of accesses, before they happen: those of simulated code (sim_read,
 * sim_write) by physical address, as far as it is mapped, in pieces that are contiguous there;
 * those of devices with a `tag` (simdev.h) by device address. Not those of movers and hooks, that
 * go by physical address. File and line are those of driver.h's macros, or NULL and 0. May call
 * libcma.
 */
struct sim_watch {
    void (*cpu)(void *ctx, cma_paddr_t paddr, uint64_t nbytes, bool write, const char *file,
                uint32_t line);
    void (*device)(void *ctx, void *tag, cma_daddr_t daddr, uint64_t nbytes, bool write,
                   const char *file, uint32_t line);
    void *ctx;
};
/* One watcher, copied; NULL: nobody. Not while sim_run runs. */
void sim_watch(struct sim *sim, const struct sim_watch *watch);
/* For the macros of driver.h: the place of the accesses that the running fibre makes from now on.
 * NULL: not known. */
void sim_at(struct sim *sim, const char *file, uint32_t line);
/* For simulated devices. */
void sim_tell_device(struct sim *sim, void *tag, cma_daddr_t daddr, uint64_t nbytes, bool write,
                     const char *file, uint32_t line);

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
