/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model_board.c - random boards of 256 to 4,096 frames
 *
 * Memory in one to three pieces, with holes; areas at any page; reserved ranges that cut pages;
 * zones that end anywhere; frame numbers from 0 up or with the last byte at 2^64 - 1; blocks of 32
 * to 512 pages; movers with address limits, that refuse, that hold droppable pages or not.
 */
#include "model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t model_random(struct model *model)
{
    uint64_t x = model->random += 0x9e3779b97f4a7c15u;

    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

uint64_t model_below(struct model *model, uint64_t n)
{
    return n == 0 ? 0 : model_random(model) % n;
}

bool model_chance(struct model *model, uint32_t percent)
{
    return model_random(model) % 100 < percent;
}

/* Between first and last, each power of two as likely as the next. */
uint64_t model_log_uniform(struct model *model, uint64_t first, uint64_t last)
{
    uint64_t spread = last / first, value;
    uint32_t bits = 0;

    while (spread >> bits != 0)
        bits++;
    value = first << model_below(model, bits);
    value += model_below(model, value);
    return value > last ? last : value;
}

void model_note(struct model *model, const char *format, ...)
{
    char *line = model->log[model->log_count++ % MODEL_LOG_LINES];
    int used = snprintf(line, sizeof model->log[0], "%8llu %*s", (unsigned long long)model->step,
                        (int)model->depth * 2, "");
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line + used, sizeof model->log[0] - (size_t)used, format, arguments);
    va_end(arguments);
    if (model->verbose)
        puts(line);
}

void model_fail(struct model *model, const char *format, ...)
{
    uint64_t first = model->log_count > MODEL_LOG_LINES ? model->log_count - MODEL_LOG_LINES : 0;
    va_list arguments;

    printf("the last operations:\n");
    for (uint64_t i = first; i < model->log_count; i++)
        printf("  %s\n", model->log[i % MODEL_LOG_LINES]);
    printf("DIFFERENCE: ");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf(
        "\nat seed %llu, board %llu, step %llu (%u frames, %u areas, %u zones, %s, nested %u %%)\n",
        (unsigned long long)model->seed, (unsigned long long)model->board,
        (unsigned long long)model->step, model->nframes, model->nareas, model->nzones,
        model->areas_only ? "areas only" : "all memory", model->nested_percent);
    fflush(stdout);
    exit(1);
}

/* Lays pieces of memory out, with holes between them. */
static void board_memory(struct model *model)
{
    uint32_t total = (uint32_t)model_log_uniform(model, 256, 4096);
    uint32_t pieces = 1 + (uint32_t)model_below(model, 3);
    uint32_t frame = 0;

    memset(model->frames, 0, sizeof model->frames);
    for (uint32_t i = 0; i < pieces; i++) {
        uint32_t npages = total / pieces;

        if (i > 0)
            frame += 1 + (uint32_t)model_below(model, 100);
        for (uint32_t j = 0; j < npages; j++)
            model->frames[frame++].place = MODEL_ORDINARY;
    }
    model->nframes = frame;
    switch (model_below(model, 5)) {
    case 0: model->base = 0; break;
    case 1: model->base = (UINT64_MAX >> model->port.page_shift) - frame + 1; break;
    default: model->base = 0x80000 + model_below(model, 2000); break;
    }
}

static bool board_free(const struct model *model, uint32_t first, uint32_t npages)
{
    if (npages == 0 || npages > model->nframes || first > model->nframes - npages)
        return false;
    for (uint32_t i = first; i < first + npages; i++) {
        if (model->frames[i].place != MODEL_ORDINARY)
            return false;
    }
    return true;
}

static void board_reserve(struct model *model, enum cma_range_kind kind, cma_paddr_t base,
                          uint64_t nbytes)
{
    struct cma_range range = {base, nbytes, kind, 0, "range", 0};
    int error = cma_map_reserve(&model->map, &range, NULL);

    MODEL_REQUIRE(model, error == 0, "reserving a range of kind %d: %s", kind, cma_strerror(error));
}

