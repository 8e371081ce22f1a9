/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * misuse.h - what the files of the misuse checker share
 *
 *   misuse.c         entries: kept, found by address, ended and forgotten; setting up
 *   misuse_tell.c    reports in words
 *   misuse_lines.c   who has which cache line; accesses
 *   misuse_judge.c   which mapping a call means, and what is wrong with it
 *   misuse_calls.c, misuse_stream.c   the calls of dma.h, pool.h and share.h; of stream.h
 *
 * Everything below is called with the checker's lock held, but for cma__misuse_tell.
 */
#ifndef CMA_DMA_MISUSE_H
#define CMA_DMA_MISUSE_H

#define CMA_MISUSE_NO_MACROS
#include <cma/misuse.h>

#include "../base/guard.h"
#include "../base/range.h"
#include "../base/runmap.h"

#define CMA__MISUSE_NONE UINT32_MAX

/* Which calls made it. */
enum cma_misuse_sort {
    CMA__MISUSE_SINGLE = 1,
    CMA__MISUSE_LIST, /* a part of a list: of one piece, and of one segment */
    CMA__MISUSE_RESOURCE,
    CMA__MISUSE_COHERENT,
    CMA__MISUSE_CONTIGUOUS,
    CMA__MISUSE_ITEM,
    CMA__MISUSE_SHARED,
    CMA__MISUSE_FAILED /* a map that failed, and what was in its result then */
};

enum cma_misuse_state {
    CMA__MISUSE_IDLE,
    CMA__MISUSE_LIVE,
    CMA__MISUSE_ENDED /* remembered, as long as nobody needs the entry, to say where it ended */
};

/* What the device's writes may spoil besides the buffer's own bytes. */
enum cma_misuse_fence {
    CMA__MISUSE_FENCE_NONE,  /* nothing: it snoops, or this is no ordinary memory */
    CMA__MISUSE_FENCE_BYTES, /* it is bounced: the copy writes these bytes and no others */
    CMA__MISUSE_FENCE_LINES  /* whole cache lines */
};

/* Of a line of a live mapping; neither of the first two: the device has it. */
#define CMA__LINE_CPU (1u << 0)
#define CMA__LINE_SHARED (1u << 1)  /* synced in part: nobody can say */
#define CMA__LINE_WRITTEN (1u << 2) /* by the CPU, since it has it */
#define CMA__LINE_TOLD (1u << 3)    /* an access was reported, until it is handed over */
/* Of an ended one too: */
#define CMA__LINE_LOST (1u << 4)  /* what the CPU wrote was dropped */
#define CMA__LINE_STALE (1u << 5) /* ended with SKIP_SYNC while the device had it */
/* Of a live one: the CPU has it to read. */
#define CMA__LINE_READS (1u << 6)

struct cma_misuse_entry {
    struct cma_device *device;
    const void *owner; /* of an item its pool, of an attachment's mapping the handle */
    const void *vaddr; /* of coherent memory and items */
    cma_daddr_t daddr;
    cma_paddr_t paddr;
    uint64_t nbytes; /* 1 up */
    struct cma_site made, ended;
    uint32_t flags;      /* of the map; of an item its stamp */
    uint32_t first_line; /* CMA__RUNMAP_NONE: lines are not followed */
    uint32_t stamp;      /* when it was made, or ended */
    uint32_t chain[4];   /* nodes: first and last cell, by physical and by device address */
    uint32_t next, prev; /* idle ones: next; ended ones: the queue */
    uint32_t head, part; /* of a list: its first part; the next part */
    uint32_t segment;    /* which segment of the list it is in */
    uint32_t nsegments;  /* of a list, in its first part */
    uint32_t brackets;   /* of a shared one: CPU accesses that are open */
    uint32_t writers;    /* of these, that write */
    uint8_t sort, state, direction, fence, shift;
    bool lined; /* its lines shall be followed */
};

/* --- misuse.c -------------------------------------------------------------------------- */

static inline cma_daddr_t misuse_daddr_last(const struct cma_misuse_entry *entry)
{
    return entry->daddr + (entry->nbytes - 1);
}

static inline cma_paddr_t misuse_paddr_last(const struct cma_misuse_entry *entry)
{
    return entry->paddr + (entry->nbytes - 1);
}

static inline uint32_t misuse_nlines(const struct cma_misuse *misuse,
                                     const struct cma_misuse_entry *entry)
{
    return (uint32_t)((misuse_paddr_last(entry) >> misuse->line_shift) -
                      (entry->paddr >> misuse->line_shift) + 1);
}

