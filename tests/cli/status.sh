#!/bin/sh
# SPDX-License-Identifier: MIT
# Every exit status, without and with a command, and that each message says
# what to do. (Those of a command of its own: command.sh.)
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
gateway --profile rfc

# refused STATUS CODE: without a command, with one, held, and as JSON.
refused() {
	run -p 1000 --timeout 1
	expect_status "$1"
	expect_empty out
	expect_lines err 1
	expect_text err '1000/tcp is not open'
	expect_text err '; '
	run -p 1000 --timeout 1 --hold
	expect_status "$1"
	expect_empty out
	expect_lines err 1
	run -p 1000 --timeout 1 "touch $work/ran"
	expect_status 125
	expect_text err 'the command was not run'
	expect_not test -e "$work/ran"
	run -p 1000 --timeout 1 --json
	expect_status "$1"
	expect_json out ".event == \"error\" and .error.code == \"$2\"
		and .internal_port == 1000 and (.error.message | length > 0)"
}

step "0: done"
run -p 1000
expect_status 0

step "a gateway by its name"
gateway_named=$gateway
"$GATEWAYD" --listen 127.0.0.1:0 --no-relay >"$work/named" 2>&1 &
started="$started $!"
wait_for 5 grep -q '^listening ' "$work/named"
gateway=localhost:$(sed -n 's/^listening .*://p' "$work/named")
run -p 1000 --print %p
expect_status 0
expect_line out 1000
gateway=$gateway_named

step "4: no answer in time, and --timeout is that time"
tell drop 100000
before=$(date +%s)
run -p 1000 --timeout 1
expect_status 4
expect test $(($(date +%s) - before)) -le 4
before=$(date +%s%N)
run -p 1000 --timeout 1 --hold
expect test $((($(date +%s%N) - before) / 1000000)) -lt 2500 # nobody waits for it to be closed
refused 4 timeout
expect_text err "1000/tcp is not open (asked $gateway_address port ${gateway#*:}, through lo from 127.0.0.1): no answer"
tell reset

step "5: nothing listens there"
tell refuse on
refused 5 refused
run -p 1001 -p 1002 -p 1003/udp # the others would not fare better, which is said
expect_status 5
expect_lines err 2
expect_text err '1001/tcp is not open'
expect_text err '2 more were not tried'
run --close -p 1001 -p 1002 --json
expect_text err '1 more was not tried'
expect_lines out 2
expect_json out '.event == "error" and .internal_port == 1002 and .error.code == "refused"'
tell refuse off
status=0
timeout 10 "$NATPMP" -g "$gateway_address" -p 1000 >"$work/out" 2>"$work/err" || status=$?
expect_status 5
expect_text err "(asked $gateway_address, through lo from 127.0.0.1): "

step "6: not authorised"
tell result 2
refused 6 not_authorized
run -p 1000:2000 --ttl 60 --json
expect_json out '.internal_port == 1000 and .external_port == null and .lifetime == null and
	.external_kind == null'
tell result off
tell result 2 udp
run -p 1001 -p 1002/udp -p 1003 # the others all the same
expect_status 6
expect_lines out 2
expect_text err '1002/udp is not open'
expect has_mapping tcp 1003 1003
tell result 2

step "7: any other no"
tell result 1
refused 7 version
tell result 3
refused 7 network_failure
expect_text err 'the gateway has no external address'
tell result off
tell result 3 tcp
refused 7 network_failure
run -p 1000
expect_text err '): the gateway has an external address, but could not set up the mapping (network failure); restart port mapping in the router'
tell address 10.1.2.3
run -p 1000 true
expect_text err 'its address 10.1.2.3 is a private one: there is a second NAT in front of the gateway; forward'
tell address 11.22.33.44
tell result off
tell result 4
refused 7 no_resources
tell result 5
refused 7 opcode
tell result 6
refused 7 result
expect_text err '; -v tells more'
run -v -p 1000
expect_not has_text err '-v tells more'
tell result 65535
refused 7 result
tell result off
tell lifetime 0
run -p 1000 --timeout 1
expect_status 7
tell reset

step "3: an interface that leads to no gateway"
status=0
timeout 10 "$NATPMP" -i lo -p 1000 >"$work/out" 2>"$work/err" || status=$?
expect_status 3
expect_text err '(-i lo): no default route, so no gateway to ask; leave -i out, or name the gateway with -g'

step "3: no such interface"
run -i nosuch0 -p 1000
expect_status 3
expect_text err 'nosuch0'
run -i nosuch0 --check
expect_status 3
expect_text out 'verdict: no such network interface (-i nosuch0); '
start nosuch -i nosuch0 -p 1000 --hold --retry
wait_for 5 has_text nosuch.err '1000/tcp is not open yet (-i nosuch0): no such network interface; '
kill -s TERM "$pid"
finish "$pid"

step "3: no gateway known"
if unshare -Urn true 2>/dev/null; then
	status=0
	timeout -k 1 20 unshare -Urn "$NATPMP" -p 1000 >"$work/out" 2>"$work/err" || status=$?
	expect_status 3
	expect_empty out
	expect_text err '-g'
	status=0
	timeout -k 1 20 unshare -Urn "$NATPMP" -g 10.99.99.1 -p 1000 >"$work/out" 2>"$work/err" || status=$?
	expect_status 3
	expect_text err '10.99.99.1'
	status=0
	timeout -k 1 20 unshare -Urn "$NATPMP" -g router.invalid:99 -p 1 >"$work/out" 2>"$work/err" ||
		status=$?
	expect_status 3
	expect_lines err 1
	expect_text err '-g router.invalid:99: no IPv4 address is known for that name: '
	status=0
	timeout -k 1 20 unshare -Urn "$NATPMP" -g router.invalid true 2>"$work/err" || status=$?
	expect_status 125
	status=0
	timeout -k 1 20 unshare -Urn "$NATPMP" --check >"$work/out" 2>"$work/err" || status=$?
	expect_status 3
	expect_text out 'verdict: '
	status=0
	timeout -k 1 20 unshare -Urn "$NATPMP" -p 1000 true >"$work/out" 2>"$work/err" || status=$?
	expect_status 125
else
	skip "no namespace to be had"
fi

step "1: the rest: no descriptor left but one, for the loader"
free=3
while [ -e "/proc/$$/fd/$free" ]; do free=$((free + 1)); done
status=0
prlimit --nofile=$((free + 1)) "$NATPMP" -g "$gateway" -p 1000 --hold >"$work/out" 2>"$work/err" ||
	status=$?
expect_status 1
expect test -s "$work/err"
