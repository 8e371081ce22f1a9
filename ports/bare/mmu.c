/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mmu.c - page tables: 4 KiB pages, 39 bits of address in each half, three levels
 *
 *     lower half (TTBR0)  0x0000000000  devices, 1 GiB
 *                         0x0040000000  memory, the identity: blocks of 2 MiB, areas by pages
 *                         0x4000000000  PCI configuration space, 1 GiB
 *                         0x6000000000  the window of port->map, 2 MiB
 *                         0x6000200000  the consistent window, up to 2 MiB
 *     upper half (TTBR1)  the task's pages, 2 MiB
 *
 * A valid entry never changes into another valid one: it is taken away, the TLB is flushed, and the
 * new one is written (break before make). An entry that is not valid is in no TLB, so making it
 * valid needs a barrier only. Bits 55 to 58 are ours, in valid entries and in others.
 */
#include "bare.h"

#define PTE_VALID 1u
#define PTE_TABLE 3u /* levels 1 and 2: a table; level 3: a page */
#define PTE_BLOCK 1u
#define PTE_ATTR(index) ((uint64_t)(index) << 2)
#define PTE_SHARED (UINT64_C(3) << 8)
#define PTE_ACCESSED (UINT64_C(1) << 10)
#define PTE_NO_EXECUTE (UINT64_C(3) << 53)
#define PTE_ADDRESS UINT64_C(0x0000fffffffff000)
#define PTE_COMBINE (UINT64_C(1) << 55) /* asked for as CMA_ATTR_WRITECOMBINE */
#define PTE_FROZEN (UINT64_C(1) << 56)  /* not valid: the task waits for it */
#define PTE_STALE (UINT64_C(1) << 57)   /* not valid: maybe still in a TLB, not to be used again */

/* MAIR_EL1: write-back, not cached, device (nGnRE) */
#define ATTR_CACHED 0u
#define ATTR_UNCACHED 1u
#define ATTR_DEVICE 2u
#define MAIR_VALUE 0x0444ffu

#define BLOCK_NBYTES UINT64_C(0x200000)
#define GIB UINT64_C(0x40000000)
#define ENTRIES 512u
#define SPLITS 32u /* blocks that can be mapped by pages: 64 MiB of areas */
#define WINDOW_FIRST UINT64_C(0x6000000000)
#define WINDOW_NPAGES 511u /* of port->map; the last page is mmu_borrow's */
#define CONSISTENT_FIRST (WINDOW_FIRST + BLOCK_NBYTES)
#define TASK_FIRST UINT64_C(0xffffff8000000000)

struct table {
    uint64_t entries[ENTRIES];
};

static _Alignas(BARE_PAGE) struct table lower, memory_blocks, window_blocks, window, consistent;
static _Alignas(BARE_PAGE) struct table upper, task_blocks, task;
static _Alignas(BARE_PAGE) struct table splits[SPLITS];
static uint32_t nsplits;
static uint32_t nstale;
static bool borrowed;
struct mmu_counts mmu_counts;
bool mmu_forget_break;

static void mmu_written(void)
{
    __asm__ volatile("dsb ishst\n\tisb" ::: "memory");
}

static void mmu_flush_page(uint64_t vaddr)
{
    mmu_counts.page_flushes++;
    __asm__ volatile("dsb ishst\n\ttlbi vaae1is, %0\n\tdsb ish\n\tisb" ::"r"(
                         (vaddr >> 12) & UINT64_C(0xfffffffffff))
                     : "memory");
}

static void mmu_set(uint64_t *entry, uint64_t value)
{
    *(volatile uint64_t *)entry = value;
}

/* Break before make, for an entry that maps vaddr. */
static void mmu_replace(uint64_t *entry, uint64_t vaddr, uint64_t value)
{
    if ((*entry & PTE_VALID) && !mmu_forget_break) {
        mmu_set(entry, 0);
        mmu_flush_page(vaddr);
        mmu_counts.broken++;
    }
    mmu_set(entry, value);
    mmu_written();
}

static uint64_t mmu_bits(enum cma_attr attr)
{
    uint64_t bits = PTE_ACCESSED | PTE_NO_EXECUTE | PTE_VALID;

    switch (attr) {
    case CMA_ATTR_CACHED: return bits | PTE_SHARED | PTE_ATTR(ATTR_CACHED);
    case CMA_ATTR_UNCACHED: return bits | PTE_SHARED | PTE_ATTR(ATTR_UNCACHED);
    case CMA_ATTR_WRITECOMBINE: return bits | PTE_SHARED | PTE_ATTR(ATTR_UNCACHED) | PTE_COMBINE;
    case CMA_ATTR_DEVICE: return bits | PTE_ATTR(ATTR_DEVICE);
    default: return 0;
    }
}

