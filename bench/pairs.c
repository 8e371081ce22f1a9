/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pairs.c - page allocate and free, against mimalloc's aligned pair in the same process
 *
 *     pairs [ROUNDS [PAIRS]]
 *
 * The cells of `bench pages` treat both as peers behind a plug-in; here both are called directly,
 * in four patterns, and once more without processors' caches. Both hand out 4 KiB that nobody
 * touches. libcma checks each free (double, other owner, other length) and has real locks in its
 * port: one locked instruction to lock, a store to unlock. Rounds of the two alternate, and what is
 * reported is the median of the ratios of neighbours, for on a machine that others use too,
 * nanoseconds alone say little. With two threads both run at once, each on a processor's cache of
 * its own, and a round ends with the slower one.
 *
 *     pair      allocate, free
 *     live 64   of 64 pages the oldest is freed, one is allocated
 *     steady    of 4,096 pages one at random is freed, one is allocated   (the headline)
 *     burst     256 allocations, then 256 frees
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cma/pages.h>

#include "port.h"

#if __has_include(<mimalloc.h>) && !defined(BENCH_NO_MIMALLOC)
#define PAGES_MIMALLOC 1
#include <mimalloc.h>
#else
#define PAGES_MIMALLOC 0
#endif

#define PAGES_BASE (UINT64_C(1) << 30)
#define PAGES_NBYTES (UINT64_C(1) << 30)
#define PAGES_LIVE_MAX 4096u
#define PAGES_BURST 256u
#define PAGES_OWNER 7u
#define PAGES_ROUNDS_MAX 99u

enum pages_pattern { PAGES_PAIR, PAGES_LIVE, PAGES_STEADY, PAGES_BURSTS, PAGES_PATTERNS };
static const char *const pages_names[] = {"pair", "live 64", "steady", "burst"};

enum pages_who { PAGES_MI, PAGES_CACHED, PAGES_PLAIN, PAGES_WHO };

/* --- a board ------------------------------------------------------------------------------- */

struct pages_board {
    struct cma_range memory[1], reserved[1];
    struct cma_map map;
    struct cma_frames frames;
    struct cma_pages pages;
    struct cma_pages_cache caches[2];
    void *storage;
};

static void pages_require(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "pairs: %s\n", what);
        exit(1);
    }
}

static struct pages_board *pages_board(bool cached)
{
    struct pages_board *board = aligned_alloc(64, sizeof *board);
    struct cma_frames_config config = {.port = &bench_port};
    uint64_t nbytes;

    pages_require(board != NULL, "no memory");
    memset(board, 0, sizeof *board);
    pages_require(cma_map_init(&board->map, board->memory, 1, board->reserved, 1) == 0 &&
                      cma_map_add_memory(&board->map, PAGES_BASE, PAGES_NBYTES, NULL) == 0,
                  "no map");
    nbytes = cma_frames_size(&board->map, &config);
    board->storage = aligned_alloc(4096, (nbytes + 4095) & ~UINT64_C(4095));
    pages_require(board->storage != NULL, "no memory");
    pages_require(cma_frames_init(&board->frames, &board->map, &config, board->storage, nbytes) ==
                          0 &&
                      cma_pages_init(&board->pages, &board->frames) == 0 &&
                      (!cached || cma_pages_add_caches(&board->pages, board->caches, 2) == 0),
                  "no board");
    return board;
}

/* --- what is measured ---------------------------------------------------------------------- */

static inline uint64_t pages_get(struct pages_board *board)
{
    static const struct cma_pages_request request = {
        .npages = 1, .holder = {.kind = CMA_KIND_UNMOVABLE, .cookie = PAGES_OWNER}};
    cma_pfn_t pfn;

    if (board == NULL) {
#if PAGES_MIMALLOC
        return (uint64_t)(uintptr_t)mi_malloc_aligned(4096, 4096);
#endif
    }
    pages_require(cma_pages_alloc(&board->pages, &request, &pfn, NULL) == 0, "refused");
    return pfn;
}

static inline void pages_put(struct pages_board *board, uint64_t page)
{
    if (board == NULL) {
#if PAGES_MIMALLOC
        mi_free((void *)(uintptr_t)page);
        return;
#endif
    }
    pages_require(cma_pages_free(&board->pages, page, 1, PAGES_OWNER) == 0, "not freed");
}

/* Always inlined with a known `board == NULL`, so that neither side pays for the choice. */
static inline __attribute__((always_inline)) void
pages_run(struct pages_board *board, enum pages_pattern pattern, uint32_t npairs, uint64_t *live)
{
    uint32_t nlive = pattern == PAGES_STEADY ? PAGES_LIVE_MAX : 64, random = 1;

    if (pattern == PAGES_PAIR) {
        for (uint32_t i = 0; i < npairs; i++) {
            uint64_t page = pages_get(board);

            __asm__ volatile("" : "+r"(page)); /* it is somebody's, as far as compilers know */
            pages_put(board, page);
        }
        return;
    }
    if (pattern == PAGES_BURSTS) {
        for (uint32_t i = 0; i < npairs / PAGES_BURST; i++) {
            for (uint32_t j = 0; j < PAGES_BURST; j++)
                live[j] = pages_get(board);
            for (uint32_t j = 0; j < PAGES_BURST; j++)
                pages_put(board, live[j]);
        }
        return;
    }
    for (uint32_t i = 0; i < npairs; i++) {
        uint32_t at = i;

        if (pattern == PAGES_STEADY) {
            random = random * 1664525u + 1013904223u;
            at = random >> 8;
        }
        at %= nlive; /* both are powers of two */
        pages_put(board, live[at]);
        live[at] = pages_get(board);
    }
}

