/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run_boot.c - from the board's map to a machine that runs
 *
 * The simulator gets the board's RAM at its addresses; libcma gets the map, its zones and what the
 * board promises its devices, which is admitted before anybody has a page.
 */
#include "run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BOOT_MEMORY_MAX (4ull << 40) /* so that a count of pages fits 32 bits */

/* --- what the tree does not say -----------------------------------------------------------------
 */

/* The area that a device's memory-region names first, or NULL. */
static const struct cma_range *boot_device_area(struct run *run,
                                                const struct cma_fdt_device *device)
{
    for (uint32_t i = 0; i < device->nregions; i++) {
        const struct cma_range *range;

        for (uint32_t k = 0; (range = cma_map_reserved(&run->board.map, k)) != NULL; k++)
            if (range->kind == CMA_RANGE_AREA && range->id == device->regions[i])
                return range;
    }
    return NULL;
}

/* The area for a camera that the tree does not have: the default one, else any. */
static const struct cma_range *boot_some_area(struct run *run)
{
    const struct cma_range *range, *some = NULL;

    for (uint32_t i = 0; (range = cma_map_reserved(&run->board.map, i)) != NULL; i++) {
        if (range->kind != CMA_RANGE_AREA)
            continue;
        if ((range->flags & CMA_RANGE_DEFAULT) != 0)
            return range;
        if (some == NULL)
            some = range;
    }
    return some;
}

/* Room for an area of `range->nbytes` or less. 0 in range->nbytes: there is none. */
static void boot_find_area(const struct run *run, struct cma_range *range, cma_paddr_t last)
{
    uint64_t page = 1ull << run->board.page_shift;

    while (range->nbytes != 0 &&
           cma_map_find(&run->board.map, range->nbytes, page, 0, last, false, &range->base) != 0)
        range->nbytes = range->nbytes / 2 & ~(page - 1);
}

/* A board that keeps no memory for devices gets an area, and is told so. */
static int boot_add_area(struct run *run)
{
    uint64_t spare = cma_map_free_nbytes(&run->board.map), nbytes = spare / 8;
    struct cma_range range = {
        .kind = CMA_RANGE_AREA,
        .flags = CMA_RANGE_DEFAULT | CMA_RANGE_DYNAMIC,
        .name = "added for this run",
        .id = CMA_NODE_NONE,
    };

    /* 32 MiB hold six pictures of 1080p, 1 MiB six of QVGA. */
    if (nbytes > 32u << 20)
        nbytes = 32u << 20;
    if (nbytes < 1u << 20)
        nbytes = spare / 2 < 1u << 20 ? spare / 2 : 1u << 20;
    nbytes &= ~((1ull << run->board.page_shift) - 1);
    range.nbytes = nbytes;
    /* Where all devices reach it, if there is such a place; the camera reaches everything. */
    boot_find_area(run, &range, run->board.rules.dma_last);
    if (range.nbytes == 0) {
        range.nbytes = nbytes;
        boot_find_area(run, &range, CMA_PADDR_MAX);
    }
    if (range.nbytes == 0 || cma_map_reserve(&run->board.map, &range, NULL) != 0) {
        fprintf(stderr, "cma: %s: no area, and no room to add one\n", run->options.board.file);
        return EXIT_USAGE;
    }
    run->area_added = true;
    return 0;
}

/* --- the machine ---------------------------------------------------------------------------------
 */

