/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * misuse.c - the misuse checker's entries
 *
 * An entry is a mapping or a buffer. It must be found by any address inside it, on both sides. So
 * addresses are cut into cells of a power of two that is no less than the entry is long: it lies in
 * one or two of them, and stands in the hash table under each. Who asks for an address looks into
 * one cell for each length there is: there are few.
 *
 * An ended entry is kept on a queue, to tell what a second unmap, or a device that is late, means;
 * it goes when a new mapping needs it, the oldest first.
 */
#include "misuse.h"

#include "../base/bits.h"
#include "../base/mem.h"

#define MISUSE_SHIFT_MIN 6u
#define MISUSE_NODES 4u /* of an entry: two by each kind of address */
#define MISUSE_FLAGS CMA_MISUSE_UNWRITTEN

/* --- the hash table -------------------------------------------------------------------- */

static uint32_t *misuse_bucket(const struct cma_misuse *misuse, bool bus, uint32_t shift,
                               uint64_t cell)
{
    uint64_t hash = (cell << 7) + shift * 2u + (bus ? 1u : 0u);

    hash *= UINT64_C(0x9e3779b97f4a7c15);
    return &misuse->buckets[(uint32_t)(hash >> 32) & (misuse->nbuckets - 1)];
}

static uint8_t misuse_shift(uint64_t nbytes)
{
    uint32_t shift = MISUSE_SHIFT_MIN;

    while (shift < 63 && (nbytes - 1) >> shift != 0) {
        shift++;
    }
    return (uint8_t)shift;
}

static void misuse_cells(const struct cma_misuse_entry *entry, bool bus, uint64_t cells[2])
{
    uint64_t first = bus ? entry->daddr : entry->paddr;

    cells[0] = first >> entry->shift;
    cells[1] = (first + (entry->nbytes - 1)) >> entry->shift;
}

static void misuse_chain(struct cma_misuse *misuse, struct cma_misuse_entry *entry)
{
    uint32_t node = (uint32_t)(entry - misuse->entries) * MISUSE_NODES;
    uint64_t cells[2];
    uint32_t *bucket;
    uint32_t i;

    for (i = 0; i < MISUSE_NODES; i++) {
        misuse_cells(entry, i >= 2, cells);
        if ((i & 1) != 0 && cells[1] == cells[0]) {
            continue;
        }
        bucket = misuse_bucket(misuse, i >= 2, entry->shift, cells[i & 1]);
        entry->chain[i] = *bucket;
        *bucket = node + i;
    }
    misuse->classes[entry->shift]++;
}

static void misuse_unchain(struct cma_misuse *misuse, const struct cma_misuse_entry *entry)
{
    uint32_t node = (uint32_t)(entry - misuse->entries) * MISUSE_NODES;
    uint64_t cells[2];
    uint32_t *link;
    uint32_t i;

    for (i = 0; i < MISUSE_NODES; i++) {
        misuse_cells(entry, i >= 2, cells);
        if ((i & 1) != 0 && cells[1] == cells[0]) {
            continue;
        }
        link = misuse_bucket(misuse, i >= 2, entry->shift, cells[i & 1]);
        while (*link != node + i) {
            link = &misuse->entries[*link / MISUSE_NODES].chain[*link % MISUSE_NODES];
        }
        *link = entry->chain[i];
    }
    misuse->classes[entry->shift]--;
}

/* --- walks ----------------------------------------------------------------------------- */

/* The first cell of the next length that is in use; false: there is none. */
static bool misuse_walk_shift(struct misuse_walk *walk)
{
    do {
        walk->shift++;
        if (walk->shift >= 64) {
            return false;
        }
    } while (walk->misuse->classes[walk->shift] == 0);
    walk->cell = walk->first >> walk->shift;
    walk->node = *misuse_bucket(walk->misuse, walk->bus, walk->shift, walk->cell);
    return true;
}

