/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * args.c - the rules of an architecture, cma= on the command line, and the default area
 *
 * The default area is the only one that no node of the tree describes: cma= or the kernel's own
 * configuration asks for it, after everything else has its place. The steps are Linux's
 * (linux/kernel/dma/contiguous.c and mm/cma.c are where to compare behaviour):
 *     size up to the granule, the window's end down to it, the window cut at the DMA limit and at
 *     the end of memory; a window as long as the area means "exactly there"; else the highest.
 * An odd size with a base therefore fails: rounded up it no longer fits the window that it set.
 */
#include <cma/boot.h>

#include "../base/range.h"
#include "problem.h"

#include "../base/mem.h"

#define ARGS_4G (1ull << 32)

const char *cma_arch_name(enum cma_arch arch)
{
    static const char *const names[] = {"unknown", "arm", "arm64", "riscv64"};

    return (unsigned int)arch < sizeof(names) / sizeof(names[0]) ? names[arch] : "unknown";
}

int cma_boot_rules_init(struct cma_boot_rules *rules, enum cma_arch arch, uint32_t page_shift)
{
    if (arch <= CMA_ARCH_UNKNOWN || arch > CMA_ARCH_RISCV64 || page_shift < 12 || page_shift > 16) {
        return CMA_EINVAL;
    }
    memset(rules, 0, sizeof(*rules));
    rules->arch = arch;
    rules->page_nbytes = 1ull << page_shift;
    rules->align_nbytes = 64;
    rules->dma_last = ARGS_4G - 1;
    for (int i = 0; i < CMA_ZONE_LIMITS; i++) {
        rules->zone_last[i] = CMA_PADDR_MAX;
    }
    if (arch == CMA_ARCH_ARM) {
        rules->granule_nbytes = rules->page_nbytes << 10;
        rules->dma_last = ARGS_4G - 2; /* its limit is 0xffffffff, exclusive */
        rules->pool_needs_no_map = true;
    } else {
        rules->granule_nbytes = rules->page_nbytes << (page_shift - 3);
        rules->zone_last[CMA_ZONE_LIMITS - 1] = ARGS_4G - 1;
        rules->coherent = arch == CMA_ARCH_RISCV64;
    }
    return 0;
}

/* ---- the command line ---------------------------------------------------------------------- */

static int args_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f') {
        return (c | 0x20) - 'a' + 10;
    }
    return 99;
}

/* Shift of a suffix, 0 for any other character. */
static unsigned int args_suffix(char c)
{
    switch (c | 0x20) {
    case 'k': return 10;
    case 'm': return 20;
    case 'g': return 30;
    case 't': return 40;
    case 'p': return 50;
    case 'e': return 60;
    default: return 0;
    }
}

int cma_boot_number(const char *text, size_t *at, uint64_t *value)
{
    uint64_t sum = 0;
    int radix = 10;
    size_t i = *at;
    unsigned int shift;

    if (text[i] == '0' && (text[i + 1] | 0x20) == 'x') {
        radix = 16;
        i += 2;
    } else if (text[i] == '0') {
        radix = 8;
    }
    *at = i;
    if (args_digit(text[i]) >= radix) {
        return CMA_EINVAL;
    }
    for (; args_digit(text[i]) < radix; i++) {
        unsigned int digit = (unsigned int)args_digit(text[i]);

        if (sum > (UINT64_MAX - digit) / (unsigned int)radix) {
            return CMA_EOVERFLOW;
        }
        sum = sum * (unsigned int)radix + digit;
    }
    shift = args_suffix(text[i]);
    if (shift && sum > UINT64_MAX >> shift) {
        return CMA_EOVERFLOW;
    }
    *at = shift ? i + 1 : i;
    *value = sum << shift;
    return 0;
}

