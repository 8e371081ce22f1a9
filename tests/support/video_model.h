/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * video_model.h - what buffer queues do, said once more and as simply as can be
 *
 * One struct that is copied, and for each call a function that says what comes out and what
 * changes. No turns, no locks, no addresses, no device: the driver has a list of numbers, a buffer
 * of others is a number, and the program's memory is a few regions of pages that are there or gone.
 */
#ifndef TEST_VIDEO_MODEL_H
#define TEST_VIDEO_MODEL_H

#include <stdio.h>
#include <string.h>

#include <cma/video.h>

#define QUEUES 2u
#define ROOM 6u
#define PLANES 2u
#define LINE 64u
#define PAGE 4096u

/* The program's memory: of each region so many pages, then one that is never there. */
enum region { RUN, OTHER_RUN, SPLIT, HOLE, UNCACHED, OBJECTS, CLAIMED, REGIONS };

#define REGION_NPAGES 4u
#define REGION_STRIDE 5u
#define REGION_NBYTES (REGION_STRIDE * PAGE)

enum kind {
    REQUEST,
    CREATE,
    REMOVE,
    PREPARE,
    QUEUE,
    DEQUEUE,
    ON,
    OFF,
    EXPORT,
    PUT,
    MAP,
    UNMAP,
    VANISH,
    RELEASE,
    DONE,
    FAILED,
    KINDS
};

/* What a program says of a plane: where in its memory, or which plane of a queue (1 up; 0: none,
 * see plane_id). */
struct given {
    uint32_t at, id;
    uint64_t nbytes;
};

/* A call: what was asked, how its driver's functions behave in it, what came out. */
struct op {
    enum kind kind;
    uint32_t queue, number, plane, n;
    enum cma_video_memory memory;
    enum cma_video_state state; /* done: with that */
    bool wait, refuses, start_fails;
    struct given given[PLANES];
    int result;
    uint32_t got, sequence;
    uint64_t begin, end;
};

struct model_plane {
    uint8_t maps, exports, attached;
    bool live;
    uint8_t of; /* SHARED: whose it is attached to, as plane_id; 0: none */
    struct given given;
};

struct model_buffer {
    uint8_t state, nplanes;
    bool prepared;
    uint32_t sequence;
    struct model_plane plane[PLANES];
};

struct list {
    uint8_t n, at[ROOM];
};

struct model_queue {
    /* as the program began */
    uint32_t min_queued, nplanes, memories;
    bool late, bounces;
    enum cma_direction direction;
    /* what changes */
    enum cma_video_memory memory;
    bool streaming, started, failed, closed;
    struct model_buffer buffers[ROOM];
    struct list queued, done, has;
    uint64_t nframes, nerrors;
};

struct model {
    struct model_queue queues[QUEUES];
    uint32_t gone; /* regions, by bits */
};

static const uint64_t plane_nbytes[PLANES] = {0x1000, 0x2040};

static uint32_t plane_id(uint32_t queue, uint32_t number, uint32_t plane)
{
    return 1 + (queue * ROOM + number) * PLANES + plane;
}

static struct model_buffer *buffer_of(struct model *m, uint32_t id)
{
    return &m->queues[(id - 1) / PLANES / ROOM].buffers[(id - 1) / PLANES % ROOM];
}

static void list_append(struct list *list, uint32_t number)
{
    list->at[list->n++] = (uint8_t)number;
}

static void list_remove(struct list *list, uint32_t number)
{
    uint8_t n = 0;

    for (uint8_t i = 0; i < list->n; i++)
        if (list->at[i] != number)
            list->at[n++] = list->at[i];
    list->n = n;
}

static bool plane_is_shared(const struct model_plane *plane)
{
    return plane->maps + plane->exports + plane->attached != 0;
}

static bool buffer_is_shared(const struct model_buffer *buffer)
{
    return plane_is_shared(&buffer->plane[0]) || plane_is_shared(&buffer->plane[1]);
}

static bool model_is_shared(const struct model_queue *m)
{
    for (uint32_t i = 0; i < ROOM; i++)
        if (m->buffers[i].state != CMA_VIDEO_NONE && buffer_is_shared(&m->buffers[i]))
            return true;
    return false;
}

