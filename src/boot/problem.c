/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * problem.c - what was refused or ignored at boot, as records, and their texts
 *
 * The core keeps numbers, not sentences: a kernel prints them its own way or not at all. The texts
 * are templates in which %b %l %s stand for the first and last address and the size of the range,
 * %v and %x for the value (decimal, hexadecimal), %o for the other node's name.
 */
#include "problem.h"

#include "../base/mem.h"

struct cma_problem *cma__problem_add(struct cma_problems *problems, struct cma_problem *spare,
                                     uint32_t node, const char *property,
                                     enum cma_problem_kind kind)
{
    struct cma_problem *problem = spare;

    if (problems && problems->count < problems->max) {
        problem = &problems->list[problems->count++];
    } else if (problems) {
        problems->lost++;
    }
    memset(problem, 0, sizeof(*problem));
    problem->node = node;
    problem->kind = kind;
    problem->property = property;
    return problem;
}

static const char *problem_template(enum cma_problem_kind kind)
{
    static const char *const texts[CMA_PROBLEM_COUNT] = {
        [CMA_PROBLEM_NONE] = "no problem",
        [CMA_PROBLEM_CELLS] = "%v is not a count of cells that can be read",
        [CMA_PROBLEM_ROOT_CELLS] = "missing or not the root's value: the whole node is ignored",
        [CMA_PROBLEM_NO_RANGES] = "missing: the whole node is ignored",
        [CMA_PROBLEM_LENGTH] = "its length of %v bytes is not a whole number of entries",
        [CMA_PROBLEM_ZERO] = "a size of 0",
        [CMA_PROBLEM_OVERFLOW] = "base %b and size %s pass the end of 64-bit addresses",
        [CMA_PROBLEM_OUTSIDE] = "%b to %l is outside of memory: refused",
        [CMA_PROBLEM_PARTLY] = "%b to %l is partly outside of memory",
        [CMA_PROBLEM_OVERLAP] = "%b to %l overlaps '%o', which has that memory already",
        [CMA_PROBLEM_IN_AREA] = "%b to %l is no-map inside the area '%o': the area stays",
        [CMA_PROBLEM_MEMRESERVE] = "%b to %l of it is also in the tree's memory reservation block",
        [CMA_PROBLEM_GRANULE] = "%b with size %s is not a multiple of the granule %x: refused",
        [CMA_PROBLEM_ALIGNMENT] = "%x is not a power of two: refused",
        [CMA_PROBLEM_NO_MAP] = "reusable memory must be mapped: refused",
        [CMA_PROBLEM_NEEDS_NO_MAP] =
            "a coherent pool must have no-map on this architecture: refused",
        [CMA_PROBLEM_RESTRICTED] = "a restricted pool can't have this property: refused",
        [CMA_PROBLEM_NO_ROOM] = "no free place for size %s at a multiple of %x: refused",
        [CMA_PROBLEM_ZONES] =
            "%b to %l crosses the end of a memory zone, %x: it can't be activated",
        [CMA_PROBLEM_BYPASSED] = "cma= on the command line takes its place: its memory is free",
        [CMA_PROBLEM_SECOND] = "'%o' is the default already: which one is, varies with kernels",
        [CMA_PROBLEM_REACH] =
            "%b to %l passes %x, the highest address that the buses allow: refused",
        [CMA_PROBLEM_LIMIT] = "size %s at %b does not end at or below %x: refused",
        [CMA_PROBLEM_PHANDLE] = "%v is not the phandle of a node",
        [CMA_PROBLEM_NOT_MADE] = "the region '%o' was refused or ignored",
        [CMA_PROBLEM_NOT_REGION] = "'%o' is not a region of /reserved-memory",
        [CMA_PROBLEM_CIRCULAR] = "the way to memory leads in a circle or over too many buses",
        [CMA_PROBLEM_NO_WAY] = "none of %b to %l gets through the buses above",
        [CMA_PROBLEM_ODD] = "a window's size %s is odd, as if a mask was meant: taken as one more",
        [CMA_PROBLEM_CLASH] = "the window %b to %l overlaps another one: left out",
        [CMA_PROBLEM_TOO_MANY] = "more than %v entries: the rest is left out",
        [CMA_PROBLEM_DEVICE_TYPE] = "missing, so this is not taken for memory",
        [CMA_PROBLEM_UNKNOWN] = "libcma knows no such property",
        [CMA_PROBLEM_MISPLACED] = "this means nothing here: ignored",
        [CMA_PROBLEM_WITHOUT] = "this needs '%o' beside it: ignored",
        [CMA_PROBLEM_ENTRIES] =
            "its %v bytes are not one entry for each of '%o', or one for all: refused",
        [CMA_PROBLEM_NOTHING] = "0 is nothing to promise: refused",
        [CMA_PROBLEM_BOUNDARY] = "each block of size %s crosses a multiple of %x: refused",
        [CMA_PROBLEM_NO_AREA] = "the device has no area, and there is no default one: refused",
        [CMA_PROBLEM_SHARED] = "%v devices use this region, so the device has to say it: refused",
        [CMA_PROBLEM_TWICE] = "the device '%o' says this itself: refused",
        [CMA_PROBLEM_GROUP] =
            "the device is in the group '%o' already, and would wait for itself: refused",
        [CMA_PROBLEM_APART] = "the group '%o' has members in another area: refused",
        [CMA_PROBLEM_PAGES] = "%s is not a multiple of the page, %x: refused",
        [CMA_PROBLEM_CLASS] =
            "classes ascend and hold what they are for, not %s in a part of %x: refused",
        [CMA_PROBLEM_TOO_LARGE] = "%s bytes are more than the area has, %x: refused",
    };

    return (unsigned int)kind < CMA_PROBLEM_COUNT && texts[kind] ? texts[kind] : "unknown problem";
}

/* Where text goes: what does not fit is counted, not written. */
struct problem_out {
    char *text;
    size_t nbytes;
    size_t length;
};

static void problem_put(struct problem_out *out, char c)
{
    if (out->length + 1 < out->nbytes) {
        out->text[out->length] = c;
    }
    out->length++;
}

static void problem_put_text(struct problem_out *out, const char *text)
{
    while (*text) {
        problem_put(out, *text++);
    }
}

static void problem_put_number(struct problem_out *out, uint64_t value, unsigned int radix)
{
    char digits[20];
    unsigned int count = 0;

    if (radix == 16) {
        problem_put_text(out, "0x");
    }
    do {
        digits[count++] = "0123456789abcdef"[value % radix];
        value /= radix;
    } while (value);
    while (count > 0) {
        problem_put(out, digits[--count]);
    }
}

size_t cma_problem_text(const struct cma_problem *problem, char *text, size_t nbytes)
{
    struct problem_out out = {text, nbytes, 0};

    for (const char *c = problem_template(problem->kind); *c; c++) {
        if (*c != '%') {
            problem_put(&out, *c);
            continue;
        }
        switch (*++c) {
        case 'b': problem_put_number(&out, problem->base, 16); break;
        case 'l': problem_put_number(&out, problem->base + (problem->nbytes - 1), 16); break;
        case 's': problem_put_number(&out, problem->nbytes, 16); break;
        case 'v': problem_put_number(&out, problem->value, 10); break;
        case 'x': problem_put_number(&out, problem->value, 16); break;
        default: problem_put_text(&out, problem->other ? problem->other : "?"); break;
        }
    }
    if (nbytes > 0) {
        text[out.length < nbytes ? out.length : nbytes - 1] = 0;
    }
    return out.length;
}
