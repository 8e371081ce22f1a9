/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pages.h - the page allocator that comes along (src/buddy)
 *
 * For systems that have none. It hands out the frames of the table's ordinary spans, and, to
 * movable and droppable requests only, the idle frames of lent area blocks. Free memory is the
 * table's idle bits; a bit tree finds a block that has some, so that the cost does not grow with
 * memory, and two free neighbours are merged by being neighbours. An operating system that has a
 * page allocator leaves this folder out and fills a struct cma_pages_ops itself (frame.h).
 *
 * Where a request goes: zones from the highest that its limit allows downwards. Unmovable requests
 * take the lowest frames of a zone, movable ones the highest, so that they do not mix. Droppable
 * data goes to lent area blocks first (it costs a claim no copy), movable data last. When nothing
 * in reach is left, the registered lenders (areas) are asked for another block: lending is on
 * demand. No run crosses the end of a zone. A mover's own address limit holds besides the
 * request's.
 *
 * Where single pages come and go fast, the caller may add a cache a processor
 * (cma_pages_add_caches): frames that are neither idle nor anybody's, one atomic exchange away.
 * What a cache holds is given back before anything is refused, so it changes which frame a request
 * gets, and nothing else.
 */
#ifndef CMA_PAGES_H
#define CMA_PAGES_H

#include <cma/frame.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Whose own cache line a processor's cache begins with. */
#ifdef __cplusplus
#define CMA__CACHE_LINE alignas(64)
#else
#define CMA__CACHE_LINE _Alignas(64)
#endif

#define CMA_PAGES_LINEAR (1u << 0)  /* must have a CPU address without mapping (no highmem) */
#define CMA_PAGES_NO_LENT (1u << 1) /* never from an area */
#define CMA_PAGES_NO_LEND (1u << 2) /* from lent blocks, but lend no further one for it */
/* Movable and droppable: comes with a short reference, so that nobody moves the frame before its
 * mover knows it; the caller drops it with cma_frame_unref. */
#define CMA_PAGES_REF (1u << 3)

struct cma_pages_request {
    uint64_t npages;       /* 1 up; movable and droppable requests: 1 */
    uint64_t align_npages; /* power of two; 0: 1 */
    struct cma_holder holder;
    cma_paddr_t paddr_first;  /* all bytes lie in [paddr_first, paddr_last] */
    cma_paddr_t paddr_last;   /* 0: no limit */
    uint64_t boundary_nbytes; /* the run crosses no multiple of it; power of two; 0: none */
    uint32_t flags;           /* CMA_PAGES_* */
};

/* Somebody who can lend another block of frames when movable or droppable requests want more. */
struct cma_lender {
    struct cma_lender *next; /* private */
    void *ctx;
    /* Lends one more block, for `kind`. Returns true if it did. Called without locks. */
    bool (*lend)(void *ctx, enum cma_kind kind);
};

struct cma_pages_stats {
    uint64_t zone_idle_npages[CMA_ZONES_MAX];
    uint64_t lent_idle_npages;  /* idle frames of lent blocks */
    uint64_t cached_npages;     /* in the processors' caches: not among the idle ones above */
    uint64_t requests, refused; /* those that caches serve are counted without a lock: one may be
                                 * missed when its thread changes the processor meanwhile */
    uint64_t demand;            /* movable and droppable requests that were refused */
    uint64_t reclaimed;         /* droppable frames discarded to make room for destinations */
};

/*
 * One processor's cache: single frames of the highest zone that has ordinary memory. Unmovable and
 * movable ones lie on stacks of their own, for they come from opposite ends of the zone. The caller
 * gives the storage (one for each processor) and never looks inside.
 */
#define CMA_PAGES_CACHE_SLOTS 62
struct cma_pages_stack {
    /* private */
    uint32_t top;                         /* atomic: where to look first, a hint */
    uint32_t served;                      /* atomic: requests since they were counted last */
    uint32_t slot[CMA_PAGES_CACHE_SLOTS]; /* atomic: number of a record plus 1; 0: empty */
};
struct cma_pages_cache {
    CMA__CACHE_LINE struct cma_pages_stack stacks[2]; /* private */
};

