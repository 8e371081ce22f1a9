/* SPDX-License-Identifier: BSD-2-Clause */
/* test_table.c - the frame table: how memory is cut into spans, and runs of idle frames in it */
#include "plain_port.h"

#include "../../src/frame/account.h"

/* --- layout -------------------------------------------------------------------------------- */

static void expect_span(struct plain *plain, uint32_t index, uint64_t first, uint64_t npages,
                        uint32_t zone, uint32_t is_area)
{
    const struct cma_span *span = &plain->frames.spans[index];

    assert_true(index < plain->frames.nspans);
    assert_int_equal(span->pfn - plain->base, first);
    assert_int_equal(span->npages, npages);
    assert_int_equal(span->zone, zone);
    assert_int_equal(span->is_area, is_area);
}

/* Zones split ordinary memory exactly, also in the middle of a block and of a page. */
static void test_zones_split_spans(void **state)
{
    const struct cma_zone zones[] = {
        {.last = 0x1000000 + 100 * PLAIN_PAGE + 77}, /* cuts a page: that page is in zone 1 */
        {.last = 0x1000000 + 333 * PLAIN_PAGE - 1},
        {.last = CMA_PADDR_MAX, .flags = CMA_ZONE_UNMAPPED},
    };
    const struct plain_area areas[] = {{50, 10}, {320, 40}};
    struct cma_frames_config config = {.zones = zones, .nzones = 3, .block_order = 6};
    struct plain *plain = plain_create_with(0x1000, 500, areas, 2, &config);

    (void)state;
    assert_int_equal(plain->frames.nspans, 6);
    expect_span(plain, 0, 0, 50, 0, 0);
    expect_span(plain, 1, 50, 10, 0, 1);
    expect_span(plain, 2, 60, 40, 0, 0);
    expect_span(plain, 3, 100, 220, 1, 0);
    /* An area that crosses a zone's end is one span, and counts to the zone of its end. */
    expect_span(plain, 4, 320, 40, 2, 1);
    expect_span(plain, 5, 360, 140, 2, 0);
    plain_check(plain);
    assert_int_equal(plain->frames.zone_idle[0], 90);
    assert_int_equal(plain->frames.zone_idle[1], 220);
    assert_int_equal(plain->frames.zone_idle[2], 140);
    for (uint64_t i = 0; i < 500; i++) {
        const struct cma_span *span = cma__span_of(&plain->frames, plain->base + i);
        cma_pfn_t first;
        uint32_t npages;

        assert_non_null(span);
        cma__span_block_range(&plain->frames, span,
                              cma__span_block_of(&plain->frames, span, plain->base + i), &first,
                              &npages);
        assert_true(first <= plain->base + i && plain->base + i < first + npages);
    }
    assert_null(cma__span_of(&plain->frames, plain->base - 1));
    assert_null(cma__span_of(&plain->frames, plain->base + 500));
    assert_null(cma__span_of(&plain->frames, CMA_PFN_NONE));
    plain_destroy(plain);
}

/* The top of the address space, and a table without anything. */
static void test_ends_of_the_world(void **state)
{
    const cma_pfn_t top = UINT64_MAX >> PLAIN_SHIFT;
    struct cma_frames_config config = {.block_order = 5};
    struct plain *plain = plain_create_with(top - 99, 100, NULL, 0, &config);
    struct cma_range range;
    struct cma_map map;
    struct cma_frames frames;
    struct cma_violation violation;

    (void)state;
    assert_int_equal(plain->frames.nspans, 1);
    assert_int_equal(plain->frames.zone_idle[0], 100);
    assert_non_null(cma__span_of(&plain->frames, top));
    plain_check(plain);
    config.port = &plain->port;
    assert_int_equal(cma_map_init(&map, &range, 1, &range, 1), 0);
    assert_int_equal(cma_frames_init(&frames, &map, &config, NULL, 0), 0);
    assert_int_equal(frames.nspans, 0);
    assert_null(cma__span_of(&frames, 0));
    assert_true(cma_frames_check(&frames, false, &violation));
    plain_destroy(plain);
}

