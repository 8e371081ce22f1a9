/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * streaming.c - drivers beside each other, on one bounce pool that is too small for all of them
 *
 *     streaming [--ops N] [--seed S]
 *
 * Each driver is a fibre with a device and a buffer of its own: devices that snoop or not, see
 * memory where it is or shifted, reach their buffers or not, are trusted or not. They map single
 * ranges and lists, several at once, hand parts of them back and forth, and compare every byte on
 * both sides. A full pool refuses, which is all right; nothing else may go wrong. One more fibre is
 * a driver full of bugs: it unmaps and syncs what isn't its own, and must be refused every time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cma/bounce.h>

#include "../../ports/sim/sim.h"
#include "../../ports/sim/simdev.h"

#define PAGE 4096u
#define LINE 64u
#define BASE UINT64_C(0x80000000)
#define NPAGES 1024u
#define POOL_NPAGES 28u
#define SHIFTED UINT64_C(0x100000)
#define DRIVERS 6u
#define SLOTS 6u /* mappings of one driver at once; each has a part of the buffer */
#define PART_NBYTES (4 * PAGE)
#define SEGMENTS 64u

#ifndef STREAMING_SCHEDULER /* tests/threads/streaming.c has threads instead */
#define STREAMING_SCHEDULER SIM_FIBRES
#endif

#define REQUIRE(condition, ...)                                         \
    do {                                                                \
        if (!(condition)) {                                             \
            printf("streaming: DIFFERENCE: ");                          \
            printf(__VA_ARGS__);                                        \
            printf(" (line %d, driver %u)\n", __LINE__, driver->index); \
            fflush(stdout);                                             \
            exit(1);                                                    \
        }                                                               \
    } while (0)

struct mapping {
    bool live, listed;
    enum cma_direction direction;
    uint32_t at, nbytes; /* in the buffer; of a single one */
    cma_daddr_t daddr;
    struct cma_piece pieces[3];
    struct cma_segment segments[SEGMENTS];
    uint32_t nsegments;
};

struct driver {
    uint32_t index;
    struct cma_device device;
    struct cma_bus_window window;
    struct simdev dev;
    cma_paddr_t buffer;
    uint8_t expected[SLOTS * PART_NBYTES];
    struct mapping mappings[SLOTS];
    uint64_t ops, maps, lists, refused;
};

static struct sim *sim;
static struct cma_frames frames;
static struct cma_dma dma;
static struct cma_bounce pool;
static struct driver drivers[DRIVERS];
static uint64_t nwrong;
static uint32_t nrunning;

static uint32_t below(uint32_t n)
{
    return (uint32_t)(sim_random(sim) % n);
}

/* --- the two sides --------------------------------------------------------------------- */

static void cpu_writes(struct driver *driver, uint32_t at, uint32_t nbytes)
{
    for (uint32_t i = 0; i < nbytes; i++) {
        driver->expected[at + i] = (uint8_t)(driver->expected[at + i] * 5 + i + 1);
    }
    sim_write_paddr(sim, driver->buffer + at, &driver->expected[at], nbytes);
}

static void cpu_reads(struct driver *driver, uint32_t at, uint32_t nbytes)
{
    uint8_t bytes[PART_NBYTES];

    sim_read_paddr(sim, driver->buffer + at, bytes, nbytes);
    REQUIRE(memcmp(bytes, &driver->expected[at], nbytes) == 0, "the CPU sees other bytes");
}

static void device_turn(struct driver *driver, enum cma_direction direction, cma_daddr_t daddr,
                        uint32_t at, uint32_t nbytes)
{
    uint8_t bytes[PART_NBYTES];

    if (direction != CMA_FROM_DEVICE) {
        REQUIRE(simdev_read(&driver->dev, daddr, bytes, nbytes), "the device reads nothing");
        REQUIRE(memcmp(bytes, &driver->expected[at], nbytes) == 0, "the device sees other bytes");
    }
    if (direction != CMA_TO_DEVICE) {
        for (uint32_t i = 0; i < nbytes; i++) {
            driver->expected[at + i] = (uint8_t)(driver->expected[at + i] * 3 + i + 7);
        }
        REQUIRE(simdev_write(&driver->dev, daddr, &driver->expected[at], nbytes),
                "the device writes nothing");
    }
}

