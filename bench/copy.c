/* SPDX-License-Identifier: BSD-2-Clause */
/* copy.c - what copying pages costs here: the floor under every migration */
#include "bench.h"

#include <string.h>

#define COPY_NBYTES (UINT64_C(256) << 20)
#define COPY_NPAGES (COPY_NBYTES >> PEER_PAGE_SHIFT)
#define COPY_ROUNDS 7

enum copy_pattern { COPY_GATHER, COPY_RANDOM, COPY_SEQUENTIAL, COPY_HOT, COPY_COUNT };
static const char *const copy_names[COPY_COUNT] = {"random to sequential", "random to random",
                                                   "sequential to sequential", "16 hot pages"};

static double copy_round(enum copy_pattern pattern, uint8_t *to, const uint8_t *from,
                         struct random *random)
{
    uint64_t n = 40000;
    double start = clock_seconds();

    for (uint64_t i = 0; i < n; i++) {
        uint64_t source = i % COPY_NPAGES, target = source;

        if (pattern == COPY_GATHER || pattern == COPY_RANDOM) {
            source = random_below(random, COPY_NPAGES);
        }
        if (pattern == COPY_RANDOM) {
            target = random_below(random, COPY_NPAGES);
        }
        if (pattern == COPY_HOT) {
            source = target = i % 16;
        }
        memcpy(to + (target << PEER_PAGE_SHIFT), from + (source << PEER_PAGE_SHIFT),
               PEER_PAGE_NBYTES);
        __asm__ volatile("" ::: "memory");
    }
    return (clock_seconds() - start) * 1e9 / (double)n;
}

int copy_cells(const struct options *options)
{
    uint8_t *from = bench_memory(COPY_NBYTES), *to = bench_memory(COPY_NBYTES);
    struct random random = {3};

    memset(from, 1, COPY_NBYTES);
    memset(to, 2, COPY_NBYTES);
    for (uint32_t i = 0; i < COPY_COUNT; i++) {
        double ns[COPY_ROUNDS];

        for (uint32_t k = 0; k < COPY_ROUNDS; k++) {
            ns[k] = copy_round((enum copy_pattern)i, to, from, &random);
        }
        output_begin("copy", NULL, (int)options->first_repetition);
        output_text("pattern", copy_names[i]);
        output_number("ns_a_page", bench_median(ns, COPY_ROUNDS));
        output_number("gb_a_second", PEER_PAGE_NBYTES / bench_median(ns, COPY_ROUNDS));
        output_end();
    }
    bench_memory_free(from, COPY_NBYTES);
    bench_memory_free(to, COPY_NBYTES);
    return 0;
}
