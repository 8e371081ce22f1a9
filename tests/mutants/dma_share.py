# SPDX-License-Identifier: BSD-2-Clause
"""dma_share - bugs of shared buffers; and the steps of streaming that drivers notice, left out"""

FILE = "dma/share.c"
UNIT = ["unit/test_share"]
DRIVERS = ["model/drivers --ops 6000"]


def drivers(style):
    """What one style is about."""
    return [DRIVERS[0] + " --style " + style]


MUTANTS = [
    ("whoever lets go releases", FILE, "    if (had == unit && release", "    if (had / unit == 1 && release", UNIT),
    ("an attached device does not keep it alive", FILE, "error = share_grab(shared, SHARE_ATTACHED);",
     "error = shared->holders ? 0 : CMA_EBADF;", UNIT),
    ("a detach looks at it after it let go", FILE,
     "    (void)share_leave(shared, 0);\n    return share_drop(shared, SHARE_ATTACHED);",
     "    int error2 = share_drop(shared, SHARE_ATTACHED);\n    (void)share_leave(shared, 0);\n    return error2;",
     UNIT),
    ("a map does not clean", FILE,
     "    share_clean(shared, share_is_blind(shared, attachment->device));\n", "", UNIT),
    ("an unmap drops nothing", FILE, "        share_drop_lines(shared, blind && writes, sides.snoop_writes);",
     "        share_drop_lines(shared, false, sides.snoop_writes);", UNIT),
    ("an unmap drops what the CPU writes", FILE, "} else if (shared->cpu_writers == 0) {", "} else {", UNIT),
    ("an access begins without invalidate", FILE,
     "share_drop_lines(shared, sides.blind_writes, sides.snoop_writes);",
     "share_drop_lines(shared, false, sides.snoop_writes);", UNIT),
    ("each access invalidates", FILE,
     "    if (shared->cpu_readers == 0 && shared->cpu_writers == 0) {\n        share_look",
     "    if (true) {\n        share_look", UNIT),
    ("an access ends without clean", FILE,
     "        share_clean(shared, sides.blind);\n    }\n    return share_leave(shared, 0);",
     "        share_clean(shared, false);\n    }\n    return share_leave(shared, 0);", UNIT),
    ("what a snooping device left in the cache is dropped", FILE,
     "        share_clean(shared, sides.blind);\n    } else", "        share_clean(shared, false);\n    } else", UNIT),
    ("coherent buffers are maintained", FILE, "return !shared->config.coherent && !", "return !", UNIT),
    ("H10: reach is judged without the last byte", FILE, "config->paddr, config->nbytes, mask, daddr)",
     "config->paddr, config->nbytes - 1, mask, daddr)", UNIT),
    ("the streaming mask counts for coherent memory", FILE,
     "config->coherent ? device->config.coherent_mask : device->config.mask;", "device->config.mask;", UNIT),
    ("the platform is not asked", FILE, "dma->must_bounce != NULL &&", "false && dma->must_bounce != NULL &&", UNIT),
    ("a device gets what the CPU writes", FILE, "    if (shared->cpu_writers != 0 || (shared", "    if ((shared", UNIT),
    ("a device writes what the CPU reads", FILE,
     " || (shared->cpu_readers != 0 && direction != CMA_TO_DEVICE)", "", UNIT),
    ("a turn is taken that is taken", "base/turn.h", "while (!atom_swap_if(turn, &free, 1)) {",
     "while (!atom_swap_if(turn, &free, 1) && free == 2) {", UNIT),

    ("bounce: a mask is not looked at", "dma/stream.c", "request->nbytes, device->config.mask, daddr) !=\n        0) {",
     "request->nbytes, UINT64_MAX, daddr) !=\n        0) {", drivers("bounce")),
    ("bounce: what was bounced is not copied back", "dma/stream.c",
     "        place->bounce->ops->copy(place->bounce, place->paddr, place->last - place->daddr + 1, true);",
     "        (void)place;", drivers("bounce")),
    ("list: segments are as long as they like", "dma/list.c", "    return max != 0 ? max : UINT64_MAX;",
     "    return max != 0 ? UINT64_MAX : max - 1;", drivers("list")),
    ("list: segments are not cut at the boundary", "dma/list.c",
     "    return boundary != 0 ? boundary - (daddr & (boundary - 1)) : UINT64_MAX;",
     "    return boundary == 1 ? boundary - (daddr & (boundary - 1)) : UINT64_MAX;", drivers("list")),
    ("ring: a map does not clean", "dma/stream.c", "        cma__stream_clean(device, mapped, nbytes);\n", "",
     drivers("ring")),
    ("ring: nothing is dropped from the cache", "dma/stream.c",
     "        stream_maintain(device, place->daddr, place->last, true);\n", "        (void)place;\n", drivers("ring")),
    ("offset: a bus's offset is forgotten", "dma/device.c", "            first = window.daddr + (at - window.paddr);",
     "            first = at;", drivers("offset")),
    ("offset: windows that do not continue each other are one", "dma/device.c",
     "        } else if (window.daddr != next) {", "        } else if (window.daddr + 1 == next) {", drivers("offset")),
    ("offset: shared cache lines are not bounced", "dma/stream.c",
     "    } else if (stream_shares_lines(device, request)) {",
     "    } else if (stream_shares_lines(device, request) && request->nbytes == 0) {", drivers("offset")),
    ("window: a sync of a part of a bounced buffer copies its beginning", "dma/stream.c",
     "        place->bounce->ops->copy(place->bounce, place->paddr, place->last - place->daddr + 1, true);",
     "        place->bounce->ops->copy(place->bounce, place->paddr & ~(cma_paddr_t)63,\n"
     "                                 place->last - place->daddr + 1, true);",
     drivers("window")),
]
