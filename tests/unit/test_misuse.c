/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_misuse.c - the misuse checker against naive oracles, at its limits, and in words
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../support/driver_board.h"

#define NIC (&board.nic.cma)
#define CAM (&board.cam.cma)
#define OWN CMA_MAP_OWN_LINES
#define LINE 64u

static uint32_t count(enum cma_misuse_kind kind)
{
    return cma_misuse_count(&board.misuse, kind);
}

static uint32_t all_reports(void)
{
    return count(CMA_MISUSE_NONE);
}

static cma_daddr_t map(struct cma_device *device, cma_paddr_t paddr, uint64_t nbytes,
                       enum cma_direction direction, uint32_t flags)
{
    cma_daddr_t daddr;

    assert_int_equal(cma_dma_map(device, paddr, nbytes, direction, flags, &daddr, NULL), 0);
    return daddr;
}

static void unmap(struct cma_device *device, cma_daddr_t daddr, uint64_t nbytes,
                  enum cma_direction direction, uint32_t flags)
{
    assert_int_equal(cma_dma_unmap(device, daddr, nbytes, direction, flags), 0);
}

/* --- cache lines ------------------------------------------------------------------------- */

/* Case 44, H16: two mappings in a few cache lines, all of them, against the plain rule: both are in
 * some line, and one of them is written. */
static void test_case_44_overlap_exhaustive(void **state)
{
    const uint32_t ncells = 12, cell = 16; /* three lines */
    struct mem mem;

    (void)state;
    board_create(16, 256, 0);
    mem = mem_get(1);
    for (uint32_t i = 0; i < ncells * ncells * ncells * ncells; i++) {
        uint32_t a = i % ncells, a_last = i / ncells % ncells;
        uint32_t b = i / ncells / ncells % ncells, b_last = i / ncells / ncells / ncells;
        enum cma_direction a_direction = (enum cma_direction)(i % 3);
        enum cma_direction b_direction = (enum cma_direction)((i / 7) % 3);
        uint64_t a_nbytes = (a_last - a + 1) * cell, b_nbytes = (b_last - b + 1) * cell;
        uint32_t before = all_reports();
        cma_daddr_t a_daddr, b_daddr;
        bool meet =
            a * cell / LINE <= b_last * cell / LINE && b * cell / LINE <= a_last * cell / LINE;
        bool wrong = meet && (a_direction != CMA_TO_DEVICE || b_direction != CMA_TO_DEVICE);

        if (a_last < a || b_last < b)
            continue;
        a_daddr = map(NIC, mem.paddr + a * cell, a_nbytes, a_direction, OWN);
        b_daddr = map(&board.dma.cma, mem.paddr + b * cell, b_nbytes, b_direction, OWN);
        if (all_reports() - before != wrong)
            fail_msg("%u-%u and %u-%u, directions %d, %d", a, a_last, b, b_last, a_direction,
                     b_direction);
        unmap(NIC, a_daddr, a_nbytes, a_direction, OWN);
        unmap(&board.dma.cma, b_daddr, b_nbytes, b_direction, OWN);
    }
    assert_int_equal(count(CMA_MISUSE_OVERLAP), all_reports());
    assert_true(all_reports() > 1000);
    board_destroy();
}

/* Case 44: what was taken off is off, and nothing else. */
static void test_case_44_overlap_after_unmap(void **state)
{
    struct mem mem;
    cma_daddr_t a, b, c;

    (void)state;
    board_create(16, 256, 0);
    mem = mem_get(1);
    a = map(NIC, mem.paddr, 128, CMA_FROM_DEVICE, 0);
    b = map(NIC, mem.paddr + 128, 128, CMA_FROM_DEVICE, 0);
    unmap(NIC, a, 128, CMA_FROM_DEVICE, 0);
    c = map(NIC, mem.paddr + 64, 64, CMA_FROM_DEVICE, 0);
    assert_int_equal(all_reports(), 0);
    unmap(NIC, c, 64, CMA_FROM_DEVICE, 0);
    c = map(NIC, mem.paddr + 64, 128, CMA_FROM_DEVICE, 0);
    assert_int_equal(count(CMA_MISUSE_OVERLAP), 1);
    unmap(NIC, b, 128, CMA_FROM_DEVICE, 0);
    unmap(NIC, c, 128, CMA_FROM_DEVICE, 0);
    a = map(NIC, mem.paddr, PAGE, CMA_BIDIRECTIONAL, 0);
    assert_int_equal(all_reports(), 1);
    unmap(NIC, a, PAGE, CMA_BIDIRECTIONAL, 0);
    board_destroy();
}

