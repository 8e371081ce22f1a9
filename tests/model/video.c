/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * video.c - buffer queues against a naive model: two programs, devices, and no order but the turns
 *
 *     video [--ops N] [--seed S]
 *
 * Two clients call two queues at once; their devices complete, fail and give back at any moment.
 * Buffers are of all four kinds of memory: the devices' own, late or early, promised or not; the
 * clients' (video_program.h), good and bad, which vanishes under a queue that streams; and those of
 * the other queue. A queue is released in the middle; its mappings, its exports, and devices that
 * are attached outlive it, and when the last has gone a queue with other buffers comes. In each
 * round both clients do up to three calls, the devices some of their own. All are written down with
 * what came out. Then, while nobody calls,
 * the model looks for an order of them, each whole and none before one that had ended, in which it
 * gives the same answers and comes out at the same queue: states, both lists, what the driver
 * has, counters, memory. If there is none, that is a difference. Holders, attachments, pins and
 * bounce slots are counted, too.
 *
 * The model (tests/support/video_model.h) knows nothing of turns, locks or memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cma/bounce.h>
#include <cma/system.h>
#include <cma/video.h>

#include "../../ports/sim/sim.h"
#include "../support/video_model.h"
#include "../support/video_program.h"

#ifndef VIDEO_SCHEDULER /* tests/threads/video.c has threads instead */
#define VIDEO_SCHEDULER SIM_FIBRES
#endif

#define BASE 0x40000000u
#define NPAGES 1024u
#define CLIENTS 2u
#define ACTORS 3u /* the last are the devices */
#define LOG_ROOM 24u
#define EXPORTS 8u
#define BOUNCE_NBYTES (96u << 12)
#define PATIENCE 400u /* turns of waiting after which somebody who sleeps is woken */

struct driver {
    struct sim_mutex lock;
    bool running;
    uint32_t nplanes, min_queued, nhas, sequence;
    struct cma_video_buffer *has[ROOM];
};

struct export
{
    struct cma_shared *shared;
    uint32_t queue, number, plane;
};

/* A queue, its device, and its program. */
struct side {
    struct cma_device device;
    struct cma_video_config config;
    struct cma_video_queue queue;
    struct cma_video_buffer buffers[ROOM];
    struct driver driver;
    enum cma_video_memory likes;
};

struct actor {
    uint32_t index;
    struct op log[LOG_ROOM];
    uint32_t nlog;
    uint32_t waiting; /* atomic: 1 + number of the queue */
    struct export exports[EXPORTS];
    uint32_t nexports;
};

static struct sim *sim;
static void *storage, *bounce_storage;
static struct cma_map map;
static struct cma_system cma;
static struct cma_bounce bounce;
static struct side sides[QUEUES];
static struct model model, found;
static struct actor actors[ACTORS];
static uint32_t round_now, narrived, finished; /* atomic */
static uint64_t stamp;                         /* atomic */
static uint64_t nops, max_ops = 100000, nprograms, nrescues, nrounds, noutlived;
static uint64_t nprepared[5], nvanished, nrefused, nbounced;
static const uint32_t plane_npages[PLANES] = {1, 3};

