/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model_claim.c - claims and releases in the random test
 *
 * A claim that ended well: the window is right in every respect, and (unless a mover refused or
 * another thread came between) nothing outside of it was copied. One that ended in "no": nothing
 * was copied, and the model finds no window either.
 */
#include "model.h"

#include <string.h>

static const char *claim_name(int error)
{
    return error > 0 ? "more" : cma_strerror(error);
}

static void claim_request(struct model *model, uint32_t area, struct cma_area_request *request)
{
    const struct model_area *a = &model->areas[area];

    memset(request, 0, sizeof *request);
    request->npages =
        model_log_uniform(model, 1, model_chance(model, 95) ? (a->npages + 1) / 2 : a->npages + 2);
    request->owner = (uint32_t)model_random(model);
    if (model_chance(model, 30))
        request->align_npages = 1ull << model_below(model, 9);
    if (model_chance(model, 20))
        request->paddr_first =
            model_paddr_first(model, a->first + (uint32_t)model_below(model, a->npages));
    if (model_chance(model, 20))
        request->paddr_last =
            model_paddr_last(model, a->first + (uint32_t)model_below(model, a->npages)) -
            model_below(model, 3);
    if (request->paddr_last != 0 && request->paddr_last < request->paddr_first)
        request->paddr_first = 0;
    if (model_chance(model, 20)) {
        request->boundary_nbytes = 1ull << model->port.page_shift;
        while (request->boundary_nbytes >> model->port.page_shift < request->npages)
            request->boundary_nbytes *= 2;
        request->boundary_nbytes <<= model_below(model, 3);
    }
    if (model_chance(model, 10))
        request->bus_offset = model_random(model) << model->port.page_shift;
    if (model_chance(model, 30))
        request->flags |= CMA_CLAIM_NOWAIT;
    if (model_chance(model, 20))
        request->flags |= model_chance(model, 50) ? CMA_CLAIM_LONG : CMA_CLAIM_SHORT;
}

/* Is another claim in this area between two steps? Nobody waits for such. */
static bool claim_paused(const struct model *model, uint32_t area)
{
    for (uint32_t i = 0; i < MODEL_CLAIMS_MAX; i++) {
        if (model->claims[i].running && model->claims[i].area == area)
            return true;
    }
    return false;
}

static bool claim_quiet(const struct model *model)
{
    return model->depth == 0 && model->tally.nested == 0 && model->tally.refusals == 0 &&
           model->tally.enoents == 0;
}

/* Does a short reference lie on a droppable page that counts as room? */
static bool claim_room_shaky(const struct model *model)
{
    for (uint32_t i = 0; i < model->nlive; i++) {
        const struct model_object *o = &model->objects[model->live[i]];

        if (o->kind == CMA_KIND_DROPPABLE && o->refs > 0 &&
            model->frames[o->frame].place == MODEL_ORDINARY)
            return true;
    }
    return false;
}

/* Without refusals, a claim asks for pages of the window that it gets and of no other; unless room
 * proved too small on the way, because a reference lies on a page that was to make room. A refusal
 * that is explained asks movers whether they would refuse, and moves nothing. */
static void claim_judge_work(struct model *model, int error, bool explained)
{
    MODEL_REQUIRE(model,
                  (error == 0 || model->tally.commits == 0) &&
                          (model->tally.aborts == 0 || (error != 0 && explained))
                      ? true
                      : claim_room_shaky(model),
                  "a claim moved %u pages and gave %u up, then said %s, but no mover refused",
                  model->tally.commits, model->tally.aborts, claim_name(error));
}

