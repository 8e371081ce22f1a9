/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostile_users.c - those who were promised nothing, and take what they can
 *
 * Each does what guarantee.h asks of it and not a bit more: who can't keep or reference a page of a
 * slot has it moved out, and tries again.
 */
#include "hostile.h"

#include <string.h>

/* --- items --------------------------------------------------------------------------------- */

uint32_t hostile_item_new(struct hostile *board)
{
    uint32_t item = board->free_item;

    if (item == HOSTILE_NONE)
        return item;
    board->free_item = board->items[item].at;
    memset(&board->items[item], 0, sizeof board->items[item]);
    board->items[item].frame = HOSTILE_NONE;
    return item;
}

static void item_unlist(struct hostile *board, uint32_t item)
{
    uint32_t list = board->items[item].list, at = board->items[item].at;
    uint32_t last;

    if (list == HOSTILE_FREE)
        return;
    last = board->lists[list][--board->counts[list]];
    board->lists[list][at] = last;
    board->items[last].at = at;
}

void hostile_item_list(struct hostile *board, uint32_t item, enum hostile_list list)
{
    item_unlist(board, item);
    board->items[item].list = (uint8_t)list;
    board->items[item].at = board->counts[list];
    board->lists[list][board->counts[list]++] = item;
}

/* Nobody has it any more; while a call on it runs, its number is not given to another. */
void hostile_item_end(struct hostile *board, uint32_t item)
{
    struct hostile_item *i = &board->items[item];

    if (i->in_call) {
        hostile_item_list(board, item, HOSTILE_ZOMBIE);
        return;
    }
    item_unlist(board, item);
    i->list = HOSTILE_FREE;
    i->frame = HOSTILE_NONE;
    i->at = board->free_item;
    board->free_item = item;
}

static struct hostile_item *item_enter(struct hostile *board, uint32_t item)
{
    board->items[item].in_call = true;
    return &board->items[item];
}

/* Returns whether it is still there. */
static bool item_leave(struct hostile *board, uint32_t item)
{
    struct hostile_item *i = &board->items[item];

    i->in_call = false;
    if (i->list != HOSTILE_ZOMBIE)
        return true;
    hostile_item_end(board, item);
    return false;
}

/* Calls that do not sleep are made under the handle's lock, which commit and discard take too. */
static void item_lock(struct hostile *board, uint32_t item)
{
    board->items[item].in_call = board->items[item].locked = true;
}

static void item_unlock(struct hostile *board, uint32_t item)
{
    board->items[item].in_call = board->items[item].locked = false;
}

static uint32_t item_pick(struct hostile *board, enum hostile_list list)
{
    uint32_t item;

    if (board->counts[list] == 0)
        return HOSTILE_NONE;
    item = board->lists[list][hostile_below(board, board->counts[list])];
    return board->items[item].in_call ? HOSTILE_NONE : item;
}

void hostile_mark(struct hostile *board, uint32_t frame, uint32_t npages, uint32_t owner)
{
    for (uint32_t i = frame; i < frame + npages; i++) {
        HOSTILE_REQUIRE(board, i < board->nframes && board->places[i] != 0,
                        "%#x gets frame %u, which is no memory", owner, i);
        HOSTILE_REQUIRE(board, board->owners[i] == 0, "%#x gets frame %u, which %#x has", owner, i,
                        board->owners[i]);
        board->owners[i] = owner;
    }
}

void hostile_clear(struct hostile *board, uint32_t frame, uint32_t npages, uint32_t owner)
{
    for (uint32_t i = frame; i < frame + npages; i++) {
        HOSTILE_REQUIRE(board, board->owners[i] == owner, "frame %u is %#x's, not %#x's", i,
                        board->owners[i], owner);
        board->owners[i] = 0;
    }
}

/* Others may be at work on what this call is about. */
static bool users_may_race(const struct hostile *board)
{
    return board->depth > 0 || board->nested_percent != 0;
}

