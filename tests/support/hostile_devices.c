/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostile_devices.c - those who were promised memory, and what they are owed
 *
 * Half of them take blocks themselves, the others are given coherent memory by the DMA layer. Not
 * one take may fail, or cost more than guarantee.h says, counted by movers and hooks.
 */
#include "hostile.h"

#include <string.h>

/* --- what they want ------------------------------------------------------------------------ */

static void devices_request(struct hostile *board, struct hostile_device *device, uint32_t index)
{
    const struct hostile_area *area = &board->areas[device->area];
    struct cma_guarantee_request *request = &device->request;
    uint64_t page = 1ull << board->port.page_shift;
    uint32_t middle;

    request->owner = 100 + index;
    request->npages =
        hostile_log_uniform(board, board->real ? 16 : 1,
                            board->real && area->npages > 8192 ? 2048 : (area->npages + 3) / 4);
    request->count = 1 + (uint32_t)hostile_below(board, HOSTILE_BLOCKS_MAX);
    while (request->count > 1 && request->count * request->npages > area->npages * 6 / 10)
        request->count--;
    if (hostile_chance(board, 40))
        request->max_moves = 1 + (uint32_t)hostile_below(board, 16);
    if (hostile_chance(board, 30))
        request->align_npages = 1ull << hostile_below(board, 6);
    if (hostile_chance(board, 15)) {
        request->boundary_nbytes = page;
        while (request->boundary_nbytes < request->npages * page)
            request->boundary_nbytes *= 2;
        request->boundary_nbytes <<= hostile_below(board, 3);
    }
    if (hostile_chance(board, 15))
        request->bus_offset = hostile_below(board, 4096) * page;
    middle = area->first + (uint32_t)hostile_below(board, area->npages);
    if (hostile_chance(board, 15))
        request->paddr_last = hostile_paddr_last(board, middle);
    else if (hostile_chance(board, 15))
        request->paddr_first = hostile_paddr(board, middle);
    device->group = HOSTILE_NONE;
    if (hostile_chance(board, 25)) {
        device->group = (uint32_t)hostile_below(board, HOSTILE_GROUPS_MAX);
        request->group = &board->groups[device->group];
    }
}

/* A bus may shift addresses, and not all devices have all address lines. */
static void devices_make_dma(struct hostile *board, struct hostile_device *device)
{
    struct cma_guarantee_request *request = &device->request;
    struct cma_device_config config = {
        .name = "device",
        .owner = request->owner,
        .mask = CMA_PADDR_MAX,
        .coherent_mask = CMA_PADDR_MAX,
        .area = &board->areas[device->area].area,
        .flags = CMA_DEVICE_AREA_ONLY | (hostile_chance(board, 40) ? CMA_DEVICE_COHERENT : 0),
    };
    int error;

    request->paddr_first = 0;
    request->bus_offset = 0;
    if (hostile_chance(board, 30)) {
        device->window = (struct cma_bus_window){
            .daddr = hostile_below(board, 4096) << board->port.page_shift,
            .paddr = hostile_paddr(board, 0),
            .nbytes = (uint64_t)board->nframes << board->port.page_shift,
        };
        config.windows = &device->window;
        config.nwindows = 1;
        request->bus_offset = device->window.daddr - device->window.paddr;
    }
    if (request->paddr_last != 0)
        config.coherent_mask = request->paddr_last + request->bus_offset;
    error = cma_device_init(&device->device, &board->dma, &config);
    HOSTILE_REQUIRE(board, error == 0, "cma_device_init: %s", cma_strerror(error));
}

void hostile_devices_make(struct hostile *board)
{
    board->ndevices = 1 + (uint32_t)hostile_below(board, HOSTILE_DEVICES_MAX);
    for (uint32_t i = 0; i < board->ndevices; i++) {
        struct hostile_device *device = &board->devices[i];

        device->area = (uint32_t)hostile_below(board, board->nareas);
        devices_request(board, device, i);
        device->through_dma = hostile_chance(board, 40);
        if (device->through_dma)
            devices_make_dma(board, device);
    }
}

