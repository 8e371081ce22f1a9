/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_exclusive_refusals.c - what is refused of exclusive memory, by name: wrong frees, overlaps,
 * second mappings, ports that can't; and nothing has changed then
 */
#include "exclusive_board.h"

/* H7, case 45: each free is judged; one that is refused changes nothing. */
static void test_frees_are_judged(void **state)
{
    struct bench *bench = bench_create(12, 0);
    struct cma_exclusive_config config = region_config(CMA_EXCLUSIVE_STOLEN, 16);
    struct cma_exclusive region = {0};
    struct cma_coherent buffer, wrong;
    struct cma_exclusive_stats stats;

    (void)state;
    region_declare(bench, &region, &config);
    buffer = buffer_get(&bench->device, 3 * PAGE + 5);
    wrong = buffer;
    wrong.paddr += PAGE;
    wrong.daddr += PAGE;
    wrong.vaddr = (uint8_t *)wrong.vaddr + PAGE;
    wrong.nbytes -= PAGE;
    assert_int_equal(cma_dma_free_coherent(&bench->device, &wrong), CMA_EBADF);
    wrong = buffer;
    wrong.nbytes = 3 * PAGE;
    assert_int_equal(cma_dma_free_coherent(&bench->device, &wrong), CMA_EINVAL);
    wrong.nbytes = 4 * PAGE + 1;
    assert_int_equal(cma_dma_free_coherent(&bench->device, &wrong), CMA_EINVAL);
    wrong.nbytes = 0;
    assert_int_equal(cma_dma_free_coherent(&bench->device, &wrong), CMA_EINVAL);
    wrong.nbytes = UINT64_MAX;
    assert_int_equal(cma_dma_free_coherent(&bench->device, &wrong), CMA_EINVAL);
    wrong = buffer;
    wrong.daddr += PAGE;
    assert_int_equal(cma_dma_free_coherent(&bench->device, &wrong), CMA_EINVAL);
    wrong = buffer;
    wrong.vaddr = (uint8_t *)wrong.vaddr + 1;
    assert_int_equal(cma_dma_free_coherent(&bench->device, &wrong), CMA_EINVAL);
    wrong = buffer;
    wrong.paddr += 5;
    assert_int_equal(cma_dma_free_coherent(&bench->device, &wrong), CMA_EINVAL);
    wrong = buffer;
    wrong.paddr = BASE;
    assert_int_not_equal(cma_dma_free_coherent(&bench->device, &wrong), 0);
    wrong = buffer;
    wrong.source = CMA_SOURCE_PAGES;
    assert_int_not_equal(cma_dma_free_coherent(&bench->device, &wrong), 0);
    assert_int_not_equal(cma_dma_free_coherent(&bench->other, &buffer), 0);
    cma_exclusive_stats(&region, &stats);
    assert_int_equal(stats.used_nbytes, 4 * PAGE);
    buffer_free(&bench->device, &buffer);
    assert_int_equal(cma_dma_free_coherent(&bench->device, &buffer), CMA_EBADF);
    region_release(bench, &region);
    bench_destroy(bench);
}

static void refused(struct bench *bench, struct cma_exclusive_config config, int error)
{
    struct cma_exclusive region = {0};

    assert_int_equal(region_try(bench, &region, &config, NULL, NULL), error);
    assert_int_equal(cma_exclusive_release(&region), CMA_ENOENT);
    assert_null(bench->device.exclusive);
    assert_null(bench->system.dma.regions);
    assert_null(bench->system.dma.mappings);
}

