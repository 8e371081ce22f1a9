/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * simcamera.c - the simulated camera and the simulated display: devices that do not wait
 */
#include <stdlib.h>
#include <string.h>

#include "simlane.h"

#define SECONDS_1000_NS UINT64_C(1000000000000)

static struct simlane_run *run_begin(struct simvideo_lane *lane)
{
    struct simlane_run *run = malloc(sizeof(*run));

    if (run == NULL)
        abort();
    run->lane = lane;
    run->generation = lane->generation;
    return run;
}

static void run_sleep_until(struct sim *sim, uint64_t time_ns)
{
    uint64_t now_ns = sim_now_ns(sim);

    if (time_ns > now_ns)
        sim_sleep_ns(sim, time_ns - now_ns);
}

/* --- camera -------------------------------------------------------------------------------- */

/* Slice `slice` of a plane goes to memory. */
static bool camera_send_slice(struct simcamera *camera, const struct cma_video_plane *plane,
                              const struct simvideo_shot *shot, uint64_t nbytes, uint32_t slice,
                              const uint8_t *bytes)
{
    uint32_t stride = picture_stride(&camera->lane.format), n = 0;
    uint64_t rows = nbytes / stride, slices = camera->config.slices;
    uint64_t first = rows * slice / slices * stride, end = rows * (slice + 1) / slices * stride;
    uint64_t offset = 0;
    bool right = true;

    if (!shot->sampled)
        return first == end ||
               simdev_write(&camera->lane.bus, plane->daddr + first, bytes + first, end - first);
    for (uint32_t i = 0; simvideo_sample(nbytes, shot->number, i, &offset, &n); i++) {
        if (offset >= first && offset < end)
            right &= simdev_write(&camera->lane.bus, plane->daddr + offset, bytes + offset, n);
    }
    return right;
}

/* Returns false when the camera has stopped meanwhile. */
static bool camera_send(struct simcamera *camera, uint32_t generation,
                        struct cma_video_buffer *buffer, const struct simvideo_shot *shot,
                        uint64_t frame_ns, bool *right)
{
    const struct picture_format *format = &camera->lane.format;
    uint64_t readout_ns = frame_ns * camera->config.readout_percent / 100;

    for (uint32_t slice = 0; slice < camera->config.slices; slice++) {
        uint8_t *bytes = camera->scratch;

        if (!simlane_enter(&camera->lane, generation))
            return false;
        for (uint32_t i = 0; i < picture_nplanes(format); i++) {
            uint64_t nbytes = picture_nbytes(format, i);

            if (slice == 0)
                picture_draw(&camera->source, shot->number, shot->time_ns, i, bytes);
            *right &= camera_send_slice(camera, &buffer->plane[i], shot, nbytes, slice, bytes);
            bytes += nbytes;
        }
        simlane_leave(&camera->lane);
        run_sleep_until(camera->lane.sim,
                        shot->time_ns + readout_ns * (slice + 1) / camera->config.slices);
    }
    return true;
}

static void camera_run(void *arg)
{
    struct simlane_run run = *(struct simlane_run *)arg;
    struct simcamera *camera = run.lane->owner;
    struct simvideo_lane *lane = run.lane;
    uint64_t frame_ns = SECONDS_1000_NS / camera->config.rate_mhz;
    uint64_t next_ns = sim_now_ns(lane->sim) + frame_ns;
    bool going = true;

    free(arg);
    for (; going; next_ns += frame_ns) {
        struct simvideo_shot shot = {.source = &camera->source, .time_ns = next_ns, .shrink = 1};
        struct cma_video_buffer *buffer;
        bool right = true;

        run_sleep_until(lane->sim, next_ns);
        if (!simlane_look(lane, run.generation, &buffer, NULL))
            return;
        shot.number = camera->number++;
        shot.sampled = camera->config.full_every > 1 && shot.number % camera->config.full_every;
        if (buffer == NULL) {
            lane->count.dropped++;
            lane->sequence++;
            continue;
        }
        simlane_note(lane, buffer->number, &shot);
        going = camera_send(camera, run.generation, buffer, &shot, frame_ns, &right);
        lane->count.bus_errors += !right;
        if (going)
            simlane_finish(lane, run.generation, right, shot.time_ns, lane->sequence++);
    }
}

