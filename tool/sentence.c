/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sentence.c - the words for a refusal
 *
 *     680 pages refused: page 0x11c80000 of programs is held in place, and no run avoids such
 *     pages; the longest empty run has 12 pages, the longest that could be emptied 512; 512 pages
 *     at most would have fitted.
 *
 * Frames are told by their address, for that is what people find in logs and trees.
 */
#include "sentence.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

/* Where the next words go. */
struct sentence {
    char *at;
    size_t left;
    const struct sentence_context *context;
};

__attribute__((format(printf, 2, 3))) static void sentence_add(struct sentence *sentence,
                                                               const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(sentence->at, sentence->left, format, arguments);
    va_end(arguments);
    if (length < 0)
        return;
    if ((size_t)length >= sentence->left)
        length = sentence->left != 0 ? (int)sentence->left - 1 : 0;
    sentence->at += length;
    sentence->left -= (size_t)length;
}

static void sentence_pages(struct sentence *sentence, uint64_t npages)
{
    sentence_add(sentence, "%" PRIu64 " page%s", npages, npages == 1 ? "" : "s");
}

static uint64_t sentence_paddr(const struct sentence *sentence, cma_pfn_t pfn)
{
    return pfn << sentence->context->page_shift;
}

/* "page 0x11c80000 of programs", "a page" */
static void sentence_frame(struct sentence *sentence, const struct cma_refusal *refusal)
{
    const struct sentence_context *context = sentence->context;
    const char *name = NULL;

    if (refusal->pfn == CMA_PFN_NONE) {
        sentence_add(sentence, "a page");
        return;
    }
    if (refusal->mover != 0 && context->mover_name != NULL)
        name = context->mover_name(context->ctx, refusal->mover);
    sentence_add(sentence, "page 0x%" PRIx64, sentence_paddr(sentence, refusal->pfn));
    if (name != NULL)
        sentence_add(sentence, " of %s", name);
    else if (refusal->mover != 0)
        sentence_add(sentence, " of mover %" PRIu32, refusal->mover);
}

/* "the buffer of /soc/camera at 0x11c80000", or around: when that may be inside of it */
static void sentence_buffer(struct sentence *sentence, const char *where, cma_pfn_t pfn,
                            uint32_t owner)
{
    const struct sentence_context *context = sentence->context;
    const char *name =
        owner != 0 && context->owner_name != NULL ? context->owner_name(context->ctx, owner) : NULL;

    sentence_add(sentence, "the buffer");
    if (name != NULL)
        sentence_add(sentence, " of %s", name);
    else if (owner != 0)
        sentence_add(sentence, " of owner %" PRIu32, owner);
    sentence_add(sentence, " %s 0x%" PRIx64, where, sentence_paddr(sentence, pfn));
}

static void sentence_claimed(struct sentence *sentence, const struct cma_refusal *refusal)
{
    sentence_add(sentence, "what devices have leaves no run of that length");
    if (refusal->pfn == CMA_PFN_NONE)
        return;
    sentence_add(sentence, ", for example ");
    sentence_buffer(sentence, "around", refusal->pfn, refusal->owner);
}

/* Reasons of the DMA layer. */
static void sentence_device(struct sentence *sentence, const struct cma_refusal *refusal)
{
    switch (refusal->reason) {
    case CMA_REASON_EXCLUSIVE:
        sentence_add(sentence, "the device's own memory has no such run, and it may use no other");
        break;
    case CMA_REASON_WINDOW:
        sentence_add(sentence, "the consistent window has no such run of addresses left");
        break;
    case CMA_REASON_NOSLEEP:
        sentence_add(sentence, "the pool for callers that may not sleep is dry");
        break;
    case CMA_REASON_BOUNCE: sentence_add(sentence, "no bounce memory is left in reach"); break;
    case CMA_REASON_ALIAS:
        sentence_frame(sentence, refusal);
        sentence_add(sentence, " is mapped with other attributes already");
        break;
    case CMA_REASON_LINES:
        sentence_add(sentence, "the device would write into cache lines with other data");
        break;
    default: sentence_add(sentence, "%s", cma_strerror(refusal->code)); break;
    }
}

static void sentence_reason(struct sentence *sentence, const struct cma_refusal *refusal)
{
    switch (refusal->reason) {
    case CMA_REASON_ARGUMENT:
        sentence_add(sentence, "the request is malformed (%s)", cma_strerror(refusal->code));
        break;
    case CMA_REASON_TOO_LARGE:
        sentence_add(sentence, "that is more than the area can ever hold");
        break;
    case CMA_REASON_UNREACHABLE:
        sentence_add(sentence, "no run of that length lies at addresses that the device reaches");
        break;
    case CMA_REASON_CLAIMED: sentence_claimed(sentence, refusal); break;
    case CMA_REASON_HELD:
        sentence_frame(sentence, refusal);
        sentence_add(sentence, " is held in place, and no run avoids such pages");
        break;
    case CMA_REASON_MOVER:
        sentence_frame(sentence, refusal);
        sentence_add(sentence, " was not let go by its holder");
        break;
    case CMA_REASON_NO_ROOM:
        sentence_add(sentence, "a run could be emptied, but its data fits nowhere else");
        break;
    case CMA_REASON_NO_MEMORY: sentence_add(sentence, "no free page is in reach"); break;
    case CMA_REASON_FLOOR:
        sentence_add(sentence, "the free pages in reach are held back for what has to move");
        break;
    case CMA_REASON_MAPPING:
        sentence_add(sentence, "the memory could not be mapped (%s)", cma_strerror(refusal->code));
        break;
    case CMA_REASON_BUDGET: sentence_add(sentence, "the budget for it ended first"); break;
    case CMA_REASON_INACTIVE: sentence_add(sentence, "the area is not in use yet"); break;
    case CMA_REASON_PROMISED:
        sentence_add(sentence, "what is left was promised to other devices");
        break;
    case CMA_REASON_GROUP:
        sentence_add(sentence, "a device that shares its promised memory is open");
        break;
    case CMA_REASON_QUOTA:
        sentence_add(sentence, "the device has as much as its quota allows");
        break;
    default: sentence_device(sentence, refusal); break;
    }
}

