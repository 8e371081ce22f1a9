/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mcu.h - a Cortex-M board without operating system: start code, MPU, console, port, heap
 */
#ifndef MCU_H
#define MCU_H

#include <cma/area.h>
#include <cma/pages.h> /* struct cma_pages_ops is in frame.h; nothing of src/buddy is linked */

#define MCU_PAGE_SHIFT 8 /* 256 bytes: 96 pages are all that this board lends and moves */
#define MCU_PAGE (1u << MCU_PAGE_SHIFT)
#define MCU_HEAP 0x20002000u
#define MCU_HEAP_NPAGES 32u
#define MCU_AREA 0x20004000u
#define MCU_AREA_NPAGES 64u

/* --- start.c ------------------------------------------------------------------------------- */

void mcu_print(const char *text);
void mcu_print_number(const char *text, uint32_t number, const char *unit);
_Noreturn void mcu_exit(bool good);
/* Faults that mcu_probe has met; any other fault ends the program. */
extern uint32_t mcu_faults;
/* Reads a byte; 0 and one fault more when the MPU forbids it. */
uint32_t mcu_probe(uintptr_t vaddr);
uint32_t mcu_stack_used(void);
/* The timer's interrupt calls this. */
void mcu_tick(void);

/* --- port.c -------------------------------------------------------------------------------- */

void mcu_mpu_init(void);
extern const struct cma_port mcu_port;

/* --- heap.c: handles to pages; the heap is the host's allocator and the mover ------------------
 */

#define HEAP_HANDLES 96u

/* Starts the heap over the table, and the table over the heap. Returns 0 or an error of libcma. */
int heap_init(struct cma_frames *frames, struct cma_area *area);
const struct cma_pages_ops *heap_ops(void);
/* A page of one's own: its handle, or -1. */
int heap_get(void);
/* False while it is locked. */
bool heap_put(int handle);
/* From lock to unlock the page stays where it is; locks count. NULL: it moves just now. */
void *heap_lock(int handle);
void heap_unlock(int handle);
/* For interrupt handlers: the page now, or NULL while it moves. */
void *heap_peek(int handle);
extern uint32_t heap_moved;

#endif
