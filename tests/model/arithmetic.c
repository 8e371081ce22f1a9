/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * arithmetic.c - the arithmetic of addresses, against a reading byte by byte, over everything
 *
 *     arithmetic [--bits N] [--jobs N] [--ops N] [--seed S]     (the last two are not used)
 *
 * The machine has addresses of N bits: 2^N bytes of memory, which a bus shows a device rotated by
 * an offset, so that it sees memory byte p at (p + offset) mod 2^N; where that wraps, what follows
 * in memory does not follow for the device. A mask cuts it. For all of these machines:
 *
 *   translate   every range, to the bus and from it; the parts in reach; stretches
 *   place       where a buffer of a size goes, at or above a base, aligned and inside a boundary:
 *               every tuple (base, size, mask, offset, boundary, alignment)
 *   pages       the same in whole pages of four bytes
 *   cut         lists: every range in two pieces, cut at a length and a boundary
 *   lines       every range: which cache lines it shares
 *   windows     devices with one window anywhere (at up to 6 bits): all bases, sizes, offsets and
 *               masks, with ranges at the window's edges
 *   edges       numbers at 0, 2^31, 2^32, 2^63 and 2^64, all combinations of six of them (H9: in a
 *               32-bit program too, scripts/check-i386)
 *
 * The oracles know nothing of ranges. They go from byte to byte, and remember for each byte how
 * many follow it that are in reach, next to each other for the device, and on this side of a
 * boundary.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cma/area.h>
#include <cma/bounce.h>

#include "../../src/cma/claim.h"
#include "../../src/dma/device.h"
#include "../../src/frame/fit.h"

#define MOST 256u /* bytes of the largest machine */
#define ALL UINT64_MAX

static uint32_t bits = 6, space = 64;

#define REQUIRE(condition, ...)                 \
    do {                                        \
        if (!(condition)) {                     \
            printf("arithmetic: DIFFERENCE: "); \
            printf(__VA_ARGS__);                \
            printf(" (line %d)\n", __LINE__);   \
            fflush(stdout);                     \
            _exit(1);                           \
        }                                       \
    } while (0)

static void no_barrier(void *ctx)
{
    (void)ctx;
}

static void no_range(void *ctx, cma_paddr_t paddr, uint64_t nbytes)
{
    (void)ctx;
    (void)paddr;
    (void)nbytes;
}

/* A page is a byte. */
static struct cma_port port = {.dma_barrier = no_barrier, .cache_line_nbytes = 1};
static struct cma_frames frames = {.port = &port};
static struct cma_dma dma = {.frames = &frames, .port = &port};

/* A device that sees memory rotated. */
struct machine {
    struct cma_device device;
    struct cma_bus_window windows[2];
    uint32_t mask, offset;
    /* The oracle's: bytes from p on that follow each other for the device, in reach; so many that
     * are in one cell of a boundary. */
    uint16_t run[MOST + 1];
};

static void machine_make(struct machine *machine, uint32_t mask, uint32_t offset)
{
    struct cma_device_config config = {.name = "dev", .owner = 1};

    machine->windows[0] = (struct cma_bus_window){offset, 0, space - offset};
    machine->windows[1] = (struct cma_bus_window){0, space - offset, offset};
    machine->mask = mask;
    machine->offset = offset;
    config.windows = machine->windows;
    config.nwindows = offset != 0 ? 2 : 1;
    config.mask = mask;
    config.coherent_mask = mask;
    REQUIRE(cma_device_init(&machine->device, &dma, &config) == 0, "mask %u offset %u", mask,
            offset);
}

static uint32_t naive_daddr(const struct machine *machine, uint32_t paddr)
{
    return (paddr + machine->offset) % space;
}

/* boundary 0: none */
static void naive_runs(struct machine *machine, uint32_t boundary)
{
    machine->run[space] = 0;
    for (uint32_t p = space; p-- > 0;) {
        uint32_t daddr = naive_daddr(machine, p);
        bool follows = p + 1 < space && naive_daddr(machine, p + 1) == daddr + 1 &&
                       (boundary == 0 || (daddr + 1) % boundary != 0);

        machine->run[p] = daddr > machine->mask ? 0 : follows ? machine->run[p + 1] + 1u : 1u;
    }
}

