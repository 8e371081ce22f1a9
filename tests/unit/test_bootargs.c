/* SPDX-License-Identifier: BSD-2-Clause */
/* test_bootargs.c - cma= on the command line, rules of architectures, the default area, texts */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cma/boot.h>

#define MIB (1ull << 20)
#define GIB (1ull << 30)
#define RAM 0x40000000ull

static struct cma_boot_args parsed(const char *text)
{
    struct cma_boot_args args;

    assert_int_equal(cma_boot_args_parse(&args, text, NULL), 0);
    return args;
}

static void numbers(void **state)
{
    static const struct {
        const char *text;
        uint64_t value;
        size_t at;
        int error;
    } cases[] = {
        {"0", 0, 1, 0},
        {"64M", 64 * MIB, 3, 0},
        {"0x40000000-", RAM, 10, 0},
        {"0X1fK", 31 * 1024, 5, 0},
        {"010", 8, 3, 0},
        {"1g", GIB, 2, 0},
        {"2T", 2048 * GIB, 2, 0},
        {"1P", 1ull << 50, 2, 0},
        {"15E", 15ull << 60, 3, 0},
        {"18446744073709551615", UINT64_MAX, 20, 0},
        {"18446744073709551616", 0, 0, CMA_EOVERFLOW},
        {"16E", 0, 0, CMA_EOVERFLOW},
        {"", 0, 0, CMA_EINVAL},
        {"M", 0, 0, CMA_EINVAL},
        {"-1", 0, 0, CMA_EINVAL},
        {"0x", 0, 2, CMA_EINVAL},
        {"08", 0, 1, 0}, /* the 8 is left over, and whoever asked sees that */
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint64_t value = 12345;
        size_t at = 0;

        assert_int_equal(cma_boot_number(cases[i].text, &at, &value), cases[i].error);
        assert_int_equal(at, cases[i].at);
        assert_true(value == (cases[i].error ? 12345 : cases[i].value));
    }
}

static void forms(void **state)
{
    struct cma_boot_args args;

    (void)state;
    assert_false(parsed(NULL).cma_given);
    assert_false(parsed("").cma_given);
    assert_false(parsed("console=ttyS0 nocma=64M cma_debug hugetlb_cma=1G").cma_given);
    args = parsed("console=ttyS0 cma=64M quiet");
    assert_true(args.cma_given);
    assert_int_equal(args.cma_nbytes, 64 * MIB);
    assert_int_equal(args.cma_base, 0);
    assert_int_equal(args.cma_limit, 0);
    args = parsed("cma=0");
    assert_true(args.cma_given);
    assert_int_equal(args.cma_nbytes, 0);
    args = parsed("cma=16M@0x48000000");
    assert_int_equal(args.cma_base, 0x48000000);
    assert_int_equal(args.cma_limit, 0x49000000);
    args = parsed("\tcma=16M@1G-0x60000000\n");
    assert_int_equal(args.cma_base, GIB);
    assert_int_equal(args.cma_limit, 0x60000000);
    args = parsed("cma=16M@0-1G");
    assert_int_equal(args.cma_base, 0);
    assert_int_equal(args.cma_limit, GIB);
}

static void the_last_wins(void **state)
{
    struct cma_boot_args args = parsed("cma=64M@0x48000000 x cma=32M");

    (void)state;
    assert_int_equal(args.cma_nbytes, 32 * MIB);
    assert_int_equal(args.cma_base, 0);
    assert_int_equal(args.cma_limit, 0);
}

static void words_are_linuxs(void **state)
{
    (void)state;
    assert_false(parsed("init=\"/bin/x cma=64M\"").cma_given);
    assert_int_equal(parsed("\"cma=64M\" x").cma_nbytes, 64 * MIB);
    assert_false(parsed("quiet -- cma=64M").cma_given);
    assert_true(parsed("quiet --x cma=64M").cma_given);
}

static void mistakes_are_placed(void **state)
{
    static const struct {
        const char *text;
        int error;
        size_t where;
    } cases[] = {
        {"cma=", CMA_EINVAL, 4},
        {"a cma=foo", CMA_EINVAL, 6},
        {"cma=64Q", CMA_EINVAL, 6},
        {"cma=64M@", CMA_EINVAL, 8},
        {"cma=64M@x", CMA_EINVAL, 8},
        {"cma=64M@1G-", CMA_EINVAL, 11},
        {"cma=64M@1G-2Gx", CMA_EINVAL, 13},
        {"cma=64M@1G+", CMA_EINVAL, 10},
        {"cma=08", CMA_EINVAL, 5},
        {"cma=99999999999999999999", CMA_EOVERFLOW, 4},
        {"cma=2@0xffffffffffffffff", CMA_EOVERFLOW, 24},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cma_boot_args args = {true, 1, 2, 3};
        size_t where = 0;

        assert_int_equal(cma_boot_args_parse(&args, cases[i].text, &where), cases[i].error);
        assert_int_equal(where, cases[i].where);
        assert_int_equal(args.cma_limit, 3); /* untouched */
    }
}

