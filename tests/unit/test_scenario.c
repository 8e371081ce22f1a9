/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_scenario.c - the format of scenarios: every word, every error with its line, the examples,
 * and texts that nobody meant well with
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../tool/scenario.h"

#define HEAD "board b.dts\n"
#define CAMERA "camera a\nformat GREY 64x64\nopen at 0s\n"

static struct scenario scenario;
static struct scenario_error error;

/* From memory that ends where the text does, so that reading on is noticed (AddressSanitizer). */
static int parse_bytes(const char *text, size_t nbytes)
{
    char *copy = malloc(nbytes != 0 ? nbytes : 1);
    int result;

    assert_non_null(copy);
    memcpy(copy, text, nbytes);
    result = scenario_parse(&scenario, copy, nbytes, &error);
    free(copy);
    return result;
}

static int parse(const char *text)
{
    return parse_bytes(text, strlen(text));
}

static void good(const char *text)
{
    if (parse(text) != 0)
        fail_msg("line %u: %s", error.line, error.text);
}

/* Refused, in this line, for something that is said so. */
static void bad(uint32_t line, const char *what, const char *text)
{
    if (parse(text) == 0)
        fail_msg("taken: %s", text);
    if (error.line != line || strstr(error.text, what) == NULL)
        fail_msg("line %u: %s (expected line %u: %s)", error.line, error.text, line, what);
}

static void test_every_word(void **state)
{
    const struct scenario_device *device;
    (void)state;

    good("# a comment\n"
         "scenario \"Face unlock # no comment\"\r\n"
         "board   ../boards/b.dts   # the board\n"
         "memory 192M\n"
         "cmdline \"cma=8M quiet\"\n"
         "granule page\n"
         "time 10min\n"
         "fill 95%\n"
         "droppable 50\n"
         "pins 3\n"
         "seed 18446744073709551615\n"
         "\n"
         "camera front\n"
         "\tnode /soc/camera@1\n"
         "\tformat NV12M 640x480\n"
         "\tbuffers 4\n"
         "\trate 60\n"
         "\tpromise 16\n"
         "\topen at 500ms for 2s\n"
         "\topen at 3s for 1s every 1500ms\n"
         "display panel\n"
         "\tformat XRGB8888 320x240\n"
         "\tpromise\n"
         "\tgroup port-1\n"
         "\topen at 0s\n"
         "scaler small\n"
         "\tfrom front\n"
         "\tformat GREY 1x1\n"
         "\topen at 0us for 1h\n"
         "decoder film\n"
         "\tformat SRGGB10P 16384x16384\n"
         "\topen at 100000s");
    assert_string_equal(scenario.title, "Face unlock # no comment");
    assert_string_equal(scenario.board, "../boards/b.dts");
    assert_int_equal(scenario.board_line, 3);
    assert_string_equal(scenario.cmdline, "cma=8M quiet");
    assert_true(scenario.has_cmdline && scenario.has_fill && scenario.has_droppable);
    assert_true(scenario.has_pins && scenario.has_seed);
    assert_int_equal(scenario.memory_nbytes, 192u << 20);
    assert_true(scenario.granule_page);
    assert_int_equal(scenario.seconds, 600);
    assert_int_equal(scenario.fill, 95);
    assert_int_equal(scenario.droppable, 50);
    assert_int_equal(scenario.pins, 3);
    assert_true(scenario.seed == UINT64_MAX);
    assert_int_equal(scenario.ndevices, 4);

    device = &scenario.devices[0];
    assert_int_equal(device->kind, SCENARIO_CAMERA);
    assert_string_equal(device->name, "front");
    assert_string_equal(device->node, "/soc/camera@1");
    assert_int_equal(device->format.nplanes, 2);
    assert_int_equal(device->format.plane_nbytes[0], 640 * 480);
    assert_int_equal(device->format.plane_nbytes[1], 640 * 480 / 2);
    assert_int_equal(device->nbuffers, 4);
    assert_int_equal(device->rate, 60);
    assert_true(device->promise);
    assert_int_equal(device->max_moves, 16);
    assert_int_equal(device->nopens, 2);
    assert_int_equal(device->opens[0].begin_us, 500000);
    assert_int_equal(device->opens[0].length_us, 2000000);
    assert_int_equal(device->opens[0].period_us, 0);
    assert_int_equal(device->opens[1].period_us, 1500000);
    assert_int_equal(device->line, 13);

    device = &scenario.devices[1];
    assert_int_equal(device->nbuffers, 6); /* what is not said */
    assert_int_equal(device->rate, 30);
    assert_string_equal(device->node, "");
    assert_string_equal(device->group, "port-1");
    assert_int_equal(device->max_moves, 0);
    assert_true(device->opens[0].length_us == UINT64_MAX);
    assert_int_equal(scenario.devices[2].source, 0);
    assert_int_equal(scenario.devices[3].format.plane_nbytes[0], 16384 * 16384 * 10ull / 8);
}

