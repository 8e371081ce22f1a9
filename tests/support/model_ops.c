/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model_ops.c - the random operations, and what the model demands of each result
 *
 * The same operations run nested, in hooks and callbacks, as other threads would. There a page may
 * be frozen or about to be, so CMA_EAGAIN is right for calls on single pages, refusals are not
 * judged, and a page that the model knows to be frozen must answer CMA_EAGAIN.
 */
#include "model.h"

#include <string.h>

static const char *ops_name(int error)
{
    return error > 0 ? "more" : cma_strerror(error);
}

/* --- choosing ------------------------------------------------------------------------------ */

/* Has another thread a call on this page in progress? Its holder leaves it alone then. */
static bool ops_busy(const struct model *model, uint32_t object)
{
    const struct model_object *o = &model->objects[object];

    for (uint32_t i = 0; i < 4; i++) {
        if (model->pinning[i] == model_pfn(model, o->frame))
            return true;
    }
    return o->in_call;
}

/* Who has a page in a window that a paused claim has isolated, or 0. */
static uint32_t ops_pick_isolated(struct model *model)
{
    const struct model_claim *claim = &model->claims[model_below(model, MODEL_CLAIMS_MAX)];

    if (!claim->running || claim->inside || claim->claim.isolated == 0)
        return 0;
    return model->frames[claim->claim.pfn - model->base + model_below(model, claim->claim.isolated)]
        .object;
}

/* A live object of one of the kinds in the mask (1 << kind), or 0. */
static uint32_t ops_pick(struct model *model, uint32_t kinds)
{
    for (uint32_t tries = 0; tries < 16 && model->nlive > 0; tries++) {
        uint32_t index = model->live[model_below(model, model->nlive)];
        uint32_t isolated = model_chance(model, 10) ? ops_pick_isolated(model) : 0;
        const struct model_object *object = &model->objects[index];

        /* A page that is being moved is the most interesting one. */
        if (isolated != 0)
            index = isolated;
        if (model->nfrozen > 0 && model_chance(model, 25))
            index = model->frozen[model_below(model, model->nfrozen)];
        else if (model->callback != 0 && model_chance(model, 25))
            index = model->callback;
        object = &model->objects[index];
        if ((kinds >> object->kind & 1) != 0 && object->live && object->npages > 0 &&
            !object->dying && !ops_busy(model, index))
            return index;
    }
    return 0;
}

#define OPS_MOVERS (1u << CMA_KIND_MOVABLE | 1u << CMA_KIND_DROPPABLE)
#define OPS_PAGES (OPS_MOVERS | 1u << CMA_KIND_UNMOVABLE)

static cma_pfn_t ops_pfn(const struct model *model, uint32_t object)
{
    return model_pfn(model, model->objects[object].frame);
}

static struct model_frame *ops_frame(struct model *model, uint32_t object)
{
    return &model->frames[model->objects[object].frame];
}

/* Is CMA_EAGAIN (or what it leads to) an answer to expect about this page right now? Must it be? */
static bool ops_unsettled(const struct model *model)
{
    return model->depth > 0 || model->tally.nested > 0;
}

static bool ops_frozen(const struct model *model, uint32_t object)
{
    return model->objects[object].frozen || model->objects[object].in_mover;
}

/* In areas-only boards libcma knows nothing of a page that has moved out. */
static bool ops_untracked(struct model *model, uint32_t object)
{
    return model->areas_only && ops_frame(model, object)->place == MODEL_ORDINARY;
}

static void ops_judge_refusal(struct model *model, const struct cma_refusal *refusal, int error)
{
    MODEL_REQUIRE(model, refusal->code == error, "returned %s, but the refusal says %s",
                  ops_name(error), ops_name(refusal->code));
    MODEL_REQUIRE(model, refusal->reason > CMA_REASON_NONE && refusal->reason < CMA_REASON_COUNT,
                  "a refusal without reason");
}

/* --- pages --------------------------------------------------------------------------------- */

static void ops_limits(struct model *model, cma_paddr_t *first, cma_paddr_t *last,
                       uint64_t *boundary, uint64_t npages)
{
    *first = 0;
    *last = 0;
    *boundary = 0;
    if (model_chance(model, 15))
        *first = model_paddr_first(model, (uint32_t)model_below(model, model->nframes)) +
                 model_below(model, 3);
    if (model_chance(model, 25))
        *last = model_paddr_last(model, (uint32_t)model_below(model, model->nframes)) -
                model_below(model, 3);
    if (*last != 0 && *last < *first)
        *first = 0;
    if (model_chance(model, 15)) {
        *boundary = 1ull << model->port.page_shift;
        while (*boundary >> model->port.page_shift < npages)
            *boundary *= 2;
        *boundary <<= model_below(model, 4);
    }
}

