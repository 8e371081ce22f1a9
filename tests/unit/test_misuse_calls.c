/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_misuse_calls.c - drivers that call with wrong arguments, too often, or not at all: the
 * checker names the bug and its line
 */
#include "driver_seeds.h"

/* --- ends that fit no mapping, or another one -------------------------------------------- */

static void unmap_shorter(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(NIC, mem.paddr, 2048, FROM, 0, &daddr, NULL)));
    BUG(must(cma_dma_unmap(NIC, daddr, wrong ? 1536 : 2048, FROM, 0)));
}

static void unmap_longer(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(DMA, mem.paddr, 1024, TO, 0, &daddr, NULL)));
    BUG(must(cma_dma_unmap(DMA, daddr, wrong ? 4096 : 1024, TO, 0)));
}

static void unmap_bounced_shorter(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(OLD, mem.paddr, 2048, FROM, 0, &daddr, NULL)));
    BUG(whatever(cma_dma_unmap(OLD, daddr, wrong ? 2047 : 2048, FROM, 0)));
    if (wrong)
        must(cma_dma_unmap(OLD, daddr, 2048, FROM, 0)); /* it was refused: it is still mapped */
}

static void unmap_other_direction(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(NIC, mem.paddr, PAGE, FROM, 0, &daddr, NULL)));
    BUG(must(cma_dma_unmap(NIC, daddr, PAGE, wrong ? TO : FROM, 0)));
}

static void unmap_bidi_as_from(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(NIC, mem.paddr, PAGE, BIDI, 0, &daddr, NULL)));
    BUG(must(cma_dma_unmap(NIC, daddr, PAGE, wrong ? FROM : BIDI, 0)));
}

static void unmap_by_another_device(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(NIC, mem.paddr, PAGE, FROM, 0, &daddr, NULL)));
    BUG(must(cma_dma_unmap(wrong ? CAM : NIC, daddr, PAGE, FROM, 0)));
}

static void unmap_twice(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    must(cma_dma_map(NIC, mem.paddr, PAGE, FROM, 0, &daddr, NULL));
    MADE(must(cma_dma_unmap(NIC, daddr, PAGE, FROM, 0)));
    if (wrong)
        BUG(must(cma_dma_unmap(NIC, daddr, PAGE, FROM, 0)));
}

static void unmap_what_never_was(bool wrong)
{
    struct mem mem = mem_get(1);

    if (wrong)
        BUG(must(cma_dma_unmap(NIC, mem.paddr, PAGE, TO, 0)));
}

static void unmap_an_inner_address(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(NIC, mem.paddr, PAGE, TO, 0, &daddr, NULL)));
    BUG(must(cma_dma_unmap(NIC, daddr + (wrong ? 64 : 0), PAGE - (wrong ? 64 : 0), TO, 0)));
}

static void unmap_with_other_flags(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(NIC, mem.paddr, 100, FROM, CMA_MAP_OWN_LINES, &daddr, NULL)));
    BUG(must(cma_dma_unmap(NIC, daddr, 100, FROM, wrong ? 0 : CMA_MAP_OWN_LINES)));
}

static void unmap_what_is_a_resource(bool wrong)
{
    cma_daddr_t daddr;

    MADE(must(cma_dma_map_resource(NIC, 0x1000, 256, TO, &daddr)));
    if (wrong)
        BUG(whatever(cma_dma_unmap(NIC, daddr, 256, TO, 0)));
    else
        must(cma_dma_unmap_resource(NIC, daddr, 256, TO));
}

static void unmap_a_segment_of_a_list(bool wrong)
{
    struct mem mem = mem_get(1);
    struct cma_piece piece = {mem.paddr, PAGE};
    struct cma_segment segments[4];
    uint32_t n;

    MADE(must(cma_dma_map_list(NIC, &piece, 1, FROM, 0, segments, 4, &n, NULL)));
    if (wrong)
        BUG(must(cma_dma_unmap(NIC, segments[0].daddr, segments[0].nbytes, FROM, 0)));
    else
        must(cma_dma_unmap_list(NIC, segments, n, FROM, 0));
}

