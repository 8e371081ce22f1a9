/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * misuse.h - who uses dma.h, stream.h, pool.h and share.h wrongly, and where (src/dma, on demand)
 *
 * A driver that includes this header besides those, or is compiled with `-include cma/misuse.h`,
 * has each of its calls looked at, and each report names the file and line of the call, and of the
 * mapping that it is about. Nothing of the library knows of it: the calls become macros, each a
 * function of misuse_*.c that looks, makes the real call, and remembers. Who does not include this
 * does not link it; so cma.h leaves it out.
 *
 * Two kinds of things are seen:
 *   - what Linux's dma-debug sees: frees, unmaps and syncs that fit no mapping, or not that one;
 *     maps of memory that is no memory for DMA; overlapping cache lines; mappings never checked or
 *     never ended;
 *   - what it can't: a MISSING sync. Each cache line of each mapping belongs to one side. Accesses
 *     of the CPU (cma_misuse_cpu) and of the device (cma_misuse_device) are told by whoever sees
 *     them: the simulator sees all (ports/sim: sim_watch). An access by the side that does not have
 *     the line, or against the direction, or of a device where it has nothing mapped, is a report:
 *     it says what should have been called and where the mapping was made.
 *
 * It judges by the contract of stream.h, not by what this board does: a sync is missing also where
 * the device snoops. What is harmless and allowed is no report: the CPU may read what is TO_DEVICE;
 * and of a line that was synced in part only, nobody can say who has it.
 *
 * State is the caller's: storage for so many mappings; when that is used up, it counts what it did
 * not see and says so, and reports nothing false.
 *
 * All calls: any thread, any context; nothing sleeps but what the real call does.
 */
#ifndef CMA_MISUSE_H
#define CMA_MISUSE_H

#include <cma/pool.h>
#include <cma/share.h>
#include <cma/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cma_misuse_kind {
    CMA_MISUSE_NONE = 0,
    /* of calls */
    CMA_MISUSE_UNKNOWN,        /* unmap, free or sync of an address where no mapping begins */
    CMA_MISUSE_TWICE,          /* unmapped or freed before; `other` is where */
    CMA_MISUSE_SIZE,           /* another length than it was mapped with */
    CMA_MISUSE_DIRECTION,      /* another direction */
    CMA_MISUSE_DEVICE,         /* another device's */
    CMA_MISUSE_CALL,           /* ended or synced by a call for another kind of mapping */
    CMA_MISUSE_ADDRESS,        /* addresses of it do not belong together */
    CMA_MISUSE_COUNT_OF_LIST,  /* another count of segments, or other segments */
    CMA_MISUSE_SYNC_RANGE,     /* a sync that passes the end of its mapping */
    CMA_MISUSE_SYNC_DIRECTION, /* a direction that is the sync's opposite: for_cpu, as if the device
                                  wrote, of what it only reads; or the reverse */
    CMA_MISUSE_UNCHECKED,      /* a map failed, and its address was used */
    CMA_MISUSE_MEMORY,         /* stack, text, constants, or what is not ordinary memory */
    CMA_MISUSE_MOVABLE,        /* frames that can move away during the transfer */
    CMA_MISUSE_FREE,           /* frames that nobody holds: freed memory */
    CMA_MISUSE_OVERLAP,        /* shares cache lines with another mapping, and one is written */
    CMA_MISUSE_SEGMENT,        /* longer than the device's segments, or across its boundary */
    CMA_MISUSE_LEFT,           /* mapped or allocated when its device went away */
    CMA_MISUSE_FLAGS,          /* unmapped with other flags (but for SKIP_SYNC) */
    /* of accesses */
    CMA_MISUSE_CPU_READS,     /* the CPU reads what the device has: sync_for_cpu or unmap missing */
    CMA_MISUSE_CPU_WRITES,    /* the CPU writes what the device has */
    CMA_MISUSE_DEVICE_READS,  /* the device reads what the CPU has: sync_for_device missing */
    CMA_MISUSE_DEVICE_WRITES, /* the device writes what the CPU has */
    CMA_MISUSE_DEVICE_AGAINST, /* reads FROM_DEVICE, or writes TO_DEVICE */
    CMA_MISUSE_DEVICE_ASTRAY,  /* where it has nothing mapped: before map, after unmap or free, past
                                  the end; `other`: where that ended, or what it ran past */
    CMA_MISUSE_UNSEEN, /* the CPU reads what it wrote before a sync_for_cpu or unmap dropped it */
    CMA_MISUSE_KINDS
};

