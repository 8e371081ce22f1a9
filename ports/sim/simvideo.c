/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * simvideo.c - what the drivers of simulated video devices have in common, and how pictures are
 * compared
 *
 * A driver keeps the buffers that are ACTIVE in `has`, oldest first, under a lock of its own. The
 * device's fibre works on has[0], and marks the lane busy while it touches memory; stop makes it
 * another generation, waits for that mark only, and gives everything back: a fibre that wakes up in
 * an old generation returns without a look at memory.
 */
#include "simvideo.h"

#include <stdlib.h>
#include <string.h>

#include "simlane.h"

#define SAMPLE_NBYTES 64u
#define SAMPLE_PAGE 4096u
#define DRAWN_NBYTES 2048u

/* --- the driver ---------------------------------------------------------------------------- */

void simlane_kick(struct simvideo_lane *lane)
{
    uint32_t *event = lane->event_of != NULL ? &lane->event_of->event : &lane->event;
    const struct cma_port *port = sim_port(lane->sim);

    (void)__atomic_add_fetch(event, 1, __ATOMIC_SEQ_CST);
    port->wake(port->ctx, event);
}

bool simlane_enter(struct simvideo_lane *lane, uint32_t generation)
{
    bool same;

    sim_lock(lane->sim, &lane->lock);
    same = lane->running && lane->generation == generation;
    lane->busy = same || lane->busy;
    sim_unlock(lane->sim, &lane->lock);
    return same;
}

void simlane_leave(struct simvideo_lane *lane)
{
    sim_lock(lane->sim, &lane->lock);
    lane->busy = false;
    sim_unlock(lane->sim, &lane->lock);
}

bool simlane_look(struct simvideo_lane *lane, uint32_t generation, struct cma_video_buffer **buffer,
                  uint32_t *n)
{
    bool same;

    sim_lock(lane->sim, &lane->lock);
    same = lane->running && lane->generation == generation;
    *buffer = same && lane->nhas != 0 ? lane->has[0] : NULL;
    if (n != NULL)
        *n = lane->nhas;
    sim_unlock(lane->sim, &lane->lock);
    return same;
}

void simlane_finish(struct simvideo_lane *lane, uint32_t generation, bool right, uint64_t time_ns,
                    uint32_t sequence)
{
    struct cma_video_buffer *buffer = NULL;

    sim_lock(lane->sim, &lane->lock);
    if (lane->running && lane->generation == generation) {
        buffer = lane->has[0];
        lane->nhas--;
        memmove(&lane->has[0], &lane->has[1], lane->nhas * sizeof(lane->has[0]));
        for (uint32_t i = 0; i < buffer->nplanes; i++)
            buffer->plane[i].used_nbytes = picture_nbytes(&lane->format, i);
    }
    sim_unlock(lane->sim, &lane->lock);
    if (buffer == NULL)
        return; /* stop gave it back */
    lane->count.frames++;
    if (cma_video_done(buffer, right ? CMA_VIDEO_DONE : CMA_VIDEO_ERROR, time_ns, sequence) != 0)
        sim_violate(lane->sim, SIM_PROTOCOL, "a queue took a buffer back", buffer->number);
}

static int lane_setup(void *ctx, enum cma_video_memory memory, uint32_t *nbuffers,
                      uint32_t *nplanes, uint64_t plane_nbytes[CMA_VIDEO_PLANES_MAX])
{
    const struct simvideo_lane *lane = ctx;
    uint32_t wanted = picture_nplanes(&lane->format);

    (void)memory;
    (void)nbuffers;
    if (*nplanes != 0 && *nplanes != wanted)
        return CMA_EINVAL;
    for (uint32_t i = 0; i < wanted; i++) {
        uint64_t nbytes = picture_nbytes(&lane->format, i);

        if (*nplanes != 0 && plane_nbytes[i] < nbytes)
            return CMA_EINVAL;
        if (*nplanes == 0)
            plane_nbytes[i] = nbytes;
    }
    *nplanes = wanted;
    return 0;
}

static void lane_queue(void *ctx, struct cma_video_buffer *buffer)
{
    struct simvideo_lane *lane = ctx;

    sim_lock(lane->sim, &lane->lock);
    lane->has[lane->nhas++] = buffer;
    sim_unlock(lane->sim, &lane->lock);
    simlane_kick(lane);
}

static int lane_start(void *ctx, uint32_t nbuffers)
{
    struct simvideo_lane *lane = ctx;

    (void)nbuffers;
    sim_lock(lane->sim, &lane->lock);
    lane->running = true;
    lane->generation++;
    lane->sequence = 0;
    sim_unlock(lane->sim, &lane->lock);
    lane->begin(lane);
    return 0;
}

