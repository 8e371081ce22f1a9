/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * linux.h - a stand-in for the kernel around mm/cma.c, lib/bitmap.c and lib/find_bit.c
 *
 * Written for this harness and included in front of every unmodified Linux file. Headers that Linux
 * asks for and that bench/build doesn't take from the same sources are empty files.
 * Not charged to Linux: disabled interrupts, preemption counts, lockdep, tracing, isolating page
 * blocks (two passes), lru_cache_disable (a grace period and work on all processors for each
 * try), reverse maps and TLB shootdowns for each moved page, splitting and merging free blocks.
 * As uncontended ones do in the kernel, spinlocks cost one locked instruction to take and a store
 * to let go, mutexes one locked instruction each way; contended mutexes spin.
 */
#ifndef BENCH_SHIM_LINUX_H
#define BENCH_SHIM_LINUX_H
#define _GNU_SOURCE
#include <stdint.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <stdarg.h>
#include <string.h>
#include <limits.h>
#include <errno.h>
#include <sched.h>
#include <ctype.h>
#include <sys/types.h>

#include "../peer.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int8_t s8;
typedef int16_t s16;
typedef int32_t s32;
typedef int64_t s64;
typedef unsigned long long __u64;
typedef uint32_t __u32;
typedef u32 __le32;
typedef u64 __le64;
typedef u32 __be32;
typedef u64 phys_addr_t;
typedef u64 dma_addr_t;
typedef u64 resource_size_t;
typedef unsigned int gfp_t;
typedef unsigned int slab_flags_t;
typedef unsigned int fgf_t;
typedef uint64_t pgprot_t;
typedef unsigned short umode_t;
typedef int acr_flags_t;
typedef u64 ktime_t;

/* ---- compiler ---- */
#define __init
#define __initdata
#define __exit
#define __iomem
#define __user
#define __percpu
#define __rcu
#define __read_mostly
#define __ro_after_init
#define __must_check
#define __force
#define __always_inline inline __attribute__((always_inline))
#define __attribute_const__ __attribute__((const))
#define __pure __attribute__((pure))
#define __maybe_unused __attribute__((unused))
#define __cold
#define __printf(a, b)
#define __counted_by(x)
#define __free(x)
#define noinline __attribute__((noinline))
#define fallthrough __attribute__((fallthrough))
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
#define barrier() __asm__ __volatile__("" ::: "memory")
#define READ_ONCE(x) (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#define data_race(x) (x)
#define EXPORT_SYMBOL(x)
#define EXPORT_SYMBOL_GPL(x)
#define EXPORT_SYMBOL_NS_GPL(x, n)
#define MODULE_LICENSE(x)
#define MODULE_DESCRIPTION(x)
#define core_initcall(fn) int (*shim_initcall_##fn)(void) = (int (*)(void))fn;
#define late_initcall(fn)
#define rootfs_initcall(fn)
#define device_initcall(fn)
#define early_param(a, fn) void *shim_param_##fn = (void *)fn;
#define __ADDRESSABLE(x)
#define typecheck(t, x) 1
#define BUILD_BUG_ON(x)
#define BUILD_BUG_ON_ZERO(e) 0
#define BUILD_BUG_ON_MSG(x, m)
#define static_assert _Static_assert
#define IS_ENABLED(x) 0
#define might_sleep() \
    do {              \
    } while (0)
#define might_alloc(x) \
    do {               \
        (void)(x);     \
    } while (0)
#define cond_resched() \
    do {               \
    } while (0)
#define DEFINE_FREE(n, t, f)
#define DEFINE_GUARD(...)
#define container_of(p, t, m) ((t *)((char *)(p)-offsetof(t, m)))
#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define BUG() __builtin_trap()
#define BUG_ON(x)             \
    do {                      \
        if (unlikely(x))      \
            __builtin_trap(); \
    } while (0)
#define WARN_ON(x)       \
    ({                   \
        int __w = !!(x); \
        unlikely(__w);   \
    })
