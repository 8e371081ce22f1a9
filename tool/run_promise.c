/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run_promise.c - what the board promises its devices, in a run: admitted at boot, asked for at
 * each start of a stream, and at the end compared with what it cost
 *
 * A device with a guarantee that was admitted asks for its blocks; any other for six pictures in
 * the largest format that its area holds. Linux has no guarantees: under its policy they are
 * admitted only to know which, and revoked, so that its devices ask for the same buffers.
 */
#include "json.h"
#include "run.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct run_format promise_formats[] = {
    {"1080p", 1920, 1080},
    {"720p", 1280, 720},
    {"VGA", 640, 480},
    {"QVGA", 320, 240},
};
static const struct run_format promise_bytes = {"raw", 0, 0};

/* NV12: a byte of brightness for each dot, two of colour for each four dots. */
static uint64_t promise_format_nbytes(const struct run_format *format)
{
    return 3ull * format->width * format->height / 2;
}

static uint64_t promise_pages(const struct run *run, uint64_t nbytes)
{
    uint64_t page = 1ull << run->board.page_shift;

    return nbytes / page + (nbytes % page != 0);
}

/* --- what a device asks for ---------------------------------------------------------------------
 */

/* The longest part of the area that the device reaches, in pages. */
static uint64_t promise_reachable(const struct run *run, const struct run_device *device)
{
    const struct cma_range *range = device->area->range;
    cma_paddr_t first, last, top = range->base + (range->nbytes - 1);
    uint64_t longest = 0;

    for (uint32_t i = 0; cma_device_reach(&device->dma, UINT64_MAX, i, &first, &last) == 0; i++) {
        if (first > top || last < range->base)
            continue;
        first = first > range->base ? first : range->base;
        last = last < top ? last : top;
        if (((last - first) + 1) >> run->board.page_shift > longest)
            longest = ((last - first) + 1) >> run->board.page_shift;
    }
    return longest;
}

static void promise_add_kind(struct run_device *device, uint64_t nbytes, uint32_t count,
                             const struct cma_fdt_guarantee *said)
{
    struct run_kind *kind = &device->kinds[device->nkinds];
    bool libcma = device->run->options.policy == RUN_LIBCMA;

    if (count > RUN_BUFFERS_MAX - device->nbuffers)
        count = RUN_BUFFERS_MAX - device->nbuffers;
    if (device->nkinds == RUN_KINDS_MAX || count == 0)
        return;
    *kind = (struct run_kind){
        .nbytes = nbytes,
        .npages = promise_pages(device->run, nbytes),
        .count = count,
        .group = said != NULL ? said->group_number : 0,
        .promised = said != NULL && libcma,
    };
    for (uint32_t i = 0; i < count; i++) {
        struct run_buffer *buffer = &device->buffers[device->nbuffers++];

        buffer->nbytes = kind->nbytes;
        buffer->npages = kind->npages;
        buffer->promised = kind->promised;
    }
    device->nkinds++;
}

/* Nobody promised it anything. */
static void promise_choose_format(struct run *run, struct run_device *device)
{
    uint64_t npages = promise_reachable(run, device);

    for (size_t i = 0; i < sizeof(promise_formats) / sizeof(promise_formats[0]); i++) {
        uint64_t nbytes = promise_format_nbytes(&promise_formats[i]);

        if (RUN_NBUFFERS * promise_pages(run, nbytes) > npages)
            continue;
        device->format = &promise_formats[i];
        promise_add_kind(device, nbytes, RUN_NBUFFERS, NULL);
        return;
    }
    device->idle_because = "its area is too small, or too far away, for six pictures of QVGA";
}

/* What was promised and admitted: the largest blocks hold pictures. */
static void promise_choose_blocks(struct run_device *device, const struct cma_fdt_guarantee *said)
{
    uint64_t nbytes = said->nbytes;

    if (device->nkinds == 0) {
        device->format = &promise_bytes;
        for (size_t i = 0; i < sizeof(promise_formats) / sizeof(promise_formats[0]); i++)
            if (promise_format_nbytes(&promise_formats[i]) <= said->nbytes) {
                device->format = &promise_formats[i];
                nbytes = promise_format_nbytes(&promise_formats[i]);
                break;
            }
    }
    promise_add_kind(device, nbytes, said->count, said);
}

/* What a scenario says, each plane of a picture in a block of its own. */
static void promise_choose_scenario(struct run *run, uint32_t index)
{
    struct run_device *device = &run->devices[index];
    const struct scenario_format *format = &device->scenario->format;

    /* A display that reads a scaler's frames has none of its own. */
    for (uint32_t plane = 0; plane < format->nplanes; plane++) {
        const struct cma_fdt_guarantee *said = NULL;

        for (uint32_t i = 0; i < run->promises.count; i++)
            if (run->promises.list[i].error == 0 && run->promises.list[i].said->device == index &&
                run->promises.list[i].said->entry == plane)
                said = run->promises.list[i].said;
        if (device->scenario->kind == SCENARIO_DISPLAY && device->scenario->reads)
            break;
        promise_add_kind(device, format->plane_nbytes[plane], device->scenario->nbuffers, said);
    }
    snprintf(device->scenario_format_name, sizeof(device->scenario_format_name),
             "%s %" PRIu32 "x%" PRIu32, format->name, format->picture.width,
             format->picture.height);
    device->scenario_format = (struct run_format){
        device->scenario_format_name,
        format->picture.width,
        format->picture.height,
    };
    device->format = &device->scenario_format;
}

