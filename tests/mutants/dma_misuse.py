# SPDX-License-Identifier: BSD-2-Clause
"""dma_misuse - bugs of the misuse checker: those that Linux's had, and what it must not overlook or
imagine"""

JUDGE = "dma/misuse_judge.c"
LINES = "dma/misuse_lines.c"
STREAM = "dma/misuse_stream.c"
CALLS_FILE = "dma/misuse_calls.c"
UNIT = ["unit/test_misuse"]
ACCESS = ["unit/test_misuse_access"]
CALLS = ["unit/test_misuse_calls"]
RIGHT = ["model/drivers_right --ops 20000"]

MUTANTS = [
    ("case 44: overlap reaches a byte too far", JUDGE,
     "misuse_paddr_last(entry) | rest,\n                           other",
     "(misuse_paddr_last(entry) | rest) + 1,\n                           other", UNIT),
    ("case 44: overlap ends a byte too early", JUDGE,
     "misuse_paddr_last(entry) | rest,\n                           other",
     "(misuse_paddr_last(entry) | rest) - 1,\n                           other", UNIT + CALLS),
    ("case 44: what was unmapped still overlaps", JUDGE,
     "other->state != CMA__MISUSE_LIVE || other->fence", "other->fence", UNIT),
    ("case 44: what is live is forgotten with what ended", "dma/misuse.c",
     "        } while (entry != NULL &&\n"
     "                 (entry->state != CMA__MISUSE_ENDED || entry->device != wanted->device));",
     "        } while (entry != NULL && entry->device != wanted->device);", UNIT + RIGHT),
    ("H16: lines that are shared are not seen", JUDGE,
     "judge_writes_lines(other) ? line : 0", "judge_writes_lines(other) ? 0 : 0", UNIT + CALLS),
    ("H16: two that only read are told of", JUDGE,
     "            (other->direction == CMA_TO_DEVICE && entry->direction == CMA_TO_DEVICE) ||\n", "",
     UNIT + RIGHT),
    ("H16: neighbours are told of where the device snoops", STREAM,
     "(device->config.flags & CMA_DEVICE_COHERENT) != 0 || ", "", UNIT + RIGHT),
    ("H16: bounced neighbours are told of", STREAM,
     "    return CMA__MISUSE_FENCE_BYTES;", "    return CMA__MISUSE_FENCE_LINES;", UNIT + RIGHT),
    ("case 45, H7: less is unmapped than was mapped", JUDGE,
     "if (entry->nbytes != call->nbytes) {", "if (entry->nbytes < call->nbytes) {", UNIT + CALLS),
    ("case 45, H7: more is unmapped than was mapped", JUDGE,
     "if (entry->nbytes != call->nbytes) {", "if (entry->nbytes > call->nbytes) {", UNIT + CALLS),
    ("H7: an inner address ends a mapping", JUDGE,
     "            entry->daddr == call->daddr &&\n            (best == NULL || judge_score",
     "            (best == NULL || judge_score", UNIT + CALLS),
    ("H7: another device ends a mapping", JUDGE,
     "entry->state == CMA__MISUSE_LIVE && entry->device == call->device &&\n"
     "            entry->daddr == call->daddr &&\n            (best == NULL || judge",
     "entry->state == CMA__MISUSE_LIVE &&\n"
     "            entry->daddr == call->daddr &&\n            (best == NULL || judge", CALLS),
    ("H7: a second end is taken for the first", JUDGE,
     "entry->state == CMA__MISUSE_LIVE && entry->device == call->device &&\n"
     "            entry->daddr == call->daddr &&\n            (best == NULL || judge",
     "entry->device == call->device &&\n"
     "            entry->daddr == call->daddr &&\n            (best == NULL || judge", CALLS),
    ("the first mapping at an address is taken, not the one that fits", JUDGE,
     "(best == NULL || judge_score(entry, call) > judge_score(best, call))", "best == NULL", UNIT),
    ("flags are not compared", JUDGE,
     "    if (((entry->flags ^ call->flags) & ~CMA_MAP_SKIP_SYNC) != 0) {", "    if (0) {", CALLS),
    ("segments are not compared", STREAM,
     "        if (nbytes != segments[i].nbytes) {", "        if (0) {", CALLS),
    ("a missing sync before the CPU reads is not seen", LINES,
     "    } else if (write || entry->direction != CMA_TO_DEVICE) {", "    } else if (write) {",
     ACCESS),
    ("the CPU may not look at what it sends", LINES,
     "    } else if (write || entry->direction != CMA_TO_DEVICE) {", "    } else {",
     ACCESS + RIGHT),
    ("a missing sync before the device starts is not seen", LINES,
     "    enum cma_misuse_kind kind = CMA_MISUSE_NONE;\n    uint32_t i, end, minds = CMA__LINE_CPU;",
     "    enum cma_misuse_kind kind = CMA_MISUSE_NONE;\n    uint32_t i, end, minds = 0;", ACCESS),
    ("a line that was synced in part changes sides as a whole", LINES,
     "        if (!range_contains(from, last, line_first, line_last)) {", "        if (0) {",
     UNIT + RIGHT),
    ("one missing sync is told at each byte", LINES,
     "    if (kind == CMA_MISUSE_NONE || (line & CMA__LINE_TOLD) != 0) {",
     "    if (kind == CMA_MISUSE_NONE) {", UNIT),
    ("dropped bytes are watched after they were written", LINES,
     "            kind = (line & CMA__LINE_LOST) != 0 ? CMA_MISUSE_UNSEEN : CMA_MISUSE_CPU_READS;\n"
     "        }\n        *at = 0;\n",
     "            kind = (line & CMA__LINE_LOST) != 0 ? CMA_MISUSE_UNSEEN : CMA_MISUSE_CPU_READS;\n"
     "        }\n", UNIT),
    ("a device is astray where there was no room to remember", LINES,
     "    if (misuse->unseen != 0) {\n        return;", "    if (0) {\n        return;", UNIT),
    ("an end is wrong where there was no room to remember", JUDGE,
     "    if (misuse->unseen == 0 || kind == CMA_MISUSE_UNCHECKED) {", "    if (1) {", UNIT),
    ("a device that goes on behind one mapping, in the next, is astray", LINES,
     "        if (report.kind != CMA_MISUSE_NONE || end == last) {\n            break;",
     "        if (end != last) {\n            report.kind = CMA_MISUSE_DEVICE_ASTRAY;\n        }\n"
     "        if (1) {\n            break;", UNIT + RIGHT),
    ("lines begin with what they were of before", "dma/misuse.c",
     "            memset(&misuse->lines[entry->first_line], 0, (uint32_t)n);\n", "", RIGHT + ACCESS),
    ("a mapping that begins a cell earlier is not found", "dma/misuse.c",
     "bits_max(cells[0], walk->first >> walk->shift)", "cells[0]", UNIT),
    ("watched lines outlive their memory's next mapping", "dma/misuse.c",
     "        if (entry->state == CMA__MISUSE_ENDED) {\n            misuse_put_lines(misuse, entry);",
     "        if (0) {\n            misuse_put_lines(misuse, entry);", UNIT),
    ("the newest end is forgotten first", "dma/misuse.c",
     "cma__misuse_forget(misuse, misuse_at(misuse, misuse->oldest));\n    }\n    entry = misuse_at",
     "cma__misuse_forget(misuse, misuse_at(misuse, misuse->newest));\n    }\n    entry = misuse_at",
     UNIT),
    ("who only reads a shared buffer may write it", CALLS_FILE,
     "if (to_cpu && entry->writers == 0) {", "if (0) {", CALLS),
    ("what a device reads is not its own while the CPU reads", CALLS_FILE,
     "(entry->direction == CMA_TO_DEVICE ? entry->writers : entry->brackets) != 0",
     "entry->brackets != 0", RIGHT),
    ("a reader's end drops what another has written", CALLS_FILE,
     "entry->nbytes, to_cpu, false);", "entry->nbytes, to_cpu, true);", RIGHT),
    ("what a lane hands out is the pool's", CALLS_FILE,
     "calls_keep_item(site, lane->pool, lane, &item, error);",
     "calls_keep_item(site, lane->pool, lane->pool, &item, error);", CALLS + RIGHT),
]
