/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * queue.c - a queue and its buffers: made, looked at, freed
 *
 * Buffers are numbers into the caller's array. A buffer is there when its state says so, which is
 * the last thing that is written when it is made and the first when it goes, under the lock; so who
 * looks without a turn never sees half of one.
 */
#include "video.h"

#include "../base/range.h"

#define QUEUE_FLAGS (CMA_VIDEO_ALLOCATE_LATE | CMA_VIDEO_BOUNCE_USER | CMA_VIDEO_DEVICE_PROMISES)
#define QUEUE_MEMORIES                                                              \
    (1u << CMA_VIDEO_COHERENT | 1u << CMA_VIDEO_CONTIGUOUS | 1u << CMA_VIDEO_USER | \
     1u << CMA_VIDEO_SHARED)

static bool queue_is_config(const struct cma_video_config *config, uint32_t room)
{
    const struct cma_video_ops *ops = config->ops;

    return config->device != NULL && ops != NULL && ops->setup != NULL && ops->queue != NULL &&
           ops->start != NULL && ops->stop != NULL && room != 0 && room <= CMA_VIDEO_BUFFERS_MAX &&
           config->min_queued <= room && (uint32_t)config->direction <= CMA_FROM_DEVICE &&
           config->memories != 0 && (config->memories & ~QUEUE_MEMORIES) == 0 &&
           (config->flags & ~QUEUE_FLAGS) == 0 &&
           (config->align_nbytes & (config->align_nbytes - 1)) == 0;
}

int cma_video_init(struct cma_video_queue *queue, const struct cma_video_config *config,
                   struct cma_guarantees *guarantees, struct cma_video_buffer *buffers,
                   uint32_t room, struct cma_admission *why)
{
    int error = 0;

    if (queue == NULL || config == NULL || buffers == NULL || !queue_is_config(config, room) ||
        (config->promise.count != 0 && guarantees == NULL)) {
        if (why != NULL) {
            *why = (struct cma_admission){.refusal = {.code = CMA_EINVAL,
                                                      .reason = CMA_REASON_ARGUMENT,
                                                      .pfn = CMA_PFN_NONE}};
        }
        return CMA_EINVAL;
    }
    memset(queue, 0, sizeof(*queue));
    memset(buffers, 0, room * sizeof(*buffers));
    queue->config = *config;
    queue->config.min_queued += config->min_queued == 0;
    queue->buffers = buffers;
    queue->room = room;
    queue->promised = config->promise.count != 0;
    if (queue->promised) {
        if (queue->config.promise.align_nbytes == 0) {
            queue->config.promise.align_nbytes = config->align_nbytes;
        }
        error = cma_device_admit(config->device, guarantees, &queue->promise,
                                 &queue->config.promise, why);
    }
    return error;
}

/* --- making and freeing, in turns -------------------------------------------------------- */

/* Buffer `number` is none any more. */
static void queue_free(struct cma_video_queue *queue, uint32_t number)
{
    struct cma_video_buffer *buffer = &queue->buffers[number];
    uintptr_t state = video_lock(queue);

    atom_poke(&buffer->state, CMA_VIDEO_NONE);
    queue->nbuffers--;
    video_unlock(queue, state);
    cma__video_drop(queue, buffer);
}

/* Of `n` that are there, or aren't, none is attached to anything. Returns 0 or CMA_EAGAIN. */
static int queue_detach(struct cma_video_queue *queue, uint32_t first, uint32_t n)
{
    uint32_t i;
    int error = 0;

    for (i = first; error == 0 && i - first < n; i++) {
        error = video_find(queue, i) != NULL ? cma__video_detach(queue, &queue->buffers[i]) : 0;
    }
    return error;
}

/* Returns 0, or CMA_EAGAIN: it does not stream, but the buffers are all there. */
static int queue_free_all(struct cma_video_queue *queue)
{
    uint32_t i;
    int error = cma__video_cancel(queue);

    if (error == 0) {
        error = queue_detach(queue, 0, queue->room);
    }
    for (i = 0; error == 0 && i < queue->room; i++) {
        if (video_find(queue, i) != NULL) {
            queue_free(queue, i);
        }
    }
    return error;
}

static bool queue_is_shared(const struct cma_video_queue *queue)
{
    uint32_t i;

    for (i = 0; i < queue->room; i++) {
        const struct cma_video_buffer *buffer = video_find(queue, i);

        if (buffer != NULL && cma__video_is_shared(buffer)) {
            return true;
        }
    }
    return false;
}

/* What a driver's setup has said. */
struct queue_plan {
    enum cma_video_memory memory;
    uint32_t nbuffers, nplanes;
    uint64_t plane_nbytes[CMA_VIDEO_PLANES_MAX];
};