/* Case 44: what is bounced is written byte by byte, so bytes count, across the end of a line too.
 */
static void test_case_44_overlap_of_bounced(void **state)
{
    struct mem mem;

    (void)state;
    board_create(16, 256, 0);
    mem = mem_get(1);
    for (uint32_t i = 0; i < 6 * 6 * 6 * 6; i++) {
        uint32_t a = i % 6, a_last = i / 6 % 6, b = i / 36 % 6, b_last = i / 216;
        uint32_t before = all_reports();
        cma_daddr_t a_daddr, b_daddr;

        if (a_last < a || b_last < b)
            continue;
        a_daddr = map(NIC, mem.paddr + 61 + a, a_last - a + 1, CMA_FROM_DEVICE, 0);
        b_daddr = map(NIC, mem.paddr + 61 + b, b_last - b + 1, CMA_FROM_DEVICE, 0);
        assert_int_equal(all_reports() - before, a <= b_last && b <= a_last);
        unmap(NIC, a_daddr, a_last - a + 1, CMA_FROM_DEVICE, 0);
        unmap(NIC, b_daddr, b_last - b + 1, CMA_FROM_DEVICE, 0);
    }
    assert_int_equal(count(CMA_MISUSE_OVERLAP), all_reports());
    board_destroy();
}

/* H16: nothing is wrong with neighbours in a line of a device that snoops, or that are bounced. */
static void test_h16_harmless_neighbours(void **state)
{
    struct mem mem;
    cma_daddr_t a, b;

    (void)state;
    board_create(16, 256, 0);
    mem = mem_get(1);
    a = map(CAM, mem.paddr, 32, CMA_FROM_DEVICE, 0);
    b = map(CAM, mem.paddr + 32, 32, CMA_FROM_DEVICE, 0);
    unmap(CAM, a, 32, CMA_FROM_DEVICE, 0);
    unmap(CAM, b, 32, CMA_FROM_DEVICE, 0);
    a = map(NIC, mem.paddr, 32, CMA_FROM_DEVICE, 0);
    b = map(NIC, mem.paddr + 32, 32, CMA_FROM_DEVICE, 0);
    assert_true(a >= BASE + (NPAGES - POOL_NPAGES) * PAGE); /* in the pool */
    assert_int_equal(all_reports(), 0);
    unmap(NIC, a, 32, CMA_FROM_DEVICE, 0);
    unmap(NIC, b, 32, CMA_FROM_DEVICE, 0);
    assert_int_equal(all_reports(), 0);
    board_destroy();
}

/* Of a line that was synced in part nobody says anything; of others exactly those are missing that
 * were not synced. */
