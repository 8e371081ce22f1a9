/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * camera2011.c - one camera, five ways to its memory and two that don't do, on one board under one
 * load: the measurements of docs/2011.md
 *
 *     camera2011 [--ops N] [--seed S]
 *
 * The board has 32 MiB, no more, and a processor with caches that devices do not look into. Its
 * memory fills up and gets fragmented: a page cache takes whatever is free, programs come and go,
 * and the kernel itself takes a few pages here and there, for short or for good. The camera's
 * driver is loaded when that has gone on for a while; then the camera is opened and closed again
 * and again, and each time its device writes three pictures that the CPU reads.
 *
 * Two ports. On the newer processor (ARMv6 and later) the tables can be looked at, and a second
 * mapping with other attributes is what must never be. The older one's port can't look, and maps a
 * page twice when it is asked to.
 *
 * What the document says is asserted here: with seed 1 the table that comes out must stand in
 * docs/2011.md, line by line, and with any seed what is said about it must be true. Each million of
 * N is another seed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../examples/camera2011/board.c"
#include "../../examples/camera2011/camera.c"
#include "../../examples/camera2011/guarantee.c"
#include "../../examples/camera2011/ioremap.c"
#include "../../examples/camera2011/mapped.c"
#include "../../examples/camera2011/plain.c"
#include "../../examples/camera2011/reserve.c"
#include "../../examples/camera2011/steal.c"
#include "../../ports/sim/movers.h"
#include "../../ports/sim/sim.h"
#include "../../ports/sim/simdev.h"

#define PAGE 4096u
#define BASE 0x10000000u /* the Delta's memory */
#define NPAGES 8192u
#define CAMERA_NPAGES (CAMERA_NBYTES / PAGE)
#define KERNEL_MAX 1024u
#define CACHE_MAX NPAGES
#define ANON_MAX 2048u
#define WARM_STEPS 20000u
#define STEPS 100000u
#define OPEN_EVERY 1000u
#define TABLE "docs/2011.md"

#define REQUIRE(condition, ...)                                             \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, __VA_ARGS__);                                   \
            fputc('\n', stderr);                                            \
            abort();                                                        \
        }                                                                   \
    } while (0)

/* A few pages of the kernel's. */
struct block {
    cma_pfn_t pfn;
    uint32_t npages, until;
};

struct result {
    int board, probe; /* errors */
    uint32_t opens, failed, probes_failed;
    bool demand;      /* others went without memory */
    double idle_kib;  /* kept for a camera that was off, at these moments */
    uint64_t open_ns; /* the longest */
    uint32_t mappings;
    bool linear; /* one of these is the kernel's own, re-attributed */
    char attr[16];
};

struct machine {
    const struct way *way;
    bool old, late; /* the older processor; the driver is loaded late */
    uint64_t random;
    struct sim *sim;
    struct cma_port port;
    struct cma_range memory[4], reserved[4];
    struct cma_map map;
    struct cma_zone zone;
    struct cma_system system;
    void *storage;
    struct camera camera;
    struct simdev dev;
    struct sim_store *cache, *anon;
    uint32_t cached[CACHE_MAX], ncached, anons[ANON_MAX], nanons;
    struct block blocks[KERNEL_MAX];
    uint32_t nblocks, now;
    uint8_t *linear;             /* the CPU's address of BASE */
    uint8_t extra[NPAGES];       /* mappings by port->map, by page */
    bool twice[NPAGES];          /* they are second ones */
    bool started, open;          /* the driver is loaded, the camera on */
    uint64_t nrefused;           /* by the page cache, while it is off */
    uint64_t idle_sum, nsamples; /* of pages kept for it then */
    struct result result;
};

static uint64_t machine_random(struct machine *m, uint64_t below)
{
    m->random = m->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (m->random >> 33) % below;
}

/* --- the ports ------------------------------------------------------------------------------- */

static int machine_map(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr,
                       void **vaddr)
{
    struct machine *m = ctx;
    const struct cma_port *sim = sim_port(m->sim);
    uint64_t first = (paddr - BASE) / PAGE;
    int error;

    if (m->old && sim->vaddr(sim->ctx, paddr) != NULL) {
        /* The old mapping stays; for the simulator, which minds, it goes. */
        sim->set_attr(sim->ctx, paddr, nbytes, CMA_ATTR_NONE);
        sim->tlb_flush(sim->ctx);
        memset(m->twice + first, 1, nbytes / PAGE);
    }
    error = sim->map(sim->ctx, paddr, nbytes, attr, vaddr);
    for (uint64_t i = 0; error == 0 && i < nbytes / PAGE; i++) {
        m->extra[first + i]++;
    }
    return error;
}

