/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_exclusive.c - memory that is one device's own: each form seen the same by CPU and device,
 * exact lengths, in reach to the last byte, and everything as it was afterwards
 */
#include "exclusive_board.h"

/* --- the four forms -------------------------------------------------------------------------- */

static void form_check(uint32_t flags, enum cma_exclusive_form form, enum cma_attr attr)
{
    struct bench *bench = bench_create(form + 10u * flags, flags);
    struct cma_exclusive_config config = region_config(form, 32);
    struct cma_exclusive region = {0};
    struct cma_coherent buffers[4];
    struct sim_stats before, after;
    uint64_t idle = idle_npages(bench);
    void *vaddr = NULL;
    cma_paddr_t paddr;
    enum cma_attr seen;

    bench_dirty(bench, BASE, NPAGES);
    if (form == CMA_EXCLUSIVE_MAPPED) {
        assert_int_equal(bench->port.map(bench->sim, SRAM, config.nbytes, attr, &vaddr), 0);
        config.vaddr = vaddr;
    }
    config.attr = attr;
    sim_stats(bench->sim, &before);
    region_declare(bench, &region, &config);
    sim_stats(bench->sim, &after);
    /* What is mapped already is not mapped again, and RAM changes in place. */
    assert_int_equal(after.maps - before.maps, form == CMA_EXCLUSIVE_DEVICE);
    assert_int_equal(idle_npages(bench), form == CMA_EXCLUSIVE_RESERVED ? idle - 32 : idle);
    for (int round = 0; round < 3; round++) {
        uint64_t lengths[] = {1, PAGE, 3 * PAGE + 17, 9 * PAGE};

        for (uint32_t i = 0; i < 4; i++) {
            buffers[i] = buffer_get(&bench->device, lengths[i]);
            assert_int_equal(bench->port.lookup(bench->sim, buffers[i].vaddr, &paddr, &seen), 0);
            assert_int_equal(paddr, buffers[i].paddr);
            assert_int_equal(seen, attr);
            assert_int_equal(buffers[i].daddr, buffers[i].paddr - SHIFT);
            buffer_use(bench, &buffers[i], (uint8_t)(i + 1));
        }
        bench_check(bench);
        for (uint32_t i = 0; i < 4; i++) {
            buffer_free(&bench->device, &buffers[(i + (uint32_t)round) % 4]);
        }
    }
    region_release(bench, &region);
    assert_int_equal(idle_npages(bench), idle);
    if (form == CMA_EXCLUSIVE_MAPPED) {
        assert_int_equal(bench->port.lookup(bench->sim, vaddr, &paddr, &seen), 0);
        bench->port.unmap(bench->sim, vaddr, config.nbytes);
        bench->port.tlb_flush(bench->sim);
    }
    bench_destroy(bench);
}

static void test_device_memory(void **state)
{
    (void)state;
    form_check(0, CMA_EXCLUSIVE_DEVICE, CMA_ATTR_UNCACHED);
    form_check(0, CMA_EXCLUSIVE_DEVICE, CMA_ATTR_WRITECOMBINE);
    form_check(0, CMA_EXCLUSIVE_DEVICE, CMA_ATTR_DEVICE);
    form_check(CMA_DEVICE_COHERENT, CMA_EXCLUSIVE_DEVICE, CMA_ATTR_CACHED);
}

static void test_mapped_memory(void **state)
{
    (void)state;
    form_check(0, CMA_EXCLUSIVE_MAPPED, CMA_ATTR_UNCACHED);
    form_check(0, CMA_EXCLUSIVE_MAPPED, CMA_ATTR_WRITECOMBINE);
    form_check(CMA_DEVICE_COHERENT, CMA_EXCLUSIVE_MAPPED, CMA_ATTR_CACHED);
}

static void test_reserved_memory(void **state)
{
    (void)state;
    form_check(0, CMA_EXCLUSIVE_RESERVED, CMA_ATTR_UNCACHED);
    form_check(0, CMA_EXCLUSIVE_RESERVED, CMA_ATTR_WRITECOMBINE);
    form_check(CMA_DEVICE_COHERENT, CMA_EXCLUSIVE_RESERVED, CMA_ATTR_CACHED);
}

static void test_stolen_memory(void **state)
{
    (void)state;
    form_check(0, CMA_EXCLUSIVE_STOLEN, CMA_ATTR_UNCACHED);
    form_check(0, CMA_EXCLUSIVE_STOLEN, CMA_ATTR_WRITECOMBINE);
    form_check(CMA_DEVICE_COHERENT, CMA_EXCLUSIVE_STOLEN, CMA_ATTR_CACHED);
}