static void camera_begin(struct simvideo_lane *lane)
{
    sim_spawn(lane->sim, "camera", camera_run, run_begin(lane));
}

int simcamera_init(struct simcamera *camera, struct sim *sim, const struct simcamera_config *config,
                   struct cma_admission *why)
{
    int error;

    memset(camera, 0, sizeof(*camera));
    camera->config = *config;
    if (config->rate_mhz == 0 || config->readout_percent > 100)
        return CMA_EINVAL;
    if (config->readout_percent == 0)
        camera->config.readout_percent = 50;
    if (config->slices == 0)
        camera->config.slices = 4;
    error = simvideo_lane_init(&camera->lane, sim, &config->video, CMA_FROM_DEVICE, camera_begin,
                               camera, why);
    if (error != 0)
        return error;
    picture_source_init(&camera->source, &config->video.format, config->seed);
    camera->scratch = malloc(picture_total_nbytes(&config->video.format));
    if (camera->scratch == NULL)
        abort();
    return 0;
}

int simcamera_destroy(struct simcamera *camera)
{
    int error = simvideo_lane_destroy(&camera->lane);

    if (error == 0) {
        picture_source_free(&camera->source);
        free(camera->scratch);
        camera->scratch = NULL;
    }
    return error;
}

/* --- display ------------------------------------------------------------------------------- */

/* One refresh: all of it is read, and compared with what was sent. */
static bool display_show(struct simdisplay *display, uint32_t generation,
                         const struct cma_video_buffer *buffer)
{
    struct simvideo_lane *lane = &display->lane;
    const struct simvideo_shot *shot = &lane->shot[buffer->number];
    bool right = true;

    if (!simlane_enter(lane, generation))
        return false;
    for (uint32_t i = 0; i < picture_nplanes(&lane->format); i++) {
        right &= simdev_read(&lane->bus, buffer->plane[i].daddr, display->scratch,
                             picture_nbytes(&lane->format, i));
        simvideo_compare(&lane->count, &lane->format, shot, &lane->was[buffer->number], i,
                         display->scratch);
    }
    lane->count.refreshes++;
    lane->count.bus_errors += !right;
    simlane_leave(lane);
    return true;
}

static void display_run(void *arg)
{
    struct simlane_run run = *(struct simlane_run *)arg;
    struct simvideo_lane *lane = run.lane;
    struct simdisplay *display = lane->owner;
    uint64_t frame_ns = SECONDS_1000_NS / display->config.rate_mhz;
    uint64_t next_ns = sim_now_ns(lane->sim) + frame_ns;
    uint32_t shown = 0, has;

    free(arg);
    for (;; next_ns += frame_ns) {
        struct cma_video_buffer *buffer;

        run_sleep_until(lane->sim, next_ns);
        if (!simlane_look(lane, run.generation, &buffer, &has))
            return;
        if (buffer != NULL && shown >= display->config.every && has > 1) {
            simlane_finish(lane, run.generation, true, sim_now_ns(lane->sim), lane->sequence++);
            (void)simlane_look(lane, run.generation, &buffer, NULL);
            shown = 0;
        } else if (shown >= display->config.every) {
            lane->count.underruns++;
        }
        if (buffer == NULL || !display_show(display, run.generation, buffer))
            return;
        shown++;
    }
}

static void display_begin(struct simvideo_lane *lane)
{
    sim_spawn(lane->sim, "display", display_run, run_begin(lane));
}

int simdisplay_init(struct simdisplay *display, struct sim *sim,
                    const struct simdisplay_config *config, struct cma_admission *why)
{
    int error;

    memset(display, 0, sizeof(*display));
    display->config = *config;
    if (config->rate_mhz == 0)
        return CMA_EINVAL;
    if (config->every == 0)
        display->config.every = 1;
    error = simvideo_lane_init(&display->lane, sim, &config->video, CMA_TO_DEVICE, display_begin,
                               display, why);
    if (error != 0)
        return error;
    display->scratch = malloc(picture_nbytes(&config->video.format, 0)); /* no plane is longer */
    if (display->scratch == NULL)
        abort();
    return 0;
}

int simdisplay_destroy(struct simdisplay *display)
{
    int error = simvideo_lane_destroy(&display->lane);

    if (error == 0) {
        free(display->scratch);
        display->scratch = NULL;
    }
    return error;
}
