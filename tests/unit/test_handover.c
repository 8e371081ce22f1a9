/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_handover.c - memory becomes a device's and ordinary again: no second mapping with other
 * attributes (H13), no line left in a cache (H2), nothing of who had it before (H1)
 */
#include "handover_board.h"

/* --- telling and asking ---------------------------------------------------------------- */

/* H13: whoever told first keeps his attributes; the place of the conflict is named. */
static void test_told(void **state)
{
    struct cma_mapping first = {
        .paddr = AT(HIGH_FIRST + 4), .nbytes = 4 * PAGE, .attr = CMA_ATTR_DEVICE, .what = "board"};
    struct cma_mapping second = {
        .paddr = AT(HIGH_FIRST + 7), .nbytes = 2 * PAGE, .attr = CMA_ATTR_CACHED, .what = "other"};
    struct cma_conflict conflict;
    void *vaddr, *other;

    (void)state;
    board_create(1, 0);
    assert_int_equal(board.port.map(board.sim, first.paddr, first.nbytes, CMA_ATTR_DEVICE, &vaddr),
                     0);
    first.vaddr = (uint8_t *)vaddr + PAGE;
    assert_int_equal(cma_handover_tell(board.dma, &first, &conflict), CMA_EBADF);
    first.vaddr = vaddr;
    first.attr = CMA_ATTR_UNCACHED;
    assert_int_equal(cma_handover_tell(board.dma, &first, NULL), CMA_EBADF);
    first.attr = CMA_ATTR_DEVICE;
    assert_int_equal(cma_handover_tell(board.dma, &first, NULL), 0);
    assert_int_equal(cma_handover_tell(board.dma, &first, NULL), CMA_EINVAL);
    assert_int_equal(
        cma_handover_look(board.dma, AT(HIGH_FIRST), 5 * PAGE, CMA_ATTR_CACHED, &conflict),
        CMA_EEXIST);
    assert_true(conflict.paddr == first.paddr && conflict.vaddr == vaddr);
    assert_int_equal(conflict.attr, CMA_ATTR_DEVICE);
    assert_string_equal(conflict.what, "board");
    assert_int_equal(cma_handover_look(board.dma, AT(HIGH_FIRST), 5 * PAGE, CMA_ATTR_DEVICE, NULL),
                     0);
    assert_int_equal(cma_handover_look(board.dma, AT(HIGH_FIRST), 4 * PAGE, CMA_ATTR_CACHED, NULL),
                     0);
    assert_int_equal(cma_handover_look(board.dma, AT(HIGH_FIRST + 8), PAGE, CMA_ATTR_CACHED, NULL),
                     0);
    /* The one that overlaps by a page; the port's own word is out of the way. */
    board.port.lookup = NULL;
    second.vaddr = &second;
    assert_int_equal(cma_handover_tell(board.dma, &second, &conflict), CMA_EEXIST);
    assert_true(conflict.paddr == AT(HIGH_FIRST + 7));
    assert_true(conflict.vaddr == (uint8_t *)vaddr + 3 * PAGE);
    second.attr = CMA_ATTR_DEVICE;
    assert_int_equal(cma_handover_tell(board.dma, &second, &conflict), 0);
    assert_int_equal(cma_handover_forget(board.dma, &first), 0);
    assert_int_equal(cma_handover_forget(board.dma, &first), CMA_ENOENT);
    assert_int_equal(cma_handover_forget(board.dma, &second), 0);
    board.port.lookup = sim_port(board.sim)->lookup;
    /* It is nobody's now: any attribute will do. */
    assert_int_equal(cma_handover_look(board.dma, AT(HIGH_FIRST), 5 * PAGE, CMA_ATTR_CACHED, NULL),
                     0);
    board.port.unmap(board.sim, vaddr, first.nbytes);
    board.port.tlb_flush(board.sim);
    assert_int_equal(board.port.map(board.sim, first.paddr, first.nbytes, CMA_ATTR_CACHED, &other),
                     0);
    board.port.unmap(board.sim, other, first.nbytes);
    board.port.tlb_flush(board.sim);
    board_destroy();
}

