/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * atomic.h - atomic access to plain words
 *
 * Public structs are also read by C++ and hold plain integers; what several threads touch is
 * accessed through these functions only. peek and poke order nothing (hints, and words that a lock
 * protects but that others read without it); load acquires, store releases, the others do both.
 * Never 64 bits: 32-bit processors would need a lock for it.
 */
#ifndef CMA_BASE_ATOMIC_H
#define CMA_BASE_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

_Static_assert(sizeof(_Atomic uint32_t) == 4 && _Alignof(_Atomic uint32_t) == _Alignof(uint32_t),
               "an atomic word is a word");
_Static_assert(sizeof(_Atomic uint16_t) == 2 && _Alignof(_Atomic uint16_t) == _Alignof(uint16_t),
               "an atomic half word is a half word");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2 && sizeof(int) == 4, "32-bit atomics need no lock");

/* Where code is small, compilers make calls of one-instruction functions, which is larger. */
#define CMA__INLINE inline __attribute__((always_inline))

static inline _Atomic uint32_t *atom_of(const uint32_t *word)
{
    return (_Atomic uint32_t *)(uintptr_t)word;
}

static CMA__INLINE uint32_t atom_peek(const uint32_t *word)
{
    return atomic_load_explicit(atom_of(word), memory_order_relaxed);
}

static CMA__INLINE void atom_poke(uint32_t *word, uint32_t value)
{
    atomic_store_explicit(atom_of(word), value, memory_order_relaxed);
}

static CMA__INLINE uint16_t atom_peek16(const uint16_t *word)
{
    return atomic_load_explicit((_Atomic uint16_t *)(uintptr_t)word, memory_order_relaxed);
}

static CMA__INLINE void atom_poke16(uint16_t *word, uint16_t value)
{
    atomic_store_explicit((_Atomic uint16_t *)(uintptr_t)word, value, memory_order_relaxed);
}

static CMA__INLINE uint32_t atom_load(const uint32_t *word)
{
    return atomic_load_explicit(atom_of(word), memory_order_acquire);
}

static inline void atom_store(uint32_t *word, uint32_t value)
{
    atomic_store_explicit(atom_of(word), value, memory_order_release);
}

/* If *word is *expected it becomes `desired`; else *expected becomes what it is. */
static inline bool atom_swap_if(uint32_t *word, uint32_t *expected, uint32_t desired)
{
    return atomic_compare_exchange_strong_explicit(atom_of(word), expected, desired,
                                                   memory_order_acq_rel, memory_order_acquire);
}

/* Empties the word and returns what was in it: of several callers one gets it. */
static inline uint32_t atom_take(uint32_t *word)
{
    return atomic_exchange_explicit(atom_of(word), 0, memory_order_acq_rel);
}

/* These return what the word was before. Sequentially consistent: event and waiters need that. */
static inline uint32_t atom_add(uint32_t *word, uint32_t value)
{
    return atomic_fetch_add(atom_of(word), value);
}

static inline uint32_t atom_sub(uint32_t *word, uint32_t value)
{
    return atomic_fetch_sub(atom_of(word), value);
}

static inline uint32_t atom_and(uint32_t *word, uint32_t value)
{
    return atomic_fetch_and(atom_of(word), value);
}

static inline uint32_t atom_load_ordered(const uint32_t *word)
{
    return atomic_load(atom_of(word));
}

#endif
