/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * misuse_lines.c - who has which cache line of a mapping, and who touches it
 *
 * Each mapping of cached memory has a byte for each cache line that it lies in. Map gives all lines
 * to the device, syncs hand them over. Of a line that a sync covers in part, the rest may be the
 * other side's: such a line is shared, and nothing is said of it until a sync covers all of it that
 * is mapped. An access that was reported is not reported again before the line is handed over, so
 * that one missing sync is one report and not one for each byte.
 *
 * What a CPU wrote to a line that it has, and did not hand over, is dropped by the next
 * sync_for_cpu or unmap, where the device doesn't snoop. That alone is no bug: the bytes may be
 * scratch. Reading them is. So lines are watched beyond the end of a mapping, until they are
 * written, or mapped again.
 */
#include "misuse.h"

#include "../base/bits.h"

static uint8_t *lines_of(const struct cma_misuse *misuse, const struct cma_misuse_entry *entry)
{
    return entry->first_line == CMA__RUNMAP_NONE ? NULL : &misuse->lines[entry->first_line];
}

/* The number of the line that byte `at` of the mapping is in. */
static uint32_t lines_index(const struct cma_misuse *misuse, const struct cma_misuse_entry *entry,
                            uint64_t at)
{
    return (uint32_t)(((entry->paddr + at) >> misuse->line_shift) -
                      (entry->paddr >> misuse->line_shift));
}

/* The bytes of the mapping that are in a line: from *first to *last, counted in the mapping. */
static void lines_bytes(const struct cma_misuse *misuse, const struct cma_misuse_entry *entry,
                        uint32_t index, uint64_t *first, uint64_t *last)
{
    uint64_t nbytes = UINT64_C(1) << misuse->line_shift;
    uint64_t skipped = entry->paddr & (nbytes - 1);

    *first = index == 0 ? 0 : ((uint64_t)index << misuse->line_shift) - skipped;
    *last = bits_min(entry->nbytes - 1,
                     ((uint64_t)index << misuse->line_shift) - skipped + (nbytes - 1));
}

void cma__misuse_hand(struct cma_misuse *misuse, const struct cma_misuse_entry *entry,
                      uint64_t from, uint64_t nbytes, bool to_cpu, bool drops)
{
    uint8_t *lines = lines_of(misuse, entry);
    uint64_t last = from + (nbytes - 1), line_first, line_last;
    uint32_t i;

    if (lines == NULL) {
        return;
    }
    for (i = lines_index(misuse, entry, from); i <= lines_index(misuse, entry, last); i++) {
        uint32_t line = lines[i];

        lines_bytes(misuse, entry, i, &line_first, &line_last);
        if (!range_contains(from, last, line_first, line_last)) {
            /* What is handed to the side that has all of the line changes nothing. */
            if (((line & CMA__LINE_CPU) != 0) != to_cpu) {
                line = (line & CMA__LINE_LOST) | CMA__LINE_SHARED;
            }
        } else if (to_cpu) {
            if (drops && (line & CMA__LINE_WRITTEN) != 0) {
                line |= CMA__LINE_LOST;
            }
            line = (line & CMA__LINE_LOST) | CMA__LINE_CPU;
        } else {
            line = 0;
        }
        lines[i] = (uint8_t)line;
    }
}

void cma__misuse_forbid_writes(struct cma_misuse *misuse, const struct cma_misuse_entry *entry)
{
    uint8_t *lines = lines_of(misuse, entry);
    uint32_t i, n = lines == NULL ? 0 : misuse_nlines(misuse, entry);

    for (i = 0; i < n; i++) {
        lines[i] = (uint8_t)(lines[i] | CMA__LINE_READS);
    }
}

