/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * simscaler.c - the simulated scaler: reads a picture, and after a while writes it smaller
 *
 * One fibre for each time that both of its queues stream; it sleeps at the input's event, which
 * both signal. A picture whose queue stops meanwhile is begun again, or never.
 */
#include <stdlib.h>
#include <string.h>

#include "simlane.h"

struct scaler_run {
    struct simscaler *scaler;
    uint32_t input, output; /* generations */
};

static bool scaler_read(struct simscaler *scaler, uint32_t generation,
                        const struct cma_video_buffer *from)
{
    struct simvideo_lane *lane = &scaler->input;
    uint8_t *bytes = scaler->scratch[0];
    bool right = true;

    if (!simlane_enter(lane, generation))
        return false;
    for (uint32_t i = 0; i < picture_nplanes(&lane->format); i++) {
        right &= simdev_read(&lane->bus, from->plane[i].daddr + from->plane[i].offset_nbytes, bytes,
                             picture_nbytes(&lane->format, i));
        bytes += picture_nbytes(&lane->format, i);
    }
    lane->count.bus_errors += !right;
    simlane_leave(lane);
    return true;
}

static bool scaler_write(struct simscaler *scaler, uint32_t generation,
                         const struct cma_video_buffer *to)
{
    struct simvideo_lane *lane = &scaler->output;
    const uint8_t *bytes = scaler->scratch[0];
    bool right = true;

    if (!simlane_enter(lane, generation))
        return false;
    for (uint32_t i = 0; i < picture_nplanes(&lane->format); i++) {
        picture_shrink(&scaler->input.format, scaler->config.shrink, i, bytes, scaler->scratch[1]);
        right &= simdev_write(&lane->bus, to->plane[i].daddr, scaler->scratch[1],
                              picture_nbytes(&lane->format, i));
        bytes += picture_nbytes(&scaler->input.format, i);
    }
    lane->count.bus_errors += !right;
    simlane_leave(lane);
    return true;
}

/* Returns false when there was nothing to do. */
static bool scaler_work(struct simscaler *scaler, const struct scaler_run *run)
{
    struct sim *sim = scaler->input.sim;
    struct cma_video_buffer *from, *to, *from_now, *to_now;
    struct simvideo_shot shot;

    (void)simlane_look(&scaler->input, run->input, &from, NULL);
    (void)simlane_look(&scaler->output, run->output, &to, NULL);
    if (from == NULL || to == NULL || !scaler_read(scaler, run->input, from))
        return false;
    shot = scaler->input.shot[from->number];
    shot.shrink *= scaler->config.shrink;
    sim_sleep_ns(sim, scaler->config.work_ns);
    (void)simlane_look(&scaler->input, run->input, &from_now, NULL);
    (void)simlane_look(&scaler->output, run->output, &to_now, NULL);
    if (from_now != from || to_now != to)
        return true;
    simlane_note(&scaler->output, to->number, &shot);
    if (!scaler_write(scaler, run->output, to))
        return true;
    simlane_finish(&scaler->output, run->output, true, shot.time_ns, scaler->output.sequence++);
    simlane_finish(&scaler->input, run->input, true, shot.time_ns, scaler->input.sequence++);
    return true;
}

static void scaler_main(void *arg)
{
    struct scaler_run run = *(struct scaler_run *)arg;
    struct simscaler *scaler = run.scaler;
    const struct cma_port *port = sim_port(scaler->input.sim);
    struct cma_video_buffer *first;

    free(arg);
    for (;;) {
        uint32_t seen = __atomic_load_n(&scaler->input.event, __ATOMIC_SEQ_CST);

        if (!simlane_look(&scaler->input, run.input, &first, NULL) ||
            !simlane_look(&scaler->output, run.output, &first, NULL))
            return;
        if (!scaler_work(scaler, &run))
            port->wait(port->ctx, &scaler->input.event, seen);
    }
}

static void scaler_begin(struct simvideo_lane *lane)
{
    struct simscaler *scaler = lane->owner;
    struct scaler_run *run = malloc(sizeof(*run));
    struct cma_video_buffer *first;

    if (run == NULL)
        abort();
    /* The one that comes second sees both. */
    run->scaler = scaler;
    run->input = scaler->input.generation;
    run->output = scaler->output.generation;
    if (simlane_look(&scaler->input, run->input, &first, NULL) &&
        simlane_look(&scaler->output, run->output, &first, NULL))
        sim_spawn(lane->sim, "scaler", scaler_main, run);
    else
        free(run);
}

int simscaler_init(struct simscaler *scaler, struct sim *sim, const struct simscaler_config *config,
                   struct cma_admission *why)
{
    int error;

    memset(scaler, 0, sizeof(*scaler));
    scaler->config = *config;
    if (config->shrink == 0 || config->shrink > 8 ||
        !picture_format_is_valid(&config->input.format))
        return CMA_EINVAL;
    if (config->work_ns == 0)
        scaler->config.work_ns = 2000000;
    scaler->config.output.format = picture_shrunk(&config->input.format, config->shrink);
    error = simvideo_lane_init(&scaler->input, sim, &config->input, CMA_TO_DEVICE, scaler_begin,
                               scaler, why);
    if (error != 0)
        return error;
    error = simvideo_lane_init(&scaler->output, sim, &scaler->config.output, CMA_FROM_DEVICE,
                               scaler_begin, scaler, why);
    if (error != 0) {
        (void)simvideo_lane_destroy(&scaler->input);
        return error;
    }
    scaler->output.event_of = &scaler->input;
    for (uint32_t i = 0; i < 2; i++) {
        scaler->scratch[i] = malloc(picture_total_nbytes(&config->input.format));
        if (scaler->scratch[i] == NULL)
            abort();
    }
    return 0;
}

int simscaler_destroy(struct simscaler *scaler)
{
    int error = simvideo_lane_destroy(&scaler->input);

    if (error == 0)
        error = simvideo_lane_destroy(&scaler->output);
    for (uint32_t i = 0; error == 0 && i < 2; i++) {
        free(scaler->scratch[i]);
        scaler->scratch[i] = NULL;
    }
    return error;
}
