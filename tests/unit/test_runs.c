/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_runs.c - the index of runs and the one-step claim, against a bitmap that knows all
 *
 * The area lies at the bottom of memory, so that a destination with a low limit is one of its own
 * frames. A frame of the shadow is 0 where a window may be: nobody's, or lent to somebody who can
 * leave. There is always more room outside than is lent.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "../support/machine.h"

#include <sched.h>
#include <string.h>

#define RUNS_AREA_MAX 4000u
#define RUNS_BUFFERS 400u
#define RUNS_OBJECTS 200u
#define RUNS_RECENT 4u /* buffers that are remembered for a refill */

struct buffer {
    uint32_t at, npages, owner;
};

struct runs {
    struct machine machine;
    struct cma_area *area;
    uint32_t area_npages;
    uint64_t random;
    uint32_t shadow[RUNS_AREA_MAX]; /* 0: open; otherwise the buffer's owner, or one of these: */
    struct buffer held[RUNS_BUFFERS];
    uint32_t nheld;
    uint32_t owners;
    uint32_t pinned; /* objects, one bit each group of them */
    cma_pfn_t destination;
    uint32_t destination_npages;
    uint32_t claimed, refused;
    uint64_t skipped;
};
#define RUNS_PINNED UINT32_MAX
#define RUNS_PASSING (UINT32_MAX - 1)

static struct runs runs;

static uint32_t runs_below(uint32_t bound)
{
    return (uint32_t)(machine_random(&runs.random) >> 16) % bound;
}

static void runs_open(uint32_t area_npages, uint32_t lanes, uint32_t lane_npages,
                      uint32_t block_order, uint64_t seed)
{
    struct machine_config config = {
        .npages = area_npages + 2 * RUNS_OBJECTS,
        .areas = {{0, area_npages}},
        .nareas = 1,
        .nobjects = RUNS_OBJECTS,
        .lanes = lanes,
        .lane_npages = lane_npages,
        .block_order = block_order,
    };

    memset(&runs, 0, sizeof runs);
    assert_true(area_npages <= RUNS_AREA_MAX);
    machine_make(&runs.machine, &config);
    runs.area = &runs.machine.areas[0];
    runs.area_npages = area_npages;
    runs.random = seed;
    runs.owners = 1;
}

static void runs_check(void)
{
    struct cma_violation violation = {NULL, 0};

    /* The area takes a destination, which is nobody's for a moment, for a leak. */
    if (!cma_frames_check(&runs.machine.table, runs.destination_npages != 0, &violation) ||
        (runs.destination_npages == 0 && !cma_area_check(runs.area, &violation))) {
        fail_msg("%s, frame %u", violation.what, (unsigned)(violation.pfn - runs.area->pfn));
    }
}

static void runs_close(void)
{
    runs_check();
    machine_end(&runs.machine);
}

static void runs_mark(uint32_t at, uint32_t npages, uint32_t from, uint32_t to)
{
    for (uint32_t i = 0; i < npages; i++) {
        if (runs.shadow[at + i] != from) {
            fail_msg("frame %u is taken, of %u from %u up", at + i, npages, at);
        }
        runs.shadow[at + i] = to;
    }
}

/* Could a window begin at frame `at` of the area? */
static bool runs_would(const struct cma_area_request *request, uint32_t at)
{
    uint64_t pfn = runs.area->pfn + at;
    uint64_t seen = pfn + (request->bus_offset >> 12);
    uint64_t last = pfn + request->npages - 1;

    if ((request->align_npages != 0 && seen % request->align_npages != 0) ||
        pfn << 12 < request->paddr_first ||
        (request->paddr_last != 0 && ((last + 1) << 12) - 1 > request->paddr_last) ||
        (request->boundary_nbytes != 0 &&
         (seen << 12) / request->boundary_nbytes !=
             ((seen + request->npages) * 4096 - 1) / request->boundary_nbytes)) {
        return false;
    }
    for (uint32_t i = 0; i < request->npages; i++) {
        if (runs.shadow[at + i] != 0) {
            return false;
        }
    }
    return true;
}

