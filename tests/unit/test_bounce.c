/* SPDX-License-Identifier: BSD-2-Clause */
/* test_bounce.c - bounce pools: what devices and the CPU find in slots, where mappings begin, and
 * who is refused what */
#include "bounce_board.h"

#define PAGE 0x1000u
#define KIB UINT64_C(1024)

static uint64_t bounce_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static void fill(struct bounce_board *board, cma_paddr_t paddr, uint64_t nbytes, uint8_t seed)
{
    for (uint64_t i = 0; i < nbytes; i++) {
        uint8_t byte = (uint8_t)(seed + i * 7 % 251 + 1);

        byte = byte == 0 ? 1 : byte;
        board_cpu_write(board, paddr + i, &byte, 1);
    }
}

static uint8_t filled(uint64_t i, uint8_t seed)
{
    uint8_t byte = (uint8_t)(seed + i * 7 % 251 + 1);

    return byte == 0 ? 1 : byte;
}

/* All of a run that isn't the mapping's is zero where devices look. */
static void assert_padding(struct bounce_board *board, const uint8_t *at, uint64_t nbytes,
                           uint64_t unit)
{
    uint64_t first = (uint64_t)(at - board->ram), end = first + nbytes;

    for (uint64_t i = first & ~(unit - 1); i < ((end + unit - 1) & ~(unit - 1)); i++) {
        assert_true((i >= first && i < end) || board->ram[i] == 0);
    }
}

/* --- what is in slots ---------------------------------------------------------------------- */

/* H3, case 42: the device writes half of what it said. What it finds is the buffer's bytes,
 * whatever the direction; what it leaves out stays the buffer's; what it wrote is not written over;
 * and nothing of it stays behind. */
static void short_write(enum cma_direction direction, uint32_t flags)
{
    struct bounce_board board;
    struct cma_device device;
    cma_paddr_t paddr = RAM + 0x10123;
    uint64_t nbytes = 5000;
    uint8_t back[5000], *at;
    cma_daddr_t daddr;

    board_create(&board, 12, 256 * KIB, 128 * KIB, 64 * KIB, 0);
    assert_true(board_pool_is_zero(&board));
    board_device(&board, &device, 3, CMA_DEVICE_BOUNCE_ALWAYS | flags, 0, NULL);
    fill(&board, paddr, nbytes, 40);
    assert_int_equal(cma_dma_map(&device, paddr, nbytes, direction, 0, &daddr, NULL), 0);
    at = board_device_at(&board, &device, daddr, nbytes);
    for (uint64_t i = 0; i < nbytes; i++) {
        assert_int_equal(at[i], filled(i, 40));
    }
    assert_padding(&board, at, nbytes, (flags & CMA_DEVICE_UNTRUSTED) != 0 ? PAGE : 2048);
    if (direction == CMA_TO_DEVICE) {
        assert_int_equal(cma_dma_unmap(&device, daddr, nbytes, direction, 0), 0);
        assert_true(board_pool_is_zero(&board));
        board_destroy(&board);
        return;
    }
    memset(at, 0xee, nbytes / 2);
    assert_int_equal(cma_dma_sync_for_cpu(&device, daddr, 96, direction), 0);
    assert_int_equal(cma_dma_sync_for_device(&device, daddr, 96, direction), 0);
    /* What has come meanwhile. */
    memset(at + 192, 0xdd, 96);
    assert_int_equal(cma_dma_sync_for_device(&device, daddr + 192, 96, direction), 0);
    board_cpu_read(&board, paddr, back, nbytes);
    for (uint64_t i = 0; i < nbytes; i++) {
        assert_int_equal(back[i], i < 96 ? 0xee : filled(i, 40));
        if (direction == CMA_FROM_DEVICE) {
            assert_int_equal(at[i], i >= 192 && i < 288 ? 0xdd
                                    : i < nbytes / 2    ? 0xee
                                                        : filled(i, 40));
        }
    }
    /* Into its padding, where it has no business. */
    memset(at + nbytes, 0x99, 20);
    assert_int_equal(cma_dma_unmap(&device, daddr, nbytes, direction, 0), 0);
    board_cpu_read(&board, paddr, back, nbytes);
    for (uint64_t i = 0; i < nbytes; i++) {
        uint8_t want = i >= 192 && i < 288 ? 0xdd : i < nbytes / 2 ? 0xee : filled(i, 40);

        if (direction == CMA_BIDIRECTIONAL && i >= 192 && i < 288) {
            want = filled(i, 40); /* handed over by the CPU: its bytes count */
        }
        assert_int_equal(back[i], want);
    }
    assert_true(board_pool_is_zero(&board));
    board_destroy(&board);
}

