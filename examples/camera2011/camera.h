/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * camera.h - one camera, several ways to its memory (docs/2011.md)
 *
 * The camera takes VGA pictures of 600 KiB, each in one piece, and wants three of them while it is
 * on. How it opens and closes is in camera.c, and the same whatever the way; each other file is one
 * way, with what the board's code has to do for it and what the driver has to.
 */
#ifndef CAMERA2011_CAMERA_H
#define CAMERA2011_CAMERA_H

#include <cma/cma.h>

#define CAMERA_FRAMES 3u
#define CAMERA_FRAME_NBYTES (640u * 480u * 2u)
#define CAMERA_NBYTES ((CAMERA_FRAME_NBYTES + 4095) / 4096 * 4096 * CAMERA_FRAMES)

struct camera {
    struct cma_system *system;
    struct cma_device device;
    struct cma_coherent frames[CAMERA_FRAMES]; /* while it is open */
    /* What the ways need: */
    struct cma_exclusive region;
    uint32_t region_storage[1024];
    struct cma_device_promise promise;
    struct cma_coherent boot;
    cma_paddr_t kept;             /* memory that was put aside in the map */
    struct cma_conflict conflict; /* why it was refused */
    struct cma_refusal refusal;
};

struct way {
    const char *name, *file;
    /* The board's, all may be NULL: before the map becomes a machine, and when that is up. */
    int (*plan)(struct camera *camera, struct cma_map *map);
    int (*board)(struct camera *camera);
    /* The driver's, when it is loaded, and when it is unloaded; may be NULL. */
    int (*probe)(struct camera *camera);
    int (*remove)(struct camera *camera);
};

extern const struct way way_plain, way_ioremap, way_reserve, way_board, way_mapped, way_steal,
    way_guarantee;

/* Three pictures' memory, or none: 0 or as cma_dma_alloc_coherent. */
int camera_open(struct camera *camera);
int camera_close(struct camera *camera);

#endif
