/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * runmap.c - a tree that knows what free runs there are
 *
 * Storage: a word that says which leaf is late (below), a word of "in use" bits for each 32 units,
 * a word of "begins a run" bits for each, and the tree. Its nodes are numbered as in a heap: 1 is
 * the root, the children of i are 2i and 2i + 1, leaf number k is top + k, where `top` is the least
 * power of two that is no less than the number of leaves; behind the last leaf only as much is
 * stored as makes a pair. Units behind the end are in use for good.
 *
 * A node knows the free units at its beginning and at its end, its longest free run, and of the
 * runs that touch neither of its ends, which lengths there are: one bit for each of 64 bins,
 * exact up to seven units and four to an octave from there on. A run of a bin is then found by
 * going down where the bit is set, into the left half first; it lies in a half, or across the
 * middle. A change is led up until a node says the same as before. What a put changed in one leaf
 * is led up only when the next put comes, or a search that this leaf has nothing for: so who puts a
 * run and takes one as long, as full maps are used, does not climb the tree at all.
 *
 * What is wanted comes out of the lowest bin that has a run for it, so that a long run is cut
 * only when no shorter one does. In the bin of n itself, and with an alignment or a boundary in
 * longer ones too, not every run does; they are tried one by one, some at first, and the rest when
 * there is nothing in the bins where every run does.
 */
#include "runmap.h"

#include "atomic.h"
#include "bits.h"
#include "guard.h"
#include "mem.h"

#define RUNMAP_TRIES 16u /* runs that are tried, each in vain, before longer ones are cut */
#define RUNMAP_BINS 64u

struct runmap_node {
    uint32_t prefix, suffix, longest;
    uint32_t bins[2];
};

struct runmap {
    uint32_t *late; /* the leaf whose change is not led up, plus 1; 0: none */
    uint32_t *used, *begins;
    struct runmap_node *nodes;
    uint32_t top;
};

struct runmap_want {
    uint32_t n, align, boundary, bias;
};

static uint32_t runmap_nleaves(uint32_t nunits)
{
    return (nunits - 1) / 32 + 1;
}

static CMA__INLINE struct runmap runmap_of(uint32_t *map, uint32_t nunits)
{
    uint32_t nleaves = runmap_nleaves(nunits);
    struct runmap it;

    it.late = map;
    it.used = map + 1;
    it.begins = it.used + nleaves;
    it.nodes = (struct runmap_node *)(void *)(it.begins + nleaves);
    it.top = nleaves == 1 ? 1 : UINT32_C(2) << bits_highest(nleaves - 1);
    return it;
}

/* For calls that only look. */
static struct runmap runmap_look(const uint32_t *map, uint32_t nunits)
{
    return runmap_of((uint32_t *)(uintptr_t)map, nunits);
}

uint64_t cma__runmap_words(uint32_t nunits)
{
    uint64_t nleaves = runmap_nleaves(nunits);
    uint64_t top = nleaves == 1 ? 1 : UINT64_C(2) << bits_highest((uint32_t)nleaves - 1);

    return 1 + nleaves * 2 + (top + nleaves + nleaves % 2) * (sizeof(struct runmap_node) / 4);
}

/* --- the tree ------------------------------------------------------------------------------ */

/* Of a length, 1 up. */
static CMA__INLINE uint32_t runmap_bin(uint32_t length)
{
    uint32_t high = bits_highest(length);
    uint32_t bin = high < 2 ? length : ((high - 1) << 2) + ((length >> (high - 2)) & 3);

    return bin < RUNMAP_BINS ? bin : RUNMAP_BINS - 1;
}

/* The lowest bin of which each run has that length. */
static CMA__INLINE uint32_t runmap_bin_above(uint64_t length)
{
    uint32_t n = (uint32_t)bits_min(length, UINT32_MAX);
    uint32_t high = bits_highest(n);
    uint32_t bin = runmap_bin(n);

    return bin == RUNMAP_BINS - 1 || (high >= 2 && (n & ((UINT32_C(1) << (high - 2)) - 1)) != 0)
               ? bin + 1
               : bin;
}

static CMA__INLINE bool runmap_has(const struct runmap_node *node, uint32_t bin)
{
    return ((node->bins[bin / 32] >> (bin % 32)) & 1) != 0;
}

static CMA__INLINE void runmap_add(struct runmap_node *node, uint32_t length)
{
    uint32_t bin = runmap_bin(length);

    node->bins[bin / 32] |= UINT32_C(1) << (bin % 32);
}

