/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory.c - where the planes of buffers are
 *
 *              allocated          acquire             sync            letgo
 *   COHERENT   coherent           -                   barrier         barrier
 *   CONTIGUOUS contiguous         -                   for_device      for_cpu
 *   USER       -                  pin, map            for_device      for_cpu, unmap, unpin
 *   SHARED     -                  attach once, map    (map did)       unmap
 *
 * Memory of its own is in a handle (share.h) from the beginning: the queue is one holder, each
 * mapping of a client another, each export too, and whoever lets go last frees it. While the queue
 * is the only one, nobody can become another but by a call of the queue, so its turn is all the
 * protection that freeing needs.
 *
 * What was acquired but not synced is let go without a sync: invalidating it would drop what the
 * program has just written.
 */
#include "video.h"

/* --- memory of its own ------------------------------------------------------------------- */

static struct cma_video_plane *memory_plane_of(struct cma_shared *shared)
{
    return (struct cma_video_plane *)(void *)((uint8_t *)shared -
                                              offsetof(struct cma_video_plane, shared));
}

/* The last one has let go: in whatever order, and maybe long after the queue has. */
static void memory_release(void *ctx, struct cma_shared *shared)
{
    struct cma_device *device = ctx;
    struct cma_video_plane *plane = memory_plane_of(shared);
    int error;

    if ((plane->memory.buffer.flags & CMA__COHERENT_CACHED) != 0) {
        error = cma_dma_free_contiguous(device, &plane->memory);
    } else {
        error = cma_dma_free_coherent(device, &plane->memory.buffer);
    }
    cma__assert(error == 0);
    (void)error;
    atom_store(&plane->live, 0);
}

static int memory_alloc(struct cma_video_queue *queue, struct cma_video_plane *plane,
                        struct cma_refusal *refusal)
{
    const struct cma_video_config *config = &queue->config;
    struct cma_coherent_request request = {.nbytes = plane->nbytes,
                                           .align_nbytes = config->align_nbytes};
    int error;

    if ((config->flags & CMA_VIDEO_DEVICE_PROMISES) == 0) {
        request.flags = queue->promised ? 0 : CMA_COHERENT_UNPROMISED;
        request.promise = queue->promised ? &queue->promise : NULL;
    }
    if (queue->memory == CMA_VIDEO_COHERENT) {
        return cma_dma_alloc_coherent(config->device, &request, &plane->memory.buffer, refusal);
    }
    error = cma_dma_alloc_contiguous(config->device, &request, config->direction, &plane->memory,
                                     refusal);
    if (error == 0) {
        /* It came as the device's; the program has it first. */
        (void)cma_dma_sync_for_cpu(config->device, plane->memory.buffer.daddr, plane->nbytes,
                                   config->direction);
    }
    return error;
}

int cma__video_take(struct cma_video_queue *queue, struct cma_video_plane *plane,
                    struct cma_refusal *refusal)
{
    struct cma_device *device = queue->config.device;
    struct cma_shared_config config = {.release = memory_release, .ctx = device};
    int error = memory_alloc(queue, plane, refusal);
    uintptr_t state;

    if (error != 0) {
        return error;
    }
    config.paddr = plane->memory.buffer.paddr;
    config.nbytes = plane->nbytes;
    /* Coherent memory of a device that looks into the caches is cached memory: others that do not
     * look there need syncs. */
    config.coherent = queue->memory == CMA_VIDEO_COHERENT && !cma__device_snoops(device);
    plane->daddr = plane->memory.buffer.daddr;
    state = video_lock(queue); /* of who looks whether it is exported */
    error = cma_shared_init(&plane->shared, device->dma, &config);
    cma__assert(error == 0);
    atom_store(&plane->live, 1);
    video_unlock(queue, state);
    return error;
}

void cma__video_drop(struct cma_video_queue *queue, struct cma_video_buffer *buffer)
{
    uint32_t i;

    for (i = 0; i < buffer->nplanes; i++) {
        struct cma_video_plane *plane = &buffer->plane[i];

        if (video_is_own(queue->memory) && atom_load(&plane->live) != 0) {
            (void)cma_shared_put(&plane->shared);
        }
    }
}

