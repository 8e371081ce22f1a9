/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sched.c - who runs next, and what time it is
 *
 * Fibres: one runs at a time and switches at named points only, so that what happens between two
 * points needs no lock. Each has its own clock. The next to run is drawn from those whose clocks
 * are within SCHED_WINDOW_NS of the lowest: far enough to try orders that a real machine would
 * show, near enough for latencies to mean something. A sleeper is a fibre whose clock is ahead.
 *
 * Threads: POSIX threads; waiting goes through one condition variable.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "private.h"

#if defined(__SANITIZE_ADDRESS__)
#define SCHED_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SCHED_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define SCHED_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SCHED_TSAN 1
#endif
#endif

#ifdef SCHED_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif
#ifdef SCHED_TSAN
#include <sanitizer/tsan_interface.h>
#endif

#define SCHED_WINDOW_NS 2000u
#define SCHED_STACK_NBYTES (256u * 1024)
#define SCHED_DELAY_NS 100000u /* an interrupt, at most */
#define SCHED_SPIN_NS 50u
#define SCHED_SPINS_MAX 100000000u

/* The thread's actor; with fibres sim->current says it. */
static _Thread_local struct sim_actor *sched_thread;

struct sim_actor *sim_actor(struct sim *sim)
{
    if (!sim->threads)
        return sim->current;
    return sched_thread && sched_thread->sim == sim ? sched_thread : &sim->actors[0];
}

bool sim_sched_init(struct sim *sim)
{
    struct sim_actor *outside = &sim->actors[0];

    sim->random = sim->config.seed;
    sim->trace = 0xcbf29ce484222325u;
    outside->sim = sim;
    outside->name = "outside";
    outside->random = sim->config.seed ^ 0x6f757473u;
    outside->state = SIM_ACTOR_READY;
    sim->nactors = 1;
    sim->current = outside;
    sim->others_ns = UINT64_MAX;
    return true;
}

/* What an abandoned frame has marked as out of bounds is not so for the next user of the stack. */
static void sched_stack_clean(struct sim_actor *actor)
{
#ifdef SCHED_ASAN
    __asan_unpoison_memory_region(actor->stack, SCHED_STACK_NBYTES);
#else
    (void)actor;
#endif
}

void sim_sched_exit(struct sim *sim)
{
    for (uint32_t i = 1; i < SIM_ACTORS; i++) {
        if (!sim->actors[i].stack)
            continue;
        sched_stack_clean(&sim->actors[i]);
        munmap(sim->actors[i].stack, SCHED_STACK_NBYTES);
    }
}

/* --- clocks, trace, random numbers --------------------------------------------------------- */

void sim_advance(struct sim *sim, uint64_t ns)
{
    sim_actor(sim)->clock_ns += ns;
    if (sim->threads)
        __atomic_fetch_add(&sim->threads_ns, ns, __ATOMIC_RELAXED);
}

uint64_t sim_now_ns(struct sim *sim)
{
    if (sim->threads)
        return __atomic_load_n(&sim->threads_ns, __ATOMIC_RELAXED);
    return sim->current->clock_ns;
}

uint32_t sim_self(struct sim *sim)
{
    return sim_actor(sim)->number;
}

uint64_t sim_self_copied_pages(struct sim *sim)
{
    return sim_actor(sim)->copied_pages;
}

void sim_trace(struct sim *sim, enum sim_event event, uint64_t value)
{
    if (sim->threads)
        return;
    uint64_t hash = sim->trace;
    hash = (hash ^ event ^ (uint64_t)sim->current->number << 8) * 0x100000001b3u;
    hash = (hash ^ value) * 0x100000001b3u;
    hash = (hash ^ sim->current->clock_ns) * 0x100000001b3u;
    sim->trace = hash ^ (hash >> 29);
}

uint64_t sim_trace_hash(struct sim *sim)
{
    return sim->trace;
}