static void test_syncs_of_parts(void **state)
{
    const uint32_t cell = 16;
    struct mem mem;

    (void)state;
    board_create(16, 256, 0);
    mem = mem_get(1);
    for (uint32_t skip = 0; skip < 5; skip++) {
        for (uint32_t n = 1; n <= 14; n++) {
            for (uint32_t from = 0; from < n; from++) {
                for (uint32_t last = from; last < n; last++) {
                    uint32_t before = all_reports(), missing = 0, whole = 0;
                    cma_daddr_t daddr =
                        map(NIC, mem.paddr + skip * cell, n * cell, CMA_FROM_DEVICE, OWN);
                    uint8_t byte;

                    for (uint32_t line = skip / 4; line <= (skip + n - 1) / 4; line++) {
                        uint32_t first = line * 4 < skip ? 0 : line * 4 - skip;
                        uint32_t end = line * 4 + 3 - skip < n ? line * 4 + 3 - skip : n - 1;

                        missing += from > end || last < first;
                        whole += from <= first && last >= end;
                    }
                    assert_int_equal(cma_dma_sync_for_cpu(NIC, daddr + from * cell,
                                                          (last - from + 1) * cell,
                                                          CMA_FROM_DEVICE),
                                     0);
                    for (uint32_t i = 0; i < n * cell; i += 8)
                        drv_read(board.sim, mem.vaddr + skip * cell + i, &byte, 1);
                    if (all_reports() - before != missing)
                        fail_msg("mapped %u+%u, synced %u-%u: %u reports, not %u", skip, n, from,
                                 last, all_reports() - before, missing);
                    /* The device may go on in all but those that are the CPU's as a whole. */
                    before = all_reports();
                    dev_write(&board.nic, daddr, n * cell);
                    assert_int_equal(all_reports() - before, whole != 0);
                    unmap(NIC, daddr, n * cell, CMA_FROM_DEVICE, OWN);
                }
            }
        }
    }
    board_destroy();
}

/* --- many mappings ----------------------------------------------------------------------- */

#define LIVE_MAX 60u

struct naive {
    cma_daddr_t daddr;
    uint64_t nbytes;
    bool live;
};

static bool naive_covered(const struct naive *all, cma_daddr_t at)
{
    for (uint32_t i = 0; i < LIVE_MAX; i++)
        if (all[i].live && at >= all[i].daddr && at - all[i].daddr < all[i].nbytes)
            return true;
    return false;
}

/* Lengths from bytes to pages at any address, in any order: a device is astray where no list that
 * is kept by hand has a mapping, and no unmap is a report. */
static void test_found_among_many(void **state)
{
    struct naive all[LIVE_MAX] = {{0}};
    uint64_t random = 7;
    struct mem mem;

    (void)state;
    board_create(LIVE_MAX + 4, 0, 0);
    mem = mem_get(16);
    for (uint32_t op = 0; op < 60000; op++) {
        uint64_t r = random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        struct naive *one = &all[(r >> 33) % LIVE_MAX];
        uint32_t before = all_reports();

        if (op % 3 == 0 && one->live) {
            unmap(NIC, one->daddr, one->nbytes, CMA_TO_DEVICE, 0);
            one->live = false;
        } else if (op % 3 == 0) {
            one->nbytes = 1 + (r >> 20) % (UINT64_C(1) << (1 + (r >> 8) % 14));
            one->daddr = map(NIC, mem.paddr + (r >> 40) % (16 * PAGE - one->nbytes), one->nbytes,
                             CMA_TO_DEVICE, 0);
            one->live = true;
        } else {
            cma_daddr_t at = mem.paddr + (r >> 40) % (15 * PAGE);
            uint64_t nbytes = 1 + (r >> 20) % 40;
            bool right = true;

            for (uint64_t i = 0; i < nbytes; i++)
                right = right && naive_covered(all, at + i);
            dev_read(&board.nic, at, nbytes);
            assert_int_equal(all_reports() - before, !right);
            continue;
        }
        assert_int_equal(all_reports(), before);
    }
    assert_int_equal(cma_misuse_unseen(&board.misuse), 0);
    assert_true(count(CMA_MISUSE_DEVICE_ASTRAY) > 1000);
    board_destroy();
}

