/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model_mover.c - the port's hooks, the movers and a host's page allocator
 *
 * The movers judge the order freeze -> flush -> copy -> commit | abort. Between a freeze and the
 * flush that follows, a late writer may still write (its processor has the old translation); after
 * the flush nobody does. A copy that is taken too early therefore loses a write, and the next
 * comparison of the contents finds it.
 */
#include "model.h"

#include <string.h>

static struct model_object *mover_object(struct model *model, uint32_t cookie)
{
    uint32_t index = cookie & 0x1fff;
    struct model_object *object;

    MODEL_REQUIRE(model, index <= MODEL_FRAMES_MAX, "a callback with the cookie %#x", cookie);
    object = &model->objects[index];
    MODEL_REQUIRE(model, object->live && object->cookie == cookie,
                  "a callback about %#x, which its mover does not hold", cookie);
    return object;
}

/* Once a window is being emptied, nothing in it may be held in place. */
static void mover_judge_window(struct model *model, uint32_t frame)
{
    const struct model_frame *f = &model->frames[frame];
    const struct cma_claim *claim = NULL;
    cma_pfn_t pfn = model_pfn(model, frame);

    if (f->place == MODEL_AREA)
        claim = model->areas[f->area].area.claims;
    for (; claim != NULL; claim = claim->next) {
        if (claim->isolated != claim->request.npages || pfn < claim->pfn ||
            pfn - claim->pfn >= claim->request.npages)
            continue;
        for (uint64_t i = 0; i < claim->request.npages; i++) {
            const struct model_frame *g = &model->frames[claim->pfn - model->base + i];

            MODEL_REQUIRE(model, g->object == 0 || model->objects[g->object].refs == 0,
                          "a page is asked for while a reference lies on another of its window");
        }
    }
}

static struct model_object *mover_enter(struct model_mover *mover, const char *what, cma_pfn_t pfn,
                                        uint32_t cookie)
{
    struct model *model = mover->model;
    struct model_object *object = mover_object(model, cookie);

    MODEL_REQUIRE(model, model->locked == 0, "%s is called with a lock held", what);
    MODEL_REQUIRE(model, &model->movers[object->mover] == mover, "%s of another mover", what);
    MODEL_REQUIRE(model, model_pfn(model, object->frame) == pfn,
                  "%s names page %#llx, the data is at %#llx", what, (unsigned long long)pfn,
                  (unsigned long long)model_pfn(model, object->frame));
    MODEL_REQUIRE(model, !object->in_mover, "two callbacks at once for %#x", cookie);
    MODEL_REQUIRE(model, object->pins == 0 && object->refs == 0,
                  "%s of %#x, which has %u pins and %u references", what, cookie, object->pins,
                  object->refs);
    model->tally.hooks++;
    return object;
}

static bool mover_refuses(struct model_mover *mover, const struct model_object *object)
{
    struct model *model = mover->model;

    if (object->refuses)
        return true;
    return (mover->mover.flags & CMA_MOVER_MAY_REFUSE) != 0 &&
           model_chance(model, mover->refusal_percent);
}

/* Other threads run while the callback does. */
static void mover_nested(struct model *model, struct model_object *object)
{
    uint32_t before = model->callback;

    object->in_mover = true;
    model->callback = (uint32_t)(object - model->objects);
    model_nested(model, model->nested_percent);
    model->callback = before;
    object->in_mover = false;
}

/* Its mover does not know the page yet, or is in the middle of a call on it (in real life: holds
 * the handle's lock; here the answer is the one that has libcma try again). */
static bool mover_unsettled(struct model_mover *mover, uint32_t cookie)
{
    struct model *model = mover->model;
    const struct model_object *object = mover_object(model, cookie);

    if (!object->in_call && object->npages != 0)
        return false;
    MODEL_REQUIRE(model, model->depth > 0, "a callback in the middle of a call");
    model->tally.enoents++;
    return true;
}