static void rules_of_architectures(void **state)
{
    struct cma_boot_rules rules;

    (void)state;
    assert_int_equal(cma_boot_rules_init(&rules, CMA_ARCH_UNKNOWN, 12), CMA_EINVAL);
    assert_int_equal(cma_boot_rules_init(&rules, CMA_ARCH_ARM, 11), CMA_EINVAL);
    assert_int_equal(cma_boot_rules_init(&rules, CMA_ARCH_ARM, 17), CMA_EINVAL);
    assert_int_equal(cma_boot_rules_init(&rules, CMA_ARCH_ARM, 12), 0);
    assert_int_equal(rules.granule_nbytes, 4 * MIB);
    assert_true(rules.pool_needs_no_map);
    assert_false(rules.coherent);
    assert_true(rules.zone_last[1] == CMA_PADDR_MAX);
    assert_int_equal(cma_boot_rules_init(&rules, CMA_ARCH_ARM64, 12), 0);
    assert_int_equal(rules.granule_nbytes, 2 * MIB);
    assert_false(rules.pool_needs_no_map);
    assert_false(rules.coherent);
    assert_int_equal(rules.zone_last[1], 0xffffffff);
    assert_int_equal(cma_boot_rules_init(&rules, CMA_ARCH_ARM64, 14), 0);
    assert_int_equal(rules.granule_nbytes, 32 * MIB);
    assert_int_equal(cma_boot_rules_init(&rules, CMA_ARCH_ARM64, 16), 0);
    assert_int_equal(rules.granule_nbytes, 512 * MIB);
    assert_int_equal(cma_boot_rules_init(&rules, CMA_ARCH_RISCV64, 12), 0);
    assert_int_equal(rules.granule_nbytes, 2 * MIB);
    assert_true(rules.coherent);
    assert_string_equal(cma_arch_name(CMA_ARCH_RISCV64), "riscv64");
    assert_string_equal(cma_arch_name((enum cma_arch)9), "unknown");
}

/* ---- the default area: 1 GiB of RAM at 1 GiB, its last 4 KiB reserved ---- */

static struct cma_range memory[4], reserved[8];
static struct cma_problem list[4];
static struct cma_problems problems;
static struct cma_boot_rules rules;
static struct cma_map map;

static struct cma_boot_default placed(const char *cmdline, uint64_t builtin, uint64_t dma_last)
{
    struct cma_range top = {RAM + GIB - 4096, 4096, CMA_RANGE_RESERVED, 0, "top", 1};
    struct cma_boot_args args = parsed(cmdline);
    struct cma_boot_default area;

    problems = (struct cma_problems){list, 0, 4, 0};
    assert_int_equal(cma_boot_rules_init(&rules, CMA_ARCH_ARM64, 12), 0);
    rules.dma_last = dma_last;
    assert_int_equal(cma_map_init(&map, memory, 4, reserved, 8), 0);
    assert_int_equal(cma_map_add_memory(&map, RAM, GIB, NULL), 0);
    assert_int_equal(cma_map_reserve(&map, &top, NULL), 0);
    assert_int_equal(cma_boot_default_area(&map, &rules, &args, builtin, &problems, &area), 0);
    assert_true(cma_map_check(&map));
    assert_int_equal(map.nreserved, area.made ? 2 : 1);
    return area;
}

static void expect_at(const char *cmdline, uint64_t base, uint64_t nbytes, bool fixed)
{
    struct cma_boot_default area = placed(cmdline, 16 * MIB, 0xffffffff);

    assert_true(area.made);
    assert_int_equal(area.base, base);
    assert_int_equal(area.nbytes, nbytes);
    assert_int_equal(area.fixed, fixed);
    assert_int_equal(problems.count, 0);
    assert_int_equal(reserved[0].base, base);
    assert_int_equal(reserved[0].kind, CMA_RANGE_AREA);
    assert_int_equal(reserved[0].flags,
                     CMA_RANGE_DEFAULT | (fixed ? 0u : (unsigned int)CMA_RANGE_DYNAMIC));
    assert_int_equal(reserved[0].id, CMA_NODE_NONE);
}

