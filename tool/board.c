/* SPDX-License-Identifier: BSD-2-Clause */
/* board.c - see board.h */
#include "board.h"

#include <errno.h>
#include <inttypes.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BOARD_PAGE_SHIFT 12
#define BOARD_MAX_DTB (256u << 20)
#define BOARD_ARM_LINEAR                                                    \
    0x2f800000ull /* 760 MiB: Linux's, with its default split of 3 to 1 GiB \
                   */

const char board_options_help[] =
    "  --cmdline STR        the kernel's command line; cma=SIZE[@BASE[-LIMIT]] is read from it\n"
    "                       (the last one wins; cma=0 means: no default area at all)\n"
    "  --memory SIZE[@BASE] RAM instead of what the tree says; may be repeated. Without BASE it\n"
    "                       begins where the tree's memory node says (its reg, else its name).\n"
    "                       Needed where the tree leaves memory to the boot loader\n"
    "  --arch NAME          arm, arm64 or riscv64: whose rules count. Default: the cpu nodes'\n"
    "  --granule SIZE       what an area's base and size must be multiples of; 'page' for none.\n"
    "                       Default: Linux's with 4 KiB pages, 2 MiB, on arm 4 MiB\n"
    "  --builtin-cma SIZE   the default area of the kernel's own configuration. Default: none\n"
    "  --json               print JSON instead of text\n"
    "\n"
    "Sizes and addresses are decimal or 0x..., with K, M, G or T behind them.\n";

int board_number(const char *text, uint64_t *value)
{
    size_t at = 0;

    return cma_boot_number(text, &at, value) != 0 || text[at] != 0 ? -1 : 0;
}

static int board_bad(const char *option, const char *value, const char *why)
{
    fprintf(stderr, "cma: --%s %s: %s\n", option, value, why);
    return EXIT_USAGE;
}

static int board_option_memory(struct board_options *options, const char *value)
{
    struct board_memory *memory = &options->memory[options->nmemory];
    size_t at = 0;

    if (options->nmemory == BOARD_MAX_MEMORY) {
        return board_bad("memory", value, "too many of them");
    }
    memset(memory, 0, sizeof(*memory));
    if (cma_boot_number(value, &at, &memory->nbytes) != 0) {
        return board_bad("memory", value, "SIZE[@BASE] is wanted, like 512M or 2G@0x80000000");
    }
    if (value[at] == '@') {
        at++;
        memory->has_base = true;
        if (cma_boot_number(value, &at, &memory->base) != 0) {
            return board_bad("memory", value, "the base is not a number");
        }
    }
    if (value[at] != 0) {
        return board_bad("memory", value, "SIZE[@BASE] is wanted, like 512M or 2G@0x80000000");
    }
    if (memory->nbytes == 0 || (memory->nbytes | memory->base) & ((1u << BOARD_PAGE_SHIFT) - 1)) {
        return board_bad("memory", value, "at least one page, and whole pages of 4 KiB");
    }
    options->nmemory++;
    return 0;
}

int board_option(struct board_options *options, int option, const char *value)
{
    switch (option) {
    case BOARD_CMDLINE: options->cmdline = value; return 0;
    case BOARD_JSON: options->json = true; return 0;
    case BOARD_ARCH:
        for (int arch = CMA_ARCH_ARM; arch <= CMA_ARCH_RISCV64; arch++) {
            if (strcmp(value, cma_arch_name((enum cma_arch)arch)) == 0) {
                options->arch = (enum cma_arch)arch;
                return 0;
            }
        }
        return board_bad("arch", value, "arm, arm64 and riscv64 are known");
    case BOARD_MEMORY: return board_option_memory(options, value);
    case BOARD_GRANULE:
        if (strcmp(value, "page") == 0) {
            options->granule_nbytes = 1u << BOARD_PAGE_SHIFT;
            return 0;
        }
        if (board_number(value, &options->granule_nbytes) != 0 ||
            options->granule_nbytes < 1u << BOARD_PAGE_SHIFT ||
            (options->granule_nbytes & (options->granule_nbytes - 1)) != 0) {
            return board_bad("granule", value, "'page' or a power of two from 4K up is wanted");
        }
        return 0;
    case BOARD_BUILTIN_CMA:
        if (board_number(value, &options->builtin_nbytes) != 0) {
            return board_bad("builtin-cma", value, "not a size");
        }
        return 0;
    default: return EXIT_USAGE;
    }
}

/* ---- reading the file ---------------------------------------------------------------------- */