static bool runs_oracle(const struct cma_area_request *request)
{
    for (uint32_t at = 0; at + request->npages <= runs.area_npages; at++) {
        if (runs_would(request, at)) {
            return true;
        }
    }
    return false;
}

/* Claims, compares with the shadow, and says whether there was a window. */
static bool runs_claim(const struct cma_area_request *wish, struct buffer *buffer)
{
    struct cma_area_request request = *wish;
    bool expected = runs_oracle(&request);
    cma_pfn_t pfn = CMA_PFN_NONE;
    int error;

    request.owner = runs.owners++;
    error = cma_area_alloc(runs.area, &request, &pfn, NULL);
    if ((error == 0) != expected) {
        fail_msg("%u pages, align %u, flags %u: %s, and there is %s window", (unsigned)wish->npages,
                 (unsigned)wish->align_npages, wish->flags,
                 error == 0 ? "had" : cma_strerror(error), expected ? "a" : "no");
    }
    if (error != 0) {
        runs.refused++;
        return false;
    }
    *buffer =
        (struct buffer){(uint32_t)(pfn - runs.area->pfn), (uint32_t)request.npages, request.owner};
    assert_true(runs_would(&request, buffer->at));
    runs_mark(buffer->at, buffer->npages, 0, buffer->owner);
    runs.claimed++;
    return true;
}

static void runs_release(const struct buffer *buffer)
{
    cma_pfn_t pfn = runs.area->pfn + buffer->at;

    assert_int_equal(cma_area_release(runs.area, pfn, buffer->npages, buffer->owner + 1),
                     CMA_EPERM);
    assert_int_equal(cma_area_release(runs.area, pfn, buffer->npages + 1, buffer->owner),
                     CMA_EINVAL);
    assert_int_equal(cma_area_release(runs.area, pfn, buffer->npages, buffer->owner), 0);
    assert_int_equal(cma_area_release(runs.area, pfn, buffer->npages, buffer->owner), CMA_EBADF);
    runs_mark(buffer->at, buffer->npages, buffer->owner, 0);
}

/* Claims that must succeed. */
static struct buffer runs_get(uint32_t npages, uint32_t flags)
{
    struct cma_area_request request = {.npages = npages, .flags = flags};
    struct buffer buffer;

    assert_true(runs_claim(&request, &buffer));
    return buffer;
}

/* --- random steps -------------------------------------------------------------------------- */

static void runs_step_claim(void)
{
    static const uint32_t flags[] = {0, 0, CMA_CLAIM_LONG, CMA_CLAIM_SHORT};
    struct cma_area_request request = {.flags = flags[runs_below(4)]};
    cma_paddr_t base = runs.area->pfn << 12;

    /* Nobody else would end what it waited for. */
    if (runs.destination_npages != 0 || runs_below(4) == 0) {
        request.flags |= CMA_CLAIM_NOWAIT;
    }
    request.npages = 1 + runs_below(runs_below(3) == 0 ? runs.area_npages / 3 : 40);
    if (runs_below(3) == 0) {
        request.align_npages = UINT64_C(1) << runs_below(10);
    }
    if (runs_below(6) == 0) {
        request.boundary_nbytes = UINT64_C(4096) << (9 - runs_below(3));
        if (request.boundary_nbytes < request.npages << 12) {
            request.boundary_nbytes = 0;
        }
    }
    if (runs_below(6) == 0) {
        request.bus_offset = (uint64_t)runs_below(64) << 12;
    }
    if (runs_below(8) == 0) {
        request.paddr_first = base + ((uint64_t)runs_below(runs.area_npages) << 12);
    }
    if (runs_below(8) == 0) {
        request.paddr_last = base + ((uint64_t)(1 + runs_below(runs.area_npages)) << 12) - 1;
        if (request.paddr_last < request.paddr_first) {
            request.paddr_first = 0;
        }
    }
    if (runs.nheld < RUNS_BUFFERS && runs_claim(&request, &runs.held[runs.nheld])) {
        runs.nheld++;
    }
}

static void runs_step_release(void)
{
    if (runs.nheld > 0) {
        uint32_t i = runs_below(runs.nheld);

        runs_release(&runs.held[i]);
        runs.held[i] = runs.held[--runs.nheld];
    }
}

