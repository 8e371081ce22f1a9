/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cache.c - single pages at the speed of one processor
 *
 *      idle bits  -- refill: the zone's lock, a batch -->  slots  -- exchange ------->  held
 *                 <-- spill, drain: the lock, a batch --   slots  <-- compare, swap --
 *
 * A cache is two stacks of slots, and a slot is one atomic word that names a frame. Who empties a
 * slot has its frame, who fills an empty one has given it away: no lock is needed, so it does not
 * matter on which processor a thread goes on after it has asked for its number, or which interrupt
 * comes in between. `top` only says where to look first. It is written without care and may be
 * wrong; then a search takes longer, or the long way is gone with something in a slot, which the
 * next drain finds.
 *
 * A frame in a slot is neither idle nor held: its record says "cached", so that a second free or
 * any other call on it is refused as on every frame that nobody holds. Between a slot and its new
 * holder (or from its old one) the frame belongs to the running call alone. The two ways between
 * idle and slot are gone with the table's lock held from one end to the other. So a drain misses no
 * frame but those of calls in progress, and a count under the lock counts none twice.
 *
 * Nothing that needs counts under a lock can be done here. Droppable frames are counted, so that
 * their zone knows what could be discarded; they, areas, limits, and everything that is wrong go
 * the long way.
 *
 * A pair of allocation and free is three locked instructions, one for each slot and one for the
 * record of the frame that is freed: somebody may be taking a short reference to it right now.
 */
#include "cache.h"

#include "../base/atomic.h"
#include "../base/bitmap.h"
#include "../base/bits.h"
#include "../base/guard.h"
#include "../frame/account.h"
#include "../frame/slot.h"
#include "../frame/table.h"
#include "../frame/word.h"

#define CACHE_BATCH (CMA_PAGES_CACHE_SLOTS / 2)

enum cache_end { CACHE_LOW, CACHE_HIGH };

/* --- one stack ----------------------------------------------------------------------------- */

/* Fills a slot; false when there is no empty one from `top` up. */
static CMA__INLINE bool cache_push(struct cma_pages_stack *stack, uint32_t name)
{
    for (uint32_t i = atom_peek(&stack->top); i < CMA_PAGES_CACHE_SLOTS; i++) {
        uint32_t empty = 0;

        if (atom_peek(&stack->slot[i]) == 0 && atom_swap_if(&stack->slot[i], &empty, name)) {
            atom_poke(&stack->top, i + 1);
            return true;
        }
    }
    return false;
}

/* Empties the first full slot below `top`. 0: there is none. */
static CMA__INLINE uint32_t cache_pop(struct cma_pages_stack *stack)
{
    for (uint32_t i = atom_peek(&stack->top); i-- > 0;) {
        uint32_t name = atom_peek(&stack->slot[i]);

        if (name != 0 && (name = atom_take(&stack->slot[i])) != 0) {
            atom_poke(&stack->top, i);
            return name;
        }
    }
    return 0;
}

/* That of the processor that runs: a guess, which is as good as it is often right. */
static CMA__INLINE struct cma_pages_stack *cache_stack(const struct cma_pages *pages, bool high)
{
    const struct cma_port *port = pages->frames->port;
    uint32_t cpu = port->cpu != NULL ? port->cpu(port->ctx) : 0;

    if (cpu >= pages->ncaches) {
        cpu %= pages->ncaches;
    }
    return &pages->caches[cpu].stacks[high ? CACHE_HIGH : CACHE_LOW];
}

static CMA__INLINE struct cma_span *cache_span(const struct cma_pages *pages, uint32_t name)
{
    struct cma_span *guess = &pages->frames->spans[pages->cache_span];

    return name - 1 - guess->record < guess->npages ? guess
                                                    : cma__span_of_record(pages->frames, name - 1);
}

static CMA__INLINE cma_pfn_t cache_pfn(const struct cma_pages *pages, uint32_t name)
{
    const struct cma_span *span = cache_span(pages, name);

    return span->pfn + (name - 1 - span->record);
}

/* --- between idle and slot ----------------------------------------------------------------- */

/* How many frames a refill may take: floors hold afterwards, and what is left of a small rest is
 * not hoarded, for others would have to drain it. Locked. */
static uint32_t cache_allowance(const struct cma_pages *pages)
{
    const struct cma_frames *frames = pages->frames;
    uint64_t idle = 0, allowed = CACHE_BATCH;

    for (uint32_t i = 0; i < frames->nzones; i++) {
        idle += frames->zone_idle[i];
        if (i >= pages->cache_zone) {
            uint64_t spare =
                frames->slots == NULL ? idle : cma__promise_spare(frames, i, frames->nzones);

            allowed = bits_min(allowed, spare - bits_min(spare, pages->floor_npages[i]));
        }
    }
    return (uint32_t)bits_min(allowed,
                              1 + frames->zone_idle[pages->cache_zone] / 4 / pages->ncaches);
}

