/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_video.c - buffers go round: each state against each call, order, start and stop, errors
 */
#include "video_board.h"

static void test_round_and_round(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench);
    struct cma_video_info info;

    bench_queue(bench, &config);
    bench_buffers(bench, CMA_VIDEO_COHERENT, 3);
    assert_int_equal(cma_video_poll(&bench->queue), CMA_VIDEO_POLL_FAILED);
    assert_int_equal(put(&bench->queue, 2), 0);
    assert_int_equal(put(&bench->queue, 0), 0);
    assert_log(&bench->driver, "spp");
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    assert_log(&bench->driver, "qqS");
    assert_ptr_equal(bench->driver.has[0], &bench->buffers[2]);
    assert_int_equal(cma_video_dequeue(&bench->queue, false, &info), CMA_EAGAIN);
    assert_int_equal(cma_video_poll(&bench->queue), 0);
    assert_int_equal(put(&bench->queue, 1), 0);
    assert_log(&bench->driver, "pq");
    /* Done in another order than queued: they come in the order in which they were done. */
    driver_done(&bench->driver, 1, CMA_VIDEO_DONE);
    driver_done(&bench->driver, 0, CMA_VIDEO_ERROR);
    assert_int_equal(cma_video_poll(&bench->queue), CMA_VIDEO_POLL_READY);
    assert_true(cma_video_check(&bench->queue));
    assert_int_equal(cma_video_dequeue(&bench->queue, false, &info), 0);
    assert_int_equal(info.number, 0);
    assert_int_equal(info.state, CMA_VIDEO_DONE);
    assert_int_equal(info.time_ns, 1000);
    assert_int_equal(info.sequence, 0);
    assert_int_equal(info.plane[0].used_nbytes, NBYTES);
    assert_int_equal(cma_video_dequeue(&bench->queue, true, &info), 0);
    assert_int_equal(info.number, 2);
    assert_int_equal(info.state, CMA_VIDEO_ERROR);
    assert_int_equal(state_of(&bench->queue, 2), CMA_VIDEO_DEQUEUED);
    assert_log(&bench->driver, "ff");
    /* For another thousand pictures. */
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(put(&bench->queue, info.number), 0);
        driver_done(&bench->driver, 0, CMA_VIDEO_DONE);
        assert_int_equal(cma_video_dequeue(&bench->queue, false, &info), 0);
        assert_int_equal(info.sequence, 2 + i);
        memset(bench->driver.log, 0, sizeof(bench->driver.log));
    }
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

/* --- each state against each call -------------------------------------------------------- */

enum place { NOWHERE, IDLE, AHEAD, WAITING, RUNNING, READY, BROKEN, PLACES };
enum call { PREPARE, QUEUE, DEQUEUE, DONE, REMOVE, REQUEST, EXPORT, MAP, CALLS };

/* Buffer 0 is at `place`, the queue streams or not; two buffers must be queued to begin. */
static void reach(struct bench *bench, enum place place, bool streams)
{
    struct cma_video_config config = bench_config(bench);

    config.min_queued = place >= RUNNING ? 1 : 2;
    bench_queue(bench, &config);
    bench_buffers(bench, CMA_VIDEO_COHERENT, 2);
    if (place == NOWHERE)
        assert_int_equal(cma_video_remove(&bench->queue, 0, 1), 0);
    if (place == NOWHERE && streams) {
        uint32_t n = 1, first;

        /* Numbers are given lowest first, so the hole would be filled: two more, one of them 0. */
        assert_int_equal(
            cma_video_create(&bench->queue, CMA_VIDEO_COHERENT, &n, 0, NULL, &first, NULL), 0);
        assert_int_equal(first, 0);
        n = 1;
        assert_int_equal(
            cma_video_create(&bench->queue, CMA_VIDEO_COHERENT, &n, 0, NULL, &first, NULL), 0);
        assert_int_equal(first, 2);
        assert_int_equal(cma_video_remove(&bench->queue, 0, 1), 0);
    }
    if (place == AHEAD)
        assert_int_equal(prepare(&bench->queue, 0), 0);
    if (place >= WAITING)
        assert_int_equal(put(&bench->queue, 0), 0);
    if (streams)
        assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    if (place >= READY)
        driver_done(&bench->driver, 0, place == READY ? CMA_VIDEO_DONE : CMA_VIDEO_ERROR);
}

