/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * suite.c - the tests; see suite.h
 *
 * A test returns NULL when the port is right, a sentence when it is wrong, or one of the reasons
 * below when there is nothing to test. Each leaves the memory cached, and nothing mapped.
 */
#include "suite.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define CHECK(condition, sentence) \
    do {                           \
        if (!(condition))          \
            return sentence;       \
    } while (0)

#define PIECE 1024u /* bytes moved at a time */

static const char no_mmu[] = "no MMU: the hooks are NULL";
static const char no_attr[] = "attributes never change: set_attr is NULL";
static const char no_maintenance[] = "no caches, or devices that snoop: the hooks are NULL";
static const char no_device[] = "no device to ask";
static const char no_threads[] = "one thread only";
static const char no_waiting[] = "calls never wait: the hooks are NULL";
static const char no_locks[] = "one thread, no interrupts: the hooks are NULL";
static const char no_memory[] = "no memory without linear mapping";
static const char no_tables[] = "the page tables can't be walked";
static const char no_time[] = "no clock: the hook is NULL";
static const char no_cpus[] = "one processor: the hook is NULL";
static const char no_lookup[] = "tables can't be looked into: the hook is NULL";
static const char no_interrupts[] = "interrupts can't be asked about";
static const char no_other[] = "no memory outside areas";
static const char no_zero_vaddr[] = "a vaddr is a pointer: the hook is NULL";
static const char no_window[] = "the size of the window is not known";
static const char *const reasons[] = {no_mmu,        no_attr,    no_maintenance, no_device,
                                      no_threads,    no_waiting, no_locks,       no_memory,
                                      no_tables,     no_time,    no_cpus,        no_lookup,
                                      no_interrupts, no_window,  no_other,       no_zero_vaddr};

typedef const struct port_harness *harness_t;

/* --- accesses ----------------------------------------------------------------------------------
 */

static uint64_t page_of(harness_t h)
{
    return (uint64_t)1 << h->port->page_shift;
}

static void cpu_write(harness_t h, void *vaddr, const uint8_t *from, uint64_t nbytes)
{
    if (h->write) {
        h->write(h->ctx, vaddr, from, nbytes);
        return;
    }
    for (uint64_t i = 0; i < nbytes; i++)
        ((volatile uint8_t *)vaddr)[i] = from[i];
}

static void cpu_read(harness_t h, const void *vaddr, uint8_t *to, uint64_t nbytes)
{
    if (h->read) {
        h->read(h->ctx, vaddr, to, nbytes);
        return;
    }
    for (uint64_t i = 0; i < nbytes; i++)
        to[i] = ((const volatile uint8_t *)vaddr)[i];
}

/* Byte i of pattern `seed`: no two seeds below 32 agree in any byte, and none is 0. */
static uint8_t pattern(uint32_t seed, uint64_t i)
{
    return (uint8_t)(1 + ((i * 29 + (i >> 8) * 7) % 7) * 32 + seed % 32);
}

enum side { CPU, DEVICE };

/* Writes bytes [at, at + nbytes) of a pattern to `vaddr` or, as a device, to `paddr`. */
static void put(harness_t h, enum side side, void *vaddr, cma_paddr_t paddr, uint32_t seed,
                uint64_t at, uint64_t nbytes)
{
    uint8_t bytes[PIECE];

    for (uint64_t done = 0; done < nbytes;) {
        uint64_t n = nbytes - done < PIECE ? nbytes - done : PIECE;
        for (uint64_t i = 0; i < n; i++)
            bytes[i] = pattern(seed, at + done + i);
        if (side == CPU)
            cpu_write(h, (uint8_t *)vaddr + at + done, bytes, n);
        else
            h->device_write(h->ctx, paddr + at + done, bytes, n);
        done += n;
    }
}

/* Are bytes [at, at + nbytes) those of the pattern (seed NOTHING: zero)? */
#define NOTHING UINT32_MAX
static bool has(harness_t h, enum side side, const void *vaddr, cma_paddr_t paddr, uint32_t seed,
                uint64_t at, uint64_t nbytes)
{
    uint8_t bytes[PIECE];

    for (uint64_t done = 0; done < nbytes;) {
        uint64_t n = nbytes - done < PIECE ? nbytes - done : PIECE;
        if (side == CPU)
            cpu_read(h, (const uint8_t *)vaddr + at + done, bytes, n);
        else
            h->device_read(h->ctx, paddr + at + done, bytes, n);
        for (uint64_t i = 0; i < n; i++)
            if (bytes[i] != (seed == NOTHING ? 0 : pattern(seed, at + done + i)))
                return false;
        done += n;
    }
    return true;
}

static void *linear(harness_t h, uint64_t page)
{
    return h->port->vaddr(h->port->ctx, h->memory + page * page_of(h));
}

static cma_paddr_t frame(harness_t h, uint64_t page)
{
    return h->memory + page * page_of(h);
}

static void flush(harness_t h)
{
    if (h->port->tlb_flush)
        h->port->tlb_flush(h->port->ctx);
}

