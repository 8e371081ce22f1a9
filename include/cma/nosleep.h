/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * nosleep.h - coherent memory for callers that may not sleep (src/dma)
 *
 * Making memory coherent flushes TLBs and may copy pages, which interrupt handlers can't wait for.
 * So some of it is made ahead: a pool of uncached pages below a limit. Requests with
 * CMA_COHERENT_NOSLEEP are served from it and from what is the device's own (exclusive.h), nothing
 * else. Linux guesses its pool by a device's zone and finds out later; here each pool says what
 * limit its memory has, and each piece of it (a chunk) is judged on its last byte under the
 * device's coherent mask before anything is taken: a device gets the first chunk that it reaches,
 * in the order in which pools were made, and if that is full the next.
 *
 * It is grown ahead, by who may sleep: when `low` is called, in any context, wake a thread that
 * calls cma_nosleep_grow. What is too much goes back with cma_nosleep_trim.
 *
 * Lengths are exact to the page. What is handed out is zeroed then, through the mapping that it
 * has, to the end of its last page. CMA_COHERENT_NO_MAPPING can't be had from a pool (CMA_EINVAL);
 * memory for CMA_COHERENT_WRITE_COMBINE is uncached like the rest. (A device that is restricted to
 * its bounce pool is never served from here: dma.h.)
 *
 * Any number of threads may allocate, free, grow and trim at the same time; the pool's lock is not
 * held while chunks are taken or given back.
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
    uint32_t owner;         /* tag of its memory; not 0 */
    struct cma_area *area;  /* chunks are from there, then from the page allocator; NULL: from the
                             * default area first */
    cma_paddr_t paddr_last; /* no byte above; not 0 */
    uint64_t
        chunk_nbytes;     /* taken at once; a multiple of the page size; no request can be longer */
    uint32_t nchunks_max; /* 1 to CMA_NOSLEEP_CHUNKS_MAX */
    /* Less is idle than this: `low` is called, by who allocates, once until cma_nosleep_grow has
     * been called. */
    uint64_t low_nbytes;
    /* Any context, no lock held; NULL: nobody asked. */
    void (*low)(void *ctx, uint64_t idle_nbytes);
    void *ctx;
};

struct cma_nosleep_chunk {
    /* private */
    uint32_t state;             /* enum nosleep_state; under the lock */
    uint32_t used_npages;       /* under the lock */
    struct cma_coherent buffer; /* all of it */
    uint32_t *map;              /* base/runmap.h; under the lock */
    uint32_t *owners;           /* by page, where a run begins; under the lock */
};

struct cma_nosleep {
    /* private */
    const struct cma_backend_ops *ops;
    struct cma_nosleep *next;
    struct cma_dma *dma;
    struct cma_nosleep_config config;
    struct cma_device device; /* on whose behalf chunks are taken: reaches paddr_last, snoops not */
    uint32_t chunk_npages;
    struct cma_nosleep_chunk chunks[CMA_NOSLEEP_CHUNKS_MAX];
    struct cma_lock lock;
    uint32_t npages, used_npages, most_used_npages; /* under the lock */
    uint32_t nrefused;                              /* under the lock */
    bool warned;                                    /* under the lock */
};

struct cma_nosleep_stats {
    uint64_t nbytes, used_nbytes, most_used_nbytes; /* the last: high-water mark */
    uint64_t free_run_nbytes;                       /* the longest buffer that would fit now */
    uint32_t nrefused; /* requests of devices in reach that found nothing; wraps at 2^32 */
};

/* Bytes of storage, aligned to 4, about 4.3 a page; 0: malformed. */
uint64_t cma_nosleep_size(const struct cma_port *port, const struct cma_nosleep_config *config);
/* Makes an empty pool behind those that `dma` has. Returns 0, CMA_EINVAL, CMA_ENOMEM (storage). One
 * thread, before devices allocate. */
CMA_MUST_CHECK int cma_nosleep_init(struct cma_nosleep *pool, struct cma_dma *dma,
                                    const struct cma_nosleep_config *config, void *storage,
                                    uint64_t nbytes);
/* Takes chunks until `idle_nbytes` are idle. Returns 0, CMA_ENOMEM with CMA_REASON_TOO_LARGE
 * (nchunks_max), CMA_EAGAIN (other threads are just adding or giving back the last chunks there are
 * records for), or what the source said; what was taken stays. Threads that grow at once may take a
 * chunk more than needed. May sleep. */
CMA_MUST_CHECK int cma_nosleep_grow(struct cma_nosleep *pool, uint64_t idle_nbytes,
                                    struct cma_refusal *refusal);
/* Gives idle chunks back while at least `idle_nbytes` stay idle. Returns how many bytes. May sleep.
 */
uint64_t cma_nosleep_trim(struct cma_nosleep *pool, uint64_t idle_nbytes);
void cma_nosleep_stats(struct cma_nosleep *pool, struct cma_nosleep_stats *stats);
/* Lists buffers: the first at or after page *page of the pool; sets *page to go on. 0 and where it
 * is, how long, and whose, or CMA_ENOENT. */
CMA_MUST_CHECK int cma_nosleep_next(struct cma_nosleep *pool, uint64_t *page, cma_paddr_t *paddr,
                                    uint64_t *nbytes, uint32_t *owner);
/* Do its counts and maps agree? No call under way. */
bool cma_nosleep_check(struct cma_nosleep *pool);
/* Ends it. 0, CMA_EBUSY (buffers are out, or another thread is growing or trimming), or what the
 * source says when a chunk can't go back. May sleep; no allocation meanwhile. */
CMA_MUST_CHECK int cma_nosleep_destroy(struct cma_nosleep *pool);

#ifdef __cplusplus
}
#endif
#endif
