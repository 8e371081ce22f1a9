/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * video_board.h - a simulated machine with a camera, a scaler and a driver that does as it is told
 *
 * 8 MiB from 0x40000000, 2 MiB of it an area. Camera and scaler look past the cache, the scaler
 * through a bus that shifts addresses; the display snoops. The driver writes down what is asked of
 * it, one letter a call: s(etup) p(repare) q(ueue) S(tart) X (stop) f(inish).
 */
#ifndef TEST_VIDEO_BOARD_H
#define TEST_VIDEO_BOARD_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <cma/system.h>
#include <cma/video.h>

#include "../../ports/sim/sim.h"
#include "../../ports/sim/simdev.h"

#define BASE 0x40000000u
#define NPAGES 2048u
#define AREA_FIRST 1024u
#define AREA_NPAGES 512u
#define NBYTES 0x5040u
#define ROOM 8u
#define ALL_MEMORIES 0x1eu

struct driver {
    struct cma_video_queue *queue;
    char log[256];
    uint32_t nplanes;
    uint64_t plane_nbytes[CMA_VIDEO_PLANES_MAX];
    uint32_t least; /* setup refuses fewer */
    uint32_t most;  /* and cuts more; 0: it does not */
    int setup_error, prepare_error, start_error;
    bool keeps;                   /* start and stop leave what they have */
    void (*meanwhile)(void *arg); /* called in prepare, start, stop */
    void *meanwhile_arg;
    bool at_once; /* done in queue */
    struct cma_video_buffer *has[CMA_VIDEO_BUFFERS_MAX];
    uint32_t nhas, sequence;
    uint32_t asked; /* how many setup was asked for last */
};

struct bench {
    struct sim *sim;
    struct cma_port port;
    struct cma_range memory[2], reserved[4];
    struct cma_map map;
    struct cma_system system;
    void *storage;
    struct cma_device camera, scaler, display;
    struct simdev camera_bus, scaler_bus, display_bus;
    struct driver driver, other_driver;
    struct cma_video_queue queue, other;
    struct cma_video_buffer buffers[ROOM], other_buffers[ROOM];
};

static const struct cma_bus_window scaler_window = {0x1000, BASE, NPAGES << 12};

static inline void driver_say(struct driver *driver, char what)
{
    size_t used = strlen(driver->log);

    if (used + 1 < sizeof(driver->log))
        driver->log[used] = what;
}

#define assert_log(driver, text)                         \
    do {                                                 \
        assert_string_equal((driver)->log, (text));      \
        memset((driver)->log, 0, sizeof((driver)->log)); \
    } while (0)

static int driver_setup(void *ctx, enum cma_video_memory memory, uint32_t *nbuffers,
                        uint32_t *nplanes, uint64_t plane_nbytes[CMA_VIDEO_PLANES_MAX])
{
    struct driver *driver = ctx;

    (void)memory;
    driver_say(driver, 's');
    driver->asked = *nbuffers;
    if (*nbuffers < driver->least)
        return CMA_ENOMEM;
    if (driver->most != 0 && *nbuffers > driver->most)
        *nbuffers = driver->most;
    if (*nplanes == 0) {
        *nplanes = driver->nplanes;
        memcpy(plane_nbytes, driver->plane_nbytes, sizeof(driver->plane_nbytes));
    } else if (*nplanes != driver->nplanes || plane_nbytes[0] < driver->plane_nbytes[0]) {
        return CMA_EINVAL;
    }
    return driver->setup_error;
}

static inline void driver_meanwhile(struct driver *driver)
{
    if (driver->meanwhile != NULL)
        driver->meanwhile(driver->meanwhile_arg);
}

static int driver_prepare(void *ctx, struct cma_video_buffer *buffer)
{
    struct driver *driver = ctx;

    (void)buffer;
    driver_say(driver, 'p');
    driver_meanwhile(driver);
    return driver->prepare_error;
}

static void driver_queue(void *ctx, struct cma_video_buffer *buffer)
{
    struct driver *driver = ctx;

    driver_say(driver, 'q');
    if (driver->at_once) {
        assert_int_equal(cma_video_done(buffer, CMA_VIDEO_DONE, 0, driver->sequence++), 0);
        return;
    }
    driver->has[driver->nhas++] = buffer;
}

static inline void driver_return(struct driver *driver, enum cma_video_state state)
{
    for (uint32_t i = 0; i < driver->nhas && !driver->keeps; i++)
        assert_int_equal(cma_video_done(driver->has[i], state, 0, 0), 0);
    driver->nhas = 0;
}

static int driver_start(void *ctx, uint32_t nbuffers)
{
    struct driver *driver = ctx;

    driver_say(driver, 'S');
    driver_meanwhile(driver);
    driver->sequence = 0;
    if (driver->start_error != 0) {
        assert_int_equal(nbuffers, driver->nhas);
        driver_return(driver, CMA_VIDEO_QUEUED);
    }
    return driver->start_error;
}

static void driver_stop(void *ctx)
{
    driver_say(ctx, 'X');
    driver_meanwhile(ctx);
    driver_return(ctx, CMA_VIDEO_ERROR);
}

static void driver_finish(void *ctx, struct cma_video_buffer *buffer)
{
    (void)buffer;
    driver_say(ctx, 'f');
}

static const struct cma_video_ops driver_ops = {driver_setup, driver_prepare, driver_queue,
                                                driver_start, driver_stop,    driver_finish};

