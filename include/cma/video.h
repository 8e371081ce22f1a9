/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * video.h - queues of picture buffers between a program and a device (src/video)
 *
 * A camera fills buffers, a decoder reads some and fills others, a display reads them. Between each
 * of them and its program there is a queue: so many buffers, of so many planes, each in one place
 * at a time. The words are videobuf2's:
 *
 *               prepare             queue            stream on, or later
 *     DEQUEUED ----------> prepared --------> QUEUED ----------------------> ACTIVE
 *        ^                                      ^                              |
 *        |  dequeue                             |  given back without data     |
 *        +---------------- DONE, ERROR          +------------------------------+
 *                               ^                                         done |
 *                               +----------------------------------------------+
 *
 *     DEQUEUED   the program's: it may map it, look at it, change it
 *     QUEUED     the queue's: waits for the device
 *     ACTIVE     the device's: its driver has it and is transferring
 *     DONE       the queue's: finished, waits to be dequeued; ERROR the same, with wrong contents
 *
 * Where the memory comes from is the queue's memory type, one for all of its buffers:
 *
 *     CMA_VIDEO_COHERENT    cma_dma_alloc_coherent: no syncs, slow for the CPU to read
 *     CMA_VIDEO_CONTIGUOUS  cma_dma_alloc_contiguous: cached; synced when a buffer is prepared and
 *                           when it is dequeued, unless the program says that it needs no such
 *     CMA_VIDEO_USER        the program's own memory, looked up page by page, pinned while it is
 *                           prepared; contiguous for the device to its last byte, in whole cache
 *                           lines
 *     CMA_VIDEO_SHARED      buffers of others (share.h): the camera's for the scaler
 *
 * A queue that asks for a guarantee gets its buffers the moment it is opened, or is told at once,
 * when it is made, why not. A buffer's memory lives until the last of queue, client's mappings,
 * holders of its export and devices attached to it has let go.
 *
 * The driver gives a struct of functions. libcma calls them without spinning locks, in this order:
 *     setup    how many buffers and planes, how long     (request, create)
 *     prepare  is this buffer right for the next transfer? may refuse
 *     queue    here is a buffer: ACTIVE from now on
 *     start    the first buffers are there: begin        (stream on, or the one that was missing)
 *     stop     give everything back, now                 (stream off, request, release)
 *     finish   the CPU may look at it again              (dequeue, stream off)
 *
 * And the driver calls cma_video_done from any context, interrupt handlers too. None of them may
 * call the queue but cma_video_done, _failed, _look, _poll and _stats.
 *
 * Calls of one queue take turns like those of a file that is open: any number of threads may call;
 * one that meets another sleeps, or is answered CMA_EAGAIN where the port can't wait (every call
 * but done, failed, look, poll and stats, which never sleep). A dequeue that waits has no turn
 * meanwhile. Where the port can't wait and somebody else is just in a call of a buffer that is
 * SHARED, CMA_EAGAIN is the answer, too: dequeue leaves the buffer where it was, stream off,
 * request and release have stopped the device, and are called again for what is left. All state is
 * the caller's. A call that fails changes nothing, but for what it says.
 */
#ifndef CMA_VIDEO_H
#define CMA_VIDEO_H

#include <cma/share.h>
#include <cma/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CMA_VIDEO_BUFFERS_MAX 64
#define CMA_VIDEO_PLANES_MAX 8
/* Physically separate pieces that a device may see as one (USER). */
#define CMA_VIDEO_PIECES_MAX 4

enum cma_video_memory {
    CMA_VIDEO_COHERENT = 1,
    CMA_VIDEO_CONTIGUOUS,
    CMA_VIDEO_USER,
    CMA_VIDEO_SHARED
};

enum cma_video_state {
    CMA_VIDEO_NONE = 0, /* no buffer of that number */
    CMA_VIDEO_DEQUEUED,
    CMA_VIDEO_QUEUED,
    CMA_VIDEO_ACTIVE,
    CMA_VIDEO_DONE,
    CMA_VIDEO_ERROR
};

struct cma_video_queue;
struct cma_video_buffer;

