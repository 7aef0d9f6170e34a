#!/bin/sh
# SPDX-License-Identifier: MIT
# A gateway that refuses packet after packet, for longer than the lifetime, while
# a command runs and a hold waits: neither is lost.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
gateway --profile rfc

step "a failure that comes again is said once, and then how often"
tell refuse on
start again -p 1810 --hold --retry --json
again=$pid
wait_for 5 has_text again.out '"code":"refused"'
tell drop 100000
tell refuse off
tell announce
wait_for 25 has_text again.out '"code":"timeout"' # an announcement is looked into first
tell refuse on
tell announce
wait_for 15 sh -c "[ \$(grep -c refused '$work/again.out') = 2 ]"
tell reset
tell refuse off
tell announce
wait_for 15 has_text again.err '1810/tcp is up: 11.22.33.44:1810, after '
expect grep -qE ' s and [0-9]+ failures$' "$work/again.err"
expect_lines again.err 3
kill -s TERM "$again"
finish "$again"
expect_status 0

start hold -p 1800 --ttl 2 --hold --port-file "$work/port" -v
hold=$pid
start command -p 1801 --ttl 2 'echo started; exec sleep 80'
command=$pid
wait_for 5 has_line command.out started
wait_for 5 test -s "$work/port"

step "every packet is refused: said, and tried again, not ended"
tell refuse on
wait_for 10 has_text hold.err '1800/tcp is down '
wait_for 10 has_text command.err '1801/tcp is down '
expect_text command.err 'port unreachable'

step "a hundred in a row"
# After a refusal it waits, longer each time; but a gateway that is heard again
# is asked at once. So it is made to speak, and refuses all the same.
refusals() { grep -c -E '^natpmp: refused, 12 bytes' "$work/hold.err"; }
refused_more() { [ "$(refusals)" -gt "$count" ]; }
count=$(refusals)
while [ "$count" -lt 100 ]; do
	tell announce
	wait_for 5 refused_more
	count=$(refusals)
done
expect_not gone "$hold"
expect_not gone "$command"
expect test "$(grep -c 'is down' "$work/hold.err")" = 1
expect_lines command.err 1
expect test "$(cat "$work/port")" = 1800

step "and it is there again when the gateway is"
tell refuse off
tell announce
wait_for 15 has_mappings 2
wait_for 5 has_text hold.err '1800/tcp is up again: 11.22.33.44:1800, after '
wait_for 5 has_text command.err '1801/tcp is up again: 11.22.33.44:1801, after '
kill -s TERM "$hold"
finish "$hold"
expect_status 0
kill -s TERM "$command"
finish "$command"
expect_status 143
expect has_mappings 0
echo "refused $count packets"
