/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_misuse_access.c - drivers whose CPU or device touches what it does not have: the checker
 * names the bug and its line
 */
#include "driver_seeds.h"

/* --- a missing sync: the CPU is too early ------------------------------------------------ */

static void rx_reads_while_mapped(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(NIC, mem.paddr, PAGE, FROM, 0, &daddr, NULL)));
    drv_start(&board.nic.sim);
    dev_write(&board.nic, daddr, PAGE);
    if (wrong)
        BUG(READ(mem.vaddr, 64));
    must(cma_dma_unmap(NIC, daddr, PAGE, FROM, 0));
    READ(mem.vaddr, PAGE);
}

static void rx_reads_second_packet(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(NIC, mem.paddr, PAGE, FROM, 0, &daddr, NULL)));
    for (int i = 0; i < 2; i++) {
        dev_write(&board.nic, daddr, 1500);
        if (!wrong || i == 0)
            must(cma_dma_sync_for_cpu(NIC, daddr, PAGE, FROM));
        BUG(READ(mem.vaddr, 1500));
        must(cma_dma_sync_for_device(NIC, daddr, PAGE, FROM));
    }
    must(cma_dma_unmap(NIC, daddr, PAGE, FROM, 0));
}

static void rx_reads_on_snooping_device(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(CAM, mem.paddr, PAGE, FROM, 0, &daddr, NULL)));
    dev_write(&board.cam, daddr, PAGE);
    if (!wrong)
        must(cma_dma_sync_for_cpu(CAM, daddr, PAGE, FROM));
    BUG(READ(mem.vaddr + 100, 4));
    must(cma_dma_unmap(CAM, daddr, PAGE, FROM, 0));
}

static void rx_reads_bounced(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(OLD, mem.paddr + 100, 1000, FROM, 0, &daddr, NULL)));
    dev_write(&board.old, daddr, 1000);
    if (!wrong)
        must(cma_dma_sync_for_cpu(OLD, daddr, 1000, FROM));
    BUG(READ(mem.vaddr + 100, 1000));
    must(cma_dma_unmap(OLD, daddr, 1000, FROM, 0));
}

static void rx_sync_is_too_short(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(NIC, mem.paddr, PAGE, FROM, 0, &daddr, NULL)));
    dev_write(&board.nic, daddr, 256);
    must(cma_dma_sync_for_cpu(NIC, daddr, wrong ? 128 : 256, FROM));
    READ(mem.vaddr, 128);
    BUG(READ(mem.vaddr + 128, 128));
    must(cma_dma_unmap(NIC, daddr, PAGE, FROM, 0));
}

static void rx_sync_is_elsewhere(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(DMA, mem.paddr, PAGE, FROM, 0, &daddr, NULL)));
    dev_write(&board.dma, daddr + 1024, 1024);
    must(cma_dma_sync_for_cpu(DMA, daddr + (wrong ? 2048 : 1024), 1024, FROM));
    BUG(READ(mem.vaddr + 1024, 4));
    must(cma_dma_unmap(DMA, daddr, PAGE, FROM, 0));
}

static void rx_sync_is_the_other_one(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(NIC, mem.paddr, PAGE, FROM, 0, &daddr, NULL)));
    dev_write(&board.nic, daddr, PAGE);
    if (wrong)
        must(cma_dma_sync_for_device(NIC, daddr, PAGE, FROM));
    else
        must(cma_dma_sync_for_cpu(NIC, daddr, PAGE, FROM));
    BUG(READ(mem.vaddr + PAGE - 1, 1));
    must(cma_dma_unmap(NIC, daddr, PAGE, FROM, 0));
}

static void tx_writes_after_map(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    WRITE(mem.vaddr, PAGE);
    MADE(must(cma_dma_map(NIC, mem.paddr, PAGE, TO, 0, &daddr, NULL)));
    if (wrong)
        BUG(WRITE(mem.vaddr + 8, 4));
    dev_read(&board.nic, daddr, PAGE);
    READ(mem.vaddr, PAGE); /* harmless */
    must(cma_dma_unmap(NIC, daddr, PAGE, TO, 0));
}

