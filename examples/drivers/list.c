/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * list.c - a driver for a device with scatter and gather
 *
 * The pieces of a transfer lie anywhere. cma_dma_map_list makes segments of them that the device
 * can take, merged where they continue each other, cut where they are too long or cross a line that
 * the device's address counter can't. The driver writes them down one by one.
 */
#include "drivers.h"

int list_probe(struct list *list, struct cma_device *device, const struct driver_io *io)
{
    struct cma_coherent_request request = {.nbytes = LIST_ENTRIES * sizeof(struct descriptor)};

    *list = (struct list){.device = device, .io = io};
    return cma_dma_alloc_coherent(device, &request, &list->table, NULL);
}

static void list_write_down(struct list *list, uint32_t nsegments)
{
    const struct driver_io *io = list->io;
    struct descriptor *table = list->table.vaddr;

    for (uint32_t i = 0; i < nsegments; i++) {
        struct descriptor descriptor = {.address = list->segments[i].daddr,
                                        .nbytes = (uint32_t)list->segments[i].nbytes};

        io->store(io->ctx, &table[i], &descriptor, sizeof(descriptor));
    }
    io->barrier(io->ctx);
}

int list_transfer(struct list *list, const struct cma_piece *pieces, uint32_t npieces,
                  enum cma_direction direction, uint32_t block, uint32_t *moved)
{
    const struct driver_io *io = list->io;
    uint32_t nsegments;
    int error;

    error = cma_dma_map_list(list->device, pieces, npieces, direction, 0, list->segments,
                             LIST_ENTRIES, &nsegments, NULL);
    if (error != 0) {
        return error;
    }
    list->nsegments += nsegments;
    list_write_down(list, nsegments);
    io->write(io->ctx, REG_TABLE, list->table.daddr);
    io->write(io->ctx, REG_ENTRIES, nsegments);
    io->write(io->ctx, REG_BLOCK, block);
    io->write(io->ctx, REG_START, direction == CMA_TO_DEVICE ? START_STORE : START_LOAD);
    io->wait(io->ctx);
    *moved = (uint32_t)io->read(io->ctx, REG_MOVED);
    error = cma_dma_unmap_list(list->device, list->segments, nsegments, direction, 0);
    if (error == 0 && io->read(io->ctx, REG_ERROR) != 0) {
        error = CMA_EAGAIN;
    }
    return error;
}

int list_remove(struct list *list)
{
    return cma_dma_free_coherent(list->device, &list->table);
}
