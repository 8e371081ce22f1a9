/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_simvideo.c - pictures from the sensor to the program and the screen, compared bit by bit
 *
 * The board: 64 MiB from 0x40000000, 24 MiB of it an area, a cache that is not told of what devices
 * do. Each comparison is shown to be able to fail: a clean, an invalidate or a copy that is left
 * out, a bus or a device that is not what its description says.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <cma/bounce.h>
#include <cma/system.h>

#include "../../ports/sim/simclient.h"

#define BASE UINT64_C(0x40000000)
#define NBYTES (UINT64_C(64) << 20)
#define AREA_FIRST (UINT64_C(32) << 20)
#define AREA_NBYTES (UINT64_C(24) << 20)
#define SECOND_NS UINT64_C(1000000000)
#define USER_NBYTES (UINT64_C(1) << 17)
#define USER_MAX 4u
#define POOL_NBYTES (UINT64_C(1) << 20)
#define REACH_LAST (AREA_FIRST + (UINT64_C(8) << 20) - 1) /* of short masks, from BASE */

enum { CAMERA, SCALER, DISPLAY, DEVICES };

struct bench {
    struct sim *sim;
    struct cma_port port;
    struct cma_range memory[2], reserved[4];
    struct cma_map map;
    struct cma_system system;
    void *storage, *pool_storage[DEVICES];
    struct cma_bounce pools[DEVICES];
    struct cma_device camera, scaler, display;
    struct simclient *client;
    struct simclient_config config;
    struct simscaler_config scaler_config;
    struct simdisplay_config display_config;
    struct simclient_stats stats;
    struct cma_admission why;
    uint64_t run_ns;
    cma_paddr_t user_first, user_last;
    uint64_t user_offset_nbytes;
    uint8_t *user[2][USER_MAX][PICTURE_PLANES_MAX]; /* the camera's, the scaler's */
    uint32_t restarts;
    bool busy_at_stop;
    int open_error;
};

static const struct cma_bus_window shifted = {0x1000, BASE, NBYTES};
static const struct cma_bus_window narrow = {0x1000, BASE, REACH_LAST + 1};

static void device(struct bench *bench, struct cma_device *device, uint32_t owner,
                   const struct cma_bus_window *window, cma_daddr_t mask, uint32_t flags)
{
    struct cma_device_config config = {
        .name = "device",
        .owner = owner,
        .mask = mask,
        .coherent_mask = mask,
        .bounce = bench->pool_storage[owner - 1] != NULL ? &bench->pools[owner - 1] : NULL,
        .windows = window,
        .nwindows = window != NULL,
        .flags = flags};

    assert_int_equal(cma_device_init(device, &bench->system.dma, &config), 0);
}

static int bench_setup(void **state)
{
    static const struct sim_memory memory = {BASE, NBYTES};
    struct sim_config config = {.seed = 7, .memory = &memory, .nmemory = 1};
    struct cma_range area = {BASE + AREA_FIRST, AREA_NBYTES, CMA_RANGE_AREA,
                             CMA_RANGE_DEFAULT, "area",      0};
    struct bench *bench = calloc(1, sizeof(*bench));
    struct cma_system_config machine = {.block_order = 6, .nslots = 16};
    uint64_t nbytes;

    bench->sim = sim_create(&config);
    assert_non_null(bench->sim);
    bench->port = *sim_port(bench->sim);
    machine.port = &bench->port;
    assert_int_equal(cma_map_init(&bench->map, bench->memory, 2, bench->reserved, 4), 0);
    assert_int_equal(cma_map_add_memory(&bench->map, BASE, NBYTES, NULL), 0);
    assert_int_equal(cma_map_reserve(&bench->map, &area, NULL), 0);
    nbytes = cma_system_size(&bench->map, &machine);
    bench->storage = malloc(nbytes);
    assert_int_equal(cma_system_init(&bench->system, &bench->map, &machine, bench->storage, nbytes),
                     0);
    device(bench, &bench->camera, 1, NULL, UINT64_MAX, 0);
    device(bench, &bench->scaler, 2, NULL, UINT64_MAX, 0);
    device(bench, &bench->display, 3, NULL, UINT64_MAX, 0);
    bench->run_ns = SECOND_NS;
    bench->user_last = UINT64_MAX;
    bench->config = (struct simclient_config){
        .camera = {.video = {.name = "camera",
                             .device = &bench->camera,
                             .guarantees = &bench->system.guarantees,
                             .format = {PICTURE_YUYV, 160, 120, 0},
                             .nbuffers = 4},
                   .rate_mhz = 30000,
                   .seed = 11},
        .memory = CMA_VIDEO_CONTIGUOUS,
        .scribbles = true,
        .ctx = bench,
    };
    bench->scaler_config = (struct simscaler_config){
        .input = {.name = "scaler in", .device = &bench->scaler},
        .output = {.name = "scaler out", .device = &bench->scaler, .nbuffers = 4},
        .shrink = 2,
    };
    bench->display_config = (struct simdisplay_config){
        .video = {.name = "display", .device = &bench->display}, .rate_mhz = 30000};
    *state = bench;
    return 0;
}

