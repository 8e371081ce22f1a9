/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cycle.c - a buffer's way round: prepared, queued, the device's, done, the program's again
 *
 * Two lists, under one spinning lock: `queued` has the buffers that are QUEUED or ACTIVE, in the
 * order in which the program queued them, and what is given back without data keeps its place
 * there; `done` has what waits for the program. Only states, lists, and what programs are told of
 * buffers change under the lock; the rest is done in turns, and cma_video_done needs no turn.
 *
 * Who waits for a buffer reads `event` first, then looks, then sleeps if `event` is the same; who
 * changes something that is waited for changes `event` afterwards.
 */
#include "video.h"

/* --- lists, under the lock --------------------------------------------------------------- */

static void cycle_append(struct cma_video_buffer **list, struct cma_video_buffer *buffer)
{
    while (*list != NULL) {
        list = &(*list)->next;
    }
    buffer->next = NULL;
    *list = buffer;
}

static void cycle_unlink(struct cma_video_buffer **list, const struct cma_video_buffer *buffer)
{
    while (*list != buffer) {
        list = &(*list)->next;
    }
    *list = buffer->next;
}

static uint32_t cycle_count(const struct cma_video_queue *queue, enum cma_video_state state)
{
    const struct cma_video_buffer *buffer;
    uint32_t n = 0;

    for (buffer = queue->queued; buffer != NULL; buffer = buffer->next) {
        n += atom_peek(&buffer->state) == (uint32_t)state;
    }
    return n;
}

/* Takes back what the driver should have given back. */
static void cycle_force(struct cma_video_queue *queue)
{
    struct cma_video_buffer *buffer;

    for (buffer = queue->queued; buffer != NULL; buffer = buffer->next) {
        if (atom_peek(&buffer->state) == CMA_VIDEO_ACTIVE) {
            atom_poke(&buffer->state, CMA_VIDEO_QUEUED);
            queue->stats.left_by_driver++;
        }
    }
}

static void cycle_signal(struct cma_video_queue *queue)
{
    const struct cma_port *port = video_port(queue);

    (void)atom_add(&queue->event, 1);
    if (port->wake != NULL) {
        port->wake(port->ctx, &queue->event);
    }
}

/* --- prepare ----------------------------------------------------------------------------- */

/* What is said of the data in a plane, and what was. */
struct cycle_data {
    uint64_t used_nbytes[CMA_VIDEO_PLANES_MAX];
    uint64_t offset_nbytes[CMA_VIDEO_PLANES_MAX];
};

static void cycle_swap_data(struct cma_video_queue *queue, struct cma_video_buffer *buffer,
                            struct cycle_data *data)
{
    uintptr_t state = video_lock(queue);
    uint32_t i;

    for (i = 0; i < buffer->nplanes; i++) {
        struct cma_video_plane *plane = &buffer->plane[i];
        uint64_t used = plane->used_nbytes, offset = plane->offset_nbytes;

        plane->used_nbytes = data->used_nbytes[i];
        plane->offset_nbytes = data->offset_nbytes[i];
        data->used_nbytes[i] = used;
        data->offset_nbytes[i] = offset;
    }
    video_unlock(queue, state);
}

/* The memory is there: do the data fit into it? */
static int cycle_judge_data(const struct cma_video_queue *queue,
                            const struct cma_video_buffer *buffer, const struct cma_video_put *put,
                            struct cycle_data *data)
{
    uint32_t i;

    for (i = 0; i < buffer->nplanes; i++) {
        bool said = put->nplanes != 0;
        uint64_t given = buffer->plane[i].given_nbytes;
        uint64_t used = said ? put->plane[i].used_nbytes : 0;
        uint64_t offset = said ? put->plane[i].offset_nbytes : 0;

        data->used_nbytes[i] = 0;
        data->offset_nbytes[i] = 0;
        if (queue->config.direction != CMA_FROM_DEVICE) {
            used = used != 0 ? used : given;
            if (used > given || offset >= used) {
                return CMA_EINVAL;
            }
            data->used_nbytes[i] = used;
            data->offset_nbytes[i] = offset;
        }
    }
    return 0;
}

static bool cycle_is_failed(const struct cma_video_queue *queue)
{
    uintptr_t state = video_lock(queue);
    bool failed = queue->failed;

    video_unlock(queue, state);
    return failed;
}

