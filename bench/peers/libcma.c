/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libcma.c - libcma as a peer: the public API, a release build, every check that a release has
 *
 *   libcma           lending off: a table over nothing but the area, a lane for each thread, the
 *                    area engine. In worlds: borrowed by a mover with handles; pins in place
 *   libcma-pins-move worlds where a pin moves the page out of the area first
 *   libcma-lent      lending on: the whole area was lent to droppable pages before the cell begins;
 *                    the page allocator that comes along (src/buddy) has ordinary memory besides
 *   libcma-movable, libcma-unmovable   that page allocator, one page at a time, with a cache for
 *                    each processor
 *
 * The port's lock costs one locked instruction to take and a plain store to let go, like that of
 * the Linux shim and of the yardsticks. There is no clock: ages read 0.
 */
#define _GNU_SOURCE
#include "../peer.h"

#include "memory.h"
#include "port.h"

#include <cma/area.h>
#include <cma/pages.h>

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define OWNER 1u
#define AREA_PADDR (UINT64_C(1) << 32)
#define AREA_PFN (AREA_PADDR >> PEER_PAGE_SHIFT)
#define ORDINARY_PADDR (UINT64_C(1) << 30)
#define OUT_PFN (UINT64_C(1) << 36) /* pages of world->out, which the table doesn't track */
#define FROZEN (1u << 31)
#define CACHES 64u /* of the page allocator: processors, or more */

struct self {
    struct cma_port port;
    uint32_t nlanes; /* as many as threads that claim at once */
    struct cma_frames frames;
    struct cma_area area;
    struct cma_pages pages;
    struct cma_lender lender;
    struct cma_mover mover;
    uint32_t mover_number;
    void *storage;
    uint64_t storage_nbytes;
    struct cma_pages_request page; /* what one page is asked for with */
    struct cma_pages_cache *caches;
    /* In a world: */
    struct peer_world *world;
    bool pins_move;
    bool setting; /* the world knows itself that a page moves */
    struct cma_pages_ops host;
    uint32_t *where; /* by handle: index of its page in the area, or FROZEN, or out of it */
};

/* --- port ---------------------------------------------------------------------------------- */

static void port_wait(void *ctx, const uint32_t *event, uint32_t seen)
{
    (void)ctx;
    if (__atomic_load_n(event, __ATOMIC_ACQUIRE) == seen) {
        sched_yield();
    }
}

static void port_wake(void *ctx, const uint32_t *event)
{
    (void)ctx;
    (void)event;
}

static void *port_vaddr(void *ctx, cma_paddr_t paddr)
{
    (void)ctx;
    (void)paddr;
    return NULL;
}

static void port_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    struct peer_world *world = ((struct self *)ctx)->world;
    uint64_t source = from - AREA_PADDR, target = to - (OUT_PFN << PEER_PAGE_SHIFT);

    if (world->log) {
        for (uint64_t at = 0; at < nbytes; at += PEER_PAGE_NBYTES) {
            world->log[world->nlog++] =
                (struct peer_copy){(uint32_t)((source + at) >> PEER_PAGE_SHIFT),
                                   (uint32_t)((target + at) >> PEER_PAGE_SHIFT)};
        }
    }
    memcpy(world->out + target, world->memory + source, nbytes);
}

static const struct cma_port port_template = {
    .page_shift = PEER_PAGE_SHIFT,
    .cache_line_nbytes = 64,
    .vaddr = port_vaddr,
    .dma_barrier = port_barrier,
    .copy = port_copy,
    .zero = port_leave_zero,
    .lock = port_lock,
    .unlock = port_unlock,
    .wait = port_wait,
    .wake = port_wake,
    .cpu = port_cpu,
};

/* --- movers -------------------------------------------------------------------------------- */

/* Of pages that nobody looks at: droppable ones, and those of the page cells. */
static int plain_freeze(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    (void)ctx;
    (void)pfn;
    (void)cookie;
    return 0;
}

