/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_fdt_broken.c - trees that are damaged, hostile or huge: each is refused with its place, or
 * read into a map that keeps its promises. The asan build of this program sees each step too far.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <libfdt.h>

#include <cma/fdt.h>

#include "../support/dts.h"

static char *seed;
static size_t seed_nbytes;

/* Reads the whole tree as the tool does. Returns the code of the check. */
static int read_all(const void *dtb, size_t nbytes, struct cma_fdt_error *error)
{
    struct cma_boot_args args = {0};
    struct cma_boot_rules rules;
    struct cma_range *ranges;
    struct cma_map map;
    struct cma_fdt fdt;
    uint64_t need = 0;
    void *storage;
    int code = cma_fdt_size(dtb, nbytes, &need, error);

    if (code) {
        assert_int_equal(cma_fdt_init(&fdt, dtb, nbytes, NULL, 0), code);
        return code;
    }
    storage = malloc(need);
    assert_non_null(storage);
    assert_int_equal(cma_fdt_init(&fdt, dtb, nbytes, storage, need), 0);
    assert_int_equal(cma_boot_rules_init(&rules, CMA_ARCH_ARM64, 12), 0);
    cma_fdt_limits(&fdt, &rules);
    ranges = malloc(2 * (size_t)fdt.max_ranges * sizeof(*ranges));
    assert_non_null(ranges);
    assert_int_equal(
        cma_map_init(&map, ranges, fdt.max_ranges, ranges + fdt.max_ranges, fdt.max_ranges), 0);
    assert_int_equal(cma_fdt_memory(&fdt, &rules, &map), 0);
    assert_int_equal(cma_fdt_reserve(&fdt, &rules, &args, 1 << 24, &map), 0);
    cma_fdt_devices(&fdt, &rules);
    cma_fdt_guarantees(&fdt, &rules);
    assert_true(cma_map_check(&map));
    assert_int_equal(fdt.problems.lost, 0);
    for (uint32_t i = 0; i < map.nreserved; i++) {
        const struct cma_range *range = cma_map_reserved(&map, i);

        assert_true(strlen(range->name) < seed_nbytes);
        if (range->kind == CMA_RANGE_AREA) {
            assert_true(((range->base | range->nbytes) & (rules.granule_nbytes - 1)) == 0);
        }
    }
    for (uint32_t i = 0; i < fdt.problems.count; i++) {
        char text[400];

        assert_true(cma_problem_text(&fdt.problems.list[i], text, sizeof(text)) > 0);
        assert_non_null(fdt.problems.list[i].property);
    }
    for (uint32_t i = 0; i < fdt.nguarantees; i++) {
        const struct cma_fdt_guarantee *guarantee = &fdt.guarantees[i];

        assert_true(guarantee->device < fdt.ndevices && guarantee->region <= fdt.nregions);
        assert_true(guarantee->count > 0 && guarantee->nbytes > 0);
        assert_true(guarantee->group_number <= fdt.ngroups);
        assert_int_equal(guarantee->group != NULL, guarantee->group_number != 0);
    }
    for (uint32_t i = 0; i < fdt.nregions; i++) {
        assert_true(fdt.regions[i].nclasses == 0 ||
                    fdt.regions[i].classes[0].nbytes <= fdt.regions[i].nbytes);
    }
    for (uint32_t i = 0; i < fdt.ndevices; i++) {
        const struct cma_fdt_device *device = &fdt.devices[i];

        for (uint32_t k = 0; k < device->nwindows; k++) {
            assert_true(device->windows[k].paddr + (device->windows[k].nbytes - 1) <=
                        device->dma_last);
        }
        for (uint32_t k = 0; k < device->nregions; k++) {
            assert_non_null(fdt_get_name(dtb, (int)device->regions[k], NULL));
        }
    }
    free(ranges);
    free(storage);
    return 0;
}

/* The same with a copy of exactly that many bytes. */
static int read_copy(const char *dtb, size_t nbytes, struct cma_fdt_error *error)
{
    char *copy = malloc(nbytes ? nbytes : 1);
    int code;

    memcpy(copy, dtb, nbytes);
    code = read_all(copy, nbytes, error);
    free(copy);
    return code;
}

