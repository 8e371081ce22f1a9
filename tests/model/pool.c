/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pool.c - DMA pools against an oracle that knows nothing but a list
 *
 *     pool [--ops N] [--seed S]
 *
 * Pools of random lengths, alignments, boundaries, chunks and numbers of caches and lanes. Random
 * operations in random order, by threads that say they run on any processor: items are handed out,
 * found, freed rightly and in every wrong way; pools grow, are drained, fail to be destroyed and
 * are destroyed. The oracle keeps a list of live items, each filled with its own bytes, and the
 * addresses of all chunks' bytes that any of them has covered. It looks for overlaps by comparing
 * with each.
 */
#include "../support/lane_item.h"
#include "../support/pool_board.h"

#include <string.h>

#define POOL_LIVE 600
#define MODEL_LANES 3u

struct pool_model {
    struct pool_board *board;
    struct cma_dma_pool pool;
    struct cma_dma_pool_config config;
    void *storage;
    uint32_t ncpus, chunk_nitems;
    uint64_t random;
    struct {
        struct cma_dma_item item;
        uint32_t lane; /* that handed it out; MODEL_LANES: none */
        uint8_t byte;
    } live[POOL_LIVE];
    struct cma_dma_pool_lane lanes[MODEL_LANES];
    uint32_t nlanes;
    struct cma_dma_item old; /* freed before; number UINT32_MAX: none */
    uint32_t nlive, nitems, most;
    uint64_t allocs, refused, wrong, grown, destroyed;
};

