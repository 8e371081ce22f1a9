# SPDX-License-Identifier: BSD-2-Clause
"""dma_bounce - bugs of bounce pools, Linux's and others, put back"""

FILE = "dma/bounce.c"
MAP = "base/runmap.c"
UNIT = ["unit/test_bounce"]
RUNS = ["unit/test_runmap"]
AREA = ["unit/test_bounce_area"]

MUTANTS = [
    ("case 41: the address bits that a device needs are ignored", FILE,
     "bits = (paddr - offset) & (kept - 1);", "bits = 0 * (paddr - offset) & (kept - 1);", UNIT),
    ("case 41: they are those of the physical address", FILE,
     "bits = (paddr - offset) & (kept - 1);", "bits = paddr & (kept - 1) + 0 * offset;", UNIT),
    ("case 41: only those inside a slot are kept", FILE,
     "align = bits_max(kept, unit) >> bounce->slot_shift;", "align = unit >> bounce->slot_shift;",
     UNIT),
    ("case 41: an alignment begins the run, not the mapping", FILE,
     "((bounce->paddr - (bits - want->before)) >> bounce->slot_shift)",
     "(bounce->paddr >> bounce->slot_shift)", UNIT),
    ("case 41: the padding in front is not counted", FILE,
     "range_align_up(want->before + nbytes, unit, &length)",
     "range_align_up(nbytes, unit, &length)", UNIT),
    ("case 41: a part is copied from the buffer's beginning", FILE,
     "    paddr = run.slot.paddr + (bounced - run.bounced);\n",
     "    paddr = run.slot.paddr;\n", UNIT),
    ("case 41: a part is judged against the run, not the mapping", FILE,
     "into >= run->nbytes || nbytes > run->nbytes - into",
     "into + run->slot.before >= run->nbytes + run->slot.before + run->slot.behind", UNIT),
    ("case 41: the same half page is given twice", MAP,
     "it->used[i] = used ? it->used[i] | mask : it->used[i] & ~mask;",
     "it->used[i] = used ? it->used[i] | (i == low ? mask & (mask - 1) : mask) "
     ": it->used[i] & ~mask;", UNIT + RUNS),
    ("case 42, H3: only what a device reads is copied in", FILE,
     "    if (direction == CMA_FROM_DEVICE || (flags & CMA_MAP_SKIP_SYNC) == 0) {\n",
     "    if (direction != CMA_FROM_DEVICE && (flags & CMA_MAP_SKIP_SYNC) == 0) {\n", UNIT),
    ("case 42, H5: slots are not zeroed when they are given back", FILE,
     "    bounce_zero(port, bounce->paddr + ((uint64_t)run->first << bounce->slot_shift),\n"
     "                (uint64_t)run->n << bounce->slot_shift);\n", "", UNIT),
    ("H5: the mapping is zeroed, its padding is not", FILE,
     "    bounce_zero(port, bounce->paddr + ((uint64_t)run->first << bounce->slot_shift),\n"
     "                (uint64_t)run->n << bounce->slot_shift);\n",
     "    bounce_zero(port, run->bounced, run->nbytes);\n", UNIT),
    ("H5: zeroed for the CPU only", FILE,
     "    if (port->clean != NULL) {\n        port->clean(port->ctx, paddr, nbytes);\n    }\n", "",
     UNIT),
    ("H5: given back before it is zeroed", FILE,
     "    bounce_zero(port, bounce->paddr + ((uint64_t)run->first << bounce->slot_shift),\n"
     "                (uint64_t)run->n << bounce->slot_shift);\n"
     "    state = guard_lock(port, &bounce->lock);\n"
     "    bounce->slots[run->first] = (struct cma_bounce_slot){.state = BOUNCE_FREE};\n"
     "    cma__runmap_put(bounce->map, bounce->nslots, run->first);\n"
     "    bounce->used -= run->n;\n"
     "    guard_unlock(port, &bounce->lock, state);\n",
     "    state = guard_lock(port, &bounce->lock);\n"
     "    bounce->slots[run->first] = (struct cma_bounce_slot){.state = BOUNCE_FREE};\n"
     "    cma__runmap_put(bounce->map, bounce->nslots, run->first);\n"
     "    bounce->used -= run->n;\n"
     "    guard_unlock(port, &bounce->lock, state);\n"
     "    bounce_zero(port, bounce->paddr + ((uint64_t)run->first << bounce->slot_shift),\n"
     "                (uint64_t)run->n << bounce->slot_shift);\n", UNIT),
    ("H5: a pool begins with what was there", FILE,
     "    bounce_zero(port, made.paddr, config->nbytes);\n", "", UNIT),
    ("H3: what the device wrote is written over", "dma/stream.c",
     "    if (bounce != NULL && direction != CMA_FROM_DEVICE) {", "    if (bounce != NULL) {", UNIT),
    ("H4: runs of those not trusted end inside a page", FILE,
     "(void)range_align_up(want->before + nbytes, unit, &length);",
     "(void)range_align_up(want->before + nbytes, slot, &length);", UNIT),
    ("H4: runs of those not trusted begin inside a page", FILE,
     "align = bits_max(kept, unit) >> bounce->slot_shift;",
     "align = bits_max(kept, slot) >> bounce->slot_shift;", UNIT),
    ("H4: a device that is not trusted is taken for any other", FILE,
     "(device->config.flags & CMA_DEVICE_UNTRUSTED) != 0", "false", UNIT),
    ("H6: a restricted device falls back to the pool of all", "dma/device.h",
     "return device->config.bounce != NULL ? device->config.bounce : device->dma->bounce;",
     "return device->dma->bounce != NULL ? device->dma->bounce : device->config.bounce;", UNIT),
    ("H6: a restricted device that reaches the buffer is not bounced", "dma/device.h",
     "(CMA_DEVICE_BOUNCE_ALWAYS | CMA_DEVICE_UNTRUSTED | CMA_DEVICE_RESTRICTED)",
     "(CMA_DEVICE_BOUNCE_ALWAYS | CMA_DEVICE_UNTRUSTED)", UNIT),
    ("H6: memory that the frame table has for others becomes a pool", FILE,
     "    return bounce_judge_memory(bounce->dma->frames, bounce, refusal);", "    return 0;", AREA),
    ("a pool is taken above its limit", FILE, ".paddr_last = config->paddr_last,\n", "\n", AREA),
    ("a pool that ends keeps its memory", FILE, "    return config->area == NULL\n",
     "    return config->area != NULL\n", AREA),
    ("a mapping ends with another length", FILE,
     "(whole && nbytes != run->nbytes)", "(whole && nbytes > run->nbytes)", UNIT),
    ("a mapping ends in another direction", FILE,
     "run->slot.state != BOUNCE_MAPPED || run->slot.direction != (uint8_t)direction",
     "run->slot.state != BOUNCE_MAPPED", UNIT),
    ("another device ends a mapping", FILE,
     "    if (run->slot.device != device) {\n        return CMA_EPERM;\n    }\n", "", UNIT),
    ("of two who end a mapping both do", FILE,
     "        if (error == 0 && whole) {\n"
     "            bounce->slots[run.first].state = BOUNCE_ENDING;\n        }\n", "", UNIT),
    ("a request longer than the pool wraps", FILE,
     "nbytes > bounce->config.nbytes - want->before ||", "", UNIT),
    ("a pool that ends out of reach is used", FILE,
     "cma_device_to_bus(device, bounce->paddr, bounce->config.nbytes, mask, &daddr)",
     "cma_device_to_bus(device, bounce->paddr, 1, mask, &daddr)", UNIT),
    ("the high-water mark falls", FILE,
     "bounce->most_used = (uint32_t)bits_max(bounce->used, bounce->most_used);",
     "bounce->most_used = bounce->used;", UNIT),
    ("pages of one device are another's", FILE,
     "run.slot.device != device                  ? CMA_EPERM", "false ? CMA_EPERM", UNIT),
    ("a run ends where another begins: not seen", MAP,
     "        ends = ~it.used[at] | it.begins[at];\n", "        ends = ~it.used[at];\n", RUNS),
    ("a free run across the middle is overlooked", MAP,
     "    node.longest = node.longest > across ? node.longest : across;\n", "", RUNS),
    ("the longest run that does is not asked for", MAP,
     "        return runmap_find_longest(it);", "        return CMA__RUNMAP_NONE;", RUNS),
    ("what is late is not led up before a search", MAP,
     "        runmap_settle(&it);\n        first = runmap_find", "        first = runmap_find", RUNS),
    ("what is late is forgotten when another leaf is", MAP,
     "            runmap_settle(it);\n            *it->late = low + 1;",
     "            *it->late = low + 1;", RUNS),
    ("after some tries in vain longer runs are not cut", MAP,
     "bin >= sure || tries < RUNMAP_TRIES", "tries < RUNMAP_TRIES", RUNS),
    ("a boundary may be touched only, not crossed: refused", MAP,
     "+ want->n > want->boundary", "+ want->n >= want->boundary", RUNS),
    ("the bias is added and not taken off", MAP, "    at -= want->bias;\n", "", RUNS),
]