/* --- translate ------------------------------------------------------------------------- */

static uint64_t translate_parts(struct machine *machine)
{
    uint32_t covered[MOST] = {0}, index = 0;
    cma_paddr_t first, last;

    for (; cma_device_reach(&machine->device, machine->mask, index, &first, &last) == 0; index++) {
        REQUIRE(first <= last && last < space, "part %u of mask %u offset %u", index, machine->mask,
                machine->offset);
        REQUIRE(machine->run[first] == last - first + 1 &&
                    (first == 0 || machine->run[first - 1] <= 1),
                "part %u of mask %u offset %u is not whole", index, machine->mask, machine->offset);
        for (uint64_t p = first; p <= last; p++) {
            covered[p]++;
        }
    }
    for (uint32_t p = 0; p < space; p++) {
        REQUIRE(covered[p] == (machine->run[p] != 0), "byte %u, mask %u offset %u", p,
                machine->mask, machine->offset);
    }
    return index;
}

static uint64_t translate_machine(struct machine *machine)
{
    const struct cma_device *device = &machine->device;
    cma_daddr_t daddr, dlast;
    cma_paddr_t paddr;
    uint64_t stretch;

    for (uint32_t p = 0; p < space; p++) {
        for (uint32_t n = 1; n <= space; n++) {
            int error = cma_device_to_bus(device, p, n, machine->mask, &daddr);

            REQUIRE(error == (n <= machine->run[p] ? 0 : CMA_ERANGE),
                    "[%u, +%u) mask %u offset %u: %d", p, n, machine->mask, machine->offset, error);
            REQUIRE(error != 0 || daddr == naive_daddr(machine, p), "[%u, +%u) offset %u", p, n,
                    machine->offset);
        }
    }
    if (machine->mask == space - 1) {
        for (uint32_t p = 0; p < space; p++) {
            uint32_t d = naive_daddr(machine, p);

            for (uint32_t n = 1; n <= space; n++) {
                int error = cma_device_from_bus(device, d, n, &paddr);

                REQUIRE(error == (n <= machine->run[p] ? 0 : CMA_ERANGE) &&
                            (error != 0 || paddr == p),
                        "from %u, +%u offset %u", d, n, machine->offset);
                dlast = d + (n - 1);
                error = cma__device_stretch(device, d, dlast, &paddr, &stretch);
                REQUIRE(error == 0 && paddr == p &&
                            stretch == (n < machine->run[p] ? n : machine->run[p]),
                        "stretch %u, +%u offset %u", d, n, machine->offset);
            }
        }
        REQUIRE(cma__device_stretch(device, space, space + 1, &paddr, &stretch) == CMA_ERANGE,
                "a stretch beyond all, offset %u", machine->offset);
    }
    return (uint64_t)space * space + translate_parts(machine);
}

/* --- place ----------------------------------------------------------------------------- */

/* The lowest place that the real functions find: of what each part allows, the least. With `area`
 * the request goes all the way; else it is asked from `base` on. */
static uint32_t place_find(const struct cma_window_want *wants, uint32_t nwants, uint32_t base)
{
    uint32_t lowest = UINT32_MAX;
    cma_pfn_t pfn;

    for (uint32_t i = 0; i < nwants; i++) {
        if (cma__window_next(&wants[i], base, &pfn) && pfn < lowest) {
            lowest = (uint32_t)pfn;
        }
    }
    return lowest;
}

static uint32_t place_wants(const struct cma_device_part *parts, uint32_t nparts, uint32_t base,
                            uint32_t size, uint32_t align, uint32_t boundary,
                            struct cma_window_want *wants)
{
    struct cma_area area = {
        .frames = &frames, .pfn = base, .npages = (space >> port.page_shift) - base};
    struct cma_area_request request = {.npages = size, .align_npages = align};
    uint32_t count = 0;