static void *machine_vaddr(void *ctx, cma_paddr_t paddr)
{
    struct machine *m = ctx;
    const struct cma_port *sim = sim_port(m->sim);

    return m->twice[(paddr - BASE) / PAGE] ? m->linear + (paddr - BASE)
                                           : sim->vaddr(sim->ctx, paddr);
}

/* Hooks get the simulator's ctx, or this machine's: these pass it on. */
static void machine_unmap(void *ctx, void *vaddr, uint64_t nbytes)
{
    const struct cma_port *sim = sim_port(((struct machine *)ctx)->sim);

    sim->unmap(sim->ctx, vaddr, nbytes);
}

static void machine_set_attr(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr)
{
    const struct cma_port *sim = sim_port(((struct machine *)ctx)->sim);

    sim->set_attr(sim->ctx, paddr, nbytes, attr);
}

static int machine_lookup(void *ctx, const void *vaddr, cma_paddr_t *paddr, enum cma_attr *attr)
{
    const struct cma_port *sim = sim_port(((struct machine *)ctx)->sim);

    return sim->lookup(sim->ctx, vaddr, paddr, attr);
}

static void machine_clean(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    const struct cma_port *sim = sim_port(((struct machine *)ctx)->sim);

    sim->clean(sim->ctx, paddr, nbytes);
}

static void machine_invalidate(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    const struct cma_port *sim = sim_port(((struct machine *)ctx)->sim);

    sim->invalidate(sim->ctx, paddr, nbytes);
}

static void machine_barrier(void *ctx)
{
    const struct cma_port *sim = sim_port(((struct machine *)ctx)->sim);

    sim->dma_barrier(sim->ctx);
}

static void machine_flush(void *ctx)
{
    const struct cma_port *sim = sim_port(((struct machine *)ctx)->sim);

    sim->tlb_flush(sim->ctx);
}

static void machine_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    const struct cma_port *sim = sim_port(((struct machine *)ctx)->sim);

    sim->copy(sim->ctx, to, from, nbytes);
}

static void machine_zero(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    const struct cma_port *sim = sim_port(((struct machine *)ctx)->sim);

    sim->zero(sim->ctx, paddr, nbytes);
}

static void machine_zero_vaddr(void *ctx, void *vaddr, uint64_t nbytes)
{
    const struct cma_port *sim = sim_port(((struct machine *)ctx)->sim);

    sim->zero_vaddr(sim->ctx, vaddr, nbytes);
}

static uintptr_t machine_lock(void *ctx, struct cma_lock *lock)
{
    const struct cma_port *sim = sim_port(((struct machine *)ctx)->sim);

    return sim->lock(sim->ctx, lock);
}

static void machine_unlock(void *ctx, struct cma_lock *lock, uintptr_t state)
{
    const struct cma_port *sim = sim_port(((struct machine *)ctx)->sim);

    sim->unlock(sim->ctx, lock, state);
}

static void machine_port(struct machine *m)
{
    m->port = (struct cma_port){.ctx = m,
                                .page_shift = 12,
                                .cache_line_nbytes = sim_port(m->sim)->cache_line_nbytes,
                                .map = machine_map,
                                .unmap = machine_unmap,
                                .vaddr = machine_vaddr,
                                .set_attr = machine_set_attr,
                                .lookup = m->old ? NULL : machine_lookup,
                                .clean = machine_clean,
                                .invalidate = machine_invalidate,
                                .dma_barrier = machine_barrier,
                                .tlb_flush = machine_flush,
                                .copy = machine_copy,
                                .zero = machine_zero,
                                .zero_vaddr = machine_zero_vaddr,
                                .lock = machine_lock,
                                .unlock = machine_unlock};
    m->linear = sim_port(m->sim)->vaddr(sim_port(m->sim)->ctx, BASE);
}

/* --- the load -------------------------------------------------------------------------------- */

static bool machine_count(void *ctx, const struct cma_area_holder *holder)
{
    *(uint64_t *)ctx += holder->kind == CMA_KIND_NONE ? holder->npages : 0;
    return true;
}

