/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * guarantee.h - memory that a device was promised, lent to others until it asks (src/cma)
 *
 * A guarantee is a contract: `count` blocks of `npages` frames, each contiguous, aligned, in reach,
 * crossing no boundary. It is admitted, or refused with the reason and with what would be admitted
 * instead, when it is asked for. Once admitted, taking one of its blocks cannot fail, and costs at
 * most
 *     max_moves       pages copied                      (0: none)
 *     npages          pages discarded, whose data exists elsewhere (in a group: of the slot, which
 *                     may be longer than the block)
 *     npages          pages zeroed and cleaned          (by the DMA layer, for a device)
 *     npages          attributes changed, in place      (the same)
 *     one TLB flush   for each CMA_GUARANTEE_BATCH copies, and one more; one for the attributes
 *
 * Each block has its *slot*: a run of an area that no other device may take. A slot that is in no
 * device's hands is lent, frame by frame, to droppable data, and up to max_moves of its frames may
 * hold data that must be copied. What makes "cannot fail" true, for all slots of a machine that are
 * in no device's hands and for every address limit z:
 *
 *     K(z) = kept frames in these slots whose mover needs addresses up to z
 *     F(z) = idle frames of ordinary memory up to z
 *     K(z) <= F(z), and the kept frames of a slot are at most its max_moves
 *
 * One gate stands before everything that would break it: who wants the last frames of F is refused,
 * whatever it is for, and who wants to make K larger must take his data out of the slot first.
 * docs/GUARANTEE.md has the theorem, its assumptions and the proof.
 *
 * What a mover with data in slots has to know:
 *   - only movers that never refuse and need no memory (no CMA_MOVER_MAY_REFUSE, no
 *     CMA_MOVER_NEEDS_MEMORY) are lent slots, by requests without CMA_PAGES_REF;
 *   - a frame of a slot takes no short reference (CMA_EBUSY) and is not pinned in place: call
 *     cma_frame_move_out, without the mover's lock, then look the handle up again;
 *   - cma_frame_keep answers CMA_EBUSY where the frame has to leave its slot to get dirty: the
 *     same. Where cma_frame_move_out has nowhere to go, the writer waits: data that can't be
 *     dropped never exceeds the memory outside of slots;
 *   - discard of a droppable frame never fails for such a mover, once it knows the frame. Until
 *     then (CMA_ENOENT), and while a frame is just being freed, who takes the slot asks again and
 *     again without sleeping: where priorities are strict, the thread that has just got the frame,
 *     or frees it, must not be kept from running meanwhile.
 *
 * Over a host's allocator (cma_frames_config.areas_only) slots hold droppable data only, for the
 * table does not know what else the host's memory is for.
 *
 * Locks: one for all guarantees of a table, never held while something is copied or called.
 */
#ifndef CMA_GUARANTEE_H
#define CMA_GUARANTEE_H

#include <cma/area.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Pages copied for one TLB flush, at least. */
#define CMA_GUARANTEE_BATCH 5u

/* All guarantees of one frame table. */
struct cma_guarantees {
    /* private */
    struct cma_slots slots; /* frame.h */
    struct cma_guarantee *first;
};

/*
 * Makes guarantees possible on this table. `slots` is storage for nslots slots, the most that all
 * blocks of all guarantees need; it lives as long as the table. Call once, after cma_frames_init
 * and before other threads know the table. Returns 0 or CMA_EINVAL (an argument is NULL, nslots is
 * 0 or more than CMA_SLOTS_MAX, the table has guarantees already).
 */
CMA_MUST_CHECK int cma_guarantees_init(struct cma_guarantees *guarantees, struct cma_frames *frames,
                                       struct cma_slot *slots, uint32_t nslots);

/*
 * Devices that are never open together, whose guarantees may share slots. Zeroed by the caller
 * before first use, and kept as long as a guarantee is in it. A member is *open* while it has a
 * block; meanwhile the others can't take one. Who needs the largest blocks is admitted first: the
 * others then fit into its slots. These keep no more data that must be copied than the least
 * max_moves of any member allows.
 */
struct cma_guarantee_group {
    /* private */
    struct cma_guarantee *open;
    struct cma_area *area;
    uint32_t nmembers;
    uint32_t max_moves; /* the least of its members */
};

struct cma_guarantee_request {
    uint64_t npages;       /* of one block, 1 up */
    uint32_t count;        /* blocks, 1 up */
    uint32_t max_moves;    /* pages copied for one block at most; larger than npages: npages */
    uint64_t align_npages; /* these as in struct cma_area_request */
    cma_paddr_t paddr_first;
    cma_paddr_t paddr_last;
    uint64_t boundary_nbytes;
    uint64_t bus_offset;
    uint32_t owner;                    /* tag of the blocks in a device's hands */
    struct cma_guarantee_group *group; /* NULL: none */
};

/* The answer to a request: how it was refused, and what would have been admitted. */
struct cma_admission {
    struct cma_refusal refusal; /* as cma_area_alloc fills it */
    /* All else being as it was seen: so many blocks of this size, or, where that is less than was
     * asked for, so many pages a block for this count. 0: none at all. Movers that may refuse are
     * not asked. */
    uint32_t possible_count;
    uint64_t possible_npages;
};

struct cma_guarantee {
    /* private */
    struct cma_guarantees *all;
    struct cma_guarantee *next;
    struct cma_area *area;
    struct cma_guarantee_request request;
    uint32_t live;                                       /* blocks in the device's hands */
    uint32_t live_worst;                                 /* the most there ever were at a time */
    uint64_t taken;                                      /* blocks taken so far */
    uint32_t copied_worst, dropped_worst, flushes_worst; /* of one block taken */
};

