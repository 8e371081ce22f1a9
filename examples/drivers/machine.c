/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * machine.c - a simulated machine with one of the devices, and memory whose every byte is known
 */
#include "machine.h"

#include "../../ports/sim/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_SHIFT 12
#define OWNER_DEVICE 1
#define OWNER_DATA 2
#define OWNER_BOUNCE 3
#define BOUNCE_NBYTES (2u << 20)
#define AROUND 128u /* bytes beside a buffer that are looked at with it */

/* --- memory ------------------------------------------------------------------------------ */

static uint64_t machine_next(struct drive *drive)
{
    drive->random ^= drive->random << 13;
    drive->random ^= drive->random >> 7;
    drive->random ^= drive->random << 17;
    return drive->random;
}

uint32_t machine_random(struct drive *drive, uint32_t limit)
{
    return (uint32_t)(machine_next(drive) >> 20) % limit;
}

void machine_random_bytes(struct drive *drive, uint8_t *bytes, uint32_t nbytes)
{
    for (uint32_t at = 0; at < nbytes; at += 8) {
        uint64_t random = machine_next(drive);

        memcpy(bytes + at, &random, nbytes - at < 8 ? nbytes - at : 8);
    }
}

void machine_fill(struct drive *drive, struct drive_run *run, uint32_t offset, uint32_t nbytes)
{
    machine_random_bytes(drive, run->shadow + offset, nbytes);
    sim_write_paddr(drive->sim, run->paddr + offset, run->shadow + offset, nbytes);
}

void machine_compare(struct drive *drive, const uint8_t *got, const uint8_t *wanted,
                     uint32_t nbytes)
{
    if (memcmp(got, wanted, nbytes) == 0)
        return;
    for (uint32_t i = 0; i < nbytes; i++)
        drive->result->wrong += got[i] != wanted[i];
}

void machine_check(struct drive *drive, const struct drive_run *run, uint32_t offset,
                   uint32_t nbytes)
{
    uint8_t bytes[4096];
    uint32_t last = offset + nbytes + AROUND < RUN_NBYTES ? offset + nbytes + AROUND : RUN_NBYTES;

    for (uint32_t at = offset > AROUND ? offset - AROUND : 0; at < last;) {
        uint32_t n = last - at < sizeof(bytes) ? last - at : sizeof(bytes);

        sim_read_paddr(drive->sim, run->paddr + at, bytes, n);
        machine_compare(drive, bytes, run->shadow + at, n);
        at += n;
    }
}

/* While a device works, the CPU writes to what is beside its buffers, and lines leave the cache. */
static void machine_meanwhile(void *ctx)
{
    struct drive *drive = ctx;
    uint32_t random = machine_random(drive, 64), distance = machine_random(drive, 64), i;
    struct drive_run *run = NULL;
    uint32_t at, n = 1 + random % 8;

    if (random < 8)
        sim_evict(drive->sim, random);
    if (random >= 24)
        return;
    for (i = 0, at = machine_random(drive, RUNS); i < RUNS && run == NULL; i++, at++)
        run = drive->runs[at % RUNS].busy_nbytes != 0 ? &drive->runs[at % RUNS] : NULL;
    if (run == NULL)
        return;
    at = random % 2 != 0 ? run->busy_offset - n - distance
                         : run->busy_offset + run->busy_nbytes + distance;
    if (at < RUN_NBYTES - n) /* also where it passed 0 */
        machine_fill(drive, run, at, n);
}

/* Memory from everywhere: a third low, the rest from the beginning of memory to its end. */
static int machine_runs(struct drive *drive)
{
    uint64_t part = drive->style->memory_nbytes / RUNS;

    for (uint32_t i = 0; i < RUNS; i++) {
        struct drive_run *run = &drive->runs[i];
        struct cma_pages_request request = {
            .npages = RUN_NBYTES >> PAGE_SHIFT,
            .holder = {CMA_KIND_UNMOVABLE, 0, OWNER_DATA},
            .paddr_last = drive->style->low.base - 1,
        };
        cma_pfn_t pfn;

        if (i % 3 != 1) {
            /* Aligned to little, and across what lies in the middle. */
            request.paddr_first = i != 0 ? (part * i - 0xd000) & ~(uint64_t)0xfff : 0x3000;
            request.paddr_last = 0;
        }
        if (cma_pages_alloc(&drive->system.pages, &request, &pfn, NULL) != 0)
            return CMA_ENOMEM;
        run->paddr = pfn << PAGE_SHIFT;
        run->shadow = malloc(RUN_NBYTES);
        if (run->shadow == NULL)
            return CMA_ENOMEM;
        machine_fill(drive, run, 0, RUN_NBYTES);
    }
    return 0;
}

