/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run_stream.c - a device at work: start, stream, stop, start again
 *
 * A start asks for six coherent buffers, as a camera's driver does, or for what the board promises
 * the device. Of devices that are never open together one waits for the other. Thirty times a
 * second the device writes a picture into one of them by DMA, the CPU reads every byte of it
 * through its own mapping, writes the first page anew, and the device reads that back. Nothing is
 * synchronised in between: the memory is coherent, or the bytes are wrong. Pictures are numbers
 * that follow from device, picture and place, so a byte of another picture, of an old one or of
 * somebody's page is noticed.
 */
#include "run.h"

#include <stdlib.h>
#include <string.h>

#define STREAM_MS 1000000ull
#define STREAM_PERIOD_NS (1000000000ull / 30)
#define STREAM_CHUNK 4096u

static uint64_t stream_mix(uint64_t value)
{
    value += 0x9e3779b97f4a7c15ull;
    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ value >> 27) * 0x94d049bb133111ebull;
    return value ^ value >> 31;
}

static uint64_t stream_random(struct run_device *device, uint64_t below)
{
    device->random = stream_mix(device->random);
    return device->random % below;
}

/* Bytes [at, at + STREAM_CHUNK) of a picture; 0 is the picture of zeros that a new buffer shows. */
static void stream_paint(const struct run_device *device, uint64_t picture, uint64_t at,
                         uint64_t *words)
{
    uint64_t word = stream_mix(device->dma.config.owner ^ picture << 16 ^ at << 32);
    uint64_t step = stream_mix(word) | 1;

    for (size_t i = 0; i < STREAM_CHUNK / sizeof(*words); i++) {
        words[i] = picture != 0 ? word : 0;
        word += step;
    }
}

static uint64_t stream_differ(const void *left, const void *right, uint64_t nbytes)
{
    const uint8_t *a = left, *b = right;
    uint64_t count = 0;

    if (memcmp(a, b, nbytes) == 0)
        return 0;
    for (uint64_t i = 0; i < nbytes; i++)
        count += a[i] != b[i];
    return count;
}

static uint64_t stream_chunk(const struct run_buffer *buffer, uint64_t at)
{
    uint64_t left = buffer->memory.nbytes - at;

    return left < STREAM_CHUNK ? left : STREAM_CHUNK;
}

static void *stream_at(const struct run_buffer *buffer, uint64_t at)
{
    return (void *)((uintptr_t)buffer->memory.vaddr + at);
}

/* The device writes a picture. What its bus refuses counts as lost. */
static void stream_capture(struct run_device *device, struct run_buffer *buffer, uint64_t picture)
{
    uint64_t words[STREAM_CHUNK / sizeof(uint64_t)];

    for (uint64_t at = 0; at < buffer->memory.nbytes; at += STREAM_CHUNK) {
        uint64_t nbytes = stream_chunk(buffer, at);

        stream_paint(device, picture, at, words);
        if (!simdev_write(&device->bus, buffer->memory.daddr + at, words, nbytes))
            device->bytes_wrong += nbytes;
    }
    buffer->picture = picture;
}

/* The CPU reads a buffer from `at` on, and compares it with what must be in it. */
static void stream_look_from(struct run_device *device, const struct run_buffer *buffer,
                             uint64_t at)
{
    uint64_t want[STREAM_CHUNK / sizeof(uint64_t)], seen[STREAM_CHUNK / sizeof(uint64_t)];

    for (; at < buffer->memory.nbytes; at += STREAM_CHUNK) {
        uint64_t nbytes = stream_chunk(buffer, at);

        stream_paint(device, buffer->picture, at, want);
        sim_read(device->run->sim, stream_at(buffer, at), seen, nbytes);
        device->bytes_wrong += stream_differ(want, seen, nbytes);
    }
}

static void stream_look(struct run_device *device, const struct run_buffer *buffer)
{
    stream_look_from(device, buffer, 0);
}

