/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fdt.c - reads a flattened device tree: checks, nodes, memory
 *
 * A flattened tree is a stream: finding a node's parent means starting from the root again. So the
 * tree is walked once, top down, with a stack of at most CMA_FDT_MAX_DEPTH open nodes, and each
 * leaves a small record (offset, parent, phandle, cells, what its status and buses say). Everything
 * later works on these records, in which parents stand before their children.
 *
 *     check (libfdt) -> count -> storage of the caller -> records -> buses -> regions -> devices
 *
 * What a count can't know exactly is bounded from above, so storage never runs out half way.
 */
#include "fdt.h"

#include "../base/range.h"
#include "problem.h"

#include "../base/mem.h"

#define FDT_PROBLEMS_SPARE 32
#define FDT_MAX_CELLS 4

/* ---- small helpers ------------------------------------------------------------------------- */

const void *cma__fdt_property(const struct cma_fdt *fdt, uint32_t offset, const char *name,
                              uint32_t *nbytes)
{
    int length = 0;
    const void *bytes = fdt_getprop(fdt->dtb, (int)offset, name, &length);

    *nbytes = bytes && length > 0 ? (uint32_t)length : 0;
    return bytes;
}

uint64_t cma__fdt_cells(const void *bytes, uint32_t ncells)
{
    const uint8_t *byte = bytes;
    uint64_t value = 0;

    for (uint32_t i = 0; i < ncells * 4; i++) {
        value = value << 8 | byte[i];
    }
    return value;
}

const char *cma__fdt_name(const struct cma_fdt *fdt, uint32_t offset)
{
    const char *name = fdt_get_name(fdt->dtb, (int)offset, NULL);

    return name ? name : "";
}

bool cma__fdt_is_named(const char *full, const char *name)
{
    while (*name && *full == *name) {
        full++;
        name++;
    }
    return *name == 0 && (*full == 0 || *full == '@');
}

int cma__fdt_next_own(const void *dtb, uint32_t offset, int at, const char **name)
{
    static const char ours[] = FDT_OURS;

    at = at == 0 ? fdt_first_property_offset(dtb, (int)offset) : fdt_next_property_offset(dtb, at);
    for (; at >= 0; at = fdt_next_property_offset(dtb, at)) {
        size_t i = 0;

        if (!fdt_getprop_by_offset(dtb, at, name, NULL)) {
            continue;
        }
        while (ours[i] && (*name)[i] == ours[i]) {
            i++;
        }
        if (!ours[i]) {
            break;
        }
    }
    return at;
}

struct cma_problem *cma__fdt_problem(struct cma_fdt *fdt, struct cma_problem *spare, uint32_t node,
                                     const char *property, enum cma_problem_kind kind)
{
    return cma__problem_add(&fdt->problems, spare, node, property, kind);
}

static bool fdt_has(const struct cma_fdt *fdt, uint32_t offset, const char *name)
{
    uint32_t nbytes;

    return cma__fdt_property(fdt, offset, name, &nbytes) != NULL;
}

/* True if the property is a list of strings with `string` in it. */
static bool fdt_has_string(const struct cma_fdt *fdt, uint32_t offset, const char *property,
                           const char *string)
{
    return fdt_stringlist_search(fdt->dtb, (int)offset, property, string) >= 0;
}

/* The value of a property that counts cells, the maximum when it is not one number. */
static bool fdt_get_cells(const struct cma_fdt *fdt, uint32_t offset, const char *name,
                          uint64_t *value)
{
    uint32_t nbytes;
    const void *bytes = cma__fdt_property(fdt, offset, name, &nbytes);

    *value = bytes && nbytes == 4 ? cma__fdt_cells(bytes, 1) : UINT64_MAX;
    return bytes != NULL;
}

/* ---- checking: what is wrong, and where ---------------------------------------------------- */

static int fdt_fail(struct cma_fdt_error *error, int code, const char *what, uint64_t at,
                    uint32_t node)
{
    if (error) {
        error->what = what;
        error->at = at;
        error->node = node;
    }
    return code;
}

