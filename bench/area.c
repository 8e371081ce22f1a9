/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * area.c - what a request and a release cost, and how much of an area can be used
 *
 * A cell: fill to the target, stir, measure single calls, then measure whole steps without a look
 * at the clock. Every peer does the same number of steps in a cell, and the peers of a cell come
 * one after the other before the next repetition begins, so that ratios are taken between runs that
 * are a few seconds apart.
 */
#include "bench.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What the slowest peer (Linux at 256 GiB: about 0.3 and 0.7 ms a request) does in seconds. */
static const struct plan {
    uint64_t mib, stir, single_steps, steps;
} plans[] = {
    {64, 20000, 100000, 50000},
    {1024, 20000, 50000, 30000},
    {16384, 8000, 10000, 10000},
    {262144, 4000, 1500, 3000},
};

static const struct plan *area_plan(uint64_t mib)
{
    size_t i = 0;

    while (i + 1 < sizeof(plans) / sizeof(plans[0]) && plans[i].mib < mib) {
        i++;
    }
    return &plans[i];
}

static bool load_begin(struct load *load, const struct peer *peer, uint64_t mib, enum mix mix,
                       bool touch)
{
    struct peer_config config = {.area_nbytes = mib << 20, .nthreads = 1, .touch = touch};

    *load = (struct load){
        .peer = peer,
        .mix = mix,
        .area_npages = mib << 8,
        .random = {0x1234 + (uint64_t)mix * 77 + mib},
    };
    load->self = peer->create(&config);
    if (!load->self) {
        fprintf(stderr, "bench: %s has no area of %llu MiB\n", peer->name, (unsigned long long)mib);
        return false;
    }
    live_init(&load->live, mix == MIX_SINGLE ? load->area_npages + 16 : load->area_npages / 4 + 64);
    return true;
}

static void load_end(struct load *load)
{
    if (load->peer->flags & PEER_HEAP) {
        load_release_all(load);
    }
    live_free(&load->live);
    load->peer->destroy(load->self);
}

static void area_cell(struct load *load, uint32_t occupancy, const struct options *options,
                      int repetition)
{
    const struct plan *plan = area_plan(load->area_npages >> 8);
    uint64_t steps = load->mix == MIX_SINGLE ? plan->single_steps : plan->steps;
    uint64_t stir = load->mix == MIX_SINGLE ? 1000 : 2 * load->live.n;
    struct samples allocs = {0}, releases = {0};
    struct quantiles alloc, release;
    struct batches batches;
    uint64_t fails;
    double start, fill;

    steps = options->steps ? options->steps : steps;
    load->target_npages = load->area_npages * occupancy / 100;
    start = clock_seconds();
    load_fill(load);
    fill = clock_seconds() - start;
    if (load->mix != MIX_SINGLE) {
        stir = 2 * load->live.n < plan->stir ? 2 * load->live.n : plan->stir;
    }
    for (uint64_t i = 0; i < stir; i++) {
        load_step(load);
    }
    load->fails = 0;
    load->used_sum = 0;
    for (uint64_t i = 0; i < steps; i++) {
        load_step_timed(load, &allocs, &releases);
    }
    fails = load->fails;
    batches_begin(&batches, steps);
    for (uint64_t i = 0; i < steps; i++) {
        load_step(load);
        batches_step(&batches);
    }
    alloc = samples_quantiles(&allocs);
    release = samples_quantiles(&releases);

    output_begin(options->kind, load->peer, repetition);
    output_count("mib", load->area_npages >> 8);
    output_text("mix", mix_names[load->mix]);
    output_count("occupancy", occupancy);
    output_count("touch", options->touch);
    output_number("step", batches_seconds(&batches) * 1e9);
    output_quantiles("alloc", &alloc);
    output_quantiles("release", &release);
    output_count("fails", fails);
    output_number("achieved", 100 * load->used_sum / (double)steps / (double)load->area_npages);
    if (load->peer->used_nbytes) {
        /* Of what is in use, how much nobody has asked for: lost to rounding. */
        uint64_t used = load->peer->used_nbytes(load->self) >> PEER_PAGE_SHIFT;

        output_number("lost_percent", 100 * (1 - (double)load->live.used_npages / (double)used));
    }
    output_number("fill_s", fill);
    output_number("metadata_bytes_a_page",
                  (double)load->peer->metadata_nbytes(load->self) / (double)load->area_npages);
    output_end();
    samples_free(&allocs);
    samples_free(&releases);
}

bool area_wanted(const struct options *options, const struct peer *peer, uint64_t mib)
{
    return (peer->flags & (options->coherent ? PEER_COHERENT : PEER_AREA)) &&
           (!peer->max_nbytes || mib <= peer->max_nbytes >> 20) &&
           (!options->touch || (peer->flags & PEER_TOUCH)) &&
           (options->touch || options->named || !(peer->flags & PEER_LENT));
}

int area_cells(const struct options *options)
{
    for (uint32_t rep = 0; rep < options->repetitions; rep++) {
        for (uint64_t a = 0; a < options->nmib; a++) {
            for (uint32_t m = 0; m < MIX_COUNT; m++) {
                for (uint32_t p = 0; options->mixes[m] && p < options->npeers; p++) {
                    struct load load;

                    if (!area_wanted(options, options->peers[p], options->mib[a]) ||
                        !load_begin(&load, options->peers[p], options->mib[a], (enum mix)m,
                                    options->touch)) {
                        continue;
                    }
                    for (uint32_t o = 0; o < options->noccupancies; o++) {
                        area_cell(&load, options->occupancy[o], options,
                                  (int)(options->first_repetition + rep));
                    }
                    load_end(&load);
                }
            }
        }
    }
    return 0;
}