static void test_formats(void **state)
{
    static const struct {
        const char *name;
        uint64_t nbytes;
    } want[] = {{"NV12", 1536},   {"NV16", 2048},     {"YUYV", 2048},
                {"GREY", 1024},   {"RGB565", 2048},   {"XBGR32", 4096},
                {"SRGGB8", 1024}, {"SRGGB10P", 1280}, {"RGB24", 3072}};
    struct scenario_format format;
    const char *why;
    char names[120], little[8];
    (void)state;

    scenario_format_names(names, sizeof(names));
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        assert_int_equal(scenario_format(&format, want[i].name, 32, 32, &why), 0);
        assert_int_equal(format.nplanes, 1);
        assert_int_equal(format.plane_nbytes[0], want[i].nbytes);
        assert_non_null(strstr(names, want[i].name));
    }
    assert_int_equal(scenario_format(&format, "NV12", 31, 32, &why), -1);
    assert_int_equal(scenario_format(&format, "NV12", 32, 31, &why), -1);
    assert_int_equal(scenario_format(&format, "SRGGB10P", 34, 32, &why), -1);
    assert_int_equal(scenario_format(&format, "nv12", 32, 32, &why), -1);
    assert_int_equal(scenario_format(&format, "XRGB8888", 3, 3, &why), 0);
    assert_string_equal(format.name, "XBGR32");
    assert_int_equal(format.plane_nbytes[0], 36);  /* no gap behind rows */
    scenario_format_names(little, sizeof(little)); /* cut, and ended */
    assert_int_equal(strlen(little), 7);
}

static void test_errors_of_the_whole(void **state)
{
    (void)state;
    bad(0, "a line board", "");
    bad(0, "a line board", CAMERA);
    bad(0, "expected a device", HEAD);
    bad(2, "'frobnicate' is no word here; expected scenario, board,", HEAD "frobnicate 3\n");
    bad(2, "expected a time such as", HEAD "time 4 s\n");
    bad(2, "expected nothing more on this line, not 'x'", HEAD "time 4s x\n");
    bad(1, "expected a time such as", "time\n");
    bad(1, "after 'time'", "time\n");
    bad(1, "whole seconds", "time 1500ms\n");
    bad(1, "whole seconds", "time 0s\n");
    bad(1, "at most 100000s", "time 100001s\n");
    bad(1, "at most 100000s", "time 99999999999999999999s\n");
    bad(1, "at most 100000s", "time 18446744073709551615h\n");
    bad(1, "at most 100000s", "time 5 \n");
    bad(2, "time was said already", "time 5s\ntime 5s\n");
    bad(1, "from 0 to 100 with or without %", "fill 101%\n");
    bad(1, "from 0 to 100", "fill -1\n");
    bad(1, "from 0 to 100", "fill %\n");
    bad(1, "from 0 to 100", "droppable 5%%\n");
    bad(1, "from 0 to 100, not '7x'", "pins 7x\n");
    bad(1, "below 2^64", "seed 18446744073709551616\n");
    bad(1, "a size such as 64M", "memory 64\n");
    bad(1, "a size such as 64M", "memory 64MB\n");
    bad(1, "a size such as 64M", "memory 0M\n");
    bad(1, "a size such as 64M", "memory 18014398509481984K\n");
    bad(1, "expected page", "granule 4K\n");
    bad(1, "expected the file of a board", "board\n");
    bad(1, "expected the file of a board, not ''", "board \"\"\n");
    bad(1, "a \" that ends the text", "scenario \"x\nboard b\n");
    bad(1, "nothing more on this line, not 'two'", "scenario one two\n");
    bad(1, "rate belongs to a device", "rate 3\n");
    bad(5, "time is about the whole: expected before the first device, which is in line 2",
        HEAD CAMERA "time 3s\n");
}

