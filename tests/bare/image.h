/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * image.h - the image that runs on QEMU's virt machine: libcma on bare metal, and what it must show
 *
 *   boot.c     the tree: memory, the area of cma=, the PCI bus, what the command line asks for
 *   metal.c    tests/port on this port
 *   writer.c   a task that writes all the time, and the mover of its pages
 *   claims.c   claims, transfers and releases, each one judged
 *   main.c     the order of things, and the exit code
 */
#ifndef IMAGE_H
#define IMAGE_H

#include <cma/fdt.h>
#include <cma/system.h>

#include "../../ports/bare/bare.h"

enum {
    EXIT_OK = 0,
    EXIT_WRONG = 1,     /* something that must hold doesn't */
    EXIT_CORRUPTED = 3, /* the device wrote to where it should not: what the control expects */
    EXIT_REFUSED = 4,   /* the device was refused by name */
    EXIT_LOST = 5,      /* writes of the task were lost */
    EXIT_ALIAS = 6,     /* a frame has two mappings that disagree */
    EXIT_LOG = 7        /* maintenance is not the expected sequence */
};

/* What the command line asks for. */
struct image_options {
    uint64_t mask;    /* edu.mask=: how far libcma believes that edu reaches */
    uint64_t rounds;  /* rounds=: claims and releases */
    const char *mute; /* mute=: the hook that does nothing (a control), or "" */
    bool suite;       /* suite: tests/port first */
};

struct board {
    struct cma_map map;
    struct cma_range area; /* of cma= */
    cma_paddr_t stolen;    /* a block that the linear mapping never had */
    cma_paddr_t ecam;
    uint64_t ecam_nbytes;
    struct image_options options;
};

/* Reads the tree, takes the image, the tree and a block for the suite out of the memory, and makes
 * the linear mapping what the map says. Ends the run when something is wrong. */
void boot_board(struct board *board, const void *dtb);
/* Everything of libcma. */
void boot_system(const struct board *board, const struct cma_port *port, struct cma_system *system);

/* tests/port on the metal. Returns the number of failed tests. */
uint32_t metal_suite(const struct board *board, struct edu *edu);

/* --- writer.c ------------------------------------------------------------------------------------
 * The task's pages: WRITER_NPAGES, movable. Each word is checked against what was last written
 * there before it is written again. */
#define WRITER_NPAGES 48u
void writer_start(struct cma_system *system, const struct cma_port *port, cma_paddr_t first,
                  cma_paddr_t last, bool no_freeze);
/* Brings pages that were moved out back to [first, last], and some that are there elsewhere. */
void writer_come_home(void);
/* Stops the task and checks every word. Returns the words that are wrong, since the start. */
uint64_t writer_stop(void);
uint64_t writer_writes(void);
uint64_t writer_lost(void); /* so far */
cma_pfn_t writer_pfn(uint32_t index);
uint64_t image_random(void);

/* --- claims.c
 * -----------------------------------------------------------------------------------*/
/* `rounds` of them while the task writes. Returns an exit code. */
int claims_run(struct cma_system *system, const struct board *board, struct edu *edu);
/* Two threads claim and release at the same time, while the task writes and its pages come home. */
int claims_pair(struct cma_system *system, const struct board *board);
/* When all that edu can reach of the area is taken: refused with its true mask, and with a wrong
 * one memory is corrupted. Returns an exit code. */
int claims_far(struct cma_system *system, const struct board *board, struct edu *edu);
/* A device of libcma for edu. */
void claims_device(struct cma_device *device, struct cma_system *system, uint64_t mask);
bool image_muted(const struct board *board, const char *what);

#endif
