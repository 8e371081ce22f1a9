/* SPDX-License-Identifier: BSD-2-Clause */
/* test_map.c - the memory map: each refusal by its name, the edges of 64 bits, and a naive model */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cma/map.h>

#define MAX UINT64_MAX

static struct cma_range memory[8], reserved[8];

static struct cma_map empty(void)
{
    struct cma_map map;

    assert_int_equal(cma_map_init(&map, memory, 8, reserved, 8), 0);
    return map;
}

static int reserve(struct cma_map *map, uint64_t base, uint64_t nbytes, enum cma_range_kind kind)
{
    struct cma_range range = {base, nbytes, kind, 0, "it", 7};
    int error = cma_map_reserve(map, &range, NULL);

    assert_true(cma_map_check(map));
    return error;
}

static int add(struct cma_map *map, uint64_t base, uint64_t nbytes)
{
    int error = cma_map_add_memory(map, base, nbytes, NULL);

    assert_true(cma_map_check(map));
    return error;
}

static void init_refuses_nothing(void **state)
{
    struct cma_map map;

    (void)state;
    assert_int_equal(cma_map_init(NULL, memory, 1, reserved, 1), CMA_EINVAL);
    assert_int_equal(cma_map_init(&map, NULL, 1, reserved, 1), CMA_EINVAL);
    assert_int_equal(cma_map_init(&map, memory, 0, reserved, 1), CMA_EINVAL);
    assert_int_equal(cma_map_init(&map, memory, 1, NULL, 1), CMA_EINVAL);
    assert_int_equal(cma_map_init(&map, memory, 1, reserved, 0), CMA_EINVAL);
}

static void memory_is_merged_and_refused_by_name(void **state)
{
    struct cma_map map = empty();
    struct cma_range conflict;

    (void)state;
    assert_int_equal(add(&map, 0x1000, 0), CMA_EINVAL);
    assert_int_equal(add(&map, 0x1000, MAX), CMA_EOVERFLOW);
    assert_int_equal(add(&map, 0x1000, 0x1000), 0);
    assert_int_equal(add(&map, 0x3000, 0x1000), 0);
    assert_int_equal(map.nmemory, 2);
    assert_int_equal(cma_map_add_memory(&map, 0x1fff, 0x2000, &conflict), CMA_EEXIST);
    assert_int_equal(conflict.base, 0x1000);
    assert_int_equal(cma_map_add_memory(&map, 0x2000, 0x1001, &conflict), CMA_EEXIST);
    assert_int_equal(conflict.base, 0x3000);
    assert_int_equal(map.nmemory, 2);
    assert_int_equal(add(&map, 0x2000, 0x1000), 0);
    assert_int_equal(map.nmemory, 1);
    assert_int_equal(cma_map_memory(&map, 0)->base, 0x1000);
    assert_int_equal(cma_map_memory(&map, 0)->nbytes, 0x3000);
    assert_null(cma_map_memory(&map, 1));
}

static void memory_reaches_the_last_byte(void **state)
{
    struct cma_map map = empty();
    struct cma_map_cursor cursor = {0, false};
    struct cma_range piece;
    cma_paddr_t base;

    (void)state;
    assert_int_equal(add(&map, MAX - 0xfff, 0x1001), CMA_EOVERFLOW);
    assert_int_equal(add(&map, MAX - 0xfff, 0x1000), 0);
    assert_int_equal(cma_map_find(&map, 0x1000, 0x1000, 0, MAX, false, &base), 0);
    assert_true(base == MAX - 0xfff);
    assert_int_equal(reserve(&map, MAX - 0xff, 0x100, CMA_RANGE_AREA), 0);
    assert_true(cma_map_next(&map, &cursor, &piece));
    assert_int_equal(piece.nbytes, 0xf00);
    assert_true(cma_map_next(&map, &cursor, &piece));
    assert_int_equal(piece.kind, CMA_RANGE_AREA);
    assert_false(cma_map_next(&map, &cursor, &piece));
    assert_int_equal(cma_map_find(&map, 0x1000, 1, 0, MAX, true, &base), CMA_ENOMEM);
    assert_int_equal(cma_map_free_nbytes(&map), 0xf00);
    /* all of 2^64 has no size that fits */
    map = empty();
    assert_int_equal(add(&map, 0, 1ull << 63), 0);
    assert_int_equal(add(&map, 1ull << 63, 1ull << 63), CMA_EOVERFLOW);
    assert_int_equal(map.nmemory, 1);
}