/* Memory that nothing maps (no-map): the port maps it, once, and unmaps it again. */
static void test_stolen_without_mapping(void **state)
{
    struct bench *bench = bench_create(3, 0);
    struct cma_exclusive_config config = region_config(CMA_EXCLUSIVE_STOLEN, STOLEN_NPAGES);
    struct cma_exclusive region = {0};
    struct cma_coherent buffer;
    struct sim_stats before, after;

    (void)state;
    bench_dirty(bench, STOLEN, STOLEN_NPAGES);
    sim_evict(bench->sim, UINT64_MAX);
    bench->port.set_attr(bench->sim, STOLEN, config.nbytes, CMA_ATTR_NONE);
    bench->port.tlb_flush(bench->sim);
    sim_stats(bench->sim, &before);
    region_declare(bench, &region, &config);
    buffer = buffer_get(&bench->device, 200 * PAGE);
    buffer_use(bench, &buffer, 1);
    buffer_free(&bench->device, &buffer);
    region_release(bench, &region);
    sim_stats(bench->sim, &after);
    assert_int_equal(after.maps - before.maps, 1);
    assert_int_equal(after.unmaps - before.unmaps, 1);
    bench->port.set_attr(bench->sim, STOLEN, config.nbytes, CMA_ATTR_CACHED);
    bench->port.tlb_flush(bench->sim);
    bench_destroy(bench);
}

/* A machine that has run for a while: a driver that is loaded late reserves from what is there. */
static void test_reserved_late(void **state)
{
    struct bench *bench = bench_create(4, 0);
    struct cma_exclusive_config config = region_config(CMA_EXCLUSIVE_RESERVED, 64);
    struct cma_exclusive region = {0}, second = {0};
    struct cma_coherent taken[16], buffer;
    struct cma_refusal refusal;
    uint64_t idle = idle_npages(bench);

    (void)state;
    for (uint32_t i = 0; i < 16; i++) {
        assert_int_equal(buffer_try(&bench->other, 5 * PAGE, &taken[i], NULL), 0);
    }
    for (uint32_t i = 0; i < 16; i += 2) {
        buffer_free(&bench->other, &taken[i]);
    }
    config.align_nbytes = 16 * PAGE;
    region_declare(bench, &region, &config);
    assert_int_equal((region.paddr - SHIFT) % (16 * PAGE), 0);
    /* Of the area or of pages, it is not the device's own memory that is made of itself. */
    assert_int_not_equal(region.reserved.source, CMA_SOURCE_EXCLUSIVE);
    buffer = buffer_get(&bench->device, 64 * PAGE);
    assert_int_equal(buffer.paddr, region.paddr);
    assert_int_equal(cma_exclusive_release(&region), CMA_EBUSY);
    buffer_free(&bench->device, &buffer);
    region_release(bench, &region);
    assert_int_equal(cma_exclusive_release(&region), CMA_ENOENT);
    /* Another one is not made of the first, which has room. */
    region_declare(bench, &region, &config);
    config.align_nbytes = 0;
    config.nbytes = 16 * PAGE;
    assert_int_equal(cma_exclusive_declare(&second, &bench->device, &config, bench->words + 4096,
                                           4096 * 4, NULL, NULL),
                     0);
    assert_int_not_equal(second.reserved.source, CMA_SOURCE_EXCLUSIVE);
    region_release(bench, &region);
    region_release(bench, &second);
    /* What can't be had is refused as an allocation is. */
    config.nbytes = (uint64_t)NPAGES * PAGE;
    assert_int_equal(region_try(bench, &region, &config, NULL, &refusal), CMA_ENOMEM);
    for (uint32_t i = 1; i < 16; i += 2) {
        buffer_free(&bench->other, &taken[i]);
    }
    assert_int_equal(idle_npages(bench), idle);
    bench_destroy(bench);
}

/* The 2010 boards' way: the block was got with an allocation at boot, and becomes a region. */
static void test_mapped_from_an_allocation(void **state)
{
    struct bench *bench = bench_create(5, 0);
    struct cma_exclusive_config config = region_config(CMA_EXCLUSIVE_MAPPED, 32);
    struct cma_exclusive region = {0};
    struct cma_coherent boot, buffer;
    struct cma_conflict conflict = {0};

    (void)state;
    assert_int_equal(buffer_try(&bench->other, 32 * PAGE, &boot, NULL), 0);
    config.paddr = boot.paddr;
    config.vaddr = boot.vaddr;
    region_declare(bench, &region, &config);
    buffer = buffer_get(&bench->device, 32 * PAGE);
    assert_ptr_equal(buffer.vaddr, boot.vaddr);
    buffer_use(bench, &buffer, 9);
    buffer_free(&bench->device, &buffer);
    region_release(bench, &region);
    buffer_free(&bench->other, &boot);
    /* Given back: anybody may get it now, so it can't be declared, for one who would see it as it
     * is mapped either. */
    assert_int_equal(region_try(bench, &region, &config, &conflict, NULL), CMA_EEXIST);
    bench_device(bench, &bench->device, 7, UINT32_MAX, CMA_DEVICE_COHERENT);
    assert_int_equal(region_try(bench, &region, &config, &conflict, NULL), CMA_EEXIST);
    assert_ptr_equal(conflict.vaddr, boot.vaddr);
    bench_destroy(bench);
}

