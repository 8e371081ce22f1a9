#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# scenarios.sh [SECONDS] - `cma run --scenario`: every example, shortened, says in one line what
# happened; errors name file and line; what a too small board is told is true
#
# With SECONDS (make check-long) only the four cameras are run, for so long and under both policies.
. "$(dirname "$0")/../support/tool.sh" || exit 1
scenarios=examples/scenarios
verb=(run)

# refused LINE PATTERN TEXT: a file that can't be run, and the line of it that is named
refused()
{
    printf '%s' "$3" >"$tmp/bad.txt"
    expect 2 "^cma: $tmp/bad.txt:${1:+$1:} .*$2" --scenario "$tmp/bad.txt"
    [ "$(wc -l <"$tmp/out")" -eq 1 ] || fail "more than a line about $3: $(cat "$tmp/out")"
}

# good FILTER ARGUMENTS...: a run whose JSON passes jq's FILTER; nothing is ever lost or stale
good()
{
    local filter=$1
    shift
    "$CMA" run --json "$@" >"$tmp/json" 2>"$tmp/err" || fail "cma run $*: exit code $?: $(head -n 3 "$tmp/err")"
    jq -e '([.libcma // ., .linux // empty] | all(.violation == "" and .bytes_lost == 0 and
            .scenario.lost_bytes == 0 and .scenario.stale_bytes == 0)) and
        ((.libcma // .) | .broken_promises == 0 and .oracle_disagreements == 0) and
        ('"$filter"')' "$tmp/json" >/dev/null ||
        fail "cma run $*: not so: $filter: $(jq -c '[.libcma // ., .linux // empty] | map(.scenario)' "$tmp/json")"
}

all='.scenario.dropped == 0 and .scenario.frames > 0 and .failed == 0 and ([.guarantees[].admitted] | all) and
    (.scenario.areas_too_small == []) and ([.scenario.devices[] | .opens == .opened and .opens > 0] | all)'
both=".linux.policy == \"linux\" and (.libcma | $all)"

# The same load under both: this area is just large enough, for who puts buffers where they fit.
if [ -n "${1:-}" ]; then
    good "$both and .linux.scenario.dropped > 0" --scenario $scenarios/four-cameras.txt --seconds "$1" --compare
    jq -r '[.libcma, .linux][] | "\(.policy): \(.scenario.frames) frames, \(.scenario.dropped) dropped, \(
        .scenario.lost_bytes) bytes lost, \(.scenario.stale_bytes) stale"' "$tmp/json"
    exit $failed
fi

# Every example: what it says in its last line.
line()
{
    expect 0 "$2" --scenario "$scenarios/$1.txt" --seconds "$3"
    tail -n 1 "$tmp/out" | grep -q -e "$2" || fail "$1: its last line is $(tail -n 1 "$tmp/out")"
    grep -q "^Scenario: $(sed -n 's/^scenario "\(.*\)"$/\1/p' "$scenarios/$1.txt")\$" "$tmp/out" ||
        fail "$1: no title"
    told="$told $1.txt"
}
told=
line camera-full-cache '^result  .* 1 of 1 openings; 60 of 60 frames, 0 dropped; 0 bytes lost, 0 stale bytes$' 3
line face-unlock '^result  .* 2 of 2 openings; 96 of 96 frames, 0 dropped; 0 bytes lost, 0 stale bytes$' 2
line decoder-camera '^result  .* 2 of 2 openings; 67 of 67 frames, 0 dropped; 0 bytes lost, 0 stale bytes$' 3
line four-cameras '^result  .* 4 of 4 openings; 222 of 222 frames, 0 dropped; 0 bytes lost, 0 stale bytes$' 3
line viewfinder '^result  .* 3 of 3 openings; 178 of 178 frames, 0 dropped; 0 bytes lost, 0 stale bytes$' 3
line old-bus '^result  .* 3 of 3 openings; 178 of 178 frames, 0 dropped; 0 bytes lost, 0 stale bytes$' 3
line too-small '^result  .* 0 of 1 openings; 0 of 30 frames, 30 dropped; 0 bytes lost, 0 stale bytes$' 2
for file in "$scenarios"/*; do
    [[ " $told " == *" ${file##*/} "* ]] || fail "$file is not run here"
done
for name in camera-full-cache face-unlock decoder-camera four-cameras viewfinder old-bus; do
    good "$all" --scenario $scenarios/$name.txt --seconds 3 --seed 3
done

# What the file says arrives, and what is said here wins over it.
good '.fill_percent == 99 and .droppable_percent == 90 and .seconds == 1 and .seed == 1 and
    .devices[0].path == "/soc/camera@fffb6800" and .devices[0].pages_a_buffer == 113 and
    .devices[0].format == "NV12 640x480"' --scenario $scenarios/camera-full-cache.txt --seconds 1
