#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# video_points.sh - docs/VIDEO.md: each point has a test, and each test that it names exists and runs
set -u
cd "$(dirname "$0")/../.." || exit 1
page=docs/VIDEO.md
failed=0
points=0
named=0

fail()
{
    echo "FAILED: $page: $*"
    failed=1
}

while IFS= read -r cell; do
    points=$((points + 1))
    IFS=, read -ra tests <<<"$cell"
    [ -n "${cell// /}" ] || fail "a point without a test"
    for test in "${tests[@]}"; do
        named=$((named + 1))
        read -r program name <<<"$test"
        case $program in
        test_*:)
            file=tests/unit/${program%:}.c
            # Once as a function, and once more in the list of what runs.
            [ -n "$name" ] && grep -qs "^static void $name(void" "$file" &&
                [ "$(grep -cw "$name" "$file")" -ge 2 ] || fail "no test '$test' runs"
            ;;
        model/* | threads/*) [ -f "tests/$program.c" ] || fail "there is no tests/$program.c" ;;
        *) fail "no test in a point: '$cell'" ;;
        esac
    done
done < <(awk -F'|' '/^\| / && $4 !~ /^ test $/ { print $4 }' $page)
[ $points -ge 35 ] || fail "only $points points"
while read -r name; do
    grep -qwE "$name" include/cma/*.h || fail "$name is in no header"
done < <(grep -oE '\b(cma|CMA)_[A-Za-z0-9_]+' $page | grep -v '_$' | sort -u)
[ $failed -eq 0 ] && echo "$points points, $named tests named"
exit $failed
