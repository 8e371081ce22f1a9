/* SPDX-License-Identifier: BSD-2-Clause */
/* test_frame.c - the frame table: who may do what in which state, what the check sees */
#include "plain_port.h"

#include "../../src/frame/account.h"
#include "../../src/frame/word.h"

/* --- states and calls ---------------------------------------------------------------------- */

enum {
    IDLE,
    UNMOVABLE,
    UNMOVABLE_RUN,
    UNMOVABLE_INSIDE,
    MOVABLE,
    DROPPABLE,
    STIFF,
    PINNED,
    REFERENCED,
    AREA_IDLE,
    AREA_LENT,
    AREA_MOVABLE,
    AREA_DROPPABLE,
    AREA_REFERENCED,
    ISOLATED,
    ISOLATED_IDLE,
    CLAIMED,
    CLAIMED_INSIDE,
    FROZEN,
    AREA_FROZEN,
    UNTRACKED,
    STATES
};
enum { PUBLISH, PUBLISH_UNMOVABLE, RELEASE, KEEP, ALLOW_DROP, PIN, UNPIN, REF, UNREF, FREE, CALLS };

static const char *const state_names[STATES] = {
    "idle",
    "unmovable",
    "unmovable run",
    "inside of a run",
    "movable",
    "droppable",
    "movable without discard",
    "pinned",
    "referenced",
    "idle in an area",
    "idle and lent",
    "movable in an area",
    "droppable in an area",
    "referenced in an area",
    "isolated",
    "isolated and idle",
    "claimed",
    "inside a buffer",
    "frozen",
    "frozen in an area",
    "untracked",
};
static const char *const call_names[CALLS] = {
    "publish", "publish unmovable", "release", "keep", "allow_drop", "pin", "unpin", "ref", "unref",
    "free",
};

#define OK CMA_OK
#define AG CMA_EAGAIN
#define BU CMA_EBUSY
#define BF CMA_EBADF
#define IN CMA_EINVAL
#define NO CMA_ENOENT
/* The whole contract as a table: what each call answers in each state. */
static const int expected[STATES][CALLS] = {
    /*                     publ  unmov rel  keep drop pin unpin ref unref free */
    [IDLE] = {OK, OK, BF, BF, BF, BF, BF, BF, BF, BF},
    [UNMOVABLE] = {BF, BF, 1, BF, BF, OK, BF, OK, BF, OK},
    [UNMOVABLE_RUN] = {BF, BF, BF, BF, BF, OK, BF, OK, BF, IN},
    [UNMOVABLE_INSIDE] = {BF, BF, BF, BF, BF, OK, BF, OK, BF, IN},
    [MOVABLE] = {BF, BF, 1, OK, OK, OK, BF, OK, BF, OK},
    [DROPPABLE] = {BF, BF, 1, OK, OK, OK, BF, OK, BF, OK},
    [STIFF] = {BF, BF, 1, OK, IN, OK, BF, OK, BF, OK},
    [PINNED] = {BF, BF, BF, OK, OK, OK, OK, OK, BF, BF},
    [REFERENCED] = {BF, BF, BU, OK, OK, OK, BF, OK, OK, BU},
    [AREA_IDLE] = {AG, IN, BF, BF, BF, BF, BF, BF, BF, BF},
    [AREA_LENT] = {OK, IN, BF, BF, BF, BF, BF, BF, BF, BF},
    [AREA_MOVABLE] = {BF, IN, 1, OK, OK, OK, BF, OK, BF, OK},
    [AREA_DROPPABLE] = {BF, IN, 1, OK, OK, OK, BF, OK, BF, OK},
    [AREA_REFERENCED] = {BF, IN, BU, OK, OK, BU, BF, OK, OK, BU},
    [ISOLATED] = {BF, IN, 0, OK, OK, BU, BF, AG, BF, OK},
    [ISOLATED_IDLE] = {AG, IN, BF, BF, BF, BF, BF, BF, BF, BF},
    [CLAIMED] = {BF, IN, BF, BF, BF, BF, BF, BF, BF, BF},
    [CLAIMED_INSIDE] = {AG, IN, BF, BF, BF, BF, BF, BF, BF, BF},
    [FROZEN] = {BF, BF, AG, AG, AG, AG, BF, AG, BF, AG},
    [AREA_FROZEN] = {BF, IN, AG, AG, AG, AG, BF, AG, BF, AG},
    [UNTRACKED] = {NO, NO, NO, NO, NO, NO, NO, NO, NO, NO},
};