static int mover_freeze(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct model_mover *mover = ctx;
    struct model *model = mover->model;
    struct model_object *object;

    if (mover_unsettled(mover, cookie))
        return CMA_ENOENT;
    object = mover_enter(mover, "freeze", pfn, cookie);
    mover_judge_window(model, object->frame);

    MODEL_REQUIRE(model, !object->frozen, "freeze of %#x, which is frozen", cookie);
    MODEL_REQUIRE(model, model->nfrozen < 33 * (model->depth + 1) && model->nfrozen < 256,
                  "%u pages are frozen at once", model->nfrozen);
    model->tally.freezes++;
    mover_nested(model, object);
    if (object->dying) {
        model->tally.enoents++;
        model_note(model, "  freeze %#x: gone", cookie);
        return CMA_ENOENT;
    }
    if (mover_refuses(mover, object)) {
        model->tally.refusals++;
        model_note(model, "  freeze %#x: refused", cookie);
        return CMA_EBUSY;
    }
    object->frozen = true;
    object->flushed = model->port.tlb_flush == NULL;
    model->frozen[model->nfrozen++] = (uint32_t)(object - model->objects);
    model_note(model, "  freeze %#x at %#llx", cookie, (unsigned long long)pfn);
    return 0;
}

static void mover_thaw(struct model *model, struct model_object *object)
{
    uint32_t index = (uint32_t)(object - model->objects);

    object->frozen = false;
    for (uint32_t i = 0; i < model->nfrozen; i++) {
        if (model->frozen[i] == index) {
            model->frozen[i] = model->frozen[--model->nfrozen];
            return;
        }
    }
}

static void mover_commit(void *ctx, cma_pfn_t from, cma_pfn_t to, uint32_t cookie)
{
    struct model_mover *mover = ctx;
    struct model *model = mover->model;
    struct model_object *object = mover_enter(mover, "commit", from, cookie);
    uint32_t frame = model_frame_of(model, to);
    const struct model_frame *f;

    MODEL_REQUIRE(model, object->frozen, "commit of %#x without freeze", cookie);
    MODEL_REQUIRE(model, frame != UINT32_MAX, "%#x is moved to %#llx, which is no memory", cookie,
                  (unsigned long long)to);
    f = &model->frames[frame];
    MODEL_REQUIRE(model, model_empty(model, frame), "%#x is moved to %#llx, which is held", cookie,
                  (unsigned long long)to);
    MODEL_REQUIRE(model, model_paddr_last(model, frame) <= mover->mover.paddr_last,
                  "%#x is moved to %#llx, past its mover's limit", cookie, (unsigned long long)to);
    MODEL_REQUIRE(
        model,
        f->place == MODEL_ORDINARY || model->areas[f->area].busy == 0 || model->tally.nested > 0,
        "%#x is moved to %#llx, in an area that is being emptied", cookie, (unsigned long long)to);
    MODEL_REQUIRE(model, !model->areas_only || f->host_out,
                  "%#x is moved to %#llx, which the host did not give", cookie,
                  (unsigned long long)to);
    MODEL_REQUIRE(model, f->content == model_content(object->stamp, 0),
                  "%#x is committed at %#llx before its data is there", cookie,
                  (unsigned long long)to);
    if (model->frames[object->frame].place == MODEL_AREA) {
        struct model_tally *tally = &model->tally;

        if (!tally->copied_outside || object->frame < tally->copied_first)
            tally->copied_first = object->frame;
        if (!tally->copied_outside || object->frame > tally->copied_last)
            tally->copied_last = object->frame;
        tally->copied_outside = true;
    }
    model->frames[frame].host_out = false;
    model->frames[object->frame].object = 0;
    model->frames[object->frame].host_free = false;
    model_object_hold(model, (uint32_t)(object - model->objects), frame);
    for (uint32_t i = 0; i < 4; i++) {
        if (model->pinning[i] == from)
            model->pinning[i] = to;
    }
    mover_thaw(model, object);
    model->tally.commits++;
    model->sums.moves++;
    model_note(model, "  commit %#x %#llx -> %#llx", cookie, (unsigned long long)from,
               (unsigned long long)to);
    mover_nested(model, object);
}

