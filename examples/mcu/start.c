/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * start.c - from reset to main, faults, the timer, and semihosting for text and the exit code
 *
 * Semihosting: `bkpt 0xab` with a number in r0 and an argument in r1 is a call to the debugger, and
 * QEMU is one.
 */
#include "mcu.h"

#define SEMIHOST_WRITE0 0x04
#define SEMIHOST_EXIT 0x18
#define SEMIHOST_STOPPED_WELL 0x20026u
#define SEMIHOST_STOPPED_BADLY 0x20023u

#define SYSTICK ((volatile uint32_t *)0xe000e010u)
#define SHCSR (*(volatile uint32_t *)0xe000ed24u)
#define STACK_PAINT 0x5aa55aa5u

extern uint32_t stack_first[], stack_end[], data_first[], data_end[], bss_first[], bss_end[];
extern const uint32_t data_load[];
extern const char probe_load[];
int main(void);

uint32_t mcu_faults;

static uint32_t semihost(uint32_t number, uintptr_t argument)
{
    register uint32_t r0 __asm__("r0") = number;
    register uintptr_t r1 __asm__("r1") = argument;

    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void mcu_print(const char *text)
{
    semihost(SEMIHOST_WRITE0, (uintptr_t)text);
}

void mcu_print_number(const char *text, uint32_t number, const char *unit)
{
    char digits[12];
    char *at = &digits[11];

    *at = '\0';
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    mcu_print(text);
    mcu_print(at);
    mcu_print(unit);
}

void mcu_exit(bool good)
{
    mcu_print(good ? "RESULT OK\n" : "RESULT FAILED\n");
    for (;;)
        semihost(SEMIHOST_EXIT, good ? SEMIHOST_STOPPED_WELL : SEMIHOST_STOPPED_BADLY);
}

uint32_t mcu_stack_used(void)
{
    const uint32_t *at = stack_first;

    while (*at == STACK_PAINT)
        at++;
    return (uint32_t)((const char *)stack_end - (const char *)at);
}

/* One load of two bytes, so that the fault handler knows what to skip. */
__asm__(".section .text.probe, \"ax\"\n"
        ".thumb\n.syntax unified\n"
        ".global mcu_probe\n.type mcu_probe, %function\nmcu_probe:\n"
        ".global probe_load\nprobe_load:\n"
        "    ldrb r0, [r0]\n"
        "    bx lr\n"
        ".text\n");

__attribute__((used)) static void fault_at(uint32_t *frame)
{
    if (frame[6] != (uintptr_t)probe_load) {
        mcu_print_number("fault at ", frame[6], "\n");
        mcu_exit(false);
    }
    mcu_faults++;
    frame[0] = 0;
    frame[6] += 2;
}

__attribute__((naked)) static void fault(void)
{
    __asm__ volatile("mov r0, sp\n b fault_at");
}

static void unexpected(void)
{
    mcu_print("an exception that is none of ours\n");
    mcu_exit(false);
}

__attribute__((noreturn)) void reset(void);
void reset(void)
{
    for (uint32_t *at = stack_first; at < (uint32_t *)__builtin_frame_address(0) - 8; at++)
        *at = STACK_PAINT;
    for (uint32_t i = 0; &data_first[i] < data_end; i++)
        data_first[i] = data_load[i];
    for (uint32_t *at = bss_first; at < bss_end; at++)
        *at = 0;
    SHCSR |= 1u << 16; /* a fault of the MPU is one of its own */
    mcu_mpu_init();
    SYSTICK[1] = 500; /* 25 MHz: 50,000 interrupts a second */
    SYSTICK[2] = 0;
    SYSTICK[0] = 7;
    mcu_exit(main() == 0);
}

__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    void (*handlers[15])(void);
} vectors = {
    stack_end,
    {reset, unexpected, unexpected, fault, unexpected, unexpected, unexpected, unexpected,
     unexpected, unexpected, unexpected, unexpected, unexpected, unexpected, mcu_tick},
};

/* --- what a freestanding compiler expects of the program ------------------------------------- */

void *memcpy(void *to, const void *from, size_t nbytes);
void *memmove(void *to, const void *from, size_t nbytes);
void *memset(void *memory, int byte, size_t nbytes);
int memcmp(const void *a, const void *b, size_t nbytes);

void *memcpy(void *to, const void *from, size_t nbytes)
{
    for (size_t i = 0; i < nbytes; i++)
        ((char *)to)[i] = ((const char *)from)[i];
    return to;
}

void *memmove(void *to, const void *from, size_t nbytes)
{
    if ((uintptr_t)to <= (uintptr_t)from)
        return memcpy(to, from, nbytes);
    while (nbytes-- > 0)
        ((char *)to)[nbytes] = ((const char *)from)[nbytes];
    return to;
}

void *memset(void *memory, int byte, size_t nbytes)
{
    for (size_t i = 0; i < nbytes; i++)
        ((char *)memory)[i] = (char)byte;
    return memory;
}

int memcmp(const void *a, const void *b, size_t nbytes)
{
    for (size_t i = 0; i < nbytes; i++) {
        if (((const unsigned char *)a)[i] != ((const unsigned char *)b)[i])
            return ((const unsigned char *)a)[i] - ((const unsigned char *)b)[i];
    }
    return 0;
}