static void test_short_writes(void **state)
{
    const uint32_t flags[] = {0, CMA_DEVICE_UNTRUSTED};

    (void)state;
    for (uint32_t i = 0; i < 2; i++) {
        short_write(CMA_FROM_DEVICE, flags[i]);
        short_write(CMA_BIDIRECTIONAL, flags[i]);
        short_write(CMA_TO_DEVICE, flags[i]);
    }
}

/* CMA_MAP_SKIP_SYNC: the caller syncs himself, and until then the device finds zeroes. */
static void test_skip_sync(void **state)
{
    struct bounce_board board;
    struct cma_device device;
    cma_paddr_t paddr = RAM + 0x10000;
    cma_daddr_t daddr;
    uint8_t *at;

    (void)state;
    board_create(&board, 12, 256 * KIB, 128 * KIB, 64 * KIB, 0);
    board_device(&board, &device, 3, CMA_DEVICE_BOUNCE_ALWAYS, 0, NULL);
    fill(&board, paddr, 3000, 9);
    assert_int_equal(
        cma_dma_map(&device, paddr, 3000, CMA_TO_DEVICE, CMA_MAP_SKIP_SYNC, &daddr, NULL), 0);
    assert_int_equal(board.copied, 0);
    at = board_device_at(&board, &device, daddr, 3000);
    assert_int_equal(at[17], 0);
    assert_int_equal(cma_dma_sync_for_device(&device, daddr + 17, 10, CMA_TO_DEVICE), 0);
    assert_int_equal(at[16], 0);
    assert_int_equal(at[17], filled(17, 9));
    assert_int_equal(at[26], filled(26, 9));
    assert_int_equal(at[27], 0);
    assert_int_equal(cma_dma_unmap(&device, daddr, 3000, CMA_TO_DEVICE, CMA_MAP_SKIP_SYNC), 0);
    assert_true(board_pool_is_zero(&board));
    board_destroy(&board);
}

/* H4: nobody else is in a page of a device that is not trusted, before or after. H5: what another
 * left there is gone. Random mappings of three devices, all of the pool compared each time. */
struct tenant {
    const struct cma_device *device;
    cma_paddr_t paddr;
    cma_daddr_t daddr;
    uint64_t nbytes;
    enum cma_direction direction;
    uint8_t seed;
};

static void compare_pool(struct bounce_board *board, const struct tenant *tenants,
                         uint32_t ntenants, uint8_t *who)
{
    uint64_t base = board->pool.paddr - RAM;

    memset(who, 0, board->pool.config.nbytes);
    for (uint32_t i = 0; i < ntenants; i++) {
        const uint8_t *at =
            board_device_at(board, tenants[i].device, tenants[i].daddr, tenants[i].nbytes);

        for (uint64_t j = 0; j < tenants[i].nbytes; j++) {
            assert_int_equal(at[j], filled(j, tenants[i].seed));
            assert_int_equal(who[(uint64_t)(at - board->ram) - base + j], 0);
            who[(uint64_t)(at - board->ram) - base + j] = (uint8_t)(i + 1);
        }
    }
    for (uint64_t page = 0; page < board->pool.config.nbytes; page += PAGE) {
        uint8_t one = 0, other = 0;

        for (uint64_t i = page; i < page + PAGE; i++) {
            assert_true(who[i] != 0 || board->ram[base + i] == 0);
            other = who[i] != 0 && one != 0 && one != who[i] ? who[i] : other;
            one = who[i] != 0 ? who[i] : one;
        }
        assert_true(other == 0 || ((tenants[one - 1].device->config.flags |
                                    tenants[other - 1].device->config.flags) &
                                   CMA_DEVICE_UNTRUSTED) == 0);
    }
}