uint64_t sim_random(struct sim *sim)
{
    uint64_t value = sim_mix(&sim_actor(sim)->random);

    sim_trace(sim, SIM_EVENT_RANDOM, value);
    return value;
}

/* --- fibres -------------------------------------------------------------------------------- */

static uint64_t sched_lowest(const struct sim *sim, const struct sim_actor *but)
{
    uint64_t lowest = UINT64_MAX;

    for (uint32_t i = 1; i < sim->nactors; i++) {
        const struct sim_actor *actor = &sim->actors[i];
        if (actor != but && actor->state == SIM_ACTOR_READY && actor->clock_ns < lowest)
            lowest = actor->clock_ns;
    }
    return lowest;
}

/* One of those that may run, but not `but`; NULL: nobody else can. */
static struct sim_actor *sched_pick(struct sim *sim, const struct sim_actor *but)
{
    uint64_t lowest = sched_lowest(sim, but);
    uint32_t n = 0;

    for (uint32_t i = 1; i < sim->nactors; i++) {
        const struct sim_actor *actor = &sim->actors[i];
        if (actor != but && actor->state == SIM_ACTOR_READY &&
            actor->clock_ns - lowest <= SCHED_WINDOW_NS)
            n++;
    }
    if (n == 0)
        return NULL;
    uint32_t nth = (uint32_t)(sim_mix(&sim->random) >> 32) % n;
    for (uint32_t i = 1; i < sim->nactors; i++) {
        struct sim_actor *actor = &sim->actors[i];
        if (actor != but && actor->state == SIM_ACTOR_READY &&
            actor->clock_ns - lowest <= SCHED_WINDOW_NS && nth-- == 0)
            return actor;
    }
    return NULL;
}

static void sched_deadlock(struct sim *sim)
{
    char names[400];
    size_t at = 0;

    names[0] = '\0';
    for (uint32_t i = 1; i < sim->nactors; i++)
        if (sim->actors[i].state == SIM_ACTOR_WAITING && at < sizeof(names) - 40)
            at += (size_t)snprintf(names + at, sizeof(names) - at, "%s%.24s (%u)", at ? ", " : "",
                                   sim->actors[i].name, (unsigned)i);
    sim_die(sim, "deadlock, all wait", names);
}

/* `dying`: the one that runs never comes back. */
static void sched_switch(struct sim *sim, struct sim_actor *to, bool dying)
{
    struct sim_actor *from = sim->current;

    if (to == from)
        return;
    sim->current = to;
    sim->others_ns = sched_lowest(sim, to);
    sim->stats.switches++;
    sim_trace(sim, SIM_EVENT_SWITCH, to->number);
#ifdef SCHED_TSAN
    if (!from->tsan_fibre)
        from->tsan_fibre = __tsan_get_current_fiber();
    if (!to->tsan_fibre)
        to->tsan_fibre = __tsan_create_fiber(0);
    __tsan_switch_to_fiber(to->tsan_fibre, 0);
#endif
#ifdef SCHED_ASAN
    __sanitizer_start_switch_fiber(dying ? NULL : &from->fake_stack, to->asan_bottom,
                                   to->asan_nbytes);
#else
    (void)dying;
#endif
    swapcontext(&from->context, &to->context);
#ifdef SCHED_ASAN
    __sanitizer_finish_switch_fiber(from->fake_stack, NULL, NULL);
#endif
}

static void sched_fibre_main(unsigned high, unsigned low)
{
    struct sim_actor *self = (void *)(((uintptr_t)high << 16 << 16) | low);
    struct sim *sim = self->sim;

#ifdef SCHED_ASAN
    const void *bottom;
    size_t nbytes;
    __sanitizer_finish_switch_fiber(NULL, &bottom, &nbytes);
    if (!sim->actors[0].asan_bottom) {
        sim->actors[0].asan_bottom = bottom;
        sim->actors[0].asan_nbytes = nbytes;
    }
#endif
    self->run(self->arg);
    self->state = SIM_ACTOR_DONE;
    if (self->clock_ns > sim->actors[0].clock_ns)
        sim->actors[0].clock_ns = self->clock_ns;
    struct sim_actor *next = sched_pick(sim, self);
    if (!next) {
        for (uint32_t i = 1; i < sim->nactors; i++)
            if (sim->actors[i].state == SIM_ACTOR_WAITING)
                sched_deadlock(sim);
        next = &sim->actors[0];
    }
    sched_switch(sim, next, true);
}

