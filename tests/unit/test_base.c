/* SPDX-License-Identifier: BSD-2-Clause */
/* test_base.c - bits, bitmaps and bit trees against naive loops; ports and errors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "../../src/base/bitmap.h"
#include "../../src/base/bits.h"
#include "../../src/base/bittree.h"
#include "../../src/base/guard.h"

static uint64_t base_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static void test_bits(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 32; i++) {
        uint32_t bit = UINT32_C(1) << i;

        assert_int_equal(bits_lowest(bit), i);
        assert_int_equal(bits_highest(bit), i);
        assert_int_equal(bits_lowest(UINT32_MAX << i), i);
        assert_int_equal(bits_highest(UINT32_MAX >> i), 31 - i);
        assert_int_equal(bits_count(UINT32_MAX >> i), 32 - i);
        for (uint32_t j = i; j < 32; j++) {
            assert_int_equal(bits_count(bits_mask(i, j)), j - i + 1);
            assert_int_equal(bits_lowest(bits_mask(i, j)), i);
            assert_int_equal(bits_highest(bits_mask(i, j)), j);
        }
    }
    assert_int_equal(bits_count(0), 0);
    for (uint64_t seed = 1, i = 0; i < 1000; i++) {
        uint32_t word = (uint32_t)base_random(&seed) << 1 ^ (uint32_t)base_random(&seed);

        assert_int_equal(bits_count(word), __builtin_popcount(word));
    }
    assert_int_equal(bits_min(UINT64_MAX, 3), 3);
    assert_int_equal(bits_max(UINT64_MAX, 3), UINT64_MAX);
}

#define NBITS 130u

static uint32_t naive_count(const bool *bits, uint32_t first, uint32_t last)
{
    uint32_t count = 0;

    for (uint32_t i = first; i <= last; i++) {
        count += bits[i] ? 1 : 0;
    }
    return count;
}

static uint32_t naive_search(const bool *bits, uint32_t first, uint32_t last, bool set, bool up)
{
    for (uint32_t i = 0; i <= last - first; i++) {
        uint32_t at = up ? first + i : last - i;

        if (bits[at] == set) {
            return at;
        }
    }
    return CMA__BIT_NONE;
}

/* Every range of a bitmap of odd size, over several fillings. */
static void test_bitmap(void **state)
{
    uint32_t map[(NBITS + 31) / 32] = {0};
    bool bits[NBITS] = {false};
    uint64_t seed = 7;

    (void)state;
    for (uint32_t round = 0; round < 12; round++) {
        uint32_t a = (uint32_t)base_random(&seed) % NBITS;
        uint32_t b = (uint32_t)base_random(&seed) % NBITS;
        uint32_t first = a < b ? a : b, last = a < b ? b : a;

        if (round % 3 == 2) {
            cma__bitmap_clear(map, first, last);
        } else {
            cma__bitmap_set(map, first, last);
        }
        for (uint32_t i = first; i <= last; i++) {
            bits[i] = round % 3 != 2;
        }
        for (uint32_t i = 0; i < NBITS; i++) {
            assert_int_equal(bitmap_test(map, i), bits[i]);
            for (uint32_t j = i; j < NBITS; j++) {
                assert_int_equal(cma__bitmap_count(map, i, j), naive_count(bits, i, j));
                for (int set = 0; set < 2; set++) {
                    assert_int_equal(cma__bitmap_lowest(map, i, j, set != 0),
                                     naive_search(bits, i, j, set != 0, true));
                    assert_int_equal(cma__bitmap_highest(map, i, j, set != 0),
                                     naive_search(bits, i, j, set != 0, false));
                }
            }
        }
    }
}

/* Sets, clears and searches at every size around the borders of words and levels. */
static void bittree_size(uint32_t nbits, uint32_t steps)
{
    uint32_t words = cma__bittree_words(nbits);
    uint32_t *tree = calloc(words + 1, sizeof(uint32_t));
    bool *bits = calloc(nbits, sizeof(bool));
    uint64_t seed = nbits;

    tree[words] = 0xfeedbeef; /* behind the end */
    for (uint32_t i = 0; i < steps; i++) {
        uint32_t bit = (uint32_t)base_random(&seed) % nbits;
        /* Runs of mostly setting and mostly clearing, so that levels fill and empty. */
        bool set = base_random(&seed) % 8 < (i / (steps / 4 + 1) % 2 == 0 ? 6u : 1u);
        uint32_t at = (uint32_t)base_random(&seed) % nbits;

        bits[bit] = set;
        if (set) {
            cma__bittree_set(tree, nbits, bit);
        } else {
            cma__bittree_clear(tree, nbits, bit);
        }
        assert_true(cma__bittree_check(tree, nbits));
        assert_int_equal(cma__bittree_next(tree, nbits, at),
                         naive_search(bits, at, nbits - 1, true, true));
        assert_int_equal(cma__bittree_prev(tree, nbits, at),
                         naive_search(bits, 0, at, true, false));
    }
    for (uint32_t i = 0; i < nbits; i++) {
        assert_int_equal(bitmap_test(tree, i), bits[i]);
    }
    assert_int_equal(tree[words], 0xfeedbeef);
    free(tree);
    free(bits);
}