static int do_call(struct bench *bench, enum call call)
{
    struct cma_video_info info;
    struct cma_shared *shared;
    enum cma_attr attr;
    cma_paddr_t paddr;
    uint32_t n = 2;
    int error;

    switch (call) {
    case PREPARE: return prepare(&bench->queue, 0);
    case QUEUE: return put(&bench->queue, 0);
    case DEQUEUE: return cma_video_dequeue(&bench->queue, false, &info);
    case DONE:
        if (bench->buffers[0].queue == NULL || state_of(&bench->queue, 0) == CMA_VIDEO_NONE)
            return CMA_EBADF;
        bench->driver.nhas = 0;
        return cma_video_done(&bench->buffers[0], CMA_VIDEO_DONE, 0, 0);
    case REMOVE: return cma_video_remove(&bench->queue, 0, 1);
    case REQUEST: return cma_video_request(&bench->queue, CMA_VIDEO_COHERENT, &n, NULL);
    case EXPORT:
        error = cma_video_export(&bench->queue, 0, 0, &shared);
        return error != 0 ? error : cma_shared_put(shared);
    case MAP:
        error = cma_video_map(&bench->queue, 0, 0, 0, 4096, &paddr, &attr, NULL);
        return error != 0 ? error : cma_video_unmap(&bench->queue, 0, 0);
    default: return 1;
    }
}

/* What is answered, and where buffer 0 is then. */
struct answer {
    int error;
    enum cma_video_state state;
};
#define NO CMA_VIDEO_NONE
#define OUT CMA_VIDEO_DEQUEUED
#define IN CMA_VIDEO_QUEUED
#define DEV CMA_VIDEO_ACTIVE
#define YES CMA_VIDEO_DONE
#define BAD CMA_VIDEO_ERROR

static const struct answer off[PLACES][CALLS] = {
    [NOWHERE] = {{CMA_EINVAL, NO},
                 {CMA_EINVAL, NO},
                 {CMA_EINVAL, NO},
                 {CMA_EBADF, NO},
                 {CMA_EINVAL, NO},
                 {0, OUT},
                 {CMA_EINVAL, NO},
                 {CMA_EINVAL, NO}},
    [IDLE] = {{0, OUT},
              {0, IN},
              {CMA_EINVAL, OUT},
              {CMA_EBADF, OUT},
              {0, NO},
              {0, OUT},
              {0, OUT},
              {0, OUT}},
    [AHEAD] = {{CMA_EBADF, OUT},
               {0, IN},
               {CMA_EINVAL, OUT},
               {CMA_EBADF, OUT},
               {CMA_EBUSY, OUT},
               {0, OUT},
               {0, OUT},
               {0, OUT}},
    [WAITING] = {{CMA_EBADF, IN},
                 {CMA_EBADF, IN},
                 {CMA_EINVAL, IN},
                 {CMA_EBADF, IN},
                 {CMA_EBUSY, IN},
                 {0, OUT},
                 {0, IN},
                 {0, IN}},
};
static const struct answer on[PLACES][CALLS] = {
    [NOWHERE] = {{CMA_EINVAL, NO},
                 {CMA_EINVAL, NO},
                 {CMA_EAGAIN, NO},
                 {CMA_EBADF, NO},
                 {CMA_EINVAL, NO},
                 {CMA_EBUSY, NO},
                 {CMA_EINVAL, NO},
                 {CMA_EINVAL, NO}},
    [IDLE] = {{0, OUT},
              {0, IN},
              {CMA_EAGAIN, OUT},
              {CMA_EBADF, OUT},
              {0, NO},
              {CMA_EBUSY, OUT},
              {0, OUT},
              {0, OUT}},
    [AHEAD] = {{CMA_EBADF, OUT},
               {0, IN},
               {CMA_EAGAIN, OUT},
               {CMA_EBADF, OUT},
               {CMA_EBUSY, OUT},
               {CMA_EBUSY, OUT},
               {0, OUT},
               {0, OUT}},
    [WAITING] = {{CMA_EBADF, IN},
                 {CMA_EBADF, IN},
                 {CMA_EAGAIN, IN},
                 {CMA_EBADF, IN},
                 {CMA_EBUSY, IN},
                 {CMA_EBUSY, IN},
                 {0, IN},
                 {0, IN}},
    [RUNNING] = {{CMA_EBADF, DEV},
                 {CMA_EBADF, DEV},
                 {CMA_EAGAIN, DEV},
                 {0, YES},
                 {CMA_EBUSY, DEV},
                 {CMA_EBUSY, DEV},
                 {0, DEV},
                 {0, DEV}},
    [READY] = {{CMA_EBADF, YES},
               {CMA_EBADF, YES},
               {0, OUT},
               {CMA_EBADF, YES},
               {CMA_EBUSY, YES},
               {CMA_EBUSY, YES},
               {0, YES},
               {0, YES}},
    [BROKEN] = {{CMA_EBADF, BAD},
                {CMA_EBADF, BAD},
                {0, OUT},
                {CMA_EBADF, BAD},
                {CMA_EBUSY, BAD},
                {CMA_EBUSY, BAD},
                {0, BAD},
                {0, BAD}},
};

