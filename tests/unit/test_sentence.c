/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_sentence.c - every reason and every change of a refusal has its words, and all of them make
 * one sentence
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "../../tool/sentence.h"

static const char *test_mover(void *ctx, uint32_t mover)
{
    assert_ptr_equal(ctx, (void *)&test_mover);
    return mover == 3 ? "programs" : NULL;
}

static const char *test_owner(void *ctx, uint32_t owner)
{
    assert_ptr_equal(ctx, (void *)&test_mover);
    return owner == 7 ? "/soc/camera" : NULL;
}

static const struct sentence_context test_context = {
    .npages = 680,
    .page_shift = 12,
    .mover_name = test_mover,
    .owner_name = test_owner,
    .ctx = (void *)&test_mover,
};

static void test_is(const struct cma_refusal *refusal, const char *expected)
{
    char text[SENTENCE_NBYTES];

    sentence_refusal(text, sizeof(text), &test_context, refusal);
    assert_string_equal(text, expected);
}

static void each_reason_has_words(void **state)
{
    static const struct {
        struct cma_refusal refusal;
        const char *expected;
    } cases[] = {
        {{.code = CMA_ENOMEM, .reason = CMA_REASON_NONE, .pfn = CMA_PFN_NONE}, NULL},
        {{.code = CMA_EINVAL, .reason = CMA_REASON_ARGUMENT, .pfn = CMA_PFN_NONE}, NULL},
        {{.reason = CMA_REASON_TOO_LARGE, .pfn = CMA_PFN_NONE},
         "680 pages refused: that is more than the area can ever hold."},
        {{.reason = CMA_REASON_UNREACHABLE, .pfn = CMA_PFN_NONE},
         "680 pages refused: no run of that length lies at addresses that the device reaches."},
        {{.reason = CMA_REASON_CLAIMED, .pfn = 0x11c80, .owner = 7},
         "680 pages refused: what devices have leaves no run of that length, for example the "
         "buffer of /soc/camera around 0x11c80000."},
        {{.reason = CMA_REASON_HELD, .pfn = 0x11c80, .mover = 3},
         "680 pages refused: page 0x11c80000 of programs is held in place, and no run avoids such "
         "pages."},
        {{.reason = CMA_REASON_MOVER, .pfn = 0x11c80, .mover = 4},
         "680 pages refused: page 0x11c80000 of mover 4 was not let go by its holder."},
        {{.reason = CMA_REASON_NO_ROOM, .pfn = CMA_PFN_NONE},
         "680 pages refused: a run could be emptied, but its data fits nowhere else."},
        {{.reason = CMA_REASON_NO_MEMORY, .pfn = CMA_PFN_NONE},
         "680 pages refused: no free page is in reach."},
        {{.reason = CMA_REASON_FLOOR, .pfn = CMA_PFN_NONE},
         "680 pages refused: the free pages in reach are held back for what has to move."},
        {{.code = CMA_ENOMEM, .reason = CMA_REASON_MAPPING, .pfn = CMA_PFN_NONE}, NULL},
        {{.reason = CMA_REASON_BUDGET, .pfn = CMA_PFN_NONE},
         "680 pages refused: the budget for it ended first."},
        {{.reason = CMA_REASON_INACTIVE, .pfn = CMA_PFN_NONE},
         "680 pages refused: the area is not in use yet."},
        {{.reason = CMA_REASON_PROMISED, .pfn = CMA_PFN_NONE},
         "680 pages refused: what is left was promised to other devices."},
        {{.reason = CMA_REASON_GROUP, .pfn = CMA_PFN_NONE},
         "680 pages refused: a device that shares its promised memory is open."},
        {{.reason = CMA_REASON_QUOTA, .pfn = CMA_PFN_NONE},
         "680 pages refused: the device has as much as its quota allows."},
        {{.reason = CMA_REASON_EXCLUSIVE, .pfn = CMA_PFN_NONE},
         "680 pages refused: the device's own memory has no such run, and it may use no other."},
        {{.reason = CMA_REASON_WINDOW, .pfn = CMA_PFN_NONE},
         "680 pages refused: the consistent window has no such run of addresses left."},
        {{.reason = CMA_REASON_NOSLEEP, .pfn = CMA_PFN_NONE},
         "680 pages refused: the pool for callers that may not sleep is dry."},
        {{.reason = CMA_REASON_BOUNCE, .pfn = CMA_PFN_NONE},
         "680 pages refused: no bounce memory is left in reach."},
        {{.reason = CMA_REASON_ALIAS, .pfn = 0x11c80},
         "680 pages refused: page 0x11c80000 is mapped with other attributes already."},
        {{.reason = CMA_REASON_LINES, .pfn = CMA_PFN_NONE},
         "680 pages refused: the device would write into cache lines with other data."},
    };
    char text[SENTENCE_NBYTES];

    (void)state;
    /* A new reason needs words, and a line here. */
    assert_int_equal(sizeof(cases) / sizeof(cases[0]), CMA_REASON_COUNT);
    for (int i = 0; i < CMA_REASON_COUNT; i++) {
        assert_int_equal(cases[i].refusal.reason, i);
        if (cases[i].expected != NULL) {
            test_is(&cases[i].refusal, cases[i].expected);
            continue;
        }
        /* The words for the code are libcma's own. */
        sentence_refusal(text, sizeof(text), &test_context, &cases[i].refusal);
        assert_non_null(strstr(text, cma_strerror(cases[i].refusal.code)));
    }
}