static int boot_sim(struct run *run)
{
    uint64_t page = 1ull << run->board.page_shift;
    struct sim_memory *memory = run_calloc(run->board.map.nmemory, sizeof(*memory));
    struct sim_config config = {
        .seed = run->options.seed,
        .memory = memory,
        .page_shift = run->board.page_shift,
        .linear_last = run->zones.linear_last,
    };
    const struct cma_range *range;

    for (uint32_t i = 0; (range = cma_map_memory(&run->board.map, i)) != NULL; i++) {
        cma_paddr_t base = (range->base + (page - 1)) & ~(page - 1);
        uint64_t cut = base - range->base;

        if (range->nbytes < cut + page)
            continue;
        memory[config.nmemory].base = base;
        memory[config.nmemory++].nbytes = (range->nbytes - cut) & ~(page - 1);
    }
    run->sim = sim_create(&config);
    free(memory);
    if (run->sim == NULL)
        return EXIT_USAGE;
    /* A forbidden access is a result, and reported; the bytes that it costs are counted besides. */
    sim_tolerate(run->sim, SIM_UNMAPPED, true);
    sim_tolerate(run->sim, SIM_STALE_TLB, true);
    sim_tolerate(run->sim, SIM_ALIAS, true);
    sim_tolerate(run->sim, SIM_BUS, true);
    return 0;
}

static void boot_unmap(struct run *run)
{
    const struct cma_port *port = sim_port(run->sim);
    uint64_t page = 1ull << run->board.page_shift;
    const struct cma_range *range;

    for (uint32_t i = 0; (range = cma_map_reserved(&run->board.map, i)) != NULL; i++) {
        cma_paddr_t base = (range->base + (page - 1)) & ~(page - 1);
        uint64_t cut = base - range->base;
        uint64_t nbytes = range->nbytes > cut ? (range->nbytes - cut) & ~(page - 1) : 0;

        if (range->kind != CMA_RANGE_NO_MAP || nbytes == 0 ||
            !sim_is_memory(run->sim, base, nbytes) || port->vaddr(port->ctx, base) == NULL ||
            port->vaddr(port->ctx, base + nbytes - 1) == NULL)
            continue;
        port->set_attr(port->ctx, base, nbytes, CMA_ATTR_NONE);
    }
    port->tlb_flush(port->ctx);
}

static int boot_system(struct run *run)
{
    struct cma_system_config config = {
        .port = sim_port(run->sim),
        .zones = run->zones.zones,
        .nzones = run->zones.nzones,
    };
    uint64_t nbytes;
    int error;

    promises_config(&run->promises, &config);
    if (run->options.policy == RUN_LINUX)
        config.configure = NULL; /* whose areas have no size classes */
    nbytes = cma_system_size(&run->board.map, &config);
    run->storage = nbytes != 0 ? run_calloc(1, nbytes) : NULL;
    error = cma_system_init(&run->system, &run->board.map, &config, run->storage, nbytes);
    if (error != 0) {
        fprintf(stderr, "cma: %s: this memory can't be run: %s\n", run->options.board.file,
                cma_strerror(error));
        return EXIT_USAGE;
    }
    run->nareas = run->system.nareas;
    run->areas = run_calloc(run->nareas + 1, sizeof(*run->areas));
    for (uint32_t i = 0; i < run->nareas; i++)
        run->areas[i].area = &run->system.areas[i];
    run->oracle = (struct oracle_board){
        .frames = &run->system.frames,
        .map = &run->board.map,
        .page_shift = run->board.page_shift,
    };
    return 0;
}

/* Areas of the system and ranges of the map belong together by address. */
static struct run_area *boot_area(struct run *run, const struct cma_range *range)
{
    uint64_t page = 1ull << run->board.page_shift;
    cma_paddr_t base = (range->base + (page - 1)) & ~(page - 1);
    const struct cma_area *area = cma_system_area(&run->system, base);

    for (uint32_t i = 0; i < run->nareas; i++)
        if (run->areas[i].area == area)
            return &run->areas[i];
    return NULL;
}

/* --- devices ------------------------------------------------------------------------------------
 */