static void test_malformed(void **state)
{
    struct cma_mapping mapping = {
        .paddr = AT(HIGH_FIRST), .nbytes = PAGE, .attr = CMA_ATTR_NONE, .what = "x"};
    void *vaddr = NULL;

    (void)state;
    board_create(1, 0);
    assert_int_equal(cma_handover_tell(board.dma, &mapping, NULL), CMA_EINVAL);
    mapping.attr = CMA_ATTR_DEVICE;
    mapping.what = NULL;
    assert_int_equal(cma_handover_tell(board.dma, &mapping, NULL), CMA_EINVAL);
    assert_int_equal(cma_handover_look(board.dma, BASE, 0, CMA_ATTR_CACHED, NULL), CMA_EINVAL);
    assert_int_equal(cma_handover_look(board.dma, BASE + 1, PAGE, CMA_ATTR_CACHED, NULL),
                     CMA_EINVAL);
    assert_int_equal(cma_handover_look(board.dma, BASE, PAGE - 1, CMA_ATTR_CACHED, NULL),
                     CMA_EINVAL);
    /* H9: the last byte of all numbers is an address, the one behind it is not. */
    assert_int_equal(
        cma_handover_look(board.dma, UINT64_MAX - PAGE + 1, 2 * PAGE, CMA_ATTR_CACHED, NULL),
        CMA_EOVERFLOW);
    assert_int_equal(
        cma_handover_look(board.dma, UINT64_MAX - PAGE + 1, PAGE, CMA_ATTR_CACHED, NULL), 0);
    assert_int_equal(cma_handover_take(board.dma, BASE, PAGE, CMA_ATTR_CACHED, false, &vaddr, NULL),
                     CMA_EINVAL);
    assert_int_equal(cma_handover_take(board.dma, BASE, PAGE, CMA_ATTR_DEVICE, false, &vaddr, NULL),
                     CMA_EINVAL);
    assert_null(vaddr);
    assert_int_equal(cma_handover_return(board.dma, BASE, 0, NULL), CMA_EINVAL);
    board_destroy();
}

/* The linear mapping counts as told of. */
static void test_linear_mapping_is_seen(void **state)
{
    struct cma_conflict conflict;
    struct cma_mapping mapping = {
        .paddr = AT(LOW_FIRST), .nbytes = 2 * PAGE, .attr = CMA_ATTR_UNCACHED, .what = "mine"};

    (void)state;
    board_create(1, 0);
    assert_int_equal(
        cma_handover_look(board.dma, AT(HIGH_FIRST - 1), 2 * PAGE, CMA_ATTR_UNCACHED, &conflict),
        CMA_EEXIST);
    assert_true(conflict.paddr == AT(HIGH_FIRST - 1));
    assert_string_equal(conflict.what, "linear mapping");
    assert_int_equal(
        cma_handover_look(board.dma, AT(HIGH_FIRST - 1), 2 * PAGE, CMA_ATTR_CACHED, NULL), 0);
    assert_int_equal(
        cma_handover_look(board.dma, AT(HIGH_FIRST), 2 * PAGE, CMA_ATTR_UNCACHED, NULL), 0);
    board.port.lookup = NULL; /* nothing is known, and callers are believed */
    assert_int_equal(cma_handover_tell(board.dma, &mapping, &conflict), 0);
    board.port.lookup = sim_port(board.sim)->lookup;
    assert_int_equal(cma_handover_forget(board.dma, &mapping), 0);
    mapping.vaddr = board.port.vaddr(board.sim, mapping.paddr);
    mapping.attr = CMA_ATTR_CACHED;
    assert_int_equal(cma_handover_tell(board.dma, &mapping, &conflict), 0);
    assert_int_equal(cma_handover_forget(board.dma, &mapping), 0);
    board_destroy();
}

/* --- taking and returning -------------------------------------------------------------- */

