/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run_queue.c - the devices of a scenario as drivers over queues of buffers (cma_video): cameras
 * and decoders, alone or with the scaler that reads their frames and the display that reads the
 * scaler's; and displays alone, which show what a program draws
 *
 * All of a row is one client (simclient.h) that is opened and closed with the camera: the scaler
 * imports the camera's buffers, the display the scaler's. Each is admitted like any device of a
 * scenario, and the queues take what their device was promised, so slots and groups are the same as
 * without queues.
 *
 * Linux's policy has a second allocator below the devices, and no queues above them: there the
 * devices are those of run_stream.c.
 */
#include "run.h"

#include "../ports/sim/simclient.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE_CAMERA, QUEUE_SCALER, QUEUE_DISPLAY, QUEUE_MEMBERS };

struct run_queue {
    struct simclient *client;
    struct run_device *members[QUEUE_MEMBERS]; /* NULL: there is no such */
    uint64_t due;                              /* pictures of this opening */
    uint64_t seen[2];                          /* of these, by the program; of the scaler */
    struct simvideo_count display;             /* as it was when this opening began */
    uint64_t nonzero_bytes;                    /* of all openings so far */
};

/* --- what can be simulated ------------------------------------------------------------------- */

/* By how much the scaler makes pictures smaller; 0: it can't make these. */
static uint32_t queue_shrink(const struct picture_format *from, const struct picture_format *to)
{
    for (uint32_t shrink = 1; shrink <= 8; shrink++) {
        struct picture_format made = picture_shrunk(from, shrink);

        if (made.pixel == to->pixel && made.width == to->width && made.height == to->height)
            return shrink;
    }
    return 0;
}

const char *run_queue_problem(const struct scenario *scenario, uint32_t number)
{
    const struct scenario_device *device = &scenario->devices[number], *source;
    bool scaler = device->kind == SCENARIO_SCALER;

    if (!device->reads)
        return NULL;
    source = &scenario->devices[device->source];
    for (uint32_t i = 0; i < number; i++)
        if (scenario->devices[i].reads && scenario->devices[i].source == device->source)
            return "expected the only reader of those frames: one device reads them";
    if (!scaler && source->kind != SCENARIO_SCALER)
        return "expected a scaler's name behind from";
    if (!scaler && device->promise)
        return "expected no promise: it has no buffers of its own, but shows the scaler's";
    if (scaler && source->kind == SCENARIO_SCALER)
        return "expected a camera's or decoder's name behind from";
    if (device->opened)
        return "expected no line open: it is opened and closed with what it reads from";
    if (device->group[0] != '\0')
        return "expected no group: it is opened and closed with what it reads from";
    if (!scaler && memcmp(&source->format.picture, &device->format.picture,
                          sizeof(device->format.picture)) != 0)
        return "expected the scaler's format";
    if (scaler && queue_shrink(&source->format.picture, &device->format.picture) == 0)
        return "expected the format that it reads, with width and height divided by 1 to 8";
    return NULL;
}

bool run_queue_serves(const struct run_device *device)
{
    return device->run->options.policy == RUN_LIBCMA;
}

bool run_queue_follows(const struct run_device *device)
{
    /* Without queues nobody imports: a display that has no buffers of its own shows nothing. */
    return device->scenario->reads && (device->run->options.policy == RUN_LIBCMA ||
                                       device->scenario->kind == SCENARIO_DISPLAY);
}

/* --- made at the first opening -----------------------------------------------------------------
 */

static void queue_picture(void *ctx, const struct simclient_picture *picture)
{
    struct run_queue *queue = ctx;
    struct run_device *device = queue->members[picture->scaled ? QUEUE_SCALER : QUEUE_CAMERA];

    device->bytes_wrong += picture->wrong_bytes;
    if (queue->seen[picture->scaled] < queue->due) {
        queue->seen[picture->scaled]++;
        device->pictures++;
    }
    run_draw_captured(device->run, device->scenario->name, picture->format, picture->plane);
}

static struct run_device *queue_reader(const struct run_device *device)
{
    struct run *run = device->run;

    for (uint32_t i = 0; i < run->ndevices; i++)
        if (run->devices[i].scenario->reads &&
            &run->devices[run->devices[i].scenario->source] == device)
            return &run->devices[i];
    return NULL;
}

static struct simvideo_config queue_lane(struct run_device *device)
{
    struct simvideo_config config = {
        .name = device->scenario->name,
        .device = &device->dma,
        .flags = CMA_VIDEO_DEVICE_PROMISES,
        .format = device->scenario->format.picture,
        .nbuffers = device->scenario->nbuffers,
    };

    return config;
}

