/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * misuse_calls.c - the calls of dma.h, pool.h and share.h, looked at; and devices that go away
 *
 * These calls judge for themselves what is given back, and change nothing when it is wrong. So a
 * wrong call ends nothing here either, unless the real one takes it.
 */
#include "misuse.h"

#include "../base/atomic.h"

static void calls_keep(struct cma_misuse *misuse, const struct cma_misuse_entry *entry)
{
    uintptr_t state = misuse_lock(misuse);

    if (cma__misuse_room(misuse, 1)) {
        (void)cma__misuse_add(misuse, entry);
    }
    misuse_unlock(misuse, state);
}

/* Judges an end, and ends what is right. Returns false if it is not. */
static bool calls_end(struct cma_misuse *misuse, const struct misuse_call *call, bool anyway)
{
    struct cma_misuse_report report;
    uintptr_t state = misuse_lock(misuse);
    struct cma_misuse_entry *entry = cma__misuse_judge(misuse, call, &report);
    bool right = report.kind == CMA_MISUSE_NONE;

    if (entry != NULL && (right || anyway)) {
        cma__misuse_end(misuse, entry, call->site,
                        call->sort == CMA__MISUSE_SHARED &&
                            cma__misuse_last_lines(misuse, entry, false));
    }
    misuse_unlock(misuse, state);
    if (!anyway) {
        cma__misuse_tell(misuse, &report);
    }
    return right;
}

/* --- coherent and contiguous memory ---------------------------------------------------- */

static void calls_keep_buffer(struct cma_device *device, const struct cma_coherent *buffer,
                              struct cma_misuse_entry *entry)
{
    entry->device = device;
    entry->vaddr = buffer->vaddr;
    entry->daddr = buffer->daddr;
    entry->paddr = buffer->paddr;
    entry->nbytes = buffer->nbytes;
    calls_keep(device->dma->misuse, entry);
}

int cma_misuse_alloc_coherent(struct cma_site site, struct cma_device *device,
                              const struct cma_coherent_request *request,
                              struct cma_coherent *buffer, struct cma_refusal *refusal)
{
    struct cma_misuse_entry entry = {.made = site, .sort = CMA__MISUSE_COHERENT};
    struct cma_misuse *misuse = device->dma->misuse;
    int error = cma_dma_alloc_coherent(device, request, buffer, refusal);

    if (misuse != NULL && error == 0) {
        calls_keep_buffer(device, buffer, &entry);
    } else if (misuse != NULL && request != NULL && buffer != NULL) {
        cma__misuse_failed(misuse, device, site, buffer->daddr, request->nbytes, CMA_BIDIRECTIONAL);
    }
    return error;
}

static void calls_call_buffer(struct misuse_call *call, const struct cma_coherent *buffer)
{
    call->vaddr = buffer->vaddr;
    call->daddr = buffer->daddr;
    call->paddr = buffer->paddr;
    call->nbytes = buffer->nbytes;
}

int cma_misuse_free_coherent(struct cma_site site, struct cma_device *device,
                             const struct cma_coherent *buffer)
{
    struct misuse_call call = {.site = site, .device = device, .sort = CMA__MISUSE_COHERENT};
    struct cma_misuse *misuse = device->dma->misuse;
    bool right = true;
    int error;

    if (misuse != NULL) {
        calls_call_buffer(&call, buffer);
        right = calls_end(misuse, &call, false);
    }
    error = cma_dma_free_coherent(device, buffer);
    if (!right && error == 0) {
        (void)calls_end(misuse, &call, true);
    }
    return error;
}

int cma_misuse_alloc_contiguous(struct cma_site site, struct cma_device *device,
                                const struct cma_coherent_request *request,
                                enum cma_direction direction, struct cma_contiguous *contiguous,
                                struct cma_refusal *refusal)
{
    struct cma_misuse_entry entry = {.made = site,
                                     .sort = CMA__MISUSE_CONTIGUOUS,
                                     .direction = (uint8_t)direction,
                                     .lined = true};
    struct cma_misuse *misuse = device->dma->misuse;
    int error = cma_dma_alloc_contiguous(device, request, direction, contiguous, refusal);

    if (misuse != NULL && error == 0) {
        calls_keep_buffer(device, &contiguous->buffer, &entry);
    } else if (misuse != NULL && request != NULL && contiguous != NULL) {
        cma__misuse_failed(misuse, device, site, contiguous->buffer.daddr, request->nbytes,
                           direction);
    }
    return error;
}