/* --- the machine ------------------------------------------------------------------------- */

static int machine_map(struct drive *drive)
{
    const struct drive_style *style = drive->style;
    struct cma_range low = {style->low.base, style->low.nbytes, CMA_RANGE_AREA, 0, "low", 0};
    struct cma_range area = {style->default_area.base,
                             style->default_area.nbytes,
                             CMA_RANGE_AREA,
                             CMA_RANGE_DEFAULT,
                             "linux,cma",
                             0};
    int error = cma_map_init(&drive->map, drive->memory, 1, drive->reserved, 2);

    if (error == 0)
        error = cma_map_add_memory(&drive->map, 0, style->memory_nbytes, NULL);
    if (error == 0)
        error = cma_map_reserve(&drive->map, &low, NULL);
    if (error == 0)
        error = cma_map_reserve(&drive->map, &area, NULL);
    return error;
}

/* Zones end where the low memory does, and where the CPU's linear mapping does. */
static uint32_t machine_zones(struct drive *drive)
{
    const struct drive_style *style = drive->style;
    uint32_t n = 0;

    drive->zones[n++].last = style->low.base + style->low.nbytes - 1;
    if (style->linear_last != 0)
        drive->zones[n++].last = style->linear_last;
    drive->zones[n].last = CMA_PADDR_MAX;
    drive->zones[n++].flags = style->linear_last != 0 ? CMA_ZONE_UNMAPPED : 0;
    return n;
}

static void machine_nothing(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx;
    (void)paddr;
    (void)nbytes;
}

static int machine_system(struct drive *drive, const struct drive_options *options)
{
    const struct drive_style *style = drive->style;
    struct sim_memory memory = {0, style->memory_nbytes};
    struct sim_config sim = {.seed = options->seed,
                             .memory = &memory,
                             .nmemory = 1,
                             .linear_last = style->linear_last,
                             .cache_nbytes = 32u << 10};
    struct cma_system_config config = {.zones = drive->zones};
    uint64_t nbytes;
    int error;

    drive->sim = sim_create(&sim);
    if (drive->sim == NULL)
        return CMA_ENOMEM;
    drive->port = *sim_port(drive->sim);
    if (options->broken && style->driver == DRIVE_RING && style->windows[0].nbytes == 0) {
        drive->port.clean = machine_nothing;
        drive->port.invalidate = machine_nothing;
    }
    config.port = &drive->port;
    config.nzones = machine_zones(drive);
    error = machine_map(drive);
    if (error != 0)
        return error;
    nbytes = cma_system_size(&drive->map, &config);
    drive->storage = calloc(1, nbytes);
    return cma_system_init(&drive->system, &drive->map, &config, drive->storage, nbytes);
}

/* Bounce memory for all, from the low area. */
static int machine_bounce(struct drive *drive)
{
    struct cma_bounce_config config = {.name = "bounce",
                                       .nbytes = BOUNCE_NBYTES,
                                       .owner = OWNER_BOUNCE,
                                       .area =
                                           cma_system_area(&drive->system, drive->style->low.base),
                                       .paddr_last = CMA_PADDR_MAX};
    uint64_t nbytes = cma_bounce_size(&drive->port, &config);
    int error;

    drive->bounce_storage = calloc(1, nbytes);
    error = cma_bounce_init(&drive->bounce, &drive->system.dma, &config, drive->bounce_storage,
                            nbytes, NULL);
    if (error == 0)
        cma_bounce_use(&drive->system.dma, &drive->bounce);
    return error;
}

static void machine_report(void *ctx, const struct cma_misuse_report *report)
{
    struct drive *drive = ctx;

    if (drive->result->misuses++ == 0)
        (void)cma_misuse_sentence(report, drive->result->misuse, sizeof(drive->result->misuse));
}

/* Somebody who looks at each call of the driver, and at each access of the CPU and the device. */
static int machine_watch(struct drive *drive)
{
    struct cma_misuse_config config = {
        .report = machine_report, .ctx = drive, .nentries = 256, .nlines = 64u << 10};
    uint64_t nbytes = cma_misuse_size(&config);
    int error;

    drive->misuse_storage = calloc(1, nbytes);
    error =
        cma_misuse_init(&drive->misuse, &drive->system.dma, &config, drive->misuse_storage, nbytes);
    if (error == 0)
        driver_watch(drive->sim, &drive->misuse);
    return error;
}

