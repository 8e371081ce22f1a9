/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limits.c - kept pages fit elsewhere exactly if they fit, whatever their movers' address limits
 *
 *     limits [--ops N] [--seed S]     (both are taken and not used: everything is tried)
 *
 *      |  area 0  |   low, ordinary   |   high, ordinary   |  area 1, lent  |
 *                        limit of the second mover ^
 *
 * For each number of idle and of droppable pages, low and high, of idle lent pages in the other
 * area, and of pages of both movers in the window: a claim of all of area 0 must succeed if what is
 * limited fits below the limit and all of it fits somewhere, and otherwise be refused before
 * anything was moved or dropped.
 */
#include "../support/machine.h"

#include <stdio.h>

#define LIMITS_AREA 8
#define LIMITS_PART 12
#define LIMITS_OBJECTS 64

struct limits_case {
    uint32_t idle_low, drop_low, idle_high, drop_high, idle_lent, limited, unlimited;
};

/* The page `page` gets a holder: mover 0 or 1, or nobody who could move (mover 2). */
static void limits_hold(struct machine *machine, uint32_t page, enum cma_kind kind, uint32_t mover)
{
    static const struct cma_pages_request empty;
    struct cma_pages_request request = empty;
    struct machine_object *object = NULL;
    struct cma_refusal refusal;
    uint32_t index = mover;
    cma_pfn_t pfn;
    int error;

    request.npages = 1;
    request.holder.kind = kind;
    request.paddr_first = (machine->base + page) << machine->port.page_shift;
    request.paddr_last = request.paddr_first + ((1u << machine->port.page_shift) - 1);
    if (kind != CMA_KIND_UNMOVABLE) {
        while (machine->objects[index].live)
            index += 2;
        object = &machine->objects[index];
        request.holder.mover = machine->numbers[mover];
        request.holder.cookie = index + 1;
    }
    error = cma_pages_alloc(&machine->pages, &request, &pfn, &refusal);
    MACHINE_REQUIRE(error == 0, "page %u: %s", page, cma_strerror(error));
    if (object != NULL) {
        object->live = true;
        object->kind = kind;
        object->pfn = pfn;
        object->stamp = index * 100u;
        machine_fill(machine, pfn, object->stamp);
    }
}

static void limits_prepare(struct machine *machine, const struct limits_case *c)
{
    uint32_t low = LIMITS_AREA, high = low + LIMITS_PART, lent = high + LIMITS_PART;

    for (uint32_t i = 0; i < LIMITS_PART; i++) {
        if (i >= c->idle_low)
            limits_hold(machine, low + i,
                        i - c->idle_low < c->drop_low ? CMA_KIND_DROPPABLE : CMA_KIND_UNMOVABLE, 0);
        if (i >= c->idle_high)
            limits_hold(machine, high + i,
                        i - c->idle_high < c->drop_high ? CMA_KIND_DROPPABLE : CMA_KIND_UNMOVABLE,
                        0);
    }
    while (cma_area_lend(&machine->areas[0], CMA_KIND_MOVABLE) ||
           cma_area_lend(&machine->areas[1], CMA_KIND_MOVABLE))
        ;
    for (uint32_t i = c->idle_lent; i < LIMITS_AREA; i++)
        limits_hold(machine, lent + i, CMA_KIND_MOVABLE, 0);
    /* In turns, for the order in which the pages are met must not matter. */
    for (uint32_t i = 0, a = 0, b = 0; a < c->limited || b < c->unlimited; i++) {
        bool limited = a < c->limited && (i % 2 == 0 || b == c->unlimited);

        limits_hold(machine, a + b, CMA_KIND_MOVABLE, limited ? 1 : 0);
        a += limited;
        b += !limited;
    }
}

static bool limits_try(const struct limits_case *c)
{
    static const struct machine_config config = {
        .npages = 2 * LIMITS_AREA + 2 * LIMITS_PART,
        .areas = {{0, LIMITS_AREA}, {LIMITS_AREA + 2 * LIMITS_PART, LIMITS_AREA}},
        .nareas = 2,
        .nobjects = LIMITS_OBJECTS,
        .limited_npages = LIMITS_AREA + LIMITS_PART,
    };
    static struct machine machine;
    struct cma_area_request request = {.npages = LIMITS_AREA, .owner = 5};
    uint32_t low = c->idle_low + c->drop_low;
    uint32_t all = low + c->idle_high + c->drop_high + c->idle_lent;
    bool fits = c->limited <= low && c->limited + c->unlimited <= all;
    struct cma_refusal refusal;
    cma_pfn_t pfn;
    int error;

    machine_make(&machine, &config);
    limits_prepare(&machine, c);
    machine_check(&machine);
    error = cma_area_alloc(&machine.areas[0], &request, &pfn, &refusal);
    MACHINE_REQUIRE(error == (fits ? 0 : CMA_ENOMEM),
                    "low %u + %u, high %u + %u, lent %u; %u limited, %u not: %s", c->idle_low,
                    c->drop_low, c->idle_high, c->drop_high, c->idle_lent, c->limited, c->unlimited,
                    cma_strerror(error));
    MACHINE_REQUIRE(machine.moved == (fits ? c->limited + c->unlimited : 0) &&
                        (fits || machine.dropped == 0),
                    "%u pages were moved and %u dropped", machine.moved, machine.dropped);
    machine_check(&machine);
    machine_end(&machine);
    return fits;
}

int main(void)
{
    uint32_t tried = 0, fitted = 0;

    for (uint32_t n = 0; n < 3 * 3 * 3 * 3 * 3 * 5 * 4; n++) {
        struct limits_case c = {
            .idle_low = n % 3,
            .drop_low = n / 3 % 3,
            .idle_high = n / 9 % 3,
            .drop_high = n / 27 % 3,
            .idle_lent = n / 81 % 3,
            .limited = n / 243 % 5,
            .unlimited = n / 1215 % 4,
        };

        fitted += limits_try(&c);
        tried++;
    }
    printf("%u cases, %u fit and %u do not: each was answered so\n", tried, fitted, tried - fitted);
    return 0;
}
