/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * linux_policy.c PLUGIN [--ops N] [--seed N] - tool/policy_linux.c against Linux's own mm/cma.c
 *
 * Two worlds of the same pages. Over one works Linux's file, unmodified, as bench/build compiles it
 * into a plug-in; the harness's model of alloc_contig_range moves pages for it. Over the other
 * works the policy of `cma run --policy linux`, which empties windows itself. Both get the same
 * requests and releases, and between them the same pages are taken, freed, pinned and let go. After
 * each request place, copies, windows given up and the state of every page must be the same.
 */
#include "../../bench/bench.h"
#include "../../tool/policy_linux.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NPAGES = 16384, LIVE_MAX = 4096 };

static struct peer_world *theirs;
static struct {
    uint8_t states[NPAGES];
    uint64_t copies, given_up;
} ours;

static struct {
    uint64_t page, npages;
} live[LIVE_MAX];
static uint32_t nlive;
static uint64_t owned_npages, random_state;

static uint64_t test_random(uint64_t below)
{
    uint64_t value = random_state += 0x9e3779b97f4a7c15ull;

    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9ull;
    value = (value ^ value >> 27) * 0x94d049bb133111ebull;
    value ^= value >> 31;
    return value % below;
}

/* --- our world: what the policy asks for ------------------------------------------------------ */

static void our_begin(void *ctx, uint64_t first, uint64_t npages)
{
    (void)ctx;
    (void)first;
    (void)npages;
}

static bool our_used(void *ctx, uint64_t page)
{
    (void)ctx;
    return ours.states[page] == PAGE_MOVABLE || ours.states[page] == PAGE_PINNED;
}

static int64_t our_migrate(void *ctx, uint64_t first, uint64_t npages)
{
    int64_t left = 0;

    (void)ctx;
    for (uint64_t at = first; at < first + npages; at++) {
        if (ours.states[at] == PAGE_MOVABLE) {
            ours.states[at] = PAGE_FREE;
            ours.copies++;
        }
        left += ours.states[at] == PAGE_PINNED;
    }
    return left;
}

static int our_end(void *ctx, uint64_t first, uint64_t npages, int error)
{
    (void)ctx;
    if (error == 0)
        memset(ours.states + first, PAGE_OWNED, npages);
    else
        ours.given_up++;
    return 0;
}

static const struct linux_memory our_memory = {
    .begin = our_begin, .used = our_used, .migrate = our_migrate, .end = our_end};

/* --- the load --------------------------------------------------------------------------------- */

static uint64_t test_npages(void)
{
    switch (test_random(6)) {
    case 0: return 1;
    case 1: return 1 + test_random(16);
    case 2: return 16 + test_random(1000);
    case 3: return 512 + test_random(1537);
    case 4: return UINT64_C(1) << test_random(12);
    default: return 1 + test_random(300);
    }
}

/* Pages come, go, are pinned and let go, the same in both worlds. */
static void test_churn(uint32_t movable_percent, uint32_t pins)
{
    uint64_t count = 200 + test_random(600);

    while (count-- > 0) {
        uint64_t page = test_random(NPAGES);
        uint8_t state = theirs->state[page];

        if (state == PAGE_OWNED)
            continue;
        state = test_random(100) < movable_percent ? PAGE_MOVABLE : PAGE_FREE;
        if (test_random(20000) < pins)
            state = PAGE_PINNED;
        theirs->state[page] = state;
        ours.states[page] = state;
    }
}

static int test_differ(uint64_t op, const char *what, uint64_t their, uint64_t our)
{
    printf("request %llu: %s: Linux's cma.c %lld, policy_linux.c %lld\n", (unsigned long long)op,
           what, (long long)their, (long long)our);
    return 1;
}

static int test_alloc(uint64_t op, const struct peer *linux_peer, void *linux_cma,
                      struct policy_linux *policy)
{
    uint64_t npages = test_npages(), their_page, our_page = PEER_FAIL;
    uint32_t order = test_random(2) != 0 ? policy_linux_order(npages) : (uint32_t)test_random(10);

