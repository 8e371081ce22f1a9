/* SPDX-License-Identifier: BSD-2-Clause */
/* test_fdt.c - memory and reserved memory out of a device tree, rule by rule */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "../support/fdt_board.h"

/* ---- kinds --------------------------------------------------------------------------------- */

static void kinds_of_fixed_nodes(void **state)
{
    (void)state;
    load("a@48000000 { " AREA DEFAULT "reg = <0 0x48000000 0 0x4000000>; };"
         "b@50000000 { " POOL "reg = <0 0x50000000 0 0x100000>; };"
         "c@51000000 { " POOL "no-map; linux,dma-default; reg = <0 0x51000000 0 0x100000>; };"
         "d@52000000 { compatible = \"restricted-dma-pool\"; reg = <0 0x52000000 0 0x100000>; };"
         "e@53000000 { no-map; reg = <0 0x53000000 0 0x1000>; };"
         "f@54000000 { reg = <0 0x54000000 0 0x800>; };"
         "g@55000000 { reusable; reg = <0 0x55000000 0 0x1000>; };");
    expect_problems(0);
    expect_range(0, "a@48000000", CMA_RANGE_AREA, 0x48000000, 0x4000000, CMA_RANGE_DEFAULT);
    expect_range(1, "b@50000000", CMA_RANGE_COHERENT_POOL, 0x50000000, 0x100000, 0);
    expect_range(2, "c@51000000", CMA_RANGE_COHERENT_POOL, 0x51000000, 0x100000,
                 CMA_RANGE_DEFAULT | CMA_RANGE_UNMAPPED);
    expect_range(3, "d@52000000", CMA_RANGE_RESTRICTED_POOL, 0x52000000, 0x100000, 0);
    expect_range(4, "e@53000000", CMA_RANGE_NO_MAP, 0x53000000, 0x1000, 0);
    expect_range(5, "f@54000000", CMA_RANGE_RESERVED, 0x54000000, 0x800, 0);
    expect_range(6, "g@55000000", CMA_RANGE_RESERVED, 0x55000000, 0x1000, 0);
    expect_ranges(7);
    assert_string_equal(fdt.model, "test board");
}

static void cma_default_without_reusable_is_a_pool(void **state)
{
    (void)state;
    builtin = 16 * MIB;
    load("a@48000000 { " POOL DEFAULT "reg = <0 0x48000000 0 0x400000>; };");
    expect_problems(0);
    expect_range(0, "a@48000000", CMA_RANGE_COHERENT_POOL, 0x48000000, 0x400000, 0);
    expect_range(1, "builtin-cma", CMA_RANGE_AREA, TOP - 16 * MIB, 16 * MIB,
                 CMA_RANGE_DEFAULT | CMA_RANGE_DYNAMIC);
    cmdline = "cma=0";
    load("a@48000000 { " POOL DEFAULT "reg = <0 0x48000000 0 0x400000>; };");
    expect_problems(0);
    expect_ranges(1);
}

static void arm_wants_no_map_for_pools(void **state)
{
    (void)state;
    arch = CMA_ARCH_ARM;
    load("a@48000000 { " POOL "reg = <0 0x48000000 0 0x400000>; };");
    expect_refused("a@48000000", "no-map", CMA_PROBLEM_NEEDS_NO_MAP);
    load("a@48000000 { " POOL "no-map; reg = <0 0x48000000 0 0x400000>; };");
    expect_problems(0);
    expect_ranges(1);
}

/* ---- refusals ------------------------------------------------------------------------------ */

static void areas_off_the_granule(void **state)
{
    (void)state;
    load("a@48100000 { " AREA "reg = <0 0x48100000 0 0x400000>; };");
    expect_refused("a@48100000", "reg", CMA_PROBLEM_GRANULE);
    assert_int_equal(fdt.problems.list[0].value, 2 * MIB);
    load("a@48000000 { " AREA "reg = <0 0x48000000 0 0x500000>; };");
    expect_refused("a@48000000", "reg", CMA_PROBLEM_GRANULE);
    load("a { " AREA "size = <0 0x500000>; };");
    expect_refused("a", "size", CMA_PROBLEM_GRANULE);
    /* what is a multiple of 2 MiB is not one of 4 */
    load("a@48200000 { " AREA "reg = <0 0x48200000 0 0x400000>; };");
    expect_problems(0);
    arch = CMA_ARCH_ARM;
    load("a@48200000 { " AREA "reg = <0 0x48200000 0 0x400000>; };");
    expect_refused("a@48200000", "reg", CMA_PROBLEM_GRANULE);
    /* others need not be */
    load("a@48100800 { no-map; reg = <0 0x48100800 0 0x10>; };");
    expect_problems(0);
}

static void sizes_of_nothing(void **state)
{
    (void)state;
    load("a@48000000 { " AREA "reg = <0 0x48000000 0 0>; };");
    expect_refused("a@48000000", "reg", CMA_PROBLEM_ZERO);
    load("a { " AREA "size = <0 0>; };");
    expect_refused("a", "size", CMA_PROBLEM_ZERO);
}

