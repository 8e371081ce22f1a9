/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * live.c - threads write through handles while claims move the pages: no write is lost
 *
 *     live [--ops N] [--moves N] [--runs N] [--seed S] [--control N]
 *
 * Two areas of the same size lie side by side, and 256 pages of data fill one of them. A thread
 * claims all of it, so the data moves to the other one; releases it, lends it, and claims the
 * other. Meanwhile four threads count in the pages: each has a word of its own in every page, and
 * knows what ought to be there. A run ends after N writes and N moves (N / 100 if not told), and
 * compares each word. The first area is emptied in runs, the second page by page; half of the
 * handles have a mover that is asked for many pages in one call.
 *
 * The freeze protocol: a writer enters a handle by counting itself in, and goes back if it is
 * frozen; freeze marks the handle, and waits until nobody is inside. The control takes just this
 * out (freeze answers yes and does nothing): of N runs of the control nine in ten have to lose
 * writes, or this test would not notice. Under the thread sanitizer there is no control.
 */
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cma/cma.h>

#define SHIFT 12
#define PAGE (1u << SHIFT)
#define BASE UINT64_C(0x10000000)
#define HANDLES 256u
#define WRITERS 4u
#define YIELD_NPAGES 77u
#define AREA(i) (BASE + (uint64_t)(i)*HANDLES * PAGE)

struct live_handle {
    uint32_t frame;          /* atomic: pages behind BASE */
    uint32_t inside, frozen; /* atomic */
};

struct live {
    struct cma_port port;
    struct cma_mover movers[2];
    struct cma_frames frames;
    struct cma_pages pages;
    struct cma_area areas[2];
    void *storage;
    uint8_t *memory;
    struct live_handle handles[HANDLES];
    bool control;
    uint64_t ops, moves, random;   /* what is asked for */
    uint64_t writes, moved;        /* atomic */
    uint32_t claims, copied, done; /* `done` atomic */
};

struct live_writer {
    struct live *live;
    pthread_t thread;
    uint32_t number;
    uint64_t random;
    uint64_t expected[HANDLES];
};

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "live: %s\n", what);
    exit(1);
}

static uint64_t live_random(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* --- hooks ------------------------------------------------------------------------------------ */

static void *live_vaddr(void *ctx, cma_paddr_t paddr)
{
    return ((struct live *)ctx)->memory + (paddr - BASE);
}

static void live_barrier(void *ctx)
{
    (void)ctx;
}

static void live_copy(void *ctx, cma_paddr_t to, cma_paddr_t from, uint64_t nbytes)
{
    struct live *live = ctx;

    memcpy(live_vaddr(ctx, to), live_vaddr(ctx, from), nbytes);
    /* Not only where the threads have a processor each: somebody else's turn comes now and then
     * between a copy and its commit. */
    live->copied += (uint32_t)(nbytes >> SHIFT);
    if (live->copied >= YIELD_NPAGES) {
        live->copied = 0;
        sched_yield();
    }
}

static void live_zero(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    memset(live_vaddr(ctx, paddr), 0, nbytes);
}

static uintptr_t live_lock(void *ctx, struct cma_lock *lock)
{
    (void)ctx;
    while (__atomic_exchange_n(&lock->word[0], 1, __ATOMIC_ACQUIRE) != 0)
        sched_yield();
    return 0;
}

static void live_unlock(void *ctx, struct cma_lock *lock, uintptr_t state)
{
    (void)ctx;
    (void)state;
    __atomic_store_n(&lock->word[0], 0, __ATOMIC_RELEASE);
}

/* --- the freeze protocol ---------------------------------------------------------------------- */

static void live_enter(struct live_handle *handle)
{
    for (;;) {
        __atomic_fetch_add(&handle->inside, 1, __ATOMIC_SEQ_CST);
        if (!__atomic_load_n(&handle->frozen, __ATOMIC_SEQ_CST))
            return;
        __atomic_fetch_sub(&handle->inside, 1, __ATOMIC_SEQ_CST);
        sched_yield();
    }
}

static void live_leave(struct live_handle *handle)
{
    __atomic_fetch_sub(&handle->inside, 1, __ATOMIC_SEQ_CST);
}

static int live_freeze(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    struct live *live = ctx;
    struct live_handle *handle = &live->handles[cookie];

    if (__atomic_load_n(&handle->frame, __ATOMIC_RELAXED) != pfn - (BASE >> SHIFT))
        return CMA_ENOENT;
    if (live->control)
        return CMA_OK;
    __atomic_store_n(&handle->frozen, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&handle->inside, __ATOMIC_SEQ_CST) != 0)
        sched_yield();
    return CMA_OK;
}

static void live_commit(void *ctx, cma_pfn_t from, cma_pfn_t to, uint32_t cookie)
{
    struct live *live = ctx;
    struct live_handle *handle = &live->handles[cookie];

    (void)from;
    __atomic_store_n(&handle->frame, (uint32_t)(to - (BASE >> SHIFT)), __ATOMIC_RELEASE);
    __atomic_store_n(&handle->frozen, 0, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&live->moved, 1, __ATOMIC_RELAXED);
}

