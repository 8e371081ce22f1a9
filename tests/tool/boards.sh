#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Layouts of small trees, many of them wrong, against the oracle that check-boards holds against
# real ones. It needs no download. Takes the tool's path in $CMA.
set -eu

top=$(cd "$(dirname "$0")/../.." && pwd)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$top/scripts/check-boards" selftest random --trees 300 --boards "$folder"
