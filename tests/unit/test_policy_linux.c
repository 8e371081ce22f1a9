/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_policy_linux.c - the policy of `cma run --policy linux` against a naive search, and its
 * batches, tries, stride and errors one by one. (Against Linux's own file: tests/peers.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "../../tool/policy_linux.h"

enum { NPAGES = 1024 };

/* Pages by state, and what the policy did to them. */
enum { IDLE, MOVABLE, HELD, OWNED };

struct test_memory {
    uint8_t states[NPAGES];
    uint64_t begun[NPAGES], nbegun; /* the first pages of windows */
    uint64_t batches[NPAGES][2], nbatches;
    uint64_t copies, given_up;
    uint64_t tries_to_let_go; /* held pages leave in this try; 0: never */
    int64_t migrate_error;
    int end_error;
};

static void test_begin(void *ctx, uint64_t first, uint64_t npages)
{
    struct test_memory *memory = ctx;

    (void)npages;
    memory->begun[memory->nbegun++] = first;
}

static bool test_used(void *ctx, uint64_t page)
{
    const struct test_memory *memory = ctx;

    return memory->states[page] == MOVABLE || memory->states[page] == HELD;
}

static int64_t test_migrate(void *ctx, uint64_t first, uint64_t npages)
{
    struct test_memory *memory = ctx;
    int64_t left = 0;

    assert_in_range(memory->nbatches, 0, NPAGES - 1);
    memory->batches[memory->nbatches][0] = first;
    memory->batches[memory->nbatches++][1] = npages;
    if (memory->migrate_error != 0)
        return memory->migrate_error;
    for (uint64_t page = first; page < first + npages; page++) {
        if (memory->states[page] == HELD && memory->nbatches == memory->tries_to_let_go)
            memory->states[page] = IDLE;
        memory->copies += memory->states[page] == MOVABLE;
        if (memory->states[page] == MOVABLE)
            memory->states[page] = IDLE;
        left += memory->states[page] == HELD;
    }
    return left;
}

static int test_end(void *ctx, uint64_t first, uint64_t npages, int error)
{
    struct test_memory *memory = ctx;

    if (error == 0 && memory->end_error != 0) {
        error = memory->end_error;
        memory->end_error = 0;
    }
    memory->given_up += error != 0;
    if (error == 0)
        memset(memory->states + first, OWNED, npages);
    return error;
}

static struct linux_memory test_calls(struct test_memory *memory)
{
    return (struct linux_memory){memory, test_begin, test_used, test_migrate, test_end};
}

static int test_alloc(struct policy_linux *policy, struct test_memory *memory, uint64_t npages,
                      uint32_t order, uint64_t *page)
{
    struct linux_memory calls = test_calls(memory);

    memory->nbegun = 0;
    memory->nbatches = 0;
    return policy_linux_alloc(policy, &calls, npages, order, page);
}

static uint64_t test_random(uint64_t *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 33;
}

/* The lowest place, tried page by page. */
static uint64_t test_naive(const struct test_memory *memory, uint64_t first_pfn, uint64_t npages,
                           uint64_t align)
{
    for (uint64_t at = 0; at + npages <= NPAGES; at++) {
        bool free_of_buffers = (first_pfn + at) % align == 0;

        for (uint64_t page = at; page < at + npages && free_of_buffers; page++)
            free_of_buffers = memory->states[page] != OWNED;
        if (free_of_buffers)
            return at;
    }
    return UINT64_MAX;
}

static void lowest_aligned_run_is_taken(void **state)
{
    static struct test_memory memory;
    static struct {
        uint64_t page, npages;
    } live[NPAGES];
    uint64_t seed = 1;

    (void)state;
    for (uint64_t first_pfn = 0x1000; first_pfn < 0x1080; first_pfn += 37) {
        struct policy_linux policy;
        uint32_t nlive = 0;

        memset(&memory, 0, sizeof(memory));
        assert_int_equal(policy_linux_init(&policy, first_pfn, NPAGES), 0);
        for (int op = 0; op < 4000; op++) {
            uint64_t npages = 1 + test_random(&seed) % (op % 3 == 0 ? 150 : 20);
            uint32_t order = (uint32_t)(test_random(&seed) % 8);
            uint64_t page = 0;
            uint64_t naive = test_naive(&memory, first_pfn, npages, UINT64_C(1) << order);

            if (naive == UINT64_MAX) {
                assert_int_equal(test_alloc(&policy, &memory, npages, order, &page), LINUX_EBUSY);
                assert_int_equal(memory.nbegun, 0);
            } else {
                assert_int_equal(test_alloc(&policy, &memory, npages, order, &page), 0);
                assert_int_equal(page, naive);
                live[nlive].page = page;
                live[nlive++].npages = npages;
            }
            while (nlive > 0 && (naive == UINT64_MAX || test_random(&seed) % 4 == 0)) {
                uint32_t at = (uint32_t)(test_random(&seed) % nlive);

                memset(memory.states + live[at].page, IDLE, live[at].npages);
                policy_linux_release(&policy, live[at].page, live[at].npages);
                live[at] = live[--nlive];
                naive = 0;
            }
        }
        policy_linux_free(&policy);
    }
}

static void movable_pages_go_in_batches(void **state)
{
    static struct test_memory memory;
    struct policy_linux policy;
    uint64_t page = 1;

    (void)state;
    memset(&memory, 0, sizeof(memory));
    assert_int_equal(policy_linux_init(&policy, 0, NPAGES), 0);
    /* 32 pages in use among 64, then 8 idle ones, then 28 more. */
    for (int i = 0; i < 64; i += 2)
        memory.states[i] = MOVABLE;
    memset(memory.states + 72, MOVABLE, 28);
    assert_int_equal(test_alloc(&policy, &memory, 100, 0, &page), 0);
    assert_int_equal(page, 0);
    assert_int_equal(memory.nbatches, 2);
    assert_int_equal(memory.batches[0][0], 0);
    assert_int_equal(memory.batches[0][1], 63); /* ends with the 32nd page in use */
    assert_int_equal(memory.batches[1][0], 63);
    assert_int_equal(memory.batches[1][1], 37);
    assert_int_equal(memory.copies, 60);
    assert_int_equal(policy.windows, 1);
    assert_int_equal(policy.windows_left, 0);
    policy_linux_free(&policy);
}

static void held_page_costs_five_tries_and_the_window(void **state)
{
    static struct test_memory memory;
    struct policy_linux policy;
    uint64_t page = 0;

    (void)state;
    memset(&memory, 0, sizeof(memory));
    memset(memory.states, MOVABLE, 200);
    memory.states[40] = HELD;
    assert_int_equal(policy_linux_init(&policy, 8, NPAGES), 0);
    /* Aligned to 16 frames: pages 8, 24, 40, 56. The pin is met in the second batch of the first
     * two, in the first of the third; the fourth lies behind it. What moved stays moved. */
    assert_int_equal(test_alloc(&policy, &memory, 50, 4, &page), 0);
    assert_int_equal(page, 56);
    assert_int_equal(memory.nbegun, 4);
    assert_int_equal(memory.begun[0], 8);
    assert_int_equal(memory.begun[1], 24);
    assert_int_equal(memory.begun[2], 40);
    assert_int_equal(memory.batches[0][0], 8);
    assert_int_equal(memory.batches[0][1], 32);
    for (int i = 1; i <= LINUX_TRIES; i++)
        assert_int_equal(memory.batches[i][0], 40);
    assert_int_equal(memory.batches[LINUX_TRIES + 1][0], 24);
    assert_int_equal(memory.given_up, 3);
    assert_int_equal(policy.windows_left, 3);
    /* [8, 106) without the pin */
    assert_int_equal(memory.copies, 97);
    assert_int_equal(policy.available, NPAGES - 50);
    policy_linux_free(&policy);
}

static void page_that_leaves_in_time_costs_nothing(void **state)
{
    static struct test_memory memory;
    struct policy_linux policy;
    uint64_t page = 1;

    (void)state;
    for (uint64_t tries = 1; tries <= LINUX_TRIES + 1; tries++) {
        memset(&memory, 0, sizeof(memory));
        memory.states[3] = HELD;
        memory.tries_to_let_go = tries;
        assert_int_equal(policy_linux_init(&policy, 0, NPAGES), 0);
        assert_int_equal(test_alloc(&policy, &memory, 8, 3, &page), 0);
        assert_int_equal(page, tries <= LINUX_TRIES ? 0 : 8);
        assert_int_equal(memory.nbatches, tries <= LINUX_TRIES ? tries : LINUX_TRIES);
        policy_linux_free(&policy);
    }
}

static void errors_are_linux_s(void **state)
{
    static struct test_memory memory;
    struct policy_linux policy;
    uint64_t page = 77;

    (void)state;
    memset(&memory, 0, sizeof(memory));
    memset(memory.states, HELD, NPAGES);
    assert_int_equal(policy_linux_init(&policy, 0, NPAGES), 0);
    assert_int_equal(test_alloc(&policy, &memory, 0, 0, &page), LINUX_ENOMEM);
    assert_int_equal(test_alloc(&policy, &memory, NPAGES + 1, 0, &page), LINUX_EBUSY);
    assert_int_equal(test_alloc(&policy, &memory, UINT64_MAX, 0, &page), LINUX_EBUSY);
    assert_int_equal(memory.nbegun, 0);
    /* To the end of the area, once. */
    assert_int_equal(test_alloc(&policy, &memory, 256, 8, &page), LINUX_EBUSY);
    assert_int_equal(memory.nbegun, NPAGES / 256);
    /* No memory to move to ends the request at the first window. */
    memory.migrate_error = LINUX_ENOMEM;
    assert_int_equal(test_alloc(&policy, &memory, 256, 8, &page), LINUX_ENOMEM);
    assert_int_equal(memory.nbegun, 1);
    assert_int_equal(memory.nbatches, 1);
    assert_int_equal(policy.available, NPAGES);
    assert_int_equal(page, 77);
    policy_linux_free(&policy);
}

static void window_that_was_lost_at_the_end_is_given_up(void **state)
{
    static struct test_memory memory;
    struct policy_linux policy;
    uint64_t page = 77;

    (void)state;
    memset(&memory, 0, sizeof(memory));
    memory.end_error = LINUX_EBUSY;
    assert_int_equal(policy_linux_init(&policy, 0, NPAGES), 0);
    assert_int_equal(test_alloc(&policy, &memory, 16, 4, &page), 0);
    assert_int_equal(page, 16);
    assert_int_equal(policy.windows_left, 1);
    assert_int_equal(policy.available, NPAGES - 16);
    /* The bits of the lost one are clear again. */
    assert_int_equal(test_alloc(&policy, &memory, 16, 4, &page), 0);
    assert_int_equal(page, 0);
    policy_linux_free(&policy);
}

static void orders_are_those_of_dma_alloc_coherent(void **state)
{
    static const struct {
        uint64_t npages;
        uint32_t order;
    } cases[] = {{1, 0}, {2, 1}, {3, 2}, {113, 7}, {128, 7}, {129, 8}, {760, 8}, {UINT64_MAX, 8}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        assert_int_equal(policy_linux_order(cases[i].npages), cases[i].order);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lowest_aligned_run_is_taken),
        cmocka_unit_test(movable_pages_go_in_batches),
        cmocka_unit_test(held_page_costs_five_tries_and_the_window),
        cmocka_unit_test(page_that_leaves_in_time_costs_nothing),
        cmocka_unit_test(errors_are_linux_s),
        cmocka_unit_test(window_that_was_lost_at_the_end_is_given_up),
        cmocka_unit_test(orders_are_those_of_dma_alloc_coherent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