static void tx_writes_next_packet(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(DMA, mem.paddr, PAGE, TO, 0, &daddr, NULL)));
    dev_read(&board.dma, daddr, PAGE);
    if (!wrong)
        must(cma_dma_sync_for_cpu(DMA, daddr, PAGE, TO));
    BUG(WRITE(mem.vaddr, 1500));
    must(cma_dma_sync_for_device(DMA, daddr, PAGE, TO));
    dev_read(&board.dma, daddr, 1500);
    must(cma_dma_unmap(DMA, daddr, PAGE, TO, 0));
}

static void rx_writes_while_mapped(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    if (!wrong)
        WRITE(mem.vaddr, PAGE);
    MADE(must(cma_dma_map(NIC, mem.paddr, PAGE, FROM, 0, &daddr, NULL)));
    if (wrong)
        BUG(WRITE(mem.vaddr, PAGE));
    dev_write(&board.nic, daddr, PAGE);
    must(cma_dma_unmap(NIC, daddr, PAGE, FROM, 0));
}

static void bidi_reads_while_mapped(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    WRITE(mem.vaddr, PAGE);
    MADE(must(cma_dma_map(NIC, mem.paddr, PAGE, BIDI, 0, &daddr, NULL)));
    dev_read(&board.nic, daddr, PAGE);
    dev_write(&board.nic, daddr, 64);
    if (!wrong)
        must(cma_dma_sync_for_cpu(NIC, daddr, PAGE, BIDI));
    BUG(READ(mem.vaddr, 64));
    must(cma_dma_unmap(NIC, daddr, PAGE, BIDI, 0));
}

static void bidi_writes_while_mapped(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(CAM, mem.paddr, PAGE, BIDI, 0, &daddr, NULL)));
    if (!wrong)
        must(cma_dma_sync_for_cpu(CAM, daddr, PAGE, BIDI));
    BUG(WRITE(mem.vaddr, 64));
    must(cma_dma_sync_for_device(CAM, daddr, PAGE, BIDI));
    must(cma_dma_unmap(CAM, daddr, PAGE, BIDI, 0));
}

static void list_reads_one_piece_early(bool wrong)
{
    struct mem a = mem_get(2), b = mem_get(1);
    struct cma_piece pieces[] = {{a.paddr, 2 * PAGE}, {b.paddr, 2048}};
    struct cma_segment segments[8];
    uint32_t n;

    MADE(must(cma_dma_map_list(DMA, pieces, 2, FROM, 0, segments, 8, &n, NULL)));
    for (uint32_t i = 0; i < n; i++)
        dev_write(&board.dma, segments[i].daddr, segments[i].nbytes);
    if (wrong)
        BUG(READ(b.vaddr + 1024, 16));
    must(cma_dma_unmap_list(DMA, segments, n, FROM, 0));
    READ(b.vaddr, 2048);
    READ(a.vaddr, 2 * PAGE);
}

static void contiguous_reads_early(bool wrong)
{
    struct cma_coherent_request request = {.nbytes = 3 * PAGE};
    struct cma_contiguous picture;

    MADE(must(cma_dma_alloc_contiguous(NIC, &request, FROM, &picture, NULL)));
    dev_write(&board.nic, picture.buffer.daddr, 3 * PAGE);
    if (!wrong)
        must(cma_dma_sync_for_cpu(NIC, picture.buffer.daddr, 3 * PAGE, FROM));
    BUG(READ(picture.buffer.vaddr, 3 * PAGE));
    must(cma_dma_free_contiguous(NIC, &picture));
}

static void item_is_read_early(bool wrong)
{
    struct cma_dma_pool_config config = {.name = "status",
                                         .item_nbytes = 200,
                                         .nitems_max = 16,
                                         .flags = CMA_DMA_POOL_CACHED,
                                         .direction = FROM};
    uint64_t nbytes = cma_dma_pool_size(NIC, &config);
    void *storage = aligned_alloc(64, (nbytes + 63) / 64 * 64);
    struct cma_dma_pool pool;
    struct cma_dma_item item;

    must(cma_dma_pool_init(&pool, NIC, &config, storage, nbytes));
    MADE(must(cma_dma_pool_alloc(&pool, CMA_DMA_POOL_GROW, &item, NULL)));
    dev_write(&board.nic, item.daddr, 200);
    if (!wrong)
        must(cma_dma_sync_for_cpu(NIC, item.daddr, 200, FROM));
    BUG(READ(item.vaddr, 200));
    must(cma_dma_pool_free(&pool, &item));
    must(cma_dma_pool_destroy(&pool));
    free(storage);
}