static void take_and_use(uint64_t seed, enum cma_attr attr)
{
    struct simdev_config config = {.name = "dev", .daddr_last = UINT64_MAX};
    struct cma_conflict conflict;
    struct cma_coherent buffer = {
        .paddr = AT(LOW_FIRST), .daddr = AT(LOW_FIRST), .nbytes = 10 * PAGE};
    struct simdev dev;
    void *vaddr = NULL, *again = NULL;

    board_create(seed, 0);
    simdev_init(&dev, board.sim, &config);
    dirty(buffer.paddr, 10, 0x5a);
    assert_int_equal(
        cma_handover_take(board.dma, buffer.paddr, buffer.nbytes, attr, false, &vaddr, &conflict),
        0);
    assert_non_null(vaddr);
    assert_int_equal(attr_at(vaddr), attr);
    assert_int_equal(attr_at((uint8_t *)vaddr + 9 * PAGE), attr);
    buffer.vaddr = attr == CMA_ATTR_NONE ? NULL : vaddr;
    /* The contents stay, in memory. */
    assert_int_equal(wrong_when_new(&buffer, &dev, 0x5a), 0);
    assert_int_equal(wrong_in_use(&buffer, &dev, seed % 2 != 0), 0);
    if (attr != CMA_ATTR_NONE) {
        /* Who comes second hears where it stands in the way. */
        assert_int_equal(cma_handover_take(board.dma, AT(LOW_FIRST - 2), 4 * PAGE, attr, false,
                                           &again, &conflict),
                         CMA_EEXIST);
        assert_true(conflict.paddr == AT(LOW_FIRST));
        assert_int_equal(conflict.attr, attr);
        assert_null(again);
    }
    assert_int_equal(cma_handover_return(board.dma, buffer.paddr, buffer.nbytes, vaddr), 0);
    assert_int_equal(wrong_after(&buffer), 0);
    for (uint32_t i = 0; i < SIM_VIOLATIONS; i++) {
        assert_int_equal(sim_violations(board.sim, (enum sim_violation)i), 0);
    }
    board_destroy();
}

static void test_take_and_return(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        take_and_use(seed, CMA_ATTR_UNCACHED);
        take_and_use(seed, CMA_ATTR_WRITECOMBINE);
        take_and_use(seed, CMA_ATTR_NONE);
    }
}

static void test_take_is_refused(void **state)
{
    struct cma_mapping told = {
        .paddr = AT(LOW_FIRST + 3), .nbytes = PAGE, .attr = CMA_ATTR_CACHED, .what = "video.c:7"};
    struct cma_conflict conflict;
    void *vaddr = NULL;

    (void)state;
    board_create(1, 0);
    told.vaddr = board.port.vaddr(board.sim, told.paddr);
    assert_int_equal(cma_handover_tell(board.dma, &told, NULL), 0);
    assert_int_equal(cma_handover_take(board.dma, AT(LOW_FIRST), 5 * PAGE, CMA_ATTR_UNCACHED, false,
                                       &vaddr, &conflict),
                     CMA_EEXIST);
    assert_string_equal(conflict.what, "video.c:7");
    assert_true(conflict.paddr == told.paddr);
    assert_int_equal(cma_handover_take(board.dma, AT(LOW_FIRST), 5 * PAGE, CMA_ATTR_NONE, true,
                                       &vaddr, &conflict),
                     CMA_EEXIST);
    /* A device that snoops has it as it is. */
    assert_int_equal(cma_handover_take(board.dma, AT(LOW_FIRST), 5 * PAGE, CMA_ATTR_UNCACHED, true,
                                       &vaddr, &conflict),
                     0);
    assert_int_equal(attr_at(vaddr), CMA_ATTR_CACHED);
    assert_int_equal(cma_handover_return(board.dma, AT(LOW_FIRST), 5 * PAGE, vaddr), 0);
    assert_int_equal(cma_handover_forget(board.dma, &told), 0);
    /* Partly without linear mapping; wholly. */
    vaddr = NULL;
    assert_int_equal(cma_handover_take(board.dma, AT(HIGH_FIRST - 2), 4 * PAGE, CMA_ATTR_UNCACHED,
                                       false, &vaddr, &conflict),
                     CMA_EOPNOTSUPP);
    assert_null(vaddr);
    vaddr = &board;
    assert_int_equal(cma_handover_take(board.dma, AT(HIGH_FIRST), 4 * PAGE, CMA_ATTR_NONE, false,
                                       &vaddr, &conflict),
                     0);
    assert_null(vaddr);
    assert_int_equal(cma_handover_return(board.dma, AT(HIGH_FIRST), 4 * PAGE, NULL), 0);
    board.port.set_attr = NULL;
    assert_int_equal(cma_handover_take(board.dma, AT(LOW_FIRST), PAGE, CMA_ATTR_UNCACHED, false,
                                       &vaddr, &conflict),
                     CMA_EOPNOTSUPP);
    board_destroy();
}

