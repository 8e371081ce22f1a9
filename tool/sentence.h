/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sentence.h - a refusal as one English sentence
 *
 * Why, who stands in the way, the longest runs, and the smallest change that would have let the
 * request succeed: what of these struct cma_refusal knows.
 */
#ifndef CMA_TOOL_SENTENCE_H
#define CMA_TOOL_SENTENCE_H

#include <cma/guarantee.h>

enum { SENTENCE_NBYTES = 512 }; /* enough for any, names of up to 100 bytes */

struct sentence_context {
    uint64_t npages;       /* that were asked for */
    uint32_t change_owner; /* of the buffer that CMA_CHANGE_RELEASE names; 0: not known */
    uint32_t page_shift;
    /* What people call a mover, and the owner of a device's buffer; NULL when nobody knows. Both
     * callbacks may be NULL. */
    const char *(*mover_name)(void *ctx, uint32_t mover);
    const char *(*owner_name)(void *ctx, uint32_t owner);
    void *ctx;
};

/* Writes the sentence, full stop included and no newline, cut where it does not fit. */
void sentence_refusal(char *text, size_t nbytes, const struct sentence_context *context,
                      const struct cma_refusal *refusal);

/* The same for `count` blocks of context->npages pages that were not admitted, with what would have
 * been admitted instead. */
void sentence_admission(char *text, size_t nbytes, const struct sentence_context *context,
                        uint32_t count, const struct cma_admission *admission);

#endif