/* --- admission ----------------------------------------------------------------------------- */

static int device_ask(struct hostile *board, struct hostile_device *device,
                      struct cma_admission *why)
{
    const struct cma_guarantee_request *request = &device->request;
    uint32_t shift = board->port.page_shift;

    *why = (struct cma_admission){0};
    if (!device->through_dma)
        return cma_guarantee_admit(&board->guarantees, &device->guarantee,
                                   &board->areas[device->area].area, request, why);
    struct cma_promise_request promise = {
        .nbytes = (request->npages << shift) - hostile_below(board, 1ull << shift),
        .count = request->count,
        .max_moves = request->max_moves,
        .align_nbytes = request->align_npages << shift,
        .boundary_nbytes = request->boundary_nbytes,
        .group = request->group,
    };
    return cma_device_admit(&device->device, &board->guarantees, &device->promise, &promise, why);
}

static bool device_admit(struct hostile *board, struct hostile_device *device)
{
    struct cma_admission why;
    struct cma_guarantee_request *request = &device->request;
    int error = device_ask(board, device, &why);
    bool exact;

    hostile_note(board, "admit: pages, count", request->npages, request->count, error);
    device->admitted = error == 0;
    if (error == 0) {
        board->sums->admitted++;
        return true;
    }
    board->sums->refused++;
    HOSTILE_REQUIRE(board,
                    error == CMA_ERANGE || error == CMA_ENOMEM || error == CMA_ENOSPC ||
                        error == CMA_EBUSY || error == CMA_EAGAIN || error == CMA_EINVAL,
                    "admission of %u blocks of %llu pages: %s", request->count,
                    (unsigned long long)request->npages, cma_strerror(error));
    /* Members of one group on two areas. */
    HOSTILE_REQUIRE(board, error != CMA_EINVAL || request->group != NULL,
                    "admission of %u blocks of %llu pages: %s", request->count,
                    (unsigned long long)request->npages, cma_strerror(error));
    HOSTILE_REQUIRE(board,
                    why.refusal.code == error && why.refusal.reason > CMA_REASON_NONE &&
                        why.refusal.reason < CMA_REASON_COUNT,
                    "refused with %s; the reason: %d, code %d", cma_strerror(error),
                    why.refusal.reason, why.refusal.code);
    if (why.possible_count == 0 && why.possible_npages == 0)
        return false;
    exact = !board->refusals && board->nested_percent == 0 && board->failing_percent == 0 &&
            board->nreferenced == 0;
    if (why.possible_count >= request->count || why.possible_npages >= request->npages) {
        HOSTILE_REQUIRE(board, error == CMA_EAGAIN || !exact,
                        "%u blocks of %llu pages are refused, but %u or %llu would be possible",
                        request->count, (unsigned long long)request->npages, why.possible_count,
                        (unsigned long long)why.possible_npages);
        return false;
    }
    if (why.possible_count > 0)
        request->count = why.possible_count;
    else
        request->npages = why.possible_npages;
    error = device_ask(board, device, &why);
    hostile_note(board, "admit what is possible: pages, count", request->npages, request->count,
                 error);
    device->admitted = error == 0;
    board->sums->possible_asked++;
    board->sums->possible_given += error == 0;
    board->sums->admitted += error == 0;
    HOSTILE_REQUIRE(board, error == 0 || error == CMA_EAGAIN || !exact,
                    "%u blocks of %llu pages were said to be possible: %s", request->count,
                    (unsigned long long)request->npages, cma_strerror(error));
    return device->admitted;
}

bool hostile_devices_admit(struct hostile *board)
{
    bool any = false;

    for (uint32_t i = 0; i < board->ndevices; i++)
        any |= board->devices[i].admitted || device_admit(board, &board->devices[i]);
    return any;
}