static void unmap_list_of_pieces(bool wrong)
{
    struct mem mem = mem_get(3);
    struct cma_piece pieces[] = {{mem.paddr, PAGE}, {mem.paddr + PAGE, PAGE}};
    struct cma_segment segments[4];
    uint32_t n;

    MADE(must(cma_dma_map_list(DMA, pieces, 2, FROM, 0, segments, 4, &n, NULL)));
    assert_int_equal(n, 2);
    BUG(must(cma_dma_unmap_list(DMA, segments, wrong ? 1 : n, FROM, 0)));
}

static void unmap_list_that_was_changed(bool wrong)
{
    struct mem mem = mem_get(3);
    struct cma_piece pieces[] = {{mem.paddr, PAGE}, {mem.paddr + PAGE, PAGE}};
    struct cma_segment segments[4];
    uint32_t n;

    MADE(must(cma_dma_map_list(DMA, pieces, 2, FROM, 0, segments, 4, &n, NULL)));
    if (wrong)
        segments[1].nbytes = 512; /* what has come, not what was mapped */
    BUG(must(cma_dma_unmap_list(DMA, segments, n, FROM, 0)));
}

static void sync_list_in_part(bool wrong)
{
    struct mem mem = mem_get(3);
    struct cma_piece pieces[] = {{mem.paddr, PAGE}, {mem.paddr + PAGE, PAGE}};
    struct cma_segment segments[4];
    uint32_t n;

    MADE(must(cma_dma_map_list(DMA, pieces, 2, FROM, 0, segments, 4, &n, NULL)));
    BUG(must(cma_dma_sync_list_for_cpu(DMA, segments, wrong ? 1 : n, FROM)));
    READ(mem.vaddr, PAGE);
    must(cma_dma_sync_list_for_device(DMA, segments, n, FROM));
    must(cma_dma_unmap_list(DMA, segments, n, FROM, 0));
}

/* --- coherent memory --------------------------------------------------------------------- */

static void free_twice(bool wrong)
{
    struct cma_coherent_request request = {.nbytes = PAGE};
    struct cma_coherent ring;

    must(cma_dma_alloc_coherent(NIC, &request, &ring, NULL));
    MADE(must(cma_dma_free_coherent(NIC, &ring)));
    if (wrong)
        BUG(whatever(cma_dma_free_coherent(NIC, &ring)));
}

static void free_another_size(bool wrong)
{
    struct cma_coherent_request request = {.nbytes = 2 * PAGE};
    struct cma_coherent ring, other;

    MADE(must(cma_dma_alloc_coherent(NIC, &request, &ring, NULL)));
    other = ring;
    other.nbytes = PAGE;
    if (wrong)
        BUG(whatever(cma_dma_free_coherent(NIC, &other)));
    must(cma_dma_free_coherent(NIC, &ring));
}

static void free_for_another_device(bool wrong)
{
    struct cma_coherent_request request = {.nbytes = PAGE};
    struct cma_coherent ring;

    MADE(must(cma_dma_alloc_coherent(NIC, &request, &ring, NULL)));
    if (wrong)
        BUG(whatever(cma_dma_free_coherent(CAM, &ring)));
    must(cma_dma_free_coherent(NIC, &ring));
}

static void free_with_another_vaddr(bool wrong)
{
    struct cma_coherent_request request = {.nbytes = PAGE};
    struct cma_coherent ring, other;

    MADE(must(cma_dma_alloc_coherent(NIC, &request, &ring, NULL)));
    other = ring;
    other.vaddr = (uint8_t *)ring.vaddr + PAGE;
    if (wrong)
        BUG(whatever(cma_dma_free_coherent(NIC, &other)));
    must(cma_dma_free_coherent(NIC, &ring));
}

static void free_contiguous_as_coherent(bool wrong)
{
    struct cma_coherent_request request = {.nbytes = PAGE};
    struct cma_contiguous picture;

    MADE(must(cma_dma_alloc_contiguous(CAM, &request, FROM, &picture, NULL)));
    if (wrong)
        BUG(whatever(cma_dma_free_coherent(CAM, &picture.buffer)));
    else
        must(cma_dma_free_contiguous(CAM, &picture));
}

