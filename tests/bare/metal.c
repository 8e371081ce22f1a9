/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * metal.c - tests/port on the metal
 *
 * The device view is edu's: what it reads goes to its own memory and from there to a page that only
 * this file uses, and the other way for writes. So the bytes take the way that DMA takes.
 */
#include "image.h"

#include <string.h>

#include "../port/suite.h"

struct metal {
    struct edu *edu;
    uint8_t *page; /* not cached, in reach of edu */
};

static void metal_device_read(void *ctx, cma_paddr_t paddr, void *to, uint64_t nbytes)
{
    struct metal *metal = ctx;

    if (!edu_from_memory(metal->edu, paddr, 0, (uint32_t)nbytes) ||
        !edu_to_memory(metal->edu, 0, (uintptr_t)metal->page, (uint32_t)nbytes))
        bare_die("edu does not read", paddr);
    memcpy(to, metal->page, nbytes);
}

static void metal_device_write(void *ctx, cma_paddr_t paddr, const void *from, uint64_t nbytes)
{
    struct metal *metal = ctx;

    memcpy(metal->page, from, nbytes);
    __asm__ volatile("dsb sy" ::: "memory");
    if (!edu_from_memory(metal->edu, (uintptr_t)metal->page, 0, (uint32_t)nbytes) ||
        !edu_to_memory(metal->edu, 0, paddr, (uint32_t)nbytes))
        bare_die("edu does not write", paddr);
}

static bool metal_no_alias(void *ctx)
{
    cma_paddr_t paddr;
    uint64_t nleaves;

    (void)ctx;
    return mmu_check_aliases(&paddr, &nleaves);
}

static cma_paddr_t alias_of;

static void metal_make_alias(void *ctx, bool made)
{
    (void)ctx;
    mmu_make_alias(made ? alias_of : 0, CMA_ATTR_UNCACHED);
}

static void metal_run_two(void *ctx, void (*a)(void *arg), void (*b)(void *arg), void *arg)
{
    (void)ctx;
    thread_spawn(a, arg);
    thread_spawn(b, arg);
    thread_join();
}

/* Long enough for a tick, if there can be one. */
static void metal_pass_time(void *ctx)
{
    (void)ctx;
    for (uint32_t i = 0; i < 200; i++)
        __asm__ volatile("nop");
}

static bool metal_interrupts_off(void *ctx)
{
    (void)ctx;
    return irq_is_masked();
}

uint32_t metal_suite(const struct board *board, struct edu *edu)
{
    static struct metal metal;
    cma_paddr_t own = board->area.base + (uint64_t)SUITE_NPAGES * BARE_PAGE;
    cma_paddr_t other = 0;
    if (cma_map_find(&board->map, UINT64_C(4) * BARE_PAGE, BARE_PAGE, 0, CMA_PADDR_MAX, false,
                     &other) != CMA_OK)
        bare_die("no memory for the suite", 0);
    struct port_harness harness = {.port = &bare_port,
                                   .ctx = &metal,
                                   .memory = board->area.base,
                                   .other = other,
                                   .unmapped = board->stolen,
                                   .window_npages = 511,
                                   .device_read = metal_device_read,
                                   .device_write = metal_device_write,
                                   .no_alias = metal_no_alias,
                                   .make_alias = metal_make_alias,
                                   .run_two = metal_run_two,
                                   .pass_time = metal_pass_time,
                                   .interrupts_off = metal_interrupts_off};
    static const char *const words[] = {"ok  ", "FAIL", "skip"};
    uint32_t counts[3] = {0, 0, 0};

    alias_of = board->area.base;
    mmu_set_attr(own, BARE_PAGE, CMA_ATTR_UNCACHED);
    metal.edu = edu;
    metal.page = (uint8_t *)(uintptr_t)own;
    for (uint32_t i = 0; i < port_suite_count(); i++) {
        struct port_result result = port_suite_run(&harness, i);
        counts[result.verdict]++;
        bare_printf("  %s  %s%s%s\n", words[result.verdict], port_suite_name(i),
                    *result.why ? ": " : "", result.why);
    }
    mmu_set_attr(own, BARE_PAGE, CMA_ATTR_CACHED);
    bare_printf("port: %u ok, %u failed, %u skipped\n", (uint64_t)counts[PORT_OK],
                (uint64_t)counts[PORT_FAIL], (uint64_t)counts[PORT_SKIPPED]);
    return counts[PORT_FAIL];
}
