#!/bin/sh
# SPDX-License-Identifier: MIT
# docs/growth.tsv, from which README's picture is drawn, has the lines that bench_core writes today, and
# the picture shows each of them. No time is asserted, but counts are: bench_core fails if a renewal asks
# for memory, or if a hold takes more of it than it may.
set -eu
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh
: "${BENCH_CORE:?the path of bench_core}"
tab=$(printf '\t')

"$BENCH_CORE" quick >"$tmp/now" || fail "bench_core: exit status $?"
head -n 1 "$tmp/now" >"$tmp/now-header"
head -n 1 "$top/docs/growth.tsv" | diff "$tmp/now-header" - || fail "another header"
sed 1d "$tmp/now" | cut -f 1-3 >"$tmp/now-lines"
sed 1d "$top/docs/growth.tsv" | cut -f 1-3 | diff "$tmp/now-lines" - ||
	fail "other lines; \"sh bench/growth.sh\" measures and draws anew"
for file in "$tmp/now" "$top/docs/growth.tsv"; do
	awk -F '\t' '
		NR == 1 { next }
		NF != 6 || $4 !~ /^[0-9]+$/ || $5 !~ /^[0-9]+$/ || $6 !~ /^[0-9]+$/ || $5 > $4 || $4 > $6 { print; bad = 1 }
		$1 == "renew, allocations" && $6 > 0 { print; bad = 1 }
		END { exit bad || NR < 2 }' "$file" || fail "not a line as it should be in ${file##*/}"
done
sed 1d "$top/docs/growth.tsv" | grep "${tab}ns$tab" | cut -f 1 | sort -u | while read -r phase; do
	grep -q ">$phase<" "$top/docs/growth.svg" || echo "$phase"
done >"$tmp/not-shown"
[ ! -s "$tmp/not-shown" ] || fail "not in the picture: $(cat "$tmp/not-shown")"
exit "$failed"
