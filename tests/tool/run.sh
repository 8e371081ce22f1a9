#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# run.sh - `cma run`: its options, errors and exit codes; every example board; the same seed, the
# same run, whichever compiler built the tool
. "$(dirname "$0")/../support/tool.sh" || exit 1
boards=examples/boards

# good FILTER ARGUMENTS...: a run whose JSON passes jq's FILTER and what holds for every run
good()
{
    local filter=$1 always
    shift
    always='.bytes_lost == 0 and .oracle_disagreements == 0 and .violation == "" and
        .requests > 0 and .requests == .succeeded + .failed and .failed == ([.failures[].count] | add // 0)
        and (.lent_share == null or (.lent_share >= '"${lent:-0.95}"' and .lent_share <= 1))'
    "$CMA" run --json "$@" >"$tmp/json" 2>"$tmp/err" ||
        fail "cma run $*: exit code $?: $(head -n 3 "$tmp/err")"
    jq -e "$always and ($filter)" "$tmp/json" >/dev/null ||
        fail "cma run $*: not so: $filter: $(jq -c 'del(.areas, .devices)' "$tmp/json")"
}

# Usage.
expect 0 'exit codes: 0 done' run --help
expect 2 'which board' run
expect 2 'one board at a time' run $boards/omap1-camera.dts $boards/media-1g.dts
expect 2 'No such file' run "$tmp/missing.dtb"
expect 2 'see cma run --help' run $boards/omap1-camera.dts --frobnicate
for bad in '--seconds 0' '--seconds 1x' '--fill 101' '--droppable -1' '--seed x' '--fill ""'; do
    # shellcheck disable=SC2086  # two words
    expect 2 'a number from' run $boards/omap1-camera.dts $bad
done
head -c 200 /dev/urandom >"$tmp/noise.dtb"
expect 2 'noise.dtb' run "$tmp/noise.dtb"
printf '/dts-v1/; / { #address-cells=<1>; #size-cells=<1>; memory { device_type="memory"; reg=<0 0>; }; };' \
    >"$tmp/empty.dts"
expect 2 '--memory' run "$tmp/empty.dts"

# What people see.
expect 0 '^bytes lost     0 ' run $boards/omap1-camera.dts --seconds 1
grep -q '^requests  .* asked for, .* given, 0 refused' "$tmp/out" || fail "no line of requests"
grep -q '^    at work  |#.*d.*|' "$tmp/out" || fail "no picture of the area at work"
grep -q $'\r' "$tmp/out" && fail "a progress bar, and no terminal"

# The example boards.
good '.failed == 0 and .demand_share == 1 and .pages_copied > 0 and .pages_dropped > 0' \
    $boards/omap1-camera.dts
good '.devices[0].format == "VGA" and .devices[0].pages_a_buffer == 113' $boards/omap1-camera.dts
good '.failed == 0 and .demand_share == 1 and ([.devices[].format] == ["1080p", "1080p", "1080p", "1080p"])
    and ([.devices[].coherent] == [false, false, false, true])' \
    $boards/media-1g.dts --fill 30 --seconds 1
good '.failed == 0 and .demand_share == 1 and (.devices | length) == 2 and
    ([.areas[] | select(.base | test("^0x[0-3]?[0-9a-f]{7}$"))] | length) == 2' \
    $boards/wide-4g.dts --fill 3 --seconds 1
# As a 32-bit kernel sees it: the areas are not linearly mapped there.
good '.demand_share == 1 and .promised > 0 and .broken_promises == 0 and
    [.guarantees[].admitted] == [true, false, false, true] and
    ([.guarantees[] | select(.admitted | not).reason] | unique) == ["mapping failed"]' \
    $boards/media-1g.dts --arch arm --fill 10 --seconds 1

# What the boards promise: admitted, asked for, never refused, within its bounds, and lent meanwhile.
kept='.broken_promises == 0 and .promised > 0 and ([.guarantees[] | select(.admitted and .taken > 0)] | length) > 1
    and ([.guarantees[] | select(.admitted)] | all(.copied_worst <= .max_moves and .at_a_time <= .blocks and
        .dropped_worst <= .dropped_most and .flushes_worst <= .flushes_most))'
for load in '--pins 40' '--droppable 90 --fill 60' '--droppable 25 --fill 80 --seed 2'; do
    # shellcheck disable=SC2086  # several words
    good "$kept and ([.guarantees[].admitted] | all) and .slot_lent_share >= 0.95 and
        ([.guarantees[].dropped_worst] | max) > 0" \
        $boards/media-1g.dts --memory 192M --seconds 1 $load
done
# Memory full of what can't be dropped: others are refused, but not who has a promise. Slots idle then.
lent=0 good "$kept and .failed > 0 and .slot_lent_share == null" \
    $boards/media-1g.dts --memory 192M --seconds 1 --droppable 0 --fill 100 --pins 20
jq -e '[.devices[] | select(.promised).failed] == [0, 0, 0]' "$tmp/json" >/dev/null || fail "a promise was refused"
good "$kept" $boards/wide-4g.dts --fill 3 --seconds 1
# Two cameras at one port are never open together: one's blocks lie in the other's slots.
good '[.guarantees[] | select(.device | test("camera")).at_a_time] == [6, 6] and .slots == 22' \
    $boards/media-1g.dts --memory 192M --seconds 2
# What the area can't hold is not admitted, and the device does without: six pictures of what fits.
promise()
{
    sed "s|memory-region = <&camera_area>;|&libcma,guarantee-blocks = <$1>; libcma,guarantee-size = <$2>; ${3:-}|" \
        $boards/omap1-camera.dts >"$tmp/promise.dts"
}
promise 5 0x100000
expect 0 'NOT ADMITTED: 5 blocks of 256 pages refused: ' run "$tmp/promise.dts" --seconds 1
good '[.guarantees[].admitted] == [false] and .promised == 0 and .slots == 0 and .devices[0].format == "VGA"
    and (.guarantees[0].sentence | endswith("; 4 of them, or 5 of 204 pages would have been admitted."))' \
    "$tmp/promise.dts" --seconds 1
# Blocks that hold no picture, and more than a device of the simulator works with.
promise 200 0x1000
good "[.guarantees[].admitted] == [true] and .devices[0].format == \"raw\" and .devices[0].buffers == 64 and
    .slots == 200 and .guarantees[0].at_a_time == 64 and .promised == .requests" "$tmp/promise.dts" --seconds 1
# A device without an area of its own has the default one; one that was promised nothing has a quota.
promise 2 0x10000 'libcma,quota = <0x1000>;'
sed 's/memory-region = <&camera_area>;//; s/reusable;/& linux,cma-default;/' "$tmp/promise.dts" >"$tmp/default.dts"
good '.promised == .requests and .devices[0].area == "camera@11c00000" and .devices[0].buffers == 2' \
    "$tmp/default.dts" --seconds 1
sed 's/libcma,guarantee[^;]*;//g' "$tmp/promise.dts" >"$tmp/quota.dts"
good '.succeeded == 0 and [.failures[].reason] == ["quota used up"] and .oracle_questions == 0' \
    "$tmp/quota.dts" --seconds 1
sed 's/quota = <0x1000>/quota = <0x10000000 0>/' "$tmp/quota.dts" >"$tmp/large.dts"
good '.failed == 0' "$tmp/large.dts" --seconds 1
# Linux has none of this, and is told so.
expect 0 '^promised       nothing: Linux has no guarantees' run $boards/media-1g.dts --memory 192M --fill 30 \
    --seconds 1 --policy linux
good '.policy == "linux" and .promised == 0 and ([.guarantees[].admitted] | all) and .slots == 0 and
    .devices[0].format == "1080p" and .devices[3].buffers == 16' \
    $boards/media-1g.dts --memory 192M --fill 30 --seconds 1 --policy linux
expect 0 'of these were$' run $boards/media-1g.dts --memory 192M --fill 30 --seconds 1 --compare
grep -q '^refused. Linux has no guarantees' "$tmp/out" || fail "compare: no word about guarantees"
expect 0 '^promised       .* of the buffers asked for, 0 of these refused' run $boards/media-1g.dts \
    --memory 192M --fill 30 --seconds 1
grep -q '^    /soc/camera@10000000: 6 blocks of 3 MiB, 0 copies$' "$tmp/out" || fail "the promise is not told"
grep -q ' of 0 copies, [0-9]* of 768 pages dropped, [01] of 1 flushes$' "$tmp/out" || fail "its cost is not told"

# Options that mean something.
good '.pages_dropped == 0 and .pages_droppable == 0 and .pages_copied > 0' \
    $boards/omap1-camera.dts --droppable 0
# (Pages of the cache that are being written back have to be carried, too.)
good '.pages_copied < .pages_dropped / 20 and .pages_filled == .pages_droppable' \
    $boards/omap1-camera.dts --droppable 100 --fill 100
good '.succeeded == 0 and .failures[0].reason == "no room for kept pages"' \
    $boards/omap1-camera.dts --droppable 0 --fill 100
good '(.pages_filled * 100 / .pages | round) == 50' $boards/omap1-camera.dts --fill 50

# An area of exactly six pictures, at page granularity: Linux's granule would refuse it.
sed 's/0x11c00000 0x00400000/0x11c00000 0x002a6000/' $boards/omap1-camera.dts >"$tmp/tight.dts"
good '.area_added and .camera_added and .problems > 0' "$tmp/tight.dts" --seconds 1
good '(.area_added | not) and .devices[0].format == "VGA" and .devices[0].starts > 0' \
    "$tmp/tight.dts" --granule page --seconds 1
# Three devices that share it: most have to be refused, and each refusal has to be right.
device()
{
    printf '%s@%s { compatible = "x"; reg = <0x%s 0x100>; memory-region = <\\&camera_area>; };' "$@"
}
sed "s|camera@fffb6800 {|$(device a fffb0000 fffb0000) $(device b fffb1000 fffb1000) &|" \
    "$tmp/tight.dts" >"$tmp/shared.dts"
good '.failed > 0 and .oracle_questions == .failed and .succeeded > 0' \
    "$tmp/shared.dts" --granule page --seconds 2
# Each refusal is one sentence, the same for people and programs: reason, who, and what would do.
jq -r '.failures[].sentence' "$tmp/json" >"$tmp/sentences"
grep -qv '^113 pages refused: [^.]*\.$' "$tmp/sentences" && fail "sentences: $(cat "$tmp/sentences")"
grep -q 'the buffer of /soc/[a-z]*@[0-9a-f]* around 0x.*; it would have fitted with the buffer of /soc/.* released\.$' \
    "$tmp/sentences" || fail "sentences: $(cat "$tmp/sentences")"
expect 0 'bytes lost' run "$tmp/shared.dts" --granule page --seconds 2
while IFS= read -r sentence; do
    grep -qF " ms: $sentence" "$tmp/out" || fail "not told: $sentence"
done <"$tmp/sentences"
# The README shows one.
expect 0 'bytes lost' run $boards/omap1-camera.dts --droppable 0 --fill 100
sed -n 's/.* ms: \(.*\)/\1/p' "$tmp/out" >"$tmp/sentence"
[ -s "$tmp/sentence" ] || fail "no sentence"
tr -s ' \n' '  ' <README.md | grep -qF "$(cat "$tmp/sentence")" || fail "not in the README: $(cat "$tmp/sentence")"
good '.failures | all(.change == "room" and .change_pages > 0 and (.change_pages as $pages |
    .sentence | endswith("; \($pages) pages more free outside of areas would have been enough.")))' \
    $boards/omap1-camera.dts --droppable 0 --fill 100 --seconds 1