static void reserving_is_refused_by_name(void **state)
{
    struct cma_map map = empty();
    struct cma_range nameless = {0x1000, 0x1000, CMA_RANGE_RESERVED, 0, NULL, 0};
    struct cma_range again = {0x2000, 0x4000, CMA_RANGE_RESERVED, 0, "again", 0};
    struct cma_range conflict;

    (void)state;
    assert_int_equal(add(&map, 0x1000, 0x8000), 0);
    assert_int_equal(reserve(&map, 0x1000, 0, CMA_RANGE_RESERVED), CMA_EINVAL);
    assert_int_equal(reserve(&map, 0x1000, 0x1000, CMA_RANGE_MEMORY), CMA_EINVAL);
    assert_int_equal(reserve(&map, 0x1000, 0x1000, (enum cma_range_kind)9), CMA_EINVAL);
    assert_int_equal(cma_map_reserve(&map, &nameless, NULL), CMA_EINVAL);
    assert_int_equal(reserve(&map, 0x2000, MAX, CMA_RANGE_RESERVED), CMA_EOVERFLOW);
    assert_int_equal(reserve(&map, 0x8000, 0x2000, CMA_RANGE_NO_MAP), CMA_ERANGE);
    assert_int_equal(reserve(&map, 0, 0x10000, CMA_RANGE_RESERVED), CMA_ERANGE);
    assert_int_equal(reserve(&map, 0x20000, 0x1000, CMA_RANGE_AREA), CMA_ERANGE);
    assert_int_equal(map.nreserved, 0);
    assert_int_equal(reserve(&map, 0x20000, 0x1000, CMA_RANGE_COHERENT_POOL), 0);
    assert_int_equal(reserve(&map, 0x4000, 0x1000, CMA_RANGE_AREA), 0);
    assert_int_equal(reserve(&map, 0x5000, 0x1000, CMA_RANGE_RESERVED), 0);
    assert_int_equal(cma_map_reserve(&map, &again, &conflict), CMA_EEXIST);
    assert_int_equal(conflict.base, 0x4000);
    assert_int_equal(map.nreserved, 3);
    assert_int_equal(cma_map_unreserve(&map, 0x4800), CMA_ENOENT);
    assert_int_equal(cma_map_unreserve(&map, 0x4000), 0);
    assert_int_equal(cma_map_reserved(&map, 0)->base, 0x5000);
    assert_null(cma_map_reserved(&map, 2));
}

static void full_arrays_refuse_and_stay(void **state)
{
    struct cma_map map;

    (void)state;
    assert_int_equal(cma_map_init(&map, memory, 1, reserved, 1), 0);
    assert_int_equal(add(&map, 0x10000, 0x10000), 0);
    assert_int_equal(add(&map, 0x40000, 0x10000), CMA_ENOMEM);
    assert_int_equal(add(&map, 0x20000, 0x10000), 0); /* joins: needs no slot */
    assert_int_equal(reserve(&map, 0x10000, 0x1000, CMA_RANGE_AREA), 0);
    assert_int_equal(reserve(&map, 0x12000, 0x1000, CMA_RANGE_AREA), CMA_ENOMEM);
    assert_int_equal(map.nreserved, 1);
}

static void late_memory_cuts_nothing(void **state)
{
    struct cma_map map = empty();
    struct cma_range conflict;

    (void)state;
    assert_int_equal(reserve(&map, 0x5000, 0x2000, CMA_RANGE_NO_MAP), 0);
    assert_int_equal(cma_map_add_memory(&map, 0x1000, 0x5000, &conflict), CMA_EEXIST);
    assert_int_equal(conflict.base, 0x5000);
    assert_int_equal(add(&map, 0x6000, 0x5000), CMA_EEXIST);
    assert_int_equal(add(&map, 0x1000, 0x8000), 0);
}

