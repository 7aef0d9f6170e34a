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
expect_not grep -q 'verdict: .*PCP' "$work/people"
tell result off

step "PCP only"
tell profile pcponly
check 7 version
expect_line people 'NAT-PMP: no: .*'
expect_line people 'PCP: yes'
expect_json out '.natpmp == false and .pcp == true and .mapping == null'
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
tell reset
expect has_mappings 0
