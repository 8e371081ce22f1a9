/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * table.c - the frame table: how it is laid out and built, and how its books are kept
 *
 * Storage holds, in this order: spans, records (8 bytes a frame), blocks (8 bytes each), idle bits,
 * and two sets of bit trees over blocks. Blocks begin at multiples of their size in the physical
 * address space, so a span may begin and end with a part of one; idle bits and blocks are given
 * whole to the span all the same, so no two spans share a word and each span's lock is enough.
 *
 * The size of blocks is a trade: a small board pays for the cut blocks at the ends of its spans, a
 * large one for the number of blocks. Unless told, the table takes what needs least.
 */
#include "table.h"

#include "../base/atomic.h"
#include "../base/bitmap.h"
#include "../base/bits.h"
#include "../base/bittree.h"
#include "../base/guard.h"
#include "account.h"
#include "runs.h"
#include "slot.h"
#include "word.h"

#define TABLE_ORDER_MIN 5
#define TABLE_ORDER_MAX 12
#define TABLE_NPAGES_MAX (UINT32_C(1) << 31)

/* What the storage has to hold. */
struct table_plan {
    uint32_t order;
    uint32_t nspans, nrecords, nblocks, ntree_words, nrun_words;
    uint64_t nbytes;
};

/* --- layout -------------------------------------------------------------------------------- */

bool cma__pages_within(const struct cma_port *port, cma_paddr_t base, cma_paddr_t last,
                       cma_pfn_t *first_pfn, cma_pfn_t *last_pfn)
{
    uint32_t shift = port->page_shift;
    uint32_t mask = (UINT32_C(1) << shift) - 1;
    /* 2^64 >> shift still fits. */
    cma_pfn_t end = (last >> shift) + ((((uint32_t)last & mask) + 1) >> shift);

    *first_pfn = (base >> shift) + ((((uint32_t)base & mask) + mask) >> shift);
    *last_pfn = end - 1;
    return end > *first_pfn;
}

/* The zone of a frame, and the last frame that this zone has. A page that a zone's end cuts belongs
 * to the zone above: whoever reaches the lower one can't reach all of it. */
static uint32_t table_zone_of(const struct cma_frames_config *config, cma_pfn_t pfn,
                              cma_pfn_t *last_pfn)
{
    uint32_t zone = 0;
    cma_pfn_t first;

    /* The last zone has no end, and where no zones are told there is one. */
    for (; zone + 1 < config->nzones; zone++) {
        if (cma__pages_within(config->port, 0, config->zones[zone].last, &first, last_pfn) &&
            pfn <= *last_pfn) {
            return zone;
        }
    }
    *last_pfn = CMA_PFN_NONE;
    return zone;
}

/* The next run of whole pages that the table covers. */
static bool table_next_piece(const struct cma_map *map, const struct cma_frames_config *config,
                             struct cma_map_cursor *cursor, cma_pfn_t *first, cma_pfn_t *last,
                             bool *is_area)
{
    struct cma_range piece;

    while (cma_map_next(map, cursor, &piece)) {
        *is_area = piece.kind == CMA_RANGE_AREA;
        if ((*is_area || (piece.kind == CMA_RANGE_MEMORY && !config->areas_only)) &&
            cma__pages_within(config->port, piece.base, piece.base + (piece.nbytes - 1), first,
                              last)) {
            return true;
        }
    }
    return false;
}