#define WARN_ON_ONCE(x) WARN_ON(x)
#define WARN(x, ...) WARN_ON(x)
#define WARN_ONCE(x, ...) WARN_ON(x)
#define VM_BUG_ON(x) \
    do {             \
    } while (0)
#define VM_WARN_ON_ONCE(x) \
    do {                   \
    } while (0)
#define VM_WARN_ON(x) \
    do {              \
    } while (0)
#define U8_MAX UINT8_MAX
#define U32_MAX UINT32_MAX
#define U64_MAX UINT64_MAX
#define PHYS_ADDR_MAX (~(phys_addr_t)0)
#define UL(x) x##UL

/* ---- printing: silent ---- */
#define pr_err(...) \
    do {            \
    } while (0)
#define pr_warn(...) \
    do {             \
    } while (0)
#define pr_info(...) \
    do {             \
    } while (0)
#define pr_debug(...) \
    do {              \
    } while (0)
#define pr_cont(...) \
    do {             \
    } while (0)
#define pr_warn_once(...) \
    do {                  \
    } while (0)
#define pr_err_once(...) \
    do {                 \
    } while (0)
#define pr_info_once(...) \
    do {                  \
    } while (0)
#define pr_err_ratelimited(...) \
    do {                        \
    } while (0)
#define pr_warn_ratelimited(...) \
    do {                         \
    } while (0)
#define dev_err(...) \
    do {             \
    } while (0)
#define dev_warn(...) \
    do {              \
    } while (0)
#define dev_info(...) \
    do {              \
    } while (0)
#define dev_dbg(...) \
    do {             \
    } while (0)
#define dev_warn_ratelimited(...) \
    do {                          \
    } while (0)
#define dev_warn_once(...) \
    do {                   \
    } while (0)
#define dev_WARN_ONCE(d, c, ...) WARN_ON(c)
#define printk(...) \
    do {            \
    } while (0)
#define KERN_ERR
#define KERN_INFO
#define print_hex_dump(...) \
    do {                    \
    } while (0)
#define dump_stack() \
    do {             \
    } while (0)

/* ---- arithmetic ---- */
#define PAGE_SHIFT 12
#define PAGE_SIZE (1UL << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define offset_in_page(p) ((unsigned long)(p) & ~PAGE_MASK)
#define SZ_1M 0x100000UL
#define SZ_4G 0x100000000ULL
#define SZ_2K 2048
#define SMP_CACHE_BYTES 64
#define ____cacheline_aligned_in_smp __attribute__((aligned(64)))
#define __ALIGN_MASK(x, m) (((x) + (m)) & ~(m))
#define ALIGN(x, a) __ALIGN_MASK(x, (__typeof__(x))(a)-1)
#define __ALIGN_KERNEL ALIGN
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a)-1))
#define IS_ALIGNED(x, a) (((x) & ((__typeof__(x))(a)-1)) == 0)
#define PAGE_ALIGN(x) ALIGN(x, PAGE_SIZE)
#define DIV_ROUND_UP(n, d) (((n) + (d)-1) / (d))
#define round_up(x, y) ((((x)-1) | ((__typeof__(x))((y)-1))) + 1)
#define round_down(x, y) ((x) & ~((__typeof__(x))((y)-1)))
#define rounddown(x, y) ((x) - ((x) % (y)))
#define roundup(x, y) ((((x) + (y)-1) / (y)) * (y))
#define min(a, b)             \
    ({                        \
        __auto_type _a = (a); \
        __auto_type _b = (b); \
        _a < _b ? _a : _b;    \
    })
#define max(a, b)             \
    ({                        \
        __auto_type _a = (a); \
        __auto_type _b = (b); \
        _a > _b ? _a : _b;    \
    })
#define min_t(t, a, b)     \
    ({                     \
        t _a = (a);        \
        t _b = (b);        \
        _a < _b ? _a : _b; \
    })
