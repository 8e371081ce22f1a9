/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * area.h - areas: contiguous memory for devices, lent while nobody needs it (src/cma)
 *
 * An area is a range of frames kept for devices, at page granularity, a few pages or a terabyte.
 * Its idle frames are lent, block by block and on demand, to movable and droppable requests, and
 * come back when a block empties. A device's request becomes a *claim*:
 *
 *     choose    a window (aligned, in reach, crossing no boundary) that no pinned, referenced or
 *               claimed frame lies in and whose kept frames fit elsewhere: the one that spoils
 *               least and is cheap to empty, by the area's engine, or else the lowest
 *     isolate   mark its frames, under the area's lock, block by block; nobody gets them any more.
 *               What changed since the choice is seen here, BEFORE the first copy: choose again
 *     evacuate  discard droppable frames, move kept ones out, in batches, without the lock;
 *               a mover that refuses sends the claim to a window without that frame
 *     hand over one record is written, and the window is the device's
 * or everything is put back. Claims of several threads run side by side, each in a window of its
 * own. One that finds no window while another is at work, or while a short reference or a move that
 * somebody else makes is all that stands in the way, waits for its end and looks again from the
 * start, so "no" is never said for want of patience. It looks again at most CMA_CLAIM_ROUNDS times
 * (CMA_CLAIM_ROUNDS_REFUSED once a mover has refused, for each round can cost copies again, and
 * with CMA_CLAIM_NOWAIT), then the answer is CMA_EAGAIN, as it is where waiting is impossible.
 *
 * What a claim costs: at most one copy a kept frame of its window, one discard a droppable one; and
 * a few looks at an index, or, where that has no answer, one look at the block counters of each
 * window that it passes over.
 */
#ifndef CMA_AREA_H
#define CMA_AREA_H

#include <cma/frame.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cma_area_request {
    uint64_t npages;          /* 1 up */
    uint64_t align_npages;    /* power of two, of the physical address; 0: 1 */
    cma_paddr_t paddr_first;  /* all bytes lie in [paddr_first, paddr_last] */
    cma_paddr_t paddr_last;   /* 0: no limit */
    uint64_t boundary_nbytes; /* crosses no multiple of it; power of two >= a page; 0: none */
    uint64_t bus_offset;      /* alignment and boundary are judged on paddr + bus_offset (modulo
                               * 2^64); a multiple of the page size; 0: on paddr */
    uint32_t owner;           /* tag that cma_area_release must name; devices use their number */
    uint32_t flags;           /* CMA_CLAIM_* */
};
#define CMA_CLAIM_NOWAIT (1u << 0) /* never sleeps for others: CMA_EAGAIN instead */
/* How long the buffer will live, compared with others of its area: long-lived ones are kept
 * together at one end, so that those that come and go leave whole runs behind. Not both. */
#define CMA_CLAIM_LONG (1u << 1)
#define CMA_CLAIM_SHORT (1u << 2)

#define CMA_CLAIM_ROUNDS 1000u
#define CMA_CLAIM_ROUNDS_REFUSED 4u

/*
 * What an area can do besides: find a window through an index instead of by a walk over blocks,
 * have size classes, and explain its refusals (struct cma_refusal: runs, owner, the change). An own
 * object, so that a microcontroller with a handful of buffers does not carry the code.
 */
struct cma_area_engine; /* private: src/cma/engine.h */
extern const struct cma_area_engine cma_area_engine;

/*
 * A size class: requests for up to npages_max pages go to a part of the area that is theirs alone,
 * so that small buffers never lie between large ones. Parts lie one behind the other from the
 * area's low end, in the order of the classes, which is ascending by npages_max; what is left is
 * for requests that are larger than the last class. A request whose part is full is refused: the
 * rest of the area is what the others were told is theirs. Slots of guarantees follow the same
 * rule, so members of a group share them only where their blocks are of one class.
 */
struct cma_size_class {
    uint32_t npages_max; /* of one request, 1 up */
    uint32_t npages;     /* of the part, npages_max up */
};

struct cma_area_config {
    const char *name; /* lives as long as the area */
    enum cma_lend_class lend_class;
    const struct cma_area_engine *engine; /* &cma_area_engine; NULL: without */
    const struct cma_size_class *classes; /* lives as long as the area; NULL: none */
    uint32_t nclasses;                    /* 0: none; more only with an engine */
};