static void sync_of_coherent(bool wrong)
{
    struct cma_coherent_request request = {.nbytes = PAGE};
    struct cma_coherent ring;

    MADE(must(cma_dma_alloc_coherent(NIC, &request, &ring, NULL)));
    if (wrong)
        BUG(whatever(cma_dma_sync_for_cpu(NIC, ring.daddr, PAGE, FROM)));
    must(cma_dma_free_coherent(NIC, &ring));
}

/* --- syncs ------------------------------------------------------------------------------- */

static void sync_what_never_was(bool wrong)
{
    struct mem mem = mem_get(1);

    if (wrong)
        BUG(must(cma_dma_sync_for_device(NIC, mem.paddr, 64, TO)));
}

static void sync_after_unmap(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    must(cma_dma_map(NIC, mem.paddr, PAGE, FROM, 0, &daddr, NULL));
    if (!wrong)
        must(cma_dma_sync_for_cpu(NIC, daddr, PAGE, FROM));
    MADE(must(cma_dma_unmap(NIC, daddr, PAGE, FROM, 0)));
    if (wrong)
        BUG(must(cma_dma_sync_for_cpu(NIC, daddr, PAGE, FROM)));
}

static void sync_past_the_end(bool wrong)
{
    struct mem mem = mem_get(2);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(NIC, mem.paddr, PAGE, FROM, 0, &daddr, NULL)));
    BUG(must(cma_dma_sync_for_cpu(NIC, daddr + 64, wrong ? PAGE : PAGE - 64, FROM)));
    must(cma_dma_unmap(NIC, daddr, PAGE, FROM, 0));
}

static void sync_by_another_device(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(NIC, mem.paddr, PAGE, FROM, 0, &daddr, NULL)));
    BUG(must(cma_dma_sync_for_cpu(wrong ? CAM : NIC, daddr, PAGE, FROM)));
    must(cma_dma_unmap(NIC, daddr, PAGE, FROM, 0));
}

static void sync_for_cpu_of_what_is_read(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(NIC, mem.paddr, PAGE, TO, 0, &daddr, NULL)));
    BUG(must(cma_dma_sync_for_cpu(NIC, daddr, PAGE, wrong ? FROM : TO)));
    must(cma_dma_unmap(NIC, daddr, PAGE, TO, 0));
}

static void sync_for_device_of_what_is_written(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(NIC, mem.paddr, PAGE, FROM, 0, &daddr, NULL)));
    BUG(must(cma_dma_sync_for_device(NIC, daddr, PAGE, wrong ? TO : FROM)));
    must(cma_dma_unmap(NIC, daddr, PAGE, FROM, 0));
}

static void sync_in_another_direction(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(NIC, mem.paddr, PAGE, BIDI, 0, &daddr, NULL)));
    BUG(must(cma_dma_sync_for_cpu(NIC, daddr, PAGE, wrong ? TO : BIDI)));
    must(cma_dma_unmap(NIC, daddr, PAGE, BIDI, 0));
}

/* --- maps -------------------------------------------------------------------------------- */

static void map_fails_and_is_unmapped(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr = 0x123000;
    int error;

    MADE(error = cma_dma_map(OLD, mem.paddr, PAGE, TO, CMA_MAP_NO_BOUNCE, &daddr, NULL));
    assert_true(error != 0);
    if (wrong)
        BUG(whatever(cma_dma_unmap(OLD, daddr, PAGE, TO, CMA_MAP_NO_BOUNCE)));
}

static void map_fails_and_the_device_goes_on(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr = mem.paddr;
    int error;

    MADE(error = cma_dma_map(NIC, mem.paddr, PAGE, TO, CMA_MAP_COHERENT, &daddr, NULL));
    assert_true(error != 0);
    if (wrong) {
        BUG(drv_start(&board.nic.sim));
        dev_read(&board.nic, daddr, 64);
    }
}

