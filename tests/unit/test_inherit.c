/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_inherit.c - devices behind buses behind buses: composed by hand, as the device-tree reader
 * composes the same tree, and page by page
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <cma/dma.h>

#include "../support/fdt_board.h"

#define ALL UINT64_MAX
#define UNIT 0x1000u
#define UNITS 24u
#define BUSES 3u
#define TREES 120u

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

/* --- random chains --------------------------------------------------------------------- */

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
static bool naive(const struct bus *buses, uint64_t at, uint64_t *paddr)
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

static uint32_t write_bus(char *text, uint32_t size, const struct bus *bus, const char *name)
{
    uint32_t used = (uint32_t)snprintf(
        text, size, "%s { #address-cells = <2>; #size-cells = <2>; ranges; dma-ranges = ", name);

    for (uint32_t i = 0; i < bus->nwindows; i++) {
        used +=
            (uint32_t)snprintf(text + used, size - used, "%s<0 0x%x 0 0x%x 0 0x%x>",
                               i != 0 ? ", " : "", (uint32_t)bus->windows[i].daddr,
                               (uint32_t)bus->windows[i].paddr, (uint32_t)bus->windows[i].nbytes);
    }
    return used + (uint32_t)snprintf(text + used, size - used, "; ");
}

/* The windows that the reader of device trees has for the only device; it lists them when there is
 * a way to memory at all. */
static void read_tree(const struct bus *buses, struct bus *result, struct cma_bus_window *windows)
{
    static const char *const names[BUSES] = {"a", "b", "c"};
    char text[2048];
    uint32_t used = 0;

    for (uint32_t i = 0; i < BUSES; i++) {
        used += write_bus(text + used, (uint32_t)sizeof(text) - used, &buses[i], names[i]);
    }
    snprintf(text + used, sizeof(text) - used,
             "dev@0 { compatible = \"x\"; reg = <0 0 0 1>; }; }; }; };");
    load_with("", text);
    assert_int_equal(fdt.ndevices, 1);
    assert_true(fdt.devices[0].nwindows <= 27);
    result->nwindows = fdt.devices[0].nwindows;
    for (uint32_t i = 0; i < result->nwindows; i++) {
        windows[i] = fdt.devices[0].windows[i];
    }
}

static void compare_chain(const struct bus *buses)
{
    struct cma_bus_window middle[16], low[32], tree[32];
    struct cma_device a, b, dev, read;
    struct bus result;
    struct cma_device_config config = config_of(buses[1].windows, buses[1].nwindows, ALL);
    uint64_t expected = 0, paddr = 0, through = 0;
    int error;

    read_tree(buses, &result, tree);
    device_of(&a, buses[0].windows, buses[0].nwindows, ALL);
    error = cma_device_inherit(&config, &a, middle, 16);
    if (error == 0) {
        assert_int_equal(cma_device_init(&b, &dma, &config), 0);
        config = config_of(buses[2].windows, buses[2].nwindows, ALL);
        error = cma_device_inherit(&config, &b, low, 32);
    }
    if (error != 0) {
        assert_int_equal(error, CMA_ERANGE);
        assert_int_equal(result.nwindows, 0);
    } else {
        assert_int_equal(cma_device_init(&dev, &dma, &config), 0);
        assert_int_equal(config.nwindows, result.nwindows);
        device_of(&read, tree, result.nwindows, ALL);
    }
    for (uint64_t at = 0; at < 2 * UNITS * UNIT; at += UNIT / 2) {
        bool reaches = naive(buses, at, &expected);

        if (error != 0) {
            assert_false(reaches);
            continue;
        }
        assert_int_equal(cma_device_from_bus(&dev, at, UNIT / 2, &paddr), reaches ? 0 : CMA_ERANGE);
        assert_int_equal(cma_device_from_bus(&read, at, UNIT / 2, &through),
                         reaches ? 0 : CMA_ERANGE);
        assert_true(!reaches || (paddr == expected && through == expected));
    }
}

