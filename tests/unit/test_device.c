/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_device.c - what a device reaches, against a reading byte by byte; and the edges of numbers
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <cma/dma.h>

#include "../../src/dma/device.h"

static struct cma_dma dma; /* devices keep a pointer to it; translation doesn't look at it */

static void device_create(struct cma_device *device, const struct cma_bus_window *windows,
                          uint32_t nwindows, cma_daddr_t mask)
{
    struct cma_device_config config = {.name = "dev", .owner = 1, .mask = mask};

    config.windows = windows;
    config.nwindows = nwindows;
    config.coherent_mask = mask;
    assert_int_equal(cma_device_init(device, &dma, &config), 0);
}

static int device_try(const struct cma_bus_window *windows, uint32_t nwindows, cma_daddr_t mask)
{
    struct cma_device_config config = {.name = "dev", .owner = 1, .mask = mask};
    struct cma_device device;

    config.windows = windows;
    config.nwindows = nwindows;
    return cma_device_init(&device, &dma, &config);
}

/* --- byte by byte ---------------------------------------------------------------------- */

static bool naive_byte(const struct cma_bus_window *windows, uint32_t nwindows, cma_paddr_t paddr,
                       cma_daddr_t mask, cma_daddr_t *daddr)
{
    uint32_t i;

    for (i = 0; i < nwindows; i++) {
        if (paddr >= windows[i].paddr && paddr - windows[i].paddr < windows[i].nbytes) {
            *daddr = windows[i].daddr + (paddr - windows[i].paddr);
            return *daddr <= mask;
        }
    }
    return false;
}

static bool naive_to_bus(const struct cma_bus_window *windows, uint32_t nwindows, cma_paddr_t paddr,
                         uint64_t nbytes, cma_daddr_t mask, cma_daddr_t *daddr)
{
    cma_daddr_t byte;
    uint64_t i;

    for (i = 0; i < nbytes; i++) {
        if (!naive_byte(windows, nwindows, paddr + i, mask, &byte)) {
            return false;
        }
        if (i == 0) {
            *daddr = byte;
        } else if (byte != *daddr + i) {
            return false;
        }
    }
    return true;
}

/* Compares all of a device of 40 addresses, from paddr `p` on. */
static void compare_device(const struct cma_bus_window *windows, uint32_t nwindows, uint64_t p,
                           cma_daddr_t mask)
{
    struct cma_device device;
    cma_paddr_t first, last, back;
    cma_daddr_t daddr, expected = 0;
    uint64_t covered[40] = {0};
    uint64_t at, nbytes;
    uint32_t i;

    if (device_try(windows, nwindows, mask) == CMA_ERANGE) {
        for (at = 0; at < 40; at++) {
            assert_false(naive_byte(windows, nwindows, p + at, mask, &expected));
        }
        return;
    }
    device_create(&device, windows, nwindows, mask);
    for (at = 0; at < 40; at++) {
        for (nbytes = 1; nbytes <= 40 - at; nbytes++) {
            int error = cma_device_to_bus(&device, p + at, nbytes, mask, &daddr);

            if (naive_to_bus(windows, nwindows, p + at, nbytes, mask, &expected)) {
                assert_int_equal(error, 0);
                assert_true(daddr == expected);
                assert_int_equal(cma_device_from_bus(&device, daddr, nbytes, &back), 0);
                assert_true(back == p + at);
            } else {
                assert_int_equal(error, CMA_ERANGE);
            }
        }
    }
    for (i = 0; cma_device_reach(&device, mask, i, &first, &last) == 0; i++) {
        assert_true(first <= last && last - p < 40);
        assert_int_equal(cma_device_to_bus(&device, first, last - first + 1, mask, &daddr), 0);
        for (at = first - p; at <= last - p; at++) {
            covered[at]++;
        }
    }
    for (at = 0; at < 40; at++) {
        assert_int_equal(covered[at],
                         naive_byte(windows, nwindows, p + at, mask, &expected) ? 1 : 0);
    }
}

static void compare_everywhere(uint64_t p, uint64_t d)
{
    struct cma_bus_window windows[3];
    uint64_t gap, shift;
    uint32_t order;
    cma_daddr_t mask;

    for (gap = 0; gap < 3; gap++) {
        for (shift = 0; shift < 3; shift++) {
            for (order = 0; order < 2; order++) {
                windows[order] = (struct cma_bus_window){d + 1, p + 2, 7};
                windows[1 - order] = (struct cma_bus_window){d + 8 + shift, p + 9 + gap, 8};
                windows[2] = (struct cma_bus_window){d + 30, p + 25, 10};
                for (mask = d; mask < d + 40 && mask >= d; mask++) {
                    compare_device(windows, 3, p, mask);
                }
                compare_device(windows, 3, p, UINT64_MAX);
            }
        }
    }
    /* Exchanged: what is lower for the CPU is higher for the device. */
    windows[0] = (struct cma_bus_window){d + 20, p + 2, 7};
    windows[1] = (struct cma_bus_window){d + 1, p + 9, 8};
    for (mask = d; mask < d + 40 && mask >= d; mask++) {
        compare_device(windows, 2, p, mask);
    }
}