/* The buffer that is meant, if the call is in order. */
static int cycle_find(const struct cma_video_queue *queue, const struct cma_video_put *put,
                      struct cma_video_buffer **buffer)
{
    *buffer = video_find(queue, put->number);
    if (*buffer == NULL || (put->hints & ~CMA__VIDEO_HINTS) != 0 ||
        (put->nplanes != (*buffer)->nplanes &&
         (put->nplanes != 0 || !video_is_own(queue->memory)))) {
        return CMA_EINVAL;
    }
    return cycle_is_failed(queue) ? CMA_EBADF : 0;
}

static int cycle_prepare(struct cma_video_queue *queue, struct cma_video_buffer *buffer,
                         const struct cma_video_put *put, struct cma_refusal *refusal)
{
    const struct cma_video_ops *ops = queue->config.ops;
    struct cycle_data data;
    int error = cma__video_acquire(queue, buffer, put, refusal);

    if (error != 0) {
        return error;
    }
    error = cycle_judge_data(queue, buffer, put, &data);
    if (error == 0) {
        cycle_swap_data(queue, buffer, &data);
        error = ops->prepare != NULL ? ops->prepare(queue->config.ctx, buffer) : 0;
        if (error != 0) {
            cycle_swap_data(queue, buffer, &data);
        }
    }
    if (error != 0) {
        (void)cma__video_letgo(queue, buffer);
        cma__video_trim(queue, buffer);
        return refuse_with(refusal, error, CMA_REASON_ARGUMENT);
    }
    atom_poke(&buffer->flags, CMA__VIDEO_PREPARED | put->hints << CMA__VIDEO_HINT_SHIFT);
    cma__video_sync(queue, buffer);
    return 0;
}

/* The CPU may look at it again. */
static int cycle_finish(struct cma_video_queue *queue, struct cma_video_buffer *buffer)
{
    const struct cma_video_ops *ops = queue->config.ops;
    int error = 0;

    if (video_is(buffer, CMA__VIDEO_PREPARED)) {
        error = cma__video_letgo(queue, buffer);
        if (error == 0 && ops->finish != NULL) {
            ops->finish(queue->config.ctx, buffer);
        }
    }
    return error;
}

int cma_video_prepare(struct cma_video_queue *queue, const struct cma_video_put *put,
                      struct cma_refusal *refusal)
{
    struct cma_video_buffer *buffer;
    int error = video_enter(queue);

    if (error != 0) {
        return refuse_with(refusal, error, CMA_REASON_NONE);
    }
    error = cycle_find(queue, put, &buffer);
    if (error == 0 && (atom_peek(&buffer->state) != CMA_VIDEO_DEQUEUED ||
                       video_is(buffer, CMA__VIDEO_PREPARED))) {
        error = CMA_EBADF;
    }
    error = error != 0 ? refuse_with(refusal, error, CMA_REASON_ARGUMENT)
                       : cycle_prepare(queue, buffer, put, refusal);
    return video_leave(queue, error);
}

/* --- queue, start, stop ------------------------------------------------------------------ */

/* Gives the driver all that is QUEUED now, and returns how many that is. They are chosen at once:
 * what it gives back meanwhile must not come before one that it has not had. */
static uint32_t cycle_give(struct cma_video_queue *queue)
{
    const struct cma_video_ops *ops = queue->config.ops;
    uint8_t numbers[CMA_VIDEO_BUFFERS_MAX];
    uintptr_t state = video_lock(queue);
    struct cma_video_buffer *buffer;
    uint32_t i, n = 0;

    for (buffer = queue->queued; buffer != NULL; buffer = buffer->next) {
        if (atom_peek(&buffer->state) == CMA_VIDEO_QUEUED) {
            atom_poke(&buffer->state, CMA_VIDEO_ACTIVE);
            numbers[n++] = (uint8_t)buffer->number;
        }
    }
    video_unlock(queue, state);
    for (i = 0; i < n; i++) {
        ops->queue(queue->config.ctx, &queue->buffers[numbers[i]]);
    }
    return n;
}

/* Begins, if there are enough. */
static int cycle_start(struct cma_video_queue *queue)
{
    const struct cma_video_ops *ops = queue->config.ops;
    uintptr_t state = video_lock(queue);
    bool enough = cycle_count(queue, CMA_VIDEO_QUEUED) >= queue->config.min_queued;
    uint32_t n;
    int error;

    queue->started = enough;
    video_unlock(queue, state);
    if (!enough) {
        return 0;
    }
    n = cycle_give(queue);
    error = ops->start(queue->config.ctx, n);
    if (error != 0) {
        state = video_lock(queue);
        cycle_force(queue);
        queue->started = false;
        video_unlock(queue, state);
    }
    return error;
}

