/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_draw.c - is on the picture what is in memory? Maps are written, read back, and looked at
 * where a page has to be; the counts of the legend are compared with those that areas and the page
 * allocator keep themselves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <cairo/cairo.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../ports/sim/picture.h"
#include "../../ports/sim/sim.h"
#include "../../tool/draw.h"
#include "../../tool/run.h"
#include "../../tool/verbs.h"

#include <cma/system.h>

#define PAGE 4096ull
#define BASE 0x40000000ull
#define HIGH 0x80000000ull
#define NPAGES 2048u
#define HIGH_NPAGES 64u
#define AREA_NPAGES 512u
#define AREA_PFN (BASE / PAGE + 1024)
#define POOL_PFN (BASE / PAGE + 1800)
#define POOL_NPAGES 100u
#define OWNER 7u

/* A machine of 8 MiB and 256 KiB, with an area of 2 MiB and a pool. */
struct world {
    struct sim *sim;
    struct cma_map map;
    struct cma_range memory[4], reserved[4];
    struct cma_system system;
    void *storage;
    uint32_t mover;
};

static struct world world;
static uint64_t world_npages = NPAGES; /* of the first bank */

static int world_freeze(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    (void)ctx;
    (void)pfn;
    (void)cookie;
    return 0;
}

static void world_commit(void *ctx, cma_pfn_t from, cma_pfn_t to, uint32_t cookie)
{
    (void)to;
    (void)world_freeze(ctx, from, cookie);
}

static void world_abort(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    (void)world_freeze(ctx, pfn, cookie);
}

static const struct cma_mover world_mover = {
    .name = "test",
    .paddr_last = CMA_PADDR_MAX,
    .freeze = world_freeze,
    .commit = world_commit,
    .abort = world_abort,
    .discard = world_freeze,
};

static int world_setup(void **state)
{
    struct sim_memory banks[] = {{BASE, world_npages * PAGE}, {HIGH, HIGH_NPAGES * PAGE}};
    struct sim_config config = {.seed = 1, .memory = banks, .nmemory = 2};
    struct cma_system_config system = {0};
    struct cma_range area = {AREA_PFN * PAGE, AREA_NPAGES * PAGE, CMA_RANGE_AREA, 0, "eye", 0};
    struct cma_range pool = {POOL_PFN * PAGE, POOL_NPAGES * PAGE, CMA_RANGE_RESERVED, 0, "rom", 0};
    uint64_t nbytes;
    int mover;

    (void)state;
    memset(&world, 0, sizeof(world));
    world.sim = sim_create(&config);
    assert_non_null(world.sim);
    assert_int_equal(cma_map_init(&world.map, world.memory, 4, world.reserved, 4), 0);
    assert_int_equal(cma_map_add_memory(&world.map, BASE, world_npages * PAGE, NULL), 0);
    assert_int_equal(cma_map_add_memory(&world.map, HIGH, HIGH_NPAGES * PAGE, NULL), 0);
    assert_int_equal(cma_map_reserve(&world.map, &area, NULL), 0);
    assert_int_equal(cma_map_reserve(&world.map, &pool, NULL), 0);
    system.port = sim_port(world.sim);
    nbytes = cma_system_size(&world.map, &system);
    world.storage = calloc(1, nbytes);
    assert_int_equal(cma_system_init(&world.system, &world.map, &system, world.storage, nbytes), 0);
    mover = cma_mover_register(&world.system.frames, &world_mover);
    assert_true(mover > 0);
    world.mover = (uint32_t)mover;
    return 0;
}

static int world_teardown(void **state)
{
    (void)state;
    free(world.storage);
    sim_destroy(world.sim);
    return 0;
}

static int world_setup_large(void **state)
{
    int error;

    world_npages = 65536;
    error = world_setup(state);
    world_npages = NPAGES;
    return error;
}

static void world_fill_mixed(uint32_t npages, uint32_t (*is_kept)(uint32_t i))
{
    for (uint32_t i = 0; i < npages; i++) {
        struct cma_pages_request request = {
            .npages = 1,
            .holder = {.kind = is_kept(i) != 0 ? CMA_KIND_MOVABLE : CMA_KIND_DROPPABLE,
                       .mover = world.mover,
                       .cookie = i},
            .paddr_last = CMA_PADDR_MAX,
        };
        cma_pfn_t pfn;

        assert_int_equal(cma_pages_alloc(&world.system.pages, &request, &pfn, NULL), 0);
    }
}