/* A place in a driver's source. */
struct cma_site {
    const char *file; /* NULL: not known */
    uint32_t line;
};

struct cma_misuse_report {
    enum cma_misuse_kind kind;
    struct cma_site site;  /* of the wrong call, or of the access */
    struct cma_site other; /* where it was mapped, allocated or ended; file NULL: none */
    const char *device;    /* name; NULL: none */
    cma_daddr_t daddr;
    uint64_t nbytes;
    enum cma_direction direction;
};

/* For struct cma_misuse_config. A device may touch lines that the CPU has, but has not written: as
 * Linux's documents say, a sync_for_device can be left out then. (By stream.h it can't.) */
#define CMA_MISUSE_UNWRITTEN (1u << 0)

struct cma_misuse_config {
    /* Called for each report, in the context of the call, with no lock held. NULL: they are
     * counted. */
    void (*report)(void *ctx, const struct cma_misuse_report *report);
    /* What the platform knows of memory that is never to be mapped: true for a stack, text,
     * constants. Any context. NULL: nobody asked. (Memory that the frame table does not know is
     * found without it, but where the table has areas only.) */
    bool (*forbidden)(void *ctx, cma_paddr_t paddr, uint64_t nbytes);
    void *ctx;
    uint32_t nentries; /* mappings and buffers at once; up to 2^28 */
    uint32_t nlines;   /* cache lines of them at once, under 2^31; 0: nentries * 64 */
    uint32_t flags;    /* CMA_MISUSE_UNWRITTEN */
};

struct cma_misuse_entry; /* private: src/dma/misuse.h */
struct cma_misuse {
    /* private */
    struct cma_dma *dma;
    struct cma_misuse_config config;
    struct cma_misuse_entry *entries;
    uint32_t *buckets;
    uint32_t *line_map; /* base/runmap.h */
    uint8_t *lines;
    uint32_t nbuckets, line_shift;
    uint32_t idle;           /* entries never used or given back: a list */
    uint32_t oldest, newest; /* ended ones: a queue */
    uint32_t high;           /* entries from here on were never used */
    uint32_t live, stamp;
    uint32_t unseen;                   /* mappings without an entry */
    uint32_t unfollowed;               /* mappings without lines */
    uint32_t classes[64];              /* entries, by the power of two that holds them */
    uint32_t counts[CMA_MISUSE_KINDS]; /* atomic */
    struct cma_lock lock;
};

/* Bytes of storage, aligned to 8; 0: malformed. About 190 an entry and 3 a line. */
uint64_t cma_misuse_size(const struct cma_misuse_config *config);
/* Begins to look at `dma`'s devices. Before they map. 0, CMA_EINVAL, CMA_ENOMEM (storage),
 * CMA_EEXIST (somebody looks already). */
CMA_MUST_CHECK int cma_misuse_init(struct cma_misuse *misuse, struct cma_dma *dma,
                                   const struct cma_misuse_config *config, void *storage,
                                   uint64_t nbytes);
void cma_misuse_exit(struct cma_misuse *misuse);
/* How many reports there were of a kind (NONE: of all), and how many mappings were not looked at,
 * or not line by line, because the storage was used up. */
uint32_t cma_misuse_count(const struct cma_misuse *misuse, enum cma_misuse_kind kind);
uint32_t cma_misuse_unseen(const struct cma_misuse *misuse);
/* "the CPU reads what the device has: ..." and so on, never NULL; and the whole sentence with
 * places, into text (cut at nbytes, always ended). Returns its length. */
const char *cma_misuse_name(enum cma_misuse_kind kind);
uint32_t cma_misuse_sentence(const struct cma_misuse_report *report, char *text, uint32_t nbytes);

/* The device goes away: what it has is reported (LEFT), and forgotten. */
void cma_misuse_device_gone(struct cma_misuse *misuse, struct cma_device *device,
                            struct cma_site site);
/* Accesses, by who sees them, before they happen. `site` if known: of the CPU's access; where the
 * device was started. */
void cma_misuse_cpu(struct cma_misuse *misuse, cma_paddr_t paddr, uint64_t nbytes, bool write,
                    struct cma_site site);
void cma_misuse_device(struct cma_misuse *misuse, struct cma_device *device, cma_daddr_t daddr,
                       uint64_t nbytes, bool write, struct cma_site site);
