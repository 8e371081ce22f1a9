# SPDX-License-Identifier: BSD-2-Clause
"""Holds what `cma layout --json` says of a tree against the oracle's reading of it."""
import re

import buses
import oracle

KINDS = ("area", "coherent-pool", "restricted-pool", "no-map", "reserved")
# What the oracle finds wrong with a node and the library must then name as a problem of it. A
# region wholly outside of memory is not among them: pools and firmware may live in SRAM.
MUST_NAME = {"reg", "size", "size 0", "overflow", "granule", "no-map", "reusable", "alignment",
             "linux,cma-default", "linux,dma-default", "alloc-ranges", "pool without no-map",
             "partly outside memory"}
PAGE = 4096


def problem_class(problem):
    """A problem without what is particular to one board: (property, message)."""
    message = problem["message"]
    message = re.sub(r"'[^']*'", "NAME", message)
    message = re.sub(r"(?<![\w/])/[\w,.+@-][\w,.+@/-]*[\w@]|(?<![\w/])/(?![\w/])", "PATH", message)
    message = re.sub(r"0x[0-9a-fA-F]+|\b\d+\b", "N", message)
    message = re.sub(r"\bN (bytes?|KiB|MiB|GiB|TiB)\b", "SIZE", message)
    return problem["property"], message


class Tally:
    """What one tree showed: counts by name, disagreements as text, classes of problems."""

    def __init__(self):
        self.counts = {}
        self.disagreements = []
        self.classes = {}

    def count(self, name, more=1):
        self.counts[name] = self.counts.get(name, 0) + more

    def differ(self, where, what):
        self.disagreements.append((where, what))

    def equal(self, where, what, ours, theirs):
        if ours != theirs:
            self.differ(where, "%s: layout says %s, the oracle %s" % (what, show(ours),
                                                                      show(theirs)))
            return False
        return True


def show(value):
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return hex(value)
    return "[" + ", ".join(show(part) for part in value) + "]"


def number(text):
    if not isinstance(text, str) or not re.fullmatch(r"0x[0-9a-f]+", text):
        raise ValueError("not a number of the form 0x...: %r" % (text,))
    return int(text, 16)


def span(entry):
    return number(entry["base"]), number(entry["size"])


def check_form(layout):
    """Raises KeyError or ValueError where the JSON is not of the promised form."""
    if not isinstance(layout["model"], str):
        raise ValueError("model is no string")
    for entry in layout["memory"]:
        span(entry)
    for entry in layout["reserved"]:
        span(entry)
        if entry["kind"] not in KINDS or entry["placement"] not in ("fixed", "dynamic"):
            raise ValueError("kind or placement of %s" % entry["path"])
        if not isinstance(entry["default"], bool) or not isinstance(entry["name"], str):
            raise ValueError("default or name of %s" % entry["path"])
        if entry["placement"] == "dynamic":
            number(entry["alignment"])
            for piece in entry["ranges"]:
                span(piece)
    for device in layout["devices"]:
        if not isinstance(device["coherent"], bool) or not isinstance(device["path"], str):
            raise ValueError("a device's path or coherent")
        if not all(isinstance(path, str) for path in device["memory_region"]):
            raise ValueError("memory_region of %s" % device["path"])
        if "dma_limit" in device:
            number(device["dma_limit"])
    for problem in layout["problems"]:
        if not all(isinstance(problem[key], str) for key in ("path", "property", "message")):
            raise ValueError("a problem's fields")


def check_fixed(tally, region, entries):
    """A fixed region without a problem: all of it is there, the first entry being what it is."""
    for at, (base, size) in enumerate(region.entries):
        found = [entry for entry in entries if number(entry["base"]) == base]
        if not found:
            tally.differ(region.path, "its range at %#x is missing" % base)
            continue
        tally.equal(region.path, "size", number(found[0]["size"]), size)
        tally.equal(region.path, "placement", found[0]["placement"], "fixed")
        if at == 0:
            tally.equal(region.path, "kind", found[0]["kind"], region.kind)
            tally.equal(region.path, "default", found[0]["default"], region.default)
    tally.equal(region.path, "number of ranges", len(entries), len(region.entries))