/* The other direction: the CPU draws into the picture, the device shows it. */
static void stream_show(struct run_device *device, struct run_buffer *buffer, uint64_t picture)
{
    uint64_t words[STREAM_CHUNK / sizeof(uint64_t)], shown[STREAM_CHUNK / sizeof(uint64_t)];
    uint64_t nbytes = stream_chunk(buffer, 0);

    stream_paint(device, picture + (1ull << 40), 0, words);
    sim_write(device->run->sim, buffer->memory.vaddr, words, nbytes);
    device->run->system.dma.port->dma_barrier(device->run->system.dma.port->ctx);
    if (!simdev_read(&device->bus, buffer->memory.daddr, shown, nbytes))
        memset(shown, 0xff, sizeof(shown));
    device->bytes_wrong += stream_differ(words, shown, nbytes);
    stream_paint(device, picture, 0, words);
    sim_write(device->run->sim, buffer->memory.vaddr, words, nbytes);
    device->run->system.dma.port->dma_barrier(device->run->system.dma.port->ctx);
}

/* Was the "no" right? */
static void stream_ask_oracle(struct run_device *device, uint64_t npages,
                              const struct cma_refusal *refusal)
{
    struct run *run = device->run;
    struct oracle_question question = {
        .area_pfn = (device->area->range->base + ((1ull << run->board.page_shift) - 1)) >>
                    run->board.page_shift,
        .area_npages = 0,
        .npages = npages,
        .align_npages = 1,
    };
    struct cma_area_stats stats;
    struct oracle_answer answer;
    bool possible = false;

    /* Handles refuse while somebody works on them. Which ones did can't be seen any more. */
    run->handles_stay = refusal->reason == CMA_REASON_MOVER;
    cma_area_stats(device->area->area, &stats);
    question.area_npages = stats.npages;
    promises_part(&run->promises, device->area->range, &question);
    for (uint32_t i = 0;
         !possible && cma_device_reach(&device->dma, UINT64_MAX, i, &question.paddr_first,
                                       &question.paddr_last) == 0;
         i++) {
        if (oracle_ask(&run->oracle, &question, &answer) != 0)
            run_die("no memory for the oracle");
        possible = answer.possible;
    }
    run->result.questions++;
    /* Who gives a buffer back while another is being refused proves nothing. */
    run->result.disagreements +=
        possible && run->giving_back == 0 && run->given_back == device->given_back_seen;
}

/* Whose buffer would have to go? */
static uint32_t stream_change_owner(const struct run *run, const struct cma_refusal *refusal)
{
    struct cma_frame_info info;

    if (refusal->change != CMA_CHANGE_RELEASE ||
        cma_frame_info(&run->system.frames, refusal->change_value, &info) != 0 ||
        info.kind != CMA_KIND_CLAIMED)
        return 0;
    return info.cookie;
}

void run_stream_refused(struct run_device *device, const struct run_buffer *buffer,
                        const struct cma_refusal *refusal)
{
    struct run *run = device->run;
    struct run_failure **link = &run->result.failures;

    device->failed++;
    run->result.failed++;
    run->result.broken += buffer->promised;
    /* Two that are not the area's doing. */
    if (refusal->reason != CMA_REASON_MAPPING && refusal->reason != CMA_REASON_QUOTA)
        stream_ask_oracle(device, buffer->npages, refusal);
    while (*link != NULL &&
           ((*link)->device != device || (*link)->refusal.reason != refusal->reason ||
            (*link)->refusal.code != refusal->code || (*link)->npages != buffer->npages))
        link = &(*link)->next;
    if (*link == NULL) {
        *link = run_calloc(1, sizeof(**link));
        (*link)->device = device;
        (*link)->refusal = *refusal;
        (*link)->change_owner = stream_change_owner(run, refusal);
        (*link)->npages = buffer->npages;
        (*link)->at_us = (sim_now_ns(run->sim) - run->began_ns) / 1000;
    }
    (*link)->count++;
}

