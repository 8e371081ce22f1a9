/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_sources.c - coherent memory: who is asked in which order, what flags do, that nobody's word
 * about reach is taken (case 38), that memory goes back to where it came from (case 39, H7) and
 * comes without what others left there (H1)
 *
 * Back-ends that are asked by pointer are played by the test.
 */
#include <cma/bounce.h>
#include <cma/exclusive.h>
#include <cma/nosleep.h>

#include "../../src/dma/device.h"

#include "handover_board.h"

#define GOOD 0xffffffffu /* a mask that has all of the board */

/* --- played back-ends ------------------------------------------------------------------ */

static struct played {
    enum cma_source source; /* of what it hands out */
    int answer;             /* CMA_ENOENT and others: at once */
    cma_paddr_t paddr;
    cma_daddr_t daddr;
    uint32_t nallocs, nfrees, flags;
    int free_answer;
} played;

static int played_alloc(struct cma_device *device, const struct cma_coherent_plan *plan,
                        struct cma_coherent *buffer, struct cma_refusal *refusal)
{
    (void)device;
    played.nallocs++;
    played.flags = plan->flags;
    if (played.answer != 0) {
        refusal->reason = CMA_REASON_EXCLUSIVE;
        return played.answer;
    }
    assert_true(buffer->nbytes != 0);
    buffer->vaddr = &played;
    buffer->paddr = played.paddr;
    buffer->daddr = played.daddr;
    buffer->source = played.source;
    return 0;
}

static int played_free(struct cma_device *device, const struct cma_coherent *buffer)
{
    (void)device;
    assert_true(buffer->paddr == played.paddr);
    played.nfrees++;
    return played.free_answer;
}

static const struct cma_backend_ops played_ops = {.alloc = played_alloc, .free = played_free};
static const struct cma_bounce_ops played_bounce_ops = {.coherent = &played_ops};

static void play(enum cma_source source, int answer)
{
    played = (struct played){.source = source,
                             .answer = answer,
                             .paddr = AT(LOW_FIRST),
                             .daddr = AT(LOW_FIRST),
                             .free_answer = 0};
}

/* --- order ----------------------------------------------------------------------------- */

static enum cma_source source_of(struct cma_device *device, uint32_t flags)
{
    struct cma_coherent_request request = {.nbytes = 2 * PAGE, .flags = flags};
    struct cma_coherent buffer;
    struct cma_refusal refusal;
    int error = cma_dma_alloc_coherent(device, &request, &buffer, &refusal);

    if (error != 0) {
        assert_int_equal(refusal.code, error);
        assert_int_equal(device->live_npages, 0);
        return CMA_SOURCE_NONE;
    }
    assert_int_equal(buffer.nbytes, 2 * PAGE);
    assert_true(device->live_npages >= 2);
    assert_int_equal(cma_dma_free_coherent(device, &buffer), 0);
    assert_int_equal(device->live_npages, 0);
    return buffer.source;
}