static void device_revoke(struct hostile *board, struct hostile_device *device)
{
    int error = device->through_dma ? cma_device_revoke(&device->device, &device->promise)
                                    : cma_guarantee_revoke(&device->guarantee);

    hostile_note(board, "revoke: device, blocks out", (uint64_t)(device - board->devices),
                 device->out, error);
    if (device->out > 0) {
        HOSTILE_REQUIRE(board, error == CMA_EBUSY, "revoked with %u blocks out: %s", device->out,
                        cma_strerror(error));
        return;
    }
    HOSTILE_REQUIRE(board, error == 0, "revoked with no block out: %s", cma_strerror(error));
    device->admitted = false;
    board->sums->revoked++;
}

/* --- takes --------------------------------------------------------------------------------- */

static bool device_group_free(const struct hostile *board, const struct hostile_device *device)
{
    for (uint32_t i = 0; i < board->ndevices && device->group != HOSTILE_NONE; i++) {
        const struct hostile_device *other = &board->devices[i];

        if (other != device && other->group == device->group && other->out > 0)
            return false;
    }
    return true;
}

static int device_get(struct hostile *board, struct hostile_device *device,
                      struct hostile_block *block, uint32_t npages, struct cma_guarantee_work *work,
                      struct cma_refusal *refusal)
{
    uint32_t shift = board->port.page_shift;
    cma_pfn_t pfn = CMA_PFN_NONE;
    int error;

    if (device->through_dma) {
        struct cma_coherent_request request = {
            .nbytes = ((uint64_t)(npages - 1) << shift) + 1,
            .align_nbytes = device->request.align_npages << shift,
            .boundary_nbytes = device->request.boundary_nbytes,
        };

        error = cma_dma_alloc_coherent(&device->device, &request, &block->buffer, refusal);
        pfn = block->buffer.paddr >> shift;
        HOSTILE_REQUIRE(board,
                        error != 0 || !board->guarded ||
                            block->buffer.source == CMA_SOURCE_GUARANTEE || block->npages == 0,
                        "coherent memory under a guarantee comes from %d", block->buffer.source);
    } else if (board->guarded) {
        error = cma_guarantee_take(&device->guarantee, &pfn, work, refusal);
    } else {
        const struct cma_guarantee_request *r = &device->request;
        struct cma_area_request request = {
            .npages = r->npages,
            .align_npages = r->align_npages,
            .paddr_first = r->paddr_first,
            .paddr_last = r->paddr_last,
            .boundary_nbytes = r->boundary_nbytes,
            .bus_offset = r->bus_offset,
            .owner = r->owner,
        };

        error = cma_area_alloc(&board->areas[device->area].area, &request, &pfn, refusal);
    }
    if (error == 0)
        block->frame = hostile_frame(board, pfn);
    return error;
}

static void device_judge_place(struct hostile *board, const struct hostile_device *device,
                               const struct hostile_block *block)
{
    const struct hostile_area *area = &board->areas[device->area];
    const struct cma_guarantee_request *request = &device->request;
    cma_paddr_t first, last;
    uint64_t align = (request->align_npages | (request->align_npages == 0))
                     << board->port.page_shift;

    HOSTILE_REQUIRE(
        board,
        block->frame >= area->first && block->npages <= area->npages - (block->frame - area->first),
        "a block of %u pages at frame %u, outside of its area", block->npages, block->frame);
    first = hostile_paddr(board, block->frame);
    last = hostile_paddr_last(board, block->frame + block->npages - 1);
    HOSTILE_REQUIRE(board,
                    first >= request->paddr_first &&
                        (request->paddr_last == 0 || last <= request->paddr_last),
                    "a block at %#llx to %#llx, out of reach", (unsigned long long)first,
                    (unsigned long long)last);
    first += request->bus_offset;
    last += request->bus_offset;
    HOSTILE_REQUIRE(board,
                    (first & (align - 1)) == 0 &&
                        (request->boundary_nbytes == 0 ||
                         ((first ^ last) & ~(request->boundary_nbytes - 1)) == 0),
                    "a block at %#llx to %#llx of the bus, not aligned or across a boundary",
                    (unsigned long long)first, (unsigned long long)last);
}

