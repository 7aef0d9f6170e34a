#!/bin/sh
# SPDX-License-Identifier: MIT
# Twenty natpmp at once against one gateway: each has its own mapping, holds it
# over renewals, and takes it away.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
gateway --profile rfc

step "twenty that hold"
pids=''
for i in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do
	start "hold$i" -p $((1900 + i)) --ttl 4 --hold --port-file "$work/port$i"
	pids="$pids $pid"
done
wait_for 10 has_mappings 20
for i in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do
	wait_for 5 grep -qx $((1900 + i)) "$work/port$i"
done

step "over two lifetimes"
wait_for 12 seen 100 'request map tcp internal 19[01][0-9] .* lifetime 4'
expect has_mappings 20
expect_not seen 21 'mapping \+'

step "and close it, all at once"
# shellcheck disable=SC2086 # a list of words
kill -s TERM $pids
for pid in $pids; do
	finish "$pid"
	expect_status 0
done
expect has_mappings 0
for i in 0 7 19; do
	expect_lines "hold$i.out" 1
	expect_empty "hold$i.err"
done

step "twenty commands that begin and end at once, one picks its port each"
: >"$work/ports"
pids=''
for i in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19; do
	start "command$i" "echo %p >>'$work/ports'; sleep 0.5"
	pids="$pids $pid"
done
for pid in $pids; do
	finish "$pid"
	expect_status 0
done
# A port is picked because it is free, and not kept from others: the kernel may give the same one
# to two who ask in the same moment (about once in 75 runs of this).
expect_lines ports 20
expect test "$(sort -u "$work/ports" | wc -l)" -ge 18
expect has_mappings 0
