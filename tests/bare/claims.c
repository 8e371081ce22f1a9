/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * claims.c - claims, transfers and releases, each one judged
 *
 * After each claim and each release:
 *   - the log of maintenance is the sequence that dma.h promises, to the byte and the line
 *   - no frame has two mappings that disagree (a walk over the live tables)
 *   - the memory is where the device reaches it, zero, and not cached
 *   - what edu carries from one half of the buffer to the other arrives, and nothing else changes
 */
#include "image.h"

#include <string.h>

#define HELD 3u /* buffers at once */
#define NPAGES_MAX 24u
#define JUDGING_STRETCH 24u
#define OWNER_EDU 1u
#define OWNER_DISPLAY 2u
#define OWNER_CAMERA 3u
#define OWNER_PAIR 4u /* and the next */

static struct {
    struct cma_system *system;
    const struct board *board;
    struct edu *edu;
    struct cma_device device;
    struct cma_coherent buffers[HELD];
    uint64_t round, copied, flushes, lines, leaves, carried, wrong;
} claims;

bool image_muted(const struct board *board, const char *what)
{
    return strlen(board->options.mute) == strlen(what) &&
           memcmp(board->options.mute, what, strlen(what)) == 0;
}

void claims_device(struct cma_device *device, struct cma_system *system, uint64_t mask)
{
    struct cma_device_config config = {.name = "edu",
                                       .owner = OWNER_EDU,
                                       .mask = mask,
                                       .coherent_mask = mask,
                                       .flags = CMA_DEVICE_AREA_ONLY};
    int error = cma_device_init(device, &system->dma, &config);

    if (error != CMA_OK)
        bare_die("device", (uint64_t)-error);
}

/* --- the log -----------------------------------------------------------------------------------
 */

static bool logged(uint32_t *at, enum bare_op op, cma_paddr_t paddr, uint64_t nbytes, uint64_t done)
{
    const struct bare_entry *entry = &bare_log.entries[*at];

    if (*at >= bare_log.count || entry->op != op || entry->paddr != paddr ||
        entry->nbytes != nbytes || entry->done != done)
        return false;
    ++*at;
    return true;
}

static bool logged_attr(uint32_t *at, cma_paddr_t paddr, uint64_t nbytes, enum cma_attr attr)
{
    return logged(at, BARE_OP_SET_ATTR, paddr, nbytes, nbytes / BARE_PAGE) &&
           bare_log.entries[*at - 1].attr == attr;
}

static int claims_log_wrong(const char *what, uint32_t at)
{
    bare_printf("FAIL: round %u: the log of a %s is not as expected at entry %u of %u:\n",
                claims.round, what, (uint64_t)at, (uint64_t)bare_log.count);
    for (uint32_t i = 0; i < bare_log.count && i < 24; i++)
        bare_printf("    %s %x, %u bytes, done %u\n", bare_op_name(bare_log.entries[i].op),
                    bare_log.entries[i].paddr, bare_log.entries[i].nbytes,
                    bare_log.entries[i].done);
    return EXIT_LOG;
}

/* Batches of copies, each with the flush that makes its freezes true before it; then the handover.
 */
static int claims_log_alloc(cma_paddr_t paddr, uint64_t nbytes, uint64_t copied)
{
    uint64_t lines = nbytes / BARE_LINE;
    uint32_t at = 0;

    for (uint64_t seen = 0; seen < copied;) {
        uint32_t batch = 0;
        if (!logged(&at, BARE_OP_FLUSH, 0, 0, 0))
            return claims_log_wrong("claim", at);
        claims.flushes++;
        while (at < bare_log.count && bare_log.entries[at].op == BARE_OP_COPY) {
            const struct bare_entry *entry = &bare_log.entries[at++];
            /* One page or a run of them, out of the buffer as a whole. */
            if (entry->nbytes == 0 || entry->nbytes % BARE_PAGE != 0 || entry->nbytes > nbytes ||
                entry->paddr - paddr > nbytes - entry->nbytes ||
                (entry->to < paddr + nbytes && paddr < entry->to + entry->nbytes))
                return claims_log_wrong("claim", at - 1);
            batch += (uint32_t)(entry->nbytes / BARE_PAGE);
        }
        if (!batch)
            return claims_log_wrong("claim", at);
        seen += batch;
        if (seen > copied)
            return claims_log_wrong("claim", at);
    }
    if (!logged(&at, BARE_OP_ZERO, paddr, nbytes, 0) ||
        !logged(&at, BARE_OP_CLEAN, paddr, nbytes, lines) ||
        !logged(&at, BARE_OP_INVALIDATE, paddr, nbytes, lines) ||
        !logged_attr(&at, paddr, nbytes, CMA_ATTR_UNCACHED) ||
        !logged(&at, BARE_OP_FLUSH, 0, 0, 0) ||
        !logged(&at, BARE_OP_INVALIDATE, paddr, nbytes, lines) ||
        !logged(&at, BARE_OP_BARRIER, 0, 0, 0) || at != bare_log.count || bare_log.lost)
        return claims_log_wrong("claim", at);
    claims.lines += 3 * lines;
    return EXIT_OK;
}