static void ops_pages_succeeded(struct model *model, const struct cma_pages_request *request,
                                uint32_t mover, uint32_t object, cma_pfn_t pfn)
{
    uint32_t frame = model_frame_of(model, pfn);
    struct model_object *o = &model->objects[object];

    MODEL_REQUIRE(model, frame != UINT32_MAX, "got page %#llx, which is no memory",
                  (unsigned long long)pfn);
    MODEL_REQUIRE(model, model_run_fits(model, request, frame),
                  "got page %#llx (frame %u), which is not for this request",
                  (unsigned long long)pfn, frame);
    o->kind = request->holder.kind;
    o->mover = mover;
    o->frame = frame;
    o->npages = (uint32_t)request->npages;
    for (uint32_t i = 0; i < o->npages; i++) {
        MODEL_REQUIRE(model, model_empty(model, frame + i), "got a page that is held");
        model->frames[frame + i].object = (uint16_t)object;
    }
    o->refs = (request->flags & CMA_PAGES_REF) != 0;
    model_object_write(model, object);
    model->sums.allocs++;
}

static void ops_pages_request(struct model *model, enum cma_kind kind, uint32_t mover,
                              struct cma_pages_request *request)
{
    /* What caches serve, as far as its mover reaches. */
    bool plain = model->ncaches != 0 && model_chance(model, 50);

    memset(request, 0, sizeof *request);
    request->npages = 1;
    request->holder.kind = kind;
    if (kind == CMA_KIND_UNMOVABLE && !plain) {
        if (model_chance(model, 60))
            request->npages = model_log_uniform(model, 1, model->nframes / 4);
        if (model_chance(model, 20))
            request->align_npages = 1ull << model_below(model, 8);
    }
    if (!plain)
        ops_limits(model, &request->paddr_first, &request->paddr_last, &request->boundary_nbytes,
                   request->npages);
    if (kind != CMA_KIND_UNMOVABLE) {
        cma_paddr_t limit = model->movers[mover].mover.paddr_last;

        request->holder.mover = model->movers[mover].number;
        if (limit != CMA_PADDR_MAX && (request->paddr_last == 0 || request->paddr_last > limit))
            request->paddr_last = limit;
        if (request->paddr_last != 0 && request->paddr_last < request->paddr_first)
            request->paddr_first = 0;
        if (model_chance(model, 5))
            request->flags |= CMA_PAGES_NO_LENT;
        if (model_chance(model, 5))
            request->flags |= CMA_PAGES_NO_LEND;
        if (model_chance(model, 5))
            request->flags |= CMA_PAGES_REF;
    }
    if (model_chance(model, 10))
        request->flags |= CMA_PAGES_LINEAR;
}

static void ops_alloc(struct model *model)
{
    static const enum cma_kind kinds[] = {CMA_KIND_UNMOVABLE, CMA_KIND_MOVABLE, CMA_KIND_MOVABLE,
                                          CMA_KIND_DROPPABLE, CMA_KIND_DROPPABLE};
    enum cma_kind kind = kinds[model_below(model, 5)];
    uint32_t mover = (uint32_t)model_below(model, model->nmovers);
    struct cma_pages_request request, asked;
    struct cma_refusal refusal = {0};
    cma_pfn_t pfn = 0;
    uint32_t object;
    bool possible;
    int error;

    if (kind == CMA_KIND_DROPPABLE && !model->movers[mover].holds_droppable)
        kind = CMA_KIND_MOVABLE;
    if (model->areas_only) {
        if (kind != CMA_KIND_UNMOVABLE)
            (void)model_host_alloc(model, mover, kind, &object);
        return;
    }
    if (model->nlive >= MODEL_FRAMES_MAX - 8)
        return;
    ops_pages_request(model, kind, mover, &request);
    object = model_object_make(model);
    request.holder.cookie = model->objects[object].cookie;
    possible = model->depth == 0 && !model->filling && model_pages_possible(model, &request);
    asked = request;
    /* The mover's own limit need not be said. */
    if (kind != CMA_KIND_UNMOVABLE && request.paddr_last == model->movers[mover].mover.paddr_last &&
        model_chance(model, 50))
        asked.paddr_last = 0;
    error = cma_pages_alloc(&model->pages, &asked, &pfn, &refusal);
    model_note(model,
               "alloc %s of %llu, align %llu, %#llx to %#llx, boundary %#llx, flags %#x: %s %#llx",
               cma_kind_name(kind), (unsigned long long)request.npages,
               (unsigned long long)request.align_npages, (unsigned long long)request.paddr_first,
               (unsigned long long)request.paddr_last, (unsigned long long)request.boundary_nbytes,
               request.flags, ops_name(error), (unsigned long long)(error == 0 ? pfn : 0));
    if (error == 0) {
        ops_pages_succeeded(model, &request, mover, object, pfn);
        return;
    }
    model_object_end(model, object);
    ops_judge_refusal(model, &refusal, error);
    model->sums.refusals++;
    MODEL_REQUIRE(model, error == CMA_ENOMEM || error == CMA_ENOSPC || error == CMA_ERANGE,
                  "pages are refused with %s", ops_name(error));
    if (!ops_unsettled(model)) {
        model->sums.justified++;
        MODEL_REQUIRE(model, !possible, "refused (%s), but there was room", ops_name(error));
    }
}

