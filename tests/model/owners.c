/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * owners.c - memory goes from owner to owner, and nobody sees a byte of the one before
 *
 *     owners [--ops N] [--seed S]
 *
 * A simulated board whose caches are as unhelpful as real ones may be (H1, H2). Devices that snoop,
 * that don't, and that sit behind an offset get memory from every back-end, in turns: areas, the
 * page allocator, guarantees, pools, memory of their own, ... (the table below). Each new owner
 * looks at all bytes up to the end of the last page, by its CPU address and with its device's own
 * eyes, before it writes anything: they must be zero. Then CPU and device fill them with bytes that
 * are never zero, and some time later the memory goes back, dirty lines and all; the device writes
 * up to the very last moment, and sometimes a moment longer (H5). Who is bounced finds its own
 * bytes and zero padding (H3, H4), and gets back its own and what its device wrote. N is the number
 * of times that a device got something.
 *
 * First come controls: runs in which zeroing does nothing, or cleaning. They must find foreign
 * bytes in each back-end that needs it, or this test could not see any.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cma/cma.h>

#include "../../ports/sim/sim.h"
#include "../../ports/sim/simdev.h"

#define SHIFT 10u
#define PAGE (UINT64_C(1) << SHIFT)
#define BASE UINT64_C(0x80000000)
#define NPAGES 8192u
#define OFFSET UINT64_C(0x60000000) /* paddr less daddr, behind the bridge */
#define LIVE 64u
#define REGION_NPAGES 24u /* of one device's own memory */
#define REGIONS_NPAGES (REGION_NPAGES * BACKENDS * VIEWS)
#define STOLEN (BASE + 4096 * PAGE)
#define BOUNCE (BASE + 5500 * PAGE) /* two pools */
#define BOUNCE_NPAGES 64u
#define SRAM UINT64_C(0xc0000000) /* no RAM, and not mapped */
#define HIGH UINT64_C(0xd0000000) /* RAM without linear mapping */
#define HIGH_NPAGES 320u
#define WINDOW_NPAGES 64u
#define BUFFER_NPAGES 6u

#define REQUIRE(condition, ...)                                             \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, __VA_ARGS__);                                   \
            fputc('\n', stderr);                                            \
            abort();                                                        \
        }                                                                   \
    } while (0)

/* How a device sees memory. */
enum view { VIEW_SNOOPS, VIEW_PLAIN, VIEW_OFFSET, VIEWS };

enum backend {
    BACKEND_AREA,
    BACKEND_DEFAULT,
    BACKEND_PAGES,
    BACKEND_GUARANTEE,
    BACKEND_WINDOW, /* an area without linear mapping */
    BACKEND_NOSLEEP,
    BACKEND_CONTIGUOUS,
    /* Forms of exclusive memory. */
    BACKEND_DEVICE,
    BACKEND_MAPPED,
    BACKEND_RESERVED,
    BACKEND_STOLEN,
    BACKEND_RESTRICTED,
    BACKEND_ITEM,        /* of a pool of coherent memory */
    BACKEND_CACHED_ITEM, /* of a pool of contiguous memory */
    BACKEND_BOUNCE,      /* streaming mappings of the owner's own memory */
    BACKENDS,
};

static const struct {
    const char *name;
    bool cleaned; /* goes through the caches before it is a device's: port->clean is needed */
} kinds[BACKENDS] = {
    [BACKEND_AREA] = {"own area", true},
    [BACKEND_DEFAULT] = {"default area", true},
    [BACKEND_PAGES] = {"pages", true},
    [BACKEND_GUARANTEE] = {"guarantee", true},
    [BACKEND_WINDOW] = {"window", true},
    [BACKEND_NOSLEEP] = {"no sleep", false},
    [BACKEND_CONTIGUOUS] = {"contiguous", true},
    [BACKEND_DEVICE] = {"own, behind a bus", false},
    [BACKEND_MAPPED] = {"own, mapped before", false},
    [BACKEND_RESERVED] = {"own, reserved", false},
    [BACKEND_STOLEN] = {"own, stolen", false},
    [BACKEND_RESTRICTED] = {"restricted", true},
    [BACKEND_ITEM] = {"pool item", false},
    [BACKEND_CACHED_ITEM] = {"cached pool item", true},
    [BACKEND_BOUNCE] = {"bounced", true},
};

struct owned {
    enum backend backend;
    enum view view;
    struct cma_contiguous contiguous; /* or coherent: only the buffer; of items the addresses */
    struct cma_dma_item item;
    cma_paddr_t paddr; /* of what is bounced: pages that it lies in */
    uint64_t offset;
    uint8_t mark;
};