static void map_of_a_stack(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    BUG(must(cma_dma_map(NIC, wrong ? BASE + PAGE + 64 : mem.paddr, 64, TO, 0, &daddr, NULL)));
    must(cma_dma_unmap(NIC, daddr, 64, TO, 0));
}

static void map_of_the_pools_memory(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_paddr_t pool = BASE + (NPAGES - 1) * PAGE;
    cma_daddr_t daddr;

    BUG(whatever(cma_dma_map(NIC, wrong ? pool : mem.paddr, 64, TO, 0, &daddr, NULL)));
    whatever(cma_dma_unmap(NIC, daddr, 64, TO, 0));
}

static void map_of_freed_memory(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    if (wrong)
        mem_put(&mem);
    BUG(must(cma_dma_map(NIC, mem.paddr, PAGE, TO, 0, &daddr, NULL)));
    must(cma_dma_unmap(NIC, daddr, PAGE, TO, 0));
}

static void map_of_movable_memory(bool wrong)
{
    struct mem mem = mem_get_as(1, CMA_KIND_MOVABLE, board.mover_number);
    cma_pfn_t pinned = mem.paddr / PAGE;
    cma_daddr_t daddr;

    if (!wrong)
        must(cma_frame_pin(&board.system.frames, pinned, &pinned));
    BUG(must(cma_dma_map_page(NIC, pinned, 0, PAGE, FROM, 0, &daddr, NULL)));
    must(cma_dma_unmap(NIC, daddr, PAGE, FROM, 0));
}

static void map_of_neighbours_in_a_line(bool wrong)
{
    struct mem mem = mem_get(1);
    uint32_t flags = CMA_MAP_OWN_LINES;
    cma_daddr_t a, b;

    MADE(must(cma_dma_map(NIC, mem.paddr, 96, FROM, flags, &a, NULL)));
    BUG(must(cma_dma_map(NIC, mem.paddr + (wrong ? 96 : 128), 32, FROM, flags, &b, NULL)));
    must(cma_dma_unmap(NIC, b, 32, FROM, flags));
    must(cma_dma_unmap(NIC, a, 96, FROM, flags));
}

static void map_to_write_twice(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t a, b;

    MADE(must(cma_dma_map(NIC, mem.paddr, PAGE, wrong ? FROM : TO, 0, &a, NULL)));
    BUG(must(cma_dma_map(DMA, mem.paddr, PAGE, wrong ? FROM : TO, 0, &b, NULL)));
    must(cma_dma_unmap(NIC, a, PAGE, wrong ? FROM : TO, 0));
    must(cma_dma_unmap(DMA, b, PAGE, wrong ? FROM : TO, 0));
}

static void map_list_over_what_is_written(bool wrong)
{
    struct mem mem = mem_get(3);
    uint8_t *second = mem.vaddr + (wrong ? 0 : PAGE);
    struct cma_piece pieces[] = {{mem.paddr + 2 * PAGE, PAGE}, {mem.paddr, PAGE}};
    struct cma_segment segments[4];
    cma_daddr_t daddr;
    uint32_t n;

    MADE(must(cma_dma_map_single(NIC, second, PAGE, FROM, 0, &daddr, NULL)));
    BUG(must(cma_dma_map_list(DMA, pieces, 2, TO, 0, segments, 4, &n, NULL)));
    must(cma_dma_unmap_list(DMA, segments, n, TO, 0));
    must(cma_dma_unmap(NIC, daddr, PAGE, FROM, 0));
}

static void write_beside_own_lines(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(NIC, mem.paddr, 100, FROM, CMA_MAP_OWN_LINES, &daddr, NULL)));
    BUG(WRITE(mem.vaddr + (wrong ? 120 : 128), 4));
    must(cma_dma_unmap(NIC, daddr, 100, FROM, CMA_MAP_OWN_LINES));
}