void cma__misuse_walk(struct misuse_walk *walk, struct cma_misuse *misuse, bool bus, uint64_t first,
                      uint64_t last)
{
    uint64_t ncells = 0;
    uint32_t shift;

    for (shift = MISUSE_SHIFT_MIN; shift < 64 && ncells <= misuse->high; shift++) {
        if (misuse->classes[shift] != 0) {
            ncells += (last >> shift) - (first >> shift) + 1;
        }
    }
    *walk = (struct misuse_walk){.misuse = misuse,
                                 .bus = bus,
                                 .all = ncells > misuse->high,
                                 .first = first,
                                 .last = last,
                                 .shift = MISUSE_SHIFT_MIN - 1,
                                 .node = CMA__MISUSE_NONE};
    if (walk->all) {
        walk->node = 0;
    } else {
        (void)misuse_walk_shift(walk);
    }
}

static bool misuse_meets(const struct misuse_walk *walk, const struct cma_misuse_entry *entry)
{
    uint64_t first = walk->bus ? entry->daddr : entry->paddr;

    return entry->state != CMA__MISUSE_IDLE &&
           range_overlaps(first, first + (entry->nbytes - 1), walk->first, walk->last);
}

static struct cma_misuse_entry *misuse_next_of_all(struct misuse_walk *walk)
{
    struct cma_misuse_entry *entry;

    while (walk->node < walk->misuse->high) {
        entry = &walk->misuse->entries[walk->node++];
        if (misuse_meets(walk, entry)) {
            return entry;
        }
    }
    return NULL;
}

/* Goes on to the next cell, or length; false: there is none. */
static bool misuse_walk_on(struct misuse_walk *walk)
{
    if (walk->cell == walk->last >> walk->shift) {
        return misuse_walk_shift(walk);
    }
    walk->cell++;
    walk->node = *misuse_bucket(walk->misuse, walk->bus, walk->shift, walk->cell);
    return true;
}

/* An entry in two cells is met once: in the first of them that is walked through. */
static bool misuse_is_first(const struct misuse_walk *walk, const struct cma_misuse_entry *entry,
                            uint32_t which)
{
    uint64_t cells[2];

    misuse_cells(entry, walk->bus, cells);
    return (which >= 2) == walk->bus && entry->shift == walk->shift &&
           cells[which & 1] == walk->cell &&
           walk->cell == bits_max(cells[0], walk->first >> walk->shift);
}

struct cma_misuse_entry *cma__misuse_next(struct misuse_walk *walk)
{
    struct cma_misuse_entry *entry;
    uint32_t which;

    if (walk->all) {
        return misuse_next_of_all(walk);
    }
    while (walk->shift < 64) {
        if (walk->node == CMA__MISUSE_NONE) {
            if (!misuse_walk_on(walk)) {
                return NULL;
            }
            continue;
        }
        entry = &walk->misuse->entries[walk->node / MISUSE_NODES];
        which = walk->node % MISUSE_NODES;
        walk->node = entry->chain[which];
        if (misuse_is_first(walk, entry, which) && misuse_meets(walk, entry)) {
            return entry;
        }
    }
    return NULL;
}

/* --- entries --------------------------------------------------------------------------- */

static struct cma_misuse_entry *misuse_at(struct cma_misuse *misuse, uint32_t index)
{
    return index == CMA__MISUSE_NONE ? NULL : &misuse->entries[index];
}

static void misuse_put_lines(struct cma_misuse *misuse, struct cma_misuse_entry *entry)
{
    if (entry->first_line != CMA__RUNMAP_NONE) {
        cma__runmap_put(misuse->line_map, misuse->config.nlines, entry->first_line);
        entry->first_line = CMA__RUNMAP_NONE;
    }
}

static void misuse_leave_queue(struct cma_misuse *misuse, struct cma_misuse_entry *entry)
{
    struct cma_misuse_entry *prev = misuse_at(misuse, entry->prev);
    struct cma_misuse_entry *next = misuse_at(misuse, entry->next);

    *(prev != NULL ? &prev->next : &misuse->oldest) = entry->next;
    *(next != NULL ? &next->prev : &misuse->newest) = entry->prev;
}