static void test_each_state_and_call(void **state)
{
    struct bench *bench = *state;
    uint32_t n = 0;

    for (uint32_t place = 0; place < PLACES; place++) {
        for (uint32_t call = 0; call < CALLS; call++) {
            for (uint32_t streams = place >= RUNNING; streams < 2; streams++) {
                const struct answer *answer = streams ? &on[place][call] : &off[place][call];

                driver_init(&bench->driver, &bench->queue);
                reach(bench, (enum place)place, streams != 0);
                if (do_call(bench, (enum call)call) != answer->error ||
                    state_of(&bench->queue, 0) != answer->state)
                    fail_msg("place %u, call %u, streams %u: not %d and state %u", place, call,
                             streams, answer->error, answer->state);
                assert_true(cma_video_check(&bench->queue));
                assert_int_equal(cma_video_stream_off(&bench->queue), 0);
                assert_true(cma_video_check(&bench->queue));
                assert_int_equal(cma_video_poll(&bench->queue), CMA_VIDEO_POLL_FAILED);
                if (answer->state != NO) {
                    assert_int_equal(state_of(&bench->queue, 0), OUT);
                    assert_int_equal(prepare(&bench->queue, 0), 0); /* it was not prepared */
                }
                assert_int_equal(cma_video_release(&bench->queue), 0);
                assert_int_equal(bench->camera.live_npages, 0);
                n++;
            }
        }
    }
    assert_int_equal(n, 4 * CALLS * 2 + 3 * CALLS);
}

/* --- start and stop ---------------------------------------------------------------------- */

static void test_start_waits_for_enough(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench);
    uint32_t n = 1;

    config.min_queued = 3;
    bench_queue(bench, &config);
    assert_int_equal(cma_video_stream_on(&bench->queue), CMA_EINVAL);
    /* Fewer than it needs are never made. */
    assert_int_equal(cma_video_request(&bench->queue, CMA_VIDEO_COHERENT, &n, NULL), 0);
    assert_int_equal(n, 3);
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    assert_int_equal(put(&bench->queue, 0), 0);
    assert_int_equal(put(&bench->queue, 1), 0);
    assert_log(&bench->driver, "spp");
    assert_int_equal(put(&bench->queue, 2), 0);
    assert_log(&bench->driver, "pqqqS");
    assert_int_equal(cma_video_stream_off(&bench->queue), 0);
    assert_log(&bench->driver, "Xfff");
    assert_int_equal(cma_video_stream_off(&bench->queue), 0);
    assert_log(&bench->driver, "");
    /* Off before it has begun: there is nothing to stop. */
    assert_int_equal(put(&bench->queue, 1), 0);
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    assert_int_equal(cma_video_stream_off(&bench->queue), 0);
    assert_log(&bench->driver, "pf");
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

