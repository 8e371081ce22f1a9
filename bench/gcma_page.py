# SPDX-License-Identifier: BSD-2-Clause
"""What `bench/run gcma` measured, as rows, a page and a picture: for bench/report."""
import math

MODES = {"guaranteed": "with guarantees", "ordinary": "ordinary claims of libcma", "linux": "Linux 7.3's policy"}
# Min, max, mean in us, as published (RFC v2 of GCMA, S. Park, 24 February 2015), by pages.
PUBLISHED = {
    "CMA": {1: (381, 2853, 684), 512: (818, 2382, 1162), 1024: (3113, 184703, 12303),
            16384: (7266, 4132546, 657603)},
    "GCMA": {1: (13, 279, 26), 512: (512, 10140, 2002), 1024: (1016, 17426, 3495), 16384: (16398, 98087, 30474)},
}
WORST = 2  # what the longest request may take, in medians


def us(value):
    if value < 1e3:
        return f"{value:.3g} us"
    return f"{value / 1e3:.3g} ms" if value < 1e6 else f"{value / 1e6:.3g} s"


def find(lines):
    """{mode: {pages: line}}"""
    found = {}
    for line in lines:
        if line["kind"] == "gcma":
            found.setdefault(line["mode"], {})[line["pages"]] = line
    return found


def ratio(line):
    return line["max_us"] / line["median_us"] if line["n"] and line["median_us"] else None


def rows(lines):
    """(key, work, Linux, libcma, measured, target, met), for the first table of RESULTS.md."""
    found = find(lines)
    out = []
    for pages, line in found.get("guaranteed", {}).items():
        value, linux = ratio(line), found.get("linux", {}).get(pages)
        text = "-"
        if linux and linux["n"]:
            text = f"{ratio(linux):.2f}x" + (f", {linux['failed']} refused" if linux["failed"] else "")
        out.append((f"gcma-{pages}", f"GCMA's experiment, blocks of {pages:,}, promised: longest request to the median "
                    f"one (simulated, {line['n']} requests)", text,
                    f"{us(line['max_us'])} to {us(line['median_us'])}", "-" if value is None else f"{value:.2f}x",
                    f"at most {WORST}x, {line['moves']} copies, none refused",
                    value is not None and value <= WORST and line["failed"] == 0
                    and line["copied_max"] <= line["moves"]))
    return out