good '.fill_percent == 50 and .droppable_percent == 10 and .seed == 9 and .scenario.frames == 15' \
    --scenario $scenarios/camera-full-cache.txt --seconds 1 --fill 50 --droppable 10 --seed 9
good '(.model | test("Media board")) and .pages < 50000 and .scenario.devices[0].kind == "display" and
    .scenario.devices[0].slowest_open_us < 10000' \
    --scenario $scenarios/face-unlock.txt --seconds 1
cat >"$tmp/small.txt" <<END
scenario "Options"
board $PWD/examples/boards/omap1-camera.dts
cmdline "cma=8M"
memory 24M
granule page
time 1s
pins 2
seed 5

camera one          # no node: the default area
    format GREY 64x64
    buffers 2
    rate 10
    open at 100ms for 200ms every 300ms
camera two
    format NV12M 64x64
    promise 3
    open at 0us
END
good '.seed == 5 and .seconds == 1 and .fill_percent == 90 and ([.areas[].size] | index("0x800000")) and
    .pages == 6144 and ([.devices[].path] == ["one", "two"]) and ([.devices[].buffers] == [2, 12]) and
    ([.guarantees[] | [.blocks, .max_moves]] == [[6, 3], [6, 3]]) and .promised == 12 and
    ([.scenario.devices[] | [.opens, .frames]] == [[3, 6], [1, 30]])' --scenario "$tmp/small.txt"
good '([.areas[].size] | index("0x400000")) and .pages == 8192' \
    --scenario "$tmp/small.txt" --cmdline cma=4M --memory 32M

# A group: never open together, so one waits for the other and misses frames; the slots are shared.
sed 's/^    open at 2200ms for 1600ms/    open at 1500ms for 1500ms/; s|\.\./boards|'"$PWD"'/examples/boards|' \
    $scenarios/decoder-camera.txt >"$tmp/overlap.txt"
good '.slots == 8 and .failed == 0 and .scenario.devices[0].dropped == 0 and .scenario.devices[1].dropped >= 15 and
    .scenario.devices[1].frames + .scenario.devices[1].dropped == 45' --scenario "$tmp/overlap.txt" --seconds 3
sed '/group/d' "$tmp/overlap.txt" >"$tmp/apart.txt"
good '.slots == 14 and .scenario.dropped == 0' --scenario "$tmp/apart.txt" --seconds 3

# The larger blocks are admitted first, whatever the order of the file: the smaller lie in their slots.
pair=$'format GREY 64x64\nbuffers 2\npromise\ngroup g\nopen at 0s for 100ms\n'
printf 'board %s\ncamera a\n%scamera b\n%s' "$PWD/examples/boards/dashcam.dts" "$pair" \
    "${pair/64x64/640x480}" >"$tmp/order.txt"
good '.slots == 2 and .slot_pages == 150' --scenario "$tmp/order.txt" --seconds 1
# More than the program can look at: it is late by all buffers, and drops what comes then.
printf 'board %s\ncamera a\nformat XRGB8888 640x480\nbuffers 2\nrate 1000\nopen at 0s\n' \
    "$PWD/examples/boards/dashcam.dts" >"$tmp/fast.txt"
good '.failed == 0 and .scenario.dropped > 100 and (.scenario.frames + .scenario.dropped) == 1000' \
    --scenario "$tmp/fast.txt" --seconds 1

# Too small: why, what would have been admitted, and which size of the area would do. It does, and not
# a page less.
expect 0 'NOT ADMITTED: 4 blocks of 760 pages refused: .*; 1 of them, or 4 of 256 pages would have been' \
    --scenario $scenarios/too-small.txt --seconds 1
grep -q 'AREA TOO SMALL: camera@11c00000 has 4 MiB, and its devices want 3040 pages: 12 MiB would do$' "$tmp/out" ||
    fail "it does not say what would do"
sized()
{
    sed "s/0x11c00000 0x00400000/0x11400000 $1/" examples/boards/omap1-camera.dts >"$tmp/sized.dts"
}
sized 0x00c00000
good "$all" "$tmp/sized.dts" --scenario $scenarios/too-small.txt --seconds 1
good '.scenario.areas_too_small[0].would_do == "0xbe0000"' --scenario $scenarios/too-small.txt --seconds 1 \
    --granule page
sized 0x00be0000
good "$all" "$tmp/sized.dts" --scenario $scenarios/too-small.txt --seconds 1 --granule page
sized 0x00bdf000
good '.scenario.frames == 0 and .scenario.areas_too_small[0].would_do == "0xbe0000" and
    ([.guarantees[].admitted] == [false])' \
    "$tmp/sized.dts" --scenario $scenarios/too-small.txt --seconds 1 --granule page

