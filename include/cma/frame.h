/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * frame.h - who holds each page: frame records, movers, migration, pins (src/frame)
 *
 * The frame table covers the memory that libcma looks after, in spans: a span is a run of frames of
 * one zone (ordinary memory) or of one area. With src/buddy it covers all memory; over an operating
 * system's own allocator it covers the areas only, and a frame outside is simply not tracked.
 *
 * For each frame the table has one *idle* bit and one 8-byte record.
 *   idle bit 1   nobody has the frame: free in the page allocator, or idle in its area
 *   idle bit 0   its record says who has it:
 *       unmovable  for good, until freed; the cookie is the owner's tag
 *       movable    its mover can carry it elsewhere; the cookie is the mover's handle
 *       droppable  its mover can also discard it, for its contents exist elsewhere
 *       claimed    the first frame of a device's buffer: length and owner; the records of the other
 *                  frames of the buffer are empty and not looked at
 *       reserved   not memory for us
 *       none       in a claimed buffer behind its first frame, taken by a claim in progress, or in
 *                  a processor's cache of free pages
 * Frames are grouped in blocks of `1 << block_order` (one lending block; cut at span ends), and
 * each block counts its idle, kept (movable, in areas) and droppable frames, so that nobody walks
 * frames to find out what a run would cost.
 *
 * A *mover* is who holds movable and droppable frames. A frame is moved in two phases:
 *     freeze (no new references, writers held) -> flush -> copy -> commit, or abort
 * and discarded in one. No lock of libcma is held during any call to a mover. While a frame is
 * frozen, every call on it answers CMA_EAGAIN: its holder looks its handle up again and retries.
 *
 * A *pin* stops a frame from moving for as long as its holder likes; a frame of an area is moved
 * out of it first (the pin pays, not the device) or the pin is refused without a trace. A *short
 * reference* may hold a lent frame where it is for a bounded time; claims see it before they copy.
 *
 * Locks: one for all ordinary spans, one for each area's span; never two at once. Records are
 * 32-bit atomics besides. Every function here may be called from several threads at once unless it
 * says otherwise. "Sleeps: no" means that it can be called with interrupts off.
 */
#ifndef CMA_FRAME_H
#define CMA_FRAME_H

#include <cma/map.h>
#include <cma/port.h>
#include <cma/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CMA_ZONES_MAX 8
#define CMA_MOVERS_MAX 32

enum cma_kind {
    CMA_KIND_NONE = 0,
    CMA_KIND_UNMOVABLE,
    CMA_KIND_MOVABLE,
    CMA_KIND_DROPPABLE,
    CMA_KIND_CLAIMED,
    CMA_KIND_RESERVED
};

/* "none", "unmovable", ... Never NULL. */
const char *cma_kind_name(enum cma_kind kind);

/*
 * A zone: memory up to an address that some devices can reach, or that is not linearly mapped.
 * Zones are given in ascending order and nest: whoever reaches a zone reaches those below it.
 */
#define CMA_ZONE_UNMAPPED (1u << 0) /* highmem: port->vaddr gives NULL there */
struct cma_zone {
    cma_paddr_t last; /* highest address of the zone; the last zone ends at CMA_PADDR_MAX */
    uint32_t flags;   /* CMA_ZONE_* */
};

/*
 * What a mover can do. All its callbacks may be called by several threads at once, for different
 * frames; for one frame never two at once. They are called without any lock of libcma held, and
 * must not take a lock that a caller of an allocation may hold. During a callback its frame is
 * frozen: a call on it from inside answers CMA_EAGAIN.
 *
 * A mover keeps for each handle which frame it has, under a lock of its own that commit and discard
 * take too. Who looks a handle's frame up and then releases, frees, keeps or references it does
 * both under that lock (those calls do not sleep); on CMA_EAGAIN it drops the lock and looks again.
 * So no call ever reaches a frame that meanwhile went to somebody else.
 *
 * Callbacks can come as soon as a frame is published, before cma_pages_alloc has returned its
 * number: a mover that doesn't know the frame yet answers CMA_ENOENT, or asks for CMA_PAGES_REF.
 */