static int fdt_check_head(const void *dtb, uint64_t nbytes, struct cma_fdt_error *error)
{
    if (((uintptr_t)dtb & 7) != 0) {
        return fdt_fail(error, CMA_EINVAL, "the tree is not at a multiple of 8", 0, CMA_NODE_NONE);
    }
    if (nbytes < sizeof(struct fdt_header)) {
        return fdt_fail(error, CMA_EOVERFLOW, "it ends within the header", nbytes, CMA_NODE_NONE);
    }
    switch (fdt_check_header(dtb)) {
    case 0: break;
    case -FDT_ERR_BADMAGIC:
        return fdt_fail(error, CMA_EINVAL, "no device tree: the magic number is wrong", 0,
                        CMA_NODE_NONE);
    case -FDT_ERR_BADVERSION:
        return fdt_fail(error, CMA_EINVAL, "the header has an unknown version", 20, CMA_NODE_NONE);
    case -FDT_ERR_TRUNCATED:
        return fdt_fail(error, CMA_EINVAL, "the header's sizes are wrong", 4, CMA_NODE_NONE);
    default: return fdt_fail(error, CMA_EINVAL, "the header is damaged", 4, CMA_NODE_NONE);
    }
    if (fdt_totalsize(dtb) > nbytes) {
        return fdt_fail(error, CMA_EOVERFLOW, "it ends before the size that its header states",
                        nbytes, CMA_NODE_NONE);
    }
    return 0;
}

/* Walks the structure to the first thing that can't be read: the check itself only says that there
 * is one. Too deep counts, although libfdt can read it. */
static int fdt_check_nodes(const void *dtb, struct cma_fdt_error *error)
{
    uint32_t node = CMA_NODE_NONE;
    uint64_t start = fdt_off_dt_struct(dtb);
    int depth = 0, offset = 0, next = 0;

    for (;;) {
        uint32_t tag = fdt_next_tag(dtb, offset, &next);

        if (depth == 0 && tag == FDT_END && offset != 0 && next >= 0) {
            return 0;
        }
        if (depth == 0 && (tag == FDT_BEGIN_NODE) != (offset == 0)) {
            return fdt_fail(error, CMA_EINVAL, "there must be one root node, and nothing beside it",
                            start + (uint64_t)offset, node);
        }
        if (next < 0 || tag == FDT_END) {
            return fdt_fail(error, CMA_EINVAL, "the structure is damaged", start + (uint64_t)offset,
                            node);
        }
        if (tag == FDT_BEGIN_NODE) {
            node = (uint32_t)offset;
            if (++depth > CMA_FDT_MAX_DEPTH) {
                return fdt_fail(error, CMA_EINVAL, "nodes are nested too deeply",
                                start + (uint64_t)offset, node);
            }
        } else if (tag == FDT_END_NODE) {
            depth--;
        } else if (tag == FDT_PROP) {
            const char *name = NULL;

            if (!fdt_getprop_by_offset(dtb, offset, &name, NULL) || !name) {
                return fdt_fail(error, CMA_EINVAL, "a property can't be read",
                                start + (uint64_t)offset, node);
            }
        }
        offset = next;
    }
}

static int fdt_check(const void *dtb, uint64_t nbytes, struct cma_fdt_error *error)
{
    int code = fdt_check_head(dtb, nbytes, error);

    if (!code && fdt_num_mem_rsv(dtb) < 0) {
        code = fdt_fail(error, CMA_EINVAL, "the memory reservation block does not end",
                        fdt_off_mem_rsvmap(dtb), CMA_NODE_NONE);
    }
    if (!code) {
        code = fdt_check_nodes(dtb, error);
    }
    if (!code && fdt_check_full(dtb, (size_t)nbytes) != 0) {
        code = fdt_fail(error, CMA_EINVAL, "the structure is damaged", fdt_off_dt_struct(dtb),
                        CMA_NODE_NONE);
    }
    return code;
}

/* ---- counting: how much storage ------------------------------------------------------------ */

