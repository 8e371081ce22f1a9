/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model_state.c - objects and their contents, the comparison after each operation, and what could
 * have been served
 *
 * "Could have been served" is asked after a refusal, by trying every place: the model's answer to
 * whether libcma gave up too early. It errs on libcma's side only where it says so.
 */
#include "model.h"

#include <string.h>

cma_pfn_t model_pfn(const struct model *model, uint32_t frame)
{
    return model->base + frame;
}

cma_paddr_t model_paddr_first(const struct model *model, uint32_t frame)
{
    return model_pfn(model, frame) << model->port.page_shift;
}

cma_paddr_t model_paddr_last(const struct model *model, uint32_t frame)
{
    return model_paddr_first(model, frame) + ((1ull << model->port.page_shift) - 1);
}

uint32_t model_frame_of(const struct model *model, cma_pfn_t pfn)
{
    if (pfn < model->base || pfn - model->base >= model->nframes)
        return UINT32_MAX;
    if (model->frames[pfn - model->base].place == MODEL_HOLE)
        return UINT32_MAX;
    return (uint32_t)(pfn - model->base);
}

uint64_t model_content(uint64_t stamp, uint32_t page)
{
    return stamp + page * 0x9e3779b97f4a7c15u;
}

/* --- objects ------------------------------------------------------------------------------- */

/* Numbers are used in turn, so that a stale cookie meets an empty place. */
uint32_t model_object_make(struct model *model)
{
    struct model_object *object;
    uint32_t generation;

    do
        model->next_object = model->next_object % MODEL_FRAMES_MAX + 1;
    while (model->objects[model->next_object].live);
    object = &model->objects[model->next_object];
    generation = (object->cookie >> 13) + 1;
    memset(object, 0, sizeof *object);
    object->live = true;
    object->cookie = generation << 13 | model->next_object;
    model->live_at[model->next_object] = model->nlive;
    model->live[model->nlive++] = model->next_object;
    return model->next_object;
}

/* One page more (a run gets its pages in order), or another page in the old one's stead. */
void model_object_hold(struct model *model, uint32_t index, uint32_t frame)
{
    struct model_object *object = &model->objects[index];

    if (object->npages == 0 || object->npages == 1) {
        object->frame = frame;
        object->npages = 1;
    }
    model->frames[frame].object = (uint16_t)index;
}

void model_object_write(struct model *model, uint32_t index)
{
    struct model_object *object = &model->objects[index];

    object->stamp = model_random(model);
    for (uint32_t i = 0; i < object->npages; i++)
        model->frames[object->frame + i].content = model_content(object->stamp, i);
}

void model_object_end(struct model *model, uint32_t index)
{
    struct model_object *object = &model->objects[index];
    uint32_t moved = model->live[--model->nlive];

    for (uint32_t i = 0; i < object->npages; i++) {
        model->frames[object->frame + i].object = 0;
        model->frames[object->frame + i].content = 0xdeadu;
    }
    object->live = false;
    model->live[model->live_at[index]] = moved;
    model->live_at[moved] = model->live_at[index];
}

/* Somebody has got a page from libcma, so nobody can have it. One that another thread is just
 * freeing is free by then. */
bool model_empty(struct model *model, uint32_t frame)
{
    uint32_t index = model->frames[frame].object;

    if (index != 0 && model->objects[index].in_free)
        model_object_end(model, index);
    return model->frames[frame].object == 0;
}

/* --- the comparison ------------------------------------------------------------------------ */

static void state_taken(struct model *model)
{
    for (uint32_t i = 0; i < model->nframes; i++)
        model->frames[i].taken = model->frames[i].booked = false;
    for (uint32_t i = 0; i < MODEL_CLAIMS_MAX; i++) {
        const struct cma_claim *claim = &model->claims[i].claim;

        if (!model->claims[i].running || claim->pfn == CMA_PFN_NONE)
            continue;
        for (uint64_t j = 0; j < claim->request.npages; j++)
            model->frames[claim->pfn - model->base + j].booked = true;
        for (uint64_t j = 0; j < claim->isolated; j++)
            model->frames[claim->pfn - model->base + j].taken = true;
    }
}