static void differ(const char *what)
{
    printf("video: DIFFERENCE: %s (round %llu)\n", what, (unsigned long long)nrounds);
    for (uint32_t i = 0; i < ACTORS; i++)
        for (uint32_t j = 0; j < actors[i].nlog; j++)
            op_show(i == CLIENTS ? "device" : "client", i, &actors[i].log[j]);
    for (uint32_t i = 0; i < QUEUES; i++)
        model_show(&model.queues[i]);
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

/* Who has it: the queue, mappings, exports, devices. */
static bool holders_are(const struct cma_video_plane *plane, const struct model_plane *m,
                        bool queue)
{
    uint32_t holders = (uint32_t)queue + m->maps + m->exports, n = 0;

    for (struct cma_attachment *at = plane->shared.attachments; at != NULL; at = at->next)
        n++;
    return plane->shared.holders == (holders | (uint32_t)m->attached << 16) && n == m->attached;
}

/* What is not the queue's own. */
static bool given_is(const struct side *side, const struct cma_video_plane *plane,
                     const struct model_plane *m, bool prepared)
{
    const struct cma_shared *of = NULL;
    cma_daddr_t daddr;

    if (m->of != 0)
        of = &sides[(m->of - 1u) / PLANES / ROOM]
                  .buffers[(m->of - 1u) / PLANES % ROOM]
                  .plane[(m->of - 1u) % PLANES]
                  .shared;
    if (side->queue.memory == CMA_VIDEO_SHARED)
        return plane->of == of && (of == NULL || plane->attachment.shared == of) &&
               (plane->attachment.mapped != 0) == prepared;
    if (side->queue.memory != CMA_VIDEO_USER || !prepared)
        return of == NULL && plane->of == NULL && plane->npieces == 0;
    if (side->config.direction != CMA_TO_DEVICE && !is_whole_lines(&m->given))
        return plane->npieces == 1;
    return plane->npieces == 1 &&
           cma_device_to_bus(&side->device,
                             program_pfn(m->given.at / PAGE) << 12 | m->given.at % PAGE,
                             m->given.nbytes, UINT64_MAX, &daddr) == 0 &&
           daddr == plane->daddr;
}

static bool plane_is(const struct side *side, const struct model_buffer *m, uint32_t number,
                     uint32_t index)
{
    const struct cma_video_plane *real = &side->buffers[number].plane[index];
    const struct model_plane *plane = &m->plane[index];
    bool live = real->live != 0, there = m->state != CMA_VIDEO_NONE;
    bool own = is_own(side->queue.memory), prepared = m->prepared && index < m->nplanes;
    bool late = (side->config.flags & CMA_VIDEO_ALLOCATE_LATE) != 0 && there && own;
    bool needed = plane_is_shared(plane) || prepared;

    if (real->maps != plane->maps || (live && !holders_are(real, plane, there)) ||
        (there && !given_is(side, real, plane, prepared)))
        return false;
    /* What is allocated late may be there a little longer, never shorter. */
    return late ? live || !needed : live == plane->live;
}

static bool buffer_is(const struct side *side, const struct model_buffer *m, uint32_t number)
{
    struct cma_video_info info;
    uint32_t maps = 0, others = 0;

    for (uint32_t i = 0; i < PLANES; i++) {
        maps += m->plane[i].maps;
        others += m->plane[i].exports + m->plane[i].attached;
        if (!plane_is(side, m, number, i))
            return false;
    }
    if (m->state == CMA_VIDEO_NONE)
        return cma_video_look(&side->queue, number, &info) == CMA_EINVAL;
    return cma_video_look(&side->queue, number, &info) == 0 && info.number == number &&
           info.nplanes == m->nplanes && (uint8_t)info.state == m->state &&
           info.prepared == m->prepared && info.mapped == (maps != 0) &&
           info.exported == (others != 0) && info.sequence == m->sequence;
}

static bool queue_is(const struct side *side, const struct model_queue *m)
{
    const struct driver *driver = &side->driver;
    const struct cma_video_queue *queue = &side->queue;
    uint32_t poll = (m->done.n != 0 ? CMA_VIDEO_POLL_READY : 0) |
                    (m->failed || !m->streaming ? CMA_VIDEO_POLL_FAILED : 0);
    struct cma_video_stats stats;

    cma_video_stats(queue, &stats);
    for (uint32_t i = 0; i < ROOM; i++)
        if (!buffer_is(side, &m->buffers[i], i))
            return false;
    for (uint32_t i = 0; i < driver->nhas; i++)
        if (m->has.n != driver->nhas || m->has.at[i] != driver->has[i]->number)
            return false;
    return list_is(&m->queued, queue->queued) && list_is(&m->done, queue->done) &&
           m->has.n == driver->nhas && driver->running == m->started &&
           queue->memory == m->memory && queue->failed == m->failed &&
           queue->streaming == m->streaming && cma_video_poll(queue) == poll &&
           stats.nbuffers == model_count(m) && stats.nframes == m->nframes &&
           stats.nerrors == m->nerrors && stats.active == m->has.n && stats.left_by_driver == 0;
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
    if (left || !queue_is(&sides[0], &m->queues[0]) || !queue_is(&sides[1], &m->queues[1]))
        return false;
    found = *m;
    return true;
}

static void check_memory(uint32_t index)
{
    struct side *side = &sides[index];
    uint64_t promised = (side->config.promise.nbytes + PAGE - 1) / PAGE, npages = 0;
    uint32_t nblocks = 0;

    for (uint32_t i = 0; i < ROOM * PLANES; i++) {
        const struct cma_video_plane *plane = &side->buffers[i / PLANES].plane[i % PLANES];
        bool block = plane->live && plane->memory.buffer.source == CMA_SOURCE_GUARANTEE;

        found.queues[index].buffers[i / PLANES].plane[i % PLANES].live = plane->live != 0;
        nblocks += block;
        npages += block ? promised : plane->live ? plane_npages[i % PLANES] : 0;
    }
    require(side->device.live_npages == npages && nblocks <= side->config.promise.count,
            "memory of planes that are there, and no other");
    require((side->device.promises != NULL) == side->queue.promised,
            "a promise as long as the queue");
}

/* What is bounced now: the program's planes that are not whole lines, which a device writes. */
static void check_bounces(void)
{
    struct cma_bounce_mapping mapping;
    uint32_t slot = 0, n = 0;

    for (uint32_t i = 0; i < QUEUES * ROOM * PLANES; i++) {
        const struct model_queue *m = &found.queues[i / PLANES / ROOM];
        const struct model_buffer *buffer = &m->buffers[i / PLANES % ROOM];

        n += m->memory == CMA_VIDEO_USER && buffer->prepared && i % PLANES < buffer->nplanes &&
             m->direction != CMA_TO_DEVICE && !is_whole_lines(&buffer->plane[i % PLANES].given);
    }
    nbounced += n != 0;
    for (; cma_bounce_next(&bounce, &slot, &mapping) == 0; n--)
        require(n != 0, "no more is bounced than is prepared");
    require(n == 0, "what is prepared is bounced");
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
    struct driver *driver = ctx;

    (void)memory, (void)nbuffers;
    *nplanes = driver->nplanes;
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
    struct driver *driver = ctx;

    sim_lock(sim, &driver->lock);
    require(driver->nhas < ROOM, "the driver gets each buffer once");
    driver->has[driver->nhas++] = buffer;
    sim_unlock(sim, &driver->lock);
}

static void driver_return(struct driver *driver, enum cma_video_state state)
{
    for (uint32_t i = 0; i < driver->nhas; i++)
        require(cma_video_done(driver->has[i], state, 0, 0) == 0, "what the driver has is ACTIVE");
    driver->nhas = 0;
}

static int driver_start(void *ctx, uint32_t nbuffers)
{
    struct driver *driver = ctx;
    bool fails = current()->start_fails;

    sim_lock(sim, &driver->lock);
    require(nbuffers == driver->nhas && nbuffers >= driver->min_queued, "as many as start is told");
    driver->running = !fails;
    if (fails)
        driver_return(driver, CMA_VIDEO_QUEUED);
    sim_unlock(sim, &driver->lock);
    return fails ? CMA_ENOMEM : 0;
}

static void driver_stop(void *ctx)
{
    struct driver *driver = ctx;

    sim_lock(sim, &driver->lock);
    driver->running = false;
    driver_return(driver, CMA_VIDEO_ERROR);
    sim_unlock(sim, &driver->lock);
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

static uint32_t choose_length(uint32_t plane)
{
    static const int more[] = {64, 256, -64, 1, 4096};
    uint32_t which = below(32);

    return which < 5   ? (uint32_t)((int)plane_nbytes[plane] + more[which])
           : which < 8 ? 0
                       : (uint32_t)plane_nbytes[plane];
}

/* What a plane may be: some of the program's memory, some export that the client has. */
static void op_give(const struct actor *client, struct given *given, uint32_t plane)
{
    uint32_t region = below(2) == 0 ? RUN + below(2) : below(REGIONS);
    uint32_t page = region == OBJECTS ? below(2) * 2 : below(3) == 0 ? below(4) : 0;

    given->at = region * REGION_NBYTES + page * PAGE;
    given->at += below(4) == 0 ? below(64) * LINE : below(4) == 0 ? below(4096) : 0;
    given->nbytes = choose_length(plane);
    for (uint32_t i = 0; i < client->nexports && below(8) != 0; i++) {
        const struct export *export = &client->exports[i];

        given->id = plane_id(export->queue, export->number, export->plane);
        if (export->plane >= plane)
            break;
    }
}

static void op_choose(struct actor *client, struct op *op)
{
    static const uint8_t chances[][KINDS] = {
        {3, 6, 3, 10, 44, 20, 6, 4, 8, 3, 4, 4, 3, 1}, /* a program at work */
        {2, 2, 2, 2, 2, 2, 2, 2, 2, 30, 2, 40, 1, 1},  /* what a program has left */
    };
    uint32_t queue = below(QUEUES), sum = 0, i;
    const uint8_t *chance = chances[model.queues[queue].closed];

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
    op->queue = queue;
    op->number = below(ROOM);
    for (i = 0; i < 2 && model.queues[queue].buffers[op->number].state == CMA_VIDEO_NONE; i++)
        op->number = below(ROOM);
    op->plane = below(PLANES);
    op->n = op->kind == REQUEST ? below(5) : 1 + below(2);
    if (op->kind == VANISH)
        op->n = below(4) == 0 ? (1u << CLAIMED) - 1 : 1u << below(CLAIMED);
    op->memory = below(4) != 0 ? sides[queue].likes : (enum cma_video_memory)(1 + below(4));
    op->wait = op->kind == DEQUEUE && below(4) == 0;
    op->refuses = below(12) == 0;
    op->start_fails = below(6) == 0;
    for (i = 0; i < PLANES && (op->kind == PREPARE || op->kind == QUEUE); i++)
        op_give(client, &op->given[i], i);
}

static int op_put(struct actor *client, struct op *op)
{
    uint32_t i = below(client->nexports);
    struct cma_shared *shared = client->exports[i].shared;

    op->queue = client->exports[i].queue;
    op->number = client->exports[i].number;
    op->plane = client->exports[i].plane;
    client->exports[i] = client->exports[--client->nexports];
    return cma_shared_put(shared);
}

static int op_export(struct actor *client, const struct op *op)
{
    struct export *export = &client->exports[client->nexports];
    int error = cma_video_export(&sides[op->queue].queue, op->number, op->plane, &export->shared);

    export->queue = op->queue;
    export->number = op->number;
    export->plane = op->plane;
    client->nexports += error == 0;
    return error;
}

static int op_dequeue(struct actor *client, struct op *op)
{
    struct cma_video_info info = {0};
    int error;

    __atomic_store_n(&client->waiting, op->wait ? 1 + op->queue : 0, __ATOMIC_RELAXED);
    error = cma_video_dequeue(&sides[op->queue].queue, op->wait, &info);
    __atomic_store_n(&client->waiting, 0, __ATOMIC_RELAXED);
    op->got = info.number;
    op->sequence = info.sequence;
    op->state = info.state;
    return error;
}

static struct cma_shared *shared_of(const struct actor *client, uint32_t id)
{
    for (uint32_t i = 0; i < client->nexports; i++) {
        const struct export *export = &client->exports[i];

        if (plane_id(export->queue, export->number, export->plane) == id)
            return export->shared;
    }
    return NULL;
}

static int op_fill(const struct actor *client, const struct op *op)
{
    struct side *side = &sides[op->queue];
    struct cma_video_put put = {
        .number = op->number, .nplanes = side->driver.nplanes, .hints = op->n};

    for (uint32_t i = 0; i < PLANES; i++) {
        put.plane[i].vaddr = (const void *)(uintptr_t)(USER_BASE + op->given[i].at);
        put.plane[i].shared = shared_of(client, op->given[i].id);
        put.plane[i].nbytes = op->given[i].nbytes;
    }
    return op->kind == PREPARE ? cma_video_prepare(&side->queue, &put, NULL)
                               : cma_video_queue_buffer(&side->queue, &put, NULL);
}

static int op_call(struct actor *client, struct op *op)
{
    struct cma_video_queue *queue = &sides[op->queue].queue;
    cma_paddr_t paddr;
    enum cma_attr attr;
    uint32_t n = op->n;
    int error;

    switch (op->kind) {
    case REQUEST:
        error = cma_video_request(queue, op->memory, &n, NULL);
        op->got = error == 0 ? n : 0;
        return error;
    case CREATE: return cma_video_create(queue, op->memory, &n, 0, NULL, &op->got, NULL);
    case REMOVE: return cma_video_remove(queue, op->number, op->n);
    case PREPARE:
    case QUEUE: return op_fill(client, op);
    case DEQUEUE: return op_dequeue(client, op);
    case ON: return cma_video_stream_on(queue);
    case OFF: return cma_video_stream_off(queue);
    case EXPORT: return op_export(client, op);
    case PUT: return op_put(client, op);
    case MAP: return cma_video_map(queue, op->number, op->plane, 0, 0x1000, &paddr, &attr, NULL);
    case UNMAP: return cma_video_unmap(queue, op->number, op->plane);
    case VANISH: return program_vanish(op->n), 0;
    default: return cma_video_release(queue);
    }
}

/* Who only looks may do so at any time, and what he sees holds together. */
static void client_look(void)
{
    struct cma_video_stats stats;
    struct cma_video_info info;
    uint32_t number = below(ROOM);
    const struct cma_video_queue *queue = &sides[below(QUEUES)].queue;

    cma_video_stats(queue, &stats);
    require(stats.nbuffers == stats.dequeued + stats.queued + stats.active + stats.done,
            "each buffer is somewhere");
    if (cma_video_look(queue, number, &info) == 0)
        require(info.number == number && info.nplanes <= PLANES && info.nplanes != 0 &&
                    info.state != CMA_VIDEO_NONE,
                "a whole buffer");
    (void)cma_video_poll(queue);
}

static void actor_do(struct actor *actor)
{
    struct op *op = &actor->log[actor->nlog];

    op->begin = now();
    op->result = op_call(actor, op);
    /* A call that looks at the device first, or at the memory, and at the queue later, may take
     * what breaks or vanishes in between for something that came after it. */
    op->end = op->kind != VANISH ? now() : 0;
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
            if (client->log[client->nlog - 1].kind == VANISH)
                break;
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
    uint32_t queue = below(QUEUES), i;
    struct driver *driver = &sides[queue].driver;

    memset(op, 0, sizeof(*op));
    op->queue = queue;
    op->begin = now();
    if (below(60) == 0) {
        op->kind = FAILED;
        cma_video_failed(&sides[queue].queue);
        actor->nlog++; /* no end: see actor_do */
        return;
    }
    sim_lock(sim, &driver->lock);
    if (driver->running && driver->nhas != 0) {
        i = below(driver->nhas);
        op->kind = DONE;
        op->number = driver->has[i]->number;
        op->state = states[below(5)];
        op->sequence = driver->sequence++;
        op->result = cma_video_done(driver->has[i], op->state, 0, op->sequence);
        driver->nhas--;
        memmove(&driver->has[i], &driver->has[i + 1], (driver->nhas - i) * sizeof(driver->has[0]));
        actor->nlog++;
    }
    sim_unlock(sim, &driver->lock);
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
        uint32_t waiting = __atomic_load_n(&actors[0].waiting, __ATOMIC_RELAXED);

        if (waiting == 0)
            waiting = __atomic_load_n(&actors[1].waiting, __ATOMIC_RELAXED);
        if (++waited >= PATIENCE && waiting != 0 && actor->nlog + 1 < LOG_ROOM) {
            memset(&actor->log[actor->nlog], 0, sizeof(actor->log[0]));
            actor->log[actor->nlog].kind = OFF;
            actor->log[actor->nlog].queue = waiting - 1;
            actor_do(actor);
            waited = 0;
            nrescues++;
        }
        sim_yield(sim);
    }
}

/* --- rounds ------------------------------------------------------------------------------ */

static void begin_program(uint32_t index)
{
    static const enum cma_direction directions[] = {CMA_FROM_DEVICE, CMA_TO_DEVICE,
                                                    CMA_BIDIRECTIONAL};
    struct side *side = &sides[index];
    struct model_queue *m = &model.queues[index];

    require(side->device.live_npages == 0 && side->device.promises == NULL,
            "nothing is left of the program before");
    side->config =
        (struct cma_video_config){.name = index == 0 ? "camera" : "scaler",
                                  .device = &side->device,
                                  .direction = directions[below(3)],
                                  .ops = &driver_ops,
                                  .ctx = &side->driver,
                                  .memories = below(4) == 0 ? 2 + 2 * below(15) : 0x1e,
                                  .min_queued = 1 + below(3),
                                  .flags = (below(3) == 0 ? CMA_VIDEO_ALLOCATE_LATE : 0) |
                                           (below(3) == 0 ? CMA_VIDEO_BOUNCE_USER : 0)};
    memset(&side->driver, 0, sizeof(side->driver));
    memset(m, 0, sizeof(*m));
    side->driver.nplanes = 1 + below(PLANES);
    side->driver.min_queued = side->config.min_queued;
    side->likes = (enum cma_video_memory)(1 + below(4));
    if (index == 1 && below(2) == 0)
        side->likes = CMA_VIDEO_SHARED;
    if (below(3) == 0)
        side->config.promise = (struct cma_promise_request){
            .nbytes = plane_nbytes[below(PLANES)], .count = 1 + below(3), .max_moves = 64};
    m->min_queued = side->config.min_queued;
    m->nplanes = side->driver.nplanes;
    m->memories = side->config.memories;
    m->direction = side->config.direction;
    m->late = (side->config.flags & CMA_VIDEO_ALLOCATE_LATE) != 0;
    m->bounces = (side->config.flags & CMA_VIDEO_BOUNCE_USER) != 0;
    require(cma_video_init(&side->queue, &side->config, &cma.guarantees, side->buffers, ROOM,
                           NULL) == 0,
            "init");
    nprograms++;
}

/* What changes while nobody calls. */
static void live(void)
{
    for (uint32_t i = 0; i < QUEUES; i++) {
        int error = CMA_EINVAL;

        if (model.queues[i].closed && below(4) == 0) {
            error = model_release(&model, &model.queues[i]);
            require(cma_video_release(&sides[i].queue) == error,
                    "released when the last has let go");
            noutlived += error != 0;
        }
        if (error == 0)
            begin_program(i);
    }
    program_live(below(UINT32_MAX));
    for (uint32_t i = 0; i < REGIONS; i++)
        require(below(2) != 0 || program_return(&model, i), "memory for the program");
}

static void count_round(void)
{
    for (uint32_t i = 0; i < ACTORS; i++) {
        for (uint32_t j = 0; j < actors[i].nlog; j++) {
            const struct op *op = &actors[i].log[j];
            bool put = op->kind == PREPARE || op->kind == QUEUE;

            nprepared[put && op->result == 0 ? found.queues[op->queue].memory : 0]++;
            nvanished += op->kind == VANISH;
            nrefused += put && (op->result == CMA_ENOENT || op->result == CMA_ERANGE);
        }
        nops += actors[i].nlog;
        actors[i].nlog = 0;
    }
}

static void check_round(void)
{
    uint32_t at[ACTORS] = {0};

    for (uint32_t i = 0; i < QUEUES; i++)
        require(cma_video_check(&sides[i].queue), "the queue holds together");
    require(explain(&model, at), "no order of these calls explains what came out");
    for (uint32_t i = 0; i < QUEUES; i++)
        check_memory(i);
    check_bounces();
    require(program_check(&found), "each page is pinned as often as buffers have it");
    model = found;
    count_round();
    nrounds++;
    live();
}

static void finish(void)
{
    struct cma_frame_info info;

    for (uint32_t i = 0; i < CLIENTS; i++)
        while (actors[i].nexports != 0)
            require(cma_shared_put(actors[i].exports[--actors[i].nexports].shared) == 0, "put");
    for (uint32_t i = 0; i < QUEUES * ROOM * PLANES; i++)
        while (cma_video_unmap(&sides[i / PLANES / ROOM].queue, i / PLANES % ROOM, i % PLANES) == 0)
            ;
    for (uint32_t i = 0; i < QUEUES; i++)
        (void)cma_video_release(&sides[i].queue);
    for (uint32_t i = 0; i < QUEUES; i++) {
        require(cma_video_release(&sides[i].queue) == 0, "released at the end");
        require(sides[i].device.live_npages == 0 && sides[i].device.promises == NULL,
                "nothing is left");
    }
    for (cma_pfn_t pfn = BASE >> 12; pfn < (BASE >> 12) + NPAGES; pfn++)
        require(cma_frame_info(&cma.frames, pfn, &info) == 0 && info.pins == 0, "no pin is left");
    require(cma_bounce_check(&bounce) && cma_bounce_destroy(&bounce) == 0, "no slot is left");
}

static void device_run(void *arg)
{
    struct actor *actor = arg;

    for (uint32_t i = 0; i < QUEUES; i++)
        begin_program(i);
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

static void devices_init(void)
{
    static const struct cma_bus_window window = {0x1000, BASE, NPAGES << 12};
    static struct cma_bounce_config config = {
        .name = "bounce", .nbytes = BOUNCE_NBYTES, .owner = 8, .paddr_last = UINT64_MAX};
    struct cma_device_config devices[QUEUES] = {
        {.name = "camera", .owner = 1, .mask = UINT64_MAX, .coherent_mask = UINT64_MAX},
        {.name = "scaler", .owner = 2, .mask = UINT64_MAX, .coherent_mask = UINT64_MAX},
    };
    uint64_t nbytes;

    config.area = cma.default_area;
    nbytes = cma_bounce_size(cma.dma.port, &config);
    bounce_storage = calloc(1, nbytes);
    require(cma_bounce_init(&bounce, &cma.dma, &config, bounce_storage, nbytes, NULL) == 0,
            "bounce pool");
    cma_bounce_use(&cma.dma, &bounce);
    devices[1].windows = &window;
    devices[1].nwindows = 1;
    for (uint32_t i = 0; i < QUEUES; i++)
        require(cma_device_init(&sides[i].device, &cma.dma, &devices[i]) == 0, "device");
    require(program_init(&cma), "the program's memory");
}

static void machine_init(uint64_t seed)
{
    static const struct sim_memory memory = {BASE, NPAGES << 12};
    static struct cma_range ranges[2], reserved[2];
    struct sim_config sim_config = {
        .seed = seed, .memory = &memory, .nmemory = 1, .scheduler = VIDEO_SCHEDULER};
    struct cma_range area = {.base = BASE + (512u << 12),
                             .nbytes = 256u << 12,
                             .kind = CMA_RANGE_AREA,
                             .flags = CMA_RANGE_DEFAULT,
                             .name = "area"};
    struct cma_system_config machine = {.block_order = 6, .nslots = 8};
    uint64_t nbytes;

    sim = sim_create(&sim_config);
    require(sim != NULL, "no simulation");
    machine.port = program_port(sim);
    require(cma_map_init(&map, ranges, 2, reserved, 2) == 0 &&
                cma_map_add_memory(&map, memory.base, memory.nbytes, NULL) == 0 &&
                cma_map_reserve(&map, &area, NULL) == 0,
            "map");
    nbytes = cma_system_size(&map, &machine);
    storage = calloc(1, nbytes);
    require(cma_system_init(&cma, &map, &machine, storage, nbytes) == 0, "system");
    devices_init();
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
    machine_init(seed);
    for (uint32_t i = 0; i < ACTORS; i++) {
        actors[i].index = i;
        sim_spawn(sim, i < CLIENTS ? "client" : "device", i < CLIENTS ? client_run : device_run,
                  &actors[i]);
    }
    sim_run(sim);
    require(cma_system_check(&cma, &violation), "the tables hold together");
    printf(
        "video: %llu calls in %llu rounds as the model says, %llu programs, %llu times something "
        "outlived one, %llu sleepers woken; prepared: %llu coherent, %llu contiguous, %llu the "
        "program's (%llu refused, %llu rounds with bounces, %llu times it vanished), %llu of the "
        "other queue\n",
        (unsigned long long)nops, (unsigned long long)nrounds, (unsigned long long)nprograms,
        (unsigned long long)noutlived, (unsigned long long)nrescues,
        (unsigned long long)nprepared[CMA_VIDEO_COHERENT],
        (unsigned long long)nprepared[CMA_VIDEO_CONTIGUOUS],
        (unsigned long long)nprepared[CMA_VIDEO_USER], (unsigned long long)nrefused,
        (unsigned long long)nbounced, (unsigned long long)nvanished,
        (unsigned long long)nprepared[CMA_VIDEO_SHARED]);
    sim_store_destroy(program.store);
    sim_destroy(sim);
    free(bounce_storage);
    free(storage);
    return 0;
}