static inline uintptr_t misuse_lock(struct cma_misuse *misuse)
{
    return guard_lock(misuse->dma->port, &misuse->lock);
}

static inline void misuse_unlock(struct cma_misuse *misuse, uintptr_t state)
{
    guard_unlock(misuse->dma->port, &misuse->lock, state);
}

/* Goes through the entries, live and ended, that have an address in [first, last]. Nothing may be
 * added or taken away meanwhile. */
struct misuse_walk {
    struct cma_misuse *misuse;
    bool bus; /* by device address; else by physical address */
    bool all; /* one by one, for that is less work */
    uint64_t first, last, cell;
    uint32_t shift, node;
};
void cma__misuse_walk(struct misuse_walk *walk, struct cma_misuse *misuse, bool bus, uint64_t first,
                      uint64_t last);
struct cma_misuse_entry *cma__misuse_next(struct misuse_walk *walk);

/* Are so many entries to be had? If not, the mapping that wants them is counted as unseen. */
bool cma__misuse_room(struct cma_misuse *misuse, uint32_t nentries);
/* Keeps an entry as it is filled but for private numbers; there is room, and addresses do not wrap.
 * The device has its lines. */
struct cma_misuse_entry *cma__misuse_add(struct cma_misuse *misuse,
                                         const struct cma_misuse_entry *entry);
/* It goes on the queue of ended ones. Its lines go back, but for `keep_lines`. */
void cma__misuse_end(struct cma_misuse *misuse, struct cma_misuse_entry *entry,
                     struct cma_site site, bool keep_lines);
/* It is gone. */
void cma__misuse_forget(struct cma_misuse *misuse, struct cma_misuse_entry *entry);

/* --- misuse_tell.c --------------------------------------------------------------------- */

/* Counts a report and hands it on; kind NONE: there is nothing to tell. */
void cma__misuse_tell(struct cma_misuse *misuse, const struct cma_misuse_report *report);

/* --- misuse_lines.c -------------------------------------------------------------------- */

/* Hands [from, from + nbytes) of a mapping, counted in it, to one side; `drops`: what the CPU wrote
 * and did not hand over is lost by that. */
void cma__misuse_hand(struct cma_misuse *misuse, const struct cma_misuse_entry *entry,
                      uint64_t from, uint64_t nbytes, bool to_cpu, bool drops);
/* The CPU, which has all of it, only reads. */
void cma__misuse_forbid_writes(struct cma_misuse *misuse, const struct cma_misuse_entry *entry);
/* What is left to watch after its end; false: nothing. */
bool cma__misuse_last_lines(struct cma_misuse *misuse, const struct cma_misuse_entry *entry,
                            bool skip_sync);

/* --- misuse_judge.c -------------------------------------------------------------------- */

/* A call that ends a mapping, or syncs it. */
struct misuse_call {
    struct cma_site site;
    struct cma_device *device;
    const void *owner, *vaddr; /* NULL: not told */
    cma_daddr_t daddr;
    cma_paddr_t paddr; /* of coherent memory */
    uint64_t nbytes;
    enum cma_misuse_sort sort;
    enum cma_direction direction;
    uint32_t flags;
};

/* The report of a call, `other` being the place of `entry` (NULL: none). */
void cma__misuse_blame(struct cma_misuse_report *report, enum cma_misuse_kind kind,
                       const struct misuse_call *call, const struct cma_misuse_entry *entry);
/* Which entry a call ends; NULL: none. What is wrong is in the report (kind NONE: nothing). */
struct cma_misuse_entry *cma__misuse_judge(struct cma_misuse *misuse,
                                           const struct misuse_call *call,
                                           struct cma_misuse_report *report);
/* Judges a sync and hands the lines over. */
void cma__misuse_judge_sync(struct cma_misuse *misuse, const struct misuse_call *call, bool to_cpu,
                            struct cma_misuse_report *report);
/* Another mapping, live and not `entry`'s list, that a device spoils with this one, or the
 * reverse; NULL: none. */
const struct cma_misuse_entry *cma__misuse_overlap(struct cma_misuse *misuse,
                                                   const struct cma_misuse_entry *entry);
/* Is that memory which devices may be given? NONE, MEMORY, MOVABLE or FREE. Without the lock. */
enum cma_misuse_kind cma__misuse_memory(const struct cma_misuse *misuse, cma_paddr_t paddr,
                                        uint64_t nbytes);
/* A map failed; `daddr` is what its result held. Takes the lock itself. */
void cma__misuse_failed(struct cma_misuse *misuse, struct cma_device *device, struct cma_site site,
                        cma_daddr_t daddr, uint64_t nbytes, enum cma_direction direction);

#endif