static void test_against_bytes(void **state)
{
    (void)state;
    compare_everywhere(1000, 500);
    compare_everywhere(0x80000000u, 0);
    compare_everywhere(0xfffffff0u, 0x7ffffff0u);
}

static void test_against_bytes_at_the_end(void **state)
{
    (void)state;
    compare_everywhere(UINT64_MAX - 39, 500);
    compare_everywhere(1000, UINT64_MAX - 39);
    compare_everywhere(UINT64_MAX - 39, UINT64_MAX - 39);
}

/* --- edges ----------------------------------------------------------------------------- */

static void test_last_byte_is_judged(void **state)
{
    struct cma_device device;
    cma_daddr_t daddr;
    cma_paddr_t first, last;

    (void)state;
    device_create(&device, NULL, 0, 0xffffffffu);
    assert_int_equal(cma_device_to_bus(&device, 0xfffff000u, 0x1000, 0xffffffffu, &daddr), 0);
    assert_true(daddr == 0xfffff000u);
    assert_int_equal(cma_device_to_bus(&device, 0xfffff000u, 0x1001, 0xffffffffu, &daddr),
                     CMA_ERANGE);
    assert_int_equal(cma_device_reach(&device, 0xffffffffu, 0, &first, &last), 0);
    assert_true(first == 0 && last == 0xffffffffu);
    assert_int_equal(cma_device_reach(&device, 0xffffffffu, 1, &first, &last), CMA_ENOENT);
    /* A highest address that is not all ones. */
    device_create(&device, NULL, 0, 0x2ffffff7u);
    assert_int_equal(cma_device_to_bus(&device, 0x2ffffff0u, 8, 0x2ffffff7u, &daddr), 0);
    assert_int_equal(cma_device_to_bus(&device, 0x2ffffff0u, 9, 0x2ffffff7u, &daddr), CMA_ERANGE);
    device_create(&device, NULL, 0, UINT64_MAX);
    assert_int_equal(cma_device_to_bus(&device, UINT64_MAX - 7, 8, UINT64_MAX, &daddr), 0);
    assert_int_equal(cma_device_to_bus(&device, UINT64_MAX - 7, 9, UINT64_MAX, &daddr),
                     CMA_EOVERFLOW);
    assert_int_equal(cma_device_to_bus(&device, 1, UINT64_MAX, UINT64_MAX, &daddr), 0);
    assert_int_equal(cma_device_to_bus(&device, 2, UINT64_MAX, UINT64_MAX, &daddr), CMA_EOVERFLOW);
    assert_int_equal(cma_device_to_bus(&device, 0, 0, UINT64_MAX, &daddr), CMA_EINVAL);
    assert_int_equal(cma_device_from_bus(&device, 5, 0, &first), CMA_EINVAL);
    assert_int_equal(cma_device_from_bus(&device, UINT64_MAX, 2, &first), CMA_EOVERFLOW);
}