static bool users_are_claiming(const struct hostile *board)
{
    for (uint32_t i = 0; i < HOSTILE_CLAIMS_MAX; i++) {
        if (board->claims[i].running)
            return true;
    }
    return false;
}

/* --- pages --------------------------------------------------------------------------------- */

static void users_refused(struct hostile *board, enum hostile_list list, uint32_t mover,
                          uint32_t flags)
{
    board->sums->alloc_refusals++;
    if (list != HOSTILE_DROPPABLE || mover != 0 || flags != 0)
        return;
    board->demand = true;
    if (board->guarded && board->depth == 0) {
        board->sums->samples++;
        hostile_sample(board, &board->sums->idle_now, &board->sums->lent_now);
    }
}

/* One request. `mover` is an index; unmovable requests have none. */
static bool users_alloc(struct hostile *board, enum hostile_list list, uint32_t mover,
                        uint32_t npages, uint32_t flags)
{
    const struct hostile_mover *m = &board->movers[mover];
    uint32_t item = hostile_item_new(board);
    struct cma_pages_request request = {
        .npages = npages,
        .holder = {CMA_KIND_UNMOVABLE, 0, item},
        .flags = flags,
    };
    struct hostile_item *i;
    cma_pfn_t pfn;
    int error;

    if (item == HOSTILE_NONE)
        return false;
    if (list != HOSTILE_UNMOVABLE) {
        request.holder.kind = list == HOSTILE_MOVABLE ? CMA_KIND_MOVABLE : CMA_KIND_DROPPABLE;
        request.holder.mover = m->number;
    }
    board->sums->allocs++;
    i = item_enter(board, item);
    board->getting |= board->depth == 0;
    error = cma_pages_alloc(&board->pages, &request, &pfn, NULL);
    board->getting &= board->depth > 0;
    i->in_call = false;
    if (error != 0) {
        HOSTILE_REQUIRE(board, error == CMA_ENOMEM || error == CMA_ENOSPC || error == CMA_ERANGE,
                        "cma_pages_alloc of %u pages, list %u: %s", npages, list,
                        cma_strerror(error));
        hostile_item_end(board, item);
        users_refused(board, list, mover, flags);
        return false;
    }
    i->frame = hostile_frame(board, pfn);
    i->npages = (uint16_t)npages;
    i->mover = (uint8_t)mover;
    hostile_mark(board, i->frame, npages, item + 1);
    HOSTILE_REQUIRE(board,
                    list == HOSTILE_UNMOVABLE
                        ? board->places[i->frame] == 1
                        : hostile_paddr_last(board, i->frame) <= m->mover.paddr_last,
                    "%#x gets frame %u, where it may not be", item, i->frame);
    hostile_item_list(board, item, list);
    if ((flags & CMA_PAGES_REF) != 0) {
        i->refs = 1;
        board->referenced[board->nreferenced++] = item;
    }
    return true;
}

static uint32_t users_mover(struct hostile *board, bool droppable)
{
    uint32_t mover = (uint32_t)hostile_below(board, board->nmovers);

    return !droppable || board->movers[mover].droppable ? mover : 0;
}

static void users_get(struct hostile *board, enum hostile_list list, uint32_t n)
{
    uint32_t mover = list == HOSTILE_UNMOVABLE ? 0 : users_mover(board, list == HOSTILE_DROPPABLE);
    uint32_t flags = !hostile_chance(board, 10)  ? 0
                     : hostile_chance(board, 50) ? CMA_PAGES_NO_LENT
                                                 : CMA_PAGES_NO_LEND;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t npages = list != HOSTILE_UNMOVABLE || hostile_chance(board, 80)
                              ? 1
                              : 1 + (uint32_t)hostile_below(board, 8);

        if (!users_alloc(board, list, mover, npages, flags) && hostile_chance(board, 70))
            return;
    }
}