static const struct plain_area matrix_areas[] = {{64, 64}};

static cma_pfn_t matrix_isolate(struct plain *plain, struct cma_span *span, bool held)
{
    cma_pfn_t pfn = span->pfn + 3, obstacle;

    if (held) {
        (void)plain_publish(plain, CMA_KIND_MOVABLE, 1, pfn);
    }
    assert_int_equal(plain_isolate(plain, span, pfn, 4, &obstacle), 0);
    return pfn;
}

static cma_pfn_t matrix_hold(struct plain *plain, enum cma_kind kind, uint32_t mover, cma_pfn_t pfn)
{
    (void)plain_publish(plain, kind, mover, pfn);
    return pfn;
}

/* Brings a frame into the state; frozen ones are made frozen by matrix_during. */
static cma_pfn_t matrix_prepare(struct plain *plain, int state)
{
    struct cma_span *span = plain_area_span(plain, 0);
    cma_pfn_t low = plain->base + 5, inside = span->pfn + 3, obstacle;
    struct cma_pages_request run = {.npages = 4,
                                    .holder = {.kind = CMA_KIND_UNMOVABLE, .cookie = 9}};

    if (state != AREA_IDLE) {
        plain_lend_all(plain, span);
    }
    switch (state) {
    case IDLE: return low;
    case UNMOVABLE: return matrix_hold(plain, CMA_KIND_UNMOVABLE, 0, low);
    case UNMOVABLE_RUN:
    case UNMOVABLE_INSIDE:
        assert_int_equal(cma_pages_alloc(&plain->pages, &run, &low, NULL), 0);
        return state == UNMOVABLE_RUN ? low : low + 2;
    case MOVABLE: return matrix_hold(plain, CMA_KIND_MOVABLE, plain->sure.number, low);
    case FROZEN:
    case DROPPABLE: return matrix_hold(plain, CMA_KIND_DROPPABLE, plain->sure.number, low);
    case STIFF: return matrix_hold(plain, CMA_KIND_MOVABLE, plain->stiff.number, low);
    case PINNED:
        (void)plain_publish(plain, CMA_KIND_DROPPABLE, plain->sure.number, low);
        assert_int_equal(cma_frame_pin(&plain->frames, low, &obstacle), 0);
        assert_int_equal(obstacle, low);
        return low;
    case REFERENCED:
        (void)plain_publish(plain, CMA_KIND_MOVABLE, plain->sure.number, low);
        assert_int_equal(cma_frame_ref(&plain->frames, low), 0);
        return low;
    case AREA_FROZEN:
    case AREA_MOVABLE: return matrix_hold(plain, CMA_KIND_MOVABLE, plain->sure.number, inside);
    case AREA_DROPPABLE: return matrix_hold(plain, CMA_KIND_DROPPABLE, plain->sure.number, inside);
    case AREA_REFERENCED:
        (void)plain_publish(plain, CMA_KIND_MOVABLE, plain->sure.number, inside);
        assert_int_equal(cma_frame_ref(&plain->frames, inside), 0);
        return inside;
    case ISOLATED: return matrix_isolate(plain, span, true);
    case ISOLATED_IDLE: return matrix_isolate(plain, span, false);
    case CLAIMED:
    case CLAIMED_INSIDE:
        inside = matrix_isolate(plain, span, false);
        cma__window_claim(&plain->frames, span, inside, 4, 7);
        return state == CLAIMED ? inside : inside + 1;
    case UNTRACKED: return plain->base + plain->npages;
    default: return inside;
    }
}

