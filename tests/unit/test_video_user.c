/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_video_user.c - the program's own memory as a buffer: what is judged, pinned, mapped, and
 * given back
 *
 * The program's addresses begin at USER; a table says which frame is behind each page, as a
 * process's tables do.
 */
#include "video_board.h"

#include "../../ports/sim/movers.h"

#include <cma/bounce.h>

#define USER UINT64_C(0x10000000)
#define USER_NPAGES 16u
#define LINE 64u

static struct program {
    struct bench *bench;
    cma_pfn_t pfn[USER_NPAGES];
    enum cma_attr attr[USER_NPAGES];
    struct sim_store *store; /* where the page is that of an object, it is wherever that is */
    uint32_t object[USER_NPAGES];
    bool is_object[USER_NPAGES];
    cma_pfn_t stale[USER_NPAGES]; /* where it is seen once more, before it has moved; 0: nowhere */
    int (*lookup)(void *ctx, const void *vaddr, cma_paddr_t *paddr, enum cma_attr *attr);
    uint32_t nlookups;
} program;

static int program_lookup(void *ctx, const void *vaddr, cma_paddr_t *paddr, enum cma_attr *attr)
{
    uint64_t page = ((uintptr_t)vaddr - USER) >> 12;
    cma_pfn_t pfn;

    if ((uintptr_t)vaddr < USER || page >= USER_NPAGES)
        return program.lookup(ctx, vaddr, paddr, attr);
    pfn = program.is_object[page] ? sim_store_pfn(program.store, program.object[page])
                                  : program.pfn[page];
    if (program.stale[page] != 0) {
        pfn = program.stale[page];
        program.stale[page] = 0;
    }
    program.nlookups++;
    if (pfn == 0 || pfn == CMA_PFN_NONE)
        return CMA_ENOENT;
    *paddr = pfn << 12 | ((uintptr_t)vaddr & 4095);
    *attr = program.attr[page];
    return 0;
}

static void *user(uint64_t offset)
{
    return (void *)(uintptr_t)(USER + offset);
}

/* All 16 pages are a run that the kernel has given the program for good. */
static int user_setup(void **state)
{
    struct cma_area_request request = {.npages = USER_NPAGES, .owner = 9};
    struct bench *bench;
    cma_pfn_t pfn;

    assert_int_equal(bench_setup(state), 0);
    bench = *state;
    memset(&program, 0, sizeof(program));
    program.bench = bench;
    program.lookup = bench->port.lookup;
    bench->port.lookup = program_lookup;
    assert_int_equal(cma_area_alloc(&bench->system.areas[0], &request, &pfn, NULL), 0);
    for (uint32_t i = 0; i < USER_NPAGES; i++) {
        program.pfn[i] = pfn + i;
        program.attr[i] = CMA_ATTR_CACHED;
    }
    return 0;
}

static uint32_t pins(struct bench *bench)
{
    uint32_t n = 0;

    for (cma_pfn_t pfn = BASE >> 12; pfn < (BASE >> 12) + NPAGES; pfn++) {
        struct cma_frame_info info;

        assert_int_equal(cma_frame_info(&bench->system.frames, pfn, &info), 0);
        n += info.pins;
    }
    return n;
}

static int user_teardown(void **state)
{
    assert_int_equal(pins(*state), 0);
    return bench_teardown(state);
}

static void open_user(struct bench *bench, struct cma_device *device, enum cma_direction direction,
                      uint32_t flags)
{
    struct cma_video_config config = bench_config(bench);

    config.device = device;
    config.direction = direction;
    config.flags = flags;
    bench_queue(bench, &config);
    bench_buffers(bench, CMA_VIDEO_USER, 2);
}

static int put_user(struct bench *bench, uint32_t number, const void *vaddr, uint64_t nbytes,
                    struct cma_refusal *refusal)
{
    struct cma_video_put what = {.number = number, .nplanes = 1};

    what.plane[0].vaddr = vaddr;
    what.plane[0].nbytes = nbytes;
    return cma_video_queue_buffer(&bench->queue, &what, refusal);
}

