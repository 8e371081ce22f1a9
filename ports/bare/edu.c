/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * edu.c - QEMU's device for teaching: a DMA engine between memory and 4 KiB of its own
 *
 * Its number of address lines is an option of QEMU (dma_mask). Like most hardware it says nothing
 * when an address has more bits: they get lost, and the transfer goes elsewhere.
 */
#include "bare.h"

#define EDU_ID 0x11e81234u
#define CONFIG_COMMAND 0x04u
#define CONFIG_BAR0 0x10u
#define COMMAND_MEMORY 0x2u
#define COMMAND_MASTER 0x4u

#define REG_ID 0x00u
#define REG_FROM 0x80u
#define REG_TO 0x88u
#define REG_COUNT 0x90u
#define REG_COMMAND 0x98u
#define DMA_RUN 1u
#define DMA_TO_MEMORY 2u
#define OWN_MEMORY 0x40000u
#define EDU_STRETCH 24u
#define EDU_TIMEOUT_NS 10000000000u

static volatile uint32_t *edu_config(cma_paddr_t function, uint32_t offset)
{
    return (volatile uint32_t *)(uintptr_t)(function + offset);
}

bool edu_start(struct edu *edu, cma_paddr_t ecam, uint64_t nbytes)
{
    for (uint32_t slot = 0; slot < 32; slot++) {
        cma_paddr_t function = ecam + ((uint64_t)slot << 15);
        if (((uint64_t)(slot + 1) << 15) > nbytes)
            break;
        if (*edu_config(function, 0) != EDU_ID)
            continue;
        *edu_config(function, CONFIG_BAR0) = BARE_PCI_MMIO;
        *edu_config(function, CONFIG_COMMAND) |= COMMAND_MEMORY | COMMAND_MASTER;
        edu->registers = (volatile uint8_t *)(uintptr_t)BARE_PCI_MMIO;
        edu->transfers = 0;
        return (*(volatile uint32_t *)edu->registers & 0xff) == 0xed;
    }
    return false;
}

static void edu_write(struct edu *edu, uint32_t reg, uint64_t value)
{
    *(volatile uint64_t *)(edu->registers + reg) = value;
}

static bool edu_transfer(struct edu *edu, uint64_t from, uint64_t to, uint32_t nbytes,
                         uint32_t command)
{
    uint64_t start = thread_time_ns(), stretch = thread_stretch(EDU_STRETCH);
    bool running;

    edu_write(edu, REG_FROM, from);
    edu_write(edu, REG_TO, to);
    edu_write(edu, REG_COUNT, nbytes);
    edu_write(edu, REG_COMMAND, command | DMA_RUN);
    while ((running = *(volatile uint64_t *)(edu->registers + REG_COMMAND) & DMA_RUN) &&
           thread_time_ns() - start < EDU_TIMEOUT_NS)
        thread_relax();
    (void)thread_stretch(stretch);
    edu->transfers++;
    return !running;
}

static bool edu_fits(uint32_t at, uint32_t nbytes)
{
    return nbytes && nbytes <= EDU_NBYTES_MAX && at < 2 * EDU_NBYTES_MAX &&
           nbytes < 2 * EDU_NBYTES_MAX - at;
}

bool edu_from_memory(struct edu *edu, cma_daddr_t daddr, uint32_t at, uint32_t nbytes)
{
    return edu_fits(at, nbytes) && edu_transfer(edu, daddr, OWN_MEMORY + at, nbytes, 0);
}

bool edu_to_memory(struct edu *edu, uint32_t at, cma_daddr_t daddr, uint32_t nbytes)
{
    return edu_fits(at, nbytes) && edu_transfer(edu, OWN_MEMORY + at, daddr, nbytes, DMA_TO_MEMORY);
}
