/* SPDX-License-Identifier: BSD-2-Clause */
/* report.c - what `cma run` says to people */
#include "run.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void report_name(const char *text)
{
    for (size_t i = 0; text[i] != '\0'; i++)
        putchar((unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i]);
}

static void report_device_name(const struct run_device *device)
{
    report_name(device->path[0] != '\0' ? device->path : "camera (added for this run)");
}

/* "99.87 %" of a part in a whole. */
static const char *report_percent(uint64_t part, uint64_t whole, char text[32])
{
    uint64_t ratio = run_ratio(part, whole);

    if (whole == 0)
        snprintf(text, 32, "none");
    else
        snprintf(text, 32, "%" PRIu64 ".%02" PRIu64 " %%", ratio / 100, ratio % 100);
    return text;
}

static void report_kinds(const struct run_device *device)
{
    printf(", %s pictures in ", device->format->name);
    if (device->nkinds == 0)
        fputs("buffers of another device", stdout);
    for (uint32_t i = 0; i < device->nkinds; i++)
        printf("%s%" PRIu32 " %sbuffers of %" PRIu64 " pages", i != 0 ? ", and " : "",
               device->kinds[i].count, device->kinds[i].promised ? "promised " : "",
               device->kinds[i].npages);
}

static void report_area(struct run *run, const struct run_area *area)
{
    struct cma_area_stats stats;
    char size[16];

    cma_area_stats(area->area, &stats);
    printf("area ");
    report_name(area->range->name);
    printf(": %s at %#" PRIx64, board_size(area->range->nbytes, size), area->range->base);
    printf("%s, for\n", (area->range->flags & CMA_RANGE_DEFAULT) != 0 ? ", the default" : "");
    for (uint32_t i = 0; i < run->ndevices; i++) {
        const struct run_device *device = &run->devices[i];

        if (device->area != area)
            continue;
        printf("    ");
        report_device_name(device);
        if (device->format != NULL)
            report_kinds(device);
        else
            printf(", which stays idle: %s", device->idle_because);
        putchar('\n');
    }
}

void report_text_board(struct run *run)
{
    const struct cma_range *memory;
    uint64_t total = 0;
    char size[16];

    for (uint32_t i = 0; (memory = cma_map_memory(&run->board.map, i)) != NULL; i++)
        total += memory->nbytes;
    report_name(run->board.fdt.model[0] != '\0' ? run->board.fdt.model : "(no model name)");
    printf("\n%s of memory, run for %" PRIu64 " simulated second%s with seed %" PRIu64 "\n",
           board_size(total, size), run->options.seconds, run->options.seconds == 1 ? "" : "s",
           run->options.seed);
    if (run->options.policy == RUN_LINUX)
        puts("Linux's policy chooses where buffers lie, and what is moved for them.");
    if (run->options.scenario != NULL) {
        printf("Scenario: ");
        report_name(run->options.scenario->said.title[0] != '\0' ? run->options.scenario->said.title
                                                                 : run->options.scenario_file);
        putchar('\n');
    }
    if (run->area_added)
        puts("The board keeps no memory for devices: an area was added for this run.");
    if (run->camera_added)
        puts("No device of the board has an area: a camera was added for this run.");
    if (run->board.fdt.problems.count != 0)
        printf("The tree has %" PRIu32 " problems; cma layout names them.\n",
               run->board.fdt.problems.count);
    putchar('\n');
    for (uint32_t i = 0; i < run->nareas; i++)
        report_area(run, &run->areas[i]);
}

static void report_pictures(struct run *run)
{
    static const char *const moments[RUN_MOMENTS] = {"filled", "at work", "after"};

    puts("\nWhat was in the areas, each in a line:\n"
         "    .  nothing    d  page cache, can be dropped    m  programs' data, has to be carried\n"
         "    #  a device's buffers");
    for (uint32_t i = 0; i < run->nareas; i++) {
        const struct run_area *area = &run->areas[i];

        putchar('\n');
        report_name(area->range->name);
        putchar('\n');
        for (int moment = 0; moment < RUN_MOMENTS; moment++)
            if (area->pictures[moment][0] != '\0')
                printf("    %-8s |%s|\n", moments[moment], area->pictures[moment]);
    }
}

static const char *report_mover(void *ctx, uint32_t mover)
{
    static const char *const names[RUN_NSTORES] = {"the page cache", "programs", "handles"};
    const struct run *run = ctx;

    for (int i = 0; i < RUN_NSTORES; i++)
        if (run->stores[i] != NULL && sim_store_mover(run->stores[i]) == mover)
            return names[i];
    return NULL;
}

static const char *report_owner(void *ctx, uint32_t owner)
{
    const struct run *run = ctx;

    if (owner == 0 || owner > run->ndevices)
        return NULL;
    return run->devices[owner - 1].path[0] != '\0' ? run->devices[owner - 1].path : "the camera";
}