struct fdt_count {
    uint64_t nnodes, nregions, nentries, nbuses, nwindows, nrefs;
    uint64_t nodd; /* nodes that can only be a problem */
    uint64_t nown, nguarantees, nclasses;
};

/* The same for properties of libcma's own. */
static void fdt_count_own(const struct cma_fdt *fdt, uint32_t offset, struct fdt_count *count)
{
    const char *name;
    uint32_t nbytes;

    for (int at = 0; (at = cma__fdt_next_own(fdt->dtb, offset, at, &name)) >= 0;) {
        count->nown++;
    }
    (void)cma__fdt_property(fdt, offset, FDT_OURS "guarantee-blocks", &nbytes);
    count->nguarantees += nbytes / 4;
    (void)cma__fdt_property(fdt, offset, FDT_OURS "size-classes", &nbytes);
    count->nclasses += nbytes / 8;
}

/* Adds what the properties of one node can need at most: an address and a size are one cell of 4
 * bytes at least. */
static void fdt_count_node(const struct cma_fdt *fdt, uint32_t offset, struct fdt_count *count)
{
    const char *own;
    uint32_t nbytes;
    uint64_t value;

    count->nnodes++;
    if (cma__fdt_property(fdt, offset, "dma-ranges", &nbytes) && nbytes > 0) {
        uint32_t entries = nbytes / 12 + 1;

        count->nbuses++;
        count->nwindows += entries < CMA_FDT_MAX_WINDOWS ? entries : CMA_FDT_MAX_WINDOWS;
    }
    if (cma__fdt_property(fdt, offset, "memory-region", &nbytes)) {
        count->nrefs += nbytes / 4 + 1;
    }
    if (cma__fdt_next_own(fdt->dtb, offset, 0, &own) >= 0) {
        fdt_count_own(fdt, offset, count);
    }
    count->nodd += fdt_has(fdt, offset, "interconnects");
    count->nodd += fdt_get_cells(fdt, offset, "#address-cells", &value) && value > FDT_MAX_CELLS;
    count->nodd += fdt_get_cells(fdt, offset, "#size-cells", &value) && value > FDT_MAX_CELLS;
}

static void fdt_count_tree(const struct cma_fdt *fdt, struct fdt_count *count)
{
    int depth = 0;
    bool reserved = false;

    memset(count, 0, sizeof(*count));
    for (int offset = 0; offset >= 0 && depth >= 0;
         offset = fdt_next_node(fdt->dtb, offset, &depth)) {
        uint32_t at = (uint32_t)offset;
        uint32_t nbytes;

        fdt_count_node(fdt, at, count);
        if (depth == 1) {
            reserved = cma__fdt_is_named(cma__fdt_name(fdt, at), "reserved-memory");
        }
        if ((depth == 2 && reserved) || depth == 1) {
            count->nregions += depth == 2;
            if (cma__fdt_property(fdt, at, "reg", &nbytes)) {
                count->nentries += nbytes / 8 + 1;
            }
            if (cma__fdt_property(fdt, at, "linux,usable-memory", &nbytes)) {
                count->nentries += nbytes / 8 + 1;
            }
        }
    }
}

/* A piece of the storage, rounded to 8 bytes. */
static void *fdt_carve(uint8_t *storage, uint64_t *used, uint64_t count, uint64_t nbytes)
{
    void *piece = storage ? storage + *used : NULL;

    *used += (count * nbytes + 7) / 8 * 8;
    return piece;
}

/* Lays the arrays out, or only counts when `storage` is NULL. Returns the bytes they take. No sum
 * overflows: each count is less than the tree's 2^32 bytes. */
