/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * migrate.c - claims in an area that others have borrowed: copies, wasted copies, failures
 *
 * A world is an area with free, movable and pinned pages; moving a page really copies 4 KiB. Before
 * each request the density of movable pages is brought back to what the cell says, and one percent
 * of the pins move elsewhere. Peers that choose a window and leave the copying to the world (Linux,
 * the yardsticks) go through world_acquire, a model of alloc_contig_range; libcma moves pages by
 * itself, through movers, and tells the world.
 */
#include "bench.h"

#include <stdlib.h>
#include <string.h>

struct world {
    struct peer_world shared;
    uint64_t movable, pinned, owned;
    uint64_t outside; /* pins whose pages have left the area */
    struct random random;
    const struct peer *peer;
    void *self;
    uint32_t *movable_before, *blocked_before; /* prefix sums for the oracle */
};

static struct world *world_of(struct peer_world *shared)
{
    return (struct world *)shared;
}

static void world_moved(struct peer_world *shared, uint64_t index)
{
    shared->state[index] = PAGE_FREE;
    shared->migrated++;
    world_of(shared)->movable--;
}

static void world_own(struct peer_world *shared, uint64_t index, uint64_t npages)
{
    memset(shared->state + index, PAGE_OWNED, npages);
    world_of(shared)->owned += npages;
}

static void world_release(struct peer_world *shared, uint64_t index, uint64_t npages)
{
    memset(shared->state + index, PAGE_FREE, npages);
    world_of(shared)->owned -= npages;
}

static void world_copy(struct peer_world *shared, uint64_t index)
{
    if (shared->log) {
        shared->log[shared->nlog++] =
            (struct peer_copy){(uint32_t)index, (uint32_t)shared->out_next};
    }
    memcpy(shared->out + (shared->out_next << PEER_PAGE_SHIFT),
           shared->memory + (index << PEER_PAGE_SHIFT), PEER_PAGE_NBYTES);
    shared->out_next = shared->out_next + 1 == shared->npages ? 0 : shared->out_next + 1;
}

/* Batches of 32 pages; what can't be isolated is tried five times in Linux, in vain: not charged.
 */
static int world_acquire(struct peer_world *shared, uint64_t index, uint64_t npages)
{
    uint64_t end = index + npages, at = index, before = shared->migrated;

    while (at < end) {
        uint64_t pins = 0;

        for (uint64_t n = 0; at < end && n < 32; at++) {
            uint8_t state = shared->state[at];

            if (state == PAGE_MOVABLE) {
                world_copy(shared, at);
                world_moved(shared, at);
                n++;
            } else if (state == PAGE_PINNED) {
                pins++;
                n++;
            } else if (state == PAGE_OWNED) {
                bench_die("a peer takes what it has already", world_of(shared)->peer->name);
            }
        }
        if (pins) {
            shared->busy++;
            shared->wasted += shared->migrated - before;
            return -16;
        }
    }
    world_own(shared, index, npages);
    return 0;
}

static void world_set(struct world *world, uint64_t index, enum peer_page to)
{
    enum peer_page from = (enum peer_page)world->shared.state[index];
    enum peer_page now = to;

    if (world->peer->set_page) {
        now = world->peer->set_page(world->self, index, from, to);
    }
    world->movable -= from == PAGE_MOVABLE;
    world->pinned -= from == PAGE_PINNED;
    world->movable += now == PAGE_MOVABLE;
    world->pinned += now == PAGE_PINNED;
    world->outside += to == PAGE_PINNED && now != PAGE_PINNED;
    world->shared.state[index] = (uint8_t)now;
}

void world_refill(struct peer_world *shared, uint32_t movable_percent, uint32_t run)
{
    struct world *world = world_of(shared);
    uint64_t npages = shared->npages, tries = 4 * npages;
    uint64_t target = (npages - world->pinned - world->owned) * movable_percent / 100;

    while (world->movable != target && tries-- > 0) {
        uint64_t first = random_below(&world->random, npages / run) * run;

        for (uint32_t i = 0; i < run && world->movable != target; i++) {
            uint8_t state = shared->state[first + i];

            if (world->movable < target && state == PAGE_FREE) {
                world_set(world, first + i, PAGE_MOVABLE);
            } else if (world->movable > target && state == PAGE_MOVABLE) {
                world_set(world, first + i, PAGE_FREE);
            }
        }
    }
}

