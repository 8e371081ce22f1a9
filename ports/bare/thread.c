/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * thread.c - threads on one processor, switched by a timer that comes when it likes
 *
 * A thread that doesn't run has its registers on its own stack (start.S). Every trap may switch: a
 * tick of the timer, a system call that asks for it, an access that must wait. Interrupts are the
 * only concurrency that there is, so whoever masks them is alone.
 *
 * Ticks come at random distances, the same in each run: a fixed distance would meet the same few
 * places of the code again and again.
 */
#include "bare.h"

#define THREADS 6u
#define STACK_NBYTES 16384u
#define TIMER_INTERRUPT 27u /* the virtual timer's, private to the processor */

#define GICD(offset) (*(volatile uint32_t *)(uintptr_t)(BARE_GICD + (offset)))
#define GICC(offset) (*(volatile uint32_t *)(uintptr_t)(BARE_GICC + (offset)))

/* As start.S lays it out. */
struct frame {
    uint64_t x[31];
    uint64_t elr, spsr;
    uint64_t pad;
};
_Static_assert(sizeof(struct frame) == 272, "start.S saves 272 bytes");

#define SPSR_THREAD 0x345u /* EL1, its own stack pointer, interrupts on; the other masks set */

struct thread {
    struct frame *frame;
    const uint32_t *event; /* waits for it; NULL: can run */
    bool used;
};

static struct {
    struct thread threads[THREADS]; /* 0: the first one; THREADS - 1: idle */
    uint32_t current;
    uint64_t random;
    uint64_t max_tick; /* in counts of the timer */
    uint64_t stretch;
    uint64_t switches, faults;
    bool (*fault)(uint64_t vaddr, const uint32_t **event);
} thread;

static _Alignas(16) uint8_t stacks[THREADS][STACK_NBYTES];

struct frame *thread_trap_sync(struct frame *frame);
struct frame *thread_trap_irq(struct frame *frame);
struct frame *thread_trap_other(struct frame *frame);

static uint64_t thread_random(void)
{
    thread.random ^= thread.random << 13;
    thread.random ^= thread.random >> 7;
    thread.random ^= thread.random << 17;
    return thread.random;
}

static void thread_arm_timer(void)
{
    uint64_t max = thread.max_tick * thread.stretch;
    uint64_t counts = max / 16 + thread_random() % max;

    __asm__ volatile("msr cntv_tval_el0, %0\n\tmsr cntv_ctl_el0, %1\n\tisb" ::"r"(counts),
                     "r"((uint64_t)1));
}

uint64_t thread_time_ns(void)
{
    uint64_t count, frequency;

    __asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\tmrs %1, cntfrq_el0"
                     : "=r"(count), "=r"(frequency)::"memory");
    return count / frequency * 1000000000u + count % frequency * 1000000000u / frequency;
}

/* The next one that can run, in turn; the idle one if there is none. */
static struct frame *thread_pick(struct frame *frame)
{
    thread.threads[thread.current].frame = frame;
    for (uint32_t i = 1; i < THREADS; i++) {
        uint32_t at = (thread.current + i) % (THREADS - 1);
        if (thread.current == THREADS - 1)
            at = i - 1;
        if (thread.threads[at].used && !thread.threads[at].event) {
            thread.switches += at != thread.current;
            thread.current = at;
            return thread.threads[at].frame;
        }
    }
    thread.current = THREADS - 1;
    return thread.threads[THREADS - 1].frame;
}

struct frame *thread_trap_irq(struct frame *frame)
{
    uint32_t number = GICC(0x0c) & 0x3ff;

    if (number == 1023)
        return frame;
    if (number != TIMER_INTERRUPT)
        bare_die("unexpected interrupt", number);
    thread_arm_timer();
    GICC(0x10) = number;
    return thread_pick(frame);
}

struct frame *thread_trap_sync(struct frame *frame)
{
    uint64_t syndrome, vaddr;
    const uint32_t *event = NULL;