static uint64_t mmu_page(cma_paddr_t paddr, enum cma_attr attr)
{
    uint64_t bits = mmu_bits(attr);

    return bits ? (paddr & PTE_ADDRESS) | bits | PTE_TABLE : 0;
}

static enum cma_attr mmu_attr(uint64_t entry)
{
    if (!(entry & PTE_VALID))
        return CMA_ATTR_NONE;
    if (entry & PTE_COMBINE)
        return CMA_ATTR_WRITECOMBINE;
    switch ((entry >> 2) & 7) {
    case ATTR_CACHED: return CMA_ATTR_CACHED;
    case ATTR_UNCACHED: return CMA_ATTR_UNCACHED;
    default: return CMA_ATTR_DEVICE;
    }
}

/* The entry that decides about vaddr, and how many bytes it is about; NULL for no address at all.
 */
static uint64_t *mmu_leaf(uint64_t vaddr, uint64_t *nbytes)
{
    struct table *table = vaddr >> 63 ? &upper : &lower;

    if (vaddr >> 39 != 0 && vaddr >> 39 != TASK_FIRST >> 39)
        return NULL;
    for (uint32_t shift = 30;; shift -= 9) {
        uint64_t *entry = &table->entries[(vaddr >> shift) & (ENTRIES - 1)];
        *nbytes = UINT64_C(1) << shift;
        if (shift == 12 || (*entry & PTE_TABLE) != PTE_TABLE)
            return entry;
        table = (struct table *)(uintptr_t)(*entry & PTE_ADDRESS);
    }
}

static void mmu_registers(void)
{
    /* 39 bits in both halves, tables in cached and shared memory, 40 bits of physical address. */
    uint64_t half = 25u | 1u << 8 | 1u << 10 | 3u << 12;
    uint64_t tcr = half | half << 16 | UINT64_C(2) << 30 | UINT64_C(2) << 32;
    uint64_t sctlr;

    __asm__ volatile("msr mair_el1, %0\n\t"
                     "msr tcr_el1, %1\n\t"
                     "msr ttbr0_el1, %2\n\t"
                     "msr ttbr1_el1, %3\n\t"
                     "isb\n\ttlbi vmalle1is\n\tdsb ish\n\tic iallu\n\tdsb ish\n\tisb" ::"r"(
                         (uint64_t)MAIR_VALUE),
                     "r"(tcr), "r"(&lower), "r"(&upper)
                     : "memory");
    __asm__ volatile("mrs %0, sctlr_el1" : "=r"(sctlr));
    sctlr |= 1u << 0 | 1u << 2 | 1u << 12; /* MMU, data cache, instruction cache */
    __asm__ volatile("msr sctlr_el1, %0\n\tisb" ::"r"(sctlr) : "memory");
}

void mmu_start(void)
{
    uint64_t cache_type;

    __asm__ volatile("mrs %0, ctr_el0" : "=r"(cache_type));
    if (4u << ((cache_type >> 16) & 15) != BARE_LINE)
        bare_die("cache lines of another length", 4u << ((cache_type >> 16) & 15));
    uint64_t device = mmu_bits(CMA_ATTR_DEVICE);
    /* Code is in here: it may be executed. */
    uint64_t block = mmu_bits(CMA_ATTR_CACHED) & ~PTE_NO_EXECUTE;

    lower.entries[0] = device;
    lower.entries[UINT64_C(0x4000000000) / GIB] = UINT64_C(0x4000000000) | device;
    lower.entries[BARE_RAM / GIB] = (uintptr_t)&memory_blocks | PTE_TABLE;
    for (uint64_t i = 0; i < BARE_RAM_MAX / BLOCK_NBYTES; i++)
        memory_blocks.entries[i] = (BARE_RAM + i * BLOCK_NBYTES) | block;
    lower.entries[WINDOW_FIRST / GIB] = (uintptr_t)&window_blocks | PTE_TABLE;
    window_blocks.entries[0] = (uintptr_t)&window | PTE_TABLE;
    upper.entries[0] = (uintptr_t)&task_blocks | PTE_TABLE;
    task_blocks.entries[0] = (uintptr_t)&task | PTE_TABLE;
    /* All of this was written past the caches: what they may hold of the image is older. */
    for (uintptr_t at = (uintptr_t)bare_image_first; at < (uintptr_t)bare_image_end;
         at += BARE_LINE)
        __asm__ volatile("dc ivac, %0" ::"r"(at) : "memory");
    __asm__ volatile("dsb sy" ::: "memory");
    mmu_registers();
}

