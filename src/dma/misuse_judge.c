/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * misuse_judge.c - which mapping a call means, and what is wrong with the call
 *
 * A mapping is known by its device and its first device address. Several may begin there: one
 * buffer may be mapped twice to be read. Then the one that fits the call best is meant. Where none
 * begins, the most recent thing that did says what the driver thought of.
 */
#include "misuse.h"

#include <cma/frame.h>

void cma__misuse_blame(struct cma_misuse_report *report, enum cma_misuse_kind kind,
                       const struct misuse_call *call, const struct cma_misuse_entry *entry)
{
    *report = (struct cma_misuse_report){.kind = kind,
                                         .site = call->site,
                                         .device = call->device->config.name,
                                         .daddr = call->daddr,
                                         .nbytes = call->nbytes,
                                         .direction = call->direction};
    if (entry != NULL) {
        report->other = entry->state == CMA__MISUSE_ENDED && entry->sort != CMA__MISUSE_FAILED
                            ? entry->ended
                            : entry->made;
    }
}

/* Nothing of the device's begins at this address: why may the driver think so? */
static void judge_missing(struct cma_misuse *misuse, const struct misuse_call *call,
                          struct cma_misuse_report *report)
{
    const struct cma_misuse_entry *entry, *best = NULL, *around = NULL;
    enum cma_misuse_kind kind = CMA_MISUSE_UNKNOWN;
    struct misuse_walk walk;

    cma__misuse_walk(&walk, misuse, true, call->daddr, call->daddr);
    while ((entry = cma__misuse_next(&walk)) != NULL) {
        bool own = entry->device == call->device, live = entry->state == CMA__MISUSE_LIVE;

        if (own && live) {
            around = entry; /* it begins before */
        } else if ((own != live) && entry->daddr == call->daddr &&
                   (best == NULL || entry->stamp > best->stamp)) {
            best = entry;
        }
    }
    if (around != NULL) {
        best = around;
    } else if (best != NULL) {
        kind = best->state == CMA__MISUSE_LIVE    ? CMA_MISUSE_DEVICE
               : best->sort == CMA__MISUSE_FAILED ? CMA_MISUSE_UNCHECKED
                                                  : CMA_MISUSE_TWICE;
    }
    /* It may be one that there was no room for. */
    if (misuse->unseen == 0 || kind == CMA_MISUSE_UNCHECKED) {
        cma__misuse_blame(report, kind, call, best);
    }
}

/* How well an entry fits the call. */
static uint32_t judge_score(const struct cma_misuse_entry *entry, const struct misuse_call *call)
{
    return (entry->sort == call->sort ? 4u : 0u) + (entry->nbytes == call->nbytes ? 2u : 0u) +
           (entry->direction == (uint8_t)call->direction ? 1u : 0u);
}

static enum cma_misuse_kind judge_entry(const struct cma_misuse_entry *entry,
                                        const struct misuse_call *call)
{
    if (entry->sort != call->sort) {
        return CMA_MISUSE_CALL;
    }
    if (entry->sort == CMA__MISUSE_ITEM && entry->owner == call->owner &&
        entry->flags != call->flags) {
        return CMA_MISUSE_TWICE; /* it is somebody else's by now */
    }
    if (entry->nbytes != call->nbytes) {
        return CMA_MISUSE_SIZE;
    }
    if (entry->owner != call->owner || entry->vaddr != call->vaddr ||
        (call->paddr != 0 && entry->paddr != call->paddr)) {
        return CMA_MISUSE_ADDRESS;
    }
    if (entry->sort == CMA__MISUSE_COHERENT || entry->sort == CMA__MISUSE_ITEM) {
        return CMA_MISUSE_NONE; /* the other end does not tell direction and flags */
    }
    if (entry->direction != (uint8_t)call->direction) {
        return CMA_MISUSE_DIRECTION;
    }
    if (((entry->flags ^ call->flags) & ~CMA_MAP_SKIP_SYNC) != 0) {
        return CMA_MISUSE_FLAGS;
    }
    return CMA_MISUSE_NONE;
}

struct cma_misuse_entry *cma__misuse_judge(struct cma_misuse *misuse,
                                           const struct misuse_call *call,
                                           struct cma_misuse_report *report)
{
    struct cma_misuse_entry *entry, *best = NULL;
    enum cma_misuse_kind kind;
    struct misuse_walk walk;