static void descriptor_is_too_long(bool wrong)
{
    struct mem mem = mem_get(2);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(DMA, mem.paddr, 2 * PAGE, FROM, 0, &daddr, NULL)));
    BUG(drv_start(&board.dma.sim));
    driver_descriptor(&board.misuse, &board.dma.sim, daddr, wrong ? 2 * PAGE : PAGE);
    must(cma_dma_unmap(DMA, daddr, 2 * PAGE, FROM, 0));
}

static void descriptor_crosses_a_boundary(bool wrong)
{
    struct mem mem = mem_get(33);
    cma_paddr_t edge = (mem.paddr + 65535) & ~UINT64_C(65535);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(DMA, edge, 2 * PAGE, TO, 0, &daddr, NULL)));
    must(cma_dma_unmap(DMA, daddr, 2 * PAGE, TO, 0));
    MADE(must(cma_dma_map(DMA, edge + 65536 - 2048, PAGE, TO, 0, &daddr, NULL)));
    BUG(drv_start(&board.dma.sim));
    driver_descriptor(&board.misuse, &board.dma.sim, daddr, wrong ? 2049 : 2048);
    must(cma_dma_unmap(DMA, daddr, PAGE, TO, 0));
}

/* --- what is left ------------------------------------------------------------------------ */

static void left_mapped(bool wrong)
{
    struct mem mem = mem_get(1);
    cma_daddr_t daddr;

    MADE(must(cma_dma_map(NIC, mem.paddr, PAGE, FROM, 0, &daddr, NULL)));
    if (!wrong)
        must(cma_dma_unmap(NIC, daddr, PAGE, FROM, 0));
    BUG(cma_misuse_device_gone(&board.misuse, NIC, CMA_SITE));
}

static void left_a_list(bool wrong)
{
    struct mem mem = mem_get(3);
    struct cma_piece pieces[] = {{mem.paddr, PAGE}, {mem.paddr + 2 * PAGE, PAGE}};
    struct cma_segment segments[4];
    uint32_t n;

    MADE(must(cma_dma_map_list(NIC, pieces, 2, FROM, 0, segments, 4, &n, NULL)));
    if (!wrong)
        must(cma_dma_unmap_list(NIC, segments, n, FROM, 0));
    BUG(cma_misuse_device_gone(&board.misuse, NIC, CMA_SITE));
}

static void left_a_ring(bool wrong)
{
    struct cma_coherent_request request = {.nbytes = PAGE};
    struct cma_coherent ring;

    MADE(must(cma_dma_alloc_coherent(CAM, &request, &ring, NULL)));
    if (!wrong)
        must(cma_dma_free_coherent(CAM, &ring));
    BUG(cma_misuse_device_gone(&board.misuse, CAM, CMA_SITE));
}

/* --- pools ------------------------------------------------------------------------------- */

struct pools {
    struct cma_dma_pool one, two;
    void *storage[2];
};

static void pools_make(struct pools *pools)
{
    struct cma_dma_pool_config config = {
        .name = "commands", .item_nbytes = 48, .align_nbytes = 64, .nitems_max = 64};
    uint64_t nbytes = cma_dma_pool_size(NIC, &config);

    for (int i = 0; i < 2; i++) {
        struct cma_dma_pool *pool = i == 0 ? &pools->one : &pools->two;

        pools->storage[i] = aligned_alloc(64, (nbytes + 63) / 64 * 64);
        must(cma_dma_pool_init(pool, NIC, &config, pools->storage[i], nbytes));
        must(cma_dma_pool_grow(pool, 1, NULL));
    }
}

static void pools_drop(struct pools *pools)
{
    must(cma_dma_pool_destroy(&pools->one));
    must(cma_dma_pool_destroy(&pools->two));
    free(pools->storage[0]);
    free(pools->storage[1]);
}

static void item_freed_twice(bool wrong)
{
    struct pools pools;
    struct cma_dma_item item;

    pools_make(&pools);
    must(cma_dma_pool_alloc(&pools.one, 0, &item, NULL));
    MADE(must(cma_dma_pool_free(&pools.one, &item)));
    if (wrong)
        BUG(whatever(cma_dma_pool_free(&pools.one, &item)));
    pools_drop(&pools);
}