static uint64_t fdt_lay_out(struct cma_fdt *fdt, const struct fdt_count *count, void *storage)
{
    uint64_t nreserved = (uint64_t)fdt_num_mem_rsv(fdt->dtb);
    uint64_t nranges = 16 + 4 * (count->nentries + count->nregions + nreserved);
    uint64_t nproblems = FDT_PROBLEMS_SPARE + 4 * (count->nregions + count->nbuses) +
                         2 * (count->nentries + count->nwindows) + count->nrefs + count->nodd +
                         2 * (count->nown + count->nguarantees + count->nclasses);
    uint64_t used = 0;

    /* A window that goes through a bus of several can come out as several. */
    fdt->max_windows = (uint32_t)(4 * count->nwindows + 2 * CMA_FDT_MAX_WINDOWS);
    fdt->max_ranges = (uint32_t)nranges;
    fdt->max_buses = (uint32_t)count->nbuses;
    fdt->max_refs = (uint32_t)count->nrefs;
    fdt->max_regions = (uint32_t)count->nregions;
    fdt->max_devices = (uint32_t)count->nnodes;
    fdt->max_guarantees = (uint32_t)count->nguarantees;
    fdt->max_classes = (uint32_t)count->nclasses;
    fdt->problems.max = (uint32_t)nproblems;
    fdt->nodes = fdt_carve(storage, &used, count->nnodes, sizeof(*fdt->nodes));
    fdt->by_phandle = fdt_carve(storage, &used, count->nnodes, sizeof(*fdt->by_phandle));
    fdt->windows = fdt_carve(storage, &used, fdt->max_windows, sizeof(*fdt->windows));
    fdt->buses = fdt_carve(storage, &used, fdt->max_buses, sizeof(*fdt->buses));
    fdt->refs = fdt_carve(storage, &used, fdt->max_refs, sizeof(*fdt->refs));
    fdt->regions = fdt_carve(storage, &used, fdt->max_regions, sizeof(*fdt->regions));
    fdt->devices = fdt_carve(storage, &used, fdt->max_devices, sizeof(*fdt->devices));
    fdt->guarantees = fdt_carve(storage, &used, fdt->max_guarantees, sizeof(*fdt->guarantees));
    fdt->classes = fdt_carve(storage, &used, fdt->max_classes, sizeof(*fdt->classes));
    fdt->problems.list = fdt_carve(storage, &used, nproblems, sizeof(*fdt->problems.list));
    return used;
}

int cma_fdt_size(const void *dtb, uint64_t nbytes, uint64_t *storage_nbytes,
                 struct cma_fdt_error *error)
{
    struct cma_fdt fdt = {.dtb = dtb};
    struct fdt_count count;
    int code = fdt_check(dtb, nbytes, error);

    if (!code) {
        fdt_count_tree(&fdt, &count);
        *storage_nbytes = fdt_lay_out(&fdt, &count, NULL);
    }
    return code;
}

/* ---- records of nodes ---------------------------------------------------------------------- */

/* A count of cells; what is missing or can't be read comes from above, as in Linux. */
static uint8_t fdt_read_cells(struct cma_fdt *fdt, uint32_t offset, const char *name,
                              uint8_t inherited)
{
    struct cma_problem spare;
    uint64_t value;

    if (!fdt_get_cells(fdt, offset, name, &value)) {
        return inherited;
    }
    if (value > FDT_MAX_CELLS) {
        cma__fdt_problem(fdt, &spare, offset, name, CMA_PROBLEM_CELLS)->value = value;
        return inherited;
    }
    return (uint8_t)value;
}

static bool fdt_is_okay(const struct cma_fdt *fdt, uint32_t offset)
{
    uint32_t nbytes;
    const char *status = cma__fdt_property(fdt, offset, "status", &nbytes);

    return !status || (nbytes == 3 && memcmp(status, "ok", 3) == 0) ||
           (nbytes == 5 && memcmp(status, "okay", 5) == 0);
}

