#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# dma_calls.sh - docs/DMA.md: every call of Linux's headers is in it, and what it says exists
#
# Linux's headers are those of Debian's linux-source package (bench/fetch, 140 MB the first time).
# Where it can't be had, that half is skipped, after the other was checked.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
page=docs/DMA.md
dir=$BUILD/dma-calls
failed=0
mkdir -p "$dir"

# What stands in the second column is a call, a flag or a field of a public header.
awk -F'|' '/^\| / { print $3 }' $page | grep -oE '\b(cma|CMA)_[A-Za-z0-9_]+' | sort -u >"$dir/ours"
[ "$(wc -l <"$dir/ours")" -ge 40 ] || { echo "$page names only $(wc -l <"$dir/ours") of our calls"; failed=1; }
while read -r name; do
    grep -qwE "$name" include/cma/*.h || { echo "$page: $name is in no header"; failed=1; }
done <"$dir/ours"
# And the other way around: no streaming or coherent call of ours is missing.
grep -ohE '\bcma_(dma|shared|bounce|exclusive|nosleep|handover|window|misuse)_[a-z_]+\(' \
    include/cma/{dma,stream}.h | tr -d '(' | sort -u | grep -vE '_(ops|stats|init|use|gone)$' >"$dir/calls"
while read -r name; do
    grep -qw "$name" $page || { echo "$page does not mention $name"; failed=1; }
done <"$dir/calls"

[ $failed -eq 0 ] || exit 1
headers=$BUILD/linux-sources/7.3/include/linux/dma-mapping.h
if ! bench/fetch 7.3 "$BUILD/linux-sources/7.3" 2>"$dir/log"; then
    echo "SKIPPED: no Linux 7.3 to compare with: $(tail -n 1 "$dir/log")"
    exit 77
fi
cat "$headers" "$(dirname "$headers")/dmapool.h" |
    grep -oE '\b(dma|dmam)_[a-z0-9_]+ ?\(|\bDMA_ATTR_[A-Z_]+' | tr -d ' (' | sort -u >"$dir/linux"
[ "$(wc -l <"$dir/linux")" -ge 90 ] || { echo "$headers: only $(wc -l <"$dir/linux") names"; exit 1; }
while read -r name; do
    grep -qw "$name" $page || { echo "$page does not mention Linux's $name"; failed=1; }
done <"$dir/linux"
echo "$(wc -l <"$dir/linux") names of Linux and $(wc -l <"$dir/ours") of ours are in $page"
exit $failed