static void test_malformed(void **state)
{
    struct bench *bench = bench_create(13, 0);
    const struct cma_exclusive_config good = region_config(CMA_EXCLUSIVE_STOLEN, 16);
    struct cma_exclusive_config config = good;
    struct cma_exclusive region = {0};

    (void)state;
    config.form = (enum cma_exclusive_form)0;
    refused(bench, config, CMA_EINVAL);
    config.form = (enum cma_exclusive_form)5;
    refused(bench, config, CMA_EINVAL);
    config = good;
    config.nbytes = 0;
    refused(bench, config, CMA_EINVAL);
    config.nbytes = PAGE + 1;
    refused(bench, config, CMA_EINVAL);
    config = good;
    config.paddr += 1;
    refused(bench, config, CMA_EINVAL);
    config = good;
    config.paddr = UINT64_MAX - 2 * PAGE + 1;
    refused(bench, config, CMA_EOVERFLOW);
    config = good;
    config.nbytes = UINT64_C(1) << 44;
    refused(bench, config, CMA_EOVERFLOW);
    config = good;
    config.flags = 4;
    refused(bench, config, CMA_EINVAL);
    config = good;
    config.attr = CMA_ATTR_CACHED;
    refused(bench, config, CMA_EINVAL);
    config.attr = CMA_ATTR_DEVICE;
    refused(bench, config, CMA_EINVAL);
    config = good;
    config.vaddr = (void *)PAGE;
    refused(bench, config, CMA_EINVAL);
    config = good;
    config.align_nbytes = PAGE;
    refused(bench, config, CMA_EINVAL);
    config = good;
    config.form = CMA_EXCLUSIVE_MAPPED;
    refused(bench, config, CMA_EINVAL);
    config.vaddr = (uint8_t *)bench->port.vaddr(bench->sim, STOLEN) + 8;
    refused(bench, config, CMA_EINVAL);
    config.vaddr = (void *)(UINTPTR_MAX - 2 * PAGE + 1);
    refused(bench, config, CMA_EOVERFLOW);
    config = region_config(CMA_EXCLUSIVE_RESERVED, 16);
    config.flags = CMA_EXCLUSIVE_NO_ZERO; /* the next owner would see the last one's */
    refused(bench, config, CMA_EINVAL);
    assert_int_equal(cma_exclusive_declare(&region, &bench->device, &good, bench->words,
                                           cma_exclusive_size(16) - 1, NULL, NULL),
                     CMA_ENOMEM);
    assert_int_equal(cma_exclusive_declare(&region, &bench->device, &good,
                                           (uint8_t *)bench->words + 1, 8192, NULL, NULL),
                     CMA_EINVAL);
    config = region_config(CMA_EXCLUSIVE_RESERVED, 16);
    assert_int_equal(cma_exclusive_declare_default(&region, &bench->system.dma, &config, false,
                                                   bench->words, sizeof(bench->words), NULL),
                     CMA_EINVAL);
    /* Twice the same. */
    region_declare(bench, &region, &good);
    assert_int_equal(region_try(bench, &region, &good, NULL, NULL), CMA_EINVAL);
    region_release(bench, &region);
    bench_destroy(bench);
}

