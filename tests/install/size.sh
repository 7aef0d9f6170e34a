#!/bin/sh
# SPDX-License-Identifier: MIT
# size.sh LIBRARY HEADER - the shared library, stripped, has at most 96 KiB, and the header less
# than 400 lines.
set -eu
library=${1:?the shared library} header=${2:?natpmpc.h}
stripped=$(mktemp)
trap 'rm -f "$stripped"' EXIT
strip -o "$stripped" "$library"
bytes=$(wc -c <"$stripped")
lines=$(wc -l <"$header")
echo "$bytes bytes, $lines lines"
[ "$bytes" -le $((96 * 1024)) ] || { echo "FAILED: the library has more than 96 KiB"; exit 1; }
[ "$lines" -lt 400 ] || { echo "FAILED: the header has 400 lines or more"; exit 1; }