    request.boundary_nbytes = boundary;
    for (uint32_t i = 0; i < nparts; i++) {
        int error;

        request.paddr_first = parts[i].first;
        request.paddr_last = parts[i].last;
        request.bus_offset = parts[i].bus_offset;
        /* 0 says "no limit": a part that is the first byte only. */
        if (parts[i].last == 0) {
            if (size == 1 && base == 0) {
                wants[count] = (struct cma_window_want){1, align, boundary, 0, 0, 0, false, false};
                wants[count++].phase = parts[i].bus_offset;
            }
            continue;
        }
        error = cma__window_want(&area, &request, &wants[count]);
        REQUIRE(error == (boundary != 0 && boundary < size ? CMA_EINVAL : 0),
                "size %u boundary %u: %d", size, boundary, error);
        count += error == 0;
    }
    return count;
}

/* All bases and sizes with one alignment and boundary. machine->run is for this boundary. */
static uint64_t place_sizes(const struct machine *machine, const struct cma_device_part *parts,
                            uint32_t nparts, uint32_t align, uint32_t boundary)
{
    struct cma_window_want wants[4];

    for (uint32_t size = 1; size <= space; size++) {
        uint32_t expected = UINT32_MAX, found, nwants = 0;

        if (bits > 6) {
            nwants = place_wants(parts, nparts, 0, size, align, boundary, wants);
        }
        for (uint32_t base = space; base-- > 0;) {
            if (machine->run[base] >= size && naive_daddr(machine, base) % align == 0) {
                expected = base;
            }
            if (bits <= 6) {
                nwants = place_wants(parts, nparts, base, size, align, boundary, wants);
            }
            found = place_find(wants, nwants, base);
            REQUIRE(found == expected,
                    "base %u size %u mask %u offset %u boundary %u alignment %u: at %d, not %d",
                    base, size, machine->mask, machine->offset, boundary, align, (int)found,
                    (int)expected);
        }
    }
    return (uint64_t)space * space;
}

static uint64_t place_machine(struct machine *machine)
{
    struct cma_device_part parts[4];
    uint64_t count = 0;
    uint32_t nparts = 0;

    while (cma__device_part(&machine->device, machine->mask, nparts, &parts[nparts]) == 0) {
        REQUIRE(++nparts < 4, "parts of mask %u offset %u", machine->mask, machine->offset);
    }
    for (uint32_t boundary = 0; boundary <= space; boundary = boundary != 0 ? boundary * 2 : 1) {
        naive_runs(machine, boundary);
        for (uint32_t align = 1; align <= space; align *= 2) {
            count += place_sizes(machine, parts, nparts, align, boundary);
        }
    }
    return count;
}

/* The same with pages of four bytes, and through coherent memory's eyes: masks that end inside a
 * page, windows that begin and end inside one, and shifts that are no whole pages, under which no
 * page is one for the device. */
static uint64_t place_pages(struct machine *machine)
{
    const uint32_t page = 4, npages = space / page;
    struct cma_device_part parts[4];
    struct cma_window_want wants[4];
    uint32_t nparts = 0, index = 0, nwants, expected, found;
    uint64_t count = 0;
    int error;

    port.page_shift = 2;
    while ((error = cma__coherent_part(&machine->device, index++, &parts[nparts])) != CMA_ENOENT) {
        nparts += error == 0;
    }
    for (uint32_t boundary = 0; boundary <= space; boundary = boundary != 0 ? boundary * 2 : page) {
        naive_runs(machine, boundary);
        for (uint32_t align = 1; align <= npages; align *= 2) {
            for (uint32_t size = 1; size <= npages; size++) {
                expected = UINT32_MAX;
                for (uint32_t base = npages; base-- > 0; count++) {
                    if (machine->run[base * page] >= size * page &&
                        naive_daddr(machine, base * page) % (align * page) == 0) {
                        expected = base;
                    }
                    nwants = boundary != 0 && boundary < size * page
                                 ? 0
                                 : place_wants(parts, nparts, base, size, align, boundary, wants);
                    found = place_find(wants, nwants, base);
                    REQUIRE(found == expected,
                            "page %u, %u pages, mask %u offset %u boundary %u alignment %u: at %d, "
                            "not %d",
                            base, size, machine->mask, machine->offset, boundary, align, (int)found,
                            (int)expected);
                }
            }
        }
    }
    port.page_shift = 0;
    return count;
}