static void ops_object_free(struct model *model, uint32_t object)
{
    const struct model_object *o = &model->objects[object];
    bool pinned = o->pins > 0 || o->refs > 0, frozen = ops_frozen(model, object), gone;
    int must = frozen ? CMA_EAGAIN : o->pins > 0 ? CMA_EBADF : o->refs > 0 ? CMA_EBUSY : 0;
    uint32_t cookie = o->cookie;
    cma_pfn_t pfn = ops_pfn(model, object);
    int error;

    model->objects[object].in_call = model->objects[object].in_free = true;
    if (model->areas_only)
        error = model_host_free(model, object);
    else
        error = cma_pages_free(&model->pages, pfn, o->npages, cookie);
    gone = o->cookie != cookie || !o->live;
    MODEL_REQUIRE(model, error == 0 || !gone, "a page went that could not be freed: %s",
                  ops_name(error));
    if (!gone)
        model->objects[object].in_call = model->objects[object].in_free = false;
    model_note(model, "free %#x at %#llx: %s", cookie, (unsigned long long)pfn, ops_name(error));
    MODEL_REQUIRE(model, error == must || (ops_unsettled(model) && error == CMA_EAGAIN),
                  "free: %s, not %s", ops_name(error), ops_name(must));
    if (error == 0 && !gone)
        model_object_end(model, object);
    if (error == CMA_EAGAIN && !pinned && frozen && model_chance(model, 50))
        model->objects[object].dying = true;
}

static void ops_free(struct model *model)
{
    uint32_t object = ops_pick(model, OPS_PAGES);

    if (object != 0)
        ops_object_free(model, object);
}

/* Frees that are wrong in one respect each. */
static void ops_free_wrongly(struct model *model)
{
    uint32_t object = ops_pick(model, OPS_PAGES);
    const struct model_object *o = &model->objects[object];
    uint64_t npages;
    uint32_t owner;
    cma_pfn_t pfn;
    int error;

    if (object == 0 || model->areas_only)
        return;
    pfn = ops_pfn(model, object);
    npages = o->npages;
    owner = o->cookie;
    switch (model_below(model, 4)) {
    case 0: npages += 1 + model_below(model, 3); break;
    case 1: npages = npages > 1 ? npages - 1 : UINT64_MAX - model_below(model, 2); break;
    case 2: owner ^= 1u << model_below(model, 32); break;
    default:
        if (npages == 1)
            return;
        pfn++;
        npages -= model_below(model, 2);
        break;
    }
    error = cma_pages_free(&model->pages, pfn, npages, owner);
    model_note(model, "wrong free of %#llx, %llu pages, as %#x: %s", (unsigned long long)pfn,
               (unsigned long long)npages, owner, ops_name(error));
    MODEL_REQUIRE(model,
                  error < 0 && (error == CMA_EAGAIN || cma_error_class(error) == CMA_CLASS_BUG),
                  "a wrong free: %s", ops_name(error));
}

/* The droppable page that would be discarded next: in a window behind the page that its mover is
 * being asked about, or the first one that would make room; or 0. */