struct cma_video_ops {
    /*
     * For `memory`, asked for *nbuffers of *nplanes planes (0: the driver says; else of
     * plane_nbytes[], which a driver that can't do it refuses with CMA_EINVAL). Changes what it
     * must; more buffers than there is room for are cut. When memory ran out it is asked again for
     * as many as there are, and what it changes then is not looked at. Returns 0 or an error that
     * the request then returns.
     */
    int (*setup)(void *ctx, enum cma_video_memory memory, uint32_t *nbuffers, uint32_t *nplanes,
                 uint64_t plane_nbytes[CMA_VIDEO_PLANES_MAX]);
    /* Its planes are where they were said to be: `buffer->plane[].daddr`. Sets up what depends on
     * addresses. NULL: nothing to do. Returns 0 or an error. */
    int (*prepare)(void *ctx, struct cma_video_buffer *buffer);
    /* The device may have it from now on, in this order. Cannot fail. */
    void (*queue)(void *ctx, struct cma_video_buffer *buffer);
    /* Begins with the `nbuffers` that `queue` was called for. Where it fails it has given all of
     * them back (cma_video_done with CMA_VIDEO_QUEUED); what it leaves is taken from it, and
     * counted. Returns 0 or an error. */
    int (*start)(void *ctx, uint32_t nbuffers);
    /* Ends at once, and gives all ACTIVE buffers back (CMA_VIDEO_ERROR) before it returns; no
     * cma_video_done or _failed is running then, nor comes later. What it leaves is a bug of the
     * driver, and counted. */
    void (*stop)(void *ctx);
    /* The CPU looks at it next: synced, and of USER and SHARED memory no longer mapped for the
     * device. For each buffer that was prepared. NULL: nothing to do. */
    void (*finish)(void *ctx, struct cma_video_buffer *buffer);
};

#define CMA_VIDEO_PLANE_HINT_SKIP_PREPARE (1u << 0) /* the CPU did not write it: no clean */
#define CMA_VIDEO_PLANE_HINT_SKIP_FINISH (1u << 1)  /* the CPU will not read it: no invalidate */

struct cma_video_plane {
    cma_daddr_t daddr;      /* for the device; valid while the buffer is prepared */
    uint64_t nbytes;        /* of a picture: what `setup` said; its memory is at least that long */
    uint64_t used_nbytes;   /* filled: by the device (before done), or by the program (output) */
    uint64_t offset_nbytes; /* of the data in it: as used_nbytes */
    /* private */
    uint64_t given_nbytes;        /* of its memory */
    const void *vaddr;            /* USER */
    struct cma_contiguous memory; /* its own */
    struct cma_shared shared;     /* who holds that */
    struct cma_shared *of;        /* SHARED: whose; `attachment` is attached to it */
    struct cma_attachment attachment;
    struct cma_segment segment; /* USER: as mapped */
    struct cma_piece pieces[CMA_VIDEO_PIECES_MAX];
    uint32_t npieces;
    bool pinned;   /* the frames of the pieces */
    bool resource; /* it is another device's own memory */
    uint32_t live; /* atomic: its own memory is there */
    uint32_t maps; /* atomic: of clients */
};

struct cma_video_buffer {
    uint32_t number;
    uint32_t nplanes;
    struct cma_video_plane plane[CMA_VIDEO_PLANES_MAX];
    uint64_t time_ns;  /* when the device was done */
    uint32_t sequence; /* counted by the driver through `done`, from 0 at each stream on */
    void *driver;      /* the driver's own; NULL at first */
    /* private */
    struct cma_video_queue *queue;
    struct cma_video_buffer *next;
    uint32_t state; /* atomic: enum cma_video_state */
    uint32_t flags; /* atomic */
};

struct cma_video_config {
    const char *name; /* lives as long as the queue */
    struct cma_device *device;
    enum cma_direction direction; /* FROM_DEVICE: capture; TO_DEVICE: output; BIDIRECTIONAL: both */
    const struct cma_video_ops *ops;
    void *ctx;
    uint32_t memories;     /* bit 1 << enum cma_video_memory for each that is allowed */
    uint32_t min_queued;   /* buffers that `start` needs; 0: 1 */
    uint32_t flags;        /* CMA_VIDEO_* below */
    uint64_t align_nbytes; /* of each daddr (COHERENT, CONTIGUOUS); power of two; 0: a page */
    /* Planes that are there whenever the queue is opened: what cma_device_admit is asked for, and
     * COHERENT and CONTIGUOUS buffers are taken from. One of no alignment has that above. count 0:
     * none. */
    struct cma_promise_request promise;
};
/* videobuf-dma-contig's way: memory is taken when a plane is first mapped by a client, exported or
 * prepared, not when it is requested; it is given back when the last client has unmapped a buffer
 * that is DEQUEUED and not prepared, and, where no client has it mapped, at stream off. */
