/* SPDX-License-Identifier: BSD-2-Clause */
/* boot.c - from QEMU's tree to a running libcma */
#include "image.h"

#include <libfdt.h>
#include <string.h>

#define MAX_RANGES 32u
#define BLOCK UINT64_C(0x200000)

static struct cma_range ranges[2][MAX_RANGES];
static _Alignas(8) uint8_t tree_storage[65536];
static char mute_name[16];

static uint64_t be32(const uint8_t *bytes)
{
    return (uint64_t)bytes[0] << 24 | (uint64_t)bytes[1] << 16 | (uint64_t)bytes[2] << 8 | bytes[3];
}

static void reserve(struct board *board, const char *name, cma_paddr_t first, uint64_t nbytes)
{
    struct cma_range range = {
        .base = first & ~(uint64_t)(BARE_PAGE - 1), .kind = CMA_RANGE_RESERVED, .name = name};

    range.nbytes = ((first + nbytes + BARE_PAGE - 1) & ~(uint64_t)(BARE_PAGE - 1)) - range.base;
    if (cma_map_reserve(&board->map, &range, NULL) != CMA_OK)
        bare_die(name, first);
}

/* The word behind `name`, NULL if it is not there. */
static const char *option(const char *cmdline, const char *name)
{
    size_t length = strlen(name);

    for (const char *at = cmdline; *at; at++)
        if ((at == cmdline || at[-1] == ' ') && memcmp(at, name, length) == 0)
            return at + length;
    return NULL;
}

static uint64_t option_number(const char *cmdline, const char *name, uint64_t otherwise)
{
    const char *text = option(cmdline, name);
    uint64_t value;
    size_t at = 0;

    if (!text)
        return otherwise;
    if (cma_boot_number(text, &at, &value) != CMA_OK)
        bare_die(name, at);
    return value;
}

static void boot_options(struct board *board, const char *cmdline)
{
    const char *mute = option(cmdline, "mute=");
    uint32_t n = 0;

    board->options.mask = option_number(cmdline, "edu.mask=", UINT64_MAX);
    board->options.rounds = option_number(cmdline, "rounds=", 1000);
    board->options.suite = option(cmdline, "suite") != NULL;
    while (mute && n < sizeof(mute_name) - 1 && mute[n] && mute[n] != ' ') {
        mute_name[n] = mute[n];
        n++;
    }
    board->options.mute = mute_name;
}

static void boot_find_pci(struct board *board, const void *dtb)
{
    int length = 0, node = fdt_node_offset_by_compatible(dtb, -1, "pci-host-ecam-generic");
    const uint8_t *reg = node < 0 ? NULL : fdt_getprop(dtb, node, "reg", &length);

    if (!reg || length < 16)
        bare_die("no PCI bus in the tree", 0);
    board->ecam = be32(reg) << 32 | be32(reg + 4);
    board->ecam_nbytes = be32(reg + 8) << 32 | be32(reg + 12);
}

static const char *boot_cmdline(const void *dtb)
{
    int node = fdt_path_offset(dtb, "/chosen");
    const char *text = node < 0 ? NULL : fdt_getprop(dtb, node, "bootargs", NULL);

    return text ? text : "";
}

static void boot_read(struct board *board, const void *dtb, uint64_t dtb_nbytes,
                      const char *cmdline)
{
    struct cma_fdt fdt;
    struct cma_fdt_error error = {0};
    struct cma_boot_rules rules;
    struct cma_boot_args args;
    uint64_t nbytes;

    if (cma_fdt_size(dtb, dtb_nbytes, &nbytes, &error) != CMA_OK)
        bare_die(error.what, error.at);
    if (cma_fdt_init(&fdt, dtb, dtb_nbytes, tree_storage, sizeof(tree_storage)) != CMA_OK)
        bare_die("storage for the tree", nbytes);
    if (cma_boot_rules_init(&rules, CMA_ARCH_ARM64, 12) != CMA_OK ||
        cma_boot_args_parse(&args, cmdline, NULL) != CMA_OK ||
        cma_map_init(&board->map, ranges[0], MAX_RANGES, ranges[1], MAX_RANGES) != CMA_OK ||
        cma_fdt_memory(&fdt, &rules, &board->map) != CMA_OK)
        bare_die("memory of the tree", board->map.nmemory);
    cma_fdt_limits(&fdt, &rules);
    reserve(board, "image", (uintptr_t)bare_image_first,
            (uint64_t)(bare_image_end - bare_image_first));
    reserve(board, "device tree", (uintptr_t)dtb, dtb_nbytes);
    if (cma_fdt_reserve(&fdt, &rules, &args, 0, &board->map) != CMA_OK || !fdt.default_area.made)
        bare_die("no area: give cma=", fdt.problems.count);
    bare_printf("tree: %u nodes, %s; area %u KiB at %x; %u problems\n", (uint64_t)fdt.nnodes,
                cma_arch_name(fdt.arch), fdt.default_area.nbytes >> 10, fdt.default_area.base,
                (uint64_t)fdt.problems.count);
}

void boot_board(struct board *board, const void *dtb)
{
    uint64_t dtb_nbytes = dtb ? be32((const uint8_t *)dtb + 4) : 0;
    const struct cma_range *memory;

    if (!dtb)
        bare_die("no device tree", 0);
    const char *cmdline = boot_cmdline(dtb);
    boot_options(board, cmdline);
    boot_read(board, dtb, dtb_nbytes, cmdline);
    boot_find_pci(board, dtb);
    for (uint32_t i = 0; cma_map_reserved(&board->map, i); i++)
        if (cma_map_reserved(&board->map, i)->kind == CMA_RANGE_AREA)
            board->area = *cma_map_reserved(&board->map, i);
    memory = cma_map_memory(&board->map, 0);
    mmu_keep_linear(memory->base, memory->base + (memory->nbytes - 1));
    if (cma_map_steal(&board->map, BLOCK, BLOCK, 0, CMA_PADDR_MAX, "suite", &board->stolen) !=
        CMA_OK)
        bare_die("no memory to steal", BLOCK);
    mmu_unmap_linear(board->stolen, BLOCK);
    mmu_split_linear(board->area.base, board->area.nbytes);
}

void boot_system(const struct board *board, const struct cma_port *port, struct cma_system *system)
{
    static struct cma_map map;
    /* Each claim is to meet the task's pages: an index would find the windows without any. */
    struct cma_system_config config = {.port = port, .flags = CMA_SYSTEM_NO_INDEX};
    uint64_t nbytes;
    cma_paddr_t base;

    map = board->map;
    nbytes = cma_system_size(&map, &config);
    if (!nbytes || cma_map_find(&map, nbytes, BARE_PAGE, 0, CMA_PADDR_MAX, false, &base) != CMA_OK)
        bare_die("no memory for the tables", nbytes);
    struct cma_range range = {.base = base,
                              .nbytes = (nbytes + BARE_PAGE - 1) & ~(uint64_t)(BARE_PAGE - 1),
                              .kind = CMA_RANGE_RESERVED,
                              .name = "tables"};
    if (cma_map_reserve(&map, &range, NULL) != CMA_OK ||
        cma_system_init(system, &map, &config, (void *)(uintptr_t)base, nbytes) != CMA_OK)
        bare_die("libcma does not start", base);
    bare_printf("libcma %s: %u KiB of tables, %u areas\n", CMA_VERSION_STRING, nbytes >> 10,
                (uint64_t)system->nareas);
}