static void test_bittree(void **state)
{
    static const uint32_t sizes[] = {1,    2,    31,   32,   33,   63,    64,    65,   1023,
                                     1024, 1025, 1056, 1057, 2048, 32767, 32768, 32769};

    (void)state;
    for (uint32_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        bittree_size(sizes[i], sizes[i] > 4000 ? 600 : 3000);
    }
    assert_int_equal(cma__bittree_words(32), 1);
    assert_int_equal(cma__bittree_words(33), 3);
    assert_int_equal(cma__bittree_words(1024), 33);
    assert_int_equal(cma__bittree_words(1025), 33 + 2 + 1);
    assert_true(cma__bittree_words(UINT32_MAX) > UINT32_MAX / 32);
}

/* The check sees a wrong summary and a bit behind the end. */
static void test_bittree_check(void **state)
{
    uint32_t tree[64] = {0};

    (void)state;
    cma__bittree_set(tree, 40, 39);
    assert_true(cma__bittree_check(tree, 40));
    tree[2] ^= 1;
    assert_false(cma__bittree_check(tree, 40));
    tree[2] ^= 1;
    tree[1] |= 1u << 8;
    assert_false(cma__bittree_check(tree, 40));
}

static void *some_vaddr(void *ctx, cma_paddr_t paddr)
{
    (void)ctx;
    (void)paddr;
    return NULL;
}
static int some_map(void *ctx, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr, void **vaddr)
{
    (void)ctx;
    (void)paddr;
    (void)nbytes;
    (void)attr;
    (void)vaddr;
    return 0;
}
static void some_unmap(void *ctx, void *vaddr, uint64_t nbytes)
{
    (void)ctx;
    (void)vaddr;
    (void)nbytes;
}
static void some_range(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx;
    (void)paddr;
    (void)nbytes;
}
static void some_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    (void)ctx;
    (void)to;
    (void)from;
    (void)nbytes;
}
static void some_barrier(void *ctx)
{
    (void)ctx;
}
static uintptr_t some_lock(void *ctx, struct cma_lock *lock)
{
    (void)ctx;
    lock->word[0]++;
    return 5;
}
static void some_unlock(void *ctx, struct cma_lock *lock, uintptr_t was)
{
    (void)ctx;
    lock->word[1] = was;
}
static void some_wait(void *ctx, const uint32_t *event, uint32_t seen)
{
    (void)ctx;
    (void)event;
    (void)seen;
}
static void some_wake(void *ctx, const uint32_t *event)
{
    (void)ctx;
    (void)event;
}

static const struct cma_port base_port = {
    .page_shift = 12,
    .cache_line_nbytes = 64,
    .vaddr = some_vaddr,
    .dma_barrier = some_barrier,
    .copy = some_copy,
    .zero = some_range,
};

#define PORT_WITH(field, value) (port = base_port, port.field = (value), cma_port_check(&port))