static void pages_fill(struct pages_board *board, enum pages_pattern pattern, uint64_t *live,
                       bool get)
{
    uint32_t nlive = pattern == PAGES_STEADY ? PAGES_LIVE_MAX : pattern == PAGES_LIVE ? 64 : 0;

    for (uint32_t i = 0; i < nlive; i++) {
        if (get)
            live[i] = pages_get(board);
        else
            pages_put(board, live[i]);
    }
}

/* --- rounds -------------------------------------------------------------------------------- */

struct pages_thread {
    pthread_t thread;
    pthread_barrier_t *barrier;
    struct pages_board *boards[PAGES_WHO];
    double (*ns)[PAGES_WHO]; /* a pair, by round */
    enum pages_pattern pattern;
    uint32_t cpu, rounds, npairs;
};

static double pages_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void *pages_thread(void *arg)
{
    struct pages_thread *thread = arg;
    static _Thread_local uint64_t live[PAGES_WHO][PAGES_LIVE_MAX];

    port_cpu = thread->cpu;
    for (int who = PAGES_MIMALLOC ? 0 : 1; who < PAGES_WHO; who++)
        pages_fill(thread->boards[who], thread->pattern, live[who], true);
    for (uint32_t round = 0; round < thread->rounds; round++) {
        for (int who = PAGES_MIMALLOC ? 0 : 1; who < PAGES_WHO; who++) {
            double began;

            pthread_barrier_wait(thread->barrier);
            began = pages_now();
            if (who == PAGES_MI)
                pages_run(NULL, thread->pattern, thread->npairs, live[who]);
            else
                pages_run(thread->boards[who], thread->pattern, thread->npairs, live[who]);
            pthread_barrier_wait(thread->barrier);
            thread->ns[round][who] = (pages_now() - began) / thread->npairs;
        }
    }
    for (int who = PAGES_MIMALLOC ? 0 : 1; who < PAGES_WHO; who++)
        pages_fill(thread->boards[who], thread->pattern, live[who], false);
    return NULL;
}

static int pages_compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return x < y ? -1 : x > y;
}

static double pages_median(double *values, uint32_t count)
{
    qsort(values, count, sizeof *values, pages_compare);
    return values[count / 2];
}

static void pages_cell(FILE *out, uint32_t nthreads, struct pages_thread *threads)
{
    double column[PAGES_WHO + 1][PAGES_ROUNDS_MAX];
    uint32_t rounds = threads[0].rounds;

    for (uint32_t i = 0; i < nthreads; i++)
        pages_require(pthread_create(&threads[i].thread, NULL, pages_thread, &threads[i]) == 0,
                      "no thread");
    for (uint32_t i = 0; i < nthreads; i++)
        (void)pthread_join(threads[i].thread, NULL);
    for (uint32_t round = 0; round < rounds; round++) {
        for (int who = 0; who < PAGES_WHO; who++) {
            column[who][round] = 0;
            for (uint32_t i = 0; i < nthreads; i++) {
                if (threads[i].ns[round][who] > column[who][round])
                    column[who][round] = threads[i].ns[round][who];
            }
        }
        column[PAGES_WHO][round] =
            PAGES_MIMALLOC ? column[PAGES_CACHED][round] / column[PAGES_MI][round] : 0;
    }
    fprintf(out, "| %s, %u thread%s | ", pages_names[threads[0].pattern], nthreads,
            nthreads == 1 ? "" : "s");
    if (PAGES_MIMALLOC)
        fprintf(out, "%.1f", pages_median(column[PAGES_MI], rounds));
    else
        fprintf(out, "skipped");
    fprintf(out, " | %.1f | ", pages_median(column[PAGES_CACHED], rounds));
    if (PAGES_MIMALLOC)
        fprintf(out, "%.2f", pages_median(column[PAGES_WHO], rounds));
    else
        fprintf(out, "-");
    fprintf(out, " | %.1f |\n", pages_median(column[PAGES_PLAIN], rounds));
    fflush(out);
}

/* Medians over alternating rounds of npairs pairs each. */
static void pages_table(FILE *out, uint32_t rounds, uint32_t npairs)
{
    struct pages_board *boards[PAGES_WHO] = {NULL, pages_board(true), pages_board(false)};
    struct cma_violation violation;

    if (rounds > PAGES_ROUNDS_MAX)
        rounds = PAGES_ROUNDS_MAX;
    fprintf(out, "| pattern | mimalloc, ns | libcma, ns | ratio | libcma without caches, ns |\n"
                 "|---|---:|---:|---:|---:|\n");
    for (int pattern = 0; pattern < PAGES_PATTERNS; pattern++) {
        for (uint32_t nthreads = 1; nthreads <= 2; nthreads++) {
            static double ns[2][PAGES_ROUNDS_MAX][PAGES_WHO];
            struct pages_thread threads[2];
            pthread_barrier_t barrier;

            (void)pthread_barrier_init(&barrier, NULL, nthreads);
            for (uint32_t i = 0; i < nthreads; i++) {
                threads[i] = (struct pages_thread){.barrier = &barrier,
                                                   .boards = {NULL, boards[1], boards[2]},
                                                   .ns = ns[i],
                                                   .pattern = (enum pages_pattern)pattern,
                                                   .cpu = i,
                                                   .rounds = rounds,
                                                   .npairs = npairs};
            }
            pages_cell(out, nthreads, threads);
            (void)pthread_barrier_destroy(&barrier);
        }
    }
    for (int who = PAGES_CACHED; who < PAGES_WHO; who++) {
        pages_require(cma_frames_check(&boards[who]->frames, false, &violation), violation.what);
        free(boards[who]->storage);
        free(boards[who]);
    }
}

int main(int argc, char **argv)
{
    pages_table(stdout, argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 0) : 41,
                argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 0) : 100000);
    return 0;
}
