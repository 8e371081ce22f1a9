/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_streaming.c - streaming mappings with real data on a simulated board: what the device reads
 * is what the CPU wrote, what the CPU reads is what the device wrote, and nothing beside it changes
 *
 * Six devices: one that doesn't snoop, one that does, one behind a bus that shifts addresses, and
 * the same three with so few address lines that all is bounced. The caches have the worst
 * intentions: while the device has a buffer they fetch lines of it, and lines leave when it hurts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <cma/bounce.h>
#include <cma/system.h>

#include "../../ports/sim/sim.h"
#include "../../ports/sim/simdev.h"

#include "../../src/dma/device.h"

#define PAGE 4096u
#define LINE 64u
#define BASE 0x80000000u
#define NPAGES 2048u
#define AREA_FIRST 256u
#define AREA_NPAGES 256u
#define LOW_LAST (BASE + (AREA_FIRST + AREA_NPAGES) * PAGE - 1) /* what the bounced ones reach */
#define SHIFTED 0x100000u
#define BUFFER_NPAGES 64u
#define BUFFER_NBYTES (BUFFER_NPAGES * PAGE)
#define ROUNDS 150

struct part {
    struct cma_device device;
    struct simdev dev;
    struct cma_bus_window window;
};

static struct bench {
    struct sim *sim;
    struct cma_range memory[2], reserved[4];
    struct cma_map map;
    struct cma_system system;
    void *storage, *pool_storage;
    struct cma_bounce pool;
    struct part parts[6];
    cma_paddr_t buffer;              /* BUFFER_NPAGES pages, out of reach for the bounced ones */
    uint8_t expected[BUFFER_NBYTES]; /* what the CPU must see there */
    uint64_t random;
} * bench;

static uint32_t below(uint32_t n)
{
    bench->random = bench->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(bench->random >> 33) % n;
}

static void make_part(uint32_t index)
{
    struct part *part = &bench->parts[index];
    bool shifted = index % 3 == 2, bounced = index >= 3;
    struct cma_device_config config = {.name = "dev", .owner = 10 + index};
    struct simdev_config dev = {.name = "dev", .snoops = index % 3 == 1, .refuses = true};

    part->window = (struct cma_bus_window){SHIFTED, BASE, (uint64_t)NPAGES * PAGE};
    config.mask = bounced ? LOW_LAST : UINT64_C(0xffffffff);
    if (shifted) {
        config.mask = bounced ? LOW_LAST - BASE + SHIFTED : UINT64_C(0xffffffff);
        config.windows = &part->window;
        config.nwindows = 1;
    }
    config.flags = index % 3 == 1 ? CMA_DEVICE_COHERENT : 0;
    config.segment_nbytes_max = 1024;
    config.segment_boundary_nbytes = 4096;
    dev.windows = config.windows;
    dev.nwindows = config.nwindows;
    dev.daddr_last = config.mask;
    assert_int_equal(cma_device_init(&part->device, &bench->system.dma, &config), 0);
    simdev_init(&part->dev, bench->sim, &dev);
}

static void make_pool(void)
{
    struct cma_bounce_config config = {.name = "pool", .nbytes = 64 * PAGE, .owner = 3};
    uint64_t nbytes;

    config.area = &bench->system.areas[0];
    config.paddr_last = LOW_LAST;
    nbytes = cma_bounce_size(sim_port(bench->sim), &config);
    bench->pool_storage = aligned_alloc(8, (nbytes + 7) / 8 * 8);
    assert_int_equal(cma_bounce_init(&bench->pool, &bench->system.dma, &config, bench->pool_storage,
                                     nbytes, NULL),
                     0);
    cma_bounce_use(&bench->system.dma, &bench->pool);
}

static void make_buffer(void)
{
    struct cma_pages_request request = {.npages = BUFFER_NPAGES};
    cma_pfn_t pfn;

    request.holder.kind = CMA_KIND_UNMOVABLE;
    request.holder.cookie = 77;
    request.paddr_first = LOW_LAST + 1;
    request.paddr_last = CMA_PADDR_MAX;
    assert_int_equal(cma_pages_alloc(&bench->system.pages, &request, &pfn, NULL), 0);
    bench->buffer = pfn * PAGE;
    for (uint32_t i = 0; i < BUFFER_NBYTES; i++) {
        bench->expected[i] = (uint8_t)below(256);
    }
    sim_write_paddr(bench->sim, bench->buffer, bench->expected, BUFFER_NBYTES);
}