static uint32_t model_count(const struct model_queue *m)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < ROOM; i++)
        n += m->buffers[i].state != CMA_VIDEO_NONE;
    return n;
}

static uint32_t model_count_queued(const struct model_queue *m)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < m->queued.n; i++)
        n += m->buffers[m->queued.at[i]].state == CMA_VIDEO_QUEUED;
    return n;
}

/* Its device lets go of another's buffer, and may be the last who had it. */
static void model_detach(struct model *all, struct model_plane *plane)
{
    struct model_buffer *owner;
    struct model_plane *of;

    if (plane->of == 0)
        return;
    owner = buffer_of(all, plane->of);
    of = &owner->plane[(plane->of - 1u) % PLANES];
    of->attached--;
    if (owner->state == CMA_VIDEO_NONE && !plane_is_shared(of))
        of->live = false;
    plane->of = 0;
}

static void model_free(struct model *all, struct model_queue *m, uint32_t number)
{
    struct model_buffer *buffer = &m->buffers[number];

    buffer->state = CMA_VIDEO_NONE;
    for (uint32_t i = 0; i < PLANES; i++) {
        model_detach(all, &buffer->plane[i]);
        buffer->plane[i].live = plane_is_shared(&buffer->plane[i]);
    }
}

static bool is_own(enum cma_video_memory memory)
{
    return memory == CMA_VIDEO_COHERENT || memory == CMA_VIDEO_CONTIGUOUS;
}

static void model_make(struct model_queue *m, uint32_t number)
{
    struct model_buffer *buffer = &m->buffers[number];

    memset(buffer, 0, sizeof(*buffer));
    buffer->state = CMA_VIDEO_DEQUEUED;
    buffer->nplanes = (uint8_t)m->nplanes;
    for (uint32_t i = 0; i < m->nplanes; i++)
        buffer->plane[i].live = is_own(m->memory) && !m->late;
}

static void model_cancel(struct model_queue *m)
{
    for (uint32_t i = 0; i < m->has.n; i++) /* the driver's stop says sequence 0 */
        m->buffers[m->has.at[i]].sequence = 0;
    m->nerrors += m->has.n;
    m->has.n = m->queued.n = m->done.n = 0;
    m->streaming = m->started = m->failed = false;
    for (uint32_t i = 0; i < ROOM; i++) {
        if (m->buffers[i].state != CMA_VIDEO_NONE)
            m->buffers[i].state = CMA_VIDEO_DEQUEUED;
        m->buffers[i].prepared = false;
    }
}

static void model_give(struct model_queue *m)
{
    for (uint32_t i = 0; i < m->queued.n; i++) {
        struct model_buffer *buffer = &m->buffers[m->queued.at[i]];

        if (buffer->state == CMA_VIDEO_QUEUED) {
            buffer->state = CMA_VIDEO_ACTIVE;
            list_append(&m->has, m->queued.at[i]);
        }
    }
}

static int model_start(struct model_queue *m, const struct op *op)
{
    if (model_count_queued(m) < m->min_queued)
        return 0;
    if (op->start_fails)
        return CMA_ENOMEM;
    m->started = true;
    model_give(m);
    return 0;
}

static bool is_allowed(const struct model_queue *m, enum cma_video_memory memory)
{
    return (m->memories >> memory & 1) != 0;
}

static int model_request(struct model *all, struct model_queue *m, const struct op *op,
                         uint32_t *got)
{
    uint32_t n = op->n < m->min_queued ? m->min_queued : op->n;

    if (m->closed)
        return CMA_EBADF;
    if (op->n != 0 && !is_allowed(m, op->memory))
        return CMA_EINVAL;
    if (m->streaming || model_is_shared(m))
        return CMA_EBUSY;
    model_cancel(m);
    for (uint32_t i = 0; i < ROOM; i++)
        if (m->buffers[i].state != CMA_VIDEO_NONE)
            model_free(all, m, i);
    *got = op->n == 0 ? 0 : n;
    if (op->n == 0)
        return 0;
    if (op->refuses)
        return CMA_EOPNOTSUPP;
    m->memory = op->memory;
    for (uint32_t i = 0; i < n; i++)
        model_make(m, i);
    return 0;
}