bool cma__misuse_last_lines(struct cma_misuse *misuse, const struct cma_misuse_entry *entry,
                            bool skip_sync)
{
    uint8_t *lines = lines_of(misuse, entry);
    uint32_t i, n = lines == NULL ? 0 : misuse_nlines(misuse, entry);
    bool any = false;

    for (i = 0; i < n; i++) {
        uint32_t line = lines[i], left = line & CMA__LINE_LOST;

        if (entry->direction == CMA_TO_DEVICE || (line & CMA__LINE_SHARED) != 0) {
            left = 0;
        } else if (skip_sync && (line & CMA__LINE_CPU) == 0) {
            left = CMA__LINE_STALE;
        } else if (!skip_sync && (line & CMA__LINE_WRITTEN) != 0) {
            left |= CMA__LINE_LOST;
        }
        lines[i] = (uint8_t)left;
        any = any || left != 0;
    }
    return any;
}

/* --- the CPU --------------------------------------------------------------------------- */

/* The CPU touches a line that the mapping has; returns what is wrong with it. */
static enum cma_misuse_kind lines_cpu_line(const struct cma_misuse_entry *entry, uint8_t *at,
                                           bool write)
{
    uint32_t line = *at;
    enum cma_misuse_kind kind = CMA_MISUSE_NONE;

    if (entry->state == CMA__MISUSE_ENDED) {
        if (!write && line != 0) {
            kind = (line & CMA__LINE_LOST) != 0 ? CMA_MISUSE_UNSEEN : CMA_MISUSE_CPU_READS;
        }
        *at = 0;
        return kind;
    }
    if ((line & CMA__LINE_SHARED) != 0) {
        return CMA_MISUSE_NONE;
    }
    if ((line & CMA__LINE_CPU) != 0) {
        if (write && (line & CMA__LINE_READS) != 0) {
            kind = CMA_MISUSE_CPU_WRITES;
        } else if (write) {
            *at = (uint8_t)((line | CMA__LINE_WRITTEN) & ~CMA__LINE_LOST);
            return CMA_MISUSE_NONE;
        } else if ((line & CMA__LINE_LOST) != 0) {
            kind = CMA_MISUSE_UNSEEN;
        }
    } else if (write || entry->direction != CMA_TO_DEVICE) {
        kind = write ? CMA_MISUSE_CPU_WRITES : CMA_MISUSE_CPU_READS;
    }
    if (kind == CMA_MISUSE_NONE || (line & CMA__LINE_TOLD) != 0) {
        return CMA_MISUSE_NONE;
    }
    *at = (uint8_t)(line | CMA__LINE_TOLD);
    return kind;
}

/* A write beside the mapping, but in its first or last line, which somebody said nobody does. */
static bool lines_is_beside(const struct cma_misuse *misuse, const struct cma_misuse_entry *entry,
                            cma_paddr_t first, cma_paddr_t last)
{
    uint64_t rest = (UINT64_C(1) << misuse->line_shift) - 1;

    return entry->state == CMA__MISUSE_LIVE && entry->fence == CMA__MISUSE_FENCE_LINES &&
           (entry->flags & CMA_MAP_OWN_LINES) != 0 && entry->direction != CMA_TO_DEVICE &&
           range_overlaps(first, last, entry->paddr & ~rest, misuse_paddr_last(entry) | rest);
}

static enum cma_misuse_kind lines_cpu_entry(const struct cma_misuse *misuse,
                                            const struct cma_misuse_entry *entry, cma_paddr_t first,
                                            cma_paddr_t last, bool write)
{
    uint8_t *lines = lines_of(misuse, entry);
    enum cma_misuse_kind kind = CMA_MISUSE_NONE, more;
    uint32_t i, end;

    if (lines == NULL) {
        return CMA_MISUSE_NONE;
    }
    first = bits_max(first, entry->paddr);
    last = bits_min(last, misuse_paddr_last(entry));
    end = lines_index(misuse, entry, last - entry->paddr);
    for (i = lines_index(misuse, entry, first - entry->paddr); i <= end; i++) {
        more = lines_cpu_line(entry, &lines[i], write);
        kind = kind == CMA_MISUSE_NONE ? more : kind;
    }
    return kind;
}