static uint8_t fdt_read_flags(const struct cma_fdt *fdt, uint32_t offset,
                              const struct cma_fdt_node *parent)
{
    const char *own;
    uint32_t flags = 0;
    uint32_t nbytes;

    if (fdt_is_okay(fdt, offset)) {
        flags |= FDT_NODE_OKAY;
        if (!parent || (parent->flags & FDT_NODE_ENABLED)) {
            flags |= FDT_NODE_ENABLED;
        }
    }
    if (cma__fdt_property(fdt, offset, "dma-ranges", &nbytes) && nbytes > 0) {
        flags |= FDT_NODE_DMA_RANGES;
    }
    if (fdt_has(fdt, offset, "dma-coherent")) {
        flags |= FDT_NODE_COHERENT;
    } else if (fdt_has(fdt, offset, "dma-noncoherent")) {
        flags |= FDT_NODE_NONCOHERENT;
    }
    if (fdt_has_string(fdt, offset, "interconnect-names", "dma-mem")) {
        flags |= FDT_NODE_DMA_MEM;
    }
    if (cma__fdt_next_own(fdt->dtb, offset, 0, &own) >= 0) {
        flags |= FDT_NODE_OURS;
    }
    /* An I2C device has an address too, but no way to memory: addresses there have no size. */
    if (!parent) {
        flags |= FDT_NODE_MAPPED;
    } else if ((parent->flags & FDT_NODE_MAPPED) &&
               (parent->parent == CMA_NODE_NONE || fdt_has(fdt, parent->offset, "ranges") ||
                fdt_has(fdt, parent->offset, "dma-ranges") ||
                (fdt_has(fdt, parent->offset, "#size-cells") && parent->nsize > 0))) {
        flags |= FDT_NODE_MAPPED;
    }
    return (uint8_t)flags;
}

static void fdt_read_node(struct cma_fdt *fdt, uint32_t offset, uint32_t parent, uint32_t depth)
{
    struct cma_fdt_node *node = &fdt->nodes[fdt->nnodes];
    const struct cma_fdt_node *above = parent == CMA_NODE_NONE ? NULL : &fdt->nodes[parent];

    memset(node, 0, sizeof(*node));
    node->offset = offset;
    node->parent = parent;
    node->depth = (uint8_t)depth;
    node->phandle = fdt_get_phandle(fdt->dtb, (int)offset);
    node->naddress = fdt_read_cells(fdt, offset, "#address-cells", above ? above->naddress : 1);
    node->nsize = fdt_read_cells(fdt, offset, "#size-cells", above ? above->nsize : 1);
    node->flags = fdt_read_flags(fdt, offset, above);
    if (depth == 1 && fdt->reserved_memory == CMA_NODE_NONE &&
        cma__fdt_is_named(cma__fdt_name(fdt, offset), "reserved-memory")) {
        fdt->reserved_memory = fdt->nnodes;
    }
    if (node->phandle != 0 && node->phandle != UINT32_MAX) {
        fdt->by_phandle[fdt->nphandles++] = fdt->nnodes;
    }
    fdt->nnodes++;
}

/* Order of the phandle index; of two nodes with one phandle, the first is found. */
static bool fdt_before(const struct cma_fdt *fdt, uint32_t a, uint32_t b)
{
    return fdt->nodes[a].phandle != fdt->nodes[b].phandle
               ? fdt->nodes[a].phandle < fdt->nodes[b].phandle
               : a < b;
}

static void fdt_sift(struct cma_fdt *fdt, uint32_t root, uint32_t count)
{
    uint32_t *heap = fdt->by_phandle;

    while (root < count / 2) {
        uint32_t child = 2 * root + 1;
        uint32_t swap;

        if (child + 1 < count && fdt_before(fdt, heap[child], heap[child + 1])) {
            child++;
        }
        if (!fdt_before(fdt, heap[root], heap[child])) {
            return;
        }
        swap = heap[root];
        heap[root] = heap[child];
        heap[child] = swap;
        root = child;
    }
}

/* Heap sort: no recursion, no memory, and no tree can make it slow. */
static void fdt_sort_phandles(struct cma_fdt *fdt)
{
    for (uint32_t i = fdt->nphandles / 2; i > 0; i--) {
        fdt_sift(fdt, i - 1, fdt->nphandles);
    }
    for (uint32_t count = fdt->nphandles; count > 1; count--) {
        uint32_t swap = fdt->by_phandle[0];

        fdt->by_phandle[0] = fdt->by_phandle[count - 1];
        fdt->by_phandle[count - 1] = swap;
        fdt_sift(fdt, 0, count - 1);
    }
}