static void mover_abort(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct model_mover *mover = ctx;
    struct model *model = mover->model;
    struct model_object *object = mover_enter(mover, "abort", pfn, cookie);

    MODEL_REQUIRE(model, object->frozen, "abort of %#x without freeze", cookie);
    mover_thaw(model, object);
    model->tally.aborts++;
    model_note(model, "  abort %#x", cookie);
}

static int mover_discard(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct model_mover *mover = ctx;
    struct model *model = mover->model;
    struct model_object *object;

    if (mover_unsettled(mover, cookie))
        return CMA_ENOENT;
    object = mover_enter(mover, "discard", pfn, cookie);
    mover_judge_window(model, object->frame);
    MODEL_REQUIRE(model, object->kind == CMA_KIND_DROPPABLE && !object->frozen,
                  "discard of %#x, which is %s", cookie,
                  object->frozen ? "frozen" : "not droppable");
    mover_nested(model, object);
    if (object->dying) {
        model->tally.enoents++;
        return CMA_ENOENT;
    }
    if (mover_refuses(mover, object)) {
        model->tally.refusals++;
        model_note(model, "  discard %#x: refused", cookie);
        return CMA_EBUSY;
    }
    model_note(model, "  discard %#x at %#llx", cookie, (unsigned long long)pfn);
    model->frames[object->frame].host_free = false;
    model_object_end(model, (uint32_t)(object - model->objects));
    model->tally.discards++;
    model->sums.drops++;
    return 0;
}

/* The same for many frames; the mover still answers for each of them. */
static uint32_t mover_many(int (*one)(void *ctx, cma_pfn_t pfn, uint32_t cookie),
                           struct model_mover *mover, const struct cma_move *moves, uint32_t nmoves,
                           int *error)
{
    struct model *model = mover->model;

    MODEL_REQUIRE(model, nmoves >= 1 && nmoves <= 64, "asked for %u pages", nmoves);
    for (uint32_t i = 0; i < nmoves; i++) {
        int answer = one(mover, moves[i].from, moves[i].cookie);

        MODEL_REQUIRE(model, i == 0 || moves[i].from > moves[i - 1].from, "not in address order");
        if (answer != 0) {
            *error = answer;
            return i;
        }
    }
    return nmoves;
}

static uint32_t mover_freeze_many(void *ctx, const struct cma_move *moves, uint32_t nmoves,
                                  int *error)
{
    return mover_many(mover_freeze, ctx, moves, nmoves, error);
}

static uint32_t mover_discard_many(void *ctx, const struct cma_move *moves, uint32_t nmoves,
                                   int *error)
{
    return mover_many(mover_discard, ctx, moves, nmoves, error);
}

static void mover_commit_many(void *ctx, const struct cma_move *moves, uint32_t nmoves)
{
    for (uint32_t i = 0; i < nmoves; i++)
        mover_commit(ctx, moves[i].from, moves[i].to, moves[i].cookie);
}