/* --- case 36: lengths ------------------------------------------------------------------------ */

static void *tall_vaddr(void *ctx, cma_paddr_t paddr)
{
    (void)ctx;
    (void)paddr;
    return NULL;
}

static int tall_map(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr, void **vaddr)
{
    (void)ctx;
    (void)nbytes;
    (void)attr;
    *vaddr = (void *)(uintptr_t)(paddr + 0x1000000000u);
    return 0;
}

static void tall_unmap(void *ctx, void *vaddr, uint64_t nbytes)
{
    (void)ctx;
    (void)vaddr;
    (void)nbytes;
}

static uint64_t tall_zeroed;

static void tall_zero_vaddr(void *ctx, void *vaddr, uint64_t nbytes)
{
    (void)ctx;
    (void)vaddr;
    tall_zeroed += nbytes;
}

static void tall_zero(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx;
    (void)paddr;
    (void)nbytes;
    fail_msg("zeroed by physical address");
}

static void tall_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    (void)ctx;
    (void)to;
    (void)from;
    (void)nbytes;
}

static void tall_barrier(void *ctx)
{
    (void)ctx;
}

struct tall {
    struct cma_port port;
    struct cma_frames frames;
    struct cma_dma dma;
    struct cma_device device;
    struct cma_exclusive region;
    void *storage;
};

/* A machine with nothing but a region of its device, addresses of any size. */
static void tall_create(struct tall *tall, cma_paddr_t base, uint64_t npages)
{
    struct cma_device_config config = {
        .name = "tall", .owner = 1, .mask = UINT64_MAX, .coherent_mask = UINT64_MAX};
    struct cma_exclusive_config wanted = {
        .name = "tall", .form = CMA_EXCLUSIVE_DEVICE, .paddr = base, .nbytes = npages << 12};
    uint64_t nbytes = cma_exclusive_size(npages);

    *tall = (struct tall){.port = {.page_shift = 12,
                                   .cache_line_nbytes = 64,
                                   .map = tall_map,
                                   .unmap = tall_unmap,
                                   .vaddr = tall_vaddr,
                                   .dma_barrier = tall_barrier,
                                   .copy = tall_copy,
                                   .zero = tall_zero,
                                   .zero_vaddr = tall_zero_vaddr}};
    tall->frames.port = &tall->port;
    tall->storage = malloc(nbytes);
    assert_int_equal(cma_dma_init(&tall->dma, &tall->frames, NULL, NULL), 0);
    assert_int_equal(cma_device_init(&tall->device, &tall->dma, &config), 0);
    assert_int_equal(cma_exclusive_declare(&tall->region, &tall->device, &wanted, tall->storage,
                                           nbytes, NULL, NULL),
                     0);
}

static void tall_destroy(struct tall *tall)
{
    assert_int_equal(cma_exclusive_release(&tall->region), 0);
    free(tall->storage);
}

/* Case 36: a region over 2 GiB. Linux shifted a page's number as an int: above 2 GiB a buffer's
 * addresses were wrong, and such regions could not be declared. */