static int bench_teardown(void **state)
{
    struct bench *bench = *state;
    struct cma_violation violation;

    assert_int_equal(bench->camera.live_npages, 0);
    assert_int_equal(bench->scaler.live_npages, 0);
    assert_true(cma_system_check(&bench->system, &violation));
    sim_destroy(bench->sim);
    for (uint32_t i = 0; i < DEVICES; i++)
        free(bench->pool_storage[i]);
    free(bench->storage);
    free(bench);
    return 0;
}

/* Opens, runs, stops, now and then begins again, and closes. */
static void program(void *arg)
{
    struct bench *bench = arg;
    struct cma_refusal refusal;

    bench->open_error = simclient_open(bench->client, &refusal);
    if (bench->open_error != 0)
        return;
    for (uint32_t i = 0; i <= bench->restarts; i++) {
        assert_int_equal(simclient_start(bench->client, &refusal), 0);
        sim_sleep_ns(bench->sim, bench->run_ns);
        simclient_stop(bench->client);
    }
    simclient_stats(bench->client, &bench->stats);
    assert_int_equal(simclient_close(bench->client), 0);
}

static const struct simclient_stats *film(struct bench *bench)
{
    struct simclient_config config = bench->config;
    struct simscaler_config scaler = bench->scaler_config;
    struct simdisplay_config display = bench->display_config;

    config.scaler = config.scaler != NULL ? &scaler : NULL;
    config.display = config.display != NULL ? &display : NULL;
    assert_int_equal(simclient_create(bench->sim, &config, &bench->client, &bench->why), 0);
    /* What it was made from is the caller's, and may be gone. */
    memset(&config, 0xff, sizeof(config));
    memset(&scaler, 0xff, sizeof(scaler));
    memset(&display, 0xff, sizeof(display));
    sim_spawn(bench->sim, "program", program, bench);
    sim_run(bench->sim);
    assert_int_equal(bench->open_error, 0);
    assert_int_equal(bench->stats.error, 0);
    if (bench->config.scaler != NULL || bench->config.display == NULL)
        assert_true(cma_video_check(&simclient_camera(bench->client)->lane.queue));
    if (bench->config.display != NULL)
        assert_true(cma_video_check(&simclient_display(bench->client)->lane.queue));
    assert_int_equal(simclient_destroy(bench->client), 0);
    return &bench->stats;
}

static void film_is_right(struct bench *bench, uint64_t frames)
{
    const struct simclient_stats *stats = film(bench);

    assert_true(stats->camera.frames >= frames);
    assert_true(stats->seen.compared_frames >= frames);
    assert_true(stats->seen.compared_bytes >=
                frames * picture_total_nbytes(&bench->config.camera.video.format));
    assert_int_equal(stats->camera.dropped, 0);
    assert_int_equal(stats->camera.bus_errors, 0);
    assert_int_equal(stats->seen.wrong_bytes, 0);
    assert_int_equal(stats->nonzero_bytes, 0);
    assert_int_equal(stats->seen.stale_bytes, 0);
}

static void film_is_wrong(struct bench *bench)
{
    const struct simclient_stats *stats = film(bench);

    assert_true(stats->seen.compared_frames > 0);
    assert_true(stats->seen.wrong_bytes > 0);
}

