/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * simulated.c - the devices of hardware.h, on the simulator
 */
#include "simulated.h"

#include <string.h>

#define BURST 256u

/* One transfer's way through the device. */
struct transfer {
    uint8_t *bytes; /* in the device */
    uint32_t moved, most;
    bool store; /* from memory */
    bool failed;
};

static void simulated_meanwhile(struct simulated *device)
{
    if (device->meanwhile != NULL)
        device->meanwhile(device->ctx);
}

/* Up to nbytes from `daddr` on, as far as the transfer goes. */
static void simulated_segment(struct simulated *device, struct transfer *transfer,
                              cma_daddr_t daddr, uint64_t nbytes)
{
    uint64_t boundary = device->segment_boundary_nbytes;

    if (device->segment_nbytes_max != 0 && nbytes != 0)
        nbytes = ((nbytes - 1) & (device->segment_nbytes_max - 1)) + 1;
    while (nbytes != 0 && transfer->moved < transfer->most) {
        uint64_t n = nbytes < BURST ? nbytes : BURST;
        uint8_t *bytes = transfer->bytes + transfer->moved;

        if (n > transfer->most - transfer->moved)
            n = transfer->most - transfer->moved;
        if (boundary != 0 && n > boundary - (daddr & (boundary - 1)))
            n = boundary - (daddr & (boundary - 1));
        simulated_meanwhile(device);
        if (!(transfer->store ? simdev_read(&device->bus, daddr, bytes, n)
                              : simdev_write(&device->bus, daddr, bytes, n)))
            transfer->failed = true;
        transfer->moved += (uint32_t)n;
        nbytes -= n;
        daddr += n;
        if (boundary != 0 && (daddr & (boundary - 1)) == 0)
            daddr -= boundary; /* where its counter ends */
    }
}

static void simulated_begin(struct simulated *device, struct transfer *transfer, bool store,
                            uint64_t block)
{
    block %= SIMULATED_STORE;
    *transfer = (struct transfer){.bytes = device->store + block,
                                  .most = (uint32_t)(SIMULATED_STORE - block),
                                  .store = store};
    if (store)
        return;
    device->loads++;
    if (device->load_nbytes_max != 0 && device->load_nbytes_max < transfer->most)
        transfer->most = device->load_nbytes_max;
}

static void simulated_start(struct simulated *device)
{
    const uint64_t *registers = device->registers;
    struct transfer transfer;

    simulated_begin(device, &transfer, registers[REG_START] == START_STORE, registers[REG_BLOCK]);
    for (uint64_t i = 0; i < registers[REG_ENTRIES]; i++) {
        struct descriptor descriptor;

        if (!simdev_read(&device->bus, registers[REG_TABLE] + i * sizeof(descriptor), &descriptor,
                         sizeof(descriptor))) {
            transfer.failed = true;
            break;
        }
        simulated_segment(device, &transfer, descriptor.address, descriptor.nbytes);
    }
    if (registers[REG_ENTRIES] == 0)
        simulated_segment(device, &transfer, registers[REG_ADDRESS], registers[REG_LENGTH]);
    device->registers[REG_MOVED] = transfer.moved;
    device->registers[REG_ERROR] = transfer.failed;
    device->started = false;
}

/* --- commands ---------------------------------------------------------------------------- */

/* One of those that wait, whichever it likes. */
static void simulated_command(struct simulated *device)
{
    uint32_t which;
    cma_daddr_t daddr;
    struct command command;
    struct transfer transfer;

    device->random = device->random * 6364136223846793005u + 1442695040888963407u;
    which = (uint32_t)(device->random >> 33) % device->ncommands;
    daddr = device->commands[which];
    device->commands[which] = device->commands[--device->ncommands];
    device->finished[device->nfinished++] = daddr;
    if (!simdev_read(&device->bus, daddr, &command, sizeof(command)))
        return;
    simulated_begin(device, &transfer, command.start == START_STORE, command.block);
    simulated_segment(device, &transfer, command.address, command.nbytes);
    command.moved = transfer.moved;
    command.error = transfer.failed;
    (void)simdev_write(&device->bus, daddr, &command, sizeof(command));
}

/* --- packets ----------------------------------------------------------------------------- */

/* The descriptor of a ring, if there is one for the device. */
static bool simulated_descriptor(struct simulated *device, cma_daddr_t ring, uint32_t index,
                                 cma_daddr_t *daddr, struct descriptor *descriptor)
{
    if (ring == 0)
        return false;
    *daddr = ring + index % RING_ENTRIES * sizeof(*descriptor);
    return simdev_read(&device->bus, *daddr, descriptor, sizeof(*descriptor)) &&
           (descriptor->flags & DESCRIPTOR_DEVICE) != 0;
}