static uint32_t ops_pick_victim(const struct model *model)
{
    uint32_t asked = model->callback;
    uint32_t next = asked != 0 ? model->objects[asked].frame + 1 : model->nframes;

    if (next < model->nframes && model->frames[next].place == MODEL_AREA) {
        uint32_t index = model->frames[next].object;

        if (index != 0 && model->objects[index].kind == CMA_KIND_DROPPABLE &&
            !model->objects[index].dying && !ops_busy(model, index))
            return index;
    }
    for (uint32_t i = model->nframes; i-- > 0;) {
        uint32_t index = model->frames[i].object;

        if (model->frames[i].place == MODEL_ORDINARY && index != 0 &&
            model->objects[index].kind == CMA_KIND_DROPPABLE && !model->objects[index].dying &&
            !ops_busy(model, index))
            return index;
    }
    return 0;
}

static void ops_keep(struct model *model)
{
    uint32_t object = model->depth > 0 && model_chance(model, 70) ? ops_pick_victim(model)
                                                                  : ops_pick(model, OPS_PAGES);
    struct model_object *o = &model->objects[object];
    bool keep = model_chance(model, 50), able;
    int error, must = 0;

    if (object == 0)
        return;
    o->in_call = true;
    able = o->kind != CMA_KIND_UNMOVABLE && model->movers[o->mover].holds_droppable;
    error = keep ? cma_frame_keep(&model->table, ops_pfn(model, object))
                 : cma_frame_allow_drop(&model->table, ops_pfn(model, object));
    o->in_call = false;
    model_note(model, "%s %#x: %s", keep ? "keep" : "allow_drop", o->cookie, ops_name(error));
    if (ops_untracked(model, object))
        must = CMA_ENOENT;
    else if (o->kind == CMA_KIND_UNMOVABLE)
        must = CMA_EBADF;
    else if (ops_frozen(model, object))
        must = CMA_EAGAIN;
    else if (!keep && !able)
        must = CMA_EINVAL;
    MODEL_REQUIRE(model,
                  error == must || (ops_unsettled(model) && error == CMA_EAGAIN) ||
                      (must == CMA_EAGAIN && error == CMA_EINVAL && !able),
                  "%s answers %s, not %s", keep ? "keep" : "allow_drop", ops_name(error),
                  ops_name(must));
    if (error == 0)
        o->kind = keep ? CMA_KIND_MOVABLE : CMA_KIND_DROPPABLE;
}

static void ops_write(struct model *model)
{
    uint32_t object = ops_pick(model, OPS_PAGES | 1u << CMA_KIND_CLAIMED);

    if (object != 0 && !ops_frozen(model, object))
        model_object_write(model, object);
}

static void ops_refuse(struct model *model)
{
    uint32_t object = ops_pick(model, OPS_MOVERS);
    struct model_object *o = &model->objects[object];

    if (object != 0 && (model->movers[o->mover].mover.flags & CMA_MOVER_MAY_REFUSE) != 0 &&
        model->fault_percent > 0)
        o->refuses = model_chance(model, 30);
}

/* --- pins and references -------------------------------------------------------------------- */

static void ops_pinned(struct model *model, uint32_t object, bool in_area, cma_pfn_t old,
                       cma_pfn_t pinned)
{
    struct model_object *o = &model->objects[object];

    MODEL_REQUIRE(model, pinned == ops_pfn(model, object),
                  "%#llx is pinned, but the data is at %#llx", (unsigned long long)pinned,
                  (unsigned long long)ops_pfn(model, object));
    MODEL_REQUIRE(model, ops_frame(model, object)->place == MODEL_ORDINARY,
                  "page %#llx is pinned inside an area", (unsigned long long)pinned);
    MODEL_REQUIRE(model, in_area || old == pinned || ops_unsettled(model),
                  "a page outside of areas was moved to be pinned");
    if (in_area)
        model->sums.pins_moved++;
    if (!ops_untracked(model, object))
        o->pins++;
}

static void ops_pin_refused(struct model *model, uint32_t object, int error, bool willing)
{
    const struct model_object *o = &model->objects[object];
    const struct model_frame *f = ops_frame(model, object);

    if (error == CMA_EAGAIN) {
        MODEL_REQUIRE(model, ops_unsettled(model) || model->tally.enoents > 0,
                      "a pin is told to try again, but nobody moves the page");
        return;
    }
    if (ops_untracked(model, object)) {
        MODEL_REQUIRE(model, error == CMA_ENOENT, "a pin on an untracked page: %s",
                      ops_name(error));
        return;
    }
    /* The page can have gone elsewhere before the pin reached it. */
    if (ops_unsettled(model))
        return;
    MODEL_REQUIRE(model, f->place == MODEL_AREA, "a pin outside of areas: %s", ops_name(error));
    MODEL_REQUIRE(model, error == CMA_EBUSY || error == CMA_ENOMEM, "a pin: %s", ops_name(error));
    if (error == CMA_EBUSY)
        MODEL_REQUIRE(model, !willing || f->taken || model->tally.refusals > 0,
                      "a pin is refused, but nothing holds the page");
    else
        MODEL_REQUIRE(model,
                      model_room(model, model->movers[o->mover].mover.paddr_last, false) == 0 ||
                          model->tally.refusals > 0,
                      "a pin is refused for want of memory, but there is some");
}

