/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * area.c - areas: begun, lent, given back, looked at
 *
 * An area keeps no map of its own. Who holds what is in the frame table, once: the idle bits, the
 * record at the head of each claimed buffer, the records of lent frames. The area adds the list of
 * claims in progress (claim.c) and counters.
 *
 * Blocks are lent from the top of the area downwards. Claims that walk take the lowest window that
 * would do, so the memory that they ask for first is the memory that was lent last. A block that a
 * claim takes wholly is not lent any more when it comes back; it is lent again when somebody asks.
 */
#include "../base/atomic.h"
#include "../base/guard.h"
#include "../frame/slot.h"
#include "../frame/table.h"
#include "claim.h"
#include "engine.h"

static uintptr_t area_lock(struct cma_area *area)
{
    return guard_lock(area->frames->port, &area->lock);
}

static void area_unlock(struct cma_area *area, uintptr_t state)
{
    guard_unlock(area->frames->port, &area->lock, state);
}

/* Blocks of an area are numbered from those of its first span on. */
static uint32_t area_nblocks(const struct cma_area *area)
{
    const struct cma_span *last = area->span + (area->nspans - 1);

    return last->block + last->nblocks - area->span->block;
}

static struct cma_block *area_block(const struct cma_area *area, uint32_t block)
{
    return &area->frames->blocks[area->span->block + block];
}

int cma_area_init(struct cma_area *area, struct cma_frames *frames, const struct cma_pages_ops *ops,
                  cma_paddr_t base, const struct cma_area_config *config)
{
    cma_pfn_t pfn, last;
    struct cma_span *span;

    if (area == NULL || frames == NULL || config == NULL || config->name == NULL ||
        config->lend_class > CMA_LEND_SLOT) {
        return CMA_EINVAL;
    }
    (void)cma__pages_within(frames->port, base, CMA_PADDR_MAX, &pfn, &last);
    span = cma__span_of(frames, pfn);
    if (span == NULL || !span->is_area || span->pfn != pfn || span->lane != 0) {
        return CMA_ENOENT;
    }
    *area = (struct cma_area){
        .frames = frames,
        .ops = ops,
        .span = span,
        .pfn = pfn,
        .name = config->name,
        .engine = config->engine,
        .lend_class = config->lend_class,
    };
    if (config->nclasses != 0 &&
        (config->engine == NULL || !config->engine->classes(area, config))) {
        return CMA_EINVAL;
    }
    do {
        span->lend_class = config->lend_class;
        area->npages += span->npages;
        area->nspans++;
        span++;
    } while (span < frames->spans + frames->nspans && span->lane != 0);
    return 0;
}

int cma_area_activate(struct cma_area *area)
{
    if (atom_load(&area->active) != 0) {
        return CMA_EBADF;
    }
    atom_store(&area->active, 1);
    return 0;
}

/* --- lend ------------------------------------------------------------------------------ */

/* The highest block that could be lent. Read without the lock: a block that fills meanwhile is lent
 * for nothing, which does no harm. Always from the top, so that low blocks stay empty while demand
 * comes and goes; that costs a look at 4 bytes a block. */
static bool area_find_lendable(const struct cma_area *area, uint32_t *block)
{
    uint32_t candidate = area_nblocks(area);

    while (candidate > 0) {
        const struct cma_block *counts = area_block(area, --candidate);

        if ((atom_peek16(&counts->flags) & CMA_BLOCK_LENT) == 0 &&
            atom_peek16(&counts->idle) != 0) {
            *block = candidate;
            return true;
        }
    }
    return false;
}

/* Gives the idle frames of [pfn, pfn + npages) to the host, run by run. Returns false if it took
 * none because it could not. */