struct cma_move {
    cma_pfn_t from, to; /* `to` is valid in commit_many only */
    uint32_t cookie;
};
struct cma_mover {
    const char *name;
    void *ctx;
    cma_paddr_t paddr_last; /* its data may lie up to this address */
    uint32_t flags;         /* CMA_MOVER_* */

    /*
     * Phase one for the frame `pfn` held under `cookie`: from return until commit or abort nobody
     * writes to it and no new reference is given out; those who want to, wait. Returns 0,
     * CMA_EBUSY (refused: allowed only with CMA_MOVER_MAY_REFUSE), or CMA_ENOENT (the mover is
     * just freeing it, or has just got it: libcma tries again). Bounded time. Never NULL.
     */
    int (*freeze)(void *ctx, cma_pfn_t pfn, uint32_t cookie);
    /* Phase two: the data is at `to` now, and `from` is not the mover's any more. Cannot fail. */
    void (*commit)(void *ctx, cma_pfn_t from, cma_pfn_t to, uint32_t cookie);
    /* Phase two, the other way: nothing has changed, writers go on. Cannot fail. */
    void (*abort)(void *ctx, cma_pfn_t pfn, uint32_t cookie);
    /*
     * Forgets a droppable frame: 0 when no reference is left and the frame is not the mover's any
     * more (mappings that it removed are flushed by libcma before anybody gets the frame);
     * CMA_EBUSY when it is just getting dirty or is refused: a claim then moves the frame instead;
     * CMA_ENOENT as above. NULL: this mover holds no droppable frames.
     */
    int (*discard)(void *ctx, cma_pfn_t pfn, uint32_t cookie);

    /*
     * The same three for many frames of this mover in one call, 1 to 64 in ascending order, so that
     * a lock of the mover's is taken once: areas with an engine (cma_area_engine) call these
     * instead where they are not NULL. freeze_many and discard_many go on from the front up to the
     * first frame that they have to answer no for; they return how many they did and, when that is
     * less than nmoves, set *error to what freeze or discard would have returned for the next one.
     */
    uint32_t (*freeze_many)(void *ctx, const struct cma_move *moves, uint32_t nmoves, int *error);
    void (*commit_many)(void *ctx, const struct cma_move *moves, uint32_t nmoves);
    uint32_t (*discard_many)(void *ctx, const struct cma_move *moves, uint32_t nmoves, int *error);
};

#define CMA_MOVER_MAY_REFUSE (1u << 0)   /* freeze and discard may answer CMA_EBUSY */
#define CMA_MOVER_NEEDS_MEMORY (1u << 1) /* its callbacks allocate: never under a guarantee */

/* Lend classes: of an area, and of a slot inside of one (guarantee.h). */
enum cma_lend_class {
    CMA_LEND_NONE = 0, /* kept aside */
    CMA_LEND_ORDINARY, /* to movers of any kind */
    CMA_LEND_SLOT      /* only to movers that never refuse and need no memory */
};

/*
 * A slot: a run of an area's frames that a device was promised (guarantee.h). To claims, to the
 * index and to everybody else who looks for free frames it is a window that somebody has isolated.
 * Its frames that nobody has are neither idle nor held, those that it lends are held and isolated.
 */
#define CMA_SLOTS_MAX 65535u
struct cma_guarantee;
struct cma_slot {
    /* private */
    cma_pfn_t pfn;
    uint32_t npages;             /* atomic */
    uint32_t record;             /* atomic: index of its first frame's record */
    uint32_t sorted;             /* atomic: the number of the slot at this place in address order */
    uint32_t state;              /* atomic: enum cma_slot_state in src/frame/slot.h */
    uint32_t lent;               /* atomic: frames with somebody's data */
    uint32_t kept;               /* atomic: of these, booked as not droppable; at most max_moves */
    uint32_t hint;               /* atomic: where who borrows begins to look */
    uint32_t gone;               /* atomic: so many of its first frames have left it, as it ends */
    uint32_t max_moves;          /* the least of those who share it */
    struct cma_span *span;       /* the first of its area's */
    struct cma_guarantee *first; /* who was promised it first */
    struct cma_guarantee *taker; /* who has its block, or NULL */
    cma_pfn_t block_pfn;         /* where that begins */
};

struct cma_slots_ops; /* private: src/frame/slot.h */