/* Somebody borrows a frame of the area: the one asked for, if it is lent and nobody's. */
static void runs_step_borrow(void)
{
    uint32_t index = runs_below(RUNS_OBJECTS);
    struct machine_object *object = &runs.machine.objects[index];
    enum cma_kind kind = runs_below(2) == 0 ? CMA_KIND_MOVABLE : CMA_KIND_DROPPABLE;
    struct cma_holder holder = {kind, runs.machine.numbers[index % 2], index + 1};
    cma_pfn_t pfn = runs.area->pfn + runs_below(runs.area_npages);

    if (!object->live && cma_frame_publish(&runs.machine.table, pfn, &holder) == 0) {
        object->live = true;
        object->frozen = false;
        object->kind = kind;
        object->pfn = pfn;
        object->stamp = machine_random(&runs.random);
        machine_fill(&runs.machine, pfn, object->stamp);
        assert_int_equal(runs.shadow[pfn - runs.area->pfn], 0);
    }
}

/* Pins what an object has in the area, or unpins it. A pinned object is not freed meanwhile. */
static void runs_step_pin(void)
{
    uint32_t index = runs_below(32);
    struct machine_object *object = &runs.machine.objects[index];
    uint64_t at = object->pfn - runs.area->pfn;

    if ((runs.pinned >> index & 1) != 0) {
        assert_int_equal(cma_frame_unpin(&runs.machine.table, object->pfn), 0);
        runs_mark((uint32_t)at, 1, RUNS_PINNED, 0);
        runs.pinned &= ~(1u << index);
    } else if (object->live && at < runs.area_npages) {
        assert_int_equal(cma_frame_pin_in_place(&runs.machine.table, object->pfn), 0);
        runs_mark((uint32_t)at, 1, 0, RUNS_PINNED);
        runs.pinned |= 1u << index;
    }
}

static void runs_step_free(void)
{
    uint32_t index = runs_below(RUNS_OBJECTS);

    if (index >= 32 || (runs.pinned >> index & 1) == 0) {
        (void)machine_object_free(&runs.machine, index);
    }
}

/* Takes frames of the area as a destination, or puts them back. */
static void runs_step_destination(void)
{
    const struct cma_pages_ops *ops = &runs.machine.ops;
    struct cma_destination want = {.paddr_last = ((runs.area->pfn + runs.area_npages) << 12) - 1,
                                   .npages = 1 + runs_below(9)};

    if (runs.destination_npages != 0) {
        ops->destination_put(ops->ctx, runs.destination, runs.destination_npages);
        runs_mark((uint32_t)(runs.destination - runs.area->pfn), runs.destination_npages,
                  RUNS_PASSING, 0);
        runs.destination_npages = 0;
    } else {
        cma_pfn_t pfn;
        int taken = ops->destination(ops->ctx, &want, &pfn);

        if (taken > 0) {
            runs.destination = pfn;
            runs.destination_npages = (uint32_t)taken;
            runs_mark((uint32_t)(pfn - runs.area->pfn), (uint32_t)taken, 0, RUNS_PASSING);
        }
    }
}

static void runs_step(void)
{
    switch (runs_below(16)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4: runs_step_claim(); break;
    case 5:
    case 6:
    case 7:
    case 8: runs_step_release(); break;
    case 9:
    case 10: runs_step_borrow(); break;
    case 11:
    case 12: runs_step_free(); break;
    case 13: runs_step_pin(); break;
    case 14: runs_step_destination(); break;
    default: (void)cma_area_lend(runs.area, CMA_KIND_MOVABLE); break;
    }
}