/* One device and its eyes. */
struct viewer {
    struct cma_device device;
    struct cma_device_promise promise;
    struct cma_exclusive region;
    uint32_t words[256]; /* of the region */
    struct cma_dma_pool pool;
    void *pool_storage;
    struct simdev dev;
};

struct owners {
    struct sim *sim;
    struct cma_port port;
    struct cma_range memory[3], reserved[8];
    struct cma_map map;
    struct cma_zone zones[2];
    struct cma_window window;
    void *window_storage;
    struct cma_system system;
    struct cma_dma pages_dma; /* without a default area */
    void *storage;
    struct cma_bus_window windows[3];
    struct cma_nosleep nosleep;
    void *nosleep_storage;
    bool low;
    struct cma_bounce pools[2]; /* of restricted devices, and of all */
    void *pool_storage[2];
    struct viewer viewers[BACKENDS][VIEWS];
    struct owned live[LIVE];
    uint32_t nlive;
    uint64_t random;
    uint8_t mark; /* of who writes, never 0 */
    uint64_t handed[BACKENDS], refused[BACKENDS], foreign[BACKENDS];
};

static uint64_t owners_random(struct owners *o)
{
    uint64_t z = (o->random += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t owners_below(struct owners *o, uint64_t n)
{
    return owners_random(o) % n;
}

/* --- the board ------------------------------------------------------------------------- */

static void range_nothing(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx;
    (void)paddr;
    (void)nbytes;
}

static void vaddr_nothing(void *ctx, void *vaddr, uint64_t nbytes)
{
    (void)ctx;
    (void)vaddr;
    (void)nbytes;
}

enum mute { MUTE_NONE, MUTE_ZERO, MUTE_CLEAN, MUTES };

static void owners_port(struct owners *o, enum mute mute)
{
    o->port = *sim_port(o->sim);
    if (mute == MUTE_ZERO) {
        o->port.zero = range_nothing;
        o->port.zero_vaddr = vaddr_nothing;
    } else if (mute == MUTE_CLEAN) {
        o->port.clean = range_nothing;
    }
    for (uint32_t i = 0; mute != MUTE_NONE && i < SIM_VIOLATIONS; i++) {
        sim_tolerate(o->sim, (enum sim_violation)i, true);
    }
}

static void owners_area(struct owners *o, const char *name, uint32_t first, uint32_t npages,
                        uint32_t flags)
{
    struct cma_range range = {.base = BASE + first * PAGE,
                              .nbytes = npages * PAGE,
                              .kind = CMA_RANGE_AREA,
                              .flags = flags,
                              .name = name};

    REQUIRE(cma_map_reserve(&o->map, &range, NULL) == 0, "%s", name);
}

static void owners_window(struct owners *o)
{
    uint64_t nbytes = cma_window_size(&o->port, WINDOW_NPAGES * PAGE);

    o->window_storage = aligned_alloc(8, (nbytes + 7) / 8 * 8);
    REQUIRE(cma_window_init(&o->window, &o->system.dma, WINDOW_NPAGES * PAGE, o->window_storage,
                            nbytes) == 0,
            "no window");
}

static bool owners_is_item(enum backend backend)
{
    return backend == BACKEND_ITEM || backend == BACKEND_CACHED_ITEM;
}

/* A pool of items, longer than a page some of them. */
static void owners_items(struct owners *o, enum backend backend, enum view view)
{
    struct viewer *viewer = &o->viewers[backend][view];
    struct cma_dma_pool_config config = {.name = kinds[backend].name,
                                         .item_nbytes = 192 + 1000 * view,
                                         .align_nbytes = 64,
                                         .chunk_nbytes = 6 * PAGE,
                                         .nitems_max = 16,
                                         .direction = CMA_BIDIRECTIONAL};
    uint64_t nbytes;

    (void)o;
    config.flags = backend == BACKEND_CACHED_ITEM ? CMA_DMA_POOL_CACHED : 0;
    nbytes = cma_dma_pool_size(&viewer->device, &config);
    viewer->pool_storage = aligned_alloc(64, (nbytes + 63) / 64 * 64);
    REQUIRE(nbytes != 0 && cma_dma_pool_init(&viewer->pool, &viewer->device, &config,
                                             viewer->pool_storage, nbytes) == 0,
            "no pool of items");
}

/* Memory of a device's own. */
static void owners_region(struct owners *o, enum backend backend, enum view view)
{
    static const enum cma_exclusive_form forms[BACKENDS] = {
        [BACKEND_DEVICE] = CMA_EXCLUSIVE_DEVICE,
        [BACKEND_MAPPED] = CMA_EXCLUSIVE_MAPPED,
        [BACKEND_RESERVED] = CMA_EXCLUSIVE_RESERVED,
        [BACKEND_STOLEN] = CMA_EXCLUSIVE_STOLEN,
    };
    struct viewer *viewer = &o->viewers[backend][view];
    struct cma_exclusive_config config = {
        .name = kinds[backend].name, .form = forms[backend], .nbytes = REGION_NPAGES * PAGE};
    uint64_t part = (backend * VIEWS + view) * REGION_NPAGES * PAGE;
    int error;

    if (backend != BACKEND_RESERVED) {
        config.paddr = (backend == BACKEND_STOLEN ? STOLEN : SRAM) + part;
    }
    if (backend == BACKEND_MAPPED) {
        config.attr = view == VIEW_SNOOPS ? CMA_ATTR_CACHED : CMA_ATTR_UNCACHED;
        REQUIRE(o->port.map(o->sim, config.paddr, config.nbytes, config.attr, &config.vaddr) == 0,
                "map");
    }
    error = cma_exclusive_declare(&viewer->region, &viewer->device, &config, viewer->words,
                                  sizeof(viewer->words), NULL, NULL);
    REQUIRE(error == 0, "%s: %s", kinds[backend].name, cma_strerror(error));
}

static void owners_viewer(struct owners *o, enum backend backend, enum view view)
{
    struct viewer *viewer = &o->viewers[backend][view];
    struct cma_device_config config = {.name = kinds[backend].name,
                                       .owner = 100 + backend * VIEWS + view,
                                       .mask = UINT64_MAX,
                                       .coherent_mask = UINT64_MAX};
    struct simdev_config eyes = {
        .name = kinds[backend].name, .snoops = view == VIEW_SNOOPS, .refuses = true};
    struct cma_promise_request promise = {.nbytes = 4 * PAGE, .count = 3};
    struct cma_dma *dma = &o->system.dma;

    if (view == VIEW_OFFSET) {
        config.windows = o->windows;
        config.nwindows = 3;
        eyes.windows = o->windows;
        eyes.nwindows = 3;
    }
    config.flags = view == VIEW_SNOOPS ? CMA_DEVICE_COHERENT : 0;
    if (backend == BACKEND_AREA) {
        config.area = &o->system.areas[1];
    } else if (backend == BACKEND_GUARANTEE) {
        config.area = &o->system.areas[2];
        config.flags |= CMA_DEVICE_AREA_ONLY;
    } else if (backend == BACKEND_WINDOW) {
        config.area = cma_system_area(&o->system, HIGH + 64 * PAGE);
        config.flags |= CMA_DEVICE_AREA_ONLY;
    } else if (backend == BACKEND_PAGES) {
        dma = &o->pages_dma;
    } else if (backend == BACKEND_RESTRICTED) {
        config.flags |= CMA_DEVICE_RESTRICTED;
        config.bounce = &o->pools[0];
    } else if (backend == BACKEND_BOUNCE) {
        config.flags |= view == VIEW_OFFSET ? CMA_DEVICE_UNTRUSTED : CMA_DEVICE_BOUNCE_ALWAYS;
        config.min_align_nbytes = view == VIEW_PLAIN ? 256 : 0;
    }
    REQUIRE(cma_device_init(&viewer->device, dma, &config) == 0, "device");
    simdev_init(&viewer->dev, o->sim, &eyes);
    if (backend == BACKEND_GUARANTEE) {
        REQUIRE(cma_device_admit(&viewer->device, &o->system.guarantees, &viewer->promise, &promise,
                                 NULL) == 0,
                "not promised");
    } else if (backend >= BACKEND_DEVICE && backend <= BACKEND_STOLEN) {
        owners_region(o, backend, view);
    } else if (owners_is_item(backend)) {
        owners_items(o, backend, view);
    }
}

static void owners_low(void *ctx, uint64_t idle_nbytes)
{
    (void)idle_nbytes;
    ((struct owners *)ctx)->low = true;
}

static void owners_nosleep(struct owners *o)
{
    struct cma_nosleep_config config = {.name = "no sleep",
                                        .owner = 99,
                                        .paddr_last = CMA_PADDR_MAX,
                                        .chunk_nbytes = 16 * PAGE,
                                        .nchunks_max = 4,
                                        .low_nbytes = 8 * PAGE,
                                        .low = owners_low,
                                        .ctx = o};
    uint64_t nbytes = cma_nosleep_size(&o->port, &config);

    o->nosleep_storage = malloc(nbytes);
    REQUIRE(cma_nosleep_init(&o->nosleep, &o->system.dma, &config, o->nosleep_storage, nbytes) == 0,
            "no pool");
}

static void owners_pools(struct owners *o)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct cma_bounce_config config = {.name = "pool",
                                           .nbytes = BOUNCE_NPAGES * PAGE,
                                           .slot_nbytes = 512,
                                           .owner = 90 + i,
                                           .paddr = BOUNCE + i * BOUNCE_NPAGES * PAGE};
        uint64_t nbytes = cma_bounce_size(&o->port, &config);

        o->pool_storage[i] = aligned_alloc(8, nbytes);
        REQUIRE(cma_bounce_init(&o->pools[i], &o->system.dma, &config, o->pool_storage[i], nbytes,
                                NULL) == 0,
                "no pool");
    }
    cma_bounce_use(&o->system.dma, &o->pools[1]);
}

