/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.h - many small pieces of coherent memory, all of one size (src/dma)
 *
 * For descriptors, commands and rings of a device. What a pool hands out is an *item*: so many
 * bytes with an alignment, that cross no boundary. Items may be larger than a page. They are cut
 * from chunks that cma_dma_alloc_coherent gives the device (or cma_dma_alloc_contiguous, for cached
 * ones: CMA_DMA_POOL_CACHED), so from what it was promised, if that fits a chunk; a pool keeps its
 * chunks until it is destroyed. To be served by a promise, a chunk must be no longer and no more
 * aligned than that is: cma_dma_pool_chunk tells what a pool asks.
 *
 * Nothing that the pool needs to know is written into items, for the device may write there at any
 * time, even after an item was freed by mistake; and where the device does not snoop, each look at
 * an item's bytes would go to memory. Lists and states are in the caller's storage, 4 bytes an item
 * and 4 bytes a number (config).
 *
 * An allocation takes what is there and never waits: it works in interrupt handlers. Growing is a
 * call of its own, to be made ahead; only who may sleep can ask an allocation to do it. What is
 * freed is checked: an item has a number and a stamp that changes with each allocation, so that
 * foreign addresses, addresses inside items, and second frees are refused, even after the item went
 * to somebody else in between and when two threads free it at the same time. (An item's stamps
 * repeat after 4,194,304 allocations of it; those of neighbours begin far apart.)
 *
 * The caller owns all state: cma_dma_pool_size, then cma_dma_pool_init with storage. Except where a
 * call says otherwise, any number of threads may call, in any context, and nothing sleeps.
 */
#ifndef CMA_POOL_H
#define CMA_POOL_H

#include <cma/dma.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Free items are filled with a pattern, and it is looked at when they are handed out: who writes to
 * an item that it has freed is noticed (`damaged` in the statistics). Handed out, they are filled
 * with another one, unless zeroed. For checked builds: it costs two passes over each item.
 */
#define CMA_DMA_POOL_POISON (1u << 0)

#define CMA_DMA_POOL_POISON_FREE 0xa7u
#define CMA_DMA_POOL_POISON_NEW 0xa9u

/*
 * Chunks are contiguous memory that is cached, not coherent (cma_dma_alloc_contiguous). An item is
 * the device's when it is handed out, and is synced by its daddr (cma_dma_sync_for_cpu and
 * _for_device, stream.h). It may be freed by whoever it is with: no line of it is dirty any more
 * when it is handed out again. Where the device does not snoop, items are as long as whole cache
 * lines, and begin with one: no sync of one touches another.
 */
#define CMA_DMA_POOL_CACHED (1u << 1)

/* How bytes of items are written and looked at, for POISON on a machine where a vaddr is no pointer
 * (ports/sim). What is called is as cma_dma_pool_alloc and _free are: any context, no lock. */
struct cma_dma_pool_bytes {
    void *ctx;
    void (*fill)(void *ctx, void *vaddr, uint8_t byte, uint64_t nbytes);
    bool (*is_filled)(void *ctx, const void *vaddr, uint8_t byte, uint64_t nbytes);
};

struct cma_dma_pool_config {
    const char *name;         /* lives as long as the pool */
    uint64_t item_nbytes;     /* 1 up */
    uint64_t align_nbytes;    /* of each item's daddr; power of two; 0: none */
    uint64_t boundary_nbytes; /* that no item crosses, of daddr; power of two, no shorter than an
                               * item; 0: none. An item may end on it */
    uint64_t chunk_nbytes;    /* taken at once, rounded up to pages; under 2 GiB; 0: as an item */
    uint32_t nitems_max;      /* 1 up; rounded up to whole chunks */
    uint32_t coherent_flags;  /* of chunks: as in struct cma_coherent_request */
    uint32_t flags;           /* CMA_DMA_POOL_POISON, CMA_DMA_POOL_CACHED */
    enum cma_direction direction;           /* of cached items; else not looked at */
    const struct cma_dma_pool_bytes *bytes; /* NULL: a vaddr is a pointer; lives as long */
};

/* An item. The caller keeps it until it is freed. */
struct cma_dma_item {
    void *vaddr;       /* for the CPU */
    cma_daddr_t daddr; /* for the device */
    uint32_t number;   /* by which the pool knows it: small, but not dense */
    uint32_t stamp;    /* which of its allocations this is, and who handed it out */
};

/* The same in 8 bytes, without the addresses: how lanes hand items out. Never 0. */
CMA_MUST_CHECK static inline uint64_t cma_dma_pool_token(const struct cma_dma_item *item)
{
    return (uint64_t)item->stamp << 32 | item->number;
}

/*
 * One processor's cache. The caller gives the storage (one for each processor) and never looks
 * inside.
 */