static int create(void **state)
{
    static const struct sim_memory memory = {BASE, (uint64_t)NPAGES * PAGE};
    struct sim_config config = {.seed = 1, .memory = &memory, .nmemory = 1, .cache_nbytes = 65536};
    struct cma_system_config system = {.block_order = 6};
    struct cma_range area = {.base = BASE + (uint64_t)AREA_FIRST * PAGE,
                             .nbytes = (uint64_t)AREA_NPAGES * PAGE,
                             .kind = CMA_RANGE_AREA,
                             .flags = CMA_RANGE_DEFAULT,
                             .name = "default"};
    uint64_t nbytes;

    (void)state;
    bench = calloc(1, sizeof(*bench));
    bench->random = 5;
    bench->sim = sim_create(&config);
    assert_non_null(bench->sim);
    assert_int_equal(cma_map_init(&bench->map, bench->memory, 2, bench->reserved, 4), 0);
    assert_int_equal(cma_map_add_memory(&bench->map, memory.base, memory.nbytes, NULL), 0);
    assert_int_equal(cma_map_reserve(&bench->map, &area, NULL), 0);
    system.port = sim_port(bench->sim);
    nbytes = cma_system_size(&bench->map, &system);
    bench->storage = aligned_alloc(8, nbytes);
    assert_int_equal(cma_system_init(&bench->system, &bench->map, &system, bench->storage, nbytes),
                     0);
    make_pool();
    make_buffer();
    for (uint32_t i = 0; i < 6; i++) {
        make_part(i);
    }
    return 0;
}

static int destroy(void **state)
{
    struct cma_bounce_stats stats;

    (void)state;
    assert_true(cma_bounce_check(&bench->pool));
    cma_bounce_stats(&bench->pool, &stats);
    assert_int_equal(stats.used_nbytes, 0);
    assert_int_equal(cma_bounce_destroy(&bench->pool), 0);
    sim_destroy(bench->sim);
    free(bench->pool_storage);
    free(bench->storage);
    free(bench);
    return 0;
}

/* --- the two sides --------------------------------------------------------------------- */

static void cpu_writes(uint32_t at, uint32_t nbytes)
{
    for (uint32_t i = 0; i < nbytes; i++) {
        bench->expected[at + i] = (uint8_t)below(256);
    }
    sim_write_paddr(bench->sim, bench->buffer + at, &bench->expected[at], nbytes);
}

static void cpu_reads(uint32_t at, uint32_t nbytes)
{
    static uint8_t bytes[BUFFER_NBYTES];

    sim_read_paddr(bench->sim, bench->buffer + at, bytes, nbytes);
    assert_memory_equal(bytes, &bench->expected[at], nbytes);
}

/* Fetches lines for no reason, as processors do, and lets others go. */
static void caches_stir(uint32_t at, uint32_t nbytes)
{
    static uint8_t bytes[BUFFER_NBYTES];

    sim_read_paddr(bench->sim, bench->buffer + at, bytes, nbytes);
    sim_read_paddr(bench->sim, bench->pool.paddr, bytes, 16 * PAGE);
}

static void caches_spill(void)
{
    sim_evict(bench->sim, UINT64_MAX);
}

static void device_reads(struct part *part, cma_daddr_t daddr, uint32_t at, uint32_t nbytes)
{
    static uint8_t bytes[BUFFER_NBYTES];

    assert_true(simdev_read(&part->dev, daddr, bytes, nbytes));
    assert_memory_equal(bytes, &bench->expected[at], nbytes);
}

static void device_writes(struct part *part, cma_daddr_t daddr, uint32_t at, uint32_t nbytes)
{
    for (uint32_t i = 0; i < nbytes; i++) {
        bench->expected[at + i] = (uint8_t)below(256);
    }
    assert_true(simdev_write(&part->dev, daddr, &bench->expected[at], nbytes));
}