static struct runmap_node runmap_leaf(uint32_t used)
{
    struct runmap_node node = {32, 32, 32, {0, 0}};
    uint32_t free = ~used, inner, length = 1;

    if (used == 0) {
        return node;
    }
    node.longest = 0;
    node.prefix = bits_lowest(used);
    node.suffix = 31 - bits_highest(used);
    /* Where runs begin that are at least `length` long, without the first and the last. */
    inner = free & ~(free << 1) & ~UINT32_C(1);
    if (node.suffix != 0) {
        inner &= ~(UINT32_C(1) << (32 - node.suffix));
    }
    /* Branches on random bits cost more than steps in vain; up to 7 a length is its bin. */
    for (; length < 8; length++) {
        uint32_t longer = inner & (free >> length);

        node.longest = inner != 0 ? length : node.longest;
        node.bins[0] |= (uint32_t)(longer != inner) << length;
        inner = longer;
    }
    for (; inner != 0; length++) {
        uint32_t longer = inner & (free >> length);

        node.longest = length;
        node.bins[0] |= (uint32_t)(longer != inner) << runmap_bin(length);
        inner = longer;
    }
    node.longest = node.longest > node.prefix ? node.longest : node.prefix;
    node.longest = node.longest > node.suffix ? node.longest : node.suffix;
    return node;
}

/* Stores a node; was it another one? */
static CMA__INLINE bool runmap_store(struct runmap_node *to, const struct runmap_node *node)
{
    if (((to->prefix ^ node->prefix) | (to->suffix ^ node->suffix) | (to->longest ^ node->longest) |
         (to->bins[0] ^ node->bins[0]) | (to->bins[1] ^ node->bins[1])) == 0) {
        return false;
    }
    to->prefix = node->prefix;
    to->suffix = node->suffix;
    to->longest = node->longest;
    to->bins[0] = node->bins[0];
    to->bins[1] = node->bins[1];
    return true;
}

/* What node i is, whose halves have room for `half` units each. */
static struct runmap_node runmap_join(const struct runmap *it, uint32_t i, uint32_t half)
{
    const struct runmap_node *left = &it->nodes[i * 2], *right = left + 1;
    uint32_t across = left->suffix + right->prefix;
    struct runmap_node node;

    node.prefix = left->prefix + (left->prefix == half ? right->prefix : 0);
    node.suffix = right->suffix + (right->suffix == half ? left->suffix : 0);
    node.longest = left->longest > right->longest ? left->longest : right->longest;
    node.longest = node.longest > across ? node.longest : across;
    node.bins[0] = left->bins[0] | right->bins[0];
    node.bins[1] = left->bins[1] | right->bins[1];
    if (across != 0 && left->suffix != half && right->prefix != half) {
        uint32_t bin = runmap_bin(across), bit = UINT32_C(1) << (bin % 32);

        node.bins[0] |= bin < 32 ? bit : 0;
        node.bins[1] |= bin < 32 ? 0 : bit;
    }
    return node;
}

/* Leads a change of the leaves low to high up. */
static void runmap_lead_up(const struct runmap *it, uint32_t low, uint32_t high)
{
    struct runmap_node node;
    uint32_t half = 32;
    bool changed = true;

    low += it->top;
    high += it->top;
    while (low != high && changed) {
        low /= 2;
        high /= 2;
        changed = false;
        for (uint32_t i = low; i <= high; i++) {
            node = runmap_join(it, i, half);
            changed |= runmap_store(&it->nodes[i], &node);
        }
        half *= 2;
    }
    while (low > 1 && changed) {
        low /= 2;
        node = runmap_join(it, low, half);
        changed = runmap_store(&it->nodes[low], &node);
        half *= 2;
    }
}

/* Leads up what is late. */
static void runmap_settle(const struct runmap *it)
{
    uint32_t late = *it->late;

    *it->late = 0;
    if (late != 0) {
        runmap_lead_up(it, late - 1, late - 1);
    }
}

/* Marks units as used or free, and tells the tree: at once, or for one leaf, later. */
static CMA__APART void runmap_mark(const struct runmap *it, uint32_t first, uint32_t last,
                                   bool used, bool later)
{
    uint32_t low = first / 32, high = last / 32;
    bool changed = false;

    for (uint32_t i = low; i <= high; i++) {
        uint32_t mask = bits_mask(i == low ? first % 32 : 0, i == high ? last % 32 : 31);
        struct runmap_node node;

        it->used[i] = used ? it->used[i] | mask : it->used[i] & ~mask;
        node = runmap_leaf(it->used[i]);
        changed |= runmap_store(&it->nodes[it->top + i], &node);
    }
    if (low == high && later) {
        if (*it->late != low + 1) {
            runmap_settle(it);
            *it->late = low + 1;
        }
    } else if (changed) {
        runmap_lead_up(it, low, high);
    }
}