#define max_t(t, a, b)     \
    ({                     \
        t _a = (a);        \
        t _b = (b);        \
        _a > _b ? _a : _b; \
    })
#define umin(a, b) min_t(u64, a, b)
#define umax(a, b) max_t(u64, a, b)
#define min_not_zero(x, y)                           \
    ({                                               \
        __auto_type _x = (x);                        \
        __auto_type _y = (y);                        \
        _x == 0 ? _y : (_y == 0 ? _x : min(_x, _y)); \
    })
#define clamp_t(t, v, l, h) min_t(t, max_t(t, v, l), h)
#define swap(a, b)              \
    do {                        \
        __typeof__(a) _t = (a); \
        (a) = (b);              \
        (b) = _t;               \
    } while (0)
#define array_size(a, b) ((size_t)(a) * (b))
#define struct_size(p, m, n) (sizeof(*(p)) + sizeof((p)->m[0]) * (n))
#define upper_32_bits(n) ((u32)((n) >> 32))
#define lower_32_bits(n) ((u32)(n))
static inline bool is_power_of_2(unsigned long n)
{
    return n && !(n & (n - 1));
}
static inline int fls64(u64 x)
{
    return x ? 64 - __builtin_clzll(x) : 0;
}
static inline int fls(unsigned x)
{
    return x ? 32 - __builtin_clz(x) : 0;
}
static inline int fls_long(unsigned long x)
{
    return fls64(x);
}
static inline int ffs_k(int x)
{
    return __builtin_ffs(x);
}
#define ilog2(n) (63 - __builtin_clzll((u64)(n)))
#define roundup_pow_of_two(n) ((n) <= 1 ? 1UL : 1UL << fls64((u64)(n)-1))
#define rounddown_pow_of_two(n) (1UL << (fls64((u64)(n)) - 1))
#define order_base_2(n) ((n) > 1 ? fls64((u64)(n)-1) : 0)
static inline int get_order(unsigned long size)
{
    if (!size)
        return 64 - PAGE_SHIFT;
    size--;
    size >>= PAGE_SHIFT;
    return fls64(size);
}
static inline int get_count_order(unsigned c)
{
    return c ? fls(c - 1) : -1;
}