void model_movers_make(struct model *model)
{
    uint32_t limited_percent = model_chance(model, 50) ? 20 : 80;

    model->nmovers = 2 + (uint32_t)model_below(model, MODEL_MOVERS_MAX - 1);
    for (uint32_t i = 0; i < model->nmovers; i++) {
        struct model_mover *mover = &model->movers[i];
        uint32_t frame = (uint32_t)model_below(model, model->nframes);
        int number;

        mover->model = model;
        /* The first holds anything anywhere, so that each board can be filled. */
        mover->holds_droppable = i == 0 || model_chance(model, 60);
        mover->mover = (struct cma_mover){
            .name = "mover",
            .ctx = mover,
            .paddr_last = i == 0 || !model_chance(model, limited_percent)
                              ? CMA_PADDR_MAX
                              : model_paddr_last(model, frame) - model_below(model, 2),
            .flags = (i > 0 && model_chance(model, 50) ? CMA_MOVER_MAY_REFUSE : 0) |
                     (model_chance(model, 20) ? CMA_MOVER_NEEDS_MEMORY : 0),
            .freeze = mover_freeze,
            .commit = mover_commit,
            .abort = mover_abort,
            .discard = mover->holds_droppable ? mover_discard : NULL,
        };
        if (model_chance(model, 50)) {
            mover->mover.freeze_many = mover_freeze_many;
            mover->mover.commit_many = mover_commit_many;
            mover->mover.discard_many = mover->holds_droppable ? mover_discard_many : NULL;
        }
        mover->refusal_percent = model_chance(model, 50) ? model->fault_percent : 0;
        number = cma_mover_register(&model->table, &mover->mover);
        MODEL_REQUIRE(model, number > 0, "cma_mover_register: %d", number);
        mover->number = (uint32_t)number;
    }
}

/* --- the port ------------------------------------------------------------------------------ */

static void port_enter(struct model *model, const char *hook)
{
    MODEL_REQUIRE(model, model->locked == 0, "the hook %s is called with a lock held", hook);
    model->tally.hooks++;
}

static void port_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    struct model *model = ctx;
    uint64_t page = 1ull << model->port.page_shift;

    port_enter(model, "copy");
    MODEL_REQUIRE(model, nbytes != 0 && nbytes % page == 0 && to % page == 0 && from % page == 0,
                  "a copy of %llu bytes", (unsigned long long)nbytes);
    for (; nbytes != 0; nbytes -= page, to += page, from += page) {
        uint32_t source = model_frame_of(model, from >> model->port.page_shift);
        uint32_t target = model_frame_of(model, to >> model->port.page_shift);
        const struct model_object *object;

        MODEL_REQUIRE(model, source != UINT32_MAX && target != UINT32_MAX,
                      "a copy of what is no memory");
        MODEL_REQUIRE(model, model->frames[source].object != 0, "a copy of an empty page");
        object = &model->objects[model->frames[source].object];
        MODEL_REQUIRE(model, object->frozen, "a copy of a page that is not frozen");
        MODEL_REQUIRE(model, object->flushed, "a copy while others may still write");
        MODEL_REQUIRE(model, model_empty(model, target), "a copy onto a page that is held");
        model->frames[target].content = model->frames[source].content;
    }
    model_nested(model, model->nested_percent);
}

static void port_zero(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    struct model *model = ctx;

    (void)paddr;
    (void)nbytes;
    port_enter(model, "zero");
}

static void port_barrier(void *ctx)
{
    port_enter(ctx, "dma_barrier");
}

static void *port_vaddr(void *ctx, cma_paddr_t paddr)
{
    (void)ctx;
    (void)paddr;
    return NULL;
}

static void port_flush(void *ctx)
{
    struct model *model = ctx;

    port_enter(model, "tlb_flush");
    for (uint32_t i = 0; i < model->nfrozen; i++) {
        struct model_object *object = &model->objects[model->frozen[i]];

        if (!object->flushed && model_chance(model, 50))
            model_object_write(model, model->frozen[i]);
        object->flushed = true;
    }
    model_nested(model, model->nested_percent);
}

static uintptr_t port_lock(void *ctx, struct cma_lock *lock)
{
    struct model *model = ctx;

    MODEL_REQUIRE(model, model->locked == 0, "two locks at once");
    model_nested(model, model->lock_percent);
    MODEL_REQUIRE(model, lock->word[0] == 0, "a lock is taken twice");
    lock->word[0] = 1;
    model->locked++;
    return 0x5a5a;
}