def check_dynamic(tally, region, entries):
    """A dynamic region without a problem: what it asked for, word for word."""
    if not tally.equal(region.path, "number of ranges", len(entries), 1):
        return
    entry = entries[0]
    tally.equal(region.path, "placement", entry["placement"], "dynamic")
    tally.equal(region.path, "kind", entry["kind"], region.kind)
    tally.equal(region.path, "default", entry["default"], region.default)
    tally.equal(region.path, "size", number(entry["size"]), region.size)
    tally.equal(region.path, "ranges", [span(piece) for piece in entry["ranges"]], region.ranges)
    alignment = number(entry["alignment"])
    if region.alignment is not None:
        tally.equal(region.path, "alignment", alignment, region.alignment)
    elif alignment > 65536 or alignment & (alignment - 1):
        tally.differ(region.path, "alignment %#x where none was asked for" % alignment)


def check_kept(tally, region, memory, held):
    """Firmware's memory stays firmware's, even where its node overlaps another or sticks out."""
    if region.kind not in ("no-map", "reserved") or region.faults & {"reg", "overflow"}:
        return
    for base, size in region.entries:
        for first, length in memory:
            low, high = max(base, first), min(base + size, first + length)
            if low < high and not oracle.inside(held, low, high - low):
                tally.differ(region.path, "%#x to %#x is free, but the node keeps it" %
                             (low, high - 1))


