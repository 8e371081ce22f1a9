/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_buses.c - cma_device_inherit and the device-tree reader compose the same chains of buses
 */
#include "bus_chain.h"

#include "../support/fdt_board.h"

#define TREES 120u

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
    struct cma_bus_window tree[32];
    struct cma_device dev, read;
    struct bus result;
    uint64_t paddr = 0, through = 0;
    int error = chain_device(buses, &dev);

    read_tree(buses, &result, tree);
    if (error != 0) {
        assert_int_equal(error, CMA_ERANGE);
        assert_int_equal(result.nwindows, 0);
        return;
    }
    assert_int_equal(dev.config.nwindows, result.nwindows);
    device_of(&read, tree, result.nwindows, ALL);
    for (uint64_t at = 0; at < 2 * UNITS * UNIT; at += UNIT / 2) {
        error = cma_device_from_bus(&dev, at, UNIT / 2, &paddr);
        assert_int_equal(cma_device_from_bus(&read, at, UNIT / 2, &through), error);
        assert_true(error != 0 || paddr == through);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_chains_of_three),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
