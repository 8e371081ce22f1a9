/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * run.h - one run of a board in the simulator, as the files of `cma run` share it
 *
 *     run.c         the verb: options, the order of things
 *     run_boot.c    map -> simulator -> libcma -> devices
 *     run_load.c    who holds the memory: programs and the page cache; how much of an area is lent
 *     run_promise.c what the board promises its devices, and what it cost
 *     run_stream.c  the devices: six buffers each or what was promised, pictures in and out, stop
 * and start again run_linux.c   where their buffers come from under --policy linux (linux_area.c)
 *     run_queue.c   cameras of a scenario as queues, and scalers and displays behind them
 *     run_scenario.c  devices that a scenario names, opened and closed when it says (scenario.h)
 *     promise.c     what the board promises its devices, admitted at boot
 *     oracle.c      a second opinion on each refusal
 *     run_draw.c    --out DIR: maps of memory and frames as pictures (draw.h)
 *     report.c      what is printed, report_json.c as JSON, report_compare.c for two runs
 *
 * Everything that a result depends on is simulated: the same seed is the same run, bit for bit.
 */
#ifndef CMA_TOOL_RUN_H
#define CMA_TOOL_RUN_H

#include "../ports/sim/movers.h"
#include "../ports/sim/sim.h"
#include "../ports/sim/simdev.h"
#include "board.h"
#include "oracle.h"
#include "progress.h"
#include "promise.h"
#include "scenario.h"
#include "sentence.h"

#include <cma/system.h>

enum {
    RUN_NBUFFERS = 6,     /* what a camera's driver usually asks for */
    RUN_BUFFERS_MAX = 64, /* of one device, when it was promised more */
    RUN_KINDS_MAX = 8,    /* sizes of buffers of one device */
    RUN_PICTURE = 64,     /* characters in the picture of an area */
    RUN_NSTORES = 3
};

/* Who chooses where a device's buffers lie, and what is moved for them. */
enum run_policy { RUN_LIBCMA, RUN_LINUX };

/* What was asked for. */
struct run_options {
    struct board_options board;
    enum run_policy policy;
    bool compare; /* both policies, one after the other */
    uint64_t seed;
    uint64_t seconds;   /* simulated */
    uint64_t fill;      /* percent */
    uint64_t droppable; /* percent of what fills */
    uint64_t pins;      /* pages that are pinned at any time */
    uint32_t given;     /* bit for each option of cma run that was said, by number */
    const char *out;    /* directory for pictures; NULL: none are drawn */
    const char *scenario_file;
    struct run_scenario *scenario; /* NULL: none; shared by all runs */
};

/* A file that was read. */
struct run_scenario {
    struct scenario said;
    char *board;     /* file of the board */
    const char *out; /* directory for pictures; NULL: none are drawn */
};

/* Values to take the median of. */
struct run_samples {
    uint64_t *values;
    size_t count, max;
};

/* When an area was drawn. */
enum run_moment { RUN_BEFORE, RUN_DURING, RUN_AFTER, RUN_MOMENTS };

struct linux_area;
struct json;
struct run_area {
    struct cma_area *area;
    struct linux_area *linux_policy; /* NULL under libcma's own policy */
    const struct cma_range *range;   /* of the map */
    char pictures[RUN_MOMENTS][RUN_PICTURE + 1];
    uint64_t claimed_npages[RUN_MOMENTS], kept_npages[RUN_MOMENTS], droppable_npages[RUN_MOMENTS];
    /* frames times nanoseconds, while there is demand */
    uint64_t idle_frame_us; /* not in a device's hands */
    uint64_t lent_frame_us; /* of these, with somebody's data in them */
};

/* Refusals of one device for one reason. */
struct run_failure {
    struct run_failure *next;
    const struct run_device *device;
    struct cma_refusal refusal; /* the first of them */
    uint32_t change_owner;      /* of the buffer that the change names, 0: none */
    uint64_t npages, at_us, count;
};

struct run_format {
    const char *name;
    uint32_t width, height;
};

struct run_buffer {
    struct cma_coherent memory;
    uint64_t nbytes, npages;
    bool promised;    /* it comes from a guarantee: never refused */
    uint64_t picture; /* number of the picture in it; 0: none */
    bool live;
    /* Under --policy linux: a device that sees this buffer and nothing else. */
    struct cma_device dma;
    struct cma_bus_window window;
    uint64_t linux_page;
};

/* Buffers of one size. */
struct run_kind {
    uint64_t nbytes, npages;
    uint32_t count;
    uint32_t group; /* number of the tree's; 0: none */
    bool promised;  /* admitted */
};

