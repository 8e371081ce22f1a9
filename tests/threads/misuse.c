/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * misuse.c - drivers on several threads, and one checker
 *
 *     misuse [--ops N] [--seed S]
 *
 * Four threads send and receive on buffers of their own, each with two devices, and are right but
 * for one in a hundred times: then they read too early, or unmap twice. The checker must report
 * exactly as many of both as there were, whatever the order, and the race detector nothing.
 */
#include "../support/driver_board.h"

#define NTHREADS 4u

struct worker {
    uint64_t random, ops;
    uint32_t early, twice;
    struct cma_device *cma[2];
    struct simdev sim[2]; /* a machine each */
    struct mem mem;
};

static struct worker workers[NTHREADS];

static uint64_t below(struct worker *worker, uint64_t n)
{
    uint64_t x = worker->random += UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    return (x ^ (x >> 31)) % n;
}

static void worker_receive(struct worker *worker, uint32_t which, uint64_t nbytes)
{
    /* What is bounced for one may be another's a moment later: a second unmap would end that. */
    bool early = below(worker, 100) == 0;
    bool twice = worker->cma[which] != &board.old.cma && below(worker, 100) == 0;
    struct cma_device *device = worker->cma[which];
    struct simdev *sim = &worker->sim[which];
    uint8_t bytes[1024] = {0};
    cma_daddr_t daddr;

    board_need(cma_dma_map(device, worker->mem.paddr, nbytes, CMA_FROM_DEVICE, 0, &daddr, NULL) ==
               0);
    board_need(simdev_write(sim, daddr, bytes, nbytes));
    if (early)
        drv_read(board.sim, worker->mem.vaddr, bytes, nbytes);
    else if (below(worker, 2) == 0)
        board_need(cma_dma_sync_for_cpu(device, daddr, nbytes, CMA_FROM_DEVICE) == 0);
    board_need(cma_dma_unmap(device, daddr, nbytes, CMA_FROM_DEVICE, 0) == 0);
    drv_read(board.sim, worker->mem.vaddr, bytes, nbytes);
    if (twice)
        (void)cma_dma_unmap(device, daddr, nbytes, CMA_FROM_DEVICE, 0);
    worker->early += early;
    worker->twice += twice;
}

static void worker_send(struct worker *worker, uint32_t which, uint64_t nbytes)
{
    struct cma_device *device = worker->cma[which];
    struct simdev *sim = &worker->sim[which];
    uint8_t bytes[1024] = {0};
    cma_daddr_t daddr;

    drv_write(board.sim, worker->mem.vaddr, bytes, nbytes);
    board_need(cma_dma_map(device, worker->mem.paddr, nbytes, CMA_TO_DEVICE, 0, &daddr, NULL) == 0);
    board_need(simdev_read(sim, daddr, bytes, nbytes));
    board_need(cma_dma_unmap(device, daddr, nbytes, CMA_TO_DEVICE, 0) == 0);
}

static void worker_run(void *arg)
{
    struct worker *worker = arg;

    for (uint64_t op = 0; op < worker->ops; op++) {
        uint32_t which = (uint32_t)below(worker, 2);
        uint64_t nbytes = 64 * (1 + below(worker, 16));

        if (below(worker, 2) == 0)
            worker_receive(worker, which, nbytes);
        else
            worker_send(worker, which, nbytes);
    }
}

int main(int argc, char **argv)
{
    uint64_t ops = 20000, seed = 1;
    uint32_t early = 0, twice = 0, told_early, told_twice;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--ops") == 0)
            ops = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 0);
        else
            return 2;
    }
    board_create_on(SIM_THREADS, 256, 0, 0);
    board.quiet = true;
    for (uint32_t i = 0; i < NTHREADS; i++) {
        struct worker *worker = &workers[i];

        worker->random = seed * 100 + i;
        worker->ops = ops / NTHREADS / 4;
        worker->mem = mem_get(1);
        worker->cma[0] = i % 2 == 0 ? &board.nic.cma : &board.old.cma;
        worker->sim[0] = i % 2 == 0 ? board.nic.sim : board.old.sim;
        worker->cma[1] = &board.dma.cma;
        worker->sim[1] = board.dma.sim;
        sim_spawn(board.sim, "driver", worker_run, worker);
    }
    sim_run(board.sim);
    for (uint32_t i = 0; i < NTHREADS; i++) {
        early += workers[i].early;
        twice += workers[i].twice;
    }
    told_early = cma_misuse_count(&board.misuse, CMA_MISUSE_CPU_READS);
    told_twice = cma_misuse_count(&board.misuse, CMA_MISUSE_TWICE);
    printf("seed %llu: %u of %u early reads told, %u of %u second unmaps, %u reports in all\n",
           (unsigned long long)seed, told_early, early, told_twice, twice,
           cma_misuse_count(&board.misuse, CMA_MISUSE_NONE));
    board_need(told_early == early && told_twice == twice);
    board_need(cma_misuse_count(&board.misuse, CMA_MISUSE_NONE) == early + twice);
    board_need(early != 0 && twice != 0);
    board_destroy();
    return 0;
}