/* --- single ranges --------------------------------------------------------------------- */

/* A refusal is right where the pool may be full. */
static bool was_mapped(struct driver *driver, int error)
{
    if (error == 0) {
        return true;
    }
    REQUIRE(error == CMA_ENOMEM, "a mapping is refused: %d", error);
    driver->refused++;
    return false;
}

static void single_map(struct driver *driver, uint32_t slot)
{
    struct mapping *mapping = &driver->mappings[slot];
    bool odd = below(3) == 0;

    mapping->nbytes = odd ? 1 + below(3 * PAGE) : (1 + below(3 * PAGE / LINE)) * LINE;
    mapping->at = slot * PART_NBYTES + below(odd ? PAGE : PAGE / LINE) * (odd ? 1 : LINE);
    mapping->direction = (enum cma_direction)below(3);
    mapping->listed = false;
    cpu_writes(driver, mapping->at, mapping->nbytes);
    mapping->live = was_mapped(driver, cma_dma_map(&driver->device, driver->buffer + mapping->at,
                                                   mapping->nbytes, mapping->direction, 0,
                                                   &mapping->daddr, NULL));
    driver->maps += mapping->live;
}

/* A part goes to the CPU and back: whole lines, or what there is of them. */
static void single_sync(struct driver *driver, struct mapping *mapping)
{
    uint32_t first = below(mapping->nbytes), last = first + below(mapping->nbytes - first);
    int error;

    first -= (mapping->at + first) % LINE < first ? (mapping->at + first) % LINE : first;
    last |= LINE - 1;
    last = last < mapping->nbytes ? last : mapping->nbytes - 1;
    error = cma_dma_sync_for_cpu(&driver->device, mapping->daddr + first, last - first + 1,
                                 mapping->direction);
    REQUIRE(error == 0, "sync for the CPU: %d", error);
    cpu_reads(driver, mapping->at + first, last - first + 1);
    if (mapping->direction != CMA_FROM_DEVICE) {
        cpu_writes(driver, mapping->at + first, last - first + 1);
    }
    error = cma_dma_sync_for_device(&driver->device, mapping->daddr + first, last - first + 1,
                                    mapping->direction);
    REQUIRE(error == 0, "sync for the device: %d", error);
}

static void single_step(struct driver *driver, struct mapping *mapping)
{
    int error;

    switch (below(4)) {
    case 0:
        error =
            cma_dma_unmap(&driver->device, mapping->daddr, mapping->nbytes, mapping->direction, 0);
        REQUIRE(error == 0, "unmap: %d", error);
        cpu_reads(driver, mapping->at, mapping->nbytes);
        mapping->live = false;
        break;
    case 1: single_sync(driver, mapping); break;
    default: {
        uint32_t from = below(mapping->nbytes);

        device_turn(driver, mapping->direction, mapping->daddr + from, mapping->at + from,
                    1 + below(mapping->nbytes - from));
    }
    }
}

/* --- lists ----------------------------------------------------------------------------- */

static void list_map(struct driver *driver, uint32_t slot)
{
    struct mapping *mapping = &driver->mappings[slot];
    uint32_t at = slot * PART_NBYTES;

    mapping->direction = (enum cma_direction)below(3);
    mapping->listed = true;
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t nbytes = below(3) == 0 ? 1 + below(PAGE - LINE) : (1 + below(60)) * LINE;

        mapping->pieces[i] = (struct cma_piece){driver->buffer + at, nbytes};
        cpu_writes(driver, at, nbytes);
        at += nbytes;
        at = below(2) == 0 && at % LINE == 0 ? at : (at / LINE + 1) * LINE;
    }
    mapping->live = was_mapped(driver, cma_dma_map_list(&driver->device, mapping->pieces, 3,
                                                        mapping->direction, 0, mapping->segments,
                                                        SEGMENTS, &mapping->nsegments, NULL));
    driver->lists += mapping->live;
}

