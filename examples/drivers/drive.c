/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * drive.c - the drivers at work: what they are given to do, and what must come of it
 */
#include "machine.h"

#include <stdlib.h>
#include <string.h>

#define MIB (UINT64_C(1) << 20)
#define TRANSFER_MAX (64u << 10)
#define LIST_MAX (256u << 10)

static const struct drive_style styles[] = {
    {
        .name = "bounce",
        .summary = "a device with 24 address lines on a board of 128 MiB",
        .about = "24 address lines",
        .left_out = "that it has but 24 address lines",
        .driver = DRIVE_NARROW,
        .board = "drivers",
        .memory_nbytes = 128 * MIB,
        .low = {8 * MIB, 4 * MIB},
        .default_area = {80 * MIB, 16 * MIB},
        .mask = 0xffffff,
        .snoops = true,
    },
    {
        .name = "list",
        .summary = "scatter and gather: segments of 64 KiB, across no line of 128 KiB",
        .about = "64 KiB segments, 128 KiB boundary",
        .left_out = "how long segments may be, and what they may not cross",
        .driver = DRIVE_LIST,
        .board = "drivers",
        .memory_nbytes = 128 * MIB,
        .low = {8 * MIB, 4 * MIB},
        .default_area = {80 * MIB, 16 * MIB},
        .mask = 0x3ffffff,
        .snoops = true,
        .segment_nbytes_max = 64u << 10,
        .segment_boundary_nbytes = 128u << 10,
    },
    {
        .name = "ring",
        .summary = "rings and packets for a device that sees no cache",
        .about = "sees no cache",
        .left_out = "all cleaning and invalidating of the cache",
        .driver = DRIVE_RING,
        .board = "drivers",
        .memory_nbytes = 128 * MIB,
        .low = {8 * MIB, 4 * MIB},
        .default_area = {80 * MIB, 16 * MIB},
        .mask = 0xffffffff,
    },
    {
        .name = "offset",
        .summary = "behind a bus that moves addresses, each half of memory elsewhere",
        .about = "a bus that moves addresses",
        .left_out = "the bus's offsets (dma-ranges)",
        .driver = DRIVE_QUEUE,
        .board = "drivers",
        .memory_nbytes = 128 * MIB,
        .low = {8 * MIB, 4 * MIB},
        .default_area = {80 * MIB, 16 * MIB},
        .mask = 0xffffffff,
        .windows = {{0x80000000, 0, 64 * MIB}, {0x20000000, 64 * MIB, 64 * MIB}},
    },
    {
        .name = "window",
        .summary = "Russell King's case: a DMA window of 64 MiB, the default area in highmem",
        .about = "a window of 64 MiB, area in highmem",
        .left_out = "where the window ends",
        .driver = DRIVE_RING,
        .board = "window-64m",
        .memory_nbytes = 1024 * MIB,
        .linear_last = 0x2f7fffff, /* 760 MiB, as on 32-bit ARM */
        .low = {32 * MIB, 8 * MIB},
        .default_area = {896 * MIB, 32 * MIB},
        .mask = 0xffffffff,
        .windows = {{0x40000000, 0, 64 * MIB}},
    },
};

const struct drive_style *drive_style(uint32_t index)
{
    return index < sizeof(styles) / sizeof(styles[0]) ? &styles[index] : NULL;
}

/* Mostly short, sometimes as long as it may be. */
static uint32_t drive_length(struct drive *drive, uint32_t most)
{
    uint32_t random = machine_random(drive, 64);
    uint32_t limit = random < 20 ? 64 : random < 52 ? 2048 : random < 63 ? 8192 : most;

    return 1 + machine_random(drive, limit < most ? limit : most);
}

/* Anywhere in the run; every fourth time across the roundest address that it has. */
static uint32_t drive_offset(struct drive *drive, const struct drive_run *run, uint32_t nbytes)
{
    cma_paddr_t last = run->paddr + RUN_NBYTES - 1;
    uint64_t bits = run->paddr ^ last;
    uint32_t line, back = machine_random(drive, nbytes);

    if (machine_random(drive, 4) != 0)
        return machine_random(drive, RUN_NBYTES - nbytes + 1);
    while ((bits & (bits - 1)) != 0)
        bits &= bits - 1;
    line = (uint32_t)((last & ~(bits - 1)) - run->paddr);
    if (line < back)
        return 0;
    return line - back < RUN_NBYTES - nbytes ? line - back : RUN_NBYTES - nbytes;
}