static void any_open_window_is_found(void **state)
{
    uint32_t claimed = 0, refused = 0;
    struct cma_area_stats stats;

    (void)state;
    for (uint64_t seed = 1; seed <= 72; seed++) {
        uint32_t lanes = (uint32_t)seed % 4;
        uint32_t npages = 90 + (uint32_t)(seed * 7919 % (RUNS_AREA_MAX / 4));

        /* Above 512 pages a run has other names. */
        npages = seed > 60 ? npages * 3 : npages;
        runs_open(npages, lanes, 20 + npages / 5, 5 + (uint32_t)seed % 3, seed);
        for (uint32_t i = 0; i < 600; i++) {
            runs_step();
            runs_check();
        }
        cma_area_stats(runs.area, &stats);
        assert_int_equal(stats.claims, runs.claimed);
        assert_int_equal(stats.refused, runs.refused);
        assert_int_equal(stats.claims - stats.released, runs.nheld);
        claimed += runs.claimed;
        refused += runs.refused;
        machine_end(&runs.machine);
    }
    /* Both answers were often the right one. */
    assert_true(claimed > 4000 && refused > 1000);
}

/* --- what buffers may expect --------------------------------------------------------------- */

/* Up to four buffers that were released since the last search are taken again by requests of their
 * lengths, the newest first, each at its place. */
static void a_released_place_is_refilled(void **state)
{
    (void)state;
    for (uint32_t lanes = 1; lanes <= 2; lanes++) {
        struct buffer buffers[40];

        runs_open(1000, 1, 0, 5 + lanes, lanes);
        for (uint32_t i = 0; i < 40; i++) {
            buffers[i] = runs_get(5 + i % 8, 0);
        }
        for (uint32_t round = 0; round < 500; round++) {
            uint32_t count = 1 + runs_below(RUNS_RECENT);
            uint32_t chosen[RUNS_RECENT];

            for (uint32_t i = 0; i < count; i++) {
                /* Lengths differ: 5 + (8 * k + i) % 8 */
                chosen[i] = 8 * runs_below(5) + i;
                runs_release(&buffers[chosen[i]]);
            }
            for (uint32_t i = 0; i < count; i++) {
                struct buffer again = runs_get(buffers[chosen[i]].npages, 0);

                assert_int_equal(again.at, buffers[chosen[i]].at);
                buffers[chosen[i]] = again;
                runs_check();
            }
        }
        /* The newest of two alike is taken first. */
        runs_release(&buffers[0]);
        runs_release(&buffers[8]);
        assert_int_equal(runs_get(5, 0).at, buffers[8].at);
        assert_int_equal(runs_get(5, 0).at, buffers[0].at);
        runs_close();
    }
}

static uintptr_t (*race_lock)(void *ctx, struct cma_lock *lock);
static struct buffer race_other;
static bool race_on;

/* Somebody else searches, in the moment before the lock is had. */
static uintptr_t race_take(void *ctx, struct cma_lock *lock)
{
    if (race_on) {
        race_on = false;
        race_other = runs_get(30, 0);
    }
    return race_lock(ctx, lock);
}

/* What a search has seen in the meantime is not in the list of released buffers any more. */
static void a_list_read_without_the_lock_is_read_again(void **state)
{
    struct buffer buffers[12];

    (void)state;
    for (uint32_t released = 1; released <= 3; released++) {
        runs_open(300, 1, 0, 6, released);
        race_lock = runs.machine.port.lock;
        runs.machine.port.lock = race_take;
        for (uint32_t i = 0; i < 12; i++) {
            buffers[i] = runs_get(8, 0);
        }
        for (uint32_t i = 0; i < released; i++) {
            runs_release(&buffers[3 * i + 1]);
        }
        race_on = true;
        (void)runs_get(8, 0);
        assert_false(race_on);
        runs_check();
        (void)runs_get(8, 0);
        runs_release(&race_other);
        runs_close();
    }
}

/* Ten streams of different lengths with two buffers each fill an area to the last page. As long as
 * no more than four buffers are out of use at a time, each one that comes back finds a place of
 * its length, in whatever order, for ever. */
