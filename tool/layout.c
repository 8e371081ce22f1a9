/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * layout.c - `cma layout BOARD`: the memory map, the devices, the problems
 */
#include "board.h"
#include "json.h"
#include "layout_promise.h"
#include "verbs.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAYOUT_BAR 64 /* characters of the drawing of one range of memory */

static void layout_help(void)
{
    fputs("usage: cma layout BOARD [options]\n"
          "\n"
          "Prints the board's memory as a Linux kernel of its architecture would lay it out:\n"
          "which ranges are areas (lent to data while idle), pools, hidden from the CPU (no-map)\n"
          "or reserved; then each device with the memory it gets and the addresses it reaches;\n"
          "then what the board promises its devices (libcma's own properties, docs/BINDINGS.md):\n"
          "whether it can be kept, where the slots for it are, and why not; then the problems:\n"
          "what was refused or ignored, and why.\n"
          "\n"
          "Guarantees are judged on a machine with this map and no memory, as of the moment\n"
          "after boot, the largest blocks first. Slots are lent while their device has no block.\n"
          "\n"
          "BOARD is a .dtb file, or a .dts that is compiled with dtc on the way.\n"
          "\n",
          stdout);
    fputs(board_options_help, stdout);
    fputs("\n"
          "examples:\n"
          "  cma layout board.dtb --memory 2G\n"
          "  cma layout board.dts --cmdline 'console=ttyS0 cma=64M' --json\n"
          "\n"
          "exit codes: 0 done (problems are results); 2 bad usage or a tree that can't be read\n",
          stdout);
}

/* ---- JSON ---------------------------------------------------------------------------------- */

