/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * slot.h - frames that a device was promised, and who has data in them meanwhile
 *
 * What src/frame and src/buddy call when the table has slots. Behind a struct of functions, so that
 * a program without guarantees does not carry the code. `pfn` is a frame of an area.
 */
#ifndef CMA_FRAME_SLOT_H
#define CMA_FRAME_SLOT_H

#include "../base/atomic.h"
#include "table.h"

enum cma_slot_state {
    CMA__SLOT_UNUSED = 0, /* no slot */
    CMA__SLOT_PLANNED,    /* a place for one; not in `sorted` yet */
    CMA__SLOT_CLAIMED,    /* the same, and a buffer of who is being admitted */
    CMA__SLOT_LENT,       /* in no device's hands: frames come and go */
    CMA__SLOT_TAKING,     /* nobody borrows any more; is being emptied */
    CMA__SLOT_TAKEN,      /* its block is a device's */
    CMA__SLOT_RETURNING   /* given back, but the device is not quiet yet */
};

/* From set_kind and move_out: the frame lies in no slot. */
#define CMA__SLOT_NONE 1

struct cma_run_want;
struct cma_slots_ops {
    /* The slot that the frame with this record lies in, or NULL. Any lock may be held. */
    struct cma_slot *(*find)(const struct cma_slots *slots, uint32_t record);
    /* As cma_frame_publish, for a holder who fits (cma__holder_check) and a frame that nobody has;
     * CMA_EAGAIN too when it lies in no slot. Locked. */
    int (*publish)(struct cma_slots *slots, struct cma_span *span, cma_pfn_t pfn,
                   const struct cma_holder *holder);
    /* The same for any free frame in [want->first, want->last]: 0 and *pfn, or CMA_ENOMEM. */
    int (*borrow)(struct cma_slots *slots, const struct cma_run_want *want,
                  const struct cma_holder *holder, cma_pfn_t *pfn);
    /* As cma_frame_keep and cma_frame_allow_drop. Or CMA__SLOT_NONE. No lock held. */
    int (*set_kind)(struct cma_slots *slots, struct cma_span *span, cma_pfn_t pfn,
                    enum cma_kind kind);
    /* The holder of an isolated frame, whose word this is, is about to let it go. Returns true if a
     * slot lends it again; false too when it lies in no slot. Locked. */
    bool (*left)(struct cma_slots *slots, struct cma_span *span, cma_pfn_t pfn, uint32_t word);
    /* Moves a frame out, pinned there with CMA_DESTINATION_PINNED. As cma_frame_move_out, but
     * CMA_ENOENT: nobody holds it. Or CMA__SLOT_NONE. No lock held. */
    int (*move_out)(struct cma_slots *slots, struct cma_span *span, cma_pfn_t pfn, uint32_t flags,
                    cma_pfn_t *to);
    /* Behind a slot nothing is had by looking at each of its frames, or by waiting. */
    void (*pass)(const struct cma_slots *slots, const struct cma_span *span,
                 struct cma_window_cost *cost);
};
extern const struct cma_slots_ops cma__slots_ops;

/* The slot that a frame lies in, or NULL. `span` is its own, or one of its area's before it. */
struct cma_slot *cma__slot_find(const struct cma_frames *frames, const struct cma_span *span,
                                cma_pfn_t pfn);

/* The number of a frame in its slot. */
static inline uint32_t slot_number(const struct cma_slot *slot, const struct cma_span *span,
                                   cma_pfn_t pfn)
{
    return span->record + (uint32_t)(pfn - span->pfn) - atom_peek(&slot->record);
}

/* --- what is promised of ordinary memory --------------------------------------------------- */

/* The highest zone that data with this limit reaches the whole of; nzones: none. A frame that is
 * booked for it is one up to the end of that zone. */
uint32_t cma__promise_zone(const struct cma_frames *frames, cma_paddr_t paddr_last);
/* Frames of `zone` that may be taken without breaking a promise: the least, for each zone from it
 * up to `end`, of the idle ones up to there less those that are promised up to there. UINT64_MAX
 * where `end` is not above `zone`. Locked (ordinary memory). */
uint64_t cma__promise_spare(const struct cma_frames *frames, uint32_t zone, uint32_t end);
/* One more frame up to the end of `zone` stays free, if there is one. No lock held. */
bool cma__promise_book(struct cma_frames *frames, uint32_t zone);
/* Fewer. Any lock may be held. */
static inline void promise_drop(struct cma_frames *frames, uint32_t zone, uint32_t npages)
{
    (void)atom_sub(&frames->zone_promised[zone], npages);
}
/* Frames of ordinary memory that are destinations of booked data, from when they are taken until
 * they are published, are marked by their cookie. */
#define CMA__PROMISE_MARK(zone) (UINT32_C(0x80000000) | (zone))
/* No promise is broken. Locked, of checked builds. */
bool cma__promise_holds(const struct cma_frames *frames);

/* --- for src/cma --------------------------------------------------------------------------- */

/* A slot begins: its frames, a buffer that `owner` has just claimed, are its own now, and lent.
 * Only during an admission. */
void cma__slot_open(struct cma_slots *slots, struct cma_slot *slot, uint32_t owner);
/* It ends: its frames are ordinary frames of the area, with whoever is in them. Its state is
 * TAKING. Only during a revocation. */
void cma__slot_close(struct cma_slots *slots, struct cma_slot *slot);
/* Who was borrowing a frame when the slot's state changed has done so now. */
void cma__slot_settle(struct cma_slots *slots, const struct cma_slot *slot);
/* The block's buffer is no more: the slot's frames are its own again. */
void cma__slot_retake(struct cma_slots *slots, const struct cma_slot *slot);

#endif
