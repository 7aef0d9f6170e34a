#!/bin/sh
# SPDX-License-Identifier: MIT
# Three of ten packets are lost, in both directions, so every second request comes to nothing.
# Six holders of a mapping of 33 s renew three times each. Half a lifetime has room for sixteen
# sends, of which all are lost once in 48,000 renewals (0.51 to the 16th): more than one mapping
# down among 18 renewals is no bad luck, but a fault.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

ports='4000 4001 4002 4003 4004 4005'

# sum EVENT: over all holders
sum() {
	total=0
	for port in $ports; do
		total=$((total + $(told "holder-$port" "$1")))
	done
	echo "$total"
}

all_up() {
	[ "$(mappings gateway | wc -l)" -eq 6 ] && [ "$(sum up)" -eq $((6 + $(sum down))) ]
}

world
speak natpmp
daemon gateway
for port in $ports; do
	hold "holder-$port" "$port" udp 33
done
before=$(asked gateway)
trouble gateway udp dport 5351 numgen random mod 100 '<' 30 drop
trouble client udp sport 5351 numgen random mod 100 '<' 30 drop
pass 55
requests=$(($(asked gateway) - before))
[ "$requests" -ge 18 ] || fail "only $requests requests: are there 18 renewals in them?"
downs=$(sum down)
[ "$downs" -le 1 ] || fail "$downs times down"
calm gateway
calm client
# Who went down began a series then, at most 22 s ago: its steps are up to 16 s wide.
began=$(ms)
wait_for 20 "all up" all_up
took=$(($(ms) - began))
for port in $ports; do
	stop "holder-$port"
done
nothing_left gateway
say "30 % loss both ways, 6 mappings of 33 s for 55 s: $requests requests, $downs times down;" \
	"all up $took ms after it was over; no rule left over"
