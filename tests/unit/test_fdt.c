/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_fdt.c - the device-tree reader, rule by rule
 *
 * Each tree is a small source that dtc compiles here. Unless a test says otherwise the board has
 * 1 GiB of RAM at 1 GiB and two cells each for addresses and sizes, and the rules are arm64's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include <cma/fdt.h>

#include "../support/dts.h"

#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define RAM 0x40000000ull
#define TOP 0x80000000ull

/* How the next board is read; boards set it back. */
static enum cma_arch arch = CMA_ARCH_ARM64;
static const char *cmdline = "";
static uint64_t builtin;

/* The board of the test that runs. */
static void *dtb, *storage;
static struct cma_fdt fdt;
static struct cma_map map;
static struct cma_boot_rules rules;
static struct cma_range ranges[2][512];

static int forget(void **state)
{
    (void)state;
    free(dtb);
    free(storage);
    dtb = storage = NULL;
    arch = CMA_ARCH_ARM64;
    cmdline = "";
    builtin = 0;
    return 0;
}

static void load_source(const char *source)
{
    struct cma_boot_args args;
    uint64_t nbytes;
    size_t size;

    free(dtb);
    free(storage);
    dtb = dts_compile(source, &size);
    if (!dtb) {
        fail_msg("dtc refuses: %s", source);
    }
    assert_int_equal(cma_fdt_size(dtb, size, &nbytes, NULL), 0);
    storage = malloc(nbytes);
    assert_int_equal(cma_fdt_init(&fdt, dtb, size, storage, nbytes - 1), CMA_ENOMEM);
    assert_int_equal(cma_fdt_init(&fdt, dtb, size, storage, nbytes), 0);
    assert_int_equal(cma_boot_rules_init(&rules, arch, 12), 0);
    cma_fdt_limits(&fdt, &rules);
    assert_int_equal(cma_boot_args_parse(&args, cmdline, NULL), 0);
    assert_true(fdt.max_ranges <= 512);
    assert_int_equal(cma_map_init(&map, ranges[0], fdt.max_ranges, ranges[1], fdt.max_ranges), 0);
    assert_int_equal(cma_fdt_memory(&fdt, &rules, &map), 0);
    assert_int_equal(cma_fdt_reserve(&fdt, &rules, &args, builtin, &map), 0);
    cma_fdt_devices(&fdt, &rules);
    assert_true(cma_map_check(&map));
    assert_int_equal(fdt.problems.lost, 0);
    for (uint32_t i = 0; i < fdt.nregions; i++) {
        assert_int_equal(fdt.regions[i].flags &
                             ~(CMA_RANGE_DEFAULT | CMA_RANGE_DYNAMIC | CMA_RANGE_UNMAPPED),
                         0);
    }
}

/* A board with these regions, and more in the root node. */
static void load_with(const char *regions, const char *more)
{
    static char source[65536];

    snprintf(source, sizeof(source),
             "/dts-v1/;\n"
             "/ { #address-cells = <2>; #size-cells = <2>; model = \"test board\";\n"
             "  memory@40000000 { device_type = \"memory\"; reg = <0 0x40000000 0 0x40000000>; };\n"
             "  reserved-memory { #address-cells = <2>; #size-cells = <2>; ranges;\n%s\n };\n"
             "%s\n};\n",
             regions, more);
    load_source(source);
}

static void load(const char *regions)
{
    load_with(regions, "");
}

#define POOL "compatible = \"shared-dma-pool\"; "
#define AREA POOL "reusable; "
#define DEFAULT "linux,cma-default; "

static const char *name_of(uint32_t node)
{
    return node == CMA_NODE_NONE ? "" : fdt_get_name(dtb, (int)node, NULL);
}

/* Range `index` of the map, in address order. */
static void expect_range(uint32_t index, const char *name, enum cma_range_kind kind, uint64_t base,
                         uint64_t nbytes, uint32_t flags)
{
    const struct cma_range *range = cma_map_reserved(&map, index);

    assert_non_null(range);
    assert_string_equal(range->name, name);
    assert_int_equal(range->kind, kind);
    assert_int_equal(range->base, base);
    assert_int_equal(range->nbytes, nbytes);
    assert_int_equal(range->flags, flags);
    if (range->id != CMA_NODE_NONE) {
        assert_string_equal(name_of(range->id), name);
    }
}

static void expect_ranges(uint32_t count)
{
    assert_int_equal(map.nreserved, count);
}

/* Problem `index`, in the order in which they were found. */
static void expect_problem(uint32_t index, const char *name, const char *property,
                           enum cma_problem_kind kind)
{
    const struct cma_problem *problem = &fdt.problems.list[index];