static void lane_stop(void *ctx)
{
    struct simvideo_lane *lane = ctx;
    struct cma_video_buffer *has[CMA_VIDEO_BUFFERS_MAX];
    uint32_t n;
    bool busy;

    do {
        sim_lock(lane->sim, &lane->lock);
        lane->running = false;
        busy = lane->busy;
        if (!busy) {
            n = lane->nhas;
            memcpy(has, lane->has, n * sizeof(has[0]));
            lane->nhas = 0;
        }
        sim_unlock(lane->sim, &lane->lock);
        if (busy)
            sim_sleep_ns(lane->sim, 1000);
    } while (busy);
    simlane_kick(lane);
    for (uint32_t i = 0; i < n; i++) {
        if (cma_video_done(has[i], CMA_VIDEO_ERROR, sim_now_ns(lane->sim), lane->sequence) != 0)
            sim_violate(lane->sim, SIM_PROTOCOL, "a queue took a buffer back", has[i]->number);
    }
}

static const struct cma_video_ops lane_ops = {
    .setup = lane_setup, .queue = lane_queue, .start = lane_start, .stop = lane_stop};

/* --- lanes --------------------------------------------------------------------------------- */

static void lane_bus(struct simvideo_lane *lane, const struct simvideo_config *config)
{
    const struct cma_device_config *device = &config->device->config;
    cma_daddr_t last = device->mask > device->coherent_mask ? device->mask : device->coherent_mask;
    struct simdev_config bus = {.name = config->name,
                                .windows = device->windows,
                                .nwindows = device->windows != NULL ? device->nwindows : 0,
                                .daddr_last = last == UINT64_MAX ? 0 : last,
                                .snoops = (device->flags & CMA_DEVICE_COHERENT) != 0,
                                .tag = config->device};

    simdev_init(&lane->bus, lane->sim, &bus);
}

static uint64_t lane_largest(const struct picture_format *format)
{
    uint64_t nbytes = 0;

    for (uint32_t i = 0; i < picture_nplanes(format); i++) {
        if (picture_nbytes(format, i) > nbytes)
            nbytes = picture_nbytes(format, i);
    }
    return nbytes;
}

int simvideo_lane_init(struct simvideo_lane *lane, struct sim *sim,
                       const struct simvideo_config *config, enum cma_direction direction,
                       void (*begin)(struct simvideo_lane *lane), void *owner,
                       struct cma_admission *why)
{
    struct cma_video_config queue = {.name = config->name,
                                     .device = config->device,
                                     .direction = direction,
                                     .ops = &lane_ops,
                                     .ctx = lane,
                                     .memories = config->memories ? config->memories : 0x1e,
                                     .min_queued = config->min_queued,
                                     .flags = config->flags};
    int error;

    if (!picture_format_is_valid(&config->format) || config->nbuffers == 0 ||
        config->nbuffers > CMA_VIDEO_BUFFERS_MAX)
        return CMA_EINVAL;
    memset(lane, 0, sizeof(*lane));
    lane->sim = sim;
    lane->format = config->format;
    lane->begin = begin;
    lane->owner = owner;
    if (config->promised) {
        queue.promise.nbytes = lane_largest(&config->format);
        queue.promise.count = config->nbuffers * picture_nplanes(&config->format);
        queue.promise.max_moves = config->max_moves;
    }
    lane_bus(lane, config);
    lane->buffers = calloc(config->nbuffers, sizeof(*lane->buffers));
    if (lane->buffers == NULL)
        abort();
    error = cma_video_init(&lane->queue, &queue, config->guarantees, lane->buffers,
                           config->nbuffers, why);
    if (error != 0) {
        free(lane->buffers);
        lane->buffers = NULL;
    }
    return error;
}

int simvideo_lane_destroy(struct simvideo_lane *lane)
{
    int error = lane->buffers != NULL ? cma_video_release(&lane->queue) : 0;

    if (error == 0) {
        free(lane->buffers);
        lane->buffers = NULL;
    }
    return error;
}

/* --- what is sent, and compared ------------------------------------------------------------ */