static void finding_keeps_to_the_window(void **state)
{
    struct cma_map map = empty();
    cma_paddr_t base = 1;

    (void)state;
    assert_int_equal(add(&map, 0x10000, 0x10000), 0);
    assert_int_equal(reserve(&map, 0x18000, 0x1000, CMA_RANGE_RESERVED), 0);
    assert_int_equal(cma_map_find(&map, 0, 1, 0, MAX, false, &base), CMA_EINVAL);
    assert_int_equal(cma_map_find(&map, 1, 3, 0, MAX, false, &base), CMA_EINVAL);
    assert_int_equal(cma_map_find(&map, 1, 1, 2, 1, false, &base), CMA_EINVAL);
    assert_int_equal(cma_map_find(&map, 0x8001, 1, 0, MAX, false, &base), CMA_ENOMEM);
    assert_int_equal(base, 1);
    assert_int_equal(cma_map_find(&map, 0x1000, 0, 0, MAX, false, &base), 0);
    assert_int_equal(base, 0x1f000);
    assert_int_equal(cma_map_find(&map, 0x1000, 0x1000, 0, MAX, true, &base), 0);
    assert_int_equal(base, 0x10000);
    assert_int_equal(cma_map_find(&map, 0x1000, 0x4000, 0, 0x1bfff, false, &base), 0);
    assert_int_equal(base, 0x14000);
    assert_int_equal(cma_map_find(&map, 0x1000, 0x1000, 0, 0x19ffe, false, &base), 0);
    assert_int_equal(base, 0x17000);
    assert_int_equal(cma_map_find(&map, 0x800, 0x800, 0x11801, 0x12800, false, &base), 0);
    assert_int_equal(base, 0x12000);
    assert_int_equal(cma_map_find(&map, 0x800, 0x800, 0x11801, 0x12000, false, &base), CMA_ENOMEM);
}

static void stolen_memory_is_gone(void **state)
{
    struct cma_map map = empty();
    cma_paddr_t base;

    (void)state;
    assert_int_equal(add(&map, 0x10000, 0x10000), 0);
    assert_int_equal(reserve(&map, 0x1f000, 0x1000, CMA_RANGE_RESERVED), 0);
    assert_int_equal(cma_map_steal(&map, 0x1000, 0x1000, 0, MAX, NULL, &base), CMA_EINVAL);
    assert_int_equal(cma_map_steal(&map, 0x1000, 0x1000, 0, MAX, "steal", &base), 0);
    assert_int_equal(base, 0x1e000);
    assert_true(cma_map_check(&map));
    assert_int_equal(map.nmemory, 2);
    assert_int_equal(cma_map_reserved(&map, 0)->flags, CMA_RANGE_STOLEN);
    assert_int_equal(cma_map_free_nbytes(&map), 0xe000);
    assert_int_equal(add(&map, 0x1e000, 0x1000), CMA_EEXIST);
    /* the front, then all of a range */
    assert_int_equal(cma_map_steal(&map, 0x1000, 0x1000, 0x10000, 0x10fff, "front", &base), 0);
    assert_int_equal(cma_map_memory(&map, 0)->base, 0x11000);
    assert_int_equal(cma_map_steal(&map, 0xd000, 0x1000, 0, MAX, "all", &base), 0);
    assert_int_equal(map.nmemory, 1);
    assert_true(cma_map_check(&map));
    /* a split that has no slot changes nothing */
    assert_int_equal(cma_map_init(&map, memory, 1, reserved, 1), 0);
    assert_int_equal(add(&map, 0x10000, 0x10000), 0);
    assert_int_equal(cma_map_steal(&map, 0x1000, 0x1000, 0x12000, 0x12fff, "x", &base), CMA_ENOMEM);
    assert_int_equal(map.nreserved, 0);
    assert_int_equal(cma_map_memory(&map, 0)->nbytes, 0x10000);
}

static void pieces_come_in_order(void **state)
{
    struct cma_map map = empty();
    struct cma_map_cursor cursor = {0x11000, false};
    struct cma_range piece;
    static const struct {
        uint64_t base, nbytes;
        enum cma_range_kind kind;
    } expected[] = {{0x11000, 0x1000, CMA_RANGE_MEMORY},
                    {0x12000, 0x1000, CMA_RANGE_AREA},
                    {0x13000, 0xd000, CMA_RANGE_MEMORY},
                    {0x30000, 0x1000, CMA_RANGE_NO_MAP},
                    {0x40000, 0x2000, CMA_RANGE_MEMORY}};

    (void)state;
    assert_int_equal(add(&map, 0x10000, 0x10000), 0);
    assert_int_equal(add(&map, 0x40000, 0x2000), 0);
    assert_int_equal(reserve(&map, 0x12000, 0x1000, CMA_RANGE_AREA), 0);
    assert_int_equal(reserve(&map, 0x30000, 0x1000, CMA_RANGE_NO_MAP), 0);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        assert_true(cma_map_next(&map, &cursor, &piece));
        assert_int_equal(piece.base, expected[i].base);
        assert_int_equal(piece.nbytes, expected[i].nbytes);
        assert_int_equal(piece.kind, expected[i].kind);
        assert_non_null(piece.name);
    }
    assert_false(cma_map_next(&map, &cursor, &piece));
}