/* The run of idle frames at one end of the span, up to npages long; its length, 0: none. Locked. */
static uint32_t cache_find(const struct cma_frames *frames, const struct cma_span *span, bool high,
                           uint32_t npages, cma_pfn_t *pfn)
{
    struct cma_run_want want = {.npages = 1, .last = CMA_PFN_NONE, .from_top = high};
    uint32_t run;

    if (!cma__span_find_idle(frames, span, &want, pfn)) {
        return 0;
    }
    if (!high) {
        return cma__span_idle_run(frames, span, pfn,
                                  *pfn + bits_min(npages - 1, span_last(span) - *pfn));
    }
    run = cma__span_idle_below(frames, span, span->pfn, *pfn, npages);
    *pfn -= run - 1;
    return run;
}

/* Moves up to npages frames of the span into the stack, and returns what is left to do. Locked. */
static uint32_t cache_refill_from(struct cma_pages *pages, struct cma_pages_stack *stack,
                                  struct cma_span *span, bool high, uint32_t npages)
{
    struct cma_frames *frames = pages->frames;

    while (npages != 0) {
        cma_pfn_t pfn;
        uint32_t run = cache_find(frames, span, high, npages, &pfn);

        if (run == 0) {
            break;
        }
        cma__account_idle(frames, span, pfn, run, false);
        for (uint32_t i = 0; i < run; i++) {
            struct cma_frame_record *record = span_record(frames, span, pfn + i);

            cma__assert(atom_peek(&record->word) == 0);
            atom_poke(&record->word, WORD_CACHED);
            if (!cache_push(stack, (uint32_t)(record - frames->records) + 1)) {
                /* Others have filled it meanwhile. */
                atom_poke(&record->word, 0);
                cma__account_idle(frames, span, pfn + i, run - i, true);
                return 0;
            }
        }
        npages -= run;
    }
    return npages;
}

static CMA__APART void cache_refill(struct cma_pages *pages, struct cma_pages_stack *stack,
                                    bool high)
{
    struct cma_frames *frames = pages->frames;
    uintptr_t state = guard_lock(frames->port, &frames->lock);
    uint32_t npages = cache_allowance(pages);

    for (uint32_t i = 0; i < frames->nspans && npages != 0; i++) {
        struct cma_span *span = &frames->spans[high ? frames->nspans - 1 - i : i];

        if (span->is_area == 0 && span->zone == pages->cache_zone) {
            npages = cache_refill_from(pages, stack, span, high, npages);
        }
    }
    guard_unlock(frames->port, &frames->lock, state);
}

/* Cached frames of one span that follow each other and are in no slot. */
struct cache_run {
    struct cma_span *span;
    cma_pfn_t pfn;
    uint32_t npages; /* 0: none yet */
};

/* They become idle. Locked. */
static void cache_settle(struct cma_frames *frames, struct cache_run *run)
{
    if (run->npages != 0) {
        cma__account_idle(frames, run->span, run->pfn, run->npages, true);
    }
    run->npages = 0;
}

/* One more, which may go on where the run ends or begins: what was taken together often comes back
 * together. Locked. */
static void cache_gather(struct cma_pages *pages, struct cache_run *run, uint32_t name)
{
    struct cma_span *span = cache_span(pages, name);
    cma_pfn_t pfn = span->pfn + (name - 1 - span->record);

    cma__assert(atom_peek(&pages->frames->records[name - 1].word) == WORD_CACHED);
    atom_poke(&pages->frames->records[name - 1].word, 0);
    if (run->npages != 0 && span == run->span && pfn == run->pfn + run->npages) {
        run->npages++;
    } else if (run->npages != 0 && span == run->span && pfn + 1 == run->pfn) {
        run->pfn = pfn;
        run->npages++;
    } else {
        cache_settle(pages->frames, run);
        *run = (struct cache_run){span, pfn, 1};
    }
}