static void test_tenants(void **state)
{
    struct bounce_board board;
    struct cma_device devices[3];
    struct tenant tenants[12];
    uint32_t ntenants = 0;
    uint64_t seed = 11;
    uint8_t *who = malloc(64 * KIB);

    (void)state;
    board_create(&board, 12, 512 * KIB, 128 * KIB, 64 * KIB, 512);
    board_device(&board, &devices[0], 3, CMA_DEVICE_BOUNCE_ALWAYS, 0, NULL);
    board_device(&board, &devices[1], 4, CMA_DEVICE_UNTRUSTED, 0, NULL);
    board_device(&board, &devices[2], 5, CMA_DEVICE_UNTRUSTED, 512, NULL);
    for (uint32_t step = 0; step < 600; step++) {
        uint32_t i = (uint32_t)bounce_random(&seed) % 12;

        if (i < ntenants) {
            struct tenant *tenant = &tenants[i];
            uint8_t *at = board_device_at(&board, tenant->device, tenant->daddr, tenant->nbytes);

            /* Its device leaves rubbish where it may, to the end of its last slot. */
            if (tenant->direction != CMA_TO_DEVICE) {
                memset(at, 0xcc, tenant->nbytes);
            }
            assert_int_equal(cma_dma_unmap((struct cma_device *)(uintptr_t)tenant->device,
                                           tenant->daddr, tenant->nbytes, tenant->direction, 0),
                             0);
            *tenant = tenants[--ntenants];
        } else if (ntenants < 12) {
            struct tenant *tenant = &tenants[ntenants];
            struct cma_device *device = &devices[bounce_random(&seed) % 3];

            *tenant = (struct tenant){.device = device,
                                      .paddr = RAM + 192 * KIB + step % 60 * 0x1001,
                                      .nbytes = 1 + bounce_random(&seed) % 9000,
                                      .direction = (enum cma_direction)(bounce_random(&seed) % 3),
                                      .seed = (uint8_t)step};
            fill(&board, tenant->paddr, tenant->nbytes, tenant->seed);
            if (cma_dma_map(device, tenant->paddr, tenant->nbytes, tenant->direction, 0,
                            &tenant->daddr, NULL) == 0) {
                ntenants++;
            }
        }
        compare_pool(&board, tenants, ntenants, who);
        assert_true(cma_bounce_check(&board.pool));
    }
    while (ntenants != 0) {
        struct tenant *tenant = &tenants[--ntenants];

        assert_int_equal(cma_dma_unmap((struct cma_device *)(uintptr_t)tenant->device,
                                       tenant->daddr, tenant->nbytes, tenant->direction, 0),
                         0);
    }
    assert_true(board_pool_is_zero(&board));
    board_destroy(&board);
    free(who);
}

/* --- where mappings begin ------------------------------------------------------------------ */

/* Case 41: the address bits that a device needs are the buffer's, in the device's address; no
 * length is lost to them; parts are synced exactly. All of these tuples on a small machine. */
static void check_alignment(struct bounce_board *board, struct cma_device *device, uint64_t keep,
                            uint64_t unit, cma_paddr_t paddr, uint64_t nbytes, bool parts)
{
    uint64_t mask = keep != 0 ? keep - 1 : 0, bits, base, longest = 0;
    cma_daddr_t daddr, offset;
    struct cma_refusal refusal = {0};
    uint8_t *at;
    int error;

    assert_int_equal(cma_device_to_bus(device, board->pool.paddr, 1, UINT64_MAX, &offset), 0);
    offset -= board->pool.paddr;
    /* The oracle: all places, one by one. */
    for (base = board->pool.paddr; base < board->pool.paddr + board->pool.config.nbytes; base++) {
        bits = base + offset;
        if ((bits & mask) == (paddr & mask) && (base & (unit - 1)) <= (mask & (unit - 1))) {
            uint64_t room = board->pool.paddr + board->pool.config.nbytes - base;

            longest = room > longest ? room : longest;
            break;
        }
    }
    error = cma_dma_map(device, paddr, nbytes, CMA_BIDIRECTIONAL, 0, &daddr, &refusal);
    if (nbytes > longest) {
        assert_true(error == CMA_ERANGE || error == CMA_ENOMEM);
        assert_true(refusal.reason == CMA_REASON_TOO_LARGE || refusal.reason == CMA_REASON_BOUNCE);
        return;
    }
    assert_int_equal(error, 0);
    assert_int_equal(daddr & mask, paddr & mask);
    base = daddr - offset;
    bits = base & (unit - 1);
    assert_int_equal(board_used(board), (bits + nbytes + unit - 1) & ~(unit - 1));
    at = board_device_at(board, device, daddr, nbytes);
    for (uint64_t i = 0; parts && i < nbytes; i += 1 + nbytes / 7) {
        uint64_t part = 1 + (nbytes - i) / 3;

        memset(at, 0x5a, nbytes);
        assert_int_equal(cma_dma_sync_for_cpu(device, daddr + i, part, CMA_BIDIRECTIONAL), 0);
        for (uint64_t j = 0; j < nbytes; j++) {
            uint8_t byte;

            board_cpu_read(board, paddr + j, &byte, 1);
            assert_int_equal(byte, j >= i && j < i + part ? 0x5a : filled(j, 1));
        }
        fill(board, paddr, nbytes, 1);
        memset(at, 0xa5, nbytes);
        assert_int_equal(cma_dma_sync_for_device(device, daddr + i, part, CMA_BIDIRECTIONAL), 0);
        for (uint64_t j = 0; j < nbytes; j++) {
            /* Cache lines at its ends are synced whole. */
            uint64_t low = (uint64_t)(at - board->ram) + i, high = low + part - 1;
            uint64_t here = (uint64_t)(at - board->ram) + j;

            assert_int_equal(at[j], j >= i && j < i + part ? filled(j, 1)
                                    : here / LINE >= low / LINE && here / LINE <= high / LINE
                                        ? at[j]
                                        : 0xa5);
        }
    }
    assert_int_equal(cma_dma_unmap(device, daddr, nbytes, CMA_BIDIRECTIONAL, 0), 0);
    assert_int_equal(board_used(board), 0);
}

