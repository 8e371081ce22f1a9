/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_share.c - one buffer, three views: who may have it, what each sees, and when it is released
 *
 * The board: 8 MiB from 0x40000000 with an area. The camera and the scaler write and read past the
 * cache, the scaler at addresses of its own; the display looks into the caches.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include <cma/share.h>
#include <cma/system.h>

#include "../../ports/sim/sim.h"
#include "../../ports/sim/simdev.h"

#define BASE 0x40000000u
#define NPAGES 2048u
#define AREA_FIRST 1024u
#define NBYTES 0x5040u

struct bench {
    struct sim *sim;
    struct cma_port port;
    struct cma_range memory[2], reserved[4];
    struct cma_map map;
    struct cma_system system;
    void *storage;
    cma_paddr_t paddr; /* the buffer, on the system's frames */
    struct cma_device camera, scaler, display;
    struct simdev camera_bus, scaler_bus, display_bus;
    struct cma_attachment at[3];
    struct cma_shared shared;
    uint32_t released;
};

static const struct cma_bus_window scaler_window = {0x1000, BASE, NPAGES << 12};

static void bench_release(void *ctx, struct cma_shared *shared)
{
    struct bench *bench = ctx;

    assert_ptr_equal(shared, &bench->shared);
    bench->released++;
    memset(shared, 0xdd, sizeof(*shared)); /* it may be used again: nobody looks at it */
}

static void bench_device(struct bench *bench, struct cma_device *device, struct simdev *bus,
                         const char *name, const struct cma_bus_window *window, bool snoops)
{
    struct cma_device_config config = {
        .name = name,
        .owner = device == &bench->camera   ? 1
                 : device == &bench->scaler ? 2
                                            : 3,
        .mask = UINT64_MAX,
        .coherent_mask = UINT64_MAX,
        .windows = window,
        .nwindows = window != NULL,
        .flags = snoops ? CMA_DEVICE_COHERENT : 0,
    };
    struct simdev_config hardware = {
        .name = name, .windows = window, .nwindows = window != NULL, .snoops = snoops};

    assert_int_equal(cma_device_init(device, &bench->system.dma, &config), 0);
    simdev_init(bus, bench->sim, &hardware);
}

static int bench_setup(void **state)
{
    static const struct sim_memory memory = {BASE, NPAGES << 12};
    struct sim_config config = {.seed = 1, .memory = &memory, .nmemory = 1};
    struct cma_range area = {BASE + (AREA_FIRST << 12), 512u << 12, CMA_RANGE_AREA,
                             CMA_RANGE_DEFAULT,         "area",     0};
    struct bench *bench = calloc(1, sizeof(*bench));
    struct cma_area_request request = {.npages = 8, .owner = 9};
    struct cma_system_config machine = {.block_order = 6};
    cma_pfn_t pfn;
    uint64_t nbytes;

    bench->sim = sim_create(&config);
    assert_non_null(bench->sim);
    bench->port = *sim_port(bench->sim);
    machine.port = &bench->port;
    assert_int_equal(cma_map_init(&bench->map, bench->memory, 2, bench->reserved, 4), 0);
    assert_int_equal(cma_map_add_memory(&bench->map, BASE, NPAGES << 12, NULL), 0);
    assert_int_equal(cma_map_reserve(&bench->map, &area, NULL), 0);
    nbytes = cma_system_size(&bench->map, &machine);
    bench->storage = malloc(nbytes);
    assert_int_equal(cma_system_init(&bench->system, &bench->map, &machine, bench->storage, nbytes),
                     0);
    bench_device(bench, &bench->camera, &bench->camera_bus, "camera", NULL, false);
    bench_device(bench, &bench->scaler, &bench->scaler_bus, "scaler", &scaler_window, false);
    bench_device(bench, &bench->display, &bench->display_bus, "display", NULL, true);
    assert_int_equal(cma_area_alloc(&bench->system.areas[0], &request, &pfn, NULL), 0);
    bench->paddr = pfn << 12;
    *state = bench;
    return 0;
}

static int bench_teardown(void **state)
{
    struct bench *bench = *state;

    sim_destroy(bench->sim);
    free(bench->storage);
    free(bench);
    return 0;
}