static void test_errors_of_a_device(void **state)
{
    (void)state;
    bad(2, "a name of at most 31", HEAD "camera\n");
    bad(2, "a name of at most 31", HEAD "camera a/b\n");
    bad(2, "a name of at most 31", HEAD "camera aaaaaaaaaabbbbbbbbbbccccccccccdd\n");
    bad(2, "nothing more", HEAD "camera a b\n");
    bad(5, "there is a device 'a' already, in line 2", HEAD CAMERA "display a\n");
    bad(2, "expected a line with its format", HEAD "camera a\nopen at 0s\n");
    bad(2, "expected a line that opens it", HEAD "camera a\nformat GREY 1x1\n");
    bad(3, "'fps' is no word here; expected node, format,", HEAD "camera a\nfps 30\n");
    bad(3, "begins with /", HEAD "camera a\nnode soc\n");
    bad(3, "a pixel format and a size", HEAD "camera a\nformat\n");
    bad(3, "width x height", HEAD "camera a\nformat NV12\n");
    bad(3, "width x height", HEAD "camera a\nformat NV12 640\n");
    bad(3, "width x height", HEAD "camera a\nformat NV12 640x480x2\n");
    bad(3, "width x height", HEAD "camera a\nformat NV12 0x480\n");
    bad(3, "width x height", HEAD "camera a\nformat NV12 16386x480\n");
    bad(3, "width x height", HEAD "camera a\nformat NV12 640x99999999999999999999\n");
    bad(3, "'NV13': no such format; there are GREY,", HEAD "camera a\nformat NV13 64x64\n");
    bad(3, "groups of dots", HEAD "camera a\nformat NV12 63x64\n");
    bad(3, "from 1 to 32", HEAD "camera a\nbuffers 0\n");
    bad(3, "from 1 to 32", HEAD "camera a\nbuffers 33\n");
    bad(3, "from 1 to 1000", HEAD "camera a\nrate 0\n");
    bad(3, "from 0 to 65536", HEAD "camera a\npromise 65537\n");
    bad(4, "buffers was said already", HEAD "camera a\nbuffers 2\nbuffers 2\n");
    bad(3, "only a scaler or display reads", HEAD "camera a\nfrom b\n");
    bad(5, "expected a line promise", HEAD CAMERA "group x\n");
    bad(4, "of one plane, not NV12M",
        HEAD "camera a\npromise\ngroup x\nformat NV12M 64x64\nopen at 0s\n");
    bad(7, "'a' is that one already",
        HEAD "camera a\nformat GREY 1x1\nopen at 0s\nnode /x\n"
             "camera b\nnode /x\nformat GREY 1x1\nopen at 0s\n");
}

static void test_errors_of_times(void **state)
{
    (void)state;
    bad(3, "at and a time", HEAD "camera a\nopen\n");
    bad(3, "at and a time", HEAD "camera a\nopen 3s\n");
    bad(3, "expected a time such as", HEAD "camera a\nopen at\n");
    bad(3, "for and a time, or nothing, not 'until'", HEAD "camera a\nopen at 1s until 2s\n");
    bad(3, "expected a time such as", HEAD "camera a\nopen at 1s for\n");
    bad(3, "every and a time, or nothing", HEAD "camera a\nopen at 1s for 2s each 3s\n");
    bad(3, "longer than none", HEAD "camera a\nopen at 1s for 0s\n");
    bad(3, "longer than it stays open", HEAD "camera a\nopen at 1s for 2s every 2s\n");
    bad(4, "still open then", HEAD "camera a\nopen at 1s\nopen at 3s\n");
    bad(4, "still open then", HEAD "camera a\nopen at 1s for 1s every 2s\nopen at 90s\n");
    bad(4, "still open then", HEAD "camera a\nopen at 1s for 1s\nopen at 2s\n");
}

