/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * gcma.c - GCMA's published experiment, on a simulated board: how long a buffer takes while its
 * memory is at work for others, with guarantees, without, and under Linux's policy
 *
 *     gcma [-r ROUNDS] [--seed N] [--shrink N] [--moves N] [--json] [MODE...]
 *
 * The experiment (RFC v2 of GCMA, February 2015): 800 MiB of memory, of which 256 MiB are an area;
 * a kernel is being built meanwhile (gcma_load.h); 32 requests of each size, one at a time. A
 * request is timed from asking to having, in simulated nanoseconds (ports/sim/costs.c); zeroing and
 * caches are the DMA layer's and not in it, as they are not in the published figures.
 *
 *     guaranteed   each size was promised one block at boot, of which one page in 32 (--moves N:
 *                  in N) may have to be copied
 *     ordinary     cma_area_alloc, and whatever the area lends is in the way
 *     linux        where cma_alloc of Linux 7.3 would put it, and what it moves for it
 *
 * The same seed is the same table, to the last digit.
 */
#include "../tool/linux_area.h"
#include "gcma_load.h"

#include <cma/guarantee.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum gcma_mode { GCMA_GUARANTEED, GCMA_ORDINARY, GCMA_LINUX, GCMA_MODES };
static const char *const gcma_names[] = {"guaranteed", "ordinary", "linux"};
static const char *const gcma_titles[] = {"with guarantees", "libcma, ordinary claims",
                                          "Linux 7.3's policy"};

enum {
    GCMA_SIZES = 7,
    GCMA_ROUNDS_MAX = 1000,
    GCMA_MOVES = 32 /* one page in so many of a block may be kept data, if not said otherwise */
};
static const uint32_t gcma_npages[GCMA_SIZES] = {1, 512, 1024, 2048, 4096, 8192, 16384};

#define GCMA_BASE 0x10000000ull
#define GCMA_MEMORY (800ull << 20)
#define GCMA_AREA (256ull << 20)
#define GCMA_HOLD_NS 2000000ull
/* Between two requests: what was given back is lent again, and the load has its turn. */
#define GCMA_REST_NS 10000000ull
#define GCMA_REST_PAGE_NS 3000ull

struct gcma_options {
    uint64_t seed, rounds, shrink, moves;
    bool json, modes[GCMA_MODES];
};

struct gcma_sample {
    uint64_t ns, copied, dropped;
};

struct gcma_cell {
    uint64_t npages, failed;
    uint64_t failed_ns; /* the longest way to a no */
    uint64_t above;     /* requests that cost more than a promise allows */
    uint64_t lent_sum, idle_sum;
    struct gcma_sample samples[GCMA_ROUNDS_MAX];
    size_t n;
};

struct gcma {
    const struct gcma_options *options;
    enum gcma_mode mode;
    struct sim *sim;
    struct cma_range ranges[2];
    struct cma_map map;
    struct cma_system system;
    void *storage;
    struct cma_area *area;
    struct gcma_load *load;
    struct linux_area linux_area; /* under Linux's policy only */
    struct cma_guarantee promised[GCMA_SIZES];
    struct gcma_cell cells[GCMA_SIZES];
};

static void gcma_die(const char *what, const char *detail)
{
    fprintf(stderr, "gcma: %s: %s\n", what, detail);
    exit(1);
}

/* --- the board ------------------------------------------------------------------------------ */

static void *gcma_calloc(size_t count, size_t nbytes)
{
    void *memory = calloc(count, nbytes);

    if (memory == NULL)
        gcma_die("no board", "not enough memory");
    return memory;
}

static void gcma_map(struct gcma *gcma)
{
    uint64_t shrink = gcma->options->shrink;
    const struct cma_range area = {
        .base = GCMA_BASE + (GCMA_MEMORY - GCMA_AREA) / shrink,
        .nbytes = GCMA_AREA / shrink,
        .kind = CMA_RANGE_AREA,
        .flags = CMA_RANGE_DEFAULT,
        .name = "area",
    };

    if (cma_map_init(&gcma->map, &gcma->ranges[0], 1, &gcma->ranges[1], 1) != 0 ||
        cma_map_add_memory(&gcma->map, GCMA_BASE, GCMA_MEMORY / shrink, NULL) != 0 ||
        cma_map_reserve(&gcma->map, &area, NULL) != 0)
        gcma_die("no board", "map");
}

