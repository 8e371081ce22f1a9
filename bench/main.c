/* SPDX-License-Identifier: BSD-2-Clause */
/* main.c - reads the command line, loads the peers, runs one sort of cells */
#include "bench.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

static const struct kind {
    const char *name;
    int (*run)(const struct options *options);
    const char *summary;
    const char *mib, *occupancy;
    bool bound; /* to one processor */
} kinds[] = {
    {"area", area_cells, "cost of requests and releases, by area size and occupancy",
     "64,1024,16384,262144", "50,90", true},
    {"coherent", area_cells, "the same of one device's own memory, and what rounding loses", "1024",
     "50,100", true},
    {"packing", packing_cells, "how much of an area can be used, over many seeds", "1024", "90",
     true},
    {"threads", threads_cells, "two threads on one area, against two areas", "64,1024", "50",
     false},
    {"migrate", migrate_cells, "claims where pages must move first: copies, failures", "256", "90",
     true},
    {"evacuate", evacuate_cells, "emptying a window of 64 MiB, against memcpy", "64", "90", true},
    {"pages", pages_cells, "one page allocated and freed, one thread and two", "64", "90", false},
    {"pools", pools_cells, "items of one size for a device, one thread and two", "64", "90", false},
    {"bounce", bounce_cells, "mappings through a bounce pool that others keep full", "64", "50,90",
     true},
    {"copy", copy_cells, "memcpy of pages", "64", "90", true},
    {"check", check_cells, "is a peer right: overlap, bounds, alignment (exit code 1: wrong)", "64",
     "80", true},
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static int main_help(FILE *out)
{
    fputs("usage: bench KIND [options] PEER.so...\n"
          "\n"
          "kinds:\n",
          out);
    for (size_t i = 0; i < KINDS; i++) {
        fprintf(out, "  %-9s %s\n", kinds[i].name, kinds[i].summary);
    }
    fputs("\n"
          "options:\n"
          "  -a MIB,...      area sizes\n"
          "  -m MIX,...      single, camera, mixed\n"
          "  -o PERCENT,...  occupancies\n"
          "  -b NAME,...     only these peers (a plug-in can hold several)\n"
          "  -n STEPS        of each cell; every peer does as many\n"
          "  -r N            repetitions of all, peers alternating (threads, evacuate: rounds)\n"
          "  -w              Linux: write each struct page of a buffer, as a real success does\n"
          "  --movable P     migrate: percent of what is neither pinned nor in use (90)\n"
          "  --pinned P      migrate: percent of the area (0.1)\n"
          "  --run N         migrate: pages in a row that are in one state (1)\n"
          "  --seeds N       packing: that many seeds (20)\n"
          "  --seed N        packing: where they begin (from the clock)\n"
          "  --rep N         number of the first repetition, for the report (0)\n"
          "  --json          one JSON object a line\n",
          out);
    return out == stderr ? 2 : 0;
}

static void main_numbers(const char *list, uint64_t *values, uint64_t *n)
{
    char *end;

    for (*n = 0; *n < 8; list = end + 1) {
        values[(*n)++] = strtoull(list, &end, 10);
        if (end == list || (*end && *end != ',')) {
            bench_die("not a list of numbers", list);
        }
        if (!*end) {
            return;
        }
    }
    bench_die("more than 8 numbers", list);
}

static bool main_listed(const char *list, const char *name)
{
    size_t length = strlen(name);

    for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        if (strncmp(at, name, length) == 0 && (at[length] == ',' || at[length] == 0)) {
            return true;
        }
    }
    return list == NULL;
}

static void main_load(struct options *options, const char *path, const char *names)
{
    char absolute[4096];
    peer_get_function get;
    const struct peer *peer;
    void *handle;

    if (!realpath(path, absolute)) {
        bench_die("no such plug-in", path);
    }
    handle = dlopen(absolute, RTLD_LAZY | RTLD_LOCAL);
    if (!handle) {
        bench_die("can't load", dlerror());
    }
    get = (peer_get_function)dlsym(handle, "peer_get");
    for (uint32_t i = 0; get && (peer = get(i)) != NULL; i++) {
        if (main_listed(names, peer->name)) {
            if (options->npeers == 32) {
                bench_die("too many peers", path);
            }
            options->peers[options->npeers++] = peer;
        }
    }
}

