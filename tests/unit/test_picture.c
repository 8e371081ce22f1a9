/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_picture.c - pixel formats, byte by byte, and test pictures: lengths, heads, numbers,
 * colours, and that each line of one differs from the next
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "../../ports/sim/simvideo.h"

static void test_lengths(void **state)
{
    /* Bytes of 640 x 480 dots, and the smallest picture. */
    static const struct {
        const char *name;
        uint64_t nbytes;
        uint32_t stride, width, height;
    } want[PICTURE_PIXELS] = {
        [PICTURE_GREY] = {"GREY", 307200, 640, 1, 1},
        [PICTURE_YUYV] = {"YUYV", 614400, 1280, 2, 1},
        [PICTURE_NV12] = {"NV12", 460800, 640, 2, 2},
        [PICTURE_NV12M] = {"NV12M", 460800, 640, 2, 2},
        [PICTURE_NV16] = {"NV16", 614400, 640, 2, 1},
        [PICTURE_RGB565] = {"RGB565", 614400, 1280, 1, 1},
        [PICTURE_RGB24] = {"RGB24", 921600, 1920, 1, 1},
        [PICTURE_XBGR32] = {"XBGR32", 1228800, 2560, 1, 1},
        [PICTURE_SRGGB8] = {"SRGGB8", 307200, 640, 2, 2},
        [PICTURE_SRGGB10P] = {"SRGGB10P", 384000, 832, 4, 2}, /* 800, and whole lines of 64 */
    };
    uint32_t width, height;
    enum picture_pixel pixel;

    (void)state;
    for (uint32_t i = 0; i < PICTURE_PIXELS; i++) {
        struct picture_format format = {(enum picture_pixel)i, 640, 480, 0};

        assert_string_equal(picture_pixel_name(format.pixel), want[i].name);
        assert_true(picture_pixel_parse(want[i].name, &pixel));
        assert_int_equal(pixel, i);
        assert_true(picture_format_is_valid(&format));
        assert_int_equal(picture_stride(&format), want[i].stride);
        format.stride_nbytes = picture_row_nbytes(&format);
        assert_int_equal(picture_total_nbytes(&format), want[i].nbytes);
        assert_int_equal(picture_nplanes(&format), i == PICTURE_NV12M ? 2 : 1);
        assert_true(picture_format_is_valid(&format));
        format.stride_nbytes--;
        assert_false(picture_format_is_valid(&format));
        /* Whole groups only. */
        picture_steps(format.pixel, &width, &height);
        assert_int_equal(width, want[i].width);
        assert_int_equal(height, want[i].height);
        for (uint32_t j = 1; j <= 4; j++) {
            format = (struct picture_format){(enum picture_pixel)i, j, 4, 0};
            assert_int_equal(picture_format_is_valid(&format), j % width == 0);
            format = (struct picture_format){(enum picture_pixel)i, 4, j, 0};
            assert_int_equal(picture_format_is_valid(&format), j % height == 0);
        }
    }
    assert_false(picture_pixel_parse("grey", &pixel));
    assert_true(picture_pixel_parse("XRGB8888", &pixel)); /* so displays call it */
    assert_int_equal(pixel, PICTURE_XBGR32);
}

static void test_planes_and_strides(void **state)
{
    struct picture_format nv12m = {PICTURE_NV12M, 640, 480, 0}, odd = {PICTURE_RGB24, 33, 7, 0};

    (void)state;
    assert_int_equal(picture_nbytes(&nv12m, 0), 307200);
    assert_int_equal(picture_nbytes(&nv12m, 1), 153600);
    assert_int_equal(picture_stride(&odd), 128); /* 99, and whole cache lines */
    odd.stride_nbytes = 99;
    assert_int_equal(picture_nbytes(&odd, 0), 693);
    odd = (struct picture_format){PICTURE_GREY, 0, 1, 0};
    assert_false(picture_format_is_valid(&odd));
}