/* Pages that a range covers in part are left out, and ranges without a whole page. */
static void test_partial_pages(void **state)
{
    struct cma_range memory[4], reserved[4];
    struct cma_range pool = {
        .base = 0x3800, .nbytes = 0x1000, .kind = CMA_RANGE_RESERVED, .name = "r"};
    struct cma_range area = {.base = 0x8100, .nbytes = 0x2f00, .kind = CMA_RANGE_AREA, .name = "a"};
    struct plain plain = {0};
    struct cma_frames_config config = {.port = &plain.port};
    struct cma_frames frames;
    struct cma_map map;
    uint64_t storage[512];

    (void)state;
    plain_port_init(&plain);
    assert_int_equal(cma_map_init(&map, memory, 4, reserved, 4), 0);
    assert_int_equal(cma_map_add_memory(&map, 0x10, 0xfff0, NULL), 0);
    assert_int_equal(cma_map_add_memory(&map, 0x20010, 0x1800, NULL), 0);
    assert_int_equal(cma_map_reserve(&map, &pool, NULL), 0);
    assert_int_equal(cma_map_reserve(&map, &area, NULL), 0);
    assert_true(cma_frames_size(&map, &config) <= sizeof(storage));
    assert_int_equal(cma_frames_init(&frames, &map, &config, storage, sizeof(storage)), 0);
    assert_int_equal(frames.nspans, 4);
    assert_int_equal(frames.spans[0].pfn, 1);
    assert_int_equal(frames.spans[0].npages, 2);
    assert_int_equal(frames.spans[1].pfn, 5);
    assert_int_equal(frames.spans[1].npages, 3);
    assert_int_equal(frames.spans[2].pfn, 9);
    assert_int_equal(frames.spans[2].npages, 2);
    assert_int_equal(frames.spans[2].is_area, 1);
    assert_int_equal(frames.spans[3].pfn, 11);
    assert_int_equal(frames.spans[3].npages, 5);
    /* 0x20010 to 0x2180f holds no whole page but none: it begins inside the first. */
    config.areas_only = true;
    assert_int_equal(cma_frames_init(&frames, &map, &config, storage, sizeof(storage)), 0);
    assert_int_equal(frames.nspans, 1);
    assert_int_equal(frames.zone_idle[0], 0);
}

static void test_bad_configs(void **state)
{
    struct plain *plain = plain_create(64, NULL, 0);
    const struct cma_zone falling[] = {{.last = 5}, {.last = 5}, {.last = CMA_PADDR_MAX}};
    const struct cma_zone open[] = {{.last = 5}, {.last = 9}};
    struct cma_port no_copy = plain->port;
    struct cma_frames_config config = {.port = &plain->port};
    struct cma_frames frames;
    uint64_t good = cma_frames_size(&plain->map, &config);
    uint64_t storage[1024];

    (void)state;
    assert_true(good != 0 && good <= sizeof(storage));
    assert_int_equal(cma_frames_init(&frames, &plain->map, &config, storage, good - 1), CMA_ENOMEM);
    assert_int_equal(cma_frames_init(&frames, &plain->map, &config, NULL, good), CMA_ENOMEM);
    assert_int_equal(cma_frames_init(&frames, &plain->map, &config, (char *)storage + 4, good),
                     CMA_EINVAL);
    assert_int_equal(cma_frames_init(NULL, &plain->map, &config, storage, good), CMA_EINVAL);
    assert_int_equal(cma_frames_size(NULL, &config), 0);
    assert_int_equal(cma_frames_size(&plain->map, NULL), 0);
#define CONFIG_IS_BAD(...)                                                                      \
    do {                                                                                        \
        struct cma_frames_config bad = {__VA_ARGS__};                                           \
        assert_int_equal(cma_frames_size(&plain->map, &bad), 0);                                \
        assert_int_equal(cma_frames_init(&frames, &plain->map, &bad, storage, sizeof(storage)), \
                         CMA_EINVAL);                                                           \
    } while (0)
    CONFIG_IS_BAD(.port = NULL);
    no_copy.copy = NULL;
    CONFIG_IS_BAD(.port = &no_copy);
    CONFIG_IS_BAD(.port = &plain->port, .block_order = 4);
    CONFIG_IS_BAD(.port = &plain->port, .block_order = 13);
    CONFIG_IS_BAD(.port = &plain->port, .zones = falling, .nzones = 3);
    CONFIG_IS_BAD(.port = &plain->port, .zones = open, .nzones = 2);
    CONFIG_IS_BAD(.port = &plain->port, .zones = open, .nzones = 0);
    CONFIG_IS_BAD(.port = &plain->port, .zones = NULL, .nzones = 1);
    CONFIG_IS_BAD(.port = &plain->port, .zones = falling, .nzones = CMA_ZONES_MAX + 1);
    plain_destroy(plain);
}

