/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * video.c - buffer queues against a naive model: two programs, a device, and no order but the turns
 *
 *     video [--ops N] [--seed S]
 *
 * Two clients call one queue at once; its device completes, fails and gives back at any moment; the
 * program goes away in the middle (release), its mappings and exports outlive it, and when the last
 * has gone a program with other buffers comes. In each round both clients do up to three calls, the
 * device some of its own. All are written down with what came out. Then, while nobody calls,
 * the model looks for an order of them, each whole and none before one that had ended, in which it
 * gives the same answers and comes out at the same queue: states, both lists, what the driver
 * has, counters, memory. If there is none, that is a difference.
 *
 * The model (tests/support/video_model.h) knows nothing of turns, locks or memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cma/system.h>
#include <cma/video.h>

#include "../../ports/sim/sim.h"
#include "../support/video_model.h"

#ifndef VIDEO_SCHEDULER /* tests/threads/video.c has threads instead */
#define VIDEO_SCHEDULER SIM_FIBRES
#endif

#define BASE 0x40000000u
#define NPAGES 1024u
#define CLIENTS 2u
#define ACTORS 3u /* the last is the device */
#define LOG_ROOM 24u
#define EXPORTS 6u
#define PATIENCE 400u /* turns of waiting after which somebody who sleeps is woken */

static const char *const kind_names[KINDS] = {"request", "create", "remove",  "prepare", "queue",
                                              "dequeue", "on",     "off",     "export",  "put",
                                              "map",     "unmap",  "release", "done",    "failed"};

struct driver {
    struct sim_mutex lock;
    bool running;
    uint32_t nplanes, nhas, sequence;
    struct cma_video_buffer *has[ROOM];
};

struct export
{
    struct cma_shared *shared;
    uint32_t number, plane;
};

struct actor {
    uint32_t index;
    struct op log[LOG_ROOM];
    uint32_t nlog;
    uint32_t waiting; /* atomic */
    struct export exports[EXPORTS];
    uint32_t nexports;
};

static struct sim *sim;
static struct cma_map map;
static struct cma_system cma;
static struct cma_device device;
static struct cma_video_config config;
static struct cma_video_queue queue;
static struct cma_video_buffer buffers[ROOM];
static struct driver driver;
static struct model model, found;
static struct actor actors[ACTORS];
static uint32_t round_now, narrived, finished; /* atomic */
static uint64_t stamp;                         /* atomic */
static uint64_t nops, max_ops = 100000, nprograms, nrescues, nrounds, noutlived;
static const uint64_t plane_nbytes[PLANES] = {0x1000, 0x2040};
static const uint32_t plane_npages[PLANES] = {1, 3};

static void differ(const char *what)
{
    printf("video: DIFFERENCE: %s (round %llu)\n", what, (unsigned long long)nrounds);
    for (uint32_t i = 0; i < ACTORS; i++) {
        for (uint32_t j = 0; j < actors[i].nlog; j++) {
            const struct op *op = &actors[i].log[j];

            printf("  %s %u: %-8s number %u plane %u n %u memory %d state %d%s%s%s: %d, got %u\n",
                   i == CLIENTS ? "device" : "client", i, kind_names[op->kind], op->number,
                   op->plane, op->n, op->memory, op->state, op->wait ? " waits" : "",
                   op->refuses ? " refuses" : "", op->start_fails ? " start fails" : "", op->result,
                   op->got);
        }
    }
    printf("  before:%s%s%s%s, %u queued, %u done\n", model.streaming ? " streams" : "",
           model.started ? " started" : "", model.failed ? " failed" : "",
           model.closed ? " closed" : "", model.queued.n, model.done.n);
    for (uint32_t i = 0; i < ROOM; i++)
        printf("  buffer %u: state %u%s, %u and %u maps, %u and %u exports\n", i,
               model.buffers[i].state, model.buffers[i].prepared ? " prepared" : "",
               model.buffers[i].plane[0].maps, model.buffers[i].plane[1].maps,
               model.buffers[i].plane[0].exports, model.buffers[i].plane[1].exports);
    fflush(stdout);
    exit(1);
}