/* Pages that are kept for the camera and hold nothing. */
static uint64_t machine_idle(struct machine *m)
{
    struct cma_exclusive_stats region;
    uint64_t idle = 0;

    if (m->result.board != 0 && m->camera.kept != 0) {
        idle += CAMERA_NPAGES; /* put aside for nothing */
    }
    if (m->camera.device.exclusive != NULL) {
        cma_exclusive_stats(&m->camera.region, &region);
        idle += (region.nbytes - region.used_nbytes) / PAGE;
    }
    if (m->system.nareas != 0) {
        cma_area_walk(&m->system.areas[0], machine_count, &idle);
    }
    return idle;
}

/* The page cache is refused a page: is there one that is kept for a camera which is off? */
static void machine_sample(struct machine *m)
{
    if (!m->open && m->started && m->nrefused++ % 16 == 0) {
        m->idle_sum += machine_idle(m);
        m->nsamples++;
    }
}

static void load_drop(struct machine *m)
{
    uint32_t at;

    if (m->ncached == 0) {
        return;
    }
    at = (uint32_t)machine_random(m, m->ncached);
    if (sim_store_remove(m->cache, m->cached[at]) == 0) {
        m->cached[at] = m->cached[--m->ncached];
    }
}

/* Somebody needs a page and the machine is full: the cache gives one, as kernels do. */
static bool load_add(struct machine *m, struct sim_store *store, uint32_t *ids, uint32_t *nids)
{
    for (uint32_t tries = 0; tries < 64; tries++) {
        int error = sim_store_add(store, &ids[*nids], NULL);

        if (error == 0) {
            (*nids)++;
            return true;
        }
        REQUIRE(error == CMA_ENOMEM || error == CMA_ENOSPC, "%s", cma_strerror(error));
        if (error == CMA_ENOSPC) {
            return false;
        }
        if (store == m->cache) {
            machine_sample(m);
        }
        load_drop(m);
    }
    return false;
}

static void load_kernel(struct machine *m)
{
    struct cma_pages_request request = {
        .npages = 1 + machine_random(m, 4),
        .holder = {.kind = CMA_KIND_UNMOVABLE, .cookie = 3},
    };
    struct block *block = &m->blocks[m->nblocks];

    for (uint32_t tries = 0; tries < 8; tries++) {
        if (cma_pages_alloc(&m->system.pages, &request, &block->pfn, NULL) == 0) {
            block->npages = (uint32_t)request.npages;
            /* One in twenty stays for long. */
            block->until =
                m->now + (uint32_t)machine_random(m, machine_random(m, 20) == 0 ? 100000 : 2000);
            m->nblocks++;
            return;
        }
        load_drop(m);
    }
}

static void load_expire(struct machine *m)
{
    for (uint32_t i = m->nblocks; i-- > 0;) {
        if (m->blocks[i].until <= m->now) {
            REQUIRE(cma_pages_free(&m->system.pages, m->blocks[i].pfn, m->blocks[i].npages, 3) == 0,
                    "free");
            m->blocks[i] = m->blocks[--m->nblocks];
        }
    }
}

/* Pages that were dropped for the camera are nobody's any more. */
static void load_forget(struct machine *m)
{
    for (uint32_t i = m->ncached; i-- > 0;) {
        if (sim_store_pfn(m->cache, m->cached[i]) == CMA_PFN_NONE) {
            REQUIRE(sim_store_remove(m->cache, m->cached[i]) == 0, "a dropped page");
            m->cached[i] = m->cached[--m->ncached];
        }
    }
}

static void load_step(struct machine *m)
{
    uint64_t what = machine_random(m, 100);
    uint32_t at;

    m->now++;
    if (m->now % 64 == 0) {
        load_expire(m);
    }
    if (m->now % 256 == 0) {
        load_forget(m);
    }
    if (what < 66) {
        if (m->ncached == CACHE_MAX) {
            load_drop(m);
        }
        (void)load_add(m, m->cache, m->cached, &m->ncached);
    } else if (what < 81) {
        if (m->nanons < ANON_MAX - 1) {
            (void)load_add(m, m->anon, m->anons, &m->nanons);
        }
    } else if (what < 96) {
        at = (uint32_t)machine_random(m, ANON_MAX);
        if (at < m->nanons && sim_store_remove(m->anon, m->anons[at]) == 0) {
            m->anons[at] = m->anons[--m->nanons];
        }
    } else if (m->nblocks < KERNEL_MAX - 1) {
        load_kernel(m);
    }
}

/* --- the camera ------------------------------------------------------------------------------ */