/* --- a missing sync: the device is too early --------------------------------------------- */

static void tx_device_reads_old_packet(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(NIC, mem.paddr, PAGE, TO, 0, &daddr, NULL)));
    dev_read(&board.nic, daddr, PAGE);
    must(cma_dma_sync_for_cpu(NIC, daddr, PAGE, TO));
    WRITE(mem.vaddr, PAGE);
    if (!wrong)
        must(cma_dma_sync_for_device(NIC, daddr, PAGE, TO));
    BUG(drv_start(&board.nic.sim));
    dev_read(&board.nic, daddr, PAGE);
    must(cma_dma_unmap(NIC, daddr, PAGE, TO, 0));
}

static void tx_device_sync_is_too_short(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(DMA, mem.paddr, PAGE, TO, 0, &daddr, NULL)));
    must(cma_dma_sync_for_cpu(DMA, daddr, PAGE, TO));
    WRITE(mem.vaddr, 512);
    must(cma_dma_sync_for_device(DMA, daddr, wrong ? 256 : 512, TO));
    BUG(drv_start(&board.dma.sim));
    dev_read(&board.dma, daddr, 512);
    must(cma_dma_unmap(DMA, daddr, PAGE, TO, 0));
}

static void rx_device_gets_it_back_unsynced(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(NIC, mem.paddr, PAGE, FROM, 0, &daddr, NULL)));
    dev_write(&board.nic, daddr, PAGE);
    must(cma_dma_sync_for_cpu(NIC, daddr, PAGE, FROM));
    READ(mem.vaddr, PAGE);
    if (!wrong)
        must(cma_dma_sync_for_device(NIC, daddr, PAGE, FROM));
    BUG(drv_start(&board.nic.sim));
    dev_write(&board.nic, daddr, PAGE);
    must(cma_dma_unmap(NIC, daddr, PAGE, FROM, 0));
}

static void bidi_device_reads_unsynced(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(OLD, mem.paddr, PAGE, BIDI, 0, &daddr, NULL)));
    must(cma_dma_sync_for_cpu(OLD, daddr, PAGE, BIDI));
    WRITE(mem.vaddr, 64);
    if (!wrong)
        must(cma_dma_sync_for_device(OLD, daddr, PAGE, BIDI));
    BUG(drv_start(&board.old.sim));
    dev_read(&board.old, daddr, 64);
    must(cma_dma_sync_for_device(OLD, daddr, PAGE, BIDI));
    must(cma_dma_unmap(OLD, daddr, PAGE, BIDI, 0));
}

static void bidi_device_writes_unsynced(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(NIC, mem.paddr, PAGE, BIDI, 0, &daddr, NULL)));
    must(cma_dma_sync_for_cpu(NIC, daddr, PAGE, BIDI));
    READ(mem.vaddr, 64);
    if (!wrong)
        must(cma_dma_sync_for_device(NIC, daddr, PAGE, BIDI));
    BUG(drv_start(&board.nic.sim));
    dev_write(&board.nic, daddr + 32, 4);
    must(cma_dma_unmap(NIC, daddr, PAGE, BIDI, 0));
}

static void skip_sync_at_map(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    WRITE(mem.vaddr, PAGE);
    MADE(must(cma_dma_map(NIC, mem.paddr, PAGE, TO, CMA_MAP_SKIP_SYNC, &daddr, NULL)));
    WRITE(mem.vaddr, 64);
    if (!wrong)
        must(cma_dma_sync_for_device(NIC, daddr, PAGE, TO));
    BUG(drv_start(&board.nic.sim));
    dev_read(&board.nic, daddr, PAGE);
    must(cma_dma_unmap(NIC, daddr, PAGE, TO, CMA_MAP_SKIP_SYNC));
}

