# SPDX-License-Identifier: BSD-2-Clause
# tool.sh - what tests of the tool begin with: `. "$(dirname "$0")/../support/tool.sh" || exit 1`
#
# They run at the top of the tree, with $CMA and $CMA_CLANG to try, a folder $tmp that goes with them,
# and $failed, with which they end.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
CMA=${CMA:-build/cma}
CMA_CLANG=${CMA_CLANG:-build/clang/cma}
command -v jq >/dev/null || { echo "SKIPPED: jq is not installed"; exit 77; }
command -v dtc >/dev/null || { echo "SKIPPED: dtc is not installed"; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0
verb=() # what `expect` puts before its arguments

fail()
{
    echo "FAILED: $*"
    failed=1
}

# expect CODE PATTERN ARGUMENTS...: the exit code, and a line of the output (both kinds) that matches
expect()
{
    local code=$1 pattern=$2 got
    shift 2
    set -- "${verb[@]}" "$@"
    "$CMA" "$@" >"$tmp/out" 2>&1
    got=$?
    [ $got -eq "$code" ] || fail "cma $*: exit code $got, not $code: $(head -n 3 "$tmp/out")"
    grep -q -e "$pattern" "$tmp/out" || fail "cma $*: no '$pattern' in: $(head -n 20 "$tmp/out")"
}