/* H12: no page is in two regions, nor in one and the page allocator. */
static void test_h12_overlaps(void **state)
{
    struct bench *bench = bench_create(14, 0);
    struct cma_exclusive_config config = region_config(CMA_EXCLUSIVE_STOLEN, 16);
    struct cma_exclusive region = {0}, second = {0};
    struct cma_conflict conflict = {0};
    static const struct {
        int64_t first, npages;
        int error;
    } others[] = {{-8, 8, 0}, {-8, 9, CMA_EEXIST},  {0, 16, CMA_EEXIST}, {15, 1, CMA_EEXIST},
                  {16, 1, 0}, {-1, 18, CMA_EEXIST}, {4, 2, CMA_EEXIST},  {-9, 8, 0}};

    (void)state;
    config.paddr += 100 * PAGE;
    region_declare(bench, &region, &config);
    for (uint32_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        for (int form = CMA_EXCLUSIVE_STOLEN; form >= CMA_EXCLUSIVE_MAPPED; form -= 2) {
            struct cma_exclusive_config other =
                region_config(CMA_EXCLUSIVE_STOLEN, (uint64_t)others[i].npages);
            struct cma_device *device = i % 2 != 0 ? &bench->device : &bench->other;
            int error;

            other.paddr = config.paddr + (uint64_t)(others[i].first * PAGE);
            other.form = (enum cma_exclusive_form)form;
            if (form == CMA_EXCLUSIVE_MAPPED) {
                if (others[i].error == 0) {
                    continue;
                }
                other.vaddr = bench->port.vaddr(bench->sim, other.paddr);
            }
            error = cma_exclusive_declare(&second, device, &other, bench->words + 4096, 4096 * 4,
                                          &conflict, NULL);
            assert_int_equal(error, others[i].error);
            bench_check(bench);
            if (error == 0) {
                region_release(bench, &second);
            } else {
                assert_string_equal(conflict.what, "region");
                assert_int_equal(conflict.paddr,
                                 others[i].first < 0
                                     ? config.paddr
                                     : config.paddr + (uint64_t)others[i].first * PAGE);
            }
        }
    }
    region_release(bench, &region);
    /* One page of the page allocator's, or of an area's. */
    config.paddr = STOLEN - PAGE;
    assert_int_equal(region_try(bench, &region, &config, &conflict, NULL), CMA_EEXIST);
    assert_int_equal(conflict.paddr, STOLEN - PAGE);
    assert_ptr_equal(conflict.vaddr, bench->port.vaddr(bench->sim, STOLEN - PAGE));
    config.paddr = BASE + (uint64_t)(AREA_FIRST + 3) * PAGE;
    assert_int_equal(region_try(bench, &region, &config, &conflict, NULL), CMA_EEXIST);
    config.form = CMA_EXCLUSIVE_MAPPED;
    config.vaddr = bench->port.vaddr(bench->sim, config.paddr);
    assert_int_equal(region_try(bench, &region, &config, &conflict, NULL), CMA_EEXIST);
    config.form = CMA_EXCLUSIVE_DEVICE;
    config.vaddr = NULL;
    assert_int_equal(region_try(bench, &region, &config, &conflict, NULL), CMA_EEXIST);
    bench_destroy(bench);
}