/* --- formats, by hand ---------------------------------------------------------------------- */

/* The smallest pictures with a colour of their own in each dot, and what colours these are. */
static const struct sample {
    struct picture_format format;
    uint8_t bytes[2][16];
    uint32_t rgb[8]; /* row by row */
} samples[] = {
    {{PICTURE_GREY, 2, 2, 3}, {{0, 128, 9, 255, 1}}, {0, 0x808080, 0xffffff, 0x010101}},
    /* Black, white; pure red, with another brightness beside it. */
    {{PICTURE_YUYV, 2, 2, 4},
     {{16, 128, 235, 128, 81, 90, 16, 240}},
     {0x000000, 0xffffff, 0xff0000, 0xb30000}},
    {{PICTURE_NV12, 4, 2, 4},
     {{235, 16, 41, 41, 235, 16, 41, 41, 128, 128, 240, 110}},
     {0xffffff, 0, 0x0000ff, 0x0000ff, 0xffffff, 0, 0x0000ff, 0x0000ff}},
    {{PICTURE_NV12M, 4, 2, 4},
     {{235, 16, 41, 41, 235, 16, 41, 41}, {128, 128, 240, 110}},
     {0xffffff, 0, 0x0000ff, 0x0000ff, 0xffffff, 0, 0x0000ff, 0x0000ff}},
    /* Each row has its own colour. */
    {{PICTURE_NV16, 2, 2, 2},
     {{235, 16, 41, 41, 128, 128, 240, 110}},
     {0xffffff, 0, 0x0000ff, 0x0000ff}},
    {{PICTURE_RGB565, 2, 2, 4},
     {{0x00, 0xf8, 0xe0, 0x07, 0x1f, 0x00, 0x10, 0x84}},
     {0xff0000, 0x00ff00, 0x0000ff, 0x848284}},
    {{PICTURE_RGB24, 2, 1, 6}, {{1, 2, 3, 4, 5, 6}}, {0x010203, 0x040506}},
    {{PICTURE_XBGR32, 2, 1, 8}, {{1, 2, 3, 99, 4, 5, 6, 99}}, {0x030201, 0x060504}},
    /* R 10 G 20 / G 40 B 30: of both greens the nearer ones, or their mean. */
    {{PICTURE_SRGGB8, 2, 2, 2}, {{10, 20, 40, 30}}, {0x0a1e1e, 0x0a141e, 0x0a281e, 0x0a1e1e}},
    {{PICTURE_SRGGB8, 4, 2, 4},
     {{10, 20, 50, 60, 40, 30, 80, 70}},
     {0x0a1e1e, 0x1e141e, 0x323532, 0x323c46, 0x0a281e, 0x1e2e1e, 0x325032, 0x324646}},
    /* 10 bits: what is below eight shows in means only. 43 * 4 + 3 and 40 * 4 + 0. */
    {{PICTURE_SRGGB10P, 4, 2, 5},
     {{10, 20, 50, 60, 0, 43, 30, 80, 70, 3}},
     {0x0a1f1e, 0x1e141e, 0x323532, 0x323c46, 0x0a2b1e, 0x1e2f1e, 0x325032, 0x324646}},
};

static void test_colours_by_hand(void **state)
{
    bool seen[PICTURE_PIXELS] = {false};

    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        const struct picture_format *format = &samples[i].format;
        const uint8_t *planes[2] = {samples[i].bytes[0], samples[i].bytes[1]};

        assert_true(picture_format_is_valid(format));
        seen[format->pixel] = true;
        for (uint32_t at = 0; at < format->width * format->height; at++) {
            uint32_t rgb = picture_rgb(format, planes, at % format->width, at / format->width);

            if (rgb != samples[i].rgb[at])
                fail_msg("%s, sample %zu, dot %u: %06x, not %06x",
                         picture_pixel_name(format->pixel), i, at, rgb, samples[i].rgb[at]);
        }
    }
    for (int i = 0; i < PICTURE_PIXELS; i++)
        assert_true(seen[i]);
}

