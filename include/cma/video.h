/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * video.h - queues of picture buffers between a program and a device (src/video)
 *
 * A camera fills buffers, a decoder reads some and fills others, a display reads them. Between each
 * of them and its program there is a queue: so many buffers, of so many planes, each in one place
 * at a time. The words are videobuf2's:
 *
 *               prepare               queue              stream on, or later
 *     DEQUEUED --------> (prepared) --------> QUEUED --------------------------> ACTIVE
 *        ^                                      ^                                  |
 *        |  dequeue                             | given back without data          | done
 *        +-------------- DONE or ERROR <--------+----------------------------------+
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
 *                           when it is finished, unless the program says that it needs no such
 *     CMA_VIDEO_USER        the program's own memory, judged page by page: contiguous for the
 * device, whole cache lines, to the last byte CMA_VIDEO_SHARED      buffers of others (share.h):
 * the camera's for the scaler
 *
 * A queue that asks for a guarantee gets its buffers the moment it is opened, or is told at once,
 * when it is made, why not. A buffer lives until the last of queue, client's mappings, export and
 * device has let go of it.
 *
 * The driver gives a struct of functions. libcma calls them without locks, in this order:
 *     setup    how many buffers and planes, how long     (request, create)
 *     prepare  is this buffer right for the next transfer? may refuse
 *     queue    here is a buffer: ACTIVE from now on
 *     start    the first buffers are there: begin        (stream on)
 *     stop     give everything back, now                 (stream off, errors, release)
 *     finish   the CPU may look at it again              (dequeue)
 * and the driver calls cma_video_done from any context, interrupt handlers too.
 *
 * Calls of one queue take turns like those of a file that is open: any number of threads may call;
 * one that meets another sleeps (or is answered CMA_EAGAIN where the port can't wait). done, error,
 * poll and look never sleep. All state is the caller's.
 */
#ifndef CMA_VIDEO_H
#define CMA_VIDEO_H

#include <cma/share.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CMA_VIDEO_BUFFERS_MAX 64
#define CMA_VIDEO_PLANES_MAX 8

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
     * must; more than CMA_VIDEO_BUFFERS_MAX is cut. Returns 0 or an error that the request then
     * returns.
     */
    int (*setup)(void *ctx, enum cma_video_memory memory, uint32_t *nbuffers, uint32_t *nplanes,
                 uint64_t plane_nbytes[CMA_VIDEO_PLANES_MAX]);
    /* Its planes are where they were said to be: `buffer->plane[].daddr`. Sets up what depends on
     * addresses. NULL: nothing to do. Returns 0 or an error. */
    int (*prepare)(void *ctx, struct cma_video_buffer *buffer);
    /* The device may have it from now on, in this order. Cannot fail. */
    void (*queue)(void *ctx, struct cma_video_buffer *buffer);
    /* Begins with the buffers that `queue` was called for. Where it fails it has given all of them
     * back (cma_video_done with CMA_VIDEO_QUEUED). Returns 0 or an error. */
    int (*start)(void *ctx, uint32_t nbuffers);
    /* Ends at once, and gives all ACTIVE buffers back (CMA_VIDEO_ERROR) before it returns; what it
     * leaves is a bug of the driver, and counted. */
    void (*stop)(void *ctx);
    /* The CPU looks at it next: after the sync. NULL: nothing to do. */
    void (*finish)(void *ctx, struct cma_video_buffer *buffer);
};

#define CMA_VIDEO_PLANE_HINT_SKIP_PREPARE (1u << 0) /* the CPU did not write it: no clean */
#define CMA_VIDEO_PLANE_HINT_SKIP_FINISH (1u << 1)  /* the CPU will not read it: no invalidate */

struct cma_video_plane {
    cma_daddr_t daddr;    /* for the device; valid from prepare on */
    uint64_t nbytes;      /* of its memory */
    uint64_t used_nbytes; /* filled: by the device (done), or by the program (queue, for output) */
    uint64_t offset_nbytes; /* of the data in it (SHARED and USER); 0 for others */
    /* private */
    struct cma_shared shared;
    struct cma_attachment attachment;
    struct cma_shared *of; /* this plane's own `shared`, or somebody else's; NULL: no memory yet */
    struct cma_contiguous memory;
    uint32_t maps; /* of clients */
};