static void expect_none(const char *cmdline, uint64_t dma_last, enum cma_problem_kind kind)
{
    struct cma_boot_default area = placed(cmdline, 16 * MIB, dma_last);

    assert_false(area.made);
    assert_int_equal(problems.count, 1);
    assert_int_equal(list[0].kind, kind);
    assert_int_equal(list[0].node, CMA_NODE_NONE);
    assert_string_equal(list[0].property, "cma");
}

static void default_is_built_in(void **state)
{
    struct cma_boot_default area = placed("", 16 * MIB, 0xffffffff);

    (void)state;
    assert_true(area.made);
    assert_int_equal(area.base, 0x7ee00000); /* below the reserved page, on the granule */
    assert_string_equal(reserved[0].name, "builtin-cma");
    area = placed("", 16 * MIB, 0x5fffffff);
    assert_int_equal(area.base, 0x5f000000);
    area = placed("", 0, 0xffffffff);
    assert_false(area.made);
    assert_int_equal(problems.count, 0);
    area = placed("", 2 * GIB, 0xffffffff);
    assert_false(area.made);
    assert_string_equal(list[0].property, "builtin-cma");
}

static void default_is_asked_for(void **state)
{
    (void)state;
    assert_false(placed("cma=0", 16 * MIB, 0xffffffff).made);
    assert_int_equal(problems.count, 0);
    expect_at("cma=64M", 0x7be00000, 64 * MIB, false);
    expect_at("cma=63M", 0x7be00000, 64 * MIB, false);
    expect_at("cma=1", 0x7fc00000, 2 * MIB, false);
    expect_at("cma=64M@0x48000000", 0x48000000, 64 * MIB, true);
    expect_at("cma=64M@0x48000000-0x50000000", 0x4c000000, 64 * MIB, false);
    expect_at("cma=64M@0x48000000-0x4c000000", 0x48000000, 64 * MIB, true);
    expect_at("cma=64M@0-0x50000000", 0x4c000000, 64 * MIB, false);
    expect_at("cma=64M@0x48000001-0x50000000", 0x4c000000, 64 * MIB, false);
    expect_at("cma=64M@0x48000000-8G", 0x7be00000, 64 * MIB, false);
}

static void default_can_not_be_had(void **state)
{
    (void)state;
    expect_none("cma=2G", 0xffffffff, CMA_PROBLEM_NO_ROOM);
    expect_none("cma=3G", 0xffffffff, CMA_PROBLEM_LIMIT);
    expect_none("cma=1G", 0xffffffff, CMA_PROBLEM_NO_ROOM);
    expect_none("cma=64M@0x48000800", 0xffffffff, CMA_PROBLEM_GRANULE);
    expect_none("cma=63M@0x48000000", 0xffffffff, CMA_PROBLEM_LIMIT);
    expect_none("cma=64M@0x80000000", 0xffffffff, CMA_PROBLEM_OUTSIDE);
    expect_none("cma=64M@0x7e000000", 0xffffffff, CMA_PROBLEM_OUTSIDE);
    expect_none("cma=64M@0x10000000", 0xffffffff, CMA_PROBLEM_OUTSIDE);
    expect_none("cma=64M@0x10000000-0x18000000", 0xffffffff, CMA_PROBLEM_NO_ROOM);
    expect_none("cma=2M@0x7fe00000", 0xffffffff, CMA_PROBLEM_OVERLAP);
    expect_none("cma=64M@0x60000000", 0x5fffffff, CMA_PROBLEM_REACH);
    expect_none("cma=64M@0x5e000000-0x70000000", 0x5fffffff, CMA_PROBLEM_REACH);
    expect_none("cma=64M@0x48000000-0x49000000", 0xffffffff, CMA_PROBLEM_LIMIT);
    expect_none("cma=64M@0-1M", 0xffffffff, CMA_PROBLEM_LIMIT);
    expect_none("cma=14E@1E", 0xffffffff, CMA_PROBLEM_OUTSIDE);
    expect_none("cma=0xffffffffffffffff", 0xffffffff, CMA_PROBLEM_OVERFLOW);
}

static void limits_that_leave_nothing_do_not_count(void **state)
{
    struct cma_boot_default area = placed("cma=64M", 0, 0x3fffffff);

    (void)state;
    assert_true(area.made);
    assert_int_equal(area.base, 0x7be00000);
}