static void require(bool holds, const char *what)
{
    if (!holds)
        differ(what);
}

static uint32_t below(uint32_t n)
{
    return (uint32_t)(sim_random(sim) % n);
}

/* --- the queue as it is, while nobody calls ----------------------------------------------- */

static bool list_is(const struct list *list, const struct cma_video_buffer *buffer)
{
    for (uint32_t i = 0; i < list->n; i++, buffer = buffer->next)
        if (buffer == NULL || buffer->number != list->at[i])
            return false;
    return buffer == NULL;
}

static bool plane_is(const struct model_buffer *m, uint32_t number, uint32_t index)
{
    const struct model_plane *plane = &m->plane[index];
    bool live = buffers[number].plane[index].live != 0;
    bool late = (config.flags & CMA_VIDEO_ALLOCATE_LATE) != 0 && m->state != CMA_VIDEO_NONE;
    bool needed = plane_is_shared(plane) || (m->prepared && index < m->nplanes);

    if (buffers[number].plane[index].maps != plane->maps)
        return false;
    /* What is allocated late may be there a little longer, never shorter. */
    return late ? live || !needed : live == plane->live;
}

static bool buffer_is(const struct model_buffer *m, uint32_t number)
{
    struct cma_video_info info;
    uint32_t maps = 0, exports = 0;

    for (uint32_t i = 0; i < PLANES; i++) {
        maps += m->plane[i].maps;
        exports += m->plane[i].exports;
        if (!plane_is(m, number, i))
            return false;
    }
    if (m->state == CMA_VIDEO_NONE)
        return cma_video_look(&queue, number, &info) == CMA_EINVAL;
    return cma_video_look(&queue, number, &info) == 0 && info.number == number &&
           info.nplanes == m->nplanes && (uint8_t)info.state == m->state &&
           info.prepared == m->prepared && info.mapped == (maps != 0) &&
           info.exported == (exports != 0) && info.sequence == m->sequence;
}

static bool queue_is(const struct model *m)
{
    uint32_t poll = (m->done.n != 0 ? CMA_VIDEO_POLL_READY : 0) |
                    (m->failed || !m->streaming ? CMA_VIDEO_POLL_FAILED : 0);
    struct cma_video_stats stats;

    cma_video_stats(&queue, &stats);
    for (uint32_t i = 0; i < ROOM; i++)
        if (!buffer_is(&m->buffers[i], i))
            return false;
    for (uint32_t i = 0; i < driver.nhas; i++)
        if (m->has.n != driver.nhas || m->has.at[i] != driver.has[i]->number)
            return false;
    return list_is(&m->queued, queue.queued) && list_is(&m->done, queue.done) &&
           m->has.n == driver.nhas && driver.running == m->started && queue.memory == m->memory &&
           queue.failed == m->failed && queue.streaming == m->streaming &&
           cma_video_poll(&queue) == poll && stats.nbuffers == model_count(m) &&
           stats.nframes == m->nframes && stats.nerrors == m->nerrors && stats.active == m->has.n &&
           stats.left_by_driver == 0;
}

static bool may_be_next(const uint32_t at[ACTORS], uint32_t who)
{
    for (uint32_t i = 0; i < ACTORS; i++)
        if (i != who && at[i] < actors[i].nlog && actors[i].log[at[i]].end != 0 &&
            actors[i].log[at[i]].end < actors[who].log[at[who]].begin)
            return false;
    return true;
}

/* Is there an order that explains what is left? */
static bool explain(const struct model *m, uint32_t at[ACTORS])
{
    bool left = false;

    for (uint32_t i = 0; i < ACTORS; i++) {
        struct model next = *m;

        if (at[i] == actors[i].nlog)
            continue;
        left = true;
        if (!may_be_next(at, i) || !model_agrees(&next, &actors[i].log[at[i]]))
            continue;
        at[i]++;
        if (explain(&next, at))
            return true;
        at[i]--;
    }
    if (left || !queue_is(m))
        return false;
    found = *m;
    return true;
}

