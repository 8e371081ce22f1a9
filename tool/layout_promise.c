/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * layout_promise.c - what a board promises its devices: admitted, where, and why not
 *
 * The machine here has the board's map, zones and buses and a port whose hooks do nothing, for
 * memory is empty at boot: nothing is copied, zeroed or mapped to admit a guarantee. So no byte of
 * the board's memory is needed, and the answer is that of the first moment after boot.
 */
#include "layout_promise.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LAYOUT_SLOTS_BAR = 64 };

/* The tables take a 500th of the memory that they are about. */
#define LAYOUT_MEMORY_MAX (1ull << 40)

/* ---- a port whose hooks do nothing ----------------------------------------------------------- */

/* Linearly mapped memory has some address; nobody looks behind it. */
static void *layout_vaddr(void *ctx, cma_paddr_t paddr)
{
    const struct layout_machine *machine = ctx;
    bool mapped = machine->zones.linear_last == 0 || paddr <= machine->zones.linear_last;

    return mapped ? (void *)(uintptr_t)(paddr | (uintptr_t)1 << (sizeof(uintptr_t) * 8 - 1)) : NULL;
}

static void layout_set_attr(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr)
{
    (void)ctx, (void)paddr, (void)nbytes, (void)attr;
}

static void layout_maintain(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx, (void)paddr, (void)nbytes;
}

static void layout_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    (void)ctx, (void)to, (void)from, (void)nbytes;
}

static void layout_nothing(void *ctx)
{
    (void)ctx;
}

static void layout_port(struct layout_machine *machine, uint32_t page_shift)
{
    machine->port = (struct cma_port){
        .ctx = machine,
        .page_shift = page_shift,
        .cache_line_nbytes = 64,
        .vaddr = layout_vaddr,
        .set_attr = layout_set_attr,
        .clean = layout_maintain,
        .invalidate = layout_maintain,
        .dma_barrier = layout_nothing,
        .tlb_flush = layout_nothing,
        .copy = layout_copy,
        .zero = layout_maintain,
    };
}

/* ---- judging --------------------------------------------------------------------------------- */

static struct cma_device *layout_device(void *ctx, uint32_t index)
{
    const struct layout_machine *machine = ctx;

    return machine->devices[index].dma != NULL ? &machine->devices[index] : NULL;
}

static struct cma_area *layout_area(struct layout_machine *machine, struct board *board,
                                    uint32_t number)
{
    const struct cma_range *range;

    for (uint32_t i = 0; number != 0 && (range = cma_map_reserved(&board->map, i)) != NULL; i++) {
        if (range->kind == CMA_RANGE_AREA && range->id == board->fdt.regions[number - 1].node) {
            return cma_system_area(&machine->system, range->base);
        }
    }
    return NULL;
}

static void layout_make_devices(struct layout_machine *machine, struct board *board)
{
    for (uint32_t i = 0; i < board->fdt.ndevices; i++) {
        const struct cma_fdt_device *node = &board->fdt.devices[i];
        struct cma_device_config config = {
            .name = "device",
            .owner = i + 1,
            .mask = UINT64_MAX,
            .coherent_mask = UINT64_MAX,
            .windows = node->windows,
            .nwindows = node->nwindows,
            .area = layout_area(machine, board, node->area),
            .flags = node->coherent ? CMA_DEVICE_COHERENT : 0,
            .quota_npages = board_quota(board, node),
        };

        if (cma_device_init(&machine->devices[i], &machine->system.dma, &config) != 0) {
            machine->devices[i].dma = NULL;
        }
    }
}

static uint64_t layout_total(const struct board *board)
{
    const struct cma_range *memory;
    uint64_t total = 0;

    for (uint32_t i = 0; (memory = cma_map_memory(&board->map, i)) != NULL; i++) {
        total = memory->nbytes < UINT64_MAX - total ? total + memory->nbytes : UINT64_MAX;
    }
    return total;
}

static int layout_no_memory(void)
{
    fputs("cma: not enough memory on this machine\n", stderr);
    return EXIT_USAGE;
}

