/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bare.h - aarch64 without an operating system: QEMU's `virt` machine, one processor
 *
 *   console.c   PL011, and the exit code by semihosting
 *   mmu.c       page tables: the linear mapping, a window for port->map, a task's own tables
 *   thread.c    threads, the timer that switches them, waiting
 *   port.c      the hooks that libcma calls, and the log of what they did
 *   edu.c       QEMU's `edu` PCI device: DMA with a settable number of address lines
 *   shim.c      the dozen functions of a C library that the compiler and libfdt want
 *
 * Memory map: the linear mapping is the identity. Memory of areas is in it by pages, all other
 * memory by blocks of 2 MiB. The task's tables are the upper half's (TTBR1), so its addresses lead
 * nowhere but through them.
 */
#ifndef BARE_H
#define BARE_H

#include <cma/port.h>

/* The machine: QEMU virt, gic-version=2. Memory and the PCI bus come from its tree. */
#define BARE_UART 0x09000000u
#define BARE_GICD 0x08000000u
#define BARE_GICC 0x08010000u
#define BARE_RAM UINT64_C(0x40000000)
#define BARE_RAM_MAX UINT64_C(0x40000000) /* as much of it as the linear mapping can hold */
#define BARE_PCI_MMIO 0x10000000u
#define BARE_PAGE 4096u
#define BARE_LINE 64u

extern char bare_image_first[], bare_image_end[];

/* The image's own: called with the tree's address on the first stack, everything else still off. */
void bare_start(const void *dtb);

/* --- console.c ---------------------------------------------------------------------------------
 */
void bare_print(const char *text);
void bare_print_u64(uint64_t value);
void bare_print_hex(uint64_t value);
/* A line of text and numbers: %s string, %u uint64_t, %x uint64_t in hexadecimal, %d int. Every %u
 * and %x must be given a uint64_t. */
void bare_printf(const char *format, ...);
_Noreturn void bare_exit(int code);
/* Says what is wrong and where, and ends with exit code 1. */
_Noreturn void bare_die(const char *what, uint64_t value);

/* --- mmu.c -------------------------------------------------------------------------------------
 */
/* First of all: identity for devices, and for BARE_RAM_MAX bytes of memory by blocks. */
void mmu_start(void);
/* When the tree has told what memory there is. Whole blocks that are no part of [first, last] are
 * not mapped any more. */
void mmu_keep_linear(cma_paddr_t first, cma_paddr_t last);
/* [paddr, paddr + nbytes), whole blocks: leaves the linear mapping; is mapped by pages from now on
 * (nobody may use it meanwhile). */
void mmu_unmap_linear(cma_paddr_t paddr, uint64_t nbytes);
void mmu_split_linear(cma_paddr_t paddr, uint64_t nbytes);
bool mmu_is_linear(cma_paddr_t paddr);
/* The port's hooks of the same names, and a flush that takes effect at once. */
int mmu_map(cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr, void **vaddr);
void mmu_unmap(void *vaddr, uint64_t nbytes);
int mmu_window_make(uint64_t nbytes, void **vaddr);
void mmu_window_map(void *vaddr, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr);
void mmu_window_unmap(void *vaddr, uint64_t nbytes);
void mmu_set_attr(cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr);
int mmu_lookup(const void *vaddr, cma_paddr_t *paddr, enum cma_attr *attr);
void mmu_tlb_flush(void);
/* A CPU address for one page without linear mapping, for a moment, with interrupts off: the
 * attributes are those of the mapping that it has, if any. */
void *mmu_borrow(cma_paddr_t paddr);
void mmu_give_back(void);

/* The task's page `index` (below MMU_TASK_NPAGES) and its entry. A changed valid entry needs a
 * flush; one that was not valid needs none. */
#define MMU_TASK_NPAGES 512u
void *mmu_task_vaddr(uint32_t index);
void mmu_task_set(uint32_t index, cma_paddr_t paddr);
void mmu_task_freeze(uint32_t index);
void mmu_task_thaw(uint32_t index);
bool mmu_task_is_frozen(uint32_t index);
/* Which page of the task an address is in, or UINT32_MAX. */
uint32_t mmu_task_index(uint64_t vaddr);