/* No number given: a device needs one buffer to begin. */
static void test_start_needs_one(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench);

    bench_queue(bench, &config);
    assert_int_equal(cma_video_stream_on(&bench->queue), CMA_EINVAL);
    bench_buffers(bench, CMA_VIDEO_COHERENT, 1);
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    assert_log(&bench->driver, "s");
    assert_int_equal(put(&bench->queue, 0), 0);
    assert_log(&bench->driver, "pqS");
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

/* What is said of the data in a buffer: nothing while the device has it, for it may be writing that
 * just then; and a prepare that is refused has said nothing. */
static void test_what_is_told_of_data(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench);
    struct cma_video_put what = {.nplanes = 1};
    struct cma_video_info info;

    config.direction = CMA_TO_DEVICE;
    bench_queue(bench, &config);
    bench_buffers(bench, CMA_VIDEO_COHERENT, 1);
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    what.plane[0].used_nbytes = 0x3000;
    what.plane[0].offset_nbytes = 0x10;
    assert_int_equal(cma_video_queue_buffer(&bench->queue, &what, NULL), 0);
    assert_int_equal(cma_video_look(&bench->queue, 0, &info), 0);
    assert_int_equal(info.state, CMA_VIDEO_ACTIVE);
    assert_int_equal(info.plane[0].used_nbytes, 0);
    assert_int_equal(info.plane[0].offset_nbytes, 0);
    assert_int_equal(cma_video_stream_off(&bench->queue), 0);
    bench->driver.prepare_error = CMA_ERANGE;
    what.plane[0].used_nbytes = 0x4000;
    what.plane[0].offset_nbytes = 0x20;
    assert_int_equal(cma_video_queue_buffer(&bench->queue, &what, NULL), CMA_ERANGE);
    assert_int_equal(cma_video_look(&bench->queue, 0, &info), 0);
    assert_int_equal(info.plane[0].used_nbytes, 0x3000);
    assert_int_equal(info.plane[0].offset_nbytes, 0x10);
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

static void test_start_that_fails(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench);
    struct cma_video_stats stats;

    config.min_queued = 2;
    bench_queue(bench, &config);
    bench_buffers(bench, CMA_VIDEO_COHERENT, 3);
    assert_int_equal(put(&bench->queue, 2), 0);
    assert_int_equal(put(&bench->queue, 1), 0);
    bench->driver.start_error = CMA_ENOMEM;
    assert_int_equal(cma_video_stream_on(&bench->queue), CMA_ENOMEM);
    assert_log(&bench->driver, "sppqqS");
    assert_int_equal(state_of(&bench->queue, 2), CMA_VIDEO_QUEUED);
    assert_int_equal(state_of(&bench->queue, 1), CMA_VIDEO_QUEUED);
    assert_true(cma_video_check(&bench->queue));
    bench->driver.start_error = 0;
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    /* In the old order, although they went back to the queue. */
    assert_log(&bench->driver, "qqS");
    assert_ptr_equal(bench->driver.has[0], &bench->buffers[2]);
    assert_ptr_equal(bench->driver.has[1], &bench->buffers[1]);
    assert_int_equal(cma_video_stream_off(&bench->queue), 0);
    /* The buffer that was missing is not queued if start fails with it; the other one still is. */
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    assert_int_equal(put(&bench->queue, 0), 0);
    assert_int_equal(prepare(&bench->queue, 1), 0);
    bench->driver.start_error = CMA_EBUSY;
    memset(bench->driver.log, 0, sizeof(bench->driver.log));
    assert_int_equal(put(&bench->queue, 2), CMA_EBUSY);
    assert_log(&bench->driver, "pqqSf");
    assert_int_equal(put(&bench->queue, 1), CMA_EBUSY); /* this one stays prepared */
    assert_log(&bench->driver, "qqS");
    assert_int_equal(prepare(&bench->queue, 1), CMA_EBADF);
    assert_int_equal(prepare(&bench->queue, 2), 0);
    assert_int_equal(state_of(&bench->queue, 0), CMA_VIDEO_QUEUED);
    /* A driver that leaves what it has is counted. */
    bench->driver.keeps = true;
    assert_int_equal(put(&bench->queue, 2), CMA_EBUSY);
    cma_video_stats(&bench->queue, &stats);
    assert_int_equal(stats.left_by_driver, 2);
    assert_int_equal(stats.active, 0);
    assert_true(cma_video_check(&bench->queue));
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