void report_sentence(const struct run *run, const struct run_failure *failure,
                     char text[SENTENCE_NBYTES])
{
    struct sentence_context context = {
        .npages = failure->npages,
        .change_owner = failure->change_owner,
        .page_shift = run->board.page_shift,
        .mover_name = report_mover,
        .owner_name = report_owner,
        .ctx = (void *)(uintptr_t)run,
    };

    if (run->options.policy == RUN_LINUX)
        snprintf(text, SENTENCE_NBYTES,
                 "%" PRIu64 " pages refused: ret: %d, which is all that Linux says.",
                 failure->npages, failure->refusal.code);
    else
        sentence_refusal(text, SENTENCE_NBYTES, &context, &failure->refusal);
}

static void report_failure(const struct run *run, const struct run_failure *failure)
{
    char text[SENTENCE_NBYTES];

    printf("    %" PRIu64 " x  ", failure->count);
    report_device_name(failure->device);
    printf(", first after %" PRIu64 " ms: ", failure->at_us / 1000);
    report_sentence(run, failure, text);
    report_name(text);
    putchar('\n');
}

static void report_oracle(const struct run *run)
{
    const struct run_result *result = &run->result;

    if (result->questions == 0)
        return;
    if (run->options.policy == RUN_LINUX)
        printf("    a naive search over all frames finds room for %" PRIu64 " of these requests\n",
               result->disagreements);
    else
        printf("    a naive search over all frames agrees with %" PRIu64 " of these refusals%s\n",
               result->questions - result->disagreements,
               result->disagreements != 0 ? ": THE OTHERS ARE A BUG" : "");
}

static void report_requests(struct run *run)
{
    struct run_result *result = &run->result;

    printf("\nrequests       %" PRIu64 " buffers asked for, %" PRIu64 " given, %" PRIu64
           " refused\n",
           result->requests, result->succeeded, result->failed);
    for (const struct run_failure *failure = result->failures; failure != NULL;
         failure = failure->next)
        report_failure(run, failure);
    report_oracle(run);
    if (result->succeeded == 0)
        return;
    printf("latency        median %" PRIu64 " us, 99 of 100 within %" PRIu64 " us, worst %" PRIu64
           " us (simulated)\n",
           run_quantile(&result->latency_ns, 500) / 1000,
           run_quantile(&result->latency_ns, 990) / 1000,
           run_quantile(&result->latency_ns, 1000) / 1000);
    printf("    page copies for it: median %" PRIu64 ", 99 of 100 within %" PRIu64
           ", worst %" PRIu64 "\n",
           run_quantile(&result->copies, 500), run_quantile(&result->copies, 990),
           run_quantile(&result->copies, 1000));
}

static void report_streams(struct run *run)
{
    uint64_t starts = 0, pictures = 0, late = 0;

    for (uint32_t i = 0; i < run->ndevices; i++) {
        starts += run->devices[i].starts;
        pictures += run->devices[i].pictures;
        late += run->devices[i].late;
    }
    printf("streams        started %" PRIu64 " times, %" PRIu64 " pictures, %" PRIu64
           " of them late\n",
           starts, pictures, late);
}

void report_text(struct run *run)
{
    struct run_result *result = &run->result;
    uint64_t copied = 0, dropped = 0, idle = 0, lent = 0;
    char percent[32], demand[32], cache[32];

    for (uint32_t i = 0; i < run->nareas; i++) {
        struct cma_area_stats stats;

        cma_area_stats(run->areas[i].area, &stats);
        copied += stats.copied_npages;
        dropped += stats.dropped_npages;
        idle += run->areas[i].idle_frame_us;
        lent += run->areas[i].lent_frame_us;
    }
    printf("\nfilled         %" PRIu64 " of %" PRIu64 " pages (%s), %s of them page cache\n",
           result->pages_live, result->pages_all,
           report_percent(result->pages_live, result->pages_all, percent),
           report_percent(result->pages_droppable, result->pages_live, cache));
    report_pictures(run);
    report_requests(run);
    report_text_promises(run);
    report_streams(run);
    printf("moved          %" PRIu64 " pages copied out of areas, %" PRIu64 " dropped; %" PRIu64
           " copies were wasted\n",
           copied, dropped, result->wasted_copies);
    if (run->options.policy == RUN_LINUX)
        printf("    %" PRIu64 " windows were tried for it, %" PRIu64 " of them given up\n",
               result->windows, result->windows_left);
    printf("lent           %s of the areas' frames that no device had held data\n"
           "    while data waited for memory, which was %s of the time\n",
           report_percent(lent, idle, percent),
           report_percent(result->demand_us, result->load_us, demand));
    printf("bytes lost     %" PRIu64 " (all bytes of %" PRIu64 " pages and %" PRIu64
           " buffers were compared)\n",
           result->bytes_lost, result->pages_checked, result->succeeded);
    if (result->violation != NULL)
        printf("THE BOOKS ARE WRONG: %s\n", result->violation);
    if (run->options.scenario != NULL)
        report_text_scenario(run);
    report_text_drawings(run);
}
