/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_inherit.c - devices behind buses behind buses: page by page, and by hand (case 40: masks and
 * limits that follow from dma-ranges)
 */
#include "bus_chain.h"

#define CHAINS 2000u

static void compare_chain(const struct bus *buses, uint32_t *nreached)
{
    uint64_t expected = 0, paddr = 0;
    struct cma_device dev;
    int error = chain_device(buses, &dev);

    assert_true(error == 0 || error == CMA_ERANGE);
    for (uint64_t at = 0; at < 2 * UNITS * UNIT; at += UNIT / 2) {
        bool reaches = naive(buses, at, &expected);

        *nreached += reaches;
        if (error != 0) {
            assert_false(reaches);
            continue;
        }
        assert_int_equal(cma_device_from_bus(&dev, at, UNIT / 2, &paddr), reaches ? 0 : CMA_ERANGE);
        assert_true(!reaches || paddr == expected);
    }
}

static void test_chains_of_three(void **state)
{
    struct bus buses[BUSES];
    uint32_t nreached = 0;

    (void)state;
    random_state = 1;
    for (uint32_t i = 0; i < CHAINS; i++) {
        for (uint32_t j = 0; j < BUSES; j++) {
            random_bus(&buses[j]);
        }
        compare_chain(buses, &nreached);
    }
    assert_true(nreached > CHAINS);
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
