/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table.h - what src/buddy and src/cma may do with the frame table besides frame.h
 *
 * Functions that say "locked" are called with the span's lock held (cma__span_lock); the others
 * take it themselves, for a block's worth of frames at a time.
 */
#ifndef CMA_FRAME_TABLE_H
#define CMA_FRAME_TABLE_H

#include <cma/frame.h>

/* Block flag: its idle frames may be handed out to movable and droppable requests. It goes when the
 * last of them is given back (unless a host keeps them in lists: it has a take_back). */
#define CMA_BLOCK_LENT 1u
/* The longest buffer that a claim record can hold. */
#define CMA__CLAIM_NPAGES_MAX ((1u << 29) - 1)

/* The span that has this record: the last one that begins at or before it. */
struct cma_span *cma__span_of_record(const struct cma_frames *frames, uint32_t record);
/* The span that tracks `pfn`, or NULL. */
struct cma_span *cma__span_of(const struct cma_frames *frames, cma_pfn_t pfn);
/*
 * An area can be several spans in a row, its lanes: each with a lock, trees and counts of its own.
 * Records, blocks and idle bits of these are contiguous, so addressing them may begin at the first;
 * what the lock protects is changed through the span that a frame lies in. `span` is one at or
 * before it, `pfn` lies in the area.
 */
static inline struct cma_span *cma__span_from(struct cma_span *span, cma_pfn_t pfn)
{
    while (pfn - span->pfn >= span->npages) {
        span++;
    }
    return span;
}
/* Is the area of this span being emptied by a claim? Not for ordinary spans. */
bool cma__span_is_emptied(const struct cma_span *span);
uintptr_t cma__span_lock(struct cma_frames *frames, struct cma_span *span);
void cma__span_unlock(struct cma_frames *frames, struct cma_span *span, uintptr_t state);
/* Changes the event and wakes who waits for it. No lock held. */
void cma__frames_signal(struct cma_frames *frames);

/* The whole pages inside [base, last]; false when there are none. */
bool cma__pages_within(const struct cma_port *port, cma_paddr_t base, cma_paddr_t last,
                       cma_pfn_t *first_pfn, cma_pfn_t *last_pfn);
/* The last frame all of whose bytes lie up to paddr_last; false when there is none. */
bool cma__frames_last_pfn(const struct cma_frames *frames, cma_paddr_t paddr_last, cma_pfn_t *last);

/* Blocks of a span, by number inside the span; edge blocks are cut at the span's ends. A number
 * behind the last one is of the area's next span. */
uint32_t cma__span_block_of(const struct cma_frames *frames, const struct cma_span *span,
                            cma_pfn_t pfn);
/* Frames from `pfn` to the end of its block, cut or not. */
static inline uint32_t cma__block_left(const struct cma_frames *frames, cma_pfn_t pfn)
{
    return (~(uint32_t)pfn & ((UINT32_C(1) << frames->block_order) - 1)) + 1;
}
void cma__span_block_range(const struct cma_frames *frames, const struct cma_span *span,
                           uint32_t block, cma_pfn_t *first, uint32_t *npages);

/* --- for src/buddy ------------------------------------------------------------------------- */

/* Holder, mover and area fit together; `span` NULL: just holder and mover. Returns 0 or
 * CMA_EINVAL. */
int cma__holder_check(const struct cma_frames *frames, const struct cma_span *span,
                      const struct cma_holder *holder);

/* Where a run is wanted inside one span. */
struct cma_run_want {
    uint64_t npages, align_npages, boundary_npages; /* 0: no boundary */
    cma_pfn_t first, last;                          /* inclusive */
    bool from_top;
};
/* Finds a run of idle frames that the allocator may hand out (ordinary spans; lent blocks of area
 * spans). Locked. Returns false when there is none. */
bool cma__span_find_idle(const struct cma_frames *frames, const struct cma_span *span,
                         const struct cma_run_want *want, cma_pfn_t *pfn);
/* The first idle run at or above *pfn, up to last: *pfn is where it begins (last + 1 with none) and
 * its length is returned. Not locked: as last seen. */
uint32_t cma__span_idle_run(const struct cma_frames *frames, const struct cma_span *span,
                            cma_pfn_t *pfn, cma_pfn_t last);
/* Frames up to last that may be handed out. Locked. */
uint64_t cma__span_count_available(const struct cma_frames *frames, const struct cma_span *span,
                                   cma_pfn_t last);
/* Droppable frames up to last of an ordinary span that a destination can be made of; idle ones are
 * added to *idle. Not locked: as last seen. */
uint64_t cma__span_count_spare(const struct cma_frames *frames, const struct cma_span *span,
                               cma_pfn_t last, uint64_t *idle);
/* Idle frames become held by `holder` (HEAD mark on the first, and with a short reference if
 * `referenced`). Locked. They must be idle. */
void cma__span_hold(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                    uint64_t npages, const struct cma_holder *holder, bool referenced);
/* Idle frames become nobody's (destinations that are taken), and back. Locked; who puts some back
 * calls cma__frames_signal once it has unlocked. */
void cma__span_take(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                    uint32_t npages);
void cma__span_put(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                   uint32_t npages);
/* How many frames of the block of `pfn`, at most npages, are idle from `first` or above it up to
 * `pfn`, which is. Locked. */
uint32_t cma__span_idle_below(const struct cma_frames *frames, const struct cma_span *span,
                              cma_pfn_t first, cma_pfn_t pfn, uint32_t npages);