/* --- one transfer ---------------------------------------------------------------------- */

struct transfer {
    struct part *part;
    enum cma_direction direction;
    uint32_t at, nbytes; /* in the buffer */
    bool by_hand;        /* the caller syncs himself */
    cma_daddr_t daddr;
};

static void transfer_begin(struct transfer *transfer)
{
    uint32_t flags = transfer->by_hand ? CMA_MAP_SKIP_SYNC : 0;

    cpu_writes(transfer->at, transfer->nbytes);
    assert_int_equal(cma_dma_map(&transfer->part->device, bench->buffer + transfer->at,
                                 transfer->nbytes, transfer->direction, flags, &transfer->daddr,
                                 NULL),
                     0);
    if (transfer->by_hand) {
        assert_int_equal(cma_dma_sync_for_device(&transfer->part->device, transfer->daddr,
                                                 transfer->nbytes, transfer->direction),
                         0);
    }
}

/* The device's turn with [from, from + nbytes) of it. */
static void transfer_device(struct transfer *transfer, uint32_t from, uint32_t nbytes)
{
    caches_stir(transfer->at, transfer->nbytes);
    if (transfer->direction != CMA_FROM_DEVICE) {
        device_reads(transfer->part, transfer->daddr, transfer->at, transfer->nbytes);
    }
    if (transfer->direction != CMA_TO_DEVICE) {
        device_writes(transfer->part, transfer->daddr + from, transfer->at + from, nbytes);
    }
    if (below(2) == 0) {
        caches_spill();
    }
}

/* Half of a mapping goes to the CPU and back, in whole lines. */
static void transfer_turn(struct transfer *transfer)
{
    struct cma_device *device = &transfer->part->device;
    uint32_t half = transfer->nbytes / 2 / LINE * LINE;

    assert_int_equal(
        cma_dma_sync_for_cpu(device, transfer->daddr + half, LINE, transfer->direction), 0);
    cpu_reads(transfer->at + half, LINE);
    if (transfer->direction != CMA_FROM_DEVICE) {
        cpu_writes(transfer->at + half, LINE);
    }
    assert_int_equal(
        cma_dma_sync_for_device(device, transfer->daddr + half, LINE, transfer->direction), 0);
}

static void transfer_end(struct transfer *transfer)
{
    struct cma_device *device = &transfer->part->device;

    if (transfer->by_hand) {
        assert_int_equal(
            cma_dma_sync_for_cpu(device, transfer->daddr, transfer->nbytes, transfer->direction),
            0);
        cpu_reads(transfer->at, transfer->nbytes);
    }
    assert_int_equal(cma_dma_unmap(device, transfer->daddr, transfer->nbytes, transfer->direction,
                                   transfer->by_hand ? CMA_MAP_SKIP_SYNC : 0),
                     0);
    cpu_reads(transfer->at, transfer->nbytes);
}

static void live(struct part *part, enum cma_direction direction, bool by_hand)
{
    struct transfer transfer = {.part = part, .direction = direction, .by_hand = by_hand};

    transfer.nbytes = (4 + below(200)) * LINE;
    transfer.at = below((BUFFER_NBYTES - transfer.nbytes) / LINE) * LINE;
    transfer_begin(&transfer);
    if (below(2) == 0) {
        transfer_turn(&transfer); /* before the device did anything */
    }
    /* It writes less than all: the rest stays what it was (H3). */
    transfer_device(&transfer, LINE * below(2), transfer.nbytes - LINE * (1 + below(2)));
    if (direction == CMA_FROM_DEVICE) { /* nothing to hand over: what it wrote stays (case 42) */
        assert_int_equal(
            cma_dma_sync_for_device(&part->device, transfer.daddr, transfer.nbytes, direction), 0);
    }
    transfer_turn(&transfer);
    transfer_device(&transfer, 2 * LINE, LINE);
    transfer_turn(&transfer);
    transfer_end(&transfer);
    caches_spill();
    cpu_reads(0, BUFFER_NBYTES);
}

