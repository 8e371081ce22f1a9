/* SPDX-License-Identifier: BSD-2-Clause */
/* check.c - is a peer right at all: no overlap, in bounds, aligned, and nothing lost at the end */
#include "bench.h"

#include <string.h>

#define CHECK_STEPS 40000u

struct check {
    struct load load;
    uint8_t *used;
    uint64_t allocs, overlaps, outside, misaligned;
};

static void check_release(struct check *check, uint64_t index)
{
    struct buffer buffer = live_take(&check->load.live, index);

    memset(check->used + (buffer.handle >> PEER_PAGE_SHIFT), 0, buffer.npages);
    check->load.peer->release(check->load.self, buffer.handle,
                              (uint64_t)buffer.npages << PEER_PAGE_SHIFT);
}

static void check_step(struct check *check)
{
    struct load *load = &check->load;
    uint32_t npages = mix_request(&load->random, load->mix, load->area_npages);
    uint64_t align = mix_align_nbytes(npages), handle, first;

    while (load->live.n && load->live.used_npages + npages > load->target_npages) {
        check_release(check, random_below(&load->random, load->live.n));
    }
    handle = load->peer->alloc(load->self, (uint64_t)npages << PEER_PAGE_SHIFT, align);
    if (handle == PEER_FAIL) {
        load->fails++;
        if (load->live.n) {
            check_release(check, random_below(&load->random, load->live.n));
        }
        return;
    }
    check->allocs++;
    check->misaligned += (handle & (align - 1)) != 0;
    first = handle >> PEER_PAGE_SHIFT;
    if (first > load->area_npages || npages > load->area_npages - first) {
        check->outside++;
        return;
    }
    check->overlaps += memchr(check->used + first, 1, npages) != NULL;
    memset(check->used + first, 1, npages);
    live_put(&load->live, handle, npages);
}

static int check_cell(const struct peer *peer, uint64_t mib, enum mix mix, uint64_t steps)
{
    struct peer_config config = {.area_nbytes = mib << 20, .nthreads = 1};
    struct check check = {.load = {.peer = peer,
                                   .self = peer->create(&config),
                                   .mix = mix,
                                   .random = {11},
                                   .area_npages = mib << 8,
                                   .target_npages = (mib << 8) * 8 / 10}};
    uint64_t npages = mib << 8, single = 0;
    int wrong;

    if (!check.load.self) {
        return 1;
    }
    check.used = bench_memory(npages);
    live_init(&check.load.live, npages + 16);
    for (uint64_t i = 0; i < steps; i++) {
        check_step(&check);
    }
    while (check.load.live.n) {
        check_release(&check, check.load.live.n - 1);
    }
    while (single < npages &&
           peer->alloc(check.load.self, PEER_PAGE_NBYTES, PEER_PAGE_NBYTES) != PEER_FAIL) {
        single++;
    }
    wrong = check.overlaps || check.outside || check.misaligned || single != npages;
    output_begin("check", peer, 0);
    output_text("mix", mix_names[mix]);
    output_count("allocs", check.allocs);
    output_count("fails", check.load.fails);
    output_count("overlaps", check.overlaps);
    output_count("outside", check.outside);
    output_count("misaligned", check.misaligned);
    output_count("lost", npages - single);
    output_text("result", wrong ? "WRONG" : "right");
    output_end();
    live_free(&check.load.live);
    bench_memory_free(check.used, npages);
    peer->destroy(check.load.self);
    return wrong;
}

int check_cells(const struct options *options)
{
    int wrong = 0;

    for (uint32_t p = 0; p < options->npeers; p++) {
        const struct peer *peer = options->peers[p];

        if (!(peer->flags & (PEER_AREA | PEER_COHERENT)) || (peer->flags & PEER_HEAP)) {
            continue;
        }
        for (uint32_t m = 0; m < MIX_COUNT; m++) {
            if (options->mixes[m]) {
                wrong |= check_cell(peer, options->nmib ? options->mib[0] : 64, (enum mix)m,
                                    options->steps ? options->steps : CHECK_STEPS);
            }
        }
    }
    return wrong;
}