static void users_free(struct hostile *board, uint32_t item)
{
    struct hostile_item *i = &board->items[item];
    int error;

    if (i->pins > 0 || i->refs > 0)
        return;
    /* Before the call has returned, somebody else can have the frame. */
    hostile_clear(board, i->frame, i->npages, item + 1);
    item_lock(board, item);
    error = cma_pages_free(&board->pages, hostile_pfn(board, i->frame), i->npages, item);
    item_unlock(board, item);
    if (error == CMA_EAGAIN && users_may_race(board)) {
        hostile_mark(board, i->frame, i->npages, item + 1);
        return;
    }
    HOSTILE_REQUIRE(board, error == 0, "cma_pages_free of frame %u: %s", i->frame,
                    cma_strerror(error));
    hostile_item_end(board, item);
}

static void users_put(struct hostile *board, enum hostile_list list, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t item = item_pick(board, list);

        if (item != HOSTILE_NONE)
            users_free(board, item);
    }
}

/* Out of its slot: whether the page is elsewhere now. */
static bool users_move_out(struct hostile *board, uint32_t item)
{
    struct hostile_item *i = item_enter(board, item);
    uint32_t frame = i->frame;
    cma_pfn_t to = CMA_PFN_NONE;
    int error = cma_frame_move_out(&board->table, hostile_pfn(board, frame), &to);

    if (!item_leave(board, item))
        return false;
    /* Somebody else was quicker: its holder looks again. */
    if (board->nested_percent != 0 && i->frame != frame && error != 0)
        return true;
    if (error == 0) {
        HOSTILE_REQUIRE(board, to == hostile_pfn(board, i->frame) || board->nested_percent != 0,
                        "cma_frame_move_out says %#llx, the data is in frame %u",
                        (unsigned long long)to, i->frame);
        return true;
    }
    HOSTILE_REQUIRE(board,
                    error == CMA_ENOMEM ||
                        (error == CMA_EAGAIN && (users_may_race(board) || board->shy_percent != 0)),
                    "cma_frame_move_out of frame %u: %s", i->frame, cma_strerror(error));
    return false;
}

static void users_keep(struct hostile *board, uint32_t item)
{
    struct hostile_item *i = &board->items[item];

    for (uint32_t tries = 0; tries < 3; tries++) {
        int error;

        item_lock(board, item);
        error = cma_frame_keep(&board->table, hostile_pfn(board, i->frame));
        item_unlock(board, item);
        if (error == 0) {
            hostile_item_list(board, item, HOSTILE_MOVABLE);
            board->sums->keeps++;
            return;
        }
        if (error == CMA_EAGAIN && users_may_race(board))
            return;
        HOSTILE_REQUIRE(board, error == CMA_EBUSY, "cma_frame_keep of frame %u: %s", i->frame,
                        cma_strerror(error));
        if (!users_move_out(board, item) || i->list != HOSTILE_DROPPABLE)
            return;
        board->sums->keeps_out++;
    }
    HOSTILE_REQUIRE(board, board->nested_percent != 0, "frame %u can't be kept although it left",
                    i->frame);
}

static void users_allow_drop(struct hostile *board, uint32_t item)
{
    struct hostile_item *i = &board->items[item];
    int error;

    if (!board->movers[i->mover].droppable)
        return;
    item_lock(board, item);
    error = cma_frame_allow_drop(&board->table, hostile_pfn(board, i->frame));
    item_unlock(board, item);
    if (error == CMA_EAGAIN && users_may_race(board))
        return;
    HOSTILE_REQUIRE(board, error == 0, "cma_frame_allow_drop of frame %u: %s", i->frame,
                    cma_strerror(error));
    hostile_item_list(board, item, HOSTILE_DROPPABLE);
}

static void users_each(struct hostile *board, enum hostile_list list, uint32_t n,
                       void (*act)(struct hostile *board, uint32_t item))
{
    for (uint32_t i = 0; i < n; i++) {
        uint32_t item = item_pick(board, list);

        if (item != HOSTILE_NONE)
            act(board, item);
    }
}

/* --- pins and references ------------------------------------------------------------------- */

