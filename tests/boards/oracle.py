# SPDX-License-Identifier: BSD-2-Clause
"""What a board's memory should be, read a second time from dtc's text of its tree.

The rules are Linux's (6.1), written down here on their own and not taken from src/boot, so that
the two can disagree. Only what a node says is derived here: where a dynamic region ends up is the
library's business, and is checked for being a legal place, not for being one place.
"""

GRANULE = {"arm": 4 << 20, "arm64": 2 << 20, "riscv64": 2 << 20}
FILL = 2 << 30
TOP = 1 << 64


def join(cells):
    value = 0
    for cell in cells:
        value = value << 32 | cell
    return value


def pairs(cells, naddress, nsize):
    """[(base, size)] of a reg-like property, whole entries only."""
    width = naddress + nsize
    if not cells or width == 0:
        return []
    return [(join(cells[at:at + naddress]), join(cells[at + naddress:at + width]))
            for at in range(0, len(cells) - width + 1, width)]


def root_cells(root):
    return root.cell("#address-cells", 1), root.cell("#size-cells", 1)


def memory_nodes(root):
    return [node for node in root.children if node.enabled() and
            node.properties.get("device_type", b"") == b"memory\0"]


def merge(ranges):
    """Sorted, with touching ranges made one: [(base, size)]."""
    merged = []
    for base, size in sorted(ranges):
        if merged and base <= merged[-1][0] + merged[-1][1]:
            first, length = merged[-1]
            merged[-1] = (first, max(length, base + size - first))
        else:
            merged.append((base, size))
    return merged


def unit_address(node):
    try:
        return int(node.name.split("@", 1)[1].split(",")[0], 16)
    except (IndexError, ValueError):
        return None


def reserved_children(root):
    node = root.child("reserved-memory")
    return node.children if node is not None else []


def fill(root):
    """The option that fills an empty /memory, and the memory that is then expected.

    The rule: a tree that states memory keeps it. Otherwise 2 GiB, from where its memory node
    starts: the node's reg, or its unit address. Where the node says neither, or there is none:
    from the lowest fixed region of /reserved-memory rounded down to 1 GiB, and if there is no
    such region either, from 0x40000000. Where addresses have one cell, memory ends at 4 GiB.
    """
    naddress, nsize = root_cells(root)
    stated, base = [], None
    for node in memory_nodes(root):
        entries = pairs(node.cells("reg"), naddress, nsize)
        stated += [entry for entry in entries if entry[1] != 0]
        if base is None and entries and (entries[0][0] != 0 or unit_address(node) == 0):
            base = entries[0][0]
        elif base is None:
            base = unit_address(node)
    if stated:
        return [], merge(stated)
    if base is not None:
        place = ""
    else:
        fixed = [join(node.cells("reg")[:naddress]) for node in reserved_children(root)
                 if node.enabled() and node.cells("reg")]
        base = min(fixed) & ~0x3fffffff if fixed else 0x40000000
        place = "@%#x" % base
    size = min(FILL, (1 << 32) - base) if naddress == 1 else FILL
    return ["--memory", "%#x%s" % (size, place)], [(base, size)]


class Region:
    """What one child of /reserved-memory asks for. `placement` is None where it is ignored."""

    def __init__(self, node):
        self.node = node
        self.path = node.path
        self.placement = None
        self.kind = None
        self.default = False
        self.entries = []        # fixed: [(base, size)]
        self.size = None         # dynamic
        self.alignment = None
        self.ranges = []
        self.faults = set()      # why Linux would not make it as it stands


def kind_of(node):
    compatible = node.strings("compatible")
    if "restricted-dma-pool" in compatible:
        return "restricted-pool"
    if "shared-dma-pool" in compatible:
        return "area" if node.has("reusable") else "coherent-pool"
    return "no-map" if node.has("no-map") else "reserved"


def inside(ranges, base, size):
    return any(first <= base and base + size <= first + length for first, length in ranges)


def overlaps(ranges, base, size):
    return any(base < first + length and first < base + size for first, length in ranges)


def read_fixed(region, naddress, nsize, memory, granule):
    cells = region.node.cells("reg")
    region.placement = "fixed"
    region.entries = pairs(cells, naddress, nsize)
    if not region.entries or len(cells) % (naddress + nsize) != 0:
        region.faults.add("reg")
        return
    for at, (base, size) in enumerate(region.entries):
        if size == 0:
            region.faults.add("size 0")
        if base + size > TOP:
            region.faults.add("overflow")
        if overlaps(memory, base, size) and not inside(memory, base, size):
            region.faults.add("partly outside memory")
        elif not inside(memory, base, size):
            region.faults.add("outside memory")
        if region.kind == "area" and at == 0 and (base % granule or size % granule):
            region.faults.add("granule")