static struct simdisplay_config queue_display(struct run_device *device)
{
    return (struct simdisplay_config){
        .video = queue_lane(device),
        .rate_mhz = device->scenario->rate * 1000,
        .every = 1,
    };
}

static void queue_make(struct run_device *device)
{
    bool alone = device->scenario->kind == SCENARIO_DISPLAY;
    struct run_queue *queue = run_calloc(1, sizeof(*queue));
    struct simscaler_config scaler = {.work_ns = 0};
    struct simdisplay_config display;
    struct simclient_config config = {
        .camera = {.video = queue_lane(device),
                   .rate_mhz = device->scenario->rate * 1000,
                   .seed = device->random},
        .memory = CMA_VIDEO_COHERENT,
        .picture = queue_picture,
        .ctx = queue,
    };
    struct cma_admission why;

    device->queue = queue;
    queue->members[alone ? QUEUE_DISPLAY : QUEUE_CAMERA] = device;
    if (!alone)
        queue->members[QUEUE_SCALER] = queue_reader(device);
    if (queue->members[QUEUE_SCALER] != NULL) {
        scaler.input = scaler.output = queue_lane(queue->members[QUEUE_SCALER]);
        scaler.shrink = queue_shrink(&config.camera.video.format, &scaler.output.format);
        config.scaler = &scaler;
        queue->members[QUEUE_DISPLAY] = queue_reader(queue->members[QUEUE_SCALER]);
    }
    if (queue->members[QUEUE_DISPLAY] != NULL) {
        uint32_t rate = queue->members[QUEUE_DISPLAY]->scenario->rate;

        display = queue_display(queue->members[QUEUE_DISPLAY]);
        if (rate > device->scenario->rate)
            display.every = rate / device->scenario->rate;
        config.display = &display;
    }
    if (simclient_create(device->run->sim, &config, &queue->client, &why) != 0)
        run_die("a queue could not be made");
}

/* --- open, at work, closed ---------------------------------------------------------------------
 */

/* The scaler and the display were open whenever the camera was. */
static void queue_count(struct run_device *device)
{
    for (uint32_t i = QUEUE_SCALER; i < QUEUE_MEMBERS; i++) {
        struct run_device *member = device->queue->members[i];

        if (member == NULL)
            continue;
        member->opens = device->opens;
        member->starts = device->starts;
        member->slowest_open_ns = device->slowest_open_ns;
    }
}

static void queue_opened(struct run_device *device, uint64_t copied, uint64_t open_ns)
{
    struct run_queue *queue = device->queue;
    struct run_result *result = &device->run->result;
    uint64_t nbuffers = 0;

    for (uint32_t i = 0; i < QUEUE_MEMBERS; i++) {
        struct run_device *member = queue->members[i];

        if (member != NULL && member->nbuffers != 0 &&
            member->area->pictures[RUN_DURING][0] == '\0')
            run_picture(device->run, member->area, RUN_DURING);
        for (uint32_t k = 0; member != NULL && k < member->nbuffers; k++, nbuffers++) {
            member->requests++;
            member->succeeded++;
            result->promised += member->buffers[k].promised;
        }
    }
    result->requests += nbuffers;
    result->succeeded += nbuffers;
    result->copied_npages += copied;
    /* The queue asks for them one by one, and nobody stands beside it: of each, the mean. */
    for (uint64_t i = 0; i < nbuffers; i++) {
        run_sample(&result->latency_ns, open_ns / nbuffers);
        run_sample(&result->copies, copied / nbuffers + (i < copied % nbuffers));
    }
}

static void queue_refused(struct run_device *device, struct cma_refusal *refusal, int error)
{
    struct run_queue *queue = device->queue;
    struct simclient_stats stats;
    struct run_device *member;

    simclient_stats(queue->client, &stats);
    member = stats.refused_scaler ? queue->members[QUEUE_SCALER] : device;
    member->requests++;
    device->run->result.requests++;
    device->run->result.promised += member->buffers[0].promised;
    device->run->given_back++; /* it has let go of those it had: the oracle sees another memory */
    refusal->code = error;
    run_stream_refused(member, &member->buffers[0], refusal);
}

static bool queue_open(struct run_device *device)
{
    struct cma_refusal refusal = {.pfn = CMA_PFN_NONE};
    struct run *run = device->run;
    uint64_t copied = sim_self_copied_pages(run->sim);
    struct simclient_stats stats;
    int error;

    if (device->queue == NULL)
        queue_make(device);
    device->queue->due = device->queue->seen[0] = device->queue->seen[1] = 0;
    device->given_back_seen = run->given_back;
    error = simclient_open(device->queue->client, &refusal);
    copied = sim_self_copied_pages(run->sim) - copied;
    if (error != 0) {
        run->result.copied_npages += copied;
        queue_refused(device, &refusal, error);
        queue_count(device);
        return false;
    }
    simclient_stats(device->queue->client, &stats);
    queue_opened(device, copied, stats.open_ns);
    device->bytes_wrong += stats.nonzero_bytes - device->queue->nonzero_bytes;
    device->queue->nonzero_bytes = stats.nonzero_bytes;
    device->queue->display = stats.display;
    return true;
}