/* A linear mapping by sections can't be changed page by page: refused, as it was, and the first
 * page that stayed cached is named. In the middle, too, where no end shows it. */
static void test_sections(void **state)
{
    struct cma_coherent_request request = {.nbytes = 8 * PAGE};
    struct cma_coherent buffer;
    struct cma_conflict conflict;
    struct cma_refusal refusal;
    struct cma_device device;
    void *vaddr = NULL;
    uint64_t idle;

    (void)state;
    board_create(1, 16);
    board.section = AT(LOW_FIRST + 3);
    board.section_last = AT(LOW_FIRST + 4) - 1;
    assert_int_equal(cma_handover_take(board.dma, AT(LOW_FIRST), 8 * PAGE, CMA_ATTR_UNCACHED, false,
                                       &vaddr, &conflict),
                     CMA_EOPNOTSUPP);
    assert_true(conflict.paddr == AT(LOW_FIRST + 3));
    assert_true(conflict.vaddr == board.port.vaddr(board.sim, AT(LOW_FIRST + 3)));
    assert_int_equal(conflict.attr, CMA_ATTR_CACHED);
    /* From the page allocator: each page is looked at, and nothing falls back to the window, which
     * would be the second mapping. */
    make_device(&device, 1, AT(HIGH_FIRST) - 1, NULL, 0);
    board.dma->default_area = NULL;
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, NULL), 0);
    assert_int_equal(buffer.source, CMA_SOURCE_PAGES);
    board.section = buffer.paddr + 5 * PAGE;
    board.section_last = board.section + PAGE - 1;
    assert_int_equal(cma_dma_free_coherent(&device, &buffer), 0);
    idle = idle_npages();
    sim_port(board.sim)->set_attr(board.sim, board.section, PAGE, CMA_ATTR_CACHED);
    board.port.tlb_flush(board.sim);
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, &refusal), CMA_EOPNOTSUPP);
    assert_int_equal(refusal.reason, CMA_REASON_ALIAS);
    assert_true(refusal.pfn == board.section / PAGE);
    assert_int_equal(idle_npages(), idle);
    assert_int_equal(board.nwindow_maps, 0);
    board_destroy();
}

/* A mapping of an area's memory that somebody told of: the area's buffers are refused there. */
static void test_told_mapping_stops_a_buffer(void **state)
{
    struct cma_mapping told = {
        .paddr = AT(OWN_FIRST), .nbytes = PAGE, .attr = CMA_ATTR_CACHED, .what = "kmap"};
    struct cma_coherent_request request = {.nbytes = AREA_NPAGES * PAGE};
    struct cma_coherent buffer;
    struct cma_refusal refusal;
    struct cma_device device;

    (void)state;
    board_create(1, 0);
    told.paddr += 77 * PAGE;
    told.vaddr = board.port.vaddr(board.sim, told.paddr);
    make_device(&device, 1, UINT64_MAX, &board.system.areas[1], CMA_DEVICE_AREA_ONLY);
    assert_int_equal(cma_handover_tell(board.dma, &told, NULL), 0);
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, &refusal), CMA_EEXIST);
    assert_int_equal(refusal.reason, CMA_REASON_ALIAS);
    assert_true(refusal.pfn == told.paddr / PAGE);
    assert_int_equal(cma_handover_forget(board.dma, &told), 0);
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, &refusal), 0);
    /* While it is the device's, nobody maps it cached. */
    assert_int_equal(cma_handover_tell(board.dma, &told, NULL), CMA_EBADF);
    assert_int_equal(cma_handover_look(board.dma, told.paddr, PAGE, CMA_ATTR_CACHED, NULL),
                     CMA_EEXIST);
    assert_int_equal(cma_dma_free_coherent(&device, &buffer), 0);
    board_destroy();
}

/* --- the window ------------------------------------------------------------------------ */

