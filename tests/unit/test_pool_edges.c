/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_pool_edges.c - pools at the top of the device's addresses, items that end on a boundary,
 * pools that were never made, and an interruption in the middle of the one step that hands an item
 * out (case 43, and more)
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "../support/pool_board.h"

#define PAGE POOL_BOARD_PAGE

static struct pool_board board;
static struct cma_dma_pool pool;
static struct cma_dma_item items[POOL_BOARD_NPAGES];

/* Case 43: chunks up to the last byte of the device's addresses, where base + length is 0. Each of
 * their bytes is found, and nothing else is. */
static void test_top(void **state)
{
    static const struct cma_dma_pool_config config = {
        .item_nbytes = PAGE / 2, .chunk_nbytes = 4 * PAGE, .nitems_max = 2 * POOL_BOARD_NPAGES};
    uint64_t nbytes = (uint64_t)POOL_BOARD_NPAGES * PAGE, size;
    struct cma_bus_window window = {
        .daddr = 0 - nbytes, .paddr = POOL_BOARD_BASE, .nbytes = nbytes};
    struct cma_device_config config_device = {.name = "top",
                                              .owner = 9,
                                              .mask = UINT64_MAX,
                                              .coherent_mask = UINT64_MAX,
                                              .windows = &window,
                                              .nwindows = 1};
    struct cma_device device;
    struct cma_dma_item item, found;
    void *storage;
    uint32_t n = 0;
    bool last = false;

    (void)state;
    pool_board_make(&board);
    assert_int_equal(cma_device_init(&device, &board.system.dma, &config_device), 0);
    size = cma_dma_pool_size(&device, &config);
    storage = malloc(size);
    assert_int_equal(cma_dma_pool_init(&pool, &device, &config, storage, size), 0);
    while (cma_dma_pool_alloc(&pool, CMA_DMA_POOL_GROW, &item, NULL) == 0) {
        last = last || item.daddr + PAGE / 2 == 0;
        assert_int_equal(cma_dma_pool_find(&pool, item.daddr, &found), 0);
        assert_memory_equal(&found, &item, sizeof(item));
        assert_int_equal(cma_dma_pool_find(&pool, item.daddr + PAGE / 2 - 1, &found), 0);
        assert_memory_equal(&found, &item, sizeof(item));
        n++;
    }
    assert_true(last);
    assert_int_equal(n, 2 * POOL_BOARD_NPAGES);
    assert_int_equal(cma_dma_pool_find(&pool, 0, &found), CMA_ENOENT);
    assert_int_equal(cma_dma_pool_find(&pool, 1, &found), CMA_ENOENT);
    assert_int_equal(cma_dma_pool_find(&pool, 0 - nbytes - 1, &found), CMA_ENOENT);
    for (uint32_t number = 0; cma_dma_pool_next(&pool, &number, &item) == 0;) {
        found = item;
        found.daddr -= nbytes; /* below the window: not above it either */
        assert_int_equal(cma_dma_pool_free(&pool, &found), CMA_ENOENT);
        assert_int_equal(cma_dma_pool_free(&pool, &item), 0);
    }
    assert_int_equal(cma_dma_pool_destroy(&pool), 0);
    free(storage);
    pool_board_end(&board);
}

/* Case 43: an item may end on the boundary, so that none is lost to it, and none crosses it. */
static void test_boundary(void **state)
{
    static const struct {
        uint64_t item, boundary;
        uint32_t nitems; /* of a chunk of two pages */
    } shapes[] = {{4096, 4096, 2}, {2048, 4096, 4}, {1024, 2048, 8}, {1365, 4096, 6},
                  {1366, 4096, 4}, {24, 32, 256},   {32, 32, 256},   {4096, 8192, 2}};

    (void)state;
    for (uint32_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        struct cma_dma_pool_config config = {.item_nbytes = shapes[i].item,
                                             .boundary_nbytes = shapes[i].boundary,
                                             .chunk_nbytes = 2 * PAGE,
                                             .nitems_max = 1};
        struct cma_dma_item item;
        bool ends_on_it = false;
        void *storage;
        uint32_t n = 0;

        pool_board_make(&board);
        storage = pool_board_pool(&board, &pool, &config, 0);
        assert_int_equal(cma_dma_pool_grow(&pool, 1, NULL), 0);
        while (cma_dma_pool_alloc(&pool, 0, &item, NULL) == 0) {
            uint64_t to = item.daddr + shapes[i].item;

            assert_true(item.daddr / shapes[i].boundary == (to - 1) / shapes[i].boundary);
            ends_on_it = ends_on_it || to % shapes[i].boundary == 0;
            n++;
        }
        assert_int_equal(n, shapes[i].nitems);
        assert_true(ends_on_it == (shapes[i].boundary % shapes[i].item == 0));
        for (uint32_t number = 0; cma_dma_pool_next(&pool, &number, &item) == 0;) {
            assert_int_equal(cma_dma_pool_free(&pool, &item), 0);
        }
        assert_int_equal(cma_dma_pool_destroy(&pool), 0);
        free(storage);
        pool_board_end(&board);
    }
}

