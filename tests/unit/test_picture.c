/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_picture.c - test pictures: lengths, heads, and that each line of one differs from the next
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
    static const struct picture_format vga[PICTURE_PIXELS] = {{PICTURE_GREY, 640, 480, 0},
                                                              {PICTURE_YUYV, 640, 480, 0},
                                                              {PICTURE_NV12, 640, 480, 0},
                                                              {PICTURE_NV12_ONE, 640, 480, 0},
                                                              {PICTURE_RGB24, 640, 480, 0}};
    static const uint64_t total[PICTURE_PIXELS] = {307200, 614400, 460800, 460800, 921600};
    struct picture_format odd = {PICTURE_RGB24, 33, 7, 0};
    enum picture_pixel pixel;

    (void)state;
    for (uint32_t i = 0; i < PICTURE_PIXELS; i++) {
        assert_int_equal(picture_total_nbytes(&vga[i]), total[i]);
        assert_int_equal(picture_nplanes(&vga[i]), i == PICTURE_NV12 ? 2 : 1);
        assert_true(picture_pixel_parse(picture_pixel_name((enum picture_pixel)i), &pixel));
        assert_int_equal(pixel, i);
        assert_true(picture_format_is_valid(&vga[i]));
    }
    assert_false(picture_pixel_parse("grey", &pixel));
    assert_int_equal(picture_nbytes(&vga[PICTURE_NV12], 1), 153600);
    assert_int_equal(picture_stride(&odd), 128); /* 99, and whole cache lines */
    odd.stride_nbytes = 98;
    assert_false(picture_format_is_valid(&odd));
    odd.stride_nbytes = 99;
    assert_int_equal(picture_nbytes(&odd, 0), 693);
    assert_true(picture_format_is_valid(&odd));
    odd.pixel = PICTURE_NV12;
    assert_false(picture_format_is_valid(&odd));
    odd = (struct picture_format){PICTURE_GREY, 0, 1, 0};
    assert_false(picture_format_is_valid(&odd));
}

/* No line of 64 bytes of a picture is that of one of the 64 that follow: a stale one shows. */
static void test_pictures_differ_in_each_line(void **state)
{
    struct picture_format format = {PICTURE_NV12, 128, 130, 0};
    struct picture_source source;

    (void)state;
    picture_source_init(&source, &format, 3);
    for (uint32_t plane = 0; plane < 2; plane++) {
        uint64_t nbytes = picture_nbytes(&format, plane);
        uint8_t *first = malloc(nbytes), *other = malloc(nbytes);

        picture_draw(&source, 100, 0, plane, first);
        for (uint32_t number = 101; number < 101 + 64; number++) {
            picture_draw(&source, number, 0, plane, other);
            /* Below the number, which is drawn in flat colours. */
            for (uint64_t at = plane ? 0 : 20 * 128; at + 64 <= nbytes; at += 64)
                assert_memory_not_equal(first + at, other + at, 64);
        }
        free(first);
        free(other);
    }
    picture_source_free(&source);
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

static void test_shrink_by_hand(void **state)
{
    static const uint8_t yuyv[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
                                   0, 0, 0, 0, 0, 0, 0, 0, 0, 0,  0,  0};
    static const uint8_t uv[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9, 9, 9, 9, 9};
    struct picture_format format = {PICTURE_YUYV, 6, 2, 12}, small;
    uint8_t to[256];

    (void)state;
    small = picture_shrunk(&format, 2);
    assert_int_equal(small.width, 2);
    assert_int_equal(small.height, 1);
    picture_shrink(&format, 2, 0, yuyv, to);
    assert_memory_equal(to, yuyv, 4);
    assert_int_equal(to[4], 0);
    format = (struct picture_format){PICTURE_NV12, 8, 4, 8};
    small = picture_shrunk(&format, 2);
    assert_int_equal(small.width, 4);
    assert_int_equal(small.height, 2);
    picture_shrink(&format, 2, 1, uv, to);
    assert_memory_equal(to, "\1\2\5\6\0", 5);
    format = (struct picture_format){PICTURE_GREY, 8, 2, 8};
    picture_shrink(&format, 1, 0, uv, to);
    assert_memory_equal(to, uv, 16);
}

static void test_colours(void **state)
{
    static const uint8_t y[] = {200, 40, 200, 40}, uv[] = {128, 128};
    const uint8_t *planes[2] = {y, uv};
    struct picture_format format = {PICTURE_NV12, 2, 2, 2};
    uint8_t rgb[12];

    (void)state;
    picture_to_rgb(&format, planes, rgb);
    assert_memory_equal(rgb, "\xc8\xc8\xc8\x28\x28\x28\xc8\xc8\xc8\x28\x28\x28", 12);
    format = (struct picture_format){PICTURE_GREY, 2, 2, 2};
    picture_to_rgb(&format, planes, rgb);
    assert_memory_equal(rgb, "\xc8\xc8\xc8\x28\x28\x28\xc8\xc8\xc8\x28\x28\x28", 12);
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
        cmocka_unit_test(test_lengths), cmocka_unit_test(test_pictures_differ_in_each_line),
        cmocka_unit_test(test_head),    cmocka_unit_test(test_shrink_by_hand),
        cmocka_unit_test(test_colours), cmocka_unit_test(test_samples_come_round),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
