/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.h - what an area may have besides: an index of windows, and explanations
 */
#ifndef CMA_CMA_ENGINE_H
#define CMA_CMA_ENGINE_H

#include <cma/area.h>

#include "../frame/fit.h"

#include "../frame/table.h"

/* The short way has no answer: the long way is to be gone. */
#define CMA__QUICK_NO 1

struct cma_area_engine {
    /*
     * Claims a window in which nobody has anything. Returns 0 and *pfn; CMA_ENOMEM: nothing that
     * is not claimed would do, and nothing is under way; CMA__QUICK_NO. Sleeps: no.
     */
    int (*claim)(struct cma_area *area, const struct cma_area_request *request, cma_pfn_t *pfn);
    /* The window to try first, as last seen, without the frame `avoid`; false: none is known.
     * Sleeps: no. */
    bool (*choose)(struct cma_area *area, const struct cma_window_want *want, cma_pfn_t avoid,
                   cma_pfn_t *pfn);
    /* Returns as cma_area_release, but for CMA_ENOENT, or CMA__QUICK_NO. Sleeps: no. */
    int (*release)(struct cma_area *area, cma_pfn_t pfn, uint64_t npages, uint32_t owner);
    /*
     * Completes a refusal whose code, reason, pfn, mover and owner are filled: runs and the change
     * (types.h), and the owner of the buffer that a refusal names. The claim that was refused is
     * still listed; nothing of it is isolated. No lock is held. Never changes the area; movers that
     * may refuse are asked whether they would, if it may sleep.
     */
    void (*explain)(struct cma_area *area, const struct cma_area_request *request, bool may_sleep,
                    struct cma_refusal *refusal);
    /* As cma__window_evacuate, in runs. */
    int (*evacuate)(struct cma_frames *frames, cma_pfn_t pfn, uint32_t npages,
                    struct cma_evacuation *evacuation);
};

/* quick.c */
int cma__quick_claim(struct cma_area *area, const struct cma_area_request *request, cma_pfn_t *pfn);
bool cma__quick_choose(struct cma_area *area, const struct cma_window_want *want, cma_pfn_t avoid,
                       cma_pfn_t *pfn);
int cma__quick_release(struct cma_area *area, cma_pfn_t pfn, uint64_t npages, uint32_t owner);

/* explain.c */
void cma__area_explain(struct cma_area *area, const struct cma_area_request *request,
                       bool may_sleep, struct cma_refusal *refusal);

#endif
