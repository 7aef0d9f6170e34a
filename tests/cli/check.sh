#!/bin/sh
# SPDX-License-Identifier: MIT
# --check: what it finds, and one plain verdict with what to do.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
gateway --profile rfc --clock 93784

# check STATUS VERDICT: for people and for programs.
check() {
	run --check --timeout 1
	expect_status "$1"
	expect_empty err
	expect test "$(grep -c '^verdict: ' "$work/out")" = 1
	expect test "$(tail -n 1 "$work/out" | cut -c 1-9)" = 'verdict: '
	cp "$work/out" "$work/people"
	run -q --check --timeout 1
	expect_lines out 1
	run --check --timeout 1 --json
	expect_status "$1"
	expect_lines out 1
	expect_empty err
	expect_json out ".event == \"check\" and .verdict == \"$2\" and (.works == ($1 == 0)) and
		(.message | length > 0) and ((.advice == null) == .works)"
	expect has_mappings 0
}

step "all is well"
check 0 works
expect_line people "gateway: $gateway_address port [0-9]+, named by -g, through lo"
expect_line people 'own address: 127\.0\.0\.1'
expect_line people 'NAT-PMP: yes, answers within [0-9]+\.[0-9] ms'
expect_line people 'PCP: no'
expect_line people 'external address: 11\.22\.33\.44, public'
expect_line people 'gateway up for: 1 d 2 h'
expect_line people 'test mapping: granted: 11\.22\.33\.44:[0-9]+ -> 127\.0\.0\.1:[0-9]+ tcp, and closed again'
expect_json out '.gateway == "'"$gateway_address"'" and .interface == "lo" and .natpmp == true and
	.natpmp_error == null and .pcp == false and .round_trip_us > 0 and .uptime >= 93784 and
	.external_address == "11.22.33.44" and .external_kind == "public" and .mapping == true'

step "-t: the test mapping's type"
run --check -t both
expect_line people 'test mapping: .* tcp, and closed again'
expect_line out 'test mapping: .* both, and closed again'

step "a second NAT, the provider's NAT"
tell address 192.168.9.9
check 1 private
expect_line people 'verdict: .*192\.168\.9\.9 is a private one.*; forward .*'
tell address 100.64.0.1
check 1 shared
tell address 203.0.113.5
check 1 reserved

step "no external address"
tell address none
tell set maps-without-address on
check 7 network_failure
expect_line people 'external address: none: .*'
expect_line people 'test mapping: granted: .*'
tell address 11.22.33.44

step "mappings are not allowed"
tell result 2 tcp
check 6 not_authorized
expect_line people 'test mapping: no: .*'
expect_json out '.mapping == false and .mapping_error.code == "not_authorized" and .natpmp == true'
tell result off

step "neither NAT-PMP nor PCP"
tell result 1
check 7 version
expect_line people 'PCP: no'
expect_not grep -q 'PCP only' "$work/people"
tell result off

step "PCP only"
tell profile pcp
check 0 works
expect_line people 'NAT-PMP: no'
expect_line people 'PCP: yes, answers within [0-9]+\.[0-9] ms'
expect_line people 'external address: 11\.22\.33\.44, public'
expect_line people 'verdict: it works: this gateway opens ports, by PCP only'
expect_json out '.natpmp == false and .pcp == true and .mapping == true and .dialect == "pcp" and
	.natpmp_error.code == "version" and .pcp_error == null and .round_trip_us == null and
	.pcp_round_trip_us > 0 and .uptime >= 93784 and .external_address == "11.22.33.44"'

step "PCP only, and silent to NAT-PMP"
tell profile repcpd
check 0 works
expect_line people 'NAT-PMP: no: no answer .*'
expect_line people 'verdict: it works: this gateway opens ports, by PCP only'
expect_json out '.natpmp == false and .natpmp_error.code == "timeout" and .dialect == "pcp"'

step "only what may be spoken is asked"
run --check --dialect pcp
expect_not grep -q '^NAT-PMP' "$work/out"
expect_line out 'PCP: yes, .*'
expect_line out 'verdict: it works: this gateway opens ports'
run --check --dialect natpmp --timeout 0.5 --json
expect_json out '.pcp == null and .pcp_error == null and .natpmp == false and
	(.advice | test("leave out --dialect"))'

step "another NAT between this host and the gateway, and other refusals of PCP"
tell pcp-result 12 map
check 7 address_mismatch
expect_line people 'PCP: yes, .*'
expect_line people 'test mapping: no: .*'
expect_text people '; name the gateway that is nearest to this host with -g'
tell pcp-result 10 map
check 7 quota
tell pcp-result off
expect has_mappings 0
tell profile rfc

step "nothing listens, nothing answers"
tell refuse on
check 5 refused
expect_not grep -q -e --check "$work/people" "$work/out"
expect_json out '.advice | test("switch on NAT-PMP") and (test("firewall") | not)'
tell refuse off
tell drop 100000
check 4 timeout
expect_line people 'NAT-PMP: no: no answer .*'
expect_json out ".advice | test(\"no firewall here drops UDP from port ${gateway#*:}\")"
expect_not grep -q -e --check "$work/people" "$work/out"
before=$(date +%s%N)
run --check
expect test $((($(date +%s%N) - before) / 1000000)) -lt 4500
run --vpn --check --timeout 0.2
expect_text out 'was made without port forwarding, or this server has none'
expect_not has_text out 'switch on NAT-PMP'
tell reset
expect has_mappings 0

step "nobody was asked: nothing is known"
status=0
"$NATPMP" -i lo --check --json >"$work/out" || status=$?
expect_status 3
expect_json out '.natpmp == null and .pcp == null and .mapping == null and .external_kind == null and
	.external_address == null and .uptime == null and .round_trip_us == null and .works == false'

step "it could not set up the mapping, though it has an address"
tell result 3 tcp
check 7 network_failure
expect_line people 'verdict: the gateway has an external address, but could not .*; restart port mapping in the router.*'
tell address 192.168.9.9
check 7 network_failure
expect_text people 'its address 192.168.9.9 is a private one: there is a second NAT'
tell reset

step "it tells its address, and does not answer mappings"
python3 -c '
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
while True:
    request, who = s.recvfrom(100)
    if request == b"\0\0":
        s.sendto(bytes.fromhex("00800000000000ff0b16212c"), who)
' >"$work/deaf" &
started="$started $!"
wait_for 5 test -s "$work/deaf"
gateway=127.0.0.1:$(cat "$work/deaf")
run --check
expect_status 4
expect_line out 'NAT-PMP: yes, .*'
expect_line out 'verdict: the gateway speaks NAT-PMP, but does not answer requests for mappings; see that port mapping is allowed .*'
expect_not has_text out 'switch on NAT-PMP'
