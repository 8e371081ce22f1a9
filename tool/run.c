/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run.c - `cma run BOARD`: boots a board in the simulator and puts it to work
 */
#include "draw.h"
#include "run.h"
#include "verbs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RUN_SECONDS 5
#define RUN_SECONDS_MAX 100000
#define RUN_PINS_MAX 100 /* each is a fibre */

static void run_help(void)
{
    fputs(
        "usage: cma run BOARD [options]\n"
        "       cma run --scenario FILE [BOARD] [options]\n"
        "\n"
        "Boots the board in a simulator, fills its memory to the brim with live data, and has its\n"
        "devices stream video, stop and start again. A device's memory is lent to that data\n"
        "while the device is idle, and has to be given back in one piece when it starts. Every\n"
        "page and every picture carries a pattern, and in the end every byte is compared.\n"
        "What is filled is memory of this machine: 90 percent of 2 GiB are 1.8 GiB.\n"
        "\n"
        "Each device with an area streams NV12 pictures with 6 buffers, in the largest of 1080p,\n"
        "720p, VGA and QVGA whose six buffers fit the area. If no device has one, a camera is\n"
        "added on the default area; if there is no area at all, one is added too, and said so.\n"
        "A device that the board promises blocks (libcma,guarantee-blocks: docs/BINDINGS.md) asks "
        "for\n"
        "these instead: they are admitted at boot, lent to the page cache while the device is "
        "off,\n"
        "and must never be refused. Devices of one group take turns.\n"
        "The devices may use their areas only, so that each refusal is seen. Pools are kept "
        "aside;\n"
        "nothing is allocated from them.\n"
        "\n"
        "  --seconds N          how long the devices work, in simulated seconds. Default: 5\n"
        "  --fill PERCENT       how much of free and lent memory is filled. Default: 90. The rest\n"
        "                       is held back by the page allocator, as a kernel does. Areas\n"
        "                       are lent in full even if that is more\n"
        "  --droppable PERCENT  how much of that is page cache, which may be dropped and always\n"
        "                       wants more; the rest are programs' pages, so many and no more,\n"
        "                       which have to be carried. Default: 50\n"
        "  --seed N             another run: the same seed is the same run to the last bit.\n"
        "                       Default: 1\n"
        "  --pins N             how many pages are pinned at any time, each for 20 ms, as by "
        "direct\n"
        "                       I/O. Default: 1\n"
        "  --policy NAME        who chooses where buffers lie: libcma, or linux: what cma_alloc "
        "of\n"
        "                       Linux 7.3 would do on this board. Default: libcma\n"
        "  --compare            runs the same load under both, and prints the two side by side\n"
        "  --scenario FILE      the file says which devices work in which formats, when they are\n"
        "                       opened and closed, on which board, and what the rest of memory\n"
        "                       does (docs/SCENARIO.md). Options said here win over the file\n"
        "  --out DIR            draws maps of memory, PNG and SVG, into DIR: before the devices\n"
        "                       stream, when most of them do, and in the end. Of a scenario's\n"
        "                       cameras and decoders also three pictures, as PNG\n",
        stdout);
    fputs(board_options_help, stdout);
    fputs(
        "\n"
        "Linux's policy is first fit from the beginning of the area, each buffer aligned to its\n"
        "size up to 256 pages. A window is emptied 32 pages at a time, before it is known whether\n"
        "all of it can be had; at a page that does not leave in 5 tries it is given up, what "
        "moved\n"
        "stays moved, and the next is tried one alignment further. Short references, locked\n"
        "handles and pins keep a page from leaving. A pin of this load moves the page out of an\n"
        "area first under libcma; Linux does that for pins that are said to last (FOLL_LONGTERM)\n"
        "and not for those of direct I/O, so under its policy the page stays where it is.\n"
        "Linux has no guarantees, quotas or size classes: its devices ask for the same blocks, "
        "and\n"
        "may be refused.\n",
        stdout);
    fputs(
        "\n"
        "What is printed:\n"
        "  requests     buffers that devices asked for; a refusal has a reason, and a second,\n"
        "               naive search over all frames says whether it was right\n"
        "  latency      from asking to having, in simulated microseconds (a table of costs, not\n"
        "               a measurement of silicon), and how many pages were copied for it\n"
        "  lent share   of the areas' frames that no device had, how many held somebody's data,\n"
        "               averaged over the simulated time in which data waited for memory\n"
        "  promised     requests for promised blocks, and what the worst of them cost, against "
        "what\n"
        "               was promised; the share of the slots' pages that held data while no "
        "device\n"
        "               had them and the page cache wanted more\n"
        "  wasted       copies out of windows that were given up afterwards\n"
        "  avoidable    (--compare) refusals where the naive search finds room, for a buffer that\n"
        "               may begin at any page\n"
        "  bytes lost   bytes of pages and pictures that were not what they had to be\n"
        "\n"
        "examples:\n"
        "  cma run examples/boards/omap1-camera.dts\n"
        "  cma run board.dtb --memory 2G --cmdline cma=64M --droppable 0 --json\n"
        "  cma run examples/boards/omap1-camera.dts --compare --pins 20\n"
        "  cma run --scenario examples/scenarios/camera-full-cache.txt\n"
        "  cma run --scenario examples/scenarios/four-cameras.txt --seconds 10 --compare\n"
        "\n"
        "exit codes: 0 done (refusals are results); 1 a byte was lost, the books were wrong, or a\n"
        "            promise was broken;\n"
        "            2 bad usage or a tree that can't be read\n",
        stdout);
}