static void test_order(void **state)
{
    struct cma_exclusive own = {.ops = &played_ops}, shared = {.ops = &played_ops};
    struct cma_nosleep nosleep = {.ops = &played_ops};
    struct cma_promise_request promised = {.nbytes = 2 * PAGE, .count = 1};
    struct cma_coherent_request pair = {.nbytes = 2 * PAGE};
    struct cma_contiguous contiguous;
    struct cma_device_promise promise;
    struct cma_device device;

    (void)state;
    board_create(1, 0);
    make_device(&device, 5, GOOD, &board.system.areas[1], CMA_DEVICE_TRY_DEFAULT);
    assert_int_equal(source_of(&device, 0), CMA_SOURCE_AREA);
    assert_int_equal(cma_device_admit(&device, &board.system.guarantees, &promise, &promised, NULL),
                     0);
    assert_int_equal(source_of(&device, 0), CMA_SOURCE_GUARANTEE);
    assert_int_equal(source_of(&device, CMA_COHERENT_UNPROMISED), CMA_SOURCE_AREA);
    /* The pool for those who may not sleep is asked by nobody else, and they ask nobody else. */
    assert_int_equal(source_of(&device, CMA_COHERENT_NOSLEEP), CMA_SOURCE_NONE);
    board.dma->nosleep = &nosleep;
    play(CMA_SOURCE_NOSLEEP, 0);
    assert_int_equal(source_of(&device, 0), CMA_SOURCE_GUARANTEE);
    assert_int_equal(played.nallocs, 0);
    assert_int_equal(source_of(&device, CMA_COHERENT_NOSLEEP), CMA_SOURCE_NOSLEEP);
    assert_int_equal(played.nfrees, 1);
    play(CMA_SOURCE_NOSLEEP, CMA_ENOMEM);
    assert_int_equal(source_of(&device, CMA_COHERENT_NOSLEEP), CMA_SOURCE_NONE);
    play(CMA_SOURCE_NOSLEEP, CMA_ENOENT);
    assert_int_equal(source_of(&device, CMA_COHERENT_NOSLEEP), CMA_SOURCE_NONE);
    /* Exclusive memory is before all: full, it ends the search, or lets it go on. */
    board.dma->exclusive = &shared;
    play(CMA_SOURCE_EXCLUSIVE, 0);
    assert_int_equal(source_of(&device, 0), CMA_SOURCE_EXCLUSIVE);
    device.exclusive = &own;
    assert_int_equal(source_of(&device, CMA_COHERENT_NOSLEEP), CMA_SOURCE_EXCLUSIVE);
    assert_int_equal(played.nallocs, 2);
    play(CMA_SOURCE_EXCLUSIVE, CMA_ENOMEM);
    assert_int_equal(source_of(&device, 0), CMA_SOURCE_NONE);
    play(CMA_SOURCE_EXCLUSIVE, CMA_ENOENT);
    assert_int_equal(source_of(&device, 0), CMA_SOURCE_GUARANTEE);
    assert_int_equal(played.nallocs, 1);
    /* Contiguous memory is never from there, and nobody else can ask so. */
    assert_int_equal(cma_dma_alloc_contiguous(&device, &pair, CMA_FROM_DEVICE, &contiguous, NULL),
                     0);
    assert_int_equal(contiguous.buffer.source, CMA_SOURCE_GUARANTEE);
    assert_int_equal(played.nallocs, 1);
    assert_int_equal(cma_dma_free_contiguous(&device, &contiguous), 0);
    assert_int_equal(source_of(&device, CMA__COHERENT_ORDINARY), CMA_SOURCE_NONE);
    assert_int_equal(played.nallocs, 1);
    device.exclusive = NULL;
    board.dma->exclusive = NULL;
    board.dma->nosleep = NULL;
    assert_int_equal(cma_device_revoke(&device, &promise), 0);
    board_destroy();
}

/* H6: a device that is restricted gets its bounce pool's memory or none, whoever has some, whoever
 * asks. */
static void test_restricted(void **state)
{
    struct cma_exclusive own = {.ops = &played_ops}, shared = {.ops = &played_ops};
    struct cma_nosleep nosleep = {.ops = &played_ops};
    struct cma_bounce bounce = {.ops = &played_bounce_ops};
    struct cma_device_config config = {.name = "wifi",
                                       .owner = 6,
                                       .mask = GOOD,
                                       .coherent_mask = GOOD,
                                       .flags = CMA_DEVICE_RESTRICTED,
                                       .bounce = &bounce};
    struct cma_coherent_request request = {.nbytes = PAGE};
    struct cma_coherent buffer;
    struct cma_device device;

    (void)state;
    board_create(1, 0);
    config.area = &board.system.areas[1];
    assert_int_equal(cma_device_init(&device, board.dma, &config), 0);
    board.dma->nosleep = &nosleep;
    board.dma->exclusive = &shared;
    play(CMA_SOURCE_BOUNCE, 0);
    assert_int_equal(source_of(&device, 0), CMA_SOURCE_BOUNCE);
    assert_int_equal(source_of(&device, CMA_COHERENT_NOSLEEP), CMA_SOURCE_BOUNCE);
    assert_int_equal(source_of(&device, CMA_COHERENT_UNPROMISED), CMA_SOURCE_BOUNCE);
    play(CMA_SOURCE_BOUNCE, CMA_ENOMEM);
    assert_int_equal(source_of(&device, 0), CMA_SOURCE_NONE);
    play(CMA_SOURCE_BOUNCE, CMA_ENOENT);
    assert_int_equal(source_of(&device, 0), CMA_SOURCE_NONE);
    assert_int_equal(source_of(&device, CMA_COHERENT_NOSLEEP), CMA_SOURCE_NONE);
    /* What was declared for it is no other memory. */
    play(CMA_SOURCE_EXCLUSIVE, 0);
    device.exclusive = &own;
    assert_int_equal(source_of(&device, 0), CMA_SOURCE_EXCLUSIVE);
    device.exclusive = NULL;
    /* Case 39: it frees nothing of other sources either. */
    play(CMA_SOURCE_BOUNCE, 0);
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, NULL), 0);
    buffer.source = CMA_SOURCE_PAGES;
    assert_int_equal(cma_dma_free_coherent(&device, &buffer), CMA_EINVAL);
    buffer.source = CMA_SOURCE_BOUNCE;
    assert_int_equal(cma_dma_free_coherent(&device, &buffer), 0);
    board.dma->nosleep = NULL;
    board.dma->exclusive = NULL;
    board_destroy();
}