static void sched_fibre_prepare(struct sim *sim, struct sim_actor *actor)
{
    uintptr_t at = (uintptr_t)actor;

    if (!actor->stack) {
        actor->stack = sim_reserve(SCHED_STACK_NBYTES, PROT_READ | PROT_WRITE);
        if (!actor->stack || mprotect(actor->stack, (size_t)sysconf(_SC_PAGESIZE), PROT_NONE) != 0)
            sim_die(sim, "no memory on the host", "stack of a fibre");
    }
    sched_stack_clean(actor);
    actor->asan_bottom = actor->stack;
    actor->asan_nbytes = SCHED_STACK_NBYTES;
    getcontext(&actor->context);
    actor->context.uc_stack.ss_sp = actor->stack;
    actor->context.uc_stack.ss_size = SCHED_STACK_NBYTES;
    actor->context.uc_link = NULL;
    makecontext(&actor->context, (void (*)(void))sched_fibre_main, 2,
                (unsigned)((uint64_t)at >> 32), (unsigned)at);
}

static void sched_run_fibres(struct sim *sim)
{
    struct sim_actor *next = sched_pick(sim, NULL);

    if (next)
        sched_switch(sim, next, false);
    for (uint32_t i = 1; i < sim->nactors; i++) {
        struct sim_actor *actor = &sim->actors[i];
        actor->state = SIM_ACTOR_FREE;
#ifdef SCHED_TSAN
        if (actor->tsan_fibre)
            __tsan_destroy_fiber(actor->tsan_fibre);
        actor->tsan_fibre = NULL;
#endif
    }
    sim->nactors = 1;
    sim->others_ns = UINT64_MAX;
}

void sim_delay(struct sim *sim)
{
    if (!sim->threads && sim->current->number)
        sim->current->clock_ns += sim_mix(&sim->random) % SCHED_DELAY_NS;
}

void sim_point(struct sim *sim, uint32_t one_in)
{
    struct sim_actor *self = sim->current;

    if (sim->threads || self->number == 0 || sim->others_ns == UINT64_MAX)
        return;
    if (sim->config.delay_one_in && sim_mix(&sim->random) % sim->config.delay_one_in == 0)
        sim_delay(sim);
    if (self->clock_ns > sim->others_ns && self->clock_ns - sim->others_ns > SCHED_WINDOW_NS) {
        sched_switch(sim, sched_pick(sim, NULL), false);
    } else if ((self->clock_ns >= sim->others_ns ||
                sim->others_ns - self->clock_ns <= SCHED_WINDOW_NS) &&
               (uint32_t)(sim_mix(&sim->random) >> 32) % one_in == 0) {
        sched_switch(sim, sched_pick(sim, NULL), false);
    }
}

/* --- threads ------------------------------------------------------------------------------- */

/* All threads that live wait for something that has not happened; with sched_lock held. */
static bool sched_threads_stuck(const struct sim *sim)
{
    bool waiting = false;

    for (uint32_t i = 1; i < sim->nactors; i++) {
        const struct sim_actor *actor = &sim->actors[i];
        if (actor->state == SIM_ACTOR_READY)
            return false;
        if (actor->state != SIM_ACTOR_WAITING)
            continue;
        if (__atomic_load_n(actor->event, __ATOMIC_ACQUIRE) != actor->seen)
            return false;
        waiting = true;
    }
    return waiting;
}

