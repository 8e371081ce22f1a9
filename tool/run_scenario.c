/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run_scenario.c - devices that are opened and closed when a scenario says so
 *
 * A picture is due one period after the device was to be open, and once each period from then on,
 * whether it got its buffers or not: who is refused, or waits, misses pictures, and they count as
 * dropped. A refused device tries again, as a program would, ten times a second until it is to be
 * closed.
 *
 * What a device does while it is open is behind struct scenario_device_ops.
 */
#include "run.h"

#include "json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCENARIO_RETRY_NS 100000000ull
#define SCENARIO_WAIT_NS 1000000ull /* for another of the group to close */

/* --- the file --------------------------------------------------------------------------------- */

/* "examples/scenarios/x.txt" and "../boards/b.dts" are "examples/scenarios/../boards/b.dts". */
static char *scenario_beside(const char *file, const char *name)
{
    const char *slash = name[0] != '/' ? strrchr(file, '/') : NULL;
    size_t folder = slash != NULL ? (size_t)(slash - file) + 1 : 0;
    char *path = run_calloc(1, folder + strlen(name) + 1);

    memcpy(path, file, folder);
    memcpy(path + folder, name, strlen(name) + 1);
    return path;
}

/* Says so, with the line that names it, when the board's file can't be read. */
static int scenario_board(const struct run_options *options, const char *path)
{
    struct stat about;
    int error = access(path, R_OK) != 0 || stat(path, &about) != 0 ? errno
                : S_ISDIR(about.st_mode)                           ? EISDIR
                                                                   : 0;

    if (error != 0)
        fprintf(stderr, "cma: %s:%" PRIu32 ": expected a board that can be read, not %s: %s\n",
                options->scenario_file, options->scenario->said.board_line, path, strerror(error));
    return error != 0 ? EXIT_USAGE : 0;
}

int run_scenario_load(struct run_options *options, const char *board)
{
    struct run_scenario *scenario = run_calloc(1, sizeof(*scenario));
    char *text = run_calloc(1, SCENARIO_FILE_NBYTES + 1);
    FILE *file = fopen(options->scenario_file, "rb");
    struct scenario_error error;
    size_t nbytes = 0;
    int result = -1;

    options->scenario = scenario;
    if (file != NULL) /* one byte too many is enough to know */
        nbytes = fread(text, 1, SCENARIO_FILE_NBYTES + 1, file);
    if (file == NULL || ferror(file))
        fprintf(stderr, "cma: %s: %s\n", options->scenario_file, strerror(errno));
    else
        result = scenario_parse(&scenario->said, text, nbytes, &error);
    if (file != NULL && !ferror(file) && result != 0) {
        fprintf(stderr, "cma: %s:", options->scenario_file);
        if (error.line != 0)
            fprintf(stderr, "%" PRIu32 ":", error.line);
        fprintf(stderr, " %s\n", error.text);
    }
    if (file != NULL)
        fclose(file);
    free(text);
    if (result != 0)
        return EXIT_USAGE;
    options->board.file = board;
    if (board == NULL) {
        scenario->board = scenario_beside(options->scenario_file, scenario->said.board);
        options->board.file = scenario->board;
        result = scenario_board(options, scenario->board);
    }
    return result;
}

void run_scenario_free(struct run_options *options)
{
    if (options->scenario != NULL)
        free(options->scenario->board);
    free(options->scenario);
    options->scenario = NULL;
}

/* --- the board --------------------------------------------------------------------------------
 */

/* Who simulates it. */
static const struct scenario_device_ops *scenario_ops(const struct run_device *device)
{
    return run_queue_serves(device) ? &run_queue_ops : &run_stream_ops;
}

