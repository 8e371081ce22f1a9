/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_stream.c - streaming mappings, hook by hook: what is judged, in which order, what is done
 * for whom, and what a wrong call does: nothing
 */
#include "stream_board.h"

#define ALL UINT64_MAX

static int map(struct cma_device *device, cma_paddr_t paddr, uint64_t nbytes,
               enum cma_direction direction, uint32_t flags, cma_daddr_t *daddr,
               enum cma_reason reason)
{
    struct cma_refusal refusal = {0};
    int error = cma_dma_map(device, paddr, nbytes, direction, flags, daddr, &refusal);

    assert_int_equal(refusal.code, error);
    assert_int_equal(refusal.reason, reason);
    /* Without a refusal the answer is the same. */
    if (error != 0) {
        cma_daddr_t untouched = 0x1234;

        assert_int_equal(cma_dma_map(device, paddr, nbytes, direction, flags, &untouched, NULL),
                         error);
        assert_true(untouched == 0x1234);
    }
    return error;
}

/* The table at the top of stream.h. */
static void test_table(void **state)
{
    static const struct {
        enum cma_direction direction;
        const char *to_device, *to_cpu, *to_cpu_part;
    } rows[] = {
        {CMA_TO_DEVICE, "clean 80001000+80\nbarrier\n", "barrier\n", "barrier\n"},
        {CMA_FROM_DEVICE, "clean 80001000+80\nbarrier\n", "barrier\ndrop 80001000+80\n",
         "barrier\ndrop 80001040+40\n"},
        {CMA_BIDIRECTIONAL, "clean 80001000+80\nbarrier\n", "barrier\ndrop 80001000+80\n",
         "barrier\ndrop 80001040+40\n"},
    };
    struct cma_device device;
    cma_daddr_t daddr;

    (void)state;
    board_create(false);
    for (uint32_t i = 0; i < 3; i++) {
        enum cma_direction direction = rows[i].direction;

        board_device(&device, ALL, 0);
        assert_int_equal(map(&device, RAM + 0x1000, 0x80, direction, 0, &daddr, 0), 0);
        assert_true(daddr == RAM + 0x1000);
        assert_log(rows[i].to_device);
        assert_int_equal(cma_dma_sync_for_cpu(&device, daddr + 0x40, 0x40, direction), 0);
        assert_log(rows[i].to_cpu_part);
        assert_int_equal(cma_dma_sync_for_device(&device, daddr, 0x80, direction), 0);
        assert_log(rows[i].to_device);
        assert_int_equal(cma_dma_unmap(&device, daddr, 0x80, direction, 0), 0);
        assert_log(rows[i].to_cpu);
        /* A device that snoops: a barrier, nothing else. */
        board_device(&device, ALL, CMA_DEVICE_COHERENT);
        assert_int_equal(map(&device, RAM + 0x1001, 0x7f, direction, 0, &daddr, 0), 0);
        assert_log("barrier\n");
        assert_int_equal(cma_dma_sync_for_cpu(&device, daddr, 0x7f, direction), 0);
        assert_int_equal(cma_dma_sync_for_device(&device, daddr, 0x7f, direction), 0);
        assert_int_equal(cma_dma_unmap(&device, daddr, 0x7f, direction, 0), 0);
        assert_log("barrier\nbarrier\nbarrier\n");
        /* The caller syncs himself. */
        board_device(&device, ALL, 0);
        assert_int_equal(map(&device, RAM, 0x80, direction, CMA_MAP_SKIP_SYNC, &daddr, 0), 0);
        assert_int_equal(cma_dma_unmap(&device, daddr, 0x80, direction, CMA_MAP_SKIP_SYNC), 0);
        assert_log("");
    }
}