static struct run_device *boot_add_device(struct run *run, const struct cma_fdt_device *node,
                                          const char *name, const struct cma_range *range)
{
    struct run_device *device = &run->devices[run->ndevices];
    struct cma_device_config config = {
        .owner = run->ndevices + 1,
        .mask = UINT64_MAX, /* the tree tells what the buses allow, not what the device can */
        .coherent_mask = UINT64_MAX,
        .flags = CMA_DEVICE_AREA_ONLY, /* so that each refusal of an area is seen */
    };
    struct simdev_config bus = {0};
    bool coherent = node != NULL ? node->coherent : run->board.rules.coherent;

    device->run = run;
    device->node = node;
    device->area = boot_area(run, range);
    if (device->area == NULL)
        return NULL;
    device->path = strdup(node != NULL ? board_path(&run->board, node->node) : name);
    if (device->path == NULL)
        run_die("no memory");
    run->ndevices++;
    config.name = device->path;
    config.windows = node != NULL ? node->windows : NULL;
    config.nwindows = node != NULL ? node->nwindows : 0;
    config.area = device->area->area;
    config.flags |= coherent ? CMA_DEVICE_COHERENT : 0;
    if (node != NULL)
        config.quota_npages = board_quota(&run->board, node);
    if (config.nwindows > SIMDEV_WINDOWS_MAX) {
        device->idle_because = "its bus has more windows than the simulated device can have";
        return device;
    }
    if (cma_device_init(&device->dma, &run->system.dma, &config) != 0) {
        device->idle_because = "it reaches no memory at all";
        return device;
    }
    bus.name = device->path;
    bus.windows = config.windows;
    bus.nwindows = config.nwindows;
    bus.snoops = coherent;
    simdev_init(&device->bus, run->sim, &bus);
    device->random = run->options.seed * 1000 + config.owner;
    return device;
}

/* Was it promised memory, although it names no area? Then that of the default one. */
static bool boot_is_promised(const struct run *run, uint32_t device)
{
    for (uint32_t i = 0; i < run->board.fdt.nguarantees; i++)
        if (run->board.fdt.guarantees[i].device == device)
            return true;
    return false;
}

/* Those of a scenario, in its order. */
static int boot_scenario_devices(struct run *run, const struct cma_range *camera)
{
    const struct scenario *scenario = &run->options.scenario->said;

    run->devices = run_calloc(scenario->ndevices, sizeof(*run->devices));
    for (uint32_t i = 0; i < scenario->ndevices; i++) {
        const struct cma_fdt_device *node = run->scenario_nodes[i] != CMA_NODE_NONE
                                                ? &run->board.fdt.devices[run->scenario_nodes[i]]
                                                : NULL;
        const struct cma_range *range = node != NULL ? boot_device_area(run, node) : NULL;
        struct run_device *device =
            boot_add_device(run, node, scenario->devices[i].name, range != NULL ? range : camera);

        if (device == NULL || device->idle_because != NULL) {
            fprintf(stderr, "cma: %s:%u: '%s' can't be run on this board: %s\n",
                    run->options.scenario_file, scenario->devices[i].line,
                    scenario->devices[i].name,
                    device != NULL ? device->idle_because : "its area is not there");
            return EXIT_USAGE;
        }
        device->scenario = &scenario->devices[i];
    }
    return 0;
}

static void boot_devices(struct run *run, const struct cma_range *camera)
{
    run->devices = run_calloc(run->board.fdt.ndevices + 1, sizeof(*run->devices));
    for (uint32_t i = 0; i < run->board.fdt.ndevices; i++) {
        const struct cma_fdt_device *node = &run->board.fdt.devices[i];
        const struct cma_range *range = boot_device_area(run, node);

        if (range == NULL && boot_is_promised(run, i))
            range = camera;
        if (range != NULL)
            boot_add_device(run, node, "", range);
    }
    if (run->ndevices == 0) {
        run->camera_added = true;
        boot_add_device(run, NULL, "", camera);
    }
}