void cma__misuse_forget(struct cma_misuse *misuse, struct cma_misuse_entry *entry)
{
    misuse_put_lines(misuse, entry);
    misuse_unchain(misuse, entry);
    if (entry->state == CMA__MISUSE_ENDED) {
        misuse_leave_queue(misuse, entry);
    } else {
        misuse->live--;
    }
    entry->state = CMA__MISUSE_IDLE;
    entry->next = misuse->idle;
    misuse->idle = (uint32_t)(entry - misuse->entries);
}

void cma__misuse_end(struct cma_misuse *misuse, struct cma_misuse_entry *entry,
                     struct cma_site site, bool keep_lines)
{
    struct cma_misuse_entry *newest = misuse_at(misuse, misuse->newest);
    uint32_t index = (uint32_t)(entry - misuse->entries);

    if (!keep_lines) {
        misuse_put_lines(misuse, entry);
    }
    misuse->live--;
    entry->state = CMA__MISUSE_ENDED;
    entry->ended = site;
    entry->stamp = ++misuse->stamp;
    entry->prev = misuse->newest;
    entry->next = CMA__MISUSE_NONE;
    *(newest != NULL ? &newest->next : &misuse->oldest) = index;
    misuse->newest = index;
}

bool cma__misuse_room(struct cma_misuse *misuse, uint32_t nentries)
{
    if (nentries > misuse->config.nentries - misuse->live) {
        misuse->unseen++;
        return false;
    }
    return true;
}

/* What a new mapping makes meaningless: where others ended at its device addresses, and what became
 * of their lines in its memory. */
static void misuse_clear_way(struct cma_misuse *misuse, const struct cma_misuse_entry *wanted)
{
    struct cma_misuse_entry *entry;
    struct misuse_walk walk;

    do {
        cma__misuse_walk(&walk, misuse, true, wanted->daddr, misuse_daddr_last(wanted));
        do {
            entry = cma__misuse_next(&walk);
        } while (entry != NULL &&
                 (entry->state != CMA__MISUSE_ENDED || entry->device != wanted->device));
        if (entry != NULL) {
            cma__misuse_forget(misuse, entry);
        }
    } while (entry != NULL);
    if (wanted->sort == CMA__MISUSE_FAILED) {
        return;
    }
    cma__misuse_walk(&walk, misuse, false, wanted->paddr, misuse_paddr_last(wanted));
    while ((entry = cma__misuse_next(&walk)) != NULL) {
        if (entry->state == CMA__MISUSE_ENDED) {
            misuse_put_lines(misuse, entry);
        }
    }
}

static void misuse_take_lines(struct cma_misuse *misuse, struct cma_misuse_entry *entry)
{
    uint64_t n =
        (misuse_paddr_last(entry) >> misuse->line_shift) - (entry->paddr >> misuse->line_shift) + 1;
    struct cma_misuse_entry *oldest;

    entry->first_line = CMA__RUNMAP_NONE;
    if (!entry->lined) {
        return;
    }
    while (n <= misuse->config.nlines) {
        entry->first_line =
            cma__runmap_take(misuse->line_map, misuse->config.nlines, (uint32_t)n, 1, 0, 0);
        if (entry->first_line != CMA__RUNMAP_NONE) {
            memset(&misuse->lines[entry->first_line], 0, (uint32_t)n);
            return;
        }
        oldest = misuse_at(misuse, misuse->oldest);
        if (oldest == NULL) {
            break;
        }
        cma__misuse_forget(misuse, oldest);
    }
    misuse->unfollowed++;
}