/* --- cut ------------------------------------------------------------------------------- */

static uint32_t cut_naive(const struct machine *machine, const struct cma_piece *pieces,
                          uint32_t longest, uint32_t boundary, struct cma_segment *segments)
{
    uint32_t count = 0;

    for (uint32_t piece = 0; piece < 2; piece++) {
        for (uint32_t i = 0; i < pieces[piece].nbytes; i++) {
            uint32_t daddr = naive_daddr(machine, (uint32_t)pieces[piece].paddr + i);
            struct cma_segment *open = &segments[count == 0 ? 0 : count - 1];

            if (count == 0 || daddr != open->daddr + open->nbytes ||
                (longest != 0 && open->nbytes == longest) ||
                (boundary != 0 && daddr % boundary == 0)) {
                open = &segments[count++];
                open->daddr = daddr;
                open->nbytes = 0;
                open->piece = piece;
                open->piece_offset_nbytes = i;
            }
            open->nbytes++;
        }
    }
    return count;
}

static void cut_compare(struct machine *machine, const struct cma_piece *pieces)
{
    struct cma_segment expected[MOST], made[MOST];
    uint32_t longest = (uint32_t)machine->device.config.segment_nbytes_max;
    uint32_t boundary = (uint32_t)machine->device.config.segment_boundary_nbytes;
    uint32_t count = cut_naive(machine, pieces, longest, boundary, expected), n = 0, less;
    int error =
        cma_dma_map_list(&machine->device, pieces, 2, CMA_TO_DEVICE, 0, made, space, &n, NULL);

    REQUIRE(error == 0 && n == count, "list [%u, +%u, +%u) longest %u boundary %u: %d, %u not %u",
            (uint32_t)pieces[0].paddr, (uint32_t)pieces[0].nbytes, (uint32_t)pieces[1].nbytes,
            longest, boundary, error, n, count);
    for (uint32_t i = 0; i < count; i++) {
        REQUIRE(made[i].daddr == expected[i].daddr && made[i].nbytes == expected[i].nbytes &&
                    made[i].piece == expected[i].piece &&
                    made[i].piece_offset_nbytes == expected[i].piece_offset_nbytes,
                "segment %u of [%u, +%u, +%u) longest %u boundary %u", i, (uint32_t)pieces[0].paddr,
                (uint32_t)pieces[0].nbytes, (uint32_t)pieces[1].nbytes, longest, boundary);
    }
    /* With too little room it says how many there would be. */
    less = count / 2;
    n = 0;
    error = cma_dma_map_list(&machine->device, pieces, 2, CMA_TO_DEVICE, 0, made, less, &n, NULL);
    REQUIRE(error == CMA_ENOSPC && n == count, "counting [%u, +%u, +%u): %d, %u not %u",
            (uint32_t)pieces[0].paddr, (uint32_t)pieces[0].nbytes, (uint32_t)pieces[1].nbytes,
            error, n, count);
}

/* All ranges with a second piece behind them in memory, and with one in front of them. */
static uint64_t cut_ranges(struct machine *machine)
{
    uint64_t count = 0;

    for (uint32_t p = 0; p < space; p++) {
        for (uint32_t n = 2; n <= machine->run[p]; n++) {
            struct cma_piece pieces[2] = {{p, n / 2}, {p + n / 2, n - n / 2}};
            struct cma_piece turned[2] = {pieces[1], pieces[0]};

            cut_compare(machine, pieces);
            cut_compare(machine, turned);
            count += 2;
        }
    }
    return count;
}