def table(out, head, lines):
    out.append("| " + " | ".join(head) + " |")
    out.append("|" + "---:|" * len(head))
    out.extend("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)
    out.append("")


def price(lines, machine):
    """What the gate costs whoever allocates pages."""
    cells = [line for line in lines if line["kind"] == "gate"]
    if not cells:
        return []
    out = ["## What guarantees in force cost the page allocator", "",
           "Measured, not simulated ([gate.c](gate.c), `bench/run gate`): an allocation and a free on two boards of",
           "one process, of which one has promised most of its area, with data that must be copied in the slots;",
           f"rounds alternate, and the ratio is the median of neighbours. {machine}.", ""]
    table(out, ("work", "without, ns", "with, ns", "ratio", "middle half"),
          [(line["cell"], f"{line['without_ns']:.1f}", f"{line['with_ns']:.1f}", f"**{line['ratio']:.2f}**",
            f"{line['low']:.2f} to {line['high']:.2f}") for line in cells])
    return out


def page(lines, machine):
    found = find(lines)
    some = next(iter(next(iter(found.values())).values()))
    out = ["# GCMA's experiment", "",
           "Written by `make bench`. The same version gives the same table on any machine, to the last digit:",
           f"`bench/build gcma && bench/run gcma --seed {some['seed']}`.", "",
           "GCMA (guaranteed CMA, RFC v2 of February 2015) was measured like this: a board with 800 MiB, of which",
           "256 MiB are an area; a kernel is being built in the background; 32 requests of each size, one at a time.",
           "Here the board is simulated, and so is the build ([gcma_load.h](gcma_load.h)): sixteen compilers that take",
           "1,000 to 8,000 pages each and give them back, a page cache that always wants more, object files that are",
           "dirty until they are written, pages pinned for 20 ms and referenced for 0.2 ms. Time is simulated time,",
           "after the table of costs in ports/sim/costs.c: from asking to having, without zeroing and caches, as in",
           "the published figures.", ""]
    if some["shrink"] != 1:
        out += [f"**The board and all sizes are divided by {some['shrink']} here.**", ""]
    out += ["![least, median and longest request by size](gcma.svg)", "",
            "*With guarantees* each size was promised one block at boot; a 32nd of its pages may be data that has to",
            "be copied, the rest is page cache. *Ordinary claims* are `cma_area_alloc` on the same area: whatever it",
            "lends is in the way. *Linux 7.3's policy* is first fit, emptied 32 pages at a time before it is known",
            "whether all can be had (docs/DESIGN.md, \"Linux's policy, as a peer\"); what is not in the table of costs",
            "costs Linux nothing here.", ""]
    for mode, name in MODES.items():
        if mode not in found:
            continue
        out += [f"## {name[0].upper()}{name[1:]}", ""]
        table(out, ("pages", "least", "median", "mean", "longest", "longest to median", "copies: mean",
                    "most", "drops: mean", "most", "refused", "lent when asked"),
              [(f"{pages:,}", us(l["min_us"]), us(l["median_us"]), us(l["mean_us"]), us(l["max_us"]),
                "-" if ratio(l) is None else f"**{ratio(l):.2f}x**", f"{l['copied']:.1f}", f"{l['copied_max']:,}",
                f"{l['dropped']:.1f}", f"{l['dropped_max']:,}", f"{l['failed']} of {l['n'] + l['failed']}",
                f"{100 * l['lent']:.1f} %") for pages, l in found[mode].items()])
    loads = [line for line in lines if line["kind"] == "gcma-load"]
    if loads:
        out += ["What the build did meanwhile, files a simulated second: " +
                "; ".join(f"{MODES[l['mode']]} {l['compiled'] / l['seconds']:.1f}" for l in loads) + ".",
                "Compilers find less under guarantees: what the cache gives up for them, by chance, often lies in a",
                "slot, where their data may not go, and they look again. Half of this area is promised.", ""]
    return "\n".join(out + published(found) + price(lines, machine))


def published(found):
    out = ["## As published by others, on another board", "",
           "From the cover letter of GCMA's RFC v2: CuBox i4 Pro (ARMv7, four cores at 1 GHz), Linux 3.18, `make -j16`",
           "in the background, class-10 SD card. Their durations hold all that a real machine adds (storage,",
           "throttling, locks), ours are the work itself; so compare the last columns, which say how far the longest",
           "request is from a usual one. Medians were not published, so these are against the mean. Sizes without",
           "published figures are left out.", ""]
    def text(line):
        return "-" if line is None or not line["mean_us"] else f"{line['max_us'] / line['mean_us']:.1f}x"
    table(out, ("pages", "CMA: least", "mean", "longest", "GCMA: least", "mean", "longest",
                "longest to mean: CMA", "GCMA", "Linux's policy here", "ordinary claims", "with guarantees"),
          [(f"{pages:,}", us(cma[0]), us(cma[2]), us(cma[1]), us(gcma[0]), us(gcma[2]), us(gcma[1]),
            f"{cma[1] / cma[2]:.1f}x", f"{gcma[1] / gcma[2]:.1f}x",
            *(text(found.get(mode, {}).get(pages)) for mode in ("linux", "ordinary")),
            f"**{text(found.get('guaranteed', {}).get(pages))}**")
           for pages, cma in PUBLISHED["CMA"].items() for gcma in (PUBLISHED["GCMA"][pages],)])
    return out


# --- the picture ---

STYLE = """<style>
text { fill: #1f2937 } .grid { stroke: #d1d5db } .guaranteed { stroke: #1d4ed8; fill: #1d4ed8 }
.ordinary { stroke: #0891b2; fill: #0891b2 } .linux { stroke: #c2410c; fill: #c2410c }
.CMA { stroke: #9ca3af; fill: #9ca3af } .GCMA { stroke: #6b7280; fill: #6b7280 } text[class] { stroke: none }
@media (prefers-color-scheme: dark) { text { fill: #e5e7eb } .grid { stroke: #4b5563 }
.guaranteed { stroke: #60a5fa; fill: #60a5fa } .ordinary { stroke: #22d3ee; fill: #22d3ee }
.linux { stroke: #fb923c; fill: #fb923c } }
</style>"""


def picture(lines):
    """A bar from the least to the longest request for each size and who, a dot at the median (published: mean)."""
    found, low, high, left, top, width, height = find(lines), 0, 7, 70, 66, 900, 330
    sizes = sorted({pages for cells in found.values() for pages in cells})
    parts = ['<svg xmlns="http://www.w3.org/2000/svg" width="1000" height="440" font-family="sans-serif" '
             'font-size="13">', STYLE,
             '<text x="70" y="22" font-size="16">From asking to having, while a kernel is being built: least, '
             "median and longest request</text>"]
    def y_of(value):
        return top + height * (high - math.log10(max(value, 1))) / (high - low)
    for power in range(low, high + 1):
        y = y_of(10 ** power)
        parts += [f'<line class="grid" x1="{left}" y1="{y:.0f}" x2="{left + width}" y2="{y:.0f}"/>',
                  f'<text x="{left - 8}" y="{y + 4:.0f}" text-anchor="end">{us(10.0 ** power)}</text>']
    who = [*MODES, "GCMA", "CMA"]
    names = {**MODES, "GCMA": "GCMA, published (other board, mean)", "CMA": "CMA, published (the same)"}
    for n, name in enumerate(who):
        parts.append(f'<text class="{name}" x="{left + (0, 130, 310, 460, 720)[n]}" y="46">{names[name]}</text>')
    step = width / max(1, len(sizes))
    for i, pages in enumerate(sizes):
        parts.append(f'<text x="{left + step * (i + 0.5):.0f}" y="{top + height + 22}" text-anchor="middle">{pages:,} '
                     f'page{"" if pages == 1 else "s"}</text>')
        for n, name in enumerate(who):
            line, other = found.get(name, {}).get(pages), PUBLISHED.get(name, {}).get(pages)
            if line and line["n"]:
                least, dot, most = line["min_us"], line["median_us"], line["max_us"]
            elif other:
                least, most, dot = other
            else:
                continue
            x = left + step * (i + 0.5) + (n - 2) * 18
            parts += [f'<line class="{name}" x1="{x:.0f}" y1="{y_of(least) + 2:.1f}" x2="{x:.0f}" '
                      f'y2="{y_of(most) - 2:.1f}" stroke-width="5"/>',
                      f'<circle class="{name}" cx="{x:.0f}" cy="{y_of(dot):.1f}" r="5.5"/>']
    return "\n".join(parts + ["</svg>", ""])
