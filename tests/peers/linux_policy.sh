#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# linux_policy.sh - 100,000 random requests to Linux 7.3's own mm/cma.c and to tool/policy_linux.c:
# the same places, the same count of copies. And three breaks of the latter, each of which must show
#
# bench/build fetches Debian's linux-source package into $BUILD the first time (140 MB). Where it
# can't be had, this is skipped.
set -u
cd "$(dirname "$0")/../.." || exit 1
BUILD=${BUILD:-build}
plugin=$BUILD/bench/linux-7.3.so
dir=$BUILD/peers
rm -rf "$dir"
mkdir -p "$dir"

if [ -s "$plugin" ]; then
    cp "$plugin" "$dir/" # for whoever builds bench/ anew meanwhile
    plugin=$dir/linux-7.3.so
else
    # In a folder of its own, for this must not change what another run of bench/ is at work with.
    mkdir -p "$BUILD/linux-sources" "$dir/build"
    ln -s "$(realpath "$BUILD/linux-sources")" "$dir/build/linux-sources"
    BUILD=$dir/build LINUX=7.3 bench/build linux >"$dir/log" 2>&1
    plugin=$dir/build/bench/linux-7.3.so
    if [ ! -s "$plugin" ]; then
        echo "SKIPPED: no Linux 7.3 to compare with: $(tail -n 1 "$dir/log")"
        exit 77
    fi
fi

# compile NAME POLICY: the test with this policy_linux.c
flags=(-O2 -std=c11 -D_GNU_SOURCE -Wall -Wextra -Iinclude)
compile()
{
    "${CC:-cc}" "${flags[@]}" -Wno-unused-parameter -Itool "$2" "$dir"/harness/*.o -ldl -lm -pthread -o "$dir/$1"
}

mkdir -p "$dir/harness"
# bench/migrate.c has the model; the others are what it calls.
for file in tests/peers/linux_policy.c bench/{migrate,clock,mixes,output,samples}.c; do
    "${CC:-cc}" "${flags[@]}" -c "$file" -o "$dir/harness/$(basename "$file" .c).o" || exit 1
done
compile whole tool/policy_linux.c || exit 1
"$dir/whole" "$plugin" --ops "${CHECK_OPS_PEERS:-100000}" --seed "${CHECK_SEED:-1}" || exit 1

# broken NAME SED: must be seen within 20,000 requests
broken()
{
    sed "$2" tool/policy_linux.c >"$dir/$1.c"
    if cmp -s tool/policy_linux.c "$dir/$1.c"; then
        echo "$1: the break changes nothing any more"
        exit 1
    fi
    compile "$1" "$dir/$1.c" || exit 1
    if "$dir/$1" "$plugin" --ops 20000 >"$dir/$1.log"; then
        echo "$1: was not seen"
        exit 1
    fi
}
broken batches 's/count < LINUX_BATCH/count < LINUX_BATCH - 1/'
broken stride 's/start = at + align;/start = at + npages;/'
broken alignment 's/(0 - (policy->first_pfn + at)) \& (align - 1)/0/'
echo "three breaks of the policy, each one seen"