/* The segments, one behind the other, are the pieces, one behind the other. */
static void list_device(struct driver *driver, struct mapping *mapping)
{
    uint32_t piece = 0, into = 0;

    for (uint32_t i = 0; i < mapping->nsegments; i++) {
        const struct cma_segment *segment = &mapping->segments[i];

        for (uint32_t done = 0; done < segment->nbytes;) {
            uint32_t left = (uint32_t)(mapping->pieces[piece].nbytes - into);
            uint32_t at = (uint32_t)(mapping->pieces[piece].paddr - driver->buffer) + into;

            left = left < segment->nbytes - done ? left : (uint32_t)segment->nbytes - done;
            device_turn(driver, mapping->direction, segment->daddr + done, at, left);
            done += left;
            into += left;
            if (into == mapping->pieces[piece].nbytes) {
                piece++;
                into = 0;
            }
        }
    }
    REQUIRE(piece == 3, "segments are not the pieces");
}

static void list_cpu(struct driver *driver, const struct mapping *mapping, bool writes)
{
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t at = (uint32_t)(mapping->pieces[i].paddr - driver->buffer);

        if (writes) {
            cpu_writes(driver, at, (uint32_t)mapping->pieces[i].nbytes);
        } else {
            cpu_reads(driver, at, (uint32_t)mapping->pieces[i].nbytes);
        }
    }
}

static void list_step(struct driver *driver, struct mapping *mapping)
{
    int error = 0;

    switch (below(4)) {
    case 0:
        error = cma_dma_unmap_list(&driver->device, mapping->segments, mapping->nsegments,
                                   mapping->direction, 0);
        list_cpu(driver, mapping, false);
        mapping->live = false;
        break;
    case 1:
        error = cma_dma_sync_list_for_cpu(&driver->device, mapping->segments, mapping->nsegments,
                                          mapping->direction);
        list_cpu(driver, mapping, false);
        if (mapping->direction != CMA_FROM_DEVICE) {
            list_cpu(driver, mapping, true);
        }
        error |= cma_dma_sync_list_for_device(&driver->device, mapping->segments,
                                              mapping->nsegments, mapping->direction);
        break;
    default: list_device(driver, mapping); break;
    }
    REQUIRE(error == 0, "a list: %d", error);
}

/* --- drivers --------------------------------------------------------------------------- */

static void drive(void *arg)
{
    struct driver *driver = arg;

    for (uint64_t i = 0; i < driver->ops; i++) {
        uint32_t slot = below(SLOTS);
        struct mapping *mapping = &driver->mappings[slot];

        if (!mapping->live) {
            (below(3) == 0 ? list_map : single_map)(driver, slot);
        } else {
            (mapping->listed ? list_step : single_step)(driver, mapping);
        }
        if (below(64) == 0) {
            sim_evict(sim, 1 + below(400));
        }
    }
    for (uint32_t slot = 0; slot < SLOTS; slot++) {
        while (driver->mappings[slot].live) {
            (driver->mappings[slot].listed ? list_step : single_step)(driver,
                                                                      &driver->mappings[slot]);
        }
    }
    (void)__atomic_fetch_sub(&nrunning, 1, __ATOMIC_RELEASE);
}

/* Not one of these calls may do anything (H7): the addresses are bounce memory of other devices, or
 * nobody's. */
static void blunder(void *arg)
{
    struct driver *driver = arg;

    while (__atomic_load_n(&nrunning, __ATOMIC_ACQUIRE) != 0) {
        cma_daddr_t daddr = pool.paddr + below(POOL_NPAGES * PAGE);
        uint32_t nbytes = 1 + below(2 * PAGE);
        enum cma_direction direction = (enum cma_direction)below(3);
        int error;

        switch (below(3)) {
        case 0: error = cma_dma_unmap(&driver->device, daddr, nbytes, direction, 0); break;
        case 1: error = cma_dma_sync_for_cpu(&driver->device, daddr, nbytes, direction); break;
        default: error = cma_dma_sync_for_device(&driver->device, daddr, nbytes, direction); break;
        }
        REQUIRE(error == CMA_EPERM || error == CMA_ENOENT || error == CMA_EINVAL,
                "a blunder went through: %d", error);
        nwrong++;
        sim_spend_ns(sim, 5000);
    }
}