/* The same table for bounced mappings. The copy comes before the clean, and behind the drop. */
static void test_table_bounced(void **state)
{
    static const struct {
        enum cma_direction direction;
        const char *to_device, *to_cpu, *unmap;
    } rows[] = {
        {CMA_TO_DEVICE, "in 100000+80\nclean 100000+80\nbarrier\n", "barrier\n",
         "barrier\nfree 100000+80\n"},
        {CMA_FROM_DEVICE, "clean 100000+80\nbarrier\n", "barrier\ndrop 100000+80\nout 100000+80\n",
         "barrier\ndrop 100000+80\nout 100000+80\nfree 100000+80\n"},
        {CMA_BIDIRECTIONAL, "in 100000+80\nclean 100000+80\nbarrier\n",
         "barrier\ndrop 100000+80\nout 100000+80\n",
         "barrier\ndrop 100000+80\nout 100000+80\nfree 100000+80\n"},
    };
    struct cma_device device;
    cma_daddr_t daddr;

    (void)state;
    for (uint32_t i = 0; i < 3; i++) {
        enum cma_direction direction = rows[i].direction;

        board_create(true);
        board_device(&device, 0xffffff, 0);
        assert_int_equal(map(&device, RAM + 5, 0x80, direction, 0, &daddr, 0), 0);
        assert_true(daddr == POOL);
        assert_log("fill 100000+80\nclean 100000+80\nbarrier\n");
        assert_int_equal(cma_dma_sync_for_cpu(&device, daddr, 0x80, direction), 0);
        assert_log(rows[i].to_cpu);
        assert_int_equal(cma_dma_sync_for_device(&device, daddr, 0x80, direction), 0);
        assert_log(rows[i].to_device);
        assert_int_equal(cma_dma_unmap(&device, daddr, 0x80, direction, 0), 0);
        assert_log(rows[i].unmap);
        /* One that snoops: copies, but no maintenance. */
        board_create(true);
        board_device(&device, 0xffffff, CMA_DEVICE_COHERENT);
        assert_int_equal(map(&device, RAM + 5, 0x80, direction, 0, &daddr, 0), 0);
        assert_log("fill 100000+80\nbarrier\n");
        assert_int_equal(cma_dma_unmap(&device, daddr, 0x80, direction, 0), 0);
        assert_log(direction == CMA_TO_DEVICE ? "barrier\nfree 100000+80\n"
                                              : "barrier\nout 100000+80\nfree 100000+80\n");
        board_create(true);
        board_device(&device, 0xffffff, 0);
        assert_int_equal(map(&device, RAM, 0x80, direction, CMA_MAP_SKIP_SYNC, &daddr, 0), 0);
        assert_int_equal(cma_dma_unmap(&device, daddr, 0x80, direction, CMA_MAP_SKIP_SYNC), 0);
        assert_log("take 100000+80\nfree 100000+80\n");
    }
}

static bool hook_says;
static uint64_t hook_paddr, hook_nbytes;

static bool hook(void *ctx, const struct cma_device *device, cma_paddr_t paddr, uint64_t nbytes)
{
    assert_ptr_equal(ctx, &board);
    assert_non_null(device);
    hook_paddr = paddr;
    hook_nbytes = nbytes;
    return hook_says;
}