static bool area_lend_host(struct cma_area *area, cma_pfn_t pfn, uint32_t npages)
{
    const struct cma_pages_ops *ops = area->ops;
    cma_pfn_t last = pfn + (npages - 1);
    bool any = false, failed = false;
    uint32_t part;

    while (!failed && pfn <= last &&
           (part = cma__span_idle_run(area->frames, area->span, &pfn, last)) != 0) {
        failed = ops->lend(ops->ctx, pfn, part, (enum cma_lend_class)area->lend_class) != 0;
        any = any || !failed;
        pfn += part;
    }
    return any || !failed;
}

bool cma_area_lend(void *ctx, enum cma_kind kind)
{
    struct cma_area *area = ctx;
    const struct cma_pages_ops *ops = area->ops;
    uint32_t block, npages;
    cma_pfn_t pfn;

    if (atom_load(&area->active) == 0 || area->lend_class == CMA_LEND_NONE ||
        (kind != CMA_KIND_MOVABLE && kind != CMA_KIND_DROPPABLE) ||
        !area_find_lendable(area, &block)) {
        return false;
    }
    /* If somebody else was quicker, it is lent, and only who lent it may undo that. */
    if (!cma__block_lend(area->frames, area->span, block, true) || ops == NULL ||
        ops->lend == NULL) {
        return true;
    }
    cma__span_block_range(area->frames, area->span, block, &pfn, &npages);
    if (area_lend_host(area, pfn, npages)) {
        return true;
    }
    (void)cma__block_lend(area->frames, area->span, block, false);
    /* What others offered in the meantime, a claim's rest or a pin's frame, is not lent any more.
     */
    if (ops->take_back != NULL) {
        ops->take_back(ops->ctx, pfn, npages);
    }
    return false;
}

void cma__area_lend_again(struct cma_area *area, cma_pfn_t pfn, uint64_t npages)
{
    const struct cma_pages_ops *ops = area->ops;
    uint32_t left = (uint32_t)npages;

    if (ops == NULL || ops->lend == NULL) {
        return;
    }
    while (left != 0) {
        uint32_t block = cma__span_block_of(area->frames, area->span, pfn);
        uint32_t part = cma__block_left(area->frames, pfn);

        part = part < left ? part : left;
        /* A host that can't take them leaves them idle: they wait for a claim. */
        if ((atom_peek16(&area_block(area, block)->flags) & CMA_BLOCK_LENT) != 0) {
            (void)area_lend_host(area, pfn, part);
        }
        pfn += part;
        left -= part;
    }
}

void cma__area_unlend(struct cma_area *area, cma_pfn_t pfn, uint64_t npages)
{
    uint32_t block = cma__span_block_of(area->frames, area->span, pfn);
    uint32_t last = cma__span_block_of(area->frames, area->span, pfn + (npages - 1));
    cma_pfn_t block_pfn;
    uint32_t count;

    for (; block <= last; block++) {
        cma__span_block_range(area->frames, area->span, block, &block_pfn, &count);
        if (block_pfn >= pfn && block_pfn + count <= pfn + npages) {
            cma__block_lend(area->frames, area->span, block, false);
        }
    }
}

/* --- claims in one call, and release --------------------------------------------------- */

void cma__area_changed(struct cma_area *area)
{
    uintptr_t state = area_lock(area);

    area->generation++;
    area_unlock(area, state);
    cma__frames_signal(area->frames);
}

int cma__area_alloc_by_claim(struct cma_area *area, const struct cma_area_request *request,
                             cma_pfn_t *pfn, struct cma_refusal *refusal)
{
    struct cma_claim claim;
    int result = cma__claim_start(&claim, area, request,
                                  refusal == NULL ? CMA__CLAIM_UNEXPLAINED : CMA__CLAIM_AT_ONCE);

    while (result == 0 && claim.state != CMA_CLAIM_DONE) {
        result = cma_claim_step(&claim, UINT64_MAX);
    }
    if (result == 0) {
        *pfn = claim.pfn;
    } else if (refusal != NULL) {
        *refusal = claim.refusal;
    }
    return result;
}