static int matrix_call(struct plain *plain, int call, cma_pfn_t pfn)
{
    uint32_t cookie = plain->next_cookie - 1;
    struct cma_holder movable = {.kind = CMA_KIND_MOVABLE, .mover = 1, .cookie = 99};
    struct cma_holder unmovable = {.kind = CMA_KIND_UNMOVABLE, .cookie = 99};
    struct cma_frame_info info;
    cma_pfn_t pinned;

    if (cma_frame_info(&plain->frames, pfn, &info) == 0 && info.kind != CMA_KIND_NONE) {
        cookie = info.cookie;
    }
    switch (call) {
    case PUBLISH: return cma_frame_publish(&plain->frames, pfn, &movable);
    case PUBLISH_UNMOVABLE: return cma_frame_publish(&plain->frames, pfn, &unmovable);
    case RELEASE: return cma_frame_release(&plain->frames, pfn);
    case KEEP: return cma_frame_keep(&plain->frames, pfn);
    case ALLOW_DROP: return cma_frame_allow_drop(&plain->frames, pfn);
    case PIN: return cma_frame_pin(&plain->frames, pfn, &pinned);
    case UNPIN: return cma_frame_unpin(&plain->frames, pfn);
    case REF: return cma_frame_ref(&plain->frames, pfn);
    case UNREF: return cma_frame_unref(&plain->frames, pfn);
    default: return cma_pages_free(&plain->pages, pfn, 1, cookie);
    }
}

static int matrix_call_inside; /* which call the callback makes */
static int matrix_answer;      /* what it got */

static void matrix_during(struct plain *plain, cma_pfn_t pfn, uint32_t cookie)
{
    void *before = plain_snapshot(plain);

    (void)cookie;
    assert_true(plain_info(plain, pfn).frozen);
    plain->during = NULL;
    matrix_answer = matrix_call(plain, matrix_call_inside, pfn);
    plain_assert_unchanged(plain, before);
}

/* The call is made while the frame is frozen: from inside its mover. */
static int matrix_frozen(struct plain *plain, int call, cma_pfn_t pfn, bool in_area)
{
    cma_pfn_t other;

    plain->during = matrix_during;
    matrix_call_inside = call;
    matrix_answer = 1000;
    if (in_area) {
        assert_int_equal(cma_frame_pin(&plain->frames, pfn, &other), 0);
    } else {
        assert_int_equal(cma__frames_reclaim(&plain->frames, 0, CMA_PFN_NONE, 1, &other), 1);
        assert_int_equal(other, pfn);
    }
    return matrix_answer;
}

static void test_every_call_in_every_state(void **unused)
{
    (void)unused;
    for (int state = 0; state < STATES; state++) {
        for (int call = 0; call < CALLS; call++) {
            struct plain *plain = plain_create(192, matrix_areas, 1);
            cma_pfn_t pfn = matrix_prepare(plain, state);
            void *before = plain_snapshot(plain);
            uint32_t commits = plain->commits, aborts = plain->aborts;
            int answer;

            if (state == FROZEN || state == AREA_FROZEN) {
                answer = matrix_frozen(plain, call, pfn, state == AREA_FROZEN);
                free(before);
            } else {
                answer = matrix_call(plain, call, pfn);
                if (answer < 0) {
                    plain_assert_unchanged(plain, before);
                    assert_int_equal(plain->commits + plain->aborts, commits + aborts);
                } else {
                    free(before);
                }
            }
            if (answer != expected[state][call]) {
                fail_msg("%s on a frame that is %s: %d, not %d", call_names[call],
                         state_names[state], answer, expected[state][call]);
            }
            plain_check_busy(plain, true);
            plain_destroy(plain);
        }
    }
}

/* --- single calls -------------------------------------------------------------------------- */

