/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * main.c - a display's frame buffer on a board with 64 KiB, lent to a heap while it is off
 *
 * 200 times the display is opened, with 4 to 20 pages; its controller (simulated: stores through
 * the area's addresses, for this machine has no DMA engine) writes all of the buffer. Meanwhile
 * the heap is nearly full, handles are locked and unlocked, and a timer's interrupt writes to its
 * pages in turn. Every byte of every page stays right, and no write of the interrupt is lost.
 */
#include "mcu.h"

#define DISPLAY 1
#define ROUNDS 200u
#define TABLE_NBYTES 1024u

static struct cma_frames frames;
static struct cma_area area;
static uint64_t storage[TABLE_NBYTES / 8];
static volatile bool live[HEAP_HANDLES];
static volatile uint32_t writes[HEAP_HANDLES]; /* of the interrupt, to each page */
static volatile uint32_t ticks, ticks_held_back, ticks_written;
static uint32_t random_state = 1, copies;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 1664525u + 1013904223u;
    return (random_state >> 16) % limit;
}

static void require(bool holds, const char *what)
{
    if (holds)
        return;
    mcu_print(what);
    mcu_print("\n");
    mcu_exit(false);
}

/* Adds one to the first word of a page; while the page moves, the writer holds back. */
void mcu_tick(void)
{
    uint32_t handle = ticks++ % HEAP_HANDLES;
    volatile uint32_t *page = heap_peek((int)handle);

    if (!live[handle])
        return;
    if (page == NULL) {
        ticks_held_back++;
        return;
    }
    page[0]++;
    writes[handle]++;
    ticks_written++;
}

static void fill(int handle)
{
    uint32_t *page = heap_lock(handle);

    require(page != NULL, "a page that nobody moves can't be locked");
    for (uint32_t i = 0; i < MCU_PAGE / 4; i++)
        page[i] = (uint32_t)handle * 0x10001u + i;
    heap_unlock(handle);
    writes[handle] = 0;
    live[handle] = true;
}

static void check(int handle)
{
    const uint32_t *page = heap_lock(handle);

    require(page != NULL, "a page that nobody moves can't be locked");
    live[handle] = false; /* the interrupt keeps off */
    require(page[0] == (uint32_t)handle * 0x10001u + writes[handle],
            "a write of the interrupt was lost");
    for (uint32_t i = 1; i < MCU_PAGE / 4; i++)
        require(page[i] == (uint32_t)handle * 0x10001u + i, "a byte of the heap is wrong");
    live[handle] = true;
    heap_unlock(handle);
}

static void bring_up(void)
{
    struct cma_range memory[1], reserved[1];
    struct cma_map map;
    struct cma_range range = {MCU_AREA, MCU_AREA_NPAGES * MCU_PAGE, CMA_RANGE_AREA, 0, "display",
                              0};
    struct cma_frames_config config = {.port = &mcu_port, .block_order = 5, .areas_only = true};
    struct cma_area_config lent = {.name = "display", .lend_class = CMA_LEND_ORDINARY};

    require(cma_map_init(&map, memory, 1, reserved, 1) == 0 &&
                cma_map_add_memory(&map, MCU_HEAP, (MCU_HEAP_NPAGES + MCU_AREA_NPAGES) * MCU_PAGE,
                                   NULL) == 0 &&
                cma_map_reserve(&map, &range, NULL) == 0,
            "map");
    require(cma_frames_init(&frames, &map, &config, storage, sizeof(storage)) == 0, "table");
    require(heap_init(&frames, &area) == 0 &&
                cma_area_init(&area, &frames, heap_ops(), MCU_AREA, &lent) == 0 &&
                cma_area_activate(&area) == 0,
            "area");
}