/* --- case 38: reach -------------------------------------------------------------------- */

/* Whatever a back-end gives is looked at: out of reach, at another bus address, not aligned, or
 * under a wrong name, it goes back to who gave it. */
static void test_back_ends_are_rechecked(void **state)
{
    static const enum cma_source sources[] = {CMA_SOURCE_EXCLUSIVE, CMA_SOURCE_NOSLEEP};
    struct cma_exclusive own = {.ops = &played_ops};
    struct cma_nosleep nosleep = {.ops = &played_ops};
    struct cma_coherent_request request = {.nbytes = 2 * PAGE, .align_nbytes = 4 * PAGE};
    struct cma_coherent buffer = {.nbytes = 99};
    struct cma_refusal refusal;
    struct cma_device device;

    (void)state;
    board_create(1, 0);
    make_device(&device, 5, AT(LOW_FIRST + 2) - 1, NULL, 0);
    board.dma->nosleep = &nosleep;
    for (uint32_t i = 0; i < 2; i++) {
        device.exclusive = sources[i] == CMA_SOURCE_EXCLUSIVE ? &own : NULL;
        request.flags = sources[i] == CMA_SOURCE_NOSLEEP ? CMA_COHERENT_NOSLEEP : 0;
        for (uint32_t wrong = 0; wrong < 6; wrong++) {
            play(sources[i], 0);
            switch (wrong) {
            case 0: break; /* its last byte is the last one in reach */
            case 1: played.paddr = played.daddr = AT(LOW_FIRST + 4); break;
            case 2: played.daddr -= 4 * PAGE; break;
            case 3: played.source = CMA_SOURCE_AREA; break;
            case 4: played.paddr = played.daddr = AT(LOW_FIRST - 1); break;
            default: device.config.coherent_mask--;
            }
            assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, &refusal),
                             wrong == 0 ? 0 : CMA_ERANGE);
            assert_int_equal(played.nallocs, 1);
            if (wrong == 0) {
                assert_int_equal(cma_dma_free_coherent(&device, &buffer), 0);
                buffer.nbytes = 99;
            } else {
                assert_int_equal(refusal.reason, CMA_REASON_UNREACHABLE);
                assert_int_equal(buffer.nbytes, 99);
            }
            assert_int_equal(played.nfrees, 1);
            assert_int_equal(device.live_npages, 0);
        }
        device.config.coherent_mask++;
    }
    board.dma->nosleep = NULL;
    board_destroy();
}

static struct cma_pages_ops lying_ops;
static uint32_t nlies;

/* A host that forgets limits. */
static int lying_alloc(void *ctx, const struct cma_pages_request *request, cma_pfn_t *pfn,
                       struct cma_refusal *refusal)
{
    struct cma_pages_request wrong = *request;

    wrong.paddr_first = AT(HIGH_FIRST - 40);
    wrong.paddr_last = CMA_PADDR_MAX;
    nlies++;
    return board.system.pages.frames->ops->alloc(ctx, &wrong, pfn, refusal);
}

