/* SPDX-License-Identifier: BSD-2-Clause */
/* linux_area.c - what Linux's policy decides about, carried out through libcma's public calls */
#include "linux_area.h"

#include <stdio.h>
#include <stdlib.h>

#define LINUX_OWNER UINT32_MAX /* of pieces; devices count from 1 */
#define LINUX_WAIT_NS 10000u   /* for the area's allocation mutex, between two looks */
#define LINUX_PASS_NS 2200u    /* unmap (400), flush (1,500), map again (300): costs.c */

struct linux_piece {
    cma_pfn_t pfn;
    uint64_t npages;
};

/* One request. */
struct linux_attempt {
    struct linux_area *area;
    struct linux_request *request;
    struct linux_piece *pieces;
    uint64_t npieces;
    uint8_t *mine; /* by page of the window: in one of the pieces */
    uint64_t window;
    uint64_t copied; /* by this fibre, when the window was begun */
};

static void *linux_calloc(uint64_t count, size_t nbytes)
{
    void *memory = calloc(count, nbytes);

    if (memory == NULL) {
        fputs("cma: not enough memory\n", stderr);
        exit(2);
    }
    return memory;
}

static cma_pfn_t linux_pfn(const struct linux_attempt *attempt, uint64_t page)
{
    return attempt->area->policy.first_pfn + page;
}

/* --- pieces --------------------------------------------------------------------------------- */

/* Claims the pages [first, last] of the area and nothing else. */
static int linux_claim(struct linux_attempt *attempt, uint64_t first, uint64_t last,
                       struct cma_refusal *refusal)
{
    uint32_t shift = attempt->area->page_shift;
    struct cma_area_request request = {
        .npages = last - first + 1,
        .paddr_first = linux_pfn(attempt, first) << shift,
        .paddr_last = ((linux_pfn(attempt, last) + 1) << shift) - 1,
        .owner = LINUX_OWNER,
        .flags = CMA_CLAIM_NOWAIT,
    };
    cma_pfn_t pfn;
    int error = cma_area_alloc(attempt->area->area, &request, &pfn, refusal);

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

        if (cma_area_release(attempt->area->area, piece->pfn, piece->npages, LINUX_OWNER) != 0)
            attempt->area->violation = "a piece of a window could not be released";
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
            at = refusal.pfn - linux_pfn(attempt, 0);
            at = refusal.pfn != CMA_PFN_NONE && at >= first && at <= end ? at : first;
            attempt->request->obstacle = linux_pfn(attempt, at);
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

    return cma_frame_info(attempt->area->frames, linux_pfn(attempt, page), &info) == 0 &&
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
    struct linux_area *area = attempt->area;

    while (area->busy)
        sim_sleep_ns(area->sim, LINUX_WAIT_NS);
    area->busy = true;
    attempt->pieces = linux_calloc(npages, sizeof(*attempt->pieces));
    attempt->mine = linux_calloc(npages, 1);
    attempt->npieces = 0;
    attempt->window = first;
    attempt->copied = sim_self_copied_pages(area->sim);
    area->windows++;
    linux_sweep(attempt, first, first + (npages - 1), true);
}

static int64_t linux_migrate(void *ctx, uint64_t first, uint64_t npages)
{
    struct linux_attempt *attempt = ctx;
    int64_t stay = linux_sweep(attempt, first, first + (npages - 1), false);

    if (stay > 0)
        sim_spend_ns(attempt->area->sim, (uint64_t)stay * LINUX_PASSES * LINUX_PASS_NS);
    return stay;
}

static int linux_end(void *ctx, uint64_t first, uint64_t npages, int error)
{
    struct linux_attempt *attempt = ctx;
    struct linux_area *area = attempt->area;

    linux_release_pieces(attempt);
    area->busy = false;
    if (error == 0) {
        error = attempt->request->take(attempt->request->ctx, first, npages);
        area->windows_lost += error != 0;
    }
    if (error != 0) {
        area->windows_left++;
        area->wasted_copies += sim_self_copied_pages(area->sim) - attempt->copied;
    }
    return error;
}

/* --- for others ----------------------------------------------------------------------------- */

int linux_area_init(struct linux_area *area, struct sim *sim, struct cma_frames *frames,
                    struct cma_area *memory, cma_pfn_t pfn, uint32_t page_shift)
{
    struct cma_area_stats stats;

    cma_area_stats(memory, &stats);
    *area =
        (struct linux_area){.sim = sim, .frames = frames, .area = memory, .page_shift = page_shift};
    return policy_linux_init(&area->policy, pfn, stats.npages);
}

void linux_area_free(struct linux_area *area)
{
    policy_linux_free(&area->policy);
}

int linux_area_alloc(struct linux_area *area, struct linux_request *request)
{
    struct linux_attempt attempt = {.area = area, .request = request};
    const struct linux_memory memory = {
        .ctx = &attempt,
        .begin = linux_begin,
        .used = linux_used,
        .migrate = linux_migrate,
        .end = linux_end,
    };

    request->obstacle = CMA_PFN_NONE;
    return policy_linux_alloc(&area->policy, &memory, request->npages, request->order,
                              &request->page);
}