    assert_in_range(index, 0, fdt.problems.count - 1);
    assert_string_equal(name_of(problem->node), name);
    assert_string_equal(problem->property, property);
    assert_int_equal(problem->kind, kind);
}

static void expect_problems(uint32_t count)
{
    for (uint32_t i = count; i < fdt.problems.count; i++) {
        char text[256];

        cma_problem_text(&fdt.problems.list[i], text, sizeof(text));
        print_error("%s %s: %s\n", name_of(fdt.problems.list[i].node),
                    fdt.problems.list[i].property, text);
    }
    assert_int_equal(fdt.problems.count, count);
}

/* The only problem, and nothing in the map: all memory is free. */
static void expect_refused(const char *name, const char *property, enum cma_problem_kind kind)
{
    expect_problem(0, name, property, kind);
    expect_problems(1);
    expect_ranges(0);
    assert_int_equal(cma_map_free_nbytes(&map), GIB);
    assert_int_equal(fdt.regions[0].state, CMA_FDT_REFUSED);
}

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

/* ---- devices and buses --------------------------------------------------------------------- */

static const struct cma_fdt_device *device_of(const char *path)
{
    int node = fdt_path_offset(dtb, path);

    for (uint32_t i = 0; i < fdt.ndevices; i++) {
        if (fdt.devices[i].node == (uint32_t)node) {
            return &fdt.devices[i];
        }
    }
    return NULL;
}

static void expect_window(const char *path, uint32_t index, uint64_t daddr, uint64_t paddr,
                          uint64_t nbytes)
{
    const struct cma_fdt_device *device = device_of(path);

    assert_non_null(device);
    assert_true(device->limited);
    assert_in_range(index, 0, device->nwindows - 1);
    assert_int_equal(device->windows[index].daddr, daddr);
    assert_int_equal(device->windows[index].paddr, paddr);
    assert_int_equal(device->windows[index].nbytes, nbytes);
}

#define BUS "#address-cells = <1>; #size-cells = <1>; ranges; "

static void windows_through_one_bus(void **state)
{
    (void)state;
    load_with("", "soc { " BUS "dma-ranges = <0xc0000000 0 0x40000000 0x10000000>,"
                  "  <0 0 0x60000000 0x8000000>;"
                  "cam@1000 { compatible = \"x\"; };"
                  "off@2000 { compatible = \"x\"; status = \"disabled\"; };"
                  "i2c@3000 { compatible = \"x\"; #address-cells = <1>; #size-cells = <0>;"
                  "  sensor@10 { compatible = \"x\"; reg = <0x10>; }; };"
                  "display { compatible = \"x\"; port { endpoint { }; }; }; };"
                  "free@9000 { compatible = \"x\"; };");
    expect_problems(0);
    assert_int_equal(fdt.ndevices, 3);
    expect_window("/soc/cam@1000", 0, 0xc0000000, 0x40000000, 0x10000000);
    expect_window("/soc/cam@1000", 1, 0, 0x60000000, 0x8000000);
    assert_int_equal(device_of("/soc/cam@1000")->dma_last, 0x67ffffff);
    assert_int_equal(device_of("/soc/cam@1000")->nwindows, 2);
    assert_non_null(device_of("/soc/i2c@3000"));
    assert_non_null(device_of("/soc/display"));
    assert_int_equal(fdt.dma_last, 0x67ffffff);
}

static void windows_through_several_buses(void **state)
{
    (void)state;
    /* b sees 64 KiB of a's addresses from 0x1000, half of it in each of a's windows */
    load_with("",
              "a { " BUS "dma-ranges = <0x0 0 0x50000000 0x9000>, <0x9000 0 0x70000000 0x1000000>;"
              "pass { " BUS "plain { " BUS "dma-ranges;"
              "b { " BUS "dma-ranges = <0x80000000 0x1000 0x10000>;"
              "dev@0 { reg = <0 1>; }; }; dev@1 { reg = <1 1>; }; }; }; };");
    expect_problems(0);
    expect_window("/a/pass/plain/b/dev@0", 0, 0x80000000, 0x50001000, 0x8000);
    expect_window("/a/pass/plain/b/dev@0", 1, 0x80008000, 0x70000000, 0x8000);
    assert_int_equal(device_of("/a/pass/plain/b/dev@0")->nwindows, 2);
    assert_int_equal(device_of("/a/pass/plain/b/dev@0")->dma_last, 0x70007fff);
    expect_window("/a/pass/plain/dev@1", 0, 0, 0x50000000, 0x9000);
    assert_int_equal(device_of("/a/pass/plain/dev@1")->dma_last, 0x70ffffff);
}