/*
 * Admits a guarantee on an area: `count` slots are found (or shared with the group's), emptied, and
 * nobody else's from now on. Pages may be copied for it. `guarantee` is the caller's, and lives
 * until it is revoked. Returns 0, or changes no slot and returns, with *why filled (may be NULL),
 *   CMA_EINVAL  malformed: as cma_area_alloc; count 0; the group's members are on another area
 *   CMA_EBADF   the area is not active, or the table has no guarantees
 *   CMA_ERANGE  no window lies within the limits and boundary
 *   CMA_ENOMEM  the area is too small for all blocks, or claimed by others (CMA_REASON_CLAIMED,
 *               CMA_REASON_PROMISED); the kept data in the way has no place
 *               (CMA_REASON_NO_ROOM); the storage for slots is used up (CMA_REASON_NO_MEMORY)
 *   CMA_ENOSPC  frames held in place leave too few windows
 *   CMA_EBUSY   a mover refused in the last windows that were left
 *   CMA_EAGAIN  a claim or another admission is in progress, or a frame of the group's slots is
 * just being moved, and the port can't wait; or a claim is paused between two steps May sleep.
 */
CMA_MUST_CHECK int cma_guarantee_admit(struct cma_guarantees *guarantees,
                                       struct cma_guarantee *guarantee, struct cma_area *area,
                                       const struct cma_guarantee_request *request,
                                       struct cma_admission *why);

/*
 * Takes one block of the guarantee: `npages` frames from *pfn up are the device's until
 * cma_guarantee_release; contents are what was left there. Never fails while fewer than `count`
 * blocks are out and no other member of the group is open. Returns 0, or
 *   CMA_ENOMEM  all `count` blocks are out: that many were promised (CMA_REASON_PROMISED)
 *   CMA_EBUSY   another member of the group is open (CMA_REASON_GROUP)
 *   CMA_EAGAIN  a mover is just letting go of a frame, or moving it away, or the group's slots are
 *               being emptied for a new member, and the port can't wait
 *   CMA_EBADF   the guarantee is not admitted
 * May sleep: in movers' callbacks, and for movers that are just letting go.
 */
struct cma_guarantee_work {
    uint32_t copied, dropped; /* pages */
    uint32_t flushes;         /* of the TLB */
};
CMA_MUST_CHECK int cma_guarantee_take(struct cma_guarantee *guarantee, cma_pfn_t *pfn,
                                      struct cma_guarantee_work *work, /* NULL: not wanted */
                                      struct cma_refusal *refusal);

/*
 * Gives a block back. With `quiet` false the device may still write to it: the block stays
 * allocated, lent to nobody and counted among those that are out, until cma_guarantee_quiet says
 * that the device has acknowledged that it is quiet. Returns 0, CMA_EBADF (no block of this
 * guarantee that is out begins there, or it was given back already). Sleeps: no.
 */
CMA_MUST_CHECK int cma_guarantee_release(struct cma_guarantee *guarantee, cma_pfn_t pfn,
                                         bool quiet);
/* Ends such a release. Returns 0 or CMA_EBADF (none is in progress there). Sleeps: no. */
CMA_MUST_CHECK int cma_guarantee_quiet(struct cma_guarantee *guarantee, cma_pfn_t pfn);

/*
 * Ends a guarantee. Its slots are ordinary frames of the area again, with whoever is in them; slots
 * shared in a group stay until its last member is revoked. Returns 0, CMA_EBUSY (blocks are out;
 * nothing has changed), CMA_EAGAIN (an admission is in progress, or a frame is being moved out, and
 * the port can't wait) or CMA_EBADF (not admitted). May sleep.
 */
CMA_MUST_CHECK int cma_guarantee_revoke(struct cma_guarantee *guarantee);

struct cma_guarantee_stats {
    uint32_t count;            /* blocks promised */
    uint32_t live, live_worst; /* out now; the most at a time */
    uint64_t npages;           /* of the slots that it may take, shared ones too */
    uint64_t idle_npages;      /* of these, in no device's hands */
    uint64_t lent_npages;      /* of these, somebody's data is in */
    uint64_t kept_npages;      /* of these, must be copied */
    uint64_t taken;            /* blocks taken so far */
    uint32_t copied_worst, dropped_worst, flushes_worst; /* of one block */
};
/* A snapshot. Sleeps: no. */
void cma_guarantee_stats(const struct cma_guarantee *guarantee, struct cma_guarantee_stats *stats);

/* One slot, for looking at: by index, 0 up. Returns 0 or CMA_ENOENT past the last. Sleeps: no. */
struct cma_slot_info {
    cma_pfn_t pfn;
    uint64_t npages;
    uint32_t owner; /* tag of who has its block, or else of who was promised it first */
    bool out;       /* in a device's hands */
    bool returning; /* given back, and the device is not quiet yet */
    uint64_t lent_npages, kept_npages;
};
int cma_guarantees_slot(struct cma_guarantees *guarantees, uint32_t index,
                        struct cma_slot_info *info);

/*
 * Checks slots, frames and the invariant against each other (other threads quiet): every slot is
 * nobody else's, every count is what the frames say, K(z) <= F(z) for every limit, kept frames at
 * most max_moves. Returns true when all holds, else fills *violation.
 */
bool cma_guarantees_check(const struct cma_guarantees *guarantees, struct cma_violation *violation);

#ifdef __cplusplus
}
#endif
#endif