static void the_seed_is_good(void **state)
{
    struct cma_fdt_error error;

    (void)state;
    assert_int_equal(read_copy(seed, seed_nbytes, &error), 0);
}

static void every_truncation_is_refused(void **state)
{
    (void)state;
    for (size_t nbytes = 0; nbytes < seed_nbytes; nbytes++) {
        struct cma_fdt_error error = {0};

        assert_int_equal(read_copy(seed, nbytes, &error), CMA_EOVERFLOW);
        assert_int_equal(error.at, nbytes);
        assert_non_null(error.what);
        assert_int_equal(error.node, CMA_NODE_NONE);
    }
}

/* A header that says what was cut off was never there. */
static void every_truncation_with_a_matching_header(void **state)
{
    (void)state;
    for (size_t nbytes = sizeof(struct fdt_header); nbytes < seed_nbytes; nbytes++) {
        struct cma_fdt_error error = {0};
        char *copy = malloc(nbytes);
        int code;

        memcpy(copy, seed, nbytes);
        fdt_set_totalsize(copy, (uint32_t)nbytes);
        code = read_all(copy, nbytes, &error);
        assert_true(code == CMA_EINVAL || code == CMA_EOVERFLOW);
        assert_non_null(error.what);
        free(copy);
    }
}

static void every_change_of_one_byte(void **state)
{
    char *copy = malloc(seed_nbytes);
    unsigned int refused = 0, read = 0;

    (void)state;
    memcpy(copy, seed, seed_nbytes);
    for (size_t i = 0; i < seed_nbytes; i++) {
        for (unsigned int value = 1; value < 256; value++) {
            struct cma_fdt_error error = {0};

            copy[i] = (char)((unsigned char)seed[i] ^ value);
            if (read_all(copy, seed_nbytes, &error) == 0) {
                read++;
            } else {
                refused++;
                assert_non_null(error.what);
                assert_true(error.at <= seed_nbytes);
            }
        }
        copy[i] = seed[i];
    }
    assert_true(refused > 1000);
    assert_true(read > 1000);
    free(copy);
}

static void headers_are_named(void **state)
{
    static const struct {
        unsigned int at; /* byte of the header that is changed */
        uint32_t value;
        int code;
        const char *what;
    } cases[] = {
        {0, 0xd00dfeee, CMA_EINVAL, "magic"},
        {4, 0x10, CMA_EINVAL, "size"},
        {4, 0x7fffffff, CMA_EOVERFLOW, "ends before"},
        {8, 0x7ffffff0, CMA_EINVAL, "size"},
        {12, 0x7ffffff0, CMA_EINVAL, "size"},
        {16, 0x7ffffff0, CMA_EINVAL, "size"},
        {20, 1, CMA_EINVAL, "version"},
        {24, 18, CMA_EINVAL, "version"},
        {36, 0x7ffffff0, CMA_EINVAL, "size"},
    };
    struct cma_fdt_error error;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *copy = malloc(seed_nbytes);

        memcpy(copy, seed, seed_nbytes);
        fdt32_st(copy + cases[i].at, cases[i].value);
        assert_int_equal(read_all(copy, seed_nbytes, &error), cases[i].code);
        assert_non_null(strstr(error.what, cases[i].what));
        free(copy);
    }
    assert_int_equal(cma_fdt_size(seed + 1, seed_nbytes - 1, &(uint64_t){0}, &error), CMA_EINVAL);
    assert_non_null(strstr(error.what, "multiple of 8"));
    assert_int_equal(cma_fdt_size(seed + 1, seed_nbytes - 1, &(uint64_t){0}, NULL), CMA_EINVAL);
}