static void check_memory(void)
{
    uint64_t npages = 0;

    for (uint32_t i = 0; i < ROOM; i++) {
        for (uint32_t j = 0; j < PLANES; j++) {
            found.buffers[i].plane[j].live = buffers[i].plane[j].live != 0;
            npages += found.buffers[i].plane[j].live ? plane_npages[j] : 0;
        }
    }
    require(device.live_npages == npages, "memory of planes that are there, and no other");
}

/* --- the driver -------------------------------------------------------------------------- */

static struct op *current(void)
{
    struct actor *actor = &actors[sim_self(sim) - 1];

    return &actor->log[actor->nlog];
}

static int driver_setup(void *ctx, enum cma_video_memory memory, uint32_t *nbuffers,
                        uint32_t *nplanes, uint64_t nbytes[CMA_VIDEO_PLANES_MAX])
{
    (void)ctx, (void)memory, (void)nbuffers;
    *nplanes = driver.nplanes;
    memcpy(nbytes, plane_nbytes, sizeof(plane_nbytes));
    return current()->refuses ? CMA_EOPNOTSUPP : 0;
}

static int driver_prepare(void *ctx, struct cma_video_buffer *buffer)
{
    (void)ctx, (void)buffer;
    sim_yield(sim);
    return current()->refuses ? CMA_EOPNOTSUPP : 0;
}

static void driver_queue(void *ctx, struct cma_video_buffer *buffer)
{
    (void)ctx;
    sim_lock(sim, &driver.lock);
    require(driver.nhas < ROOM, "the driver gets each buffer once");
    driver.has[driver.nhas++] = buffer;
    sim_unlock(sim, &driver.lock);
}

static void driver_return(enum cma_video_state state)
{
    for (uint32_t i = 0; i < driver.nhas; i++)
        require(cma_video_done(driver.has[i], state, 0, 0) == 0, "what the driver has is ACTIVE");
    driver.nhas = 0;
}

static int driver_start(void *ctx, uint32_t nbuffers)
{
    bool fails = current()->start_fails;

    (void)ctx;
    sim_lock(sim, &driver.lock);
    require(nbuffers == driver.nhas && nbuffers >= config.min_queued, "as many as start is told");
    driver.running = !fails;
    if (fails)
        driver_return(CMA_VIDEO_QUEUED);
    sim_unlock(sim, &driver.lock);
    return fails ? CMA_ENOMEM : 0;
}

static void driver_stop(void *ctx)
{
    (void)ctx;
    sim_lock(sim, &driver.lock);
    driver.running = false;
    driver_return(CMA_VIDEO_ERROR);
    sim_unlock(sim, &driver.lock);
}

static void driver_finish(void *ctx, struct cma_video_buffer *buffer)
{
    (void)ctx, (void)buffer;
    sim_yield(sim);
}

static const struct cma_video_ops driver_ops = {driver_setup, driver_prepare, driver_queue,
                                                driver_start, driver_stop,    driver_finish};

/* --- who calls --------------------------------------------------------------------------- */

/* Threads have no stamps: taking them would put calls in order that nothing else does. */
static uint64_t now(void)
{
    return VIDEO_SCHEDULER == SIM_FIBRES ? ++stamp : 0;
}

static void op_choose(struct actor *client, struct op *op)
{
    static const uint8_t chances[][KINDS] = {
        {5, 5, 4, 8, 40, 24, 6, 4, 3, 3, 4, 4, 1}, /* a program at work */
        {2, 2, 2, 2, 2, 2, 2, 2, 2, 30, 2, 40, 1}, /* what a program has left */
    };
    const uint8_t *chance = chances[model.closed];
    uint32_t sum = 0, i;

    memset(op, 0, sizeof(*op));
    for (i = 0; i < KINDS; i++)
        sum += chance[i];
    sum = below(sum);
    for (i = 0; sum >= chance[i]; i++)
        sum -= chance[i];
    op->kind = (enum kind)i;
    if (op->kind == PUT && client->nexports == 0)
        op->kind = UNMAP;
    if (op->kind == EXPORT && client->nexports == EXPORTS)
        op->kind = QUEUE;
    op->number = below(ROOM);
    op->plane = below(PLANES);
    op->n = op->kind == REQUEST ? below(5) : 1 + below(2);
    op->memory = below(8) == 0   ? CMA_VIDEO_USER
                 : below(4) == 0 ? CMA_VIDEO_COHERENT
                                 : CMA_VIDEO_CONTIGUOUS;
    op->wait = op->kind == DEQUEUE && below(4) == 0;
    op->refuses = below(12) == 0;
    op->start_fails = below(6) == 0;
}