static int claims_log_free(cma_paddr_t paddr, uint64_t nbytes)
{
    uint32_t at = 0;

    if (!logged(&at, BARE_OP_BARRIER, 0, 0, 0) ||
        !logged_attr(&at, paddr, nbytes, CMA_ATTR_CACHED) || !logged(&at, BARE_OP_FLUSH, 0, 0, 0) ||
        at != bare_log.count || bare_log.lost)
        return claims_log_wrong("release", at);
    return EXIT_OK;
}

/* --- one buffer --------------------------------------------------------------------------------
 */

static int claims_wrong(const char *what, uint64_t value)
{
    bare_printf("FAIL: round %u: %s: %x\n", claims.round, what, value);
    return EXIT_WRONG;
}

static int claims_walk(void)
{
    cma_paddr_t paddr = 0;
    uint64_t nleaves;

    if (!mmu_check_aliases(&paddr, &nleaves)) {
        bare_printf("FAIL: round %u: frame %x has two mappings that disagree\n", claims.round,
                    paddr);
        return EXIT_ALIAS;
    }
    claims.leaves += nleaves;
    return EXIT_OK;
}

static uint64_t claims_span(const struct cma_coherent *buffer)
{
    return (buffer->nbytes + BARE_PAGE - 1) & ~(uint64_t)(BARE_PAGE - 1);
}

static bool claims_is_zero(const struct cma_coherent *buffer, uint64_t first, uint64_t end)
{
    const volatile uint8_t *bytes = buffer->vaddr;

    for (; first < end && (first & 7); first++)
        if (bytes[first])
            return false;
    for (; first + 8 <= end; first += 8)
        if (*(const volatile uint64_t *)(bytes + first))
            return false;
    for (; first < end; first++)
        if (bytes[first])
            return false;
    return true;
}

static uint8_t claims_byte(uint64_t seed, uint64_t i)
{
    return (uint8_t)((seed + i * 37 + (i >> 8)) | 1);
}

/* From the first half of the buffer to the second by way of edu. Returns the wrong bytes in *wrong:
 * of what was carried, and one more if the rest did not stay zero. */
static int claims_carry(const struct cma_coherent *buffer, uint64_t *wrong)
{
    uint64_t half = buffer->nbytes / 2, seed = image_random() % 1000;
    uint32_t n = (uint32_t)(half < EDU_NBYTES_MAX ? half : EDU_NBYTES_MAX);
    uint64_t from = image_random() % (half - n + 1), to = half + image_random() % (half - n + 1);
    volatile uint8_t *bytes = buffer->vaddr;

    for (uint32_t i = 0; i < n; i++)
        bytes[from + i] = claims_byte(seed, i);
    __asm__ volatile("dsb sy" ::: "memory");
    if (!edu_from_memory(claims.edu, buffer->daddr + from, 0, n) ||
        !edu_to_memory(claims.edu, 0, buffer->daddr + to, n))
        return claims_wrong("edu does not answer", buffer->daddr);
    __asm__ volatile("dsb sy" ::: "memory");
    *wrong = 0;
    for (uint32_t i = 0; i < n; i++)
        *wrong += (uint32_t)(bytes[to + i] != claims_byte(seed, i)) +
                  (uint32_t)(bytes[from + i] != claims_byte(seed, i));
    if (!claims_is_zero(buffer, 0, from) || !claims_is_zero(buffer, from + n, to) ||
        !claims_is_zero(buffer, to + n, claims_span(buffer)))
        ++*wrong;
    claims.carried += 2 * n;
    return EXIT_OK;
}