# A display that finds no room is told the same.
sed 's/^camera /display /; s|\.\./boards|'"$PWD"'/examples/boards|' $scenarios/too-small.txt >"$tmp/panel.txt"
good '.scenario.frames == 0 and .scenario.dropped == 30 and .scenario.devices[0].opened == 0' \
    --scenario "$tmp/panel.txt" --seconds 2

# The same load under Linux's policy: on this area it drops frames, on one of 16 MiB it does not.
good "$both and .linux.scenario.dropped > 30 and .linux.failed > 0" \
    --scenario $scenarios/four-cameras.txt --seconds 4 --compare
expect 0 '^frames dropped   libcma  .* 0$' --scenario $scenarios/four-cameras.txt --seconds 4 --compare
[ "$(grep -c '^result ' "$tmp/out")" -eq 2 ] || fail "compare: not two results"
sed 's/0x43000000 0x00c00000/0x43000000 0x01000000/' examples/boards/dashcam.dts >"$tmp/large.dts"
good "$both and .linux.scenario.dropped == 0" "$tmp/large.dts" --scenario $scenarios/four-cameras.txt --seconds 4 \
    --compare

# Camera, scaler, display: the queues take what their devices were promised; a display twice as fast shows
# each picture twice; the program's pictures are kept. Linux has no queues, and nothing is shown there.
good '.devices[2].buffers == 0 and .promised == 10 and ([.guarantees[].taken] == [6, 4]) and
    ([.scenario.devices[].frames] == [60, 60, 58])' --scenario $scenarios/viewfinder.txt --seconds 3
sed 's|\.\./boards|'"$PWD"'/examples/boards|; $s/.*/rate 60/' $scenarios/viewfinder.txt >"$tmp/twice.txt"
good '.scenario.dropped == 0 and .scenario.devices[2].frames > 110' --scenario "$tmp/twice.txt" --seconds 3
good "$both and .linux.scenario.frames == 120 and .libcma.scenario.frames == 178" \
    --scenario $scenarios/viewfinder.txt --seconds 3 --compare
expect 0 "^Under libcma's policy devices are drivers over queues" --scenario $scenarios/viewfinder.txt \
    --seconds 1 --compare
expect 0 'small-3-last.png' --scenario $scenarios/viewfinder.txt --seconds 1 --out "$tmp/pictures"
for name in hand small; do
    [ -s "$tmp/pictures/frame-$name-1-first.png" ] || fail "no picture of $name"