static int queue_plan(struct cma_video_queue *queue, struct queue_plan *plan, uint32_t least,
                      uint32_t room)
{
    const struct cma_video_ops *ops = queue->config.ops;
    uint32_t i;
    int error = ops->setup(queue->config.ctx, plan->memory, &plan->nbuffers, &plan->nplanes,
                           plan->plane_nbytes);

    if (error == 0 &&
        (plan->nbuffers < least || plan->nplanes == 0 || plan->nplanes > CMA_VIDEO_PLANES_MAX)) {
        error = CMA_EINVAL;
    }
    for (i = 0; error == 0 && i < plan->nplanes; i++) {
        error = plan->plane_nbytes[i] == 0 ? CMA_EINVAL : 0;
    }
    if (plan->nbuffers > room) {
        plan->nbuffers = room;
    }
    return error;
}

/* One buffer, all or nothing. */
static int queue_make(struct cma_video_queue *queue, const struct queue_plan *plan, uint32_t number,
                      struct cma_refusal *refusal)
{
    struct cma_video_buffer *buffer = &queue->buffers[number];
    bool now = video_is_own(plan->memory) && (queue->config.flags & CMA_VIDEO_ALLOCATE_LATE) == 0;
    uintptr_t state;
    uint32_t i;
    int error = 0;

    memset(buffer->plane, 0, sizeof(buffer->plane));
    buffer->number = number;
    buffer->nplanes = plan->nplanes;
    buffer->queue = queue;
    buffer->time_ns = 0;
    buffer->sequence = 0;
    buffer->driver = NULL;
    atom_poke(&buffer->flags, 0);
    for (i = 0; error == 0 && i < plan->nplanes; i++) {
        buffer->plane[i].nbytes = plan->plane_nbytes[i];
        buffer->plane[i].given_nbytes = plan->plane_nbytes[i];
        error = now ? cma__video_take(queue, &buffer->plane[i], refusal) : 0;
    }
    if (error != 0) {
        cma__video_drop(queue, buffer);
        return error;
    }
    state = video_lock(queue);
    atom_poke(&buffer->state, CMA_VIDEO_DEQUEUED);
    queue->nbuffers++;
    video_unlock(queue, state);
    return 0;
}

/* As many as there is memory for, from `first` on, if that is enough for the driver and at least
 * `least`; else none, and why. */
static int queue_make_all(struct cma_video_queue *queue, struct queue_plan *plan, uint32_t first,
                          uint32_t least, struct cma_refusal *refusal)
{
    struct queue_plan again = *plan;
    struct cma_refusal why = {0};
    uint32_t n = 0;
    int error = 0;

    while (n < plan->nbuffers && error == 0) {
        error = queue_make(queue, plan, first + n, refusal != NULL ? &why : NULL);
        n += error == 0;
    }
    if (error != 0 && n != 0 && n >= least) {
        again.nbuffers = n;
        if (queue_plan(queue, &again, least, n) == 0) {
            plan->nbuffers = n;
            return 0;
        }
    }
    if (error != 0) {
        while (n-- > 0) {
            queue_free(queue, first + n);
        }
        if (refusal != NULL) {
            *refusal = why;
        }
    }
    return error;
}

static bool queue_allows(const struct cma_video_queue *queue, enum cma_video_memory memory)
{
    return (uint32_t)memory < 32 && (queue->config.memories >> (uint32_t)memory & 1) != 0;
}

static void queue_set_memory(struct cma_video_queue *queue, enum cma_video_memory memory)
{
    uintptr_t state = video_lock(queue);

    queue->memory = memory;
    video_unlock(queue, state);
}

static int queue_request(struct cma_video_queue *queue, enum cma_video_memory memory,
                         uint32_t *nbuffers, struct cma_refusal *refusal)
{
    struct queue_plan plan = {.memory = memory, .nbuffers = *nbuffers};
    int error = queue->closed                                    ? CMA_EBADF
                : *nbuffers != 0 && !queue_allows(queue, memory) ? CMA_EINVAL
                : queue->streaming || queue_is_shared(queue)     ? CMA_EBUSY
                                                                 : 0;

    if (error != 0) {
        return refuse_with(refusal, error,
                           error == CMA_EBUSY ? CMA_REASON_HELD : CMA_REASON_ARGUMENT);
    }
    error = queue_free_all(queue);
    if (error != 0) {
        return refuse_with(refusal, error, CMA_REASON_HELD);
    }
    if (*nbuffers == 0) {
        return 0;
    }
    if (plan.nbuffers < queue->config.min_queued) {
        plan.nbuffers = queue->config.min_queued;
    }
    if (plan.nbuffers > queue->room) {
        plan.nbuffers = queue->room;
    }
    error = queue_plan(queue, &plan, queue->config.min_queued, queue->room);
    if (error != 0) {
        return refuse_with(refusal, error, CMA_REASON_ARGUMENT);
    }
    queue_set_memory(queue, memory);
    error = queue_make_all(queue, &plan, 0, queue->config.min_queued, refusal);
    if (error == 0) {
        *nbuffers = plan.nbuffers;
    }
    return error;
}