/* What libcma must say about a frame. */
static void state_expect(const struct model *model, uint32_t frame, struct cma_frame_info *info)
{
    const struct model_frame *f = &model->frames[frame];
    const struct model_object *object = &model->objects[f->object];

    memset(info, 0, sizeof *info);
    info->in_area = f->place == MODEL_AREA;
    if (f->object == 0) {
        info->idle = !f->taken && !f->host_out;
        return;
    }
    if (object->kind == CMA_KIND_CLAIMED) {
        if (frame != object->frame)
            return;
        info->npages = object->npages;
    } else {
        info->isolated = f->taken;
        info->npages = frame == object->frame ? object->npages : 0;
    }
    info->kind = object->kind;
    info->cookie = object->cookie;
    if (object->kind == CMA_KIND_MOVABLE || object->kind == CMA_KIND_DROPPABLE)
        info->mover = model->movers[object->mover].number;
    if (frame == object->frame) {
        info->pins = object->pins;
        info->refs = object->refs;
    }
}

static void state_compare(struct model *model, uint32_t frame)
{
    struct model_frame *f = &model->frames[frame];
    struct cma_frame_info is, must;
    int error;

    memset(&is, 0, sizeof is);
    error = cma_frame_info(&model->table, model_pfn(model, frame), &is);
    if (f->place == MODEL_HOLE || (f->place == MODEL_ORDINARY && model->areas_only)) {
        MODEL_REQUIRE(model, error == CMA_ENOENT, "page %#llx is tracked: %d",
                      (unsigned long long)model_pfn(model, frame), error);
        return;
    }
    MODEL_REQUIRE(model, error == 0, "page %#llx: %s", (unsigned long long)model_pfn(model, frame),
                  cma_strerror(error));
    state_expect(model, frame, &must);
    f->lent = is.lent;
    if (must.idle && !is.idle && f->place == MODEL_ORDINARY && model->ncaches != 0) {
        /* In a cache, then; state_compare_pages looks whether there are as many. */
        model->cached++;
        is.idle = true;
    }
    if (is.kind == must.kind && is.idle == must.idle && is.frozen == must.frozen &&
        is.isolated == must.isolated && is.in_area == must.in_area && is.mover == must.mover &&
        is.cookie == must.cookie && is.pins == must.pins && is.refs == must.refs &&
        is.npages == must.npages)
        return;
    model_fail(model,
               "page %#llx (frame %u, object %u) is, and should be:\n"
               "  kind %d %d, idle %d %d, frozen %d %d, isolated %d %d, area %d %d, mover %u %u,\n"
               "  cookie %#x %#x, pins %u %u, refs %u %u, npages %u %u",
               (unsigned long long)model_pfn(model, frame), frame, f->object, is.kind, must.kind,
               is.idle, must.idle, is.frozen, must.frozen, is.isolated, must.isolated, is.in_area,
               must.in_area, is.mover, must.mover, is.cookie, must.cookie, is.pins, must.pins,
               is.refs, must.refs, is.npages, must.npages);
}

static void state_compare_area(struct model *model, uint32_t index)
{
    struct model_area *area = &model->areas[index];
    struct cma_violation violation = {NULL, 0};
    struct cma_area_stats stats;
    uint64_t counts[CMA_KIND_RESERVED + 1] = {0}, idle = 0;

    MODEL_REQUIRE(model, cma_area_check(&area->area, &violation), "cma_area_check: %s, page %#llx",
                  violation.what, (unsigned long long)violation.pfn);
    cma_area_stats(&area->area, &stats);
    for (uint32_t i = area->first; i < area->first + area->npages; i++) {
        const struct model_frame *f = &model->frames[i];

        if (f->object != 0)
            counts[model->objects[f->object].kind]++;
        else if (!f->taken && !f->host_out)
            idle++;
    }
    MODEL_REQUIRE(
        model,
        stats.npages == area->npages && stats.claimed_npages == counts[CMA_KIND_CLAIMED] &&
            stats.kept_npages == counts[CMA_KIND_MOVABLE] &&
            stats.droppable_npages == counts[CMA_KIND_DROPPABLE] && stats.idle_npages == idle,
        "area %u counts %llu claimed, %llu kept, %llu droppable, %llu idle; there are "
        "%llu, %llu, %llu, %llu",
        index, (unsigned long long)stats.claimed_npages, (unsigned long long)stats.kept_npages,
        (unsigned long long)stats.droppable_npages, (unsigned long long)stats.idle_npages,
        (unsigned long long)counts[CMA_KIND_CLAIMED], (unsigned long long)counts[CMA_KIND_MOVABLE],
        (unsigned long long)counts[CMA_KIND_DROPPABLE], (unsigned long long)idle);
    MODEL_REQUIRE(model, stats.claims == area->claims && stats.released == area->released,
                  "area %u counts %llu claims and %llu releases, there were %llu and %llu", index,
                  (unsigned long long)stats.claims, (unsigned long long)stats.released,
                  (unsigned long long)area->claims, (unsigned long long)area->released);
}