static void machine_look(struct machine *m, const struct cma_coherent *frame)
{
    static const char *const attrs[] = {"none", "cached", "uncached", "write-combining", "device"};
    const struct cma_port *sim = sim_port(m->sim);
    uint64_t page = (frame->paddr - BASE) / PAGE;
    cma_paddr_t paddr;
    enum cma_attr attr;

    m->result.linear = machine_vaddr(m, frame->paddr) != NULL;
    m->result.mappings = m->result.linear + m->extra[page];
    REQUIRE(sim->lookup(sim->ctx, frame->vaddr, &paddr, &attr) == 0, "not mapped");
    REQUIRE(paddr == frame->paddr, "mapped elsewhere");
    snprintf(m->result.attr, sizeof(m->result.attr), "%s", attrs[attr]);
}

/* The device writes, the CPU reads; what the CPU sees first is zero. */
static void machine_picture(struct machine *m, const struct cma_coherent *frame, uint8_t salt)
{
    uint8_t bytes[64], seen[64] = {0};

    memset(bytes, salt, sizeof(bytes));
    for (uint64_t at = 0; at < CAMERA_FRAME_NBYTES; at += CAMERA_FRAME_NBYTES - 64) {
        sim_read(m->sim, (uint8_t *)frame->vaddr + at, seen, 64);
        for (uint32_t i = 0; i < 64; i++) {
            REQUIRE(seen[i] == 0, "a byte of somebody else's");
        }
        REQUIRE(simdev_write(&m->dev, frame->daddr + at, bytes, 64), "out of reach");
        sim_read(m->sim, (uint8_t *)frame->vaddr + at, seen, 64);
        REQUIRE(memcmp(seen, bytes, 64) == 0, "a stale byte");
    }
}

static void machine_use(struct machine *m)
{
    uint64_t began = sim_now_ns(m->sim);
    cma_paddr_t paddr;

    m->result.opens++;
    if (m->result.board != 0 || m->result.probe != 0 || camera_open(&m->camera) != 0) {
        m->result.failed++;
        return;
    }
    began = sim_now_ns(m->sim) - began;
    m->result.open_ns = m->result.open_ns < began ? began : m->result.open_ns;
    m->open = true;
    machine_look(m, &m->camera.frames[0]);
    for (uint32_t i = 0; i < CAMERA_FRAMES; i++) {
        machine_picture(m, &m->camera.frames[i], (uint8_t)(m->result.opens + i));
    }
    REQUIRE(sim_check_aliases(m->sim, &paddr), "an alias at %#llx", (unsigned long long)paddr);
    for (uint32_t i = 0; i < 50; i++) {
        load_step(m);
    }
    REQUIRE(camera_close(&m->camera) == 0, "close");
    m->open = false;
}

/* --- one run --------------------------------------------------------------------------------- */

static void machine_make(struct machine *m, uint64_t seed)
{
    const struct sim_memory memory = {BASE, (uint64_t)NPAGES * PAGE};
    struct sim_config config = {
        .seed = seed, .memory = &memory, .nmemory = 1, .cache_nbytes = 16384};
    struct cma_system_config system = {.block_order = 6, .nslots = CAMERA_FRAMES};
    struct sim_store_config store = {.type = SIM_STORE_CACHE, .name = "cache", .seed = 1};
    const struct cma_port *sim;
    const struct cma_range *range;
    uint64_t nbytes;

    m->random = seed;
    m->sim = sim_create(&config);
    REQUIRE(m->sim != NULL, "no simulation");
    sim = sim_port(m->sim);
    machine_port(m);
    REQUIRE(cma_map_init(&m->map, m->memory, 4, m->reserved, 4) == 0, "map");
    REQUIRE(cma_map_add_memory(&m->map, BASE, (uint64_t)NPAGES * PAGE, NULL) == 0, "memory");
    if (m->way->plan != NULL) {
        REQUIRE(m->way->plan(&m->camera, &m->map) == 0, "plan");
    }
    /* The kernel maps what is left in the map. */
    for (uint32_t i = 0; (range = cma_map_reserved(&m->map, i)) != NULL; i++) {
        if ((range->flags & CMA_RANGE_STOLEN) != 0) {
            sim->set_attr(sim->ctx, range->base, range->nbytes, CMA_ATTR_NONE);
            sim->tlb_flush(sim->ctx);
        }
    }
    m->zone.last = CMA_PADDR_MAX;
    system.port = &m->port;
    system.zones = &m->zone;
    system.nzones = 1;
    nbytes = cma_system_size(&m->map, &system);
    m->storage = aligned_alloc(64, (nbytes + 63) / 64 * 64);
    REQUIRE(cma_system_init(&m->system, &m->map, &system, m->storage, nbytes) == 0, "system");
    store.capacity = CACHE_MAX;
    m->cache = sim_store_create(m->sim, &m->system.frames, &m->system.pages, &store);
    store = (struct sim_store_config){
        .type = SIM_STORE_ANON, .name = "anon", .seed = 2, .capacity = ANON_MAX};
    m->anon = sim_store_create(m->sim, &m->system.frames, &m->system.pages, &store);
}

