/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * system.h - a whole machine in one call (src/dma/system.c)
 *
 * For those who have no page allocator of their own and want all of libcma: from a memory map and a
 * port to devices that can allocate. It does, in order, what can also be done by hand: the frame
 * table over the map, the page allocator over the table, one area for each area range of the map,
 * each a lender of the allocator, the DMA layer with the map's default area, and what guarantees
 * need. Movers are registered with `frames`, devices made with `dma`, and what these are promised
 * is admitted with `guarantees`.
 */
#ifndef CMA_SYSTEM_H
#define CMA_SYSTEM_H

#include <cma/dma.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CMA_SYSTEM_KEEP_IDLE (1u << 0) /* areas lend nothing: carve-outs */
#define CMA_SYSTEM_NO_INDEX (1u << 1)  /* areas have no index of runs (frame.h) */

struct cma_system_config {
    const struct cma_port *port;
    const struct cma_zone *zones; /* as in struct cma_frames_config */
    uint32_t nzones;
    uint32_t block_order;
    uint32_t flags; /* CMA_SYSTEM_* */
    uint32_t lanes; /* as in struct cma_frames_config */
    /* Storage for so many slots: the blocks of all guarantees. 0: there can be none. */
    uint32_t nslots;
    /*
     * Called for each area before it begins, with the config that it would get: what the board
     * wants otherwise (size classes, a lend class, a name) is changed there. `range` is the map's,
     * npages its whole pages. NULL: all areas are alike.
     */
    void (*configure)(void *ctx, const struct cma_range *range, uint64_t npages,
                      struct cma_area_config *config);
    void *configure_ctx;
};

struct cma_system {
    struct cma_frames frames;
    struct cma_pages pages;
    struct cma_dma dma;
    struct cma_guarantees guarantees; /* none can be admitted where nslots was 0 */
    struct cma_area *areas;           /* in address order; in the caller's storage */
    uint32_t nareas;
    struct cma_area *default_area; /* NULL when the map has none */
    struct cma_lender *lenders;    /* private: one an area */
};

/* Bytes of storage that cma_system_init needs, aligned to 8; 0 when the arguments are malformed. */
uint64_t cma_system_size(const struct cma_map *map, const struct cma_system_config *config);

/*
 * Brings everything up. `map`, `config->zones`, `config->port` and `storage` must live as long as
 * the system, and the names in the map too. An area range without one whole page is left out.
 * Returns 0, CMA_EINVAL (config or map malformed, an area's config too, no ordinary memory, more
 * slots than CMA_SLOTS_MAX), CMA_ENOMEM (nbytes is less than cma_system_size). One thread, at boot.
 */
CMA_MUST_CHECK int cma_system_init(struct cma_system *system, const struct cma_map *map,
                                   const struct cma_system_config *config, void *storage,
                                   uint64_t nbytes);

/* The area that `paddr` lies in, or NULL. Sleeps: no. */
struct cma_area *cma_system_area(const struct cma_system *system, cma_paddr_t paddr);

/* Checks the frame table, all areas and all guarantees (other threads quiet). True when all holds.
 */
bool cma_system_check(struct cma_system *system, struct cma_violation *violation);

#ifdef __cplusplus
}
#endif
#endif
