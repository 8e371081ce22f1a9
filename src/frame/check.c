/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * check.c - what a frame is, and whether the whole table tells one story
 *
 * The check recounts everything from idle bits and records, which are the truth, and compares what
 * was kept beside them: block counts, bit trees, zone counts.
 */
#include "table.h"

#include "../base/atomic.h"
#include "../base/bitmap.h"
#include "../base/bittree.h"
#include "account.h"
#include "runs.h"
#include "slot.h"
#include "word.h"

const char *cma_kind_name(enum cma_kind kind)
{
    switch (kind) {
    case CMA_KIND_NONE: return "none";
    case CMA_KIND_UNMOVABLE: return "unmovable";
    case CMA_KIND_MOVABLE: return "movable";
    case CMA_KIND_DROPPABLE: return "droppable";
    case CMA_KIND_CLAIMED: return "claimed";
    case CMA_KIND_RESERVED: return "reserved";
    }
    return "unknown";
}

/* The frames of the allocation that begins at pfn. */
static uint32_t check_length(const struct cma_frames *frames, const struct cma_span *span,
                             cma_pfn_t pfn)
{
    uint32_t npages = 1;

    while (pfn + npages <= span_last(span)) {
        uint32_t word = atom_peek(&span_record(frames, span, pfn + npages)->word);

        if (!word_is_held(word) || (word & WORD_HEAD) != 0) {
            break;
        }
        npages++;
    }
    return npages;
}

int cma_frame_info(const struct cma_frames *frames, cma_pfn_t pfn, struct cma_frame_info *info)
{
    const struct cma_span *span = cma__span_of(frames, pfn);
    const struct cma_frame_record *record;
    struct cma_buffer buffer;
    uint32_t word;

    if (span == NULL) {
        return CMA_ENOENT;
    }
    record = span_record(frames, span, pfn);
    word = atom_load(&record->word);
    *info = (struct cma_frame_info){
        .kind = word_kind(word),
        .idle = bitmap_test(frames->idle, span_bit(frames, span, pfn)),
        .in_area = span->is_area != 0,
        .lent = (atom_peek16(&span_block_at(frames, span, pfn)->flags) & CMA_BLOCK_LENT) != 0,
    };
    info->slot = cma__slot_find(frames, span, pfn) != NULL;
    if (cma__frames_buffer(frames, span, pfn, word, &buffer)) {
        info->kind = CMA_KIND_CLAIMED;
        info->cookie = buffer.owner;
        info->npages = buffer.npages;
        return CMA_OK;
    }
    if (info->kind == CMA_KIND_NONE) {
        return CMA_OK;
    }
    info->cookie = atom_peek(&record->cookie);
    info->frozen = (word & WORD_FROZEN) != 0;
    info->isolated = (word & WORD_ISOLATED) != 0 && !info->slot;
    info->mover = word_mover(word);
    info->pins = (word & WORD_PINS) / WORD_PIN;
    info->refs = (word & WORD_REFS) / WORD_REF;
    info->npages = (word & WORD_HEAD) != 0 ? check_length(frames, span, pfn) : 0;
    return CMA_OK;
}

/* --- the whole table ----------------------------------------------------------------------- */

/* What a walk has seen so far. */
struct check_walk {
    const struct cma_frames *frames;
    const struct cma_span *span;
    bool busy;
    uint32_t claimed;               /* frames of a buffer that are still to come */
    uint32_t idle, kept, droppable; /* of this block */
    uint32_t pinned;                /* in place, of this span */
    uint32_t previous;              /* the word of the frame before, 0 at a span's beginning */
    uint32_t previous_cookie;
    uint64_t zone_idle[CMA_ZONES_MAX], zone_droppable[CMA_ZONES_MAX];
    uint64_t cached;
    const char *what;
};

static bool check_that(struct check_walk *walk, bool holds, const char *what)
{
    if (!holds) {
        walk->what = what;
    }
    return holds;
}

