/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostile_mover.c - what libcma calls on a hostile board: the port's hooks, movers, destinations
 *
 * All work is counted here. What users do inside of a callback or hook is counted apart, for it is
 * no part of the take that runs outside.
 */
#include "hostile.h"

#include <stdlib.h>
#include <string.h>

static struct hostile_tally *mover_tally(struct hostile *board)
{
    return &board->tally[board->depth > 0];
}

static void mover_others(struct hostile *board)
{
    if (board->nested_percent != 0 && board->depth == 0 && !board->checking &&
        hostile_chance(board, board->nested_percent))
        hostile_nested(board);
}

static struct hostile_item *mover_item(struct hostile_mover *mover, const char *what, cma_pfn_t pfn,
                                       uint32_t cookie)
{
    struct hostile *board = mover->board;
    struct hostile_item *item;

    HOSTILE_REQUIRE(board, board->locked == 0, "%s is called with a lock held", what);
    HOSTILE_REQUIRE(board, cookie < board->nitems, "%s with the cookie %#x", what, cookie);
    item = &board->items[cookie];
    HOSTILE_REQUIRE(board,
                    (item->list == HOSTILE_MOVABLE || item->list == HOSTILE_DROPPABLE) &&
                        &board->movers[item->mover] == mover,
                    "%s of %#x, which its mover does not hold", what, cookie);
    HOSTILE_REQUIRE(board,
                    item->frame != HOSTILE_NONE && hostile_pfn(board, item->frame) == pfn &&
                        board->owners[item->frame] == cookie + 1,
                    "%s of %#x names page %#llx, its data is in frame %u", what, cookie,
                    (unsigned long long)pfn, item->frame);
    HOSTILE_REQUIRE(board, item->pins == 0 && item->refs == 0,
                    "%s of %#x, which has %u pins and %u references", what, cookie, item->pins,
                    item->refs);
    return item;
}

/* Its mover has just got the page and doesn't know it yet, or is in the middle of a call on it (in
 * real life: waits for the handle's lock; here the answer is the one that has libcma try again), or
 * is just letting it go. */
static bool mover_unsettled(struct hostile_mover *mover, uint32_t cookie)
{
    struct hostile *board = mover->board;
    const struct hostile_item *item;

    HOSTILE_REQUIRE(board, cookie < board->nitems, "a callback with the cookie %#x", cookie);
    item = &board->items[cookie];
    if ((item->list == HOSTILE_FREE && item->in_call) || item->locked) {
        HOSTILE_REQUIRE(board, board->depth > 0, "a callback in the middle of a call");
        return true;
    }
    return hostile_chance(board, board->shy_percent);
}

static bool mover_refuses(struct hostile_mover *mover)
{
    return (mover->mover.flags & CMA_MOVER_MAY_REFUSE) != 0 &&
           hostile_chance(mover->board, mover->board->refusal_percent);
}

static int mover_freeze(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct hostile_mover *mover = ctx;
    struct hostile_item *item;

    if (mover_unsettled(mover, cookie))
        return CMA_ENOENT;
    item = mover_item(mover, "freeze", pfn, cookie);

    HOSTILE_REQUIRE(mover->board, !item->frozen, "freeze of %#x, which is frozen", cookie);
    if (mover_refuses(mover))
        return CMA_EBUSY;
    item->frozen = true;
    mover_others(mover->board);
    return 0;
}

static void mover_commit(void *ctx, cma_pfn_t from, cma_pfn_t to, uint32_t cookie)
{
    struct hostile_mover *mover = ctx;
    struct hostile *board = mover->board;
    struct hostile_item *item = mover_item(mover, "commit", from, cookie);
    uint32_t frame = hostile_frame(board, to);

    HOSTILE_REQUIRE(board, item->frozen, "commit of %#x without freeze", cookie);
    HOSTILE_REQUIRE(board, board->owners[frame] == 0, "%#x is moved to frame %u, which %#x has",
                    cookie, frame, board->owners[frame]);
    HOSTILE_REQUIRE(board, board->places[frame] != 0, "%#x is moved to frame %u, which is reserved",
                    cookie, frame);
    HOSTILE_REQUIRE(board, hostile_paddr_last(board, frame) <= mover->mover.paddr_last,
                    "%#x is moved to frame %u, past its mover's limit", cookie, frame);
    board->owners[item->frame] = 0;
    board->owners[frame] = cookie + 1;
    item->frame = frame;
    item->frozen = false;
    mover_tally(board)->commits++;
    board->sums->moves++;
    mover_others(board);
}