/* A descriptor that the device was given: judged by its limits (SEGMENT). */
void cma_misuse_segment(struct cma_misuse *misuse, struct cma_device *device, cma_daddr_t daddr,
                        uint64_t nbytes, struct cma_site site);

#ifdef __cplusplus
#define CMA_SITE (cma_site{__FILE__, __LINE__})
#else
#define CMA_SITE ((struct cma_site){__FILE__, __LINE__})
#endif

/* --- the calls, looked at -------------------------------------------------------------------
 * Each as the call that it stands for, which see; the arguments behind the site are the same. */

/* dma.h */
CMA_MUST_CHECK int cma_misuse_alloc_coherent(struct cma_site site, struct cma_device *device,
                                             const struct cma_coherent_request *request,
                                             struct cma_coherent *buffer,
                                             struct cma_refusal *refusal);
CMA_MUST_CHECK int cma_misuse_free_coherent(struct cma_site site, struct cma_device *device,
                                            const struct cma_coherent *buffer);
CMA_MUST_CHECK int cma_misuse_alloc_contiguous(struct cma_site site, struct cma_device *device,
                                               const struct cma_coherent_request *request,
                                               enum cma_direction direction,
                                               struct cma_contiguous *contiguous,
                                               struct cma_refusal *refusal);
CMA_MUST_CHECK int cma_misuse_free_contiguous(struct cma_site site, struct cma_device *device,
                                              const struct cma_contiguous *contiguous);

/* stream.h */
CMA_MUST_CHECK int cma_misuse_map(struct cma_site site, struct cma_device *device,
                                  cma_paddr_t paddr, uint64_t nbytes, enum cma_direction direction,
                                  uint32_t flags, cma_daddr_t *daddr, struct cma_refusal *refusal);
CMA_MUST_CHECK int cma_misuse_map_single(struct cma_site site, struct cma_device *device,
                                         const void *vaddr, uint64_t nbytes,
                                         enum cma_direction direction, uint32_t flags,
                                         cma_daddr_t *daddr, struct cma_refusal *refusal);
CMA_MUST_CHECK int cma_misuse_map_page(struct cma_site site, struct cma_device *device,
                                       cma_pfn_t pfn, uint64_t offset_nbytes, uint64_t nbytes,
                                       enum cma_direction direction, uint32_t flags,
                                       cma_daddr_t *daddr, struct cma_refusal *refusal);
int cma_misuse_unmap(struct cma_site site, struct cma_device *device, cma_daddr_t daddr,
                     uint64_t nbytes, enum cma_direction direction, uint32_t flags);
int cma_misuse_sync_for_cpu(struct cma_site site, struct cma_device *device, cma_daddr_t daddr,
                            uint64_t nbytes, enum cma_direction direction);
int cma_misuse_sync_for_device(struct cma_site site, struct cma_device *device, cma_daddr_t daddr,
                               uint64_t nbytes, enum cma_direction direction);
CMA_MUST_CHECK int cma_misuse_map_list(struct cma_site site, struct cma_device *device,
                                       const struct cma_piece *pieces, uint32_t npieces,
                                       enum cma_direction direction, uint32_t flags,
                                       struct cma_segment *segments, uint32_t nsegments_max,
                                       uint32_t *nsegments, struct cma_refusal *refusal);
int cma_misuse_unmap_list(struct cma_site site, struct cma_device *device,
                          const struct cma_segment *segments, uint32_t nsegments,
                          enum cma_direction direction, uint32_t flags);
int cma_misuse_sync_list_for_cpu(struct cma_site site, struct cma_device *device,
                                 const struct cma_segment *segments, uint32_t nsegments,
                                 enum cma_direction direction);
int cma_misuse_sync_list_for_device(struct cma_site site, struct cma_device *device,
                                    const struct cma_segment *segments, uint32_t nsegments,
                                    enum cma_direction direction);
CMA_MUST_CHECK int cma_misuse_map_resource(struct cma_site site, struct cma_device *device,
                                           cma_paddr_t paddr, uint64_t nbytes,
                                           enum cma_direction direction, cma_daddr_t *daddr);
int cma_misuse_unmap_resource(struct cma_site site, struct cma_device *device, cma_daddr_t daddr,
                              uint64_t nbytes, enum cma_direction direction);

/* pool.h */
CMA_MUST_CHECK int cma_misuse_pool_alloc(struct cma_site site, struct cma_dma_pool *pool,
                                         uint32_t flags, struct cma_dma_item *item,
                                         struct cma_refusal *refusal);