static void skip_sync_at_unmap(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(NIC, mem.paddr, PAGE, FROM, 0, &daddr, NULL)));
    dev_write(&board.nic, daddr, PAGE);
    if (!wrong)
        must(cma_dma_sync_for_cpu(NIC, daddr, PAGE, FROM));
    must(cma_dma_unmap(NIC, daddr, PAGE, FROM, CMA_MAP_SKIP_SYNC));
    BUG(READ(mem.vaddr, PAGE));
}

/* --- what the CPU wrote is dropped ------------------------------------------------------- */

static void edited_before_unmap(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(NIC, mem.paddr, PAGE, BIDI, 0, &daddr, NULL)));
    dev_write(&board.nic, daddr, PAGE);
    must(cma_dma_sync_for_cpu(NIC, daddr, PAGE, BIDI));
    WRITE(mem.vaddr + 64, 8);
    if (!wrong)
        must(cma_dma_sync_for_device(NIC, daddr, PAGE, BIDI));
    must(cma_dma_unmap(NIC, daddr, PAGE, BIDI, 0));
    READ(mem.vaddr, 64);
    BUG(READ(mem.vaddr + 64, 64));
}

static void edited_between_syncs(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(DMA, mem.paddr, PAGE, FROM, 0, &daddr, NULL)));
    dev_write(&board.dma, daddr, PAGE);
    must(cma_dma_sync_for_cpu(DMA, daddr, PAGE, FROM));
    WRITE(mem.vaddr, 8);
    if (wrong)
        must(cma_dma_sync_for_cpu(DMA, daddr, PAGE, FROM));
    BUG(READ(mem.vaddr, 8));
    must(cma_dma_unmap(DMA, daddr, PAGE, FROM, 0));
}

/* --- the device does what it was not given for ------------------------------------------- */

static void device_writes_what_it_reads(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(NIC, mem.paddr, PAGE, wrong ? TO : FROM, 0, &daddr, NULL)));
    BUG(drv_start(&board.nic.sim));
    dev_write(&board.nic, daddr, PAGE);
    must(cma_dma_unmap(NIC, daddr, PAGE, wrong ? TO : FROM, 0));
}

static void device_reads_what_it_writes(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(DMA, mem.paddr, PAGE, wrong ? FROM : BIDI, 0, &daddr, NULL)));
    BUG(drv_start(&board.dma.sim));
    dev_read(&board.dma, daddr, 16);
    must(cma_dma_unmap(DMA, daddr, PAGE, wrong ? FROM : BIDI, 0));
}

static void device_before_map(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    if (wrong) {
        BUG(drv_start(&board.nic.sim));
        dev_write(&board.nic, mem.paddr, 64);
    }
    must(cma_dma_map(NIC, mem.paddr, PAGE, FROM, 0, &daddr, NULL));
    dev_write(&board.nic, daddr, 64);
    must(cma_dma_unmap(NIC, daddr, PAGE, FROM, 0));
}

static void device_writes_during_unmap(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    must(cma_dma_map(NIC, mem.paddr, PAGE, FROM, 0, &daddr, NULL));
    BUG(drv_start(&board.nic.sim));
    dev_write(&board.nic, daddr, 2048);
    if (!wrong)
        dev_write(&board.nic, daddr + 2048, 2048);
    MADE(must(cma_dma_unmap(NIC, daddr, PAGE, FROM, 0)));
    if (wrong)
        dev_write(&board.nic, daddr + 2048, 2048);
}

static void device_reads_after_unmap(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    must(cma_dma_map(OLD, mem.paddr, PAGE, TO, 0, &daddr, NULL));
    dev_read(&board.old, daddr, PAGE);
    MADE(must(cma_dma_unmap(OLD, daddr, PAGE, TO, 0)));
    if (wrong) {
        BUG(drv_start(&board.old.sim));
        dev_read(&board.old, daddr, PAGE);
    }
}

