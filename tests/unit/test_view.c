/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_view.c - how clients have to map a buffer: all offsets and lengths, and the attributes that
 * the machine's tables show (H8)
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <cma/dma.h>

#define PAGE 256u
#define NPAGES 5u
#define PADDR UINT64_C(0x4000)

/* What the tables say of the buffer's pages; page `other` is somewhere else. */
struct tables {
    uint8_t memory[8 * PAGE];
    enum cma_attr attr;
    uint32_t other;
};

static int tables_lookup(void *ctx, const void *vaddr, cma_paddr_t *paddr, enum cma_attr *attr)
{
    struct tables *tables = ctx;
    uint64_t at = (uint64_t)((const uint8_t *)vaddr - tables->memory);

    if (at >= NPAGES * PAGE) {
        return CMA_ENOENT;
    }
    *paddr = PADDR + at + (at / PAGE == tables->other ? 0x100000 : 0);
    *attr = tables->attr;
    return 0;
}

static void no_range(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx;
    (void)paddr;
    (void)nbytes;
}

struct fixture {
    struct tables tables;
    struct cma_port port;
    struct cma_dma dma;
    struct cma_device device;
    struct cma_coherent buffer;
};

static void fixture_init(struct fixture *fixture)
{
    *fixture = (struct fixture){.tables = {.attr = CMA_ATTR_WRITECOMBINE, .other = UINT32_MAX}};
    fixture->port = (struct cma_port){.ctx = &fixture->tables,
                                      .page_shift = 8,
                                      .lookup = tables_lookup,
                                      .clean = no_range,
                                      .invalidate = no_range};
    fixture->dma.port = &fixture->port;
    fixture->device.dma = &fixture->dma;
    /* The last page is not full, and belongs to the buffer. */
    fixture->buffer = (struct cma_coherent){
        .vaddr = fixture->tables.memory, .paddr = PADDR, .nbytes = NPAGES * PAGE - 7};
}

static void test_every_offset_and_length(void **state)
{
    struct fixture fixture;
    uint64_t offset, nbytes, n = 0;

    (void)state;
    fixture_init(&fixture);
    for (offset = 0; offset <= 8 * PAGE; offset += PAGE / 2) {
        for (nbytes = 0; nbytes <= 8 * PAGE; nbytes += PAGE / 2) {
            cma_paddr_t paddr = 1;
            enum cma_attr attr = CMA_ATTR_NONE;
            int expected = 0, got;

            if (nbytes == 0 || offset % PAGE != 0 || nbytes % PAGE != 0) {
                expected = CMA_EINVAL;
            } else if (offset + nbytes > NPAGES * PAGE) {
                expected = CMA_ERANGE;
            }
            got = cma_dma_view(&fixture.device, &fixture.buffer, offset, nbytes, &paddr, &attr);
            assert_int_equal(got, expected);
            assert_int_equal(paddr, expected == 0 ? PADDR + offset : 1);
            assert_int_equal(attr, expected == 0 ? CMA_ATTR_WRITECOMBINE : CMA_ATTR_NONE);
            n += expected == 0;
        }
    }
    assert_int_equal(n, NPAGES * (NPAGES + 1) / 2);
}

/* H8: offset + nbytes passes 2^64, or the offset is a cookie that nobody checked. */
static void test_sums_that_wrap(void **state)
{
    static const uint64_t far[][2] = {
        {UINT64_MAX - PAGE + 1, PAGE},          {UINT64_MAX - PAGE + 1, 2 * PAGE},
        {PAGE, UINT64_MAX - PAGE + 1},          {0, UINT64_MAX - PAGE + 1},
        {UINT64_C(1) << 63, UINT64_C(1) << 63},
    };
    struct fixture fixture;
    cma_paddr_t paddr;
    enum cma_attr attr;
    uint32_t i;

    (void)state;
    fixture_init(&fixture);
    for (i = 0; i < sizeof(far) / sizeof(far[0]); i++) {
        assert_int_equal(
            cma_dma_view(&fixture.device, &fixture.buffer, far[i][0], far[i][1], &paddr, &attr),
            CMA_ERANGE);
    }
    fixture.buffer.nbytes = UINT64_MAX - 3;
    assert_int_equal(cma_dma_view(&fixture.device, &fixture.buffer, 0, PAGE, &paddr, &attr),
                     CMA_EINVAL);
}

static void test_attributes_are_those_of_the_first_mapping(void **state)
{
    struct fixture fixture;
    cma_paddr_t paddr;
    enum cma_attr attr;

    (void)state;
    fixture_init(&fixture);
    fixture.tables.attr = CMA_ATTR_DEVICE;
    assert_int_equal(cma_dma_view(&fixture.device, &fixture.buffer, 0, PAGE, &paddr, &attr), 0);
    assert_int_equal(attr, CMA_ATTR_DEVICE);
    /* The tables know better than the buffer where it is. */
    fixture.tables.other = 2;
    assert_int_equal(cma_dma_view(&fixture.device, &fixture.buffer, 2 * PAGE, PAGE, &paddr, &attr),
                     CMA_EINVAL);
    assert_int_equal(cma_dma_view(&fixture.device, &fixture.buffer, PAGE, PAGE, &paddr, &attr), 0);
    /* Nobody can say: refused, but for a device that snoops, whose memory stays cached. */
    fixture.port.lookup = NULL;
    assert_int_equal(cma_dma_view(&fixture.device, &fixture.buffer, 0, PAGE, &paddr, &attr),
                     CMA_EOPNOTSUPP);
    fixture.device.config.flags = CMA_DEVICE_COHERENT;
    assert_int_equal(cma_dma_view(&fixture.device, &fixture.buffer, 0, PAGE, &paddr, &attr), 0);
    assert_int_equal(attr, CMA_ATTR_CACHED);
}

static void test_without_a_mapping_of_the_cpu(void **state)
{
    struct fixture fixture;
    cma_paddr_t paddr;
    enum cma_attr attr;

    (void)state;
    fixture_init(&fixture);
    fixture.buffer.vaddr = NULL;
    fixture.buffer.flags = CMA_COHERENT_NO_MAPPING;
    assert_int_equal(cma_dma_view(&fixture.device, &fixture.buffer, PAGE, PAGE, &paddr, &attr), 0);
    assert_int_equal(paddr, PADDR + PAGE);
    assert_int_equal(attr, CMA_ATTR_UNCACHED);
    fixture.buffer.flags |= CMA_COHERENT_WRITE_COMBINE;
    assert_int_equal(cma_dma_view(&fixture.device, &fixture.buffer, 0, PAGE, &paddr, &attr), 0);
    assert_int_equal(attr, CMA_ATTR_WRITECOMBINE);
    fixture.device.config.flags = CMA_DEVICE_COHERENT;
    assert_int_equal(cma_dma_view(&fixture.device, &fixture.buffer, 0, PAGE, &paddr, &attr), 0);
    assert_int_equal(attr, CMA_ATTR_CACHED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_offset_and_length),
        cmocka_unit_test(test_sums_that_wrap),
        cmocka_unit_test(test_attributes_are_those_of_the_first_mapping),
        cmocka_unit_test(test_without_a_mapping_of_the_cpu),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
