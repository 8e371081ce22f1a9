#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# layout.sh - `cma layout`: its JSON to the letter, its text, its options, its errors and exit codes
. "$(dirname "$0")/../support/tool.sh" || exit 1

# json FILTER EXPECTED ARGUMENTS...: what jq finds in the JSON
json()
{
    local filter=$1 expected=$2 got
    shift 2
    got=$("$CMA" layout --json "$@" 2>"$tmp/err" | jq -c "$filter") || fail "cma layout $*: no JSON"
    [ "$got" = "$expected" ] || fail "cma layout $*: $filter is $got, not $expected"
}

board=tests/dts/layout.dts
dtc -q -I dts -O dtb -o "$tmp/board.dtb" $board || fail "dtc"

# --- JSON, whole, of source and blob --------------------------------------------------------
for file in $board "$tmp/board.dtb"; do
    "$CMA" layout --json "$file" | jq -S . >"$tmp/got.json"
    jq -S . tests/dts/layout.json | diff - "$tmp/got.json" || fail "the JSON of $file"
done
# keys stand in the order that is documented
[ "$("$CMA" layout --json $board | jq -c 'keys_unsorted')" = \
    '["model","memory","reserved","devices","guarantees","problems"]' ] || fail "order of keys"

# --- text -----------------------------------------------------------------------------------
expect 0 '0x40000000 |.*A.*|' layout $board
expect 0 '0x80000000 |C.*|' layout $board
expect 0 'area  *dynamic */reserved-memory/linux,cma  \[default\]' layout $board
expect 0 '/soc/camera@1000' layout $board
expect 0 'sees 0x40000000 as 0xc0000000' layout $board
expect 0 'snoops the caches' layout $board
expect 0 '/reserved-memory/bad@81100000: reg: .*granule' layout $board
expect 0 'no problems' layout $board --granule page

# --- what is promised: admitted, where, and why not -------------------------------------------
promises=tests/dts/promises.dts
said='[.device, .blocks, .size, .max_moves, .admitted]'
json "[.guarantees[:3][] | $said]" \
    '[["/big",3,"0x300000",0,true],["/front",2,"0x300000",0,true],["/mixed",2,"0x200000",3,false]]' $promises
json "[.guarantees[3:][] | $said]" \
    '[["/back",3,"0x100000",0,true],["/soc/narrow",1,"0x80001",0,true],["/mixed",4,"0x8000",3,true]]' $promises
json '[.guarantees[] | [.area, .group]] | unique' \
    '[["a@44000000",null],["b@48000000",null],["b@48000000","port"]]' $promises
json '[.guarantees[0].slots[] | .base, .size]' \
    '["0x44400000","0x300000","0x44800000","0x300000","0x44c00000","0x300000"]' $promises
json '.guarantees[3] | [.shared_slots, .slots]' '[2,[{"base":"0x48600000","size":"0x100000"}]]' $promises
json '.guarantees[4] | [.slots[0].base, .slots[0].size, .alignment, .boundary]' \
    '["0x48ec0000","0x81000","0x100000","0x100000"]' $promises
json '.guarantees[2] | [.reason, .possible_blocks, .possible_size, .slots]' \
    '["promised to others",0,"0x100000",null]' $promises
json '[.devices[] | select(.quota) | .path, .quota]' '["/back","0x10000"]' $promises
json '.reserved[0].classes' \
    '[{"request":"0x1000","size":"0x100000"},{"request":"0x10000","size":"0x300000"}]' $promises
json '.reserved[1].classes' null $promises
json '[.problems[].property]' '["libcma,guarantee-block"]' $promises
json .guarantees '[]' tests/dts/layout.dts
expect 0 '^6 guarantees, 5 admitted' layout $promises
expect 0 '^  b  /front: 2 blocks of 3 MiB, 0 copies; group .port.$' layout $promises
expect 0 '1 slot of 1 MiB, the first at 0x48600000; 2 shared with the group$' layout $promises
expect 0 'NOT ADMITTED: 2 blocks of 512 pages refused: what is left was promised to .*; 2 of 256 pages would' \
    layout $promises
expect 0 '^      0x48000000 |b*bd*d\.*eee\.\.| b@48000000$' layout $promises
expect 0 'requests up to    64 KiB        3 MiB at 0x44100000' layout $promises
expect 0 '^/back may have 64 KiB of areas' layout $promises
"$CMA" layout $board | grep -q 'guarantee' && fail "a board without guarantees hears of them"
# as a 32-bit kernel sees 1 GiB: what is not linearly mapped would have to be mapped when it is taken
json '[.guarantees[] | [.admitted, .reason]]' \
    '[[true,null],[false,"mapping failed"],[false,"mapping failed"],[true,null]]' \
    examples/boards/media-1g.dts --arch arm
json '[.guarantees[].admitted] | all' true examples/boards/media-1g.dts
json '[.guarantees[].admitted] | all' true examples/boards/wide-4g.dts
# no memory is taken for a large board; what is too large to judge is said
json '[.guarantees[].admitted] | all' true examples/boards/media-1g.dts --memory 64G@0x40000000
json '[.guarantees[] | [.admitted, .unjudged != null]] | unique' '[[null,true]]' \
    examples/boards/media-1g.dts --memory 2T@0x40000000
expect 0 'not judged: ' layout examples/boards/media-1g.dts --memory 2T@0x40000000
expect 0 'libcma.s own properties' layout --help