/* The device as it is, and as libcma is told that it is. */
static int machine_device(struct drive *drive, const struct drive_options *options)
{
    const struct drive_style *style = drive->style;
    struct cma_device_config config = {
        .name = style->name,
        .owner = OWNER_DEVICE,
        .mask = style->mask,
        .coherent_mask = style->mask,
        .windows = drive->windows,
        .flags = style->snoops ? CMA_DEVICE_COHERENT : 0,
        .segment_nbytes_max = style->segment_nbytes_max,
        .segment_boundary_nbytes = style->segment_boundary_nbytes,
    };
    struct simdev_config bus = {.name = style->name,
                                .windows = style->windows,
                                .daddr_last = style->mask,
                                .snoops = style->snoops,
                                .tag = &drive->device};

    while (config.nwindows < 2 && style->windows[config.nwindows].nbytes != 0)
        config.nwindows++;
    memcpy(drive->windows, style->windows, sizeof(drive->windows));
    bus.nwindows = config.nwindows;
    if (config.nwindows == 0)
        config.windows = NULL;
    if (options->broken) {
        if (config.segment_nbytes_max == 0)
            config.mask = UINT64_MAX;
        config.segment_nbytes_max = 0;
        config.segment_boundary_nbytes = 0;
        if (config.nwindows == 1) {
            config.coherent_mask = style->windows[0].daddr + style->windows[0].nbytes - 1;
            drive->windows[0].nbytes = style->memory_nbytes;
        }
        if (config.nwindows == 2) {
            config.windows = NULL;
            config.nwindows = 0;
        }
    }
    simulated_init(&drive->simulated, drive->sim, &bus, drive->store, options->seed);
    drive->simulated.segment_nbytes_max = style->segment_nbytes_max;
    drive->simulated.segment_boundary_nbytes = style->segment_boundary_nbytes;
    drive->simulated.meanwhile = machine_meanwhile;
    drive->simulated.ctx = drive;
    return cma_device_init(&drive->device, &drive->system.dma, &config);
}

int machine_make(struct drive *drive, const struct drive_options *options)
{
    int error;

    drive->random = options->seed * 0x9e3779b97f4a7c15u + 1;
    drive->store = calloc(1, SIMULATED_STORE);
    error = machine_system(drive, options);
    if (error == 0)
        error = machine_bounce(drive);
    if (error == 0)
        error = machine_watch(drive);
    if (error == 0)
        error = machine_device(drive, options);
    if (error == 0)
        error = machine_runs(drive);
    if (error != 0)
        fprintf(stderr, "drive: %s: the machine can't be made: %s\n", drive->style->name,
                cma_strerror(error));
    return error == 0 ? 0 : -1;
}

static const char *machine_judge(struct drive *drive)
{
    struct cma_bounce_stats stats;
    struct cma_violation violation;
    cma_paddr_t paddr;

    cma_bounce_stats(&drive->bounce, &stats);
    drive->result->bounced = stats.nmaps;
    if (stats.used_nbytes != 0)
        return "bounce memory is still in use";
    if (cma_misuse_unseen(&drive->misuse) != 0)
        return "the misuse checker has not seen everything";
    if (!cma_bounce_check(&drive->bounce))
        return "the bounce pool's books are wrong";
    if (cma_bounce_destroy(&drive->bounce) != 0)
        return "the bounce pool can't be given back";
    if (!cma_system_check(&drive->system, &violation))
        return violation.what;
    if (!sim_check_aliases(drive->sim, &paddr))
        return "a frame has two mappings that differ";
    return NULL;
}

void machine_end(struct drive *drive)
{
    const struct simdev_stats *stats = &drive->simulated.bus.stats;

    for (uint32_t i = 0; i < RUNS && drive->runs[i].shadow != NULL; i++) {
        machine_check(drive, &drive->runs[i], 0, RUN_NBYTES);
        free(drive->runs[i].shadow);
    }
    drive->result->faults = stats->truncated + stats->refused + stats->bus_errors;
    if (drive->misuse_storage != NULL) {
        cma_misuse_device_gone(&drive->misuse, &drive->device, CMA_SITE);
        sim_watch(drive->sim, NULL);
        cma_misuse_exit(&drive->misuse);
    }
    if (drive->bounce_storage != NULL && drive->result->violation == NULL)
        drive->result->violation = machine_judge(drive);
    free(drive->driver_storage);
    free(drive->bounce_storage);
    free(drive->misuse_storage);
    free(drive->storage);
    free(drive->store);
    if (drive->sim != NULL)
        sim_destroy(drive->sim);
}