static void item_of_another_pool(bool wrong)
{
    struct pools pools;
    struct cma_dma_item item;

    pools_make(&pools);
    MADE(must(cma_dma_pool_alloc(&pools.one, 0, &item, NULL)));
    if (wrong)
        BUG(whatever(cma_dma_pool_free(&pools.two, &item)));
    must(cma_dma_pool_free(&pools.one, &item));
    pools_drop(&pools);
}

static void item_of_another_lane(bool wrong)
{
    static struct cma_dma_pool_lane lanes[2];
    struct pools pools;
    struct cma_dma_item item;
    uint64_t token;

    pools_make(&pools);
    must(cma_dma_pool_lane_init(&lanes[0], &pools.one));
    must(cma_dma_pool_lane_init(&lanes[1], &pools.one));
    MADE(must(cma_dma_pool_lane_alloc(&lanes[0], 0, &token, NULL)));
    cma_dma_pool_lane_item(&lanes[0], token, &item);
    dev_write(&board.nic, item.daddr, 48);
    if (wrong)
        BUG(whatever(cma_dma_pool_lane_free(&lanes[1], token)));
    must(cma_dma_pool_lane_free(&lanes[0], token));
    must(cma_dma_pool_lane_end(&lanes[0]));
    must(cma_dma_pool_lane_end(&lanes[1]));
    pools_drop(&pools);
}

static void item_used_after_free(bool wrong)
{
    struct pools pools;
    struct cma_dma_item item;

    pools_make(&pools);
    must(cma_dma_pool_alloc(&pools.one, 0, &item, NULL));
    dev_write(&board.nic, item.daddr, 48);
    MADE(must(cma_dma_pool_free(&pools.one, &item)));
    if (wrong) {
        BUG(drv_start(&board.nic.sim));
        dev_write(&board.nic, item.daddr, 48);
    }
    pools_drop(&pools);
}

/* --- shared buffers ---------------------------------------------------------------------- */

static void shared_make(struct cma_shared *shared, const struct mem *mem)
{
    struct cma_shared_config config = {.paddr = mem->paddr, .nbytes = PAGE};

    must(cma_shared_init(shared, &board.system.dma, &config));
}

static void shared_read_without_bracket(bool wrong)
{
    struct mem mem = mem_get(1);
    struct cma_attachment writer, reader;
    struct cma_shared shared;
    cma_daddr_t from, to;

    shared_make(&shared, &mem);
    must(cma_shared_attach(&shared, &writer, NIC, NULL));
    must(cma_shared_attach(&shared, &reader, DMA, NULL));
    MADE(must(cma_shared_map(&writer, FROM, &from)));
    must(cma_shared_map(&reader, TO, &to));
    dev_write(&board.nic, from, PAGE);
    dev_read(&board.dma, to, PAGE);
    if (!wrong)
        must(cma_shared_cpu_begin(&shared, FROM));
    BUG(READ(mem.vaddr, 64));
    if (!wrong)
        must(cma_shared_cpu_end(&shared, FROM));
    must(cma_shared_unmap(&writer));
    must(cma_shared_unmap(&reader));
}

static void shared_device_inside_a_bracket(bool wrong)
{
    struct mem mem = mem_get(1);
    struct cma_attachment writer;
    struct cma_shared shared;
    cma_daddr_t from;

    shared_make(&shared, &mem);
    must(cma_shared_attach(&shared, &writer, NIC, NULL));
    MADE(must(cma_shared_map(&writer, FROM, &from)));
    must(cma_shared_cpu_begin(&shared, FROM));
    READ(mem.vaddr, 64);
    if (!wrong)
        must(cma_shared_cpu_end(&shared, FROM));
    BUG(drv_start(&board.nic.sim));
    dev_write(&board.nic, from, PAGE);
    if (wrong)
        must(cma_shared_cpu_end(&shared, FROM));
    must(cma_shared_unmap(&writer));
}