struct cma_pages_cache_ops; /* private: src/buddy/cache.h */

struct cma_pages {
    /* private */
    struct cma_frames *frames;
    struct cma_lender *lenders;
    struct cma_pages_cache *caches; /* NULL: none */
    const struct cma_pages_cache_ops *cache_ops;
    uint32_t ncaches;
    uint32_t cache_zone;                  /* whose frames they hold */
    uint32_t cache_shut;                  /* atomic: destinations have gone below a floor */
    uint32_t cache_span;                  /* the largest span there: where to look first */
    cma_paddr_t cache_paddr_last;         /* who reaches this reaches all of them */
    uint64_t floor_npages[CMA_ZONES_MAX]; /* frames up to the end of zone i that stay free */
    struct cma_pages_stats stats;
    struct cma_pages_ops ops;
};

/* Starts the allocator over a table that covers ordinary memory, and becomes the table's ops.
 * Returns 0 or CMA_EINVAL (the table covers areas only). One thread, at boot. */
CMA_MUST_CHECK int cma_pages_init(struct cma_pages *pages, struct cma_frames *frames);

/* The operations that areas and devices use. Lives in `pages`. */
const struct cma_pages_ops *cma_pages_ops(const struct cma_pages *pages);

/* At boot, one thread. The struct must live as long as `pages`. */
void cma_pages_add_lender(struct cma_pages *pages, struct cma_lender *lender);

/*
 * Allocates frames; contents are what they were. Returns 0 and *pfn, or CMA_EINVAL (malformed),
 * CMA_ERANGE (no zone in reach), CMA_ENOMEM (nothing free in reach, or a floor holds it back:
 * refusal->reason tells), CMA_ENOSPC (enough is free, but in no long enough run).
 * Sleeps: no (lenders do not sleep).
 */
CMA_MUST_CHECK int cma_pages_alloc(struct cma_pages *pages, const struct cma_pages_request *request,
                                   cma_pfn_t *pfn, struct cma_refusal *refusal);

/*
 * Frees what one cma_pages_alloc gave. `npages` and `owner` (the cookie of the request) must match.
 * Returns 0, CMA_EAGAIN (being moved: look your handle up again), CMA_EBUSY (a short reference is
 * on it: try again when that is dropped), CMA_EBADF (not allocated, pinned),
 * CMA_EINVAL (other length, or inside an allocation), CMA_EPERM (other owner), CMA_ENOENT.
 * Sleeps: no.
 */
CMA_MUST_CHECK int cma_pages_free(struct cma_pages *pages, cma_pfn_t pfn, uint64_t npages,
                                  uint32_t owner);

/*
 * Gives each of the port's processors a cache. Unmovable and movable requests for one page that ask
 * for no limit, alignment or boundary take from the cache of the processor they run on, and frames
 * of such holders go back to the cache of the processor that frees them; all others go the long
 * way, droppable ones too. A processor with a number from ncpus up uses one of the others' caches.
 * Caches need no lock: they work from interrupt handlers, and when a thread changes its processor
 * in between. They are filled and emptied half a cache at a time under the zone's lock, and never
 * below a floor; where destinations had to go below one, they stay closed until it holds again.
 * Lent frames are never in them. `caches` must live as long as `pages`: ncpus * 512 bytes.
 *
 * Returns 0 or CMA_EINVAL (NULL, 0, not aligned to 64, there are caches already, or there is no
 * ordinary memory). One thread, at boot. Sleeps: no.
 */
CMA_MUST_CHECK int cma_pages_add_caches(struct cma_pages *pages, struct cma_pages_cache *caches,
                                        uint32_t ncpus);

/* Makes what all caches hold idle again, and returns how many frames these were: before memory is
 * looked at as a whole, or a processor goes away. Any thread. Sleeps: no. */
uint64_t cma_pages_drain(struct cma_pages *pages);

void cma_pages_stats(struct cma_pages *pages, struct cma_pages_stats *stats);

#ifdef __cplusplus
}
#endif
#endif