static void test_order_of_judgement(void **state)
{
    struct cma_device device;
    cma_daddr_t daddr;

    (void)state;
    board_create(true);
    board_device(&device, 0xffffffff, 0);
    cma_dma_set_must_bounce(&board.dma, hook, &board);
    hook_says = true;
    hook_nbytes = 0;
    assert_int_equal(map(&device, RAM, 0, CMA_TO_DEVICE, 0, &daddr, CMA_REASON_ARGUMENT),
                     CMA_EINVAL);
    assert_int_equal(map(&device, RAM, 64, (enum cma_direction)3, 0, &daddr, CMA_REASON_ARGUMENT),
                     CMA_EINVAL);
    assert_int_equal(map(&device, RAM, 64, CMA_TO_DEVICE, 1u << 4, &daddr, CMA_REASON_ARGUMENT),
                     CMA_EINVAL);
    assert_int_equal(map(&device, ALL, 2, CMA_TO_DEVICE, 0, &daddr, CMA_REASON_ARGUMENT),
                     CMA_EOVERFLOW);
    /* Longer than all of its addresses: no pool would help. */
    assert_int_equal(
        map(&device, 0, UINT64_C(0x100000001), CMA_TO_DEVICE, 0, &daddr, CMA_REASON_TOO_LARGE),
        CMA_ERANGE);
    /* Longer than the pool. */
    assert_int_equal(map(&device, UINT64_C(1) << 32, POOL_NBYTES + 1, CMA_TO_DEVICE, 0, &daddr,
                         CMA_REASON_TOO_LARGE),
                     CMA_ERANGE);
    assert_int_equal(hook_nbytes, 0); /* nobody was asked */
    assert_log("");
    assert_int_equal(map(&device, RAM, 128, CMA_TO_DEVICE, 0, &daddr, 0), 0);
    assert_true(hook_paddr == RAM && hook_nbytes == 128 && daddr == POOL);
    assert_int_equal(
        map(&device, RAM, 128, CMA_TO_DEVICE, CMA_MAP_NO_BOUNCE, &daddr, CMA_REASON_BOUNCE),
        CMA_ERANGE);
    assert_int_equal(
        map(&device, RAM, 128, CMA_TO_DEVICE, CMA_MAP_COHERENT, &daddr, CMA_REASON_BOUNCE),
        CMA_EOPNOTSUPP);
    hook_says = false;
    assert_int_equal(map(&device, RAM, 128, CMA_TO_DEVICE, CMA_MAP_NO_BOUNCE, &daddr, 0), 0);
    assert_true(daddr == RAM);
    /* It doesn't snoop. */
    assert_int_equal(map(&device, RAM, 128, CMA_TO_DEVICE, CMA_MAP_COHERENT, &daddr, 0),
                     CMA_EOPNOTSUPP);
    board_device(&device, 0xffffffff, CMA_DEVICE_COHERENT);
    assert_int_equal(map(&device, RAM, 128, CMA_TO_DEVICE, CMA_MAP_COHERENT, &daddr, 0), 0);
    /* No memory in the pool. */
    board.full_after = board.nlive;
    assert_int_equal(
        map(&device, UINT64_C(1) << 32, 64, CMA_TO_DEVICE, 0, &daddr, CMA_REASON_BOUNCE),
        CMA_ENOMEM);
}

/* Case 40, H10: judged on the last byte; and a pool out of reach is none. */
static void test_last_byte(void **state)
{
    struct cma_device device;
    cma_daddr_t daddr;

    (void)state;
    board_create(false);
    board_device(&device, RAM + 0xfff, 0);
    assert_int_equal(map(&device, RAM + 0xfc0, 0x40, CMA_TO_DEVICE, 0, &daddr, 0), 0);
    assert_int_equal(
        map(&device, RAM + 0xfc0, 0x41, CMA_TO_DEVICE, 0, &daddr, CMA_REASON_UNREACHABLE),
        CMA_ERANGE);
    assert_int_equal(map(&device, 0, RAM + 0x1001, CMA_TO_DEVICE, 0, &daddr, CMA_REASON_TOO_LARGE),
                     CMA_ERANGE);
    board_create(true);
    board_device(&device, POOL - 1, 0);
    assert_int_equal(map(&device, RAM, 64, CMA_TO_DEVICE, 0, &daddr, CMA_REASON_BOUNCE),
                     CMA_ERANGE);
    assert_int_equal(board.nlive, 0);
}

static void test_shared_lines(void **state)
{
    struct cma_device device;
    cma_daddr_t daddr;

    (void)state;
    board_create(false);
    board_device(&device, ALL, 0);
    for (uint32_t part = 0; part < 2; part++) {
        cma_paddr_t paddr = RAM + (part == 0 ? 4 : 0);
        uint64_t nbytes = part == 0 ? 124 : 100;

        assert_int_equal(map(&device, paddr, nbytes, CMA_TO_DEVICE, 0, &daddr, 0), 0);
        assert_int_equal(map(&device, paddr, nbytes, CMA_FROM_DEVICE, 0, &daddr, CMA_REASON_LINES),
                         CMA_EINVAL);
        assert_int_equal(
            map(&device, paddr, nbytes, CMA_BIDIRECTIONAL, 0, &daddr, CMA_REASON_LINES),
            CMA_EINVAL);
        assert_int_equal(map(&device, paddr, nbytes, CMA_FROM_DEVICE, CMA_MAP_OWN_LINES, &daddr, 0),
                         0);
    }
    assert_int_equal(map(&device, RAM, 128, CMA_FROM_DEVICE, 0, &daddr, 0), 0);
    board_create(true);
    board_device(&device, ALL, 0);
    assert_int_equal(map(&device, RAM + 4, 124, CMA_FROM_DEVICE, 0, &daddr, 0), 0);
    assert_true(daddr == POOL);
    assert_int_equal(
        map(&device, RAM + 4, 124, CMA_FROM_DEVICE, CMA_MAP_NO_BOUNCE, &daddr, CMA_REASON_LINES),
        CMA_EINVAL);
}