# No area at all, and a default area without a device.
sed '/^\t*memory-region = /d; /^\t*reusable;/d; s/"shared-dma-pool"/"x"/' $boards/omap1-camera.dts >"$tmp/none.dts"
good '.area_added and .camera_added' "$tmp/none.dts" --seconds 1
good '(.area_added | not) and .camera_added and .areas[0].size == "0x800000"' \
    "$tmp/none.dts" --seconds 1 --cmdline cma=8M

# The same seed is the same run; another seed is another one; no compiler shows.
"$CMA" run --json $boards/omap1-camera.dts --seconds 2 --seed 7 >"$tmp/first.json"
"$CMA" run --json $boards/omap1-camera.dts --seconds 2 --seed 7 >"$tmp/second.json"
cmp "$tmp/first.json" "$tmp/second.json" || fail "two runs with one seed differ"
"$CMA" run --json $boards/omap1-camera.dts --seconds 2 --seed 8 >"$tmp/other.json"
[ "$(jq .trace "$tmp/first.json")" != "$(jq .trace "$tmp/other.json")" ] ||
    fail "two seeds give the same run"
if [ -x "$CMA_CLANG" ]; then
    "$CMA_CLANG" run --json $boards/omap1-camera.dts --seconds 2 --seed 7 >"$tmp/clang.json"
    cmp "$tmp/first.json" "$tmp/clang.json" || fail "clang's build runs differently"
else
    echo "no clang build at $CMA_CLANG: not compared"
fi

[ $failed -eq 0 ] && echo "cma run: all as it has to be"
exit $failed