static void damage_is_placed_in_its_node(void **state)
{
    struct cma_fdt_error error = {0};
    char *copy = malloc(seed_nbytes);
    char path[64];
    int node, property;

    (void)state;
    memcpy(copy, seed, seed_nbytes);
    node = fdt_path_offset(copy, "/reserved-memory/b");
    property = fdt_first_property_offset(copy, node);
    fdt32_st(copy + fdt_off_dt_struct(copy) + property + 4, 0x1000000); /* its length */
    assert_int_equal(read_all(copy, seed_nbytes, &error), CMA_EINVAL);
    assert_int_equal(error.node, node);
    assert_int_equal(error.at, fdt_off_dt_struct(copy) + (unsigned int)property);
    assert_int_equal(fdt_get_path(copy, (int)error.node, path, sizeof(path)), 0);
    assert_string_equal(path, "/reserved-memory/b");
    memcpy(copy, seed, seed_nbytes);
    fdt32_st(copy + fdt_off_dt_struct(copy) + property + 8, 0x1000000); /* its name */
    assert_int_equal(read_all(copy, seed_nbytes, &error), CMA_EINVAL);
    assert_int_equal(error.node, node);
    free(copy);
}

/* Structures that only a hand can make. */
static int read_words(const uint32_t *words, size_t count, struct cma_fdt_error *error)
{
    char *blob = calloc(1, 4096);
    size_t nbytes = 56 + count * 4;
    int code;

    fdt_set_magic(blob, FDT_MAGIC);
    fdt_set_totalsize(blob, (uint32_t)nbytes);
    fdt_set_off_mem_rsvmap(blob, 40);
    fdt_set_off_dt_struct(blob, 56);
    fdt_set_size_dt_struct(blob, (uint32_t)count * 4);
    fdt_set_off_dt_strings(blob, (uint32_t)nbytes);
    fdt_set_version(blob, 17);
    fdt_set_last_comp_version(blob, 16);
    for (size_t i = 0; i < count; i++) {
        fdt32_st(blob + 56 + i * 4, words[i]);
    }
    code = read_copy(blob, nbytes, error);
    free(blob);
    return code;
}

#define READ(...)                               \
    read_words((const uint32_t[]){__VA_ARGS__}, \
               sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), &error)

static void one_root_and_nothing_else(void **state)
{
    struct cma_fdt_error error;

    (void)state;
    assert_int_equal(READ(FDT_BEGIN_NODE, 0, FDT_END_NODE, FDT_END), 0);
    assert_int_equal(READ(FDT_BEGIN_NODE, 0, FDT_NOP, FDT_END_NODE, FDT_END), 0);
    assert_int_equal(READ(FDT_END), CMA_EINVAL);
    assert_int_equal(READ(FDT_NOP, FDT_BEGIN_NODE, 0, FDT_END_NODE, FDT_END), CMA_EINVAL);
    assert_int_equal(
        READ(FDT_BEGIN_NODE, 0, FDT_END_NODE, FDT_BEGIN_NODE, 0, FDT_END_NODE, FDT_END),
        CMA_EINVAL);
    assert_non_null(strstr(error.what, "one root"));
    assert_int_equal(READ(FDT_BEGIN_NODE, 0, FDT_END_NODE, FDT_END_NODE, FDT_END), CMA_EINVAL);
    assert_int_equal(READ(FDT_BEGIN_NODE, 0, FDT_END), CMA_EINVAL);
    assert_int_equal(READ(FDT_BEGIN_NODE, 0, FDT_END_NODE), CMA_EINVAL);
    assert_int_equal(READ(FDT_BEGIN_NODE, 0, 77, FDT_END_NODE, FDT_END), CMA_EINVAL);
    assert_int_equal(error.node, 0);
    assert_int_equal(error.at, 56 + 8);
}

static void reservations_that_never_end(void **state)
{
    struct cma_fdt_error error;
    char *copy = malloc(seed_nbytes);

    (void)state;
    memcpy(copy, seed, seed_nbytes);
    memset(copy + fdt_off_mem_rsvmap(copy), 0x11, seed_nbytes - fdt_off_mem_rsvmap(copy));
    assert_int_equal(read_all(copy, seed_nbytes, &error), CMA_EINVAL);
    assert_non_null(strstr(error.what, "reservation"));
    free(copy);
}

/* A tree of `depth` nested nodes, by libfdt's writer. */
static void nest(char *blob, int nbytes, int depth)
{
    assert_int_equal(fdt_create(blob, nbytes), 0);
    assert_int_equal(fdt_finish_reservemap(blob), 0);
    for (int i = 0; i < depth; i++) {
        assert_int_equal(fdt_begin_node(blob, i ? "n" : ""), 0);
    }
    for (int i = 0; i < depth; i++) {
        assert_int_equal(fdt_end_node(blob), 0);
    }
    assert_int_equal(fdt_finish(blob), 0);
}