/* Prepared, and the program's until now. */
static int cycle_enqueue(struct cma_video_queue *queue, struct cma_video_buffer *buffer)
{
    uintptr_t state = video_lock(queue);
    int error = 0;

    cycle_append(&queue->queued, buffer);
    atom_poke(&buffer->state, CMA_VIDEO_QUEUED);
    video_unlock(queue, state);
    if (queue->started) {
        (void)cycle_give(queue);
    } else if (queue->streaming) {
        error = cycle_start(queue);
    }
    if (error != 0) {
        state = video_lock(queue);
        if (atom_peek(&buffer->state) == CMA_VIDEO_QUEUED) {
            cycle_unlink(&queue->queued, buffer);
            atom_poke(&buffer->state, CMA_VIDEO_DEQUEUED);
        }
        video_unlock(queue, state);
    }
    return error;
}

int cma_video_queue_buffer(struct cma_video_queue *queue, const struct cma_video_put *put,
                           struct cma_refusal *refusal)
{
    struct cma_video_buffer *buffer;
    bool ahead;
    int error = video_enter(queue);

    if (error != 0) {
        return refuse_with(refusal, error, CMA_REASON_NONE);
    }
    error = cycle_find(queue, put, &buffer);
    ahead = error == 0 && video_is(buffer, CMA__VIDEO_PREPARED);
    if (error == 0 && (atom_peek(&buffer->state) != CMA_VIDEO_DEQUEUED ||
                       (ahead && !cma__video_is_same(queue, buffer, put)))) {
        error = CMA_EBADF;
    }
    if (error != 0) {
        return video_leave(queue, refuse_with(refusal, error, CMA_REASON_ARGUMENT));
    }
    error = ahead ? 0 : cycle_prepare(queue, buffer, put, refusal);
    if (error == 0) {
        error = cycle_enqueue(queue, buffer);
        if (error != 0) {
            (void)refuse_with(refusal, error, CMA_REASON_NONE);
            if (!ahead && atom_peek(&buffer->state) == CMA_VIDEO_DEQUEUED) {
                (void)cycle_finish(queue, buffer);
                cma__video_trim(queue, buffer);
            }
        }
    }
    return video_leave(queue, error);
}

int cma_video_stream_on(struct cma_video_queue *queue)
{
    uintptr_t state;
    int error = video_enter(queue);

    if (error != 0) {
        return error;
    }
    if (queue->streaming) {
        return video_leave(queue, 0);
    }
    if (queue->nbuffers < queue->config.min_queued) {
        return video_leave(queue, CMA_EINVAL);
    }
    error = cycle_start(queue);
    if (error == 0) {
        state = video_lock(queue);
        queue->streaming = true;
        video_unlock(queue, state);
    }
    return video_leave(queue, error);
}

int cma__video_cancel(struct cma_video_queue *queue)
{
    const struct cma_video_ops *ops = queue->config.ops;
    uintptr_t state;
    uint32_t i;
    int error = 0;

    if (queue->started) {
        ops->stop(queue->config.ctx);
    }
    state = video_lock(queue);
    cycle_force(queue);
    queue->queued = NULL;
    queue->done = NULL;
    queue->streaming = false;
    queue->started = false;
    queue->failed = false;
    for (i = 0; i < queue->room; i++) {
        struct cma_video_buffer *buffer = &queue->buffers[i];

        if (atom_peek(&buffer->state) != CMA_VIDEO_NONE) {
            atom_poke(&buffer->state, CMA_VIDEO_DEQUEUED);
            buffer->next = NULL;
        }
    }
    video_unlock(queue, state);
    for (i = 0; i < queue->room; i++) {
        struct cma_video_buffer *buffer = video_find(queue, i);

        if (buffer != NULL) {
            int left = cycle_finish(queue, buffer);

            error = error != 0 ? error : left;
            cma__video_trim(queue, buffer);
        }
    }
    cycle_signal(queue);
    return error;
}

int cma_video_stream_off(struct cma_video_queue *queue)
{
    int error = video_enter(queue);

    if (error != 0) {
        return error;
    }
    return video_leave(queue, cma__video_cancel(queue));
}

