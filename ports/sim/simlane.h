/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * simlane.h - between simvideo.c and the devices (private)
 */
#ifndef SIM_SIMLANE_H
#define SIM_SIMLANE_H

#include "simvideo.h"

/* A fibre of a device, with the generation it was begun in; freed by it. */
struct simlane_run {
    struct simvideo_lane *lane;
    uint32_t generation;
};

/* Who waits at `event` looks again. */
void simlane_kick(struct simvideo_lane *lane);
/* Before memory is touched: false when the lane has stopped since. Then leave. */
bool simlane_enter(struct simvideo_lane *lane, uint32_t generation);
void simlane_leave(struct simvideo_lane *lane);
/* The buffer that is the device's next (NULL: none), and how many it has (`n` may be NULL). False:
 * the lane has stopped since, and there is none. */
bool simlane_look(struct simvideo_lane *lane, uint32_t generation, struct cma_video_buffer **buffer,
                  uint32_t *n);
/* The device is done with that one. */
void simlane_finish(struct simvideo_lane *lane, uint32_t generation, bool right, uint64_t time_ns,
                    uint32_t sequence);
/* What is in a buffer from now on. */
void simlane_note(struct simvideo_lane *lane, uint32_t number, const struct simvideo_shot *shot);

#endif
