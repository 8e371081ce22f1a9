/* SPDX-License-Identifier: BSD-2-Clause */
/* report_json.c - what `cma run --json` says to programs: nothing in it comes from this host */
#include "run.h"

#include "json.h"

#include <math.h>

/* A ratio in steps of 0.0001, so that no compiler's rounding shows; null when there is nothing. */
static void json_ratio(struct json *json, const char *key, uint64_t part, uint64_t whole)
{
    json_real(json, key, whole != 0 ? (double)run_ratio(part, whole) / 10000.0 : (double)NAN);
}

static void json_quantiles(struct json *json, const char *key, struct run_samples *samples,
                           uint64_t unit)
{
    static const struct {
        const char *key;
        unsigned per_mille;
    } quantiles[] = {{"median", 500}, {"p99", 990}, {"max", 1000}};

    json_open(json, key, '{');
    for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++)
        if (samples->count != 0)
            json_number(json, quantiles[i].key,
                        run_quantile(samples, quantiles[i].per_mille) / unit);
        else
            json_real(json, quantiles[i].key, (double)NAN);
    json_close(json, '}');
}

/* What would have let it succeed; frames are named by their address. */
static void json_change(struct json *json, const struct cma_refusal *refusal, uint32_t page_shift)
{
    static const char *const names[CMA_CHANGE_COUNT] = {
        [CMA_CHANGE_NONE] = "none",       [CMA_CHANGE_FRAME] = "frame",
        [CMA_CHANGE_ROOM] = "room",       [CMA_CHANGE_ALIGN] = "align",
        [CMA_CHANGE_LIMIT] = "limit",     [CMA_CHANGE_NPAGES] = "pages",
        [CMA_CHANGE_RELEASE] = "release",
    };

    json_string(json, "change", names[refusal->change]);
    if (refusal->change == CMA_CHANGE_FRAME || refusal->change == CMA_CHANGE_RELEASE)
        json_hex(json, "change_frame", refusal->change_value << page_shift);
    else if (refusal->change == CMA_CHANGE_LIMIT)
        json_hex(json, "change_limit", refusal->change_value);
    else if (refusal->change != CMA_CHANGE_NONE)
        json_number(json, "change_pages", refusal->change_value);
    if (refusal->change == CMA_CHANGE_ROOM)
        json_hex(json, "change_limit", refusal->change_paddr_last);
}