static void owners_make(struct owners *o, uint64_t seed, enum mute mute)
{
    const struct sim_memory memory[] = {
        {BASE, NPAGES * PAGE}, {SRAM, REGIONS_NPAGES * PAGE}, {HIGH, HIGH_NPAGES * PAGE}};
    struct cma_range stolen = {.base = STOLEN,
                               .nbytes = REGIONS_NPAGES * PAGE,
                               .kind = CMA_RANGE_COHERENT_POOL,
                               .name = "stolen"};
    struct sim_config config = {.seed = seed,
                                .memory = memory,
                                .nmemory = 3,
                                .linear_last = SRAM - 1,
                                .page_shift = SHIFT,
                                .cache_nbytes = 65536};
    struct cma_system_config system = {.block_order = 6, .nslots = 16};
    uint64_t nbytes;

    memset(o, 0, sizeof(*o));
    o->random = seed;
    o->sim = sim_create(&config);
    REQUIRE(o->sim != NULL, "no simulation");
    owners_port(o, mute);
    REQUIRE(cma_map_init(&o->map, o->memory, 3, o->reserved, 8) == 0, "map");
    REQUIRE(cma_map_add_memory(&o->map, BASE, NPAGES * PAGE, NULL) == 0, "memory");
    REQUIRE(cma_map_add_memory(&o->map, HIGH, HIGH_NPAGES * PAGE, NULL) == 0, "high memory");
    owners_area(o, "default", 1024, 256, CMA_RANGE_DEFAULT);
    owners_area(o, "own", 2048, 256, 0);
    owners_area(o, "promised", 3072, 128, 0);
    owners_area(o, "high", (uint32_t)((HIGH - BASE) / PAGE) + 64, 192, 0);
    REQUIRE(cma_map_reserve(&o->map, &stolen, NULL) == 0, "stolen");
    stolen.base = BOUNCE;
    stolen.nbytes = 2 * BOUNCE_NPAGES * PAGE;
    REQUIRE(cma_map_reserve(&o->map, &stolen, NULL) == 0, "pools");
    o->zones[0].last = config.linear_last;
    o->zones[1].last = CMA_PADDR_MAX;
    o->zones[1].flags = CMA_ZONE_UNMAPPED;
    system.port = &o->port;
    system.zones = o->zones;
    system.nzones = 2;
    nbytes = cma_system_size(&o->map, &system);
    o->storage = aligned_alloc(64, (nbytes + 63) / 64 * 64);
    REQUIRE(cma_system_init(&o->system, &o->map, &system, o->storage, nbytes) == 0, "system");
    REQUIRE(cma_dma_init(&o->pages_dma, &o->system.frames, cma_pages_ops(&o->system.pages), NULL) ==
                0,
            "second layer");
    o->windows[0] =
        (struct cma_bus_window){.daddr = BASE - OFFSET, .paddr = BASE, .nbytes = NPAGES * PAGE};
    o->windows[1] = (struct cma_bus_window){
        .daddr = SRAM - OFFSET, .paddr = SRAM, .nbytes = REGIONS_NPAGES * PAGE};
    o->windows[2] = (struct cma_bus_window){
        .daddr = HIGH - OFFSET, .paddr = HIGH, .nbytes = HIGH_NPAGES * PAGE};
    owners_window(o);
    owners_nosleep(o);
    owners_pools(o);
    for (uint32_t b = 0; b < BACKENDS; b++) {
        for (uint32_t v = 0; v < VIEWS; v++) {
            owners_viewer(o, (enum backend)b, (enum view)v);
        }
    }
}