static void each_change_has_words(void **state)
{
    static const char *const expected[CMA_CHANGE_COUNT] = {
        [CMA_CHANGE_NONE] = "680 pages refused: no free page is in reach.",
        [CMA_CHANGE_FRAME] = "680 pages refused: no free page is in reach; it would have fitted "
                             "with page 0x200000 let go.",
        [CMA_CHANGE_ROOM] = "680 pages refused: no free page is in reach; 512 pages more free "
                            "outside of areas, up to address 0xffffff, would have been enough.",
        [CMA_CHANGE_ALIGN] = "680 pages refused: no free page is in reach; aligned to 512 pages "
                             "at most it would have fitted.",
        [CMA_CHANGE_LIMIT] = "680 pages refused: no free page is in reach; allowed up to address "
                             "0x200 it would have fitted.",
        [CMA_CHANGE_NPAGES] = "680 pages refused: no free page is in reach; 512 pages at most "
                              "would have fitted.",
        [CMA_CHANGE_RELEASE] = "680 pages refused: no free page is in reach; it would have fitted "
                               "with the buffer at 0x200000 released.",
    };

    (void)state;
    for (int i = 0; i < CMA_CHANGE_COUNT; i++) {
        struct cma_refusal refusal = {
            .reason = CMA_REASON_NO_MEMORY,
            .pfn = CMA_PFN_NONE,
            .change = (enum cma_change)i,
            .change_value = 512,
            .change_paddr_last = 0xffffff,
        };

        assert_non_null(expected[i]);
        test_is(&refusal, expected[i]);
    }
}

static void all_parts_make_one_sentence(void **state)
{
    struct cma_refusal refusal = {
        .code = CMA_ENOSPC,
        .reason = CMA_REASON_HELD,
        .pfn = 0x11c80,
        .mover = 3,
        .free_run_npages = 1,
        .possible_run_npages = 512,
        .change = CMA_CHANGE_NPAGES,
        .change_value = 512,
    };
    struct sentence_context context = test_context;
    char text[SENTENCE_NBYTES];

    (void)state;
    test_is(&refusal, "680 pages refused: page 0x11c80000 of programs is held in place, and no run "
                      "avoids such pages; the longest empty run has 1 page, the longest that could "
                      "be emptied 512; 512 pages at most would have fitted.");
    refusal = (struct cma_refusal){
        .reason = CMA_REASON_CLAIMED,
        .pfn = 0x100,
        .owner = 7,
        .change = CMA_CHANGE_RELEASE,
        .change_value = 0x200,
    };
    context.change_owner = 7;
    sentence_refusal(text, sizeof(text), &context, &refusal);
    assert_string_equal(text, "680 pages refused: what devices have leaves no run of that length, "
                              "for example the buffer of /soc/camera around 0x100000; it would "
                              "have fitted with the buffer of /soc/camera at 0x200000 released.");
    /* Room without a limit does not name one. */
    refusal = (struct cma_refusal){
        .reason = CMA_REASON_NO_ROOM,
        .pfn = CMA_PFN_NONE,
        .change = CMA_CHANGE_ROOM,
        .change_value = 1,
        .change_paddr_last = CMA_PADDR_MAX,
    };
    test_is(&refusal, "680 pages refused: a run could be emptied, but its data fits nowhere else; "
                      "1 page more free outside of areas would have been enough.");
}

