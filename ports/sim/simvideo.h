/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * simvideo.h - simulated camera, scaler and display: devices and their drivers over cma_video
 *
 * Each device reaches memory through a simdev of its own: past the caches unless it snoops, through
 * the bus windows of its struct cma_device, with as many address lines as its mask says.
 *
 *   camera    real time. At each frame time the next buffer is filled during `readout`, in slices;
 *             is there none, the frame is dropped.
 *   scaler    memory to memory: reads a picture, and after a while writes it smaller. At work
 *             whenever it has a buffer of either side.
 *   display   real time. At each refresh all of a picture is read and compared. A new one is shown
 *             when it is due; is there none, the old one is, and an underrun is counted.
 *
 * They are their own truth: who sent what is noted beside the buffers (struct simvideo_shot), never
 * taken from memory, so what is compared is what memory did.
 *
 * In full: addresses, memory, caches, the order and time of accesses. Not: the bus's bandwidth. A
 * camera whose `full_every` is n sends only every n-th picture in full; of others one line of 64
 * bytes a page and the first line of each plane, others each time, and only these are compared:
 * hours of cameras in minutes.
 */
#ifndef SIM_SIMVIDEO_H
#define SIM_SIMVIDEO_H

#include <cma/video.h>

#include "picture.h"
#include "simdev.h"

/* What is in a buffer, in truth. */
struct simvideo_shot {
    const struct picture_source *source; /* NULL: nothing that is known */
    uint32_t number;
    uint64_t time_ns;
    uint32_t shrink; /* 1: as the sensor sent it */
    bool sampled;    /* only the lines of simvideo_sample() were sent */
    bool drawn;      /* the program drew over the end of each plane (simvideo_draw) before it was
                      * made smaller */
};

struct simvideo_count {
    uint64_t frames;     /* done by the device */
    uint64_t dropped;    /* camera: frame times without a buffer */
    uint64_t underruns;  /* display: refreshes that had nothing new when it was due */
    uint64_t refreshes;  /* display */
    uint64_t bus_errors; /* transfers that went wrong on the bus */
    uint64_t compared_frames, compared_bytes;
    uint64_t wrong_bytes; /* compared and not as they were sent */
    uint64_t stale_bytes; /* of these: as in the picture that was in the buffer before */
};

/* One queue of a device, and what its driver has. */
struct simvideo_lane {
    struct sim *sim;
    struct cma_video_queue queue;
    struct cma_video_buffer *buffers;
    struct picture_format format;
    struct simdev bus;
    struct simvideo_count count;
    struct simvideo_shot shot[CMA_VIDEO_BUFFERS_MAX]; /* by number of the buffer */
    struct simvideo_shot was[CMA_VIDEO_BUFFERS_MAX];  /* and before that */
    /* private */
    void (*begin)(struct simvideo_lane *lane);
    void *owner;
    struct sim_mutex lock; /* of what follows */
    struct cma_video_buffer *has[CMA_VIDEO_BUFFERS_MAX];
    uint32_t nhas;
    bool running, busy;
    uint32_t generation; /* of starts and stops */
    uint32_t event;      /* atomic, for port->wait */
    uint32_t sequence;
    struct simvideo_lane *event_of; /* whose event is signalled; NULL: its own */
};

struct simvideo_config {
    const char *name;
    struct cma_device *device;         /* made by the caller; the simdev follows its config */
    struct cma_guarantees *guarantees; /* NULL without a promise */
    struct picture_format format;
    uint32_t memories; /* of the queue; 0: all */
    uint32_t flags;    /* of the queue */
    uint32_t min_queued;
    uint32_t nbuffers; /* room; 1 to CMA_VIDEO_BUFFERS_MAX */
    bool promised;     /* nbuffers buffers (times planes) are promised (COHERENT, CONTIGUOUS) */
    uint32_t max_moves;
};

/*
 * The device's side of one queue. `begin` is called when it starts. Returns 0, CMA_EINVAL (format),
 * or as cma_video_init with *why.
 */
int simvideo_lane_init(struct simvideo_lane *lane, struct sim *sim,
                       const struct simvideo_config *config, enum cma_direction direction,
                       void (*begin)(struct simvideo_lane *lane), void *owner,
                       struct cma_admission *why);
/* As cma_video_release; nothing is freed unless that is 0. */
int simvideo_lane_destroy(struct simvideo_lane *lane);

/* --- camera ------------------------------------------------------------------------------ */

struct simcamera_config {
    struct simvideo_config video;
    uint32_t rate_mhz;        /* pictures in 1,000 seconds: 30000 is 30 a second */
    uint32_t readout_percent; /* of the time between pictures; 0: 50 */
    uint32_t slices;          /* of a readout; 0: 4 */
    uint32_t full_every;      /* 0, 1: all */
    uint64_t seed;
};
struct simcamera {
    struct simvideo_lane lane;
    struct simcamera_config config;
    struct picture_source source;
    uint32_t number; /* of the next picture, never reset */
    uint8_t *scratch;
};
/* Zeroed memory of the caller's. Errors as simvideo_lane_init. */
int simcamera_init(struct simcamera *camera, struct sim *sim, const struct simcamera_config *config,
                   struct cma_admission *why);
int simcamera_destroy(struct simcamera *camera);

/* --- scaler ------------------------------------------------------------------------------ */

struct simscaler_config {
    struct simvideo_config input, output; /* output.format: that of picture_shrunk() */
    uint32_t shrink;                      /* 1 to 8 */
    uint64_t work_ns;                     /* of one picture; 0: 2 ms */
};
struct simscaler {
    struct simvideo_lane input, output; /* TO_DEVICE, FROM_DEVICE */
    struct simscaler_config config;
    uint8_t *scratch[2];
};
int simscaler_init(struct simscaler *scaler, struct sim *sim, const struct simscaler_config *config,
                   struct cma_admission *why);
int simscaler_destroy(struct simscaler *scaler);

/* --- display ----------------------------------------------------------------------------- */

struct simdisplay_config {
    struct simvideo_config video;
    uint32_t rate_mhz; /* refreshes in 1,000 seconds */
    uint32_t every;    /* a picture is shown for so many refreshes; 0: 1 */
};
struct simdisplay {
    struct simvideo_lane lane;
    struct simdisplay_config config;
    uint8_t *scratch;
};
int simdisplay_init(struct simdisplay *display, struct sim *sim,
                    const struct simdisplay_config *config, struct cma_admission *why);
int simdisplay_destroy(struct simdisplay *display);

/* --- comparing --------------------------------------------------------------------------- */

/* The `i`-th piece of a plane that a sampled picture has; false: there are no more. */
bool simvideo_sample(uint64_t plane_nbytes, uint32_t number, uint32_t i, uint64_t *offset_nbytes,
                     uint32_t *nbytes);
/* The last bytes of a plane that a program draws over, 2,048 at most, and what with. */
uint64_t simvideo_drawn(uint64_t plane_nbytes, uint32_t number, uint64_t *offset_nbytes,
                        uint8_t *value);
/* Compares one plane with what `shot` sent; what differs is counted, as stale if `was`, which was
 * in the buffer before, had the same byte. (Of a shot without source all is wrong.) */
void simvideo_compare(struct simvideo_count *count, const struct picture_format *format,
                      const struct simvideo_shot *shot, const struct simvideo_shot *was,
                      uint32_t plane, const uint8_t *bytes);

#endif