#define CMA_VIDEO_ALLOCATE_LATE (1u << 0)
/* USER: what the device can't use as it is (the rest of first and last cache line is anybody's, out
 * of reach, the device must not see it) is bounced instead of refused. */
#define CMA_VIDEO_BOUNCE_USER (1u << 1)
/* It takes blocks that others had the device promised, too. Else a queue takes those of its own
 * promise, and memory that nobody was promised: the other queue of a decoder finds its own. */
#define CMA_VIDEO_DEVICE_PROMISES (1u << 2)

struct cma_video_stats {
    uint32_t nbuffers, dequeued, queued, active, done;
    uint64_t nframes; /* done without error since the queue was made */
    uint64_t nerrors;
    uint32_t left_by_driver; /* buffers that stop, or a start that failed, did not give back */
};

struct cma_video_queue {
    /* private */
    struct cma_video_config config;
    struct cma_video_buffer *buffers; /* the caller's */
    uint32_t room;
    uint32_t turn;  /* atomic */
    uint32_t event; /* atomic: something was done */
    bool promised, closed;
    struct cma_device_promise promise;
    struct cma_lock lock; /* of what follows; all but `done`, `failed` changes in turns only */
    enum cma_video_memory memory; /* 0: no buffers */
    uint32_t nbuffers;
    struct cma_video_buffer *queued; /* QUEUED and ACTIVE ones, in the order of queueing */
    struct cma_video_buffer *done;   /* DONE and ERROR ones, in their order */
    bool streaming, started, failed;
    struct cma_video_stats stats;
};

/*
 * Makes a queue over `room` buffers (1 to CMA_VIDEO_BUFFERS_MAX), the caller's. With a promise it
 * is admitted here (`guarantees` may be NULL without one). Returns 0, CMA_EINVAL (an argument is
 * NULL, ops without setup, queue, start or stop, no such direction, memory or flag, min_queued more
 * than room, an alignment that is no power of two), or as cma_device_admit with *why (NULL: not
 * wanted). May sleep. One thread.
 */
CMA_MUST_CHECK int cma_video_init(struct cma_video_queue *queue,
                                  const struct cma_video_config *config,
                                  struct cma_guarantees *guarantees,
                                  struct cma_video_buffer *buffers, uint32_t room,
                                  struct cma_admission *why);
/*
 * Ends it: stream off, frees what nobody else holds, ends the promise. Returns 0, or CMA_EBUSY:
 * clients' mappings or exports are alive. There are no buffers any more then, but `queue` and
 * `buffers` stay until these are gone (cma_video_unmap still works), and a later call returns 0.
 * CMA_EAGAIN, as everywhere. May sleep.
 */
int cma_video_release(struct cma_video_queue *queue);

/*
 * So many buffers of this memory (REQBUFS), at least min_queued. What there was is freed first,
 * queued or not; *nbuffers 0: only that (of any memory type). *nbuffers comes back as what there
 * is: fewer than asked when memory ran out, if the driver's setup takes that and it is min_queued.
 * Returns 0, or
 *   CMA_EINVAL  a memory that is not allowed
 *   CMA_EBUSY   streaming; or a client has a buffer mapped, or it is exported (Linux orphans such,
 *               here the program lets go first)
 *   CMA_EBADF   after cma_video_release
 * with nothing changed; or, with no buffers left, what setup said, CMA_EINVAL (it asked for no
 * planes, too many, or empty ones, or for fewer buffers than min_queued), and CMA_ENOMEM and others
 * as cma_dma_alloc_coherent says, with *refusal. May sleep.
 */
CMA_MUST_CHECK int cma_video_request(struct cma_video_queue *queue, enum cma_video_memory memory,
                                     uint32_t *nbuffers, struct cma_refusal *refusal);
/*
 * More of them (CREATE_BUFS), of these lengths (nplanes 0: the driver says, plane_nbytes may be
 * NULL): *first is the number of the first new one, the others follow. Also while streaming; of the
 * memory that the others are. *nbuffers 0: nothing, but *first is told. Errors as above (not
 * CMA_EBUSY), CMA_EINVAL (other memory, or no plane_nbytes), CMA_ENOSPC (no room for one; or not
 * one behind the other); all of them with nothing changed. May sleep.
 */
