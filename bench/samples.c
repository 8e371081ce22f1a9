/* SPDX-License-Identifier: BSD-2-Clause */
/* samples.c - many durations, and what they come to */
#include "bench.h"

#include <stdlib.h>

void samples_add(struct samples *samples, uint64_t ticks)
{
    ticks = ticks > clock_overhead_nticks ? ticks - clock_overhead_nticks : 0;
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

struct quantiles samples_quantiles(struct samples *samples)
{
    struct quantiles result = {.n = samples->n};
    size_t most = samples->n - samples->n / 100;
    uint64_t sum = 0;

    if (samples->n == 0) {
        return result;
    }
    qsort(samples->ticks, samples->n, sizeof(*samples->ticks), samples_compare);
    result.median = samples->ticks[samples->n / 2] * clock_tick_ns;
    result.p99 = samples->ticks[samples->n - 1 - samples->n / 100] * clock_tick_ns;
    result.max = samples->ticks[samples->n - 1] * clock_tick_ns;
    result.mean = (double)samples->sum / (double)samples->n * clock_tick_ns;
    for (size_t i = 0; i < most; i++) {
        sum += samples->ticks[i];
    }
    result.trimmed = (double)sum / (double)most * clock_tick_ns;
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
