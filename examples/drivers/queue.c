/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * queue.c - a driver for a device that works on several commands at once
 *
 * A command is a small struct that both sides look at: an item of a pool of coherent memory. The
 * device is given its address and answers with that address, in whatever order it finishes; the
 * pool knows which item lies there. That addresses are moved on the way to the device is nowhere
 * to be seen: all that the driver hands out and gets back are device addresses.
 */
#include "drivers.h"

static const struct cma_dma_pool_config queue_config = {.name = "commands",
                                                        .item_nbytes = sizeof(struct command),
                                                        .align_nbytes = 64,
                                                        .nitems_max = COMMANDS_MAX};

uint64_t queue_size(const struct cma_device *device)
{
    return cma_dma_pool_size(device, &queue_config);
}

int queue_probe(struct queue *queue, struct cma_device *device, const struct driver_io *io,
                void *storage, uint64_t nbytes)
{
    int error;

    *queue = (struct queue){.device = device, .io = io};
    error = cma_dma_pool_init(&queue->commands, device, &queue_config, storage, nbytes);
    return error == 0 ? cma_dma_pool_grow(&queue->commands, COMMANDS_MAX, NULL) : error;
}

int queue_submit(struct queue *queue, cma_paddr_t paddr, uint32_t nbytes,
                 enum cma_direction direction, uint32_t block, uint32_t *tag)
{
    const struct driver_io *io = queue->io;
    struct queue_request *request = queue->requests;
    struct command command = {.nbytes = nbytes, .block = block};
    int error;

    while (request->busy) {
        if (++request == queue->requests + COMMANDS_MAX) {
            return CMA_EBUSY;
        }
    }
    error = cma_dma_pool_alloc(&queue->commands, 0, &request->command, NULL);
    if (error != 0) {
        return error;
    }
    error = cma_dma_map(queue->device, paddr, nbytes, direction, 0, &request->daddr, NULL);
    if (error != 0) {
        int freed = cma_dma_pool_free(&queue->commands, &request->command);

        return freed != 0 ? freed : error;
    }
    request->nbytes = nbytes;
    request->direction = direction;
    request->busy = true;
    *tag = (uint32_t)(request - queue->requests);
    command.address = request->daddr;
    command.start = direction == CMA_TO_DEVICE ? START_STORE : START_LOAD;
    command.tag = *tag;
    io->store(io->ctx, request->command.vaddr, &command, sizeof(command));
    io->barrier(io->ctx);
    io->write(io->ctx, REG_COMMAND, request->command.daddr);
    return 0;
}

int queue_finish(struct queue *queue, uint32_t *tag, uint32_t *moved)
{
    const struct driver_io *io = queue->io;
    struct queue_request *request;
    struct cma_dma_item item;
    struct command command;
    cma_daddr_t daddr;
    uint32_t i = 0;
    int error;

    while (!queue->requests[i].busy) {
        if (++i == COMMANDS_MAX) {
            return CMA_ENOENT;
        }
    }
    while ((daddr = io->read(io->ctx, REG_FINISHED)) == COMMAND_NONE) {
        io->wait(io->ctx);
    }
    /* What a device says is not to be trusted: it is looked up, and compared. */
    error = cma_dma_pool_find(&queue->commands, daddr, &item);
    if (error != 0) {
        return error;
    }
    io->load(io->ctx, item.vaddr, &command, sizeof(command));
    if (command.tag >= COMMANDS_MAX || !queue->requests[command.tag].busy ||
        queue->requests[command.tag].command.daddr != item.daddr) {
        return CMA_EBADF;
    }
    request = &queue->requests[command.tag];
    *tag = command.tag;
    *moved = command.moved;
    request->busy = false;
    error = cma_dma_unmap(queue->device, request->daddr, request->nbytes, request->direction, 0);
    if (error == 0) {
        error = cma_dma_pool_free(&queue->commands, &request->command);
    }
    return error == 0 && command.error != 0 ? CMA_EAGAIN : error;
}

int queue_remove(struct queue *queue)
{
    return cma_dma_pool_destroy(&queue->commands);
}
