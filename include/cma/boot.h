/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * boot.h - the rules of an architecture, the kernel's command line, the default area, and problems
 *
 * What Linux demands of memory that is kept for devices depends on the architecture, and a layout
 * that follows it needs these rules as data. They are filled once by cma_boot_rules_init and may be
 * changed by the caller before use. All calls here are for one thread at boot; none sleeps.
 * (src/boot/args.c, src/boot/problem.c)
 */
#ifndef CMA_BOOT_H
#define CMA_BOOT_H

#include <cma/map.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cma_arch { CMA_ARCH_UNKNOWN = 0, CMA_ARCH_ARM, CMA_ARCH_ARM64, CMA_ARCH_RISCV64 };

/* "arm", "arm64", "riscv64", "unknown". Never NULL. */
const char *cma_arch_name(enum cma_arch arch);

#define CMA_NODE_NONE UINT32_MAX /* `id` of a range, `node` of a problem: not from the tree */
#define CMA_ZONE_LIMITS 2

struct cma_boot_rules {
    enum cma_arch arch;
    uint64_t page_nbytes;    /* memory and the lowest address handed out are trimmed to pages */
    uint64_t granule_nbytes; /* base and size of an area are multiples of it; power of two */
    uint64_t align_nbytes;   /* alignment of a region that the tree leaves to us and gives none */
    cma_paddr_t dma_last;    /* highest address for a default area without a node of its own */
    /* An area may not begin at or below one of these and end above it: it would be in two zones.
     * CMA_PADDR_MAX: no such boundary. */
    cma_paddr_t zone_last[CMA_ZONE_LIMITS];
    bool pool_needs_no_map; /* a coherent pool that the CPU also maps is refused */
    bool coherent;          /* devices snoop unless their node says otherwise */
};

/*
 * Linux's rules for an architecture and page size. Granule: 2 MiB on arm64 and riscv64 with 4 KiB
 * pages (a page table's reach, so 32 and 512 MiB with 16 and 64 KiB), 4 MiB on 32-bit ARM.
 * Returns 0 or CMA_EINVAL (unknown architecture, page_shift outside 12 to 16).
 */
CMA_MUST_CHECK int cma_boot_rules_init(struct cma_boot_rules *rules, enum cma_arch arch,
                                       uint32_t page_shift);

/* ---- problems: what was refused or ignored, and why --------------------------------------- */

enum cma_problem_kind {
    CMA_PROBLEM_NONE = 0,
    CMA_PROBLEM_CELLS,        /* value is not a count of cells that can be read */
    CMA_PROBLEM_ROOT_CELLS,   /* value differs from the root's (or is missing: UINT64_MAX) */
    CMA_PROBLEM_NO_RANGES,    /* /reserved-memory without ranges */
    CMA_PROBLEM_LENGTH,       /* value bytes are not a whole number of entries */
    CMA_PROBLEM_ZERO,         /* a size of 0 at base */
    CMA_PROBLEM_OVERFLOW,     /* base + nbytes passes 2^64 */
    CMA_PROBLEM_OUTSIDE,      /* base, nbytes lie outside memory */
    CMA_PROBLEM_PARTLY,       /* base, nbytes lie partly outside memory */
    CMA_PROBLEM_OVERLAP,      /* base, nbytes overlap `other` */
    CMA_PROBLEM_IN_AREA,      /* a no-map range inside the area `other` */
    CMA_PROBLEM_MEMRESERVE,   /* base, nbytes of it are in the tree's reservation block too */
    CMA_PROBLEM_GRANULE,      /* base or nbytes is not a multiple of value */
    CMA_PROBLEM_ALIGNMENT,    /* value is not a power of two */
    CMA_PROBLEM_NO_MAP,       /* reusable and no-map exclude each other */
    CMA_PROBLEM_NEEDS_NO_MAP, /* this architecture wants no-map for a coherent pool */
    CMA_PROBLEM_RESTRICTED,   /* a restricted pool can't have this property */
    CMA_PROBLEM_NO_ROOM,      /* no place for nbytes aligned to value */
    CMA_PROBLEM_ZONES,        /* base, nbytes cross a zone's end, value */
    CMA_PROBLEM_BYPASSED,     /* cma= takes the default area's place */
    CMA_PROBLEM_SECOND,       /* `other` is the default already */
    CMA_PROBLEM_REACH,        /* base, nbytes pass value, the highest address devices reach */
    CMA_PROBLEM_LIMIT,        /* base, nbytes (rounded up) pass value, the end that was asked */
    CMA_PROBLEM_PHANDLE,      /* value names no node */
    CMA_PROBLEM_NOT_MADE,     /* the region `other` was not made */
    CMA_PROBLEM_NOT_REGION,   /* `other` is not a region of /reserved-memory */
    CMA_PROBLEM_CIRCULAR,     /* the way to memory leads in a circle, or is too long */
    CMA_PROBLEM_NO_WAY,       /* base, nbytes of the parent bus lead nowhere */
    CMA_PROBLEM_ODD,          /* nbytes is odd, as if a mask was meant; taken as one more */
    CMA_PROBLEM_CLASH,        /* a bus window overlaps another; the later one is left out */
    CMA_PROBLEM_TOO_MANY,     /* more than value entries; the rest is left out */
    CMA_PROBLEM_DEVICE_TYPE,  /* a memory node without device_type is ignored */
    /* Of libcma's own properties (docs/BINDINGS.md). */
    CMA_PROBLEM_UNKNOWN,   /* no such property */
    CMA_PROBLEM_MISPLACED, /* it means nothing in this node */
    CMA_PROBLEM_WITHOUT,   /* it needs the property `other` beside it */
    CMA_PROBLEM_ENTRIES,   /* value bytes are not one entry for each of `other`, or one for all */
    CMA_PROBLEM_NOTHING,   /* 0, where something is wanted */
    CMA_PROBLEM_BOUNDARY,  /* a block of nbytes crosses a multiple of value wherever it lies */
    CMA_PROBLEM_NO_AREA,   /* the device has no area, and there is no default one */
    CMA_PROBLEM_SHARED,    /* value devices use the region: whose blocks are these? */
    CMA_PROBLEM_TWICE,     /* the device `other` says so itself */
    CMA_PROBLEM_GROUP,     /* the device is in the group `other` already: it would stop itself */
    CMA_PROBLEM_APART,     /* the group `other` has members in another area */
    CMA_PROBLEM_PAGES,     /* nbytes is not a multiple of a page, value */
    CMA_PROBLEM_CLASS,     /* a class for nbytes, no larger than the one before or with a part that
                            * is smaller than that, value */
    CMA_PROBLEM_TOO_LARGE, /* nbytes are more than the area, value */
    CMA_PROBLEM_COUNT
};

