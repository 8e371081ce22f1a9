/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_pool_lane.c - lanes of DMA pools: what they hand out, what they refuse, what they give up
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "../support/lane_item.h"
#include "../support/pool_board.h"

#define PAGE POOL_BOARD_PAGE
#define NITEMS 4096u

static struct pool_board board;
static struct cma_dma_pool pool;
static struct cma_dma_pool_lane lanes[3];
static struct cma_dma_item items[NITEMS];
static void *storage;

static void make(uint32_t nitems, uint32_t ncpus, uint32_t flags)
{
    struct cma_dma_pool_config config = {
        .item_nbytes = 60, .align_nbytes = 64, .nitems_max = nitems, .flags = flags};

    pool_board_cpu = 0;
    pool_board_make(&board);
    storage = pool_board_pool(&board, &pool, &config, ncpus);
    assert_int_equal(cma_dma_pool_grow(&pool, nitems, NULL), 0);
    for (uint32_t i = 0; i < 3; i++) {
        memset(&lanes[i], 0x5a, sizeof(lanes[i]));
        assert_int_equal(cma_dma_pool_lane_init(&lanes[i], &pool), 0);
    }
}

static void end(void)
{
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(cma_dma_pool_lane_end(&lanes[i]), 0);
    }
    assert_int_equal(cma_dma_pool_destroy(&pool), 0);
    free(storage);
    pool_board_end(&board);
}

static struct cma_dma_item get(uint32_t lane)
{
    struct cma_dma_item item = {0};

    assert_int_equal(lane_item_alloc(&lanes[lane], 0, &item, NULL), 0);
    return item;
}

static void put(uint32_t lane, const struct cma_dma_item *item)
{
    assert_int_equal(lane_item_free(&lanes[lane], item), 0);
}

static struct cma_dma_pool_stats stats(void)
{
    struct cma_dma_pool_stats now;

    cma_dma_pool_stats(&pool, &now);
    return now;
}

/* All items through one lane, each once, each with bytes of its own; several batches. */
static void test_all(void **state)
{
    struct cma_refusal refusal = {0};
    struct cma_dma_item item;
    uint32_t idle;

    (void)state;
    for (uint32_t flags = 0; flags <= CMA_DMA_POOL_POISON; flags++) {
        make(NITEMS, 0, flags);
        for (uint32_t round = 0; round < 3; round++) {
            for (uint32_t i = 0; i < NITEMS; i++) {
                items[i] = get(round);
                assert_int_equal(items[i].daddr % 64, 0);
                assert_ptr_equal(items[i].vaddr, board.bytes + (items[i].daddr + POOL_BOARD_OFFSET -
                                                                POOL_BOARD_BASE));
                memset(items[i].vaddr, (int)(i % 251), 60);
                assert_int_equal(cma_dma_pool_find(&pool, items[i].daddr + 59, &item), 0);
                assert_memory_equal(&item, &items[i], sizeof(item));
            }
            assert_int_equal(lane_item_alloc(&lanes[round], 0, &item, &refusal), CMA_ENOMEM);
            assert_int_equal(refusal.reason, CMA_REASON_NO_MEMORY);
            assert_int_equal(stats().live, NITEMS);
            for (uint32_t i = 0; i < NITEMS; i++) {
                for (uint32_t b = 0; b < 60; b++) {
                    assert_int_equal(((uint8_t *)items[i].vaddr)[b], i % 251);
                }
                put(round, &items[i]);
            }
            assert_int_equal(stats().live, 0);
            /* The first free gave up: somebody was refused. */
            idle = stats().cached;
            assert_true(idle > 0 && idle <= CMA_DMA_POOL_LANE_SLOTS);
            assert_int_equal(cma_dma_pool_lane_drain(&lanes[round]), idle);
        }
        end();
    }
}