static void port_unlock(void *ctx, struct cma_lock *lock, uintptr_t state)
{
    struct model *model = ctx;

    MODEL_REQUIRE(model, lock->word[0] == 1 && state == 0x5a5a, "a lock is given back wrongly");
    lock->word[0] = 0;
    model->locked--;
    model_nested(model, model->lock_percent);
}

static void port_wait(void *ctx, const uint32_t *event, uint32_t seen)
{
    struct model *model = ctx;

    port_enter(model, "wait");
    if (*event != seen)
        return;
    model->tally.waits++;
    model->sums.slept++;
    if (model_progress(model))
        model->idle_waits = 0;
    else
        model->idle_waits++;
    MODEL_REQUIRE(model, model->idle_waits < 100, "it waits for something that never comes");
}

static void port_wake(void *ctx, const uint32_t *event)
{
    (void)event;
    port_enter(ctx, "wake");
}

/* Any one: a thread is on another processor each time it asks. Others run before it goes on. */
static uint32_t port_cpu(void *ctx)
{
    struct model *model = ctx;

    if (model->locked == 0)
        model_nested(model, model->lock_percent);
    return (uint32_t)model_below(model, 6);
}

void model_port_make(struct model *model)
{
    bool waits = model_chance(model, 70);

    model->port = (struct cma_port){
        .ctx = model,
        .page_shift = 12 + (uint32_t)model_below(model, 5),
        .cache_line_nbytes = 64,
        .vaddr = port_vaddr,
        .dma_barrier = port_barrier,
        .tlb_flush = model_chance(model, 80) ? port_flush : NULL,
        .copy = port_copy,
        .zero = port_zero,
        .lock = port_lock,
        .unlock = port_unlock,
        .wait = waits ? port_wait : NULL,
        .wake = waits ? port_wake : NULL,
        .cpu = model_chance(model, 80) ? port_cpu : NULL,
    };
}

/* --- a host with an allocator of its own ----------------------------------------------------- */

static int host_lend(void *ctx, cma_pfn_t pfn, uint32_t npages, enum cma_lend_class lend_class)
{
    struct model *model = ctx;
    uint32_t frame = model_frame_of(model, pfn);

    port_enter(model, "lend");
    if (model_chance(model, model->fault_percent))
        return CMA_ENOMEM;
    for (uint32_t i = frame; i < frame + npages; i++) {
        const struct model_frame *f = &model->frames[i];

        MODEL_REQUIRE(model,
                      f->place == MODEL_AREA &&
                          (model->tally.nested > 0 || (f->object == 0 && !f->host_free)),
                      "page %#llx is lent to the host although it is %s",
                      (unsigned long long)model_pfn(model, i),
                      f->host_free ? "lent already" : "held");
        MODEL_REQUIRE(model, model->areas[f->area].lend_class == lend_class,
                      "lent with the class %d", lend_class);
        /* Where calls race, what is offered can be there already, or be taken by a claim: the
         * second is found out when it is published. */
        model->frames[i].host_free = f->object == 0;
    }
    return 0;
}

static void host_take_back(void *ctx, cma_pfn_t pfn, uint32_t npages)
{
    struct model *model = ctx;
    uint32_t frame = model_frame_of(model, pfn);

    port_enter(model, "take_back");
    for (uint32_t i = frame; i < frame + npages; i++)
        model->frames[i].host_free = false;
}

static int host_destination(void *ctx, const struct cma_destination *want, cma_pfn_t *pfn)
{
    struct model *model = ctx;

    port_enter(model, "destination");
    for (uint32_t i = model->nframes; i-- > 0;) {
        struct model_frame *f = &model->frames[i];
        bool good = f->place == MODEL_ORDINARY && f->object == 0 && !f->host_out;

        if (good && model_paddr_last(model, i) <= want->paddr_last) {
            uint32_t n = 1;

            f->host_out = true;
            /* Neighbours too, when the host feels like it. */
            while (n < want->npages && i > 0 && model_chance(model, 70)) {
                f = &model->frames[i - 1];
                if (f->place != MODEL_ORDINARY || f->object != 0 || f->host_out ||
                    model_pfn(model, i - 1) + 1 != model_pfn(model, i))
                    break;
                f->host_out = true;
                n++;
                i--;
            }
            *pfn = model_pfn(model, i);
            return (int)n;
        }
    }
    return CMA_ENOMEM;
}