/* All slots of a table. */
struct cma_slots {
    /* private */
    const struct cma_slots_ops *ops;
    struct cma_frames *frames;
    struct cma_slot *slots; /* the caller's */
    uint32_t nslots;        /* how many there can be */
    uint32_t nsorted;       /* atomic: how many there are */
    uint32_t turn;          /* atomic: odd while their order is being changed */
    uint32_t next;          /* atomic: where who borrows begins to look, by address order */
    uint32_t busy;          /* an admission or a revocation is in progress; under the lock */
    struct cma_lock lock;   /* of states, takers and `busy` */
};

/* private: 8 bytes a frame */
struct cma_frame_record {
    uint32_t word; /* atomic: kind, flags, mover, pins, short references (src/frame/word.h) */
    uint32_t cookie;
};

/* private: 8 bytes a block */
struct cma_block {
    uint16_t idle, kept, droppable; /* frames with the idle bit; movable, areas only; droppable */
    uint16_t flags;                 /* CMA_BLOCK_* in src/frame/table.h: lent, ... */
};

/* private: a run of frames of one zone or one area */
struct cma_span {
    cma_pfn_t pfn;
    uint32_t npages;
    uint32_t record; /* index of its first frame's record */
    uint32_t block;  /* index of its first block; blocks are aligned by pfn */
    uint32_t nblocks;
    uint32_t tree; /* word in `available` and `reclaim` where its bit trees begin */
    uint32_t zone; /* index of the zone of its last frame */
    uint32_t is_area;
    uint32_t lend_class; /* enum cma_lend_class, areas only */
    uint32_t lane;       /* an area can be several spans in a row: its number among them */
    uint32_t runs;       /* word in `runs` where its index begins; areas only, 0: it has none */
    uint32_t emptying;   /* atomic: claims in progress; no destination is taken from an area that
                          * has any. Of an area's first span only */
    uint32_t passing; /* atomic: frames that are nobody's for a moment (destinations, releases) */
    uint32_t pinned;  /* of areas: frames pinned in place */
    struct cma_lock lock; /* of areas; ordinary spans share the table's */
};

struct cma_frames_index; /* private: src/frame/runs.h */
extern const struct cma_frames_index cma_frames_index;

struct cma_frames_config {
    const struct cma_port *port;
    const struct cma_zone *zones; /* lives as long as the table; NULL: one zone, all mapped */
    uint32_t nzones;              /* up to CMA_ZONES_MAX */
    uint32_t block_order; /* 5 to 12; 0: of 7, 8 and 9 (512 pages) what needs least storage */
    bool areas_only;      /* the table covers areas only: a host's allocator has the rest */
    /*
     * &cma_frames_index: areas get an index of their runs, 0.01 to 0.08 bytes a page, with which an
     * area's engine (area.h) finds windows. NULL: windows are found by a walk over blocks.
     */
    const struct cma_frames_index *index;
    /*
     * With an index: each large area is cut into up to so many parts, each with a lock of its own,
     * on one of which each processor begins. For so many processors that claim at once; one part
     * packs best. 0: 1.
     */
    uint32_t lanes;
    uint32_t lane_npages; /* the least that is worth a lane; 0: 8,192 */
};

/* What the page allocator does for areas: one implementation is src/buddy, another the operating
 * system's own. `ctx` is passed to each. Called without locks of libcma. */
struct cma_destination {
    cma_paddr_t paddr_last; /* the frame must lie at or below */
    cma_pfn_t from;         /* the frame that moves, for a host that cares about nearness */
    uint32_t flags;         /* CMA_DESTINATION_* */
    uint32_t npages;        /* at most so many, 1 up */
};
#define CMA_DESTINATION_PINNED (1u << 0) /* will be pinned there: outside of all areas */
/* For kept frames of slots, one booked frame each: a frame of ordinary memory is there for it, and
 * is taken together with the booking. Never asked of a host. */
