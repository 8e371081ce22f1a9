/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * drivers.h - the DMA part of four drivers, as a driver's author writes it
 *
 * Each shows one way to use memory. What their devices can't do is said where they are configured
 * (struct cma_device_config, or the device tree); none of the drivers looks at it, and the same
 * driver runs on a board where its device can do more, or less.
 *
 *     narrow.c   one buffer a transfer, by registers; the rest is the bounce pool's business
 *     list.c     a list of pieces a transfer, by a table of descriptors
 *     ring.c     packets, by rings of descriptors; buffers stay mapped and are synced in part
 *     queue.c    several transfers at once, by commands from a pool; they end in any order
 *
 * All calls return 0 or a code of libcma's, CMA_EAGAIN for a transfer that the device says failed.
 */
#ifndef DRIVERS_H
#define DRIVERS_H

#include "hardware.h"

#include <cma/dma.h>
#include <cma/pool.h>
#include <cma/stream.h>
/* While a driver is tried out, each of its calls is looked at. One that ships leaves this out. */
#include <cma/misuse.h>

/* --- narrow.c ---------------------------------------------------------------------------- */

struct narrow {
    struct cma_device *device;
    const struct driver_io *io;
};
int narrow_transfer(struct narrow *narrow, cma_paddr_t paddr, uint32_t nbytes,
                    enum cma_direction direction, uint32_t block, uint32_t *moved);

/* --- list.c ------------------------------------------------------------------------------ */

#define LIST_ENTRIES 64u

struct list {
    struct cma_device *device;
    const struct driver_io *io;
    struct cma_coherent table;
    struct cma_segment segments[LIST_ENTRIES];
    uint64_t nsegments; /* so far */
};
int list_probe(struct list *list, struct cma_device *device, const struct driver_io *io);
int list_transfer(struct list *list, const struct cma_piece *pieces, uint32_t npieces,
                  enum cma_direction direction, uint32_t block, uint32_t *moved);
int list_remove(struct list *list);

/* --- ring.c ------------------------------------------------------------------------------ */

#define PACKET_NBYTES 1600u /* at most */
#define PACKET_STRIDE 2048u /* from one buffer for arriving packets to the next */
#define PACKET_HEADER 16u
#define PACKET_WANTED 0x55u /* first byte of a packet that is for us */

struct ring {
    struct cma_device *device;
    const struct driver_io *io;
    struct cma_coherent send, fill; /* the rings */
    cma_paddr_t buffers;            /* RING_ENTRIES of them */
    cma_daddr_t mapped[RING_ENTRIES];
    uint32_t next_send, next_fill;
    uint64_t dropped;
};
/* `buffers` is the system's memory, RING_ENTRIES * PACKET_STRIDE bytes of it. */
int ring_probe(struct ring *ring, struct cma_device *device, const struct driver_io *io,
               cma_paddr_t buffers);
int ring_send(struct ring *ring, cma_paddr_t paddr, uint32_t nbytes);
/* The next packet that has arrived, in the system's memory; CMA_ENOENT: none has. It is the
 * caller's until ring_give_back. */
int ring_receive(struct ring *ring, cma_paddr_t *paddr, uint32_t *nbytes);
int ring_give_back(struct ring *ring, uint32_t nbytes);
int ring_remove(struct ring *ring);

/* --- queue.c ----------------------------------------------------------------------------- */

struct queue_request {
    struct cma_dma_item command;
    cma_daddr_t daddr;
    uint32_t nbytes;
    enum cma_direction direction;
    bool busy;
};

struct queue {
    struct cma_device *device;
    const struct driver_io *io;
    struct cma_dma_pool commands;
    struct queue_request requests[COMMANDS_MAX];
};
/* Bytes of storage (aligned to 8) for its pool. */
uint64_t queue_size(const struct cma_device *device);
int queue_probe(struct queue *queue, struct cma_device *device, const struct driver_io *io,
                void *storage, uint64_t nbytes);
/* Begins a transfer: 0 and its tag, or CMA_EBUSY (COMMANDS_MAX are under way). */
int queue_submit(struct queue *queue, cma_paddr_t paddr, uint32_t nbytes,
                 enum cma_direction direction, uint32_t block, uint32_t *tag);
/* Ends one that the device has finished, waiting for it: 0 and its tag, or CMA_ENOENT (none is
 * under way). */
int queue_finish(struct queue *queue, uint32_t *tag, uint32_t *moved);
int queue_remove(struct queue *queue);

#endif