static void test_alignment(void **state)
{
    static const uint64_t keeps[] = {0, 2, 64, 128, 256, 512, 1024};
    static const uint64_t offsets[] = {0, 0x40000000, 0x100, 0x40, 0x15, UINT64_MAX - 0x3ff};

    (void)state;
    for (uint32_t i = 0; i < 7 * 6 * 2; i++) {
        uint64_t keep = keeps[i % 7], offset = offsets[i / 7 % 6];
        uint64_t unit = i / 42 == 0 ? 64 : 256;
        struct bounce_board board;
        struct cma_device device;
        struct cma_bus_window window = {.paddr = RAM, .daddr = RAM + offset, .nbytes = 0x10000};

        /* Pages of 256 bytes, slots of 64; a pool of six pages that begins at an odd one. */
        board_create(&board, 8, 0x4000, 0x1300, 0x600, 64);
        board_device(&board, &device, 3,
                     unit == 64 ? CMA_DEVICE_BOUNCE_ALWAYS : CMA_DEVICE_UNTRUSTED, keep, &window);
        for (uint64_t bits = 0; bits < 1024; bits += 1 + bits % 7) {
            cma_paddr_t paddr = RAM + 0x2000 + bits;
            uint64_t lengths[] = {1, 63, 64, 65, 200 + bits % 60, 0x5ff - bits % 256, 0x600, 0x5c1};

            for (uint32_t j = 0; j < 8; j++) {
                bool parts = bits % 97 == 3 && lengths[j] <= 300;

                if (parts) {
                    fill(&board, paddr, lengths[j], 1);
                }
                check_alignment(&board, &device, keep, unit, paddr, lengths[j], parts);
            }
        }
        assert_true(board_pool_is_zero(&board));
        board_destroy(&board);
    }
}

