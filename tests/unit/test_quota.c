/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_quota.c - a device has no more of the areas than its quota, to the page, on threads too
 */
#include "area_board.h"

static const struct board_config config = {.npages = 1024,
                                           .area_first = 256,
                                           .area_npages = 256,
                                           .area2_first = 640,
                                           .area2_npages = 256,
                                           .block_order = 5,
                                           .index = true,
                                           .nslots = 4};

static void make_device(struct board *board, struct cma_device *device, uint32_t quota_npages,
                        uint32_t flags)
{
    struct cma_device_config made = {.name = "dev",
                                     .owner = 3,
                                     .mask = UINT64_MAX,
                                     .coherent_mask = UINT64_MAX,
                                     .area = &board->system.areas[1],
                                     .flags = flags,
                                     .quota_npages = quota_npages};

    assert_int_equal(cma_device_init(device, &board->system.dma, &made), 0);
}

static int get(struct cma_device *device, uint64_t npages, struct cma_coherent *buffer,
               struct cma_refusal *refusal)
{
    struct cma_coherent_request request = {.nbytes = npages * BOARD_PAGE};

    return cma_dma_alloc_coherent(device, &request, buffer, refusal);
}

/* Own and default area together; to the page; and what comes back can be had again. */
static void test_to_the_page(void **state)
{
    struct board *board = board_create(&config);
    struct cma_coherent buffers[3], other;
    struct cma_refusal refusal;
    struct cma_device device;

    (void)state;
    make_device(board, &device, 300, CMA_DEVICE_AREA_ONLY | CMA_DEVICE_TRY_DEFAULT);
    assert_int_equal(get(&device, 200, &buffers[0], &refusal), 0);
    assert_int_equal(get(&device, 101, &other, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.code, CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_QUOTA);
    assert_int_equal(device.area_npages, 200);
    assert_int_equal(get(&device, UINT64_C(1) << 32, &other, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_QUOTA);
    assert_int_equal(get(&device, (UINT64_C(1) << 32) + 1, &other, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_QUOTA);
    assert_int_equal(get(&device, 100, &buffers[1], &refusal), 0);
    assert_int_equal(buffers[1].source, CMA_SOURCE_DEFAULT_AREA);
    assert_int_equal(device.area_npages, 300);
    assert_int_equal(get(&device, 1, &other, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_QUOTA);
    /* Without anybody to read why. */
    assert_int_equal(get(&device, 1, &other, NULL), CMA_ENOMEM);
    assert_int_equal(cma_dma_free_coherent(&device, &buffers[0]), 0);
    assert_int_equal(device.area_npages, 100);
    assert_int_equal(get(&device, 200, &buffers[0], &refusal), 0);
    assert_int_equal(cma_dma_free_coherent(&device, &buffers[0]), 0);
    assert_int_equal(cma_dma_free_coherent(&device, &buffers[1]), 0);
    assert_int_equal(device.area_npages, 0);
    /* Refused by the area itself: nothing stays counted. */
    assert_int_equal(get(&device, 257, &other, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_TOO_LARGE);
    assert_int_equal(device.area_npages, 0);
    board_destroy(board);
}

/* Other memory, and what was promised, is not counted. */
static void test_other_sources(void **state)
{
    struct board *board = board_create(&config);
    struct cma_promise_request request = {.nbytes = 20 * BOARD_PAGE, .count = 1};
    struct cma_coherent buffers[3];
    struct cma_device_promise promise;
    struct cma_device device;

    (void)state;
    make_device(board, &device, 10, 0);
    assert_int_equal(cma_device_admit(&device, &board->system.guarantees, &promise, &request, NULL),
                     0);
    assert_int_equal(get(&device, 20, &buffers[0], NULL), 0);
    assert_int_equal(buffers[0].source, CMA_SOURCE_GUARANTEE);
    assert_int_equal(get(&device, 11, &buffers[1], NULL), 0);
    assert_int_equal(buffers[1].source, CMA_SOURCE_PAGES);
    assert_int_equal(device.area_npages, 0);
    assert_int_equal(get(&device, 10, &buffers[2], NULL), 0);
    assert_int_equal(buffers[2].source, CMA_SOURCE_AREA);
    assert_int_equal(device.area_npages, 10);
    assert_int_equal(device.live_npages, 41);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(cma_dma_free_coherent(&device, &buffers[i]), 0);
    }
    assert_int_equal(device.area_npages, 0);
    assert_int_equal(cma_device_revoke(&device, &promise), 0);
    /* No quota: all there is. */
    make_device(board, &device, 0, CMA_DEVICE_AREA_ONLY);
    assert_int_equal(get(&device, 256, &buffers[0], NULL), 0);
    assert_int_equal(cma_dma_free_coherent(&device, &buffers[0]), 0);
    /* Out of reach is out of reach, whatever the quota. */
    make_device(board, &device, 1, CMA_DEVICE_AREA_ONLY);
    device.config.coherent_mask = (cma_daddr_t)BOARD_BASE_PFN * BOARD_PAGE;
    assert_int_equal(get(&device, 2, &buffers[0], NULL), CMA_ERANGE);
    board_destroy(board);
}

/* --- threads --------------------------------------------------------------------------- */

#define THREADS 4
#define QUOTA 100u

struct shared {
    struct board *board;
    struct cma_device device;
    pthread_barrier_t begin;
    atomic_uint had, served, refused, wrong;
};

struct worker {
    struct shared *shared;
    uint32_t seed;
};

/* Each thread has at most one buffer, of 10 to 40 pages; a huge one is asked for in between, which
 * must not make a small one be refused. */
static void *work(void *arg)
{
    struct worker *worker = arg;
    struct shared *shared = worker->shared;
    uint32_t random = worker->seed;

    pthread_barrier_wait(&shared->begin);
    for (uint32_t i = 0; i < 4000; i++) {
        struct cma_coherent buffer, huge;
        struct cma_refusal refusal;
        uint32_t npages;

        random = random * 1664525 + 1013904223;
        npages = 10 + (random >> 16) % 31;
        if (get(&shared->device, 5000, &huge, NULL) != CMA_ENOMEM) {
            atomic_fetch_add(&shared->wrong, 1);
        }
        if (get(&shared->device, npages, &buffer, &refusal) == 0) {
            /* Less may be noted than is had, never more. */
            if (atomic_fetch_add(&shared->had, npages) + npages > QUOTA) {
                atomic_fetch_add(&shared->wrong, 1);
            }
            atomic_fetch_add(&shared->served, 1);
            sched_yield();
            atomic_fetch_sub(&shared->had, npages);
            if (cma_dma_free_coherent(&shared->device, &buffer) != 0) {
                atomic_fetch_add(&shared->wrong, 1);
            }
        } else {
            atomic_fetch_add(&shared->refused, refusal.reason == CMA_REASON_QUOTA);
            atomic_fetch_add(&shared->wrong, refusal.reason != CMA_REASON_QUOTA);
        }
    }
    return NULL;
}

static void run(uint32_t quota, void *(*body)(void *), struct shared *shared)
{
    struct worker workers[THREADS];
    pthread_t threads[THREADS];

    *shared = (struct shared){.board = board_create(&config)};
    make_device(shared->board, &shared->device, quota, CMA_DEVICE_AREA_ONLY);
    pthread_barrier_init(&shared->begin, NULL, THREADS);
    for (uint32_t i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){shared, i + 1};
        assert_int_equal(pthread_create(&threads[i], NULL, body, &workers[i]), 0);
    }
    for (uint32_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&shared->begin);
    assert_int_equal(shared->device.area_npages, 0);
    assert_int_equal(shared->device.live_npages, 0);
    board_destroy(shared->board);
}

static void test_threads(void **state)
{
    struct shared shared;

    (void)state;
    run(QUOTA, work, &shared);
    assert_int_equal(shared.wrong, 0);
    assert_true(shared.served > 0);
    print_message("%u served, %u refused for the quota\n", shared.served, shared.refused);
    /* Four buffers of at most 40 pages: with this quota nobody is ever refused, and only what is
     * larger than the quota itself would be counted wrongly. */
    run(THREADS * 40, work, &shared);
    assert_int_equal(shared.refused, 0);
    assert_int_equal(shared.served, THREADS * 4000);
}

/* One page for whoever comes first: two that count at the same time would both have it. */
static void *grab(void *arg)
{
    struct worker *worker = arg;
    struct shared *shared = worker->shared;

    pthread_barrier_wait(&shared->begin);
    for (uint32_t i = 0; i < 100000; i++) {
        struct cma_coherent buffer;

        if (get(&shared->device, 1, &buffer, NULL) == 0) {
            atomic_fetch_add(&shared->wrong, atomic_fetch_add(&shared->had, 1) != 0);
            atomic_fetch_add(&shared->served, 1);
            atomic_fetch_sub(&shared->had, 1);
            if (cma_dma_free_coherent(&shared->device, &buffer) != 0) {
                atomic_fetch_add(&shared->wrong, 1);
            }
        }
    }
    return NULL;
}

static void test_one_page(void **state)
{
    struct shared shared;

    (void)state;
    run(1, grab, &shared);
    assert_int_equal(shared.wrong, 0);
    assert_true(shared.served > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_to_the_page),
        cmocka_unit_test(test_other_sources),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_one_page),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