static void test_counts_follow_each_step(void **state)
{
    struct plain *plain = plain_create(192, matrix_areas, 1);
    struct cma_frames *frames = &plain->frames;
    struct cma_span *span = plain_area_span(plain, 0);
    struct cma_block *block = &frames->blocks[span->block];
    cma_pfn_t pfn = plain->base + 7;
    uint32_t cookie;

    (void)state;
    assert_int_equal(frames->zone_idle[0], 128);
    cookie = plain_publish(plain, CMA_KIND_DROPPABLE, 1, pfn);
    assert_int_equal(frames->zone_idle[0], 127);
    assert_int_equal(frames->zone_droppable[0], 1);
    assert_int_equal(cma_frame_keep(frames, pfn), 0);
    assert_int_equal(frames->zone_droppable[0], 0);
    assert_int_equal(cma_frame_allow_drop(frames, pfn), 0);
    assert_int_equal(cma_frame_pin(frames, pfn, &pfn), 0);
    assert_int_equal(frames->zone_droppable[0], 0);
    assert_int_equal(cma_frame_pin(frames, pfn, &pfn), 0);
    assert_int_equal(plain_info(plain, pfn).pins, 2);
    assert_int_equal(cma_frame_unpin(frames, pfn), 0);
    assert_int_equal(frames->zone_droppable[0], 0);
    assert_int_equal(cma_frame_unpin(frames, pfn), 0);
    assert_int_equal(frames->zone_droppable[0], 1);
    plain_check(plain);
    plain->handles[cookie].state = PLAIN_GONE;
    assert_int_equal(cma_frame_release(frames, pfn), 1);
    assert_int_equal(frames->zone_idle[0], 128);
    assert_int_equal(frames->zone_droppable[0], 0);

    /* A block of an area: lent, borrowed from, and back with the last frame. */
    assert_int_equal(block->idle, 32);
    cma__block_lend(frames, span, 0, true);
    pfn = span->pfn;
    cookie = plain_publish(plain, CMA_KIND_MOVABLE, 1, pfn);
    plain->handles[plain_publish(plain, CMA_KIND_DROPPABLE, 1, pfn + 1)].state = PLAIN_GONE;
    assert_int_equal(block->idle, 30);
    assert_int_equal(block->kept, 1);
    assert_int_equal(block->droppable, 1);
    assert_true(plain_info(plain, pfn).lent);
    assert_false(plain_info(plain, pfn + 32).lent);
    assert_int_equal(cma_frame_release(frames, pfn + 1), 1);
    assert_int_equal(cma_frame_allow_drop(frames, pfn), 0);
    assert_int_equal(block->droppable, 1);
    assert_int_equal(block->kept, 0);
    plain_check(plain);
    assert_true(plain_info(plain, pfn).lent);
    plain->handles[cookie].state = PLAIN_GONE;
    assert_int_equal(cma_frame_release(frames, pfn), 1);
    assert_false(plain_info(plain, pfn).lent);
    assert_int_equal(block->idle, 32);
    assert_int_equal(frames->zone_idle[0], 128);
    plain_check(plain);
    plain_destroy(plain);
}

static void test_holders_are_checked(void **state)
{
    struct plain *plain = plain_create(192, matrix_areas, 1);
    struct cma_span *span = plain_area_span(plain, 0);
    static const struct cma_holder bad[] = {
        {.kind = CMA_KIND_NONE},
        {.kind = CMA_KIND_CLAIMED},
        {.kind = CMA_KIND_RESERVED},
        {.kind = (enum cma_kind)7},
        {.kind = CMA_KIND_UNMOVABLE, .mover = 1},
        {.kind = CMA_KIND_MOVABLE, .mover = 0},
        {.kind = CMA_KIND_MOVABLE, .mover = 4},
        {.kind = CMA_KIND_DROPPABLE, .mover = 3},
        {.kind = CMA_KIND_MOVABLE, .mover = UINT32_MAX},
    };
    struct cma_holder sure = {.kind = CMA_KIND_MOVABLE, .mover = 1};
    struct cma_holder picky = {.kind = CMA_KIND_MOVABLE, .mover = 2};
    struct cma_mover half = plain->sure.mover;

    (void)state;
    plain_lend_all(plain, span);
    for (uint32_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(cma_frame_publish(&plain->frames, plain->base, &bad[i]), CMA_EINVAL);
    }
    /* Slots are for movers that never refuse; areas of class none for nobody. */
    span->lend_class = CMA_LEND_SLOT;
    assert_int_equal(cma_frame_publish(&plain->frames, span->pfn, &picky), CMA_EINVAL);
    assert_int_equal(cma_frame_publish(&plain->frames, span->pfn, &sure), 0);
    assert_int_equal(cma_frame_ref(&plain->frames, span->pfn), CMA_EBUSY);
    span->lend_class = CMA_LEND_NONE;
    assert_int_equal(cma_frame_publish(&plain->frames, span->pfn + 1, &sure), CMA_EINVAL);
    span->lend_class = CMA_LEND_ORDINARY;
    assert_int_equal(cma_frame_publish(&plain->frames, span->pfn + 1, &picky), 0);
    assert_int_equal(cma_mover_register(&plain->frames, NULL), CMA_EINVAL);
    half.commit = NULL;
    assert_int_equal(cma_mover_register(&plain->frames, &half), CMA_EINVAL);
    for (uint32_t i = 4; i <= CMA_MOVERS_MAX; i++) {
        assert_int_equal(cma_mover_register(&plain->frames, &plain->sure.mover), i);
    }
    assert_int_equal(cma_mover_register(&plain->frames, &plain->sure.mover), CMA_ENOMEM);
    /* The highest number fits into the word. */
    sure.mover = CMA_MOVERS_MAX;
    sure.cookie = UINT32_MAX;
    assert_int_equal(cma_frame_publish(&plain->frames, plain->base, &sure), 0);
    assert_int_equal(plain_info(plain, plain->base).mover, CMA_MOVERS_MAX);
    assert_int_equal(plain_info(plain, plain->base).cookie, UINT32_MAX);
    plain_destroy(plain);
}