static int op_put(struct actor *client, struct op *op)
{
    uint32_t i = below(client->nexports);
    struct cma_shared *shared = client->exports[i].shared;

    op->number = client->exports[i].number;
    op->plane = client->exports[i].plane;
    client->exports[i] = client->exports[--client->nexports];
    return cma_shared_put(shared);
}

static int op_export(struct actor *client, const struct op *op)
{
    struct export *export = &client->exports[client->nexports];
    int error = cma_video_export(&queue, op->number, op->plane, &export->shared);

    export->number = op->number;
    export->plane = op->plane;
    client->nexports += error == 0;
    return error;
}

static int op_dequeue(struct actor *client, struct op *op)
{
    struct cma_video_info info = {0};
    int error;

    __atomic_store_n(&client->waiting, op->wait, __ATOMIC_RELAXED);
    error = cma_video_dequeue(&queue, op->wait, &info);
    __atomic_store_n(&client->waiting, 0, __ATOMIC_RELAXED);
    op->got = info.number;
    op->sequence = info.sequence;
    op->state = info.state;
    return error;
}

static int op_call(struct actor *client, struct op *op)
{
    struct cma_video_put put = {.number = op->number, .hints = op->n};
    cma_paddr_t paddr;
    enum cma_attr attr;
    uint32_t n = op->n;
    int error;

    switch (op->kind) {
    case REQUEST:
        error = cma_video_request(&queue, op->memory, &n, NULL);
        op->got = error == 0 ? n : 0;
        return error;
    case CREATE: return cma_video_create(&queue, op->memory, &n, 0, NULL, &op->got, NULL);
    case REMOVE: return cma_video_remove(&queue, op->number, op->n);
    case PREPARE: return cma_video_prepare(&queue, &put, NULL);
    case QUEUE: return cma_video_queue_buffer(&queue, &put, NULL);
    case DEQUEUE: return op_dequeue(client, op);
    case ON: return cma_video_stream_on(&queue);
    case OFF: return cma_video_stream_off(&queue);
    case EXPORT: return op_export(client, op);
    case PUT: return op_put(client, op);
    case MAP: return cma_video_map(&queue, op->number, op->plane, 0, 0x1000, &paddr, &attr, NULL);
    case UNMAP: return cma_video_unmap(&queue, op->number, op->plane);
    default: return cma_video_release(&queue);
    }
}

/* Who only looks may do so at any time, and what he sees holds together. */
static void client_look(void)
{
    struct cma_video_stats stats;
    struct cma_video_info info;
    uint32_t number = below(ROOM);

    cma_video_stats(&queue, &stats);
    require(stats.nbuffers == stats.dequeued + stats.queued + stats.active + stats.done,
            "each buffer is somewhere");
    if (cma_video_look(&queue, number, &info) == 0)
        require(info.number == number && info.nplanes <= PLANES && info.nplanes != 0 &&
                    info.state != CMA_VIDEO_NONE,
                "a whole buffer");
    (void)cma_video_poll(&queue);
}

static void actor_do(struct actor *actor)
{
    struct op *op = &actor->log[actor->nlog];

    op->begin = now();
    op->result = op_call(actor, op);
    op->end = now();
    actor->nlog++;
}

