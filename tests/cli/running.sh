#!/bin/sh
# SPDX-License-Identifier: MIT
# --status: what the running natpmp of this user hold, and nothing that is no longer true.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
gateway --profile rfc

# shows FILE: --status, for people and for programs.
shows() {
	"$NATPMP" --status >"$work/$1" 2>"$work/$1.err"
	"$NATPMP" --status --json >"$work/$1.json"
}

step "without XDG_RUNTIME_DIR nothing is known, which is said; a hold is none the worse"
unset XDG_RUNTIME_DIR
status=0
"$NATPMP" --status >"$work/out" 2>"$work/err" || status=$?
expect_status 1
expect_lines err 1
expect_text err 'XDG_RUNTIME_DIR is not set'
run -p 1100 true
expect_status 0

XDG_RUNTIME_DIR=$work/runtime
export XDG_RUNTIME_DIR
mkdir "$XDG_RUNTIME_DIR"
step "nothing is held"
shows none
expect_empty none
expect_empty none.json
expect_text none.err 'no natpmp of yours keeps a port open now'

step "what is held, with each mapping"
start hold -p 1100 -p 1101:2101/both --hold
hold=$pid
start command -p 1102/udp 'exec sleep 30'
command=$pid
wait_for 5 has_mappings 4
wait_for 5 sh -c "[ \$('$NATPMP' --status | grep -c ' up, since 2') = 3 ]"
shows held
expect_lines held 3
expect_line held "11\\.22\\.33\\.44:2101 -> 127\\.0\\.0\\.1:1101 both up, since 20[-0-9]+ [0-9:]+, until 20[-0-9]+ [0-9:]+, process $hold"
expect_json held.json ".event == \"status\" and .internal_port == 1102 and .protocol == \"udp\" and .up and
	.process == $command and (.since - now | fabs) < 10 and
	(.expires - .since - 7200 | fabs) < 10 and .gateway == \"$gateway_address\""
expect test "$(stat -c %a "$XDG_RUNTIME_DIR/natpmp")" = 700

step "until when follows the renewals"
start renewed -p 1104 --ttl 4 --hold
until_when() { "$NATPMP" --status --json | jq 'select(.internal_port == 1104).expires'; }
wait_for 5 sh -c "'$NATPMP' --status | grep -q ':1104 tcp up'"
first=$(until_when)
wait_for 6 seen 2 'request map tcp internal 1104'
later() { [ "$(until_when)" -gt "$first" ]; }
wait_for 3 later
kill -s TERM "$pid"
finish "$pid"

step "a second one for the same port is told what its end would do"
start second -p 1100 --hold
wait_for 5 has_text second.err "1100/tcp is kept open by another natpmp (process $hold), too"
expect_lines second.err 1
kill -s TERM "$pid"
finish "$pid"
start other -p 1102/tcp --hold
wait_for 5 has_text other.out :1102
expect_empty other.err
kill -s TERM "$pid"
finish "$pid"

step "one that ended is not shown, however it ended, nor one whose number another process has now"
kill -s TERM "$command"
finish "$command"
expect_not test -e "$XDG_RUNTIME_DIR/natpmp/$command"
kill -s KILL "$hold"
finish "$hold"
expect test -s "$XDG_RUNTIME_DIR/natpmp/$hold"
cp "$XDG_RUNTIME_DIR/natpmp/$hold" "$XDG_RUNTIME_DIR/natpmp/$$"
shows ended
expect_empty ended
expect test -z "$(ls "$XDG_RUNTIME_DIR/natpmp")"

step "down"
tell refuse on
start down -p 1103 --hold --retry
wait_for 5 has_text down.err 'not open yet'
wait_for 5 sh -c "'$NATPMP' --status | grep -q -- '-:- -> -:1103 tcp down, since -, until -, '"
kill -s TERM "$pid"
finish "$pid"
