/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * writer.c - a task that reaches its pages through page tables of its own and keeps writing
 *
 * Freezing a page takes its entry away; the flush that makes it true on the processor is libcma's.
 * A task that meets a page that is frozen faults, and sleeps until the mover has committed or
 * aborted. Forget the flush, and the processor goes on with the translation that it knows: writes
 * land in a frame that was copied already, and are lost. That is what the check of each word finds.
 *
 * The lock of the mover is: interrupts off. The task never calls libcma, it only writes.
 */
#include "image.h"

#define WORDS (BARE_PAGE / 8)
#define RUN 16u      /* words in a row */
#define WANDERERS 4u /* pages that go elsewhere in the area between two claims */

static struct {
    const struct cma_port *port;
    struct cma_system *system;
    struct cma_mover mover;
    uint32_t number;
    cma_paddr_t first, last;
    cma_pfn_t pfns[WRITER_NPAGES];
    uint32_t counts[WRITER_NPAGES][WORDS]; /* how often each word was written */
    uint32_t event;                        /* a page was thawed */
    volatile bool stop, stopped;
    volatile uint64_t writes, lost;
} writer;

static uint64_t random_state = 0x9e3779b97f4a7c15u;

uint64_t image_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint64_t writer_value(uint32_t page, uint32_t word, uint32_t count)
{
    return (uint64_t)(page + 1) << 48 | (uint64_t)word << 32 | count;
}

static volatile uint64_t *writer_word(uint32_t page, uint32_t word)
{
    return (volatile uint64_t *)mmu_task_vaddr(page) + word;
}

/* --- the task ----------------------------------------------------------------------------------
 */

static void writer_run(void *arg)
{
    uint32_t random = 12345;

    (void)arg;
    while (!writer.stop) {
        random = random * 1664525u + 1013904223u;
        uint32_t page = (random >> 16) % WRITER_NPAGES, word = (random >> 4) % (WORDS - RUN);
        for (uint32_t end = word + RUN; word < end; word++) {
            uint32_t count = writer.counts[page][word];
            volatile uint64_t *at = writer_word(page, word);
            if (*at != writer_value(page, word, count))
                writer.lost++;
            *at = writer_value(page, word, count + 1);
            writer.counts[page][word] = count + 1;
            writer.writes++;
        }
        /* The rest of the time is the claims'; the timer brings us back, wherever they are. */
        thread_yield();
    }
    writer.stopped = true;
}

static bool writer_fault(uint64_t vaddr, const uint32_t **event)
{
    uint32_t page = mmu_task_index(vaddr);

    if (page >= WRITER_NPAGES)
        return false;
    *event = mmu_task_is_frozen(page) ? &writer.event : NULL;
    return true;
}

/* --- the mover ---------------------------------------------------------------------------------
 */

static int writer_freeze(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    uintptr_t state = irq_save();
    int error = CMA_ENOENT;

    (void)ctx;
    if (cookie < WRITER_NPAGES && writer.pfns[cookie] == pfn) {
        mmu_task_freeze(cookie);
        error = CMA_OK;
    }
    irq_restore(state);
    return error;
}

static void writer_go_on(void)
{
    writer.event++;
    writer.port->wake(writer.port->ctx, &writer.event);
}

static void writer_commit(void *ctx, cma_pfn_t from, cma_pfn_t to, uint32_t cookie)
{
    uintptr_t state = irq_save();

    (void)ctx;
    if (writer.pfns[cookie] != from)
        bare_die("commit of another frame", from);
    writer.pfns[cookie] = to;
    mmu_task_set(cookie, to * BARE_PAGE);
    writer_go_on();
    irq_restore(state);
}

static void writer_abort(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    uintptr_t state = irq_save();

    (void)ctx;
    (void)pfn;
    mmu_task_thaw(cookie);
    writer_go_on();
    irq_restore(state);
}

/* --- its pages ---------------------------------------------------------------------------------
 */

static bool writer_is_home(cma_pfn_t pfn)
{
    return pfn * BARE_PAGE >= writer.first && pfn * BARE_PAGE <= writer.last;
}

/* A frame in the area for page `index`; false when there is none. It comes with a reference. */
static bool writer_frame(uint32_t index, cma_pfn_t *pfn)
{
    struct cma_pages_request request = {.npages = 1, .flags = CMA_PAGES_REF};
    uint64_t npages = (writer.last - writer.first) / BARE_PAGE + 1;

    request.holder.kind = CMA_KIND_MOVABLE;
    request.holder.mover = writer.number;
    request.holder.cookie = index;
    request.paddr_first = writer.first;
    /* Anywhere, not side by side: windows are to differ in what they cost. */
    request.paddr_last = writer.first + (image_random() % npages + 1) * BARE_PAGE - 1;
    if (cma_pages_alloc(&writer.system->pages, &request, pfn, NULL) == CMA_OK)
        return true;
    request.paddr_last = writer.last;
    return cma_pages_alloc(&writer.system->pages, &request, pfn, NULL) == CMA_OK;
}

