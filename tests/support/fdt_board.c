/* SPDX-License-Identifier: BSD-2-Clause */
/* fdt_board.c - see fdt_board.h */
#include "fdt_board.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "dts.h"

/* How the next board is read; boards set it back. */
enum cma_arch arch = CMA_ARCH_ARM64;
const char *cmdline = "";
uint64_t builtin;

/* The board of the test that runs. */
void *dtb;
static void *storage;
struct cma_fdt fdt;
struct cma_map map;
struct cma_boot_rules rules;
struct cma_range ranges[2][MAX_RANGES];

int fdt_board_forget(void **state)
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

void load_source(const char *source)
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
    assert_true(fdt.max_ranges <= MAX_RANGES);
    assert_int_equal(cma_map_init(&map, ranges[0], fdt.max_ranges, ranges[1], fdt.max_ranges), 0);
    assert_int_equal(cma_fdt_memory(&fdt, &rules, &map), 0);
    assert_int_equal(cma_fdt_reserve(&fdt, &rules, &args, builtin, &map), 0);
    cma_fdt_devices(&fdt, &rules);
    cma_fdt_guarantees(&fdt, &rules);
    assert_true(cma_map_check(&map));
    assert_int_equal(fdt.problems.lost, 0);
    for (uint32_t i = 0; i < fdt.nregions; i++) {
        assert_int_equal(fdt.regions[i].flags &
                             ~(CMA_RANGE_DEFAULT | CMA_RANGE_DYNAMIC | CMA_RANGE_UNMAPPED),
                         0);
    }
}

/* A board with these regions, and more in the root node. */
void load_with(const char *regions, const char *more)
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

void load(const char *regions)
{
    load_with(regions, "");
}

const char *name_of(uint32_t node)
{
    return node == CMA_NODE_NONE ? "" : fdt_get_name(dtb, (int)node, NULL);
}

/* Range `index` of the map, in address order. */
void expect_range(uint32_t index, const char *name, enum cma_range_kind kind, uint64_t base,
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

void expect_ranges(uint32_t count)
{
    assert_int_equal(map.nreserved, count);
}

/* Problem `index`, in the order in which they were found. */
void expect_problem(uint32_t index, const char *name, const char *property,
                    enum cma_problem_kind kind)
{
    const struct cma_problem *problem = &fdt.problems.list[index];

    assert_in_range(index, 0, fdt.problems.count - 1);
    assert_string_equal(name_of(problem->node), name);
    assert_string_equal(problem->property, property);
    assert_int_equal(problem->kind, kind);
}

void expect_problems(uint32_t count)
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
void expect_refused(const char *name, const char *property, enum cma_problem_kind kind)
{
    expect_problem(0, name, property, kind);
    expect_problems(1);
    expect_ranges(0);
    assert_int_equal(cma_map_free_nbytes(&map), GIB);
    assert_int_equal(fdt.regions[0].state, CMA_FDT_REFUSED);
}
