/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * types.h - the words, units and errors that every other header uses
 *
 * Three address spaces, never mixed:
 *   paddr   physical, as the CPU's interconnect sees memory      (bytes)
 *   daddr   what a device puts on its bus to reach that memory   (bytes)
 *   vaddr   what the CPU's load and store instructions use       (void *)
 * A page is `1 << page_shift` bytes; a *frame* is one page of physical memory, named by its page
 * frame number (pfn = paddr >> page_shift). Counts end in npages or nbytes. Ends of ranges are
 * inclusive and called `last`, because 2^64 does not fit into 64 bits.
 */
#ifndef CMA_TYPES_H
#define CMA_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef uint64_t cma_paddr_t;
typedef uint64_t cma_daddr_t;
typedef uint64_t cma_pfn_t;

#define CMA_PADDR_MAX UINT64_MAX
#define CMA_PFN_NONE UINT64_MAX

#if defined(__GNUC__)
#define CMA_MUST_CHECK __attribute__((warn_unused_result))
#else
#define CMA_MUST_CHECK
#endif

/* A part of memory that a device sees, and where (one entry of dma-ranges, all buses added up). */
struct cma_bus_window {
    cma_daddr_t daddr;
    cma_paddr_t paddr;
    uint64_t nbytes; /* 0: the whole address space, daddr and paddr being 0 */
};

/*
 * Errors: 0 is success, negative values are Linux's numbers, in three classes (cma_error_class):
 *   try again     the same call can succeed later without anything being given up
 *   will not fit  it can't succeed until somebody frees, or the request asks for less
 *   your bug      the call was wrong; nothing was changed
 */
enum cma_error {
    CMA_OK = 0,
    /* try again */
    CMA_EAGAIN = -11, /* a frame is being moved, or was isolated meanwhile */
    CMA_EBUSY = -16,  /* a mover refused, or a reference that will go holds the frame in place */
    /* will not fit */
    CMA_ENOMEM = -12, /* no free frame, window, record or byte of the caller's storage is left */
    CMA_ENOSPC = -28, /* no window: frames held in place leave no run that is long enough */
    CMA_ERANGE = -34, /* outside what the device, mover or request can reach */
    /* your bug */
    CMA_EPERM = -1,      /* not the owner */
    CMA_ENOENT = -2,     /* nothing of that name or address is known here */
    CMA_EEXIST = -17,    /* there already, or overlaps something that is there */
    CMA_EINVAL = -22,    /* an argument is malformed */
    CMA_EOVERFLOW = -75, /* base + size passes 2^64, or a count does not fit */
    CMA_EBADF = -9,      /* a frame or block is not in the state that the call needs */
    CMA_EOPNOTSUPP = -95 /* the port has no hook for it */
};

enum cma_error_class { CMA_CLASS_OK, CMA_CLASS_TRY_AGAIN, CMA_CLASS_WILL_NOT_FIT, CMA_CLASS_BUG };

/* A short English sentence for an error code, "unknown error" for others. Never NULL.
 * Context: any. (src/base/strerror.c, apart so that nobody pays for the strings unused.) */
const char *cma_strerror(int error);

/* The class of an error code; CMA_CLASS_BUG for codes that are not libcma's. Context: any. */
enum cma_error_class cma_error_class(int error);

/*
 * Why a request was refused. Every call that can refuse for want of memory or reach takes a
 * `struct cma_refusal *` (NULL: not wanted) and fills it on failure; on success it is untouched.
 */
enum cma_reason {
    CMA_REASON_NONE = 0,
    CMA_REASON_ARGUMENT,    /* malformed: code names what kind */
    CMA_REASON_TOO_LARGE,   /* longer than the area, zone or block can ever hold */
    CMA_REASON_UNREACHABLE, /* no part of the area or zone lies within the address limits */
    CMA_REASON_CLAIMED,     /* what is claimed by others leaves no window */
    CMA_REASON_HELD,        /* `pfn` is pinned, referenced or unmovable; no window avoids such */
    CMA_REASON_MOVER,       /* the mover of `pfn` refused to let it go */
    CMA_REASON_NO_ROOM,     /* a window is there, but its kept frames fit nowhere else */
    CMA_REASON_NO_MEMORY,   /* no free frame in reach */
    CMA_REASON_FLOOR,       /* free frames in reach are held back by a floor */
    CMA_REASON_MAPPING,     /* the port's map hook failed with `code` */
    CMA_REASON_BUDGET,      /* the caller's budget ended first; continue or cancel */
    CMA_REASON_INACTIVE,    /* the area is not active */
    CMA_REASON_PROMISED,  /* slots of guarantees leave no window; or all that was promised is out */
    CMA_REASON_GROUP,     /* another member of the group is open */
    CMA_REASON_QUOTA,     /* the device has as much as it may have */
    CMA_REASON_EXCLUSIVE, /* the device's own memory has no such run left, and it may use no other
                           */
    CMA_REASON_WINDOW,    /* the consistent window has no such run of addresses left */
    CMA_REASON_NOSLEEP,   /* the pool for callers that may not sleep is dry */
    CMA_REASON_BOUNCE,    /* no bounce memory is left, or none in reach, or none was given */
    CMA_REASON_ALIAS,     /* the memory is mapped with other attributes already (handover.h) */
    CMA_REASON_LINES, /* a device would write into cache lines that are shared with other data */
    CMA_REASON_COUNT
};

/*
 * The smallest change that would have let a request succeed, all else being as it was seen. Where
 * the change is a number, one less does not do. Filled by an area whose engine explains (area.h).
 */
enum cma_change {
    CMA_CHANGE_NONE = 0, /* not known, or there is none */
    CMA_CHANGE_FRAME,    /* the frame `change_value` must be let go by who holds it in place */
    CMA_CHANGE_ROOM,     /* `change_value` more frames with addresses up to `change_paddr_last` must
                          * be free outside of areas */
    CMA_CHANGE_ALIGN,    /* ask for an alignment of at most `change_value` pages */
    CMA_CHANGE_LIMIT,    /* allow a paddr_last of at least `change_value` */
    CMA_CHANGE_NPAGES,   /* ask for at most `change_value` pages */
    CMA_CHANGE_RELEASE,  /* the buffer that begins at frame `change_value` must be released */
    CMA_CHANGE_COUNT
};

struct cma_refusal {
    int code; /* enum cma_error, as returned */
    enum cma_reason reason;
    cma_pfn_t pfn;                /* the frame that stands in the way, or CMA_PFN_NONE */
    uint32_t mover;               /* its mover's number, 0 when it has none */
    uint32_t owner;               /* its cookie (movable, droppable) or owner tag (others) */
    uint64_t free_run_npages;     /* longest run with nothing in it, as last seen */
    uint64_t possible_run_npages; /* longest run that nothing holds in place, as last seen */
    enum cma_change change;
    uint64_t change_value;         /* pages, frames, a frame's number or an address: see `change` */
    cma_paddr_t change_paddr_last; /* with CMA_CHANGE_ROOM */
};

/* A word or two for a reason ("held in place"), never NULL. Context: any. */
const char *cma_reason_name(enum cma_reason reason);

/* Version of this header; cma_version() tells the version that was compiled. */
#define CMA_VERSION_MAJOR 0
#define CMA_VERSION_MINOR 1
#define CMA_VERSION_PATCH 0
#define CMA_VERSION ((CMA_VERSION_MAJOR << 16) | (CMA_VERSION_MINOR << 8) | CMA_VERSION_PATCH)
#define CMA_VERSION_STRING "0.1.0"
uint32_t cma_version(void);

#ifdef __cplusplus
}
#endif
#endif