static void *sched_thread_main(void *arg)
{
    struct sim_actor *self = arg;
    struct sim *sim = self->sim;

    sched_thread = self;
    self->run(self->arg);
    pthread_mutex_lock(&sim->sched_lock);
    self->state = SIM_ACTOR_DONE;
    if (sched_threads_stuck(sim))
        sched_deadlock(sim);
    pthread_mutex_unlock(&sim->sched_lock);
    return NULL;
}

static void sched_thread_start(struct sim *sim, struct sim_actor *actor)
{
    actor->started = true;
    if (pthread_create(&actor->thread, NULL, sched_thread_main, actor) != 0)
        sim_die(sim, "no memory on the host", "a thread");
}

static void sched_run_threads(struct sim *sim)
{
    uint32_t i;

    pthread_mutex_lock(&sim->sched_lock);
    sim->running = true;
    for (i = 1; i < sim->nactors; i++)
        sched_thread_start(sim, &sim->actors[i]);
    for (i = 1; i < sim->nactors; i++) {
        if (sim->actors[i].state == SIM_ACTOR_FREE)
            continue;
        pthread_t thread = sim->actors[i].thread;
        pthread_mutex_unlock(&sim->sched_lock);
        pthread_join(thread, NULL);
        pthread_mutex_lock(&sim->sched_lock);
        sim->actors[i].state = SIM_ACTOR_FREE;
        i = 0; /* one that ended may have started another in a place that was passed */
    }
    sim->running = false;
    sim->nactors = 1;
    pthread_mutex_unlock(&sim->sched_lock);
}

/* --- both ---------------------------------------------------------------------------------- */

void sim_spawn(struct sim *sim, const char *name, void (*run)(void *arg), void *arg)
{
    struct sim_actor *actor = NULL, *self = sim_actor(sim);

    if (sim->threads)
        pthread_mutex_lock(&sim->sched_lock);
    for (uint32_t i = 1; i < SIM_ACTORS && !actor; i++)
        if (sim->actors[i].state == SIM_ACTOR_FREE ||
            (!sim->threads && sim->actors[i].state == SIM_ACTOR_DONE))
            actor = &sim->actors[i];
    if (!actor)
        sim_die(sim, "too many fibres", name);
    actor->sim = sim;
    actor->name = name;
    actor->run = run;
    actor->arg = arg;
    actor->number = (uint32_t)(actor - sim->actors);
    actor->clock_ns = self->clock_ns;
    actor->random = sim_mix(&self->random);
    actor->locks = 0;
    actor->copied_pages = 0;
    actor->started = false;
    actor->state = SIM_ACTOR_READY;
    if (actor->number >= sim->nactors)
        sim->nactors = actor->number + 1;
    if (!sim->threads) {
        sched_fibre_prepare(sim, actor);
        if (actor->clock_ns < sim->others_ns)
            sim->others_ns = actor->clock_ns;
    } else {
        if (sim->running)
            sched_thread_start(sim, actor);
        pthread_mutex_unlock(&sim->sched_lock);
    }
}

void sim_run(struct sim *sim)
{
    if (sim->threads)
        sched_run_threads(sim);
    else
        sched_run_fibres(sim);
}

void sim_yield(struct sim *sim)
{
    struct sim_actor *next;

    if (sim->threads) {
        sched_yield();
        return;
    }
    if (sim->current->number == 0)
        return;
    sim->current->clock_ns += SCHED_SPIN_NS;
    next = sched_pick(sim, sim->current);
    if (next && next->clock_ns <= sim->current->clock_ns + SCHED_WINDOW_NS)
        sched_switch(sim, next, false);
}

void sim_spend_ns(struct sim *sim, uint64_t ns)
{
    sim_advance(sim, ns);
    sim_point(sim, 4);
}

void sim_sleep_ns(struct sim *sim, uint64_t ns)
{
    sim_advance(sim, ns + sim_cost_ns(SIM_COST_CONTEXT_SWITCH));
    if (sim->threads) {
        struct timespec nap = {0, (long)(ns < 50000 ? ns : 50000)};
        nanosleep(&nap, NULL);
        return;
    }
    sim_evict(sim, 4);
    sim_point(sim, 1);
}