static void owners_end(struct owners *o, bool tidy)
{
    struct cma_violation violation;
    cma_paddr_t paddr;

    for (uint32_t b = BACKEND_DEVICE; b <= BACKEND_STOLEN; b++) {
        for (uint32_t v = 0; v < VIEWS; v++) {
            REQUIRE(cma_exclusive_release(&o->viewers[b][v].region) == 0, "%s", kinds[b].name);
        }
    }
    for (uint32_t v = 0; v < VIEWS; v++) {
        for (uint32_t b = BACKEND_ITEM; b <= BACKEND_CACHED_ITEM; b++) {
            REQUIRE(cma_dma_pool_destroy(&o->viewers[b][v].pool) == 0, "items");
            free(o->viewers[b][v].pool_storage);
        }
    }
    REQUIRE(cma_nosleep_destroy(&o->nosleep) == 0, "no sleep");
    free(o->nosleep_storage);
    free(o->window_storage);
    for (uint32_t i = 0; i < 2; i++) {
        REQUIRE(cma_bounce_destroy(&o->pools[i]) == 0, "pool");
        free(o->pool_storage[i]);
    }
    if (tidy) {
        REQUIRE(cma_system_check(&o->system, &violation), "%s", violation.what);
        REQUIRE(sim_check_aliases(o->sim, &paddr), "two mappings");
    }
    sim_destroy(o->sim);
    free(o->storage);
}

