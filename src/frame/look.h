/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * look.h - what stands in the way of windows, for who explains why none was found
 *
 * A moment's truth for each block, as with cma__window_cost. `span` is the first of the area's.
 */
#ifndef CMA_FRAME_LOOK_H
#define CMA_FRAME_LOOK_H

#include "table.h"

enum cma_obstacle_sort {
    CMA__OBSTACLE_FRAME,  /* one frame that is held in place: pinned, referenced, on the move, or
                           * its mover was asked and refused */
    CMA__OBSTACLE_BUFFER, /* a claimed buffer */
    CMA__OBSTACLE_OTHER /* a frame that a claim in progress has, or that is nobody's for a moment */
};

struct cma_obstacle {
    cma_pfn_t first, last;
    enum cma_obstacle_sort sort;
    uint32_t owner; /* of a buffer */
};

/*
 * The lowest obstacle in [from, last]; false when there is none. `from` is not inside a buffer.
 * With `ask`, movers that may refuse are asked about each frame (cma__look_may_leave): may sleep
 * then.
 */
bool cma__look_obstacle(struct cma_frames *frames, struct cma_span *span, cma_pfn_t from,
                        cma_pfn_t last, bool ask, struct cma_obstacle *obstacle);

/* Would the movers of these frames let them go now? Each is frozen for that, and thawed at once;
 * the first that refuses ends it. True where there is nobody to ask. May sleep. */
bool cma__look_may_leave(struct cma_frames *frames, const struct cma_span *span, cma_pfn_t pfn,
                         uint64_t npages);

/* Adds movable frames of [pfn, pfn + npages), pinned ones too, to the counts of their movers
 * (kept[number - 1]), or takes them off. Counts of what changes meanwhile do not pass 0. */
void cma__look_kept(const struct cma_frames *frames, const struct cma_span *span, cma_pfn_t pfn,
                    uint32_t npages, uint32_t *kept, bool there);

#endif
