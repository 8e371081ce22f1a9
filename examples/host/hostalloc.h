/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostalloc.h - a page allocator as an operating system has one: it knows nothing of libcma
 *
 * Free pages are kept in lists by power of two, one set a zone, under one mutex. Zone 0 is memory
 * that old devices reach, zone 1 the rest. Zone 2 is empty at first: memory that comes and goes
 * while the system runs (hot-plug), and so is given to movable allocations only. A reserve keeps
 * pages of a zone and of those below it free for callers in need.
 */
#ifndef HOSTALLOC_H
#define HOSTALLOC_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define HOST_ZONE_LOW 0
#define HOST_ZONE_NORMAL 1
#define HOST_ZONE_PLUGGED 2
#define HOST_ZONES 3
#define HOST_ORDERS 11
#define HOST_NONE UINT64_MAX

/* Flags of host_alloc. */
#define HOST_MOVABLE (1u << 0) /* its holder can move it: may come from hot-plugged memory */
#define HOST_IN_NEED (1u << 1) /* may use the reserves, and never hot-plugged memory */

enum host_state { HOST_ABSENT, HOST_FREE, HOST_FREE_TAIL, HOST_USED };

struct host_page {
    struct host_page *next, *prev;
    uint8_t state; /* enum host_state */
    uint8_t zone;
    uint8_t order; /* of the free block or allocation that begins here */
    uint32_t tag;  /* the owner's */
};

struct host_zone {
    struct host_page *free[HOST_ORDERS];
    uint64_t end; /* the zone's pages lie below */
    uint64_t nfree, reserve;
};

struct host {
    pthread_mutex_t lock;
    uint64_t first, npages; /* page numbers that may ever be memory */
    struct host_page *pages;
    struct host_zone zones[HOST_ZONES];
    uint64_t allocs, failures;
};

/* All pages are absent. Pages below `low_end` are of zone 0. `pages` has npages elements. */
void host_init(struct host *host, uint64_t first, uint64_t npages, uint64_t low_end,
               struct host_page *pages);

/* Memory comes: pages of the range that are absent become free. Those that are there stay. */
void host_plug(struct host *host, uint64_t pfn, uint64_t npages, bool movable_only);
/* Free pages of the range go. Pages in use stay in use. */
void host_unplug(struct host *host, uint64_t pfn, uint64_t npages);
/* A page in use is no memory any more. */
void host_forget(struct host *host, uint64_t pfn);

/* 1 << order pages, all below `end`, aligned to their number; HOST_NONE when there are none. */
uint64_t host_alloc(struct host *host, uint32_t order, uint32_t flags, uint64_t end, uint32_t tag);
/* False when no allocation of this order and tag begins there. */
bool host_free(struct host *host, uint64_t pfn, uint32_t order, uint32_t tag);
/* The order of the allocation that begins there. */
uint32_t host_order(const struct host *host, uint64_t pfn);

/* Free pages in zones that lie below `end` as a whole, hot-plugged memory left out. */
uint64_t host_free_npages(struct host *host, uint64_t end);
/* Zones 0 to `zone` keep so many pages free from now on; false when fewer are. */
bool host_reserve(struct host *host, uint32_t zone, uint64_t npages);
/* What the page is now. */
enum host_state host_state(struct host *host, uint64_t pfn);
/* Lists, counts and page states agree. Others must be quiet. */
bool host_check(struct host *host);

#endif
