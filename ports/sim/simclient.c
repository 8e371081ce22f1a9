/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * simclient.c - programs that open cameras
 *
 * One fibre for each queue that gives something back, each sleeping in its dequeue:
 *
 *     camera --(1)--> scaler's input --(2)--> camera again
 *     scaler's output --(3)--> display --(4)--> scaler's output again
 *
 * Buffer i of the scaler's input is always buffer i of the camera, and so at the display: imported,
 * or, where it is the program's own memory, the same memory queued again. Stop ends
 * the streams, and so the fibres' sleeps; what one of them queues behind that is taken back by a
 * second stream off.
 */
#include "simclient.h"

#include <stdlib.h>
#include <string.h>

#include "simlane.h"

enum client_stage { CLIENT_CAMERA, CLIENT_INPUT, CLIENT_OUTPUT, CLIENT_DISPLAY, CLIENT_STAGES };

struct simclient {
    struct sim *sim;
    struct simclient_config config;
    struct simcamera camera;
    struct simscaler scaler;
    struct simdisplay display;
    struct simvideo_lane *lanes[CLIENT_STAGES]; /* NULL: there is no such */
    enum client_stage first;                    /* a display alone: that one */
    struct picture_source drawn;                /* what the program draws for it */
    uint32_t ndrawn;
    struct simvideo_count seen[CLIENT_STAGES];
    struct cma_shared *exports[CLIENT_STAGES][CMA_VIDEO_BUFFERS_MAX][PICTURE_PLANES_MAX];
    uint32_t nbuffers[CLIENT_STAGES];
    struct simclient_stats stats;
    struct sim_mutex lock; /* of what follows */
    bool stopping;
    uint32_t running;
    int error;
};

struct client_run {
    struct simclient *client;
    enum client_stage stage;
};

/* --- made and ended ------------------------------------------------------------------------ */

static int client_make_rest(struct simclient *client, struct cma_admission *why)
{
    struct simclient_config *config = &client->config;
    struct simscaler_config scaler = *config->scaler;
    struct simdisplay_config display;
    int error;

    scaler.input.format = config->camera.video.format;
    scaler.input.nbuffers = config->camera.video.nbuffers;
    error = simscaler_init(&client->scaler, client->sim, &scaler, why);
    if (error != 0)
        return error;
    client->lanes[CLIENT_INPUT] = &client->scaler.input;
    client->lanes[CLIENT_OUTPUT] = &client->scaler.output;
    if (config->display == NULL)
        return 0;
    display = *config->display;
    display.video.format = client->scaler.output.format;
    display.video.nbuffers = scaler.output.nbuffers;
    if (display.video.min_queued == 0 && display.video.nbuffers > 2)
        display.video.min_queued = 2;
    error = simdisplay_init(&client->display, client->sim, &display, why);
    if (error == 0)
        client->lanes[CLIENT_DISPLAY] = &client->display.lane;
    return error;
}

static int client_make(struct simclient *client, struct cma_admission *why)
{
    struct simclient_config *config = &client->config;
    int error;

    if (config->display != NULL && config->scaler == NULL) {
        error = simdisplay_init(&client->display, client->sim, config->display, why);
        if (error != 0)
            return error;
        client->first = CLIENT_DISPLAY;
        client->lanes[CLIENT_DISPLAY] = &client->display.lane;
        picture_source_init(&client->drawn, &config->display->video.format, config->camera.seed);
        return 0;
    }
    if (config->scaler != NULL)
        config->camera.full_every = 1; /* what is scaled, is whole */
    if (config->scaler_memory == 0)
        config->scaler_memory = CMA_VIDEO_COHERENT;
    error = simcamera_init(&client->camera, client->sim, &config->camera, why);
    if (error == 0)
        client->lanes[CLIENT_CAMERA] = &client->camera.lane;
    return error == 0 && config->scaler != NULL ? client_make_rest(client, why) : error;
}

int simclient_create(struct sim *sim, const struct simclient_config *config,
                     struct simclient **made, struct cma_admission *why)
{
    struct simclient *client;
    int error;

    if (config->memory == CMA_VIDEO_SHARED || config->scaler_memory == CMA_VIDEO_SHARED ||
        (config->user == NULL &&
         (config->memory == CMA_VIDEO_USER || config->scaler_memory == CMA_VIDEO_USER)))
        return CMA_EINVAL;
    client = calloc(1, sizeof(*client));
    if (client == NULL)
        abort();
    client->sim = sim;
    client->config = *config;
    error = client_make(client, why);
    client->config.scaler = NULL; /* the caller's; the devices have what they need */
    client->config.display = NULL;
    if (error != 0) {
        (void)simclient_destroy(client);
        return error;
    }
    *made = client;
    return 0;
}