static void claim_won(struct model *model, uint32_t area, const struct cma_area_request *request,
                      cma_pfn_t pfn, bool at_once)
{
    struct model_area *a = &model->areas[area];
    uint32_t frame = model_frame_of(model, pfn);
    uint64_t npages = request->npages;
    uint32_t object;
    cma_paddr_t first, last;
    uint64_t boundary = request->boundary_nbytes;

    MODEL_REQUIRE(
        model, frame != UINT32_MAX && frame >= a->first && npages <= a->npages - (frame - a->first),
        "a claim got %llu pages at %#llx, outside of its area", (unsigned long long)npages,
        (unsigned long long)pfn);
    MODEL_REQUIRE(model, model_in_part(a, frame, npages),
                  "a claim got %llu pages at frame %u, in the part for others",
                  (unsigned long long)npages, frame);
    first = model_paddr_first(model, frame);
    last = model_paddr_last(model, frame + (uint32_t)npages - 1);
    MODEL_REQUIRE(model,
                  first >= request->paddr_first &&
                      (request->paddr_last == 0 || last <= request->paddr_last),
                  "a claim got %#llx to %#llx, out of reach", (unsigned long long)first,
                  (unsigned long long)last);
    MODEL_REQUIRE(
        model,
        model_aligned(model, frame, npages, request->align_npages, boundary, request->bus_offset),
        "a claim got %#llx to %#llx, not aligned or across a boundary", (unsigned long long)first,
        (unsigned long long)last);
    for (uint32_t i = frame; i < frame + npages; i++) {
        MODEL_REQUIRE(model,
                      model_empty(model, i) && !model->frames[i].host_free &&
                          !model->frames[i].host_out,
                      "a claim got page %#llx, which is held or free in the host",
                      (unsigned long long)model_pfn(model, i));
    }
    /* Between the steps of a claim room comes and goes. */
    if (at_once && claim_quiet(model))
        claim_judge_work(model, 0, false);
    if (at_once && claim_quiet(model) && model->tally.copied_outside && !claim_room_shaky(model)) {
        MODEL_REQUIRE(
            model, model->tally.copied_first >= frame && model->tally.copied_last < frame + npages,
            "pages were moved out of frames %u to %u for a window at frame %u",
            model->tally.copied_first, model->tally.copied_last, frame);
    }
    object = model_object_make(model);
    model->objects[object].kind = CMA_KIND_CLAIMED;
    model->objects[object].frame = frame;
    model->objects[object].npages = (uint32_t)npages;
    model->objects[object].area = area;
    model->objects[object].cookie = request->owner;
    for (uint32_t i = frame; i < frame + npages; i++)
        model->frames[i].object = (uint16_t)object;
    model_object_write(model, object);
    a->claims++;
    model->sums.claimed++;
}

static void claim_lost(struct model *model, uint32_t area, const struct cma_area_request *request,
                       int error, const struct cma_refusal *refusal, uint32_t refusals,
                       bool at_once)
{
    struct model_area *a = &model->areas[area];
    bool quiet = claim_quiet(model);
    uint32_t frame = 0;

    MODEL_REQUIRE(model,
                  refusal == NULL || (refusal->code == error && refusal->reason > CMA_REASON_NONE &&
                                      refusal->reason < CMA_REASON_COUNT),
                  "a claim returned %s; the refusal: code %d, reason %d", claim_name(error),
                  refusal->code, refusal->reason);
    MODEL_REQUIRE(model,
                  error == CMA_ENOMEM || error == CMA_ENOSPC || error == CMA_EBUSY ||
                      error == CMA_ERANGE || error == CMA_EAGAIN,
                  "a claim is refused with %s", claim_name(error));
    MODEL_REQUIRE(model,
                  error != CMA_EAGAIN || (request->flags & CMA_CLAIM_NOWAIT) != 0 ||
                      model->port.wait == NULL || model->tally.paused ||
                      claim_paused(model, area) || refusals > 0 || model->tally.nested > 100,
                  "a claim that may wait is told to try again");
    a->refused++;
    model->sums.claim_refusals++;
    if (model->depth > 0 || model->tally.nested > 0)
        return;
    if (at_once && quiet)
        claim_judge_work(model, error, refusal != NULL);
    /* What an earlier step saw need not be so any more. */
    if (!at_once)
        return;
    model->sums.justified++;
    MODEL_REQUIRE(model, !model_claim_possible(model, area, request, error != CMA_EAGAIN, &frame),
                  "a claim is refused (%s, %s), but there is a window at frame %u",
                  claim_name(error),
                  refusal == NULL ? "not explained" : cma_reason_name(refusal->reason), frame);
}

