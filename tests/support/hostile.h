/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hostile.h - a board whose users do their worst while devices take what they were promised
 *
 * One board is a few hundred to a quarter of a million frames, metadata only: nothing has bytes.
 * Its users fill all memory, dirty what they have, pin, reference, claim, leave claims half done
 * and take every frame for page tables; its devices take blocks under guarantees and give them
 * back, now and then before they are quiet. All work of a take is counted here, in the movers'
 * callbacks and the port's hooks, and not asked of the library.
 *
 * The board knows who has each frame from what calls return and from what movers are told, so that
 * a block that is somebody's, a callback about the wrong frame or a copy onto data is seen at once.
 * Other threads are users that run inside hooks and callbacks (hostile_nested), where libcma holds
 * no lock. A board is its seed and number: the same again gives the same run.
 *
 * Without guarantees (`guarded` false) the same devices ask their areas for the same blocks.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include <cma/dma.h>

#define HOSTILE_AREAS_MAX 3
#define HOSTILE_MOVERS_MAX 7
#define HOSTILE_DEVICES_MAX 12
#define HOSTILE_BLOCKS_MAX 6
#define HOSTILE_BUFFERS_MAX 48
#define HOSTILE_CLAIMS_MAX 3
#define HOSTILE_GROUPS_MAX 2
#define HOSTILE_SLOTS_MAX 96
#define HOSTILE_PINS_MAX 4096
#define HOSTILE_REFS_MAX 64
#define HOSTILE_NOTES 32

#define HOSTILE_NONE UINT32_MAX
#define HOSTILE_OWNER 0x80000000u /* bit of owners of frames: a device's or claimer's block */

/* What one request of the page allocator got. */
enum hostile_list {
    HOSTILE_FREE = 0,
    HOSTILE_UNMOVABLE,
    HOSTILE_MOVABLE, /* dirty droppable ones too */
    HOSTILE_DROPPABLE,
    HOSTILE_ZOMBIE, /* gone while a call on it was running */
    HOSTILE_LISTS
};
struct hostile_item {
    uint32_t frame; /* index, HOSTILE_NONE: not known yet */
    uint32_t at;    /* its place in its list, or the next free one */
    uint16_t npages, pins;
    uint8_t list, mover, refs;
    bool frozen, in_call;
    bool locked; /* its mover's lock is held by who is in a call on it */
};

/* Work that movers and hooks have seen. */
struct hostile_tally {
    uint32_t commits, discards, flushes;
    uint64_t copied, zeroed, cleaned, attributes; /* pages */
};

struct hostile_mover {
    struct hostile *board;
    struct cma_mover mover;
    uint32_t number;
    bool droppable;
};

struct hostile_area {
    struct cma_area area;
    struct cma_lender lender;
    uint32_t first, npages; /* frames */
};

enum hostile_block_state { HOSTILE_IN = 0, HOSTILE_TAKING, HOSTILE_OUT, HOSTILE_RETURNING };
struct hostile_block {
    enum hostile_block_state state;
    uint32_t frame, npages;
    struct cma_coherent buffer; /* of devices that use the DMA layer */
};

struct hostile_device {
    bool admitted, through_dma;
    uint32_t area;
    struct cma_guarantee_request request;
    struct cma_guarantee guarantee;
    struct cma_device device;
    struct cma_device_promise promise;
    struct cma_bus_window window;
    struct hostile_block blocks[HOSTILE_BLOCKS_MAX];
    uint32_t out; /* blocks that are not IN */
    uint32_t group;
};

/* A buffer of somebody without a guarantee. */
struct hostile_buffer {
    uint32_t frame, npages, area, owner;
};

struct hostile_claim {
    struct cma_claim claim;
    bool running, inside;
    uint32_t area;
};

/* How a load of takes went. */
struct hostile_result {
    uint64_t takes, failed, failed_room, failed_claimed, failed_held, failed_mover, failed_other;
    uint64_t above; /* of a bound */
    uint64_t pages; /* in blocks taken */
    struct hostile_tally worst;
    uint64_t copied, discarded, flushes;
};

/* Over all boards. */
struct hostile_sums {
    struct hostile_result with, without;
    uint64_t boards, admitted, refused, possible_asked, possible_given, revoked;
    uint64_t again;          /* takes inside of an allocation whose page nobody knew yet */
    uint64_t right_refusals; /* takes of more than was promised, or while the group is taken */
    uint64_t through_dma;
    uint64_t idle_now, lent_now;   /* slot frames when a droppable request was refused */
    uint64_t idle_step, lent_step; /* at the end of steps in which one was */
    uint64_t samples;
    uint64_t kept_max; /* frames that had to be copied, in slots of one board */
    uint64_t allocs, alloc_refusals, keeps, keeps_out, pins, refs, claims, claim_refusals, steps;
    uint64_t moves, drops, nested, checks;
};

struct hostile_note {
    const char *what;
    uint64_t a, b;
    int64_t result;
};

struct hostile {
    uint64_t seed, number, step, steps, random;
    bool real, guarded, verbose;
    const char *command; /* that shows this board again */
    struct hostile_note notes[HOSTILE_NOTES];
    uint64_t nnotes;
    struct hostile_sums *sums;
    struct hostile_result *result;