static void mover_abort(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct hostile_mover *mover = ctx;
    struct hostile_item *item = mover_item(mover, "abort", pfn, cookie);

    HOSTILE_REQUIRE(mover->board, item->frozen, "abort of %#x without freeze", cookie);
    item->frozen = false;
}

static int mover_discard(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct hostile_mover *mover = ctx;
    struct hostile *board = mover->board;
    struct hostile_item *item;

    if (mover_unsettled(mover, cookie))
        return CMA_ENOENT;
    item = mover_item(mover, "discard", pfn, cookie);

    HOSTILE_REQUIRE(board, item->list == HOSTILE_DROPPABLE && !item->frozen,
                    "discard of %#x, which is %s", cookie, item->frozen ? "frozen" : "dirty");
    if (mover_refuses(mover))
        return CMA_EBUSY;
    board->owners[item->frame] = 0;
    hostile_item_end(board, cookie);
    mover_tally(board)->discards++;
    board->sums->drops++;
    mover_others(board);
    return 0;
}

static uint32_t mover_freeze_many(void *ctx, const struct cma_move *moves, uint32_t nmoves,
                                  int *error)
{
    for (uint32_t i = 0; i < nmoves; i++) {
        int answer = mover_freeze(ctx, moves[i].from, moves[i].cookie);

        if (answer != 0) {
            *error = answer;
            return i;
        }
    }
    return nmoves;
}

static void mover_commit_many(void *ctx, const struct cma_move *moves, uint32_t nmoves)
{
    for (uint32_t i = 0; i < nmoves; i++)
        mover_commit(ctx, moves[i].from, moves[i].to, moves[i].cookie);
}

static uint32_t mover_discard_many(void *ctx, const struct cma_move *moves, uint32_t nmoves,
                                   int *error)
{
    for (uint32_t i = 0; i < nmoves; i++) {
        int answer = mover_discard(ctx, moves[i].from, moves[i].cookie);

        if (answer != 0) {
            *error = answer;
            return i;
        }
    }
    return nmoves;
}

/* On real boards the end of a zone: room below an address inside of one is counted frame by frame,
 * for each window that an ordinary claim looks at. */
static cma_paddr_t movers_limit(struct hostile *board, uint32_t index)
{
    uint32_t frame = (uint32_t)hostile_below(board, board->nframes);
    uint32_t zone = (uint32_t)hostile_below(board, board->nzones);

    if (index < 2 || hostile_chance(board, 50))
        return CMA_PADDR_MAX;
    return board->real ? board->zones[zone].last : hostile_paddr_last(board, frame);
}

/* The first two reach everything and never refuse: a page cache, and processes' own pages. */
void hostile_movers_make(struct hostile *board)
{
    board->nmovers = 3 + (uint32_t)hostile_below(board, HOSTILE_MOVERS_MAX - 2);
    for (uint32_t i = 0; i < board->nmovers; i++) {
        struct hostile_mover *mover = &board->movers[i];
        int number;

        mover->board = board;
        mover->droppable = i != 1 && hostile_chance(board, i == 0 ? 100 : 60);
        mover->mover = (struct cma_mover){
            .name = "mover",
            .ctx = mover,
            .paddr_last = movers_limit(board, i),
            .flags = i < 2                       ? 0
                     : hostile_chance(board, 30) ? CMA_MOVER_MAY_REFUSE
                     : hostile_chance(board, 10) ? CMA_MOVER_NEEDS_MEMORY
                                                 : 0,
            .freeze = mover_freeze,
            .commit = mover_commit,
            .abort = mover_abort,
            .discard = mover->droppable ? mover_discard : NULL,
        };
        if (hostile_chance(board, 50)) {
            mover->mover.freeze_many = mover_freeze_many;
            mover->mover.commit_many = mover_commit_many;
            mover->mover.discard_many = mover->droppable ? mover_discard_many : NULL;
        }
        board->refusals |= (mover->mover.flags & CMA_MOVER_MAY_REFUSE) != 0;
        number = cma_mover_register(&board->table, &mover->mover);
        HOSTILE_REQUIRE(board, number > 0, "cma_mover_register: %d", number);
        mover->number = (uint32_t)number;
    }
}