static void ops_pin(struct model *model)
{
    uint32_t object = ops_pick(model, OPS_PAGES);
    struct model_object *o = &model->objects[object];
    uint32_t cookie = o->cookie;
    bool in_area, frozen, willing, taken, nested = model->depth >= 2;
    cma_pfn_t pfn, pinned = CMA_PFN_NONE;
    int error;

    if (object == 0)
        return;
    pfn = ops_pfn(model, object);
    in_area = ops_frame(model, object)->place == MODEL_AREA;
    if (nested && in_area)
        return;
    frozen = ops_frozen(model, object);
    willing = o->refs == 0 && !o->refuses;
    taken = ops_frame(model, object)->taken && in_area;
    model->pinning[model->depth] = pfn;
    error = cma_frame_pin(&model->table, pfn, &pinned);
    model->pinning[model->depth] = CMA_PFN_NONE;
    model_note(model, "pin %#x at %#llx: %s %#llx", cookie, (unsigned long long)pfn,
               ops_name(error), (unsigned long long)pinned);
    MODEL_REQUIRE(model, !taken || error != 0 || ops_unsettled(model),
                  "a pin took a page away from a claim");
    if (error == 0) {
        /* Who is pinned is who has the page by then. */
        uint32_t frame = model_frame_of(model, pinned);

        MODEL_REQUIRE(model, frame != UINT32_MAX && model->frames[frame].object != 0,
                      "page %#llx is pinned, which nobody holds", (unsigned long long)pinned);
        if (model->frames[frame].object != object && ops_unsettled(model)) {
            object = model->frames[frame].object;
            o = &model->objects[object];
            cookie = o->cookie;
        }
    }
    if (!o->live || o->cookie != cookie) {
        MODEL_REQUIRE(model, error != 0, "a page is pinned that is gone");
        return;
    }
    MODEL_REQUIRE(model, !frozen || error == CMA_EAGAIN || ops_untracked(model, object),
                  "a pin on a frozen page: %s", ops_name(error));
    MODEL_REQUIRE(model, error == 0 || pinned == CMA_PFN_NONE, "a refused pin names a page");
    if (error == 0)
        ops_pinned(model, object, in_area, pfn, pinned);
    else if (!frozen)
        ops_pin_refused(model, object, error, willing);
}

static void ops_unpin_object(struct model *model, uint32_t object)
{
    struct model_object *o = &model->objects[object];
    int error, must = ops_untracked(model, object) ? CMA_ENOENT : o->pins > 0 ? 0 : CMA_EBADF;

    o->in_call = true;
    error = cma_frame_unpin(&model->table, ops_pfn(model, object));
    o->in_call = false;
    model_note(model, "unpin %#x: %s", o->cookie, ops_name(error));
    MODEL_REQUIRE(model,
                  error == must || (ops_frozen(model, object) && error == CMA_EAGAIN) ||
                      (ops_unsettled(model) && o->pins == 0 && error == CMA_EAGAIN),
                  "unpin with %u pins: %s", o->pins, ops_name(error));
    if (error == 0)
        o->pins--;
}

static void ops_unref_object(struct model *model, uint32_t object)
{
    struct model_object *o = &model->objects[object];
    int error = cma_frame_unref(&model->table, ops_pfn(model, object));
    int must = ops_untracked(model, object) ? CMA_ENOENT : o->refs > 0 ? 0 : CMA_EBADF;

    model_note(model, "unref %#x: %s", o->cookie, ops_name(error));
    MODEL_REQUIRE(model,
                  error == must || (ops_frozen(model, object) && error == CMA_EAGAIN) ||
                      (ops_unsettled(model) && o->refs == 0 && error == CMA_EAGAIN),
                  "unref with %u references: %s", o->refs, ops_name(error));
    if (error == 0)
        o->refs--;
}

/* Someone who holds a pin or a reference, or anyone. */
static uint32_t ops_pick_holding(struct model *model, bool pins)
{
    uint32_t start = (uint32_t)model_below(model, model->nlive + 1);

    for (uint32_t i = 0; i < model->nlive; i++) {
        uint32_t index = model->live[(start + i) % model->nlive];

        if ((pins ? model->objects[index].pins : model->objects[index].refs) > 0 &&
            !ops_busy(model, index))
            return index;
    }
    return ops_pick(model, OPS_PAGES);
}