static void claim_note(struct model *model, const char *what, uint32_t area,
                       const struct cma_area_request *request, int error, cma_pfn_t pfn)
{
    model_note(model,
               "%s area %u: %llu pages, align %llu, %#llx to %#llx, boundary %#llx, flags %u: "
               "%s %#llx",
               what, area, (unsigned long long)request->npages,
               (unsigned long long)request->align_npages, (unsigned long long)request->paddr_first,
               (unsigned long long)request->paddr_last,
               (unsigned long long)request->boundary_nbytes, request->flags, claim_name(error),
               (unsigned long long)pfn);
}

static void claim_whole(struct model *model)
{
    uint32_t area = (uint32_t)model_below(model, model->nareas);
    struct model_area *a = &model->areas[area];
    struct cma_area_request request;
    struct cma_refusal given = {0};
    struct cma_refusal *refusal = model_chance(model, 50) ? &given : NULL;
    cma_pfn_t pfn = CMA_PFN_NONE;
    int error;

    claim_request(model, area, &request);
    if (model->depth > 0)
        request.flags |= CMA_CLAIM_NOWAIT;
    a->busy++;
    model->tally.paused |= claim_paused(model, area);
    error = cma_area_alloc(&a->area, &request, &pfn, refusal);
    a->busy--;
    claim_note(model, "claim in", area, &request, error, pfn);
    if (error == 0) {
        claim_won(model, area, &request, pfn, true);
        return;
    }
    MODEL_REQUIRE(model, pfn == CMA_PFN_NONE, "a refused claim names a page");
    claim_lost(model, area, &request, error, refusal, model->tally.refusals, true);
}

static void claim_begin(struct model *model, uint32_t index)
{
    struct model_claim *claim = &model->claims[index];
    struct cma_area_request request;
    uint32_t first;
    int error;

    claim->area = (uint32_t)model_below(model, model->nareas);
    claim_request(model, claim->area, &request);
    memset(&claim->claim, 0xa5, sizeof claim->claim);
    error = cma_claim_start(&claim->claim, &model->areas[claim->area].area, &request);
    claim_note(model, "start in", claim->area, &request, error, 0);
    claim->refusals = claim->steps = 0;
    if (error == 0) {
        claim->running = true;
        model->areas[claim->area].busy++;
        return;
    }
    MODEL_REQUIRE(model, error == CMA_ENOMEM || error == CMA_ERANGE, "a claim begins with %s",
                  claim_name(error));
    if (error == CMA_ENOMEM)
        MODEL_REQUIRE(model,
                      request.npages >
                              model_part(&model->areas[claim->area], request.npages, &first) ||
                          request.paddr_first + request.paddr_last != 0,
                      "no memory for a claim that was not tried");
}

/* One step of claim `index`, if it is in progress and not running right now. */
bool model_claim_advance(struct model *model, uint32_t index)
{
    struct model_claim *claim = &model->claims[index];
    uint64_t budget = model_chance(model, 20) ? UINT64_MAX : model_log_uniform(model, 1, 128);
    int error;

    if (!claim->running || claim->inside)
        return false;
    claim->running = false;
    model->tally.paused |= claim_paused(model, claim->area);
    claim->running = claim->inside = true;
    claim->steps++;
    claim->refusals -= model->tally.refusals;
    error = cma_claim_step(&claim->claim, budget);
    claim->refusals += model->tally.refusals;
    claim->inside = false;
    claim_note(model, "step in", claim->area, &claim->claim.request, error,
               error == 0 ? claim->claim.pfn : 0);
    if (error == 1)
        return true;
    claim->running = false;
    model->areas[claim->area].busy--;
    if (error == 0) {
        MODEL_REQUIRE(model, claim->claim.state == CMA_CLAIM_DONE, "a claim is done in state %d",
                      claim->claim.state);
        claim_won(model, claim->area, &claim->claim.request, claim->claim.pfn, claim->steps == 1);
    } else {
        MODEL_REQUIRE(model, claim->claim.state == CMA_CLAIM_REFUSED,
                      "a claim is refused in state %d", claim->claim.state);
        claim_lost(model, claim->area, &claim->claim.request, error, &claim->claim.refusal,
                   claim->refusals, claim->steps == 1);
    }
    return true;
}