uint32_t cma__fdt_by_phandle(const struct cma_fdt *fdt, uint32_t phandle)
{
    uint32_t low = 0;
    uint32_t high = fdt->nphandles;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (fdt->nodes[fdt->by_phandle[middle]].phandle < phandle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == fdt->nphandles || fdt->nodes[fdt->by_phandle[low]].phandle != phandle) {
        return CMA_NODE_NONE;
    }
    return fdt->by_phandle[low];
}

uint32_t cma__fdt_index(const struct cma_fdt *fdt, uint32_t offset)
{
    uint32_t low = 0;
    uint32_t high = fdt->nnodes;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (fdt->nodes[middle].offset < offset) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < fdt->nnodes && fdt->nodes[low].offset == offset ? low : CMA_NODE_NONE;
}

/* ---- the architecture ---------------------------------------------------------------------- */

/* True if the node has a compatible that begins with one of the prefixes. */
static bool fdt_compatible_begins(const struct cma_fdt *fdt, uint32_t offset,
                                  const char *const *prefixes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const char *string;
        int length = 0;

        for (int n = 0;
             (string = fdt_stringlist_get(fdt->dtb, (int)offset, "compatible", n, &length)) != NULL;
             n++) {
            const char *a = string;
            const char *b = prefixes[i];

            while (*b && *a == *b) {
                a++;
                b++;
            }
            if (*b == 0) {
                return true;
            }
        }
    }
    return false;
}

/* 64-bit ARM is what is left: its cores are too many to name, the 32-bit ones will be no more. */
static enum cma_arch fdt_cpu_arch(const struct cma_fdt *fdt, uint32_t offset)
{
    static const char *const riscv[] = {"riscv", "sifive,", "thead,", "andestech,"};
    static const char *const exact[] = {"arm,cortex-a5", "arm,cortex-a7", "arm,cortex-a8",
                                        "arm,cortex-a9"};
    static const char *const arm[] = {
        "arm,cortex-a12",  "arm,cortex-a15", "arm,cortex-a17",   "arm,arm",        "arm,cortex-m",
        "arm,cortex-r",    "arm,armv7",      "arm,sa",           "qcom,krait",     "qcom,scorpion",
        "marvell,pj4",     "marvell,sheeva", "marvell,feroceon", "marvell,mohawk", "marvell,xsc",
        "marvell,88",      "marvell,pxa",    "marvell,kirkwood", "intel,",         "faraday,",
        "brcm,brahma-b15", "ti,omap",        "nvidia,tegra20",   "nvidia,tegra30"};

    if (fdt_has(fdt, offset, "riscv,isa") ||
        fdt_compatible_begins(fdt, offset, riscv, sizeof(riscv) / sizeof(riscv[0]))) {
        return CMA_ARCH_RISCV64;
    }
    if (fdt_has_string(fdt, offset, "compatible", "arm,armv8")) {
        return CMA_ARCH_ARM64;
    }
    for (uint32_t i = 0; i < sizeof(exact) / sizeof(exact[0]); i++) {
        if (fdt_has_string(fdt, offset, "compatible", exact[i])) {
            return CMA_ARCH_ARM;
        }
    }
    if (fdt_compatible_begins(fdt, offset, arm, sizeof(arm) / sizeof(arm[0]))) {
        return CMA_ARCH_ARM;
    }
    return fdt_has(fdt, offset, "compatible") ? CMA_ARCH_ARM64 : CMA_ARCH_UNKNOWN;
}

static enum cma_arch fdt_guess_arch(const struct cma_fdt *fdt)
{
    enum cma_arch arch = CMA_ARCH_UNKNOWN;