static void lengths_that_do_not_fit(void **state)
{
    (void)state;
    load("a@48000000 { " AREA "reg = <0x48000000 0x400000>; };");
    expect_refused("a@48000000", "reg", CMA_PROBLEM_LENGTH);
    assert_int_equal(fdt.problems.list[0].value, 8);
    load("a@48000000 { reg = <0 0x48000000 0 0x400000 0>; };");
    expect_refused("a@48000000", "reg", CMA_PROBLEM_LENGTH);
    load("a@48000000 { reg; };");
    expect_refused("a@48000000", "reg", CMA_PROBLEM_LENGTH);
    /* a reg that can't be read is not made up for by a size */
    load("a@48000000 { reg = <0>; size = <0 0x400000>; };");
    expect_refused("a@48000000", "reg", CMA_PROBLEM_LENGTH);
    load("a { size = <0x400000>; };");
    expect_refused("a", "size", CMA_PROBLEM_LENGTH);
    load("a { size = <0 0x400000>; alignment = <0x1000>; };");
    expect_refused("a", "alignment", CMA_PROBLEM_LENGTH);
    load("a { size = <0 0x400000>; alloc-ranges = <0 0x40000000 0x1000>; };");
    expect_refused("a", "alloc-ranges", CMA_PROBLEM_LENGTH);
}

static void sizes_that_overflow(void **state)
{
    (void)state;
    load("a@48000000 { reg = <0 0x48000000 0xffffffff 0xf0000000>; };");
    expect_refused("a@48000000", "reg", CMA_PROBLEM_OVERFLOW);
    load("a { size = <0xffffffff 0xfffff000>; };");
    expect_refused("a", "size", CMA_PROBLEM_NO_ROOM);
    load("a { size = <0 0x400000>; alloc-ranges = <0 0x50000000 0xffffffff 0xffffffff>; };");
    expect_problem(0, "a", "alloc-ranges", CMA_PROBLEM_OVERFLOW);
    expect_problem(1, "a", "alloc-ranges", CMA_PROBLEM_NO_ROOM);
    expect_problems(2);
    expect_ranges(0);
    /* one that ends with the last byte is fine */
    load("a { size = <0 0x400000>; alloc-ranges = <0 0x50000000 0xffffffff 0xb0000000>; };");
    expect_problems(0);
    expect_ranges(1);
}

static void alignments_that_are_none(void **state)
{
    (void)state;
    load("a { size = <0 0x400000>; alignment = <0 0x3000>; };");
    expect_refused("a", "alignment", CMA_PROBLEM_ALIGNMENT);
}

static void reusable_excludes_no_map(void **state)
{
    (void)state;
    load("a@48000000 { " AREA "no-map; reg = <0 0x48000000 0 0x400000>; };");
    expect_refused("a@48000000", "no-map", CMA_PROBLEM_NO_MAP);
    load("a { " AREA "no-map; size = <0 0x400000>; };");
    expect_refused("a", "no-map", CMA_PROBLEM_NO_MAP);
}

static void restricted_pools_are_plain(void **state)
{
    static const char *const properties[] = {"no-map", "reusable", "linux,cma-default",
                                             "linux,dma-default"};

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        char source[256];

        snprintf(source, sizeof(source),
                 "a@48000000 { compatible = \"restricted-dma-pool\"; %s;"
                 "reg = <0 0x48000000 0 0x400000>; };",
                 properties[i]);
        load(source);
        expect_refused("a@48000000", properties[i], CMA_PROBLEM_RESTRICTED);
    }
}

static void ignored_without_a_word(void **state)
{
    (void)state;
    load("a { " AREA "};"
         "b@48000000 { status = \"disabled\"; " AREA "reg = <0 0x48000000 0 0x400000>; };"
         "c { status = \"reserved\"; size = <0 0x400000>; };"
         "d@50000000 { reg = <0 0x50000000 0 0x400000>;"
         "  e@50000000 { " AREA "reg = <0 0x50000000 0 0x400000>; };"
         "  f { " AREA "size = <0 0x400000>; }; };"
         "g@60000000 { status = \"ok\"; reg = <0 0x60000000 0 0x1000>; };"
         "h@61000000 { status = \"okay\"; reg = <0 0x61000000 0 0x1000>; };");
    expect_problems(0);
    expect_range(0, "d@50000000", CMA_RANGE_RESERVED, 0x50000000, 0x400000, 0);
    expect_range(1, "g@60000000", CMA_RANGE_RESERVED, 0x60000000, 0x1000, 0);
    expect_range(2, "h@61000000", CMA_RANGE_RESERVED, 0x61000000, 0x1000, 0);
    expect_ranges(3);
    assert_int_equal(fdt.nregions, 6);
    assert_int_equal(fdt.regions[0].state, CMA_FDT_IGNORED);
    assert_int_equal(fdt.regions[1].state, CMA_FDT_IGNORED);
}

