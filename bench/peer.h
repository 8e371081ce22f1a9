/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * peer.h - the one interface behind which every allocator under test stands
 *
 * Each is a shared object that exports peer_get: libcma, Linux's unmodified cma.c in a shim, malloc
 * libraries, yardsticks written for this harness. The driver holds no kernel code and only dlopens
 * them. A handle is the byte offset in the area (PEER_AREA, PEER_WORLD without PEER_HEAP), so that
 * the driver can check overlap; otherwise it is whatever the peer likes.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In a loop that waits for a lock. */
static inline void peer_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#define PEER_FAIL UINT64_MAX
#define PEER_PAGE_SHIFT 12
#define PEER_PAGE_NBYTES 4096u

#define PEER_AREA (1u << 0)      /* pages of one contiguous area */
#define PEER_WORLD (1u << 1)     /* an area with movable and pinned pages in it: config->world */
#define PEER_PAGES (1u << 2)     /* single pages of ordinary memory */
#define PEER_HEAP (1u << 3)      /* a general heap: handles are addresses, memory is real */
#define PEER_SPLIT (1u << 4)     /* release may give back a part of a buffer */
#define PEER_MANY (1u << 5)      /* several allocators at a time */
#define PEER_TOUCH (1u << 6)     /* config->touch makes a difference */
#define PEER_POOL (1u << 8)      /* items of one size, for a device: get and put */
#define PEER_COHERENT (1u << 10) /* pages of a device's own memory; the memory is not there */
#define PEER_LENT (1u << 7)      /* belongs to the cells with touch only, and where it is named */

/* A bounce pool: alloc maps, release unmaps; with data only if config->touch. */
#define PEER_BOUNCE (1u << 9)

/* What a page of a world is in, one byte each. */
enum peer_page { PAGE_FREE = 0, PAGE_MOVABLE, PAGE_PINNED, PAGE_OWNED };

/* An area whose idle pages others have borrowed. The driver owns it; `ctx` is the driver's. */
struct peer_world {
    uint64_t npages;
    uint8_t *state;
    uint8_t *memory; /* the area's bytes */
    uint8_t *out;    /* where moved pages go: npages pages, used in a ring */
    uint64_t out_next;
    uint64_t migrated, wasted, busy; /* counted by acquire; migrated also by moved */
    /* Not NULL: every page that is copied is noted here, with room for npages. */
    struct peer_copy {
        uint32_t from, to; /* indices in memory and out */
    } * log;
    uint64_t nlog;
    /*
     * Takes [index, index + npages) as Linux's alloc_contig_range does: isolates 32 pages, moves
     * what is movable, and answers -16 at the first batch with a pinned page; what was moved stays
     * moved. 0 when the run is the peer's.
     */
    int (*acquire)(struct peer_world *world, uint64_t index, uint64_t npages);
    void (*release)(struct peer_world *world, uint64_t index, uint64_t npages);
    /* For peers that copy themselves: the page has left, or is the peer's now. */
    void (*moved)(struct peer_world *world, uint64_t index);
    void (*own)(struct peer_world *world, uint64_t index, uint64_t npages);
};

struct peer_config {
    uint64_t area_nbytes;
    uint32_t nthreads;
    bool touch; /* Linux: write each struct page of a buffer, the least that a real success costs */
    struct peer_world *world;
    uint64_t item_nbytes; /* PEER_POOL: also their alignment */
    uint32_t nitems;      /* PEER_POOL: how many are live at most, to be taken ahead */
};

/* An item of a pool, as a driver would keep it. */
struct peer_item {
    void *vaddr;
    uint64_t daddr;
    uint64_t more; /* the peer's */
};

struct peer {
    const char *name;
    uint32_t flags;
    uint64_t max_nbytes; /* of an area; 0: any */
    void *(*create)(const struct peer_config *config);
    uint64_t (*alloc)(void *self, uint64_t nbytes, uint64_t align_nbytes);
    void (*release)(void *self, uint64_t handle, uint64_t nbytes);
    uint64_t (*metadata_nbytes)(void *self);
    void (*destroy)(void *self);
    /*
     * PEER_WORLD, may be NULL: the driver is about to set a page from one state to another (never
     * to or from OWNED). Returns the state that it has from now on: FREE where PINNED was asked
     * says that the pin has moved the page out of the area.
     */
    enum peer_page (*set_page)(void *self, uint64_t index, enum peer_page from, enum peer_page to);
    /* With set_page: copies so far of claims that then gave their window up. */
    uint64_t (*wasted)(void *self);
    /* PEER_COHERENT: bytes that nobody else can have, whatever was asked for. */
    uint64_t (*used_nbytes)(void *self);
    /* PEER_POOL, instead of alloc and release. */
    bool (*get)(void *self, struct peer_item *item);
    void (*put)(void *self, const struct peer_item *item);
};

typedef const struct peer *(*peer_get_function)(uint32_t index);
__attribute__((visibility("default"))) const struct peer *peer_get(uint32_t index);

#endif
