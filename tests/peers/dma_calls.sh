#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# dma_calls.sh - docs/DMA.md: every call of Linux's headers is in it, and what it says exists
#
# Linux's headers are those that bench/fetch has unpacked, or an installed linux-source package's.
# Without any the first half is skipped, after the second was checked.
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

headers=$(find "$BUILD" build -path '*linux-sources*7.3*/include/linux/dma-mapping.h' 2>/dev/null | head -n 1)
if [ -z "$headers" ]; then
    installed=$(find /usr/src -maxdepth 1 -name 'linux-source-*.tar.xz' 2>/dev/null | sort -V | tail -n 1)
    if [ -n "$installed" ] && tar -xJf "$installed" -C "$dir" --strip-components=1 --wildcards \
        '*/include/linux/dma-mapping.h' '*/include/linux/dmapool.h' 2>/dev/null; then
        headers=$dir/include/linux/dma-mapping.h
    fi
fi
[ $failed -eq 0 ] || exit 1
if [ -z "$headers" ]; then
    echo "SKIPPED: no Linux headers to compare with: our own half holds ($(wc -l <"$dir/ours") names)"
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