def read_dynamic(region, naddress, nsize, granule):
    node = region.node
    region.placement = "dynamic"
    size, alignment = node.cells("size"), node.cells("alignment")
    ranges = node.cells("alloc-ranges")
    if size is None or len(size) != nsize or join(size) == 0:
        region.faults.add("size")
    else:
        region.size = join(size)
    if alignment is not None and len(alignment) != naddress:
        region.faults.add("alignment")
    elif alignment is not None:
        region.alignment = join(alignment)
        if region.alignment & (region.alignment - 1):
            region.faults.add("alignment")
    if node.has("alloc-ranges"):
        region.ranges = pairs(ranges, naddress, nsize)
        if not region.ranges or len(ranges) % (naddress + nsize) != 0:
            region.faults.add("alloc-ranges")
    if region.kind == "area":
        region.alignment = max(region.alignment or 0, granule)
        if region.size is not None and region.size % granule:
            region.faults.add("granule")


def read_region(node, root, arch, memory, granule):
    naddress, nsize = root_cells(root)
    region = Region(node)
    region.kind = kind_of(node)
    if not node.enabled() or not (node.has("reg") or node.has("size")):
        return region
    if node.has("reg"):
        read_fixed(region, naddress, nsize, memory, granule)
    else:
        read_dynamic(region, naddress, nsize, granule)
    never = {"area": ("no-map",), "restricted-pool": ("no-map", "reusable", "linux,cma-default",
                                                      "linux,dma-default")}
    region.faults.update(word for word in never.get(region.kind, ()) if node.has(word))
    if region.kind == "coherent-pool" and arch == "arm" and not node.has("no-map"):
        region.faults.add("pool without no-map")
    if region.kind == "area":
        region.default = node.has("linux,cma-default")
    elif region.kind == "coherent-pool":
        region.default = node.has("linux,dma-default")
    return region


def add_overlaps(regions, reserves):
    """Entries that share bytes are a fault of both regions: which one yields is not judged."""
    spans = []
    for region in regions:
        for base, size in region.entries:
            spans.append((base, base + size, region))
    spans.sort(key=lambda span: (span[0], span[1]))
    for at, (_, end, region) in enumerate(spans):
        for base, _, other in spans[at + 1:]:
            if base >= end:
                break
            region.faults.add("overlap")
            other.faults.add("overlap")
    for region in regions:
        # A coherent pool that is in /memreserve/ too is only named twice: nobody else gets it.
        if region.kind in ("area", "restricted-pool"):
            for base, size in region.entries[:1]:
                if overlaps(reserves, base, size):
                    region.faults.add("overlap")


def read_regions(root, reserves, arch, memory):
    """The children of /reserved-memory in tree order, and whether Linux ignores the whole node."""
    holder = root.child("reserved-memory")
    if holder is None:
        return [], False
    naddress, nsize = root_cells(root)
    if (holder.cell("#address-cells") != naddress or holder.cell("#size-cells") != nsize or
            not holder.has("ranges")):
        return [], True
    regions = [read_region(node, root, arch, memory, GRANULE[arch]) for node in holder.children]
    add_overlaps(regions, reserves)
    for kind in ("area", "coherent-pool"):
        defaults = [region for region in regions if region.kind == kind and region.default and
                    region.placement]
        if len(defaults) > 1:
            for region in defaults:
                region.faults.add("two defaults")
    return regions, False


def live_nodes(root):
    """The nodes that are enabled and so are all above them, in tree order."""
    found, pending = [], [root]
    while pending:
        node = pending.pop()
        if node.enabled():
            found.append(node)
            pending.extend(reversed(node.children))
    return found


def region_users(root):
    """{path of each enabled node with a memory-region: [paths]}; a dangling phandle gives None."""
    handles = {}
    for node in root.walk():
        for name in ("phandle", "linux,phandle"):
            if node.cell(name) is not None:
                handles[node.cell(name)] = node
    users = {}
    for node in live_nodes(root):
        if node.has("memory-region"):
            users[node.path] = [handles[cell].path if cell in handles else None
                                for cell in node.cells("memory-region") or []]
    return users