static void machine_camera(struct machine *m)
{
    struct cma_device_config device = {.name = "camera",
                                       .owner = 9,
                                       .mask = UINT32_MAX,
                                       .coherent_mask = UINT32_MAX,
                                       .area = cma_system_area(&m->system, m->camera.kept)};
    struct simdev_config dev = {.name = "camera", .daddr_last = UINT32_MAX, .refuses = true};

    m->camera.system = &m->system;
    REQUIRE(cma_device_init(&m->camera.device, &m->system.dma, &device) == 0, "device");
    simdev_init(&m->dev, m->sim, &dev);
}

static void machine_run(void *arg)
{
    struct machine *m = arg;

    machine_camera(m);
    if (m->way->board != NULL) {
        m->result.board = m->way->board(&m->camera);
    }
    for (uint32_t i = 0; m->late && i < WARM_STEPS; i++) {
        load_step(m);
    }
    if (m->way->probe != NULL) {
        m->result.probe = m->way->probe(&m->camera);
    }
    m->started = true;
    for (uint32_t i = 0; !m->late && i < WARM_STEPS; i++) {
        load_step(m);
    }
    for (uint32_t i = 0; i < STEPS; i++) {
        load_step(m);
        if (i % OPEN_EVERY == 0) {
            machine_use(m);
        }
    }
    if (m->way->remove != NULL && m->result.probe == 0) {
        REQUIRE(m->way->remove(&m->camera) == 0, "remove");
    }
}

static struct result machine_try(const struct way *way, bool old, bool late, uint64_t seed)
{
    static struct machine machine;
    struct machine *m = &machine;
    struct cma_violation violation;

    memset(m, 0, sizeof(*m));
    m->way = way;
    m->old = old;
    m->late = late;
    machine_make(m, seed);
    sim_spawn(m->sim, "machine", machine_run, m);
    sim_run(m->sim);
    m->result.demand = m->nsamples != 0;
    m->result.idle_kib = (double)m->idle_sum * PAGE / 1024 / (double)(m->nsamples | !m->nsamples);
    REQUIRE(cma_system_check(&m->system, &violation), "%s", violation.what);
    REQUIRE(sim_store_verify_all(m->cache) && sim_store_verify_all(m->anon), "others' bytes");
    if (m->result.board == CMA_EEXIST) {
        /* The place of the first mapping is said. */
        REQUIRE(m->camera.conflict.paddr == m->camera.kept &&
                    m->camera.conflict.vaddr == m->linear + (m->camera.kept - BASE) &&
                    m->camera.conflict.attr == CMA_ATTR_CACHED,
                "where the first mapping is");
    }
    sim_store_destroy(m->cache);
    sim_store_destroy(m->anon);
    sim_destroy(m->sim);
    free(m->storage);
    return m->result;
}

/* --- the table ------------------------------------------------------------------------------- */

/* Lines of code of the board and of the driver. */
static void count_lines(const struct way *way, uint32_t counts[2])
{
    char path[128], line[256];
    int part = -1;
    FILE *file;

    counts[0] = counts[1] = 0;
    snprintf(path, sizeof(path), "examples/camera2011/%s", way->file);
    file = fopen(path, "r");
    REQUIRE(file != NULL, "%s: run it where the project lies", path);
    while (fgets(line, sizeof(line), file) != NULL) {
        const char *text = line + strspn(line, " \n");

        if (strncmp(text, "/* ---", 6) == 0) {
            part = strstr(text, "board") != NULL ? 0 : strstr(text, "driver") != NULL ? 1 : -1;
        } else if (part >= 0 && *text != 0 && strncmp(text, "/*", 2) != 0) {
            counts[part]++;
        }
    }
    fclose(file);
}

static bool documented(const char *row)
{
    char line[512];
    bool found = false;
    FILE *file = fopen(TABLE, "r");

    REQUIRE(file != NULL, TABLE ": run it where the project lies");
    while (!found && fgets(line, sizeof(line), file) != NULL) {
        found = strcmp(line, row) == 0;
    }
    fclose(file);
    return found;
}