bool simvideo_sample(uint64_t plane_nbytes, uint32_t number, uint32_t i, uint64_t *offset_nbytes,
                     uint32_t *nbytes)
{
    uint64_t offset = 0;

    if (i != 0) {
        uint64_t line = ((uint64_t)i * 13 + (uint64_t)number * 5) % (SAMPLE_PAGE / SAMPLE_NBYTES);

        offset = (uint64_t)(i - 1) * SAMPLE_PAGE + line * SAMPLE_NBYTES;
        if (i == 1 && offset == 0)
            offset = SAMPLE_NBYTES; /* not the first line once more */
        if ((uint64_t)(i - 1) * SAMPLE_PAGE >= plane_nbytes)
            return false;
        if (offset >= plane_nbytes)
            offset = plane_nbytes - 1;
    }
    *offset_nbytes = offset;
    *nbytes =
        (uint32_t)(plane_nbytes - offset < SAMPLE_NBYTES ? plane_nbytes - offset : SAMPLE_NBYTES);
    return true;
}

uint64_t simvideo_drawn(uint64_t plane_nbytes, uint32_t number, uint64_t *offset_nbytes,
                        uint8_t *value)
{
    uint64_t nbytes = plane_nbytes < DRAWN_NBYTES ? plane_nbytes : DRAWN_NBYTES;

    *offset_nbytes = plane_nbytes - nbytes;
    *value = (uint8_t)(number * 37 + 1);
    return nbytes;
}

static uint8_t *video_bytes(const struct picture_source *source, uint32_t plane)
{
    uint8_t *bytes = malloc(picture_nbytes(&source->format, plane));

    if (bytes == NULL)
        abort();
    return bytes;
}

/* A plane as `shot` has it, to be freed; NULL: nobody knows. */
static uint8_t *video_expect(const struct simvideo_shot *shot, uint32_t plane)
{
    uint8_t *large, *bytes, value;
    uint64_t offset, nbytes;

    if (shot->source == NULL)
        return NULL;
    bytes = video_bytes(shot->source, plane);
    picture_draw(shot->source, shot->number, shot->time_ns, plane, bytes);
    if (shot->drawn) {
        nbytes = simvideo_drawn(picture_nbytes(&shot->source->format, plane), shot->number, &offset,
                                &value);
        memset(bytes + offset, value, nbytes);
    }
    if (shot->shrink <= 1)
        return bytes;
    large = bytes;
    bytes = video_bytes(shot->source, plane); /* more than it needs */
    picture_shrink(&shot->source->format, shot->shrink, plane, large, bytes);
    free(large);
    return bytes;
}

/* The pieces of a plane that were sent. */
static bool video_piece(const struct simvideo_shot *shot, uint64_t plane_nbytes, uint32_t i,
                        uint64_t *offset, uint64_t *nbytes)
{
    uint32_t n = 0;

    if (shot->sampled) {
        if (!simvideo_sample(plane_nbytes, shot->number, i, offset, &n))
            return false;
        *nbytes = n;
        return true;
    }
    *offset = 0;
    *nbytes = plane_nbytes;
    return i == 0;
}

/* Bytes that differ from `right`; with `before`, of these only those that are as there. */
static uint64_t video_differences(const uint8_t *bytes, const uint8_t *right, const uint8_t *before,
                                  uint64_t nbytes)
{
    uint64_t n = 0;

    if (memcmp(bytes, right, nbytes) == 0)
        return 0;
    for (uint64_t i = 0; i < nbytes; i++)
        n += bytes[i] != right[i] && (before == NULL || bytes[i] == before[i]);
    return n;
}

void simvideo_compare(struct simvideo_count *count, const struct picture_format *format,
                      const struct simvideo_shot *shot, const struct simvideo_shot *was,
                      uint32_t plane, const uint8_t *bytes)
{
    uint64_t plane_nbytes = picture_nbytes(format, plane), offset, nbytes, wrong = 0;
    uint8_t *right = video_expect(shot, plane), *before;

    count->compared_frames += plane == 0;
    for (uint32_t i = 0; right != NULL && video_piece(shot, plane_nbytes, i, &offset, &nbytes);
         i++) {
        count->compared_bytes += nbytes;
        wrong += video_differences(bytes + offset, right + offset, NULL, nbytes);
    }
    count->wrong_bytes += right != NULL ? wrong : plane_nbytes;
    before = wrong != 0 ? video_expect(was, plane) : NULL;
    for (uint32_t i = 0; before != NULL && video_piece(shot, plane_nbytes, i, &offset, &nbytes);
         i++)
        count->stale_bytes +=
            video_differences(bytes + offset, right + offset, before + offset, nbytes);
    free(right);
    free(before);
}

void simlane_note(struct simvideo_lane *lane, uint32_t number, const struct simvideo_shot *shot)
{
    lane->was[number] = lane->shot[number];
    lane->shot[number] = *shot;
}
