#!/bin/sh
# SPDX-License-Identifier: MIT
# coverage.sh [LEAST] - which lines of lib/ and cli/ the tests run: a table, the lines that none runs, and
# build/coverage/report.html. Fails below LEAST per cent (95). Some minutes on two cores.
set -eu
cd "$(dirname "$0")/.."
. tests/packages.sh
least=${1:-95}
# shellcheck disable=SC2086 # lists of words
need_packages $BUILD_PACKAGES $TEST_PACKAGES
build=build/coverage
mkdir -p "$build"

cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Debug -DNATPMPC_COVERAGE=ON >"$build/log" 2>&1 ||
	{ cat "$build/log"; exit 1; }
cmake --build "$build" -j "$(nproc)" >"$build/log" 2>&1 || { cat "$build/log"; exit 1; }
find "$build" -name '*.gcda' -exec rm {} +
ctest --test-dir "$build" -j $(($(nproc) * 2)) --output-on-failure \
	-R '^(unit-|sim|api-|cli-|netns-)' >"$build/log" 2>&1 || { tail -n 60 "$build/log"; exit 1; }

gcovr --root . --object-directory "$build" --filter 'lib/' --filter 'cli/' \
	--exclude-throw-branches --html-details "$build/report.html" --txt --print-summary \
	--fail-under-line "$least" "$build"