/* ---- bits ---- */
#define BITS_PER_BYTE 8
#define BITS_PER_LONG 64
#define BITS_PER_LONG_LONG 64
#define BIT(n) (1UL << (n))
#define BIT_ULL(n) (1ULL << (n))
#define BIT_MASK(nr) (1UL << ((nr) % BITS_PER_LONG))
#define BIT_WORD(nr) ((nr) / BITS_PER_LONG)
#define BITS_TO_LONGS(n) DIV_ROUND_UP(n, BITS_PER_LONG)
#define BITS_TO_U32(n) DIV_ROUND_UP(n, 32)
#define BITS_TO_U64(n) DIV_ROUND_UP(n, 64)
#define BITS_TO_BYTES(n) DIV_ROUND_UP(n, 8)
#define BYTES_TO_BITS(n) ((n)*8)
#define GENMASK(h, l) ((~0UL - (1UL << (l)) + 1) & (~0UL >> (BITS_PER_LONG - 1 - (h))))
#define GENMASK_ULL GENMASK
#define small_const_nbits(n) (__builtin_constant_p(n) && (n) <= BITS_PER_LONG && (n) > 0)
#define __ffs(x) ((unsigned long)__builtin_ctzl(x))
#define __fls(x) ((unsigned long)(63 - __builtin_clzl(x)))
#define ffz(x) __ffs(~(x))
static inline unsigned long hweight_long(unsigned long w)
{
    __asm__("popcntq %0,%0" : "+r"(w)::"cc");
    return w;
}
#define hweight64 hweight_long
#define hweight32(w) hweight_long((u32)(w))
#define hweight8(w) hweight_long((u8)(w))
#define swab32 __builtin_bswap32
#define swab64 __builtin_bswap64
#define swab(x) __builtin_bswap64(x)
#define cpu_to_le32(x) (x)
#define cpu_to_le64(x) (x)
#define le64_to_cpu(x) (x)
#define le32_to_cpu(x) (x)
static inline void __set_bit(unsigned long n, volatile unsigned long *a)
{
    ((unsigned long *)a)[BIT_WORD(n)] |= BIT_MASK(n);
}
static inline void __clear_bit(unsigned long n, volatile unsigned long *a)
{
    ((unsigned long *)a)[BIT_WORD(n)] &= ~BIT_MASK(n);
}
static inline bool test_bit(unsigned long n, const volatile unsigned long *a)
{
    return (a[BIT_WORD(n)] >> (n & 63)) & 1;
}
static inline void set_bit(unsigned long n, volatile unsigned long *a)
{
    __atomic_fetch_or((unsigned long *)a + BIT_WORD(n), BIT_MASK(n), __ATOMIC_RELAXED);
}
static inline void clear_bit(unsigned long n, volatile unsigned long *a)
{
    __atomic_fetch_and((unsigned long *)a + BIT_WORD(n), ~BIT_MASK(n), __ATOMIC_RELAXED);
}
static inline bool test_and_set_bit(unsigned long n, volatile unsigned long *a)
{
    return __atomic_fetch_or((unsigned long *)a + BIT_WORD(n), BIT_MASK(n), __ATOMIC_SEQ_CST) &
           BIT_MASK(n);
}
static inline bool __test_and_set_bit(unsigned long n, volatile unsigned long *a)
{
    bool r = test_bit(n, a);
    __set_bit(n, a);
    return r;
}
static inline bool __test_and_clear_bit(unsigned long n, volatile unsigned long *a)
{
    bool r = test_bit(n, a);
    __clear_bit(n, a);
    return r;
}
#define assign_bit(n, a, v) ((v) ? set_bit(n, a) : clear_bit(n, a))
#define __assign_bit(n, a, v) ((v) ? __set_bit(n, a) : __clear_bit(n, a))
static inline unsigned long fns(unsigned long w, unsigned int n)
{
    while (w && n--)
        w &= w - 1;
    return w ? __ffs(w) : 64;
}
u32 get_random_u32_below(u32);

/* ---- atomics, locks: uncontended cost of the kernel's (one locked op) ---- */
typedef struct {
    int counter;
} atomic_t;
typedef struct {
    s64 counter;
} atomic64_t;
typedef struct {
    long counter;
} atomic_long_t;
#define ATOMIC_INIT(i) \
    {                  \
        i              \
    }
#define ATOMIC_LONG_INIT(i) \
    {                       \
        i                   \
    }