    for (uint32_t i = 0; i < fdt->nnodes && arch == CMA_ARCH_UNKNOWN; i++) {
        const struct cma_fdt_node *node = &fdt->nodes[i];

        if (node->depth == 2 &&
            cma__fdt_is_named(cma__fdt_name(fdt, fdt->nodes[node->parent].offset), "cpus") &&
            cma__fdt_is_named(cma__fdt_name(fdt, node->offset), "cpu")) {
            arch = fdt_cpu_arch(fdt, node->offset);
        }
    }
    return arch;
}

int cma_fdt_init(struct cma_fdt *fdt, const void *dtb, uint64_t nbytes, void *storage,
                 uint64_t storage_nbytes)
{
    uint32_t open[CMA_FDT_MAX_DEPTH + 1];
    struct fdt_count count;
    int depth = 0;
    int length = 0;
    int error = fdt_check(dtb, nbytes, NULL);

    if (error) {
        return error;
    }
    memset(fdt, 0, sizeof(*fdt));
    fdt->dtb = dtb;
    fdt_count_tree(fdt, &count);
    if (fdt_lay_out(fdt, &count, NULL) > storage_nbytes) {
        return CMA_ENOMEM;
    }
    fdt_lay_out(fdt, &count, storage);
    fdt->reserved_memory = CMA_NODE_NONE;
    for (int offset = 0; offset >= 0 && depth >= 0; offset = fdt_next_node(dtb, offset, &depth)) {
        open[depth] = fdt->nnodes;
        fdt_read_node(fdt, (uint32_t)offset, depth > 0 ? open[depth - 1] : CMA_NODE_NONE,
                      (uint32_t)depth);
    }
    fdt_sort_phandles(fdt);
    fdt->model = fdt_stringlist_get(dtb, 0, "model", 0, &length);
    if (!fdt->model) {
        fdt->model = "";
    }
    fdt->arch = fdt_guess_arch(fdt);
    cma__fdt_read_buses(fdt);
    return 0;
}

/* ---- memory -------------------------------------------------------------------------------- */

/* Adds [base, last] without what is memory already: Linux merges, and so do we. */
static int fdt_add_memory(struct cma_map *map, cma_paddr_t base, cma_paddr_t last, bool *overlaps)
{
    struct cma_range there;
    int error = 0;

    for (;;) {
        cma_paddr_t end;

        error = cma_map_add_memory(map, base, last - base + 1, &there);
        if (error != CMA_EEXIST || there.kind != CMA_RANGE_MEMORY) {
            return error == CMA_EEXIST ? 0 : error;
        }
        *overlaps = true;
        end = there.base + (there.nbytes - 1);
        if (there.base > base) {
            error = cma_map_add_memory(map, base, there.base - base, NULL);
        }
        if (error != CMA_EEXIST && error != 0) {
            return error;
        }
        if (end >= last) {
            return 0;
        }
        base = end + 1;
    }
}

/* One entry of a memory node's reg. */
static int fdt_memory_entry(struct cma_fdt *fdt, uint32_t node, uint64_t page_nbytes,
                            struct cma_map *map, const uint64_t entry[2])
{
    struct cma_problem spare, *problem;
    uint64_t base, last;
    bool overlaps = false;
    int error;

    if (entry[1] == 0) {
        return 0; /* the boot loader fills it in */
    }
    if (!range_last(entry[0], entry[1], &last)) {
        problem = cma__fdt_problem(fdt, &spare, node, "reg", CMA_PROBLEM_OVERFLOW);
        problem->base = entry[0];
        problem->nbytes = entry[1];
        return 0;
    }
    if (!range_align_up(entry[0], page_nbytes, &base)) {
        return 0; /* not one whole page */
    }
    if (last != UINT64_MAX) {
        uint64_t end = range_align_down(last + 1, page_nbytes);

        if (end <= base) {
            return 0;
        }
        last = end - 1;
    }
    error = fdt_add_memory(map, base, last, &overlaps);
    if (overlaps) {
        problem = cma__fdt_problem(fdt, &spare, node, "reg", CMA_PROBLEM_OVERLAP);
        problem->base = entry[0];
        problem->nbytes = entry[1];
        problem->other = "memory";
    }
    return error;
}