#define DEVICES_WORST(name)          \
    if (tally->name > worst->name) { \
        worst->name = tally->name;   \
    }

/* Pages of the slot that a block lies in: more than the block has where a group shares it. */
static uint64_t device_slot_npages(struct hostile *board, const struct hostile_block *block,
                                   uint64_t npages)
{
    struct cma_slot_info info;
    cma_pfn_t pfn = hostile_pfn(board, block->frame);

    for (uint32_t i = 0; cma_guarantees_slot(&board->guarantees, i, &info) == 0; i++) {
        if (pfn >= info.pfn && pfn - info.pfn < info.npages) {
            HOSTILE_REQUIRE(board, info.out && !info.returning, "frame %u's slot is not out",
                            block->frame);
            return info.npages;
        }
    }
    HOSTILE_REQUIRE(board, !board->guarded, "frame %u, a block's, is in no slot", block->frame);
    return npages;
}

/* Returns whether the take cost no more than it may. */
static bool device_judge_work(struct hostile *board, const struct hostile_device *device,
                              const struct hostile_block *block, const struct hostile_tally *tally)
{
    const struct cma_guarantee_request *request = &device->request;
    struct hostile_tally *worst = &board->result->worst;
    uint64_t flushes = (tally->copied + CMA_GUARANTEE_BATCH - 1) / CMA_GUARANTEE_BATCH + 1 +
                       (tally->attributes > 0);

    DEVICES_WORST(commits);
    DEVICES_WORST(copied);
    DEVICES_WORST(discards);
    DEVICES_WORST(flushes);
    DEVICES_WORST(zeroed);
    DEVICES_WORST(cleaned);
    DEVICES_WORST(attributes);
    board->result->copied += tally->copied;
    board->result->discarded += tally->discards;
    board->result->flushes += tally->flushes;
    return tally->copied <= request->max_moves && tally->commits <= request->max_moves &&
           tally->copied <= request->npages &&
           tally->discards <= device_slot_npages(board, block, request->npages) &&
           tally->flushes <= flushes && tally->zeroed <= request->npages &&
           tally->cleaned <= request->npages && tally->attributes <= request->npages;
}

static void device_failed(struct hostile *board, const struct cma_refusal *refusal)
{
    struct hostile_result *result = board->result;

    result->failed++;
    switch (refusal->reason) {
    case CMA_REASON_NO_ROOM: result->failed_room++; break;
    case CMA_REASON_CLAIMED: result->failed_claimed++; break;
    case CMA_REASON_HELD: result->failed_held++; break;
    case CMA_REASON_MOVER: result->failed_mover++; break;
    default: result->failed_other++; break;
    }
}