static void test_pages_are_rechecked(void **state)
{
    struct cma_coherent_request request = {.nbytes = 3 * PAGE};
    struct cma_coherent buffer;
    struct cma_refusal refusal;
    struct cma_device device;
    uint64_t idle;

    (void)state;
    board_create(1, 0);
    idle = idle_npages();
    lying_ops = *board.dma->ops;
    lying_ops.alloc = lying_alloc;
    board.dma->ops = &lying_ops;
    board.dma->default_area = NULL;
    make_device(&device, 5, AT(LOW_FIRST + 60), NULL, 0);
    nlies = 0;
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, &refusal), CMA_ERANGE);
    assert_int_equal(nlies, 1);
    assert_int_equal(refusal.reason, CMA_REASON_UNREACHABLE);
    assert_int_equal(idle_npages(), idle);
    assert_int_equal(device.live_npages, 0);
    board_destroy();
}

/* Each source gives what is in reach to the last byte, for masks at which only a part of it is: of
 * areas, of promises, of pages. */
static void test_reach_of_each_source(void **state)
{
    struct cma_coherent_request request = {.nbytes = 4 * PAGE};
    struct cma_promise_request promised = {.nbytes = 4 * PAGE, .count = 1};
    struct cma_device_promise promise;
    struct cma_coherent buffers[8];
    struct cma_refusal refusal;
    struct cma_device device;
    cma_daddr_t mask;

    (void)state;
    board_create(1, 0);
    for (uint32_t from = 0; from < 3; from++) {
        for (uint32_t odd = 0; odd < 3; odd++) {
            uint32_t first = from == 2 ? LOW_FIRST : OWN_FIRST, n = 0;

            /* 11 pages but for some bytes: two buffers, and a third doesn't fit. */
            mask = AT(first + 11) - odd;
            make_device(&device, 5, mask, from == 2 ? NULL : &board.system.areas[1],
                        from == 2 ? 0 : CMA_DEVICE_AREA_ONLY);
            if (from == 1) {
                assert_int_equal(
                    cma_device_admit(&device, &board.system.guarantees, &promise, &promised, NULL),
                    0);
            }
            while (n < 8 && cma_dma_alloc_coherent(&device, &request, &buffers[n], &refusal) == 0) {
                assert_true(buffers[n].daddr + 4 * PAGE - 1 <= mask);
                n++;
            }
            assert_int_equal(n, from == 2 ? 8 : 2);
            /* Nothing was taken and given back: the area knew the limit. */
            assert_true(n == 8 || refusal.reason != CMA_REASON_UNREACHABLE);
            while (n != 0) {
                assert_int_equal(cma_dma_free_coherent(&device, &buffers[--n]), 0);
            }
            if (from == 1) {
                assert_int_equal(cma_device_revoke(&device, &promise), 0);
            }
        }
    }
    board_destroy();
}

/* --- case 39, H7: freed to where it came from ------------------------------------------ */