int cma_area_alloc(struct cma_area *area, const struct cma_area_request *request, cma_pfn_t *pfn,
                   struct cma_refusal *refusal)
{
    return area->engine != NULL ? area->engine->alloc(area, request, pfn, refusal)
                                : cma__area_alloc_by_claim(area, request, pfn, refusal);
}

int cma__area_release_any(struct cma_area *area, cma_pfn_t pfn, uint64_t npages, uint32_t owner)
{
    uintptr_t state;
    int error;

    if (cma__slot_find(area->frames, area->span, pfn) != NULL) {
        return CMA_EPERM;
    }
    error = cma__window_release(area->frames, area->span, pfn, npages, owner);
    if (error != 0) {
        return error;
    }
    state = area_lock(area);
    area->stats.claimed_npages -= npages;
    area->stats.released++;
    area->generation++;
    area_unlock(area, state);
    cma__frames_signal(area->frames);
    cma__area_lend_again(area, pfn, npages);
    return 0;
}

int cma_area_release(struct cma_area *area, cma_pfn_t pfn, uint64_t npages, uint32_t owner)
{
    if (pfn - area->pfn >= area->npages) {
        return CMA_ENOENT;
    }
    return area->engine != NULL ? area->engine->release(area, pfn, npages, owner)
                                : cma__area_release_any(area, pfn, npages, owner);
}

/* --- looking at an area ---------------------------------------------------------------- */

void cma_area_stats(struct cma_area *area, struct cma_area_stats *stats)
{
    uint32_t idle = 0, kept = 0, droppable = 0, lent = 0;
    uintptr_t state = area_lock(area);

    *stats = area->stats;
    area_unlock(area, state);
    if (area->engine != NULL) {
        area->engine->count(area, stats);
    }
    stats->npages = area->npages;
    stats->nblocks = area_nblocks(area);
    /* An area has fewer than 2^29 frames. */
    for (uint32_t block = 0; block < (uint32_t)stats->nblocks; block++) {
        const struct cma_block *counts = area_block(area, block);

        idle += atom_peek16(&counts->idle);
        kept += atom_peek16(&counts->kept);
        droppable += atom_peek16(&counts->droppable);
        lent += (atom_peek16(&counts->flags) & CMA_BLOCK_LENT) != 0;
    }
    stats->idle_npages = idle;
    stats->kept_npages = kept;
    stats->droppable_npages = droppable;
    stats->lent_blocks = lent;
}

/* Who has `pfn`, and how many frames from there on certainly have the same holder. */
static void area_holder(struct cma_area *area, cma_pfn_t pfn, struct cma_area_holder *holder)
{
    struct cma_frame_info info;

    *holder = (struct cma_area_holder){.pfn = pfn, .npages = 1};
    if (cma_frame_info(area->frames, pfn, &info) != 0) {
        return;
    }
    holder->kind = info.kind;
    holder->slot = info.slot;
    holder->mover = info.mover;
    holder->owner = info.cookie;
    if (info.kind == CMA_KIND_CLAIMED) {
        uint64_t left = area->npages - (pfn - area->pfn);

        /* A moment's truth: the head may have been rewritten since, so it is not trusted. */
        holder->npages = info.npages == 0 ? 1 : info.npages <= left ? info.npages : left;
    } else if (info.idle) {
        holder->lent = info.lent;
        holder->owner = 0;
        holder->mover = 0;
    } else if ((info.kind == CMA_KIND_NONE && !info.slot) || info.isolated) {
        holder->in_progress = true;
    }
}

/* Can `next` be told of together with `holder`? */
static bool area_same_holder(const struct cma_area_holder *holder,
                             const struct cma_area_holder *next)
{
    return holder->kind == next->kind && holder->kind != CMA_KIND_CLAIMED &&
           holder->mover == next->mover && holder->lent == next->lent &&
           holder->slot == next->slot && holder->in_progress == next->in_progress;
}