static void refuse(uint32_t flags)
{
    struct cma_dma_item item, wrong, old, common, others;

    make(NITEMS, 1, flags);
    item = get(0);
    others = get(1);
    assert_int_equal(cma_dma_pool_alloc(&pool, 0, &common, NULL), 0);
    for (uint32_t bit = 0; bit < 32; bit++) {
        int error;

        wrong = item;
        wrong.number ^= UINT32_C(1) << bit;
        error = lane_item_free(&lanes[0], &wrong);
        assert_int_equal(error, wrong.number < NITEMS ? CMA_EBADF : CMA_ENOENT);
    }
    for (uint32_t bit = 0; bit < 32; bit++) {
        wrong = item;
        wrong.stamp ^= UINT32_C(1) << bit;
        assert_int_equal(lane_item_free(&lanes[0], &wrong), CMA_EBADF);
    }
    /* Through another lane, or as everybody's; and everybody's through a lane. */
    assert_int_equal(lane_item_free(&lanes[1], &item), CMA_EPERM);
    assert_int_equal(cma_dma_pool_free(&pool, &item), CMA_EPERM);
    assert_int_equal(lane_item_free(&lanes[0], &common), CMA_EPERM);
    assert_int_equal(lane_item_free(&lanes[0], &others), CMA_EPERM);
    assert_int_equal(lane_item_alloc(&lanes[0], 4, &wrong, NULL), CMA_EINVAL);
    assert_int_equal(stats().live, 3);
    /* Twice, also when somebody else has it by now, whoever that is. */
    put(0, &item);
    for (uint32_t lane = 0; lane < 3; lane++) {
        assert_int_equal(lane_item_free(&lanes[lane], &item), CMA_EBADF);
    }
    assert_int_equal(cma_dma_pool_free(&pool, &item), CMA_EBADF);
    old = item;
    item = get(0);
    assert_ptr_equal(item.vaddr, old.vaddr);
    assert_int_equal(lane_item_free(&lanes[0], &old), CMA_EBADF);
    put(0, &item);
    (void)cma_dma_pool_lane_drain(&lanes[0]);
    old = item;
    item = get(2);
    assert_ptr_equal(item.vaddr, old.vaddr);
    assert_int_equal(lane_item_free(&lanes[0], &old), CMA_EBADF);
    assert_int_equal(lane_item_free(&lanes[2], &old), CMA_EBADF);
    put(2, &item);
    put(1, &others);
    assert_int_equal(cma_dma_pool_free(&pool, &common), 0);
    end();
}

static void test_refusals(void **state)
{
    (void)state;
    refuse(0);
    refuse(CMA_DMA_POOL_POISON);
}

/* Numbers that are mistaken for each other have another stamp, numbers that are none have no item.
 */
static void test_mistaken_numbers(void **state)
{
    struct cma_dma_pool_config config = {
        .item_nbytes = 60, .align_nbytes = 64, .nitems_max = NITEMS, .chunk_nbytes = PAGE};
    struct cma_dma_item wrong;

    (void)state;
    make(NITEMS, 0, 0);
    for (uint32_t i = 0; i < 64; i++) {
        items[i] = get(0);
        wrong = items[i];
        for (uint32_t k = 0; k < i; k++) {
            wrong.number = items[k].number;
            assert_int_equal(lane_item_free(&lanes[0], &wrong), CMA_EBADF);
        }
    }
    for (uint32_t i = 0; i < 64; i++) {
        put(0, &items[i]);
    }
    end();
    pool_board_make(&board);
    storage = pool_board_pool(&board, &pool, &config, 0);
    assert_int_equal(cma_dma_pool_grow(&pool, 1, NULL), 0);
    assert_int_equal(cma_dma_pool_lane_init(&lanes[0], &pool), 0);
    items[0] = get(0);
    wrong = items[0];
    wrong.number += PAGE / 64; /* the next chunk's, if there were one */
    assert_int_equal(lane_item_free(&lanes[0], &wrong), CMA_ENOENT);
    put(0, &items[0]);
    assert_int_equal(cma_dma_pool_lane_end(&lanes[0]), 0);
    assert_int_equal(cma_dma_pool_destroy(&pool), 0);
    free(storage);
    pool_board_end(&board);
}