/* A buffer of each source, freed as if it were another one's: refused, and nothing is changed. */
static void test_freed_through_another_back_end(void **state)
{
    static const enum cma_source all[] = {
        CMA_SOURCE_NONE,      CMA_SOURCE_AREA,      CMA_SOURCE_DEFAULT_AREA, CMA_SOURCE_PAGES,
        CMA_SOURCE_GUARANTEE, CMA_SOURCE_EXCLUSIVE, CMA_SOURCE_NOSLEEP,      CMA_SOURCE_BOUNCE};
    static const enum cma_source real[] = {CMA_SOURCE_AREA, CMA_SOURCE_DEFAULT_AREA,
                                           CMA_SOURCE_PAGES, CMA_SOURCE_GUARANTEE};
    struct cma_promise_request promised = {.nbytes = 4 * PAGE, .count = 1};
    struct cma_coherent_request request = {.nbytes = 4 * PAGE};
    struct cma_exclusive region = {.ops = &played_ops};
    struct cma_nosleep nosleep = {.ops = &played_ops};
    struct cma_device_promise promise;
    struct cma_coherent buffer, wrong;
    struct cma_device device;

    (void)state;
    board_create(1, 0);
    for (uint32_t i = 0; i < 4; i++) {
        uint64_t idle;

        make_device(&device, 5, AT(HIGH_FIRST) - 1,
                    real[i] == CMA_SOURCE_AREA ? &board.system.areas[1] : NULL,
                    CMA_DEVICE_TRY_DEFAULT);
        board.dma->default_area = real[i] == CMA_SOURCE_PAGES ? NULL : &board.system.areas[0];
        assert_true(board.dma->default_area == NULL ||
                    board.dma->default_area->pfn == AT(256) / PAGE);
        if (real[i] == CMA_SOURCE_GUARANTEE) {
            assert_int_equal(
                cma_device_admit(&device, &board.system.guarantees, &promise, &promised, NULL), 0);
        }
        assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, NULL), 0);
        assert_int_equal(buffer.source, real[i]);
        idle = idle_npages();
        board.dma->nosleep = &nosleep;
        device.exclusive = &region;
        play(CMA_SOURCE_NONE, 0);
        played.paddr = buffer.paddr;
        played.free_answer = CMA_EBADF; /* they know no such buffer */
        for (uint32_t as = 0; as < sizeof(all) / sizeof(all[0]); as++) {
            wrong = buffer;
            wrong.source = all[as];
            if (all[as] != real[i]) {
                assert_true(cma_dma_free_coherent(&device, &wrong) != 0);
                assert_int_equal(device.live_npages, 4);
                assert_int_equal(idle_npages(), idle);
                assert_int_equal(attr_at(buffer.vaddr), CMA_ATTR_UNCACHED);
            }
        }
        assert_int_equal(played.nfrees, 2);
        device.exclusive = NULL;
        board.dma->nosleep = NULL;
        assert_int_equal(cma_dma_free_coherent(&device, &buffer), 0);
        if (real[i] == CMA_SOURCE_GUARANTEE) {
            assert_int_equal(cma_device_revoke(&device, &promise), 0);
        }
    }
    board.dma->default_area = &board.system.areas[0];
    board_destroy();
}

/* Memory of an exclusive region is not freed as an area's, though the area's record says that the
 * device has it. */
static void test_exclusive_memory_is_not_an_areas(void **state)
{
    struct cma_coherent_request request = {.nbytes = 4 * PAGE};
    struct cma_exclusive region = {.ops = &played_ops, .npages = 4};
    struct cma_coherent buffer;
    struct cma_device device;

    (void)state;
    board_create(1, 0);
    make_device(&device, 5, GOOD, &board.system.areas[1], 0);
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, NULL), 0);
    region.paddr = buffer.paddr;
    board.dma->regions = &region;
    assert_int_equal(cma_dma_free_coherent(&device, &buffer), CMA_EINVAL);
    region.paddr = buffer.paddr - 4 * PAGE;
    assert_int_equal(cma_dma_free_coherent(&device, &buffer), 0);
    board.dma->regions = NULL;
    board_destroy();
}

/* H7: another length, another device, a part, twice; with each kind of mapping. */
static void test_wrong_sizes(void **state)
{
    static const uint32_t flags[] = {0, CMA_COHERENT_WRITE_COMBINE, CMA_COHERENT_NO_MAPPING};
    struct cma_device device, other;

    (void)state;
    board_create(1, 32);
    for (uint32_t area = 0; area < 3; area++) {
        for (uint32_t kind = 0; kind < 3; kind++) {
            struct cma_coherent_request request = {.nbytes = 4 * PAGE, .flags = flags[kind]};
            struct cma_coherent good, bad;

            make_device(&device, 5, UINT64_MAX, &board.system.areas[area], 0);
            make_device(&other, 6, UINT64_MAX, &board.system.areas[area], 0);
            assert_int_equal(cma_dma_alloc_coherent(&device, &request, &good, NULL), 0);
            assert_int_equal(cma_dma_free_coherent(&other, &good), CMA_EPERM);
            for (uint32_t wrong = 0; wrong < 8; wrong++) {
                bad = good;
                switch (wrong) {
                case 0: bad.nbytes -= PAGE; break;
                case 1: bad.nbytes += 1; break;
                case 2: bad.flags ^= CMA_COHERENT_NO_MAPPING; break;
                case 3: bad.flags |= CMA_COHERENT_NO_ZERO; break;
                case 4: bad.vaddr = bad.vaddr == NULL ? &board : NULL; break;
                case 5: bad.mapped = 77; break;
                case 6: bad.nbytes = 0; break;
                default: bad.paddr += 512;
                }
                assert_int_equal(cma_dma_free_coherent(&device, &bad), CMA_EINVAL);
            }
            bad = good;
            bad.flags ^= CMA_COHERENT_WRITE_COMBINE;
            if (good.vaddr != NULL) {
                assert_int_equal(cma_dma_free_coherent(&device, &bad), CMA_EINVAL);
            }
            bad = good;
            bad.paddr += PAGE;
            bad.daddr += PAGE;
            bad.vaddr = bad.vaddr == NULL ? NULL : (uint8_t *)bad.vaddr + PAGE;
            bad.nbytes -= PAGE;
            assert_int_equal(cma_dma_free_coherent(&device, &bad), CMA_EBADF);
            assert_int_equal(cma_dma_free_coherent(&device, &good), 0);
            assert_int_equal(cma_dma_free_coherent(&device, &good), CMA_EBADF);
        }
    }
    board_destroy();
}

