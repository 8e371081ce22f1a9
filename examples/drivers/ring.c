/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ring.c - a driver for a device that sends and receives packets
 *
 * Descriptors are coherent memory: both sides look at them all the time. Packets are streaming
 * memory, cached, because the CPU works on them. What is sent is mapped for one transfer. Buffers
 * for packets that arrive are mapped once: of a packet the driver first takes its header, then, if
 * it is wanted, the rest of what has arrived; and gives back to the device only what it took.
 */
#include "drivers.h"

#define RING_PATIENCE 100 /* interrupts that have nothing to say of a packet */

static void ring_post(struct ring *ring, const struct cma_coherent *which, uint32_t index,
                      cma_daddr_t daddr, uint32_t nbytes)
{
    const struct driver_io *io = ring->io;
    struct descriptor *entry = (struct descriptor *)which->vaddr + index;
    struct descriptor descriptor = {.address = daddr, .nbytes = nbytes};

    io->store(io->ctx, entry, &descriptor, sizeof(descriptor));
    io->barrier(io->ctx); /* the device must not see the flag before the rest */
    descriptor.flags = DESCRIPTOR_DEVICE;
    io->store(io->ctx, &entry->flags, &descriptor.flags, sizeof(descriptor.flags));
    io->write(io->ctx, REG_KICK, 1);
}

/* Is the device done with it? */
static bool ring_poll(struct ring *ring, const struct cma_coherent *which, uint32_t index,
                      struct descriptor *descriptor)
{
    const struct driver_io *io = ring->io;

    io->load(io->ctx, (struct descriptor *)which->vaddr + index, descriptor, sizeof(*descriptor));
    return (descriptor->flags & DESCRIPTOR_DEVICE) == 0;
}

int ring_remove(struct ring *ring)
{
    const struct driver_io *io = ring->io;
    int error = 0;

    io->write(io->ctx, REG_FILL_RING, 0);
    io->write(io->ctx, REG_SEND_RING, 0);
    for (uint32_t i = 0; i < RING_ENTRIES && i < ring->next_fill && error == 0; i++) {
        error = cma_dma_unmap(ring->device, ring->mapped[i], PACKET_NBYTES, CMA_FROM_DEVICE, 0);
    }
    if (error == 0 && ring->fill.nbytes != 0) {
        error = cma_dma_free_coherent(ring->device, &ring->fill);
    }
    if (error == 0 && ring->send.nbytes != 0) {
        error = cma_dma_free_coherent(ring->device, &ring->send);
    }
    return error;
}

int ring_probe(struct ring *ring, struct cma_device *device, const struct driver_io *io,
               cma_paddr_t buffers)
{
    struct cma_coherent_request request = {.nbytes = RING_ENTRIES * sizeof(struct descriptor)};
    int error;

    *ring = (struct ring){.device = device, .io = io, .buffers = buffers};
    error = cma_dma_alloc_coherent(device, &request, &ring->send, NULL);
    if (error == 0) {
        error = cma_dma_alloc_coherent(device, &request, &ring->fill, NULL);
    }
    for (uint32_t i = 0; i < RING_ENTRIES && error == 0; i++) {
        error = cma_dma_map(device, buffers + i * PACKET_STRIDE, PACKET_NBYTES, CMA_FROM_DEVICE, 0,
                            &ring->mapped[i], NULL);
        ring->next_fill += error == 0;
    }
    if (error != 0) {
        (void)ring_remove(ring);
        return error;
    }
    io->write(io->ctx, REG_SEND_RING, ring->send.daddr);
    io->write(io->ctx, REG_FILL_RING, ring->fill.daddr);
    for (uint32_t i = 0; i < RING_ENTRIES; i++) {
        ring_post(ring, &ring->fill, i, ring->mapped[i], PACKET_NBYTES);
    }
    return 0;
}

int ring_send(struct ring *ring, cma_paddr_t paddr, uint32_t nbytes)
{
    uint32_t index = ring->next_send % RING_ENTRIES;
    struct descriptor descriptor;
    cma_daddr_t daddr;
    int error;

    error = cma_dma_map(ring->device, paddr, nbytes, CMA_TO_DEVICE, 0, &daddr, NULL);
    if (error != 0) {
        return error;
    }
    ring_post(ring, &ring->send, index, daddr, nbytes);
    for (int i = 0; !ring_poll(ring, &ring->send, index, &descriptor) && i < RING_PATIENCE; i++) {
        ring->io->wait(ring->io->ctx);
    }
    ring->next_send++;
    error = cma_dma_unmap(ring->device, daddr, nbytes, CMA_TO_DEVICE, 0);
    return error == 0 && descriptor.flags != 0 ? CMA_EAGAIN : error;
}

int ring_give_back(struct ring *ring, uint32_t nbytes)
{
    uint32_t index = ring->next_fill++ % RING_ENTRIES;
    int error;

    error = cma_dma_sync_for_device(ring->device, ring->mapped[index], nbytes, CMA_FROM_DEVICE);
    ring_post(ring, &ring->fill, index, ring->mapped[index], PACKET_NBYTES);
    return error;
}

int ring_receive(struct ring *ring, cma_paddr_t *paddr, uint32_t *nbytes)
{
    const struct driver_io *io = ring->io;
    struct descriptor descriptor;
    uint8_t header[PACKET_HEADER];
    uint32_t index;
    int error;

    for (;;) {
        index = ring->next_fill % RING_ENTRIES;
        if (!ring_poll(ring, &ring->fill, index, &descriptor)) {
            return CMA_ENOENT;
        }
        *paddr = ring->buffers + index * PACKET_STRIDE;
        *nbytes = descriptor.nbytes;
        error =
            cma_dma_sync_for_cpu(ring->device, ring->mapped[index], PACKET_HEADER, CMA_FROM_DEVICE);
        if (error != 0) {
            return error;
        }
        io->peek(io->ctx, *paddr, header, sizeof(header));
        /* What a device says is not to be trusted. */
        if (header[0] == PACKET_WANTED && *nbytes > PACKET_HEADER && *nbytes <= PACKET_NBYTES) {
            break;
        }
        ring->dropped++;
        error = ring_give_back(ring, PACKET_HEADER);
        if (error != 0) {
            return error;
        }
    }
    return cma_dma_sync_for_cpu(ring->device, ring->mapped[index] + PACKET_HEADER,
                                *nbytes - PACKET_HEADER, CMA_FROM_DEVICE);
}
