/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * runs.h - an index of the runs of an area that could be windows
 *
 * A frame is *open* when it is idle, or held by a mover and neither pinned nor isolated. Lending,
 * freeing and dirtying don't change that: only claims, releases, destinations and pins in place do.
 * A run is a longest row of open frames inside one span (a lane of an area). The index tells, for
 * each class of lengths, in which blocks a run of that class may begin.
 */
#ifndef CMA_FRAME_RUNS_H
#define CMA_FRAME_RUNS_H

#include "fit.h"
#include "table.h"

#define CMA__RUNS_ALIGN 32u /* words: two cache lines, which some processors fetch together */
#define CMA__RUNS_RECENT 4u
#define CMA__LANES_MAX 64u

/*
 * A long buffer that was claimed in one step is written down beside the index of its lane, and its
 * record stays empty: the records of such buffers lie pages apart, so that in a large area each
 * release would miss the TLB and a cache. No two of them begin within CMA__LONG_NPAGES frames,
 * hence one place for so many. Smaller lanes have none; those of checked builds have, for their
 * tests.
 */
#if defined(CMA_CHECKED) && CMA_CHECKED
#define CMA__LONG_SHIFT 3u
#define CMA__LONG_LANE_NPAGES 64u
#else
#define CMA__LONG_SHIFT 9u
#define CMA__LONG_LANE_NPAGES (1u << 17)
#endif
#define CMA__LONG_NPAGES (1u << CMA__LONG_SHIFT)

/* The head of a lane's index; bit trees follow it. All of it under the lane's lock;
 * `claimed_npages` may be read without. */
struct cma_runs {
    struct cma_lock lock; /* of the whole span */
    uint32_t nonempty[4]; /* one bit a class: its tree has a member */
    uint32_t nrecent;     /* buffers released since the last search, the newest last */
    uint32_t recent[CMA__RUNS_RECENT][2]; /* first frame, counted in the span, and npages */
    uint32_t words;                       /* of one tree */
    uint32_t buffers; /* the word where those of long buffers begin; 0: none do */
    uint32_t small;   /* the share of small requests among the last, of 2^16 */
    /* There is no run for so many pages at this alignment, as of the last search; 0: not known. */
    uint32_t full_npages, full_align_npages;
    uint64_t claims, released, skipped_npages;
    uint32_t
        claimed_npages; /* atomic: of quick claims, less those of quick releases, modulo 2^32 */
};

static inline struct cma_runs *cma__runs_of(const struct cma_frames *frames,
                                            const struct cma_span *span)
{
    return (struct cma_runs *)(void *)(frames->runs + span->runs);
}

/* What the table calls; an own object, so that who wants no index does not carry its code. */
struct cma_frames_index {
    /* The last frame of the lane of an area that begins at `first`, the lane's number being `lane`:
     * [first, last] is what is left of the area. Blocks are not cut. */
    cma_pfn_t (*lane_last)(const struct cma_frames_config *config, cma_pfn_t first, cma_pfn_t last,
                           uint32_t order, uint32_t lane);
    /* Words of an index, a multiple of CMA__RUNS_ALIGN. */
    uint32_t (*words)(uint32_t npages, uint32_t nblocks);
    /* A span that is open as a whole gets its index. */
    void (*init)(const struct cma_frames *frames, const struct cma_span *span);
    /* Frames in [pfn, pfn + npages) were closed and are open now, or the reverse. Locked. */
    void (*changed)(const struct cma_frames *frames, const struct cma_span *span, cma_pfn_t pfn,
                    uint32_t npages, bool open);
    /* The long buffer that begins at `pfn`, a frame of the span. False: none does. */
    bool (*buffer)(const struct cma_frames *frames, const struct cma_span *span, cma_pfn_t pfn,
                   struct cma_buffer *buffer);
    /* True if every run has its name, or is marked to get one, and every block with a closed frame
     * is in the tree of these. Other threads are quiet. */
    bool (*check)(const struct cma_frames *frames, const struct cma_span *span);
};

static inline void runs_changed(const struct cma_frames *frames, const struct cma_span *span,
                                cma_pfn_t pfn, uint32_t npages, bool open)
{
    if (span->runs != 0) {
        frames->index->changed(frames, span, pfn, npages, open);
    }
}

/* How a window is looked for. */
enum cma_runs_effort {
    CMA__RUNS_TIGHT, /* only where it fills a run of about its own length */
    CMA__RUNS_LOOSE, /* only where it doesn't */
    CMA__RUNS_ANY
};
/*
 * Claims a window of the lane that nobody has anything in, for `owner`, in one go. Returns
 *   0 and *pfn
 *   CMA_ENOMEM  no run of the lane would do
 *   CMA_EBUSY   one may do that was not looked at, or in which somebody has something
 */
int cma__runs_claim(struct cma_frames *frames, struct cma_span *span,
                    const struct cma_window_want *want, uint32_t owner, uint32_t stamp,
                    enum cma_runs_effort effort, cma_pfn_t *pfn);
/* The window of the lane, without the frame `avoid`, that is the best by what it spoils and what it
 * costs to empty it, counted in copies: *price. False: there is none. */
bool cma__runs_choose(struct cma_frames *frames, struct cma_span *span,
                      const struct cma_window_want *want, cma_pfn_t avoid, cma_pfn_t *pfn,
                      int64_t *price);

#endif