struct cma_misuse_entry *cma__misuse_add(struct cma_misuse *misuse,
                                         const struct cma_misuse_entry *wanted)
{
    struct cma_misuse_entry *entry;

    misuse_clear_way(misuse, wanted);
    if (misuse->idle == CMA__MISUSE_NONE && misuse->high == misuse->config.nentries) {
        cma__misuse_forget(misuse, misuse_at(misuse, misuse->oldest));
    }
    entry = misuse_at(misuse, misuse->idle);
    if (entry != NULL) {
        misuse->idle = entry->next;
    } else {
        entry = &misuse->entries[misuse->high++];
    }
    *entry = *wanted;
    entry->state = CMA__MISUSE_LIVE;
    entry->shift = misuse_shift(entry->nbytes);
    entry->stamp = ++misuse->stamp;
    entry->head = (uint32_t)(entry - misuse->entries);
    entry->part = CMA__MISUSE_NONE;
    misuse_take_lines(misuse, entry);
    misuse_chain(misuse, entry);
    misuse->live++;
    return entry;
}

/* --- beginning and end ----------------------------------------------------------------- */

static uint32_t misuse_nbuckets(const struct cma_misuse_config *config)
{
    uint32_t n = 16;

    while (n < config->nentries * 2) {
        n *= 2;
    }
    return n;
}

static uint32_t misuse_config_nlines(const struct cma_misuse_config *config)
{
    return config->nlines != 0 ? config->nlines : config->nentries * 64;
}

/* Where the parts of the storage begin: buckets, the map of lines, lines, and the end. */
static void misuse_layout(const struct cma_misuse_config *config, uint64_t at[4])
{
    uint32_t nlines = misuse_config_nlines(config);

    at[0] = (uint64_t)config->nentries * sizeof(struct cma_misuse_entry);
    at[1] = at[0] + (uint64_t)misuse_nbuckets(config) * sizeof(uint32_t);
    at[2] = at[1] + cma__runmap_words(nlines) * sizeof(uint32_t);
    at[3] = at[2] + nlines;
}

uint64_t cma_misuse_size(const struct cma_misuse_config *config)
{
    uint64_t at[4];

    if (config == NULL || config->nentries == 0 || config->nentries > UINT32_C(1) << 28 ||
        (config->flags & ~MISUSE_FLAGS) != 0 || misuse_config_nlines(config) >> 31 != 0 ||
        (config->nlines == 0 && config->nentries >> 24 != 0)) {
        return 0;
    }
    misuse_layout(config, at);
    return at[3];
}

int cma_misuse_init(struct cma_misuse *misuse, struct cma_dma *dma,
                    const struct cma_misuse_config *config, void *storage, uint64_t nbytes)
{
    uint64_t at[4], wanted = cma_misuse_size(config);
    uint8_t *bytes = storage;
    uint32_t i;

    if (misuse == NULL || dma == NULL || storage == NULL || wanted == 0 ||
        ((uintptr_t)storage & 7) != 0) {
        return CMA_EINVAL;
    }
    if (nbytes < wanted) {
        return CMA_ENOMEM;
    }
    if (dma->misuse != NULL) {
        return CMA_EEXIST;
    }
    misuse_layout(config, at);
    *misuse = (struct cma_misuse){.dma = dma,
                                  .config = *config,
                                  .entries = (struct cma_misuse_entry *)storage,
                                  .buckets = (uint32_t *)(void *)(bytes + at[0]),
                                  .line_map = (uint32_t *)(void *)(bytes + at[1]),
                                  .lines = bytes + at[2],
                                  .nbuckets = misuse_nbuckets(config),
                                  .idle = CMA__MISUSE_NONE,
                                  .oldest = CMA__MISUSE_NONE,
                                  .newest = CMA__MISUSE_NONE};
    misuse->config.nlines = misuse_config_nlines(config);
    misuse->line_shift = bits_highest(dma->port->cache_line_nbytes);
    for (i = 0; i < misuse->nbuckets; i++) {
        misuse->buckets[i] = CMA__MISUSE_NONE;
    }
    cma__runmap_init(misuse->line_map, misuse->config.nlines);
    dma->misuse = misuse;
    return 0;
}

void cma_misuse_exit(struct cma_misuse *misuse)
{
    misuse->dma->misuse = NULL;
}

uint32_t cma_misuse_unseen(const struct cma_misuse *misuse)
{
    return misuse->unseen + misuse->unfollowed;
}