static void test_chains_of_three(void **state)
{
    struct bus buses[BUSES];

    (void)state;
    random_state = 1;
    for (uint32_t i = 0; i < TREES; i++) {
        for (uint32_t j = 0; j < BUSES; j++) {
            random_bus(&buses[j]);
        }
        compare_chain(buses);
        fdt_board_forget(state);
    }
}

/* --- by hand --------------------------------------------------------------------------- */

/* Two devices on one bus, each with a shift of its own. */
static void test_two_on_one_bus(void **state)
{
    static const struct cma_bus_window bus[] = {{0, 0x80000000, 0x40000000},
                                                {0xc0000000, 0x10000000, 0x1000}};
    static const struct cma_bus_window first[] = {{0x1000, 0x2000, 0x1000}};
    static const struct cma_bus_window second[] = {{0, 0xbffff000, 0x2000}};
    struct cma_device_config config = config_of(first, 1, 0xffff);
    struct cma_bus_window windows[2];
    struct cma_device parent, device;
    cma_paddr_t paddr;

    (void)state;
    device_of(&parent, bus, 2, ALL);
    assert_int_equal(cma_device_inherit(&config, &parent, windows, 2), 0);
    assert_int_equal(cma_device_init(&device, &dma, &config), 0);
    assert_int_equal(cma_device_from_bus(&device, 0x1800, 0x800, &paddr), 0);
    assert_true(paddr == 0x80002800);
    assert_true(config.mask == 0xffff && config.windows == windows && config.nwindows == 1);
    /* What lies between the bus's windows leads nowhere. */
    config = config_of(second, 1, 0xffff);
    assert_int_equal(cma_device_inherit(&config, &parent, windows, 2), 0);
    assert_int_equal(cma_device_init(&device, &dma, &config), 0);
    assert_int_equal(config.nwindows, 1);
    assert_int_equal(cma_device_from_bus(&device, 0x1000, 1, &paddr), 0);
    assert_true(paddr == 0x10000000);
    assert_int_equal(cma_device_from_bus(&device, 0xfff, 1, &paddr), CMA_ERANGE);
    /* No windows of its own: the bus's. Windows of its own, on a bus without: its own. */
    config = config_of(NULL, 0, ALL);
    assert_int_equal(cma_device_inherit(&config, &parent, windows, 1), CMA_ENOSPC);
    assert_null(config.windows);
    assert_int_equal(cma_device_inherit(&config, &parent, windows, 2), 0);
    assert_memory_equal(windows, bus, sizeof(bus));
    device_of(&parent, NULL, 0, ALL);
    config = config_of(first, 1, ALL);
    assert_int_equal(cma_device_inherit(&config, &parent, windows, 2), 0);
    assert_memory_equal(windows, first, sizeof(first));
    config = config_of(NULL, 0, ALL);
    assert_int_equal(cma_device_inherit(&config, &parent, windows, 2), 0);
    assert_int_equal(config.nwindows, 1);
    assert_true(windows[0].nbytes == 0 && windows[0].daddr == 0 && windows[0].paddr == 0);
}