static void gcma_system(struct gcma *gcma)
{
    const struct sim_memory memory = {GCMA_BASE, GCMA_MEMORY / gcma->options->shrink};
    const struct sim_config sim_config = {
        .seed = gcma->options->seed,
        .memory = &memory,
        .nmemory = 1,
    };
    struct cma_system_config config = {.nslots = gcma->mode == GCMA_GUARANTEED ? GCMA_SIZES : 0};
    uint64_t nbytes;

    gcma->sim = sim_create(&sim_config);
    if (gcma->sim == NULL)
        gcma_die("no board", "simulator");
    config.port = sim_port(gcma->sim);
    nbytes = cma_system_size(&gcma->map, &config);
    gcma->storage = gcma_calloc(1, nbytes);
    if (nbytes == 0 ||
        cma_system_init(&gcma->system, &gcma->map, &config, gcma->storage, nbytes) != 0)
        gcma_die("no board", "system");
    gcma->area = gcma->system.default_area;
}

static uint32_t gcma_align(uint64_t npages)
{
    return 1u << policy_linux_order(npages);
}

static uint64_t gcma_moves(const struct gcma *gcma, uint64_t npages)
{
    return npages / gcma->options->moves;
}

/* All promises are made at boot, the largest first. */
static void gcma_promise(struct gcma *gcma)
{
    for (uint32_t i = GCMA_SIZES; i-- > 0;) {
        struct cma_guarantee_request request = {
            .npages = gcma->cells[i].npages,
            .count = 1,
            .max_moves = (uint32_t)gcma_moves(gcma, gcma->cells[i].npages),
            .align_npages = gcma_align(gcma->cells[i].npages),
            .owner = i + 1,
        };
        struct cma_admission why;

        if (cma_guarantee_admit(&gcma->system.guarantees, &gcma->promised[i], gcma->area, &request,
                                &why) != 0)
            gcma_die("not admitted", cma_reason_name(why.refusal.reason));
    }
}

static void gcma_boot(struct gcma *gcma)
{
    struct gcma_load_config config = {
        .seed = gcma->options->seed,
        .shrink = gcma->options->shrink,
        .pins_in_place = gcma->mode == GCMA_LINUX,
    };

    gcma_map(gcma);
    gcma_system(gcma);
    for (uint32_t i = 0; i < GCMA_SIZES; i++) {
        uint64_t npages = gcma_npages[i] / gcma->options->shrink;

        gcma->cells[i].npages = npages != 0 ? npages : 1;
    }
    if (gcma->mode == GCMA_GUARANTEED)
        gcma_promise(gcma);
    if (gcma->mode == GCMA_LINUX &&
        linux_area_init(&gcma->linux_area, gcma->sim, &gcma->system.frames, gcma->area,
                        gcma->ranges[1].base >> 12, 12) != 0)
        gcma_die("no board", "not enough memory");
    config.sim = gcma->sim;
    config.system = &gcma->system;
    gcma->load = gcma_load_create(&config);
}

/* --- asking ---------------------------------------------------------------------------------- */

struct gcma_answer {
    cma_pfn_t pfn;
    uint64_t page; /* of the area, under Linux's policy */
    uint64_t dropped;
};

static int gcma_claim(struct gcma *gcma, const struct cma_area_request *request,
                      struct gcma_answer *answer)
{
    struct cma_refusal refusal;

    return cma_area_alloc(gcma->area, request, &answer->pfn, &refusal);
}

struct gcma_taking {
    struct gcma *gcma;
    uint32_t owner;
    struct gcma_answer *answer;
};

static int gcma_take(void *ctx, uint64_t first, uint64_t npages)
{
    struct gcma_taking *taking = ctx;
    cma_pfn_t pfn = taking->gcma->linux_area.policy.first_pfn + first;
    const struct cma_area_request request = {
        .npages = npages,
        .paddr_first = pfn << 12,
        .paddr_last = ((pfn + npages) << 12) - 1,
        .owner = taking->owner,
        .flags = CMA_CLAIM_NOWAIT,
    };

    return gcma_claim(taking->gcma, &request, taking->answer) != 0 ? LINUX_EBUSY : 0;
}

