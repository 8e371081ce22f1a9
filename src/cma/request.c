/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * request.c - a request for a window, checked and said in pages
 */
#include "../base/bits.h"
#include "../frame/table.h"
#include "claim.h"
#include "engine.h"

int cma__window_want(const struct cma_area *area, const struct cma_area_request *request,
                     struct cma_window_want *want)
{
    const struct cma_port *port = area->frames->port;
    cma_paddr_t last = request->paddr_last == 0 ? CMA_PADDR_MAX : request->paddr_last;
    uint32_t mask = (UINT32_C(1) << port->page_shift) - 1;
    uint32_t lives = CMA_CLAIM_LONG | CMA_CLAIM_SHORT;
    uint64_t boundary = request->boundary_nbytes;
    uint64_t align = request->align_npages | (request->align_npages == 0);

    want->npages = request->npages;
    want->align_npages = align;
    want->boundary_npages = boundary >> port->page_shift;
    want->phase = request->bus_offset >> port->page_shift;
    want->from_top = (request->flags & CMA_CLAIM_LONG) != 0;
    want->from_bottom = (request->flags & CMA_CLAIM_SHORT) != 0;
    if (request->npages == 0 || request->paddr_first > last ||
        (request->flags & ~(CMA_CLAIM_NOWAIT | lives)) != 0 || (request->flags & lives) == lives ||
        ((uint32_t)request->bus_offset & mask) != 0 ||
        ((align & (align - 1)) | (boundary & (boundary - 1))) != 0 ||
        (boundary != 0 && want->boundary_npages < request->npages)) {
        return CMA_EINVAL;
    }
    if (!cma__pages_within(port, request->paddr_first, last, &want->first, &want->last)) {
        want->first = 1;
        want->last = 0;
    }
    want->first = bits_max(want->first, area->pfn);
    want->last = bits_min(want->last, area->pfn + (area->npages - 1));
    return area->classes != NULL ? area->engine->part(area, want) : 0;
}