static void test_window_seen_the_same(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct simdev_config config = {
            .name = "dev", .daddr_last = UINT64_MAX, .snoops = seed > 16};
        struct cma_coherent_request request = {.nbytes = 20 * PAGE + 100};
        struct cma_coherent buffer;
        struct cma_device device;
        struct simdev dev;

        board_create(seed, 64);
        simdev_init(&dev, board.sim, &config);
        make_device(&device, 3, UINT64_MAX, &board.system.areas[2],
                    CMA_DEVICE_AREA_ONLY | (config.snoops ? CMA_DEVICE_COHERENT : 0));
        for (uint32_t i = 0; i < 4; i++) {
            dirty(AT(HIGH_AREA_FIRST), 40, 0xa5);
            assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, NULL), 0);
            assert_true((uint8_t *)buffer.vaddr >= board.window.vaddr &&
                        (uint8_t *)buffer.vaddr < board.window.vaddr + 64 * PAGE);
            assert_int_equal(attr_at(buffer.vaddr),
                             config.snoops ? CMA_ATTR_CACHED : CMA_ATTR_UNCACHED);
            board_check();
            assert_int_equal(wrong_when_new(&buffer, &dev, 0), 0);
            assert_int_equal(wrong_in_use(&buffer, &dev, seed % 2 != 0), 0);
            assert_int_equal(cma_dma_free_coherent(&device, &buffer), 0);
            assert_int_equal(wrong_after(&buffer), 0);
        }
        assert_int_equal(board.nmaps, 0);
        assert_int_equal(board.nwindow_maps, 4);
        for (uint32_t i = 0; i < SIM_VIOLATIONS; i++) {
            assert_int_equal(sim_violations(board.sim, (enum sim_violation)i), 0);
        }
        board_destroy();
    }
}

/* Addresses run out: a refusal of its own, and nothing is lost. */
static void test_window_runs_out(void **state)
{
    struct cma_coherent_request request = {.nbytes = 10 * PAGE};
    struct cma_coherent buffers[4], wrong;
    struct cma_window_stats stats;
    struct cma_refusal refusal;
    struct cma_device device;
    uint64_t idle;

    (void)state;
    board_create(1, 32);
    make_device(&device, 3, UINT64_MAX, &board.system.areas[2], CMA_DEVICE_AREA_ONLY);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffers[i], NULL), 0);
    }
    idle = idle_npages();
    request.nbytes = 3 * PAGE;
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &wrong, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_WINDOW);
    assert_int_equal(idle_npages(), idle);
    cma_window_stats(&board.window, &stats);
    assert_int_equal(stats.used_nbytes, 30 * PAGE);
    assert_int_equal(stats.free_run_nbytes, 2 * PAGE);
    /* H7: another length, an address inside, the window said to be none, none said to be it. */
    wrong = buffers[1];
    wrong.vaddr = (uint8_t *)wrong.vaddr + PAGE;
    assert_int_equal(cma_dma_free_coherent(&device, &wrong), CMA_EINVAL);
    wrong = buffers[1];
    wrong.vaddr = buffers[0].vaddr;
    assert_int_equal(cma_dma_free_coherent(&device, &wrong), CMA_EINVAL);
    wrong = buffers[1];
    wrong.mapped = 1;
    assert_int_equal(cma_dma_free_coherent(&device, &wrong), CMA_EINVAL);
    /* Where the port can't look, the window still knows how long its runs are. */
    request.nbytes = 2 * PAGE;
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffers[3], NULL), 0);
    board.port.lookup = NULL;
    wrong = buffers[1];
    wrong.vaddr = buffers[3].vaddr;
    assert_int_equal(cma_dma_free_coherent(&device, &wrong), CMA_EINVAL);
    wrong.vaddr = (uint8_t *)buffers[1].vaddr + PAGE;
    assert_int_equal(cma_dma_free_coherent(&device, &wrong), CMA_EINVAL);
    board.port.lookup = sim_port(board.sim)->lookup;
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(cma_dma_free_coherent(&device, &buffers[i]), 0);
        assert_int_equal(cma_dma_free_coherent(&device, &buffers[i]), CMA_EBADF);
    }
    request.nbytes = 32 * PAGE;
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &wrong, &refusal), 0);
    buffers[0] = wrong;
    wrong.mapped = 1;
    assert_int_equal(cma_dma_free_coherent(&device, &wrong), CMA_EINVAL);
    assert_int_equal(cma_dma_free_coherent(&device, &buffers[0]), 0);
    cma_window_stats(&board.window, &stats);
    assert_int_equal(stats.most_used_nbytes, 32 * PAGE);
    board_destroy();
}