static void leave_out(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx;
    (void)paddr;
    (void)nbytes;
}

static void *user_memory(void *ctx, bool scaled, uint32_t number, uint32_t plane, uint64_t nbytes)
{
    struct bench *bench = ctx;
    struct cma_pages_request request = {.npages = USER_NBYTES >> 12,
                                        .paddr_first = bench->user_first,
                                        .paddr_last = bench->user_last,
                                        .holder = {.kind = CMA_KIND_UNMOVABLE, .cookie = 5}};
    uint8_t **vaddr = &bench->user[scaled][number][plane];
    cma_pfn_t pfn;

    assert_true(nbytes <= USER_NBYTES - bench->user_offset_nbytes && number < USER_MAX);
    if (*vaddr == NULL) {
        assert_int_equal(cma_pages_alloc(&bench->system.pages, &request, &pfn, NULL), 0);
        *vaddr = bench->port.vaddr(bench->port.ctx, (cma_paddr_t)pfn << 12);
    }
    return *vaddr + bench->user_offset_nbytes;
}

static void use_chain(struct bench *bench)
{
    bench->config.scaler = &bench->scaler_config;
    bench->config.display = &bench->display_config;
}

/* --- what is right ------------------------------------------------------------------------- */

static void test_all_formats_arrive(void **state)
{
    struct bench *bench = *state;

    bench->run_ns = SECOND_NS / 2;
    for (uint32_t i = 0; i < PICTURE_PIXELS; i++) {
        bench->config.camera.video.format.pixel = (enum picture_pixel)i;
        for (uint32_t memory = CMA_VIDEO_COHERENT; memory <= CMA_VIDEO_CONTIGUOUS; memory++) {
            bench->config.memory = (enum cma_video_memory)memory;
            film_is_right(bench, 13);
        }
    }
}

/* Over and over: no buffer is lost at a stop in the middle of a picture. */
static void test_begins_again(void **state)
{
    struct bench *bench = *state;

    bench->run_ns = SECOND_NS / 10 + 1234567;
    bench->restarts = 20;
    bench->config.memory = CMA_VIDEO_COHERENT;
    film_is_right(bench, 42);
    bench->config.memory = CMA_VIDEO_CONTIGUOUS;
    use_chain(bench);
    film_is_right(bench, 42);
}

static void test_promised(void **state)
{
    struct bench *bench = *state;

    bench->config.memory = CMA_VIDEO_COHERENT;
    bench->config.camera.video.promised = true;
    film_is_right(bench, 28);
    /* More than there is: refused when it is made. */
    bench->config.camera.video.format = (struct picture_format){PICTURE_NV12, 4096, 4096, 0};
    assert_int_not_equal(simclient_create(bench->sim, &bench->config, &bench->client, &bench->why),
                         0);
}

/* A program that is too slow: the camera has no buffer, and says so. */
static void test_slow_programs_lose_pictures(void **state)
{
    struct bench *bench = *state;
    const struct simclient_stats *stats;

    bench->config.work_ns = 100000000;
    stats = film(bench);
    assert_in_range(stats->camera.dropped, 12, 20);
    assert_in_range(stats->camera.frames + stats->camera.dropped, 28, 31);
    assert_int_equal(stats->seen.wrong_bytes, 0);
}

static void chain_is_right(struct bench *bench)
{
    const struct picture_format *format = &bench->config.camera.video.format;
    struct picture_format small = picture_shrunk(format, bench->scaler_config.shrink);
    const struct simclient_stats *stats = &bench->stats;

    use_chain(bench);
    film_is_right(bench, 28);
    assert_true(stats->scaler.frames >= 27);
    assert_true(stats->seen.compared_frames >= 55);
    assert_true(stats->seen.compared_bytes >=
                28 * picture_total_nbytes(format) + 27 * picture_total_nbytes(&small));
    assert_int_equal(stats->scaler.bus_errors, 0);
    assert_true(stats->display.compared_frames >= 24);
    assert_true(stats->display.compared_bytes >= 24 * picture_total_nbytes(&small));
    assert_int_equal(stats->display.wrong_bytes, 0);
    assert_int_equal(stats->display.bus_errors, 0);
    assert_int_equal(stats->display.underruns, 0);
}