/* --- packing ------------------------------------------------------------------------------- */

/* What the driver knows to be in use, one byte a page; areas of this cell are small. */
struct oracle {
    uint8_t *used;
    uint64_t npages;
};

static bool oracle_has_run(const struct oracle *oracle, uint64_t npages, uint64_t align)
{
    uint64_t at = 0;

    while (at + npages <= oracle->npages) {
        const uint8_t *first = memchr(oracle->used + at, 1, npages);

        if (!first) {
            return true;
        }
        at = (uint64_t)(first - oracle->used) + 1;
        at = (at + align - 1) & ~(align - 1);
    }
    return false;
}

struct packing {
    struct oracle oracle;
    uint64_t steps, refused, avoidable;
};

static void packing_release(struct load *load, struct packing *packing)
{
    struct buffer buffer = live_take(&load->live, random_below(&load->random, load->live.n));

    memset(packing->oracle.used + (buffer.handle >> PEER_PAGE_SHIFT), 0, buffer.npages);
    load->peer->release(load->self, buffer.handle, (uint64_t)buffer.npages << PEER_PAGE_SHIFT);
}

static void packing_step(struct load *load, struct packing *packing)
{
    uint32_t npages = mix_request(&load->random, load->mix, load->area_npages);
    uint64_t align = mix_align_nbytes(npages), handle;

    while (load->live.n && load->live.used_npages + npages > load->target_npages) {
        packing_release(load, packing);
    }
    handle = load->peer->alloc(load->self, (uint64_t)npages << PEER_PAGE_SHIFT, align);
    if (handle != PEER_FAIL) {
        memset(packing->oracle.used + (handle >> PEER_PAGE_SHIFT), 1, npages);
        live_put(&load->live, handle, npages);
    } else {
        packing->refused++;
        packing->avoidable += oracle_has_run(&packing->oracle, npages, align >> PEER_PAGE_SHIFT);
        if (load->live.n) {
            packing_release(load, packing);
        }
    }
    load->used_sum += (double)load->live.used_npages;
}

/* Achieved occupancy in percent. The first third of the steps brings the area to a steady state. */
static double packing_seed(struct load *load, struct packing *packing, uint64_t steps)
{
    for (uint64_t i = 0; i < steps / 3; i++) {
        packing_step(load, packing);
    }
    packing->refused = packing->avoidable = 0;
    load->used_sum = 0;
    for (uint64_t i = 0; i < steps; i++) {
        packing_step(load, packing);
    }
    packing->steps += steps;
    return 100 * load->used_sum / (double)steps / (double)load->area_npages;
}

static void packing_cell(const struct peer *peer, uint64_t mib, enum mix mix, uint32_t occupancy,
                         const struct options *options)
{
    uint64_t steps = options->steps ? options->steps : 20000;
    struct packing packing = {.oracle = {.npages = mib << 8}};
    uint64_t refused = 0, avoidable = 0;
    double sum = 0, squares = 0;
    uint32_t n = 0;

    packing.oracle.used = bench_memory(mib << 8);
    for (; n < options->seeds; n++) {
        struct load load;
        double value;

        if (!load_begin(&load, peer, mib, mix, false)) {
            return;
        }
        memset(packing.oracle.used, 0, mib << 8);
        load.random.state = options->seed + n * UINT64_C(0xd1342543de82ef95);
        load.target_npages = load.area_npages * occupancy / 100;
        value = packing_seed(&load, &packing, steps);
        sum += value;
        squares += value * value;
        refused += packing.refused;
        avoidable += packing.avoidable;
        load_end(&load);
    }
    output_begin("packing", peer, (int)options->first_repetition);
    output_count("mib", mib);
    output_text("mix", mix_names[mix]);
    output_count("occupancy", occupancy);
    output_count("seed", options->seed);
    output_count("seeds", n);
    output_number("achieved", sum / n);
    output_number("achieved_sd",
                  n > 1 ? sqrt(fmax(0, (squares - sum * sum / n) / (double)(n - 1))) : 0);
    output_count("n", packing.steps);
    output_number("refused_percent", 100.0 * (double)refused / (double)packing.steps);
    output_count("refused_with_room", avoidable);
    output_end();
    bench_memory_free(packing.oracle.used, mib << 8);
}

int packing_cells(const struct options *options)
{
    for (uint64_t a = 0; a < options->nmib; a++) {
        for (uint32_t m = 0; m < MIX_COUNT; m++) {
            for (uint32_t p = 0; options->mixes[m] && p < options->npeers; p++) {
                const struct peer *peer = options->peers[p];

                for (uint32_t o = 0; !(peer->flags & PEER_HEAP) && o < options->noccupancies; o++) {
                    if (area_wanted(options, peer, options->mib[a])) {
                        packing_cell(peer, options->mib[a], (enum mix)m, options->occupancy[o],
                                     options);
                    }
                }
            }
        }
    }
    return 0;
}
