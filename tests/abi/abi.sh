#!/bin/sh
# SPDX-License-Identifier: MIT
# abi.sh check|write LIBRARY - is the binary interface still that of libnatpmpc.abi, the functions and
# structs, and of libnatpmpc.values, the numbers that are compiled into programs? write makes both
# anew, after a change that docs/abi.md allows: cmake --build --preset default --target abi
# The library has to be built with debug information, on x86-64.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
include=$(dirname "$(dirname "$here")")/include
command=${1:?check or write} library=${2:?the shared library}

# Public names and types only, and no path of this machine.
describe() {
	abidw --exported-interfaces-only --headers-dir "$include" --drop-private-types --no-corpus-path \
		--no-comp-dir-path --no-show-locs --no-elf-needed "$library" |
		sed "s,path='[^']*/lib/,path='lib/,"
}
# Members of an enum that no function has in its type are not in there.
values() {
	sed -n -E -e 's/^[[:space:]]*(NATPMP_[A-Z_]+ = -?[0-9]+).*/\1/p' \
		-e 's/^#define (NATPMP_[A-Z_]+)[[:space:]]+([0-9]+)$/\1 = \2/p' "$include/natpmpc.h"
}

case $command in
write)
	description=$(describe)
	echo "$description" >"$here/libnatpmpc.abi"
	values >"$here/libnatpmpc.values"
	echo "written: tests/abi/libnatpmpc.abi, tests/abi/libnatpmpc.values"
	exit
	;;
check) ;;
*) echo "check or write, not $command" >&2; exit 2 ;;
esac

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
describe >"$work/now.abi"
values >"$work/now.values"
status=0
diff -u "$here/libnatpmpc.values" "$work/now.values" || status=4
# Of the bits of its status, 4 is for a change, 8 for one that breaks programs for sure.
abidiff --harmless "$here/libnatpmpc.abi" "$work/now.abi" || status=$((status | $?))
[ "$status" != 0 ] || exit 0
if [ $((status & 8)) != 0 ]; then
	echo "This breaks programs that are built already: docs/abi.md says what there is to do." >&2
else
	echo "Is that as docs/abi.md allows? Then: cmake --build --preset default --target abi" >&2
fi
exit 1