static void test_malformed_devices(void **state)
{
    static const struct cma_bus_window whole[] = {{0, 0, 0}};
    static const struct cma_bus_window shifted_whole[] = {{0x1000, 0, 0}};
    static const struct cma_bus_window wraps_p[] = {{0, UINT64_MAX - 1, 3}};
    static const struct cma_bus_window wraps_d[] = {{UINT64_MAX - 1, 0, 3}};
    static const struct cma_bus_window fits[] = {{UINT64_MAX - 1, 0, 2}};
    static const struct cma_bus_window same_p[] = {{0, 100, 10}, {1000, 109, 10}};
    static const struct cma_bus_window same_d[] = {{100, 0, 10}, {109, 1000, 10}};
    static const struct cma_bus_window touch[] = {{100, 0, 10}, {110, 10, 10}};
    static const struct cma_bus_window two_wholes[] = {{0, 0, 0}, {5, 5, 1}};
    struct cma_device_config config = {.owner = 0, .mask = 1};
    struct cma_device device;

    (void)state;
    assert_int_equal(device_try(whole, 1, UINT64_MAX), 0);
    assert_int_equal(device_try(shifted_whole, 1, UINT64_MAX), CMA_EINVAL);
    assert_int_equal(device_try(wraps_p, 1, UINT64_MAX), CMA_EINVAL);
    assert_int_equal(device_try(wraps_d, 1, UINT64_MAX), CMA_EINVAL);
    assert_int_equal(device_try(fits, 1, UINT64_MAX), 0);
    assert_int_equal(device_try(fits, 1, UINT64_MAX - 2), CMA_ERANGE);
    assert_int_equal(device_try(same_p, 2, UINT64_MAX), CMA_EINVAL);
    assert_int_equal(device_try(same_d, 2, UINT64_MAX), CMA_EINVAL);
    assert_int_equal(device_try(touch, 2, UINT64_MAX), 0);
    assert_int_equal(device_try(two_wholes, 2, UINT64_MAX), CMA_EINVAL);
    assert_int_equal(device_try(whole, 0, UINT64_MAX), CMA_ERANGE);
    assert_int_equal(device_try(NULL, 1, UINT64_MAX), CMA_EINVAL);
    assert_int_equal(device_try(NULL, 0, 0), CMA_ERANGE);
    assert_int_equal(cma_device_init(&device, &dma, &config), CMA_EINVAL);
    config.owner = 1;
    config.flags = 1u << 6;
    assert_int_equal(cma_device_init(&device, &dma, &config), CMA_EINVAL);
    config.flags = CMA_DEVICE_RESTRICTED; /* without a pool of its own */
    assert_int_equal(cma_device_init(&device, &dma, &config), CMA_EINVAL);
    config.flags = CMA_DEVICE_UNTRUSTED | CMA_DEVICE_BOUNCE_ALWAYS;
    config.segment_boundary_nbytes = 3;
    assert_int_equal(cma_device_init(&device, &dma, &config), CMA_EINVAL);
    config.segment_boundary_nbytes = 4;
    config.min_align_nbytes = 24;
    assert_int_equal(cma_device_init(&device, &dma, &config), CMA_EINVAL);
    config.min_align_nbytes = 1;
    assert_int_equal(cma_device_init(&device, &dma, &config), 0);
    assert_int_equal(cma_device_init(NULL, &dma, &config), CMA_EINVAL);
    assert_int_equal(cma_device_init(&device, NULL, &config), CMA_EINVAL);
}

/* Windows that continue each other are one part, with one offset. */
static void test_parts_merge(void **state)
{
    static const struct cma_bus_window windows[] = {{0x10000, 0x90000, 0x1000},
                                                    {0x12000, 0x92000, 0x1000},
                                                    {0x11000, 0x91000, 0x1000},
                                                    {0x20000, 0x93000, 0x1000}};
    static const struct cma_bus_window exchanged[] = {{0x10000, 0x91000, 0x1000},
                                                      {0x11000, 0x90000, 0x1000}};
    struct cma_device_part part;
    struct cma_device device;
    cma_paddr_t paddr;

    (void)state;
    device_create(&device, windows, 4, UINT64_MAX);
    assert_int_equal(cma_device_from_bus(&device, 0x10800, 0x1000, &paddr), 0);
    assert_true(paddr == 0x90800);
    assert_int_equal(cma_device_from_bus(&device, 0x12800, 0x801, &paddr), CMA_ERANGE);
    device_create(&device, exchanged, 2, UINT64_MAX);
    assert_int_equal(cma_device_from_bus(&device, 0x10000, 0x1000, &paddr), 0);
    assert_int_equal(cma_device_from_bus(&device, 0x10000, 0x1001, &paddr), CMA_ERANGE);
    device_create(&device, windows, 4, UINT64_MAX);
    assert_int_equal(cma__device_part(&device, UINT64_MAX, 0, &part), 0);
    assert_true(part.first == 0x90000 && part.last == 0x92fff);
    assert_true(part.bus_offset == (uint64_t)0x10000 - 0x90000);
    assert_int_equal(cma__device_part(&device, UINT64_MAX, 1, &part), 0);
    assert_true(part.first == 0x93000 && part.last == 0x93fff);
    assert_int_equal(cma__device_part(&device, UINT64_MAX, 2, &part), CMA_ENOENT);
    assert_int_equal(cma__device_part(&device, 0x11800, 0, &part), 0);
    assert_true(part.last == 0x91800);
    assert_int_equal(cma__device_part(&device, 0x11800, 1, &part), CMA_ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_bytes),       cmocka_unit_test(test_against_bytes_at_the_end),
        cmocka_unit_test(test_last_byte_is_judged), cmocka_unit_test(test_malformed_devices),
        cmocka_unit_test(test_parts_merge),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