static int scenario_find_node(struct run *run, uint32_t number)
{
    const struct scenario_device *device = &run->options.scenario->said.devices[number];

    run->scenario_nodes[number] = CMA_NODE_NONE;
    if (device->node[0] == '\0')
        return 0;
    for (uint32_t i = 0; i < run->board.fdt.ndevices; i++)
        if (strcmp(board_path(&run->board, run->board.fdt.devices[i].node), device->node) == 0) {
            run->scenario_nodes[number] = i;
            return 0;
        }
    fprintf(stderr,
            "cma: %s:%" PRIu32 ": expected the path of a device of %s that is enabled, not "
            "'%s'\n",
            run->options.scenario_file, device->node_line, run->options.board.file, device->node);
    return EXIT_USAGE;
}

/* The group's number; a new one when no device before has it. */
static uint32_t scenario_group(const struct scenario *scenario, uint32_t number)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i <= number; i++) {
        uint32_t first = 0;

        while (strcmp(scenario->devices[first].group, scenario->devices[i].group) != 0)
            first++;
        count += first == i && scenario->devices[i].group[0] != '\0';
        if (strcmp(scenario->devices[i].group, scenario->devices[number].group) == 0)
            return scenario->devices[number].group[0] != '\0' ? count : 0;
    }
    return 0;
}

/* Largest blocks first: small ones find a place between them, not the other way round. */
static void scenario_insert(struct run *run, const struct cma_fdt_guarantee *said)
{
    uint32_t at = run->board.fdt.nguarantees++;

    while (at > 0 && run->scenario_promises[at - 1].nbytes < said->nbytes) {
        run->scenario_promises[at] = run->scenario_promises[at - 1];
        at--;
    }
    run->scenario_promises[at] = *said;
}

int run_scenario_boot(struct run *run)
{
    const struct scenario *scenario = &run->options.scenario->said;

    run->scenario_promises = run_calloc((size_t)SCENARIO_DEVICES_MAX * SCENARIO_PLANES_MAX,
                                        sizeof(*run->scenario_promises));
    run->board.fdt.guarantees = run->scenario_promises;
    run->board.fdt.nguarantees = run->board.fdt.ngroups = 0;
    for (uint32_t i = 0; i < scenario->ndevices; i++) {
        const struct scenario_device *device = &scenario->devices[i];
        const char *problem = run_queue_problem(scenario, i);
        uint32_t group = scenario_group(scenario, i);

        if (problem != NULL) {
            fprintf(stderr, "cma: %s:%" PRIu32 ": %s '%s': %s\n", run->options.scenario_file,
                    device->line, scenario_kind_name(device->kind), device->name, problem);
            return EXIT_USAGE;
        }
        if (scenario_find_node(run, i) != 0)
            return EXIT_USAGE;
        if (group > run->board.fdt.ngroups)
            run->board.fdt.ngroups = group;
        for (uint32_t plane = 0; device->promise && plane < device->format.nplanes; plane++)
            scenario_insert(run, &(struct cma_fdt_guarantee){
                                     .device = i,
                                     .node = CMA_NODE_NONE,
                                     .entry = plane,
                                     .count = device->nbuffers,
                                     .max_moves = device->max_moves,
                                     .nbytes = device->format.plane_nbytes[plane],
                                     .group = group != 0 ? device->group : NULL,
                                     .group_number = group,
                                 });
    }
    return 0;
}

/* --- at work ----------------------------------------------------------------------------------
 */

static void scenario_sleep_until(struct run *run, uint64_t ns)
{
    uint64_t now = sim_now_ns(run->sim);

    if (now < ns)
        sim_sleep_ns(run->sim, ns - now);
}

/* Tries until it has all buffers. False: it had none of it before it was to be closed. */
static bool scenario_open(struct run_device *device, const struct scenario_device_ops *ops,
                          uint64_t until_ns)
{
    struct run *run = device->run;

    for (uint64_t now = sim_now_ns(run->sim); now < until_ns; now = sim_now_ns(run->sim)) {
        uint64_t wait = SCENARIO_WAIT_NS;

        if (run_promise_open(device)) {
            if (ops->open(device))
                return true;
            run_promise_close(device);
            device->refused_opens++;
            wait = SCENARIO_RETRY_NS;
        }
        scenario_sleep_until(run, now + wait < until_ns ? now + wait : until_ns);
    }
    return false;
}