static void state_compare_pages(struct model *model)
{
    struct cma_pages_stats stats;
    uint64_t idle[CMA_ZONES_MAX] = {0}, lent = 0;

    cma_pages_stats(&model->pages, &stats);
    for (uint32_t i = 0; i < model->nframes; i++) {
        const struct model_frame *f = &model->frames[i];

        if (f->object != 0 || f->taken)
            continue;
        if (f->place == MODEL_ORDINARY)
            idle[f->zone]++;
        else if (f->place == MODEL_AREA && f->lent)
            lent++;
    }
    MODEL_REQUIRE(model, stats.cached_npages == model->cached,
                  "%llu pages in caches are counted, there are %u",
                  (unsigned long long)stats.cached_npages, model->cached);
    if (model->cached != 0) {
        uint32_t zone = 0;

        /* They are the highest zone's that has ordinary memory. */
        for (uint32_t i = 0; i < model->nframes; i++)
            zone = model->frames[i].place == MODEL_ORDINARY ? model->frames[i].zone : zone;
        stats.zone_idle_npages[zone] += stats.cached_npages;
    }
    for (uint32_t i = 0; i < model->nzones; i++) {
        MODEL_REQUIRE(model, stats.zone_idle_npages[i] == idle[i],
                      "zone %u counts %llu idle pages, there are %llu", i,
                      (unsigned long long)stats.zone_idle_npages[i], (unsigned long long)idle[i]);
    }
    MODEL_REQUIRE(model, stats.lent_idle_npages == lent,
                  "%llu idle lent pages are counted, there are %llu",
                  (unsigned long long)stats.lent_idle_npages, (unsigned long long)lent);
}

/* Everything, against everything. Between operations: nothing is frozen, no lock is held. */
void model_check(struct model *model)
{
    struct cma_violation violation = {NULL, 0};
    bool busy = false;

    model->checking = true;
    MODEL_REQUIRE(model, model->locked == 0, "a lock is still held");
    MODEL_REQUIRE(model, model->nfrozen == 0, "%u pages are still frozen", model->nfrozen);
    for (uint32_t i = 0; i < MODEL_CLAIMS_MAX; i++)
        busy |= model->claims[i].running;
    MODEL_REQUIRE(model, cma_frames_check(&model->table, busy, &violation),
                  "cma_frames_check: %s, page %#llx", violation.what,
                  (unsigned long long)violation.pfn);
    state_taken(model);
    model->cached = 0;
    for (uint32_t i = 0; i < model->nframes; i++) {
        const struct model_frame *f = &model->frames[i];
        const struct model_object *object = &model->objects[f->object];

        state_compare(model, i);
        MODEL_REQUIRE(model, !f->host_out, "the destination %#llx was lost",
                      (unsigned long long)model_pfn(model, i));
        MODEL_REQUIRE(
            model, f->object == 0 || f->content == model_content(object->stamp, i - object->frame),
            "the data of object %#x at page %#llx is wrong", object->cookie,
            (unsigned long long)model_pfn(model, i));
    }
    for (uint32_t i = 0; i < model->nareas; i++)
        state_compare_area(model, i);
    if (!model->areas_only)
        state_compare_pages(model);
}

/* --- what could have been served ------------------------------------------------------------ */

/* Its mover lets it go, as far as one can tell beforehand. */
static bool state_willing(const struct model *model, const struct model_object *object,
                          bool despite_refs)
{
    const struct model_mover *mover = &model->movers[object->mover];

    if (object->kind != CMA_KIND_MOVABLE && object->kind != CMA_KIND_DROPPABLE)
        return false;
    if (object->refuses || object->dying || object->frozen || object->in_mover)
        return false;
    if (mover->refusal_percent > 0 && (mover->mover.flags & CMA_MOVER_MAY_REFUSE) != 0)
        return false;
    return object->pins == 0 && (despite_refs || object->refs == 0);
}

/* Frames up to paddr_last that an evacuation could take: idle ordinary ones, droppable ones there
 * (of movers whose word can be relied on), and with lent_too the idle lent ones of ordinary areas
 * that nobody empties. */
uint64_t model_room(const struct model *model, cma_paddr_t paddr_last, bool lent_too)
{
    uint64_t room = 0;

    for (uint32_t i = 0; i < model->nframes && model_paddr_last(model, i) <= paddr_last; i++) {
        const struct model_frame *f = &model->frames[i];
        const struct model_object *object = &model->objects[f->object];

        if (f->place == MODEL_ORDINARY && f->object == 0)
            room += !f->host_out;
        else if (f->place == MODEL_ORDINARY)
            room += !model->areas_only && object->kind == CMA_KIND_DROPPABLE &&
                    model->movers[object->mover].mover.flags == 0 &&
                    state_willing(model, object, false);
        else if (f->place == MODEL_AREA && lent_too && !model->areas_only)
            room += f->object == 0 && f->lent && !f->taken && model->areas[f->area].busy == 0 &&
                    model->areas[f->area].lend_class == CMA_LEND_ORDINARY;
    }
    return room;
}

