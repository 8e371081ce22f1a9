/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * misuse.h - who uses dma.h, stream.h and pool.h wrongly, and where (src/dma, on demand)
 *
 * A driver that includes this header instead of those has each of its calls looked at, and each
 * report names the file and line of the call, and of the mapping that it is about. Nothing of the
 * library knows of it: the calls become macros, each a function of misuse.c that looks, makes the
 * real call, and remembers. Who does not include this does not link it.
 *
 * Two kinds of things are seen:
 *   - what Linux's dma-debug sees: frees, unmaps and syncs that fit no mapping, or not that one;
 *     maps of memory that is no memory for DMA; overlapping cache lines; mappings never checked or
 *     never ended;
 *   - what it can't: a MISSING sync. Each cache line of each mapping belongs to one side. Accesses
 *     of the CPU (cma_misuse_cpu) and of the device (cma_misuse_device) are told by whoever sees
 *     them: the simulator sees all (ports/sim: sim_watch). An access by the side that does not have
 * the line, or against the direction, or of a device where it has nothing mapped, is a report: it
 *     says what should have been called and where the mapping was made.
 *
 * State is the caller's: storage for so many mappings; when that is used up, it counts what it did
 * not see and says so, and reports nothing false.
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
    CMA_MISUSE_UNKNOWN,        /* unmap, free or sync of an address that is not mapped */
    CMA_MISUSE_TWICE,          /* unmapped or freed before; `other` is where */
    CMA_MISUSE_SIZE,           /* another length than it was mapped with */
    CMA_MISUSE_DIRECTION,      /* another direction */
    CMA_MISUSE_DEVICE,         /* another device's */
    CMA_MISUSE_CALL,           /* unmapped by another kind of call than it was mapped by */
    CMA_MISUSE_ADDRESS,        /* addresses of it do not belong together */
    CMA_MISUSE_COUNT_OF_LIST,  /* another count of segments, or other segments */
    CMA_MISUSE_SYNC_RANGE,     /* a sync that passes the end of its mapping */
    CMA_MISUSE_SYNC_DIRECTION, /* for_cpu of what the device only reads and the like */
    CMA_MISUSE_UNCHECKED,      /* a map failed, and its address was used */
    CMA_MISUSE_MEMORY,         /* stack, text, constants, or what is not ordinary memory */
    CMA_MISUSE_MOVABLE,        /* frames that can move away during the transfer */
    CMA_MISUSE_FREE,           /* frames that nobody holds: freed memory */
    CMA_MISUSE_OVERLAP,        /* shares cache lines with another mapping that is written */
    CMA_MISUSE_SEGMENT,        /* longer than the device's segments, or across its boundary */
    CMA_MISUSE_LEFT,           /* mapped or allocated when its device went away */
    CMA_MISUSE_FLAGS,          /* unmapped with other flags */
    /* of accesses */
    CMA_MISUSE_CPU_READS,     /* the CPU reads what the device has: sync_for_cpu or unmap missing */
    CMA_MISUSE_CPU_WRITES,    /* the CPU writes what the device has */
    CMA_MISUSE_DEVICE_READS,  /* the device reads what the CPU has: sync_for_device missing */
    CMA_MISUSE_DEVICE_WRITES, /* the device writes what the CPU has */
    CMA_MISUSE_DEVICE_AGAINST, /* reads FROM_DEVICE, or writes TO_DEVICE */
    CMA_MISUSE_DEVICE_ASTRAY,  /* where it has nothing mapped: before map, after unmap or free, past
                                  the end */
    CMA_MISUSE_UNSEEN,         /* the CPU reads bytes it wrote past a sync that dropped them */
    CMA_MISUSE_KINDS
};

/* A place in a driver's source. */
struct cma_site {
    const char *file; /* NULL: not known */
    uint32_t line;
};

struct cma_misuse_report {
    enum cma_misuse_kind kind;
    struct cma_site site; /* of the wrong call, or of the access */
    struct cma_site
        other;          /* where it was mapped or allocated, or the other party; file NULL: none */
    const char *device; /* name; NULL: none */
    cma_daddr_t daddr;
    uint64_t nbytes;
    enum cma_direction direction;
};

struct cma_misuse_config {
    /* Called for each report, in the context of the call. NULL: they are counted. */
    void (*report)(void *ctx, const struct cma_misuse_report *report);
    void *ctx;
    uint32_t nentries; /* mappings and buffers at once */
    uint32_t nlines;   /* cache lines of them at once; 0: nentries * 64 */
};

struct cma_misuse_entry; /* private: src/dma/misuse.c */
struct cma_misuse {
    /* private */
    struct cma_dma *dma;
    struct cma_misuse_config config;
    struct cma_misuse_entry *entries;
    uint32_t *buckets;
    uint8_t *lines;
    uint32_t nbuckets, idle;
    uint32_t most_live, live, unseen;
    uint32_t counts[CMA_MISUSE_KINDS];
    struct cma_lock lock;
};

uint64_t cma_misuse_size(const struct cma_misuse_config *config);
/* Begins to look at `dma`'s devices. Before they map. 0, CMA_EINVAL, CMA_ENOMEM (storage),
 * CMA_EEXIST (somebody looks already). */
CMA_MUST_CHECK int cma_misuse_init(struct cma_misuse *misuse, struct cma_dma *dma,
                                   const struct cma_misuse_config *config, void *storage,
                                   uint64_t nbytes);
void cma_misuse_exit(struct cma_misuse *misuse);
/* How many reports there were of a kind (NONE: of all), and how many mappings went unseen. */
uint32_t cma_misuse_count(const struct cma_misuse *misuse, enum cma_misuse_kind kind);
uint32_t cma_misuse_unseen(const struct cma_misuse *misuse);
/* "missing sync_for_cpu before the CPU reads" and so on, never NULL; and the whole sentence with
 * places, into text (cut at nbytes, always ended). Returns its length. */
const char *cma_misuse_name(enum cma_misuse_kind kind);
uint32_t cma_misuse_sentence(const struct cma_misuse_report *report, char *text, uint32_t nbytes);

/* The device goes away: what it has is reported (LEFT). */
void cma_misuse_device_gone(struct cma_misuse *misuse, struct cma_device *device,
                            struct cma_site site);
/* Accesses, by who sees them. `site` of the CPU's, if known. */
void cma_misuse_cpu(struct cma_misuse *misuse, cma_paddr_t paddr, uint64_t nbytes, bool write,
                    struct cma_site site);
void cma_misuse_device(struct cma_misuse *misuse, struct cma_device *device, cma_daddr_t daddr,
                       uint64_t nbytes, bool write);

#define CMA_SITE ((struct cma_site){__FILE__, __LINE__})

/* The calls, looked at. (The helper who builds this lists all of them here, the same arguments
 * behind the site, and a macro of the real name for each.) */

#ifdef __cplusplus
}
#endif
#endif
