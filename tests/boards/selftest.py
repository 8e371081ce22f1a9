# SPDX-License-Identifier: BSD-2-Clause
"""Shows that the comparison can fail: a right layout passes, and each wrong one is caught."""
import copy
import os
import subprocess
import tempfile

import compare
import dts

BOARD = """
/dts-v1/;
/memreserve/ 0x41000000 0x1000;
/ {
    model = "a board";
    #address-cells = <1>;
    #size-cells = <1>;
    memory@40000000 { device_type = "memory"; reg = <0x40000000 0x20000000>; };
    reserved-memory {
        #address-cells = <1>;
        #size-cells = <1>;
        ranges;
        camera: camera@44000000 {
            compatible = "shared-dma-pool";
            reusable;
            reg = <0x44000000 0x1000000>;
            linux,cma-default;
        };
        firmware@43000000 { reg = <0x43000000 0x10000>; no-map; };
        pool {
            compatible = "shared-dma-pool";
            size = <0x100000>;
            alignment = <0x100000>;
            alloc-ranges = <0x40000000 0x10000000>;
        };
        sticks@3fff0000 { reg = <0x3fff0000 0x20000>; no-map; };
        huge { compatible = "shared-dma-pool"; reusable; size = <0x20000000>; };
        odd@50001000 { compatible = "shared-dma-pool"; reusable; reg = <0x50001000 0x200000>; };
        off@42000000 { status = "disabled"; reg = <0x42000000 0x1000>; };
    };
    soc {
        #address-cells = <1>;
        #size-cells = <1>;
        ranges;
        dma-ranges = <0xc0000000 0x40000000 0x10000000>;
        isp@1000 { compatible = "x"; memory-region = <&camera>; };
        idle@2000 { compatible = "x"; status = "disabled"; memory-region = <&camera>; };
    };
};
"""

RIGHT = {
    "model": "a board",
    "memory": [{"base": "0x40000000", "size": "0x20000000"}],
    "reserved": [
        {"path": "", "name": "memreserve", "kind": "reserved", "base": "0x41000000",
         "size": "0x1000", "placement": "fixed", "default": False},
        {"path": "/reserved-memory/firmware@43000000", "name": "firmware", "kind": "no-map",
         "base": "0x43000000", "size": "0x10000", "placement": "fixed", "default": False},
        {"path": "/reserved-memory/camera@44000000", "name": "camera", "kind": "area",
         "base": "0x44000000", "size": "0x1000000", "placement": "fixed", "default": True},
        {"path": "/reserved-memory/pool", "name": "pool", "kind": "coherent-pool",
         "base": "0x4ff00000", "size": "0x100000", "placement": "dynamic", "default": False,
         "alignment": "0x100000", "ranges": [{"base": "0x40000000", "size": "0x10000000"}]},
        {"path": "/reserved-memory/sticks@3fff0000", "name": "sticks@3fff0000", "kind": "no-map",
         "base": "0x40000000", "size": "0x10000", "placement": "fixed", "default": False},
    ],
    "devices": [{"path": "/soc/isp@1000", "coherent": False, "dma_limit": "0x4fffffff",
                 "memory_region": ["/reserved-memory/camera@44000000"]}],
    "problems": [{"path": "/reserved-memory/odd@50001000", "property": "reg",
                  "message": "base 0x50001000 is no multiple of 2 MiB"},
                 {"path": "/reserved-memory/sticks@3fff0000", "property": "reg",
                  "message": "partly outside of memory"},
                 {"path": "/reserved-memory/huge", "property": "size", "message": "no room"}],
}

RESERVE, FIRMWARE, CAMERA, POOL, STICKS = 0, 1, 2, 3, 4

# What is put wrong: where, and what stands there then (None: it is taken away). A pool that gets
# nothing is wrong although a problem says so, because there is room for it.
WRONG = [
    (("model",), "another"),
    (("memory", 0, "size"), "0x10000000"),
    (("reserved", CAMERA, "base"), "0x44200000"),
    (("reserved", CAMERA, "size"), "0x800000"),
    (("reserved", CAMERA, "kind"), "coherent-pool"),
    (("reserved", CAMERA, "default"), False),
    (("reserved", CAMERA, "placement"), "dynamic"),
    (("reserved", CAMERA), None),
    (("reserved", CAMERA, "path"), "/reserved-memory/nobody"),
    (("reserved", FIRMWARE, "kind"), "reserved"),
    (("reserved", FIRMWARE, "path"), "/reserved-memory/off@42000000"),
    (("reserved", RESERVE), None),
    (("reserved", POOL, "size"), "0x80000"),
    (("reserved", POOL, "alignment"), "0x1000"),
    (("reserved", POOL, "ranges"), []),
    (("reserved", POOL, "base"), "0x4ff80000"),
    (("reserved", POOL, "base"), "0x50000000"),
    (("reserved", POOL, "base"), "0x3ff00000"),
    (("reserved", POOL, "base"), "0x44100000"),
    (("reserved", POOL, "base"), "0x41000000"),
    (("reserved", POOL, "base"), 0x4ff00000),
    (("devices", 0), None),
    (("devices", 0, "memory_region"), []),
    (("devices", 0, "dma_limit"), "0xcfffffff"),
    (("devices", 0, "dma_limit"), None),
    (("devices", 0, "path"), "/soc/idle@2000"),
    (("problems", 0), None),
    (("problems", 0, "path"), "/reserved-memory/camera@44000000"),
    (("problems", 0, "path"), "/reserved-memory/pool"),
    (("problems", 1), None),
    (("problems", 2), None),
    (("problems", 2, "path"), "/reserved-memory/pool", ("reserved", POOL), None),
    (("reserved", STICKS), None),
    (("reserved", STICKS, "size"), "0x8000"),
    (("reserved", STICKS, "base"), "0x40010000"),
]


def changed(edits):
    layout = copy.deepcopy(RIGHT)
    for place, value in zip(edits[::2], edits[1::2]):
        holder = layout
        for key in place[:-1]:
            holder = holder[key]
        if value is None:
            del holder[place[-1]]
        else:
            holder[place[-1]] = value
    return layout


def check_self(say):
    """Returns the number of failures."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "board.dtb")
        subprocess.run(["dtc", "-q", "-q", "-I", "dts", "-O", "dtb", "-o", path], check=True,
                       input=BOARD.encode())
        root, reserves = dts.read(path)
    memory = [(0x40000000, 0x20000000)]
    failures = 0
    tally = compare.compare(RIGHT, root, reserves, "arm64", memory)
    for where, what in tally.disagreements:
        failures += 1
        say("FAIL selftest: the right layout: %s: %s" % (where, what))
    for edits in WRONG:
        layout = changed(edits)
        if not compare.compare(layout, root, reserves, "arm64", memory).disagreements:
            failures += 1
            say("FAIL selftest: not caught: %s" % (edits,))
    for message, expected in (
            ("base 0x50001000 is no multiple of 2 MiB", "base N is no multiple of SIZE"),
            ("0x10 to 0x1f overlaps 'fb,x', which has it", "N to N overlaps NAME, which has it"),
            ("overlaps /reserved-memory/fb@80000000", "overlaps PATH")):
        got = compare.problem_class({"property": "reg", "message": message})[1]
        if got != expected:
            failures += 1
            say("FAIL selftest: class %r, not %r" % (got, expected))
    say("selftest: %d wrong layouts, %s" % (len(WRONG), "all caught" if failures == 0 else
                                            "%d FAILURES" % failures))
    return failures