static void test_errors_of_scalers(void **state)
{
    static const char rest[] = "format GREY 1x1\nopen at 0s\n";
    char text[400];
    (void)state;

    snprintf(text, sizeof(text), HEAD "scaler s\n%s", rest);
    bad(2, "expected a line from", text);
    snprintf(text, sizeof(text), HEAD "scaler s\nfrom s\n%s", rest);
    bad(3, "expected a line from", text);
    snprintf(text, sizeof(text), HEAD "display d\n%sscaler s\nfrom d\n%s", rest, rest);
    bad(6, "camera, decoder or scaler above it", text);
    snprintf(text, sizeof(text), HEAD "scaler s\nfrom t\n%sscaler t\nfrom s\n%s", rest, rest);
    bad(3, "above it", text);
    snprintf(text, sizeof(text), HEAD "%sscaler s\nfrom a\n%sscaler t\nfrom s\n%s", CAMERA, rest,
             rest);
    good(text);
    assert_int_equal(scenario.devices[2].source, 1);
}

/* Opening times: from the file's numbers alone. */
static void test_times(void **state)
{
    struct scenario_device device = {
        .opens = {{1000, 500, 0}, {2000, 500, 1000}},
        .nopens = 2,
    };
    static const struct {
        uint64_t at;
        bool open;
        uint64_t from, until;
    } want[] = {
        {0, false, 1000, 1500},    {999, false, 1000, 1500},    {1000, true, 1000, 1500},
        {1499, true, 1000, 1500},  {1500, false, 2000, 2500},   {2000, true, 2000, 2500},
        {2500, false, 3000, 3500}, {2999, false, 3000, 3500},   {3000, true, 3000, 3500},
        {9499, true, 9000, 9500},  {9500, false, 10000, 10500},
    };
    uint64_t from, until;
    (void)state;

    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        assert_int_equal(scenario_is_open(&device, want[i].at, &from, &until), want[i].open);
        assert_int_equal(from, want[i].from);
        assert_int_equal(until, want[i].until);
    }
    device.nopens = 1;
    assert_false(scenario_is_open(&device, 1500, &from, &until));
    assert_true(from == UINT64_MAX);
    device.opens[0].length_us = UINT64_MAX;
    assert_true(scenario_is_open(&device, 1ull << 60, &from, &until));
    assert_true(until == UINT64_MAX);
}

/* --- texts that nobody meant well with ------------------------------------------------------- */

static void test_no_text(void **state)
{
    static const char nul[] = "board b.dts\nfill 9\0005\n", escape[] = "board \033[31m\n";
    char *huge = calloc(1, SCENARIO_FILE_NBYTES + 1);
    char word[400];
    (void)state;

    assert_int_equal(parse_bytes(nul, sizeof(nul) - 1), -1);
    assert_int_equal(error.line, 2);
    assert_string_equal(error.text, "byte 0x00: this is no text");
    bad(1, "byte 0x1b", escape);
    bad(2, "'caf\?\?' is no word", HEAD "caf\303\251\n");
    assert_non_null(huge);
    memset(huge, '\n', SCENARIO_FILE_NBYTES + 1);
    assert_int_equal(parse_bytes(huge, SCENARIO_FILE_NBYTES + 1), -1);
    assert_non_null(strstr(error.text, "longer than 65536 bytes"));
    assert_int_equal(parse_bytes(huge, SCENARIO_FILE_NBYTES), -1);
    assert_non_null(strstr(error.text, "expected a line board"));
    memset(huge, '"', SCENARIO_FILE_NBYTES);
    assert_int_equal(parse_bytes(huge, SCENARIO_FILE_NBYTES), -1);
    free(huge);

    /* The longest word that there may be, and one byte more. */
    memset(word, 'x', sizeof(word));
    memcpy(word, "board ", 6);
    word[6 + 255] = '\0';
    bad(0, "expected a device", word);
    memset(word + 6, 'x', 256);
    word[6 + 256] = '\0';
    bad(1, "a word is longer than 255 bytes", word);
    bad(1, "so many words", "open a b c d e f g h i j k l\n");
    /* A title has less room than a word. */
    memset(word, 'x', sizeof(word));
    memcpy(word, "scenario ", 9);
    word[9 + 128] = '\0';
    bad(1, "of at most 127 bytes", word);
    word[9 + 127] = '\0';
    bad(0, "expected a line board", word);
}

