# SPDX-License-Identifier: BSD-2-Clause
"""dma_nosleep - bugs of the pool for callers that may not sleep, of contiguous memory and of
restricted devices' coherent memory, Linux's and others, put back one by one"""

FILE = "dma/nosleep.c"
UNIT = ["unit/test_nosleep"]
CONTIGUOUS = ["unit/test_contiguous"]
RESTRICTED = ["unit/test_restricted"]
OWNERS = ["model/owners --ops 6000"]

MUTANTS = [
    ("case 38: a pool by guess, outside the mask", FILE,
     "    return cma_device_to_bus(device, chunk->buffer.paddr, chunk->buffer.nbytes,\n"
     "                             device->config.coherent_mask, daddr) == 0 &&",
     "    return cma_device_to_bus(device, chunk->buffer.paddr, "
     "chunk->buffer.nbytes, UINT64_MAX,\n                             daddr) == 0 &&", UNIT),
    ("case 38: a chunk is judged on its first page", FILE,
     "chunk->buffer.paddr, chunk->buffer.nbytes,\n"
     "                             device->config",
     "chunk->buffer.paddr, 1,\n                             device->config", UNIT),
    ("case 38: only the first pool is asked", FILE,
     "    for (pool = device->dma->nosleep; pool != NULL; pool = pool->next) {\n"
     "        bool fits_here",
     "    for (pool = device->dma->nosleep; pool != NULL; pool = NULL) {\n"
     "        bool fits_here", UNIT),
    ("case 38: a pool's memory may lie above its limit", FILE,
     "    device.coherent_mask = config->paddr_last;",
     "    device.coherent_mask = CMA_PADDR_MAX;", UNIT),
    ("case 38: a pool that can't be filled counts as filled", FILE,
     "    pool->npages += error == 0 ? pool->chunk_npages : 0;\n"
     "    nosleep_unlock(pool, state);\n    return error;",
     "    pool->npages += pool->chunk_npages;\n    nosleep_unlock(pool, state);\n"
     "    return error;", UNIT),
    ("H1: what is handed on is not zeroed", FILE,
     "        guard_zero_vaddr(port, buffer->vaddr, nosleep_nbytes(pool, "
     "plan->npages));\n",
     "", UNIT + OWNERS),
    ("H1: the end of the last page is not zeroed", FILE,
     "guard_zero_vaddr(port, buffer->vaddr, nosleep_nbytes(pool, plan->npages));",
     "guard_zero_vaddr(port, buffer->vaddr, buffer->nbytes);", UNIT),
    ("H1: uncached memory is zeroed through a cached alias", FILE,
     "        guard_zero_vaddr(port, buffer->vaddr, nosleep_nbytes(pool, "
     "plan->npages));\n",
     "        port->zero(port->ctx, buffer->paddr, nosleep_nbytes(pool, plan->npages));\n", UNIT),
    ("H5: what a device wrote too late is there for the next owner", FILE,
     "    if ((plan->flags & CMA_COHERENT_NO_ZERO) == 0) {",
     "    if (found.whole.nbytes == 1) {", UNIT),
    ("H7: another length is freed", FILE,
     "    if (npages != length || ",
     "    if (", UNIT),
    ("H7: another device's is freed", FILE,
     "    if (chunk->owners[first] != device->config.owner) {",
     "    if (chunk->owners[first] == 0) {", UNIT),
    ("H7: addresses are not compared", FILE,
     "        buffer->vaddr != (uint8_t *)chunk->buffer.vaddr + "
     "nosleep_nbytes(pool, first)) {",
     "        buffer->vaddr == NULL) {", UNIT),
    ("what is aligned for the CPU is not for the device", FILE,
     "    uint64_t page = daddr >> shift;",
     "    uint64_t page = chunk->buffer.paddr >> shift;", UNIT),
    ("an alignment of 2^63 is cut to 32 bits", FILE,
     "        if (align > UINT32_C(1) << 31 && (page & (align - 1)) != 0) {\n"
     "            return CMA__RUNMAP_NONE;\n        }\n",
     "", UNIT),
    ("`low` is called each time", FILE,
     " && !pool->warned && idle_nbytes",
     " && idle_nbytes", UNIT),
    ("`low` is never called again", FILE,
     "    state = nosleep_lock(pool);\n    pool->warned = false;\n"
     "    nosleep_unlock(pool, state);\n",
     "    (void)state;\n", UNIT),
    ("`low` is called with the lock held", FILE,
     "    nosleep_unlock(pool, state);\n    if (report != NULL) {\n"
     "        report(pool->config.ctx, idle_nbytes);\n    }\n",
     "    if (report != NULL) {\n        report(pool->config.ctx, idle_nbytes);\n    }\n"
     "    nosleep_unlock(pool, state);\n", UNIT),
    ("a chunk in use is given back", FILE,
     " && pool->chunks[i].used_npages == 0 &&",
     " &&", UNIT),
    ("more is given back than may be", FILE,
     "nosleep_nbytes(pool, idle - pool->chunk_npages) >= idle_nbytes",
     "nosleep_nbytes(pool, idle) >= idle_nbytes", UNIT),
    ("a pool ends under who is growing it", FILE,
     "        busy = busy || is == NOSLEEP_COMING || is == NOSLEEP_LEAVING;\n    }\n"
     "    nosleep_unlock",
     "        busy = busy || is == 99;\n    }\n    nosleep_unlock", UNIT),
    ("memory that is on its way is handed out", FILE,
     "                (*begun)->state = NOSLEEP_COMING;\n",
     "                (*begun)->state = NOSLEEP_LIVE;\n", UNIT),
    ("the high-water mark is the present", FILE,
     "            if (pool->used_npages > pool->most_used_npages) {\n",
     "            if (pool->used_npages != 0) {\n", UNIT),
    ("H2: contiguous memory is not cleaned when it comes", "dma/handover.c",
     "    } else if (!cma__device_snoops(device)) {\n"
     "        port->clean(port->ctx, made->paddr, nbytes);\n    }\n",
     "    }\n", CONTIGUOUS),
    ("H1: of a promised block only what was asked for is cleaned", "dma/handover.c",
     "        port->clean(port->ctx, made->paddr, nbytes);\n    }\n",
     "        port->clean(port->ctx, made->paddr, made->nbytes);\n    }\n", CONTIGUOUS),
    ("case 39: contiguous memory goes back as coherent memory", "dma/coherent.c",
     "    return (buffer->flags & CMA__COHERENT_CACHED) != 0 ? CMA_EINVAL\n",
     "    return buffer->flags == 77 ? CMA_EINVAL\n", CONTIGUOUS),
    ("case 39: coherent memory goes back as contiguous memory", "dma/contiguous.c",
     "    if ((contiguous->buffer.flags & CMA__COHERENT_CACHED) == 0) {",
     "    if (contiguous->buffer.nbytes == 0) {", CONTIGUOUS),
    ("contiguous memory is made uncached", "dma/contiguous.c",
     "CMA__COHERENT_ORDINARY | CMA__COHERENT_CACHED,",
     "CMA__COHERENT_ORDINARY,", CONTIGUOUS),
    ("H6: a restricted device falls back to ordinary memory", "dma/coherent.c",
     "        refusal->reason = error == CMA_ENOENT ? CMA_REASON_BOUNCE : refusal->reason;\n"
     "        return error == CMA_ENOENT ? CMA_ENOMEM : error;\n",
     "        if (error == 0) {\n            return 0;\n        }\n", RESTRICTED),
    ("H6: a restricted device that may not sleep gets memory of others", "dma/coherent.c",
     "    if ((device->config.flags & CMA_DEVICE_RESTRICTED) != 0) {\n        error = coherent_ask",
     "    if ((device->config.flags & CMA_DEVICE_RESTRICTED) != 0 &&\n"
     "        (plan->flags & CMA_COHERENT_NOSLEEP) == 0) {\n        error = coherent_ask", RESTRICTED),
    ("attributes of a restricted pool change while nobody may wait", "dma/restricted.c",
     "    if ((plan->flags & CMA_COHERENT_NOSLEEP) != 0 && !cma__device_snoops(device)) {",
     "    if (plan->npages == 0) {", RESTRICTED),
    ("H1: pages of a restricted pool come as they are", "dma/restricted.c",
     "cma__handover_prepare(device, &made, nbytes, plan->flags, NULL, refusal);",
     "cma__handover_prepare(device, &made, nbytes, plan->flags | CMA_COHERENT_NO_ZERO,\n"
     "                                      NULL, refusal);", RESTRICTED),
    ("pages of a restricted pool stay uncached", "dma/restricted.c",
     "    cma__handover_unprepare(device, buffer, npages << shift, NULL);\n", "", RESTRICTED),
    ("H7: how a restricted buffer is mapped is not looked at", "dma/restricted.c",
     " || !cma__handover_judge(device, buffer, npages << shift)) {", ") {", RESTRICTED),
    ("H7: a restricted buffer's device address is not looked at", "dma/restricted.c",
     "        place.daddr != buffer->daddr || ", "        ", RESTRICTED),
    ("a refused buffer keeps its pages", "dma/restricted.c",
     "        cma__bounce_put_pages(bounce, paddr);\n        return error;\n",
     "        return error;\n", RESTRICTED),
    ("half pages of a restricted pool are made uncached", "dma/restricted.c",
     "range_is_aligned(paddr | buffer->daddr, page)", "page != 0", RESTRICTED),
    ("only the ends of a restricted buffer are looked at", "dma/handover.c",
     "    bool alike = made->source != CMA_SOURCE_PAGES && made->source != CMA_SOURCE_BOUNCE;",
     "    bool alike = made->source != CMA_SOURCE_PAGES;", RESTRICTED),
    ("H1: coherent memory comes as it was", "dma/handover.c",
     "        port->zero(port->ctx, made->paddr, nbytes);\n", "", OWNERS),
    ("H2: coherent memory is not cleaned before it is uncached", "dma/handover.c",
     "        port->clean(port->ctx, paddr, nbytes);\n        port->invalidate",
     "        port->invalidate", OWNERS),
    ("H3: a bounce slot keeps what was in it", "dma/bounce.c",
     "    port->zero(port->ctx, paddr, nbytes);\n", "", OWNERS),
    ("H3: a bounce slot is zero in the cache only", "dma/bounce.c",
     "        port->clean(port->ctx, paddr, nbytes);\n", "", OWNERS),
    ("H3: a buffer that is written in part is not copied in (case 42)", "dma/bounce.c",
     "    if (direction == CMA_FROM_DEVICE || (flags & CMA_MAP_SKIP_SYNC) == 0) {\n",
     "    if (direction != CMA_FROM_DEVICE && (flags & CMA_MAP_SKIP_SYNC) == 0) {\n", OWNERS),
    ("H4: a device that isn't trusted shares granules", "dma/bounce.c",
     "    if ((device->config.flags & CMA_DEVICE_UNTRUSTED) != 0) {\n        unit",
     "    if (nbytes == 0) {\n        unit", OWNERS),
    ("H1: exclusive memory is handed on as it was", "dma/exclusive.c",
     "        guard_zero_vaddr(port, vaddr, exclusive_nbytes(region, plan->npages));\n", "",
     OWNERS),
]