#define CMA_DESTINATION_PROMISED (1u << 1)
struct cma_pages_request;
struct cma_pages_ops {
    void *ctx;
    /*
     * The frames [pfn, pfn + npages) of an area, all idle, may be given to movable and droppable
     * requests from now on. Each one that is handed out is published first (cma_frame_publish).
     * Where calls race, a frame can be offered that the host has already: it keeps it once. Called
     * for a block that an area lends, for what a claim leaves of lent blocks, and for the frame
     * that a pin has moved out of its area. So that a host's lists never differ from what is lent,
     * it holds a lock of its own during this and take_back, and from cma_frame_publish until it
     * has forgotten a frame that could not be published, and from cma_frame_release until the
     * frame is in its lists.
     * Returns 0 or CMA_ENOMEM (nothing was taken). NULL: src/buddy, which looks at the table.
     */
    int (*lend)(void *ctx, cma_pfn_t pfn, uint32_t npages, enum cma_lend_class lend_class);
    /*
     * No frame of [pfn, pfn + npages) is handed out any more: those that are free in the
     * allocator's lists leave them now; those that are held stay held, and cma_frame_release will
     * say, when they are freed, that they are not the allocator's. Cannot fail. NULL: as above.
     */
    void (*take_back)(void *ctx, cma_pfn_t pfn, uint32_t npages);
    /*
     * Frames that data of an area can move to: outside of areas that are being emptied, in the
     * highest zone that paddr_last allows, below floors too, but not those that guarantees need
     * (except with CMA_DESTINATION_PROMISED), droppable data being discarded for one when nothing
     * is free. They count as neither free nor held until the data has moved or
     * they are put back; from a host they are ones that the table doesn't track.
     * Returns how many it gave, 1 to want->npages, side by side from *pfn up (one is always right;
     * more where it costs nothing), or CMA_ENOMEM. May sleep. Never NULL.
     */
    int (*destination)(void *ctx, const struct cma_destination *want, cma_pfn_t *pfn);
    /* Gives unused destinations back, side by side, whether they were given together or not. Never
     * NULL. */
    void (*destination_put)(void *ctx, cma_pfn_t pfn, uint32_t npages);
    /* How many destinations with addresses up to paddr_last could be had now, as long as nobody
     * else takes one: never more. Never NULL. */
    uint64_t (*room)(void *ctx, cma_paddr_t paddr_last);
    /*
     * From now on npages frames with addresses up to paddr_last stay free for destinations:
     * ordinary requests may not go below. Replaces the floor of that limit. Returns 0, CMA_EINVAL
     * (no zone ends there), or CMA_ENOMEM (less is free now; nothing changed). NULL: no floors.
     */
    int (*floor)(void *ctx, cma_paddr_t paddr_last, uint64_t npages);
    /* Unmovable, physically contiguous pages for devices without an area, and back. Both NULL:
     * devices get memory from areas only. May sleep. */
    int (*alloc)(void *ctx, const struct cma_pages_request *request, cma_pfn_t *pfn,
                 struct cma_refusal *refusal);
    int (*free)(void *ctx, cma_pfn_t pfn, uint32_t npages, uint32_t owner);
    /* How many frames of the table the allocator's caches hold, for cma_frames_check. NULL: 0. */
    uint64_t (*cached)(void *ctx);
};

struct cma_frames {
    /* private */
    const struct cma_port *port;
    struct cma_span *spans; /* in address order */
    uint32_t nspans;
    uint32_t block_order;
    bool areas_only;
    struct cma_frame_record *records;
    uint32_t nrecords;
    struct cma_block *blocks;
    uint32_t nblocks;
    uint32_t *idle;      /* one bit a frame, `1 << block_order` bits a block */
    uint32_t *available; /* bit trees over a span's blocks: idle frames to be handed out */
    uint32_t *reclaim;   /* bit trees over a span's blocks: droppable frames, ordinary spans only */
    uint32_t *runs;      /* indexes of areas' runs (src/frame/runs.c), or NULL */
    const struct cma_frames_index *index;
    struct cma_zone zones[CMA_ZONES_MAX];
    uint32_t nzones;
    uint64_t zone_idle[CMA_ZONES_MAX];      /* idle frames of ordinary spans; under `lock` */
    uint64_t zone_droppable[CMA_ZONES_MAX]; /* of these spans, not pinned, by sure movers */
    /* Frames up to the end of this zone that kept frames of slots need: atomic, each raised under
     * `lock`, where there is that much; for a moment it can be below 0. */
    uint32_t zone_promised[CMA_ZONES_MAX];
    struct cma_slots *slots; /* NULL: no guarantees */
    struct cma_lock lock;    /* of all ordinary spans */
    const struct cma_mover *movers[CMA_MOVERS_MAX];
    uint32_t nmovers;
    const struct cma_pages_ops *ops;
    uint32_t event;   /* atomic: changes whenever a frozen or referenced frame is let go */
    uint32_t waiters; /* atomic */
    uint64_t nbytes;  /* of the caller's storage in use */
};