/* Makes what the slots from `first` up hold idle, and `name` too, when it is not 0. */
static CMA__APART uint64_t cache_spill(struct cma_pages *pages, struct cma_pages_stack *stack,
                                       uint32_t first, uint32_t name)
{
    struct cma_frames *frames = pages->frames;
    struct cache_run run = {.npages = 0};
    uintptr_t state = guard_lock(frames->port, &frames->lock);
    uint64_t npages = 0;

    if (name != 0) {
        cache_gather(pages, &run, name);
        npages++;
    }
    for (uint32_t i = CMA_PAGES_CACHE_SLOTS; i-- > first;) {
        if (atom_peek(&stack->slot[i]) != 0 && (name = atom_take(&stack->slot[i])) != 0) {
            cache_gather(pages, &run, name);
            npages++;
        }
    }
    cache_settle(frames, &run);
    atom_poke(&stack->top, first);
    guard_unlock(frames->port, &frames->lock, state);
    return npages;
}

/* Before the count of a stack passes 2^32. */
static CMA__APART void cache_tally(struct cma_pages *pages, struct cma_pages_stack *stack)
{
    const struct cma_port *port = pages->frames->port;
    uintptr_t state = guard_lock(port, &pages->frames->lock);

    pages->stats.requests += atom_take(&stack->served);
    guard_unlock(port, &pages->frames->lock, state);
}

/* --- what the page allocator calls --------------------------------------------------------- */

/* Is it for any frame of the caches' zone? */
static CMA__INLINE bool cache_suits(const struct cma_pages *pages,
                                    const struct cma_pages_request *request)
{
    const struct cma_frames *frames = pages->frames;
    const struct cma_holder *holder = &request->holder;

    /* In one sum, for nearly always all of them are nothing. */
    if (((request->npages - 1) | (request->align_npages & ~UINT64_C(1)) | request->paddr_first |
         request->boundary_nbytes) != 0 ||
        (request->paddr_last != 0 && request->paddr_last < pages->cache_paddr_last) ||
        ((request->flags & CMA_PAGES_LINEAR) != 0 &&
         (frames->zones[pages->cache_zone].flags & CMA_ZONE_UNMAPPED) != 0)) {
        return false;
    }
    if (holder->kind == CMA_KIND_UNMOVABLE) {
        return holder->mover == 0;
    }
    return holder->kind == CMA_KIND_MOVABLE && holder->mover - 1 < frames->nmovers &&
           frames->movers[holder->mover - 1]->paddr_last >= pages->cache_paddr_last;
}

static int cache_alloc(struct cma_pages *pages, const struct cma_pages_request *request,
                       cma_pfn_t *pfn, struct cma_refusal *refusal)
{
    bool high = request->holder.kind != CMA_KIND_UNMOVABLE;
    struct cma_pages_stack *stack;
    struct cma_frame_record *record;
    uint32_t name, served;

    if (atom_peek(&pages->cache_shut) != 0 || !cache_suits(pages, request)) {
        return cma__pages_alloc(pages, request, pfn, refusal);
    }
    stack = cache_stack(pages, high);
    name = cache_pop(stack);
    if (name == 0) {
        cache_refill(pages, stack, high);
        name = cache_pop(stack);
        if (name == 0) {
            return cma__pages_alloc(pages, request, pfn, refusal);
        }
    }
    served = atom_peek(&stack->served) + 1;
    atom_poke(&stack->served, served);
    if (served >> 31 != 0) {
        cache_tally(pages, stack);
    }
    record = &pages->frames->records[name - 1];
    cma__assert(atom_peek(&record->word) == WORD_CACHED);
    *pfn = cache_pfn(pages, name);
    atom_poke(&record->cookie, request->holder.cookie);
    atom_store(&record->word, word_of(&request->holder) | WORD_HEAD |
                                  ((request->flags & CMA_PAGES_REF) != 0 ? WORD_REF : 0));
    return CMA_OK;
}

/* A held frame of this owner's, an allocation by itself, becomes a cached one in no slot. False:
 * it is none such, or other than it seemed. Nothing has changed then. */
static CMA__INLINE bool cache_let_go(const struct cma_frames *frames, const struct cma_span *span,
                                     cma_pfn_t pfn, uint32_t owner, bool *high)
{
    struct cma_frame_record *record = span_record(frames, span, pfn);
    uint32_t word = atom_load(&record->word);

    *high = word_kind(word) == CMA_KIND_MOVABLE;
    if ((!*high && word_kind(word) != CMA_KIND_UNMOVABLE) ||
        (word & (WORD_HEAD | WORD_FROZEN | WORD_PINS | WORD_REFS)) != WORD_HEAD ||
        !atom_swap_if(&record->word, &word, word | WORD_FROZEN)) {
        return false;
    }
    /* Frozen, it can't become another allocation: only now cookie and length are the word's. */
    if (atom_peek(&record->cookie) != owner || frame_goes_on(frames, span, pfn)) {
        cma__frame_thaw(record);
        return false;
    }
    atom_store(&record->word, WORD_CACHED);
    return true;
}

