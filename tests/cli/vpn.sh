#!/bin/sh
# SPDX-License-Identifier: MIT
# --vpn: gateways of VPN providers, which give one external port per client, for
# both types alike, and forward it to the same number here.
# shellcheck disable=SC2016 # it is for the shell that natpmp starts
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"

for profile in vpn vpn-named; do
	step "$profile: the port to listen on is the external one"
	gateway --profile $profile
	run --vpn -t both 'echo %p %P "$NATPMP_INTERNAL_PORT" "$NATPMP_EXTERNAL_PORT"'
	expect_status 0
	expect_line out '([0-9]+) \1 \1 \1'
	expect_not grep -q '^0 ' "$work/out"

	step "$profile: once"
	run --vpn
	expect_status 0
	expect_line out '11\.22\.33\.44:([0-9]+) -> 127\.0\.0\.1:\1 tcp 60 s'

	step "$profile: held over renewals, one port for both types, nothing is deleted"
	tell set max-lifetime 2
	start "$profile" --vpn -t both --hold --print '%p %P' --port-file "$work/port"
	wait_for 5 test -s "$work/port"
	port=$(cat "$work/port")
	requests=$(grep -c 'request map' "$work/log")
	wait_for 8 seen $((requests + 6)) 'request map (tcp|udp) internal (0|'"$port"') '
	expect_lines "$profile.out" 1
	expect_line "$profile.out" "$port $port"
	kill -s TERM "$pid"
	finish "$pid"
	expect_status 0
	expect_not seen 1 'request delete'
	run --vpn --json true
	expect_json out '.event == "left" and .error == null'
	expect_not has_text out closed
	expect_empty err
	"$GATEWAYD" --tell "$work/control" quit >/dev/null
	finish "$gateway_pid"
done

step "silent or closed: the VPN has no port forwarding"
gateway --profile vpn
tell refuse on
for how in '' --hold true; do
	# shellcheck disable=SC2086 # none or one
	run --vpn $how
	expect_text err 'made without port forwarding, or this server has none: make the VPN'
	expect_not has_text err 'switch on NAT-PMP'
done
tell refuse off
tell drop 100000
run --vpn --timeout 0.3
expect_text err 'made without port forwarding'
"$GATEWAYD" --tell "$work/control" quit >/dev/null
finish "$gateway_pid"

step "an ordinary gateway that refuses: leaving out --vpn may help"
gateway --profile rfc
tell result 2 tcp
run --vpn
expect_status 6
expect_text err 'no tcp port was opened'
expect_text err 'leave out --vpn, and name a port with -p'
run --vpn --check --json
expect_json out '.advice | test("leave out --vpn")'
"$GATEWAYD" --tell "$work/control" quit >/dev/null
finish "$gateway_pid"

step "without --vpn an internal port 0 is picked here, as ever"
gateway --profile rfc
run -p 0 --print '%p'
expect_status 0
expect_not grep -qx 0 "$work/out"