static void plain_commit(void *ctx, cma_pfn_t from, cma_pfn_t to, uint32_t cookie)
{
    (void)ctx;
    (void)from;
    (void)to;
    (void)cookie;
}

static void plain_abort(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    (void)ctx;
    (void)pfn;
    (void)cookie;
}

static const struct cma_mover plain_mover = {
    .name = "plain",
    .paddr_last = CMA_PADDR_MAX,
    .freeze = plain_freeze,
    .commit = plain_commit,
    .abort = plain_abort,
    .discard = plain_freeze,
};

/* Of a world's pages: a handle knows where its page is, and that it stands still for a moment. */
static int handle_freeze(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    uint32_t *where = &((struct self *)ctx)->where[cookie];
    uint32_t seen = (uint32_t)(pfn - AREA_PFN);

    return __atomic_compare_exchange_n(where, &seen, seen | FROZEN, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED)
               ? 0
               : CMA_ENOENT;
}

static void handle_commit(void *ctx, cma_pfn_t from, cma_pfn_t to, uint32_t cookie)
{
    struct self *self = ctx;

    __atomic_store_n(&self->where[cookie], (uint32_t)(to - OUT_PFN) + (uint32_t)self->world->npages,
                     __ATOMIC_RELEASE);
    if (!self->setting) {
        self->world->moved(self->world, from - AREA_PFN);
    }
}

static void handle_abort(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct self *self = ctx;

    __atomic_store_n(&self->where[cookie], (uint32_t)(pfn - AREA_PFN), __ATOMIC_RELEASE);
}

static uint32_t handle_freeze_many(void *ctx, const struct cma_move *moves, uint32_t nmoves,
                                   int *error)
{
    for (uint32_t i = 0; i < nmoves; i++) {
        *error = handle_freeze(ctx, moves[i].from, moves[i].cookie);
        if (*error != 0) {
            return i;
        }
    }
    return nmoves;
}

static void handle_commit_many(void *ctx, const struct cma_move *moves, uint32_t nmoves)
{
    for (uint32_t i = 0; i < nmoves; i++) {
        handle_commit(ctx, moves[i].from, moves[i].to, moves[i].cookie);
    }
}

static const struct cma_mover handle_mover = {
    .name = "handles",
    .paddr_last = CMA_PADDR_MAX,
    .freeze = handle_freeze,
    .commit = handle_commit,
    .abort = handle_abort,
    .freeze_many = handle_freeze_many,
    .commit_many = handle_commit_many,
};

/* --- the host of a world ------------------------------------------------------------------- */

/* Moved pages go to world->out, round and round: nobody looks for them there. */
static int host_destination(void *ctx, const struct cma_destination *want, cma_pfn_t *pfn)
{
    struct peer_world *world = ((struct self *)ctx)->world;

    uint64_t npages = world->npages - world->out_next;

    npages = npages < want->npages ? npages : want->npages;
    *pfn = OUT_PFN + world->out_next;
    world->out_next = (world->out_next + npages) % world->npages;
    return (int)npages;
}

static void host_destination_put(void *ctx, cma_pfn_t pfn, uint32_t npages)
{
    (void)ctx;
    (void)pfn;
    (void)npages;
}

static uint64_t host_room(void *ctx, cma_paddr_t paddr_last)
{
    (void)paddr_last;
    return ((struct self *)ctx)->world->npages;
}

/* A world's page is borrowed: lends its block first where that is not lent. */
static void host_publish(struct self *self, uint64_t index)
{
    struct cma_holder holder = {CMA_KIND_MOVABLE, self->mover_number, (uint32_t)index};

    self->where[index] = (uint32_t)index;
    while (cma_frame_publish(&self->frames, AREA_PFN + index, &holder) != 0) {
        if (!cma_area_lend(&self->area, CMA_KIND_MOVABLE)) {
            abort();
        }
    }
}