void cma__video_trim(struct cma_video_queue *queue, struct cma_video_buffer *buffer)
{
    uint32_t i;

    if ((queue->config.flags & CMA_VIDEO_ALLOCATE_LATE) == 0 || !video_is_own(queue->memory) ||
        atom_peek(&buffer->state) != CMA_VIDEO_DEQUEUED || video_is(buffer, CMA__VIDEO_PREPARED)) {
        return;
    }
    for (i = 0; i < buffer->nplanes; i++) {
        struct cma_video_plane *plane = &buffer->plane[i];

        if (atom_load(&plane->live) != 0 && cma__shared_count(&plane->shared) == 1) {
            (void)cma_shared_put(&plane->shared);
        }
    }
}

bool cma__video_is_mapped(const struct cma_video_buffer *buffer)
{
    uint32_t i, maps = 0;

    for (i = 0; i < buffer->nplanes; i++) {
        maps |= atom_peek(&buffer->plane[i].maps);
    }
    return maps != 0;
}

bool cma__video_is_exported(const struct cma_video_buffer *buffer)
{
    uint32_t i;

    for (i = 0; i < buffer->nplanes; i++) {
        const struct cma_video_plane *plane = &buffer->plane[i];

        if (atom_load(&plane->live) != 0 &&
            cma__shared_count(&plane->shared) > 1 + atom_peek(&plane->maps)) {
            return true;
        }
    }
    return false;
}

bool cma__video_is_shared(const struct cma_video_buffer *buffer)
{
    return cma__video_is_mapped(buffer) || cma__video_is_exported(buffer);
}

/* --- clients and exports ----------------------------------------------------------------- */

/* One holder more of a plane's own memory, which is taken now if it was to be taken late. */
static int memory_hold(struct cma_video_queue *queue, uint32_t number, uint32_t index,
                       struct cma_refusal *refusal)
{
    struct cma_video_buffer *buffer = video_find(queue, number);
    struct cma_video_plane *plane;
    int error = 0;

    if (buffer == NULL || index >= buffer->nplanes || !video_is_own(queue->memory)) {
        return refuse_with(refusal, CMA_EINVAL, CMA_REASON_ARGUMENT);
    }
    plane = &buffer->plane[index];
    if (atom_load(&plane->live) == 0) {
        error = cma__video_take(queue, plane, refusal);
    }
    if (error == 0) {
        error = cma_shared_hold(&plane->shared);
        if (error != 0) {
            (void)refuse_with(refusal, error, CMA_REASON_ARGUMENT);
        }
    }
    return error;
}

int cma_video_export(struct cma_video_queue *queue, uint32_t number, uint32_t plane,
                     struct cma_shared **shared)
{
    int error = video_enter(queue);

    if (error != 0) {
        return error;
    }
    error = memory_hold(queue, number, plane, NULL);
    if (error == 0) {
        *shared = &queue->buffers[number].plane[plane].shared;
    }
    return video_leave(queue, error);
}

int cma_video_map(struct cma_video_queue *queue, uint32_t number, uint32_t plane,
                  uint64_t offset_nbytes, uint64_t nbytes, cma_paddr_t *paddr, enum cma_attr *attr,
                  struct cma_refusal *refusal)
{
    struct cma_video_plane *mapped;
    int error = video_enter(queue);

    if (error != 0) {
        return refuse_with(refusal, error, CMA_REASON_NONE);
    }
    error = memory_hold(queue, number, plane, refusal);
    if (error != 0) {
        return video_leave(queue, error);
    }
    mapped = &queue->buffers[number].plane[plane];
    error = cma_dma_view(queue->config.device, &mapped->memory.buffer, offset_nbytes, nbytes, paddr,
                         attr);
    if (error == 0) {
        (void)atom_add(&mapped->maps, 1);
        return video_leave(queue, 0);
    }
    (void)refuse_with(refusal, error, CMA_REASON_ARGUMENT);
    (void)cma_shared_put(&mapped->shared);
    cma__video_trim(queue, &queue->buffers[number]);
    return video_leave(queue, error);
}

int cma_video_unmap(struct cma_video_queue *queue, uint32_t number, uint32_t plane)
{
    struct cma_video_plane *mapped;
    int error =
        number < queue->room && plane < CMA_VIDEO_PLANES_MAX ? video_enter(queue) : CMA_EINVAL;

    if (error != 0) {
        return error;
    }
    mapped = &queue->buffers[number].plane[plane];
    if (atom_peek(&mapped->maps) == 0) {
        error = video_find(queue, number) != NULL && plane < queue->buffers[number].nplanes
                    ? CMA_EBADF
                    : CMA_EINVAL;
        return video_leave(queue, error);
    }
    (void)atom_sub(&mapped->maps, 1);
    (void)cma_shared_put(&mapped->shared);
    cma__video_trim(queue, &queue->buffers[number]);
    return video_leave(queue, 0);
}