struct cma_video_buffer {
    uint32_t number;
    uint32_t nplanes;
    struct cma_video_plane plane[CMA_VIDEO_PLANES_MAX];
    uint64_t time_ns;  /* when the device was done */
    uint32_t sequence; /* counted by the driver through `done`, from 0 at each stream on */
    void *driver;      /* the driver's own */
    /* private */
    struct cma_video_queue *queue;
    struct cma_video_buffer *next;
    uint32_t state; /* atomic: enum cma_video_state */
    uint32_t flags;
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
    uint64_t align_nbytes; /* of each plane's daddr; power of two; 0: a page */
    /* Buffers of one plane that are there whenever the queue is opened (COHERENT): what
     * cma_device_admit is asked for. count 0: none. */
    struct cma_promise_request promise;
};
/* videobuf-dma-contig's way: memory is taken when a buffer is first mapped by a client or prepared,
 * not when it is requested, and given back when neither needs it. */
#define CMA_VIDEO_ALLOCATE_LATE (1u << 0)
/* USER: the rest of first and last cache line may be anybody's: bounced instead of refused. */
#define CMA_VIDEO_BOUNCE_USER (1u << 1)

struct cma_video_stats {
    uint32_t nbuffers, dequeued, queued, active, done;
    uint64_t nframes; /* done without error since the queue was made */
    uint64_t nerrors;
    uint32_t left_by_driver; /* buffers that stop did not give back */
};

struct cma_video_queue {
    /* private */
    struct cma_video_config config;
    struct cma_video_buffer *buffers; /* the caller's */
    uint32_t room;
    uint32_t turn; /* atomic */
    enum cma_video_memory memory;
    uint32_t nbuffers;
    uint64_t present; /* bit by number */
    struct cma_video_buffer *queued, *queued_last;
    struct cma_video_buffer *done, *done_last;
    struct cma_lock lock; /* of the two lists */
    uint32_t event;       /* atomic: something was done */
    uint32_t nqueued, nactive;
    bool streaming, started, failed;
    bool promised;
    struct cma_device_promise promise;
    struct cma_video_stats stats;
};

/*
 * Makes a queue over `room` buffers (1 to CMA_VIDEO_BUFFERS_MAX), the caller's. With a promise it
 * is admitted here. Returns 0, CMA_EINVAL, or as cma_device_admit with *why (NULL: not wanted). May
 * sleep. One thread.
 */
CMA_MUST_CHECK int cma_video_init(struct cma_video_queue *queue,
                                  const struct cma_video_config *config,
                                  struct cma_guarantees *guarantees,
                                  struct cma_video_buffer *buffers, uint32_t room,
                                  struct cma_admission *why);
/* Ends it: streams off, frees what nobody else holds, ends the promise. Returns 0, or CMA_EBUSY
 * (clients' mappings or exports are alive: they go first, or the memory of `buffers` must outlive
 * them; call again). May sleep. */
int cma_video_release(struct cma_video_queue *queue);

/*
 * So many buffers of this memory (REQBUFS). What there was is freed first; *nbuffers 0: only that.
 * *nbuffers comes back as what there is: fewer than asked when memory ran out, if the driver's
 * setup takes that (it is asked again). Returns 0, CMA_EINVAL (a memory that is not allowed,
 * `nplanes` or lengths that the driver refuses), CMA_EBUSY (streaming; or a buffer that a client
 * has mapped or that is exported is in the way: Linux orphans such, here the program must let go
 * first), CMA_ENOMEM and others as the source says, with *refusal. May sleep.
 */
CMA_MUST_CHECK int cma_video_request(struct cma_video_queue *queue, enum cma_video_memory memory,
                                     uint32_t *nbuffers, struct cma_refusal *refusal);
/* More of them (CREATE_BUFS), of these lengths (nplanes 0: the driver says): *first is the number
 * of the first new one. Also while streaming. Errors as above, CMA_ENOSPC (no room). Remove:
 * numbers that are DEQUEUED (CMA_EBUSY: not, or mapped or exported; CMA_EINVAL: none there). */
CMA_MUST_CHECK int cma_video_create(struct cma_video_queue *queue, enum cma_video_memory memory,
                                    uint32_t *nbuffers, uint32_t nplanes,
                                    const uint64_t plane_nbytes[], uint32_t *first,
                                    struct cma_refusal *refusal);
CMA_MUST_CHECK int cma_video_remove(struct cma_video_queue *queue, uint32_t first, uint32_t n);

/* What a program knows of a buffer (QUERYBUF). */
struct cma_video_info {
    uint32_t number, nplanes;
    enum cma_video_state state;
    bool prepared, mapped, exported;
    uint64_t time_ns;
    uint32_t sequence;
    struct {
        uint64_t nbytes, used_nbytes, offset_nbytes;
    } plane[CMA_VIDEO_PLANES_MAX];
};
/* 0 or CMA_EINVAL (no such number). Sleeps: no. */
CMA_MUST_CHECK int cma_video_look(const struct cma_video_queue *queue, uint32_t number,
                                  struct cma_video_info *info);