/* Reads all of a stream. Returns 0 or -1 with errno. */
static int board_read_all(struct board *board, FILE *in)
{
    size_t room = 0;

    for (;;) {
        size_t got;

        if (board->dtb_nbytes == room) {
            char *larger;

            room = room ? room * 2 : 65536;
            if (room > BOARD_MAX_DTB) {
                errno = EFBIG;
                return -1;
            }
            larger = realloc(board->dtb, room);
            if (!larger) {
                return -1;
            }
            board->dtb = larger;
        }
        got = fread(board->dtb + board->dtb_nbytes, 1, room - board->dtb_nbytes, in);
        board->dtb_nbytes += got;
        if (got == 0) {
            return ferror(in) ? -1 : 0;
        }
    }
}

static int board_read_dtb(struct board *board, const char *file)
{
    FILE *in = fopen(file, "rb");
    int error = -1;

    if (in) {
        error = board_read_all(board, in);
    }
    if (error) {
        fprintf(stderr, "cma: %s: %s\n", file, strerror(errno));
    }
    if (in) {
        fclose(in);
    }
    return error ? EXIT_USAGE : 0;
}

/* In the child: becomes dtc, with its output in the pipe. */
static void board_exec_dtc(const char *file, int output)
{
    char *directory = strdup(file);
    char *slash = directory ? strrchr(directory, '/') : NULL;
    const char *include = ".";

    if (slash) {
        slash[slash == directory] = 0;
        include = directory;
    }
    if (dup2(output, STDOUT_FILENO) >= 0) {
        execlp("dtc", "dtc", "-q", "-I", "dts", "-O", "dtb", "-i", include, "-o", "-", "--", file,
               (char *)NULL);
    }
    fprintf(stderr, "cma: dtc, which compiles .dts files, can't be run: %s\n", strerror(errno));
    _exit(127);
}

static int board_compile(struct board *board, const char *file)
{
    int ends[2];
    int status = 0;
    int error = -1;
    FILE *in;
    pid_t child;

    fflush(NULL);
    if (access(file, R_OK) != 0 || pipe(ends) != 0) {
        fprintf(stderr, "cma: %s: %s\n", file, strerror(errno));
        return EXIT_USAGE;
    }
    child = fork();
    if (child == 0) {
        close(ends[0]);
        board_exec_dtc(file, ends[1]);
    }
    close(ends[1]);
    in = child > 0 ? fdopen(ends[0], "rb") : NULL;
    if (in) {
        error = board_read_all(board, in);
        fclose(in);
    } else {
        close(ends[0]);
    }
    if (child < 0 || waitpid(child, &status, 0) < 0 || error) {
        fprintf(stderr, "cma: %s: can't be compiled: %s\n", file, strerror(errno));
        return EXIT_USAGE;
    }
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "cma: %s: dtc can't compile it\n", file);
        return EXIT_USAGE;
    }
    return 0;
}

static bool board_is_source(const char *file)
{
    size_t length = strlen(file);

    return length > 4 && strcmp(file + length - 4, ".dts") == 0;
}

/* ---- the tree ------------------------------------------------------------------------------ */

/* Says where a damaged tree ends to be readable. */
static void board_complain(struct board *board, const char *file, const struct cma_fdt_error *error)
{
    char path[1024];

    fprintf(stderr, "cma: %s: %s, at byte %" PRIu64, file, error->what, error->at);
    if (error->node != CMA_NODE_NONE) {
        if (fdt_get_path(board->dtb, (int)error->node, path, sizeof(path)) != 0) {
            snprintf(path, sizeof(path), "at byte %" PRIu32 " of the structure", error->node);
        }
        fprintf(stderr, ", in node %s", path);
    }
    fputc('\n', stderr);
}

static int board_read_tree(struct board *board, const char *file)
{
    struct cma_fdt_error error;
    uint64_t nbytes = 0;
    char *exact;

    /* A copy of just the size, so that a checker of memory sees each step beyond. */
    exact = malloc(board->dtb_nbytes ? board->dtb_nbytes : 1);
    if (exact && board->dtb) {
        memcpy(exact, board->dtb, board->dtb_nbytes);
        free(board->dtb);
        board->dtb = exact;
    } else {
        free(exact);
    }
    if (cma_fdt_size(board->dtb, board->dtb_nbytes, &nbytes, &error) != 0) {
        board_complain(board, file, &error);
        return EXIT_USAGE;
    }
    board->storage = malloc(nbytes);
    if (!board->storage ||
        cma_fdt_init(&board->fdt, board->dtb, board->dtb_nbytes, board->storage, nbytes) != 0) {
        fprintf(stderr, "cma: %s: no memory\n", file);
        return EXIT_USAGE;
    }
    return 0;
}