static void attr(harness_t h, uint64_t page, uint64_t npages, enum cma_attr value)
{
    h->port->set_attr(h->port->ctx, frame(h, page), npages * page_of(h), value);
    flush(h);
}

static void pass_time(harness_t h)
{
    if (h->pass_time)
        h->pass_time(h->ctx);
}

static bool is_power_of_two(uint32_t value)
{
    return value && !(value & (value - 1));
}

/* Does lookup say this of the address? */
static bool looks(harness_t h, const void *vaddr, cma_paddr_t paddr, enum cma_attr value)
{
    cma_paddr_t found = 0;
    enum cma_attr seen = CMA_ATTR_NONE;

    return h->port->lookup(h->port->ctx, vaddr, &found, &seen) == CMA_OK && found == paddr &&
           seen == value;
}

static bool looks_unmapped(harness_t h, const void *vaddr)
{
    cma_paddr_t found;
    enum cma_attr seen;

    return h->port->lookup(h->port->ctx, vaddr, &found, &seen) == CMA_ENOENT;
}

/* --- 1. sizes, 2. vaddr, 3. copy and zero ------------------------------------------------------
 */

static const char *test_sizes(harness_t h)
{
    CHECK(cma_port_check(h->port) == CMA_OK,
          "cma_port_check refuses it: fill page_shift, cache_line_nbytes and all hooks but those "
          "that may be NULL");
    CHECK(is_power_of_two(h->port->cache_line_nbytes) && h->port->cache_line_nbytes <= page_of(h),
          "cache_line_nbytes must be a power of two no larger than a page");
    return NULL;
}

static const char *test_vaddr(harness_t h)
{
    uint8_t *base = linear(h, 0);

    CHECK(base, "vaddr must give the CPU's address of memory that is mapped linearly");
    for (uint64_t page = 0; page < SUITE_NPAGES; page++) {
        CHECK(linear(h, page), "vaddr must give an address for each page of linear memory");
        CHECK(h->port->vaddr(h->port->ctx, frame(h, page) + 5) == (uint8_t *)linear(h, page) + 5,
              "vaddr must keep the place inside a page");
        put(h, CPU, linear(h, page), 0, (uint32_t)page, 0, 96);
    }
    for (uint64_t page = 0; page < SUITE_NPAGES; page++)
        CHECK(has(h, CPU, linear(h, page), 0, (uint32_t)page, 0, 96),
              "vaddr of two pages must not be the same memory");
    if (h->unmapped)
        CHECK(!h->port->vaddr(h->port->ctx, h->unmapped),
              "vaddr must be NULL for memory without linear mapping");
    return NULL;
}

static const char *test_copy(harness_t h)
{
    uint64_t page = page_of(h), n = page + 100;

    put(h, CPU, linear(h, 0), 0, 1, 0, 2 * page);
    for (uint64_t i = 4; i < 7; i++)
        put(h, CPU, linear(h, i), 0, 2, 0, page);
    h->port->copy(h->port->ctx, frame(h, 4), frame(h, 0), page);
    CHECK(has(h, CPU, linear(h, 4), 0, 1, 0, page), "copy must carry every byte of a page");
    CHECK(has(h, CPU, linear(h, 5), 0, 2, 0, page), "copy must not write behind its end");
    put(h, CPU, linear(h, 4), 0, 2, 0, page);
    h->port->copy(h->port->ctx, frame(h, 4) + 36, frame(h, 0) + 36, n);
    CHECK(has(h, CPU, linear(h, 4), 0, 1, 36, n), "copy must work across pages, at any address");
    CHECK(has(h, CPU, linear(h, 4), 0, 2, 0, 36), "copy must not write before its beginning");
    CHECK(has(h, CPU, linear(h, 5), 0, 2, 136, page - 136), "copy must not write behind its end");
    CHECK(has(h, CPU, linear(h, 0), 0, 1, 0, 2 * page), "copy must leave its source alone");
    return NULL;
}

static const char *test_zero(harness_t h)
{
    uint64_t page = page_of(h);

    put(h, CPU, linear(h, 0), 0, 3, 0, page);
    put(h, CPU, linear(h, 1), 0, 3, 0, page);
    h->port->zero(h->port->ctx, frame(h, 0), page);
    CHECK(has(h, CPU, linear(h, 0), 0, NOTHING, 0, page), "zero must write every byte of a page");
    CHECK(has(h, CPU, linear(h, 1), 0, 3, 0, page), "zero must not write behind its end");
    put(h, CPU, linear(h, 0), 0, 3, 0, page);
    h->port->zero(h->port->ctx, frame(h, 0) + 100, page);
    CHECK(has(h, CPU, linear(h, 0), 0, 3, 0, 100), "zero must not write before its beginning");
    CHECK(has(h, CPU, linear(h, 0), 0, NOTHING, 100, page),
          "zero must work across pages, at any address");
    CHECK(has(h, CPU, linear(h, 1), 0, 3, 100, page - 100), "zero must not write behind its end");
    return NULL;
}

