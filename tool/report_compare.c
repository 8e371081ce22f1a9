/* SPDX-License-Identifier: BSD-2-Clause */
/* report_compare.c - what `cma run --compare` says: two runs of one load, side by side */
#include "run.h"

#include "json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { COMPARE_BAR = 32 };

/* What is compared of a run. */
struct compare {
    uint64_t refused, avoidable, copies, wasted;
    uint64_t median_ns, p99_ns, worst_ns;
    uint64_t lent, idle; /* frame microseconds */
};

static struct compare compare_of(struct run *run)
{
    struct run_result *result = &run->result;
    struct compare compare = {
        .refused = result->failed,
        .avoidable = result->disagreements,
        .copies = result->copied_npages,
        .wasted = result->wasted_copies,
        .median_ns = run_quantile(&result->latency_ns, 500),
        .p99_ns = run_quantile(&result->latency_ns, 990),
        .worst_ns = run_quantile(&result->latency_ns, 1000),
    };

    for (uint32_t i = 0; i < run->nareas; i++) {
        compare.idle += run->areas[i].idle_frame_us;
        compare.lent += run->areas[i].lent_frame_us;
    }
    return compare;
}

/* --- text ------------------------------------------------------------------------------------ */

/* A bar of `value` where `most` is full; what is not nothing is seen. */
static void compare_bar(const char *label, const char *who, uint64_t value, uint64_t most,
                        const char *text)
{
    uint64_t length = (run_ratio(value, most) * COMPARE_BAR + 5000) / 10000;

    if (value != 0 && length == 0)
        length = 1;
    printf("%-15s  %-9s |", label, who);
    for (uint64_t i = 0; i < COMPARE_BAR; i++)
        putchar(i < length ? '#' : ' ');
    printf("| %s\n", text);
}

static void compare_row(const char *label, uint64_t own, uint64_t peer, const char *unit)
{
    uint64_t most = own > peer ? own : peer;
    char text[48];

    snprintf(text, sizeof(text), "%" PRIu64 "%s", own, unit);
    compare_bar(label, "libcma", own, most, text);
    snprintf(text, sizeof(text), "%" PRIu64 "%s", peer, unit);
    compare_bar("", "Linux", peer, most, text);
}

static void compare_share(const char *label, const char *who, const struct compare *compare)
{
    uint64_t ratio = run_ratio(compare->lent, compare->idle);
    char text[48];

    snprintf(text, sizeof(text), "%" PRIu64 ".%02" PRIu64 " %%", ratio / 100, ratio % 100);
    compare_bar(label, who, ratio, 10000, compare->idle != 0 ? text : "no demand");
}

/* The refusals of one policy, each sort in one sentence. */
static void compare_refusals(const char *who, const struct run *run)
{
    char text[SENTENCE_NBYTES];

    for (const struct run_failure *failure = run->result.failures; failure != NULL;
         failure = failure->next) {
        printf("    %s, %" PRIu64 " x: ", who, failure->count);
        report_sentence(run, failure, text);
        report_name(text);
        putchar('\n');
    }
}

static void compare_lost(const char *who, const struct run *run)
{
    if (run->result.bytes_lost != 0)
        printf("BYTES LOST, %s: %" PRIu64 "\n", who, run->result.bytes_lost);
    if (run->result.violation != NULL)
        printf("THE BOOKS ARE WRONG, %s: %s\n", who, run->result.violation);
}

void report_compare(struct run *own, struct run *peer)
{
    struct compare ours = compare_of(own), theirs = compare_of(peer);

    printf("\nThe same load under both policies: libcma's, and that of Linux 7.3\n\n");
    compare_row("requests", own->result.requests, peer->result.requests, "");
    compare_row("refused", ours.refused, theirs.refused, "");
    compare_row("  avoidably", ours.avoidable, theirs.avoidable, "");
    compare_row("pages copied", ours.copies, theirs.copies, "");
    compare_row("  in vain", ours.wasted, theirs.wasted, "");
    if (own->options.scenario != NULL)
        compare_row("frames dropped", run_scenario_dropped(own), run_scenario_dropped(peer), "");
    compare_row("latency median", ours.median_ns / 1000, theirs.median_ns / 1000, " us");
    compare_row("  99 of 100", ours.p99_ns / 1000, theirs.p99_ns / 1000, " us");
    compare_row("  worst", ours.worst_ns / 1000, theirs.worst_ns / 1000, " us");
    compare_share("lent share", "libcma", &ours);
    compare_share("", "Linux", &theirs);
    printf("\nLinux's policy chose %" PRIu64 " windows and gave %" PRIu64 " of them up.\n",
           peer->result.windows, peer->result.windows_left);
    puts("Latencies are simulated, and of requests that were served.");
    if (own->promises.nadmitted != 0)
        printf("Of libcma's, %" PRIu64 " were for what the board promises its devices, and %" PRIu64
               " of these were\nrefused. Linux has no guarantees: there they are like any other.\n",
               own->result.promised, own->result.broken);
    if (ours.refused + theirs.refused != 0)
        puts("Why requests were refused:");
    compare_refusals("libcma", own);
    compare_refusals("Linux", peer);
    compare_lost("libcma", own);
    compare_lost("Linux", peer);
    if (own->options.scenario != NULL) {
        puts("\nUnder libcma's policy devices are drivers over queues of buffers, and a buffer's\n"
             "latency is the mean of its opening. Under Linux's there are no queues: each device\n"
             "asks for its buffers itself, and a display that reads from a scaler shows nothing.");
        printf("\nlibcma:");
        report_text_scenario(own);
        printf("\nLinux:");
        report_text_scenario(peer);
    }
    report_text_drawings(own);
    report_text_drawings(peer);
}

/* --- JSON ------------------------------------------------------------------------------------ */

/* Linux's figure divided by libcma's, in steps of 0.0001; null where that is no number. */
static void compare_json_ratio(struct json *json, const char *key, uint64_t peer, uint64_t own)
{
    json_real(json, key, own != 0 ? (double)run_ratio(peer, own) / 10000.0 : (double)NAN);
}

int report_compare_json(struct run *own, struct run *peer)
{
    struct compare ours = compare_of(own), theirs = compare_of(peer);
    struct json json;

    json_start(&json, stdout);
    json_open(&json, NULL, '{');
    json_open(&json, "libcma", '{');
    report_json_run(&json, own);
    json_close(&json, '}');
    json_open(&json, "linux", '{');
    report_json_run(&json, peer);
    json_close(&json, '}');
    json_open(&json, "linux_to_libcma", '{');
    compare_json_ratio(&json, "refused", theirs.refused, ours.refused);
    compare_json_ratio(&json, "avoidable", theirs.avoidable, ours.avoidable);
    compare_json_ratio(&json, "copies", theirs.copies, ours.copies);
    compare_json_ratio(&json, "wasted_copies", theirs.wasted, ours.wasted);
    compare_json_ratio(&json, "latency_median", theirs.median_ns, ours.median_ns);
    compare_json_ratio(&json, "latency_p99", theirs.p99_ns, ours.p99_ns);
    compare_json_ratio(&json, "latency_max", theirs.worst_ns, ours.worst_ns);
    compare_json_ratio(&json, "lent_share", run_ratio(theirs.lent, theirs.idle),
                       run_ratio(ours.lent, ours.idle));
    json_close(&json, '}');
    json_close(&json, '}');
    return json_end(&json);
}