struct cma_area_stats {
    uint64_t npages;
    uint64_t claimed_npages;   /* in devices' hands */
    uint64_t slot_npages;      /* in slots of guarantees, in devices' hands or not */
    uint64_t idle_npages;      /* nobody's */
    uint64_t kept_npages;      /* lent and movable */
    uint64_t droppable_npages; /* lent and droppable */
    uint64_t lent_blocks, nblocks;
    uint64_t claims, refused, released; /* requests that ended well, ended in "no"; buffers back */
    uint64_t copied_npages, dropped_npages;
    uint64_t wasted_copies; /* copies of claims that then gave their window up */
    uint64_t windows_left;  /* windows given up because somebody was in the way after all */
    /* Between windows and the nearer end of the run that they were cut from, for alignment, limits
     * or a boundary: a sum over claims in one step (area with engine and index). */
    uint64_t skipped_npages;
};

struct cma_claim;
struct cma_area {
    /* private */
    struct cma_frames *frames;
    const struct cma_pages_ops *ops;
    struct cma_span *span; /* the first of nspans, one behind the other */
    cma_pfn_t pfn;
    uint32_t npages;
    uint32_t nspans;
    struct cma_lock lock; /* of claims, generation and stats */
    const char *name;
    const struct cma_area_engine *engine;
    uint32_t lend_class;
    uint32_t nclasses;
    const struct cma_size_class *classes;
    uint32_t active;
    uint32_t generation;      /* how many windows were given up, handed over or released */
    struct cma_claim *claims; /* begun and not ended */
    struct cma_area_stats stats;
};

/*
 * Starts an area on the table's area span that begins with the first whole page at or above `base`.
 * It is not active yet. `ops` may be NULL: then kept frames have nowhere to go.
 * Returns 0, CMA_ENOENT (no area span begins there), CMA_EINVAL (config malformed; size classes
 * without an engine, not ascending, or larger than the area together). One thread, at boot.
 */
CMA_MUST_CHECK int cma_area_init(struct cma_area *area, struct cma_frames *frames,
                                 const struct cma_pages_ops *ops, cma_paddr_t base,
                                 const struct cma_area_config *config);

/* From now on it can be claimed and lent. Returns 0 or CMA_EBADF (active already). */
CMA_MUST_CHECK int cma_area_activate(struct cma_area *area);

/*
 * Gets a contiguous run; contents are what was left there. On success it is the caller's until
 * cma_area_release. Returns 0 and *pfn, or
 *   CMA_EINVAL (malformed: npages 0, alignment or boundary no power of two, a boundary shorter than
 *     the run or than a page, paddr_last below paddr_first, a bus_offset inside a page),
 *   CMA_EBADF (not active),
 *   CMA_ERANGE (no window of this length and alignment lies within the limits and boundary),
 *   CMA_ENOMEM (larger than the area, or its part for such sizes; or what is claimed leaves no
 *     window; or kept frames fit nowhere else),
 *   CMA_ENOSPC (frames held in place leave no window),
 *   CMA_EBUSY (a mover refused in a window that nothing else stood in the way of),
 *   CMA_EAGAIN (what stands in the way will go: a claim, a reference or a move in progress; only
 *     with CMA_CLAIM_NOWAIT, where the port can't wait, when a claim is paused between two steps,
 *     or after CMA_CLAIM_ROUNDS).
 * When several of these stand in the way of different windows, a refusing mover is named first,
 * then want of room, then frames held in place. The refusal tells the frame. Where the area has an
 * engine, it also tells the owner of a buffer in the way, the longest runs and the smallest change
 * that would have done (types.h), by a walk over the area, which may ask movers whether they would
 * refuse (freeze and abort); without engine these are 0. Where `refusal` is NULL, none of that is
 * done. May sleep.
 */
CMA_MUST_CHECK int cma_area_alloc(struct cma_area *area, const struct cma_area_request *request,
                                  cma_pfn_t *pfn, struct cma_refusal *refusal);

/*
 * Gives back exactly what one claim got. Returns 0, CMA_ENOENT (not in this area), CMA_EBADF
 * (nothing claimed begins there: double release, inner address), CMA_EINVAL (other length),
 * CMA_EPERM (other owner, or a block of a guarantee); a call that fails changes nothing. Sleeps:
 * no.
 */
CMA_MUST_CHECK int cma_area_release(struct cma_area *area, cma_pfn_t pfn, uint64_t npages,
                                    uint32_t owner);

/*
 * The same, step by step: a claim that is prepared ahead, has a budget, or is cancelled.
 * The struct is the caller's and must stay where it is until the claim has ended.
 */
