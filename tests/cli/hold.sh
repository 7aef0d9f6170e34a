#!/bin/sh
# SPDX-License-Identifier: MIT
# --hold: a line when a mapping comes up or changes, on stderr when it goes
# down and why, each once; --retry; what a command's user is told.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
gateway --profile rfc

step "up, changed by the gateway, closed"
start hold -p 1600 --ttl 4 --hold
wait_for 5 has_line hold.out '11\.22\.33\.44:1600 -> 127\.0\.0\.1:1600 tcp 4 s'
tell port 1700
wait_for 8 has_line hold.out '11\.22\.33\.44:1700 -> 127\.0\.0\.1:1600 tcp 4 s'
tell port off
tell address 11.22.33.45
tell announce
wait_for 8 has_line hold.out '11\.22\.33\.45:1700 -> .*'
expect_lines hold.out 3
expect_empty hold.err
expect has_mappings 1
kill -s TERM "$pid"
finish "$pid"
expect_status 0
expect has_mappings 0
expect_lines hold.out 3
tell address 11.22.33.44

step "down is told on stderr, with the reason, once; then up again"
start down -p 1601 --ttl 2 --hold
start downjson -p 1602 --ttl 2 --hold --json
json=$pid
wait_for 5 has_line down.out '11\.22\.33\.44:1601 .*'
wait_for 5 has_text downjson.out '"up"'
tell result 2 tcp
wait_for 8 has_text down.err '1601/tcp is down '
expect grep -q '1601/tcp is down (asked [0-9.]* port [0-9]*): the gateway refuses: not authorized; it is tried again, and if that lasts: allow port mappings in the router' "$work/down.err"
expect_lines down.out 1
wait_for 8 has_text downjson.out '"down"'
tell result off
tell restart
tell announce
wait_for 15 has_text down.err '1601/tcp is up again: 11.22.33.44:1601, after '
wait_for 15 sh -c "[ \$(wc -l <'$work/downjson.out') = 3 ]"
expect_lines down.err 2
expect_lines down.out 2
for holder in $started; do
	[ "$holder" = "$gateway_pid" ] || kill -s TERM "$holder" 2>/dev/null || :
done
finish "$json"
expect test "$(jq -r .event "$work/downjson.out" | tr '\n' ' ')" = 'up down up closed '
expect_json downjson.out '.event == "down" and .error.code == "not_authorized"
	and .internal_port == 1602 and .external_port == 1602 and .gateway == "'"$gateway_address"'"'
expect_json downjson.out '.event == "closed" and .external_port == 1602 and .error == null
	and .gateway == "'"$gateway_address"'"'
wait_for 5 has_mappings 0

step "--retry: no answer is no reason to give up, said once"
tell clock 90000 # a clock that began 2 s ago cannot be seen to begin again
tell refuse on
start retry -p 1603 --hold --retry
retry=$pid
start retrycmd -p 1604 --retry 'echo open at %P; exec sleep 20'
command=$pid
wait_for 5 has_text retry.err '1603/tcp is not open yet '
wait_for 5 has_text retrycmd.err '1604/tcp is not open yet '
tell refuse off
wait_for 15 has_line retry.out '11\.22\.33\.44:1603 -> .*'
wait_for 15 has_line retrycmd.out 'open at 1604'
expect_text retry.err '1603/tcp is up: '
expect_lines retry.err 2
kill -s TERM "$retry"
finish "$retry"

step "with a command: stdout is the command's, a change is told on stderr"
tell restart
tell port 1800
tell announce
wait_for 15 has_text retrycmd.err '1604/tcp is 11.22.33.44:1800 now, no longer 11.22.33.44:1604'
expect_lines retrycmd.out 1
tell port off
kill -s TERM "$command"
finish "$command"
expect_status 143

step "several, and both types on one port"
start several -p 1610/udp -p 1611:1711/tcp -p 1612/both --hold
wait_for 5 has_line several.out '11\.22\.33\.44:1612 -> 127\.0\.0\.1:1612 both 7200 s'
expect has_mapping udp 1610 1610
expect has_mapping tcp 1611 1711
expect has_mapping udp 1612 1612
expect has_mapping tcp 1612 1612
expect_lines several.out 3
kill -s TERM "$pid"
finish "$pid"
expect_not has_mapping udp 1610 1610
expect_not has_mapping tcp 1611 1711
expect_not has_mapping udp 1612 1612
expect_not has_mapping tcp 1612 1612

step "one of several is refused: none is left behind"
tell result 2 udp
run -p 1620/tcp -p 1621/udp --hold
expect_status 6
expect_text err '1621/udp is not open'
run -p 1620/tcp -p 1621/udp "touch $work/ran"
expect_status 125
expect_not test -e "$work/ran"
tell result off
expect_not has_mapping tcp 1620 1620

step "--print tells each change, -q nothing but trouble"
for how in "--print port=%P" --json -q; do
	# shellcheck disable=SC2086 # words
	start "$how" -p 1630 --ttl 2 --hold $how
	wait_for 5 has_mapping tcp 1630 1630
	[ "$how" = -q ] || wait_for 5 has_text "$how.out" 1630
	tell port 1900
	wait_for 5 has_mapping tcp 1630 1900
	[ "$how" = -q ] || wait_for 5 has_text "$how.out" 1900
	kill -s TERM "$pid"
	finish "$pid"
	expect_empty "$how.err"
	tell port off
done
expect test "$(tr '\n' ' ' <"$work/--print port=%P.out")" = 'port=1630 port=1900 '
expect test "$(jq -r '.event, .external_port' "$work/--json.out" | tr '\n' ' ')" = \
	'up 1630 changed 1900 closed 1900 '
expect_empty -q.out

step "--print and --json with a command: on its stdout, as asked for"
run -p 1640 --print '%P' 'echo command'
expect test "$(tr '\n' ' ' <"$work/out")" = '1640 command '
run -p 1640 --json 'echo {}'
expect test "$(jq -r '.event // "command"' "$work/out" | tr '\n' ' ')" = 'up command closed '

step "a gateway that is silent at the end: nothing is said to be closed"
start silent -p 1650 -p 1651 --hold --json
wait_for 5 sh -c "[ \$(wc -l <'$work/silent.out') = 2 ]"
tell drop 100000
kill -s TERM "$pid"
finish "$pid"
expect_status 0
expect test "$(jq -r .event "$work/silent.out" | tr '\n' ' ')" = 'up up left left '
expect_json silent.out '.event == "left" and .external_port == 1651 and .error.code == "timeout"'
expect_lines silent.err 1
expect_text silent.err 'closing failed: no answer'
expect_text silent.err 'ends with its lifetime'