static void test_port_check(void **state)
{
    struct cma_port port = base_port;

    (void)state;
    assert_int_equal(cma_port_check(NULL), CMA_EINVAL);
    assert_int_equal(cma_port_check(&base_port), CMA_OK);
    assert_int_equal(PORT_WITH(page_shift, 7), CMA_EINVAL);
    assert_int_equal(PORT_WITH(page_shift, 8), CMA_OK);
    assert_int_equal(PORT_WITH(page_shift, 16), CMA_OK);
    assert_int_equal(PORT_WITH(page_shift, 17), CMA_EINVAL);
    assert_int_equal(PORT_WITH(cache_line_nbytes, 0), CMA_EINVAL);
    assert_int_equal(PORT_WITH(cache_line_nbytes, 48), CMA_EINVAL);
    assert_int_equal(PORT_WITH(cache_line_nbytes, 8192), CMA_EINVAL);
    assert_int_equal(PORT_WITH(vaddr, NULL), CMA_EINVAL);
    assert_int_equal(PORT_WITH(dma_barrier, NULL), CMA_EINVAL);
    assert_int_equal(PORT_WITH(copy, NULL), CMA_EINVAL);
    assert_int_equal(PORT_WITH(zero, NULL), CMA_EINVAL);
    /* Half a pair is refused, both halves are fine. */
    assert_int_equal(PORT_WITH(map, some_map), CMA_EINVAL);
    port.unmap = some_unmap;
    assert_int_equal(cma_port_check(&port), CMA_OK);
    assert_int_equal(PORT_WITH(clean, some_range), CMA_EINVAL);
    port.invalidate = some_range;
    assert_int_equal(cma_port_check(&port), CMA_OK);
    assert_int_equal(PORT_WITH(lock, some_lock), CMA_EINVAL);
    port.unlock = some_unlock;
    assert_int_equal(cma_port_check(&port), CMA_OK);
    assert_int_equal(PORT_WITH(wait, some_wait), CMA_EINVAL);
    port.wake = some_wake;
    assert_int_equal(cma_port_check(&port), CMA_OK);
}

static void test_guard(void **state)
{
    struct cma_port port = base_port;
    struct cma_lock lock = {{0, 0}};

    (void)state;
    assert_int_equal(guard_lock(&port, &lock), 0);
    guard_unlock(&port, &lock, 9);
    guard_tlb_flush(&port);
    assert_int_equal(lock.word[0] + lock.word[1], 0);
    port.lock = some_lock;
    port.unlock = some_unlock;
    guard_unlock(&port, &lock, guard_lock(&port, &lock));
    assert_int_equal(lock.word[0], 1);
    assert_int_equal(lock.word[1], 5);
}

/* A false assertion traps in a checked build and is not even looked at in others. */
static void test_assert(void **state)
{
    pid_t child = fork();
    int status = 0;

    (void)state;
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGILL, SIG_DFL);
        signal(SIGTRAP, SIG_DFL);
        cma__assert(child != 0);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
#if defined(CMA_CHECKED) && CMA_CHECKED
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
#else
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
#endif
}

static void test_errors(void **state)
{
    static const struct {
        int error;
        enum cma_error_class class;
    } errors[] = {
        {CMA_OK, CMA_CLASS_OK},
        {CMA_EAGAIN, CMA_CLASS_TRY_AGAIN},
        {CMA_EBUSY, CMA_CLASS_TRY_AGAIN},
        {CMA_ENOMEM, CMA_CLASS_WILL_NOT_FIT},
        {CMA_ENOSPC, CMA_CLASS_WILL_NOT_FIT},
        {CMA_ERANGE, CMA_CLASS_WILL_NOT_FIT},
        {CMA_EPERM, CMA_CLASS_BUG},
        {CMA_ENOENT, CMA_CLASS_BUG},
        {CMA_EEXIST, CMA_CLASS_BUG},
        {CMA_EINVAL, CMA_CLASS_BUG},
        {CMA_EOVERFLOW, CMA_CLASS_BUG},
        {CMA_EBADF, CMA_CLASS_BUG},
        {CMA_EOPNOTSUPP, CMA_CLASS_BUG},
    };
    const size_t count = sizeof(errors) / sizeof(errors[0]);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(cma_error_class(errors[i].error), errors[i].class);
        assert_string_not_equal(cma_strerror(errors[i].error), "unknown error");
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(cma_strerror(errors[i].error), cma_strerror(errors[j].error));
        }
    }
    assert_string_equal(cma_strerror(1), "unknown error");
    assert_string_equal(cma_strerror(INT32_MIN), "unknown error");
    assert_int_equal(cma_error_class(-1000), CMA_CLASS_BUG);
    for (int i = 0; i < CMA_REASON_COUNT; i++) {
        assert_string_not_equal(cma_reason_name((enum cma_reason)i), "unknown reason");
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(cma_reason_name((enum cma_reason)i),
                                    cma_reason_name((enum cma_reason)j));
        }
    }
    assert_string_equal(cma_reason_name(CMA_REASON_COUNT), "unknown reason");
    assert_int_equal(cma_version(), CMA_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits),       cmocka_unit_test(test_bitmap),
        cmocka_unit_test(test_bittree),    cmocka_unit_test(test_bittree_check),
        cmocka_unit_test(test_port_check), cmocka_unit_test(test_guard),
        cmocka_unit_test(test_assert),     cmocka_unit_test(test_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
