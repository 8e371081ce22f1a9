/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * cma.h - all of libcma, in the order in which the data flows
 *
 * A file that uses libcma includes this one, or just the headers that it needs. -DCMA_NO_FDT leaves
 * the device-tree reader out, here as in src/libcma.c.
 */
#ifndef CMA_H
#define CMA_H

#include <cma/types.h>
#include <cma/port.h>
#include <cma/map.h>
#include <cma/boot.h>
#ifndef CMA_NO_FDT
#include <cma/fdt.h>
#endif
#include <cma/frame.h>
#include <cma/pages.h>
#include <cma/area.h>
#include <cma/dma.h>
#include <cma/handover.h>
#include <cma/stream.h>
#include <cma/bounce.h>
#include <cma/exclusive.h>
#include <cma/nosleep.h>
#include <cma/pool.h>
#include <cma/share.h>
#include <cma/system.h>
#include <cma/video.h>

#endif
