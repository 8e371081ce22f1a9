/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - the example at work: a host that is nearly full, and a device that wants memory
 */
#include <stdio.h>

#include "board.h"

#define PAGES(mib) ((uint64_t)(mib) << 8)

static int show_failure(const char *what)
{
    printf("FAILED: %s\n", what);
    return 1;
}

static void show(struct board *board, const char *when)
{
    struct cma_area_stats stats;

    cma_area_stats(&board->area, &stats);
    printf("%-28s host %5llu free; area %4llu idle, %4llu lent, %4llu the device's\n", when,
           (unsigned long long)host_free_npages(&board->host, HOST_NONE),
           (unsigned long long)stats.idle_npages,
           (unsigned long long)(stats.kept_npages + stats.droppable_npages),
           (unsigned long long)stats.claimed_npages);
}

int main(void)
{
    static struct board board;
    static const struct board_config config = {.npages = PAGES(64),
                                               .low_npages = PAGES(16),
                                               .area_first = PAGES(32),
                                               .area_npages = PAGES(16),
                                               .nobjects = PAGES(60)};
    struct cma_dma dma;
    struct cma_device camera, audio;
    struct cma_coherent picture, sound;
    struct cma_refusal refusal;
    const char *wrong;
    uint32_t id, live = 0;

    board_make(&board, &config);
    show(&board, "boot");
    /* The host keeps 4 MiB for what has to leave the area, 1 MiB of it where old devices reach. */
    if (board.glue.ops.floor(&board.glue, BOARD_BASE + (16 << 20) - 1, PAGES(1)) != 0 ||
        board.glue.ops.floor(&board.glue, CMA_PADDR_MAX, PAGES(4)) != 0)
        return show_failure("floor");
    for (id = 0; id < config.nobjects && cache_add(&board.cache, id, id % 8 == 0) == 0; id++)
        live++;
    show(&board, "the cache has filled up");

    if (cma_dma_init(&dma, &board.frames, &board.glue.ops, &board.area) != 0 ||
        cma_device_init(&camera, &dma,
                        &(struct cma_device_config){.name = "camera",
                                                    .owner = 1,
                                                    .mask = UINT32_MAX,
                                                    .coherent_mask = UINT32_MAX,
                                                    .area = &board.area}) != 0 ||
        cma_device_init(
            &audio, &dma,
            &(struct cma_device_config){.name = "audio",
                                        .owner = 2,
                                        .mask = BOARD_BASE + (16 << 20) - 1,
                                        .coherent_mask = BOARD_BASE + (16 << 20) - 1}) != 0)
        return show_failure("devices");
    if (cma_dma_alloc_coherent(&camera, &(struct cma_coherent_request){.nbytes = 6 << 20}, &picture,
                               &refusal) != 0)
        return show_failure(cma_reason_name(refusal.reason));
    show(&board, "the camera has 6 MiB");
    printf("  %u pages moved, %u dropped\n", board.cache.moved, board.cache.dropped);

    /* Below the area's addresses the host itself serves. Its floor holds, so something goes. */
    for (id = 0; id < 64; id++) {
        bool good = true;

        if (cache_remove(&board.cache, id, &good) != 0 || !good)
            return show_failure("remove");
    }
    if (cma_dma_alloc_coherent(&audio, &(struct cma_coherent_request){.nbytes = 64 << 10}, &sound,
                               &refusal) != 0)
        printf("the audio device, which reaches 16 MiB: refused (%s), the floor holds\n",
               cma_reason_name(refusal.reason));
    else if (cma_dma_free_coherent(&audio, &sound) != 0)
        return show_failure("audio");

    for (id = 0; id < live; id++) {
        if (!cache_verify(&board.cache, id))
            return show_failure("bytes were lost");
    }
    if (cma_dma_free_coherent(&camera, &picture) != 0)
        return show_failure("free");
    show(&board, "the camera is closed");
    wrong = board_check(&board);
    if (wrong)
        return show_failure(wrong);
    printf("every byte of %u objects right, every list sound\n", live);
    board_end(&board);
    return 0;
}