void run_die(const char *why)
{
    fprintf(stderr, "cma: %s on this machine\n", why);
    exit(EXIT_USAGE);
}

void *run_calloc(size_t count, size_t nbytes)
{
    void *memory = calloc(count, nbytes);

    if (memory == NULL)
        run_die("not enough memory");
    return memory;
}

void run_sample(struct run_samples *samples, uint64_t value)
{
    if (samples->count == samples->max) {
        samples->max = samples->max != 0 ? 2 * samples->max : 256;
        samples->values = realloc(samples->values, samples->max * sizeof(*samples->values));
        if (samples->values == NULL)
            run_die("not enough memory");
    }
    samples->values[samples->count++] = value;
}

static int run_order(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;

    return (*a > *b) - (*a < *b);
}

uint64_t run_quantile(struct run_samples *samples, unsigned per_mille)
{
    size_t rank = (samples->count * per_mille + 999) / 1000;

    if (samples->count == 0)
        return 0;
    qsort(samples->values, samples->count, sizeof(*samples->values), run_order);
    return samples->values[rank != 0 ? rank - 1 : 0];
}

uint64_t run_ratio(uint64_t part, uint64_t whole)
{
    while (part > UINT64_MAX / 10000) {
        part /= 2;
        whole /= 2;
    }
    return whole != 0 ? part * 10000 / whole : 0;
}

enum {
    RUN_SECONDS_OPTION = BOARD_OPTION_LAST,
    RUN_FILL,
    RUN_DROPPABLE,
    RUN_SEED,
    RUN_PINS,
    RUN_POLICY,
    RUN_COMPARE,
    RUN_SCENARIO,
    RUN_OUT
};

static int run_number(const char *name, const char *value, uint64_t least, uint64_t most,
                      uint64_t *number)
{
    if (board_number(value, number) == 0 && *number >= least && *number <= most)
        return 0;
    fprintf(stderr, "cma: --%s %s: a number from %llu to %llu is wanted\n", name, value,
            (unsigned long long)least, (unsigned long long)most);
    return EXIT_USAGE;
}

static int run_policy(const char *value, enum run_policy *policy)
{
    if (strcmp(value, "libcma") == 0)
        *policy = RUN_LIBCMA;
    else if (strcmp(value, "linux") == 0)
        *policy = RUN_LINUX;
    else {
        fprintf(stderr, "cma: --policy %s: libcma or linux is wanted\n", value);
        return EXIT_USAGE;
    }
    return 0;
}

static int run_option(struct run_options *options, int option, const char *value)
{
    if (option >= BOARD_OPTION_LAST)
        options->given |= 1u << (option - BOARD_OPTION_LAST);
    switch (option) {
    case RUN_SECONDS_OPTION:
        return run_number("seconds", value, 1, RUN_SECONDS_MAX, &options->seconds);
    case RUN_FILL: return run_number("fill", value, 0, 100, &options->fill);
    case RUN_DROPPABLE: return run_number("droppable", value, 0, 100, &options->droppable);
    case RUN_SEED: return run_number("seed", value, 0, UINT64_MAX, &options->seed);
    case RUN_PINS: return run_number("pins", value, 0, RUN_PINS_MAX, &options->pins);
    case RUN_POLICY: return run_policy(value, &options->policy);
    case RUN_COMPARE: options->compare = true; return 0;
    case RUN_SCENARIO: options->scenario_file = value; return 0;
    case RUN_OUT: options->out = value; return 0;
    default: return board_option(&options->board, option, value);
    }
}

/* What the command line did not say, the scenario does. */
static int run_scenario_options(struct run_options *options)
{
    const struct scenario *scenario = &options->scenario->said;
    const struct {
        int option;
        bool said;
        uint64_t value;
        uint64_t *to;
    } numbers[] = {
        {RUN_SECONDS_OPTION, scenario->seconds != 0, scenario->seconds, &options->seconds},
        {RUN_FILL, scenario->has_fill, scenario->fill, &options->fill},
        {RUN_DROPPABLE, scenario->has_droppable, scenario->droppable, &options->droppable},
        {RUN_SEED, scenario->has_seed, scenario->seed, &options->seed},
        {RUN_PINS, scenario->has_pins, scenario->pins, &options->pins},
    };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (numbers[i].said &&
            (options->given & 1u << (numbers[i].option - BOARD_OPTION_LAST)) == 0)
            *numbers[i].to = numbers[i].value;
    if (scenario->has_cmdline && options->board.cmdline == NULL)
        options->board.cmdline = scenario->cmdline;
    if (scenario->memory_nbytes != 0 && options->board.nmemory == 0)
        options->board.memory[options->board.nmemory++].nbytes = scenario->memory_nbytes;
    if (scenario->granule_page && options->board.granule_nbytes == 0)
        return board_option(&options->board, BOARD_GRANULE, "page");
    return 0;
}

