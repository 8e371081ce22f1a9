/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * machine.h - a small machine for tests with real threads, and for failing each hook in turn
 *
 * Memory is an array that is read and written without any atomics, by the movers' writers, by the
 * copy hook and by the owners of buffers. What orders these accesses is libcma and the movers'
 * protocol alone, so the sanitizer reports a page that changes hands, or is copied, too early.
 */
#ifndef MACHINE_H
#define MACHINE_H

#include <cma/guarantee.h>
#include <cma/pages.h>

#include <pthread.h>

#define MACHINE_WORDS 8 /* of each page that the tests look at */
#define MACHINE_AREAS_MAX 4
#define MACHINE_CACHES_MAX 3

/* What may fail, by contract. */
enum machine_fault {
    MACHINE_FAULT_FREEZE,
    MACHINE_FAULT_DISCARD,
    MACHINE_FAULT_DESTINATION,
    MACHINE_FAULT_LEND,
    MACHINE_FAULT_MAP,
    MACHINE_FAULT_COUNT
};

struct machine_object {
    pthread_mutex_t lock;
    bool live, frozen, allocating;
    enum cma_kind kind;
    cma_pfn_t pfn;
    uint64_t stamp;
};

struct machine_config {
    uint32_t npages; /* in all */
    struct {
        uint32_t first, npages;
    } areas[MACHINE_AREAS_MAX];
    uint32_t nareas;
    uint32_t nobjects;
    uint32_t limited_npages;  /* not 0: the second mover never refuses, and its data must lie within
                               * the first so many pages */
    uint32_t refusal_percent; /* of the second mover; the first never refuses */
    bool lends;               /* there is a lend operation, as a host has one */
    uint32_t ncaches;         /* up to MACHINE_CACHES_MAX; threads change among them */
    bool no_index;
    uint32_t lanes, lane_npages, block_order; /* as the table's; a block_order of 0 is 6 */
    uint32_t zone_npages;                     /* not 0: the first so many pages are a zone */
    uint32_t nslots;                          /* not 0: guarantees are possible */
    bool linear; /* the CPU has an address for every page, and caches that devices don't see */
};

/* What this thread has done through the port and in movers, counted there. */
struct machine_work {
    uint64_t copied, dropped; /* pages */
    uint64_t flushes, attr_calls;
    uint64_t zeroed, cleaned, invalidated, attributes; /* pages */
};
extern _Thread_local struct machine_work machine_work;

struct machine {
    struct cma_port port;
    cma_pfn_t base;
    uint32_t npages;
    uint64_t (*memory)[MACHINE_WORDS];
    struct cma_map map;
    struct cma_range map_memory[2], map_reserved[8];
    struct cma_zone zones[2];
    struct cma_frames table;
    struct cma_guarantees guarantees;
    struct cma_slot *slots; /* NULL: no guarantees */
    struct cma_pages pages;
    struct cma_pages_cache caches[MACHINE_CACHES_MAX];
    struct cma_pages_ops ops; /* those of `pages`, which can be made to fail */
    void *storage;
    struct cma_area areas[MACHINE_AREAS_MAX];
    struct cma_lender lenders[MACHINE_AREAS_MAX];
    uint32_t nareas;
    struct cma_mover movers[2]; /* ctx: the machine */
    uint32_t numbers[2];
    uint32_t refusal_percent;
    struct machine_object *objects; /* cookie: index + 1; odd ones are the second mover's */
    uint32_t nobjects;
    pthread_mutex_t wait_lock;
    pthread_cond_t wait_changed;
    /* Without threads: the fault_nth call from now fails, with fault_sticky all later ones too. */
    uint64_t fault_nth[MACHINE_FAULT_COUNT];
    bool fault_sticky;
    uint64_t faults;                  /* that were made */
    uint32_t mapped;                  /* mappings that map made and unmap has not ended */
    uint32_t moved, dropped, refused; /* atomic: callbacks that ended so */
    uint32_t stuck; /* atomic: writers that had to wait, for their page had nowhere to go */
};

void machine_make(struct machine *machine, const struct machine_config *config);
void machine_end(struct machine *machine);
/* All structures are sound, all objects' data is right; other threads are gone. */
void machine_check(struct machine *machine);

uint64_t machine_random(uint64_t *state);
void machine_fill(struct machine *machine, cma_pfn_t pfn, uint64_t stamp);
bool machine_holds(struct machine *machine, cma_pfn_t pfn, uint64_t stamp);

/* One operation of a holder of pages. Each returns false when there was nothing to do. Where a
 * page has to leave its slot first, it is moved out, and then it is tried again. */
bool machine_object_alloc(struct machine *machine, uint32_t index, enum cma_kind kind,
                          uint64_t stamp);
bool machine_object_free(struct machine *machine, uint32_t index);
bool machine_object_rewrite(struct machine *machine, uint32_t index, uint64_t stamp);
bool machine_object_keep(struct machine *machine, uint32_t index, bool keep);
bool machine_object_ref(struct machine *machine, uint32_t index);
bool machine_object_pin(struct machine *machine, uint32_t index);

void machine_fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
#define MACHINE_REQUIRE(condition, ...) \
    do {                                \
        if (!(condition))               \
            machine_fail(__VA_ARGS__);  \
    } while (0)

#endif