struct row {
    const struct way *way;
    bool old, late;
    const char *note;
    struct result result;
};

static bool row_print(const struct row *row, bool check)
{
    const struct result *result = &row->result;
    uint32_t lines[2];
    char text[512], mappings[64], longest[32];

    count_lines(row->way, lines);
    snprintf(mappings, sizeof(mappings), "%u, %s%s", result->mappings, result->attr,
             result->mappings == 1 && result->linear ? ", in place" : "");
    snprintf(longest, sizeof(longest), "%.1f ms", (double)result->open_ns / 1e6);
    if (result->failed == result->opens) {
        strcpy(mappings, result->board != 0   ? "refused at boot"
                         : result->probe != 0 ? "refused when loaded"
                                              : "-");
        strcpy(longest, "-");
    }
    snprintf(text, sizeof(text), "| %s%s | %u | %u | %s | %.0f KiB | %u of %u | %s |\n",
             row->way->name, row->note, lines[0], lines[1], mappings, result->idle_kib,
             result->failed, result->opens, longest);
    fputs(text, stdout);
    if (check && !documented(text)) {
        fputs("  ... is not what " TABLE " says\n", stdout);
        return false;
    }
    return true;
}

/* What the document says in words. */
static void assert_facts(const struct row *rows)
{
    const struct result *plain = &rows[0].result, *twice = &rows[1].result,
                        *twice_old = &rows[2].result, *late = &rows[4].result,
                        *promised = &rows[8].result;

    for (uint32_t i = 0; i < 9; i++) {
        REQUIRE(rows[i].result.demand, "%u: nobody went without", i);
    }
    REQUIRE(plain->failed * 2 > plain->opens, "the load is no load");
    REQUIRE(plain->idle_kib < 1, "nothing is kept");
    REQUIRE(twice->board == CMA_EEXIST && twice->failed == twice->opens, "mapped twice");
    REQUIRE(twice_old->board == 0 && twice_old->failed == 0 && twice_old->mappings == 2,
            "the older processor maps it twice");
    REQUIRE(late->probe == CMA_ENOMEM || late->probe == CMA_ENOSPC, "reserved late: %d",
            late->probe);
    for (uint32_t i = 3; i < 9; i++) {
        if (i == 4) {
            continue;
        }
        REQUIRE(rows[i].result.board == 0 && rows[i].result.probe == 0, "%s", rows[i].way->name);
        REQUIRE(rows[i].result.failed == 0, "%s fails", rows[i].way->name);
        REQUIRE(rows[i].result.mappings == 1, "%s: an alias", rows[i].way->name);
    }
    for (uint32_t i = 3; i < 8; i++) {
        REQUIRE(i == 4 || rows[i].result.idle_kib > CAMERA_NBYTES / 1024 - 1, "%s",
                rows[i].way->name);
    }
    REQUIRE(promised->idle_kib < CAMERA_NBYTES / 1024 / 20, "less than 95 %% is lent: %.0f KiB",
            promised->idle_kib);
}

int main(int argc, char **argv)
{
    static struct row rows[] = {
        {.way = &way_plain, .late = true, .note = ""},
        {.way = &way_ioremap, .late = true, .note = ""},
        {.way = &way_ioremap, .old = true, .late = true, .note = ", older processor"},
        {.way = &way_reserve, .late = false, .note = ", loaded at boot"},
        {.way = &way_reserve, .late = true, .note = ", loaded late"},
        {.way = &way_board, .late = true, .note = ""},
        {.way = &way_mapped, .late = true, .note = ""},
        {.way = &way_steal, .late = true, .note = ""},
        {.way = &way_guarantee, .late = true, .note = ""},
    };
    uint64_t ops = 0, first = 1;
    bool good = true;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--ops") == 0) {
            ops = strtoull(argv[i + 1], NULL, 0);
        } else if (strcmp(argv[i], "--seed") == 0) {
            first = strtoull(argv[i + 1], NULL, 0);
        } else {
            return 2;
        }
    }
    for (uint64_t seed = first; seed <= first + ops / 1000000; seed++) {
        printf("seed %llu\n", (unsigned long long)seed);
        for (uint32_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            rows[i].result = machine_try(rows[i].way, rows[i].old, rows[i].late, seed);
            good = row_print(&rows[i], seed == 1) && good;
        }
        assert_facts(rows);
    }
    return good ? 0 : 1;
}