/* Case 45, H7: every other length, and every address inside, is refused a name. */
static void test_case_45_h7_other_sizes(void **state)
{
    struct mem mem;

    (void)state;
    board_create(16, 0, 0);
    mem = mem_get(1);
    for (uint64_t nbytes = 1; nbytes <= 300; nbytes++) {
        uint32_t sizes = count(CMA_MISUSE_SIZE), inside = count(CMA_MISUSE_UNKNOWN);
        cma_daddr_t daddr = map(CAM, mem.paddr, 200, CMA_FROM_DEVICE, 0);

        unmap(CAM, daddr, nbytes, CMA_FROM_DEVICE, 0);
        assert_int_equal(count(CMA_MISUSE_SIZE) - sizes, nbytes != 200);
        daddr = map(CAM, mem.paddr, 200, CMA_FROM_DEVICE, 0);
        if (nbytes < 200) {
            unmap(CAM, daddr + nbytes, 200 - nbytes, CMA_FROM_DEVICE, 0);
            assert_int_equal(count(CMA_MISUSE_UNKNOWN) - inside, 1);
        }
        unmap(CAM, daddr, 200, CMA_FROM_DEVICE, 0);
    }
    assert_int_equal(all_reports(), count(CMA_MISUSE_SIZE) + count(CMA_MISUSE_UNKNOWN));
    board_destroy();
}

/* Two devices read one buffer, and one device twice: each end finds its own. */
static void test_same_address_twice(void **state)
{
    struct mem mem;
    cma_daddr_t a, b, c;

    (void)state;
    board_create(16, 0, 0);
    mem = mem_get(1);
    a = map(NIC, mem.paddr, 512, CMA_TO_DEVICE, 0);
    b = map(NIC, mem.paddr, 1024, CMA_TO_DEVICE, 0);
    c = map(CAM, mem.paddr, 512, CMA_TO_DEVICE, 0);
    dev_read(&board.nic, b, 1024);
    unmap(NIC, b, 1024, CMA_TO_DEVICE, 0);
    dev_read(&board.nic, a, 512);
    unmap(NIC, a, 512, CMA_TO_DEVICE, 0);
    dev_read(&board.cam, c, 512);
    unmap(CAM, c, 512, CMA_TO_DEVICE, 0);
    assert_int_equal(all_reports(), 0);
    board_destroy();
}

/* --- limits ------------------------------------------------------------------------------ */

static void test_more_than_there_is_room_for(void **state)
{
    struct mem mem;
    cma_daddr_t daddr[6];

    (void)state;
    board_create(4, 0, 0);
    mem = mem_get(6);
    for (uint32_t i = 0; i < 6; i++)
        daddr[i] = map(NIC, mem.paddr + i * PAGE, 64, CMA_FROM_DEVICE, 0);
    assert_int_equal(cma_misuse_unseen(&board.misuse), 2);
    dev_write(&board.nic, daddr[5], 64);
    for (uint32_t i = 6; i-- > 0;)
        unmap(NIC, daddr[i], 64, CMA_FROM_DEVICE, 0);
    assert_int_equal(all_reports(), 0);
    board_destroy();
}

/* Too few lines: such a mapping is known, and its lines are nobody's. */
static void test_more_lines_than_there_are(void **state)
{
    struct mem mem;
    cma_daddr_t a, b;
    uint8_t byte;

    (void)state;
    board_create(8, 10, 0);
    mem = mem_get(2);
    a = map(NIC, mem.paddr, 8 * LINE, CMA_FROM_DEVICE, 0);
    b = map(NIC, mem.paddr + PAGE, 3 * LINE, CMA_FROM_DEVICE, 0);
    assert_int_equal(cma_misuse_unseen(&board.misuse), 1);
    drv_read(board.sim, mem.vaddr + PAGE, &byte, 1);
    assert_int_equal(all_reports(), 0);
    drv_read(board.sim, mem.vaddr, &byte, 1);
    assert_int_equal(count(CMA_MISUSE_CPU_READS), 1);
    unmap(NIC, a, 8 * LINE, CMA_FROM_DEVICE, 0);
    unmap(NIC, b, 3 * LINE, CMA_FROM_DEVICE, 0);
    /* All lines are there again, also those that an ended mapping watches on. */
    a = map(NIC, mem.paddr, 10 * LINE, CMA_FROM_DEVICE, 0);
    assert_int_equal(cma_dma_unmap(NIC, a, 10 * LINE, CMA_FROM_DEVICE, CMA_MAP_SKIP_SYNC), 0);
    b = map(NIC, mem.paddr + PAGE, 10 * LINE, CMA_FROM_DEVICE, 0);
    drv_read(board.sim, mem.vaddr + PAGE + 9 * LINE, &byte, 1);
    assert_int_equal(count(CMA_MISUSE_CPU_READS), 2);
    assert_int_equal(cma_misuse_unseen(&board.misuse), 1);
    unmap(NIC, b, 10 * LINE, CMA_FROM_DEVICE, 0);
    board_destroy();
}

