/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hardware.h - the data sheet of the example devices, and what a system gives their drivers
 *
 * All of them store blocks, like a disk, but for the one that sends packets. They differ in how
 * they are told where memory is, and in what they can't do: that is in drivers.h.
 */
#ifndef HARDWARE_H
#define HARDWARE_H

#include <cma/types.h>

enum hardware_register {
    REG_ADDRESS,   /* of the transfer's memory, as the device sees it */
    REG_LENGTH,    /* bytes */
    REG_BLOCK,     /* where on the device: a multiple of 512, in bytes */
    REG_TABLE,     /* address of a table of descriptors, instead of ADDRESS and LENGTH */
    REG_ENTRIES,   /* how many descriptors that has; 0: no table */
    REG_START,     /* write START_*: begins, and ends with an interrupt */
    REG_MOVED,     /* read: bytes that the last transfer has moved */
    REG_ERROR,     /* read: not 0 when it failed */
    REG_SEND_RING, /* address of a ring of RING_ENTRIES descriptors: packets to send */
    REG_FILL_RING, /* the same: memory for packets that arrive */
    REG_KICK,      /* write anything: there are new descriptors in the rings */
    REG_COMMAND,   /* write the address of a struct command: queues it, up to COMMANDS_MAX */
    REG_FINISHED,  /* read: address of a command that is finished, COMMAND_NONE: of none */
    REG_COUNT
};

#define START_STORE 1 /* from memory to the device */
#define START_LOAD 2  /* from the device to memory */

/* In memory that the device and the processor see the same: coherent memory. */
struct descriptor {
    uint64_t address;
    uint32_t nbytes;
    uint32_t flags;
};
#define DESCRIPTOR_DEVICE (1u << 0) /* of rings: it is the device's, until it clears this */
#define DESCRIPTOR_ERROR (1u << 1)

#define RING_ENTRIES 8u

struct command {
    uint64_t address;
    uint32_t nbytes;
    uint32_t block;
    uint32_t start; /* START_* */
    uint32_t tag;   /* the driver's own */
    uint32_t moved; /* filled by the device, as what follows */
    uint32_t error;
};
#define COMMANDS_MAX 8u
#define COMMAND_NONE UINT64_MAX

/*
 * What a system gives a driver. `load` and `store` are its accesses to coherent memory by the CPU's
 * address: on a board they are plain reads and writes of a volatile struct, in the simulator
 * addresses are only numbers. `peek` reads memory of the system's own, wherever that is mapped.
 */
struct driver_io {
    void *ctx;
    void (*write)(void *ctx, enum hardware_register reg, uint64_t value);
    uint64_t (*read)(void *ctx, enum hardware_register reg);
    void (*wait)(void *ctx);    /* for the device's interrupt */
    void (*barrier)(void *ctx); /* what was stored before is in memory before what comes after */
    void (*load)(void *ctx, const void *vaddr, void *to, size_t nbytes);
    void (*store)(void *ctx, void *vaddr, const void *from, size_t nbytes);
    void (*peek)(void *ctx, cma_paddr_t paddr, void *to, size_t nbytes);
};

#endif
