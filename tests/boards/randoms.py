# SPDX-License-Identifier: BSD-2-Clause
"""Makes small random trees, because real ones are mostly right.

Debian's trees have no fixed default area, no restricted pool and hardly a refused node. These have
all of it, in every combination, and the same oracle judges them. The same seed makes the same
trees.
"""
import glob
import os
import random
import subprocess

ARCHES = ("arm", "arm64", "riscv64")
COMPATIBLE = ("", 'compatible = "shared-dma-pool";', 'compatible = "shared-dma-pool";',
              'compatible = "shared-dma-pool";', 'compatible = "restricted-dma-pool";',
              'compatible = "ramoops";', 'compatible = "vendor,pool", "shared-dma-pool";')


def cells(value, count):
    return " ".join("%#x" % (value >> 32 * at & 0xffffffff) for at in reversed(range(count)))


class Maker:
    """One tree: its random choices and its text."""

    def __init__(self, seed):
        self.dice = random.Random(seed)
        self.arch = self.dice.choice(ARCHES)
        self.naddress, self.nsize = self.dice.choice(((1, 1), (2, 2), (2, 1)))
        self.base = self.dice.choice((0, 0x40000000, 0x80000000))
        self.size = self.dice.choice((64, 256, 512, 1024)) << 20

    def chance(self, percent):
        return self.dice.randrange(100) < percent

    def entry(self, base, size):
        return "%s %s" % (cells(base, self.naddress), cells(size, self.nsize))

    def some_size(self):
        if self.chance(5):
            return 0
        size = self.dice.choice((1, 2, 4, 8, 16, 32)) << 20
        return size + 0x1000 * self.dice.randrange(1, 9) if self.chance(15) else size

    def some_base(self):
        if self.chance(8):
            return self.dice.choice((0x1000, 0xf0000000, self.base + self.size))
        if self.chance(6):
            return max(self.base + self.size - (1 << 20), 0)
        base = self.base + (self.dice.randrange(self.size >> 22) << 22)
        return base + 0x1000 * self.dice.randrange(1, 9) if self.chance(12) else base

    def place(self):
        if self.chance(5):
            return ""
        if self.chance(65):
            count = 1 if self.chance(85) else self.dice.randrange(2, 4)
            entries = " ".join(self.entry(self.some_base(), self.some_size())
                               for _ in range(count))
            if self.chance(4):
                entries = entries.rsplit(" ", 1)[0]
            return "reg = <%s>;" % entries
        text = "size = <%s>;" % cells(self.some_size(), self.nsize)
        if self.chance(4):
            text = "size = <1 2 3>;"
        if self.chance(50):
            align = 0x3000 if self.chance(5) else 1 << self.dice.randrange(12, 25)
            text += " alignment = <%s>;" % cells(align, 3 if self.chance(4) else self.naddress)
        if self.chance(40):
            text += " alloc-ranges = <%s>;" % " ".join(
                self.entry(self.some_base(), self.dice.choice((8, 32, 128)) << 20)
                for _ in range(self.dice.randrange(1, 3)))
        return text

    def node(self, index):
        words = [self.dice.choice(COMPATIBLE), self.place()]
        for word, percent in (("reusable;", 40), ("no-map;", 25), ("linux,cma-default;", 20),
                              ("linux,dma-default;", 10)):
            if self.chance(percent):
                words.append(word)
        if self.chance(15):
            words.append('status = "%s";' % self.dice.choice(("okay", "ok", "disabled", "fail")))
        return "        region%d { %s };" % (index, " ".join(word for word in words if word))

    def text(self):
        reserves = "".join("/memreserve/ %#x %#x;\n" % (self.some_base(), 0x10000)
                           for _ in range(self.dice.randrange(3)) if self.chance(30))
        holder = [self.naddress, self.nsize]
        if self.chance(4):
            holder[self.dice.randrange(2)] ^= 3
        nodes = "\n".join(self.node(at) for at in range(self.dice.randrange(8)))
        return """/dts-v1/;
%s/ {
    model = "random";
    #address-cells = <%d>;
    #size-cells = <%d>;
    memory@%x { device_type = "memory"; reg = <%s>; };
    reserved-memory {
        #address-cells = <%d>;
        #size-cells = <%d>;
        %s
%s
    };
};
""" % (reserves, self.naddress, self.nsize, self.base, self.entry(self.base, self.size),
            holder[0], holder[1], "" if self.chance(3) else "ranges;", nodes)


def compile_tree(source, path):
    """-f, for wrong trees are wanted."""
    subprocess.run(["dtc", "-f", "-qq", "-I", "dts", "-O", "dtb", "-o", path], check=True,
                   input=source.encode())


def write_cases(folder):
    """The trees of tests/boards/cases, each called NAME-ARCH.dts, as [(arch, path of the .dtb)]."""
    os.makedirs(folder, exist_ok=True)
    made = []
    cases = os.path.join(os.path.dirname(os.path.abspath(__file__)), "cases")
    for name in sorted(glob.glob(os.path.join(cases, "*.dts"))):
        path = os.path.join(folder, os.path.basename(name)[:-4] + ".dtb")
        with open(name, encoding="utf-8") as source:
            compile_tree(source.read(), path)
        made.append((path[:-4].rsplit("-", 1)[1], path))
    return made


def write_trees(folder, count, seed):
    """Returns [(arch, path of the .dtb)]."""
    os.makedirs(folder, exist_ok=True)
    made = []
    for at in range(count):
        maker = Maker(seed * 1000003 + at)
        path = os.path.join(folder, "random-%d-%d.dtb" % (seed, at))
        source = maker.text()
        with open(path[:-1] + "s", "w", encoding="utf-8") as out:
            out.write(source)
        compile_tree(source, path)
        made.append((maker.arch, path))
    return made
