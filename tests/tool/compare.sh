#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# compare.sh - `cma run --policy linux` and `cma run --compare`: Linux's places on a board, what they
# cost, and both policies side by side
. "$(dirname "$0")/../support/tool.sh" || exit 1
board=examples/boards/omap1-camera.dts

# json FILTER ARGUMENTS...: a run that ends with exit code 0 and whose JSON passes the filter
json()
{
    local filter=$1
    shift
    "$CMA" run --json "$@" >"$tmp/json" 2>"$tmp/err" ||
        fail "cma run $*: exit code $?: $(head -n 3 "$tmp/err")"
    jq -e "$filter" "$tmp/json" >/dev/null ||
        fail "cma run $*: not so: $filter: $(jq -c 'del(.. | .areas?, .devices?)' "$tmp/json")"
}

# text PATTERN: a line of the last output matches
text()
{
    grep -q -e "$1" "$tmp/out" || fail "no '$1' in: $(cat "$tmp/out")"
}

whole='.bytes_lost == 0 and .violation == "" and .requests == .succeeded + .failed and .requests > 0'

# Options.
"$CMA" run $board --policy windows >"$tmp/out" 2>&1
[ $? -eq 2 ] || fail "a policy that is none: not exit code 2"
text 'libcma or linux is wanted'
"$CMA" run $board --pins 101 >"$tmp/out" 2>&1
[ $? -eq 2 ] || fail "101 pins: not exit code 2"
"$CMA" run --help >"$tmp/out" 2>&1
text '--compare .*side by side'
text 'FOLL_LONGTERM'

# Linux's places: VGA pictures of 113 pages, each aligned to 128 in an area of 1,024, so six of them
# take 741 pages of the area, with holes of 15. libcma's lie one behind the other.
json "$whole"' and .policy == "linux" and .failed == 0 and .windows >= .succeeded
    and (.areas[0].pictures.at_work | test("^#{7}[.dm]#{7}[.dm]#{7}[.dm]#{7}[.dm]#{7}[.dm]#{7}[.dm]"))' \
    $board --policy linux --seconds 1
json "$whole"' and .policy == "libcma" and (has("windows") | not)
    and (.areas[0].pictures.at_work | test("^#{40}"))' $board --seconds 1
# The same seed, the same run.
cp "$tmp/json" "$tmp/first"
json "$whole" $board --policy libcma --seconds 1
cmp -s "$tmp/first" "$tmp/json" || fail "--policy libcma is not the default"

# Pins that stay where they are cost Linux windows, copies for nothing, and refusals; libcma none.
json '(.libcma | '"$whole"' and .policy == "libcma" and .failed == 0 and .wasted_copies == 0)
    and (.linux | '"$whole"' and .policy == "linux" and .windows_left > 0 and .wasted_copies > 0
        and .wasted_copies < .claim_copies and .windows == .windows_left + .succeeded
        and .windows_lost * 10 < .windows_left)
    and .libcma.seed == .linux.seed and .libcma.pages_filled == .linux.pages_filled
    and (.linux_to_libcma.copies > 1) and (.linux_to_libcma.latency_max > 1)' \
    $board --compare --pins 60 --droppable 20 --seconds 4
cp "$tmp/json" "$tmp/both"
jq -e '.linux.failed > 0 and .linux.failed == ([.linux.failures[].count] | add)
    and .linux.oracle_questions == .linux.failed
    and .linux.oracle_disagreements > 0
    and ([.linux.failures[].sentence] | all(test("ret: -16, which is all that Linux says")))' \
    "$tmp/both" >/dev/null || fail "Linux's refusals: $(jq -c '.linux.failures' "$tmp/both")"
# Both are the runs that --policy makes alone.
for policy in libcma linux; do
    json "$whole" $board --policy $policy --pins 60 --droppable 20 --seconds 4
    jq -S . "$tmp/json" >"$tmp/alone"
    jq -S ".$policy" "$tmp/both" | cmp -s - "$tmp/alone" || fail "$policy alone is another run"
