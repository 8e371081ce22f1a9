/* SPDX-License-Identifier: BSD-2-Clause */
/* fdt.h - what the files of the device-tree reader share; private */
#ifndef CMA_BOOT_FDT_H
#define CMA_BOOT_FDT_H

#include <cma/fdt.h>

#include <libfdt.h>

/* cma_fdt_node.flags */
#define FDT_NODE_ENABLED (1u << 0)     /* it and all nodes above are available */
#define FDT_NODE_MAPPED (1u << 1)      /* on a bus whose addresses are memory addresses */
#define FDT_NODE_DMA_RANGES (1u << 2)  /* dma-ranges that is not empty */
#define FDT_NODE_COHERENT (1u << 3)    /* says dma-coherent */
#define FDT_NODE_NONCOHERENT (1u << 4) /* says dma-noncoherent */
#define FDT_NODE_DMA_MEM (1u << 5)     /* its way to memory is an interconnect, not its parent */
#define FDT_NODE_OKAY (1u << 6)        /* its own status */
#define FDT_NODE_OURS (1u << 7)        /* has properties of libcma's own */

/* What the names of these begin with. */
#define FDT_OURS "libcma,"

/* A property's bytes and their count, NULL when there is none. */
const void *cma__fdt_property(const struct cma_fdt *fdt, uint32_t offset, const char *name,
                              uint32_t *nbytes);

/* A number of `ncells` cells; of more than two, the low 64 bits. */
uint64_t cma__fdt_cells(const void *bytes, uint32_t ncells);

/* Index of the node with that phandle, or CMA_NODE_NONE. */
uint32_t cma__fdt_by_phandle(const struct cma_fdt *fdt, uint32_t phandle);

/* Index of the node at that offset, or CMA_NODE_NONE. */
uint32_t cma__fdt_index(const struct cma_fdt *fdt, uint32_t offset);

/* The node's name in the tree. */
const char *cma__fdt_name(const struct cma_fdt *fdt, uint32_t offset);

/* True if the name is `name` or begins with `name` and an @. */
bool cma__fdt_is_named(const char *full, const char *name);

/* The next property of libcma's own: 0 first, then what it returned; negative past the last. */
int cma__fdt_next_own(const void *dtb, uint32_t offset, int at, const char **name);

/* Adds a problem; see cma__problem_add. */
struct cma_problem *cma__fdt_problem(struct cma_fdt *fdt, struct cma_problem *spare, uint32_t node,
                                     const char *property, enum cma_problem_kind kind);

/* Finds each node's way to memory and reads all buses with their windows (fdt_bus.c). */
void cma__fdt_read_buses(struct cma_fdt *fdt);

#endif
