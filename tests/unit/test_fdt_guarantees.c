/* SPDX-License-Identifier: BSD-2-Clause */
/* test_fdt_guarantees.c - guarantees, quotas and size classes out of a device tree */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "../support/fdt_board.h"

#define BLOCKS "libcma,guarantee-blocks"
#define SIZE "libcma,guarantee-size"
#define CAMERA_AREA "a: a@48000000 { " AREA "reg = <0 0x48000000 0 0x2000000>; };"
#define OTHER_AREA "b: b@50000000 { " AREA DEFAULT "reg = <0 0x50000000 0 0x400000>; };"
#define SIX BLOCKS " = <6>; " SIZE " = <0x300000>; "

static const char *problem_text(uint32_t index)
{
    static char text[256];

    cma_problem_text(&fdt.problems.list[index], text, sizeof(text));
    return text;
}

/* Guarantee `index`, in the order of admission. */
static const struct cma_fdt_guarantee *promise(uint32_t index, const char *device, uint32_t count,
                                               uint64_t nbytes)
{
    const struct cma_fdt_guarantee *guarantee = &fdt.guarantees[index];

    assert_in_range(index, 0, fdt.nguarantees - 1);
    assert_string_equal(name_of(fdt.devices[guarantee->device].node), device);
    assert_int_equal(guarantee->count, count);
    assert_int_equal(guarantee->nbytes, nbytes);
    return guarantee;
}

static void expect_area(const struct cma_fdt_guarantee *guarantee, const char *name)
{
    if (name) {
        assert_in_range(guarantee->region, 1, fdt.nregions);
        assert_string_equal(name_of(fdt.regions[guarantee->region - 1].node), name);
    } else {
        assert_int_equal(guarantee->region, 0);
    }
}

/* ---- what is right ------------------------------------------------------------------------- */

static void six_blocks_of_three_megabytes(void **state)
{
    const struct cma_fdt_guarantee *guarantee;

    (void)state;
    load_with(CAMERA_AREA, "cam { memory-region = <&a>; " SIX "};");
    expect_problems(0);
    assert_int_equal(fdt.nguarantees, 1);
    guarantee = promise(0, "cam", 6, 0x300000);
    expect_area(guarantee, "a@48000000");
    assert_string_equal(name_of(guarantee->node), "cam");
    assert_int_equal(guarantee->max_moves, 0);
    assert_int_equal(guarantee->align_nbytes, 0);
    assert_int_equal(guarantee->boundary_nbytes, 0);
    assert_null(guarantee->group);
    assert_int_equal(guarantee->group_number, 0);
    assert_int_equal(fdt.ngroups, 0);
    assert_int_equal(fdt.regions[0].ndevices, 1);
    assert_int_equal(fdt.devices[0].quota_nbytes, 0);
}

static void all_there_is_to_say(void **state)
{
    const struct cma_fdt_guarantee *guarantee;

    (void)state;
    /* of one list each form: one each in one cell, one each in two, one for all */
    load_with(CAMERA_AREA, "cam { memory-region = <&a>; " BLOCKS " = <6 1 2>;" SIZE
                           " = /bits/ 64 <0x300000 0x100000000 0x1001>;"
                           "libcma,guarantee-align = <0x100000 0 0x2000>;"
                           "libcma,guarantee-boundary = <0 0 0x400000>;"
                           "libcma,guarantee-max-moves = <7>;"
                           "libcma,guarantee-group = \"\", \"eyes\", \"\";"
                           "libcma,quota = <0x200000>; };");
    expect_problems(0);
    assert_int_equal(fdt.nguarantees, 3);
    guarantee = promise(0, "cam", 1, 0x100000000);
    assert_int_equal(guarantee->entry, 1);
    assert_string_equal(guarantee->group, "eyes");
    assert_int_equal(guarantee->group_number, 1);
    guarantee = promise(1, "cam", 6, 0x300000);
    assert_int_equal(guarantee->align_nbytes, 0x100000);
    assert_int_equal(guarantee->max_moves, 7);
    assert_null(guarantee->group);
    guarantee = promise(2, "cam", 2, 0x1001);
    assert_int_equal(guarantee->align_nbytes, 0x2000);
    assert_int_equal(guarantee->boundary_nbytes, 0x400000);
    assert_int_equal(guarantee->max_moves, 7);
    assert_int_equal(fdt.devices[0].quota_nbytes, 0x200000);
}