/* Ended mappings are remembered until their place is needed, the oldest last. */
static void test_what_ended_is_forgotten_in_order(void **state)
{
    struct mem mem;
    cma_daddr_t daddr[6];

    (void)state;
    board_create(4, 0, 0);
    mem = mem_get(6);
    for (uint32_t i = 0; i < 6; i++) {
        daddr[i] = map(NIC, mem.paddr + i * PAGE, 64, CMA_FROM_DEVICE, 0);
        unmap(NIC, daddr[i], 64, CMA_FROM_DEVICE, 0);
    }
    for (uint32_t i = 0; i < 6; i++) {
        unmap(NIC, daddr[i], 64, CMA_FROM_DEVICE, 0);
        assert_int_equal(count(CMA_MISUSE_UNKNOWN), i < 2 ? i + 1 : 2);
    }
    assert_int_equal(count(CMA_MISUSE_TWICE), 4);
    board_destroy();
}

/* As Linux's documents allow it: no sync_for_device after the CPU has only read. */
static void test_unwritten_lines_need_no_sync(void **state)
{
    uint8_t byte = 0;
    struct mem mem;
    cma_daddr_t a;

    (void)state;
    board_create(8, 0, CMA_MISUSE_UNWRITTEN);
    mem = mem_get(1);
    a = map(NIC, mem.paddr, 512, CMA_BIDIRECTIONAL, 0);
    dev_write(&board.nic, a, 512);
    assert_int_equal(cma_dma_sync_for_cpu(NIC, a, 512, CMA_BIDIRECTIONAL), 0);
    drv_read(board.sim, mem.vaddr, &byte, 1);
    dev_read(&board.nic, a, 512);
    dev_write(&board.nic, a, 64);
    assert_int_equal(all_reports(), 0);
    drv_read(board.sim, mem.vaddr + 64, &byte, 1);
    assert_int_equal(all_reports(), 0);
    /* What it wrote is the device's again. */
    drv_read(board.sim, mem.vaddr, &byte, 1);
    assert_int_equal(count(CMA_MISUSE_CPU_READS), 1);
    drv_write(board.sim, mem.vaddr + 64, &byte, 1);
    dev_write(&board.nic, a, 512);
    assert_int_equal(count(CMA_MISUSE_DEVICE_WRITES), 1);
    assert_int_equal(all_reports(), 2);
    unmap(NIC, a, 512, CMA_BIDIRECTIONAL, 0);
    board_destroy();
}

/* A lost line is reported when it is read, not before, and not after it was written. */
static void test_lost_lines_are_watched(void **state)
{
    uint8_t bytes[128] = {0};
    struct mem mem;
    cma_daddr_t a;

    (void)state;
    board_create(8, 0, 0);
    mem = mem_get(1);
    for (int i = 0; i < 3; i++) {
        a = map(NIC, mem.paddr, 512, CMA_FROM_DEVICE, 0);
        assert_int_equal(cma_dma_sync_for_cpu(NIC, a, 512, CMA_FROM_DEVICE), 0);
        drv_write(board.sim, mem.vaddr, bytes, 128); /* scratch */
        unmap(NIC, a, 512, CMA_FROM_DEVICE, 0);
        assert_int_equal(all_reports(), 0);
        if (i == 0)
            drv_write(board.sim, mem.vaddr, bytes, 128);
        if (i != 1) /* the next mapping ends the watch */
            drv_read(board.sim, mem.vaddr + (i == 0 ? 0 : 256), bytes, 128);
    }
    assert_int_equal(all_reports(), 0);
    drv_read(board.sim, mem.vaddr, bytes, 1);
    drv_read(board.sim, mem.vaddr, bytes, 1);
    assert_int_equal(count(CMA_MISUSE_UNSEEN), 1);
    /* Another device's mapping ends the watch too. */
    a = map(NIC, mem.paddr, 512, CMA_FROM_DEVICE, 0);
    assert_int_equal(cma_dma_sync_for_cpu(NIC, a, 512, CMA_FROM_DEVICE), 0);
    drv_write(board.sim, mem.vaddr, bytes, 128);
    unmap(NIC, a, 512, CMA_FROM_DEVICE, 0);
    a = map(CAM, mem.paddr, 512, CMA_FROM_DEVICE, 0);
    unmap(CAM, a, 512, CMA_FROM_DEVICE, 0);
    drv_read(board.sim, mem.vaddr, bytes, 128);
    assert_int_equal(all_reports(), 1);
    board_destroy();
}