    report->kind = CMA_MISUSE_NONE;
    cma__misuse_walk(&walk, misuse, true, call->daddr, call->daddr);
    while ((entry = cma__misuse_next(&walk)) != NULL) {
        if (entry->state == CMA__MISUSE_LIVE && entry->device == call->device &&
            entry->daddr == call->daddr &&
            (best == NULL || judge_score(entry, call) > judge_score(best, call))) {
            best = entry;
        }
    }
    if (best == NULL) {
        judge_missing(misuse, call, report);
        return NULL;
    }
    kind = judge_entry(best, call);
    if (kind != CMA_MISUSE_NONE) {
        cma__misuse_blame(report, kind, call, best);
    }
    return best;
}

/* --- syncs ----------------------------------------------------------------------------- */

static enum cma_misuse_kind judge_sync_entry(const struct cma_misuse_entry *entry,
                                             const struct misuse_call *call, bool to_cpu)
{
    /* Which direction makes this sync pointless. */
    enum cma_direction against = to_cpu ? CMA_TO_DEVICE : CMA_FROM_DEVICE;

    if (!entry->lined) {
        return CMA_MISUSE_CALL; /* there is nothing to sync */
    }
    if (entry->direction == (uint8_t)call->direction) {
        return CMA_MISUSE_NONE;
    }
    return entry->direction == (uint8_t)against ? CMA_MISUSE_SYNC_DIRECTION : CMA_MISUSE_DIRECTION;
}

/* The mapping that byte `at` is in, and of several the one that the call fits. */
static struct cma_misuse_entry *judge_sync_find(struct cma_misuse *misuse,
                                                const struct misuse_call *call, cma_daddr_t at,
                                                cma_daddr_t last, bool to_cpu)
{
    struct cma_misuse_entry *entry, *best = NULL;
    uint32_t score, best_score = 0;
    struct misuse_walk walk;

    cma__misuse_walk(&walk, misuse, true, at, at);
    while ((entry = cma__misuse_next(&walk)) != NULL) {
        if (entry->state != CMA__MISUSE_LIVE || entry->device != call->device) {
            continue;
        }
        score = 1u + (judge_sync_entry(entry, call, to_cpu) == CMA_MISUSE_NONE ? 2u : 0u) +
                (misuse_daddr_last(entry) >= last ? 1u : 0u);
        if (score > best_score) {
            best = entry;
            best_score = score;
        }
    }
    return best;
}

/* Nothing of the device's is there; a sync means what was unmapped, or another's. */
static void judge_sync_missing(struct cma_misuse *misuse, const struct misuse_call *call,
                               struct cma_misuse_report *report)
{
    judge_missing(misuse, call, report);
    if (report->kind == CMA_MISUSE_TWICE) {
        report->kind = CMA_MISUSE_UNKNOWN;
    }
}

void cma__misuse_judge_sync(struct cma_misuse *misuse, const struct misuse_call *call, bool to_cpu,
                            struct cma_misuse_report *report)
{
    struct cma_misuse_entry *entry, *before = NULL;
    cma_daddr_t at = call->daddr, last, end;
    enum cma_misuse_kind kind;

    report->kind = CMA_MISUSE_NONE;
    if (!range_last(call->daddr, call->nbytes, &last)) {
        return; /* the call itself refuses */
    }
    for (;;) {
        entry = judge_sync_find(misuse, call, at, last, to_cpu);
        if (before == NULL && entry == NULL) {
            judge_sync_missing(misuse, call, report);
            return;
        }
        /* A segment of a list may be several parts; nothing else goes on. */
        if (before != NULL &&
            (entry == NULL || entry->head != before->head || entry->segment != before->segment)) {
            cma__misuse_blame(report, CMA_MISUSE_SYNC_RANGE, call, before);
            return;
        }
        kind = judge_sync_entry(entry, call, to_cpu);
        if (kind == CMA_MISUSE_CALL) {
            cma__misuse_blame(report, kind, call, entry);
            return;
        }
        if (kind != CMA_MISUSE_NONE && report->kind == CMA_MISUSE_NONE) {
            cma__misuse_blame(report, kind, call, entry);
        }
        end = last < misuse_daddr_last(entry) ? last : misuse_daddr_last(entry);
        cma__misuse_hand(misuse, entry, at - entry->daddr, end - at + 1, to_cpu,
                         entry->direction != CMA_TO_DEVICE);
        if (end == last) {
            return;
        }
        before = entry;
        at = end + 1;
    }
}