static void test_through_scaler_and_display(void **state)
{
    struct bench *bench = *state;

    for (uint32_t i = 0; i < PICTURE_PIXELS; i++) {
        bench->config.camera.video.format.pixel = (enum picture_pixel)i;
        bench->config.memory = i % 2 ? CMA_VIDEO_COHERENT : CMA_VIDEO_CONTIGUOUS;
        bench->config.scaler_memory = i / 2 % 2 ? CMA_VIDEO_COHERENT : CMA_VIDEO_CONTIGUOUS;
        bench->scaler_config.shrink = 1 + i % 3;
        chain_is_right(bench);
    }
}

/* The program draws on the camera's picture: the scaler and the display get that. */
static void test_programs_draw(void **state)
{
    struct bench *bench = *state;

    bench->config.draws = true;
    bench->config.camera.video.format.pixel = PICTURE_NV12M;
    chain_is_right(bench);
    bench->config.memory = CMA_VIDEO_COHERENT;
    chain_is_right(bench);
}

/* The display looks into the caches, the others don't; and all do. */
static void test_snooping_and_not(void **state)
{
    struct bench *bench = *state;

    device(bench, &bench->display, 3, NULL, UINT64_MAX, CMA_DEVICE_COHERENT);
    chain_is_right(bench);
    device(bench, &bench->scaler, 2, NULL, UINT64_MAX, CMA_DEVICE_COHERENT);
    device(bench, &bench->camera, 1, NULL, UINT64_MAX, CMA_DEVICE_COHERENT);
    chain_is_right(bench);
    /* The camera's coherent memory is cached memory then, and the scaler does not look there. */
    device(bench, &bench->scaler, 2, NULL, UINT64_MAX, 0);
    bench->config.memory = CMA_VIDEO_COHERENT;
    bench->config.draws = true;
    chain_is_right(bench);
}

static void test_behind_a_bus_offset(void **state)
{
    struct bench *bench = *state;

    device(bench, &bench->camera, 1, &shifted, UINT32_MAX, 0);
    chain_is_right(bench);
    device(bench, &bench->scaler, 2, &shifted, UINT32_MAX, 0);
    bench->config.memory = CMA_VIDEO_COHERENT;
    chain_is_right(bench);
}

/* The program's memory at each queue; what a device can't use as it is, it gets from a pool. */
static void use_user(struct bench *bench)
{
    bench->config.memory = CMA_VIDEO_USER;
    bench->config.scaler_memory = CMA_VIDEO_USER;
    bench->config.user = user_memory;
    bench->config.camera.video.flags = CMA_VIDEO_BOUNCE_USER;
    bench->scaler_config.input.flags = CMA_VIDEO_BOUNCE_USER;
    bench->scaler_config.output.flags = CMA_VIDEO_BOUNCE_USER;
    bench->display_config.video.flags = CMA_VIDEO_BOUNCE_USER;
}

/* And it is behind the area: the devices of `which` (bits) have short masks, or `narrow` windows
 * where the others' are wide, and pools in reach. */
static void use_bounce(struct bench *bench, uint32_t which, const struct cma_bus_window *window,
                       uint32_t flags)
{
    struct cma_device *devices[DEVICES] = {&bench->camera, &bench->scaler, &bench->display};
    struct cma_bounce_config config = {.name = "pool",
                                       .nbytes = POOL_NBYTES,
                                       .area = bench->system.default_area,
                                       .paddr_last = BASE + REACH_LAST};
    uint64_t nbytes = cma_bounce_size(&bench->port, &config);

    use_user(bench);
    bench->user_first = BASE + AREA_FIRST + AREA_NBYTES;
    for (uint32_t i = 0; i < DEVICES; i++) {
        const struct cma_bus_window *own = window;
        cma_daddr_t mask = UINT64_MAX;

        if ((which >> i & 1) == 0)
            own = window == &narrow ? &shifted : window;
        else if (window != &narrow)
            mask = (window != NULL ? window->daddr : BASE) + REACH_LAST;
        config.owner = 77 + i;
        bench->pool_storage[i] = malloc(nbytes);
        assert_int_equal(cma_bounce_init(&bench->pools[i], &bench->system.dma, &config,
                                         bench->pool_storage[i], nbytes, NULL),
                         0);
        device(bench, devices[i], i + 1, own, mask, flags);
    }
}