static void board_areas(struct model *model)
{
    uint32_t wanted = 1 + (uint32_t)model_below(model, MODEL_AREAS_MAX);

    model->nareas = 0;
    for (uint32_t tries = 0; tries < 200 && model->nareas < wanted; tries++) {
        struct model_area *area = &model->areas[model->nareas];
        uint32_t npages = (uint32_t)model_log_uniform(model, 1, model->nframes / 2);
        uint32_t first = (uint32_t)model_below(model, model->nframes);

        /* Address 0 and the highest one are where sums go wrong. */
        if (tries == 0 && model->base == 0 && model_chance(model, 50))
            first = 0;
        if (tries < 100 && npages < 16)
            npages = 16;
        if (!board_free(model, first, npages))
            continue;
        memset(area, 0, sizeof *area);
        area->first = first;
        area->npages = npages;
        area->lend_class = model_chance(model, 80)   ? CMA_LEND_ORDINARY
                           : model_chance(model, 50) ? CMA_LEND_SLOT
                                                     : CMA_LEND_NONE;
        for (uint32_t i = first; i < first + npages; i++) {
            model->frames[i].place = MODEL_AREA;
            model->frames[i].area = (uint8_t)model->nareas;
        }
        model->nareas++;
        board_reserve(model, CMA_RANGE_AREA, model_paddr_first(model, first),
                      (uint64_t)npages << model->port.page_shift);
    }
    MODEL_REQUIRE(model, model->nareas > 0, "no area fits this board");
}

/* Reserved ranges that begin and end inside pages: the pages they touch are nobody's. */
static void board_reserved(struct model *model)
{
    static const enum cma_range_kind kinds[] = {CMA_RANGE_COHERENT_POOL, CMA_RANGE_NO_MAP,
                                                CMA_RANGE_RESERVED};
    uint32_t wanted = (uint32_t)model_below(model, CMA_ZONES_MAX);
    uint64_t page = 1ull << model->port.page_shift;

    for (uint32_t i = 0; i < wanted; i++) {
        uint32_t npages = 1 + (uint32_t)model_below(model, 40);
        uint32_t first = (uint32_t)model_below(model, model->nframes);
        uint64_t head = model_chance(model, 50) ? model_below(model, page) : 0;
        uint64_t tail = model_chance(model, 50) ? model_below(model, page - head) : 0;

        if (!board_free(model, first, npages))
            continue;
        for (uint32_t j = first; j < first + npages; j++)
            model->frames[j].place = MODEL_HOLE;
        board_reserve(model, kinds[model_below(model, 3)], model_paddr_first(model, first) + head,
                      (uint64_t)npages * page - head - tail);
    }
}

static bool board_has_ordinary(const struct model *model)
{
    for (uint32_t i = 0; i < model->nframes; i++) {
        if (model->frames[i].place == MODEL_ORDINARY)
            return true;
    }
    return false;
}

static void board_zones(struct model *model)
{
    uint32_t wanted = (uint32_t)model_below(model, CMA_ZONES_MAX);
    uint32_t frame = 0;

    model->nzones = 0;
    for (uint32_t i = 0; i < wanted; i++) {
        frame += 1 + (uint32_t)model_below(model, model->nframes / 2);
        if (frame >= model->nframes)
            break;
        model->zones[model->nzones++] = (struct cma_zone){model_paddr_last(model, frame - 1), 0};
    }
    model->zones[model->nzones++] = (struct cma_zone){CMA_PADDR_MAX, 0};
    if (model->nzones > 1 && model_chance(model, 40))
        model->zones[model->nzones - 1].flags = CMA_ZONE_UNMAPPED;
    memset(model->floor_npages, 0, sizeof model->floor_npages);

    for (uint32_t i = 0; i < model->nframes; i++) {
        struct model_frame *f = &model->frames[i];

        while (model->zones[f->zone].last < model_paddr_last(model, i))
            f->zone++;
        if (i > 0) {
            const struct model_frame *p = &model->frames[i - 1];
            bool same = p->place == f->place &&
                        (f->place == MODEL_AREA ? p->area == f->area : p->zone == f->zone);

            f->span = (uint16_t)(p->span + !same);
        }
    }
}

