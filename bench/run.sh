#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh [TSV] - the library and the command next to what else there is: Debian's libnatpmp and natpmpc, and
# a connected socket that sends the same bytes. One table; the same for programs in TSV (build/bench.tsv).
#
# Pairs are measured in turns, at one gateway: the loopback one of the tests, and a real miniupnpd in
# network namespaces. Median, the quartiles beside it, and how much of the peer's median ours is.
# Builds build/default if need be. What is missing is named, and its rows are left out. Some minutes.
#
# Not here: how soon silence is told (natpmpc's 127 s are the RFC's), and a mapping that was lost, which
# natpmpc does not notice, for it holds none.
set -eu
cd "$(dirname "$0")/.."
build=$PWD/build/default
tsv=${1:-build/bench.tsv}

cmake --preset default >/dev/null
cmake --build --preset default -j "$(nproc)" \
	--target natpmp gatewayd bench_pairs bench_processes bench_core poll_loop with_mapping natpmpc >/dev/null
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM HUP
tool() { # NAME PACKAGE WHAT-FOR: its path, or nothing
	command -v "$1" || echo "no $1 (Debian: $2): without $3" >>"$work/missing"
}
: >"$work/missing"

export work NATPMP="$build/cli/natpmp" GATEWAYD="$build/tests/gateway/gatewayd"
export PAIRS="$build/bench/bench_pairs" PROCESSES="$build/bench/bench_processes"
export POLL_LOOP="$build/examples/poll_loop" WITH_MAPPING="$build/examples/with_mapping"
NATPMPC=$(tool natpmpc natpmpc "the command's peer")
STRACE=$(tool strace strace "system calls, idle holds")
VALGRIND=$(tool valgrind valgrind "instructions")
export NATPMPC STRACE VALGRIND

# --- at gateways ---

sh bench/loopback.sh 3000 >"$work/loopback" || echo "loopback rows: they ended early" >>"$work/missing"
ROUNDS=200 RESULT=$work/real sh bench/real.sh >"$work/real.out" ||
	echo "miniupnpd's rows: $(tail -n 1 "$work/real.out")" >>"$work/missing"
touch "$work/real"

# --- sizes ---

size_row() { # WHAT WHO FILE
	strip -o "$work/stripped" "$3"
	printf 'none\t%s\tKiB\t%s\t%s\t\t\t\n' "$1" "$2" \
		"$(awk -v n="$(wc -c <"$work/stripped")" 'BEGIN { printf "%.1f", n / 1024 }')"
}
{
	size_row "stripped shared library" libnatpmpc "$build/lib/libnatpmpc.so.0"
	for file in /usr/lib/*/libnatpmp.so.1; do
		[ ! -e "$file" ] || size_row "stripped shared library" libnatpmp "$file"
	done
	size_row "stripped command" natpmp "$NATPMP"
	[ -z "$NATPMPC" ] || size_row "stripped command" natpmpc "$NATPMPC"
} >"$work/sizes"

# --- many holds, on a virtual clock: the core alone ---

"$build/bench/bench_core" >"$work/core"
awk 'NR > 1 {
	split("add|be granted|let go|say farewell", what, "|")
	for (i = 1; i <= 4; i++)
		printf "none\t%d holds: %s, each\tns\tcore\t%d\t\t\t\n", $1, what[i], $(i + 1)
	printf "none\t%d holds: renew, each\tns\tcore\t%d\t\t\t\n", $1, $6
	printf "none\t%d holds: memory, each\tbytes\tcore\t%d\t\t\t\n", $1, $7
}' "$work/core" >"$work/holds"

# --- the table ---

{
	printf 'gateway\twhat\tunit\twho\tmedian\tlower quartile\tupper quartile\t99th percentile\n'
	cat "$work/loopback" "$work/real" "$work/sizes" "$work/holds"
} >"$tsv"
awk -F '\t' '
	function spread() { return $6 == "" ? "" : $6 " - " $7 }
	NR == 1 { printf "%-9s  %-46s %-14s %-12s %10s  %-17s %9s  %s\n", $1, $2, $4, $3, $5, "quartiles", "p99", "ours/this"; next }
	{
		pair = $1 FS $2 FS $3
		if (!(pair in ours)) ours[pair] = $5
		ratio = ours[pair] != $5 && $5 > 0 ? sprintf("%.2f", ours[pair] / $5) : ""
		printf "%-9s  %-46s %-14s %-12s %10s  %-17s %9s  %s\n", $1, $2, $4, $3, $5, spread(), $8, ratio
	}' "$tsv"
if [ -n "$STRACE" ]; then sh bench/idle.sh || :; fi
cat "$work/missing"
echo "the same for programs: $tsv"