struct words {
    const char *mib, *mixes, *occupancy, *names;
};

/* Returns whether `word` is an option that takes a value, having used it. */
static bool main_option(struct options *options, struct words *words, const char *word,
                        const char *value)
{
    if (!strcmp(word, "-a")) {
        words->mib = value;
    } else if (!strcmp(word, "-m")) {
        words->mixes = value;
    } else if (!strcmp(word, "-o")) {
        words->occupancy = value;
    } else if (!strcmp(word, "-b")) {
        words->names = value;
    } else if (!strcmp(word, "-n")) {
        options->steps = strtoull(value, NULL, 10);
    } else if (!strcmp(word, "-r")) {
        options->repetitions = (uint32_t)strtoul(value, NULL, 10);
    } else if (!strcmp(word, "--movable")) {
        options->movable_percent = (uint32_t)strtoul(value, NULL, 10);
    } else if (!strcmp(word, "--pinned")) {
        options->pinned_percent = strtod(value, NULL);
    } else if (!strcmp(word, "--run")) {
        options->run = (uint32_t)strtoul(value, NULL, 10);
    } else if (!strcmp(word, "--seeds")) {
        options->seeds = (uint32_t)strtoul(value, NULL, 10);
    } else if (!strcmp(word, "--seed")) {
        options->seed = strtoull(value, NULL, 10);
    } else if (!strcmp(word, "--rep")) {
        options->first_repetition = (uint32_t)strtoul(value, NULL, 10);
    } else {
        return false;
    }
    return true;
}

/* Returns the index of the first plug-in. */
static int main_read(struct options *options, struct words *words, int argc, char **argv)
{
    int i = 2;

    while (i < argc && argv[i][0] == '-') {
        if (!strcmp(argv[i], "-w")) {
            options->touch = true;
            i++;
        } else if (!strcmp(argv[i], "--json")) {
            output_json(true);
            i++;
        } else if (i + 1 < argc && main_option(options, words, argv[i], argv[i + 1])) {
            i += 2;
        } else {
            bench_die("unknown option, or no value for it", argv[i]);
        }
    }
    return i;
}

int main(int argc, char **argv)
{
    struct options options = {.kind = argc > 1 ? argv[1] : "",
                              .run = 1,
                              .movable_percent = 90,
                              .pinned_percent = 0.1,
                              .repetitions = 1,
                              .seeds = 20};
    struct words words = {0};
    const struct kind *kind = NULL;
    uint64_t occupancies[8], n;
    int first;

    if (!strcmp(options.kind, "--help") || !strcmp(options.kind, "-h")) {
        return main_help(stdout);
    }
    for (size_t i = 0; i < KINDS; i++) {
        kind = strcmp(options.kind, kinds[i].name) ? kind : &kinds[i];
    }
    if (!kind) {
        return main_help(stderr);
    }
    first = main_read(&options, &words, argc, argv);
    options.coherent = !strcmp(options.kind, "coherent");
    options.named = words.names != NULL;
    for (int i = first; i < argc; i++) {
        main_load(&options, argv[i], words.names);
    }
    main_numbers(words.mib ? words.mib : kind->mib, options.mib, &options.nmib);
    main_numbers(words.occupancy ? words.occupancy : kind->occupancy, occupancies, &n);
    options.noccupancies = (uint32_t)n;
    for (uint64_t i = 0; i < n; i++) {
        options.occupancy[i] = (uint32_t)occupancies[i];
    }
    for (uint32_t m = 0; m < MIX_COUNT; m++) {
        options.mixes[m] = main_listed(words.mixes, mix_names[m]);
    }
    if (!options.repetitions || !options.run || !options.seeds) {
        bench_die("not a count", "0");
    }
    options.seed = options.seed ? options.seed : (uint64_t)(clock_seconds() * 1e6);
    if (kind->bound) {
        clock_use_processor(-1);
    }
    clock_calibrate();
    output_begin("clock", NULL, 0);
    output_number("tick_ns", clock_tick_ns);
    output_number("grain_ns", (double)clock_grain_nticks * clock_tick_ns);
    output_number("overhead_ns", clock_overhead_nticks * clock_tick_ns);
    output_end();
    return kind->run(&options);
}