/* One word's value from text[*at] to its end; *at is where reading stopped. */
static int args_parse_cma(struct cma_boot_args *args, const char *text, size_t *at)
{
    int error;

    memset(args, 0, sizeof(*args));
    args->cma_given = true;
    error = cma_boot_number(text, at, &args->cma_nbytes);
    if (error || text[*at] != '@') {
        return error;
    }
    (*at)++;
    error = cma_boot_number(text, at, &args->cma_base);
    if (error) {
        return error;
    }
    if (args->cma_nbytes > UINT64_MAX - args->cma_base) {
        return CMA_EOVERFLOW;
    }
    args->cma_limit = args->cma_base + args->cma_nbytes;
    if (text[*at] != '-') {
        return 0;
    }
    (*at)++;
    return cma_boot_number(text, at, &args->cma_limit);
}

static bool args_is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

int cma_boot_args_parse(struct cma_boot_args *args, const char *cmdline, size_t *where)
{
    struct cma_boot_args found = {false, 0, 0, 0};
    const char *text = cmdline ? cmdline : "";
    bool quoted = false;
    size_t i = 0;

    while (text[i]) {
        while (args_is_space(text[i])) {
            i++;
        }
        if (text[i] == '-' && text[i + 1] == '-' &&
            (text[i + 2] == 0 || args_is_space(text[i + 2]))) {
            break; /* what follows is for init */
        }
        if (text[i] == '"') {
            quoted = true;
            i++;
        }
        if (text[i] == 'c' && text[i + 1] == 'm' && text[i + 2] == 'a' && text[i + 3] == '=') {
            size_t at = i + 4;
            int error = args_parse_cma(&found, text, &at);

            if (!error && text[at] && !args_is_space(text[at]) && !(quoted && text[at] == '"')) {
                error = CMA_EINVAL;
            }
            if (error) {
                if (where) {
                    *where = at;
                }
                return error;
            }
            i = at;
        }
        for (; text[i] && (quoted || !args_is_space(text[i])); i++) {
            quoted = quoted != (text[i] == '"');
        }
    }
    *args = found;
    return 0;
}

/* ---- the default area ---------------------------------------------------------------------- */

/* A window that lies wholly below memory would leave nothing; Linux then counts 32 bits, or all. */
static cma_paddr_t args_dma_last(const struct cma_map *map, cma_paddr_t dma_last)
{
    const struct cma_range *lowest = cma_map_memory(map, 0);

    if (lowest && lowest->base >= ARGS_4G) {
        return CMA_PADDR_MAX;
    }
    if (lowest && lowest->base > dma_last) {
        return ARGS_4G - 1;
    }
    return dma_last;
}

struct args_wish {
    const char *property;
    uint64_t granule;
    cma_paddr_t dma_last, memory_last;
    uint64_t limit;
};

static void args_refuse(struct cma_problems *problems, const struct args_wish *wish,
                        const struct cma_boot_default *area, enum cma_problem_kind kind,
                        uint64_t value, const char *other)
{
    struct cma_problem spare;
    struct cma_problem *problem =
        cma__problem_add(problems, &spare, CMA_NODE_NONE, wish->property, kind);

    problem->base = area->base;
    problem->nbytes = area->nbytes;
    problem->value = value;
    problem->other = other;
}

/* Sets the window. False when the area can't fit it; a problem tells why. */
static bool args_window(struct cma_boot_default *area, const struct args_wish *wish,
                        struct cma_problems *problems)
{
    uint64_t last = wish->dma_last;
    uint64_t end;

