/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostalloc.c - power-of-two free lists: a block is split in halves, and merged with its buddy
 */
#include "hostalloc.h"

#include <stddef.h>
#include <string.h>

static struct host_page *page_of(const struct host *host, uint64_t pfn)
{
    return &host->pages[pfn - host->first];
}

static uint64_t pfn_of(const struct host *host, const struct host_page *page)
{
    return host->first + (uint64_t)(page - host->pages);
}

/* --- lists, under the lock -------------------------------------------------------------- */

static void list_add(struct host *host, uint32_t number, uint64_t pfn, uint32_t order)
{
    struct host_zone *zone = &host->zones[number];
    struct host_page *page = page_of(host, pfn);

    for (uint64_t i = 1; i < UINT64_C(1) << order; i++)
        page[i].state = HOST_FREE_TAIL;
    page->state = HOST_FREE;
    page->order = (uint8_t)order;
    page->prev = NULL;
    page->next = zone->free[order];
    if (page->next)
        page->next->prev = page;
    zone->free[order] = page;
}

static void list_remove(struct host_zone *zone, struct host_page *page)
{
    if (page->prev)
        page->prev->next = page->next;
    else
        zone->free[page->order] = page->next;
    if (page->next)
        page->next->prev = page->prev;
}

static void zone_put(struct host *host, uint32_t number, uint64_t pfn, uint32_t order)
{
    struct host_zone *zone = &host->zones[number];

    zone->nfree += UINT64_C(1) << order;
    for (; order + 1 < HOST_ORDERS; order++) {
        uint64_t buddy = pfn ^ UINT64_C(1) << order;
        struct host_page *page;

        if (buddy < host->first || buddy - host->first >= host->npages)
            break;
        page = page_of(host, buddy);
        if (page->zone != number || page->state != HOST_FREE || page->order != order)
            break;
        list_remove(zone, page);
        pfn &= ~(UINT64_C(1) << order);
    }
    list_add(host, number, pfn, order);
}

/* The smallest block that would do and begins low enough. */
static struct host_page *zone_find(const struct host *host, const struct host_zone *zone,
                                   uint32_t order, uint64_t end)
{
    for (uint32_t o = order; o < HOST_ORDERS; o++) {
        for (struct host_page *page = zone->free[o]; page; page = page->next) {
            if (pfn_of(host, page) + (UINT64_C(1) << order) <= end)
                return page;
        }
    }
    return NULL;
}

static uint64_t zone_take(struct host *host, uint32_t number, uint32_t order, uint64_t end,
                          uint32_t tag)
{
    struct host_zone *zone = &host->zones[number];
    struct host_page *page = zone_find(host, zone, order, end);
    uint64_t pfn;

    if (!page)
        return HOST_NONE;
    pfn = pfn_of(host, page);
    list_remove(zone, page);
    for (uint32_t o = page->order; o-- > order;)
        list_add(host, number, pfn + (UINT64_C(1) << o), o);
    for (uint64_t i = 0; i < UINT64_C(1) << order; i++)
        page[i].state = HOST_USED;
    page->order = (uint8_t)order;
    page->tag = tag;
    zone->nfree -= UINT64_C(1) << order;
    return pfn;
}

/* --- memory comes and goes ---------------------------------------------------------------------
 */

void host_init(struct host *host, uint64_t first, uint64_t npages, uint64_t low_end,
               struct host_page *pages)
{
    memset(host, 0, sizeof(*host));
    memset(pages, 0, npages * sizeof(*pages));
    host->first = first;
    host->npages = npages;
    host->pages = pages;
    pthread_mutex_init(&host->lock, NULL);
    host->zones[HOST_ZONE_LOW].end = low_end;
    host->zones[HOST_ZONE_NORMAL].end = first + npages;
    host->zones[HOST_ZONE_PLUGGED].end = first + npages;
}

void host_plug(struct host *host, uint64_t pfn, uint64_t npages, bool movable_only)
{
    pthread_mutex_lock(&host->lock);
    for (uint64_t end = pfn + npages; pfn < end; pfn++) {
        struct host_page *page = page_of(host, pfn);

        if (page->state != HOST_ABSENT)
            continue;
        page->zone = HOST_ZONE_NORMAL;
        if (movable_only)
            page->zone = HOST_ZONE_PLUGGED;
        else if (pfn < host->zones[HOST_ZONE_LOW].end)
            page->zone = HOST_ZONE_LOW;
        zone_put(host, page->zone, pfn, 0);
    }
    pthread_mutex_unlock(&host->lock);
}

/* The free block that a page lies in, or NULL. */
static struct host_page *free_block(struct host *host, uint64_t pfn)
{
    struct host_page *page = page_of(host, pfn);

    while (page->state == HOST_FREE_TAIL)
        page--;
    return page->state == HOST_FREE ? page : NULL;
}