static void drive_count(struct drive *drive, int error, uint32_t nbytes, uint32_t moved)
{
    drive->result->transfers++;
    drive->result->nbytes += nbytes;
    if (error != 0) {
        drive->result->failed++;
        drive->result->wrong += nbytes;
    } else {
        drive->result->wrong += nbytes - moved;
    }
}

/* A transfer's memory, and its place on the device. */
struct drive_job {
    struct drive_run *run;
    uint32_t offset, nbytes, block;
    enum cma_direction direction;
};

static void drive_begin(struct drive *drive, struct drive_job *job)
{
    uint8_t *stored = drive->store + job->block;

    if (job->direction == CMA_TO_DEVICE) {
        memset(stored, 0, job->nbytes);
        machine_fill(drive, job->run, job->offset, job->nbytes);
    } else {
        machine_random_bytes(drive, stored, job->nbytes);
        /* What the CPU has left there must not come out of its cache later. */
        if (machine_random(drive, 2) != 0)
            machine_fill(drive, job->run, job->offset, job->nbytes);
    }
    job->run->busy_offset = job->offset;
    job->run->busy_nbytes = job->nbytes;
}

/* What the device has not written is as it was. */
static void drive_end(struct drive *drive, struct drive_job *job, uint32_t moved)
{
    uint8_t *shadow = job->run->shadow + job->offset;

    job->run->busy_nbytes = 0;
    if (job->direction == CMA_TO_DEVICE)
        machine_compare(drive, drive->store + job->block, shadow, job->nbytes);
    else
        memcpy(shadow, drive->store + job->block, moved);
    machine_check(drive, job->run, job->offset, job->nbytes);
}

static enum cma_direction drive_direction(struct drive *drive)
{
    return machine_random(drive, 2) != 0 ? CMA_TO_DEVICE : CMA_FROM_DEVICE;
}

/* Some devices stop early, and say so. Returns how much will be moved. */
static uint32_t drive_stop_early(struct drive *drive, enum cma_direction direction, uint32_t nbytes)
{
    bool early = direction == CMA_FROM_DEVICE && machine_random(drive, 8) == 0;

    drive->simulated.load_nbytes_max = early ? 1 + machine_random(drive, nbytes) : 0;
    return early ? drive->simulated.load_nbytes_max : nbytes;
}

/* --- one buffer a transfer --------------------------------------------------------------- */

static int drive_narrow(struct drive *drive, const struct drive_options *options)
{
    struct narrow narrow = {.device = &drive->device, .io = &drive->simulated.io};

    while (drive->result->transfers < options->transfers) {
        struct drive_job job = {.run = &drive->runs[machine_random(drive, RUNS)],
                                .nbytes = drive_length(drive, TRANSFER_MAX),
                                .block = machine_random(drive, 512) * 512,
                                .direction = drive_direction(drive)};
        uint32_t expected, moved = 0;
        int error;

        job.offset = drive_offset(drive, job.run, job.nbytes);
        expected = drive_stop_early(drive, job.direction, job.nbytes);
        drive_begin(drive, &job);
        error = narrow_transfer(&narrow, job.run->paddr + job.offset, job.nbytes, job.direction,
                                job.block, &moved);
        drive_count(drive, error, expected, moved);
        drive_end(drive, &job, moved);
    }
    return 0;
}

/* --- lists ------------------------------------------------------------------------------- */

#define PIECES_MAX 16u
#define JOBS_MAX 8u

/* A range of a run becomes up to three pieces that continue each other. */
static uint32_t drive_pieces(struct drive *drive, const struct drive_job *job,
                             struct cma_piece *pieces, uint32_t npieces)
{
    uint32_t at = 0;

    for (uint32_t left = machine_random(drive, 3); at < job->nbytes; left--) {
        uint32_t n = job->nbytes - at;

        if (left != 0 && npieces < PIECES_MAX - 1)
            n = 1 + machine_random(drive, n);
        else
            left = 1;
        pieces[npieces++] = (struct cma_piece){job->run->paddr + job->offset + at, n};
        at += n;
    }
    return npieces;
}