/* Through the mapping that is there: on uncached memory the zeroes are in memory at once. */
static const char *test_zero_vaddr(harness_t h)
{
    uint64_t page = page_of(h), n = page + 3;
    bool before, inside, behind, device = true;

    CHECK(h->port->zero_vaddr, no_zero_vaddr);
    if (h->port->set_attr && h->port->clean) {
        h->port->clean(h->port->ctx, frame(h, 0), 2 * page);
        h->port->invalidate(h->port->ctx, frame(h, 0), 2 * page);
        attr(h, 0, 2, CMA_ATTR_UNCACHED);
    }
    put(h, CPU, linear(h, 0), 0, 3, 0, 2 * page);
    h->port->zero_vaddr(h->port->ctx, (uint8_t *)linear(h, 0) + 101, n);
    h->port->dma_barrier(h->port->ctx);
    before = has(h, CPU, linear(h, 0), 0, 3, 0, 101);
    inside = has(h, CPU, linear(h, 0), 0, NOTHING, 101, n);
    behind = has(h, CPU, linear(h, 0), 0, 3, 101 + n, 2 * page - 101 - n);
    if (h->port->set_attr && h->port->clean && h->device_read)
        device = has(h, DEVICE, NULL, frame(h, 0), NOTHING, 101, n);
    if (h->port->set_attr && h->port->clean)
        attr(h, 0, 2, CMA_ATTR_CACHED);
    CHECK(inside, "zero_vaddr must write every byte, at any address");
    CHECK(before && behind, "zero_vaddr must not write outside");
    CHECK(device, "zero_vaddr must write through the mapping that is there, past the caches");
    return NULL;
}

/* Memory without linear mapping: what one writes, the other finds. */
static const char *test_copy_unmapped(harness_t h)
{
    uint64_t page = page_of(h);

    CHECK(h->unmapped, no_memory);
    put(h, CPU, linear(h, 0), 0, 4, 0, page);
    h->port->copy(h->port->ctx, h->unmapped, frame(h, 0), page);
    h->port->zero(h->port->ctx, h->unmapped + page, page);
    h->port->zero(h->port->ctx, frame(h, 0), page);
    h->port->copy(h->port->ctx, frame(h, 1), h->unmapped, page);
    CHECK(has(h, CPU, linear(h, 1), 0, 4, 0, page),
          "copy must reach memory without linear mapping, both ways");
    h->port->copy(h->port->ctx, frame(h, 1), h->unmapped + page, page);
    CHECK(has(h, CPU, linear(h, 1), 0, NOTHING, 0, page),
          "zero must reach memory without linear mapping");
    return NULL;
}

/* --- 4. barrier --------------------------------------------------------------------------------
 */

static const char *test_barrier(harness_t h)
{
    CHECK(h->port->set_attr, no_attr);
    CHECK(h->device_read, no_device);
    h->port->zero(h->port->ctx, frame(h, 0), page_of(h));
    if (h->port->clean) {
        h->port->clean(h->port->ctx, frame(h, 0), page_of(h));
        h->port->invalidate(h->port->ctx, frame(h, 0), page_of(h));
    }
    attr(h, 0, 1, CMA_ATTR_UNCACHED);
    put(h, CPU, linear(h, 0), 0, 5, 0, 256);
    h->port->dma_barrier(h->port->ctx);
    bool seen = has(h, DEVICE, NULL, frame(h, 0), 5, 0, 256);
    attr(h, 0, 1, CMA_ATTR_CACHED);
    CHECK(seen, "after dma_barrier a device must see what was written to uncached memory before");
    return NULL;
}

/* --- 5. locks ----------------------------------------------------------------------------------
 */

#define LOCK_ROUNDS 200u

struct contest {
    harness_t h;
    struct cma_lock lock, other;
    uint32_t inside, worst;
    volatile uint32_t sum;
    uint32_t event, done;
    volatile bool woken;
};

static void contest_run(void *arg)
{
    struct contest *contest = arg;
    const struct cma_port *port = contest->h->port;

    for (uint32_t i = 0; i < LOCK_ROUNDS; i++) {
        uintptr_t state = port->lock(port->ctx, &contest->lock);
        uint32_t sum = contest->sum;
        if (__atomic_add_fetch(&contest->inside, 1, __ATOMIC_RELAXED) > 1)
            __atomic_store_n(&contest->worst, 1, __ATOMIC_RELAXED);
        pass_time(contest->h);
        contest->sum = sum + 1;
        __atomic_sub_fetch(&contest->inside, 1, __ATOMIC_RELAXED);
        port->unlock(port->ctx, &contest->lock, state);
        pass_time(contest->h);
    }
}

static const char *test_lock(harness_t h)
{
    struct contest contest = {.h = h};

    CHECK(h->port->lock && h->port->unlock, no_locks);
    CHECK(h->run_two, no_threads);
    h->run_two(h->ctx, contest_run, contest_run, &contest);
    CHECK(!contest.worst, "lock must let one thread in at a time");
    CHECK(contest.sum == 2 * LOCK_ROUNDS, "what is done under a lock must not get lost");
    return NULL;
}