/* A request may be as long as the pool; and where others are, as long as what is free. */
static void test_long_requests(void **state)
{
    struct bounce_board board;
    struct cma_device device;
    struct cma_refusal refusal = {0};
    struct cma_bounce_stats stats;
    cma_daddr_t daddr, small;

    (void)state;
    board_create(&board, 12, 4096 * KIB, 2048 * KIB, 1024 * KIB, 0);
    board_device(&board, &device, 3, CMA_DEVICE_BOUNCE_ALWAYS, 4096, NULL);
    assert_int_equal(cma_dma_map_nbytes_max(&device), 1024 * KIB);
    assert_int_equal(cma_dma_map(&device, RAM, 1024 * KIB, CMA_TO_DEVICE, 0, &daddr, NULL), 0);
    assert_int_equal(cma_dma_map(&device, RAM, 1, CMA_TO_DEVICE, 0, &small, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_BOUNCE);
    assert_int_equal(refusal.free_run_npages, 0);
    assert_int_equal(cma_dma_unmap(&device, daddr, 1024 * KIB, CMA_TO_DEVICE, 0), 0);

    assert_int_equal(cma_dma_map(&device, RAM, 1, CMA_TO_DEVICE, 0, &small, NULL), 0);
    assert_int_equal(cma_dma_map(&device, RAM, 1023 * KIB, CMA_TO_DEVICE, 0, &daddr, &refusal),
                     CMA_ENOMEM);
    assert_int_equal(refusal.code, CMA_ENOMEM);
    assert_int_equal(refusal.free_run_npages, 255);
    assert_int_equal(cma_dma_map(&device, RAM, 1020 * KIB, CMA_TO_DEVICE, 0, &daddr, NULL), 0);
    cma_bounce_stats(&board.pool, &stats);
    assert_int_equal(stats.nbytes, 1024 * KIB);
    assert_int_equal(stats.used_nbytes, 1022 * KIB);
    assert_int_equal(stats.most_used_nbytes, 1024 * KIB);
    assert_int_equal(stats.free_run_nbytes, 2 * KIB);
    assert_int_equal(stats.nmaps, 3);
    assert_int_equal(stats.nrefused, 2);
    assert_int_equal(stats.ncopies_in, 3);
    assert_int_equal(stats.ncopies_out, 0);
    assert_int_equal(cma_dma_unmap(&device, daddr, 1020 * KIB, CMA_TO_DEVICE, 0), 0);
    assert_int_equal(cma_dma_unmap(&device, small, 1, CMA_TO_DEVICE, 0), 0);

    /* One byte more can never be had: said at once. */
    assert_int_equal(cma_dma_map(&device, RAM, 1024 * KIB + 1, CMA_TO_DEVICE, 0, &daddr, &refusal),
                     CMA_ERANGE);
    assert_int_equal(refusal.reason, CMA_REASON_TOO_LARGE);
    assert_int_equal(cma_dma_map(&device, RAM + 1, 1024 * KIB, CMA_TO_DEVICE, 0, &daddr, &refusal),
                     CMA_ERANGE);
    assert_int_equal(refusal.reason, CMA_REASON_TOO_LARGE);
    board_destroy(&board);
}

/* --- who is refused what ------------------------------------------------------------------- */

static void test_wrong_calls(void **state)
{
    struct bounce_board board;
    struct cma_device device, other;
    cma_daddr_t daddr, second;
    uint64_t used;

    (void)state;
    board_create(&board, 12, 256 * KIB, 128 * KIB, 64 * KIB, 0);
    board_device(&board, &device, 3, CMA_DEVICE_BOUNCE_ALWAYS, 4096, NULL);
    board_device(&board, &other, 4, CMA_DEVICE_BOUNCE_ALWAYS, 0, NULL);
    assert_int_equal(cma_dma_map(&device, RAM + 0x105, 5000, CMA_TO_DEVICE, 0, &daddr, NULL), 0);
    assert_int_equal(cma_dma_map(&device, RAM + 0x9000, 100, CMA_FROM_DEVICE, 0, &second, NULL), 0);
    assert_int_equal(daddr & 0xfff, 0x105);
    used = board_used(&board);

    assert_int_equal(cma_dma_unmap(&other, daddr, 5000, CMA_TO_DEVICE, 0), CMA_EPERM);
    assert_int_equal(cma_dma_sync_for_cpu(&other, daddr, 10, CMA_TO_DEVICE), CMA_EPERM);
    assert_int_equal(cma_dma_unmap(&device, daddr, 4999, CMA_TO_DEVICE, 0), CMA_EINVAL);
    assert_int_equal(cma_dma_unmap(&device, daddr, 5001, CMA_TO_DEVICE, 0), CMA_EINVAL);
    assert_int_equal(cma_dma_unmap(&device, daddr + 1, 4999, CMA_TO_DEVICE, 0), CMA_EINVAL);
    assert_int_equal(cma_dma_unmap(&device, daddr, 5000, CMA_FROM_DEVICE, 0), CMA_EINVAL);
    assert_int_equal(cma_dma_unmap(&device, daddr, 5000, CMA_BIDIRECTIONAL, 0), CMA_EINVAL);
    assert_int_equal(cma_dma_unmap(&device, daddr - 1, 5000, CMA_TO_DEVICE, 0), CMA_EINVAL);
    assert_int_equal(cma_dma_unmap(&device, daddr + 5000, 1, CMA_TO_DEVICE, 0), CMA_EINVAL);
    assert_int_equal(cma_dma_sync_for_device(&device, daddr + 4999, 2, CMA_TO_DEVICE), CMA_EINVAL);
    assert_int_equal(cma_dma_sync_for_device(&device, daddr - 1, 1, CMA_TO_DEVICE), CMA_EINVAL);
    assert_int_equal(cma_dma_sync_for_device(&device, daddr + 5000, 1, CMA_TO_DEVICE), CMA_EINVAL);
    assert_int_equal(cma_dma_sync_for_device(&device, daddr + 1, UINT64_MAX - daddr, CMA_TO_DEVICE),
                     CMA_EINVAL);
    assert_int_equal(cma_dma_sync_for_device(&device, daddr + 4999, 1, CMA_TO_DEVICE), 0);
    /* A free slot, in the pool's last page. */
    assert_int_equal(cma_dma_unmap(&device, RAM + 191 * KIB, 1, CMA_TO_DEVICE, 0), CMA_ENOENT);
    assert_int_equal(board_used(&board), used);

    assert_int_equal(cma_dma_unmap(&device, daddr, 5000, CMA_TO_DEVICE, 0), 0);
    assert_int_equal(cma_dma_unmap(&device, daddr, 5000, CMA_TO_DEVICE, 0), CMA_ENOENT);
    assert_int_equal(cma_dma_sync_for_cpu(&device, daddr, 5000, CMA_TO_DEVICE), CMA_ENOENT);
    assert_int_equal(cma_bounce_destroy(&board.pool), CMA_EBUSY);
    assert_int_equal(cma_dma_unmap(&device, second, 100, CMA_FROM_DEVICE, 0), 0);
    board_destroy(&board);
}

static struct cma_device *racer;
static cma_daddr_t racer_daddr;
static uint32_t racer_calls;

static void race(struct bounce_board *board)
{
    void (*during)(struct bounce_board *) = board->during;

    board->during = NULL;
    racer_calls++;
    assert_int_equal(board_used(board), 4096);
    assert_int_equal(cma_dma_unmap(racer, racer_daddr, 3000, CMA_FROM_DEVICE, 0), CMA_ENOENT);
    assert_int_equal(cma_dma_sync_for_cpu(racer, racer_daddr, 3000, CMA_FROM_DEVICE), CMA_ENOENT);
    board->during = during;
}

/* A second unmap, while the first copies and zeroes, finds nothing; the slots are not free yet. */
static void test_two_unmaps(void **state)
{
    struct bounce_board board;
    struct cma_device device;

    (void)state;
    board_create(&board, 12, 256 * KIB, 128 * KIB, 64 * KIB, 0);
    board_device(&board, &device, 3, CMA_DEVICE_BOUNCE_ALWAYS, 0, NULL);
    assert_int_equal(cma_dma_map(&device, RAM, 3000, CMA_FROM_DEVICE, 0, &racer_daddr, NULL), 0);
    racer = &device;
    racer_calls = 0;
    board.during = race;
    assert_int_equal(cma_dma_unmap(&device, racer_daddr, 3000, CMA_FROM_DEVICE, 0), 0);
    board.during = NULL;
    assert_int_equal(racer_calls, 2);
    board_destroy(&board);
}

/* H6: a restricted device never leaves its pool, be it full, and the memory in reach, and another
 * pool empty. */
static void test_restricted(void **state)
{
    struct bounce_board board;
    struct cma_device device;
    struct cma_bounce own;
    struct cma_bounce_config small = {
        .name = "own", .nbytes = 2 * PAGE, .owner = 9, .paddr = RAM + 64 * KIB};
    struct cma_device_config config = {.name = "restricted",
                                       .owner = 3,
                                       .mask = UINT64_MAX,
                                       .coherent_mask = UINT64_MAX,
                                       .flags = CMA_DEVICE_RESTRICTED};
    struct cma_coherent_request request = {.nbytes = PAGE};
    struct cma_coherent buffer;
    struct cma_refusal refusal = {0};
    cma_daddr_t daddr, more;
    uint64_t nbytes;
    void *storage;

    (void)state;
    board_create(&board, 12, 256 * KIB, 128 * KIB, 64 * KIB, 0);
    nbytes = cma_bounce_size(&board.port, &small);
    storage = malloc(nbytes);
    assert_int_equal(cma_bounce_init(&own, &board.dma, &small, storage, nbytes, NULL), 0);
    assert_int_equal(cma_device_init(&device, &board.dma, &config), CMA_EINVAL);
    config.bounce = &own;
    assert_int_equal(cma_device_init(&device, &board.dma, &config), 0);
    assert_int_equal(cma_dma_map_nbytes_max(&device), 2 * PAGE);
    assert_int_equal(cma_dma_map(&device, RAM, 2 * PAGE + 1, CMA_TO_DEVICE, 0, &daddr, &refusal),
                     CMA_ERANGE);
    assert_int_equal(cma_dma_map(&device, RAM, 2 * PAGE, CMA_TO_DEVICE, 0, &daddr, NULL), 0);
    assert_int_equal(daddr, RAM + 64 * KIB);
    assert_int_equal(cma_dma_map(&device, RAM, 1, CMA_TO_DEVICE, 0, &more, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_BOUNCE);
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, &refusal), CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_BOUNCE);
    assert_int_equal(cma_dma_map(&device, RAM, 1, CMA_TO_DEVICE, CMA_MAP_NO_BOUNCE, &more, NULL),
                     CMA_ERANGE);
    assert_int_equal(board_used(&board), 0);
    assert_int_equal(cma_dma_unmap(&device, daddr, 2 * PAGE, CMA_TO_DEVICE, 0), 0);
    assert_int_equal(cma_bounce_destroy(&own), 0);
    free(storage);
    board_destroy(&board);
}