struct run_device {
    struct run *run;
    const char *path;                  /* "" for the camera that was added */
    const struct cma_fdt_device *node; /* NULL for that camera */
    struct cma_device dma;
    struct simdev bus;
    struct run_area *area;
    const struct run_format *format;      /* NULL: it does not stream */
    const char *idle_because;             /* then */
    struct run_kind kinds[RUN_KINDS_MAX]; /* what it asks for at each start, pictures first */
    uint32_t nkinds;
    uint64_t random;
    struct run_buffer buffers[RUN_BUFFERS_MAX];
    uint32_t nbuffers;
    uint64_t given_back_seen; /* run->given_back when it asked last */
    uint64_t requests, succeeded, failed;
    uint64_t starts, pictures, late; /* streams begun; pictures shown; of these, late */
    uint64_t bytes_wrong;
    /* of a scenario */
    const struct scenario_device *scenario; /* NULL: it streams as it likes */
    struct run_format scenario_format;
    char scenario_format_name[40];
    uint64_t opens;           /* times that it was to be open */
    uint64_t refused_opens;   /* tries that were refused */
    uint64_t dropped;         /* pictures that were due, and there was no buffer for them */
    uint64_t slowest_open_ns; /* from being opened to having all buffers */
    struct run_queue *queue;  /* run_queue.c's own; NULL: none */
};

/*
 * What a simulated device of a scenario can do. All three are called in a fibre of the device, and
 * may sleep.
 */
struct scenario_device_ops {
    /* Takes all that it needs to work. False: refused, and nothing is held. */
    bool (*open)(struct run_device *device);
    /* Works until `until_ns`; pictures are due at `due_ns` and once each `period_ns` from then on.
     * Counts them in `pictures`, those that passed by in `dropped`, and every byte that was not
     * what it had to be in `bytes_wrong`. */
    void (*work)(struct run_device *device, uint64_t due_ns, uint64_t period_ns, uint64_t until_ns);
    /* Gives all back. */
    void (*close)(struct run_device *device);
};

struct run_result {
    uint64_t requests, succeeded, failed;
    struct run_failure *failures;
    struct run_samples latency_ns, copies; /* of each request that was served */
    uint64_t disagreements, questions;     /* the oracle's: refusals that it calls avoidable */
    uint64_t copied_npages;                /* for all requests, refused ones too */
    uint64_t wasted_copies;                /* of these, in windows that were given up */
    uint64_t windows, windows_left;        /* --policy linux: chosen; of these, given up */
    uint64_t windows_lost;                 /* of these, empty, and somebody got in at the end */
    uint64_t promised, broken;             /* requests for promised blocks; of these, refused */
    uint64_t bytes_lost, pages_checked;
    uint64_t pages_live, pages_droppable, pages_all; /* when memory was full the first time */
    uint64_t demand_us, load_us;
    /* frames of slots in no device's hands, times microseconds while the page cache wants more */
    uint64_t slot_idle_us, slot_lent_us;
    uint64_t nslots, slot_npages;
    const char *violation; /* what a check of all structures found; NULL: all is well */
    uint64_t trace;
};

struct run {
    struct run_options options;
    struct board board;
    struct sim *sim;
    struct cma_system system;
    void *storage;
    struct board_zones zones;
    bool area_added, camera_added;
    struct promises promises;
    struct cma_fdt_guarantee *scenario_promises;   /* in place of the tree's */
    uint32_t scenario_nodes[SCENARIO_DEVICES_MAX]; /* its devices in the tree, or CMA_NODE_NONE */
    struct run_device **open; /* by group of the tree: which of its devices is */
    struct run_area *areas;
    uint32_t nareas;
    struct run_device *devices;
    uint32_t ndevices;
    struct sim_store *stores[RUN_NSTORES]; /* page cache, programs, handles */
    struct load *load;                     /* run_load.c's own */
    struct oracle_board oracle;
    struct progress progress;
    struct run_draw *draw; /* run_draw.c's own */
    struct run_result result;
    uint64_t began_ns, ends_ns; /* of the load */
    uint64_t given_back;        /* buffers, by all devices */
    uint32_t giving_back;       /* just now */
    bool handles_stay;          /* for the oracle: any of them may have refused to move */
    bool demand;                /* somebody wants a page and has not got it */
    uint32_t streaming;         /* devices that have not ended yet */
};

/* run.c */
void run_die(const char *why); /* the host has no memory left: says so, exit code 2 */
void *run_calloc(size_t count, size_t nbytes);
void run_sample(struct run_samples *samples, uint64_t value);
/* The value that `per_mille` of the samples don't exceed; sorts them. 0 when there are none. */
uint64_t run_quantile(struct run_samples *samples, unsigned per_mille);
/* part of whole in steps of 0.0001, rounded down; 0 when whole is 0 */
uint64_t run_ratio(uint64_t part, uint64_t whole);