static uint32_t world_nkept;

static uint32_t world_first_kept(uint32_t i)
{
    return i < world_nkept;
}

static uint32_t world_three_of_four(uint32_t i)
{
    return i % 4;
}

static void world_fill(uint32_t nkept, uint32_t ndroppable)
{
    world_nkept = nkept;
    world_fill_mixed(nkept + ndroppable, world_first_kept);
}

static cma_pfn_t world_claim(uint64_t npages, cma_pfn_t first)
{
    struct cma_area_request request = {
        .npages = npages,
        .owner = OWNER,
        .paddr_first = first * PAGE,
    };
    struct cma_refusal refusal;
    cma_pfn_t pfn = 0;

    assert_int_equal(cma_area_alloc(&world.system.areas[0], &request, &pfn, &refusal), 0);
    return pfn;
}

static const char *world_name(void *ctx, uint32_t owner)
{
    (void)ctx;
    return owner == OWNER ? "came\xc3ra\n" : NULL;
}

static void world_take(struct draw_map *map)
{
    struct draw_source source = {
        .frames = &world.system.frames,
        .map = &world.map,
        .page_shift = 12,
        .owner_name = world_name,
    };

    assert_int_equal(draw_map_take(map, &source, "Title", "sub\xff"), 0);
}

/* --- pictures read back ------------------------------------------------------------------------
 */

static char test_directory[] = "/tmp/test_draw_......";

static const char *test_path(const char *name)
{
    static char path[128];

    snprintf(path, sizeof(path), "%s/%s", test_directory, name);
    return path;
}

static uint32_t test_dot(cairo_surface_t *surface, double x, double y)
{
    const unsigned char *line = cairo_image_surface_get_data(surface) +
                                (size_t)y * (size_t)cairo_image_surface_get_stride(surface);
    uint32_t dot;

    assert_true((int)x < cairo_image_surface_get_width(surface));
    assert_true((int)y < cairo_image_surface_get_height(surface));
    memcpy(&dot, line + 4 * (size_t)x, sizeof(dot));
    return dot & 0xffffff;
}

static cairo_surface_t *test_read(const char *path)
{
    cairo_surface_t *surface = cairo_image_surface_create_from_png(path);

    assert_int_equal(cairo_surface_status(surface), CAIRO_STATUS_SUCCESS);
    return surface;
}

static uint32_t test_page_colour(const struct draw_map *map, cairo_surface_t *surface,
                                 cma_pfn_t pfn)
{
    uint32_t row, column;
    double x, y;

    assert_true(draw_map_cell(map, pfn, &row, &column));
    draw_map_place(map, row, column, &x, &y);
    return test_dot(surface, x, y);
}

static enum draw_kind test_kind(cma_pfn_t pfn)
{
    struct cma_frame_info info;

    if (cma_frame_info(&world.system.frames, pfn, &info) != 0)
        return DRAW_RESERVED;
    return info.idle                         ? DRAW_FREE
           : info.kind == CMA_KIND_MOVABLE   ? DRAW_KEPT
           : info.kind == CMA_KIND_DROPPABLE ? DRAW_DROPPABLE
           : info.in_area                    ? DRAW_BUFFER
                                             : DRAW_PASSING;
}

/* As BT.601 weighs them: how a printer without colours shows them. */
static int test_grey(uint32_t colour)
{
    return (int)(299 * (colour >> 16 & 255) + 587 * (colour >> 8 & 255) + 114 * (colour & 255)) /
           1000;
}

static void colours_differ_in_grey(void **state)
{
    static const int least[2] = {10, 20}; /* outside; in areas */

    (void)state;
    for (int area = 0; area < 2; area++)
        for (int one = 0; one < DRAW_KINDS; one++)
            for (int other = 0; other < one; other++)
                assert_true(abs(test_grey(draw_colour((enum draw_kind)one, area)) -
                                test_grey(draw_colour((enum draw_kind)other, area))) >=
                            least[area]);
    /* What most of the sheet is. */
    assert_true(abs(test_grey(draw_colour(DRAW_KEPT, false)) -
                    test_grey(draw_colour(DRAW_DROPPABLE, false))) >= 25);
}

