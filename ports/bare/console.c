/* SPDX-License-Identifier: BSD-2-Clause */
/* console.c - a PL011 that QEMU has set up already, and the way out */
#include "bare.h"

#include <stdarg.h>

#define UART_DATA (*(volatile uint32_t *)(uintptr_t)BARE_UART)
#define UART_FLAGS (*(volatile uint32_t *)(uintptr_t)(BARE_UART + 0x18))
#define UART_FULL 0x20u

static void console_byte(char byte)
{
    while (UART_FLAGS & UART_FULL)
        ;
    UART_DATA = (uint8_t)byte;
}

void bare_print(const char *text)
{
    while (*text)
        console_byte(*text++);
}

static void console_number(uint64_t value, uint32_t base)
{
    char digits[24];
    uint32_t n = 0;

    do {
        digits[n++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value);
    while (n)
        console_byte(digits[--n]);
}

void bare_print_u64(uint64_t value)
{
    console_number(value, 10);
}

void bare_print_hex(uint64_t value)
{
    bare_print("0x");
    console_number(value, 16);
}

static void console_int(int value)
{
    if (value < 0)
        bare_print("-");
    console_number(value < 0 ? 0 - (uint64_t)(int64_t)value : (uint64_t)value, 10);
}

void bare_printf(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    for (; *format; format++) {
        if (*format != '%') {
            console_byte(*format);
            continue;
        }
        switch (*++format) {
        case 's': bare_print(va_arg(args, const char *)); break;
        case 'u': bare_print_u64(va_arg(args, uint64_t)); break;
        case 'x': bare_print_hex(va_arg(args, uint64_t)); break;
        case 'd': console_int(va_arg(args, int)); break;
        default: console_byte(*format);
        }
    }
    va_end(args);
}

void bare_exit(int code)
{
    uint64_t block[2] = {0x20026, (uint64_t)code}; /* the program has ended, with this code */
    register uint64_t operation __asm__("x0") = 0x18;
    register uint64_t *parameters __asm__("x1") = block;

    for (;;)
        __asm__ volatile("hlt #0xf000" : "+r"(operation) : "r"(parameters) : "memory");
}

void bare_die(const char *what, uint64_t value)
{
    bare_printf("FAIL: %s: %x\n", what, value);
    bare_exit(1);
}