/* --- the linear mapping ------------------------------------------------------------------------
 */

static uint64_t *mmu_block(cma_paddr_t paddr)
{
    return &memory_blocks.entries[(paddr - BARE_RAM) / BLOCK_NBYTES];
}

void mmu_unmap_linear(cma_paddr_t paddr, uint64_t nbytes)
{
    for (uint64_t at = paddr; at < paddr + nbytes; at += BLOCK_NBYTES)
        mmu_replace(mmu_block(at), at, 0);
}

void mmu_keep_linear(cma_paddr_t first, cma_paddr_t last)
{
    for (uint64_t at = BARE_RAM; at < BARE_RAM + BARE_RAM_MAX; at += BLOCK_NBYTES)
        if (at + (BLOCK_NBYTES - 1) < first || at > last)
            mmu_unmap_linear(at, BLOCK_NBYTES);
}

void mmu_split_linear(cma_paddr_t paddr, uint64_t nbytes)
{
    for (uint64_t at = paddr; at < paddr + nbytes; at += BLOCK_NBYTES) {
        struct table *table = &splits[nsplits];
        if (nsplits == SPLITS || (at & (BLOCK_NBYTES - 1)))
            bare_die("area can't be mapped by pages", at);
        for (uint32_t i = 0; i < ENTRIES; i++)
            table->entries[i] = mmu_page(at + (uint64_t)i * BARE_PAGE, CMA_ATTR_CACHED);
        mmu_written();
        mmu_replace(mmu_block(at), at, (uintptr_t)table | PTE_TABLE);
        nsplits++;
    }
}

static enum cma_attr mmu_linear_attr(cma_paddr_t paddr)
{
    uint64_t nbytes, *entry;

    if (paddr - BARE_RAM >= BARE_RAM_MAX)
        return CMA_ATTR_NONE;
    entry = mmu_leaf(paddr, &nbytes);
    return mmu_attr(*entry);
}

bool mmu_is_linear(cma_paddr_t paddr)
{
    return mmu_linear_attr(paddr) != CMA_ATTR_NONE;
}

void mmu_set_attr(cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr)
{
    for (uint64_t at = paddr; at < paddr + nbytes; at += BARE_PAGE) {
        uint64_t leaf_nbytes, *entry = mmu_leaf(at, &leaf_nbytes);
        /* Memory that is mapped by blocks stays as it is: lookup says so, and libcma looks. */
        if (at - BARE_RAM < BARE_RAM_MAX && leaf_nbytes == BARE_PAGE)
            mmu_replace(entry, at, mmu_page(at, attr));
    }
}

int mmu_lookup(const void *vaddr, cma_paddr_t *paddr, enum cma_attr *attr)
{
    uint64_t nbytes, *entry = mmu_leaf((uintptr_t)vaddr, &nbytes);

    if (!entry || !(*entry & PTE_VALID))
        return CMA_ENOENT;
    *paddr = (*entry & PTE_ADDRESS & ~(nbytes - 1)) | ((uintptr_t)vaddr & (nbytes - 1));
    *attr = mmu_attr(*entry);
    return CMA_OK;
}

/* --- the window --------------------------------------------------------------------------------
 */

/* The attributes of this frame in the window, CMA_ATTR_NONE when it is not there. */
static enum cma_attr mmu_window_attr(cma_paddr_t paddr)
{
    for (uint32_t i = 0; i < WINDOW_NPAGES + ENTRIES; i++) {
        uint64_t entry =
            i < WINDOW_NPAGES ? window.entries[i] : consistent.entries[i - WINDOW_NPAGES];
        if ((entry & PTE_VALID) && (entry & PTE_ADDRESS) == (paddr & PTE_ADDRESS))
            return mmu_attr(entry);
    }
    return CMA_ATTR_NONE;
}

static uint64_t mmu_window_find(uint64_t npages)
{
    uint64_t run = 0;

    for (uint64_t i = 0; i < WINDOW_NPAGES; i++) {
        run = window.entries[i] ? 0 : run + 1;
        if (run == npages)
            return i + 1 - npages;
    }
    return WINDOW_NPAGES;
}