static void each_page_has_its_colour_in_its_place(void **state)
{
    struct draw_map map;
    cairo_surface_t *surface;
    uint32_t wrong = 0, buffers = 0;

    (void)state;
    world_fill(900, 900);
    world_claim(40, AREA_PFN);
    world_claim(7, AREA_PFN + 200);
    world_take(&map);
    assert_int_equal(map.cell_npages, 1);
    assert_int_equal(draw_map_png(&map, test_path("map.png")), 0);
    surface = test_read(test_path("map.png"));
    for (cma_pfn_t pfn = BASE / PAGE; pfn < BASE / PAGE + NPAGES; pfn++) {
        bool in_area = pfn - AREA_PFN < AREA_NPAGES;
        uint32_t want = draw_colour(test_kind(pfn), in_area);

        /* A buffer's number is written across it. */
        if (test_kind(pfn) == DRAW_BUFFER)
            buffers++;
        wrong += test_page_colour(&map, surface, pfn) != want;
    }
    assert_int_equal(buffers, 47);
    assert_true(wrong <= 2);
    for (cma_pfn_t pfn = HIGH / PAGE; pfn < HIGH / PAGE + HIGH_NPAGES; pfn++)
        assert_int_equal(test_page_colour(&map, surface, pfn), draw_colour(test_kind(pfn), false));
    cairo_surface_destroy(surface);
    draw_map_free(&map);
}

/* Of eight pages of a cell two are droppable, over and over: a quarter of the cells shows it. */
static void mixed_cells_show_fair_shares(void **state)
{
    struct draw_map map;
    uint32_t shown[DRAW_KINDS] = {0};

    (void)state;
    world_fill_mixed(40000, world_three_of_four);
    world_take(&map);
    assert_int_equal(map.cell_npages, 8);
    assert_int_equal(map.nrows, 64 + 1);
    for (uint32_t i = 0; i < map.nrows * map.ncolumns; i++)
        if ((map.cells[i] & DRAW_CELL_EMPTY) == 0)
            shown[map.cells[i] & DRAW_CELL_KIND]++;
    assert_in_range(shown[DRAW_DROPPABLE], 1200, 1300);
    assert_in_range(shown[DRAW_KEPT], 3700, 3800);
    assert_int_equal(map.pages[0][DRAW_DROPPABLE] + map.pages[1][DRAW_DROPPABLE], 10000);
    draw_map_free(&map);
}

static void the_legend_counts_what_the_books_say(void **state)
{
    struct cma_area_stats area;
    struct cma_pages_stats pages;
    struct draw_map map;
    uint64_t all = 0;
    char text[DRAW_TEXT], want[64];

    (void)state;
    world_fill(700, 800);
    world_claim(33, AREA_PFN);
    world_take(&map);
    cma_area_stats(&world.system.areas[0], &area);
    cma_pages_stats(&world.system.pages, &pages);
    assert_int_equal(map.pages[true][DRAW_BUFFER], area.claimed_npages);
    assert_int_equal(map.pages[true][DRAW_KEPT], area.kept_npages);
    assert_int_equal(map.pages[true][DRAW_DROPPABLE], area.droppable_npages);
    assert_int_equal(map.pages[true][DRAW_FREE], area.idle_npages);
    assert_int_equal(map.pages[false][DRAW_FREE], pages.zone_idle_npages[0]);
    assert_int_equal(map.pages[true][DRAW_KEPT] + map.pages[false][DRAW_KEPT], 700);
    assert_int_equal(map.pages[false][DRAW_RESERVED], POOL_NPAGES);
    for (int kind = 0; kind < DRAW_KINDS; kind++)
        all += map.pages[false][kind] + map.pages[true][kind];
    assert_int_equal(all, NPAGES + HIGH_NPAGES);
    snprintf(want, sizeof(want), "%u pages in areas, 0 elsewhere", 33u);
    draw_legend(&map, DRAW_BUFFER, text);
    assert_non_null(strstr(text, want));
    draw_sentence(&map, text);
    assert_non_null(strstr(text, "2 MiB are kept for devices"));
    assert_non_null(strstr(text, "In devices' hands: 132 KiB"));
    draw_map_free(&map);
}