void cma_misuse_cpu(struct cma_misuse *misuse, cma_paddr_t paddr, uint64_t nbytes, bool write,
                    struct cma_site site)
{
    struct cma_misuse_report report = {.kind = CMA_MISUSE_NONE, .site = site, .nbytes = nbytes};
    uint64_t rest = (UINT64_C(1) << misuse->line_shift) - 1;
    struct cma_misuse_entry *entry;
    struct misuse_walk walk;
    enum cma_misuse_kind kind;
    cma_paddr_t last;
    uintptr_t state;

    if (!range_last(paddr, nbytes, &last)) {
        return;
    }
    state = misuse_lock(misuse);
    cma__misuse_walk(&walk, misuse, false, paddr & ~rest, last | rest);
    while ((entry = cma__misuse_next(&walk)) != NULL) {
        if (range_overlaps(paddr, last, entry->paddr, misuse_paddr_last(entry))) {
            kind = lines_cpu_entry(misuse, entry, paddr, last, write);
        } else {
            kind = write && lines_is_beside(misuse, entry, paddr, last) ? CMA_MISUSE_CPU_WRITES
                                                                        : CMA_MISUSE_NONE;
        }
        if (kind != CMA_MISUSE_NONE && report.kind == CMA_MISUSE_NONE) {
            report.kind = kind;
            report.other = entry->made;
            report.device = entry->device->config.name;
            report.daddr = entry->daddr + (bits_max(paddr, entry->paddr) - entry->paddr);
            report.direction = (enum cma_direction)entry->direction;
        }
    }
    misuse_unlock(misuse, state);
    cma__misuse_tell(misuse, &report);
}

/* --- devices --------------------------------------------------------------------------- */

/* The device touches bytes from..last of a mapping. Returns what is wrong; with `mark` that is
 * remembered. */
static enum cma_misuse_kind lines_device_entry(const struct cma_misuse *misuse,
                                               const struct cma_misuse_entry *entry, uint64_t from,
                                               uint64_t last, bool write, bool mark)
{
    uint8_t *lines = lines_of(misuse, entry);
    enum cma_misuse_kind kind = CMA_MISUSE_NONE;
    uint32_t i, end, minds = CMA__LINE_CPU;

    if (entry->direction == (write ? CMA_TO_DEVICE : CMA_FROM_DEVICE)) {
        return CMA_MISUSE_DEVICE_AGAINST;
    }
    if (lines == NULL) {
        return CMA_MISUSE_NONE;
    }
    if ((misuse->config.flags & CMA_MISUSE_UNWRITTEN) != 0) {
        minds = CMA__LINE_WRITTEN;
    }
    end = lines_index(misuse, entry, last);
    for (i = lines_index(misuse, entry, from); i <= end; i++) {
        uint32_t line = lines[i];

        if ((line & CMA__LINE_SHARED) != 0) {
            continue;
        }
        if ((line & minds) != 0 && (line & CMA__LINE_TOLD) == 0) {
            kind = write ? CMA_MISUSE_DEVICE_WRITES : CMA_MISUSE_DEVICE_READS;
            line |= CMA__LINE_TOLD;
        } else if ((line & minds) == 0 && write) {
            line = 0;
        }
        lines[i] = (uint8_t)(mark ? line : lines[i]);
    }
    return kind;
}

/* Of the mappings of the device at `at` the one that serves the access best: nothing is wrong with
 * it, or it is the only one. NULL: none. */
static struct cma_misuse_entry *lines_pick(struct cma_misuse *misuse,
                                           const struct cma_device *device, cma_daddr_t at,
                                           cma_daddr_t last, bool write)
{
    struct cma_misuse_entry *entry, *picked = NULL;
    struct misuse_walk walk;

    cma__misuse_walk(&walk, misuse, true, at, at);
    while ((entry = cma__misuse_next(&walk)) != NULL) {
        if (entry->state != CMA__MISUSE_LIVE || entry->device != device) {
            continue;
        }
        if (lines_device_entry(misuse, entry, at - entry->daddr,
                               bits_min(last, misuse_daddr_last(entry)) - entry->daddr, write,
                               false) == CMA_MISUSE_NONE) {
            return entry;
        }
        picked = entry;
    }
    return picked;
}