/* H6: a device that is not trusted gets bounce memory or nothing, and its own pool is the only one.
 */
static void test_never_falls_back(void **state)
{
    struct cma_device device;
    struct cma_device_config config = board_config(ALL, CMA_DEVICE_RESTRICTED);
    cma_daddr_t daddr;

    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        board_create(false);
        board_device(&device, ALL, i == 0 ? CMA_DEVICE_UNTRUSTED : CMA_DEVICE_BOUNCE_ALWAYS);
        assert_int_equal(map(&device, RAM, 64, CMA_TO_DEVICE, 0, &daddr, CMA_REASON_BOUNCE),
                         CMA_ERANGE);
        assert_true(cma_dma_map_nbytes_max(&device) == 0);
        board_create(true);
        board_device(&device, ALL, i == 0 ? CMA_DEVICE_UNTRUSTED : CMA_DEVICE_BOUNCE_ALWAYS);
        assert_int_equal(map(&device, RAM, 64, CMA_TO_DEVICE, 0, &daddr, 0), 0);
        assert_true(daddr == POOL);
        assert_true(cma_dma_map_nbytes_max(&device) == POOL_NBYTES);
    }
    board_create(true);
    board.dma.bounce = &board.other;
    config.bounce = &board.bounce;
    assert_int_equal(cma_device_init(&device, &board.dma, &config), 0);
    board.full_after = 1;
    assert_int_equal(map(&device, RAM, 64, CMA_TO_DEVICE, 0, &daddr, 0), 0);
    assert_true(daddr == POOL); /* the other would have failed the test */
    assert_int_equal(map(&device, RAM, 64, CMA_TO_DEVICE, 0, &daddr, CMA_REASON_BOUNCE),
                     CMA_ENOMEM);
    /* Nor is it given what others have there. */
    assert_int_equal(cma_dma_sync_for_cpu(&device, board.other.paddr, 64, CMA_TO_DEVICE),
                     CMA_EPERM);
    assert_int_equal(cma_dma_unmap(&device, board.other.paddr, 64, CMA_TO_DEVICE, 0), CMA_EPERM);
    assert_int_equal(cma_dma_map_resource(&device, 0x5000, 64, CMA_TO_DEVICE, &daddr), CMA_ERANGE);
}

/* H7, H8, case 45: another length, direction, device, an inner address, a part that passes the end,
 * twice: refused, and nothing is done. */
