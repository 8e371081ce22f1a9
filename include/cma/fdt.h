/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fdt.h - a board out of its device tree: memory, reserved regions, devices (src/boot/fdt*.c)
 *
 * The order of calls:
 *     cma_fdt_size        checks the whole tree and says how much storage is needed
 *     cma_fdt_init        reads the nodes and the buses into that storage
 *     cma_fdt_memory      RAM into the map (or the caller adds RAM of its own)
 *     cma_fdt_limits      the buses' limits into the rules
 *     cma_fdt_reserve     reserved regions, /memreserve/ and the default area into the map
 *     cma_fdt_devices     devices with their regions, windows and coherence
 *     cma_fdt_guarantees  what devices were promised; quotas; size classes of areas
 * Everything has the meaning that Linux gives it. What Linux refuses or ignores with a message,
 * and what would do harm there, becomes a record in `problems`; it is no reason to stop.
 * Names in the map and in problems point into the tree, which must stay in place as long as they
 * are used. All calls are for one thread at boot; none sleeps. Time is linear in the tree's size,
 * apart from sorting. Needs libfdt; -DCMA_NO_FDT leaves these calls out.
 */
#ifndef CMA_FDT_H
#define CMA_FDT_H

#include <cma/boot.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CMA_FDT_MAX_DEPTH 64   /* nodes below nodes; Linux's own limit */
#define CMA_FDT_MAX_WINDOWS 64 /* of one bus */

/* Why a tree can't be read, and where. */
struct cma_fdt_error {
    const char *what; /* an English phrase */
    uint64_t at;      /* byte of the blob */
    uint32_t node;    /* offset of the last node that began before it, or CMA_NODE_NONE */
};

/* What became of a node of /reserved-memory. */
enum cma_fdt_state {
    CMA_FDT_IGNORED = 0, /* disabled, neither reg nor size, or all of /reserved-memory is ignored */
    CMA_FDT_MADE,        /* it is in the map (at least in part) */
    CMA_FDT_REFUSED      /* a problem says why; its memory is free unless the map says otherwise */
};

/* A part of an area for requests of up to request_nbytes; both are multiples of a page. */
struct cma_fdt_class {
    uint64_t request_nbytes;
    uint64_t nbytes;
};

struct cma_fdt_region {
    uint32_t node; /* its offset */
    enum cma_fdt_state state;
    enum cma_range_kind kind; /* what it is, or would have been */
    uint32_t flags;           /* CMA_RANGE_DEFAULT, CMA_RANGE_DYNAMIC, CMA_RANGE_UNMAPPED */
    cma_paddr_t base;         /* of its first entry; 0 for a dynamic one that was not placed */
    uint64_t nbytes;
    uint64_t align_nbytes; /* dynamic: the alignment in force, at least what the node says */
    /* filled by cma_fdt_guarantees, for areas */
    const struct cma_fdt_class *classes; /* in ascending order */
    uint32_t nclasses;
    uint32_t ndevices;     /* devices whose area it is, because it is the first that they name */
    uint32_t first_device; /* index of the first of them */
};

struct cma_fdt_device {
    uint32_t node;
    uint32_t nregions;
    const uint32_t *regions;              /* node offsets that its memory-region names, in order */
    const struct cma_bus_window *windows; /* through all buses above; NULL: daddr is paddr */
    uint32_t nwindows;
    bool limited;         /* dma_last counts: the buses do not let it reach everything */
    bool coherent;        /* snoops the CPU's caches */
    cma_paddr_t dma_last; /* highest CPU address in any window */
    /* filled by cma_fdt_guarantees */
    uint32_t area;         /* index + 1 of the first area among its regions; 0: none */
    uint64_t quota_nbytes; /* libcma,quota; 0: none */
};

/*
 * Blocks that a device was promised, as the tree says it. It is not admitted yet: for that there is
 * cma_device_admit (dma.h), which says no where the area can't hold them.
 */
struct cma_fdt_guarantee {
    uint32_t device; /* index in `devices` */
    uint32_t region; /* index + 1 of its area in `regions`; 0: the default area, which no node is */
    uint32_t node;   /* which says so: the device, or its region */
    uint32_t entry;  /* which of the node's kinds of blocks, 0 up */
    uint32_t count;  /* blocks, 1 up */
    uint32_t max_moves;       /* pages that may be copied for one */
    uint64_t nbytes;          /* of one block, 1 up */
    uint64_t align_nbytes;    /* of the device's address; 0: none is asked */
    uint64_t boundary_nbytes; /* the same */
    const char *group;        /* devices that are never open together; NULL: none */
    uint32_t group_number;    /* 1 up, the same for all of a group; 0: none */
};

/* private: one node, in the tree's order, so parents stand before children */
struct cma_fdt_node {
    uint32_t offset;
    uint32_t parent; /* index */
    uint32_t way;    /* index of the next node on the way to memory: parent or interconnect */
    uint32_t phandle;
    uint32_t bus;    /* index + 1 of its windows; 0: it has none of its own */
    uint32_t region; /* index + 1; 0: no child of /reserved-memory */
    uint8_t flags;
    uint8_t depth;
    uint8_t naddress, nsize; /* cells of its children's reg */
};

/* private: the windows of a bus with dma-ranges */
struct cma_fdt_bus {
    uint32_t node; /* index */
    uint32_t first_window, nwindows;
    cma_paddr_t last;
};