/* Adds the spans of one piece to the plan, and fills them in where there is a table, all zero. */
static bool table_add_piece(struct table_plan *plan, const struct cma_frames_config *config,
                            cma_pfn_t first, cma_pfn_t last, bool is_area, struct cma_span *spans)
{
    const struct cma_frames_index *index = is_area ? config->index : NULL;
    uint32_t limit = is_area ? CMA__CLAIM_NPAGES_MAX : TABLE_NPAGES_MAX;
    uint32_t lane = 0;

    if (last - first >= limit) {
        return false;
    }
    do {
        cma_pfn_t end;
        uint32_t zone = table_zone_of(config, is_area ? last : first, &end);
        uint32_t skipped = (uint32_t)first & ((UINT32_C(1) << plan->order) - 1);
        uint32_t npages, nblocks;

        if (is_area || end > last) {
            end = last;
        }
        if (index != NULL) {
            end = index->lane_last(config, first, last, plan->order, lane);
        }
        npages = (uint32_t)(end - first) + 1;
        nblocks = ((skipped + (npages - 1)) >> plan->order) + 1;
        if (npages > TABLE_NPAGES_MAX - plan->nrecords ||
            nblocks > (UINT32_MAX >> plan->order) - plan->nblocks ||
            plan->nrun_words > UINT32_MAX / 2) {
            return false;
        }
        if (spans != NULL) {
            struct cma_span *span = &spans[plan->nspans];

            span->pfn = first;
            span->npages = npages;
            span->record = plan->nrecords;
            span->block = plan->nblocks;
            span->nblocks = nblocks;
            span->tree = plan->ntree_words;
            span->zone = zone;
            span->is_area = is_area ? 1 : 0;
            span->lane = lane;
            span->runs = index != NULL ? plan->nrun_words : 0;
        }
        if (index != NULL) {
            /* Of one lane: less than 2^31. */
            plan->nrun_words += index->words(npages, nblocks);
            lane++;
        }
        plan->nspans++;
        plan->nrecords += npages;
        plan->nblocks += nblocks;
        plan->ntree_words += cma__bittree_words(nblocks);
        first = end + 1;
    } while (first <= last);
    return true;
}

static uint64_t table_round_8(uint64_t nbytes)
{
    return (nbytes + 7) & ~UINT64_C(7);
}

/* Plans a table of one block order. False when it can't be. */
static bool table_plan_order(struct table_plan *plan, const struct cma_map *map,
                             const struct cma_frames_config *config, uint32_t order)
{
    struct cma_map_cursor cursor = {0};
    cma_pfn_t first, last;
    bool is_area;

    *plan = (struct table_plan){.order = order, .nrun_words = CMA__RUNS_ALIGN};
    while (table_next_piece(map, config, &cursor, &first, &last, &is_area)) {
        if (!table_add_piece(plan, config, first, last, is_area, NULL)) {
            return false;
        }
    }
    plan->nbytes = (uint64_t)plan->nspans * sizeof(struct cma_span) +
                   (uint64_t)plan->nrecords * sizeof(struct cma_frame_record) +
                   (uint64_t)plan->nblocks * sizeof(struct cma_block) +
                   (uint64_t)((plan->nblocks << order) / 32) * sizeof(uint32_t) +
                   (uint64_t)plan->ntree_words * 2 * sizeof(uint32_t);
    if (plan->nrun_words > CMA__RUNS_ALIGN) {
        /* The first words stay empty, so that no index begins at 0; they are what aligns them. */
        plan->nbytes += (uint64_t)plan->nrun_words * sizeof(uint32_t);
    }
    plan->nbytes = table_round_8(plan->nbytes);
    return plan->nbytes <= SIZE_MAX;
}

static bool table_config_ok(const struct cma_map *map, const struct cma_frames_config *config)
{
    if (map == NULL || config == NULL || cma_port_check(config->port) != CMA_OK) {
        return false;
    }
    if (config->block_order != 0 &&
        (config->block_order < TABLE_ORDER_MIN || config->block_order > TABLE_ORDER_MAX)) {
        return false;
    }
    if (config->zones == NULL) {
        return config->nzones == 0;
    }
    if (config->nzones == 0 || config->nzones > CMA_ZONES_MAX ||
        config->zones[config->nzones - 1].last != CMA_PADDR_MAX) {
        return false;
    }
    for (uint32_t i = 1; i < config->nzones; i++) {
        if (config->zones[i].last <= config->zones[i - 1].last) {
            return false;
        }
    }
    return true;
}

static bool table_plan(struct table_plan *plan, const struct cma_map *map,
                       const struct cma_frames_config *config)
{
    struct table_plan other;

    if (!table_config_ok(map, config)) {
        return false;
    }
    if (config->block_order != 0) {
        return table_plan_order(plan, map, config, config->block_order);
    }
    if (!table_plan_order(plan, map, config, 9)) {
        return false;
    }
    for (uint32_t order = 8; order >= 7; order--) {
        if (table_plan_order(&other, map, config, order) && other.nbytes < plan->nbytes) {
            *plan = other;
        }
    }
    return true;
}