static int claims_get(struct cma_coherent *buffer)
{
    struct cma_coherent_request request = {0};
    struct cma_area_stats before, after;
    struct cma_refusal refusal;
    cma_paddr_t paddr;
    enum cma_attr attr;
    uint64_t wrong, stretch;
    int error;

    request.nbytes = BARE_PAGE * (image_random() % NPAGES_MAX + 1) - image_random() % 2048;
    request.align_nbytes = image_random() % 4 ? 0 : UINT64_C(4096) << image_random() % 5;
    cma_area_stats(claims.system->default_area, &before);
    bare_log_begin();
    stretch = thread_stretch(1);
    error = cma_dma_alloc_coherent(&claims.device, &request, buffer, &refusal);
    (void)thread_stretch(stretch);
    if (error != CMA_OK) {
        bare_printf("FAIL: round %u: %s: %s (%s), frame %x\n", claims.round,
                    claims.device.config.name, cma_strerror(error), cma_reason_name(refusal.reason),
                    refusal.pfn);
        return EXIT_WRONG;
    }
    cma_area_stats(claims.system->default_area, &after);
    error = claims_log_alloc(buffer->paddr, claims_span(buffer),
                             after.copied_npages - before.copied_npages);
    if (error == EXIT_OK)
        error = claims_walk();
    if (error != EXIT_OK)
        return error;
    if (buffer->daddr + (claims_span(buffer) - 1) > claims.board->options.mask)
        return claims_wrong("out of the device's reach", buffer->daddr);
    if (mmu_lookup(buffer->vaddr, &paddr, &attr) != CMA_OK || paddr != buffer->paddr ||
        attr != CMA_ATTR_UNCACHED)
        return claims_wrong("not mapped uncached", buffer->paddr);
    if (!claims_is_zero(buffer, 0, claims_span(buffer)))
        return claims_wrong("not zero", buffer->paddr);
    error = claims_carry(buffer, &wrong);
    claims.wrong += wrong;
    if (error == EXIT_OK && wrong)
        return claims_wrong("bytes that edu carried are wrong", wrong);
    return error;
}

static int claims_put(struct cma_coherent *buffer)
{
    cma_paddr_t paddr = buffer->paddr;
    uint64_t nbytes = claims_span(buffer);
    int error;

    bare_log_begin();
    error = cma_dma_free_coherent(&claims.device, buffer);
    if (error != CMA_OK)
        return claims_wrong("can't be freed", (uint64_t)-error);
    buffer->nbytes = 0;
    error = claims_log_free(paddr, nbytes);
    return error == EXIT_OK ? claims_walk() : error;
}

static int claims_check(void)
{
    struct cma_violation violation;

    if (cma_system_check(claims.system, &violation))
        return EXIT_OK;
    bare_printf("FAIL: round %u: %s, frame %x\n", claims.round, violation.what, violation.pfn);
    return EXIT_WRONG;
}

static int claims_round(void)
{
    struct cma_coherent *buffer = &claims.buffers[image_random() % HELD];
    int error = EXIT_OK;

    if (image_muted(claims.board, "alias") && claims.round == 3)
        mmu_make_alias(writer_pfn(7) * BARE_PAGE, CMA_ATTR_UNCACHED);
    if (buffer->nbytes)
        error = claims_put(buffer);
    if (error != EXIT_OK)
        return error;
    writer_come_home();
    return claims_get(buffer);
}