/* Refreshes of this opening that showed what was due. */
static uint64_t queue_shown(const struct run_queue *queue, uint64_t *underruns)
{
    struct simclient_stats stats;

    simclient_stats(queue->client, &stats);
    *underruns = stats.display.underruns - queue->display.underruns;
    return stats.display.refreshes - queue->display.refreshes - *underruns;
}

static bool queue_behind(struct run_queue *queue)
{
    uint64_t underruns, shown = queue_shown(queue, &underruns);

    if (queue->members[QUEUE_CAMERA] == NULL)
        queue->seen[0] = shown < queue->due ? shown : queue->due;
    return queue->seen[0] < queue->due ||
           (queue->members[QUEUE_SCALER] != NULL && queue->seen[1] < queue->due);
}

/* A picture is sent for half a period once it is due, and looked at then: the last ones of an
 * opening have two periods to arrive. */
static void queue_work(struct run_device *device, uint64_t due_ns, uint64_t period_ns,
                       uint64_t until_ns)
{
    struct run_queue *queue = device->queue;
    struct sim *sim = device->run->sim;
    struct cma_refusal refusal;

    /* Not a part of the opening: a display's program draws all of its buffers first. */
    if (simclient_start(queue->client, &refusal) != 0)
        device->run->result.violation = "a queue that has all its buffers could not begin";
    queue->due = due_ns <= until_ns ? (until_ns - due_ns) / period_ns + 1 : 0;
    if (sim_now_ns(sim) < until_ns)
        sim_sleep_ns(sim, until_ns - sim_now_ns(sim));
    while (queue_behind(queue) && sim_now_ns(sim) < until_ns + 2 * period_ns)
        sim_sleep_ns(sim, period_ns / 16 + 1);
    simclient_stop(queue->client);
    if (queue->members[QUEUE_CAMERA] == NULL) {
        device->pictures += queue->seen[0];
        device->dropped += queue->due - queue->seen[0];
    }
    for (uint32_t i = 0; i < 2; i++)
        if (queue->members[i] != NULL && queue->seen[i] < queue->due)
            queue->members[i]->dropped += queue->due - queue->seen[i];
}

static void queue_close(struct run_device *device)
{
    struct run_queue *queue = device->queue;
    struct run_device *display = queue->members[QUEUE_DISPLAY];
    struct run *run = device->run;
    struct simclient_stats stats;

    simclient_stats(queue->client, &stats);
    if (display != NULL)
        display->bytes_wrong += stats.display.wrong_bytes - queue->display.wrong_bytes;
    if (display != NULL && display != device) {
        uint64_t underruns;

        display->pictures += queue_shown(queue, &underruns);
        display->dropped += underruns;
    }
    if (stats.error != 0)
        run->result.violation = "a queue's program got an error";
    run->giving_back++;
    if (simclient_close(queue->client) != 0)
        run->result.violation = "a device could not give its buffers back";
    run->giving_back--;
    run->given_back++;
    queue_count(device);
}

void run_queue_dropped(struct run_device *device, uint64_t npictures)
{
    device->dropped += npictures;
    for (uint32_t i = QUEUE_SCALER; device->queue != NULL && i < QUEUE_MEMBERS; i++)
        if (device->queue->members[i] != NULL && device->queue->members[i] != device)
            device->queue->members[i]->dropped += npictures;
}

void run_queue_end(struct run_device *device)
{
    struct run_queue *queue = device->queue;
    uint64_t period = 1000000000ull / device->scenario->rate;

    if (queue == NULL)
        return;
    if (queue->members[QUEUE_DISPLAY] != NULL &&
        1000000000ull / queue->members[QUEUE_DISPLAY]->scenario->rate > period)
        period = 1000000000ull / queue->members[QUEUE_DISPLAY]->scenario->rate;
    /* Camera and display look at their clock once more, and see that nobody streams. */
    sim_sleep_ns(device->run->sim, 2 * period);
    if (simclient_destroy(queue->client) != 0)
        device->run->result.violation = "a queue could not be ended";
    free(queue);
    device->queue = NULL;
}

const struct scenario_device_ops run_queue_ops = {
    .open = queue_open,
    .work = queue_work,
    .close = queue_close,
};