static void make_driver(struct driver *driver, uint32_t index)
{
    struct cma_device_config config = {.name = "dev", .owner = 1 + index};
    struct simdev_config dev = {.name = "dev", .snoops = index % 2 != 0, .refuses = true};
    bool shifted = index == 2 || index == 3;

    driver->index = index;
    driver->buffer = BASE + (uint64_t)(100 + index * 100) * PAGE;
    driver->window = (struct cma_bus_window){SHIFTED, BASE, (uint64_t)NPAGES * PAGE};
    config.flags = index % 2 != 0 ? CMA_DEVICE_COHERENT : 0;
    config.flags |= index == 5 ? CMA_DEVICE_UNTRUSTED : 0;
    config.mask = UINT64_C(0xffffffff);
    if (shifted) {
        config.windows = &driver->window;
        config.nwindows = 1;
    }
    if (index == 3 || index == 4) { /* reaches just the pool */
        config.mask = (shifted ? SHIFTED : BASE) + 64 * PAGE - 1;
    }
    config.segment_nbytes_max = 1536;
    config.segment_boundary_nbytes = 8192;
    dev.windows = config.windows;
    dev.nwindows = config.nwindows;
    dev.daddr_last = config.mask;
    if (cma_device_init(&driver->device, &dma, &config) != 0) {
        abort();
    }
    simdev_init(&driver->dev, sim, &dev);
    sim_write_paddr(sim, driver->buffer, driver->expected, sizeof(driver->expected));
}

int main(int argc, char **argv)
{
    static const struct sim_memory memory = {BASE, (uint64_t)NPAGES * PAGE};
    static struct driver blunderer;
    struct sim_config config = {.seed = 1,
                                .memory = &memory,
                                .nmemory = 1,
                                .cache_nbytes = 65536,
                                .scheduler = STREAMING_SCHEDULER};
    struct cma_bounce_config wanted = {.name = "pool", .nbytes = POOL_NPAGES * PAGE, .owner = 99};
    struct cma_bounce_stats stats;
    uint64_t ops = 200000, maps = 0, lists = 0, refused = 0;
    void *storage;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--ops") == 0) {
            ops = strtoull(argv[i + 1], NULL, 0);
        } else if (strcmp(argv[i], "--seed") == 0) {
            config.seed = strtoull(argv[i + 1], NULL, 0);
        }
    }
    sim = sim_create(&config);
    frames.port = sim_port(sim);
    wanted.paddr = BASE + 16 * PAGE;
    storage = aligned_alloc(8, (cma_bounce_size(frames.port, &wanted) + 7) / 8 * 8);
    if (cma_dma_init(&dma, &frames, NULL, NULL) != 0 ||
        cma_bounce_init(&pool, &dma, &wanted, storage, cma_bounce_size(frames.port, &wanted),
                        NULL) != 0) {
        printf("streaming: FAILED to begin\n");
        return 1;
    }
    cma_bounce_use(&dma, &pool);
    make_driver(&blunderer, 0);
    blunderer.index = DRIVERS;
    sim_spawn(sim, "blunderer", blunder, &blunderer);
    nrunning = DRIVERS;
    for (uint32_t i = 0; i < DRIVERS; i++) {
        make_driver(&drivers[i], i);
        drivers[i].ops = ops / 2 / DRIVERS; /* each is dozens of accesses and hooks */
        sim_spawn(sim, "driver", drive, &drivers[i]);
    }
    sim_run(sim);
    cma_bounce_stats(&pool, &stats);
    for (uint32_t i = 0; i < DRIVERS; i++) {
        maps += drivers[i].maps;
        lists += drivers[i].lists;
        refused += drivers[i].refused;
    }
    printf("streaming: %llu ranges and %llu lists mapped, %u bounced, %llu refused by a full pool, "
           "%llu blunders refused, no byte wrong\n",
           (unsigned long long)maps, (unsigned long long)lists, stats.nmaps,
           (unsigned long long)refused, (unsigned long long)nwrong);
    if (!cma_bounce_check(&pool) || stats.used_nbytes != 0 || cma_bounce_destroy(&pool) != 0) {
        printf("streaming: FAILED: the pool is not empty\n");
        return 1;
    }
    sim_destroy(sim);
    free(storage);
    return 0;
}
