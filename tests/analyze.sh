#!/bin/sh
# SPDX-License-Identifier: MIT
# analyze.sh [gcc|clang-tidy|cppcheck...] - what compilers and checkers find in lib/ and cli/ without
# running it; without an argument, all three. Nothing is found, or it fails. What is left out is in
# .clang-tidy and cli/.clang-tidy, each with its reason.
# shellcheck disable=SC2016 # it is for the shells that xargs starts
set -eu
cd "$(dirname "$0")/.."
flags="-std=c11 -D_GNU_SOURCE -Iinclude -Ilib -Icli"
sources=$(find lib cli -name '*.c' | sort)
jobs=$(nproc)
failed=''

run_gcc() {
	for file in $sources; do echo "$file"; done | flags=$flags xargs -P "$jobs" -n 1 sh -c \
		'gcc $flags -O2 -Wall -fanalyzer -Werror -c -o /dev/null "$1"' sh
}
run_clang_tidy() {
	for file in $sources; do echo "$file"; done | flags=$flags xargs -P "$jobs" -n 2 sh -c \
		'clang-tidy --quiet "$@" -- $flags 2>/dev/null' sh
}
run_cppcheck() {
	# shellcheck disable=SC2086 # a list of words
	cppcheck --std=c11 -D_GNU_SOURCE -Iinclude -Ilib -Icli --library=posix --library=gnu -q \
		--enable=warning,performance,portability --error-exitcode=1 $sources
}

[ $# -gt 0 ] || set -- gcc clang-tidy cppcheck
for tool in "$@"; do
	case $tool in
	gcc) run_gcc || failed="$failed gcc" ;;
	clang-tidy) run_clang_tidy || failed="$failed clang-tidy" ;;
	cppcheck) run_cppcheck || failed="$failed cppcheck" ;;
	*) echo "gcc, clang-tidy or cppcheck, not $tool" >&2; exit 2 ;;
	esac
done
[ -z "$failed" ] || { echo "FAILED:$failed" >&2; exit 1; }
echo "nothing found by: $*"