static bool state_lendable(const struct model *model, uint32_t frame,
                           const struct cma_pages_request *request)
{
    const struct model_frame *f = &model->frames[frame];
    const struct model_area *area = &model->areas[f->area];
    uint32_t mover = 0;

    if (request->holder.kind == CMA_KIND_UNMOVABLE || (request->flags & CMA_PAGES_NO_LENT) != 0)
        return false;
    if (area->lend_class == CMA_LEND_NONE)
        return false;
    while (mover < model->nmovers && model->movers[mover].number != request->holder.mover)
        mover++;
    if (area->lend_class == CMA_LEND_SLOT && model->movers[mover].mover.flags != 0)
        return false;
    if (f->lent)
        return true;
    return (request->flags & CMA_PAGES_NO_LEND) == 0 && area->busy == 0;
}

/* Alignment and boundary hold for what the bus makes of the address. */
bool model_aligned(const struct model *model, uint32_t frame, uint64_t npages,
                   uint64_t align_npages, uint64_t boundary, uint64_t bus_offset)
{
    uint64_t begin = model_paddr_first(model, frame) + bus_offset;
    uint64_t nbytes = npages << model->port.page_shift;

    if (align_npages > 1 && begin % (align_npages << model->port.page_shift) != 0)
        return false;
    return boundary == 0 || begin % boundary + nbytes <= boundary;
}

static bool state_within(const struct model *model, uint32_t frame, uint64_t npages,
                         cma_paddr_t first, cma_paddr_t last, uint64_t align_npages,
                         uint64_t boundary, uint64_t bus_offset)
{
    cma_paddr_t begin = model_paddr_first(model, frame);
    cma_paddr_t end;

    if (npages > model->nframes - frame)
        return false;
    end = model_paddr_last(model, frame + (uint32_t)npages - 1);
    if (begin < first || (last != 0 && end > last))
        return false;
    return model_aligned(model, frame, npages, align_npages, boundary, bus_offset);
}

static bool state_floors_hold(const struct model *model, const uint64_t *idle, uint32_t zone,
                              uint64_t npages)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < model->nzones; i++) {
        sum += idle[i];
        if (i >= zone && sum < npages + model->floor_npages[i])
            return false;
    }
    return true;
}

/* Other threads have done something, or may be in the middle of it. */
static bool state_unsettled(const struct model *model)
{
    return model->depth > 0 || model->tally.nested > 0;
}

/* After a success: is the run that begins at `frame` one that the request may get? The model does
 * not hold it yet. */
bool model_run_fits(const struct model *model, const struct cma_pages_request *request,
                    uint32_t frame)
{
    uint64_t idle[CMA_ZONES_MAX] = {0};
    const struct model_frame *f = &model->frames[frame];

    if (!state_within(model, frame, request->npages, request->paddr_first, request->paddr_last,
                      request->align_npages, request->boundary_nbytes, 0))
        return false;
    for (uint32_t i = frame; i < frame + request->npages; i++) {
        const struct model_frame *g = &model->frames[i];

        if ((g->object != 0 && !model->objects[g->object].in_free) ||
            (g->taken && !state_unsettled(model)) || g->span != f->span || g->place == MODEL_HOLE)
            return false;
        if ((request->flags & CMA_PAGES_LINEAR) != 0 &&
            (model->zones[g->zone].flags & CMA_ZONE_UNMAPPED) != 0)
            return false;
    }
    if (f->place == MODEL_AREA) {
        struct cma_pages_request any = *request;
        struct cma_frame_info info;

        any.flags &= ~CMA_PAGES_NO_LEND;
        return cma_frame_info(&model->table, model_pfn(model, frame), &info) == 0 && info.lent &&
               (state_unsettled(model) || model->areas[f->area].busy > 0 ||
                state_lendable(model, frame, &any)) &&
               ((request->flags & CMA_PAGES_NO_LEND) == 0 || f->lent || state_unsettled(model) ||
                model->filling);
    }
    if (state_unsettled(model))
        return true;
    for (uint32_t i = 0; i < model->nframes; i++) {
        if (model->frames[i].place == MODEL_ORDINARY && model->frames[i].object == 0)
            idle[model->frames[i].zone]++;
    }
    return state_floors_hold(model, idle, f->zone, request->npages);
}

