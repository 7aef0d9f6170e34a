#!/bin/sh
# SPDX-License-Identifier: MIT
# run.sh [TSV] - the library and the command next to what else there is: Debian's libnatpmp and natpmpc, and
# a connected socket that sends the same bytes. One table; the same for programs in TSV (build/bench.tsv).
#
# Pairs are measured in turns, at one gateway: the loopback one of the tests, and a real miniupnpd in
# network namespaces. Median, the quartiles beside it, and how much of the peer's median ours is. Where
# there is something to reach, it has a row of its own, and the ratio is how much of it we take.
# Builds build/default, and build/bench-static with musl. What is missing is named, and its rows are left
# out. About four minutes, of which two are the silence that natpmpc waits through.
set -eu
cd "$(dirname "$0")/.."
build=$PWD/build/default
case ${1:-build/bench.tsv} in
/*) tsv=$1 ;;
*) tsv=$PWD/${1:-build/bench.tsv} ;;
esac

cmake --preset default >/dev/null
cmake --build --preset default -j "$(nproc)" \
	--target natpmp gatewayd bench_pairs bench_processes bench_core syscalls poll_loop with_mapping natpmpc >/dev/null
[ ! -f "$build/bench/CMakeFiles/libnatpmp_calls.dir/build.make" ] ||
	cmake --build --preset default --target libnatpmp_calls >/dev/null
work=$(mktemp -d)
export XDG_STATE_HOME="$work/state" # nobody's own secret
silent=''
finish() {
	[ -z "$silent" ] || kill "$silent" 2>/dev/null || :
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP
# shellcheck source-path=SCRIPTDIR source=lib.sh
. bench/lib.sh
tool() { # NAME PACKAGE WHAT-FOR: its path, or nothing
	command -v "$1" || echo "no $1 (Debian: $2): without $3" >>"$work/missing"
}
: >"$work/missing"

export work NATPMP="$build/cli/natpmp" GATEWAYD="$build/tests/gateway/gatewayd"
export PAIRS="$build/bench/bench_pairs" PROCESSES="$build/bench/bench_processes"
export SYSCALLS="$build/bench/syscalls" LIBNATPMP="$build/bench/libnatpmp_calls"
export POLL_LOOP="$build/examples/poll_loop" WITH_MAPPING="$build/examples/with_mapping"
NATPMPC=$(tool natpmpc natpmpc "the command's peer")
STRACE=$(tool strace strace "system calls, idle holds")
VALGRIND=$(tool valgrind valgrind "instructions")
MUSL=$(tool musl-gcc musl-tools "the static command")
export NATPMPC STRACE VALGRIND
to_reach() { # GATEWAY WHAT UNIT VALUE
	row "$1" "$2" "$3" "to reach" "$4"
}

# --- at gateways ---

sh bench/waits.sh silent >"$work/silent" &
silent=$!
sh bench/waits.sh lost >"$work/lost" || echo "rows of lost mappings: they ended early" >>"$work/missing"
sh bench/loopback.sh 3000 >"$work/loopback" || echo "loopback rows: they ended early" >>"$work/missing"
ROUNDS=200 RESULT=$work/real sh bench/real.sh >"$work/real.out" ||
	echo "miniupnpd's rows: $(tail -n 1 "$work/real.out")" >>"$work/missing"
touch "$work/real"

# --- idle ---

what="1000 idle holds, 3 s between renewals"
if [ -n "$STRACE" ] && sh bench/idle.sh >"$work/idle.out"; then
	sed -n 's/^.* \([0-9]*\) system calls; .*/\1/p' "$work/idle.out" | summary loopback "$what" "system calls" libnatpmpc
	to_reach loopback "$what" "system calls" 0
	sed -n 's/^.*; \([0-9]*\) kB resident$/\1/p' "$work/idle.out" | summary loopback "$what" KiB libnatpmpc
fi >"$work/idle"

# --- sizes ---