struct cma_problem {
    uint32_t node; /* offset of the node in the tree, or CMA_NODE_NONE (command line) */
    enum cma_problem_kind kind;
    const char *property; /* never NULL */
    const char *other;    /* name of the other node or range; NULL: none */
    uint64_t base, nbytes, value;
};

/* A list in the caller's memory. What does not fit is counted in `lost`. */
struct cma_problems {
    struct cma_problem *list;
    uint32_t count, max, lost;
};

/*
 * The message of a problem, an English phrase without node and property, with its numbers. Writes
 * at most `nbytes` bytes with the closing 0, and returns the whole length without it.
 */
size_t cma_problem_text(const struct cma_problem *problem, char *text, size_t nbytes);

/* ---- the kernel's command line ------------------------------------------------------------- */

struct cma_boot_args {
    bool cma_given; /* cma= was there, so no other default area comes to be */
    uint64_t cma_nbytes;
    cma_paddr_t cma_base;  /* 0: anywhere */
    cma_paddr_t cma_limit; /* first address behind the window; 0: no limit */
};

/*
 * Reads cma=SIZE[@BASE[-LIMIT]] out of a kernel command line; numbers are decimal, 0x or 0 (octal)
 * with K, M, G, T, P or E behind them. The last cma= wins and the ones before leave no trace.
 * Returns 0, CMA_EINVAL (malformed) or CMA_EOVERFLOW (a number or BASE + SIZE passes 2^64); then
 * *where, when not NULL, is the index of the character that can't be read. Quoted words are kept
 * together, as Linux does. `cmdline` may be NULL: empty.
 */
CMA_MUST_CHECK int cma_boot_args_parse(struct cma_boot_args *args, const char *cmdline,
                                       size_t *where);

/* One such number, from text[*at]; *at moves behind it. Returns as above. */
CMA_MUST_CHECK int cma_boot_number(const char *text, size_t *at, uint64_t *value);

/* ---- the default area ---------------------------------------------------------------------- */

/* Where the default area was put; the window it was chosen from. */
struct cma_boot_default {
    bool made;
    bool fixed;
    cma_paddr_t base;
    uint64_t nbytes;
    cma_paddr_t first, last;
};

/*
 * Puts the default area of cma= into the map, or if there was none the kernel's built-in one of
 * `builtin_nbytes` (0: none), as high as rules->dma_last and the window allow. Size is rounded up
 * to the granule. Its name in the map is "cma=" or "builtin-cma". If it can't be had there is no
 * default area: a problem says why. Call it when all else is reserved; for a board with a device
 * tree cma_fdt_reserve does. Returns 0 (made or not) or CMA_ENOMEM (the map's array is full).
 */
CMA_MUST_CHECK int cma_boot_default_area(struct cma_map *map, const struct cma_boot_rules *rules,
                                         const struct cma_boot_args *args, uint64_t builtin_nbytes,
                                         struct cma_problems *problems,
                                         struct cma_boot_default *area);

#ifdef __cplusplus
}
#endif
#endif
