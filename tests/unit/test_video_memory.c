/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_video_memory.c - where buffers come from, who keeps them alive, and that each side sees
 * right bytes
 */
#include "video_board.h"

static void picture(uint8_t *bytes, uint32_t number)
{
    for (uint32_t i = 0; i < NBYTES; i++)
        bytes[i] = (uint8_t)(number * 37 + i * 11 + (i >> 8));
}

static void device_writes(struct simdev *bus, cma_daddr_t daddr, uint32_t number)
{
    uint8_t bytes[NBYTES];

    picture(bytes, number);
    assert_true(simdev_write(bus, daddr, bytes, NBYTES));
}

static bool device_sees(struct simdev *bus, cma_daddr_t daddr, uint32_t number)
{
    uint8_t bytes[NBYTES], wanted[NBYTES];

    picture(wanted, number);
    assert_true(simdev_read(bus, daddr, bytes, NBYTES));
    return memcmp(bytes, wanted, NBYTES) == 0;
}

static void cpu_writes(struct bench *bench, uint32_t buffer, uint32_t number)
{
    uint8_t bytes[NBYTES];

    picture(bytes, number);
    sim_write(bench->sim, cma_video_vaddr(&bench->buffers[buffer], 0), bytes, NBYTES);
}

static bool cpu_sees(struct bench *bench, uint32_t buffer, uint32_t number)
{
    uint8_t bytes[NBYTES], wanted[NBYTES];

    picture(wanted, number);
    sim_read(bench->sim, cma_video_vaddr(&bench->buffers[buffer], 0), bytes, NBYTES);
    return memcmp(bytes, wanted, NBYTES) == 0;
}

/* --- syncs ------------------------------------------------------------------------------- */

/* One picture through buffer 0; are the bytes right? The CPU has the old one in its cache. */
static bool goes_through(struct bench *bench, enum cma_direction direction, uint32_t hints,
                         uint32_t number)
{
    struct cma_video_put what = {.nplanes = 1, .hints = hints};
    struct cma_video_info info;
    bool right;

    (void)cpu_sees(bench, 0, 0);
    if (direction == CMA_TO_DEVICE)
        cpu_writes(bench, 0, number);
    assert_int_equal(cma_video_queue_buffer(&bench->queue, &what, NULL), 0);
    assert_int_equal(bench->driver.nhas, 1);
    if (direction == CMA_TO_DEVICE)
        right = device_sees(&bench->camera_bus, bench->buffers[0].plane[0].daddr, number);
    else
        device_writes(&bench->camera_bus, bench->buffers[0].plane[0].daddr, number);
    driver_done(&bench->driver, 0, CMA_VIDEO_DONE);
    assert_int_equal(cma_video_dequeue(&bench->queue, false, &info), 0);
    memset(bench->driver.log, 0, sizeof(bench->driver.log));
    return direction == CMA_TO_DEVICE ? right : cpu_sees(bench, 0, number);
}

static void open_for(struct bench *bench, struct cma_device *device, enum cma_direction direction,
                     enum cma_video_memory memory)
{
    struct cma_video_config config = bench_config(bench);

    config.device = device;
    config.direction = direction;
    bench_queue(bench, &config);
    bench_buffers(bench, memory, 1);
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
}

static void test_each_side_sees_right_bytes(void **state)
{
    static const enum cma_direction directions[] = {CMA_FROM_DEVICE, CMA_TO_DEVICE};
    struct bench *bench = *state;

    for (uint32_t memory = CMA_VIDEO_COHERENT; memory <= CMA_VIDEO_CONTIGUOUS; memory++) {
        for (uint32_t i = 0; i < 2; i++) {
            open_for(bench, &bench->camera, directions[i], (enum cma_video_memory)memory);
            for (uint32_t n = 1; n < 100; n++)
                assert_true(goes_through(bench, directions[i], 0, n));
            assert_int_equal(cma_video_release(&bench->queue), 0);
        }
    }
}

