/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - an example: a driver on a simulated board, with the misuse checker
 *
 *     main [late] [early]
 *
 * Sends a word and receives one; with `late` or `early` the driver has that bug. Ends with 0 if
 * there was no report.
 */
#include "serial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cma/system.h>

static void print_report(void *ctx, const struct cma_misuse_report *report)
{
    char text[256];

    (void)ctx;
    cma_misuse_sentence(report, text, sizeof(text));
    printf("%s\n", text);
}

static void need(int error, const char *what)
{
    if (error != 0) {
        fprintf(stderr, "%s: %s\n", what, cma_strerror(error));
        exit(2);
    }
}

/* A board with 4 MiB of memory whose devices don't look into the caches. */
static void board_begin(struct sim **sim, struct cma_system *system)
{
    static struct cma_range memory[1], reserved[2];
    static struct cma_map map;
    struct sim_memory bank = {0x80000000, 4 << 20};
    struct sim_config config = {.seed = 1, .memory = &bank, .nmemory = 1};
    struct cma_system_config wanted = {.block_order = 6};
    uint64_t nbytes;

    *sim = sim_create(&config);
    if (*sim == NULL) {
        exit(2);
    }
    need(cma_map_init(&map, memory, 1, reserved, 2), "map");
    need(cma_map_add_memory(&map, bank.base, bank.nbytes, NULL), "memory");
    wanted.port = sim_port(*sim);
    nbytes = (cma_system_size(&map, &wanted) + 7) & ~(uint64_t)7;
    need(cma_system_init(system, &map, &wanted, aligned_alloc(8, nbytes), nbytes), "system");
}

/* From here on each access and each call is looked at. */
static void checker_begin(struct cma_misuse *misuse, struct sim *sim, struct cma_dma *dma)
{
    struct cma_misuse_config config = {.report = print_report, .nentries = 64};
    uint64_t nbytes = (cma_misuse_size(&config) + 7) & ~(uint64_t)7;

    need(cma_misuse_init(misuse, dma, &config, aligned_alloc(8, nbytes), nbytes), "checker");
    driver_watch(sim, misuse);
}

int main(int argc, char **argv)
{
    static struct cma_system system;
    static struct cma_misuse misuse;
    static struct cma_device device;
    static struct serial_port port = {.line = "pong"};
    struct cma_device_config config = {.name = "serial", .owner = 1, .mask = UINT32_MAX};
    struct simdev_config bus = {.name = "serial", .daddr_last = UINT32_MAX, .tag = &device};
    struct cma_pages_request page = {.npages = 1, .holder = {.kind = CMA_KIND_UNMOVABLE}};
    struct serial serial = {.port = &port, .device = &device};
    bool late = false, early = false;
    char text[64] = "";
    cma_pfn_t pfn;

    for (int i = 1; i < argc; i++) {
        late = late || strcmp(argv[i], "late") == 0;
        early = early || strcmp(argv[i], "early") == 0;
    }
    board_begin(&serial.sim, &system);
    checker_begin(&misuse, serial.sim, &system.dma);
    need(cma_device_init(&device, &system.dma, &config), "device");
    simdev_init(&port.bus, serial.sim, &bus);
    need(cma_pages_alloc(&system.pages, &page, &pfn, NULL), "page");
    serial.paddr = pfn << 12;
    serial.vaddr = sim_port(serial.sim)->vaddr(serial.sim, serial.paddr);

    serial_send(&serial, "ping", late);
    printf("sent: %s\n", port.sent);
    text[serial_receive(&serial, text, sizeof(text) - 1, early)] = '\0';
    printf("received: %s\n", strcmp(text, "pong") == 0 ? text : "something else");
    cma_misuse_device_gone(&misuse, &device, CMA_SITE);
    printf("%u reports\n", cma_misuse_count(&misuse, CMA_MISUSE_NONE));
    return cma_misuse_count(&misuse, CMA_MISUSE_NONE) != 0;
}