static int board_set_rules(struct board *board, const struct board_options *options)
{
    enum cma_arch arch = options->arch ? options->arch : board->fdt.arch;

    if (arch == CMA_ARCH_UNKNOWN) {
        /* Trees without cpu nodes are of old 32-bit boards; their addresses are one cell. */
        arch = board->fdt.nodes[0].naddress > 1 ? CMA_ARCH_ARM64 : CMA_ARCH_ARM;
        fprintf(stderr, "cma: %s: no cpu node tells the architecture: taken for %s (--arch)\n",
                options->file, cma_arch_name(arch));
    }
    board->page_shift = BOARD_PAGE_SHIFT;
    if (cma_boot_rules_init(&board->rules, arch, board->page_shift) != 0) {
        return EXIT_USAGE;
    }
    if (options->granule_nbytes) {
        board->rules.granule_nbytes = options->granule_nbytes;
    }
    cma_fdt_limits(&board->fdt, &board->rules);
    return 0;
}

static int board_set_args(struct board *board, const struct board_options *options)
{
    size_t where = 0;
    int error = cma_boot_args_parse(&board->args, options->cmdline, &where);

    if (error) {
        fprintf(stderr, "cma: --cmdline: %s at character %zu: '%s'\n",
                error == CMA_EOVERFLOW ? "a number is too large" : "cma= can't be read", where + 1,
                options->cmdline + where);
        fputs("cma: cma=SIZE[@BASE[-LIMIT]] is wanted, like cma=64M or cma=32M@0x40000000\n",
              stderr);
        return EXIT_USAGE;
    }
    return 0;
}

static int board_add_memory(struct board *board, const struct board_options *options)
{
    struct cma_range there = {0};

    for (unsigned int i = 0; i < options->nmemory; i++) {
        struct board_memory memory = options->memory[i];
        int error;

        if (!memory.has_base && cma_fdt_memory_base(&board->fdt, &memory.base) != 0) {
            fprintf(stderr,
                    "cma: %s: the tree does not say where memory begins: --memory SIZE@BASE\n",
                    options->file);
            return EXIT_USAGE;
        }
        error = cma_map_add_memory(&board->map, memory.base, memory.nbytes, &there);
        if (error) {
            fprintf(stderr, "cma: --memory: 0x%" PRIx64 " bytes at 0x%" PRIx64 " %s\n",
                    memory.nbytes, memory.base,
                    error == CMA_EEXIST ? "overlap memory that was given before"
                                        : "do not fit into 64-bit addresses");
            return EXIT_USAGE;
        }
    }
    if (options->nmemory == 0 && cma_fdt_memory(&board->fdt, &board->rules, &board->map) != 0) {
        fprintf(stderr, "cma: %s: too many ranges of memory\n", options->file);
        return EXIT_USAGE;
    }
    if (board->map.nmemory == 0) {
        fprintf(stderr,
                "cma: %s: the tree has no memory in it: the boot loader fills it in.\n"
                "cma: say how much the board has: --memory SIZE[@BASE]\n",
                options->file);
        return EXIT_USAGE;
    }
    return 0;
}

int board_load(struct board *board, const struct board_options *options)
{
    uint32_t nranges;
    int error;

    memset(board, 0, sizeof(*board));
    error = board_set_args(board, options);
    if (!error) {
        error = board_is_source(options->file) ? board_compile(board, options->file)
                                               : board_read_dtb(board, options->file);
    }
    if (!error) {
        error = board_read_tree(board, options->file);
    }
    if (!error) {
        error = board_set_rules(board, options);
    }
    if (error) {
        return error;
    }
    nranges = board->fdt.max_ranges + BOARD_MAX_MEMORY;
    board->ranges = calloc(2 * (size_t)nranges, sizeof(*board->ranges));
    if (!board->ranges ||
        cma_map_init(&board->map, board->ranges, nranges, board->ranges + nranges, nranges) != 0) {
        fprintf(stderr, "cma: %s: no memory\n", options->file);
        return EXIT_USAGE;
    }
    error = board_add_memory(board, options);
    if (error) {
        return error;
    }
    if (cma_fdt_reserve(&board->fdt, &board->rules, &board->args, options->builtin_nbytes,
                        &board->map) != 0) {
        fprintf(stderr, "cma: %s: too many reserved ranges\n", options->file);
        return EXIT_USAGE;
    }
    cma_fdt_devices(&board->fdt, &board->rules);
    cma_fdt_guarantees(&board->fdt, &board->rules);
    if (board->fdt.problems.lost > 0) {
        fprintf(stderr, "cma: %s: %" PRIu32 " more problems than there is room for\n",
                options->file, board->fdt.problems.lost);
    }
    return 0;
}

void board_free(struct board *board)
{
    free(board->dtb);
    free(board->storage);
    free(board->ranges);
    free(board->path);
    memset(board, 0, sizeof(*board));
}

/* ---- zones --------------------------------------------------------------------------------- */