static void sentence_runs(struct sentence *sentence, const struct cma_refusal *refusal)
{
    if (refusal->free_run_npages == 0 && refusal->possible_run_npages == 0)
        return;
    sentence_add(sentence, "; the longest empty run has ");
    sentence_pages(sentence, refusal->free_run_npages);
    sentence_add(sentence, ", the longest that could be emptied %" PRIu64,
                 refusal->possible_run_npages);
}

static void sentence_room(struct sentence *sentence, const struct cma_refusal *refusal)
{
    sentence_add(sentence, "; ");
    sentence_pages(sentence, refusal->change_value);
    sentence_add(sentence, " more free outside of areas");
    if (refusal->change_paddr_last != CMA_PADDR_MAX)
        sentence_add(sentence, ", up to address 0x%" PRIx64 ",", refusal->change_paddr_last);
    sentence_add(sentence, " would have been enough");
}

static void sentence_change(struct sentence *sentence, const struct cma_refusal *refusal)
{
    switch (refusal->change) {
    case CMA_CHANGE_FRAME:
        sentence_add(sentence, "; it would have fitted with page 0x%" PRIx64 " let go",
                     sentence_paddr(sentence, refusal->change_value));
        break;
    case CMA_CHANGE_ROOM: sentence_room(sentence, refusal); break;
    case CMA_CHANGE_ALIGN:
        sentence_add(sentence, "; aligned to ");
        sentence_pages(sentence, refusal->change_value);
        sentence_add(sentence, " at most it would have fitted");
        break;
    case CMA_CHANGE_LIMIT:
        sentence_add(sentence, "; allowed up to address 0x%" PRIx64 " it would have fitted",
                     refusal->change_value);
        break;
    case CMA_CHANGE_NPAGES:
        sentence_add(sentence, "; ");
        sentence_pages(sentence, refusal->change_value);
        sentence_add(sentence, " at most would have fitted");
        break;
    case CMA_CHANGE_RELEASE:
        sentence_add(sentence, "; it would have fitted with ");
        sentence_buffer(sentence, "at", refusal->change_value, sentence->context->change_owner);
        sentence_add(sentence, " released");
        break;
    default: break;
    }
}

void sentence_refusal(char *text, size_t nbytes, const struct sentence_context *context,
                      const struct cma_refusal *refusal)
{
    struct sentence sentence = {.at = text, .left = nbytes, .context = context};

    if (nbytes == 0)
        return;
    *text = '\0';
    sentence_pages(&sentence, context->npages);
    sentence_add(&sentence, " refused: ");
    sentence_reason(&sentence, refusal);
    sentence_runs(&sentence, refusal);
    sentence_change(&sentence, refusal);
    sentence_add(&sentence, ".");
}

/* "; 4 of them would have been admitted, or 6 of 512 pages" */
static void sentence_instead(struct sentence *sentence, uint32_t count,
                             const struct cma_admission *admission)
{
    bool fewer = admission->possible_count != 0 && admission->possible_count < count;

    if (!fewer && admission->possible_npages == 0)
        return;
    sentence_add(sentence, "; ");
    if (fewer)
        sentence_add(sentence, "%" PRIu32 " of them", admission->possible_count);
    if (fewer && admission->possible_npages != 0)
        sentence_add(sentence, ", or ");
    if (admission->possible_npages != 0) {
        sentence_add(sentence, "%" PRIu32 " of ", count);
        sentence_pages(sentence, admission->possible_npages);
    }
    sentence_add(sentence, " would have been admitted");
}

void sentence_admission(char *text, size_t nbytes, const struct sentence_context *context,
                        uint32_t count, const struct cma_admission *admission)
{
    struct sentence sentence = {.at = text, .left = nbytes, .context = context};

    if (nbytes == 0)
        return;
    sentence_add(&sentence, "%" PRIu32 " block%s of ", count, count == 1 ? "" : "s");
    sentence_pages(&sentence, context->npages);
    sentence_add(&sentence, " refused: ");
    if (admission->refusal.reason == CMA_REASON_NO_MEMORY)
        sentence_add(&sentence, "there is no storage for so many slots");
    else
        sentence_reason(&sentence, &admission->refusal);
    sentence_instead(&sentence, count, admission);
    sentence_add(&sentence, ".");
}