/* --- flags and H1 ---------------------------------------------------------------------- */

struct life {
    struct cma_area *area;
    uint32_t window_npages, device_flags, flags;
    enum cma_attr attr; /* of the buffer, or of its linear mapping where it has no address */
    bool promised;
};

/* One life of a buffer where others' secrets were, and what each sees. */
static void live(const struct life *life, uint64_t seed, uint32_t area)
{
    struct simdev_config config = {.name = "dev",
                                   .daddr_last = UINT64_MAX,
                                   .snoops = (life->device_flags & CMA_DEVICE_COHERENT) != 0};
    struct cma_coherent_request request = {.nbytes = 6 * PAGE + 100, .flags = life->flags};
    struct cma_promise_request promised = {.nbytes = 8 * PAGE, .count = 1};
    struct cma_device_promise promise;
    struct cma_coherent buffer;
    struct cma_device device;
    struct simdev dev;

    board_create(seed, life->window_npages);
    simdev_init(&dev, board.sim, &config);
    make_device(&device, 5, UINT64_MAX, area < 3 ? &board.system.areas[area] : NULL,
                life->device_flags);
    board.dma->default_area = NULL;
    if (life->promised) {
        assert_int_equal(
            cma_device_admit(&device, &board.system.guarantees, &promise, &promised, NULL), 0);
    }
    for (uint32_t i = 0; i < 3; i++) {
        bool zeroed = (life->flags & CMA_COHERENT_NO_ZERO) == 0;

        dirty(BASE, 256, 0xa5);
        dirty(AT(OWN_FIRST), 64, 0xa5);
        dirty(AT(HIGH_AREA_FIRST), 64, 0xa5);
        dirty(AT(LOW_FIRST), HIGH_AREA_FIRST - LOW_FIRST, 0xa5);
        dirty(AT(NPAGES - 92), 92, 0xa5);
        assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, NULL), 0);
        assert_int_equal(buffer.source, life->promised ? CMA_SOURCE_GUARANTEE
                                        : area < 3     ? CMA_SOURCE_AREA
                                                       : CMA_SOURCE_PAGES);
        assert_int_equal(buffer.vaddr == NULL, (life->flags & CMA_COHERENT_NO_MAPPING) != 0);
        if (buffer.vaddr != NULL) {
            assert_int_equal(attr_at(buffer.vaddr), life->attr);
        } else if (buffer.paddr < AT(HIGH_FIRST)) {
            void *linear = board.port.vaddr(board.sim, buffer.paddr);

            assert_int_equal(linear == NULL ? CMA_ATTR_NONE : attr_at(linear), life->attr);
        }
        board_check();
        assert_int_equal(wrong_when_new(&buffer, &dev, zeroed ? 0 : 0xa5), 0);
        assert_int_equal(wrong_in_use(&buffer, &dev, seed % 2 != 0), 0);
        assert_int_equal(cma_dma_free_coherent(&device, &buffer), 0);
        assert_int_equal(wrong_after(&buffer), 0);
    }
    if (life->promised) {
        assert_int_equal(cma_device_revoke(&device, &promise), 0);
    }
    for (uint32_t i = 0; i < SIM_VIOLATIONS; i++) {
        assert_int_equal(sim_violations(board.sim, (enum sim_violation)i), 0);
    }
    board.dma->default_area = &board.system.areas[0];
    board_destroy();
}

