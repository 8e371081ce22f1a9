/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.h - what an area may have besides: an index of windows, and explanations
 */
#ifndef CMA_CMA_ENGINE_H
#define CMA_CMA_ENGINE_H

#include <cma/area.h>

struct cma_area_engine {
    /*
     * Completes a refusal whose code, reason, pfn, mover and owner are filled: runs and the change
     * (types.h). The claim that was refused is still listed; nothing of it is isolated. No lock is
     * held. Never changes the area.
     */
    void (*explain)(struct cma_area *area, const struct cma_area_request *request,
                    struct cma_refusal *refusal);
};

/* explain.c */
void cma__area_explain(struct cma_area *area, const struct cma_area_request *request,
                       struct cma_refusal *refusal);

#endif