    __asm__ volatile("mrs %0, esr_el1\n\tmrs %1, far_el1" : "=r"(syndrome), "=r"(vaddr));
    if (syndrome >> 26 == 0x15)
        return thread_pick(frame);
    if (syndrome >> 26 == 0x25 && thread.fault && thread.fault(vaddr, &event)) {
        thread.faults++;
        thread.threads[thread.current].event = event;
        return event ? thread_pick(frame) : frame;
    }
    bare_printf("FAIL: trap: syndrome %x, address %x, at %x\n", syndrome, vaddr, frame->elr);
    bare_exit(1);
}

struct frame *thread_trap_other(struct frame *frame)
{
    bare_die("trap of an unexpected sort", frame->elr);
}

static _Noreturn void thread_end(void)
{
    (void)irq_save();
    thread.threads[thread.current].used = false;
    for (;;)
        __asm__ volatile("svc #0" ::: "memory");
}

static _Noreturn void thread_idle(void *arg)
{
    (void)arg;
    for (;;)
        __asm__ volatile("wfi" ::: "memory");
}

static void thread_prepare(uint32_t at, void (*run)(void *arg), void *arg)
{
    struct frame *frame = (struct frame *)(void *)(stacks[at] + STACK_NBYTES) - 1;

    frame->x[0] = (uintptr_t)arg;
    frame->x[30] = (uintptr_t)thread_end;
    frame->elr = (uintptr_t)run;
    frame->spsr = SPSR_THREAD;
    thread.threads[at].frame = frame;
    thread.threads[at].event = NULL;
    thread.threads[at].used = true;
}

void thread_spawn(void (*run)(void *arg), void *arg)
{
    uintptr_t state = irq_save();

    for (uint32_t at = 1; at < THREADS - 1; at++)
        if (!thread.threads[at].used) {
            thread_prepare(at, run, arg);
            irq_restore(state);
            return;
        }
    bare_die("too many threads", THREADS);
}

void thread_start(uint64_t max_tick_ns)
{
    uint64_t frequency;

    __asm__ volatile("mrs %0, cntfrq_el0" : "=r"(frequency));
    thread.random = 88172645463325252u;
    thread.max_tick = max_tick_ns * (frequency / 1000000u) / 1000u + 1;
    thread.stretch = 1;
    thread.threads[0].used = true;
    thread_prepare(THREADS - 1, thread_idle, NULL);
    GICD(0x100) = 1u << TIMER_INTERRUPT;
    GICD(0) = 1;
    GICC(0x04) = 0xff;
    GICC(0) = 1;
    thread_arm_timer();
    __asm__ volatile("msr daifclr, #2" ::: "memory");
}

uint64_t thread_stretch(uint64_t factor)
{
    uintptr_t state = irq_save();
    uint64_t before = thread.stretch;

    thread.stretch = factor;
    thread_arm_timer();
    irq_restore(state);
    return before;
}

void thread_yield(void)
{
    __asm__ volatile("svc #0" ::: "memory");
}

void thread_relax(void)
{
    __asm__ volatile("wfi" ::: "memory");
}

static bool thread_others(void)
{
    bool others = false;

    for (uint32_t at = 1; at < THREADS - 1; at++)
        others |= thread.threads[at].used && at != thread.current;
    return others;
}

void thread_join(void)
{
    for (;;) {
        uintptr_t state = irq_save();
        bool others = thread_others();
        irq_restore(state);
        if (!others)
            return;
        thread_yield();
    }
}

/* The comparison and the entry in the list are one step: no wake can come in between. */
void thread_wait(const uint32_t *event, uint32_t seen)
{
    uintptr_t state = irq_save();

    if (*(const volatile uint32_t *)event == seen) {
        thread.threads[thread.current].event = event;
        thread_yield();
    }
    irq_restore(state);
}

void thread_wake(const uint32_t *event)
{
    uintptr_t state = irq_save();

    for (uint32_t at = 0; at < THREADS; at++)
        if (thread.threads[at].event == event)
            thread.threads[at].event = NULL;
    irq_restore(state);
}

void thread_on_fault(bool (*fault)(uint64_t vaddr, const uint32_t **event))
{
    thread.fault = fault;
}

uint64_t thread_switches(void)
{
    return thread.switches;
}

uint64_t thread_faults(void)
{
    return thread.faults;
}