static uint64_t cut_machine(struct machine *machine)
{
    uint32_t step = bits > 6 ? 15 : 1;
    uint64_t count = 0;

    naive_runs(machine, 0);
    for (uint32_t boundary = 0; boundary <= space; boundary = boundary != 0 ? boundary * 2 : 1) {
        for (uint32_t longest = 0; longest <= space; longest += step) {
            machine->device.config.segment_nbytes_max = longest;
            machine->device.config.segment_boundary_nbytes = boundary;
            count += cut_ranges(machine);
        }
    }
    machine->device.config.segment_nbytes_max = 0;
    machine->device.config.segment_boundary_nbytes = 0;
    return count;
}

/* --- lines ----------------------------------------------------------------------------- */

/* Does the range have a part of some line, but not all of it? */
static bool lines_naive(uint32_t p, uint32_t n, uint32_t line)
{
    for (uint32_t at = p; at < p + n; at++) {
        for (uint32_t other = at / line * line; other < at / line * line + line; other++) {
            if (other < p || other >= p + n) {
                return true;
            }
        }
    }
    return false;
}

static uint64_t lines_all(struct machine *machine)
{
    uint64_t count = 0;
    cma_daddr_t daddr;

    port.clean = no_range;
    port.invalidate = no_range;
    for (port.cache_line_nbytes = 1; port.cache_line_nbytes <= space; port.cache_line_nbytes *= 2) {
        for (uint32_t p = 0; p < space; p++) {
            for (uint32_t n = 1; n <= space - p; n++, count++) {
                bool shared = lines_naive(p, n, port.cache_line_nbytes);

                REQUIRE(cma_dma_map(&machine->device, p, n, CMA_FROM_DEVICE, 0, &daddr, NULL) ==
                            (shared ? CMA_EINVAL : 0),
                        "[%u, +%u) in lines of %u", p, n, port.cache_line_nbytes);
                REQUIRE(cma_dma_map(&machine->device, p, n, CMA_TO_DEVICE, 0, &daddr, NULL) == 0,
                        "[%u, +%u) to the device", p, n);
            }
        }
    }
    port.clean = NULL;
    port.invalidate = NULL;
    port.cache_line_nbytes = 1;
    return count;
}

/* --- windows --------------------------------------------------------------------------- */

/* One window anywhere, one mask; ranges that begin and end at its edges. */
static uint64_t windows_compare(const struct cma_bus_window *window, uint32_t mask)
{
    struct cma_device_config config = {.name = "dev", .owner = 1, .mask = mask};
    uint32_t w = (uint32_t)window->paddr, d = (uint32_t)window->daddr;
    uint32_t l = (uint32_t)window->nbytes;
    const uint32_t starts[] = {0, w - 1, w, w + 1, w + l - 1, w + l, space - 1};
    const uint32_t lengths[] = {1, 2, l - 1, l, l + 1, mask + 1, space};
    struct cma_device device;
    uint32_t reach = d > mask ? 0 : mask - d + 1 < l ? mask - d + 1 : l;
    bool none = reach == 0 || mask == 0; /* no device has a mask of 0 */
    cma_daddr_t daddr;
    int error;

    config.windows = window;
    config.nwindows = 1;
    error = cma_device_init(&device, &dma, &config);
    REQUIRE(error == (none ? CMA_ERANGE : 0), "window %u %u %u mask %u: %d", d, w, l, mask, error);
    for (uint32_t i = 0; error == 0 && i < 49; i++) {
        uint32_t p = starts[i / 7], n = lengths[i % 7];
        bool inside = p < space && n >= 1;

        if (!inside) {
            continue;
        }
        /* Byte by byte: each of the range is one of the first `reach` of the window. */
        for (uint32_t at = p; at < p + n && inside; at++) {
            inside = at >= w && at < w + reach;
        }
        error = cma_device_to_bus(&device, p, n, mask, &daddr);
        REQUIRE(error == (inside ? 0 : CMA_ERANGE) && (!inside || daddr == d + (p - w)),
                "[%u, +%u) in window %u %u %u mask %u: %d", p, n, d, w, l, mask, error);
        error = 0;
    }
    return 1;
}

