#!/bin/sh
# SPDX-License-Identifier: MIT
# What ICMP says about a request: port unreachable is the gateway's own word and reported at once,
# everything else is a hint (RFC 1122 section 3.2.2.1), and asking goes on.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

port=4000

# goes_on WHAT: asks on while trouble lasts, and succeeds when it ends
goes_on() {
	port=$((port + 1))
	start natpmp client "$NATPMP" -p "$port" --ttl 600
	wait_for 5 "$1: a second request" asked_more gateway $((before + 2))
	! gone natpmp || fail "$1: gave up"
	began=$(ms)
	calm gateway
	ended natpmp
	expect "$1: exit status" 0 "$status"
	say "$1: asked $(($(asked gateway) - before)) times, done $(($(ms) - began)) ms after it was over"
}

world
daemon gateway

for type in host-unreachable net-unreachable host-prohibited net-prohibited admin-prohibited; do
	before=$(asked gateway)
	trouble gateway udp dport 5351 reject with icmp type "$type"
	goes_on "$type"
done

trouble gateway udp dport 5351 reject with icmp type admin-prohibited
run natpmp client "$NATPMP" -p 4000 --timeout 2
expect "prohibited for good: exit status" 4 "$status"
calm gateway

trouble gateway udp dport 5351 reject with icmp type port-unreachable
run natpmp client "$NATPMP" -p 4000
expect "port-unreachable: exit status" 5 "$status"
at_most "port-unreachable" 1000 "$took"
say "port-unreachable: told after $took ms"
calm gateway

# This host's own firewall: send() itself fails. It may be reloaded in a moment.
on client nft 'table inet own { chain out { type filter hook output priority 0; udp dport 5351 drop; }; }'
start natpmp client "$NATPMP" -p 4100 --ttl 600
pass 1
! gone natpmp || fail "own firewall: gave up"
on client nft delete table inet own
ended natpmp
expect "own firewall: exit status" 0 "$status"
say "own firewall: went on, and succeeded when it was opened"
