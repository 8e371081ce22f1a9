/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * share.h - one buffer that several devices use (src/dma)
 *
 * A camera writes a picture, a scaler reads it, a display shows it: one buffer, three views. Who
 * has the buffer exports it, and gives others the handle. Each device attaches, and gets the buffer
 * at its own address, or a refusal that says why it can't have it. Each maps and syncs for itself;
 * CPU access is bracketed once for all of them. The buffer is alive until the last one lets go, in
 * whatever order: then `release` is called, once.
 */
#ifndef CMA_SHARE_H
#define CMA_SHARE_H

#include <cma/stream.h>

#ifdef __cplusplus
extern "C" {
#endif

struct cma_shared;
struct cma_shared_config {
    cma_paddr_t paddr;
    uint64_t nbytes; /* 1 up */
    /* The CPU and all devices see it the same (it came from cma_dma_alloc_coherent): no device
     * needs syncs. Else it is contiguous cached memory. */
    bool coherent;
    /* The last one has let go; `shared` may be freed or used again. Called without locks, in the
     * context of who let go. */
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
    struct cma_lock lock;
    uint32_t holders;     /* atomic */
    uint32_t cpu_readers; /* CPU accesses begun and not ended */
    uint32_t cpu_writers;
};

/* Makes a handle; the caller is its first holder. Returns 0, CMA_EINVAL, CMA_EOVERFLOW. Any
 * context.
 */
CMA_MUST_CHECK int cma_shared_init(struct cma_shared *shared, struct cma_dma *dma,
                                   const struct cma_shared_config *config);
/* Another holder (a mapping in a client, a queue). Who calls is one, or knows one. CMA_EBADF:
 * nobody holds it any more. */
CMA_MUST_CHECK int cma_shared_hold(struct cma_shared *shared);
/* Lets go. The last calls `release`. Returns 0 or CMA_EBADF. */
int cma_shared_put(struct cma_shared *shared);

/*
 * Makes the buffer this device's too: a holder of its own. Returns 0, CMA_ERANGE (the device can't
 * reach it as one piece; never bounced, for what another device writes nobody would copy),
 * CMA_EBADF (nobody holds it). `attachment` is the caller's until detached. Detach: 0, CMA_EBUSY
 * (mapped), CMA_ENOENT (not attached).
 */
CMA_MUST_CHECK int cma_shared_attach(struct cma_shared *shared, struct cma_attachment *attachment,
                                     struct cma_device *device, struct cma_refusal *refusal);
int cma_shared_detach(struct cma_attachment *attachment);
/* Hands it to the device for transfers in `direction`. 0 and *daddr, CMA_EEXIST (mapped already),
 * CMA_EBUSY (a CPU access is open that conflicts: a writer, or the device writes), CMA_EINVAL.
 * Unmap: 0 or CMA_EBADF. */
CMA_MUST_CHECK int cma_shared_map(struct cma_attachment *attachment, enum cma_direction direction,
                                  cma_daddr_t *daddr);
int cma_shared_unmap(struct cma_attachment *attachment);
/*
 * CPU access to all of it, between begin and end: the view of each device that has it mapped is
 * synced for the CPU and back. `direction` as of a device: FROM_DEVICE the CPU reads, TO_DEVICE it
 * writes, BIDIRECTIONAL both. Devices must be idle meanwhile, as drivers agree. 0, CMA_EINVAL;
 * end without begin: CMA_EBADF.
 */
CMA_MUST_CHECK int cma_shared_cpu_begin(struct cma_shared *shared, enum cma_direction direction);
int cma_shared_cpu_end(struct cma_shared *shared, enum cma_direction direction);

#ifdef __cplusplus
}
#endif
#endif