/* Users inside of a call leave room for what the call itself gets. */
static bool users_may_note(const struct hostile *board, uint32_t n, uint32_t max)
{
    return n < (board->depth > 0 ? max / 2 : max);
}

/* Nobody is told to try again where nobody is at work: nothing would ever change. */
static void users_judge_again(struct hostile *board, uint32_t frame, int error)
{
    HOSTILE_REQUIRE(board,
                    error != CMA_EAGAIN || users_may_race(board) || users_are_claiming(board) ||
                        board->shy_percent != 0,
                    "try frame %u again, but nobody has it at work", frame);
}

static void users_pin(struct hostile *board, uint32_t item)
{
    struct hostile_item *i = item_enter(board, item);
    bool in_place = hostile_chance(board, 10);
    cma_pfn_t pfn = hostile_pfn(board, i->frame), pinned = pfn;
    int error;

    if (!users_may_note(board, board->npinned, HOSTILE_PINS_MAX)) {
        (void)item_leave(board, item);
        return;
    }
    error = in_place ? cma_frame_pin_in_place(&board->table, pfn)
                     : cma_frame_pin(&board->table, pfn, &pinned);
    if (!item_leave(board, item) ||
        (error == 0 && pinned != hostile_pfn(board, i->frame) && users_may_race(board))) {
        /* It was gone, or elsewhere, before the pin, and the pin is on somebody else's page. */
        if (error == 0)
            error = cma_frame_unpin(&board->table, pinned);
        HOSTILE_REQUIRE(board, users_may_race(board), "a page is gone, and nobody else was here");
        return;
    }
    if (error == CMA_EBADF && pfn != hostile_pfn(board, i->frame))
        return;
    users_judge_again(board, i->frame, error);
    if (error != 0) {
        HOSTILE_REQUIRE(board,
                        error == CMA_EAGAIN || error == CMA_EBUSY || error == CMA_ENOMEM ||
                            error == CMA_EOVERFLOW || (in_place && error == CMA_EPERM),
                        "a pin on frame %u: %s", i->frame, cma_strerror(error));
        return;
    }
    HOSTILE_REQUIRE(board, pinned == hostile_pfn(board, i->frame),
                    "the data is in frame %u, page %#llx is pinned", i->frame,
                    (unsigned long long)pinned);
    HOSTILE_REQUIRE(board, in_place || board->places[i->frame] == 1,
                    "frame %u is pinned, in an area", i->frame);
    i->pins++;
    board->pinned[board->npinned++] = item;
    board->sums->pins++;
}

/* One pin or reference less. It is not counted any more: once the call has let go of the page, and
 * before it returns, its mover may be asked for it. */
static void users_let(struct hostile *board, uint32_t item,
                      int (*let)(struct cma_frames *frames, cma_pfn_t pfn))
{
    bool outer = board->items[item].in_call;
    uint32_t frame = board->items[item].frame;
    int error;

    board->items[item].in_call = true;
    error = let(&board->table, hostile_pfn(board, frame));
    HOSTILE_REQUIRE(board, error == 0, "a pin or reference on frame %u can't be dropped: %s", frame,
                    cma_strerror(error));
    if (!outer)
        (void)item_leave(board, item);
}

static void users_unpin(struct hostile *board, uint32_t n)
{
    for (; n > 0 && board->npinned > 0; n--) {
        uint32_t at = (uint32_t)hostile_below(board, board->npinned);
        uint32_t item = board->pinned[at];

        board->pinned[at] = board->pinned[--board->npinned];
        board->items[item].pins--;
        users_let(board, item, cma_frame_unpin);
    }
}

