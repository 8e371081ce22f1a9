# SPDX-License-Identifier: BSD-2-Clause
"""Which addresses the buses let a device reach, read a second time from dtc's text.

From the device upwards, the first bus with a dma-ranges that is not empty names the windows. They
are carried through every bus above; a bus without dma-ranges, or with an empty one, passes
addresses on unchanged. A device whose interconnects name "dma-mem" hangs, for its memory accesses,
below that bus.

Linux (6.1) agrees, but for one thing: one bus without dma-ranges on the way to that first bus is
forgiven, a second one, or one after an empty dma-ranges, makes it give up and know of no limit.
The limit is there all the same, so layout keeps it; linux_gives_up() says where this is so.
"""
from oracle import join

ALL = (1 << 64) - 1


class Buses:
    """The answers for one tree; phandles are looked up once."""

    def __init__(self, root):
        self.handles = {}
        for node in root.walk():
            for name in ("phandle", "linux,phandle"):
                if node.cell(name) is not None:
                    self.handles[node.cell(name)] = node

    def above(self, node):
        """The bus that carries this node's memory accesses; None for the root."""
        names = node.strings("interconnect-names")
        cells = node.cells("interconnects")
        if "dma-mem" not in names or not cells:
            return node.parent
        wanted, at = names.index("dma-mem"), 0
        for index in range(wanted + 1):
            provider = self.handles.get(cells[at]) if at < len(cells) else None
            if provider is None:
                return node.parent
            if index == wanted:
                return provider
            at += 1 + provider.cell("#interconnect-cells", 0)
        return node.parent

    def windows_of_bus(self, bus):
        """[(device address, address on the bus above, size)] of a dma-ranges that is not empty."""
        upper = self.above(bus) or bus
        nchild, nsize = cells_of(bus)
        nparent = cells_of(upper)[0]
        width = nchild + nparent + nsize
        cells = bus.cells("dma-ranges") or []
        if width == 0 or len(cells) % width:
            return []
        found = []
        for at in range(0, len(cells), width):
            child = cells[at:at + nchild]
            # PCI's first cell holds flags, not address.
            child = child[1:] if nchild == 3 else child
            found.append((join(child), join(cells[at + nchild:at + nchild + nparent]),
                          join(cells[at + nchild + nparent:at + width])))
        return found

    def carry(self, bus, paddr):
        """An address on `bus` as the CPU sees it; None where no window of a bus above has it."""
        while bus is not None:
            if bus.properties.get("dma-ranges"):
                for daddr, upper, size in self.windows_of_bus(bus):
                    if daddr <= paddr < daddr + size:
                        paddr = paddr - daddr + upper
                        break
                else:
                    return None
            bus = self.above(bus)
        return paddr

    def first_bus(self, node):
        """The nearest bus above with a dma-ranges that is not empty; None where there is none."""
        bus = self.above(node)
        while bus is not None and not bus.properties.get("dma-ranges"):
            bus = self.above(bus)
        return bus

    def linux_gives_up(self, node):
        bus, found = self.above(node), False
        while bus is not None and not bus.properties.get("dma-ranges"):
            if found and not bus.has("dma-ranges"):
                return True
            found = True
            bus = self.above(bus)
        return False

    def windows(self, node):
        """[(daddr, paddr, size)] of a device; None where the buses set no limit that counts."""
        bus = self.first_bus(node)
        if bus is None:
            return None
        found = []
        for daddr, upper, size in self.windows_of_bus(bus):
            paddr = self.carry(self.above(bus), upper)
            if paddr is not None and size != 0:
                # An odd size is a mask that was meant to be a size, as Linux takes it.
                found.append((daddr, paddr, size + (size & 1)))
        return found

    def limit(self, node):
        """The highest address of the CPU's that the device reaches; None where nothing limits."""
        windows = self.windows(node)
        if not windows:
            return None
        return min(max(paddr + size - 1 for _, paddr, size in windows), ALL)


def cells_of(bus):
    """Cells of an address and of a size below `bus`, taken from above where it says nothing."""
    found = []
    for name, otherwise in (("#address-cells", 1), ("#size-cells", 1)):
        node = bus
        while node is not None and node.cell(name) is None:
            node = node.parent
        found.append(node.cell(name) if node is not None else otherwise)
    return found


def mapped(node):
    """Whether the CPU sees the node at an address: it is no slave on an SPI bus or the like."""
    above = node.parent
    while above is not None and above.parent is not None:
        if not above.has("ranges"):
            return False
        above = above.parent
    return True