int mmu_map(cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr, void **vaddr)
{
    uint64_t npages = nbytes / BARE_PAGE;
    uintptr_t state = irq_save();
    uint64_t at = mmu_window_find(npages);
    int error = at == WINDOW_NPAGES ? CMA_ENOMEM : CMA_OK;

    for (uint64_t i = 0; i < npages && error == CMA_OK; i++) {
        enum cma_attr here = mmu_linear_attr(paddr + i * BARE_PAGE);
        enum cma_attr there = mmu_window_attr(paddr + i * BARE_PAGE);
        if ((here != CMA_ATTR_NONE && here != attr) || (there != CMA_ATTR_NONE && there != attr))
            error = CMA_EEXIST;
    }
    if (error == CMA_OK) {
        for (uint64_t i = 0; i < npages; i++)
            mmu_set(&window.entries[at + i], mmu_page(paddr + i * BARE_PAGE, attr));
        mmu_written();
        *vaddr = (void *)(uintptr_t)(WINDOW_FIRST + at * BARE_PAGE);
    }
    irq_restore(state);
    return error;
}

void mmu_unmap(void *vaddr, uint64_t nbytes)
{
    uint64_t at = ((uintptr_t)vaddr - WINDOW_FIRST) / BARE_PAGE;

    for (uint64_t i = at; i < at + nbytes / BARE_PAGE; i++) {
        if (i >= WINDOW_NPAGES || !(window.entries[i] & PTE_VALID))
            bare_die("unmap of what is not mapped", (uintptr_t)vaddr);
        mmu_set(&window.entries[i], PTE_STALE);
        nstale++;
    }
    mmu_written();
}

void mmu_tlb_flush(void)
{
    mmu_counts.flushes++;
    __asm__ volatile("dsb ishst\n\ttlbi vmalle1is\n\tdsb ish\n\tisb" ::: "memory");
    for (uint32_t i = 0; i < ENTRIES && nstale; i++) {
        if (i < WINDOW_NPAGES && window.entries[i] == PTE_STALE) {
            mmu_set(&window.entries[i], 0);
            nstale--;
        }
        if (consistent.entries[i] == PTE_STALE) {
            mmu_set(&consistent.entries[i], 0);
            nstale--;
        }
    }
}

/* --- the consistent window ---------------------------------------------------------------------
 */

int mmu_window_make(uint64_t nbytes, void **vaddr)
{
    if (window_blocks.entries[1] != 0 || nbytes == 0 || nbytes > BLOCK_NBYTES)
        return CMA_ENOMEM;
    mmu_set(&window_blocks.entries[1], (uintptr_t)&consistent | PTE_TABLE);
    mmu_written();
    *vaddr = (void *)(uintptr_t)CONSISTENT_FIRST;
    return CMA_OK;
}

/* The entries that decide about [vaddr, vaddr + nbytes): all of them empty, or all valid. */
static uint64_t *mmu_window_entries(const void *vaddr, uint64_t nbytes, bool valid)
{
    uint64_t at = ((uintptr_t)vaddr - CONSISTENT_FIRST) / BARE_PAGE;

    for (uint64_t i = at; i < at + nbytes / BARE_PAGE; i++)
        if (i >= ENTRIES || (valid ? !(consistent.entries[i] & PTE_VALID) : consistent.entries[i]))
            bare_die("the consistent window is not as libcma believes", (uintptr_t)vaddr);
    return &consistent.entries[at];
}

void mmu_window_map(void *vaddr, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr)
{
    uint64_t *entries = mmu_window_entries(vaddr, nbytes, false);

    for (uint64_t i = 0; i < nbytes / BARE_PAGE; i++)
        mmu_set(&entries[i], mmu_page(paddr + i * BARE_PAGE, attr));
    mmu_written();
}

void mmu_window_unmap(void *vaddr, uint64_t nbytes)
{
    uint64_t *entries = mmu_window_entries(vaddr, nbytes, true);

    for (uint64_t i = 0; i < nbytes / BARE_PAGE; i++) {
        mmu_set(&entries[i], PTE_STALE);
        nstale++;
    }
    mmu_written();
}

void *mmu_borrow(cma_paddr_t paddr)
{
    enum cma_attr attr = mmu_window_attr(paddr);

    if (borrowed || !irq_is_masked())
        bare_die("borrowed twice", paddr);
    borrowed = true;
    mmu_set(&window.entries[WINDOW_NPAGES],
            mmu_page(paddr, attr == CMA_ATTR_NONE ? CMA_ATTR_CACHED : attr));
    mmu_written();
    return (void *)(uintptr_t)(WINDOW_FIRST + (uint64_t)WINDOW_NPAGES * BARE_PAGE +
                               (paddr & (BARE_PAGE - 1)));
}

void mmu_give_back(void)
{
    mmu_set(&window.entries[WINDOW_NPAGES], 0);
    mmu_flush_page(WINDOW_FIRST + (uint64_t)WINDOW_NPAGES * BARE_PAGE);
    borrowed = false;
}

/* --- the task ----------------------------------------------------------------------------------
 */