/* Asks for one buffer. */
static bool stream_ask(struct run_device *device, struct run_buffer *buffer)
{
    struct run *run = device->run;
    struct cma_coherent_request request = {.nbytes = buffer->nbytes};
    struct cma_refusal refusal = {.pfn = CMA_PFN_NONE};
    uint64_t copied = sim_self_copied_pages(run->sim);
    uint64_t began = sim_now_ns(run->sim);
    int error;

    device->given_back_seen = run->given_back;
    error = device->area->linux_policy != NULL
                ? run_linux_ask(device, buffer, &refusal)
                : cma_dma_alloc_coherent(&device->dma, &request, &buffer->memory, &refusal);

    copied = sim_self_copied_pages(run->sim) - copied;
    device->requests++;
    run->result.requests++;
    run->result.promised += buffer->promised;
    run->result.copied_npages += copied;
    if (error != 0) {
        refusal.code = error;
        run_stream_refused(device, buffer, &refusal);
        return false;
    }
    run_sample(&run->result.latency_ns, sim_now_ns(run->sim) - began);
    run_sample(&run->result.copies, copied);
    device->succeeded++;
    run->result.succeeded++;
    buffer->live = true;
    buffer->picture = 0;
    /* All zeros, whatever was there before. In a scenario only the end of it, where the caches
     * would still have zeros that they had not written: no program reads all of its new buffers, so
     * the rest must not make an opening slower than it is, and comes when it is used. */
    stream_look_from(
        device, buffer,
        device->scenario != NULL ? (buffer->memory.nbytes - 1) / STREAM_CHUNK * STREAM_CHUNK : 0);
    return true;
}

/* A step that comes by every one of so many buffers. */
static uint64_t stream_step(uint64_t nbuffers)
{
    static const uint64_t primes[] = {5, 7, 3};

    for (size_t i = 0; i < sizeof(primes) / sizeof(primes[0]); i++)
        if (nbuffers % primes[i] != 0)
            return primes[i];
    return 1;
}

/* Gives all buffers back, in any order, each looked at once more. */
static void stream_stop(struct run_device *device)
{
    uint64_t first = stream_random(device, device->nbuffers);
    uint64_t step = stream_step(device->nbuffers);
    int error;

    for (uint64_t i = 0; i < device->nbuffers; i++) {
        struct run_buffer *buffer = &device->buffers[(first + i * step) % device->nbuffers];

        if (!buffer->live)
            continue;
        stream_look(device, buffer);
        buffer->live = false;
        device->run->giving_back++;
        error = device->area->linux_policy != NULL
                    ? run_linux_give_back(device, buffer)
                    : cma_dma_free_coherent(&device->dma, &buffer->memory);
        device->run->giving_back--;
        device->run->given_back++;
        if (error != 0)
            device->run->result.violation = "a device could not give its buffer back";
    }
}

static bool stream_over(const struct run_device *device)
{
    return sim_now_ns(device->run->sim) >= device->run->ends_ns;
}

/* Pictures until the stream ends. */
static void stream_pictures(struct run_device *device, uint64_t until_ns)
{
    struct sim *sim = device->run->sim;
    uint64_t due = sim_now_ns(sim);

    for (uint64_t turn = 0; sim_now_ns(sim) < until_ns && !stream_over(device); turn++) {
        struct run_buffer *buffer = &device->buffers[turn % device->nbuffers];
        uint64_t picture = ++device->pictures;

        stream_capture(device, buffer, picture);
        stream_look(device, buffer);
        stream_show(device, buffer, picture);
        due += STREAM_PERIOD_NS;
        if (sim_now_ns(sim) < due)
            sim_sleep_ns(sim, due - sim_now_ns(sim));
        else
            device->late++;
    }
}