static void shared_writes_as_a_reader(bool wrong)
{
    struct mem mem = mem_get(1);
    struct cma_attachment writer;
    struct cma_shared shared;
    cma_daddr_t from;

    shared_make(&shared, &mem);
    must(cma_shared_attach(&shared, &writer, NIC, NULL));
    MADE(must(cma_shared_map(&writer, FROM, &from)));
    must(cma_shared_cpu_begin(&shared, wrong ? FROM : BIDI));
    READ(mem.vaddr, 64);
    BUG(WRITE(mem.vaddr, 64));
    must(cma_shared_cpu_end(&shared, wrong ? FROM : BIDI));
    must(cma_shared_unmap(&writer));
}

static void shared_end_without_begin(bool wrong)
{
    struct mem mem = mem_get(1);
    struct cma_shared shared;

    shared_make(&shared, &mem);
    if (!wrong)
        must(cma_shared_cpu_begin(&shared, TO));
    BUG(whatever(cma_shared_cpu_end(&shared, TO)));
}

static const struct seed seeds[] = {
    SEED(unmap_shorter, SIZE),
    SEED(unmap_longer, SIZE),
    SEED(unmap_bounced_shorter, SIZE),
    SEED(unmap_other_direction, DIRECTION),
    SEED(unmap_bidi_as_from, DIRECTION),
    SEED(unmap_by_another_device, DEVICE),
    SEED(unmap_twice, TWICE),
    SEED(unmap_what_never_was, UNKNOWN),
    SEED(unmap_an_inner_address, UNKNOWN),
    SEED(unmap_with_other_flags, FLAGS),
    SEED(unmap_what_is_a_resource, CALL),
    SEED(unmap_a_segment_of_a_list, CALL),
    SEED(unmap_list_of_pieces, COUNT_OF_LIST),
    SEED(unmap_list_that_was_changed, COUNT_OF_LIST),
    SEED(sync_list_in_part, COUNT_OF_LIST),
    SEED(free_twice, TWICE),
    SEED(free_another_size, SIZE),
    SEED(free_for_another_device, DEVICE),
    SEED(free_with_another_vaddr, ADDRESS),
    SEED(free_contiguous_as_coherent, CALL),
    SEED(sync_of_coherent, CALL),
    SEED(sync_what_never_was, UNKNOWN),
    SEED(sync_after_unmap, UNKNOWN),
    SEED(sync_past_the_end, SYNC_RANGE),
    SEED(sync_by_another_device, DEVICE),
    SEED(sync_for_cpu_of_what_is_read, SYNC_DIRECTION),
    SEED(sync_for_device_of_what_is_written, SYNC_DIRECTION),
    SEED(sync_in_another_direction, DIRECTION),
    SEED(map_fails_and_is_unmapped, UNCHECKED),
    SEED(map_fails_and_the_device_goes_on, UNCHECKED),
    SEED(map_of_a_stack, MEMORY),
    SEED(map_of_the_pools_memory, MEMORY),
    SEED(map_of_freed_memory, FREE),
    SEED(map_of_movable_memory, MOVABLE),
    SEED(map_of_neighbours_in_a_line, OVERLAP),
    SEED(map_to_write_twice, OVERLAP),
    SEED(map_list_over_what_is_written, OVERLAP),
    SEED(write_beside_own_lines, CPU_WRITES),
    SEED(descriptor_is_too_long, SEGMENT),
    SEED(descriptor_crosses_a_boundary, SEGMENT),
    SEED(left_mapped, LEFT),
    SEED(left_a_list, LEFT),
    SEED(left_a_ring, LEFT),
    SEED(item_freed_twice, TWICE),
    SEED(item_of_another_pool, ADDRESS),
    SEED(item_of_another_lane, ADDRESS),
    SEED(item_used_after_free, DEVICE_ASTRAY),
    SEED(shared_read_without_bracket, CPU_READS),
    SEED(shared_device_inside_a_bracket, DEVICE_WRITES),
    SEED(shared_writes_as_a_reader, CPU_WRITES),
    SEED(shared_end_without_begin, UNKNOWN),
};

int main(void)
{
    return run_seeds(seeds, sizeof(seeds) / sizeof(seeds[0]), __FILE__);
}