static void device_take(struct hostile *board, struct hostile_device *device)
{
    struct hostile_block *block = device->blocks;
    struct hostile_tally *tally = &board->tally[board->depth > 0];
    struct cma_guarantee_work work = {0, 0, 0};
    struct cma_refusal refusal = {.code = 0};
    bool within, checked = !device->through_dma && board->guarded;
    int error;

    while (block->state != HOSTILE_IN)
        block++;
    block->npages = (uint32_t)device->request.npages;
    if (device->through_dma && hostile_chance(board, 20))
        block->npages = 1 + (uint32_t)hostile_below(board, block->npages);
    block->state = HOSTILE_TAKING;
    device->out++;
    *tally = (struct hostile_tally){.commits = 0};
    board->taking |= board->depth == 0;
    error = device_get(board, device, block, block->npages, &work, &refusal);
    board->taking &= board->depth > 0;
    hostile_note(board, "take: device, frame", (uint64_t)(device - board->devices), block->frame,
                 error);
    if (error == CMA_EAGAIN && board->getting) {
        /* Its mover doesn't know yet that it has got the page, and can't before we return. */
        board->sums->again++;
        block->state = HOSTILE_IN;
        device->out--;
        return;
    }
    board->result->takes++;
    board->sums->through_dma += device->through_dma;
    if (error != 0) {
        HOSTILE_REQUIRE(board, !board->guarded,
                        "a block of %u pages under a guarantee (%u of %u are out): %s, %s",
                        block->npages, device->out - 1, device->request.count, cma_strerror(error),
                        cma_reason_name(refusal.reason));
        device_failed(board, &refusal);
        block->state = HOSTILE_IN;
        device->out--;
        return;
    }
    block->state = HOSTILE_OUT;
    board->result->pages += block->npages;
    hostile_mark(board, block->frame, block->npages, HOSTILE_OWNER | device->request.owner);
    device_judge_place(board, device, block);
    HOSTILE_REQUIRE(board,
                    !checked || (work.copied == tally->copied && work.copied == tally->commits &&
                                 work.dropped == tally->discards && work.flushes == tally->flushes),
                    "a take tells of %u copies, %u discards, %u flushes, there were %u, %u, %u",
                    work.copied, work.dropped, work.flushes, tally->commits, tally->discards,
                    tally->flushes);
    within = device_judge_work(board, device, block, tally);
    HOSTILE_REQUIRE(board, within || !board->guarded,
                    "a take of %u pages, %u moves at most, cost %u copies, %u discards, %u flushes,"
                    " %llu pages zeroed, %llu cleaned, %llu attributes",
                    block->npages, device->request.max_moves, tally->commits, tally->discards,
                    tally->flushes, (unsigned long long)tally->zeroed,
                    (unsigned long long)tally->cleaned, (unsigned long long)tally->attributes);
    board->result->above += !within;
}

/* --- releases ------------------------------------------------------------------------------ */

/* It is about to be: before a call has returned, others can have its frames. */
static void device_clear(struct hostile *board, const struct hostile_device *device,
                         const struct hostile_block *block)
{
    hostile_clear(board, block->frame, block->npages, HOSTILE_OWNER | device->request.owner);
}

static void device_gone(struct hostile_device *device, struct hostile_block *block)
{
    block->state = HOSTILE_IN;
    device->out--;
}

static void device_release(struct hostile *board, struct hostile_device *device,
                           struct hostile_block *block)
{
    struct cma_area *area = &board->areas[device->area].area;
    cma_pfn_t pfn = hostile_pfn(board, block->frame);
    bool quiet = device->through_dma || !board->guarded || hostile_chance(board, 75);
    int error;

    if (board->guarded && hostile_chance(board, 2)) {
        error = cma_area_release(area, pfn, block->npages, device->request.owner);
        HOSTILE_REQUIRE(board, error == CMA_EPERM, "a block goes back past its guarantee: %s",
                        cma_strerror(error));
    }
    if (quiet)
        device_clear(board, device, block);
    error = device->through_dma ? cma_dma_free_coherent(&device->device, &block->buffer)
            : board->guarded    ? cma_guarantee_release(&device->guarantee, pfn, quiet)
                                : cma_area_release(area, pfn, block->npages, device->request.owner);
    hostile_note(board, "release: frame, quiet", block->frame, quiet, error);
    HOSTILE_REQUIRE(board, error == 0, "release of frame %u: %s", block->frame,
                    cma_strerror(error));
    if (quiet) {
        device_gone(device, block);
        return;
    }
    block->state = HOSTILE_RETURNING;
    error = cma_guarantee_release(&device->guarantee, pfn, true);
    HOSTILE_REQUIRE(board, error == CMA_EBADF, "a second release of frame %u: %s", block->frame,
                    cma_strerror(error));
}

static void device_quiet(struct hostile *board, struct hostile_device *device,
                         struct hostile_block *block)
{
    int error;

    device_clear(board, device, block);
    error = cma_guarantee_quiet(&device->guarantee, hostile_pfn(board, block->frame));
    hostile_note(board, "quiet: frame", block->frame, 0, error);
    HOSTILE_REQUIRE(board, error == 0, "cma_guarantee_quiet: %s", cma_strerror(error));
    device_gone(device, block);
}