# --- options --------------------------------------------------------------------------------
json '[.reserved[] | select(.default)] | length' 0 $board --cmdline 'quiet cma=0'
json '.reserved[0] | [.path, .name, .kind, .base, .placement, .default]' \
    '["","cma=","area","0x4e000000","dynamic",true]' $board --cmdline cma=32M
json '.reserved[0] | [.base, .placement, .alignment, .ranges]' \
    '["0x42000000","fixed",null,null]' $board --cmdline cma=32M@0x42000000
json '.reserved[0] | [.alignment, .ranges]' \
    '["0x200000",[{"base":"0x42000000","size":"0x6000000"}]]' $board --cmdline cma=32M@0x42000000-0x48000000
json '[.problems[] | select(.path == "")] | .[0].property' '"cma"' $board --cmdline cma=3G
json '[.problems[].property]' '["reg","linux,cma-default","memory-region","memory-region"]' $board --cmdline cma=0
json '.memory' '[{"base":"0x40000000","size":"0x20000000"}]' $board --memory 512M
json '.memory | length' 2 $board --memory 512M --memory 1G@0x100000000
json '.reserved | map(.kind)' '["area","coherent-pool"]' $board
json '.reserved | map(.kind)' '["area","coherent-pool","area"]' $board --granule 64K
json '.reserved[0].alignment' '"0x400000"' $board --arch arm
json '.devices[0].coherent' true $board --arch riscv64
json '.reserved[0].name' '"builtin-cma"' tests/dts/empty.dts --memory 64M@0 --builtin-cma 16M
json '.reserved | length' 0 tests/dts/empty.dts --memory 64M@0

# --- what is in a tree may be anything -------------------------------------------------------
printf '/dts-v1/; / { #address-cells=<1>; #size-cells=<1>; model = [61 0a ff c3 28 c3 a9 01 22 00];
    memory@0 { device_type = "memory"; reg = <0 0x1000000>; }; };' >"$tmp/odd.dts"
json .model '"a\n��(é\u0001\""' "$tmp/odd.dts"
expect 0 '^a???(???"$' layout "$tmp/odd.dts"

# --- usage: exit code 2, and a word about what is wrong --------------------------------------
expect 0 'usage: cma VERB BOARD' --help
expect 0 '^cma [0-9]*\.[0-9]*\.[0-9]*$' --version
expect 0 'exit codes' --help
expect 0 '--builtin-cma SIZE' layout --help
expect 0 'exit codes' layout --help
expect 2 'usage' 
expect 2 "'frobnicate' is not a verb" frobnicate
expect 2 'wants one BOARD' layout
expect 2 'wants one BOARD' layout $board $board
expect 2 'unrecognized option' layout $board --frobnicate
expect 2 'arm, arm64 and riscv64' layout $board --arch x86
expect 2 'SIZE\[@BASE\]' layout $board --memory 12Q
expect 2 'whole pages' layout $board --memory 1234
expect 2 'at least one page' layout $board --memory 0
expect 2 'base is not a number' layout $board --memory 1G@x
expect 2 'overlap memory' layout $board --memory 1G@0 --memory 1G@0x20000000
expect 2 '64-bit' layout $board --memory 1G@0xfffffffff0000000
expect 2 'power of two' layout $board --granule 3M
expect 2 'not a size' layout $board --builtin-cma big
expect 2 "character 7: 'foo'" layout $board --cmdline 'x cma=foo'
expect 2 'too large' layout $board --cmdline 'cma=99999999999999999999'

# --- boards that can't be read: exit code 2 and the place ------------------------------------
expect 2 'No such file' layout "$tmp/nothing.dtb"
expect 2 'No such file' layout "$tmp/nothing.dts"
expect 2 'directory' layout "$tmp"
expect 2 'boot loader fills it in' layout tests/dts/empty.dts
expect 2 '--memory SIZE' layout tests/dts/empty.dts
expect 2 'where memory begins' layout tests/dts/empty.dts --memory 64M
: >"$tmp/empty.dtb"
expect 2 'within the header, at byte 0' layout "$tmp/empty.dtb"
head -c 1000 "$tmp/board.dtb" >"$tmp/cut.dtb"
expect 2 'ends before .*, at byte 1000' layout "$tmp/cut.dtb"
printf 'garbage that is no tree, but longer than a header is' >"$tmp/garbage.dtb"
expect 2 'magic number is wrong, at byte 0' layout "$tmp/garbage.dtb"
echo '/dts-v1/; / { oops' >"$tmp/bad.dts"
expect 2 'dtc can.t compile it' layout "$tmp/bad.dts"
# a property's length inside of a node: the message names the node and the byte
python3 - "$tmp/board.dtb" "$tmp/hole.dtb" <<'END' 2>/dev/null || cp "$tmp/board.dtb" "$tmp/hole.dtb"
import sys
blob = bytearray(open(sys.argv[1], "rb").read())
at = blob.index(b"camera@1000\0") + 12
blob[at + 4:at + 8] = b"\x7f\xff\xff\xff"
open(sys.argv[2], "wb").write(blob)
END
cmp -s "$tmp/board.dtb" "$tmp/hole.dtb" ||
    expect 2 'at byte [0-9]*, in node /soc/camera@1000' layout "$tmp/hole.dtb"

# --- output that can't be written is an error -------------------------------------------------
if [ -w /dev/full ]; then
    "$CMA" layout $board >/dev/full 2>/dev/null && fail "a full disk was not noticed"
    "$CMA" layout --json $board >/dev/full 2>/dev/null && fail "a full disk was not noticed (JSON)"
fi
exit $failed