struct cma_fdt {
    const void *dtb;
    const char *model;  /* of the root node; "" when it has none */
    enum cma_arch arch; /* guessed from the cpu nodes */
    /* The highest address that every bus with limits lets its devices reach; CMA_PADDR_MAX: no
     * limits. */
    cma_paddr_t dma_last;
    /* filled by cma_fdt_reserve */
    struct cma_fdt_region
        *regions; /* one for each child of /reserved-memory, in the tree's order */
    uint32_t nregions;
    struct cma_boot_default default_area; /* of cma= or the kernel's own */
    /* filled by cma_fdt_devices */
    struct cma_fdt_device *devices;
    uint32_t ndevices;
    /* filled by cma_fdt_guarantees */
    struct cma_fdt_guarantee *guarantees; /* in the order in which to admit them */
    uint32_t nguarantees;
    uint32_t ngroups;
    struct cma_problems problems;
    uint32_t max_ranges; /* a map with so many of each is large enough for this tree */
    /* private */
    struct cma_fdt_node *nodes;
    uint32_t nnodes;
    uint32_t *by_phandle; /* indexes of nodes, sorted */
    uint32_t nphandles;
    struct cma_bus_window *windows;
    uint32_t nwindows, max_windows;
    struct cma_fdt_bus *buses;
    uint32_t nbuses, max_buses;
    uint32_t *refs;
    uint32_t nrefs, max_refs;
    struct cma_fdt_class *classes;
    uint32_t nclasses, max_classes;
    uint32_t max_regions, max_devices, max_guarantees;
    uint32_t reserved_memory; /* index of /reserved-memory, or CMA_NODE_NONE */
};

/*
 * Checks the tree completely and computes the storage for cma_fdt_init. `nbytes` is how much of
 * `dtb` may be read. Returns 0, CMA_EINVAL (not a tree, damaged, too deep; dtb not at a multiple of
 * 8), CMA_EOVERFLOW (truncated: nbytes is less than the header says). On failure *error, when not
 * NULL, says what and where.
 */
CMA_MUST_CHECK int cma_fdt_size(const void *dtb, uint64_t nbytes, uint64_t *storage_nbytes,
                                struct cma_fdt_error *error);

/*
 * Reads nodes and buses. `storage` is aligned for uint64_t and lives as long as `fdt`. Returns 0,
 * CMA_ENOMEM (storage_nbytes is less than needed) and whatever cma_fdt_size returns.
 */
CMA_MUST_CHECK int cma_fdt_init(struct cma_fdt *fdt, const void *dtb, uint64_t nbytes,
                                void *storage, uint64_t storage_nbytes);

/*
 * Adds the RAM of all memory nodes, trimmed to whole pages, to the map. Returns 0 (check
 * map->nmemory: many trees leave it to the boot loader), CMA_ENOMEM (the map's array is full).
 */
CMA_MUST_CHECK int cma_fdt_memory(struct cma_fdt *fdt, const struct cma_boot_rules *rules,
                                  struct cma_map *map);

/*
 * Where the tree says that RAM begins although it may not say how much: the first memory node's
 * reg, else its unit address. Returns 0 or CMA_ENOENT.
 */
CMA_MUST_CHECK int cma_fdt_memory_base(const struct cma_fdt *fdt, cma_paddr_t *base);

/* Lowers rules->dma_last and sets the zone's end to what the tree's buses allow. */
void cma_fdt_limits(const struct cma_fdt *fdt, struct cma_boot_rules *rules);

/*
 * Puts /reserved-memory, /memreserve/ and the default area (boot.h) into the map, whose memory must
 * be complete. Ranges get their node's offset as `id` and its name. Returns 0 or CMA_ENOMEM (the
 * map's array is full; the map holds a part then).
 */
CMA_MUST_CHECK int cma_fdt_reserve(struct cma_fdt *fdt, const struct cma_boot_rules *rules,
                                   const struct cma_boot_args *args, uint64_t builtin_nbytes,
                                   struct cma_map *map);

/*
 * Finds the devices: enabled nodes (with all above them) that have a memory-region or a property of
 * libcma's own, or that sit behind a dma-ranges that limits or shifts addresses. Call it after
 * cma_fdt_reserve.
 */
void cma_fdt_devices(struct cma_fdt *fdt, const struct cma_boot_rules *rules);

/*
 * Reads libcma's own properties (docs/BINDINGS.md): guarantees, quotas, size classes. Whatever is
 * malformed is a problem, and nothing is made of it. Guarantees come in the order in which they are
 * best admitted: devices that reach no more than the low end of their area first, for others find
 * room elsewhere; then the largest blocks, for small ones find a place between large ones, and the
 * slots of a group's largest blocks are shared by its others; of equals the larger alignment, then
 * the device that reaches less memory. Call it after cma_fdt_devices.
 */
void cma_fdt_guarantees(struct cma_fdt *fdt, const struct cma_boot_rules *rules);

/* Range `index` of a dynamic region's alloc-ranges. Returns 0 or CMA_ENOENT (past the end). */
CMA_MUST_CHECK int cma_fdt_alloc_range(const struct cma_fdt *fdt,
                                       const struct cma_fdt_region *region, uint32_t index,
                                       cma_paddr_t *base, uint64_t *nbytes);

#ifdef __cplusplus
}
#endif
#endif