static int drive_list(struct drive *drive, const struct drive_options *options)
{
    struct drive_result *result = drive->result;
    struct list list;
    int error = list_probe(&list, &drive->device, &drive->simulated.io);

    while (error == 0 && result->transfers < options->transfers) {
        uint32_t njobs = 1 + machine_random(drive, JOBS_MAX), npieces = 0, block = 0, moved = 0;
        uint32_t first = machine_random(drive, RUNS), expected;
        enum cma_direction direction = drive_direction(drive);
        struct drive_job jobs[JOBS_MAX];
        struct cma_piece pieces[PIECES_MAX];

        for (uint32_t i = 0; i < njobs; i++) {
            struct drive_job *job = &jobs[i];

            *job = (struct drive_job){.run = &drive->runs[(first + i) % RUNS],
                                      .nbytes = drive_length(drive, RUN_NBYTES),
                                      .block = block,
                                      .direction = direction};
            if (block + job->nbytes > LIST_MAX || npieces == PIECES_MAX) {
                njobs = i;
                break;
            }
            job->offset = drive_offset(drive, job->run, job->nbytes);
            block += job->nbytes;
            drive_begin(drive, job);
            npieces = drive_pieces(drive, job, pieces, npieces);
        }
        expected = drive_stop_early(drive, direction, block);
        error = list_transfer(&list, pieces, npieces, direction, 0, &moved);
        drive_count(drive, error, expected, moved);
        error = 0;
        for (uint32_t i = 0; i < njobs; i++) {
            uint32_t before = jobs[i].block < moved ? moved - jobs[i].block : 0;

            drive_end(drive, &jobs[i], before < jobs[i].nbytes ? before : jobs[i].nbytes);
        }
    }
    result->segments = list.nsegments;
    return error == 0 ? list_remove(&list) : error;
}

/* --- packets ----------------------------------------------------------------------------- */

#define PACKETS_AHEAD 4u
#define DRIVE_PATIENCE 100 /* interrupts that bring no packet */

struct drive_packet {
    uint32_t nbytes;
    uint8_t bytes[PACKET_NBYTES];
};

/* Sends a packet and writes down what must come back; returns false if nothing has to. */
static bool drive_send(struct drive *drive, struct ring *ring, struct drive_packet *packet)
{
    struct drive_run *run = &drive->runs[1 + machine_random(drive, RUNS - 1)];
    uint32_t nbytes = PACKET_HEADER + 1 + machine_random(drive, PACKET_NBYTES - PACKET_HEADER);
    uint32_t offset = drive_offset(drive, run, nbytes);
    int error;

    machine_fill(drive, run, offset, nbytes);
    run->shadow[offset] = machine_random(drive, 8) != 0 ? PACKET_WANTED : 0;
    sim_write_paddr(drive->sim, run->paddr + offset, &run->shadow[offset], 1);
    packet->nbytes = nbytes;
    packet->bytes[0] = run->shadow[offset];
    for (uint32_t i = 1; i < nbytes; i++)
        packet->bytes[i] = (uint8_t)~run->shadow[offset + i];
    run->busy_offset = offset;
    run->busy_nbytes = nbytes;
    error = ring_send(ring, run->paddr + offset, nbytes);
    run->busy_nbytes = 0;
    drive_count(drive, error, nbytes, nbytes);
    machine_check(drive, run, offset, nbytes);
    return error == 0 && packet->bytes[0] == PACKET_WANTED;
}

static void drive_receive(struct drive *drive, struct ring *ring, const struct drive_packet *packet)
{
    const struct driver_io *io = &drive->simulated.io;
    uint8_t bytes[PACKET_NBYTES];
    cma_paddr_t paddr;
    uint32_t nbytes = 0, right = 0;
    int error = ring_receive(ring, &paddr, &nbytes);

    /* Packets that nobody wants may have filled the ring; the device goes on when it has room. */
    for (int i = 0; error == CMA_ENOENT && i < DRIVE_PATIENCE; i++) {
        io->wait(io->ctx);
        error = ring_receive(ring, &paddr, &nbytes);
    }
    if (error == 0) {
        sim_read_paddr(drive->sim, paddr, bytes, nbytes);
        if (nbytes == packet->nbytes) {
            machine_compare(drive, bytes, packet->bytes, nbytes);
            right = nbytes;
        }
        error = ring_give_back(ring, nbytes);
    }
    drive_count(drive, error, packet->nbytes, right);
}

/* Between the buffers of arriving packets lies other data. */
static void drive_gaps(struct drive *drive, bool write)
{
    struct drive_run *run = &drive->runs[0];
    uint8_t bytes[PACKET_STRIDE - PACKET_NBYTES];

    for (uint32_t i = 0; i < RING_ENTRIES; i++) {
        uint32_t offset = i * PACKET_STRIDE + PACKET_NBYTES;

        if (write) {
            machine_fill(drive, run, offset, sizeof(bytes));
        } else {
            sim_read_paddr(drive->sim, run->paddr + offset, bytes, sizeof(bytes));
            machine_compare(drive, bytes, run->shadow + offset, sizeof(bytes));
        }
    }
}

