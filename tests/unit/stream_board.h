/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream_board.h - a port and a bounce pool that write down what is asked of them
 *
 * For tests of streaming mappings: no memory at all, only addresses. Every hook adds a line to a
 * log, and tests compare the log. The pool gives slots of 4 KiB one behind the other and remembers
 * them, as a real one would.
 */
#ifndef TEST_STREAM_BOARD_H
#define TEST_STREAM_BOARD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <cma/bounce.h>

#include "../../src/dma/device.h"

#define LINE 64u
#define PAGE 0x1000u
#define POOL UINT64_C(0x100000)
#define POOL_NBYTES UINT64_C(0x10000)
#define RAM UINT64_C(0x80000000)
#define RAM_NPAGES 0x1000u
#define VADDR ((uintptr_t)0x40000000)

struct stream_slot {
    cma_paddr_t paddr, bounced;
    uint64_t nbytes;
    enum cma_direction direction;
    const struct cma_device *device;
};

static struct stream_board {
    char log[4096];
    struct cma_port port;
    struct cma_span span;
    struct cma_frames frames;
    struct cma_dma dma;
    struct cma_bounce bounce, other;
    struct stream_slot slots[16];
    uint32_t nslots, nlive;
    uint64_t next;       /* where the pool's next mapping begins, in it */
    uint32_t full_after; /* mappings; 0: never full */
} board;

static void board_say(const char *what, uint64_t at, uint64_t nbytes)
{
    size_t used = strlen(board.log);

    snprintf(board.log + used, sizeof(board.log) - used, "%s %llx+%llx\n", what,
             (unsigned long long)at, (unsigned long long)nbytes);
}

#define assert_log(text)                        \
    do {                                        \
        assert_string_equal(board.log, (text)); \
        board.log[0] = '\0';                    \
    } while (0)

static void board_clean(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx;
    board_say("clean", paddr, nbytes);
}

static void board_invalidate(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx;
    board_say("drop", paddr, nbytes);
}

static void board_barrier(void *ctx)
{
    size_t used = strlen(board.log);

    (void)ctx;
    snprintf(board.log + used, sizeof(board.log) - used, "barrier\n");
}

/* 16 pages from VADDR on; the ninth is elsewhere, the twelfth uncached, the fourteenth missing. */
static int board_lookup(void *ctx, const void *vaddr, cma_paddr_t *paddr, enum cma_attr *attr)
{
    uint64_t page = ((uintptr_t)vaddr - VADDR) / PAGE;

    (void)ctx;
    if ((uintptr_t)vaddr < VADDR || page >= 16 || page == 13) {
        return CMA_ENOENT;
    }
    *paddr = RAM + (page == 8 ? 100 : page) * PAGE + ((uintptr_t)vaddr & (PAGE - 1));
    *attr = page == 11 ? CMA_ATTR_UNCACHED : CMA_ATTR_CACHED;
    return 0;
}

static struct stream_slot *board_slot(cma_paddr_t bounced)
{
    for (uint32_t i = 0; i < board.nslots; i++) {
        struct stream_slot *slot = &board.slots[i];

        if (slot->nbytes != 0 && bounced >= slot->bounced &&
            bounced - slot->bounced < slot->nbytes) {
            return slot;
        }
    }
    return NULL;
}

static int pool_map(struct cma_bounce *bounce, const struct cma_device *device, cma_paddr_t paddr,
                    uint64_t nbytes, enum cma_direction direction, uint32_t flags,
                    cma_paddr_t *bounced, struct cma_refusal *refusal)
{
    struct stream_slot *slot = &board.slots[board.nslots];

    assert_ptr_equal(bounce, &board.bounce);
    assert_non_null(refusal);
    if (board.full_after != 0 && board.nlive == board.full_after) {
        refusal->reason = CMA_REASON_BOUNCE;
        return CMA_ENOMEM;
    }
    assert_true(board.nslots < 16 && board.next + nbytes <= POOL_NBYTES);
    *slot = (struct stream_slot){paddr, bounce->paddr + board.next, nbytes, direction, device};
    *bounced = slot->bounced;
    board.next += (nbytes + PAGE - 1) / PAGE * PAGE;
    board.nslots++;
    board.nlive++;
    board_say((flags & CMA_MAP_SKIP_SYNC) != 0 ? "take" : "fill", *bounced, nbytes);
    return 0;
}