static void several_kinds_may_say_one_thing_once(void **state)
{
    (void)state;
    load_with(CAMERA_AREA, "cam { memory-region = <&a>; " BLOCKS " = <1 2>;" SIZE " = <0x1000>;"
                           "libcma,guarantee-max-moves = <1 0xffffffff>; };");
    expect_problems(0);
    assert_int_equal(promise(0, "cam", 1, 0x1000)->max_moves, 1);
    assert_int_equal(promise(1, "cam", 2, 0x1000)->max_moves, UINT32_MAX);
    /* more than 32 bits of pages are all pages */
    load_with(CAMERA_AREA, "cam { memory-region = <&a>; " SIX
                           "libcma,guarantee-max-moves = /bits/ 64 <0x100000001>; };");
    assert_int_equal(promise(0, "cam", 6, 0x300000)->max_moves, UINT32_MAX);
}

static void a_device_without_a_region_has_the_default_area(void **state)
{
    (void)state;
    load_with(CAMERA_AREA OTHER_AREA, "cam { " SIX "};");
    expect_problems(0);
    expect_area(promise(0, "cam", 6, 0x300000), "b@50000000");
    assert_int_equal(fdt.devices[0].area, 0);
    cmdline = "cma=64M";
    load_with("", "cam { " SIX "};");
    expect_problems(0);
    expect_area(promise(0, "cam", 6, 0x300000), NULL);
    /* of several regions, the first that is an area */
    load_with("p: p { " POOL "size = <0 0x1000>; };" CAMERA_AREA OTHER_AREA,
              "cam { memory-region = <&p>, <&a>, <&b>; " SIX "};");
    expect_area(promise(0, "cam", 6, 0x300000), "a@48000000");
}

static void a_region_speaks_for_its_only_device(void **state)
{
    (void)state;
    load_with("a: a@48000000 { " AREA "reg = <0 0x48000000 0 0x2000000>; " SIX "};",
              "other { memory-region = <>; }; cam { memory-region = <&a>; };");
    assert_int_equal(fdt.nguarantees, 1);
    assert_string_equal(name_of(promise(0, "cam", 6, 0x300000)->node), "a@48000000");
    expect_area(promise(0, "cam", 6, 0x300000), "a@48000000");
}

static void large_blocks_come_first(void **state)
{
    (void)state;
    load_with(CAMERA_AREA "soc: x { size = <0 0x1000>; };",
              "wide { memory-region = <&a>; " BLOCKS " = <1 1 1>; " SIZE " = <1 3 2>;"
              "  libcma,guarantee-align = <0 0 0x1000>; };"
              "soc { " BUS "dma-ranges = <0 0 0x40000000 0x10000000>;"
              "  narrow { memory-region = <&a>; " BLOCKS " = <2 2 2>; " SIZE " = <3 2 1>; }; };");
    expect_problems(0);
    assert_int_equal(fdt.nguarantees, 6);
    promise(0, "narrow", 2, 3); /* reaches less */
    promise(1, "wide", 1, 3);
    promise(2, "wide", 1, 2); /* is aligned */
    promise(3, "narrow", 2, 2);
    promise(4, "narrow", 2, 1);
    promise(5, "wide", 1, 1);
}