/* `churn` pins end, then others begin until there are `want`. */
static void world_pins(struct world *world, uint64_t want, uint64_t churn, uint32_t run)
{
    uint64_t npages = world->shared.npages, tries = 50 * npages;

    while (churn-- > 0 && world->pinned + world->outside > 0) {
        uint64_t at = random_below(&world->random, npages);
        const uint8_t *found;

        if (world->outside > 0) {
            world->outside--;
            continue;
        }
        found = memchr(world->shared.state + at, PAGE_PINNED, npages - at);
        found = found ? found : memchr(world->shared.state, PAGE_PINNED, npages);
        world_set(world, (uint64_t)(found - world->shared.state), PAGE_MOVABLE);
    }
    while (world->pinned + world->outside < want && tries-- > 0) {
        uint64_t first = random_below(&world->random, npages / run) * run;

        for (uint32_t i = 0; i < run && world->pinned + world->outside < want; i++) {
            if (world->shared.state[first + i] <= PAGE_MOVABLE) {
                world_set(world, first + i, PAGE_PINNED);
            }
        }
    }
}

/* Pages to move for the cheapest window there is, -1 where there is none. */
static int64_t world_cheapest(struct world *world, uint64_t npages, uint64_t align)
{
    uint32_t *movable = world->movable_before, *blocked = world->blocked_before;
    const uint8_t *state = world->shared.state;
    int64_t best = -1;

    for (uint64_t i = 0; i < world->shared.npages; i++) {
        movable[i + 1] = movable[i] + (state[i] == PAGE_MOVABLE);
        blocked[i + 1] = blocked[i] + (state[i] >= PAGE_PINNED);
    }
    for (uint64_t i = 0; i + npages <= world->shared.npages; i += align) {
        int64_t cost = movable[i + npages] - movable[i];

        if (blocked[i + npages] == blocked[i] && (best < 0 || cost < best)) {
            best = cost;
        }
    }
    return best;
}

/* Bytes that differ from those of other pages, all of them touched. */
static uint8_t *world_memory(uint64_t npages)
{
    uint8_t *memory = bench_memory(npages << PEER_PAGE_SHIFT);

    for (uint64_t i = 0; i < npages; i++) {
        memset(memory + (i << PEER_PAGE_SHIFT), (int)(i & 0xff), PEER_PAGE_NBYTES);
    }
    return memory;
}

struct peer_world *world_create(uint64_t npages)
{
    struct world *world = bench_memory(sizeof(*world));

    *world = (struct world){
        .shared = {.npages = npages,
                   .state = bench_memory(npages),
                   .memory = world_memory(npages),
                   .out = world_memory(npages),
                   .acquire = world_acquire,
                   .release = world_release,
                   .moved = world_moved,
                   .own = world_own},
        .random = {4242},
        .movable_before = bench_memory((npages + 1) * sizeof(uint32_t)),
        .blocked_before = bench_memory((npages + 1) * sizeof(uint32_t)),
    };
    return &world->shared;
}

void world_attach(struct peer_world *shared, void *self, const struct peer *peer)
{
    world_of(shared)->self = self;
    world_of(shared)->peer = peer;
}

void world_destroy(struct peer_world *shared)
{
    struct world *world = world_of(shared);
    uint64_t npages = shared->npages;

    bench_memory_free(shared->state, npages);
    bench_memory_free(shared->memory, npages << PEER_PAGE_SHIFT);
    bench_memory_free(shared->out, npages << PEER_PAGE_SHIFT);
    bench_memory_free(world->movable_before, (npages + 1) * sizeof(uint32_t));
    bench_memory_free(world->blocked_before, (npages + 1) * sizeof(uint32_t));
    bench_memory_free(world, sizeof(*world));
}

/* --- cells --------------------------------------------------------------------------------- */

struct tally {
    struct samples allocs, releases;
    uint64_t n, fails, avoidable, impossible, migrated, wasted, busy, asked, cheapest, judged;
};

static void migrate_release(struct load *load, uint64_t index, struct samples *releases)
{
    uint64_t nbytes = (uint64_t)load->live.buffers[index].npages << PEER_PAGE_SHIFT;
    uint64_t handle = load->live.buffers[index].handle, begin;

    live_take(&load->live, index);
    begin = clock_begin();
    load->peer->release(load->self, handle, nbytes);
    samples_add(releases, clock_end() - begin);
}

/* Cameras are opened and closed in order: 4 to 32 buffers are in use, the oldest goes. */
static void migrate_make_room(struct load *load, uint64_t *hold, uint32_t npages,
                              struct samples *releases)
{
    struct live *live = &load->live;
    uint64_t limit = load->area_npages / (load->mix == MIX_SINGLE ? 10 : 2);

    if (load->mix != MIX_CAMERA) {
        while (live->n && live->used_npages + npages > limit) {
            migrate_release(load, random_below(&load->random, live->n), releases);
        }
        return;
    }
    if (random_below(&load->random, 16) == 0) {
        *hold = 4 + random_below(&load->random, 29);
    }
    while (live->n > *hold ||
           (live->n && live->used_npages + npages > load->area_npages * 7 / 10)) {
        struct buffer oldest = live->buffers[0];

        memmove(live->buffers, live->buffers + 1, (live->n - 1) * sizeof(oldest));
        live->buffers[live->n - 1] = oldest;
        migrate_release(load, live->n - 1, releases);
    }
}