/* Where buffers are now, the map before shows whose pages those were. */
static void takings_are_told(void **state)
{
    struct draw_map before, map;
    uint64_t taken;
    char text[DRAW_TEXT], want[DRAW_TEXT], cache[32], programs[32];

    (void)state;
    world_fill_mixed(1800, world_three_of_four);
    world_take(&before);
    world_claim(300, AREA_PFN + 212);
    world_take(&map);
    draw_sentence(&map, text);
    assert_null(strstr(text, "before"));
    draw_map_compare(&map, &before);
    taken = map.taken[DRAW_DROPPABLE] + map.taken[DRAW_KEPT];
    assert_int_equal(taken + map.taken[DRAW_FREE], 300);
    assert_true(map.taken[DRAW_DROPPABLE] != 0 && map.taken[DRAW_KEPT] != 0);
    for (cma_pfn_t pfn = AREA_PFN + 212; pfn < AREA_PFN + 512; pfn++) {
        uint32_t row, column;

        assert_true(draw_map_cell(&before, pfn, &row, &column));
        taken -= (before.cells[row * before.ncolumns + column] & DRAW_CELL_KIND) != DRAW_FREE;
    }
    assert_int_equal(taken, 0);
    draw_size(&map, map.taken[DRAW_DROPPABLE], cache);
    draw_size(&map, map.taken[DRAW_KEPT], programs);
    snprintf(want, sizeof(want), "1.17 MiB (before: page cache %s, programs %s);", cache, programs);
    draw_sentence(&map, text);
    assert_non_null(strstr(text, want));
    before.narea_kinds--; /* of another board */
    draw_map_compare(&map, &before);
    draw_sentence(&map, text);
    assert_null(strstr(text, "before"));
    draw_map_free(&map);
    draw_map_free(&before);
}

static void buffers_are_named_and_numbered(void **state)
{
    struct draw_map map;
    uint32_t seen = 0;

    (void)state;
    world_claim(10, AREA_PFN);
    world_claim(20, AREA_PFN + 100);
    world_take(&map);
    for (uint32_t i = 0; i < map.nparts; i++)
        if (map.parts[i].kind == DRAW_PART_BUFFER) {
            assert_string_equal(map.parts[i].name, "came?ra?");
            assert_int_equal(map.parts[i].number, ++seen);
            assert_int_equal(map.parts[i].npages, seen == 1 ? 10 : 20);
        }
    assert_int_equal(seen, 2);
    assert_string_equal(map.subtitle, "sub?");
    draw_map_free(&map);
}

static uint64_t test_hash(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint64_t hash = 14695981039346656037ull;
    int byte;

    assert_non_null(file);
    while ((byte = fgetc(file)) != EOF)
        hash = (hash ^ (uint64_t)byte) * 1099511628211ull;
    fclose(file);
    return hash;
}

/* In a process of its own: cairo numbers what it makes in an SVG through the whole life of one. */
static void test_files(uint64_t hash[2])
{
    pid_t child;
    int status;

    fflush(NULL);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct draw_map map;

        world_take(&map);
        _exit(draw_map_png(&map, test_path("same.png")) != 0 ||
              draw_map_svg(&map, test_path("same.svg")) != 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    hash[0] = test_hash(test_path("same.png"));
    hash[1] = test_hash(test_path("same.svg"));
}

static void the_same_memory_is_the_same_file(void **state)
{
    uint64_t first[2], second[2], other[2];

    (void)state;
    world_fill(300, 300);
    test_files(first);
    test_files(second);
    world_claim(1, AREA_PFN);
    test_files(other);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(first[i], second[i]);
        assert_int_not_equal(first[i], other[i]);
    }
}

/* --- frames ------------------------------------------------------------------------------------
 */