static void streams_do_not_fragment_each_other(void **state)
{
    static const uint32_t length[10] = {3, 7, 16, 17, 31, 32, 40, 64, 90, 111};
    struct buffer buffers[20];
    uint32_t out[RUNS_RECENT], nout = 0;

    (void)state;
    runs_open(2 * (3 + 7 + 16 + 17 + 31 + 32 + 40 + 64 + 90 + 111), 1, 0, 5, 3);
    for (uint32_t i = 0; i < 20; i++) {
        buffers[i] = runs_get(length[i % 10], 0);
    }
    for (uint32_t step = 0; step < 20000; step++) {
        uint32_t i = runs_below(20);
        bool is_out = false;

        for (uint32_t j = 0; j < nout; j++) {
            is_out = is_out || out[j] == i;
        }
        if (nout == RUNS_RECENT || (nout > 0 && is_out)) {
            uint32_t j = runs_below(nout);

            buffers[out[j]] = runs_get(length[out[j] % 10], 0);
            out[j] = out[--nout];
        } else if (!is_out) {
            runs_release(&buffers[i]);
            out[nout++] = i;
        }
    }
    assert_int_equal(runs.refused, 0);
    while (nout > 0) {
        nout--;
        buffers[out[nout]] = runs_get(length[out[nout] % 10], 0);
    }
    runs_close();
}

/* Buffers of one length that divides the area never refuse each other while one place is free, in
 * whatever order and number they come and go. */
static void equal_buffers_fill_an_area(void **state)
{
    (void)state;
    for (uint32_t npages = 1; npages <= 64; npages = npages * 5 / 3 + 1) {
        uint32_t places = 900 / npages;

        runs_open(places * npages, 1, 0, 5 + npages % 3, npages);
        for (uint32_t i = 0; i < 4000; i++) {
            if (runs.nheld < RUNS_BUFFERS && runs.nheld < places && runs_below(5) < 3) {
                runs.held[runs.nheld++] = runs_get(npages, 0);
            } else {
                runs_step_release();
            }
        }
        runs_close();
    }
}

static uint32_t runs_longest(uint32_t *open)
{
    uint32_t longest = 0, length = 0;

    *open = 0;
    for (uint32_t at = 0; at < runs.area_npages; at++) {
        length = runs.shadow[at] == 0 ? length + 1 : 0;
        *open += length != 0;
        longest = length > longest ? length : longest;
    }
    return longest;
}

/* Long-lived buffers that come at any time, while short-lived ones come and go in up to a quarter
 * of the area: when these are gone, all that is open is one run. (When short-lived ones fill most
 * of it, some come to lie high up, and a long-lived one that comes then lies below them.) */
static void long_lived_buffers_leave_one_run(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        uint32_t npages = 300 + (uint32_t)(seed * 7919 % 900);
        uint32_t used = 0, used_long = 0, open;

        runs_open(npages, 1, 0, 5 + (uint32_t)seed % 3, seed);
        for (uint32_t i = 0; i < 400; i++) {
            uint32_t length = 1 + runs_below(npages / 20);

            if (runs_below(8) == 0 && used_long + length <= npages / 5) {
                (void)runs_get(length, CMA_CLAIM_LONG);
                used_long += length;
            } else if (runs_below(2) == 0 && used + length <= npages / 4) {
                runs.held[runs.nheld++] = runs_get(length, CMA_CLAIM_SHORT);
                used += length;
            } else if (runs.nheld > 0) {
                uint32_t j = runs_below(runs.nheld);

                used -= runs.held[j].npages;
                runs_release(&runs.held[j]);
                runs.held[j] = runs.held[--runs.nheld];
            }
        }
        while (runs.nheld > 0) {
            runs_release(&runs.held[--runs.nheld]);
        }
        if (runs_longest(&open) != open) {
            fail_msg("seed %u: %u open pages of %u, and the longest run is %u", (unsigned)seed,
                     open, npages, runs_longest(&open));
        }
        (void)runs_get(open, 0);
        runs_close();
    }
}

/* Somebody borrows frame `at` of the area, which is lent. */
static void runs_borrow(uint32_t index, uint32_t at)
{
    struct machine_object *object = &runs.machine.objects[index];
    struct cma_holder holder = {CMA_KIND_MOVABLE, runs.machine.numbers[index % 2], index + 1};

    while (cma_area_lend(runs.area, CMA_KIND_MOVABLE)) {
    }
    object->live = true;
    object->kind = CMA_KIND_MOVABLE;
    object->pfn = runs.area->pfn + at;
    object->stamp = index;
    machine_fill(&runs.machine, object->pfn, object->stamp);
    assert_int_equal(cma_frame_publish(&runs.machine.table, object->pfn, &holder), 0);
}