int cma_misuse_free_contiguous(struct cma_site site, struct cma_device *device,
                               const struct cma_contiguous *contiguous)
{
    struct misuse_call call = {.site = site, .device = device, .sort = CMA__MISUSE_CONTIGUOUS};
    struct cma_misuse *misuse = device->dma->misuse;
    bool right = true;
    int error;

    if (misuse != NULL) {
        calls_call_buffer(&call, &contiguous->buffer);
        call.direction = contiguous->direction;
        right = calls_end(misuse, &call, false);
    }
    error = cma_dma_free_contiguous(device, contiguous);
    if (!right && error == 0) {
        (void)calls_end(misuse, &call, true);
    }
    return error;
}

/* --- pools ----------------------------------------------------------------------------- */

/* An item was handed out, or not, to `owner`: by the pool itself, or by a lane of it. */
static void calls_keep_item(struct cma_site site, struct cma_dma_pool *pool, const void *owner,
                            const struct cma_dma_item *item, int error)
{
    struct cma_misuse_entry entry = {.device = pool->device,
                                     .owner = owner,
                                     .nbytes = pool->config.item_nbytes,
                                     .made = site,
                                     .sort = CMA__MISUSE_ITEM};
    struct cma_misuse *misuse = pool->device->dma->misuse;

    if (misuse == NULL || item == NULL) {
        return;
    }
    if (error != 0) {
        cma__misuse_failed(misuse, pool->device, site, item->daddr, entry.nbytes,
                           CMA_BIDIRECTIONAL);
        return;
    }
    entry.vaddr = item->vaddr;
    entry.daddr = item->daddr;
    entry.flags = item->stamp;
    if ((pool->config.flags & CMA_DMA_POOL_CACHED) != 0) {
        entry.direction = (uint8_t)pool->config.direction;
        entry.lined = true;
    }
    if (cma_device_from_bus(pool->device, item->daddr, entry.nbytes, &entry.paddr) == 0) {
        calls_keep(misuse, &entry);
    }
}

/* Judges an item that comes back, or, `anyway`, ends it. Returns false if it is not right. */
static bool calls_end_item(struct cma_site site, struct cma_dma_pool *pool, const void *owner,
                           const struct cma_dma_item *item, bool anyway)
{
    struct misuse_call call = {.site = site,
                               .device = pool->device,
                               .owner = owner,
                               .vaddr = item->vaddr,
                               .daddr = item->daddr,
                               .nbytes = pool->config.item_nbytes,
                               .sort = CMA__MISUSE_ITEM,
                               .flags = item->stamp};
    struct cma_misuse *misuse = pool->device->dma->misuse;

    return misuse == NULL || calls_end(misuse, &call, anyway);
}

int cma_misuse_pool_alloc(struct cma_site site, struct cma_dma_pool *pool, uint32_t flags,
                          struct cma_dma_item *item, struct cma_refusal *refusal)
{
    int error = cma_dma_pool_alloc(pool, flags, item, refusal);

    calls_keep_item(site, pool, pool, item, error);
    return error;
}

int cma_misuse_pool_free(struct cma_site site, struct cma_dma_pool *pool,
                         const struct cma_dma_item *item)
{
    bool right = calls_end_item(site, pool, pool, item, false);
    int error = cma_dma_pool_free(pool, item);

    if (!right && error == 0) {
        (void)calls_end_item(site, pool, pool, item, true);
    }
    return error;
}

int cma_misuse_pool_lane_alloc(struct cma_site site, struct cma_dma_pool_lane *lane, uint32_t flags,
                               uint64_t *token, struct cma_refusal *refusal)
{
    int error = cma_dma_pool_lane_alloc(lane, flags, token, refusal);
    struct cma_dma_item item = {0};

    if (error == 0) {
        cma_dma_pool_lane_item(lane, *token, &item);
    }
    calls_keep_item(site, lane->pool, lane, &item, error);
    return error;
}

int cma_misuse_pool_lane_free(struct cma_site site, struct cma_dma_pool_lane *lane, uint64_t token)
{
    struct cma_dma_item item = {0};
    bool right;
    int error;

    if ((uint32_t)token < lane->nnumbers) {
        cma_dma_pool_lane_item(lane, token, &item);
    }
    right = calls_end_item(site, lane->pool, lane, &item, false);
    error = cma_dma_pool_lane_free(lane, token);
    if (!right && error == 0) {
        (void)calls_end_item(site, lane->pool, lane, &item, true);
    }
    return error;
}

/* --- shared buffers -------------------------------------------------------------------- */

int cma_misuse_shared_map(struct cma_site site, struct cma_attachment *attachment,
                          enum cma_direction direction, cma_daddr_t *daddr)
{
    const struct cma_shared *shared = attachment->shared;
    struct cma_misuse_entry entry = {.device = attachment->device,
                                     .owner = shared,
                                     .made = site,
                                     .direction = (uint8_t)direction,
                                     .sort = CMA__MISUSE_SHARED};
    int error = cma_shared_map(attachment, direction, daddr);
    struct cma_misuse *misuse;