/*
 * Bytes of storage that cma_frames_init needs for this map: 8 a frame, plus 1 bit, plus 8 a block.
 * 0 when the arguments are malformed. Storage is aligned to 8.
 */
uint64_t cma_frames_size(const struct cma_map *map, const struct cma_frames_config *config);

/*
 * Builds the table: free memory becomes ordinary spans (idle), areas become area spans (idle, lent
 * to nobody), everything else is left out. Called once, before other threads know `frames`.
 * Partial pages at the edges of ranges are left out. Returns 0, CMA_EINVAL (config, port, zones not
 * ascending), CMA_ENOMEM (nbytes is less than cma_frames_size).
 */
CMA_MUST_CHECK int cma_frames_init(struct cma_frames *frames, const struct cma_map *map,
                                   const struct cma_frames_config *config, void *storage,
                                   uint64_t nbytes);

/* Who gives destinations; set once at boot, by cma_pages_init or by a host. */
void cma_frames_set_ops(struct cma_frames *frames, const struct cma_pages_ops *ops);

/*
 * Makes a mover known; the struct must live as long as the table. Returns its number (1 up), which
 * requests and cma_frame_publish name it by, CMA_EINVAL (freeze, commit or abort NULL) or
 * CMA_ENOMEM (CMA_MOVERS_MAX reached). Call before any frame is published with it.
 */
CMA_MUST_CHECK int cma_mover_register(struct cma_frames *frames, const struct cma_mover *mover);

/* Who holds a frame. */
struct cma_holder {
    enum cma_kind kind; /* UNMOVABLE, MOVABLE, DROPPABLE */
    uint32_t mover;     /* its number; 0 for unmovable */
    uint32_t cookie;    /* the mover's handle, or the owner's tag */
};

/*
 * An idle frame becomes `holder`'s (for hosts; src/buddy does it inside its allocation). Take, then
 * publish: the caller took the frame out of its free lists and nobody has written to it. Returns 0,
 * CMA_EAGAIN (a claim took the frame meanwhile: it is gone, take another), CMA_ENOENT (not
 * tracked), CMA_EINVAL (holder malformed, unmovable in an area, or against the lend class; of a
 * slot: not droppable, or a mover that may refuse or needs memory), CMA_EBADF (held by somebody).
 * Sleeps: no.
 */
CMA_MUST_CHECK int cma_frame_publish(struct cma_frames *frames, cma_pfn_t pfn,
                                     const struct cma_holder *holder);

/*
 * The holder lets go of one frame. Returns 1 (idle again: the host may put it into its free lists),
 * 0 (a claim is waiting for it, or its block is no longer lent: forget it), CMA_EAGAIN (it is being
 * moved: look your handle up again), CMA_EBUSY (a short reference is on it), CMA_EBADF (idle,
 * pinned, or not published), CMA_ENOENT (not tracked). Sleeps: no.
 */
CMA_MUST_CHECK int cma_frame_release(struct cma_frames *frames, cma_pfn_t pfn);

/*
 * A droppable frame is about to get dirty: it becomes movable; and the reverse, once its contents
 * are safe elsewhere. Returns 0 (also when it is so already), CMA_EAGAIN (being discarded or
 * moved), CMA_EBUSY (keep only: it lies in a slot and can't stay there: cma_frame_move_out, then
 * look up and try again), CMA_EBADF (neither movable nor droppable), CMA_EINVAL (its mover can't
 * discard), CMA_ENOENT. Sleeps: no.
 */
CMA_MUST_CHECK int cma_frame_keep(struct cma_frames *frames, cma_pfn_t pfn);
CMA_MUST_CHECK int cma_frame_allow_drop(struct cma_frames *frames, cma_pfn_t pfn);