/* --- maps ------------------------------------------------------------------------------ */

/* The device writes whole lines that the CPU must not have, dirty, for others' sake. */
static bool judge_writes_lines(const struct cma_misuse_entry *entry)
{
    return entry->fence == CMA__MISUSE_FENCE_LINES && entry->direction != CMA_TO_DEVICE;
}

const struct cma_misuse_entry *cma__misuse_overlap(struct cma_misuse *misuse,
                                                   const struct cma_misuse_entry *entry)
{
    uint64_t line = (UINT64_C(1) << misuse->line_shift) - 1, rest;
    const struct cma_misuse_entry *other;
    struct misuse_walk walk;

    if (entry->fence == CMA__MISUSE_FENCE_NONE) {
        return NULL;
    }
    cma__misuse_walk(&walk, misuse, false, entry->paddr & ~line, misuse_paddr_last(entry) | line);
    while ((other = cma__misuse_next(&walk)) != NULL) {
        if (other->state != CMA__MISUSE_LIVE || other->fence == CMA__MISUSE_FENCE_NONE ||
            (other->direction == CMA_TO_DEVICE && entry->direction == CMA_TO_DEVICE) ||
            (other->sort == CMA__MISUSE_SHARED && other->owner == entry->owner)) {
            continue;
        }
        rest = judge_writes_lines(entry) || judge_writes_lines(other) ? line : 0;
        if (range_overlaps(entry->paddr & ~rest, misuse_paddr_last(entry) | rest,
                           other->paddr & ~rest, misuse_paddr_last(other) | rest)) {
            return other;
        }
    }
    return NULL;
}

enum cma_misuse_kind cma__misuse_memory(const struct cma_misuse *misuse, cma_paddr_t paddr,
                                        uint64_t nbytes)
{
    bool (*found)(void *ctx, cma_paddr_t paddr, uint64_t nbytes) = misuse->config.forbidden;
    const struct cma_frames *frames = misuse->dma->frames;
    uint32_t shift = misuse->dma->port->page_shift;
    struct cma_frame_info info;
    cma_paddr_t last;
    cma_pfn_t pfn;

    if (!range_last(paddr, nbytes, &last)) {
        return CMA_MISUSE_NONE; /* the call itself refuses */
    }
    if (found != NULL && found(misuse->config.ctx, paddr, nbytes)) {
        return CMA_MISUSE_MEMORY;
    }
    for (pfn = paddr >> shift; pfn <= last >> shift; pfn++) {
        if (cma_frame_info(frames, pfn, &info) != 0) {
            if (frames->areas_only) {
                continue;
            }
            return CMA_MISUSE_MEMORY;
        }
        if (info.idle && !(frames->areas_only && info.lent)) {
            return CMA_MISUSE_FREE;
        }
        if ((info.kind == CMA_KIND_MOVABLE || info.kind == CMA_KIND_DROPPABLE) && info.pins == 0 &&
            info.refs == 0) {
            return CMA_MISUSE_MOVABLE;
        }
    }
    return CMA_MISUSE_NONE;
}

void cma__misuse_failed(struct cma_misuse *misuse, struct cma_device *device, struct cma_site site,
                        cma_daddr_t daddr, uint64_t nbytes, enum cma_direction direction)
{
    struct cma_misuse_entry entry = {.device = device,
                                     .daddr = daddr,
                                     .nbytes = nbytes,
                                     .made = site,
                                     .direction = (uint8_t)direction,
                                     .sort = CMA__MISUSE_FAILED};
    uintptr_t state;
    uint64_t last;

    if (!range_last(daddr, nbytes, &last) || !range_last(0, nbytes, &last)) {
        return;
    }
    state = misuse_lock(misuse);
    if (misuse->live < misuse->config.nentries) {
        cma__misuse_end(misuse, cma__misuse_add(misuse, &entry), site, false);
    }
    misuse_unlock(misuse, state);
}