static const char *test_lock_interrupts(harness_t h)
{
    const struct cma_port *port = h->port;
    struct contest contest = {.h = h};
    uintptr_t state;
    bool before, inside, after;

    CHECK(port->lock && port->unlock, no_locks);
    CHECK(h->interrupts_off, no_interrupts);
    before = h->interrupts_off(h->ctx);
    state = port->lock(port->ctx, &contest.lock);
    inside = h->interrupts_off(h->ctx);
    port->unlock(port->ctx, &contest.lock, state);
    after = h->interrupts_off(h->ctx);
    CHECK(inside, "no interrupt handler may run while a lock is held: mask interrupts in lock");
    CHECK(before == after, "unlock must restore the interrupt state that lock found");
    state = port->lock(port->ctx, &contest.other);
    port->unlock(port->ctx, &contest.other, state);
    state = port->lock(port->ctx, &contest.lock);
    port->unlock(port->ctx, &contest.lock, state);
    return NULL;
}

/* --- 6. wait and wake --------------------------------------------------------------------------
 */

#define WAKE_ROUNDS 50u

/* Sleeps until the other one has raised the event, again and again. */
static void waiter_run(void *arg)
{
    struct contest *contest = arg;
    const struct cma_port *port = contest->h->port;

    for (uint32_t i = 0; i < WAKE_ROUNDS; i++) {
        uint32_t seen;
        while ((seen = __atomic_load_n(&contest->event, __ATOMIC_ACQUIRE)) == i)
            port->wait(port->ctx, &contest->event, seen);
        __atomic_store_n(&contest->done, i + 1, __ATOMIC_RELEASE);
        port->wake(port->ctx, &contest->done);
    }
}

static void waker_run(void *arg)
{
    struct contest *contest = arg;
    const struct cma_port *port = contest->h->port;

    for (uint32_t i = 0; i < WAKE_ROUNDS; i++) {
        uint32_t seen;
        if (i & 1)
            pass_time(contest->h);
        __atomic_store_n(&contest->event, i + 1, __ATOMIC_RELEASE);
        port->wake(port->ctx, &contest->event);
        while ((seen = __atomic_load_n(&contest->done, __ATOMIC_ACQUIRE)) == i)
            port->wait(port->ctx, &contest->done, seen);
    }
    contest->woken = true;
}

static const char *test_wait(harness_t h)
{
    struct contest contest = {.h = h, .event = 7};

    CHECK(h->port->wait && h->port->wake, no_waiting);
    /* The word differs already: nobody will wake us. */
    h->port->wait(h->port->ctx, &contest.event, 6);
    /* Nobody waits: nothing happens. */
    h->port->wake(h->port->ctx, &contest.event);
    CHECK(contest.event == 7, "wait and wake must not change the word");
    return NULL;
}

static const char *test_wake(harness_t h)
{
    struct contest contest = {.h = h};

    CHECK(h->port->wait && h->port->wake, no_waiting);
    CHECK(h->run_two, no_threads);
    h->run_two(h->ctx, waiter_run, waker_run, &contest);
    CHECK(contest.woken && contest.done == WAKE_ROUNDS,
          "wake must wake who waits for the word, and none may be lost");
    return NULL;
}

/* --- 7. cache maintenance ----------------------------------------------------------------------
 */

static const char *test_clean(harness_t h)
{
    CHECK(h->port->clean && h->port->invalidate, no_maintenance);
    CHECK(h->device_read && h->device_write, no_device);
    put(h, CPU, linear(h, 0), 0, 6, 0, page_of(h));
    h->port->clean(h->port->ctx, frame(h, 0), page_of(h));
    CHECK(has(h, DEVICE, NULL, frame(h, 0), 6, 0, page_of(h)),
          "after clean a device must see what the CPU wrote");
    CHECK(has(h, CPU, linear(h, 0), 0, 6, 0, page_of(h)), "clean must not change memory");
    return NULL;
}

static const char *test_invalidate(harness_t h)
{
    CHECK(h->port->clean && h->port->invalidate, no_maintenance);
    CHECK(h->device_read && h->device_write, no_device);
    put(h, CPU, linear(h, 0), 0, 7, 0, page_of(h));
    h->port->clean(h->port->ctx, frame(h, 0), page_of(h));
    put(h, DEVICE, NULL, frame(h, 0), 8, 0, page_of(h));
    h->port->invalidate(h->port->ctx, frame(h, 0), page_of(h));
    CHECK(has(h, CPU, linear(h, 0), 0, 8, 0, page_of(h)),
          "after invalidate the CPU must see what a device wrote");
    return NULL;
}

/* The middle of some lines is a device's, the CPU has written around it. */
static const char *test_invalidate_part(harness_t h)
{
    uint64_t line = h->port->cache_line_nbytes, at = line / 2, n = 2 * line;

    CHECK(h->port->clean && h->port->invalidate, no_maintenance);
    CHECK(line >= 4, "cache_line_nbytes is too small to have a middle");
    put(h, CPU, linear(h, 0), 0, 9, 0, page_of(h));
    h->port->clean(h->port->ctx, frame(h, 0), page_of(h));
    put(h, CPU, linear(h, 0), 0, 10, 0, at);
    put(h, CPU, linear(h, 0), 0, 10, at + n, line / 2);
    h->port->invalidate(h->port->ctx, frame(h, 0) + at, n);
    CHECK(has(h, CPU, linear(h, 0), 0, 10, 0, at) &&
              has(h, CPU, linear(h, 0), 0, 10, at + n, line / 2),
          "invalidate must clean a line that is only partly inside: a neighbour's bytes are in it");
    return NULL;
}