uint64_t cma_frames_size(const struct cma_map *map, const struct cma_frames_config *config)
{
    struct table_plan plan;

    return table_plan(&plan, map, config) ? plan.nbytes : 0;
}

int cma_frames_init(struct cma_frames *frames, const struct cma_map *map,
                    const struct cma_frames_config *config, void *storage, uint64_t nbytes)
{
    struct table_plan plan, done;
    struct cma_map_cursor cursor = {0};
    cma_pfn_t first, last;
    bool is_area;

    if (frames == NULL || !table_plan(&plan, map, config) || (uintptr_t)storage % 8 != 0) {
        return CMA_EINVAL;
    }
    if (nbytes < plan.nbytes || (storage == NULL && plan.nbytes != 0)) {
        return CMA_ENOMEM;
    }
    if (plan.nbytes != 0) {
        __builtin_memset(storage, 0, (size_t)plan.nbytes);
    }
    *frames = (struct cma_frames){
        .port = config->port,
        .spans = storage,
        .nspans = (uint32_t)plan.nspans,
        .block_order = plan.order,
        .areas_only = config->areas_only,
        .nrecords = (uint32_t)plan.nrecords,
        .nblocks = (uint32_t)plan.nblocks,
        .zones = {{.last = CMA_PADDR_MAX}},
        .nzones = 1,
        .nbytes = plan.nbytes,
    };
    frames->records = (struct cma_frame_record *)(frames->spans + frames->nspans);
    frames->blocks = (struct cma_block *)(frames->records + frames->nrecords);
    frames->idle = (uint32_t *)(frames->blocks + frames->nblocks);
    frames->available = frames->idle + (plan.nblocks << plan.order) / 32;
    frames->reclaim = frames->available + plan.ntree_words;
    if (plan.nrun_words > CMA__RUNS_ALIGN) {
        /* Indexes begin at multiples of a cache line; the first words of `runs` are never used. */
        frames->runs = frames->reclaim + plan.ntree_words;
        frames->runs -= (uintptr_t)frames->runs / sizeof(uint32_t) % CMA__RUNS_ALIGN;
        frames->index = config->index;
    }
    if (config->zones != NULL) {
        frames->nzones = config->nzones;
        for (uint32_t i = 0; i < config->nzones; i++) {
            frames->zones[i] = config->zones[i];
        }
    }
    done = (struct table_plan){.order = plan.order, .nrun_words = CMA__RUNS_ALIGN};
    while (table_next_piece(map, config, &cursor, &first, &last, &is_area)) {
        /* The same steps as in the plan: they can't fail now. */
        (void)table_add_piece(&done, config, first, last, is_area, frames->spans);
    }
    for (uint32_t i = 0; i < frames->nspans; i++) {
        struct cma_span *span = &frames->spans[i];

        cma__account_idle(frames, span, span->pfn, span->npages, true);
        if (span->runs != 0) {
            frames->index->init(frames, span);
        }
    }
    return CMA_OK;
}

void cma_frames_set_ops(struct cma_frames *frames, const struct cma_pages_ops *ops)
{
    frames->ops = ops;
}

/* --- spans and blocks ---------------------------------------------------------------------- */

struct cma_span *cma__span_of(const struct cma_frames *frames, cma_pfn_t pfn)
{
    uint32_t low = 0, high = frames->nspans;

    /* The first span behind pfn; the one before it is the only one that can have it. */
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (frames->spans[middle].pfn <= pfn) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == 0 || pfn - frames->spans[low - 1].pfn >= frames->spans[low - 1].npages) {
        return NULL;
    }
    return &frames->spans[low - 1];
}

struct cma_span *cma__span_of_record(const struct cma_frames *frames, uint32_t record)
{
    uint32_t low = 0, high = frames->nspans;

    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;

        if (frames->spans[middle].record <= record) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return &frames->spans[low];
}