static int model_create(struct model_queue *m, const struct op *op, uint32_t *got)
{
    uint32_t free = ROOM - model_count(m), n = op->n < free ? op->n : free, first = 0, run = 0;

    if (m->closed)
        return CMA_EBADF;
    if (!is_allowed(m, op->memory) || (free != ROOM && m->memory != op->memory))
        return CMA_EINVAL;
    if (free != 0 && op->refuses)
        return CMA_EOPNOTSUPP;
    for (uint32_t i = 0; i < ROOM && run < n; i++) {
        run = m->buffers[i].state == CMA_VIDEO_NONE ? run + 1 : 0;
        first = i + 1 - run;
    }
    if (n == 0 || run < n)
        return CMA_ENOSPC;
    m->memory = op->memory;
    for (uint32_t i = 0; i < n; i++)
        model_make(m, first + i);
    *got = first;
    return 0;
}

static int model_remove(struct model *all, struct model_queue *m, const struct op *op)
{
    int error = 0;

    if (op->n > ROOM - op->number)
        return CMA_EINVAL;
    for (uint32_t i = op->number; i < op->number + op->n; i++) {
        const struct model_buffer *buffer = &m->buffers[i];

        if (buffer->state == CMA_VIDEO_NONE)
            return CMA_EINVAL;
        if (buffer->state != CMA_VIDEO_DEQUEUED || buffer->prepared || buffer_is_shared(buffer))
            error = CMA_EBUSY;
    }
    for (uint32_t i = op->number; error == 0 && i < op->number + op->n; i++)
        model_free(all, m, i);
    return error;
}

/* --- prepare and queue ------------------------------------------------------------------- */

static bool is_whole_lines(const struct given *given)
{
    return (given->at | given->nbytes) % LINE == 0;
}

static bool is_pinned(uint32_t at)
{
    return at / REGION_NBYTES != CLAIMED;
}

/* A plane in the program's memory: each page of it is judged. */
static int model_user(const struct model *all, const struct model_queue *m,
                      const struct given *given)
{
    if (!m->bounces && !is_whole_lines(given))
        return CMA_EINVAL;
    for (uint32_t page = given->at / PAGE; page <= (given->at + given->nbytes - 1) / PAGE; page++) {
        uint32_t region = page / REGION_STRIDE, index = page % REGION_STRIDE;

        if (region >= REGIONS || (all->gone >> region & 1) != 0 || index == REGION_NPAGES ||
            (region == HOLE && index == 2) || (region == OBJECTS && index % 2 != 0))
            return CMA_ENOENT;
        if (region == UNCACHED && index == 1)
            return CMA_EBADF;
        if (region == SPLIT && index >= 2 && page != given->at / PAGE)
            return CMA_ERANGE;
    }
    return 0;
}

/* A plane that is another's. */
static int model_attach(struct model *all, struct model_plane *plane, uint64_t wanted_nbytes,
                        const struct given *given)
{
    uint64_t most, nbytes;

    if (given->id == 0)
        return CMA_EINVAL;
    most = plane_nbytes[(given->id - 1) % PLANES];
    nbytes = given->nbytes != 0 ? given->nbytes : most;
    if (nbytes > most || nbytes < wanted_nbytes)
        return CMA_EINVAL;
    if (plane->of != given->id) {
        model_detach(all, plane);
        plane->of = (uint8_t)given->id;
        buffer_of(all, given->id)->plane[(given->id - 1) % PLANES].attached++;
    }
    plane->given = (struct given){.id = given->id, .nbytes = nbytes};
    return 0;
}

static int model_acquire(struct model *all, struct model_queue *m, struct model_buffer *buffer,
                         const struct op *op)
{
    int error = 0;

    for (uint32_t i = 0; error == 0 && i < buffer->nplanes; i++) {
        struct model_plane *plane = &buffer->plane[i];

        if (m->memory == CMA_VIDEO_SHARED) {
            error = model_attach(all, plane, plane_nbytes[i], &op->given[i]);
        } else if (m->memory == CMA_VIDEO_USER) {
            error = op->given[i].nbytes < plane_nbytes[i] ? CMA_EINVAL
                                                          : model_user(all, m, &op->given[i]);
            plane->given = op->given[i];
        }
    }
    for (uint32_t i = 0; error == 0 && is_own(m->memory) && i < buffer->nplanes; i++)
        buffer->plane[i].live = true;
    return error;
}