static void device_past_the_end(bool wrong)
{
    struct mem mem = mem_get(2);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(NIC, mem.paddr, 1536, FROM, 0, &daddr, NULL)));
    BUG(drv_start(&board.nic.sim));
    dev_write(&board.nic, daddr, wrong ? 2048 : 1536);
    must(cma_dma_unmap(NIC, daddr, 1536, FROM, 0));
}

static void device_has_the_cpus_address(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    must(cma_dma_map(DMA, mem.paddr, PAGE, FROM, 0, &daddr, NULL));
    sim_tolerate(board.sim, SIM_BUS, true);
    BUG(drv_start(&board.dma.sim));
    dev_write(&board.dma, wrong ? mem.paddr : daddr, 64);
    must(cma_dma_unmap(DMA, daddr, PAGE, FROM, 0));
}

static void device_after_free(bool wrong)
{
    struct cma_coherent_request request = {.nbytes = 6000};
    struct cma_coherent ring;

    must(cma_dma_alloc_coherent(NIC, &request, &ring, NULL));
    dev_write(&board.nic, ring.daddr, 6000);
    MADE(must(cma_dma_free_coherent(NIC, &ring)));
    if (wrong) {
        BUG(drv_start(&board.nic.sim));
        dev_write(&board.nic, ring.daddr + 100, 16);
    }
}

static void device_past_a_ring(bool wrong)
{
    struct cma_coherent_request request = {.nbytes = 6000};
    struct cma_coherent ring;

    MADE(must(cma_dma_alloc_coherent(NIC, &request, &ring, NULL)));
    BUG(drv_start(&board.nic.sim));
    dev_write(&board.nic, ring.daddr + 5984, wrong ? 32 : 16);
    must(cma_dma_free_coherent(NIC, &ring));
}

static const struct seed seeds[] = {
    SEED(rx_reads_while_mapped, CPU_READS),
    SEED(rx_reads_second_packet, CPU_READS),
    SEED(rx_reads_on_snooping_device, CPU_READS),
    SEED(rx_reads_bounced, CPU_READS),
    SEED(rx_sync_is_too_short, CPU_READS),
    SEED(rx_sync_is_elsewhere, CPU_READS),
    SEED(rx_sync_is_the_other_one, CPU_READS),
    SEED(tx_writes_after_map, CPU_WRITES),
    SEED(tx_writes_next_packet, CPU_WRITES),
    SEED(rx_writes_while_mapped, CPU_WRITES),
    SEED(bidi_reads_while_mapped, CPU_READS),
    SEED(bidi_writes_while_mapped, CPU_WRITES),
    SEED(list_reads_one_piece_early, CPU_READS),
    SEED(contiguous_reads_early, CPU_READS),
    SEED(item_is_read_early, CPU_READS),
    SEED(tx_device_reads_old_packet, DEVICE_READS),
    SEED(tx_device_sync_is_too_short, DEVICE_READS),
    SEED(rx_device_gets_it_back_unsynced, DEVICE_WRITES),
    SEED(bidi_device_reads_unsynced, DEVICE_READS),
    SEED(bidi_device_writes_unsynced, DEVICE_WRITES),
    SEED(skip_sync_at_map, DEVICE_READS),
    SEED(skip_sync_at_unmap, CPU_READS),
    SEED(edited_before_unmap, UNSEEN),
    SEED(edited_between_syncs, UNSEEN),
    SEED(device_writes_what_it_reads, DEVICE_AGAINST),
    SEED(device_reads_what_it_writes, DEVICE_AGAINST),
    SEED(device_before_map, DEVICE_ASTRAY),
    SEED(device_writes_during_unmap, DEVICE_ASTRAY),
    SEED(device_reads_after_unmap, DEVICE_ASTRAY),
    SEED(device_past_the_end, DEVICE_ASTRAY),
    SEED(device_has_the_cpus_address, DEVICE_ASTRAY),
    SEED(device_after_free, DEVICE_ASTRAY),
    SEED(device_past_a_ring, DEVICE_ASTRAY),
};

int main(void)
{
    return run_seeds(seeds, sizeof(seeds) / sizeof(seeds[0]), __FILE__);
}