/* The device is done with the `i`-th buffer that the driver has. */
static inline void driver_done(struct driver *driver, uint32_t i, enum cma_video_state state)
{
    struct cma_video_buffer *buffer = driver->has[i];

    assert_true(i < driver->nhas);
    driver->nhas--;
    memmove(&driver->has[i], &driver->has[i + 1], (driver->nhas - i) * sizeof(driver->has[0]));
    for (uint32_t j = 0; j < buffer->nplanes; j++)
        buffer->plane[j].used_nbytes = buffer->plane[j].nbytes;
    assert_int_equal(cma_video_done(buffer, state, 1000 + driver->sequence, driver->sequence), 0);
    driver->sequence++;
}

static inline void bench_device(struct bench *bench, struct cma_device *device, struct simdev *bus,
                                uint32_t owner, const struct cma_bus_window *window, bool snoops)
{
    struct cma_device_config config = {
        .name = "device",
        .owner = owner,
        .mask = UINT64_MAX,
        .coherent_mask = UINT64_MAX,
        .windows = window,
        .nwindows = window != NULL,
        .flags = snoops ? CMA_DEVICE_COHERENT : 0,
    };
    struct simdev_config hardware = {
        .name = "device", .windows = window, .nwindows = window != NULL, .snoops = snoops};

    assert_int_equal(cma_device_init(device, &bench->system.dma, &config), 0);
    simdev_init(bus, bench->sim, &hardware);
}

static inline void driver_init(struct driver *driver, struct cma_video_queue *queue)
{
    memset(driver, 0, sizeof(*driver));
    driver->queue = queue;
    driver->nplanes = 1;
    driver->plane_nbytes[0] = NBYTES;
    driver->plane_nbytes[1] = 0x1000;
}

static inline struct cma_video_config bench_config(struct bench *bench)
{
    return (struct cma_video_config){.name = "camera",
                                     .device = &bench->camera,
                                     .direction = CMA_FROM_DEVICE,
                                     .ops = &driver_ops,
                                     .ctx = &bench->driver,
                                     .memories = ALL_MEMORIES};
}

static inline void bench_queue(struct bench *bench, const struct cma_video_config *config)
{
    assert_int_equal(cma_video_init(&bench->queue, config, &bench->system.guarantees,
                                    bench->buffers, ROOM, NULL),
                     0);
}

static inline int bench_setup(void **state)
{
    static const struct sim_memory memory = {BASE, NPAGES << 12};
    struct sim_config config = {.seed = 1, .memory = &memory, .nmemory = 1};
    struct cma_range area = {BASE + (AREA_FIRST << 12),
                             (uint64_t)AREA_NPAGES << 12,
                             CMA_RANGE_AREA,
                             CMA_RANGE_DEFAULT,
                             "area",
                             0};
    struct bench *bench = calloc(1, sizeof(*bench));
    struct cma_system_config machine = {.block_order = 6, .nslots = 8};
    uint64_t nbytes;

    bench->sim = sim_create(&config);
    assert_non_null(bench->sim);
    bench->port = *sim_port(bench->sim);
    machine.port = &bench->port;
    assert_int_equal(cma_map_init(&bench->map, bench->memory, 2, bench->reserved, 4), 0);
    assert_int_equal(cma_map_add_memory(&bench->map, BASE, NPAGES << 12, NULL), 0);
    assert_int_equal(cma_map_reserve(&bench->map, &area, NULL), 0);
    nbytes = cma_system_size(&bench->map, &machine);
    bench->storage = malloc(nbytes);
    assert_int_equal(cma_system_init(&bench->system, &bench->map, &machine, bench->storage, nbytes),
                     0);
    bench_device(bench, &bench->camera, &bench->camera_bus, 1, NULL, false);
    bench_device(bench, &bench->scaler, &bench->scaler_bus, 2, &scaler_window, false);
    bench_device(bench, &bench->display, &bench->display_bus, 3, NULL, true);
    driver_init(&bench->driver, &bench->queue);
    driver_init(&bench->other_driver, &bench->other);
    *state = bench;
    return 0;
}

/* Nothing is left behind: no memory of any device, and the tables agree. */
static inline int bench_teardown(void **state)
{
    struct bench *bench = *state;
    struct cma_violation violation;

    assert_int_equal(bench->camera.live_npages, 0);
    assert_int_equal(bench->scaler.live_npages, 0);
    assert_int_equal(bench->display.live_npages, 0);
    assert_true(cma_system_check(&bench->system, &violation));
    sim_destroy(bench->sim);
    free(bench->storage);
    free(bench);
    return 0;
}

static inline enum cma_video_state state_of(const struct cma_video_queue *queue, uint32_t number)
{
    struct cma_video_info info;

    return cma_video_look(queue, number, &info) == 0 ? info.state : CMA_VIDEO_NONE;
}

static inline void bench_buffers(struct bench *bench, enum cma_video_memory memory, uint32_t n)
{
    uint32_t got = n;

    assert_int_equal(cma_video_request(&bench->queue, memory, &got, NULL), 0);
    assert_int_equal(got, n);
}

static inline int put(struct cma_video_queue *queue, uint32_t number)
{
    struct cma_video_put what = {.number = number};

    return cma_video_queue_buffer(queue, &what, NULL);
}

static inline int prepare(struct cma_video_queue *queue, uint32_t number)
{
    struct cma_video_put what = {.number = number};

    return cma_video_prepare(queue, &what, NULL);
}

#endif