static bool is_same(const struct model_queue *m, const struct model_buffer *buffer,
                    const struct op *op)
{
    for (uint32_t i = 0; !is_own(m->memory) && i < buffer->nplanes; i++) {
        const struct given *was = &buffer->plane[i].given, *is = &op->given[i];

        if (m->memory == CMA_VIDEO_USER && (was->at != is->at || was->nbytes != is->nbytes))
            return false;
        if (m->memory == CMA_VIDEO_SHARED &&
            (was->id != is->id || (is->nbytes != 0 && was->nbytes != is->nbytes)))
            return false;
    }
    return true;
}

static int model_put(struct model *all, struct model_queue *m, const struct op *op)
{
    struct model_buffer *buffer = &m->buffers[op->number];
    bool ahead = buffer->prepared;
    int error = 0;

    if (buffer->state == CMA_VIDEO_NONE)
        return CMA_EINVAL;
    if (m->failed || buffer->state != CMA_VIDEO_DEQUEUED || (op->kind == PREPARE && ahead) ||
        (ahead && !is_same(m, buffer, op)))
        return CMA_EBADF;
    if (!ahead)
        error = model_acquire(all, m, buffer, op);
    if (error != 0)
        return error;
    if (!ahead && op->refuses)
        return CMA_EOPNOTSUPP;
    if (op->kind == QUEUE) {
        list_append(&m->queued, op->number);
        buffer->state = CMA_VIDEO_QUEUED;
        if (m->started)
            model_give(m);
        error = m->streaming && !m->started ? model_start(m, op) : 0;
        if (error != 0) {
            list_remove(&m->queued, op->number);
            buffer->state = CMA_VIDEO_DEQUEUED;
            return error;
        }
    }
    buffer->prepared = true;
    return 0;
}

/* --- the other calls --------------------------------------------------------------------- */

static int model_dequeue(struct model_queue *m, struct op *told)
{
    struct model_buffer *buffer = &m->buffers[m->done.at[0]];

    if (!m->streaming)
        return CMA_EINVAL;
    if (m->failed)
        return CMA_EBADF;
    if (m->done.n == 0)
        return CMA_EAGAIN;
    told->got = m->done.at[0];
    told->sequence = buffer->sequence;
    told->state = (enum cma_video_state)buffer->state;
    list_remove(&m->done, told->got);
    buffer->state = CMA_VIDEO_DEQUEUED;
    buffer->prepared = false;
    return 0;
}

static int model_on(struct model_queue *m, const struct op *op)
{
    int error;

    if (m->streaming)
        return 0;
    if (model_count(m) < m->min_queued)
        return CMA_EINVAL;
    error = model_start(m, op);
    m->streaming = error == 0;
    return error;
}

static int model_hold(struct model_queue *m, const struct op *op)
{
    struct model_buffer *buffer = &m->buffers[op->number];
    struct model_plane *plane = &buffer->plane[op->plane];

    if (buffer->state == CMA_VIDEO_NONE || op->plane >= buffer->nplanes || !is_own(m->memory))
        return CMA_EINVAL;
    plane->live = true;
    plane->maps += op->kind == MAP;
    plane->exports += op->kind == EXPORT;
    return 0;
}

static int model_unhold(struct model_queue *m, const struct op *op)
{
    struct model_buffer *buffer = &m->buffers[op->number];
    struct model_plane *plane = &buffer->plane[op->plane];

    if (op->kind == UNMAP && plane->maps == 0)
        return buffer->state != CMA_VIDEO_NONE && op->plane < buffer->nplanes ? CMA_EBADF
                                                                              : CMA_EINVAL;
    plane->maps -= op->kind == UNMAP;
    plane->exports -= op->kind == PUT;
    if (buffer->state == CMA_VIDEO_NONE && !plane_is_shared(plane))
        plane->live = false;
    return 0;
}