static int gcma_ask_linux(struct gcma *gcma, uint32_t i, struct gcma_answer *answer)
{
    struct gcma_taking taking = {gcma, i + 1, answer};
    struct linux_request request = {
        .npages = gcma->cells[i].npages,
        .order = policy_linux_order(gcma->cells[i].npages),
        .ctx = &taking,
        .take = gcma_take,
    };
    int error = linux_area_alloc(&gcma->linux_area, &request);

    answer->page = request.page;
    return error;
}

static int gcma_ask(struct gcma *gcma, uint32_t i, struct gcma_answer *answer)
{
    struct cma_area_request request = {
        .npages = gcma->cells[i].npages,
        .align_npages = gcma_align(gcma->cells[i].npages),
        .owner = i + 1,
    };
    struct cma_guarantee_work work = {0, 0, 0};
    struct cma_refusal refusal;
    struct cma_area_stats stats;
    uint64_t before;
    int error;

    if (gcma->mode == GCMA_GUARANTEED) {
        error = cma_guarantee_take(&gcma->promised[i], &answer->pfn, &work, &refusal);
        answer->dropped = work.dropped;
        return error;
    }
    cma_area_stats(gcma->area, &stats);
    before = stats.dropped_npages;
    error = gcma->mode == GCMA_LINUX ? gcma_ask_linux(gcma, i, answer)
                                     : gcma_claim(gcma, &request, answer);
    cma_area_stats(gcma->area, &stats);
    answer->dropped = stats.dropped_npages - before;
    return error;
}

static int gcma_give_back(struct gcma *gcma, uint32_t i, const struct gcma_answer *answer)
{
    uint64_t npages = gcma->cells[i].npages;

    if (gcma->mode == GCMA_GUARANTEED)
        return cma_guarantee_release(&gcma->promised[i], answer->pfn, true);
    if (gcma->mode == GCMA_LINUX)
        policy_linux_release(&gcma->linux_area.policy, answer->page, npages);
    return cma_area_release(gcma->area, answer->pfn, npages, i + 1);
}

/* What is in nobody's hands, and what of it is at work for others: of the slot, or of the area. */
static void gcma_count_lent(struct gcma *gcma, uint32_t i)
{
    struct gcma_cell *cell = &gcma->cells[i];
    struct cma_guarantee_stats promised;
    struct cma_area_stats area;

    if (gcma->mode == GCMA_GUARANTEED) {
        cma_guarantee_stats(&gcma->promised[i], &promised);
        cell->idle_sum += promised.idle_npages;
        cell->lent_sum += promised.lent_npages;
        return;
    }
    cma_area_stats(gcma->area, &area);
    cell->idle_sum += area.npages - area.claimed_npages;
    cell->lent_sum += area.kept_npages + area.droppable_npages;
}

static void gcma_request(struct gcma *gcma, uint32_t i)
{
    struct gcma_cell *cell = &gcma->cells[i];
    struct sim *sim = gcma->sim;
    struct gcma_answer answer = {0, 0, 0};
    uint64_t copied, began, ns;
    int error;

    gcma_count_lent(gcma, i);
    copied = sim_self_copied_pages(sim);
    began = sim_now_ns(sim);
    error = gcma_ask(gcma, i, &answer);
    ns = sim_now_ns(sim) - began;
    copied = sim_self_copied_pages(sim) - copied;
    if (error != 0) {
        cell->failed++;
        cell->failed_ns = ns > cell->failed_ns ? ns : cell->failed_ns;
    } else {
        cell->samples[cell->n++] = (struct gcma_sample){ns, copied, answer.dropped};
        if (copied > gcma_moves(gcma, cell->npages) || answer.dropped > cell->npages)
            cell->above++;
        sim_sleep_ns(sim, GCMA_HOLD_NS);
        if (gcma_give_back(gcma, i, &answer) != 0)
            gcma_die("not given back", gcma_names[gcma->mode]);
    }
    sim_sleep_ns(sim, GCMA_REST_NS + cell->npages * gcma->options->shrink * GCMA_REST_PAGE_NS);
}