void *mmu_task_vaddr(uint32_t index)
{
    return (void *)(uintptr_t)(TASK_FIRST + (uint64_t)index * BARE_PAGE);
}

void mmu_task_set(uint32_t index, cma_paddr_t paddr)
{
    mmu_set(&task.entries[index], mmu_page(paddr, CMA_ATTR_CACHED));
    mmu_written();
}

void mmu_task_freeze(uint32_t index)
{
    mmu_set(&task.entries[index], (task.entries[index] & ~(uint64_t)PTE_VALID) | PTE_FROZEN);
    mmu_written();
}

void mmu_task_thaw(uint32_t index)
{
    mmu_set(&task.entries[index], (task.entries[index] & ~PTE_FROZEN) | PTE_VALID);
    mmu_written();
}

bool mmu_task_is_frozen(uint32_t index)
{
    return (task.entries[index] & PTE_FROZEN) != 0;
}

uint32_t mmu_task_index(uint64_t vaddr)
{
    uint64_t index = (vaddr - TASK_FIRST) / BARE_PAGE;

    return vaddr < TASK_FIRST || index >= MMU_TASK_NPAGES ? UINT32_MAX : (uint32_t)index;
}

/* --- the walker --------------------------------------------------------------------------------
 */

/* What this walk has seen of each frame: the walk's number, and the attributes. */
static uint32_t walk_seen[BARE_RAM_MAX / BARE_PAGE];
static uint32_t walk_number;

/* One mapping of one page; false when it disagrees with another one. */
static bool walk_page(uint64_t entry, cma_paddr_t paddr)
{
    uint32_t mark = walk_number << 4 | (uint32_t)mmu_attr(entry);
    uint64_t block, frame = (paddr - BARE_RAM) / BARE_PAGE;

    if (paddr - BARE_RAM >= BARE_RAM_MAX)
        return true;
    block = *mmu_block(paddr);
    if ((block & PTE_TABLE) == PTE_BLOCK && mmu_attr(block) != mmu_attr(entry))
        return false;
    if (walk_seen[frame] >> 4 == walk_number && walk_seen[frame] != mark)
        return false;
    walk_seen[frame] = mark;
    return true;
}

static bool walk_table(const struct table *table, cma_paddr_t *paddr, uint64_t *nleaves)
{
    for (uint32_t i = 0; i < ENTRIES; i++) {
        uint64_t entry = table->entries[i];
        if (!(entry & PTE_VALID))
            continue;
        ++*nleaves;
        if (!walk_page(entry, entry & PTE_ADDRESS)) {
            *paddr = entry & PTE_ADDRESS;
            return false;
        }
    }
    return true;
}

/* Level 2: tables of pages, and blocks. Blocks map memory in one place only, the linear mapping, so
 * that pages are held against them is enough. */
static bool walk_blocks(const struct table *table, cma_paddr_t *paddr, uint64_t *nleaves)
{
    for (uint32_t i = 0; i < ENTRIES; i++) {
        uint64_t entry = table->entries[i];
        if ((entry & PTE_TABLE) == PTE_TABLE) {
            if (!walk_table((const struct table *)(uintptr_t)(entry & PTE_ADDRESS), paddr, nleaves))
                return false;
        } else if (entry & PTE_VALID) {
            ++*nleaves;
            if (table != &memory_blocks || (entry & PTE_ADDRESS) != BARE_RAM + i * BLOCK_NBYTES) {
                *paddr = entry & PTE_ADDRESS;
                return false;
            }
        }
    }
    return true;
}

bool mmu_check_aliases(cma_paddr_t *paddr, uint64_t *nleaves)
{
    const struct table *const halves[2] = {&lower, &upper};

    walk_number++;
    *nleaves = 0;
    for (uint32_t half = 0; half < 2; half++)
        for (uint32_t i = 0; i < ENTRIES; i++) {
            uint64_t entry = halves[half]->entries[i];
            if ((entry & PTE_TABLE) == PTE_TABLE) {
                if (!walk_blocks((const struct table *)(uintptr_t)(entry & PTE_ADDRESS), paddr,
                                 nleaves))
                    return false;
            } else if (entry & PTE_VALID) {
                ++*nleaves;
                if ((entry & PTE_ADDRESS) == BARE_RAM)
                    return false;
            }
        }
    return true;
}

void mmu_make_alias(cma_paddr_t paddr, enum cma_attr attr)
{
    mmu_replace(&window.entries[WINDOW_NPAGES - 1],
                WINDOW_FIRST + (uint64_t)(WINDOW_NPAGES - 1) * BARE_PAGE,
                paddr ? mmu_page(paddr, attr) : 0);
}