#define atomic_read(v) READ_ONCE((v)->counter)
#define atomic_long_read(v) READ_ONCE((v)->counter)
#define atomic64_read(v) READ_ONCE((v)->counter)
#define atomic_set(v, i) WRITE_ONCE((v)->counter, i)
#define atomic_long_set(v, i) WRITE_ONCE((v)->counter, i)
#define atomic_long_add(i, v) ((void)__atomic_fetch_add(&(v)->counter, i, __ATOMIC_SEQ_CST))
#define atomic_long_sub(i, v) ((void)__atomic_fetch_sub(&(v)->counter, i, __ATOMIC_SEQ_CST))
#define atomic_long_add_return(i, v) __atomic_add_fetch(&(v)->counter, i, __ATOMIC_SEQ_CST)
#define atomic_long_try_cmpxchg(v, o, n) \
    __atomic_compare_exchange_n(&(v)->counter, o, n, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
#define atomic64_add(i, v) ((void)__atomic_fetch_add(&(v)->counter, i, __ATOMIC_SEQ_CST))
#define atomic_inc(v) ((void)__atomic_fetch_add(&(v)->counter, 1, __ATOMIC_SEQ_CST))
#define cmpxchg(p, o, n)                                                               \
    ({                                                                                 \
        __typeof__(*(p)) _o = (o);                                                     \
        __atomic_compare_exchange_n(p, &_o, n, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
        _o;                                                                            \
    })
#define try_cmpxchg(p, po, n) \
    __atomic_compare_exchange_n(p, po, n, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
#define cpu_relax() __builtin_ia32_pause()
#define smp_wmb() barrier()
#define smp_rmb() barrier()
#define smp_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define smp_load_acquire(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
typedef struct {
    int v;
} spinlock_t;
typedef spinlock_t raw_spinlock_t;
struct mutex {
    spinlock_t l;
};
#define DEFINE_MUTEX(n) struct mutex n = {{0}}
#define DEFINE_SPINLOCK(n) spinlock_t n = {0}
#define DEFINE_RAW_SPINLOCK(n) spinlock_t n = {0}
static __always_inline void spin_lock(spinlock_t *l)
{
    int z = 0;
    if (likely(__atomic_compare_exchange_n(&l->v, &z, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)))
        return;
    for (;;) {
        for (int i = 0; i < 2000 && __atomic_load_n(&l->v, __ATOMIC_RELAXED); i++)
            cpu_relax();
        z = 0;
        if (__atomic_compare_exchange_n(&l->v, &z, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return;
        sched_yield();
    }
}
static __always_inline void spin_unlock(spinlock_t *l)
{
    __atomic_store_n(&l->v, 0, __ATOMIC_RELEASE);
}
#define spin_lock_init(l) ((l)->v = 0)
#define spin_lock_irq spin_lock
#define spin_unlock_irq spin_unlock
#define spin_lock_irqsave(l, f) \
    do {                        \
        (f) = 0;                \
        (void)(f);              \
        spin_lock(l);           \
    } while (0)
#define spin_unlock_irqrestore(l, f) \
    do {                             \
        (void)(f);                   \
        spin_unlock(l);              \
    } while (0)
#define local_irq_save(f) ((void)((f) = 0))
#define local_irq_restore(f) ((void)(f))
#define mutex_init(m) ((m)->l.v = 0)
#define mutex_lock(m) spin_lock(&(m)->l)
#define mutex_unlock(m)                                                                        \
    do {                                                                                       \
        int _o = 1;                                                                            \
        __atomic_compare_exchange_n(&(m)->l.v, &_o, 0, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED); \
    } while (0)
#define rcu_read_lock() barrier()
#define rcu_read_unlock() barrier()
#define rcu_dereference(p) READ_ONCE(p)
#define rcu_assign_pointer(p, v) smp_store_release(&(p), v)
#define lockdep_assert_held(x)
#define in_nmi() 0
#define CONFIG_ARCH_HAVE_NMI_SAFE_CMPXCHG 1
#define guard(x) (void)
#define kref_init(x)

/* ---- list: types first, the rest is upstream linux/list.h ---- */
struct list_head {
    struct list_head *next, *prev;
};
struct hlist_head {
    struct hlist_node *first;
};
struct hlist_node {
    struct hlist_node *next, **pprev;
};
struct rcu_head {
    void *p;
};
#define LIST_POISON1 ((void *)0x100)
#define LIST_POISON2 ((void *)0x122)
#define POISON_POINTER_DELTA 0

/* ---- memory ---- */
#define GFP_KERNEL 1u
#define GFP_ATOMIC 2u
#define GFP_NOWAIT 2u
#define __GFP_ZERO 0x100u
#define __GFP_NOWARN 0x200u
#define __GFP_COMP 0x400u
#define __GFP_NORETRY 0
#define GFP_DMA 0
#define GFP_DMA32 0
#define __GFP_HIGHMEM 0
#define NUMA_NO_NODE (-1)
#define kmalloc(s, g) (((g)&__GFP_ZERO) ? calloc(1, s) : malloc(s))
#define kzalloc(s, g) calloc(1, s)
#define kcalloc(n, s, g) calloc(n, s)
#define kmalloc_array(n, s, g) kmalloc((size_t)(n) * (s), g)
#define kmalloc_array_node(n, s, g, nd) kmalloc((size_t)(n) * (s), g)
#define kmalloc_node(s, g, n) kmalloc(s, g)
#define kzalloc_node(s, g, n) calloc(1, s)
#define kvmalloc_array(n, s, g) kmalloc((size_t)(n) * (s), g)
#define kvfree free
#define vzalloc_node(s, n) calloc(1, s)
#define vfree free
#define kfree(p) free((void *)(p))
#define kfree_const(p) free((void *)(p))
#define kmalloc_obj(...) malloc(sizeof(__VA_ARGS__))
#define kzalloc_obj(x, ...) calloc(1, sizeof(x))
#define kzalloc_objs(x, n, ...) calloc(n, sizeof(x))
#define kmalloc_objs(x, n, ...) malloc((n) * sizeof(x))
#define kstrdup_const(s, g) strdup(s)
#define kasprintf(g, ...) ((char *)0)
#define kvasprintf_const(...) ((char *)0)
#define want_init_on_alloc(f) ((f)&__GFP_ZERO)
#define want_init_on_free() 0
#define IS_ERR(p) ((unsigned long)(p) >= (unsigned long)-4095)
#define IS_ERR_OR_NULL(p) (!(p) || IS_ERR(p))
#define ERR_PTR(e) ((void *)(long)(e))
#define ERR_CAST(e) ((void *)(e))
#define PTR_ERR(p) ((long)(p))
static inline ssize_t strscpy_3(char *d, const char *s, size_t n)
{
    size_t l = strlen(s);
    if (l >= n)
        l = n - 1;
    memcpy(d, s, l);
    d[l] = 0;
    return l;
}
#define __strscpy2(d, s) strscpy_3(d, s, sizeof(d))
#define __strscpy3(d, s, n) strscpy_3(d, s, n)
#define __strscpy_sel(a, b, c, N, ...) N
#define strscpy(...) __strscpy_sel(__VA_ARGS__, __strscpy3, __strscpy2)(__VA_ARGS__)
#define scnprintf snprintf
#define sysfs_emit(b, ...) sprintf(b, __VA_ARGS__)
#define sysfs_emit_at(b, at, ...) sprintf((b) + (at), __VA_ARGS__)
#define str_plural(n) ""

/* ---- pages: a struct page is 64 bytes, its array may be unbacked ---- */
struct zone {
    int x;
};
struct page {
    unsigned long flags;
    int _refcount;
    char pad[64 - 16];
};
struct folio {
    struct page page;
};
extern struct page *shim_memmap;
extern unsigned long shim_base_pfn;
extern int shim_touch;
extern struct peer_world *shim_world;
#define pfn_to_page(pfn) (shim_memmap + (pfn))
#define page_to_pfn(p) ((unsigned long)((p)-shim_memmap))
#define nth_page(p, n) ((p) + (n))
#define pfn_valid(p) 1
extern struct zone shim_zone;
#define page_zone(p) ((void)(p), &shim_zone)
#define page_kasan_tag_reset(p) \
    do {                        \
        (void)(p);              \
    } while (0)
#define pfn_range_intersects_zones(n, p, c) false
#define page_range_contiguous(p, c) ((void)(p), true)
#define page_folio(p) ((struct folio *)(p))
#define folio_test_large(f) 1
#define folio_nr_pages(f) 1UL
#define PFN_DOWN(x) ((unsigned long)((x) >> PAGE_SHIFT))
#define PFN_UP(x) (((x) + PAGE_SIZE - 1) >> PAGE_SHIFT)
#define PFN_PHYS(x) ((phys_addr_t)(x) << PAGE_SHIFT)
#define PHYS_PFN(x) ((unsigned long)((x) >> PAGE_SHIFT))
#define __pa(x) ((phys_addr_t)(unsigned long)(x))
#define __va(x) ((void *)(unsigned long)(x))
#define phys_to_virt(x) ((void *)(unsigned long)(x))
#define virt_to_phys(x) ((phys_addr_t)(unsigned long)(x))
#define virt_to_page(x) pfn_to_page(PFN_DOWN(__pa(x)))
#define page_to_phys(p) PFN_PHYS(page_to_pfn(p))
#define page_address(p) ((void *)PFN_PHYS(page_to_pfn(p)))
#define PageHighMem(p) ((void)(p), 0)
#define high_memory ((void *)0x7fffffffffffUL)
#define MAX_ORDER 11
#define MAX_PAGE_ORDER 10
#define pageblock_order 9
#define pageblock_nr_pages 512UL
enum { MIGRATE_CMA = 4 };
#define ACR_FLAGS_CMA 1
int shim_contig_alloc(unsigned long start, unsigned long end);
void shim_contig_free(unsigned long pfn, unsigned long n);
#define alloc_contig_range(s, e, ...) shim_contig_alloc(s, e)
#define alloc_contig_frozen_range(s, e, ...) shim_contig_alloc(s, e)
#define free_contig_range(p, n) shim_contig_free(p, n)
#define free_contig_frozen_range(p, n) shim_contig_free(p, n)
static inline void set_pages_refcounted(struct page *p, unsigned long n)
{
    if (shim_touch)
        for (unsigned long i = 0; i < n; i++)
            WRITE_ONCE(p[i]._refcount, 1);
}
/* only the 7.x release path calls this one page at a time */
static inline int put_page_testzero(struct page *p)
{
    if (shim_touch)
        return __atomic_sub_fetch(&p->_refcount, 1, __ATOMIC_SEQ_CST) == 0;
    return 1;
}
static inline void init_cma_reserved_pageblock(struct page *p)
{
    (void)p;
}
static inline void free_reserved_page(struct page *p)
{
    (void)p;
}
#define memblock_is_region_reserved(b, s) true
#define memblock_reserve(b, s) 0
#define memblock_end_of_DRAM() (~0ULL)
#define memblock_bottom_up() true
#define memblock_set_bottom_up(x) \
    do {                          \
    } while (0)
static inline phys_addr_t shim_mb(void)
{
    return 0;
}
#define memblock_alloc_range_nid(...) shim_mb()
#define memblock_phys_free(b, s) \
    do {                         \
    } while (0)
#define memblock_free_late(b, s) \
    do {                         \
    } while (0)
#define memblock_free(b, s) \
    do {                    \
    } while (0)
#define kmemleak_ignore_phys(x) \
    do {                        \
    } while (0)
#define CMA_ALLOC_SUCCESS 0
#define CMA_ALLOC_FAIL 1
#define count_vm_event(x) \
    do {                  \
    } while (0)
#define trace_cma_alloc_start(...) \
    do {                           \
    } while (0)
#define trace_cma_alloc_finish(...) \
    do {                            \
    } while (0)
#define trace_cma_alloc_busy_retry(...) \
    do {                                \
    } while (0)
#define trace_cma_release(...) \
    do {                       \
    } while (0)
#define CONFIG_CMA 1
#define CONFIG_CMA_AREAS 7
extern unsigned long totalcma_pages;

/* ---- what else mm/cma.c mentions ---- */
struct kobject {
    int x;
};
struct vm_area_struct;
#define set_memory_decrypted(a, n) 0
#define __acquires(...)
#define __releases(...)
#define __must_hold(...)
#define __guarded_by(...)
#define __context_unsafe(...)
#define MEMBLOCK_NONE 0
#define for_each_free_mem_range(i, n, f, s, e, x) for (*(s) = *(e) = (i) = 0; (i) < 0;)
#define __no_context_analysis
#define KSTRTOX_OVERFLOW (1U << 31)
#endif