    their_page = linux_peer->alloc(linux_cma, npages << PEER_PAGE_SHIFT,
                                   (uint64_t)PEER_PAGE_NBYTES << order);
    if (their_page != PEER_FAIL)
        their_page >>= PEER_PAGE_SHIFT;
    if (policy_linux_alloc(policy, &our_memory, npages, order, &our_page) != 0)
        our_page = PEER_FAIL;
    if (their_page != our_page)
        return test_differ(op, "place", their_page, our_page);
    if (theirs->migrated != ours.copies)
        return test_differ(op, "copies", theirs->migrated, ours.copies);
    if (theirs->busy != ours.given_up)
        return test_differ(op, "windows given up", theirs->busy, ours.given_up);
    if (memcmp(theirs->state, ours.states, NPAGES) != 0)
        return test_differ(op, "state of the pages", 0, 1);
    if (our_page != PEER_FAIL) {
        live[nlive].page = our_page;
        live[nlive++].npages = npages;
        owned_npages += npages;
    }
    return 0;
}

static void test_release(const struct peer *linux_peer, void *linux_cma,
                         struct policy_linux *policy)
{
    uint32_t at = (uint32_t)test_random(nlive);
    uint64_t page = live[at].page, npages = live[at].npages;

    live[at] = live[--nlive];
    owned_npages -= npages;
    linux_peer->release(linux_cma, page << PEER_PAGE_SHIFT, npages << PEER_PAGE_SHIFT);
    memset(ours.states + page, PAGE_FREE, npages);
    policy_linux_release(policy, page, npages);
}

static int test_run(const struct peer *linux_peer, uint64_t ops)
{
    struct peer_config config = {.area_nbytes = (uint64_t)NPAGES << PEER_PAGE_SHIFT, .nthreads = 1};
    void *linux_cma;
    struct policy_linux policy;
    uint64_t served = 0, wanted_percent = 50;
    uint32_t movable = 50, pins = 10;

    theirs = config.world = world_create(NPAGES);
    memset(theirs->state, PAGE_FREE, NPAGES);
    linux_cma = linux_peer->create(&config);
    world_attach(theirs, linux_cma, linux_peer);
    /* The plug-in's area begins at 4 GiB. */
    if (linux_cma == NULL || policy_linux_init(&policy, UINT64_C(1) << 20, NPAGES) != 0) {
        printf("no memory\n");
        return 1;
    }
    for (uint64_t op = 0; op < ops; op++) {
        if (op % 2000 == 0) {
            static const uint32_t pin_levels[] = {0, 1, 10, 100};

            wanted_percent = 10 + test_random(90);
            movable = (uint32_t)test_random(101);
            pins = pin_levels[test_random(4)];
        }
        test_churn(movable, pins);
        while (nlive != 0 && (nlive == LIVE_MAX || owned_npages > NPAGES * wanted_percent / 100))
            test_release(linux_peer, linux_cma, &policy);
        served -= nlive;
        if (test_alloc(op, linux_peer, linux_cma, &policy) != 0)
            return 1;
        served += nlive;
    }
    printf("%llu requests, %llu served: the same places; %llu copies, %llu windows given up: the "
           "same in both\n",
           (unsigned long long)ops, (unsigned long long)served, (unsigned long long)ours.copies,
           (unsigned long long)ours.given_up);
    policy_linux_free(&policy);
    linux_peer->destroy(linux_cma);
    world_destroy(theirs);
    return served == 0 || served == ops || ours.copies == 0 || ours.given_up == 0;
}

int main(int argc, char **argv)
{
    uint64_t ops = 100000;
    peer_get_function get = NULL;
    void *plugin;

    random_state = 1;
    for (int i = 2; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--ops") == 0)
            ops = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--seed") == 0)
            random_state = strtoull(argv[i + 1], NULL, 0);
    }
    plugin = argc > 1 ? dlopen(argv[1], RTLD_LAZY | RTLD_LOCAL) : NULL;
    if (plugin != NULL)
        *(void **)&get = dlsym(plugin, "peer_get");
    if (get == NULL || get(0) == NULL) {
        printf("%s is no plug-in: %s\n", argc > 1 ? argv[1] : "(none)", dlerror());
        return 2;
    }
    return test_run(get(0), ops);
}