static void only_the_first_entry_is_the_area(void **state)
{
    (void)state;
    load("a@48000000 { " AREA
         "reg = <0 0x48000000 0 0x400000>, <0 0x50000000 0 0x1000>, <0 0x60000000 0 0>; };"
         "b@49000000 { no-map; reg = <0 0x49000000 0 0x1000>, <0 0x51000000 0 0x1000>; };");
    expect_problem(0, "a@48000000", "reg", CMA_PROBLEM_ZERO);
    expect_problems(1);
    expect_range(0, "a@48000000", CMA_RANGE_AREA, 0x48000000, 0x400000, 0);
    expect_range(1, "b@49000000", CMA_RANGE_NO_MAP, 0x49000000, 0x1000, 0);
    expect_range(2, "a@48000000", CMA_RANGE_RESERVED, 0x50000000, 0x1000, 0);
    expect_range(3, "b@49000000", CMA_RANGE_NO_MAP, 0x51000000, 0x1000, 0);
    expect_ranges(4);
    assert_int_equal(fdt.regions[0].state, CMA_FDT_MADE);
}

static void reserved_memory_itself(void **state)
{
    static const char *const heads[][2] = {
        {"#address-cells = <1>; #size-cells = <2>; ranges;", "#address-cells"},
        {"#address-cells = <2>; #size-cells = <1>; ranges;", "#size-cells"},
        {"#size-cells = <2>; ranges;", "#address-cells"},
        {"#address-cells = <2>; ranges;", "#size-cells"},
        {"#address-cells = <2 2>; #size-cells = <2>; ranges;", "#address-cells"},
        {"#address-cells = <2>; #size-cells = <2>;", "ranges"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        char source[1024];

        snprintf(source, sizeof(source),
                 "/dts-v1/; / { #address-cells = <2>; #size-cells = <2>;"
                 "memory@40000000 { device_type = \"memory\"; reg = <0 0x40000000 0 0x40000000>; };"
                 "reserved-memory { %s"
                 "  a@48000000 { reg = <0 0x48000000 0 0x400000>; }; b { size = <0 0x1000>; }; };"
                 "};",
                 heads[i][0]);
        load_source(source);
        expect_ranges(0);
        expect_problem(fdt.problems.count - 1, "reserved-memory", heads[i][1],
                       strcmp(heads[i][1], "ranges") == 0 ? CMA_PROBLEM_NO_RANGES
                                                          : CMA_PROBLEM_ROOT_CELLS);
        assert_int_equal(fdt.regions[0].state, CMA_FDT_IGNORED);
    }
}

/* ---- where memory is ----------------------------------------------------------------------- */

static void outside_memory(void **state)
{
    (void)state;
    load("a@10000000 { " AREA "reg = <0 0x10000000 0 0x400000>; };");
    expect_refused("a@10000000", "reg", CMA_PROBLEM_OUTSIDE);
    load("a@10000000 { " POOL "reg = <0 0x10000000 0 0x400000>; };");
    expect_refused("a@10000000", "reg", CMA_PROBLEM_OUTSIDE);
    load("a@10000000 { compatible = \"restricted-dma-pool\"; reg = <0 0x10000000 0 0x1000>; };");
    expect_refused("a@10000000", "reg", CMA_PROBLEM_OUTSIDE);
    /* SRAM for a processor beside us */
    load("a@10000000 { " POOL "no-map; reg = <0 0x10000000 0 0x1000>; };"
         "b@10001000 { no-map; reg = <0 0x10001000 0 0x1000>; };"
         "c@10002000 { reg = <0 0x10002000 0 0x1000>; };");
    expect_problems(0);
    expect_range(0, "a@10000000", CMA_RANGE_COHERENT_POOL, 0x10000000, 0x1000, CMA_RANGE_UNMAPPED);
    expect_ranges(3);
}

static void partly_outside_memory(void **state)
{
    (void)state;
    load("a@7fe00000 { " AREA "reg = <0 0x7fe00000 0 0x400000>; };");
    expect_refused("a@7fe00000", "reg", CMA_PROBLEM_PARTLY);
    load("a@3ff00000 { " POOL "reg = <0 0x3ff00000 0 0x200000>; };");
    expect_refused("a@3ff00000", "reg", CMA_PROBLEM_PARTLY);
    /* what a firmware has in memory is not given away for that */
    load("a@7fe00000 { reg = <0 0x7fe00000 0 0x400000>; };"
         "b@3ff00000 { " POOL "no-map; reg = <0 0x3ff00000 0 0x200000>; };");
    expect_problem(0, "a@7fe00000", "reg", CMA_PROBLEM_PARTLY);
    expect_problem(1, "b@3ff00000", "reg", CMA_PROBLEM_PARTLY);
    expect_problems(2);
    expect_range(0, "b@3ff00000", CMA_RANGE_NO_MAP, 0x40000000, 0x100000, 0);
    expect_range(1, "a@7fe00000", CMA_RANGE_RESERVED, 0x7fe00000, 0x200000, 0);
    expect_ranges(2);
}

static void overlaps(void **state)
{
    (void)state;
    load("a@48000000 { " AREA "reg = <0 0x48000000 0 0x800000>; };"
         "b@48400000 { " AREA "reg = <0 0x48400000 0 0x800000>; };");
    expect_problem(0, "b@48400000", "reg", CMA_PROBLEM_OVERLAP);
    assert_string_equal(fdt.problems.list[0].other, "a@48000000");
    expect_problems(1);
    expect_range(0, "a@48000000", CMA_RANGE_AREA, 0x48000000, 0x800000, 0);
    expect_ranges(1);
    /* a firmware's memory stays reserved where it is beside the area, on both sides */
    load("a@48000000 { " AREA "reg = <0 0x48000000 0 0x800000>; };"
         "b@47fff000 { reg = <0 0x47fff000 0 0x900000>; };"
         "c@48700000 { no-map; reg = <0 0x48700000 0 0x400000>; };");
    expect_problem(0, "b@47fff000", "reg", CMA_PROBLEM_OVERLAP);
    expect_problem(1, "c@48700000", "reg", CMA_PROBLEM_OVERLAP);
    expect_problems(2);
    expect_range(0, "b@47fff000", CMA_RANGE_RESERVED, 0x47fff000, 0x1000, 0);
    expect_range(1, "a@48000000", CMA_RANGE_AREA, 0x48000000, 0x800000, 0);
    expect_range(2, "b@47fff000", CMA_RANGE_RESERVED, 0x48800000, 0xff000, 0);
    expect_range(3, "c@48700000", CMA_RANGE_NO_MAP, 0x488ff000, 0x201000, 0);
    expect_ranges(4);
    /* twice the same */
    load("a@48000000 { reg = <0 0x48000000 0 0x1000>; };"
         "b@48000000 { reg = <0 0x48000000 0 0x1000>; };");
    expect_problem(0, "b@48000000", "reg", CMA_PROBLEM_OVERLAP);
    expect_ranges(1);
}

static void no_map_inside_an_area(void **state)
{
    (void)state;
    load("a@48000000 { " AREA "reg = <0 0x48000000 0 0x800000>; };"
         "b@48400000 { no-map; reg = <0 0x48400000 0 0x1000>; };");
    expect_problem(0, "b@48400000", "reg", CMA_PROBLEM_IN_AREA);
    expect_problems(1);
    expect_range(0, "a@48000000", CMA_RANGE_AREA, 0x48000000, 0x800000, 0);
    expect_ranges(1);
    /* in the other order too, several of them */
    load("b@48400000 { no-map; reg = <0 0x48400000 0 0x1000>; };"
         "c@48500000 { " POOL "no-map; reg = <0 0x48500000 0 0x1000>; };"
         "a@48000000 { " AREA "reg = <0 0x48000000 0 0x800000>; };");
    expect_problem(0, "b@48400000", "reg", CMA_PROBLEM_IN_AREA);
    expect_problem(1, "c@48500000", "reg", CMA_PROBLEM_IN_AREA);
    expect_problems(2);
    expect_ranges(1);
    assert_int_equal(fdt.regions[0].state, CMA_FDT_REFUSED);
    assert_int_equal(fdt.regions[2].state, CMA_FDT_MADE);
}

static void an_area_that_is_refused_frees_nothing(void **state)
{
    (void)state;
    /* b would give way to a, but c would not, so a is refused and b must still be there */
    load("b@48400000 { no-map; reg = <0 0x48400000 0 0x1000>; };"
         "c@48600000 { reg = <0 0x48600000 0 0x1000>; };"
         "a@48000000 { " AREA "reg = <0 0x48000000 0 0x800000>; };");
    expect_problem(0, "a@48000000", "reg", CMA_PROBLEM_OVERLAP);
    assert_string_equal(fdt.problems.list[0].other, "c@48600000");
    expect_problems(1);
    expect_range(0, "b@48400000", CMA_RANGE_NO_MAP, 0x48400000, 0x1000, 0);
    expect_range(1, "c@48600000", CMA_RANGE_RESERVED, 0x48600000, 0x1000, 0);
    expect_ranges(2);
}

static void memreserve(void **state)
{
    (void)state;
    load_source("/dts-v1/; /memreserve/ 0x48400000 0x1000; /memreserve/ 0x50000000 0x2000;"
                "/memreserve/ 0x10000000 0x1000; /memreserve/ 0x7ffff000 0x8000;"
                "/memreserve/ 0x60000000 0xffffffffffffffff;"
                "/ { #address-cells = <1>; #size-cells = <1>;"
                "memory@40000000 { device_type = \"memory\"; reg = <0x40000000 0x40000000>; };"
                "reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges;"
                "a@48000000 { " AREA "reg = <0x48000000 0x800000>; };"
                "b@50001000 { no-map; reg = <0x50001000 0x1000>; };"
                "c { size = <0x1000>; }; }; };");
    expect_problem(0, "a@48000000", "reg", CMA_PROBLEM_MEMRESERVE);
    expect_problem(1, "", "/memreserve/", CMA_PROBLEM_OVERFLOW);
    expect_problems(2);
    expect_range(0, "a@48000000", CMA_RANGE_AREA, 0x48000000, 0x800000, 0);
    expect_range(1, "/memreserve/", CMA_RANGE_RESERVED, 0x50000000, 0x1000, 0);
    expect_range(2, "b@50001000", CMA_RANGE_NO_MAP, 0x50001000, 0x1000, 0);
    expect_range(3, "c", CMA_RANGE_RESERVED, 0x7fffe000, 0x1000, CMA_RANGE_DYNAMIC);
    expect_range(4, "/memreserve/", CMA_RANGE_RESERVED, 0x7ffff000, 0x1000, 0);
    expect_ranges(5);
}

/* ---- nodes that only have a size ----------------------------------------------------------- */

static void dynamic_nodes_go_high(void **state)
{
    (void)state;
    load("a { " AREA DEFAULT "size = <0 0x400000>; };"
         "b { " POOL "size = <0 0x1000>; alignment = <0 0x100000>; };"
         "c { no-map; size = <0 0x800>; };"
         "d@7f000000 { reg = <0 0x7f000000 0 0x1000000>; };"
         "e { compatible = \"restricted-dma-pool\"; size = <0 0x2000>; };");
    expect_problems(0);
    /* fixed first, then in the tree's order */
    expect_range(4, "d@7f000000", CMA_RANGE_RESERVED, 0x7f000000, 0x1000000, 0);
    expect_range(3, "a", CMA_RANGE_AREA, 0x7ec00000, 0x400000,
                 CMA_RANGE_DEFAULT | CMA_RANGE_DYNAMIC);
    expect_range(2, "c", CMA_RANGE_NO_MAP, 0x7ec00000 - 0x800, 0x800, CMA_RANGE_DYNAMIC);
    expect_range(0, "b", CMA_RANGE_COHERENT_POOL, 0x7eb00000, 0x1000, CMA_RANGE_DYNAMIC);
    expect_range(1, "e", CMA_RANGE_RESTRICTED_POOL, 0x7ec00000 - 0x2800, 0x2000, CMA_RANGE_DYNAMIC);
    expect_ranges(5);
    assert_int_equal(fdt.regions[0].align_nbytes, 2 * MIB);
    assert_int_equal(fdt.regions[1].align_nbytes, MIB);
    assert_int_equal(fdt.regions[2].align_nbytes, 64);
}

static void alloc_ranges_are_tried_in_order(void **state)
{
    struct cma_fdt_region *region = &fdt.regions[0];
    cma_paddr_t base;
    uint64_t nbytes;

    (void)state;
    load("x@50000000 { reg = <0 0x50000000 0 0x200000>; };"
         "a { " AREA "size = <0 0x400000>; alignment = <0 0x800000>;"
         "alloc-ranges = <0 0x50000000 0 0x400000>, <0 0x60000000 0 0>,"
         "               <0 0x61000000 0 0x1000000>, <0 0x70000000 0 0x1000000>; };");
    expect_problems(0);
    expect_range(1, "a", CMA_RANGE_AREA, 0x61800000, 0x400000, CMA_RANGE_DYNAMIC);
    region = &fdt.regions[1];
    assert_int_equal(region->align_nbytes, 8 * MIB);
    assert_int_equal(cma_fdt_alloc_range(&fdt, region, 3, &base, &nbytes), 0);
    assert_int_equal(base, 0x70000000);
    assert_int_equal(nbytes, 16 * MIB);
    assert_int_equal(cma_fdt_alloc_range(&fdt, region, 4, &base, &nbytes), CMA_ENOENT);
    load("a { size = <0 0x1000>; alloc-ranges; };");
    expect_refused("a", "alloc-ranges", CMA_PROBLEM_NO_ROOM);
    load("a { size = <0 0x1000>; alloc-ranges = <0 0x90000000 0 0x1000000>; };");
    expect_refused("a", "alloc-ranges", CMA_PROBLEM_NO_ROOM);
}

static void a_refused_default_gives_way(void **state)
{
    (void)state;
    builtin = 16 * MIB;
    load("a { " AREA DEFAULT "size = <0 0x80000000>; };");
    expect_problem(0, "a", "size", CMA_PROBLEM_NO_ROOM);
    expect_problems(1);
    expect_range(0, "builtin-cma", CMA_RANGE_AREA, TOP - 16 * MIB, 16 * MIB,
                 CMA_RANGE_DEFAULT | CMA_RANGE_DYNAMIC);
    load("a { " AREA DEFAULT "size = <0 0x800000>; };");
    expect_problems(0);
    expect_ranges(1); /* no built-in beside it */
}

static void refused_memory_is_held_until_all_are_placed(void **state)
{
    (void)state;
    load("x { };"
         "a@7f900000 { " AREA "reg = <0 0x7f900000 0 0x700000>; };"
         "b { size = <0 0x1000>; };");
    expect_problem(0, "a@7f900000", "reg", CMA_PROBLEM_GRANULE);
    expect_range(0, "b", CMA_RANGE_RESERVED, 0x7f8ff000, 0x1000, CMA_RANGE_DYNAMIC);
    expect_ranges(1);
    /* but cma= comes later and gets it */
    cmdline = "cma=4M";
    load("a@7f900000 { " AREA "reg = <0 0x7f900000 0 0x700000>; };");
    expect_range(0, "cma=", CMA_RANGE_AREA, 0x7fc00000, 0x400000,
                 CMA_RANGE_DEFAULT | CMA_RANGE_DYNAMIC);
}

static void the_first_page_is_nobodys(void **state)
{
    (void)state;
    load_source("/dts-v1/; / { #address-cells = <1>; #size-cells = <1>;"
                "memory@0 { device_type = \"memory\"; reg = <0 0x2000>; };"
                "reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges;"
                "a { size = <0x1000>; }; b { size = <0x800>; }; }; };");
    expect_problem(0, "b", "size", CMA_PROBLEM_NO_ROOM);
    expect_range(0, "a", CMA_RANGE_RESERVED, 0x1000, 0x1000, CMA_RANGE_DYNAMIC);
    expect_ranges(1);
}

/* ---- defaults ------------------------------------------------------------------------------ */

static void cma_bypasses_the_default_node(void **state)
{
    (void)state;
    cmdline = "cma=32M";
    load("a@48000000 { " AREA DEFAULT "reg = <0 0x48000000 0 0x4000000>; };"
         "b@50000000 { " AREA "reg = <0 0x50000000 0 0x400000>; };");
    expect_problem(0, "a@48000000", "linux,cma-default", CMA_PROBLEM_BYPASSED);
    expect_problems(1);
    expect_range(0, "b@50000000", CMA_RANGE_AREA, 0x50000000, 0x400000, 0);
    expect_range(1, "cma=", CMA_RANGE_AREA, TOP - 32 * MIB, 32 * MIB,
                 CMA_RANGE_DEFAULT | CMA_RANGE_DYNAMIC);
    expect_ranges(2);
    assert_true(fdt.default_area.made);
    cmdline = "cma=0";
    load("a { " AREA DEFAULT "size = <0 0x4000000>; };");
    expect_refused("a", "linux,cma-default", CMA_PROBLEM_BYPASSED);
    cmdline = "cma=32M@0x48000000";
    load("a@48000000 { " AREA DEFAULT "reg = <0 0x48000000 0 0x4000000>; };");
    expect_range(0, "cma=", CMA_RANGE_AREA, 0x48000000, 32 * MIB, CMA_RANGE_DEFAULT);
}

static void cma_on_a_reserved_range(void **state)
{
    (void)state;
    builtin = 16 * MIB;
    cmdline = "cma=32M@0x48000000";
    load("a@49000000 { no-map; reg = <0 0x49000000 0 0x1000>; };");
    expect_problem(0, "", "cma", CMA_PROBLEM_OVERLAP);
    expect_problems(1);
    expect_ranges(1);
}

static void two_defaults(void **state)
{
    (void)state;
    load("a@48000000 { " AREA DEFAULT "reg = <0 0x48000000 0 0x400000>; };"
         "b@50000000 { " AREA DEFAULT "reg = <0 0x50000000 0 0x400000>; };"
         "c@60000000 { " POOL "linux,dma-default; reg = <0 0x60000000 0 0x400000>; };"
         "d@61000000 { " POOL "linux,dma-default; reg = <0 0x61000000 0 0x400000>; };");
    expect_problem(0, "b@50000000", "linux,cma-default", CMA_PROBLEM_SECOND);
    expect_problem(1, "d@61000000", "linux,dma-default", CMA_PROBLEM_SECOND);
    expect_problems(2);
    expect_range(0, "a@48000000", CMA_RANGE_AREA, 0x48000000, 0x400000, CMA_RANGE_DEFAULT);
    expect_range(1, "b@50000000", CMA_RANGE_AREA, 0x50000000, 0x400000, 0);
    expect_range(2, "c@60000000", CMA_RANGE_COHERENT_POOL, 0x60000000, 0x400000, CMA_RANGE_DEFAULT);
    expect_range(3, "d@61000000", CMA_RANGE_COHERENT_POOL, 0x61000000, 0x400000, 0);
}

/* A board with 4 GiB from 2 GiB up, so that zones meet inside of memory. */
#define LARGE                                                                  \
    "/dts-v1/; / { #address-cells = <2>; #size-cells = <2>;"                   \
    "memory@80000000 { device_type = \"memory\"; reg = <0 0x80000000 1 0>; };" \
    "reserved-memory { #address-cells = <2>; #size-cells = <2>; ranges;"

static void zones_are_not_crossed(void **state)
{
    (void)state;
    builtin = 16 * MIB;
    load_source(LARGE "a@ff000000 { " AREA DEFAULT "reg = <0 0xff000000 0 0x2000000>; }; }; };");
    expect_problem(0, "a@ff000000", "reg", CMA_PROBLEM_ZONES);
    expect_problems(1);
    expect_ranges(0); /* Linux makes it, so its own default does not come back */
    load_source(LARGE "a@ff000000 { " AREA "reg = <0 0xff000000 0 0x1000000>; }; }; };");
    expect_problems(0);
    expect_range(1, "a@ff000000", CMA_RANGE_AREA, 0xff000000, 0x1000000, 0);
    expect_range(0, "builtin-cma", CMA_RANGE_AREA, 0xfe000000, 0x1000000,
                 CMA_RANGE_DEFAULT | CMA_RANGE_DYNAMIC);
    load_source(LARGE "a@ff000000 { no-map; reg = <0 0xff000000 0 0x2000000>; }; }; };");
    expect_problems(0);
    load_source(LARGE "a { " AREA "size = <0 0x400000>;"
                      "alloc-ranges = <0 0xffe00000 0 0x400000>; }; };};");
    expect_problem(0, "a", "size", CMA_PROBLEM_ZONES);
    expect_range(0, "builtin-cma", CMA_RANGE_AREA, 0xfee00000, 0x1000000,
                 CMA_RANGE_DEFAULT | CMA_RANGE_DYNAMIC);
    expect_ranges(1);
    arch = CMA_ARCH_ARM; /* what lies above is highmem as what lies below */
    load_source(LARGE "a@ff000000 { " AREA "reg = <0 0xff000000 0 0x2000000>; }; }; };");
    expect_problems(0);
}

static void limits_of_buses(void **state)
{
    static const char bus[] =
        "soc { #address-cells = <1>; #size-cells = <1>; ranges;"
        "  dma-ranges = <0 0 0x40000000 0x20000000>; dev@1000 { reg = <0x1000 0x10>; }; };"
        "off { status = \"disabled\"; #address-cells = <1>; #size-cells = <1>; ranges;"
        "  dma-ranges = <0 0 0x40000000 0x1000000>; };";

    (void)state;
    builtin = 16 * MIB;
    load_with("", bus);
    expect_range(0, "builtin-cma", CMA_RANGE_AREA, 0x5f000000, 16 * MIB,
                 CMA_RANGE_DEFAULT | CMA_RANGE_DYNAMIC);
    cmdline = "cma=64M";
    load_with("", bus);
    expect_range(0, "cma=", CMA_RANGE_AREA, 0x5c000000, 64 * MIB,
                 CMA_RANGE_DEFAULT | CMA_RANGE_DYNAMIC);
    cmdline = "cma=64M@0x60000000";
    load_with("", bus);
    expect_problem(0, "", "cma", CMA_PROBLEM_REACH);
    expect_ranges(0);
    /* not for nodes with a place of their own, nor for those that only have a size */
    cmdline = "";
    builtin = 0;
    load_with("a@70000000 { " AREA "reg = <0 0x70000000 0 0x400000>; };"
              "b { " AREA "size = <0 0x400000>; };",
              bus);
    expect_problems(0);
    expect_range(0, "a@70000000", CMA_RANGE_AREA, 0x70000000, 0x400000, 0);
    expect_range(1, "b", CMA_RANGE_AREA, TOP - 0x400000, 0x400000, CMA_RANGE_DYNAMIC);
    /* the zone that this makes ends at a power of two */
    load_with("a@7fe00000 { " AREA "reg = <0 0x7fe00000 0 0x200000>; };"
              "b@5fe00000 { " AREA "reg = <0 0x5fe00000 0 0x400000>; };",
              bus);
    expect_problems(0);
    assert_int_equal(fdt.dma_last, 0x5fffffff);
    assert_int_equal(rules.dma_last, 0x5fffffff);
    assert_int_equal(rules.zone_last[0], 0x7fffffff);
}

/* ---- memory nodes -------------------------------------------------------------------------- */

static void memory_nodes(void **state)
{
    (void)state;
    load_source("/dts-v1/; / { #address-cells = <2>; #size-cells = <1>;"
                "memory@40000000 { device_type = \"memory\";"
                "  reg = <0 0x40000000 0x10000000>, <0 0x60000800 0x2000>, <1 0 0x800>; };"
                "memory@50000000 { device_type = \"memory\"; reg = <0 0x50000000 0x1000000>; };"
                "more@70000000 { device_type = \"memory\"; reg = <0 0x70000000 0x1000>; };"
                "memory@71000000 { reg = <0 0x71000000 0x1000>; };"
                "memory@72000000 { device_type = \"memory\"; status = \"disabled\";"
                "  reg = <0 0x72000000 0x1000>; };"
                "soc { memory@73000000 { device_type = \"memory\"; reg = <0 0 0x1000>; }; };"
                "memory@74000000 { device_type = \"memory\"; reg = <0 0x74000000 0x1000>;"
                "  linux,usable-memory = <0 0x75000000 0x1000>; }; };");
    expect_problem(0, "memory@71000000", "device_type", CMA_PROBLEM_DEVICE_TYPE);
    expect_problems(1);
    assert_int_equal(map.nmemory, 4);
    assert_int_equal(cma_map_memory(&map, 0)->nbytes, 0x11000000); /* merged */
    assert_int_equal(cma_map_memory(&map, 1)->base, 0x60001000);   /* whole pages */
    assert_int_equal(cma_map_memory(&map, 1)->nbytes, 0x1000);
    assert_int_equal(cma_map_memory(&map, 2)->base, 0x70000000);
    assert_int_equal(cma_map_memory(&map, 3)->base, 0x75000000);
}

static void memory_nodes_that_are_wrong(void **state)
{
    (void)state;
    load_source("/dts-v1/; / { #address-cells = <2>; #size-cells = <2>;"
                "memory@40000000 { device_type = \"memory\"; reg = <0 0x40000000 0 0x10000000"
                "  0 0x48000000 0 0x10000000  0xffffffff 0 1 0x1000  0>; }; };");
    expect_problem(0, "memory@40000000", "reg", CMA_PROBLEM_LENGTH);
    expect_problem(1, "memory@40000000", "reg", CMA_PROBLEM_OVERLAP);
    expect_problem(2, "memory@40000000", "reg", CMA_PROBLEM_OVERFLOW);
    expect_problems(3);
    assert_int_equal(map.nmemory, 1);
    assert_int_equal(cma_map_memory(&map, 0)->nbytes, 0x18000000);
    /* a hole that another one covers is filled on both sides */
    load_source("/dts-v1/; / { #address-cells = <1>; #size-cells = <1>;"
                "memory@40000000 { device_type = \"memory\"; reg = <0x41000000 0x1000"
                "  0x42000000 0x1000 0x40000000 0x4000000>; }; };");
    assert_int_equal(map.nmemory, 1);
    assert_int_equal(cma_map_memory(&map, 0)->nbytes, 0x4000000);
    load_source("/dts-v1/; / { #address-cells = <9>; #size-cells = <1>;"
                "memory@0 { device_type = \"memory\"; reg = <0x41000000 0x1000>; }; };");
    expect_problem(0, "", "#address-cells", CMA_PROBLEM_CELLS);
    load_source("/dts-v1/; / { #address-cells = <1>; #size-cells = <0>;"
                "memory@0 { device_type = \"memory\"; reg = <0x41000000>; };"
                "reserved-memory { #address-cells = <1>; #size-cells = <0>; ranges;"
                "a@0 { reg = <0>; }; b { size = <0>; }; }; };");
    expect_problem(0, "memory@0", "reg", CMA_PROBLEM_LENGTH);
    expect_problem(1, "", "#size-cells", CMA_PROBLEM_CELLS);
    assert_int_equal(map.nmemory, 0);
}

static void expect_memory_base(const char *node, int error, uint64_t expected)
{
    char source[512];
    cma_paddr_t base = 0;

    snprintf(source, sizeof(source), "/dts-v1/; / { #address-cells = <2>; #size-cells = <2>; %s };",
             node);
    load_source(source);
    assert_int_equal(map.nmemory, 0);
    assert_int_equal(cma_fdt_memory_base(&fdt, &base), error);
    assert_int_equal(base, expected);
}

static void where_empty_memory_begins(void **state)
{
#define TYPE "device_type = \"memory\"; "
    (void)state;
    expect_memory_base("", CMA_ENOENT, 0);
    expect_memory_base("memory { " TYPE "};", CMA_ENOENT, 0);
    expect_memory_base("memory { " TYPE "reg = <0 0x80000000 0 0>; };", 0, 0x80000000);
    expect_memory_base("memory@1000 { " TYPE "reg = <0 0x80000000 0 0>; };", 0, 0x80000000);
    expect_memory_base("memory@80000000 { " TYPE "reg = <0 0 0 0>; };", 0, 0x80000000);
    expect_memory_base("memory { " TYPE "reg = <0 0 0 0>; };", 0, 0);
    expect_memory_base("memory@a0000000 { " TYPE "};", 0, 0xa0000000);
    expect_memory_base("memory@8,80000000 { " TYPE "};", 0, 0x880000000);
    expect_memory_base("memory@80000000 { };", 0, 0x80000000);
    expect_memory_base("memory@x { " TYPE "};", CMA_ENOENT, 0);
    expect_memory_base("memory@12345678123456781 { " TYPE "};", CMA_ENOENT, 0);
#undef TYPE
}

static void a_full_map_is_an_error(void **state)
{
    struct cma_boot_args args = {0};

    (void)state;
    load("a@48000000 { reg = <0 0x48000000 0 0x1000>; }; b { size = <0 0x1000>; };");
    for (uint32_t room = 1; room <= 2; room++) {
        assert_int_equal(cma_map_init(&map, ranges[0], 1, ranges[1], room), 0);
        assert_int_equal(cma_fdt_memory(&fdt, &rules, &map), 0);
        assert_int_equal(cma_fdt_reserve(&fdt, &rules, &args, 0, &map), room < 2 ? CMA_ENOMEM : 0);
        assert_true(cma_map_check(&map));
    }
}

#define T(f) cmocka_unit_test_teardown(f, fdt_board_forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(kinds_of_fixed_nodes),
        T(cma_default_without_reusable_is_a_pool),
        T(arm_wants_no_map_for_pools),
        T(areas_off_the_granule),
        T(sizes_of_nothing),
        T(lengths_that_do_not_fit),
        T(sizes_that_overflow),
        T(alignments_that_are_none),
        T(reusable_excludes_no_map),
        T(restricted_pools_are_plain),
        T(ignored_without_a_word),
        T(only_the_first_entry_is_the_area),
        T(reserved_memory_itself),
        T(outside_memory),
        T(partly_outside_memory),
        T(overlaps),
        T(no_map_inside_an_area),
        T(an_area_that_is_refused_frees_nothing),
        T(memreserve),
        T(dynamic_nodes_go_high),
        T(alloc_ranges_are_tried_in_order),
        T(a_refused_default_gives_way),
        T(refused_memory_is_held_until_all_are_placed),
        T(the_first_page_is_nobodys),
        T(cma_bypasses_the_default_node),
        T(cma_on_a_reserved_range),
        T(two_defaults),
        T(zones_are_not_crossed),
        T(limits_of_buses),
        T(memory_nodes),
        T(memory_nodes_that_are_wrong),
        T(where_empty_memory_begins),
        T(a_full_map_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
