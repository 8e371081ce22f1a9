/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * drivers_right.c - drivers that do everything right, all at once: nobody may complain
 *
 *     drivers_right [--ops N] [--seed S]
 *
 * Sixty-five drivers of thirteen styles share four devices: one that doesn't snoop, one that does,
 * one behind an offset with short segments, one that is bounced. They take turns in any order, so
 * most have something mapped while others work. Their buffers lie anywhere, also several in one
 * cache line, where the contract allows it. What devices and CPU write is compared where the other
 * side reads it; the misuse checker is told of all. N is the number of transfers. Any report, and
 * any wrong byte, is a failure.
 */
#include "../support/driver_board.h"

#define NSLOTS 65u
#define MEM_NPAGES 3u
#define TO CMA_TO_DEVICE
#define FROM CMA_FROM_DEVICE
#define BIDI CMA_BIDIRECTIONAL

static uint64_t random_state, transfers;
static const char *style_name;

#define NEED(condition)                                                                           \
    ((condition) ? (void)0                                                                        \
                 : (fprintf(stderr, "drivers_right.c:%d: %s: FAILED: %s\n", __LINE__, style_name, \
                            #condition),                                                          \
                    abort()))

static uint64_t below(uint64_t n)
{
    uint64_t x = random_state += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (x ^ (x >> 31)) % n;
}

struct slot {
    void (*turn)(struct slot *slot);
    const char *name;
    struct dev *dev;
    struct mem mem;
    /* Where in it the buffer of the moment is. */
    uint64_t offset, nbytes, had_nbytes;
    uint32_t state, flags;
    cma_daddr_t daddr;
    enum cma_direction direction;
    uint8_t pattern;
    union {
        struct {
            struct cma_piece pieces[3];
            struct cma_segment segments[16];
            uint32_t n;
        } list;
        struct cma_coherent coherent;
        struct cma_contiguous contiguous;
        struct cma_dma_item item;
        struct {
            struct cma_shared shared;
            struct cma_attachment writer, reader;
            cma_daddr_t to;
        } share;
    } u;
};

static struct slot slots[NSLOTS];
static struct dev *devs[4];
static struct cma_dma_pool pools[3], cached[3];
static struct cma_dma_pool_lane lanes[3];
static void *pool_storage[6];
static uint8_t scratch[4 * PAGE], expected[4 * PAGE];

/* --- both sides -------------------------------------------------------------------------- */

static void fill(uint8_t *bytes, uint64_t nbytes, uint8_t pattern)
{
    for (uint64_t i = 0; i < nbytes; i++)
        bytes[i] = (uint8_t)(pattern + i * 7);
}

static void cpu_write(uint8_t *vaddr, uint64_t nbytes, uint8_t pattern)
{
    fill(scratch, nbytes, pattern);
    drv_write(board.sim, vaddr, scratch, nbytes);
}

static void cpu_reads(uint8_t *vaddr, uint64_t nbytes, uint8_t pattern)
{
    fill(expected, nbytes, pattern);
    drv_read(board.sim, vaddr, scratch, nbytes);
    NEED(memcmp(scratch, expected, nbytes) == 0);
}

static void device_writes(struct slot *slot, cma_daddr_t daddr, uint64_t nbytes, uint8_t pattern)
{
    fill(scratch, nbytes, pattern);
    drv_start(&slot->dev->sim);
    NEED(simdev_write(&slot->dev->sim, daddr, scratch, nbytes));
    transfers++;
}

static void device_reads(struct slot *slot, cma_daddr_t daddr, uint64_t nbytes, uint8_t pattern)
{
    fill(expected, nbytes, pattern);
    drv_start(&slot->dev->sim);
    NEED(simdev_read(&slot->dev->sim, daddr, scratch, nbytes));
    NEED(memcmp(scratch, expected, nbytes) == 0);
    transfers++;
}

static struct cma_device *cma_of(struct slot *slot)
{
    return &slot->dev->cma;
}

static uint8_t *vaddr_of(const struct slot *slot)
{
    return slot->mem.vaddr + slot->offset;
}

/* A buffer somewhere in the driver's memory. */
static void choose(struct slot *slot)
{
    slot->dev = devs[below(4)];
    slot->nbytes = 1 + below(below(4) == 0 ? 2 * PAGE : 600);
    slot->offset = below(MEM_NPAGES * PAGE - slot->nbytes + 1);
    if (below(3) == 0) {
        slot->offset &= ~UINT64_C(63);
        slot->nbytes = (slot->nbytes + 63) & ~UINT64_C(63);
        if (slot->offset + slot->nbytes > MEM_NPAGES * PAGE)
            slot->offset = 0;
    }
    slot->pattern = (uint8_t)below(256);
    slot->flags = 0;
}

/* By one of the three calls. False: bounce memory is full just now. */
static bool slot_map(struct slot *slot, enum cma_direction direction)
{
    cma_paddr_t paddr = slot->mem.paddr + slot->offset;
    struct cma_refusal refusal = {0};
    int error;

    slot->direction = direction;
    switch (below(3)) {
    case 0:
        error = cma_dma_map(cma_of(slot), paddr, slot->nbytes, direction, slot->flags, &slot->daddr,
                            &refusal);
        break;
    case 1:
        error = cma_dma_map_single(cma_of(slot), vaddr_of(slot), slot->nbytes, direction,
                                   slot->flags, &slot->daddr, &refusal);
        break;
    default:
        error = cma_dma_map_page(cma_of(slot), paddr / PAGE, paddr % PAGE, slot->nbytes, direction,
                                 slot->flags, &slot->daddr, &refusal);
    }
    NEED(error == 0 || refusal.reason == CMA_REASON_BOUNCE);
    return error == 0;
}

static void slot_unmap(struct slot *slot)
{
    NEED(cma_dma_unmap(cma_of(slot), slot->daddr, slot->nbytes, slot->direction, slot->flags) == 0);
    slot->state = 0;
}

static void slot_for_cpu(struct slot *slot, uint64_t from, uint64_t nbytes)
{
    NEED(cma_dma_sync_for_cpu(cma_of(slot), slot->daddr + from, nbytes, slot->direction) == 0);
}

static void slot_for_device(struct slot *slot, uint64_t from, uint64_t nbytes)
{
    NEED(cma_dma_sync_for_device(cma_of(slot), slot->daddr + from, nbytes, slot->direction) == 0);
}

/* --- styles ------------------------------------------------------------------------------ */

/* Sends one packet after the other, each mapped for itself. */
static void turn_send(struct slot *slot)
{
    if (slot->state == 0) {
        choose(slot);
        cpu_write(vaddr_of(slot), slot->nbytes, slot->pattern);
        slot->flags = below(4) == 0 ? CMA_MAP_SKIP_SYNC : 0;
        slot->state = slot_map(slot, TO);
        if (slot->state != 0 && slot->flags != 0)
            slot_for_device(slot, 0, slot->nbytes);
        return;
    }
    device_reads(slot, slot->daddr, slot->nbytes, slot->pattern);
    cpu_reads(vaddr_of(slot), slot->nbytes, slot->pattern);
    slot_unmap(slot);
}

/* Receives packets that may be shorter than their buffers. */
static void turn_receive(struct slot *slot)
{
    uint64_t nbytes, header;

    if (slot->state == 0) {
        choose(slot);
        /* Its memory is the driver's alone. */
        slot->flags = below(4) == 0 ? CMA_MAP_OWN_LINES : 0;
        slot->state = slot_map(slot, FROM);
        return;
    }
    nbytes = 1 + below(slot->nbytes);
    header = 1 + below(nbytes);
    device_writes(slot, slot->daddr, nbytes, slot->pattern);
    if (below(2) == 0) {
        slot_for_cpu(slot, 0, header);
        cpu_reads(vaddr_of(slot), header, slot->pattern);
        slot_for_device(slot, 0, header);
    }
    slot_unmap(slot);
    cpu_reads(vaddr_of(slot), nbytes, slot->pattern);
    cpu_write(vaddr_of(slot), nbytes, 1);
}

/* One buffer that stays mapped, sent again and again. */
static void turn_send_again(struct slot *slot)
{
    uint64_t from, nbytes;

    if (slot->state == 0) {
        choose(slot);
        cpu_write(vaddr_of(slot), slot->nbytes, slot->pattern);
        slot->state = slot_map(slot, TO);
        return;
    }
    if (below(20) == 0) {
        slot_unmap(slot);
        return;
    }
    from = below(slot->nbytes);
    nbytes = 1 + below(slot->nbytes - from);
    slot_for_cpu(slot, from, nbytes);
    cpu_write(vaddr_of(slot) + from, nbytes, (uint8_t)(slot->pattern + 1));
    slot_for_device(slot, from, nbytes);
    device_reads(slot, slot->daddr + from, nbytes, (uint8_t)(slot->pattern + 1));
}

/* One buffer that stays mapped and is received into. */
static void turn_receive_again(struct slot *slot)
{
    uint64_t from, nbytes;

    if (slot->state == 0) {
        choose(slot);
        slot->state = slot_map(slot, FROM);
        return;
    }
    if (below(20) == 0) {
        slot_unmap(slot);
        return;
    }
    from = below(slot->nbytes);
    nbytes = 1 + below(slot->nbytes - from);
    slot->pattern = (uint8_t)below(256);
    device_writes(slot, slot->daddr + from, nbytes, slot->pattern);
    slot_for_cpu(slot, from, nbytes);
    cpu_reads(vaddr_of(slot) + from, nbytes, slot->pattern);
    slot_for_device(slot, from, nbytes);
}

/* The device works on the buffer, the CPU edits it in between. */
static void turn_both_ways(struct slot *slot)
{
    if (slot->state == 0) {
        choose(slot);
        cpu_write(vaddr_of(slot), slot->nbytes, slot->pattern);
        slot->state = slot_map(slot, BIDI);
        return;
    }
    device_reads(slot, slot->daddr, slot->nbytes, slot->pattern);
    device_writes(slot, slot->daddr, slot->nbytes, (uint8_t)(slot->pattern + 1));
    slot_for_cpu(slot, 0, slot->nbytes);
    cpu_reads(vaddr_of(slot), slot->nbytes, (uint8_t)(slot->pattern + 1));
    slot->pattern = (uint8_t)(slot->pattern + 2);
    cpu_write(vaddr_of(slot), slot->nbytes, slot->pattern);
    slot_for_device(slot, 0, slot->nbytes);
    if (below(3) == 0) {
        device_reads(slot, slot->daddr, slot->nbytes, slot->pattern);
        slot_unmap(slot);
        cpu_reads(vaddr_of(slot), slot->nbytes, slot->pattern);
    }
}

/* Descriptors of 32 bytes in ordinary memory, two in a cache line. */
static void turn_descriptors(struct slot *slot)
{
    uint64_t at = below(64) * 32;
    uint8_t pattern = (uint8_t)below(256);

    if (slot->state == 0) {
        slot->dev = devs[below(4)];
        slot->offset = 0;
        slot->nbytes = 64 * 32;
        slot->flags = 0;
        cpu_write(vaddr_of(slot), slot->nbytes, 0);
        slot->state = slot_map(slot, BIDI);
        return;
    }
    slot_for_cpu(slot, at, 32);
    cpu_write(vaddr_of(slot) + at, 32, pattern);
    slot_for_device(slot, at, 32);
    device_reads(slot, slot->daddr + at, 32, pattern);
    device_writes(slot, slot->daddr + at, 16, (uint8_t)(pattern + 1));
    slot_for_cpu(slot, at, 16);
    cpu_reads(vaddr_of(slot) + at, 16, (uint8_t)(pattern + 1));
    slot_for_device(slot, at, 16);
    if (below(100) == 0)
        slot_unmap(slot);
}

/* Lists, in either direction. */
static void turn_list(struct slot *slot)
{
    uint32_t npieces = 3, max = 16;
    struct cma_refusal refusal = {0};
    uint64_t at = 0;
    int error;

    if (slot->state == 0) {
        choose(slot);
        slot->direction = below(2) ? TO : FROM;
        for (uint32_t i = 0; i < npieces; i++) {
            uint64_t nbytes = 1 + below(PAGE), room = PAGE - nbytes;

            slot->u.list.pieces[i].nbytes = below(2) ? PAGE : nbytes;
            slot->u.list.pieces[i].paddr =
                slot->mem.paddr + i * PAGE +
                (slot->u.list.pieces[i].nbytes == PAGE ? 0 : below(room + 1));
            cpu_write(slot->mem.vaddr + (slot->u.list.pieces[i].paddr - slot->mem.paddr),
                      slot->u.list.pieces[i].nbytes, slot->pattern);
        }
        error = cma_dma_map_list(cma_of(slot), slot->u.list.pieces, npieces, slot->direction, 0,
                                 slot->u.list.segments, max, &slot->u.list.n, &refusal);
        NEED(error == 0 || refusal.reason == CMA_REASON_BOUNCE);
        slot->state = error == 0;
        return;
    }
    for (uint32_t i = 0; i < slot->u.list.n; i++) {
        struct cma_segment *segment = &slot->u.list.segments[i];

        driver_descriptor(&board.misuse, &slot->dev->sim, segment->daddr, segment->nbytes);
        if (slot->direction == FROM) {
            device_writes(slot, segment->daddr, segment->nbytes, (uint8_t)(i + 3));
        } else {
            (void)simdev_read(&slot->dev->sim, segment->daddr, scratch, segment->nbytes);
            transfers++;
        }
    }
    if (below(2) == 0) {
        NEED(cma_dma_sync_list_for_cpu(cma_of(slot), slot->u.list.segments, slot->u.list.n,
                                       slot->direction) == 0);
        drv_read(board.sim, slot->mem.vaddr + (slot->u.list.pieces[0].paddr - slot->mem.paddr),
                 scratch, slot->u.list.pieces[0].nbytes);
        NEED(cma_dma_sync_list_for_device(cma_of(slot), slot->u.list.segments, slot->u.list.n,
                                          slot->direction) == 0);
    }
    NEED(cma_dma_unmap_list(cma_of(slot), slot->u.list.segments, slot->u.list.n, slot->direction,
                            0) == 0);
    slot->state = 0;
    for (uint32_t i = 0; i < npieces; i++) {
        const struct cma_piece *piece = &slot->u.list.pieces[i];

        drv_read(board.sim, slot->mem.vaddr + (piece->paddr - slot->mem.paddr), scratch,
                 piece->nbytes);
        /* The first byte of a segment is in its first piece. */
        for (uint32_t j = 0; slot->direction == FROM && j < slot->u.list.n; j++)
            if (slot->u.list.segments[j].piece == i)
                at += scratch[slot->u.list.segments[j].piece_offset_nbytes] != (uint8_t)(j + 3);
    }
    NEED(at == 0);
}

/* A ring that both sides see at any time. */
static void turn_coherent(struct slot *slot)
{
    struct cma_coherent_request request = {.nbytes = 1 + below(2 * PAGE)};
    uint64_t from, nbytes;

    if (slot->state == 0) {
        slot->dev = devs[below(3)];
        slot->state = cma_dma_alloc_coherent(cma_of(slot), &request, &slot->u.coherent, NULL) == 0;
        return;
    }
    from = below(slot->u.coherent.nbytes);
    nbytes = 1 + below(slot->u.coherent.nbytes - from);
    cpu_write((uint8_t *)slot->u.coherent.vaddr + from, nbytes, 5);
    device_reads(slot, slot->u.coherent.daddr + from, nbytes, 5);
    device_writes(slot, slot->u.coherent.daddr + from, nbytes, 6);
    cpu_reads((uint8_t *)slot->u.coherent.vaddr + from, nbytes, 6);
    if (below(20) == 0) {
        NEED(cma_dma_free_coherent(cma_of(slot), &slot->u.coherent) == 0);
        slot->state = 0;
    }
}

/* Commands from a pool, or from a lane of it. */
static void turn_pool(struct slot *slot)
{
    uint32_t which = (uint32_t)below(3);
    struct cma_dma_item *item = &slot->u.item;

    if (slot->state == 0) {
        slot->dev = devs[which];
        slot->flags = (uint32_t)below(2);
        if (slot->flags == 0) {
            if (cma_dma_pool_alloc(&pools[which], CMA_DMA_POOL_GROW, item, NULL) != 0)
                return;
        } else {
            uint64_t token;

            if (cma_dma_pool_lane_alloc(&lanes[which], 0, &token, NULL) != 0)
                return;
            cma_dma_pool_lane_item(&lanes[which], token, item);
        }
        slot->state = 1 + which;
        return;
    }
    cpu_write(item->vaddr, 48, 9);
    device_reads(slot, item->daddr, 48, 9);
    device_writes(slot, item->daddr + 32, 16, 10);
    cpu_reads((uint8_t *)item->vaddr + 32, 16, 10);
    which = slot->state - 1;
    NEED((slot->flags == 0 ? cma_dma_pool_free(&pools[which], item)
                           : cma_dma_pool_lane_free(&lanes[which], cma_dma_pool_token(item))) == 0);
    slot->state = 0;
}

/* Answers from a pool of cached memory. */
static void turn_cached_pool(struct slot *slot)
{
    struct cma_dma_pool *pool = &cached[below(3)];
    struct cma_dma_item *item = &slot->u.item;

    if (slot->state == 0) {
        slot->dev = devs[pool - cached];
        if (cma_dma_pool_alloc(pool, CMA_DMA_POOL_GROW, item, NULL) == 0)
            slot->state = 1 + (uint32_t)(pool - cached);
        return;
    }
    slot->daddr = item->daddr;
    slot->direction = BIDI;
    device_writes(slot, item->daddr, 100, 60);
    slot_for_cpu(slot, 0, 100);
    cpu_reads(item->vaddr, 100, 60);
    cpu_write(item->vaddr, 100, 61);
    if (below(2) == 0) {
        slot_for_device(slot, 0, 100);
        device_reads(slot, item->daddr, 100, 61);
    }
    NEED(cma_dma_pool_free(&cached[slot->state - 1], item) == 0);
    slot->state = 0;
}

/* Pictures that the CPU works on. */
static void turn_contiguous(struct slot *slot)
{
    struct cma_coherent_request request = {.nbytes = PAGE + below(2 * PAGE)};
    enum cma_direction direction = BIDI;
    struct cma_contiguous *it = &slot->u.contiguous;

    if (slot->state == 0) {
        slot->dev = devs[below(3)];
        slot->state = cma_dma_alloc_contiguous(cma_of(slot), &request, direction, it, NULL) == 0;
        return;
    }
    slot->daddr = it->buffer.daddr;
    slot->direction = direction;
    device_writes(slot, slot->daddr, it->buffer.nbytes, 40);
    slot_for_cpu(slot, 0, it->buffer.nbytes);
    cpu_reads(it->buffer.vaddr, it->buffer.nbytes, 40);
    cpu_write((uint8_t *)it->buffer.vaddr + 100, 1000, 41);
    slot_for_device(slot, 0, it->buffer.nbytes);
    device_reads(slot, slot->daddr + 100, 1000, 41);
    if (below(10) == 0) {
        NEED(cma_dma_free_contiguous(cma_of(slot), it) == 0);
        slot->state = 0;
    }
}

/* A camera writes, a scaler reads, the CPU looks. */
static void turn_shared(struct slot *slot)
{
    struct cma_shared_config config = {.paddr = slot->mem.paddr, .nbytes = 3000};
    struct cma_shared *shared = &slot->u.share.shared;

    if (slot->state == 0) {
        slot->dev = devs[0];
        NEED(cma_shared_init(shared, &board.system.dma, &config) == 0);
        NEED(cma_shared_attach(shared, &slot->u.share.writer, &devs[0]->cma, NULL) == 0);
        NEED(cma_shared_attach(shared, &slot->u.share.reader, &devs[2]->cma, NULL) == 0);
        NEED(cma_shared_map(&slot->u.share.writer, FROM, &slot->daddr) == 0);
        NEED(cma_shared_map(&slot->u.share.reader, TO, &slot->u.share.to) == 0);
        slot->state = 1;
        return;
    }
    slot->dev = devs[0];
    device_writes(slot, slot->daddr, 3000, 77);
    slot->dev = devs[2];
    device_reads(slot, slot->u.share.to, 3000, 77);
    if (below(3) == 0) {
        NEED(cma_shared_cpu_begin(shared, FROM) == 0);
        cpu_reads(slot->mem.vaddr, 3000, 77);
        device_reads(slot, slot->u.share.to, 3000, 77);
        if (below(2) == 0) {
            NEED(cma_shared_cpu_begin(shared, BIDI) == 0);
            cpu_write(slot->mem.vaddr, 3000, 79);
            cpu_reads(slot->mem.vaddr, 3000, 79);
            NEED(cma_shared_cpu_end(shared, BIDI) == 0);
            cpu_reads(slot->mem.vaddr, 3000, 79);
        }
        NEED(cma_shared_cpu_end(shared, FROM) == 0);
    }
    if (below(3) == 0) {
        NEED(cma_shared_cpu_begin(shared, TO) == 0);
        cpu_write(slot->mem.vaddr, 3000, 78);
        NEED(cma_shared_cpu_end(shared, TO) == 0);
        device_reads(slot, slot->u.share.to, 3000, 78);
    }
    if (below(10) == 0) {
        NEED(cma_shared_unmap(&slot->u.share.writer) == 0);
        NEED(cma_shared_unmap(&slot->u.share.reader) == 0);
        NEED(cma_shared_detach(&slot->u.share.writer) == 0);
        NEED(cma_shared_detach(&slot->u.share.reader) == 0);
        NEED(cma_shared_put(shared) == 0);
        slot->state = 0;
    }
}

/* A neighbour's registers. */
static void turn_resource(struct slot *slot)
{
    slot->dev = devs[0];
    if (slot->state == 0) {
        NEED(cma_dma_map_resource(cma_of(slot), 0x1000, 256, TO, &slot->daddr) == 0);
        slot->state = 1;
    } else {
        NEED(cma_dma_unmap_resource(cma_of(slot), slot->daddr, 256, TO) == 0);
        slot->state = 0;
    }
}

static const struct {
    const char *name;
    void (*turn)(struct slot *slot);
} styles[] = {{"send", turn_send},
              {"receive", turn_receive},
              {"send again", turn_send_again},
              {"receive again", turn_receive_again},
              {"both ways", turn_both_ways},
              {"descriptors", turn_descriptors},
              {"list", turn_list},
              {"coherent", turn_coherent},
              {"pool", turn_pool},
              {"cached pool", turn_cached_pool},
              {"contiguous", turn_contiguous},
              {"shared", turn_shared},
              {"resource", turn_resource}};

#define NSTYLES (sizeof(styles) / sizeof(styles[0]))

/* --- the run ----------------------------------------------------------------------------- */

static void make(uint64_t seed)
{
    struct cma_dma_pool_config config = {
        .name = "commands", .item_nbytes = 48, .align_nbytes = 64, .nitems_max = 256};
    struct cma_dma_pool_config answers = {.name = "answers",
                                          .item_nbytes = 100,
                                          .nitems_max = 256,
                                          .flags = CMA_DMA_POOL_CACHED,
                                          .direction = BIDI};

    board_create(NSLOTS * 20, 0, 0);
    board.loud = true;
    random_state = seed;
    devs[0] = &board.nic;
    devs[1] = &board.cam;
    devs[2] = &board.dma;
    devs[3] = &board.old;
    for (uint32_t i = 0; i < 3; i++) {
        uint64_t nbytes = cma_dma_pool_size(&devs[i]->cma, &config);

        pool_storage[i] = aligned_alloc(64, (nbytes + 63) / 64 * 64);
        NEED(cma_dma_pool_init(&pools[i], &devs[i]->cma, &config, pool_storage[i], nbytes) == 0);
        NEED(cma_dma_pool_lane_init(&lanes[i], &pools[i]) == 0);
        nbytes = cma_dma_pool_size(&devs[i]->cma, &answers);
        pool_storage[3 + i] = aligned_alloc(64, (nbytes + 63) / 64 * 64);
        NEED(cma_dma_pool_init(&cached[i], &devs[i]->cma, &answers, pool_storage[3 + i], nbytes) ==
             0);
    }
    for (uint32_t i = 0; i < NSLOTS; i++) {
        slots[i].turn = styles[i % NSTYLES].turn;
        slots[i].name = styles[i % NSTYLES].name;
        slots[i].mem = mem_get(MEM_NPAGES);
    }
}

int main(int argc, char **argv)
{
    uint64_t ops = 20000, seed = 1, turns = 0;
    uint32_t reports;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--ops") == 0)
            ops = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 0);
        else
            return 2;
    }
    make(seed);
    for (; transfers < ops; turns++) {
        struct slot *slot = &slots[below(NSLOTS)];

        style_name = slot->name;
        slot->turn(slot);
        if (cma_misuse_count(&board.misuse, CMA_MISUSE_NONE) != 0)
            fprintf(stderr, "told of a driver that is right: %s\n", style_name);
        NEED(cma_misuse_count(&board.misuse, CMA_MISUSE_NONE) == 0);
    }
    reports = cma_misuse_count(&board.misuse, CMA_MISUSE_NONE);
    printf("seed %llu: %llu transfers in %llu turns, %u reports, %u mappings unseen\n",
           (unsigned long long)seed, (unsigned long long)transfers, (unsigned long long)turns,
           reports, cma_misuse_unseen(&board.misuse));
    NEED(cma_misuse_unseen(&board.misuse) == 0);
    for (uint32_t i = 0; i < 6; i++)
        free(pool_storage[i]);
    board_destroy();
    return reports == 0 ? 0 : 1;
}