static void test_stop_that_leaves_buffers(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench);
    struct cma_video_buffer *late;
    struct cma_video_stats stats;

    bench_queue(bench, &config);
    bench_buffers(bench, CMA_VIDEO_CONTIGUOUS, 3);
    assert_int_equal(put(&bench->queue, 0), 0);
    assert_int_equal(put(&bench->queue, 1), 0);
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    late = bench->driver.has[0];
    bench->driver.keeps = true;
    assert_int_equal(cma_video_stream_off(&bench->queue), 0);
    cma_video_stats(&bench->queue, &stats);
    assert_int_equal(stats.left_by_driver, 2);
    assert_int_equal(stats.dequeued, 3);
    assert_int_equal(cma_video_done(late, CMA_VIDEO_DONE, 0, 0), CMA_EBADF);
    assert_true(cma_video_check(&bench->queue));
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

static void test_given_back_without_data(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench);

    bench_queue(bench, &config);
    bench_buffers(bench, CMA_VIDEO_COHERENT, 3);
    assert_int_equal(put(&bench->queue, 0), 0);
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    assert_int_equal(cma_video_done(&bench->buffers[0], CMA_VIDEO_DEQUEUED, 0, 0), CMA_EINVAL);
    assert_int_equal(cma_video_done(&bench->buffers[0], CMA_VIDEO_ACTIVE, 0, 0), CMA_EINVAL);
    assert_int_equal(state_of(&bench->queue, 0), CMA_VIDEO_ACTIVE);
    assert_int_equal(cma_video_done(&bench->buffers[0], CMA_VIDEO_QUEUED, 0, 0), 0);
    bench->driver.nhas = 0;
    assert_int_equal(cma_video_poll(&bench->queue), 0);
    assert_int_equal(put(&bench->queue, 1), 0);
    assert_ptr_equal(bench->driver.has[0], &bench->buffers[0]);
    assert_ptr_equal(bench->driver.has[1], &bench->buffers[1]);
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

static void test_failed_device(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench);
    struct cma_video_info info;

    bench_queue(bench, &config);
    bench_buffers(bench, CMA_VIDEO_COHERENT, 3);
    assert_int_equal(put(&bench->queue, 0), 0);
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    driver_done(&bench->driver, 0, CMA_VIDEO_DONE);
    cma_video_failed(&bench->queue);
    assert_int_equal(cma_video_poll(&bench->queue), CMA_VIDEO_POLL_FAILED | CMA_VIDEO_POLL_READY);
    assert_int_equal(cma_video_wait(&bench->queue), 0);
    assert_int_equal(cma_video_dequeue(&bench->queue, true, &info), CMA_EBADF);
    assert_int_equal(put(&bench->queue, 1), CMA_EBADF);
    assert_int_equal(prepare(&bench->queue, 1), CMA_EBADF);
    assert_int_equal(cma_video_stream_off(&bench->queue), 0);
    assert_int_equal(put(&bench->queue, 1), 0);
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    assert_int_equal(cma_video_poll(&bench->queue), 0);
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

static void test_driver_that_is_done_at_once(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench);
    struct cma_video_info info;

    bench->driver.at_once = true;
    bench_queue(bench, &config);
    bench_buffers(bench, CMA_VIDEO_COHERENT, 3);
    assert_int_equal(put(&bench->queue, 1), 0);
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    assert_int_equal(put(&bench->queue, 0), 0);
    assert_int_equal(cma_video_dequeue(&bench->queue, false, &info), 0);
    assert_int_equal(info.number, 1);
    assert_int_equal(cma_video_dequeue(&bench->queue, false, &info), 0);
    assert_int_equal(info.number, 0);
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