/* --- done -------------------------------------------------------------------------------- */

int cma_video_done(struct cma_video_buffer *buffer, enum cma_video_state state, uint64_t time_ns,
                   uint32_t sequence)
{
    struct cma_video_queue *queue = buffer->queue;
    uintptr_t locked;

    if (state != CMA_VIDEO_DONE && state != CMA_VIDEO_ERROR && state != CMA_VIDEO_QUEUED) {
        return CMA_EINVAL;
    }
    locked = video_lock(queue);
    if (atom_peek(&buffer->state) != CMA_VIDEO_ACTIVE) {
        video_unlock(queue, locked);
        return CMA_EBADF;
    }
    if (state != CMA_VIDEO_QUEUED) {
        cycle_unlink(&queue->queued, buffer);
        cycle_append(&queue->done, buffer);
        buffer->time_ns = time_ns;
        buffer->sequence = sequence;
        queue->stats.nframes += state == CMA_VIDEO_DONE;
        queue->stats.nerrors += state == CMA_VIDEO_ERROR;
    }
    atom_poke(&buffer->state, (uint32_t)state);
    video_unlock(queue, locked);
    cycle_signal(queue);
    return 0;
}

void cma_video_failed(struct cma_video_queue *queue)
{
    uintptr_t state = video_lock(queue);

    queue->failed = true;
    video_unlock(queue, state);
    cycle_signal(queue);
}

/* --- dequeue ----------------------------------------------------------------------------- */

/* The first that is done: off the list, but not the program's yet. CMA_EAGAIN: there is none. */
static int cycle_pop(struct cma_video_queue *queue, struct cma_video_buffer **buffer)
{
    uintptr_t state = video_lock(queue);
    int error = !queue->streaming ? CMA_EINVAL : queue->failed ? CMA_EBADF : CMA_EAGAIN;

    if (error == CMA_EAGAIN && queue->done != NULL) {
        *buffer = queue->done;
        queue->done = (*buffer)->next;
        (*buffer)->next = NULL;
        error = 0;
    }
    video_unlock(queue, state);
    return error;
}

/* Or it is the first that is done again. */
static int cycle_hand_over(struct cma_video_queue *queue, struct cma_video_buffer *buffer,
                           struct cma_video_info *info)
{
    enum cma_video_state was = (enum cma_video_state)atom_peek(&buffer->state);
    int error = cycle_finish(queue, buffer);
    uintptr_t state = video_lock(queue);

    if (error == 0) {
        atom_poke(&buffer->state, CMA_VIDEO_DEQUEUED);
        cma__video_tell(queue, buffer, info);
        info->state = was;
    } else {
        buffer->next = queue->done;
        queue->done = buffer;
    }
    video_unlock(queue, state);
    return error;
}

int cma_video_dequeue(struct cma_video_queue *queue, bool wait, struct cma_video_info *info)
{
    const struct cma_port *port = video_port(queue);
    struct cma_video_buffer *buffer = NULL;
    uint32_t seen;
    int error;

    for (;;) {
        error = video_enter(queue);
        if (error != 0) {
            return error;
        }
        seen = atom_load_ordered(&queue->event);
        error = cycle_pop(queue, &buffer);
        if (error == 0) {
            error = cycle_hand_over(queue, buffer, info);
        }
        (void)video_leave(queue, error);
        if (error != CMA_EAGAIN || !wait || port->wait == NULL) {
            return error;
        }
        port->wait(port->ctx, &queue->event, seen);
    }
}

uint32_t cma_video_poll(const struct cma_video_queue *queue)
{
    uintptr_t state = video_lock(queue);
    uint32_t answer = (queue->done != NULL ? CMA_VIDEO_POLL_READY : 0) |
                      (queue->failed || !queue->streaming ? CMA_VIDEO_POLL_FAILED : 0);

    video_unlock(queue, state);
    return answer;
}

int cma_video_wait(struct cma_video_queue *queue)
{
    const struct cma_port *port = video_port(queue);
    uint32_t seen = atom_load_ordered(&queue->event);

    while (cma_video_poll(queue) == 0) {
        if (port->wait == NULL) {
            return CMA_EAGAIN;
        }
        port->wait(port->ctx, &queue->event, seen);
        seen = atom_load_ordered(&queue->event);
    }
    return 0;
}