static uint64_t used_at_flush;

static void flush_and_look(void *ctx)
{
    struct cma_window_stats stats;

    cma_window_stats(&board.window, &stats);
    used_at_flush = stats.used_nbytes;
    sim_port(board.sim)->tlb_flush(ctx);
}

/* Addresses are nobody else's before the flush that ends their old mapping. */
static void test_window_keeps_until_flushed(void **state)
{
    struct cma_coherent_request request = {.nbytes = 2 * PAGE};
    struct cma_coherent buffer;
    struct cma_window_stats stats;
    struct cma_device device;

    (void)state;
    board_create(1, 32);
    make_device(&device, 3, UINT64_MAX, &board.system.areas[2], CMA_DEVICE_AREA_ONLY);
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, NULL), 0);
    used_at_flush = 0;
    board.port.tlb_flush = flush_and_look;
    assert_int_equal(cma_dma_free_coherent(&device, &buffer), 0);
    board.port.tlb_flush = sim_port(board.sim)->tlb_flush;
    assert_int_equal(used_at_flush, 2 * PAGE);
    cma_window_stats(&board.window, &stats);
    assert_int_equal(stats.used_nbytes, 0);
    board_destroy();
}

static void test_window_is_made_once(void **state)
{
    uint32_t storage[64];
    struct cma_window window;

    (void)state;
    board_create(1, 0);
    assert_int_equal(cma_window_size(&board.port, 0), 0);
    assert_int_equal(cma_window_size(&board.port, PAGE + 1), 0);
    assert_int_equal(cma_window_size(&board.port, UINT64_MAX - PAGE + 1), 0);
    assert_true(cma_window_size(&board.port, 4 * PAGE) <= sizeof(storage));
    assert_int_equal(cma_window_init(&window, board.dma, PAGE / 2, storage, sizeof(storage)),
                     CMA_EINVAL);
    assert_int_equal(cma_window_init(&window, board.dma, PAGE, NULL, 0), CMA_EINVAL);
    assert_int_equal(cma_window_init(&window, board.dma, PAGE, storage, 3), CMA_ENOMEM);
    board.port.window_make = NULL;
    assert_int_equal(cma_window_init(&window, board.dma, PAGE, storage, sizeof(storage)),
                     CMA_EOPNOTSUPP);
    board.port.window_make = sim_port(board.sim)->window_make;
    assert_int_equal(cma_window_init(&window, board.dma, 4 * PAGE, storage, sizeof(storage)), 0);
    assert_int_equal(cma_window_init(&window, board.dma, PAGE, storage, sizeof(storage)),
                     CMA_EEXIST);
    board_destroy();
}

/* A guarantee on memory without linear mapping: refused without a window, and where its addresses
 * do not fit; else its addresses are there whatever others take. */
