/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * policy_linux.c - the engine: a bitmap, a stride, batches
 *
 * While callbacks run, other requests may come: the bits of a window are set first, so that they go
 * elsewhere, and nothing read before a callback is used after it.
 */
#include "policy_linux.h"

#include <stdlib.h>

#define WORD_BITS 64u
#define NO_PAGE UINT64_MAX

int policy_linux_init(struct policy_linux *policy, uint64_t first_pfn, uint64_t npages)
{
    *policy = (struct policy_linux){
        .bits = calloc(npages / WORD_BITS + 1, sizeof(uint64_t)),
        .first_pfn = first_pfn,
        .npages = npages,
        .available = npages,
    };
    return policy->bits != NULL ? 0 : -1;
}

void policy_linux_free(struct policy_linux *policy)
{
    free(policy->bits);
    policy->bits = NULL;
}

uint32_t policy_linux_order(uint64_t npages)
{
    uint32_t order = 0;

    while (order < LINUX_ORDER_MAX && (UINT64_C(1) << order) < npages)
        order++;
    return order;
}

/* The bits of [first, last] that lie in the word of `at`, and where the next word begins. */
static uint64_t linux_mask(uint64_t at, uint64_t last, uint64_t *next)
{
    uint64_t low = at % WORD_BITS, word_last = at - low + (WORD_BITS - 1);
    uint64_t top = word_last < last ? WORD_BITS - 1 : last % WORD_BITS;

    *next = word_last + 1;
    return (UINT64_MAX << low) & (UINT64_MAX >> (WORD_BITS - 1 - top));
}

static void linux_mark(struct policy_linux *policy, uint64_t first, uint64_t npages, bool set)
{
    uint64_t last = first + (npages - 1), next;

    for (uint64_t at = first; at <= last; at = next) {
        uint64_t mask = linux_mask(at, last, &next);

        if (set)
            policy->bits[at / WORD_BITS] |= mask;
        else
            policy->bits[at / WORD_BITS] &= ~mask;
    }
    policy->available += set ? 0 - npages : npages;
}

/* The highest set bit of [first, last], or NO_PAGE. */
static uint64_t linux_last_set(const struct policy_linux *policy, uint64_t first, uint64_t last)
{
    uint64_t found = NO_PAGE, next;

    for (uint64_t at = first; at <= last; at = next) {
        uint64_t word = policy->bits[at / WORD_BITS] & linux_mask(at, last, &next);

        if (word != 0)
            found = at / WORD_BITS * WORD_BITS +
                    (WORD_BITS - 1 - (uint64_t)__builtin_clzll((unsigned long long)word));
    }
    return found;
}

/* The lowest aligned run of clear bits at or above `start`, or NO_PAGE. */
static uint64_t linux_search(const struct policy_linux *policy, uint64_t start, uint64_t npages,
                             uint64_t align)
{
    for (uint64_t at = start;;) {
        uint64_t set;

        at += (0 - (policy->first_pfn + at)) & (align - 1);
        if (at >= policy->npages || npages > policy->npages - at)
            return NO_PAGE;
        set = linux_last_set(policy, at, at + (npages - 1));
        if (set == NO_PAGE)
            return at;
        at = set + 1;
    }
}

/* One batch: five tries. */
static int linux_batch(const struct linux_memory *memory, uint64_t first, uint64_t npages)
{
    for (int tries = 0; tries < LINUX_TRIES; tries++) {
        int64_t left = memory->migrate(memory->ctx, first, npages);

        if (left < 0)
            return LINUX_ENOMEM;
        if (left == 0)
            return 0;
    }
    return LINUX_EBUSY;
}

/* Empties a window from its first page to its last. It is not known whether that is possible. */
static int linux_empty(const struct linux_memory *memory, uint64_t first, uint64_t npages)
{
    uint64_t at = first, after = first + npages;
    int error = 0;

    while (at < after && error == 0) {
        uint64_t next = at;
        uint32_t count = 0;

        while (next < after && count < LINUX_BATCH)
            count += memory->used(memory->ctx, next++);
        if (count != 0)
            error = linux_batch(memory, at, next - at);
        at = next;
    }
    return error;
}

int policy_linux_alloc(struct policy_linux *policy, const struct linux_memory *memory,
                       uint64_t npages, uint32_t order, uint64_t *page)
{
    uint64_t align = UINT64_C(1) << order, start = 0;

    if (npages == 0)
        return LINUX_ENOMEM;
    while (npages <= policy->available) {
        uint64_t at = linux_search(policy, start, npages, align);
        int error;

        if (at == NO_PAGE)
            break;
        linux_mark(policy, at, npages, true);
        policy->windows++;
        memory->begin(memory->ctx, at, npages);
        error = linux_empty(memory, at, npages);
        if (error == 0)
            error = memory->end(memory->ctx, at, npages, 0);
        else
            memory->end(memory->ctx, at, npages, error);
        if (error == 0) {
            *page = at;
            return 0;
        }
        policy->windows_left++;
        linux_mark(policy, at, npages, false);
        if (error != LINUX_EBUSY)
            return error;
        start = at + align;
    }
    return LINUX_EBUSY;
}

void policy_linux_release(struct policy_linux *policy, uint64_t page, uint64_t npages)
{
    linux_mark(policy, page, npages, false);
}