/* Moves a zone's end below the area that it lies in, for an area stays in one piece; page
 * multiples. CMA_PADDR_MAX when nothing is left of it. */
static cma_paddr_t board_zone_end(const struct board *board, cma_paddr_t last)
{
    uint64_t page = 1ull << board->page_shift;
    const struct cma_range *memory = cma_map_memory(&board->map, 0);
    const struct cma_range *range;

    if (last == CMA_PADDR_MAX) {
        return last;
    }
    if ((last & (page - 1)) != page - 1) {
        last = (last & ~(page - 1)) - 1;
    }
    for (uint32_t i = 0; (range = cma_map_reserved(&board->map, i)) != NULL; i++) {
        if (range->kind == CMA_RANGE_AREA && last >= range->base &&
            last - range->base < range->nbytes - 1) {
            last = (range->base & ~(page - 1)) - 1;
        }
    }
    return last < memory->base ? CMA_PADDR_MAX : last;
}

static void board_add_zone(struct board_zones *zones, cma_paddr_t last)
{
    uint32_t at = 0;

    while (at < zones->nzones && zones->zones[at].last < last) {
        at++;
    }
    if (zones->nzones == CMA_ZONES_MAX || (at < zones->nzones && zones->zones[at].last == last)) {
        return;
    }
    for (uint32_t i = zones->nzones; i > at; i--) {
        zones->zones[i] = zones->zones[i - 1];
    }
    zones->zones[at] = (struct cma_zone){.last = last};
    zones->nzones++;
}

void board_zones(const struct board *board, struct board_zones *zones)
{
    const struct cma_range *memory, *first = cma_map_memory(&board->map, 0);
    cma_paddr_t top = 0;

    memset(zones, 0, sizeof(*zones));
    for (uint32_t i = 0; (memory = cma_map_memory(&board->map, i)) != NULL; i++) {
        top = memory->base + (memory->nbytes - 1);
    }
    board_add_zone(zones, CMA_PADDR_MAX);
    if (board->rules.arch == CMA_ARCH_ARM && top - first->base >= BOARD_ARM_LINEAR) {
        zones->linear_last = board_zone_end(board, first->base + (BOARD_ARM_LINEAR - 1));
        if (zones->linear_last == CMA_PADDR_MAX) {
            zones->linear_last = 0;
        } else {
            board_add_zone(zones, zones->linear_last);
        }
    }
    for (uint32_t i = 0; i < board->fdt.ndevices; i++) {
        const struct cma_fdt_device *device = &board->fdt.devices[i];

        if (device->limited && device->dma_last < top) {
            board_add_zone(zones, board_zone_end(board, device->dma_last));
        }
    }
    for (uint32_t i = 0; i < zones->nzones; i++) {
        if (zones->linear_last != 0 && zones->zones[i].last > zones->linear_last) {
            zones->zones[i].flags = CMA_ZONE_UNMAPPED;
        }
    }
}

/* ---- words --------------------------------------------------------------------------------- */

const char *board_path(struct board *board, uint32_t node)
{
    int error = -FDT_ERR_NOSPACE;

    if (node == CMA_NODE_NONE) {
        return "";
    }
    while (board->path_nbytes > 0 || error == -FDT_ERR_NOSPACE) {
        char *larger;

        if (board->path_nbytes > 0) {
            error = fdt_get_path(board->dtb, (int)node, board->path, (int)board->path_nbytes);
        }
        if (error != -FDT_ERR_NOSPACE) {
            break;
        }
        larger = realloc(board->path, board->path_nbytes * 2 + 256);
        if (!larger) {
            break;
        }
        board->path = larger;
        board->path_nbytes = board->path_nbytes * 2 + 256;
    }
    return error ? "?" : board->path;
}

const struct cma_fdt_region *board_region(const struct board *board, uint32_t node)
{
    for (uint32_t i = 0; i < board->fdt.nregions; i++) {
        if (board->fdt.regions[i].node == node) {
            return &board->fdt.regions[i];
        }
    }
    return NULL;
}

uint32_t board_quota(const struct board *board, const struct cma_fdt_device *device)
{
    uint64_t npages = device->quota_nbytes >> board->page_shift;

    return npages < UINT32_MAX ? (uint32_t)npages : UINT32_MAX;
}

const char *board_size(uint64_t nbytes, char text[16])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    unsigned int unit = 0;
    uint64_t scale = 1;

    while (unit < 6 && nbytes / scale >= 1024) {
        scale *= 1024;
        unit++;
    }
    if (nbytes % scale == 0) {
        snprintf(text, 16, "%" PRIu64 " %s", nbytes / scale, units[unit]);
    } else {
        snprintf(text, 16, "%.1f %s", (double)nbytes / (double)scale, units[unit]);
    }
    return text;
}