done
# Every format, through scaler and display; rows are no whole cache lines, and what is promised is what
# the queues take.
printf 'board b\ncamera a\nformat none 8x8\n' >"$tmp/bad.txt"
"$CMA" run --scenario "$tmp/bad.txt" 2>&1 | sed -n 's/.* there are //p' | sed 's/, */\n/g' >"$tmp/formats"
[ "$(wc -l <"$tmp/formats")" -eq 10 ] || fail "formats not found: $(cat "$tmp/formats")"
while read -r format; do
    sed 's|\.\./boards|'"$PWD"'/examples/boards|; s/^\( *format\) [A-Z0-9]* 1280x720/\1 '"$format"' 168x104/
        s/^\( *format\) [A-Z0-9]* 640x360/\1 '"$format"' 84x52/' $scenarios/viewfinder.txt >"$tmp/format.txt"
    planes=1
    [ "$format" = NV12M ] && planes=2
    good ".promised == $((10 * planes)) and ([.guarantees[].taken] | add == $((10 * planes))) and
        ([.devices[].format] == [\"$format 168x104\", \"$format 84x52\", \"$format 84x52\"]) and
        ([.scenario.devices[].frames] == [45, 45, 43]) and .scenario.dropped == 0" \
        --scenario "$tmp/format.txt" --seconds 2 --out "$tmp/pictures-$format"
    [ -s "$tmp/pictures-$format/frame-small-3-last.png" ] || fail "$format: no picture"
done <"$tmp/formats"
# The scaler finds no memory: its buffers are named, and camera and display are not open either.
sed '/^scaler/,/^display/s|promise|node /soc/camera@10001000|; s/buffers 6/buffers 24/
    s|\.\./boards|'"$PWD"'/examples/boards|' $scenarios/viewfinder.txt >"$tmp/refused.txt"
good '([.scenario.devices[].opened] == [0, 0, 0]) and ([.scenario.devices[].frames] == [0, 0, 0]) and
    ([.scenario.devices[].dropped] == [60, 60, 60])' --scenario "$tmp/refused.txt" --seconds 3

# Errors: the file, the line, what was expected.
expect 2 'missing.txt: No such file' --scenario "$tmp/missing.txt"
expect 2 "$tmp: " --scenario "$tmp"
expect 2 'one board at a time' a.dts b.dts --scenario $scenarios/too-small.txt
expect 2 'none.dts' --scenario $scenarios/too-small.txt none.dts
refused '' 'expected a line board' ''
refused 2 "'frob' is no word here; expected scenario, board," $'board x\nfrob\n'
refused 3 "expected width x height, such as 640x480, at most 16384 each, not '640'" \
    $'board x\ncamera a\nformat NV12 640\n'
camera=$'camera a\nformat GREY 64x64\nopen at 0s\n'
refused 2 'expected a board that can be read, not .*/no such.dts: No such file' $'\nboard "no such.dts"\n'"$camera"
refused 1 'expected a board that can be read, not /: Is a directory' $'board /\n'"$camera"
refused 5 "expected the path of a device of .* that is enabled, not '/nowhere'" \
    "board $PWD/examples/boards/dashcam.dts"$'\n'"${camera}node /nowhere"
# What a scaler or display can't be.
chain()
{
    refused "$1" "$2" "board $PWD/examples/boards/dashcam.dts"$'\n'"$camera$3"
}
scaler=$'scaler b\nfrom a\nformat GREY 32x32\n'
display=$'display c\nfrom b\nformat GREY 32x32\n'
chain 5 "scaler 'b': expected no line open: it is opened and closed with what it reads" "${scaler}open at 0s"
chain 5 "scaler 'b': expected the format that it reads, with width and height divided" "${scaler/32x32/31x32}"
chain 5 "scaler 'b': expected the format that it reads, with width and height divided" "${scaler/GREY/YUYV}"
chain 5 "scaler 'b': expected the format that it reads, with width and height divided" "${scaler/32x32/4x4}"
chain 5 "scaler 'b': expected no group" "${scaler}promise"$'\n'"group g"
chain 5 "display 'c': expected a scaler's name behind from" "${display/from b/from a}"
chain 8 "display 'c': expected the scaler's format" "$scaler${display/32x32/16x16}"
chain 8 "display 'c': expected no promise" "$scaler${display}promise"
chain 8 "scaler 'd': expected a camera's or decoder's name behind from" "$scaler${scaler/b$'\n'from a/d$'\n'from b}"
chain 8 "scaler 'd': expected the only reader of those frames" "$scaler${scaler/scaler b/scaler d}"
chain 7 "'RGB': no such format" "${scaler/GREY/RGB}"
head -c 70000 /dev/zero >"$tmp/zero.txt"
expect 2 'longer than 65536 bytes' --scenario "$tmp/zero.txt"
head -c 300 /dev/urandom >"$tmp/noise.txt"
expect 2 "^cma: $tmp/noise.txt:[0-9]*: " --scenario "$tmp/noise.txt"

# A report that is cut off is no success.
if [ -w /dev/full ]; then
    for option in '' --json --compare; do
        "$CMA" run --scenario $scenarios/camera-full-cache.txt --seconds 1 $option >/dev/full 2>"$tmp/err"
        code=$?
        [ $code -eq 2 ] && grep -q 'not all of the report' "$tmp/err" || fail "a full disk, $option: exit code $code"
    done
fi

# The same seed is the same run, whichever compiler built it.
"$CMA" run --json --scenario $scenarios/face-unlock.txt --seconds 1 >"$tmp/first.json"
"$CMA" run --json --scenario $scenarios/face-unlock.txt --seconds 1 >"$tmp/second.json"
cmp "$tmp/first.json" "$tmp/second.json" || fail "two runs with one seed differ"
if [ -x "$CMA_CLANG" ]; then
    "$CMA_CLANG" run --json --scenario $scenarios/face-unlock.txt --seconds 1 >"$tmp/clang.json"
    cmp "$tmp/first.json" "$tmp/clang.json" || fail "clang's build runs differently"
else
    echo "no clang build at $CMA_CLANG: not compared"
fi

# docs/SCENARIO.md shows an example that is there, and knows every word.
sed -n '/^scenario "/,/^```$/p' docs/SCENARIO.md | sed '/^```$/,$d' >"$tmp/shown.txt"
sed -n '/^scenario/,$p' $scenarios/camera-full-cache.txt | diff - "$tmp/shown.txt" ||
    fail "docs: another example"
grep -o -e '{"[a-z]*", say_' -e '^    \[SCENARIO_[A-Z]*\] = "[a-z]*"' tool/scenario.c |
    sed 's/^[^"]*"\([a-z]*\)".*/\1/' >"$tmp/words"
[ "$(wc -l <"$tmp/words")" -eq 22 ] || fail "docs: words not found: $(tr '\n' ' ' <"$tmp/words")"
while read -r word; do
    grep -q "^| \`$word[ \`]" docs/SCENARIO.md || fail "docs: no word about $word"
done <"$tmp/words"
while read -r word; do
    grep -q "\`$word\` (" docs/SCENARIO.md || fail "docs: no word about $word"
done <"$tmp/formats"

[ $failed -eq 0 ] && echo "cma run --scenario: all as it has to be"
exit $failed
