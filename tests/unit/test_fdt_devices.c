/* SPDX-License-Identifier: BSD-2-Clause */
/* test_fdt_devices.c - buses, devices and the architecture out of a device tree */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "../support/fdt_board.h"

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

static void many_problems_have_room(void **state)
{
    static char source[65536];
    size_t length = 0;

    (void)state;
    for (int i = 0; i < 200; i++) {
        length += (size_t)sprintf(source + length,
                                  "x%d { #address-cells = <9>; #size-cells = [00];"
                                  "interconnects = <&{/x%d}>; interconnect-names = \"dma-mem\";"
                                  "compatible = \"x\"; phandle = <%d>; };",
                                  i, i, i + 1);
    }
    load_with("", source);
    expect_problems(600);
}

static void usable_memory_has_room(void **state)
{
    static char source[65536];
    size_t length;

    (void)state;
    length = (size_t)sprintf(source, "/dts-v1/; / { memory { device_type = \"memory\"; reg = <0 1>;"
                                     "linux,usable-memory = <");
    for (int i = 0; i < 300; i++) {
        length += (size_t)sprintf(source + length, "%#x 0x1000 ", i * 0x2000);
    }
    strcpy(source + length, ">; }; };");
    load_source(source);
    assert_int_equal(map.nmemory, 300);
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

#define T(f) cmocka_unit_test_teardown(f, fdt_board_forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
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
        T(many_problems_have_room),
        T(usable_memory_has_room),
        T(cells_come_from_above),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