static void test_prepare_that_refuses(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench);
    struct cma_refusal refusal = {0};
    struct cma_video_put what = {.number = 1};

    bench_queue(bench, &config);
    bench_buffers(bench, CMA_VIDEO_CONTIGUOUS, 2);
    bench->driver.prepare_error = CMA_ERANGE;
    assert_int_equal(cma_video_queue_buffer(&bench->queue, &what, &refusal), CMA_ERANGE);
    assert_int_equal(refusal.code, CMA_ERANGE);
    assert_log(&bench->driver, "sp"); /* no finish for what was not prepared */
    assert_int_equal(state_of(&bench->queue, 1), CMA_VIDEO_DEQUEUED);
    bench->driver.prepare_error = 0;
    what.hints = 4;
    assert_int_equal(cma_video_prepare(&bench->queue, &what, NULL), CMA_EINVAL);
    what.hints = 3;
    what.nplanes = 2;
    assert_int_equal(cma_video_prepare(&bench->queue, &what, NULL), CMA_EINVAL);
    what.nplanes = 1;
    assert_int_equal(cma_video_prepare(&bench->queue, &what, NULL), 0);
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

/* What an output queue is told of its data. */
static void test_data_fit_into_memory(void **state)
{
    static const struct {
        uint64_t offset, used;
        int error;
    } cases[] = {{0, 0, 0},
                 {0, NBYTES, 0},
                 {0, NBYTES + 1, CMA_EINVAL},
                 {NBYTES - 1, 0, 0},
                 {NBYTES, 0, CMA_EINVAL},
                 {5, 5, CMA_EINVAL},
                 {4, 5, 0},
                 {UINT64_MAX, UINT64_MAX, CMA_EINVAL}};
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench);
    struct cma_video_info info;

    config.direction = CMA_TO_DEVICE;
    bench_queue(bench, &config);
    bench_buffers(bench, CMA_VIDEO_CONTIGUOUS, 2);
    for (uint32_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cma_video_put what = {.nplanes = 1};

        what.plane[0].offset_nbytes = cases[i].offset;
        what.plane[0].used_nbytes = cases[i].used;
        assert_int_equal(cma_video_queue_buffer(&bench->queue, &what, NULL), cases[i].error);
        assert_int_equal(cma_video_look(&bench->queue, 0, &info), 0);
        if (cases[i].error == 0) {
            assert_int_equal(info.plane[0].used_nbytes, cases[i].used ? cases[i].used : NBYTES);
            assert_int_equal(info.plane[0].offset_nbytes, cases[i].offset);
        }
        assert_int_equal(cma_video_stream_off(&bench->queue), 0);
    }
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

/* --- who waits --------------------------------------------------------------------------- */

static void waits_for_picture(void *arg)
{
    struct bench *bench = arg;
    struct cma_video_info info;

    assert_int_equal(cma_video_dequeue(&bench->queue, true, &info), 0);
    assert_int_equal(info.number, 1);
    assert_int_equal(cma_video_wait(&bench->queue), 0);
    assert_int_equal(cma_video_dequeue(&bench->queue, true, &info), CMA_EINVAL);
}

static void makes_picture(void *arg)
{
    struct bench *bench = arg;

    sim_sleep_ns(bench->sim, 1000000);
    driver_done(&bench->driver, 0, CMA_VIDEO_DONE);
    sim_sleep_ns(bench->sim, 1000000);
    /* Who waits has no turn: calls go on meanwhile, and stream off ends the waiting. */
    assert_int_equal(put(&bench->queue, 0), 0);
    assert_int_equal(cma_video_stream_off(&bench->queue), 0);
}

static void waits_for_nothing(void *arg)
{
    struct bench *bench = arg;
    struct cma_video_info info;

    assert_int_equal(cma_video_dequeue(&bench->queue, true, &info), CMA_EINVAL);
}

static void turns_off(void *arg)
{
    struct bench *bench = arg;

    sim_sleep_ns(bench->sim, 1000000);
    assert_int_equal(cma_video_stream_off(&bench->queue), 0);
}

static void waits_for_trouble(void *arg)
{
    struct bench *bench = arg;
    struct cma_video_info info;

    assert_int_equal(cma_video_wait(&bench->queue), 0);
    assert_int_equal(cma_video_poll(&bench->queue), CMA_VIDEO_POLL_FAILED);
    assert_int_equal(cma_video_dequeue(&bench->queue, true, &info), CMA_EBADF);
}

static void breaks(void *arg)
{
    struct bench *bench = arg;

    sim_sleep_ns(bench->sim, 1000000);
    cma_video_failed(&bench->queue);
}