/* The number 000007 is drawn on it: in row 4 the 7 is lit at dot 25, and not at 24 and 26. */
static void test_dots_by_hand(void **state)
{
    static const struct {
        uint32_t at, nbytes; /* of these three dots, and whose bits they are */
        uint8_t bytes[12], mask[12];
    } want[PICTURE_PIXELS] = {
        [PICTURE_GREY] = {24, 3, {0, 255, 0}, {255, 255, 255}},
        [PICTURE_YUYV] = {48, 5, {0, 0, 255, 0, 0}, {255, 0, 255, 0, 255}},
        [PICTURE_NV12] = {24, 3, {0, 255, 0}, {255, 255, 255}},
        [PICTURE_NV12M] = {24, 3, {0, 255, 0}, {255, 255, 255}},
        [PICTURE_NV16] = {24, 3, {0, 255, 0}, {255, 255, 255}},
        [PICTURE_RGB565] = {48, 6, {0, 0, 255, 255, 0, 0}, {255, 255, 255, 255, 255, 255}},
        [PICTURE_RGB24] = {72,
                           9,
                           {0, 0, 0, 255, 255, 255, 0, 0, 0},
                           {255, 255, 255, 255, 255, 255, 255, 255, 255}},
        [PICTURE_XBGR32] = {96,
                            11,
                            {0, 0, 0, 0, 255, 255, 255, 0, 0, 0, 0},
                            {255, 255, 255, 0, 255, 255, 255, 0, 255, 255, 255}},
        [PICTURE_SRGGB8] = {24, 3, {0, 255, 0}, {255, 255, 255}},
        /* Of the fifth byte, the two lowest bits are the first dot's. */
        [PICTURE_SRGGB10P] = {30, 5, {0, 255, 0, 0, 0x0c}, {255, 255, 255, 0, 0x3f}},
    };

    (void)state;
    for (uint32_t i = 0; i < PICTURE_PIXELS; i++) {
        struct picture_format format = {(enum picture_pixel)i, 64, 48, 0};
        struct picture_source source;
        uint8_t *bytes = malloc(picture_nbytes(&format, 0)), *row;

        picture_source_init(&source, &format, 3);
        picture_draw(&source, 7, 0, 0, bytes);
        row = bytes + 4 * (size_t)picture_stride(&format) + want[i].at;
        for (uint32_t at = 0; at < want[i].nbytes; at++)
            if ((row[at] & want[i].mask[at]) != want[i].bytes[at])
                fail_msg("%s, byte %u: %u, not %u", picture_pixel_name(format.pixel), at, row[at],
                         want[i].bytes[at]);
        free(bytes);
        picture_source_free(&source);
    }
}

/* Whatever the format, one sees the same bars; and they roll, all fields of a picture together. */
static void test_bars_have_their_colours(void **state)
{
    static const uint32_t bars[8] = {0xe0e0e0, 0xe0e018, 0x18e0e0, 0x18e018,
                                     0xe018e0, 0xe01818, 0x1818e0, 0x282828};

    (void)state;
    for (uint32_t i = PICTURE_GREY + 1; i < PICTURE_PIXELS; i++) {
        struct picture_format format = {(enum picture_pixel)i, 128, 128, 0};
        struct picture_source source;
        uint8_t *planes[2] = {NULL, NULL};
        uint32_t step, width;

        picture_steps(format.pixel, &width, &step);
        picture_source_init(&source, &format, 3);
        for (uint32_t k = 0; k < picture_nplanes(&format); k++)
            planes[k] = malloc(picture_nbytes(&format, k));
        for (uint32_t number = 0; number <= 16 / step; number += 16 / step) {
            for (uint32_t k = 0; k < picture_nplanes(&format); k++)
                picture_draw(&source, number, 0, k, planes[k]);
            for (uint32_t bar = 0; bar < 8; bar++) {
                /* Well inside of bars, below the number; noise of U and V counts twice. */
                uint32_t sum[3] = {0}, shift = (32 + number * step) * 8 / 128 % 2;

                for (uint32_t at = 0; at < 64; at++) {
                    uint32_t rgb = picture_rgb(&format, (const uint8_t *const *)planes,
                                               bar * 16 + 4 + at % 8, 32 + 4 + at / 8);

                    for (uint32_t c = 0; c < 3; c++)
                        sum[c] += rgb >> (16 - 8 * c) & 255;
                }
                for (uint32_t c = 0; c < 3; c++) {
                    uint32_t right = bars[(bar + shift) % 8] >> (16 - 8 * c) & 255;

                    if (sum[c] / 64 + 14 < right || sum[c] / 64 > right + 14)
                        fail_msg("%s, bar %u, colour %u: %u, not %u",
                                 picture_pixel_name(format.pixel), bar, c, sum[c] / 64, right);
                }
            }
        }
        free(planes[0]);
        free(planes[1]);
        picture_source_free(&source);
    }
}