static enum peer_page libcma_set_page(void *argument, uint64_t index, enum peer_page from,
                                      enum peer_page to)
{
    struct self *self = argument;
    cma_pfn_t pfn = AREA_PFN + index, pinned;
    int error = 0;

    if (from == PAGE_FREE) {
        host_publish(self, index);
    } else if (from == PAGE_PINNED) {
        error = cma_frame_unpin(&self->frames, pfn);
    }
    if (to == PAGE_FREE) {
        error = cma_frame_release(&self->frames, pfn) == 1 ? 0 : CMA_EBADF;
    } else if (to == PAGE_PINNED && self->pins_move) {
        self->setting = true;
        error = cma_frame_pin(&self->frames, pfn, &pinned);
        self->setting = false;
        to = PAGE_FREE;
    } else if (to == PAGE_PINNED) {
        error = cma_frame_pin_in_place(&self->frames, pfn);
    }
    if (error != 0) {
        abort();
    }
    return to;
}

/* --- begin and end ------------------------------------------------------------------------- */

/* A table over so much ordinary memory and an area (either may be 0). */
static bool table_begin(struct self *self, uint64_t ordinary_nbytes, uint64_t area_nbytes)
{
    struct cma_range memory[2], reserved[2];
    struct cma_range area = {
        .base = AREA_PADDR, .nbytes = area_nbytes, .kind = CMA_RANGE_AREA, .name = "area"};
    struct cma_frames_config config = {.port = &self->port,
                                       .areas_only = ordinary_nbytes == 0,
                                       .index = &cma_frames_index,
                                       .lanes = self->nlanes};
    struct cma_map map;

    self->port = port_template;
    self->port.ctx = self;
    if (cma_map_init(&map, memory, 2, reserved, 2) != 0 ||
        (ordinary_nbytes != 0 &&
         cma_map_add_memory(&map, ORDINARY_PADDR, ordinary_nbytes, NULL) != 0) ||
        (area_nbytes != 0 && (cma_map_add_memory(&map, AREA_PADDR, area_nbytes, NULL) != 0 ||
                              cma_map_reserve(&map, &area, NULL) != 0))) {
        return false;
    }
    self->storage_nbytes = cma_frames_size(&map, &config);
    self->storage = memory_get(self->storage_nbytes);
    return self->storage != NULL &&
           cma_frames_init(&self->frames, &map, &config, self->storage, self->storage_nbytes) == 0;
}

static bool area_begin(struct self *self, const struct cma_pages_ops *ops,
                       enum cma_lend_class lend_class)
{
    struct cma_area_config config = {
        .name = "area", .lend_class = lend_class, .engine = &cma_area_engine};

    return cma_area_init(&self->area, &self->frames, ops, AREA_PADDR, &config) == 0 &&
           cma_area_activate(&self->area) == 0;
}

static bool mover_begin(struct self *self, const struct cma_mover *mover)
{
    int number;

    self->mover = *mover;
    self->mover.ctx = self;
    number = cma_mover_register(&self->frames, &self->mover);
    self->mover_number = number > 0 ? (uint32_t)number : 0;
    return number > 0;
}

static void libcma_destroy(void *argument)
{
    struct self *self = argument;

    if (self->storage) {
        memory_put(self->storage, self->storage_nbytes);
    }
    if (self->caches) {
        memory_put(self->caches, CACHES * sizeof(*self->caches));
    }
    free(self->where);
    free(self);
}

static void *libcma_begun(struct self *self, bool good)
{
    if (!good) {
        libcma_destroy(self);
        return NULL;
    }
    return self;
}

static void *world_begin(struct self *self, const struct peer_config *config, bool pins_move)
{
    self->world = config->world;
    self->pins_move = pins_move;
    self->where = calloc(config->world->npages, sizeof(*self->where));
    self->host = (struct cma_pages_ops){
        .ctx = self,
        .destination = host_destination,
        .destination_put = host_destination_put,
        .room = host_room,
    };
    if (!table_begin(self, 0, config->area_nbytes)) {
        return libcma_begun(self, false);
    }
    cma_frames_set_ops(&self->frames, &self->host);
    return libcma_begun(self, mover_begin(self, &handle_mover) &&
                                  area_begin(self, &self->host, CMA_LEND_ORDINARY));
}