done
# No compiler shows.
if [ -x "$CMA_CLANG" ]; then
    "$CMA_CLANG" run --json $board --compare --pins 60 --droppable 20 --seconds 4 | cmp - "$tmp/both" ||
        fail "clang's build runs differently"
else
    echo "no clang build at $CMA_CLANG: not compared"
fi
# The ratios are those of the two.
jq -e '(.linux_to_libcma.copies - .linux.claim_copies / .libcma.claim_copies) | . * . < 1e-6' \
    "$tmp/both" >/dev/null || fail "the ratio of copies"

# The same for people.
"$CMA" run $board --compare --pins 60 --droppable 20 --seconds 4 >"$tmp/out" 2>&1 ||
    fail "--compare: exit code $?"
text '^requests  *libcma  *|#'
text '^  in vain  *libcma  *| *| 0$'
text '^    Linux, [0-9]* x: 113 pages refused: ret: -16'
copies=$(jq .linux.claim_copies "$tmp/both")
grep -A 1 '^pages copied' "$tmp/out" | grep -q "Linux .*| $copies\$" || fail "not $copies copies"
grep -q $'\r' "$tmp/out" && fail "a progress bar, and no terminal"

# The README shows such a run; figures may have moved on since, words may not.
blur()
{
    sed 's/|[# ]*|/|bar|/; s/[0-9][0-9.]*/N/g'
}
"$CMA" run $board --compare --pins 60 | blur >"$tmp/blurred"
awk '/^```text$/ { block = 1; text = ""; next }
    /^```$/ && block { block = 0; if (text ~ /under both/) printf "%s", text }
    block { text = text $0 "\n" }' README.md | blur | diff - "$tmp/blurred" >"$tmp/diff" ||
    fail "the README shows another run: $(cat "$tmp/diff")"

# An area of exactly six pictures has no room for Linux's alignment. That is no failure of the command.
sed 's/0x11c00000 0x00400000/0x11c00000 0x002a6000/' $board >"$tmp/tight.dts"
json '(.libcma.failed < .linux.failed) and .linux.devices[0].starts == 0
    and .linux.failed == .linux.oracle_questions and .linux.bytes_lost == 0' \
    "$tmp/tight.dts" --granule page --compare --seconds 1
# No room to move to: Linux ends the request with -12.
json "$whole"' and .failures[0].sentence == "113 pages refused: ret: -12, which is all that Linux says."' \
    $board --policy linux --droppable 0 --fill 100 --seconds 1
# libcma says why.
json '.failures[0].sentence | test("^113 pages refused: a run could be emptied, but its data fits")' \
    $board --droppable 0 --fill 100 --seconds 1

# Three devices on one area, which start at the same time: one window is emptied at a time.
device()
{
    printf '%s@%s { compatible = "x"; reg = <0x%s 0x100>; memory-region = <\\&camera_area>; };' "$@"
}
sed "s|camera@fffb6800 {|$(device a fffb0000 fffb0000) $(device b fffb1000 fffb1000) &|" \
    $board >"$tmp/shared.dts"
json '[.libcma, .linux] | all('"$whole"' and .failed > 0 and .succeeded > 0)' \
    "$tmp/shared.dts" --compare --seconds 2 --pins 10

# Three areas, buses with windows of their own, devices side by side; highmem.
json '[.libcma, .linux] | all('"$whole"')' examples/boards/media-1g.dts --fill 10 --seconds 1 --compare
json '[.libcma, .linux] | all('"$whole"')' examples/boards/wide-4g.dts --fill 2 --seconds 1 --compare
json '[.libcma, .linux] | all('"$whole"')' \
    examples/boards/media-1g.dts --arch arm --fill 10 --seconds 1 --compare

[ $failed -eq 0 ] && echo "cma run --compare: all as it has to be"
exit $failed