void *cma_video_vaddr(const struct cma_video_buffer *buffer, uint32_t plane)
{
    const struct cma_video_plane *of;

    if (plane >= buffer->nplanes) {
        return NULL;
    }
    of = &buffer->plane[plane];
    if (buffer->queue->memory == CMA_VIDEO_USER) {
        return of->npieces != 0 ? (void *)(uintptr_t)of->vaddr : NULL;
    }
    return atom_load(&of->live) != 0 ? of->memory.buffer.vaddr : NULL;
}

/* --- for one transfer -------------------------------------------------------------------- */

/* Ends the device's use of a plane. Who is told CMA_EAGAIN comes again. */
static int memory_letgo(struct cma_video_queue *queue, struct cma_video_plane *plane)
{
    if (queue->memory == CMA_VIDEO_USER) {
        cma__user_unmap(queue, plane);
    }
    return plane->of != NULL && plane->attachment.mapped != 0 ? cma_shared_unmap(&plane->attachment)
                                                              : 0;
}

static int memory_detach(struct cma_video_queue *queue, struct cma_video_plane *plane)
{
    int error = plane->of != NULL ? memory_letgo(queue, plane) : 0;

    if (error == 0 && plane->of != NULL) {
        error = cma_shared_detach(&plane->attachment);
    }
    if (error == 0) {
        plane->of = NULL;
    }
    return error;
}

int cma__video_detach(struct cma_video_queue *queue, struct cma_video_buffer *buffer)
{
    uint32_t i;
    int error = 0;

    for (i = 0; error == 0 && i < buffer->nplanes; i++) {
        error = memory_detach(queue, &buffer->plane[i]);
    }
    return error;
}

static int memory_attach(struct cma_video_queue *queue, struct cma_video_plane *plane,
                         struct cma_shared *shared, uint64_t nbytes, struct cma_refusal *refusal)
{
    int error = 0;

    if (shared == NULL || nbytes > shared->config.nbytes ||
        (nbytes != 0 ? nbytes : shared->config.nbytes) < plane->nbytes) {
        return refuse_with(refusal, CMA_EINVAL, CMA_REASON_ARGUMENT);
    }
    /* A call that failed may have left it mapped. */
    error = plane->of == shared ? memory_letgo(queue, plane) : memory_detach(queue, plane);
    if (error != 0) {
        return refuse_with(refusal, error, CMA_REASON_HELD);
    }
    if (plane->of == NULL) {
        error = cma_shared_attach(shared, &plane->attachment, queue->config.device, refusal);
        if (error != 0) {
            return error;
        }
        plane->of = shared;
    }
    error = cma_shared_map(&plane->attachment, queue->config.direction, &plane->daddr);
    if (error != 0) {
        return refuse_with(refusal, error, CMA_REASON_HELD);
    }
    plane->given_nbytes = nbytes != 0 ? nbytes : shared->config.nbytes;
    return 0;
}

static int memory_acquire(struct cma_video_queue *queue, struct cma_video_plane *plane,
                          const void *vaddr, struct cma_shared *shared, uint64_t nbytes,
                          struct cma_refusal *refusal)
{
    if (queue->memory == CMA_VIDEO_SHARED) {
        return memory_attach(queue, plane, shared, nbytes, refusal);
    }
    if (queue->memory == CMA_VIDEO_USER) {
        if (nbytes < plane->nbytes) {
            return refuse_with(refusal, CMA_EINVAL, CMA_REASON_ARGUMENT);
        }
        return cma__user_map(queue, plane, vaddr, nbytes, refusal);
    }
    return atom_load(&plane->live) != 0 ? 0 : cma__video_take(queue, plane, refusal);
}

