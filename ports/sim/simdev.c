/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * simdev.c - a simulated device that does DMA
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "simdev.h"

void simdev_init(struct simdev *dev, struct sim *sim, const struct simdev_config *config)
{
    memset(dev, 0, sizeof(*dev));
    dev->sim = sim;
    dev->config = *config;
    if (config->nwindows > SIMDEV_WINDOWS_MAX) {
        fprintf(stderr, "sim: %s has more than %d windows\n", config->name, SIMDEV_WINDOWS_MAX);
        abort();
    }
    for (uint32_t i = 0; i < config->nwindows; i++)
        dev->windows[i] = config->windows[i];
    dev->config.windows = dev->windows;
}

bool simdev_translate(const struct simdev *dev, cma_daddr_t daddr, uint64_t nbytes,
                      cma_paddr_t *paddr)
{
    if (dev->config.nwindows == 0) {
        *paddr = daddr;
        return sim_is_memory(dev->sim, daddr, nbytes);
    }
    for (uint32_t i = 0; i < dev->config.nwindows; i++) {
        const struct cma_bus_window *window = &dev->windows[i];
        uint64_t in = daddr - window->daddr;
        if (daddr < window->daddr)
            continue;
        if (window->nbytes && (in >= window->nbytes || nbytes > window->nbytes - in))
            continue;
        *paddr = window->paddr + in;
        return sim_is_memory(dev->sim, *paddr, nbytes);
    }
    return false;
}

/* All bits up to the highest that an address of this device can have. */
static cma_daddr_t simdev_mask(cma_daddr_t last)
{
    for (uint32_t shift = 1; shift < 64; shift *= 2)
        last |= last >> shift;
    return last;
}

static bool simdev_place(struct simdev *dev, cma_daddr_t daddr, uint64_t nbytes, cma_paddr_t *paddr,
                         bool *right)
{
    cma_daddr_t last = dev->config.daddr_last;

    *right = true;
    if (last && nbytes && (daddr > last || nbytes - 1 > last - daddr)) {
        *right = false;
        if (dev->config.refuses) {
            dev->stats.refused++;
            return false;
        }
        dev->stats.truncated++;
        daddr &= simdev_mask(last);
    }
    if (simdev_translate(dev, daddr, nbytes, paddr))
        return true;
    dev->stats.bus_errors++;
    return false;
}

static void simdev_tell(const struct simdev *dev, cma_daddr_t daddr, uint64_t nbytes, bool write)
{
    if (dev->config.tag)
        sim_tell_device(dev->sim, dev->config.tag, daddr, nbytes, write, dev->file, dev->line);
}

bool simdev_read(struct simdev *dev, cma_daddr_t daddr, void *to, uint64_t nbytes)
{
    cma_paddr_t paddr;
    bool right;

    simdev_tell(dev, daddr, nbytes, false);
    if (!simdev_place(dev, daddr, nbytes, &paddr, &right)) {
        memset(to, 0xff, nbytes);
        return false;
    }
    sim_dev_read(dev->sim, paddr, to, nbytes, dev->config.snoops);
    dev->stats.bytes_read += nbytes;
    return right;
}

bool simdev_write(struct simdev *dev, cma_daddr_t daddr, const void *from, uint64_t nbytes)
{
    cma_paddr_t paddr;
    bool right;

    simdev_tell(dev, daddr, nbytes, true);
    if (!simdev_place(dev, daddr, nbytes, &paddr, &right))
        return false;
    sim_dev_write(dev->sim, paddr, from, nbytes, dev->config.snoops);
    dev->stats.bytes_written += nbytes;
    return right;
}