/* --- bytes ----------------------------------------------------------------------------- */

static uint64_t owners_count(const uint8_t *bytes, uint64_t nbytes)
{
    uint64_t foreign = 0;

    for (uint64_t i = 0; i < nbytes; i++) {
        foreign += bytes[i] != 0;
    }
    return foreign;
}

static uint8_t owners_mark(struct owners *o)
{
    o->mark = o->mark == UINT8_MAX ? 1 : o->mark + 1;
    return o->mark;
}

static uint64_t owners_whole(const struct owned *owned)
{
    if (owners_is_item(owned->backend)) {
        return owned->contiguous.buffer.nbytes;
    }
    return (owned->contiguous.buffer.nbytes + PAGE - 1) & ~(PAGE - 1);
}

static bool owners_is_cached(enum backend backend)
{
    return backend == BACKEND_CONTIGUOUS || backend == BACKEND_CACHED_ITEM;
}

/* Contiguous memory changes sides by syncs; the rest is seen by both at all times. */
static void owners_sync(struct owners *o, struct owned *owned, bool to_cpu)
{
    struct cma_device *device = &o->viewers[owned->backend][owned->view].device;
    const struct cma_contiguous *contiguous = &owned->contiguous;

    if (owners_is_cached(owned->backend)) {
        int error = (to_cpu ? cma_dma_sync_for_cpu : cma_dma_sync_for_device)(
            device, contiguous->buffer.daddr, owners_whole(owned), contiguous->direction);

        REQUIRE(error == 0, "sync: %s", cma_strerror(error));
    }
}

static void owners_look_cpu(struct owners *o, struct owned *owned)
{
    uint8_t bytes[BUFFER_NPAGES * PAGE];
    uint64_t whole = owners_whole(owned);

    owners_sync(o, owned, true);
    sim_read(o->sim, owned->contiguous.buffer.vaddr, bytes, whole);
    o->foreign[owned->backend] += owners_count(bytes, whole);
}

/* Looks at all of a new buffer, as device and as CPU, in either order. */
static void owners_look(struct owners *o, struct owned *owned)
{
    struct viewer *viewer = &o->viewers[owned->backend][owned->view];
    bool cpu_first = !owners_is_cached(owned->backend) && owners_below(o, 2) != 0;
    uint8_t bytes[BUFFER_NPAGES * PAGE];
    uint64_t whole = owners_whole(owned);

    if (cpu_first) {
        owners_look_cpu(o, owned);
    }
    REQUIRE(simdev_read(&viewer->dev, owned->contiguous.buffer.daddr, bytes, whole), "bus");
    o->foreign[owned->backend] += owners_count(bytes, whole);
    if (!cpu_first) {
        owners_look_cpu(o, owned);
    }
}