static bool fdt_is_memory(struct cma_fdt *fdt, const struct cma_fdt_node *node, bool complain)
{
    struct cma_problem spare;

    if (node->depth != 1 || !(node->flags & FDT_NODE_OKAY)) {
        return false;
    }
    if (fdt_has_string(fdt, node->offset, "device_type", "memory")) {
        return true;
    }
    if (complain && cma__fdt_is_named(cma__fdt_name(fdt, node->offset), "memory") &&
        fdt_has(fdt, node->offset, "reg")) {
        cma__fdt_problem(fdt, &spare, node->offset, "device_type", CMA_PROBLEM_DEVICE_TYPE);
    }
    return false;
}

int cma_fdt_memory(struct cma_fdt *fdt, const struct cma_boot_rules *rules, struct cma_map *map)
{
    uint32_t na = fdt->nodes[0].naddress;
    uint32_t ns = fdt->nodes[0].nsize;
    uint32_t entry_nbytes = (na + ns) * 4;
    int error = 0;

    for (uint32_t i = 0; i < fdt->nnodes && !error; i++) {
        uint32_t offset = fdt->nodes[i].offset;
        const char *name = "linux,usable-memory";
        const uint8_t *reg;
        uint32_t nbytes, at;

        if (!fdt_is_memory(fdt, &fdt->nodes[i], true)) {
            continue;
        }
        reg = cma__fdt_property(fdt, offset, name, &nbytes);
        if (!reg) {
            name = "reg";
            reg = cma__fdt_property(fdt, offset, name, &nbytes);
        }
        if (reg && (na == 0 || ns == 0 || nbytes % entry_nbytes != 0)) {
            struct cma_problem spare;

            cma__fdt_problem(fdt, &spare, offset, name, CMA_PROBLEM_LENGTH)->value = nbytes;
        }
        for (at = 0; na > 0 && ns > 0 && nbytes - at >= entry_nbytes && !error;
             at += entry_nbytes) {
            uint64_t entry[2] = {cma__fdt_cells(reg + at, na),
                                 cma__fdt_cells(reg + at + (size_t)na * 4, ns)};

            error = fdt_memory_entry(fdt, offset, rules->page_nbytes, map, entry);
        }
    }
    return error;
}

/* The number behind the @, with an optional comma between its two halves. */
static bool fdt_unit_address(const char *name, uint64_t *address)
{
    uint64_t value = 0;
    uint32_t digits = 0;

    while (*name && *name != '@') {
        name++;
    }
    while (*name && *++name) {
        char c = *name;

        if (c == ',') {
            continue;
        }
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')) ||
            ++digits > 16) {
            return false;
        }
        value = value << 4 | (uint64_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    *address = value;
    return digits > 0;
}

int cma_fdt_memory_base(const struct cma_fdt *fdt, cma_paddr_t *base)
{
    uint32_t na = fdt->nodes[0].naddress;
    uint32_t ns = fdt->nodes[0].nsize;

    for (uint32_t i = 0; i < fdt->nnodes; i++) {
        const struct cma_fdt_node *node = &fdt->nodes[i];
        const char *name = cma__fdt_name(fdt, node->offset);
        const uint8_t *reg;
        uint32_t nbytes;

        if (node->depth != 1 || !(node->flags & FDT_NODE_OKAY) ||
            (!fdt_has_string(fdt, node->offset, "device_type", "memory") &&
             !cma__fdt_is_named(name, "memory"))) {
            continue;
        }
        reg = cma__fdt_property(fdt, node->offset, "reg", &nbytes);
        if (reg && na > 0 && nbytes >= (na + ns) * 4) {
            *base = cma__fdt_cells(reg, na);
            /* <0 0> is a place holder; the name may know better. */
            if (*base == 0 && cma__fdt_cells(reg + (size_t)na * 4, ns) == 0) {
                (void)fdt_unit_address(name, base);
            }
            return 0;
        }
        if (fdt_unit_address(name, base)) {
            return 0;
        }
    }
    return CMA_ENOENT;
}