void cma__runmap_init(uint32_t *map, uint32_t nunits)
{
    struct runmap it = runmap_of(map, nunits);
    uint32_t nleaves = runmap_nleaves(nunits);

    memset(map, 0, (size_t)cma__runmap_words(nunits) * sizeof(*map));
    if (nunits % 32 != 0) {
        it.used[nleaves - 1] = UINT32_MAX << (nunits % 32);
    }
    for (uint32_t i = 0; i < nleaves; i++) {
        it.nodes[it.top + i] = runmap_leaf(it.used[i]);
    }
    runmap_lead_up(&it, 0, nleaves - 1);
}

/* --- searches ------------------------------------------------------------------------------ */

/* Where in a free run what is wanted begins, if it fits. */
static uint32_t runmap_fit(const struct runmap_want *want, uint32_t first, uint32_t length)
{
    uint64_t at = (uint64_t)first + want->bias;

    at = (at + want->align - 1) & ~((uint64_t)want->align - 1);
    if (want->boundary != 0 && (at & (want->boundary - 1)) + want->n > want->boundary) {
        /* `align` is smaller then: from one of its multiples that were multiples of the boundary
         * no run would cross. */
        at = (at + want->boundary - 1) & ~((uint64_t)want->boundary - 1);
    }
    at -= want->bias;
    return at + want->n <= (uint64_t)first + length ? (uint32_t)at : CMA__RUNMAP_NONE;
}

/* The first unit below node i. */
static CMA__INLINE uint32_t runmap_first(const struct runmap *it, uint32_t i)
{
    return ((i << (bits_highest(it->top) - bits_highest(i))) - it->top) * 32;
}

/* The run across the middle of node i, if it is of that bin. */
static uint32_t runmap_across(const struct runmap *it, const struct runmap_want *want, uint32_t i,
                              uint32_t bin, uint32_t *tries)
{
    const struct runmap_node *left = &it->nodes[i * 2], *right = left + 1;
    uint32_t length = left->suffix + right->prefix;

    if (length == 0 || runmap_bin(length) != bin) {
        return CMA__RUNMAP_NONE;
    }
    *tries += 1;
    return runmap_fit(want, runmap_first(it, i * 2 + 1) - left->suffix, length);
}

/* The runs of that bin in a leaf. */
static uint32_t runmap_in_leaf(const struct runmap *it, const struct runmap_want *want, uint32_t i,
                               uint32_t bin, uint32_t *tries)
{
    uint32_t used = it->used[i - it->top];
    uint32_t last = bits_highest(used), at = bits_lowest(used);

    /* Between two units that are in use. */
    while (at != last) {
        uint32_t next = at + 1 + bits_lowest(used >> (at + 1));

        if (next != at + 1 && runmap_bin(next - at - 1) == bin) {
            uint32_t fit = runmap_fit(want, runmap_first(it, i) + at + 1, next - at - 1);

            *tries += 1;
            if (fit != CMA__RUNMAP_NONE) {
                return fit;
            }
        }
        at = next;
    }
    return CMA__RUNMAP_NONE;
}

/* Tries the runs of a bin by address, but for those at both ends of the map. */
static uint32_t runmap_find_inner(const struct runmap *it, const struct runmap_want *want,
                                  uint32_t bin, uint32_t *tries, uint32_t tries_max)
{
    bool up = !runmap_has(&it->nodes[1], bin);
    uint32_t i = 1, at;

    for (;;) {
        if (up) {
            /* To the next node whose left half is done with. */
            while ((i & 1) != 0) {
                i /= 2;
            }
            if (i == 0) {
                return CMA__RUNMAP_NONE;
            }
            i /= 2;
        } else if (i < it->top && runmap_has(&it->nodes[i * 2], bin)) {
            i *= 2;
            continue;
        }
        if (i < it->top) {
            at = runmap_across(it, want, i, bin, tries);
            up = !runmap_has(&it->nodes[i * 2 + 1], bin);
            i = up ? i : i * 2 + 1;
        } else {
            at = runmap_in_leaf(it, want, i, bin, tries);
            up = true;
        }
        if (at != CMA__RUNMAP_NONE || *tries >= tries_max) {
            return at;
        }
    }
}