/* The colours are picture_rgb's (test_picture.c): here, how long planes must be at least. */
static void short_frames_are_refused(void **state)
{
    static const uint8_t bytes[2][16] = {{0, 128, 255, 99, 1, 2, 3, 99}, {128, 128, 240, 110}};
    struct draw_frame frame = {.format = {PICTURE_GREY, 3, 2, 4}, .plane = {bytes[0]}};
    uint32_t rgb[8];

    (void)state;
    frame.nbytes[0] = 7; /* the last line needs no gap behind it */
    assert_int_equal(draw_frame_rgb(&frame, rgb), 0);
    assert_int_equal(rgb[1], 0x808080);
    assert_int_equal(rgb[5], 0x030303);
    frame.nbytes[0] = 6;
    assert_int_equal(draw_frame_rgb(&frame, rgb), -1);
    frame.nbytes[0] = 7;
    frame.plane[0] = NULL;
    assert_int_equal(draw_frame_rgb(&frame, rgb), -1);

    frame = (struct draw_frame){{PICTURE_NV12, 4, 2, 4}, {bytes[0]}, {12}};
    assert_int_equal(draw_frame_rgb(&frame, rgb), 0);
    frame.nbytes[0] = 11;
    assert_int_equal(draw_frame_rgb(&frame, rgb), -1);
    frame = (struct draw_frame){{PICTURE_NV12M, 4, 2, 4}, {bytes[0], bytes[1]}, {8, 4}};
    assert_int_equal(draw_frame_rgb(&frame, rgb), 0);
    frame.nbytes[1] = 3;
    assert_int_equal(draw_frame_rgb(&frame, rgb), -1);
    assert_int_equal(draw_frame_png(&frame, test_path("short.png")), -1);
    assert_int_not_equal(access(test_path("short.png"), F_OK), 0);
    frame = (struct draw_frame){{PICTURE_GREY, 32768, 1, 0}, {bytes[0]}, {UINT64_MAX}};
    assert_int_equal(draw_frame_rgb(&frame, rgb), -1); /* cairo takes no more */
}

static void a_written_frame_is_the_frame(void **state)
{
    struct draw_frame frame = {.format = {PICTURE_NV12, 322, 242, 384}};
    uint32_t *rgb = malloc(322 * 242 * sizeof(*rgb)), noise = 1, wrong = 0;
    uint8_t *bytes = malloc(384 * (242 + 121));
    cairo_surface_t *surface;

    (void)state;
    for (size_t i = 0; i < 384 * (242 + 121); i++) {
        noise = noise * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(noise >> 24);
    }
    frame.plane[0] = bytes;
    frame.nbytes[0] = 384 * (242 + 121);
    assert_int_equal(draw_frame_rgb(&frame, rgb), 0);
    assert_int_equal(draw_frame_png(&frame, test_path("frame.png")), 0);
    surface = test_read(test_path("frame.png"));
    assert_int_equal(cairo_image_surface_get_width(surface), 322);
    assert_int_equal(cairo_image_surface_get_height(surface), 242);
    for (uint32_t y = 0; y < 242; y++)
        for (uint32_t x = 0; x < 322; x++)
            wrong += test_dot(surface, x, y) != rgb[y * 322 + x];
    assert_int_equal(wrong, 0);
    cairo_surface_destroy(surface);
    free(bytes);
    free(rgb);
}

/* What simulated sensors send in each format: first, middle and last of ten pictures are drawn. */
static void captured_pictures_are_drawn(void **state)
{
    struct run run = {.options.out = test_path("captured"), .sim = world.sim, .ends_ns = 1000};

    (void)state;
    assert_int_equal(draw_directory(run.options.out), 0);
    sim_spend_ns(world.sim, 1);
    for (int pixel = 0; pixel < PICTURE_PIXELS; pixel++) {
        struct picture_format format = {.pixel = (enum picture_pixel)pixel, 160, 120, 0};
        struct picture_source source;
        uint8_t *planes[2] = {NULL, NULL};
        char name[64];

        picture_source_init(&source, &format, 5);
        for (uint32_t i = 0; i < picture_nplanes(&format); i++)
            planes[i] = malloc(picture_nbytes(&format, i));
        run.ends_ns = sim_now_ns(world.sim) + 1000000;
        run.began_ns = sim_now_ns(world.sim);
        for (uint32_t number = 0; number < 10; number++) {
            for (uint32_t i = 0; i < picture_nplanes(&format); i++)
                picture_draw(&source, number, number, i, planes[i]);
            run_draw_captured(&run, picture_pixel_name(format.pixel), &format,
                              (const uint8_t *const *)planes);
            sim_spend_ns(world.sim, 100000);
        }
        run.options.out = test_path("captured");
        assert_int_equal(run_draw_write(&run), 0);
        for (int i = 0; i < 3; i++) {
            static const char *const ends[] = {"1-first", "2-middle", "3-last"};
            uint32_t number = i == 0 ? 0 : i == 1 ? 5 : 9, *rgb = malloc(160 * 120 * 4), wrong = 0;
            struct draw_frame frame = {.format = format};
            cairo_surface_t *surface;

            snprintf(name, sizeof(name), "captured/frame-%s-%s.png",
                     picture_pixel_name(format.pixel), ends[i]);
            surface = test_read(test_path(name));
            for (uint32_t k = 0; k < picture_nplanes(&format); k++) {
                picture_draw(&source, number, number, k, planes[k]);
                frame.plane[k] = planes[k];
                frame.nbytes[k] = picture_nbytes(&format, k);
            }
            assert_int_equal(draw_frame_rgb(&frame, rgb), 0);
            for (uint32_t at = 0; at < 160 * 120; at++)
                wrong += test_dot(surface, at % 160, at / 160) != rgb[at];
            assert_int_equal(wrong, 0);
            cairo_surface_destroy(surface);
            free(rgb);
        }
        free(planes[0]);
        free(planes[1]);
        picture_source_free(&source);
    }
    run_draw_free(&run);
}

