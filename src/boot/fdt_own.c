/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fdt_own.c - the properties that are libcma's own: guarantees, quotas, size classes
 *
 *     libcma,guarantee-blocks     how many blocks; with several kinds of them, one number each
 *     libcma,guarantee-size       ... and for each kind: bytes of a block,
 *     libcma,guarantee-align          alignment, boundary (of the device's address), pages that may
 *     libcma,guarantee-boundary       be copied for one, and the name of the group of devices that
 *     libcma,guarantee-max-moves      are never open together
 *     libcma,guarantee-group
 *     libcma,quota                bytes of areas that the device may have besides
 *     libcma,size-classes         of an area: pairs of the largest request and the part's size
 *
 * docs/BINDINGS.md is the manual. A kind that is malformed is left out, alone; a list that does not
 * fit the number of kinds leaves out all, for then it is not known what belongs together. Storage
 * was counted by the lengths of the lists, so there is always room.
 */
#include "fdt.h"

#include "../base/range.h"

#include "../base/mem.h"

#define OWN_BLOCKS FDT_OURS "guarantee-blocks"
#define OWN_SIZE FDT_OURS "guarantee-size"
#define OWN_ALIGN FDT_OURS "guarantee-align"
#define OWN_BOUNDARY FDT_OURS "guarantee-boundary"
#define OWN_MAX_MOVES FDT_OURS "guarantee-max-moves"
#define OWN_GROUP FDT_OURS "guarantee-group"
#define OWN_QUOTA FDT_OURS "quota"
#define OWN_CLASSES FDT_OURS "size-classes"

static bool own_same(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return *a == *b;
}

/* ---- names and places ---------------------------------------------------------------------- */

/* What the nodes that the properties stand in are. */
enum own_place { OWN_NOWHERE, OWN_DEVICE, OWN_AREA };

static enum cma_problem_kind own_judge(const char *name, enum own_place place, bool promises)
{
    static const char *const beside[] = {OWN_SIZE, OWN_ALIGN, OWN_BOUNDARY, OWN_MAX_MOVES,
                                         OWN_GROUP};

    for (size_t i = 0; i < sizeof(beside) / sizeof(beside[0]); i++) {
        if (own_same(name, beside[i])) {
            return place == OWN_NOWHERE ? CMA_PROBLEM_MISPLACED
                   : promises           ? CMA_PROBLEM_NONE
                                        : CMA_PROBLEM_WITHOUT;
        }
    }
    if (own_same(name, OWN_BLOCKS)) {
        return place == OWN_NOWHERE ? CMA_PROBLEM_MISPLACED : CMA_PROBLEM_NONE;
    }
    if (own_same(name, OWN_QUOTA)) {
        return place != OWN_DEVICE ? CMA_PROBLEM_MISPLACED : CMA_PROBLEM_NONE;
    }
    if (own_same(name, OWN_CLASSES)) {
        return place != OWN_AREA ? CMA_PROBLEM_MISPLACED : CMA_PROBLEM_NONE;
    }
    return CMA_PROBLEM_UNKNOWN;
}

/* A misspelt name would be a promise that nobody keeps. */
static void own_check_names(struct cma_fdt *fdt, uint32_t node, enum own_place place)
{
    uint32_t nbytes;
    bool promises = cma__fdt_property(fdt, node, OWN_BLOCKS, &nbytes) != NULL;
    const char *name;

    for (int at = 0; (at = cma__fdt_next_own(fdt->dtb, node, at, &name)) >= 0;) {
        enum cma_problem_kind kind = own_judge(name, place, promises);
        struct cma_problem spare;

        if (kind != CMA_PROBLEM_NONE) {
            cma__fdt_problem(fdt, &spare, node, name, kind)->other = OWN_BLOCKS;
        }
    }
}

static void own_check_nodes(struct cma_fdt *fdt)
{
    for (uint32_t i = 0; i < fdt->nnodes; i++) {
        const struct cma_fdt_node *node = &fdt->nodes[i];
        enum own_place place = OWN_DEVICE;

        if ((node->flags & (FDT_NODE_OURS | FDT_NODE_ENABLED)) !=
            (FDT_NODE_OURS | FDT_NODE_ENABLED)) {
            continue;
        }
        if (i == 0 || i == fdt->reserved_memory) {
            place = OWN_NOWHERE;
        } else if (node->region) {
            const struct cma_fdt_region *region = &fdt->regions[node->region - 1];

            if (region->state != CMA_FDT_MADE) {
                continue; /* why it is not there was said already */
            }
            place = region->kind == CMA_RANGE_AREA ? OWN_AREA : OWN_NOWHERE;
        }
        own_check_names(fdt, node->offset, place);
    }
}

/* ---- devices and their areas --------------------------------------------------------------- */

static void own_find_areas(struct cma_fdt *fdt)
{
    for (uint32_t i = 0; i < fdt->nregions; i++) {
        fdt->regions[i].ndevices = 0;
    }
    for (uint32_t i = 0; i < fdt->ndevices; i++) {
        struct cma_fdt_device *device = &fdt->devices[i];

        device->area = 0;
        for (uint32_t k = 0; k < device->nregions && device->area == 0; k++) {
            uint32_t index = cma__fdt_index(fdt, device->regions[k]);
            uint32_t number = index == CMA_NODE_NONE ? 0 : fdt->nodes[index].region;
            struct cma_fdt_region *region = &fdt->regions[number - 1];

            if (number == 0 || region->state != CMA_FDT_MADE || region->kind != CMA_RANGE_AREA) {
                continue;
            }
            device->area = number;
            if (region->ndevices++ == 0) {
                region->first_device = i;
            }
        }
    }
}

/* The area of a device's guarantees: index + 1 of its region, 0 for a default area that is no
 * node's. False: there is none. */
static bool own_area(const struct cma_fdt *fdt, const struct cma_fdt_device *device,
                     uint32_t *region)
{
    *region = device->area;
    for (uint32_t i = 0; *region == 0 && i < fdt->nregions; i++) {
        if (fdt->regions[i].state == CMA_FDT_MADE && fdt->regions[i].kind == CMA_RANGE_AREA &&
            (fdt->regions[i].flags & CMA_RANGE_DEFAULT)) {
            *region = i + 1;
        }
    }
    return *region != 0 || fdt->default_area.made;
}

static void own_read_quota(struct cma_fdt *fdt, const struct cma_boot_rules *rules,
                           struct cma_fdt_device *device)
{
    uint32_t nbytes;
    const void *bytes = cma__fdt_property(fdt, device->node, OWN_QUOTA, &nbytes);
    struct cma_problem spare;

    device->quota_nbytes = 0;
    if (!bytes) {
        return;
    }
    if (nbytes != 4 && nbytes != 8) {
        cma__fdt_problem(fdt, &spare, device->node, OWN_QUOTA, CMA_PROBLEM_LENGTH)->value = nbytes;
        return;
    }
    device->quota_nbytes = cma__fdt_cells(bytes, nbytes / 4);
    if (device->quota_nbytes == 0) {
        cma__fdt_problem(fdt, &spare, device->node, OWN_QUOTA, CMA_PROBLEM_NOTHING);
    } else if (!range_is_aligned(device->quota_nbytes, rules->page_nbytes)) {
        struct cma_problem *problem =
            cma__fdt_problem(fdt, &spare, device->node, OWN_QUOTA, CMA_PROBLEM_PAGES);

        problem->nbytes = device->quota_nbytes;
        problem->value = rules->page_nbytes;
        device->quota_nbytes = 0;
    }
}

/* ---- size classes -------------------------------------------------------------------------- */

/* What is wrong with a class, with its numbers in *problem. */
static enum cma_problem_kind own_judge_class(const struct cma_boot_rules *rules,
                                             const struct cma_fdt_class *class,
                                             uint64_t request_before, uint64_t left,
                                             struct cma_problem *problem)
{
    problem->nbytes = class->request_nbytes;
    problem->value = rules->page_nbytes;
    if (!range_is_aligned(class->request_nbytes, rules->page_nbytes)) {
        return CMA_PROBLEM_PAGES;
    }
    problem->nbytes = class->nbytes;
    if (!range_is_aligned(class->nbytes, rules->page_nbytes)) {
        return CMA_PROBLEM_PAGES;
    }
    problem->nbytes = class->request_nbytes;
    problem->value = class->nbytes;
    if (class->request_nbytes <= request_before || class->nbytes < class->request_nbytes) {
        return CMA_PROBLEM_CLASS;
    }
    problem->nbytes = class->nbytes;
    problem->value = left;
    return class->nbytes > left ? CMA_PROBLEM_TOO_LARGE : CMA_PROBLEM_NONE;
}

/* All classes of an area or none: half of them is another layout than the board's. */
static void own_read_classes(struct cma_fdt *fdt, const struct cma_boot_rules *rules,
                             struct cma_fdt_region *region)
{
    struct cma_fdt_class *classes = &fdt->classes[fdt->nclasses];
    uint64_t left = region->nbytes;
    uint64_t request = 0;
    struct cma_problem spare;
    uint32_t nbytes;
    const uint8_t *bytes = cma__fdt_property(fdt, region->node, OWN_CLASSES, &nbytes);

    region->classes = NULL;
    region->nclasses = 0;
    if (!bytes) {
        return;
    }
    if (nbytes == 0 || nbytes % 8 != 0) {
        cma__fdt_problem(fdt, &spare, region->node, OWN_CLASSES, CMA_PROBLEM_LENGTH)->value =
            nbytes;
        return;
    }
    for (uint32_t i = 0; i < nbytes / 8; i++) {
        struct cma_problem numbers = {0};
        struct cma_problem *problem;
        enum cma_problem_kind kind;

        classes[i].request_nbytes = cma__fdt_cells(bytes + (size_t)i * 8, 1);
        classes[i].nbytes = cma__fdt_cells(bytes + (size_t)i * 8 + 4, 1);
        kind = own_judge_class(rules, &classes[i], request, left, &numbers);
        if (kind != CMA_PROBLEM_NONE) {
            problem = cma__fdt_problem(fdt, &spare, region->node, OWN_CLASSES, kind);
            problem->nbytes = numbers.nbytes;
            problem->value = numbers.value;
            return;
        }
        request = classes[i].request_nbytes;
        left -= classes[i].nbytes;
    }
    region->classes = classes;
    region->nclasses = nbytes / 8;
    fdt->nclasses += nbytes / 8;
}

/* ---- guarantees ---------------------------------------------------------------------------- */

/* A list of numbers of a node: one for each kind of block, or one for all. */
struct own_list {
    const uint8_t *bytes; /* NULL: there is none */
    uint32_t ncells;
    uint32_t step; /* bytes from one to the next; 0: one for all */
};

/* Numbers of one cell or two. False when their count is not that of the blocks'. */
static bool own_read_list(struct cma_fdt *fdt, uint32_t node, const char *name, uint32_t count,
                          struct own_list *list)
{
    struct cma_problem spare, *problem;
    uint32_t nbytes;

    list->bytes = cma__fdt_property(fdt, node, name, &nbytes);
    list->ncells = 1;
    list->step = 4;
    if (!list->bytes || nbytes == count * 4) {
        return true;
    }
    if (nbytes == 4) {
        list->step = 0;
        return true;
    }
    if (nbytes / 8 == count && nbytes % 8 == 0) {
        list->ncells = 2;
        list->step = 8;
        return true;
    }
    problem = cma__fdt_problem(fdt, &spare, node, name, CMA_PROBLEM_ENTRIES);
    problem->value = nbytes;
    problem->other = OWN_BLOCKS;
    return false;
}

static uint64_t own_number(const struct own_list *list, uint32_t entry)
{
    return list->bytes ? cma__fdt_cells(list->bytes + (size_t)list->step * entry, list->ncells) : 0;
}

/* Everything that a node says about its blocks. */
struct own_lists {
    uint32_t count;
    struct own_list blocks, size, align, boundary, max_moves;
    int ngroups; /* 1: one for all */
};

/* Reads the lists. False when they do not fit together. */
static bool own_read_lists(struct cma_fdt *fdt, uint32_t node, struct own_lists *lists)
{
    struct cma_problem spare, *problem;
    uint32_t nbytes;

    lists->blocks = (struct own_list){NULL, 1, 4};
    lists->blocks.bytes = cma__fdt_property(fdt, node, OWN_BLOCKS, &nbytes);
    lists->count = nbytes / 4;
    if (nbytes == 0 || nbytes % 4 != 0) {
        cma__fdt_problem(fdt, &spare, node, OWN_BLOCKS, CMA_PROBLEM_LENGTH)->value = nbytes;
        return false;
    }
    if (!own_read_list(fdt, node, OWN_SIZE, lists->count, &lists->size) ||
        !own_read_list(fdt, node, OWN_ALIGN, lists->count, &lists->align) ||
        !own_read_list(fdt, node, OWN_BOUNDARY, lists->count, &lists->boundary) ||
        !own_read_list(fdt, node, OWN_MAX_MOVES, lists->count, &lists->max_moves)) {
        return false;
    }
    if (!lists->size.bytes) {
        cma__fdt_problem(fdt, &spare, node, OWN_BLOCKS, CMA_PROBLEM_WITHOUT)->other = OWN_SIZE;
        return false;
    }
    lists->ngroups = 0;
    if (cma__fdt_property(fdt, node, OWN_GROUP, &nbytes)) {
        lists->ngroups = fdt_stringlist_count(fdt->dtb, (int)node, OWN_GROUP);
        if (lists->ngroups != 1 &&
            (lists->ngroups < 0 || (uint32_t)lists->ngroups != lists->count)) {
            problem = cma__fdt_problem(fdt, &spare, node, OWN_GROUP, CMA_PROBLEM_ENTRIES);
            problem->value = nbytes;
            problem->other = OWN_BLOCKS;
            return false;
        }
    }
    return true;
}

/* The group of one kind of blocks; an empty name is none. */
static const char *own_group(const struct cma_fdt *fdt, uint32_t node,
                             const struct own_lists *lists, uint32_t entry)
{
    const char *name;

    if (lists->ngroups == 0) {
        return NULL;
    }
    name = fdt_stringlist_get(fdt->dtb, (int)node, OWN_GROUP, lists->ngroups == 1 ? 0 : (int)entry,
                              NULL);
    return name && *name ? name : NULL;
}

/* What is wrong with one kind of blocks, which property, and its numbers in *problem. */
static enum cma_problem_kind own_judge_blocks(const struct cma_fdt_guarantee *guarantee,
                                              struct cma_problem *problem)
{
    problem->property = OWN_BLOCKS;
    if (guarantee->count == 0) {
        return CMA_PROBLEM_NOTHING;
    }
    problem->property = OWN_SIZE;
    if (guarantee->nbytes == 0) {
        return CMA_PROBLEM_NOTHING;
    }
    problem->property = OWN_ALIGN;
    problem->value = guarantee->align_nbytes;
    if (guarantee->align_nbytes != 0 && !range_is_power_of_two(guarantee->align_nbytes)) {
        return CMA_PROBLEM_ALIGNMENT;
    }
    problem->property = OWN_BOUNDARY;
    problem->value = guarantee->boundary_nbytes;
    if (guarantee->boundary_nbytes != 0 && !range_is_power_of_two(guarantee->boundary_nbytes)) {
        return CMA_PROBLEM_ALIGNMENT;
    }
    problem->nbytes = guarantee->nbytes;
    return guarantee->boundary_nbytes != 0 && guarantee->boundary_nbytes < guarantee->nbytes
               ? CMA_PROBLEM_BOUNDARY
               : CMA_PROBLEM_NONE;
}

/* One kind of blocks of a node, into the next place. */
static void own_read_blocks(struct cma_fdt *fdt, const struct cma_boot_rules *rules,
                            const struct own_lists *lists, const struct cma_fdt_guarantee *common,
                            uint32_t entry)
{
    struct cma_fdt_guarantee *guarantee = &fdt->guarantees[fdt->nguarantees];
    struct cma_problem numbers = {0};
    struct cma_problem spare, *problem;
    uint64_t max_moves = own_number(&lists->max_moves, entry);
    enum cma_problem_kind kind;

    *guarantee = *common;
    guarantee->entry = entry;
    guarantee->count = (uint32_t)own_number(&lists->blocks, entry);
    guarantee->nbytes = own_number(&lists->size, entry);
    guarantee->align_nbytes = own_number(&lists->align, entry);
    guarantee->boundary_nbytes = own_number(&lists->boundary, entry);
    guarantee->max_moves = max_moves < UINT32_MAX ? (uint32_t)max_moves : UINT32_MAX;
    guarantee->group = own_group(fdt, common->node, lists, entry);
    kind = own_judge_blocks(guarantee, &numbers);
    if (kind == CMA_PROBLEM_NONE && guarantee->boundary_nbytes != 0 &&
        guarantee->boundary_nbytes < rules->page_nbytes) {
        kind = CMA_PROBLEM_BOUNDARY; /* whole pages are handed out */
    }
    if (kind == CMA_PROBLEM_NONE) {
        fdt->nguarantees++;
        return;
    }
    problem = cma__fdt_problem(fdt, &spare, common->node, numbers.property, kind);
    problem->nbytes = numbers.nbytes;
    problem->value = numbers.value;
}

/* What `node`, which is the device or its region, promises the device. */
static void own_read_promises(struct cma_fdt *fdt, const struct cma_boot_rules *rules,
                              uint32_t device, uint32_t node)
{
    struct cma_fdt_guarantee common = {.device = device, .node = node};
    struct own_lists lists;
    struct cma_problem spare;

    if (!own_read_lists(fdt, node, &lists)) {
        return;
    }
    if (!own_area(fdt, &fdt->devices[device], &common.region)) {
        cma__fdt_problem(fdt, &spare, node, OWN_BLOCKS, CMA_PROBLEM_NO_AREA);
        return;
    }
    for (uint32_t entry = 0; entry < lists.count; entry++) {
        own_read_blocks(fdt, rules, &lists, &common, entry);
    }
}

/* Blocks that a region promises are those of the one device that uses it. */
static void own_read_region(struct cma_fdt *fdt, const struct cma_boot_rules *rules,
                            const struct cma_fdt_region *region)
{
    struct cma_problem spare;
    uint32_t nbytes;

    if (!cma__fdt_property(fdt, region->node, OWN_BLOCKS, &nbytes)) {
        return;
    }
    if (region->ndevices != 1) {
        cma__fdt_problem(fdt, &spare, region->node, OWN_BLOCKS, CMA_PROBLEM_SHARED)->value =
            region->ndevices;
        return;
    }
    if (cma__fdt_property(fdt, fdt->devices[region->first_device].node, OWN_BLOCKS, &nbytes)) {
        cma__fdt_problem(fdt, &spare, region->node, OWN_BLOCKS, CMA_PROBLEM_TWICE)->other =
            cma__fdt_name(fdt, fdt->devices[region->first_device].node);
        return;
    }
    own_read_promises(fdt, rules, region->first_device, region->node);
}

/* ---- order and groups ---------------------------------------------------------------------- */

/* Below 0, 0 or above, as the names follow each other; those without come last. */
static int own_order_names(const char *a, const char *b)
{
    if (!a || !b) {
        return (a == NULL) - (b == NULL);
    }
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (*(const unsigned char *)a > *(const unsigned char *)b) -
           (*(const unsigned char *)a < *(const unsigned char *)b);
}

/* Does the device reach no more than the low end of its area? A default area that is no node's was
 * put where all devices reach it. */
static bool own_is_low(const struct cma_fdt *fdt, const struct cma_fdt_guarantee *guarantee)
{
    const struct cma_fdt_region *region = NULL;

    if (guarantee->region != 0) {
        region = &fdt->regions[guarantee->region - 1];
    }
    return region && fdt->devices[guarantee->device].dma_last < region->base + (region->nbytes - 1);
}

/* Does `a` stand before `b`? By groups, or in the order in which to admit them. */
static bool own_before(const struct cma_fdt *fdt, const struct cma_fdt_guarantee *a,
                       const struct cma_fdt_guarantee *b, bool by_group)
{
    cma_paddr_t a_last = fdt->devices[a->device].dma_last;
    cma_paddr_t b_last = fdt->devices[b->device].dma_last;
    int names = by_group ? own_order_names(a->group, b->group) : 0;
    bool a_low = !by_group && own_is_low(fdt, a);

    if (names != 0) {
        return names < 0;
    }
    if (!by_group && a_low != own_is_low(fdt, b)) {
        return a_low;
    }
    if (!by_group && a->nbytes != b->nbytes) {
        return a->nbytes > b->nbytes;
    }
    if (!by_group && a->align_nbytes != b->align_nbytes) {
        return a->align_nbytes > b->align_nbytes;
    }
    if (!by_group && a_last != b_last) {
        return a_last < b_last;
    }
    return a->device != b->device ? a->device < b->device : a->entry < b->entry;
}

static void own_sift(struct cma_fdt *fdt, uint32_t root, uint32_t count, bool by_group)
{
    struct cma_fdt_guarantee *heap = fdt->guarantees;

    while (root < count / 2) {
        uint32_t child = 2 * root + 1;
        struct cma_fdt_guarantee swap;

        if (child + 1 < count && own_before(fdt, &heap[child], &heap[child + 1], by_group)) {
            child++;
        }
        if (!own_before(fdt, &heap[root], &heap[child], by_group)) {
            return;
        }
        swap = heap[root];
        heap[root] = heap[child];
        heap[child] = swap;
        root = child;
    }
}

static void own_sort(struct cma_fdt *fdt, bool by_group)
{
    for (uint32_t i = fdt->nguarantees / 2; i > 0; i--) {
        own_sift(fdt, i - 1, fdt->nguarantees, by_group);
    }
    for (uint32_t count = fdt->nguarantees; count > 1; count--) {
        struct cma_fdt_guarantee swap = fdt->guarantees[0];

        fdt->guarantees[0] = fdt->guarantees[count - 1];
        fdt->guarantees[count - 1] = swap;
        own_sift(fdt, 0, count - 1, by_group);
    }
}

/* Numbers the groups. A device is in a group once, and a group is on one area. */
static void own_number_groups(struct cma_fdt *fdt)
{
    const struct cma_fdt_guarantee *first = NULL, *last = NULL;
    uint32_t kept = 0;

    fdt->ngroups = 0;
    own_sort(fdt, true);
    for (uint32_t i = 0; i < fdt->nguarantees; i++) {
        struct cma_fdt_guarantee guarantee = fdt->guarantees[i];
        enum cma_problem_kind kind = CMA_PROBLEM_NONE;
        struct cma_problem spare;

        if (guarantee.group && last && own_same(guarantee.group, last->group)) {
            kind = guarantee.device == last->device    ? CMA_PROBLEM_GROUP
                   : guarantee.region != first->region ? CMA_PROBLEM_APART
                                                       : CMA_PROBLEM_NONE;
        } else if (guarantee.group) {
            fdt->ngroups++;
            first = &fdt->guarantees[kept];
        }
        if (kind != CMA_PROBLEM_NONE) {
            cma__fdt_problem(fdt, &spare, guarantee.node, OWN_GROUP, kind)->other = guarantee.group;
            continue;
        }
        guarantee.group_number = guarantee.group ? fdt->ngroups : 0;
        fdt->guarantees[kept] = guarantee;
        last = guarantee.group ? &fdt->guarantees[kept] : NULL;
        kept++;
    }
    fdt->nguarantees = kept;
}

void cma_fdt_guarantees(struct cma_fdt *fdt, const struct cma_boot_rules *rules)
{
    uint32_t nbytes;

    fdt->nguarantees = 0;
    fdt->nclasses = 0;
    own_check_nodes(fdt);
    own_find_areas(fdt);
    for (uint32_t i = 0; i < fdt->ndevices; i++) {
        own_read_quota(fdt, rules, &fdt->devices[i]);
    }
    for (uint32_t i = 0; i < fdt->nregions; i++) {
        struct cma_fdt_region *region = &fdt->regions[i];

        if (region->state == CMA_FDT_MADE && region->kind == CMA_RANGE_AREA) {
            own_read_classes(fdt, rules, region);
        }
    }
    for (uint32_t i = 0; i < fdt->ndevices; i++) {
        if (cma__fdt_property(fdt, fdt->devices[i].node, OWN_BLOCKS, &nbytes)) {
            own_read_promises(fdt, rules, i, fdt->devices[i].node);
        }
    }
    for (uint32_t i = 0; i < fdt->nregions; i++) {
        if (fdt->regions[i].state == CMA_FDT_MADE && fdt->regions[i].kind == CMA_RANGE_AREA) {
            own_read_region(fdt, rules, &fdt->regions[i]);
        }
    }
    own_number_groups(fdt);
    own_sort(fdt, false);
}