/* Both write: parts, with what is never zero. */
static void owners_fill(struct owners *o, struct owned *owned)
{
    struct viewer *viewer = &o->viewers[owned->backend][owned->view];
    uint64_t whole = owners_whole(owned);
    uint64_t cut = owners_below(o, whole);
    uint8_t bytes[BUFFER_NPAGES * PAGE];

    memset(bytes, owners_mark(o), whole);
    sim_write(o->sim, owned->contiguous.buffer.vaddr, bytes, cut);
    if (owners_below(o, 4) != 0) {
        owners_sync(o, owned, false);
    }
    REQUIRE(simdev_write(&viewer->dev, owned->contiguous.buffer.daddr + cut, bytes, whole - cut),
            "bus");
}

/* Somebody else works with the memory that nobody has: pages are used, and freed dirty. */
static void owners_others(struct owners *o)
{
    const struct cma_pages_ops *ops = cma_pages_ops(&o->system.pages);
    struct cma_pages_request request = {
        .npages = 1 + owners_below(o, 4),
        .holder = {.kind = CMA_KIND_UNMOVABLE, .cookie = 7},
    };
    uint8_t bytes[4 * PAGE];
    cma_pfn_t pfn;

    if (ops->alloc(ops->ctx, &request, &pfn, NULL) == 0) {
        memset(bytes, 0xc5, sizeof(bytes));
        sim_write_paddr(o->sim, pfn << SHIFT, bytes, request.npages << SHIFT);
        REQUIRE(ops->free(ops->ctx, pfn, (uint32_t)request.npages, 7) == 0, "pages");
    }
}

/* --- bounced --------------------------------------------------------------------------- */

static uint64_t owners_differ(const uint8_t *bytes, uint64_t nbytes, uint8_t one, uint8_t other)
{
    uint64_t count = 0;

    for (uint64_t i = 0; i < nbytes; i++) {
        count += bytes[i] != one && bytes[i] != other;
    }
    return count;
}

/* Pages of the owner's own, all of which have its mark, and a mapping of a part of them. */
static int owners_map(struct owners *o, struct owned *owned)
{
    const struct cma_pages_ops *ops = cma_pages_ops(&o->system.pages);
    struct cma_pages_request request = {.npages = BUFFER_NPAGES,
                                        .holder = {.kind = CMA_KIND_UNMOVABLE, .cookie = 8}};
    struct cma_device *device = &o->viewers[owned->backend][owned->view].device;
    uint8_t bytes[BUFFER_NPAGES * PAGE];
    cma_pfn_t pfn;
    int error = ops->alloc(ops->ctx, &request, &pfn, NULL);

    if (error != 0) {
        return error;
    }
    owned->paddr = pfn << SHIFT;
    owned->mark = owners_mark(o);
    memset(bytes, owned->mark, sizeof(bytes));
    sim_write_paddr(o->sim, owned->paddr, bytes, sizeof(bytes));
    owned->offset = owners_below(o, sizeof(bytes));
    owned->contiguous.buffer.nbytes = 1 + owners_below(o, sizeof(bytes) - owned->offset);
    owned->contiguous.direction = (enum cma_direction)owners_below(o, 3);
    error = cma_dma_map(device, owned->paddr + owned->offset, owned->contiguous.buffer.nbytes,
                        owned->contiguous.direction, 0, &owned->contiguous.buffer.daddr, NULL);
    if (error != 0) {
        REQUIRE(ops->free(ops->ctx, pfn, BUFFER_NPAGES, 8) == 0, "pages");
    }
    return error;
}

/* The device looks at all that its slots, or pages if it isn't trusted, hold, and writes less than
 * it said (H3, H4). */
static void owners_look_bounced(struct owners *o, struct owned *owned)
{
    struct viewer *viewer = &o->viewers[owned->backend][owned->view];
    uint64_t unit = owned->view == VIEW_OFFSET ? PAGE : 512;
    cma_daddr_t daddr = owned->contiguous.buffer.daddr;
    uint64_t nbytes = owned->contiguous.buffer.nbytes;
    uint64_t before = daddr & (unit - 1), behind = (0 - daddr - nbytes) & (unit - 1);
    uint8_t bytes[(BUFFER_NPAGES + 2) * PAGE];
    uint64_t part = owners_below(o, nbytes);

    REQUIRE(simdev_read(&viewer->dev, daddr - before, bytes, before + nbytes + behind), "bus");
    o->foreign[owned->backend] += owners_count(bytes, before);
    o->foreign[owned->backend] += owners_differ(bytes + before, nbytes, owned->mark, owned->mark);
    o->foreign[owned->backend] += owners_count(bytes + before + nbytes, behind);
    if (owned->contiguous.direction != CMA_TO_DEVICE) {
        memset(bytes, 0xd7, nbytes);
        REQUIRE(simdev_write(&viewer->dev, daddr + part, bytes, (nbytes - part + 1) / 2), "bus");
        /* Into the padding, as it may: that is nobody's. */
        if (before != 0) {
            REQUIRE(simdev_write(&viewer->dev, daddr - before, bytes, 1), "bus");
        }
    }
}