/* The free block around a page, without that page, goes into the lists in halves. */
static void zone_cut(struct host *host, struct host_page *block, uint64_t pfn)
{
    struct host_zone *zone = &host->zones[block->zone];
    uint64_t first = pfn_of(host, block);

    list_remove(zone, block);
    for (uint32_t order = block->order; order-- > 0;) {
        uint64_t half = UINT64_C(1) << order;
        bool low = pfn - first < half;

        list_add(host, block->zone, low ? first + half : first, order);
        first += low ? 0 : half;
    }
    page_of(host, pfn)->state = HOST_ABSENT;
    zone->nfree--;
}

void host_unplug(struct host *host, uint64_t pfn, uint64_t npages)
{
    pthread_mutex_lock(&host->lock);
    for (uint64_t end = pfn + npages; pfn < end; pfn++) {
        struct host_page *block = free_block(host, pfn);

        if (block)
            zone_cut(host, block, pfn);
    }
    pthread_mutex_unlock(&host->lock);
}

void host_forget(struct host *host, uint64_t pfn)
{
    pthread_mutex_lock(&host->lock);
    if (page_of(host, pfn)->state == HOST_USED)
        page_of(host, pfn)->state = HOST_ABSENT;
    pthread_mutex_unlock(&host->lock);
}

/* --- allocations -------------------------------------------------------------------------------
 */

/* Would an allocation from this zone leave all reserves whole? */
static bool zone_may_give(const struct host *host, int number, uint64_t npages)
{
    uint64_t nfree = 0;

    for (int i = 0; i < HOST_ZONE_PLUGGED; i++) {
        nfree += host->zones[i].nfree;
        if (i >= number && nfree < host->zones[i].reserve + npages)
            return false;
    }
    return true;
}

uint64_t host_alloc(struct host *host, uint32_t order, uint32_t flags, uint64_t end, uint32_t tag)
{
    bool in_need = (flags & HOST_IN_NEED) != 0;
    int zone = (flags & HOST_MOVABLE) && !in_need ? HOST_ZONE_PLUGGED : HOST_ZONE_NORMAL;
    uint64_t pfn = HOST_NONE;

    pthread_mutex_lock(&host->lock);
    for (; zone >= 0 && pfn == HOST_NONE; zone--) {
        if (in_need || zone_may_give(host, zone, UINT64_C(1) << order))
            pfn = zone_take(host, (uint32_t)zone, order, end, tag);
    }
    host->allocs++;
    host->failures += pfn == HOST_NONE;
    pthread_mutex_unlock(&host->lock);
    return pfn;
}

bool host_free(struct host *host, uint64_t pfn, uint32_t order, uint32_t tag)
{
    struct host_page *page = page_of(host, pfn);
    bool good;

    pthread_mutex_lock(&host->lock);
    good = page->state == HOST_USED && page->order == order && page->tag == tag;
    if (good)
        zone_put(host, page->zone, pfn, order);
    pthread_mutex_unlock(&host->lock);
    return good;
}

uint64_t host_free_npages(struct host *host, uint64_t end)
{
    uint64_t nfree = 0;

    pthread_mutex_lock(&host->lock);
    for (int i = 0; i < HOST_ZONE_PLUGGED; i++) {
        if (host->zones[i].end <= end)
            nfree += host->zones[i].nfree;
    }
    pthread_mutex_unlock(&host->lock);
    return nfree;
}

bool host_reserve(struct host *host, uint32_t zone, uint64_t npages)
{
    uint64_t nfree = 0;

    pthread_mutex_lock(&host->lock);
    for (uint32_t i = 0; i <= zone; i++)
        nfree += host->zones[i].nfree;
    if (npages <= nfree)
        host->zones[zone].reserve = npages;
    pthread_mutex_unlock(&host->lock);
    return npages <= nfree;
}

uint32_t host_order(const struct host *host, uint64_t pfn)
{
    return page_of(host, pfn)->order;
}

enum host_state host_state(struct host *host, uint64_t pfn)
{
    enum host_state state;

    pthread_mutex_lock(&host->lock);
    state = (enum host_state)page_of(host, pfn)->state;
    pthread_mutex_unlock(&host->lock);
    return state;
}

bool host_check(struct host *host)
{
    uint64_t listed[HOST_ZONES] = {0}, counted[HOST_ZONES] = {0};

    for (uint32_t i = 0; i < HOST_ZONES; i++) {
        for (uint32_t order = 0; order < HOST_ORDERS; order++) {
            for (struct host_page *page = host->zones[i].free[order]; page; page = page->next) {
                if (page->state != HOST_FREE || page->zone != i || page->order != order ||
                    (page->next && page->next->prev != page))
                    return false;
                listed[i] += UINT64_C(1) << order;
            }
        }
    }
    for (uint64_t i = 0; i < host->npages; i++) {
        const struct host_page *page = &host->pages[i];

        if (page->state == HOST_FREE)
            counted[page->zone] += UINT64_C(1) << page->order;
    }
    return !memcmp(listed, counted, sizeof(listed)) && listed[0] == host->zones[0].nfree &&
           listed[1] == host->zones[1].nfree && listed[2] == host->zones[2].nfree;
}
