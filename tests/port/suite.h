/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * suite.h - is a port right? One test for each hook, and one for each contract between hooks
 *
 * Freestanding: the same source runs in a Linux process and on bare metal. Each port brings a
 * harness: what the tests need and no hook gives. What is NULL or 0 in it is not there, and the
 * tests that need it are skipped, with that as the reason. The order is that of docs/PORTING.md.
 */
#ifndef PORT_SUITE_H
#define PORT_SUITE_H

#include <cma/port.h>

struct port_harness {
    const struct cma_port *port;
    void *ctx; /* of the functions below */

    /* Memory for the tests alone: whole pages, at least SUITE_NPAGES, linearly mapped as
     * CMA_ATTR_CACHED, of the sort that set_attr must be able to change (an area's). */
    cma_paddr_t memory;
    /* Four pages of linear memory that is no area's, perhaps mapped by blocks. 0: there is none. */
    cma_paddr_t other;
    /* Memory without linear mapping: at least two pages. 0: there is none. */
    cma_paddr_t unmapped;
    /* How many pages port->map can map at once; 0: not known. */
    uint64_t window_npages;

    /* The CPU's loads and stores by CPU address; NULL: a vaddr is a pointer. */
    void (*read)(void *ctx, const void *vaddr, void *to, uint64_t nbytes);
    void (*write)(void *ctx, void *vaddr, const void *from, uint64_t nbytes);
    /* A device's accesses, past the caches; both NULL: there is no device to ask. */
    void (*device_read)(void *ctx, cma_paddr_t paddr, void *to, uint64_t nbytes);
    void (*device_write)(void *ctx, cma_paddr_t paddr, const void *from, uint64_t nbytes);
    /* Other work makes the caches forget what they hold, dirty lines going to memory. NULL: no. */
    void (*evict)(void *ctx);
    /* True if no frame has two mappings that disagree, as the live page tables have it. */
    bool (*no_alias)(void *ctx);
    /* Makes one such pair of mappings of harness->memory, or removes it: can no_alias see it? */
    void (*make_alias)(void *ctx, bool made);
    /* Runs both functions side by side until both have returned. NULL: one thread only. */
    void (*run_two)(void *ctx, void (*a)(void *arg), void (*b)(void *arg), void *arg);
    /* Lets time pass, and others run if they can. Called with a lock held too. */
    void (*pass_time)(void *ctx);
    /* Are interrupts off? NULL: can't be asked. */
    bool (*interrupts_off)(void *ctx);
};

#define SUITE_NPAGES 16u

enum port_verdict { PORT_OK, PORT_FAIL, PORT_SKIPPED };

struct port_result {
    enum port_verdict verdict;
    const char *why; /* what is wrong, or why it was skipped; "" when it is right */
};

uint32_t port_suite_count(void);
const char *port_suite_name(uint32_t index);
struct port_result port_suite_run(const struct port_harness *harness, uint32_t index);

#endif