static struct run_device *promise_run_device(struct run *run, uint32_t index)
{
    if (run->options.scenario != NULL)
        return &run->devices[index]; /* whose devices are all there, in its order */
    for (uint32_t i = 0; i < run->ndevices; i++)
        if (run->devices[i].node == &run->board.fdt.devices[index])
            return &run->devices[i];
    return NULL;
}

static struct cma_device *promise_device(void *ctx, uint32_t index)
{
    struct run_device *device = promise_run_device(ctx, index);

    return device != NULL && device->idle_because == NULL ? &device->dma : NULL;
}

/* Admission takes time and sleeps, so it is a fibre's work. */
static void promise_admit_all(void *arg)
{
    struct run *run = arg;

    if (promises_admit(&run->promises, &run->system, promise_device, run) != 0)
        run_die("not enough memory");
    for (uint32_t i = 0; i < run->promises.count; i++) {
        struct promise *promise = &run->promises.list[i];

        if (promise->error != 0)
            continue;
        if (run->options.scenario == NULL)
            promise_choose_blocks(promise_run_device(run, promise->said->device), promise->said);
        if (run->options.policy == RUN_LINUX &&
            cma_device_revoke(promise->device, &promise->promise) != 0)
            run->result.violation = "a guarantee could not be revoked";
    }
}

int run_promise(struct run *run)
{
    run->open = run_calloc(run->board.fdt.ngroups + 1, sizeof(struct run_device *));
    if (run->promises.count != 0) {
        sim_spawn(run->sim, "boot", promise_admit_all, run);
        sim_run(run->sim);
    }
    for (uint32_t i = 0; i < run->ndevices; i++)
        if (run->options.scenario != NULL)
            promise_choose_scenario(run, i);
        else if (run->devices[i].nkinds == 0 && run->devices[i].idle_because == NULL)
            promise_choose_format(run, &run->devices[i]);
    return 0;
}

/* --- never open together --------------------------------------------------------------------- */

bool run_promise_open(struct run_device *device)
{
    struct run *run = device->run;

    for (uint32_t i = 0; i < device->nkinds; i++)
        if (device->kinds[i].group != 0 && run->open[device->kinds[i].group] != NULL)
            return false;
    for (uint32_t i = 0; i < device->nkinds; i++)
        if (device->kinds[i].group != 0)
            run->open[device->kinds[i].group] = device;
    return true;
}

void run_promise_close(struct run_device *device)
{
    for (uint32_t i = 0; i < device->nkinds; i++)
        if (device->kinds[i].group != 0)
            device->run->open[device->kinds[i].group] = NULL;
}

/* --- promised against used ---------------------------------------------------------------------
 */

void run_promise_sample(struct run *run)
{
    struct cma_slot_info info;
    uint64_t us = 1000;

    /* Slots are lent to what can be dropped first of all, and it is the page cache that wants. */
    if (run->promises.nadmitted == 0 || run->options.policy != RUN_LIBCMA ||
        run->options.droppable == 0)
        return;
    for (uint32_t i = 0; cma_guarantees_slot(&run->system.guarantees, i, &info) == 0; i++) {
        if (info.out)
            continue;
        run->result.slot_idle_us += info.npages * us;
        run->result.slot_lent_us += info.lent_npages * us;
    }
}

/* Pages dropped for one block at most: of its slot, which in a group is another's. */
static uint64_t promise_drops(const struct run *run, const struct promise *promise)
{
    uint64_t most = promise->block_npages;

    for (uint32_t i = 0; promise->nshared != 0 && i < run->promises.count; i++) {
        const struct promise *other = &run->promises.list[i];

        if (other->error == 0 && other->said->group_number == promise->said->group_number &&
            other->block_npages > most)
            most = other->block_npages;
    }
    return most;
}

/* TLB flushes of one block at most. */
static uint32_t promise_flushes(const struct promise *promise)
{
    uint32_t moves = promise->said->max_moves < promise->block_npages
                         ? promise->said->max_moves
                         : (uint32_t)promise->block_npages;

    return moves / CMA_GUARANTEE_BATCH + (moves % CMA_GUARANTEE_BATCH != 0) + 1;
}

