#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# drive.sh - `cma drive`: its options, errors and exit codes; no byte wrong in any style, and some in
# each with what it is about left out; the boards are those of the device trees
. "$(dirname "$0")/../support/tool.sh" || exit 1

# holds FILTER: of the last JSON
holds()
{
    jq -e "$1" "$tmp/json" >/dev/null || fail "not so: $1: $(jq -c . "$tmp/json")"
}

# Usage.
expect 0 'exit codes: 0 done' drive --help
expect 0 'cma drive \[STYLE' --help
expect 2 "'frobnicate' is not a style" drive frobnicate
expect 2 'cma drive --help' drive --frobnicate
expect 2 'a number from 1 to' drive --transfers 0
expect 2 'a number from 1 to' drive --transfers x
expect 2 'a number from 0 to' drive --seed -1
expect 0 '^bounce  *100 ' drive --transfers 100
expect 0 '^window ' drive --transfers 100
expect 0 '^list  *50 ' drive list --transfers 50
grep -q '^bounce' "$tmp/out" && fail "a style that was not asked for"
[ -e /dev/full ] && { "$CMA" drive list --transfers 5 >/dev/full 2>&1; [ $? -eq 2 ] || fail "/dev/full"; }

# All of them, and what each is about happens.
"$CMA" drive --json --transfers 1500 --seed 5 >"$tmp/json" || fail "exit code $?"
holds '.seed == 5 and (.broken | not) and [.styles[].style] == ["bounce", "list", "ring", "offset", "window"]'
holds '.styles | all(.wrong == 0 and .failed == 0 and .faults == 0 and .misuses == 0 and .violation == "" and
    .transfers >= 1500 and .bytes > 100 * .transfers)'
holds '[.styles[] | select(.bounced > 500) | .style] == ["bounce", "list", "offset", "window"]'
holds '[.styles[] | select(.segments > .transfers) | .style] == ["list"]'

# The same seed is the same run; another seed is another one; no compiler shows.
"$CMA" drive --json --transfers 1500 --seed 5 | cmp - "$tmp/json" || fail "two runs with one seed differ"
"$CMA" drive --json --transfers 1500 --seed 6 | cmp -s - "$tmp/json" && fail "two seeds, the same run"
if [ -x "$CMA_CLANG" ]; then
    "$CMA_CLANG" drive --json --transfers 1500 --seed 5 | cmp - "$tmp/json" ||
        fail "clang's build runs differently"
fi

# The boards of the styles are those of the trees.
for i in 0 1 2 3 4; do
    style() { jq -r ".styles[$i]$1" "$tmp/json"; }
    "$CMA" layout --json "examples/boards/$(style .board).dts" >"$tmp/board"
    for kind in low default; do
        [ "$(jq -c "[.reserved[] | select(.base == \"$(style ".$kind.base")\") | .size, .default]" "$tmp/board")" = \
            "[\"$(style ".$kind.size")\",$([ $kind = default ] && echo true || echo false)]" ] ||
            fail "style $i: its $kind area is not the tree's"
    done
    [ "$(jq -c '[.memory[] | .base, .size]' "$tmp/board")" = "[\"0x0\",\"$(style .memory)\"]" ] ||
        fail "style $i: its memory is not the tree's"
done
for board in drivers window-64m; do
    "$CMA" layout "examples/boards/$board.dts" | sed -n 's/ (0x/ 0x/; s/^ *sees 0 as /sees 0x0 as /; s/^ *sees/sees/p' |
        sed 's/ bytes)//' >"$tmp/tree"
    jq -r --arg board $board '.styles[] | select(.board == $board) | .device.windows[] |
        "sees \(.cpu) as \(.device) \(.size)"' "$tmp/json" | diff - "$tmp/tree" || fail "$board: windows differ"
done

# So are the address lines of those that their buses limit.
for style in bounce list; do
    limit=$("$CMA" layout --json examples/boards/drivers.dts |
        jq -r --arg style $style '.devices[] | select(.path | contains("/\($style)@")) | .dma_limit')
    [ "$limit" = "$(jq -r --arg style $style '.styles[] | select(.style == $style) | .device.mask' "$tmp/json")" ] ||
        fail "$style: its mask is not the tree's: $limit"
done

# With what a style is about left out there are wrong bytes, and the exit code says so.
for style in bounce list ring offset window; do
    "$CMA" drive $style --break --json --transfers 500 >"$tmp/json"
    [ $? -eq 1 ] || fail "$style --break: exit code"
    holds '.broken and .styles[0].wrong > 1000'
    expect 1 'left out: ' drive $style --break --transfers 500
done

[ $failed -eq 0 ] && echo "cma drive: all as it has to be"
exit $failed
