/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * drive.c - `cma drive [STYLE...]`: drivers and devices in a simulator, every byte compared
 */
#include "board.h"
#include "json.h"
#include "verbs.h"

#include "../examples/drivers/drive.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRIVE_TRANSFERS 10000
#define DRIVE_TRANSFERS_MAX 1000000000
#define DRIVE_STYLES_MAX 16

struct drive_call {
    struct drive_options options;
    bool json;
    const struct drive_style *styles[DRIVE_STYLES_MAX]; /* those that were asked for */
    uint32_t nstyles;
};

static void drive_help(void)
{
    const struct drive_style *style;

    fputs(
        "usage: cma drive [STYLE...] [options]\n"
        "\n"
        "Has the drivers of examples/drivers carry data to simulated devices and back: from\n"
        "anywhere in memory, at any alignment, while the CPU writes to what lies beside and\n"
        "lines enter and leave its cache as they like. The devices can't do everything, and what\n"
        "they can't do goes wrong silently, as with real hardware; libcma is told of it and has\n"
        "to get around it. Every byte is compared, on the device, in the buffer and around it.\n"
        "\n"
        "styles (none named: all of them):\n",
        stdout);
    for (uint32_t i = 0; (style = drive_style(i)) != NULL; i++)
        printf("  %-8s %s\n", style->name, style->summary);
    fputs(
        "\n"
        "  --transfers N  how many in each style, there and back. Default: 10000\n"
        "  --seed N       other data, other places: the same seed is the same run. Default: 1\n"
        "  --break        leave out what the style is about, as a driver does that forgets it, to\n"
        "                 see what comes of it: wrong bytes\n"
        "  --json         print JSON instead of text\n"
        "\n"
        "What is printed:\n"
        "  bounced   mappings whose data went through bounce memory, because the device reaches\n"
        "            the buffer not at all, or must not write beside it into one cache line\n"
        "  segments  that lists of pieces became for the device\n"
        "  failed    transfers that were refused, or failed; faults: accesses of the device that\n"
        "            led nowhere, or to a wrong place\n"
        "  wrong     bytes that were not what they had to be\n"
        "\n"
        "The boards are examples/boards/drivers.dts and window-64m.dts; see also cma layout.\n"
        "\n"
        "examples:\n"
        "  cma drive\n"
        "  cma drive ring --break\n"
        "  cma drive bounce window --transfers 1000000 --json\n"
        "\n"
        "exit codes: 0 done, and every byte was right; 1 a byte was wrong, or a transfer failed;\n"
        "            2 bad usage, or no memory for the simulator\n",
        stdout);
}

static int drive_number(const char *name, const char *value, uint64_t least, uint64_t most,
                        uint64_t *number)
{
    if (board_number(value, number) == 0 && *number >= least && *number <= most)
        return 0;
    fprintf(stderr, "cma: --%s %s: a number from %" PRIu64 " to %" PRIu64 " is wanted\n", name,
            value, least, most);
    return EXIT_USAGE;
}

static int drive_choose(struct drive_call *call, const char *name)
{
    const struct drive_style *style;

    for (uint32_t i = 0; (style = drive_style(i)) != NULL; i++) {
        if (name != NULL && strcmp(name, style->name) != 0)
            continue;
        if (call->nstyles == DRIVE_STYLES_MAX)
            break;
        call->styles[call->nstyles++] = style;
        if (name != NULL)
            return 0;
    }
    if (name == NULL)
        return 0;
    fprintf(stderr, "cma: drive: '%s' is not a style, or too many are named\n", name);
    return EXIT_USAGE;
}

