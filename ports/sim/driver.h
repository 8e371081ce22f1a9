/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * driver.h - what a driver includes that is tried out on the simulator
 *
 * The calls of libcma are looked at by the misuse checker (<cma/misuse.h>), and memory and devices
 * are touched by macros that know their place in the source: so a report names the line. How to
 * begin: docs/DRIVERS.md.
 */
#ifndef SIM_DRIVER_H
#define SIM_DRIVER_H

#include <cma/misuse.h>

#include "simdev.h"

/* The CPU reads or writes memory by its CPU address. */
#define drv_read(sim, vaddr, to, nbytes) \
    (sim_at(sim, __FILE__, __LINE__), sim_read(sim, vaddr, to, nbytes), sim_at(sim, NULL, 0))
#define drv_write(sim, vaddr, from, nbytes) \
    (sim_at(sim, __FILE__, __LINE__), sim_write(sim, vaddr, from, nbytes), sim_at(sim, NULL, 0))

/* The driver starts the device: what that does from here on was started here. */
#define drv_start(dev) ((void)((dev)->file = __FILE__, (dev)->line = __LINE__))

static inline void driver_tell_cpu(void *ctx, cma_paddr_t paddr, uint64_t nbytes, bool write,
                                   const char *file, uint32_t line)
{
    cma_misuse_cpu(ctx, paddr, nbytes, write, (struct cma_site){file, line});
}

static inline void driver_tell_device(void *ctx, void *tag, cma_daddr_t daddr, uint64_t nbytes,
                                      bool write, const char *file, uint32_t line)
{
    cma_misuse_device(ctx, tag, daddr, nbytes, write, (struct cma_site){file, line});
}

/* A simulated device tells what it was given to do: a transfer in one piece. */
static inline void driver_descriptor(struct cma_misuse *misuse, const struct simdev *dev,
                                     cma_daddr_t daddr, uint64_t nbytes)
{
    cma_misuse_segment(misuse, dev->config.tag, daddr, nbytes,
                       (struct cma_site){dev->file, dev->line});
}

/* The checker is told of all accesses. Devices are known by their tag (simdev_config). */
static inline void driver_watch(struct sim *sim, struct cma_misuse *misuse)
{
    struct sim_watch watch = {driver_tell_cpu, driver_tell_device, misuse};

    sim_watch(sim, &watch);
}

#endif