/* --- 8. lookup, set_attr, flush ----------------------------------------------------------------
 */

static const char *test_lookup(harness_t h)
{
    CHECK(h->port->lookup, no_lookup);
    for (uint64_t page = 0; page < SUITE_NPAGES; page++)
        CHECK(looks(h, linear(h, page), frame(h, page), CMA_ATTR_CACHED),
              "lookup must find linear memory at its place, cached");
    CHECK(looks(h, (uint8_t *)linear(h, 1) + 77, frame(h, 1) + 77, CMA_ATTR_CACHED),
          "lookup must keep the place inside a page");
    CHECK(looks_unmapped(h, NULL) || looks(h, NULL, 0, CMA_ATTR_DEVICE),
          "lookup must answer CMA_ENOENT where nothing is mapped");
    return NULL;
}

static const char *test_set_attr(harness_t h)
{
    static const enum cma_attr kinds[] = {CMA_ATTR_UNCACHED, CMA_ATTR_WRITECOMBINE};

    CHECK(h->port->set_attr, no_attr);
    CHECK(h->port->lookup, no_lookup);
    for (uint32_t i = 0; i < COUNT(kinds); i++) {
        bool changed, neighbours, back;
        attr(h, 4, 3, kinds[i]);
        changed = looks(h, linear(h, 4), frame(h, 4), kinds[i]) &&
                  looks(h, linear(h, 6), frame(h, 6), kinds[i]);
        neighbours = looks(h, linear(h, 3), frame(h, 3), CMA_ATTR_CACHED) &&
                     looks(h, linear(h, 7), frame(h, 7), CMA_ATTR_CACHED);
        attr(h, 4, 3, CMA_ATTR_CACHED);
        back = looks(h, linear(h, 4), frame(h, 4), CMA_ATTR_CACHED) &&
               looks(h, linear(h, 6), frame(h, 6), CMA_ATTR_CACHED);
        CHECK(changed, "set_attr must change all pages of the range where they are: map memory of "
                       "areas by pages from the start");
        CHECK(neighbours, "set_attr must leave the pages before and behind alone");
        CHECK(back, "set_attr must make memory cached again");
    }
    return NULL;
}

/* Memory that is no area's may be mapped so that it can't be changed; then it stays as it is, all
 * of it, and lookup says so: libcma looks, and refuses. */
static const char *test_set_attr_other(harness_t h)
{
    uint64_t page = page_of(h);
    enum cma_attr seen[4] = {CMA_ATTR_NONE};
    cma_paddr_t paddr;

    CHECK(h->port->set_attr, no_attr);
    CHECK(h->port->lookup, no_lookup);
    CHECK(h->other, no_other);
    h->port->set_attr(h->port->ctx, h->other + page, 2 * page, CMA_ATTR_UNCACHED);
    flush(h);
    for (uint64_t i = 0; i < 4; i++)
        (void)h->port->lookup(h->port->ctx, h->port->vaddr(h->port->ctx, h->other + i * page),
                              &paddr, &seen[i]);
    h->port->set_attr(h->port->ctx, h->other + page, 2 * page, CMA_ATTR_CACHED);
    flush(h);
    CHECK(seen[0] == CMA_ATTR_CACHED && seen[3] == CMA_ATTR_CACHED,
          "set_attr must leave the pages before and behind alone");
    CHECK(seen[1] == seen[2] && (seen[1] == CMA_ATTR_CACHED || seen[1] == CMA_ATTR_UNCACHED),
          "set_attr must change all of a range, or none of it");
    return NULL;
}

/* What set_attr promises after the flush: neither side needs maintenance any more. */
static const char *test_set_attr_flush(harness_t h)
{
    uint64_t n = page_of(h) < 512 ? page_of(h) : 512;
    bool to_device, to_cpu, kept;

    CHECK(h->port->set_attr, no_attr);
    CHECK(h->device_read && h->device_write, no_device);
    put(h, CPU, linear(h, 0), 0, 11, 0, page_of(h));
    if (h->port->clean) {
        h->port->clean(h->port->ctx, frame(h, 0), page_of(h));
        h->port->invalidate(h->port->ctx, frame(h, 0), page_of(h));
    }
    attr(h, 0, 1, CMA_ATTR_UNCACHED);
    if (h->port->invalidate)
        h->port->invalidate(h->port->ctx, frame(h, 0), page_of(h));
    kept = has(h, CPU, linear(h, 0), 0, 11, 0, page_of(h));
    put(h, CPU, linear(h, 0), 0, 12, 0, n);
    h->port->dma_barrier(h->port->ctx);
    to_device = has(h, DEVICE, NULL, frame(h, 0), 12, 0, n);
    put(h, DEVICE, NULL, frame(h, 0), 13, 0, n);
    h->port->dma_barrier(h->port->ctx);
    to_cpu = has(h, CPU, linear(h, 0), 0, 13, 0, n);
    attr(h, 0, 1, CMA_ATTR_CACHED);
    CHECK(kept, "set_attr must not change what memory holds");
    CHECK(to_device, "after set_attr and tlb_flush a device must see uncached writes at once");
    CHECK(to_cpu, "after set_attr and tlb_flush the CPU must see a device's writes at once");
    CHECK(has(h, CPU, linear(h, 0), 0, 13, 0, n), "set_attr must not change what memory holds");
    return NULL;
}