/* Returns 0, an exit code, or -1: help was printed. */
static int run_parse(struct run_options *options, int argc, char **argv)
{
    static const struct option longs[] = {
        BOARD_OPTIONS,
        {"seconds", required_argument, NULL, RUN_SECONDS_OPTION},
        {"fill", required_argument, NULL, RUN_FILL},
        {"droppable", required_argument, NULL, RUN_DROPPABLE},
        {"seed", required_argument, NULL, RUN_SEED},
        {"pins", required_argument, NULL, RUN_PINS},
        {"policy", required_argument, NULL, RUN_POLICY},
        {"compare", no_argument, NULL, RUN_COMPARE},
        {"scenario", required_argument, NULL, RUN_SCENARIO},
        {"out", required_argument, NULL, RUN_OUT},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option, error;

    while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        if (option == 'h') {
            run_help();
            return -1;
        }
        error = option == '?' ? EXIT_USAGE : run_option(options, option, optarg);
        if (error != 0) {
            fputs("cma: see cma run --help\n", stderr);
            return error;
        }
    }
    if (options->scenario_file != NULL && optind >= argc - 1) {
        error = run_scenario_load(options, argv[optind]); /* NULL: the file's board */
        if (error == 0)
            error = run_scenario_options(options);
        return error;
    }
    if (optind != argc - 1) {
        fputs(optind == argc ? "cma: run: which board? A .dtb or .dts file\n"
                             : "cma: run: one board at a time\n",
              stderr);
        fputs("cma: see cma run --help\n", stderr);
        return EXIT_USAGE;
    }
    options->board.file = argv[optind];
    return 0;
}

/* Loads the board and runs it to the end; prints nothing but, where that is wanted, the board. */
static int run_board(struct run *run, bool tell)
{
    int error = board_load(&run->board, &run->options.board);

    if (error == 0 && run->options.out != NULL && draw_directory(run->options.out) != 0)
        error = EXIT_USAGE;
    if (error == 0)
        error = run_boot(run);
    if (error != 0)
        return error;
    if (tell && !run->options.board.json)
        report_text_board(run);
    fflush(stdout);
    run_fill(run);
    for (uint32_t i = 0; i < run->nareas; i++)
        run_picture(run, &run->areas[i], RUN_BEFORE);
    run_draw_map(run, "map-1-before", "Before any device streams: what is kept for them is lent");
    run_load(run);
    run_draw_map(run, "map-3-after", "In the end: the devices have given their buffers back");
    for (uint32_t i = 0; i < run->nareas; i++)
        run_picture(run, &run->areas[i], RUN_AFTER);
    run_verify(run);
    return run_draw_write(run);
}

static int run_judge(const struct run *run)
{
    return run->result.bytes_lost != 0 || run->result.violation != NULL ? EXIT_LOST : 0;
}

/* libcma's policy, then Linux's. A refusal is no error under either; a lost byte is under both, for
 * libcma moves the pages for both. */
static int run_both(const struct run_options *options)
{
    struct run own = {.options = *options}, peer = {.options = *options};
    int error;

    own.options.policy = RUN_LIBCMA;
    peer.options.policy = RUN_LINUX;
    error = run_board(&own, true);
    if (error == 0)
        error = run_board(&peer, false);
    if (error == 0 && !options->board.json)
        report_compare(&own, &peer);
    else if (error == 0 && report_compare_json(&own, &peer) != 0)
        error = EXIT_USAGE;
    if (error == 0)
        error = run_judge(&own) != 0 ? run_judge(&own) : run_judge(&peer);
    run_free(&own);
    run_free(&peer);
    return error;
}

static int run_one(struct run *run)
{
    int error = run_board(run, true);

    if (error == 0 && !run->options.board.json)
        report_text(run);
    else if (error == 0 && report_json(run) != 0)
        error = EXIT_USAGE;
    if (error == 0)
        error = run_judge(run);
    run_free(run);
    return error;
}

int verb_run(int argc, char **argv)
{
    struct run run = {
        .options = {.seed = 1, .seconds = RUN_SECONDS, .fill = 90, .droppable = 50, .pins = 1},
    };
    struct run_options *options = &run.options;
    int error = run_parse(options, argc, argv);

    if (error == 0)
        error = options->compare ? run_both(options) : run_one(&run);
    run_scenario_free(options);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fputs("cma: not all of the report could be written\n", stderr);
        error = error <= 0 ? EXIT_USAGE : error;
    }
    return error < 0 ? 0 : error;
}