/* --- beginning, end, words --------------------------------------------------------------- */

static void test_init(void **state)
{
    struct cma_misuse_config config = {.nentries = 4};
    static uint64_t storage[1024];
    struct cma_misuse other;
    uint64_t nbytes = cma_misuse_size(&config);

    (void)state;
    board_create(4, 0, 0);
    assert_true(nbytes != 0 && nbytes <= sizeof(storage));
    assert_int_equal(cma_misuse_init(&other, &board.system.dma, &config, storage, nbytes),
                     CMA_EEXIST);
    cma_misuse_exit(&board.misuse);
    assert_int_equal(cma_misuse_init(&other, &board.system.dma, &config, storage, nbytes - 1),
                     CMA_ENOMEM);
    assert_int_equal(
        cma_misuse_init(&other, &board.system.dma, &config, (uint8_t *)storage + 4, nbytes),
        CMA_EINVAL);
    assert_int_equal(cma_misuse_init(&other, &board.system.dma, &config, storage, nbytes), 0);
    cma_misuse_exit(&other);
    config.flags = 2;
    assert_int_equal(cma_misuse_size(&config), 0);
    config = (struct cma_misuse_config){.nentries = 0};
    assert_int_equal(cma_misuse_size(&config), 0);
    config.nentries = UINT32_C(1) << 28;
    assert_int_equal(cma_misuse_size(&config), 0);
    config.nlines = 64;
    assert_true(cma_misuse_size(&config) > UINT64_C(1) << 32);
    board_destroy();
}

/* Nobody looks: the calls are the calls. */
static void test_nobody_looks(void **state)
{
    struct mem mem;
    cma_daddr_t a;

    (void)state;
    board_create(4, 0, 0);
    sim_watch(board.sim, NULL);
    cma_misuse_exit(&board.misuse);
    mem = mem_get(1);
    a = map(NIC, mem.paddr, 512, CMA_BIDIRECTIONAL, 0);
    assert_true(a == mem.paddr);
    assert_int_equal(cma_dma_sync_for_cpu(NIC, a, 512, CMA_TO_DEVICE), 0);
    unmap(NIC, a, 512, CMA_FROM_DEVICE, 0);
    unmap(NIC, a, 512, CMA_FROM_DEVICE, 0);
    assert_int_equal(all_reports(), 0);
    board_destroy();
}

static void test_sentences(void **state)
{
    struct cma_misuse_report report = {.kind = CMA_MISUSE_CPU_READS,
                                       .site = {"rx.c", 88},
                                       .other = {"rx.c", 70},
                                       .device = "nic",
                                       .daddr = 0x80001040,
                                       .nbytes = 64,
                                       .direction = CMA_FROM_DEVICE};
    const char *whole = "rx.c:88: nic: the CPU reads what the device has: sync_for_cpu or unmap is "
                        "missing before it (64 bytes at 0x80001040, from device); mapped at "
                        "rx.c:70";
    char text[256];

    (void)state;
    assert_int_equal(cma_misuse_sentence(&report, text, sizeof(text)), strlen(whole));
    assert_string_equal(text, whole);
    for (uint32_t n = 1; n < 180; n++) {
        uint32_t length = cma_misuse_sentence(&report, text, n);

        assert_int_equal(length, n - 1 < strlen(whole) ? n - 1 : strlen(whole));
        assert_int_equal(strlen(text), length);
        assert_memory_equal(text, whole, length);
    }
    text[0] = 'x';
    assert_int_equal(cma_misuse_sentence(&report, text, 0), 0);
    assert_int_equal(text[0], 'x');
    for (uint32_t kind = 0; kind < CMA_MISUSE_KINDS; kind++)
        assert_true(strlen(cma_misuse_name((enum cma_misuse_kind)kind)) > 5);
    assert_string_equal(cma_misuse_name(CMA_MISUSE_KINDS), "no such report");
    assert_int_equal(cma_misuse_count(&board.misuse, CMA_MISUSE_KINDS), 0);
}