    if (!range_last(area->base, area->nbytes, &end) ||
        !range_align_up(area->nbytes, wish->granule, &area->nbytes)) {
        args_refuse(problems, wish, area, CMA_PROBLEM_OVERFLOW, 0, NULL);
        return false;
    }
    if (area->fixed && !range_is_aligned(area->base, wish->granule)) {
        args_refuse(problems, wish, area, CMA_PROBLEM_GRANULE, wish->granule, NULL);
        return false;
    }
    if (wish->limit && wish->limit - 1 < last) {
        last = wish->limit - 1;
    }
    if (last != CMA_PADDR_MAX) {
        last = range_align_down(last + 1, wish->granule);
        last = last == 0 ? 0 : last - 1;
    }
    if (last > wish->memory_last) {
        last = wish->memory_last;
    }
    if (!range_align_up(area->base, wish->granule, &area->first) ||
        !range_last(area->first, area->nbytes, &end) || end > last) {
        enum cma_problem_kind kind = CMA_PROBLEM_LIMIT;

        if (area->base && end > wish->memory_last) {
            kind = CMA_PROBLEM_OUTSIDE;
        } else if (area->base && end > wish->dma_last) {
            kind = CMA_PROBLEM_REACH;
        }
        args_refuse(problems, wish, area, kind, kind == CMA_PROBLEM_REACH ? wish->dma_last : last,
                    NULL);
        return false;
    }
    area->last = last;
    return true;
}

/* The highest place in the window. Above 4 GiB the lowest is better: evacuation then moves data
 * away from the area, and the low zones stay as they are. */
static int args_find(const struct cma_map *map, const struct cma_boot_rules *rules,
                     struct cma_boot_default *area)
{
    cma_paddr_t first = area->first < rules->page_nbytes ? rules->page_nbytes : area->first;

    if (area->last >= ARGS_4G && area->nbytes <= area->last - ARGS_4G + 1 &&
        cma_map_find(map, area->nbytes, rules->granule_nbytes, ARGS_4G, area->last, true,
                     &area->base) == 0) {
        return 0;
    }
    return cma_map_find(map, area->nbytes, rules->granule_nbytes, first, area->last, false,
                        &area->base);
}

int cma_boot_default_area(struct cma_map *map, const struct cma_boot_rules *rules,
                          const struct cma_boot_args *args, uint64_t builtin_nbytes,
                          struct cma_problems *problems, struct cma_boot_default *area)
{
    struct cma_range range = {0, 0, CMA_RANGE_AREA, CMA_RANGE_DEFAULT, "cma=", CMA_NODE_NONE};
    struct args_wish wish = {"cma", rules->granule_nbytes, 0, 0, args->cma_limit};
    struct cma_range conflict = range;
    int error;

    memset(area, 0, sizeof(*area));
    area->nbytes = args->cma_given ? args->cma_nbytes : builtin_nbytes;
    if (area->nbytes == 0) {
        return 0;
    }
    if (args->cma_given) {
        area->base = args->cma_base;
        area->fixed = area->base && area->base + area->nbytes == args->cma_limit;
    } else {
        range.name = wish.property = "builtin-cma";
        wish.limit = 0;
    }
    wish.dma_last = args_dma_last(map, rules->dma_last);
    if (map->nmemory > 0) {
        const struct cma_range *highest = cma_map_memory(map, map->nmemory - 1);

        wish.memory_last = highest->base + (highest->nbytes - 1);
    }
    if (!args_window(area, &wish, problems)) {
        return 0;
    }
    if (!area->fixed) {
        range.flags |= CMA_RANGE_DYNAMIC;
        if (args_find(map, rules, area) != 0) {
            args_refuse(problems, &wish, area, CMA_PROBLEM_NO_ROOM, rules->granule_nbytes, NULL);
            return 0;
        }
    }
    range.base = area->base;
    range.nbytes = area->nbytes;
    error = cma_map_reserve(map, &range, &conflict);
    if (error == CMA_EEXIST) {
        args_refuse(problems, &wish, area, CMA_PROBLEM_OVERLAP, 0, conflict.name);
    } else if (error == CMA_ERANGE) {
        args_refuse(problems, &wish, area, CMA_PROBLEM_OUTSIDE, 0, NULL);
    } else if (error) {
        return error;
    }
    area->made = error == 0;
    return 0;
}