/* The whole way of a buffer, as src/dma walks it. Whether the caches forget in between or not:
 * dirty lines that were left behind do harm in one case, clean ones in the other. */
static const char *handover(harness_t h, bool forget)
{
    const struct cma_port *port = h->port;
    uint64_t n = 2 * page_of(h);
    bool zeroed, to_device, to_cpu;

    /* Memory itself is to hold something that the zeroes must overwrite. */
    port->invalidate(port->ctx, frame(h, 2), n);
    put(h, DEVICE, NULL, frame(h, 2), 14, 0, n);
    port->zero(port->ctx, frame(h, 2), n);
    port->clean(port->ctx, frame(h, 2), n);
    port->invalidate(port->ctx, frame(h, 2), n);
    port->set_attr(port->ctx, frame(h, 2), n, CMA_ATTR_UNCACHED);
    flush(h);
    port->invalidate(port->ctx, frame(h, 2), n);
    port->dma_barrier(port->ctx);
    zeroed = has(h, DEVICE, NULL, frame(h, 2), NOTHING, 0, n);
    put(h, CPU, linear(h, 2), 0, 15, 0, n);
    port->dma_barrier(port->ctx);
    if (forget)
        h->evict(h->ctx);
    to_device = has(h, DEVICE, NULL, frame(h, 2), 15, 0, n);
    put(h, DEVICE, NULL, frame(h, 2), 16, 0, n);
    port->dma_barrier(port->ctx);
    to_cpu = has(h, CPU, linear(h, 2), 0, 16, 0, n);
    port->dma_barrier(port->ctx);
    attr(h, 2, 2, CMA_ATTR_CACHED);
    CHECK(zeroed, "a buffer that was handed over must be zero for its device");
    CHECK(to_device, "a device must see what the CPU wrote into its buffer");
    CHECK(to_cpu, "the CPU must see what a device wrote into its buffer");
    CHECK(has(h, CPU, linear(h, 2), 0, 16, 0, n), "a buffer that came back must hold its bytes");
    return NULL;
}

static const char *test_handover(harness_t h)
{
    const char *why;

    CHECK(h->port->set_attr, no_attr);
    CHECK(h->port->clean && h->port->invalidate, no_maintenance);
    CHECK(h->device_read && h->device_write, no_device);
    why = handover(h, false);
    return why || !h->evict ? why : handover(h, true);
}

/* --- 9. map and unmap --------------------------------------------------------------------------
 */

static int map(harness_t h, cma_paddr_t paddr, uint64_t npages, enum cma_attr value, void **vaddr)
{
    *vaddr = NULL;
    return h->port->map(h->port->ctx, paddr, npages * page_of(h), value, vaddr);
}

static void unmap(harness_t h, void *vaddr, uint64_t npages)
{
    h->port->unmap(h->port->ctx, vaddr, npages * page_of(h));
    flush(h);
}

static const char *test_map(harness_t h)
{
    uint64_t page = page_of(h);
    void *vaddr;
    bool right, data;

    CHECK(h->port->map && h->port->unmap, no_mmu);
    CHECK(h->unmapped, no_memory);
    h->port->zero(h->port->ctx, h->unmapped, 2 * page);
    CHECK(map(h, h->unmapped, 2, CMA_ATTR_CACHED, &vaddr) == CMA_OK && vaddr,
          "map must make memory without linear mapping reachable");
    CHECK(!((uintptr_t)vaddr & (page - 1)), "map must give the address of a page's first byte");
    data = has(h, CPU, vaddr, 0, NOTHING, 0, 2 * page);
    put(h, CPU, vaddr, 0, 17, 0, 2 * page);
    right = !h->port->lookup ||
            (looks(h, vaddr, h->unmapped, CMA_ATTR_CACHED) &&
             looks(h, (uint8_t *)vaddr + page, h->unmapped + page, CMA_ATTR_CACHED));
    unmap(h, vaddr, 2);
    CHECK(data, "map must show the memory that was asked for");
    CHECK(right, "lookup must tell what map did");
    h->port->copy(h->port->ctx, frame(h, 0), h->unmapped, 2 * page);
    CHECK(has(h, CPU, linear(h, 0), 0, 17, 0, 2 * page),
          "what was written through a mapping must be in memory when it is gone");
    CHECK(!h->port->lookup || looks_unmapped(h, vaddr), "after unmap nothing must be mapped there");
    return NULL;
}