static bool pool_holds(const struct cma_bounce *bounce, cma_paddr_t bounced)
{
    return bounced >= bounce->paddr && bounced - bounce->paddr < POOL_NBYTES;
}

static int pool_judge(struct cma_bounce *bounce, const struct cma_device *device,
                      cma_paddr_t bounced, uint64_t nbytes, enum cma_direction direction,
                      bool whole)
{
    struct stream_slot *slot = board_slot(bounced);

    assert_ptr_equal(bounce, &board.bounce);
    if (slot == NULL) {
        return CMA_ENOENT;
    }
    if (slot->device != device) {
        return CMA_EPERM;
    }
    if (slot->direction != direction || nbytes > slot->nbytes - (bounced - slot->bounced) ||
        (whole && (slot->bounced != bounced || slot->nbytes != nbytes))) {
        return CMA_EINVAL;
    }
    return 0;
}

static void pool_copy(struct cma_bounce *bounce, cma_paddr_t bounced, uint64_t nbytes, bool to_cpu)
{
    assert_ptr_equal(bounce, &board.bounce);
    assert_non_null(board_slot(bounced));
    board_say(to_cpu ? "out" : "in", bounced, nbytes);
}

static void pool_unmap(struct cma_bounce *bounce, cma_paddr_t bounced)
{
    struct stream_slot *slot = board_slot(bounced);

    assert_ptr_equal(bounce, &board.bounce);
    assert_non_null(slot);
    assert_true(slot->bounced == bounced);
    board_say("free", bounced, slot->nbytes);
    slot->nbytes = 0;
    board.nlive--;
}

static uint64_t pool_nbytes_max(const struct cma_bounce *bounce, const struct cma_device *device)
{
    (void)bounce;
    (void)device;
    return POOL_NBYTES;
}

static const struct cma_bounce_ops pool_ops = {pool_map,   pool_holds,      pool_judge, pool_copy,
                                               pool_unmap, pool_nbytes_max, NULL};

/* A layer with RAM_NPAGES pages of memory at RAM, and with `bounced` a pool at POOL. */
static void board_create(bool bounced)
{
    memset(&board, 0, sizeof(board));
    board.port.page_shift = 12;
    board.port.cache_line_nbytes = LINE;
    board.port.clean = board_clean;
    board.port.invalidate = board_invalidate;
    board.port.dma_barrier = board_barrier;
    board.port.lookup = board_lookup;
    board.span.pfn = RAM / PAGE;
    board.span.npages = RAM_NPAGES;
    board.frames.port = &board.port;
    board.frames.spans = &board.span;
    board.frames.nspans = 1;
    assert_int_equal(cma_dma_init(&board.dma, &board.frames, NULL, NULL), 0);
    board.bounce.ops = &pool_ops;
    board.bounce.paddr = POOL;
    board.other.ops = &pool_ops;
    board.other.paddr = POOL + POOL_NBYTES;
    board.dma.bounce = bounced ? &board.bounce : NULL;
}

static struct cma_device_config board_config(cma_daddr_t mask, uint32_t flags)
{
    return (struct cma_device_config){.name = "dev", .owner = 7, .mask = mask, .flags = flags};
}

static inline void board_device(struct cma_device *device, cma_daddr_t mask, uint32_t flags)
{
    struct cma_device_config config = board_config(mask, flags);

    assert_int_equal(cma_device_init(device, &board.dma, &config), 0);
}

#endif