/* 1,023 pins and references fit, the next is refused, and the neighbours in the word are
 * untouched. */
static void test_counters_do_not_overflow(void **state)
{
    struct plain *plain = plain_create(64, NULL, 0);
    cma_pfn_t pfn = plain->base + 1, pinned;
    struct cma_frame_info info;

    (void)state;
    (void)plain_publish(plain, CMA_KIND_MOVABLE, 2, pfn);
    for (uint32_t i = 0; i < 1023; i++) {
        assert_int_equal(cma_frame_pin(&plain->frames, pfn, &pinned), 0);
        assert_int_equal(cma_frame_ref(&plain->frames, pfn), 0);
    }
    assert_int_equal(cma_frame_pin(&plain->frames, pfn, &pinned), CMA_EOVERFLOW);
    assert_int_equal(cma_frame_ref(&plain->frames, pfn), CMA_EOVERFLOW);
    info = plain_info(plain, pfn);
    assert_int_equal(info.pins, 1023);
    assert_int_equal(info.refs, 1023);
    assert_int_equal(info.mover, 2);
    assert_int_equal(info.kind, CMA_KIND_MOVABLE);
    for (uint32_t i = 0; i < 1023; i++) {
        assert_int_equal(cma_frame_unpin(&plain->frames, pfn), 0);
        assert_int_equal(cma_frame_unref(&plain->frames, pfn), 0);
    }
    assert_int_equal(cma_frame_unpin(&plain->frames, pfn), CMA_EBADF);
    assert_int_equal(cma_frame_unref(&plain->frames, pfn), CMA_EBADF);
    plain_check(plain);
    plain_destroy(plain);
}

static uint32_t woken;

static void wait_unrefs(struct plain *plain)
{
    woken++;
    assert_int_equal(cma_frame_unref(&plain->frames, plain->base), 0);
}