static void test_transfers(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 6 * 3 * 2; i++) {
        for (uint32_t round = 0; round < ROUNDS / 5; round++) {
            live(&bench->parts[i % 6], (enum cma_direction)(i / 6 % 3), i >= 18);
        }
    }
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(bench->parts[i].dev.stats.refused, 0);
        assert_int_equal(bench->parts[i].dev.stats.bus_errors, 0);
    }
}

/* Odd ends. What lies beside the buffer is the CPU's all the time, and it writes there. */
static void test_shared_lines(void **state)
{
    struct cma_bounce_stats before, after;

    (void)state;
    cma_bounce_stats(&bench->pool, &before);
    for (uint32_t i = 0; i < 6 * 3; i++) {
        for (uint32_t round = 0; round < ROUNDS; round++) {
            struct transfer transfer = {.part = &bench->parts[i % 6]};

            transfer.direction = (enum cma_direction)(i / 6);
            transfer.nbytes = 1 + below(3 * LINE);
            transfer.at = LINE + below(BUFFER_NBYTES - 5 * LINE);
            cpu_writes(transfer.at - 8, 8);
            transfer_begin(&transfer);
            cpu_writes(transfer.at - 8, 8);
            transfer_device(&transfer, 0, transfer.nbytes);
            cpu_writes(transfer.at + transfer.nbytes, 8);
            transfer_end(&transfer);
            caches_spill();
            cpu_reads(transfer.at - LINE, transfer.nbytes + 2 * LINE);
        }
    }
    cma_bounce_stats(&bench->pool, &after);
    assert_true(after.nmaps - before.nmaps > ROUNDS);
    /* Who says that he has the lines to himself is not bounced. */
    cma_daddr_t daddr;
    cma_bounce_stats(&bench->pool, &before);
    assert_int_equal(cma_dma_map(&bench->parts[0].device, bench->buffer + 3, 5, CMA_FROM_DEVICE,
                                 CMA_MAP_OWN_LINES, &daddr, NULL),
                     0);
    device_writes(&bench->parts[0], daddr, 3, 5);
    assert_int_equal(
        cma_dma_unmap(&bench->parts[0].device, daddr, 5, CMA_FROM_DEVICE, CMA_MAP_OWN_LINES), 0);
    cpu_reads(0, LINE);
    cma_bounce_stats(&bench->pool, &after);
    assert_int_equal(after.nmaps, before.nmaps);
}

/* By CPU address and by page: the same memory. */
static void test_single_and_page(void **state)
{
    const struct cma_port *port = sim_port(bench->sim);
    void *vaddr = port->vaddr(port->ctx, bench->buffer + 0x40);
    cma_daddr_t daddr;

    (void)state;
    for (uint32_t i = 0; i < 6; i++) {
        struct part *part = &bench->parts[i];

        cpu_writes(0x40, 3 * PAGE);
        assert_int_equal(
            cma_dma_map_single(&part->device, vaddr, 3 * PAGE, CMA_TO_DEVICE, 0, &daddr, NULL), 0);
        device_reads(part, daddr, 0x40, 3 * PAGE);
        assert_int_equal(cma_dma_unmap(&part->device, daddr, 3 * PAGE, CMA_TO_DEVICE, 0), 0);
        assert_int_equal(cma_dma_map_page(&part->device, bench->buffer / PAGE + 1, 0x80, PAGE,
                                          CMA_FROM_DEVICE, 0, &daddr, NULL),
                         0);
        device_writes(part, daddr, PAGE + 0x80, PAGE);
        assert_int_equal(cma_dma_unmap(&part->device, daddr, PAGE, CMA_FROM_DEVICE, 0), 0);
        cpu_reads(0, 4 * PAGE);
    }
}