static uint64_t model_random(struct pool_model *model)
{
    uint64_t z = (model->random += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint64_t model_below(struct pool_model *model, uint64_t n)
{
    return model_random(model) % n;
}

/* How many items a chunk holds, by trying each place. */
static uint32_t model_count(const struct cma_dma_pool_config *config, uint64_t chunk)
{
    uint64_t align = config->align_nbytes != 0 ? config->align_nbytes : 1;
    uint64_t boundary = config->boundary_nbytes;
    uint32_t n = 0;

    for (uint64_t at = 0; at + config->item_nbytes <= chunk;) {
        uint64_t last = at + config->item_nbytes - 1;

        if (boundary != 0 && boundary < chunk && at / boundary != last / boundary) {
            at = last / boundary * boundary;
            at = (at + align - 1) / align * align;
            continue;
        }
        n++;
        at = (at + config->item_nbytes + align - 1) / align * align;
    }
    return n;
}

static void model_begin(struct pool_model *model)
{
    struct cma_dma_pool_config *config = &model->config;
    uint64_t chunk;

    *config = (struct cma_dma_pool_config){.name = "model"};
    config->item_nbytes = 1 + model_below(model, UINT64_C(1) << (3 + model_below(model, 11)));
    if (model_below(model, 3) != 0) {
        config->align_nbytes = UINT64_C(1) << model_below(model, 14);
    }
    if (model_below(model, 2) != 0) {
        config->boundary_nbytes = 1;
        while (config->boundary_nbytes < config->item_nbytes) {
            config->boundary_nbytes *= 2;
        }
        config->boundary_nbytes <<= model_below(model, 8);
    }
    if (model_below(model, 2) != 0) {
        config->chunk_nbytes = config->item_nbytes * (1 + model_below(model, 9));
    }
    config->flags = model_below(model, 4) == 0 ? CMA_DMA_POOL_POISON : 0;
    chunk = config->chunk_nbytes != 0 ? config->chunk_nbytes : config->item_nbytes;
    chunk = (chunk + POOL_BOARD_PAGE - 1) / POOL_BOARD_PAGE * POOL_BOARD_PAGE;
    model->chunk_nitems = model_count(config, chunk);
    config->nitems_max =
        (uint32_t)(1 + model_below(model, 4) * model->chunk_nitems + model_below(model, 100));
    model->ncpus = (uint32_t)model_below(model, 4);
    model->storage = pool_board_pool(model->board, &model->pool, config, model->ncpus);
    model->nlive = model->nitems = model->most = 0;
    model->old.number = UINT32_MAX;
    model->nlanes = (uint32_t)model_below(model, MODEL_LANES + 1);
    for (uint32_t i = 0; i < model->nlanes; i++) {
        POOL_REQUIRE(cma_dma_pool_lane_init(&model->lanes[i], &model->pool) == 0, "lane");
    }
}

/* Items that lanes hold idle, which only they can have. */
static void model_drain(struct pool_model *model)
{
    (void)cma_dma_pool_drain(&model->pool);
    for (uint32_t i = 0; i < model->nlanes; i++) {
        (void)cma_dma_pool_lane_drain(&model->lanes[i]);
    }
}

static void model_fill(struct pool_model *model, uint32_t i)
{
    memset(model->live[i].item.vaddr, model->live[i].byte, model->config.item_nbytes);
}

static void model_hold(struct pool_model *model, uint32_t i)
{
    const uint8_t *bytes = model->live[i].item.vaddr;

    for (uint64_t b = 0; b < model->config.item_nbytes; b++) {
        POOL_REQUIRE(bytes[b] == model->live[i].byte, "somebody wrote into item %u", i);
    }
}

/* Is the place right, and nobody else's? */
static void model_place(struct pool_model *model, const struct cma_dma_item *item)
{
    uint64_t nbytes = model->config.item_nbytes, boundary = model->config.boundary_nbytes;

    POOL_REQUIRE(model->config.align_nbytes == 0 || item->daddr % model->config.align_nbytes == 0,
                 "alignment");
    POOL_REQUIRE(boundary == 0 || item->daddr / boundary == (item->daddr + nbytes - 1) / boundary,
                 "boundary");
    POOL_REQUIRE((uint8_t *)item->vaddr - model->board->bytes ==
                     (ptrdiff_t)(item->daddr + POOL_BOARD_OFFSET - POOL_BOARD_BASE),
                 "vaddr and daddr");
    for (uint32_t i = 0; i < model->nlive; i++) {
        uint64_t other = model->live[i].item.daddr;

        POOL_REQUIRE(item->daddr + nbytes <= other || other + nbytes <= item->daddr, "overlap");
    }
}

static uint32_t model_capacity(const struct pool_model *model)
{
    uint32_t nchunks = (model->config.nitems_max - 1) / model->chunk_nitems + 1;

    return nchunks * model->chunk_nitems;
}

static void model_alloc(struct pool_model *model)
{
    uint32_t flags = model_below(model, 4) == 0 ? CMA_DMA_POOL_ZERO : 0;
    struct cma_refusal refusal = {0};
    struct cma_dma_item item = {0};
    uint32_t lane = (uint32_t)model_below(model, model->nlanes + 1);
    int error, expected = 0;

    if (model->nlive == POOL_LIVE) {
        return;
    }
    if (lane == model->nlanes) {
        lane = MODEL_LANES;
    }
    if (model->nlanes != 0 &&
        model->nitems - model->nlive <= model->nlanes * CMA_DMA_POOL_LANE_SLOTS) {
        model_drain(model); /* nearly dry: what other lanes hold idle would be missing */
    }
    flags |= model_below(model, 20) == 0 ? CMA_DMA_POOL_GROW : 0;
    if (model->nlive == model->nitems) {
        expected = CMA_ENOMEM;
        if ((flags & CMA_DMA_POOL_GROW) != 0 && model->nitems < model_capacity(model)) {
            expected = 0;
            model->nitems += model->chunk_nitems;
        }
    }
    error = lane != MODEL_LANES ? lane_item_alloc(&model->lanes[lane], flags, &item, &refusal)
                                : cma_dma_pool_alloc(&model->pool, flags, &item, &refusal);
    POOL_REQUIRE(error == expected, "alloc: %s", cma_strerror(error));
    if (error != 0) {
        POOL_REQUIRE(refusal.code == error && refusal.reason == ((flags & CMA_DMA_POOL_GROW) != 0
                                                                     ? CMA_REASON_TOO_LARGE
                                                                     : CMA_REASON_NO_MEMORY),
                     "the refusal says something else");
        model->refused++;
        return;
    }
    model_place(model, &item);
    for (uint64_t b = 0; (flags & CMA_DMA_POOL_ZERO) != 0 && b < model->config.item_nbytes; b++) {
        POOL_REQUIRE(((uint8_t *)item.vaddr)[b] == 0, "not zeroed");
    }
    model->live[model->nlive].item = item;
    model->live[model->nlive].lane = lane;
    model->live[model->nlive].byte = (uint8_t)model_random(model);
    model_fill(model, model->nlive++);
    model->most = model->nlive > model->most ? model->nlive : model->most;
    model->allocs++;
}

static int model_give(struct pool_model *model, uint32_t lane, const struct cma_dma_item *item)
{
    return lane != MODEL_LANES ? lane_item_free(&model->lanes[lane], item)
                               : cma_dma_pool_free(&model->pool, item);
}

/* In one of the ways in which it must be refused; the item is live. */
static void model_free_wrongly(struct pool_model *model, uint32_t i)
{
    struct cma_dma_item wrong = model->live[i].item;
    uint32_t lane = model->live[i].lane;
    uint32_t way = (uint32_t)model_below(model, 8);
    int expected = CMA_EINVAL, error;

    if (lane != MODEL_LANES && way >= 2 && way <= 4) {
        return; /* tokens have no addresses */
    }
    switch (way) {
    case 7: /* rightly, but through another lane, or none */
        lane = lane == 0 || model->nlanes == 0 ? MODEL_LANES : lane - 1;
        lane = lane >= model->nlanes ? MODEL_LANES : lane;
        if (lane == model->live[i].lane) {
            return;
        }
        expected = CMA_EPERM;
        break;
    case 0: wrong.number ^= 1u << model_below(model, 32); break;
    case 1:
        wrong.stamp ^= 1u << model_below(model, 32);
        expected = CMA_EBADF;
        break;
    case 2: wrong.vaddr = (uint8_t *)wrong.vaddr + 1 + model_below(model, 5000); break;
    case 3:
        if (model->config.item_nbytes < 2) {
            return;
        }
        wrong.daddr += 1 + model_below(model, model->config.item_nbytes - 1);
        break;
    case 4:
        wrong.daddr = model_random(model) | UINT64_C(1) << 40;
        expected = CMA_ENOENT;
        break;
    case 5:
        if (model->old.number == UINT32_MAX) {
            return;
        }
        wrong = model->old;
        expected = CMA_EBADF;
        break;
    default: memset(&wrong, 0, sizeof(wrong)); expected = CMA_ENOENT;
    }
    error = model_give(model, lane, &wrong);
    if (lane != MODEL_LANES && (expected == CMA_EINVAL || expected == CMA_ENOENT)) {
        /* Another item's number, or none's. */
        expected = error == CMA_ENOENT ? CMA_ENOENT : CMA_EBADF;
    }
    POOL_REQUIRE(error == expected, "a wrong free: %s instead of %s", cma_strerror(error),
                 cma_strerror(expected));
    model->wrong++;
}

static void model_free(struct pool_model *model, uint32_t i)
{
    struct cma_dma_item found;
    uint64_t into = model_below(model, model->config.item_nbytes);
    int error;

    model_hold(model, i);
    error = cma_dma_pool_find(&model->pool, model->live[i].item.daddr + into, &found);
    POOL_REQUIRE(error == 0 && memcmp(&found, &model->live[i].item, sizeof(found)) == 0, "find");
    error = model_give(model, model->live[i].lane, &found);
    POOL_REQUIRE(error == 0, "free: %s", cma_strerror(error));
    model->old = found;
    model->live[i] = model->live[--model->nlive];
}

static void model_grow(struct pool_model *model)
{
    uint32_t nitems = (uint32_t)model_below(model, model_capacity(model) + 2);
    int error = cma_dma_pool_grow(&model->pool, nitems, NULL);

    if (nitems > model_capacity(model)) {
        POOL_REQUIRE(error == CMA_ENOMEM, "more than fits: %s", cma_strerror(error));
        return;
    }
    POOL_REQUIRE(error == 0, "grow: %s", cma_strerror(error));
    while (model->nitems < nitems) {
        model->nitems += model->chunk_nitems;
        model->grown++;
    }
}

/* What the pool says of itself is what the list says. */
static void model_check(struct pool_model *model)
{
    struct cma_dma_pool_stats stats;
    struct cma_dma_item item;
    uint32_t number = 0, n = 0;

    cma_dma_pool_stats(&model->pool, &stats);
    POOL_REQUIRE(stats.nitems == model->nitems && stats.live == model->nlive && stats.damaged == 0,
                 "%u items, %u live, %u damaged", stats.nitems, stats.live, stats.damaged);
    POOL_REQUIRE(stats.most_out >= model->most && stats.most_out <= model->nitems, "high water");
    POOL_REQUIRE(model->ncpus + model->nlanes != 0 ||
                     (stats.most_out == model->most && stats.cached == 0),
                 "high water without caches");
    while (cma_dma_pool_next(&model->pool, &number, &item) == 0) {
        uint32_t i = 0;

        while (i < model->nlive && memcmp(&item, &model->live[i].item, sizeof(item)) != 0) {
            i++;
        }
        POOL_REQUIRE(i < model->nlive, "a live item that nobody has");
        n++;
    }
    POOL_REQUIRE(n == model->nlive, "%u live items are listed", n);
}

static void model_destroy(struct pool_model *model, bool all)
{
    while (all && model->nlive != 0) {
        model_free(model, model->nlive - 1);
    }
    if (model->nlive != 0) {
        POOL_REQUIRE(cma_dma_pool_destroy(&model->pool) == CMA_EBUSY, "live items");
        model_check(model);
        return;
    }
    model_check(model);
    for (uint32_t i = 0; i < model->nlanes; i++) {
        POOL_REQUIRE(cma_dma_pool_lane_end(&model->lanes[i]) == 0, "end of a lane");
    }
    POOL_REQUIRE(cma_dma_pool_destroy(&model->pool) == 0, "destroy");
    POOL_REQUIRE(pool_board_claimed(model->board) == 0, "something was kept");
    model->nitems = 0;
    model->most = 0;
    model->old.number = UINT32_MAX;
    model->destroyed++;
    free(model->storage);
    model_begin(model);
}

int main(int argc, char **argv)
{
    static struct pool_board board;
    static struct pool_model model;
    uint64_t ops = 200000, seed = 1;
    uint32_t wanted = 0;

    for (int i = 1; i + 1 < argc; i += 2) {
        if (strcmp(argv[i], "--ops") == 0)
            ops = strtoull(argv[i + 1], NULL, 0);
        else if (strcmp(argv[i], "--seed") == 0)
            seed = strtoull(argv[i + 1], NULL, 0);
        else
            return 2;
    }
    pool_board_make(&board);
    model.board = &board;
    model.random = seed;
    model_begin(&model);
    for (uint64_t op = 0; op < ops; op++) {
        uint64_t dice = model_below(&model, 1000);

        pool_board_cpu = (uint32_t)model_below(&model, 5);
        if (op % 500 == 0)
            wanted = (uint32_t)model_below(&model, model_capacity(&model) + 2);
        if (dice < 3)
            model_destroy(&model, dice < 1);
        else if (dice < 8)
            model_drain(&model);
        else if (dice < 15)
            model_check(&model);
        else if (dice < 30)
            model_grow(&model);
        else if (dice < 150 && model.nlive != 0)
            model_free_wrongly(&model, (uint32_t)model_below(&model, model.nlive));
        else if (model.nlive == 0 || dice < (model.nlive < wanted ? 750u : 450u))
            model_alloc(&model);
        else
            model_free(&model, (uint32_t)model_below(&model, model.nlive));
    }
    model_destroy(&model, true);
    POOL_REQUIRE(cma_dma_pool_destroy(&model.pool) == 0, "an empty pool");
    free(model.storage);
    pool_board_end(&board);
    printf("%llu operations, seed %llu: %llu allocations, %llu refused, %llu wrong frees refused, "
           "%llu chunks ahead, %llu pools\n",
           (unsigned long long)ops, (unsigned long long)seed, (unsigned long long)model.allocs,
           (unsigned long long)model.refused, (unsigned long long)model.wrong,
           (unsigned long long)model.grown, (unsigned long long)model.destroyed);
    POOL_REQUIRE(ops < 10000 || (model.refused > 0 && model.grown > 0 && model.destroyed > 1),
                 "nothing happened");
    return 0;
}