/* Many runs are of the right length and lie wrong: the one that doesn't is found. */
static void the_only_aligned_run_is_found(void **state)
{
    struct cma_area_request request = {.npages = 4, .align_npages = 4};
    uint32_t at = 0;
    struct buffer buffer;

    (void)state;
    runs_open(1200, 1, 0, 7, 1);
    /* The area begins 3 behind a multiple of 4, so frame 1 is one. */
    for (uint32_t i = 0; i < 1200; i++) {
        (void)runs_get(1, 0);
    }
    for (uint32_t i = 0; i < 100; i++) {
        at = i == 77 ? i * 12 + 1 : i * 12 + 2;
        for (uint32_t j = 0; j < 4; j++) {
            buffer = (struct buffer){at + j, 1, runs.shadow[at + j]};
            runs_release(&buffer);
        }
    }
    assert_true(runs_claim(&request, &buffer));
    assert_int_equal(buffer.at, 77 * 12 + 1);
    assert_false(runs_claim(&request, &buffer));
    runs_check();
    machine_end(&runs.machine);
}

/* A run in which nothing is aligned as a device with an offset of addresses sees it is no use to
 * that device, and all others may have it. */
static void an_offset_does_not_fill_an_area(void **state)
{
    struct cma_area_request rest = {.align_npages = 1};
    struct cma_area_request request = {
        .npages = 24, .align_npages = 64, .bus_offset = UINT64_C(32) << 12};
    struct buffer buffer;
    cma_pfn_t begin;

    (void)state;
    runs_open(200, 1, 0, 7, 1);
    /* All but 40 frames from a multiple of 64 on. */
    begin = (runs.area->pfn + 63) & ~(cma_pfn_t)63;
    rest.npages = begin - runs.area->pfn;
    rest.paddr_last = (begin << 12) - 1;
    assert_true(runs_claim(&rest, &buffer));
    rest.npages = runs.area->pfn + 200 - (begin + 40);
    rest.paddr_first = (begin + 40) << 12;
    rest.paddr_last = 0;
    assert_true(runs_claim(&rest, &buffer));
    assert_false(runs_claim(&request, &buffer));
    request.bus_offset = 0;
    assert_true(runs_claim(&request, &buffer));
    runs_close();
}

/* "No" was said, and is not said for longer than it is true. */
static void an_unpinned_frame_is_open_again(void **state)
{
    struct cma_area_request request = {.npages = 1};
    struct buffer buffer;
    cma_pfn_t pfn;

    (void)state;
    runs_open(64, 1, 0, 5, 1);
    runs_borrow(0, 20);
    pfn = runs.area->pfn + 20;
    assert_int_equal(cma_frame_pin_in_place(&runs.machine.table, pfn), 0);
    runs_mark(20, 1, 0, RUNS_PINNED);
    while (runs_claim(&request, &buffer)) {
    }
    assert_int_equal(runs.claimed, 63);
    assert_false(runs_claim(&request, &buffer));
    assert_int_equal(cma_frame_unpin(&runs.machine.table, pfn), 0);
    runs_mark(20, 1, RUNS_PINNED, 0);
    assert_true(runs_claim(&request, &buffer));
    assert_int_equal(buffer.at, 20);
    assert_int_equal(runs.machine.moved, 1);
    runs_close();
}

/* A refill is no reason to overlook what was borrowed meanwhile, or the request's alignment. */
static void a_refill_must_suit(void **state)
{
    struct cma_area_request aligned = {.npages = 16, .align_npages = 16};
    struct buffer buffer, again;

    (void)state;
    runs_open(128, 1, 0, 5, 1);
    buffer = runs_get(16, 0);
    runs_release(&buffer);
    runs_borrow(0, buffer.at + 5);
    again = runs_get(16, 0);
    assert_true(again.at > buffer.at + 5 || again.at + 16 <= buffer.at + 5);
    assert_int_equal(runs.machine.moved, 0);
    runs_release(&again);
    assert_true((runs.area->pfn + again.at) % 16 != 0);
    assert_true(runs_claim(&aligned, &again));
    assert_int_equal((runs.area->pfn + again.at) % 16, 0);
    runs_close();
}

