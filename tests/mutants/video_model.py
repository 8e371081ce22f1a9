# SPDX-License-Identifier: BSD-2-Clause
"""video_model - bugs of buffer queues that show when calls meet: two clients, a device, a model"""

MODEL = ["model/video --ops 60000"]
CYCLE = "video/cycle.c"
MEMORY = "video/memory.c"
QUEUE = "video/queue.c"

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
     "    cma__video_cancel(queue);\n    queue_free_all(queue);\n    if (*nbuffers == 0) {",
     "    queue_free_all(queue);\n    if (*nbuffers == 0) {", MODEL),
    ("a buffer given back loses its place", CYCLE,
     "    if (state != CMA_VIDEO_QUEUED) {\n        cycle_unlink(&queue->queued, buffer);\n",
     "    cycle_unlink(&queue->queued, buffer);\n"
     "    if (state == CMA_VIDEO_QUEUED) {\n        cycle_append(&queue->queued, buffer);\n"
     "    }\n    if (state != CMA_VIDEO_QUEUED) {\n", MODEL),
]
