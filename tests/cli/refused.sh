#!/bin/sh
# SPDX-License-Identifier: MIT
# A gateway that refuses packet after packet, for longer than the lifetime, while
# a command runs and a hold waits: neither is lost.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
gateway --profile rfc

step "each reason is said once"
tell refuse on
start again -p 1810 --hold --retry --json
again=$pid
wait_for 5 has_text again.out '"code":"refused"'
tell result 2 tcp
tell refuse off
wait_for 25 has_text again.out '"code":"not_authorized"'
expect_lines again.err 2
expect_lines again.out 2
kill -s TERM "$again"
finish "$again"
expect_status 143
tell reset
tell refuse off

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

step "again and again, each time later"
refusals() { grep -c -E '^natpmp: refused: ' "$work/hold.err"; }
refused_more() { [ "$(refusals)" -gt "$count" ]; }
count=$(refusals)
while [ "$count" -lt 5 ]; do
	wait_for 12 refused_more
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
wait_for 25 has_mappings 2
wait_for 5 has_text hold.err '1800/tcp is up again: 11.22.33.44:1800, after '
expect grep -qE ' s and [0-9]+ failures$' "$work/hold.err"
wait_for 5 has_text command.err '1801/tcp is up again: 11.22.33.44:1801, after '
kill -s TERM "$hold"
finish "$hold"
expect_status 0
kill -s TERM "$command"
finish "$command"
expect_status 143
expect has_mappings 0
echo "refused $count packets"