void sim_spin(struct sim *sim, uint32_t holder)
{
    struct sim_actor *self = sim_actor(sim), *next;

    if (sim->threads) {
        sched_yield();
        return;
    }
    self->clock_ns += SCHED_SPIN_NS;
    if (holder < SIM_ACTORS && sim->actors[holder].state == SIM_ACTOR_READY &&
        sim->actors[holder].clock_ns > self->clock_ns)
        self->clock_ns = sim->actors[holder].clock_ns;
    next = self->number ? sched_pick(sim, self) : NULL;
    if (!next)
        sim_die(sim, "deadlock", "spins for a lock whose holder can't run");
    sched_switch(sim, next, false);
}

static void sched_wait_thread(struct sim *sim, const uint32_t *event, uint32_t seen)
{
    struct sim_actor *self = sim_actor(sim);

    pthread_mutex_lock(&sim->sched_lock);
    self->event = event;
    self->seen = seen;
    while (__atomic_load_n(event, __ATOMIC_ACQUIRE) == seen) {
        self->state = SIM_ACTOR_WAITING;
        if (sched_threads_stuck(sim))
            sched_deadlock(sim);
        pthread_cond_wait(&sim->changed, &sim->sched_lock);
    }
    self->state = SIM_ACTOR_READY;
    pthread_mutex_unlock(&sim->sched_lock);
}

void sim_wait_event(struct sim *sim, const uint32_t *event, uint32_t seen)
{
    struct sim_actor *self = sim_actor(sim), *next;

    if (sim->threads) {
        sched_wait_thread(sim, event, seen);
        return;
    }
    if (__atomic_load_n(event, __ATOMIC_ACQUIRE) != seen)
        return;
    self->event = event;
    self->seen = seen;
    if (self->number)
        self->state = SIM_ACTOR_WAITING;
    next = sched_pick(sim, self);
    if (!next || self->number == 0)
        sched_deadlock(sim);
    sched_switch(sim, next, false);
    sim_advance(sim, sim_cost_ns(SIM_COST_CONTEXT_SWITCH));
}

void sim_wake_event(struct sim *sim, const uint32_t *event)
{
    if (sim->threads) {
        pthread_mutex_lock(&sim->sched_lock);
        pthread_cond_broadcast(&sim->changed);
        pthread_mutex_unlock(&sim->sched_lock);
        return;
    }
    for (uint32_t i = 1; i < sim->nactors; i++) {
        struct sim_actor *actor = &sim->actors[i];
        if (actor->state != SIM_ACTOR_WAITING || actor->event != event)
            continue;
        actor->state = SIM_ACTOR_READY;
        if (actor->clock_ns < sim->current->clock_ns)
            actor->clock_ns = sim->current->clock_ns;
        if (actor->clock_ns < sim->others_ns)
            sim->others_ns = actor->clock_ns;
    }
}

void sim_lock(struct sim *sim, struct sim_mutex *mutex)
{
    uint32_t self = sim_self(sim), holder = 0, spins = 0;

    /* Time passes, for all that fibres do: one that polls gets to where the others are. */
    sim_advance(sim, sim_cost_ns(SIM_COST_LOCK));
    sim_point(sim, 16);
    while (!__atomic_compare_exchange_n(&mutex->holder, &holder, self + 1, false, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED)) {
        if (holder == self + 1)
            sim_die(sim, "deadlock", "a lock of the simulated machine taken twice");
        if (++spins == SCHED_SPINS_MAX)
            sim_die(sim, "deadlock", "a lock of the simulated machine never comes free");
        sim_spin(sim, holder - 1);
        holder = 0;
    }
}

void sim_unlock(struct sim *sim, struct sim_mutex *mutex)
{
    __atomic_store_n(&mutex->holder, 0, __ATOMIC_RELEASE);
    sim_point(sim, 16);
}
