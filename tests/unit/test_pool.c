/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_pool.c - DMA pools: where items lie, what is refused, growing, zeroing, poison, the list of
 * live items; on a board with real CPU addresses, and with promises on a simulated one
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "../support/pool_board.h"

#define PAGE POOL_BOARD_PAGE

static struct pool_board board;
static struct cma_dma_pool pool;
static void *storage;

static void make(const struct cma_dma_pool_config *config, uint32_t ncpus)
{
    pool_board_cpu = 0;
    pool_board_make(&board);
    storage = pool_board_pool(&board, &pool, config, ncpus);
}

static void end(void)
{
    assert_int_equal(cma_dma_pool_destroy(&pool), 0);
    free(storage);
    pool_board_end(&board);
}

static struct cma_dma_item get(void)
{
    struct cma_dma_item item = {0};

    assert_int_equal(cma_dma_pool_alloc(&pool, 0, &item, NULL), 0);
    return item;
}

static uint32_t live(void)
{
    struct cma_dma_pool_stats stats;

    cma_dma_pool_stats(&pool, &stats);
    return stats.live;
}

/* --- where items lie ------------------------------------------------------------------- */

struct shape {
    uint64_t item, align, boundary, chunk;
    uint32_t nitems; /* in a chunk */
};

/* Takes all of two chunks, and looks at each item's place. */
static void lie(const struct shape *shape)
{
    struct cma_dma_pool_config config = {.item_nbytes = shape->item,
                                         .align_nbytes = shape->align,
                                         .boundary_nbytes = shape->boundary,
                                         .chunk_nbytes = shape->chunk,
                                         .nitems_max = shape->nitems + 1};
    uint64_t align = shape->align != 0 ? shape->align : 1;
    uint32_t n = 2 * shape->nitems;
    struct cma_dma_item *items = calloc(n, sizeof(*items)), item;
    struct cma_refusal refusal = {0};

    make(&config, 0);
    assert_int_equal(cma_dma_pool_alloc(&pool, 0, &item, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_NO_MEMORY);
    assert_int_equal(cma_dma_pool_grow(&pool, n, &refusal), 0);
    assert_int_equal(cma_dma_pool_grow(&pool, n + 1, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_TOO_LARGE);
    for (uint32_t i = 0; i < n; i++) {
        items[i] = item = get();
        assert_true(item.daddr % align == 0);
        assert_true(shape->boundary == 0 || item.daddr / shape->boundary ==
                                                (item.daddr + shape->item - 1) / shape->boundary);
        assert_ptr_equal(item.vaddr,
                         board.bytes + (item.daddr + POOL_BOARD_OFFSET - POOL_BOARD_BASE));
        memset(item.vaddr, (int)(i % 251), shape->item);
    }
    assert_int_equal(cma_dma_pool_alloc(&pool, 0, &item, NULL), CMA_ENOMEM);
    for (uint32_t i = 0; i < n; i++) {
        const uint8_t *bytes = items[i].vaddr;

        for (uint64_t b = 0; b < shape->item; b++) {
            assert_int_equal(bytes[b], i % 251); /* nobody else's */
        }
        assert_int_equal(cma_dma_pool_find(&pool, items[i].daddr + shape->item - 1, &item), 0);
        assert_memory_equal(&item, &items[i], sizeof(item));
    }
    assert_int_equal(live(), n);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(cma_dma_pool_free(&pool, &items[i]), 0);
    }
    free(items);
    end();
}

static void test_places(void **state)
{
    static const struct shape shapes[] = {
        {64, 64, 0, 0, 64},
        {1, 0, 0, 0, 4096},
        {24, 8, 0, 0, 170},
        /* An item that ends just on a boundary is no waste. */
        {1024, 0, 4096, 8192, 8},
        {2048, 0, 2048, 8192, 4},
        {1000, 0, 4096, 8192, 8},
        {24, 8, 64, 4096, 128},
        {96, 32, 256, 4096, 32},
        {48, 16, 4096, 12288, 255},
        /* The end of the chunk holds one more item than steps. */
        {1360, 16, 0, 4096, 3},
        {1366, 32, 0, 4096, 2},
        {100, 256, 0, 4096, 16},
        {100, 256, 128, 4096, 16},
        /* Larger than a page. */
        {10000, 4096, 0, 0, 1},
        {10000, 4096, 65536, 65536, 5},
        {10000, 16, 16384, 65536, 4},
        {10000, 16, 16384, 77824, 5}, /* 12,288 bytes are left: one more */
        {65536, 65536, 65536, 131072, 2},
        {100000, 0, 131072, 262144, 2},
        {12000, 0, 1048576, 65536, 5},
    };

    (void)state;
    for (uint32_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        lie(&shapes[i]);
    }
}

static void test_malformed(void **state)
{
    static const struct cma_dma_pool_config good = {
        .item_nbytes = 64, .align_nbytes = 64, .boundary_nbytes = 4096, .nitems_max = 10};
    struct cma_dma_pool_config config = good;
    uint64_t nbytes, some[64];
    void *memory;

    (void)state;
    pool_board_make(&board);
    nbytes = cma_dma_pool_size(&board.device, &good);
    memory = aligned_alloc(64, (nbytes + 127) / 64 * 64);
#define REFUSED(field, value, code)                                                               \
    do {                                                                                          \
        config = good;                                                                            \
        config.field = (value);                                                                   \
        assert_int_equal(cma_dma_pool_init(&pool, &board.device, &config, memory, nbytes), code); \
        assert_int_equal(cma_dma_pool_size(&board.device, &config), 0);                           \
    } while (0)
    REFUSED(item_nbytes, 0, CMA_EINVAL);
    REFUSED(item_nbytes, 4097, CMA_EINVAL);
    REFUSED(align_nbytes, 48, CMA_EINVAL);
    REFUSED(boundary_nbytes, 96, CMA_EINVAL);
    REFUSED(boundary_nbytes, 32, CMA_EINVAL);
    REFUSED(chunk_nbytes, 63, CMA_EINVAL);
    REFUSED(nitems_max, 0, CMA_EINVAL);
    REFUSED(flags, 4, CMA_EINVAL);
    REFUSED(chunk_nbytes, UINT64_C(1) << 31, CMA_EOVERFLOW);
    REFUSED(chunk_nbytes, UINT64_MAX, CMA_EOVERFLOW);
    REFUSED(align_nbytes, UINT64_C(1) << 40, CMA_EOVERFLOW);
    REFUSED(nitems_max, UINT32_MAX, CMA_EOVERFLOW);
#undef REFUSED
    assert_int_equal(cma_dma_pool_init(&pool, &board.device, &good, memory, nbytes - 1),
                     CMA_ENOMEM);
    assert_int_equal(cma_dma_pool_init(&pool, &board.device, &good, (char *)memory + 4, nbytes),
                     CMA_EINVAL);
    assert_int_equal(cma_dma_pool_init(&pool, &board.device, &good, NULL, nbytes), CMA_EINVAL);
    assert_int_equal(cma_dma_pool_init(&pool, &board.device, &good, memory, nbytes), 0);
    assert_int_equal(cma_dma_pool_add_caches(&pool, NULL, 1), CMA_EINVAL);
    assert_int_equal(cma_dma_pool_add_caches(&pool, (void *)some, 0), CMA_EINVAL);
    assert_int_equal(cma_dma_pool_alloc(&pool, 4, &(struct cma_dma_item){0}, NULL), CMA_EINVAL);
    free(memory);
    pool_board_end(&board);
}

/* --- what is refused ------------------------------------------------------------------- */

static void refuse_frees(uint32_t ncpus, uint32_t flags)
{
    static const struct cma_dma_pool_config small = {.item_nbytes = 96, .nitems_max = 42};
    struct cma_dma_pool_config config = small;
    struct cma_dma_item item, wrong, old, foreign;
    struct cma_dma_pool other;
    void *more;

    config.flags = flags;
    make(&config, ncpus);
    more = pool_board_pool(&board, &other, &config, ncpus);
    assert_int_equal(cma_dma_pool_grow(&pool, 42, NULL), 0);
    assert_int_equal(cma_dma_pool_grow(&other, 42, NULL), 0);
    item = get();
    assert_int_equal(cma_dma_pool_alloc(&other, 0, &foreign, NULL), 0);

    wrong = item;
    wrong.daddr = 0;
    assert_int_equal(cma_dma_pool_free(&pool, &wrong), CMA_ENOENT);
    wrong.daddr = UINT64_MAX;
    assert_int_equal(cma_dma_pool_free(&pool, &wrong), CMA_ENOENT);
    /* Inside the item; in the gap behind the last one; another item's address. */
    wrong = item;
    wrong.daddr += 8;
    wrong.vaddr = (uint8_t *)wrong.vaddr + 8;
    assert_int_equal(cma_dma_pool_free(&pool, &wrong), CMA_EINVAL);
    wrong = item;
    wrong.daddr = item.daddr / PAGE * PAGE + 4095;
    assert_int_equal(cma_dma_pool_free(&pool, &wrong), CMA_EINVAL);
    wrong = item;
    wrong.vaddr = (uint8_t *)wrong.vaddr + 96;
    assert_int_equal(cma_dma_pool_free(&pool, &wrong), CMA_EINVAL);
    wrong = item;
    wrong.number++;
    assert_int_equal(cma_dma_pool_free(&pool, &wrong), CMA_EINVAL);
    wrong.number = UINT32_MAX;
    assert_int_equal(cma_dma_pool_free(&pool, &wrong), CMA_EINVAL);
    wrong = item;
    wrong.stamp++;
    assert_int_equal(cma_dma_pool_free(&pool, &wrong), CMA_EBADF);
    /* Another pool's. */
    assert_int_equal(cma_dma_pool_free(&pool, &foreign), CMA_ENOENT);
    assert_int_equal(cma_dma_pool_free(&other, &item), CMA_ENOENT);
    assert_int_equal(live(), 1);

    /* Twice, and when somebody else has it by now. */
    assert_int_equal(cma_dma_pool_free(&pool, &item), 0);
    assert_int_equal(cma_dma_pool_free(&pool, &item), CMA_EBADF);
    assert_int_equal(cma_dma_pool_find(&pool, item.daddr, &wrong), CMA_EBADF);
    old = item;
    item = get();
    assert_ptr_equal(item.vaddr, old.vaddr);
    assert_int_equal(cma_dma_pool_free(&pool, &old), CMA_EBADF);
    assert_int_equal(live(), 1);
    assert_int_equal(cma_dma_pool_free(&pool, &item), 0);
    assert_int_equal(cma_dma_pool_find(&pool, item.daddr / PAGE * PAGE + 4095, &wrong), CMA_ENOENT);

    assert_int_equal(cma_dma_pool_free(&other, &foreign), 0);
    assert_int_equal(cma_dma_pool_destroy(&other), 0);
    free(more);
    end();
}

static void test_wrong_frees(void **state)
{
    (void)state;
    refuse_frees(0, 0);
    refuse_frees(1, 0);
    refuse_frees(3, CMA_DMA_POOL_POISON);
}

static struct cma_dma_item twice;

static void free_meanwhile(void)
{
    board.on_cpu = NULL;
    assert_int_equal(cma_dma_pool_free(&pool, &twice), 0);
}

/* An interrupt frees the item after the call has looked at it: only one of the two may succeed. */
static void test_freed_at_once(void **state)
{
    static const struct cma_dma_pool_config config = {.item_nbytes = 64, .nitems_max = 64};
    struct cma_dma_pool_config poisoned = config;
    struct cma_dma_pool_stats stats;

    (void)state;
    poisoned.flags = CMA_DMA_POOL_POISON;
    for (uint32_t round = 0; round < 2; round++) {
        make(round == 0 ? &config : &poisoned, 1);
        assert_int_equal(cma_dma_pool_grow(&pool, 64, NULL), 0);
        twice = get();
        board.on_cpu = free_meanwhile;
        assert_int_equal(cma_dma_pool_free(&pool, &twice), CMA_EBADF);
        assert_null(board.on_cpu);
        cma_dma_pool_stats(&pool, &stats);
        assert_int_equal(stats.live, 0);
        end();
    }
}

/* --- growing, giving back -------------------------------------------------------------- */

static void test_destroy(void **state)
{
    static const struct cma_dma_pool_config config = {
        .item_nbytes = 512, .chunk_nbytes = 2 * PAGE, .nitems_max = 64};
    struct cma_dma_item items[40], item;
    struct cma_dma_pool_stats stats;
    uint32_t number = 0, n = 0;
    int error;

    (void)state;
    for (uint32_t ncpus = 0; ncpus <= 2; ncpus++) {
        make(&config, ncpus);
        assert_int_equal(cma_dma_pool_destroy(&pool), 0); /* of an empty one */
        assert_int_equal(cma_dma_pool_alloc(&pool, 0, &item, NULL), CMA_ENOMEM);
        assert_int_equal(cma_dma_pool_grow(&pool, 40, NULL), 0);
        assert_int_equal(pool_board_claimed(&board), 6); /* 16 items in 2 pages */
        for (uint32_t i = 0; i < 40; i++) {
            items[i] = get();
        }
        for (uint32_t i = 0; i < 40; i++) {
            if (i != 7 && i != 30) {
                assert_int_equal(cma_dma_pool_free(&pool, &items[i]), 0);
            }
        }
        assert_int_equal(cma_dma_pool_destroy(&pool), CMA_EBUSY);
        /* They are listed, by name. */
        for (number = 0, n = 0; cma_dma_pool_next(&pool, &number, &item) == 0; n++) {
            const struct cma_dma_item *expected =
                item.daddr == items[7].daddr ? &items[7] : &items[30];
            assert_memory_equal(&item, expected, sizeof(item));
        }
        assert_int_equal(n, 2);
        /* Nothing has changed: both can be used, and freed. */
        assert_int_equal(pool_board_claimed(&board), 6);
        item = get();
        assert_int_equal(cma_dma_pool_free(&pool, &item), 0);
        assert_int_equal(cma_dma_pool_free(&pool, &items[7]), 0);
        assert_int_equal(cma_dma_pool_destroy(&pool), CMA_EBUSY);
        assert_int_equal(cma_dma_pool_free(&pool, &items[30]), 0);
        assert_int_equal(cma_dma_pool_destroy(&pool), 0);
        assert_int_equal(pool_board_claimed(&board), 0);
        assert_int_equal(cma_dma_pool_free(&pool, &items[30]), CMA_ENOENT);
        assert_int_equal(cma_dma_pool_alloc(&pool, 0, &item, NULL), CMA_ENOMEM);
        /* And once more from the start. */
        assert_int_equal(cma_dma_pool_grow(&pool, 1, NULL), 0);
        item = get();
        error = cma_dma_pool_free(&pool, &items[0]);
        assert_true(error == CMA_EBADF || error == CMA_ENOENT); /* wherever the chunk is now */
        assert_int_equal(cma_dma_pool_free(&pool, &item), 0);
        cma_dma_pool_stats(&pool, &stats);
        assert_int_equal(stats.nitems, 16);
        end();
    }
}

/* A chunk that somebody has tampered with is kept, the others go. */
static void test_destroy_goes_on(void **state)
{
    static const struct cma_dma_pool_config config = {.item_nbytes = PAGE, .nitems_max = 3};

    (void)state;
    make(&config, 0);
    assert_int_equal(cma_dma_pool_grow(&pool, 3, NULL), 0);
    board.device.config.owner = 6;
    assert_int_equal(cma_dma_pool_destroy(&pool), CMA_EPERM);
    assert_int_equal(pool_board_claimed(&board), 3);
    board.device.config.owner = 5;
    end();
}

static void test_growing(void **state)
{
    static const struct cma_dma_pool_config config = {
        .item_nbytes = 64, .chunk_nbytes = 16 * PAGE, .nitems_max = 1u << 20};
    struct cma_dma_pool_stats stats;
    struct cma_refusal refusal = {0};
    struct cma_dma_item item;
    uint32_t n = 0;

    (void)state;
    make(&config, 1);
    assert_int_equal(cma_dma_pool_grow(&pool, 0, NULL), 0);
    assert_int_equal(pool_board_claimed(&board), 0);
    assert_int_equal(cma_dma_pool_alloc(&pool, CMA_DMA_POOL_GROW, &item, NULL), 0);
    assert_int_equal(pool_board_claimed(&board), 16);
    assert_int_equal(cma_dma_pool_grow(&pool, 1024, NULL), 0);
    assert_int_equal(pool_board_claimed(&board), 16);
    /* The area is drained before the pool's storage. */
    while (cma_dma_pool_alloc(&pool, CMA_DMA_POOL_GROW, &item, &refusal) == 0) {
        n++;
    }
    assert_int_equal(n + 1, POOL_BOARD_NPAGES * PAGE / 64);
    assert_int_equal(refusal.code, CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_CLAIMED);
    cma_dma_pool_stats(&pool, &stats);
    assert_int_equal(stats.live, n + 1);
    assert_int_equal(stats.nitems, n + 1);
    assert_int_equal(stats.refused, 1);
    for (uint32_t number = 0; cma_dma_pool_next(&pool, &number, &item) == 0;) {
        assert_int_equal(cma_dma_pool_free(&pool, &item), 0);
    }
    end();
}

/* What a pool asks for is what serves it: the promise is drawn from. */
static void test_chunk_request(void **state)
{
    static const struct cma_dma_pool_config config = {.item_nbytes = 24,
                                                      .align_nbytes = 8,
                                                      .boundary_nbytes = 8192,
                                                      .chunk_nbytes = 5 * PAGE,
                                                      .nitems_max = 1};
    static const struct cma_dma_pool_config over = {
        .item_nbytes = 24, .boundary_nbytes = 65536, .chunk_nbytes = 5 * PAGE, .nitems_max = 1};
    struct cma_coherent_request request;

    (void)state;
    make(&config, 0);
    cma_dma_pool_chunk(&pool, &request);
    assert_int_equal(request.nbytes, 5 * PAGE);
    assert_int_equal(request.align_nbytes, 8192);
    assert_int_equal(request.boundary_nbytes, 0);
    end();
    make(&over, 0);
    cma_dma_pool_chunk(&pool, &request);
    assert_int_equal(request.align_nbytes, 1);
    assert_int_equal(request.boundary_nbytes, 65536);
    end();
}

static void test_high_water(void **state)
{
    static const struct cma_dma_pool_config config = {.item_nbytes = 64, .nitems_max = 64};
    struct cma_dma_item items[64];
    struct cma_dma_pool_stats stats;

    (void)state;
    make(&config, 0);
    assert_int_equal(cma_dma_pool_grow(&pool, 64, NULL), 0);
    for (uint32_t i = 0; i < 20; i++) {
        items[i] = get();
    }
    for (uint32_t i = 0; i < 20; i++) {
        assert_int_equal(cma_dma_pool_free(&pool, &items[i]), 0);
    }
    items[0] = get();
    cma_dma_pool_stats(&pool, &stats);
    assert_int_equal(stats.most_out, 20);
    assert_int_equal(stats.live, 1);
    assert_int_equal(stats.refused, 0);
    assert_int_equal(cma_dma_pool_free(&pool, &items[0]), 0);
    end();
}

/* --- caches ---------------------------------------------------------------------------- */

/* What one processor's cache holds, another one gets before it is refused. */
static void test_caches_are_scraped(void **state)
{
    static const struct cma_dma_pool_config config = {.item_nbytes = 64, .nitems_max = 1024};
    struct cma_dma_item items[1024];
    struct cma_dma_pool_stats stats;

    (void)state;
    make(&config, 4);
    assert_int_equal(cma_dma_pool_grow(&pool, 1024, NULL), 0);
    for (uint32_t i = 0; i < 1024; i++) {
        pool_board_cpu = i % 7;
        items[i] = get();
    }
    assert_int_equal(cma_dma_pool_alloc(&pool, 0, &items[0], NULL), CMA_ENOMEM);
    for (uint32_t i = 0; i < 1024; i++) {
        pool_board_cpu = i % 5;
        assert_int_equal(cma_dma_pool_free(&pool, &items[i]), 0);
    }
    cma_dma_pool_stats(&pool, &stats);
    assert_int_equal(stats.live, 0);
    assert_true(stats.cached > 0 && stats.cached <= 4 * CMA_DMA_POOL_CACHE_SLOTS);
    assert_int_equal(cma_dma_pool_drain(&pool), stats.cached);
    assert_int_equal(cma_dma_pool_drain(&pool), 0);
    end();
}

/* Few items are not hoarded by a processor that wants one. */
static void test_few_items(void **state)
{
    static const struct cma_dma_pool_config config = {.item_nbytes = 1024, .nitems_max = 4};
    struct cma_dma_pool_stats stats;
    struct cma_dma_item item;

    (void)state;
    make(&config, 2);
    assert_int_equal(cma_dma_pool_grow(&pool, 4, NULL), 0);
    item = get();
    cma_dma_pool_stats(&pool, &stats);
    assert_int_equal(stats.cached, 0);
    assert_int_equal(cma_dma_pool_free(&pool, &item), 0);
    end();
}

/* Two threads have met in a cache, and a number is in none: refusals find it, in the end. */
static void test_lost_item(void **state)
{
    static const struct cma_dma_pool_config config = {
        .item_nbytes = 1, .chunk_nbytes = 4 * PAGE, .nitems_max = 4 * PAGE};
    struct cma_dma_item item, lost;
    uint32_t refusals = 0;

    (void)state;
    make(&config, 1);
    assert_int_equal(cma_dma_pool_grow(&pool, 4 * PAGE, NULL), 0);
    for (uint32_t i = 0; i < 4 * PAGE; i++) {
        item = get();
        lost = i == 9999 ? item : lost;
    }
    assert_int_equal(cma_dma_pool_free(&pool, &lost), 0);
    pool.caches[0].top = 0;
    while (cma_dma_pool_alloc(&pool, 0, &item, NULL) != 0) {
        refusals++;
        assert_true(refusals < 16);
    }
    assert_int_equal(item.number, lost.number);
    assert_int_equal(cma_dma_pool_free(&pool, &item), 0);
    pool.caches[0].top = 0;
    assert_int_equal(cma_dma_pool_drain(&pool), 1);
    for (uint32_t number = 0; cma_dma_pool_next(&pool, &number, &item) == 0;) {
        assert_int_equal(cma_dma_pool_free(&pool, &item), 0);
    }
    end();
}

/* --- bytes ----------------------------------------------------------------------------- */

static void test_zero(void **state)
{
    static const struct cma_dma_pool_config config = {.item_nbytes = 100, .nitems_max = 40};
    struct cma_dma_item item;

    (void)state;
    for (uint32_t ncpus = 0; ncpus < 2; ncpus++) {
        make(&config, ncpus);
        memset(board.bytes, 0x5a, 16 * PAGE);
        assert_int_equal(cma_dma_pool_grow(&pool, 40, NULL), 0);
        item = get();
        for (uint32_t i = 0; i < 100; i++) {
            assert_int_equal(((uint8_t *)item.vaddr)[i], 0); /* as chunks come */
        }
        memset(item.vaddr, 0xff, 100);
        ((uint8_t *)item.vaddr)[100] = 0x77; /* the next one's, or what is behind */
        assert_int_equal(cma_dma_pool_free(&pool, &item), 0);
        assert_int_equal(cma_dma_pool_alloc(&pool, CMA_DMA_POOL_ZERO, &item, NULL), 0);
        for (uint32_t i = 0; i < 100; i++) {
            assert_int_equal(((uint8_t *)item.vaddr)[i], 0);
        }
        assert_int_equal(((uint8_t *)item.vaddr)[100], 0x77);
        assert_int_equal(cma_dma_pool_free(&pool, &item), 0);
        end();
    }
}

/* Nothing of the pool's is in the items: a device that writes everywhere breaks nothing. */
static void test_device_writes_everywhere(void **state)
{
    static const struct cma_dma_pool_config config = {.item_nbytes = 32, .nitems_max = 1000};
    struct cma_dma_item items[1000], item;

    (void)state;
    for (uint32_t ncpus = 0; ncpus < 2; ncpus++) {
        make(&config, ncpus);
        assert_int_equal(cma_dma_pool_grow(&pool, 1000, NULL), 0);
        for (uint32_t round = 0; round < 4; round++) {
            for (uint32_t i = 0; i < 1000; i++) {
                items[i] = get();
                assert_int_equal(cma_dma_pool_find(&pool, items[i].daddr, &item), 0);
            }
            memset(board.bytes, (int)(0xff - round), (size_t)POOL_BOARD_NPAGES * PAGE);
            for (uint32_t i = 0; i < 1000; i++) {
                assert_int_equal(cma_dma_pool_free(&pool, &items[i]), 0);
            }
            memset(board.bytes, (int)(0x41 + round), (size_t)POOL_BOARD_NPAGES * PAGE);
        }
        end();
    }
}

static void test_poison(void **state)
{
    static const struct cma_dma_pool_config config = {
        .item_nbytes = 60, .align_nbytes = 64, .nitems_max = 64, .flags = CMA_DMA_POOL_POISON};
    struct cma_dma_pool_stats stats;
    struct cma_dma_item item;
    uint8_t *bytes;

    (void)state;
    for (uint32_t ncpus = 0; ncpus < 2; ncpus++) {
        make(&config, ncpus);
        assert_int_equal(cma_dma_pool_grow(&pool, 64, NULL), 0);
        item = get();
        bytes = item.vaddr;
        for (uint32_t i = 0; i < 60; i++) {
            assert_int_equal(bytes[i], CMA_DMA_POOL_POISON_NEW);
        }
        assert_int_equal(cma_dma_pool_free(&pool, &item), 0);
        for (uint32_t i = 0; i < 60; i++) {
            assert_int_equal(bytes[i], CMA_DMA_POOL_POISON_FREE);
        }
        bytes[60] = 1; /* not an item's */
        item = get();
        cma_dma_pool_stats(&pool, &stats);
        assert_int_equal(stats.damaged, 0);
        assert_int_equal(cma_dma_pool_free(&pool, &item), 0);
        bytes[59] = 1; /* used after it was freed */
        assert_int_equal(cma_dma_pool_alloc(&pool, CMA_DMA_POOL_ZERO, &item, NULL), 0);
        assert_ptr_equal(item.vaddr, bytes);
        assert_int_equal(bytes[59], 0);
        cma_dma_pool_stats(&pool, &stats);
        assert_int_equal(stats.damaged, 1);
        /* A second free doesn't touch what is somebody else's. */
        item.stamp--;
        assert_int_equal(cma_dma_pool_free(&pool, &item), CMA_EBADF);
        assert_int_equal(bytes[0], 0);
        item.stamp++;
        assert_int_equal(cma_dma_pool_free(&pool, &item), 0);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places),      cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_wrong_frees), cmocka_unit_test(test_freed_at_once),
        cmocka_unit_test(test_destroy),     cmocka_unit_test(test_destroy_goes_on),
        cmocka_unit_test(test_growing),     cmocka_unit_test(test_chunk_request),
        cmocka_unit_test(test_high_water),  cmocka_unit_test(test_caches_are_scraped),
        cmocka_unit_test(test_few_items),   cmocka_unit_test(test_lost_item),
        cmocka_unit_test(test_zero),        cmocka_unit_test(test_device_writes_everywhere),
        cmocka_unit_test(test_poison),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
