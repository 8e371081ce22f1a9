# SPDX-License-Identifier: BSD-2-Clause
"""video_model - bugs of buffer queues that show when calls meet: two clients, a device, a model"""

MODEL = ["model/video --ops 60000"]
CYCLE = "video/cycle.c"
MEMORY = "video/memory.c"
QUEUE = "video/queue.c"
USER = "video/user.c"
HOLDERS = "(atom_load(&plane->shared.holders) & 0xffff)"

MUTANTS = [
    ("what comes back meanwhile is given before what waits", CYCLE,
     "            atom_poke(&buffer->state, CMA_VIDEO_ACTIVE);\n"
     "            numbers[n++] = (uint8_t)buffer->number;\n"
     "        }\n    }\n    video_unlock(queue, state);\n"
     "    for (i = 0; i < n; i++) {\n"
     "        ops->queue(queue->config.ctx, &queue->buffers[numbers[i]]);\n",
     "            n++;\n"
     "        }\n    }\n    video_unlock(queue, state);\n"
     "    for (i = 0; i < n; i++) {\n"
     "        state = video_lock(queue);\n"
     "        buffer = queue->queued;\n"
     "        while (buffer != NULL && atom_peek(&buffer->state) != CMA_VIDEO_QUEUED) {\n"
     "            buffer = buffer->next;\n        }\n"
     "        if (buffer != NULL) {\n"
     "            atom_poke(&buffer->state, CMA_VIDEO_ACTIVE);\n        }\n"
     "        video_unlock(queue, state);\n"
     "        if (buffer == NULL) {\n            break;\n        }\n"
     "        (void)numbers;\n"
     "        ops->queue(queue->config.ctx, buffer);\n", MODEL),
    ("case 46: a buffer is prepared without a turn, two clients", CYCLE,
     "    error = ahead ? 0 : cycle_prepare(queue, buffer, put, refusal);\n",
     "    (void)video_leave(queue, 0);\n"
     "    error = ahead ? 0 : cycle_prepare(queue, buffer, put, refusal);\n"
     "    (void)video_enter(queue);\n", MODEL),
    ("case 46: a buffer is mapped without a turn, two clients", MEMORY,
     "    struct cma_video_plane *mapped;\n    int error = video_enter(queue);\n",
     "    struct cma_video_plane *mapped;\n    int error = 0;\n", MODEL),
    ("case 46: buffers are freed under a client, two clients", QUEUE,
     "queue->streaming || queue_is_shared(queue)", "queue->streaming", MODEL),
    ("who sleeps is not woken by stream off", CYCLE,
     "            cma__video_trim(queue, buffer);\n        }\n    }\n    cycle_signal(queue);\n",
     "            cma__video_trim(queue, buffer);\n        }\n    }\n", MODEL),
    ("an export does not outlive its queue", QUEUE,
     "error = atom_load(&queue->buffers[i].plane[j].live) != 0 ? CMA_EBUSY : error;", "", MODEL),
    ("what was done is lost when the device is stopped by request", QUEUE,
     "    int error = cma__video_cancel(queue);\n", "    int error = 0;\n", MODEL),
    ("a buffer given back loses its place", CYCLE,
     "    if (state != CMA_VIDEO_QUEUED) {\n        cycle_unlink(&queue->queued, buffer);\n",
     "    cycle_unlink(&queue->queued, buffer);\n"
     "    if (state == CMA_VIDEO_QUEUED) {\n        cycle_append(&queue->queued, buffer);\n"
     "    }\n    if (state != CMA_VIDEO_QUEUED) {\n", MODEL),
    ("the program's pages are pinned only while they are looked up", USER,
     "    plane->vaddr = vaddr;\n", "    user_unpin(queue, plane);\n    plane->pinned = false;\n"
     "    plane->vaddr = vaddr;\n", MODEL),
    ("the program's pages stay pinned", USER,
     "    }\n    user_unpin(queue, plane);\n    plane->npieces = 0;\n}",
     "    }\n    plane->npieces = 0;\n}", MODEL),
    ("the program's pages are unpinned twice", USER,
     "    }\n    user_unpin(queue, plane);\n    plane->npieces = 0;\n}",
     "    }\n    user_unpin(queue, plane);\n    user_unpin(queue, plane);\n"
     "    plane->npieces = 0;\n}", MODEL),
    ("the last of the program's pages stays pinned", USER, "pfn <= last; pfn++", "pfn < last; pfn++",
     MODEL),
    ("only the first of the program's pages is looked at", USER,
     "        offset += part;\n", "        offset += nbytes;\n", MODEL),
    ("a page that is not pinned is not looked up again, two clients", USER,
     "    error = user_look(walk, vaddr, paddr);\n    if (error != 0 ||",
     "    error = *pins ? user_look(walk, vaddr, paddr) : 0;\n    if (error != 0 ||", MODEL),
    ("what a device has is taken for pinned", USER, "            walk->plane->pinned = pins;\n",
     "            walk->plane->pinned = true;\n", MODEL),
    ("what is bounced stays bounced", USER,
     "        (void)cma_dma_unmap_list(device, &plane->segment, 1, direction, user_map_flags(queue));",
     "        ;", MODEL),
    ("what was acquired before a plane failed stays so, two clients", MEMORY,
     "    while (error != 0 && i-- > 0) {", "    while (false && i-- > 0) {", MODEL),
    ("who imports never lets go", MEMORY,
     "        error = cma_shared_detach(&plane->attachment);\n", "", MODEL),
    ("who imports lets go only of what was queued last", MEMORY,
     ": memory_detach(queue, plane);", ": (plane->of = NULL, 0);", MODEL),
    ("who imports uses the first for ever", MEMORY,
     "    error = plane->of == shared ? memory_letgo(queue, plane) : memory_detach(queue, plane);\n",
     "    error = memory_letgo(queue, plane);\n", MODEL),
    ("others' buffers stay mapped, two clients", MEMORY,
     "    return plane->of != NULL && plane->attachment.mapped != 0 ?",
     "    return plane->of != NULL && plane->attachment.mapped == 77 ?", MODEL),
    ("another of others' buffers is queued than was prepared", MEMORY,
     ": plane->of == put->plane[i].shared", ": true", MODEL),
    ("another length is queued than was prepared", MEMORY,
     "if (!same || (plane->given_nbytes", "if (!same || (false && plane->given_nbytes", MODEL),
    ("buffers are freed under who imports them", MEMORY,
     "cma__shared_count(&plane->shared) > 1 +", HOLDERS + " > 1 +", MODEL),
    ("late memory is given back under who imports it", MEMORY,
     "cma__shared_count(&plane->shared) == 1", HOLDERS + " == 1", MODEL),
    ("late memory is never given back", MEMORY,
     "        if (video_is_own(queue->memory) && atom_load(&plane->live) != 0) {",
     "        if (video_is_own(queue->memory) && atom_load(&plane->live) != 0 &&\n"
     "            (queue->config.flags & CMA_VIDEO_ALLOCATE_LATE) == 0) {", MODEL),
    ("the queue lets go twice", MEMORY,
     "        if (video_is_own(queue->memory) && atom_load(&plane->live) != 0) {\n",
     "        if (video_is_own(queue->memory) && atom_load(&plane->live) != 0) {\n"
     "            (void)cma_shared_put(&plane->shared);\n", MODEL),
    ("an export holds nothing", MEMORY, "        error = cma_shared_hold(&plane->shared);\n",
     "        error = 0;\n", MODEL),
    ("the promise stays when the queue has gone", QUEUE,
     "        error = cma_device_revoke(queue->config.device, &queue->promise);\n", "", MODEL),
    ("the promise ends only if nothing outlives the queue", QUEUE,
     "    queue->closed = true;\n", "    queue->promised = queue->promised && !queue->closed;\n"
     "    queue->closed = true;\n", MODEL),
]