/* H13: a second mapping with other attributes is refused, and the first one's place is told. */
static void test_h13_aliases(void **state)
{
    struct bench *bench = bench_create(15, 0);
    struct cma_exclusive_config config = region_config(CMA_EXCLUSIVE_DEVICE, 16);
    struct cma_exclusive region = {0};
    struct cma_conflict conflict = {0};
    struct cma_mapping board = {
        .paddr = SRAM, .nbytes = 64 * PAGE, .attr = CMA_ATTR_DEVICE, .what = "peripherals"};
    void *vaddr;

    (void)state;
    /* The 2010 way: RAM, mapped cached like all RAM, is mapped once more. */
    config.paddr = STOLEN;
    assert_int_equal(region_try(bench, &region, &config, &conflict, NULL), CMA_EEXIST);
    assert_int_equal(conflict.paddr, STOLEN);
    assert_ptr_equal(conflict.vaddr, bench->port.vaddr(bench->sim, STOLEN));
    assert_int_equal(conflict.attr, CMA_ATTR_CACHED);
    assert_non_null(conflict.what);
    /* The same, by who says that he has mapped it uncached already. */
    config.form = CMA_EXCLUSIVE_MAPPED;
    config.vaddr = bench->port.vaddr(bench->sim, STOLEN);
    memset(&conflict, 0, sizeof(conflict));
    assert_int_equal(region_try(bench, &region, &config, &conflict, NULL), CMA_EEXIST);
    assert_ptr_equal(conflict.vaddr, config.vaddr);
    assert_int_equal(conflict.attr, CMA_ATTR_CACHED);
    /* A large mapping of the board's own, with other attributes. */
    assert_int_equal(bench->port.map(bench->sim, SRAM, 64 * PAGE, CMA_ATTR_DEVICE, &vaddr), 0);
    board.vaddr = vaddr;
    assert_int_equal(cma_handover_tell(&bench->system.dma, &board, NULL), 0);
    config = region_config(CMA_EXCLUSIVE_DEVICE, 8);
    config.paddr += 8 * PAGE;
    assert_int_equal(region_try(bench, &region, &config, &conflict, NULL), CMA_EEXIST);
    assert_string_equal(conflict.what, "peripherals");
    assert_int_equal(conflict.paddr, SRAM + 8 * PAGE);
    /* Where it is used as it is, all is well (Russell King's reason for the third proposal). */
    config.form = CMA_EXCLUSIVE_MAPPED;
    config.vaddr = (uint8_t *)vaddr + 8 * PAGE;
    config.attr = CMA_ATTR_DEVICE;
    region_declare(bench, &region, &config);
    region_release(bench, &region);
    assert_int_equal(cma_handover_forget(&bench->system.dma, &board), 0);
    /* Not told of: the port's own tables refuse it. */
    config = region_config(CMA_EXCLUSIVE_DEVICE, 8);
    assert_int_equal(region_try(bench, &region, &config, &conflict, NULL), CMA_EEXIST);
    assert_non_null(conflict.what);
    bench->port.unmap(bench->sim, vaddr, 64 * PAGE);
    bench->port.tlb_flush(bench->sim);
    /* And while a region lasts, nobody else may map it otherwise. */
    region_declare(bench, &region, &config);
    assert_int_equal(cma_handover_look(&bench->system.dma, SRAM, PAGE, CMA_ATTR_DEVICE, &conflict),
                     CMA_EEXIST);
    assert_string_equal(conflict.what, "region");
    region_release(bench, &region);
    bench_destroy(bench);
}

/* What the caller says of his mapping is held against the tables, in the middle too. */
static void test_mapped_is_looked_at(void **state)
{
    struct bench *bench = bench_create(16, 0);
    struct cma_exclusive_config config = region_config(CMA_EXCLUSIVE_MAPPED, 3);
    struct cma_exclusive region = {0};
    struct cma_conflict conflict = {0};
    void *first, *second, *third;

    (void)state;
    /* Three pages in a row of addresses, the middle one elsewhere. */
    assert_int_equal(bench->port.map(bench->sim, SRAM, PAGE, CMA_ATTR_UNCACHED, &first), 0);
    assert_int_equal(bench->port.map(bench->sim, SRAM + 9 * PAGE, PAGE, CMA_ATTR_UNCACHED, &second),
                     0);
    assert_int_equal(bench->port.map(bench->sim, SRAM + 2 * PAGE, PAGE, CMA_ATTR_UNCACHED, &third),
                     0);
    assert_ptr_equal((uint8_t *)second - PAGE, first);
    assert_ptr_equal((uint8_t *)third - PAGE, second);
    config.vaddr = first;
    assert_int_equal(region_try(bench, &region, &config, NULL, NULL), CMA_EBADF);
    config.nbytes = PAGE;
    region_declare(bench, &region, &config);
    region_release(bench, &region);
    /* It is there, but with another attribute: its place is told. */
    config.attr = CMA_ATTR_WRITECOMBINE;
    assert_int_equal(region_try(bench, &region, &config, &conflict, NULL), CMA_EEXIST);
    assert_ptr_equal(conflict.vaddr, first);
    assert_int_equal(conflict.attr, CMA_ATTR_UNCACHED);
    config.attr = CMA_ATTR_NONE;
    config.vaddr = (uint8_t *)third + PAGE; /* nothing is there */
    assert_int_equal(region_try(bench, &region, &config, NULL, NULL), CMA_EBADF);
    bench->port.unmap(bench->sim, first, PAGE);
    bench->port.unmap(bench->sim, second, PAGE);
    bench->port.unmap(bench->sim, third, PAGE);
    bench->port.tlb_flush(bench->sim);
    bench_destroy(bench);
}