void run_stream(void *arg)
{
    struct run_device *device = arg;
    struct run *run = device->run;

    sim_sleep_ns(run->sim, (1 + stream_random(device, 50)) * STREAM_MS);
    while (!stream_over(device)) {
        uint64_t got = 0;

        if (!run_promise_open(device)) {
            sim_sleep_ns(run->sim, STREAM_MS);
            continue;
        }
        for (uint64_t i = 0; i < device->nbuffers; i++)
            got += stream_ask(device, &device->buffers[i]);
        if (got == device->nbuffers) {
            device->starts++;
            if (device->area->pictures[RUN_DURING][0] == '\0')
                run_picture(run, device->area, RUN_DURING);
            run_draw_streaming(run, true);
            stream_pictures(device,
                            sim_now_ns(run->sim) + (200 + stream_random(device, 300)) * STREAM_MS);
            run_draw_streaming(run, false);
        }
        stream_stop(device);
        run_promise_close(device);
        sim_sleep_ns(run->sim, (50 + stream_random(device, 150)) * STREAM_MS);
    }
    run->streaming--;
}

/* --- in a scenario ---------------------------------------------------------------------------- */

static bool stream_open(struct run_device *device)
{
    uint64_t got = 0;

    for (uint64_t i = 0; i < device->nbuffers; i++)
        got += stream_ask(device, &device->buffers[i]);
    if (got == device->nbuffers)
        return true;
    stream_stop(device);
    return false;
}

/* A display: the CPU draws all of it, the device reads it. */
static void stream_display(struct run_device *device, struct run_buffer *buffer, uint64_t picture)
{
    uint64_t words[STREAM_CHUNK / sizeof(uint64_t)], shown[STREAM_CHUNK / sizeof(uint64_t)];

    for (uint64_t at = 0; at < buffer->memory.nbytes; at += STREAM_CHUNK) {
        stream_paint(device, picture, at, words);
        sim_write(device->run->sim, stream_at(buffer, at), words, stream_chunk(buffer, at));
    }
    device->run->system.dma.port->dma_barrier(device->run->system.dma.port->ctx);
    for (uint64_t at = 0; at < buffer->memory.nbytes; at += STREAM_CHUNK) {
        uint64_t nbytes = stream_chunk(buffer, at);

        stream_paint(device, picture, at, words);
        if (!simdev_read(&device->bus, buffer->memory.daddr + at, shown, nbytes))
            memset(shown, 0xff, sizeof(shown));
        device->bytes_wrong += stream_differ(words, shown, nbytes);
    }
    buffer->picture = picture;
}

/* All planes of one picture; that of plane k of buffer i is at k * count + i. */
static void stream_picture(struct run_device *device, uint64_t picture)
{
    uint64_t count = device->scenario->nbuffers;

    for (uint64_t at = picture % count; at < device->nbuffers; at += count) {
        struct run_buffer *buffer = &device->buffers[at];

        if (buffer->picture == 0)
            stream_look(device, buffer);
        if (device->scenario->kind == SCENARIO_DISPLAY) {
            stream_display(device, buffer, picture);
        } else {
            stream_capture(device, buffer, picture);
            stream_look(device, buffer);
        }
    }
}

/* The program may be late by as many pictures as there are buffers; what comes then passes by. */
static void stream_work(struct run_device *device, uint64_t due_ns, uint64_t period_ns,
                        uint64_t until_ns)
{
    struct sim *sim = device->run->sim;

    for (; due_ns <= until_ns; due_ns += period_ns) {
        uint64_t now = sim_now_ns(sim);

        if (now < due_ns) {
            sim_sleep_ns(sim, due_ns - now);
        } else if (now - due_ns >= device->scenario->nbuffers * period_ns) {
            device->dropped++;
            continue;
        } else {
            device->late += now != due_ns;
        }
        stream_picture(device, ++device->pictures);
    }
}

const struct scenario_device_ops run_stream_ops = {
    .open = stream_open,
    .work = stream_work,
    .close = stream_stop,
};