static void users_ref(struct hostile *board, uint32_t item)
{
    struct hostile_item *i = &board->items[item];
    int error = CMA_EBUSY;

    if (!users_may_note(board, board->nreferenced, HOSTILE_REFS_MAX))
        return;
    for (uint32_t tries = 0; tries < 2 && error == CMA_EBUSY; tries++) {
        if (tries > 0 && !users_move_out(board, item))
            return;
        item_lock(board, item);
        error = cma_frame_ref(&board->table, hostile_pfn(board, i->frame));
        item_unlock(board, item);
    }
    if (error != 0) {
        users_judge_again(board, i->frame, error);
        HOSTILE_REQUIRE(board, error == CMA_EAGAIN || error == CMA_EBUSY || error == CMA_EOVERFLOW,
                        "cma_frame_ref of frame %u: %s", i->frame, cma_strerror(error));
        return;
    }
    i->refs++;
    board->referenced[board->nreferenced++] = item;
    board->sums->refs++;
}

static void users_unref(struct hostile *board, uint32_t n)
{
    for (; n > 0 && board->nreferenced > 0; n--) {
        uint32_t at = (uint32_t)hostile_below(board, board->nreferenced);
        uint32_t item = board->referenced[at];

        board->referenced[at] = board->referenced[--board->nreferenced];
        board->items[item].refs--;
        users_let(board, item, cma_frame_unref);
    }
}

static void users_refs(struct hostile *board, uint32_t n)
{
    if (hostile_chance(board, 60)) {
        users_unref(board, n);
        return;
    }
    for (uint32_t i = 0; i < n && i < 8; i++) {
        enum hostile_list list = hostile_chance(board, 50) ? HOSTILE_MOVABLE : HOSTILE_DROPPABLE;

        if (hostile_chance(board, 30) &&
            users_may_note(board, board->nreferenced, HOSTILE_REFS_MAX))
            (void)users_alloc(board, list, users_mover(board, list == HOSTILE_DROPPABLE), 1,
                              CMA_PAGES_REF);
        else
            users_each(board, list, 1, users_ref);
    }
}

/* --- ordinary claims ----------------------------------------------------------------------- */

static void users_bought(struct hostile *board, uint32_t area, cma_pfn_t pfn,
                         const struct cma_area_request *request)
{
    const struct hostile_area *a = &board->areas[area];
    uint32_t frame = hostile_frame(board, pfn), npages = (uint32_t)request->npages;

    HOSTILE_REQUIRE(board, frame >= a->first && npages <= a->npages - (frame - a->first),
                    "a claim of %u pages got frame %u, outside of its area", npages, frame);
    for (uint32_t i = frame; i < frame + npages; i++) {
        struct cma_frame_info info;

        HOSTILE_REQUIRE(board,
                        cma_frame_info(&board->table, hostile_pfn(board, i), &info) == 0 &&
                            !info.slot && !info.idle,
                        "a claim of %u pages got frame %u, in a slot", npages, i);
    }
    hostile_mark(board, frame, npages, HOSTILE_OWNER | request->owner);
    board->buffers[board->nbuffers++] =
        (struct hostile_buffer){frame, npages, area, request->owner};
    board->sums->claims++;
}

static void users_claim_request(struct hostile *board, uint32_t area,
                                struct cma_area_request *request)
{
    const struct hostile_area *a = &board->areas[area];

    *request = (struct cma_area_request){
        .npages = hostile_log_uniform(board, 1, board->real ? 1024 : (a->npages + 2) / 3),
        .owner = 0x5000 + (uint32_t)hostile_below(board, 0x1000),
        .align_npages = hostile_chance(board, 70) ? 0 : 1ull << hostile_below(board, 5),
        .flags = hostile_chance(board, 20)   ? CMA_CLAIM_LONG
                 : hostile_chance(board, 20) ? CMA_CLAIM_SHORT
                                             : 0,
    };
}

static uint32_t users_area(struct hostile *board)
{
    return (uint32_t)hostile_below(board, board->nareas);
}

/* Room is kept for the claims that are in progress. */
static bool users_may_claim(const struct hostile *board)
{
    return board->nbuffers + 2 * HOSTILE_CLAIMS_MAX < HOSTILE_BUFFERS_MAX;
}