int simclient_destroy(struct simclient *client)
{
    int error = 0;

    if (client->lanes[CLIENT_DISPLAY] != NULL)
        error = simdisplay_destroy(&client->display);
    if (error == 0 && client->lanes[CLIENT_INPUT] != NULL)
        error = simscaler_destroy(&client->scaler);
    if (error == 0 && client->lanes[CLIENT_CAMERA] != NULL)
        error = simcamera_destroy(&client->camera);
    if (error == 0) {
        picture_source_free(&client->drawn);
        free(client);
    }
    return error;
}

/* --- open and close ------------------------------------------------------------------------ */

/* Of that queue's buffers: what comes from the queue before is the program's there too, or else is
 * imported. */
static enum cma_video_memory client_memory(const struct simclient *client, enum client_stage stage)
{
    const struct simclient_config *config = &client->config;
    enum cma_video_memory memory =
        stage < CLIENT_OUTPUT || stage == client->first ? config->memory : config->scaler_memory;

    return stage % 2 == 0 || stage == client->first || memory == CMA_VIDEO_USER ? memory
                                                                                : CMA_VIDEO_SHARED;
}

static void *client_vaddr(struct simclient *client, enum client_stage stage, uint32_t number,
                          uint32_t plane)
{
    struct simvideo_lane *lane = client->lanes[stage];

    if (client_memory(client, stage) == CMA_VIDEO_USER)
        return client->config.user(client->config.ctx, stage >= CLIENT_OUTPUT, number, plane,
                                   picture_nbytes(&lane->format, plane));
    return cma_video_vaddr(&lane->buffers[number], plane);
}

/* Are its new buffers zeroed? */
static void client_look_at_new(struct simclient *client, enum client_stage stage)
{
    const struct picture_format *format = &client->lanes[stage]->format;
    uint8_t bytes[4096];

    for (uint32_t i = 0; i < client->nbuffers[stage]; i++) {
        for (uint32_t j = 0; j < picture_nplanes(format); j++) {
            uint64_t nbytes = picture_nbytes(format, j);
            uint64_t offset = nbytes < sizeof(bytes) ? 0 : nbytes - sizeof(bytes);
            uint8_t *vaddr = client_vaddr(client, stage, i, j);

            sim_read(client->sim, vaddr + offset, bytes, nbytes - offset);
            for (uint64_t k = 0; k < nbytes - offset; k++)
                client->stats.nonzero_bytes += bytes[k] != 0;
        }
    }
}

static int client_request(struct simclient *client, enum client_stage stage, uint32_t wanted,
                          uint32_t least, struct cma_refusal *refusal)
{
    struct cma_video_queue *queue = &client->lanes[stage]->queue;
    enum cma_video_memory memory = client_memory(client, stage);
    uint32_t got = wanted, none = 0;
    int error = cma_video_request(queue, memory, &got, refusal);

    if (error == 0 && got < least) {
        error = cma_video_request(queue, memory, &none, NULL);
        error = error != 0 ? error : CMA_ENOMEM;
    }
    client->nbuffers[stage] = error == 0 ? got : 0;
    if (error != 0)
        client->stats.refused_scaler = stage == CLIENT_OUTPUT;
    else if (memory == CMA_VIDEO_COHERENT || memory == CMA_VIDEO_CONTIGUOUS)
        client_look_at_new(client, stage);
    return error;
}

/* Handles of all planes, if the next queue imports them. */
static int client_export(struct simclient *client, enum client_stage stage)
{
    bool imports = client_memory(client, (enum client_stage)(stage + 1)) == CMA_VIDEO_SHARED;

    for (uint32_t i = 0; imports && i < client->nbuffers[stage]; i++) {
        for (uint32_t j = 0; j < picture_nplanes(&client->lanes[stage]->format); j++) {
            int error =
                cma_video_export(&client->lanes[stage]->queue, i, j, &client->exports[stage][i][j]);

            if (error != 0)
                return error;
        }
    }
    return 0;
}