/* Nothing is mapped at `at`: says what was, or what ends just before. */
static void lines_astray(struct cma_misuse *misuse, const struct cma_device *device, cma_daddr_t at,
                         struct cma_misuse_report *report)
{
    const struct cma_misuse_entry *entry, *best = NULL;
    struct misuse_walk walk;

    if (misuse->unseen != 0) {
        return;
    }
    report->kind = CMA_MISUSE_DEVICE_ASTRAY;
    cma__misuse_walk(&walk, misuse, true, at == 0 ? 0 : at - 1, at);
    while ((entry = cma__misuse_next(&walk)) != NULL) {
        if (entry->device != device ||
            (entry->state == CMA__MISUSE_ENDED && misuse_daddr_last(entry) < at)) {
            continue;
        }
        if (best == NULL || entry->stamp > best->stamp) {
            best = entry;
        }
    }
    if (best != NULL) {
        report->other = best->state == CMA__MISUSE_ENDED ? best->ended : best->made;
        report->direction = (enum cma_direction)best->direction;
        if (best->sort == CMA__MISUSE_FAILED) {
            report->kind = CMA_MISUSE_UNCHECKED;
        }
    }
}

void cma_misuse_device(struct cma_misuse *misuse, struct cma_device *device, cma_daddr_t daddr,
                       uint64_t nbytes, bool write, struct cma_site site)
{
    struct cma_misuse_report report = {.kind = CMA_MISUSE_NONE,
                                       .site = site,
                                       .device = device->config.name,
                                       .daddr = daddr,
                                       .nbytes = nbytes};
    struct cma_misuse_entry *entry;
    cma_daddr_t at = daddr, last, end;
    uintptr_t state;

    if (!range_last(daddr, nbytes, &last)) {
        return;
    }
    state = misuse_lock(misuse);
    for (;;) {
        entry = lines_pick(misuse, device, at, last, write);
        if (entry == NULL) {
            lines_astray(misuse, device, at, &report);
            break;
        }
        end = bits_min(last, misuse_daddr_last(entry));
        report.kind =
            lines_device_entry(misuse, entry, at - entry->daddr, end - entry->daddr, write, true);
        if (report.kind != CMA_MISUSE_NONE) {
            report.other = entry->made;
            report.direction = (enum cma_direction)entry->direction;
        }
        if (report.kind != CMA_MISUSE_NONE || end == last) {
            break;
        }
        at = end + 1;
    }
    misuse_unlock(misuse, state);
    cma__misuse_tell(misuse, &report);
}

void cma_misuse_segment(struct cma_misuse *misuse, struct cma_device *device, cma_daddr_t daddr,
                        uint64_t nbytes, struct cma_site site)
{
    struct cma_misuse_report report = {.kind = CMA_MISUSE_NONE,
                                       .site = site,
                                       .device = device->config.name,
                                       .daddr = daddr,
                                       .nbytes = nbytes};
    uint64_t longest = device->config.segment_nbytes_max;
    uint64_t boundary = device->config.segment_boundary_nbytes;
    struct cma_misuse_entry *entry;
    cma_daddr_t last;
    uintptr_t state;

    if (!range_last(daddr, nbytes, &last) ||
        ((longest == 0 || nbytes <= longest) &&
         (boundary == 0 ||
          range_align_down(daddr, boundary) == range_align_down(last, boundary)))) {
        return;
    }
    report.kind = CMA_MISUSE_SEGMENT;
    state = misuse_lock(misuse);
    entry = lines_pick(misuse, device, daddr, daddr, false);
    if (entry != NULL) {
        report.other = entry->made;
        report.direction = (enum cma_direction)entry->direction;
    }
    misuse_unlock(misuse, state);
    cma__misuse_tell(misuse, &report);
}