static void users_claim(struct hostile *board)
{
    struct cma_area_request request;
    struct cma_refusal refusal;
    uint32_t area = users_area(board);
    cma_pfn_t pfn;
    int error;

    if (!users_may_claim(board))
        return;
    users_claim_request(board, area, &request);
    error = cma_area_alloc(&board->areas[area].area, &request, &pfn,
                           hostile_chance(board, 3) ? &refusal : NULL);
    hostile_note(board, "claim: area, pages", area, request.npages, error);
    if (error == 0)
        users_bought(board, area, pfn, &request);
    else
        board->sums->claim_refusals++;
}

static void users_claim_more(struct hostile *board)
{
    struct hostile_claim *claim = &board->claims[hostile_below(board, HOSTILE_CLAIMS_MAX)];
    int error;

    if (claim->inside)
        return;
    if (!claim->running) {
        struct cma_area_request request;

        if (!users_may_claim(board))
            return;
        claim->area = users_area(board);
        users_claim_request(board, claim->area, &request);
        claim->inside = true;
        claim->running =
            cma_claim_start(&claim->claim, &board->areas[claim->area].area, &request) == 0;
        claim->inside = false;
        hostile_note(board, "claim begun: area, pages", claim->area, request.npages,
                     claim->running);
        return;
    }
    if (hostile_chance(board, 15)) {
        claim->inside = true;
        cma_claim_cancel(&claim->claim);
        claim->inside = claim->running = false;
        hostile_note(board, "claim cancelled: area", claim->area, 0, 0);
        return;
    }
    claim->inside = true;
    error = cma_claim_step(&claim->claim, 1 + hostile_below(board, 40));
    hostile_note(board, "claim goes on: area", claim->area, 0, error);
    claim->running = error > 0;
    board->sums->steps++;
    if (error == 0)
        users_bought(board, claim->area, claim->claim.pfn, &claim->claim.request);
    claim->inside = false;
}

static void users_claims_cancel(struct hostile *board)
{
    for (uint32_t i = 0; i < HOSTILE_CLAIMS_MAX; i++) {
        if (board->claims[i].running && !board->claims[i].inside) {
            board->claims[i].inside = true;
            cma_claim_cancel(&board->claims[i].claim);
            board->claims[i].inside = board->claims[i].running = false;
        }
    }
}

static void users_sell(struct hostile *board)
{
    uint32_t at;
    struct hostile_buffer b;
    int error;

    if (board->nbuffers == 0)
        return;
    at = (uint32_t)hostile_below(board, board->nbuffers);
    b = board->buffers[at];
    board->buffers[at] = board->buffers[--board->nbuffers];
    hostile_clear(board, b.frame, b.npages, HOSTILE_OWNER | b.owner);
    error = cma_area_release(&board->areas[b.area].area, hostile_pfn(board, b.frame), b.npages,
                             b.owner);
    HOSTILE_REQUIRE(board, error == 0, "cma_area_release of frame %u: %s", b.frame,
                    cma_strerror(error));
}

/* Dirties what one slot lends, as far as it goes. */
static void users_dirty_slot(struct hostile *board, uint32_t n)
{
    uint32_t index = (uint32_t)hostile_below(board, HOSTILE_SLOTS_MAX / 8);
    struct cma_slot_info info;

    if (cma_guarantees_slot(&board->guarantees, index, &info) != 0 || info.out || info.returning)
        return;
    for (uint32_t i = 0; i < n && i < info.npages; i++) {
        uint32_t owner =
            board->owners[hostile_frame(board, info.pfn) + hostile_below(board, info.npages)];

        if (owner != 0 && owner < HOSTILE_OWNER && !board->items[owner - 1].in_call &&
            board->items[owner - 1].list == HOSTILE_DROPPABLE)
            users_keep(board, owner - 1);
    }
}

/* --- rounds -------------------------------------------------------------------------------- */