static void gcma_client(void *arg)
{
    struct gcma *gcma = arg;

    sim_sleep_ns(gcma->sim, GCMA_REST_NS);
    for (uint64_t round = 0; round < gcma->options->rounds; round++)
        for (uint32_t i = 0; i < GCMA_SIZES; i++)
            gcma_request(gcma, i);
    gcma_load_stop(gcma->load);
}

/* --- what came of it ------------------------------------------------------------------------- */

struct gcma_figures {
    double least, median, mean, worst, ratio; /* us */
    double copied, dropped;                   /* mean */
    unsigned long long copied_worst, dropped_worst;
    double lent; /* share of what is in no device's hands */
};

static int gcma_order(const void *a, const void *b)
{
    uint64_t x = ((const struct gcma_sample *)a)->ns, y = ((const struct gcma_sample *)b)->ns;

    return x < y ? -1 : x > y;
}

static struct gcma_figures gcma_figures(struct gcma_cell *cell)
{
    struct gcma_figures figures = {0};
    double n = (double)cell->n;

    figures.lent = cell->idle_sum != 0 ? (double)cell->lent_sum / (double)cell->idle_sum : 0;
    if (cell->n == 0)
        return figures;
    qsort(cell->samples, cell->n, sizeof(cell->samples[0]), gcma_order);
    figures.least = (double)cell->samples[0].ns / 1e3;
    figures.median = (double)cell->samples[(cell->n - 1) / 2].ns / 1e3;
    figures.worst = (double)cell->samples[cell->n - 1].ns / 1e3;
    figures.ratio = figures.worst / figures.median;
    for (size_t i = 0; i < cell->n; i++) {
        const struct gcma_sample *sample = &cell->samples[i];

        figures.mean += (double)sample->ns / 1e3 / n;
        figures.copied += (double)sample->copied / n;
        figures.dropped += (double)sample->dropped / n;
        if (sample->copied > figures.copied_worst)
            figures.copied_worst = sample->copied;
        if (sample->dropped > figures.dropped_worst)
            figures.dropped_worst = sample->dropped;
    }
    return figures;
}

static void gcma_line(const struct gcma *gcma, struct gcma_cell *cell)
{
    const struct gcma_figures figures = gcma_figures(cell);
    unsigned long long npages = cell->npages, failed = cell->failed;

    if (gcma->options->json) {
        printf("{\"kind\":\"gcma\",\"rep\":0,\"mode\":\"%s\",\"seed\":%llu,\"shrink\":%llu,"
               "\"pages\":%llu,\"n\":%zu,\"failed\":%llu,\"failed_us\":%.3f,\"min_us\":%.3f,"
               "\"median_us\":%.3f,\"mean_us\":%.3f,\"max_us\":%.3f,\"copied\":%.1f,"
               "\"copied_max\":%llu,\"dropped\":%.1f,\"dropped_max\":%llu,\"moves\":%llu,"
               "\"lent\":%.4f}\n",
               gcma_names[gcma->mode], (unsigned long long)gcma->options->seed,
               (unsigned long long)gcma->options->shrink, npages, cell->n, failed,
               (double)cell->failed_ns / 1e3, figures.least, figures.median, figures.mean,
               figures.worst, figures.copied, figures.copied_worst, figures.dropped,
               figures.dropped_worst, (unsigned long long)gcma_moves(gcma, npages), figures.lent);
        return;
    }
    printf("%7llu %10.1f %10.1f %10.1f %10.1f %8.2f %8.1f %6llu %8.1f %6llu %7llu %6.1f\n", npages,
           figures.least, figures.median, figures.mean, figures.worst, figures.ratio,
           figures.copied, figures.copied_worst, figures.dropped, figures.dropped_worst, failed,
           100 * figures.lent);
}

static void gcma_print(struct gcma *gcma)
{
    uint64_t jobs, kept, cached;

    if (!gcma->options->json)
        printf("%s%s\n  pages        min     median       mean        max  max/med"
               "   copies   most    drops   most refused lent %%\n",
               gcma->mode == GCMA_GUARANTEED ? "" : "\n", gcma_titles[gcma->mode]);
    for (uint32_t i = 0; i < GCMA_SIZES; i++)
        if (i == 0 || gcma->cells[i].npages != gcma->cells[i - 1].npages)
            gcma_line(gcma, &gcma->cells[i]);
    gcma_load_counts(gcma->load, &jobs, &kept, &cached);
    printf(gcma->options->json
               ? "{\"kind\":\"gcma-load\",\"rep\":0,\"mode\":\"%s\",\"compiled\":%llu,"
                 "\"seconds\":%.3f,\"kept\":%llu,\"cached\":%llu}\n"
               : "%s: %llu files compiled in %.1f simulated seconds; in the end programs held %llu "
                 "pages, the page cache %llu\n",
           gcma_names[gcma->mode], (unsigned long long)jobs, (double)sim_now_ns(gcma->sim) / 1e9,
           (unsigned long long)kept, (unsigned long long)cached);
    fflush(stdout);
}