/* What the parent can't put out itself, it doesn't carry for others. */
static void test_masks(void **state)
{
    static const struct cma_bus_window shifted[] = {{0, 0x80000000, 0x80000000}};
    struct cma_device_config config = config_of(NULL, 0, ALL);
    struct cma_bus_window windows[2];
    struct cma_device parent, device;
    cma_daddr_t daddr;

    (void)state;
    device_of(&parent, NULL, 0, 0x8fffffff);
    assert_int_equal(cma_device_inherit(&config, &parent, windows, 2), 0);
    assert_true(config.mask == 0x8fffffff && config.coherent_mask == 0x8fffffff);
    /* The mask is of the device's own addresses: these are shifted. */
    config = config_of(shifted, 1, ALL);
    assert_int_equal(cma_device_inherit(&config, &parent, windows, 2), 0);
    assert_true(config.mask == 0xfffffff && config.coherent_mask == 0xfffffff);
    assert_int_equal(cma_device_init(&device, &dma, &config), 0);
    assert_int_equal(cma_device_to_bus(&device, 0x8ffffff0, 16, config.mask, &daddr), 0);
    assert_true(daddr == 0xffffff0);
    assert_int_equal(cma_device_to_bus(&device, 0x8ffffff0, 17, ALL, &daddr), CMA_ERANGE);
    /* Two masks: the windows are cut at the larger, each mask at its own. */
    parent.config.coherent_mask = 0x80ffffff;
    config = config_of(shifted, 1, ALL);
    assert_int_equal(cma_device_inherit(&config, &parent, windows, 2), 0);
    assert_true(config.mask == 0xfffffff && config.coherent_mask == 0xffffff);
    parent.config.coherent_mask = 0x7fffffff; /* nothing, then */
    config = config_of(shifted, 1, ALL);
    assert_int_equal(cma_device_inherit(&config, &parent, windows, 2), 0);
    assert_true(config.mask == 0xfffffff && config.coherent_mask == 0);
    parent.config.coherent_mask = 0;
    config = config_of(NULL, 0, ALL);
    assert_int_equal(cma_device_inherit(&config, &parent, windows, 2), 0);
    assert_true(config.mask == 0x8fffffff && config.coherent_mask == 0);
    parent.config.mask = 0x7fffffff;
    parent.config.coherent_mask = ALL;
    config = config_of(shifted, 1, ALL);
    assert_int_equal(cma_device_inherit(&config, &parent, windows, 2), CMA_ERANGE);
    parent.config.coherent_mask = 0x7fffffff;
    assert_int_equal(cma_device_inherit(&config, &parent, windows, 2), CMA_ERANGE);
    assert_true(config.windows == shifted && config.mask == ALL);
}

static void test_the_rest(void **state)
{
    static const struct cma_bus_window twice[] = {{0, 0, 10}, {5, 20, 10}};
    static struct cma_bounce *const pool = (struct cma_bounce *)(uintptr_t)64;
    struct cma_device_config config = config_of(NULL, 0, ALL);
    struct cma_bus_window windows[2];
    struct cma_device parent;

    (void)state;
    device_of(&parent, NULL, 0, ALL);
    parent.config.segment_nbytes_max = 0x10000;
    parent.config.segment_boundary_nbytes = 0x4000;
    parent.config.min_align_nbytes = 64;
    parent.config.flags = CMA_DEVICE_COHERENT | CMA_DEVICE_RESTRICTED | CMA_DEVICE_AREA_ONLY;
    parent.config.bounce = pool;
    config.min_align_nbytes = 512;
    config.segment_nbytes_max = 0x8000;
    assert_int_equal(cma_device_inherit(&config, &parent, windows, 2), 0);
    assert_true(config.segment_nbytes_max == 0x8000 && config.segment_boundary_nbytes == 0x4000);
    assert_true(config.min_align_nbytes == 512 && config.bounce == pool);
    assert_int_equal(config.flags, CMA_DEVICE_RESTRICTED);
    config = config_of(NULL, 0, ALL);
    config.flags = CMA_DEVICE_COHERENT;
    config.segment_nbytes_max = 0x20000;
    assert_int_equal(cma_device_inherit(&config, &parent, windows, 2), 0);
    assert_true(config.segment_nbytes_max == 0x10000 && config.min_align_nbytes == 64);
    assert_int_equal(config.flags, CMA_DEVICE_COHERENT | CMA_DEVICE_RESTRICTED);
    parent.config.flags = 0;
    config.flags = CMA_DEVICE_COHERENT;
    assert_int_equal(cma_device_inherit(&config, &parent, windows, 2), 0);
    assert_int_equal(config.flags, 0);
    config = config_of(twice, 2, ALL);
    assert_int_equal(cma_device_inherit(&config, &parent, windows, 2), CMA_EINVAL);
    config = config_of(NULL, 1, ALL);
    assert_int_equal(cma_device_inherit(&config, &parent, windows, 2), CMA_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chains_of_three),
        cmocka_unit_test(test_two_on_one_bus),
        cmocka_unit_test(test_masks),
        cmocka_unit_test(test_the_rest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