enum cma_claim_state {
    CMA_CLAIM_IDLE = 0,
    CMA_CLAIM_CHOOSE,
    CMA_CLAIM_ISOLATE,
    CMA_CLAIM_EVACUATE,
    CMA_CLAIM_DONE, /* window handed over: pfn is valid */
    CMA_CLAIM_REFUSED,
    CMA_CLAIM_CANCELLED
};
struct cma_claim {
    /* readable after each step */
    enum cma_claim_state state;
    cma_pfn_t pfn;
    uint64_t copied_npages, dropped_npages; /* by this claim so far */
    struct cma_refusal refusal;             /* valid when REFUSED */
    /* private */
    struct cma_area *area;
    struct cma_claim *next;
    struct cma_area_request request;
    cma_pfn_t cursor;       /* the window begins at or above */
    uint32_t isolated;      /* frames of the window isolated so far */
    uint32_t evacuated;     /* of these, the first so many are empty */
    uint32_t window_copied; /* copies made for this window */
    uint32_t seen_frame[4]; /* what stood in the way, one of each sort: numbers in the area */
    uint32_t seen;          /* what the search met */
    uint32_t seen_room;     /* the least room for kept frames that it found too small */
    uint32_t seen_event;    /* when the search began */
    uint32_t seen_generation;
    uint32_t passing_frame; /* the last of what the search met that goes by itself */
    uint32_t rounds;        /* searches begun again */
    uint32_t stalls;        /* waits for a frame of this window that somebody else moves */
    uint32_t flags;         /* CLAIM_* in src/cma/claim.c */
    uint32_t picks;         /* windows that the area's engine was asked for */
};

/* Begins a claim: checks the request. Returns 0, or as cma_area_alloc for what can be said at once.
 * From now until it ends, nothing moves into the area to make room elsewhere. Sleeps: no. */
CMA_MUST_CHECK int cma_claim_start(struct cma_claim *claim, struct cma_area *area,
                                   const struct cma_area_request *request);
/*
 * Goes on for about `budget_npages` frames of work (UINT64_MAX: to the end). Returns 1 (there is
 * more to do), 0 (done: claim->pfn), or a refusal as cma_area_alloc, after which all is put back;
 * CMA_EBADF when the claim has ended already. One thread at a time for one claim. Between two steps
 * others do not wait for it: they avoid its window, and hear CMA_EAGAIN if that is all there is.
 * May sleep, with CMA_CLAIM_NOWAIT only inside movers.
 */
CMA_MUST_CHECK int cma_claim_step(struct cma_claim *claim, uint64_t budget_npages);
/* Gives up: what was isolated is lendable again, what was moved stays moved. No-op when ended.
 * Not at the same time as a step. Sleeps: no. */
void cma_claim_cancel(struct cma_claim *claim);

/* Lends one more block to movable and droppable requests. Returns true if it did; false: all is
 * lent or claimed, the area is not active, or of class NONE. This is a lender (pages.h) with the
 * area as ctx; a host calls it when it runs short. Sleeps: no. */
bool cma_area_lend(void *area, enum cma_kind kind);

/* A snapshot. Sleeps: no. */
void cma_area_stats(struct cma_area *area, struct cma_area_stats *stats);

/* One holder of a part of an area, for cma_area_walk. */
struct cma_area_holder {
    cma_pfn_t pfn;
    uint64_t npages;
    enum cma_kind kind; /* CLAIMED, MOVABLE, DROPPABLE, or NONE for idle runs */
    uint32_t mover;     /* of movable and droppable frames */
    uint32_t owner;     /* tag or cookie */
    bool lent;          /* idle runs: in a lent block */
    bool in_progress;   /* being claimed right now */
    bool slot;          /* in a slot (guarantee.h): lent from it, or idle in it */
    uint64_t age_ns;    /* CLAIMED: since it was handed over, to a millisecond (buffers of one page:
                         * to 8), modulo 52 days; 0 where the port has no time_ns */
};
/*
 * Visits all of the area in address order, merging equal neighbours (movable and droppable ones of
 * one mover, with the cookie of the first). `visit` runs without locks and returns false to stop;
 * what it sees of a busy area is a moment's truth for each holder, not for the whole. Sleeps: no.
 */
void cma_area_walk(struct cma_area *area,
                   bool (*visit)(void *ctx, const struct cma_area_holder *holder), void *ctx);

/* Checks the area against the table (other threads quiet): counts, claims in progress, nothing
 * unmovable inside. Returns true when all holds, else fills *violation. */
bool cma_area_check(struct cma_area *area, struct cma_violation *violation);

#ifdef __cplusplus
}
#endif
#endif