static void *libcma_create(const struct peer_config *config)
{
    struct self *self = calloc(1, sizeof(*self));

    if (config->world) {
        return world_begin(self, config, false);
    }
    self->nlanes = config->nthreads;
    return libcma_begun(self, table_begin(self, 0, config->area_nbytes) &&
                                  area_begin(self, NULL, CMA_LEND_NONE));
}

static void *libcma_create_pins_move(const struct peer_config *config)
{
    return world_begin(calloc(1, sizeof(struct self)), config, true);
}

/* The whole area is lent, then borrowed, page by page, until a page comes from elsewhere. */
static bool lent_borrow(struct self *self, uint64_t area_npages)
{
    uint64_t npages = 0;
    cma_pfn_t pfn = AREA_PFN;

    while (cma_area_lend(&self->area, CMA_KIND_DROPPABLE)) {
    }
    self->page = (struct cma_pages_request){
        .npages = 1, .holder = {CMA_KIND_DROPPABLE, self->mover_number, OWNER}};
    while (cma_pages_alloc(&self->pages, &self->page, &pfn, NULL) == 0 && pfn >= AREA_PFN) {
        npages++;
    }
    return pfn < AREA_PFN && npages == area_npages &&
           cma_pages_free(&self->pages, pfn, 1, OWNER) == 0;
}

static void *lent_create(const struct peer_config *config)
{
    struct self *self = calloc(1, sizeof(*self));

    if (!table_begin(self, UINT64_C(64) << 20, config->area_nbytes) ||
        cma_pages_init(&self->pages, &self->frames) != 0 || !mover_begin(self, &plain_mover) ||
        !area_begin(self, cma_pages_ops(&self->pages), CMA_LEND_ORDINARY)) {
        return libcma_begun(self, false);
    }
    self->lender = (struct cma_lender){.ctx = &self->area, .lend = cma_area_lend};
    cma_pages_add_lender(&self->pages, &self->lender);
    return libcma_begun(self, lent_borrow(self, config->area_nbytes >> PEER_PAGE_SHIFT));
}

static void *pages_create(enum cma_kind kind)
{
    struct self *self = calloc(1, sizeof(*self));

    self->caches = memory_get(CACHES * sizeof(*self->caches));
    if (!self->caches || !table_begin(self, UINT64_C(512) << 20, 0) ||
        cma_pages_init(&self->pages, &self->frames) != 0 || !mover_begin(self, &plain_mover) ||
        cma_pages_add_caches(&self->pages, self->caches, CACHES) != 0) {
        return libcma_begun(self, false);
    }
    self->page = (struct cma_pages_request){
        .npages = 1, .holder = {kind, kind == CMA_KIND_UNMOVABLE ? 0 : self->mover_number, OWNER}};
    return self;
}

static void *pages_create_movable(const struct peer_config *config)
{
    (void)config;
    return pages_create(CMA_KIND_MOVABLE);
}

static void *pages_create_unmovable(const struct peer_config *config)
{
    (void)config;
    return pages_create(CMA_KIND_UNMOVABLE);
}

/* --- requests ------------------------------------------------------------------------------ */

static uint64_t libcma_alloc(void *argument, uint64_t nbytes, uint64_t align_nbytes)
{
    struct self *self = argument;
    struct cma_area_request request = {
        .npages = nbytes >> PEER_PAGE_SHIFT,
        .align_npages = align_nbytes >> PEER_PAGE_SHIFT,
        .owner = OWNER,
    };
    cma_pfn_t pfn;

    if (cma_area_alloc(&self->area, &request, &pfn, NULL) != 0) {
        return PEER_FAIL;
    }
    return (pfn - AREA_PFN) << PEER_PAGE_SHIFT;
}

