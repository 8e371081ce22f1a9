/* SPDX-License-Identifier: BSD-2-Clause */
/* metadata.c - bytes of the frame table for each page, by size of memory; fails above 8.25 */
#include <inttypes.h>
#include <stdio.h>

#include <cma/frame.h>
#include <cma/pages.h>

#define MIB (UINT64_C(1) << 20)
#define BASE UINT64_C(0x40000000)

static void *size_vaddr(void *ctx, cma_paddr_t paddr)
{
    (void)ctx;
    (void)paddr;
    return NULL;
}

static void size_barrier(void *ctx)
{
    (void)ctx;
}

static void size_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    (void)ctx;
    (void)to;
    (void)from;
    (void)nbytes;
}

static void size_zero(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx;
    (void)paddr;
    (void)nbytes;
}

static const struct cma_port port = {
    .page_shift = 12,
    .cache_line_nbytes = 64,
    .vaddr = size_vaddr,
    .dma_barrier = size_barrier,
    .copy = size_copy,
    .zero = size_zero,
};

/* A board with firmware and a frame buffer in the way, an area of a quarter, and two zones. Bytes
 * of the table with so many lanes; 0: without index. */
static uint64_t board(uint64_t nbytes, uint32_t lanes, uint64_t *npages)
{
    const struct cma_zone zones[] = {{.last = BASE + nbytes / 2 - 1}, {.last = CMA_PADDR_MAX}};
    const struct cma_frames_config config = {.port = &port,
                                             .zones = zones,
                                             .nzones = 2,
                                             .index = lanes == 0 ? NULL : &cma_frames_index,
                                             .lanes = lanes};
    struct cma_range memory[4], reserved[4];
    struct cma_range firmware = {
        .base = BASE, .nbytes = MIB / 2, .kind = CMA_RANGE_NO_MAP, .name = "firmware"};
    struct cma_range screen = {
        .base = BASE + nbytes - MIB, .nbytes = MIB, .kind = CMA_RANGE_RESERVED, .name = "screen"};
    struct cma_range area = {
        .base = BASE + nbytes / 4, .nbytes = nbytes / 4, .kind = CMA_RANGE_AREA, .name = "area"};
    struct cma_map map;

    if (cma_map_init(&map, memory, 4, reserved, 4) != 0 ||
        cma_map_add_memory(&map, BASE, nbytes, NULL) != 0 ||
        cma_map_reserve(&map, &firmware, NULL) != 0 || cma_map_reserve(&map, &screen, NULL) != 0 ||
        cma_map_reserve(&map, &area, NULL) != 0) {
        fprintf(stderr, "metadata: the map of %" PRIu64 " MiB does not work\n", nbytes / MIB);
        return 0;
    }
    *npages = (nbytes - firmware.nbytes - screen.nbytes) >> port.page_shift;
    return cma_frames_size(&map, &config);
}

/* Prints a line; true if a figure is above 8.25 bytes a page. */
static bool board_line(uint64_t nbytes)
{
    bool more = false;
    uint64_t npages = 0;

    printf("  %8" PRIu64 " MiB", nbytes / MIB);
    for (uint32_t lanes = 0; lanes <= 2; lanes++) {
        uint64_t size = board(nbytes, lanes, &npages);

        more = more || size == 0 || size * 100 > npages * 825;
        printf(" %8.3f", (double)size / (double)npages);
    }
    printf("%s\n", more ? "  MORE THAN 8.25" : "");
    return more;
}

int main(void)
{
    static const uint64_t mib[] = {32, 64, 128, 512, 1024, 4096, 65536, 1048576};
    bool failed = false;

    printf("metadata of frames (one table; besides, %zu bytes of struct cma_frames and %zu of "
           "struct cma_pages), bytes a page without index, with one, with one in two lanes:\n",
           sizeof(struct cma_frames), sizeof(struct cma_pages));
    for (unsigned i = 0; i < sizeof(mib) / sizeof(mib[0]); i++) {
        failed |= board_line(mib[i] * MIB);
    }
    return failed ? 1 : 0;
}