/* Nothing but its own bytes and those that its device wrote comes back. */
static void owners_unmap(struct owners *o, struct owned *owned)
{
    const struct cma_pages_ops *ops = cma_pages_ops(&o->system.pages);
    struct cma_device *device = &o->viewers[owned->backend][owned->view].device;
    uint64_t nbytes = owned->contiguous.buffer.nbytes, at = owned->offset + nbytes;
    uint8_t bytes[BUFFER_NPAGES * PAGE];
    int error = cma_dma_unmap(device, owned->contiguous.buffer.daddr, nbytes,
                              owned->contiguous.direction, 0);

    REQUIRE(error == 0, "unmap: %s", cma_strerror(error));
    sim_read_paddr(o->sim, owned->paddr, bytes, sizeof(bytes));
    o->foreign[owned->backend] +=
        owners_differ(bytes, owned->offset, owned->mark, owned->mark) +
        owners_differ(bytes + owned->offset, nbytes, owned->mark, 0xd7) +
        owners_differ(bytes + at, sizeof(bytes) - at, owned->mark, owned->mark);
    REQUIRE(ops->free(ops->ctx, owned->paddr >> SHIFT, BUFFER_NPAGES, 8) == 0, "pages");
}

/* --- owners ---------------------------------------------------------------------------- */

static int owners_item(struct owners *o, struct owned *owned)
{
    struct cma_dma_pool *pool = &o->viewers[owned->backend][owned->view].pool;
    int error = cma_dma_pool_alloc(pool, CMA_DMA_POOL_ZERO | CMA_DMA_POOL_GROW, &owned->item, NULL);

    owned->contiguous.direction = CMA_BIDIRECTIONAL;
    owned->contiguous.buffer.vaddr = owned->item.vaddr;
    owned->contiguous.buffer.daddr = owned->item.daddr;
    owned->contiguous.buffer.nbytes = 192 + 1000 * owned->view;
    return error;
}

/* Asks for a buffer, as this back-end is asked. */
static int owners_ask(struct owners *o, struct owned *owned)
{
    struct cma_device *device = &o->viewers[owned->backend][owned->view].device;
    uint64_t max = owned->backend == BACKEND_GUARANTEE ? 4 : BUFFER_NPAGES;
    struct cma_coherent_request request = {.nbytes = 1 + owners_below(o, max * PAGE)};

    if (owned->backend == BACKEND_BOUNCE) {
        return owners_map(o, owned);
    }
    if (owners_is_item(owned->backend)) {
        return owners_item(o, owned);
    }
    if (owned->backend == BACKEND_CONTIGUOUS) {
        return cma_dma_alloc_contiguous(device, &request, (enum cma_direction)owners_below(o, 3),
                                        &owned->contiguous, NULL);
    }
    request.flags = owned->backend == BACKEND_NOSLEEP ? CMA_COHERENT_NOSLEEP : 0;
    return cma_dma_alloc_coherent(device, &request, &owned->contiguous.buffer, NULL);
}

static void owners_get(struct owners *o)
{
    struct owned *owned = &o->live[o->nlive];
    int error;

    owned->backend = (enum backend)owners_below(o, BACKENDS);
    owned->view = (enum view)owners_below(o, VIEWS);
    error = owners_ask(o, owned);
    if (error != 0) {
        REQUIRE(error == CMA_ENOMEM || error == CMA_ENOSPC, "%s: %s", kinds[owned->backend].name,
                cma_strerror(error));
        o->refused[owned->backend]++;
        return;
    }
    o->nlive++;
    o->handed[owned->backend]++;
    if (owned->backend == BACKEND_BOUNCE) {
        owners_look_bounced(o, owned);
        return;
    }
    owners_look(o, owned);
    owners_fill(o, owned);
}

