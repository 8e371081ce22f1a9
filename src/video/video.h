/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * video.h - what the files of src/video know of each other
 */
#ifndef CMA_VIDEO_VIDEO_H
#define CMA_VIDEO_VIDEO_H

#include <cma/video.h>

#include "../base/atomic.h"
#include "../base/guard.h"
#include "../base/refuse.h"
#include "../base/turn.h"
#include "../dma/device.h"

/* Of a buffer. The last two are what the program said, CMA_VIDEO_PLANE_HINT_*, shifted. */
#define CMA__VIDEO_PREPARED (1u << 0)
#define CMA__VIDEO_SYNCED (1u << 1) /* the device has been given its contents */
#define CMA__VIDEO_HINT_SHIFT 2
#define CMA__VIDEO_HINTS (CMA_VIDEO_PLANE_HINT_SKIP_PREPARE | CMA_VIDEO_PLANE_HINT_SKIP_FINISH)

static inline const struct cma_port *video_port(const struct cma_video_queue *queue)
{
    return queue->config.device->dma->port;
}

static inline int video_enter(struct cma_video_queue *queue)
{
    return turn_enter(video_port(queue), &queue->turn);
}

static inline int video_leave(struct cma_video_queue *queue, int error)
{
    return turn_leave(video_port(queue), &queue->turn, error);
}

/* Who only looks locks too: the lock is no part of what he looks at. */
static inline uintptr_t video_lock(const struct cma_video_queue *queue)
{
    return guard_lock(video_port(queue), (struct cma_lock *)(uintptr_t)&queue->lock);
}

static inline void video_unlock(const struct cma_video_queue *queue, uintptr_t state)
{
    guard_unlock(video_port(queue), (struct cma_lock *)(uintptr_t)&queue->lock, state);
}

/* Is its memory the queue's own? */
static inline bool video_is_own(enum cma_video_memory memory)
{
    return memory == CMA_VIDEO_COHERENT || memory == CMA_VIDEO_CONTIGUOUS;
}

static inline bool video_is(const struct cma_video_buffer *buffer, uint32_t flag)
{
    return (atom_peek(&buffer->flags) & flag) != 0;
}

/* --- memory.c: all in the caller's turn -------------------------------------------------- */

/* Memory for a plane of its own, and the queue is its holder. 0 or as cma_dma_alloc_coherent. */
int cma__video_take(struct cma_video_queue *queue, struct cma_video_plane *plane,
                    struct cma_refusal *refusal);
/* What a buffer is attached to is let go. Returns 0, or CMA_EAGAIN: again, what is done stays so.
 */
int cma__video_detach(struct cma_video_queue *queue, struct cma_video_buffer *buffer);
/* The queue lets go of all memory of its own of a buffer. */
void cma__video_drop(struct cma_video_queue *queue, struct cma_video_buffer *buffer);
/* With late allocation: of what nobody needs. */
void cma__video_trim(struct cma_video_queue *queue, struct cma_video_buffer *buffer);
/* Has a client one of its planes mapped, or somebody its export? */
bool cma__video_is_shared(const struct cma_video_buffer *buffer);
bool cma__video_is_mapped(const struct cma_video_buffer *buffer);
bool cma__video_is_exported(const struct cma_video_buffer *buffer);

/* Each plane is where the device can use it, at `daddr`, but not synced. 0 or an error as
 * cma_video_prepare, with nothing acquired. */
int cma__video_acquire(struct cma_video_queue *queue, struct cma_video_buffer *buffer,
                       const struct cma_video_put *put, struct cma_refusal *refusal);
/* What the CPU has written is for the device to see. */
void cma__video_sync(struct cma_video_queue *queue, struct cma_video_buffer *buffer);
/* And back, both. Returns 0, or CMA_EAGAIN: another's call has the turn of a shared buffer, and the
 * port can't wait; it is prepared still, and letting go again goes on with the rest. */
int cma__video_letgo(struct cma_video_queue *queue, struct cma_video_buffer *buffer);
/* Is it the memory that was acquired? */
bool cma__video_is_same(const struct cma_video_queue *queue, const struct cma_video_buffer *buffer,
                        const struct cma_video_put *put);

/* --- user.c ------------------------------------------------------------------------------ */

int cma__user_map(struct cma_video_queue *queue, struct cma_video_plane *plane, const void *vaddr,
                  uint64_t nbytes, struct cma_refusal *refusal);
void cma__user_unmap(struct cma_video_queue *queue, struct cma_video_plane *plane);

/* --- cycle.c ----------------------------------------------------------------------------- */

/* Stops the device; all buffers are DEQUEUED. CMA_EAGAIN: and some still prepared, as after letgo;
 * again. */
int cma__video_cancel(struct cma_video_queue *queue);
/* Buffer `number`, NULL: there is none. */
static inline struct cma_video_buffer *video_find(const struct cma_video_queue *queue,
                                                  uint32_t number)
{
    return number < queue->room && atom_peek(&queue->buffers[number].state) != CMA_VIDEO_NONE
               ? &queue->buffers[number]
               : NULL;
}
/* What a program is told; under the lock. */
void cma__video_tell(const struct cma_video_queue *queue, const struct cma_video_buffer *buffer,
                     struct cma_video_info *info);

#endif