static void share(struct bench *bench, bool coherent)
{
    struct cma_shared_config config = {.paddr = bench->paddr,
                                       .nbytes = NBYTES,
                                       .coherent = coherent,
                                       .release = bench_release,
                                       .ctx = bench};

    assert_int_equal(cma_shared_init(&bench->shared, &bench->system.dma, &config), 0);
}

static void attach_all(struct bench *bench)
{
    struct cma_device *devices[3] = {&bench->camera, &bench->scaler, &bench->display};

    for (int i = 0; i < 3; i++)
        assert_int_equal(cma_shared_attach(&bench->shared, &bench->at[i], devices[i], NULL), 0);
}

/* Every byte of a picture is its number's. */
static void picture(uint8_t *bytes, uint32_t number)
{
    for (uint32_t i = 0; i < NBYTES; i++)
        bytes[i] = (uint8_t)(number * 37 + i * 11 + (i >> 8));
}

static void device_writes(struct simdev *bus, cma_daddr_t daddr, uint32_t number)
{
    uint8_t bytes[NBYTES];

    picture(bytes, number);
    assert_true(simdev_write(bus, daddr, bytes, NBYTES));
}

static void device_sees(struct simdev *bus, cma_daddr_t daddr, uint32_t number)
{
    uint8_t bytes[NBYTES], wanted[NBYTES];

    picture(wanted, number);
    assert_true(simdev_read(bus, daddr, bytes, NBYTES));
    assert_memory_equal(bytes, wanted, NBYTES);
}

static void cpu_writes(struct bench *bench, uint32_t number)
{
    uint8_t bytes[NBYTES];

    picture(bytes, number);
    sim_write_paddr(bench->sim, bench->paddr, bytes, NBYTES);
}

static void cpu_sees(struct bench *bench, uint32_t number)
{
    uint8_t bytes[NBYTES], wanted[NBYTES];

    picture(wanted, number);
    sim_read_paddr(bench->sim, bench->paddr, bytes, NBYTES);
    assert_memory_equal(bytes, wanted, NBYTES);
}

static void test_a_picture_goes_round(void **state)
{
    struct bench *bench = *state;
    cma_daddr_t camera, scaler, display;

    share(bench, false);
    attach_all(bench);
    for (uint32_t i = 0; i < 50; i++) {
        /* The camera writes, the scaler reads and writes back, the CPU draws, the display shows. */
        cpu_writes(bench, i); /* nobody has it mapped: no bracket is needed */
        assert_int_equal(cma_shared_map(&bench->at[0], CMA_FROM_DEVICE, &camera), 0);
        assert_int_equal(camera, bench->paddr);
        device_writes(&bench->camera_bus, camera, 4 * i);
        assert_int_equal(cma_shared_unmap(&bench->at[0]), 0);
        cpu_sees(bench, 4 * i);
        assert_int_equal(cma_shared_map(&bench->at[1], CMA_BIDIRECTIONAL, &scaler), 0);
        assert_int_equal(scaler, bench->paddr - BASE + 0x1000);
        device_sees(&bench->scaler_bus, scaler, 4 * i);
        device_writes(&bench->scaler_bus, scaler, 4 * i + 1);
        assert_int_equal(cma_shared_cpu_begin(&bench->shared, CMA_BIDIRECTIONAL), 0);
        cpu_sees(bench, 4 * i + 1);
        cpu_writes(bench, 4 * i + 2);
        assert_int_equal(cma_shared_cpu_end(&bench->shared, CMA_BIDIRECTIONAL), 0);
        device_sees(&bench->scaler_bus, scaler, 4 * i + 2);
        assert_int_equal(cma_shared_unmap(&bench->at[1]), 0);
        assert_int_equal(cma_shared_map(&bench->at[2], CMA_TO_DEVICE, &display), 0);
        device_sees(&bench->display_bus, display, 4 * i + 2);
        assert_int_equal(cma_shared_unmap(&bench->at[2]), 0);
    }
}