static CMA__APART uint32_t runmap_find_bin(const struct runmap *it, const struct runmap_want *want,
                                           uint32_t bin, uint32_t *tries, uint32_t tries_max)
{
    const struct runmap_node *root = &it->nodes[1];
    uint32_t at = CMA__RUNMAP_NONE;

    if (root->prefix != 0 && runmap_bin(root->prefix) == bin) {
        at = runmap_fit(want, 0, root->prefix);
    }
    if (at == CMA__RUNMAP_NONE) {
        at = runmap_find_inner(it, want, bin, tries, tries_max);
    }
    if (at == CMA__RUNMAP_NONE && root->suffix != 0 && runmap_bin(root->suffix) == bin) {
        at = runmap_fit(want, it->top * 32 - root->suffix, root->suffix);
    }
    return at;
}

/* The lowest bin from `bin` on of which there is a run; RUNMAP_BINS: there is none. */
static CMA__APART uint32_t runmap_next_bin(const struct runmap *it, uint32_t bin)
{
    struct runmap_node all = it->nodes[1];

    if (all.prefix != 0) {
        runmap_add(&all, all.prefix);
    }
    if (all.suffix != 0) {
        runmap_add(&all, all.suffix);
    }
    for (uint32_t word = bin / 32; word < RUNMAP_BINS / 32; word++) {
        uint32_t bits = all.bins[word] & (word == bin / 32 ? UINT32_MAX << (bin % 32) : UINT32_MAX);

        if (bits != 0) {
            return word * 32 + bits_lowest(bits);
        }
    }
    return RUNMAP_BINS;
}

/* Where the longest run begins. */
static uint32_t runmap_find_longest(const struct runmap *it)
{
    uint32_t length = it->nodes[1].longest, i = 1, free;

    while (i < it->top) {
        const struct runmap_node *left = &it->nodes[i * 2], *right = left + 1;

        if (left->suffix + right->prefix == length) {
            return runmap_first(it, i * 2 + 1) - left->suffix;
        }
        i = i * 2 + (left->longest != length);
    }
    free = ~it->used[i - it->top];
    while (--length != 0) {
        free &= free >> 1;
    }
    return runmap_first(it, i) + bits_lowest(free);
}

static uint32_t runmap_find(const struct runmap *it, const struct runmap_want *want)
{
    uint64_t enough =
        (uint64_t)want->n + (want->align - 1) + (want->boundary != 0 ? want->n - 1 : 0);
    uint32_t sure = runmap_bin_above(enough), from = runmap_bin(want->n), tries = 0, at, bin;

    if (it->nodes[1].longest < want->n) {
        return CMA__RUNMAP_NONE;
    }
    for (bin = from; bin < RUNMAP_BINS; bin++) {
        bin = runmap_next_bin(it, bin);
        if (bin < RUNMAP_BINS && (bin >= sure || tries < RUNMAP_TRIES)) {
            at = runmap_find_bin(it, want, bin, &tries, bin >= sure ? UINT32_MAX : RUNMAP_TRIES);
            if (at != CMA__RUNMAP_NONE) {
                return at;
            }
        }
    }
    if (enough == want->n) {
        return runmap_find_longest(it);
    }
    /* Nothing is so long that it does surely: all that was left out. */
    for (bin = from; bin < sure; bin++) {
        bin = runmap_next_bin(it, bin);
        if (bin < sure) {
            at = runmap_find_bin(it, want, bin, &tries, UINT32_MAX);
            if (at != CMA__RUNMAP_NONE) {
                return at;
            }
        }
    }
    return CMA__RUNMAP_NONE;
}

/* --- for others ---------------------------------------------------------------------------- */

/* A run that the leaf has which is late, if it is an exact fit: up to 7 a length is its bin. */
static uint32_t runmap_find_late(const struct runmap *it, const struct runmap_want *want)
{
    uint32_t leaf = it->top + *it->late - 1, bin = runmap_bin(want->n), tries = 0;

    return *it->late != 0 && want->n < 8 && runmap_has(&it->nodes[leaf], bin)
               ? runmap_in_leaf(it, want, leaf, bin, &tries)
               : CMA__RUNMAP_NONE;
}