static void test_window_of_a_promise(void **state)
{
    struct cma_promise_request request = {.nbytes = 5 * PAGE, .count = 4};
    struct cma_coherent_request one = {.nbytes = PAGE}, block = {.nbytes = 5 * PAGE};
    struct cma_coherent others[32], blocks[4];
    struct cma_device device, other;
    struct cma_device_promise promise;
    struct cma_window_stats stats;
    struct cma_admission why;
    struct cma_refusal refusal;
    struct cma_mapping told = {.nbytes = PAGE, .attr = CMA_ATTR_CACHED, .what = "kmap"};
    uint32_t n = 0;

    (void)state;
    board_create(1, 0);
    make_device(&device, 3, UINT64_MAX, &board.system.areas[2], CMA_DEVICE_AREA_ONLY);
    assert_int_equal(cma_device_admit(&device, &board.system.guarantees, &promise, &request, &why),
                     CMA_EOPNOTSUPP);
    assert_int_equal(why.refusal.reason, CMA_REASON_MAPPING);
    board_destroy();

    board_create(1, 24);
    make_device(&device, 3, UINT64_MAX, &board.system.areas[2], CMA_DEVICE_AREA_ONLY);
    make_device(&other, 4, UINT64_MAX, &board.system.areas[2], CMA_DEVICE_AREA_ONLY);
    request.count = 5;
    assert_int_equal(cma_device_admit(&device, &board.system.guarantees, &promise, &request, &why),
                     CMA_ENOMEM);
    assert_int_equal(why.refusal.reason, CMA_REASON_WINDOW);
    cma_window_stats(&board.window, &stats);
    assert_int_equal(stats.reserved_nbytes, 0);
    request.count = 4;
    assert_int_equal(cma_device_admit(&device, &board.system.guarantees, &promise, &request, &why),
                     0);
    cma_window_stats(&board.window, &stats);
    assert_int_equal(stats.reserved_nbytes, 20 * PAGE);
    while (cma_dma_alloc_coherent(&other, &one, &others[n], &refusal) == 0) {
        n++;
    }
    assert_int_equal(n, 4);
    assert_int_equal(refusal.reason, CMA_REASON_WINDOW);
    for (uint32_t round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 4; i++) {
            assert_int_equal(cma_dma_alloc_coherent(&device, &block, &blocks[i], NULL), 0);
            assert_int_equal(blocks[i].source, CMA_SOURCE_GUARANTEE);
            board_check();
        }
        /* What was promised is not to be mapped by others, in use or not. */
        told.paddr = blocks[1].paddr;
        board.port.lookup = NULL;
        assert_int_equal(cma_handover_tell(board.dma, &told, NULL), CMA_EEXIST);
        board.port.lookup = sim_port(board.sim)->lookup;
        /* A request that is shorter has the whole block, and gives it back whole. */
        assert_int_equal(cma_dma_free_coherent(&device, &blocks[round]), 0);
        assert_int_equal(cma_dma_alloc_coherent(&device, &one, &blocks[round], NULL), 0);
        assert_int_equal(cma_device_revoke(&device, &promise), CMA_EBUSY);
        for (uint32_t i = 0; i < 4; i++) {
            assert_int_equal(cma_dma_free_coherent(&device, &blocks[i]), 0);
        }
    }
    while (n != 0) {
        assert_int_equal(cma_dma_free_coherent(&other, &others[--n]), 0);
    }
    assert_int_equal(cma_device_revoke(&device, &promise), 0);
    board_destroy();
}

/* The simulator itself: a second mapping in the window, and one over what no flush has ended, are
 * seen. */
static void test_simulator_sees_wrong_windows(void **state)
{
    const struct cma_port *port;
    cma_paddr_t paddr = 0;
    void *vaddr, *more;

    (void)state;
    board_create(1, 0);
    port = sim_port(board.sim);
    sim_tolerate(board.sim, SIM_ALIAS, true);
    sim_tolerate(board.sim, SIM_STALE_TLB, true);
    sim_tolerate(board.sim, SIM_UNMAPPED, true);
    assert_int_equal(port->window_make(port->ctx, 4 * PAGE, &vaddr), 0);
    assert_int_equal(port->window_make(port->ctx, 4 * PAGE, &more), CMA_ENOMEM);
    port->window_map(port->ctx, vaddr, AT(LOW_FIRST), PAGE, CMA_ATTR_CACHED);
    assert_true(sim_check_aliases(board.sim, &paddr));
    assert_int_equal(sim_violations(board.sim, SIM_ALIAS), 0);
    port->window_unmap(port->ctx, vaddr, PAGE);
    port->tlb_flush(port->ctx);
    port->window_map(port->ctx, vaddr, AT(LOW_FIRST + 1), PAGE, CMA_ATTR_UNCACHED);
    assert_int_equal(sim_violations(board.sim, SIM_ALIAS), 1);
    assert_false(sim_check_aliases(board.sim, &paddr));
    assert_true(paddr == AT(LOW_FIRST + 1));
    /* port->map and the window know of each other. */
    port->window_map(port->ctx, (uint8_t *)vaddr + PAGE, AT(HIGH_FIRST), PAGE, CMA_ATTR_UNCACHED);
    assert_int_equal(port->map(port->ctx, AT(HIGH_FIRST), PAGE, CMA_ATTR_CACHED, &more),
                     CMA_EEXIST);
    port->window_unmap(port->ctx, vaddr, 2 * PAGE);
    assert_true(sim_check_aliases(board.sim, &paddr));
    assert_int_equal(sim_violations(board.sim, SIM_STALE_TLB), 0);
    port->window_map(port->ctx, vaddr, AT(HIGH_FIRST), PAGE, CMA_ATTR_UNCACHED);
    assert_int_equal(sim_violations(board.sim, SIM_STALE_TLB), 1);
    port->window_map(port->ctx, (uint8_t *)vaddr + 3 * PAGE, AT(HIGH_FIRST), 2 * PAGE,
                     CMA_ATTR_UNCACHED);
    assert_int_equal(sim_violations(board.sim, SIM_UNMAPPED), 1);
    sim_destroy(board.sim);
    free(board.storage);
}