/* The proof that the syncs of CONTIGUOUS are what makes it right, and that hints leave them out. */
static void test_hints_leave_syncs_out(void **state)
{
    struct bench *bench = *state;

    open_for(bench, &bench->camera, CMA_FROM_DEVICE, CMA_VIDEO_CONTIGUOUS);
    assert_true(goes_through(bench, CMA_FROM_DEVICE, 0, 1));
    assert_false(goes_through(bench, CMA_FROM_DEVICE, CMA_VIDEO_PLANE_HINT_SKIP_FINISH, 2));
    assert_true(goes_through(bench, CMA_FROM_DEVICE, CMA_VIDEO_PLANE_HINT_SKIP_PREPARE, 3));
    assert_int_equal(cma_video_release(&bench->queue), 0);
    open_for(bench, &bench->camera, CMA_TO_DEVICE, CMA_VIDEO_CONTIGUOUS);
    assert_true(goes_through(bench, CMA_TO_DEVICE, CMA_VIDEO_PLANE_HINT_SKIP_FINISH, 1));
    assert_false(goes_through(bench, CMA_TO_DEVICE, CMA_VIDEO_PLANE_HINT_SKIP_PREPARE, 2));
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

/* A prepare that fails has synced nothing, so what the program wrote is still there. */
static void test_failed_prepare_loses_nothing(void **state)
{
    struct bench *bench = *state;

    open_for(bench, &bench->camera, CMA_BIDIRECTIONAL, CMA_VIDEO_CONTIGUOUS);
    cpu_writes(bench, 0, 7);
    bench->driver.prepare_error = CMA_EINVAL;
    assert_int_equal(put(&bench->queue, 0), CMA_EINVAL);
    assert_true(cpu_sees(bench, 0, 7));
    bench->driver.prepare_error = 0;
    /* And a stream off gives back what the device has written until then. */
    assert_int_equal(put(&bench->queue, 0), 0);
    device_writes(&bench->camera_bus, bench->buffers[0].plane[0].daddr, 8);
    assert_int_equal(cma_video_stream_off(&bench->queue), 0);
    assert_true(cpu_sees(bench, 0, 8));
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

/* --- request, create, remove ------------------------------------------------------------- */

/* The device may have the pages of so many planes: each number is tried, so each allocation is the
 * one that fails once. */
static void test_each_allocation_fails_once(void **state)
{
    struct bench *bench = *state;

    for (uint32_t memory = CMA_VIDEO_COHERENT; memory <= CMA_VIDEO_CONTIGUOUS; memory++) {
        for (uint32_t planes = 0; planes <= 8; planes++) {
            struct cma_video_config config = bench_config(bench);
            struct cma_refusal refusal = {0};
            /* Planes of 6 pages and of 1. */
            uint32_t npages = planes / 2 * 7 + planes % 2 * 6, n = 4, first;

            driver_init(&bench->driver, &bench->queue);
            bench->driver.nplanes = 2;
            bench->camera.config.flags = CMA_DEVICE_AREA_ONLY;
            bench->camera.config.quota_npages = npages != 0 ? npages : 1;
            bench_queue(bench, &config);
            if (planes < 2) {
                assert_int_equal(
                    cma_video_request(&bench->queue, (enum cma_video_memory)memory, &n, &refusal),
                    CMA_ENOMEM);
                assert_int_equal(refusal.reason, CMA_REASON_QUOTA);
                assert_int_equal(n, 4);
            } else {
                assert_int_equal(
                    cma_video_request(&bench->queue, (enum cma_video_memory)memory, &n, &refusal),
                    0);
                assert_int_equal(refusal.code, 0);
                assert_int_equal(n, planes / 2);
                assert_int_equal(bench->driver.asked, planes < 8 ? planes / 2 : 4);
                n = 1;
                assert_int_equal(cma_video_create(&bench->queue, (enum cma_video_memory)memory, &n,
                                                  0, NULL, &first, NULL),
                                 CMA_ENOMEM);
            }
            assert_int_equal(bench->camera.live_npages, planes / 2 * 7);
            assert_true(cma_video_check(&bench->queue));
            assert_int_equal(cma_video_release(&bench->queue), 0);
            assert_int_equal(bench->camera.live_npages, 0);
        }
    }
}

static void test_setup_decides_whether_fewer_do(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench);
    uint32_t n = 4;

    bench->camera.config.flags = CMA_DEVICE_AREA_ONLY;
    bench->camera.config.quota_npages = 12; /* of 24 */
    bench->driver.least = 3;
    bench_queue(bench, &config);
    assert_int_equal(cma_video_request(&bench->queue, CMA_VIDEO_COHERENT, &n, NULL), CMA_ENOMEM);
    assert_int_equal(bench->camera.live_npages, 0);
    bench->driver.least = 2;
    assert_int_equal(cma_video_request(&bench->queue, CMA_VIDEO_COHERENT, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_int_equal(cma_video_release(&bench->queue), 0);
    /* Fewer than start needs are of no use, whatever the driver says. */
    config.min_queued = 3;
    bench_queue(bench, &config);
    n = 4;
    assert_int_equal(cma_video_request(&bench->queue, CMA_VIDEO_COHERENT, &n, NULL), CMA_ENOMEM);
    assert_int_equal(bench->driver.asked, 4);
    assert_int_equal(bench->camera.live_npages, 0);
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

static void test_setup_is_judged(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench);
    uint32_t n = 2;

    config.memories = 1u << CMA_VIDEO_COHERENT;
    bench_queue(bench, &config);
    assert_int_equal(cma_video_request(&bench->queue, CMA_VIDEO_CONTIGUOUS, &n, NULL), CMA_EINVAL);
    assert_int_equal(cma_video_request(&bench->queue, (enum cma_video_memory)77, &n, NULL),
                     CMA_EINVAL);
    bench->driver.nplanes = 0;
    assert_int_equal(cma_video_request(&bench->queue, CMA_VIDEO_COHERENT, &n, NULL), CMA_EINVAL);
    bench->driver.nplanes = CMA_VIDEO_PLANES_MAX + 1;
    assert_int_equal(cma_video_request(&bench->queue, CMA_VIDEO_COHERENT, &n, NULL), CMA_EINVAL);
    bench->driver.nplanes = 3; /* the third is empty */
    assert_int_equal(cma_video_request(&bench->queue, CMA_VIDEO_COHERENT, &n, NULL), CMA_EINVAL);
    bench->driver.nplanes = 1;
    bench->driver.setup_error = CMA_ERANGE;
    assert_int_equal(cma_video_request(&bench->queue, CMA_VIDEO_COHERENT, &n, NULL), CMA_ERANGE);
    bench->driver.setup_error = 0;
    n = 1000;
    assert_int_equal(cma_video_request(&bench->queue, CMA_VIDEO_COHERENT, &n, NULL), 0);
    assert_int_equal(n, ROOM);
    n = 0;
    assert_int_equal(cma_video_request(&bench->queue, CMA_VIDEO_COHERENT, &n, NULL), 0);
    assert_int_equal(bench->camera.live_npages, 0);
    assert_int_equal(cma_video_release(&bench->queue), 0);
    n = 1;
    assert_int_equal(cma_video_request(&bench->queue, CMA_VIDEO_COHERENT, &n, NULL), CMA_EBADF);
}

static void bench_check_request(struct bench *bench, int error)
{
    uint32_t n = 4;

    assert_int_equal(cma_video_request(&bench->queue, CMA_VIDEO_COHERENT, &n, NULL), error);
    assert_int_equal(n, 4);
    assert_int_equal(bench->camera.live_npages, 0);
    assert_int_equal(state_of(&bench->queue, 0), CMA_VIDEO_NONE);
}

/* Lengths that wrap, no lengths, no buffers, fewer than start needs. */
static void test_edges_of_requests(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench);
    uint64_t nbytes[1] = {UINT64_MAX};
    uint32_t n = 4, first;

    config.min_queued = 3;
    bench_queue(bench, &config);
    assert_int_equal(cma_video_remove(&bench->queue, 0, 0), 0);
    assert_int_equal(cma_video_remove(&bench->queue, UINT32_MAX, 0), 0);
    assert_int_equal(cma_video_remove(&bench->queue, UINT32_MAX, 2), CMA_EINVAL);
    bench->driver.most = 2;
    bench_check_request(bench, CMA_EINVAL);
    bench->driver.most = 0;
    bench->driver.plane_nbytes[0] = UINT64_MAX;
    bench_check_request(bench, CMA_EOVERFLOW);
    bench->driver.plane_nbytes[0] = (uint64_t)1 << 63;
    bench->driver.plane_nbytes[1] = (uint64_t)1 << 63;
    bench->driver.nplanes = 2;
    bench_check_request(bench, CMA_ENOMEM);
    driver_init(&bench->driver, &bench->queue);
    bench_buffers(bench, CMA_VIDEO_COHERENT, 3);
    assert_int_equal(cma_video_create(&bench->queue, CMA_VIDEO_COHERENT, &n, 1, NULL, &first, NULL),
                     CMA_EINVAL);
    assert_int_equal(
        cma_video_create(&bench->queue, CMA_VIDEO_COHERENT, &n, 1, nbytes, &first, NULL),
        CMA_EOVERFLOW);
    assert_int_equal(n, 4);
    assert_int_equal(bench->camera.live_npages, 18);
    assert_null(cma_video_vaddr(&bench->buffers[0], 1));
    assert_null(cma_video_vaddr(&bench->buffers[0], UINT32_MAX));
    assert_null(cma_video_vaddr(&bench->buffers[3], 0));
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

/* Of addresses as the device sees them; the scaler's bus shifts them by less than that. A promise
 * that says nothing of it is as aligned as the queue. */
static void test_alignment_is_of_the_device(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench);
    uint32_t n;

    config.device = &bench->scaler;
    config.align_nbytes = 0x10000;
    for (uint32_t promised = 0; promised < 2; promised++) {
        if (promised != 0)
            config.promise =
                (struct cma_promise_request){.nbytes = NBYTES, .count = 4, .max_moves = 8};
        bench_queue(bench, &config);
        for (uint32_t memory = CMA_VIDEO_COHERENT; memory <= CMA_VIDEO_CONTIGUOUS; memory++) {
            bench_buffers(bench, (enum cma_video_memory)memory, 4);
            for (uint32_t i = 0; i < 4; i++) {
                const struct cma_video_plane *plane = &bench->buffers[i].plane[0];

                assert_int_equal(plane->daddr & 0xffff, 0);
                assert_true((plane->memory.buffer.paddr & 0xffff) != 0);
                assert_int_equal(plane->memory.buffer.source == CMA_SOURCE_GUARANTEE, promised);
            }
            n = 0;
            assert_int_equal(cma_video_request(&bench->queue, CMA_VIDEO_COHERENT, &n, NULL), 0);
        }
        assert_int_equal(cma_video_release(&bench->queue), 0);
    }
}

/* A put without planes is of nothing but zeros, whatever stands there. */
static void test_put_without_planes(void **state)
{
    struct bench *bench = *state;
    struct cma_video_put what = {.number = 0};

    open_for(bench, &bench->camera, CMA_TO_DEVICE, CMA_VIDEO_COHERENT);
    memset(what.plane, 0xff, sizeof(what.plane));
    assert_int_equal(cma_video_queue_buffer(&bench->queue, &what, NULL), 0);
    assert_int_equal(bench->buffers[0].plane[0].used_nbytes, NBYTES);
    assert_int_equal(bench->buffers[0].plane[0].offset_nbytes, 0);
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

static void test_create_while_streaming(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench);
    uint64_t nbytes[1] = {3 * NBYTES};
    struct cma_video_info info;
    uint32_t n = 2, first;

    bench_queue(bench, &config);
    assert_int_equal(cma_video_create(&bench->queue, CMA_VIDEO_COHERENT, &n, 0, NULL, &first, NULL),
                     0);
    assert_int_equal(first, 0);
    assert_int_equal(put(&bench->queue, 0), 0);
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    n = 3;
    assert_int_equal(
        cma_video_create(&bench->queue, CMA_VIDEO_COHERENT, &n, 1, nbytes, &first, NULL), 0);
    assert_int_equal(first, 2);
    assert_int_equal(cma_video_look(&bench->queue, 4, &info), 0);
    assert_int_equal(info.plane[0].nbytes, 3 * NBYTES);
    assert_int_equal(put(&bench->queue, 4), 0);
    assert_int_equal(state_of(&bench->queue, 4), CMA_VIDEO_ACTIVE);
    /* A hole of one: two new ones need numbers that follow each other. */
    assert_int_equal(cma_video_remove(&bench->queue, 1, 1), 0);
    n = 2;
    assert_int_equal(cma_video_create(&bench->queue, CMA_VIDEO_COHERENT, &n, 0, NULL, &first, NULL),
                     0);
    assert_int_equal(first, 5);
    n = 0;
    assert_int_equal(cma_video_create(&bench->queue, CMA_VIDEO_COHERENT, &n, 0, NULL, &first, NULL),
                     0);
    assert_int_equal(first, 1);
    n = 2;
    assert_int_equal(cma_video_create(&bench->queue, CMA_VIDEO_COHERENT, &n, 0, NULL, &first, NULL),
                     CMA_ENOSPC);
    n = 1;
    assert_int_equal(
        cma_video_create(&bench->queue, CMA_VIDEO_CONTIGUOUS, &n, 0, NULL, &first, NULL),
        CMA_EINVAL);
    nbytes[0] = 1;
    assert_int_equal(
        cma_video_create(&bench->queue, CMA_VIDEO_COHERENT, &n, 1, nbytes, &first, NULL),
        CMA_EINVAL);
    n = 5;
    assert_int_equal(cma_video_remove(&bench->queue, 5, 2), 0);
    assert_int_equal(cma_video_remove(&bench->queue, 2, 2), 0);
    assert_int_equal(cma_video_create(&bench->queue, CMA_VIDEO_COHERENT, &n, 0, NULL, &first, NULL),
                     CMA_ENOSPC);
    assert_int_equal(cma_video_remove(&bench->queue, 3, 2), CMA_EINVAL);
    assert_int_equal(cma_video_remove(&bench->queue, ROOM, 1), CMA_EINVAL);
    assert_int_equal(cma_video_remove(&bench->queue, 1, UINT32_MAX), CMA_EINVAL);
    assert_int_equal(cma_video_remove(&bench->queue, ROOM, 0), 0);
    assert_true(cma_video_check(&bench->queue));
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

/* --- who keeps a buffer alive ------------------------------------------------------------ */

/* Queue, client, export and device let go in each order; only the last one frees the memory. */
static void test_last_of_four_frees(void **state)
{
    struct bench *bench = *state;

    for (uint32_t order = 0; order < 2 * 256; order++) {
        uint32_t who[4] = {order & 3, order >> 2 & 3, order >> 4 & 3, order >> 6 & 3};
        enum cma_video_memory memory = order < 256 ? CMA_VIDEO_COHERENT : CMA_VIDEO_CONTIGUOUS;
        struct cma_video_config config = bench_config(bench);
        struct cma_attachment attachment = {0};
        struct cma_shared *shared;
        enum cma_attr attr;
        cma_paddr_t paddr;

        if ((1u << who[0] | 1u << who[1] | 1u << who[2] | 1u << who[3]) != 15)
            continue;
        bench_queue(bench, &config);
        bench_buffers(bench, memory, 2);
        assert_int_equal(cma_video_map(&bench->queue, 1, 0, 4096, 8192, &paddr, &attr, NULL), 0);
        assert_int_equal(attr, memory == CMA_VIDEO_COHERENT ? CMA_ATTR_UNCACHED : CMA_ATTR_CACHED);
        assert_int_equal(cma_video_export(&bench->queue, 1, 0, &shared), 0);
        assert_int_equal(cma_shared_attach(shared, &attachment, &bench->scaler, NULL), 0);
        for (uint32_t i = 0; i < 4; i++) {
            uint32_t left = bench->camera.live_npages;

            assert_true(left >= 6);
            switch (who[i]) {
            case 0:
                assert_int_equal(cma_video_release(&bench->queue), i < 3 ? CMA_EBUSY : 0);
                break;
            case 1: assert_int_equal(cma_video_unmap(&bench->queue, 1, 0), 0); break;
            case 2: assert_int_equal(cma_shared_put(shared), 0); break;
            default: assert_int_equal(cma_shared_detach(&attachment), 0); break;
            }
        }
        assert_int_equal(bench->camera.live_npages, 0);
        assert_int_equal(cma_video_unmap(&bench->queue, 1, 0), CMA_EINVAL);
        assert_int_equal(cma_video_release(&bench->queue), 0);
    }
}

static void test_nothing_is_freed_under_a_client(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench);
    struct cma_video_info info;
    struct cma_refusal refusal;
    struct cma_shared *shared;
    enum cma_attr attr;
    cma_paddr_t paddr;
    uint32_t n = 1;

    bench_queue(bench, &config);
    bench_buffers(bench, CMA_VIDEO_COHERENT, 2);
    assert_int_equal(cma_video_map(&bench->queue, 0, 0, 0, 4096, &paddr, &attr, NULL), 0);
    assert_int_equal(cma_video_map(&bench->queue, 0, 0, 4096, 4096, &paddr, &attr, NULL), 0);
    assert_int_equal(cma_video_look(&bench->queue, 0, &info), 0);
    assert_true(info.mapped && !info.exported);
    assert_int_equal(cma_video_request(&bench->queue, CMA_VIDEO_COHERENT, &n, &refusal), CMA_EBUSY);
    assert_int_equal(refusal.reason, CMA_REASON_HELD);
    assert_int_equal(cma_video_remove(&bench->queue, 0, 2), CMA_EBUSY);
    assert_int_equal(state_of(&bench->queue, 1), CMA_VIDEO_DEQUEUED); /* all or none */
    assert_int_equal(cma_video_unmap(&bench->queue, 0, 0), 0);
    assert_int_equal(cma_video_remove(&bench->queue, 0, 1), CMA_EBUSY);
    assert_int_equal(cma_video_unmap(&bench->queue, 0, 0), 0);
    assert_int_equal(cma_video_unmap(&bench->queue, 0, 0), CMA_EBADF);
    assert_int_equal(cma_video_unmap(&bench->queue, 0, 1), CMA_EINVAL);
    assert_int_equal(cma_video_unmap(&bench->queue, ROOM, 0), CMA_EINVAL);
    assert_int_equal(cma_video_export(&bench->queue, 0, 0, &shared), 0);
    assert_int_equal(cma_video_look(&bench->queue, 0, &info), 0);
    assert_true(!info.mapped && info.exported);
    assert_int_equal(cma_video_request(&bench->queue, CMA_VIDEO_COHERENT, &n, NULL), CMA_EBUSY);
    assert_int_equal(cma_video_remove(&bench->queue, 0, 1), CMA_EBUSY);
    assert_int_equal(cma_shared_put(shared), 0);
    assert_int_equal(cma_video_remove(&bench->queue, 0, 1), 0);
    /* What can't be mapped leaves no trace. */
    assert_int_equal(cma_video_map(&bench->queue, 1, 0, 4096, 6 * 4096, &paddr, &attr, &refusal),
                     CMA_ERANGE);
    assert_int_equal(refusal.code, CMA_ERANGE);
    assert_int_equal(cma_video_map(&bench->queue, 1, 0, 1, 4096, &paddr, &attr, NULL), CMA_EINVAL);
    assert_int_equal(cma_video_map(&bench->queue, 1, 1, 0, 4096, &paddr, &attr, NULL), CMA_EINVAL);
    assert_int_equal(cma_video_request(&bench->queue, CMA_VIDEO_COHERENT, &n, NULL), 0);
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

/* --- late allocation --------------------------------------------------------------------- */

static void test_late_allocation(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench);
    struct cma_shared *shared;
    struct cma_video_info info;
    enum cma_attr attr;
    cma_paddr_t paddr;

    config.flags = CMA_VIDEO_ALLOCATE_LATE;
    bench->driver.nplanes = 2;
    bench_queue(bench, &config);
    bench_buffers(bench, CMA_VIDEO_CONTIGUOUS, 4);
    assert_int_equal(bench->camera.live_npages, 0);
    assert_null(cma_video_vaddr(&bench->buffers[0], 0));
    assert_int_equal(cma_video_map(&bench->queue, 0, 0, 0, 4096, &paddr, &attr, NULL), 0);
    assert_int_equal(bench->camera.live_npages, 6);
    assert_int_equal(cma_video_unmap(&bench->queue, 0, 0), 0);
    assert_int_equal(bench->camera.live_npages, 0);
    assert_int_equal(cma_video_map(&bench->queue, 0, 0, 0, 7 * 4096, &paddr, &attr, NULL),
                     CMA_ERANGE);
    assert_int_equal(bench->camera.live_npages, 0);
    assert_int_equal(cma_video_export(&bench->queue, 1, 1, &shared), 0);
    assert_int_equal(bench->camera.live_npages, 1);
    assert_int_equal(cma_video_map(&bench->queue, 0, 0, 0, 4096, &paddr, &attr, NULL), 0);
    assert_int_equal(put(&bench->queue, 0), 0);
    assert_int_equal(bench->camera.live_npages, 8);
    assert_int_equal(cma_video_unmap(&bench->queue, 0, 0), 0);
    assert_int_equal(bench->camera.live_npages, 8); /* it is queued */
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    driver_done(&bench->driver, 0, CMA_VIDEO_DONE);
    assert_int_equal(cma_video_dequeue(&bench->queue, false, &info), 0);
    assert_int_equal(bench->camera.live_npages, 8); /* the picture is in it */
    assert_int_equal(cma_video_stream_off(&bench->queue), 0);
    assert_int_equal(bench->camera.live_npages, 1);
    /* The export goes while the buffer is queued: the queue has its own hold on it. */
    assert_int_equal(put(&bench->queue, 1), 0);
    assert_int_equal(bench->camera.live_npages, 7);
    assert_int_equal(cma_shared_put(shared), 0);
    assert_int_equal(bench->camera.live_npages, 7);
    assert_int_equal(cma_video_stream_off(&bench->queue), 0);
    assert_int_equal(bench->camera.live_npages, 0);
    /* Where the second plane finds no memory, the first goes back. */
    bench->camera.config.flags = CMA_DEVICE_AREA_ONLY;
    bench->camera.config.quota_npages = 6;
    assert_int_equal(put(&bench->queue, 0), CMA_ENOMEM);
    assert_int_equal(bench->camera.live_npages, 0);
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

/* --- guarantees -------------------------------------------------------------------------- */

static void test_promised_buffers_are_there(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench), other = bench_config(bench);
    struct cma_admission why = {0};
    struct cma_coherent rest[AREA_NPAGES];
    struct cma_coherent_request request = {.nbytes = 4096, .flags = CMA_COHERENT_UNPROMISED};
    uint32_t nrest = 0, n;

    config.promise = (struct cma_promise_request){.nbytes = NBYTES, .count = 4, .max_moves = 8};
    bench_queue(bench, &config);
    /* Everything else that the device can have is taken. */
    bench->camera.config.flags = CMA_DEVICE_AREA_ONLY;
    while (nrest < AREA_NPAGES &&
           cma_dma_alloc_coherent(&bench->camera, &request, &rest[nrest], NULL) == 0)
        nrest++;
    assert_true(nrest > 100 && nrest < AREA_NPAGES);
    for (uint32_t memory = CMA_VIDEO_COHERENT; memory <= CMA_VIDEO_CONTIGUOUS; memory++) {
        bench_buffers(bench, (enum cma_video_memory)memory, 4);
        for (uint32_t i = 0; i < 4; i++)
            assert_int_equal(bench->buffers[i].plane[0].memory.buffer.source, CMA_SOURCE_GUARANTEE);
        n = 0;
        assert_int_equal(cma_video_request(&bench->queue, CMA_VIDEO_COHERENT, &n, NULL), 0);
    }
    /* Another queue of the device has no part in it, unless it says so. */
    other.ctx = &bench->other_driver;
    n = 1;
    assert_int_equal(cma_video_init(&bench->other, &other, NULL, bench->other_buffers, ROOM, NULL),
                     0);
    assert_int_not_equal(cma_video_request(&bench->other, CMA_VIDEO_COHERENT, &n, NULL), 0);
    assert_int_equal(cma_video_release(&bench->other), 0);
    other.flags = CMA_VIDEO_DEVICE_PROMISES;
    assert_int_equal(cma_video_init(&bench->other, &other, NULL, bench->other_buffers, ROOM, NULL),
                     0);
    assert_int_equal(cma_video_request(&bench->other, CMA_VIDEO_COHERENT, &n, NULL), 0);
    assert_int_equal(cma_video_release(&bench->other), 0);
    bench_buffers(bench, CMA_VIDEO_COHERENT, 4);
    assert_int_equal(cma_video_release(&bench->queue), 0);
    assert_null(bench->camera.promises);
    while (nrest-- > 0)
        assert_int_equal(cma_dma_free_coherent(&bench->camera, &rest[nrest]), 0);
    /* Too much is refused when it is asked for, with what would do. */
    config.promise.nbytes = 1 << 20;
    assert_int_not_equal(cma_video_init(&bench->queue, &config, &bench->system.guarantees,
                                        bench->buffers, ROOM, &why),
                         0);
    assert_int_not_equal(why.refusal.code, 0);
    assert_true(why.possible_npages != 0 && why.possible_npages < 256);
}

/* A decoder has two queues, each with its promise. The first wants more than it was promised. */
static void test_no_queue_takes_the_promise_of_another(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench), other = bench_config(bench);
    uint32_t n = ROOM;

    config.promise = (struct cma_promise_request){.nbytes = NBYTES, .count = 2, .max_moves = 8};
    other.promise = config.promise;
    other.ctx = &bench->other_driver;
    bench_queue(bench, &config);
    assert_int_equal(cma_video_init(&bench->other, &other, &bench->system.guarantees,
                                    bench->other_buffers, ROOM, NULL),
                     0);
    bench->camera.config.flags = CMA_DEVICE_AREA_ONLY;
    bench->camera.config.quota_npages = 6; /* beside its promises: one buffer */
    assert_int_equal(cma_video_request(&bench->other, CMA_VIDEO_COHERENT, &n, NULL), 0);
    assert_int_equal(n, 3);
    bench_buffers(bench, CMA_VIDEO_CONTIGUOUS, 2);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(bench->buffers[i].plane[0].memory.buffer.source, CMA_SOURCE_GUARANTEE);
    assert_int_equal(cma_video_release(&bench->other), 0);
    assert_int_equal(cma_video_release(&bench->queue), 0);
    other.flags = CMA_VIDEO_DEVICE_PROMISES; /* unless it says so */
    n = ROOM;
    bench_queue(bench, &config);
    assert_int_equal(cma_video_init(&bench->other, &other, &bench->system.guarantees,
                                    bench->other_buffers, ROOM, NULL),
                     0);
    assert_int_equal(cma_video_request(&bench->other, CMA_VIDEO_COHERENT, &n, NULL), 0);
    assert_int_equal(n, 5);
    assert_int_equal(cma_video_release(&bench->other), 0);
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

static void test_promise_ends_with_the_last_holder(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench);
    struct cma_shared *shared;

    config.promise = (struct cma_promise_request){.nbytes = NBYTES, .count = 2, .max_moves = 8};
    bench_queue(bench, &config);
    bench_buffers(bench, CMA_VIDEO_COHERENT, 2);
    assert_int_equal(cma_video_export(&bench->queue, 1, 0, &shared), 0);
    assert_int_equal(cma_video_release(&bench->queue), CMA_EBUSY);
    assert_non_null(bench->camera.promises);
    assert_int_equal(cma_shared_put(shared), 0);
    assert_int_equal(cma_video_release(&bench->queue), 0);
    assert_null(bench->camera.promises);
    assert_int_equal(cma_video_release(&bench->queue), 0); /* once more does no harm */
}

/* --- buffers of others ------------------------------------------------------------------- */

static void open_scaler(struct bench *bench, struct cma_device *device)
{
    struct cma_video_config config = bench_config(bench);
    uint32_t n = 2;

    config.device = device;
    config.direction = CMA_TO_DEVICE;
    config.ctx = &bench->other_driver;
    assert_int_equal(cma_video_init(&bench->other, &config, NULL, bench->other_buffers, ROOM, NULL),
                     0);
    assert_int_equal(cma_video_request(&bench->other, CMA_VIDEO_SHARED, &n, NULL), 0);
    assert_int_equal(cma_video_stream_on(&bench->other), 0);
}

static int put_shared(struct bench *bench, struct cma_shared *shared, uint64_t nbytes)
{
    struct cma_video_put what = {.nplanes = 1};

    what.plane[0].shared = shared;
    what.plane[0].nbytes = nbytes;
    return cma_video_queue_buffer(&bench->other, &what, NULL);
}

/* A camera's pictures, read by another device: with and without snooping on both sides. */
static void pass_on(struct bench *bench, struct cma_device *from, struct simdev *from_bus,
                    struct cma_device *to, struct simdev *to_bus, enum cma_video_memory memory)
{
    struct cma_video_config config = bench_config(bench);
    struct cma_shared *shared[2];
    struct cma_video_info info;

    driver_init(&bench->driver, &bench->queue);
    driver_init(&bench->other_driver, &bench->other);
    config.device = from;
    bench_queue(bench, &config);
    bench_buffers(bench, memory, 2);
    open_scaler(bench, to);
    assert_int_equal(cma_video_export(&bench->queue, 0, 0, &shared[0]), 0);
    assert_int_equal(cma_video_export(&bench->queue, 1, 0, &shared[1]), 0);
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    for (uint32_t i = 0; i < 40; i++) {
        assert_int_equal(put(&bench->queue, i & 1), 0);
        device_writes(from_bus, bench->buffers[i & 1].plane[0].daddr, i);
        driver_done(&bench->driver, 0, CMA_VIDEO_DONE);
        assert_int_equal(cma_video_dequeue(&bench->queue, false, &info), 0);
        assert_true(cpu_sees(bench, i & 1, i));
        if (i % 3 == 0)
            cpu_writes(bench, i & 1, i + 1); /* the program draws into it */
        assert_int_equal(put_shared(bench, shared[i & 1], 0), 0);
        assert_true(device_sees(to_bus, bench->other_buffers[0].plane[0].daddr, i + (i % 3 == 0)));
        driver_done(&bench->other_driver, 0, CMA_VIDEO_DONE);
        assert_int_equal(cma_video_dequeue(&bench->other, false, &info), 0);
        assert_true(cpu_sees(bench, i & 1, i + (i % 3 == 0)));
    }
    assert_int_equal(cma_shared_put(shared[0]), 0);
    assert_int_equal(cma_shared_put(shared[1]), 0);
    /* The scaler is attached to the last one: the camera's queue waits for it. */
    assert_int_equal(cma_video_release(&bench->queue), CMA_EBUSY);
    assert_int_equal(cma_video_release(&bench->other), 0);
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

static void test_pictures_are_passed_on(void **state)
{
    struct bench *bench = *state;

    for (uint32_t memory = CMA_VIDEO_COHERENT; memory <= CMA_VIDEO_CONTIGUOUS; memory++) {
        enum cma_video_memory kind = (enum cma_video_memory)memory;

        pass_on(bench, &bench->camera, &bench->camera_bus, &bench->scaler, &bench->scaler_bus,
                kind);
        pass_on(bench, &bench->camera, &bench->camera_bus, &bench->display, &bench->display_bus,
                kind);
        /* Its coherent memory is cached memory, and the scaler does not look into the cache. */
        pass_on(bench, &bench->display, &bench->display_bus, &bench->scaler, &bench->scaler_bus,
                kind);
    }
}

static void test_shared_memory_is_judged(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench);
    struct cma_shared *shared[2];
    struct cma_video_put what = {.nplanes = 1};
    struct cma_refusal refusal = {0};

    bench_queue(bench, &config);
    bench_buffers(bench, CMA_VIDEO_CONTIGUOUS, 2);
    open_scaler(bench, &bench->scaler);
    assert_int_equal(cma_video_export(&bench->queue, 0, 0, &shared[0]), 0);
    assert_int_equal(cma_video_export(&bench->queue, 1, 0, &shared[1]), 0);
    assert_int_equal(put_shared(bench, NULL, 0), CMA_EINVAL);
    assert_int_equal(put_shared(bench, shared[0], NBYTES + 1), CMA_EINVAL);
    assert_int_equal(put_shared(bench, shared[0], NBYTES - 1), CMA_EINVAL);
    bench->other_buffers[0].plane[0].nbytes = NBYTES + 1; /* as if larger pictures were wanted */
    assert_int_equal(put_shared(bench, shared[0], 0), CMA_EINVAL);
    bench->other_buffers[0].plane[0].nbytes = NBYTES;
    bench->scaler.config.mask = 0xffff;
    what.plane[0].shared = shared[0];
    assert_int_equal(cma_video_queue_buffer(&bench->other, &what, &refusal), CMA_ERANGE);
    assert_int_equal(refusal.reason, CMA_REASON_UNREACHABLE);
    bench->scaler.config.mask = UINT64_MAX;
    /* Prepared with one and queued with another: no. */
    assert_int_equal(cma_video_prepare(&bench->other, &what, NULL), 0);
    assert_int_equal(put_shared(bench, shared[1], 0), CMA_EBADF);
    assert_int_equal(put_shared(bench, shared[0], NBYTES - 1), CMA_EBADF);
    assert_int_equal(put_shared(bench, shared[0], NBYTES), 0);
    assert_int_equal(cma_video_stream_off(&bench->other), 0);
    /* Another one takes its place, and the first is let go. */
    assert_int_equal(put_shared(bench, shared[1], 0), 0);
    assert_int_equal(cma_shared_put(shared[0]), 0);
    assert_int_equal(cma_video_remove(&bench->queue, 0, 1), 0);
    assert_int_equal(cma_shared_put(shared[1]), 0);
    assert_int_equal(cma_video_remove(&bench->queue, 1, 1), CMA_EBUSY);
    assert_int_equal(cma_video_export(&bench->other, 0, 0, shared), CMA_EINVAL);
    assert_int_equal(cma_video_release(&bench->other), 0);
    assert_int_equal(cma_video_remove(&bench->queue, 1, 1), 0);
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

static void others_turn(void *arg)
{
    struct cma_shared *shared = arg;

    shared->turn = 1;
}

/* Where the port can't wait, and somebody is in a call of the shared buffer: nothing is let go
 * half, so nothing stays with the other queue for ever. */
static void test_shared_memory_in_use(void **state)
{
    struct bench *bench = *state;
    struct cma_video_config config = bench_config(bench);
    struct cma_shared *shared[2];
    struct cma_video_info info;
    uint32_t n = 2;

    bench_queue(bench, &config);
    bench_buffers(bench, CMA_VIDEO_CONTIGUOUS, 2);
    open_scaler(bench, &bench->scaler);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(cma_video_export(&bench->queue, i, 0, &shared[i]), 0);
    bench->port.wait = NULL;
    assert_int_equal(put_shared(bench, shared[0], 0), 0);
    driver_done(&bench->other_driver, 0, CMA_VIDEO_DONE);
    shared[0]->turn = 1;
    assert_int_equal(cma_video_dequeue(&bench->other, false, &info), CMA_EAGAIN);
    assert_int_equal(state_of(&bench->other, 0), CMA_VIDEO_DONE);
    assert_true(cma_video_check(&bench->other));
    assert_int_equal(cma_video_stream_off(&bench->other), CMA_EAGAIN);
    assert_int_equal(state_of(&bench->other, 0), CMA_VIDEO_DEQUEUED);
    assert_int_equal(cma_video_request(&bench->other, CMA_VIDEO_SHARED, &n, NULL), CMA_EAGAIN);
    assert_int_equal(cma_video_release(&bench->other), CMA_EAGAIN);
    assert_int_equal(cma_video_remove(&bench->other, 0, 1), CMA_EBUSY); /* prepared */
    shared[0]->turn = 0;
    assert_int_equal(cma_video_stream_off(&bench->other), 0);
    shared[0]->turn = 1;
    assert_int_equal(put_shared(bench, shared[1], 0), CMA_EAGAIN);
    assert_int_equal(cma_video_remove(&bench->other, 0, 1), CMA_EAGAIN);
    shared[0]->turn = 0;
    /* A prepare that failed, and could not let go either. */
    bench->other_driver.prepare_error = CMA_ENOMEM;
    bench->other_driver.meanwhile = others_turn;
    bench->other_driver.meanwhile_arg = shared[1];
    assert_int_equal(put_shared(bench, shared[1], 0), CMA_ENOMEM);
    bench->other_driver.prepare_error = 0;
    bench->other_driver.meanwhile = NULL;
    shared[1]->turn = 0;
    assert_int_equal(put_shared(bench, shared[1], 0), 0);
    for (uint32_t i = 0; i < 2; i++)
        assert_int_equal(cma_shared_put(shared[i]), 0);
    assert_int_equal(cma_video_release(&bench->other), 0);
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_each_side_sees_right_bytes),
        TEST(test_hints_leave_syncs_out),
        TEST(test_failed_prepare_loses_nothing),
        TEST(test_each_allocation_fails_once),
        TEST(test_setup_decides_whether_fewer_do),
        TEST(test_setup_is_judged),
        TEST(test_create_while_streaming),
        TEST(test_edges_of_requests),
        TEST(test_put_without_planes),
        TEST(test_alignment_is_of_the_device),
        TEST(test_last_of_four_frees),
        TEST(test_nothing_is_freed_under_a_client),
        TEST(test_late_allocation),
        TEST(test_promised_buffers_are_there),
        TEST(test_no_queue_takes_the_promise_of_another),
        TEST(test_promise_ends_with_the_last_holder),
        TEST(test_pictures_are_passed_on),
        TEST(test_shared_memory_is_judged),
        TEST(test_shared_memory_in_use),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
