/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * explain.c - why a request was refused, and the smallest change that would have let it succeed
 */
#include "engine.h"

void cma__area_explain(struct cma_area *area, const struct cma_area_request *request,
                       struct cma_refusal *refusal)
{
    (void)area;
    (void)request;
    refusal->change = CMA_CHANGE_NONE;
}