static void libcma_release(void *argument, uint64_t handle, uint64_t nbytes)
{
    struct self *self = argument;

    if (cma_area_release(&self->area, AREA_PFN + (handle >> PEER_PAGE_SHIFT),
                         nbytes >> PEER_PAGE_SHIFT, OWNER) != 0) {
        abort();
    }
}

static uint64_t world_alloc(void *argument, uint64_t nbytes, uint64_t align_nbytes)
{
    struct self *self = argument;
    uint64_t handle = libcma_alloc(argument, nbytes, align_nbytes);

    if (self->world && handle != PEER_FAIL) {
        self->world->own(self->world, handle >> PEER_PAGE_SHIFT, nbytes >> PEER_PAGE_SHIFT);
    }
    return handle;
}

static void world_release(void *argument, uint64_t handle, uint64_t nbytes)
{
    struct self *self = argument;

    libcma_release(argument, handle, nbytes);
    if (self->world) {
        self->world->release(self->world, handle >> PEER_PAGE_SHIFT, nbytes >> PEER_PAGE_SHIFT);
    }
}

static uint64_t pages_alloc(void *argument, uint64_t nbytes, uint64_t align_nbytes)
{
    struct self *self = argument;
    cma_pfn_t pfn;

    (void)nbytes;
    (void)align_nbytes;
    if (cma_pages_alloc(&self->pages, &self->page, &pfn, NULL) != 0) {
        return PEER_FAIL;
    }
    return pfn;
}

static void pages_release(void *argument, uint64_t handle, uint64_t nbytes)
{
    struct self *self = argument;

    (void)nbytes;
    if (cma_pages_free(&self->pages, handle, 1, OWNER) != 0) {
        abort();
    }
}

static uint64_t world_wasted(void *argument)
{
    struct cma_area_stats stats;

    cma_area_stats(&((struct self *)argument)->area, &stats);
    return stats.wasted_copies;
}

static uint64_t libcma_metadata(void *argument)
{
    struct self *self = argument;

    return self->frames.nbytes + sizeof(self->frames) + sizeof(self->area);
}

static const struct peer libcma_peers[] = {
    {.name = "libcma",
     .flags = PEER_AREA | PEER_WORLD | PEER_MANY,
     .create = libcma_create,
     .alloc = world_alloc,
     .release = world_release,
     .set_page = libcma_set_page,
     .wasted = world_wasted,
     .metadata_nbytes = libcma_metadata,
     .destroy = libcma_destroy},
    {.name = "libcma-lent",
     .flags = PEER_AREA | PEER_MANY | PEER_TOUCH | PEER_LENT,
     .create = lent_create,
     .alloc = libcma_alloc,
     .release = libcma_release,
     .metadata_nbytes = libcma_metadata,
     .destroy = libcma_destroy},
    {.name = "libcma-pins-move",
     .flags = PEER_WORLD,
     .create = libcma_create_pins_move,
     .alloc = world_alloc,
     .release = world_release,
     .set_page = libcma_set_page,
     .wasted = world_wasted,
     .metadata_nbytes = libcma_metadata,
     .destroy = libcma_destroy},
    {.name = "libcma-movable",
     .flags = PEER_PAGES,
     .create = pages_create_movable,
     .alloc = pages_alloc,
     .release = pages_release,
     .metadata_nbytes = libcma_metadata,
     .destroy = libcma_destroy},
    {.name = "libcma-unmovable",
     .flags = PEER_PAGES,
     .create = pages_create_unmovable,
     .alloc = pages_alloc,
     .release = pages_release,
     .metadata_nbytes = libcma_metadata,
     .destroy = libcma_destroy},
};

const struct peer *peer_get(uint32_t index)
{
    return index < sizeof(libcma_peers) / sizeof(libcma_peers[0]) ? &libcma_peers[index] : NULL;
}