uint32_t cma__runmap_take(uint32_t *map, uint32_t nunits, uint32_t n, uint32_t align,
                          uint32_t boundary, uint32_t bias)
{
    struct runmap it = runmap_of(map, nunits);
    struct runmap_want want = {n, align, boundary, bias};
    uint32_t first = runmap_find_late(&it, &want);
    bool late = first != CMA__RUNMAP_NONE;

    cma__assert(n != 0 && align != 0 && (boundary == 0 || boundary >= n));
    if (!late) {
        runmap_settle(&it);
        first = runmap_find(&it, &want);
    }
    if (first != CMA__RUNMAP_NONE) {
        cma__assert(first < nunits && n <= nunits - first);
        it.begins[first / 32] |= UINT32_C(1) << (first % 32);
        runmap_mark(&it, first, first + n - 1, true, late);
    }
    return first;
}

uint32_t cma__runmap_length(const uint32_t *map, uint32_t nunits, uint32_t first)
{
    struct runmap it = runmap_look(map, nunits);
    uint32_t nleaves = runmap_nleaves(nunits), at = first / 32, ends;

    if (first >= nunits || ((it.begins[at] >> (first % 32)) & 1) == 0) {
        return 0;
    }
    /* To the next unit that is free or begins another run. */
    ends = (~it.used[at] | it.begins[at]) & ~bits_mask(0, first % 32);
    while (ends == 0 && ++at < nleaves) {
        ends = ~it.used[at] | it.begins[at];
    }
    at = ends != 0 ? at * 32 + bits_lowest(ends) : nunits;
    return (at < nunits ? at : nunits) - first;
}

void cma__runmap_put(uint32_t *map, uint32_t nunits, uint32_t first)
{
    struct runmap it = runmap_of(map, nunits);
    uint32_t n = cma__runmap_length(map, nunits, first);

    cma__assert(n != 0);
    it.begins[first / 32] &= ~(UINT32_C(1) << (first % 32));
    runmap_mark(&it, first, first + n - 1, false, true);
}

uint32_t cma__runmap_begin(const uint32_t *map, uint32_t nunits, uint32_t unit)
{
    struct runmap it = runmap_look(map, nunits);
    uint32_t at = unit / 32, begins;

    if (unit >= nunits || ((it.used[at] >> (unit % 32)) & 1) == 0) {
        return CMA__RUNMAP_NONE;
    }
    begins = it.begins[at] & bits_mask(0, unit % 32);
    while (begins == 0) {
        begins = it.begins[--at];
    }
    return at * 32 + bits_highest(begins);
}

uint32_t cma__runmap_next(const uint32_t *map, uint32_t nunits, uint32_t from)
{
    struct runmap it = runmap_look(map, nunits);
    uint32_t nleaves = runmap_nleaves(nunits), at = from / 32, begins;

    if (from >= nunits) {
        return CMA__RUNMAP_NONE;
    }
    begins = it.begins[at] & (UINT32_MAX << (from % 32));
    while (begins == 0 && ++at < nleaves) {
        begins = it.begins[at];
    }
    return begins != 0 ? at * 32 + bits_lowest(begins) : CMA__RUNMAP_NONE;
}

uint32_t cma__runmap_longest(uint32_t *map, uint32_t nunits)
{
    struct runmap it = runmap_of(map, nunits);

    runmap_settle(&it);
    return it.nodes[1].longest;
}

bool cma__runmap_check(uint32_t *map, uint32_t nunits)
{
    struct runmap it = runmap_of(map, nunits);
    uint32_t nleaves = runmap_nleaves(nunits), before = 0, half = 32;
    bool good =
        nunits % 32 == 0 || it.used[nleaves - 1] >> (nunits % 32) == UINT32_MAX >> (nunits % 32);

    if (!good || *it.late > nleaves) {
        return false;
    }
    runmap_settle(&it);
    for (uint32_t i = 0; i < nleaves; i++) {
        uint32_t mine =
            i == nleaves - 1 && nunits % 32 != 0 ? bits_mask(0, nunits % 32 - 1) : UINT32_MAX;
        uint32_t used = it.used[i] & mine;
        struct runmap_node node = runmap_leaf(it.used[i]);

        /* A run begins where units are in use behind one that isn't, and nowhere in free ones. */
        good = good && (it.begins[i] & ~used) == 0 &&
               (used & ~(used << 1 | before) & ~it.begins[i]) == 0 &&
               !runmap_store(&node, &it.nodes[it.top + i]);
        before = used >> 31;
    }
    for (uint32_t row = it.top / 2; row != 0; row /= 2) {
        for (uint32_t i = row; i < row * 2 && (uint64_t)(i - row) * half * 2 < nunits; i++) {
            struct runmap_node node = runmap_join(&it, i, half);

            good = good && !runmap_store(&node, &it.nodes[i]);
        }
        half *= 2;
    }
    return good;
}