static void layout_json_placement(struct json *json, struct board *board,
                                  const struct cma_range *range)
{
    const struct cma_fdt_region *region = board_region(board, range->id);
    const struct cma_boot_default *area = &board->fdt.default_area;
    bool dynamic = (range->flags & CMA_RANGE_DYNAMIC) != 0;
    cma_paddr_t base;
    uint64_t nbytes;

    json_string(json, "placement", dynamic ? "dynamic" : "fixed");
    json_bool(json, "default", (range->flags & CMA_RANGE_DEFAULT) != 0);
    if (!dynamic) {
        return;
    }
    json_hex(json, "alignment", region ? region->align_nbytes : board->rules.granule_nbytes);
    json_open(json, "ranges", '[');
    for (uint32_t i = 0; region && cma_fdt_alloc_range(&board->fdt, region, i, &base, &nbytes) == 0;
         i++) {
        json_open(json, NULL, '{');
        json_hex(json, "base", base);
        json_hex(json, "size", nbytes);
        json_close(json, '}');
    }
    if (!region) {
        json_open(json, NULL, '{');
        json_hex(json, "base", area->first);
        json_hex(json, "size", area->last - area->first + 1);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void layout_json_classes(struct json *json, const struct cma_fdt_region *region)
{
    if (!region || region->nclasses == 0) {
        return;
    }
    json_open(json, "classes", '[');
    for (uint32_t i = 0; i < region->nclasses; i++) {
        json_open(json, NULL, '{');
        json_hex(json, "request", region->classes[i].request_nbytes);
        json_hex(json, "size", region->classes[i].nbytes);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void layout_json_map(struct json *json, struct board *board)
{
    const struct cma_range *range;

    json_open(json, "memory", '[');
    for (uint32_t i = 0; (range = cma_map_memory(&board->map, i)) != NULL; i++) {
        json_open(json, NULL, '{');
        json_hex(json, "base", range->base);
        json_hex(json, "size", range->nbytes);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_open(json, "reserved", '[');
    for (uint32_t i = 0; (range = cma_map_reserved(&board->map, i)) != NULL; i++) {
        json_open(json, NULL, '{');
        json_string(json, "path", board_path(board, range->id));
        json_string(json, "name", range->name);
        json_string(json, "kind", cma_range_kind_name(range->kind));
        json_hex(json, "base", range->base);
        json_hex(json, "size", range->nbytes);
        layout_json_placement(json, board, range);
        layout_json_classes(json, board_region(board, range->id));
        json_close(json, '}');
    }
    json_close(json, ']');
}

static int layout_json(struct board *board, const struct layout_machine *machine)
{
    struct json json;

    json_start(&json, stdout);
    json_open(&json, NULL, '{');
    json_string(&json, "model", board->fdt.model);
    layout_json_map(&json, board);
    json_open(&json, "devices", '[');
    for (uint32_t i = 0; i < board->fdt.ndevices; i++) {
        const struct cma_fdt_device *device = &board->fdt.devices[i];

        json_open(&json, NULL, '{');
        json_string(&json, "path", board_path(board, device->node));
        json_open(&json, "memory_region", '[');
        for (uint32_t k = 0; k < device->nregions; k++) {
            json_string(&json, NULL, board_path(board, device->regions[k]));
        }
        json_close(&json, ']');
        if (device->limited) {
            json_hex(&json, "dma_limit", device->dma_last);
        }
        json_bool(&json, "coherent", device->coherent);
        if (device->quota_nbytes != 0) {
            json_hex(&json, "quota", device->quota_nbytes);
        }
        json_close(&json, '}');
    }
    json_close(&json, ']');
    layout_json_promises(&json, machine);
    json_open(&json, "problems", '[');
    for (uint32_t i = 0; i < board->fdt.problems.count; i++) {
        const struct cma_problem *problem = &board->fdt.problems.list[i];
        size_t nbytes = cma_problem_text(problem, NULL, 0) + 1;
        char *text = malloc(nbytes);

        if (text) {
            cma_problem_text(problem, text, nbytes);
        }
        json_open(&json, NULL, '{');
        json_string(&json, "path", board_path(board, problem->node));
        json_string(&json, "property", problem->property);
        json_string(&json, "message", text ? text : "?");
        json_close(&json, '}');
        free(text);
    }
    json_close(&json, ']');
    json_close(&json, '}');
    return json_end(&json) == 0 ? 0 : EXIT_USAGE;
}

/* ---- text ---------------------------------------------------------------------------------- */

const char *layout_clean(const char *text)
{
    static char clean[512];
    size_t i;

    for (i = 0; text[i] && i + 1 < sizeof(clean); i++) {
        clean[i] = text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?';
    }
    clean[i] = 0;
    return clean;
}

static char layout_mark(enum cma_range_kind kind)
{
    static const char marks[] = ".ACRx#";

    return marks[kind];
}

/* Draws one range of memory. Where a character stands for several kinds, the widest is drawn, but
 * what is reserved is always seen. */
static void layout_draw(const struct board *board, const struct cma_range *memory)
{
    double step = (double)memory->nbytes / LAYOUT_BAR;
    char bar[LAYOUT_BAR + 1] = {0};

    for (int i = 0; i < LAYOUT_BAR; i++) {
        cma_paddr_t base = memory->base + (cma_paddr_t)(step * i);
        cma_paddr_t last = memory->base + (cma_paddr_t)(step * (i + 1));
        struct cma_map_cursor cursor = {base, false};
        struct cma_range piece;
        uint64_t widest = 0;

        last = last > base ? last - 1 : base;
        bar[i] = '.';
        while (cma_map_next(&board->map, &cursor, &piece) && piece.base <= last) {
            cma_paddr_t end = piece.base + (piece.nbytes - 1);
            cma_paddr_t from = piece.base > base ? piece.base : base;
            uint64_t width = (end < last ? end : last) - from + 1;

            if (piece.kind != CMA_RANGE_MEMORY && width > widest) {
                widest = width;
                bar[i] = layout_mark(piece.kind);
            }
        }
    }
    printf("  %#14" PRIx64 " |%s| %#" PRIx64 "\n", memory->base, bar,
           memory->base + (memory->nbytes - 1));
}

static void layout_piece(struct board *board, const struct cma_range *piece)
{
    const char *path = board_path(board, piece->id);
    char size[16];

    printf("%c %#14" PRIx64 " %#14" PRIx64 " %11s  %-15s %-8s", layout_mark(piece->kind),
           piece->base, piece->base + (piece->nbytes - 1), board_size(piece->nbytes, size),
           cma_range_kind_name(piece->kind),
           piece->kind == CMA_RANGE_MEMORY    ? ""
           : piece->flags & CMA_RANGE_DYNAMIC ? "dynamic"
                                              : "fixed");
    if (piece->kind == CMA_RANGE_MEMORY) {
        fputs("(free)", stdout);
    } else {
        fputs(layout_clean(*path ? path : piece->name), stdout);
    }
    puts(piece->flags & CMA_RANGE_DEFAULT ? "  [default]" : "");
}

static void layout_text_map(struct board *board)
{
    struct cma_map_cursor cursor = {0, false};
    const struct cma_range *memory;
    struct cma_range piece;
    uint64_t total = 0;
    char size[16], spare[16], granule[16];

    for (uint32_t i = 0; (memory = cma_map_memory(&board->map, i)) != NULL; i++) {
        total += memory->nbytes;
    }
    printf("%s\n", board->fdt.model[0] ? layout_clean(board->fdt.model) : "(no model name)");
    printf("%s, %s of memory, %s of it not reserved; areas in steps of %s\n\n",
           cma_arch_name(board->rules.arch), board_size(total, size),
           board_size(cma_map_free_nbytes(&board->map), spare),
           board_size(board->rules.granule_nbytes, granule));
    for (uint32_t i = 0; (memory = cma_map_memory(&board->map, i)) != NULL; i++) {
        layout_draw(board, memory);
    }
    puts("  . free  A area (lent while idle)  C coherent pool  R restricted pool  x no-map  "
         "# reserved\n");
    printf("  %14s %14s %11s  %-15s %-8s%s\n", "first", "last", "size", "kind", "placed", "owner");
    while (cma_map_next(&board->map, &cursor, &piece)) {
        layout_piece(board, &piece);
    }
}

static bool layout_same(const struct cma_fdt_device *a, const struct cma_fdt_device *b)
{
    return a->nregions == 0 && b->nregions == 0 && a->limited == b->limited &&
           a->coherent == b->coherent && (!a->limited || a->dma_last == b->dma_last) &&
           a->nwindows == b->nwindows &&
           (a->nwindows == 0 || a->windows == b->windows ||
            memcmp(a->windows, b->windows, a->nwindows * sizeof(*a->windows)) == 0);
}

static void layout_text_reach(const struct cma_fdt_device *device)
{
    if (device->limited) {
        printf("      reaches memory up to %#" PRIx64, device->dma_last);
    } else {
        fputs("      reaches all memory", stdout);
    }
    puts(device->coherent ? ", snoops the caches" : "");
    for (uint32_t k = 0; k < device->nwindows; k++) {
        const struct cma_bus_window *window = &device->windows[k];

        if (window->daddr != window->paddr) {
            printf("      sees %#" PRIx64 " as %#" PRIx64 " (%#" PRIx64 " bytes)\n", window->paddr,
                   window->daddr, window->nbytes);
        }
    }
}

/* Devices that differ in nothing but their name stand together, at the place of the first. */
static void layout_text_devices(struct board *board)
{
    const struct cma_fdt_device *devices = board->fdt.devices;
    uint32_t count = board->fdt.ndevices;

    printf("\n%" PRIu32 " devices have memory of their own or a bus that limits or shifts\n",
           count);
    for (uint32_t i = 0; i < count; i++) {
        bool listed = false;

        for (uint32_t k = 0; k < i && !listed; k++) {
            listed = layout_same(&devices[k], &devices[i]);
        }
        if (listed) {
            continue;
        }
        printf("  %s\n", layout_clean(board_path(board, devices[i].node)));
        for (uint32_t k = i + 1; k < count; k++) {
            if (layout_same(&devices[i], &devices[k])) {
                printf("  %s\n", layout_clean(board_path(board, devices[k].node)));
            }
        }
        for (uint32_t k = 0; k < devices[i].nregions; k++) {
            uint32_t node = devices[i].regions[k];
            const struct cma_fdt_region *region = board_region(board, node);

            printf("      memory  %s%s\n", layout_clean(board_path(board, node)),
                   region && region->state == CMA_FDT_MADE ? "" : "  (not made)");
        }
        layout_text_reach(&devices[i]);
    }
}

static void layout_text_problems(struct board *board)
{
    const struct cma_problems *problems = &board->fdt.problems;

    if (problems->count == 0) {
        puts("\nno problems");
        return;
    }
    printf("\n%" PRIu32 " problem%s\n", problems->count, problems->count == 1 ? "" : "s");
    for (uint32_t i = 0; i < problems->count; i++) {
        const char *path = board_path(board, problems->list[i].node);
        char text[512];

        cma_problem_text(&problems->list[i], text, sizeof(text));
        printf("  %s: ", layout_clean(*path ? path : "command line"));
        printf("%s: ", problems->list[i].property);
        printf("%s\n", layout_clean(text));
    }
}

int verb_layout(int argc, char **argv)
{
    static const struct option longs[] = {
        BOARD_OPTIONS, {"help", no_argument, NULL, 'h'}, {NULL, 0, NULL, 0}};
    struct board_options options = {0};
    struct layout_machine machine = {0};
    struct board board;
    int option, error;

    while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        if (option == 'h') {
            layout_help();
            return 0;
        }
        if (board_option(&options, option, optarg) != 0) {
            fputs("cma: see cma layout --help\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (optind + 1 != argc) {
        fputs("cma: layout wants one BOARD, a .dtb or .dts file; see cma layout --help\n", stderr);
        return EXIT_USAGE;
    }
    options.file = argv[optind];
    error = board_load(&board, &options);
    if (!error) {
        error = layout_judge(&machine, &board);
    }
    if (!error && options.json) {
        error = layout_json(&board, &machine);
    } else if (!error) {
        layout_text_map(&board);
        layout_text_devices(&board);
        layout_text_promises(&machine);
        layout_text_problems(&board);
        error = fflush(stdout) != 0 || ferror(stdout) ? EXIT_USAGE : 0;
    }
    layout_forget(&machine);
    board_free(&board);
    return error;
}