void run_promise_judge(struct run *run)
{
    struct cma_slot_info info;

    for (uint32_t i = 0; run->promises.nadmitted != 0 &&
                         cma_guarantees_slot(&run->system.guarantees, i, &info) == 0;
         i++) {
        run->result.nslots++;
        run->result.slot_npages += info.npages;
    }
    if (run->result.broken != 0)
        run->result.violation = "a promised block was refused";
    for (uint32_t i = 0; i < run->promises.count; i++) {
        const struct promise *promise = &run->promises.list[i];
        struct cma_guarantee_stats stats;

        if (promise->error != 0)
            continue;
        cma_guarantee_stats(&promise->promise.guarantee, &stats);
        if (stats.copied_worst > promise->said->max_moves ||
            stats.dropped_worst > promise_drops(run, promise) ||
            stats.flushes_worst > promise_flushes(promise))
            run->result.violation = "a promised block cost more than was promised";
    }
}

static const char *promise_path(const struct run *run, const struct promise *promise)
{
    struct run_device *device =
        promise_run_device((struct run *)(uintptr_t)run, promise->said->device);

    return device != NULL ? device->path : "?";
}

/* --- text ---------------------------------------------------------------------------------------
 */

static void promise_report(const struct run *run, const struct promise *promise)
{
    struct cma_guarantee_stats stats;
    char text[SENTENCE_NBYTES];

    promise_text(promise, text, sizeof(text));
    fputs("    ", stdout);
    report_name(promise_path(run, promise));
    printf(": %s", text);
    if (promise->error != 0) {
        promise_sentence(&run->promises, promise, text);
        printf("\n        NOT ADMITTED: %s\n", text);
        return;
    }
    cma_guarantee_stats(&promise->promise.guarantee, &stats);
    printf("\n        taken %" PRIu64 " times, up to %" PRIu32 " at a time\n", stats.taken,
           stats.live_worst);
    printf("        at worst for one block: %" PRIu32 " of %" PRIu32 " copies, %" PRIu32
           " of %" PRIu64 " pages dropped, %" PRIu32 " of %" PRIu32 " flushes\n",
           stats.copied_worst, promise->said->max_moves, stats.dropped_worst,
           promise_drops(run, promise), stats.flushes_worst, promise_flushes(promise));
}

void report_text_promises(struct run *run)
{
    const struct run_result *result = &run->result;
    uint64_t share = run_ratio(result->slot_lent_us, result->slot_idle_us);

    if (run->promises.count == 0)
        return;
    if (run->options.policy == RUN_LINUX) {
        puts("promised       nothing: Linux has no guarantees, so what the board promises was\n"
             "    asked for like any other buffer");
        return;
    }
    printf("promised       %" PRIu64 " of the buffers asked for, %" PRIu64 " of these refused\n",
           result->promised, result->broken);
    for (uint32_t i = 0; i < run->promises.count; i++)
        promise_report(run, &run->promises.list[i]);
    if (result->nslots == 0)
        return;
    printf("    %" PRIu64 " slots with %" PRIu64 " pages", result->nslots, result->slot_npages);
    if (result->slot_idle_us != 0)
        printf("; those that no device had held data in %" PRIu64 ".%02" PRIu64
               " %% of their pages\n    while the page cache wanted more",
               share / 100, share % 100);
    putchar('\n');
}

/* --- JSON ---------------------------------------------------------------------------------------
 */

static void promise_json(struct json *json, const struct run *run, const struct promise *promise)
{
    struct cma_guarantee_stats stats;
    char text[SENTENCE_NBYTES];

    json_open(json, NULL, '{');
    json_string(json, "device", promise_path(run, promise));
    json_number(json, "blocks", promise->said->count);
    json_number(json, "pages_a_block", promise->block_npages);
    json_number(json, "max_moves", promise->said->max_moves);
    json_bool(json, "admitted", promise->error == 0);
    if (promise->error != 0) {
        promise_sentence(&run->promises, promise, text);
        json_string(json, "reason", cma_reason_name(promise->why.refusal.reason));
        json_string(json, "sentence", text);
    } else if (run->options.policy == RUN_LIBCMA) {
        cma_guarantee_stats(&promise->promise.guarantee, &stats);
        json_number(json, "taken", stats.taken);
        json_number(json, "at_a_time", stats.live_worst);
        json_number(json, "copied_worst", stats.copied_worst);
        json_number(json, "dropped_worst", stats.dropped_worst);
        json_number(json, "dropped_most", promise_drops(run, promise));
        json_number(json, "flushes_worst", stats.flushes_worst);
        json_number(json, "flushes_most", promise_flushes(promise));
    }
    json_close(json, '}');
}

void report_json_promises(struct json *json, struct run *run)
{
    const struct run_result *result = &run->result;

    json_number(json, "promised", result->promised);
    json_number(json, "broken_promises", result->broken);
    json_number(json, "slots", result->nslots);
    json_number(json, "slot_pages", result->slot_npages);
    json_real(json, "slot_lent_share",
              result->slot_idle_us != 0
                  ? (double)run_ratio(result->slot_lent_us, result->slot_idle_us) / 10000.0
                  : (double)NAN);
    json_open(json, "guarantees", '[');
    for (uint32_t i = 0; i < run->promises.count; i++)
        promise_json(json, run, &run->promises.list[i]);
    json_close(json, ']');
}
