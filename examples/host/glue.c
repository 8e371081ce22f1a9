/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * glue.c - struct cma_pages_ops over hostalloc
 *
 * A lent page is hot-plugged memory to the host. Take, then publish: a page that leaves the host's
 * lists is only its holder's when libcma has heard of it; if a claim was faster, the page is
 * forgotten and another one taken. Destinations and devices' pages are the host's own memory.
 *
 * `lock` makes one step of what libcma says about a page and what the host's lists then say.
 */
#include "glue.h"

#define GLUE_MOVERS 0 /* the tag of pages that movers have; devices' numbers begin at 1 */

/* The first page that does not lie up to paddr_last as a whole. */
static uint64_t glue_end(const struct glue *glue, cma_paddr_t paddr_last)
{
    uint64_t mask = (UINT64_C(1) << glue->port->page_shift) - 1;

    return (paddr_last >> glue->port->page_shift) + ((paddr_last & mask) == mask);
}

/* --- what areas ask for ------------------------------------------------------------------------
 */

static int glue_lend(void *ctx, cma_pfn_t pfn, uint32_t npages, enum cma_lend_class lend_class)
{
    struct glue *glue = ctx;

    (void)lend_class;
    pthread_mutex_lock(&glue->lock);
    host_plug(glue->host, pfn, npages, true);
    pthread_mutex_unlock(&glue->lock);
    return 0;
}

static void glue_take_back(void *ctx, cma_pfn_t pfn, uint32_t npages)
{
    struct glue *glue = ctx;

    pthread_mutex_lock(&glue->lock);
    host_unplug(glue->host, pfn, npages);
    pthread_mutex_unlock(&glue->lock);
}

static int glue_destination(void *ctx, const struct cma_destination *want, cma_pfn_t *pfn)
{
    struct glue *glue = ctx;

    *pfn = host_alloc(glue->host, 0, HOST_IN_NEED, glue_end(glue, want->paddr_last), GLUE_MOVERS);
    return *pfn != HOST_NONE ? 1 : CMA_ENOMEM;
}

static void glue_destination_put(void *ctx, cma_pfn_t pfn, uint32_t npages)
{
    struct glue *glue = ctx;

    while (npages-- > 0)
        host_free(glue->host, pfn + npages, 0, GLUE_MOVERS);
}

static uint64_t glue_room(void *ctx, cma_paddr_t paddr_last)
{
    struct glue *glue = ctx;

    return host_free_npages(glue->host, glue_end(glue, paddr_last));
}

static int glue_floor(void *ctx, cma_paddr_t paddr_last, uint64_t npages)
{
    struct glue *glue = ctx;
    uint64_t end = glue_end(glue, paddr_last);
    uint32_t zone = HOST_ZONE_LOW;

    if (end >= glue->host->zones[HOST_ZONE_NORMAL].end)
        zone = HOST_ZONE_NORMAL;
    else if (end != glue->host->zones[HOST_ZONE_LOW].end)
        return CMA_EINVAL;
    return host_reserve(glue->host, zone, npages) ? 0 : CMA_ENOMEM;
}

/* --- pages for devices without an area ---------------------------------------------------------
 */

/* A block is aligned to its length, so its first npages cross no boundary that is as long. */
static uint32_t glue_order(uint64_t npages, uint64_t align_npages)
{
    uint32_t order = 0;

    while (order < HOST_ORDERS && (UINT64_C(1) << order < npages || 1u << order < align_npages))
        order++;
    return order;
}

static int glue_alloc(void *ctx, const struct cma_pages_request *request, cma_pfn_t *pfn,
                      struct cma_refusal *refusal)
{
    struct glue *glue = ctx;
    uint32_t order = glue_order(request->npages, request->align_npages);
    cma_paddr_t last = request->paddr_last ? request->paddr_last : CMA_PADDR_MAX;

    *pfn = HOST_NONE;
    if (order < HOST_ORDERS)
        *pfn = host_alloc(glue->host, order, 0, glue_end(glue, last), request->holder.cookie);
    if (*pfn != HOST_NONE && *pfn << glue->port->page_shift < request->paddr_first) {
        host_free(glue->host, *pfn, order, request->holder.cookie);
        *pfn = HOST_NONE;
    }
    if (*pfn != HOST_NONE)
        return 0;
    if (refusal)
        *refusal = (struct cma_refusal){
            .code = CMA_ENOMEM, .reason = CMA_REASON_NO_MEMORY, .pfn = CMA_PFN_NONE};
    return CMA_ENOMEM;
}

static int glue_free(void *ctx, cma_pfn_t pfn, uint32_t npages, uint32_t owner)
{
    struct glue *glue = ctx;
    uint32_t order = host_order(glue->host, pfn);

    return npages <= 1u << order && host_free(glue->host, pfn, order, owner) ? 0 : CMA_EBADF;
}

/* --- pages for movers --------------------------------------------------------------------------
 */

int glue_get(struct glue *glue, const struct cma_holder *holder, cma_paddr_t paddr_last,
             cma_pfn_t *pfn)
{
    uint64_t end = glue_end(glue, paddr_last);
    uint32_t area = 0;
    int error;

    for (;;) {
        *pfn = host_alloc(glue->host, 0, HOST_MOVABLE, end, GLUE_MOVERS);
        if (*pfn == HOST_NONE) {
            /* Short of pages: the areas lend another block, as long as they have one. */
            while (area < glue->nareas && !cma_area_lend(&glue->areas[area], holder->kind))
                area++;
            if (area == glue->nareas)
                return CMA_ENOMEM;
            continue;
        }
        pthread_mutex_lock(&glue->lock);
        error = cma_frame_publish(glue->frames, *pfn, holder);
        if (error != 0 && error != CMA_ENOENT)
            host_forget(glue->host, *pfn);
        pthread_mutex_unlock(&glue->lock);
        if (error != CMA_EAGAIN)
            return error == CMA_ENOENT ? 0 : error; /* our own page, or lent */
    }
}

int glue_put(struct glue *glue, cma_pfn_t pfn)
{
    int result;

    pthread_mutex_lock(&glue->lock);
    result = cma_frame_release(glue->frames, pfn);
    if (result == 1 || result == CMA_ENOENT)
        result = host_free(glue->host, pfn, 0, GLUE_MOVERS) ? 0 : CMA_EBADF;
    else if (result == 0)
        host_forget(glue->host, pfn);
    pthread_mutex_unlock(&glue->lock);
    return result;
}

void glue_gone(struct glue *glue, cma_pfn_t pfn)
{
    host_forget(glue->host, pfn);
}

void glue_init(struct glue *glue, struct host *host, const struct cma_port *port,
               struct cma_frames *frames, struct cma_area *areas, uint32_t nareas)
{
    *glue = (struct glue){
        .host = host,
        .port = port,
        .frames = frames,
        .areas = areas,
        .nareas = nareas,
        .ops =
            {
                .ctx = glue,
                .lend = glue_lend,
                .take_back = glue_take_back,
                .destination = glue_destination,
                .destination_put = glue_destination_put,
                .room = glue_room,
                .floor = glue_floor,
                .alloc = glue_alloc,
                .free = glue_free,
            },
    };
    pthread_mutex_init(&glue->lock, NULL);
    cma_frames_set_ops(frames, &glue->ops);
}