static void test_wrong_unmap(void **state)
{
    struct cma_device device, foreign;
    cma_daddr_t daddr;

    (void)state;
    board_create(true);
    board_device(&device, 0xffffff, 0);
    board_device(&foreign, 0xffffff, 0);
    assert_int_equal(map(&device, RAM, 0x80, CMA_FROM_DEVICE, 0, &daddr, 0), 0);
    board.log[0] = '\0';
    assert_int_equal(cma_dma_unmap(&device, daddr, 0x7f, CMA_FROM_DEVICE, 0), CMA_EINVAL);
    assert_int_equal(cma_dma_unmap(&device, daddr, 0x81, CMA_FROM_DEVICE, 0), CMA_EINVAL);
    assert_int_equal(cma_dma_unmap(&device, daddr + 0x40, 0x40, CMA_FROM_DEVICE, 0), CMA_EINVAL);
    assert_int_equal(cma_dma_unmap(&device, daddr, 0x80, CMA_TO_DEVICE, 0), CMA_EINVAL);
    assert_int_equal(cma_dma_unmap(&device, daddr, 0x80, (enum cma_direction)7, 0), CMA_EINVAL);
    assert_int_equal(cma_dma_unmap(&device, daddr, 0x80, CMA_FROM_DEVICE, 64), CMA_EINVAL);
    assert_int_equal(cma_dma_unmap(&device, daddr, 0, CMA_FROM_DEVICE, 0), CMA_EINVAL);
    assert_int_equal(cma_dma_unmap(&foreign, daddr, 0x80, CMA_FROM_DEVICE, 0), CMA_EPERM);
    assert_int_equal(cma_dma_unmap(&device, 0x1000000, 0x80, CMA_FROM_DEVICE, 0), CMA_ERANGE);
    assert_int_equal(cma_dma_unmap(&device, ALL, 2, CMA_FROM_DEVICE, 0), CMA_EOVERFLOW);
    /* Half in the pool. */
    assert_int_equal(cma_dma_unmap(&device, POOL - 8, 16, CMA_FROM_DEVICE, 0), CMA_EINVAL);
    for (uint64_t offset = 0; offset < 0x82; offset++) {
        for (uint64_t nbytes = 1; nbytes < 0x84; nbytes++) {
            bool inside = offset < 0x80 && nbytes <= 0x80 - offset;
            int error = cma_dma_sync_for_cpu(&device, daddr + offset, nbytes, CMA_FROM_DEVICE);

            board.log[0] = '\0';
            assert_int_equal(error, inside ? 0 : offset < 0x80 ? CMA_EINVAL : CMA_ENOENT);
        }
    }
    assert_int_equal(cma_dma_sync_for_cpu(&device, daddr, ALL, CMA_FROM_DEVICE), CMA_EOVERFLOW);
    assert_int_equal(cma_dma_sync_for_device(&device, daddr, 0x81, CMA_FROM_DEVICE), CMA_EINVAL);
    assert_log("");
    assert_int_equal(cma_dma_unmap(&device, daddr, 0x80, CMA_FROM_DEVICE, 0), 0);
    board.log[0] = '\0';
    assert_int_equal(cma_dma_unmap(&device, daddr, 0x80, CMA_FROM_DEVICE, 0), CMA_ENOENT);
    assert_log("");
}

static void test_single_and_page(void **state)
{
    struct cma_refusal refusal;
    struct cma_device device;
    cma_daddr_t daddr = 0;
    void *vaddr = (void *)VADDR;

    (void)state;
    board_create(false);
    board_device(&device, ALL, 0);
#define SINGLE(offset, nbytes)                                                                \
    cma_dma_map_single(&device, (char *)vaddr + (offset), (nbytes), CMA_TO_DEVICE, 0, &daddr, \
                       &refusal)
    assert_int_equal(SINGLE(0x1010, 0x20), 0);
    assert_true(daddr == RAM + 0x1010);
    assert_int_equal(SINGLE(0xff0, 0x7010), 0); /* to the last byte of the eighth page */
    assert_true(daddr == RAM + 0xff0);
    assert_log("clean 80001010+20\nbarrier\nclean 80000ff0+7010\nbarrier\n");
    assert_int_equal(SINGLE(0xff0, 0x7011), CMA_ERANGE);
    assert_int_equal(SINGLE(0x1000, 0x9000), CMA_ERANGE); /* the odd page inside */
    assert_int_equal(SINGLE(0x8ff0, 0x11), CMA_ERANGE);
    assert_int_equal(SINGLE(0x8ff0, 0x10), 0);
    assert_true(daddr == RAM + 100 * PAGE + 0xff0);
    assert_int_equal(SINGLE(0xafff, 2), CMA_EBADF);
    assert_int_equal(SINGLE(0xd000, 1), CMA_ENOENT);
    assert_int_equal(SINGLE(0xcfff, 2), CMA_ENOENT);
    assert_int_equal(SINGLE(0, 0), CMA_EINVAL);
    assert_int_equal(SINGLE(0, ALL), CMA_EOVERFLOW);
    assert_int_equal(SINGLE(0, UINTPTR_MAX - VADDR + UINT64_C(2)), CMA_EOVERFLOW);
    assert_int_equal(refusal.code, CMA_EOVERFLOW);
    assert_true(refusal.pfn == CMA_PFN_NONE);
    board.port.lookup = NULL;
    assert_int_equal(SINGLE(0, 64), CMA_EOPNOTSUPP);
#undef SINGLE
#define PAGES(pfn, offset, nbytes) \
    cma_dma_map_page(&device, (pfn), (offset), (nbytes), CMA_TO_DEVICE, 0, &daddr, &refusal)
    assert_int_equal(PAGES(RAM / PAGE + 2, 0x2010, 0x3000), 0);
    assert_true(daddr == RAM + 0x4010);
    assert_int_equal(PAGES(ALL >> 12, 0xfff, 1), 0);
    assert_true(daddr == ALL);
    assert_int_equal(PAGES(ALL >> 12, 0xfff, 2), CMA_EOVERFLOW);
    assert_int_equal(PAGES(ALL >> 12, 0x1000, 1), CMA_EOVERFLOW);
    assert_int_equal(PAGES((ALL >> 12) + 1, 0, 1), CMA_EOVERFLOW);
    assert_int_equal(PAGES(1, ALL, 1), CMA_EOVERFLOW);
#undef PAGES
}

