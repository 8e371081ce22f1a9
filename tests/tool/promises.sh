#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# promises.sh [COUNT [SEED]] - random boards whose devices were promised memory: tests/boards/promises.py
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
CMA=${CMA:-$top/build/cma}
command -v dtc >/dev/null || { echo "SKIPPED: dtc is not installed"; exit 77; }
exec python3 "$top/tests/boards/promises.py" "$CMA" "${1:-40}" "${2:-1}"