/* The map gets each piece of RAM in two touching halves, in any order. */
static void board_map(struct model *model)
{
    uint64_t page = 1ull << model->port.page_shift;
    uint32_t first = 0;

    if (cma_map_init(&model->map, model->map_memory, 16, model->map_reserved, 32) != 0)
        model_fail(model, "cma_map_init");
    while (first < model->nframes) {
        uint32_t last = first, half;

        if (model->frames[first].place == MODEL_HOLE) {
            first++;
            continue;
        }
        while (last + 1 < model->nframes && model->frames[last + 1].place != MODEL_HOLE)
            last++;
        half = first + (last - first) / 2;
        if (cma_map_add_memory(&model->map, model_paddr_first(model, half),
                               (last - half + 1) * page, NULL) != 0 ||
            (half > first && cma_map_add_memory(&model->map, model_paddr_first(model, first),
                                                (half - first) * page, NULL) != 0))
            model_fail(model, "cma_map_add_memory");
        first = last + 1;
    }
}

static void board_table(struct model *model)
{
    struct cma_frames_config config = {
        .port = &model->port,
        .zones = model->nzones == 1 && model_chance(model, 50) ? NULL : model->zones,
        .nzones = model->nzones,
        .block_order = model_chance(model, 10) ? 0 : 5 + (uint32_t)model_below(model, 5),
        .areas_only = model->areas_only,
        .index = model_chance(model, 40) ? NULL : &cma_frames_index,
        .lanes = (uint32_t)model_below(model, 4),
        .lane_npages = 32 + (uint32_t)model_below(model, 64),
    };
    int error;

    if (config.zones == NULL)
        config.nzones = 0;
    model->storage_nbytes = cma_frames_size(&model->map, &config);
    MODEL_REQUIRE(model, model->storage_nbytes > 0, "cma_frames_size says 0");
    model->storage = malloc(model->storage_nbytes);
    MODEL_REQUIRE(model, model->storage != NULL, "no memory for the table");
    memset(model->storage, 0xa5, model->storage_nbytes);
    error = cma_frames_init(&model->table, &model->map, &config, model->storage,
                            model->storage_nbytes - 1);
    MODEL_REQUIRE(model, error == CMA_ENOMEM, "a table in too little memory: %d", error);
    error =
        cma_frames_init(&model->table, &model->map, &config, model->storage, model->storage_nbytes);
    MODEL_REQUIRE(model, error == 0, "cma_frames_init: %s", cma_strerror(error));
}

/* On a fifth of the areas that can have them. */
static void board_classes(struct model *model, struct model_area *area,
                          struct cma_area_config *config)
{
    uint32_t left = area->npages, smaller = 0;

    area->nclasses = 0;
    if (config->engine == NULL || model_chance(model, 80))
        return;
    while (area->nclasses < 3 && left > smaller && model_chance(model, 70)) {
        struct cma_size_class *part = &area->classes[area->nclasses++];

        part->npages_max = smaller + 1 + (uint32_t)model_below(model, (left - smaller + 3) / 4);
        part->npages = part->npages_max + (uint32_t)model_below(model, left - part->npages_max + 1);
        smaller = part->npages_max;
        left -= part->npages;
    }
    config->classes = area->classes;
    config->nclasses = area->nclasses;
}

