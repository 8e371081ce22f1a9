/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench.h - what the cells share: clock, random numbers, samples, request mixes, output
 */
#ifndef BENCH_BENCH_H
#define BENCH_BENCH_H

#include "peer.h"

#include <stdio.h>

/* --- clock.c ------------------------------------------------------------------------------- */
extern double clock_tick_ns;         /* nanoseconds a tick */
extern double clock_overhead_nticks; /* of a begin and an end with nothing between, on average */
extern uint64_t clock_grain_nticks;  /* the least difference that it shows */
void clock_calibrate(void);
double clock_seconds(void);
void clock_use_processor(int processor); /* negative: the one that runs */

#if defined(__x86_64__)
#include <x86intrin.h>
static inline uint64_t clock_begin(void)
{
    _mm_lfence();
    uint64_t ticks = __rdtsc();
    _mm_lfence();
    return ticks;
}
static inline uint64_t clock_end(void)
{
    unsigned int processor;
    uint64_t ticks = __rdtscp(&processor);
    _mm_lfence();
    return ticks;
}
#else
uint64_t clock_begin(void);
uint64_t clock_end(void);
#endif

/* Memory for arrays, populated, in huge pages where the machine has them. Dies without. */
void *bench_memory(uint64_t nbytes);
void bench_memory_free(void *memory, uint64_t nbytes);
void bench_die(const char *what, const char *detail);

/* --- samples.c ----------------------------------------------------------------------------- */
struct samples {
    uint32_t *ticks; /* raw: the overhead is taken off by samples_quantiles */
    size_t n, room;
    uint64_t sum;
};
struct quantiles {
    double median, mean, p99, max; /* ns */
    double trimmed;                /* mean without the longest hundredth */
    size_t n;
};
void samples_add(struct samples *samples, uint64_t ticks);
void samples_clear(struct samples *samples);
void samples_free(struct samples *samples);
struct quantiles samples_quantiles(struct samples *samples); /* sorts */
double bench_median(double *values, size_t n);               /* sorts */

/*
 * Seconds a step of a loop without a look at the clock in each: the loop runs in 100 batches, and
 * the median batch counts, so that a batch in which something else had the processor does not. (A
 * kernel isn't preempted in the middle of its locks either.)
 */
#define BATCHES 100u
struct batches {
    double seconds[BATCHES + 1];
    double began;
    uint32_t n;
    uint64_t steps, left;
};
void batches_begin(struct batches *batches, uint64_t steps);
void batches_end_batch(struct batches *batches);
static inline void batches_step(struct batches *batches)
{
    if (--batches->left == 0) {
        batches_end_batch(batches);
    }
}
double batches_seconds(struct batches *batches); /* of a step */

/* --- mixes.c ------------------------------------------------------------------------------- */
struct random {
    uint64_t state;
};
static inline uint64_t random_next(struct random *random)
{
    uint64_t z = (random->state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}
static inline uint64_t random_below(struct random *random, uint64_t n)
{
    return (uint64_t)(((unsigned __int128)random_next(random) * n) >> 64);
}

enum mix { MIX_SINGLE, MIX_CAMERA, MIX_MIXED, MIX_COUNT };
extern const char *const mix_names[MIX_COUNT];
/* Pages of the next request. */
uint32_t mix_request(struct random *random, enum mix mix, uint64_t area_npages);
/* Linux's dma_alloc_contiguous asks for min(get_order(size), 8): everybody does here. */
uint64_t mix_align_nbytes(uint32_t npages);

struct buffer {
    uint64_t handle;
    uint32_t npages;
};
/* The buffers that are in use. */
struct live {
    struct buffer *buffers;
    uint64_t n, room, used_npages;
};
void live_init(struct live *live, uint64_t room);
void live_free(struct live *live);
static inline void live_put(struct live *live, uint64_t handle, uint32_t npages)
{
    live->buffers[live->n++] = (struct buffer){handle, npages};
    live->used_npages += npages;
}
static inline struct buffer live_take(struct live *live, uint64_t index)
{
    struct buffer buffer = live->buffers[index];

    live->buffers[index] = live->buffers[--live->n];
    live->used_npages -= buffer.npages;
    return buffer;
}

/* One allocator at work on one mix. */
struct load {
    const struct peer *peer;
    void *self;
    struct live live;
    struct random random;
    enum mix mix;
    uint64_t area_npages, target_npages;
    uint64_t fails;
    double used_sum; /* of used_npages after each step */
};
/* Random buffers go until the next request fits the target, then it is made; one that fails lets
 * one more go. Timed (`allocs` and `releases` get a sample each) or not. */
void load_step(struct load *load);
void load_step_timed(struct load *load, struct samples *allocs, struct samples *releases);
/* Asks until the target is reached, or 50 requests did not fit. */
void load_fill(struct load *load);
void load_release_all(struct load *load);

/* --- output.c ------------------------------------------------------------------------------ */
/* One line a cell: "area peer=libcma mib=64 ..." or, with --json, an object. */
void output_json(bool on);
void output_begin(const char *kind, const struct peer *peer, int repetition);
void output_text(const char *key, const char *value);
void output_count(const char *key, uint64_t value);
void output_number(const char *key, double value);
void output_quantiles(const char *key, const struct quantiles *quantiles);
void output_end(void);

/* --- cells --------------------------------------------------------------------------------- */
struct options {
    const char *kind;
    uint64_t mib[8], nmib;
    uint32_t occupancy[8], noccupancies;
    bool mixes[MIX_COUNT];
    bool touch, named; /* named: peers were picked by name */
    bool coherent;     /* devices' own memory instead of areas */
    uint64_t steps;    /* 0: as area.c says */
    uint32_t run;      /* pages in a row of one state, migrate.c */
    uint32_t movable_percent;
    double pinned_percent;
    uint32_t repetitions, first_repetition;
    uint32_t seeds;
    uint64_t seed; /* where the seeds of packing begin */
    const struct peer *peers[32];
    uint32_t npeers;
};
/* Does a peer belong to the cells of areas of this size? */
bool area_wanted(const struct options *options, const struct peer *peer, uint64_t mib);
int area_cells(const struct options *options);
int packing_cells(const struct options *options);
int threads_cells(const struct options *options);
int migrate_cells(const struct options *options);
int evacuate_cells(const struct options *options);
int pages_cells(const struct options *options);
int pools_cells(const struct options *options);
int bounce_cells(const struct options *options);
int copy_cells(const struct options *options);
int check_cells(const struct options *options); /* 1 when a peer is wrong */

/* --- migrate.c, for evacuate.c ------------------------------------------------------------- */
struct peer_world *world_create(uint64_t npages);
void world_attach(struct peer_world *world, void *self, const struct peer *peer);
void world_destroy(struct peer_world *world);
/* Sets so many percent of what is neither pinned nor owned movable, in runs. */
void world_refill(struct peer_world *world, uint32_t movable_percent, uint32_t run);

#endif