/* A claim that is between two steps has its window, though nobody has marked it yet. */
static void a_booked_window_is_left_alone(void **state)
{
    struct cma_area_request request = {.npages = 32, .owner = 900, .flags = CMA_CLAIM_NOWAIT};
    struct cma_area_stats stats;
    struct cma_claim claim;
    struct buffer other;
    cma_pfn_t booked;

    (void)state;
    runs_open(64, 1, 0, 5, 1);
    assert_int_equal(cma_claim_start(&claim, runs.area, &request), 0);
    assert_int_equal(cma_claim_step(&claim, 1), 1);
    assert_int_equal(claim.state, CMA_CLAIM_ISOLATE);
    booked = claim.pfn;
    other = runs_get(32, CMA_CLAIM_NOWAIT);
    assert_int_not_equal(runs.area->pfn + other.at, booked);
    assert_int_equal(cma_area_alloc(runs.area, &request, &booked, NULL), CMA_EAGAIN);
    booked = claim.pfn;
    while (claim.state != CMA_CLAIM_DONE) {
        assert_true(cma_claim_step(&claim, 7) >= 0);
    }
    assert_true(claim.pfn == booked);
    cma_area_stats(runs.area, &stats);
    assert_int_equal(stats.windows_left, 0);
    assert_int_equal(stats.claimed_npages, 64);
    runs_close();
}

/* What is nobody's for a moment is no reason to say that all is claimed. */
static void a_destination_is_waited_for(void **state)
{
    const struct cma_pages_ops *ops = &runs.machine.ops;
    struct cma_destination want = {.npages = 4};
    struct cma_area_request request = {.npages = 4, .owner = 1, .flags = CMA_CLAIM_NOWAIT};
    struct buffer buffer;
    cma_pfn_t pfn, got;
    int taken;

    (void)state;
    runs_open(64, 1, 0, 5, 1);
    while (cma_area_lend(runs.area, CMA_KIND_MOVABLE)) {
    }
    want.paddr_last = ((runs.area->pfn + 64) << 12) - 1;
    taken = ops->destination(ops->ctx, &want, &pfn);
    assert_true(taken > 0);
    runs_mark((uint32_t)(pfn - runs.area->pfn), (uint32_t)taken, 0, RUNS_PASSING);
    for (uint32_t i = 0; i < 64 - (uint32_t)taken; i++) {
        buffer = runs_get(1, 0);
    }
    request.npages = (uint32_t)taken;
    assert_int_equal(cma_area_alloc(runs.area, &request, &got, NULL), CMA_EAGAIN);
    ops->destination_put(ops->ctx, pfn, (uint32_t)taken);
    assert_int_equal(cma_area_alloc(runs.area, &request, &got, NULL), 0);
    assert_true(got == pfn);
    assert_int_equal(cma_area_alloc(runs.area, &request, &got, NULL), CMA_ENOMEM);
    (void)buffer;
    machine_end(&runs.machine);
}

/* --- waiting --------------------------------------------------------------------------------- */

static uint32_t wait_at_freeze, wait_go; /* atomic */

static int wait_freeze(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    (void)ctx;
    (void)pfn;
    (void)cookie;
    __atomic_store_n(&wait_at_freeze, 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(&wait_go, __ATOMIC_ACQUIRE) == 0) {
        sched_yield();
    }
    return runs.machine.movers[1].freeze(ctx, pfn, cookie);
}

static void *wait_claim(void *arg)
{
    struct cma_area_request request = {.npages = 32, .owner = 5};
    cma_pfn_t *pfn = arg;
    int error = cma_area_alloc(runs.area, &request, pfn, NULL);

    MACHINE_REQUIRE(error == 0, "a claim that may wait: %s", cma_strerror(error));
    return NULL;
}

/* All is claimed, or being claimed by one whose mover takes its time. A second claim waits for
 * that; but a buffer that is released in one step serves it before. */