/* --- many at once ---------------------------------------------------------------------- */

struct worker {
    struct cma_device device;
    struct simdev dev;
    uint64_t nwrong, nserved, nrefused;
};

static void work(void *arg)
{
    struct worker *worker = arg;
    struct cma_coherent held[4] = {{0}};
    uint32_t nheld = 0;

    for (uint32_t i = 0; i < 300; i++) {
        struct cma_coherent_request request = {.nbytes = 1 + sim_random(board.sim) % (6 * PAGE),
                                               .flags =
                                                   i % 5 == 0 ? CMA_COHERENT_WRITE_COMBINE : 0};
        struct cma_refusal refusal;

        if (nheld == 4 || (nheld != 0 && sim_random(board.sim) % 2 == 0)) {
            nheld--;
            worker->nwrong += wrong_in_use(&held[nheld], &worker->dev, false);
            worker->nwrong += cma_dma_free_coherent(&worker->device, &held[nheld]) != 0;
        } else if (cma_dma_alloc_coherent(&worker->device, &request, &held[nheld], &refusal) == 0) {
            worker->nwrong += wrong_when_new(&held[nheld], &worker->dev, 0);
            worker->nserved++;
            nheld++;
        } else {
            worker->nwrong += refusal.reason != CMA_REASON_WINDOW;
            worker->nrefused++;
        }
    }
    while (nheld != 0) {
        worker->nwrong += cma_dma_free_coherent(&worker->device, &held[--nheld]) != 0;
    }
}

/* Processors take addresses from each other as soon as the flush is over, and one device has blocks
 * that were promised: the only one who is never refused. */
static void test_window_of_many(void **state)
{
    struct simdev_config config = {.name = "dev", .daddr_last = UINT64_MAX};
    struct cma_promise_request request = {.nbytes = 6 * PAGE, .count = 4};
    static struct worker workers[4];
    struct cma_device_promise promise;
    uint64_t nrefused = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        board_create(seed, 56);
        memset(workers, 0, sizeof(workers));
        for (uint32_t i = 0; i < 4; i++) {
            make_device(&workers[i].device, 3 + i, UINT64_MAX, &board.system.areas[2],
                        CMA_DEVICE_AREA_ONLY);
            simdev_init(&workers[i].dev, board.sim, &config);
        }
        assert_int_equal(cma_device_admit(&workers[0].device, &board.system.guarantees, &promise,
                                          &request, NULL),
                         0);
        for (uint32_t i = 0; i < 4; i++) {
            sim_spawn(board.sim, "worker", work, &workers[i]);
        }
        sim_run(board.sim);
        for (uint32_t i = 0; i < 4; i++) {
            assert_int_equal(workers[i].nwrong, 0);
            assert_true(workers[i].nserved > 20);
            nrefused += workers[i].nrefused;
        }
        assert_int_equal(workers[0].nrefused, 0);
        assert_int_equal(cma_device_revoke(&workers[0].device, &promise), 0);
        for (uint32_t i = 0; i < SIM_VIOLATIONS; i++) {
            assert_int_equal(sim_violations(board.sim, (enum sim_violation)i), 0);
        }
        board_destroy();
    }
    assert_true(nrefused != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_told),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_linear_mapping_is_seen),
        cmocka_unit_test(test_take_and_return),
        cmocka_unit_test(test_take_is_refused),
        cmocka_unit_test(test_sections),
        cmocka_unit_test(test_told_mapping_stops_a_buffer),
        cmocka_unit_test(test_window_seen_the_same),
        cmocka_unit_test(test_window_runs_out),
        cmocka_unit_test(test_window_keeps_until_flushed),
        cmocka_unit_test(test_window_is_made_once),
        cmocka_unit_test(test_window_of_a_promise),
        cmocka_unit_test(test_simulator_sees_wrong_windows),
        cmocka_unit_test(test_window_of_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