static void windows_of_pci(void **state)
{
    (void)state;
    load_with("", "pcie@0 { compatible = \"x\"; device_type = \"pci\"; #address-cells = <3>;"
                  "#size-cells = <2>; ranges;"
                  "dma-ranges = <0x02000000 0 0x10000000 0 0x40000000 0 0x20000000>,"
                  "             <0x42000000 0 0x10000000 0 0x40000000 0 0x20000000>;"
                  "ep@0 { reg = <0 0 0 0 0>; }; };");
    expect_problems(0);
    expect_window("/pcie@0/ep@0", 0, 0x10000000, 0x40000000, 0x20000000);
    assert_int_equal(device_of("/pcie@0/ep@0")->nwindows, 1); /* the same for both kinds */
    assert_null(device_of("/pcie@0"));
}

static void windows_that_limit_nothing(void **state)
{
    (void)state;
    load_with("", "soc { #address-cells = <2>; #size-cells = <2>; ranges;"
                  "dma-ranges = <0 0 0 0 0xffffffff 0xffffffff>; dev@0 { reg = <0 0 0 1>; }; };"
                  "bus { " BUS "dma-ranges; dev@1 { reg = <0 0>; }; };");
    expect_problems(0);
    assert_int_equal(fdt.ndevices, 0);
    assert_true(fdt.dma_last == CMA_PADDR_MAX);
    /* but a bus below them counts on its own */
    load_with("",
              "soc { #address-cells = <2>; #size-cells = <2>; ranges;"
              "dma-ranges = <0 0 0 0 0xffffffff 0xffffffff>;"
              "bus { " BUS "dma-ranges = <0 0 0x40000000 0x1000>; dev@1 { reg = <0 0>; }; }; };");
    expect_window("/soc/bus/dev@1", 0, 0, 0x40000000, 0x1000);
}

static void windows_that_are_wrong(void **state)
{
    (void)state;
    load_with("",
              "odd { " BUS "dma-ranges = <0 0 0x40000000 0xffffffff>; dev@0 { reg = <0 0>; }; };");
    expect_problem(0, "odd", "dma-ranges", CMA_PROBLEM_ODD);
    expect_window("/odd/dev@0", 0, 0, 0x40000000, 0x100000000);
    load_with("", "zero { " BUS "dma-ranges = <0 0 0x40000000 0>; dev@0 { reg = <0 0>; }; };");
    expect_problem(0, "zero", "dma-ranges", CMA_PROBLEM_ZERO);
    assert_int_equal(fdt.ndevices, 0);
    load_with("",
              "short { " BUS "dma-ranges = <0 0 0x40000000 0x1000 7>; dev@0 { reg = <0 0>; }; };");
    expect_problem(0, "short", "dma-ranges", CMA_PROBLEM_LENGTH);
    expect_window("/short/dev@0", 0, 0, 0x40000000, 0x1000);
    load_with("", "far { " BUS "dma-ranges = <0 0xffffffff 0xf0000000 0x10001000>;"
                  "dev@0 { reg = <0 0>; }; };");
    expect_problem(0, "far", "dma-ranges", CMA_PROBLEM_OVERFLOW);
    load_with("",
              "clash { " BUS "dma-ranges = <0 0 0x40000000 0x2000>, <0x1000 0 0x50000000 0x1000>;"
              "dev@0 { reg = <0 0>; }; };");
    expect_problem(0, "clash", "dma-ranges", CMA_PROBLEM_CLASH);
    assert_int_equal(device_of("/clash/dev@0")->nwindows, 1);
    load_with("", "cells { #address-cells = <0>; #size-cells = <1>; ranges;"
                  "dma-ranges = <0 0x40000000 0x2000>; dev { compatible = \"x\"; }; };");
    expect_problem(0, "cells", "dma-ranges", CMA_PROBLEM_LENGTH);
    /* an inner window that misses the outer one reaches nothing, and does not pull cma= down */
    load_with("", "a { " BUS "dma-ranges = <0 0 0x40000000 0x1000>;"
                  "b { " BUS "dma-ranges = <0 0x2000 0x1000>; dev@0 { reg = <0 0>; }; }; };");
    expect_problem(0, "b", "dma-ranges", CMA_PROBLEM_NO_WAY);
    assert_int_equal(device_of("/a/b/dev@0")->nwindows, 0);
    assert_true(device_of("/a/b/dev@0")->limited);
    assert_int_equal(device_of("/a/b/dev@0")->dma_last, 0);
    assert_int_equal(fdt.dma_last, 0x40000fff);
}