static const char *test_map_attr(harness_t h)
{
    void *vaddr, *again;
    bool refused, same, clear;

    CHECK(h->port->map && h->port->unmap, no_mmu);
    CHECK(map(h, frame(h, 1), 2, CMA_ATTR_UNCACHED, &vaddr) == CMA_EEXIST,
          "map must refuse (CMA_EEXIST) memory that is mapped with other attributes");
    CHECK(h->unmapped, no_memory);
    CHECK(map(h, h->unmapped, 1, CMA_ATTR_UNCACHED, &vaddr) == CMA_OK,
          "map must be able to map uncached");
    refused = map(h, h->unmapped, 2, CMA_ATTR_CACHED, &again) == CMA_EEXIST;
    clear = !h->no_alias || h->no_alias(h->ctx);
    same = !h->port->lookup || looks(h, vaddr, h->unmapped, CMA_ATTR_UNCACHED);
    unmap(h, vaddr, 1);
    CHECK(refused, "map must refuse (CMA_EEXIST) memory that is mapped with other attributes");
    CHECK(clear, "a map that is refused must leave no mapping behind");
    CHECK(same, "lookup must tell the attributes that map was asked for");
    CHECK(map(h, h->unmapped, 2, CMA_ATTR_CACHED, &vaddr) == CMA_OK,
          "memory that is not mapped any more can be mapped with any attributes");
    unmap(h, vaddr, 2);
    return NULL;
}

/* Mapped, used, unmapped, flushed: the same address must not lead to the old memory any more. */
static const char *test_unmap_flush(harness_t h)
{
    uint64_t page = page_of(h);
    bool right = true;
    void *vaddr;

    CHECK(h->port->map && h->port->unmap, no_mmu);
    CHECK(h->unmapped, no_memory);
    h->port->zero(h->port->ctx, h->unmapped, 2 * page);
    for (uint32_t i = 0; i < 4 && right; i++) {
        CHECK(map(h, h->unmapped + (i & 1) * page, 1, CMA_ATTR_CACHED, &vaddr) == CMA_OK,
              "map must work again and again");
        right = i < 2 ? has(h, CPU, vaddr, 0, NOTHING, 0, page)
                      : has(h, CPU, vaddr, 0, 18 + (i & 1), 0, page);
        put(h, CPU, vaddr, 0, 18 + (i & 1), 0, page);
        unmap(h, vaddr, 1);
    }
    CHECK(right, "tlb_flush must take effect: an access went to memory that is mapped no more");
    return NULL;
}

/* Address space comes back, after a flush for each. */
static const char *test_map_space(harness_t h)
{
    void *vaddr, *more;
    int error;

    CHECK(h->port->map && h->port->unmap, no_mmu);
    CHECK(h->unmapped, no_memory);
    CHECK(h->window_npages, no_window);
    for (uint64_t i = 0; i < h->window_npages + 1; i++) {
        CHECK(map(h, h->unmapped, 1, CMA_ATTR_CACHED, &vaddr) == CMA_OK,
              "address space must come back after unmap and tlb_flush");
        unmap(h, vaddr, 1);
    }
    CHECK(map(h, h->unmapped, 1, CMA_ATTR_CACHED, &vaddr) == CMA_OK, "map must work");
    error = map(h, frame(h, 0), h->window_npages, CMA_ATTR_CACHED, &more);
    unmap(h, vaddr, 1);
    CHECK(error == CMA_ENOMEM, "map must answer CMA_ENOMEM when its address space is full");
    return NULL;
}

static const char *test_window(harness_t h)
{
    const struct cma_port *port = h->port;
    uint64_t page = page_of(h);
    bool first, second, looked, beside;
    void *vaddr, *at;

    CHECK(port->window_make, no_mmu);
    CHECK(h->unmapped, no_memory);
    CHECK(port->window_make(port->ctx, 4 * page, &vaddr) == CMA_OK && vaddr,
          "window_make must reserve addresses");
    at = (uint8_t *)vaddr + page;
    port->zero(port->ctx, h->unmapped, 2 * page);
    if (port->clean)
        port->clean(port->ctx, h->unmapped, 2 * page);
    port->window_map(port->ctx, at, h->unmapped, page, CMA_ATTR_CACHED);
    first = has(h, CPU, at, 0, NOTHING, 0, page);
    put(h, CPU, at, 0, 21, 0, page);
    looked = !port->lookup || looks(h, at, h->unmapped, CMA_ATTR_CACHED);
    beside = !port->lookup || (looks_unmapped(h, vaddr) && looks_unmapped(h, (uint8_t *)at + page));
    port->window_unmap(port->ctx, at, page);
    flush(h);
    beside = beside && (!port->lookup || looks_unmapped(h, at));
    port->window_map(port->ctx, at, h->unmapped + page, page, CMA_ATTR_UNCACHED);
    flush(h);
    second = has(h, CPU, at, 0, NOTHING, 0, page);
    beside = beside && (!h->no_alias || h->no_alias(h->ctx));
    looked = looked && (!port->lookup || looks(h, at, h->unmapped + page, CMA_ATTR_UNCACHED));
    port->window_unmap(port->ctx, at, page);
    flush(h);
    port->copy(port->ctx, frame(h, 0), h->unmapped, page);
    CHECK(first, "window_map must show the memory that was asked for");
    CHECK(looked, "lookup must tell what window_map did");
    CHECK(beside, "window_map must map what it is told, and window_unmap take all of it away");
    CHECK(second, "window_unmap and tlb_flush must let go of what was mapped before");
    CHECK(has(h, CPU, linear(h, 0), 0, 21, 0, page), "what the window shows must be the memory");
    return NULL;
}