/* What another thread's claim may do inside a hook. It must not wait for who called the hook. */
void model_claim_nested(struct model *model)
{
    uint32_t index = (uint32_t)model_below(model, MODEL_CLAIMS_MAX);

    if (model_chance(model, 50))
        claim_whole(model);
    else if ((model->claims[index].claim.request.flags & CMA_CLAIM_NOWAIT) != 0)
        (void)model_claim_advance(model, index);
}

static void claim_cancel(struct model *model, uint32_t index)
{
    struct model_claim *claim = &model->claims[index];

    claim->inside = true;
    cma_claim_cancel(&claim->claim);
    claim->inside = false;
    model_note(model, "cancel claim %u", index);
    if (claim->running)
        model->areas[claim->area].busy--;
    claim->running = false;
}

void model_claims_end(struct model *model)
{
    for (uint32_t i = 0; i < MODEL_CLAIMS_MAX; i++) {
        if (model->claims[i].running)
            claim_cancel(model, i);
    }
}

static uint32_t claim_pick_buffer(struct model *model)
{
    uint32_t start = (uint32_t)model_below(model, model->nlive + 1);

    for (uint32_t i = 0; i < model->nlive; i++) {
        uint32_t index = model->live[(start + i) % model->nlive];

        if (model->objects[index].kind == CMA_KIND_CLAIMED)
            return index;
    }
    return 0;
}

static void claim_release(struct model *model)
{
    uint32_t object = claim_pick_buffer(model);
    const struct model_object *o = &model->objects[object];
    struct model_area *a = &model->areas[o->area];
    int error;

    if (object == 0)
        return;
    /* A host gets the pages back inside the call: they are nobody's by then. */
    model_object_end(model, object);
    error = cma_area_release(&a->area, model_pfn(model, o->frame), o->npages, o->cookie);
    model_note(model, "release %u pages at %#llx: %s", o->npages,
               (unsigned long long)model_pfn(model, o->frame), claim_name(error));
    MODEL_REQUIRE(model, error == 0, "release: %s", claim_name(error));
    a->released++;
    if (model_chance(model, 20) && model->depth == 0 && model->tally.nested == 0) {
        error = cma_area_release(&a->area, model_pfn(model, o->frame), o->npages, o->cookie);
        MODEL_REQUIRE(model, error == CMA_EBADF || (error < 0 && model->tally.nested > 0),
                      "a double release: %s", claim_name(error));
    }
}

static void claim_release_wrongly(struct model *model)
{
    uint32_t object = claim_pick_buffer(model);
    const struct model_object *o = &model->objects[object];
    uint32_t area = o->area;
    uint64_t npages = o->npages;
    uint32_t owner = o->cookie;
    cma_pfn_t pfn = model_pfn(model, o->frame);
    int error, must;

    if (object == 0)
        return;
    switch (model_below(model, 6)) {
    case 0:
        npages += 1 + model_below(model, 3);
        must = CMA_EINVAL;
        break;
    case 1:
        npages = npages > 1 ? npages - 1 : 0;
        must = CMA_EINVAL;
        break;
    case 2:
        owner ^= 1u << model_below(model, 32);
        must = CMA_EPERM;
        break;
    case 3:
        if (npages == 1)
            return;
        pfn++;
        npages -= model_below(model, 2);
        must = CMA_EBADF;
        break;
    case 4:
        npages = UINT64_MAX - model_below(model, 3);
        must = CMA_EINVAL;
        break;
    default:
        if (model->nareas == 1)
            return;
        area = (area + 1) % model->nareas;
        must = CMA_ENOENT;
        break;
    }
    error = cma_area_release(&model->areas[area].area, pfn, npages, owner);
    model_note(model, "wrong release of %llu pages at %#llx: %s", (unsigned long long)npages,
               (unsigned long long)pfn, claim_name(error));
    MODEL_REQUIRE(model, error == must, "a wrong release: %s, not %s", claim_name(error),
                  claim_name(must));
}

