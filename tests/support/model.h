/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * model.h - the naive model that the random tests hold libcma against
 *
 * One board is a few hundred to a few thousand frames. For each frame the model has a plain struct:
 * what place it is (hole, ordinary, area) and which object holds it. An object is what one request
 * got: a run of pages, a mover's page, a device's buffer. Nothing here is clever, and nothing is
 * shared with the code under test: no bit trees, no blocks, no counters that could drift.
 *
 * The model learns of changes in two ways only: from what a call returns, and from the callbacks of
 * the movers, whose order it judges. After each operation model_check compares every frame.
 *
 * "Other threads" are operations that run inside hooks and callbacks (model_nested), also just
 * before a lock is taken and just after it was given back: libcma holds no lock there, so anything
 * may happen. They are chosen by the same generator, so a run is its seed.
 */
#ifndef MODEL_H
#define MODEL_H

#include <cma/area.h>
#include <cma/pages.h>

#define MODEL_FRAMES_MAX 4800
#define MODEL_AREAS_MAX 4
#define MODEL_MOVERS_MAX 6
#define MODEL_CLAIMS_MAX 3
#define MODEL_LOG_LINES 24

enum model_place { MODEL_HOLE, MODEL_ORDINARY, MODEL_AREA };

struct model_object {
    bool live;
    bool frozen;   /* a mover's page between freeze and commit or abort */
    bool flushed;  /* since it was frozen: late writers have stopped */
    bool in_mover; /* a callback about it is running */
    bool in_free;  /* a call that frees it has not returned: perhaps it is gone already */
    bool in_call;  /* a call on it has not returned: its mover's lock is held */
    bool refuses;  /* its mover will not let it go */
    bool dying;    /* its mover has forgotten it and will free the frame as soon as it may */
    enum cma_kind kind;
    uint32_t mover; /* index into movers */
    uint32_t cookie;
    uint32_t frame; /* index of its first frame */
    uint32_t npages;
    uint32_t area; /* of buffers */
    uint32_t pins, refs;
    uint64_t stamp; /* what its pages contain, see model_content */
};

struct model_frame {
    uint8_t place;
    uint8_t zone; /* that its address lies in */
    uint8_t area;
    bool lent;       /* as last seen */
    bool taken;      /* isolated by a claim that is in progress, as last computed */
    bool booked;     /* in the window of a claim in progress: not for other claims */
    bool host_free;  /* areas only: in the host's free lists */
    bool host_out;   /* areas only: given as a destination, not published yet */
    uint16_t span;   /* maximal run of one place, zone (ordinary) or area */
    uint16_t object; /* index + 1 of its holder, 0: nobody */
    uint64_t content;
};

struct model_mover {
    struct model *model;
    struct cma_mover mover;
    uint32_t number; /* that libcma gave it */
    uint32_t refusal_percent;
    bool holds_droppable;
};

struct model_area {
    struct cma_area area;
    struct cma_lender lender;
    uint32_t first, npages; /* frames */
    enum cma_lend_class lend_class;
    struct cma_size_class classes[3];
    uint32_t nclasses;
    bool active;
    uint32_t busy; /* claims that are in progress */
    uint64_t claims, released, refused;
};

struct model_claim {
    struct cma_claim claim;
    bool running;      /* between start and its end */
    bool inside;       /* a step of it runs right now */
    uint32_t refusals; /* of movers, since it began */
    uint32_t steps;
    uint32_t area;
};

/* What happened during one outer call. */
struct model_tally {
    uint32_t freezes, commits, aborts, discards, refusals, nested, waits, enoents;
    bool copied_outside; /* pages were moved out of areas: the first and last of their frames */
    uint32_t copied_first, copied_last;
    bool paused;    /* a claim in the area was between two steps when this one began */
    uint32_t hooks; /* any of the above, or any hook that runs the machine */
};

/* Over all boards, to show that the run did something. */
struct model_sums {
    uint64_t ops, allocs, refusals, claimed, claim_refusals, moves, drops, pins_moved, nested;
    uint64_t justified; /* refusals that the model looked into */
    uint64_t cached;    /* requests that caches have served */
    uint64_t slept;
};

struct model {
    /* the run */
    uint64_t seed, board, step, random;
    bool verbose;
    char log[MODEL_LOG_LINES][160];
    uint64_t log_count;

    /* the board */
    struct cma_port port;
    uint32_t nframes; /* from the first to the last, holes included */
    cma_pfn_t base;
    struct cma_zone zones[CMA_ZONES_MAX];
    uint32_t nzones;
    bool areas_only;
    uint32_t nested_percent, lock_percent;
    uint32_t fault_percent;
    struct model_frame frames[MODEL_FRAMES_MAX];
    struct model_area areas[MODEL_AREAS_MAX];
    uint32_t nareas;
    struct model_mover movers[MODEL_MOVERS_MAX];
    uint32_t nmovers;
    uint64_t floor_npages[CMA_ZONES_MAX];
    void *storage;
    uint64_t storage_nbytes;
    struct cma_pages_cache *caches;
    uint32_t ncaches; /* processors that have one, 0: none has */