static void owners_put(struct owners *o, uint32_t index)
{
    struct owned *owned = &o->live[index];
    struct viewer *viewer = &o->viewers[owned->backend][owned->view];
    const struct cma_coherent *buffer = &owned->contiguous.buffer;
    uint8_t byte = 0xd7;
    int error;

    /* Until the very end. */
    if (owned->contiguous.direction != CMA_TO_DEVICE || owned->backend != BACKEND_BOUNCE) {
        REQUIRE(
            simdev_write(&viewer->dev, buffer->daddr + owners_below(o, buffer->nbytes), &byte, 1),
            "bus");
    }
    if (owned->backend == BACKEND_BOUNCE) {
        owners_unmap(o, owned);
        o->live[index] = o->live[--o->nlive];
        return;
    }
    if (owned->backend == BACKEND_CONTIGUOUS) {
        error = cma_dma_free_contiguous(&viewer->device, &owned->contiguous);
    } else if (owners_is_item(owned->backend)) {
        error = cma_dma_pool_free(&viewer->pool, &owned->item);
    } else {
        error = cma_dma_free_coherent(&viewer->device, buffer);
    }
    REQUIRE(error == 0, "%s: %s", kinds[owned->backend].name, cma_strerror(error));
    /* And once too late, before the memory is somebody's: nobody may see that either. */
    if (owners_below(o, 4) == 0) {
        REQUIRE(
            simdev_write(&viewer->dev, buffer->daddr + owners_below(o, buffer->nbytes), &byte, 1),
            "bus");
    }
    o->live[index] = o->live[--o->nlive];
}

/* Pools grow and shrink, so that their memory too goes from hand to hand. */
static void owners_keep(struct owners *o)
{
    if (o->low) {
        int error = cma_nosleep_grow(&o->nosleep, 24 * PAGE, NULL);

        REQUIRE(error == 0 || error == CMA_ENOMEM || error == CMA_ENOSPC, "grow: %s",
                cma_strerror(error));
        o->low = false;
    } else if (owners_below(o, 200) == 0) {
        (void)cma_nosleep_trim(&o->nosleep, 0);
    } else if (owners_below(o, 50) == 0) {
        enum backend backend = owners_below(o, 2) != 0 ? BACKEND_ITEM : BACKEND_CACHED_ITEM;
        int error = cma_dma_pool_destroy(&o->viewers[backend][owners_below(o, VIEWS)].pool);

        REQUIRE(error == 0 || error == CMA_EBUSY, "destroy: %s", cma_strerror(error));
    }
}

static uint64_t owners_handed(const struct owners *o)
{
    uint64_t handed = 0;

    for (uint32_t b = 0; b < BACKENDS; b++) {
        handed += o->handed[b];
    }
    return handed;
}

static void owners_run(struct owners *o, uint64_t ops)
{
    uint64_t turn;

    for (turn = 0; owners_handed(o) < ops; turn++) {
        uint64_t dice = owners_below(o, 100);

        if (dice < 5) {
            owners_others(o);
        } else if (dice < 8) {
            sim_evict(o->sim, 1 + owners_below(o, 64));
        }
        owners_keep(o);
        if (o->nlive == LIVE || (o->nlive != 0 && owners_below(o, 100) < 48)) {
            owners_put(o, (uint32_t)owners_below(o, o->nlive));
        } else {
            owners_get(o);
        }
    }
    while (o->nlive != 0) {
        owners_put(o, o->nlive - 1);
    }
}

/* --- controls -------------------------------------------------------------------------- */

static void owners_control(struct owners *o, uint64_t ops, uint64_t seed)
{
    static const char *const hooks[MUTES] = {"", "zero", "clean"};

    for (uint32_t m = MUTE_ZERO; m < MUTES; m++) {
        owners_make(o, seed + m, (enum mute)m);
        owners_run(o, ops);
        for (uint32_t b = 0; b < BACKENDS; b++) {
            bool needed = m != MUTE_CLEAN || kinds[b].cleaned;

            REQUIRE(o->foreign[b] != 0 || !needed, "%s: nothing is seen without port->%s",
                    kinds[b].name, hooks[m]);
        }
        owners_end(o, false);
    }
}

int main(int argc, char **argv)
{
    static struct owners o;
    uint64_t ops = 10000, seed = 1, foreign = 0;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--ops") == 0)
            ops = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 0);
        else
            return 2;
    }
    owners_control(&o, 3000, seed);
    owners_make(&o, seed, MUTE_NONE);
    owners_run(&o, ops);
    for (uint32_t b = 0; b < BACKENDS; b++) {
        printf("%-18s %8llu handed out, %7llu refused, %llu foreign bytes\n", kinds[b].name,
               (unsigned long long)o.handed[b], (unsigned long long)o.refused[b],
               (unsigned long long)o.foreign[b]);
        foreign += o.foreign[b];
    }
    printf("seed %llu: %llu owners, %llu foreign bytes seen\n", (unsigned long long)seed,
           (unsigned long long)owners_handed(&o), (unsigned long long)foreign);
    owners_end(&o, true);
    return foreign == 0 ? 0 : 1;
}