static void high_memory_is_filled_from_below(void **state)
{
    struct cma_boot_args args = parsed("cma=64M");
    struct cma_boot_default area;

    (void)state;
    assert_int_equal(cma_boot_rules_init(&rules, CMA_ARCH_ARM64, 12), 0);
    assert_int_equal(cma_map_init(&map, memory, 4, reserved, 8), 0);
    assert_int_equal(cma_map_add_memory(&map, 32 * GIB, GIB, NULL), 0);
    assert_int_equal(cma_boot_default_area(&map, &rules, &args, 0, NULL, &area), 0);
    assert_true(area.made);
    assert_true(area.base == 32 * GIB);
}

static void page_0_is_not_handed_out(void **state)
{
    struct cma_boot_args args = parsed("cma=4K");
    struct cma_boot_default area;

    (void)state;
    assert_int_equal(cma_boot_rules_init(&rules, CMA_ARCH_ARM64, 12), 0);
    rules.granule_nbytes = 4096;
    problems = (struct cma_problems){list, 0, 0, 0}; /* no room: counted */
    assert_int_equal(cma_map_init(&map, memory, 4, reserved, 8), 0);
    assert_int_equal(cma_map_add_memory(&map, 0, 4096, NULL), 0);
    assert_int_equal(cma_boot_default_area(&map, &rules, &args, 0, &problems, &area), 0);
    assert_false(area.made);
    assert_int_equal(problems.lost, 1);
}

static void a_full_map_is_an_error(void **state)
{
    struct cma_boot_args args = parsed("cma=64M");
    struct cma_boot_default area;

    (void)state;
    placed("cma=64M", 0, 0xffffffff);
    map.max_reserved = map.nreserved;
    assert_int_equal(cma_boot_default_area(&map, &rules, &args, 0, NULL, &area), CMA_ENOMEM);
    assert_false(area.made);
}

static void every_problem_has_a_text(void **state)
{
    (void)state;
    for (int kind = 0; kind < CMA_PROBLEM_COUNT; kind++) {
        struct cma_problem problem = {0};
        char text[256], cut[8];
        size_t length;

        problem.kind = (enum cma_problem_kind)kind;
        problem.other = "other";
        problem.base = UINT64_MAX - 0xfff;
        problem.nbytes = 0x1000;
        problem.value = UINT64_MAX;
        length = cma_problem_text(&problem, text, sizeof(text));
        assert_true(length > 0 && length < sizeof(text));
        assert_int_equal(strlen(text), length);
        assert_null(strchr(text, '%'));
        assert_string_not_equal(text, "unknown problem");
        assert_int_equal(cma_problem_text(&problem, NULL, 0), length);
        assert_int_equal(cma_problem_text(&problem, cut, sizeof(cut)), length);
        assert_memory_equal(cut, text, length < 7 ? length : 7);
        assert_int_equal(cut[length < 7 ? length : 7], 0);
    }
}

static void texts_have_the_numbers(void **state)
{
    struct cma_problem problem = {3, CMA_PROBLEM_OVERLAP, "reg", "camera@0", 0x1000, 0x800, 0};
    char text[256];

    (void)state;
    cma_problem_text(&problem, text, sizeof(text));
    assert_string_equal(text,
                        "0x1000 to 0x17ff overlaps 'camera@0', which has that memory already");
    problem.kind = CMA_PROBLEM_LENGTH;
    problem.value = 12;
    cma_problem_text(&problem, text, sizeof(text));
    assert_string_equal(text, "its length of 12 bytes is not a whole number of entries");
    problem.kind = (enum cma_problem_kind)1000;
    cma_problem_text(&problem, text, sizeof(text));
    assert_string_equal(text, "unknown problem");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(forms),
        cmocka_unit_test(the_last_wins),
        cmocka_unit_test(words_are_linuxs),
        cmocka_unit_test(mistakes_are_placed),
        cmocka_unit_test(rules_of_architectures),
        cmocka_unit_test(default_is_built_in),
        cmocka_unit_test(default_is_asked_for),
        cmocka_unit_test(default_can_not_be_had),
        cmocka_unit_test(limits_that_leave_nothing_do_not_count),
        cmocka_unit_test(high_memory_is_filled_from_below),
        cmocka_unit_test(page_0_is_not_handed_out),
        cmocka_unit_test(a_full_map_is_an_error),
        cmocka_unit_test(every_problem_has_a_text),
        cmocka_unit_test(texts_have_the_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