    /* what runs on it */
    struct cma_map map;
    struct cma_range map_memory[16], map_reserved[32];
    struct cma_frames table;
    struct cma_pages pages;
    struct cma_pages_ops host; /* areas only */
    struct model_claim claims[MODEL_CLAIMS_MAX];
    struct model_object objects[MODEL_FRAMES_MAX + 1];
    uint32_t live[MODEL_FRAMES_MAX + 1]; /* indices of live objects, in no order */
    uint32_t live_at[MODEL_FRAMES_MAX + 1];
    uint32_t nlive;
    uint32_t next_object;
    uint32_t frozen[256]; /* objects that are frozen right now */
    uint32_t nfrozen;

    /* the moment */
    uint32_t callback;    /* the object that a callback is about, 0: none */
    uint32_t locked;      /* locks that libcma holds */
    uint32_t depth;       /* of nested operations */
    uint32_t cached;      /* pages that libcma says are nobody's and not idle */
    bool checking;        /* nothing runs beside a comparison */
    cma_pfn_t pinning[4]; /* by depth: the page that a pin in progress is about */
    uint32_t idle_waits;  /* waits in a row that brought nothing */
    struct model_tally tally;
    uint32_t fill_percent;
    bool filling; /* what is lent is not known exactly */
    struct model_sums sums;
};

/* model_board.c */
void model_board_make(struct model *model);
void model_board_end(struct model *model);
uint64_t model_random(struct model *model);
uint64_t model_below(struct model *model, uint64_t n);
bool model_chance(struct model *model, uint32_t percent);
uint64_t model_log_uniform(struct model *model, uint64_t first, uint64_t last);

/* model_mover.c: the port's hooks, the movers, a host's allocator */
void model_port_make(struct model *model);
void model_movers_make(struct model *model);
void model_host_make(struct model *model);
int model_host_alloc(struct model *model, uint32_t mover, enum cma_kind kind, uint32_t *object);
int model_host_free(struct model *model, uint32_t object);

/* model_state.c: objects, contents, the comparison, what could have been served */
cma_pfn_t model_pfn(const struct model *model, uint32_t frame);
cma_paddr_t model_paddr_first(const struct model *model, uint32_t frame);
cma_paddr_t model_paddr_last(const struct model *model, uint32_t frame);
uint32_t model_frame_of(const struct model *model, cma_pfn_t pfn); /* UINT32_MAX: none */
uint64_t model_content(uint64_t stamp, uint32_t page);
uint32_t model_object_make(struct model *model);
void model_object_hold(struct model *model, uint32_t object, uint32_t frame);
void model_object_write(struct model *model, uint32_t object);
void model_object_end(struct model *model, uint32_t object);
bool model_empty(struct model *model,
                 uint32_t frame); /* somebody else has got it: is that right? */
void model_check(struct model *model);
uint64_t model_room(const struct model *model, cma_paddr_t paddr_last, bool lent_too);
bool model_pages_possible(const struct model *model, const struct cma_pages_request *request);
bool model_aligned(const struct model *model, uint32_t frame, uint64_t npages,
                   uint64_t align_npages, uint64_t boundary, uint64_t bus_offset);
bool model_run_fits(const struct model *model, const struct cma_pages_request *request,
                    uint32_t frame);
uint32_t model_part(const struct model_area *area, uint64_t npages, uint32_t *first);
bool model_in_part(const struct model_area *area, uint32_t frame, uint64_t npages);
bool model_claim_possible(struct model *model, uint32_t area,
                          const struct cma_area_request *request, bool refs_go, uint32_t *frame);

/* model_ops.c: one random operation, and what other threads may do inside a hook */
void model_fill(struct model *model);
void model_operation(struct model *model);
void model_nested(struct model *model, uint32_t percent);
bool model_progress(struct model *model); /* something a waiter may wait for; false: nothing left */
void model_settle(struct model *model);   /* ends claims, frees what is dying */

/* model_claim.c */
void model_claim_operation(struct model *model);
bool model_claim_advance(struct model *model, uint32_t index); /* false: not in progress */
void model_claim_nested(struct model *model);                  /* never sleeps */
void model_claims_end(struct model *model);

void model_note(struct model *model, const char *format, ...) __attribute__((format(printf, 2, 3)));
void model_fail(struct model *model, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));
#define MODEL_REQUIRE(model, condition, ...)  \
    do {                                      \
        if (!(condition))                     \
            model_fail((model), __VA_ARGS__); \
    } while (0)

#endif
