#!/bin/sh
# SPDX-License-Identifier: MIT
# Build and run every test: sh tests/run.sh [ARGUMENTS OF CTEST]
#
# Installs with apt-get what is missing (as root or by sudo), or says what that is. Builds go to
# build/, one folder a preset of CMakePresets.json. With CI=true no test may skip.
set -eu
cd "$(dirname "$0")/.."
. tests/packages.sh

# shellcheck disable=SC2086 # lists of words
need_packages $BUILD_PACKAGES $TEST_PACKAGES
jobs=$(nproc)
# The compilers' warnings are errors in all of these.
build() { # PRESET
	cmake --preset "$1" >"build/$1.log" 2>&1 || { cat "build/$1.log" >&2; return 1; }
	cmake --build --preset "$1" -j "$jobs" >"build/$1.log" 2>&1 || { cat "build/$1.log" >&2; return 1; }
}
try() { # PRESET CTEST-ARGUMENTS...
	preset=$1
	shift
	echo "== $preset: build"
	build "$preset"
	echo "== $preset: test"
	ctest --preset "$preset" -j $((jobs + 1)) "$@" # one more: most wait, and not for a processor
}

mkdir -p build
[ "${CI:-}" != true ] || export NATPMPC_NO_SKIP=1

if [ $# -gt 0 ]; then # a part, while working on it
	try default "$@"
	exit
fi
try asan    # gcc: address, undefined behaviour, leaks
try tsan    # clang: data races, wherever there are threads
try fuzz    # clang: fuzzers with sanitizers, a short run
echo "== other compilers, C libraries, machines"
sh tests/matrix.sh quick
try default # gcc, optimised: everything, with the real daemon and under valgrind