static void test_waiting(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench);

    bench_queue(bench, &config);
    bench_buffers(bench, CMA_VIDEO_COHERENT, 2);
    assert_int_equal(put(&bench->queue, 1), 0);
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    sim_spawn(bench->sim, "program", waits_for_picture, bench);
    sim_spawn(bench->sim, "camera", makes_picture, bench);
    sim_run(bench->sim);
    /* Off, when no device has a buffer that it would give back. */
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    sim_spawn(bench->sim, "program", waits_for_nothing, bench);
    sim_spawn(bench->sim, "other", turns_off, bench);
    sim_run(bench->sim);
    /* And a device that breaks has nothing to give back either. */
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    sim_spawn(bench->sim, "program", waits_for_trouble, bench);
    sim_spawn(bench->sim, "device", breaks, bench);
    sim_run(bench->sim);
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

/* A port that can't wait: nobody sleeps, and who meets another is told. */
static void test_port_that_cannot_wait(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench);
    struct cma_video_info info;
    uint32_t n = 2;

    bench_queue(bench, &config);
    bench_buffers(bench, CMA_VIDEO_COHERENT, 2);
    assert_int_equal(put(&bench->queue, 1), 0);
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    bench->port.wait = NULL;
    assert_int_equal(cma_video_dequeue(&bench->queue, true, &info), CMA_EAGAIN);
    assert_int_equal(cma_video_wait(&bench->queue), CMA_EAGAIN);
    bench->queue.turn = 1;
    assert_int_equal(cma_video_dequeue(&bench->queue, false, &info), CMA_EAGAIN);
    assert_int_equal(put(&bench->queue, 0), CMA_EAGAIN);
    assert_int_equal(prepare(&bench->queue, 0), CMA_EAGAIN);
    assert_int_equal(cma_video_request(&bench->queue, CMA_VIDEO_COHERENT, &n, NULL), CMA_EAGAIN);
    assert_int_equal(cma_video_stream_on(&bench->queue), CMA_EAGAIN);
    assert_int_equal(cma_video_stream_off(&bench->queue), CMA_EAGAIN);
    assert_int_equal(cma_video_remove(&bench->queue, 0, 1), CMA_EAGAIN);
    assert_int_equal(cma_video_unmap(&bench->queue, 0, 0), CMA_EAGAIN);
    assert_int_equal(cma_video_release(&bench->queue), CMA_EAGAIN);
    driver_done(&bench->driver, 0, CMA_VIDEO_DONE); /* but done needs no turn */
    assert_int_equal(cma_video_poll(&bench->queue), CMA_VIDEO_POLL_READY);
    assert_int_equal(state_of(&bench->queue, 1), CMA_VIDEO_DONE);
    bench->queue.turn = 0;
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

/* --- case 46: calls that meet ------------------------------------------------------------ */

static void sleeps_a_while(void *arg)
{
    struct bench *bench = arg;

    sim_sleep_ns(bench->sim, 3000000);
}

static struct meeting {
    struct bench *bench;
    int (*first)(struct bench *bench), (*second)(struct bench *bench);
    int first_said, second_said;
    uint64_t first_ended, second_ended;
} meeting;

static void comes_first(void *arg)
{
    (void)arg;
    meeting.first_said = meeting.first(meeting.bench);
    meeting.first_ended = sim_now_ns(meeting.bench->sim);
}

static void comes_second(void *arg)
{
    (void)arg;
    sim_sleep_ns(meeting.bench->sim, 1000000);
    meeting.second_said = meeting.second(meeting.bench);
    meeting.second_ended = sim_now_ns(meeting.bench->sim);
}

/* The first sleeps in the driver for 3 ms, the second comes after 1 ms. */
static void meet(struct bench *bench, int (*first)(struct bench *bench),
                 int (*second)(struct bench *bench))
{
    meeting = (struct meeting){.bench = bench, .first = first, .second = second};
    bench->driver.meanwhile = sleeps_a_while;
    bench->driver.meanwhile_arg = bench;
    sim_spawn(bench->sim, "first", comes_first, NULL);
    sim_spawn(bench->sim, "second", comes_second, NULL);
    sim_run(bench->sim);
    bench->driver.meanwhile = NULL;
    assert_true(meeting.first_ended <= meeting.second_ended);
    assert_true(cma_video_check(&bench->queue));
}