int claims_run(struct cma_system *system, const struct board *board, struct edu *edu)
{
    struct cma_area_stats stats;
    int error = EXIT_OK;

    claims.system = system;
    claims.board = board;
    claims.edu = edu;
    claims_device(&claims.device, system, board->options.mask);
    /* Ticks are to come while pages move; elsewhere they only cost time. */
    (void)thread_stretch(JUDGING_STRETCH);
    for (claims.round = 0; claims.round < board->options.rounds && error == EXIT_OK;
         claims.round++) {
        error = claims_round();
        if (error == EXIT_OK && claims.round % 250 == 249)
            error = claims_check();
    }
    for (uint32_t i = 0; i < HELD && error == EXIT_OK; i++)
        if (claims.buffers[i].nbytes)
            error = claims_put(&claims.buffers[i]);
    if (error == EXIT_OK)
        error = claims_check();
    (void)thread_stretch(1);
    cma_area_stats(system->default_area, &stats);
    bare_printf("claims: %u, released %u, %u pages carried elsewhere in %u batches, %u wasted\n",
                stats.claims, stats.released, stats.copied_npages, claims.flushes,
                stats.wasted_copies);
    bare_printf("edu: %u transfers, %u bytes, %u wrong\n", edu->transfers, claims.carried,
                claims.wrong);
    bare_printf("log: %u lines cleaned or invalidated, %u entries broken and made, as expected\n",
                claims.lines, mmu_counts.broken);
    bare_printf("walks: %u mappings seen, no two of one frame disagree\n", claims.leaves);
    return error;
}

/* --- side by side -------------------------------------------------------------------------------
 */

#define PAIR_ROUNDS 150u

struct pair {
    struct cma_device device;
    uint32_t number;
    uint64_t got, wrong;
    int error;
    volatile bool done;
};

/* Another thread has memory at the same time: is all of it ours, as long as we have it? */
static int pair_round(struct pair *pair, uint64_t nbytes)
{
    struct cma_coherent_request request = {.nbytes = nbytes};
    struct cma_coherent buffer;
    uint64_t mine = (uint64_t)(pair->number + 1) << 32;
    int error = cma_dma_alloc_coherent(&pair->device, &request, &buffer, NULL);

    if (error != CMA_OK)
        return error;
    pair->got++;
    if (!claims_is_zero(&buffer, 0, nbytes))
        pair->wrong++;
    for (uint64_t i = 0; i < nbytes / 8; i++)
        ((volatile uint64_t *)buffer.vaddr)[i] = mine + i;
    for (uint64_t i = 0; i < nbytes / 8; i++)
        pair->wrong += ((volatile uint64_t *)buffer.vaddr)[i] != mine + i;
    return cma_dma_free_coherent(&pair->device, &buffer);
}

static void pair_run(void *arg)
{
    struct pair *pair = arg;

    for (uint32_t i = 0; i < PAIR_ROUNDS && pair->error == CMA_OK; i++)
        pair->error = pair_round(pair, (uint64_t)BARE_PAGE * (i % 7 + 1));
    pair->done = true;
}

int claims_pair(struct cma_system *system, const struct board *board)
{
    static struct pair pairs[2];
    uint64_t nleaves;
    cma_paddr_t paddr;

    writer_come_home();
    for (uint32_t i = 0; i < 2; i++) {
        struct cma_device_config config = {.name = "pair",
                                           .owner = OWNER_PAIR + i,
                                           .mask = board->options.mask,
                                           .coherent_mask = board->options.mask,
                                           .flags = CMA_DEVICE_AREA_ONLY};
        pairs[i].number = i;
        if (cma_device_init(&pairs[i].device, &system->dma, &config) != CMA_OK)
            return claims_wrong("device", i);
        thread_spawn(pair_run, &pairs[i]);
    }
    while (!pairs[0].done || !pairs[1].done) {
        thread_yield();
        writer_come_home();
    }
    bare_printf("side by side: %u and %u claims, errors %d and %d, %u words wrong\n", pairs[0].got,
                pairs[1].got, pairs[0].error, pairs[1].error, pairs[0].wrong + pairs[1].wrong);
    if (pairs[0].error || pairs[1].error || pairs[0].wrong || pairs[1].wrong)
        return claims_wrong("two threads disturb each other", 0);
    return mmu_check_aliases(&paddr, &nleaves) ? claims_check() : EXIT_ALIAS;
}

/* --- out of reach ------------------------------------------------------------------------------
 */

#define VICTIM_NPAGES 16u