/* The CPU's writes of an open access survive a second access, an unmap and a reader's map. */
static void test_accesses_overlap(void **state)
{
    struct bench *bench = *state;
    cma_daddr_t daddr, display;

    share(bench, false);
    attach_all(bench);
    assert_int_equal(cma_shared_map(&bench->at[0], CMA_FROM_DEVICE, &daddr), 0);
    device_writes(&bench->camera_bus, daddr, 1);
    assert_int_equal(cma_shared_cpu_begin(&bench->shared, CMA_TO_DEVICE), 0);
    cpu_writes(bench, 2);
    assert_int_equal(cma_shared_cpu_begin(&bench->shared, CMA_FROM_DEVICE), 0);
    cpu_sees(bench, 2);
    assert_int_equal(cma_shared_map(&bench->at[2], CMA_TO_DEVICE, &display), CMA_EBUSY);
    assert_int_equal(cma_shared_unmap(&bench->at[0]), 0);
    cpu_sees(bench, 2);
    assert_int_equal(cma_shared_cpu_end(&bench->shared, CMA_BIDIRECTIONAL), 0);
    assert_int_equal(cma_shared_cpu_begin(&bench->shared, CMA_FROM_DEVICE), 0);
    assert_int_equal(cma_shared_map(&bench->at[0], CMA_FROM_DEVICE, &daddr), CMA_EBUSY);
    assert_int_equal(cma_shared_map(&bench->at[0], CMA_BIDIRECTIONAL, &daddr), CMA_EBUSY);
    assert_int_equal(cma_shared_map(&bench->at[1], CMA_TO_DEVICE, &daddr), 0);
    device_sees(&bench->scaler_bus, daddr, 2);
    assert_int_equal(cma_shared_cpu_end(&bench->shared, CMA_FROM_DEVICE), 0);
    assert_int_equal(cma_shared_cpu_end(&bench->shared, CMA_FROM_DEVICE), CMA_EBADF);
    assert_int_equal(cma_shared_cpu_end(&bench->shared, CMA_TO_DEVICE), CMA_EBADF);
    assert_int_equal(cma_shared_cpu_end(&bench->shared, (enum cma_direction)3), CMA_EINVAL);
    assert_int_equal(cma_shared_cpu_begin(&bench->shared, (enum cma_direction)3), CMA_EINVAL);
}