    if (error != 0) {
        return error;
    }
    misuse = entry.device->dma->misuse;
    if (misuse != NULL) {
        entry.daddr = *daddr;
        entry.paddr = shared->config.paddr;
        entry.nbytes = shared->config.nbytes;
        entry.lined = !shared->config.coherent;
        calls_keep(misuse, &entry);
    }
    return 0;
}

int cma_misuse_shared_unmap(struct cma_site site, struct cma_attachment *attachment)
{
    const struct cma_shared *shared = attachment->shared;
    struct misuse_call call = {.site = site,
                               .device = attachment->device,
                               .owner = shared,
                               .daddr = attachment->daddr,
                               .sort = CMA__MISUSE_SHARED};
    struct cma_misuse *misuse = shared == NULL ? NULL : call.device->dma->misuse;

    if (misuse != NULL) {
        call.nbytes = shared->config.nbytes;
        call.direction = (enum cma_direction)(attachment->mapped - 1);
        (void)calls_end(misuse, &call, false);
    }
    return cma_shared_unmap(attachment);
}

static uint32_t calls_count(uint32_t count, bool begin)
{
    return begin ? count + 1 : count - (count != 0);
}

/* A CPU access of the whole buffer begins or ends: all views of it change sides. But what a device
 * reads it may go on to read while the CPU does. */
static void calls_bracket(const struct cma_shared *shared, enum cma_direction direction, bool begin)
{
    bool to_cpu;
    struct cma_misuse *misuse = shared->dma->misuse;
    struct cma_misuse_entry *entry;
    struct misuse_walk walk;
    uintptr_t state;

    if (misuse == NULL) {
        return;
    }
    state = misuse_lock(misuse);
    cma__misuse_walk(&walk, misuse, false, shared->config.paddr, shared->config.paddr);
    while ((entry = cma__misuse_next(&walk)) != NULL) {
        if (entry->state != CMA__MISUSE_LIVE || entry->owner != shared) {
            continue;
        }
        entry->brackets = calls_count(entry->brackets, begin);
        if (direction != CMA_FROM_DEVICE) {
            entry->writers = calls_count(entry->writers, begin);
        }
        to_cpu = (entry->direction == CMA_TO_DEVICE ? entry->writers : entry->brackets) != 0;
        cma__misuse_hand(misuse, entry, 0, entry->nbytes, to_cpu, false);
        if (to_cpu && entry->writers == 0) {
            cma__misuse_forbid_writes(misuse, entry);
        }
    }
    misuse_unlock(misuse, state);
}

int cma_misuse_shared_cpu_begin(struct cma_site site, struct cma_shared *shared,
                                enum cma_direction direction)
{
    int error = cma_shared_cpu_begin(shared, direction);

    (void)site;
    if (error == 0) {
        calls_bracket(shared, direction, true);
    }
    return error;
}

int cma_misuse_shared_cpu_end(struct cma_site site, struct cma_shared *shared,
                              enum cma_direction direction)
{
    int error = cma_shared_cpu_end(shared, direction);
    struct cma_misuse_report report = {
        .kind = CMA_MISUSE_UNKNOWN, .site = site, .direction = direction};

    if (error == 0) {
        calls_bracket(shared, direction, false);
    } else if (shared->dma->misuse != NULL) {
        report.nbytes = shared->config.nbytes;
        cma__misuse_tell(shared->dma->misuse, &report);
    }
    return error;
}

/* --- devices that go away -------------------------------------------------------------- */

void cma_misuse_device_gone(struct cma_misuse *misuse, struct cma_device *device,
                            struct cma_site site)
{
    struct cma_misuse_report report;
    struct cma_misuse_entry *entry;
    uintptr_t state;
    uint32_t i;

    for (i = 0; i < misuse->config.nentries; i++) {
        report.kind = CMA_MISUSE_NONE;
        state = misuse_lock(misuse);
        entry = &misuse->entries[i];
        if (i < misuse->high && entry->state != CMA__MISUSE_IDLE && entry->device == device) {
            /* One report a list. */
            if (entry->state == CMA__MISUSE_LIVE && entry->head == i) {
                report =
                    (struct cma_misuse_report){.kind = CMA_MISUSE_LEFT,
                                               .site = site,
                                               .other = entry->made,
                                               .device = device->config.name,
                                               .daddr = entry->daddr,
                                               .nbytes = entry->nbytes,
                                               .direction = (enum cma_direction)entry->direction};
            }
            cma__misuse_forget(misuse, entry);
        }
        misuse_unlock(misuse, state);
        cma__misuse_tell(misuse, &report);
    }
}
