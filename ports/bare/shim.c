/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * shim.c - what the compiler, the core and libfdt want from a C library
 *
 * Compiled with -fno-builtin, or the loops would become calls of themselves. Copies go by words
 * where both sides allow: pages are copied and zeroed with these.
 */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <stdlib.h>

extern const uintptr_t __stack_chk_guard;
const uintptr_t __stack_chk_guard = 0x5bd1e995c2b2ae35u;
_Noreturn void __stack_chk_fail(void);

void __stack_chk_fail(void)
{
    __builtin_trap();
}

void *memcpy(void *to, const void *from, size_t nbytes)
{
    uint8_t *t = to;
    const uint8_t *f = from;

    if ((((uintptr_t)t | (uintptr_t)f) & 7) == 0)
        for (; nbytes >= 32; nbytes -= 32, t += 32, f += 32) {
            uint64_t a = ((const uint64_t *)f)[0], b = ((const uint64_t *)f)[1];
            uint64_t c = ((const uint64_t *)f)[2], d = ((const uint64_t *)f)[3];
            ((uint64_t *)t)[0] = a;
            ((uint64_t *)t)[1] = b;
            ((uint64_t *)t)[2] = c;
            ((uint64_t *)t)[3] = d;
        }
    while (nbytes--)
        *t++ = *f++;
    return to;
}

void *memmove(void *to, const void *from, size_t nbytes)
{
    uint8_t *t = to;
    const uint8_t *f = from;

    if ((uintptr_t)t - (uintptr_t)f >= nbytes)
        return memcpy(to, from, nbytes);
    while (nbytes--)
        t[nbytes] = f[nbytes];
    return to;
}

void *memset(void *memory, int byte, size_t nbytes)
{
    uint8_t *m = memory;
    uint64_t word = (uint8_t)byte * UINT64_C(0x0101010101010101);

    if (((uintptr_t)m & 7) == 0)
        for (; nbytes >= 32; nbytes -= 32, m += 32) {
            ((uint64_t *)m)[0] = word;
            ((uint64_t *)m)[1] = word;
            ((uint64_t *)m)[2] = word;
            ((uint64_t *)m)[3] = word;
        }
    while (nbytes--)
        *m++ = (uint8_t)byte;
    return memory;
}

int memcmp(const void *a, const void *b, size_t nbytes)
{
    const uint8_t *x = a, *y = b;

    for (; nbytes; nbytes--, x++, y++)
        if (*x != *y)
            return *x - *y;
    return 0;
}

void *memchr(const void *memory, int byte, size_t nbytes)
{
    const uint8_t *m = memory;

    for (; nbytes; nbytes--, m++)
        if (*m == (uint8_t)byte)
            return (void *)(uintptr_t)m;
    return NULL;
}

size_t strnlen(const char *string, size_t nbytes)
{
    size_t n = 0;

    while (n < nbytes && string[n])
        n++;
    return n;
}

size_t strlen(const char *string)
{
    return strnlen(string, SIZE_MAX);
}

char *strchr(const char *string, int c)
{
    for (;; string++) {
        if (*string == (char)c)
            return (char *)(uintptr_t)string;
        if (!*string)
            return NULL;
    }
}

char *strrchr(const char *string, int c)
{
    char *found = NULL;

    do {
        if (*string == (char)c)
            found = (char *)(uintptr_t)string;
    } while (*string++);
    return found;
}

/* Decimal only: libfdt wants it for overlays, which nobody applies here. */
unsigned long strtoul(const char *string, char **end, int base)
{
    unsigned long value = 0;

    (void)base;
    for (; (unsigned)*string - '0' < 10; string++)
        value = value * 10 + ((unsigned)*string - '0');
    if (end)
        *end = (char *)(uintptr_t)string;
    return value;
}