/* The device is to be open in this time. */
static void scenario_session(struct run_device *device, uint64_t from_ns, uint64_t until_ns)
{
    const struct scenario_device_ops *ops = scenario_ops(device);
    uint64_t period = 1000000000ull / device->scenario->rate;
    struct run *run = device->run;
    uint64_t late;

    device->opens++;
    if (!scenario_open(device, ops, until_ns)) {
        run_queue_dropped(device, (until_ns - from_ns) / period);
        return;
    }
    late = sim_now_ns(run->sim) - from_ns;
    if (late > device->slowest_open_ns)
        device->slowest_open_ns = late;
    if (late > until_ns - from_ns)
        late = until_ns - from_ns;
    device->starts++;
    if (device->area->pictures[RUN_DURING][0] == '\0')
        run_picture(run, device->area, RUN_DURING);
    run_queue_dropped(device, late / period);
    run_draw_streaming(run, true);
    ops->work(device, from_ns + (late / period + 1) * period, period, until_ns);
    run_draw_streaming(run, false);
    ops->close(device);
    run_promise_close(device);
}

void run_scenario_stream(void *arg)
{
    struct run_device *device = arg;
    struct run *run = device->run;
    uint64_t at_us = 0, from_us, until_us, ends_us = (run->ends_ns - run->began_ns) / 1000;

    while (!run_queue_follows(device) &&
           (scenario_is_open(device->scenario, at_us, &from_us, &until_us) || from_us < ends_us)) {
        if (from_us >= ends_us)
            break;
        if (until_us > ends_us)
            until_us = ends_us;
        scenario_sleep_until(run, run->began_ns + from_us * 1000);
        scenario_session(device, run->began_ns + from_us * 1000, run->began_ns + until_us * 1000);
        at_us = until_us;
        if (at_us >= ends_us)
            break;
    }
    run->streaming--;
    run_queue_end(device);
}

/* --- what it came to --------------------------------------------------------------------------
 */

uint64_t run_scenario_dropped(const struct run *run)
{
    uint64_t dropped = 0;

    for (uint32_t i = 0; i < run->ndevices; i++)
        dropped += run->devices[i].dropped;
    return dropped;
}

/* Pages of all that the devices of an area want at a time; of a group, what the largest does. */
static uint64_t scenario_wanted(const struct run *run, const struct run_area *area)
{
    uint64_t npages = 0, groups[SCENARIO_DEVICES_MAX + 1] = {0};
    uint64_t counts[SCENARIO_DEVICES_MAX + 1] = {0};

    for (uint32_t i = 0; i < run->ndevices; i++) {
        const struct run_device *device = &run->devices[i];
        uint32_t group = scenario_group(&run->options.scenario->said, i);

        for (uint32_t k = 0; device->area == area && k < device->nkinds; k++) {
            const struct run_kind *kind = &device->kinds[k];

            if (group == 0) {
                npages += kind->npages * kind->count;
                continue;
            }
            if (groups[group] < kind->npages)
                groups[group] = kind->npages;
            if (counts[group] < kind->count)
                counts[group] = kind->count;
        }
    }
    for (uint32_t i = 0; i <= SCENARIO_DEVICES_MAX; i++)
        npages += groups[i] * counts[i];
    return npages;
}

/* The size of an area that would do, 0: this one does. */
static uint64_t scenario_wanted_nbytes(const struct run *run, const struct run_area *area)
{
    uint64_t granule = run->board.rules.granule_nbytes;
    uint64_t wanted = scenario_wanted(run, area) << run->board.page_shift;

    if (wanted <= area->range->nbytes)
        return 0;
    return (wanted + (granule - 1)) & ~(granule - 1);
}