/* What a lane holds idle nobody else gets, until somebody was refused and it frees again. */
static void test_gives_up(void **state)
{
    struct cma_dma_item item;

    (void)state;
    for (uint32_t flags = 0; flags <= CMA_DMA_POOL_POISON; flags++) {
        make(128, 0, flags);
        for (uint32_t i = 0; i < 128; i++) {
            items[i] = get(0);
        }
        for (uint32_t i = 0; i < 100; i++) {
            put(0, &items[i]);
        }
        assert_int_equal(stats().cached, 100);
        assert_int_equal(lane_item_alloc(&lanes[1], 0, &item, NULL), CMA_ENOMEM);
        item = get(0);
        put(0, &item); /* all is given up, this one too */
        assert_int_equal(stats().cached, 0);
        for (uint32_t i = 0; i < 100; i++) {
            assert_int_equal(cma_dma_pool_alloc(&pool, 0, &items[i], NULL), 0);
        }
        assert_int_equal(cma_dma_pool_alloc(&pool, 0, &item, NULL), CMA_ENOMEM);
        assert_int_equal(stats().refused, 2);
        for (uint32_t i = 0; i < 128; i++) {
            assert_int_equal(i < 100 ? cma_dma_pool_free(&pool, &items[i])
                                     : lane_item_free(&lanes[0], &items[i]),
                             0);
        }
        /* Asked once, it gave up once: later ones lie in the lane again. */
        assert_int_equal(stats().cached, 27);
        end();
    }
}

/* Where few are left, a lane takes a quarter of its share beside the one that is wanted. */
static void test_few_items(void **state)
{
    struct cma_dma_item item;

    (void)state;
    make(64, 2, 0);
    item = get(0);
    assert_int_equal(stats().cached, 64 / 4 / 5);
    put(0, &item);
    end();
    make(NITEMS, 0, 0);
    item = get(0);
    assert_int_equal(stats().cached, CMA_DMA_POOL_LANE_SLOTS / 2 - 1);
    put(0, &item);
    end();
}

/* A lane is ready as long as it has something idle. */
static void test_ready(void **state)
{
    uint32_t idle;

    (void)state;
    make(NITEMS, 0, 0);
    assert_false(cma_dma_pool_lane_ready(&lanes[0]));
    items[0] = get(0);
    idle = stats().cached;
    assert_true(idle != 0);
    for (uint32_t i = 1; i <= idle; i++) {
        assert_true(cma_dma_pool_lane_ready(&lanes[0]));
        items[i] = get(0);
    }
    assert_false(cma_dma_pool_lane_ready(&lanes[0]));
    for (uint32_t i = 0; i <= idle; i++) {
        put(0, &items[i]);
        assert_true(cma_dma_pool_lane_ready(&lanes[0]));
    }
    end();
    /* Where bytes are looked at in each allocation there is no short way. */
    make(NITEMS, 0, CMA_DMA_POOL_POISON);
    items[0] = get(0);
    put(0, &items[0]);
    assert_false(cma_dma_pool_lane_ready(&lanes[0]));
    end();
}

/* What processors' caches hold is looked for, and is the lane's then. */
static void test_scrapes(void **state)
{
    struct cma_dma_item item;

    (void)state;
    make(64, 2, 0);
    for (uint32_t i = 0; i < 64; i++) {
        assert_int_equal(cma_dma_pool_alloc(&pool, 0, &items[i], NULL), 0);
    }
    for (uint32_t i = 0; i < 64; i++) {
        assert_int_equal(cma_dma_pool_free(&pool, &items[i]), 0);
    }
    assert_int_equal(stats().cached, 64);
    for (uint32_t i = 0; i < 64; i++) {
        items[i] = get(0);
        assert_int_equal(cma_dma_pool_free(&pool, &items[i]), CMA_EPERM);
    }
    assert_int_equal(lane_item_alloc(&lanes[0], 0, &item, NULL), CMA_ENOMEM);
    for (uint32_t i = 0; i < 64; i++) {
        put(0, &items[i]);
    }
    end();
}