#define CMA_DMA_POOL_CACHE_SLOTS 127
struct cma_dma_pool_cache {
    CMA__CACHE_LINE uint32_t top;            /* private, atomic: slots in use, a hint */
    uint32_t slot[CMA_DMA_POOL_CACHE_SLOTS]; /* private, atomic: numbers, also hints */
};

/* private: where the items of a row of numbers lie: at number * stride_nbytes from here. (So these
 * are not in the row, but before it, and perhaps below 0.) */
struct cma_dma_pool_row {
    cma_daddr_t daddr;
    uintptr_t vaddr;
};

/* Fills in where an item lies: all but its stamp. */
static inline void cma__dma_pool_place(const struct cma_dma_pool_row *row, uint32_t stride_nbytes,
                                       uint32_t number, struct cma_dma_item *item)
{
    uint64_t offset = (uint64_t)number * stride_nbytes;

    item->vaddr = (void *)(row->vaddr + (uintptr_t)offset);
    item->daddr = row->daddr + offset;
    item->number = number;
}

struct cma_dma_pool_chunk; /* private: src/dma/pool.h */

struct cma_dma_pool {
    /* private. Read by all, written at boot: */
    CMA__CACHE_LINE struct cma_dma_pool_row *rows;
    uint32_t *states; /* atomic, by number */
    struct cma_dma_pool_cache *caches;
    const struct cma_port *port;
    uint32_t ncaches;
    uint32_t row_shift; /* number >> row_shift: its row */
    uint32_t stride_nbytes;
    uint32_t nnumbers;
    uint32_t dressed; /* not 0: bytes or cache lines are dealt with in each call */
    uint32_t row_nitems, last_nitems, row_nbytes;
    uint32_t chunk_nrows, chunk_nitems;
    uint32_t nchunks;
    struct cma_device *device;
    struct cma_dma_pool_config config;
    struct cma_coherent_request request; /* of a chunk */
    struct cma_dma_pool_chunk *chunks;
    uint32_t *order; /* chunks that are in use, by daddr */
    uint32_t *stack; /* numbers of idle items */
    /* Under the lock: */
    CMA__CACHE_LINE struct cma_lock lock;
    uint32_t nstack;
    uint32_t nitems;
    uint32_t norder;
    uint32_t most_out;
    uint32_t scanned; /* atomic: where the next search for a lost item begins */
    uint32_t refused; /* atomic */
    uint32_t damaged; /* atomic */
    uint32_t nlanes;
    uint32_t names[4]; /* a bit for each name of a lane that is in use */
    struct cma_dma_pool_lane *lanes;
};

/*
 * A lane: a cache of items for who is alone with it, one call at a time: a thread, a queue of which
 * the driver has the lock, a handler with interrupts off. (Processors' caches serve anybody.) Its
 * calls use no locked instruction and hand out tokens: they cost a fraction of the others, and so
 * does a table of many live items. What a lane handed out is given back through it, and what it
 * holds idle nobody else gets: it gives that up when it is drained, and in the first free after
 * some allocation was refused.
 */
#define CMA__DMA_POOL_STAMP 1024u   /* private: one allocation further, in a stamp */
#define CMA__DMA_POOL_IDLE 1u       /* private */
#define CMA_DMA_POOL_LANES 127      /* of a pool */
#define CMA_DMA_POOL_LANE_SLOTS 502 /* 4 KiB in all, where pointers have 64 bits */
struct cma_dma_pool_lane {
    /* private. All that the short ways look at is in this line; what follows `limit` there never
     * changes: */
    CMA__CACHE_LINE uint64_t *top; /* of the slots in use, one further */
    uint64_t *floor;               /* no item is to be had the short way at or below */
    uint64_t *limit;               /* atomic: none is taken back the short way at or above */
    uint32_t *states;              /* the pool's, as also: */
    const struct cma_dma_pool_row *rows;
    uint32_t row_shift, stride_nbytes, nnumbers;
    uint32_t tag; /* what the words of its items say beside their stamps */
    struct cma_dma_pool *pool;
    struct cma_dma_pool_lane *next;
    uint32_t drawn;                         /* items that it has of the pool, idle or handed out */
    uint64_t slot[CMA_DMA_POOL_LANE_SLOTS]; /* tokens, as they are handed out next */
};

struct cma_dma_pool_stats {
    uint32_t nitems;   /* there are in all, by what was grown */
    uint32_t live;     /* of these, in callers' hands */
    uint32_t cached;   /* in processors' caches and in lanes */
    uint32_t most_out; /* the high-water mark: most that were live, in caches or in lanes at once */
    uint32_t refused;  /* allocations that found nothing */
    uint32_t damaged;  /* items that were written to after they were freed (POISON) */
};