void cma_area_walk(struct cma_area *area,
                   bool (*visit)(void *ctx, const struct cma_area_holder *holder), void *ctx)
{
    cma_pfn_t end = area->pfn + area->npages;
    struct cma_area_holder holder, next;
    cma_pfn_t pfn;

    area_holder(area, area->pfn, &holder);
    for (pfn = holder.pfn + holder.npages; pfn < end; pfn += next.npages) {
        area_holder(area, pfn, &next);
        if (area_same_holder(&holder, &next)) {
            holder.npages += next.npages;
            continue;
        }
        holder.age_ns = cma__window_age_ns(area->frames, area->span, holder.pfn);
        if (!visit(ctx, &holder)) {
            return;
        }
        holder = next;
    }
    holder.age_ns = cma__window_age_ns(area->frames, area->span, holder.pfn);
    (void)visit(ctx, &holder);
}

/* --- check ----------------------------------------------------------------------------- */

static bool area_wrong(struct cma_violation *violation, const char *what, cma_pfn_t pfn)
{
    violation->what = what;
    violation->pfn = pfn;
    return false;
}

static bool area_check_claims(const struct cma_area *area, struct cma_violation *violation)
{
    const struct cma_claim *claim;
    const struct cma_claim *other;
    uint32_t count = 0;

    for (claim = area->claims; claim != NULL; claim = claim->next) {
        count++;
        if (claim->isolated < claim->evacuated || claim->isolated > claim->request.npages) {
            return area_wrong(violation, "a claim counts more than its window", claim->pfn);
        }
        for (other = claim->next; other != NULL; other = other->next) {
            if (claim->pfn != CMA_PFN_NONE && other->pfn != CMA_PFN_NONE &&
                claim->pfn < other->pfn + other->request.npages &&
                other->pfn < claim->pfn + claim->request.npages) {
                return area_wrong(violation, "two claims have a frame in common", claim->pfn);
            }
        }
    }
    if (atom_load(&area->span->emptying) != count) {
        return area_wrong(violation, "claims in progress are miscounted", area->pfn);
    }
    return true;
}

/* Does a buffer lie in the part of the area that is for its size? */
static bool area_in_part(const struct cma_area *area, const struct cma_area_holder *holder)
{
    struct cma_area_request request = {.npages = holder->npages};
    struct cma_window_want want;

    return cma__window_want(area, &request, &want) == 0 && holder->pfn >= want.first &&
           holder->pfn + (holder->npages - 1) <= want.last;
}

bool cma_area_check(struct cma_area *area, struct cma_violation *violation)
{
    cma_pfn_t end = area->pfn + area->npages;
    struct cma_area_holder holder;
    struct cma_area_stats stats;
    uint64_t claimed = 0;
    cma_pfn_t pfn;

    if (!area_check_claims(area, violation)) {
        return false;
    }
    for (pfn = area->pfn; pfn < end; pfn += holder.npages) {
        area_holder(area, pfn, &holder);
        if (holder.kind == CMA_KIND_UNMOVABLE || holder.kind == CMA_KIND_RESERVED) {
            return area_wrong(violation, "something unmovable is in an area", pfn);
        }
        if (holder.in_progress && !cma__claim_covers(area, pfn)) {
            return area_wrong(violation, "a frame is taken, and no claim has it", pfn);
        }
        if (holder.kind == CMA_KIND_CLAIMED) {
            claimed += holder.npages;
            if (!area_in_part(area, &holder)) {
                return area_wrong(violation, "a buffer is not in the part for its size", pfn);
            }
        }
    }
    cma_area_stats(area, &stats);
    if (claimed != stats.claimed_npages) {
        return area_wrong(violation, "claimed frames are miscounted", area->pfn);
    }
    violation->what = NULL;
    violation->pfn = CMA_PFN_NONE;
    return true;
}