/* Is there a run of idle pages that the request could have got? */
bool model_pages_possible(const struct model *model, const struct cma_pages_request *request)
{
    uint64_t idle[CMA_ZONES_MAX] = {0};
    uint64_t run = 0;

    for (uint32_t i = 0; i < model->nframes; i++) {
        if (model->frames[i].place == MODEL_ORDINARY && model->frames[i].object == 0)
            idle[model->frames[i].zone]++;
    }
    for (uint32_t i = model->nframes; i-- > 0;) {
        const struct model_frame *f = &model->frames[i];
        uint32_t zone =
            f->place == MODEL_AREA
                ? model->frames[model->areas[f->area].first + model->areas[f->area].npages - 1].zone
                : f->zone;
        bool good = f->object == 0 && !f->taken && f->place != MODEL_HOLE;

        if (good && f->place == MODEL_AREA)
            good = state_lendable(model, i, request);
        if (good && (request->flags & CMA_PAGES_LINEAR) != 0)
            good = (model->zones[zone].flags & CMA_ZONE_UNMAPPED) == 0;
        if (!good || (run > 0 && model->frames[i + 1].span != f->span))
            run = 0;
        run += good;
        if (run >= request->npages &&
            state_within(model, i, request->npages, request->paddr_first, request->paddr_last,
                         request->align_npages, request->boundary_nbytes, 0) &&
            (f->place == MODEL_AREA || state_floors_hold(model, idle, f->zone, request->npages)))
            return true;
    }
    return false;
}

/* The part of an area for requests of npages: its length, and its first frame. */
uint32_t model_part(const struct model_area *area, uint64_t npages, uint32_t *first)
{
    uint32_t left = area->npages, i = 0;

    *first = area->first;
    while (i < area->nclasses && npages > area->classes[i].npages_max) {
        *first += area->classes[i].npages;
        left -= area->classes[i++].npages;
    }
    return i < area->nclasses ? area->classes[i].npages : left;
}

/* Do the frames [frame, frame + npages) of an area lie in its part for so many? */
bool model_in_part(const struct model_area *area, uint32_t frame, uint64_t npages)
{
    uint32_t first, length = model_part(area, npages, &first);

    return frame >= first && npages <= length && frame - first <= length - npages;
}

/* Is there a window that nothing holds in place and whose kept pages fit elsewhere? With refs_go, a
 * short reference does not count: who would not wait for it must be told to try again. */
bool model_claim_possible(struct model *model, uint32_t index,
                          const struct cma_area_request *request, bool refs_go, uint32_t *frame)
{
    static uint16_t blocked[MODEL_FRAMES_MAX + 1], kept[MODEL_MOVERS_MAX][MODEL_FRAMES_MAX + 1];
    struct model_area *area = &model->areas[index];
    uint64_t room[MODEL_MOVERS_MAX];

    if (request->npages == 0 || request->npages > area->npages)
        return false;
    area->busy++; /* its own frames are no room */
    for (uint32_t m = 0; m < model->nmovers; m++)
        room[m] = model_room(model, model->movers[m].mover.paddr_last, true);
    area->busy--;
    for (uint32_t i = 0; i < area->npages; i++) {
        const struct model_frame *f = &model->frames[area->first + i];
        const struct model_object *object = &model->objects[f->object];
        bool held = f->object != 0;

        blocked[i + 1] =
            (uint16_t)(blocked[i] + (f->booked || f->host_out ||
                                     (held && !state_willing(model, object, refs_go))));
        for (uint32_t m = 0; m < model->nmovers; m++) {
            kept[m][i + 1] = (uint16_t)(kept[m][i] + (held && object->kind == CMA_KIND_MOVABLE &&
                                                      object->mover == m));
        }
    }
    for (uint32_t i = 0; i + request->npages <= area->npages; i++) {
        uint32_t end = i + (uint32_t)request->npages;
        bool fits = blocked[end] == blocked[i] &&
                    model_in_part(area, area->first + i, request->npages) &&
                    state_within(model, area->first + i, request->npages, request->paddr_first,
                                 request->paddr_last, request->align_npages,
                                 request->boundary_nbytes, request->bus_offset);

        for (uint32_t m = 0; fits && m < model->nmovers; m++) {
            cma_paddr_t limit = model->movers[m].mover.paddr_last;
            uint64_t need = 0;

            for (uint32_t k = 0; k < model->nmovers; k++) {
                if (model->movers[k].mover.paddr_last <= limit)
                    need += (uint64_t)(kept[k][end] - kept[k][i]);
            }
            fits = need <= room[m];
        }
        if (fits) {
            *frame = area->first + i;
            return true;
        }
    }
    return false;
}