static int client_open_rest(struct simclient *client, struct cma_refusal *refusal)
{
    uint32_t n = client->nbuffers[CLIENT_CAMERA], room = client->scaler.config.output.nbuffers;
    int error = client_export(client, CLIENT_CAMERA);

    if (error == 0)
        error = client_request(client, CLIENT_INPUT, n, n, refusal);
    if (error == 0)
        error = client_request(client, CLIENT_OUTPUT, room, room, refusal);
    if (error != 0 || client->lanes[CLIENT_DISPLAY] == NULL)
        return error;
    error = client_export(client, CLIENT_OUTPUT);
    return error != 0 ? error : client_request(client, CLIENT_DISPLAY, room, room, refusal);
}

int simclient_open(struct simclient *client, struct cma_refusal *refusal)
{
    uint32_t wanted = client->first == CLIENT_DISPLAY ? client->display.config.video.nbuffers
                                                      : client->config.camera.video.nbuffers;
    uint32_t least = client->config.least ? client->config.least : wanted;
    uint64_t begin_ns = sim_now_ns(client->sim);
    struct simclient_stats *stats = &client->stats;
    int error = client_request(client, client->first, wanted, least, refusal);

    if (error == 0 && client->lanes[CLIENT_INPUT] != NULL) {
        error = client_open_rest(client, refusal);
        if (error != 0)
            (void)simclient_close(client);
    }
    if (error != 0) {
        stats->refused_opens++;
        return error;
    }
    stats->opens++;
    stats->open_ns = sim_now_ns(client->sim) - begin_ns;
    if (stats->open_ns > stats->open_ns_max)
        stats->open_ns_max = stats->open_ns;
    return 0;
}

static int client_free(struct simclient *client, enum client_stage stage)
{
    uint32_t none = 0;
    int error = 0;

    for (uint32_t i = 0; i < CMA_VIDEO_BUFFERS_MAX; i++) {
        for (uint32_t j = 0; j < PICTURE_PLANES_MAX; j++) {
            if (client->exports[stage][i][j] != NULL)
                (void)cma_shared_put(client->exports[stage][i][j]);
            client->exports[stage][i][j] = NULL;
        }
    }
    if (client->lanes[stage] != NULL)
        error = cma_video_request(&client->lanes[stage]->queue, CMA_VIDEO_COHERENT, &none, NULL);
    client->nbuffers[stage] = 0;
    return error;
}

int simclient_close(struct simclient *client)
{
    /* Who imports lets go first. */
    static const enum client_stage order[CLIENT_STAGES] = {CLIENT_DISPLAY, CLIENT_INPUT,
                                                           CLIENT_OUTPUT, CLIENT_CAMERA};
    int error = 0;

    for (uint32_t i = 0; error == 0 && i < CLIENT_STAGES; i++)
        error = client_free(client, order[i]);
    return error;
}

/* --- the program --------------------------------------------------------------------------- */

/* Draws all of the next picture for a display that nobody else sends one. */
static void client_draw_whole(struct simclient *client, uint32_t number)
{
    struct simvideo_lane *lane = client->lanes[CLIENT_DISPLAY];
    struct simvideo_shot shot = {.source = &client->drawn,
                                 .number = client->ndrawn++,
                                 .time_ns = sim_now_ns(client->sim),
                                 .shrink = 1};

    for (uint32_t i = 0; i < picture_nplanes(&lane->format); i++) {
        uint64_t nbytes = picture_nbytes(&lane->format, i);
        uint8_t *bytes = malloc(nbytes);

        if (bytes == NULL)
            abort();
        picture_draw(&client->drawn, shot.number, shot.time_ns, i, bytes);
        sim_write(client->sim, client_vaddr(client, CLIENT_DISPLAY, number, i), bytes, nbytes);
        free(bytes);
    }
    simlane_note(lane, number, &shot);
}

static int client_put(struct simclient *client, enum client_stage stage, uint32_t number,
                      struct cma_refusal *refusal)
{
    struct simvideo_lane *lane = client->lanes[stage];
    struct cma_video_put put = {.number = number, .nplanes = picture_nplanes(&lane->format)};
    enum cma_video_memory memory = client_memory(client, stage);

    for (uint32_t i = 0; i < put.nplanes; i++) {
        if (memory == CMA_VIDEO_SHARED) {
            put.plane[i].shared = client->exports[stage - 1][number][i];
        } else if (memory == CMA_VIDEO_USER) {
            put.plane[i].nbytes = picture_nbytes(&lane->format, i);
            put.plane[i].vaddr = client_vaddr(client, stage, number, i);
        }
    }
    if (client->first == CLIENT_DISPLAY)
        client_draw_whole(client, number);
    else if (stage % 2 != 0)
        simlane_note(lane, number, &client->lanes[stage - 1]->shot[number]);
    return cma_video_queue_buffer(&lane->queue, &put, refusal);
}