/*
 * Bytes of storage for a pool of this device: 4 an item, 4 a number, and for each row 16 bytes; a
 * row is a chunk, or a boundary's length of it where items of this length do not divide that. The
 * numbers of a row are a power of two, so up to twice its items. 0 when the config is malformed
 * (what cma_dma_pool_init calls so). Storage is aligned to 8.
 */
uint64_t cma_dma_pool_size(const struct cma_device *device,
                           const struct cma_dma_pool_config *config);

/*
 * Makes an empty pool; it has no items before it is grown. Returns 0, CMA_EINVAL (an item of 0
 * bytes, an alignment or boundary that is no power of two, a boundary or chunk shorter than an
 * item, nitems_max 0, an unknown flag or direction, storage that is not aligned), CMA_EOVERFLOW (a
 * chunk of 2 GiB or more, or more than 2^31 numbers), CMA_ENOMEM (nbytes is less than
 * cma_dma_pool_size). One thread, before others know `pool`.
 */
CMA_MUST_CHECK int cma_dma_pool_init(struct cma_dma_pool *pool, struct cma_device *device,
                                     const struct cma_dma_pool_config *config, void *storage,
                                     uint64_t nbytes);

/* What the pool asks cma_dma_alloc_coherent or _contiguous for, chunk by chunk: a promise that is
 * to serve it has this length, alignment and boundary, or more. */
void cma_dma_pool_chunk(const struct cma_dma_pool *pool, struct cma_coherent_request *request);

/*
 * Gives each of the port's processors a cache, so that most calls take no lock. A processor with a
 * number from ncpus up uses one of the others'. What caches hold is looked for before anything is
 * refused. Where threads or interrupt handlers meet within one cache, an item may end up in no
 * cache: a refusal looks for such among 1,024 numbers, each time further, cma_dma_pool_drain among
 * all. `caches` must live as long as `pool`: ncpus * 512 bytes. Returns 0 or CMA_EINVAL (NULL, 0,
 * not aligned to 64, or there are caches already). One thread, before others know `pool`.
 */
CMA_MUST_CHECK int cma_dma_pool_add_caches(struct cma_dma_pool *pool,
                                           struct cma_dma_pool_cache *caches, uint32_t ncpus);

/*
 * Takes chunks until the pool has at least `nitems` items in all. Returns 0, CMA_ENOMEM with
 * CMA_REASON_TOO_LARGE (that is more than nitems_max in whole chunks), CMA_EAGAIN (other threads
 * are just adding the last chunks there is room for), or as cma_dma_alloc_coherent; chunks that it
 * took before that stay. Threads that grow at once may take a chunk more than needed. May sleep.
 */
CMA_MUST_CHECK int cma_dma_pool_grow(struct cma_dma_pool *pool, uint32_t nitems,
                                     struct cma_refusal *refusal);

/* For cma_dma_pool_alloc. */
#define CMA_DMA_POOL_ZERO                                                                        \
    (1u << 0)                       /* zeroed; else it holds what it held, as chunks come zeroed \
                                     */
#define CMA_DMA_POOL_GROW (1u << 1) /* takes another chunk when there is nothing: may sleep */

/*
 * Hands an item out. Returns 0 and fills *item, CMA_EINVAL (an unknown flag), CMA_ENOMEM with
 * CMA_REASON_NO_MEMORY (nothing is idle), or with CMA_DMA_POOL_GROW as cma_dma_pool_grow.
 */
CMA_MUST_CHECK int cma_dma_pool_alloc(struct cma_dma_pool *pool, uint32_t flags,
                                      struct cma_dma_item *item, struct cma_refusal *refusal);

/*
 * Gives an item back, as it was filled. Returns 0, CMA_ENOENT (its daddr is in no chunk of this
 * pool), CMA_EINVAL (inside an item, or vaddr, daddr and number do not belong together), CMA_EBADF
 * (freed already: also when it is somebody else's by now), CMA_EPERM (a lane handed it out). A call
 * that fails changes nothing.
 */
CMA_MUST_CHECK int cma_dma_pool_free(struct cma_dma_pool *pool, const struct cma_dma_item *item);

/*
 * Makes a lane of a pool. Returns 0, CMA_EINVAL (not aligned to 64) or CMA_ENOSPC (the pool has
 * CMA_DMA_POOL_LANES already). `lane` lives until it is ended.
 */
CMA_MUST_CHECK int cma_dma_pool_lane_init(struct cma_dma_pool_lane *lane,
                                          struct cma_dma_pool *pool);

/* As cma_dma_pool_alloc, for one caller at a time; hands out the item's token. */
CMA_MUST_CHECK int cma__dma_pool_lane_alloc(struct cma_dma_pool_lane *lane, uint32_t flags,
                                            uint64_t *token, struct cma_refusal *refusal);
