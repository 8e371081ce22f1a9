/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mixes.c - what is asked for, and one step of a load
 *
 *   single  one page
 *   camera  512 to 2048 pages (2 to 8 MiB)
 *   mixed   20 % 1 to 16 pages (descriptors, small rings), 30 % 16 to 1023 (codecs), 35 % camera,
 *           15 % displays: 2025 pages (1080p) or, in areas above 64 MiB, one in three 8100 (4K)
 */
#include "bench.h"

const char *const mix_names[MIX_COUNT] = {"single", "camera", "mixed"};

uint32_t mix_request(struct random *random, enum mix mix, uint64_t area_npages)
{
    uint64_t part;

    if (mix == MIX_SINGLE) {
        return 1;
    }
    if (mix == MIX_CAMERA) {
        return 512 + (uint32_t)random_below(random, 1537);
    }
    part = random_below(random, 100);
    if (part < 20) {
        return 1 + (uint32_t)random_below(random, 16);
    }
    if (part < 50) {
        uint32_t order = 4 + (uint32_t)random_below(random, 6);

        return (1u << order) + (uint32_t)random_below(random, 1u << order);
    }
    if (part < 85) {
        return 512 + (uint32_t)random_below(random, 1537);
    }
    return part < 95 || area_npages <= 16384 ? 2025 : 8100;
}

uint64_t mix_align_nbytes(uint32_t npages)
{
    uint32_t order = npages <= 1 ? 0 : 32 - (uint32_t)__builtin_clz(npages - 1);

    return (uint64_t)PEER_PAGE_NBYTES << (order > 8 ? 8 : order);
}

void live_init(struct live *live, uint64_t room)
{
    *live = (struct live){.room = room};
    live->buffers = bench_memory(room * sizeof(*live->buffers));
}

void live_free(struct live *live)
{
    bench_memory_free(live->buffers, live->room * sizeof(*live->buffers));
}

/* --- loads --------------------------------------------------------------------------------- */

static void load_release(struct load *load, uint64_t index)
{
    struct buffer buffer = live_take(&load->live, index);

    load->peer->release(load->self, buffer.handle, (uint64_t)buffer.npages << PEER_PAGE_SHIFT);
}

static void load_release_timed(struct load *load, struct samples *releases)
{
    struct buffer buffer = live_take(&load->live, random_below(&load->random, load->live.n));
    uint64_t nbytes = (uint64_t)buffer.npages << PEER_PAGE_SHIFT;
    uint64_t begin = clock_begin();

    load->peer->release(load->self, buffer.handle, nbytes);
    samples_add(releases, clock_end() - begin);
}

void load_step(struct load *load)
{
    struct live *live = &load->live;
    uint32_t npages = mix_request(&load->random, load->mix, load->area_npages);
    uint64_t handle;

    while (live->n && live->used_npages + npages > load->target_npages) {
        load_release(load, random_below(&load->random, live->n));
    }
    handle = load->peer->alloc(load->self, (uint64_t)npages << PEER_PAGE_SHIFT,
                               mix_align_nbytes(npages));
    if (handle != PEER_FAIL) {
        live_put(live, handle, npages);
    } else {
        load->fails++;
        if (live->n) {
            load_release(load, random_below(&load->random, live->n));
        }
    }
}

void load_step_timed(struct load *load, struct samples *allocs, struct samples *releases)
{
    struct live *live = &load->live;
    uint32_t npages = mix_request(&load->random, load->mix, load->area_npages);
    uint64_t nbytes = (uint64_t)npages << PEER_PAGE_SHIFT, align = mix_align_nbytes(npages);
    uint64_t begin, handle;

    while (live->n && live->used_npages + npages > load->target_npages) {
        load_release_timed(load, releases);
    }
    begin = clock_begin();
    handle = load->peer->alloc(load->self, nbytes, align);
    samples_add(allocs, clock_end() - begin);
    if (handle != PEER_FAIL) {
        live_put(live, handle, npages);
    } else {
        load->fails++;
        if (live->n) {
            load_release_timed(load, releases);
        }
    }
    load->used_sum += (double)live->used_npages;
}

/*
 * Linux's first fit, asked page by page, fills an area without a hole, and at 256 GiB it would take
 * hours for it. A peer that can give back parts gets there by asking for 4 MiB (or a 1,024th of the
 * area) at a time and taking that for single pages: the same pages are in use then.
 */
static void load_fill_split(struct load *load)
{
    uint64_t part = load->area_npages / 1024 > 1024 ? load->area_npages / 1024 : 1024;
    struct live *live = &load->live;

    while (live->used_npages < load->target_npages) {
        uint64_t npages = load->target_npages - live->used_npages;
        uint64_t handle;

        npages = npages < part ? npages : part;
        handle = load->peer->alloc(load->self, npages << PEER_PAGE_SHIFT, PEER_PAGE_NBYTES);
        if (handle == PEER_FAIL) {
            break;
        }
        for (uint64_t i = 0; i < npages; i++) {
            live_put(live, handle + (i << PEER_PAGE_SHIFT), 1);
        }
    }
}

void load_fill(struct load *load)
{
    struct live *live = &load->live;
    int misses = 0;

    if (load->mix == MIX_SINGLE && (load->peer->flags & PEER_SPLIT)) {
        load_fill_split(load);
    }
    while (live->used_npages < load->target_npages && misses < 50) {
        uint32_t npages = mix_request(&load->random, load->mix, load->area_npages);
        uint64_t handle = PEER_FAIL;

        if (live->used_npages + npages <= load->target_npages) {
            handle = load->peer->alloc(load->self, (uint64_t)npages << PEER_PAGE_SHIFT,
                                       mix_align_nbytes(npages));
        }
        if (handle == PEER_FAIL) {
            misses++;
        } else {
            live_put(live, handle, npages);
        }
    }
}

void load_release_all(struct load *load)
{
    while (load->live.n) {
        load_release(load, load->live.n - 1);
    }
}