static void check_sees_damage(void **state)
{
    struct cma_map map = empty();

    (void)state;
    assert_int_equal(add(&map, 0x10000, 0x10000), 0);
    assert_int_equal(add(&map, 0x40000, 0x10000), 0);
    assert_int_equal(reserve(&map, 0x12000, 0x1000, CMA_RANGE_AREA), 0);
    memory[0].nbytes = 0x30000; /* touches the next one unmerged */
    assert_false(cma_map_check(&map));
    memory[0].nbytes = 0x2800; /* cuts the area */
    assert_false(cma_map_check(&map));
    reserved[0].kind = CMA_RANGE_NO_MAP; /* nor may others be cut */
    assert_false(cma_map_check(&map));
    reserved[0].kind = CMA_RANGE_AREA;
    memory[0].nbytes = 0x10000;
    reserved[0].nbytes = 0;
    assert_false(cma_map_check(&map));
    reserved[0].nbytes = 0x1000;
    assert_true(cma_map_check(&map));
}

static void names_are_the_issues(void **state)
{
    (void)state;
    assert_string_equal(cma_range_kind_name(CMA_RANGE_MEMORY), "memory");
    assert_string_equal(cma_range_kind_name(CMA_RANGE_AREA), "area");
    assert_string_equal(cma_range_kind_name(CMA_RANGE_COHERENT_POOL), "coherent-pool");
    assert_string_equal(cma_range_kind_name(CMA_RANGE_RESTRICTED_POOL), "restricted-pool");
    assert_string_equal(cma_range_kind_name(CMA_RANGE_NO_MAP), "no-map");
    assert_string_equal(cma_range_kind_name(CMA_RANGE_RESERVED), "reserved");
    assert_string_equal(cma_range_kind_name((enum cma_range_kind)77), "unknown");
}

/* ---- against a model of bytes: one character an address, offset 0 or right below 2^64 ---- */

#define WORLD 64

struct model {
    char byte[WORLD]; /* ' ' nothing, '.' memory, 'S' stolen; and who reserved it: */
    char owner[WORLD];
};

static bool model_uniform(const char *bytes, unsigned int from, unsigned int count, char c)
{
    for (unsigned int i = from; i < from + count; i++) {
        if (bytes[i] != c) {
            return false;
        }
    }
    return true;
}

static void model_compare(const struct cma_map *map, const struct model *model, uint64_t zero)
{
    struct model seen;
    const struct cma_range *range;

    memset(&seen, ' ', sizeof(seen));
    for (uint32_t i = 0; (range = cma_map_memory(map, i)) != NULL; i++) {
        memset(seen.byte + (range->base - zero), '.', range->nbytes);
    }
    for (uint32_t i = 0; (range = cma_map_reserved(map, i)) != NULL; i++) {
        memset(seen.owner + (range->base - zero), (char)range->id, range->nbytes);
    }
    assert_memory_equal(seen.byte, model->byte, WORLD);
    assert_memory_equal(seen.owner, model->owner, WORLD);
    assert_true(cma_map_check(map));
}

/* The highest or lowest place by trying all of them. */
static int model_find(const struct model *model, uint64_t zero, unsigned int count,
                      unsigned int align, unsigned int first, unsigned int last, bool up)
{
    int found = -1;

    for (unsigned int at = first; at + count <= last + 1; at++) {
        if ((zero + at) % align == 0 && model_uniform(model->byte, at, count, '.') &&
            model_uniform(model->owner, at, count, ' ') && (found < 0 || !up)) {
            found = (int)at;
        }
    }
    return found;
}