    /* the board */
    struct cma_port port;
    uint32_t nframes;
    cma_pfn_t base;
    uint8_t *places; /* 0: a hole, 1: ordinary memory, 2 up: area */
    struct cma_zone zones[CMA_ZONES_MAX];
    uint32_t nzones;
    struct hostile_area areas[HOSTILE_AREAS_MAX];
    uint32_t nareas;
    struct hostile_mover movers[HOSTILE_MOVERS_MAX];
    uint32_t nmovers;
    bool refusals; /* there is a mover that may refuse */
    struct cma_map map;
    struct cma_range map_memory[8], map_reserved[16];
    struct cma_frames table;
    struct cma_pages pages;
    struct cma_pages_ops ops; /* the allocator's, but for destinations that fail */
    struct cma_dma dma;
    void *storage;
    struct cma_pages_cache *caches;
    struct cma_guarantees guarantees;
    struct cma_slot slots[HOSTILE_SLOTS_MAX];
    struct cma_guarantee_group groups[HOSTILE_GROUPS_MAX];

    /* its character */
    uint32_t nested_percent, lock_percent, refusal_percent, failing_percent, shy_percent;
    uint32_t weights[16], weight; /* of what users do, and their sum */
    uint32_t burst;               /* pages of one round, at most */
    uint32_t every;               /* steps between two checks */
    uint32_t out_percent;         /* of the blocks promised, how many are out in the mean */

    /* who has what */
    uint32_t *owners; /* by frame: 0, an item plus 1, or HOSTILE_OWNER and a number */
    struct hostile_item *items;
    uint32_t nitems, free_item;
    uint32_t *lists[HOSTILE_LISTS];
    uint32_t counts[HOSTILE_LISTS];
    uint32_t pinned[HOSTILE_PINS_MAX], npinned; /* items, one entry a pin */
    uint32_t referenced[HOSTILE_REFS_MAX], nreferenced;
    struct hostile_buffer buffers[HOSTILE_BUFFERS_MAX];
    uint32_t nbuffers;
    struct hostile_claim claims[HOSTILE_CLAIMS_MAX];
    struct hostile_device devices[HOSTILE_DEVICES_MAX];
    uint32_t ndevices;

    /* the moment */
    struct hostile_tally tally[2]; /* of the outer call; of users inside of it */
    uint32_t depth, locked;
    uint32_t misses; /* in a row, of destinations that were promised */
    bool taking;     /* the outer call is a take */
    bool getting;    /* the outer call is an allocation of a user's */
    bool checking;   /* nothing runs beside it */
    bool revoking;   /* the outer call is a revocation */
    bool demand;     /* a droppable request was refused in this step */
};

/* hostile_board.c: boards, the port, movers */
uint64_t hostile_random(struct hostile *board);
uint64_t hostile_below(struct hostile *board, uint64_t n);
bool hostile_chance(struct hostile *board, uint32_t percent);
uint64_t hostile_log_uniform(struct hostile *board, uint64_t first, uint64_t last);
void hostile_board_make(struct hostile *board);
void hostile_board_end(struct hostile *board);
static inline cma_pfn_t hostile_pfn(const struct hostile *board, uint32_t frame)
{
    return board->base + frame;
}
cma_paddr_t hostile_paddr(const struct hostile *board, uint32_t frame);
cma_paddr_t hostile_paddr_last(const struct hostile *board, uint32_t frame);
uint32_t hostile_frame(struct hostile *board, cma_pfn_t pfn);

/* hostile_mover.c: what libcma calls */
void hostile_port_make(struct hostile *board);
void hostile_movers_make(struct hostile *board);
void hostile_ops_make(struct hostile *board);

/* hostile_users.c: those who were promised nothing */
uint32_t hostile_item_new(struct hostile *board);
void hostile_item_list(struct hostile *board, uint32_t item, enum hostile_list list);
void hostile_item_end(struct hostile *board, uint32_t item);
void hostile_mark(struct hostile *board, uint32_t frame, uint32_t npages, uint32_t owner);
void hostile_clear(struct hostile *board, uint32_t frame, uint32_t npages, uint32_t owner);
void hostile_fill(struct hostile *board); /* to the brim */
void hostile_round(struct hostile *board, bool small);
void hostile_nested(struct hostile *board);
void hostile_unref(struct hostile *board);                   /* short references end */
void hostile_demand(struct hostile *board, uint32_t npages); /* a page cache that grows */
void hostile_relax(struct hostile *board); /* lets everything go that can be let go */

/* hostile_devices.c: those who were */
void hostile_devices_make(struct hostile *board);
bool hostile_devices_admit(struct hostile *board); /* false: none could be admitted */
void hostile_devices_step(struct hostile *board);  /* one take */
void hostile_take_nested(struct hostile *board);
void hostile_devices_end(struct hostile *board);
void hostile_sample(struct hostile *board, uint64_t *idle, uint64_t *lent);
void hostile_check(struct hostile *board);

static inline void hostile_note(struct hostile *board, const char *what, uint64_t a, uint64_t b,
                                int64_t result)
{
    board->notes[board->nnotes++ % HOSTILE_NOTES] = (struct hostile_note){what, a, b, result};
}
void hostile_fail(struct hostile *board, const char *format, ...)
    __attribute__((format(printf, 2, 3), noreturn));
#define HOSTILE_REQUIRE(board, condition, ...)  \
    do {                                        \
        if (!(condition))                       \
            hostile_fail((board), __VA_ARGS__); \
    } while (0)

#endif