static void who_reaches_a_part_only_comes_before(void **state)
{
    (void)state;
    /* up to a byte before the area's last, and to its last */
    load_with(CAMERA_AREA,
              "wide { memory-region = <&a>; " BLOCKS " = <1>; " SIZE " = <9>; };"
              "soc { " BUS "dma-ranges = <0 0 0x40000000 0x9ffffff>;"
              "  part { memory-region = <&a>; " BLOCKS " = <1 1>; " SIZE " = <1 2>; }; };"
              "bus { " BUS "dma-ranges = <0 0 0x40000000 0xa000000>;"
              "  all { memory-region = <&a>; " BLOCKS " = <1>; " SIZE " = <3>; }; };");
    assert_int_equal(fdt.nguarantees, 4);
    promise(0, "wide", 1, 9);
    promise(1, "all", 1, 3);
    /* (an odd size is taken as one more) */
    expect_problem(0, "soc", "dma-ranges", CMA_PROBLEM_ODD);
    load_with(CAMERA_AREA,
              "wide { memory-region = <&a>; " BLOCKS " = <1>; " SIZE " = <9>; };"
              "soc { " BUS "dma-ranges = <0 0 0x40000000 0x9fffffe>;"
              "  part { memory-region = <&a>; " BLOCKS " = <1 1>; " SIZE " = <1 2>; }; };"
              "bus { " BUS "dma-ranges = <0 0 0x40000000 0xa000000>;"
              "  all { memory-region = <&a>; " BLOCKS " = <1>; " SIZE " = <3>; }; };");
    expect_problems(0);
    promise(0, "part", 1, 2);
    promise(1, "part", 1, 1);
    promise(2, "wide", 1, 9);
    promise(3, "all", 1, 3);
}

static void groups_have_numbers(void **state)
{
    (void)state;
    load_with(CAMERA_AREA, "c1 { memory-region = <&a>; " BLOCKS " = <1>; " SIZE " = <1>;"
                           "  libcma,guarantee-group = \"eyes\"; };"
                           "c2 { memory-region = <&a>; " BLOCKS " = <1 1>; " SIZE " = <2 3>;"
                           "  libcma,guarantee-group = \"ears\", \"eyes\"; };"
                           "c3 { memory-region = <&a>; " BLOCKS " = <1>; " SIZE " = <4>;"
                           "  libcma,guarantee-group = \"ears\"; };"
                           "c4 { memory-region = <&a>; " BLOCKS " = <1>; " SIZE " = <5>; };");
    expect_problems(0);
    assert_int_equal(fdt.ngroups, 2);
    assert_int_equal(promise(0, "c4", 1, 5)->group_number, 0);
    assert_int_equal(promise(1, "c3", 1, 4)->group_number, 1);
    assert_int_equal(promise(2, "c2", 1, 3)->group_number, 2);
    assert_int_equal(promise(3, "c2", 1, 2)->group_number, 1);
    assert_int_equal(promise(4, "c1", 1, 1)->group_number, 2);
}

static void areas_have_classes(void **state)
{
    const struct cma_fdt_region *region = &fdt.regions[0];

    (void)state;
    load("a@48000000 { " AREA "reg = <0 0x48000000 0 0x400000>;"
         "libcma,size-classes = <0x1000 0x100000>, <0x10000 0x300000>; };"
         "b@49000000 { " AREA "reg = <0 0x49000000 0 0x400000>;"
         "libcma,size-classes = <0x2000 0x4000>; };"
         "c@4a000000 { " AREA "reg = <0 0x4a000000 0 0x400000>; };");
    expect_problems(0);
    region = &fdt.regions[0];
    assert_int_equal(region->nclasses, 2);
    assert_int_equal(region->classes[0].request_nbytes, 0x1000);
    assert_int_equal(region->classes[0].nbytes, 0x100000);
    assert_int_equal(region->classes[1].request_nbytes, 0x10000);
    assert_int_equal(region->classes[1].nbytes, 0x300000);
    assert_int_equal(fdt.regions[1].nclasses, 1);
    assert_int_equal(fdt.regions[1].classes[0].request_nbytes, 0x2000);
    assert_int_equal(fdt.regions[2].nclasses, 0);
}