/* Puts it on, unless all ends. */
static void client_pass(struct simclient *client, enum client_stage stage, uint32_t number)
{
    struct cma_refusal refusal = {.code = 0};
    bool stopping;
    int error;

    sim_lock(client->sim, &client->lock);
    stopping = client->stopping;
    sim_unlock(client->sim, &client->lock);
    if (stopping)
        return;
    error = client_put(client, stage, number, &refusal);
    if (error != 0) {
        sim_lock(client->sim, &client->lock);
        if (client->error == 0 && !client->stopping)
            client->error = error;
        sim_unlock(client->sim, &client->lock);
    }
}

static void client_read(struct simclient *client, const struct simvideo_shot *shot,
                        const uint8_t *vaddr, uint64_t nbytes, uint8_t *to)
{
    uint64_t offset = 0;
    uint32_t n = 0;

    if (!shot->sampled) {
        sim_read(client->sim, vaddr, to, nbytes);
        return;
    }
    for (uint32_t i = 0; simvideo_sample(nbytes, shot->number, i, &offset, &n); i++)
        sim_read(client->sim, vaddr + offset, to + offset, n);
}

/* Looks at all of a picture as the CPU sees it. */
static void client_examine(struct simclient *client, enum client_stage stage, uint32_t number)
{
    struct simvideo_lane *lane = client->lanes[stage];
    struct simvideo_count *seen = &client->seen[stage];
    struct simclient_picture picture = {
        .format = &lane->format, .shot = lane->shot[number], .scaled = stage == CLIENT_OUTPUT};
    uint64_t wrong = seen->wrong_bytes;
    uint8_t *bytes[PICTURE_PLANES_MAX] = {NULL, NULL};

    for (uint32_t i = 0; i < picture_nplanes(&lane->format); i++) {
        uint64_t nbytes = picture_nbytes(&lane->format, i);
        bytes[i] = malloc(nbytes);
        if (bytes[i] == NULL)
            abort();
        client_read(client, &picture.shot, client_vaddr(client, stage, number, i), nbytes,
                    bytes[i]);
        simvideo_compare(seen, &lane->format, &picture.shot, &lane->was[number], i, bytes[i]);
        picture.plane[i] = bytes[i];
    }
    picture.wrong_bytes = seen->wrong_bytes - wrong;
    if (client->config.picture != NULL)
        client->config.picture(client->config.ctx, &picture);
    for (uint32_t i = 0; i < PICTURE_PLANES_MAX; i++)
        free(bytes[i]);
    if (client->config.work_ns != 0)
        sim_sleep_ns(client->sim, client->config.work_ns);
}

/* Draws on a picture that others look at after it. */
static void client_draw(struct simclient *client, uint32_t number)
{
    struct simvideo_lane *lane = client->lanes[CLIENT_CAMERA];
    struct simvideo_shot *shot = &lane->shot[number];
    uint8_t bytes[4096], value;
    uint64_t offset;

    for (uint32_t i = 0; i < picture_nplanes(&lane->format); i++) {
        uint64_t nbytes =
            simvideo_drawn(picture_nbytes(&lane->format, i), shot->number, &offset, &value);
        uint8_t *vaddr = client_vaddr(client, CLIENT_CAMERA, number, i);

        memset(bytes, value, nbytes);
        sim_write(client->sim, vaddr + offset, bytes, nbytes);
    }
    shot->drawn = true;
}

/* Writes over a picture before it gives the buffer back, as programs do: dirty lines. */
static void client_scribble(struct simclient *client, enum client_stage stage, uint32_t number)
{
    static const uint8_t zeros[4096];
    const struct picture_format *format = &client->lanes[stage]->format;

    for (uint32_t i = 0; i < picture_nplanes(format); i++) {
        uint64_t nbytes = picture_nbytes(format, i);
        uint8_t *vaddr = client_vaddr(client, stage, number, i);

        for (uint64_t offset = 0; offset < nbytes; offset += sizeof(zeros))
            sim_write(client->sim, vaddr + offset, zeros,
                      nbytes - offset < sizeof(zeros) ? nbytes - offset : sizeof(zeros));
    }
}

/* Where a buffer goes from there. */
static enum client_stage client_next(const struct simclient *client, enum client_stage stage)
{
    enum client_stage next = stage % 2 == 0 ? stage + 1 : stage - 1;