/* A pool that the device doesn't reach, or not to its end, is none. */
static void test_pool_out_of_reach(void **state)
{
    struct cma_device_config config = {.name = "dev", .owner = 20};
    struct cma_refusal refusal;
    struct cma_device device;
    cma_daddr_t daddr;

    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        config.mask = i == 0 ? bench->pool.paddr - 1 : bench->pool.paddr + 64 * PAGE - 2;
        assert_int_equal(cma_device_init(&device, &bench->system.dma, &config), 0);
        assert_int_equal(
            cma_dma_map(&device, bench->buffer, 64, CMA_TO_DEVICE, 0, &daddr, &refusal),
            CMA_ERANGE);
        assert_int_equal(refusal.reason, CMA_REASON_BOUNCE);
        config.flags = CMA_DEVICE_BOUNCE_ALWAYS;
        assert_int_equal(cma_device_init(&device, &bench->system.dma, &config), 0);
        assert_true(cma_dma_map_nbytes_max(&device) == 0);
    }
}

/* Contiguous memory out of a pool is the pool's, and yet itself: there is nothing to copy. */
static void test_contiguous_in_a_pool(void **state)
{
    struct part *part = &bench->parts[3];
    uint8_t bytes[2 * PAGE], seen[2 * PAGE];
    cma_paddr_t paddr;

    (void)state;
    assert_int_equal(cma__bounce_take_pages(&bench->pool, &part->device, 2, 0, 0, &paddr, NULL),
                     CMA_ERANGE);
    part->device.config.coherent_mask = LOW_LAST;
    assert_int_equal(cma__bounce_take_pages(&bench->pool, &part->device, 2, 0, 0, &paddr, NULL), 0);
    for (uint32_t round = 0; round < 20; round++) {
        memset(bytes, (int)below(256), sizeof(bytes));
        sim_write_paddr(bench->sim, paddr, bytes, sizeof(bytes));
        assert_int_equal(cma_dma_sync_for_device(&part->device, paddr, 2 * PAGE, CMA_BIDIRECTIONAL),
                         0);
        sim_read_paddr(bench->sim, paddr, seen, sizeof(seen));
        assert_true(simdev_read(&part->dev, paddr, seen, sizeof(seen)));
        assert_memory_equal(seen, bytes, sizeof(bytes));
        memset(&bytes[PAGE], (int)below(256), PAGE);
        assert_true(simdev_write(&part->dev, paddr + PAGE, &bytes[PAGE], PAGE));
        assert_int_equal(cma_dma_sync_for_cpu(&part->device, paddr + PAGE, PAGE, CMA_BIDIRECTIONAL),
                         0);
        sim_read_paddr(bench->sim, paddr, seen, sizeof(seen));
        assert_memory_equal(seen, bytes, sizeof(bytes));
    }
    assert_int_equal(cma_dma_sync_for_cpu(&part->device, paddr + 1, 2 * PAGE, CMA_TO_DEVICE),
                     CMA_EINVAL);
    assert_int_equal(cma_dma_sync_for_cpu(&bench->parts[4].device, paddr, PAGE, CMA_TO_DEVICE),
                     CMA_EPERM);
    assert_int_equal(cma_dma_unmap(&part->device, paddr, 2 * PAGE, CMA_BIDIRECTIONAL, 0),
                     CMA_EINVAL);
    assert_int_equal(cma__bounce_judge_pages(&bench->pool, &part->device, paddr, 2, true), 0);
    cma__bounce_put_pages(&bench->pool, paddr);
}

/* Slots of two mappings never share a line. */
static void test_slots_and_lines(void **state)
{
    struct cma_port port = *sim_port(bench->sim);
    struct cma_bounce_config config = {.name = "pool", .nbytes = 4 * PAGE, .owner = 3};

    (void)state;
    config.slot_nbytes = 64;
    assert_true(cma_bounce_size(&port, &config) != 0);
    port.cache_line_nbytes = 128;
    assert_true(cma_bounce_size(&port, &config) == 0);
    config.slot_nbytes = 128;
    assert_true(cma_bounce_size(&port, &config) != 0);
}

/* --- lists ----------------------------------------------------------------------------- */

#define PIECES 6u
#define SEGMENTS 64u

struct list {
    struct part *part;
    enum cma_direction direction;
    struct cma_piece pieces[PIECES];
    struct cma_segment segments[SEGMENTS];
    uint32_t nsegments;
    uint32_t nbytes;
};