static void gcma_check(struct gcma *gcma)
{
    const char *wrong = gcma_load_verify(gcma->load);

    if (wrong != NULL)
        gcma_die("wrong", wrong);
    if (gcma->linux_area.violation != NULL)
        gcma_die("wrong", gcma->linux_area.violation);
}

/* One board from boot to end. Returns whether a promise was broken. */
static bool gcma_run(const struct gcma_options *options, enum gcma_mode mode)
{
    struct gcma *gcma = gcma_calloc(1, sizeof(*gcma));
    bool broken = false;

    gcma->options = options;
    gcma->mode = mode;
    gcma_boot(gcma);
    gcma_load_fill(gcma->load);
    gcma_load_start(gcma->load);
    sim_spawn(gcma->sim, "client", gcma_client, gcma);
    sim_run(gcma->sim);
    gcma_check(gcma);
    gcma_print(gcma);
    for (uint32_t i = 0; i < GCMA_SIZES; i++)
        broken = broken || (mode == GCMA_GUARANTEED &&
                            (gcma->cells[i].failed != 0 || gcma->cells[i].above != 0));
    gcma_load_free(gcma->load);
    if (mode == GCMA_LINUX)
        linux_area_free(&gcma->linux_area);
    free(gcma->storage);
    sim_destroy(gcma->sim);
    free(gcma);
    return broken;
}

static uint64_t gcma_number(const char *word, uint64_t least, uint64_t most)
{
    char *end;
    uint64_t value = word != NULL ? strtoull(word, &end, 0) : 0;

    if (word == NULL || *word == '\0' || *end != '\0' || value < least || value > most)
        gcma_die("not a number that will do", word != NULL ? word : "none");
    return value;
}

static void gcma_parse(struct gcma_options *options, int argc, char **argv)
{
    bool named = false;

    for (int i = 1; i < argc; i++) {
        uint32_t mode = 0;

        while (mode < GCMA_MODES && strcmp(argv[i], gcma_names[mode]) != 0)
            mode++;
        if (mode < GCMA_MODES)
            options->modes[mode] = named = true;
        else if (strcmp(argv[i], "--json") == 0)
            options->json = true;
        else if (strcmp(argv[i], "-r") == 0)
            options->rounds = gcma_number(argv[++i], 1, GCMA_ROUNDS_MAX);
        else if (strcmp(argv[i], "--seed") == 0)
            options->seed = gcma_number(argv[++i], 0, UINT64_MAX);
        else if (strcmp(argv[i], "--moves") == 0)
            options->moves = gcma_number(argv[++i], 1, UINT64_MAX);
        else if (strcmp(argv[i], "--shrink") == 0)
            options->shrink = gcma_number(argv[++i], 1, 64);
        else
            gcma_die("usage: gcma [-r ROUNDS] [--seed N] [--shrink N] [--moves N] [--json] "
                     "[guaranteed|ordinary|linux]...",
                     argv[i]);
    }
    for (uint32_t mode = 0; !named && mode < GCMA_MODES; mode++)
        options->modes[mode] = true;
}

int main(int argc, char **argv)
{
    struct gcma_options options = {.seed = 1, .rounds = 32, .shrink = 1, .moves = GCMA_MOVES};
    bool broken = false;

    gcma_parse(&options, argc, argv);
    if (!options.json)
        printf("%llu requests a size, simulated microseconds, seed %llu\n\n",
               (unsigned long long)options.rounds, (unsigned long long)options.seed);
    for (uint32_t mode = 0; mode < GCMA_MODES; mode++)
        if (options.modes[mode])
            broken = gcma_run(&options, (enum gcma_mode)mode) || broken;
    return broken;
}