static void live_abort(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    (void)pfn;
    __atomic_store_n(&((struct live *)ctx)->handles[cookie].frozen, 0, __ATOMIC_SEQ_CST);
}

static uint32_t live_freeze_many(void *ctx, const struct cma_move *moves, uint32_t nmoves,
                                 int *error)
{
    for (uint32_t i = 0; i < nmoves; i++) {
        *error = live_freeze(ctx, moves[i].from, moves[i].cookie);
        if (*error != CMA_OK)
            return i;
    }
    return nmoves;
}

static void live_commit_many(void *ctx, const struct cma_move *moves, uint32_t nmoves)
{
    for (uint32_t i = 0; i < nmoves; i++)
        live_commit(ctx, moves[i].from, moves[i].to, moves[i].cookie);
}

/* --- threads ---------------------------------------------------------------------------------- */

static uint64_t *live_word(struct live *live, const struct live_handle *handle, uint32_t writer)
{
    uint32_t frame = __atomic_load_n(&handle->frame, __ATOMIC_ACQUIRE);

    /* Far from each other, so that a copy passes them at different times. */
    return (uint64_t *)(void *)(live->memory + (size_t)frame * PAGE + writer * (PAGE / WRITERS));
}

static void *live_write(void *arg)
{
    struct live_writer *writer = arg;
    struct live *live = writer->live;
    uint64_t writes = 0;

    while (!__atomic_load_n(&live->done, __ATOMIC_ACQUIRE)) {
        uint32_t id = (uint32_t)(live_random(&writer->random) % HANDLES);
        struct live_handle *handle = &live->handles[id];

        live_enter(handle);
        uint64_t *word = live_word(live, handle, writer->number);
        /* Not one instruction: what is read may be old when it is written. */
        __atomic_store_n(word, __atomic_load_n(word, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED);
        live_leave(handle);
        writer->expected[id]++;
        if (++writes % 64 == 0)
            __atomic_fetch_add(&live->writes, 64, __ATOMIC_RELAXED);
    }
    __atomic_fetch_add(&live->writes, writes % 64, __ATOMIC_RELAXED);
    return NULL;
}

static void live_lend(struct live *live)
{
    for (uint32_t i = 0; i < 2; i++) {
        while (cma_area_lend(&live->areas[i], CMA_KIND_MOVABLE))
            continue;
    }
}

static void live_claims(struct live *live)
{
    struct cma_area_request request = {.npages = HANDLES, .align_npages = 1, .owner = 7};
    struct cma_refusal refusal;
    cma_pfn_t pfn;

    while (__atomic_load_n(&live->writes, __ATOMIC_RELAXED) < live->ops ||
           __atomic_load_n(&live->moved, __ATOMIC_RELAXED) < live->moves) {
        struct cma_area *area = &live->areas[live->claims++ % 2];

        require(cma_area_alloc(area, &request, &pfn, &refusal) == 0, "a claim was refused");
        live_zero(live, pfn << SHIFT, HANDLES * PAGE);
        require(cma_area_release(area, pfn, HANDLES, 7) == 0, "release");
        live_lend(live);
    }
    __atomic_store_n(&live->done, 1, __ATOMIC_RELEASE);
}

/* --- a run ------------------------------------------------------------------------------------ */

static void live_make(struct live *live)
{
    struct cma_range memory[2], reserved[3];
    struct cma_map map;
    struct cma_frames_config config = {.port = &live->port, .block_order = 5};
    struct cma_violation violation;
    uint64_t size;

    live->port = (struct cma_port){.ctx = live,
                                   .page_shift = SHIFT,
                                   .cache_line_nbytes = 64,
                                   .vaddr = live_vaddr,
                                   .dma_barrier = live_barrier,
                                   .copy = live_copy,
                                   .zero = live_zero,
                                   .lock = live_lock,
                                   .unlock = live_unlock};
    live->memory = calloc(2 * HANDLES, PAGE);
    require(live->memory != NULL && cma_map_init(&map, memory, 2, reserved, 3) == 0 &&
                cma_map_add_memory(&map, AREA(0), 2 * HANDLES * PAGE, NULL) == 0,
            "map");
    for (uint32_t i = 0; i < 2; i++) {
        struct cma_range area = {
            .base = AREA(i), .nbytes = HANDLES * PAGE, .kind = CMA_RANGE_AREA, .name = "area"};

        require(cma_map_reserve(&map, &area, NULL) == 0, "reserve");
    }
    size = cma_frames_size(&map, &config);
    live->storage = malloc(size);
    require(cma_frames_init(&live->frames, &map, &config, live->storage, size) == 0 &&
                cma_pages_init(&live->pages, &live->frames) == 0,
            "table");
    for (uint32_t i = 0; i < 2; i++) {
        struct cma_area_config area = {
            .lend_class = CMA_LEND_ORDINARY, .name = "area", .engine = i ? NULL : &cma_area_engine};

        require(cma_area_init(&live->areas[i], &live->frames, cma_pages_ops(&live->pages), AREA(i),
                              &area) == 0 &&
                    cma_area_activate(&live->areas[i]) == 0,
                "area");
        live->movers[i] = (struct cma_mover){.name = i ? "many" : "single",
                                             .ctx = live,
                                             .paddr_last = CMA_PADDR_MAX,
                                             .freeze = live_freeze,
                                             .commit = live_commit,
                                             .abort = live_abort,
                                             .freeze_many = i ? live_freeze_many : NULL,
                                             .commit_many = i ? live_commit_many : NULL};
        require(cma_mover_register(&live->frames, &live->movers[i]) == (int)i + 1, "mover");
    }
    live_lend(live);
    for (uint32_t i = 0; i < HANDLES; i++) {
        struct cma_holder holder = {CMA_KIND_MOVABLE, 1 + (i / 48) % 2, i};

        live->handles[i].frame = i;
        require(cma_frame_publish(&live->frames, (BASE >> SHIFT) + i, &holder) == 0, "publish");
    }
    require(cma_frames_check(&live->frames, false, &violation), "a structure is wrong");
}

/* Returns how many writes were lost. */
static uint64_t live_run(uint64_t ops, uint64_t moves, uint64_t seed, bool control,
                         uint64_t totals[2])
{
    static struct live live;
    static struct live_writer writers[WRITERS];
    struct cma_violation violation;
    uint64_t lost = 0, found = 0, expected = 0;

    live = (struct live){.ops = ops, .moves = moves, .random = seed, .control = control};
    live_make(&live);
    for (uint32_t i = 0; i < WRITERS; i++) {
        writers[i] = (struct live_writer){.live = &live, .number = i};
        writers[i].random = live_random(&live.random);
        require(pthread_create(&writers[i].thread, NULL, live_write, &writers[i]) == 0, "thread");
    }
    live_claims(&live);
    for (uint32_t i = 0; i < WRITERS; i++)
        pthread_join(writers[i].thread, NULL);
    for (uint32_t i = 0; i < WRITERS; i++) {
        for (uint32_t id = 0; id < HANDLES; id++) {
            uint64_t is = *live_word(&live, &live.handles[id], i);

            lost += writers[i].expected[id] - is;
            expected += writers[i].expected[id];
            found += is;
        }
    }
    require(expected == live.writes && expected - found == lost, "counted wrongly");
    require(cma_frames_check(&live.frames, false, &violation), "a structure is wrong");
    printf("live%s: %llu writes by %u threads during %llu moves (%u claims), %llu lost\n",
           control ? " without freeze" : "", (unsigned long long)expected, WRITERS,
           (unsigned long long)live.moved, live.claims, (unsigned long long)lost);
    totals[0] += expected;
    totals[1] += live.moved;
    free(live.storage);
    free(live.memory);
    return lost;
}

static uint64_t live_number(const char *text)
{
    char *end;
    uint64_t number = strtoull(text, &end, 0);

    if (*end != '\0')
        exit(2);
    return number;
}

int main(int argc, char **argv)
{
    uint64_t ops = 1000000, moves = 0, runs = 1, seed = 1, control = 0, losing = 0;
    uint64_t totals[2] = {0}, unfrozen[2] = {0}, lost = 0;

    for (int i = 1; i < argc; i += 2) {
        uint64_t number = i + 1 < argc ? live_number(argv[i + 1]) : 0;

        if (strcmp(argv[i], "--ops") == 0)
            ops = number;
        else if (strcmp(argv[i], "--moves") == 0)
            moves = number;
        else if (strcmp(argv[i], "--runs") == 0)
            runs = number;
        else if (strcmp(argv[i], "--seed") == 0)
            seed = number;
        else if (strcmp(argv[i], "--control") == 0)
            control = number;
        else
            return 2;
    }
    moves = moves ? moves : ops / 100;
    for (uint64_t i = 0; i < runs; i++)
        require(live_run(ops, moves, seed + i, false, totals) == 0, "writes were lost");
    /* A fifth of the moves: nobody waits for a frozen page, so the writers write the more. */
    for (uint64_t i = 0; i < control; i++) {
        uint64_t now = live_run(ops, moves / 5, seed + i, true, unfrozen);

        lost += now;
        losing += now != 0;
    }
    printf("live: 0 of %llu writes lost during %llu moves in %llu runs; ",
           (unsigned long long)totals[0], (unsigned long long)totals[1], (unsigned long long)runs);
    printf("without freeze %llu of %llu in %llu of %llu runs\n", (unsigned long long)lost,
           (unsigned long long)unfrozen[0], (unsigned long long)losing,
           (unsigned long long)control);
    require(losing * 10 >= control * 9, "the control loses nothing: this test would not notice");
    return 0;
}