/* --- 10. no alias, time, processor -------------------------------------------------------------
 */

static const char *test_no_alias(harness_t h)
{
    bool seen, during = true, mapped = true, after;
    void *vaddr;

    CHECK(h->no_alias && h->make_alias, no_tables);
    CHECK(h->no_alias(h->ctx), "a frame has two mappings that disagree");
    h->make_alias(h->ctx, true);
    seen = !h->no_alias(h->ctx);
    h->make_alias(h->ctx, false);
    CHECK(seen, "the walker must see two mappings that disagree");
    if (h->port->set_attr) {
        attr(h, 3, 4, CMA_ATTR_UNCACHED);
        during = h->no_alias(h->ctx);
        attr(h, 3, 4, CMA_ATTR_CACHED);
    }
    if (h->port->map && map(h, frame(h, 3), 2, CMA_ATTR_CACHED, &vaddr) == CMA_OK) {
        mapped = h->no_alias(h->ctx);
        unmap(h, vaddr, 2);
    }
    after = h->no_alias(h->ctx);
    CHECK(during, "set_attr must change every mapping of a frame");
    CHECK(mapped, "map must not make a second mapping with other attributes");
    CHECK(after, "a frame has two mappings that disagree");
    return NULL;
}

static const char *test_time(harness_t h)
{
    uint64_t first, last;

    CHECK(h->port->time_ns, no_time);
    first = last = h->port->time_ns(h->port->ctx);
    for (uint32_t i = 0; i < 1000; i++) {
        uint64_t now = h->port->time_ns(h->port->ctx);
        CHECK(now >= last, "time_ns must never go back");
        last = now;
        if (i % 100 == 0)
            pass_time(h);
    }
    CHECK(!h->pass_time || last > first, "time_ns must go on");
    return NULL;
}

static const char *test_cpu(harness_t h)
{
    CHECK(h->port->cpu, no_cpus);
    CHECK(h->port->cpu(h->port->ctx) == h->port->cpu(h->port->ctx) &&
              h->port->cpu(h->port->ctx) < 4096,
          "cpu must number the processors, 0 up");
    return NULL;
}

/* --- the list ----------------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    const char *(*run)(harness_t h);
} tests[] = {
    {"sizes", test_sizes},
    {"vaddr", test_vaddr},
    {"copy", test_copy},
    {"zero", test_zero},
    {"zero_vaddr", test_zero_vaddr},
    {"copy and zero without linear mapping", test_copy_unmapped},
    {"dma_barrier", test_barrier},
    {"lock and unlock", test_lock},
    {"lock and interrupts", test_lock_interrupts},
    {"wait", test_wait},
    {"wait and wake", test_wake},
    {"clean", test_clean},
    {"invalidate", test_invalidate},
    {"invalidate a part of a line", test_invalidate_part},
    {"lookup", test_lookup},
    {"set_attr and lookup", test_set_attr},
    {"set_attr outside areas", test_set_attr_other},
    {"set_attr and tlb_flush", test_set_attr_flush},
    {"handover", test_handover},
    {"map and unmap", test_map},
    {"map and other attributes", test_map_attr},
    {"unmap and tlb_flush", test_unmap_flush},
    {"map and its address space", test_map_space},
    {"window", test_window},
    {"no alias", test_no_alias},
    {"time_ns", test_time},
    {"cpu", test_cpu},
};

uint32_t port_suite_count(void)
{
    return COUNT(tests);
}

const char *port_suite_name(uint32_t index)
{
    return tests[index].name;
}

struct port_result port_suite_run(const struct port_harness *harness, uint32_t index)
{
    struct port_result result = {PORT_OK, ""};

    /* Without vaddr, copy and zero there is nothing that the others could be told with. */
    if (!harness->port->vaddr || !harness->port->copy || !harness->port->zero ||
        !harness->port->dma_barrier) {
        result.verdict = PORT_FAIL;
        result.why = "vaddr, copy, zero and dma_barrier must not be NULL: write them first";
        return result;
    }
    if (index > 1 && !linear(harness, 0)) {
        result.verdict = PORT_FAIL;
        result.why = "vaddr must give the CPU's address of memory that is mapped linearly";
        return result;
    }
    const char *why = tests[index].run(harness);
    if (!why)
        return result;
    result.verdict = PORT_FAIL;
    result.why = why;
    for (uint32_t i = 0; i < COUNT(reasons); i++)
        if (why == reasons[i])
            result.verdict = PORT_SKIPPED;
    return result;
}