static void too_many_windows(void **state)
{
    static char source[16384];
    size_t length = (size_t)sprintf(source, "soc { " BUS "dma-ranges = <");

    (void)state;
    for (unsigned int i = 0; i < CMA_FDT_MAX_WINDOWS + 2; i++) {
        length += (size_t)sprintf(source + length, "%#x 0 %#x 0x1000 ", i * 0x2000, i * 0x2000);
    }
    strcpy(source + length, ">; dev@0 { reg = <0 0>; }; };");
    load_with("", source);
    expect_problem(0, "soc", "dma-ranges", CMA_PROBLEM_TOO_MANY);
    assert_int_equal(device_of("/soc/dev@0")->nwindows, CMA_FDT_MAX_WINDOWS);
}

static void interconnects_lead_to_memory(void **state)
{
    (void)state;
    load_with("", "soc { " BUS "x: x { #interconnect-cells = <2>; };"
                  "mbus: dram@0 { reg = <0 0>; #address-cells = <1>; #size-cells = <1>;"
                  "  #interconnect-cells = <1>; dma-ranges = <0 0 0x40000000>; };"
                  "ve@1 { reg = <1 1>; interconnects = <&x 1 2 &mbus 4>;"
                  "  interconnect-names = \"other\", \"dma-mem\"; };"
                  "plain@2 { reg = <2 1>; }; };");
    expect_problems(0);
    expect_window("/soc/ve@1", 0, 0, 0, 0x40000000);
    assert_null(device_of("/soc/plain@2"));
}

static void ways_in_a_circle_end(void **state)
{
#define DMA_MEM "interconnect-names = \"dma-mem\"; #interconnect-cells = <0>; "
    (void)state;
    load_with("", "a: a { " BUS DMA_MEM "interconnects = <&b>; dma-ranges = <0 0 0 0x1000>; };"
                  "b: b { " BUS DMA_MEM "interconnects = <&a>; compatible = \"x\"; };"
                  "c: c { " DMA_MEM "interconnects = <&c>; compatible = \"x\"; };"
                  "d { " DMA_MEM "interconnects = <77>; compatible = \"x\"; };"
                  "e { " DMA_MEM "interconnects = [00]; compatible = \"x\"; };");
    expect_problem(0, "a", "interconnects", CMA_PROBLEM_CIRCULAR);
    expect_problem(1, "c", "interconnects", CMA_PROBLEM_CIRCULAR);
    expect_problems(2);
#undef DMA_MEM
}

static void coherence_is_inherited(void **state)
{
#define TREE                                                                                    \
    "soc { " BUS "dma-ranges = <0 0 0 0x80000000>; dma-coherent;"                               \
    "a@0 { reg = <0 0>; }; b@1 { reg = <1 0>; dma-noncoherent; };"                              \
    "in { " BUS "dma-noncoherent; c@2 { reg = <2 0>; }; d@3 { reg = <3 0>; dma-coherent; }; };" \
    "}; out { " BUS "dma-ranges = <0 0 0 0x80000000>; e@4 { reg = <4 0>; }; };"
    (void)state;
    load_with("", TREE);
    assert_true(device_of("/soc/a@0")->coherent);
    assert_false(device_of("/soc/b@1")->coherent);
    assert_false(device_of("/soc/in/c@2")->coherent);
    assert_true(device_of("/soc/in/d@3")->coherent);
    assert_false(device_of("/out/e@4")->coherent);
    arch = CMA_ARCH_RISCV64;
    load_with("", TREE);
    assert_true(device_of("/out/e@4")->coherent);
    assert_false(device_of("/soc/b@1")->coherent);
#undef TREE
}

static void devices_and_their_regions(void **state)
{
    const struct cma_fdt_device *device;

    (void)state;
    load_with("a: a@48000000 { " AREA "reg = <0 0x48000000 0 0x400000>; };"
              "b: b { " POOL "size = <0 0x1000>; };"
              "c: c { status = \"disabled\"; size = <0 0x1000>; };"
              "d: d { " AREA "size = <0 1>; };",
              "cam { memory-region = <&b>, <&a>; };"
              "codec { memory-region = <&a>, <&d>, <&c>, <0>, <0x4711>, <&cpu>; };"
              "off { status = \"disabled\"; x { memory-region = <&a>; }; };"
              "short { memory-region = [00 00]; }; none { memory-region; };"
              "cpu: cpu { };");
    device = device_of("/cam");
    assert_non_null(device);
    assert_int_equal(device->nregions, 2);
    assert_string_equal(name_of(device->regions[0]), "b");
    assert_string_equal(name_of(device->regions[1]), "a@48000000");
    assert_false(device->limited);
    device = device_of("/codec");
    assert_int_equal(device->nregions, 4);
    assert_string_equal(name_of(device->regions[3]), "cpu");
    expect_problem(0, "d", "size", CMA_PROBLEM_GRANULE);
    expect_problem(1, "codec", "memory-region", CMA_PROBLEM_NOT_MADE);
    expect_problem(2, "codec", "memory-region", CMA_PROBLEM_NOT_MADE);
    expect_problem(3, "codec", "memory-region", CMA_PROBLEM_PHANDLE);
    assert_int_equal(fdt.problems.list[3].value, 0x4711);
    expect_problem(4, "codec", "memory-region", CMA_PROBLEM_NOT_REGION);
    expect_problem(5, "short", "memory-region", CMA_PROBLEM_LENGTH);
    expect_problem(6, "none", "memory-region", CMA_PROBLEM_LENGTH);
    expect_problems(7);
    assert_null(device_of("/off/x"));
}

