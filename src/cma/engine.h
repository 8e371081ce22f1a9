/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.h - what an area may have besides: an index of windows, and explanations
 */
#ifndef CMA_CMA_ENGINE_H
#define CMA_CMA_ENGINE_H

#include <cma/area.h>

#include "../frame/fit.h"
#include "../frame/table.h"

struct cma_area_engine {
    /* As cma_area_alloc. */
    int (*alloc)(struct cma_area *area, const struct cma_area_request *request, cma_pfn_t *pfn,
                 struct cma_refusal *refusal);
    /* The window that a claim is to try before it goes on from its cursor; false: none is known, or
     * enough were tried. Sleeps: no. */
    bool (*pick)(struct cma_claim *claim, const struct cma_window_want *want, cma_pfn_t *pfn);
    /* As cma_area_release, of frames of the area. */
    int (*release)(struct cma_area *area, cma_pfn_t pfn, uint64_t npages, uint32_t owner);
    /* Adds what the other two have done to the area's own counts. */
    void (*count)(struct cma_area *area, struct cma_area_stats *stats);
    /*
     * Completes a refusal whose code, reason, pfn, mover and owner are filled: runs and the change
     * (types.h), and the owner of the buffer that a refusal names. The claim that was refused is
     * still listed; nothing of it is isolated. No lock is held. Never changes the area; movers that
     * may refuse are asked whether they would, if it may sleep.
     */
    void (*explain)(struct cma_area *area, const struct cma_area_request *request, bool may_sleep,
                    struct cma_refusal *refusal);
    /* Gives an area that is being begun the size classes of its config. False: it can't have them.
     */
    bool (*classes)(struct cma_area *area, const struct cma_area_config *config);
    /* Cuts a window, cut to the area already, to the part that is for requests of its size. Returns
     * 0, or CMA_ENOMEM: it is longer than that. Asked of areas with classes only. */
    int (*part)(const struct cma_area *area, struct cma_window_want *want);
    /* As cma__window_evacuate, in runs. */
    int (*evacuate)(struct cma_frames *frames, cma_pfn_t pfn, uint32_t npages,
                    struct cma_evacuation *evacuation);
};

/* quick.c */
int cma__quick_alloc(struct cma_area *area, const struct cma_area_request *request, cma_pfn_t *pfn,
                     struct cma_refusal *refusal);
bool cma__quick_pick(struct cma_claim *claim, const struct cma_window_want *want, cma_pfn_t *pfn);
int cma__quick_release(struct cma_area *area, cma_pfn_t pfn, uint64_t npages, uint32_t owner);
void cma__quick_count(struct cma_area *area, struct cma_area_stats *stats);

/* classes.c */
bool cma__classes_begin(struct cma_area *area, const struct cma_area_config *config);
int cma__classes_part(const struct cma_area *area, struct cma_window_want *want);
/* The least request that is of the same class as one for npages. */
uint64_t cma__classes_least(const struct cma_area *area, uint64_t npages);

/* explain.c */
void cma__area_explain(struct cma_area *area, const struct cma_area_request *request,
                       bool may_sleep, struct cma_refusal *refusal);

#endif
