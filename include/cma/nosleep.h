/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nosleep.h - coherent memory for callers that may not sleep (src/dma)
 *
 * Making memory coherent flushes TLBs and may copy pages, which interrupt handlers can't wait for.
 * So some of it is made ahead: a pool of uncached pages below a limit. Requests with
 * CMA_COHERENT_NOSLEEP are served from it and from what is the device's own (exclusive.h), nothing
 * else. Linux guesses its pool by a device's zone and finds out later; here each pool says what
 * limit its memory has, a device gets the first pool whose memory it reaches, and if that is dry
 * the next.
 *
 * It is grown ahead, by who may sleep: when `low` is called, in any context, wake a thread that
 * calls cma_nosleep_grow. What is too much goes back with cma_nosleep_trim.
 */
#ifndef CMA_NOSLEEP_H
#define CMA_NOSLEEP_H

#include <cma/dma.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CMA_NOSLEEP_CHUNKS_MAX 32

struct cma_nosleep_config {
    const char *name;       /* lives as long as the pool */
    uint32_t owner;         /* tag of its memory */
    struct cma_area *area;  /* chunks are from there; NULL: from the page allocator only */
    cma_paddr_t paddr_last; /* no byte above */
    uint64_t
        chunk_nbytes;     /* taken at once; a multiple of the page size; no request can be longer */
    uint32_t nchunks_max; /* up to CMA_NOSLEEP_CHUNKS_MAX */
    uint64_t low_nbytes;  /* less is idle than this: `low` is called, once until it was grown */
    void (*low)(void *ctx,
                uint64_t idle_nbytes); /* any context, no lock held; NULL: nobody asked */
    void *ctx;
};

struct cma_nosleep_chunk {
    /* private */
    cma_pfn_t pfn;
    uint8_t *vaddr;
    uint32_t *map;   /* base/runmap.h */
    uint32_t source; /* enum cma_source; 0: not there */
    uint32_t mapped, used_npages;
};

struct cma_nosleep {
    /* private */
    const struct cma_backend_ops *ops;
    struct cma_nosleep *next;
    struct cma_dma *dma;
    struct cma_nosleep_config config;
    struct cma_nosleep_chunk chunks[CMA_NOSLEEP_CHUNKS_MAX];
    struct cma_lock lock;
    uint32_t npages, used_npages, most_used_npages;
    uint32_t nrefused; /* atomic */
    bool warned;
};

struct cma_nosleep_stats {
    uint64_t nbytes, used_nbytes, most_used_nbytes; /* the last: high-water mark */
    uint32_t nrefused;                              /* wraps at 2^32 */
};

/* Bytes of storage, aligned to 4; 0: malformed. */
uint64_t cma_nosleep_size(const struct cma_port *port, const struct cma_nosleep_config *config);
/* Makes an empty pool behind those that `dma` has. Returns 0, CMA_EINVAL, CMA_ENOMEM (storage). One
 * thread, before devices allocate. */
CMA_MUST_CHECK int cma_nosleep_init(struct cma_nosleep *pool, struct cma_dma *dma,
                                    const struct cma_nosleep_config *config, void *storage,
                                    uint64_t nbytes);
/* Takes chunks until `idle_nbytes` are idle. Returns 0, CMA_ENOMEM with CMA_REASON_TOO_LARGE
 * (nchunks_max), or what the source said; what was taken stays. May sleep. */
CMA_MUST_CHECK int cma_nosleep_grow(struct cma_nosleep *pool, uint64_t idle_nbytes,
                                    struct cma_refusal *refusal);
/* Gives idle chunks back while at least `idle_nbytes` stay idle. Returns how many bytes. May sleep.
 */
uint64_t cma_nosleep_trim(struct cma_nosleep *pool, uint64_t idle_nbytes);
void cma_nosleep_stats(struct cma_nosleep *pool, struct cma_nosleep_stats *stats);
/* Ends it. 0, or CMA_EBUSY (buffers are out). May sleep; no allocation meanwhile. */
CMA_MUST_CHECK int cma_nosleep_destroy(struct cma_nosleep *pool);

#ifdef __cplusplus
}
#endif
#endif