/* More memory than a table can count is refused, not cut. */
static void test_too_much_memory(void **state)
{
    struct cma_range memory[2], reserved[2];
    struct cma_range area = {.base = 0, .kind = CMA_RANGE_AREA, .name = "a"};
    struct plain plain = {0};
    struct cma_frames_config config = {.port = &plain.port};
    struct cma_map map;

    (void)state;
    plain_port_init(&plain);
    assert_int_equal(cma_map_init(&map, memory, 2, reserved, 2), 0);
    assert_int_equal(cma_map_add_memory(&map, 0, UINT64_MAX, NULL), 0);
    assert_int_equal(cma_frames_size(&map, &config), 0);
    /* 2 TiB in one area is one page too long for a claim's record; a TiB is fine. */
    assert_int_equal(cma_map_init(&map, memory, 2, reserved, 2), 0);
    assert_int_equal(cma_map_add_memory(&map, 0, UINT64_C(1) << 42, NULL), 0);
    area.nbytes = UINT64_C(1) << 41;
    assert_int_equal(cma_map_reserve(&map, &area, NULL), 0);
    assert_int_equal(cma_frames_size(&map, &config), 0);
    assert_int_equal(cma_map_unreserve(&map, 0), 0);
    area.nbytes = UINT64_C(1) << 40;
    assert_int_equal(cma_map_reserve(&map, &area, NULL), 0);
    assert_true(cma_frames_size(&map, &config) > (UINT64_C(1) << 30) * 8);
    /* 8 TiB in two pieces are all that there are numbers for. */
    assert_int_equal(cma_map_init(&map, memory, 2, reserved, 2), 0);
    assert_int_equal(cma_map_add_memory(&map, 0, UINT64_C(5) << 40, NULL), 0);
    assert_int_equal(cma_map_add_memory(&map, UINT64_C(6) << 40, UINT64_C(3) << 40, NULL), 0);
    assert_true(cma_frames_size(&map, &config) > (UINT64_C(1) << 31) * 8);
    assert_int_equal(cma_map_init(&map, memory, 2, reserved, 2), 0);
    assert_int_equal(cma_map_add_memory(&map, 0, UINT64_C(5) << 40, NULL), 0);
    assert_int_equal(
        cma_map_add_memory(&map, UINT64_C(6) << 40, (UINT64_C(3) << 40) + PLAIN_PAGE, NULL), 0);
    assert_int_equal(cma_frames_size(&map, &config), 0);
}

/* Blocks take bits for all of their frames: with large ones, single pages use the numbers up. */
static void test_too_many_blocks(void **state)
{
    const uint32_t npieces = UINT32_C(1) << 20;
    struct cma_range *memory = malloc(npieces * sizeof(*memory)), reserved[1];
    struct plain plain = {0};
    struct cma_frames_config config = {.port = &plain.port, .block_order = 12};
    struct cma_map map;

    (void)state;
    assert_non_null(memory);
    plain_port_init(&plain);
    assert_int_equal(cma_map_init(&map, memory, npieces, reserved, 1), 0);
    for (uint64_t i = 0; i < npieces; i++) {
        if (i == npieces - 1) {
            assert_true(cma_frames_size(&map, &config) > (UINT64_C(1) << 32) / 8);
        }
        assert_int_equal(cma_map_add_memory(&map, i << (12 + PLAIN_SHIFT), PLAIN_PAGE, NULL), 0);
    }
    assert_int_equal(cma_frames_size(&map, &config), 0);
    free(memory);
}

/* At most 8.25 bytes a page on boards from 32 MiB, with a few reserved ranges in between. */
static void test_metadata_size(void **state)
{
    static const uint64_t mib[] = {32, 64, 256, 512, 1024, 4096, 65536};

    (void)state;
    for (uint32_t i = 0; i < sizeof(mib) / sizeof(mib[0]); i++) {
        struct cma_range memory[4], reserved[4];
        struct cma_range fw = {
            .base = 0x40100000, .nbytes = 0x80000, .kind = CMA_RANGE_NO_MAP, .name = "f"};
        struct cma_range area = {
            .base = 0x40800000, .nbytes = 0x800000, .kind = CMA_RANGE_AREA, .name = "a"};
        struct plain plain = {0};
        struct cma_frames_config config = {.port = &plain.port};
        struct cma_map map;
        uint64_t npages, nbytes;

        plain_port_init(&plain);
        assert_int_equal(cma_map_init(&map, memory, 4, reserved, 4), 0);
        assert_int_equal(cma_map_add_memory(&map, 0x40000000, mib[i] << 20, NULL), 0);
        assert_int_equal(cma_map_reserve(&map, &fw, NULL), 0);
        assert_int_equal(cma_map_reserve(&map, &area, NULL), 0);
        npages = ((mib[i] << 20) - fw.nbytes) / PLAIN_PAGE;
        nbytes = cma_frames_size(&map, &config);
        assert_true(nbytes >= npages * 8);
        if (nbytes * 100 > npages * 825) {
            fail_msg("%llu bytes for %llu pages of %llu MiB", (unsigned long long)nbytes,
                     (unsigned long long)npages, (unsigned long long)mib[i]);
        }
    }
    assert_int_equal(sizeof(struct cma_frame_record), 8);
    assert_int_equal(sizeof(struct cma_block), 8);
}

