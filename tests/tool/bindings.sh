#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
# bindings.sh - libcma's own properties: what the reader reads, what docs/BINDINGS.md says and what
# the schema allows are the same names; the examples of the page can be read
set -u
cd "$(dirname "$0")/../.." || exit 1
CMA=${CMA:-build/cma}
command -v dtc >/dev/null || { echo "SKIPPED: dtc is not installed"; exit 77; }
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
failed=0

fail()
{
    echo "FAILED: $*"
    failed=1
}

sed -n 's/^#define OWN_[A-Z_]* FDT_OURS "\(.*\)"$/libcma,\1/p' src/boot/fdt_own.c | sort >"$tmp/read"
sed -n 's/^| `\(libcma,[a-z-]*\)` .*/\1/p; s/.*`\(libcma,size-classes\)` are .*/\1/p' docs/BINDINGS.md |
    sort >"$tmp/page"
sed -n 's/^  \(libcma,[a-z-]*\):$/\1/p' docs/libcma.yaml | sort >"$tmp/schema"
[ "$(wc -l <"$tmp/read")" -ge 8 ] || fail "only $(wc -l <"$tmp/read") properties are found in the reader"
diff "$tmp/read" "$tmp/page" || fail "docs/BINDINGS.md has other properties than the reader"
diff "$tmp/read" "$tmp/schema" || fail "docs/libcma.yaml has other properties than the reader"
# ... and the schema's list of names that are no mistakes
while read -r name; do
    name=${name#libcma,}
    case $name in
    guarantee-*) pattern="guarantee-\([a-z|-]*\b${name#guarantee-}\b[a-z|-]*\)" ;;
    *) pattern="$name\\$" ;;
    esac
    grep -Eq "^  '\^libcma,\(\?!.*$pattern" docs/libcma.yaml || fail "the schema calls $name a mistake"
done <"$tmp/read"

# The first example of the page, on a board.
{
    cat <<'END'
/dts-v1/;
/ {
    #address-cells = <2>;
    #size-cells = <2>;
    cpus { #address-cells = <1>; #size-cells = <0>; cpu@0 { compatible = "arm,cortex-a53"; reg = <0>; }; };
    memory@40000000 { device_type = "memory"; reg = <0x0 0x40000000 0x0 0x20000000>; };
    reserved-memory {
        #address-cells = <2>;
        #size-cells = <2>;
        ranges;
END
    awk '/^```dts$/ { block++; inside = 1; next } /^```$/ { inside = 0 } inside && block == 4' docs/BINDINGS.md
    echo '};'
    awk '/^```dts$/ { block++; inside = 1; next } /^```$/ { inside = 0 } inside && block == 1' docs/BINDINGS.md
    echo '};'
} >"$tmp/page.dts"
"$CMA" layout "$tmp/page.dts" >"$tmp/out" 2>&1 || fail "the examples of the page: $(cat "$tmp/out")"
grep -q '^no problems$' "$tmp/out" || fail "the examples of the page have problems: $(cat "$tmp/out")"
grep -q ': 6 blocks of 3 MiB, 0 copies$' "$tmp/out" || fail "the page's camera is promised nothing: $(cat "$tmp/out")"
grep -q 'admitted on camera@48000000: 6 slots' "$tmp/out" || fail "the page's camera is refused: $(cat "$tmp/out")"

[ $failed -eq 0 ] && echo "bindings: the reader, the page and the schema agree"
exit $failed