/* One of its blocks, one step nearer to its slot. */
static void device_give(struct hostile *board, struct hostile_device *device)
{
    uint32_t start = (uint32_t)hostile_below(board, HOSTILE_BLOCKS_MAX);

    for (uint32_t i = 0; i < HOSTILE_BLOCKS_MAX; i++) {
        struct hostile_block *block = &device->blocks[(start + i) % HOSTILE_BLOCKS_MAX];

        if (block->state == HOSTILE_OUT) {
            device_release(board, device, block);
            return;
        }
        if (block->state == HOSTILE_RETURNING) {
            device_quiet(board, device, block);
            return;
        }
    }
}

static void device_give_all(struct hostile *board, struct hostile_device *device)
{
    while (device->out > 0)
        device_give(board, device);
}

/* --- a step -------------------------------------------------------------------------------- */

static bool device_may_take(const struct hostile *board, const struct hostile_device *device)
{
    return device->admitted && device->out < device->request.count &&
           device_group_free(board, device);
}

static struct hostile_device *devices_pick(struct hostile *board)
{
    uint32_t start = (uint32_t)hostile_below(board, board->ndevices);

    for (uint32_t i = 0; i < board->ndevices; i++) {
        struct hostile_device *device = &board->devices[(start + i) % board->ndevices];

        if (device_may_take(board, device))
            return device;
    }
    return NULL;
}

void hostile_take_nested(struct hostile *board)
{
    struct hostile_device *device = devices_pick(board);

    if (device != NULL)
        device_take(board, device);
}

/* What was not promised is refused, with the reason. */
static void devices_ask_too_much(struct hostile *board)
{
    struct hostile_device *device = &board->devices[hostile_below(board, board->ndevices)];
    struct cma_refusal refusal = {.code = 0};
    struct hostile_block block = {.npages = 0};
    bool group = !device_group_free(board, device);
    int error;

    if (!board->guarded || !device->admitted || device->through_dma ||
        device_may_take(board, device))
        return;
    error = device_get(board, device, &block, 1, NULL, &refusal);
    HOSTILE_REQUIRE(board,
                    group ? error == CMA_EBUSY && refusal.reason == CMA_REASON_GROUP
                          : error == CMA_ENOMEM && refusal.reason == CMA_REASON_PROMISED,
                    "a take of more than was promised: %s, %s", cma_strerror(error),
                    cma_reason_name(refusal.reason));
    board->sums->right_refusals++;
}

/* Blocks go back until as few are out as this board likes. */
static void devices_give(struct hostile *board)
{
    uint32_t out = 0, count = 0, wanted;

    for (uint32_t i = 0; i < board->ndevices; i++) {
        out += board->devices[i].out;
        count += board->devices[i].admitted ? board->devices[i].request.count : 0;
    }
    wanted = (uint32_t)hostile_below(board, count * board->out_percent / 50 + 2);
    for (uint32_t tries = 0; tries < 8 && out > wanted; tries++) {
        struct hostile_device *device = &board->devices[hostile_below(board, board->ndevices)];

        out -= device->out;
        if (device->group != HOSTILE_NONE && hostile_chance(board, 30))
            device_give_all(board, device);
        else
            device_give(board, device);
        out += device->out;
    }
}

/* Somebody goes, or comes again. */
static void devices_change(struct hostile *board)
{
    struct hostile_device *device = &board->devices[hostile_below(board, board->ndevices)];

    if (!board->guarded)
        return;
    if (device->admitted) {
        if (hostile_chance(board, 50))
            device_give_all(board, device);
        device_revoke(board, device);
    } else {
        (void)device_admit(board, device);
    }
}

static struct hostile_device *devices_next(struct hostile *board)
{
    struct hostile_device *device = devices_pick(board);