/*
 * As cma_dma_pool_free, for one caller at a time. Returns 0, CMA_ENOENT (a token of no item of this
 * pool), CMA_EBADF (freed already: also when it is somebody else's by now), CMA_EPERM (it is live,
 * but this lane did not hand it out).
 */
CMA_MUST_CHECK int cma__dma_pool_lane_free(struct cma_dma_pool_lane *lane, uint64_t token);

/* Is there something at hand? Then the next allocation without flags has no error, and takes no
 * lock: so a hot loop can keep the rest apart. */
static inline bool cma_dma_pool_lane_ready(const struct cma_dma_pool_lane *lane)
{
    return lane->top > lane->floor;
}

/* These are inline because they are about as short as a call is. */
CMA_MUST_CHECK static inline int cma_dma_pool_lane_alloc(struct cma_dma_pool_lane *lane,
                                                         uint32_t flags, uint64_t *token,
                                                         struct cma_refusal *refusal)
{
    uint64_t *top = lane->top;
    uint64_t taken;

    if (top <= lane->floor || flags != 0) {
        return cma__dma_pool_lane_alloc(lane, flags, token, refusal);
    }
    taken = top[-1];
    lane->top = top - 1;
    __atomic_store_n(&lane->states[(uint32_t)taken], (uint32_t)(taken >> 32), __ATOMIC_RELEASE);
    *token = taken;
    return 0;
}

CMA_MUST_CHECK static inline int cma_dma_pool_lane_free(struct cma_dma_pool_lane *lane,
                                                        uint64_t token)
{
    uint64_t *top = lane->top;
    uint32_t number = (uint32_t)token, word = (uint32_t)(token >> 32);

    if (number >= lane->nnumbers || top >= __atomic_load_n(&lane->limit, __ATOMIC_RELAXED) ||
        (word ^ lane->tag) % CMA__DMA_POOL_STAMP != 0 ||
        __atomic_load_n(&lane->states[number], __ATOMIC_RELAXED) != word) {
        return cma__dma_pool_lane_free(lane, token);
    }
    *top = token + ((uint64_t)CMA__DMA_POOL_STAMP << 32);
    lane->top = top + 1;
    __atomic_store_n(&lane->states[number],
                     word / CMA__DMA_POOL_STAMP * CMA__DMA_POOL_STAMP + CMA__DMA_POOL_IDLE,
                     __ATOMIC_RELEASE);
    return 0;
}

/* Where a live item of the lane lies. What of *item is not looked at costs nothing. */
static inline void cma_dma_pool_lane_item(const struct cma_dma_pool_lane *lane, uint64_t token,
                                          struct cma_dma_item *item)
{
    uint32_t number = (uint32_t)token;

    cma__dma_pool_place(&lane->rows[number >> lane->row_shift], lane->stride_nbytes, number, item);
    item->stamp = (uint32_t)(token >> 32);
}

/* Gives the pool what the lane holds idle; returns how many items. The lane's user. */
uint32_t cma_dma_pool_lane_drain(struct cma_dma_pool_lane *lane);

/* The same, and ends it. Returns 0, or CMA_EBUSY (items that it handed out are live; nothing has
 * changed then). The lane's user. */
CMA_MUST_CHECK int cma_dma_pool_lane_end(struct cma_dma_pool_lane *lane);

/* The live item that `daddr` lies in, for devices that answer with an address: 0 and *item (that
 * begins at or before daddr), CMA_ENOENT (none of the pool's), CMA_EBADF (it is not live). */
CMA_MUST_CHECK int cma_dma_pool_find(struct cma_dma_pool *pool, cma_daddr_t daddr,
                                     struct cma_dma_item *item);

/* Lists live items: fills *item with the first whose number is *number or more, and sets *number
 * to go on from. 0, or CMA_ENOENT at the end. Begin with 0. */
CMA_MUST_CHECK int cma_dma_pool_next(const struct cma_dma_pool *pool, uint32_t *number,
                                     struct cma_dma_item *item);

/* Takes what caches hold back, and items that got lost between them; returns how many these
 * were. Looks at all numbers. */
uint32_t cma_dma_pool_drain(struct cma_dma_pool *pool);

/* Looks at all numbers. */
void cma_dma_pool_stats(const struct cma_dma_pool *pool, struct cma_dma_pool_stats *stats);

/*
 * Gives all chunks back; the pool is empty then, and may be grown again. Returns 0, CMA_EBUSY
 * (items are live, cma_dma_pool_next lists them, or a call is under way; nothing has changed), or
 * what freeing a chunk answered, when somebody has tampered with a chunk: call again to give
 * back the others. May sleep. Nothing happens when `pool` is NULL or all zero (never
 * made): 0.
 */
CMA_MUST_CHECK int cma_dma_pool_destroy(struct cma_dma_pool *pool);

#ifdef __cplusplus
}
#endif
#endif