/* --- who tells --------------------------------------------------------------------------- */

struct told {
    cma_paddr_t paddr[8];
    uint64_t nbytes[8];
    const char *file;
    uint32_t line, n;
};

static void told_cpu(void *ctx, cma_paddr_t paddr, uint64_t nbytes, bool write, const char *file,
                     uint32_t line)
{
    struct told *told = ctx;

    (void)write;
    assert_true(told->n < 8);
    told->paddr[told->n] = paddr;
    told->nbytes[told->n++] = nbytes;
    told->file = file;
    told->line = line;
}

/* An access is told in pieces that are contiguous in physical memory, with its place. */
static void test_told_by_physical_address(void **state)
{
    const struct cma_port *port;
    struct told told = {.n = 0};
    struct sim_watch watch = {told_cpu, NULL, &told};
    static uint8_t bytes[3 * PAGE];
    struct mem mem;
    uint32_t line;
    void *vaddr;

    (void)state;
    board_create(4, 0, 0);
    port = sim_port(board.sim);
    mem = mem_get(4);
    assert_int_equal(port->map(port->ctx, mem.paddr, 2 * PAGE, CMA_ATTR_CACHED, &vaddr), 0);
    assert_int_equal(port->map(port->ctx, mem.paddr + 3 * PAGE, PAGE, CMA_ATTR_CACHED, &vaddr), 0);
    sim_watch(board.sim, &watch);
    /* The last of three pages that follow each other in addresses is elsewhere in memory. */
    line = __LINE__ + 1;
    drv_read(board.sim, (uint8_t *)vaddr - 2 * PAGE + 100, bytes, 2 * PAGE);
    assert_int_equal(told.n, 2);
    assert_true(told.paddr[0] == mem.paddr + 100 && told.nbytes[0] == 2 * PAGE - 100);
    assert_true(told.paddr[1] == mem.paddr + 3 * PAGE && told.nbytes[1] == 100);
    assert_string_equal(told.file, __FILE__);
    assert_int_equal(told.line, line);
    sim_read(board.sim, mem.vaddr, bytes, 4);
    assert_null(told.file);
    told.n = 0;
    sim_read_paddr(board.sim, mem.paddr, bytes, 4);
    dev_read(&board.nic, mem.paddr, 4);
    assert_int_equal(told.n, 0);
    board_destroy();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_case_44_overlap_exhaustive),
        cmocka_unit_test(test_case_44_overlap_after_unmap),
        cmocka_unit_test(test_case_44_overlap_of_bounced),
        cmocka_unit_test(test_h16_harmless_neighbours),
        cmocka_unit_test(test_syncs_of_parts),
        cmocka_unit_test(test_found_among_many),
        cmocka_unit_test(test_case_45_h7_other_sizes),
        cmocka_unit_test(test_same_address_twice),
        cmocka_unit_test(test_more_than_there_is_room_for),
        cmocka_unit_test(test_more_lines_than_there_are),
        cmocka_unit_test(test_what_ended_is_forgotten_in_order),
        cmocka_unit_test(test_unwritten_lines_need_no_sync),
        cmocka_unit_test(test_lost_lines_are_watched),
        cmocka_unit_test(test_init),
        cmocka_unit_test(test_nobody_looks),
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_told_by_physical_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