/* Case 43: nothing to destroy. */
static void test_destroy_nothing(void **state)
{
    static struct cma_dma_pool never;

    (void)state;
    assert_int_equal(cma_dma_pool_destroy(NULL), 0);
    assert_int_equal(cma_dma_pool_destroy(&never), 0);
}

/* Items of a power of two need no rows, if their chunk begins at a multiple of it: also where the
 * next free page does not. */
static void test_boundary_of_large(void **state)
{
    static const struct cma_dma_pool_config page = {.item_nbytes = PAGE, .nitems_max = 1};
    static const struct cma_dma_pool_config large = {.item_nbytes = 2 * PAGE,
                                                     .boundary_nbytes = 2 * PAGE,
                                                     .chunk_nbytes = 4 * PAGE,
                                                     .nitems_max = 8};
    struct cma_dma_pool first;
    struct cma_dma_item item;
    void *one, *other;

    (void)state;
    pool_board_make(&board);
    one = pool_board_pool(&board, &first, &page, 0);
    assert_int_equal(cma_dma_pool_grow(&first, 1, NULL), 0);
    other = pool_board_pool(&board, &pool, &large, 0);
    assert_int_equal(cma_dma_pool_grow(&pool, 8, NULL), 0);
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(cma_dma_pool_alloc(&pool, 0, &item, NULL), 0);
        assert_int_equal(item.daddr % (2 * PAGE), 0);
    }
    for (uint32_t number = 0; cma_dma_pool_next(&pool, &number, &item) == 0;) {
        assert_int_equal(cma_dma_pool_free(&pool, &item), 0);
    }
    assert_int_equal(cma_dma_pool_destroy(&pool), 0);
    assert_int_equal(cma_dma_pool_destroy(&first), 0);
    free(one);
    free(other);
    pool_board_end(&board);
}

/* --- in the middle of a step ----------------------------------------------------------- */

static void *storage;
static size_t storage_nbytes;
static uint32_t interrupted, ntaken;

/* The pool's words were just read, and are about to be written: an interrupt handler takes
 * everything there is, that item too. */
static void on_write(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    if (signal_number != SIGSEGV || (uint8_t *)info->si_addr < (uint8_t *)storage ||
        (uint8_t *)info->si_addr >= (uint8_t *)storage + storage_nbytes || interrupted != 0) {
        abort();
    }
    interrupted = 1;
    if (mprotect(storage, storage_nbytes, PROT_READ | PROT_WRITE) != 0) {
        abort();
    }
    (void)cma_dma_pool_drain(&pool);
    while (cma_dma_pool_alloc(&pool, 0, &items[ntaken], NULL) == 0) {
        ntaken++;
    }
}

/* An item that was taken between the look at its word and the swap of it is not handed out again:
 * the storage can only be read then, so that the swap is where the interrupt comes. */
static void test_taken_at_once(void **state)
{
    static const struct cma_dma_pool_config config = {.item_nbytes = 64, .nitems_max = 64};
    static struct cma_dma_pool_cache caches[1];
    struct sigaction action = {.sa_sigaction = on_write, .sa_flags = SA_SIGINFO}, old;
    struct cma_dma_item item;
    int error;

    (void)state;
    pool_board_cpu = 0;
    pool_board_make(&board);
    storage_nbytes = (cma_dma_pool_size(&board.device, &config) + PAGE - 1) / PAGE * PAGE;
    storage =
        mmap(NULL, storage_nbytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(storage != MAP_FAILED);
    assert_int_equal(cma_dma_pool_init(&pool, &board.device, &config, storage, storage_nbytes), 0);
    assert_int_equal(cma_dma_pool_add_caches(&pool, caches, 1), 0);
    assert_int_equal(cma_dma_pool_grow(&pool, 64, NULL), 0);
    assert_int_equal(cma_dma_pool_alloc(&pool, 0, &item, NULL), 0); /* fills the cache */
    assert_int_equal(cma_dma_pool_free(&pool, &item), 0);

    assert_int_equal(sigaction(SIGSEGV, &action, &old), 0);
    assert_int_equal(mprotect(storage, storage_nbytes, PROT_READ), 0);
    error = cma_dma_pool_alloc(&pool, 0, &item, NULL);
    assert_int_equal(sigaction(SIGSEGV, &old, NULL), 0);

    assert_int_equal(interrupted, 1);
    assert_int_equal(ntaken, 64);
    for (uint32_t i = 0; i < ntaken; i++) {
        for (uint32_t k = 0; k < i; k++) {
            assert_int_not_equal(items[i].number, items[k].number);
        }
        assert_true(error != 0 || items[i].number != item.number);
        assert_int_equal(cma_dma_pool_free(&pool, &items[i]), 0);
    }
    assert_int_equal(error, CMA_ENOMEM);
    assert_int_equal(cma_dma_pool_destroy(&pool), 0);
    munmap(storage, storage_nbytes);
    pool_board_end(&board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_top),
        cmocka_unit_test(test_boundary),
        cmocka_unit_test(test_boundary_of_large),
        cmocka_unit_test(test_destroy_nothing),
        cmocka_unit_test(test_taken_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
