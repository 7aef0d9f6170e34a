#!/bin/sh
# SPDX-License-Identifier: MIT
# --dialect, and what is said of a gateway that speaks PCP.
# shellcheck source-path=SCRIPTDIR source=../lib.sh
. "$(dirname "$0")/../lib.sh"
gateway --profile rfc-pcp

# by DIALECT ARGUMENT...: a mapping, and what it was made by.
by() {
	dialect=$1
	shift
	run -p 1400 --json "$@"
	expect_status 0
	expect_empty err
	expect_json out ".dialect == \"$dialect\" and .family == \"ipv4\" and .external_port == 1400 and
		.external_address == \"11.22.33.44\""
	run -p 1400 "$@"
	expect_line out '11\.22\.33\.44:1400 -> 127\.0\.0\.1:1400 tcp [0-9]+ s'
	run --close -p 1400 "$@"
	expect_line out 'closed 1400/tcp'
	expect has_mappings 0
}

step "both are spoken: PCP, or the one that is named"
by pcp
by pcp --dialect auto
by pcp --dialect pcp
by natpmp --dialect natpmp
by natpmp --dialect NAT
expect_not seen 1 'violation'

step "only NAT-PMP"
for profile in rfc drops-pcp stallone; do
	tell profile $profile
	by natpmp
done
tell profile rfc
run -p 1400 --dialect pcp --timeout 1
expect_status 7
expect_text err 'switch on PCP in the router, or leave out --dialect'

step "only PCP"
for profile in pcp repcpd; do
	tell profile $profile
	by pcp
	run --address
	expect_line out 11.22.33.44
	expect has_mappings 0
	run --dialect natpmp -p 1400 --timeout 0.5
	expect test "$status" -ge 4
	expect_text err 'switch on NAT-PMP in the router (often listed as UPnP), or leave out --dialect'
done

step "PCP cannot close all"
tell profile pcp
run --close-all --timeout 1
expect_status 7
expect_text err 'PCP cannot close all at once: give --close, and each with -p'
tell profile rfc-pcp

step "held by PCP: up, changed, closed; the record says by what"
XDG_RUNTIME_DIR=$work/runtime
export XDG_RUNTIME_DIR
mkdir "$XDG_RUNTIME_DIR"
start held -p 1401 -t both --hold --json
wait_for 5 has_text held.out '"up"'
expect_json held.out '.event == "up" and .dialect == "pcp" and .protocol == "both"'
run --dialect natpmp --address
"$NATPMP" --status --json >"$work/status"
expect_json status '.event == "status" and .family == "ipv4" and .dialect == "pcp" and .internal_port == 1401'
kill -s TERM "$pid"
finish "$pid"
expect_json held.out '.event == "closed" and .dialect == "pcp" and .error == null'
expect has_mappings 0

# refuses CODE STATUS WORD TEXT
refuses() {
	tell pcp-result "$1" map
	run -p 1402 --json
	expect_status "$2"
	expect_json out ".event == \"error\" and .error.code == \"$3\""
	expect_text err "; $4"
}

step "what PCP refuses with, and what to do"
refuses 2 6 not_authorized 'allow port mappings in the router'
refuses 3 7 malformed "update the router's software"
refuses 5 7 option "update the router's software"
refuses 7 7 network_failure 'restart port mapping in the router, and look into'
refuses 8 7 no_resources 'try later'
refuses 9 7 protocol 'try the other type with -t'
refuses 10 7 quota 'close mappings that this host needs no longer'
refuses 12 7 address_mismatch 'name the gateway that is nearest to this host with -g'
tell pcp-result off

step "-v: PCP's packets in words"
run -v -p 1403
expect_text err 'natpmp: sent: PCP request: map, for 7200 s (02 01 00 00 00 00 1c 20 '
expect_text err 'natpmp: received: PCP answer: success, for 7200 s; gateway up for '
run -v --close -p 1403
expect_text err 'natpmp: sent: PCP request: close (02 01 '
tell pcp-result 8 map
run -v -p 1403
expect grep -qE 'received: PCP answer: result 8, out of resources, for [0-9]+ s; gateway up for ' "$work/err"