static void devices_need_no_region_to_be_devices(void **state)
{
    (void)state;
    load_with(OTHER_AREA, "cam { libcma,quota = /bits/ 64 <0x100001000>; };"
                          "off { status = \"disabled\"; " SIX "}; plain { };");
    expect_problems(0);
    assert_int_equal(fdt.ndevices, 1);
    assert_int_equal(fdt.devices[0].quota_nbytes, 0x100001000);
    assert_int_equal(fdt.nguarantees, 0);
}

/* ---- what is wrong: named, and nothing made of it ------------------------------------------ */

struct wrong {
    const char *said; /* in the node of a device with an area */
    const char *property;
    enum cma_problem_kind kind;
    uint32_t made;    /* guarantees all the same */
    const char *text; /* a part of what is said about it */
};

static void devices_that_are_wrong(void **state)
{
    static const struct wrong cases[] = {
        {BLOCKS " = <>; " SIZE " = <1>;", BLOCKS, CMA_PROBLEM_LENGTH, 0, "0 bytes"},
        {BLOCKS " = [00 01]; " SIZE " = <1>;", BLOCKS, CMA_PROBLEM_LENGTH, 0, "2 bytes"},
        {BLOCKS " = <1>;", BLOCKS, CMA_PROBLEM_WITHOUT, 0, SIZE},
        {SIZE " = <1>;", SIZE, CMA_PROBLEM_WITHOUT, 0, BLOCKS},
        {"libcma,guarantee-align = <1>;", "libcma,guarantee-align", CMA_PROBLEM_WITHOUT, 0, BLOCKS},
        {"libcma,guarantee-group = \"x\";", "libcma,guarantee-group", CMA_PROBLEM_WITHOUT, 0,
         BLOCKS},
        {"libcma,guarantee-max-moves = <0>;", "libcma,guarantee-max-moves", CMA_PROBLEM_WITHOUT, 0,
         BLOCKS},
        {"libcma,guarantee-boundary = <0>;", "libcma,guarantee-boundary", CMA_PROBLEM_WITHOUT, 0,
         BLOCKS},
        {SIX "libcma,guarantee-alignment = <1>;", "libcma,guarantee-alignment", CMA_PROBLEM_UNKNOWN,
         1, "no such"},
        {"libcma,guarantee-block = <6>; " SIZE " = <1>;", "libcma,guarantee-block",
         CMA_PROBLEM_UNKNOWN, 0, "no such"},
        {"libcma,size-classes = <1 1>;", "libcma,size-classes", CMA_PROBLEM_MISPLACED, 0,
         "nothing here"},
        {BLOCKS " = <1 2 3>; " SIZE " = <1 2>;", SIZE, CMA_PROBLEM_ENTRIES, 0, "its 8 bytes"},
        {BLOCKS " = <1 2 3>; " SIZE " = /bits/ 64 <1>;", SIZE, CMA_PROBLEM_ENTRIES, 0, BLOCKS},
        {SIX "libcma,guarantee-align = <1 2 3>;", "libcma,guarantee-align", CMA_PROBLEM_ENTRIES, 0,
         "its 12 bytes"},
        {SIX "libcma,guarantee-boundary = [00];", "libcma,guarantee-boundary", CMA_PROBLEM_ENTRIES,
         0, "its 1 bytes"},
        {SIX "libcma,guarantee-max-moves = <>;", "libcma,guarantee-max-moves", CMA_PROBLEM_ENTRIES,
         0, "its 0 bytes"},
        {SIX "libcma,guarantee-group = \"a\", \"b\";", "libcma,guarantee-group",
         CMA_PROBLEM_ENTRIES, 0, BLOCKS},
        {SIX "libcma,guarantee-group = [41];", "libcma,guarantee-group", CMA_PROBLEM_ENTRIES, 0,
         BLOCKS},
        {BLOCKS " = <1 0 2>; " SIZE " = <1>;", BLOCKS, CMA_PROBLEM_NOTHING, 2, "nothing"},
        {BLOCKS " = <1 1 1>; " SIZE " = <1 0 1>;", SIZE, CMA_PROBLEM_NOTHING, 2, "nothing"},
        {BLOCKS " = <1 2>; " SIZE " = <1>; libcma,guarantee-align = <0 3>;",
         "libcma,guarantee-align", CMA_PROBLEM_ALIGNMENT, 1, "0x3 is not a power"},
        {BLOCKS " = <1 2>; " SIZE " = <1>; libcma,guarantee-boundary = <0x3000 0>;",
         "libcma,guarantee-boundary", CMA_PROBLEM_ALIGNMENT, 1, "0x3000 is not a power"},
        {BLOCKS " = <1 2>; " SIZE " = <0x2000 0x2001>; libcma,guarantee-boundary = <0x2000>;",
         "libcma,guarantee-boundary", CMA_PROBLEM_BOUNDARY, 1, "size 0x2001 crosses"},
        {BLOCKS " = <1>; " SIZE " = <1>; libcma,guarantee-boundary = <0x800>;",
         "libcma,guarantee-boundary", CMA_PROBLEM_BOUNDARY, 0, "0x800"},
        {BLOCKS " = <1 1>; " SIZE " = <1>; libcma,guarantee-group = \"g\";",
         "libcma,guarantee-group", CMA_PROBLEM_GROUP, 1, "'g' already"},
        {"libcma,quota = <>;", "libcma,quota", CMA_PROBLEM_LENGTH, 0, "0 bytes"},
        {"libcma,quota = <1 2 3>;", "libcma,quota", CMA_PROBLEM_LENGTH, 0, "12 bytes"},
        {"libcma,quota = <0>;", "libcma,quota", CMA_PROBLEM_NOTHING, 0, "nothing"},
        {"libcma,quota = <0x1800>;", "libcma,quota", CMA_PROBLEM_PAGES, 0, "0x1800 is not"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char node[512];

        snprintf(node, sizeof(node), "cam { memory-region = <&a>; %s };", cases[i].said);
        load_with(CAMERA_AREA, node);
        expect_problem(0, "cam", cases[i].property, cases[i].kind);
        if (strncmp(cases[i].said, "libcma,guarantee-block ", 23) != 0) {
            expect_problems(1);
        }
        assert_int_equal(fdt.nguarantees, cases[i].made);
        assert_non_null(strstr(problem_text(0), cases[i].text));
        assert_int_equal(fdt.devices[0].quota_nbytes, 0);
    }
}

static void devices_without_any_area(void **state)
{
    (void)state;
    load_with("p: p { " POOL "size = <0 0x1000>; };", "cam { memory-region = <&p>; " SIX "};");
    expect_problem(0, "cam", BLOCKS, CMA_PROBLEM_NO_AREA);
    expect_problems(1);
    assert_int_equal(fdt.nguarantees, 0);
}

static void regions_that_are_wrong(void **state)
{
    (void)state;
    load_with("a: a@48000000 { " AREA "reg = <0 0x48000000 0 0x2000000>; " SIX "};",
              "c1 { memory-region = <&a>; }; c2 { memory-region = <&a>; };");
    expect_problem(0, "a@48000000", BLOCKS, CMA_PROBLEM_SHARED);
    assert_non_null(strstr(problem_text(0), "2 devices"));
    assert_int_equal(fdt.regions[0].first_device, 0);
    expect_problems(1);
    assert_int_equal(fdt.nguarantees, 0);
    load("a: a@48000000 { " AREA "reg = <0 0x48000000 0 0x2000000>; " SIX "};");
    expect_problem(0, "a@48000000", BLOCKS, CMA_PROBLEM_SHARED);
    load_with("a: a@48000000 { " AREA "reg = <0 0x48000000 0 0x2000000>; " SIX "};",
              "cam { memory-region = <&a>; " BLOCKS " = <1>; " SIZE " = <2>; };");
    expect_problem(0, "a@48000000", BLOCKS, CMA_PROBLEM_TWICE);
    expect_problems(1);
    assert_int_equal(fdt.nguarantees, 1);
    promise(0, "cam", 1, 2);
    /* a pool, all regions, the board: no place for any of this; a refused area had its word */
    load_source("/dts-v1/; / { libcma,quota = <0x1000>; #address-cells = <1>; #size-cells = <1>;"
                "memory { device_type = \"memory\"; reg = <0x40000000 0x1000000>; };"
                "reserved-memory { " BUS BLOCKS " = <1>; p { " POOL "size = <0x1000>; " SIX "};"
                "q { " AREA "no-map; size = <1>; " SIX "}; r { " POOL "size = <0>; " SIX
                "}; off { status = \"disabled\"; " SIX "}; }; };");
    expect_problems(6);
    expect_problem(0, "q", "no-map", CMA_PROBLEM_NO_MAP);
    expect_problem(1, "r", "size", CMA_PROBLEM_ZERO);
    expect_problem(2, "", "libcma,quota", CMA_PROBLEM_MISPLACED);
    expect_problem(3, "reserved-memory", BLOCKS, CMA_PROBLEM_MISPLACED);
    expect_problem(4, "p", BLOCKS, CMA_PROBLEM_MISPLACED);
    expect_problem(5, "p", SIZE, CMA_PROBLEM_MISPLACED);
    assert_int_equal(fdt.ndevices, 0);
    load("a@48000000 { " AREA "reg = <0 0x48000000 0 0x400000>; libcma,quota = <0x1000>; };");
    expect_problem(0, "a@48000000", "libcma,quota", CMA_PROBLEM_MISPLACED);
    assert_int_equal(fdt.nguarantees, 0);
}

static void groups_stay_on_one_area(void **state)
{
    (void)state;
    load_with(CAMERA_AREA OTHER_AREA,
              "c1 { memory-region = <&b>; " BLOCKS " = <1>; " SIZE " = <1>;"
              "  libcma,guarantee-group = \"eyes\"; };"
              "c2 { memory-region = <&a>; " BLOCKS " = <1>; " SIZE " = <2>;"
              "  libcma,guarantee-group = \"eyes\"; };"
              "c3 { " BLOCKS " = <1>; " SIZE " = <3>; libcma,guarantee-group = \"eyes\"; };");
    expect_problem(0, "c2", "libcma,guarantee-group", CMA_PROBLEM_APART);
    expect_problems(1);
    assert_int_equal(fdt.nguarantees, 2);
    promise(0, "c3", 1, 3);
    promise(1, "c1", 1, 1);
}

static void classes_that_are_wrong(void **state)
{
    static const struct {
        const char *classes;
        enum cma_problem_kind kind;
        const char *text;
    } cases[] = {
        {"<>", CMA_PROBLEM_LENGTH, "0 bytes"},
        {"<0x1000>", CMA_PROBLEM_LENGTH, "4 bytes"},
        {"<0x1000 0x10000 0x2000>", CMA_PROBLEM_LENGTH, "12 bytes"},
        {"<0x800 0x10000>", CMA_PROBLEM_PAGES, "0x800 is not"},
        {"<0x1000 0x10800>", CMA_PROBLEM_PAGES, "0x10800 is not"},
        {"<0 0x1000>", CMA_PROBLEM_CLASS, "ascend"},
        {"<0x1000 0>", CMA_PROBLEM_CLASS, "0x1000 in a part of 0x0"},
        {"<0x2000 0x1000>", CMA_PROBLEM_CLASS, "0x2000 in a part of 0x1000"},
        {"<0x2000 0x2000>, <0x2000 0x2000>", CMA_PROBLEM_CLASS, "ascend"},
        {"<0x2000 0x2000>, <0x1000 0x2000>", CMA_PROBLEM_CLASS, "ascend"},
        {"<0x1000 0x401000>", CMA_PROBLEM_TOO_LARGE, "0x401000 bytes"},
        {"<0x1000 0x200000>, <0x2000 0x201000>", CMA_PROBLEM_TOO_LARGE, "0x200000"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char node[512];

        snprintf(node, sizeof(node),
                 "a@48000000 { " AREA "reg = <0 0x48000000 0 0x400000>;"
                 "libcma,size-classes = %s; };"
                 "b@49000000 { " AREA "reg = <0 0x49000000 0 0x400000>;"
                 "libcma,size-classes = <0x3000 0x3000>; };",
                 cases[i].classes);
        load(node);
        expect_problem(0, "a@48000000", "libcma,size-classes", cases[i].kind);
        expect_problems(1);
        assert_non_null(strstr(problem_text(0), cases[i].text));
        assert_int_equal(fdt.regions[0].nclasses, 0);
        assert_null(fdt.regions[0].classes);
        assert_int_equal(fdt.regions[1].nclasses, 1);
        assert_int_equal(fdt.regions[1].classes[0].nbytes, 0x3000);
    }
}

/* ---- a lot of it --------------------------------------------------------------------------- */

static void everything_has_room(void **state)
{
    static char source[65536];
    size_t length = 0;

    (void)state;
    /* each number wrong, each property wrong; nothing is lost, which the loader checks */
    for (int i = 0; i < 100; i++) {
        length += (size_t)sprintf(source + length,
                                  "d%d { " BLOCKS " = <0 1 0 1 2>; " SIZE " = <1 0 1 0 1>;"
                                  "libcma,guarantee-group = \"g\"; libcma,quota = <1>;"
                                  "libcma,x%d; libcma,y; libcma,size-classes = <1>; };",
                                  i, i);
    }
    load_with(OTHER_AREA, source);
    expect_problems(100 * (3 + 1 + 4));
    assert_int_equal(fdt.nguarantees, 100);
    assert_int_equal(fdt.ngroups, 1);
    for (uint32_t i = 0; i < 100; i++) {
        assert_int_equal(fdt.guarantees[i].device, i);
    }
}

static void any_order_is_sorted(void **state)
{
    static char source[65536];
    size_t length = 0;
    uint32_t random = 1;

    (void)state;
    for (int i = 0; i < 300; i++) {
        random = random * 1103515245 + 12345;
        length += (size_t)sprintf(source + length,
                                  "d%d { " BLOCKS " = <1>; " SIZE " = <%u>;"
                                  "libcma,guarantee-group = \"g%u\"; };",
                                  i, 1 + (random >> 16) % 40, (random >> 8) % 7);
    }
    load_with(OTHER_AREA, source);
    expect_problems(0);
    assert_int_equal(fdt.nguarantees, 300);
    assert_int_equal(fdt.ngroups, 7);
    for (uint32_t i = 0; i < 300; i++) {
        const struct cma_fdt_guarantee *guarantee = &fdt.guarantees[i];

        assert_int_equal(guarantee->group_number, (uint32_t)(guarantee->group[1] - '0') + 1);
        if (i > 0) {
            assert_true(guarantee[-1].nbytes > guarantee->nbytes ||
                        (guarantee[-1].nbytes == guarantee->nbytes &&
                         guarantee[-1].device < guarantee->device));
        }
    }
}

#define T(f) cmocka_unit_test_teardown(f, fdt_board_forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(six_blocks_of_three_megabytes),
        T(all_there_is_to_say),
        T(several_kinds_may_say_one_thing_once),
        T(a_device_without_a_region_has_the_default_area),
        T(a_region_speaks_for_its_only_device),
        T(large_blocks_come_first),
        T(who_reaches_a_part_only_comes_before),
        T(groups_have_numbers),
        T(areas_have_classes),
        T(devices_need_no_region_to_be_devices),
        T(devices_that_are_wrong),
        T(devices_without_any_area),
        T(regions_that_are_wrong),
        T(groups_stay_on_one_area),
        T(classes_that_are_wrong),
        T(everything_has_room),
        T(any_order_is_sorted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