/* Some continue the one before; some have odd ends, and are bounced where that matters. */
static void list_choose(struct list *list)
{
    uint32_t at = below(4) * PAGE;

    list->nbytes = 0;
    for (uint32_t i = 0; i < PIECES; i++) {
        uint32_t nbytes = below(3) == 0 ? 1 + below(3000) : (1 + below(40)) * LINE;

        if (below(2) == 0 || (at % LINE) != 0) {
            at = (at / PAGE + 1) * PAGE + below(2) * LINE;
        }
        list->pieces[i] = (struct cma_piece){bench->buffer + at, nbytes};
        cpu_writes(at, nbytes);
        at += nbytes;
        list->nbytes += nbytes;
    }
}

/* The device goes from segment to segment; the bytes are those of piece after piece. */
static void list_device(struct list *list)
{
    uint32_t piece = 0, into = 0;

    for (uint32_t i = 0; i < list->nsegments; i++) {
        const struct cma_segment *segment = &list->segments[i];
        cma_daddr_t daddr = segment->daddr;
        uint64_t left = segment->nbytes;

        assert_true(left >= 1 && left <= 1024);
        assert_true(daddr / 4096 == (daddr + (left - 1)) / 4096);
        assert_int_equal(segment->piece, piece);
        assert_int_equal(segment->piece_offset_nbytes, into);
        while (left != 0) {
            uint32_t at = (uint32_t)(list->pieces[piece].paddr - bench->buffer) + into;
            uint32_t nbytes = (uint32_t)list->pieces[piece].nbytes - into;

            nbytes = nbytes < left ? nbytes : (uint32_t)left;
            if (list->direction != CMA_FROM_DEVICE) {
                device_reads(list->part, daddr, at, nbytes);
            }
            if (list->direction != CMA_TO_DEVICE) {
                device_writes(list->part, daddr, at, nbytes);
            }
            daddr += nbytes;
            left -= nbytes;
            into += nbytes;
            if (into == list->pieces[piece].nbytes) {
                piece++;
                into = 0;
            }
        }
    }
    assert_int_equal(piece, PIECES);
}

static void list_live(struct part *part, enum cma_direction direction)
{
    static struct list list;
    struct cma_device *device = &part->device;

    list.part = part;
    list.direction = direction;
    list_choose(&list);
    assert_int_equal(cma_dma_map_list(device, list.pieces, PIECES, direction, 0, list.segments,
                                      SEGMENTS, &list.nsegments, NULL),
                     0);
    caches_stir(0, BUFFER_NBYTES);
    list_device(&list);
    caches_spill();
    assert_int_equal(cma_dma_sync_list_for_cpu(device, list.segments, list.nsegments, direction),
                     0);
    cpu_reads(0, BUFFER_NBYTES);
    if (direction != CMA_FROM_DEVICE) {
        for (uint32_t i = 0; i < PIECES; i++) {
            cpu_writes((uint32_t)(list.pieces[i].paddr - bench->buffer),
                       (uint32_t)list.pieces[i].nbytes);
        }
    }
    assert_int_equal(cma_dma_sync_list_for_device(device, list.segments, list.nsegments, direction),
                     0);
    caches_stir(0, BUFFER_NBYTES);
    list_device(&list);
    assert_int_equal(cma_dma_unmap_list(device, list.segments, list.nsegments, direction, 0), 0);
    cpu_reads(0, BUFFER_NBYTES);
}

static void test_lists(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 6 * 3; i++) {
        for (uint32_t round = 0; round < ROUNDS / 10; round++) {
            list_live(&bench->parts[i % 6], (enum cma_direction)(i / 6));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_transfers, create, destroy),
        cmocka_unit_test_setup_teardown(test_shared_lines, create, destroy),
        cmocka_unit_test_setup_teardown(test_single_and_page, create, destroy),
        cmocka_unit_test_setup_teardown(test_pool_out_of_reach, create, destroy),
        cmocka_unit_test_setup_teardown(test_contiguous_in_a_pool, create, destroy),
        cmocka_unit_test_setup_teardown(test_slots_and_lines, create, destroy),
        cmocka_unit_test_setup_teardown(test_lists, create, destroy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
