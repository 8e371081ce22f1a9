/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * private.h - what the files of the simulator share
 *
 * An *offset* is a place in the memfd: the banks of memory one after the other, with a page of
 * nothing between banks that do not touch. Page tables, cache tags and linear CPU addresses all go
 * by offset, so that nothing of the host's addresses gets into results. A *page* is an offset's
 * page number.
 *
 * Locking (SIM_THREADS only; fibres need none, for they switch at named points): `big` protects
 * memory, cache, page tables, counts and faults and is held for at most a kilobyte's access;
 * `sched_lock` protects actors and waiting. Never both.
 */
#ifndef SIM_PRIVATE_H
#define SIM_PRIVATE_H

#include <pthread.h>
#include <ucontext.h>

#include "costs.h"
#include "sim.h"

#define SIM_ACTORS 256
#define SIM_CHUNK 1024u /* an access is atomic up to here */
#define SIM_LINE_SHIFT 6
#define SIM_LINE (1u << SIM_LINE_SHIFT)
#define SIM_WAYS 4u

struct sim_bank {
    cma_paddr_t base, last;
    uint64_t offset;
};

struct sim_cache {
    uint64_t *tags; /* (line + 1) << 1, lowest bit: dirty; 0: empty */
    uint8_t *data;
    uint32_t nlines, set_mask;
    uint64_t random;
};

enum sim_pte_state { SIM_PTE_FREE, SIM_PTE_LIVE, SIM_PTE_STALE };

struct sim_pte {
    uint64_t page;
    uint8_t attr;
    uint8_t state;
};

/* CPU addresses besides the linear mapping's. */
struct sim_space {
    uintptr_t first;
    uint64_t npages, next;
    struct sim_pte *ptes;
};

struct sim_run {
    uint64_t first, npages;
};

struct sim_runs {
    struct sim_run *runs;
    uint32_t n, room;
};

enum sim_actor_state { SIM_ACTOR_FREE, SIM_ACTOR_READY, SIM_ACTOR_WAITING, SIM_ACTOR_DONE };

struct sim_actor {
    struct sim *sim;
    const char *name;
    void (*run)(void *arg);
    void *arg;
    uint32_t number;
    enum sim_actor_state state;
    bool started; /* its thread is there */
    uint64_t clock_ns;
    uint64_t random;
    uint32_t locks;        /* of libcma, held */
    uint64_t copied_pages; /* by its calls of port->copy */
    const char *file;      /* where its accesses are made, for who watches; NULL: not known */
    uint32_t line;
    const uint32_t *event; /* waited for */
    uint32_t seen;
    ucontext_t context;
    void *stack;
    void *fake_stack; /* ASan's */
    const void *asan_bottom;
    size_t asan_nbytes;
    void *tsan_fibre;
    pthread_t thread;
};

struct sim_fault_state {
    uint64_t calls, at;
    bool sticky;
};

struct sim {
    struct sim_config config;
    struct cma_port port;
    uint32_t page_shift;
    bool threads;

    struct sim_bank *banks;
    uint32_t nbanks;
    int fd;
    uint8_t *memory;
    uint64_t nbytes; /* of offsets */
    cma_paddr_t linear_last;

    uintptr_t linear;             /* first CPU address of the linear mapping */
    struct sim_space maps;        /* of port->map */
    struct sim_space consistent;  /* of port->window_make; npages 0: not made */
    uint8_t *attrs, *tlb;         /* by page: linear attribute + 1; 0: as at the start */
    uint8_t *window_attrs;        /* by page: attribute of its mappings in both spaces */
    uint16_t *window_count;       /* by page: how many there are, unflushed ones too */
    struct sim_runs stale_linear; /* changed since the last flush, in pages */
    struct sim_runs stale_window; /* the same, in pages of `maps`, and behind them `consistent` */
    uint64_t tlb_generation;

    struct sim_cache cache;

    struct sim_actor actors[SIM_ACTORS];
    uint32_t nactors; /* highest in use + 1 */
    struct sim_actor *current;
    uint64_t others_ns; /* lowest clock of the others that could run */
    uint64_t random;
    uint64_t trace;
    bool running;
    uint64_t threads_ns; /* atomic */
    pthread_mutex_t big, sched_lock;
    pthread_cond_t changed;

    struct sim_watch watch;
    struct sim_fault_state faults[SIM_FAULT_COUNT];
    bool tolerated[SIM_VIOLATIONS];
    uint64_t violated[SIM_VIOLATIONS];
    struct sim_stats stats;
};