static void scenario_report_device(const struct run_device *device)
{
    const struct scenario_device *said = device->scenario;

    printf("    %s %s: %s, %" PRIu32 " a second: opened %" PRIu64 " of %" PRIu64 " times, %" PRIu64
           " tries refused,\n"
           "        %" PRIu64 " of %" PRIu64 " frames, %" PRIu64 " dropped",
           scenario_kind_name(said->kind), said->name, device->format->name, said->rate,
           device->starts, device->opens, device->refused_opens, device->pictures,
           device->pictures + device->dropped, device->dropped);
    if (device->starts != 0)
        printf("; slowest opening %" PRIu64 " us", device->slowest_open_ns / 1000);
    putchar('\n');
}

void report_text_scenario(struct run *run)
{
    uint64_t opens = 0, starts = 0, pictures = 0, stale = 0;
    uint64_t dropped = run_scenario_dropped(run);
    char now[32], then[32];

    puts("\nscenario");
    for (uint32_t i = 0; i < run->ndevices; i++) {
        scenario_report_device(&run->devices[i]);
        opens += run->devices[i].opens;
        starts += run->devices[i].starts;
        pictures += run->devices[i].pictures;
        stale += run->devices[i].bytes_wrong;
    }
    for (uint32_t i = 0; i < run->nareas; i++) {
        uint64_t wanted = scenario_wanted_nbytes(run, &run->areas[i]);

        if (wanted == 0)
            continue;
        printf("    AREA TOO SMALL: ");
        report_name(run->areas[i].range->name);
        printf(" has %s, and its devices want %" PRIu64 " pages: %s would do\n",
               promise_size(run->areas[i].range->nbytes, now), scenario_wanted(run, &run->areas[i]),
               promise_size(wanted, then));
    }
    printf("result         %" PRIu64 " of %" PRIu64 " openings; %" PRIu64 " of %" PRIu64
           " frames, %" PRIu64 " dropped; %" PRIu64 " bytes lost, %" PRIu64 " stale bytes\n",
           starts, opens, pictures, pictures + dropped, dropped, run->result.bytes_lost - stale,
           stale);
}

void report_json_scenario(struct json *json, struct run *run)
{
    uint64_t pictures = 0, stale = 0;

    json_open(json, "scenario", '{');
    json_string(json, "title", run->options.scenario->said.title);
    json_open(json, "devices", '[');
    for (uint32_t i = 0; i < run->ndevices; i++) {
        const struct run_device *device = &run->devices[i];

        pictures += device->pictures;
        stale += device->bytes_wrong;
        json_open(json, NULL, '{');
        json_string(json, "name", device->scenario->name);
        json_string(json, "kind", scenario_kind_name(device->scenario->kind));
        json_number(json, "rate", device->scenario->rate);
        json_number(json, "opens", device->opens);
        json_number(json, "opened", device->starts);
        json_number(json, "refused_tries", device->refused_opens);
        json_number(json, "frames", device->pictures);
        json_number(json, "dropped", device->dropped);
        json_number(json, "slowest_open_us", device->slowest_open_ns / 1000);
        json_number(json, "stale_bytes", device->bytes_wrong);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_open(json, "areas_too_small", '[');
    for (uint32_t i = 0; i < run->nareas; i++) {
        uint64_t wanted = scenario_wanted_nbytes(run, &run->areas[i]);

        if (wanted == 0)
            continue;
        json_open(json, NULL, '{');
        json_string(json, "name", run->areas[i].range->name);
        json_hex(json, "size", run->areas[i].range->nbytes);
        json_hex(json, "would_do", wanted);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_number(json, "frames", pictures);
    json_number(json, "dropped", run_scenario_dropped(run));
    json_number(json, "lost_bytes", run->result.bytes_lost - stale);
    json_number(json, "stale_bytes", stale);
    json_close(json, '}');
}
