#!/bin/sh
# SPDX-License-Identifier: MIT
# digests.sh record|check [BUILD] - what the client does, as numbers: has it changed?
#
# Runs 300 simulated weeks and every story of the unit tests. Of each it takes a digest: how many
# packets the client sent, how many events it told, and a hash of all of them with their times.
#   check    compares them with those in tests/digests/, shows the first differences, fails if any
#   record   writes them there: for a commit that means to change what the client does
#
#   weeks.txt      SEED PACKETS EVENTS HASH           again: sim --seed SEED -v
#   stories.txt    SUITE TEST PACKETS EVENTS HASH     a line for each story, of one test in their order
#
# This script builds nothing: the folder BUILD (else $BUILD, else build/default) must be up to date.
set -eu
usage() { echo "usage: sh tests/digests.sh record|check [BUILD]" >&2; exit 2; }
[ $# -le 2 ] || usage
case ${1-} in record | check) task=$1 ;; *) usage ;; esac

source=$(cd "$(dirname "$0")/.." && pwd)
known=$source/tests/digests
build=${2:-${BUILD:-$source/build/default}}
sim=$build/tests/sim/sim
weeks=300 # seeds from 1 on
shown=5   # differences of weeks, and of stories

[ -x "$sim" ] || { echo "no $sim: build first, or name another folder than $build" >&2; exit 2; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
failed=''

"$sim" --digest --keep-going --count "$weeks" >"$work/weeks.txt" 2>"$work/sim.err" || failed=' sim'
for program in "$build"/tests/unit/unit-* "$build"/tests/sim/sim-found; do
	[ -x "$program" ] || continue
	suite=${program##*/}
	rm -f "$work/suite"
	STORY_DIGEST="$work/suite" "$program" >/dev/null 2>&1 || failed="$failed $suite"
	[ ! -f "$work/suite" ] || sed "s/^/$suite /" "$work/suite" # some suites have no stories
done >"$work/unsorted"
LC_ALL=C sort -s -k 1,2 "$work/unsorted" >"$work/stories.txt"

# compare FILE: how many are different, and the first of them.
compare() {
	diff "$known/$1" "$work/$1" >"$work/diff" && return
	sed -n 's/^[<>] \(.*\) [^ ]* [^ ]* [^ ]*$/\1/p' "$work/diff" | awk '!seen[$0]++' >"$work/names"
	echo "$1: $(wc -l <"$work/names") are different (<: as recorded, >: as it is now); the first of them:"
	head -n "$shown" "$work/names" | while read -r name; do grep "^[<>] $name " "$work/diff"; done
	return 1
}

# Which programs failed, whatever the digests are.
tell_failed() {
	[ -n "$failed" ] || return 0
	echo "failed by themselves, whatever the digests are:$failed"
	head -n 2 "$work/sim.err"
}

if [ "$task" = record ]; then
	tell_failed
	[ -z "$failed" ] || { echo "nothing is recorded" >&2; exit 1; }
	mkdir -p "$known"
	cp "$work/weeks.txt" "$work/stories.txt" "$known"
	echo "recorded: $(wc -l <"$known/weeks.txt") weeks, $(wc -l <"$known/stories.txt") stories"
	exit
fi

same=true
for file in weeks.txt stories.txt; do
	[ -f "$known/$file" ] || { echo "no $known/$file: sh tests/digests.sh record" >&2; exit 2; }
	compare "$file" || same=false
done
tell_failed
if ! $same; then
	echo "The client behaves otherwise than it did. If that is meant, renew what is recorded with"
	echo "	sh tests/digests.sh record"
	echo "and say why in the commit that has the new digests."
fi
$same && [ -z "$failed" ]