/* Counts, to be compared with what the architecture asks for. */
struct mmu_counts {
    uint64_t broken; /* valid entries that were taken away and flushed before being changed */
    uint64_t page_flushes, flushes;
};
extern struct mmu_counts mmu_counts;
/* For a control: valid entries are overwritten. */
extern bool mmu_forget_break;

/*
 * Walks the live tables of both halves. True if no frame of memory has two mappings whose
 * attributes differ; otherwise *paddr is the first that has. *nleaves counts the mappings seen.
 */
bool mmu_check_aliases(cma_paddr_t *paddr, uint64_t *nleaves);
/* For a test of the walker: an entry of the window that the port would never make. 0 removes it. */
void mmu_make_alias(cma_paddr_t paddr, enum cma_attr attr);

/* --- thread.c ----------------------------------------------------------------------------------
 */
/* Starts interrupts and the timer; who calls becomes the first thread. A tick comes after 1 to
 * `max_tick_ns`, by chance that is the same in each run. */
void thread_start(uint64_t max_tick_ns);
/* Makes the distances so much longer, for who waits or works long: QEMU takes its time for each
 * tick. Returns the factor that was. */
uint64_t thread_stretch(uint64_t factor);
/* Ends the process when there is no place. The thread ends when `run` returns. */
void thread_spawn(void (*run)(void *arg), void *arg);
/* Until all others but the idle one have ended. */
void thread_join(void);
void thread_yield(void);
/* Sleeps until the next interrupt. */
void thread_relax(void);
void thread_wait(const uint32_t *event, uint32_t seen);
void thread_wake(const uint32_t *event);
uint64_t thread_time_ns(void);
/* Who says what to do about an access to vaddr that faulted: *event is what its thread waits for
 * (the access is made again then), NULL: make it again at once. False: it is an error. Called with
 * interrupts off. */
void thread_on_fault(bool (*fault)(uint64_t vaddr, const uint32_t **event));
uint64_t thread_switches(void);
uint64_t thread_faults(void);

static inline uintptr_t irq_save(void)
{
    uintptr_t state;
    __asm__ volatile("mrs %0, daif\n\tmsr daifset, #2" : "=r"(state)::"memory");
    return state;
}

static inline void irq_restore(uintptr_t state)
{
    __asm__ volatile("msr daif, %0" ::"r"(state) : "memory");
}

static inline bool irq_is_masked(void)
{
    uintptr_t state;
    __asm__ volatile("mrs %0, daif" : "=r"(state)::"memory");
    return (state & 0x80) != 0;
}

/* --- port.c ------------------------------------------------------------------------------------
 */
extern const struct cma_port bare_port;

enum bare_op {
    BARE_OP_MAP,
    BARE_OP_UNMAP,
    BARE_OP_SET_ATTR,
    BARE_OP_CLEAN,
    BARE_OP_INVALIDATE,
    BARE_OP_BARRIER,
    BARE_OP_FLUSH,
    BARE_OP_COPY,
    BARE_OP_ZERO
};
struct bare_entry {
    enum bare_op op;
    enum cma_attr attr;
    cma_paddr_t paddr, to; /* to: of a copy */
    uint64_t nbytes;
    uint64_t done; /* lines cleaned or invalidated by instructions; entries broken and flushed */
};
#define BARE_LOG_MAX 1024u
struct bare_log {
    struct bare_entry entries[BARE_LOG_MAX];
    uint32_t count;
    bool lost; /* it was full */
};
extern struct bare_log bare_log;
void bare_log_begin(void);
const char *bare_op_name(enum bare_op op);

/* --- edu.c -------------------------------------------------------------------------------------
 */
#define EDU_NBYTES_MAX 2048u /* of one transfer: QEMU 7.2 dies of 4,096 */
struct edu {
    volatile uint8_t *registers;
    uint64_t transfers;
};
/* Finds it behind this ECAM window and switches it on. False: there is none. */
bool edu_start(struct edu *edu, cma_paddr_t ecam, uint64_t nbytes);
/* Its own memory is EDU_NBYTES_MAX * 2 bytes at `at`. Sleeps until it is done: 100 ms of the
 * machine's time. False: malformed, or no end. */
bool edu_from_memory(struct edu *edu, cma_daddr_t daddr, uint32_t at, uint32_t nbytes);
bool edu_to_memory(struct edu *edu, uint32_t at, cma_daddr_t daddr, uint32_t nbytes);

#endif