static void test_waiting(void **state)
{
    struct plain *plain = plain_create(64, NULL, 0);
    uint32_t seen;

    (void)state;
    (void)plain_publish(plain, CMA_KIND_MOVABLE, 1, plain->base);
    assert_int_equal(cma_frame_ref(&plain->frames, plain->base), 0);
    seen = cma_frames_event(&plain->frames);
    plain->on_wait = wait_unrefs;
    woken = 0;
    assert_int_equal(cma_frames_wait(&plain->frames, seen), 0);
    assert_int_equal(woken, 1);
    assert_int_equal(plain->wakes, 1);
    assert_int_equal(plain->frames.waiters, 0);
    assert_int_not_equal(cma_frames_event(&plain->frames), seen);
    /* It has changed already: nobody sleeps. */
    assert_int_equal(cma_frames_wait(&plain->frames, seen), 0);
    assert_int_equal(plain->waits, 1);
    /* Only the last reference counts, and nobody is woken when nobody waits. */
    seen = cma_frames_event(&plain->frames);
    assert_int_equal(cma_frame_ref(&plain->frames, plain->base), 0);
    assert_int_equal(cma_frame_ref(&plain->frames, plain->base), 0);
    assert_int_equal(cma_frame_unref(&plain->frames, plain->base), 0);
    assert_int_equal(cma_frames_event(&plain->frames), seen);
    assert_int_equal(cma_frame_unref(&plain->frames, plain->base), 0);
    assert_int_equal(plain->wakes, 1);
    plain->port.wait = NULL;
    plain->port.wake = NULL;
    seen = cma_frames_event(&plain->frames);
    assert_int_equal(cma_frames_wait(&plain->frames, seen), CMA_EAGAIN);
    assert_int_equal(cma_frames_wait(&plain->frames, seen - 1), 0);
    plain_destroy(plain);
}

static void test_kind_names(void **state)
{
    (void)state;
    for (int i = 0; i <= CMA_KIND_RESERVED; i++) {
        assert_string_not_equal(cma_kind_name((enum cma_kind)i), "unknown");
        for (int j = 0; j < i; j++) {
            assert_string_not_equal(cma_kind_name((enum cma_kind)i),
                                    cma_kind_name((enum cma_kind)j));
        }
    }
    assert_string_equal(cma_kind_name((enum cma_kind)99), "unknown");
}

/* --- does the check see it? ---------------------------------------------------------------- */

static struct plain *check_board(void)
{
    struct plain *plain = plain_create(192, matrix_areas, 1);
    struct cma_span *span = plain_area_span(plain, 0);
    struct cma_pages_request run = {.npages = 3,
                                    .holder = {.kind = CMA_KIND_UNMOVABLE, .cookie = 9}};
    cma_pfn_t pfn, obstacle;

    assert_int_equal(cma_pages_alloc(&plain->pages, &run, &pfn, NULL), 0);
    assert_int_equal(pfn, plain->base);
    (void)plain_publish(plain, CMA_KIND_DROPPABLE, 1, plain->base + 10);
    plain_lend_all(plain, span);
    (void)plain_publish(plain, CMA_KIND_MOVABLE, 1, span->pfn);
    assert_int_equal(plain_isolate(plain, span, span->pfn + 8, 4, &obstacle), 0);
    cma__window_claim(&plain->frames, span, span->pfn + 8, 4, 7);
    plain_check(plain);
    return plain;
}

static struct cma_frame_record *check_record(struct plain *plain, cma_pfn_t pfn)
{
    return span_record(&plain->frames, cma__span_of(&plain->frames, pfn), pfn);
}

