/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * simclient.h - the programs beside the devices of simvideo.h: who opens a camera
 *
 *     simclient_create    devices and queues are made; promises are admitted, or refused with why
 *     simclient_open      buffers are there, or are refused with why
 *     simclient_start     they are queued, the stream is on, a program looks at each picture
 *     simclient_stop      stream off; the program has ended when it returns
 *     simclient_close     the buffers are gone
 *     simclient_destroy
 *
 * A client is a camera alone, or camera, scaler and display in a row: the scaler imports the
 * camera's buffers, the display the scaler's, and nothing is copied but by the scaler. (Buffers in
 * the program's own memory are not imported: that memory is queued again.) The program reads each
 * picture as the CPU sees it (the camera's; with a scaler the scaler's too), compares all bytes
 * with what the sensor sent, and gives the buffer back.
 *
 * Or it is a display alone: the program draws a picture into each of its buffers before it queues
 * it, and the display compares all bytes with what was drawn.
 *
 * Open to close may sleep and are called from fibres (or threads) of the simulation.
 */
#ifndef SIM_SIMCLIENT_H
#define SIM_SIMCLIENT_H

#include "simvideo.h"

/* A picture as the CPU saw it. */
struct simclient_picture {
    const struct picture_format *format;
    const uint8_t *plane[PICTURE_PLANES_MAX];
    struct simvideo_shot shot; /* what was sent: number, time; sampled ones are no use to look at */
    uint64_t wrong_bytes;
    bool scaled; /* the scaler's */
};

struct simclient_config {
    struct simcamera_config camera; /* video.nbuffers: as many are asked for */
    enum cma_video_memory memory;   /* of the camera's buffers, or the lone display's; not SHARED */
    uint32_t least;                 /* open is content with so many buffers; 0: nbuffers */
    uint64_t work_ns;               /* the program's own work on a picture */
    bool scribbles; /* it writes over each picture it has looked at (a camera alone) */
    bool draws;     /* it draws on each picture before the scaler gets it */
    /* USER: memory for a plane, of the camera's pictures or the scaler's; always the same for the
     * same plane. */
    void *(*user)(void *ctx, bool scaled, uint32_t number, uint32_t plane, uint64_t nbytes);
    /* Each picture that the program looks at. NULL: nobody wants to know. */
    void (*picture)(void *ctx, const struct simclient_picture *picture);
    void *ctx;
    /* NULL: camera alone. Their format and memories are filled in. */
    const struct simscaler_config *scaler;
    /* Without a scaler: alone, with a format and buffers of its own; of `camera` only the seed
     * counts then. */
    const struct simdisplay_config *display;
    enum cma_video_memory scaler_memory; /* of its pictures; not SHARED; 0: COHERENT */
};

struct simclient_stats {
    struct simvideo_count camera, scaler, display; /* devices; display: compared by the device */
    struct simvideo_count seen;                    /* compared by the CPU, of all queues */
    uint32_t nbuffers;
    uint64_t open_ns;     /* of the last open: from the call to buffers that are there */
    uint64_t open_ns_max; /* of all */
    uint64_t opens, refused_opens;
    /* New buffers are all zeros. Of the last page of each plane, as the CPU saw it when it was
     * opened, these bytes were not: the end, where a cache would still hold zeros that never
     * reached memory. Programs read no more of new buffers, and it would cost them time. */
    uint64_t nonzero_bytes;
    bool refused_scaler; /* the last open that was refused: it was the scaler's buffers */
    int error; /* the first one that a call of the program got and did not expect; 0: none */
};

struct simclient;

/* Returns 0 and *client, or as cma_video_init with *why. */
int simclient_create(struct sim *sim, const struct simclient_config *config,
                     struct simclient **client, struct cma_admission *why);
/* Returns 0, or as cma_video_request (CMA_ENOMEM: fewer than `least`); nothing is left then. */
int simclient_open(struct simclient *client, struct cma_refusal *refusal);
int simclient_start(struct simclient *client, struct cma_refusal *refusal);
void simclient_stop(struct simclient *client);
int simclient_close(struct simclient *client);
/* Closed. Returns 0 or as cma_video_release. */
int simclient_destroy(struct simclient *client);
void simclient_stats(const struct simclient *client, struct simclient_stats *stats);
/* The devices, for tests that break something. */
struct simcamera *simclient_camera(struct simclient *client);
struct simscaler *simclient_scaler(struct simclient *client);
struct simdisplay *simclient_display(struct simclient *client);

#endif
