# SPDX-License-Identifier: BSD-2-Clause
"""dma_pools - bugs of pools of items, Linux's and others, put back one by one"""

POOL = "dma/pool.c"
LANE = "dma/pool_lane.c"
CHUNK = "dma/pool_chunk.c"
SHARED = "dma/pool.h"
HEADER = "../include/cma/pool.h"
UNIT = ["unit/test_pool"]
EDGES = ["unit/test_pool_edges"]
LANES = ["unit/test_pool_lane"]
BYTES = ["unit/test_pool_sim"]
MODEL = ["model/pool --ops 100000"]

MUTANTS = [
    ("case 43: find compares with base + length, which wraps at the top", POOL,
     "    if (offset >= pool->request.nbytes) {",
     "    if (rank == 0 || daddr >= pool->chunks[chunk].buffer.daddr + pool->request.nbytes) {", EDGES),
    ("case 43: an item may not end on a boundary", CHUNK,
     "    pool->row_nitems = (pool->row_nbytes - item_nbytes) / pool->stride_nbytes + 1;",
     "    pool->row_nitems = (pool->row_nbytes - item_nbytes - (boundary != 0)) / "
     "pool->stride_nbytes + 1;", EDGES),
    ("case 43: items cross a boundary", CHUNK,
     "    } else if (boundary != 0) {\n",
     "    } else if (boundary == 1) {\n", EDGES + MODEL),
    ("case 43: items whose length is a power of two begin anywhere", CHUNK,
     "        pool->request.align_nbytes = bits_max(align, pool->stride_nbytes);",
     "        pool->request.align_nbytes = align;", EDGES),
    ("case 43: the zero flag is forgotten", POOL,
     "        guard_zero_vaddr(port, item->vaddr, nbytes);\n", "", UNIT + BYTES),
    ("case 43: destroying nothing is a crash", CHUNK,
     "    if (pool == NULL || pool->states == NULL) {\n        return 0;\n    }\n", "", EDGES),
    ("case 43: destroyed with items outstanding", CHUNK,
     "    bool idle = pool->nstack == pool->nitems && ",
     "    bool idle = pool->nstack + 1000000 >= pool->nitems && ", UNIT),
    ("an item is won by a plain store", POOL,
     "           atom_swap_if(&pool->states[number], &word, pool_issue(word, tag));",
     "           (atom_store(&pool->states[number], pool_issue(word, tag)), true);", EDGES),
    ("an item is given back by a plain store", POOL,
     "    if (!atom_swap_if(&pool->states[item->number], &word, pool_word(word, POOL_LOOSE))) {\n"
     "        return CMA_EBADF;\n    }\n",
     "    atom_store(&pool->states[item->number], pool_word(word, POOL_LOOSE));\n", UNIT),
    ("H5: a free is right whoever has the item by now", SHARED,
     "    return ((word | (POOL_STAMP - 1)) + 1) | tag;",
     "    return (word & ~(uint32_t)(POOL_STAMP - 1)) | tag;", UNIT),
    ("H7: addresses are not compared", SHARED,
     "    return (uintptr_t)item->vaddr == row->vaddr + (uintptr_t)offset &&\n"
     "           item->daddr == row->daddr + offset;",
     "    return row != NULL && offset + 1 != 0;", UNIT),
    ("H7: a lane compares no addresses", HEADER,
     "    if ((uintptr_t)item->vaddr != vaddr || item->daddr != daddr) {",
     "    if (vaddr == 0) {", LANES),
    ("H7: a lane does not look at the word", HEADER,
     "        __atomic_load_n(&states[number], __ATOMIC_RELAXED) != (stamp ^ lane->tag)) {",
     "        states == NULL) {", LANES),
    ("H7: a lane takes back what another lane handed out", HEADER,
     "        __atomic_load_n(&states[number], __ATOMIC_RELAXED) != (stamp ^ lane->tag)) {",
     "        (__atomic_load_n(&states[number], __ATOMIC_RELAXED) ^ stamp) % 8 != 3) {", LANES),
    ("H7: a lane trusts numbers", HEADER,
     "    if (number >= lane->nnumbers || top >=", "    if (top >=", LANES),
    ("H7: everybody takes back what a lane handed out", POOL,
     "    uint32_t word = item->stamp ^ POOL_HELD;",
     "    uint32_t word = item->number < pool->nnumbers ? "
     "item->stamp | pool->states[item->number] % POOL_STAMP : 0;", LANES),
    ("a lane's stamps stand still", HEADER,
     "    top->stamp = stamp + CMA__DMA_POOL_STAMP;", "    top->stamp = stamp;", LANES),
    ("a lane writes beyond its slots", HEADER,
     "top >= __atomic_load_n(&lane->limit, __ATOMIC_RELAXED) ||",
     "top == __atomic_load_n(&lane->limit, __ATOMIC_RELAXED) + 1 ||", LANES),
    ("a lane hoards what others are refused for", LANE,
     "        __atomic_store_n(&lane->limit, NULL, __ATOMIC_RELAXED);\n", "        ;\n", LANES),
    ("a lane gives up for ever", LANE,
     "        __atomic_store_n(&lane->limit, lane_limit(lane), __ATOMIC_RELAXED);\n", "", LANES),
    ("a lane takes all there is", SHARED,
     "    return (uint32_t)bits_min(most - 1, pool->nstack / 4 / (pool->ncaches + pool->nlanes));",
     "    return (uint32_t)bits_min(most - 1, pool->nstack == 0 ? 0 : pool->nstack - 1);",
     LANES + UNIT),
    ("a lane ends while its items are out", LANE,
     "    if (lane->drawn != lane_count(lane)) {\n        return CMA_EBUSY;\n    }\n", "", LANES),
    ("a lane does not look into processors' caches", LANE,
     "        number = cma__pool_scrape(pool, lane->tag);", "        number = POOL_NONE;", LANES),
    ("two lanes have one name", LANE,
     "        pool->names[name / 32] |= UINT32_C(1) << name % 32;\n", "", LANES),
    ("names of lanes don't come back", LANE,
     "    pool->names[name / 32] &= ~(UINT32_C(1) << name % 32);\n", "", LANES),
    ("poison is not looked at through a lane", LANE,
     "    lane->floor = pool->dressed != 0 ? &lane->slot[CMA_DMA_POOL_LANE_SLOTS] : lane->slot;",
     "    lane->floor = lane->slot;", LANES),
    ("H1: a pool's poison is of one byte less", POOL,
     "        if (!pool_is_painted(pool, item->vaddr, CMA_DMA_POOL_POISON_FREE, nbytes)) {",
     "        if (!pool_is_painted(pool, item->vaddr, CMA_DMA_POOL_POISON_FREE, nbytes - 1)) {",
     UNIT),
    ("H2: dirty lines of who had a cached item before", POOL,
     "        port->clean(port->ctx, pool_paddr(pool, item), pool->config.item_nbytes);",
     "        (void)port;", BYTES),
    ("H2: a cached item's zeroes are in the cache only", POOL,
     "        port->clean(port->ctx, pool_paddr(pool, item), nbytes);", "        ;", BYTES),
    ("H2: poison is compared with what the cache has", POOL,
     "            port->invalidate(port->ctx, pool_paddr(pool, item), nbytes);", "            ;",
     BYTES),
    ("two cached items are in one line", CHUNK,
     "    config->align_nbytes = bits_max(config->align_nbytes, line);\n"
     "    return range_align_up(config->item_nbytes, line, &config->item_nbytes);",
     "    return line != 0;", BYTES),
    ("items of coherent pools are treated as cached ones", CHUNK,
     "    if ((config->flags & CMA_DMA_POOL_CACHED) == 0 || cma__device_snoops(device)) {",
     "    if (cma__device_snoops(device)) {", BYTES),
    ("a cached pool's chunks are freed as coherent ones", CHUNK,
     "    return (pool->config.flags & CMA_DMA_POOL_CACHED) != 0\n"
     "               ? cma_dma_free_contiguous(pool->device, &contiguous)\n"
     "               : cma_dma_free_coherent(pool->device, buffer);",
     "    return contiguous.buffer.nbytes == 0 ? 0 : cma_dma_free_coherent(pool->device, buffer);",
     BYTES),
]
