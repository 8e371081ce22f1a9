#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# run.sh - `cma run`: its options, errors and exit codes; every example board; the same seed, the
# same run, whichever compiler built the tool
set -u
cd "$(dirname "$0")/../.." || exit 1
CMA=${CMA:-build/cma}
CMA_CLANG=${CMA_CLANG:-build/clang/cma}
command -v jq >/dev/null || { echo "SKIPPED: jq is not installed"; exit 77; }
command -v dtc >/dev/null || { echo "SKIPPED: dtc is not installed"; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0
boards=examples/boards

fail()
{
    echo "FAILED: $*"
    failed=1
}

# expect CODE PATTERN ARGUMENTS...: the exit code, and a line of the output (both kinds) that matches
expect()
{
    local code=$1 pattern=$2 got
    shift 2
    "$CMA" "$@" >"$tmp/out" 2>&1
    got=$?
    [ $got -eq "$code" ] || fail "cma $*: exit code $got, not $code: $(head -n 3 "$tmp/out")"
    grep -q -e "$pattern" "$tmp/out" || fail "cma $*: no '$pattern' in: $(head -n 20 "$tmp/out")"
}

# good FILTER ARGUMENTS...: a run whose JSON passes jq's FILTER and what holds for every run
good()
{
    local filter=$1 always
    shift
    always='.bytes_lost == 0 and .oracle_disagreements == 0 and .violation == "" and
        .requests > 0 and .requests == .succeeded + .failed and .failed == ([.failures[].count] | add // 0)
        and (.lent_share == null or (.lent_share >= 0.95 and .lent_share <= 1))'
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
good '.failed == 0 and .demand_share == 1 and ([.devices[].format] == ["1080p", "1080p", "1080p"])
    and ([.devices[].coherent] == [false, false, true])' \
    $boards/media-1g.dts --fill 30 --seconds 1
good '.failed == 0 and .demand_share == 1 and (.devices | length) == 2 and
    ([.areas[] | select(.base | test("^0x[0-3]?[0-9a-f]{7}$"))] | length) == 2' \
    $boards/wide-4g.dts --fill 3 --seconds 1
# As a 32-bit kernel sees it: the areas are not linearly mapped there.
good '.failed == 0 and .demand_share == 1' $boards/media-1g.dts --arch arm --fill 10 --seconds 1

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
