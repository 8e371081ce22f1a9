/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * libcma.c - all of the library in one file: compile this one, or read it as the contents page
 *
 *     cc -c -std=c11 -Iinclude src/libcma.c
 *
 * The order is the way of the data, from a board's description to a device's buffer; a file uses
 * what stands above it, never what comes below. This is also the only list of sources: Makefile,
 * CMakeLists.txt and the checks read it from here, so each line is an #include and nothing else.
 */

/* base: ranges, bits, checks, errors. */
#include "base/bitmap.c"
#include "base/bittree.c"
#include "base/port.c"
#include "base/runmap.c"
#include "base/strerror.c"

/* boot: what memory there is and who reserved it. -DCMA_NO_FDT leaves the device tree out: files
 * boot/fdt*.c stand in the one #ifndef of this file. */
#include "boot/map.c"
#include "boot/problem.c"
#include "boot/args.c"
#ifndef CMA_NO_FDT
#include "boot/fdt.c"
#include "boot/fdt_bus.c"
#include "boot/fdt_reserved.c"
#include "boot/fdt_own.c"
#endif

/* frame: who holds each page; movers, migration, pins. */
#include "frame/fit.c"
#include "frame/table.c"
#include "frame/runs.c"
#include "frame/place.c"
#include "frame/find.c"
#include "frame/hold.c"
#include "frame/pin.c"
#include "frame/migrate.c"
#include "frame/evacuate.c"
#include "frame/window.c"
#include "frame/slot.c"
#include "frame/look.c"
#include "frame/check.c"

/* buddy: the page allocator that comes along. */
#include "buddy/pages.c"
#include "buddy/cache.c"

/* cma: areas, windows, claims; contiguous ranges lent and taken back. */
#include "cma/request.c"
#include "cma/claim.c"
#include "cma/area.c"
#include "cma/quick.c"
#include "cma/classes.c"
#include "cma/explain.c"
#include "cma/engine.c"
#include "cma/admit.c"
#include "cma/guarantee.c"

/* dma: what a device sees and the memory that it gets. */
#include "dma/device.c"
#include "dma/consistent.c"
#include "dma/bounce.c"
#include "dma/restricted.c"
#include "dma/handover.c"
#include "dma/reach.c"
#include "dma/stream.c"
#include "dma/list.c"
#include "dma/coherent.c"
#include "dma/exclusive.c"
#include "dma/view.c"
#include "dma/contiguous.c"
#include "dma/nosleep.c"
#include "dma/pool.c"
#include "dma/pool_lane.c"
#include "dma/pool_chunk.c"
#include "dma/promise.c"
#include "dma/share.c"
#include "dma/system.c"
#include "dma/misuse.c"
#include "dma/misuse_tell.c"
#include "dma/misuse_lines.c"
#include "dma/misuse_judge.c"
#include "dma/misuse_calls.c"
#include "dma/misuse_stream.c"

/* video: queues of buffers between programs and devices. */
#include "video/user.c"
#include "video/memory.c"
#include "video/cycle.c"
#include "video/queue.c"