def check_no_room(tally, region, memory, held):
    """A dynamic region that got nothing: there is no place that it could have had.

    `held` is what anybody has or, being refused afterwards, had while it was placed. The first page
    of all is given to nobody.
    """
    ranges = region.ranges or [(0, oracle.TOP)]
    alignment = max(region.alignment or 1, 1)
    for first, length in memory:
        edges = [(first, 0)] + [piece for piece in held if oracle.overlaps([piece], first, length)]
        for at, (base, size) in enumerate(edges):
            gap_first = max(first, base + size)
            gap_end = edges[at + 1][0] if at + 1 < len(edges) else first + length
            for allowed, nbytes in ranges:
                low = -(-max(gap_first, allowed, PAGE) // alignment) * alignment
                if low + region.size <= min(gap_end, allowed + nbytes):
                    tally.differ(region.path, "refused, but there is room at %#x" % low)
                    return


def check_region(tally, region, entries, problems, memory, held, taken):
    if region.placement is None:
        if entries:
            tally.differ(region.path, "Linux ignores the node, but it is in reserved")
        tally.count("nodes ignored")
        return
    tally.count("regions " + region.placement)
    check_kept(tally, region, memory, held)
    if region.placement == "dynamic" and not entries and not region.faults:
        check_no_room(tally, region, memory, taken)
    if not problems:
        named = region.faults & MUST_NAME
        if named:
            tally.differ(region.path, "no problem is named, but there is one: " +
                         ", ".join(sorted(named)))
        elif region.placement == "fixed":
            check_fixed(tally, region, entries)
            tally.count("fixed regions compared")
        else:
            check_dynamic(tally, region, entries)
            tally.count("dynamic regions compared")
        return
    tally.count("regions with a problem")
    if not region.faults and region.placement == "fixed":
        tally.differ(region.path, "a problem that the oracle does not see: %s: %s" %
                     (problems[0]["property"], problems[0]["message"]))
    for entry in entries:
        # Whatever is said against the node: what it does get is nothing else than it named.
        if entry["placement"] == "fixed" and not any(
                oracle.inside([piece], *span(entry)) for piece in region.entries):
            tally.differ(region.path, "it has memory that it did not name: " + show(span(entry)))


def check_pairs(tally, regions, problems):
    """Where nodes stand against each other, at least one of them has a problem."""
    for fault in ("overlap", "two defaults"):
        involved = [region for region in regions if fault in region.faults]
        if involved and not any(region.path in problems for region in involved):
            tally.differ(involved[0].path, "no problem is named of any node, but there is one: " +
                         fault)


def check_legal(tally, layout, reserves):
    """Whatever the tree says: nothing twice, areas in memory, placed ones where they may be."""
    memory = oracle.merge([span(entry) for entry in layout["memory"]])
    ordered = sorted(layout["reserved"], key=span)
    for entry, after in zip(ordered, ordered[1:]):
        base, size = span(entry)
        if base + size > number(after["base"]):
            tally.differ(entry["path"], "shares bytes with " + after["path"])
    for entry in layout["reserved"]:
        base, size = span(entry)
        where = entry["path"] or entry["name"]
        if size == 0 or base + size > oracle.TOP:
            tally.differ(where, "a range of no bytes, or past 2^64")
        if entry["kind"] == "area" and not oracle.inside(memory, base, size):
            tally.differ(where, "an area that is not wholly in memory")
        if entry["placement"] != "dynamic":
            continue
        alignment = number(entry["alignment"])
        pieces = [span(piece) for piece in entry["ranges"]]
        if alignment and base % alignment:
            tally.differ(where, "placed at %#x, off its alignment %#x" % (base, alignment))
        if pieces and not oracle.inside(pieces, base, size):
            tally.differ(where, "placed outside of its alloc-ranges")
        if not oracle.inside(memory, base, size):
            tally.differ(where, "placed outside of memory")
        if oracle.overlaps(reserves, base, size):
            tally.differ(where, "placed on a /memreserve/ entry")


def check_reserves(tally, layout, reserves):
    """Every byte of /memreserve/ in memory is reserved by somebody."""
    memory = [span(entry) for entry in layout["memory"]]
    held = oracle.merge([span(entry) for entry in layout["reserved"]])
    for base, size in reserves:
        tally.count("memreserve entries")
        for first, length in memory:
            low, high = max(base, first), min(base + size, first + length)
            if low < high and not oracle.inside(held, low, high - low):
                tally.differ("/memreserve/", "%#x + %#x is not reserved" % (base, size))


def check_devices(tally, layout, root):
    """The nodes that name a memory-region and which they name; the limits that buses set."""
    users = oracle.region_users(root)
    listed = {device["path"]: device for device in layout["devices"]}
    tally.count("devices", len(listed))
    tally.count("devices with a memory-region", len(users))
    for path, regions in users.items():
        if path not in listed:
            tally.differ(path, "has a memory-region, but is not among the devices")
        else:
            known = [region for region in regions if region is not None]
            tally.equal(path, "memory_region", listed[path]["memory_region"], known)
    for path, device in listed.items():
        if device["memory_region"] and path not in users:
            tally.differ(path, "has no memory-region that counts, but one is listed")
    views = buses.Buses(root)
    for node in oracle.live_nodes(root):
        limit = views.limit(node)
        device = listed.pop(node.path, None)
        if device is not None:
            said = number(device["dma_limit"]) if "dma_limit" in device else None
            if tally.equal(node.path, "dma_limit", said, limit) and limit is not None:
                tally.count("limits of devices compared")
                if views.linux_gives_up(node):
                    tally.count("limits of devices that Linux does not find")
        elif limit is not None and node.has("compatible") and buses.mapped(node):
            tally.differ(node.path, "reaches up to %#x only, but is not among the devices" % limit)
    for path in listed:
        tally.differ(path, "is among the devices, but no enabled node is called that")


def compare(layout, root, reserves, arch, memory):
    """Returns the tally of one tree."""
    tally = Tally()
    try:
        check_form(layout)
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        tally.differ("", "the JSON is not of the promised form: %s %s" % (type(error).__name__,
                                                                          error))
        return tally
    tally.count("trees compared")
    model = root.strings("model")
    tally.equal("/", "model", layout["model"], model[0] if model else "")
    tally.equal("/memory", "memory", oracle.merge([span(entry) for entry in layout["memory"]]),
                memory)
    entries, problems = {}, {}
    for entry in layout["reserved"]:
        entries.setdefault(entry["path"], []).append(entry)
    for problem in layout["problems"]:
        problems.setdefault(problem["path"], []).append(problem)
        kind = problem_class(problem)
        tally.classes[kind] = tally.classes.get(kind, 0) + 1
    regions, ignored = oracle.read_regions(root, reserves, arch, memory)
    if ignored and "/reserved-memory" not in problems:
        tally.differ("/reserved-memory", "Linux ignores the whole node, and no problem says so")
    held = oracle.merge([span(entry) for entry in layout["reserved"]])
    taken = oracle.merge(held + [entry for region in regions for entry in region.entries])
    for region in regions:
        check_region(tally, region, entries.pop(region.path, []), problems.get(region.path, []),
                     memory, held, taken)
    check_pairs(tally, regions, problems)
    for path in entries:
        if path.startswith("/reserved-memory/"):
            tally.differ(path, "is in reserved, but the tree has no such region")
    check_legal(tally, layout, reserves)
    check_reserves(tally, layout, reserves)
    check_devices(tally, layout, root)
    return tally