static void host_destination_put(void *ctx, cma_pfn_t pfn, uint32_t npages)
{
    struct model *model = ctx;
    uint32_t frame = model_frame_of(model, pfn);

    port_enter(model, "destination_put");
    for (uint32_t i = frame; i < frame + npages; i++) {
        MODEL_REQUIRE(model, frame != UINT32_MAX && model->frames[i].host_out,
                      "page %#llx is given back, but was no destination", (unsigned long long)pfn);
        model->frames[i].host_out = false;
    }
}

static uint64_t host_room(void *ctx, cma_paddr_t paddr_last)
{
    struct model *model = ctx;

    port_enter(model, "room");
    return model_room(model, paddr_last, false);
}

void model_host_make(struct model *model)
{
    model->host = (struct cma_pages_ops){
        .ctx = model,
        .lend = host_lend,
        .take_back = host_take_back,
        .destination = host_destination,
        .destination_put = host_destination_put,
        .room = host_room,
    };
}

/* The host serves one of its own movers: a lent page if there is one, else one of its own. */
int model_host_alloc(struct model *model, uint32_t mover, enum cma_kind kind, uint32_t *object)
{
    const struct cma_mover *m = &model->movers[mover].mover;
    uint32_t start = (uint32_t)model_below(model, model->nframes);
    struct cma_holder holder = {kind, model->movers[mover].number, 0};

    for (uint32_t i = 0; i < model->nframes; i++) {
        uint32_t frame = (start + i) % model->nframes;
        struct model_frame *f = &model->frames[frame];
        bool own = f->place == MODEL_ORDINARY && f->object == 0 && !f->host_out;

        if (model_paddr_last(model, frame) > m->paddr_last || !(own || f->host_free))
            continue;
        if (f->host_free && model->areas[f->area].lend_class == CMA_LEND_SLOT && m->flags != 0)
            continue;
        *object = model_object_make(model);
        holder.cookie = model->objects[*object].cookie;
        if (f->host_free) {
            bool checking = model->checking;
            int error;

            model->checking = true; /* the host holds its own lock meanwhile */
            error = cma_frame_publish(&model->table, model_pfn(model, frame), &holder);
            model->checking = checking;

            MODEL_REQUIRE(model, error == 0 || error == CMA_EAGAIN, "publish: %s",
                          cma_strerror(error));
            f->host_free = false;
            if (error != 0) {
                MODEL_REQUIRE(model, model->areas[f->area].busy > 0,
                              "page %#llx was lent, but no claim has taken it back",
                              (unsigned long long)model_pfn(model, frame));
                model_object_end(model, *object);
                continue;
            }
        }
        model->objects[*object].kind = kind;
        model->objects[*object].mover = mover;
        model_object_hold(model, *object, frame);
        model_object_write(model, *object);
        return 0;
    }
    return CMA_ENOMEM;
}

int model_host_free(struct model *model, uint32_t object)
{
    uint32_t frame = model->objects[object].frame;
    struct model_frame *f = &model->frames[frame];
    bool checking;
    int result;

    if (f->place == MODEL_ORDINARY) {
        if (model->objects[object].frozen || model->objects[object].in_mover)
            return CMA_EAGAIN;
        return model->objects[object].pins > 0 ? CMA_EBADF : 0;
    }
    checking = model->checking;
    model->checking = true; /* the host holds its own lock meanwhile */
    result = cma_frame_release(&model->table, model_pfn(model, frame));
    model->checking = checking;
    if (result < 0)
        return result;
    f->host_free = result == 1;
    return 0;
}