static void muted_attr(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr)
{
    (void)ctx;
    (void)paddr;
    (void)nbytes;
    (void)attr;
}

/* Hooks that fail, and such that the port has not. */
static void test_ports_that_cannot(void **state)
{
    struct bench *bench = bench_create(17, 0);
    struct cma_exclusive_config config = region_config(CMA_EXCLUSIVE_DEVICE, 16);
    struct cma_port whole = bench->port;

    (void)state;
    sim_fail(bench->sim, SIM_FAULT_MAP, 1, false);
    refused(bench, config, CMA_ENOMEM);
    bench->port.map = NULL;
    bench->port.unmap = NULL;
    refused(bench, config, CMA_EOPNOTSUPP); /* nothing maps it */
    config = region_config(CMA_EXCLUSIVE_STOLEN, 16);
    bench->port.set_attr = muted_attr; /* large blocks */
    refused(bench, config, CMA_EOPNOTSUPP);
    bench->port = whole;
    bench->port.set_attr(bench->sim, STOLEN, 16 * PAGE, CMA_ATTR_NONE);
    bench->port.tlb_flush(bench->sim);
    sim_fail(bench->sim, SIM_FAULT_MAP, 1, false);
    refused(bench, config, CMA_ENOMEM);
    bench->port.set_attr(bench->sim, STOLEN, 16 * PAGE, CMA_ATTR_CACHED);
    bench->port.tlb_flush(bench->sim);
    bench_destroy(bench);
}

/* Contents that shall be kept are; the request's flags are heard. */
static void test_flags(void **state)
{
    struct bench *bench = bench_create(18, 0);
    struct cma_exclusive_config config = region_config(CMA_EXCLUSIVE_STOLEN, 4);
    struct cma_coherent_request request = {.nbytes = 4 * PAGE};
    struct cma_exclusive region = {0};
    struct cma_coherent buffer;
    uint8_t byte = 0;

    (void)state;
    bench_dirty(bench, STOLEN, 4);
    config.flags = CMA_EXCLUSIVE_NO_ZERO;
    region_declare(bench, &region, &config);
    buffer = buffer_get(&bench->device, 4 * PAGE);
    assert_true(simdev_read(&bench->dev, buffer.daddr + 3 * PAGE + 77, &byte, 1));
    assert_int_equal(byte, 0xa5);
    buffer_free(&bench->device, &buffer);
    region_release(bench, &region);

    config.flags = 0;
    region_declare(bench, &region, &config);
    request.flags = CMA_COHERENT_NO_ZERO;
    assert_int_equal(cma_dma_alloc_coherent(&bench->device, &request, &buffer, NULL), 0);
    sim_read(bench->sim, (uint8_t *)buffer.vaddr + 9, &byte, 1);
    assert_int_equal(byte, 0xa5);
    buffer_free(&bench->device, &buffer);
    request.flags = CMA_COHERENT_NO_MAPPING | CMA_COHERENT_WRITE_COMBINE | CMA_COHERENT_NOSLEEP;
    assert_int_equal(cma_dma_alloc_coherent(&bench->device, &request, &buffer, NULL), 0);
    assert_null(buffer.vaddr);
    assert_int_equal(buffer.source, CMA_SOURCE_EXCLUSIVE);
    assert_true(simdev_read(&bench->dev, buffer.daddr, &byte, 1));
    assert_int_equal(byte, 0);
    buffer_free(&bench->device, &buffer);
    region_release(bench, &region);
    bench_destroy(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frees_are_judged),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_h12_overlaps),
        cmocka_unit_test(test_h13_aliases),
        cmocka_unit_test(test_mapped_is_looked_at),
        cmocka_unit_test(test_ports_that_cannot),
        cmocka_unit_test(test_flags),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
