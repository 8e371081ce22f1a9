/* SPDX-License-Identifier: BSD-2-Clause */
/* output.c - one line a cell, for eyes or as JSON */
#include "bench.h"

#include <math.h>

static bool json;
static uint32_t fields;

void output_json(bool on)
{
    json = on;
}

static void output_key(const char *key)
{
    if (json) {
        printf("%s\"%s\":", fields ? "," : "{", key);
    } else {
        printf("%s%s=", fields ? " " : "", key);
    }
    fields++;
}

void output_text(const char *key, const char *value)
{
    output_key(key);
    printf(json ? "\"%s\"" : "%s", value);
}

void output_count(const char *key, uint64_t value)
{
    output_key(key);
    printf("%llu", (unsigned long long)value);
}

void output_number(const char *key, double value)
{
    output_key(key);
    if (isfinite(value)) {
        printf("%.6g", value);
    } else {
        printf("null");
    }
}

void output_quantiles(const char *key, const struct quantiles *quantiles)
{
    char name[64];

    snprintf(name, sizeof(name), "%s_n", key);
    output_count(name, quantiles->n);
    snprintf(name, sizeof(name), "%s_median", key);
    output_number(name, quantiles->median);
    snprintf(name, sizeof(name), "%s_mean", key);
    output_number(name, quantiles->mean);
    snprintf(name, sizeof(name), "%s_trimmed", key);
    output_number(name, quantiles->trimmed);
    snprintf(name, sizeof(name), "%s_p99", key);
    output_number(name, quantiles->p99);
    snprintf(name, sizeof(name), "%s_max", key);
    output_number(name, quantiles->max);
}

void output_begin(const char *kind, const struct peer *peer, int repetition)
{
    output_text("kind", kind);
    if (peer) {
        output_text("peer", peer->name);
    }
    output_count("rep", (uint64_t)repetition);
}

void output_end(void)
{
    printf(json ? "}\n" : "\n");
    fflush(stdout);
    fields = 0;
}