static void bounce_end(struct bench *bench)
{
    struct cma_bounce_stats stats;

    for (uint32_t i = 0; i < DEVICES; i++) {
        cma_bounce_stats(&bench->pools[i], &stats);
        assert_int_equal(stats.used_nbytes, 0);
        assert_true(cma_bounce_check(&bench->pools[i]));
        assert_int_equal(cma_bounce_destroy(&bench->pools[i]), 0);
        free(bench->pool_storage[i]);
        bench->pool_storage[i] = NULL;
    }
}

/* Each picture went through the pools of the devices of `which`, and nothing through the others. */
static void bounce_was_used(struct bench *bench, uint32_t which)
{
    uint64_t camera = picture_nbytes(&bench->config.camera.video.format, 0);
    uint64_t least_nbytes[DEVICES] = {camera, camera, camera / 4}; /* the scaler's are smaller */
    uint32_t least_in[DEVICES] = {28, 27, 24}, least_out[DEVICES] = {28, 27, 0};
    struct cma_bounce_stats stats;

    for (uint32_t i = 0; i < DEVICES; i++) {
        cma_bounce_stats(&bench->pools[i], &stats);
        if ((which >> i & 1) == 0) {
            assert_int_equal(stats.nmaps, 0);
            continue;
        }
        assert_true(stats.ncopies_in >= least_in[i]);
        assert_true(stats.ncopies_out >= least_out[i]);
        assert_true(stats.most_used_nbytes >= least_nbytes[i]);
    }
    bounce_end(bench);
}

static void test_through_bounce_buffers(void **state)
{
    struct bench *bench = *state;

    use_bounce(bench, 1u << CAMERA, NULL, 0);
    film_is_right(bench, 28);
    bounce_was_used(bench, 1u << CAMERA);
}

/* Each format once; camera, scaler, display: each of them alone has a short mask, and two, and all.
 */
static void chains_are_bounced(struct bench *bench, const struct cma_bus_window *window,
                               uint32_t flags)
{
    for (uint32_t i = 0; i < PICTURE_PIXELS; i++) {
        uint32_t which = 1 + i % ((1u << DEVICES) - 1);

        use_bounce(bench, which, window, flags);
        bench->config.camera.video.format.pixel = (enum picture_pixel)i;
        bench->config.draws = which % 2 != 0;
        bench->scaler_config.shrink = 1 + which / 2 % 2;
        chain_is_right(bench);
        bounce_was_used(bench, which);
    }
}

static void test_chain_through_bounce_buffers(void **state)
{
    chains_are_bounced(*state, NULL, 0);
}

/* Nothing but the copies is needed there. */
static void test_chain_through_bounce_buffers_coherent(void **state)
{
    struct bench *bench = *state;

    bench->port.clean = leave_out;
    bench->port.invalidate = leave_out;
    chains_are_bounced(bench, NULL, CMA_DEVICE_COHERENT);
}

static void test_chain_through_bounce_buffers_behind_an_offset(void **state)
{
    chains_are_bounced(*state, &shifted, 0);
    chains_are_bounced(*state, &shifted, CMA_DEVICE_COHERENT);
}

/* Not the mask is short but the window: there is no address for the rest. */
static void test_chain_through_bounce_buffers_behind_a_window(void **state)
{
    chains_are_bounced(*state, &narrow, 0);
}

/* All is in reach, but the program's memory begins and ends in the middle of lines: what a device
 * writes there is bounced, what it only reads is not. */
static void test_chain_of_lines_that_are_shared(void **state)
{
    struct bench *bench = *state;

    use_bounce(bench, 0, NULL, 0);
    bench->user_offset_nbytes = 24;
    chain_is_right(bench);
    bounce_was_used(bench, 1u << CAMERA | 1u << SCALER);
}