/* --- pictures ------------------------------------------------------------------------------ */

/* No line of 64 bytes of a picture is that of one of the 64 that follow: a stale one shows. */
static void test_pictures_differ_in_each_line(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < PICTURE_PIXELS; i++) {
        struct picture_format format = {(enum picture_pixel)i, 128, 130, 0};
        struct picture_source source;

        picture_source_init(&source, &format, 3);
        for (uint32_t plane = 0; plane < picture_nplanes(&format); plane++) {
            uint64_t nbytes = picture_nbytes(&format, plane), stride = picture_stride(&format);
            uint8_t *first = malloc(nbytes), *other = malloc(nbytes);

            picture_draw(&source, 100, 0, plane, first);
            for (uint32_t number = 101; number < 101 + 64; number++) {
                picture_draw(&source, number, 0, plane, other);
                /* Below the number, which is drawn in flat colours. */
                for (uint64_t at = plane ? 0 : 20 * stride; at + 64 <= nbytes; at += 64)
                    assert_memory_not_equal(first + at, other + at, 64);
            }
            free(first);
            free(other);
        }
        picture_source_free(&source);
    }
}

static void test_head(void **state)
{
    struct picture_format format = {PICTURE_RGB24, 64, 48, 0};
    struct picture_source source;
    uint8_t *bytes = malloc(picture_nbytes(&format, 0));
    uint32_t number = 0;
    uint64_t time_ns = 0;

    (void)state;
    picture_source_init(&source, &format, 3);
    picture_draw(&source, 123456, UINT64_C(0x123456789ab), 0, bytes);
    assert_true(picture_head(bytes, PICTURE_HEAD_NBYTES, &number, &time_ns));
    assert_int_equal(number, 123456);
    assert_int_equal(time_ns, UINT64_C(0x123456789ab));
    assert_false(picture_head(bytes, PICTURE_HEAD_NBYTES - 1, &number, &time_ns));
    bytes[0] ^= 1;
    assert_false(picture_head(bytes, PICTURE_HEAD_NBYTES, &number, &time_ns));
    free(bytes);
    picture_source_free(&source);
}

