/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * video_model.h - what a buffer queue does, said once more and as simply as can be
 *
 * One struct that is copied, and for each call a function that says what comes out and what
 * changes. No turns, no locks, no memory, no device: the driver has a list of numbers. Memory of
 * COHERENT and CONTIGUOUS; USER stands for what is not allowed.
 */
#ifndef TEST_VIDEO_MODEL_H
#define TEST_VIDEO_MODEL_H

#include <string.h>

#include <cma/video.h>

#define ROOM 6u
#define PLANES 2u

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
    RELEASE,
    DONE,
    FAILED,
    KINDS
};

/* A call: what was asked, how its driver's functions behave in it, what came out. */
struct op {
    enum kind kind;
    uint32_t number, plane, n;
    enum cma_video_memory memory;
    enum cma_video_state state; /* done: with that */
    bool wait, refuses, start_fails;
    int result;
    uint32_t got, sequence;
    uint64_t begin, end;
};

struct model_plane {
    uint8_t maps, exports;
    bool live;
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

struct model {
    /* as the program began */
    uint32_t min_queued, nplanes;
    bool late;
    /* what changes */
    enum cma_video_memory memory;
    bool streaming, started, failed, closed;
    struct model_buffer buffers[ROOM];
    struct list queued, done, has;
    uint64_t nframes, nerrors;
};

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
    return plane->maps + plane->exports != 0;
}

static bool buffer_is_shared(const struct model_buffer *buffer)
{
    return plane_is_shared(&buffer->plane[0]) || plane_is_shared(&buffer->plane[1]);
}

static bool model_is_shared(const struct model *m)
{
    for (uint32_t i = 0; i < ROOM; i++)
        if (m->buffers[i].state != CMA_VIDEO_NONE && buffer_is_shared(&m->buffers[i]))
            return true;
    return false;
}

static uint32_t model_count(const struct model *m)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < ROOM; i++)
        n += m->buffers[i].state != CMA_VIDEO_NONE;
    return n;
}

static uint32_t model_count_queued(const struct model *m)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < m->queued.n; i++)
        n += m->buffers[m->queued.at[i]].state == CMA_VIDEO_QUEUED;
    return n;
}

static void model_free(struct model *m, uint32_t number)
{
    struct model_buffer *buffer = &m->buffers[number];

    buffer->state = CMA_VIDEO_NONE;
    for (uint32_t i = 0; i < PLANES; i++)
        buffer->plane[i].live = plane_is_shared(&buffer->plane[i]);
}

static void model_make(struct model *m, uint32_t number)
{
    struct model_buffer *buffer = &m->buffers[number];

    memset(buffer, 0, sizeof(*buffer));
    buffer->state = CMA_VIDEO_DEQUEUED;
    buffer->nplanes = (uint8_t)m->nplanes;
    for (uint32_t i = 0; i < m->nplanes; i++)
        buffer->plane[i].live = !m->late;
}

static void model_cancel(struct model *m)
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

static void model_give(struct model *m)
{
    for (uint32_t i = 0; i < m->queued.n; i++) {
        struct model_buffer *buffer = &m->buffers[m->queued.at[i]];

        if (buffer->state == CMA_VIDEO_QUEUED) {
            buffer->state = CMA_VIDEO_ACTIVE;
            list_append(&m->has, m->queued.at[i]);
        }
    }
}

static int model_start(struct model *m, const struct op *op)
{
    if (model_count_queued(m) < m->min_queued)
        return 0;
    if (op->start_fails)
        return CMA_ENOMEM;
    m->started = true;
    model_give(m);
    return 0;
}

static bool is_allowed(enum cma_video_memory memory)
{
    return memory == CMA_VIDEO_COHERENT || memory == CMA_VIDEO_CONTIGUOUS;
}

static int model_request(struct model *m, const struct op *op, uint32_t *got)
{
    uint32_t n = op->n < m->min_queued ? m->min_queued : op->n;

    if (m->closed)
        return CMA_EBADF;
    if (op->n != 0 && !is_allowed(op->memory))
        return CMA_EINVAL;
    if (m->streaming || model_is_shared(m))
        return CMA_EBUSY;
    model_cancel(m);
    for (uint32_t i = 0; i < ROOM; i++)
        if (m->buffers[i].state != CMA_VIDEO_NONE)
            model_free(m, i);
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

static int model_create(struct model *m, const struct op *op, uint32_t *got)
{
    uint32_t free = ROOM - model_count(m), n = op->n < free ? op->n : free, first = 0, run = 0;

    if (m->closed)
        return CMA_EBADF;
    if (!is_allowed(op->memory) || (free != ROOM && m->memory != op->memory))
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

static int model_remove(struct model *m, const struct op *op)
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
        model_free(m, i);
    return error;
}

/* Prepare and queue. */
static int model_put(struct model *m, const struct op *op)
{
    struct model_buffer *buffer = &m->buffers[op->number];
    bool ahead = buffer->prepared;
    int error;

    if (buffer->state == CMA_VIDEO_NONE)
        return CMA_EINVAL;
    if (m->failed || buffer->state != CMA_VIDEO_DEQUEUED || (op->kind == PREPARE && ahead))
        return CMA_EBADF;
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
    for (uint32_t i = 0; i < buffer->nplanes; i++)
        buffer->plane[i].live = true;
    return 0;
}

static int model_dequeue(struct model *m, struct op *told)
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

static int model_on(struct model *m, const struct op *op)
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

static int model_hold(struct model *m, const struct op *op)
{
    struct model_buffer *buffer = &m->buffers[op->number];
    struct model_plane *plane = &buffer->plane[op->plane];

    if (buffer->state == CMA_VIDEO_NONE || op->plane >= buffer->nplanes)
        return CMA_EINVAL;
    plane->live = true;
    plane->maps += op->kind == MAP;
    plane->exports += op->kind == EXPORT;
    return 0;
}

static int model_unhold(struct model *m, const struct op *op)
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

static int model_release(struct model *m)
{
    int error = 0;

    model_cancel(m);
    m->closed = true;
    for (uint32_t i = 0; i < ROOM; i++) {
        model_free(m, i);
        if (buffer_is_shared(&m->buffers[i]))
            error = CMA_EBUSY;
    }
    return error;
}

static int model_done(struct model *m, const struct op *op)
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

static int model_call(struct model *m, struct op *op)
{
    switch (op->kind) {
    case REQUEST: return model_request(m, op, &op->got);
    case CREATE: return model_create(m, op, &op->got);
    case REMOVE: return model_remove(m, op);
    case PREPARE:
    case QUEUE: return model_put(m, op);
    case DEQUEUE: return model_dequeue(m, op);
    case ON: return model_on(m, op);
    case OFF: return model_cancel(m), 0;
    case EXPORT:
    case MAP: return model_hold(m, op);
    case PUT:
    case UNMAP: return model_unhold(m, op);
    case RELEASE: return model_release(m);
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

#endif