static int cache_free(struct cma_pages *pages, cma_pfn_t pfn, uint64_t npages, uint32_t owner)
{
    struct cma_frames *frames = pages->frames;
    const struct cma_span *span = &frames->spans[pages->cache_span];
    struct cma_pages_stack *stack;
    uint32_t name;
    bool high;

    if (pfn - span->pfn >= span->npages) {
        span = cma__span_of(frames, pfn);
    }
    if (npages != 1 || atom_peek(&pages->cache_shut) != 0 || span == NULL || span->is_area != 0 ||
        span->zone != pages->cache_zone || !cache_let_go(frames, span, pfn, owner, &high)) {
        return cma__pages_free(pages, pfn, npages, owner);
    }
    name = span->record + (uint32_t)(pfn - span->pfn) + 1;
    stack = cache_stack(pages, high);
    if (!cache_push(stack, name)) {
        (void)cache_spill(pages, stack, CMA_PAGES_CACHE_SLOTS - CACHE_BATCH, name);
    }
    return CMA_OK;
}

static uint64_t cache_drain(struct cma_pages *pages)
{
    uint64_t npages = 0;

    for (uint32_t i = 0; i < pages->ncaches * 2; i++) {
        struct cma_pages_stack *stack = &pages->caches[i / 2].stacks[i % 2];

        /* Most are empty where memory is scarce: then nobody's lock is taken for them. */
        for (uint32_t slot = 0; slot < CMA_PAGES_CACHE_SLOTS; slot++) {
            if (atom_peek(&stack->slot[slot]) != 0) {
                npages += cache_spill(pages, stack, 0, 0);
                break;
            }
        }
    }
    return npages;
}

static uint64_t cache_count(const struct cma_pages *pages, cma_pfn_t last)
{
    uint64_t npages = 0;

    for (uint32_t i = 0; i < pages->ncaches * 2; i++) {
        const struct cma_pages_stack *stack = &pages->caches[i / 2].stacks[i % 2];

        for (uint32_t slot = 0; slot < CMA_PAGES_CACHE_SLOTS; slot++) {
            uint32_t name = atom_peek(&stack->slot[slot]);

            npages += name != 0 && cache_pfn(pages, name) <= last ? 1 : 0;
        }
    }
    return npages;
}

static uint64_t cache_served(const struct cma_pages *pages)
{
    uint64_t served = 0;

    for (uint32_t i = 0; i < pages->ncaches * 2; i++) {
        served += atom_peek(&pages->caches[i / 2].stacks[i % 2].served);
    }
    return served;
}

static uint64_t cache_ops_cached(void *ctx)
{
    return cache_count(ctx, CMA_PFN_NONE);
}

/* --- the public interface ------------------------------------------------------------------ */

int cma_pages_add_caches(struct cma_pages *pages, struct cma_pages_cache *caches, uint32_t ncpus)
{
    static const struct cma_pages_cache_ops ops = {
        .alloc = cache_alloc,
        .free = cache_free,
        .drain = cache_drain,
        .count = cache_count,
        .served = cache_served,
    };
    const struct cma_span *spans, *last = NULL;
    uint32_t largest = 0;

    if (pages == NULL || caches == NULL || ncpus == 0 || ncpus > UINT32_MAX / 2 ||
        (uintptr_t)caches % _Alignof(struct cma_pages_cache) != 0 || pages->caches != NULL) {
        return CMA_EINVAL;
    }
    spans = pages->frames->spans;
    for (uint32_t i = 0; i < pages->frames->nspans; i++) {
        if (spans[i].is_area != 0) {
            continue;
        }
        if (last == NULL || spans[i].zone != last->zone ||
            spans[i].npages > spans[largest].npages) {
            largest = i;
        }
        last = &spans[i];
    }
    if (last == NULL) {
        return CMA_EINVAL;
    }
    for (uint32_t i = 0; i < ncpus; i++) {
        caches[i] = (struct cma_pages_cache){0};
    }
    pages->caches = caches;
    pages->ncaches = ncpus;
    pages->cache_zone = last->zone;
    pages->cache_span = largest;
    pages->cache_paddr_last = ((span_last(last) + 1) << pages->frames->port->page_shift) - 1;
    pages->cache_ops = &ops;
    pages->ops.cached = cache_ops_cached;
    return CMA_OK;
}

uint64_t cma_pages_drain(struct cma_pages *pages)
{
    return pages->cache_ops != NULL ? pages->cache_ops->drain(pages) : 0;
}