size_row() { # WHAT WHO FILE
	strip -o "$work/stripped" "$3"
	row none "$1" KiB "$2" "$(awk -v n="$(wc -c <"$work/stripped")" 'BEGIN { printf "%.1f", n / 1024 }')"
}
build_static() { # as packaging/container/Containerfile does; Debian's musl-gcc knows no headers of the kernel
	mkdir "$work/kernel"
	for part in linux asm-generic "$(gcc -print-multiarch)/asm"; do
		ln -s "/usr/include/$part" "$work/kernel/${part##*/}"
	done
	CC=musl-gcc CFLAGS="-isystem $work/kernel" cmake -S . -B build/bench-static -DCMAKE_BUILD_TYPE=MinSizeRel \
		-DNATPMPC_COMMAND_LINK=static -DNATPMPC_TESTS=OFF -DNATPMPC_EXAMPLES=OFF &&
		cmake --build build/bench-static --target natpmp -j "$(nproc)"
}
{
	size_row "stripped shared library" libnatpmpc "$build/lib/libnatpmpc.so.0"
	for file in /usr/lib/*/libnatpmp.so.1; do
		[ ! -e "$file" ] || size_row "stripped shared library" libnatpmp "$file"
	done
	to_reach none "stripped shared library" KiB 96
	size_row "stripped command" natpmp "$NATPMP"
	[ -z "$NATPMPC" ] || size_row "stripped command" natpmpc "$NATPMPC"
	if [ -n "$MUSL" ] && rm -rf build/bench-static && build_static >"$work/static.log" 2>&1; then
		size_row "stripped static command, musl" natpmp build/bench-static/cli/natpmp
		to_reach none "stripped static command, musl" KiB 160
	elif [ -n "$MUSL" ]; then
		echo "the static command: $(tail -n 1 "$work/static.log")" >>"$work/missing"
	fi
} >"$work/sizes"

# --- many holds, on a virtual clock: the core alone ---

"$build/bench/bench_core" >"$work/core" || echo "bench_core: more memory than there may be" >>"$work/missing"
awk -F '\t' '
	function row(what, unit, who, median, low, high) {
		printf "none\t%s\t%s\t%s\t%s\t%s\t%s\t\n", what, unit, who, median, low, high
	}
	NR == 1 { next }
	{
		what = sprintf("%d hold%s: %s, each", $2, $2 == 1 ? "" : "s", $1)
		row(what, $3, "core", $4, $5, $6)
	}
	$3 == "bytes" && $2 >= 100 { row(what, $3, "to reach", 344) }
	$3 == "calls" { row(what, $3, "to reach", 0) }
	$3 == "ns" && $2 == 100 { base[$1] = $4 }
	$3 == "ns" && $2 > 100 { # how flat: the median of many beside that of 100
		what = sprintf("%s, each: with %d holds beside 100", $1, $2)
		flat[++flats] = what
		ratio[flats] = base[$1] ? $4 / base[$1] : 0
	}
	END {
		for (i = 1; i <= flats; i++) {
			row(flat[i], "ratio", "core", sprintf("%.2f", ratio[i]))
			row(flat[i], "ratio", "to reach", "1.25")
		}
	}' "$work/core" >"$work/holds"

wait "$silent" || echo "rows of silence: they ended early" >>"$work/missing"
silent=''

# --- the table ---

cat "$work/loopback" "$work/silent" "$work/lost" "$work/idle" "$work/real" "$work/sizes" "$work/holds" |
	awk -F '\t' -v OFS='\t' '
		BEGIN { print "gateway", "what", "unit", "who", "median", "lower quartile", "upper quartile", "99th percentile", "ours/this" }
		{
			pair = $1 FS $2 FS $3
			$9 = pair in ours && $5 > 0 ? sprintf("%.2f", ours[pair] / $5) : ""
			if (!(pair in ours)) ours[pair] = $5
			print
		}' >"$tsv"
awk -F '\t' '
	NR == 1 { printf "%-9s  %-54s %-14s %-12s %10s  %-17s %9s  %s\n", $1, $2, $4, $3, $5, "quartiles", "p99", $9; next }
	{
		spread = $6 == "" ? "" : $6 " - " $7
		printf "%-9s  %-54s %-14s %-12s %10s  %-17s %9s  %s\n", $1, $2, $4, $3, $5, spread, $8, $9
	}' "$tsv"
cat "$work/missing"
echo "the same for programs: $tsv"