static void test_case_36_region_over_2_gib(void **state)
{
    static const uint64_t npages = UINT64_C(5) << 18; /* 5 GiB */
    static const cma_paddr_t base = UINT64_C(0x880000000);
    struct cma_coherent buffers[5], rest;
    struct cma_exclusive_stats stats;
    struct tall tall;

    (void)state;
    tall_create(&tall, base, npages);
    /* A buffer of 3 GiB, one of 1 GiB, and single pages up to the last. */
    tall_zeroed = 0;
    buffers[0] = buffer_get(&tall.device, UINT64_C(3) << 30);
    buffers[1] = buffer_get(&tall.device, UINT64_C(1) << 30);
    assert_int_equal(tall_zeroed, UINT64_C(4) << 30);
    rest = buffer_get(&tall.device, (UINT64_C(1) << 30) - 3 * PAGE);
    for (uint32_t i = 2; i < 5; i++) {
        buffers[i] = buffer_get(&tall.device, PAGE);
        assert_in_range(buffers[i].paddr - base, UINT64_C(0), (npages << 12) - PAGE);
    }
    for (uint32_t i = 0; i < 5; i++) {
        assert_int_equal(buffers[i].daddr, buffers[i].paddr);
        assert_int_equal((uintptr_t)buffers[i].vaddr, buffers[i].paddr + 0x1000000000u);
        for (uint32_t j = 0; j < i; j++) {
            assert_true(buffers[i].paddr - buffers[j].paddr >= buffers[j].nbytes);
            assert_true(buffers[j].paddr - buffers[i].paddr >= buffers[i].nbytes);
        }
    }
    cma_exclusive_stats(&tall.region, &stats);
    assert_int_equal(stats.nbytes, npages << 12);
    assert_int_equal(stats.used_nbytes, npages << 12);
    assert_int_equal(stats.free_run_nbytes, 0);
    buffer_free(&tall.device, &rest);
    for (uint32_t i = 0; i < 5; i++) {
        buffer_free(&tall.device, &buffers[i]);
    }
    cma_exclusive_stats(&tall.region, &stats);
    assert_int_equal(stats.used_nbytes, 0);
    assert_int_equal(stats.free_run_nbytes, npages << 12);
    tall_destroy(&tall);
    assert_int_equal(cma_exclusive_size(0), 0);
    assert_int_equal(cma_exclusive_size(UINT64_C(1) << 31), 0);
    assert_int_equal(cma_exclusive_size(UINT64_C(1) << 40), 0);
    assert_true(cma_exclusive_size((UINT64_C(1) << 31) - 1) > UINT64_C(4) << 31);
}

/* A boundary that no count of pages has room for is kept all the same. */
static void test_boundary_of_16_tib(void **state)
{
    static const uint64_t boundary = UINT64_C(1) << 44;
    struct cma_coherent_request request = {.nbytes = 3 * PAGE, .boundary_nbytes = boundary};
    struct cma_coherent buffers[4];
    struct tall tall;
    uint32_t n = 0;

    (void)state;
    tall_create(&tall, boundary - 4 * PAGE, 8);
    while (cma_dma_alloc_coherent(&tall.device, &request, &buffers[n], NULL) == 0) {
        assert_int_equal(buffers[n].daddr / boundary,
                         (buffers[n].daddr + buffers[n].nbytes - 1) / boundary);
        assert_true(++n < 4);
    }
    assert_int_equal(n, 2);
    while (n-- > 0) {
        buffer_free(&tall.device, &buffers[n]);
    }
    tall_destroy(&tall);
}

/* Case 37: what is marked as in use is as long as the buffer, no shorter and no longer (Linux took
 * an order where a length belongs; and takes powers of two to this day). */