static uint64_t windows_all(uint32_t width)
{
    uint64_t count = 0;

    for (uint32_t l = 1; l <= width; l++) {
        for (uint32_t w = 0; w + l <= width; w++) {
            for (uint32_t d = 0; d + l <= width; d++) {
                struct cma_bus_window window = {d, w, l};

                for (uint32_t mask = 0; mask < width; mask++) {
                    count += windows_compare(&window, mask);
                }
            }
        }
    }
    return count;
}

/* --- edges ----------------------------------------------------------------------------- */

static uint32_t edges_values(uint64_t *values)
{
    static const uint64_t edges[] = {0, UINT64_C(1) << 31, UINT64_C(1) << 32, UINT64_C(1) << 63};
    uint32_t count = 0;

    for (uint32_t i = 0; i < 4; i++) {
        for (int delta = -2; delta <= 2; delta++) {
            values[count++] = edges[i] + (uint64_t)delta; /* below 0: below 2^64 */
        }
    }
    return count;
}

/* a + b - 1, by adding, not by comparing; false if that passes 2^64, or b is 0. */
static bool edges_last(uint64_t a, uint64_t b, uint64_t *last)
{
    return b != 0 && !__builtin_add_overflow(a, b - 1, last);
}

/* One window, one mask, one range: what is to come of a mapping. */
static int edges_expect(const struct cma_bus_window *window, cma_daddr_t mask, uint64_t p,
                        uint64_t n, cma_daddr_t *daddr)
{
    uint64_t last, window_last, daddr_last;

    if (n == 0) {
        return CMA_EINVAL;
    }
    if (!edges_last(p, n, &last)) {
        return CMA_EOVERFLOW;
    }
    window_last = ALL;
    if (window->nbytes != 0 && !edges_last(window->paddr, window->nbytes, &window_last)) {
        return CMA_EINVAL;
    }
    if (p < window->paddr || last > window_last) {
        return CMA_ERANGE;
    }
    *daddr = window->daddr + (p - window->paddr);
    return !edges_last(*daddr, n, &daddr_last) || daddr_last > mask ? CMA_ERANGE : 0;
}

static bool edges_is_window(const struct cma_bus_window *window)
{
    uint64_t last;

    if (window->nbytes == 0) {
        return window->paddr == 0 && window->daddr == 0;
    }
    return edges_last(window->paddr, window->nbytes, &last) &&
           edges_last(window->daddr, window->nbytes, &last);
}

static uint64_t edges_ranges(struct cma_device *device, const struct cma_bus_window *window,
                             const uint64_t *values, uint32_t nvalues)
{
    cma_daddr_t mask = device->config.mask, daddr = 0, expected = 0;

    for (uint32_t i = 0; i < nvalues; i++) {
        for (uint32_t j = 0; j < nvalues; j++) {
            uint64_t p = values[i], n = values[j];
            int wanted = edges_expect(window, mask, p, n, &expected);
            int error = cma_dma_map(device, p, n, CMA_TO_DEVICE, 0, &daddr, NULL);

            REQUIRE(error == wanted && (error != 0 || daddr == expected),
                    "map %llx +%llx through %llx %llx %llx mask %llx: %d, not %d",
                    (unsigned long long)p, (unsigned long long)n, (unsigned long long)window->daddr,
                    (unsigned long long)window->paddr, (unsigned long long)window->nbytes,
                    (unsigned long long)mask, error, wanted);
            if (error == 0) {
                REQUIRE(cma_dma_unmap(device, daddr, n, CMA_TO_DEVICE, 0) == 0, "unmap %llx +%llx",
                        (unsigned long long)daddr, (unsigned long long)n);
                REQUIRE(cma_dma_sync_for_cpu(device, daddr, n, CMA_TO_DEVICE) == 0,
                        "sync %llx +%llx", (unsigned long long)daddr, (unsigned long long)n);
            }
        }
    }
    return (uint64_t)nvalues * nvalues;
}