int cma__video_acquire(struct cma_video_queue *queue, struct cma_video_buffer *buffer,
                       const struct cma_video_put *put, struct cma_refusal *refusal)
{
    uint32_t i;
    int error = 0;

    for (i = 0; i < buffer->nplanes; i++) {
        error = memory_acquire(queue, &buffer->plane[i], put->plane[i].vaddr, put->plane[i].shared,
                               put->plane[i].nbytes, refusal);
        if (error != 0) {
            break;
        }
    }
    while (error != 0 && i-- > 0) {
        (void)memory_letgo(queue, &buffer->plane[i]);
    }
    if (error != 0) {
        cma__video_trim(queue, buffer);
    }
    return error;
}

/* Does the device have a copy of the program's memory? */
static bool memory_is_bounced(const struct cma_video_queue *queue,
                              const struct cma_video_plane *plane)
{
    cma_daddr_t daddr;

    return queue->memory == CMA_VIDEO_USER && !plane->resource &&
           (cma_device_to_bus(queue->config.device, plane->pieces[0].paddr, 1, UINT64_MAX,
                              &daddr) != 0 ||
            daddr != plane->segment.daddr);
}

/* With `hinted` the cache is left alone, but copies are made: a hint says what the CPU did or will
 * do, and others may read or have written the program's memory. */
static void memory_sync(struct cma_video_queue *queue, const struct cma_video_buffer *buffer,
                        bool for_cpu, bool hinted)
{
    struct cma_device *device = queue->config.device;
    enum cma_direction direction = queue->config.direction;
    const struct cma_port *port = video_port(queue);
    uint32_t i;

    for (i = 0; i < buffer->nplanes; i++) {
        const struct cma_video_plane *plane = &buffer->plane[i];
        cma_daddr_t daddr = plane->memory.buffer.daddr;

        if (hinted && !memory_is_bounced(queue, plane)) {
            continue;
        }
        if (queue->memory == CMA_VIDEO_CONTIGUOUS && for_cpu) {
            (void)cma_dma_sync_for_cpu(device, daddr, plane->nbytes, direction);
        } else if (queue->memory == CMA_VIDEO_CONTIGUOUS) {
            (void)cma_dma_sync_for_device(device, daddr, plane->nbytes, direction);
        } else if (queue->memory != CMA_VIDEO_USER || plane->resource) {
            continue;
        } else if (for_cpu) {
            (void)cma_dma_sync_list_for_cpu(device, &plane->segment, 1, direction);
        } else {
            (void)cma_dma_sync_list_for_device(device, &plane->segment, 1, direction);
        }
    }
    if (queue->memory == CMA_VIDEO_COHERENT) {
        port->dma_barrier(port->ctx);
    }
}

void cma__video_sync(struct cma_video_queue *queue, struct cma_video_buffer *buffer)
{
    memory_sync(queue, buffer, false,
                video_is(buffer, CMA_VIDEO_PLANE_HINT_SKIP_PREPARE << CMA__VIDEO_HINT_SHIFT));
    atom_poke(&buffer->flags, atom_peek(&buffer->flags) | CMA__VIDEO_SYNCED);
}

int cma__video_letgo(struct cma_video_queue *queue, struct cma_video_buffer *buffer)
{
    uint32_t i;
    int error = 0;

    if (video_is(buffer, CMA__VIDEO_SYNCED)) {
        memory_sync(queue, buffer, true,
                    video_is(buffer, CMA_VIDEO_PLANE_HINT_SKIP_FINISH << CMA__VIDEO_HINT_SHIFT));
    }
    for (i = 0; i < buffer->nplanes; i++) {
        int left = memory_letgo(queue, &buffer->plane[i]);

        error = error != 0 ? error : left;
    }
    if (error == 0) {
        atom_poke(&buffer->flags, 0);
    }
    return error;
}

bool cma__video_is_same(const struct cma_video_queue *queue, const struct cma_video_buffer *buffer,
                        const struct cma_video_put *put)
{
    uint32_t i;

    if (video_is_own(queue->memory)) {
        return true;
    }
    for (i = 0; i < buffer->nplanes; i++) {
        const struct cma_video_plane *plane = &buffer->plane[i];
        bool same = queue->memory == CMA_VIDEO_USER ? plane->vaddr == put->plane[i].vaddr
                                                    : plane->of == put->plane[i].shared;

        if (!same || (plane->given_nbytes != put->plane[i].nbytes &&
                      (queue->memory == CMA_VIDEO_USER || put->plane[i].nbytes != 0))) {
            return false;
        }
    }
    return true;
}