static void users_odds(struct hostile *board, uint32_t n)
{
    switch (hostile_below(board, 4)) {
    case 0: (void)cma_area_lend(&board->areas[users_area(board)].area, CMA_KIND_DROPPABLE); break;
    case 1: (void)cma_pages_drain(&board->pages); break;
    case 2:
        for (uint32_t i = 0; i < n; i++) {
            uint32_t item = item_pick(board, HOSTILE_DROPPABLE);

            if (item != HOSTILE_NONE && board->items[item].pins == 0 &&
                board->items[item].refs == 0)
                (void)users_move_out(board, item);
        }
        break;
    default: users_claims_cancel(board); break;
    }
}

void hostile_round(struct hostile *board, bool small)
{
    uint32_t n = 1 + (uint32_t)hostile_below(board, small ? 6 : board->burst);
    uint32_t at = (uint32_t)hostile_below(board, board->weight + 1), what = 0;

    while (what < 15 && at >= board->weights[what])
        at -= board->weights[what++];
    hostile_note(board, small ? "users inside" : "users", what, n, 0);
    switch (what) {
    case 0:
        for (uint32_t i = 0; i < 4 * n && users_alloc(board, HOSTILE_DROPPABLE, 0, 1, 0); i++)
            ;
        break;
    case 1: users_get(board, HOSTILE_DROPPABLE, n); break;
    case 2: users_get(board, HOSTILE_MOVABLE, n); break;
    case 3: users_get(board, HOSTILE_UNMOVABLE, n); break;
    case 4:
        if (hostile_chance(board, 50))
            users_dirty_slot(board, n);
        else
            users_each(board, HOSTILE_DROPPABLE, n, users_keep);
        break;
    case 5: users_each(board, HOSTILE_MOVABLE, n, users_allow_drop); break;
    case 6: users_put(board, HOSTILE_DROPPABLE, n); break;
    case 7: users_put(board, HOSTILE_MOVABLE, n); break;
    case 8: users_put(board, HOSTILE_UNMOVABLE, n); break;
    case 9:
        users_each(board, hostile_chance(board, 50) ? HOSTILE_MOVABLE : HOSTILE_DROPPABLE, n,
                   users_pin);
        break;
    case 10: users_unpin(board, 2 * n); break;
    case 11: users_refs(board, n); break;
    case 12: users_claim(board); break;
    case 13: users_sell(board); break;
    case 14: users_claim_more(board); break;
    default: users_odds(board, n); break;
    }
}

void hostile_demand(struct hostile *board, uint32_t npages)
{
    while (npages-- > 0 && users_alloc(board, HOSTILE_DROPPABLE, 0, 1, 0))
        ;
}

void hostile_unref(struct hostile *board)
{
    users_unref(board, UINT32_MAX);
}

/* Another thread, while libcma calls a mover or a hook. */
void hostile_nested(struct hostile *board)
{
    board->depth++;
    board->sums->nested++;
    if ((board->taking || board->getting) && board->guarded && hostile_chance(board, 20))
        hostile_take_nested(board);
    else
        hostile_round(board, true);
    board->depth--;
}

void hostile_fill(struct hostile *board)
{
    uint32_t refused = 0;

    while (refused < 6) {
        enum hostile_list list = hostile_chance(board, 60)   ? HOSTILE_DROPPABLE
                                 : hostile_chance(board, 70) ? HOSTILE_MOVABLE
                                                             : HOSTILE_UNMOVABLE;
        uint32_t mover = list == HOSTILE_UNMOVABLE || hostile_chance(board, 50)
                             ? 0
                             : users_mover(board, list == HOSTILE_DROPPABLE);

        refused += !users_alloc(board, list, mover, 1, 0);
    }
}

void hostile_relax(struct hostile *board)
{
    bool checking = board->checking;

    board->checking = true; /* nobody comes meanwhile */
    users_claims_cancel(board);
    while (board->nbuffers > 0)
        users_sell(board);
    users_unref(board, UINT32_MAX);
    users_unpin(board, UINT32_MAX);
    for (uint32_t list = HOSTILE_UNMOVABLE; list <= HOSTILE_DROPPABLE; list++) {
        while (board->counts[list] > 0)
            users_free(board, board->lists[list][board->counts[list] - 1]);
    }
    board->checking = checking;
}