static void agrees_with_a_model(void **state)
{
    static struct cma_range m[WORLD], r[WORLD];

    (void)state;
    srand(1);
    for (int round = 0; round < 400; round++) {
        uint64_t zero = round & 1 ? MAX - (WORLD - 1) : 0;
        struct model model;
        struct cma_map map;
        char next = 'a';

        memset(&model, ' ', sizeof(model));
        assert_int_equal(cma_map_init(&map, m, WORLD, r, WORLD), 0);
        for (int step = 0; step < 60; step++) {
            unsigned int at = (unsigned int)rand() % WORLD;
            unsigned int count = 1 + (unsigned int)rand() % (WORLD - at) % 16;
            unsigned int align = 1u << rand() % 4;
            struct cma_range range = {zero + at, count, CMA_RANGE_NO_MAP, 0, "x", (uint32_t)next};
            bool up = rand() & 1;
            cma_paddr_t base;
            int place;

            switch (rand() % 6) {
            case 0: {
                bool clear = model_uniform(model.byte, at, count, ' ');
                struct model after = model;
                bool whole = true;

                memset(after.byte + at, '.', count);
                for (uint32_t i = 0; i < map.nreserved; i++) {
                    unsigned int b = (unsigned int)(r[i].base - zero);
                    bool touched = b < at + count && at < b + r[i].nbytes;

                    whole =
                        whole && !(touched && (r[i].flags & CMA_RANGE_STOLEN)) &&
                        (!touched || model_uniform(after.byte, b, (unsigned int)r[i].nbytes, '.'));
                }
                assert_int_equal(cma_map_add_memory(&map, zero + at, count, NULL),
                                 clear && whole ? 0 : CMA_EEXIST);
                model = clear && whole ? after : model;
                break;
            }
            case 1:
            case 2: {
                bool free = model_uniform(model.owner, at, count, ' ');
                bool inside = model_uniform(model.byte, at, count, '.');
                bool fits = inside || (model_uniform(model.byte, at, count, ' ') && (step & 1));

                range.kind = step & 1 ? CMA_RANGE_NO_MAP : CMA_RANGE_AREA;
                assert_int_equal(cma_map_reserve(&map, &range, NULL), !fits  ? CMA_ERANGE
                                                                      : free ? 0
                                                                             : CMA_EEXIST);
                if (fits && free) {
                    memset(model.owner + at, next++, count);
                }
                break;
            }
            case 3: {
                char owner = model.owner[at];
                bool starts = owner != ' ' && (at == 0 || model.owner[at - 1] != owner);

                assert_int_equal(cma_map_unreserve(&map, zero + at), starts ? 0 : CMA_ENOENT);
                for (unsigned int i = at; starts && i < WORLD && model.owner[i] == owner; i++) {
                    model.owner[i] = ' ';
                }
                break;
            }
            case 4:
                place = model_find(&model, zero, count, align, at, WORLD - 1, up);
                assert_int_equal(cma_map_find(&map, count, align, zero + at, MAX, up, &base),
                                 place < 0 ? CMA_ENOMEM : 0);
                assert_true(place < 0 || base == zero + (unsigned int)place);
                break;
            default:
                if (step % 5) {
                    break;
                }
                place = model_find(&model, zero, count, align, 0, at, false);
                assert_int_equal(cma_map_steal(&map, count, align, zero, zero + at, "s", &base),
                                 place < 0 ? CMA_ENOMEM : 0);
                if (place >= 0) {
                    assert_true(base == zero + (unsigned int)place);
                    for (uint32_t i = 0; i < map.nreserved; i++) {
                        r[i].id = r[i].base == base ? (uint32_t)next : r[i].id;
                    }
                    memset(model.byte + place, ' ', count);
                    memset(model.owner + place, next++, count);
                }
                break;
            }
            model_compare(&map, &model, zero);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_refuses_nothing),
        cmocka_unit_test(memory_is_merged_and_refused_by_name),
        cmocka_unit_test(memory_reaches_the_last_byte),
        cmocka_unit_test(reserving_is_refused_by_name),
        cmocka_unit_test(full_arrays_refuse_and_stay),
        cmocka_unit_test(late_memory_cuts_nothing),
        cmocka_unit_test(finding_keeps_to_the_window),
        cmocka_unit_test(stolen_memory_is_gone),
        cmocka_unit_test(pieces_come_in_order),
        cmocka_unit_test(check_sees_damage),
        cmocka_unit_test(names_are_the_issues),
        cmocka_unit_test(agrees_with_a_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