static void test_resource(void **state)
{
    cma_paddr_t end = RAM + (uint64_t)RAM_NPAGES * PAGE;
    struct cma_device device;
    cma_daddr_t daddr;

    (void)state;
    board_create(true);
    board_device(&device, end + 0xfff, 0);
    assert_int_equal(cma_dma_map_resource(&device, end, 0x1000, CMA_FROM_DEVICE, &daddr), 0);
    assert_true(daddr == end);
    assert_int_equal(cma_dma_unmap_resource(&device, daddr, 0x1000, CMA_FROM_DEVICE), 0);
    assert_int_equal(cma_dma_unmap_resource(&device, daddr, 0x1001, CMA_FROM_DEVICE), CMA_ERANGE);
    assert_int_equal(cma_dma_unmap_resource(&device, daddr, 0, CMA_FROM_DEVICE), CMA_EINVAL);
    assert_int_equal(cma_dma_unmap_resource(&device, ALL, 2, CMA_FROM_DEVICE), CMA_EOVERFLOW);
    assert_int_equal(cma_dma_map_resource(&device, end, 0x1001, CMA_FROM_DEVICE, &daddr),
                     CMA_ERANGE); /* never bounced */
    assert_int_equal(cma_dma_map_resource(&device, RAM - 8, 8, CMA_FROM_DEVICE, &daddr), 0);
    assert_int_equal(cma_dma_map_resource(&device, RAM - 8, 9, CMA_FROM_DEVICE, &daddr),
                     CMA_EEXIST);
    assert_int_equal(cma_dma_map_resource(&device, end - 1, 1, CMA_FROM_DEVICE, &daddr),
                     CMA_EEXIST);
    assert_int_equal(cma_dma_map_resource(&device, 0, ALL, CMA_FROM_DEVICE, &daddr), CMA_EEXIST);
    assert_int_equal(cma_dma_map_resource(&device, end, 0, CMA_FROM_DEVICE, &daddr), CMA_EINVAL);
    assert_int_equal(cma_dma_map_resource(&device, end, 8, (enum cma_direction)3, &daddr),
                     CMA_EINVAL);
    assert_int_equal(cma_dma_map_resource(&device, end, ALL, CMA_FROM_DEVICE, &daddr),
                     CMA_EOVERFLOW);
    assert_log("");
}