CMA_MUST_CHECK int cma_video_create(struct cma_video_queue *queue, enum cma_video_memory memory,
                                    uint32_t *nbuffers, uint32_t nplanes,
                                    const uint64_t plane_nbytes[], uint32_t *first,
                                    struct cma_refusal *refusal);
/* Fewer (REMOVE_BUFS). All or none: 0, CMA_EINVAL (one of them is not there), CMA_EBUSY (one is not
 * DEQUEUED, or prepared, mapped or exported). n 0: 0. May sleep. */
CMA_MUST_CHECK int cma_video_remove(struct cma_video_queue *queue, uint32_t first, uint32_t n);

/* What a program knows of a buffer (QUERYBUF). */
struct cma_video_info {
    uint32_t number, nplanes;
    enum cma_video_state state;
    bool prepared, mapped, exported;
    uint64_t time_ns;
    uint32_t sequence;
    struct {
        uint64_t nbytes;
        uint64_t used_nbytes, offset_nbytes; /* 0 while it is ACTIVE */
    } plane[CMA_VIDEO_PLANES_MAX];
};
/* 0 or CMA_EINVAL (no such number). Sleeps: no. */
CMA_MUST_CHECK int cma_video_look(const struct cma_video_queue *queue, uint32_t number,
                                  struct cma_video_info *info);

/* What a program says of a buffer that it queues. */
struct cma_video_put {
    uint32_t number;
    uint32_t nplanes; /* of `plane`; 0, of COHERENT and CONTIGUOUS: it is taken as all 0 */
    /* CMA_VIDEO_PLANE_HINT_*, for all planes (CONTIGUOUS and USER). What is bounced is copied all
     * the same: not only the CPU reads and writes the program's memory. */
    uint32_t hints;
    struct {
        const void *vaddr;         /* USER: where */
        struct cma_shared *shared; /* SHARED: which; the device attaches to it, and stays so until
                                    * another one comes or the buffer is freed */
        uint64_t nbytes;           /* USER: how long; SHARED: how much of it, 0: all */
        uint64_t offset_nbytes;    /* of the data (TO_DEVICE, BIDIRECTIONAL) */
        uint64_t used_nbytes;      /* where the data ends (the same); 0: all */
    } plane[CMA_VIDEO_PLANES_MAX];
};
/*
 * Prepares a buffer ahead (PREPARE_BUF), or queues it, prepared if it is not (QBUF). Returns 0, or
 *   CMA_EINVAL  no such number, wrong count of planes, an unknown hint, memory shorter than the
 *               plane, data longer than the memory or beginning at its end, not whole cache lines
 *               (CMA_REASON_LINES)
 *   CMA_EBADF   not DEQUEUED; prepared already (prepare), or with other memory (queue); the driver
 *               has reported an error (cma_video_failed); USER memory that is neither cached
 *               nor a device's own all through (CMA_REASON_ALIAS) or nobody's (CMA_REASON_HELD)
 *   CMA_ERANGE  USER: not contiguous for the device (refusal->possible_run_npages: how much is,
 *               from its beginning), out of reach, or it would be bounced (CMA_REASON_BOUNCE)
 *   CMA_ENOENT  USER: a page of it is not mapped
 *   CMA_EOPNOTSUPP  USER: the port can't look
 * and for USER as cma_frame_pin and cma_dma_map_list, for SHARED as cma_shared_attach and
 * cma_shared_map, with late allocation as cma_dma_alloc_coherent, or what the driver's prepare
 * said; queue also what its start said, when this was the buffer that was missing: it is not queued
 * then. What was queued is not looked at again if it was prepared ahead. May sleep.
 *
 * USER memory that a device has (a buffer of another queue) is not pinned, for it does not move:
 * the program keeps it. Another device's own memory (CMA_ATTR_DEVICE) goes by cma_dma_map_resource,
 * with its errors. Droppable pages that the device writes are kept first (cma_frame_keep).
 */
CMA_MUST_CHECK int cma_video_prepare(struct cma_video_queue *queue, const struct cma_video_put *put,
                                     struct cma_refusal *refusal);