/* --- destinations: others' may fail, whatever room says ------------------------------------- */

static const struct cma_pages_ops *ops_real(const struct hostile *board)
{
    return cma_pages_ops(&board->pages);
}

static int ops_destination(void *ctx, const struct cma_destination *want, cma_pfn_t *pfn)
{
    struct hostile *board = ctx;
    int n;

    if ((want->flags & CMA_DESTINATION_PROMISED) == 0 &&
        hostile_chance(board, board->failing_percent))
        return CMA_ENOMEM;
    n = ops_real(board)->destination(ops_real(board)->ctx, want, pfn);
    if ((want->flags & CMA_DESTINATION_PROMISED) != 0) {
        board->misses = n > 0 ? 0 : board->misses + 1;
        HOSTILE_REQUIRE(board, board->misses <= (board->nested_percent != 0 ? 1000 : 0),
                        "a destination that was promised is not there");
    }
    return n;
}

static void ops_destination_put(void *ctx, cma_pfn_t pfn, uint32_t npages)
{
    const struct cma_pages_ops *real = ops_real(ctx);

    real->destination_put(real->ctx, pfn, npages);
}

static uint64_t ops_room(void *ctx, cma_paddr_t paddr_last)
{
    const struct cma_pages_ops *real = ops_real(ctx);

    return real->room(real->ctx, paddr_last);
}

static int ops_floor(void *ctx, cma_paddr_t paddr_last, uint64_t npages)
{
    const struct cma_pages_ops *real = ops_real(ctx);

    return real->floor(real->ctx, paddr_last, npages);
}

static int ops_alloc(void *ctx, const struct cma_pages_request *request, cma_pfn_t *pfn,
                     struct cma_refusal *refusal)
{
    const struct cma_pages_ops *real = ops_real(ctx);

    return real->alloc(real->ctx, request, pfn, refusal);
}

static int ops_free(void *ctx, cma_pfn_t pfn, uint32_t npages, uint32_t owner)
{
    const struct cma_pages_ops *real = ops_real(ctx);

    return real->free(real->ctx, pfn, npages, owner);
}

static uint64_t ops_cached(void *ctx)
{
    const struct cma_pages_ops *real = ops_real(ctx);

    return real->cached == NULL ? 0 : real->cached(real->ctx);
}

void hostile_ops_make(struct hostile *board)
{
    board->ops = *ops_real(board);
    board->ops.ctx = board;
    board->ops.destination = ops_destination;
    board->ops.destination_put = ops_destination_put;
    board->ops.room = ops_room;
    board->ops.floor = ops_floor;
    board->ops.alloc = ops_alloc;
    board->ops.free = ops_free;
    board->ops.cached = ops_cached;
    cma_frames_set_ops(&board->table, &board->ops);
}

/* --- the port ------------------------------------------------------------------------------ */

static uint64_t port_pages(struct hostile *board, const char *hook, cma_paddr_t paddr,
                           uint64_t nbytes)
{
    uint32_t shift = board->port.page_shift;

    HOSTILE_REQUIRE(board, board->locked == 0, "%s is called with a lock held", hook);
    HOSTILE_REQUIRE(board, nbytes > 0, "%s of nothing", hook);
    return ((paddr + (nbytes - 1)) >> shift) - (paddr >> shift) + 1;
}