static void ops_unpin(struct model *model)
{
    uint32_t object = ops_pick_holding(model, true);

    if (object != 0)
        ops_unpin_object(model, object);
}

static void ops_unref(struct model *model)
{
    uint32_t object = ops_pick_holding(model, false);

    if (object != 0)
        ops_unref_object(model, object);
}

static void ops_ref(struct model *model)
{
    uint32_t object = ops_pick(model, OPS_PAGES);
    struct model_object *o = &model->objects[object];
    const struct model_frame *f;
    int error, must = 0;

    if (object == 0)
        return;
    f = ops_frame(model, object);
    error = cma_frame_ref(&model->table, ops_pfn(model, object));
    model_note(model, "ref %#x at %#llx: %s", o->cookie, (unsigned long long)ops_pfn(model, object),
               ops_name(error));
    if (ops_untracked(model, object))
        must = CMA_ENOENT;
    else if (f->place == MODEL_AREA && model->areas[f->area].lend_class == CMA_LEND_SLOT)
        must = CMA_EBUSY;
    else if (ops_frozen(model, object) || (f->taken && !ops_unsettled(model)))
        must = CMA_EAGAIN;
    MODEL_REQUIRE(model,
                  error == must || (ops_unsettled(model) && error == CMA_EAGAIN) ||
                      (must == CMA_EBUSY && error == CMA_EAGAIN && f->taken),
                  "ref answers %s, not %s", ops_name(error), ops_name(must));
    if (error == 0)
        o->refs++;
}

/* A host publishes a page that is not lent to it, or is a device's. */
static void ops_stray_publish(struct model *model, uint32_t frame)
{
    const struct model_frame *f = &model->frames[frame];
    struct cma_holder holder = {CMA_KIND_MOVABLE, model->movers[0].number, 77};
    int error, must = CMA_EAGAIN;

    if (f->place != MODEL_AREA || (f->object == 0 && f->lent))
        return;
    if (model->areas[f->area].lend_class == CMA_LEND_NONE ||
        (model->areas[f->area].lend_class == CMA_LEND_SLOT && model->movers[0].mover.flags != 0))
        must = CMA_EINVAL;
    else if (f->object != 0 && model->objects[f->object].frame == frame)
        must = CMA_EBADF;
    error = cma_frame_publish(&model->table, model_pfn(model, frame), &holder);
    MODEL_REQUIRE(model, error == must, "publishing page %#llx, which is not lent: %s, not %s",
                  (unsigned long long)model_pfn(model, frame), ops_name(error), ops_name(must));
}

/* Calls on pages that nobody holds, that are devices', or that are no memory. */
static void ops_stray(struct model *model)
{
    uint32_t frame = (uint32_t)model_below(model, model->nframes + 2);
    bool tracked = frame < model->nframes && model->frames[frame].place != MODEL_HOLE &&
                   !(model->areas_only && model->frames[frame].place == MODEL_ORDINARY);
    const struct model_object *o;
    cma_pfn_t pfn = model_pfn(model, frame), pinned;
    int error;

    if (model->depth > 0)
        return;
    model->checking = true;
    if (model_chance(model, 10)) {
        pfn = UINT64_MAX - model_below(model, 2);
        tracked = false;
    }
    if (tracked) {
        o = &model->objects[model->frames[frame].object];
        if (o->live && o->kind != CMA_KIND_CLAIMED)
            return;
    }
    if (tracked && model_chance(model, 20)) {
        ops_stray_publish(model, frame);
        return;
    }
    switch (model_below(model, 7)) {
    case 0: error = cma_frame_pin(&model->table, pfn, &pinned); break;
    case 1: error = cma_frame_unpin(&model->table, pfn); break;
    case 2: error = cma_frame_ref(&model->table, pfn); break;
    case 3: error = cma_frame_unref(&model->table, pfn); break;
    case 4: error = cma_frame_keep(&model->table, pfn); break;
    case 5: error = cma_frame_allow_drop(&model->table, pfn); break;
    default: error = cma_frame_release(&model->table, pfn); break;
    }
    model_note(model, "stray call on %#llx: %s", (unsigned long long)pfn, ops_name(error));
    MODEL_REQUIRE(model,
                  error == (tracked ? CMA_EBADF : CMA_ENOENT) ||
                      (tracked && model->frames[frame].taken && error == CMA_EAGAIN),
                  "a stray call on page %#llx: %s", (unsigned long long)pfn, ops_name(error));
}