int cma_video_request(struct cma_video_queue *queue, enum cma_video_memory memory,
                      uint32_t *nbuffers, struct cma_refusal *refusal)
{
    int error = video_enter(queue);

    if (error != 0) {
        return refuse_with(refusal, error, CMA_REASON_NONE);
    }
    return video_leave(queue, queue_request(queue, memory, nbuffers, refusal));
}

/* The lowest number from which on `n` are free; `room`: there is none. */
static uint32_t queue_find_free(const struct cma_video_queue *queue, uint32_t n)
{
    uint32_t first = 0, i;

    for (i = 0; i < queue->room && i - first < n; i++) {
        if (video_find(queue, i) != NULL) {
            first = i + 1;
        }
    }
    return i - first >= n ? first : queue->room;
}

static int queue_create(struct cma_video_queue *queue, struct queue_plan *plan, uint32_t *first,
                        struct cma_refusal *refusal)
{
    uint32_t room = queue->room - queue->nbuffers;
    int error = 0;

    if (queue->closed) {
        return refuse_with(refusal, CMA_EBADF, CMA_REASON_ARGUMENT);
    }
    if (!queue_allows(queue, plan->memory) || plan->nplanes > CMA_VIDEO_PLANES_MAX ||
        (queue->nbuffers != 0 && queue->memory != plan->memory)) {
        return refuse_with(refusal, CMA_EINVAL, CMA_REASON_ARGUMENT);
    }
    if (plan->nbuffers == 0) {
        *first = queue_find_free(queue, 1);
        return 0;
    }
    if (plan->nbuffers > room) {
        plan->nbuffers = room;
    }
    if (room != 0) {
        error = queue_plan(queue, plan, 1, room);
        if (error != 0) {
            return refuse_with(refusal, error, CMA_REASON_ARGUMENT);
        }
    }
    *first = room != 0 ? queue_find_free(queue, plan->nbuffers) : queue->room;
    if (*first == queue->room) {
        return refuse_with(refusal, CMA_ENOSPC, CMA_REASON_TOO_LARGE);
    }
    queue_set_memory(queue, plan->memory);
    return queue_make_all(queue, plan, *first, 1, refusal);
}

int cma_video_create(struct cma_video_queue *queue, enum cma_video_memory memory,
                     uint32_t *nbuffers, uint32_t nplanes, const uint64_t plane_nbytes[],
                     uint32_t *first, struct cma_refusal *refusal)
{
    struct queue_plan plan = {.memory = memory, .nbuffers = *nbuffers, .nplanes = nplanes};
    uint32_t i, begins = 0;
    int error = nplanes != 0 && plane_nbytes == NULL ? CMA_EINVAL : 0;

    if (error != 0) {
        return refuse_with(refusal, error, CMA_REASON_ARGUMENT);
    }
    error = video_enter(queue);
    if (error != 0) {
        return refuse_with(refusal, error, CMA_REASON_NONE);
    }
    for (i = 0; i < nplanes && i < CMA_VIDEO_PLANES_MAX; i++) {
        plan.plane_nbytes[i] = plane_nbytes[i];
    }
    error = queue_create(queue, &plan, &begins, refusal);
    if (error == 0) {
        *nbuffers = plan.nbuffers;
        *first = begins;
    }
    return video_leave(queue, error);
}

int cma_video_remove(struct cma_video_queue *queue, uint32_t first, uint32_t n)
{
    uint32_t i;
    int error = video_enter(queue);

    if (error != 0) {
        return error;
    }
    if (n != 0 && (first > queue->room || n > queue->room - first)) {
        return video_leave(queue, CMA_EINVAL);
    }
    for (i = 0; i < n; i++) {
        const struct cma_video_buffer *buffer = video_find(queue, first + i);

        if (buffer == NULL) {
            return video_leave(queue, CMA_EINVAL);
        }
        if (atom_peek(&buffer->state) != CMA_VIDEO_DEQUEUED ||
            video_is(buffer, CMA__VIDEO_PREPARED) || cma__video_is_shared(buffer)) {
            error = CMA_EBUSY;
        }
    }
    error = error != 0 ? error : queue_detach(queue, first, n);
    for (i = 0; error == 0 && i < n; i++) {
        queue_free(queue, first + i);
    }
    return video_leave(queue, error);
}