/* A pool that the device does not see whole is no pool. */
static void test_out_of_reach(void **state)
{
    struct bounce_board board;
    struct cma_device device;
    struct cma_device_config config = {.name = "short", .owner = 3, .mask = RAM + 192 * KIB - 2};
    struct cma_refusal refusal = {0};
    cma_daddr_t daddr;

    (void)state;
    board_create(&board, 12, 256 * KIB, 128 * KIB, 64 * KIB, 0);
    assert_int_equal(cma_device_init(&device, &board.dma, &config), 0);
    assert_int_equal(cma_dma_map(&device, RAM + 200 * KIB, 8, CMA_TO_DEVICE, 0, &daddr, &refusal),
                     CMA_ERANGE);
    config.mask++;
    assert_int_equal(cma_device_init(&device, &board.dma, &config), 0);
    assert_int_equal(cma_dma_map(&device, RAM + 200 * KIB, 8, CMA_TO_DEVICE, 0, &daddr, &refusal),
                     0);
    assert_int_equal(cma_dma_unmap(&device, daddr, 8, CMA_TO_DEVICE, 0), 0);
    /* The ops' own word, without stream.c in front. */
    config.mask--;
    assert_int_equal(cma_device_init(&device, &board.dma, &config), 0);
    assert_int_equal(
        board.pool.ops->map(&board.pool, &device, RAM, 8, CMA_TO_DEVICE, 0, &daddr, &refusal),
        CMA_ERANGE);
    assert_int_equal(refusal.reason, CMA_REASON_BOUNCE);
    board_destroy(&board);
}