/* What a program says of a buffer that it queues. */
struct cma_video_put {
    uint32_t number;
    uint32_t nplanes; /* of `plane` */
    uint32_t hints;   /* CMA_VIDEO_PLANE_HINT_*, for all planes */
    struct {
        const void *vaddr;         /* USER: where */
        struct cma_shared *shared; /* SHARED: which; the queue becomes a holder of it */
        uint64_t nbytes;           /* USER: how long; SHARED: how much of it, 0: all */
        uint64_t offset_nbytes;    /* of the data */
        uint64_t used_nbytes;      /* output: how much data; 0: all */
    } plane[CMA_VIDEO_PLANES_MAX];
};
/*
 * Prepares a buffer ahead (PREPARE_BUF), or prepares and queues it (QBUF). Returns 0, CMA_EINVAL
 * (no such number, wrong count of planes, data longer than the memory, not whole cache lines),
 * CMA_EBADF (not DEQUEUED, or prepared with other memory), CMA_ERANGE (not contiguous for the
 * device, or out of reach: refusal->possible_run_npages says how much was), CMA_EIO... (see
 * cma_video_failed), or what the driver's prepare said. May sleep.
 */
CMA_MUST_CHECK int cma_video_prepare(struct cma_video_queue *queue, const struct cma_video_put *put,
                                     struct cma_refusal *refusal);
CMA_MUST_CHECK int cma_video_queue_buffer(struct cma_video_queue *queue,
                                          const struct cma_video_put *put,
                                          struct cma_refusal *refusal);
/* The next one that is done (DQBUF), in the order in which they were done. `wait`: sleeps until
 * there is one. Returns 0 and *info (state ERROR: contents are wrong), CMA_EAGAIN (none yet),
 * CMA_EINVAL (not streaming, and none is done), CMA_EBADF (the driver reported an error; stream off
 * first). */
CMA_MUST_CHECK int cma_video_dequeue(struct cma_video_queue *queue, bool wait,
                                     struct cma_video_info *info);
/* Begins: buffers that are queued become the device's as soon as there are min_queued. Returns 0
 * (also when it streams already), CMA_EINVAL (no buffers), or what start said. Off: all buffers are
 * DEQUEUED again, whatever they were, and nothing of them is prepared; 0 also when it was off. May
 * sleep. */
CMA_MUST_CHECK int cma_video_stream_on(struct cma_video_queue *queue);
int cma_video_stream_off(struct cma_video_queue *queue);

/* The handle of a plane for others (EXPBUF), who hold it (one cma_shared_put is theirs). COHERENT
 * and CONTIGUOUS. 0, CMA_EINVAL. */
CMA_MUST_CHECK int cma_video_export(struct cma_video_queue *queue, uint32_t number, uint32_t plane,
                                    struct cma_shared **shared);
/* A client maps a part of a plane, as cma_dma_view; the memory lives until it is unmapped. */
CMA_MUST_CHECK int cma_video_map(struct cma_video_queue *queue, uint32_t number, uint32_t plane,
                                 uint64_t offset_nbytes, uint64_t nbytes, cma_paddr_t *paddr,
                                 enum cma_attr *attr, struct cma_refusal *refusal);
int cma_video_unmap(struct cma_video_queue *queue, uint32_t number, uint32_t plane);
/* Its address for the CPU, where there is one (vb2_plane_vaddr); NULL: none. */
void *cma_video_vaddr(const struct cma_video_buffer *buffer, uint32_t plane);

#define CMA_VIDEO_POLL_READY (1u << 0)  /* a buffer can be dequeued */
#define CMA_VIDEO_POLL_FAILED (1u << 1) /* the driver reported an error, or it does not stream */
/* Sleeps: no. And sleeping until it answers something: 0, or CMA_EAGAIN (the port can't wait). */
uint32_t cma_video_poll(const struct cma_video_queue *queue);
CMA_MUST_CHECK int cma_video_wait(struct cma_video_queue *queue);

/* --- for drivers ------------------------------------------------------------------------- */

/* The device is done with a buffer that is ACTIVE: DONE, ERROR, or QUEUED (from start or stop: it
 * comes again). Any context. Returns 0 or CMA_EBADF (it is not ACTIVE; nothing has changed). */
int cma_video_done(struct cma_video_buffer *buffer, enum cma_video_state state, uint64_t time_ns,
                   uint32_t sequence);
/* The device is broken: dequeue and poll say so until stream off. Any context. */
void cma_video_failed(struct cma_video_queue *queue);
void cma_video_stats(struct cma_video_queue *queue, struct cma_video_stats *stats);
/* Does all of it hold together? (Other threads quiet.) */
bool cma_video_check(const struct cma_video_queue *queue);

#ifdef __cplusplus
}
#endif
#endif