static void client_run(void *arg)
{
    struct actor *client = arg;

    for (uint32_t mine = 1;; mine++) {
        while (__atomic_load_n(&round_now, __ATOMIC_ACQUIRE) != mine)
            sim_yield(sim);
        if (__atomic_load_n(&finished, __ATOMIC_ACQUIRE))
            return;
        for (uint32_t n = 1 + below(3); n != 0; n--) {
            op_choose(client, &client->log[client->nlog]);
            actor_do(client);
            if (below(4) == 0)
                client_look();
        }
        (void)__atomic_add_fetch(&narrived, 1, __ATOMIC_ACQ_REL);
    }
}

/* Done with one of those that it has, whichever. */
static void device_step(struct actor *actor)
{
    static const enum cma_video_state states[] = {CMA_VIDEO_DONE, CMA_VIDEO_DONE, CMA_VIDEO_DONE,
                                                  CMA_VIDEO_ERROR, CMA_VIDEO_QUEUED};
    struct op *op = &actor->log[actor->nlog];
    uint32_t i;

    memset(op, 0, sizeof(*op));
    op->begin = now();
    if (below(60) == 0) {
        op->kind = FAILED;
        cma_video_failed(&queue);
        op->end = now();
        actor->nlog++;
        return;
    }
    sim_lock(sim, &driver.lock);
    if (driver.running && driver.nhas != 0) {
        i = below(driver.nhas);
        op->kind = DONE;
        op->number = driver.has[i]->number;
        op->state = states[below(5)];
        op->sequence = driver.sequence++;
        op->result = cma_video_done(driver.has[i], op->state, 0, op->sequence);
        driver.nhas--;
        memmove(&driver.has[i], &driver.has[i + 1], (driver.nhas - i) * sizeof(driver.has[0]));
        actor->nlog++;
    }
    sim_unlock(sim, &driver.lock);
    op->end = now();
}

static void device_round(struct actor *actor)
{
    uint32_t waited = 0;

    /* What is broken completes nothing more in this round: who queues has looked whether it is
     * broken earlier than he gives it buffers. */
    for (uint32_t n = below(5); n != 0; n--) {
        device_step(actor);
        if (actor->nlog != 0 && actor->log[actor->nlog - 1].kind == FAILED)
            break;
        sim_yield(sim);
    }
    while (__atomic_load_n(&narrived, __ATOMIC_ACQUIRE) != CLIENTS) {
        uint32_t waiting = __atomic_load_n(&actors[0].waiting, __ATOMIC_RELAXED) +
                           __atomic_load_n(&actors[1].waiting, __ATOMIC_RELAXED);

        if (++waited >= PATIENCE && waiting != 0 && actor->nlog + 1 < LOG_ROOM) {
            memset(&actor->log[actor->nlog], 0, sizeof(actor->log[0]));
            actor->log[actor->nlog].kind = OFF;
            actor_do(actor);
            waited = 0;
            nrescues++;
        }
        sim_yield(sim);
    }
}

/* --- rounds ------------------------------------------------------------------------------ */

static void begin_program(void)
{
    static const enum cma_direction directions[] = {CMA_FROM_DEVICE, CMA_TO_DEVICE,
                                                    CMA_BIDIRECTIONAL};

    require(device.live_npages == 0, "nothing is left of the program before");
    config =
        (struct cma_video_config){.name = "camera",
                                  .device = &device,
                                  .direction = directions[below(3)],
                                  .ops = &driver_ops,
                                  .memories = 1u << CMA_VIDEO_COHERENT | 1u << CMA_VIDEO_CONTIGUOUS,
                                  .min_queued = 1 + below(3),
                                  .flags = below(3) == 0 ? CMA_VIDEO_ALLOCATE_LATE : 0};
    memset(&driver, 0, sizeof(driver));
    memset(&model, 0, sizeof(model));
    driver.nplanes = 1 + below(PLANES);
    model.min_queued = config.min_queued;
    model.nplanes = driver.nplanes;
    model.late = config.flags != 0;
    require(cma_video_init(&queue, &config, NULL, buffers, ROOM, NULL) == 0, "init");
    nprograms++;
}