struct cma_slot *cma__slot_find(const struct cma_frames *frames, const struct cma_span *span,
                                cma_pfn_t pfn)
{
    const struct cma_slots *slots = frames->slots;

    if (slots == NULL || span->is_area == 0) {
        return NULL;
    }
    return slots->ops->find(slots, span->record + (uint32_t)(pfn - span->pfn));
}

bool cma__frames_last_pfn(const struct cma_frames *frames, cma_paddr_t paddr_last, cma_pfn_t *last)
{
    cma_pfn_t first;

    return cma__pages_within(frames->port, 0, paddr_last, &first, last);
}

bool cma__span_is_emptied(const struct cma_span *span)
{
    return atom_load(&(span - span->lane)->emptying) != 0;
}

static struct cma_lock *table_lock_of(struct cma_frames *frames, struct cma_span *span)
{
    if (span->is_area == 0) {
        return &frames->lock;
    }
    return span->runs != 0 ? &cma__runs_of(frames, span)->lock : &span->lock;
}

uintptr_t cma__span_lock(struct cma_frames *frames, struct cma_span *span)
{
    return guard_lock(frames->port, table_lock_of(frames, span));
}

void cma__span_unlock(struct cma_frames *frames, struct cma_span *span, uintptr_t state)
{
    guard_unlock(frames->port, table_lock_of(frames, span), state);
}

uint32_t cma__span_block_of(const struct cma_frames *frames, const struct cma_span *span,
                            cma_pfn_t pfn)
{
    return (span_skipped(frames, span) + (uint32_t)(pfn - span->pfn)) >> frames->block_order;
}

void cma__span_block_range(const struct cma_frames *frames, const struct cma_span *span,
                           uint32_t block, cma_pfn_t *first, uint32_t *npages)
{
    uint32_t skipped, begin, end;

    for (; block >= span->nblocks; span++) {
        block -= span->nblocks;
    }
    /* Counted from the span's first frame. */
    skipped = span_skipped(frames, span);
    begin = block == 0 ? 0 : (block << frames->block_order) - skipped;
    end = ((block + 1) << frames->block_order) - skipped;
    *first = span->pfn + begin;
    *npages = (end < span->npages ? end : span->npages) - begin;
}

/* --- the books ----------------------------------------------------------------------------- */

/* The block's bits in the trees follow its counts. */
void cma__account_refresh(struct cma_frames *frames, struct cma_span *span, uint32_t number)
{
    const struct cma_block *block = span_block(frames, span, number);
    uint32_t *available = frames->available + span->tree;
    uint32_t *reclaim = frames->reclaim + span->tree;
    bool lent = (block->flags & CMA_BLOCK_LENT) != 0;

    if (block->idle != 0 && (span->is_area == 0 || lent)) {
        cma__bittree_set(available, span->nblocks, number);
    } else {
        cma__bittree_clear(available, span->nblocks, number);
    }
    if (block->droppable != 0 && span->is_area == 0) {
        cma__bittree_set(reclaim, span->nblocks, number);
    } else {
        cma__bittree_clear(reclaim, span->nblocks, number);
    }
}

void cma__account_idle(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                       uint32_t npages, bool idle)
{
    uint32_t bit = span_bit(frames, span, pfn);
    uint32_t left = npages;

    while (left != 0) {
        /* Blocks begin at multiples of their size in the bitmap too. */
        uint32_t number = bit >> frames->block_order;
        struct cma_block *block = &frames->blocks[number];
        uint32_t last = bit | span_block_mask(frames);

        if (last - bit >= left) {
            last = bit + (left - 1);
        }
        left -= last - bit + 1;
        cma__assert(cma__bitmap_count(frames->idle, bit, last) == (idle ? 0 : last - bit + 1));
        if (idle) {
            cma__bitmap_set(frames->idle, bit, last);
            atom_poke16(&block->idle, (uint16_t)(block->idle + (last - bit + 1)));
        } else {
            cma__bitmap_clear(frames->idle, bit, last);
            atom_poke16(&block->idle, (uint16_t)(block->idle - (last - bit + 1)));
        }
        cma__account_refresh(frames, span, number - span->block);
        bit = last + 1;
    }
    if (span->is_area == 0) {
        frames->zone_idle[span->zone] += idle ? npages : 0 - (uint64_t)npages;
        cma__assert(idle || frames->slots == NULL || cma__promise_holds(frames));
    }
}