CMA_MUST_CHECK int cma_video_queue_buffer(struct cma_video_queue *queue,
                                          const struct cma_video_put *put,
                                          struct cma_refusal *refusal);
/*
 * The next one that is done (DQBUF), in the order in which they were done. `wait`: sleeps until
 * there is one. It is DEQUEUED then and not prepared; info->state tells what it was, DONE or ERROR
 * (contents are wrong). Looked at in this order: CMA_EINVAL (not streaming; a stream off ends the
 * waiting), CMA_EBADF (the driver has reported an error: stream off first), 0 and *info, CMA_EAGAIN
 * (none yet; or the port can't wait).
 */
CMA_MUST_CHECK int cma_video_dequeue(struct cma_video_queue *queue, bool wait,
                                     struct cma_video_info *info);
/*
 * Begins: as soon as min_queued buffers are queued they become the device's. Returns 0 (also when
 * it streams already), CMA_EINVAL (fewer than min_queued buffers there are), or what start said
 * (then it does not stream, and what was queued still is). Off: all buffers are DEQUEUED again,
 * whatever they were, and none is prepared; an error that the driver reported is forgotten; 0 also
 * when it was off. May sleep.
 */
CMA_MUST_CHECK int cma_video_stream_on(struct cma_video_queue *queue);
int cma_video_stream_off(struct cma_video_queue *queue);

/* The handle of a plane for others (EXPBUF), who hold it (one cma_shared_put is theirs). COHERENT
 * and CONTIGUOUS. 0, CMA_EINVAL (no such plane, other memory), CMA_EOVERFLOW (65,535 holders), or
 * with late allocation as that. May sleep. */
CMA_MUST_CHECK int cma_video_export(struct cma_video_queue *queue, uint32_t number, uint32_t plane,
                                    struct cma_shared **shared);
/* A client maps a part of a plane, as cma_dma_view, with its errors; the memory lives until it is
 * unmapped, which is once for each map. COHERENT and CONTIGUOUS; else CMA_EINVAL. Errors as export.
 * unmap: 0, CMA_EINVAL (no such plane), CMA_EBADF (not mapped). May sleep. */
CMA_MUST_CHECK int cma_video_map(struct cma_video_queue *queue, uint32_t number, uint32_t plane,
                                 uint64_t offset_nbytes, uint64_t nbytes, cma_paddr_t *paddr,
                                 enum cma_attr *attr, struct cma_refusal *refusal);
int cma_video_unmap(struct cma_video_queue *queue, uint32_t number, uint32_t plane);
/* Its address for the CPU, where there is one (vb2_plane_vaddr): COHERENT, CONTIGUOUS; USER the
 * program's, while it is prepared. NULL: none. For who has the buffer. Sleeps: no. */
void *cma_video_vaddr(const struct cma_video_buffer *buffer, uint32_t plane);

#define CMA_VIDEO_POLL_READY (1u << 0)  /* a buffer can be dequeued */
#define CMA_VIDEO_POLL_FAILED (1u << 1) /* the driver reported an error, or it does not stream */
/* Sleeps: no. And sleeping until it answers something: 0, or CMA_EAGAIN (the port can't wait). */
uint32_t cma_video_poll(const struct cma_video_queue *queue);
CMA_MUST_CHECK int cma_video_wait(struct cma_video_queue *queue);

/* --- for drivers ------------------------------------------------------------------------- */

/*
 * The device is done with a buffer that is ACTIVE: DONE, ERROR, or QUEUED (mostly from a start that
 * fails: it keeps its place, and comes again with the next buffer that is queued or the next
 * start). plane[].used_nbytes is filled before. Any context. Returns 0, CMA_EINVAL (another state)
 * or CMA_EBADF (it is not ACTIVE); nothing has changed then.
 */
int cma_video_done(struct cma_video_buffer *buffer, enum cma_video_state state, uint64_t time_ns,
                   uint32_t sequence);
/* The device is broken: dequeue, prepare, queue and poll say so until stream off. Any context. */
void cma_video_failed(struct cma_video_queue *queue);
/* A snapshot. Sleeps: no. */
void cma_video_stats(const struct cma_video_queue *queue, struct cma_video_stats *stats);
/* Does all of it hold together? (Other threads quiet.) */
bool cma_video_check(const struct cma_video_queue *queue);

#ifdef __cplusplus
}
#endif
#endif