/* Frees an allocation made by cma__span_hold, after checking all of it. Locked. Returns as
 * cma_pages_free, and 1 instead of 0 when a claim was waiting for it: then signal. */
int cma__span_free(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn, uint64_t npages,
                   uint32_t owner);
/* Discards droppable frames of ordinary spans in [first, last], through their movers: one, and at
 * most npages that lie side by side; one flush for all. They are then taken (neither idle nor held)
 * and begin at *pfn. Returns how many, or CMA_ENOMEM (there is none that its mover gives up). No
 * lock held. */
int cma__frames_reclaim(struct cma_frames *frames, cma_pfn_t first, cma_pfn_t last, uint32_t npages,
                        cma_pfn_t *pfn);

/* --- for src/cma --------------------------------------------------------------------------- */

/* What a window would cost, and what stands in it: a moment's truth for each block. The counts are
 * complete only when there is no obstacle. Takes the lock for a block at a time. */
struct cma_window_cost {
    uint32_t kept, droppable, idle;
    cma_paddr_t kept_paddr_last; /* the lowest address limit among the movers of kept frames */
    /* The last frame that can't leave, or CMA_PFN_NONE: a window that avoids it begins behind it.
     * It may lie behind this window's end, where a whole block is known to be taken. */
    cma_pfn_t obstacle;
    bool obstacle_claimed; /* it is claimed, or being claimed, by somebody else */
    bool obstacle_passes;  /* it goes by itself (short reference, move or claim in progress): the
                            * table's event tells when to look again */
};
void cma__window_cost(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                      uint32_t npages, struct cma_window_cost *cost);
/* Adds the movable frames of an area's window to those of their movers: kept[number - 1]. */
void cma__window_movers(const struct cma_frames *frames, const struct cma_span *span, cma_pfn_t pfn,
                        uint32_t npages, uint32_t *kept);

/*
 * Isolates frames [pfn, pfn + npages) of one block (or less), under the lock: idle ones are taken,
 * held ones marked. All or nothing: returns 0, or CMA_EBUSY and the frame in the way.
 */
int cma__window_isolate(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                        uint32_t npages, cma_pfn_t *obstacle);
/* Puts isolated frames back: empty ones are idle again, held ones unmarked. Any length. Tells those
 * who wait. */
void cma__window_restore(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                         uint32_t npages);
/*
 * Empties isolated frames [pfn, pfn + npages) of an area, in address order, in batches (one freeze
 * and one flush a batch). Returns 0, CMA_EBUSY (a mover refused obstacle), CMA_ENOMEM (no
 * destination for obstacle): the frames below may still be held, for nothing is copied in vain; or
 * CMA_EAGAIN (the holder of obstacle is just freeing it or has just got it: read the event before
 * the call, wait and go on from obstacle; all frames below it are empty). Counts are added. May
 * sleep; no lock is held.
 */
struct cma_evacuation {
    cma_pfn_t obstacle;
    uint32_t copied, dropped;
    uint16_t flushes;
    uint8_t destination;
    bool flush; /* of a slot: something was discarded since the last flush */
};
int cma__window_evacuate(struct cma_frames *frames, cma_pfn_t pfn, uint32_t npages,
                         struct cma_evacuation *evacuation);
/*
 * The same by runs of frames (evacuate.c): for areas with an engine, and for slots: `destination`
 * is CMA_DESTINATION_PROMISED then, and 0 otherwise. So that a frame of a slot that has to be
 * waited for costs no flush, what was in the batch stays where it is then, and what was discarded
 * is flushed in the next call, or by the caller: go on from the first frame again.
 */
int cma__window_evacuate_runs(struct cma_frames *frames, cma_pfn_t pfn, uint32_t npages,
                              struct cma_evacuation *evacuation);
/* An empty isolated window becomes a claimed buffer: its record is written. Up to
 * CMA__CLAIM_NPAGES_MAX. */
void cma__window_claim(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                       uint32_t npages, uint32_t owner);
/* What is written of a buffer: in the records of its first frames, or, of a long one, beside the
 * index of its lane (runs.h). */
struct cma_buffer {
    uint32_t npages;
    uint32_t at; /* its first frame, counted in its lane */
    uint32_t owner;
    uint32_t stamp; /* of one of one page: less its lowest bits */
};
/* The buffer that begins at `pfn`, as last seen if the lane is not locked; `span` is one of the
 * area at or before it, `word` what its record says. False: none does. */
bool cma__frames_buffer(const struct cma_frames *frames, const struct cma_span *span, cma_pfn_t pfn,
                        uint32_t word, struct cma_buffer *buffer);
/* Now, as buffers are stamped: in units of 2^20 ns, modulo 2^32; 0 where the port has no time. */
uint32_t cma__frames_stamp(const struct cma_frames *frames);
/* How long ago the buffer that begins at `pfn` was handed over, modulo 52 days; to 1 ms, one of one
 * page to 8 ms. 0 where none begins, or where the port has no time. */
uint64_t cma__window_age_ns(const struct cma_frames *frames, const struct cma_span *span,
                            cma_pfn_t pfn);
/* A claimed buffer becomes idle frames. Returns 0, CMA_EBADF, CMA_EINVAL, CMA_EPERM; checks
 * first. */
int cma__window_release(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                        uint64_t npages, uint32_t owner);
/* Marks a block lent or not: its idle frames become available to the allocator or stop being so.
 * Returns false if it was so already. */
bool cma__block_lend(struct cma_frames *frames, struct cma_span *span, uint32_t block, bool lent);

#endif