static void test_questions(void **state)
{
    static const struct cma_bus_window windows[] = {{0x1000, RAM, 0x800000},
                                                    {0x4000000, RAM + 0x800000, 0x400000}};
    static const struct cma_bus_window whole[] = {{0x1000, RAM, 0x800000},
                                                  {0x4000000, RAM + 0x800000, 0x800000}};
    cma_paddr_t last = RAM + (uint64_t)RAM_NPAGES * PAGE - 1;
    struct cma_device_config config = board_config(ALL, CMA_DEVICE_COHERENT);
    struct cma_device device;

    (void)state;
    board_create(true);
    board_device(&device, last, CMA_DEVICE_COHERENT);
    assert_false(cma_dma_is_limited(&device));
    assert_false(cma_dma_needs_sync(&device));
    assert_int_equal(cma_dma_align_nbytes(&device), 1);
    assert_true(cma_dma_map_nbytes_max(&device) == ALL);
    assert_true(cma_dma_required_mask(&device) == 0xffffffff);
    board_device(&device, last, 0);
    assert_true(cma_dma_needs_sync(&device));
    assert_int_equal(cma_dma_align_nbytes(&device), LINE);
    board_device(&device, last - 1, CMA_DEVICE_COHERENT);
    assert_true(cma_dma_is_limited(&device));
    assert_true(cma_dma_needs_sync(&device));
    board.dma.bounce = NULL; /* then it is mapped as it is, or not at all */
    assert_false(cma_dma_needs_sync(&device));
    board.dma.bounce = &board.bounce;
    board_device(&device, ALL, CMA_DEVICE_COHERENT | CMA_DEVICE_UNTRUSTED);
    assert_true(cma_dma_needs_sync(&device));
    board_device(&device, ALL, CMA_DEVICE_COHERENT);
    assert_false(cma_dma_needs_sync(&device));
    cma_dma_set_must_bounce(&board.dma, hook, &board);
    assert_true(cma_dma_needs_sync(&device));
    /* Through windows; two of them hold all of it, though not in one piece. */
    config.windows = windows;
    config.nwindows = 2;
    assert_int_equal(cma_device_init(&device, &board.dma, &config), 0);
    assert_true(cma_dma_is_limited(&device));
    assert_true(cma_dma_required_mask(&device) == 0x7ffffff);
    config.windows = whole;
    assert_int_equal(cma_device_init(&device, &board.dma, &config), 0);
    assert_false(cma_dma_is_limited(&device));
    config.mask = 0x47ffffe;
    assert_int_equal(cma_device_init(&device, &board.dma, &config), 0);
    assert_true(cma_dma_is_limited(&device));
    config.nwindows = 1;
    assert_int_equal(cma_device_init(&device, &board.dma, &config), 0);
    assert_true(cma_dma_required_mask(&device) == 0xffffff);
}

/* Contiguous for the device, but not for the CPU: synced all the same, each part where it is. */
static void test_stretches(void **state)
{
    static const struct cma_bus_window windows[] = {
        {0x10000, RAM + 0x8000, 0x1000}, {0x11000, RAM, 0x1000}, {0x12000, RAM + 0x1000, 0x1000}};
    struct cma_device_config config = board_config(ALL, 0);
    struct cma_device device;

    (void)state;
    board_create(true);
    config.windows = windows;
    config.nwindows = 3;
    assert_int_equal(cma_device_init(&device, &board.dma, &config), 0);
    assert_int_equal(cma_dma_sync_for_device(&device, 0x10f00, 0x1200, CMA_TO_DEVICE), 0);
    assert_log("clean 80008f00+100\nclean 80000000+1100\nbarrier\n");
    assert_int_equal(cma_dma_sync_for_device(&device, 0x10f00, 0x2100, CMA_TO_DEVICE), 0);
    assert_log("clean 80008f00+100\nclean 80000000+2000\nbarrier\n");
    assert_int_equal(cma_dma_sync_for_device(&device, 0x10f00, 0x2101, CMA_TO_DEVICE), CMA_ERANGE);
    assert_int_equal(cma_dma_sync_for_cpu(&device, 0xffff, 1, CMA_TO_DEVICE), CMA_ERANGE);
    assert_log("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_table_bounced),
        cmocka_unit_test(test_order_of_judgement),
        cmocka_unit_test(test_last_byte),
        cmocka_unit_test(test_shared_lines),
        cmocka_unit_test(test_never_falls_back),
        cmocka_unit_test(test_wrong_unmap),
        cmocka_unit_test(test_single_and_page),
        cmocka_unit_test(test_resource),
        cmocka_unit_test(test_questions),
        cmocka_unit_test(test_stretches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
