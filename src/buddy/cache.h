/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cache.h - what the page allocator and its processors' caches ask of each other
 *
 * The allocator goes through pointers, that cma_pages_add_caches sets: a program that has no caches
 * has none of their code. All are called without a lock.
 */
#ifndef CMA_BUDDY_CACHE_H
#define CMA_BUDDY_CACHE_H

#include <cma/pages.h>

struct cma_pages_cache_ops {
    /* cma_pages_alloc and cma_pages_free: what caches can't serve goes the long way. */
    int (*alloc)(struct cma_pages *pages, const struct cma_pages_request *request, cma_pfn_t *pfn,
                 struct cma_refusal *refusal);
    int (*free)(struct cma_pages *pages, cma_pfn_t pfn, uint64_t npages, uint32_t owner);
    /* Makes all that is in caches idle, and returns how much it was. */
    uint64_t (*drain)(struct cma_pages *pages);
    /* Frames up to `last` that are in caches. The table's lock may be held. */
    uint64_t (*count)(const struct cma_pages *pages, cma_pfn_t last);
    /* Requests that caches have served. */
    uint64_t (*served)(const struct cma_pages *pages);
};

/* The long way, through the zones' lock. */
int cma__pages_alloc(struct cma_pages *pages, const struct cma_pages_request *request,
                     cma_pfn_t *pfn, struct cma_refusal *refusal);
int cma__pages_free(struct cma_pages *pages, cma_pfn_t pfn, uint64_t npages, uint32_t owner);

#endif
