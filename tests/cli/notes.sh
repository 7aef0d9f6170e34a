#!/bin/sh
# SPDX-License-Identifier: MIT
# What only somebody at a terminal is told, and what is told beside a success.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
gateway --profile rfc
here=$(dirname "$0")

# on_terminal TEXT ACTION ARGUMENT...: see terminal.py; $work/seen is what appeared there.
on_terminal() {
	text=$1 action=$2
	shift 2
	status=0
	TERM=dumb timeout -k 1 30 python3 "$here/terminal.py" "$text" "$action" \
		"$NATPMP" -g "$gateway" "$@" >"$work/seen" || status=$?
}
listens() { ss -Htln "sport = :$1" | grep -q .; }

step "another external port than was asked for"
tell port 2200
run -p 1200
expect_text err 'the gateway has given external port 2200 to 1200/tcp, not 1200; others have to be told that one'
run -p 1200:2300
expect_text err 'not 2300'
run -p 1200 -P 2200
expect_empty err
run -q -p 1200
expect_empty err
start held -p 1200 --hold
wait_for 5 has_text held.err 'the gateway has given external port 2200 to 1200/tcp, not 1200'
kill -s TERM "$pid"
finish "$pid"
tell port off

step "nobody listens on the port: said on a terminal, once, unless somebody does"
on_terminal nothing none -p 1201
expect_line seen 'natpmp: nothing listens on 1201/tcp here so far'
socat -u TCP-LISTEN:1201,bind=127.0.0.1,fork OPEN:/dev/null &
started="$started $!"
wait_for 5 listens 1201
on_terminal :1201 none -p 1201
expect_not has_text seen 'nothing listens'
on_terminal nothing none -p 1201/udp
expect_text seen 'nothing listens on 1201/udp'
on_terminal :1202 interrupt -p 1202 --hold
expect test "$(grep -c 'nothing listens' "$work/seen")" = 1
on_terminal over none -p 1203 echo over
expect_not has_text seen 'nothing listens'
run -p 1201/udp
expect_empty err

step "without any argument: what was done, how to undo it, what else there is"
on_terminal without none
expect_text seen 'without -p a free port was opened: "natpmp --close -p '
expect_text seen '"natpmp --help" shows what else there is'
expect_not has_text seen 'nothing listens'
run
expect_empty err

step "lines of a hold have the time of day on a terminal, and only there"
on_terminal held interrupt -p 1204 --hold
expect_line seen '[0-2][0-9]:[0-5][0-9]:[0-5][0-9] 11\.22\.33\.44:1204 .*'
expect_line seen 'natpmp: [0-2][0-9]:[0-5][0-9]:[0-5][0-9] held until Ctrl-C'
expect_line seen '(\^C)?natpmp: [0-2][0-9]:[0-5][0-9]:[0-5][0-9] 1204/tcp is closed'
on_terminal :1204 none -p 1204
expect_line seen '11\.22\.33\.44:1204 .*'

step "a silent gateway: asking, with the seconds, and taken away again"
tell drop 100000
on_terminal '... 1 s' none -p 1205 --timeout 2
expect_status 4
# Each of these replaces the one before; the last is overwritten with blanks.
tr '\r' '\n' <"$work/seen" >"$work/lines"
expect_line lines "natpmp: asking $gateway_address \.\.\. 0 s"
expect_line lines "natpmp: asking $gateway_address \.\.\. 1 s"
expect_line lines ' +'
expect test "$(tail -n 1 "$work/lines" | cut -c 1-28)" = 'natpmp: 1205/tcp is not open'
for arguments in '-p 1206 --hold' '-p 1206 true' --address --check --close-all; do
	# shellcheck disable=SC2086 # words
	on_terminal '... 0 s' interrupt $arguments
	expect_status 130
	expect_text seen "asking $gateway_address ... 0 s"
done
run -p 1205 --timeout 2
expect_lines err 1
expect_not has_text err asking
on_terminal none none -q -p 1205 --timeout 2
expect_not has_text seen asking
tell reset

step "a prompt answer: nothing of that"
on_terminal none none -p 1207
expect_not has_text seen asking
