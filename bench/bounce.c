/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bounce.c - mappings of one length in a pool that others keep so and so full
 *
 * The others: 40 % of 2 KiB, 30 % of 4 KiB, 15 % of 16 KiB, 15 % of 64 KiB. They come and go 40,000
 * times, then once between two mappings that are timed; a mapping is ended at once. Without data
 * nobody copies or zeroes: what is left is the search. With data both copy at map, and libcma
 * zeroes at unmap, which Linux doesn't.
 */
#include "bench.h"

#define BOUNCE_MIX_STEPS 40000u
#define BOUNCE_STEPS 20000u

static uint32_t bounce_other(struct random *random)
{
    uint64_t sort = random_below(random, 100);

    return sort < 40 ? 2048 : sort < 70 ? 4096 : sort < 85 ? 16384 : 65536;
}

/* One of the others comes, and as many go as make room for it. Here live.used_npages are bytes. */
static void bounce_step(struct load *load)
{
    uint32_t nbytes = bounce_other(&load->random);
    uint64_t handle;

    while (load->live.n != 0 && load->live.used_npages + nbytes > load->target_npages) {
        struct buffer gone = live_take(&load->live, random_below(&load->random, load->live.n));

        load->peer->release(load->self, gone.handle, gone.npages);
    }
    handle = load->peer->alloc(load->self, nbytes, 1);
    load->fails += handle == PEER_FAIL;
    if (handle != PEER_FAIL) {
        live_put(&load->live, handle, nbytes);
    }
}

static void bounce_cell(struct load *load, uint64_t nbytes, uint64_t steps, struct samples *maps,
                        struct samples *unmaps, uint64_t *fails)
{
    samples_clear(maps);
    samples_clear(unmaps);
    *fails = 0;
    for (uint64_t i = 0; i < steps; i++) {
        uint64_t ticks = clock_begin();
        uint64_t handle = load->peer->alloc(load->self, nbytes, 1);

        samples_add(maps, clock_end() - ticks);
        if (handle == PEER_FAIL) {
            ++*fails;
        } else {
            ticks = clock_begin();
            load->peer->release(load->self, handle, nbytes);
            samples_add(unmaps, clock_end() - ticks);
        }
        bounce_step(load);
    }
}

static void bounce_peer(const struct peer *peer, const struct options *options, uint64_t mib,
                        uint32_t percent, bool data, int repetition)
{
    static const uint64_t lengths[] = {2048, 4096, 16384, 65536, 131072, 262144};
    struct peer_config config = {.area_nbytes = mib << 20, .nthreads = 1, .touch = data};
    struct load load = {.peer = peer,
                        .random = {5 + (uint64_t)repetition},
                        .target_npages = (mib << 20) / 100 * percent};
    struct samples maps = {0}, unmaps = {0};
    uint64_t fails;

    load.self = peer->create(&config);
    if (!load.self) {
        bench_die("no pool", peer->name);
    }
    live_init(&load.live, (mib << 20) / 2048);
    for (uint32_t i = 0; i < BOUNCE_MIX_STEPS; i++) {
        bounce_step(&load);
    }
    for (uint32_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct quantiles map, unmap;
        uint64_t steps = options->steps ? options->steps : BOUNCE_STEPS;

        bounce_cell(&load, lengths[i], steps, &maps, &unmaps, &fails);
        map = samples_quantiles(&maps);
        unmap = samples_quantiles(&unmaps);
        output_begin("bounce", peer, repetition);
        output_count("mib", mib);
        output_count("occupancy", percent);
        output_count("nbytes", lengths[i]);
        output_text("data", data ? "copied" : "none");
        output_quantiles("map", &map);
        if (fails < steps) {
            output_quantiles("unmap", &unmap);
        }
        output_number("both", fails < steps ? map.median + unmap.median : 0);
        output_number("fails_percent", 100.0 * (double)fails / (double)steps);
        output_count("others_refused", load.fails);
        output_end();
    }
    while (load.live.n != 0) {
        struct buffer gone = live_take(&load.live, load.live.n - 1);

        peer->release(load.self, gone.handle, gone.npages);
    }
    live_free(&load.live);
    samples_free(&maps);
    samples_free(&unmaps);
    peer->destroy(load.self);
}

int bounce_cells(const struct options *options)
{
    for (uint32_t repetition = 0; repetition < options->repetitions; repetition++) {
        for (uint32_t cell = 0; cell < options->noccupancies * 2; cell++) {
            for (uint32_t p = 0; p < options->npeers; p++) {
                if (options->peers[p]->flags & PEER_BOUNCE) {
                    bounce_peer(options->peers[p], options, options->mib[0],
                                options->occupancy[cell / 2], cell % 2 != 0,
                                (int)(options->first_repetition + repetition));
                }
            }
        }
    }
    return 0;
}