/* What is traced. */
enum sim_event {
    SIM_EVENT_MAP = 1,
    SIM_EVENT_UNMAP,
    SIM_EVENT_ATTR,
    SIM_EVENT_CLEAN,
    SIM_EVENT_INVALIDATE,
    SIM_EVENT_BARRIER,
    SIM_EVENT_FLUSH,
    SIM_EVENT_COPY,
    SIM_EVENT_ZERO,
    SIM_EVENT_LOCK,
    SIM_EVENT_UNLOCK,
    SIM_EVENT_WAIT,
    SIM_EVENT_WAKE,
    SIM_EVENT_READ,
    SIM_EVENT_WRITE,
    SIM_EVENT_DEV_READ,
    SIM_EVENT_DEV_WRITE,
    SIM_EVENT_SWITCH,
    SIM_EVENT_RANDOM
};

/* sim.c */
uint64_t sim_mix(uint64_t *state);            /* the generator that all others are made of */
void *sim_reserve(uint64_t nbytes, int prot); /* zeroed, sparse; NULL when there is no room */
void sim_unreserve(void *from, uint64_t nbytes);
void sim_enter(struct sim *sim); /* `big`, with threads */
void sim_leave(struct sim *sim);
void sim_die(struct sim *sim, const char *what, const char *more) __attribute__((noreturn));
/* The same as sim_violate, with `big` held. */
void sim_violate_locked(struct sim *sim, enum sim_violation violation, const char *what,
                        uint64_t value);

/* mem.c */
bool sim_mem_init(struct sim *sim);
void sim_mem_exit(struct sim *sim);
bool sim_space_init(struct sim *sim, struct sim_space *space, uint64_t npages);
/* The entry that decides about a CPU address outside the linear mapping; NULL: none does. */
struct sim_pte *sim_pte_of(const struct sim *sim, uintptr_t vaddr);
bool sim_offset_of(const struct sim *sim, cma_paddr_t paddr, uint64_t *offset);
cma_paddr_t sim_paddr_of(const struct sim *sim, uint64_t offset);
bool sim_page_exists(const struct sim *sim, uint64_t page);
/* The linear mapping of a page, in the tables and in the TLB. */
enum cma_attr sim_linear_attr(const struct sim *sim, uint64_t page);
enum cma_attr sim_linear_tlb(const struct sim *sim, uint64_t page);
/* A processor may speculate into this page. */
bool sim_page_cached(const struct sim *sim, uint64_t page);

/* One access inside a page and a chunk, with `big` held. Returns what it costs. */
enum sim_op { SIM_OP_READ, SIM_OP_WRITE };
uint64_t sim_access(struct sim *sim, enum sim_op op, enum cma_attr attr, uint64_t offset,
                    void *bytes, uint32_t nbytes);
/* Where a CPU address leads, without side effects: in *offset; false: nowhere. With `big` held. */
bool sim_mem_look(const struct sim *sim, uintptr_t vaddr, uint64_t *offset);
/* Any length by physical address as a cached access; `timed`: costs and switches. */
void sim_cached_access(struct sim *sim, enum sim_op op, cma_paddr_t paddr, void *bytes,
                       uint64_t nbytes, bool timed);

/* cache.c: all with `big` held; offsets and lengths any. */
bool sim_cache_init(struct sim *sim);
void sim_cache_exit(struct sim *sim);
uint64_t sim_cache_access(struct sim *sim, enum sim_op op, uint64_t offset, void *bytes,
                          uint32_t nbytes);
void sim_cache_clean(struct sim *sim, uint64_t offset, uint64_t nbytes);
void sim_cache_invalidate(struct sim *sim, uint64_t offset, uint64_t nbytes);
void sim_cache_evict(struct sim *sim, uint64_t nlines);
/* Up to `n` lines of the range are read ahead, where the page is mapped cached. */
void sim_cache_speculate(struct sim *sim, uint64_t offset, uint64_t nbytes, uint32_t n);

/* watch.c */
void sim_tell_cpu(struct sim *sim, uintptr_t vaddr, uint64_t nbytes, bool write);

/* hooks.c */
void sim_hooks_init(struct sim *sim);

/* sched.c */
bool sim_sched_init(struct sim *sim);
void sim_sched_exit(struct sim *sim);
struct sim_actor *sim_actor(struct sim *sim);
void sim_advance(struct sim *sim, uint64_t ns);
void sim_trace(struct sim *sim, enum sim_event event, uint64_t value);
/* A place where another fibre may run: on average one time in `one_in`, and always when this one is
 * ahead of the others. */
void sim_point(struct sim *sim, uint32_t one_in);
/* This fibre is held up for a while, as by an interrupt; takes effect at its next point. */
void sim_delay(struct sim *sim);
/* Somebody holds what this actor spins for; lets others run. */
void sim_spin(struct sim *sim, uint32_t holder);
void sim_wait_event(struct sim *sim, const uint32_t *event, uint32_t seen);
void sim_wake_event(struct sim *sim, const uint32_t *event);

#endif