static void port_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    struct hostile *board = ctx;
    uint64_t npages = port_pages(board, "copy", from, nbytes);

    for (uint64_t i = 0; i < npages; i++) {
        uint32_t source = hostile_frame(board, (from >> board->port.page_shift) + i);
        uint32_t target = hostile_frame(board, (to >> board->port.page_shift) + i);
        uint32_t owner = board->owners[source];

        HOSTILE_REQUIRE(board,
                        owner != 0 && owner < HOSTILE_OWNER && board->items[owner - 1].frozen,
                        "a copy out of frame %u, which is not frozen", source);
        HOSTILE_REQUIRE(board, board->owners[target] == 0, "a copy onto frame %u, which %#x has",
                        target, board->owners[target]);
    }
    mover_tally(board)->copied += npages;
    mover_others(board);
}

static void port_zero(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    mover_tally(ctx)->zeroed += port_pages(ctx, "zero", paddr, nbytes);
}

static void port_clean(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    mover_tally(ctx)->cleaned += port_pages(ctx, "clean", paddr, nbytes);
}

static void port_invalidate(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)port_pages(ctx, "invalidate", paddr, nbytes);
}

static void port_attribute(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr)
{
    (void)attr;
    mover_tally(ctx)->attributes += port_pages(ctx, "set_attr", paddr, nbytes);
}

static void port_flush(void *ctx)
{
    struct hostile *board = ctx;

    HOSTILE_REQUIRE(board, board->locked == 0, "tlb_flush is called with a lock held");
    mover_tally(board)->flushes++;
    mover_others(board);
}

static void port_barrier(void *ctx)
{
    (void)ctx;
}

static void *port_vaddr(void *ctx, cma_paddr_t paddr)
{
    const struct hostile *board = ctx;

    /* Nobody writes there. */
    return (void *)(uintptr_t)(paddr - hostile_paddr(board, 0) + (1u << 20));
}

static uintptr_t port_lock(void *ctx, struct cma_lock *lock)
{
    struct hostile *board = ctx;

    /* Somebody was quicker. */
    if (board->lock_percent != 0 && board->locked == 0 && board->depth == 0 && !board->checking &&
        hostile_chance(board, board->lock_percent))
        hostile_nested(board);
    HOSTILE_REQUIRE(board, lock->word[0] == 0, "a lock is taken twice");
    lock->word[0] = 1;
    board->locked++;
    return 0;
}

static void port_unlock(void *ctx, struct cma_lock *lock, uintptr_t state)
{
    struct hostile *board = ctx;

    (void)state;
    lock->word[0] = 0;
    board->locked--;
}

static uint32_t port_cpu(void *ctx)
{
    return (uint32_t)hostile_below(ctx, 4);
}

/* Those who were waited for let go. */
static void port_wait(void *ctx, const uint32_t *event, uint32_t seen)
{
    struct hostile *board = ctx;

    (void)event;
    (void)seen;
    HOSTILE_REQUIRE(board, board->locked == 0, "wait is called with a lock held");
    hostile_unref(board);
}

static void port_wake(void *ctx, const uint32_t *event)
{
    (void)ctx;
    (void)event;
}

void hostile_port_make(struct hostile *board)
{
    board->port = (struct cma_port){
        .ctx = board,
        .page_shift = board->real ? 12 : 8 + (uint32_t)hostile_below(board, 9),
        .cache_line_nbytes = 64,
        .vaddr = port_vaddr,
        .set_attr = port_attribute,
        .clean = port_clean,
        .invalidate = port_invalidate,
        .dma_barrier = port_barrier,
        .tlb_flush = port_flush,
        .copy = port_copy,
        .zero = port_zero,
        .cpu = port_cpu,
    };
    if (hostile_chance(board, 50)) {
        board->port.lock = port_lock;
        board->port.unlock = port_unlock;
    }
    if (hostile_chance(board, 50)) {
        board->port.wait = port_wait;
        board->port.wake = port_wake;
    }
}