/* --- the directory -----------------------------------------------------------------------------
 */

static int test_run(const char *out)
{
    char board[] = "examples/boards/omap1-camera.dts", path[256];
    char *argv[] = {(char[]){"run"},
                    board,
                    (char[]){"--seconds"},
                    (char[]){"1"},
                    (char[]){"--json"},
                    (char[]){"--out"},
                    path,
                    NULL};
    int code, kept = dup(STDOUT_FILENO);

    snprintf(path, sizeof(path), "%s", out);
    fflush(stdout);
    assert_non_null(freopen("/dev/null", "w", stdout));
    optind = 1;
    code = verb_run(7, argv);
    fflush(stdout);
    dup2(kept, STDOUT_FILENO);
    close(kept);
    return code;
}

static void directories_that_cannot_be_written_end_with_2(void **state)
{
    FILE *file = fopen(test_path("file"), "w");

    (void)state;
    assert_non_null(file);
    fclose(file);
    assert_int_equal(test_run(""), 2);
    assert_int_equal(test_run(test_path("file")), 2);
    assert_int_equal(test_run(test_path("file/below")), 2);
    assert_int_equal(test_run(test_path("no/such")), 2);
    assert_int_equal(test_run("/proc"), 2);
    /* One of the files can't be written: a directory has its name. */
    assert_int_equal(mkdir(test_path("taken"), 0700), 0);
    assert_int_equal(mkdir(test_path("taken/map-2-streaming.svg"), 0700), 0);
    assert_int_equal(test_run(test_path("taken")), 2);
    /* The disk is full. */
    assert_int_equal(mkdir(test_path("full"), 0700), 0);
    assert_int_equal(symlink("/dev/full", test_path("full/map-1-before.png")), 0);
    assert_int_equal(test_run(test_path("full")), 2);
    assert_int_equal(unlink(test_path("full/map-1-before.png")), 0);
    assert_int_equal(symlink("/dev/full", test_path("full/map-3-after.svg")), 0);
    assert_int_equal(test_run(test_path("full")), 2);
    assert_int_equal(test_run(test_path("new")), 0);
    assert_int_equal(access(test_path("new/map-3-after.svg"), R_OK), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(takings_are_told, world_setup, world_teardown),
        cmocka_unit_test_setup_teardown(each_page_has_its_colour_in_its_place, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(mixed_cells_show_fair_shares, world_setup_large,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(the_legend_counts_what_the_books_say, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(buffers_are_named_and_numbered, world_setup,
                                        world_teardown),
        cmocka_unit_test_setup_teardown(the_same_memory_is_the_same_file, world_setup,
                                        world_teardown),
        cmocka_unit_test(short_frames_are_refused),
        cmocka_unit_test(colours_differ_in_grey),
        cmocka_unit_test(a_written_frame_is_the_frame),
        cmocka_unit_test_setup_teardown(captured_pictures_are_drawn, world_setup, world_teardown),
        cmocka_unit_test(directories_that_cannot_be_written_end_with_2),
    };
    char remove[64];
    int failed;

    memset(strchr(test_directory, '.'), 'X', 6);
    if (mkdtemp(test_directory) == NULL)
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    draw_end();
    snprintf(remove, sizeof(remove), "rm -rf %s", test_directory);
    return system(remove) != 0 || failed != 0;
}