static int drive_ring(struct drive *drive, const struct drive_options *options)
{
    struct drive_run *run = &drive->runs[0];
    struct drive_packet packets[PACKETS_AHEAD];
    struct ring ring;
    int error = ring_probe(&ring, &drive->device, &drive->simulated.io, run->paddr);

    if (error != 0)
        return error;
    while (drive->result->transfers < options->transfers) {
        uint32_t nwanted = 0, n = 1 + machine_random(drive, PACKETS_AHEAD);

        if (machine_random(drive, 16) == 0)
            drive_gaps(drive, true);
        for (uint32_t i = 0; i < n; i++)
            nwanted += drive_send(drive, &ring, &packets[nwanted]);
        for (uint32_t i = 0; i < nwanted; i++)
            drive_receive(drive, &ring, &packets[i]);
        if (machine_random(drive, 16) == 0)
            drive_gaps(drive, false);
    }
    error = ring_remove(&ring);
    /* What arrived last in the buffers is nobody's business; the rest of the run is. */
    for (uint32_t i = 0; i < RING_ENTRIES; i++)
        sim_read_paddr(drive->sim, run->paddr + i * PACKET_STRIDE, run->shadow + i * PACKET_STRIDE,
                       PACKET_NBYTES);
    return error;
}

/* --- several at once --------------------------------------------------------------------- */

static int drive_queue(struct drive *drive, const struct drive_options *options)
{
    uint64_t nbytes = queue_size(&drive->device);
    struct drive_job jobs[COMMANDS_MAX];
    uint32_t expected[COMMANDS_MAX];
    struct queue queue;
    int error;

    drive->driver_storage = calloc(1, nbytes);
    error =
        queue_probe(&queue, &drive->device, &drive->simulated.io, drive->driver_storage, nbytes);
    while (error == 0 && drive->result->transfers < options->transfers) {
        uint32_t n = 1 + machine_random(drive, COMMANDS_MAX), tag = 0, moved;

        for (uint32_t i = 0; i < n; i++) {
            /* A run each, and a part of the device each. */
            struct drive_job job = {.run = &drive->runs[i * 3 + machine_random(drive, 3)],
                                    .nbytes = drive_length(drive, TRANSFER_MAX),
                                    .block = i * TRANSFER_MAX,
                                    .direction = drive_direction(drive)};

            job.offset = drive_offset(drive, job.run, job.nbytes);
            drive_begin(drive, &job);
            error = queue_submit(&queue, job.run->paddr + job.offset, job.nbytes, job.direction,
                                 job.block, &tag);
            if (error != 0) {
                drive_count(drive, error, job.nbytes, 0);
                drive_end(drive, &job, 0);
                continue;
            }
            jobs[tag] = job;
            expected[tag] = job.nbytes;
        }
        while ((error = queue_finish(&queue, &tag, &moved)) != CMA_ENOENT) {
            if (error != 0 && error != CMA_EAGAIN)
                return error;
            drive_count(drive, error, expected[tag], moved);
            drive_end(drive, &jobs[tag], moved);
        }
        error = 0;
    }
    return error == 0 ? queue_remove(&queue) : error;
}

/* --- all of it --------------------------------------------------------------------------- */

int drive_run(const struct drive_style *style, const struct drive_options *options,
              struct drive_result *result)
{
    static int (*const drivers[])(struct drive *, const struct drive_options *) = {
        [DRIVE_NARROW] = drive_narrow,
        [DRIVE_LIST] = drive_list,
        [DRIVE_RING] = drive_ring,
        [DRIVE_QUEUE] = drive_queue,
    };
    struct drive *drive = calloc(1, sizeof(*drive));
    int error = -1;

    *result = (struct drive_result){0};
    if (drive == NULL)
        return -1;
    drive->style = style;
    drive->result = result;
    error = machine_make(drive, options);
    if (error == 0 && drivers[style->driver](drive, options) != 0)
        result->violation = "the driver could not begin, or not end";
    machine_end(drive);
    free(drive);
    return error;
}

bool drive_is_good(const struct drive_result *result)
{
    return result->wrong == 0 && result->failed == 0 && result->faults == 0 &&
           result->misuses == 0 && result->violation == NULL;
}