/* Breaks one word at a time, and has the check say so. */
static void test_check_sees_damage(void **state)
{
    struct plain *plain = check_board();
    struct cma_span *span = plain_area_span(plain, 0);
    struct cma_violation violation;

    (void)state;
#define BREAKS(lvalue, value, text)                                                   \
    do {                                                                              \
        __typeof__(lvalue) *broken = &(lvalue), was = *broken;                        \
        *broken = (__typeof__(lvalue))(value);                                        \
        assert_false(cma_frames_check(&plain->frames, false, &violation));            \
        assert_non_null(violation.what);                                              \
        if (strstr(violation.what, text) == NULL) {                                   \
            fail_msg("expected \"%s\", the check said \"%s\"", text, violation.what); \
        }                                                                             \
        *broken = was;                                                                \
        plain_check(plain);                                                           \
    } while (0)
#define WORD(pfn) (check_record(plain, (pfn))->word)
    BREAKS(WORD(plain->base + 20), CMA_KIND_MOVABLE | WORD_HEAD, "an idle frame has a holder");
    BREAKS(WORD(plain->base + 10), 0, "lost");
    BREAKS(WORD(plain->base + 10), WORD(plain->base + 10) | WORD_FROZEN, "left frozen");
    BREAKS(WORD(plain->base + 10), WORD(plain->base + 10) | WORD_ISOLATED, "isolated");
    BREAKS(WORD(span->pfn), WORD(span->pfn) | WORD_ISOLATED, "left isolated");
    BREAKS(WORD(span->pfn), WORD(span->pfn) | WORD_PIN, "pinned frame lies in an area");
    BREAKS(WORD(span->pfn), CMA_KIND_UNMOVABLE | WORD_HEAD, "unmovable frame lies in an area");
    BREAKS(WORD(plain->base + 10), WORD(plain->base + 10) & ~WORD_MOVER, "no such mover");
    BREAKS(WORD(plain->base + 10), WORD(plain->base + 10) | WORD_MOVER, "no such mover");
    BREAKS(WORD(plain->base + 10), WORD(plain->base + 10) & ~WORD_HEAD, "inside an allocation");
    BREAKS(WORD(plain->base + 1), WORD(plain->base + 1) | 1u << WORD_MOVER_SHIFT, "has a mover");
    BREAKS(WORD(plain->base), WORD(plain->base) & ~WORD_HEAD, "no beginning");
    BREAKS(check_record(plain, plain->base + 2)->cookie, 10, "no beginning");
    BREAKS(WORD(plain->base + 10), 7, "no such kind");
    BREAKS(WORD(plain->base + 10), CMA_KIND_CLAIMED | 1 << 3, "outside of areas");
    BREAKS(WORD(span->pfn + 8), CMA_KIND_CLAIMED, "longer than its area");
    BREAKS(WORD(span->pfn + 8), CMA_KIND_CLAIMED | 57 << 3, "longer than its area");
    BREAKS(WORD(span->pfn + 8), CMA_KIND_CLAIMED | 5 << 3, "a frame of a buffer is idle");
    BREAKS(WORD(span->pfn + 8), CMA_KIND_CLAIMED | 3 << 3, "lost");
    BREAKS(WORD(span->pfn + 9), CMA_KIND_MOVABLE | WORD_HEAD, "inside a buffer has a holder");
    BREAKS(plain->frames.idle[0], plain->frames.idle[0] ^ 1u << 30, "lost");
    BREAKS(plain->frames.blocks[1].idle, 31, "count of idle frames");
    BREAKS(plain->frames.blocks[0].kept, 1, "count of kept frames");
    BREAKS(plain->frames.blocks[0].droppable, 2, "count of droppable frames");
    BREAKS(plain->frames.blocks[span->block].flags, 0, "tree of available");
    BREAKS(plain->frames.available[0], plain->frames.available[0] ^ 1, "tree of available");
    BREAKS(plain->frames.reclaim[0], plain->frames.reclaim[0] ^ 1, "tree of reclaimable");
    BREAKS(plain->frames.available[0], plain->frames.available[0] | 1u << 20, "upper levels");
    BREAKS(plain->frames.zone_idle[0], 1, "zone's count of idle");
    BREAKS(plain->frames.zone_droppable[0], 0, "zone's count of droppable");
    BREAKS(span->passing, 1, "left over");
    BREAKS(span->emptying, 1, "left over");
    plain_destroy(plain);
}

/* An idle bit where a span has no frame: only an edge block can have one. */
static void test_check_sees_stray_bits(void **state)
{
    struct cma_frames_config config = {.block_order = 5};
    struct plain *plain = plain_create_with(0x1003, 50, NULL, 0, &config);
    struct cma_violation violation;

    (void)state;
    plain_check(plain);
    plain->frames.idle[0] |= 1;
    assert_false(cma_frames_check(&plain->frames, true, &violation));
    assert_string_equal(violation.what, "an idle bit without a frame");
    plain_destroy(plain);
}

/* What may be there while others are at work is no violation then. */
static void test_check_busy(void **state)
{
    struct plain *plain = check_board();
    struct cma_span *span = plain_area_span(plain, 0);
    struct cma_violation violation;
    cma_pfn_t obstacle;

    (void)state;
    assert_int_equal(plain_isolate(plain, span, span->pfn, 8, &obstacle), 0);
    assert_false(cma_frames_check(&plain->frames, false, &violation));
    plain_check_busy(plain, true);
    cma__window_restore(&plain->frames, span, span->pfn, 8);
    plain_check(plain);
    plain_destroy(plain);
}

