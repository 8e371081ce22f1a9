#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# host.sh - the example over a host's allocator: it runs, src/buddy is not in it and src/frame is, and
# the README says how many lines its author writes
set -u
cd "$(dirname "$0")/../.." || exit 1
program=${BUILD:-build}/checked/examples/host/main
failed=0
complain()
{
    echo "host: $1"
    failed=1
}

"$program" || complain "ended with exit code $?"
nm "$program" >"${BUILD:-build}/check/host.nm" || complain "nm"
grep -q ' T cma__window_evacuate$' "${BUILD:-build}/check/host.nm" || complain "src/frame is not linked"
for name in $(nm --defined-only "${BUILD:-build}/checked/src/buddy/pages.o" | awk '{ print $3 }'); do
    grep -q " $name\$" "${BUILD:-build}/check/host.nm" && complain "$name of src/buddy is linked"
done
lines=$(scripts/count-lines examples/host/glue.c)
grep -q "examples/host.*; glue.c, $lines lines" README.md ||
    complain "glue.c has $lines lines, the README says something else"
exit $failed