static void ops_lend(struct model *model);

/* --- what waits and what runs inside --------------------------------------------------------- */

static bool ops_finish_dying(struct model *model)
{
    for (uint32_t i = 0; i < model->nlive; i++) {
        uint32_t object = model->live[i];

        if (model->objects[object].dying && !ops_frozen(model, object) &&
            !ops_busy(model, object)) {
            ops_object_free(model, object);
            return true;
        }
    }
    return false;
}

/* Something that a waiter may wait for happens; false when nothing is left to happen. */
bool model_progress(struct model *model)
{
    model->depth++;
    model->tally.nested++;
    if (ops_finish_dying(model)) {
        model->depth--;
        return true;
    }
    for (uint32_t i = 0; i < model->nlive; i++) {
        if (model->objects[model->live[i]].refs > 0 && !ops_busy(model, model->live[i])) {
            ops_unref_object(model, model->live[i]);
            model->depth--;
            return true;
        }
    }
    for (uint32_t i = 0; i < MODEL_CLAIMS_MAX; i++) {
        if (model_claim_advance(model, i)) {
            model->depth--;
            return true;
        }
    }
    model->depth--;
    return false;
}

void model_nested(struct model *model, uint32_t percent)
{
    if (percent == 0 || model->depth >= 2 || model->checking || !model_chance(model, percent))
        return;
    model->depth++;
    model->tally.nested++;
    model->sums.nested++;
    switch (model_below(model, 13)) {
    case 0: ops_alloc(model); break;
    case 1: ops_free(model); break;
    case 2: ops_keep(model); break;
    case 3: ops_pin(model); break;
    case 4: ops_unpin(model); break;
    case 5: ops_ref(model); break;
    case 6: ops_unref(model); break;
    case 7: ops_free_wrongly(model); break;
    case 8: ops_finish_dying(model); break;
    case 9: model_claim_nested(model); break;
    case 10: ops_lend(model); break;
    default: ops_write(model); break;
    }
    model->depth--;
}

/* --- one operation -------------------------------------------------------------------------- */

static void ops_floor(struct model *model)
{
    uint32_t zone = (uint32_t)model_below(model, model->nzones);
    const struct cma_pages_ops *ops = cma_pages_ops(&model->pages);
    uint64_t idle = 0,
             npages = model_chance(model, 50) ? 0 : model_below(model, model->nframes / 4);
    int error;

    if (model->areas_only || ops->floor == NULL)
        return;
    for (uint32_t i = 0; i < model->nframes; i++) {
        const struct model_frame *f = &model->frames[i];

        idle += f->place == MODEL_ORDINARY && f->object == 0 && f->zone <= zone;
    }
    /* One that the next destinations break, while there is something in caches. */
    if (npages != 0 && model->ncaches != 0)
        npages = idle - (idle < 4 ? idle : model_below(model, 4));
    error = ops->floor(ops->ctx, model->zones[zone].last, npages);
    model_note(model, "floor of zone %u: %llu pages: %s", zone, (unsigned long long)npages,
               ops_name(error));
    MODEL_REQUIRE(model,
                  ops_unsettled(model) ||
                      error ==
                          (npages <= idle || npages <= model->floor_npages[zone] ? 0 : CMA_ENOMEM),
                  "a floor of %llu: %s", (unsigned long long)npages, ops_name(error));
    if (error == 0)
        model->floor_npages[zone] = npages;
    if (model->zones[zone].last > 1) {
        error = ops->floor(ops->ctx, model->zones[zone].last - 1, npages);
        MODEL_REQUIRE(model, error == CMA_EINVAL, "a floor where no zone ends: %s",
                      ops_name(error));
    }
}

