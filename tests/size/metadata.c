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

/* A board with firmware and a frame buffer in the way, an area of a quarter, and two zones. */
static int board(uint64_t nbytes)
{
    const struct cma_zone zones[] = {{.last = BASE + nbytes / 2 - 1}, {.last = CMA_PADDR_MAX}};
    const struct cma_frames_config config = {.port = &port, .zones = zones, .nzones = 2};
    struct cma_range memory[4], reserved[4];
    struct cma_range firmware = {
        .base = BASE, .nbytes = MIB / 2, .kind = CMA_RANGE_NO_MAP, .name = "firmware"};
    struct cma_range screen = {
        .base = BASE + nbytes - MIB, .nbytes = MIB, .kind = CMA_RANGE_RESERVED, .name = "screen"};
    struct cma_range area = {
        .base = BASE + nbytes / 4, .nbytes = nbytes / 4, .kind = CMA_RANGE_AREA, .name = "area"};
    struct cma_map map;
    uint64_t size, npages;

    if (cma_map_init(&map, memory, 4, reserved, 4) != 0 ||
        cma_map_add_memory(&map, BASE, nbytes, NULL) != 0 ||
        cma_map_reserve(&map, &firmware, NULL) != 0 || cma_map_reserve(&map, &screen, NULL) != 0 ||
        cma_map_reserve(&map, &area, NULL) != 0) {
        fprintf(stderr, "metadata: the map of %" PRIu64 " MiB does not work\n", nbytes / MIB);
        return 1;
    }
    size = cma_frames_size(&map, &config);
    npages = (nbytes - firmware.nbytes - screen.nbytes) >> port.page_shift;
    printf("  %8" PRIu64 " MiB  %10" PRIu64 " pages  %11" PRIu64 " bytes  %6.3f a page%s\n",
           nbytes / MIB, npages, size, (double)size / (double)npages,
           size * 100 > npages * 825 ? "  MORE THAN 8.25" : "");
    return size == 0 || size * 100 > npages * 825 ? 1 : 0;
}

int main(void)
{
    static const uint64_t mib[] = {32, 64, 128, 512, 1024, 4096, 65536, 1048576};
    int failed = 0;

    printf("metadata of frames (one table; besides, %zu bytes of struct cma_frames and %zu of "
           "struct cma_pages):\n",
           sizeof(struct cma_frames), sizeof(struct cma_pages));
    for (unsigned i = 0; i < sizeof(mib) / sizeof(mib[0]); i++) {
        failed |= board(mib[i] * MIB);
    }
    return failed;
}