    for (uint32_t tries = 0; device == NULL; tries++) {
        uint32_t admitted = 0;

        for (uint32_t i = 0; i < board->ndevices; i++) {
            device_give_all(board, &board->devices[i]);
            admitted += board->devices[i].admitted;
        }
        if (admitted == 0) {
            if (tries > 0)
                hostile_relax(board);
            (void)hostile_devices_admit(board);
        }
        /* Smaller and smaller, until there is room. */
        for (uint32_t i = 0; i < board->ndevices && tries > 1; i++) {
            struct cma_guarantee_request *request = &board->devices[i].request;

            if (board->devices[i].admitted)
                continue;
            request->npages = (request->npages + 1) / 2;
            request->count = (request->count + 1) / 2;
        }
        HOSTILE_REQUIRE(board, tries < 40, "nothing is admitted on an empty board");
        device = devices_pick(board);
    }
    return device;
}

void hostile_devices_step(struct hostile *board)
{
    struct hostile_device *device;

    board->demand = false;
    for (uint64_t rounds = hostile_below(board, 3); rounds > 0; rounds--)
        hostile_round(board, false);
    devices_give(board);
    if (hostile_chance(board, 1))
        devices_ask_too_much(board);
    if (hostile_below(board, board->real ? 2000 : 300) == 0)
        devices_change(board);
    if (hostile_chance(board, 70))
        hostile_demand(board, 8 * board->burst);
    for (uint64_t rounds = hostile_below(board, 2); rounds > 0; rounds--)
        hostile_round(board, false);
    device = devices_next(board);
    device_take(board, device);
    if (board->guarded && board->demand)
        hostile_sample(board, &board->sums->idle_step, &board->sums->lent_step);
}

void hostile_devices_end(struct hostile *board)
{
    for (uint32_t i = 0; i < board->ndevices; i++) {
        struct hostile_device *device = &board->devices[i];

        device_give_all(board, device);
        if (board->guarded && device->admitted)
            device_revoke(board, device);
    }
}

/* --- what must hold ------------------------------------------------------------------------ */

void hostile_sample(struct hostile *board, uint64_t *idle, uint64_t *lent)
{
    struct cma_slot_info info;
    bool checking = board->checking;

    board->checking = true; /* one moment */
    for (uint32_t i = 0; cma_guarantees_slot(&board->guarantees, i, &info) == 0; i++) {
        const struct hostile_area *area =
            &board->areas[board->places[hostile_frame(board, info.pfn)] - 2];

        /* An area that lends nothing lends no slots. */
        if (info.out || info.returning || area->area.lend_class == CMA_LEND_NONE)
            continue;
        *idle += info.npages;
        *lent += info.lent_npages;
    }
    board->checking = checking;
}

/* The highest zone that a mover reaches the whole of. */
static uint32_t check_zone(const struct hostile *board, const struct hostile_mover *mover)
{
    uint32_t zone = board->nzones;

    while (zone > 0 && board->zones[zone - 1].last > mover->mover.paddr_last)
        zone--;
    return zone - 1; /* UINT32_MAX: none */
}

static uint32_t check_slot(struct hostile *board, const struct cma_slot_info *info, uint64_t *kept)
{
    uint32_t first = hostile_frame(board, info->pfn), nkept = 0, nlent = 0;

    for (uint32_t i = first; i < first + info->npages; i++) {
        uint32_t owner = board->owners[i];
        const struct hostile_item *item = &board->items[owner - 1];
        const struct hostile_mover *mover;

        if (owner == 0 || (owner & HOSTILE_OWNER) != 0) {
            HOSTILE_REQUIRE(board, owner == 0 || info->out || info->returning,
                            "%#x has frame %u, in a slot that is nobody's", owner, i);
            continue;
        }
        mover = &board->movers[item->mover];
        HOSTILE_REQUIRE(board, item->list == HOSTILE_MOVABLE || item->list == HOSTILE_DROPPABLE,
                        "frame %u of a slot is unmovable", i);
        HOSTILE_REQUIRE(board, !info->out && !info->returning,
                        "frame %u is in a device's hands and has data", i);
        HOSTILE_REQUIRE(board, mover->mover.flags == 0 && item->pins == 0 && item->refs == 0,
                        "frame %u of a slot: its mover has flags %u, %u pins, %u references", i,
                        mover->mover.flags, item->pins, item->refs);
        nlent++;
        if (item->list == HOSTILE_MOVABLE) {
            uint32_t zone = check_zone(board, mover);

            HOSTILE_REQUIRE(board, zone < board->nzones,
                            "frame %u of a slot is kept, and may go nowhere", i);
            kept[zone]++;
            nkept++;
        }
    }
    HOSTILE_REQUIRE(board, nlent == info->lent_npages && nkept == info->kept_npages,
                    "the slot at frame %u lends %u frames, %u kept; it says %llu, %llu", first,
                    nlent, nkept, (unsigned long long)info->lent_npages,
                    (unsigned long long)info->kept_npages);
    return nkept;
}

