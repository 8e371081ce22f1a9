/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * misuse_tell.c - the misuse checker's reports, and their words
 */
#include "misuse.h"

#include "../base/atomic.h"

void cma__misuse_tell(struct cma_misuse *misuse, const struct cma_misuse_report *told)
{
    void (*report)(void *ctx, const struct cma_misuse_report *report) = misuse->config.report;

    if (told->kind == CMA_MISUSE_NONE) {
        return;
    }
    (void)atom_add(&misuse->counts[told->kind], 1);
    (void)atom_add(&misuse->counts[CMA_MISUSE_NONE], 1);
    if (report != NULL) {
        report(misuse->config.ctx, told);
    }
}

uint32_t cma_misuse_count(const struct cma_misuse *misuse, enum cma_misuse_kind kind)
{
    return (uint32_t)kind < CMA_MISUSE_KINDS ? atom_peek(&misuse->counts[kind]) : 0;
}

static const char *const tell_names[CMA_MISUSE_KINDS] = {
    [CMA_MISUSE_NONE] = "nothing is wrong",
    [CMA_MISUSE_UNKNOWN] = "no mapping begins at this address",
    [CMA_MISUSE_TWICE] = "unmapped or freed a second time",
    [CMA_MISUSE_SIZE] = "another length than it was mapped with",
    [CMA_MISUSE_DIRECTION] = "another direction than it was mapped with",
    [CMA_MISUSE_DEVICE] = "this is another device's",
    [CMA_MISUSE_CALL] = "a call for another kind of mapping",
    [CMA_MISUSE_ADDRESS] = "addresses that do not belong together",
    [CMA_MISUSE_COUNT_OF_LIST] = "not the segments that the list was mapped to",
    [CMA_MISUSE_SYNC_RANGE] = "a sync that passes the end of its mapping",
    [CMA_MISUSE_SYNC_DIRECTION] = "a sync against the direction of its mapping",
    [CMA_MISUSE_UNCHECKED] = "a map failed, and its address is used",
    [CMA_MISUSE_MEMORY] = "no memory for DMA: a stack, text, constants, or unknown memory",
    [CMA_MISUSE_MOVABLE] = "memory that can move away during the transfer: pin it",
    [CMA_MISUSE_FREE] = "memory that nobody holds: it was freed",
    [CMA_MISUSE_OVERLAP] = "shares cache lines with another mapping",
    [CMA_MISUSE_SEGMENT] = "longer than the device's segments, or across its boundary",
    [CMA_MISUSE_LEFT] = "left mapped or allocated by a device that went away",
    [CMA_MISUSE_FLAGS] = "other flags than it was mapped with",
    [CMA_MISUSE_CPU_READS] =
        "the CPU reads what the device has: sync_for_cpu or unmap is missing before it",
    [CMA_MISUSE_CPU_WRITES] =
        "the CPU writes what the device has: sync_for_cpu or unmap is missing before it",
    [CMA_MISUSE_DEVICE_READS] =
        "the device reads what the CPU has: sync_for_device is missing before it",
    [CMA_MISUSE_DEVICE_WRITES] =
        "the device writes what the CPU has: sync_for_device is missing before it",
    [CMA_MISUSE_DEVICE_AGAINST] = "the device goes against the direction of the mapping",
    [CMA_MISUSE_DEVICE_ASTRAY] = "the device is where it has nothing mapped",
    [CMA_MISUSE_UNSEEN] = "the CPU reads what it wrote and did not hand over before the last sync",
};

const char *cma_misuse_name(enum cma_misuse_kind kind)
{
    return (uint32_t)kind < CMA_MISUSE_KINDS ? tell_names[kind] : "no such report";
}

/* Text that is cut where it would be too long. */
struct tell_text {
    char *text;
    uint32_t nbytes, length;
};

static void tell_add(struct tell_text *out, const char *text)
{
    while (*text != '\0' && out->length + 1 < out->nbytes) {
        out->text[out->length++] = *text++;
    }
}

static void tell_add_number(struct tell_text *out, uint64_t value, uint32_t base)
{
    char digits[24];
    uint32_t at = sizeof(digits) - 1;

    digits[at] = '\0';
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    tell_add(out, &digits[at]);
}

static void tell_add_site(struct tell_text *out, const struct cma_site *site)
{
    tell_add(out, site->file);
    tell_add(out, ":");
    tell_add_number(out, site->line, 10);
}

uint32_t cma_misuse_sentence(const struct cma_misuse_report *report, char *text, uint32_t nbytes)
{
    static const char *const directions[] = {"bidirectional", "to device", "from device"};
    struct tell_text out = {text, nbytes, 0};

    if (nbytes == 0) {
        return 0;
    }
    if (report->site.file != NULL) {
        tell_add_site(&out, &report->site);
        tell_add(&out, ": ");
    }
    if (report->device != NULL) {
        tell_add(&out, report->device);
        tell_add(&out, ": ");
    }
    tell_add(&out, cma_misuse_name(report->kind));
    tell_add(&out, " (");
    tell_add_number(&out, report->nbytes, 10);
    tell_add(&out, " bytes at 0x");
    tell_add_number(&out, report->daddr, 16);
    if ((uint32_t)report->direction < 3) {
        tell_add(&out, ", ");
        tell_add(&out, directions[report->direction]);
    }
    tell_add(&out, ")");
    if (report->other.file != NULL) {
        tell_add(&out, report->kind == CMA_MISUSE_TWICE || report->kind == CMA_MISUSE_DEVICE_ASTRAY
                           ? "; see "
                           : "; mapped at ");
        tell_add_site(&out, &report->other);
    }
    out.text[out.length] = '\0';
    return out.length;
}