/* Counts a held frame and judges its word. */
static bool check_held(struct check_walk *walk, cma_pfn_t pfn, uint32_t word, uint32_t cookie)
{
    const struct cma_frames *frames = walk->frames;
    const struct cma_span *span = walk->span;
    uint32_t mover = word_mover(word);
    bool unmovable = word_kind(word) == CMA_KIND_UNMOVABLE;
    bool head = (word & WORD_HEAD) != 0;

    if (unmovable) {
        if (!check_that(walk, span->is_area == 0, "an unmovable frame lies in an area") ||
            !check_that(walk, mover == 0, "an unmovable frame has a mover")) {
            return false;
        }
    } else if (!check_that(walk, mover != 0 && mover <= frames->nmovers, "no such mover") ||
               !check_that(walk, head, "a movable frame is inside an allocation")) {
        return false;
    }
    if (!check_that(walk,
                    head || (word_kind(walk->previous) == CMA_KIND_UNMOVABLE &&
                             walk->previous_cookie == cookie),
                    "the inside of an allocation has no beginning") ||
        !check_that(walk,
                    span->is_area == 0 || (word & WORD_PINS) == 0 || walk->pinned++ < span->pinned,
                    "a pinned frame lies in an area") ||
        !check_that(walk, walk->busy || (word & WORD_FROZEN) == 0, "a frame is left frozen") ||
        !check_that(walk,
                    walk->busy || ((word & WORD_ISOLATED) != 0) ==
                                      (cma__slot_find(frames, span, pfn) != NULL),
                    "a frame is left isolated, or is not and lies in a slot") ||
        !check_that(walk, span->is_area != 0 || (word & WORD_ISOLATED) == 0,
                    "a frame outside of areas is isolated") ||
        !check_that(walk, (word & WORD_FROZEN) == 0 || (word & WORD_REFS) == 0,
                    "a frozen frame is referenced")) {
        return false;
    }
    walk->kept += word_kind(word) == CMA_KIND_MOVABLE && span->is_area != 0 ? 1 : 0;
    walk->droppable += word_kind(word) == CMA_KIND_DROPPABLE ? 1 : 0;
    if (word_kind(word) == CMA_KIND_DROPPABLE && span->is_area == 0 && (word & WORD_PINS) == 0 &&
        cma__mover_is_sure(frames, mover)) {
        walk->zone_droppable[span->zone]++;
    }
    return true;
}

/* Frames from this span's first one to the end of its area. */
static uint32_t check_area_npages(const struct check_walk *walk)
{
    const struct cma_span *end = walk->frames->spans + walk->frames->nspans;
    const struct cma_span *span = walk->span;
    uint32_t npages = 0;

    do {
        npages += (span++)->npages;
    } while (span < end && span->lane != 0);
    return npages;
}

static bool check_frame(struct check_walk *walk, cma_pfn_t pfn, uint32_t offset)
{
    const struct cma_frame_record *record = span_record(walk->frames, walk->span, pfn);
    bool idle = bitmap_test(walk->frames->idle, span_bit(walk->frames, walk->span, pfn));
    uint32_t word = atom_load(&record->word);
    uint32_t cookie = record->cookie;
    struct cma_buffer buffer;
    bool begins = cma__frames_buffer(walk->frames, walk->span, pfn, word, &buffer);
    bool good;

    if (walk->claimed != 0) {
        walk->claimed--;
        good = check_that(walk, !idle, "a frame of a buffer is idle") &&
               check_that(walk, word == 0 && !begins, "a frame inside a buffer has a holder");
    } else if (idle) {
        walk->idle++;
        good = check_that(walk, word == 0 && !begins, "an idle frame has a holder") &&
               check_that(walk, cma__slot_find(walk->frames, walk->span, pfn) == NULL,
                          "a frame of a slot is idle");
    } else if (word_is_held(word)) {
        good = check_held(walk, pfn, word, cookie);
    } else if (word == WORD_CACHED) {
        walk->cached++;
        good = check_that(walk, walk->span->is_area == 0, "a cached frame lies in an area");
    } else if (begins) {
        good = check_that(walk, walk->span->is_area != 0, "a buffer lies outside of areas") &&
               check_that(walk,
                          buffer.npages != 0 && buffer.npages <= check_area_npages(walk) - offset,
                          "a buffer is longer than its area");
        walk->claimed = good ? buffer.npages - 1 : 0;
    } else {
        good = check_that(walk, word == 0, "no such kind of frame") &&
               check_that(walk, walk->busy || cma__slot_find(walk->frames, walk->span, pfn) != NULL,
                          "a frame is lost: neither idle nor anybody's");
    }
    walk->previous = word;
    walk->previous_cookie = cookie;
    return good;
}