static int model_release(struct model *all, struct model_queue *m)
{
    int error = 0;

    model_cancel(m);
    m->closed = true;
    for (uint32_t i = 0; i < ROOM; i++)
        model_free(all, m, i);
    for (uint32_t i = 0; i < ROOM; i++)
        if (buffer_is_shared(&m->buffers[i]))
            error = CMA_EBUSY;
    return error;
}

static int model_done(struct model_queue *m, const struct op *op)
{
    struct model_buffer *buffer = &m->buffers[op->number];

    if (buffer->state != CMA_VIDEO_ACTIVE)
        return CMA_EBADF;
    list_remove(&m->has, op->number);
    buffer->state = (uint8_t)op->state;
    if (op->state == CMA_VIDEO_QUEUED)
        return 0;
    list_remove(&m->queued, op->number);
    list_append(&m->done, op->number);
    buffer->sequence = op->sequence;
    m->nframes += op->state == CMA_VIDEO_DONE;
    m->nerrors += op->state == CMA_VIDEO_ERROR;
    return 0;
}

static int model_call(struct model *all, struct op *op)
{
    struct model_queue *m = &all->queues[op->queue];

    switch (op->kind) {
    case REQUEST: return model_request(all, m, op, &op->got);
    case CREATE: return model_create(m, op, &op->got);
    case REMOVE: return model_remove(all, m, op);
    case PREPARE:
    case QUEUE: return model_put(all, m, op);
    case DEQUEUE: return model_dequeue(m, op);
    case ON: return model_on(m, op);
    case OFF: return model_cancel(m), 0;
    case EXPORT:
    case MAP: return model_hold(m, op);
    case PUT:
    case UNMAP: return model_unhold(m, op);
    case VANISH: return all->gone |= op->n, 0;
    case RELEASE: return model_release(all, m);
    case DONE: return model_done(m, op);
    default: return m->failed = true, 0;
    }
}

/* Would the model have answered the same? */
static bool model_agrees(struct model *m, const struct op *op)
{
    struct op same = *op;

    if (model_call(m, &same) != op->result || (op->wait && op->result == CMA_EAGAIN))
        return false;
    return op->result != 0 ||
           (same.got == op->got && same.sequence == op->sequence && same.state == op->state);
}

/* --- for who reads of a difference ------------------------------------------------------- */

static void op_show(const char *who, uint32_t index, const struct op *op)
{
    static const char *const names[KINDS] = {
        "request", "create", "remove", "prepare", "queue",  "dequeue", "on",   "off",
        "export",  "put",    "map",    "unmap",   "vanish", "release", "done", "failed"};

    printf("  %s %u: queue %u %-8s number %u plane %u n %u memory %d state %d%s%s%s", who, index,
           op->queue, names[op->kind], op->number, op->plane, op->n, op->memory, op->state,
           op->wait ? " waits" : "", op->refuses ? " refuses" : "",
           op->start_fails ? " start fails" : "");
    for (uint32_t i = 0; i < PLANES && (op->kind == PREPARE || op->kind == QUEUE); i++)
        printf(", %#x or %u, %#llx", op->given[i].at, op->given[i].id,
               (unsigned long long)op->given[i].nbytes);
    printf(": %d, got %u\n", op->result, op->got);
}

static void model_show(const struct model_queue *m)
{
    printf("  before: memory %d%s%s%s%s, %u queued, %u done\n", m->memory,
           m->streaming ? " streams" : "", m->started ? " started" : "", m->failed ? " failed" : "",
           m->closed ? " closed" : "", m->queued.n, m->done.n);
    for (uint32_t i = 0; i < ROOM; i++) {
        const struct model_plane *plane = m->buffers[i].plane;

        printf("  buffer %u: state %u%s", i, m->buffers[i].state,
               m->buffers[i].prepared ? " prepared" : "");
        for (uint32_t j = 0; j < PLANES; j++)
            printf("; %u maps, %u exports, %u attached, of %u", plane[j].maps, plane[j].exports,
                   plane[j].attached, plane[j].of);
        printf("\n");
    }
}

#endif