/* The MPU is on, the area is not cached, and the stack has a guard. */
static void check_mpu(void)
{
    extern uint32_t stack_guard[];
    enum cma_attr attr;
    cma_paddr_t paddr;

    require(mcu_port.lookup(NULL, (void *)MCU_AREA, &paddr, &attr) == 0 &&
                attr == CMA_ATTR_UNCACHED && paddr == MCU_AREA,
            "the area is cached");
    require(mcu_port.lookup(NULL, (void *)(MCU_AREA + MCU_AREA_NPAGES * MCU_PAGE - 1), &paddr,
                            &attr) == 0 &&
                attr == CMA_ATTR_UNCACHED,
            "the end of the area is cached");
    require(mcu_port.lookup(NULL, (void *)MCU_HEAP, &paddr, &attr) == 0 && attr == CMA_ATTR_CACHED,
            "the heap is not cached");
    require(mcu_port.lookup(NULL, stack_guard, &paddr, &attr) == CMA_ENOENT, "no guard");
    (void)mcu_probe((uintptr_t)stack_guard);
    (void)mcu_probe(MCU_AREA + MCU_AREA_NPAGES * MCU_PAGE);
    require(mcu_faults == 2, "the MPU forbids nothing");
    (void)mcu_probe(MCU_AREA);
    require(mcu_faults == 2, "the MPU forbids the area");
}

static void remove_page(int handle)
{
    check(handle);
    live[handle] = false;
    require(heap_put(handle), "a page that nobody holds can't be put");
}

/* Some pages come, some go. */
static void churn(void)
{
    for (uint32_t i = 0; i < 16; i++) {
        int handle = (int)random_below(HEAP_HANDLES);

        if (live[handle])
            remove_page(handle);
    }
    for (uint32_t i = 0; i < 10; i++) {
        int handle = heap_get();

        if (handle >= 0)
            fill(handle);
    }
}

static bool open_display(uint32_t npages)
{
    struct cma_area_request request = {.npages = npages, .owner = DISPLAY};
    struct cma_refusal refusal;
    int locked = (int)random_below(HEAP_HANDLES);
    uint32_t moved = heap_moved;
    volatile uint32_t *pixel;
    const void *held = NULL;
    cma_pfn_t pfn;
    int error;

    if (live[locked])
        held = heap_lock(locked);
    error = cma_area_alloc(&area, &request, &pfn, &refusal);
    if (held != NULL) {
        require(heap_peek(locked) == held, "a locked page has moved");
        heap_unlock(locked);
    }
    copies += heap_moved - moved;
    require(heap_moved - moved <= npages, "a claim copied more than its window");
    if (error != 0) {
        require(refusal.reason == CMA_REASON_NO_ROOM || refusal.reason == CMA_REASON_HELD,
                "refused for no good reason");
        return false;
    }
    pixel = (volatile uint32_t *)(uintptr_t)(pfn << MCU_PAGE_SHIFT);
    for (uint32_t i = 0; i < npages * (MCU_PAGE / 4); i++)
        pixel[i] = 0xdeadbeef;
    for (uint32_t i = 0; i < npages * (MCU_PAGE / 4); i++)
        require(pixel[i] == 0xdeadbeef, "somebody else wrote to the display's memory");
    require(cma_area_release(&area, pfn, npages, DISPLAY) == 0, "release");
    return true;
}

int main(void)
{
    uint32_t served = 0, refused = 0;

    bring_up();
    check_mpu();
    /* All of the area is lent, and the heap's own memory is in use but for its reserve. */
    for (int i = 0; i < 80; i++) {
        require(heap_get() == i, "not all of the memory could be had");
        fill(i);
    }
    require(heap_get() < 0, "more memory than there is");
    for (uint32_t round = 0; round < ROUNDS; round++) {
        churn();
        if (open_display(4 + random_below(17)))
            served++;
        else
            refused++;
    }
    for (int i = 0; i < (int)HEAP_HANDLES; i++) {
        if (live[i])
            check(i);
    }
    mcu_print_number("display: opened ", served, " times");
    mcu_print_number(", refused ", refused, " times with the reason\n");
    mcu_print_number("heap: ", copies, " pages moved, every byte right\n");
    mcu_print_number("interrupt: ", ticks_written, " writes, none lost; ");
    mcu_print_number("", ticks_held_back, " held back while a page moved\n");
    mcu_print_number("stack: ", mcu_stack_used(), " bytes at most\n");
    require(served > ROUNDS / 2 && copies > 100 && ticks_held_back > 0, "too little happened");
    return 0;
}