static void migrate_request(struct load *load, struct world *world, uint32_t npages,
                            struct tally *tally)
{
    uint64_t align = mix_align_nbytes(npages);
    int64_t cheapest = world_cheapest(world, npages, align >> PEER_PAGE_SHIFT);
    uint64_t wasted = load->peer->wasted ? load->peer->wasted(load->self) : 0;
    uint64_t begin, ticks, handle;

    world->shared.migrated = world->shared.wasted = world->shared.busy = 0;
    begin = clock_begin();
    handle = load->peer->alloc(load->self, (uint64_t)npages << PEER_PAGE_SHIFT, align);
    ticks = clock_end() - begin;
    samples_add(&tally->allocs, ticks);
    tally->n++;
    tally->asked += npages;
    tally->migrated += world->shared.migrated;
    tally->wasted += world->shared.wasted;
    tally->wasted += load->peer->wasted ? load->peer->wasted(load->self) - wasted : 0;
    tally->busy += world->shared.busy;
    tally->impossible += cheapest < 0;
    tally->judged += cheapest >= 0;
    tally->cheapest += cheapest >= 0 ? (uint64_t)cheapest : 0;
    if (handle == PEER_FAIL) {
        tally->fails++;
        tally->avoidable += cheapest >= 0;
    } else {
        live_put(&load->live, handle, npages);
    }
}

static void migrate_output(const struct load *load, const struct options *options,
                           struct tally *tally, int repetition)
{
    struct quantiles alloc = samples_quantiles(&tally->allocs);
    struct quantiles release = samples_quantiles(&tally->releases);
    double n = (double)tally->n;

    output_begin("migrate", load->peer, repetition);
    output_count("mib", load->area_npages >> 8);
    output_text("mix", mix_names[load->mix]);
    output_count("movable", options->movable_percent);
    output_number("pinned", options->pinned_percent);
    output_count("run", options->run);
    output_quantiles("alloc", &alloc);
    output_quantiles("release", &release);
    output_number("asked", (double)tally->asked / n);
    output_number("copied", (double)tally->migrated / n);
    output_number("wasted", (double)tally->wasted / n);
    output_number("cheapest", tally->judged ? (double)tally->cheapest / (double)tally->judged : 0);
    output_number("busy", (double)tally->busy / n);
    output_number("fail_percent", 100.0 * (double)tally->fails / n);
    output_number("avoidable_percent", 100.0 * (double)tally->avoidable / n);
    output_count("avoidable", tally->avoidable);
    output_number("impossible_percent", 100.0 * (double)tally->impossible / n);
    output_end();
}

static void migrate_cell(const struct peer *peer, uint64_t mib, enum mix mix,
                         const struct options *options, int repetition)
{
    uint64_t npages = mib << 8, steps = options->steps ? options->steps : 600, hold = 8;
    uint64_t want = (uint64_t)((double)npages * options->pinned_percent / 100);
    struct peer_world *shared = world_create(npages);
    struct peer_config config = {.area_nbytes = mib << 20, .nthreads = 1, .world = shared};
    struct load load = {
        .peer = peer,
        .self = peer->create(&config),
        .mix = mix,
        .area_npages = npages,
        .random = {31 + (uint64_t)mix + (uint64_t)repetition * 1000},
    };
    struct tally tally = {0}, warm = {0};

    if (!load.self) {
        bench_die("no area", peer->name);
    }
    live_init(&load.live, npages + 16);
    world_attach(shared, load.self, peer);
    world_pins(world_of(shared), want, 0, options->run);
    world_refill(shared, options->movable_percent, options->run);
    for (uint64_t i = 0; i < steps + steps / 4; i++) {
        struct tally *now = i < steps / 4 ? &warm : &tally;
        uint32_t request = mix_request(&load.random, mix, npages);

        migrate_make_room(&load, &hold, request, &now->releases);
        world_pins(world_of(shared), want, want / 100, options->run);
        world_refill(shared, options->movable_percent, options->run);
        migrate_request(&load, world_of(shared), request, now);
    }
    migrate_output(&load, options, &tally, repetition);
    load_release_all(&load);
    live_free(&load.live);
    peer->destroy(load.self);
    world_destroy(shared);
    samples_free(&tally.allocs);
    samples_free(&tally.releases);
    samples_free(&warm.allocs);
    samples_free(&warm.releases);
}

int migrate_cells(const struct options *options)
{
    for (uint32_t rep = 0; rep < options->repetitions; rep++) {
        for (uint32_t m = 0; m < MIX_COUNT; m++) {
            for (uint32_t p = 0; options->mixes[m] && p < options->npeers; p++) {
                if (options->peers[p]->flags & PEER_WORLD) {
                    migrate_cell(options->peers[p], options->nmib ? options->mib[0] : 256,
                                 (enum mix)m, options, (int)(options->first_repetition + rep));
                }
            }
        }
    }
    return 0;
}