static void test_users_memory_in_reach(void **state)
{
    struct bench *bench = *state;

    use_user(bench);
    film_is_right(bench, 28);
    chain_is_right(bench);
}

/* Only some lines are sent and compared: for long runs. */
static void test_samples(void **state)
{
    struct bench *bench = *state;
    const struct simclient_stats *stats;

    bench->config.camera.full_every = 10;
    stats = film(bench);
    assert_true(stats->camera.frames >= 28);
    assert_true(stats->seen.compared_bytes >=
                3 * picture_nbytes(&bench->config.camera.video.format, 0) + 20 * 10 * 64);
    assert_true(stats->seen.compared_bytes <=
                5 * picture_nbytes(&bench->config.camera.video.format, 0) + 31 * 11 * 64);
    assert_int_equal(stats->seen.wrong_bytes, 0);
}

/* A display that is faster than the camera: each picture is due for two refreshes, or for one. */
static void test_underruns(void **state)
{
    struct bench *bench = *state;

    bench->config.camera.rate_mhz = 15000;
    bench->display_config.every = 2;
    use_chain(bench);
    film_is_right(bench, 13);
    assert_int_equal(bench->stats.display.underruns, 0);
    bench->display_config.every = 1;
    film_is_right(bench, 13);
    assert_in_range(bench->stats.display.underruns, 8, 16);
}

/* --- a display alone ----------------------------------------------------------------------- */

static void use_display(struct bench *bench)
{
    bench->display_config.video.format = (struct picture_format){PICTURE_XBGR32, 160, 120, 0};
    bench->display_config.video.guarantees = &bench->system.guarantees;
    bench->display_config.video.nbuffers = 3;
    bench->config.display = &bench->display_config;
}

/* Each refresh shows the next picture that the program drew, whatever the memory. */
static void test_programs_draw_for_a_display(void **state)
{
    struct bench *bench = *state;
    const struct simvideo_count *shown = &bench->stats.display;

    use_display(bench);
    bench->restarts = 1;
    for (uint32_t i = 0; i < PICTURE_PIXELS; i++) {
        bench->display_config.video.format.pixel = (enum picture_pixel)i;
        bench->display_config.video.promised = i % 3 == 0;
        bench->config.memory = i % 2 ? CMA_VIDEO_COHERENT : CMA_VIDEO_CONTIGUOUS;
        film(bench);
        assert_in_range(shown->refreshes, 56, 60);
        assert_int_equal(shown->underruns, 0);
        assert_int_equal(shown->bus_errors, 0);
        assert_int_equal(shown->wrong_bytes, 0);
        assert_int_equal(bench->stats.nbuffers, 3);
        assert_int_equal(shown->compared_bytes,
                         shown->refreshes *
                             picture_total_nbytes(&bench->display_config.video.format));
    }
    /* Of two buffers one is shown while the other is drawn; of one, nothing new is there. */
    bench->display_config.video.nbuffers = 2;
    film(bench);
    assert_int_equal(shown->underruns, 0);
    bench->display_config.video.nbuffers = 1;
    film(bench);
    assert_int_equal(shown->underruns, shown->refreshes - 2);
    assert_int_equal(shown->wrong_bytes, 0);
}

/* What the program drew stays in the cache: the picture before is shown, and seen to be. */
static void test_missing_clean_for_a_display(void **state)
{
    struct bench *bench = *state;

    use_display(bench);
    bench->port.clean = leave_out;
    film(bench);
    assert_true(bench->stats.display.wrong_bytes > 0);
    assert_true(bench->stats.display.stale_bytes > 0);
}

static void busy_fibre(void *arg)
{
    struct bench *bench = arg;
    struct simvideo_lane *lane = &simclient_camera(bench->client)->lane;

    sim_sleep_ns(bench->sim, bench->run_ns - 1000000);
    lane->busy = true;
    sim_sleep_ns(bench->sim, 4000000);
    bench->busy_at_stop = lane->running || lane->nhas == 0;
    lane->busy = false;
}

