/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run_linux.c - `cma run --policy linux`: Linux's choices, carried out through libcma's public
 * calls
 *
 * policy_linux.c decides where; here is what it decides about. A window is emptied piece by piece:
 * each piece is claimed at its place, with CMA_CLAIM_NOWAIT, so that what lies in it is really
 * dropped or copied before it is known whether the rest can be had. When a page of the window does
 * not leave, the pieces are released again and what moved stays moved. When all have left, the
 * pieces are released and the window is taken at once, through a device that sees nothing but this
 * window, so that all that follows (zeroes, caches, attributes, the driver's use) is the same code
 * and the same simulated time as under libcma.
 *
 * What costs Linux time and is not in the table of costs is left out, in Linux's favour: draining
 * the per-processor lists and disabling their caches for each window, isolating page blocks. A page
 * that does not move costs ten times an unmapping and mapping again in each try, which is also the
 * time in which a short reference may end.
 */
#include "policy_linux.h"
#include "run.h"

#include <stdlib.h>

#define LINUX_OWNER UINT32_MAX /* of pieces; devices count from 1 */
#define LINUX_WAIT_NS 10000u   /* for the area's allocation mutex, between two looks */
#define LINUX_PASS_NS 2200u    /* unmap (400), flush (1,500), map again (300): costs.c */

struct linux_piece {
    cma_pfn_t pfn;
    uint64_t npages;
};

struct run_linux {
    struct policy_linux policy;
    bool busy; /* the mutex that Linux holds while it empties a window */
};

/* One request. */
struct linux_attempt {
    struct run_device *device;
    struct run_buffer *buffer;
    struct linux_piece *pieces;
    uint64_t npieces;
    uint8_t *mine; /* by page of the window: in one of the pieces */
    uint64_t window;
    uint64_t copied; /* by this fibre, when the window was begun */
    cma_pfn_t obstacle;
    bool unreachable;
};

static cma_pfn_t linux_area_pfn(const struct linux_attempt *attempt)
{
    return attempt->device->area->linux_policy->policy.first_pfn;
}

static cma_pfn_t linux_pfn(const struct linux_attempt *attempt, uint64_t page)
{
    return linux_area_pfn(attempt) + page;
}

/* --- pieces --------------------------------------------------------------------------------- */

/* Claims the pages [first, last] of the area and nothing else. */
static int linux_claim(struct linux_attempt *attempt, uint64_t first, uint64_t last,
                       struct cma_refusal *refusal)
{
    uint32_t shift = attempt->device->run->board.page_shift;
    struct cma_area_request request = {
        .npages = last - first + 1,
        .paddr_first = linux_pfn(attempt, first) << shift,
        .paddr_last = ((linux_pfn(attempt, last) + 1) << shift) - 1,
        .owner = LINUX_OWNER,
        .flags = CMA_CLAIM_NOWAIT,
    };
    cma_pfn_t pfn;
    int error = cma_area_alloc(attempt->device->area->area, &request, &pfn, refusal);

    if (error != 0)
        return error;
    attempt->pieces[attempt->npieces++] = (struct linux_piece){pfn, request.npages};
    for (uint64_t page = first; page <= last; page++)
        attempt->mine[page - attempt->window] = 1;
    return 0;
}

static void linux_release_pieces(struct linux_attempt *attempt)
{
    for (uint64_t i = 0; i < attempt->npieces; i++) {
        const struct linux_piece *piece = &attempt->pieces[i];

        if (cma_area_release(attempt->device->area->area, piece->pfn, piece->npages, LINUX_OWNER) !=
            0)
            attempt->device->run->result.violation = "a piece of a window could not be released";
    }
    free(attempt->pieces);
    free(attempt->mine);
    attempt->pieces = NULL;
    attempt->mine = NULL;
}

/* Claims of [first, last] what can be had. Returns how many pages stay, or LINUX_ENOMEM. */
static int64_t linux_claim_most(struct linux_attempt *attempt, uint64_t first, uint64_t last)
{
    int64_t stay = 0;

    while (first <= last) {
        struct cma_refusal refusal = {.pfn = CMA_PFN_NONE};
        uint64_t end = last, at;
        int error;

        while ((error = linux_claim(attempt, first, end, &refusal)) != 0) {
            if (refusal.reason == CMA_REASON_NO_ROOM)
                return LINUX_ENOMEM;
            at = refusal.pfn - linux_area_pfn(attempt);
            at = refusal.pfn != CMA_PFN_NONE && at >= first && at <= end ? at : first;
            attempt->obstacle = linux_pfn(attempt, at);
            if (at == first)
                break;
            end = at - 1;
        }
        stay += error != 0;
        first = error != 0 ? first + 1 : end + 1;
    }
    return stay;
}

/* --- what the policy calls ------------------------------------------------------------------ */

static bool linux_used(void *ctx, uint64_t page)
{
    struct linux_attempt *attempt = ctx;
    struct cma_frame_info info;

    return cma_frame_info(&attempt->device->run->system.frames, linux_pfn(attempt, page), &info) ==
               0 &&
           (info.kind == CMA_KIND_MOVABLE || info.kind == CMA_KIND_DROPPABLE);
}

/* The pages of [first, last] that are not ours yet, run by run. */
static int64_t linux_sweep(struct linux_attempt *attempt, uint64_t first, uint64_t last, bool idle)
{
    int64_t stay = 0;

    for (uint64_t page = first; page <= last;) {
        uint64_t after = page;

        while (after <= last && attempt->mine[after - attempt->window] == 0 &&
               (!idle || !linux_used(attempt, after)))
            after++;
        if (after != page) {
            int64_t more = linux_claim_most(attempt, page, after - 1);

            if (more < 0)
                return more;
            stay += more;
        }
        page = after != page ? after : page + 1;
    }
    return stay;
}

/* What is idle in the window stays so: Linux takes its page blocks out of the allocator. */
static void linux_begin(void *ctx, uint64_t first, uint64_t npages)
{
    struct linux_attempt *attempt = ctx;
    struct run *run = attempt->device->run;
    struct run_linux *area = attempt->device->area->linux_policy;

    while (area->busy)
        sim_sleep_ns(run->sim, LINUX_WAIT_NS);
    area->busy = true;
    attempt->pieces = run_calloc(npages, sizeof(*attempt->pieces));
    attempt->mine = run_calloc(npages, 1);
    attempt->npieces = 0;
    attempt->window = first;
    attempt->copied = sim_self_copied_pages(run->sim);
    run->result.windows++;
    linux_sweep(attempt, first, first + (npages - 1), true);
}

static int64_t linux_migrate(void *ctx, uint64_t first, uint64_t npages)
{
    struct linux_attempt *attempt = ctx;
    int64_t stay = linux_sweep(attempt, first, first + (npages - 1), false);

    if (stay > 0)
        sim_spend_ns(attempt->device->run->sim, (uint64_t)stay * LINUX_PASSES * LINUX_PASS_NS);
    return stay;
}

/* The window is empty: makes it the device's. */
static int linux_take(struct linux_attempt *attempt, uint64_t first, uint64_t npages)
{
    struct run_device *device = attempt->device;
    struct run_buffer *buffer = attempt->buffer;
    uint32_t shift = device->run->board.page_shift;
    cma_paddr_t paddr = linux_pfn(attempt, first) << shift;
    struct cma_device_config config = device->dma.config;
    struct cma_coherent_request request = {
        .nbytes = device->picture_nbytes,
        .flags = CMA_CLAIM_NOWAIT,
    };
    struct cma_refusal refusal;
    cma_daddr_t daddr;

    /* Linux looks at the device's reach when it has the buffer, and gives it back. */
    if (cma_device_to_bus(&device->dma, paddr, npages << shift, config.coherent_mask, &daddr) !=
        0) {
        attempt->unreachable = true;
        return 0;
    }
    buffer->window = (struct cma_bus_window){daddr, paddr, npages << shift};
    config.windows = &buffer->window;
    config.nwindows = 1;
    if (cma_device_init(&buffer->dma, device->dma.dma, &config) != 0)
        return LINUX_EBUSY;
    return cma_dma_alloc_coherent(&buffer->dma, &request, &buffer->memory, &refusal) != 0
               ? LINUX_EBUSY
               : 0;
}

static int linux_end(void *ctx, uint64_t first, uint64_t npages, int error)
{
    struct linux_attempt *attempt = ctx;
    struct run *run = attempt->device->run;

    linux_release_pieces(attempt);
    attempt->device->area->linux_policy->busy = false;
    if (error == 0) {
        error = linux_take(attempt, first, npages);
        run->result.windows_lost += error != 0;
    }
    if (error != 0) {
        run->result.windows_left++;
        run->result.wasted_copies += sim_self_copied_pages(run->sim) - attempt->copied;
    }
    return error;
}

/* --- for run_stream.c ----------------------------------------------------------------------- */

void run_linux_boot(struct run *run)
{
    for (uint32_t i = 0; i < run->nareas; i++) {
        struct run_area *area = &run->areas[i];
        struct cma_area_stats stats;
        uint64_t page = 1ull << run->board.page_shift;

        cma_area_stats(area->area, &stats);
        area->linux_policy = run_calloc(1, sizeof(*area->linux_policy));
        if (policy_linux_init(&area->linux_policy->policy,
                              (area->range->base + (page - 1)) >> run->board.page_shift,
                              stats.npages) != 0)
            run_die("not enough memory");
    }
}

void run_linux_free(struct run *run)
{
    for (uint32_t i = 0; i < run->nareas; i++)
        if (run->areas[i].linux_policy != NULL) {
            policy_linux_free(&run->areas[i].linux_policy->policy);
            free(run->areas[i].linux_policy);
        }
}

int run_linux_ask(struct run_device *device, struct run_buffer *buffer, struct cma_refusal *refusal)
{
    struct policy_linux *policy = &device->area->linux_policy->policy;
    struct linux_attempt attempt = {
        .device = device,
        .buffer = buffer,
        .obstacle = CMA_PFN_NONE,
    };
    const struct linux_memory memory = {
        .ctx = &attempt,
        .begin = linux_begin,
        .used = linux_used,
        .migrate = linux_migrate,
        .end = linux_end,
    };
    uint64_t npages = device->picture_npages;
    int error = policy_linux_alloc(policy, &memory, npages, policy_linux_order(npages),
                                   &buffer->linux_page);

    if (error == 0 && !attempt.unreachable)
        return 0;
    *refusal = (struct cma_refusal){
        .code = error == LINUX_ENOMEM ? CMA_ENOMEM : CMA_EBUSY,
        .reason = error == LINUX_ENOMEM              ? CMA_REASON_NO_ROOM
                  : attempt.obstacle == CMA_PFN_NONE ? CMA_REASON_CLAIMED
                                                     : CMA_REASON_HELD,
        .pfn = attempt.obstacle,
    };
    if (error == 0) {
        policy_linux_release(policy, buffer->linux_page, npages);
        refusal->code = CMA_ENOMEM;
        refusal->reason = CMA_REASON_UNREACHABLE;
        refusal->pfn = CMA_PFN_NONE;
    }
    return refusal->code;
}

int run_linux_give_back(struct run_device *device, struct run_buffer *buffer)
{
    int error = cma_dma_free_coherent(&buffer->dma, &buffer->memory);

    if (error == 0)
        policy_linux_release(&device->area->linux_policy->policy, buffer->linux_page,
                             device->picture_npages);
    return error;
}