/* Looks a page's frame up and takes a short reference, so that nobody else moves it. */
static bool writer_hold(uint32_t index, cma_pfn_t *pfn)
{
    uintptr_t state = irq_save();
    int error;

    *pfn = writer.pfns[index];
    error = cma_frame_ref(&writer.system->frames, *pfn);
    irq_restore(state);
    return error == CMA_OK;
}

/* As its owner would: a new frame, the old one's bytes, the old one back. False: no new frame, or
 * somebody else is at it. */
static bool writer_move(uint32_t index)
{
    struct cma_frames *frames = &writer.system->frames;
    cma_pfn_t from, to;
    int error;

    if (!writer_hold(index, &from))
        return false;
    if (!writer_frame(index, &to)) {
        (void)cma_frame_unref(frames, from);
        return false;
    }
    mmu_task_freeze(index);
    mmu_tlb_flush();
    writer.port->copy(writer.port->ctx, to * BARE_PAGE, from * BARE_PAGE, BARE_PAGE);
    writer_commit(NULL, from, to, index);
    if (cma_frame_unref(frames, to) != CMA_OK || cma_frame_unref(frames, from) != CMA_OK)
        bare_die("reference", to);
    /* A claim may try to move the old frame meanwhile, and hear that it is not ours any more. */
    while ((error = cma_pages_free(&writer.system->pages, from, 1, index)) == CMA_EAGAIN)
        thread_yield();
    if (error != CMA_OK)
        bare_die("a page can't be moved", to);
    return true;
}

void writer_come_home(void)
{
    uint64_t stretch = thread_stretch(1);

    for (uint32_t i = 0; i < WRITER_NPAGES; i++)
        if (!writer_is_home(writer.pfns[i]))
            (void)writer_move(i);
    for (uint32_t i = 0; i < WANDERERS; i++)
        (void)writer_move((uint32_t)(image_random() % WRITER_NPAGES));
    (void)thread_stretch(stretch);
}

/* For a control: says yes, and the task goes on writing. */
static int writer_freeze_nothing(void *ctx, cma_pfn_t pfn, uint32_t cookie)
{
    (void)ctx;
    return cookie < WRITER_NPAGES && writer.pfns[cookie] == pfn ? CMA_OK : CMA_ENOENT;
}

void writer_start(struct cma_system *system, const struct cma_port *port, cma_paddr_t first,
                  cma_paddr_t last, bool no_freeze)
{
    int number;

    writer.port = port;
    writer.system = system;
    writer.first = first;
    writer.last = last;
    writer.mover = (struct cma_mover){.name = "task",
                                      .paddr_last = CMA_PADDR_MAX,
                                      .freeze = no_freeze ? writer_freeze_nothing : writer_freeze,
                                      .commit = writer_commit,
                                      .abort = writer_abort};
    number = cma_mover_register(&system->frames, &writer.mover);
    if (number < 0)
        bare_die("mover", 0);
    writer.number = (uint32_t)number;
    for (uint32_t i = 0; i < WRITER_NPAGES; i++) {
        if (!writer_frame(i, &writer.pfns[i]))
            bare_die("the area lends nothing", i);
        mmu_task_set(i, writer.pfns[i] * BARE_PAGE);
        for (uint32_t word = 0; word < WORDS; word++)
            *writer_word(i, word) = writer_value(i, word, 0);
        if (cma_frame_unref(&system->frames, writer.pfns[i]) != CMA_OK)
            bare_die("reference", i);
    }
    thread_on_fault(writer_fault);
    thread_spawn(writer_run, NULL);
}

uint64_t writer_stop(void)
{
    writer.stop = true;
    while (!writer.stopped)
        thread_yield();
    for (uint32_t i = 0; i < WRITER_NPAGES; i++)
        for (uint32_t word = 0; word < WORDS; word++)
            writer.lost += *writer_word(i, word) != writer_value(i, word, writer.counts[i][word]);
    return writer.lost;
}

uint64_t writer_writes(void)
{
    return writer.writes;
}

uint64_t writer_lost(void)
{
    return writer.lost;
}

cma_pfn_t writer_pfn(uint32_t index)
{
    return writer.pfns[index];
}
