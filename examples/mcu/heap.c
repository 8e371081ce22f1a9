/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * heap.c - a heap of handles, one page each: the page allocator below an area and its mover
 *
 * Free pages are bits: of the heap's own 32 pages, and of the area's 64 as far as they are lent. A
 * handle says where its page is; the page moves when nobody has it locked. One thread calls this;
 * interrupt handlers only peek.
 */
#include "mcu.h"

struct heap_handle {
    volatile uint32_t pfn; /* 0: free */
    volatile bool frozen;
    uint8_t locks;
};

static struct {
    struct cma_frames *frames;
    struct cma_area *area;
    uint32_t own;     /* free pages of the heap */
    uint32_t lent[2]; /* free pages of the area */
    struct heap_handle handles[HEAP_HANDLES];
    uint32_t mover;
} heap;

uint32_t heap_moved;

#define HEAP_PFN (MCU_HEAP >> MCU_PAGE_SHIFT)
#define HEAP_RESERVE 16u /* of the heap's own pages: only for what moves */
#define AREA_PFN (MCU_AREA >> MCU_PAGE_SHIFT)

static bool heap_is_own(cma_pfn_t pfn)
{
    return pfn < AREA_PFN;
}

static void heap_mark(cma_pfn_t pfn, bool is_free)
{
    uint32_t at = (uint32_t)pfn - (heap_is_own(pfn) ? HEAP_PFN : AREA_PFN);
    uint32_t *word = heap_is_own(pfn) ? &heap.own : &heap.lent[at / 32];

    *word = is_free ? *word | 1u << at % 32 : *word & ~(1u << at % 32);
}

/* A page out of one word of bits. */
static bool heap_take(uint32_t *word, uint32_t base, cma_pfn_t *pfn)
{
    if (*word == 0)
        return false;
    *pfn = base + (uint32_t)__builtin_ctz(*word);
    *word &= *word - 1;
    return true;
}

/* --- struct cma_pages_ops ----------------------------------------------------------------------
 */

static int heap_lend(void *ctx, cma_pfn_t pfn, uint32_t npages, enum cma_lend_class lend_class)
{
    (void)ctx;
    (void)lend_class;
    while (npages-- > 0)
        heap_mark(pfn + npages, true);
    return 0;
}

static void heap_take_back(void *ctx, cma_pfn_t pfn, uint32_t npages)
{
    (void)ctx;
    while (npages-- > 0)
        heap_mark(pfn + npages, false);
}

static int heap_destination(void *ctx, const struct cma_destination *want, cma_pfn_t *pfn)
{
    (void)ctx;
    (void)want;
    return heap_take(&heap.own, HEAP_PFN, pfn) ? 1 : CMA_ENOMEM;
}

static void heap_destination_put(void *ctx, cma_pfn_t pfn, uint32_t npages)
{
    (void)ctx;
    while (npages-- > 0)
        heap_mark(pfn + npages, true);
}

static uint64_t heap_room(void *ctx, cma_paddr_t paddr_last)
{
    uint32_t count = 0;

    (void)ctx;
    (void)paddr_last;
    for (uint32_t word = heap.own; word != 0; word &= word - 1)
        count++;
    return count;
}

static const struct cma_pages_ops ops = {
    .lend = heap_lend,
    .take_back = heap_take_back,
    .destination = heap_destination,
    .destination_put = heap_destination_put,
    .room = heap_room,
};

const struct cma_pages_ops *heap_ops(void)
{
    return &ops;
}

/* --- struct cma_mover ------------------------------------------------------------------------ */

static int mover_freeze(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    (void)ctx;
    if (heap.handles[cookie].pfn != (uint32_t)pfn)
        return CMA_ENOENT;
    heap.handles[cookie].frozen = true;
    return 0;
}

static void mover_commit(void *ctx, cma_pfn_t from, cma_pfn_t to, uint32_t cookie)
{
    (void)ctx;
    (void)from;
    heap.handles[cookie].pfn = (uint32_t)to;
    heap.handles[cookie].frozen = false;
    heap_moved++;
}

static void mover_abort(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    (void)ctx;
    (void)pfn;
    heap.handles[cookie].frozen = false;
}

static const struct cma_mover mover = {
    .name = "heap",
    .paddr_last = CMA_PADDR_MAX,
    .freeze = mover_freeze,
    .commit = mover_commit,
    .abort = mover_abort,
};

int heap_init(struct cma_frames *frames, struct cma_area *area)
{
    int number = cma_mover_register(frames, &mover);

    if (number < 0)
        return number;
    heap.frames = frames;
    heap.area = area;
    heap.own = UINT32_MAX;
    heap.mover = (uint32_t)number;
    cma_frames_set_ops(frames, &ops);
    return 0;
}

/* --- handles -----------------------------------------------------------------------------------
 */

/* Lent pages first, and of its own the heap keeps some: what has to leave the area needs room. */
static bool heap_page(uint32_t cookie, cma_pfn_t *pfn)
{
    struct cma_holder holder = {CMA_KIND_MOVABLE, heap.mover, cookie};

    do {
        while (heap_take(&heap.lent[0], AREA_PFN, pfn) ||
               heap_take(&heap.lent[1], AREA_PFN + 32, pfn)) {
            if (cma_frame_publish(heap.frames, *pfn, &holder) == 0)
                return true;
        }
    } while (cma_area_lend(heap.area, CMA_KIND_MOVABLE));
    return heap_room(NULL, CMA_PADDR_MAX) > HEAP_RESERVE && heap_take(&heap.own, HEAP_PFN, pfn);
}

int heap_get(void)
{
    cma_pfn_t pfn;

    for (uint32_t i = 0; i < HEAP_HANDLES; i++) {
        if (heap.handles[i].pfn != 0)
            continue;
        if (!heap_page(i, &pfn))
            return -1;
        heap.handles[i].pfn = (uint32_t)pfn;
        return (int)i;
    }
    return -1;
}

bool heap_put(int handle)
{
    struct heap_handle *h = &heap.handles[handle];
    int result;

    if (h->locks != 0)
        return false;
    result = heap_is_own(h->pfn) ? 1 : cma_frame_release(heap.frames, h->pfn);
    if (result < 0)
        return false;
    if (result == 1)
        heap_mark(h->pfn, true);
    h->pfn = 0;
    return true;
}

void *heap_lock(int handle)
{
    struct heap_handle *h = &heap.handles[handle];

    /* A claim sees the reference before it copies anything, and goes elsewhere. */
    if (h->locks == 0 && !heap_is_own(h->pfn) && cma_frame_ref(heap.frames, h->pfn) != 0)
        return NULL;
    h->locks++;
    return (void *)(uintptr_t)(h->pfn << MCU_PAGE_SHIFT);
}

void heap_unlock(int handle)
{
    struct heap_handle *h = &heap.handles[handle];

    if (--h->locks == 0 && !heap_is_own(h->pfn))
        cma_frame_unref(heap.frames, h->pfn);
}

void *heap_peek(int handle)
{
    const struct heap_handle *h = &heap.handles[handle];

    return h->frozen || h->pfn == 0 ? NULL : (void *)(uintptr_t)(h->pfn << MCU_PAGE_SHIFT);
}