/* Returns 0, an exit code, or -1: help was printed. */
static int drive_parse(struct drive_call *call, int argc, char **argv)
{
    static const struct option longs[] = {
        {"transfers", required_argument, NULL, 't'},
        {"seed", required_argument, NULL, 's'},
        {"break", no_argument, NULL, 'b'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    int option, error = 0;

    while (error == 0 && (option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        switch (option) {
        case 't':
            error =
                drive_number("transfers", optarg, 1, DRIVE_TRANSFERS_MAX, &call->options.transfers);
            break;
        case 's': error = drive_number("seed", optarg, 0, UINT64_MAX, &call->options.seed); break;
        case 'b': call->options.broken = true; break;
        case 'j': call->json = true; break;
        case 'h': drive_help(); return -1;
        default: error = EXIT_USAGE;
        }
    }
    if (error == 0 && optind == argc)
        error = drive_choose(call, NULL);
    while (error == 0 && optind < argc)
        error = drive_choose(call, argv[optind++]);
    if (error != 0)
        fputs("cma: see cma drive --help\n", stderr);
    return error;
}

static void drive_text(const struct drive_call *call, const struct drive_style *style,
                       const struct drive_result *result)
{
    printf("%-7s %9" PRIu64 " %10" PRIu64 " %7" PRIu64 " %8" PRIu64 " %6" PRIu64 " %6" PRIu64
           " %8" PRIu64 "  %s%s\n",
           style->name, result->transfers, result->nbytes, result->bounced, result->segments,
           result->failed, result->faults, result->wrong, call->options.broken ? "left out: " : "",
           call->options.broken ? style->left_out : style->about);
    if (result->violation != NULL)
        printf("        %s\n", result->violation);
    if (result->misuses != 0 && !call->options.broken)
        printf("        %" PRIu64 " reports of the misuse checker; the first: %s\n",
               result->misuses, result->misuse);
    fflush(stdout);
}

static void drive_json_area(struct json *json, const char *key, const struct drive_area *area)
{
    json_open(json, key, '{');
    json_hex(json, "base", area->base);
    json_hex(json, "size", area->nbytes);
    json_close(json, '}');
}

static void drive_json_style(struct json *json, const struct drive_style *style,
                             const struct drive_result *result)
{
    json_open(json, NULL, '{');
    json_string(json, "style", style->name);
    json_string(json, "summary", style->summary);
    json_string(json, "left_out", style->left_out);
    json_string(json, "board", style->board);
    json_hex(json, "memory", style->memory_nbytes);
    drive_json_area(json, "low", &style->low);
    drive_json_area(json, "default", &style->default_area);
    json_open(json, "device", '{');
    json_hex(json, "mask", style->mask);
    json_bool(json, "coherent", style->snoops);
    json_open(json, "windows", '[');
    for (int i = 0; i < 2 && style->windows[i].nbytes != 0; i++) {
        json_open(json, NULL, '{');
        json_hex(json, "device", style->windows[i].daddr);
        json_hex(json, "cpu", style->windows[i].paddr);
        json_hex(json, "size", style->windows[i].nbytes);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_close(json, '}');
    json_number(json, "transfers", result->transfers);
    json_number(json, "bytes", result->nbytes);
    json_number(json, "bounced", result->bounced);
    json_number(json, "segments", result->segments);
    json_number(json, "failed", result->failed);
    json_number(json, "faults", result->faults);
    json_number(json, "misuses", result->misuses);
    json_string(json, "misuse", result->misuse);
    json_number(json, "wrong", result->wrong);
    json_string(json, "violation", result->violation != NULL ? result->violation : "");
    json_close(json, '}');
}

int verb_drive(int argc, char **argv)
{
    struct drive_call call = {.options = {.transfers = DRIVE_TRANSFERS, .seed = 1}};
    struct json json;
    int error = drive_parse(&call, argc, argv), status = 0;

    if (error != 0)
        return error < 0 ? 0 : error;
    if (call.json) {
        json_start(&json, stdout);
        json_open(&json, NULL, '{');
        json_number(&json, "seed", call.options.seed);
        json_bool(&json, "broken", call.options.broken);
        json_open(&json, "styles", '[');
    } else {
        printf("%-7s %9s %10s %7s %8s %6s %6s %8s\n", "style", "transfers", "bytes", "bounced",
               "segments", "failed", "faults", "wrong");
    }
    for (uint32_t i = 0; i < call.nstyles; i++) {
        struct drive_result result;

        if (drive_run(call.styles[i], &call.options, &result) != 0)
            return EXIT_USAGE;
        if (!drive_is_good(&result))
            status = EXIT_LOST;
        if (call.json)
            drive_json_style(&json, call.styles[i], &result);
        else
            drive_text(&call, call.styles[i], &result);
    }
    if (call.json) {
        json_close(&json, ']');
        json_close(&json, '}');
        if (json_end(&json) != 0)
            return EXIT_USAGE;
    } else if (fflush(stdout) != 0 || ferror(stdout)) {
        return EXIT_USAGE;
    }
    return status;
}