static void ops_malformed(struct model *model)
{
    struct cma_pages_request request;
    struct cma_refusal refusal = {0};
    cma_pfn_t pfn = CMA_PFN_NONE;
    int error;

    if (model->areas_only)
        return;
    ops_pages_request(model, CMA_KIND_UNMOVABLE, 0, &request);
    switch (model_below(model, 9)) {
    case 0: request.npages = 0; break;
    case 1: request.align_npages = 3ull << model_below(model, 60); break;
    case 2: request.boundary_nbytes = 3ull << model_below(model, 60); break;
    case 3: request.boundary_nbytes = (1ull << model->port.page_shift) / 2; break;
    case 4: request.holder.kind = CMA_KIND_CLAIMED; break;
    case 5:
        request.holder.kind = CMA_KIND_MOVABLE;
        request.holder.mover = model->nmovers + 1;
        break;
    case 6: request.npages = UINT64_MAX - model_below(model, 3); break;
    case 7: request.npages = (UINT64_MAX >> model->port.page_shift) + model_below(model, 3); break;
    default:
        request.holder.kind = CMA_KIND_MOVABLE;
        request.holder.mover = model->movers[0].number;
        request.npages = 2 + model_below(model, 5);
        break;
    }
    error = cma_pages_alloc(&model->pages, &request, &pfn, &refusal);
    model_note(model, "malformed request for %llu pages: %s", (unsigned long long)request.npages,
               ops_name(error));
    MODEL_REQUIRE(model, error < 0 && pfn == CMA_PFN_NONE, "a malformed request: %s",
                  ops_name(error));
    ops_judge_refusal(model, &refusal, error);
}

static void ops_lend(struct model *model)
{
    struct model_area *area = &model->areas[model_below(model, model->nareas)];
    bool idle = false, lent = cma_area_lend(&area->area, CMA_KIND_MOVABLE);

    model_note(model, "lend: %d", lent);
    for (uint32_t i = area->first; i < area->first + area->npages; i++) {
        const struct model_frame *f = &model->frames[i];

        idle |= f->object == 0 && !f->taken && !f->lent;
    }
    if (ops_unsettled(model))
        return;
    if (lent)
        MODEL_REQUIRE(model, idle && area->lend_class != CMA_LEND_NONE, "lent what is not idle");
    else if (model->fault_percent == 0)
        MODEL_REQUIRE(model, !idle || area->lend_class == CMA_LEND_NONE || area->busy > 0,
                      "did not lend although a block has idle pages");
}

/* What a drain gives back is what was seen in caches before. */
static void ops_drain(struct model *model)
{
    uint64_t npages = cma_pages_drain(&model->pages);

    model_note(model, "drain: %llu pages", (unsigned long long)npages);
    MODEL_REQUIRE(model, ops_unsettled(model) || npages == model->cached,
                  "a drain gives %llu pages back, %u were in caches", (unsigned long long)npages,
                  model->cached);
}

/* Without a comparison after each: boards begin as full as they will be. */
void model_fill(struct model *model)
{
    uint32_t wanted = model->nframes * (uint32_t)model_below(model, 160) / 100;

    memset(&model->tally, 0, sizeof model->tally);
    model->filling = true;
    for (uint32_t i = 0; i < wanted; i++)
        ops_alloc(model);
    model->filling = false;
}

void model_operation(struct model *model)
{
    uint64_t kind = model_below(model, 100);
    uint32_t held = 0;

    memset(&model->tally, 0, sizeof model->tally);
    model->depth = 0;
    model->checking = false;
    model->idle_waits = 0;
    if (model->step % 256 == 0)
        model->fill_percent = model->ncaches != 0 && model_chance(model, 50)
                                  ? 10 + (uint32_t)model_below(model, 70)
                                  : 50 + (uint32_t)model_below(model, 70);
    if (kind < 45) {
        for (uint32_t i = 0; i < 16; i++)
            held += model->frames[model_below(model, model->nframes)].object != 0;
        if (held * 100 < 16 * model->fill_percent)
            ops_alloc(model);
        else
            ops_free(model);
    } else if (kind < 50) {
        ops_keep(model);
    } else if (kind < 54) {
        ops_pin(model);
    } else if (kind < 58) {
        ops_unpin(model);
    } else if (kind < 61) {
        ops_ref(model);
    } else if (kind < 65) {
        ops_unref(model);
    } else if (kind < 68) {
        ops_free_wrongly(model);
    } else if (kind < 70) {
        ops_stray(model);
    } else if (kind < 71) {
        ops_floor(model);
    } else if (kind < 72) {
        ops_malformed(model);
    } else if (kind < 74) {
        if (model->ncaches != 0 && model_chance(model, 30))
            ops_drain(model);
        else
            ops_lend(model);
    } else if (kind < 76) {
        ops_refuse(model);
    } else if (kind < 80) {
        ops_write(model);
    } else {
        model_claim_operation(model);
    }
    model->depth = 0;
    model->checking = true;
    while (ops_finish_dying(model))
        ;
    model->sums.ops++;
}

/* Ends everything that is in progress. */
void model_settle(struct model *model)
{
    memset(&model->tally, 0, sizeof model->tally);
    model->depth = 0;
    model_claims_end(model);
    while (ops_finish_dying(model))
        ;
}
