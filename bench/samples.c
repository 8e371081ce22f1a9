/* SPDX-License-Identifier: BSD-2-Clause */
/* samples.c - many durations, and what they come to */
#include "bench.h"

#include <stdlib.h>

void samples_add(struct samples *samples, uint64_t ticks)
{
    if (samples->n == samples->room) {
        samples->room = samples->room ? samples->room * 2 : 65536;
        samples->ticks = realloc(samples->ticks, samples->room * sizeof(*samples->ticks));
        if (!samples->ticks) {
            bench_die("no memory", "samples");
        }
    }
    samples->ticks[samples->n++] = ticks > UINT32_MAX ? UINT32_MAX : (uint32_t)ticks;
    samples->sum += ticks;
}

void samples_clear(struct samples *samples)
{
    samples->n = 0;
    samples->sum = 0;
}

void samples_free(struct samples *samples)
{
    free(samples->ticks);
    *samples = (struct samples){0};
}

static int samples_compare(const void *left, const void *right)
{
    uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

    return a < b ? -1 : a > b;
}

static double samples_ns(double ticks)
{
    return ticks > clock_overhead_nticks ? (ticks - clock_overhead_nticks) * clock_tick_ns : 0;
}

struct quantiles samples_quantiles(struct samples *samples)
{
    struct quantiles result = {.n = samples->n};
    size_t most = samples->n - samples->n / 100;
    uint64_t sum = 0;

    if (samples->n == 0) {
        return result;
    }
    qsort(samples->ticks, samples->n, sizeof(*samples->ticks), samples_compare);
    for (size_t i = 0; i < most; i++) {
        sum += samples->ticks[i];
    }
    result.median = samples_ns(samples->ticks[samples->n / 2]);
    result.p99 = samples_ns(samples->ticks[samples->n - 1 - samples->n / 100]);
    result.max = samples_ns(samples->ticks[samples->n - 1]);
    result.mean = samples_ns((double)samples->sum / (double)samples->n);
    result.trimmed = samples_ns((double)sum / (double)most);
    return result;
}

static int median_compare(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return a < b ? -1 : a > b;
}

double bench_median(double *values, size_t n)
{
    qsort(values, n, sizeof(*values), median_compare);
    return n == 0 ? 0 : n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

/* --- batches ------------------------------------------------------------------------------- */

void batches_begin(struct batches *batches, uint64_t steps)
{
    *batches = (struct batches){.steps = steps / BATCHES ? steps / BATCHES : 1};
    batches->left = batches->steps;
    batches->began = clock_seconds();
}

void batches_end_batch(struct batches *batches)
{
    double now = clock_seconds();

    if (batches->n < BATCHES) {
        batches->seconds[batches->n++] = (now - batches->began) / (double)batches->steps;
    }
    batches->left = batches->steps;
    batches->began = now;
}

double batches_seconds(struct batches *batches)
{
    return bench_median(batches->seconds, batches->n);
}