int run_boot(struct run *run)
{
    const struct cma_range *range;
    uint64_t total = 0;
    int error;

    for (uint32_t i = 0; (range = cma_map_memory(&run->board.map, i)) != NULL; i++)
        total = range->nbytes < BOOT_MEMORY_MAX - total ? total + range->nbytes : BOOT_MEMORY_MAX;
    if (total == BOOT_MEMORY_MAX) {
        fprintf(stderr, "cma: %s: this is more memory than can be simulated (--memory)\n",
                run->options.board.file);
        return EXIT_USAGE;
    }
    error = boot_some_area(run) == NULL ? boot_add_area(run) : 0;
    if (error != 0)
        return error;
    error = run->options.scenario != NULL ? run_scenario_boot(run) : 0;
    if (error != 0)
        return error;
    if (promises_read(&run->promises, &run->board) != 0)
        run_die("not enough memory");
    board_zones(&run->board, &run->zones);
    error = boot_sim(run);
    if (error != 0)
        return error;
    boot_unmap(run);
    error = boot_system(run);
    if (error != 0)
        return error;
    for (uint32_t i = 0; (range = cma_map_reserved(&run->board.map, i)) != NULL; i++) {
        struct run_area *area = range->kind == CMA_RANGE_AREA ? boot_area(run, range) : NULL;

        if (area != NULL)
            area->range = range;
    }
    if (run->options.scenario != NULL)
        error = boot_scenario_devices(run, boot_some_area(run));
    else
        boot_devices(run, boot_some_area(run));
    if (error == 0)
        error = run_promise(run);
    if (error != 0)
        return error;
    if (run->options.policy == RUN_LINUX)
        run_linux_boot(run);
    return 0;
}

void run_free(struct run *run)
{
    while (run->result.failures != NULL) {
        struct run_failure *failure = run->result.failures;

        run->result.failures = failure->next;
        free(failure);
    }
    for (uint32_t i = 0; i < run->ndevices; i++)
        free((void *)(uintptr_t)run->devices[i].path);
    run_linux_free(run);
    run_load_free(run);
    run_draw_free(run);
    free(run->result.latency_ns.values);
    free(run->result.copies.values);
    promises_free(&run->promises);
    free(run->scenario_promises);
    free(run->open);
    free(run->devices);
    free(run->areas);
    free(run->storage);
    if (run->sim != NULL)
        sim_destroy(run->sim);
    board_free(&run->board);
}

/* --- pictures ----------------------------------------------------------------------------------
 */

struct boot_canvas {
    struct run_area *area;
    cma_pfn_t pfn;
    uint64_t npages, width;
    uint64_t counts[RUN_PICTURE][4]; /* idle, droppable, kept, the device's */
};

/* Spreads one holder over the cells. */
static bool boot_paint(void *ctx, const struct cma_area_holder *holder)
{
    struct boot_canvas *canvas = ctx;
    int colour = holder->kind == CMA_KIND_CLAIMED     ? 3
                 : holder->kind == CMA_KIND_MOVABLE   ? 2
                 : holder->kind == CMA_KIND_DROPPABLE ? 1
                                                      : 0;

    for (uint64_t i = 0; i < holder->npages; i++) {
        uint64_t at = holder->pfn + i - canvas->pfn;

        if (at < canvas->npages)
            canvas->counts[at * canvas->width / canvas->npages][colour]++;
    }
    return true;
}

void run_picture(struct run *run, struct run_area *area, enum run_moment moment)
{
    static const char letters[] = ".dm#";
    uint64_t page = 1ull << run->board.page_shift;
    struct boot_canvas canvas = {.area = area};
    struct cma_area_stats stats;

    cma_area_stats(area->area, &stats);
    area->claimed_npages[moment] = stats.claimed_npages;
    area->kept_npages[moment] = stats.kept_npages;
    area->droppable_npages[moment] = stats.droppable_npages;
    canvas.pfn = (area->range->base + (page - 1)) >> run->board.page_shift;
    canvas.npages = stats.npages;
    canvas.width = stats.npages < RUN_PICTURE ? stats.npages : RUN_PICTURE;
    cma_area_walk(area->area, boot_paint, &canvas);
    for (uint64_t cell = 0; cell < canvas.width; cell++) {
        int most = 0;

        for (int colour = 1; colour < 4; colour++)
            if (canvas.counts[cell][colour] > canvas.counts[cell][most])
                most = colour;
        area->pictures[moment][cell] = letters[most];
    }
    area->pictures[moment][canvas.width] = '\0';
}