/* H1, H2: from each source, with each kind of mapping, to the end of the last page. */
static void test_each_life(void **state)
{
    static const struct life lives[] = {
        {.attr = CMA_ATTR_UNCACHED},
        {.attr = CMA_ATTR_UNCACHED, .promised = true},
        {.attr = CMA_ATTR_UNCACHED, .window_npages = 40},
        {.attr = CMA_ATTR_UNCACHED, .window_npages = 40, .promised = true},
        {.attr = CMA_ATTR_UNCACHED, .flags = CMA_COHERENT_NO_ZERO},
        {.attr = CMA_ATTR_WRITECOMBINE, .flags = CMA_COHERENT_WRITE_COMBINE},
        {.attr = CMA_ATTR_WRITECOMBINE, .window_npages = 9, .flags = CMA_COHERENT_WRITE_COMBINE},
        {.attr = CMA_ATTR_WRITECOMBINE, .flags = CMA_COHERENT_WRITE_COMBINE, .promised = true},
        {.attr = CMA_ATTR_NONE, .flags = CMA_COHERENT_NO_MAPPING},
        {.attr = CMA_ATTR_NONE,
         .window_npages = 9,
         .flags = CMA_COHERENT_NO_MAPPING | CMA_COHERENT_WRITE_COMBINE},
        {.attr = CMA_ATTR_NONE, .flags = CMA_COHERENT_NO_MAPPING, .promised = true},
        {.attr = CMA_ATTR_CACHED, .device_flags = CMA_DEVICE_COHERENT},
        {.attr = CMA_ATTR_CACHED,
         .device_flags = CMA_DEVICE_COHERENT,
         .flags = CMA_COHERENT_WRITE_COMBINE,
         .window_npages = 9},
        {.attr = CMA_ATTR_CACHED,
         .device_flags = CMA_DEVICE_COHERENT,
         .flags = CMA_COHERENT_NO_MAPPING},
    };

    (void)state;
    for (uint32_t i = 0; i < sizeof(lives) / sizeof(lives[0]); i++) {
        for (uint32_t area = 1; area < 4; area++) {
            /* A promise needs an area, and of memory without linear mapping, a window. */
            if (lives[i].promised && (area == 3 || (area == 2 && lives[i].window_npages == 0))) {
                continue;
            }
            for (uint64_t seed = 1; seed <= 3; seed++) {
                live(&lives[i], seed, area);
            }
        }
    }
}

/* An opaque buffer wants nothing of a port: no map, no window. */
static void test_opaque_needs_no_mapping(void **state)
{
    struct cma_coherent_request request = {.nbytes = 4 * PAGE, .flags = CMA_COHERENT_NO_MAPPING};
    struct cma_coherent buffer;
    struct cma_refusal refusal;
    struct cma_device device;

    (void)state;
    board_create(1, 0);
    board.port.map = NULL;
    board.port.unmap = NULL;
    make_device(&device, 5, UINT64_MAX, &board.system.areas[2], CMA_DEVICE_AREA_ONLY);
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, NULL), 0);
    assert_null(buffer.vaddr);
    assert_int_equal(cma_dma_free_coherent(&device, &buffer), 0);
    request.flags = 0;
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, &refusal), CMA_EOPNOTSUPP);
    assert_int_equal(refusal.reason, CMA_REASON_MAPPING);
    /* With linear mapping, but attributes that don't change: it would be read ahead of. */
    board.port.set_attr = NULL;
    make_device(&device, 5, UINT64_MAX, &board.system.areas[1], CMA_DEVICE_AREA_ONLY);
    request.flags = CMA_COHERENT_NO_MAPPING;
    assert_int_equal(cma_dma_alloc_coherent(&device, &request, &buffer, &refusal), CMA_EOPNOTSUPP);
    board_destroy();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_restricted),
        cmocka_unit_test(test_back_ends_are_rechecked),
        cmocka_unit_test(test_pages_are_rechecked),
        cmocka_unit_test(test_reach_of_each_source),
        cmocka_unit_test(test_freed_through_another_back_end),
        cmocka_unit_test(test_exclusive_memory_is_not_an_areas),
        cmocka_unit_test(test_wrong_sizes),
        cmocka_unit_test(test_each_life),
        cmocka_unit_test(test_opaque_needs_no_mapping),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
