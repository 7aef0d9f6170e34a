#!/bin/sh
# SPDX-License-Identifier: MIT
# Another gateway, no gateway, no interface: a held mapping follows.
# shellcheck source-path=SCRIPTDIR source=lib.sh
. "$(dirname "$0")/lib.sh"

mapping='tcp 4000 192.168.77.2:4000'

# is_back WHAT: up at the second gateway again
is_back() {
	began=$(ms)
	ups=$((ups + 1))
	wait_for 10 "$1: up" told_times holder up "$ups"
	took=$(($(ms) - began))
	mapped second "$mapping" || fail "$1: no mapping"
	reach tcp 11.22.55.44 4000 || fail "$1: no connection"
	say "$1: up after $took ms"
}

# has_moved WHAT FROM TO ADDRESS: without having been down, and FROM is told to delete
has_moved() {
	began=$(ms)
	changes=$((changes + 1))
	wait_for 5 "$1: mapping at the $3 gateway" mapped "$3" "$mapping"
	took=$(($(ms) - began))
	wait_for 5 "$1: no mapping at the $2 gateway any more" no_rules "$2"
	gone_after=$(($(ms) - began))
	wait_for 5 "$1: told of the new address" told_times holder changed "$changes"
	tail -n 1 "$work/holder.out" | grep -q "\"external_address\":\"$4\"" ||
		fail "$1: the new external address is not told"
	reach tcp "$4" 4000 || fail "$1: no connection to $4"
	say "$1: mapped after $took ms, deleted at the old gateway by $gone_after ms"
}

# is_down WHAT
is_down() {
	began=$(ms)
	downs=$((downs + 1))
	wait_for 5 "$1: down" told_times holder down "$downs"
	say "$1: down after $(($(ms) - began)) ms"
}

maps_to() {
	mappings second | grep -q " $1\$"
}

world
second_gateway
daemon gateway
daemon second
serve 4000 tcp
hold holder 4000 tcp 7200
mapped gateway "$mapping" || fail "no mapping"
ups=1 downs=0 changes=0

ip -n client route replace default via 192.168.77.3
has_moved "another default route" gateway second 11.22.55.44
ip -n client route add default via 192.168.77.1 table 100
ip -n client rule add priority 100 table 100
has_moved "a policy rule" second gateway 11.22.33.44
ip -n client rule del priority 100
has_moved "no policy rule" gateway second 11.22.55.44

ip -n client route del default
is_down "no default route"
ip -n client route add default via 192.168.77.3
is_back "the default route is back"

ip -n client link set dev lan down
is_down "interface down"
ip -n client link set dev lan up
ip -n client route add default via 192.168.77.3
is_back "interface up"

# Another address of one's own. Who no longer has the old one cannot delete what was mapped to it,
# and as long as that is there the gateway gives another external port.
ip -n client addr add 192.168.77.4/24 dev lan
ip -n client addr del 192.168.77.2/24 dev lan
wait_for 10 "another own address: mapped" maps_to 192.168.77.4:4000
external=$(mappings second | sed -n 's/tcp \([0-9]*\) 192.168.77.4:4000/\1/p')
changes=$((changes + 1))
wait_for 5 "another own address: told" told_times holder changed "$changes"
reach tcp 11.22.55.44 "$external" || fail "another own address: no connection to $external"
say "another own address: external port $external"

# The way to the internet has an address of its own, which is not that of the way to the gateway:
# one link, and news that do not concern it are none.
ip -n client addr add 192.168.77.5/24 dev lan
ip -n client route replace default via 192.168.77.3 src 192.168.77.5
changes=$((changes + 1))
wait_for 10 "a source of the route: mapped" maps_to 192.168.77.5:4000
wait_for 5 "a source of the route: told" told_times holder changed "$changes"
before=$(asked second)
for address in 10.9.9.8 10.9.9.9; do
	ip -n client addr add "$address/32" dev lo
	pass 0.3
done
expect "requests because of other news" "$before" "$(asked second)"
say "a source of the route: mapped to 192.168.77.5, and left alone"

stop holder
expect "mappings left over at the first gateway" '' "$(mappings gateway)"
expect "mappings left over at the second one" "$mapping" "$(mappings second)"
expect "events in all" "$downs $ups $changes" \
	"$(told holder down) $(told holder up) $(told holder changed)"