/* K(z) <= F(z), from what the board knows. */
static void check_slots(struct hostile *board)
{
    struct cma_slot_info info;
    struct cma_pages_stats stats;
    uint64_t kept[CMA_ZONES_MAX] = {0}, k = 0, f = 0, total = 0;
    cma_pfn_t last = 0;

    for (uint32_t i = 0; cma_guarantees_slot(&board->guarantees, i, &info) == 0; i++) {
        HOSTILE_REQUIRE(board, i == 0 || info.pfn > last, "two slots share a frame");
        last = info.pfn + (info.npages - 1);
        total += check_slot(board, &info, kept);
    }
    if (total > board->sums->kept_max)
        board->sums->kept_max = total;
    cma_pages_stats(&board->pages, &stats);
    for (uint32_t z = 0; z < board->nzones; z++) {
        k += kept[z];
        f += stats.zone_idle_npages[z];
        HOSTILE_REQUIRE(board, k <= f,
                        "%llu kept frames of slots need zones up to %u, where %llu are idle",
                        (unsigned long long)k, z, (unsigned long long)f);
    }
}

static void check_frames(struct hostile *board)
{
    for (uint32_t i = 0; i < board->nframes; i++) {
        static const enum cma_kind kinds[] = {CMA_KIND_NONE, CMA_KIND_UNMOVABLE, CMA_KIND_MOVABLE,
                                              CMA_KIND_DROPPABLE, CMA_KIND_NONE};
        uint32_t owner = board->owners[i];
        struct cma_frame_info info;
        const struct hostile_item *item;

        if (owner == 0 || (owner & HOSTILE_OWNER) != 0)
            continue;
        item = &board->items[owner - 1];
        HOSTILE_REQUIRE(board, cma_frame_info(&board->table, hostile_pfn(board, i), &info) == 0,
                        "frame %u is not tracked", i);
        HOSTILE_REQUIRE(board,
                        !info.idle && info.kind == kinds[item->list] && !info.frozen &&
                            info.pins == item->pins && info.refs == item->refs &&
                            (item->npages > 1 || info.cookie == owner - 1),
                        "frame %u, of list %u: %s%s, %u pins, %u references, cookie %#x", i,
                        item->list, cma_kind_name(info.kind), info.idle ? ", idle" : "", info.pins,
                        info.refs, info.cookie);
    }
}

void hostile_check(struct hostile *board)
{
    struct cma_violation violation = {NULL, CMA_PFN_NONE};
    bool busy = false;

    board->checking = true;
    board->sums->checks++;
    for (uint32_t i = 0; i < HOSTILE_CLAIMS_MAX; i++)
        busy |= board->claims[i].running;
    HOSTILE_REQUIRE(board, cma_frames_check(&board->table, busy, &violation), "frame %llu: %s",
                    (unsigned long long)(violation.pfn - board->base), violation.what);
    for (uint32_t i = 0; i < board->nareas; i++)
        HOSTILE_REQUIRE(board, cma_area_check(&board->areas[i].area, &violation),
                        "area %u, frame %llu: %s", i,
                        (unsigned long long)(violation.pfn - board->base), violation.what);
    HOSTILE_REQUIRE(board, cma_guarantees_check(&board->guarantees, &violation),
                    "guarantees, frame %llu: %s", (unsigned long long)(violation.pfn - board->base),
                    violation.what);
    if (board->guarded)
        check_slots(board);
    check_frames(board);
    board->checking = false;
}