static void what_does_not_fit_is_cut(void **state)
{
    struct cma_refusal refusal = {.reason = CMA_REASON_NO_MEMORY, .pfn = CMA_PFN_NONE};
    struct sentence_context context = {.npages = 1, .page_shift = 8};
    char whole[SENTENCE_NBYTES], text[SENTENCE_NBYTES];

    (void)state;
    sentence_refusal(whole, sizeof(whole), &context, &refusal);
    assert_string_equal(whole, "1 page refused: no free page is in reach.");
    for (size_t nbytes = 0; nbytes <= strlen(whole) + 1; nbytes++) {
        memset(text, '!', sizeof(text));
        sentence_refusal(text, nbytes, &context, &refusal);
        assert_int_equal(text[nbytes], '!');
        if (nbytes == 0)
            continue;
        assert_int_equal(strlen(text), nbytes - 1);
        assert_memory_equal(text, whole, nbytes - 1);
    }
    /* Nobody who knows names. */
    refusal = (struct cma_refusal){.reason = CMA_REASON_CLAIMED, .pfn = 2, .owner = 7};
    sentence_refusal(text, sizeof(text), &context, &refusal);
    assert_non_null(strstr(text, "the buffer of owner 7 around 0x200."));
}

static void admissions_say_what_would_do(void **state)
{
    static const struct {
        uint32_t count, possible_count;
        uint64_t possible_npages;
        enum cma_reason reason;
        const char *text;
    } cases[] = {
        {6, 4, 512, CMA_REASON_PROMISED,
         "6 blocks of 768 pages refused: what is left was promised to other devices; 4 of them, or "
         "6 of 512 pages would have been admitted."},
        {6, 0, 1, CMA_REASON_TOO_LARGE,
         "6 blocks of 768 pages refused: that is more than the area can ever hold; 6 of 1 page "
         "would have been admitted."},
        {6, 1, 0, CMA_REASON_UNREACHABLE,
         "6 blocks of 768 pages refused: no run of that length lies at addresses that the device "
         "reaches; 1 of them would have been admitted."},
        {1, 0, 0, CMA_REASON_NO_ROOM,
         "1 block of 768 pages refused: a run could be emptied, but its data fits nowhere else."},
        {9, 9, 0, CMA_REASON_NO_MEMORY,
         "9 blocks of 768 pages refused: there is no storage for so many slots."},
    };
    struct sentence_context context = {.npages = 768, .page_shift = 12};
    char text[SENTENCE_NBYTES];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct cma_admission admission = {
            .refusal = {.reason = cases[i].reason, .pfn = CMA_PFN_NONE},
            .possible_count = cases[i].possible_count,
            .possible_npages = cases[i].possible_npages,
        };

        sentence_admission(text, sizeof(text), &context, cases[i].count, &admission);
        assert_string_equal(text, cases[i].text);
        sentence_admission(text, 10, &context, cases[i].count, &admission);
        assert_int_equal(strlen(text), 9);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_reason_has_words),        cmocka_unit_test(each_change_has_words),
        cmocka_unit_test(all_parts_make_one_sentence),  cmocka_unit_test(what_does_not_fit_is_cut),
        cmocka_unit_test(admissions_say_what_would_do),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