/* Case 46 (d81e870d5afa, a812a9665d7d): address and length are whole cache lines, the memory is at
 * least as long as the plane, and the length passes no end. */
static void test_case_46_lines_and_length(void **state)
{
    struct bench *bench = *state;
    struct cma_refusal refusal;

    open_user(bench, &bench->camera, CMA_TO_DEVICE, 0);
    assert_int_equal(put_user(bench, 0, user(1), NBYTES + LINE, NULL), CMA_EINVAL);
    assert_int_equal(put_user(bench, 0, user(0), NBYTES + 1, NULL), CMA_EINVAL);
    assert_int_equal(put_user(bench, 0, user(0), NBYTES, NULL), 0);
    assert_int_equal(cma_video_release(&bench->queue), 0);
    open_user(bench, &bench->camera, CMA_FROM_DEVICE, 0);
    for (uint64_t off = 0; off <= 2 * LINE; off++) {
        for (uint64_t more = 0; more <= 2 * LINE; more++) {
            bool whole = off % LINE == 0 && (NBYTES + more) % LINE == 0;
            int error = put_user(bench, 0, user(off), NBYTES + more, &refusal);

            assert_int_equal(error, whole ? 0 : CMA_EINVAL);
            if (!whole)
                assert_int_equal(refusal.reason, CMA_REASON_LINES);
            assert_int_equal(cma_video_stream_off(&bench->queue), 0);
        }
    }
    assert_int_equal(put_user(bench, 0, user(0), NBYTES - LINE, NULL), CMA_EINVAL);
    assert_int_equal(put_user(bench, 0, NULL, NBYTES, NULL), CMA_EINVAL);
    assert_int_equal(put_user(bench, 0, user(0), UINT64_MAX - LINE + 1, NULL), CMA_EINVAL);
    assert_int_equal(put(&bench->queue, 0), CMA_EINVAL); /* no planes at all */
    assert_int_equal(cma_video_release(&bench->queue), 0);
    /* A device that looks into the caches shares lines with anybody. */
    open_user(bench, &bench->display, CMA_FROM_DEVICE, 0);
    assert_int_equal(put_user(bench, 0, user(1), NBYTES, NULL), 0);
    assert_int_equal(put_user(bench, 1, user(1 + NBYTES), NBYTES, NULL), 0);
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

/* The program maps it no longer, other attributes, pages elsewhere: each page is looked at, the
 * last byte's too. */
static void test_each_page_is_judged(void **state)
{
    struct bench *bench = *state;
    struct cma_refusal refusal;
    uint64_t at = 4096 - LINE, whole = 4 * 4096 + 2 * LINE; /* a line of 6 pages */

    open_user(bench, &bench->camera, CMA_FROM_DEVICE, 0);
    bench->buffers[0].plane[0].nbytes = whole;
    for (uint32_t page = 0; page < 8; page++) {
        struct program before = program;
        bool in = page < 6;

        program.pfn[page] = 0;
        assert_int_equal(put_user(bench, 0, user(at), whole, &refusal), in ? CMA_ENOENT : 0);
        assert_int_equal(cma_video_stream_off(&bench->queue), 0);
        program = before;
        program.attr[page] = CMA_ATTR_UNCACHED;
        assert_int_equal(put_user(bench, 0, user(at), whole, &refusal), in ? CMA_EBADF : 0);
        if (in) {
            assert_int_equal(refusal.reason, CMA_REASON_ALIAS);
            assert_int_equal(refusal.pfn, program.pfn[page]);
        }
        assert_int_equal(cma_video_stream_off(&bench->queue), 0);
        program = before;
        program.pfn[page] = program.pfn[15];
        assert_int_equal(put_user(bench, 0, user(at), whole, &refusal), in ? CMA_ERANGE : 0);
        if (in)
            assert_int_equal(refusal.possible_run_npages, page != 0 ? page : 1);
        assert_int_equal(cma_video_stream_off(&bench->queue), 0);
        program = before;
    }
    assert_int_equal(put_user(bench, 0, user(at), whole, NULL), 0);
    assert_int_equal(bench->buffers[0].plane[0].daddr, (program.pfn[0] << 12) + at);
    assert_ptr_equal(cma_video_vaddr(&bench->buffers[0], 0), user(at));
    assert_int_equal(cma_video_stream_off(&bench->queue), 0);
    assert_null(cma_video_vaddr(&bench->buffers[0], 0));
    bench->camera.config.mask = ((program.pfn[0] + 5) << 12 | LINE) - 2; /* one byte too low */
    assert_int_equal(put_user(bench, 0, user(at), whole, &refusal), CMA_ERANGE);
    assert_int_equal(refusal.possible_run_npages, 6);
    bench->camera.config.mask++;
    assert_int_equal(put_user(bench, 0, user(at), whole, NULL), 0);
    bench->port.lookup = NULL;
    assert_int_equal(put_user(bench, 1, user(0), NBYTES + 1, NULL), CMA_EINVAL);
    assert_int_equal(put_user(bench, 1, user(0), 0x5080, NULL), CMA_EOPNOTSUPP);
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

/* Memory that lies apart, and one run on the device's bus; and the reverse. */
static void test_contiguous_is_what_the_device_sees(void **state)
{
    struct bench *bench = *state;
    cma_paddr_t low = program.pfn[0] << 12, high = program.pfn[8] << 12;
    struct cma_bus_window windows[2] = {{0x2000, low, 0x3000}, {0x5000, high, 0x3000}};
    struct cma_refusal refusal;

    bench_device(bench, &bench->scaler, &bench->scaler_bus, 2, windows, false);
    bench->scaler.config.nwindows = 2;
    memcpy(&program.pfn[3], &program.pfn[8], 3 * sizeof(program.pfn[0]));
    open_user(bench, &bench->scaler, CMA_FROM_DEVICE, 0);
    assert_int_equal(put_user(bench, 0, user(0), 0x6000, NULL), 0);
    assert_int_equal(bench->buffers[0].plane[0].daddr, 0x2000);
    assert_int_equal(cma_video_stream_off(&bench->queue), 0);
    windows[1].daddr = 0x6000; /* a hole of a page on the bus */
    assert_int_equal(put_user(bench, 0, user(0), 0x6000, &refusal), CMA_ERANGE);
    assert_int_equal(refusal.possible_run_npages, 3);
    windows[1] = (struct cma_bus_window){0x9000, low + 0x3000, 0x3000};
    for (uint32_t i = 0; i < 6; i++)
        program.pfn[i] = (low >> 12) + i;
    assert_int_equal(put_user(bench, 0, user(0), 0x6000, &refusal), CMA_ERANGE);
    assert_int_equal(refusal.possible_run_npages, 3);
    windows[1].daddr = 0x5000;
    assert_int_equal(put_user(bench, 0, user(0), 0x6000, NULL), 0);
    assert_int_equal(cma_video_stream_off(&bench->queue), 0);
    /* What the device takes as one segment is a limit too. */
    bench->scaler.config.segment_nbytes_max = 0x5000;
    assert_int_equal(put_user(bench, 0, user(0), 0x6000, &refusal), CMA_ERANGE);
    assert_int_equal(refusal.possible_run_npages, 5);
    bench->scaler.config.segment_nbytes_max = 0;
    bench->scaler.config.segment_boundary_nbytes = 0x4000;
    assert_int_equal(put_user(bench, 0, user(0), 0x6000, &refusal), CMA_ERANGE);
    assert_int_equal(refusal.possible_run_npages, 2);
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

/* Another device's memory: one run, not pinned, not synced, and never what the table knows. */
static void test_memory_of_another_device(void **state)
{
    struct bench *bench = *state;
    struct cma_refusal refusal;

    open_user(bench, &bench->camera, CMA_FROM_DEVICE, 0);
    program.attr[2] = CMA_ATTR_DEVICE;
    assert_int_equal(put_user(bench, 0, user(0), 0x6000, &refusal), CMA_EBADF);
    for (uint32_t i = 0; i < 6; i++)
        program.attr[i] = CMA_ATTR_DEVICE;
    assert_int_equal(put_user(bench, 0, user(0), 0x6000, NULL), CMA_EEXIST);
    for (uint32_t i = 0; i < 6; i++)
        program.pfn[i] = 0x10000 + i;
    assert_int_equal(put_user(bench, 0, user(0), 0x6000, NULL), 0);
    assert_int_equal(bench->buffers[0].plane[0].daddr, 0x10000000);
    assert_int_equal(cma_video_stream_off(&bench->queue), 0); /* maintenance would hit no memory */
    program.pfn[4]++;
    assert_int_equal(put_user(bench, 0, user(0), 0x6000, &refusal), CMA_ERANGE);
    assert_int_equal(refusal.possible_run_npages, 4);
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

/* --- pins -------------------------------------------------------------------------------- */

/* Pages of the page allocator, which the program holds in place or not. */
static void get_pages(struct bench *bench, uint32_t n, const struct cma_holder *holder)
{
    struct cma_pages_request request = {.npages = n, .holder = *holder};
    cma_pfn_t pfn;

    assert_int_equal(cma_pages_alloc(&bench->system.pages, &request, &pfn, NULL), 0);
    for (uint32_t i = 0; i < n; i++)
        program.pfn[i] = pfn + i;
}

static void test_pinned_while_prepared(void **state)
{
    struct bench *bench = *state;
    struct cma_holder holder = {.kind = CMA_KIND_UNMOVABLE};
    struct cma_video_info info;
    cma_pfn_t other;

    get_pages(bench, 8, &holder);
    open_user(bench, &bench->camera, CMA_FROM_DEVICE, 0);
    assert_int_equal(put_user(bench, 0, user(0), 0x6000, NULL), 0);
    assert_int_equal(pins(bench), 6);
    assert_int_equal(put_user(bench, 1, user(0x2000), 0x6000, NULL), 0);
    assert_int_equal(pins(bench), 12);
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    driver_done(&bench->driver, 0, CMA_VIDEO_DONE);
    assert_int_equal(pins(bench), 12);
    assert_int_equal(cma_video_dequeue(&bench->queue, false, &info), 0);
    assert_int_equal(pins(bench), 6);
    assert_int_equal(cma_video_stream_off(&bench->queue), 0);
    assert_int_equal(pins(bench), 0);
    /* Refused at each page: what was pinned until then is not any more. */
    for (uint32_t i = 0; i < 6; i++) {
        other = program.pfn[i];
        program.pfn[i] = 0;
        assert_int_equal(put_user(bench, 0, user(0), 0x6000, NULL), CMA_ENOENT);
        program.pfn[i] = program.pfn[14]; /* a device's: can't be pinned, and is of another kind */
        assert_int_equal(put_user(bench, 0, user(0), 0x6000, NULL), CMA_ERANGE);
        program.pfn[i] = other;
        assert_int_equal(pins(bench), 0);
    }
    bench->camera.config.mask = 0xffff; /* and when it can't be mapped */
    assert_int_equal(put_user(bench, 0, user(0), 0x6000, NULL), CMA_ERANGE);
    assert_int_equal(pins(bench), 0);
    /* Nobody's memory is not taken. */
    program.pfn[0] = (BASE >> 12) + NPAGES - 1;
    assert_int_equal(put_user(bench, 0, user(0), 0x6000, NULL), CMA_EBADF);
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

/* A page moves, or is unmapped, when it was looked up and not yet pinned. The frame that it had is
 * nobody's by then, a device's, or another page's: the device never gets it. */
static void test_pages_that_move_meanwhile(void **state)
{
    struct bench *bench = *state;
    cma_pfn_t stale[3] = {(BASE >> 12) + NPAGES - 1, program.pfn[14], 0}, home;
    struct cma_pages_request request = {.npages = 1, .holder = {.kind = CMA_KIND_UNMOVABLE}};

    assert_int_equal(cma_pages_alloc(&bench->system.pages, &request, &stale[2], NULL), 0);
    get_pages(bench, 8, &request.holder);
    open_user(bench, &bench->camera, CMA_FROM_DEVICE, 0);
    for (uint32_t i = 0; i < 3; i++) {
        for (uint32_t page = 0; page < 6; page++) {
            program.stale[page] = stale[i];
            assert_int_equal(put_user(bench, 0, user(0), 0x6000, NULL), 0);
            assert_int_equal(bench->buffers[0].plane[0].daddr, program.pfn[0] << 12);
            assert_int_equal(pins(bench), 6);
            assert_int_equal(cma_video_stream_off(&bench->queue), 0);
            home = program.pfn[page];
            program.pfn[page] = 0;
            program.stale[page] = stale[i];
            assert_int_equal(put_user(bench, 0, user(0), 0x6000, NULL), CMA_ENOENT);
            program.pfn[page] = home;
            assert_int_equal(pins(bench), 0);
        }
    }
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

/* The same memory comes again and again. Its pages were nobody's to keep meanwhile, so each is
 * looked up again: the device writes to where they are now. */
static void test_queued_again_and_again(void **state)
{
    struct bench *bench = *state;
    struct cma_holder holder = {.kind = CMA_KIND_UNMOVABLE};
    struct cma_video_info info;

    open_user(bench, &bench->camera, CMA_FROM_DEVICE, 0);
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    for (uint32_t i = 0; i < 6; i++) {
        if (i % 2 != 0)
            get_pages(bench, 8, &holder); /* from the first on, they are pinned */
        program.nlookups = 0;
        assert_int_equal(put_user(bench, 0, user(0), 0x6000, NULL), 0);
        assert_int_equal(program.nlookups, 12);
        assert_int_equal(bench->buffers[0].plane[0].daddr, program.pfn[0] << 12);
        assert_int_equal(pins(bench), i == 0 ? 0 : 6);
        driver_done(&bench->driver, 0, CMA_VIDEO_DONE);
        assert_int_equal(cma_video_dequeue(&bench->queue, false, &info), 0);
        assert_int_equal(program.nlookups, 12);
    }
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

/* Where the second plane is refused, the first is let go. */
static void test_all_planes_or_none(void **state)
{
    struct bench *bench = *state;
    struct cma_holder holder = {.kind = CMA_KIND_UNMOVABLE};
    struct cma_video_put what = {.nplanes = 2};

    get_pages(bench, 8, &holder);
    bench->driver.nplanes = 2;
    open_user(bench, &bench->camera, CMA_FROM_DEVICE, 0);
    what.plane[0].vaddr = user(0);
    what.plane[0].nbytes = 0x6000;
    what.plane[1].vaddr = user(0x6000);
    what.plane[1].nbytes = 0xfc0;
    assert_int_equal(cma_video_queue_buffer(&bench->queue, &what, NULL), CMA_EINVAL);
    assert_int_equal(pins(bench), 0);
    what.plane[1].nbytes = 0x1000;
    assert_int_equal(cma_video_queue_buffer(&bench->queue, &what, NULL), 0);
    assert_int_equal(pins(bench), 7);
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

/* Movable data of an area moves out of it before a device gets it: the pin pays. */
static void test_pins_move_out_of_areas(void **state)
{
    struct bench *bench = *state;
    struct sim_store_config config = {
        .type = SIM_STORE_ANON, .name = "anon", .capacity = NPAGES, .seed = 3};
    struct sim_store *store =
        sim_store_create(bench->sim, &bench->system.frames, &bench->system.pages, &config);
    cma_pfn_t first = (BASE >> 12) + AREA_FIRST;
    uint32_t id, in_area = 0;

    program.store = store;
    program.is_object[0] = true;
    while (sim_store_add(store, &id, NULL) == 0) {
        cma_pfn_t pfn = sim_store_pfn(store, id);

        if (pfn >= first && pfn < first + AREA_NPAGES) {
            program.object[0] = id;
            in_area++;
        }
    }
    assert_true(in_area > 0);
    /* Room for it to move to. */
    for (id = 0; id < 40; id++) {
        if (id != program.object[0])
            assert_int_equal(sim_store_remove(store, id), 0);
    }
    open_user(bench, &bench->camera, CMA_FROM_DEVICE, 0);
    bench->buffers[0].plane[0].nbytes = 4096;
    assert_int_equal(put_user(bench, 0, user(0), 4096, NULL), 0);
    assert_false(sim_store_pfn(store, program.object[0]) >= first &&
                 sim_store_pfn(store, program.object[0]) < first + AREA_NPAGES);
    assert_int_equal(bench->buffers[0].plane[0].daddr, sim_store_pfn(store, program.object[0])
                                                           << 12);
    assert_int_equal(pins(bench), 1);
    assert_int_equal(cma_video_release(&bench->queue), 0);
    assert_true(sim_store_verify_all(store));
    sim_store_destroy(store);
}

/* What a device writes is kept, for it could not be dropped without loss; what it reads need not
 * be. */
static void test_written_pages_are_kept(void **state)
{
    static const enum cma_direction directions[] = {CMA_TO_DEVICE, CMA_FROM_DEVICE};
    struct bench *bench = *state;
    struct sim_store_config config = {
        .type = SIM_STORE_CACHE, .name = "cache", .capacity = 64, .seed = 3};
    struct sim_store *store =
        sim_store_create(bench->sim, &bench->system.frames, &bench->system.pages, &config);
    struct cma_frame_info info;
    uint32_t other;

    program.store = store;
    program.is_object[0] = true;
    assert_int_equal(sim_store_add(store, &program.object[0], NULL), 0);
    assert_int_equal(sim_store_writeback(store, program.object[0]), 0);
    for (uint32_t i = 0; i < 2; i++) {
        open_user(bench, &bench->camera, directions[i], 0);
        bench->buffers[0].plane[0].nbytes = 4096;
        assert_int_equal(put_user(bench, 0, user(0), 4096, NULL), 0);
        assert_int_equal(
            cma_frame_info(&bench->system.frames, sim_store_pfn(store, program.object[0]), &info),
            0);
        assert_int_equal(info.kind, i == 0 ? CMA_KIND_DROPPABLE : CMA_KIND_MOVABLE);
        assert_int_equal(info.pins, 1);
        assert_int_equal(cma_video_release(&bench->queue), 0);
    }
    /* What is another's by the time that it is pinned may still be dropped. */
    assert_int_equal(sim_store_add(store, &other, NULL), 0);
    assert_int_equal(sim_store_writeback(store, other), 0);
    open_user(bench, &bench->camera, CMA_FROM_DEVICE, 0);
    bench->buffers[0].plane[0].nbytes = 4096;
    program.stale[0] = sim_store_pfn(store, other);
    assert_int_equal(put_user(bench, 0, user(0), 4096, NULL), 0);
    assert_int_equal(program.stale[0], 0);
    assert_int_equal(cma_frame_info(&bench->system.frames, sim_store_pfn(store, other), &info), 0);
    assert_int_equal(info.kind, CMA_KIND_DROPPABLE);
    assert_int_equal(info.pins, 0);
    assert_int_equal(cma_video_release(&bench->queue), 0);
    assert_int_equal(sim_store_remove(store, other), 0);
    assert_int_equal(sim_store_remove(store, program.object[0]), 0);
    sim_store_destroy(store);
}

/* --- bytes ------------------------------------------------------------------------------- */

static void fill(uint8_t *bytes, uint64_t nbytes, uint32_t number)
{
    for (uint64_t i = 0; i < nbytes; i++)
        bytes[i] = (uint8_t)(number * 41 + i * 7 + (i >> 8));
}

/* The program's bytes at `offset` of its first pages, which are one run. */
static void program_fills(uint64_t offset, uint64_t nbytes, uint32_t number)
{
    uint8_t bytes[0x8000];

    fill(bytes, nbytes, number);
    sim_write_paddr(program.bench->sim, (program.pfn[0] << 12) + offset, bytes, nbytes);
}

static bool program_sees(uint64_t offset, uint64_t nbytes, uint32_t number)
{
    uint8_t bytes[0x8000], wanted[0x8000];

    fill(wanted, nbytes, number);
    sim_read_paddr(program.bench->sim, (program.pfn[0] << 12) + offset, bytes, nbytes);
    return memcmp(bytes, wanted, nbytes) == 0;
}

static void device_fills(cma_daddr_t daddr, uint64_t nbytes, uint32_t number)
{
    uint8_t bytes[0x8000];

    fill(bytes, nbytes, number);
    assert_true(simdev_write(&program.bench->camera_bus, daddr, bytes, nbytes));
}

static bool device_finds(cma_daddr_t daddr, uint64_t nbytes, uint32_t number)
{
    uint8_t bytes[0x8000], wanted[0x8000];

    fill(wanted, nbytes, number);
    assert_true(simdev_read(&program.bench->camera_bus, daddr, bytes, nbytes));
    return memcmp(bytes, wanted, nbytes) == 0;
}

/* The device writes a picture to the program's memory. */
static void round_trip(struct bench *bench, uint64_t offset, uint64_t nbytes, uint32_t number)
{
    cma_daddr_t daddr;
    struct cma_video_info info;

    /* What lies before and behind is the program's, and stays so. */
    program_fills(0, 0x8000, number);
    assert_int_equal(put_user(bench, 0, user(offset), nbytes, NULL), 0);
    daddr = bench->buffers[0].plane[0].daddr;
    device_fills(daddr, nbytes, number + 1);
    program_fills(offset + nbytes, 64, number + 2);
    driver_done(&bench->driver, 0, CMA_VIDEO_DONE);
    assert_int_equal(cma_video_dequeue(&bench->queue, false, &info), 0);
    assert_true(program_sees(offset, nbytes, number + 1));
    assert_true(program_sees(offset + nbytes, 64, number + 2));
    memset(bench->driver.log, 0, sizeof(bench->driver.log));
}

static void test_users_see_right_bytes(void **state)
{
    struct bench *bench = *state;

    open_user(bench, &bench->camera, CMA_FROM_DEVICE, 0);
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    for (uint32_t i = 0; i < 50; i++)
        round_trip(bench, (i % 5) * LINE, 0x5080, i);
    assert_int_equal(cma_video_release(&bench->queue), 0);
    open_user(bench, &bench->camera, CMA_TO_DEVICE, 0);
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    for (uint32_t i = 0; i < 50; i++) {
        program_fills(0, 0x5080, i);
        assert_int_equal(put_user(bench, 0, user(0), 0x5080, NULL), 0);
        assert_true(device_finds(bench->buffers[0].plane[0].daddr, 0x5080, i));
        assert_int_equal(cma_video_stream_off(&bench->queue), 0);
        assert_int_equal(cma_video_stream_on(&bench->queue), 0);
        memset(bench->driver.log, 0, sizeof(bench->driver.log));
    }
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

/* Hints are of the cache; another device may have written what is copied in, and may read what is
 * copied back. */
static void hints_copy(struct bench *bench)
{
    struct cma_video_put what = {.nplanes = 1,
                                 .hints = CMA_VIDEO_PLANE_HINT_SKIP_PREPARE |
                                          CMA_VIDEO_PLANE_HINT_SKIP_FINISH};
    struct cma_video_info info;

    what.plane[0].vaddr = user(0);
    what.plane[0].nbytes = 0x5080;
    program_fills(0, 0x8000, 6);
    assert_int_equal(cma_video_stream_off(&bench->queue), 0);
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    assert_int_equal(cma_video_queue_buffer(&bench->queue, &what, NULL), 0);
    assert_true(device_finds(bench->buffers[0].plane[0].daddr, 0x5080, 6));
    assert_int_equal(cma_video_release(&bench->queue), 0);
    open_user(bench, &bench->camera, CMA_FROM_DEVICE, CMA_VIDEO_BOUNCE_USER);
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    assert_int_equal(cma_video_queue_buffer(&bench->queue, &what, NULL), 0);
    device_fills(bench->buffers[0].plane[0].daddr, 0x5080, 7);
    driver_done(&bench->driver, 0, CMA_VIDEO_DONE);
    assert_int_equal(cma_video_dequeue(&bench->queue, false, &info), 0);
    assert_true(program_sees(0, 0x5080, 7));
}

/* Bounced where lines are shared, and then neighbours are safe; and where it is out of reach. */
static void test_bounced_users(void **state)
{
    struct bench *bench = *state;
    struct cma_bounce_config config = {.name = "bounce",
                                       .nbytes = 1 << 18,
                                       .owner = 8,
                                       .area = &bench->system.areas[0],
                                       .paddr_last = UINT64_MAX};
    uint64_t nbytes = cma_bounce_size(&bench->port, &config);
    struct cma_bounce bounce;
    void *storage = malloc(nbytes);

    assert_int_equal(cma_bounce_init(&bounce, &bench->system.dma, &config, storage, nbytes, NULL),
                     0);
    cma_bounce_use(&bench->system.dma, &bounce);
    open_user(bench, &bench->camera, CMA_FROM_DEVICE, CMA_VIDEO_BOUNCE_USER);
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    for (uint32_t i = 0; i < 50; i++)
        round_trip(bench, 13 * i, NBYTES + i, i);
    assert_int_equal(cma_video_release(&bench->queue), 0);
    bench->camera.config.flags |= CMA_DEVICE_BOUNCE_ALWAYS;
    open_user(bench, &bench->camera, CMA_TO_DEVICE, CMA_VIDEO_BOUNCE_USER);
    assert_int_equal(cma_video_stream_on(&bench->queue), 0);
    program_fills(0, 0x8000, 5);
    assert_int_equal(put_user(bench, 0, user(0), 0x5080, NULL), 0);
    assert_true(bench->buffers[0].plane[0].daddr != program.pfn[0] << 12);
    assert_true(device_finds(bench->buffers[0].plane[0].daddr, 0x5080, 5));
    hints_copy(bench);
    assert_int_equal(cma_video_release(&bench->queue), 0);
    /* Without the flag it is refused. */
    open_user(bench, &bench->camera, CMA_TO_DEVICE, 0);
    assert_int_equal(put_user(bench, 0, user(0), 0x5080, NULL), CMA_ERANGE);
    assert_int_equal(cma_video_release(&bench->queue), 0);
    cma_bounce_use(&bench->system.dma, NULL);
    assert_int_equal(cma_bounce_destroy(&bounce), 0);
    free(storage);
}

/* Prepared with one memory and queued with another: no. */
static void test_queued_as_prepared(void **state)
{
    struct bench *bench = *state;
    struct cma_video_put what = {.nplanes = 1};

    open_user(bench, &bench->camera, CMA_FROM_DEVICE, 0);
    what.plane[0].vaddr = user(0);
    what.plane[0].nbytes = 0x6000;
    assert_int_equal(cma_video_prepare(&bench->queue, &what, NULL), 0);
    assert_int_equal(put_user(bench, 0, user(LINE), 0x6000, NULL), CMA_EBADF);
    assert_int_equal(put_user(bench, 0, user(0), 0x6040, NULL), CMA_EBADF);
    assert_int_equal(put_user(bench, 0, user(0), 0x6000, NULL), 0);
    assert_int_equal(cma_video_release(&bench->queue), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, user_setup, user_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_case_46_lines_and_length),
        TEST(test_each_page_is_judged),
        TEST(test_contiguous_is_what_the_device_sees),
        TEST(test_memory_of_another_device),
        TEST(test_pinned_while_prepared),
        TEST(test_queued_again_and_again),
        TEST(test_pages_that_move_meanwhile),
        TEST(test_all_planes_or_none),
        TEST(test_pins_move_out_of_areas),
        TEST(test_written_pages_are_kept),
        TEST(test_users_see_right_bytes),
        TEST(test_bounced_users),
        TEST(test_queued_as_prepared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