static void simulated_answer(struct simulated *device, cma_daddr_t daddr,
                             struct descriptor *descriptor, const struct transfer *transfer)
{
    descriptor->nbytes = transfer->moved;
    descriptor->flags = transfer->failed ? DESCRIPTOR_ERROR : 0;
    (void)simdev_write(&device->bus, daddr, descriptor, sizeof(*descriptor));
}

static bool simulated_send(struct simulated *device)
{
    struct simulated_packet *packet = &device->packets[device->npackets];
    struct transfer transfer = {
        .bytes = packet->bytes, .most = sizeof(packet->bytes), .store = true};
    struct descriptor descriptor;
    cma_daddr_t daddr;

    if (device->npackets == SIMULATED_PACKETS ||
        !simulated_descriptor(device, device->registers[REG_SEND_RING], device->next_send, &daddr,
                              &descriptor))
        return false;
    simulated_segment(device, &transfer, descriptor.address, descriptor.nbytes);
    packet->nbytes = transfer.moved;
    for (uint32_t i = 1; i < packet->nbytes; i++)
        packet->bytes[i] = (uint8_t)~packet->bytes[i];
    device->npackets++;
    device->next_send++;
    simulated_answer(device, daddr, &descriptor, &transfer);
    return true;
}

static bool simulated_arrive(struct simulated *device)
{
    struct simulated_packet *packet = &device->packets[0];
    struct transfer transfer = {.bytes = packet->bytes, .most = packet->nbytes};
    struct descriptor descriptor;
    cma_daddr_t daddr;

    if (device->npackets == 0 || !simulated_descriptor(device, device->registers[REG_FILL_RING],
                                                       device->next_fill, &daddr, &descriptor))
        return false;
    simulated_segment(device, &transfer, descriptor.address, descriptor.nbytes);
    device->npackets--;
    memmove(packet, packet + 1, device->npackets * sizeof(*packet));
    device->next_fill++;
    simulated_answer(device, daddr, &descriptor, &transfer);
    return true;
}

/* --- what the driver sees ---------------------------------------------------------------- */

static void simulated_write(void *ctx, enum hardware_register reg, uint64_t value)
{
    struct simulated *device = ctx;

    device->registers[reg] = value;
    if (reg == REG_START)
        device->started = true;
    if (reg == REG_COMMAND && device->ncommands + device->nfinished < COMMANDS_MAX)
        device->commands[device->ncommands++] = value;
}

static uint64_t simulated_read(void *ctx, enum hardware_register reg)
{
    struct simulated *device = ctx;
    cma_daddr_t first;

    if (reg != REG_FINISHED)
        return device->registers[reg];
    if (device->nfinished == 0)
        return COMMAND_NONE;
    first = device->finished[0];
    device->nfinished--;
    memmove(device->finished, device->finished + 1, device->nfinished * sizeof(first));
    return first;
}

static void simulated_wait(void *ctx)
{
    struct simulated *device = ctx;

    simulated_meanwhile(device);
    if (device->started)
        simulated_start(device);
    if (device->ncommands != 0)
        simulated_command(device);
    while (simulated_send(device) || simulated_arrive(device))
        ;
    simulated_meanwhile(device);
}

static void simulated_barrier(void *ctx)
{
    const struct cma_port *port = sim_port(((struct simulated *)ctx)->bus.sim);

    port->dma_barrier(port->ctx);
}

static void simulated_load(void *ctx, const void *vaddr, void *to, size_t nbytes)
{
    sim_read(((struct simulated *)ctx)->bus.sim, vaddr, to, nbytes);
}

static void simulated_store(void *ctx, void *vaddr, const void *from, size_t nbytes)
{
    sim_write(((struct simulated *)ctx)->bus.sim, vaddr, from, nbytes);
}

static void simulated_peek(void *ctx, cma_paddr_t paddr, void *to, size_t nbytes)
{
    sim_read_paddr(((struct simulated *)ctx)->bus.sim, paddr, to, nbytes);
}

void simulated_init(struct simulated *device, struct sim *sim, const struct simdev_config *bus,
                    uint8_t *store, uint64_t seed)
{
    *device = (struct simulated){.store = store, .random = seed};
    device->io = (struct driver_io){
        .ctx = device,
        .write = simulated_write,
        .read = simulated_read,
        .wait = simulated_wait,
        .barrier = simulated_barrier,
        .load = simulated_load,
        .store = simulated_store,
        .peek = simulated_peek,
    };
    simdev_init(&device->bus, sim, bus);
}