static void depth_is_bounded(void **state)
{
    struct cma_fdt_error error;
    char *blob = malloc(1 << 20);

    (void)state;
    nest(blob, 1 << 20, CMA_FDT_MAX_DEPTH);
    assert_int_equal(read_copy(blob, fdt_totalsize(blob), &error), 0);
    nest(blob, 1 << 20, CMA_FDT_MAX_DEPTH + 1);
    assert_int_equal(read_copy(blob, fdt_totalsize(blob), &error), CMA_EINVAL);
    assert_non_null(strstr(error.what, "nested"));
    nest(blob, 1 << 20, 50000);
    assert_int_equal(read_copy(blob, fdt_totalsize(blob), &error), CMA_EINVAL);
    free(blob);
}

/* Seconds of this process for a tree of `count` devices at the bottom of 60 buses. */
static double time_of(unsigned int count)
{
    int nbytes = (int)count * 160 + 65536;
    char *blob = malloc((size_t)nbytes);
    struct cma_fdt_error error;
    clock_t start;
    fdt32_t entry[3] = {0, 0, cpu_to_fdt32(0x40000000)};

    assert_int_equal(fdt_create(blob, nbytes), 0);
    assert_int_equal(fdt_finish_reservemap(blob), 0);
    for (int i = 0; i < 60; i++) {
        assert_int_equal(fdt_begin_node(blob, i ? "bus" : ""), 0);
        assert_int_equal(fdt_property(blob, "ranges", NULL, 0), 0);
        assert_int_equal(fdt_property(blob, "dma-ranges", entry, sizeof(entry)), 0);
    }
    for (unsigned int i = 0; i < count; i++) {
        char name[16];

        sprintf(name, "d@%x", i);
        assert_int_equal(fdt_begin_node(blob, name), 0);
        assert_int_equal(fdt_property_u32(blob, "reg", i), 0);
        assert_int_equal(fdt_property_u32(blob, "phandle", count - i), 0);
        assert_int_equal(fdt_property_u32(blob, "memory-region", i + 1), 0);
        assert_int_equal(fdt_end_node(blob), 0);
    }
    for (int i = 0; i < 60; i++) {
        assert_int_equal(fdt_end_node(blob), 0);
    }
    assert_int_equal(fdt_finish(blob), 0);
    start = clock();
    assert_int_equal(read_all(blob, fdt_totalsize(blob), &error), 0);
    free(blob);
    return (double)(clock() - start) / CLOCKS_PER_SEC;
}

/* With a walk from the root for each node this takes minutes; quadratic would be 64 times. */
static void time_grows_with_size_only(void **state)
{
    double small = time_of(2500);
    double large = time_of(20000);

    (void)state;
    if (large > 0.05 && large > small * 24) {
        fail_msg("2,500 nodes take %.3f s, 20,000 nodes %.3f s", small, large);
    }
}

static int read_seed(void **state)
{
    FILE *in = fopen("tests/dts/seed.dts", "r");
    static char source[65536];

    (void)state;
    if (!in) {
        print_error("tests/dts/seed.dts is not there: run this in the project's folder\n");
        return -1;
    }
    source[fread(source, 1, sizeof(source) - 1, in)] = 0;
    fclose(in);
    seed = dts_compile(source, &seed_nbytes);
    return seed ? 0 : -1;
}

static int free_seed(void **state)
{
    (void)state;
    free(seed);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_seed_is_good),
        cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(every_truncation_with_a_matching_header),
        cmocka_unit_test(every_change_of_one_byte),
        cmocka_unit_test(headers_are_named),
        cmocka_unit_test(damage_is_placed_in_its_node),
        cmocka_unit_test(one_root_and_nothing_else),
        cmocka_unit_test(reservations_that_never_end),
        cmocka_unit_test(depth_is_bounded),
        cmocka_unit_test(time_grows_with_size_only),
    };

    return cmocka_run_group_tests(tests, read_seed, free_seed);
}