/* run_boot.c. Returns 0, or EXIT_USAGE after a message. */
int run_boot(struct run *run);
void run_free(struct run *run);
/* Draws the area as it is now. */
void run_picture(struct run *run, struct run_area *area, enum run_moment moment);

/* run_promise.c */
/* Admits what the board promises, and says what each device asks for. Under Linux's policy nothing
 * is promised, but the devices ask for the same. Returns 0, or EXIT_USAGE after a message. */
int run_promise(struct run *run);
/* Does each block cost what was promised at most, and was none refused? Else a violation. */
void run_promise_judge(struct run *run);
/* Another simulated millisecond of the slots. */
void run_promise_sample(struct run *run);
/* May the device open now? Then it is open until run_promise_close. */
bool run_promise_open(struct run_device *device);
void run_promise_close(struct run_device *device);
void report_text_promises(struct run *run);
void report_json_promises(struct json *json, struct run *run);

/* run_load.c */
void run_fill(struct run *run);
void run_load(struct run *run);
void run_verify(struct run *run);
void run_load_free(struct run *run);

/* run_stream.c: the fibre of a device; arg is a struct run_device. */
void run_stream(void *arg);
/* What devices of a scenario do under Linux's policy: coherent memory, as above. */
extern const struct scenario_device_ops run_stream_ops;

/* The device was refused this buffer: counted, explained, and asked about. */
void run_stream_refused(struct run_device *device, const struct run_buffer *buffer,
                        const struct cma_refusal *refusal);

/* run_queue.c: devices as queues, a camera with the scaler and the display behind it. */
extern const struct scenario_device_ops run_queue_ops;
/* What is wrong with a device that reads from another; NULL: nothing. */
const char *run_queue_problem(const struct scenario *scenario, uint32_t number);
bool run_queue_serves(const struct run_device *device);
/* Is it opened and closed by another? */
bool run_queue_follows(const struct run_device *device);
/* Pictures that were due before the device was open, and of those who read from it. */
void run_queue_dropped(struct run_device *device, uint64_t npictures);
/* The device opens no more: its queues are gone then. */
void run_queue_end(struct run_device *device);

/* run_scenario.c */
/* Reads options->scenario_file. `board` is the board's file if it is not to be the scenario's, or
 * NULL. Returns 0, or EXIT_USAGE after a message. */
int run_scenario_load(struct run_options *options, const char *board);
void run_scenario_free(struct run_options *options);
/* Finds its devices in the tree, and puts what it promises in place of what the tree does. Returns
 * 0, or EXIT_USAGE after a message. */
int run_scenario_boot(struct run *run);
/* The fibre of one of its devices. */
void run_scenario_stream(void *arg);
void report_text_scenario(struct run *run);
void report_json_scenario(struct json *json, struct run *run);
uint64_t run_scenario_dropped(const struct run *run);

/* run_linux.c. Asking and giving back as cma_dma_alloc_coherent and _free_coherent do. */
void run_linux_boot(struct run *run);
void run_linux_count(struct run *run); /* into the result */
void run_linux_free(struct run *run);
int run_linux_ask(struct run_device *device, struct run_buffer *buffer,
                  struct cma_refusal *refusal);
int run_linux_give_back(struct run_device *device, struct run_buffer *buffer);

/*
 * run_draw.c. Both look at once, and cost no simulated time; nothing happens without --out. The
 * name is that of the file, without its ending; the same name again replaces the picture.
 */
struct draw_frame;
void run_draw_map(struct run *run, const char *name, const char *title);
void run_draw_frame(struct run *run, const char *name, const struct draw_frame *frame);
/*
 * Each picture that a device captured, as the CPU sees it: the first, one in the middle of the run
 * and the last are kept, as frame-NAME-1-first, -2-middle and -3-last.
 */
struct picture_format;
void run_draw_captured(struct run *run, const char *device, const struct picture_format *format,
                       const uint8_t *const planes[]);
/* A device has got all its buffers, or is about to give them back: draws when it are most. */
void run_draw_streaming(struct run *run, bool begins);
/* When the run is over. Returns 0, or EXIT_USAGE after a message. */
int run_draw_write(struct run *run);
void run_draw_free(struct run *run);
void report_text_drawings(const struct run *run);
void report_json_drawings(struct json *json, const struct run *run);

/* report.c, report_json.c, report_compare.c */
void report_text_board(struct run *run);
/* Text out of a tree may hold anything: only what prints goes to a terminal. */
void report_name(const char *text);
/* Why the first request of this kind was refused. */
void report_sentence(const struct run *run, const struct run_failure *failure,
                     char text[SENTENCE_NBYTES]);
void report_text(struct run *run);
int report_json(struct run *run);
void report_json_run(struct json *json, struct run *run);
void report_compare(struct run *own, struct run *peer);
int report_compare_json(struct run *own, struct run *peer);

#endif