static int queue_0(struct bench *bench)
{
    return put(&bench->queue, 0);
}

static int prepare_0(struct bench *bench)
{
    return prepare(&bench->queue, 0);
}

static int stream_on(struct bench *bench)
{
    return cma_video_stream_on(&bench->queue);
}

static int stream_off(struct bench *bench)
{
    return cma_video_stream_off(&bench->queue);
}

static int request_3(struct bench *bench)
{
    uint32_t n = 3;

    return cma_video_request(&bench->queue, CMA_VIDEO_CONTIGUOUS, &n, NULL);
}

static int remove_0(struct bench *bench)
{
    return cma_video_remove(&bench->queue, 0, 1);
}

static int map_0(struct bench *bench)
{
    enum cma_attr attr;
    cma_paddr_t paddr;

    return cma_video_map(&bench->queue, 0, 0, 0, 4096, &paddr, &attr, NULL);
}

/* 63faabfd89f4: REQBUFS freed the buffers that QBUF was preparing. */
static void test_case_46_request_meets_prepare(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench);

    bench_queue(bench, &config);
    bench_buffers(bench, CMA_VIDEO_CONTIGUOUS, 2);
    meet(bench, queue_0, request_3);
    assert_int_equal(meeting.first_said, 0);
    assert_int_equal(meeting.second_said, 0);
    assert_int_equal(state_of(&bench->queue, 0), CMA_VIDEO_DEQUEUED);
    assert_log(&bench->driver, "spfs"); /* prepared and finished before it was freed */
    meet(bench, queue_0, remove_0);
    assert_int_equal(meeting.second_said, CMA_EBUSY);
    assert_int_equal(cma_video_stream_off(&bench->queue), 0);
    meet(bench, prepare_0, stream_off);
    assert_int_equal(meeting.second_said, 0);
    assert_int_equal(prepare(&bench->queue, 0), 0);
    meet(bench, queue_0, queue_0); /* it is prepared: nobody sleeps, the first is the first */
    assert_int_equal(meeting.second_said, CMA_EBADF);
    meet(bench, stream_on, request_3);
    assert_int_equal(meeting.second_said, CMA_EBUSY);
    meet(bench, stream_off, request_3);
    assert_int_equal(meeting.second_said, 0);
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

/* f035eb4e976e, 098e5edc5d04: a buffer was mapped while REQBUFS freed it. */
static void test_case_46_map_meets_request(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench);

    bench_queue(bench, &config);
    bench_buffers(bench, CMA_VIDEO_CONTIGUOUS, 2);
    meet(bench, queue_0, map_0);
    assert_int_equal(meeting.second_said, 0);
    assert_int_equal(stream_on(bench), 0);
    meet(bench, stream_off, map_0);
    assert_int_equal(meeting.second_said, 0);
    assert_int_equal(request_3(bench), CMA_EBUSY);
    assert_int_equal(cma_video_unmap(&bench->queue, 0, 0), 0);
    assert_int_equal(request_3(bench), CMA_EBUSY);
    assert_int_equal(cma_video_unmap(&bench->queue, 0, 0), 0);
    /* What is mapped is what is there, never what was. */
    assert_int_equal(put(&bench->queue, 0), 0);
    meet(bench, request_3, map_0);
    assert_int_equal(meeting.second_said, 0);
    assert_int_equal(cma_video_unmap(&bench->queue, 0, 0), 0);
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_and_round, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_each_state_and_call, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_start_waits_for_enough, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_start_that_fails, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_start_needs_one, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_what_is_told_of_data, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_stop_that_leaves_buffers, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_given_back_without_data, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_failed_device, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_driver_that_is_done_at_once, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(test_prepare_that_refuses, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_data_fit_into_memory, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_waiting, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_port_that_cannot_wait, bench_setup, bench_teardown),
        cmocka_unit_test_setup_teardown(test_case_46_request_meets_prepare, bench_setup,
                                        bench_teardown),
        cmocka_unit_test_setup_teardown(test_case_46_map_meets_request, bench_setup,
                                        bench_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