int layout_judge(struct layout_machine *machine, struct board *board)
{
    struct cma_system_config config = {.port = &machine->port};
    uint64_t nbytes;

    memset(machine, 0, sizeof(*machine));
    if (promises_read(&machine->promises, board) != 0) {
        return layout_no_memory();
    }
    if (machine->promises.count == 0) {
        return 0;
    }
    if (layout_total(board) > LAYOUT_MEMORY_MAX) {
        machine->unjudged = "this is more memory than is judged here (--memory)";
        return 0;
    }
    layout_port(machine, board->page_shift);
    board_zones(board, &machine->zones);
    config.zones = machine->zones.zones;
    config.nzones = machine->zones.nzones;
    promises_config(&machine->promises, &config);
    nbytes = cma_system_size(&board->map, &config);
    machine->storage = nbytes != 0 ? calloc(1, nbytes) : NULL;
    machine->devices = calloc(board->fdt.ndevices + 1, sizeof(*machine->devices));
    if (nbytes != 0 && (!machine->storage || !machine->devices)) {
        return layout_no_memory();
    }
    if (nbytes == 0 ||
        cma_system_init(&machine->system, &board->map, &config, machine->storage, nbytes) != 0) {
        machine->unjudged = "no machine can have this memory map: nothing but areas, or no whole "
                            "page";
        return 0;
    }
    layout_make_devices(machine, board);
    return promises_admit(&machine->promises, &machine->system, layout_device, machine) != 0
               ? layout_no_memory()
               : 0;
}