    return client->lanes[next] != NULL ? next : stage;
}

static void client_main(void *arg)
{
    struct client_run run = *(struct client_run *)arg;
    struct simclient *client = run.client;
    struct simvideo_lane *lane = client->lanes[run.stage];
    struct cma_video_info info;
    int error;

    free(arg);
    for (;;) {
        error = cma_video_dequeue(&lane->queue, true, &info);
        if (error != 0)
            break;
        if (info.state == CMA_VIDEO_DONE &&
            (run.stage == CLIENT_CAMERA || run.stage == CLIENT_OUTPUT))
            client_examine(client, run.stage, info.number);
        if (client->config.scribbles && client->lanes[CLIENT_INPUT] == NULL)
            client_scribble(client, run.stage, info.number);
        if (client->config.draws && run.stage == CLIENT_CAMERA && info.state == CMA_VIDEO_DONE)
            client_draw(client, info.number);
        client_pass(client, client_next(client, run.stage), info.number);
    }
    sim_lock(client->sim, &client->lock);
    if (client->error == 0 && !client->stopping)
        client->error = error;
    client->running--;
    sim_unlock(client->sim, &client->lock);
}

/* --- start and stop ------------------------------------------------------------------------ */

static int client_start_stage(struct simclient *client, enum client_stage stage,
                              struct cma_refusal *refusal)
{
    bool has = stage % 2 == 0 || stage == client->first;
    struct client_run *run;
    int error = 0;

    /* Those that import get theirs from the others. */
    for (uint32_t i = 0; error == 0 && has && i < client->nbuffers[stage]; i++)
        error = client_put(client, stage, i, refusal);
    if (error == 0)
        error = cma_video_stream_on(&client->lanes[stage]->queue);
    if (error != 0)
        return error;
    run = malloc(sizeof(*run));
    if (run == NULL)
        abort();
    *run = (struct client_run){client, stage};
    sim_lock(client->sim, &client->lock);
    client->running++;
    sim_unlock(client->sim, &client->lock);
    sim_spawn(client->sim, "program", client_main, run);
    return 0;
}

int simclient_start(struct simclient *client, struct cma_refusal *refusal)
{
    int error = 0;

    client->stopping = false;
    /* The last ones first: they are there when the first picture comes. */
    for (uint32_t i = CLIENT_STAGES; error == 0 && i-- > 0;) {
        if (client->lanes[i] != NULL)
            error = client_start_stage(client, (enum client_stage)i, refusal);
    }
    if (error != 0)
        simclient_stop(client);
    return error;
}

static void client_streams_off(struct simclient *client)
{
    for (uint32_t i = 0; i < CLIENT_STAGES; i++) {
        if (client->lanes[i] != NULL)
            (void)cma_video_stream_off(&client->lanes[i]->queue);
    }
}

void simclient_stop(struct simclient *client)
{
    bool running = true;

    sim_lock(client->sim, &client->lock);
    client->stopping = true;
    sim_unlock(client->sim, &client->lock);
    client_streams_off(client);
    while (running) {
        sim_lock(client->sim, &client->lock);
        running = client->running != 0;
        sim_unlock(client->sim, &client->lock);
        if (running)
            sim_sleep_ns(client->sim, 10000);
    }
    client_streams_off(client);
}

/* --- numbers ------------------------------------------------------------------------------- */

static void client_add(struct simvideo_count *to, const struct simvideo_count *count)
{
    to->compared_frames += count->compared_frames;
    to->compared_bytes += count->compared_bytes;
    to->wrong_bytes += count->wrong_bytes;
    to->stale_bytes += count->stale_bytes;
}

void simclient_stats(const struct simclient *client, struct simclient_stats *stats)
{
    *stats = client->stats;
    stats->camera = client->camera.lane.count;
    stats->scaler = client->scaler.output.count;
    stats->scaler.bus_errors += client->scaler.input.count.bus_errors;
    stats->display = client->display.lane.count;
    for (uint32_t i = 0; i < CLIENT_STAGES; i++)
        client_add(&stats->seen, &client->seen[i]);
    stats->nbuffers = client->nbuffers[client->first];
    stats->error = client->error;
}

struct simcamera *simclient_camera(struct simclient *client)
{
    return &client->camera;
}

struct simscaler *simclient_scaler(struct simclient *client)
{
    return &client->scaler;
}

struct simdisplay *simclient_display(struct simclient *client)
{
    return &client->display;
}