/* --- finding runs -------------------------------------------------------------------------- */

/* The lowest or highest place in the span, frame by frame. */
static cma_pfn_t naive_find(struct plain *plain, const struct cma_span *span,
                            const struct cma_run_want *want)
{
    cma_pfn_t found = CMA_PFN_NONE;

    for (cma_pfn_t pfn = span->pfn; pfn + want->npages <= span->pfn + span->npages; pfn++) {
        cma_pfn_t last = pfn + want->npages - 1;
        bool fits = pfn >= want->first && last <= want->last && pfn % want->align_npages == 0 &&
                    (want->boundary_npages == 0 ||
                     pfn / want->boundary_npages == last / want->boundary_npages);

        for (cma_pfn_t at = pfn; fits && at <= last; at++) {
            fits = plain_info(plain, at).idle;
        }
        if (fits && (want->from_top || found == CMA_PFN_NONE)) {
            found = pfn;
        }
    }
    return found;
}

/* Every length, alignment and boundary in both directions, on spans of odd places and fillings. */
static void test_find_runs_naively(void **state)
{
    (void)state;
    for (unsigned seed = 1; seed <= 12; seed++) {
        struct cma_frames_config config = {.block_order = 5};
        struct plain *plain = plain_create_with(0x1000 + seed * 5, 150, NULL, 0, &config);
        const struct cma_span *span = &plain->frames.spans[0];

        srand(seed);
        for (uint32_t i = 0; i < 150; i++) {
            if ((unsigned)rand() % 12 < seed) {
                (void)plain_publish(plain, CMA_KIND_MOVABLE, 1, plain->base + i);
            }
        }
        for (uint32_t n = 1; n <= 40; n++) {
            for (uint32_t i = 0; i < 2 * 5 * 7; i++) {
                struct cma_run_want want = {
                    .npages = n,
                    .align_npages = UINT64_C(1) << i % 5,
                    .boundary_npages = i / 10 == 0 ? 0 : UINT64_C(1) << i / 10,
                    .first = plain->base + (uint64_t)rand() % 30,
                    .last = plain->base + 100 + (uint64_t)rand() % 60,
                    .from_top = i / 5 % 2 != 0,
                };
                cma_pfn_t pfn = CMA_PFN_NONE;

                if (!cma__span_find_idle(&plain->frames, span, &want, &pfn)) {
                    pfn = CMA_PFN_NONE;
                }
                assert_int_equal(pfn, naive_find(plain, span, &want));
            }
        }
        plain_destroy(plain);
    }
}

/* In an area only frames of lent blocks are found, one at a time. */
static void test_find_in_areas(void **state)
{
    const struct plain_area area = {32, 96};
    struct plain *plain = plain_create(160, &area, 1);
    struct cma_span *span = plain_area_span(plain, 0);
    struct cma_run_want want = {.npages = 1, .align_npages = 1, .last = CMA_PFN_NONE};
    cma_pfn_t pfn;

    (void)state;
    assert_false(cma__span_find_idle(&plain->frames, span, &want, &pfn));
    cma__block_lend(&plain->frames, span, 1, true);
    assert_true(cma__span_find_idle(&plain->frames, span, &want, &pfn));
    assert_int_equal(pfn - span->pfn, 32);
    want.from_top = true;
    assert_true(cma__span_find_idle(&plain->frames, span, &want, &pfn));
    assert_int_equal(pfn - span->pfn, 63);
    want.npages = 2;
    assert_false(cma__span_find_idle(&plain->frames, span, &want, &pfn));
    want.npages = 0;
    assert_false(cma__span_find_idle(&plain->frames, span, &want, &pfn));
    plain_destroy(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_zones_split_spans), cmocka_unit_test(test_ends_of_the_world),
        cmocka_unit_test(test_partial_pages),     cmocka_unit_test(test_bad_configs),
        cmocka_unit_test(test_too_much_memory),   cmocka_unit_test(test_too_many_blocks),
        cmocka_unit_test(test_metadata_size),     cmocka_unit_test(test_find_runs_naively),
        cmocka_unit_test(test_find_in_areas),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
