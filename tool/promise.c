/* SPDX-License-Identifier: BSD-2-Clause */
/* promise.c - see promise.h */
#include "promise.h"

#include "oracle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROMISE_PAGE(board) (1ull << (board)->page_shift)

static uint64_t promise_npages(const struct board *board, uint64_t nbytes)
{
    return nbytes / PROMISE_PAGE(board) + (nbytes % PROMISE_PAGE(board) != 0);
}

int promises_read(struct promises *promises, struct board *board)
{
    const struct cma_fdt *fdt = &board->fdt;
    uint32_t nclasses = 0;

    memset(promises, 0, sizeof(*promises));
    promises->board = board;
    promises->list = calloc(fdt->nguarantees + 1, sizeof(*promises->list));
    promises->groups = calloc(fdt->ngroups + 1, sizeof(*promises->groups));
    promises->classes = calloc(fdt->nclasses + 1, sizeof(*promises->classes));
    promises->first_class = calloc(fdt->nregions + 1, sizeof(*promises->first_class));
    if (!promises->list || !promises->groups || !promises->classes || !promises->first_class) {
        return -1;
    }
    promises->count = fdt->nguarantees;
    for (uint32_t i = 0; i < promises->count; i++) {
        promises->list[i].said = &fdt->guarantees[i];
        promises->list[i].block_npages = promise_npages(board, fdt->guarantees[i].nbytes);
    }
    for (uint32_t i = 0; i < fdt->nregions; i++) {
        promises->first_class[i] = nclasses;
        for (uint32_t k = 0; k < fdt->regions[i].nclasses; k++) {
            const struct cma_fdt_class *class = &fdt->regions[i].classes[k];

            promises->classes[nclasses++] = (struct cma_size_class){
                (uint32_t)(class->request_nbytes >> board->page_shift),
                (uint32_t)(class->nbytes >> board->page_shift),
            };
        }
    }
    return 0;
}

void promises_free(struct promises *promises)
{
    for (uint32_t i = 0; i < promises->count; i++) {
        free(promises->list[i].slots);
    }
    free(promises->list);
    free(promises->groups);
    free(promises->classes);
    free(promises->first_class);
    memset(promises, 0, sizeof(*promises));
}

/* ---- the machine ----------------------------------------------------------------------------- */

/* Size classes of an area, where its node has any and they still fit it. */
static void promise_configure(void *ctx, const struct cma_range *range, uint64_t npages,
                              struct cma_area_config *config)
{
    const struct promises *promises = ctx;
    const struct cma_fdt_region *region = board_region(promises->board, range->id);
    const struct cma_size_class *classes;
    uint64_t total = 0;

    if (!region || region->nclasses == 0) {
        return;
    }
    classes = &promises->classes[promises->first_class[region - promises->board->fdt.regions]];
    for (uint32_t i = 0; i < region->nclasses; i++) {
        total += classes[i].npages;
    }
    if (total <= npages) {
        config->classes = classes;
        config->nclasses = region->nclasses;
    }
}

void promises_config(struct promises *promises, struct cma_system_config *config)
{
    uint64_t nslots = 0;

    for (uint32_t i = 0; i < promises->count; i++) {
        nslots += promises->list[i].said->count;
    }
    config->nslots = nslots < CMA_SLOTS_MAX ? (uint32_t)nslots : CMA_SLOTS_MAX;
    config->configure = promise_configure;
    config->configure_ctx = promises;
}

/* ---- admission ------------------------------------------------------------------------------- */

static uint32_t promise_count_slots(struct cma_system *system)
{
    struct cma_slot_info info;
    uint32_t count = 0;

    while (cma_guarantees_slot(&system->guarantees, count, &info) == 0) {
        count++;
    }
    return count;
}

/* Slots lie in address order: those that are new are found beside those that were there before. */
static int promise_find_slots(struct promise *promise, struct cma_system *system,
                              const cma_pfn_t *before, uint32_t nbefore)
{
    uint32_t count = promise_count_slots(system), at = 0;

    promise->slots = calloc(count + 1, sizeof(*promise->slots));
    if (!promise->slots) {
        return -1;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct cma_slot_info info;

        if (cma_guarantees_slot(&system->guarantees, i, &info) != 0) {
            break;
        }
        if (at < nbefore && before[at] == info.pfn) {
            at++;
        } else {
            promise->slots[promise->nslots++] = info.pfn;
        }
    }
    promise->nshared = promise->said->count - promise->nslots;
    return 0;
}