void layout_forget(struct layout_machine *machine)
{
    promises_free(&machine->promises);
    free(machine->storage);
    free(machine->devices);
    memset(machine, 0, sizeof(*machine));
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void layout_json_slots(struct json *json, const struct layout_machine *machine,
                              const struct promise *promise)
{
    uint32_t shift = machine->promises.board->page_shift;

    json_open(json, "slots", '[');
    for (uint32_t i = 0; i < promise->nslots; i++) {
        json_open(json, NULL, '{');
        json_hex(json, "base", promise->slots[i] << shift);
        json_hex(json, "size", promise->block_npages << shift);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_number(json, "shared_slots", promise->nshared);
}

static void layout_json_refused(struct json *json, const struct layout_machine *machine,
                                const struct promise *promise)
{
    char text[SENTENCE_NBYTES];

    promise_sentence(&machine->promises, promise, text);
    json_string(json, "reason", cma_reason_name(promise->why.refusal.reason));
    json_number(json, "possible_blocks", promise->why.possible_count);
    json_hex(json, "possible_size",
             promise->why.possible_npages << machine->promises.board->page_shift);
    json_string(json, "sentence", text);
}

void layout_json_promises(struct json *json, const struct layout_machine *machine)
{
    struct board *board = machine->promises.board;

    json_open(json, "guarantees", '[');
    for (uint32_t i = 0; i < machine->promises.count; i++) {
        const struct promise *promise = &machine->promises.list[i];
        const struct cma_fdt_guarantee *said = promise->said;

        json_open(json, NULL, '{');
        json_string(json, "device", board_path(board, board->fdt.devices[said->device].node));
        json_string(json, "said_at", board_path(board, said->node));
        json_string(json, "area", promise_area(&machine->promises, promise));
        json_number(json, "blocks", said->count);
        json_hex(json, "size", said->nbytes);
        json_hex(json, "alignment", said->align_nbytes);
        json_hex(json, "boundary", said->boundary_nbytes);
        json_number(json, "max_moves", said->max_moves);
        if (said->group) {
            json_string(json, "group", said->group);
        }
        if (machine->unjudged) {
            json_string(json, "unjudged", machine->unjudged);
        } else {
            json_bool(json, "admitted", promise->error == 0);
        }
        if (!machine->unjudged && promise->error == 0) {
            layout_json_slots(json, machine, promise);
        } else if (!machine->unjudged) {
            layout_json_refused(json, machine, promise);
        }
        json_close(json, '}');
    }
    json_close(json, ']');
}

/* ---- text ------------------------------------------------------------------------------------ */

/* A letter for each guarantee, as far as there are letters. */
static char layout_letter(uint32_t index)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz";

    return index < sizeof(letters) - 1 ? letters[index] : '+';
}

static void layout_text_one(const struct layout_machine *machine, uint32_t index)
{
    const struct promises *promises = &machine->promises;
    const struct promise *promise = &promises->list[index];
    const struct cma_fdt_guarantee *said = promise->said;
    struct board *board = promises->board;
    char text[SENTENCE_NBYTES], size[32];

    promise_text(promise, text, sizeof(text));
    printf("  %c  %s: %s", layout_letter(index),
           layout_clean(board_path(board, board->fdt.devices[said->device].node)), text);
    if (said->group) {
        printf("; group '%s'", layout_clean(said->group));
    }
    putchar('\n');
    if (machine->unjudged) {
        printf("       not judged: %s\n", machine->unjudged);
        return;
    }
    if (promise->error != 0) {
        promise_sentence(promises, promise, text);
        printf("       NOT ADMITTED: %s\n", text);
        return;
    }
    printf("       admitted on %s: ", layout_clean(promise_area(promises, promise)));
    if (promise->nslots != 0) {
        printf("%" PRIu32 " slot%s of %s, the first at %#" PRIx64, promise->nslots,
               promise->nslots == 1 ? "" : "s",
               promise_size(promise->block_npages << board->page_shift, size),
               promise->slots[0] << board->page_shift);
    }
    if (promise->nshared != 0) {
        printf("%s%" PRIu32 " shared with the group", promise->nslots != 0 ? "; " : "",
               promise->nshared);
    }
    putchar('\n');
}

/* An area with the slots in it. */
static void layout_draw_area(const struct layout_machine *machine, const struct cma_range *range)
{
    const struct promises *promises = &machine->promises;
    uint32_t shift = promises->board->page_shift;
    uint64_t npages = range->nbytes >> shift;
    uint64_t width = npages < LAYOUT_SLOTS_BAR ? npages : LAYOUT_SLOTS_BAR;
    char bar[LAYOUT_SLOTS_BAR + 1] = {0};
    bool any = false;

    memset(bar, '.', width);
    for (uint32_t i = 0; i < promises->count; i++) {
        const struct promise *promise = &promises->list[i];

        for (uint32_t k = 0; k < promise->nslots; k++) {
            uint64_t first = promise->slots[k] - (range->base >> shift);
            uint64_t last = first + (promise->block_npages - 1);

            for (uint64_t at = first; at <= last && last < npages; at++) {
                bar[at * width / npages] = layout_letter(i);
                any = true;
            }
        }
    }
    if (any) {
        printf("  %#14" PRIx64 " |%s| %s\n", range->base, bar, layout_clean(range->name));
    }
}

static void layout_text_classes(const struct board *board)
{
    for (uint32_t i = 0; i < board->fdt.nregions; i++) {
        const struct cma_fdt_region *region = &board->fdt.regions[i];
        uint64_t left = region->nbytes;
        char request[16], size[16];

        if (region->nclasses == 0) {
            continue;
        }
        printf("\n%s has size classes\n",
               layout_clean(board_path((struct board *)board, region->node)));
        for (uint32_t k = 0; k < region->nclasses; k++) {
            printf("  requests up to %9s  %11s at %#" PRIx64 "\n",
                   board_size(region->classes[k].request_nbytes, request),
                   board_size(region->classes[k].nbytes, size),
                   region->base + (region->nbytes - left));
            left -= region->classes[k].nbytes;
        }
        printf("  larger ones               %11s at %#" PRIx64 "\n", board_size(left, size),
               region->base + (region->nbytes - left));
    }
}

static void layout_text_quotas(struct board *board)
{
    for (uint32_t i = 0; i < board->fdt.ndevices; i++) {
        const struct cma_fdt_device *device = &board->fdt.devices[i];
        char size[16];

        if (device->quota_nbytes != 0) {
            printf("\n%s may have %s of areas at most, promised blocks not counted\n",
                   layout_clean(board_path(board, device->node)),
                   board_size(device->quota_nbytes, size));
        }
    }
}

void layout_text_promises(const struct layout_machine *machine)
{
    const struct promises *promises = &machine->promises;
    const struct cma_range *range;

    layout_text_classes(promises->board);
    layout_text_quotas(promises->board);
    if (promises->count == 0) {
        return;
    }
    printf("\n%" PRIu32 " guarantee%s, %" PRIu32 " admitted, in this order\n", promises->count,
           promises->count == 1 ? "" : "s", promises->nadmitted);
    for (uint32_t i = 0; i < promises->count; i++) {
        layout_text_one(machine, i);
    }
    if (promises->nadmitted == 0) {
        return;
    }
    puts("\n  where their slots are in the areas (. for any request)");
    for (uint32_t i = 0; (range = cma_map_reserved(&promises->board->map, i)) != NULL; i++) {
        if (range->kind == CMA_RANGE_AREA) {
            layout_draw_area(machine, range);
        }
    }
}