static void test_ends(void **state)
{
    static struct cma_dma_pool_lane more[CMA_DMA_POOL_LANES];
    struct cma_dma_item item;

    (void)state;
    for (uint32_t flags = 0; flags <= CMA_DMA_POOL_POISON; flags++) {
        make(NITEMS, 0, flags);
        item = get(1);
        assert_int_equal(cma_dma_pool_lane_end(&lanes[1]), CMA_EBUSY);
        put(1, &item);
        /* The pool can't go while a lane has something of it. */
        assert_int_equal(cma_dma_pool_destroy(&pool), CMA_EBUSY);
        assert_int_equal(cma_dma_pool_lane_drain(&lanes[1]), CMA_DMA_POOL_LANE_SLOTS / 2);
        assert_int_equal(cma_dma_pool_lane_drain(&lanes[1]), 0);
        assert_int_equal(cma_dma_pool_destroy(&pool), 0);
        assert_int_equal(lane_item_alloc(&lanes[1], CMA_DMA_POOL_GROW, &item, NULL), 0);
        put(1, &item);
        /* As many as there are names, and names come back. */
        for (uint32_t i = 0; i + 3 < CMA_DMA_POOL_LANES; i++) {
            assert_int_equal(cma_dma_pool_lane_init(&more[i], &pool), 0);
        }
        assert_int_equal(cma_dma_pool_lane_init(&more[CMA_DMA_POOL_LANES - 1], &pool), CMA_ENOSPC);
        assert_int_equal(cma_dma_pool_lane_end(&more[60]), 0);
        assert_int_equal(cma_dma_pool_lane_init(&more[60], &pool), 0);
        assert_int_equal(lane_item_alloc(&more[60], 0, &item, NULL), 0);
        assert_int_equal(lane_item_free(&more[61], &item), CMA_EPERM);
        assert_int_equal(lane_item_free(&more[60], &item), 0);
        for (uint32_t i = 0; i + 3 < CMA_DMA_POOL_LANES; i++) {
            assert_int_equal(cma_dma_pool_lane_end(&more[i]), 0);
        }
        assert_int_equal(
            cma_dma_pool_lane_init((struct cma_dma_pool_lane *)(void *)((char *)more + 8), &pool),
            CMA_EINVAL);
        end();
    }
}

static void test_bytes(void **state)
{
    struct cma_dma_item item;
    uint8_t *bytes;

    (void)state;
    make(64, 0, CMA_DMA_POOL_POISON);
    item = get(0);
    bytes = item.vaddr;
    for (uint32_t i = 0; i < 60; i++) {
        assert_int_equal(bytes[i], CMA_DMA_POOL_POISON_NEW);
    }
    put(0, &item);
    assert_int_equal(bytes[59], CMA_DMA_POOL_POISON_FREE);
    item = get(0);
    assert_ptr_equal(item.vaddr, bytes);
    assert_int_equal(bytes[59], CMA_DMA_POOL_POISON_NEW);
    put(0, &item);
    bytes[59] = 1; /* used after it was freed */
    assert_int_equal(lane_item_alloc(&lanes[0], CMA_DMA_POOL_ZERO, &item, NULL), 0);
    assert_ptr_equal(item.vaddr, bytes);
    for (uint32_t i = 0; i < 60; i++) {
        assert_int_equal(bytes[i], 0);
    }
    assert_int_equal(stats().damaged, 1);
    put(0, &item);
    end();
    make(64, 0, 0);
    item = get(0);
    memset(item.vaddr, 0xff, 60);
    put(0, &item);
    assert_int_equal(lane_item_alloc(&lanes[0], CMA_DMA_POOL_ZERO, &item, NULL), 0);
    assert_int_equal(((uint8_t *)item.vaddr)[0], 0);
    put(0, &item);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_mistaken_numbers),
        cmocka_unit_test(test_gives_up),
        cmocka_unit_test(test_few_items),
        cmocka_unit_test(test_ready),
        cmocka_unit_test(test_scrapes),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
