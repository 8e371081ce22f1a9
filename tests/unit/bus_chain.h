/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bus_chain.h - three random buses behind each other, and where an address leads through them, step
 * by step
 */
#ifndef TEST_BUS_CHAIN_H
#define TEST_BUS_CHAIN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <cma/dma.h>

#define ALL UINT64_MAX
#define UNIT 0x1000u
#define UNITS 24u
#define BUSES 3u

static struct cma_dma dma;

static struct cma_device_config config_of(const struct cma_bus_window *windows, uint32_t nwindows,
                                          cma_daddr_t mask)
{
    struct cma_device_config config = {.name = "bus", .owner = 1, .mask = mask};

    config.coherent_mask = mask;
    config.windows = windows;
    config.nwindows = nwindows;
    return config;
}

static void device_of(struct cma_device *device, const struct cma_bus_window *windows,
                      uint32_t nwindows, cma_daddr_t mask)
{
    struct cma_device_config config = config_of(windows, nwindows, mask);

    assert_int_equal(cma_device_init(device, &dma, &config), 0);
}

struct bus {
    struct cma_bus_window windows[3];
    uint32_t nwindows;
};

static uint64_t random_state;

static uint32_t random_below(uint32_t n)
{
    random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(random_state >> 33) % n;
}

/* Up to three windows, apart on both sides, often touching, sometimes exchanged. */
static void random_bus(struct bus *bus)
{
    uint32_t daddr = random_below(4), paddr = random_below(4);

    bus->nwindows = 1 + random_below(3);
    for (uint32_t i = 0; i < bus->nwindows; i++) {
        uint32_t n = 1 + random_below(8);

        bus->windows[i] =
            (struct cma_bus_window){(uint64_t)daddr * UNIT, (uint64_t)paddr * UNIT, n * UNIT};
        daddr += n + random_below(3);
        paddr += n + random_below(3);
    }
    if (bus->nwindows == 3 && random_below(2) == 0) {
        uint64_t nbytes = bus->windows[0].nbytes;

        if (bus->windows[2].nbytes <= nbytes) { /* the first and last swap their memory */
            uint64_t first = bus->windows[0].paddr;

            bus->windows[0].paddr = bus->windows[2].paddr;
            bus->windows[0].nbytes = bus->windows[2].nbytes;
            bus->windows[2].paddr = first;
        }
    }
}

/* Where a unit of the lowest bus leads, step by step. */
static inline bool naive(const struct bus *buses, uint64_t at, uint64_t *paddr)
{
    for (uint32_t i = BUSES; i-- > 0;) {
        bool found = false;

        for (uint32_t j = 0; j < buses[i].nwindows && !found; j++) {
            const struct cma_bus_window *window = &buses[i].windows[j];

            if (at >= window->daddr && at - window->daddr < window->nbytes) {
                at = window->paddr + (at - window->daddr);
                found = true;
            }
        }
        if (!found) {
            return false;
        }
    }
    *paddr = at;
    return true;
}

/* The device at the end of the chain: 0 or what cma_device_inherit says. */
static int chain_device(const struct bus *buses, struct cma_device *dev)
{
    static struct cma_bus_window middle[16], low[32];
    struct cma_device_config config = config_of(buses[1].windows, buses[1].nwindows, ALL);
    struct cma_device a, b;
    int error;

    device_of(&a, buses[0].windows, buses[0].nwindows, ALL);
    error = cma_device_inherit(&config, &a, middle, 16);
    if (error != 0) {
        return error;
    }
    assert_int_equal(cma_device_init(&b, &dma, &config), 0);
    config = config_of(buses[2].windows, buses[2].nwindows, ALL);
    error = cma_device_inherit(&config, &b, low, 32);
    return error != 0 ? error : cma_device_init(dev, &dma, &config);
}

#endif