static void test_too_many(void **state)
{
    char text[4096] = HEAD;
    size_t length = strlen(text);
    (void)state;

    for (int i = 0; i <= SCENARIO_DEVICES_MAX; i++)
        length += (size_t)snprintf(text + length, sizeof(text) - length,
                                   "camera c%d\nformat GREY 1x1\nopen at 0s\n", i);
    bad(2 + 3 * SCENARIO_DEVICES_MAX, "at most 16 devices", text);
    length = (size_t)snprintf(text, sizeof(text), HEAD "camera a\nformat GREY 1x1\n");
    for (int i = 0; i <= SCENARIO_OPENS_MAX; i++)
        length +=
            (size_t)snprintf(text + length, sizeof(text) - length, "open at %ds for 1s\n", 2 * i);
    bad(4 + SCENARIO_OPENS_MAX, "at most 16 lines with open", text);
}

static uint64_t test_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Whatever the bytes: an answer, and a refusal has a line of the file and says something. */
static void test_answer(const char *text, size_t nbytes)
{
    uint32_t lines = 1;

    if (parse_bytes(text, nbytes) == 0) {
        assert_in_range(scenario.ndevices, 1, SCENARIO_DEVICES_MAX);
        return;
    }
    for (size_t i = 0; i < nbytes; i++)
        lines += text[i] == '\n';
    assert_in_range(error.line, 0, lines);
    assert_in_range(strlen(error.text), 10, SCENARIO_ERROR_NBYTES - 1);
    for (size_t i = 0; error.text[i] != '\0'; i++)
        assert_in_range(error.text[i], 0x20, 0x7e);
}

static size_t test_read(const char *name, char *text, size_t room)
{
    char path[400];
    FILE *file;
    size_t nbytes;

    snprintf(path, sizeof(path), "examples/scenarios/%s", name);
    file = fopen(path, "rb");
    assert_non_null(file);
    nbytes = fread(text, 1, room, file);
    fclose(file);
    return nbytes;
}

/* Every example is good; and cut anywhere, or with bytes changed, moved and doubled, answered. */
static void test_examples(void **state)
{
    static char text[SCENARIO_FILE_NBYTES], worse[SCENARIO_FILE_NBYTES];
    DIR *folder = opendir("examples/scenarios");
    struct dirent *entry;
    uint64_t seed = 88172645463325252ull;
    int count = 0;
    (void)state;

    assert_non_null(folder);
    while ((entry = readdir(folder)) != NULL) {
        size_t nbytes;

        if (strstr(entry->d_name, ".txt") == NULL)
            continue;
        count++;
        nbytes = test_read(entry->d_name, text, sizeof(text));
        if (parse_bytes(text, nbytes) != 0)
            fail_msg("%s:%u: %s", entry->d_name, error.line, error.text);
        for (size_t cut = 0; cut < nbytes; cut += 1 + cut / 64)
            test_answer(text, cut);
        for (int round = 0; round < 2000; round++) {
            memcpy(worse, text, nbytes);
            for (uint64_t k = test_random(&seed) % 4 + 1; k != 0; k--) {
                size_t at = test_random(&seed) % nbytes, from = test_random(&seed) % nbytes;
                size_t longest = nbytes - (at > from ? at : from);
                static const char bytes[] = "0189-#\"\n\t kMx/%\0\377";

                if (test_random(&seed) % 2 != 0)
                    worse[at] = bytes[test_random(&seed) % (sizeof(bytes) - 1)];
                else
                    memmove(worse + at, worse + from, test_random(&seed) % (longest % 60 + 1));
            }
            test_answer(worse, nbytes);
        }
    }
    closedir(folder);
    assert_in_range(count, 5, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_word),
        cmocka_unit_test(test_formats),
        cmocka_unit_test(test_errors_of_the_whole),
        cmocka_unit_test(test_errors_of_a_device),
        cmocka_unit_test(test_errors_of_times),
        cmocka_unit_test(test_errors_of_scalers),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_no_text),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_examples),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
