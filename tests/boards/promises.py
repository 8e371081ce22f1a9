#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""promises.py TOOL COUNT [SEED] - small random boards that promise their devices memory, run to the last bit

Areas with and without size classes, devices behind buses that shift and limit, guarantees with groups, alignment,
boundaries and copies, quotas; memory full to the last page or not, of what can be dropped or not, with pages pinned.
Whatever the board: no promised block is refused or costs more than was promised, no byte is lost, all books are right,
a naive search agrees with each refusal, and what slots nobody has are lent. Prints what failed, with its command, and
a line of totals; exit code 1 if anything failed.
"""
import json
import os
import random
import subprocess
import sys
import tempfile

BASE = 0x40000000
PAGE = 4096
BOARD = """/dts-v1/;
/ { #address-cells = <1>; #size-cells = <1>;
cpus { #address-cells = <1>; #size-cells = <0>; cpu@0 { compatible = "arm,cortex-a53"; reg = <0>; }; };
memory { device_type = "memory"; reg = <%#x %#x>; };
reserved-memory { #address-cells = <1>; #size-cells = <1>; ranges;
%s};
%s};
"""


def size_classes(rnd, npages):
    """Classes for an area of so many pages, or nothing."""
    if rnd.random() > 0.3:
        return ""
    small = rnd.randint(1, 16)
    cells = [small, rnd.randint(small, max(small, npages // 4))]
    if rnd.random() < 0.5:
        large = small + rnd.randint(1, 16)
        cells += [large, rnd.randint(large, max(large, npages // 3))]
    return "libcma,size-classes = <%s>;" % " ".join("%#x" % (cell * PAGE) for cell in cells)


def random_areas(rnd, memory):
    """[(npages, source)] of one or two areas."""
    areas = []
    at = BASE + memory // 4
    for index in range(rnd.randint(1, 2)):
        npages = rnd.randint(64, max(65, memory // PAGE // 4))
        if at + npages * PAGE > BASE + memory:
            break
        areas.append((npages, 'a%d: a%d@%x { compatible = "shared-dma-pool"; reusable; reg = <%#x %#x>; %s %s };\n' % (
            index, index, at, at, npages * PAGE,
            "linux,cma-default;" if index == 0 and rnd.random() < 0.7 else "", size_classes(rnd, npages))))
        at += (npages + rnd.randint(0, 20)) * PAGE
    return areas


def random_guarantees(rnd, npages):
    """Some kinds of blocks, together up to about twice the area."""
    kinds = rnd.randint(1, 3)
    blocks = [rnd.randint(1, 6) for _ in range(kinds)]
    sizes = [max(1, int(npages * rnd.random() ** 2 * 0.6 / count)) * PAGE - rnd.choice((0, 0, 1, PAGE - 1))
             for count in blocks]
    said = ["blocks = <%s>" % " ".join(map(str, blocks)), "size = <%s>" % " ".join(map(str, sizes))]
    if rnd.random() < 0.5:
        said.append("max-moves = <%d>" % rnd.choice((0, 1, 2, 5, 16, 1000)))
    if rnd.random() < 0.3:
        said.append("align = <%#x>" % (1 << rnd.randint(12, 18)))
    if rnd.random() < 0.2:
        said.append("boundary = <%#x>" % (1 << rnd.randint(16, 22)))
    if rnd.random() < 0.4:
        said.append("group = " + ", ".join('"g%d"' % kind if rnd.random() < 0.7 else '""' for kind in range(kinds)))
    return "".join("libcma,guarantee-%s; " % one for one in said)


def random_device(rnd, number, memory, areas):
    """A device, perhaps behind a bus of its own."""
    area = rnd.randrange(len(areas))
    body = "memory-region = <&a%d>; " % area if rnd.random() < 0.9 else ""
    if rnd.random() < 0.85:
        body += random_guarantees(rnd, areas[area][0])
    if rnd.random() < 0.3:
        body += "libcma,quota = <%#x>; " % (rnd.randint(1, 500) * PAGE)
    if rnd.random() < 0.3:
        body += "dma-coherent; "
    node = "d%d { %s};\n" % (number, body)
    if rnd.random() > 0.3:
        return node
    return "bus%d { #address-cells = <1>; #size-cells = <1>; ranges; dma-ranges = <%#x %#x %#x>; %s};\n" % (
        number, rnd.choice((0x10000000, 0, 0x80001000, 0xc0000000)), BASE + rnd.choice((0, 0, memory // 8)),
        rnd.randint(memory // PAGE // 2, memory // PAGE) * PAGE, node)


def random_board(rnd):
    memory = rnd.choice((4, 8, 16, 24)) << 20
    areas = random_areas(rnd, memory)
    devices = "".join(random_device(rnd, number, memory, areas) for number in range(rnd.randint(1, 4)))
    return BOARD % (BASE, memory, "".join(source for _, source in areas), devices)


def failures(code, run):
    """What is wrong with a run, as words."""
    wrong = ["exit code %d" % code] if code else []
    for key in "broken_promises", "violation", "bytes_lost", "oracle_disagreements":
        if run[key]:
            wrong.append("%s: %s" % (key, run[key]))
    if run["slot_lent_share"] is not None and run["slot_lent_share"] < 0.9:
        wrong.append("only %.4f of idle slots were lent" % run["slot_lent_share"])
    return wrong


def main():
    tool, count = sys.argv[1], int(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    totals = dict.fromkeys(("boards", "admitted", "not admitted", "promised", "requests", "refused"), 0)
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for number in range(seed, seed + count):
            rnd = random.Random(number)
            path = os.path.join(folder, "board.dts")
            with open(path, "w") as out:
                source = random_board(rnd)
                out.write(source)
            command = [tool, "run", path, "--granule", "page", "--json", "--seconds", "1", "--seed", str(number),
                       "--fill", rnd.choice(("100", "100", "95", "80", "50")),
                       "--droppable", rnd.choice(("0", "5", "25", "50", "80", "100")),
                       "--pins", rnd.choice(("0", "1", "10", "50"))]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False)
            try:
                run = json.loads(done.stdout)
                wrong = failures(done.returncode, run)
            except ValueError:
                wrong = ["exit code %d and no JSON: %s" % (done.returncode, done.stderr[-2000:])]
                run = None
            if wrong:
                failed = True
                print("FAILED: board %d: %s\n    %s\n%s" % (number, "; ".join(wrong), " ".join(command[1:]), source))
            if run:
                totals["boards"] += 1
                totals["admitted"] += sum(one["admitted"] for one in run["guarantees"])
                totals["not admitted"] += sum(not one["admitted"] for one in run["guarantees"])
                totals["promised"] += run["promised"]
                totals["requests"] += run["requests"]
                totals["refused"] += run["failed"]
    print("promises: " + ", ".join("%d %s" % (value, key) for key, value in totals.items()))
    if count >= 20 and (totals["promised"] == 0 or totals["refused"] == 0 or totals["not admitted"] == 0):
        print("FAILED: these boards show nothing")
        failed = True
    return failed


if __name__ == "__main__":
    sys.exit(main())