/* --- the pool itself ----------------------------------------------------------------------- */

static void test_init(void **state)
{
    struct bounce_board board;
    struct cma_bounce pool;
    struct cma_bounce_config good = {
        .name = "pool", .nbytes = 4 * PAGE, .owner = 9, .paddr = RAM + 64 * KIB};
    struct cma_bounce_config bad = good;
    uint64_t storage[4096];
    struct cma_refusal refusal = {0};
    uint64_t nbytes;

    (void)state;
    board_create(&board, 12, 256 * KIB, 128 * KIB, 64 * KIB, 0);
    nbytes = cma_bounce_size(&board.port, &good);
    assert_true(nbytes != 0 && nbytes <= 8 * 24 + 8 * 32);
#define INIT(config, n) cma_bounce_init(&pool, &board.dma, &(config), storage, (n), &refusal)
    bad.nbytes = 0;
    assert_int_equal(cma_bounce_size(&board.port, &bad), 0);
    assert_int_equal(INIT(bad, nbytes), CMA_EINVAL);
    bad.nbytes = 4 * PAGE + 1;
    assert_int_equal(INIT(bad, nbytes), CMA_EINVAL);
    bad = good;
    bad.paddr++;
    assert_int_equal(INIT(bad, nbytes), CMA_EINVAL);
    for (uint32_t slot = 1; slot <= 3 * PAGE; slot += slot < 70 ? 1 : 97) {
        bool fine = slot >= 64 && slot <= PAGE && (slot & (slot - 1)) == 0;

        bad = good;
        bad.slot_nbytes = slot;
        assert_int_equal(cma_bounce_size(&board.port, &bad) != 0, fine);
    }
    bad = good;
    bad.nbytes = UINT64_C(1) << 50;
    assert_int_equal(INIT(bad, UINT64_MAX), CMA_EINVAL);
    bad = good;
    bad.paddr = UINT64_MAX - PAGE + 1;
    assert_int_equal(INIT(bad, nbytes), CMA_EOVERFLOW);
    assert_int_equal(cma_bounce_init(&pool, &board.dma, &good, (char *)storage + 4, nbytes, NULL),
                     CMA_EINVAL);
    assert_int_equal(cma_bounce_init(&pool, &board.dma, &good, NULL, nbytes, NULL), CMA_EINVAL);
    assert_int_equal(INIT(good, nbytes - 1), CMA_ENOMEM);
    assert_int_equal(INIT(good, nbytes), 0);
    assert_int_equal(board.ram[64 * KIB], 0);
    assert_int_equal(board.ram[64 * KIB - 1], 0xdb);
    assert_int_equal(board.ram[80 * KIB - 1], 0);
    assert_int_equal(board.ram[80 * KIB], 0xdb);
    assert_int_equal(cma_bounce_destroy(&pool), 0);
    assert_ptr_equal(board.dma.bounce, &board.pool);
    board_destroy(&board);
}