/* Stop waits for a device that is at work on memory, with all buffers still the device's. */
static void test_stop_waits_for_the_device(void **state)
{
    struct bench *bench = *state;

    bench->run_ns = 60000000; /* between two pictures */
    bench->busy_at_stop = true;
    assert_int_equal(simclient_create(bench->sim, &bench->config, &bench->client, NULL), 0);
    sim_spawn(bench->sim, "program", program, bench);
    sim_spawn(bench->sim, "busy", busy_fibre, bench);
    sim_run(bench->sim);
    assert_false(bench->busy_at_stop);
    assert_int_equal(simclient_destroy(bench->client), 0);
}

/* --- what is broken is seen ---------------------------------------------------------------- */

/* A copy into that pool, or out of it, is a byte short. */
static struct {
    const struct cma_bounce *pool;
    bool in;
    void (*copy)(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes);
} short_copy;

static void copy_short(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    cma_paddr_t paddr = short_copy.in ? to : from;
    bool is_short = paddr >= short_copy.pool->paddr && paddr - short_copy.pool->paddr < POOL_NBYTES;

    short_copy.copy(ctx, to, from, nbytes - is_short);
}

static void test_missing_invalidate(void **state)
{
    struct bench *bench = *state;

    bench->port.invalidate = leave_out;
    film_is_wrong(bench);
}

/* What was in the buffer before is told from other rubbish. */
static void test_stale_bytes_are_counted(void **state)
{
    struct bench *bench = *state;

    bench->config.scribbles = false; /* so the cache keeps the picture that was there */
    bench->port.invalidate = leave_out;
    film_is_wrong(bench);
    assert_true(bench->stats.seen.stale_bytes > 0);
    assert_true(bench->stats.seen.stale_bytes <= bench->stats.seen.wrong_bytes);
}

static void test_missing_clean(void **state)
{
    struct bench *bench = *state;

    bench->port.clean = leave_out;
    film_is_wrong(bench);
}

static void test_samples_see_it_too(void **state)
{
    struct bench *bench = *state;

    bench->config.camera.full_every = 1000;
    bench->port.invalidate = leave_out;
    film_is_wrong(bench);
}

/* One byte of each picture is missing, at one place of the chain: who sees it? */
static void byte_is_missed(struct bench *bench, uint32_t which, bool in, uint32_t flags)
{
    const struct simclient_stats *stats;

    use_bounce(bench, 7, NULL, flags);
    use_chain(bench);
    bench->scaler_config.shrink = 1; /* so each byte counts */
    short_copy.pool = &bench->pools[which];
    short_copy.in = in;
    stats = film(bench);
    assert_int_equal(stats->seen.wrong_bytes == 0, which == DISPLAY);
    assert_in_range(stats->display.wrong_bytes, 20, stats->display.compared_frames);
    bounce_end(bench);
}

static void test_missing_byte_of_a_copy(void **state)
{
    struct bench *bench = *state;

    short_copy.copy = bench->port.copy;
    bench->port.copy = copy_short;
    for (uint32_t flags = 0; flags <= CMA_DEVICE_COHERENT; flags += CMA_DEVICE_COHERENT) {
        byte_is_missed(bench, CAMERA, false, flags);
        byte_is_missed(bench, SCALER, true, flags);
        byte_is_missed(bench, SCALER, false, flags);
        byte_is_missed(bench, DISPLAY, true, flags);
    }
}

/* What the copies leave in the cache, and what they find there. */
static void test_missing_syncs_of_bounce_buffers(void **state)
{
    struct bench *bench = *state;

    use_bounce(bench, 1u << CAMERA, NULL, 0);
    use_chain(bench);
    bench->port.invalidate = leave_out;
    film_is_wrong(bench);
    bounce_was_used(bench, 1u << CAMERA);
    bench->port = *sim_port(bench->sim);
    for (uint32_t i = SCALER; i < DEVICES; i++) {
        use_bounce(bench, 1u << i, NULL, 0);
        bench->port.clean = leave_out;
        (void)film(bench);
        assert_int_equal(bench->stats.seen.wrong_bytes == 0, i == DISPLAY);
        assert_true(bench->stats.display.wrong_bytes > 0);
        bounce_was_used(bench, 1u << i);
    }
}

static void set_snoops(struct bench *bench, struct simdev *bus)
{
    (void)bench;
    bus->config.snoops = false;
}