static void of_two_phandles_the_first_counts(void **state)
{
    (void)state;
    load_with("a@48000000 { phandle = <5>; reg = <0 0x48000000 0 0x400000>; };"
              "b@49000000 { phandle = <5>; reg = <0 0x49000000 0 0x400000>; };"
              "c@4a000000 { linux,phandle = <4>; reg = <0 0x4a000000 0 0x400000>; };",
              "dev { memory-region = <5 4>; };");
    assert_string_equal(name_of(device_of("/dev")->regions[0]), "a@48000000");
    assert_string_equal(name_of(device_of("/dev")->regions[1]), "c@4a000000");
}

static void architectures_are_guessed(void **state)
{
    static const struct {
        const char *cpu;
        enum cma_arch arch;
    } cases[] = {
        {"compatible = \"arm,cortex-a53\";", CMA_ARCH_ARM64},
        {"compatible = \"arm,cortex-a53\", \"arm,armv8\";", CMA_ARCH_ARM64},
        {"compatible = \"qcom,kryo385\";", CMA_ARCH_ARM64},
        {"compatible = \"arm,cortex-a7\";", CMA_ARCH_ARM},
        {"compatible = \"arm,cortex-a72\";", CMA_ARCH_ARM64},
        {"compatible = \"arm,cortex-a9\";", CMA_ARCH_ARM},
        {"compatible = \"arm,cortex-a15\";", CMA_ARCH_ARM},
        {"compatible = \"marvell,pj4a\", \"marvell,sheeva-v7\";", CMA_ARCH_ARM},
        {"compatible = \"arm,arm926ej-s\";", CMA_ARCH_ARM},
        {"compatible = \"sifive,u54-mc\", \"riscv\";", CMA_ARCH_RISCV64},
        {"riscv,isa = \"rv64imac\";", CMA_ARCH_RISCV64},
        {"", CMA_ARCH_UNKNOWN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char source[256];

        snprintf(source, sizeof(source),
                 "/dts-v1/; / { cpus { idle-states { compatible = \"arm,cortex-a9\"; };"
                 "cpu@0 { %s }; }; };",
                 cases[i].cpu);
        load_source(source);
        assert_int_equal(fdt.arch, cases[i].arch);
    }
    load_source("/dts-v1/; / { };");
    assert_int_equal(fdt.arch, CMA_ARCH_UNKNOWN);
    assert_string_equal(fdt.model, "");
}

static void cells_come_from_above(void **state)
{
    (void)state;
    load_with("", "soc { " BUS "dma-ranges = <0 0 0x40000000 0x1000>;"
                  "sub { ranges; dma-ranges = <0x100 0 0x1000>; dev@0 { reg = <0 0>; }; };"
                  "bad { #address-cells = <0x10>; #size-cells = <1 1>; }; };");
    expect_window("/soc/sub/dev@0", 0, 0x100, 0x40000000, 0x1000);
    expect_problem(0, "bad", "#address-cells", CMA_PROBLEM_CELLS);
    expect_problem(1, "bad", "#size-cells", CMA_PROBLEM_CELLS);
    expect_problems(2);
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

#define T(f) cmocka_unit_test_teardown(f, forget)

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
        T(windows_through_one_bus),
        T(windows_through_several_buses),
        T(windows_of_pci),
        T(windows_that_limit_nothing),
        T(windows_that_are_wrong),
        T(too_many_windows),
        T(interconnects_lead_to_memory),
        T(ways_in_a_circle_end),
        T(coherence_is_inherited),
        T(devices_and_their_regions),
        T(of_two_phandles_the_first_counts),
        T(architectures_are_guessed),
        T(cells_come_from_above),
        T(a_full_map_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
