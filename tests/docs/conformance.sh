#!/bin/sh
# SPDX-License-Identifier: MIT
# Every test that docs/conformance.md names exists and, if it is a function of libcheck, ran and
# passed: the suites wrote so to $LOGS/*.log. Every requirement N1 to N64, H1 to H18, P1 to P52 and
# V1 to V9 has a row, and every function that is named after one (N45_...) is in that.
set -eu
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=lib.sh
. ./lib.sh
: "${BUILD:?the folder of the build}" "${LOGS:?where the suites write their logs}"
table=$top/docs/conformance.md

ctest --test-dir "$BUILD" -N | sed -n 's/^ *Test *#[0-9]*: \([^ ]*\).*/\1/p' >"$tmp/tests"
# FILE:LINE:P:CASE:FUNCTION:...: Passed
cat "$LOGS"/*.log | sed -n 's/^.*:[0-9]*:P:[^:]*:\([^:]*\):.*/\1/p' >>"$tmp/tests"

grep -E '^\| [NHPV][0-9]+ ' "$table" >"$tmp/rows"
for id in $(seq -f N%g 1 64) $(seq -f H%g 1 18) $(seq -f P%g 1 52) $(seq -f V%g 1 9); do
	[ "$(grep -c "^| $id |" "$tmp/rows")" -eq 1 ] || fail "$id has no row, or several"
done
while read -r row; do
	id=$(echo "$row" | cut -d' ' -f2)
	proofs=$(echo "${row%|}" | sed 's/.*|//')
	case $proofs in
	*\`*) ;;
	*'text only'* | *'not done'*) continue ;;
	*) fail "$id names no test" ;;
	esac
	for name in $(echo "$proofs" | tr -d '`'); do
		grep -qx -- "$name" "$tmp/tests" || fail "$id: no test $name exists, ran and passed"
	done
done <"$tmp/rows"
grep -E '^[NHPV][0-9]+_' "$tmp/tests" | sort -u >"$tmp/named"
while read -r name; do
	grep "^| ${name%%_*} |" "$tmp/rows" | grep -q "\`$name\`" || fail "${name%%_*} does not name $name"
done <"$tmp/named"
echo "$(wc -l <"$tmp/rows") requirements, $(sort -u "$tmp/tests" | wc -l) tests"
exit "$failed"
