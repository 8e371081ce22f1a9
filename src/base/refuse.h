/* SPDX-License-Identifier: BSD-2-Clause */
/* refuse.h - refusals filled in, if somebody wants one */
#ifndef CMA_BASE_REFUSE_H
#define CMA_BASE_REFUSE_H

#include <cma/types.h>

#include <stddef.h>

/* With the page that stands in the way. Returns `code`, as below. */
static inline int refuse_at(struct cma_refusal *refusal, int code, enum cma_reason reason,
                            cma_pfn_t pfn)
{
    if (refusal != NULL) {
        *refusal = (struct cma_refusal){.code = code, .reason = reason, .pfn = pfn};
    }
    return code;
}

static inline int refuse_with(struct cma_refusal *refusal, int code, enum cma_reason reason)
{
    return refuse_at(refusal, code, reason, CMA_PFN_NONE);
}

#endif