/* The board says that the device looks into the caches, and it does not. */
static void test_a_board_that_lies(void **state)
{
    struct bench *bench = *state;
    const struct simclient_stats *stats = &bench->stats;

    device(bench, &bench->camera, 1, NULL, UINT64_MAX, CMA_DEVICE_COHERENT);
    bench->config.memory = CMA_VIDEO_COHERENT;
    assert_int_equal(simclient_create(bench->sim, &bench->config, &bench->client, NULL), 0);
    set_snoops(bench, &simclient_camera(bench->client)->lane.bus);
    sim_spawn(bench->sim, "program", program, bench);
    sim_run(bench->sim);
    assert_true(stats->seen.wrong_bytes > 0);
    assert_int_equal(simclient_destroy(bench->client), 0);
}

/* The bus shifts addresses by another page than libcma was told. */
static void test_a_bus_that_shifts_otherwise(void **state)
{
    struct bench *bench = *state;
    const struct simclient_stats *stats = &bench->stats;

    use_chain(bench);
    device(bench, &bench->scaler, 2, &shifted, UINT32_MAX, 0);
    assert_int_equal(simclient_create(bench->sim, &bench->config, &bench->client, NULL), 0);
    simclient_scaler(bench->client)->input.bus.windows[0].daddr += 0x1000;
    sim_spawn(bench->sim, "program", program, bench);
    sim_run(bench->sim);
    assert_true(stats->seen.wrong_bytes > 0);
    assert_true(stats->display.wrong_bytes > 0);
    assert_int_equal(simclient_destroy(bench->client), 0);
}

/* The display is alone in seeing it. */
static void test_the_display_compares(void **state)
{
    struct bench *bench = *state;
    const struct simclient_stats *stats = &bench->stats;

    use_chain(bench);
    device(bench, &bench->display, 3, &shifted, UINT32_MAX, 0);
    assert_int_equal(simclient_create(bench->sim, &bench->config, &bench->client, NULL), 0);
    simclient_display(bench->client)->lane.bus.windows[0].daddr += 0x1000;
    sim_spawn(bench->sim, "program", program, bench);
    sim_run(bench->sim);
    assert_int_equal(stats->seen.wrong_bytes, 0);
    assert_true(stats->display.compared_frames > 20);
    assert_true(stats->display.wrong_bytes > 0);
    assert_int_equal(simclient_destroy(bench->client), 0);
}

/* What the program drew on a picture is not cleaned out of the cache for the scaler. */
static void test_missing_clean_of_what_is_drawn(void **state)
{
    struct bench *bench = *state;

    use_chain(bench);
    bench->config.draws = true;
    bench->port.clean = leave_out;
    film_is_wrong(bench);
    assert_true(bench->stats.display.wrong_bytes > 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_all_formats_arrive),
        TEST(test_begins_again),
        TEST(test_promised),
        TEST(test_slow_programs_lose_pictures),
        TEST(test_through_scaler_and_display),
        TEST(test_snooping_and_not),
        TEST(test_behind_a_bus_offset),
        TEST(test_through_bounce_buffers),
        TEST(test_chain_through_bounce_buffers),
        TEST(test_chain_through_bounce_buffers_coherent),
        TEST(test_chain_through_bounce_buffers_behind_an_offset),
        TEST(test_chain_through_bounce_buffers_behind_a_window),
        TEST(test_chain_of_lines_that_are_shared),
        TEST(test_users_memory_in_reach),
        TEST(test_samples),
        TEST(test_underruns),
        TEST(test_programs_draw_for_a_display),
        TEST(test_missing_clean_for_a_display),
        TEST(test_stop_waits_for_the_device),
        TEST(test_missing_invalidate),
        TEST(test_stale_bytes_are_counted),
        TEST(test_missing_clean),
        TEST(test_samples_see_it_too),
        TEST(test_missing_byte_of_a_copy),
        TEST(test_missing_syncs_of_bounce_buffers),
        TEST(test_a_board_that_lies),
        TEST(test_a_bus_that_shifts_otherwise),
        TEST(test_the_display_compares),
        TEST(test_missing_clean_of_what_is_drawn),
        TEST(test_programs_draw),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