static void check_round(void)
{
    uint32_t at[ACTORS] = {0};

    require(cma_video_check(&queue), "the queue holds together");
    require(explain(&model, at), "no order of these calls explains what came out");
    check_memory();
    model = found;
    for (uint32_t i = 0; i < ACTORS; i++) {
        nops += actors[i].nlog;
        actors[i].nlog = 0;
    }
    nrounds++;
    if (model.closed && below(4) == 0) {
        int error = model_release(&model);

        require(cma_video_release(&queue) == error, "released when the last has let go");
        noutlived += error != 0;
        if (error == 0)
            begin_program();
    }
}

static void finish(void)
{
    for (uint32_t i = 0; i < CLIENTS; i++)
        while (actors[i].nexports != 0)
            require(cma_shared_put(actors[i].exports[--actors[i].nexports].shared) == 0, "put");
    for (uint32_t i = 0; i < ROOM * PLANES; i++)
        while (cma_video_unmap(&queue, i / PLANES, i % PLANES) == 0)
            ;
    require(cma_video_release(&queue) == 0, "released at the end");
    require(device.live_npages == 0, "nothing is left");
}

static void device_run(void *arg)
{
    struct actor *actor = arg;

    begin_program();
    while (nops < max_ops) {
        __atomic_store_n(&narrived, 0, __ATOMIC_RELAXED);
        (void)__atomic_add_fetch(&round_now, 1, __ATOMIC_RELEASE);
        device_round(actor);
        check_round();
    }
    finish();
    __atomic_store_n(&finished, 1, __ATOMIC_RELEASE);
    (void)__atomic_add_fetch(&round_now, 1, __ATOMIC_RELEASE);
}

static void *machine_init(uint64_t seed)
{
    static const struct sim_memory memory = {BASE, NPAGES << 12};
    static struct cma_range ranges[2], reserved[2];
    struct sim_config sim_config = {
        .seed = seed, .memory = &memory, .nmemory = 1, .scheduler = VIDEO_SCHEDULER};
    struct cma_device_config camera = {
        .name = "camera", .owner = 1, .mask = UINT64_MAX, .coherent_mask = UINT64_MAX};
    struct cma_range area = {.base = BASE + (512u << 12),
                             .nbytes = 256u << 12,
                             .kind = CMA_RANGE_AREA,
                             .flags = CMA_RANGE_DEFAULT,
                             .name = "area"};
    struct cma_system_config machine = {.block_order = 6, .nslots = 8};
    uint64_t nbytes;
    void *storage;

    sim = sim_create(&sim_config);
    require(sim != NULL, "no simulation");
    machine.port = sim_port(sim);
    require(cma_map_init(&map, ranges, 2, reserved, 2) == 0 &&
                cma_map_add_memory(&map, memory.base, memory.nbytes, NULL) == 0 &&
                cma_map_reserve(&map, &area, NULL) == 0,
            "map");
    nbytes = cma_system_size(&map, &machine);
    storage = calloc(1, nbytes);
    require(cma_system_init(&cma, &map, &machine, storage, nbytes) == 0, "system");
    require(cma_device_init(&device, &cma.dma, &camera) == 0, "device");
    return storage;
}

int main(int argc, char **argv)
{
    struct cma_violation violation;
    uint64_t seed = 1;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--ops") == 0 && i + 1 < argc)
            max_ops = strtoull(argv[++i], NULL, 0);
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 0);
        else
            return fprintf(stderr, "usage: video [--ops N] [--seed S]\n"), 2;
    }
    void *storage = machine_init(seed);
    for (uint32_t i = 0; i < ACTORS; i++) {
        actors[i].index = i;
        sim_spawn(sim, i < CLIENTS ? "client" : "device", i < CLIENTS ? client_run : device_run,
                  &actors[i]);
    }
    sim_run(sim);
    require(cma_system_check(&cma, &violation), "the tables hold together");
    printf(
        "video: %llu calls in %llu rounds as the model says, %llu programs, %llu times something "
        "outlived one, %llu sleepers woken\n",
        (unsigned long long)nops, (unsigned long long)nrounds, (unsigned long long)nprograms,
        (unsigned long long)noutlived, (unsigned long long)nrescues);
    sim_destroy(sim);
    free(storage);
    return 0;
}