static void json_failures(struct json *json, const struct run *run)
{
    char text[SENTENCE_NBYTES];

    json_open(json, "failures", '[');
    for (const struct run_failure *failure = run->result.failures; failure != NULL;
         failure = failure->next) {
        json_open(json, NULL, '{');
        json_string(json, "reason", cma_reason_name(failure->refusal.reason));
        json_string(json, "error", cma_strerror(failure->refusal.code));
        json_string(json, "device", failure->device->path);
        json_number(json, "count", failure->count);
        json_number(json, "pages", failure->npages);
        json_number(json, "first_at_us", failure->at_us);
        if (failure->refusal.pfn != CMA_PFN_NONE) {
            json_hex(json, "frame", failure->refusal.pfn << run->board.page_shift);
            json_number(json, "frame_mover", failure->refusal.mover);
            json_number(json, "frame_owner", failure->refusal.owner);
        }
        json_change(json, &failure->refusal, run->board.page_shift);
        json_number(json, "free_run_pages", failure->refusal.free_run_npages);
        json_number(json, "possible_run_pages", failure->refusal.possible_run_npages);
        report_sentence(run, failure, text);
        json_string(json, "sentence", text);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void json_areas(struct json *json, const struct run *run)
{
    static const char *const moments[RUN_MOMENTS] = {"filled", "at_work", "after"};

    json_open(json, "areas", '[');
    for (uint32_t i = 0; i < run->nareas; i++) {
        const struct run_area *area = &run->areas[i];
        struct cma_area_stats stats;

        cma_area_stats(area->area, &stats);
        json_open(json, NULL, '{');
        json_string(json, "name", area->range->name);
        json_hex(json, "base", area->range->base);
        json_hex(json, "size", area->range->nbytes);
        json_bool(json, "default", (area->range->flags & CMA_RANGE_DEFAULT) != 0);
        if (area->linux_policy == NULL) { /* whose claims are the policy's own affair */
            json_number(json, "claims", stats.claims);
            json_number(json, "refused", stats.refused);
            json_number(json, "wasted_copies", stats.wasted_copies);
            json_number(json, "windows_left", stats.windows_left);
        }
        json_number(json, "pages_copied", stats.copied_npages);
        json_number(json, "pages_dropped", stats.dropped_npages);
        json_ratio(json, "lent_share", area->lent_frame_us, area->idle_frame_us);
        json_open(json, "pictures", '{');
        for (int moment = 0; moment < RUN_MOMENTS; moment++)
            json_string(json, moments[moment], area->pictures[moment]);
        json_close(json, '}');
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void json_devices(struct json *json, const struct run *run)
{
    json_open(json, "devices", '[');
    for (uint32_t i = 0; i < run->ndevices; i++) {
        const struct run_device *device = &run->devices[i];

        json_open(json, NULL, '{');
        json_string(json, "path", device->path);
        json_string(json, "area", device->area->range->name);
        if (device->format != NULL)
            json_string(json, "format", device->format->name);
        else
            json_string(json, "idle_because", device->idle_because);
        json_number(json, "pages_a_buffer", device->nkinds != 0 ? device->kinds[0].npages : 0);
        json_number(json, "buffers", device->nbuffers);
        json_bool(json, "promised", device->nkinds != 0 && device->kinds[0].promised);
        json_bool(json, "coherent", device->bus.config.snoops);
        json_number(json, "requests", device->requests);
        json_number(json, "succeeded", device->succeeded);
        json_number(json, "failed", device->failed);
        json_number(json, "starts", device->starts);
        json_number(json, "pictures", device->pictures);
        json_number(json, "late", device->late);
        json_number(json, "bytes_wrong", device->bytes_wrong);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void json_totals(struct json *json, struct run *run)
{
    struct run_result *result = &run->result;
    uint64_t copied = 0, dropped = 0, idle = 0, lent = 0;

    for (uint32_t i = 0; i < run->nareas; i++) {
        struct cma_area_stats stats;

        cma_area_stats(run->areas[i].area, &stats);
        copied += stats.copied_npages;
        dropped += stats.dropped_npages;
        idle += run->areas[i].idle_frame_us;
        lent += run->areas[i].lent_frame_us;
    }
    json_number(json, "pages_copied", copied);
    json_number(json, "pages_dropped", dropped);
    json_number(json, "wasted_copies", result->wasted_copies);
    json_number(json, "claim_copies", result->copied_npages);
    if (run->options.policy == RUN_LINUX) {
        json_number(json, "windows", result->windows);
        json_number(json, "windows_left", result->windows_left);
        json_number(json, "windows_lost", result->windows_lost);
    }
    json_ratio(json, "lent_share", lent, idle);
    json_ratio(json, "demand_share", result->demand_us, result->load_us);
    json_number(json, "bytes_lost", result->bytes_lost);
    json_number(json, "pages_checked", result->pages_checked);
    json_quantiles(json, "latency_us", &result->latency_ns, 1000);
    json_quantiles(json, "copies", &result->copies, 1);
    json_number(json, "oracle_questions", result->questions);
    json_number(json, "oracle_disagreements", result->disagreements);
    json_string(json, "violation", result->violation != NULL ? result->violation : "");
}

void report_json_run(struct json *json, struct run *run)
{
    struct run_result *result = &run->result;

    json_string(json, "model", run->board.fdt.model);
    json_string(json, "policy", run->options.policy == RUN_LINUX ? "linux" : "libcma");
    json_number(json, "seed", run->options.seed);
    json_number(json, "seconds", run->options.seconds);
    json_number(json, "fill_percent", run->options.fill);
    json_number(json, "droppable_percent", run->options.droppable);
    json_bool(json, "area_added", run->area_added);
    json_bool(json, "camera_added", run->camera_added);
    json_number(json, "problems", run->board.fdt.problems.count);
    json_number(json, "pages", result->pages_all);
    json_number(json, "pages_filled", result->pages_live);
    json_number(json, "pages_droppable", result->pages_droppable);
    json_number(json, "requests", result->requests);
    json_number(json, "succeeded", result->succeeded);
    json_number(json, "failed", result->failed);
    json_failures(json, run);
    json_totals(json, run);
    report_json_promises(json, run);
    json_areas(json, run);
    json_devices(json, run);
    if (run->options.scenario != NULL)
        report_json_scenario(json, run);
    report_json_drawings(json, run);
    json_hex(json, "trace", result->trace);
}

int report_json(struct run *run)
{
    struct json json;

    json_start(&json, stdout);
    json_open(&json, NULL, '{');
    report_json_run(&json, run);
    json_close(&json, '}');
    return json_end(&json);
}