static uint64_t edges_windows(const uint64_t *values, uint32_t nvalues, uint32_t first)
{
    struct cma_device_config config = {.name = "dev", .owner = 1};
    uint64_t count = 0;

    for (uint32_t i = 0; i < nvalues * nvalues * nvalues; i++) {
        struct cma_bus_window window = {values[first], values[i % nvalues],
                                        values[i / nvalues % nvalues]};
        struct cma_device device;
        int error;

        config.windows = &window;
        config.nwindows = 1;
        config.mask = values[i / nvalues / nvalues];
        error = cma_device_init(&device, &dma, &config);
        REQUIRE(error == (!edges_is_window(&window)                        ? CMA_EINVAL
                          : config.mask == 0 || window.daddr > config.mask ? CMA_ERANGE
                                                                           : 0),
                "window %llx %llx %llx mask %llx: %d", (unsigned long long)window.daddr,
                (unsigned long long)window.paddr, (unsigned long long)window.nbytes,
                (unsigned long long)config.mask, error);
        count += error == 0 ? edges_ranges(&device, &window, values, nvalues) : 1;
    }
    return count;
}

/* --- all of it ------------------------------------------------------------------------- */

enum { TRANSLATED, PLACED, PAGES, CUT, LINES, WINDOWS, EDGES, COUNTS };
static const char *const names[COUNTS] = {"translate", "place",   "pages", "cut",
                                          "lines",     "windows", "edges"};

/* What one of `njobs` processes does: every njobs-th offset. */
static void run(uint32_t job, uint32_t njobs, uint64_t *counts)
{
    uint64_t values[32];
    uint32_t nvalues = edges_values(values);
    static struct machine machine;

    for (uint32_t offset = job; offset < space; offset += njobs) {
        for (uint32_t mask = 1; mask < space; mask++) { /* no device has a mask of 0 */
            machine_make(&machine, mask, offset);
            naive_runs(&machine, 0);
            counts[TRANSLATED] += translate_machine(&machine);
            counts[PLACED] += place_machine(&machine);
            counts[PAGES] += place_pages(&machine);
        }
        if (offset == 0 || offset == 1 || offset == space / 2 + 3) {
            counts[CUT] += cut_machine(&machine);
        }
        if (offset == 0) {
            counts[LINES] += lines_all(&machine);
        }
    }
    for (uint32_t i = job; i < nvalues; i += njobs) {
        counts[EDGES] += edges_windows(values, nvalues, i);
    }
    if (job == njobs - 1) {
        counts[WINDOWS] += windows_all(bits > 6 ? 64 : space);
    }
}

int main(int argc, char **argv)
{
    uint32_t njobs = 1, failed = 0;
    uint64_t *counts;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--bits") == 0) {
            bits = (uint32_t)atoi(argv[i + 1]);
        } else if (strcmp(argv[i], "--jobs") == 0) {
            njobs = (uint32_t)atoi(argv[i + 1]);
        }
    }
    if (bits < 2 || bits > 8 || njobs == 0 || njobs > 64) {
        fprintf(stderr, "arithmetic: --bits 2 to 8, --jobs 1 to 64\n");
        return 2;
    }
    space = 1u << bits;
    counts = mmap(NULL, njobs * COUNTS * sizeof(*counts), PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (counts == MAP_FAILED) {
        return 2;
    }
    for (uint32_t job = 0; job < njobs; job++) {
        if (fork() == 0) {
            run(job, njobs, &counts[job * COUNTS]);
            _exit(0);
        }
    }
    for (uint32_t job = 0; job < njobs; job++) {
        int status = 0;

        (void)wait(&status);
        failed += status != 0;
    }
    printf("arithmetic: %u bits, %zu-bit program:", bits, 8 * sizeof(void *));
    for (uint32_t i = 0; i < COUNTS; i++) {
        uint64_t sum = 0;

        for (uint32_t job = 0; job < njobs; job++) {
            sum += counts[job * COUNTS + i];
        }
        printf(" %s %llu", names[i], (unsigned long long)sum);
    }
    printf(" tuples, %u differences\n", failed);
    return failed != 0;
}
