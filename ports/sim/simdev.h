/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * simdev.h - a simulated device that does DMA
 *
 * It puts device addresses (daddr) on its bus; the bus's windows make physical addresses of them.
 * The translation is written apart from src/dma on purpose: each checks the other.
 */
#ifndef SIM_SIMDEV_H
#define SIM_SIMDEV_H

#include "sim.h"

#define SIMDEV_WINDOWS_MAX 8

struct simdev_config {
    const char *name;
    const struct cma_bus_window *windows; /* copied; up to SIMDEV_WINDOWS_MAX */
    uint32_t nwindows;                    /* 0: device addresses are physical addresses */
    cma_daddr_t daddr_last;               /* highest address that it can put out; 0: no limit */
    bool snoops;                          /* its accesses look into the processors' caches */
    bool refuses; /* too high an address is refused; else its upper bits get lost, and the
                     access goes to a wrong place, as with most hardware */
    void *tag;    /* by which a watcher knows it (sim_watch): its struct cma_device; NULL: nobody is
                     told of its accesses */
};

struct simdev_stats {
    uint64_t bytes_read, bytes_written;
    uint64_t truncated;  /* bursts whose upper address bits got lost */
    uint64_t refused;    /* bursts that were too high */
    uint64_t bus_errors; /* bursts that met no window, or no memory behind it */
};

struct simdev {
    struct sim *sim;
    struct simdev_config config;
    struct cma_bus_window windows[SIMDEV_WINDOWS_MAX];
    struct simdev_stats stats;
    const char *file; /* where it was started (driver.h: drv_start); NULL: not known */
    uint32_t line;
};

void simdev_init(struct simdev *dev, struct sim *sim, const struct simdev_config *config);

/* One burst. Returns true when all bytes went where the address says. What could not be read is
 * 0xff; a burst that fails on the bus transfers nothing. Processor time does not pass. */
bool simdev_read(struct simdev *dev, cma_daddr_t daddr, void *to, uint64_t nbytes);
bool simdev_write(struct simdev *dev, cma_daddr_t daddr, const void *from, uint64_t nbytes);

/* Where a device address leads: true and *paddr if one window has all of it and memory is there. */
bool simdev_translate(const struct simdev *dev, cma_daddr_t daddr, uint64_t nbytes,
                      cma_paddr_t *paddr);

#endif