int cma_video_release(struct cma_video_queue *queue)
{
    uint32_t i, j;
    int error = video_enter(queue);

    if (error != 0) {
        return error;
    }
    error = queue_free_all(queue);
    if (error != 0) {
        return video_leave(queue, error);
    }
    queue->closed = true;
    for (i = 0; i < queue->room; i++) {
        for (j = 0; j < CMA_VIDEO_PLANES_MAX; j++) {
            error = atom_load(&queue->buffers[i].plane[j].live) != 0 ? CMA_EBUSY : error;
        }
    }
    if (error == 0 && queue->promised) {
        error = cma_device_revoke(queue->config.device, &queue->promise);
        queue->promised = error != 0;
    }
    return video_leave(queue, error);
}

/* --- looking ----------------------------------------------------------------------------- */

void cma__video_tell(const struct cma_video_queue *queue, const struct cma_video_buffer *buffer,
                     struct cma_video_info *info)
{
    uint32_t i;

    *info = (struct cma_video_info){.number = buffer->number, .nplanes = buffer->nplanes};
    info->state = (enum cma_video_state)atom_peek(&buffer->state);
    info->prepared = video_is(buffer, CMA__VIDEO_PREPARED);
    info->mapped = cma__video_is_mapped(buffer);
    info->exported = video_is_own(queue->memory) && cma__video_is_exported(buffer);
    info->time_ns = buffer->time_ns;
    info->sequence = buffer->sequence;
    for (i = 0; i < buffer->nplanes; i++) {
        info->plane[i].nbytes = buffer->plane[i].nbytes;
        if (info->state != CMA_VIDEO_ACTIVE) {
            info->plane[i].used_nbytes = buffer->plane[i].used_nbytes;
            info->plane[i].offset_nbytes = buffer->plane[i].offset_nbytes;
        }
    }
}

int cma_video_look(const struct cma_video_queue *queue, uint32_t number,
                   struct cma_video_info *info)
{
    uintptr_t state = video_lock(queue);
    const struct cma_video_buffer *buffer = video_find(queue, number);

    if (buffer != NULL) {
        cma__video_tell(queue, buffer, info);
    }
    video_unlock(queue, state);
    return buffer != NULL ? 0 : CMA_EINVAL;
}

void cma_video_stats(const struct cma_video_queue *queue, struct cma_video_stats *stats)
{
    uintptr_t state = video_lock(queue);
    uint32_t i;

    *stats = queue->stats;
    stats->nbuffers = queue->nbuffers;
    for (i = 0; i < queue->room; i++) {
        switch ((enum cma_video_state)atom_peek(&queue->buffers[i].state)) {
        case CMA_VIDEO_NONE: break;
        case CMA_VIDEO_DEQUEUED: stats->dequeued++; break;
        case CMA_VIDEO_QUEUED: stats->queued++; break;
        case CMA_VIDEO_ACTIVE: stats->active++; break;
        case CMA_VIDEO_DONE:
        case CMA_VIDEO_ERROR: stats->done++; break;
        }
    }
    video_unlock(queue, state);
}

/* How many are on a list, all in one of two states; room + 1: it is broken. */
static uint32_t queue_check_list(const struct cma_video_queue *queue,
                                 const struct cma_video_buffer *buffer, enum cma_video_state one,
                                 enum cma_video_state other)
{
    uint32_t n = 0;

    for (; buffer != NULL && n <= queue->room; buffer = buffer->next, n++) {
        uint32_t state = atom_peek(&buffer->state);

        if ((state != (uint32_t)one && state != (uint32_t)other) || buffer->queue != queue ||
            !video_is(buffer, CMA__VIDEO_PREPARED) || buffer != video_find(queue, buffer->number)) {
            return queue->room + 1;
        }
    }
    return n;
}

bool cma_video_check(const struct cma_video_queue *queue)
{
    struct cma_video_stats stats;
    uint32_t i, j;

    cma_video_stats(queue, &stats);
    for (i = 0; i < queue->room; i++) {
        const struct cma_video_buffer *buffer = &queue->buffers[i];

        for (j = 0; j < CMA_VIDEO_PLANES_MAX; j++) {
            const struct cma_video_plane *plane = &buffer->plane[j];
            bool live = atom_load(&plane->live) != 0;

            if (atom_peek(&plane->maps) != 0 &&
                (!live || cma__shared_count(&plane->shared) < atom_peek(&plane->maps))) {
                return false;
            }
            if (live && video_find(queue, i) == NULL && !queue->closed) {
                return false;
            }
        }
    }
    return atom_peek(&queue->turn) == 0 &&
           stats.nbuffers == stats.dequeued + stats.queued + stats.active + stats.done &&
           queue_check_list(queue, queue->queued, CMA_VIDEO_QUEUED, CMA_VIDEO_ACTIVE) ==
               stats.queued + stats.active &&
           queue_check_list(queue, queue->done, CMA_VIDEO_DONE, CMA_VIDEO_ERROR) == stats.done &&
           (queue->started || stats.active == 0);
}