static int promise_admit(struct promises *promises, struct promise *promise,
                         struct cma_system *system)
{
    const struct cma_fdt_guarantee *said = promise->said;
    struct cma_promise_request request = {
        .nbytes = said->nbytes,
        .count = said->count,
        .max_moves = said->max_moves,
        .align_nbytes = said->align_nbytes,
        .boundary_nbytes = said->boundary_nbytes,
        .group = said->group_number != 0 ? &promises->groups[said->group_number - 1] : NULL,
    };
    uint32_t nbefore = promise_count_slots(system);
    cma_pfn_t *before = calloc(nbefore + 1, sizeof(*before));
    int error = 0;

    if (!before) {
        return -1;
    }
    for (uint32_t i = 0; i < nbefore; i++) {
        struct cma_slot_info info;

        if (cma_guarantees_slot(&system->guarantees, i, &info) == 0) {
            before[i] = info.pfn;
        }
    }
    promise->error = cma_device_admit(promise->device, &system->guarantees, &promise->promise,
                                      &request, &promise->why);
    if (promise->error == 0) {
        promises->nadmitted++;
        error = promise_find_slots(promise, system, before, nbefore);
    }
    free(before);
    return error;
}

int promises_admit(struct promises *promises, struct cma_system *system,
                   struct cma_device *(*device)(void *ctx, uint32_t index), void *ctx)
{
    int error = 0;

    for (uint32_t i = 0; i < promises->count && error == 0; i++) {
        struct promise *promise = &promises->list[i];

        promise->device = device(ctx, promise->said->device);
        if (promise->device) {
            error = promise_admit(promises, promise, system);
        } else {
            promise->error = CMA_ERANGE;
            promise->why.refusal = (struct cma_refusal){
                .code = CMA_ERANGE, .reason = CMA_REASON_UNREACHABLE, .pfn = CMA_PFN_NONE};
        }
    }
    return error;
}

void promises_part(const struct promises *promises, const struct cma_range *range,
                   struct oracle_question *question)
{
    const struct cma_fdt_region *region = board_region(promises->board, range->id);
    uint32_t shift = promises->board->page_shift;
    uint32_t i = 0;

    for (; region && i < region->nclasses &&
           question->npages > region->classes[i].request_nbytes >> shift;
         i++) {
        question->area_pfn += region->classes[i].nbytes >> shift;
        question->area_npages -= region->classes[i].nbytes >> shift;
    }
    if (region && i < region->nclasses) {
        question->area_npages = region->classes[i].nbytes >> shift;
    }
}

/* ---- words ----------------------------------------------------------------------------------- */

const char *promise_size(uint64_t nbytes, char text[32])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    unsigned int unit = 0;

    while (unit < 4 && nbytes % 1024 == 0) {
        nbytes /= 1024;
        unit++;
    }
    snprintf(text, 32, "%" PRIu64 " %s", nbytes, units[unit]);
    return text;
}

void promise_text(const struct promise *promise, char *text, size_t nbytes)
{
    const struct cma_fdt_guarantee *said = promise->said;
    uint64_t moves =
        said->max_moves < promise->block_npages ? said->max_moves : promise->block_npages;
    char size[32];

    snprintf(text, nbytes, "%" PRIu32 " block%s of %s, %s%" PRIu64 " cop%s", said->count,
             said->count == 1 ? "" : "s", promise_size(said->nbytes, size), moves ? "up to " : "",
             moves, moves == 1 ? "y" : "ies");
}

void promise_sentence(const struct promises *promises, const struct promise *promise,
                      char text[SENTENCE_NBYTES])
{
    struct sentence_context context = {
        .npages = promise->block_npages,
        .page_shift = promises->board->page_shift,
    };

    sentence_admission(text, SENTENCE_NBYTES, &context, promise->said->count, &promise->why);
}

const char *promise_area(const struct promises *promises, const struct promise *promise)
{
    const struct board *board = promises->board;
    const struct cma_range *range;
    uint32_t number = promise->said->region;

    for (uint32_t i = 0; (range = cma_map_reserved(&board->map, i)) != NULL; i++) {
        if (range->kind != CMA_RANGE_AREA) {
            continue;
        }
        if (number != 0 ? range->id == board->fdt.regions[number - 1].node
                        : (range->flags & CMA_RANGE_DEFAULT) != 0) {
            return range->name;
        }
    }
    return "?";
}