static void board_start_areas(struct model *model)
{
    const struct cma_pages_ops *ops =
        model->areas_only ? &model->host : cma_pages_ops(&model->pages);

    for (uint32_t i = 0; i < model->nareas; i++) {
        struct model_area *area = &model->areas[i];
        struct cma_area_config config = {.name = "area",
                                         .lend_class = area->lend_class,
                                         .engine =
                                             model_chance(model, 60) ? &cma_area_engine : NULL};
        cma_pfn_t pfn;
        struct cma_area_request request = {.npages = 1, .owner = 1};
        int error;

        board_classes(model, area, &config);
        error = cma_area_init(&area->area, &model->table, ops,
                              model_paddr_first(model, area->first), &config);
        MODEL_REQUIRE(model, error == 0, "cma_area_init: %s", cma_strerror(error));
        error = cma_area_alloc(&area->area, &request, &pfn, NULL);
        MODEL_REQUIRE(model, error == CMA_EBADF, "a claim before activation: %d", error);
        MODEL_REQUIRE(model, !cma_area_lend(&area->area, CMA_KIND_MOVABLE),
                      "lent before activation");
        error = cma_area_activate(&area->area);
        MODEL_REQUIRE(model, error == 0, "cma_area_activate: %s", cma_strerror(error));
        area->active = true;
        /* Refusals before activation may or may not be counted: not compared. */
        area->lender = (struct cma_lender){NULL, &area->area, cma_area_lend};
        if (!model->areas_only)
            cma_pages_add_lender(&model->pages, &area->lender);
    }
}

/* On half of the boards, for fewer processors than there are too. */
static void board_caches(struct model *model)
{
    int error;

    if (model_chance(model, 50))
        return;
    model->ncaches = 1 + (uint32_t)model_below(model, 4);
    model->caches = aligned_alloc(64, model->ncaches * sizeof *model->caches);
    MODEL_REQUIRE(model, model->caches != NULL, "no memory for caches");
    memset(model->caches, 0xa5, model->ncaches * sizeof *model->caches);
    error = cma_pages_add_caches(&model->pages, model->caches, model->ncaches);
    MODEL_REQUIRE(model, error == 0, "cma_pages_add_caches: %s", cma_strerror(error));
}

/* Everything in *model but seed, board and verbose is made anew. */
void model_board_make(struct model *model)
{
    uint64_t seed = model->seed, board = model->board;
    struct model_sums sums = model->sums;
    bool verbose = model->verbose;

    memset(model, 0, sizeof *model);
    model->seed = seed;
    model->board = board;
    model->verbose = verbose;
    model->sums = sums;
    model->random = seed * 0x2545f4914f6cdd1du + board * 0x9e3779b97f4a7c15u;
    model->areas_only = model_chance(model, 20);
    model->nested_percent = model_chance(model, 40) ? 0 : 1 + (uint32_t)model_below(model, 25);
    model->lock_percent = model->nested_percent == 0 ? 0 : (uint32_t)model_below(model, 15);
    for (uint32_t i = 0; i < 4; i++)
        model->pinning[i] = CMA_PFN_NONE;
    model->checking = true;
    model->fault_percent = model_chance(model, 50) ? 0 : 1 + (uint32_t)model_below(model, 10);
    model->fill_percent = 50 + (uint32_t)model_below(model, 51);
    model_port_make(model);
    board_memory(model);
    board_map(model);
    board_areas(model);
    board_reserved(model);
    model->areas_only |= !board_has_ordinary(model);
    board_zones(model);
    board_table(model);
    if (model->areas_only) {
        model_host_make(model);
        cma_frames_set_ops(&model->table, &model->host);
    } else {
        MODEL_REQUIRE(model, cma_pages_init(&model->pages, &model->table) == 0, "cma_pages_init");
        board_caches(model);
    }
    model_movers_make(model);
    board_start_areas(model);
}

void model_board_end(struct model *model)
{
    free(model->storage);
    model->storage = NULL;
    for (uint32_t i = 0; i < model->ncaches; i++)
        model->sums.cached += model->caches[i].stacks[0].served + model->caches[i].stacks[1].served;
    free(model->caches);
    model->caches = NULL;
}