/* --- over a host's allocator --------------------------------------------------------------- */

static int host_destination(void *ctx, const struct cma_destination *want, cma_pfn_t *pfn)
{
    struct plain *plain = ctx;

    (void)want;
    *pfn = plain->base + 1;
    return 1;
}

static uint32_t host_puts;

static void host_put(void *ctx, cma_pfn_t pfn, uint32_t npages)
{
    struct plain *plain = ctx;

    assert_int_equal(pfn, plain->base + 1);
    assert_int_equal(npages, 1);
    host_puts++;
}

static void host_take_back(void *ctx, cma_pfn_t pfn, uint32_t npages)
{
    (void)ctx;
    (void)pfn;
    (void)npages;
}

static void test_areas_only(void **state)
{
    struct cma_frames_config config = {.block_order = 5, .areas_only = true};
    struct plain *plain = plain_create_with(0x1000, 192, matrix_areas, 1, &config);
    struct cma_span *span = plain_area_span(plain, 0);
    struct cma_pages_ops ops = {.ctx = plain,
                                .destination = host_destination,
                                .destination_put = host_put,
                                .take_back = host_take_back};
    struct cma_evacuation evacuation = {0};
    struct cma_pages pages;
    cma_pfn_t obstacle, pinned;
    uint32_t cookie, other;

    (void)state;
    assert_int_equal(cma_pages_init(&pages, &plain->frames), CMA_EINVAL);
    cma_frames_set_ops(&plain->frames, &ops);
    assert_int_equal(plain->frames.nspans, 1);
    assert_null(cma__span_of(&plain->frames, plain->base));
    cma__block_lend(&plain->frames, span, 0, true);
    cookie = plain_publish(plain, CMA_KIND_MOVABLE, 1, span->pfn + 2);
    assert_int_equal(plain_isolate(plain, span, span->pfn, 16, &obstacle), 0);
    assert_int_equal(cma__window_evacuate(&plain->frames, span->pfn, 16, &evacuation), 0);
    assert_int_equal(plain->handles[cookie].pfn, plain->base + 1);
    assert_int_equal(evacuation.copied, 1);
    cma__window_restore(&plain->frames, span, span->pfn, 16);
    plain_check_busy(plain, false);
    plain->handles[cookie].state = PLAIN_GONE;
    /* A host keeps lent frames in its lists: the block stays lent until it takes it back. */
    assert_true(plain_info(plain, span->pfn).lent);
    other = plain_publish(plain, CMA_KIND_DROPPABLE, 1, span->pfn + 3);
    assert_int_equal(cma_frame_pin(&plain->frames, span->pfn + 3, &pinned), 0);
    assert_int_equal(pinned, plain->base + 1);
    assert_int_equal(plain->handles[other].pfn, pinned);
    plain->handles[other].state = PLAIN_GONE;
    other = plain_publish(plain, CMA_KIND_DROPPABLE, 1, span->pfn + 3);
    plain->fail_freeze = 1;
    assert_int_equal(cma_frame_pin(&plain->frames, span->pfn + 3, &pinned), CMA_EBUSY);
    assert_int_equal(host_puts, 1);
    /* Taken back while held: its release says that the host is not to list it. */
    cma__block_lend(&plain->frames, span, 0, false);
    plain->handles[other].state = PLAIN_GONE;
    assert_int_equal(cma_frame_release(&plain->frames, span->pfn + 3), 0);
    assert_true(plain_info(plain, span->pfn + 3).idle);
    plain_check_busy(plain, false);
    plain_destroy(plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_call_in_every_state),
        cmocka_unit_test(test_counts_follow_each_step),
        cmocka_unit_test(test_holders_are_checked),
        cmocka_unit_test(test_counters_do_not_overflow),
        cmocka_unit_test(test_waiting),
        cmocka_unit_test(test_kind_names),
        cmocka_unit_test(test_check_sees_damage),
        cmocka_unit_test(test_check_sees_stray_bits),
        cmocka_unit_test(test_check_busy),
        cmocka_unit_test(test_areas_only),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