static uint8_t *claims_victim(cma_paddr_t paddr)
{
    struct cma_pages_request request = {.npages = VICTIM_NPAGES, .paddr_first = paddr};
    cma_pfn_t pfn;

    request.paddr_last = paddr + VICTIM_NPAGES * BARE_PAGE - 1;
    request.holder.kind = CMA_KIND_UNMOVABLE;
    request.holder.cookie = OWNER_DISPLAY;
    if (cma_pages_alloc(&claims.system->pages, &request, &pfn, NULL) != CMA_OK)
        bare_die("no victim", paddr);
    for (uint32_t i = 0; i < VICTIM_NPAGES * BARE_PAGE; i++)
        ((uint8_t *)(uintptr_t)paddr)[i] = claims_byte(500, i);
    return (uint8_t *)(uintptr_t)paddr;
}

/* Ordinary memory is mapped by blocks here, and set_attr can't change it: a device that may have it
 * and doesn't snoop is refused, and nothing is kept. */
static int claims_blocks(struct cma_system *system, uint64_t mask)
{
    struct cma_device_config config = {
        .name = "camera", .owner = OWNER_CAMERA, .mask = mask, .coherent_mask = mask};
    struct cma_coherent_request request = {.nbytes = BARE_PAGE};
    struct cma_pages_stats before, after;
    struct cma_coherent buffer;
    struct cma_refusal refusal;
    struct cma_device camera;
    int error = cma_device_init(&camera, &system->dma, &config);

    cma_pages_stats(&system->pages, &before);
    if (error == CMA_OK)
        error = cma_dma_alloc_coherent(&camera, &request, &buffer, &refusal);
    cma_pages_stats(&system->pages, &after);
    if (error != CMA_EOPNOTSUPP || refusal.reason != CMA_REASON_ALIAS)
        return claims_wrong("memory that is mapped by blocks is not refused", (uint64_t)-error);
    if (memcmp(before.zone_idle_npages, after.zone_idle_npages, sizeof(after.zone_idle_npages)))
        return claims_wrong("memory that was refused is not given back", 0);
    bare_printf("camera, no area: refused: %s (%s)\n", cma_strerror(error),
                cma_reason_name(refusal.reason));
    return claims_check();
}

int claims_far(struct cma_system *system, const struct board *board, struct edu *edu)
{
    cma_paddr_t edge = UINT64_C(0x50000000);
    struct cma_area_request display = {.npages = (edge - board->area.base) / BARE_PAGE,
                                       .paddr_last = edge - 1,
                                       .owner = OWNER_DISPLAY};
    struct cma_coherent_request request = {.nbytes = 2 * EDU_NBYTES_MAX};
    uint64_t wrong, damaged = 0;
    struct cma_coherent buffer;
    struct cma_refusal refusal;
    const uint8_t *victim;
    cma_pfn_t pfn;
    int error;

    claims.system = system;
    claims.board = board;
    claims.edu = edu;
    claims_device(&claims.device, system, board->options.mask);
    error = cma_area_alloc(system->default_area, &display, &pfn, NULL);
    if (error != CMA_OK)
        return claims_wrong("the display gets nothing", (uint64_t)-error);
    error = cma_dma_alloc_coherent(&claims.device, &request, &buffer, &refusal);
    if (error != CMA_OK) {
        bare_printf("edu, mask %x: refused%s: %s (%s)\n", board->options.mask,
                    error == CMA_ERANGE ? ", CMA_ERANGE" : "", cma_strerror(error),
                    cma_reason_name(refusal.reason));
        if (error == CMA_ERANGE)
            return EXIT_REFUSED;
        error = claims_blocks(system, board->options.mask);
        if (cma_area_release(system->default_area, pfn, display.npages, OWNER_DISPLAY) != CMA_OK)
            return claims_wrong("the display can't release", pfn);
        return error;
    }
    victim = claims_victim(BARE_RAM);
    if (claims_carry(&buffer, &wrong) != EXIT_OK)
        return EXIT_WRONG;
    for (uint32_t i = 0; i < VICTIM_NPAGES * BARE_PAGE; i++)
        damaged += victim[i] != claims_byte(500, i);
    bare_printf("edu, mask %x: buffer at %x: %u of %u bytes wrong, and %u bytes of somebody else's "
                "memory at %x overwritten\n",
                board->options.mask, buffer.daddr, wrong, (uint64_t)EDU_NBYTES_MAX, damaged,
                (uint64_t)BARE_RAM);
    return wrong || damaged ? EXIT_CORRUPTED : EXIT_OK;
}
