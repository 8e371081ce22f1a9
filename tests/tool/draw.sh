#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# draw.sh - `cma run --out DIR`: which files, that they are what they say, that the same run writes
# the same bytes, and that being drawn changes nothing of a run
. "$(dirname "$0")/../support/tool.sh" || exit 1
board=examples/boards/omap1-camera.dts

# run NAME ARGUMENTS...: a short run, drawn into $tmp/NAME, its JSON in $tmp/NAME.json
run()
{
    local name=$1
    shift
    "$CMA" run --json --seconds 1 --out "$tmp/$name" "$@" >"$tmp/$name.json" 2>"$tmp/err" ||
        fail "cma run $*: exit code $?: $(head -n 3 "$tmp/err")"
}

run one $board
run two $board
run other $board --seed 2
for file in map-1-before map-2-streaming map-3-after; do
    head -c 8 "$tmp/one/$file.png" | cmp -s - <(printf '\211PNG\r\n\032\n') || fail "$file.png is no PNG"
    grep -q '<svg .*width=' "$tmp/one/$file.svg" && tail -n 1 "$tmp/one/$file.svg" | grep -q '</svg>' ||
        fail "$file.svg is no SVG"
    for ending in png svg; do
        cmp -s "$tmp/one/$file.$ending" "$tmp/two/$file.$ending" || fail "$file.$ending: differs for one seed"
    done
done
cmp -s "$tmp/one/map-2-streaming.png" "$tmp/other/map-2-streaming.png" && fail "another seed, the same picture"
cmp -s "$tmp/one/map-1-before.png" "$tmp/one/map-2-streaming.png" && fail "no difference when a device streams"
[ "$(cd "$tmp/one" && ls | sort | tr '\n' ' ')" = "$(jq -r '.files[]' "$tmp/one.json" | sort | tr '\n' ' ')" ] ||
    fail "the files are not those that it names"

# Looking costs nothing: the same run, but for the names of the files.
"$CMA" run --json --seconds 1 $board >"$tmp/plain.json"
cmp -s <(jq 'del(.files)' "$tmp/one.json") <(jq . "$tmp/plain.json") || fail "a run that is drawn is another run"

# Both policies, beside each other; and a scenario.
run both $board --compare
for file in libcma-map-2-streaming.svg linux-map-2-streaming.png; do
    [ -s "$tmp/both/$file" ] || fail "--compare: no $file"
done
run scenario --scenario examples/scenarios/camera-full-cache.txt
[ -s "$tmp/scenario/map-2-streaming.png" ] || fail "a scenario is not drawn"

# Where nothing can be written, that is said before a long run, with exit code 2.
: >"$tmp/file"
for bad in "$tmp/file" "$tmp/no/such" "$tmp/file/below" "$(printf 'x%.0s' {1..300})"; do
    "$CMA" run $board --seconds 100000 --out "$bad" >"$tmp/out" 2>"$tmp/err"
    code=$?
    [ $code -eq 2 ] && grep -q -e "can't write there: " "$tmp/err" || fail "--out $bad: exit code $code"
done
"$CMA" run $board --seconds 1 --out "$tmp/one" >"$tmp/out" || fail "the same directory again: exit code $?"
grep -q "^    $tmp/one/map-3-after.png (and .svg)$" "$tmp/out" || fail "the files are not named"

[ $failed -eq 0 ] && echo "ok: maps of memory, drawn and named"
exit $failed