/* Made smaller by two; a bar in `from` is where rows end. */
static void test_shrink_by_hand(void **state)
{
    static const struct {
        struct picture_format from;
        uint32_t plane, width, height, nbytes;
        uint8_t bytes[40], to[16];
    } want[] = {
        {{PICTURE_GREY, 4, 2, 5}, 0, 2, 1, 64, {1, 2, 3, 4, 9, 5, 6, 7, 8, 9}, {1, 3}},
        {{PICTURE_YUYV, 6, 2, 12},
         0,
         2,
         1,
         4,
         {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12},
         {1, 2, 3, 4}},
        {{PICTURE_NV12, 4, 4, 4},
         0,
         2,
         2,
         6,
         {1, 2, 3, 4, 9, 9, 9, 9, 5, 6, 7, 8, 9, 9, 9, 9, 11, 12, 13, 14, 15, 16, 17, 18},
         {1, 3, 5, 7, 11, 12}},
        {{PICTURE_NV12M, 8, 4, 8},
         1,
         4,
         2,
         4,
         {1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9, 9, 9, 9, 9},
         {1, 2, 5, 6}},
        {{PICTURE_NV16, 4, 2, 4},
         0,
         2,
         1,
         4,
         {1, 2, 3, 4, 9, 9, 9, 9, 11, 12, 13, 14, 9, 9, 9, 9},
         {1, 3, 11, 12}},
        {{PICTURE_RGB565, 2, 2, 4}, 0, 1, 1, 2, {1, 2, 3, 4, 5, 6, 7, 8}, {1, 2}},
        {{PICTURE_RGB24, 4, 1, 12}, 0, 2, 0, 0, {1}, {0}},
        {{PICTURE_RGB24, 4, 2, 12}, 0, 2, 1, 6, {1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 2, 3, 7, 8, 9}},
        {{PICTURE_XBGR32, 2, 2, 8}, 0, 1, 1, 4, {1, 2, 3, 4, 5, 6, 7, 8}, {1, 2, 3, 4}},
        /* Blocks of R G / G B stay whole. */
        {{PICTURE_SRGGB8, 4, 4, 4}, 0, 2, 2, 4, {1, 2, 9, 9, 3, 4}, {1, 2, 3, 4}},
        {{PICTURE_SRGGB10P, 8, 4, 10},
         0,
         4,
         2,
         10,
         {1, 2, 3, 4, 5, 9, 9, 9, 9, 9, 6, 7, 8, 9, 10},
         {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}},
    };
    uint8_t to[256];

    (void)state;
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        struct picture_format small = picture_shrunk(&want[i].from, 2);

        assert_int_equal(small.width, want[i].width);
        assert_int_equal(small.height, want[i].height);
        assert_int_equal(picture_nbytes(&small, want[i].plane), want[i].nbytes);
        memset(to, 0xee, sizeof(to));
        picture_shrink(&want[i].from, 2, want[i].plane, want[i].bytes, to);
        if (memcmp(to, want[i].to, want[i].nbytes < 16 ? want[i].nbytes : 16) != 0)
            fail_msg("%s, picture %zu", picture_pixel_name(small.pixel), i);
        assert_int_equal(to[want[i].nbytes], 0xee);
        picture_shrink(&want[i].from, 1, want[i].plane, want[i].bytes, to);
        assert_memory_equal(to, want[i].bytes, picture_nbytes(&want[i].from, want[i].plane));
    }
}

/* In 64 pictures that follow each other each line is sent, and none leaves its plane. */
static void test_samples_come_round(void **state)
{
    static const uint64_t lengths[] = {1, 63, 64, 65, 4096, 4160, 12288};

    (void)state;
    for (uint32_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        uint8_t *sent = calloc(1, lengths[i]);
        uint64_t offset;
        uint32_t n;

        for (uint32_t number = 0; number < 64; number++) {
            for (uint32_t j = 0; simvideo_sample(lengths[i], number, j, &offset, &n); j++) {
                assert_true(n > 0 && offset < lengths[i] && n <= lengths[i] - offset);
                memset(sent + offset, 1, n);
            }
        }
        for (uint64_t at = 0; at < lengths[i] / 4096 * 4096; at++)
            assert_int_equal(sent[at], 1);
        assert_int_equal(sent[0], 1);
        free(sent);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_planes_and_strides),
        cmocka_unit_test(test_colours_by_hand),
        cmocka_unit_test(test_dots_by_hand),
        cmocka_unit_test(test_bars_have_their_colours),
        cmocka_unit_test(test_pictures_differ_in_each_line),
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_shrink_by_hand),
        cmocka_unit_test(test_samples_come_round),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
