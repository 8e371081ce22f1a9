#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# driver.sh - the example driver: right, there is no report; with each of its bugs the checker says
# what docs/DRIVERS.md shows; and no call escapes the checker
set -u
cd "$(dirname "$0")/../.." || exit 1
program=${BUILD:-build}/checked/examples/driver/main
failed=0
complain()
{
    echo "driver: $1"
    failed=1
}

# try EXIT BUG - runs the example; each line must be in the page's text blocks
try()
{
    local wanted=$1 output status
    shift
    output=$("$program" "$@" 2>&1)
    status=$?
    [ $status -eq "$wanted" ] || complain "main $* ended with exit code $status"
    while IFS= read -r line; do
        awk '/^```text$/ { on = 1; next } /^```$/ { on = 0 } on' docs/DRIVERS.md |
            grep -qxF -- "$line" || complain "docs/DRIVERS.md does not show: $line"
    done <<<"$output"
}

try 0
try 1 late
try 1 early
# What the page shows of the driver is the driver.
awk '/^```c$/ { on = 1; next } /^```$/ { on = 0 } on && NF' docs/DRIVERS.md | while IFS= read -r line; do
    grep -qxF -- "$line" examples/driver/serial.c || { echo "driver: not in serial.c: $line" && exit 1; }
done || failed=1
# Each call that begins, ends or syncs a mapping has its macro.
calls='cma_(dma_(alloc|free|map|unmap|sync|pool_(lane_)?(alloc|free))|shared_(map|unmap|cpu_))[a-z_]*'
for name in $(grep -ohE "\b$calls\(" include/cma/{dma,stream,pool,share}.h | tr -d '(' | sort -u); do
    [ "$name" = cma_dma_map_nbytes_max ] || grep -q "^#define $name(" include/cma/misuse.h ||
        complain "misuse.h has no macro for $name"
done
exit $failed