void cma__account_lent(struct cma_frames *frames, struct cma_span *span, uint32_t block, bool lent)
{
    uint16_t *flags = &span_block(frames, span, block)->flags;

    atom_poke16(flags, (uint16_t)(lent ? *flags | CMA_BLOCK_LENT : *flags & ~CMA_BLOCK_LENT));
    cma__account_refresh(frames, span, block);
}

bool cma__mover_is_sure(const struct cma_frames *frames, uint32_t mover)
{
    return mover != 0 && (frames->movers[mover - 1]->flags &
                          (CMA_MOVER_MAY_REFUSE | CMA_MOVER_NEEDS_MEMORY)) == 0;
}

bool cma__frame_is_spare(const struct cma_frames *frames, const struct cma_span *span,
                         uint32_t word)
{
    return span->is_area == 0 && word_kind(word) == CMA_KIND_DROPPABLE && (word & WORD_PINS) == 0 &&
           cma__mover_is_sure(frames, word_mover(word));
}

void cma__account_counts(struct cma_frames *frames, struct cma_span *span, uint32_t number,
                         uint32_t kept, uint32_t droppable, uint32_t spare)
{
    struct cma_block *block = span_block(frames, span, number);

    atom_poke16(&block->droppable, (uint16_t)(block->droppable + droppable));
    if (span->is_area == 0) {
        /* Nobody asks what moving ordinary memory would cost, and caches have no lock for it. */
        frames->zone_droppable[span->zone] += (uint64_t)(int64_t)(int32_t)spare;
    } else {
        atom_poke16(&block->kept, (uint16_t)(block->kept + kept));
        if (!block_is_borrowed(block) && (frames->ops == NULL || frames->ops->take_back == NULL)) {
            atom_poke16(&block->flags, (uint16_t)(block->flags & ~CMA_BLOCK_LENT));
        }
    }
    cma__account_refresh(frames, span, number);
}

void cma__account_held(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                       uint32_t word, bool there)
{
    uint32_t one = there ? 1 : UINT32_MAX;

    cma__account_counts(frames, span, cma__span_block_of(frames, span, pfn),
                        word_kind(word) == CMA_KIND_MOVABLE ? one : 0,
                        word_kind(word) == CMA_KIND_DROPPABLE ? one : 0,
                        cma__frame_is_spare(frames, span, word) ? one : 0);
}

void cma__account_change(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                         uint32_t before, uint32_t after)
{
    /* In this order a block is at no moment without holders. */
    cma__account_held(frames, span, pfn, after, true);
    cma__account_held(frames, span, pfn, before, false);
}

void cma__frame_enter(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn,
                      uint32_t word, uint32_t cookie)
{
    struct cma_frame_record *record = span_record(frames, span, pfn);

    cma__assert(word_is_held(word));
    cma__assert(atom_peek(&record->word) == 0);
    atom_poke(&record->cookie, cookie);
    atom_store(&record->word, word);
    if (span->is_area != 0 && (word & WORD_ISOLATED) == 0) {
        block_lend_again(span_block_at(frames, span, pfn));
    }
    cma__account_held(frames, span, pfn, word, true);
}

bool cma__frame_leave(struct cma_frames *frames, struct cma_span *span, cma_pfn_t pfn, bool take)
{
    struct cma_frame_record *record = span_record(frames, span, pfn);
    uint32_t word = atom_peek(&record->word);

    cma__assert(word_is_held(word));
    atom_store(&record->word, 0);
    cma__account_held(frames, span, pfn, word, false);
    if ((word & WORD_ISOLATED) != 0) {
        return true;
    }
    if (take) {
        runs_changed(frames, span, pfn, 1, false);
        (void)atom_add(&span->passing, 1);
    } else {
        cma__account_idle(frames, span, pfn, 1, true);
    }
    return false;
}
