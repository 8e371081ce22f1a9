/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * share.h - one buffer that several devices use (src/dma)
 *
 * A camera writes a picture, a scaler reads it, a display shows it: one buffer, three views. Who
 * has the buffer exports it, and gives others the handle. Each device attaches, and gets the buffer
 * at its own address, or a refusal that says why it can't have it. Each maps for its transfers; CPU
 * access is bracketed once for all of them. The buffer is alive until the last one lets go, in
 * whatever order: then `release` is called, once.
 *
 *     exporter                 importer, for its device
 *     cma_shared_init          cma_shared_attach
 *                                cma_shared_map ... transfers ... cma_shared_unmap, and again
 *     cma_shared_put           cma_shared_detach
 *
 * What is written by one device and read by another needs no call between them where both look into
 * the CPU's caches, or neither does. Where one does and the other does not, the writer is unmapped
 * and the reader mapped after it, for each transfer.
 *
 * Calls of one buffer take turns: any number of threads may call; one that meets another may sleep,
 * or is answered CMA_EAGAIN where the port can't wait. hold and put never wait.
 */
#ifndef CMA_SHARE_H
#define CMA_SHARE_H

#include <cma/dma.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cma_shared;
struct cma_shared_config {
    /* Contiguous memory that does not move. Where it is not coherent, it begins with a cache line,
     * and all of its last line is the buffer's: nobody else has data there. */
    cma_paddr_t paddr;
    uint64_t nbytes; /* 1 up */
    /* The CPU and all devices see it the same (it came from cma_dma_alloc_coherent): no device
     * needs syncs. Else it is cached memory. */
    bool coherent;
    /* The last one has let go; `shared` may be freed or used again. Called without locks, in the
     * context of who let go. NULL: nobody wants to know. */
    void (*release)(void *ctx, struct cma_shared *shared);
    void *ctx;
};

struct cma_attachment {
    /* private */
    struct cma_shared *shared;
    struct cma_attachment *next;
    struct cma_device *device;
    cma_daddr_t daddr;
    uint32_t mapped; /* 1 + enum cma_direction; 0: not */
};

struct cma_shared {
    /* private */
    struct cma_dma *dma;
    struct cma_shared_config config;
    struct cma_attachment *attachments;
    uint32_t turn;        /* atomic: 1 while a call looks at what follows or at attachments */
    uint32_t holders;     /* atomic: holders, and attachments times 65,536 */
    uint32_t cpu_readers; /* CPU accesses begun and not ended */
    uint32_t cpu_writers;
};

/* Makes a handle; the caller is its first holder. Returns 0, CMA_EINVAL (no bytes; not coherent and
 * not at the beginning of a cache line), CMA_EOVERFLOW (passes 2^64). Sleeps: no. */
CMA_MUST_CHECK int cma_shared_init(struct cma_shared *shared, struct cma_dma *dma,
                                   const struct cma_shared_config *config);
/* Another holder (a mapping in a client, a queue). Who calls is one, is attached, or knows one.
 * Returns 0, CMA_EBADF (nobody has it any more), CMA_EOVERFLOW (65,535 holders). Any context. */
CMA_MUST_CHECK int cma_shared_hold(struct cma_shared *shared);
/* Lets go. If nobody holds it and no device is attached then, it calls `release`. Returns 0 or
 * CMA_EBADF (there is no holder but attached devices: these detach). Any context that `release` may
 * be called in. */
int cma_shared_put(struct cma_shared *shared);

/*
 * Makes the buffer this device's too, until it detaches, holders or not. It is never bounced, for
 * what another device writes nobody would copy. Returns 0, or
 *   CMA_ERANGE     the device can't reach it as one piece under its mask (the coherent one for
 *                  coherent memory; CMA_REASON_UNREACHABLE), or all that it is given is bounced
 *                  (CMA_DEVICE_BOUNCE_ALWAYS, _UNTRUSTED, _RESTRICTED or the platform's word;
 *                  CMA_REASON_BOUNCE)
 *   CMA_EINVAL     a device of another machine
 *   CMA_EEXIST     `attachment` is attached to this buffer
 *   CMA_EBADF      nobody has the buffer any more
 *   CMA_EOVERFLOW  65,535 devices
 *   CMA_EAGAIN     see above
 * `attachment` is the caller's until it is detached.
 */
CMA_MUST_CHECK int cma_shared_attach(struct cma_shared *shared, struct cma_attachment *attachment,
                                     struct cma_device *device, struct cma_refusal *refusal);
/* Returns 0, CMA_EBUSY (mapped), CMA_ENOENT (not attached) or CMA_EAGAIN. */
int cma_shared_detach(struct cma_attachment *attachment);

/*
 * Hands it to the device for transfers in `direction`. Returns 0 and *daddr, or CMA_EINVAL,
 * CMA_ENOENT (not attached), CMA_EEXIST (mapped already), CMA_EBUSY (the CPU writes it, or the CPU
 * reads it and the device is to write), CMA_EAGAIN.
 */
CMA_MUST_CHECK int cma_shared_map(struct cma_attachment *attachment, enum cma_direction direction,
                                  cma_daddr_t *daddr);
/* The device is done. Returns 0, CMA_ENOENT, CMA_EBADF (not mapped) or CMA_EAGAIN. */
int cma_shared_unmap(struct cma_attachment *attachment);

/*
 * CPU access to all of it, by a holder, between begin and end: it is the CPU's from all devices
 * that have it mapped, and theirs again after the last end. `direction` as of a device: FROM_DEVICE
 * the CPU reads, TO_DEVICE it writes, BIDIRECTIONAL both. Devices are idle meanwhile, as drivers
 * agree. Several threads may have begun at once. Returns 0, CMA_EINVAL, CMA_EAGAIN; end: CMA_EBADF
 * (no such access was begun).
 */
CMA_MUST_CHECK int cma_shared_cpu_begin(struct cma_shared *shared, enum cma_direction direction);
int cma_shared_cpu_end(struct cma_shared *shared, enum cma_direction direction);

#ifdef __cplusplus
}
#endif
#endif