CMA_MUST_CHECK int cma_misuse_pool_free(struct cma_site site, struct cma_dma_pool *pool,
                                        const struct cma_dma_item *item);
CMA_MUST_CHECK int cma_misuse_pool_lane_alloc(struct cma_site site, struct cma_dma_pool_lane *lane,
                                              uint32_t flags, uint64_t *token,
                                              struct cma_refusal *refusal);
CMA_MUST_CHECK int cma_misuse_pool_lane_free(struct cma_site site, struct cma_dma_pool_lane *lane,
                                             uint64_t token);

/* share.h */
CMA_MUST_CHECK int cma_misuse_shared_map(struct cma_site site, struct cma_attachment *attachment,
                                         enum cma_direction direction, cma_daddr_t *daddr);
int cma_misuse_shared_unmap(struct cma_site site, struct cma_attachment *attachment);
CMA_MUST_CHECK int cma_misuse_shared_cpu_begin(struct cma_site site, struct cma_shared *shared,
                                               enum cma_direction direction);
int cma_misuse_shared_cpu_end(struct cma_site site, struct cma_shared *shared,
                              enum cma_direction direction);

#ifdef __cplusplus
}
#endif
/* The names that drivers use. A call in parentheses, (cma_dma_map)(...), is not looked at. */
#ifndef CMA_MISUSE_NO_MACROS
#define cma_dma_alloc_coherent(...) cma_misuse_alloc_coherent(CMA_SITE, __VA_ARGS__)
#define cma_dma_free_coherent(...) cma_misuse_free_coherent(CMA_SITE, __VA_ARGS__)
#define cma_dma_alloc_contiguous(...) cma_misuse_alloc_contiguous(CMA_SITE, __VA_ARGS__)
#define cma_dma_free_contiguous(...) cma_misuse_free_contiguous(CMA_SITE, __VA_ARGS__)
#define cma_dma_map(...) cma_misuse_map(CMA_SITE, __VA_ARGS__)
#define cma_dma_map_single(...) cma_misuse_map_single(CMA_SITE, __VA_ARGS__)
#define cma_dma_map_page(...) cma_misuse_map_page(CMA_SITE, __VA_ARGS__)
#define cma_dma_unmap(...) cma_misuse_unmap(CMA_SITE, __VA_ARGS__)
#define cma_dma_sync_for_cpu(...) cma_misuse_sync_for_cpu(CMA_SITE, __VA_ARGS__)
#define cma_dma_sync_for_device(...) cma_misuse_sync_for_device(CMA_SITE, __VA_ARGS__)
#define cma_dma_map_list(...) cma_misuse_map_list(CMA_SITE, __VA_ARGS__)
#define cma_dma_unmap_list(...) cma_misuse_unmap_list(CMA_SITE, __VA_ARGS__)
#define cma_dma_sync_list_for_cpu(...) cma_misuse_sync_list_for_cpu(CMA_SITE, __VA_ARGS__)
#define cma_dma_sync_list_for_device(...) cma_misuse_sync_list_for_device(CMA_SITE, __VA_ARGS__)
#define cma_dma_map_resource(...) cma_misuse_map_resource(CMA_SITE, __VA_ARGS__)
#define cma_dma_unmap_resource(...) cma_misuse_unmap_resource(CMA_SITE, __VA_ARGS__)
#define cma_dma_pool_alloc(...) cma_misuse_pool_alloc(CMA_SITE, __VA_ARGS__)
#define cma_dma_pool_free(...) cma_misuse_pool_free(CMA_SITE, __VA_ARGS__)
#define cma_dma_pool_lane_alloc(...) cma_misuse_pool_lane_alloc(CMA_SITE, __VA_ARGS__)
#define cma_dma_pool_lane_free(...) cma_misuse_pool_lane_free(CMA_SITE, __VA_ARGS__)
#define cma_shared_map(...) cma_misuse_shared_map(CMA_SITE, __VA_ARGS__)
#define cma_shared_unmap(...) cma_misuse_shared_unmap(CMA_SITE, __VA_ARGS__)
#define cma_shared_cpu_begin(...) cma_misuse_shared_cpu_begin(CMA_SITE, __VA_ARGS__)
#define cma_shared_cpu_end(...) cma_misuse_shared_cpu_end(CMA_SITE, __VA_ARGS__)
#endif

#endif