static void test_case_37_exact_lengths(void **state)
{
    struct bench *bench = bench_create(6, 0);
    struct cma_exclusive_config config = region_config(CMA_EXCLUSIVE_STOLEN, 66);
    struct cma_exclusive region = {0};
    struct cma_coherent first, second, third;
    struct cma_exclusive_stats stats;
    struct cma_refusal refusal = {0};
    cma_paddr_t paddr;
    uint64_t nbytes;
    uint32_t page = 0;

    (void)state;
    region_declare(bench, &region, &config);
    /* 33 pages are 64 of Linux's: the second would not fit there. */
    first = buffer_get(&bench->device, 33 * PAGE);
    second = buffer_get(&bench->device, 32 * PAGE + 1);
    cma_exclusive_stats(&region, &stats);
    assert_int_equal(stats.used_nbytes, 66 * PAGE);
    assert_int_equal(stats.free_run_nbytes, 0);
    assert_int_equal(buffer_try(&bench->device, 1, &third, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.code, CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_EXCLUSIVE);
    assert_int_equal(refusal.free_run_npages, 0);
    assert_int_equal(cma_exclusive_next(&region, &page, &paddr, &nbytes), 0);
    assert_int_equal(nbytes, 33 * PAGE);
    assert_int_equal(cma_exclusive_next(&region, &page, &paddr, &nbytes), 0);
    assert_int_equal(nbytes, 33 * PAGE);
    assert_int_equal(page, 66);
    assert_int_equal(cma_exclusive_next(&region, &page, &paddr, &nbytes), CMA_ENOENT);
    buffer_free(&bench->device, &first);
    assert_int_equal(buffer_try(&bench->device, 34 * PAGE, &third, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.free_run_npages, 33);
    third = buffer_get(&bench->device, 33 * PAGE);
    assert_int_equal(third.paddr, first.paddr);
    buffer_free(&bench->device, &second);
    buffer_free(&bench->device, &third);
    cma_exclusive_stats(&region, &stats);
    assert_int_equal(stats.used_nbytes, 0);
    assert_int_equal(stats.most_used_nbytes, 66 * PAGE);
    region_release(bench, &region);
    bench_destroy(bench);
}

/* Single pages that came back are kept at hand for the next, and are free all the same. */
static void test_single_pages_come_back(void **state)
{
    struct bench *bench = bench_create(20, 0);
    struct cma_exclusive_config config = region_config(CMA_EXCLUSIVE_STOLEN, 40);
    struct cma_exclusive region = {0};
    struct cma_exclusive_stats stats;
    struct cma_coherent pages[40], whole;
    cma_paddr_t paddr;
    uint64_t nbytes;
    uint32_t page = 0;

    (void)state;
    region_declare(bench, &region, &config);
    for (uint32_t i = 0; i < 40; i++) {
        pages[i] = buffer_get(&bench->device, PAGE);
    }
    for (uint32_t i = 0; i < 40; i++) {
        buffer_free(&bench->device, &pages[i]);
        assert_int_equal(cma_dma_free_coherent(&bench->device, &pages[i]), CMA_EBADF);
    }
    /* The last ones are handed out again first, zeroed like all, to whom ever. */
    pages[0] = buffer_get(&bench->device, PAGE);
    assert_int_not_equal(cma_dma_free_coherent(&bench->other, &pages[0]), 0);
    buffer_use(bench, &pages[0], 1);
    buffer_free(&bench->device, &pages[0]);
    whole = buffer_get(&bench->device, 40 * PAGE);
    buffer_free(&bench->device, &whole);
    for (uint32_t i = 0; i < 2; i++) {
        pages[i] = buffer_get(&bench->device, PAGE);
    }
    buffer_free(&bench->device, &pages[0]);
    assert_int_equal(cma_exclusive_next(&region, &page, &paddr, &nbytes), 0);
    assert_int_equal(paddr, pages[1].paddr);
    assert_int_equal(cma_exclusive_next(&region, &page, &paddr, &nbytes), CMA_ENOENT);
    buffer_free(&bench->device, &pages[1]);
    cma_exclusive_stats(&region, &stats);
    assert_int_equal(stats.used_nbytes, 0);
    assert_int_equal(stats.free_run_nbytes, 40 * PAGE);
    region_release(bench, &region);
    bench_destroy(bench);
}

/* Case 37: "exclusive" got lost twice in Linux: a device with a full region of its own was given
 * other memory, or one that may fall back was refused. */
static void test_case_37_full_is_a_refusal_or_not(void **state)
{
    struct bench *bench = bench_create(7, 0);
    struct cma_exclusive_config config = region_config(CMA_EXCLUSIVE_STOLEN, 8);
    struct cma_exclusive regions[2] = {{0}, {0}};
    struct cma_coherent own, second, more;
    struct cma_refusal refusal = {0};

    (void)state;
    region_declare(bench, &regions[0], &config);
    own = buffer_get(&bench->device, 6 * PAGE);
    assert_int_equal(buffer_try(&bench->device, 3 * PAGE, &more, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_EXCLUSIVE);
    assert_int_equal(refusal.free_run_npages, 2);
    assert_int_equal(buffer_try(&bench->device, 9 * PAGE, &more, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_TOO_LARGE);
    /* Another region: what does not fit into the first is in it; both are full: a refusal. */
    config.paddr += config.nbytes;
    config.flags = CMA_EXCLUSIVE_FALL_BACK;
    assert_int_equal(cma_exclusive_declare(&regions[1], &bench->device, &config,
                                           bench->words + 4096, 4096 * 4, NULL, NULL),
                     0);
    second = buffer_get(&bench->device, 3 * PAGE);
    assert_int_equal(second.paddr, config.paddr);
    assert_int_equal(buffer_try(&bench->device, 6 * PAGE, &more, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_EXCLUSIVE);
    buffer_free(&bench->device, &own);
    region_release(bench, &regions[0]);
    /* Only the one that may fall back is left. */
    own = buffer_get(&bench->device, 5 * PAGE);
    assert_int_equal(buffer_try(&bench->device, PAGE, &more, NULL), 0);
    assert_int_not_equal(more.source, CMA_SOURCE_EXCLUSIVE);
    buffer_free(&bench->device, &more);
    buffer_free(&bench->device, &own);
    buffer_free(&bench->device, &second);
    region_release(bench, &regions[1]);
    bench_destroy(bench);
}

/* --- reach ----------------------------------------------------------------------------------- */

/* H10: a region outside the mask. Linux warns, and the device overwrites what is elsewhere. */
static void test_h10_outside_the_mask(void **state)
{
    struct bench *bench = bench_create(8, 0);
    struct cma_exclusive_config config = region_config(CMA_EXCLUSIVE_STOLEN, 16);
    struct cma_exclusive region = {0};
    struct cma_coherent buffer;
    cma_daddr_t last = STOLEN - SHIFT + 16 * PAGE - 1;

    (void)state;
    for (int form = CMA_EXCLUSIVE_DEVICE; form <= CMA_EXCLUSIVE_STOLEN; form++) {
        config.form = (enum cma_exclusive_form)form;
        config.paddr = form == CMA_EXCLUSIVE_RESERVED ? 0 : STOLEN;
        config.vaddr = form == CMA_EXCLUSIVE_MAPPED ? bench->port.vaddr(bench->sim, STOLEN) : NULL;
        bench_device(bench, &bench->device, 7,
                     form == CMA_EXCLUSIVE_RESERVED ? BASE - SHIFT + 10 : last - 1, 0);
        assert_int_equal(region_try(bench, &region, &config, NULL, NULL), CMA_ERANGE);
    }
    config = region_config(CMA_EXCLUSIVE_STOLEN, 16);
    bench_device(bench, &bench->device, 7, last, 0);
    region_declare(bench, &region, &config);
    buffer = buffer_get(&bench->device, 16 * PAGE);
    assert_int_equal(buffer.daddr + (buffer.nbytes - 1), last);
    buffer_free(&bench->device, &buffer);
    region_release(bench, &region);
    /* In two windows that do not continue each other; and beside a page for the device. */
    bench->window.nbytes = STOLEN - BASE + 8 * PAGE;
    bench_device(bench, &bench->device, 7, UINT32_MAX, 0);
    assert_int_equal(region_try(bench, &region, &config, NULL, NULL), CMA_ERANGE);
    bench->window.nbytes = 0x60000000;
    bench->window.daddr = BASE + 0x800;
    bench_device(bench, &bench->device, 7, UINT32_MAX, 0);
    assert_int_equal(region_try(bench, &region, &config, NULL, NULL), CMA_ERANGE);
    bench_destroy(bench);
}

/* The region of all devices: theirs who reach it and have none; each is told from the others. */
static void test_default_region(void **state)
{
    struct bench *bench = bench_create(9, 0);
    struct cma_exclusive_config config = region_config(CMA_EXCLUSIVE_STOLEN, 16);
    struct cma_exclusive region = {0}, again = {0}, own = {0};
    struct cma_coherent a, b, c;
    struct cma_conflict conflict = {0};
    struct cma_device low, snooping;

    (void)state;
    config.flags = CMA_EXCLUSIVE_FALL_BACK;
    assert_int_equal(cma_exclusive_declare_default(&region, &bench->system.dma, &config, false,
                                                   bench->words, sizeof(bench->words), NULL),
                     0);
    config.paddr += config.nbytes;
    assert_int_equal(cma_exclusive_declare_default(&again, &bench->system.dma, &config, false,
                                                   bench->words + 4096, 4096 * 4, &conflict),
                     CMA_EEXIST);
    assert_int_equal(conflict.paddr, STOLEN);
    a = buffer_get(&bench->device, 3 * PAGE);
    b = buffer_get(&bench->other, 5 * PAGE);
    buffer_use(bench, &b, 3);
    /* Another one's buffer is not ours to free, H7. */
    assert_int_equal(cma_dma_free_coherent(&bench->device, &b), CMA_EPERM);
    assert_int_equal(cma_dma_free_coherent(&bench->other, &a), CMA_EPERM);
    /* Who can't reach it has other memory. */
    bench_device(bench, &low, 9, STOLEN - SHIFT - 1, 0);
    assert_int_equal(buffer_try(&low, PAGE, &c, NULL), 0);
    assert_int_not_equal(c.source, CMA_SOURCE_EXCLUSIVE);
    buffer_free(&low, &c);
    /* A device that snoops may have uncached memory. */
    bench_device(bench, &snooping, 10, UINT32_MAX, CMA_DEVICE_COHERENT);
    c = buffer_get(&snooping, PAGE);
    buffer_free(&snooping, &c);
    /* Full: others are asked. */
    assert_int_equal(buffer_try(&bench->device, 9 * PAGE, &c, NULL), 0);
    assert_int_not_equal(c.source, CMA_SOURCE_EXCLUSIVE);
    buffer_free(&bench->device, &c);
    /* With a region of its own it does not use the default one, and frees what it had of it. */
    config.flags = 0;
    assert_int_equal(cma_exclusive_declare(&own, &bench->device, &config, bench->words + 4096,
                                           4096 * 4, NULL, NULL),
                     0);
    c = buffer_get(&bench->device, 16 * PAGE);
    assert_int_equal(c.paddr, config.paddr);
    assert_int_equal(buffer_try(&bench->device, PAGE, &(struct cma_coherent){0}, NULL), CMA_ENOMEM);
    assert_int_equal(cma_dma_free_coherent(&bench->other, &c), CMA_EPERM);
    buffer_free(&bench->device, &a);
    buffer_free(&bench->device, &c);
    assert_int_equal(cma_exclusive_release(&region), CMA_EBUSY);
    buffer_free(&bench->other, &b);
    region_release(bench, &own);
    region_release(bench, &region);
    assert_null(bench->system.dma.exclusive);
    bench_destroy(bench);
}

/* Memory that processors cache is not for devices that don't look into caches. */
static void test_cached_default_region(void **state)
{
    struct bench *bench = bench_create(10, CMA_DEVICE_COHERENT);
    struct cma_exclusive_config config = region_config(CMA_EXCLUSIVE_STOLEN, 16);
    struct cma_exclusive region = {0};
    struct cma_coherent buffer;
    struct cma_device plain;

    (void)state;
    assert_int_equal(cma_exclusive_declare_default(&region, &bench->system.dma, &config, true,
                                                   bench->words, sizeof(bench->words), NULL),
                     0);
    buffer = buffer_get(&bench->device, PAGE);
    buffer_use(bench, &buffer, 1);
    buffer_free(&bench->device, &buffer);
    bench_device(bench, &plain, 11, UINT32_MAX, 0);
    assert_int_equal(buffer_try(&plain, PAGE, &buffer, NULL), 0);
    assert_int_not_equal(buffer.source, CMA_SOURCE_EXCLUSIVE);
    buffer_free(&plain, &buffer);
    region_release(bench, &region);
    bench_destroy(bench);
}

/* Alignment and boundary are those of the device's address, which lies 3 pages beside. */
static void test_alignment_and_boundary(void **state)
{
    struct bench *bench = bench_create(11, 0);
    struct cma_exclusive_config config = region_config(CMA_EXCLUSIVE_STOLEN, 100);
    struct cma_exclusive region = {0};
    struct cma_coherent_request request = {.nbytes = 6 * PAGE, .align_nbytes = 16 * PAGE};
    struct cma_coherent buffers[8], one;
    struct cma_refusal refusal;
    uint32_t n = 0;

    (void)state;
    bench->window.daddr += 3 * PAGE;
    bench_device(bench, &bench->device, 7, UINT32_MAX, 0);
    region_declare(bench, &region, &config);
    while (cma_dma_alloc_coherent(&bench->device, &request, &buffers[n], NULL) == 0) {
        assert_int_equal(buffers[n].daddr % (16 * PAGE), 0);
        assert_true(++n < 8);
    }
    assert_int_equal(n, 6);
    while (n-- > 0) {
        buffer_free(&bench->device, &buffers[n]);
    }
    /* 13 pages, then boundaries each 16: six runs of 13 fit. */
    request = (struct cma_coherent_request){.nbytes = 13 * PAGE, .boundary_nbytes = 16 * PAGE};
    for (n = 0; cma_dma_alloc_coherent(&bench->device, &request, &buffers[n], NULL) == 0;) {
        assert_int_equal(buffers[n].daddr / (16 * PAGE),
                         (buffers[n].daddr + buffers[n].nbytes - 1) / (16 * PAGE));
        assert_true(++n < 8);
    }
    assert_int_equal(n, 6);
    while (n-- > 0) {
        buffer_free(&bench->device, &buffers[n]);
    }
    /* A page that waits for the next one is none for him who wants it elsewhere. */
    request = (struct cma_coherent_request){.nbytes = PAGE};
    for (n = 0; n < 3; n++) {
        assert_int_equal(cma_dma_alloc_coherent(&bench->device, &request, &buffers[n], NULL), 0);
    }
    while (n-- > 0) {
        buffer_free(&bench->device, &buffers[n]);
    }
    request.align_nbytes = 32 * PAGE;
    assert_int_equal(cma_dma_alloc_coherent(&bench->device, &request, &one, NULL), 0);
    assert_int_equal(one.daddr % (32 * PAGE), 0);
    buffer_free(&bench->device, &one);
    /* Powers that no count of pages has room for. */
    request = (struct cma_coherent_request){.nbytes = PAGE, .boundary_nbytes = UINT64_C(1) << 63};
    assert_int_equal(cma_dma_alloc_coherent(&bench->device, &request, &one, NULL), 0);
    buffer_free(&bench->device, &one);
    request = (struct cma_coherent_request){.nbytes = PAGE, .align_nbytes = UINT64_C(1) << 63};
    assert_int_equal(cma_dma_alloc_coherent(&bench->device, &request, &one, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_EXCLUSIVE);
    region_release(bench, &region);
    bench_destroy(bench);
}

/* --- at random ------------------------------------------------------------------------------- */

#define LIVE 24

struct piece {
    struct cma_coherent buffer;
    struct cma_device *device;
    uint8_t salt;
};

static void piece_check(struct bench *bench, const struct piece *piece)
{
    uint8_t seen[PAGE];

    for (uint64_t at = 0; at < piece->buffer.nbytes; at += PAGE) {
        sim_read(bench->sim, (uint8_t *)piece->buffer.vaddr + at, seen, PAGE);
        for (uint32_t i = 0; i < PAGE; i++) {
            assert_int_equal(seen[i], piece->salt);
        }
    }
}

/* H1: 3,000 changes of owner between two devices; never a byte of who had it before, never one that
 * somebody else wrote; the books are the sum of what is out. */
static void test_h1_owners_at_random(void **state)
{
    struct bench *bench = bench_create(19, 0);
    struct cma_exclusive_config config = region_config(CMA_EXCLUSIVE_STOLEN, 64);
    struct cma_exclusive region = {0};
    struct cma_exclusive_stats stats;
    struct piece pieces[LIVE] = {{.device = NULL}};
    uint64_t random = 1, used = 0;
    uint8_t bytes[PAGE], zero[PAGE] = {0};

    (void)state;
    assert_int_equal(cma_exclusive_declare_default(&region, &bench->system.dma, &config, false,
                                                   bench->words, sizeof(bench->words), NULL),
                     0);
    for (uint32_t step = 0; step < 3000; step++) {
        struct piece *piece;

        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        piece = &pieces[(random >> 33) % LIVE];
        if (piece->device != NULL) {
            piece_check(bench, piece);
            buffer_free(piece->device, &piece->buffer);
            used -= piece->buffer.nbytes;
            piece->device = NULL;
        } else {
            uint64_t npages = 1 + (random >> 40) % 7;

            piece->device = (random >> 50) % 2 != 0 ? &bench->device : &bench->other;
            if (buffer_try(piece->device, npages * PAGE, &piece->buffer, NULL) != 0) {
                cma_exclusive_stats(&region, &stats);
                assert_true(stats.free_run_nbytes < npages * PAGE);
                piece->device = NULL;
                continue;
            }
            used += piece->buffer.nbytes;
            piece->salt = (uint8_t)(1 + step % 255);
            for (uint64_t at = 0; at < npages * PAGE; at += PAGE) {
                assert_true(simdev_read(&bench->dev, piece->buffer.daddr + at, bytes, PAGE));
                assert_memory_equal(bytes, zero, PAGE);
                memset(bytes, piece->salt, PAGE);
                assert_true(simdev_write(&bench->dev, piece->buffer.daddr + at, bytes, PAGE));
            }
        }
        cma_exclusive_stats(&region, &stats);
        assert_int_equal(stats.used_nbytes, used);
    }
    for (uint32_t i = 0; i < LIVE; i++) {
        if (pieces[i].device != NULL) {
            piece_check(bench, &pieces[i]);
            buffer_free(pieces[i].device, &pieces[i].buffer);
        }
    }
    region_release(bench, &region);
    bench_destroy(bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_device_memory),
        cmocka_unit_test(test_mapped_memory),
        cmocka_unit_test(test_reserved_memory),
        cmocka_unit_test(test_stolen_memory),
        cmocka_unit_test(test_stolen_without_mapping),
        cmocka_unit_test(test_reserved_late),
        cmocka_unit_test(test_mapped_from_an_allocation),
        cmocka_unit_test(test_case_36_region_over_2_gib),
        cmocka_unit_test(test_boundary_of_16_tib),
        cmocka_unit_test(test_case_37_exact_lengths),
        cmocka_unit_test(test_single_pages_come_back),
        cmocka_unit_test(test_case_37_full_is_a_refusal_or_not),
        cmocka_unit_test(test_h10_outside_the_mask),
        cmocka_unit_test(test_default_region),
        cmocka_unit_test(test_cached_default_region),
        cmocka_unit_test(test_alignment_and_boundary),
        cmocka_unit_test(test_h1_owners_at_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
