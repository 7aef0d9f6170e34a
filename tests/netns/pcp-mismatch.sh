#!/bin/sh
# SPDX-License-Identifier: MIT
# A NAT that nobody knows of between the client and the gateway: PCP shows it (RFC 6887 section
# 8.3), natpmp says so, asks no second time and leaves nothing behind.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

complains_or_says() {
	complains "$@" || says "$@"
}

world
daemon gateway
host middle
plug middle 192.168.77.4
ip -n client addr flush dev lan
ip -n client link set dev lan down
cable middle inner 192.168.78.1/24 client lan2 192.168.78.2/24
on middle sysctl -qw net.ipv4.ip_forward=1
on middle nft 'table ip nat { chain out {
	type nat hook postrouting priority 100; oifname "lan" masquerade; }; }'
ip -n client route add default via 192.168.78.1

# mismatch DIALECT: is told
mismatch() {
	before=$(asked gateway)
	run natpmp client "$NATPMP" --dialect "$1" -g 192.168.77.1 -p 4000 --ttl 4
	requests=$(($(asked gateway) - before))
	[ "$status" -eq 7 ] && complains natpmp 'another NAT is between this host and the gateway'
}

mismatch pcp || fail "status $status: $(cat "$work/natpmp.err")"
expect "requests" 1 "$requests"
say "told after $took ms and one request: $(cat "$work/natpmp.err")"
# If PCP's answer is not there within 250 ms, as may be on a busy machine, NAT-PMP is tried, which
# does not notice the other NAT.
within 10 mismatch auto || fail "automatic dialect: status $status: $(cat "$work/natpmp.err")"
wait_for 6 "no rule left" no_rules gateway

before=$(asked gateway)
start holder client "$NATPMP" --hold --retry --json --dialect pcp -g 192.168.77.1 -p 4000
wait_for 5 "told" complains_or_says holder address_mismatch
pass 5
expect "requests of who keeps trying" 1 $(($(asked gateway) - before))
! gone holder || fail "gave up"
stop holder
no_rules gateway || fail "a rule at the gateway"