static void a_quick_release_wakes_a_claim(void **state)
{
    struct buffer low, high;
    cma_pfn_t slow_pfn = 0, pfn = 0;
    pthread_t slow, waiting;

    (void)state;
    wait_at_freeze = wait_go = 0;
    runs_open(96, 1, 0, 5, 1);
    low = runs_get(32, 0);
    high = runs_get(32, 0);
    for (uint32_t at = 0; at < 96; at++) {
        if (runs.shadow[at] == 0) {
            runs_borrow(0, at);
            break;
        }
    }
    runs.machine.movers[0].freeze = wait_freeze;
    runs.machine.movers[0].freeze_many = NULL;
    assert_int_equal(pthread_create(&slow, NULL, wait_claim, &slow_pfn), 0);
    while (__atomic_load_n(&wait_at_freeze, __ATOMIC_ACQUIRE) == 0) {
        sched_yield();
    }
    assert_int_equal(pthread_create(&waiting, NULL, wait_claim, &pfn), 0);
    while (__atomic_load_n(&runs.machine.table.waiters, __ATOMIC_ACQUIRE) == 0) {
        sched_yield();
    }
    runs_release(&high);
    assert_int_equal(pthread_join(waiting, NULL), 0);
    assert_true(pfn == runs.area->pfn + high.at);
    __atomic_store_n(&wait_go, 1, __ATOMIC_RELEASE);
    assert_int_equal(pthread_join(slow, NULL), 0);
    assert_true(slow_pfn != pfn);
    runs_release(&low);
    runs_close();
}

/* Pages between a buffer and the nearer end of the run that it was cut from. */
static uint32_t runs_skipped(const struct buffer *buffer)
{
    uint32_t end = buffer->at + buffer->npages;
    uint32_t below = 0, above = 0;

    while (below < buffer->at && runs.shadow[buffer->at - below - 1] == 0) {
        below++;
    }
    while (end + above < runs.area_npages && runs.shadow[end + above] == 0) {
        above++;
    }
    return below < above ? below : above;
}

static void what_alignment_wastes_is_told(void **state)
{
    uint64_t skipped = 0;

    (void)state;
    runs_open(1100, 1, 0, 6, 1);
    for (uint32_t i = 0; i < 2000; i++) {
        struct cma_area_request request = {.npages = 1 + runs_below(50)};
        struct cma_area_stats before, after;

        request.align_npages = i % 3 == 0 ? 0 : UINT64_C(1) << runs_below(7);
        request.flags = i % 5 == 0 ? CMA_CLAIM_LONG : i % 5 == 1 ? CMA_CLAIM_SHORT : 0;
        if (runs_below(2) == 0) {
            runs_step_release();
            continue;
        }
        cma_area_stats(runs.area, &before);
        if (runs.nheld < RUNS_BUFFERS && runs_claim(&request, &runs.held[runs.nheld])) {
            uint32_t skips = runs_skipped(&runs.held[runs.nheld++]);

            cma_area_stats(runs.area, &after);
            skipped += skips;
            /* A refill is cut from nothing. */
            assert_true(after.skipped_npages - before.skipped_npages == skips ||
                        after.skipped_npages == before.skipped_npages);
            assert_true(request.align_npages > 1 || after.skipped_npages == before.skipped_npages);
            skipped -= skips - (after.skipped_npages - before.skipped_npages);
        }
    }
    assert_true(skipped > 100);
    runs_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_open_window_is_found),
        cmocka_unit_test(a_released_place_is_refilled),
        cmocka_unit_test(a_list_read_without_the_lock_is_read_again),
        cmocka_unit_test(streams_do_not_fragment_each_other),
        cmocka_unit_test(equal_buffers_fill_an_area),
        cmocka_unit_test(the_only_aligned_run_is_found),
        cmocka_unit_test(an_offset_does_not_fill_an_area),
        cmocka_unit_test(an_unpinned_frame_is_open_again),
        cmocka_unit_test(a_refill_must_suit),
        cmocka_unit_test(a_booked_window_is_left_alone),
        cmocka_unit_test(a_destination_is_waited_for),
        cmocka_unit_test(a_quick_release_wakes_a_claim),
        cmocka_unit_test(long_lived_buffers_leave_one_run),
        cmocka_unit_test(what_alignment_wastes_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