static void claim_malformed(struct model *model)
{
    uint32_t area = (uint32_t)model_below(model, model->nareas);
    struct cma_area_request request;
    struct cma_refusal refusal = {0};
    cma_pfn_t pfn = CMA_PFN_NONE;
    bool explained = model_chance(model, 50); /* for that, movers are asked */
    int error;

    claim_request(model, area, &request);
    request.paddr_first = 0;
    request.paddr_last = 0;
    switch (model_below(model, 9)) {
    case 0: request.npages = 0; break;
    case 1: request.align_npages = 3ull << model_below(model, 60); break;
    case 2: request.boundary_nbytes = 3ull << model_below(model, 60); break;
    case 3: request.boundary_nbytes = (1ull << model->port.page_shift) / 2; break;
    case 4: request.npages = UINT64_MAX - model_below(model, 3); break;
    case 5: request.npages = (UINT64_MAX >> model->port.page_shift) + model_below(model, 3); break;
    case 6:
        request.npages = 2 + model_below(model, 5);
        request.boundary_nbytes = 1ull << model->port.page_shift;
        break;
    case 7:
        request.bus_offset = 1 + model_below(model, (1ull << model->port.page_shift) - 1);
        break;
    default:
        request.paddr_first = 2;
        request.paddr_last = 1;
        break;
    }
    error = cma_area_alloc(&model->areas[area].area, &request, &pfn, explained ? &refusal : NULL);
    claim_note(model, "malformed claim in", area, &request, error, pfn);
    MODEL_REQUIRE(model,
                  (error == CMA_EINVAL || error == CMA_ENOMEM || error == CMA_ERANGE) &&
                      pfn == CMA_PFN_NONE &&
                      (model->tally.hooks == 0 || model->tally.nested > 0 || explained),
                  "a malformed claim: %s", claim_name(error));
    model->areas[area].refused++;
}

struct claim_walk {
    struct model *model;
    uint32_t frame, last;
};

static bool claim_visit(void *ctx, const struct cma_area_holder *holder)
{
    struct claim_walk *walk = ctx;
    struct model *model = walk->model;
    uint32_t frame = model_frame_of(model, holder->pfn);

    MODEL_REQUIRE(model,
                  frame == walk->frame && holder->npages > 0 &&
                      holder->npages <= walk->last - frame + 1,
                  "the walk shows %llu pages at %#llx, after frame %u",
                  (unsigned long long)holder->npages, (unsigned long long)holder->pfn, walk->frame);
    for (uint32_t i = frame; i < frame + holder->npages; i++) {
        const struct model_frame *f = &model->frames[i];
        const struct model_object *o = &model->objects[f->object];
        enum cma_kind kind = f->object == 0 ? CMA_KIND_NONE : o->kind;
        bool named = kind == CMA_KIND_CLAIMED || (kind != CMA_KIND_NONE && i == frame);

        MODEL_REQUIRE(model,
                      holder->kind == kind && (!named || holder->owner == o->cookie) &&
                          holder->in_progress == f->taken,
                      "the walk shows frame %u as kind %d, owner %#x, in progress %d", i,
                      holder->kind, holder->owner, holder->in_progress);
    }
    walk->frame = frame + (uint32_t)holder->npages;
    return true;
}

static void claim_walk(struct model *model)
{
    struct model_area *area = &model->areas[model_below(model, model->nareas)];
    struct claim_walk walk = {model, area->first, area->first + area->npages - 1};

    model->checking = true;
    cma_area_walk(&area->area, claim_visit, &walk);
    MODEL_REQUIRE(model, walk.frame == walk.last + 1, "the walk ends at frame %u", walk.frame);
}

void model_claim_operation(struct model *model)
{
    uint64_t kind = model_below(model, 100);
    uint32_t index = (uint32_t)model_below(model, MODEL_CLAIMS_MAX);

    if (kind < 25) {
        claim_whole(model);
    } else if (kind < 50) {
        claim_release(model);
    } else if (kind < 58) {
        claim_release_wrongly(model);
    } else if (kind < 62) {
        claim_malformed(model);
    } else if (kind < 64) {
        claim_walk(model);
    } else if (kind < 70 && !model->claims[index].running) {
        claim_begin(model, index);
    } else if (kind < 72 && model->claims[index].running) {
        claim_cancel(model, index);
    } else if (!model_claim_advance(model, index)) {
        struct cma_claim *claim = &model->claims[index].claim;

        if (claim->area != NULL)
            MODEL_REQUIRE(model, cma_claim_step(claim, 1) == CMA_EBADF,
                          "a claim that has ended goes on");
    }
}
