#!/bin/sh
# SPDX-License-Identifier: MIT
# Another gateway, no gateway, no interface: a held mapping follows.
. "$(dirname "$0")/lib.sh"

mapping='tcp 4000 192.168.77.2:4000'

# is_back WHAT: up at the second gateway, which is counted in $ups
is_back() {
	began=$(ms)
	ups=$((ups + 1))
	wait_for 10 "$1: up" told_times holder up "$ups"
	took=$(($(ms) - began))
	mapped second "$mapping" || fail "$1: no mapping"
	reach tcp 11.22.55.44 4000 || fail "$1: no connection"
	say "$1: up after $took ms"
}

# is_down WHAT
is_down() {
	began=$(ms)
	downs=$((downs + 1))
	wait_for 5 "$1: down" told_times holder down "$downs"
	say "$1: down after $(($(ms) - began)) ms"
}

world
second_gateway
daemon gateway
daemon second
serve 4000 tcp
hold holder 4000 tcp 7200
mapped gateway "$mapping" || fail "no mapping"
ups=1 downs=0

began=$(ms)
ip -n client route replace default via 192.168.77.3
wait_for 5 "mapping at the second gateway" mapped second "$mapping"
took=$(($(ms) - began))
wait_for 5 "no mapping at the first one any more" no_rules gateway
gone_after=$(($(ms) - began))
wait_for 5 "told of the new address" told_times holder changed 1
reach tcp 11.22.55.44 4000 || fail "no connection through the second gateway"
says holder 11.22.55.44 || fail "the new external address is not told"
expect "events" "0 1" "$(told holder down) $(told holder up)"
say "another gateway: mapped there after $took ms, deleted at the first one by $gone_after ms"

ip -n client route del default
is_down "no default route"
ip -n client route add default via 192.168.77.3
is_back "the default route is back"

ip -n client link set dev lan down
is_down "interface down"
ip -n client link set dev lan up
ip -n client route add default via 192.168.77.3
is_back "interface up"

stop holder
expect "rules left over" '0 0' "$(rules gateway) $(rules second)"
expect "events in all" "2 3 1" "$(told holder down) $(told holder up) $(told holder changed)"