/* Three devices that don't snoop cost one pass; a coherent buffer costs none. */
static void test_maintenance_is_of_the_buffer(void **state)
{
    struct bench *bench = *state;
    struct sim_stats before, after;
    struct cma_attachment more;
    cma_daddr_t daddr;

    share(bench, false);
    attach_all(bench);
    assert_int_equal(cma_shared_attach(&bench->shared, &more, &bench->camera, NULL), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(cma_shared_map(&bench->at[i], CMA_BIDIRECTIONAL, &daddr), 0);
    assert_int_equal(cma_shared_map(&more, CMA_BIDIRECTIONAL, &daddr), 0);
    sim_stats(bench->sim, &before);
    assert_int_equal(cma_shared_cpu_begin(&bench->shared, CMA_FROM_DEVICE), 0);
    assert_int_equal(cma_shared_cpu_begin(&bench->shared, CMA_FROM_DEVICE), 0);
    assert_int_equal(cma_shared_cpu_end(&bench->shared, CMA_FROM_DEVICE), 0);
    assert_int_equal(cma_shared_cpu_end(&bench->shared, CMA_FROM_DEVICE), 0);
    sim_stats(bench->sim, &after);
    assert_int_equal(after.invalidate_lines - before.invalidate_lines, (NBYTES + 63) / 64);
    /* The display may have left bytes in the cache: they are not dropped. */
    assert_int_equal(after.clean_lines - before.clean_lines, (NBYTES + 63) / 64);
    assert_int_equal(cma_shared_unmap(&bench->at[2]), 0);
    sim_stats(bench->sim, &before);
    assert_int_equal(before.clean_lines - after.clean_lines, (NBYTES + 63) / 64);
    assert_int_equal(cma_shared_cpu_begin(&bench->shared, CMA_FROM_DEVICE), 0);
    sim_stats(bench->sim, &after);
    assert_int_equal(after.clean_lines, before.clean_lines);

    share(bench, true);
    attach_all(bench);
    sim_stats(bench->sim, &before);
    for (int i = 0; i < 3; i++)
        assert_int_equal(cma_shared_map(&bench->at[i], CMA_BIDIRECTIONAL, &daddr), 0);
    assert_int_equal(cma_shared_cpu_begin(&bench->shared, CMA_BIDIRECTIONAL), 0);
    assert_int_equal(cma_shared_cpu_end(&bench->shared, CMA_BIDIRECTIONAL), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(cma_shared_unmap(&bench->at[i]), 0);
    sim_stats(bench->sim, &after);
    assert_int_equal(after.clean_lines + after.invalidate_lines,
                     before.clean_lines + before.invalidate_lines);
    assert_true(after.barriers >= before.barriers + 8);
}

static void test_a_coherent_buffer_is_seen_by_all(void **state)
{
    struct bench *bench = *state;
    struct cma_coherent_request request = {.nbytes = NBYTES};
    struct cma_coherent buffer;
    cma_daddr_t camera, scaler;
    uint8_t bytes[NBYTES], wanted[NBYTES];

    assert_int_equal(cma_dma_alloc_coherent(&bench->camera, &request, &buffer, NULL), 0);
    bench->paddr = buffer.paddr;
    share(bench, true);
    attach_all(bench);
    assert_int_equal(cma_shared_map(&bench->at[0], CMA_FROM_DEVICE, &camera), 0);
    assert_int_equal(cma_shared_map(&bench->at[1], CMA_TO_DEVICE, &scaler), 0);
    assert_int_equal(camera, buffer.daddr);
    for (uint32_t i = 0; i < 10; i++) {
        device_writes(&bench->camera_bus, camera, i);
        device_sees(&bench->scaler_bus, scaler, i);
        sim_read(bench->sim, buffer.vaddr, bytes, NBYTES);
        picture(wanted, i);
        assert_memory_equal(bytes, wanted, NBYTES);
        picture(wanted, i + 100);
        sim_write(bench->sim, buffer.vaddr, wanted, NBYTES);
        device_sees(&bench->scaler_bus, scaler, i + 100);
    }
}

/* The last one releases, in each order of five who let go; once, and nobody comes back. */
static void test_released_once_after_the_last(void **state)
{
    struct bench *bench = *state;

    for (uint32_t order = 0; order < 3125; order++) {
        bool gone[5] = {false};
        uint32_t left = 5, digits = order;

        bench->released = 0;
        share(bench, false);
        attach_all(bench);
        assert_int_equal(cma_shared_hold(&bench->shared), 0);
        for (int i = 0; i < 5; i++, digits /= 5) {
            uint32_t who = digits % 5;

            while (gone[who])
                who = (who + 1) % 5;
            gone[who] = true;
            assert_int_equal(bench->released, 0);
            /* Attached devices are no holders: nobody lets go for them. */
            if (gone[3] && gone[4] && who < 3)
                assert_int_equal(cma_shared_put(&bench->shared), CMA_EBADF);
            assert_int_equal(
                who < 3 ? cma_shared_detach(&bench->at[who]) : cma_shared_put(&bench->shared), 0);
            left--;
            assert_int_equal(bench->released, left == 0);
        }
        for (int i = 0; i < 3; i++)
            assert_int_equal(cma_shared_detach(&bench->at[i]), CMA_ENOENT);
    }
}

static void test_nobody_comes_after_the_last(void **state)
{
    struct bench *bench = *state;
    struct cma_shared_config config = {.paddr = bench->paddr, .nbytes = 1};
    struct cma_refusal why = {0};

    assert_int_equal(cma_shared_init(&bench->shared, &bench->system.dma, &config), 0);
    assert_int_equal(cma_shared_put(&bench->shared), 0); /* nobody wants to know */
    assert_int_equal(cma_shared_put(&bench->shared), CMA_EBADF);
    assert_int_equal(cma_shared_hold(&bench->shared), CMA_EBADF);
    assert_int_equal(cma_shared_attach(&bench->shared, &bench->at[0], &bench->camera, &why),
                     CMA_EBADF);
    assert_int_equal(why.code, CMA_EBADF);
    assert_int_equal(cma_shared_init(&bench->shared, &bench->system.dma, &config), 0);
    for (int i = 0; i < 0xfffe; i++)
        assert_int_equal(cma_shared_hold(&bench->shared), 0);
    assert_int_equal(cma_shared_hold(&bench->shared), CMA_EOVERFLOW);
    assert_int_equal(cma_shared_attach(&bench->shared, &bench->at[0], &bench->camera, &why), 0);
    for (int i = 0; i < 0xffff; i++)
        assert_int_equal(cma_shared_put(&bench->shared), 0);
    assert_int_equal(cma_shared_put(&bench->shared), CMA_EBADF);
    assert_int_equal(cma_shared_hold(&bench->shared), 0); /* who is attached knows one */
}

static bool never_the_camera(void *ctx, const struct cma_device *device, cma_paddr_t paddr,
                             uint64_t nbytes)
{
    struct bench *bench = ctx;

    assert_int_equal(paddr, bench->paddr);
    assert_int_equal(nbytes, NBYTES);
    return device == &bench->camera;
}

/* H10: judged on its last byte when the device attaches, not when it has written over others. */
static void test_who_can_not_have_it(void **state)
{
    struct bench *bench = *state;
    struct cma_device *camera = &bench->camera;
    struct cma_refusal why;
    struct cma_attachment at;
    struct cma_dma other = bench->system.dma;

    share(bench, false);
    camera->config.mask = bench->paddr + NBYTES - 2;
    assert_int_equal(cma_shared_attach(&bench->shared, &at, camera, &why), CMA_ERANGE);
    assert_int_equal(why.code, CMA_ERANGE);
    assert_int_equal(why.reason, CMA_REASON_UNREACHABLE);
    camera->config.mask++;
    assert_int_equal(cma_shared_attach(&bench->shared, &at, camera, &why), 0);
    assert_int_equal(cma_shared_attach(&bench->shared, &at, camera, &why), CMA_EEXIST);
    assert_int_equal(cma_shared_detach(&at), 0);
    for (uint32_t flag = CMA_DEVICE_BOUNCE_ALWAYS; flag <= CMA_DEVICE_RESTRICTED; flag <<= 1) {
        camera->config.flags = flag;
        assert_int_equal(cma_shared_attach(&bench->shared, &at, camera, &why), CMA_ERANGE);
        assert_int_equal(why.reason, CMA_REASON_BOUNCE);
    }
    camera->config.flags = 0;
    bench->system.dma.must_bounce = never_the_camera;
    bench->system.dma.must_bounce_ctx = bench;
    assert_int_equal(cma_shared_attach(&bench->shared, &at, camera, &why), CMA_ERANGE);
    assert_int_equal(why.reason, CMA_REASON_BOUNCE);
    assert_int_equal(cma_shared_attach(&bench->shared, &at, &bench->scaler, &why), 0);
    assert_int_equal(cma_shared_detach(&at), 0);
    bench->system.dma.must_bounce = NULL;
    camera->dma = &other;
    assert_int_equal(cma_shared_attach(&bench->shared, &at, camera, &why), CMA_EINVAL);
    camera->dma = &bench->system.dma;

    /* Coherent memory is judged by the other mask, and only restricted devices get none. */
    share(bench, true);
    camera->config.mask = 0;
    camera->config.flags = CMA_DEVICE_UNTRUSTED;
    assert_int_equal(cma_shared_attach(&bench->shared, &at, camera, &why), 0);
    assert_int_equal(cma_shared_detach(&at), 0);
    camera->config.flags = CMA_DEVICE_RESTRICTED;
    assert_int_equal(cma_shared_attach(&bench->shared, &at, camera, NULL), CMA_ERANGE);
    camera->config.flags = 0;
    camera->config.coherent_mask = 0;
    assert_int_equal(cma_shared_attach(&bench->shared, &at, camera, &why), CMA_ERANGE);
    assert_int_equal(why.reason, CMA_REASON_UNREACHABLE);
    assert_int_equal(bench->shared.holders, 1);
}

static void test_wrong_calls(void **state)
{
    struct bench *bench = *state;
    struct cma_shared_config config = {.paddr = bench->paddr};
    struct cma_attachment copy, none = {0};
    cma_daddr_t daddr = 7;

    assert_int_equal(cma_shared_init(&bench->shared, &bench->system.dma, &config), CMA_EINVAL);
    config.nbytes = UINT64_MAX;
    assert_int_equal(cma_shared_init(&bench->shared, &bench->system.dma, &config), CMA_EOVERFLOW);
    config.nbytes = 64;
    config.paddr += 32;
    assert_int_equal(cma_shared_init(&bench->shared, &bench->system.dma, &config), CMA_EINVAL);
    config.coherent = true;
    assert_int_equal(cma_shared_init(&bench->shared, &bench->system.dma, &config), 0);
    assert_int_equal(cma_shared_init(NULL, &bench->system.dma, &config), CMA_EINVAL);
    assert_int_equal(cma_shared_init(&bench->shared, NULL, &config), CMA_EINVAL);
    assert_int_equal(cma_shared_init(&bench->shared, &bench->system.dma, NULL), CMA_EINVAL);

    share(bench, false);
    attach_all(bench);
    assert_int_equal(cma_shared_map(&bench->at[1], (enum cma_direction)3, &daddr), CMA_EINVAL);
    assert_int_equal(cma_shared_unmap(&bench->at[1]), CMA_EBADF);
    assert_int_equal(cma_shared_map(&none, CMA_TO_DEVICE, &daddr), CMA_ENOENT);
    assert_int_equal(cma_shared_unmap(&none), CMA_ENOENT);
    assert_int_equal(cma_shared_detach(&none), CMA_ENOENT);
    assert_int_equal(daddr, 7);
    assert_int_equal(cma_shared_map(&bench->at[1], CMA_TO_DEVICE, &daddr), 0);
    assert_int_equal(cma_shared_map(&bench->at[1], CMA_TO_DEVICE, &daddr), CMA_EEXIST);
    assert_int_equal(cma_shared_detach(&bench->at[1]), CMA_EBUSY);
    assert_int_equal(cma_shared_unmap(&bench->at[1]), 0);
    copy = bench->at[1];
    assert_int_equal(cma_shared_detach(&copy), CMA_ENOENT);
    assert_int_equal(cma_shared_detach(&bench->at[1]), 0);
    assert_int_equal(bench->released, 0);
}

/* A port that can't wait: who meets another call is told so, and nothing has changed. */
static void test_a_turn_that_is_taken(void **state)
{
    struct bench *bench = *state;
    struct cma_attachment at;
    cma_daddr_t daddr;

    bench->port.wait = NULL;
    bench->port.wake = NULL;
    share(bench, false);
    attach_all(bench);
    bench->shared.turn = 1;
    assert_int_equal(cma_shared_attach(&bench->shared, &at, &bench->camera, NULL), CMA_EAGAIN);
    assert_int_equal(cma_shared_map(&bench->at[0], CMA_TO_DEVICE, &daddr), CMA_EAGAIN);
    assert_int_equal(cma_shared_unmap(&bench->at[0]), CMA_EAGAIN);
    assert_int_equal(cma_shared_detach(&bench->at[0]), CMA_EAGAIN);
    assert_int_equal(cma_shared_cpu_begin(&bench->shared, CMA_TO_DEVICE), CMA_EAGAIN);
    assert_int_equal(cma_shared_cpu_end(&bench->shared, CMA_TO_DEVICE), CMA_EAGAIN);
    bench->shared.turn = 0;
    assert_int_equal(bench->shared.holders, 0x30001);
    assert_int_equal(cma_shared_cpu_begin(&bench->shared, CMA_TO_DEVICE), 0);
}

/* Who sees what was written last, by the contract. */
struct round {
    struct bench *bench;
    cma_daddr_t daddr;
    uint32_t picture;
    uint32_t mapped[3]; /* as in the attachment */
    uint32_t readers, writers;
    bool cpu, blind, snooping;
    uint32_t seen, refused;
};

static void round_device(struct round *round, uint32_t i, bool write)
{
    struct simdev *buses[3] = {&round->bench->camera_bus, &round->bench->scaler_bus,
                               &round->bench->display_bus};
    bool *sees = i == 2 ? &round->snooping : &round->blind;

    if (round->mapped[i] == 0 || round->readers + round->writers != 0)
        return;
    if (write && round->mapped[i] != 1 + CMA_TO_DEVICE) {
        device_writes(buses[i], round->bench->at[i].daddr, ++round->picture);
        round->cpu = round->blind = round->snooping = false;
        *sees = true;
    } else if (!write && round->mapped[i] != 1 + CMA_FROM_DEVICE && *sees) {
        device_sees(buses[i], round->bench->at[i].daddr, round->picture);
        round->seen++;
    }
}

static void round_map(struct round *round, uint32_t i, enum cma_direction direction)
{
    struct cma_attachment *at = &round->bench->at[i];
    cma_daddr_t daddr;
    int error = cma_shared_map(at, direction, &daddr);

    if (round->mapped[i] != 0) {
        assert_int_equal(error, CMA_EEXIST);
    } else if (round->writers != 0 || (round->readers != 0 && direction != CMA_TO_DEVICE)) {
        assert_int_equal(error, CMA_EBUSY);
        round->refused++;
    } else {
        assert_int_equal(error, 0);
        round->mapped[i] = 1 + (uint32_t)direction;
        round->blind = round->blind || (i != 2 && (round->cpu || round->snooping));
    }
}

static void round_unmap(struct round *round, uint32_t i)
{
    bool wrote = round->mapped[i] == 1 + CMA_FROM_DEVICE || round->mapped[i] == 1;

    assert_int_equal(cma_shared_unmap(&round->bench->at[i]), round->mapped[i] ? 0 : CMA_EBADF);
    if (wrote && round->writers == 0) {
        round->cpu = round->cpu || (i == 2 ? round->snooping : round->blind);
        round->snooping = round->snooping || round->cpu;
    }
    round->mapped[i] = 0;
}

static void round_cpu(struct round *round, enum cma_direction direction, bool begin)
{
    bool reads = direction != CMA_TO_DEVICE, writes = direction != CMA_FROM_DEVICE;
    int error = begin ? cma_shared_cpu_begin(&round->bench->shared, direction)
                      : cma_shared_cpu_end(&round->bench->shared, direction);

    if (begin) {
        assert_int_equal(error, 0);
        if (round->readers + round->writers == 0)
            round->cpu = round->snooping = true;
        round->readers += reads;
        round->writers += writes;
    } else if ((reads && round->readers == 0) || (writes && round->writers == 0)) {
        assert_int_equal(error, CMA_EBADF);
    } else {
        assert_int_equal(error, 0);
        round->readers -= reads;
        round->writers -= writes;
        if (writes && round->writers == 0)
            round->blind = round->blind || round->cpu;
    }
}

static void round_look(struct round *round, bool write)
{
    bool idle = round->mapped[0] + round->mapped[1] + round->mapped[2] == 0;

    if (write && (idle || round->writers != 0)) {
        cpu_writes(round->bench, ++round->picture);
        round->cpu = round->snooping = true;
        round->blind = false;
    } else if (!write && (idle || round->readers != 0) && round->cpu) {
        cpu_sees(round->bench, round->picture);
        round->seen++;
    }
}

/* Three devices and a CPU that reads and writes, in random order: who may see it, sees it. */
static void test_random_hands(void **state)
{
    struct bench *bench = *state;
    struct round round = {.bench = bench, .cpu = true, .snooping = true};

    share(bench, false);
    attach_all(bench);
    cpu_writes(bench, 0);
    srand(7);
    for (int step = 0; step < 60000; step++) {
        uint32_t random = (uint32_t)rand() >> 4, i = random / 64 % 3;
        enum cma_direction direction = (enum cma_direction)(random / 256 % 3);

        switch (random % 16) {
        case 0:
        case 1: round_map(&round, i, direction); break;
        case 2: round_unmap(&round, i); break;
        case 3: round_cpu(&round, direction, round.readers + round.writers < 2); break;
        case 4:
        case 5: round_cpu(&round, direction, false); break;
        case 6:
        case 7:
        case 8: round_device(&round, i, true); break;
        case 9:
        case 10: round_device(&round, i, false); break;
        case 11:
        case 12: round_look(&round, true); break;
        case 13: sim_evict(bench->sim, random / 1024 % 64); break;
        default: round_look(&round, false);
        }
    }
    assert_true(round.seen > 3000 && round.refused > 300 && round.picture > 3000);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_a_picture_goes_round),
        CASE(test_accesses_overlap),
        CASE(test_random_hands),
        CASE(test_maintenance_is_of_the_buffer),
        CASE(test_a_coherent_buffer_is_seen_by_all),
        CASE(test_released_once_after_the_last),
        CASE(test_nobody_comes_after_the_last),
        CASE(test_who_can_not_have_it),
        CASE(test_wrong_calls),
        CASE(test_a_turn_that_is_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