static void test_list_of_mappings(void **state)
{
    struct bounce_board board;
    struct cma_device device;
    struct cma_bounce_mapping mapping;
    cma_daddr_t first, second;
    uint32_t slot = 0;

    (void)state;
    board_create(&board, 12, 256 * KIB, 128 * KIB, 64 * KIB, 0);
    board_device(&board, &device, 3, CMA_DEVICE_BOUNCE_ALWAYS, 512, NULL);
    assert_int_equal(cma_bounce_next(&board.pool, &slot, &mapping), CMA_ENOENT);
    assert_int_equal(cma_dma_map(&device, RAM + 5, 3000, CMA_TO_DEVICE, 0, &first, NULL), 0);
    assert_int_equal(cma_dma_map(&device, RAM + 9, 10, CMA_FROM_DEVICE, 0, &second, NULL), 0);
    assert_int_equal(cma_bounce_next(&board.pool, &slot, &mapping), 0);
    assert_int_equal(mapping.paddr, RAM + 5);
    assert_int_equal(mapping.bounce_paddr, first);
    assert_int_equal(mapping.nbytes, 3000);
    assert_int_equal(mapping.direction, CMA_TO_DEVICE);
    assert_int_equal(mapping.owner, 3);
    assert_int_equal(slot, 2);
    assert_int_equal(cma_bounce_next(&board.pool, &slot, &mapping), 0);
    assert_int_equal(mapping.bounce_paddr, second);
    assert_int_equal(mapping.nbytes, 10);
    assert_int_equal(cma_bounce_next(&board.pool, &slot, &mapping), CMA_ENOENT);
    assert_int_equal(slot, 3);
    assert_true(cma_bounce_check(&board.pool));
    board.pool.used++;
    assert_false(cma_bounce_check(&board.pool));
    board.pool.used--;
    assert_int_equal(cma_dma_unmap(&device, first, 3000, CMA_TO_DEVICE, 0), 0);
    assert_int_equal(cma_dma_unmap(&device, second, 10, CMA_FROM_DEVICE, 0), 0);
    board_destroy(&board);
}

/* Whole pages for coherent memory: by the device's address, zero, and nobody else's. */
static void test_pages(void **state)
{
    struct bounce_board board;
    struct cma_device device, other;
    struct cma_bus_window window = {.paddr = RAM, .daddr = 0x3000, .nbytes = 0x100000};
    struct cma_refusal refusal = {0};
    cma_paddr_t paddr, more;
    cma_daddr_t daddr;

    (void)state;
    board_create(&board, 12, 256 * KIB, 128 * KIB, 64 * KIB, 0);
    board_device(&board, &device, 3, CMA_DEVICE_BOUNCE_ALWAYS, 0, &window);
    board_device(&board, &other, 4, CMA_DEVICE_BOUNCE_ALWAYS, 0, NULL);
    assert_int_equal(cma__bounce_take_pages(&board.pool, &device, 3, 0x4000, 0, &paddr, NULL), 0);
    assert_int_equal(paddr, RAM + 129 * KIB + 3 * KIB);
    assert_int_equal(cma__bounce_take_pages(&board.pool, &device, 2, 0, 0x2000, &more, NULL), 0);
    assert_int_equal((more - RAM + 0x3000) % 0x2000, 0);
    assert_int_equal(cma__bounce_judge_pages(&board.pool, &device, more, 2, true), 0);
    cma__bounce_put_pages(&board.pool, more);
    assert_int_equal(cma__bounce_take_pages(&board.pool, &device, 17, 0, 0, &more, &refusal),
                     CMA_ERANGE);
    assert_int_equal(cma__bounce_take_pages(&board.pool, &device, 14, 0, 0, &more, &refusal),
                     CMA_ENOMEM);
    assert_int_equal(refusal.reason, CMA_REASON_BOUNCE);
    /* It is no streaming mapping. */
    assert_int_equal(cma_device_to_bus(&device, paddr, 1, UINT64_MAX, &daddr), 0);
    assert_int_equal(cma_dma_unmap(&device, daddr, 3 * PAGE, CMA_BIDIRECTIONAL, 0), CMA_EINVAL);
    memset(board.ram + (paddr - RAM), 0x77, 3 * PAGE);
    assert_int_equal(cma__bounce_judge_pages(&board.pool, &other, paddr, 3, true), CMA_EPERM);
    assert_int_equal(cma__bounce_judge_pages(&board.pool, &device, paddr, 2, true), CMA_EINVAL);
    assert_int_equal(cma__bounce_judge_pages(&board.pool, &device, paddr + PAGE, 2, true),
                     CMA_EBADF);
    assert_int_equal(cma__bounce_judge_pages(&board.pool, &device, paddr, 3, false), 0);
    assert_int_equal(cma__bounce_judge_pages(&board.pool, &device, paddr, 3, true), 0);
    assert_int_equal(cma__bounce_judge_pages(&board.pool, &device, paddr, 3, true), CMA_EBADF);
    cma__bounce_put_pages(&board.pool, paddr);
    assert_true(board_pool_is_zero(&board));
    board_destroy(&board);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_short_writes),     cmocka_unit_test(test_skip_sync),
        cmocka_unit_test(test_tenants),          cmocka_unit_test(test_alignment),
        cmocka_unit_test(test_long_requests),    cmocka_unit_test(test_wrong_calls),
        cmocka_unit_test(test_two_unmaps),       cmocka_unit_test(test_restricted),
        cmocka_unit_test(test_out_of_reach),     cmocka_unit_test(test_init),
        cmocka_unit_test(test_list_of_mappings), cmocka_unit_test(test_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