/*
 * Moves a frame of a slot out of it, to where it can be kept, referenced and stay: *to. A frame
 * that is in no slot stays: *to is pfn. Call it without the lock that the mover's callbacks take.
 * The frame may have been freed and be somebody else's by the time of the call: who has called
 * looks his handle up again afterwards, here as after cma_frame_pin, and compares. Returns 0,
 * CMA_EAGAIN (being moved: look up again), CMA_ENOMEM (nowhere to move to that is not promised),
 * CMA_EBADF (not held), CMA_ENOENT; on failure nothing has changed. May sleep.
 */
CMA_MUST_CHECK int cma_frame_move_out(struct cma_frames *frames, cma_pfn_t pfn, cma_pfn_t *to);

/*
 * Pins a frame where it is, or, when it is in an area, moves it out and pins it there: *pinned is
 * the frame that is pinned. Returns 0, CMA_EAGAIN (being moved: look up again), CMA_EBUSY (its
 * mover refused, or a short reference or claim is on it), CMA_ENOMEM (nowhere to move to),
 * CMA_EBADF (not held), CMA_ENOENT; on failure nothing has changed. Up to 1,023 pins a frame, then
 * CMA_EOVERFLOW. When *pinned is a frame that the table doesn't track (a host's), the host counts
 * the pin itself. May sleep.
 */
CMA_MUST_CHECK int cma_frame_pin(struct cma_frames *frames, cma_pfn_t pfn, cma_pfn_t *pinned);
/*
 * For hosts whose pins can't move a frame first: pins it where it is, in an area too. Claims see it
 * before they copy anything and go elsewhere; what was promised of the area is that much less.
 * Returns 0, CMA_EAGAIN (being moved or claimed: look up again), CMA_EPERM (a lent slot: these must
 * move), CMA_EBADF (not held), CMA_EOVERFLOW, CMA_ENOENT. Sleeps: no.
 */
CMA_MUST_CHECK int cma_frame_pin_in_place(struct cma_frames *frames, cma_pfn_t pfn);
/* Returns 0, CMA_EBADF (not pinned) or CMA_ENOENT. Sleeps: no. */
int cma_frame_unpin(struct cma_frames *frames, cma_pfn_t pfn);

/*
 * Takes and drops a short reference: the frame stays where it is until it is dropped, which must be
 * within a bounded time and without allocating. Returns 0, CMA_EAGAIN (being moved or taken by a
 * claim), CMA_EBADF (not held), CMA_EBUSY (lent slots allow none), CMA_EOVERFLOW, CMA_ENOENT.
 * Sleeps: no.
 */
CMA_MUST_CHECK int cma_frame_ref(struct cma_frames *frames, cma_pfn_t pfn);
int cma_frame_unref(struct cma_frames *frames, cma_pfn_t pfn);

/* A snapshot of one frame. */
struct cma_frame_info {
    enum cma_kind kind; /* NONE when idle or inside a claimed buffer */
    bool idle, frozen, isolated, in_area, lent;
    bool slot; /* in a slot, lent or not; `isolated` is false then */
    uint32_t mover, cookie, pins, refs;
    uint32_t npages; /* of the buffer or allocation that begins here; 0 otherwise */
};
/* Returns 0 or CMA_ENOENT (not tracked). Sleeps: no. */
int cma_frame_info(const struct cma_frames *frames, cma_pfn_t pfn, struct cma_frame_info *info);

/* Waits until some frame was let go since `seen` was read (cma_frames_event); returns at once when
 * it was. Returns 0, or CMA_EAGAIN when the port has no wait hook. May sleep. */
uint32_t cma_frames_event(const struct cma_frames *frames);
int cma_frames_wait(struct cma_frames *frames, uint32_t seen);

/* What cma_frames_check found first. */
struct cma_violation {
    const char *what; /* a sentence, NULL when all is well */
    cma_pfn_t pfn;
};
/*
 * Walks everything: idle bits, records, block counts, bit trees and zone counts agree; nothing
 * unmovable or pinned is in an area; nothing is frozen or isolated unless `busy`. Returns true when
 * all holds. Other threads must be quiet. Sleeps: no.
 */
bool cma_frames_check(const struct cma_frames *frames, bool busy, struct cma_violation *violation);

#ifdef __cplusplus
}
#endif
#endif