/* A block's counts and its bits in the trees. */
static bool check_block(struct check_walk *walk, uint32_t number)
{
    const struct cma_frames *frames = walk->frames;
    const struct cma_span *span = walk->span;
    const struct cma_block *block = span_block(frames, span, number);
    const uint32_t *available = frames->available + span->tree;
    const uint32_t *reclaim = frames->reclaim + span->tree;
    bool lent = span->is_area == 0 || (block->flags & CMA_BLOCK_LENT) != 0;

    return check_that(walk, block->idle == walk->idle, "a block's count of idle frames") &&
           check_that(walk, block->kept == walk->kept, "a block's count of kept frames") &&
           check_that(walk, block->droppable == walk->droppable,
                      "a block's count of droppable frames") &&
           check_that(walk, bitmap_test(available, number) == (lent && block->idle != 0),
                      "the tree of available blocks") &&
           check_that(walk,
                      bitmap_test(reclaim, number) == (span->is_area == 0 && block->droppable != 0),
                      "the tree of reclaimable blocks");
}

/* Idle bits of a block that lie outside of its span. */
static uint32_t check_stray_bits(const struct check_walk *walk, uint32_t number)
{
    const struct cma_frames *frames = walk->frames;
    uint32_t nbits = UINT32_C(1) << frames->block_order;
    uint32_t base = (walk->span->block + number) << frames->block_order;

    return cma__bitmap_count(frames->idle, base, base + (nbits - 1)) - walk->idle;
}

static bool check_span(struct check_walk *walk, cma_pfn_t *pfn)
{
    const struct cma_frames *frames = walk->frames;
    const struct cma_span *span = walk->span;

    if (span->lane == 0) {
        walk->claimed = 0;
    }
    walk->pinned = 0;
    walk->previous = 0;
    for (uint32_t number = 0; number < span->nblocks; number++) {
        uint32_t npages;

        cma__span_block_range(frames, span, number, pfn, &npages);
        walk->idle = walk->kept = walk->droppable = 0;
        for (; npages != 0; npages--, (*pfn)++) {
            if (!check_frame(walk, *pfn, (uint32_t)(*pfn - span->pfn))) {
                return false;
            }
        }
        (*pfn)--;
        if (!check_that(walk, check_stray_bits(walk, number) == 0, "an idle bit without a frame") ||
            !check_block(walk, number)) {
            return false;
        }
        if (span->is_area == 0) {
            walk->zone_idle[span->zone] += walk->idle;
        }
    }
    return check_that(walk,
                      cma__bittree_check(frames->available + span->tree, span->nblocks) &&
                          cma__bittree_check(frames->reclaim + span->tree, span->nblocks),
                      "a tree's upper levels") &&
           check_that(walk, walk->busy || (span->passing == 0 && span->emptying == 0),
                      "a count of frames in passing or of claims is left over") &&
           check_that(walk, walk->pinned == span->pinned, "pins in place are miscounted") &&
           check_that(walk, span->runs == 0 || frames->index->check(frames, span),
                      "a run is missing in the index, or a block is whole in it and is not");
}

static uint64_t check_cached(const struct cma_frames *frames)
{
    return frames->ops != NULL && frames->ops->cached != NULL
               ? frames->ops->cached(frames->ops->ctx)
               : 0;
}

bool cma_frames_check(const struct cma_frames *frames, bool busy, struct cma_violation *violation)
{
    struct check_walk walk = {.frames = frames, .busy = busy};
    cma_pfn_t pfn = CMA_PFN_NONE;

    for (uint32_t i = 0; i < frames->nspans; i++) {
        walk.span = &frames->spans[i];
        if (!check_span(&walk, &pfn)) {
            *violation = (struct cma_violation){.what = walk.what, .pfn = pfn};
            return false;
        }
    }
    pfn = CMA_PFN_NONE;
    if (!check_that(&walk, walk.cached == check_cached(frames),
                    "a cached frame is in no cache, or in two")) {
        *violation = (struct cma_violation){.what = walk.what, .pfn = pfn};
        return false;
    }
    for (uint32_t zone = 0; zone < frames->nzones; zone++) {
        if (!check_that(&walk, walk.zone_idle[zone] == frames->zone_idle[zone],
                        "a zone's count of idle frames") ||
            !check_that(&walk, walk.zone_droppable[zone] == frames->zone_droppable[zone],
                        "a zone's count of droppable frames")) {
            *violation = (struct cma_violation){.what = walk.what, .pfn = pfn};
            return false;
        }
    }
    *violation = (struct cma_violation){.what = NULL, .pfn = CMA_PFN_NONE};
    return true;
}
